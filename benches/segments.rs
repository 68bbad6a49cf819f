//! What segments cost: asking one rule about one customer beside the same test in Rust and beside the interpreter of
//! the `cel` crate; keeping a thousand segments up to date at an event that touches ten of them; and timers.
//!
//! `cargo bench -p crm --no-default-features --features sqlite --bench segments`, with `-- --customers 10000` for fewer
//! timers.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints what it measured")]

use std::sync::Arc;
use std::time::Instant;

use crm::blocking::Crm;
use crm::{
    Channel, Currency, Definition, DerivedIds, EventId, Fact, Identifier, Incoming, Ingestion, ManualClock, Money,
    OrderPlaced, Predicate, SegmentName, Source, Span, Stage, Subject, Tag, Tagged, Timestamp, Visited, Vocabulary,
};
use crm_core::attribute::Attribute;
use crm_core::change::Cause;
use crm_core::customer::Customer;
use crm_core::event::EventBody;
use crm_core::{CustomerId, DefinitionVersion, Definitions};

const ROUNDS: usize = 31;
/// What one evaluation may cost, of the same test in Rust.
const EVALUATION_LIMIT: f64 = 10.0;
/// Microseconds that an event may cost which touches ten segments of a thousand.
const EVENT_LIMIT: f64 = 20.0;
/// Members that timers flip in a second.
const FLIPS_LIMIT: f64 = 50_000.0;

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-05").unwrap().plus(Span::days(day))
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of[of.len() / 2]
}

fn definitions(segments: impl IntoIterator<Item = (String, String)>) -> Definitions {
    let mut definitions = Definitions::default();
    for (name, text) in segments {
        let rule = Predicate::parse(&text, &Vocabulary::of(&definitions, day(0))).unwrap();
        let definition = Definition::Segment(SegmentName::new(name).unwrap(), Some(rule));
        assert!(definitions.add(DefinitionVersion { from: Timestamp::MIN, definition }).unwrap());
    }
    definitions
}

/// Somebody with so many orders, a visit and a tag.
fn customer(number: u32, definitions: &Definitions) -> Customer {
    let id = CustomerId::new(day(0), [number as u8; 10]);
    let event = |n: u32| EventId::from_uuid(uuid::Uuid::from_u128(u128::from(number) << 32 | u128::from(n)));
    let mut events: Vec<(EventId, Timestamp, EventBody)> = (0..20)
        .map(|n| {
            let order = OrderPlaced::new(Money::new(i64::from(number % 7 * 100 + n), Currency::EUR));
            (event(n), day(n * 5), EventBody::Fact(order.into()))
        })
        .collect();
    if number.is_multiple_of(2) {
        let tagged = Tagged { tag: Tag::new("vip").unwrap() };
        events.push((event(99), day(100), EventBody::Fact(tagged.into())));
    }
    let told = events.iter().map(|(event, at, body)| (id, *event, *at, body));
    Customer::replay(id, told, day(100), definitions)
}

fn one_evaluation() {
    let text = r#"stage == "purchase" && spend >= 20 && recency_days < 90 && "vip" in tags"#;
    let definitions = definitions([]);
    let rule = Predicate::parse(text, &Vocabulary::of(&definitions, day(0))).unwrap();
    let customers: Vec<Customer> = (0..1_000).map(|n| customer(n, &definitions)).collect();
    let at = day(101);
    let vip = Tag::new("vip").unwrap();
    let native = |customer: &Customer| {
        customer.stage() == Some(Stage::Purchase)
            && Attribute::Spend.of(customer, at, Currency::EUR).is_some_and(|spend| spend >= 2_000)
            && Attribute::RecencyDays.of(customer, at, Currency::EUR).is_some_and(|days| days < 90)
            && customer.has_tag(&vip)
    };
    let program = cel::Program::compile(text).unwrap();
    let contexts: Vec<cel::Context<'_, '_>> = customers
        .iter()
        .map(|customer| {
            let mut context = cel::Context::default();
            let spend = Attribute::Spend.of(customer, at, Currency::EUR).unwrap() / 100;
            let tags: Vec<String> = customer.tags().map(|tag| tag.as_str().to_owned()).collect();
            context.add_variable_from_value("stage", customer.stage().map(Stage::name).unwrap_or_default());
            context.add_variable_from_value("spend", spend);
            context.add_variable_from_value(
                "recency_days",
                Attribute::RecencyDays.of(customer, at, Currency::EUR).unwrap(),
            );
            context.add_variable_from_value("tags", tags);
            context
        })
        .collect();
    let mut sides: [Vec<f64>; 3] = Default::default();
    let mut answers = [0; 3];
    for _ in 0..ROUNDS {
        let timed = |count: &mut dyn FnMut() -> usize| {
            let began = Instant::now();
            let held = count();
            (began.elapsed().as_nanos() as f64 / customers.len() as f64, held)
        };
        let ours = timed(&mut || {
            customers.iter().filter(|customer| rule.holds(&Subject::new(customer, at, &definitions))).count()
        });
        let by_hand = timed(&mut || customers.iter().filter(|customer| native(customer)).count());
        let interpreted = timed(&mut || {
            contexts.iter().filter(|context| program.execute(context) == Ok(cel::Value::Bool(true))).count()
        });
        for (n, (nanos, held)) in [ours, by_hand, interpreted].into_iter().enumerate() {
            sides[n].push(nanos);
            answers[n] = held;
        }
    }
    assert!(answers[0] > 0 && answers.iter().all(|held| *held == answers[0]), "{answers:?}");
    let [ours, by_hand, interpreted] = sides.map(median);
    println!(
        "one rule of four conditions: {ours:.0} ns, in Rust {by_hand:.0} ns: {:.1} times (limit {EVALUATION_LIMIT}); \
         by the interpreter of cel {interpreted:.0} ns",
        ours / by_hand
    );
}

