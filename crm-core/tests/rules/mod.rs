//! Rules and lives at random, and what rules come to by counting on one's fingers.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    dead_code,
    unreachable_pub,
    reason = "a panic is how a test fails; not every test uses all of it, and it does not count everything"
)]

use std::collections::BTreeSet;

use crm_core::attribute::Attribute;
use crm_core::consent::{ConsentKey, Purpose, Scope};
use crm_core::custom::{CustomFact, KindName, KindSchema};
use crm_core::event::Fact;
use crm_core::expression::{
    BucketName, Comparison, Events, Happenings, Moment, Number, Operation, Pattern, Predicate, Take, TextTest, Texts,
    Window,
};
use crm_core::interaction::{Channel, Enquired, Visited};
use crm_core::lifecycle::Stage;
use crm_core::loyalty::{Program, ProgramId, TierName};
use crm_core::order::{CategoryName, Line, OrderPlaced, ProductRef};
use crm_core::segment::SegmentName;
use crm_core::{Currency, Definition, Money, SmolStr, Span, Timestamp};
use proptest::prelude::*;

pub fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

/// A programme, a kind of events, and a segment that rules ask about.
pub fn defined() -> Vec<Definition> {
    let club = Program::point_per_unit(Currency::EUR).with_tier(TierName::new("gold").unwrap(), 50);
    let kind = KindSchema { fields: Default::default(), shows_interest: false, ends_relation: false };
    let buyers = Predicate::compare(Attribute::Orders, Comparison::Ge, 1);
    vec![
        Definition::Program(ProgramId::new("club").unwrap(), Some(club)),
        Definition::Kind(KindName::new("review").unwrap(), Some(kind)),
        Definition::Segment(SegmentName::new("buyers").unwrap(), Some(buyers)),
    ]
}

pub const PRODUCTS: [&str; 4] = ["mug", "cup", "王", "a/b\"c"];

pub fn window() -> impl Strategy<Value = Window> {
    let at = || prop::option::of((0..400_i64).prop_map(hour));
    prop_oneof![
        Just(Window::Ever),
        (1..400_u64).prop_map(|hours| Window::Last(Span::millis(hours * 3_600_000))),
        (at(), at()).prop_map(|(from, until)| Window::Between { from, until }),
    ]
}

pub fn events() -> impl Strategy<Value = Events> {
    prop_oneof![
        4 => orders(),
        1 => Just(Events::Visits),
        1 => Just(Events::Enquiries),
        1 => Just(Events::Custom(KindName::new("review").unwrap())),
    ]
}

pub fn orders() -> impl Strategy<Value = Events> {
    prop_oneof![
        2 => Just(Events::Orders),
        1 => prop::sample::select(&PRODUCTS[..]).prop_map(|text| Events::OrdersOf(ProductRef::new(text).unwrap())),
        1 => Just(Events::OrdersIn(CategoryName::new("wine").unwrap())),
    ]
}

pub fn happenings(what: impl Strategy<Value = Events>) -> impl Strategy<Value = Happenings> {
    (what, window()).prop_map(|(what, within)| Happenings { what, within })
}

pub fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        Just(Moment::FirstSeen),
        Just(Moment::LastSeen),
        happenings(events()).prop_map(Moment::First),
        happenings(events()).prop_map(Moment::Last),
    ]
}

/// Numbers of things, so that any two of them can be put together.
pub fn number() -> impl Strategy<Value = Number> {
    let leaf = prop_oneof![
        prop::sample::select(&[Attribute::Orders, Attribute::Visits, Attribute::Refunds][..])
            .prop_map(Number::Attribute),
        happenings(events()).prop_map(|happenings| Number::Over(happenings, Take::Count)),
        happenings(orders()).prop_map(|happenings| Number::Over(happenings, Take::Products)),
        happenings(orders()).prop_map(|happenings| Number::Over(happenings, Take::Categories)),
        (1..20_u32).prop_map(|of| Number::Bucket { name: BucketName::new("trial").unwrap(), of }),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        let operation = prop_oneof![
            Just(Operation::Plus),
            Just(Operation::Minus),
            Just(Operation::Times),
            Just(Operation::By),
            Just(Operation::Rest)
        ];
        (inner.clone(), operation, inner)
            .prop_map(|(left, by, right)| Number::Calculate(Box::new(left), by, Box::new(right)))
    })
}

