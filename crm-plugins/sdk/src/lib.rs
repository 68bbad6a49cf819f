//! Writes a plugin for the embeddable CRM: a scorer or a workflow, as a WASM file that shops can
//! load without trusting it.
//!
//! Implement [`Scorer`] or [`Workflow`], register the type, build with
//! `cargo build --release --target wasm32-unknown-unknown`. The crate also compiles natively, so
//! `cargo test` tests the logic without a host:
//!
//! ```
//! use crm_plugin_sdk::{Batch, Column, Failure, Scorer, register_scorer};
//!
//! /// How much of a year has gone by since the last order.
//! #[derive(Default)]
//! struct Recency;
//!
//! impl Scorer for Recency {
//!     fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
//!         let days = batch.floats("recency_days")?;
//!         Ok(vec![batch.map(|row| Some((days.get(row)? / 365.0).min(1.0)))])
//!     }
//! }
//!
//! register_scorer!(Recency {
//!     name: "recency",
//!     features: ["recency_days"],
//!     outputs: ["recency": float in 0..=1],
//! });
//!
//! # fn main() -> Result<(), Failure> {
//! let batch = Batch::new(2).with("recency_days", Column::floats([Some(73.0), None]));
//! let scores = Recency.score(&batch)?;
//! assert_eq!((scores[0].float(0), scores[0].float(1)), (Some(0.2), None));
//! # Ok(())
//! # }
//! ```
//!
//! A plugin has no clock, no randomness, no network and no files: times and a seed come in with
//! the call. Instances are thrown away at will, so globals remember nothing. A panic is reported
//! through [`diag`] and ends the call.

extern crate alloc;
extern crate self as crm_plugin_sdk;

mod batch;
mod bindings;
pub mod diag;
mod failure;
mod glue;
pub mod lookup;
mod register;
mod scorer;
mod value;
mod workflow;

pub use batch::{Batch, Booleans, Column, Floats, Ints, Words};
pub use failure::Failure;
pub use register::Registered;
pub use scorer::Scorer;
pub use value::{Entries, Value};
pub use workflow::{Action, Event, Outcome, Workflow};

/// For the macros only; nothing in here is a promise.
#[doc(hidden)]
pub mod __private {
    pub use wit_bindgen::rt;

    pub use crate::bindings::scorer::crm::plugin::types::{Batch, Column, Entry, Failure};
    pub use crate::bindings::scorer::exports::crm::plugin::scorer::Guest as ScorerExport;
    pub use crate::bindings::scorer::{self, export_scorer};
    pub use crate::bindings::workflow::exports::crm::plugin::workflow::{Event, Guest as WorkflowExport, Outcome};
    pub use crate::bindings::workflow::{self, export_workflow};
    pub use crate::glue::*;
}
