//! Earning from outside: rules, quotes, actions, caps, and what is taken back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one reason among all")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::loyalty::{Cap, Counts, Exclusions, Factor, On, Pending, Per, Period, Reason, Rounding, RoundingPlace};
use crm::{
    AttributeSet, Cart, Channel, Currency, CustomFact, CustomerId, DeclaredKind, DeclaredName, DeclaredValue,
    Definition, EarningRule, Error, EventId, ExternalSystem, Fact, Formula, Identifier, Incoming, Ingestion, KindName,
    KindSchema, Line, LineKind, ManualClock, Money, Multiplier, OrderPlaced, OrderRef, PointsBook, ProductRef, Program,
    ProgramId, Refunded, RuleName, Source, Span, TierName, Timestamp, Visited, Voided, Who,
};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn day(day: u32) -> Timestamp {
    at("2026-01-01").plus(Span::days(day))
}

fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

fn name(text: &str) -> RuleName {
    RuleName::new(text).unwrap()
}

fn source() -> Source {
    Source::new("shop").unwrap()
}

fn someone(id: &str) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), id).unwrap()
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

/// A CRM whose clock goes with what it is told.
struct Shop {
    clock: Arc<ManualClock>,
    crm: Crm,
}

impl std::ops::Deref for Shop {
    type Target = Crm;

    fn deref(&self) -> &Crm {
        &self.crm
    }
}

/// A shop without a programme, in which attributes and kinds are declared that rules ask for.
fn bare() -> Shop {
    let clock = Arc::new(ManualClock::at(day(0)));
    let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(crm::DerivedIds).build();
    let crm = Crm::from(crm);
    crm.define(day(0), Definition::Attribute(birthday(), Some(DeclaredKind::Instant))).unwrap();
    crm.define(day(0), Definition::Kind(review(), Some(KindSchema::default()))).unwrap();
    Shop { clock, crm }
}

fn shop(program: Program) -> Shop {
    let crm = bare();
    crm.define(day(0), Definition::Program(points(), Some(program))).unwrap();
    crm
}

fn birthday() -> DeclaredName {
    DeclaredName::new("birthday").unwrap()
}

fn review() -> KindName {
    KindName::new("review").unwrap()
}

fn fixed(text: &str, gives: u32, on: On) -> EarningRule {
    EarningRule { on, ..EarningRule::new(name(text), Formula::Fixed(gives)) }
}

fn tell(crm: &Shop, who: &str, when: Timestamp, key: &str, fact: impl Into<Fact>) -> EventId {
    crm.clock.set(crm.now().max(when));
    let incoming = Incoming::new(someone(who), when, source(), fact).with_key(key.parse().unwrap());
    crm.record(incoming).unwrap().event
}

fn place(crm: &Shop, who: &str, when: Timestamp, number: &str, cart: &Cart) -> EventId {
    tell(crm, who, when, number, OrderPlaced::from(cart.clone()).with_order(OrderRef::new(number).unwrap()))
}

fn refund(crm: &Shop, who: &str, when: Timestamp, key: &str, order: &str, minor: i64) {
    let order = Some(OrderRef::new(order).unwrap());
    tell(crm, who, when, key, Refunded { order, amount: eur(minor) });
}

fn visit(crm: &Shop, who: &str, when: Timestamp, key: &str) -> EventId {
    tell(crm, who, when, key, Visited { channel: Channel::Web, place: None })
}

fn book(crm: &Shop, who: &str) -> PointsBook {
    let customer = crm.customer(someone(who)).unwrap();
    customer.and_then(|customer| customer.book(&points()).cloned()).unwrap_or_default()
}

/// What was given and not taken back, and what counts towards tiers.
fn given(crm: &Shop, who: &str) -> (i128, i128) {
    let book = book(crm, who);
    (book.totals().earned - book.totals().reversed, book.qualifying())
}

