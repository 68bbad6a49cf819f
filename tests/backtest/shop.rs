//! A shop with a past, and plugins of its own that note what they are shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    Attribute, AwardPoints, Command, Currency, CustomerId, Definition, DerivedIds, EventId, ExternalSystem, Identifier,
    Incoming, ManualClock, Money, OrderPlaced, PluginFault, PluginStamp, Program, ProgramId, ScoreBatch, Scorer,
    SegmentName, SmolStr, Source, Span, Tag, Timestamp, Workflow, WorkflowCall, WorkflowReply,
};

pub(super) fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

pub(super) fn stamp(name: &str) -> PluginStamp {
    PluginStamp { name: name.parse().unwrap(), version: "1".into(), digest: crm::Digest::of(name.as_bytes()) }
}

pub(super) fn who(n: usize) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &n.to_string()).unwrap()
}

pub(super) fn source() -> Source {
    Source::new("shop").unwrap()
}

pub(super) fn euros(euros: i64) -> Money {
    Money::new(euros * 100, Currency::EUR)
}

pub(super) fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

/// A CRM with points that last 20 days, and segments that ask about time and about each other's past.
pub(super) fn shop(workflow: Option<Own>) -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(day(0)));
    let builder = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds);
    let builder = match workflow {
        Some(workflow) => builder.workflow(workflow),
        None => builder,
    };
    let crm = Crm::from(builder.build());
    let program = Program::point_per_unit(Currency::EUR).expiring_after(Span::days(20));
    crm.define(day(0), Definition::Program(points(), Some(program))).unwrap();
    crm.define(Timestamp::MIN, Definition::Currency(Currency::EUR)).unwrap();
    let segments =
        [("busy", r#"orders.in_last("9d") >= 2"#), ("was busy", r#"was_in("busy", "30d") && !segment("busy")"#)];
    for (name, rule) in segments {
        let rule = crm.rule(rule).unwrap();
        crm.define(day(0), Definition::Segment(SegmentName::new(name).unwrap(), Some(rule))).unwrap();
    }
    (clock, crm)
}

pub(super) fn order(crm: &Crm, n: usize, at: Timestamp, amount: i64) -> EventId {
    crm.record(Incoming::new(who(n), at, source(), OrderPlaced::new(euros(amount)))).unwrap().event
}

/// Rows by customer, at each instant.
pub(super) type Rows = BTreeMap<Timestamp, BTreeMap<CustomerId, Vec<Option<i64>>>>;

/// Notes every row that it is given, and scores by a function of it.
#[derive(Debug)]
pub(super) struct Noting {
    stamp: PluginStamp,
    output: [SmolStr; 1],
    score: fn(&[Option<i64>]) -> Option<f64>,
    pub(super) rows: Rows,
    pub(super) calls: Vec<usize>,
}

impl Noting {
    pub(super) fn new(score: fn(&[Option<i64>]) -> Option<f64>) -> Self {
        let (stamp, output) = (stamp("noting"), ["score".into()]);
        Noting { stamp, output, score, rows: BTreeMap::new(), calls: Vec::new() }
    }

    /// The lower the longer ago.
    pub(super) fn recency() -> Self {
        Noting::new(|row| row[0].map(|days| 1.0 / (1.0 + days as f64)))
    }
}

impl Scorer for Noting {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn attributes(&self) -> &[Attribute] {
        Attribute::ALL
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.output
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        self.calls.push(batch.customers.len());
        let row = |n: usize| -> Vec<Option<i64>> { batch.columns.iter().map(|column| column[n]).collect() };
        let rows: Vec<Vec<Option<i64>>> = (0..batch.customers.len()).map(row).collect();
        let scores = rows.iter().map(|row| (self.score)(row)).collect();
        let noted = self.rows.entry(batch.as_of).or_default();
        noted.extend(batch.customers.iter().copied().zip(rows));
        Ok(vec![scores])
    }
}

type Handler = fn(&WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault>;

/// A workflow by a function, which notes every call.
#[derive(Clone)]
pub(super) struct Own {
    stamp: PluginStamp,
    handler: Handler,
    heard: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Own({})", self.stamp.name)
    }
}

impl Own {
    pub(super) fn new(handler: Handler) -> Self {
        Own { stamp: stamp("own"), handler, heard: Arc::default() }
    }

    pub(super) fn heard(&self) -> Vec<String> {
        let mut heard = std::mem::take(&mut *self.heard.lock().unwrap());
        heard.sort();
        heard
    }
}

const LISTENS: [&str; 6] =
    ["order_placed", "refunded", "points_posted", "stage_changed", "segment_entered", "tag_added"];

impl Workflow for Own {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn listens(&self, kind: &str) -> bool {
        LISTENS.contains(&kind)
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        let WorkflowCall { trigger, customer, at, .. } = call;
        let seen: Vec<Option<i64>> = Attribute::ALL.iter().map(|attribute| call.attribute(*attribute)).collect();
        let tags: Vec<&Tag> = customer.tags().collect();
        let segments: Vec<&SegmentName> = customer.standing().segments().collect();
        let (stage, memory) = (customer.stage(), call.memory);
        let heard = format!(
            "{} {at} {} {} {:?} {seen:?} {tags:?} {segments:?} {stage:?} {memory:?}",
            customer.id(),
            trigger.kind,
            trigger.id,
            trigger.fields.len()
        );
        self.heard.lock().unwrap().push(heard);
        (self.handler)(call)
    }
}

pub(super) fn tag(tag: &str) -> Command {
    Command::AddTag(Tag::new(tag).unwrap())
}

pub(super) fn award(points_: i64) -> Command {
    Command::AwardPoints(AwardPoints { program: points(), points: points_, reason: "hello".parse().unwrap() })
}

/// Everything that is kept of everybody.
pub(super) fn everything(crm: &Crm) -> String {
    let mut ids = Vec::new();
    crm.for_each_customer(|customer| ids.push(customer.id())).unwrap();
    let stories: Vec<_> = ids.into_iter().map(|id| crm.story(id).unwrap()).collect();
    format!("{:?} {stories:?}", crm.overview().unwrap())
}

/// Thanks for orders with a tag and points, asks for what it may not have, and counts in its memory.
pub(super) fn thanks(call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
    let count = call.memory.first().copied().unwrap_or(0) + 1;
    let commands = match call.trigger.kind.as_str() {
        "order_placed" if count % 4 == 0 => return Err(PluginFault::new("the fourth")),
        "order_placed" => vec![tag("thanked"), award(-1), tag("thanked")],
        "segment_entered" => vec![award(10), Command::RemoveTag(Tag::new("thanked").unwrap())],
        "tag_added" => vec![tag("twice")],
        _ => Vec::new(),
    };
    Ok(WorkflowReply { commands, memory: Some(vec![count]) })
}
