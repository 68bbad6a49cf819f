//! Many facts at once: live, or as history, which is quiet.

use std::collections::{BTreeMap, HashMap};

use crm_core::audit::{AuditAction, AuditEntry};
use crm_core::consent::Method;
use crm_core::event::Fact;
use crm_core::{CustomerId, Definitions, Digest, EventId, Timestamp};
use crm_storage::{ClaimKey, Commit, CommitError, Committed, CustomerRow};
use futures_core::Stream;
use futures_util::StreamExt as _;

use super::audit::{bars, by_shop};
use super::record::{Attempt, Found, Grounds, Planned, Sought, prepare};
use super::writing::Writing;
use super::{Base, Crm};
use crate::error::Error;
use crate::incoming::{Incoming, Who};
use crate::plan::{FactRefusal, Outcome, Prepared, number_claim};

/// How many facts are taken in together unless another number is said.
const FACTS_AT_A_TIME: usize = 1_024;

/// How facts are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ingestion {
    quiet: bool,
    batch: Option<usize>,
    refusals_max: usize,
}

impl Ingestion {
    /// As they happen: workflows react, and the outbox is filled.
    #[must_use]
    pub const fn live() -> Self {
        Ingestion { quiet: false, batch: None, refusals_max: 100 }
    }

    /// As history: no workflows, no outbox. Stages, segments and points follow all the same, up to the
    /// time of each customer's last fact; [`Crm::advance`] then brings everybody up to now.
    #[must_use]
    pub const fn history() -> Self {
        Ingestion { quiet: true, batch: None, refusals_max: 100 }
    }

    /// With at most so many refusals told in full; usually a hundred. All are counted.
    #[must_use]
    pub const fn telling_refusals(mut self, refusals: usize) -> Self {
        self.refusals_max = refusals;
        self
    }

    /// With so many facts in a batch, at least one; otherwise 1,024, and of cards
    /// [`CARDS_AT_A_TIME`](super::CARDS_AT_A_TIME). The facts of a batch are committed together, one commit for each
    /// customer.
    #[must_use]
    pub const fn with_batch(mut self, facts: usize) -> Self {
        self.batch = Some(if facts == 0 { 1 } else { facts });
        self
    }

    pub(super) fn batch_of(self, usual: usize) -> usize {
        self.batch.unwrap_or(usual)
    }

    pub(super) const fn is_quiet(self) -> bool {
        self.quiet
    }

    pub(super) const fn refusals_told(self) -> usize {
        self.refusals_max
    }
}

/// What became of the facts of one ingestion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestReport {
    /// How many came in.
    pub read: u64,
    /// How many of them were new and recorded.
    pub recorded: u64,
    /// How many were recorded before.
    pub known: u64,
    /// How many were refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// The first refusals, usually at most a hundred: the number of the fact, counted from 0, and why.
    pub refusals: Vec<(u64, FactRefusal)>,
}

impl IngestReport {
    fn count(&mut self, number: u64, outcome: Outcome, how: Ingestion) {
        match outcome {
            Outcome::Recorded => self.recorded += 1,
            Outcome::Known => self.known += 1,
            Outcome::Refused(refusal) => {
                *self.refused.entry(refusal.reason()).or_default() += 1;
                if self.refusals.len() < how.refusals_max {
                    self.refusals.push((number, refusal));
                }
            }
        }
    }
}

/// A fact of a batch.
struct Item {
    number: u64,
    who: Who,
    prepared: Prepared,
}

/// The facts of a batch, by whom they are about.
struct Groups {
    /// Whom, in the order in which they first come.
    found: Vec<Found>,
    /// Group and item, group by group, and within each in the order in which the facts happened.
    members: Vec<(usize, usize)>,
}

impl Groups {
    fn iter(&self) -> impl Iterator<Item = (Found, &[(usize, usize)])> {
        let groups = self.members.chunk_by(|one, next| one.0 == next.0);
        groups.filter_map(|members| Some((*self.found.get(members.first()?.0)?, members)))
    }
}

/// A group that was planned and is to be committed: its members, and where its outcomes begin.
struct Ready<'g> {
    members: &'g [(usize, usize)],
    outcomes: usize,
}

