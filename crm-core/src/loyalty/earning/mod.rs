//! What earns points: rules, what multiplies them, and what never counts.

mod rule;

pub use rule::{
    Cap, Counts, EarningRule, Exclusions, Factor, Formula, Lines, Multiplier, On, Per, RULES_MAX, Rounding,
    RoundingPlace, RuleName,
};
