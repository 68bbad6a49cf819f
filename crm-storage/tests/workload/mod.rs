//! A shop's day at the store, known beforehand to the last byte: what is written, what was answered, and
//! what must be there afterwards. All that depends on the shape of the contract is in this module.
//!
//! What must be there is not spelled out a second time: each deed leaves a sign by which it is found,
//! and the store must look exactly as a memory store in which just the deeds that were found were done.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use crm_core::{
    Alarm, AlarmKind, Column, Columns, CustomerId, Digest, EventId, SetKey, SetKind, Span, TenantId, Timestamp,
};
use crm_storage::conformance::block_on;
use crm_storage::{
    AlarmMove, ChangeRow, Claim, ClaimKey, ClaimOwner, Commit, CommitError, Committed, CounterStep, CustomerRow,
    CustomerWrite, DefineError, Details, Due, Entries, Entry, EventRow, Expected, IdempotencyKey, Leased, MemoryStore,
    OutboxEntry, Parts, PersonalMove, Request, ScoreRow, Selection, Settlement, StateRow, StorageError, Store, Token,
    Traits, Verdict, Version,
};
use uuid::Uuid;

/// One thing that is done wholly or not at all.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Commit(Order),
    /// Adds the definition of this revision.
    Define(u64),
    /// Leases everything; one entry was delivered, one is to be tried again.
    Settle {
        done: EventId,
        again: EventId,
    },
}

/// A commit that makes customers and changes some that are there.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) makes: std::ops::Range<u64>,
    /// Customers and the versions they are at.
    pub(crate) changes: Vec<(u64, u64)>,
}

/// What is asked of the store in one go. The numbers are those of deeds.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// In one call.
    Call(Vec<usize>),
    /// In calls from threads of their own at one time.
    Together(Vec<usize>),
    /// The store is closed and opened again.
    Reopen,
    /// Nothing, until the log is copied back.
    Rest,
}

/// What came of a deed, as far as its caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Never asked for, or answered with "nothing was written".
    Absent,
    Acknowledged,
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Day {
    pub(crate) deeds: Vec<Deed>,
    pub(crate) steps: Vec<Step>,
}

impl Day {
    /// The usual one, with `many` customers in its large commit.
    pub(crate) fn new(many: u64) -> Day {
        let mut day = Day { deeds: Vec::new(), steps: Vec::new() };
        let define = day.add(Deed::Define(1));
        day.steps.push(Step::Call(vec![define]));
        let batch = [day.order(0..2, &[]), day.order(2..3, &[(0, 1)]), day.order(3..6, &[])];
        day.steps.push(Step::Call(batch.to_vec()));
        let settle = day.settle((0, 1), (2, 1));
        day.steps.push(Step::Call(vec![settle]));
        for customer in 6..9 {
            let order = day.order(customer..customer + 1, &[(1, customer - 5)]);
            day.steps.push(Step::Call(vec![order]));
        }
        let together = [day.order(9..11, &[]), day.order(11..12, &[(3, 1)]), day.order(12..13, &[(4, 1)])];
        day.steps.push(Step::Together(together.to_vec()));
        let large = day.order(100..100 + many, &[(5, 1)]);
        day.steps.push(Step::Call(vec![large]));
        day.steps.push(Step::Reopen);
        let define = day.add(Deed::Define(2));
        day.steps.push(Step::Call(vec![define]));
        let batch = [day.order(13..14, &[(0, 2), (5, 2)]), day.order(14..15, &[(100, 1)])];
        day.steps.push(Step::Call(batch.to_vec()));
        let settle = day.settle((13, 1), (14, 1));
        day.steps.push(Step::Call(vec![settle]));
        day
    }

    /// One with rests, in which the log is copied back while the store stays open.
    pub(crate) fn with_rests() -> Day {
        let mut day = Day { deeds: Vec::new(), steps: Vec::new() };
        for customer in 0..3 {
            let before: &[(u64, u64)] = if customer == 0 { &[] } else { &[(0, customer)] };
            let order = day.order(customer..customer + 1, before);
            day.steps.push(Step::Call(vec![order]));
            let define = day.add(Deed::Define(customer + 1));
            day.steps.push(Step::Call(vec![define]));
            day.steps.push(Step::Rest);
        }
        let order = day.order(3..4, &[(0, 3)]);
        day.steps.push(Step::Call(vec![order]));
        day
    }

    fn add(&mut self, deed: Deed) -> usize {
        self.deeds.push(deed);
        self.deeds.len() - 1
    }

    fn order(&mut self, makes: std::ops::Range<u64>, changes: &[(u64, u64)]) -> usize {
        let number = self.deeds.len() as u64;
        self.add(Deed::Commit(Order { number, makes, changes: changes.to_vec() }))
    }