/// Tells equal facts without a key apart, by counting them.
#[derive(Default)]
struct Ordinals(HashMap<Digest, u64>);

impl Ordinals {
    fn id(&mut self, tenant: &crm_core::TenantId, incoming: &Incoming) -> EventId {
        if incoming.key.is_some() {
            return incoming.event_id(tenant, None);
        }
        let content = incoming.content();
        let seen = self.0.entry(Digest::of(format!("{} {content}", incoming.source).as_bytes())).or_default();
        let ordinal = *seen;
        *seen += 1;
        incoming.event_id(tenant, Some((&content, ordinal)))
    }
}

/// Whether somebody else's word about a consent is taken over, and not one that is given now.
#[allow(clippy::wildcard_enum_match_arm, reason = "every other fact gives no consent")]
fn is_imported_consent(fact: &Fact, how: Ingestion) -> bool {
    match fact {
        Fact::ConsentGiven(given) => how.quiet || given.proof.method == Method::Import,
        _ => false,
    }
}

impl Crm {
    /// Takes in a stream of facts. See [`ingest_with_progress`](Self::ingest_with_progress).
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed. The batches before are kept: the same stream can be sent again.
    pub async fn ingest<S>(&self, facts: S, how: Ingestion) -> Result<IngestReport, Error>
    where
        S: Stream<Item = Incoming> + Send,
    {
        self.ingest_with_progress(facts, how, |_| {}).await
    }

    /// Takes in a stream of facts, in batches, and reports after each. Facts that were recorded before
    /// are counted as known, so that an ingestion that was cut off can be run again from the start. What
    /// is malformed is refused and counted by reason, and the rest goes on.
    ///
    /// Facts of one customer and one batch are taken in in the order in which they happened, but for what voids others or
    /// bars the use of data, which goes last, one by one; what is told under a number that a voiding of the batch sets
    /// free comes after that. Batches in the order of time are cheapest: for a late fact its customer's history is read
    /// and folded anew, once a batch.
    ///
    /// The audit log has of each batch with something new how many consents were taken over in it: those by
    /// `Method::Import`, and all that come as history.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed. The batches before are kept: the same stream can be sent again.
    pub async fn ingest_with_progress<S, P>(
        &self,
        facts: S,
        how: Ingestion,
        mut progress: P,
    ) -> Result<IngestReport, Error>
    where
        S: Stream<Item = Incoming> + Send,
        P: FnMut(&IngestReport) + Send,
    {
        let mut report = IngestReport::default();
        let mut ordinals = Ordinals::default();
        let mut batches = std::pin::pin!(facts.chunks(how.batch_of(FACTS_AT_A_TIME)));
        while let Some(batch) = batches.next().await {
            let items: Vec<Item> = batch
                .into_iter()
                .zip(report.read..)
                .map(|(incoming, number)| {
                    let id = ordinals.id(&self.tenant, &incoming);
                    Item { number, who: incoming.who.clone(), prepared: prepare(incoming, id) }
                })
                .collect();
            report.read += items.len() as u64;
            let consents = items.iter().filter(|item| is_imported_consent(&item.prepared.fact, how)).count();
            let recorded = report.recorded;
            self.ingest_batch(items, how, &mut report).await?;
            if consents > 0 && report.recorded > recorded {
                let entry = AuditEntry::new(by_shop()?, AuditAction::Imported);
                self.audit(entry.with_number("consents", consents as i64)?).await?;
            }
            progress(&report);
        }
        Ok(report)
    }

