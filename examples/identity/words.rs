//! Events, changes and their causes in words, with customers by number: no identifier and no value is among them.

use std::collections::{BTreeMap, BTreeSet};

use crm::{
    Aside, Assurance, Cause, Change, ChangeBody, Clue, ClueField, CustomerId, Deed, Event, EventBody, EventId, Fact,
    MergeReason, Stage, Story,
};

#[allow(clippy::print_stdout, reason = "it is what the example shows")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// By which names customers go here: in the order in which they are first spoken of.
#[derive(Default)]
pub(crate) struct Cast(BTreeMap<CustomerId, usize>);

impl Cast {
    pub(crate) fn name(&mut self, customer: CustomerId) -> String {
        let next = self.0.len() + 1;
        format!("customer {}", self.0.entry(customer).or_insert(next))
    }

    fn names(&mut self, customers: &[CustomerId]) -> String {
        customers.iter().map(|id| self.name(*id)).collect::<Vec<_>>().join(" and ")
    }

    pub(crate) fn why_aside(&mut self, reason: &Aside) -> String {
        match reason {
            Aside::Blocked => "it names nobody".to_owned(),
            Aside::Limit { kind, limit, .. } => format!("more than {limit} of kind {}", kind.name()),
            Aside::Disagrees { kind, .. } => format!("there is another one of kind {}", kind.name()),
            Aside::BelongsTo { customer } => {
                format!("it is of {}, and sharing it makes nobody one", self.name(*customer))
            }
            other => format!("{other:?}"),
        }
    }

    /// What happened, each with what it moved and why, in the order in which it was noted.
    pub(crate) fn tell(&mut self, story: &Story) {
        let mut told = BTreeSet::new();
        for event in &story.events {
            let why = event.cause.map(|cause| format!(", because of: {}", named(&story.events, cause)));
            let line = format!("  {}  {}{}", event.recorded_at, self.event(event), why.unwrap_or_default());
            // That several turned out to be one, or not, is noted with each of them.
            if told.insert(line.clone()) || matches!(event.body, EventBody::Fact(_)) {
                say(&line);
            }
            for change in story.changes.iter().filter(|change| change.cause == Cause::Event(event.id)) {
                say(&format!("      → {}", moved(change)));
            }
        }
        for change in &story.changes {
            let why = match change.cause {
                Cause::Event(event) if story.events.iter().any(|known| known.id == event) => continue,
                Cause::Event(_) => "because of what is told elsewhere".to_owned(),
                Cause::Alarm(alarm) => format!("because time passed ({alarm:?})"),
                Cause::Definition => "because a definition was changed".to_owned(),
                Cause::Scored => "because of another score".to_owned(),
            };
            say(&format!("  {}  → {}, {why}", change.at, moved(change)));
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the rest is told by the name of its kind")]
    fn event(&mut self, event: &Event) -> String {
        match &event.body {
            EventBody::Fact(Fact::OrderPlaced(placed)) => format!("an order of {}", placed.total),
            EventBody::Fact(Fact::Identified(known)) => {
                format!("known by {}, {}", known.identifier.kind.name(), how(&known.assurance))
            }
            EventBody::Fact(Fact::CardChanged(_)) => "told something for the card".to_owned(),
            EventBody::Fact(Fact::ConsentRequested(_)) => "asked to confirm a consent".to_owned(),
            EventBody::Fact(Fact::ConsentGiven(_)) => "consent given".to_owned(),
            EventBody::Fact(Fact::Tied(tied)) => format!("tied to {}", self.name(tied.other)),
            EventBody::Decision(decision) => match &decision.deed {
                Deed::PointsPosted(posting) => format!("points {}: {:+}", posting.kind.name(), posting.points()),
                Deed::IdentifierAttached(known) => {
                    format!("known by {}, {}", known.identifier.kind.name(), how(&known.assurance))
                }
                Deed::IdentifierSetAside(aside) => {
                    format!("{} set aside: {}", aside.identifier.kind.name(), self.why_aside(&aside.reason))
                }
                Deed::DuplicateSuggested(suggested) => format!("may be {}", self.name(suggested.other)),
                Deed::DuplicateRejected(rejected) => {
                    format!("is not {}: {}", self.name(rejected.other), rejected.reason)
                }
                Deed::Merged(merged) => {
                    let (one, other) = (self.names(&merged.one), self.names(&merged.other));
                    let why = match &merged.reason {
                        MergeReason::Asked { reason } => reason.to_string(),
                        MergeReason::Shared { identifier, .. } => format!("they share one {}", identifier.kind.name()),
                        other => format!("{other:?}"),
                    };
                    format!("{one} and {other} are one: {why}")
                }
                Deed::Parted(parted) => format!("is not {} after all: {}", self.names(&parted.from), parted.reason),
                other => other.kind().replace('_', " "),
            },
            other => other.kind().replace('_', " "),
        }
    }
}

const fn how(assurance: &Assurance) -> &'static str {
    match assurance {
        Assurance::Vouched => "which the shop vouches for",
        Assurance::Verified { .. } => "which was proved",
        Assurance::Stated => "which was merely stated",
    }
}

fn named(events: &[Event], cause: EventId) -> String {
    let event = events.iter().find(|event| event.id == cause);
    event.map_or("what was told of somebody else".to_owned(), |event| event.body.kind().replace('_', " "))
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the rest is told by the name of its kind")]
fn moved(change: &Change) -> String {
    match &change.body {
        ChangeBody::StageChanged { from, to, .. } => {
            format!("stage {} → {}", from.map_or("none", Stage::name), to.map_or("none", Stage::name))
        }
        ChangeBody::ConsentChanged { purpose, channel, from, to, .. } => {
            format!("consent to {purpose} by {}: {from} → {to}", channel.name())
        }
        other => other.kind().replace('_', " "),
    }
}

pub(crate) fn clue(clue: &Clue) -> String {
    let field = match clue.field {
        ClueField::Name => "name",
        ClueField::Birth => "birthday",
        ClueField::Address => "address",
        ClueField::Phone => "telephone",
        ClueField::Email => "e-mail",
        _ => "something else",
    };
    format!("{field} {} alike, weight {:+}", clue.similarity, clue.weight)
}
