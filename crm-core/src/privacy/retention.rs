//! For how long personal data is kept, and what goes then (GDPR, Art. 5(1)(e)).
//!
//! When somebody's data is due follows from their state and the policies, and from nothing else: it is no event, and
//! moves by itself with whatever they do. What was decided when it was due is an event, which says by which policy
//! and at which instant; the rows go after it, and another event says that they are gone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Blocker, PrivacyError};
use crate::consent::{ConsentStatus, Purpose};
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::event::Fact;
use crate::flat::FlatMap;
use crate::identity::{Assurance, IdentifierKey, IdentifierKind, ScopeKey, Seen};
use crate::lifecycle::Stage;
use crate::profile::Field;
use crate::text::{Remark, text_type};
use crate::time::{Span, Timestamp};
use crate::timer::{Alarm, AlarmKind};
use crate::workflow::FieldName;

text_type!(
    /// What a rule about how long data is kept is called, such as `prospects two years`. It is in the audit log.
    RetentionName, "retention policy", 64
);

/// How many fields, or kinds of identifier, a policy may name.
pub const RETENTION_FIELDS_MAX: usize = 256;

/// How long something is kept, of whom, counted from what, and what goes then.
///
/// ```
/// use crm_core::lifecycle::Stage;
/// use crm_core::privacy::{RetentionPolicy, RetentionSince};
/// use crm_core::Span;
///
/// // Whoever never bought goes two years after they were last heard of.
/// let policy = RetentionPolicy::erase(RetentionSince::LastActivity, Span::days(730))
///     .of_stages([Stage::Prospect, Stage::Intent]);
/// assert!(policy.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPolicy {
    /// Of whom.
    pub of: RetentionOf,
    /// Counted from what.
    pub since: RetentionSince,
    /// For how long.
    pub keep: Span,
    /// What happens then.
    pub then: RetentionAction,
}

/// Whom a policy is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetentionOf {
    /// Every customer.
    Everybody,
    /// Those who are at one of these stages: prospects and those with an intent have no order that stands, the others
    /// have one. Whoever comes to a stage is not due before they do. Somebody whose every fact was voided counts as a
    /// prospect.
    Stages(BTreeSet<Stage>),
}

/// What is counted from. Who has none of it is not due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetentionSince {
    /// The last thing that the customer did ([`Fact::is_activity`]), or the first fact of all if they never did
    /// anything, or when the last fact was voided if none is left. Of an identifier: when it was last told.
    LastActivity,
    /// The newest order that stands.
    LastOrder,
    /// The first fact, or when the last one was voided if none is left. Of an identifier: when it was first told.
    FirstSeen,
    /// The end of the last consent for a purpose, whether it was withdrawn, refused or ended by itself. Nobody is due
    /// while one stands or waits to be confirmed, nor who was never asked.
    ConsentEnded(Purpose),
}

/// What happens to data that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionAction {
    /// The customer is erased.
    Erase,
    /// Some of it is forgotten, and the customer stays.
    Forget(Forget),
}

/// What is forgotten. Fields go all at once, with what they held before; each identifier goes in its own time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forget {
    /// Fields of the card.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub card: BTreeSet<Field>,
    /// Other personal fields.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub personal: BTreeSet<FieldName>,
    /// Kinds of identifier.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub identifiers: BTreeSet<IdentifierKind>,
}

impl Forget {
    /// Fields of the card.
    pub fn card(fields: impl IntoIterator<Item = Field>) -> Self {
        Forget { card: fields.into_iter().collect(), ..Forget::default() }
    }

    /// Personal fields that are not of the card.
    pub fn personal(fields: impl IntoIterator<Item = FieldName>) -> Self {
        Forget { personal: fields.into_iter().collect(), ..Forget::default() }
    }

    /// Identifiers of some kinds.
    pub fn identifiers(kinds: impl IntoIterator<Item = IdentifierKind>) -> Self {
        Forget { identifiers: kinds.into_iter().collect(), ..Forget::default() }
    }

    fn has_fields(&self) -> bool {
        !self.card.is_empty() || !self.personal.is_empty()
    }
}

impl RetentionPolicy {
    /// Everybody is erased when so long has passed.
    #[must_use]
    pub const fn erase(since: RetentionSince, keep: Span) -> Self {
        RetentionPolicy { of: RetentionOf::Everybody, since, keep, then: RetentionAction::Erase }
    }

    /// Of everybody something is forgotten when so long has passed.
    #[must_use]
    pub const fn forget(what: Forget, since: RetentionSince, keep: Span) -> Self {
        RetentionPolicy { of: RetentionOf::Everybody, since, keep, then: RetentionAction::Forget(what) }
    }