#[test]
fn the_first_order_has_its_bonus_once_whatever_is_corrected_later() {
    let crm = shop(Program::point_per_unit(Currency::EUR));
    let first = EarningRule { when: Some(crm.rule("orders == 0").unwrap()), ..fixed("first", 100, On::Order) };
    let program = Program::point_per_unit(Currency::EUR).earning(first);
    crm.define(day(1), Definition::Program(points(), Some(program))).unwrap();
    let cart = Cart::new(eur(1_000));
    let visited = visit(&crm, "ana", day(1), "v");
    place(&crm, "ana", day(2), "1", &cart);
    place(&crm, "ana", day(3), "2", &cart);
    assert_eq!(given(&crm, "ana").0, 120);
    // All facts are folded anew, and what was given is not worked out anew.
    tell(&crm, "ana", day(4), "void", Voided { event: visited, reason: None });
    refund(&crm, "ana", day(5), "r", "1", 1_000);
    assert_eq!(given(&crm, "ana").0, 10);
    place(&crm, "ana", day(6), "3", &cart);
    // No order stands of those before the third, but for the second.
    assert_eq!(given(&crm, "ana").0, 20);
    // One that comes late is judged by what is known when it is taken in.
    place(&crm, "ana", day(1), "0", &cart);
    assert_eq!(given(&crm, "ana").0, 30);
}

#[test]
fn an_order_that_earned_nothing_is_not_asked_again() {
    let crm = bare();
    let regulars = EarningRule { when: Some(crm.rule("orders >= 2").unwrap()), ..fixed("regulars", 10, On::Order) };
    let program = Program::new(Currency::EUR).earning(regulars);
    crm.define(day(0), Definition::Program(points(), Some(program))).unwrap();
    let cart = Cart::new(eur(1_000));
    for (n, expected) in [(1, 0), (2, 0), (3, 10), (4, 20)] {
        place(&crm, "ana", day(n), &n.to_string(), &cart);
        assert_eq!(given(&crm, "ana").0, expected, "{n}");
    }
    let visited = visit(&crm, "ana", day(5), "v");
    tell(&crm, "ana", day(6), "void", Voided { event: visited, reason: None });
    refund(&crm, "ana", day(7), "r", "1", 10);
    assert_eq!(given(&crm, "ana").0, 20);
}

#[test]
fn a_refund_takes_back_the_same_share_of_what_was_given_as_of_the_money() {
    let bonus = fixed("bonus", 100, On::Order);
    let crm = shop(Program::point_per_unit(Currency::EUR).earning(bonus));
    place(&crm, "ana", day(1), "1", &Cart::new(eur(3_000)));
    assert_eq!(given(&crm, "ana"), (130, 130));
    refund(&crm, "ana", day(2), "r1", "1", 1_000);
    // Two thirds of 30, and of 100 rounded down.
    assert_eq!(given(&crm, "ana"), (86, 86));
    refund(&crm, "ana", day(3), "r2", "1", 1_999);
    assert_eq!(given(&crm, "ana"), (0, 0));
    // A refund that was wrong gives it back.
    let wrong = EventId::of_fact(&crm::TenantId::default(), &source(), "r2");
    tell(&crm, "ana", day(4), "void", Voided { event: wrong, reason: None });
    assert_eq!(given(&crm, "ana"), (86, 86));
    // A refund that came before its order is taken off at once.
    refund(&crm, "ana", day(5), "r3", "2", 500);
    place(&crm, "ana", day(6), "2", &Cart::new(eur(1_000)));
    assert_eq!(given(&crm, "ana"), (86 + 55, 86 + 55));
}

