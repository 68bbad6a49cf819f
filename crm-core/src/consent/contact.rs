//! The question that every message asks first.

use chrono_tz::Tz;

use super::event::{Basis, Objection};
use super::name::{Purpose, Scope};
use super::policy::Choice;
use super::{ConsentKey, ConsentStanding, ConsentStatus, quiet_until};
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::id::EventId;
use crate::identity::IdentifierKey;
use crate::interaction::Channel;
use crate::time::Timestamp;

/// May somebody be contacted?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactQuery {
    /// For what, by which way, within which part of the business.
    pub key: ConsentKey,
    /// When.
    pub at: Timestamp,
    /// Where the customer is, for quiet hours; the shop's zone if that is not known.
    pub time_zone: Option<Tz>,
    /// At which address, as its keyed hash: a consent that was given for another does not count.
    pub address: Option<IdentifierKey>,
}

impl ContactQuery {
    /// For the shop as a whole, in its own zone.
    #[must_use]
    pub const fn new(purpose: Purpose, channel: Channel, at: Timestamp) -> Self {
        ContactQuery { key: ConsentKey::new(purpose, channel), at, time_zone: None, address: None }
    }

    /// Within a part of the business.
    #[must_use]
    pub fn within(mut self, scope: Scope) -> Self {
        self.key.scope = Some(scope);
        self
    }

    /// Where the customer is.
    #[must_use]
    pub const fn in_zone(mut self, zone: Tz) -> Self {
        self.time_zone = Some(zone);
        self
    }

    /// At an address.
    #[must_use]
    pub const fn at_address(mut self, address: IdentifierKey) -> Self {
        self.address = Some(address);
        self
    }
}

/// They may, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// On which basis.
    pub basis: Basis,
    /// The consent that it rests on; none if it rests on nobody's having said no.
    pub consent: Option<EventId>,
}

/// They may not, and why: the first reason that holds, in the order of this list. What does not pass by
/// itself comes before what does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Barred {
    /// They were erased, or are not there: nobody is found by what they were known by.
    #[error("the customer was erased")]
    Erased,
    /// The address is suppressed.
    #[error("the address is suppressed")]
    Suppressed,
    /// Their data may not be used (GDPR, Art. 18).
    #[error("the customer's data is restricted since {since}")]
    Restricted {
        /// Since when.
        since: Timestamp,
    },
    /// No policy in force has the purpose.
    #[error("no purpose {purpose} is defined")]
    UnknownPurpose {
        /// The purpose.
        purpose: Purpose,
    },
    /// No policy in force has the scope.
    #[error("no scope {scope} is defined")]
    UnknownScope {
        /// The scope.
        scope: Scope,
    },
    /// They object (GDPR, Art. 21).
    #[error("the customer objects to {to:?} since {since}")]
    Objected {
        /// To what.
        to: Objection,
        /// Since when.
        since: Timestamp,
    },
    /// They did not allow it, or no more.
    #[error("there is no consent: it is {status}")]
    NoConsent {
        /// What was said comes to this.
        status: ConsentStatus,
    },
    /// They allowed it for another address.
    #[error("the consent is for another address")]
    OtherAddress,
    /// The address that the message goes to was not given, or is none that this channel goes to: it is not known
    /// whether it is suppressed. Ask again with it.
    #[error("a message by {} needs the address it goes to", channel.name())]
    NoAddress {
        /// By which way.
        channel: Channel,
    },
    /// They were contacted often enough. Ask again then.
    #[error("a cap is reached until {until}")]
    Capped {
        /// Until when, if nothing else is sent.
        until: Timestamp,
    },
    /// Not at this hour. Ask again then.
    #[error("it is quiet until {until}")]
    QuietHours {
        /// Until when.
        until: Timestamp,
    },
}

impl Barred {
    /// A short name of the reason, to count by.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Barred::Erased => "erased",
            Barred::Suppressed => "suppressed",
            Barred::Restricted { .. } => "restricted",
            Barred::UnknownPurpose { .. } => "unknown_purpose",
            Barred::UnknownScope { .. } => "unknown_scope",
            Barred::Objected { .. } => "objected",
            Barred::NoConsent { .. } => "no_consent",
            Barred::OtherAddress => "other_address",
            Barred::NoAddress { .. } => "no_address",
            Barred::Capped { .. } => "capped",
            Barred::QuietHours { .. } => "quiet_hours",
        }
    }
}

impl Customer {
    /// How the customer stands to something at an instant.
    #[must_use]
    pub fn consent(&self, key: &ConsentKey, at: Timestamp, definitions: &Definitions) -> ConsentStanding {
        let transactional = definitions.consent(at).rule(&key.purpose).is_some_and(|rule| rule.transactional);
        self.facts().consents().standing(key, self.joins(), at, transactional)
    }

    /// Whether the customer may be contacted, as far as their own state tells: what was suppressed or erased
    /// is not in it, so ask package `crm` before anything is sent.
    ///
    /// Silence bars what one has to opt into and allows what one has to opt out of. An instant before the
    /// customer's clock is answered by what is known now. Costs no more than a few look-ups in memory, and a
    /// look at the clock in the customer's zone.
    ///
    /// # Errors
    ///
    /// `Barred` with the first reason that holds.
    pub fn may_contact(&self, query: &ContactQuery, definitions: &Definitions) -> Result<Allowed, Barred> {
        let ContactQuery { key, at, time_zone, address } = query;
        let (at, policy, book) = (*at, definitions.consent(*at), self.facts().consents());
        if let Some(since) = book.restricted(self.joins()) {
            return Err(Barred::Restricted { since });
        }
        let rule = policy.rule(&key.purpose).ok_or_else(|| Barred::UnknownPurpose { purpose: key.purpose.clone() })?;
        if let Some(scope) = key.scope.as_ref().filter(|scope| !policy.has_scope(Some(scope))) {
            return Err(Barred::UnknownScope { scope: scope.clone() });
        }
        for (to, barred) in [(Objection::Marketing, rule.marketing), (Objection::Profiling, rule.profiling)] {
            if let Some(since) = book.objects(to, self.joins()).filter(|_| barred) {
                return Err(Barred::Objected { to, since });
            }
        }
        let standing = book.standing(key, self.joins(), at, rule.transactional);
        let granted = standing.status == ConsentStatus::Granted;
        let allowed = match rule.choice {
            Choice::OptIn => granted,
            Choice::OptOut => !standing.refused,
        };
        if !allowed {
            return Err(Barred::NoConsent { status: standing.status });
        }
        let meant = |own: IdentifierKey| address.is_none_or(|address| address == own);
        if rule.choice == Choice::OptIn && !standing.address.is_none_or(meant) {
            return Err(Barred::OtherAddress);
        }
        if !rule.transactional {
            if let Some(until) = book.capped_until(key, at, policy) {
                return Err(Barred::Capped { until });
            }
            let zone = time_zone.unwrap_or(policy.time_zone);
            if let Some(until) = quiet_until(&policy.quiet_hours, key.channel, at, zone) {
                return Err(Barred::QuietHours { until });
            }
        }
        // A policy has at least one basis for each purpose.
        let silent = rule.bases.first().copied().unwrap_or(Basis::Consent);
        Ok(match standing.basis.filter(|_| granted) {
            Some(basis) => Allowed { basis, consent: standing.event },
            None => Allowed { basis: silent, consent: None },
        })
    }
}
