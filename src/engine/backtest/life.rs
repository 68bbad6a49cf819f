//! One customer's life as it became known, and who they were at any instant of it.
//!
//! Nearly everybody is alone all their life: they are led on from instant to instant by what was told in between, as they
//! were when it happened, and folded anew only where something came late. Whoever was merged or parted is
//! folded from nothing for each instant, from the histories of those whom they were merged of then.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crm_core::change::{Cause, Change};
use crm_core::customer::{Customer, Group};
use crm_core::event::{Decision, Deed, Event, EventBody, Fact};
use crm_core::identity::Merged;
use crm_core::workflow::{Actor, LookedUp};
use crm_core::{CustomerId, Definitions, EventId, SmolStr, Timestamp};
use crm_storage::ScoreRow;

use super::super::score::newest;
use super::replay::Known;
use crate::lookup::LookupRecord;

/// Something in a history.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are events")]
pub(super) enum Told {
    Event(Event),
    /// With whose history it is in.
    Change(CustomerId, Change),
    /// What one plugin gave as of one instant, with the instant at which it came to be known.
    Scored(Timestamp, Vec<ScoreRow>),
}

impl Told {
    pub(super) const fn at(&self) -> Timestamp {
        match self {
            Told::Event(event) => event.at,
            Told::Change(_, change) => change.at,
            Told::Scored(at, _) => *at,
        }
    }

    pub(super) const fn event(&self) -> Option<&Event> {
        match self {
            Told::Event(event) => Some(event),
            Told::Change(..) | Told::Scored(..) => None,
        }
    }

    /// What was looked up, if that is it.
    fn looked_up(&self) -> Option<&LookedUp> {
        match self {
            Told::Event(Event { body: EventBody::Decision(Decision { deed: Deed::LookedUp(one), .. }), .. }) => {
                Some(one)
            }
            Told::Event(_) | Told::Change(..) | Told::Scored(..) => None,
        }
    }

    fn scores(&self) -> &[ScoreRow] {
        match self {
            Told::Scored(_, rows) => rows,
            Told::Event(_) | Told::Change(..) => &[],
        }
    }
}

/// A life in the order in which it became known.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) id: CustomerId,
    /// The customer as they are known now; of somebody who was merged, as whom they go on.
    pub(super) now: Customer,
    /// Each with the instant from which on it is known.
    told: Vec<(Timestamp, Told)>,
    /// Where in it something was looked up.
    looked_up: Vec<usize>,
    /// From when on somebody is there, be it with facts that are still to come.
    born: Option<Timestamp>,
    /// Whether anybody was ever merged with them.
    is_kin: bool,
}

impl Life {
    /// Of the histories of a customer and of all whom they were ever merged with, their own first, each as it was
    /// recorded; and of the scores that are kept of the customer.
    pub(super) fn new(
        id: CustomerId,
        now: Customer,
        histories: Vec<Vec<Told>>,
        scores: Vec<ScoreRow>,
        known: Known,
    ) -> Self {
        let is_kin = histories.len() > 1;
        let of_birth = |event: &Event| match known {
            Known::Recorded => event.recorded_at,
            Known::Happened => event.at,
        };
        let own = histories.first().into_iter().flatten().filter_map(Told::event);
        let born = own.map(of_birth).min();
        let mut told: Vec<(Timestamp, Told)> =
            histories.into_iter().flat_map(|history| known_from(in_order(history), known)).collect();
        if known == Known::Recorded {
            moved_when_scored(&mut told, &scores);
        }
        // What is known from one instant on stays in the order in which it was recorded.
        told.sort_by_key(|(from, _)| *from);
        let mut given: BTreeMap<(Timestamp, SmolStr, Timestamp), Vec<ScoreRow>> = BTreeMap::new();
        for row in scores {
            let from = match known {
                Known::Recorded => row.recorded_at.unwrap_or(row.at),
                Known::Happened => row.at,
            };
            given.entry((from, row.plugin.clone(), row.at)).or_default().push(row);
        }
        for ((from, ..), rows) in given {
            told.insert(place_of_scores(from, &told), (from, Told::Scored(from, rows)));
        }
        let looked_up = (0..told.len()).filter(|place| told[*place].1.looked_up().is_some()).collect();
        Life { id, now, told, looked_up, born, is_kin }
    }