    fn settle(&mut self, done: (u64, u64), again: (u64, u64)) -> usize {
        self.add(Deed::Settle { done: event(done.0, done.1, 0), again: event(again.0, again.1, 0) })
    }

    /// Does some commits in one call, or one other deed.
    pub(crate) fn perform(&self, store: &dyn Store, deeds: &[usize]) -> Result<Vec<Answer>, StorageError> {
        match &self.deeds[deeds[0]] {
            Deed::Commit(_) => {
                let commits = deeds.iter().map(|&deed| match &self.deeds[deed] {
                    Deed::Commit(order) => commit(order),
                    Deed::Define(_) | Deed::Settle { .. } => unreachable!("a call commits or does one other thing"),
                });
                let answers = block_on(store.commit(&TenantId::default(), commits.collect()))?;
                Ok(answers.into_iter().map(Answer::Commit).collect())
            }
            Deed::Define(revision) => {
                match block_on(store.define(&TenantId::default(), revision - 1, definition(*revision))) {
                    Ok(now) => assert_eq!(now, *revision),
                    Err(DefineError::Storage(error)) => return Err(error),
                    Err(DefineError::Conflict { actual }) => {
                        return Ok(vec![Answer::There { right: actual == *revision }]);
                    }
                    Err(other) => unreachable!("an error that is not known: {other}"),
                }
                Ok(vec![Answer::Done])
            }
            Deed::Settle { done, again } => block_on(settle(store, *done, *again)).map(|answer| vec![answer]),
        }
    }
}

/// What the store said about a deed.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Commit(Result<Committed, CommitError>),
    Done,
    /// It had been done before; and whether what is there is what it would have written.
    There {
        right: bool,
    },
}

impl Answer {
    /// Whether the deed is done now, and was not before.
    pub(crate) fn is_first(&self) -> bool {
        matches!(self, Answer::Done | Answer::Commit(Ok(Committed::Done { .. })))
    }

    /// Whether the deed had been done before, and the answer is the one of then.
    pub(crate) fn is_repeated(&self, deed: usize) -> bool {
        match self {
            Answer::Commit(Ok(Committed::Replayed { answer })) => *answer == body(deed as u64),
            Answer::There { right } => *right,
            Answer::Commit(_) | Answer::Done => false,
        }
    }
}

async fn settle(store: &dyn Store, done: EventId, again: EventId) -> Result<Answer, StorageError> {
    let leased = lease(store).await?;
    let find = |id| leased.iter().find(|leased: &&Leased| leased.entry.id == id);
    let (Some(first), Some(second)) = (find(done), find(again)) else {
        let right = find(done).is_none() && find(again).is_some_and(|leased| leased.entry.due_at == retried());
        return Ok(Answer::There { right });
    };
    let settlements = [
        Settlement { id: done, token: first.token, verdict: Verdict::Done },
        Settlement { id: again, token: second.token, verdict: Verdict::Retry { at: retried() } },
    ];
    let settled = store.settle(&TenantId::default(), &settlements).await?;
    assert_eq!(settled, [true, true]);
    Ok(Answer::Done)
}

/// Leases all there is for no time: others can lease it at once, and who leased it last can settle it.
pub(crate) async fn lease(store: &dyn Store) -> Result<Vec<Leased>, StorageError> {
    store.lease(&TenantId::default(), Timestamp::MAX, Span::millis(0), usize::MAX).await
}

/// When an entry that was not delivered is due again.
fn retried() -> Timestamp {
    at(999_999_999_999)
}

pub(crate) fn customer(number: u64) -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u64_pair(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number))
}

/// An event of a customer's version.
pub(crate) fn event(number: u64, version: u64, place: u64) -> EventId {
    EventId::from_uuid(Uuid::from_u64_pair(number, version << 8 | place))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn body(number: u64) -> Vec<u8> {
    format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(100 + number as usize % 50)).into_bytes()
}

fn definition(revision: u64) -> Vec<u8> {
    body(1000 + revision)
}

/// The sign of a commit.
fn sign(number: u64) -> ClaimKey {
    ClaimKey { kind: "commit".into(), key: number.to_be_bytes().to_vec() }
}

fn place(customer: u64, version: u64) -> ClaimKey {
    ClaimKey { kind: "order".into(), key: format!("{customer}/{version}").into_bytes() }
}

fn alarm(customer: u64, version: u64) -> Option<Alarm> {
    let due_at = at((customer * 100 + version) as i64);
    // Every third version has none, so that alarms come and go.
    (!version.is_multiple_of(3)).then_some(Alarm { due_at, kind: AlarmKind::Lifecycle })
}

