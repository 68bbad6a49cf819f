//! One number for what a customer is worth, out of several with weights, and the tiers it leads to: a weighted mean of
//! measures that are normalised by rank, as amounts with long tails would drown all else.
//!
//! Each part is brought to 0 … 1,000 per mille by rank: of those whose value differs from the customer's, the share who
//! are worse. So the best have 1,000 and the worst 0, equals have the same, and it does not matter by how much somebody
//! is ahead. Where all are equal nobody is worse and nobody better, and each has 500. Whoever has no value in a part has
//! 0 there, and is nobody's rival.
//!
//! The composite value is the mean of the parts by weight, rounded half to even, and comes with all its parts.

use serde::{Deserialize, Serialize};

use super::ratio::{clamped, share};
use crate::loyalty::TierName;
use crate::text::text_type;

text_type!(
    /// The name of a part of a composite value, such as `margin` or `influence`.
    PartName, "part of a value", 64
);
text_type!(
    /// The name of the policy by which a value tier is treated, such as `personal_contact`: what it means is up to
    /// the shop and its workflows.
    TreatmentName, "treatment", 64
);

/// The most parts, and the most tiers, that a composite value may have.
pub const PARTS_MAX: usize = 64;

/// Which values of a part are good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// High ones, as of money.
    #[default]
    Higher,
    /// Low ones, as of days since the last order.
    Lower,
}

/// A part and how much it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRule {
    /// Its name.
    pub name: PartName,
    /// How much it counts beside the others; 0 shows it and does not count it.
    pub weight: u32,
    /// Which of its values are good.
    #[serde(default)]
    pub better: Better,
}

/// A tier by composite value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueTier {
    /// Its name.
    pub name: TierName,
    /// The least composite value that is in it, in per mille.
    pub from_per_mille: u16,
    /// By which policy of the shop its customers are treated.
    #[serde(default)]
    pub treatment: Option<TreatmentName>,
}

/// Why a composite value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompositeError {
    /// No part counts.
    #[error("no part of the value has a weight")]
    Weightless,
    /// Too many parts or tiers.
    #[error("{count} {what}, more than {PARTS_MAX}")]
    TooMany {
        /// Parts or tiers.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// Two parts have one name, or two tiers.
    #[error("{name:?} is there twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// Two tiers begin at one value, or one begins beyond what there is.
    #[error("a tier from {per_mille} per mille, where another one begins or which is more than 1000")]
    Threshold {
        /// Where.
        per_mille: u16,
    },
}

/// How a shop puts one value together, and which tiers follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Rules", into = "Rules")]
pub struct CompositePolicy(Rules);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    parts: Vec<PartRule>,
    /// The highest first.
    #[serde(default)]
    tiers: Vec<ValueTier>,
}

/// One part of a customer's composite value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuePart {
    /// Which.
    pub name: PartName,
    /// What it was reckoned from; none if it was not known.
    pub value: Option<i64>,
    /// Where that is among the base: 0 to 1,000.
    pub per_mille: u16,
    /// How much it counts.
    pub weight: u32,
}

/// A customer's composite value, with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composite {
    /// 0 to 1,000.
    pub per_mille: u16,
    /// The highest tier it reaches.
    pub tier: Option<TierName>,
    /// What it is made of, as the policy has it.
    pub parts: Vec<ValuePart>,
}

impl CompositePolicy {
    /// A value of parts, with tiers in any order.
    ///
    /// # Errors
    ///
    /// `CompositeError` if no part has a weight, there are too many parts or tiers, two have one name, or two tiers
    /// begin at one value.
    pub fn new(parts: Vec<PartRule>, tiers: Vec<ValueTier>) -> Result<Self, CompositeError> {
        Rules { parts, tiers }.try_into()
    }

    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &[PartRule] {
        &self.0.parts
    }

    /// The tiers, the highest first.
    #[must_use]
    pub fn tiers(&self) -> &[ValueTier] {
        &self.0.tiers
    }