    /// What was looked up for what an event led to, or at the same instant.
    pub(super) fn looked_up(&self, cause: Option<EventId>, at: Timestamp) -> LookupRecord<'_> {
        let all = || self.looked_up.iter().map(|place| &self.told[*place].1);
        let caused = |told: &Told| cause.is_some() && told.event().and_then(|event| event.cause) == cause;
        let own = all().filter(|told| caused(told));
        let others = all().filter(|told| told.at() == at && !caused(told));
        LookupRecord::new(own.chain(others).filter_map(Told::looked_up).collect())
    }

    /// All that was told, with from when on it is known.
    pub(super) fn told(&self) -> &[(Timestamp, Told)] {
        &self.told
    }

    /// Of each output of which as many scores are kept as there may be: as of when the oldest of them is.
    pub(super) fn full_since(&self, kept: usize) -> impl Iterator<Item = Timestamp> {
        let mut outputs: BTreeMap<(&SmolStr, &SmolStr), (usize, Timestamp)> = BTreeMap::new();
        for row in self.scores(0..self.told.len()) {
            let (count, oldest) = outputs.entry((&row.plugin, &row.output)).or_insert((0, row.at));
            *count += 1;
            *oldest = row.at.min(*oldest);
        }
        outputs.into_values().filter(move |(count, _)| *count >= kept).map(|(_, oldest)| oldest)
    }

    /// How much of it is known at an instant.
    pub(super) fn known_at(&self, then: Timestamp) -> usize {
        self.told.partition_point(|(from, _)| *from <= then)
    }

    /// Begins to live it again.
    pub(super) fn again(&self) -> Again<'_> {
        Again { life: self, next: 0, customer: None, as_whom: None }
    }

    fn events(&self, upto: usize) -> impl Iterator<Item = &Event> + Clone {
        self.told[..upto.min(self.told.len())].iter().filter_map(|(_, told)| told.event())
    }

    /// The scores that were given in a part of what was told.
    fn scores(&self, part: Range<usize>) -> impl Iterator<Item = &ScoreRow> {
        let told = self.told.get(part).unwrap_or_default();
        told.iter().flat_map(|(_, told)| told.scores())
    }
}

/// Everybody with whom the customer of a history was ever merged, themselves left out.
pub(super) fn kin(id: CustomerId, history: &[Told]) -> BTreeSet<CustomerId> {
    let mut kin = BTreeSet::new();
    for event in history.iter().filter_map(Told::event) {
        if let EventBody::Decision(decision) = &event.body
            && let Deed::Merged(Merged { one, other, .. }) = &decision.deed
        {
            kin.extend(one.iter().chain(other).copied());
        }
    }
    kin.remove(&id);
    kin
}

/// Puts changes where they were told: stores keep them behind all events of their write. There they came before whatever
/// happened later, and before plugins decided anything at their instant, unless it was what moved them.
fn in_order(history: Vec<Told>) -> Vec<Told> {
    let mut ordered: Vec<Told> = Vec::with_capacity(history.len());
    for told in history {
        let place = match &told {
            Told::Event(_) | Told::Scored(..) => ordered.len(),
            Told::Change(_, change) => place_of(change, &ordered),
        };
        ordered.insert(place, told);
    }
    ordered
}

/// What moved by a score as of its instant moved when the score was made, which may be later.
fn moved_when_scored(told: &mut [(Timestamp, Told)], scores: &[ScoreRow]) {
    for (from, told) in told {
        if let Told::Change(_, change @ Change { cause: Cause::Scored, .. }) = told {
            let made = scores.iter().filter(|row| row.at == change.at).filter_map(|row| row.recorded_at).max();
            *from = made.map_or(*from, |made| made.max(*from));
        }
    }
}

