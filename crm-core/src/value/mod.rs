//! What customers are worth to the shop, as functions of plain values: nothing here reads a state or a store.

mod groups;
mod ratio;
mod rfm;

pub use groups::RfmGroup;
pub use rfm::{Rfm, RfmBands, RfmError, RfmPolicy, RfmScale, RfmScore, TILES_MAX, Tiles, rfm_scores};
