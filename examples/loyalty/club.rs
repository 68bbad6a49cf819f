//! The rules of the club: data, and nothing else.

use std::error::Error;

use crm::loyalty::{
    Benefit, Coupon, CouponCode, Factor, Lines, Multiplier, Pending, Period, Redemption, RuleName, TierName, TierRule,
    Tiers,
};
use crm::{CategoryName, Currency, EarningRule, Expiry, Formula, Program, Span};

type Failure = Box<dyn Error>;

/// A point for each dollar and two more for each dollar of fruit and vegetables, none for fuel; they can be spent after two
/// weeks, and last to the end of the quarter after the next. Whoever has 400 points from one quarter is silver until the end of the
/// next, and of 800 gold, with half as many points on top.
pub(crate) fn club() -> Result<Program, Failure> {
    let categories = |name: &str| Ok::<_, Failure>([CategoryName::new(name)?].into());
    let mut produce = EarningRule::new(RuleName::new("produce")?, Formula::PerMoney { points: 2, per_minor: 100 });
    produce.lines = Lines { categories: categories("PRODUCE")?, ..Lines::default() };
    let mut program = Program {
        zone: "America/New_York".parse()?,
        pending: Pending::For(Span::days(14)),
        expiry: Expiry::EndOf { period: Period::Quarter, months: 3 },
        remind: Some(Span::days(14)),
        reinstate_within: Some(Span::days(30)),
        redemption: Some(Redemption { points: 100, minor: 100, at_least: 500, up_to_percent: 50 }),
        tiers: Tiers {
            rules: vec![TierRule::new(TierName::new("silver")?, 400), TierRule::new(TierName::new("gold")?, 800)],
            window: crm::loyalty::Window::Calendar(Period::Quarter),
            kept_until_end_of: Some(Period::Quarter),
            ..Tiers::default()
        },
        multipliers: vec![Multiplier {
            name: RuleName::new("gold")?,
            by: Factor(1_500),
            tiers: [TierName::new("gold")?].into(),
            when: None,
            rules: std::collections::BTreeSet::new(),
            from: None,
            until: None,
        }],
        ..Program::point_per_unit(Currency::USD).earning(produce)
    };
    program.exclusions.categories = categories("FUEL")?;
    Ok(program)
}

/// A campaign's coupons are one coupon here: what each brought is not in the data.
pub(crate) fn campaign(number: &str) -> Result<(CouponCode, Coupon), Failure> {
    let gives = Benefit::Other(format!("a coupon of campaign {number}").parse()?);
    Ok((CouponCode::new(format!("campaign-{number}"))?, Coupon::new(gives)))
}
