//! A small shop with workflows of its own, for the tests about workflows.
#![allow(dead_code, reason = "each test uses some of it")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Asks, Channel, Command, CrmBuilder, Currency, Deed, Definition, EventBody, ExternalSystem, Field, Identifier,
    Incoming, ManualClock, Money, OrderPlaced, PluginFault, PluginName, PluginStamp, Program, ProgramId, Source, Span,
    Timestamp, Visited, Workflow, WorkflowCall, WorkflowReply,
};

type Handler = dyn Fn(&WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> + Send + Sync;

/// A workflow of the host's own, by a function.
pub(crate) struct Own {
    stamp: PluginStamp,
    listens: Vec<&'static str>,
    asks: Asks,
    handler: Box<Handler>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Own({})", self.stamp.name)
    }
}

impl Own {
    pub(crate) fn new(
        name: &str,
        listens: &[&'static str],
        handler: impl Fn(&WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> + Send + Sync + 'static,
    ) -> Self {
        Own::version(name, "1", listens, handler)
    }

    pub(crate) fn version(
        name: &str,
        version: &str,
        listens: &[&'static str],
        handler: impl Fn(&WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> + Send + Sync + 'static,
    ) -> Self {
        let digest = crm::Digest::of(format!("{name} {version}").as_bytes());
        let stamp = PluginStamp { digest, name: PluginName::new(name).unwrap(), version: version.into() };
        let asks = Asks { events: listens.iter().map(|kind| (*kind).into()).collect(), ..Asks::default() };
        Own { stamp, listens: listens.to_vec(), asks, handler: Box::new(handler) }
    }

    pub(crate) fn seeing(mut self, fields: &[Field]) -> Self {
        self.asks.fields = fields.to_vec();
        self
    }
}

impl Workflow for Own {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn listens(&self, kind: &str) -> bool {
        self.listens.contains(&kind)
    }

    fn asks(&self) -> &Asks {
        &self.asks
    }

    fn handle(&self, call: &WorkflowCall<'_>) -> Result<WorkflowReply, PluginFault> {
        (self.handler)(call)
    }
}

pub(crate) fn ask(commands: Vec<Command>) -> Result<WorkflowReply, PluginFault> {
    Ok(WorkflowReply { commands, memory: None })
}

pub(crate) fn day(day: u32) -> Timestamp {
    Timestamp::parse("2020-01-01").unwrap().plus(Span::days(day))
}

pub(crate) fn points() -> ProgramId {
    ProgramId::new("points").unwrap()
}

/// A shop with a programme of a point a euro, and whatever the builder brings.
pub(crate) fn shop_of(builder: CrmBuilder) -> (Arc<ManualClock>, Crm) {
    let clock = Arc::new(ManualClock::at(day(0)));
    let crm = Crm::from(builder.clock(Arc::clone(&clock)).build());
    let program = Program::point_per_unit(Currency::EUR);
    crm.define(day(0), Definition::Program(points(), Some(program))).unwrap();
    (clock, crm)
}

pub(crate) fn shop(workflow: Own) -> (Arc<ManualClock>, Crm) {
    shop_of(crm::Crm::builder().workflow(workflow))
}

pub(crate) fn somebody(name: &str) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), name).unwrap()
}

pub(crate) fn ana() -> Identifier {
    somebody("ana")
}

pub(crate) fn source() -> Source {
    Source::new("shop").unwrap()
}

pub(crate) fn order(at: Timestamp, euros: i64) -> Incoming {
    Incoming::new(ana(), at, source(), OrderPlaced::new(Money::new(euros * 100, Currency::EUR)))
}

pub(crate) fn visit(at: Timestamp) -> Incoming {
    Incoming::new(ana(), at, source(), Visited { channel: Channel::Web, place: None })
}

pub(crate) fn deeds(crm: &Crm) -> Vec<Deed> {
    let story = crm.story(ana()).unwrap().unwrap();
    let deed = |event: &crm::Event| match &event.body {
        EventBody::Decision(decision) => Some(decision.deed.clone()),
        _ => None,
    };
    story.events.iter().filter_map(deed).collect()
}

pub(crate) fn faults(crm: &Crm) -> Vec<String> {
    let fault = |deed: Deed| match deed {
        Deed::Faulted(faulted) => Some(faulted.fault.to_string()),
        _ => None,
    };
    deeds(crm).into_iter().filter_map(fault).collect()
}

pub(crate) fn messages(crm: &Crm) -> usize {
    deeds(crm).iter().filter(|deed| matches!(deed, Deed::Notified(_))).count()
}

pub(crate) fn tell(topic: &str) -> Command {
    Command::Notify { topic: topic.parse().unwrap(), fields: crm::Fields::new() }
}
