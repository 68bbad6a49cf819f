//! What customers are worth by whom they brought: those they referred, those these referred, and what both spend
//! (customer referral value: Kumar, Petersen and Leone, How valuable is word of mouth?, Harvard Business Review, October 2007;
//! here in money that was spent, and two levels deep).
//!
//! Whoever was referred by several counts for the one who did so first, of two at one instant for the lower id: so what
//! is spent is counted once on each level. Nobody refers themself, directly or around a corner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::CustomerId;
use crate::time::Timestamp;

/// Somebody brought somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Referral {
    /// Who brought.
    pub referrer: CustomerId,
    /// Whom.
    pub referred: CustomerId,
    /// When.
    pub since: Timestamp,
}

/// What a customer's referrals are worth, in minor units of one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralValue {
    /// How many they brought.
    pub direct: u32,
    /// What these spend.
    pub direct_minor: i128,
    /// How many these brought in turn.
    pub second: u32,
    /// What those spend.
    pub second_minor: i128,
}

/// The value of everybody's referrals, of those who brought somebody. `spend` says what somebody spent, in minor units
/// of one currency; it is asked once for each who was referred. The order of the referrals does not matter.
pub fn referral_values(
    referrals: impl IntoIterator<Item = Referral>,
    mut spend: impl FnMut(CustomerId) -> i64,
) -> BTreeMap<CustomerId, ReferralValue> {
    let mut first: BTreeMap<CustomerId, (Timestamp, CustomerId)> = BTreeMap::new();
    for Referral { referrer, referred, since } in referrals {
        if referrer != referred {
            let known = first.entry(referred).or_insert((since, referrer));
            *known = (*known).min((since, referrer));
        }
    }
    let mut values: BTreeMap<CustomerId, ReferralValue> = BTreeMap::new();
    for (referred, (_, referrer)) in &first {
        let minor = i128::from(spend(*referred));
        let value = values.entry(*referrer).or_default();
        value.direct += 1;
        value.direct_minor += minor;
        if let Some((_, second)) = first.get(referrer).filter(|(_, second)| second != referred) {
            let value = values.entry(*second).or_default();
            value.second += 1;
            value.second_minor += minor;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use proptest::prelude::*;

    fn id(n: u32) -> CustomerId {
        CustomerId::from_uuid(uuid::Uuid::from_u128(n.into()))
    }

    fn referral(referrer: u32, referred: u32, day: u32) -> Referral {
        Referral { referrer: id(referrer), referred: id(referred), since: Timestamp::MIN.plus(Span::days(day)) }
    }

    /// Everybody spends ten to the power of their number.
    fn values(referrals: &[Referral]) -> BTreeMap<CustomerId, ReferralValue> {
        let spend = |who| (0..10).find(|n| id(*n) == who).map_or(0, |n| 10_i64.pow(n));
        referral_values(referrals.iter().copied(), spend)
    }

    #[test]
    fn what_the_referred_and_those_they_referred_spend_is_told_apart() {
        let values = values(&[referral(0, 1, 1), referral(0, 2, 1), referral(1, 3, 2), referral(3, 4, 3)]);
        let of = |n| values[&id(n)];
        assert_eq!(of(0), ReferralValue { direct: 2, direct_minor: 110, second: 1, second_minor: 1_000 });
        assert_eq!(of(1), ReferralValue { direct: 1, direct_minor: 1_000, second: 1, second_minor: 10_000 });
        assert!(!values.contains_key(&id(4)));
    }

    #[test]
    fn the_first_who_referred_somebody_counts() {
        let values = values(&[referral(5, 1, 2), referral(7, 1, 1), referral(6, 1, 1), referral(1, 1, 0)]);
        assert_eq!(values.keys().copied().collect::<Vec<_>>(), [id(6)]);
    }

    #[test]
    fn two_who_referred_each_other_are_not_their_own_second_level() {
        let values = values(&[referral(0, 1, 1), referral(1, 0, 1)]);
        assert_eq!(values[&id(0)], ReferralValue { direct: 1, direct_minor: 10, ..ReferralValue::default() });
    }

    proptest! {
        #[test]
        fn each_who_was_referred_counts_once_whatever_the_order(
            referrals in proptest::collection::vec((0..8_u32, 0..8_u32, 0..4_u32), 0..30),
        ) {
            let mut referrals: Vec<Referral> = referrals.into_iter().map(|(a, b, day)| referral(a, b, day)).collect();
            let of = values(&referrals);
            let referred: std::collections::BTreeSet<CustomerId> =
                referrals.iter().filter(|one| one.referrer != one.referred).map(|one| one.referred).collect();
            prop_assert_eq!(of.values().map(|value| value.direct as usize).sum::<usize>(), referred.len());
            let spent: i128 = (0..8).filter(|n| referred.contains(&id(*n))).map(|n| 10_i128.pow(n)).sum();
            prop_assert_eq!(of.values().map(|value| value.direct_minor).sum::<i128>(), spent);
            prop_assert!(of.values().map(|value| value.second as usize).sum::<usize>() <= referred.len());
            referrals.reverse();
            prop_assert_eq!(values(&referrals), of);
        }
    }
}
