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
use crm_core::consent::{ConsentKey, Contacted, Purpose, Scope};
use crm_core::custom::{CustomFact, KindName, KindSchema};
use crm_core::declared::{AttributeSet, DeclaredKind, DeclaredName, DeclaredText, DeclaredValue};
use crm_core::event::Fact;
use crm_core::expression::{
    BucketName, Comparison, Events, Happenings, MessagesOf, Moment, Number, Operation, Pattern, Predicate, Take,
    TextTest, Texts, Window,
};
use crm_core::interaction::{Channel, Enquired, Visited};
use crm_core::lifecycle::Stage;
use crm_core::loyalty::{Badge, BadgeName, CouponCode, Program, ProgramId, TierName};
use crm_core::messaging::{MessageDirection, MessageReceived};
use crm_core::order::{CategoryName, Line, OrderPlaced, ProductRef};
use crm_core::score::{Score, ScoreName, ScoreOutput};
use crm_core::segment::{Enlisted, ListAbout, ListName, SegmentName, Unlisted};
use crm_core::service::{CaseClosed, CaseKind, CaseOpened, CaseOutcome, CaseRef, CaseReopened};
use crm_core::workflow::PluginName;
use crm_core::{Currency, Definition, Millionths, Money, SmolStr, Span, Timestamp};
use proptest::prelude::*;

pub fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

/// A programme, a kind of events, attributes, scores, and a segment that rules ask about.
pub fn defined() -> Vec<Definition> {
    let club = Program::point_per_unit(Currency::EUR).with_tier(TierName::new("gold").unwrap(), 50);
    let kind = KindSchema { fields: Default::default(), shows_interest: false, ends_relation: false };
    let buyers = Predicate::compare(Attribute::Orders, Comparison::Ge, 1);
    let attribute = |(name, kind)| Definition::Attribute(declared(name), Some(kind));
    let attributes = ATTRIBUTES.into_iter().zip([
        DeclaredKind::Whole,
        DeclaredKind::Decimal,
        DeclaredKind::Text,
        DeclaredKind::Instant,
        DeclaredKind::Flag,
    ]);
    let settled = Predicate::InFor(SegmentName::new("buyers").unwrap(), Span::millis(50 * 3_600_000));
    let lists = PRODUCTS.map(|name| Definition::List(ListName::new(name).unwrap(), Some(ListAbout::default())));
    let mut defined: Vec<Definition> = attributes.map(attribute).collect();
    defined.extend([
        Definition::Scorer(
            PluginName::new("churn").unwrap(),
            Some(SCORES.map(|output| ScoreOutput::new(output).unwrap()).into()),
        ),
        Definition::Scorer(PluginName::new("age").unwrap(), Some([ScoreOutput::new("years").unwrap()].into())),
        Definition::Program(ProgramId::new("club").unwrap(), Some(club)),
        Definition::Kind(KindName::new("review").unwrap(), Some(kind)),
        Definition::Segment(SegmentName::new("buyers").unwrap(), Some(buyers)),
        Definition::Segment(SegmentName::new("settled").unwrap(), Some(settled)),
    ]);
    defined.extend(lists);
    // Nobody earns these: those who ordered so much are not met here.
    let many = Predicate::compare(Attribute::Orders, Comparison::Ge, 1_000_000);
    // A state has the scores that some definition asks about.
    let is_scored = |which| Predicate::Known(Number::Score(score(which)));
    let many = Predicate::All(vec![many, is_scored(0), is_scored(1)]);
    let badges =
        PRODUCTS.map(|name| Definition::Badge(BadgeName::new(name).unwrap(), Some(Box::new(Badge::new(many.clone())))));
    defined.extend(badges);
    defined
}

/// Of each type one: a whole number, a decimal, a text, an instant, a yes or no.
pub const ATTRIBUTES: [&str; 5] = ["shoe_size", "height", "home store", "contract_end", "has_pet"];

/// What the plugin `churn` gives.
pub const SCORES: [&str; 2] = ["risk", "value"];

pub fn score(which: usize) -> ScoreName {
    ScoreName { plugin: PluginName::new("churn").unwrap(), output: ScoreOutput::new(SCORES[which]).unwrap() }
}

/// The scores of those whose lives are not scored by anybody: a risk, and no value.
pub fn scored() -> [(ScoreName, Score); 1] {
    [(score(0), Score { at: hour(0), value: Millionths::new(750_000), purposes: BTreeSet::new() })]
}