    async fn ingest_batch(&self, mut items: Vec<Item>, how: Ingestion, report: &mut IngestReport) -> Result<(), Error> {
        let now = self.now();
        self.check_lookup_key().await?;
        // Who came with several identifiers may turn out to be somebody else of the batch: these go one by one.
        let presented: Vec<Item> = items.extract_if(.., |item| matches!(item.who, Who::Presented(_))).collect();
        // What bars the use of data has an entry of the audit log in its commit: these go last, and one by one.
        let barring: Vec<Item> = items.extract_if(.., |item| bars(&item.prepared.fact)).collect();
        self.ingest_one_by_one(presented.iter(), now, how, report).await?;
        if items.is_empty() {
            return self.ingest_one_by_one(barring.iter(), now, how, report).await;
        }
        // A number that is taken may be free again when what had it is voided.
        let voids = barring.iter().any(|item| matches!(item.prepared.fact, Fact::Voided(_)));
        let waits = |outcome: &Outcome| voids && matches!(outcome, Outcome::Refused(why) if why.is_of_number());
        let mut taken: Vec<usize> = Vec::new();
        let groups = self.group(&items, how, report).await?;
        let known = |(found, _)| match found {
            Found::Known(id) => Some(id),
            Found::New(_) => None,
        };
        let ids: Vec<CustomerId> = groups.iter().filter_map(known).collect();
        let loaded = self.store().load(&self.tenant, &ids).await?;
        let definitions = self.definitions_to_write(loaded.definitions).await?;
        let context = self.context(&definitions, now, how.quiet);
        let mut rows = loaded.rows.into_iter();
        let mut commits: Vec<Commit> = Vec::with_capacity(groups.found.len());
        let mut ready: Vec<Ready<'_>> = Vec::with_capacity(groups.found.len());
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(items.len());
        let mut facts: Vec<&Prepared> = Vec::new();
        let mut again: Vec<usize> = Vec::new();
        for (found, members) in groups.iter() {
            let row = match found {
                Found::New(_) => None,
                Found::Known(customer) => match rows.next().flatten().filter(|_| self.is_customer(customer)) {
                    Some(row) => Some(row),
                    None => {
                        for (_, item) in members {
                            let refusal = FactRefusal::NoCustomer { customer };
                            report.count(items[*item].number, Outcome::Refused(refusal), how);
                        }
                        continue;
                    }
                },
            };
            facts.clear();
            facts.extend(members.iter().map(|(_, item)| &items[*item].prepared));
            let Some(at) = facts.first().map(|first| first.at) else { continue };
            let begin = outcomes.len();
            let base = self.base_or_newcomer(row.as_ref(), found, at, &definitions).await?;
            if base.customer.is_merged() || base.customer.merged_into().is_some() {
                // Several of the batch may be one customer: these go one by one.
                again.extend(members.iter().map(|(_, item)| *item));
                continue;
            }
            let expected = base.expected;
            let mut planned = self.plan_facts(context, base, found, &facts, Attempt::default(), &mut outcomes).await?;
            if matches!(planned, Planned::Lacking) {
                let whatever = Attempt { grounds: Grounds::Needed, ..Attempt::default() };
                let base = self.base_or_newcomer(row.as_ref(), found, at, &definitions).await?;
                planned = self.plan_facts(context, base, found, &facts, whatever, &mut outcomes).await?;
            }
            match planned {
                // Which of its keys it has to give up, the store is asked one by one, and the audit log is written so.
                Planned::Ready(Some(plan)) if plan.leads_elsewhere() || !plan.refused.is_empty() => {
                    outcomes.truncate(begin);
                    again.extend(members.iter().map(|(_, item)| *item));
                }
                Planned::Ready(Some(plan)) => {
                    commits.push(Writing::of(plan, expected, &[])?.0.commit);
                    ready.push(Ready { members, outcomes: begin });
                }
                Planned::Ready(None) => {
                    for ((_, item), outcome) in members.iter().zip(outcomes.drain(begin..)) {
                        match waits(&outcome) {
                            true => taken.push(*item),
                            false => report.count(items[*item].number, outcome, how),
                        }
                    }
                }
                Planned::Lacking => return Err(Error::corrupt("a plan that lacks what it was given")),
            }
        }
        let answers = self.store().commit(&self.tenant, commits).await?;
        for (Ready { members, outcomes: begin }, answer) in ready.into_iter().zip(answers) {
            match answer {
                Ok(Committed::Done { .. } | Committed::Replayed { .. }) => {
                    for ((_, item), outcome) in members.iter().zip(&mut outcomes[begin..]) {
                        let outcome = std::mem::replace(outcome, Outcome::Known);
                        match waits(&outcome) {
                            true => taken.push(*item),
                            false => report.count(items[*item].number, outcome, how),
                        }
                    }
                }
                Err(CommitError::Conflict { .. }) if self.is_inside() => return Err(Error::Conflict),
                // Somebody else was first, or one of the facts is taken: one by one it will show which.
                Err(_) => again.extend(members.iter().map(|(_, item)| *item)),
            }
        }
        for item in again {
            let outcome = self.ingest_one(&items[item], now, how).await?;
            match waits(&outcome) {
                true => taken.push(item),
                false => report.count(items[item].number, outcome, how),
            }
        }
        self.ingest_one_by_one(barring.iter(), now, how, report).await?;
        taken.sort_unstable_by_key(|item| (items[*item].prepared.at, *item));
        self.ingest_one_by_one(taken.into_iter().map(|item| &items[item]), now, how, report).await
    }

