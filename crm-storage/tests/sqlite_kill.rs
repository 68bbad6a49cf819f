//! A process that commits from several threads is killed at random moments. What it acknowledged is there
//! afterwards, once; of everything else, each commit is whole or absent. 200 times, or 1,000 times with
//! `CRM_SOAK=1`.
#![cfg(all(unix, feature = "sqlite-unbundled"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

#[allow(dead_code, reason = "a whole day at the shop is for other tests")]
mod workload;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use crm_core::{CustomerId, EventId, TenantId};
use crm_storage::conformance::block_on;
use crm_storage::{ChangeRow, Claim, ClaimOwner, Entries, Entry, EventRow, SqliteStore, StorageError, Store, Version};
use workload::{Order, assert_sound, commit, customer, due, event, event_row, everybody, lease, soak};

const FILE: &str = "CRM_STORAGE_KILL_TEST_FILE";
const ROUND: &str = "CRM_STORAGE_KILL_TEST_ROUND";
/// As many callers wait for one sync.
const THREADS: u64 = 4;

/// Who orders in one thread of one round, again and again.
fn regular(round: u64, thread: u64) -> u64 {
    1_000_000_000_000 + round * THREADS + thread
}

/// Who orders once: the customer of one order.
fn newcomer(round: u64, thread: u64, place: u64) -> u64 {
    (round * THREADS + thread) * 1_000_000 + place
}

/// The order that comes at a place, from 0, in a thread of a round.
fn order(round: u64, thread: u64, place: u64) -> Order {
    let number = newcomer(round, thread, place);
    Order { number, makes: number..number + 1, changes: vec![(regular(round, thread), place)] }
}

/// Where the call ends that begins at a place.
fn end_of_call(place: u64) -> u64 {
    place + 1 + place % 3
}

/// Not a test of its own: what the killed process does.
#[test]
fn commit_until_killed() {
    let (Ok(file), Ok(round)) = (std::env::var(FILE), std::env::var(ROUND)) else { return };
    let store = SqliteStore::open(file).unwrap();
    let round = round.parse().unwrap();
    let run = |thread| {
        let mut place = 0;
        loop {
            let end = end_of_call(place);
            let commits = (place..end).map(|place| commit(&order(round, thread, place))).collect();
            let answers = block_on(store.commit(&TenantId::default(), commits)).unwrap();
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            place = end;
            writeln!(std::io::stdout(), "acknowledged {thread} {place}").unwrap();
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || run(thread));
        }
    });
}

/// Up to which place each thread of a round was acknowledged, and what was found.
#[derive(Debug)]
struct Round {
    number: u64,
    acknowledged: [u64; THREADS as usize],
    found: [u64; THREADS as usize],
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let rounds = if soak() { 1000 } else { 200 };
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("shop.crm");
    let mut chance = Chance(std::process::id().into());
    println!("the seed is {}", chance.0);
    let mut done: Vec<Round> = Vec::new();
    for number in 0..rounds {
        let acknowledged = run_and_kill(&path, number, &mut chance);
        let mut round = Round { number, acknowledged, found: [0; THREADS as usize] };
        let store = SqliteStore::open(&path).unwrap();
        for thread in 0..THREADS {
            round.found[thread as usize] = block_on(check(&store, &round, thread));
        }
        done.push(round);
        if (number + 1) % (rounds / 2) == 0 {
            block_on(check_all(&store, &done));
            drop(store);
            assert_sound(&path, &number);
        }
    }
    let worked = done.iter().filter(|round| round.acknowledged.iter().sum::<u64>() > 0).count() as u64;
    let total: u64 = done.iter().flat_map(|round| round.acknowledged).sum();
    let unasked: u64 = done.iter().flat_map(|round| round.found).sum::<u64>() - total;
    println!("{worked} of {rounds} rounds had acknowledged work, {total} orders; {unasked} more were found whole");
    assert!(worked * 10 >= rounds * 9, "only {worked} rounds had acknowledged work");
    assert!(total > rounds * 4, "only {total} orders were acknowledged");
}

/// Runs the process until a random moment; gives how far each of its threads was acknowledged. One in
/// twenty is killed as it comes, when it may still be opening the file; all others when they have worked.
fn run_and_kill(path: &Path, round: u64, chance: &mut Chance) -> [u64; THREADS as usize] {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["commit_until_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(FILE, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (told, lines) = channel();
    let reader = std::thread::spawn(move || {
        let mut acknowledged = [0; THREADS as usize];
        let mut line = String::new();
        // A line without its end was never said.
        while output.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            if let Some((thread, place)) = acknowledgement(&line) {
                acknowledged[thread] = place;
                let _ = told.send(());
            }
            line.clear();
        }
        acknowledged
    });
    if chance.below(20) == 0 {
        std::thread::sleep(Duration::from_micros(chance.below(30_000)));
    } else {
        for _ in 0..=chance.below(12) {
            lines.recv_timeout(Duration::from_secs(60)).expect("the process works");
        }
        std::thread::sleep(Duration::from_micros(chance.below(4_000)));
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "round {round}: it ended by itself: {status:?}");
    reader.join().unwrap()
}

