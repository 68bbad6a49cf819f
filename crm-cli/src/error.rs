//! Why a command could not answer.

use std::path::PathBuf;

use crm_plugins::{Fault, HostError, LoadError};

use crate::advice;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error("{reason}")]
    Usage { reason: String },
    #[error("could not read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("could not write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{} is there already", path.display())]
    Exists { path: PathBuf },
    #[error("`{name}` is no name for a plugin: it is 1 to 64 of a-z, 0-9, `_` and `-` after a letter")]
    Name { name: String },
    #[error("there is no crm-plugin-sdk in {}", path.display())]
    NoSdk { path: PathBuf },
    #[error("{} has neither a Cargo.toml nor is it a WASM file", path.display())]
    NothingToBuild { path: PathBuf },
    #[error(transparent)]
    Build(#[from] crm_plugin_harness::BuildError),
    #[error("{} is no manifest: {reason}", path.display())]
    Manifest { path: PathBuf, reason: String },
    #[error("{} has no manifest, and needs a plugin.toml beside it, or --manifest FILE", path.display())]
    NoManifest { path: PathBuf },
    #[error("{} is no WebAssembly", path.display())]
    NotWasm { path: PathBuf },
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("a host refuses {}: {}", path.display(), advice::causes(source))]
    Refused { path: PathBuf, source: LoadError },
    #[error("the plugin failed{place}: {fault}")]
    Fault { place: String, fault: Fault },
    #[error("`{param}` is not NAME=VALUE")]
    ParamShape { param: String },
    #[error("parameter `{name}` must be {expected}, and `{value}` is not")]
    ParamValue { name: String, expected: &'static str, value: String },
    #[error("the plugin has no parameter `{name}`; it has {known}")]
    ParamUnknown { name: String, known: String },
    #[error("`{text}` is no time; write 2026-01-31 or 2026-01-31T12:00:00Z")]
    Time { text: String },
    #[error("`{code}` is no currency; write EUR or another code of ISO 4217")]
    Currency { code: String },
    #[error("a shop's engine refuses {}", path.display())]
    Plugin { path: PathBuf, source: Box<crm::plugins::PluginError> },
    #[error("the backtest failed: {0}")]
    Engine(#[source] Box<crm::Error>),
    #[error("{} is no scorer", path.display())]
    NoScorer { path: PathBuf },
    #[error("{} has no column `{name}`, which {whose}; it has {found}", path.display())]
    NoColumn { path: PathBuf, name: String, whose: &'static str, found: String },
    #[error("{} has no orders", path.display())]
    NoOrders { path: PathBuf },
    #[error("--to {to} is later than {now}, a day after the last order of the file: nobody knows what came then")]
    Future { to: String, now: String },
    #[error("{} has two columns `{name}`", path.display())]
    ColumnTwice { path: PathBuf, name: String },
    #[error("{}, line {line}, column {column} (`{feature}`): `{cell}` is no finite number", path.display())]
    Cell { path: PathBuf, line: u64, column: usize, feature: String, cell: String },
    #[error("{}, line {line}: {reason}", path.display())]
    Row { path: PathBuf, line: u64, reason: String },
}

impl Error {
    #[allow(clippy::wildcard_enum_match_arm, reason = "all others are of what the command was given")]
    /// 1 if it is the plugin's, 2 if it is that of what the command was given.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Fault { fault: Fault::Input(_), .. } => 2,
            Error::Build(_) | Error::Refused { .. } | Error::Plugin { .. } | Error::Fault { .. } => 1,
            _ => 2,
        }
    }

    /// A short stable name.
    fn kind(&self) -> &'static str {
        match self {
            Error::Usage { .. } => "usage",
            Error::Read { .. } => "read",
            Error::Write { .. } => "write",
            Error::Exists { .. } => "exists",
            Error::Name { .. } => "name",
            Error::NoSdk { .. } => "no_sdk",
            Error::NothingToBuild { .. } => "nothing_to_build",
            Error::Build(_) => "build",
            Error::Manifest { .. } => "manifest",
            Error::NoManifest { .. } => "no_manifest",
            Error::NotWasm { .. } => "not_wasm",
            Error::Host(_) => "host",
            Error::Refused { source, .. } => source.kind(),
            Error::Fault { fault, .. } => fault.kind(),
            Error::ParamShape { .. } => "param_shape",
            Error::ParamValue { .. } => "param_value",
            Error::ParamUnknown { .. } => "param_unknown",
            Error::Time { .. } => "time",
            Error::Currency { .. } => "currency",
            Error::Plugin { .. } => "plugin",
            Error::Engine(_) => "engine",
            Error::NoScorer { .. } => "no_scorer",
            Error::NoColumn { .. } => "no_column",
            Error::NoOrders { .. } => "no_orders",
            Error::Future { .. } => "future",
            Error::ColumnTwice { .. } => "column_twice",
            Error::Cell { .. } => "cell",
            Error::Row { .. } => "row",
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the others say it all")]
    /// What can be done, where there is something to say.
    fn advice(&self) -> Option<String> {
        match self {
            Error::Refused { source, .. } => Some(advice::of_load(source)),
            Error::Plugin { source, .. } => advice::of_plugin(source),
            Error::Build(error) => advice::of_build(error),
            Error::Fault { fault, .. } => advice::of_fault(fault),
            Error::NoManifest { .. } => Some(
                "In Rust, register your type with `register_scorer!` or `register_workflow!`. For other languages, \
                docs/writing-plugins.md shows a plugin.toml."
                    .into(),
            ),
            Error::NothingToBuild { .. } => Some("Go to the project's folder, or name it.".into()),
            _ => None,
        }
    }

    /// The error, its causes and what to do, for people.
    pub(crate) fn text(&self) -> String {
        let text = advice::causes(self);
        match self.advice() {
            Some(advice) => format!("{text}\n  {advice}"),
            None => text,
        }
    }

    /// The same for machines.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": { "kind": self.kind(), "message": advice::causes(self), "advice": self.advice() }
        })
    }
}
