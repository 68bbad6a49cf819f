//! What the shop decided about consent, as data.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::error::PolicyError;
use super::event::Basis;
use super::name::{Purpose, Scope};
use super::quiet::QuietHours;
use crate::interaction::Channel;
use crate::time::Span;

/// What silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Nothing is allowed until somebody allows it.
    OptIn,
    /// It is allowed until somebody says no.
    OptOut,
}

/// What holds for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurposeRule {
    /// Which.
    pub purpose: Purpose,
    /// What silence means.
    pub choice: Choice,
    /// On which bases a consent for it may rest; the first is what opting out leaves it on.
    pub bases: Vec<Basis>,
    /// The channels on which a consent counts only once the holder of the address confirmed it.
    pub double_opt_in: Vec<Channel>,
    /// How long a consent lasts without being used: from when it was given, and anew from each contact under
    /// it. None is until it is withdrawn.
    pub lasts: Option<Span>,
    /// Whether it is marketing, so that an objection to that bars it.
    pub marketing: bool,
    /// Whether it profiles, so that an objection to that bars it.
    pub profiling: bool,
    /// Whether it is about something the customer is waiting for, such as a parcel: quiet hours and caps do
    /// not hold it up, and a withdrawal has to name it.
    pub transactional: bool,
}

impl PurposeRule {
    /// Marketing by consent: opt-in (GDPR, Art. 6(1)(a); ePrivacy Directive, Art. 13(1)), by double opt-in
    /// for e-mail, as German courts want it proved, and lapsing after two years without use.
    #[must_use]
    pub fn marketing(purpose: Purpose) -> Self {
        PurposeRule {
            purpose,
            choice: Choice::OptIn,
            bases: vec![Basis::Consent],
            double_opt_in: vec![Channel::Email],
            lasts: Some(Span::days(730)),
            marketing: true,
            profiling: false,
            transactional: false,
        }
    }

    /// Marketing of one's own similar goods to those who bought: opt-out (ePrivacy Directive, Art. 13(2)).
    #[must_use]
    pub fn existing_customers(purpose: Purpose) -> Self {
        PurposeRule {
            choice: Choice::OptOut,
            bases: vec![Basis::LegitimateInterests],
            double_opt_in: Vec::new(),
            lasts: None,
            ..PurposeRule::marketing(purpose)
        }
    }

    /// What a contract needs, such as the confirmation of an order (GDPR, Art. 6(1)(b)).
    #[must_use]
    pub fn transactional(purpose: Purpose) -> Self {
        PurposeRule {
            purpose,
            choice: Choice::OptOut,
            bases: vec![Basis::Contract, Basis::LegalObligation],
            double_opt_in: Vec::new(),
            lasts: None,
            marketing: false,
            profiling: false,
            transactional: true,
        }
    }

    fn check(&self) -> Result<(), PolicyError> {
        let purpose = || self.purpose.clone();
        at_most("bases of a purpose", self.bases.len(), 6)?;
        at_most("double opt-in channels", self.double_opt_in.len(), Channel::ALL.len())?;
        if self.bases.is_empty() {
            return Err(PolicyError::NoBasis { purpose: purpose() });
        }
        if self.choice == Choice::OptOut && self.bases.contains(&Basis::Consent) {
            return Err(PolicyError::SilentConsent { purpose: purpose() });
        }
        if self.choice == Choice::OptOut && !self.double_opt_in.is_empty() {
            return Err(PolicyError::ConfirmedSilence { purpose: purpose() });
        }
        if self.transactional && (self.marketing || self.profiling) {
            return Err(PolicyError::NotTransactional { purpose: purpose() });
        }
        Ok(())
    }
}

/// How often somebody may be contacted at most. What is transactional neither counts nor is held up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// So often, 1 to [`Cap::COUNT_MAX`].
    pub count: u32,
    /// Within any such span, up to [`Cap::DAYS_MAX`] days.
    pub per: Span,
    /// For one purpose; none is all of them together.
    pub purpose: Option<Purpose>,
    /// By one channel; none is all of them together.
    pub channel: Option<Channel>,
}

impl Cap {
    /// The most contacts that a cap can count: as many are kept in the customer's state.
    pub const COUNT_MAX: u32 = 64;
    /// How far a cap can look back, in days.
    pub const DAYS_MAX: u32 = 400;

    /// Over all purposes and channels.
    #[must_use]
    pub const fn overall(count: u32, per: Span) -> Self {
        Cap { count, per, purpose: None, channel: None }
    }

