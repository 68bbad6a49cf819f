//! Looking things up: what workflows want to know that is in no customer. A plan does no I/O, so a workflow that wants
//! to know something stops the plan; the engine finds it out and plans again, and the desk keeps what was found out for
//! as long as the operation lasts.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use crm_core::privacy::ViewName;
use crm_core::profile::{Card, Field};
use crm_core::workflow::{FieldName, FieldValue, LookedUp, LookupKeyHash, PluginName, SourceName};
use crm_core::{CustomerId, SmolStr, TenantId};

/// How often one plan is made anew because a workflow wants to know more.
pub const LOOKUP_ROUNDS_MAX: u32 = 8;

/// Something of the shop's that workflows may look things up in, such as prices or stock.
///
/// What it answers is recorded with the decisions that rest on it, in the open: it has nothing personal to say. It is
/// asked while something is recorded, so it should answer soon, from memory where it can.
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

/// What a plan waits for.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    Values { source: SourceName, field: FieldName, keys: Vec<(LookupKeyHash, SmolStr)> },
    Card { customer: CustomerId, members: Vec<CustomerId>, view: ViewName, fields: BTreeSet<Field>, plugin: PluginName },
}

/// What is at hand to answer with.
pub(crate) enum Answer<T> {
    Here(T),
    /// It is wanted now.
    Wanted,
    Failed,
    /// It was asked for too often.
    TooOften,
}

/// What one operation found out for workflows.
#[derive(Debug, Default)]
pub(crate) struct Desk(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    values: HashMap<(SourceName, FieldName, LookupKeyHash), Option<FieldValue>>,
    cards: HashMap<(CustomerId, PluginName, ViewName), Option<Card>>,
    failed: BTreeSet<SourceName>,
    wanted: Option<Wanted>,
    rounds: u32,
}

impl Desk {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a plan stopped because it waits for something.
    pub(crate) fn is_wanting(&self) -> bool {
        self.found().wanted.is_some()
    }

    /// What a plan waits for, once.
    pub(crate) fn take_wanted(&self) -> Option<Wanted> {
        self.found().wanted.take()
    }

    pub(crate) fn values(
        &self,
        source: &SourceName,
        field: &FieldName,
        keys: &[(LookupKeyHash, SmolStr)],
    ) -> Answer<Vec<Option<FieldValue>>> {
        let mut found = self.found();
        if found.failed.contains(source) {
            return Answer::Failed;
        }
        let at = |hash: LookupKeyHash| (source.clone(), field.clone(), hash);
        let values: Option<Vec<_>> = keys.iter().map(|(hash, _)| found.values.get(&at(*hash)).cloned()).collect();
        match values {
            Some(values) => Answer::Here(values),
            None => {
                let missing = keys.iter().filter(|(hash, _)| !found.values.contains_key(&at(*hash))).cloned().collect();
                found.want(Wanted::Values { source: source.clone(), field: field.clone(), keys: missing })
            }
        }
    }

    pub(crate) fn card(
        &self,
        customer: CustomerId,
        plugin: &PluginName,
        view: &ViewName,
        wanted: impl FnOnce() -> Wanted,
    ) -> Answer<Card> {
        let mut found = self.found();
        match found.cards.get(&(customer, plugin.clone(), view.clone())) {
            Some(Some(card)) => Answer::Here(card.clone()),
            Some(None) => Answer::Failed,
            None => {
                let wanted = wanted();
                found.want(wanted)
            }
        }
    }

    /// Puts down what a source answered; none if it failed.
    pub(crate) fn put_values(
        &self,
        source: &SourceName,
        field: &FieldName,
        values: Option<Vec<(LookupKeyHash, Option<FieldValue>)>>,
    ) {
        let mut found = self.found();
        match values {
            Some(values) => found
                .values
                .extend(values.into_iter().map(|(hash, value)| ((source.clone(), field.clone(), hash), value))),
            None => drop(found.failed.insert(source.clone())),
        }
    }

    /// Puts down a card, as a plugin may see it; none if it cannot be opened.
    pub(crate) fn put_card(&self, customer: CustomerId, plugin: PluginName, view: ViewName, card: Option<Card>) {
        self.found().cards.insert((customer, plugin, view), card);
    }
}

impl Found {
    fn want<T>(&mut self, wanted: Wanted) -> Answer<T> {
        if self.rounds == LOOKUP_ROUNDS_MAX {
            return Answer::TooOften;
        }
        self.rounds += 1;
        self.wanted = Some(wanted);
        Answer::Wanted
    }
}
