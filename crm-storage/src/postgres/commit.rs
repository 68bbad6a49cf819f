//! Carrying out commits.
//!
//! In the plain dialect a batch is tried as one statement, which writes all of it or fails; if it is of several lanes,
//! another takes them before it, in the same round trip. Only if it fails, or cannot be tried, the rows are read under
//! locks, each commit is judged by them, and what was not refused is written in the same transaction. The sharded
//! dialect knows this second way alone, and so does a store behind the second wall: where a lane ends is read across
//! tenants.
//!
//! Whoever writes for a customer holds the customer's lane until the transaction ends, and learns where it ends by a
//! statement that begins after that, or has the key of the entries refuse what it wrote. Entries are never taken away.
//! So positions have no gaps, come in the order of commits, and none is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fault::Fault;
use super::gather::{Place, unjudged};
use super::keyed::find;
use super::known::{Asked, Known};
use super::lanes::{Heads, end, ends, lock};
use super::list::List;
use super::options::Dialect;
use super::part::{Act, PartId, Places};
use super::session::Session;
use super::shape::Shape;
use super::wire::{Call, call, encoded, list, one};
use super::writes::{Lists, Parts, Rows, Writes};
use crate::commit::{Commit, Committed, Expected, Version};
use crate::error::CommitError;
use crate::judge::Judgement;

/// How often a call is made when other transactions are in the way.
pub(super) const ATTEMPTS: usize = 64;

/// How many rows the longer statement of the sharded dialect takes.
const ROWS: usize = 16;

/// One answer for each commit.
type Answers = Vec<Result<Committed, CommitError>>;

/// Applies commits in order, each judged on what the ones before it left.
pub(super) async fn commit(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    commits: &[Commit],
) -> Result<Answers, Fault> {
    let checks: Vec<Result<(), CommitError>> = commits.iter().map(Commit::check).collect();
    let legal = commits.iter().zip(&checks).filter(|(_, check)| check.is_ok());
    let legal: Vec<&Commit> = legal.map(|(commit, _)| commit).collect();
    let mut answers = apply(session, shape, place, &legal).await?.into_iter();
    // There is one answer for each legal commit, and a refusal for each other one.
    let missing = || Err(CommitError::Malformed { what: "a commit without an answer" });
    Ok(checks.into_iter().map(|check| check.and_then(|()| answers.next().unwrap_or_else(missing))).collect())
}

async fn apply(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    commits: &[&Commit],
) -> Result<Answers, Fault> {
    if commits.is_empty() {
        return Ok(Vec::new());
    }
    if shape.dialect == Dialect::Plain
        && !shape.wall
        && !session.is_host()
        && let Some(writes) = unjudged(place, commits)
    {
        let done = || commits.iter().map(|commit| Ok(Committed::Done { versions: expected_after(commit) })).collect();
        if writes.is_empty() {
            return Ok(done());
        }
        match at_once(session, shape, place, &writes).await {
            Ok(()) => return Ok(done()),
            Err(fault) if fault.is_contradiction() || fault.is_passing() => {}
            Err(fault) => return Err(fault),
        }
    }
    let mut attempt = 1;
    loop {
        let judged = carefully(session, shape, place, commits).await;
        let Err(fault) = judged else { return judged };
        session.roll_back().await;
        // A duplicate is a row that somebody else added after it was looked for.
        let again = fault.is_passing() || fault.is_duplicate();
        if !again || session.is_host() || attempt == ATTEMPTS {
            return Err(fault);
        }
        attempt += 1;
    }
}

/// Tries all of it as one statement, in one round trip.
async fn at_once(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    writes: &Writes<'_>,
) -> Result<(), Fault> {
    let heads = Heads::of(shape, writes);
    let written = bulk(shape, place, writes, Some(&heads), &BTreeMap::new());
    let (before, after) = (heads.before(shape), heads.after(shape));
    let mut answers = Vec::new();
    if before.is_none() && after.is_none() {
        session.write(written).await?;
    } else {
        let asked = after.is_some();
        let calls = before.into_iter().chain([written]).chain(after).collect();
        answers = session.write_together(calls).await?.pop().filter(|_| asked).unwrap_or_default();
    }
    heads.came(shape, &answers);
    Ok(())
}

/// The versions after a commit that found what it expected.
fn expected_after(commit: &Commit) -> Vec<Version> {
    let after = |write: &crate::commit::CustomerWrite| {
        let before = match write.expected {
            Expected::New => 0,
            Expected::At(version) => version.0,
        };
        Version(before + u64::from(write.state.is_some()))
    };
    commit.writes.iter().map(after).collect()
}

/// Looks, judges and writes in one transaction of two round trips.
async fn carefully(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    commits: &[&Commit],
) -> Result<Answers, Fault> {
    let (mut known, ends) = look(session, shape, place, commits).await?;
    let mut writes = Writes::default();
    let mut applied = Vec::new();
    let mut answers = Vec::with_capacity(commits.len());
    for commit in commits {
        let Ok(judgement) = commit.judge(&known);
        answers.push(match judgement {
            Judgement::Apply { versions, counters } => {
                if writes.add(place, commit).is_none() {
                    return Err(Fault::Damaged("a version past every count".into()));
                }
                known.apply(commit, &versions, counters);
                applied.push(*commit);
                Ok(Committed::Done { versions })
            }
            Judgement::Replay(answer) => Ok(Committed::Replayed { answer }),
            Judgement::Refuse(refusal) => Err(refusal),
        });
    }
    writes.add_moves(place, &known, &applied);
    writes.sort();
    if writes.is_empty() {
        session.roll_back().await;
        return Ok(answers);
    }
    let calls = match shape.dialect {
        Dialect::Plain => vec![bulk(shape, place, &writes, None, &ends)],
        Dialect::Sharded => by_lane(shape, place, &writes, &ends),
    };
    session.end(calls).await?;
    Ok(answers)
}

