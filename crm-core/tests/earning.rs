//! What rules of programmes give: each case a rule, what happened, and what comes of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one reason among all")]

use std::cell::RefCell;

use crm_core::custom::KindName;
use crm_core::customer::Customer;
use crm_core::event::Fact;
use crm_core::expression::{Predicate, Subject, Vocabulary};
use crm_core::interaction::{Channel, Visited};
use crm_core::loyalty::{
    Cap, Cart, Counts, Earning, EarningRule, Factor, Formula, Happening, LOYALTY_POINTS_MAX, Multiplier, Occasion, On,
    Pending, Per, Period, Program, ProgramError, Purchase, Reason, RedeemLimit, Redemption, Rounding, RoundingPlace,
    RuleName, TierError, TierName, TierRule,
};
use crm_core::order::{AMOUNT_MAX_MINOR, CategoryName, Line, LineKind, OrderPlaced, ProductRef};
use crm_core::profile::Country;
use crm_core::{Currency, CustomerId, Definition, Definitions, EventId, Money, Source, Span, TenantId, Timestamp};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn name(text: &str) -> RuleName {
    RuleName::new(text).unwrap()
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn line(product: &str, category: &str, minor: i64) -> Line {
    let product = Some(ProductRef::new(product).unwrap());
    Line { product, category: Some(CategoryName::new(category).unwrap()), minor, ..Line::default() }
}

fn per_money(points: u32, per_minor: u32) -> EarningRule {
    EarningRule::per_money(name("money"), points, per_minor)
}

fn program(rule: EarningRule) -> Program {
    Program::new(Currency::EUR).earning(rule)
}

fn rule_of(text: &str) -> Predicate {
    Predicate::parse(text, &Vocabulary::of(&Definitions::default(), at("2026-01-01"))).unwrap()
}

fn somebody() -> Customer {
    Customer::new(CustomerId::new(Timestamp::MIN, [7; 10]))
}

/// What a cart earns somebody about whom nothing is known.
fn earned(program: &Program, cart: &Cart) -> Earning {
    earned_by(program, &Happening::Order(&Purchase::from(cart)), "2026-06-01T12:00:00Z")
}

fn earned_by(program: &Program, what: &Happening<'_>, when: &str) -> Earning {
    let (customer, definitions) = (somebody(), Definitions::default());
    let subject = Subject::new(&customer, at(when), &definitions);
    program.earn(&Occasion { subject, tier: None, what: *what }, |_, _| 0)
}

#[test]
fn parts_of_a_point_are_rounded_once_where_the_programme_says() {
    use Rounding::{Down, FullSteps, HalfEven};
    use RoundingPlace::{Line as EachLine, Order};
    let each = [FullSteps, Down(Order), HalfEven(Order), Down(EachLine), HalfEven(EachLine)];
    // Points for each so many minor units, what the lines cost, and what it comes to.
    let cases: [(u32, u32, &[i64], [i64; 5]); 12] = [
        (1, 100, &[1_999], [19, 19, 20, 19, 20]),
        (3, 1_000, &[1_999], [3, 5, 6, 5, 6]),
        (1, 100, &[50], [0, 0, 0, 0, 0]),
        (1, 100, &[150], [1, 1, 2, 1, 2]),
        (1, 100, &[250], [2, 2, 2, 2, 2]),
        (1, 100, &[251], [2, 2, 3, 2, 3]),
        (1, 100, &[50, 50, 50], [1, 1, 2, 0, 0]),
        (1, 100, &[150, 150, 150], [4, 4, 4, 3, 6]),
        // What is taken off takes more off where all is rounded down.
        (1, 100, &[1_000, -50], [9, 9, 10, 9, 10]),
        (1, 100, &[1_000, -150], [8, 8, 8, 8, 8]),
        (1, 100, &[100, -500], [0, 0, 0, 0, 0]),
        (7, 3, &[100], [231, 233, 233, 233, 233]),
    ];
    for (points, per_minor, lines, expected) in cases {
        let lines: Vec<Line> = lines.iter().map(|minor| line("mug", "cups", *minor)).collect();
        let total: i64 = lines.iter().map(|line| line.minor).sum();
        let cart = Cart::new(eur(total.max(0))).with_lines(lines.clone());
        for (rounding, expected) in each.into_iter().zip(expected) {
            let program = Program { rounding, ..program(per_money(points, per_minor)) };
            let earning = earned(&program, &cart);
            assert_eq!(
                (earning.points, earning.qualifying),
                (expected, expected),
                "{points}/{per_minor} {lines:?} {rounding:?}"
            );
        }
    }
}

#[test]
fn multipliers_that_apply_multiply_and_the_whole_is_rounded_once() {
    let gold = TierName::new("gold").unwrap();
    let multiplier = |name_: &str, by: u32| Multiplier {
        name: name(name_),
        by: Factor(by),
        tiers: [].into(),
        when: None,
        rules: [].into(),
        from: None,
        until: None,
    };
    let mut program = program(per_money(1, 100)).with_tier(gold.clone(), 100);
    program.rounding = Rounding::HalfEven(RoundingPlace::Order);
    program.multipliers = vec![
        Multiplier { tiers: [gold.clone()].into(), ..multiplier("gold", 1_500) },
        Multiplier { from: Some(at("2026-06-01")), until: Some(at("2026-06-02")), ..multiplier("june", 3_000) },
        Multiplier { rules: [name("other")].into(), ..multiplier("other", 10_000) },
        Multiplier { when: Some(rule_of("orders > 5")), ..multiplier("loyal", 10_000) },
    ];
    let (customer, definitions) = (somebody(), Definitions::default());
    let order = Cart::new(eur(333));
    let earn = |tier, when| {
        let subject = Subject::new(&customer, at(when), &definitions);
        let purchase = Purchase::from(&order);
        program.earn(&Occasion { subject, tier, what: Happening::Order(&purchase) }, |_, _| 0)
    };
    // 3.33, times 1.5 is 4.995, times 3 is 14.985; 3.33 times 3 is 9.99.
    assert_eq!(earn(None, "2026-07-01").points, 3);
    assert_eq!(earn(Some(&gold), "2026-07-01").points, 5);
    assert_eq!(earn(None, "2026-06-01T12:00:00Z").points, 10);
    let both = earn(Some(&gold), "2026-06-01T12:00:00Z");
    assert_eq!(both.points, 15);
    let multiplied_by = vec![(name("gold"), Factor(1_500)), (name("june"), Factor(3_000))];
    assert_eq!(both.reasons, [(name("money"), Reason::Gave { points: 15, counted_minor: Some(333), multiplied_by })]);
}

#[test]
fn gift_cards_carriage_tax_rewards_and_what_was_paid_with_points_earn_nothing() {
    let of = |kind, minor| Line { kind, ..line("x", "y", minor) };
    let special = [LineKind::GiftCard, LineKind::Shipping, LineKind::Tax, LineKind::Reward];
    let mut lines: Vec<Line> = special.into_iter().map(|kind| of(kind, 500)).collect();
    lines.push(line("mug", "cups", 3_000));
    // 10.00 of goods that no line tells of.
    let cart = Cart::new(eur(6_000)).with_lines(lines);
    let program = program(per_money(1, 100));
    let earning = earned(&program, &cart);
    assert_eq!((earning.points, earning.excluded_minor), (40, 2_000));
    // A half was paid with points: of what counts too.
    assert_eq!(earned(&program, &cart.clone().paid_with_points(3_000)).points, 20);
    assert_eq!(earned(&program, &cart.clone().paid_with_points(2_000)).points, 26);
    let all = earned(&program, &cart.paid_with_points(6_000));
    assert_eq!((all.points, &all.reasons[0].1), (0, &Reason::NothingCounts));
    let only_gift_cards = Cart::new(eur(500)).with_lines(vec![of(LineKind::GiftCard, 500)]);
    assert_eq!(earned(&program, &only_gift_cards).reasons[0].1, Reason::NothingCounts);
    let mut excluding = program;
    excluding.exclusions.products.insert(ProductRef::new("mug").unwrap());
    excluding.exclusions.categories.insert(CategoryName::new("tea").unwrap());
    let cart = Cart::new(eur(900)).with_lines(vec![
        line("mug", "cups", 300),
        line("oolong", "tea", 300),
        line("pot", "pots", 300),
    ]);
    assert_eq!(earned(&excluding, &cart).points, 3);
}

#[test]
fn a_rule_for_some_lines_counts_those_and_never_more_than_the_order_costs() {
    let mut rule = per_money(2, 100);
    rule.lines.categories.insert(CategoryName::new("coffee").unwrap());
    let coffee = program(rule.clone());
    let lines = vec![line("beans", "coffee", 1_000), line("mug", "cups", 500), Line { minor: 700, ..Line::default() }];
    assert_eq!(earned(&coffee, &Cart::new(eur(2_200)).with_lines(lines.clone())).points, 20);
    // The order as a whole was made cheaper than the line.
    assert_eq!(earned(&coffee, &Cart::new(eur(600)).with_lines(lines.clone())).points, 12);
    assert_eq!(earned(&coffee, &Cart::new(eur(2_200))).reasons[0].1, Reason::NothingCounts);
    rule.lines.products.insert(ProductRef::new("cup").unwrap());
    assert_eq!(earned(&program(rule.clone()), &Cart::new(eur(2_200)).with_lines(lines.clone())).points, 0);
    rule.lines.products.insert(ProductRef::new("beans").unwrap());
    assert_eq!(earned(&program(rule.clone()), &Cart::new(eur(2_200)).with_lines(lines.clone())).points, 20);
    rule.minimum = Some(1_000);
    assert_eq!(earned(&program(rule.clone()), &Cart::new(eur(2_200)).with_lines(lines.clone())).points, 20);
    let half = Cart::new(eur(2_200)).with_lines(lines).paid_with_points(1_100);
    let below = Reason::BelowMinimum { counted_minor: 500, minimum: 1_000 };
    assert_eq!(earned(&program(rule), &half).reasons, [(name("money"), below)]);
}

#[test]
fn pieces_count_by_their_number_and_what_takes_off_is_none() {
    let rule = EarningRule::new(name("pieces"), Formula::PerItem(5));
    let of = |quantity, minor| Line { quantity, ..line("mug", "cups", minor) };
    let cases: [(Vec<Line>, i64); 6] = [
        (vec![], 5),
        (vec![of(None, 100)], 5),
        (vec![of(Some(3), 300), of(Some(1), -50)], 15),
        (vec![of(Some(-3), 300)], 0),
        (vec![of(Some(2), 0), of(None, 100)], 15),
        (vec![of(Some(i64::MAX), 100)], LOYALTY_POINTS_MAX),
    ];
    for (lines, points) in cases {
        let total: i64 = lines.iter().map(|line| line.minor).sum();
        let cart = Cart::new(eur(if lines.is_empty() { 100 } else { total })).with_lines(lines.clone());
        assert_eq!(earned(&program(rule.clone()), &cart).points, points, "{lines:?}");
    }
}

#[test]
fn each_rule_says_why_it_gave_nothing() {
    let fixed = |text: &str| EarningRule::new(name(text), Formula::Fixed(10));
    let mut all = Program::new(Currency::EUR);
    all.earning = vec![
        EarningRule { channels: [Channel::Store].into(), ..fixed("in the shop") },
        EarningRule { until: Some(at("2026-01-01")), ..fixed("last year") },
        EarningRule { from: Some(at("2027-01-01")), ..fixed("next year") },
        EarningRule { minimum: Some(10_000), ..fixed("large orders") },
        EarningRule { when: Some(rule_of("orders >= 1 && spend > 5")), ..fixed("regulars") },
        EarningRule { on: On::Visit, ..fixed("visits") },
        EarningRule { counts: Counts::Qualifying, ..fixed("status") },
        EarningRule { counts: Counts::Redeemable, ..fixed("gift") },
        fixed("both"),
    ];
    let cart = Cart::new(eur(500)).with_channel(Channel::Web);
    let earning = earned(&all, &cart);
    assert_eq!((earning.points, earning.qualifying), (20, 20));
    let gave: Vec<&str> = earning.by_rule.iter().map(|share| share.rule.as_str()).collect();
    assert_eq!(gave, ["status", "gift", "both"]);
    let reason = |of: &str| &earning.reasons.iter().find(|(rule, _)| rule.as_str() == of).unwrap().1;
    assert_eq!(reason("in the shop"), &Reason::OtherChannel);
    assert_eq!(reason("last year"), &Reason::OutsideOfTime);
    assert_eq!(reason("next year"), &Reason::OutsideOfTime);
    assert_eq!(reason("large orders"), &Reason::BelowMinimum { counted_minor: 500, minimum: 10_000 });
    let Reason::NotForThem(clause) = reason("regulars") else { panic!("{:?}", reason("regulars")) };
    assert_eq!((clause.holds, clause.parts.len(), clause.parts[0].left), (Some(false), 2, Some(0)));
    assert!(earning.reasons.iter().all(|(rule, _)| rule.as_str() != "visits"));

    let usd = Cart::new(Money::new(20_000, Currency::USD));
    let earning = earned(&Program { earning: vec![fixed("any"), per_money(1, 1)], ..all.clone() }, &usd);
    assert_eq!((earning.points, &earning.reasons[1].1), (10, &Reason::OtherCurrency));
    let mut abroad = Program { earning: vec![fixed("any")], ..all.clone() };
    abroad.validity.countries.insert(Country::new("DE").unwrap());
    assert_eq!(earned(&abroad, &cart).reasons[0].1, Reason::OtherCountry);
    let german = Cart { country: Some(Country::new("DE").unwrap()), ..cart.clone() };
    assert_eq!(earned(&abroad, &german).points, 10);
    // Actions are of no country.
    abroad.earning[0].on = On::Visit;
    assert_eq!(earned_by(&abroad, &Happening::Visit(Channel::Web), "2026-06-01").points, 10);
    abroad.validity.paused = true;
    assert_eq!(earned_by(&abroad, &Happening::Visit(Channel::Web), "2026-06-01").reasons[0].1, Reason::Paused);
}

#[test]
fn caps_leave_what_was_not_given_before_in_days_of_the_zone() {
    let capped = |points, per| {
        let rule = EarningRule::new(name("capped"), Formula::Fixed(60));
        Program { zone: chrono_tz::Europe::Berlin, ..program(EarningRule { cap: Some(Cap { points, per }), ..rule }) }
    };
    let (customer, definitions) = (somebody(), Definitions::default());
    // The day on which clocks go forward has 23 hours, the one on which they go back 25.
    let cases = [
        (100, Per::Event, 90, "2026-06-01T12:00:00Z", None, 60),
        (50, Per::Event, 0, "2026-06-01T12:00:00Z", None, 50),
        (100, Per::Ever, 0, "2026-06-01T12:00:00Z", Some(None), 60),
        (100, Per::Ever, 70, "2026-06-01T12:00:00Z", Some(None), 30),
        (100, Per::Ever, 120, "2026-06-01T12:00:00Z", Some(None), 0),
        // What was taken back beyond what was given gives no room.
        (50, Per::Ever, -70, "2026-06-01T12:00:00Z", Some(None), 50),
        (
            100,
            Per::Period(Period::Day),
            70,
            "2026-03-29T21:59:59Z",
            Some(Some(("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"))),
            30,
        ),
        (
            100,
            Per::Period(Period::Day),
            70,
            "2026-10-24T22:00:00Z",
            Some(Some(("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"))),
            30,
        ),
        (
            100,
            Per::Period(Period::Month),
            70,
            "2026-03-31T22:30:00Z",
            Some(Some(("2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z"))),
            30,
        ),
    ];
    for (points, per, before, when, asked, expected) in cases {
        let program = capped(points, per);
        let subject = Subject::new(&customer, at(when), &definitions);
        let questions = RefCell::new(Vec::new());
        let earning = program.earn(
            &Occasion { subject, tier: None, what: Happening::Order(&Purchase::from(&Cart::new(eur(100)))) },
            |rule, stretch| {
                assert_eq!(rule, &name("capped"));
                questions.borrow_mut().push(stretch);
                before
            },
        );
        let asked: Vec<_> = asked.into_iter().map(|of| of.map(|(from, until)| (at(from), at(until)))).collect();
        assert_eq!((earning.points, questions.into_inner()), (expected, asked), "{per:?} at {when}");
        if expected < 60 {
            let cap = Cap { points, per };
            assert_eq!(earning.reasons[0].1, Reason::CappedAt { points: expected, would: 60, cap });
        }
    }
}

#[test]
fn nothing_earns_more_than_the_limit_however_many_rules_there_are() {
    let mut program = Program::new(Currency::EUR);
    program.earning = (0..100).map(|n| EarningRule::per_money(name(&format!("r{n}")), u32::MAX, 1)).collect();
    let factor = |n| Multiplier {
        name: name(&format!("m{n}")),
        by: Factor(1_000_000),
        tiers: [].into(),
        when: None,
        rules: [].into(),
        from: None,
        until: None,
    };
    program.multipliers = (0..100).map(factor).collect();
    program.check().unwrap();
    for rounding in [Rounding::FullSteps, Rounding::HalfEven(RoundingPlace::Line)] {
        let earning = earned(&Program { rounding, ..program.clone() }, &Cart::new(eur(AMOUNT_MAX_MINOR)));
        assert_eq!((earning.points, earning.qualifying), (LOYALTY_POINTS_MAX, LOYALTY_POINTS_MAX));
        assert_eq!(earning.by_rule.len(), 1);
        assert_eq!(earning.reasons[1].1, Reason::Limit { points: 0, would: LOYALTY_POINTS_MAX });
    }
}

#[test]
fn when_points_can_be_spent_is_known_with_them() {
    let day = |n| at("2026-06-01T12:00:00Z").plus(Span::days(n));
    let of = |pending| Program { pending, ..program(per_money(1, 100)) }.expiring_after(Span::days(365));
    let cart = Cart::new(eur(500));
    for (pending, active_from) in [
        (Pending::No, Some(day(0))),
        (Pending::For(Span::days(14)), Some(day(14))),
        (Pending::AfterDelivery(Span::days(14)), None),
    ] {
        let earning = earned(&of(pending), &cart);
        assert_eq!((earning.active_from, earning.expires_at), (active_from, Some(day(365))));
    }
    // Nothing has to be delivered, or can come back, of a visit.
    let mut visits = of(Pending::AfterDelivery(Span::days(14)));
    visits.earning = vec![EarningRule { on: On::Visit, ..EarningRule::new(name("visit"), Formula::Fixed(1)) }];
    let visit = earned_by(&visits, &Happening::Visit(Channel::App), "2026-06-01T12:00:00Z");
    assert_eq!((visit.points, visit.active_from), (1, Some(day(0))));
}

#[test]
fn actions_are_answered_by_the_rules_for_them() {
    let review = KindName::new("review").unwrap();
    let on = |text: &str, on| EarningRule { on, ..EarningRule::new(name(text), Formula::Fixed(7)) };
    let mut program = Program::new(Currency::EUR);
    program.earning = vec![
        on("visit", On::Visit),
        on("review", On::Custom(review.clone())),
        on("welcome", On::SignUp),
        EarningRule { channels: [Channel::Store].into(), ..on("welcome in the shop", On::SignUp) },
    ];
    let gave = |what: Happening<'_>| -> Vec<String> {
        earned_by(&program, &what, "2026-06-01").by_rule.iter().map(|share| share.rule.to_string()).collect()
    };
    assert_eq!(gave(Happening::Visit(Channel::Web)), ["visit"]);
    assert_eq!(gave(Happening::Custom(&review)), ["review"]);
    assert_eq!(gave(Happening::Custom(&KindName::new("survey").unwrap())), Vec::<String>::new());
    assert_eq!(gave(Happening::SignUp(None)), ["welcome"]);
    assert_eq!(gave(Happening::SignUp(Some(Channel::Store))), ["welcome", "welcome in the shop"]);
    assert_eq!(gave(Happening::Order(&Purchase::from(&Cart::new(eur(1))))), Vec::<String>::new());
}

