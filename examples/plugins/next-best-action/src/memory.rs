//! What the plugin remembers of a customer, in 16 bytes.

/// The last request, and the last score.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Memory {
    /// When something was asked for, in milliseconds since 1970-01-01 UTC.
    pub asked_at_ms: Option<i64>,
    /// How likely it is that the customer is gone.
    pub churn: Option<f64>,
}

impl Memory {
    /// What [`Memory::write`] wrote. Anything else, such as another version's, is forgotten.
    pub fn read(bytes: &[u8]) -> Self {
        let Ok(bytes) = <[u8; 16]>::try_from(bytes) else { return Memory::default() };
        let [a, b, c, d, e, f, g, h, score @ ..] = bytes;
        let (at, churn) = (i64::from_le_bytes([a, b, c, d, e, f, g, h]), f64::from_le_bytes(score));
        Memory { asked_at_ms: (at != i64::MIN).then_some(at), churn: churn.is_finite().then_some(churn) }
    }

    /// Sixteen bytes; empty if there is nothing to remember.
    pub fn write(self) -> Vec<u8> {
        if self == Memory::default() {
            return Vec::new();
        }
        let at = self.asked_at_ms.unwrap_or(i64::MIN).to_le_bytes();
        [at, self.churn.unwrap_or(f64::NAN).to_le_bytes()].concat()
    }
}