/// Begins a transaction, locks the lanes of the customers in order, then the customers, and reads all that the commits
/// are judged by. Says where each lane ends.
async fn look(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    commits: &[&Commit],
) -> Result<(Known, BTreeMap<i16, i64>), Fault> {
    let (texts, dialect, tenant) = (&shape.texts, shape.dialect, place.number);
    let asked = Asked::by(place, commits);
    let lanes: BTreeSet<i16> = asked.customers.iter().map(|(lane, _)| *lane).collect();
    let mut locks = lock(shape, &lanes);
    // The wall shows the whole of a lane only to who asks for all tenants.
    let named = |whom: String| shape.wall.then(|| call!(texts.wall, one(whom)));
    locks.extend(named("all".into()));
    let groups = [
        locks,
        ends(shape, &lanes),
        named(tenant.to_string()).into_iter().collect(),
        find(&texts.lock_versions, dialect, tenant, asked.customers),
        find(&texts.requests, dialect, tenant, asked.requests),
        find(&texts.known_events, dialect, tenant, asked.events),
        find(&texts.lock_owners, dialect, tenant, asked.owners),
        find(&texts.lock_counters, dialect, tenant, asked.counters),
    ];
    let lengths = groups.each_ref().map(Vec::len);
    let mut rows = session.begin(groups.into_iter().flatten().collect()).await?.into_iter();
    let mut known = Known::default();
    let mut found = BTreeMap::new();
    for (group, length) in lengths.into_iter().enumerate() {
        for row in rows.by_ref().take(length).flatten() {
            match group {
                0 | 2 => {}
                1 => found.extend([end(&row)?]),
                3 => known.add_version(&row)?,
                4 => known.add_request(&row)?,
                5 => known.add_event(&row)?,
                6 => known.add_owner(&row)?,
                _ => known.add_counter(&row)?,
            }
        }
    }
    // What the host has not committed may never be there.
    if !session.is_host() {
        for (lane, end) in &found {
            shape.ends.is(*lane, *end);
        }
    }
    Ok((known, found))
}

/// All of it as one statement. Without heads the positions are in the rows.
fn bulk<'a>(
    shape: &Shape,
    place: &Place<'_>,
    writes: &Writes<'a>,
    heads: Option<&Heads>,
    ends: &BTreeMap<i16, i64>,
) -> Call<'a> {
    let mut lists = Lists::of(shape.parts(), writes.many());
    writes.rows(ends, &mut lists);
    let parts: Vec<(PartId, Vec<List<'_>>)> = lists.into_columns().collect();
    let places = heads.map_or(Places::Given, |heads| heads.places);
    let lanes = heads.filter(|_| places.have_heads());
    let first = lanes.map(|_| PartId::Heads);
    let ids: Vec<PartId> = first.into_iter().chain(parts.iter().map(|(id, _)| *id)).collect();
    let mut call = call!(shape.bulk(&ids, places), one(place.number));
    if let Some(heads) = lanes {
        let (lanes, known): (Vec<i16>, Vec<i64>) = heads.known().unzip();
        match (places, &lanes[..], &known[..]) {
            (Places::OneLane, [lane], [known]) => call.values.extend([one(*lane), one(*known)]),
            _ => call.values.extend([list(lanes), list(known)]),
        }
    }
    for (id, columns) in parts {
        call.values.extend(columns.into_iter().map(encoded));
        if let (Places::Each, PartId::Entries, Some(heads)) = (places, id, heads) {
            let known: Vec<i64> = writes.entries.iter().map(|(lane, ..)| heads.known_of(*lane)).collect();
            call.values.push(list(known));
        }
    }
    call
}

/// All of it as statements of one lane each.
fn by_lane<'a>(shape: &Shape, place: &Place<'_>, writes: &Writes<'a>, ends: &BTreeMap<i16, i64>) -> Vec<Call<'a>> {
    let mut calls = Vec::new();
    let mut parts = Parts::default();
    writes.rows(ends, &mut parts);
    for (id, rows) in &parts.0 {
        // The customers are locked, so no version moves.
        if matches!(id, PartId::Heads | PartId::Held) {
            continue;
        }
        let together = matches!(shape.part(*id).act, Act::Add { .. });
        let mut lanes: BTreeMap<i16, Vec<_>> = BTreeMap::new();
        for row in rows.rows() {
            lanes.entry(Rows::lane(row)).or_default().push(row);
        }
        for (lane, rows) in lanes {
            let long = if together { rows.len() / ROWS * ROWS } else { 0 };
            let (long, short) = rows.split_at(long);
            for rows in long.chunks(ROWS).chain(short.chunks(1)) {
                let text: Arc<str> = shape.single(*id, rows.len());
                let mut call = call!(text, one(lane), one(place.number));
                call.values.extend(Rows::values(rows));
                calls.push(call);
            }
        }
    }
    calls
}
