//! What a part of a composite value may be made of.

use super::contribution::Contribution;
use super::policy::ValuePolicy;
use super::rfm::Rfm;
use crate::attribute::Attribute;
use crate::customer::Customer;
use crate::money::Currency;
use crate::time::Timestamp;

/// A number that customers can be compared by. Parts of a composite value are called by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// `recency`: whole days since the last order that stands, of those that RFM looks at. Low is good.
    Recency,
    /// `frequency`: how many orders stand, of those.
    Frequency,
    /// `monetary`: what they come to after refunds, in minor units.
    Monetary,
    /// `brings`: what the customer [brings](Contribution), in minor units.
    Brings,
    /// `margin`: what is left of the revenue whose cost is known, in minor units.
    Margin,
    /// `overdue`: what is due and not paid, in minor units. Low is good. Missing without a policy about debts.
    Overdue,
    /// `referrals`: how many they brought.
    Referrals,
    /// `referred_spend`: what those spend whom they brought, in minor units.
    ReferredSpend,
    /// `influence`: their influence beside the average of all who are tied, who has 1,000,000.
    Influence,
    /// `popularity`: in thousandths of a point.
    Popularity,
    /// An attribute of the catalogue by its name, such as `visits`: over all times, and money in the currency asked for.
    Attribute(Attribute),
}

impl Measure {
    const OWN: [(&'static str, Measure); 10] = [
        ("recency", Measure::Recency),
        ("frequency", Measure::Frequency),
        ("monetary", Measure::Monetary),
        ("brings", Measure::Brings),
        ("margin", Measure::Margin),
        ("overdue", Measure::Overdue),
        ("referrals", Measure::Referrals),
        ("referred_spend", Measure::ReferredSpend),
        ("influence", Measure::Influence),
        ("popularity", Measure::Popularity),
    ];

    /// The measure of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let own = Self::OWN.iter().find(|(own, _)| *own == name).map(|(_, measure)| *measure);
        own.or_else(|| Attribute::by_name(name).map(Measure::Attribute))
    }

    /// All names, as a list for people.
    #[must_use]
    pub fn names() -> String {
        let own = Self::OWN.iter().map(|(name, _)| *name);
        own.chain(Attribute::ALL.iter().map(|attribute| attribute.name())).collect::<Vec<_>>().join(", ")
    }

    /// Whether it follows from other customers too, so that one alone does not tell.
    #[must_use]
    pub const fn is_social(self) -> bool {
        matches!(self, Measure::Referrals | Measure::ReferredSpend | Measure::Influence)
    }

    /// Its value for a customer at an instant; `overdue` and `lost` are what is known of their debts. None where it is
    /// missing, and for what follows from other customers. What is said in money is missing for somebody who never
    /// ordered in the currency.
    #[must_use]
    pub fn of(
        self,
        customer: &Customer,
        currency: Currency,
        at: Timestamp,
        policy: &ValuePolicy,
        (overdue, lost): (Option<i64>, i64),
    ) -> Option<i64> {
        let facts = customer.facts();
        let orders = facts.orders().list();
        let rfm = || Rfm::within(orders, currency, at, policy.rfm.window);
        let contribution = || {
            let ordered = facts.orders().turnover().iter().any(|turnover| turnover.currency == currency);
            ordered.then(|| Contribution::of(facts, &policy.costs_in(currency), at, policy.window, lost))
        };
        match self {
            Measure::Recency => rfm().map(|rfm| rfm.recency_days),
            Measure::Frequency => rfm().map(|rfm| i64::from(rfm.frequency)),
            Measure::Monetary => rfm().map(|rfm| rfm.monetary_minor),
            Measure::Brings => contribution().map(|contribution| contribution.minor(policy.brings)),
            Measure::Margin => contribution().map(|contribution| super::ratio::clamped(contribution.margin().margin())),
            Measure::Overdue => overdue,
            Measure::Popularity => {
                let popularity = policy.popularity.of(facts, customer.ties(), at);
                i64::try_from(popularity.thousandths).ok()
            }
            Measure::Referrals | Measure::ReferredSpend | Measure::Influence => None,
            Measure::Attribute(attribute) => attribute.of(customer, at, currency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_measure_and_no_attribute_has_the_name_of_another_one() {
        for (name, measure) in Measure::OWN {
            assert_eq!(Measure::by_name(name), Some(measure));
            assert_eq!(Attribute::by_name(name), None, "{name}");
        }
        assert_eq!(Measure::by_name("visits"), Some(Measure::Attribute(Attribute::Visits)));
        assert_eq!(Measure::by_name("luck"), None);
    }
}
