//! Laws of the engine: how time is cut into calls, and how facts are cut into batches, does not matter.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::loyalty::{Period, Window};
use crm::{
    Attribute, Channel, Command, Comparison, Currency, Definition, Enquired, ExternalSystem, Identifier, Incoming,
    Ingestion, LifecyclePolicy, ManualClock, Money, OrderPlaced, OrderRef, PluginFault, PluginName, PluginStamp,
    Predicate, Program, ProgramId, Refunded, SegmentName, Source, Span, Tag, TierName, Timestamp, Visited, Workflow,
    WorkflowCall, WorkflowReply,
};
use proptest::prelude::*;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

/// A workflow of the host's own: marks whoever goes quiet, and remembers how often that was.
#[derive(Debug)]
struct Marker(PluginStamp);

impl Marker {
    fn new() -> Self {
        let name = PluginName::new("marker").unwrap();
        Marker(PluginStamp { name, version: "1".into(), digest: crm::Digest::of(b"marker") })
    }
}

impl Workflow for Marker {
    fn stamp(&self) -> &PluginStamp {
        &self.0
    }

    fn listens(&self, kind: &str) -> bool {
        ["stage_changed", "segment_entered", "refunded"].contains(&kind)
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        let count = call.memory.first().copied().unwrap_or(0).wrapping_add(1);
        let tag = Tag::new(format!("marked-{}", count % 3)).unwrap();
        let topic = call.trigger.kind.parse().unwrap();
        let notify = Command::Notify { topic, fields: crm::Fields::new() };
        Ok(WorkflowReply { commands: vec![Command::AddTag(tag), notify], memory: Some(vec![count]) })
    }
}

fn shop() -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(hour(0)));
    let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(crm::DerivedIds).workflow(Marker::new()).build();
    let crm = Crm::from(crm);
    let define = |definition| crm.define(hour(0), definition).unwrap();
    define(Definition::Lifecycle(LifecyclePolicy {
        intent_fades_after: Span::days(3),
        quiet_after: Span::days(10),
        ..LifecyclePolicy::default()
    }));
    let mut program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(12));
    program = program.with_tier(TierName::new("silver").unwrap(), 40).with_tier(TierName::new("gold").unwrap(), 90);
    program.tiers.window = Window::Rolling(Span::days(9));
    program.tiers.kept_until_end_of = Some(Period::Week);
    program.tiers.grace = Some(Span::days(2));
    program.tiers.notice = Some(Span::days(3));
    define(Definition::Program(ProgramId::new("points").unwrap(), Some(program)));
    let busy = Predicate::orders_in_last(4, Comparison::Ge, 2);
    define(Definition::Segment(SegmentName::new("busy").unwrap(), Some(busy)));
    let away = Predicate::compare(Attribute::RecencyDays, Comparison::Ge, 3);
    define(Definition::Segment(SegmentName::new("away").unwrap(), Some(away)));
    (clock, crm)
}

#[derive(Debug, Clone)]
enum What {
    Visit,
    Enquiry,
    Order(i64),
    Refund(Option<usize>, i64),
}

fn what() -> impl Strategy<Value = (u8, i64, What)> {
    let what = prop_oneof![
        Just(What::Visit),
        Just(What::Enquiry),
        (0..9_000_i64).prop_map(What::Order),
        (proptest::option::of(0..30_usize), 0..9_000_i64).prop_map(|(n, minor)| What::Refund(n, minor)),
    ];
    (0..3_u8, 0..700_i64, what)
}

fn incoming(n: usize, (who, at, what): &(u8, i64, What)) -> Incoming {
    let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), &who.to_string()).unwrap();
    let source = Source::new("test").unwrap();
    let eur = |minor: i64| Money::new(minor, Currency::EUR);
    let reference = |n: usize| OrderRef::new(n.to_string()).unwrap();
    let at = hour(*at);
    let incoming = match what {
        What::Visit => Incoming::new(who, at, source, Visited { channel: Channel::Web, place: None }),
        What::Enquiry => Incoming::new(who, at, source, Enquired { channel: Channel::Web, subject: None }),
        What::Order(minor) => Incoming::new(who, at, source, OrderPlaced::new(eur(*minor)).with_order(reference(n))),
        What::Refund(order, minor) => {
            Incoming::new(who, at, source, Refunded { order: order.map(reference), amount: eur(*minor) })
        }
    };
    incoming.with_key(format!("{n}").parse().unwrap())
}

