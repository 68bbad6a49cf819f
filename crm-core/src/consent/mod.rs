//! Consent: who may be contacted for what, by which way, and what proves it.
//!
//! What was said comes as facts (given, requested, refused, withdrawn; restricted, objected), and folds by time
//! like every other. What it comes to is derived at an instant, and is never an event: [`ConsentStatus`].
//! What the shop decided about it is a definition: [`ConsentPolicy`]. One question joins the two, and is the
//! only door that messages go through: [`Customer::may_contact`](crate::customer::Customer::may_contact), which
//! package `crm` asks together with the list of suppressed addresses.
//!
//! ```
//! use crm_core::consent::*;
//! use crm_core::customer::Customer;
//! use crm_core::event::{EventBody, Fact};
//! use crm_core::interaction::Channel;
//! use crm_core::{CustomerId, Definitions, Digest, EventId, Source, TenantId, Timestamp};
//!
//! let wording = Wording {
//!     version: "2026-01".parse()?,
//!     sha256: Digest::of(b"Yes, send me news by text message."),
//!     locale: Locale::new("en-GB")?,
//! };
//! let proof = Proof::new(Method::Form, wording, "checkout".parse()?);
//! let marketing = Purpose::new("marketing")?;
//! let given = EventBody::Fact(Fact::from(ConsentGiven::new(marketing.clone(), Channel::Sms, proof)));
//! let stop = ConsentWithdrawn::new(marketing.clone(), Channel::Sms, Method::Reply);
//! let stop = EventBody::Fact(Fact::from(stop));
//!
//! let id = |key| EventId::of_fact(&TenantId::default(), &Source::new("shop").expect("a source"), key);
//! let [monday, tuesday] = ["2026-01-05T12:00:00Z", "2026-01-06T12:00:00Z"].map(|day| Timestamp::parse(day).expect("a time"));
//! let ana = CustomerId::new(monday, [0; 10]);
//! let events = [(ana, id("yes"), monday, &given), (ana, id("stop"), tuesday, &stop)];
//!
//! let definitions = Definitions::default();
//! let may = |until| {
//!     let happened = events.iter().copied().filter(|(_, _, at, _)| *at <= until);
//!     let ana = Customer::replay(ana, happened, until, &definitions);
//!     ana.may_contact(&ContactQuery::new(marketing.clone(), Channel::Sms, until), &definitions)
//! };
//! assert!(may(monday).is_ok());
//! assert_eq!(may(tuesday), Err(Barred::NoConsent { status: ConsentStatus::Withdrawn }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod book;
mod contact;
mod error;
mod event;
mod name;
mod policy;
mod process;
mod quiet;
mod reply;

use serde::{Deserialize, Serialize};

pub use book::{ConsentBook, Target};
pub use chrono_tz::Tz;
pub use contact::{Allowed, Barred, ContactQuery};
pub use error::{ConsentError, PolicyError, Unproved};
pub use event::{
    Basis, ConsentGiven, ConsentRefused, ConsentRequested, ConsentWithdrawn, Contacted, Method, Objected, Objection,
    ObjectionWithdrawn, Original, Proof, Restricted, RestrictionLifted, SuppressionLifted, Which, Wording,
};
pub use name::{Collector, Evidence, Locale, NAME_MAX, NoLocale, NoName, Purpose, Scope, WordingVersion};
pub(crate) use policy::DEFAULT as DEFAULT_POLICY;
pub use policy::{Cap, Choice, ConsentPolicy, PurposeRule};
pub(crate) use quiet::quiet_until;
pub use quiet::{Day, LocalTime, NoTime, QuietHours};
pub use reply::Reply;

use crate::definitions::Definitions;
use crate::event::Fact;
use crate::id::EventId;
use crate::identity::IdentifierKey;
use crate::interaction::Channel;
use crate::time::Timestamp;

/// What a consent is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConsentKey {
    /// For what.
    pub purpose: Purpose,
    /// By which way.
    pub channel: Channel,
    /// Within which part of the business; none is the shop as a whole.
    pub scope: Option<Scope>,
}

impl ConsentKey {
    /// For the shop as a whole.
    #[must_use]
    pub const fn new(purpose: Purpose, channel: Channel) -> Self {
        ConsentKey { purpose, channel, scope: None }
    }
}

/// What was said about something comes to this at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentStatus {
    /// Nothing was said.
    Unknown,
    /// It waits to be confirmed by double opt-in.
    Pending,
    /// Allowed.
    Granted,
    /// It was allowed, and that has lapsed.
    Expired,
    /// They were asked and said no.
    Denied,
    /// They took it back, or opted out.
    Withdrawn,
}