/// A score comes after all else that is known from the same instant on, but before what moved by it and what plugins
/// decided who were told of it.
fn place_of_scores(at: Timestamp, told: &[(Timestamp, Told)]) -> usize {
    let begin = told.partition_point(|(from, _)| *from < at);
    let end = told.partition_point(|(from, _)| *from <= at);
    let follows = |(_, told): &(Timestamp, Told)| match told {
        Told::Change(_, change) => matches!(change.cause, Cause::Scored),
        Told::Event(event) => is_of_plugin(event) && event.cause.is_none(),
        Told::Scored(..) => false,
    };
    told[begin..end].iter().position(follows).map_or(end, |place| begin + place)
}

fn place_of(change: &Change, before: &[Told]) -> usize {
    let by = moved_by(change);
    let events = || before.iter().rev().filter_map(Told::event);
    // What a fact of today moved may have moved long ago; it was told with the fact.
    let at = events().find(|event| Some(event.id) == by).map_or(change.at, |event| event.at.max(change.at));
    let mut place = before.len();
    let mut write = None;
    for (n, told) in before.iter().enumerate().rev() {
        let Told::Event(event) = told else { break };
        let same_write = *write.get_or_insert(event.recorded_at) == event.recorded_at;
        if !same_write || Some(event.id) == by || event.at < at {
            break;
        }
        let is_fact = matches!(event.body, EventBody::Fact(_));
        // What time moved at the instant of a fact it moved before the fact was taken in.
        if event.at > at || is_of_plugin(event) || (is_fact && matches!(change.cause, Cause::Alarm(_))) {
            place = n;
        } else if is_fact {
            break;
        }
    }
    place
}

/// The event that moved something, if one did.
const fn moved_by(change: &Change) -> Option<EventId> {
    match change.cause {
        Cause::Event(event) => Some(event),
        Cause::Alarm(_) | Cause::Definition | Cause::Scored => None,
    }
}

/// Whether a plugin decided it.
pub(super) fn is_of_plugin(event: &Event) -> bool {
    matches!(&event.body, EventBody::Decision(Decision { by: Actor::Plugin(_), .. }))
}

/// From when on each entry of one history is known.
fn known_from(history: Vec<Told>, known: Known) -> Vec<(Timestamp, Told)> {
    let mut last = Timestamp::MIN;
    let happened: BTreeMap<EventId, Timestamp> =
        history.iter().filter_map(Told::event).map(|event| (event.id, event.at)).collect();
    let mut from = |told: &Told| match (known, told) {
        (Known::Recorded, Told::Event(event)) => {
            // A clock that stepped back does not change the order of what was recorded.
            last = last.max(event.recorded_at);
            if matches!(event.body, EventBody::Fact(_)) { last.max(event.at) } else { last }
        }
        (Known::Recorded, Told::Change(_, change)) => last.max(change.at),
        (Known::Happened, Told::Event(Event { at, body: EventBody::Decision(_), .. })) => {
            last = last.max(*at);
            last
        }
        (Known::Happened, Told::Change(_, change)) => {
            let moved = moved_by(change).and_then(|by| happened.get(&by));
            moved.map_or(change.at, |at| change.at.max(*at))
        }
        (Known::Recorded, Told::Scored(..)) | (Known::Happened, _) => told.at(),
    };
    history.into_iter().map(|told| (from(&told), told)).collect()
}

/// A life that is lived again.
#[derive(Debug)]
pub(super) struct Again<'l> {
    life: &'l Life,
    /// How much of it was lived.
    next: usize,
    customer: Option<Customer>,
    /// Of kin: as whom they go on at present.
    as_whom: Option<CustomerId>,
}

