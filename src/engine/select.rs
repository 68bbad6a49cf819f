//! Choosing customers by a predicate. What the store keeps in columns and sets it is asked itself; what
//! they can't say is asked as a superset, and finished here.

use crm_core::expression::{Predicate, Subject};
use crm_core::segment::SegmentName;
use crm_core::{Column, CustomerId, Definitions, Timestamp};
use crm_storage::{Parts, Selection};

use super::push::Pushed;
use super::score::newest;
use super::{Crm, PAGE};
use crate::error::Error;

/// A page of the customers that a predicate means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// In the order of their ids.
    pub customers: Vec<CustomerId>,
    /// After whom to go on; none at the end.
    pub next: Option<CustomerId>,
    /// New segments that the predicate asks about and that are not [filled](Crm::fill) yet: of those who would be in
    /// them, only some are known to be.
    pub incomplete: Vec<SegmentName>,
}

impl Crm {
    /// The customers for whom a predicate holds now, in the order of their ids, about `limit` of them after
    /// one. They are judged as of the last time anything happened to them or was due: call
    /// [`advance`](Self::advance) first where time has passed.
    ///
    /// Costs a scan of the store's columns, in the store; only averages and windows of days are finished by
    /// reading the customers who come into question. Who was in a segment before is in the states of customers if a
    /// segment in force asks for it; otherwise their histories are read too.
    ///
    /// # Errors
    ///
    /// `Predicate` if it exceeds a limit, `Storage` if the store failed.
    pub async fn select(
        &self,
        predicate: &Predicate,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Selected, Error> {
        predicate.check()?;
        let (now, definitions) = (self.now(), self.definitions_now().await?);
        let Pushed { selection, exact } = Pushed::of(predicate, now, &definitions);
        let incomplete = incomplete(predicate, now, &definitions);
        let mut selected = Selected { customers: Vec::new(), next: after, incomplete };
        while selected.customers.len() < limit.max(1) {
            let missing = limit.max(1) - selected.customers.len();
            let page = if exact { missing.min(PAGE) } else { PAGE };
            let mut ids = self.store().select(&self.tenant, &selection, selected.next, page).await?;
            let mut last = ids.last().copied();
            let mut more = ids.len() == page;
            if !exact {
                ids = self.finish(predicate, &ids, now).await?;
                if ids.len() > missing {
                    ids.truncate(missing);
                    (last, more) = (ids.last().copied(), true);
                }
            }
            selected.customers.append(&mut ids);
            selected.next = last.filter(|_| more);
            if !more {
                break;
            }
        }
        Ok(selected)
    }

    /// How many customers a predicate holds for now, as in [`select`](Self::select). Of a new segment that is not
    /// filled yet, which [`to_fill`](Self::to_fill) tells, only those are counted who are known to be in it.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn count(&self, predicate: &Predicate) -> Result<u64, Error> {
        predicate.check()?;
        let Pushed { selection, exact } = Pushed::of(predicate, self.now(), &*self.definitions_now().await?);
        if exact {
            return Ok(self.store().count(&self.tenant, &selection).await?);
        }
        let mut count = 0;
        let mut after = None;
        loop {
            let page = self.select(predicate, after, PAGE).await?;
            count += page.customers.len() as u64;
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Those of some customers for whom the predicate really holds.
    async fn finish(
        &self,
        predicate: &Predicate,
        ids: &[CustomerId],
        now: Timestamp,
    ) -> Result<Vec<CustomerId>, Error> {
        let loaded = self.store().load(&self.tenant, ids).await?;
        let definitions = self.definitions_at(loaded.definitions).await?;
        let mut held = Vec::new();
        // Scores that no definition asks about are not in the states.
        let asks_others = predicate.scores().into_iter().any(|score| !definitions.asked_scores().contains(score));
        let details = match asks_others {
            true => self.store().details(&self.tenant, ids, Parts::SCORES).await?,
            false => vec![None; ids.len()],
        };
        for (row, details) in loaded.rows.into_iter().zip(details) {
            let Some(row) = row else { continue };
            let mut customer = self.decode(&row, &definitions).await?.customer;
            if let Some(details) = details {
                customer.take_scores(newest(&details.scores));
            }
            let spells = self.past_of(predicate, &customer, now, &definitions).await?;
            let subject = Subject::new(&customer, now, &definitions);
            if predicate.holds(&spells.as_ref().map_or(subject, |spells| subject.with_spells(spells))) {
                held.push(customer.id());
            }
        }
        Ok(held)
    }
}

/// New segments that a rule asks about and that not everybody was asked about.
fn incomplete(rule: &Predicate, now: Timestamp, definitions: &Definitions) -> Vec<SegmentName> {
    let asked = rule.segments();
    if asked.is_empty() {
        return Vec::new();
    }
    let new = definitions.unfilled(now).into_iter().flatten().filter(|one| !one.changed && one.rule.is_some());
    new.map(|one| one.segment).filter(|name| asked.contains(&name)).collect()
}

/// Whoever is a customer. All customers have a number of orders; rows that are kept like customers and are none,
/// such as the audit log, have no numbers.
pub(super) fn customers() -> Selection {
    Selection::Not(Box::new(Selection::Missing(Column::Orders)))
}