    /// The highest tier that a composite value reaches.
    #[must_use]
    pub fn tier(&self, per_mille: u16) -> Option<&ValueTier> {
        self.0.tiers.iter().find(|tier| tier.from_per_mille <= per_mille)
    }

    /// The composite values of a base, in its order. `value` says what a customer has in a part; it is asked once for
    /// each. Money in several currencies is not one part: take a base for each. Costs a sort for each part.
    ///
    /// ```
    /// use crm_core::value::{Better, CompositePolicy, PartName, PartRule};
    ///
    /// let part = |name, weight, better| PartName::new(name).map(|name| PartRule { name, weight, better });
    /// let policy = CompositePolicy::new(
    ///     vec![part("margin", 3, Better::Higher)?, part("days_since", 1, Better::Lower)?],
    ///     Vec::new(),
    /// )?;
    /// let base = [(500, 20), (900, 20), (700, 3)];
    /// let values = policy.values(&base, |(margin, days), part| {
    ///     Some(if part.as_str() == "margin" { *margin } else { *days })
    /// });
    /// assert_eq!(values.iter().map(|value| value.per_mille).collect::<Vec<_>>(), [0, 750, 625]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn values<K>(&self, base: &[K], mut value: impl FnMut(&K, &PartName) -> Option<i64>) -> Vec<Composite> {
        let own = |customer: &K| self.0.parts.iter().map(|part| value(customer, &part.name)).collect();
        let rows: Vec<Vec<Option<i64>>> = base.iter().map(own).collect();
        let scale = self.scale(rows.iter().map(|row| row.iter().copied()));
        rows.iter().map(|row| scale.composite(self, row)).collect()
    }

    /// What a base is compared by: for each customer the values of all parts, in the order of the parts; a value too
    /// few is none. Costs a sort for each part, and keeps a number for each value that is there.
    pub fn scale<R: IntoIterator<Item = Option<i64>>>(&self, base: impl IntoIterator<Item = R>) -> CompositeScale {
        let mut sorted = vec![Vec::new(); self.0.parts.len()];
        for row in base {
            for (values, value) in sorted.iter_mut().zip(row) {
                values.extend(value);
            }
        }
        sorted.iter_mut().for_each(|values: &mut Vec<i64>| values.sort_unstable());
        CompositeScale { sorted }
    }
}

/// The values of a base in each part, which any customer's can be compared with one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompositeScale {
    /// Of each part, in rising order.
    sorted: Vec<Vec<i64>>,
}

impl CompositeScale {
    /// The composite value of one customer under the policy that made the scale, by the values of all parts. Costs a
    /// few looks at the scale for each part.
    #[must_use]
    pub fn composite(&self, policy: &CompositePolicy, values: &[Option<i64>]) -> Composite {
        let values = values.iter().copied().chain(std::iter::repeat(None));
        let rules = policy.0.parts.iter().zip(&self.sorted).zip(values);
        let parts: Vec<ValuePart> = rules
            .map(|((rule, sorted), value)| ValuePart {
                name: rule.name.clone(),
                value,
                per_mille: value.map_or(0, |value| place(sorted, value, rule.better)),
                weight: rule.weight,
            })
            .collect();
        let per_mille = mean(&parts);
        let tier = policy.tier(per_mille).map(|tier| tier.name.clone());
        Composite { per_mille, tier, parts }
    }
}

impl TryFrom<Rules> for CompositePolicy {
    type Error = CompositeError;

