//! The whole story of one customer.

use std::error::Error;
use std::fmt;

use crm::{Actor, Change, ChangeBody, Deed, Event, EventBody, Fact, Stage, StageCause};
use serde_json::{Value, json};

use crate::incoming::identifier;
use crate::shop::Shop;

/// One customer's story, and the number by which the shop knows them.
pub(crate) struct Story {
    id: String,
    story: crm::Story,
}

impl Story {
    pub(crate) fn of(shop: &Shop, id: &str) -> Result<Self, Box<dyn Error>> {
        let story = shop.crm.story(identifier(id)?)?.ok_or_else(|| format!("no customer {id} in the database"))?;
        Ok(Story { id: id.to_owned(), story })
    }

    pub(crate) fn to_json(&self) -> Value {
        let event = |event: &Event| {
            let body: Value = serde_json::from_slice(&event.body.encode()).unwrap_or(Value::Null);
            json!({
                "id": event.id, "at": event.at.to_string(), "kind": event.body.kind(), "body": body,
                "text": event_text(event),
            })
        };
        let change = |change: &Change| json!({ "at": change.at.to_string(), "kind": change.body.kind(), "body": change.body, "text": change_text(change) });
        let score = |score: &crm::ScoreRow| {
            json!({
                "at": score.at.to_string(), "output": score.output, "value": score.value, "plugin": score.plugin,
                "version": score.version, "plugin_digest": score.digest, "input_digest": score.input,
            })
        };
        json!({
            "customer": self.id,
            "stage": self.story.customer.stage().map(Stage::name),
            "events": self.story.events.iter().map(event).collect::<Vec<_>>(),
            "changes": self.story.changes.iter().map(change).collect::<Vec<_>>(),
            "scores": self.story.scores.iter().map(score).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nThe story of customer {}", self.id)?;
        let events = self.story.events.iter().map(|event| (event.at, 0, event_text(event)));
        let changes = self.story.changes.iter().map(|change| (change.at, 1, format!("→ {}", change_text(change))));
        let scores = self.story.scores.iter().map(|score| {
            let by = format!("{} by {} {}", score.output, score.plugin, score.version);
            (score.at, 2, format!("score {:.4} for {by} (plugin {:.12}…)", score.value, score.digest.to_string()))
        });
        let mut lines: Vec<_> = events.chain(changes).chain(scores).collect();
        lines.sort_by_key(|(at, rank, _)| (*at, *rank));
        for (at, _, text) in lines {
            writeln!(f, "  {at}  {text}")?;
        }
        Ok(())
    }
}

fn event_text(event: &Event) -> String {
    match &event.body {
        EventBody::Fact(Fact::OrderPlaced(placed)) => match &placed.order {
            Some(order) => format!("order {order} of {}", placed.total),
            None => format!("order of {}", placed.total),
        },
        EventBody::Fact(Fact::Refunded(refund)) => match &refund.order {
            Some(order) => format!("refund of {} for order {order}", refund.amount),
            None => format!("refund of {}", refund.amount),
        },
        EventBody::Fact(Fact::Identified(identified)) => {
            format!("known by an identifier of kind {}", identified.identifier.kind.name())
        }
        EventBody::Fact(fact) => fact.kind().replace('_', " "),
        EventBody::Decision(decision) => {
            let deed = match &decision.deed {
                Deed::PointsPosted(posting) => format!("points {}: {:+}", posting.kind.name(), posting.points()),
                Deed::TagAdded(added) => format!("tag {} put on", added.tag),
                Deed::TagRemoved(removed) => format!("tag {} taken off", removed.tag),
                Deed::Notified(notified) => format!("host notified: {}", notified.topic),
                Deed::Faulted(faulted) => format!("failed on {}: {}", faulted.trigger, faulted.fault),
                Deed::IdentifierAttached(attached) => {
                    format!("known by an identifier of kind {}", attached.identifier.kind.name())
                }
                other @ (Deed::Remembered(_) | _) => other.kind().replace('_', " "),
            };
            match &decision.by {
                Actor::Plugin(plugin) => format!("{deed} (by plugin {} {})", plugin.name, plugin.version),
                Actor::Shop => format!("{deed} (by the shop)"),
                Actor::Rule => deed,
            }
        }
        EventBody::Unrecognised { kind, .. } => kind.replace('_', " "),
    }
}

fn because_of(clause: &Option<crm::SmolStr>) -> String {
    clause.as_ref().map_or_else(String::new, |clause| format!(": {clause}"))
}

fn change_text(change: &Change) -> String {
    match &change.body {
        ChangeBody::StageChanged { to, cause, .. } => {
            let stage = to.map_or("no stage", Stage::name);
            let cause = match cause {
                StageCause::Contact(event) => format!("first contact, event {event}"),
                StageCause::Interest(event) => format!("showed interest, event {event}"),
                StageCause::Ordered(event) => format!("ordered, event {event}"),
                StageCause::Contracted(event) => format!("signed or renewed a contract, event {event}"),
                StageCause::OrdersUndone(event) => format!("the last order was refunded, event {event}"),
                StageCause::Ended(event) => format!("the relation was ended, event {event}"),
                StageCause::IntentFaded => "no sign of intent for the time the policy waits".to_owned(),
                StageCause::WentQuiet => "no order for the time the policy waits".to_owned(),
                StageCause::Redefined => "a definition was added".to_owned(),
                StageCause::Corrected(event) => format!("the past was corrected, event {event}"),
            };
            format!("{stage}: {cause}")
        }
        ChangeBody::SegmentEntered { segment, because } => format!("enters segment {segment}{}", because_of(because)),
        ChangeBody::SegmentLeft { segment, because } => format!("leaves segment {segment}{}", because_of(because)),
        ChangeBody::TierReached { to, .. } => format!("reaches tier {to}"),
        ChangeBody::TierLost { from, .. } => format!("loses tier {from}"),
        other @ (ChangeBody::ConsentChanged { .. } | _) => other.kind().replace('_', " "),
    }
}
