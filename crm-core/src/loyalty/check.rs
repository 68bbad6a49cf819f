//! What a programme has to keep to before it can be defined.

use std::collections::BTreeSet;

use super::earning::{Cap, EarningRule, Factor, Formula, Lines, Multiplier, On, RULES_MAX, RuleName};
use super::{
    Expiry, GiftPolicy, LOYALTY_POINTS_MAX, POOL_MEMBERS_MAX, PoolPolicy, Program, Redemption, TierError, TierName,
    Validity,
};
use crate::expression::{LimitError, Predicate};
use crate::time::{Span, Timestamp};

/// The least and the most that a multiplier multiplies by, in thousandths.
pub const FACTOR_RANGE: std::ops::RangeInclusive<u32> = 1..=1_000_000;
/// The most products, categories, tiers, countries or channels that one list of a programme names.
pub const NAMED_MAX: usize = 10_000;
/// The longest time that a programme may speak of, in months or as a [`Span`] of so many days: 100 years.
const MONTHS_MAX: u32 = 1_200;
const SPAN_MAX: Span = Span::days(36_525);

/// Why a programme was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It has too many of something.
    #[error("{count} {what} are more than {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Two earning rules, or two multipliers, have one name.
    #[error("{rule} is there twice")]
    Twice {
        /// Which name.
        rule: RuleName,
    },
    /// Its tiers cannot be kept.
    #[error(transparent)]
    Tiers(#[from] TierError),
    /// It speaks of a tier that it does not have.
    #[error("{rule} speaks of tier {tier}, which is not there")]
    NoTier {
        /// Which multiplier.
        rule: RuleName,
        /// Which tier.
        tier: TierName,
    },
    /// It speaks of an earning rule that it does not have.
    #[error("{rule} speaks of the rule {other}, which is not there")]
    NoRule {
        /// Which multiplier.
        rule: RuleName,
        /// Which rule.
        other: RuleName,
    },
    /// A number is out of bounds.
    #[error("{what} is {is}, and has to be {min} to {max}")]
    OutOfBounds {
        /// Which number.
        what: &'static str,
        /// What it is.
        is: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Something ends before it begins.
    #[error("{what} ends at {until}, not after {from}")]
    EndsFirst {
        /// What.
        what: String,
        /// From when on.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// A rule that does not answer to orders asks for lines, a minimum, or gives by money or by piece.
    #[error("{rule} answers to no orders, and asks for what only orders have")]
    OrdersOnly {
        /// Which rule.
        rule: RuleName,
    },
    /// A rule asks for a channel, and answers to what comes by none.
    #[error("{rule} answers to what comes by no channel, and asks for one")]
    NoChannel {
        /// Which rule.
        rule: RuleName,
    },
    /// The condition of a rule exceeds a limit.
    #[error("the condition of {rule}")]
    Condition {
        /// Which rule or multiplier.
        rule: RuleName,
        /// What is wrong with it.
        source: LimitError,
    },
    /// The condition of a rule asks about the past of segments: ask for a segment that does.
    #[error("the condition of {rule} asks who was in a segment before; only segments may")]
    AsksPast {
        /// Which rule or multiplier.
        rule: RuleName,
    },
}

impl Program {
    /// Checks what was defined: limits, names, and whether every part of it can ever do something.
    ///
    /// # Errors
    ///
    /// `ProgramError`, for the first thing that is wrong.
    pub fn check(&self) -> Result<(), ProgramError> {
        let Program {
            currency: _,
            zone: _,
            validity,
            earning,
            multipliers,
            exclusions,
            rounding: _,
            pending,
            expiry,
            remind,
            reinstate_within,
            shortfall: _,
            redemption,
            tiers,
            gifts,
            pools,
        } = self;
        let Validity { from, until, countries, paused: _ } = validity;
        lasts("the programme", *from, *until)?;
        at_most("countries", countries.len(), NAMED_MAX)?;
        at_most("earning rules", earning.len(), RULES_MAX)?;
        at_most("multipliers", multipliers.len(), RULES_MAX)?;
        at_most("excluded products", exclusions.products.len(), NAMED_MAX)?;
        at_most("excluded categories", exclusions.categories.len(), NAMED_MAX)?;
        unique(earning.iter().map(|rule| &rule.name))?;
        unique(multipliers.iter().map(|multiplier| &multiplier.name))?;
        tiers.check()?;
        if let Some(GiftPolicy { at_least, at_most: Some(most), each: _, expiry: _ }) = gifts {
            within("how many points are given at most", *most, (*at_least).max(1), LOYALTY_POINTS_MAX.unsigned_abs())?;
        }
        if let Some(PoolPolicy { members, each: _, on_leaving: _, share_millionths }) = pools {
            within("how many members a pool has", (*members).into(), 1, POOL_MEMBERS_MAX as u64)?;
            within("the share of a pool, in millionths,", (*share_millionths).into(), 0, 1_000_000)?;
        }
        earning.iter().try_for_each(EarningRule::check)?;
        multipliers.iter().try_for_each(|multiplier| multiplier.check(self))?;
        redemption.map_or(Ok(()), Redemption::check)?;
        let (super::Pending::For(pending) | super::Pending::AfterDelivery(pending)) = pending else {
            return self.check_ends(*expiry, &[*remind, *reinstate_within]);
        };
        self.check_ends(*expiry, &[*remind, *reinstate_within, Some(*pending)])
    }

    fn check_ends(&self, expiry: Expiry, spans: &[Option<Span>]) -> Result<(), ProgramError> {
        spans.iter().flatten().try_for_each(|span| long("a span of the programme", *span, 0))?;
        match expiry {
            Expiry::Never | Expiry::At(_) => Ok(()),
            Expiry::After(span) | Expiry::AfterActivity(span) => long("for how long points last", span, 1),
            Expiry::EndOf { period: _, months } => {
                within("after how many months points expire", months.into(), 0, MONTHS_MAX.into())
            }
        }
    }
}

impl EarningRule {
    fn check(&self) -> Result<(), ProgramError> {
        let EarningRule { name, on, when, channels, lines, minimum, gives, counts: _, cap, from, until } = self;
        let Lines { products, categories } = lines;
        lasts(name.as_str(), *from, *until)?;
        condition(name, when.as_ref())?;
        at_most("products of a rule", products.len(), NAMED_MAX)?;
        at_most("categories of a rule", categories.len(), NAMED_MAX)?;
        if let Some(Cap { points: 0, per: _ }) = cap {
            return Err(ProgramError::OutOfBounds { what: "a cap", is: 0, min: 1, max: u64::MAX });
        }
        let by_order = match *gives {
            Formula::Fixed(_) => !products.is_empty() || !categories.is_empty() || minimum.is_some(),
            Formula::PerMoney { points: _, per_minor } => {
                within("for how many minor units a rule gives points", per_minor.into(), 1, u32::MAX.into())?;
                true
            }
            Formula::PerItem(_) => true,
        };
        if by_order && *on != On::Order {
            return Err(ProgramError::OrdersOnly { rule: name.clone() });
        }
        if !channels.is_empty() && matches!(on, On::Custom(_) | On::Yearly(_)) {
            return Err(ProgramError::NoChannel { rule: name.clone() });
        }
        Ok(())
    }
}

impl Multiplier {
    fn check(&self, program: &Program) -> Result<(), ProgramError> {
        let Multiplier { name, by: Factor(by), tiers, when, rules, from, until } = self;
        lasts(name.as_str(), *from, *until)?;
        condition(name, when.as_ref())?;
        within(
            "by how many thousandths is multiplied",
            (*by).into(),
            (*FACTOR_RANGE.start()).into(),
            (*FACTOR_RANGE.end()).into(),
        )?;
        if let Some(tier) = tiers.iter().find(|tier| program.tiers.rule(tier).is_none()) {
            return Err(ProgramError::NoTier { rule: name.clone(), tier: tier.clone() });
        }
        let known = |other: &RuleName| program.earning.iter().any(|rule| rule.name == *other);
        match rules.iter().find(|other| !known(other)) {
            Some(other) => Err(ProgramError::NoRule { rule: name.clone(), other: other.clone() }),
            None => Ok(()),
        }
    }
}

impl Redemption {
    fn check(self) -> Result<(), ProgramError> {
        let Redemption { points, minor, at_least: _, up_to_percent } = self;
        within("how many points are redeemed", points.into(), 1, u32::MAX.into())?;
        within("how many minor units points are worth", minor.into(), 1, u32::MAX.into())?;
        within("the share of an order that is paid with points, in hundredths,", up_to_percent.into(), 1, 100)
    }
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), ProgramError> {
    if count <= max { Ok(()) } else { Err(ProgramError::TooMany { what, count, max }) }
}

fn within(what: &'static str, is: u64, min: u64, max: u64) -> Result<(), ProgramError> {
    if (min..=max).contains(&is) { Ok(()) } else { Err(ProgramError::OutOfBounds { what, is, min, max }) }
}

fn long(what: &'static str, span: Span, min: u64) -> Result<(), ProgramError> {
    let as_millis = |span: Span| u64::try_from(span.as_millis()).unwrap_or(0);
    within(what, as_millis(span), min, as_millis(SPAN_MAX))
}

fn lasts(what: &str, from: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), ProgramError> {
    match from.zip(until) {
        Some((from, until)) if until <= from => Err(ProgramError::EndsFirst { what: what.to_owned(), from, until }),
        Some(_) | None => Ok(()),
    }
}

fn unique<'r>(mut names: impl Iterator<Item = &'r RuleName>) -> Result<(), ProgramError> {
    let mut known = BTreeSet::new();
    match names.find(|name| !known.insert(*name)) {
        Some(name) => Err(ProgramError::Twice { rule: name.clone() }),
        None => Ok(()),
    }
}

fn condition(rule: &RuleName, when: Option<&Predicate>) -> Result<(), ProgramError> {
    let Some(when) = when else { return Ok(()) };
    when.check().map_err(|source| ProgramError::Condition { rule: rule.clone(), source })?;
    if when.remembered().is_empty() { Ok(()) } else { Err(ProgramError::AsksPast { rule: rule.clone() }) }
}