impl ConsentStatus {
    /// The name it is stored and shown under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ConsentStatus::Unknown => "unknown",
            ConsentStatus::Pending => "pending",
            ConsentStatus::Granted => "granted",
            ConsentStatus::Expired => "expired",
            ConsentStatus::Denied => "denied",
            ConsentStatus::Withdrawn => "withdrawn",
        }
    }
}

impl std::fmt::Display for ConsentStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How a customer stands to something at an instant, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentStanding {
    /// What was said comes to this.
    pub status: ConsentStatus,
    /// When it was said; none if nothing was.
    pub since: Option<Timestamp>,
    /// By which event.
    pub event: Option<EventId>,
    /// Whether a no stands, be it that a request waits to change that. This is what bars a purpose that one
    /// has to opt out of.
    pub refused: bool,
    /// On which basis, of a consent that was given.
    pub basis: Option<Basis>,
    /// For which address, of a consent that was given for one.
    pub address: Option<IdentifierKey>,
    /// When the consent ends by itself, used no more.
    pub ends_at: Option<Timestamp>,
}

impl ConsentStanding {
    /// Nothing was said.
    pub const UNKNOWN: ConsentStanding = ConsentStanding {
        status: ConsentStatus::Unknown,
        since: None,
        event: None,
        refused: false,
        basis: None,
        address: None,
        ends_at: None,
    };
}

/// How a fact comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// As it happens.
    Live,
    /// As history.
    History,
}

/// Checks a fact about consent; others pass.
///
/// A consent is refused unless its purpose, scope and basis are those of the policy in force at its time, and
/// it is proved. Taken over from elsewhere (by its method, or because it comes as history) it is proved only
/// if it says how, when and by whom it was first collected, and happened at that time: so it is weighed
/// against what the customer said before and after, and cannot win over a later withdrawal. A double opt-in
/// has to refer to its confirmation. What lifts a restriction or an objection carries no proof, and is refused
/// as history. Withdrawals, refusals, restrictions and objections are never refused.
///
/// # Errors
///
/// `ConsentError` with the reason.
#[allow(clippy::wildcard_enum_match_arm, reason = "every fact that is not about consent is left alone")]
pub fn check(fact: &Fact, at: Timestamp, arrival: Arrival, definitions: &Definitions) -> Result<(), ConsentError> {
    let policy = || definitions.consent(at);
    match fact {
        Fact::ConsentGiven(given) => {
            given.proof.check()?;
            declared(policy(), &given.purpose, given.scope.as_ref(), given.basis)?;
            if given.expires_at.is_some_and(|end| end <= at) {
                return Err(ConsentError::EndsBefore);
            }
            proved(&given.proof, at, arrival)
        }
        Fact::ConsentRequested(asked) => {
            asked.proof.check()?;
            declared(policy(), &asked.purpose, asked.scope.as_ref(), asked.basis)?;
            if asked.confirm_by <= at { Err(ConsentError::EndsBefore) } else { Ok(()) }
        }
        Fact::Contacted(contact) => match policy().rule(&contact.purpose) {
            Some(_) => Ok(()),
            None => Err(ConsentError::UnknownPurpose { purpose: contact.purpose.clone() }),
        },
        // They carry no proof, so what comes as history can bar by them, and not lift what bars.
        Fact::RestrictionLifted(_) | Fact::ObjectionWithdrawn(_) if arrival == Arrival::History => {
            Err(ConsentError::Unproved { why: Unproved::LiftedInHistory })
        }
        Fact::SuppressionLifted(lifted) => {
            lifted.proof.check()?;
            proved(&lifted.proof, at, arrival)
        }
        _ => Ok(()),
    }
}

fn declared(
    policy: &ConsentPolicy,
    purpose: &Purpose,
    scope: Option<&Scope>,
    basis: Basis,
) -> Result<(), ConsentError> {
    let rule = policy.rule(purpose).ok_or_else(|| ConsentError::UnknownPurpose { purpose: purpose.clone() })?;
    if let Some(scope) = scope.filter(|scope| !policy.has_scope(Some(scope))) {
        return Err(ConsentError::UnknownScope { scope: scope.clone() });
    }
    if rule.bases.contains(&basis) { Ok(()) } else { Err(ConsentError::Basis { purpose: purpose.clone(), basis }) }
}

fn proved(proof: &Proof, at: Timestamp, arrival: Arrival) -> Result<(), ConsentError> {
    let unproved = |why| Err(ConsentError::Unproved { why });
    let taken_over = proof.method == Method::Import || arrival == Arrival::History || proof.original.is_some();
    match &proof.original {
        None if taken_over => return unproved(Unproved::NoOriginal),
        Some(original) if original.method == Method::Import => return unproved(Unproved::ImportOfImport),
        Some(original) if original.at != at => return unproved(Unproved::OtherTime),
        Some(_) | None => {}
    }
    if proof.is_double_opt_in() && proof.evidence.is_none() { unproved(Unproved::NoConfirmation) } else { Ok(()) }
}
