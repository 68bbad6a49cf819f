//! What earns points: rules, what multiplies them, what never counts, and what they come to for somebody.

mod basket;
mod earn;
mod given;
mod redeemable;
mod rounded;
mod rule;

pub use basket::{Cart, Purchase};
pub(crate) use earn::Stretch;
pub use earn::{Earning, Happening, Occasion, Reason};
pub(super) use given::{Left, RuleNames, Shares, Yearly, given};
pub use redeemable::{RedeemLimit, Redeemable};
pub use rule::{
    Cap, Counts, EarningRule, Exclusions, Factor, Formula, Lines, Multiplier, On, Per, RULES_MAX, Rounding,
    RoundingPlace, RuleName,
};
