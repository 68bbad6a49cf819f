//! A look at the text of a rule before it is parsed: parsers of nested text call themselves, and a text can be nested
//! deeper than any stack.

use super::error::Problem;

/// How deep brackets may be nested.
const BRACKETS_MAX: usize = 32;
/// How many operators, and how many selections, may be strung together between two commas, brackets or connectives.
const CHAIN_MAX: usize = 64;

/// What has been strung together within one pair of brackets.
#[derive(Default)]
struct Level {
    operators: usize,
    selections: usize,
}

/// Where a text is nested too deep, in bytes from its start, if it is.
pub(super) fn check(text: &str) -> Result<(), (usize, Problem)> {
    let bytes = text.as_bytes();
    let mut levels = vec![Level::default()];
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        match byte {
            b'"' | b'\'' => {
                let raw = raw_before(bytes, at);
                at = after_text(bytes, at, raw);
                continue;
            }
            b'/' if next == Some(b'/') => {
                at += bytes.get(at..).unwrap_or_default().iter().take_while(|byte| **byte != b'\n').count();
                continue;
            }
            b'(' | b'[' | b'{' => levels.push(Level::default()),
            b')' | b']' | b'}' if levels.len() > 1 => drop(levels.pop()),
            b'&' | b'|' | b',' => {
                if let Some(level) = levels.last_mut() {
                    *level = Level::default();
                }
            }
            b'!' | b'-' | b'+' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'?' | b':' => {
                if let Some(level) = levels.last_mut() {
                    level.operators += 1;
                    level.selections = 0;
                }
            }
            b'.' => {
                if let Some(level) = levels.last_mut() {
                    level.selections += 1;
                }
            }
            _ => {}
        }
        let too_long = |level: &Level| level.operators > CHAIN_MAX || level.selections > CHAIN_MAX;
        if levels.len() > BRACKETS_MAX {
            return Err((at, Problem::TooDeep { max: BRACKETS_MAX }));
        }
        if levels.last().is_some_and(too_long) {
            return Err((at, Problem::TooDeep { max: CHAIN_MAX }));
        }
        at += 1;
    }
    Ok(())
}

/// Whether the quote at a place begins a text in which a backslash is a letter.
fn raw_before(bytes: &[u8], quote: usize) -> bool {
    let before = bytes.get(..quote).unwrap_or_default();
    let prefix = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let prefix: Vec<u8> = prefix.map(u8::to_ascii_lowercase).collect();
    matches!(prefix.as_slice(), b"r" | b"br" | b"rb")
}

/// Where a text that begins at a quote ends: behind its last quote.
fn after_text(bytes: &[u8], begin: usize, raw: bool) -> usize {
    let quote = bytes.get(begin).copied().unwrap_or_default();
    let triple = bytes.get(begin..begin + 3) == Some(&[quote; 3]);
    let close: &[u8] = if triple { &[quote; 3] } else { &[quote] };
    let mut at = begin + close.len();
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.starts_with(close) {
            return at + close.len();
        }
        at += if rest.first() == Some(&b'\\') && !raw { 2 } else { 1 };
    }
    bytes.len()
}