impl Again<'_> {
    /// The customer at an instant, by what was known then; none if they were not there yet, or went on as somebody else.
    /// Instants only go forward.
    pub(super) fn at(&mut self, then: Timestamp, definitions: &Definitions) -> Option<&Customer> {
        if self.life.born.is_none_or(|born| born > then) {
            return None;
        }
        self.stand(self.life.known_at(then), then, definitions)
    }

    /// The customer by so much of what was told, with time having passed up to the last of it, or an instant.
    pub(super) fn stand(&mut self, upto: usize, then: Timestamp, definitions: &Definitions) -> Option<&Customer> {
        let new = self.life.told.get(self.next..upto).unwrap_or_default();
        let then = new.iter().filter_map(|(_, told)| told.event()).map(|event| event.at).fold(then, Timestamp::max);
        let then = self.clock().map_or(then, |clock| clock.max(then));
        if self.life.is_kin {
            self.fold(upto, then, definitions)
        } else {
            self.lead_on(upto, then, definitions)
        }
        self.customer.as_ref()
    }

    fn fold(&mut self, upto: usize, then: Timestamp, definitions: &Definitions) {
        if (self.next, self.clock()) == (upto, Some(then)) && self.as_whom.is_some() {
            return;
        }
        let id = self.life.id;
        let own = self.life.events(upto).filter(|event| event.customer == id);
        let group = Group::of(id, own.map(|event| &event.body));
        self.next = upto;
        self.as_whom = Some(group.head);
        let members = self.life.events(upto).filter(|event| group.members.contains(&event.customer));
        let events = members.map(|event| (event.customer, event.id, event.at, &event.body));
        let scores = newest(self.life.scores(0..upto));
        let replayed = || Customer::replay(id, events, then, definitions).with_scores(scores, definitions);
        self.customer = (group.head == id).then(replayed);
    }

    fn clock(&self) -> Option<Timestamp> {
        self.customer.as_ref().and_then(Customer::clock)
    }

    fn lead_on(&mut self, upto: usize, then: Timestamp, definitions: &Definitions) {
        let life = self.life;
        let customer = self.customer.get_or_insert_with(|| {
            let mut customer = Customer::new(life.id);
            customer.has_no_scores(definitions);
            customer
        });
        let (mut moves, mut late) = (Vec::new(), false);
        let new = self.next..upto.max(self.next);
        for event in life.told[new.clone()].iter().filter_map(|(_, told)| told.event()) {
            match &event.body {
                EventBody::Fact(fact) => {
                    late |= !customer.facts().takes(event.id, event.at, fact);
                    if !late {
                        customer.fold_fact(life.id, event.id, event.at, fact, definitions, &mut moves);
                    }
                }
                EventBody::Decision(decision) => customer.apply_decision_of(life.id, event.at, decision),
                EventBody::Unrecognised { .. } => {}
            }
        }
        self.next = new.end;
        if late {
            customer.refold(facts(life.events(self.next)), then, definitions);
            moves.clear();
        }
        customer.elapse(then, &mut moves);
        let mut scores = newest(life.scores(new)).peekable();
        if scores.peek().is_some() {
            customer.learn_scores(scores, definitions);
        }
        let events = life.events(self.next).map(|event| (event.customer, event.id, event.at, &event.body));
        customer.recall(events, then, definitions);
        customer.derive(then, Cause::Definition, &mut moves, definitions, &mut Vec::new());
    }
}

