//! What a rule depends on, and what an event touches: a rule is asked again only where the two meet.

use serde::{Deserialize, Serialize};

use super::number::{Events, Happenings, Moment, Number};
use super::predicate::{Predicate, Texts};
use crate::attribute::Attribute;
use crate::declared::DeclaredName;
use crate::event::{Deed, Fact};
use crate::score::ScoreName;

/// Parts of what is known of a customer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs(u64);

impl Inputs {
    pub(crate) const NONE: Inputs = Inputs(0);
    pub(crate) const ORDERS: Inputs = Inputs(1);
    pub(crate) const VISITS: Inputs = Inputs(1 << 1);
    pub(crate) const ENQUIRIES: Inputs = Inputs(1 << 2);
    pub(crate) const CARTS: Inputs = Inputs(1 << 3);
    pub(crate) const CUSTOM: Inputs = Inputs(1 << 4);
    pub(crate) const TAGS: Inputs = Inputs(1 << 5);
    pub(crate) const PARTY: Inputs = Inputs(1 << 6);
    pub(crate) const POINTS: Inputs = Inputs(1 << 7);
    pub(crate) const STAGE: Inputs = Inputs(1 << 8);
    pub(crate) const CONSENTS: Inputs = Inputs(1 << 9);
    pub(crate) const TIERS: Inputs = Inputs(1 << 10);
    pub(crate) const FIRST_SEEN: Inputs = Inputs(1 << 11);
    pub(crate) const LAST_SEEN: Inputs = Inputs(1 << 12);
    /// Of whom the customer was merged.
    pub(crate) const MEMBERS: Inputs = Inputs(1 << 13);
    pub(crate) const MESSAGES: Inputs = Inputs(1 << 14);
    pub(crate) const CASES: Inputs = Inputs(1 << 15);
    pub(crate) const LISTS: Inputs = Inputs(1 << 16);
    /// From here on declared attributes, several sharing each of these.
    const DECLARED: usize = 17;
    const DECLARED_COUNT: usize = 16;
    /// And from here on scores, in the same way.
    const SCORES: usize = Self::DECLARED + Self::DECLARED_COUNT;
    const SCORES_COUNT: usize = 16;
    /// And what came later.
    pub(crate) const CREDIT: Inputs = Inputs(1 << (Self::SCORES + Self::SCORES_COUNT));
    /// Uses of coupons, vouchers and badges.
    pub(crate) const REWARDS: Inputs = Inputs(1 << (Self::SCORES + Self::SCORES_COUNT + 1));
    pub(crate) const EVERY_DECLARED: Inputs = Inputs(((1 << Self::DECLARED_COUNT) - 1) << Self::DECLARED);
    pub(crate) const EVERY_SCORE: Inputs = Inputs(((1 << Self::SCORES_COUNT) - 1) << Self::SCORES);
    pub(crate) const ALL: Inputs = Inputs((1 << Self::COUNT) - 1);
    /// How many there are.
    pub(crate) const COUNT: usize = Self::SCORES + Self::SCORES_COUNT + 2;

    pub(crate) const fn and(self, other: Inputs) -> Inputs {
        Inputs(self.0 | other.0)
    }

    pub(crate) const fn meets(self, other: Inputs) -> bool {
        self.0 & other.0 != 0
    }

    /// A declared attribute; some others may be it too, so that a rule is asked once too often.
    pub(crate) fn declared(attribute: &DeclaredName) -> Inputs {
        Inputs(1 << (Self::DECLARED + share(&[attribute.as_str()], Self::DECLARED_COUNT)))
    }

    /// A score, and perhaps some others.
    pub(crate) fn score(name: &ScoreName) -> Inputs {
        Inputs(1 << (Self::SCORES + share(&[name.plugin.as_str(), name.output.as_str()], Self::SCORES_COUNT)))
    }

    /// Their numbers, from 0 on.
    pub(crate) fn numbers(self) -> impl Iterator<Item = usize> {
        (0..Self::COUNT).filter(move |number| self.0 & (1 << number) != 0)
    }
}

/// Which of so many shares a name is in: always the same one, because states keep it. The hash is FNV-1a, 64 bits
/// (draft-eastlake-fnv).
fn share(name: &[&str], of: usize) -> usize {
    let letters = name.iter().flat_map(|part| part.bytes().chain([0]));
    let hash =
        letters.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash % of as u64) as usize
}