    /// Only of those who are at some stages.
    #[must_use]
    pub fn of_stages(mut self, stages: impl IntoIterator<Item = Stage>) -> Self {
        self.of = RetentionOf::Stages(stages.into_iter().collect());
        self
    }

    /// Whether it forgets any of some fields of the card.
    pub fn forgets_card<'f>(&self, mut fields: impl Iterator<Item = &'f Field>) -> bool {
        matches!(&self.then, RetentionAction::Forget(what) if fields.any(|field| what.card.contains(field)))
    }

    /// Whether it forgets any of some personal fields that are not of the card.
    pub fn forgets_personal<'f>(&self, mut fields: impl Iterator<Item = &'f FieldName>) -> bool {
        matches!(&self.then, RetentionAction::Forget(what) if fields.any(|field| what.personal.contains(field)))
    }

    /// Checks its limits.
    ///
    /// # Errors
    ///
    /// `Retention` with what is wrong.
    pub fn check(&self) -> Result<(), PrivacyError> {
        let refused = |what| Err(PrivacyError::Retention { what });
        let at_once = self.keep.as_millis() == 0;
        if at_once && !matches!(self.since, RetentionSince::ConsentEnded(_)) {
            return refused("keeps nothing at all");
        }
        if matches!(&self.of, RetentionOf::Stages(stages) if stages.is_empty()) {
            return refused("is about nobody");
        }
        if let RetentionAction::Forget(Forget { card, personal, identifiers }) = &self.then {
            let all = [card.len(), personal.len(), identifiers.len()];
            if all == [0; 3] {
                return refused("forgets nothing");
            }
            if all.iter().any(|count| *count > RETENTION_FIELDS_MAX) {
                return refused("names more than 256 fields");
            }
            if personal.iter().any(|name| name.as_str().starts_with("card.") || name.as_str().starts_with("was.")) {
                return refused("names a field of the card among the others");
            }
        }
        Ok(())
    }

    fn is_about(&self, stage: Option<Stage>) -> bool {
        match &self.of {
            RetentionOf::Everybody => true,
            RetentionOf::Stages(stages) => stages.contains(&stage.unwrap_or(Stage::Prospect)),
        }
    }
}

/// By which policy something went, and when that was due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RetentionMark {
    /// The policy.
    pub policy: RetentionName,
    /// The instant at which it was decided, which is when it was due.
    pub at: Timestamp,
}

/// Something was forgotten of the customer: by a policy, or because it was corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// By which policy; none for an identifier that was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RetentionName>,
    /// When: what is told of it later counts again.
    pub at: Timestamp,
    /// Which fields of the card.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub card: BTreeSet<Field>,
    /// Which other personal fields.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub personal: BTreeSet<FieldName>,
    /// Which identifiers, as the hashes that history knows them by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub identifiers: BTreeSet<IdentifierKey>,
}

impl Forgotten {
    /// Whether rows go by it.
    #[must_use]
    pub fn has_fields(&self) -> bool {
        !self.card.is_empty() || !self.personal.is_empty()
    }
}

/// What a policy decided to remove is gone from the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// By which policy.
    pub policy: RetentionName,
}

/// Something that a policy forgets was told anew: it is kept from here on as if it were the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalKept {
    /// When.
    pub at: Timestamp,
}

/// An identifier was wrong, and another one is right (GDPR, Art. 16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierCorrected {
    /// The hash of the wrong one: the customer is not known by it, unless somebody says so later.
    pub from: IdentifierKey,
    /// The hash of the right one.
    pub to: IdentifierKey,
    /// Who issued the right one, for kinds that somebody issues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeKey>,
    /// When.
    pub at: Timestamp,
    /// Who answers for the right one.
    #[serde(default, skip_serializing_if = "Assurance::is_vouched")]
    pub assurance: Assurance,
    /// Why, in few words; nothing that is personal about a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}

/// What was decided about keeping a customer's data: part of their state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retained {
    /// What was told of these up to then is not counted.
    forgotten: FlatMap<IdentifierKey, Timestamp>,
    /// When each policy last forgot fields.
    done: FlatMap<RetentionName, Timestamp>,
    /// When something was last told that a policy forgets.
    kept_at: Option<Timestamp>,
    /// What was decided, and whose rows are not known to be gone.
    removal: Option<Removal>,
}

/// Rows that are still to be removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Removal {
    /// By which policy, and since when.
    pub mark: RetentionMark,
    /// Whether all of what is personal goes.
    pub erases: bool,
}