pub(crate) fn event_row(id: EventId) -> EventRow {
    let number = id.as_uuid().as_u64_pair().0;
    EventRow {
        id,
        at: at(number as i64),
        recorded_at: at(number as i64 + 1),
        kind: "order_placed".into(),
        shape: 1,
        source: None,
        cause: None,
        body: body(number),
    }
}

fn score(number: u64, version: u64) -> ScoreRow {
    ScoreRow {
        plugin: "churn".into(),
        output: "risk".into(),
        at: at(version as i64),
        value: number as f64,
        version: "1".into(),
        digest: Digest::of(b"plugin"),
        input: Digest::of(&number.to_be_bytes()),
        inputs: version.to_be_bytes().to_vec(),
        recorded_at: Some(at(version as i64 + 1)),
        terms: "{}".into(),
    }
}

/// A write of everything there is to write for a customer, from one version to the next.
pub(crate) fn write(number: u64, before: u64) -> CustomerWrite {
    let version = before + 1;
    let expected = if before == 0 { Expected::New } else { Expected::At(Version(before)) };
    let state = StateRow { shape: 1, bytes: body(number * 1000 + version) };
    let mut write = CustomerWrite::new(customer(number), expected, state);
    write.events = (0..2).map(|place| event_row(event(number, version, place))).collect();
    write.changes = vec![ChangeRow { at: at(version as i64), kind: "stage_changed".into(), body: body(version) }];
    write.alarm =
        Some(AlarmMove { from: (before > 0).then(|| alarm(number, before)).flatten(), to: alarm(number, version) });
    write.scores = vec![score(number, version)];
    let mut columns = Columns::NONE;
    columns.set(Column::Orders, Some(version as i64));
    write.traits = Traits { columns, sets: vec![SetKey::new(SetKind::Tag, &format!("tag {version}")).unwrap()] };
    let value = |gone: bool| (!gone).then(|| body(number + version));
    write.personal = Some(Box::new(PersonalMove {
        key: (before == 0).then(|| body(number)),
        fields: vec![("name".into(), value(false)), ("address".into(), value(version.is_multiple_of(2)))],
        tokens: Some((version..version + 3).map(|at| Token(*Uuid::from_u64_pair(number, at).as_bytes())).collect()),
    }));
    write
}

/// All that belongs to one order, of each kind of row.
pub(crate) fn commit(order: &Order) -> Commit {
    let written: Vec<_> = order.makes.clone().map(|made| (made, 0)).chain(order.changes.iter().copied()).collect();
    let (first, before) = written[0];
    let claim =
        |key, number, before: u64| Claim { key, customer: customer(number), event: event(number, before + 1, 0) };
    let mut claims = vec![claim(sign(order.number), first, before)];
    claims.extend(written.iter().map(|&(number, before)| claim(place(number, before + 1), number, before)));
    let entry = |&(number, before): &(u64, u64)| OutboxEntry {
        id: event(number, before + 1, 0),
        customer: customer(number),
        topic: "mail".into(),
        due_at: at((number + before) as i64),
        body: body(number),
    };
    Commit {
        request: Some(Request {
            customer: customer(first),
            key: IdempotencyKey::new(&format!("order-{}", order.number)).unwrap(),
            digest: Digest::of(&order.number.to_be_bytes()),
            answer: body(order.number),
        }),
        writes: written.iter().map(|&(number, before)| write(number, before)).collect(),
        claims,
        counters: vec![CounterStep { name: "orders".into(), by: 1, limit: 1_000_000 }],
        // A large commit tells the host little, or leases would be most of the work.
        outbox: written.iter().take(3).map(entry).collect(),
        ..Commit::default()
    }
}

/// All that can be seen of the shop.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    customers: Vec<Record>,
    owners: Vec<(ClaimKey, Option<ClaimOwner>)>,
    due: Vec<Due>,
    outbox: Vec<OutboxEntry>,
    definitions: Vec<Vec<u8>>,
    orders: i128,
}

/// All that can be seen of a customer.
#[derive(Debug, PartialEq)]
struct Record {
    row: CustomerRow,
    history: Vec<Entry>,
    details: Details,
}

impl Day {
    /// Looks at everything.
    pub(crate) async fn look(&self, store: &dyn Store) -> Result<Seen, StorageError> {
        let tenant = TenantId::default();
        let mut customers = Vec::new();
        for row in everybody(store).await? {
            let history = store.history(&tenant, row.customer, Entries::All, None, usize::MAX).await?.rows;
            let mut details = store.details(&tenant, &[row.customer], Parts::ALL).await?;
            // What waits is looked at for everybody together: leasing it moves nothing there.
            let mut details = details.remove(0).unwrap_or_default();
            details.outbox.clear();
            customers.push(Record { row, history, details });
        }
        let keys: Vec<_> = self.commits().flat_map(|order| commit(order).claims).map(|claim| claim.key).collect();
        let owners = keys.iter().cloned().zip(store.resolve(&tenant, &keys).await?).collect();
        let mut outbox: Vec<_> = lease(store).await?.into_iter().map(|leased| leased.entry).collect();
        outbox.sort_by_key(|entry| entry.id);
        Ok(Seen {
            customers,
            owners,
            due: due(store).await?,
            outbox,
            definitions: store.definitions(&tenant).await?.rows,
            orders: counter(store).await?,
        })
    }

