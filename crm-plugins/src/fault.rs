//! Why a call gave no result. A fault is a value for records and decisions: it says what happened
//! and where the limit was, and never repeats what the guest said.

use std::fmt;
use std::time::Duration;

use crate::lookup::Need;

/// A call that gave no result. The instance it happened in, if there was one, is gone.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The call took too long by the wall clock: the one fault that may not repeat itself.
    #[error("the call took longer than {} ms", limit.as_millis())]
    Deadline {
        /// How long a call may take.
        limit: Duration,
    },
    /// The call took too many instructions.
    #[error("the call used up its {limit} units of fuel")]
    Fuel {
        /// How many units a call has.
        limit: u64,
    },
    /// The call needed too much memory or too large a table.
    #[error("the plugin needed more than {limit_bytes} bytes of memory, or too large a table")]
    Memory {
        /// How many bytes an instance may have.
        limit_bytes: usize,
    },
    /// The call nested too deep.
    #[error("the plugin's stack overflowed")]
    Stack,
    /// The call stopped at an instruction that cannot go on. A panic ends here.
    #[error("the plugin trapped: {reason}")]
    Trap {
        /// What kind of instruction it was; never the guest's words.
        reason: &'static str,
    },
    /// The result was larger than allowed.
    #[error("the plugin returned more {what} than the limit of {limit}")]
    Output {
        /// What there was too much of.
        what: &'static str,
        /// How much there may be; bytes, unless `what` counts something.
        limit: usize,
    },
    /// The call called the host too often.
    #[error("the plugin called the host more than {limit} times")]
    HostCalls {
        /// How often it may.
        limit: u32,
    },
    /// A look-up asked for too much at once.
    #[error("the plugin looked up more {what} at once than the limit of {limit}")]
    Lookup {
        /// What there was too much of: `keys` or `bytes of keys`.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// A look-up in a source that the manifest does not name.
    #[error("the plugin looked something up in a source that its manifest does not name")]
    UndeclaredLookup {
        /// The source, in the guest's words.
        name: GuestText,
    },
    /// The plugin's exports or values do not have the types of the contract.
    #[error("the plugin broke the contract: {reason}")]
    Contract {
        /// What was wrong; never the guest's words.
        reason: &'static str,
    },
    /// A scorer returned more or fewer columns than it declared outputs.
    #[error("the scorer returned {actual} columns for {expected} declared outputs")]
    ColumnCount {
        /// How many outputs it declares.
        expected: usize,
        /// How many columns it returned.
        actual: usize,
    },
    /// A scorer returned a column of another kind than it declared.
    #[error("the column for output `{output}` is not of the declared kind")]
    ColumnKind {
        /// The output, as declared.
        output: String,
    },
    /// A scorer returned more or fewer rows than it was given.
    #[error("output `{output}` has {actual} rows for a batch of {expected}")]
    RowCount {
        /// The output, as declared.
        output: String,
        /// The batch's rows.
        expected: usize,
        /// The column's rows.
        actual: usize,
    },
    /// A scorer returned a column with a wrong null byte or a code without a word.
    #[error("output `{output}` is malformed in row {row}")]
    Malformed {
        /// The output, as declared.
        output: String,
        /// From 0.
        row: usize,
    },
    /// A result holds NaN or an infinity.
    #[error("`{place}` holds a number that is not finite")]
    NotFinite {
        /// The output as declared, or the action as declared.
        place: String,
    },
    /// A score lies outside the range that the manifest declares.
    #[error("output `{output}` is outside its declared range in row {row}")]
    OutOfRange {
        /// The output, as declared.
        output: String,
        /// From 0.
        row: usize,
    },
    /// A workflow asked for an action that its manifest does not declare.
    #[error("action {index} is of a kind that the manifest does not declare")]
    UndeclaredAction {
        /// Its place in the outcome, from 0.
        index: usize,
        /// The kind, in the guest's words.
        kind: GuestText,
    },
    /// An action has two arguments of one name, or one without a proper name.
    #[error("action {index} (`{kind}`) has arguments without distinct proper names")]
    ActionArgs {
        /// Its place in the outcome, from 0.
        index: usize,
        /// The kind, as declared.
        kind: String,
    },
    /// The plugin itself declined.
    #[error("the plugin declined with code `{code}`")]
    Refused {
        /// A word in kebab-case of at most 64 bytes; `unspecified` if the guest's was not one.
        code: String,
        /// What the guest said about it.
        message: GuestText,
    },
    /// A look-up needs what is not at hand. Load it, and call again with it: the plugin did nothing
    /// wrong, and the next call starts from the beginning.
    #[error("the plugin looks up {0}, which is not at hand")]
    Need(Need),
    /// There was no room for an instance: the machine has too little memory or address space, or as many workflow calls
    /// ran as one host runs at once, 64, and none of them ended for ten deadlines. The latter takes more threads than
    /// that, or a [`Lookups`](crate::Lookups) that itself waits for a workflow.
    #[error("there is no room for an instance of the plugin")]
    NoRoom,
    /// The plugin faulted too often in a row and is not run until someone clears it.
    #[error("the plugin is in quarantine after {faults} faults in a row, the last of kind `{last}`")]
    Quarantined {
        /// How many faults it took.
        faults: u32,
        /// The [`Fault::kind`] of the last.
        last: &'static str,
    },
    /// The caller handed over what this plugin does not take. The plugin did not run, or stopped at
    /// a look-up that was answered wrongly.
    #[error(transparent)]
    Input(#[from] InputError),
}

impl Fault {
    /// A short stable name for records and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Deadline { .. } => "deadline",
            Fault::Fuel { .. } => "fuel",
            Fault::Memory { .. } => "memory",
            Fault::Stack => "stack",
            Fault::Trap { .. } => "trap",
            Fault::Output { .. } => "output",
            Fault::HostCalls { .. } => "host_calls",
            Fault::Lookup { .. } => "lookup",
            Fault::UndeclaredLookup { .. } => "undeclared_lookup",
            Fault::Contract { .. } => "contract",
            Fault::ColumnCount { .. } => "column_count",
            Fault::ColumnKind { .. } => "column_kind",
            Fault::RowCount { .. } => "row_count",
            Fault::Malformed { .. } => "malformed",
            Fault::NotFinite { .. } => "not_finite",
            Fault::OutOfRange { .. } => "out_of_range",
            Fault::UndeclaredAction { .. } => "undeclared_action",
            Fault::ActionArgs { .. } => "action_args",
            Fault::Refused { .. } => "refused",
            Fault::Need(_) => "need",
            Fault::NoRoom => "no_room",
            Fault::Quarantined { .. } => "quarantined",
            Fault::Input(_) => "input",
        }
    }

    /// Whether the same call may end differently on another day or machine. Such a fault must be
    /// recorded to be replayed; all others follow from the input. It is so for a deadline, for a
    /// quarantine, which earlier calls decided, and where there was no room.
    pub fn depends_on_clock(&self) -> bool {
        matches!(self, Fault::Deadline { .. } | Fault::Quarantined { .. } | Fault::NoRoom)
    }

    /// Whether the plugin is to blame, so that it counts towards its quarantine.
    ///
    /// It is not for what the caller got wrong ([`Fault::Input`]), has to load ([`Fault::Need`]), did not run
    /// ([`Fault::Quarantined`]) or had no room for ([`Fault::NoRoom`]). Nor is it for [`Fault::Refused`]: declining is an answer
    /// within the contract, given in time and in form, and costs no more than another.
    pub fn is_plugins(&self) -> bool {
        !matches!(
            self,
            Fault::Input(_) | Fault::Need(_) | Fault::NoRoom | Fault::Quarantined { .. } | Fault::Refused { .. }
        )
    }
}