#[test]
fn a_programme_is_refused_for_what_it_cannot_do() {
    let rule = |text: &str| EarningRule::new(name(text), Formula::Fixed(1));
    let factor = |by| Multiplier {
        name: name("m"),
        by: Factor(by),
        tiers: [].into(),
        when: None,
        rules: [].into(),
        from: None,
        until: None,
    };
    let base = program(rule("a"));
    let with = |change: &dyn Fn(&mut Program)| {
        let mut program = base.clone();
        change(&mut program);
        program.check().unwrap_err()
    };
    base.check().unwrap();
    assert!(matches!(with(&|p| p.earning.push(rule("a"))), ProgramError::Twice { .. }));
    let many: Vec<EarningRule> = (0..101).map(|n| rule(&format!("r{n}"))).collect();
    assert!(matches!(with(&|p| p.earning.clone_from(&many)), ProgramError::TooMany { count: 101, max: 100, .. }));
    assert!(matches!(with(&|p| p.earning.push(per_money(1, 0))), ProgramError::OutOfBounds { is: 0, min: 1, .. }));
    for by in [0, 1_000_001] {
        assert!(matches!(with(&|p| p.multipliers.push(factor(by))), ProgramError::OutOfBounds { .. }));
    }
    let gold = TierName::new("gold").unwrap();
    let of_gold = |by| Multiplier { tiers: [gold.clone()].into(), ..factor(by) };
    assert!(matches!(with(&|p| p.multipliers.push(of_gold(2_000))), ProgramError::NoTier { .. }));
    let of_other = Multiplier { rules: [name("b")].into(), ..factor(2_000) };
    assert!(matches!(with(&|p| p.multipliers.push(of_other.clone())), ProgramError::NoRule { .. }));
    let twice = || TierRule::new(gold.clone(), 1);
    assert!(matches!(
        with(&|p| p.tiers.rules.extend([twice(), twice()])),
        ProgramError::Tiers(TierError::Twice { .. })
    ));
    let visit = |gives| EarningRule { on: On::Visit, gives, ..rule("b") };
    for gives in [Formula::PerMoney { points: 1, per_minor: 1 }, Formula::PerItem(1)] {
        assert!(matches!(with(&|p| p.earning.push(visit(gives))), ProgramError::OrdersOnly { .. }));
    }
    let minimum = EarningRule { minimum: Some(1), ..visit(Formula::Fixed(1)) };
    assert!(matches!(with(&|p| p.earning.push(minimum.clone())), ProgramError::OrdersOnly { .. }));
    let review = On::Custom(KindName::new("review").unwrap());
    let by_phone = EarningRule { on: review, channels: [Channel::Phone].into(), ..rule("b") };
    assert!(matches!(with(&|p| p.earning.push(by_phone.clone())), ProgramError::NoChannel { .. }));
    let backwards = EarningRule { from: Some(at("2026-01-02")), until: Some(at("2026-01-02")), ..rule("b") };
    assert!(matches!(with(&|p| p.earning.push(backwards.clone())), ProgramError::EndsFirst { .. }));
    let nothing = EarningRule { cap: Some(Cap { points: 0, per: Per::Ever }), ..rule("b") };
    assert!(matches!(with(&|p| p.earning.push(nothing.clone())), ProgramError::OutOfBounds { .. }));
    let deep = (0..200).fold(rule_of("orders > 1"), |rule, _| Predicate::Not(Box::new(rule)));
    let deep = EarningRule { when: Some(deep), ..rule("b") };
    assert!(matches!(with(&|p| p.earning.push(deep.clone())), ProgramError::Condition { .. }));
    let was = Predicate::WasIn("vip".parse().unwrap(), None);
    let was = EarningRule { when: Some(was), ..rule("b") };
    assert!(matches!(with(&|p| p.earning.push(was.clone())), ProgramError::AsksPast { .. }));
    for (points, minor, up_to_percent) in [(0, 1, 100), (1, 0, 100), (1, 1, 0), (1, 1, 101)] {
        let redemption = Some(Redemption { points, minor, at_least: 0, up_to_percent });
        assert!(matches!(with(&|p| p.redemption = redemption), ProgramError::OutOfBounds { .. }));
    }
    let of_program = |program| Definition::Program("points".parse().unwrap(), Some(program)).check();
    assert!(of_program(Program { redemption: None, ..base.clone() }).is_ok());
    assert!(of_program(base.clone().earning(rule("a"))).is_err());
}