pub fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        Just(Comparison::Eq),
        Just(Comparison::Ne),
        Just(Comparison::Lt),
        Just(Comparison::Le),
        Just(Comparison::Gt),
        Just(Comparison::Ge),
    ]
}

pub fn test() -> impl Strategy<Value = TextTest> {
    let text = || prop::sample::select(&PRODUCTS[..]).prop_map(SmolStr::new);
    prop_oneof![
        prop::collection::btree_set(text(), 1..3).prop_map(TextTest::OneOf),
        text().prop_map(TextTest::StartsWith),
        text().prop_map(TextTest::EndsWith),
        text().prop_map(TextTest::Contains),
        Just(TextTest::Matches(Pattern::new("^m.g$").unwrap())),
    ]
}

pub fn rule() -> impl Strategy<Value = Predicate> {
    let leaf = prop_oneof![
        3 => (number(), comparison(), -1..6_i64).prop_map(|(number, is, limit)| Predicate::compare(number, is, limit)),
        1 => (number(), comparison(), number()).prop_map(|(left, is, right)| Predicate::Compare(left, is, right)),
        1 => (-1..4_i64, comparison(), number()).prop_map(|(limit, is, number)| Predicate::compare(limit, is, number)),
        2 => (moment(), comparison(), 0..20_i64)
            .prop_map(|(moment, is, limit)| Predicate::compare(Number::DaysSince(moment), is, limit)),
        1 => (moment(), comparison(), 0..400_i64)
            .prop_map(|(moment, is, at)| Predicate::compare(Number::Instant(moment), is, hour(at).as_millis())),
        1 => (prop::sample::select(&[Attribute::RecencyDays, Attribute::TenureDays, Attribute::AgeDays][..]), comparison(), 0..20_i64)
            .prop_map(|(attribute, is, limit)| Predicate::compare(attribute, is, limit)),
        1 => (happenings(orders()), prop::sample::select(&[Take::Sum, Take::Average, Take::Least, Take::Greatest][..]), comparison(), -10..9_000_i64)
            .prop_map(|(happenings, take, is, minor)| Predicate::compare(Number::Over(happenings, take), is, minor)),
        1 => (comparison(), 0..9_000_i64).prop_map(|(is, minor)| Predicate::compare(Attribute::Spend, is, minor)),
        1 => moment().prop_map(|moment| Predicate::Known(Number::DaysSince(moment))),
        1 => prop::collection::btree_set(prop::sample::select(&Stage::ALL[..]), 1..3).prop_map(Predicate::StageIn),
        1 => (happenings(orders()), test()).prop_map(|(happenings, test)| Predicate::Text(Texts::Products(happenings), test)),
        1 => test().prop_map(|test| Predicate::Text(Texts::Tags, test)),
        1 => test().prop_map(|test| Predicate::Text(Texts::Tier(ProgramId::new("club").unwrap()), test)),
        1 => Just(Predicate::InSegment(SegmentName::new("buyers").unwrap())),
        1 => Just(Predicate::Consents(ConsentKey {
            scope: Some(Scope::new("brand").unwrap()),
            ..ConsentKey::new(Purpose::new("newsletter").unwrap(), Channel::Email)
        })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::Any),
            inner.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}

#[derive(Debug, Clone)]
pub enum Step {
    Visit,
    Enquire,
    Review,
    Order(i64, Vec<usize>),
}

pub fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        Just(Step::Visit),
        Just(Step::Enquire),
        Just(Step::Review),
        (0..5_000_i64, prop::collection::vec(0..PRODUCTS.len(), 0..3))
            .prop_map(|(minor, bought)| Step::Order(minor, bought)),
    ];
    prop::collection::vec((0..350_i64, step), 0..14)
}