    fn try_from(mut rules: Rules) -> Result<Self, CompositeError> {
        for (what, count) in [("parts", rules.parts.len()), ("tiers", rules.tiers.len())] {
            if count > PARTS_MAX {
                return Err(CompositeError::TooMany { what, count });
            }
        }
        if rules.parts.iter().all(|part| part.weight == 0) {
            return Err(CompositeError::Weightless);
        }
        let parts = rules.parts.iter().map(|part| part.name.as_str());
        let tiers = rules.tiers.iter().map(|tier| tier.name.as_str());
        if let Some(name) = twice(parts).or_else(|| twice(tiers)) {
            return Err(CompositeError::Twice { name: name.to_owned() });
        }
        rules.tiers.sort_by_key(|tier| std::cmp::Reverse(tier.from_per_mille));
        let beyond = rules.tiers.first().filter(|tier| tier.from_per_mille > 1_000);
        let same = rules.tiers.windows(2).find(|pair| pair[0].from_per_mille == pair[1].from_per_mille);
        match beyond.or(same.map(|pair| &pair[0])) {
            Some(tier) => Err(CompositeError::Threshold { per_mille: tier.from_per_mille }),
            None => Ok(CompositePolicy(rules)),
        }
    }
}

impl From<CompositePolicy> for Rules {
    fn from(policy: CompositePolicy) -> Rules {
        policy.0
    }
}

fn twice<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Of those whose value differs, how many per mille are worse.
fn place(sorted: &[i64], value: i64, better: Better) -> u16 {
    let lower = sorted.partition_point(|other| *other < value) as i128;
    let higher = sorted.len() as i128 - sorted.partition_point(|other| *other <= value) as i128;
    let worse = match better {
        Better::Higher => lower,
        Better::Lower => higher,
    };
    // At most 1,000, as who is worse differs.
    share(worse, lower + higher, 1_000).map_or(500, clamped) as u16
}

