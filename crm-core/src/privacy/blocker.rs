//! What stands against an erasure.

use super::{HoldPlaced, LegalHoldName, PrivacyPolicy, Record};
use crate::consent::{Barred, Objection};
use crate::credit::{CreditBooks, Outstanding};
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::id::{CustomerId, EventId};
use crate::money::Money;
use crate::order::OrderRef;
use crate::time::Timestamp;

/// How many legal holds there may be on what is known of one customer.
pub const LEGAL_HOLDS_MAX: usize = 32;

/// One thing that stands against an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocker {
    /// An order stands that can still be sent back, or that is on its way: it is needed to perform the contract (GDPR,
    /// Art. 6(1)(b)). It can be sent back for the [`return_window`](super::PrivacyPolicy::return_window) from when it
    /// was told to have arrived. While that was not told, it is taken to arrive at the end of the
    /// [`delivery_window`](super::PrivacyPolicy::delivery_window).
    OpenOrder {
        /// The fact that told of it.
        event: EventId,
        /// Its number, if it has one.
        order: Option<OrderRef>,
        /// When it stands against an erasure no more.
        until: Timestamp,
    },
    /// Store credit is there that the customer has not spent: money that the shop owes them.
    StoreCredit {
        /// How much, held or not.
        amount: Money,
        /// When the last of it is over by itself; none where some of it never is.
        until: Option<Timestamp>,
    },
    /// Gift cards that were sold to the customer can still be redeemed. They are good after an erasure too, for whoever
    /// has the code; nobody is there then who could be told of them, or paid back for them.
    GiftCards {
        /// How much is on them.
        amount: Money,
        /// When the last of them expires; none where one never does.
        until: Option<Timestamp>,
    },
    /// The law has something kept (GDPR, Art. 17(3)). Nothing goes over that: release it first.
    LegalHold {
        /// What the hold is called.
        name: LegalHoldName,
        /// What it is about.
        record: Record,
        /// Until when; none until it is released.
        until: Option<Timestamp>,
    },
}

impl Blocker {
    /// Whether an erasure that is forced goes over it.
    #[must_use]
    pub const fn yields(&self) -> bool {
        match self {
            Blocker::OpenOrder { .. } | Blocker::StoreCredit { .. } | Blocker::GiftCards { .. } => true,
            Blocker::LegalHold { .. } => false,
        }
    }

    /// When it stands against an erasure no more by itself; none if it never does.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Blocker::OpenOrder { until, .. } => Some(*until),
            Blocker::StoreCredit { until, .. }
            | Blocker::GiftCards { until, .. }
            | Blocker::LegalHold { until, .. } => *until,
        }
    }
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Blocker::OpenOrder { event, order: _, until } => {
                write!(f, "the order of event {event} is open until {until}")
            }
            Blocker::StoreCredit { amount, until: _ } => write!(f, "store credit of {amount} is not spent"),
            Blocker::GiftCards { amount, until: _ } => write!(f, "gift cards of {amount} are not redeemed"),
            Blocker::LegalHold { name, record: _, until: Some(until) } => {
                write!(f, "the hold {name} lasts until {until}")
            }
            Blocker::LegalHold { name, record: _, until: None } => {
                write!(f, "the hold {name} lasts until it is released")
            }
        }
    }
}

/// Somebody was not erased. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{customer} is not erased: {}", list(.by))]
pub struct Blocked {
    /// Who.
    pub customer: CustomerId,
    /// All that stands against it, never empty: orders from the oldest, then money by
    /// currency, then holds by name.
    pub by: Vec<Blocker>,
}

fn list(blockers: &[Blocker]) -> String {
    let shown = blockers.iter().take(3).map(Blocker::to_string).collect::<Vec<_>>().join("; ");
    match blockers.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// Why a hold was not placed. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HoldRefusal {
    /// There are too many.
    #[error("{customer} has {max} legal holds already")]
    TooMany {
        /// Whose.
        customer: CustomerId,
        /// The limit.
        max: usize,
    },
    /// It would be over already.
    #[error("a legal hold until {until} is over already")]
    Over {
        /// When it ends.
        until: Timestamp,
    },
}

