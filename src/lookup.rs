//! Looking things up: what workflows want to know that is in no customer. A plan does no I/O, so a workflow that wants
//! to know something stops the plan; the engine finds it out and plans again, and the desk keeps what was found out for
//! as long as that plan is being made.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use crm_core::privacy::ViewName;
use crm_core::profile::{Card, Field};
use crm_core::workflow::{FieldName, FieldValue, LookedUp, LookupKeyHash, NotGranted, PluginName, SourceName};
use crm_core::{CustomerId, SmolStr, TenantId};

/// How often one plan is made anew because a workflow wants to know more.
pub const LOOKUP_ROUNDS_MAX: u32 = 8;

/// Something of the shop's that workflows may look things up in, such as prices or stock.
///
/// What it answers is recorded with the decisions that rest on it, in the open: it has nothing personal to say. It is
/// asked while something is recorded, so it should answer soon, from memory where it can. Inside a transaction of the
/// shop's it is asked while that holds its locks, so there it does nothing that waits for them. On SQLite the thread of
/// the transaction waits for nobody: what is not answered when it is first polled is [`LookupFault::NotAtOnce`].
#[async_trait]
pub trait LookupSource: std::fmt::Debug + Send + Sync {
    /// A field of the things with these keys, in their order; none where there is no such thing. Of texts the first
    /// [4,096 bytes](crm_core::workflow::FIELD_TEXT_MAX) count.
    ///
    /// # Errors
    ///
    /// `SourceFailed` if it cannot be told now. That is recorded as a fault of the call, and what the workflow reacted
    /// to stays.
    async fn fetch(
        &self,
        tenant: &TenantId,
        field: &FieldName,
        keys: &[SmolStr],
    ) -> Result<Vec<Option<FieldValue>>, SourceFailed>;
}

/// A source cannot answer now.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("the source cannot answer now")]
pub struct SourceFailed;

/// What was looked up in the past for one call: a replay knows nothing else of what sources said.
#[derive(Debug, Default)]
pub(crate) struct LookupRecord<'a>(Vec<&'a LookedUp>);

impl<'a> LookupRecord<'a> {
    /// Of what was looked up; where that differs, what stands first counts.
    pub(crate) fn new(looked_up: Vec<&'a LookedUp>) -> Self {
        LookupRecord(looked_up)
    }

    /// A field of the things with these keys; none if there is no record of one of them.
    pub(crate) fn values(
        &self,
        source: &SourceName,
        field: &FieldName,
        keys: &[(LookupKeyHash, SmolStr)],
    ) -> Option<Vec<Option<FieldValue>>> {
        let of_field = || self.0.iter().filter(|one| one.source == *source && one.field == *field);
        let value = |hash: &LookupKeyHash| {
            of_field().find_map(|one| one.values.get(one.keys.iter().position(|key| key == hash)?))
        };
        keys.iter().map(|(hash, _)| value(hash).cloned()).collect()
    }
}

/// Why a workflow is not told what it looks up. Given back it is a fault of the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupFault {
    /// It is being found out. That is no fault: the workflow is to give this back, and is called again with it at hand.
    #[error("a look-up that is under way")]
    UnderWay,
    /// Too many keys, or one that is too long.
    #[error("a look-up of too many keys, or of one too long")]
    Keys,
    /// The source is not granted.
    #[error("not granted: {}", NotGranted::LookUp)]
    NotGranted,
    /// There is no such source.
    #[error("a look-up in a source that is not there")]
    NoSource,
    /// The source failed.
    #[error("the source {source_name} failed")]
    Failed {
        /// Which.
        source_name: SourceName,
    },
    /// The source would have had to be waited for, inside a transaction of the shop's that waits for nobody.
    #[error("the source {source_name} does not answer at once, inside a transaction that waits for nobody")]
    NotAtOnce {
        /// Which.
        source_name: SourceName,
    },
    /// A [backtest](crate::Crm::backtest_workflow) has no record of it.
    #[error("a look-up of which there is no record")]
    Unrecorded,
    /// The card cannot be opened.
    #[error("the card cannot be opened")]
    Sealed,
    /// The plan was made anew as often as it is for look-ups.
    #[error("more than {LOOKUP_ROUNDS_MAX} rounds of look-ups")]
    TooOften,
}