#[test]
fn actions_give_points_at_their_fact_and_a_voided_one_is_taken_back() {
    let mut program = Program::new(Currency::EUR);
    program.earning = vec![
        fixed("visit", 1, On::Visit),
        EarningRule { counts: Counts::Redeemable, ..fixed("review", 5, On::Custom(review())) },
        fixed("welcome", 50, On::SignUp),
    ];
    let crm = shop(program);
    let visited = visit(&crm, "ana", day(1), "v1");
    assert_eq!(given(&crm, "ana"), (51, 51));
    let reviewed = tell(&crm, "ana", day(2), "w1", CustomFact::new(review()));
    assert_eq!(given(&crm, "ana"), (56, 51));
    let story = crm.story(someone("ana")).unwrap().unwrap();
    let causes: Vec<_> = story.events.iter().filter(|event| event.body.kind() == "points_posted").collect();
    assert_eq!(
        causes.iter().map(|event| event.cause).collect::<Vec<_>>(),
        [Some(visited), Some(visited), Some(reviewed)]
    );
    // An action earns at its own time, however late it is told; nobody is welcomed twice.
    let late = visit(&crm, "ana", day(0), "v0");
    assert_eq!(given(&crm, "ana"), (57, 52));
    let earned_at: Vec<_> = book(&crm, "ana").lots().iter().map(|lot| lot.terms.earned_at).collect();
    assert_eq!(earned_at, [day(0), day(1), day(1), day(2)]);
    tell(&crm, "ana", day(3), "void", Voided { event: late, reason: None });
    assert_eq!(given(&crm, "ana"), (56, 51));
    tell(&crm, "ana", day(4), "void2", Voided { event: reviewed, reason: None });
    assert_eq!(given(&crm, "ana"), (51, 51));
    tell(&crm, "ana", day(5), "void3", Voided { event: visited, reason: None });
    assert_eq!(given(&crm, "ana"), (0, 0));
    // What was voided before it is told earns nothing.
    let coming = EventId::of_fact(&crm::TenantId::default(), &source(), "v9");
    tell(&crm, "ana", day(6), "void4", Voided { event: coming, reason: None });
    visit(&crm, "ana", day(7), "v9");
    assert_eq!(given(&crm, "ana"), (0, 0));
}

#[test]
fn what_is_taken_in_as_history_earns_too() {
    let program = Program::point_per_unit(Currency::EUR).earning(fixed("visit", 1, On::Visit));
    let crm = shop(program);
    crm.clock.set(day(100));
    let fact = |n: u32, fact: Fact| {
        Incoming::new(someone("ana"), day(n), source(), fact).with_key(n.to_string().parse().unwrap())
    };
    let visited = || Fact::from(Visited { channel: Channel::Web, place: None });
    let history = vec![fact(3, visited()), fact(1, visited()), fact(2, OrderPlaced::new(eur(700)).into())];
    crm.ingest(history, Ingestion::history()).unwrap();
    assert_eq!(given(&crm, "ana").0, 9);
}

#[test]
fn orders_of_before_a_programme_earn_when_it_is_defined_for_their_time() {
    let crm = bare();
    place(&crm, "ana", day(1), "1", &Cart::new(eur(700)));
    visit(&crm, "ana", day(2), "v");
    let capped =
        EarningRule { cap: Some(Cap { points: 9, per: Per::Ever }), ..EarningRule::per_money(name("m"), 1, 100) };
    place(&crm, "ana", day(3), "2", &Cart::new(eur(700)));
    let program = Program::new(Currency::EUR).earning(capped).earning(fixed("visit", 1, On::Visit));
    crm.define(day(0), Definition::Program(points(), Some(program))).unwrap();
    crm.refresh().unwrap();
    // Actions earn when they are taken in, and not afterwards.
    assert_eq!(given(&crm, "ana").0, 9);
    crm.refresh().unwrap();
    assert_eq!(given(&crm, "ana").0, 9);
}

