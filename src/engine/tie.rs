//! Ties between customers: one word, two histories, one commit.

use crm_core::change::Change;
use crm_core::customer::Customer;
use crm_core::event::{Event, EventBody, Fact};
use crm_core::identity::Join;
use crm_core::relationship::{Direction, Tie, TieError, TieKind, Untie};
use crm_core::{CustomerId, EventId, FactKey, Source, Timestamp};
use crm_storage::CommitError;

use super::writing::Writing;
use super::{ATTEMPTS_MAX, Base, Crm, Settled};
use crate::error::Error;
use crate::plan::{Context, FactRefusal, Need, Outcome, Plan, Planner, Prepared};

/// What two facts of one word mean for ties of others who were merged with the two.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word<'a> {
    /// It says that they are tied, unless the end was told through others before.
    Begins(&'a Tie),
    /// It ends the ties of all of them.
    Ends(&'a Untie),
    /// Nothing.
    ForItself,
}

/// What became of a tie, or of the end of one.
#[derive(Debug, Clone, PartialEq)]
pub struct TieRecorded {
    /// The event that it became in both histories.
    pub event: EventId,
    /// Whether it was recorded before, so that nothing changed.
    pub known: bool,
    /// What moved, for `from` and for `to`.
    pub changes: [Vec<Change>; 2],
}

impl Crm {
    /// Ties two customers, from an instant on, or says anew how strongly they are tied. Both sides are written in
    /// one commit, each into its own customer's history, and what was due for the two before is worked off
    /// first. Under the key that the source has for it the same word changes nothing. Words may come in any
    /// order; the last one holds, by their times. One from the future waits for its time with both.
    ///
    /// ```
    /// use crm::{Channel, Crm, Identifier, Incoming, Source, Strength, Tie, TieKind, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let shop = Source::new("shop")?;
    /// let mut met = Vec::new();
    /// for who in ["ana@example.com", "office@acme.example"] {
    ///     let visit = Visited { channel: Channel::Web, place: None };
    ///     let visit = Incoming::new(Identifier::email(who)?, crm.now(), shop.clone(), visit);
    ///     met.push(crm.record(visit).await?.customer);
    /// }
    /// let (ana, acme) = (met[0], met[1]);
    ///
    /// let buys = Tie { from: ana, to: acme, kind: TieKind::BuysFor, strength: Strength::FULL };
    /// crm.tie(buys, crm.now(), shop, "contract 7".parse()?).await?;
    /// let acme = crm.customer(acme).await?.expect("met above");
    /// let buyers: Vec<_> = acme.ties().filter(|tie| *tie.kind == TieKind::BuysFor).map(|tie| tie.other).collect();
    /// assert_eq!(buyers, [ana]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Fact` if somebody would be tied to themself, has [`TIES_MAX`](crm_core::relationship::TIES_MAX) ties
    /// already, was erased or is not there, or if another fact has that key; `Storage` if the store failed; `Busy` if other
    /// writers were first each time. Then neither side is written.
    pub async fn tie(&self, tie: Tie, at: Timestamp, source: Source, key: FactKey) -> Result<TieRecorded, Error> {
        let facts = tie.sides().map_err(FactRefusal::from)?.map(Fact::from);
        let id = EventId::of_fact(&self.tenant, &source, key.as_str());
        self.record_both([tie.from, tie.to], facts, at, source, id, Word::Begins(&tie)).await
    }

    /// Ends a tie at an instant, on both sides. That there was none is no error: it may become known later. Of
    /// people who were merged it ends those of all members, through whichever they were told or are told later.
    ///
    /// # Errors
    ///
    /// As for [`tie`](Self::tie).
    pub async fn untie(&self, untie: Untie, at: Timestamp, source: Source, key: FactKey) -> Result<TieRecorded, Error> {
        let facts = untie.sides().map_err(FactRefusal::from)?.map(Fact::from);
        let id = EventId::of_fact(&self.tenant, &source, key.as_str());
        self.record_both([untie.from, untie.to], facts, at, source, id, Word::Ends(&untie)).await
    }

    /// Records a fact of each of two customers, under one id and in one commit; and whatever else a word
    /// means for the two whom they go on as.
    pub(super) async fn record_both(
        &self,
        customers: [CustomerId; 2],
        facts: [Fact; 2],
        at: Timestamp,
        source: Source,
        id: EventId,
        word: Word<'_>,
    ) -> Result<TieRecorded, Error> {
        let facts = facts.map(|fact| Prepared { id, at, source: source.clone(), fact });
        let now = self.now();
        let mut with_history = false;
        for _ in 0..ATTEMPTS_MAX {
            let mut bases = Vec::with_capacity(2);
            let mut definitions = None;
            for customer in customers {
                let (base, in_force) = self.base(customer).await?;
                bases.push(base.ok_or(FactRefusal::NoCustomer { customer })?);
                definitions = Some(in_force);
            }
            let Some(definitions) = definitions else { break };
            let context = self.context(&definitions, now, false);
            let mut recorded = TieRecorded { event: id, known: true, changes: [Vec::new(), Vec::new()] };
            let mut writing = Writing::default();
            // Two who were merged are one, and nobody is tied to themself; what was told before is known still.
            let one = bases.windows(2).any(|pair| pair[0].customer.id() == pair[1].customer.id());
            let [mut ours, mut theirs] = [Vec::new(), Vec::new()];
            if let ([from, to], false) = (&bases[..], one) {
                for End { of, id, at, source } in self.ends_besides([from, to], (at, id), &source, word).await? {
                    let [own, others] = of.sides().map_err(FactRefusal::from)?.map(Fact::from);
                    let prepared = |fact| Prepared { id, at, source: source.clone(), fact };
                    ours.push((of.from, prepared(own)));
                    theirs.push((of.to, prepared(others)));
                }
            }
            let sides = facts.iter().zip([&ours, &theirs]);
            for ((base, (fact, more)), changes) in bases.into_iter().zip(sides).zip(&mut recorded.changes) {
                let (outcome, plan) = self.plan_side(context, &base, fact, more, with_history || one).await?;
                match outcome {
                    Outcome::Refused(refusal) => return Err(refusal.into()),
                    Outcome::Known => {}
                    Outcome::Recorded if one => {
                        return Err(FactRefusal::from(TieError::WithThemself { customer: customers[0] }).into());
                    }
                    Outcome::Recorded if matches!(fact.fact, Fact::Tied(_)) && base.customer.is_erased() => {
                        return Err(FactRefusal::from(TieError::Erased { customer: base.through }).into());
                    }
                    Outcome::Recorded => {
                        recorded.known = false;
                        let plan = plan.ok_or_else(|| Error::corrupt("a recorded fact that changes nothing"))?;
                        *changes = self.write(&mut writing, plan, &base).await?;
                    }
                }
            }
            if recorded.known {
                return Ok(recorded);
            }
            match self.settle(writing).await? {
                Settled::Done | Settled::Replayed(_) => return Ok(recorded),
                Settled::Refused(error) if error.is_lost_race() => self.lost()?,
                // The same id with another time: only the history can tell what it was.
                Settled::Refused(CommitError::EventExists { .. }) if !with_history => with_history = true,
                Settled::Refused(error) => return Err(Error::corrupt(error)),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// The ends of ties that come with a word about two people, each of whom may be several.
    async fn ends_besides(
        &self,
        [from, to]: [&Base; 2],
        told: (Timestamp, EventId),
        source: &Source,
        word: Word<'_>,
    ) -> Result<Vec<End>, Error> {
        let (from, to) = (&from.customer, &to.customer);
        if !from.is_merged() && !to.is_merged() {
            return Ok(Vec::new());
        }
        // Words of one instant fold by their ids, and an end counts after what it ends.
        let end = |of: Untie, (at, by): (Timestamp, EventId), source: &Source, after: EventId| {
            let id = |n| match n {
                0 => EventId::of_fact(&self.tenant, source, &format!("{by} {} {}", of.from, of.to)),
                n => EventId::of_fact(&self.tenant, source, &format!("{by} {} {} {n}", of.from, of.to)),
            };
            let id = (0..ATTEMPTS_MAX).map(id).find(|id| *id > after)?;
            Some(End { id, at, source: source.clone(), of })
        };
        match word {
            Word::Ends(untie) => {
                let others = others_between(from, to, untie).into_iter();
                Ok(others.filter_map(|of| end(of, told, source, LEAST)).collect())
            }
            Word::Begins(tie) => {
                let history = self.whole_history(from).await?;
                let of = Untie { from: tie.from, to: tie.to, kind: tie.kind.clone() };
                let first = ended_through_others(&history, [from, to], tie, told);
                let after = |at: Timestamp| if at == told.0 { told.1 } else { LEAST };
                let first = first.and_then(|(word, source)| end(of, word, source, after(word.0)));
                Ok(first.into_iter().collect())
            }
            Word::ForItself => Ok(Vec::new()),
        }
    }

    /// Plans one side of a tie, with the customer's history if it takes that.
    async fn plan_side(
        &self,
        context: Context<'_>,
        base: &Base,
        fact: &Prepared,
        more: &[(CustomerId, Prepared)],
        with_history: bool,
    ) -> Result<(Outcome, Option<Plan>), Error> {
        let history = if with_history { Some(self.whole_history(&base.customer).await?) } else { None };
        let side = |planner: Planner<'_>| side(planner, fact, more, context.now);
        self.plan_on(context, &base.customer, base.through, history.as_deref(), side).await
    }
}

/// No id is lower.
const LEAST: EventId = EventId::from_uuid(uuid::Uuid::nil());

/// An end of a tie, on both sides.
struct End {
    of: Untie,
    id: EventId,
    at: Timestamp,
    source: Source,
}

/// The first word after a tie began that ended all of its kind between two people, told through others of theirs while
/// those were one with the ends of the tie.
fn ended_through_others<'h>(
    history: &'h [Event],
    [from, to]: [&Customer; 2],
    tie: &Tie,
    began: (Timestamp, EventId),
) -> Option<((Timestamp, EventId), &'h Source)> {
    let direction = outgoing(&tie.kind);
    let mut first: Option<((Timestamp, EventId), &Source)> = None;
    for event in history {
        let EventBody::Fact(Fact::Untied(untied)) = &event.body else { continue };
        let word = (event.at, event.id);
        let is_meant = untied.kind == tie.kind && untied.direction == direction && to.is(untied.other);
        let through_others = (event.customer, untied.other) != (tie.from, tie.to);
        let were_one =
            |who: &Customer, one, other| one_since(who, one, other).is_some_and(|at| at <= event.recorded_at);
        let were_one = were_one(from, event.customer, tie.from) && were_one(to, untied.other, tie.to);
        let is_first = word > began && first.is_none_or(|(found, _)| word < found);
        if let (true, Some(source)) = (is_meant && through_others && were_one && is_first, &event.source) {
            first = Some((word, source));
        }
    }
    first
}

/// Since when two members of somebody have been one.
fn one_since(who: &Customer, one: CustomerId, other: CustomerId) -> Option<Timestamp> {
    if one == other {
        return Some(Timestamp::MIN);
    }
    let joined = |join: &&Join| {
        let of = |side: &[CustomerId], other_side: &[CustomerId]| side.contains(&one) && other_side.contains(&other);
        of(&join.one, &join.other) || of(&join.other, &join.one)
    };
    who.joins().iter().find(joined).map(|join| join.at)
}

const fn outgoing(kind: &TieKind) -> Direction {
    if kind.is_mutual() { Direction::Mutual } else { Direction::Outgoing }
}

/// The ties that the end of one ends besides: all of its kind between the two, but the one that it names itself.
fn others_between(from: &Customer, to: &Customer, end: &Untie) -> Vec<Untie> {
    let direction = outgoing(&end.kind);
    let ties = from.facts().ties().lasting().filter(|tie| *tie.kind == end.kind && tie.direction == direction);
    let ties = ties.filter(|tie| to.is(tie.other) && (tie.own, tie.other) != (end.from, end.to));
    ties.map(|tie| Untie { from: tie.own, to: tie.other, kind: end.kind.clone() }).collect()
}

/// Plans one side: its fact, and what comes with it through certain members.
fn side<'a>(
    planner: Planner<'a>,
    fact: &'a Prepared,
    more: &'a [(CustomerId, Prepared)],
    now: Timestamp,
) -> Result<(Outcome, Option<Plan>), Need> {
    let mut planner = planner.writing_both_sides();
    let outcome = planner.fact(fact)?;
    if outcome != Outcome::Recorded {
        return Ok((outcome, None));
    }
    for (member, fact) in more {
        planner.fact_through(*member, fact)?;
    }
    planner.catch_up()?;
    planner.elapse(now)?;
    Ok((outcome, planner.finish()))
}