/// Everything that can be seen of a CRM: states, and for each customer events and changes.
fn seen(crm: &Crm) -> (crm::Overview, Vec<String>) {
    let mut ids = Vec::new();
    crm.for_each_customer(|customer| ids.push(customer.id())).unwrap();
    let stories = ids.iter().map(|id| {
        let story = crm.story(*id).unwrap().unwrap();
        let events: Vec<_> =
            story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body)).collect();
        format!("{events:?} {:?}", story.changes)
    });
    let stories = stories.collect();
    (crm.overview().unwrap(), stories)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// One advance is any number of advances to instants in between.
    #[test]
    fn one_advance_equals_any_split_of_it(
        facts in proptest::collection::vec(what(), 1..25),
        mut stops in proptest::collection::vec(0..2_000_i64, 0..12),
    ) {
        let run = |stops: &[i64]| {
            let (clock, crm) = shop();
            clock.set(hour(100));
            let facts: Vec<_> = facts.iter().enumerate().map(|(n, fact)| incoming(n, fact)).collect();
            crm.ingest(facts, Ingestion::live()).unwrap();
            for stop in stops {
                clock.set(hour(*stop));
                crm.advance(hour(*stop)).unwrap();
            }
            clock.set(hour(2_000));
            crm.advance(hour(2_000)).unwrap();
            let mut told = Vec::new();
            crm.deliver(hour(2_000), |delivery| {
                told.push((delivery.id, delivery.customer, delivery.topic.clone()));
                crm::Delivered::Done
            }).unwrap();
            told.sort();
            (seen(&crm), told)
        };
        stops.sort_unstable();
        prop_assert_eq!(run(&stops), run(&[]));
    }

    /// A stored state is a cache: a customer folded anew from the stored events is the same.
    #[test]
    fn folding_the_stored_events_gives_the_stored_state(
        facts in proptest::collection::vec(what(), 1..25),
        stops in proptest::collection::vec(0..2_000_i64, 0..4),
    ) {
        let (clock, crm) = shop();
        clock.set(hour(750));
        for (n, fact) in facts.iter().enumerate() {
            crm.record(incoming(n, fact)).unwrap();
        }
        for stop in stops {
            clock.set(hour(stop));
            crm.advance(hour(stop)).unwrap();
        }
        let mut ids = Vec::new();
        crm.for_each_customer(|customer| ids.push(customer.id())).unwrap();
        let definitions = crm.definitions().unwrap();
        for id in ids {
            let story = crm.story(id).unwrap().unwrap();
            let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
            let until = story.customer.clock().unwrap();
            let again = crm::Customer::replay(id, events, until, &definitions);
            prop_assert_eq!(again.facts(), story.customer.facts());
            prop_assert_eq!(again.digest(), story.customer.digest());
        }
    }

    /// How facts are cut into batches does not matter to stages, segments and totals; nor does the order
    /// in which they come.
    #[test]
    fn batches_and_order_do_not_matter(
        facts in proptest::collection::vec(what(), 1..25),
        batch in 1..9_usize,
        turn in 0..25_usize,
    ) {
        let run = |batch: usize, turn: usize| {
            let (clock, crm) = shop();
            clock.set(hour(750));
            let mut facts: Vec<_> = facts.iter().enumerate().map(|(n, fact)| incoming(n, fact)).collect();
            let middle = turn % facts.len();
            facts.rotate_left(middle);
            crm.ingest(facts, Ingestion::history().with_batch(batch)).unwrap();
            crm.advance(hour(750)).unwrap();
            let all = crm.overview().unwrap();
            (all.customers, all.stages, all.segments, all.orders, all.refunds, all.turnover, all.actions)
        };
        prop_assert_eq!(run(batch, turn), run(1_024, 0));
    }
}