#[test]
fn a_birthday_gives_points_once_a_year_at_midnight_of_the_zone() {
    let mut program = Program::new(Currency::EUR).earning(fixed("birthday", 20, On::Yearly(birthday())));
    program.zone = crm::Tz::America__New_York;
    let crm = shop(program);
    let born = |text: &str| AttributeSet { attribute: birthday(), value: Some(DeclaredValue::Instant(at(text))) };
    tell(&crm, "ana", at("2026-02-10T12:00:00Z"), "b1", born("2000-02-29"));
    crm.advance(at("2026-02-28T04:59:59Z")).unwrap();
    assert_eq!(given(&crm, "ana"), (0, 0));
    crm.advance(at("2026-02-28T05:00:00Z")).unwrap();
    assert_eq!(given(&crm, "ana"), (20, 20));
    assert_eq!(book(&crm, "ana").lots()[0].terms.earned_at, at("2026-02-28T05:00:00Z"));
    // However often it is changed.
    for (n, text) in ["1999-05-04", "1999-06-04", "1999-12-31"].into_iter().enumerate() {
        tell(&crm, "ana", at("2026-03-01").plus(Span::days(n as u32)), &format!("c{n}"), born(text));
        crm.advance(at("2026-07-01")).unwrap();
    }
    tell(&crm, "ana", at("2026-07-02"), "b2", born("2000-02-29"));
    crm.advance(at("2028-02-29T04:00:00Z")).unwrap();
    assert_eq!(given(&crm, "ana"), (40, 40));
    crm.advance(at("2028-02-29T05:00:00Z")).unwrap();
    assert_eq!(given(&crm, "ana"), (60, 60));
    let none = AttributeSet { attribute: birthday(), value: None };
    tell(&crm, "ana", at("2028-03-01"), "n", none);
    crm.advance(at("2031-01-01")).unwrap();
    assert_eq!(given(&crm, "ana"), (60, 60));
}

#[test]
fn one_call_for_ten_years_gives_the_same_birthdays_as_many() {
    let program = Program::new(Currency::EUR)
        .earning(fixed("birthday", 20, On::Yearly(birthday())))
        .expiring_after(Span::days(500));
    let told = |step: u32| {
        let crm = shop(program.clone());
        let value = Some(DeclaredValue::Instant(at("1980-06-15")));
        tell(&crm, "ana", day(10), "b", AttributeSet { attribute: birthday(), value });
        for n in 1..=3_660 / step {
            crm.advance(day(n * step)).unwrap();
        }
        crm.advance(day(3_660)).unwrap();
        crm.overview().unwrap()
    };
    let all = told(3_660);
    assert_eq!((all.points.earned, all.points.expired), (200, 180));
    assert_eq!(told(61).digest, all.digest);
}

#[test]
fn caps_count_what_was_given_in_the_period_and_not_what_was_taken_back() {
    let cap = Some(Cap { points: 30, per: Per::Period(Period::Month) });
    let mut program =
        Program::new(Currency::EUR).earning(EarningRule { cap, ..EarningRule::per_money(name("m"), 1, 100) });
    program.zone = crm::Tz::Europe__Berlin;
    let crm = shop(program);
    let cart = Cart::new(eur(2_000));
    let mut expected = 0;
    for (number, when, gives) in [
        ("1", "2026-01-10T12:00:00Z", 20),
        ("2", "2026-01-31T22:59:59Z", 10),
        // It is February in Berlin.
        ("3", "2026-01-31T23:00:00Z", 20),
        ("4", "2026-02-20T12:00:00Z", 10),
    ] {
        place(&crm, "ana", at(when), number, &cart);
        expected += gives;
        assert_eq!(given(&crm, "ana").0, expected, "{number}");
    }
    refund(&crm, "ana", at("2026-02-21"), "r", "3", 2_000);
    crm.clock.set(at("2026-02-22"));
    assert_eq!(crm.quote(someone("ana"), &points(), &cart).unwrap().points(), 20);
    place(&crm, "ana", at("2026-02-22"), "5", &cart);
    assert_eq!(given(&crm, "ana").0, expected - 20 + 20);
}

