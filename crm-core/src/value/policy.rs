//! How a shop values its customers: one definition, of which a new version takes over from an instant on.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::composite::{CompositePolicy, PartName};
use super::contribution::Brings;
use super::influence::{Credit, InfluencePolicy};
use super::margin::CostPolicy;
use super::measure::Measure;
use super::pareto::ShareOf;
use super::popularity::PopularityPolicy;
use super::rfm::RfmPolicy;
use crate::money::Currency;
use crate::relationship::TieKind;
use crate::segment::SegmentName;
use crate::time::Span;

/// Who the key customers are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyPolicy {
    /// The share that the fewest of them bring together, in parts per million; 0 for nobody by share.
    pub share_ppm: u32,
    /// Of what.
    pub of: ShareOf,
    /// Whoever is in one of these segments is a key customer, whatever they bring: those who are strategic, or are
    /// listened to. A name of no segment means nobody.
    pub segments: Vec<SegmentName>,
}

impl Default for KeyPolicy {
    /// Those who bring four fifths of what the gainers bring.
    fn default() -> Self {
        KeyPolicy { share_ppm: 800_000, of: ShareOf::Gains, segments: Vec::new() }
    }
}

/// When orders have to be paid. Only a shop that tells of payments should have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebtPolicy {
    /// How long after it was placed an order is due, in milliseconds.
    pub due_after: Span,
    /// How long after it was placed an order that is not paid counts as lost, in milliseconds, and lowers what its
    /// customer brings; none if it never does.
    #[serde(default)]
    pub lost_after: Option<Span>,
}

/// Which side of a kind of tie gives the other one credit, where it is not [as usual](Credit::of).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditRule {
    /// The kind.
    pub kind: TieKind,
    /// Who gives whom credit.
    pub credit: Credit,
}

/// How a shop values its customers. Each part has a default, so that a report can be asked for before anything was
/// defined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValuePolicy {
    /// How recency, frequency and monetary value are scored.
    pub rfm: RfmPolicy,
    /// By what customers are compared who bring something.
    pub brings: Brings,
    /// Orders of how long before the instant count for what a customer brings, in milliseconds; none for all.
    pub window: Option<Span>,
    /// What is known of costs, at most once for each currency.
    pub costs: Vec<CostPolicy>,
    /// Who the key customers are.
    pub key: KeyPolicy,
    /// When orders have to be paid; none if the shop tells of no payments.
    pub debt: Option<DebtPolicy>,
    /// How influence is reckoned.
    pub influence: InfluencePolicy,
    /// Which ties give credit otherwise than usual; the first that names a kind holds.
    pub credit: Vec<CreditRule>,
    /// What makes somebody popular.
    pub popularity: PopularityPolicy,
    /// How one value is put together, and its tiers; none for a shop that has none.
    pub composite: Option<CompositePolicy>,
}

/// Why a policy about value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A part of the composite value is called as nothing that can be measured.
    #[error("there is no measure {name}; there are {}", Measure::names())]
    Measure {
        /// The name.
        name: PartName,
    },
    /// The costs of a currency are given twice.
    #[error("the costs in {currency} are given twice")]
    Currency {
        /// Which.
        currency: Currency,
    },
    /// A share of more than everything.
    #[error("a share of {share_ppm} parts per million, more than a million")]
    Share {
        /// The share.
        share_ppm: u32,
    },
    /// Orders would be lost before they are due.
    #[error("orders are due after {} ms and lost after {} ms", .due_after.as_millis(), .lost_after.as_millis())]
    Debt {
        /// When they are due.
        due_after: Span,
        /// When they are lost.
        lost_after: Span,
    },
    /// A list is too long.
    #[error("{count} {what}, more than {max}", max = ValuePolicy::LIST_MAX)]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
    },
}

impl ValuePolicy {
    /// The most segments that make somebody a key customer, rules about ties, and kinds that count for popularity or
    /// that serving costs something for.
    pub const LIST_MAX: usize = 64;

    /// Checks what types alone do not keep.
    ///
    /// # Errors
    ///
    /// `ValueError` for a part of the composite value that nothing measures, costs of one currency given twice, a share
    /// of more than everything, orders that are lost before they are due, or a list that is too long.
    pub fn check(&self) -> Result<(), ValueError> {
        let mut lists = vec![
            ("currencies", self.costs.len()),
            ("segments of key customers", self.key.segments.len()),
            ("rules about ties", self.credit.len()),
            ("kinds of events", self.popularity.kinds.len()),
        ];
        lists.extend(self.costs.iter().map(|costs| ("kinds of events", costs.service.kinds.len())));
        if let Some((what, count)) = lists.into_iter().find(|(_, count)| *count > Self::LIST_MAX) {
            return Err(ValueError::TooMany { what, count });
        }
        let names = self.composite.iter().flat_map(|composite| composite.parts()).map(|part| &part.name);
        for name in names {
            Measure::by_name(name.as_str()).ok_or_else(|| ValueError::Measure { name: name.clone() })?;
        }
        for (place, costs) in self.costs.iter().enumerate() {
            if self.costs.iter().take(place).any(|other| other.currency == costs.currency) {
                return Err(ValueError::Currency { currency: costs.currency });
            }
        }
        if self.key.share_ppm > 1_000_000 {
            return Err(ValueError::Share { share_ppm: self.key.share_ppm });
        }
        match self.debt {
            Some(DebtPolicy { due_after, lost_after: Some(lost_after) }) if lost_after < due_after => {
                Err(ValueError::Debt { due_after, lost_after })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What is known of costs in a currency: what lines say of themselves, where nothing was defined.
    #[must_use]
    pub fn costs_in(&self, currency: Currency) -> Cow<'_, CostPolicy> {
        let known = self.costs.iter().find(|costs| costs.currency == currency);
        known.map_or_else(|| Cow::Owned(CostPolicy::new(currency)), Cow::Borrowed)
    }

    /// Which side of a kind of tie gives the other one credit.
    #[must_use]
    pub fn credit(&self, kind: &TieKind) -> Credit {
        let own = self.credit.iter().find(|rule| rule.kind == *kind);
        own.map_or_else(|| Credit::of(kind), |rule| rule.credit)
    }
}