pub fn fact(step: &Step) -> Fact {
    match step {
        Step::Visit => Visited { channel: Channel::Web, place: None }.into(),
        Step::Enquire => Enquired { channel: Channel::Email, subject: None }.into(),
        Step::Review => CustomFact::new(KindName::new("review").unwrap()).into(),
        Step::Order(minor, bought) => {
            let line = |product: &usize| Line {
                product: Some(ProductRef::new(PRODUCTS[*product]).unwrap()),
                category: (*product < 2).then(|| CategoryName::new("wine").unwrap()),
                quantity: None,
                minor: 100,
                cost_minor: None,
            };
            OrderPlaced::new(Money::new(*minor, Currency::EUR)).with_lines(bought.iter().map(line).collect()).into()
        }
    }
}

/// What a life comes to without any state: what happened by an instant, one after another.
pub struct Naive<'l> {
    pub life: &'l [(i64, Step)],
    pub at: Timestamp,
}

impl Naive<'_> {
    fn happened(&self, happenings: &Happenings) -> Vec<(Timestamp, Option<i64>, Vec<usize>)> {
        let mut found = Vec::new();
        for (at, step) in self.life {
            let at = hour(*at);
            let in_window = match happenings.within {
                Window::Ever => true,
                Window::Last(span) => self.at.as_millis() - at.as_millis() < span.as_millis(),
                Window::Between { from, until } => {
                    from.is_none_or(|from| at >= from) && until.is_none_or(|until| at < until)
                }
            };
            if at > self.at || !in_window {
                continue;
            }
            match (step, &happenings.what) {
                (Step::Visit, Events::Visits)
                | (Step::Enquire, Events::Enquiries)
                | (Step::Review, Events::Custom(_)) => {
                    found.push((at, None, Vec::new()));
                }
                (Step::Order(minor, bought), Events::Orders) => found.push((at, Some(*minor), bought.clone())),
                (Step::Order(_, bought), Events::OrdersOf(product)) => {
                    let count = bought.iter().filter(|one| PRODUCTS[**one] == product.as_str()).count() as i64;
                    if count > 0 {
                        found.push((at, Some(count * 100), bought.clone()));
                    }
                }
                (Step::Order(_, bought), Events::OrdersIn(_)) => {
                    let count = bought.iter().filter(|one| **one < 2).count() as i64;
                    if count > 0 {
                        found.push((at, Some(count * 100), bought.clone()));
                    }
                }
                _ => {}
            }
        }
        found.sort();
        found
    }

    /// The value of a number that is counted over what happened; none for others.
    pub fn number(&self, number: &Number) -> Option<Option<i64>> {
        let days = |moment: Option<Timestamp>| moment.map(|at| (self.at.as_millis() - at.as_millis()) / 86_400_000);
        Some(match number {
            Number::Constant(number) => Some(*number),
            Number::Over(happenings, take) => {
                let found = self.happened(happenings);
                let amounts: Vec<i64> = found.iter().filter_map(|(_, amount, _)| *amount).collect();
                let sum: i64 = amounts.iter().sum();
                let products: BTreeSet<usize> =
                    found.iter().flat_map(|(_, _, bought)| bought.iter().copied()).collect();
                match take {
                    Take::Count => Some(found.len() as i64),
                    Take::Sum => Some(sum),
                    Take::Average => (!amounts.is_empty()).then(|| sum.div_euclid(amounts.len() as i64)),
                    Take::Least => amounts.into_iter().min(),
                    Take::Greatest => amounts.into_iter().max(),
                    Take::Products => Some(products.len() as i64),
                    Take::Categories => Some(i64::from(products.iter().any(|product| *product < 2))),
                    _ => return None,
                }
            }
            Number::DaysSince(moment) => days(self.moment(moment)?),
            Number::Instant(moment) => self.moment(moment)?.map(Timestamp::as_millis),
            Number::Calculate(left, by, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                left.zip(right).and_then(|(left, right)| by.of(left, right))
            }
            _ => return None,
        })
    }

    fn moment(&self, moment: &Moment) -> Option<Option<Timestamp>> {
        Some(match moment {
            Moment::First(happenings) => self.happened(happenings).first().map(|(at, ..)| *at),
            Moment::Last(happenings) => self.happened(happenings).last().map(|(at, ..)| *at),
            _ => return None,
        })
    }
}