#[test]
fn caps_hold_for_one_batch_of_late_facts_and_for_all_who_are_merged() {
    let cap = Some(Cap { points: 3, per: Per::Ever });
    let program = Program::new(Currency::EUR).earning(EarningRule { cap, ..fixed("visit", 2, On::Visit) });
    let crm = shop(program);
    crm.clock.set(day(50));
    let id = |who: &str| crm.customer(someone(who)).unwrap().unwrap().id();
    place(&crm, "ana", day(40), "1", &Cart::new(eur(100)));
    let late: Vec<Incoming> = (1..5_u32)
        .map(|n| {
            let visited = Visited { channel: Channel::Web, place: None };
            Incoming::new(someone("ana"), day(n), source(), visited).with_key(format!("l{n}").parse().unwrap())
        })
        .collect();
    crm.ingest(late, Ingestion::live()).unwrap();
    assert_eq!(given(&crm, "ana").0, 3);
    visit(&crm, "ben", day(41), "b1");
    assert_eq!(given(&crm, "ben").0, 2);
    let (ana, ben): (CustomerId, CustomerId) = (id("ana"), id("ben"));
    crm.merge(ana, ben, "test".parse().unwrap()).unwrap();
    visit(&crm, "ben", day(42), "b2");
    assert_eq!(given(&crm, "ben").0, 5);
}

#[test]
fn a_quote_is_for_somebody_unknown_too_and_writes_nothing() {
    let mut program = Program::point_per_unit(Currency::EUR).earning(fixed("welcome", 50, On::SignUp));
    program.redemption = Some(crm::loyalty::Redemption { points: 1, minor: 1, at_least: 10, up_to_percent: 50 });
    let crm = shop(program);
    crm.clock.set(day(0));
    let cart = Cart::new(eur(1_000));
    let before = crm.overview().unwrap();
    let unknown = crm.quote(someone("ana"), &points(), &cart).unwrap();
    let nobody = crm.quote(Who::Presented(Vec::new()), &points(), &cart).unwrap();
    assert_eq!((unknown.points(), unknown.earning.points, &unknown), (60, 10, &nobody));
    assert_eq!(crm.overview().unwrap(), before);
    place(&crm, "ana", day(0), "1", &cart);
    assert_eq!(given(&crm, "ana").0, 60);
    // What expires until then is gone in the quote, and still there in the store.
    crm.clock.set(day(3));
    let known = crm.overview().unwrap();
    let quote = crm.quote(someone("ana"), &points(), &cart).unwrap();
    assert_eq!((quote.points(), quote.sign_up, quote.redeemable.points), (10, None, 60));
    assert_eq!(crm.quotes(someone("ana"), &cart).unwrap()[&points()].redeemable.points, 60);
    assert_eq!(crm.overview().unwrap(), known);
    let other = ProgramId::new("other").unwrap();
    assert!(matches!(crm.quote(someone("ana"), &other, &cart), Err(Error::Refused(_))));
    assert!(matches!(crm.quote(someone("ana"), &points(), &Cart::new(eur(-1))), Err(Error::Fact(_))));
}

#[test]
fn a_quote_works_off_what_is_due_on_a_copy() {
    let mut program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(10));
    program.redemption = Some(crm::loyalty::Redemption { points: 1, minor: 1, at_least: 0, up_to_percent: 100 });
    let crm = shop(program);
    place(&crm, "ana", day(0), "1", &Cart::new(eur(5_000)));
    let asked = |n| {
        crm.clock.set(day(n));
        crm.quote(someone("ana"), &points(), &Cart::new(eur(5_000))).unwrap().redeemable.points
    };
    assert_eq!((asked(9), asked(10)), (50, 0));
    assert_eq!(book(&crm, "ana").balance(), 50);
}