impl Fact {
    /// What it touches when it is folded on top of the others.
    pub(crate) fn touches(&self) -> Inputs {
        let own = match self {
            Fact::Visited(_) => Inputs::VISITS,
            Fact::Enquired(_) => Inputs::ENQUIRIES,
            Fact::CartUpdated(_) => Inputs::CARTS,
            Fact::OrderPlaced(_) | Fact::PaymentReceived(_) | Fact::Refunded(_) | Fact::OrderDelivered(_) => {
                Inputs::ORDERS
            }
            Fact::Tagged(_) | Fact::Untagged(_) => Inputs::TAGS,
            Fact::Enlisted(_) | Fact::Unlisted(_) => Inputs::LISTS,
            Fact::PartyDescribed(_) => Inputs::PARTY,
            Fact::Custom(_) => Inputs::CUSTOM,
            Fact::Contacted(_) | Fact::MessageReceived(_) => Inputs::MESSAGES,
            Fact::CaseOpened(_) | Fact::CaseClosed(_) | Fact::CaseReopened(_) => Inputs::CASES,
            Fact::AttributeSet(set) => Inputs::declared(&set.attribute),
            // Nothing is left as it was.
            Fact::Voided(_) => Inputs::ALL,
            // What they come to is compared with what it was.
            Fact::ConsentGiven(_)
            | Fact::ConsentRefused(_)
            | Fact::ConsentWithdrawn(_)
            | Fact::ConsentRequested(_)
            | Fact::SuppressionLifted(_) => Inputs::NONE,
            // Whose scores may not be used has none.
            Fact::Restricted(_) | Fact::RestrictionLifted(_) | Fact::Objected(_) | Fact::ObjectionWithdrawn(_) => {
                Inputs::EVERY_SCORE
            }
            // No rule asks for these.
            Fact::CardChanged(_) | Fact::Identified(_) | Fact::Tied(_) | Fact::Untied(_) => Inputs::NONE,
            Fact::ContractSigned(_) | Fact::ContractRenewed(_) | Fact::ContractEnded(_) => Inputs::NONE,
        };
        own.and(Inputs::LAST_SEEN)
    }
}

impl Deed {
    /// What it touches.
    pub(crate) const fn touches(&self) -> Inputs {
        match self {
            Deed::PointsPosted(_) => Inputs::POINTS,
            Deed::TagAdded(_) | Deed::TagRemoved(_) => Inputs::TAGS,
            Deed::Merged(_) | Deed::Parted(_) | Deed::Erased(_) => Inputs::ALL,
            Deed::CouponClaimed(_)
            | Deed::CouponReserved(_)
            | Deed::CouponRedeemed(_)
            | Deed::CouponReleased(_)
            | Deed::VoucherIssued(_)
            | Deed::VoucherWithdrawn(_)
            | Deed::BadgeEarned(_) => Inputs::REWARDS,
            Deed::CreditPosted(_) => Inputs::CREDIT,
            Deed::PointsReminded(_)
            // Tiers that move by it say so themselves.
            | Deed::TierKept(_)
            // What comes of a reward are points and vouchers.
            | Deed::RewardClaimed(_)
            | Deed::RewardCancelled(_)
            | Deed::Notified(_)
            | Deed::Remembered(_)
            | Deed::Faulted(_)
            | Deed::LookedUp(_)
            | Deed::IdentifierAttached(_)
            | Deed::IdentifierSetAside(_)
            | Deed::DuplicateSuggested(_)
            | Deed::DuplicateRejected(_)
            | Deed::HoldPlaced(_)
            | Deed::HoldReleased(_)
            | Deed::Forgotten(_)
            | Deed::Removed(_)
            | Deed::PersonalKept(_)
            | Deed::IdentifierCorrected(_) => Inputs::NONE,
            // No rule asks for it: what is on a card is whoever's has the code.
            Deed::GiftCardPosted(_) => Inputs::NONE,
            // The points that go with them are postings.
            Deed::PoolMoved(_) | Deed::ReferralMoved(_) | Deed::DrawWon(_) => Inputs::NONE,
            // The segment itself is asked again.
            Deed::SegmentOverridden(_) | Deed::OverrideCleared(_) => Inputs::NONE,
        }
    }
}

