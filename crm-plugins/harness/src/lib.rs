//! Runs a plugin in the real host, from its author's own tests.
//!
//! Native tests show that the logic is right. This crate shows that the file is: it builds the
//! project for WASM as a shop would get it, loads it under the limits that shops have, and compares
//! its answers with those of the native type. It compiles wasmtime, which takes minutes the first
//! time; put it behind a feature of your own if that is too long.
//!
//! ```no_run
//! use crm_plugin_harness::Guest;
//! use crm_plugin_sdk::{Batch, Entries};
//! # use crm_plugin_sdk::{Column, Failure, Scorer};
//! # #[derive(Default)]
//! # struct Lapse;
//! # impl Scorer for Lapse {
//! #     fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
//! #         Ok(vec![batch.map(|_| None)])
//! #     }
//! # }
//!
//! # fn main() -> Result<(), crm_plugin_harness::HarnessError> {
//! let guest = Guest::build(env!("CARGO_MANIFEST_DIR"))?;
//! guest.assert_scores_like(Lapse::default, &Entries::new(), &Batch::sample(1, 1_024));
//! # Ok(())
//! # }
//! ```

mod build;
mod guest;
mod translate;

pub use build::{BuildError, Built, build};
pub use guest::{Guest, HarnessError};
pub use translate::{batch, column, entries};