#[test]
fn points_of_an_order_wait_for_it_to_be_delivered_and_those_of_actions_do_not() {
    let mut program = Program::point_per_unit(Currency::EUR).earning(fixed("visit", 1, On::Visit));
    program.pending = Pending::AfterDelivery(Span::days(14));
    let crm = shop(program);
    place(&crm, "ana", day(1), "1", &Cart::new(eur(1_000)));
    visit(&crm, "ana", day(2), "v");
    let of = || (book(&crm, "ana").pending(), book(&crm, "ana").balance());
    assert_eq!(of(), (10, 1));
    tell(&crm, "ana", day(5), "d", crm::OrderDelivered { order: OrderRef::new("1").unwrap() });
    crm.advance(day(18)).unwrap();
    assert_eq!(of(), (10, 1));
    crm.advance(day(19)).unwrap();
    assert_eq!(of(), (0, 11));
}

// ---- laws ----

fn conditions() -> impl Strategy<Value = Option<&'static str>> {
    let texts =
        ["orders == 0", "orders >= 2", "spend > 5000", "visits >= 1", "points > 40", r#"orders.in_last("3d") < 2"#];
    proptest::option::weighted(0.4, proptest::sample::select(texts.to_vec()))
}

fn a_rule(n: usize) -> impl Strategy<Value = (EarningRule, Option<&'static str>)> {
    let formula = prop_oneof![
        (1..200_u32).prop_map(Formula::Fixed),
        (1..20_u32, 1..1_500_u32).prop_map(|(points, per_minor)| Formula::PerMoney { points, per_minor }),
        (1..9_u32).prop_map(Formula::PerItem),
    ];
    let per =
        prop_oneof![Just(Per::Event), Just(Per::Ever), Just(Per::Period(Period::Day)), Just(Per::Period(Period::Week))];
    let cap = proptest::option::weighted(0.4, (1..300_u64, per).prop_map(|(points, per)| Cap { points, per }));
    let counts = proptest::sample::select(vec![Counts::Both, Counts::Both, Counts::Redeemable, Counts::Qualifying]);
    let product = proptest::option::weighted(0.3, 0..3_u8);
    let minimum = proptest::option::weighted(0.2, 1..9_000_u64);
    (formula, cap, counts, product, minimum, any::<bool>(), conditions()).prop_map(
        move |(gives, cap, counts, product, minimum, sign_up, when)| {
            let mut rule = EarningRule { counts, cap, minimum, ..EarningRule::new(name(&format!("r{n}")), gives) };
            rule.lines.products.extend(product.map(|n| ProductRef::new(format!("p{n}")).unwrap()));
            if sign_up && n == 0 {
                rule = EarningRule { counts, cap, ..fixed("r0", 30, On::SignUp) };
            }
            (rule, when)
        },
    )
}

fn a_program() -> impl Strategy<Value = (Program, Vec<Option<&'static str>>)> {
    use RoundingPlace::{Line as EachLine, Order};
    let rules = (a_rule(0), a_rule(1), a_rule(2), a_rule(3));
    let rounding = proptest::sample::select(vec![
        Rounding::FullSteps,
        Rounding::Down(EachLine),
        Rounding::HalfEven(Order),
        Rounding::HalfEven(EachLine),
    ]);
    let pending =
        proptest::sample::select(vec![Pending::No, Pending::For(Span::days(2)), Pending::AfterDelivery(Span::days(1))]);
    (rules, rounding, pending, 500..3_000_u32, any::<bool>(), proptest::option::of(2..9_u32)).prop_map(
        |((a, b, c, d), rounding, pending, by, tiered, expires)| {
            let mut program = Program::new(Currency::EUR).with_tier(TierName::new("gold").unwrap(), 60);
            program.zone = crm::Tz::Asia__Tokyo;
            let mut when = Vec::new();
            for (rule, condition) in [a, b, c, d] {
                program.earning.push(rule);
                when.push(condition);
            }
            let tiers = if tiered { [TierName::new("gold").unwrap()].into() } else { [].into() };
            let (when_, rules, from, until) = (None, [].into(), None, None);
            program.multipliers.push(Multiplier {
                name: name("m"),
                by: Factor(by),
                tiers,
                when: when_,
                rules,
                from,
                until,
            });
            let program = Program { rounding, pending, exclusions: Exclusions::default(), ..program };
            (expires.map_or(program.clone(), |days| program.clone().expiring_after(Span::days(days))), when)
        },
    )
}