    /// Whether it counts contacts of a purpose and channel.
    #[must_use]
    pub fn counts(&self, purpose: &Purpose, channel: Channel) -> bool {
        self.purpose.as_ref().is_none_or(|own| own == purpose) && self.channel.is_none_or(|own| own == channel)
    }

    fn check(&self, policy: &ConsentPolicy) -> Result<(), PolicyError> {
        if !(1..=Self::COUNT_MAX).contains(&self.count) {
            return Err(PolicyError::CapCount { count: self.count, max: Self::COUNT_MAX });
        }
        if self.per < Span::millis(1) || self.per > Span::days(Self::DAYS_MAX) {
            return Err(PolicyError::CapSpan { millis: self.per.as_millis(), max_days: Self::DAYS_MAX });
        }
        match &self.purpose {
            Some(purpose) if policy.rule(purpose).is_none() => {
                Err(PolicyError::CapPurpose { purpose: purpose.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Purposes, quiet hours and caps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentPolicy {
    /// Where it is what o'clock, for customers whose zone is not known.
    pub time_zone: Tz,
    /// What somebody can be contacted for; everything else is barred.
    pub purposes: Vec<PurposeRule>,
    /// The parts of the business that consent can be given for one by one.
    pub scopes: Vec<Scope>,
    /// When nobody is contacted.
    pub quiet_hours: Vec<QuietHours>,
    /// How often somebody is contacted at most; each holds.
    pub caps: Vec<Cap>,
}

impl Default for ConsentPolicy {
    /// Two purposes: `marketing` as in [`PurposeRule::marketing`], and `service` as in
    /// [`PurposeRule::transactional`]. No calls and texts before 8:00 and after 21:00, every day, as the
    /// TCPA has it (47 CFR 64.1200(c)(1)); UTC, which a shop will want to change. No caps: no law names one.
    fn default() -> Self {
        ConsentPolicy {
            time_zone: Tz::UTC,
            purposes: vec![
                PurposeRule::marketing(Purpose::well_known("marketing")),
                PurposeRule::transactional(Purpose::well_known("service")),
            ],
            scopes: Vec::new(),
            quiet_hours: [Channel::Phone, Channel::Sms].into_iter().map(QuietHours::at_night).collect(),
            caps: Vec::new(),
        }
    }
}

/// The policy where none was defined.
pub(crate) static DEFAULT: LazyLock<ConsentPolicy> = LazyLock::new(ConsentPolicy::default);

impl ConsentPolicy {
    /// At most so many purposes.
    pub const PURPOSES_MAX: usize = 32;
    /// At most so many scopes.
    pub const SCOPES_MAX: usize = 32;
    /// At most so many windows of quiet hours.
    pub const QUIET_MAX: usize = 64;
    /// At most so many caps.
    pub const CAPS_MAX: usize = 16;

    /// What holds for a purpose, if it is defined.
    #[must_use]
    pub fn rule(&self, purpose: &Purpose) -> Option<&PurposeRule> {
        self.purposes.iter().find(|rule| rule.purpose == *purpose)
    }

    /// Whether a part of the business is defined; the whole always is.
    #[must_use]
    pub fn has_scope(&self, scope: Option<&Scope>) -> bool {
        scope.is_none_or(|scope| self.scopes.contains(scope))
    }

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// `PolicyError` for the first that is not kept.
    pub fn check(&self) -> Result<(), PolicyError> {
        at_most("purposes", self.purposes.len(), Self::PURPOSES_MAX)?;
        at_most("scopes", self.scopes.len(), Self::SCOPES_MAX)?;
        at_most("quiet hours", self.quiet_hours.len(), Self::QUIET_MAX)?;
        at_most("caps", self.caps.len(), Self::CAPS_MAX)?;
        once("purpose", self.purposes.iter().map(|rule| &rule.purpose))?;
        once("scope", self.scopes.iter())?;
        self.purposes.iter().try_for_each(PurposeRule::check)?;
        self.caps.iter().try_for_each(|cap| cap.check(self))?;
        super::quiet::check(&self.quiet_hours)
    }
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), PolicyError> {
    if count > max { Err(PolicyError::TooMany { what, count, max }) } else { Ok(()) }
}

fn once<'a, T: Ord + 'a>(what: &'static str, mut names: impl Iterator<Item = &'a T>) -> Result<(), PolicyError> {
    let mut seen = BTreeSet::new();
    if names.all(|name| seen.insert(name)) { Ok(()) } else { Err(PolicyError::Twice { what }) }
}
