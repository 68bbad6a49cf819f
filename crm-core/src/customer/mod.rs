//! The customer: the fold of their facts, the fold of our decisions about them, and what follows from
//! both at an instant.

mod command;
mod consent;
mod credit;
mod decided;
mod derive;
mod earned;
mod facts;
mod family;
mod glance;
mod membership;
mod overrides;
mod past;
mod points;
mod policy;
mod refresh;
mod rewards;
mod segments;
mod shares;
mod snapshot;
mod spells;
mod tiers;
mod together;
mod told;

use serde::{Deserialize, Serialize};

pub use command::{Command, Refusal};
pub use decided::DecidedState;
pub use derive::Standing;
pub use earned::Quote;
pub use facts::{FactState, OrdersTouched};
pub use family::{Group, MergeRefusal, Side};
pub use glance::PointsGlance;
pub use points::PointsStep;
pub use rewards::STAMP_VOUCHERS_MAX;
pub use shares::{ShareBack, ShareDue};
pub use snapshot::{Header, STATE_SHAPE, SnapshotError};
pub use spells::Spells;
pub use together::{RewardSide, pool_deeds, spent_of_pool};

use self::refresh::Refresh;
use crate::consent::{Barred, Purpose};
use crate::definitions::Definitions;
use crate::event::{Decision, Deed, EventBody, Fact};
use crate::expression::Inputs;
use crate::flat::FlatMap;
use crate::id::{CustomerId, EventId};
use crate::identity::{Aside, Doubt, HeldIdentifier, IdentifierKey, PersonSummary, Seen};
use crate::lifecycle::{Stage, StageMove};
use crate::loyalty::{PointsBook, Posting, ProgramId};
use crate::relationship::TieSide;
use crate::score::{Score, ScoreName, Scores};
use crate::text::Tag;
use crate::time::Timestamp;
use crate::timer::{Alarm, AlarmKind};
use crate::value::Rfm;
use crate::workflow::{PluginKept, PluginName};
use family::Kinship;
use segments::Watch;

/// A customer as of an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    id: CustomerId,
    // Both apart, so that a customer is moved about at little cost.
    facts: Box<FactState>,
    decided: Box<DecidedState>,
    standing: Standing,
    /// Facts from the future, by the time at which they happen.
    waiting: Vec<(Timestamp, EventId)>,
    kinship: Kinship,
    watch: Watch,
    /// The newest scores, which follow from the rows that stores keep of them, and not from events.
    scores: Option<Box<Scores>>,
    /// Of how many scores that rules ask about the rows were read: of fewer than there are now, and they are read again.
    scores_mark: u32,
    /// When plugins were asked for scores that a policy makes anew.
    refreshes: Option<Box<FlatMap<PluginName, Refresh>>>,
    spells: Spells,
    // These two are written before the state, in a form that never changes.
    #[serde(skip)]
    clock: Option<Timestamp>,
    #[serde(skip)]
    alarm: Option<Alarm>,
}

impl Customer {
    /// A customer about whom nothing is known.
    #[must_use]
    pub fn new(id: CustomerId) -> Self {
        Customer {
            id,
            facts: Box::default(),
            decided: Box::default(),
            standing: Standing::default(),
            waiting: Vec::new(),
            kinship: Kinship::Alone,
            watch: Watch::default(),
            scores: None,
            scores_mark: 0,
            refreshes: None,
            spells: Spells::default(),
            clock: None,
            alarm: None,
        }
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> CustomerId {
        self.id
    }

    /// The fold of the facts.
    #[must_use]
    pub const fn facts(&self) -> &FactState {
        &self.facts
    }

    /// Stage, segments and tiers.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The stage in the life cycle; none if every fact was voided.
    #[must_use]
    pub const fn stage(&self) -> Option<Stage> {
        self.facts.lifecycle().stage()
    }

    /// Up to which instant time has passed for this customer.
    #[must_use]
    pub const fn clock(&self) -> Option<Timestamp> {
        self.clock
    }

    /// The alarm that a store was asked to keep.
    #[must_use]
    pub const fn alarm(&self) -> Option<Alarm> {
        self.alarm
    }

    /// The points books, by programme.
    pub fn books(&self) -> impl Iterator<Item = (&ProgramId, &PointsBook)> {
        self.decided.books.iter()
    }

    /// The points book of one programme.
    #[must_use]
    pub fn book(&self, program: &ProgramId) -> Option<&PointsBook> {
        self.decided.books.get(program)
    }

    /// Whether the shop or the CRM put a tag on.
    #[must_use]
    pub fn has_tag(&self, tag: &Tag) -> bool {
        self.has_tag_named(tag.as_str())
    }

    pub(crate) fn has_tag_named(&self, tag: &str) -> bool {
        self.facts.has_tag(tag) || self.decided.tags.contains(tag)
    }

    /// All tags, those of the shop first.
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.facts.tags().chain(self.decided.tags.iter().filter(|tag| !self.facts.has_tag(tag.as_str())))
    }