/// What the caller handed over and this plugin does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A scorer was asked for of a plugin that has none.
    #[error("plugin `{plugin}` is no scorer")]
    NotAScorer {
        /// The plugin's name.
        plugin: String,
    },
    /// A workflow was asked for of a plugin that has none.
    #[error("plugin `{plugin}` is no workflow")]
    NotAWorkflow {
        /// The plugin's name.
        plugin: String,
    },
    /// The batch has another number of columns than the manifest has features.
    #[error("a batch of {actual} columns for {expected} declared features")]
    Columns {
        /// How many features there are.
        expected: usize,
        /// How many columns there were.
        actual: usize,
    },
    /// The manifest does not listen to this kind of event.
    #[error("the plugin does not listen to `{kind}`")]
    Event {
        /// The kind of the event.
        kind: String,
    },
    /// The manifest names a source for look-ups that was not granted.
    #[error("the plugin looks things up in `{name}`, which it was not granted")]
    LookupNotGranted {
        /// The source.
        name: String,
    },
    /// A look-up was answered with another number of values than it had keys.
    #[error("{actual} values for a look-up of {expected} keys")]
    Answer {
        /// How many keys there were.
        expected: usize,
        /// How many values there were.
        actual: usize,
    },
    /// The manifest does not ask for this customer entry, so the plugin must not see it.
    #[error("the plugin did not ask for `{name}`")]
    Feature {
        /// The entry's name.
        name: String,
    },
    /// The manifest has no such parameter.
    #[error("the plugin has no parameter `{name}`")]
    Parameter {
        /// The parameter's name.
        name: String,
    },
    /// A parameter has a value of another kind than the manifest says.
    #[error("parameter `{name}` must be {expected}")]
    ParameterKind {
        /// The parameter's name.
        name: String,
        /// The kind that it must have.
        expected: &'static str,
    },
    /// A parameter without a default was left out.
    #[error("parameter `{name}` is required")]
    ParameterMissing {
        /// The parameter's name.
        name: String,
    },
    /// Two entries have one name.
    #[error("`{name}` was given twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A number is NaN or infinite.
    #[error("`{name}` is not finite")]
    NotFinite {
        /// The entry's name.
        name: String,
    },
    /// The plugin's memory for this customer is larger than it may be.
    #[error("{bytes} bytes of plugin memory are over the limit of {limit}")]
    Memory {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
}

