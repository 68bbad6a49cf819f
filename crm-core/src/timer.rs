//! What will happen without any new fact.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What will be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlarmKind {
    /// A window of the life cycle ends.
    Lifecycle,
    /// Something of loyalty is due: points become active or expire, a hold ends, a tier is looked at, a birthday comes.
    Loyalty,
    /// A segment with a time in its definition changes its mind.
    Segment,
    /// A fact from the future happens. What is due at its instant is due before it, but for consent.
    FactDue,
    /// A consent or a request for one ends. It comes after facts: what they say at that instant is heard first.
    Consent,
    /// What is personal about the customer is due to go, or was decided to go and is not known to be gone. It comes
    /// after everything else of its instant.
    Retention,
    /// A referral is to be rewarded. That writes two customers, so only letting time pass on purpose does it.
    Referral,
    /// A score is to be made anew. A plugin is asked for it, so only letting time pass on purpose does it.
    Score,
    /// A share of what somebody earned is to go to a pool, or to come back from there. That writes two customers, as above.
    PoolShare,
}

impl AlarmKind {
    const ALL: [AlarmKind; 9] = [
        AlarmKind::Lifecycle,
        AlarmKind::Loyalty,
        AlarmKind::Segment,
        AlarmKind::FactDue,
        AlarmKind::Consent,
        AlarmKind::Retention,
        AlarmKind::Referral,
        AlarmKind::Score,
        AlarmKind::PoolShare,
    ];

    /// A number that is stored for it; it never changes.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            AlarmKind::Lifecycle => 1,
            AlarmKind::Loyalty => 2,
            AlarmKind::Segment => 3,
            AlarmKind::FactDue => 4,
            AlarmKind::Consent => 5,
            AlarmKind::Retention => 6,
            AlarmKind::Referral => 7,
            AlarmKind::Score => 8,
            AlarmKind::PoolShare => 9,
        }
    }

    /// The kind of a stored number.
    #[must_use]
    pub fn by_rank(rank: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.rank() == rank)
    }

    /// The name it is stored under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AlarmKind::FactDue => "fact_due",
            AlarmKind::Lifecycle => "lifecycle",
            AlarmKind::Loyalty => "loyalty",
            AlarmKind::Segment => "segment",
            AlarmKind::Consent => "consent",
            AlarmKind::Retention => "retention",
            AlarmKind::Referral => "referral",
            AlarmKind::Score => "score",
            AlarmKind::PoolShare => "pool_share",
        }
    }
}

/// The next thing that will be due for a customer. There is one per customer, the earliest: whatever
/// comes after it follows from the customer's state then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alarm {
    /// When.
    pub due_at: Timestamp,
    /// What.
    pub kind: AlarmKind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_numbers_have_the_order_of_the_kinds() {
        assert!(AlarmKind::ALL.is_sorted() && AlarmKind::ALL.is_sorted_by_key(|kind| kind.rank()));
        assert!(AlarmKind::ALL.into_iter().all(|kind| AlarmKind::by_rank(kind.rank()) == Some(kind)));
        assert_eq!(AlarmKind::by_rank(0), None);
    }
}
