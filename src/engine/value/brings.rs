//! What customers bring and cost: key customers, and those who cost more than they bring.

use crm_core::segment::SegmentName;
use crm_core::value::{Brings, Contribution, KeyPolicy, Pareto, ShareOf};
use crm_core::{Currency, CustomerId, Timestamp};

use super::super::Crm;
use crate::error::Error;

/// What each customer brings in one currency. Keeps about 100 bytes for each who ordered in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BringsReport {
    /// The instant it is as of.
    pub at: Timestamp,
    /// The currency.
    pub currency: Currency,
    /// By what customers are compared.
    pub by: Brings,
    /// Who the key customers are.
    pub policy: KeyPolicy,
    /// Everybody who ever ordered in the currency, by id.
    rows: Vec<(CustomerId, Contribution)>,
    /// The same by what they bring; customers are places in the list of all.
    ranks: Pareto<u32>,
    /// Who is in a segment that makes them a key customer: a place in the list of all, and a place in the policy.
    named: Vec<(u32, u32)>,
}

/// A customer with what they bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCustomer {
    /// Who.
    pub customer: CustomerId,
    /// What they bring, in minor units; negative if they cost more.
    pub minor: i64,
    /// What that is made of.
    pub parts: Contribution,
    /// Whether they are among the fewest who bring the share that the policy asks for.
    pub by_share: bool,
    /// The segments that make them a key customer.
    pub segments: Vec<SegmentName>,
}

impl BringsReport {
    /// Everybody who ever ordered in the currency, by id, with what they bring.
    #[must_use]
    pub fn rows(&self) -> &[(CustomerId, Contribution)] {
        &self.rows
    }

    /// What one customer brings.
    #[must_use]
    pub fn of(&self, customer: CustomerId) -> Option<&Contribution> {
        let place = self.rows.binary_search_by_key(&customer, |(id, _)| *id).ok()?;
        self.rows.get(place).map(|(_, parts)| parts)
    }

    /// What all bring together.
    #[must_use]
    pub fn total(&self) -> Contribution {
        self.rows.iter().fold(Contribution::default(), |sum, (_, parts)| sum.and(*parts))
    }

    /// All places by what customers bring: concentration, its curve and coefficient. A customer is a place in
    /// [`rows`](Self::rows).
    #[must_use]
    pub const fn ranks(&self) -> &Pareto<u32> {
        &self.ranks
    }

    /// The key customers, those by share first and the one who brings most before all, then those by rule alone by id.
    #[must_use]
    pub fn key(&self) -> Vec<KeyCustomer> {
        let share = self.ranks.key(self.policy.share_ppm, self.policy.of);
        let mut by_share: Vec<u32> = share.iter().map(|place| place.customer).collect();
        let mut key: Vec<KeyCustomer> = by_share.iter().filter_map(|place| self.at(*place, true)).collect();
        by_share.sort_unstable();
        let mut by_rule: Vec<u32> = self.named.iter().map(|(place, _)| *place).collect();
        by_rule.dedup();
        let only = by_rule.into_iter().filter(|place| by_share.binary_search(place).is_err());
        key.extend(only.filter_map(|place| self.at(place, false)));
        key
    }

    /// How many bring exactly as much as the last of the key customers by share, and are none by share themselves.
    #[must_use]
    pub fn tied(&self) -> usize {
        self.ranks.tied(self.ranks.key(self.policy.share_ppm, self.policy.of).len())
    }

    /// Those who cost more than they bring, the costliest first.
    pub fn costly(&self) -> impl Iterator<Item = KeyCustomer> + '_ {
        self.ranks.costly().iter().rev().filter_map(|place| self.at(place.customer, false))
    }

    /// What the first `count` customers bring, in parts per million of the whole; none where there is nothing to have a
    /// share in.
    #[must_use]
    pub fn share_of_top(&self, count: usize, of: ShareOf) -> Option<i64> {
        self.ranks.share_of_top(count, of)
    }

    fn at(&self, place: u32, by_share: bool) -> Option<KeyCustomer> {
        let (customer, parts) = *self.rows.get(place as usize)?;
        let first = self.named.partition_point(|(named, _)| *named < place);
        let own = self.named.iter().skip(first).take_while(|(named, _)| *named == place);
        let segments = own.filter_map(|(_, segment)| self.policy.segments.get(*segment as usize).cloned()).collect();
        Some(KeyCustomer { customer, minor: parts.minor(self.by), parts, by_share, segments })
    }
}

impl Crm {
    /// What everybody brings who ever ordered in a currency, by the policy in force: revenue or margin less what serving
    /// them costs and what they will not pay; who the key customers are by share and by rule; who costs more than they
    /// bring. A share is by nature about the whole base: this costs a read of all states and a sort, and where the
    /// policy has debts that count as lost, of the histories of those who have not paid everything.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn brings(&self, currency: Currency) -> Result<BringsReport, Error> {
        let mut walk = self.walk().await?;
        let (at, policy) = (walk.at, walk.policy());
        let costs = policy.costs_in(currency);
        let losing = policy.debt.filter(|debt| debt.lost_after.is_some());
        let (mut rows, mut named) = (Vec::new(), Vec::new());
        loop {
            let page = walk.next().await?;
            if page.is_empty() {
                break;
            }
            for customer in &page {
                let facts = customer.facts();
                if !facts.orders().turnover().iter().any(|turnover| turnover.currency == currency) {
                    continue;
                }
                let lost = match losing {
                    Some(debt) => self.debt(customer, currency, debt, at).await?.lost,
                    None => 0,
                };
                let lost = i64::try_from(lost).unwrap_or(i64::MAX);
                // A base has fewer than 2^32 customers, and a policy 64 segments.
                let place = rows.len() as u32;
                let is_in = (0_u32..).zip(&policy.key.segments).filter(|(_, name)| customer.standing().is_in(name));
                named.extend(is_in.map(|(segment, _)| (place, segment)));
                rows.push((customer.id(), Contribution::of(facts, &costs, at, policy.window, lost)));
            }
        }
        let by = policy.brings;
        let ranks = Pareto::of((0_u32..).zip(&rows).map(|(place, (_, parts))| (place, parts.minor(by))));
        Ok(BringsReport { at, currency, by, policy: policy.key.clone(), rows, ranks, named })
    }
}