fn a_cart() -> impl Strategy<Value = Cart> {
    let kind = proptest::sample::select(vec![LineKind::Goods, LineKind::Goods, LineKind::GiftCard, LineKind::Shipping]);
    let line =
        (0..4_u8, kind, -300..4_000_i64, proptest::option::of(1..4_i64)).prop_map(|(n, kind, minor, quantity)| {
            let product = (n < 3).then(|| ProductRef::new(format!("p{n}")).unwrap());
            Line { product, kind, minor, quantity, ..Line::default() }
        });
    (proptest::collection::vec(line, 0..4), 0..9_000_i64, 0..3_i64)
        .prop_map(|(lines, total, paid)| Cart::new(eur(total)).with_lines(lines).paid_with_points(total * paid / 4))
}

#[derive(Debug, Clone)]
enum Step {
    Order(u8, Cart),
    Visit(u8),
    /// Which of the orders so far, and how many hundredths of it.
    Refund(usize, i64),
    Void(usize),
    Pass(u8),
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..2_u8, a_cart()).prop_map(|(who, cart)| Step::Order(who, cart)),
        1 => (0..2_u8).prop_map(Step::Visit),
        2 => (0..9_usize, 0..130_i64).prop_map(|(order, part)| Step::Refund(order, part)),
        1 => (0..9_usize).prop_map(Step::Void),
        2 => (1..60_u8).prop_map(Step::Pass),
    ]
}

