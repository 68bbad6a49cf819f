//! Why a whole file is refused.
//!
//! Each message is complete on one line, cause included, because it is the first thing a person reads after
//! pointing the program at a file. What comes from the file is shortened and its control characters escaped.

use std::io;
use std::path::PathBuf;

use super::column_map::Role;

/// A file that cannot be read as orders.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OrderFileError {
    /// The file is not there, is a directory, or may not be read.
    #[error("could not open {path:?}: {cause}")]
    Open { path: PathBuf, cause: io::Error },
    /// Reading failed half way.
    #[error("could not read {path:?}: {cause}")]
    Read { path: PathBuf, cause: io::Error },
    /// The file begins as gzip and does not go on as such.
    #[error("{path:?} is a gzip file that is cut off or damaged: {cause}")]
    Gzip { path: PathBuf, cause: io::Error },
    /// Nothing in the file, or nothing but blank lines.
    #[error("{path:?} is empty: expected a header line and rows of orders")]
    Empty { path: PathBuf },
    /// The first line holds a NUL byte or is not UTF-8: a picture, a spreadsheet, UTF-16.
    #[error("{path:?} is not CSV text in UTF-8")]
    NotText { path: PathBuf },
    /// The first line names no column at all.
    #[error("{path:?} has no header: no column on its first line has a name")]
    NoHeader { path: PathBuf },
    /// No column was recognised for roles that are needed.
    #[error(
        "no column for {}; the file has: {}; name them with --columns, such as --columns {}",
        join(missing, " or ", |role| role.to_string()),
        join(found, ", ", |name| shown(name)),
        join(missing, ",", |role| format!("{role}=NAME"))
    )]
    MissingColumns { missing: Vec<Role>, found: Vec<String> },
    /// `--columns` names a column that the header lacks.
    #[error(
        "--columns says {role}={}, but the file has no such column; it has: {}",
        shown(name),
        join(found, ", ", |name| shown(name))
    )]
    UnknownColumn { role: Role, name: String, found: Vec<String> },
    /// The column to use occurs twice, so there is no telling which one is meant.
    #[error("the column {} for {role} occurs more than once; rename one, or name another with --columns", shown(name))]
    RepeatedColumn { role: Role, name: String },
    /// A row is longer than any row of orders: most often a quote that is never closed.
    #[error("the row at line {line} is longer than 1 MiB; is a quote left open there?")]
    RowTooLong { line: u64 },
    /// An amount is a number, but one that cannot be kept exactly or is above 10^15 minor units.
    #[error("line {line}: the amount {text} is out of range")]
    AmountOutOfRange { line: u64, text: String },
    /// The rows of one order add up to more than an `i64` of minor units.
    #[error("the rows of order {order} add up to an amount that is out of range")]
    TotalOutOfRange { order: String },
    /// More different ids than can be numbered.
    #[error("the file has more than 4,294,967,295 different ids")]
    TooManyTexts,
}

/// Names listed in a message before the rest is only counted.
const LISTED_MAX: usize = 30;
/// Characters of a text from the file that a message shows.
const SHOWN_CHARS_MAX: usize = 40;

/// `text` from a file, fit for one line of a message.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (position, letter) in text.chars().enumerate() {
        if position == SHOWN_CHARS_MAX {
            shown.push('…');
            break;
        }
        match letter {
            '"' | '\'' => shown.push(letter),
            letter => shown.extend(letter.escape_debug()),
        }
    }
    shown
}

fn join<T>(items: &[T], separator: &str, show: impl Fn(&T) -> String) -> String {
    let listed: Vec<String> = items.iter().take(LISTED_MAX).map(show).collect();
    let mut joined = listed.join(separator);
    if items.len() > LISTED_MAX {
        joined.push_str(&format!(" and {} more", items.len() - LISTED_MAX));
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_file_is_shortened_and_cannot_control_the_terminal() {
        assert_eq!(shown("a\u{1b}[31m\n\u{202e}\"b"), "a\\u{1b}[31m\\n\\u{202e}\"b");
        assert_eq!(shown(&"é".repeat(41)), format!("{}…", "é".repeat(40)));
    }

    #[test]
    fn a_missing_column_says_what_is_missing_what_is_there_and_what_to_do() {
        let error = OrderFileError::MissingColumns {
            missing: vec![Role::Customer, Role::Amount],
            found: (0..32).map(|number| format!("c{number}")).collect(),
        };
        let message = error.to_string();
        assert!(message.starts_with("no column for customer or amount; the file has: c0, c1, "), "{message}");
        assert!(
            message.ends_with("c29 and 2 more; name them with --columns, such as --columns customer=NAME,amount=NAME"),
            "{message}"
        );
    }
}
