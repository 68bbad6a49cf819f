//! Which scores are asked about. Only these are in the states of customers: a score that no rule asks about is written
//! without reading or writing a state.

use std::collections::BTreeSet;

use super::ScoreName;
use crate::definitions::Definition;
use crate::expression::{Number, Predicate};

impl Definition {
    /// The rules in it.
    fn rules(&self) -> Vec<&Predicate> {
        match self {
            Definition::Segment(_, Some(rule)) => vec![rule],
            Definition::Program(_, Some(program)) => {
                let earning = program.earning.iter().filter_map(|rule| rule.when.as_ref());
                earning.chain(program.multipliers.iter().filter_map(|one| one.when.as_ref())).collect()
            }
            Definition::Coupon(_, Some(coupon)) => coupon.when.iter().collect(),
            Definition::Reward(_, Some(reward)) => reward.when.iter().collect(),
            Definition::Badge(_, Some(badge)) => vec![&badge.when],
            Definition::Segment(_, None)
            | Definition::Program(_, None)
            | Definition::Coupon(_, None)
            | Definition::Reward(_, None)
            | Definition::Badge(_, None)
            | Definition::Currency(_)
            | Definition::Lifecycle(_)
            | Definition::Kind(..)
            | Definition::Attribute(..)
            | Definition::Scorer(..)
            | Definition::ScorePolicy(..)
            | Definition::CardSchema(_)
            | Definition::Completeness(_)
            | Definition::Consent(_)
            | Definition::Identity(_)
            | Definition::Privacy(_)
            | Definition::View(..)
            | Definition::Retention(..)
            | Definition::List(..)
            | Definition::Value(_)
            | Definition::LifecycleSegments(_)
            | Definition::StampCard(..)
            | Definition::Referral(..)
            | Definition::Draw(..)
            | Definition::Grants(..) => Vec::new(),
        }
    }

    /// The scores that its rules ask about.
    pub(crate) fn asked_scores(&self) -> BTreeSet<&ScoreName> {
        self.rules().into_iter().flat_map(Predicate::scores).collect()
    }
}

impl Predicate {
    /// The scores that it asks about, each once.
    #[must_use]
    pub fn scores(&self) -> BTreeSet<&ScoreName> {
        let mut scores = BTreeSet::new();
        let mut open = vec![self];
        while let Some(part) = open.pop() {
            match part {
                Predicate::All(parts) | Predicate::Any(parts) => open.extend(parts),
                Predicate::Not(part) => open.push(part),
                Predicate::Compare(left, _, right) => [left, right].into_iter().for_each(|one| named(one, &mut scores)),
                Predicate::Known(number) => named(number, &mut scores),
                Predicate::StageIn(_)
                | Predicate::Text(..)
                | Predicate::InSegment(_)
                | Predicate::WasIn(..)
                | Predicate::InFor(..)
                | Predicate::Consents(_)
                | Predicate::DeclaredFlag(_)
                | Predicate::DeclaredKnown(_) => {}
            }
        }
        scores
    }
}

fn named<'n>(number: &'n Number, scores: &mut BTreeSet<&'n ScoreName>) {
    let mut open = vec![number];
    while let Some(number) = open.pop() {
        match number {
            Number::Score(name) => drop(scores.insert(name)),
            Number::Calculate(left, _, right) => open.extend([&**left, &**right]),
            Number::Constant(_)
            | Number::Attribute(_)
            | Number::Over(..)
            | Number::DaysSince(_)
            | Number::Instant(_)
            | Number::Points(_)
            | Number::Credit(_)
            | Number::Vouchers(_)
            | Number::CouponUses(_)
            | Number::DeclaredWhole(_)
            | Number::DeclaredDecimal(_)
            | Number::Bucket { .. } => {}
        }
    }
}