fn mean(parts: &[ValuePart]) -> u16 {
    let weights: i128 = parts.iter().map(|part| i128::from(part.weight)).sum();
    let sum: i128 = parts.iter().map(|part| i128::from(part.weight) * i128::from(part.per_mille)).sum();
    // A mean of numbers up to 1,000.
    share(sum, weights, 1).map_or(0, clamped) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(name: &str, weight: u32, better: Better) -> PartRule {
        PartRule { name: PartName::new(name).unwrap(), weight, better }
    }

    fn tier(name: &str, from_per_mille: u16) -> ValueTier {
        let treatment = Some(TreatmentName::new("by_hand").unwrap());
        ValueTier { name: TierName::new(name).unwrap(), from_per_mille, treatment }
    }

    fn policy(a: u32, b: u32) -> CompositePolicy {
        let parts = vec![part("a", a, Better::Higher), part("b", b, Better::Lower)];
        CompositePolicy::new(parts, vec![tier("silver", 400), tier("gold", 700)]).unwrap()
    }

    type Row = (Option<i64>, Option<i64>);

    fn values(policy: &CompositePolicy, base: &[Row]) -> Vec<Composite> {
        policy.values(base, |row, part| if part.as_str() == "a" { row.0 } else { row.1 })
    }

    #[test]
    fn a_value_is_the_mean_of_its_parts_by_weight_and_comes_with_them() {
        let base = [(Some(10), Some(1)), (Some(20), Some(9)), (Some(30), None)];
        let of = values(&policy(3, 1), &base);
        let parts =
            |n: usize| of[n].parts.iter().map(|part| (part.value, part.per_mille, part.weight)).collect::<Vec<_>>();
        assert_eq!(parts(0), [(Some(10), 0, 3), (Some(1), 1_000, 1)]);
        assert_eq!(parts(2), [(Some(30), 1_000, 3), (None, 0, 1)]);
        assert_eq!(of.iter().map(|value| value.per_mille).collect::<Vec<_>>(), [250, 375, 750]);
        let tiers: Vec<_> = of.iter().map(|value| value.tier.as_ref().map(TierName::as_str)).collect();
        assert_eq!(tiers, [None, None, Some("gold")]);
        assert_eq!(policy(3, 1).tier(699).unwrap().name.as_str(), "silver");
    }

    #[test]
    fn equals_share_a_place_and_the_best_and_the_worst_are_at_the_ends() {
        let places = |values: &[i64]| -> Vec<u16> {
            let mut sorted = values.to_vec();
            sorted.sort_unstable();
            values.iter().map(|value| place(&sorted, *value, Better::Higher)).collect()
        };
        assert_eq!(places(&[1, 9, 9, 9]), [0, 1_000, 1_000, 1_000]);
        assert_eq!(places(&[1, 5, 5, 9]), [0, 500, 500, 1_000]);
        assert_eq!(places(&[7, 7]), [500, 500]);
        let lower = CompositePolicy::new(vec![part("a", 1, Better::Lower)], vec![]).unwrap();
        let of = lower.values(&[None, Some(7)], |value, _| *value);
        assert_eq!(of.iter().map(|value| value.per_mille).collect::<Vec<_>>(), [0, 500]);
    }

    #[test]
    fn a_policy_that_makes_no_sense_is_refused_and_one_that_does_is_read_back() {
        let one = || vec![part("a", 1, Better::Higher)];
        let refused = |parts, tiers| CompositePolicy::new(parts, tiers).unwrap_err();
        assert_eq!(refused(vec![], vec![]), CompositeError::Weightless);
        assert_eq!(refused(vec![part("a", 0, Better::Lower)], vec![]), CompositeError::Weightless);
        assert!(matches!(refused([one(), one()].concat(), vec![]), CompositeError::Twice { .. }));
        assert!(matches!(refused(one(), vec![tier("x", 1), tier("x", 2)]), CompositeError::Twice { .. }));
        assert_eq!(refused(one(), vec![tier("x", 1), tier("y", 1)]), CompositeError::Threshold { per_mille: 1 });
        assert_eq!(refused(one(), vec![tier("x", 1_001)]), CompositeError::Threshold { per_mille: 1_001 });
        assert!(matches!(
            refused(vec![part("a", 1, Better::Higher); 65], vec![]),
            CompositeError::TooMany { count: 65, .. }
        ));
        let json = serde_json::to_string(&policy(1, 2)).unwrap();
        assert_eq!(serde_json::from_str::<CompositePolicy>(&json).unwrap(), policy(1, 2), "{json}");
        assert!(serde_json::from_str::<CompositePolicy>(r#"{"parts":[]}"#).is_err());
    }

    fn base() -> impl Strategy<Value = Vec<Row>> {
        let value = || proptest::option::weighted(0.9, -20..20_i64);
        proptest::collection::vec((value(), value()), 1..30)
    }

    proptest! {
        #[test]
        fn the_order_of_the_base_does_not_matter_and_values_stay_in_range(base in base(), a in 1..50_u32, b in 0..50_u32) {
            let of = values(&policy(a, b), &base);
            prop_assert!(of.iter().all(|value| value.per_mille <= 1_000));
            let mut reversed = base;
            reversed.reverse();
            let mut of_reversed = values(&policy(a, b), &reversed);
            of_reversed.reverse();
            prop_assert_eq!(of, of_reversed);
        }

        #[test]
        fn more_weight_moves_a_value_towards_the_part(base in base(), a in 1..50_u32, b in 1..50_u32, more in 0..50_u32) {
            for (less, heavier) in values(&policy(a, b), &base).iter().zip(values(&policy(a + more, b), &base)) {
                let [of_a, of_b] = [less.parts[0].per_mille, less.parts[1].per_mille];
                if of_a >= of_b {
                    prop_assert!(heavier.per_mille >= less.per_mille);
                } else {
                    prop_assert!(heavier.per_mille <= less.per_mille);
                }
            }
        }

        #[test]
        fn who_is_better_in_every_part_is_never_worth_less(base in base(), a in 1..50_u32, b in 0..50_u32) {
            let of = values(&policy(a, b), &base);
            for (x, of_x) in base.iter().zip(&of) {
                for (y, of_y) in base.iter().zip(&of) {
                    // No value at all is below any.
                    let better = x.0 >= y.0 && x.1.map(|value| -value) >= y.1.map(|value| -value);
                    prop_assert!(!better || of_x.per_mille >= of_y.per_mille);
                }
            }
        }
    }
}