fn acknowledgement(line: &str) -> Option<(usize, u64)> {
    let (_, numbers) = line.trim_end().rsplit_once("acknowledged ")?;
    let (thread, place) = numbers.split_once(' ')?;
    Some((thread.parse().ok()?, place.parse().ok()?))
}

/// Checks all that a thread of a round wrote; gives how many orders are there.
async fn check(store: &SqliteStore, round: &Round, thread: u64) -> u64 {
    let tenant = TenantId::default();
    let acknowledged = round.acknowledged[thread as usize];
    let when = (round, thread);
    let who = regular(round.number, thread);
    let there = store.load(&tenant, &[customer(who)]).await.unwrap().rows.remove(0);
    let found = there.as_ref().map_or(0, |row| row.version.0);
    let most = end_of_call(acknowledged);
    assert!((acknowledged..=most).contains(&found), "{when:?}: {found} orders are there");

    // The regular customer has each order once, in order, and stands where the last one left them.
    let ids: Vec<EventId> = (1..=found).flat_map(|version| [0, 1].map(|place| event(who, version, place))).collect();
    assert_eq!(events(store, customer(who)).await.unwrap(), Vec::from_iter(ids.into_iter().map(event_row)), "{when:?}");
    assert_eq!(changes(store, customer(who)).await.unwrap().len() as u64, found, "{when:?}");
    let state = (found > 0).then(|| workload::write(who, found - 1).state).flatten();
    assert_eq!(there.map(|row| row.state), state, "{when:?}");

    // The customers who came once, and all keys, up to where a call was under way.
    for place in 0..most {
        let order = order(round.number, thread, place);
        let whole = place < found;
        let written = commit(&order);
        let mut expected = written.writes.into_iter().next().unwrap();
        let row = store.load(&tenant, &[expected.customer]).await.unwrap().rows.remove(0);
        assert_eq!(row.is_some(), whole, "{when:?}: order {place}");
        if whole {
            let row = row.unwrap();
            assert_eq!((row.version, Some(row.state)), (Version(1), expected.state), "{when:?}: order {place}");
        } else {
            expected.events.clear();
            expected.changes.clear();
        }
        assert_eq!(events(store, expected.customer).await.unwrap(), expected.events, "{when:?}: order {place}");
        assert_eq!(changes(store, expected.customer).await.unwrap(), expected.changes, "{when:?}: order {place}");
        let keys: Vec<_> = written.claims.iter().map(|claim| claim.key.clone()).collect();
        let owner = |claim: Claim| whole.then_some(ClaimOwner { customer: claim.customer, event: claim.event });
        let owners: Vec<_> = written.claims.into_iter().map(owner).collect();
        assert_eq!(store.resolve(&tenant, &keys).await.unwrap(), owners, "{when:?}: order {place}");
    }
    found
}

/// Checks every round again, and that nothing is there beside them.
async fn check_all(store: &SqliteStore, rounds: &[Round]) {
    let (mut customers, mut entries, mut alarms) = (Vec::new(), Vec::new(), Vec::new());
    for round in rounds {
        for thread in 0..THREADS {
            let found = check(store, round, thread).await;
            assert_eq!(found, round.found[thread as usize], "{round:?}: it was settled before");
            for place in 0..found {
                let written = commit(&order(round.number, thread, place));
                customers.push(written.writes[0].customer);
                entries.extend(written.outbox.iter().map(|entry| entry.id));
                // The alarm of the regular customer is the last one that was set.
                let last = place + 1 == found;
                let kept = written.writes.iter().take(if last { 2 } else { 1 });
                alarms.extend(kept.filter_map(|write| Some((write.alarm?.to?, write.customer))));
            }
            customers.extend((found > 0).then(|| customer(regular(round.number, thread))));
        }
    }
    customers.sort();
    entries.sort();
    alarms.sort();
    let there: Vec<_> = everybody(store).await.unwrap().into_iter().map(|row| row.customer).collect();
    assert!(there == customers, "{} customers and not {}", there.len(), customers.len());
    let mut waiting: Vec<_> = lease(store).await.unwrap().into_iter().map(|leased| leased.entry.id).collect();
    waiting.sort();
    assert!(waiting == entries, "{} outbox entries and not {}", waiting.len(), entries.len());
    let mut set: Vec<_> = due(store).await.unwrap().into_iter().map(|due| (due.alarm, due.customer)).collect();
    set.sort();
    assert!(set == alarms, "{} alarms and not {}", set.len(), alarms.len());
}

/// SplitMix64.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

async fn events(store: &dyn Store, customer: CustomerId) -> Result<Vec<EventRow>, StorageError> {
    let page = store.history(&TenantId::default(), customer, Entries::Events, None, usize::MAX).await?;
    let event = |entry| match entry {
        Entry::Event(event) => Some(event),
        Entry::Change(_) => None,
    };
    Ok(page.rows.into_iter().filter_map(event).collect())
}

async fn changes(store: &dyn Store, customer: CustomerId) -> Result<Vec<ChangeRow>, StorageError> {
    let page = store.history(&TenantId::default(), customer, Entries::Changes, None, usize::MAX).await?;
    let change = |entry| match entry {
        Entry::Change(change) => Some(change),
        Entry::Event(_) => None,
    };
    Ok(page.rows.into_iter().filter_map(change).collect())
}