    fn commits(&self) -> impl Iterator<Item = &Order> {
        self.deeds.iter().filter_map(|deed| match deed {
            Deed::Commit(order) => Some(order),
            Deed::Define(_) | Deed::Settle { .. } => None,
        })
    }

    /// The deeds whose sign is there.
    pub(crate) fn found(&self, seen: &Seen) -> BTreeSet<usize> {
        let taken = |key: &ClaimKey| seen.owners.iter().any(|(other, owner)| other == key && owner.is_some());
        let waits = |id: EventId| seen.outbox.iter().any(|entry| entry.id == id);
        let there = |deed: &Deed| match deed {
            Deed::Commit(order) => taken(&sign(order.number)),
            Deed::Define(revision) => seen.definitions.len() as u64 >= *revision,
            // The other entry came with the same commits, and does not go.
            Deed::Settle { done, again } => waits(*again) && !waits(*done),
        };
        (0..self.deeds.len()).filter(|&deed| there(&self.deeds[deed])).collect()
    }

    /// What is seen where just these deeds were done.
    pub(crate) fn expected(&self, done: &BTreeSet<usize>) -> Seen {
        let store = MemoryStore::new();
        for &deed in done {
            let answers = self.perform(&store, &[deed]).unwrap();
            assert!(answers[0].is_first(), "deed {deed} cannot have been done without one before it: {answers:?}");
        }
        block_on(self.look(&store)).unwrap()
    }

    /// Looks at a store and holds it against what its callers were told. Gives the deeds that were done.
    pub(crate) fn judge(&self, store: &dyn Store, told: &[Standing], when: &dyn Debug) -> BTreeSet<usize> {
        let seen = block_on(self.look(store)).unwrap_or_else(|error| panic!("{when:?}: {error:?}"));
        let found = self.found(&seen);
        for (deed, told) in told.iter().enumerate() {
            match told {
                Standing::Acknowledged => assert!(found.contains(&deed), "{when:?}: deed {deed} was lost"),
                Standing::Absent => assert!(!found.contains(&deed), "{when:?}: deed {deed} was done after all"),
                Standing::Unknown => {}
            }
        }
        let expected = self.expected(&found);
        if seen != expected {
            panic!("{when:?}: the store is not what {found:?} make of it\n{}", difference(&seen, &expected));
        }
        found
    }
}

/// The first things that differ; a whole shop is too much to read.
fn difference(seen: &Seen, expected: &Seen) -> String {
    let (seen, expected) = (format!("{seen:#?}"), format!("{expected:#?}"));
    let lines = seen.lines().zip(expected.lines()).filter(|(seen, expected)| seen != expected);
    lines.take(10).map(|(seen, expected)| format!("seen {seen}, expected {expected}\n")).collect()
}

pub(crate) async fn everybody(store: &dyn Store) -> Result<Vec<CustomerRow>, StorageError> {
    let tenant = TenantId::default();
    let ids = store.select(&tenant, &Selection::EVERYBODY, None, usize::MAX).await?;
    Ok(store.load(&tenant, &ids).await?.rows.into_iter().flatten().collect())
}

/// Every alarm that is set.
pub(crate) async fn due(store: &dyn Store) -> Result<Vec<Due>, StorageError> {
    store.due(&TenantId::default(), Timestamp::MAX, usize::MAX).await
}

/// Where the counter of orders stands: a step past a limit of -1 is refused, and the refusal says it.
async fn counter(store: &dyn Store) -> Result<i128, StorageError> {
    let probe = CounterStep { name: "orders".into(), by: 0, limit: -1 };
    let probe = Commit { counters: vec![probe], ..Commit::default() };
    match store.commit(&TenantId::default(), vec![probe]).await?.remove(0) {
        Err(CommitError::CounterLimit { value, .. }) => Ok(value),
        other => panic!("a counter past its limit should be refused: {other:?}"),
    }
}

/// SQLite's own opinion of a file.
pub(crate) fn assert_sound(path: &Path, when: &dyn Debug) {
    let file = rusqlite::Connection::open(path).unwrap();
    let verdict: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok", "{when:?}");
}

/// All of a test that takes long, and not a part of it.
pub(crate) fn soak() -> bool {
    std::env::var_os("CRM_SOAK").is_some_and(|value| value == "1")
}
