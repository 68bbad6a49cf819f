//! What a command says: for people and for machines.

/// An answer in both forms.
pub(crate) struct Answer {
    /// Lines for people.
    pub(crate) text: String,
    /// The same for machines.
    pub(crate) json: serde_json::Value,
    /// Whether all is well; if not, the exit code is 1.
    pub(crate) is_well: bool,
}

impl Answer {
    pub(crate) fn well(text: String, json: serde_json::Value) -> Answer {
        Answer { text, json, is_well: true }
    }
}

/// `bytes` as people read them.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} bytes"),
        10_000..=9_999_999 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
