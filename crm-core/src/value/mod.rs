//! What customers are worth to the shop. So far: recency, frequency, monetary value.

mod rfm;

pub use rfm::{Rfm, RfmScore, rfm_scores};