impl Retained {
    pub(crate) fn forget(&mut self, forgotten: &Forgotten) {
        for key in &forgotten.identifiers {
            self.forget_identifier(*key, forgotten.at);
        }
        if let Some(policy) = forgotten.policy.as_ref().filter(|_| forgotten.has_fields()) {
            self.done.insert(policy.clone(), forgotten.at);
            let mark = RetentionMark { policy: policy.clone(), at: forgotten.at };
            self.removal = Some(Removal { mark, erases: false });
        }
    }

    pub(crate) fn forget_identifier(&mut self, key: IdentifierKey, at: Timestamp) {
        let latest = self.forgotten.get(&key).copied().map_or(at, |before| before.max(at));
        self.forgotten.insert(key, latest);
    }

    /// The customer was erased: nothing else is known, but for what is still to be removed.
    pub(crate) fn erase(&mut self, mark: Option<&RetentionMark>) {
        let removal = mark.map(|mark| Removal { mark: mark.clone(), erases: true });
        *self = Retained { removal: removal.or(self.removal.take()), ..Retained::default() };
    }

    pub(crate) fn removed(&mut self, policy: &RetentionName) {
        if self.removal.as_ref().is_some_and(|removal| removal.mark.policy == *policy) {
            self.removal = None;
        }
    }

    pub(crate) fn keep(&mut self, at: Timestamp) {
        self.kept_at = self.kept_at.max(Some(at));
    }

    /// What was decided about several who are one person. What is told of an identifier counts or not for each by
    /// themself; a policy has forgotten what all have forgotten by it.
    pub(crate) fn joined<'a>(all: impl Iterator<Item = &'a Retained> + Clone) -> Self {
        // Of one it is their own, with what does not count any more.
        if let (Some(one), None) = (all.clone().next(), all.clone().nth(1)) {
            return one.clone();
        }
        let mut joined = Retained::default();
        for Retained { forgotten: _, done, kept_at, removal } in all.clone() {
            for (policy, _) in done.iter() {
                let each: Option<Vec<Timestamp>> = all.clone().map(|one| one.done.get(policy).copied()).collect();
                if let Some(first) = each.and_then(|each| each.into_iter().min()) {
                    joined.done.insert(policy.clone(), first);
                }
            }
            joined.kept_at = joined.kept_at.max(*kept_at);
            joined.removal = [joined.removal.take(), removal.clone()].into_iter().flatten().min();
        }
        joined
    }

    /// Up to when what is told of an identifier does not count.
    pub(crate) fn forgotten_until(&self, key: &IdentifierKey) -> Option<Timestamp> {
        self.forgotten.get(key).copied()
    }

    pub(crate) const fn removal(&self) -> Option<&Removal> {
        self.removal.as_ref()
    }
}

/// What is to go of a customer by one policy, if nothing happens until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionDue {
    /// By which policy.
    pub policy: RetentionName,
    /// What.
    pub then: RetentionAction,
    /// When the policy says. It may be in the past: time has to be let pass for it to go.
    pub due_at: Timestamp,
    /// When it goes, after what stands against it: none until a legal hold is released that has no end, or processing
    /// is not restricted any more.
    pub goes_at: Option<Timestamp>,
    /// What stands against it when it is due.
    pub waits_for: Vec<Blocker>,
    /// The identifiers that are due then, of those that go each in their own time.
    pub identifiers: BTreeSet<IdentifierKey>,
    /// Whether fields go, and not identifiers alone.
    pub fields: bool,
}

impl Fact {
    /// Whether it is something that the customer did, so that data which is kept since their last activity is kept
    /// longer for it: visits, enquiries, carts, orders, payments, refunds, contracts, messages that they sent, cases that
    /// were opened or reopened, consent that they gave, and whatever is of a kind of the shop's own. What the shop does
    /// about a customer is not, nor is saying no.
    #[must_use]
    pub const fn is_activity(&self) -> bool {
        match self {
            Fact::Visited(_)
            | Fact::Enquired(_)
            | Fact::CartUpdated(_)
            | Fact::OrderPlaced(_)
            | Fact::PaymentReceived(_)
            | Fact::Refunded(_)
            | Fact::ConsentGiven(_)
            | Fact::MessageReceived(_)
            | Fact::CaseOpened(_)
            | Fact::CaseReopened(_)
            | Fact::Custom(_)
            | Fact::ContractSigned(_)
            | Fact::ContractRenewed(_)
            | Fact::ContractEnded(_) => true,
            Fact::OrderDelivered(_)
            | Fact::Tagged(_)
            | Fact::Untagged(_)
            | Fact::Enlisted(_)
            | Fact::Unlisted(_)
            | Fact::CardChanged(_)
            | Fact::PartyDescribed(_)
            | Fact::Identified(_)
            | Fact::Voided(_)
            | Fact::ConsentRefused(_)
            | Fact::ConsentWithdrawn(_)
            | Fact::ConsentRequested(_)
            | Fact::Restricted(_)
            | Fact::RestrictionLifted(_)
            | Fact::Objected(_)
            | Fact::ObjectionWithdrawn(_)
            | Fact::Contacted(_)
            | Fact::SuppressionLifted(_)
            | Fact::Tied(_)
            | Fact::Untied(_)
            | Fact::AttributeSet(_)
            | Fact::CaseClosed(_) => false,
        }
    }
}