#[test]
fn what_can_be_redeemed_for_an_order_is_told_with_its_limits() {
    let redemption = Redemption { points: 100, minor: 50, at_least: 200, up_to_percent: 40 };
    let program = Program { redemption: Some(redemption), ..program(per_money(1, 100)) };
    let cart = Cart::new(eur(1_000));
    // Of 10.00 at most 4.00 is paid with points: 800 points.
    let cases = [(10_000, 800, 400), (800, 800, 400), (799, 798, 399), (200, 200, 100), (199, 0, 0), (-50, 0, 0)];
    for (available, points, worth) in cases {
        let redeemable = program.redeemable(&cart, available);
        assert_eq!((redeemable.points, redeemable.worth_minor), (points, worth), "{available}");
        assert!(i128::from(redeemable.points) <= available.max(0));
    }
    let limits = |available| program.redeemable(&cart, available).limits;
    assert_eq!(limits(10_000), [RedeemLimit::Share { up_to_percent: 40, minor: 400 }]);
    assert_eq!(limits(500), [RedeemLimit::Available { available: 500 }]);
    let few = [RedeemLimit::Available { available: 199 }, RedeemLimit::AtLeast { at_least: 200, would: 198 }];
    assert_eq!(limits(199), few);
    assert_eq!(program.redeemable(&cart.clone().paid_with_points(300), 10_000).worth_minor, 100);
    let usd = Cart::new(Money::new(1_000, Currency::USD));
    assert_eq!(program.redeemable(&usd, 10_000).limits, [RedeemLimit::OtherCurrency]);
    let none = Program { redemption: None, ..program };
    assert_eq!(none.redeemable(&cart, 10_000).limits, [RedeemLimit::NotOffered]);
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let kind = prop_oneof![4 => Just(LineKind::Goods), 1 => Just(LineKind::GiftCard), 1 => Just(LineKind::Tax)];
    let one = (0..4_u8, kind, -2_000..90_000_i64, proptest::option::of(0..9_i64));
    let one = one.prop_map(|(what, kind, minor, quantity)| match what {
        0 => Line { kind, minor, quantity, ..Line::default() },
        n => Line { kind, quantity, ..line(&format!("p{n}"), &format!("c{}", n % 2), minor) },
    });
    proptest::collection::vec(one, 0..6)
}

