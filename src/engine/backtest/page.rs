//! Reading lives, a page of customers at a time.

use crm_core::change::Change;
use crm_core::event::JsonProblem;
use crm_core::{CustomerId, Definitions};
use crm_storage::{Entries, Entry, Parts, Selection};

use super::super::{Crm, PAGE as ROWS, decode_event};
use super::PAGE;
use super::cost::ReplayCost;
use super::life::{Life, Told, kin};
use super::replay::Known;
use crate::error::Error;

/// The lives of a page of customers.
pub(super) struct Lives {
    pub(super) lives: Vec<Life>,
    /// How many rows were read for them, those included that are no customers.
    pub(super) rows: u64,
    /// Of what was read.
    pub(super) cost: ReplayCost,
    /// After whom the next page begins.
    pub(super) last: CustomerId,
}

impl Crm {
    /// The lives of the next customers, merged ones each for themselves; none when there are no more. Scores are in them
    /// where changes are.
    pub(super) async fn lives(
        &self,
        after: Option<CustomerId>,
        entries: Entries,
        known: Known,
        definitions: &Definitions,
    ) -> Result<Option<Lives>, Error> {
        // Whoever was merged into another has no numbers, and was somebody before: nobody is left out here.
        let mut ids = self.store().select(&self.tenant, &Selection::EVERYBODY, after, PAGE).await?;
        let Some(last) = ids.last().copied() else { return Ok(None) };
        let rows = ids.len() as u64;
        ids.retain(|id| self.is_customer(*id));
        let loaded = self.store().load(&self.tenant, &ids).await?;
        let mut details = match entries {
            Entries::All => self.store().details(&self.tenant, &ids, Parts::SCORES).await?,
            Entries::Events | Entries::Changes => Vec::new(),
        };
        details.resize_with(ids.len(), || None);
        let (mut lives, mut cost) = (Vec::with_capacity(ids.len()), ReplayCost::default());
        for (row, details) in loaded.rows.into_iter().zip(details) {
            let Some(row) = row else { continue };
            let id = row.customer;
            let now = self.whole(self.decode(&row, definitions).await?, definitions).await?.customer;
            let own = self.told(id, entries, &mut cost).await?;
            let kin = kin(id, &own);
            let mut histories = vec![own];
            for other in kin {
                histories.push(self.told(other, entries, &mut cost).await?);
            }
            let scores = details.map(|details| details.scores).unwrap_or_default();
            lives.push(Life::new(id, now, histories, scores, known));
        }
        Ok(Some(Lives { lives, rows, cost, last }))
    }

    /// How many rows there are to read.
    pub(super) async fn rows_in_all(&self) -> Result<u64, Error> {
        Ok(self.store().count(&self.tenant, &Selection::EVERYBODY).await?)
    }

    async fn told(&self, id: CustomerId, entries: Entries, cost: &mut ReplayCost) -> Result<Vec<Told>, Error> {
        let mut told = Vec::new();
        let mut after = None;
        loop {
            let page = self.store().history(&self.tenant, id, entries, after, ROWS).await?;
            for row in page.rows {
                cost.entries += 1;
                told.push(match row {
                    Entry::Event(row) => {
                        cost.bytes_read += row.body.len() as u64;
                        Told::Event(decode_event(id, row)?)
                    }
                    Entry::Change(row) => {
                        cost.bytes_read += row.body.len() as u64;
                        let change: Result<Change, _> = serde_json::from_slice(&row.body);
                        let change =
                            change.map_err(|e| Error::corrupt(format!("a change: {}", JsonProblem::from(&e))))?;
                        Told::Change(id, change)
                    }
                });
            }
            after = page.next;
            if after.is_none() {
                return Ok(told);
            }
        }
    }
}
