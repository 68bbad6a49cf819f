//! Why a fact about an order was refused.

/// A malformed fact about a cart, an order, a payment or a refund.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Negative where that makes no sense, or above the limit.
    #[error("{what} of {minor} minor units is not between 0 and {max}")]
    Amount {
        /// Which amount.
        what: &'static str,
        /// Its value.
        minor: i64,
        /// The limit.
        max: i64,
    },
    /// Too many lines.
    #[error("an order of {count} lines, more than {max}")]
    Lines {
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
}
