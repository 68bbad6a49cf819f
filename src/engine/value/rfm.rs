//! Recency, frequency and monetary value of the base and of one customer.

use std::collections::BTreeMap;

use crm_core::value::{Rfm, RfmGroup, RfmPolicy, RfmScale, RfmScore};
use crm_core::{Currency, CustomerId, Timestamp};

use super::super::Crm;
use crate::error::Error;
use crate::incoming::Who;

/// The scores of a base in one currency. Keeps 48 bytes for each customer in it, and more than twice as many while it is
/// made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RfmReport {
    /// The instant it is as of.
    pub at: Timestamp,
    /// The currency in which customers are compared.
    pub currency: Currency,
    /// How they were scored.
    pub policy: RfmPolicy,
    /// Everybody who has an order that counts, by id.
    rows: Vec<RfmRow>,
}

/// One customer's values and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RfmRow {
    /// Who.
    pub customer: CustomerId,
    /// The values.
    pub rfm: Rfm,
    /// The scores; none where the policy has no limits for the currency.
    pub score: Option<RfmScore>,
    /// The group that the scores lead to.
    pub group: Option<RfmGroup>,
}

/// How many are in a group, and what they spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupSize {
    /// How many.
    pub customers: u64,
    /// Their monetary value in minor units.
    pub minor: i128,
}

impl RfmReport {
    /// Everybody who has an order that counts, by id.
    #[must_use]
    pub fn rows(&self) -> &[RfmRow] {
        &self.rows
    }

    /// One customer.
    #[must_use]
    pub fn of(&self, customer: CustomerId) -> Option<&RfmRow> {
        let place = self.rows.binary_search_by_key(&customer, |row| row.customer).ok()?;
        self.rows.get(place)
    }

    /// The size of each group, empty ones included. Costs a look at each row.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<RfmGroup, GroupSize> {
        let mut groups: BTreeMap<_, _> = RfmGroup::ALL.map(|group| (group, GroupSize::default())).into();
        for row in &self.rows {
            if let Some(size) = row.group.and_then(|group| groups.get_mut(&group)) {
                size.customers += 1;
                size.minor += i128::from(row.rfm.monetary_minor);
            }
        }
        groups
    }
}

impl Crm {
    /// Recency, frequency and monetary value of everybody who has an order that counts in a currency, with scores and
    /// the group these lead to, by the policy in force. Scores by rank are by nature about the whole base: this costs a
    /// read of all states and three sorts.
    ///
    /// ```
    /// use crm::{Currency, Identifier, Incoming, Money, OrderPlaced, RfmGroup, Source};
    ///
    /// let crm = crm::blocking::Crm::in_memory();
    /// for (name, orders) in [("ada", 9), ("ben", 4), ("cem", 3), ("dag", 2), ("eve", 1)] {
    ///     for n in 0..orders {
    ///         let who = Identifier::email(&format!("{name}@example.com"))?;
    ///         let order = OrderPlaced::new(Money::new(1_000, Currency::EUR));
    ///         let order = Incoming::new(&who, crm.now(), Source::new("shop")?, order);
    ///         crm.record(order.with_key(format!("{name}-{n}").parse()?))?;
    ///     }
    /// }
    /// let report = crm.rfm(Currency::EUR)?;
    /// assert_eq!(report.groups()[&RfmGroup::Champions].customers, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn rfm(&self, currency: Currency) -> Result<RfmReport, Error> {
        let mut walk = self.walk().await?;
        let (at, policy) = (walk.at, walk.policy().rfm.clone());
        let mut base: Vec<(CustomerId, Rfm)> = Vec::new();
        loop {
            let page = walk.next().await?;
            if page.is_empty() {
                break;
            }
            let values = page.iter().filter_map(|customer| {
                let orders = customer.facts().orders().list();
                Some((customer.id(), Rfm::within(orders, currency, at, policy.window)?))
            });
            base.extend(values);
        }
        let values: Vec<(Currency, Rfm)> = base.iter().map(|(_, rfm)| (currency, *rfm)).collect();
        let scored = base.into_iter().zip(policy.scores(&values));
        let rows = scored.map(|((customer, rfm), score)| row(&policy, customer, rfm, score)).collect();
        Ok(RfmReport { at, currency, policy, rows })
    }

    /// The same of one customer; none if nobody is found, or they have no order that counts. By fixed limits it costs a
    /// look at their orders; a rank is among the whole base, and costs as much as [`rfm`](Self::rfm).
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn rfm_of(&self, who: impl Into<Who> + Send, currency: Currency) -> Result<Option<RfmRow>, Error> {
        let Some(customer) = self.customer(who).await? else { return Ok(None) };
        let (at, definitions) = (self.now(), self.definitions().await?);
        let policy = &definitions.value(at).rfm;
        match &policy.scale {
            RfmScale::Quantiles(_) => Ok(self.rfm(currency).await?.of(customer.id()).copied()),
            RfmScale::Bands(bands) => {
                let rfm = Rfm::within(customer.facts().orders().list(), currency, at, policy.window);
                Ok(rfm.map(|rfm| row(policy, customer.id(), rfm, bands.score(currency, &rfm))))
            }
        }
    }
}

fn row(policy: &RfmPolicy, customer: CustomerId, rfm: Rfm, score: Option<RfmScore>) -> RfmRow {
    RfmRow { customer, rfm, score, group: score.map(|score| policy.group(score)) }
}
