//! A sandbox for WASM scorers and workflows, for people whom the shop need not trust.
//!
//! A [`Host`] loads a file and gives a [`Plugin`]. A **scorer** takes a batch of customers as
//! columns and returns columns of scores; a **workflow** takes an event and a view of its customer
//! and returns requests. Both are functions of their input: no clock, no randomness, no network,
//! no files. Each call has a deadline, memory, fuel and an output of limited size ([`Limits`]), and
//! each result is checked; what goes wrong is a typed [`Fault`], and the process lives on.
//!
//! A plugin that faults five times in a row is put into quarantine until someone clears it, and a
//! [`Registry`] keeps plugins by name and replaces them while they run. What a workflow looks up is
//! answered from what the caller has at hand ([`Lookups`]). Compiled code is shared, and kept in a
//! [`CodeFolder`] if the host wants that.
//!
//! The contract is the WIT in `wit/`, one folder for each version, and `crm-plugin-sdk` is how
//! authors write for it. This crate knows no customers: it moves neutral [`Value`]s and [`Column`]s.
//!
//! ```no_run
//! use crm_plugins::{Batch, Column, Host, Limits};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Host::new(Limits::default())?;
//! let plugin = host.load(&std::fs::read("churn.wasm")?)?;
//! assert_eq!(plugin.manifest().features, ["recency_days", "orders", "average_order"]);
//!
//! let mut scorer = plugin.scorer(&[])?;
//! let batch = Batch::new(
//!     2,
//!     vec![],
//!     vec![
//!         Column::floats([Some(3.0), Some(400.0)])?,
//!         Column::ints([Some(5), Some(5)]),
//!         Column::floats([Some(3_000.0), Some(3_000.0)])?,
//!     ],
//! )?;
//! let scores = scorer.score(&batch)?;
//! assert!(scores[0].float(0) < scores[0].float(1));
//! # Ok(())
//! # }
//! ```

mod bare;
mod batch;
mod code;
mod code_folder;
mod contract;
mod engine;
mod fault;
mod inspect;
mod instance;
mod limits;
mod load;
mod lookup;
mod manifest;
mod meter;
mod plugin;
mod registry;
mod sandbox;
mod scorer;
mod slots;
mod ticker;
mod value;
mod weigh;
mod wire;
mod workflow;

pub use batch::{Batch, BatchError, Cells, Column, ROWS_MAX};
pub use code_folder::CodeFolder;
pub use engine::{Host, HostError};
pub use fault::{Fault, GuestText, InputError};
pub use limits::{LOOKUP_KEYS_MAX, Limits, LoadLimits};
pub use load::{BoxError, LoadError};
pub use lookup::{Answer, LookupTable, Lookups, Need};
pub use manifest::{
    MANIFEST_SECTION, Manifest, ManifestError, Output, OutputKind, Param, ParamDefault, ParamKind, WantedLimits,
};
pub use meter::{Counters, LastFault, Standing};
pub use plugin::{Plugin, PluginInfo};
pub use registry::{Registry, RegistryError};
pub use scorer::Scorer;
pub use value::{Entry, Value};
pub use workflow::{Action, TriggerEvent, Workflow, WorkflowOutcome};