/// Scores that are quarters, nearly so, and far off.
pub fn score_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-4..8_i64).prop_map(|quarters| quarters as f64 * 0.25),
        2 => ((-4..8_i64), -7e-7..7e-7_f64).prop_map(|(quarters, more)| quarters as f64 * 0.25 + more),
        1 => prop::sample::select(&[0.7, 1e300, -1e300, 0.1 + 0.2][..]),
    ]
}

pub fn declared(name: &str) -> DeclaredName {
    DeclaredName::new(name).unwrap()
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
        2 => (direction(), prop::option::of(prop::sample::select(&CHANNELS[..])))
            .prop_map(|(direction, channel)| Events::Messages(MessagesOf { direction, channel })),
        1 => prop::option::of(prop::sample::select(&KINDS[..])).prop_map(Events::Cases),
        2 => prop::option::of(prop::sample::select(&KINDS[..])).prop_map(Events::OpenCases),
    ]
}

pub const CHANNELS: [Channel; 2] = [Channel::Email, Channel::Sms];
pub const KINDS: [CaseKind; 2] = [CaseKind::Complaint, CaseKind::Return];

fn direction() -> impl Strategy<Value = Option<MessageDirection>> {
    prop::sample::select(&[None, Some(MessageDirection::Sent), Some(MessageDirection::Received)][..])
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
        Just(Moment::Declared(declared(ATTRIBUTES[3]))),
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
        Just(Number::DeclaredWhole(declared(ATTRIBUTES[0]))),
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
        1 => test().prop_map(|test| Predicate::Text(Texts::Lists, test)),
        1 => test().prop_map(|test| Predicate::Text(Texts::Badges, test)),
        1 => (comparison(), 0..9_i64).prop_map(|(is, limit)| Predicate::compare(Number::Credit(Currency::EUR), is, limit)),
        1 => (any::<bool>(), comparison(), 0..2_i64).prop_map(|(held, is, limit)| {
            let coupon = CouponCode::new("TEN").unwrap();
            Predicate::compare(if held { Number::Vouchers(coupon) } else { Number::CouponUses(coupon) }, is, limit)
        }),
        1 => test().prop_map(|test| Predicate::Text(Texts::Tier(ProgramId::new("club").unwrap()), test)),
        1 => test().prop_map(|test| Predicate::Text(Texts::Declared(declared(ATTRIBUTES[2])), test)),
        1 => (comparison(), -1..7_i64).prop_map(|(is, halves)| {
            Predicate::compare(Number::DeclaredDecimal(declared(ATTRIBUTES[1])), is, halves * 500_000)
        }),
        2 => (0..SCORES.len(), comparison(), -5..9_i64, -1..2_i64).prop_map(|(which, is, quarters, more)| {
            Predicate::compare(Number::Score(score(which)), is, quarters * 250_000 + more)
        }),
        1 => (0..SCORES.len(), comparison(), prop::sample::select(&[-100_000_000_000_000, 100_000_000_000_000][..]))
            .prop_map(|(which, is, limit)| Predicate::compare(Number::Score(score(which)), is, limit)),
        1 => (0..SCORES.len()).prop_map(|which| Predicate::Known(Number::Score(score(which)))),
        1 => Just(Predicate::DeclaredFlag(declared(ATTRIBUTES[4]))),
        1 => (0..5_usize).prop_map(|n| match n {
            0 => Predicate::Known(Number::DeclaredWhole(declared(ATTRIBUTES[0]))),
            1 => Predicate::Known(Number::DeclaredDecimal(declared(ATTRIBUTES[1]))),
            3 => Predicate::Known(Number::Instant(Moment::Declared(declared(ATTRIBUTES[3])))),
            n => Predicate::DeclaredKnown(declared(ATTRIBUTES[n])),
        }),
        1 => prop::sample::select(&["buyers", "settled"][..])
            .prop_map(|name| Predicate::InSegment(SegmentName::new(name).unwrap())),
        1 => prop::option::of(1..400_u64).prop_map(|hours| {
            Predicate::WasIn(SegmentName::new("buyers").unwrap(), hours.map(|hours| Span::millis(hours * 3_600_000)))
        }),
        1 => (1..400_u64)
            .prop_map(|hours| Predicate::InFor(SegmentName::new("buyers").unwrap(), Span::millis(hours * 3_600_000))),
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
    Enlist,
    Unlist,
    Order(i64, Vec<usize>),
    Message(MessageDirection, Channel),
    /// Of one of three cases.
    Case(u8, CaseStep),
    /// One of [`ATTRIBUTES`], and what it is by a number.
    Set(usize, Option<i64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseStep {
    Open(CaseKind),
    Close,
    Reopen,
}

/// What an attribute is by a number.
pub fn value(attribute: usize, number: i64) -> DeclaredValue {
    match attribute {
        0 => DeclaredValue::Whole(number),
        1 => DeclaredValue::Decimal(Millionths::new(number * 500_000)),
        2 => DeclaredValue::Text(DeclaredText::new(PRODUCTS[number.unsigned_abs() as usize % 4]).unwrap()),
        3 => DeclaredValue::Instant(hour(number * 120)),
        _ => DeclaredValue::Flag(number % 2 == 0),
    }
}

pub fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        Just(Step::Visit),
        Just(Step::Enquire),
        Just(Step::Review),
        Just(Step::Enlist),
        Just(Step::Unlist),
        (0..5_000_i64, prop::collection::vec(0..PRODUCTS.len(), 0..3))
            .prop_map(|(minor, bought)| Step::Order(minor, bought)),
        (direction(), prop::sample::select(&CHANNELS[..]))
            .prop_map(|(direction, by)| Step::Message(direction.unwrap_or(MessageDirection::Sent), by)),
        (0..3_u8, case_step()).prop_map(|(case, step)| Step::Case(case, step)),
        (0..3_u8, case_step()).prop_map(|(case, step)| Step::Case(case, step)),
        (0..ATTRIBUTES.len(), prop::option::weighted(0.8, -1..6_i64))
            .prop_map(|(which, value)| Step::Set(which, value)),
    ];
    prop::collection::vec((0..350_i64, step), 0..14)
}