fn one_event() {
    let thousand = (0..1_000).map(|n| {
        let rule = match n {
            0..10 => format!("visits.in_last(\"{}d\") >= 2 && orders > {n}", n + 1),
            10..400 => format!("orders.in_last(\"{n}d\") >= 3 && spend > {n}"),
            400..700 => format!("\"tag-{n}\" in tags"),
            _ => format!("points > {n} && recency_days < {n}"),
        };
        (format!("s{n}"), rule)
    });
    let (all, none) = (definitions(thousand), definitions([]));
    let of = |definitions: &Definitions| -> f64 {
        let customers: Vec<Customer> = (0..64).map(|n| customer(n, definitions)).collect();
        let visit: Fact = Visited { channel: Channel::Web, place: None }.into();
        let rounds = (0..ROUNDS).map(|_| {
            let mut copies = customers.clone();
            let (mut moves, mut changes) = (Vec::new(), Vec::new());
            let began = Instant::now();
            for customer in &mut copies {
                let event = EventId::from_uuid(uuid::Uuid::from_u128(7));
                let id = customer.id();
                customer.fold_fact(id, event, day(101), &visit, definitions, &mut moves);
                customer.derive(day(101), Cause::Event(event), &mut moves, definitions, &mut changes);
                std::hint::black_box(customer.next_alarm(definitions));
            }
            began.elapsed().as_nanos() as f64 / copies.len() as f64 / 1_000.0
        });
        median(rounds.collect())
    };
    let (with, without) = (of(&all), of(&none));
    println!(
        "an event that touches 10 of 1,000 segments: {:.1} µs more than without segments (limit {EVENT_LIMIT})",
        with - without
    );
}

/// Everybody is a recent visitor until a timer says otherwise; how many of them in a second.
fn flips(customers: usize) -> f64 {
    let clock = Arc::new(ManualClock::at(day(0)));
    let crm = Crm::from(crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).build());
    let rule = crm.rule(r#"visits.in_last("30d") >= 1"#).unwrap();
    crm.define(Timestamp::MIN, Definition::Segment(SegmentName::new("recent").unwrap(), Some(rule))).unwrap();
    let source = Source::new("bench").unwrap();
    let visits = (0..customers).map(|n| {
        let visit = Visited { channel: Channel::Web, place: None };
        let who = Identifier::email(&format!("customer{n}@example.com")).unwrap();
        Incoming::new(who, day(0), source.clone(), visit).with_key(format!("visit {n}").parse().unwrap())
    });
    crm.ingest(visits, Ingestion::history()).unwrap();
    clock.set(day(31));
    let recent = Predicate::InSegment(SegmentName::new("recent").unwrap());
    assert_eq!(crm.count(&recent).unwrap(), customers as u64);
    let began = Instant::now();
    crm.advance(day(31)).unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(crm.count(&recent).unwrap(), 0);
    customers as f64 / seconds
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--customers").skip(1);
    let customers = arguments.next().map_or(100_000, |count| count.parse().unwrap());
    one_evaluation();
    one_event();
    let (half, all) = (flips(customers / 2), flips(customers));
    println!(
        "{customers} timers due in one advance, in memory: {all:.0} flips a second (limit {FLIPS_LIMIT:.0}); \
         of half as many {half:.0}"
    );
}