fn defined(program: &Program, when: &[Option<&'static str>]) -> Shop {
    let crm = bare();
    let mut program = program.clone();
    for (rule, when) in program.earning.iter_mut().zip(when) {
        rule.when = when.map(|text| crm.rule(text).unwrap());
    }
    crm.define(day(0), Definition::Program(points(), Some(program))).unwrap();
    crm
}

fn cases() -> u32 {
    if std::env::var_os("CRM_SOAK").is_some() { 2_000 } else { 48 }
}

/// An order's number, its fact, its total, what was refunded, whether it was voided, and what each rule gave.
type TheirOrder = (String, EventId, i64, i64, bool, Vec<(i64, i64)>);

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Placing an order gives exactly what was quoted, whatever the programme, whoever the customer and whatever happened.
    #[test]
    fn an_order_gives_exactly_what_was_quoted(
        (program, when) in a_program(),
        steps in proptest::collection::vec(a_step(), 1..14),
    ) {
        let crm = defined(&program, &when);
        let mut now = day(0);
        let mut orders: Vec<(String, EventId, i64, String)> = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            now = now.plus(Span::millis(1));
            crm.clock.set(now);
            match step {
                Step::Order(who, cart) => {
                    let who = format!("c{who}");
                    let before = crm.overview().unwrap();
                    let quote = crm.quote(someone(&who), &points(), cart).unwrap();
                    prop_assert_eq!(&crm.overview().unwrap(), &before);
                    // What is due by now is worked off first, and is not of the order.
                    crm.advance(now).unwrap();
                    let (gave, qualified) = given(&crm, &who);
                    let event = place(&crm, &who, now, &format!("o{n}"), cart);
                    let (after, qualifies) = given(&crm, &who);
                    prop_assert_eq!(i128::from(quote.points()), after - gave, "{:?}", quote);
                    prop_assert_eq!(i128::from(quote.qualifying()), qualifies - qualified, "{:?}", quote);
                    let told: i64 = quote.earning.reasons.iter().map(|(_, reason)| match reason {
                        Reason::Gave { points, .. } | Reason::CappedAt { points, .. } => *points,
                        _ => 0,
                    }).sum();
                    prop_assert!(told >= quote.earning.points.max(quote.earning.qualifying));
                    orders.push((format!("o{n}"), event, cart.total.minor(), who));
                }
                Step::Visit(who) => {
                    visit(&crm, &format!("c{who}"), now, &format!("v{n}"));
                }
                Step::Refund(order, part) => {
                    let Some((number, _, total, who)) = orders.get(*order) else { continue };
                    refund(&crm, who, now, &format!("f{n}"), number, total * part / 100);
                }
                Step::Void(order) => {
                    let Some((_, event, _, who)) = orders.get(*order) else { continue };
                    tell(&crm, who, now, &format!("x{n}"), Voided { event: *event, reason: None });
                }
                Step::Pass(hours) => now = now.plus(Span::millis(u64::from(*hours) * 3_600_000)),
            }
        }
    }

    /// However orders are placed, refunded, voided and placed again: what was given less what was taken back is what is
    /// left of what was quoted for the orders that are there, by its share. Nothing is minted.
    #[test]
    fn nothing_is_left_but_the_share_of_what_stands(
        (program, when) in a_program(),
        steps in proptest::collection::vec(a_step(), 1..14),
    ) {
        // What expired is not taken back again: that is another law.
        let program = Program { expiry: crm::Expiry::Never, earning: program.earning.into_iter().filter(|rule| rule.on == On::Order).collect(), ..program };
        let when: Vec<_> = when.into_iter().collect();
        let crm = defined(&program, &when);
        let mut now = day(0);
        // Of each order: number, event, total, what is refunded, whether it is voided, what each rule gave.
        let mut orders: Vec<TheirOrder> = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            now = now.plus(Span::millis(1));
            crm.clock.set(now);
            match step {
                Step::Order(_, cart) => {
                    let quote = crm.quote(someone("ana"), &points(), cart).unwrap();
                    let event = place(&crm, "ana", now, &format!("o{n}"), cart);
                    let shares = quote.earning.by_rule.iter().map(|share| (share.points, share.qualifying)).collect();
                    orders.push((format!("o{n}"), event, cart.total.minor(), 0, false, shares));
                }
                Step::Refund(order, part) => {
                    let Some((number, _, total, refunded, voided, _)) = orders.get_mut(*order) else { continue };
                    if *voided {
                        continue;
                    }
                    let amount = *total * part / 100;
                    *refunded = (*refunded + amount).min(*total);
                    refund(&crm, "ana", now, &format!("f{n}"), &number.clone(), amount);
                }
                Step::Void(order) => {
                    let Some((_, event, _, _, voided, _)) = orders.get_mut(*order) else { continue };
                    *voided = true;
                    let event = *event;
                    tell(&crm, "ana", now, &format!("x{n}"), Voided { event, reason: None });
                }
                Step::Visit(_) => {
                    visit(&crm, "ana", now, &format!("v{n}"));
                }
                Step::Pass(hours) => {
                    now = now.plus(Span::millis(u64::from(*hours) * 3_600_000));
                    crm.advance(now).unwrap();
                }
            }
            let part = |share: i64, total: i64, refunded: i64| {
                if total == 0 { i128::from(share) } else { i128::from(share) * i128::from(total - refunded) / i128::from(total) }
            };
            let standing = orders.iter().filter(|(_, _, _, _, voided, _)| !voided);
            let worth: (i128, i128) = standing.fold((0, 0), |sum, (_, _, total, refunded, _, shares)| {
                shares.iter().fold(sum, |sum, (points, qualifying)| {
                    (sum.0 + part(*points, *total, *refunded), sum.1 + part(*qualifying, *total, *refunded))
                })
            });
            prop_assert_eq!(given(&crm, "ana"), worth, "after {} {:?}", n, step);
        }
    }
}