fn case_step() -> impl Strategy<Value = CaseStep> {
    prop_oneof![
        3 => prop::sample::select(&KINDS[..]).prop_map(CaseStep::Open),
        2 => Just(CaseStep::Close),
        1 => Just(CaseStep::Reopen),
    ]
}

/// The same for one of several customers, of whom no two have the same case.
pub fn fact_of(customer: usize, step: &Step) -> Fact {
    let Step::Case(case, step) = step else { return fact(step) };
    let case = CaseRef::new(format!("{customer}-{case}")).unwrap();
    match step {
        CaseStep::Open(kind) => CaseOpened { case, kind: *kind, topic: None }.into(),
        CaseStep::Close => CaseClosed { case, outcome: CaseOutcome::Resolved }.into(),
        CaseStep::Reopen => CaseReopened { case, reason: None }.into(),
    }
}

pub fn fact(step: &Step) -> Fact {
    match step {
        Step::Visit => Visited { channel: Channel::Web, place: None }.into(),
        Step::Enquire => Enquired { channel: Channel::Email, subject: None }.into(),
        Step::Review => CustomFact::new(KindName::new("review").unwrap()).into(),
        Step::Message(MessageDirection::Received, channel) => {
            MessageReceived { channel: *channel, subject: None }.into()
        }
        Step::Message(MessageDirection::Sent, channel) => {
            Contacted { purpose: Purpose::new("service").unwrap(), channel: *channel, scope: None }.into()
        }
        Step::Case(..) => fact_of(0, step),
        Step::Set(which, number) => {
            let value = number.map(|number| value(*which, number));
            AttributeSet { attribute: declared(ATTRIBUTES[*which]), value }.into()
        }
        Step::Enlist => Enlisted { list: ListName::new("mug").unwrap() }.into(),
        Step::Unlist => Unlisted { list: ListName::new("mug").unwrap() }.into(),
        Step::Order(minor, bought) => {
            let line = |product: &usize| Line {
                product: Some(ProductRef::new(PRODUCTS[*product]).unwrap()),
                category: (*product < 2).then(|| CategoryName::new("wine").unwrap()),
                minor: 100,
                ..Line::default()
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
        let in_window = |at: Timestamp| match happenings.within {
            Window::Ever => true,
            Window::Last(span) => self.at.as_millis() - at.as_millis() < span.as_millis(),
            Window::Between { from, until } => {
                from.is_none_or(|from| at >= from) && until.is_none_or(|until| at < until)
            }
        };
        if let Events::Cases(of) | Events::OpenCases(of) = &happenings.what {
            let [opened, open] = self.cases();
            let asked = if matches!(happenings.what, Events::Cases(_)) { opened } else { open };
            let asked = asked.into_iter().filter(|(kind, at)| (of.is_none() || kind == of) && in_window(*at));
            found.extend(asked.map(|(_, at)| (at, None, Vec::new())));
        }
        for (at, step) in self.life {
            let at = hour(*at);
            if at > self.at || !in_window(at) {
                continue;
            }
            match (step, &happenings.what) {
                (Step::Message(direction, channel), Events::Messages(of))
                    if of.direction.is_none_or(|own| own == *direction)
                        && of.channel.is_none_or(|own| own == *channel) =>
                {
                    found.push((at, None, Vec::new()));
                }
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

    /// The cases that were opened, and those that are open.
    fn cases(&self) -> [Vec<(Option<CaseKind>, Timestamp)>; 2] {
        let mut told: Vec<(i64, u8, CaseStep)> = Vec::new();
        for (at, step) in self.life {
            if let Step::Case(case, step) = step
                && hour(*at) <= self.at
            {
                told.push((*at, *case, *step));
            }
        }
        told.sort_by_key(|(at, ..)| *at);
        let mut opened = Vec::new();
        // Of each case what is known of it, and whether it is open.
        let mut known: [Option<(Option<CaseKind>, Timestamp, bool)>; 3] = [None; 3];
        for (at, case, step) in told {
            let (at, own) = (hour(at), &mut known[usize::from(case)]);
            match (step, &mut *own) {
                (CaseStep::Close, Some((_, _, is_open))) => *is_open = false,
                (CaseStep::Close, None) => {}
                (CaseStep::Reopen, Some((_, _, is_open))) => *is_open = true,
                (CaseStep::Reopen, None) => *own = Some((None, at, true)),
                (CaseStep::Open(_), Some((Some(_), _, is_open))) => *is_open = true,
                (CaseStep::Open(kind), _) => {
                    opened.push((Some(kind), at));
                    *own = Some((Some(kind), at, true));
                }
            }
        }
        let open = known.into_iter().flatten().filter(|(_, _, is_open)| *is_open);
        [opened, open.map(|(kind, at, _)| (kind, at)).collect()]
    }

    /// What was told last of an attribute.
    fn told(&self, attribute: &DeclaredName) -> Option<DeclaredValue> {
        let which = ATTRIBUTES.iter().position(|name| *name == attribute.as_str())?;
        let told = self.life.iter().filter_map(|(at, step)| match step {
            Step::Set(of, number) if *of == which && hour(*at) <= self.at => Some((*at, *number)),
            _ => None,
        });
        // Of several at an instant the one with the greatest id, which is the last of the list.
        told.max_by_key(|(at, _)| *at)?.1.map(|number| value(which, number))
    }

    /// What a rule comes to; none for what is not counted here.
    pub fn rule(&self, rule: &Predicate) -> Option<Option<bool>> {
        let all = |parts: &[Predicate], by: bool| {
            let answers = parts.iter().map(|part| self.rule(part)).collect::<Option<Vec<_>>>()?;
            Some(if answers.contains(&Some(by)) {
                Some(by)
            } else if answers.contains(&None) {
                None
            } else {
                Some(!by)
            })
        };
        match rule {
            Predicate::All(parts) => all(parts, false),
            Predicate::Any(parts) => all(parts, true),
            Predicate::Not(part) => Some(self.rule(part)?.map(|answer| !answer)),
            Predicate::Compare(left, is, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                Some(left.zip(right).map(|(left, right)| is.holds(left, right)))
            }
            Predicate::Known(number) => Some(Some(self.number(number)?.is_some())),
            Predicate::DeclaredKnown(attribute) => Some(Some(self.told(attribute).is_some())),
            Predicate::DeclaredFlag(attribute) => Some(match self.told(attribute) {
                Some(DeclaredValue::Flag(yes)) => Some(yes),
                _ => None,
            }),
            Predicate::Text(Texts::Declared(attribute), test) => Some(match self.told(attribute) {
                Some(DeclaredValue::Text(text)) => Some(test.passes(text.as_str())),
                _ => None,
            }),
            _ => None,
        }
    }

    /// The value of a number that is counted over what happened; none for others.
    pub fn number(&self, number: &Number) -> Option<Option<i64>> {
        let days =
            |moment: Option<Timestamp>| moment.map(|at| (self.at.as_millis() - at.as_millis()).max(0) / 86_400_000);
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
            Number::DeclaredWhole(attribute) => match self.told(attribute) {
                Some(DeclaredValue::Whole(number)) => Some(number),
                _ => None,
            },
            Number::DeclaredDecimal(attribute) => match self.told(attribute) {
                Some(DeclaredValue::Decimal(number)) => Some(number.get()),
                _ => None,
            },
            Number::Score(name) => {
                scored().into_iter().find(|(own, _)| own == name).map(|(_, score)| score.value.get())
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
            Moment::Declared(attribute) => match self.told(attribute) {
                Some(DeclaredValue::Instant(instant)) => Some(instant),
                _ => None,
            },
            _ => return None,
        })
    }
}
