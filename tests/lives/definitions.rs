//! What the shop decided.

use crm::{
    Attribute, Badge, BadgeName, Benefit, CaseKind, Comparison, Coupon, Definition, Downgrade, Number, Predicate,
    Reward, RewardGives, Span, Stage, Tag, TierRule, Tiers,
};
use crm_core::expression::{Events, Happenings, MessagesOf, Take, Window};

use super::names::{mug, points, risk, size, ten_off, tier};

/// Tiers that are kept for days and a grace, lost step by step, and one to be invited to.
pub(super) fn kept_tiers() -> Tiers {
    let by_invitation = TierRule { by_invitation: true, ..TierRule::new(tier("black"), 100) };
    let for_life = TierRule { lifetime: true, ..TierRule::new(tier("silver"), 60) };
    Tiers {
        rules: vec![TierRule::new(tier("iron"), 20), for_life, TierRule::new(tier("gold"), 80), by_invitation],
        window: crm::loyalty::Window::Rolling(Span::days(2)),
        kept_until_end_of: Some(crm::loyalty::Period::Day),
        grace: Some(Span::millis(7 * 3_600_000)),
        downgrade: Downgrade::OneStep,
        notice: Some(Span::millis(5 * 3_600_000)),
        ..Tiers::default()
    }
}

/// What there is to be had.
pub(super) fn rewards() -> Vec<Definition> {
    let coupon = Coupon::new(Benefit::PercentOff(10)).with_uses(4).with_each(2);
    let gives = RewardGives::Voucher { coupon: ten_off(), lasts: Some(Span::days(3)) };
    let reward = Reward::new(points(), 20, gives).with_stock(3).cancellable_within(Span::days(4));
    let often = Badge::new(Predicate::compare(Attribute::Orders, Comparison::Ge, 2)).with_points(points(), 5);
    let old = Badge::new(Predicate::compare(Attribute::AgeDays, Comparison::Ge, 3));
    vec![
        Definition::Coupon(ten_off(), Some(Box::new(coupon))),
        Definition::Reward(mug(), Some(Box::new(reward))),
        Definition::Badge(BadgeName::new("often").unwrap(), Some(Box::new(often))),
        Definition::Badge(BadgeName::new("old").unwrap(), Some(Box::new(old))),
    ]
}

pub(super) fn counted(what: Events, within: Window) -> Number {
    Number::Over(Happenings { what, within }, Take::Count)
}

/// What there is to choose by.
pub(super) fn predicates() -> Vec<Predicate> {
    vec![
        Predicate::compare(Attribute::Orders, Comparison::Ge, 1),
        Predicate::compare(Attribute::Points, Comparison::Gt, 20),
        Predicate::compare(Attribute::Spend, Comparison::Lt, 2_000),
        Predicate::compare(Attribute::RecencyDays, Comparison::Le, 3),
        Predicate::missing(Attribute::AverageOrder),
        Predicate::StageIn([Stage::Prospect, Stage::Purchase].into()),
        Predicate::tag(&Tag::new("vip").unwrap()),
        Predicate::orders_in_last(4, Comparison::Ge, 2),
        Predicate::compare(Number::DeclaredWhole(size()), Comparison::Ge, 1),
        Predicate::compare(Number::Score(risk()), Comparison::Ge, 500_000),
        Predicate::Not(Box::new(Predicate::compare(Number::Score(risk()), Comparison::Gt, 300_000))),
        Predicate::compare(counted(Events::OpenCases(None), Window::Ever), Comparison::Ge, 1),
        Predicate::compare(
            counted(Events::Cases(Some(CaseKind::Return)), Window::Last(Span::days(3))),
            Comparison::Ge,
            1,
        ),
        Predicate::compare(
            counted(Events::Messages(MessagesOf::default()), Window::Last(Span::days(2))),
            Comparison::Eq,
            1,
        ),
    ]
}