    async fn ingest_one_by_one(
        &self,
        items: impl Iterator<Item = &Item> + Send,
        now: Timestamp,
        how: Ingestion,
        report: &mut IngestReport,
    ) -> Result<(), Error> {
        for item in items {
            let outcome = self.ingest_one(item, now, how).await?;
            report.count(item.number, outcome, how);
        }
        Ok(())
    }

    async fn ingest_one(&self, item: &Item, now: Timestamp, how: Ingestion) -> Result<Outcome, Error> {
        match self.record_prepared(&item.who, &item.prepared, now, how.quiet).await {
            Ok(recorded) if recorded.known => Ok(Outcome::Known),
            Ok(_) => Ok(Outcome::Recorded),
            Err(Error::Fact(refusal)) => Ok(Outcome::Refused(refusal)),
            Err(error) => Err(error),
        }
    }

    async fn base_or_newcomer(
        &self,
        row: Option<&CustomerRow>,
        found: Found,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Base, Error> {
        match (row, found) {
            (Some(row), _) => self.decode(row, definitions).await,
            // If somebody has the id, the store says so, and they go one by one.
            (None, Found::New(identifier)) => Ok(self.newcomer_after(&identifier, at, 0)),
            (None, Found::Known(customer)) => Err(Error::NoCustomer { customer }),
        }
    }

    /// Finds out whom the facts of a batch are about, with one look-up for all.
    async fn group(&self, items: &[Item], how: Ingestion, report: &mut IngestReport) -> Result<Groups, Error> {
        let sought: Vec<Sought<'_>> = items.iter().map(|item| self.sought(&item.who)).collect();
        let asked: Vec<ClaimKey> = sought.iter().filter_map(Sought::claim).collect();
        let mut owners = self.store().resolve(&self.tenant, &asked).await?.into_iter();
        let mut groups = Groups { found: Vec::new(), members: Vec::with_capacity(items.len()) };
        let mut places: HashMap<Found, usize> = HashMap::with_capacity(items.len());
        // An order, a contract or a case of this batch can be what a later fact of it goes by.
        let mut numbers: HashMap<ClaimKey, Found> = HashMap::new();
        let by_number = items.iter().any(|item| matches!(item.who, Who::Order(_) | Who::Contract(_) | Who::Case(_)));
        for (n, (item, sought)) in items.iter().zip(&sought).enumerate() {
            let owner = if sought.is_claimed() { owners.next().flatten() } else { None };
            let found = match (&item.who, sought.found(owner)) {
                (Who::Order(_) | Who::Contract(_) | Who::Case(_), Err(refusal)) => {
                    sought.claim().and_then(|number| numbers.get(&number).copied()).ok_or(refusal)
                }
                (_, found) => found,
            };
            let found = match found {
                Ok(found) => found,
                Err(refusal) => {
                    report.count(item.number, Outcome::Refused(refusal), how);
                    continue;
                }
            };
            if by_number
                && let Some(number) = number_claim(&item.prepared.fact)
                && item.prepared.fact.check().is_ok()
                && crm_core::contract::check(&item.prepared.fact, item.prepared.at).is_ok()
            {
                numbers.insert(number, found);
            }
            let group = *places.entry(found).or_insert_with(|| {
                groups.found.push(found);
                groups.found.len() - 1
            });
            groups.members.push((group, n));
        }
        groups.members.sort_unstable_by_key(|(group, n)| (*group, items[*n].prepared.at, items[*n].prepared.id, *n));
        Ok(groups)
    }
}