fn facts<'e>(
    events: impl Iterator<Item = &'e Event> + Clone,
) -> impl Iterator<Item = (CustomerId, EventId, Timestamp, &'e Fact)> + Clone {
    events.filter_map(|event| match &event.body {
        EventBody::Fact(fact) => Some((event.customer, event.id, event.at, fact)),
        EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::expression::{Predicate, Vocabulary};
    use crm_core::interaction::{Channel, Visited};
    use crm_core::order::{OrderPlaced, Refunded};
    use crm_core::score::ScoreOutput;
    use crm_core::segment::SegmentName;
    use crm_core::workflow::{PluginName, TagAdded};
    use crm_core::{Currency, Definition, DefinitionVersion, Digest, Money, Source, Span, Tag, TenantId};
    use proptest::prelude::*;

    fn day(day: u32) -> Timestamp {
        Timestamp::MIN.plus(Span::days(day))
    }

    /// Segments that ask about time, tags, and who was in another.
    fn definitions() -> Definitions {
        let mut definitions = Definitions::default();
        let outputs = Some([ScoreOutput::new("worth").unwrap()].into());
        let scorer = Definition::Scorer(PluginName::new("worth").unwrap(), outputs);
        definitions.add(DefinitionVersion { from: day(1), definition: scorer }).unwrap();
        let segments = [
            (1, "busy", r#"orders.in_last("9d") >= 2"#),
            (1, "was busy", r#"was_in("busy", "20d") && !segment("busy")"#),
            (1, "dear", r#"score("worth") > 0.5 && orders >= 1"#),
            (30, "busy", r#"orders.in_last("9d") >= 1 || "vip" in tags"#),
        ];
        for (from, name, rule) in segments {
            let rule = Predicate::parse(rule, &Vocabulary::of(&definitions, day(from))).unwrap();
            let definition = Definition::Segment(SegmentName::new(name).unwrap(), Some(rule));
            definitions.add(DefinitionVersion { from: day(from), definition }).unwrap();
        }
        definitions
    }

    /// Days from one record to the next, days by which it came late, and what it was.
    fn history() -> impl Strategy<Value = Vec<(u32, u32, u8, usize)>> {
        let late = prop_oneof![4 => Just(0), 1 => 0..20_u32];
        prop::collection::vec((0..8_u32, late, 0..12_u8, any::<usize>()), 1..25)
    }

    /// Scores as of days, in hundredths.
    fn scores(given: &[(u32, u32)]) -> Vec<ScoreRow> {
        let row = |(on, hundredths): &(u32, u32)| ScoreRow {
            plugin: "worth".into(),
            output: "worth".into(),
            at: day(*on),
            value: f64::from(*hundredths) / 100.0,
            version: "1".into(),
            digest: Digest::of(b"worth"),
            input: Digest::of(b""),
            inputs: Vec::new(),
            recorded_at: None,
            terms: SmolStr::default(),
        };
        given.iter().map(row).collect()
    }

    fn told(history: &[(u32, u32, u8, usize)], id: CustomerId) -> Vec<Told> {
        let mut now = 10;
        let source = Source::new("test").unwrap();
        let event_id = |n: usize| EventId::of_fact(&TenantId::default(), &source, &n.to_string());
        let event = |(n, (days, late, kind, other)): (usize, &(u32, u32, u8, usize))| {
            now += days;
            let fact = |fact: Fact| (EventBody::Fact(fact), day(now - late.min(&now)));
            let euros = |euros: usize| Money::new(100 * euros as i64, Currency::EUR);
            let (body, at) = match kind {
                0..6 => fact(OrderPlaced::new(euros(1 + other % 50)).into()),
                6 | 7 => fact(Refunded { order: None, amount: euros(1 + other % 30) }.into()),
                8 => fact(Visited { channel: Channel::Web, place: None }.into()),
                9 => fact(crm_core::event::Voided { event: event_id(other % (n + 1)), reason: None }.into()),
                _ => {
                    let deed = Deed::TagAdded(TagAdded { tag: Tag::new("vip").unwrap() });
                    (EventBody::Decision(Decision { by: Actor::Shop, deed }), day(now))
                }
            };
            let (recorded_at, source) = (day(now), Some(source.clone()));
            Told::Event(Event { customer: id, id: event_id(n), at, recorded_at, source, cause: None, body })
        };
        history.iter().enumerate().map(event).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whoever is led on from instant to instant is who they are when all is folded from nothing.
        #[test]
        fn a_customer_who_is_led_on_is_the_fold_of_what_was_known(
            history in history(),
            given in prop::collection::vec((0..200_u32, 0..100_u32), 0..6),
            step in 1..40_u32,
        ) {
            let (id, definitions) = (CustomerId::new(day(0), [7; 10]), definitions());
            for known in [Known::Recorded, Known::Happened] {
                let life = Life::new(id, Customer::new(id), vec![told(&history, id)], scores(&given), known);
                let mut again = life.again();
                for then in (0..200).step_by(step as usize).map(day) {
                    let events = life.events(life.known_at(then)).map(|event| (id, event.id, event.at, &event.body));
                    let scores = || newest(life.scores(0..life.known_at(then)));
                    let replayed = || Customer::replay(id, events, then, &definitions).with_scores(scores(), &definitions);
                    let folded = life.born.is_some_and(|born| born <= then).then(replayed);
                    let led = again.at(then, &definitions);
                    prop_assert_eq!(led.map(Customer::digest), folded.as_ref().map(Customer::digest), "at {}", then);
                    prop_assert_eq!(led.map(Customer::standing), folded.as_ref().map(Customer::standing));
                }
            }
        }
    }
}