impl Predicate {
    /// What the answer depends on, beside the time and other segments.
    pub(crate) fn inputs(&self) -> Inputs {
        let all = |parts: &[Predicate]| parts.iter().map(Predicate::inputs).fold(Inputs::NONE, Inputs::and);
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => all(parts),
            Predicate::Not(part) => part.inputs(),
            Predicate::Compare(left, _, right) => left.inputs().and(right.inputs()),
            Predicate::Known(number) => number.inputs(),
            Predicate::StageIn(_) => Inputs::STAGE,
            Predicate::Text(Texts::Tags, _) => Inputs::TAGS,
            Predicate::Text(Texts::Lists, _) => Inputs::LISTS,
            Predicate::Text(Texts::Badges, _) => Inputs::REWARDS,
            Predicate::Text(Texts::Roles, _) => Inputs::PARTY,
            Predicate::Text(Texts::Tier(_), _) => Inputs::TIERS,
            Predicate::Text(Texts::Declared(attribute), _)
            | Predicate::DeclaredFlag(attribute)
            | Predicate::DeclaredKnown(attribute) => Inputs::declared(attribute),
            Predicate::Text(Texts::Products(happenings) | Texts::Categories(happenings), _) => happenings.inputs(),
            Predicate::InSegment(_) | Predicate::WasIn(..) | Predicate::InFor(..) => Inputs::NONE,
            Predicate::Consents(_) => Inputs::CONSENTS,
        }
    }
}

impl Number {
    fn inputs(&self) -> Inputs {
        match self {
            Number::Constant(_) => Inputs::NONE,
            Number::Attribute(attribute) => match attribute {
                Attribute::RecencyDays
                | Attribute::TenureDays
                | Attribute::Orders
                | Attribute::Refunds
                | Attribute::Spend
                | Attribute::GrossSpend
                | Attribute::AverageOrder => Inputs::ORDERS,
                Attribute::AgeDays => Inputs::FIRST_SEEN,
                Attribute::Visits => Inputs::VISITS,
                Attribute::Enquiries => Inputs::ENQUIRIES,
                Attribute::Carts => Inputs::CARTS,
                Attribute::Points | Attribute::PointsEarned => Inputs::POINTS,
            },
            Number::Over(happenings, _) => happenings.inputs(),
            Number::DaysSince(moment) | Number::Instant(moment) => match moment {
                Moment::FirstSeen => Inputs::FIRST_SEEN,
                Moment::LastSeen => Inputs::LAST_SEEN,
                Moment::First(happenings) | Moment::Last(happenings) => happenings.inputs(),
                Moment::Declared(attribute) => Inputs::declared(attribute),
            },
            Number::Points(_) => Inputs::POINTS,
            Number::Credit(_) => Inputs::CREDIT,
            Number::Vouchers(_) | Number::CouponUses(_) => Inputs::REWARDS,
            Number::DeclaredWhole(attribute) | Number::DeclaredDecimal(attribute) => Inputs::declared(attribute),
            Number::Score(name) => Inputs::score(name),
            Number::Bucket { .. } => Inputs::MEMBERS,
            Number::Calculate(left, _, right) => left.inputs().and(right.inputs()),
        }
    }
}

impl Happenings {
    const fn inputs(&self) -> Inputs {
        match self.what {
            Events::Orders | Events::OrdersOf(_) | Events::OrdersIn(_) => Inputs::ORDERS,
            Events::Visits => Inputs::VISITS,
            Events::Enquiries => Inputs::ENQUIRIES,
            Events::Carts => Inputs::CARTS,
            Events::Messages(_) => Inputs::MESSAGES,
            Events::Cases(_) | Events::OpenCases(_) => Inputs::CASES,
            Events::Custom(_) => Inputs::CUSTOM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::ScoreOutput;
    use crate::workflow::PluginName;

    #[test]
    fn a_score_and_an_attribute_touch_what_asks_for_them_and_little_else() {
        let name = |n: usize| format!("n{n}");
        let score = |n: usize| {
            let plugin = PluginName::new("churn").unwrap();
            Inputs::score(&ScoreName { plugin, output: ScoreOutput::new(name(n)).unwrap() })
        };
        let declared = |n: usize| Inputs::declared(&DeclaredName::new(name(n)).unwrap());
        let others = Inputs((1 << Inputs::DECLARED) - 1);
        for n in 0..100 {
            for own in [score(n), declared(n)] {
                assert!(own.0.is_power_of_two() && own.meets(Inputs::ALL) && !own.meets(others));
            }
            assert!(!score(n).meets(declared(n)));
        }
        let shared = (1..100).filter(|n| score(0).meets(score(*n))).count();
        assert!(shared < 20, "{shared} of 99 other scores share the place of one");
        // States keep these: they never change.
        assert_eq!((score(0).0.trailing_zeros(), declared(0).0.trailing_zeros()), (44, 26));
    }
}
