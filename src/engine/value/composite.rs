//! One value of several parts, with tiers.

use std::collections::BTreeMap;

use crm_core::loyalty::TierName;
use crm_core::value::{Composite, CompositePolicy, CompositeScale, Measure};
use crm_core::{Currency, CustomerId, Timestamp};

use super::super::Crm;
use super::social::Ties;
use crate::error::Error;

/// The composite value of everybody. Keeps 16 bytes for each customer, and 16 for each of their parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueReport {
    /// The instant it is as of.
    pub at: Timestamp,
    /// The currency of what is money.
    pub currency: Currency,
    /// How the value is put together.
    pub policy: CompositePolicy,
    scale: CompositeScale,
    /// Everybody, by id.
    customers: Vec<CustomerId>,
    /// Of each customer the value of each part; [`MISSING`] where there is none.
    values: Vec<i64>,
}

/// No value. A measure that comes to this very number is one less than it can be, and counts as missing.
const MISSING: i64 = i64::MIN;

fn there(value: i64) -> Option<i64> {
    Some(value).filter(|value| *value != MISSING)
}

impl ValueReport {
    /// How many customers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.customers.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }

    /// The value of one customer, with its parts. Costs a few looks for each part.
    #[must_use]
    pub fn of(&self, customer: CustomerId) -> Option<Composite> {
        self.customers.binary_search(&customer).ok().map(|place| self.at(place))
    }

    /// Everybody by id, with their values. Each is put together when its turn comes.
    pub fn iter(&self) -> impl Iterator<Item = (CustomerId, Composite)> + '_ {
        self.customers.iter().enumerate().map(|(place, customer)| (*customer, self.at(place)))
    }

    /// How many reach each tier, empty ones included, and how many none. Costs as much as all values.
    #[must_use]
    pub fn tiers(&self) -> (BTreeMap<TierName, u64>, u64) {
        let mut tiers: BTreeMap<TierName, u64> =
            self.policy.tiers().iter().map(|tier| (tier.name.clone(), 0)).collect();
        let mut none = 0;
        for (_, value) in self.iter() {
            match value.tier.and_then(|tier| tiers.get_mut(&tier)) {
                Some(count) => *count += 1,
                None => none += 1,
            }
        }
        (tiers, none)
    }

    fn at(&self, place: usize) -> Composite {
        let parts = self.policy.parts().len();
        let own: Vec<Option<i64>> =
            self.values.iter().skip(place * parts).take(parts).map(|value| there(*value)).collect();
        self.scale.composite(&self.policy, &own)
    }
}

impl Crm {
    /// The composite value of everybody, with tiers; none if the shop has no policy about it. Money is in one currency,
    /// and each part has its place among the whole base: this costs a read of all states, a sort for each part, and
    /// where a part follows from ties, as much as [`social`](Self::social).
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn values(&self, currency: Currency) -> Result<Option<ValueReport>, Error> {
        let mut walk = self.walk().await?;
        let (at, policy) = (walk.at, walk.policy());
        let Some(composite) = policy.composite.clone() else { return Ok(None) };
        // Names that measure nothing are refused when a policy is defined; one from another version has no values.
        let measures: Vec<Option<Measure>> =
            composite.parts().iter().map(|part| Measure::by_name(part.name.as_str())).collect();
        let has = |wanted: &dyn Fn(Measure) -> bool| measures.iter().flatten().any(|measure| wanted(*measure));
        let social = has(&|measure| measure.is_social());
        let owing = policy.debt.filter(|debt| {
            has(&|measure| measure == Measure::Overdue) || (debt.lost_after.is_some() && has(&|m| m == Measure::Brings))
        });
        let (mut customers, mut values, mut ties) = (Vec::new(), Vec::new(), Ties::default());
        loop {
            let page = walk.next().await?;
            if page.is_empty() {
                break;
            }
            for customer in &page {
                let debts = match owing {
                    Some(debt) => {
                        let debtor = self.debt(customer, currency, debt, at).await?;
                        let minor = |amount: i128| i64::try_from(amount).unwrap_or(i64::MAX);
                        (Some(minor(debtor.debt.overdue)), minor(debtor.lost))
                    }
                    None => (None, 0),
                };
                if social {
                    ties.add(customer, &policy, currency, at);
                }
                customers.push(customer.id());
                let own = measures.iter().map(|measure| {
                    measure.and_then(|measure| measure.of(customer, currency, at, &policy, debts)).unwrap_or(MISSING)
                });
                values.extend(own);
            }
        }
        if social {
            let (influence, referrals) = ties.settle(&policy);
            for (customer, own) in customers.iter().zip(values.chunks_mut(measures.len().max(1))) {
                for (measure, value) in measures.iter().zip(own) {
                    let found = match measure {
                        Some(Measure::Influence) => {
                            let place = influence.binary_search_by_key(customer, |influence| influence.customer).ok();
                            place.and_then(|place| i64::try_from(influence[place].relative).ok())
                        }
                        Some(Measure::Referrals) => referrals.get(customer).map(|value| i64::from(value.direct)),
                        Some(Measure::ReferredSpend) => {
                            referrals.get(customer).and_then(|value| i64::try_from(value.direct_minor).ok())
                        }
                        Some(_) | None => continue,
                    };
                    *value = found.unwrap_or(MISSING);
                }
            }
        }
        let rows = values.chunks(measures.len().max(1)).map(|own| own.iter().map(|value| there(*value)));
        let scale = composite.scale(rows);
        Ok(Some(ValueReport { at, currency, policy: composite, scale, customers, values }))
    }
}