/// A version of a policy, and from when until when it holds.
struct Version<'a> {
    name: &'a RetentionName,
    policy: &'a RetentionPolicy,
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Customer {
    /// What is still to be removed of what was decided to go.
    #[must_use]
    pub fn removal(&self) -> Option<&Removal> {
        self.decided().retained.removal()
    }

    /// What will go of the customer's data, by which policy and when, if nothing happens until then; the soonest
    /// first. A stage that they come to by themselves until then counts. Empty for somebody who was erased.
    #[must_use]
    pub fn retention(&self, at: Timestamp, definitions: &Definitions) -> Vec<RetentionDue> {
        let mut now = self.clone();
        now.elapse(at, &mut Vec::new());
        let deadline = now.facts().lifecycle().deadline();
        let mut due = now.dues(now.clock().unwrap_or(at), definitions);
        if let Some(deadline) = deadline {
            due.retain(|due| due.goes_at.is_none_or(|goes| goes < deadline));
            now.elapse(deadline, &mut Vec::new());
            for later in now.dues(deadline, definitions) {
                if due.iter().all(|sooner| sooner.policy != later.policy) {
                    due.push(later);
                }
            }
        }
        due.sort_by(|one, other| one.order().cmp(&other.order()));
        due
    }

    /// When retention has something to do next: remove what was decided to go, or decide that something goes.
    pub(crate) fn next_retention(&self, clock: Timestamp, definitions: &Definitions) -> Option<Alarm> {
        let alarm = |due_at| Alarm { due_at, kind: AlarmKind::Retention };
        if let Some(removal) = self.removal() {
            return Some(alarm(removal.mark.at));
        }
        self.dues(clock, definitions).iter().filter_map(|due| due.goes_at).min().map(alarm)
    }

    /// What goes first of what goes at or before an instant, up to which time has passed.
    #[must_use]
    pub fn retention_due(&self, at: Timestamp, definitions: &Definitions) -> Option<RetentionDue> {
        let due = self.dues(at, definitions).into_iter().filter(|due| due.goes_at.is_some_and(|goes| goes <= at));
        due.min_by(|one, other| one.order().cmp(&other.order()))
    }

    /// What goes by each policy, as the customer is now.
    fn dues(&self, at: Timestamp, definitions: &Definitions) -> Vec<RetentionDue> {
        if self.is_erased() {
            return Vec::new();
        }
        let mut dues: Vec<RetentionDue> = Vec::new();
        for (name, policy, from, until) in definitions.retention_versions() {
            // An earlier version of a policy comes first, and acts unless it is over by then.
            if dues.iter().all(|due| due.policy != *name) {
                dues.extend(self.due_by(&Version { name, policy, from, until }, at, definitions));
            }
        }
        dues
    }

    fn due_by(&self, version: &Version<'_>, at: Timestamp, definitions: &Definitions) -> Option<RetentionDue> {
        let Version { name, policy, from, until } = *version;
        if !policy.is_about(self.stage()) {
            return None;
        }
        let since_stage = match &policy.of {
            RetentionOf::Everybody => None,
            RetentionOf::Stages(_) => self.facts().lifecycle().since(),
        };
        let floor = since_stage.map_or(from, |since| since.max(from));
        let anchor = self.kept_since(&policy.since, at, definitions)?;
        let ends = |anchor: Timestamp| anchor.plus(policy.keep).max(floor);
        let fields_at = match &policy.then {
            RetentionAction::Erase => Some(ends(anchor)),
            RetentionAction::Forget(what) => what
                .has_fields()
                .then(|| ends(self.decided().retained.kept_at.map_or(anchor, |kept| kept.max(anchor))))
                .filter(|due| self.decided().retained.done.get(name).is_none_or(|done| done < due)),
        };
        let mut each: Vec<(Timestamp, IdentifierKey)> = Vec::new();
        if let RetentionAction::Forget(what) = &policy.then {
            let own = self.identifiers().chain(self.stated_identifiers());
            for key in own.filter(|key| what.identifiers.contains(&key.kind)) {
                each.push((ends(self.identifier_since(key, &policy.since, anchor)), *key));
            }
        }
        let due_at = each.iter().map(|(due, _)| *due).chain(fields_at).min()?;
        // `Timestamp::MAX` stands for what is too far off to happen.
        let in_force = |instant: Timestamp| instant < until.unwrap_or(Timestamp::MAX);
        let acts_at = due_at.max(at);
        if !in_force(acts_at) {
            return None;
        }
        let waits_for = self.blockers(acts_at, definitions);
        let mut goes_at = self.restricted_since().is_none().then_some(acts_at);
        while let Some(instant) = goes_at {
            let blockers = self.blockers(instant, definitions);
            if blockers.is_empty() {
                break;
            }
            // All of them have an end, or one has none; another return window may hold by then.
            let ends: Option<Vec<Timestamp>> = blockers.iter().map(Blocker::until).collect();
            goes_at = ends.and_then(|ends| ends.into_iter().max()).filter(|end| *end > instant);
        }
        // What nothing stands against goes when it is due, though time has passed it.
        let goes_at = goes_at.map(|goes| if goes == acts_at { due_at } else { goes });
        if goes_at.is_some_and(|goes| !in_force(goes)) {
            return None;
        }
        let then_at = goes_at.map_or(due_at, |goes| goes.max(at));
        Some(RetentionDue {
            policy: name.clone(),
            then: policy.then.clone(),
            due_at,
            goes_at,
            waits_for,
            identifiers: each.into_iter().filter(|(due, _)| *due <= then_at).map(|(_, key)| key).collect(),
            fields: fields_at.is_some_and(|due| due <= then_at),
        })
    }

    /// What is counted from, of the customer as a whole.
    fn kept_since(&self, since: &RetentionSince, at: Timestamp, definitions: &Definitions) -> Option<Timestamp> {
        let facts = self.facts();
        match since {
            RetentionSince::LastActivity => facts.last_active().or(facts.first_at()).or(facts.last_voided()),
            RetentionSince::LastOrder => facts.orders().standing_newest_first().next().map(|order| order.placed_at),
            RetentionSince::FirstSeen => facts.first_at().or(facts.last_voided()),
            RetentionSince::ConsentEnded(purpose) => self.consent_ended(purpose, at, definitions),
        }
    }

    /// What is counted from, of one identifier.
    fn identifier_since(&self, key: &IdentifierKey, since: &RetentionSince, anchor: Timestamp) -> Timestamp {
        let told = |of: fn(&Seen) -> Timestamp| {
            // Absent in what was written before it was kept.
            self.identifier_seen(key).map(of).filter(|at| *at > Timestamp::MIN)
        };
        match since {
            RetentionSince::FirstSeen => told(|seen| seen.first).min().unwrap_or(anchor),
            RetentionSince::LastActivity => told(|seen| seen.last).max().unwrap_or(anchor),
            RetentionSince::LastOrder | RetentionSince::ConsentEnded(_) => {
                told(|seen| seen.first).min().map_or(anchor, |first| first.max(anchor))
            }
        }
    }

    /// When the last consent for a purpose ended, or will end by itself.
    fn consent_ended(&self, purpose: &Purpose, at: Timestamp, definitions: &Definitions) -> Option<Timestamp> {
        let mut ended: Option<Timestamp> = None;
        for key in self.facts().consents().keys().filter(|key| key.purpose == *purpose) {
            let standing = self.consent(&key, at, definitions);
            let end = match standing.status {
                ConsentStatus::Unknown => continue,
                ConsentStatus::Pending => return None,
                ConsentStatus::Granted => standing.ends_at?,
                ConsentStatus::Expired => standing.ends_at.or(standing.since)?,
                ConsentStatus::Denied | ConsentStatus::Withdrawn => standing.since?,
            };
            ended = ended.max(Some(end));
        }
        ended
    }
}

impl RetentionDue {
    /// What goes sooner comes first, then by name; what goes at no time known comes last.
    fn order(&self) -> (bool, Timestamp, &RetentionName) {
        (self.goes_at.is_none(), self.goes_at.unwrap_or(self.due_at), &self.policy)
    }
}