fn rounding() -> impl Strategy<Value = Rounding> {
    use RoundingPlace::{Line as EachLine, Order};
    proptest::sample::select(vec![
        Rounding::FullSteps,
        Rounding::Down(Order),
        Rounding::Down(EachLine),
        Rounding::HalfEven(Order),
        Rounding::HalfEven(EachLine),
    ])
}

proptest! {
    /// Rounding down never gives more than the fraction, and nothing ever gives less than nothing; what rules gave adds up.
    #[test]
    fn nothing_is_minted_by_rounding_and_shares_add_up(
        lines in lines(),
        rounding in rounding(),
        (points, per_minor, by) in (1..50_u32, 1..500_u32, 1..5_000_u32),
        total in 0..200_000_i64,
        with_points in 0..200_000_i64,
        category in proptest::option::of(0..2_u8),
    ) {
        let mut rule = per_money(points, per_minor);
        rule.lines.categories.extend(category.map(|n| CategoryName::new(format!("c{n}")).unwrap()));
        let mut program = Program { rounding, ..program(rule) }.earning(EarningRule::new(name("items"), Formula::PerItem(3)));
        program.multipliers.push(Multiplier {
            name: name("by"), by: Factor(by), tiers: [].into(), when: None, rules: [].into(), from: None, until: None,
        });
        let cart = Cart::new(eur(total)).with_lines(lines).paid_with_points(with_points.min(total));
        let earning = earned(&program, &cart);
        prop_assert!(earning.points >= 0);
        prop_assert_eq!(earning.points, earning.by_rule.iter().map(|share| share.points).sum::<i64>());
        prop_assert_eq!(earning.qualifying, earning.by_rule.iter().map(|share| share.qualifying).sum::<i64>());
        prop_assert!(earning.by_rule.iter().all(|share| share.points > 0));
        let by_money = earning.by_rule.iter().find(|share| share.rule == name("money")).map_or(0, |share| share.points);
        let most = i128::from(total - with_points.min(total)) * i128::from(points) * i128::from(by);
        let most = most / (i128::from(per_minor) * 1_000);
        match rounding {
            Rounding::FullSteps | Rounding::Down(_) => prop_assert!(i128::from(by_money) <= most),
            // Half a point for each line at most.
            Rounding::HalfEven(_) => prop_assert!(i128::from(by_money) <= most + 1 + cart.lines.len() as i128),
        }
        // A cart is worth what the order is, and what a state keeps of it: but for pieces of goods without a name.
        let placed = OrderPlaced::from(cart);
        prop_assert_eq!(&earned_by(&program, &Happening::Order(&Purchase::from(&placed)), "2026-06-01T12:00:00Z"), &earning);
        let customer = told(Fact::OrderPlaced(placed));
        let (order, basket) = customer.facts().orders().with_lines().next().unwrap();
        let kept = Purchase::kept(order, basket);
        let again = earned_by(&program, &Happening::Order(&kept), "2026-06-01T12:00:00Z");
        let of_money = again.by_rule.iter().find(|share| share.rule == name("money")).map_or(0, |share| share.points);
        match rounding {
            Rounding::Down(RoundingPlace::Line) | Rounding::HalfEven(RoundingPlace::Line) => {}
            _ => prop_assert_eq!(of_money, by_money),
        }
    }
}

fn told(fact: Fact) -> Customer {
    let mut customer = somebody();
    let id = EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), "1");
    let visit = Fact::from(Visited { channel: Channel::Web, place: None });
    let before = EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), "0");
    let definitions = Definitions::default();
    let own = customer.id();
    customer.fold_fact(own, before, at("2026-05-01"), &visit, &definitions, &mut Vec::new());
    customer.fold_fact(own, id, at("2026-06-01"), &fact, &definitions, &mut Vec::new());
    customer
}