    /// What the customer is known by: what the source says, and what they came with. What they merely
    /// stated is not among it.
    pub fn identifiers(&self) -> impl Iterator<Item = &IdentifierKey> {
        let attached = self.decided.identifiers.known();
        self.facts.identifiers().chain(attached.filter(|key| !self.facts.has_identifier(key)))
    }

    /// The customer's ties that last, from whichever side they were told: by the other customer's id, by
    /// kind and by direction. Of somebody who was merged each member has their own, and ties between them are none.
    pub fn ties(&self) -> impl Iterator<Item = TieSide<'_>> {
        self.facts.ties().lasting().filter(|tie| !self.is(tie.other))
    }

    /// The ties that ended last, the oldest end first, at most [`PAST_TIES_MAX`](crate::relationship::PAST_TIES_MAX).
    pub fn past_ties(&self) -> impl Iterator<Item = TieSide<'_>> {
        self.facts.ties().past()
    }

    /// What the customer merely stated, and nobody answers for: it leads to nobody. At most
    /// [`STATED_MAX`](crate::identity::STATED_MAX) from the source, and as many that they came with.
    pub fn stated_identifiers(&self) -> impl Iterator<Item = &IdentifierKey> {
        let (told, attached) = (self.facts.held(), &self.decided.identifiers);
        let told_only = told.stated().filter(|key| !attached.resolves(key));
        told_only.chain(attached.stated().filter(|key| told.get(key).is_none()))
    }

    /// What the source tells of an identifier, and what is known from its being attached.
    pub fn identifier_seen(&self, identifier: &IdentifierKey) -> impl Iterator<Item = &Seen> {
        self.facts.seen(identifier).into_iter().chain(self.decided.identifiers.get(identifier))
    }

    pub(crate) const fn decided(&self) -> &DecidedState {
        &self.decided
    }

    /// Whether it counts that a member was told to be known by an identifier at an instant: it may have been
    /// forgotten, or corrected, since.
    #[must_use]
    pub fn counts(&self, member: CustomerId, key: &IdentifierKey, at: Timestamp) -> bool {
        counts(&self.kinship, &self.decided, member, key, at)
    }

    /// What somebody was known by who was erased, and whom they were tied to, is in no state.
    fn forget_if_erased(&mut self) {
        if self.decided.erased {
            self.facts.forget_person();
        }
    }

    /// Who may be the same person, and whether it was decided that they are not. Ids are as they were then:
    /// somebody may have been merged since. With an erasure it is decided that they are not.
    pub fn doubts(&self) -> impl Iterator<Item = (CustomerId, Doubt)> + '_ {
        self.decided.doubts.others().filter(|(other, _)| !self.is(*other))
    }

    /// What is thought of one who may be the same person.
    #[must_use]
    pub fn doubt(&self, other: CustomerId) -> Option<Doubt> {
        self.decided.doubts.get(other)
    }

    /// Identifiers that came with facts and were not used, and why; the last
    /// [`DOUBTS_MAX`](crate::identity::DOUBTS_MAX).
    pub fn set_aside(&self) -> impl Iterator<Item = (&IdentifierKey, &Aside)> {
        self.decided.doubts.aside()
    }

    /// What matters for who is who.
    #[must_use]
    pub fn summary(&self) -> PersonSummary {
        let held = |key: &IdentifierKey| {
            let seen = || self.identifier_seen(key);
            let known = || seen().filter(|seen| !seen.assurance.is_stated());
            HeldIdentifier {
                key: *key,
                scope: seen().find_map(|seen| seen.scope),
                since: known().map(|seen| seen.first).min().unwrap_or(Timestamp::MIN),
            }
        };
        let not = self.doubts().filter(|(_, doubt)| doubt.rejected).map(|(other, _)| other);
        PersonSummary {
            id: self.id,
            identifiers: self.identifiers().map(held).collect(),
            members: self.members().collect(),
            not: not.collect(),
        }
    }

    /// How many actions of each kind plugins had carried out for this customer.
    pub fn actions(&self) -> impl Iterator<Item = (&str, u64)> {
        self.decided.actions.iter().map(|(kind, count)| (kind.as_str(), *count))
    }

    /// What a plugin asked to be given again; empty at first.
    #[must_use]
    pub fn memory(&self, plugin: &PluginName) -> &[u8] {
        self.plugin(plugin).map_or(&[], PluginKept::memory)
    }

    /// What is kept of a plugin that did something for this customer.
    #[must_use]
    pub fn plugin(&self, plugin: &PluginName) -> Option<&PluginKept> {
        self.decided.plugins.get(plugin)
    }

    /// The newest score of a name, as of the last time that a plugin gave one, if a rule asks about it and it may be
    /// used: of whom the processing is restricted, or who objects to profiling, none is; nor is one that a
    /// [purpose bars](Self::bars_score), as of the last time anything happened or was due.
    #[must_use]
    pub fn score(&self, name: &ScoreName) -> Option<&Score> {
        let scores = self.scores.as_ref()?;
        let score = scores.get(name)?;
        (self.unscored().is_none() && !scores.barred().contains(name)).then_some(score)
    }

    /// The same as of an instant, by the definitions in force then.
    pub(crate) fn score_at(&self, name: &ScoreName, at: Timestamp, definitions: &Definitions) -> Option<&Score> {
        let score = self.scores.as_ref()?.get(name)?;
        self.bars_score(name, &score.purposes, at, definitions).is_none().then_some(score)
    }

    /// Why a score that was made for some purposes is not used at an instant; none if it is. What counts is what it was
    /// made for, and what its plugin is defined to be for by now: whoever objects to either, or to profiling, is not
    /// judged by it (GDPR, Art. 21), and nobody is by what was made for a purpose that the policy in force does not have.
    #[must_use]
    pub fn bars_score<'p>(
        &self,
        name: &ScoreName,
        made_for: impl IntoIterator<Item = &'p Purpose>,
        at: Timestamp,
        definitions: &'p Definitions,
    ) -> Option<Barred> {
        let defined = definitions.grants(&name.plugin, at).and_then(|grants| grants.purpose.as_ref());
        let purposes = made_for.into_iter().chain(defined);
        let by_purpose = || self.may_process(purposes, false, at, definitions).err();
        self.unscored().map(Barred::from).or_else(by_purpose)
    }

    /// Notes which scores a purpose bars at an instant, so that rules, and stores that are asked them, go by it.
    fn note_barred_scores(&mut self, at: Timestamp, definitions: &Definitions) {
        let Some(scores) = self.scores.as_deref() else { return };
        let is_barred = |(name, score): &(&ScoreName, &Score)| {
            self.unscored().is_none() && self.bars_score(name, &score.purposes, at, definitions).is_some()
        };
        let barred: Vec<ScoreName> = scores.iter().filter(is_barred).map(|(name, _)| name.clone()).collect();
        if barred.as_slice() == scores.barred() {
            return;
        }
        let moved = self.scores.as_mut().map(|scores| scores.note_barred(barred)).unwrap_or_default();
        moved.iter().for_each(|name| self.watch.touch(Inputs::score(name)));
    }

    /// The newest of each of the customer's scores that rules ask about, by name, whether or not it may be used.
    pub fn scores(&self) -> impl Iterator<Item = (&ScoreName, &Score)> {
        self.scores.iter().flat_map(|scores| scores.iter())
    }

    /// How many decisions were made about this customer.
    #[must_use]
    pub const fn decisions(&self) -> u64 {
        self.decided.count
    }

    /// Recency, frequency and monetary value at an instant; none without an order that stands.
    #[must_use]
    pub fn rfm(&self, at: Timestamp, definitions: &Definitions) -> Option<Rfm> {
        use crate::attribute::Attribute;
        let currency = definitions.currency(at);
        Some(Rfm {
            recency_days: Attribute::RecencyDays.of(self, at, currency)?,
            frequency: self.facts.orders().standing(),
            monetary_minor: Attribute::Spend.of(self, at, currency)?,
        })
    }

    // ---- building it up; used by the engine's plan ----

    /// Keeps a fact from the future for later.
    pub fn wait_for(&mut self, id: EventId, at: Timestamp) {
        if let Err(place) = self.waiting.binary_search(&(at, id)) {
            self.waiting.insert(place, (at, id));
        }
        self.note_told(id);
    }

    /// Whether a fact from the future is kept for later.
    #[must_use]
    pub fn waits_for(&self, id: EventId, at: Timestamp) -> bool {
        self.waiting.binary_search(&(at, id)).is_ok()
    }

    /// Facts from the future, by the time at which they happen.
    pub fn waiting(&self) -> impl Iterator<Item = (Timestamp, EventId)> + '_ {
        self.waiting.iter().copied()
    }

    /// A fact from the future has come.
    pub fn stop_waiting(&mut self, id: EventId, at: Timestamp) {
        if let Ok(place) = self.waiting.binary_search(&(at, id)) {
            self.waiting.remove(place);
        }
    }

    /// Whether a fact from the future is due at or before an instant.
    #[must_use]
    pub fn fact_due(&self, until: Timestamp) -> Option<(Timestamp, EventId)> {
        self.waiting.first().copied().filter(|(at, _)| *at <= until)
    }

    /// Lets time pass up to an instant, for the life cycle too. Never goes back.
    pub fn elapse(&mut self, until: Timestamp, moves: &mut Vec<StageMove>) {
        self.facts.elapse(until, moves);
        self.clock = self.clock.max(Some(until));
    }

    /// Folds a fact that [`FactState::takes`] accepts and that is not from the future. `member` is the one
    /// whom it came through: the customer's own id, unless they were merged.
    pub fn fold_fact(
        &mut self,
        member: CustomerId,
        id: EventId,
        at: Timestamp,
        fact: &Fact,
        definitions: &Definitions,
        moves: &mut Vec<StageMove>,
    ) -> OrdersTouched {
        self.note_fact(member, id, fact);
        if self.clock.is_some_and(|clock| at < clock) {
            self.forget_spells();
        }
        self.watch.touch(if self.facts.first_at().is_none() { Inputs::ALL } else { fact.touches() });
        let told = |member: CustomerId, key: &IdentifierKey, at: Timestamp| {
            counts(&self.kinship, &self.decided, member, key, at)
        };
        let touched = self.facts.fold_told(member, id, at, fact, definitions, moves, told);
        self.clock = self.clock.max(Some(at));
        // A fact that happened before the clock may have opened a window that has ended since.
        if let Some(clock) = self.clock {
            self.facts.elapse(clock, moves);
        }
        self.forget_if_erased();
        touched
    }

    /// Folds all facts anew, up to the customer's clock or `until`, whichever is later; what lies in the
    /// future waits.
    pub fn refold<'a>(
        &mut self,
        facts: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a Fact)> + Clone,
        until: Timestamp,
        definitions: &Definitions,
    ) {
        let clock = self.clock.map_or(until, |clock| clock.max(until));
        // What waits goes on waiting until it is its turn, even if it is due at this very instant.
        let waiting = std::mem::take(&mut self.waiting);
        let waits = |id: EventId, at: Timestamp| at > clock || waiting.binary_search(&(at, id)).is_ok();
        self.note_facts(facts.clone());
        self.watch.touch(Inputs::ALL);
        self.forget_spells();
        let told = |member: CustomerId, key: &IdentifierKey, at: Timestamp| {
            counts(&self.kinship, &self.decided, member, key, at)
        };
        let happened = facts.clone().filter(|(_, id, at, _)| !waits(*id, *at));
        *self.facts = FactState::refold_told(happened, clock, definitions, told);
        self.waiting = facts.filter(|(_, id, at, _)| waits(*id, *at)).map(|(_, id, at, _)| (at, id)).collect();
        self.waiting.sort_unstable();
        self.waiting.dedup();
        self.clock = Some(clock);
        self.forget_if_erased();
    }

    /// Folds a whole history from nothing: facts in any order, decisions in the order given, at an
    /// instant. Stage, segments and tiers follow without changes being told. Each event comes with whose
    /// history it is in: for somebody who was merged, the histories of all [members](Group), one after
    /// another. Scores are no events: [`with_scores`](Self::with_scores) gives them.
    #[must_use]
    pub fn replay<'a>(
        id: CustomerId,
        events: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a EventBody)> + Clone,
        until: Timestamp,
        definitions: &Definitions,
    ) -> Self {
        let mut customer = Customer::new(id);
        customer.settle_kinship(Side::replay(id, events.clone()));
        let facts = events.clone().filter_map(|(member, id, at, body)| match body {
            EventBody::Fact(fact) => Some((member, id, at, fact)),
            EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
        });
        customer.refold(facts, until, definitions);
        customer.recall(events, until, definitions);
        customer.scores_mark = definitions.scores_mark();
        customer.forget_refreshes(definitions);
        customer.stand(until, definitions);
        customer
    }

    /// Takes scores that were given, each unless there is a newer one of its name, and answers whether any counts. What
    /// moves by them is still to be [derived](Self::derive).
    pub fn take_scores(&mut self, scores: impl IntoIterator<Item = (ScoreName, Score)>) -> bool {
        let mut taken = false;
        for (name, score) in scores {
            if self.scores.get_or_insert_default().take(&name, score) {
                self.watch.touch(Inputs::score(&name));
                taken = true;
            }
        }
        taken
    }

    /// Whether the state has all scores that rules ask about by now. Where it has not, [`learn_scores`](Self::learn_scores)
    /// is to be called with the newest of each.
    #[must_use]
    pub fn knows_scores(&self, definitions: &Definitions) -> bool {
        self.scores_mark >= definitions.scores_mark()
    }

    /// Takes the newest of each score, of those that rules ask about. What moves by them is still to be
    /// [derived](Self::derive).
    pub fn learn_scores(
        &mut self,
        scores: impl IntoIterator<Item = (ScoreName, Score)>,
        definitions: &Definitions,
    ) -> bool {
        self.scores_mark = definitions.scores_mark();
        let asked = definitions.asked_scores();
        self.take_scores(scores.into_iter().filter(|(name, _)| asked.contains(name)))
    }

    /// Notes of a customer of whom nothing was kept so far that there are no scores to be read.
    pub fn has_no_scores(&mut self, definitions: &Definitions) {
        self.scores_mark = definitions.scores_mark();
    }

    /// The same for a customer who was [replayed](Self::replay): the standing follows without changes being told.
    #[must_use]
    pub fn with_scores(
        mut self,
        scores: impl IntoIterator<Item = (ScoreName, Score)>,
        definitions: &Definitions,
    ) -> Self {
        if self.learn_scores(scores, definitions) {
            self.stand(self.clock.unwrap_or(Timestamp::MIN), definitions);
        }
        self
    }

    /// The earliest thing that will be due, whether or not it is in the past.
    #[must_use]
    pub fn next_alarm(&self, definitions: &Definitions) -> Option<Alarm> {
        let retention = self.next_retention(self.clock?, definitions);
        let retention = retention.filter(|next| next.due_at < Timestamp::MAX);
        let referral = self.referral_to_reward().map(|(_, due_at)| Alarm { due_at, kind: AlarmKind::Referral });
        let score = self.next_refresh(definitions).filter(|due_at| *due_at < Timestamp::MAX);
        let score = score.map(|due_at| Alarm { due_at, kind: AlarmKind::Score });
        let share = self.next_share().filter(|due| due.at < Timestamp::MAX);
        let share = share.map(|due| Alarm { due_at: due.at, kind: AlarmKind::PoolShare });
        let others = [retention, referral, score, share].into_iter().flatten();
        self.next_but_retention(definitions).into_iter().chain(others).min()
    }

    /// The same without what is done when time is let pass on purpose, and not when something is recorded: what retention
    /// has to do, rewards for referrals, shares of pools, and scores.
    #[must_use]
    pub fn next_but_retention(&self, definitions: &Definitions) -> Option<Alarm> {
        let alarm = |kind| move |due_at| Alarm { due_at, kind };
        let clock = self.clock?;
        let waiting = self.waiting.first().map(|(at, _)| *at).map(alarm(AlarmKind::FactDue));
        let lifecycle = self.facts.lifecycle().deadline().map(alarm(AlarmKind::Lifecycle));
        let points = self.next_points(definitions).map(alarm(AlarmKind::Loyalty));
        let credit = self.next_credit_due().map(alarm(AlarmKind::Loyalty));
        let tiers = self.standing.tier_watch.next().map(alarm(AlarmKind::Loyalty));
        let rewards = self.next_of_rewards().map(alarm(AlarmKind::Loyalty));
        let segment = self.watch.next().map(alarm(AlarmKind::Segment));
        let consent = self.facts.consents().next_change(clock).map(alarm(AlarmKind::Consent));
        // `Timestamp::MAX` stands for what is too far off to happen.
        [waiting, lifecycle, points, credit, tiers, rewards, segment, consent]
            .into_iter()
            .flatten()
            .min()
            .filter(|next| next.due_at < Timestamp::MAX)
    }

    /// Notes which alarm the store is asked to keep.
    pub fn arm(&mut self, alarm: Option<Alarm>) {
        self.alarm = alarm;
    }

    /// What a posting of this kind is as a decision of a rule.
    #[must_use]
    pub const fn rule_decision(posting: Posting) -> Decision {
        Decision { by: crate::workflow::Actor::Rule, deed: Deed::PointsPosted(posting) }
    }
}

/// Whether it counts that a member was told to be known by an identifier at an instant.
fn counts(kinship: &Kinship, alone: &DecidedState, member: CustomerId, key: &IdentifierKey, at: Timestamp) -> bool {
    let decided = kinship.decided_of(member).unwrap_or(alone);
    decided.retained.forgotten_until(key).is_none_or(|until| at > until)
}