/// Text that came from a guest. It may hold personal data, so it prints as its length only; what
/// a person asked to see is behind [`GuestText::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct GuestText(String);

impl GuestText {
    /// The most bytes that are kept.
    pub const BYTES_MAX: usize = 1_024;

    pub(crate) fn new(text: &str) -> Self {
        GuestText(printable(text, Self::BYTES_MAX))
    }

    /// The text itself, without control characters and cut to [`GuestText::BYTES_MAX`] bytes.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for GuestText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// `text` in one line: without control characters and separators of lines, which could forge log lines or move a
/// terminal's cursor, and without the marks that turn the reading direction around.
pub(crate) fn printable(text: &str, bytes_max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(bytes_max));
    for character in text.chars() {
        let breaks_or_turns = matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let shown = if character.is_control() || breaks_or_turns { ' ' } else { character };
        if line.len() + shown.len_utf8() > bytes_max {
            break;
        }
        line.push(shown);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_never_prints_what_the_guest_said() {
        let fault =
            Fault::Refused { code: "no-data".into(), message: GuestText::new("jane@example.org has no orders") };
        assert!(!format!("{fault} {fault:?}").contains("jane"));
    }

    #[test]
    fn control_characters_become_spaces_and_long_text_is_cut_between_characters() {
        assert_eq!(printable("a\r\n\u{1b}[2J\u{202e}b", 100), "a   [2J b");
        assert_eq!(printable("a\u{2028}b\u{2029}c\u{61c}d\u{85}e", 100), "a b c d e");
        assert_eq!(printable("ööö", 5), "öö");
    }
}