/// What a plan waits for.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    Values { source: SourceName, field: FieldName, keys: Vec<(LookupKeyHash, SmolStr)> },
    Card { customer: CustomerId, members: Vec<CustomerId>, view: ViewName, fields: BTreeSet<Field>, plugin: PluginName },
}

/// What is at hand to answer with.
pub(crate) enum Answer<T> {
    Here(T),
    /// It is to be found out.
    Wanted(Box<Wanted>),
    Not(LookupFault),
}

/// What was found out for one plan.
#[derive(Debug)]
pub(crate) struct Desk {
    values: BTreeMap<(SourceName, FieldName, LookupKeyHash), Option<FieldValue>>,
    /// By who sees them, and by which view; none that cannot be opened.
    cards: BTreeMap<(PluginName, ViewName), Option<Card>>,
    unanswered: BTreeMap<SourceName, LookupFault>,
    rounds: u32,
}

/// Where nothing was found out so far.
pub(crate) static EMPTY_DESK: Desk = Desk::new();

impl Desk {
    pub(crate) const fn new() -> Self {
        Desk { values: BTreeMap::new(), cards: BTreeMap::new(), unanswered: BTreeMap::new(), rounds: 0 }
    }

    pub(crate) fn values(
        &self,
        source: &SourceName,
        field: &FieldName,
        keys: &[(LookupKeyHash, SmolStr)],
    ) -> Answer<Vec<Option<FieldValue>>> {
        if let Some(why) = self.unanswered.get(source) {
            return Answer::Not(why.clone());
        }
        let there = |hash: LookupKeyHash| self.values.get(&(source.clone(), field.clone(), hash));
        let values: Option<Vec<_>> = keys.iter().map(|(hash, _)| there(*hash).cloned()).collect();
        match values {
            Some(values) => Answer::Here(values),
            None => self.want(|| {
                let keys = keys.iter().filter(|(hash, _)| there(*hash).is_none()).cloned().collect();
                Wanted::Values { source: source.clone(), field: field.clone(), keys }
            }),
        }
    }

    pub(crate) fn card(&self, plugin: &PluginName, view: &ViewName, wanted: impl FnOnce() -> Wanted) -> Answer<Card> {
        match self.cards.get(&(plugin.clone(), view.clone())) {
            Some(Some(card)) => Answer::Here(card.clone()),
            Some(None) => Answer::Not(LookupFault::Sealed),
            None => self.want(wanted),
        }
    }

    fn want<T>(&self, wanted: impl FnOnce() -> Wanted) -> Answer<T> {
        if self.rounds >= LOOKUP_ROUNDS_MAX {
            return Answer::Not(LookupFault::TooOften);
        }
        Answer::Wanted(Box::new(wanted()))
    }

    /// Puts down what a source answered, or why it did not.
    pub(crate) fn put_values(
        &mut self,
        source: &SourceName,
        field: &FieldName,
        values: Result<Vec<(LookupKeyHash, Option<FieldValue>)>, LookupFault>,
    ) {
        self.rounds += 1;
        match values {
            Ok(values) => self
                .values
                .extend(values.into_iter().map(|(hash, value)| ((source.clone(), field.clone(), hash), value))),
            Err(why) => drop(self.unanswered.insert(source.clone(), why)),
        }
    }

    /// Puts down a card, as a plugin may see it; none if it cannot be opened.
    pub(crate) fn put_card(&mut self, plugin: PluginName, view: ViewName, card: Option<Card>) {
        self.rounds += 1;
        self.cards.insert((plugin, view), card);
    }
}
