//! WASM plugins: their bytes become a [`Workflow`](crate::Workflow) or a [`Scorer`](crate::Scorer) that the engine calls like any other.
//!
//! Everything a plugin names is checked when it is loaded: the features it wants to see, the kinds of
//! event it listens to, the actions it may ask for. What it has of that is for the shop to grant: see the guides for
//! authors and for shops in `docs/`.

mod action;
mod scorer;
mod workflow;

use crm_core::attribute::Attribute;
use crm_core::workflow::{PluginName, PluginStamp};
use crm_core::{Digest, SmolStr, TextError};
pub use crm_plugins::{
    CodeFolder, Counters, Entry, Fault, Host, HostError, LastFault, Limits, LoadError, LoadLimits, Plugin, PluginInfo,
    Registry, RegistryError, Standing, Value,
};

pub use scorer::{WasmScorer, score_context};
pub use workflow::WasmWorkflow;

use crate::workflow::{Breaker, PluginFault};

/// The actions that plugins may ask for.
pub const ACTIONS: [&str; 4] = ["add_tag", "remove_tag", "award_points", "notify"];

/// The kinds of event and change that workflows may listen to, besides those that the shop defined,
/// which begin with `shop.`.
pub const EVENTS: [&str; 58] = [
    "visited",
    "enquired",
    "cart_updated",
    "order_placed",
    "payment_received",
    "refunded",
    "order_delivered",
    "tagged",
    "untagged",
    "enlisted",
    "unlisted",
    "card_changed",
    "party_described",
    "identified",
    "voided",
    "consent_given",
    "consent_refused",
    "consent_withdrawn",
    "consent_requested",
    "restricted",
    "restriction_lifted",
    "objected",
    "objection_withdrawn",
    "contacted",
    "suppression_lifted",
    "tied",
    "untied",
    "attribute_set",
    "message_received",
    "case_opened",
    "case_closed",
    "case_reopened",
    "contract_signed",
    "contract_renewed",
    "contract_ended",
    "points_posted",
    "points_reminded",
    "credit_posted",
    "coupon_claimed",
    "coupon_reserved",
    "coupon_redeemed",
    "coupon_released",
    "voucher_issued",
    "voucher_withdrawn",
    "reward_claimed",
    "reward_cancelled",
    "badge_earned",
    "tag_added",
    "tag_removed",
    "notified",
    "stage_changed",
    "segment_entered",
    "segment_left",
    "tier_reached",
    "tier_lost",
    "tier_at_risk",
    "consent_changed",
    "scored",
];

/// The feature by which workflows see the stage, a text.
pub const STAGE: &str = "stage";

/// The feature by which workflows see [what the customer is called to them](crate::WorkflowCall::customer_name), a text.
pub const CUSTOMER: &str = "customer";

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// It was refused when it was loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It is no scorer or workflow, a parameter is wrong, or it failed while it was configured.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Its name is not one.
    #[error(transparent)]
    Name(#[from] TextError),
    /// It is a scorer that answers with words, and a score is a number.
    #[error("plugin {plugin} gives words as {output:?}, and a score is a number")]
    Word {
        /// Its name.
        plugin: String,
        /// The output.
        output: String,
    },
    /// It asks for something that there is not.
    #[error("plugin {plugin} asks for the {what} {name:?}, which there is not")]
    Unknown {
        /// Its name.
        plugin: String,
        /// What it asks for: a feature, a field of the card, an event, or an action.
        what: &'static str,
        /// What it calls it.
        name: String,
    },
}

fn stamp(plugin: &Plugin) -> Result<PluginStamp, PluginError> {
    Ok(PluginStamp {
        name: PluginName::new(plugin.name())?,
        version: SmolStr::new(plugin.version()),
        digest: Digest::from_bytes(plugin.digest()),
    })
}

fn attributes<'a>(
    plugin: &Plugin,
    names: impl Iterator<Item = &'a String>,
) -> Result<Vec<(String, Attribute)>, PluginError> {
    names
        .map(|name| match Attribute::by_name(name) {
            Some(attribute) => Ok((name.clone(), attribute)),
            None => Err(unknown(plugin, "feature", name)),
        })
        .collect()
}

fn expect(
    plugin: &Plugin,
    what: &'static str,
    names: &[String],
    known: impl Fn(&str) -> bool,
) -> Result<(), PluginError> {
    names.iter().find(|name| !known(name)).map_or(Ok(()), |name| Err(unknown(plugin, what, name)))
}

fn unknown(plugin: &Plugin, what: &'static str, name: &str) -> PluginError {
    PluginError::Unknown { plugin: plugin.name().to_owned(), what, name: name.to_owned() }
}

fn breaker(plugin: &Plugin) -> Breaker {
    match plugin.standing() {
        Standing::Active { .. } => Breaker::Closed,
        Standing::Quarantined { faults, last } => Breaker::Open { faults, last: SmolStr::new_static(last) },
    }
}

fn fault(fault: &Fault) -> PluginFault {
    PluginFault::new(fault.kind())
}
