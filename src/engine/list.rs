//! Lists that the shop keeps by hand.

use std::collections::BTreeSet;

use crm_core::event::Fact;
use crm_core::segment::{Enlisted, ListError, ListName, Unlisted};
use crm_core::{CustomerId, Source};
use futures_util::stream;

use super::ingest::Ingestion;
use super::record::{Found, Sought};
use super::{Crm, PAGE};
use crate::error::Error;
use crate::incoming::{Incoming, Who};

/// What became of putting customers on a list, or taking them off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListReport {
    /// For how many it is new.
    pub changed: u64,
    /// For how many it was so before. Whoever is named twice, or is one person with another, is counted once.
    pub unchanged: u64,
    /// How many are nobody. Nobody becomes a customer by being put on a list.
    pub unknown: u64,
}

impl Crm {
    /// Puts customers on a list, now. Whoever is on it stays. Each new one is a fact of this source, so that late facts,
    /// merging and voiding are for it as for others; of several facts of one millisecond the last by id counts.
    ///
    /// Customers are taken page by page of a thousand, each a few commits: what was cut off can be done again.
    ///
    /// # Errors
    ///
    /// `List` if there is no such list, `Storage` if the store failed.
    pub async fn enlist<W: Into<Who>>(
        &self,
        list: &ListName,
        customers: impl IntoIterator<Item = W, IntoIter: Send> + Send,
        source: &Source,
    ) -> Result<ListReport, Error> {
        self.keep_list(list, customers, source, true).await
    }

    /// Takes customers off a list, now; otherwise as [`enlist`](Self::enlist).
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn unlist<W: Into<Who>>(
        &self,
        list: &ListName,
        customers: impl IntoIterator<Item = W, IntoIter: Send> + Send,
        source: &Source,
    ) -> Result<ListReport, Error> {
        self.keep_list(list, customers, source, false).await
    }

    async fn keep_list<W: Into<Who>>(
        &self,
        list: &ListName,
        customers: impl IntoIterator<Item = W, IntoIter: Send> + Send,
        source: &Source,
        on: bool,
    ) -> Result<ListReport, Error> {
        let now = self.now();
        if self.definitions().await?.list(list, now).is_none() {
            return Err(ListError::Undeclared { list: list.clone() }.into());
        }
        let mut report = ListReport::default();
        let mut customers = customers.into_iter();
        loop {
            let page: Vec<Who> = customers.by_ref().take(PAGE).map(Into::into).collect();
            if page.is_empty() {
                return Ok(report);
            }
            let ids = self.those(&page, &mut report).await?;
            let loaded = self.store().load(&self.tenant, &ids).await?;
            let definitions = self.definitions_at(loaded.definitions).await?;
            let mut done: BTreeSet<CustomerId> = BTreeSet::new();
            let mut facts = Vec::new();
            for row in loaded.rows {
                let Some(row) = row.filter(|row| self.is_customer(row.customer)) else {
                    report.unknown += 1;
                    continue;
                };
                let base = self.whole(self.decode(&row, &definitions).await?, &definitions).await?;
                if !done.insert(base.customer.id()) {
                    continue;
                }
                if base.customer.facts().is_on(list) == on {
                    report.unchanged += 1;
                    continue;
                }
                let fact: Fact = match on {
                    true => Enlisted { list: list.clone() }.into(),
                    false => Unlisted { list: list.clone() }.into(),
                };
                facts.push(Incoming::new(row.customer, now, source.clone(), fact));
            }
            // Somebody else may have done it meanwhile.
            let told = self.ingest(stream::iter(facts), Ingestion::live()).await?;
            report.changed += told.recorded;
            report.unchanged += told.known;
            if let Some((_, refusal)) = told.refusals.into_iter().next() {
                return Err(refusal.into());
            }
        }
    }

    /// Who they are, each once; whoever is nobody is counted.
    async fn those(&self, page: &[Who], report: &mut ListReport) -> Result<Vec<CustomerId>, Error> {
        let sought: Vec<Sought<'_>> = page.iter().map(|who| self.sought(who)).collect();
        if sought.iter().any(|sought| matches!(sought, Sought::Identifier(_))) {
            self.check_lookup_key().await?;
        }
        let keys: Vec<_> = sought.iter().filter_map(Sought::claim).collect();
        let mut owners = self.store().resolve(&self.tenant, &keys).await?.into_iter();
        let mut ids = BTreeSet::new();
        for sought in &sought {
            let owner = if sought.is_claimed() { owners.next().flatten() } else { None };
            match sought.found(owner) {
                Ok(Found::Known(id)) => drop(ids.insert(id)),
                Ok(Found::New(_)) | Err(_) => report.unknown += 1,
            }
        }
        Ok(ids.into_iter().collect())
    }
}