/// Why somebody is given no scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unscored {
    /// Processing is restricted (GDPR, Art. 18).
    Restricted {
        /// Since when.
        since: Timestamp,
    },
    /// They object to profiling (GDPR, Art. 21).
    Objects {
        /// Since when.
        since: Timestamp,
    },
}

impl From<Unscored> for Barred {
    fn from(unscored: Unscored) -> Self {
        match unscored {
            Unscored::Restricted { since } => Barred::Restricted { since },
            Unscored::Objects { since } => Barred::Objected { to: Objection::Profiling, since },
        }
    }
}

impl Customer {
    /// Whether the customer was erased: their facts are kept, and nothing says who they were.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.decided().erased
    }

    /// Since when processing is restricted (GDPR, Art. 18); none if it is not.
    #[must_use]
    pub fn restricted_since(&self) -> Option<Timestamp> {
        self.facts().consents().restricted(self.joins())
    }

    /// Since when they object to something (GDPR, Art. 21); none if they do not.
    #[must_use]
    pub fn objects_since(&self, to: Objection) -> Option<Timestamp> {
        self.facts().consents().objects(to, self.joins())
    }

    /// Why the customer is given no scores, and the ones they have are not used; none if they may be scored.
    ///
    /// A score is profiling (GDPR, Art. 4(4)). Whoever objects to it is profiled no more (Art. 21(1)), and data whose
    /// processing is restricted is only stored (Art. 18(2)). So the rows of old scores stay, and rules find none.
    #[must_use]
    pub fn unscored(&self) -> Option<Unscored> {
        let restricted = || self.restricted_since().map(|since| Unscored::Restricted { since });
        let objects = || self.objects_since(Objection::Profiling).map(|since| Unscored::Objects { since });
        restricted().or_else(objects)
    }

    /// The legal holds there are, those that are over included, by name.
    pub fn holds(&self) -> impl Iterator<Item = &HoldPlaced> {
        self.decided().holds.iter().map(|(_, hold)| hold)
    }

    /// What stands against erasing the customer at an instant, by the policy in force: orders from the oldest,
    /// then money by currency, then holds by name.
    #[must_use]
    pub fn blockers(&self, at: Timestamp, definitions: &Definitions) -> Vec<Blocker> {
        let PrivacyPolicy { return_window, delivery_window } = definitions.privacy(at);
        let orders = self.facts().orders().list().iter().filter(|order| order.stands()).filter_map(|order| {
            let arrives = order.delivered_at().unwrap_or_else(|| order.placed_at.plus(delivery_window));
            let until = arrives.max(order.placed_at).plus(return_window);
            (at < until).then(|| Blocker::OpenOrder { event: order.event, order: order.order.clone(), until })
        });
        let holds = self.holds().filter(|hold| hold.holds(at)).map(|hold| Blocker::LegalHold {
            name: hold.name.clone(),
            record: hold.record.clone(),
            until: hold.until,
        });
        let books = self.credit().into_iter().flat_map(CreditBooks::iter);
        let money = books.flat_map(|(currency, book)| {
            // Nobody has more in one currency than fits.
            let amount = |minor| Money::new(i64::try_from(minor).unwrap_or(i64::MAX), currency);
            let credit = book
                .credit_outstanding(at)
                .map(|Outstanding { minor, until }| Blocker::StoreCredit { amount: amount(minor), until });
            let cards = book
                .cards_outstanding(at)
                .map(|Outstanding { minor, until }| Blocker::GiftCards { amount: amount(minor), until });
            credit.into_iter().chain(cards)
        });
        orders.chain(money).chain(holds).collect()
    }
}
