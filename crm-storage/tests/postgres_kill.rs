//! A process that commits from several threads is killed at random moments, and so is the server under it: its
//! postmaster with all of its children, or one of them alone. What was acknowledged is there afterwards, once; of
//! everything else, each commit is whole or absent; and the feed of each lane has no gap.
//!
//! 40 processes and 12 servers, or 400 and 120 with `CRM_SOAK=1`.
#![cfg(all(unix, feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]
#![allow(clippy::print_stdout, reason = "a run says its seed, and how much was acknowledged")]

mod postgres_server;
#[allow(dead_code, reason = "a whole day at the shop is for other tests")]
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crm_core::{CustomerId, EventId, TenantId};
use crm_storage::conformance::block_on;
use crm_storage::{
    ClaimOwner, Commit, Entries, Entry, Lane, PostgresOptions, PostgresStore, Selection, StorageError, Store, Version,
};
use workload::{Order, commit, customer, due, event, event_row, lease, soak};

const URL: &str = "CRM_STORAGE_KILL_TEST_URL";
const ROUND: &str = "CRM_STORAGE_KILL_TEST_ROUND";
/// As many connections commit at one time, in few lanes, so that they meet.
const THREADS: u64 = 4;
const LANES: u16 = 8;

fn options() -> PostgresOptions {
    PostgresOptions::default().lanes(LANES).connections(THREADS as usize)
}

/// Who orders in one thread of one round, again and again.
fn regular(round: u64, thread: u64) -> u64 {
    1_000_000_000_000 + round * THREADS + thread
}

/// The order that comes at a place, from 0, in a thread of a round: it makes a customer and changes another.
fn order(round: u64, thread: u64, place: u64) -> Order {
    let number = (round * THREADS + thread) * 1_000_000 + place;
    Order { number, makes: number..number + 1, changes: vec![(regular(round, thread), place)] }
}

/// Where the call ends that begins at a place.
fn end_of_call(place: u64) -> u64 {
    place + 1 + place % 3
}

/// Not a test of its own: what the killed process does. It ends when the server does.
#[test]
fn commit_until_killed() {
    let (Ok(url), Ok(round)) = (std::env::var(URL), std::env::var(ROUND)) else { return };
    let store = block_on(PostgresStore::connect(&url, &options())).unwrap();
    let round = round.parse().unwrap();
    let run = |thread| {
        let mut place = 0;
        loop {
            let end = end_of_call(place);
            let commits: Vec<Commit> = (place..end).map(|place| commit(&order(round, thread, place))).collect();
            match block_on(store.commit(&TenantId::default(), commits)) {
                Ok(answers) => assert!(answers.iter().all(Result::is_ok), "{answers:?}"),
                // The server is gone. Nothing that it said before is taken back.
                Err(StorageError::Unknown { .. } | StorageError::Backend { .. }) => return,
                Err(error) => panic!("{error:?}"),
            }
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

/// A process that commits, and a thread that hears what it says.
struct Worker {
    child: Child,
    reader: JoinHandle<[u64; THREADS as usize]>,
    lines: Receiver<()>,
}

impl Worker {
    fn start(url: &str, round: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["commit_until_killed", "--exact", "--nocapture", "--test-threads=1"])
            .env(URL, url)
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
        Worker { child, reader, lines }
    }

    /// Waits until it has worked, and then a moment more.
    fn wait(&self, chance: &mut Chance) {
        for _ in 0..=chance.below(12) {
            self.lines.recv_timeout(Duration::from_secs(60)).expect("the process works");
        }
        std::thread::sleep(Duration::from_micros(chance.below(8_000)));
    }

    /// Kills it; gives how far each of its threads was acknowledged.
    fn kill(mut self, round: u64) -> [u64; THREADS as usize] {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "round {round}: it ended by itself: {status:?}");
        self.reader.join().unwrap()
    }

    /// Waits for its end, which comes since the server is gone.
    fn end(mut self, round: u64) -> [u64; THREADS as usize] {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "round {round}: {status:?}");
        self.reader.join().unwrap()
    }
}

fn acknowledgement(line: &str) -> Option<(usize, u64)> {
    let (_, numbers) = line.trim_end().rsplit_once("acknowledged ")?;
    let (thread, place) = numbers.split_once(' ')?;
    Some((thread.parse().ok()?, place.parse().ok()?))
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged_and_locks_nobody_out() {
    let Some(server) = Mortal::start() else { return };
    let rounds = if soak() { 400 } else { 40 };
    let mut chance = Chance::new();
    let mut done = Vec::new();
    for number in 0..rounds {
        let worker = Worker::start(&server.url(), number);
        // One in twenty is killed as it comes, when it may still be opening the schema.
        if chance.below(20) == 0 {
            std::thread::sleep(Duration::from_micros(chance.below(30_000)));
        } else {
            worker.wait(&mut chance);
        }
        done.push(Round { number, acknowledged: worker.kill(number), found: [0; THREADS as usize] });
        settle(&server.url(), &mut done);
    }
    conclude(&server.url(), &done);
}

#[test]
fn a_killed_server_loses_nothing_that_was_acknowledged() {
    let Some(mut server) = Mortal::start() else { return };
    let rounds = if soak() { 120 } else { 12 };
    let mut chance = Chance::new();
    let mut done = Vec::new();
    for number in 0..rounds {
        let worker = Worker::start(&server.url(), number);
        worker.wait(&mut chance);
        match number % 3 {
            // All at once, as when a machine goes down.
            0 | 1 => server.kill_all(),
            // One that serves a connection: the postmaster ends the others and recovers by itself.
            _ => server.kill_a_backend(),
        }
        done.push(Round { number, acknowledged: worker.end(number), found: [0; THREADS as usize] });
        if number % 3 != 2 {
            server.restart();
        }
        server.wait();
        settle(&server.url(), &mut done);
    }
    assert!(server.recoveries() >= rounds as usize, "a server that was killed recovers: {}", server.recoveries());
    conclude(&server.url(), &done);
}

/// Opens the store after a kill and checks the last round.
fn settle(url: &str, done: &mut [Round]) {
    // The server carries on with what a process sent before it was killed.
    postgres_server::block_on(async {
        let client = postgres_server::connect(url).await;
        let busy = "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'crm')";
        let deadline = Instant::now() + Duration::from_secs(120);
        while client.query_one(busy, &[]).await.unwrap().get(0) {
            assert!(Instant::now() < deadline, "a connection that nobody holds any more ends");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let store = block_on(PostgresStore::connect(url, &options())).unwrap();
    if let Some(round) = done.last_mut() {
        for thread in 0..THREADS {
            round.found[thread as usize] = block_on(check(&store, round, thread));
        }
    }
}

/// Checks every round again, that nothing is there beside them, and that there was work.
fn conclude(url: &str, done: &[Round]) {
    let store = block_on(PostgresStore::connect(url, &options())).unwrap();
    block_on(check_all(&store, done));
    let rounds = done.len() as u64;
    let worked = done.iter().filter(|round| round.acknowledged.iter().sum::<u64>() > 0).count() as u64;
    let total: u64 = done.iter().flat_map(|round| round.acknowledged).sum();
    let unasked = done.iter().flat_map(|round| round.found).sum::<u64>() - total;
    println!("{worked} of {rounds} rounds had acknowledged work, {total} orders; {unasked} more were found whole");
    assert!(worked * 10 >= rounds * 8, "only {worked} of {rounds} rounds had acknowledged work");
    assert!(total > rounds * 4, "only {total} orders were acknowledged");
}

/// Checks all that a thread of a round wrote; gives how many orders are there.
async fn check(store: &PostgresStore, round: &Round, thread: u64) -> u64 {
    let tenant = TenantId::default();
    let acknowledged = round.acknowledged[thread as usize];
    let when = (round, thread);
    let who = regular(round.number, thread);
    let there = store.load(&tenant, &[customer(who)]).await.unwrap().rows.remove(0);
    let found = there.as_ref().map_or(0, |row| row.version.0);
    let most = end_of_call(acknowledged);
    // A call is one statement or one transaction: all of its commits are there, or none.
    assert!([acknowledged, most].contains(&found), "{when:?}: {found} orders are there");
    let ids: Vec<EventId> = (1..=found).flat_map(|version| [0, 1].map(|place| event(who, version, place))).collect();
    let history = store.history(&tenant, customer(who), Entries::Events, None, usize::MAX).await.unwrap().rows;
    let expected: Vec<Entry> = ids.into_iter().map(|id| Entry::Event(event_row(id))).collect();
    assert_eq!(history, expected, "{when:?}");
    let state = (found > 0).then(|| workload::write(who, found - 1).state).flatten();
    assert_eq!(there.map(|row| row.state), state, "{when:?}");
    for place in 0..most {
        let whole = place < found;
        let written = commit(&order(round.number, thread, place));
        let made = &written.writes[0];
        let row = store.load(&tenant, &[made.customer]).await.unwrap().rows.remove(0);
        let version = row.as_ref().map(|row| row.version);
        assert_eq!(version, whole.then_some(Version(1)), "{when:?}: order {place}");
        assert_eq!(row.map(|row| row.state), made.state.clone().filter(|_| whole), "{when:?}: order {place}");
        let keys: Vec<_> = written.claims.iter().map(|claim| claim.key.clone()).collect();
        let owners: Vec<_> = written
            .claims
            .iter()
            .map(|claim| whole.then_some(ClaimOwner { customer: claim.customer, event: claim.event }))
            .collect();
        assert_eq!(store.resolve(&tenant, &keys).await.unwrap(), owners, "{when:?}: order {place}");
    }
    found
}

async fn check_all(store: &PostgresStore, rounds: &[Round]) {
    let (mut customers, mut told, mut alarms) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    // Of each customer, the events in the order of their versions.
    let mut events: BTreeMap<CustomerId, Vec<EventId>> = BTreeMap::new();
    for round in rounds {
        for thread in 0..THREADS {
            let found = round.found[thread as usize];
            for place in 0..found {
                let written = commit(&order(round.number, thread, place));
                told.extend(written.outbox.iter().map(|entry| entry.id));
                for write in &written.writes {
                    customers.insert(write.customer);
                    events.entry(write.customer).or_default().extend(write.events.iter().map(|event| event.id));
                }
                // The alarm of the regular customer is the last one that was set.
                let kept = written.writes.iter().take(if place + 1 == found { 2 } else { 1 });
                alarms.extend(kept.filter_map(|write| Some((write.alarm?.to?, write.customer))));
            }
        }
    }
    let ids = store.select(&TenantId::default(), &Selection::EVERYBODY, None, usize::MAX).await.unwrap();
    assert!(ids.iter().eq(&customers), "{} customers and not {}", ids.len(), customers.len());
    let waiting = lease(store).await.unwrap().into_iter().map(|leased| leased.entry.id).collect::<BTreeSet<_>>();
    assert!(waiting == told, "{} outbox entries and not {}", waiting.len(), told.len());
    let set = due(store).await.unwrap().into_iter().map(|due| (due.alarm, due.customer)).collect::<BTreeSet<_>>();
    assert!(set == alarms, "{} alarms and not {}", set.len(), alarms.len());
    // The feed has each event once, its positions have no gap, and each lane ends where its head says.
    let mut fed: BTreeMap<CustomerId, Vec<EventId>> = BTreeMap::new();
    for lane in (0..LANES).map(Lane) {
        let rows = store.feed(lane, 0, usize::MAX).await.unwrap();
        assert!(rows.iter().map(|row| row.position).eq(1..=rows.len() as u64), "{lane:?} has a gap");
        for row in rows {
            if let Entry::Event(event) = row.entry {
                fed.entry(row.customer).or_default().push(event.id);
            }
        }
    }
    assert!(fed == events, "the feed has other events, or in another order");
}

/// A server that is killed and started again on its own files.
struct Mortal {
    programs: PathBuf,
    folder: PathBuf,
    postmaster: Option<Child>,
    /// Ends the server if this process ends before it does: then it reads the end of its input.
    _watch: Child,
}

impl Mortal {
    /// None if there is no PostgreSQL here. Another server is not there to be killed.
    fn start() -> Option<Self> {
        let programs = postgres_server::programs()?;
        let folder = postgres_server::fresh_folder();
        postgres_server::make_files(&programs, &folder);
        let until_we_end = "read end; test -f \"$1/data/postmaster.pid\" && kill -9 $(head -n 1 \"$1/data/postmaster.pid\"); \
            rm -rf \"$1\"";
        let mut watch = Command::new("sh");
        watch.args(["-c", until_we_end, "sh"]).arg(&folder).stdin(Stdio::piped());
        let watch = watch.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Mortal { programs, folder, postmaster: None, _watch: watch };
        server.restart();
        server.wait();
        Some(server)
    }

    fn url(&self) -> String {
        format!("postgresql://postgres@/postgres?host={}", self.folder.display())
    }

    /// Starts the postmaster in a process group of its own.
    fn restart(&mut self) {
        use std::os::unix::process::CommandExt;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).unwrap();
        let (program, arguments) = postgres_server::as_server(&self.programs.join("postgres"));
        let postmaster = Command::new(program)
            .args(arguments)
            .arg("-D")
            .arg(self.folder.join("data"))
            .arg("-k")
            .arg(&self.folder)
            // A server that was killed leaves its lock and its sockets, and memory that nobody else frees.
            .args(["-c", "listen_addresses=", "-c", "fsync=on", "-c", "restart_after_crash=on"])
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.postmaster = Some(postmaster);
    }

    /// Waits until it answers.
    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !postgres_server::answers(&self.programs, &self.folder) {
            assert!(Instant::now() < deadline, "{}", std::fs::read_to_string(self.folder.join("log")).unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the postmaster, and each of its children, which are in groups of their own.
    fn kill_all(&mut self) {
        let mut postmaster = self.postmaster.take().unwrap();
        let children = children_of(postmaster.id());
        postmaster.kill().unwrap();
        signal_9(&children);
        let status = postmaster.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{status:?}");
        let deadline = Instant::now() + Duration::from_secs(120);
        while children.iter().any(|child| Path::new(&format!("/proc/{child}/exe")).exists()) {
            assert!(Instant::now() < deadline, "they are gone");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills a process that serves a connection of the store.
    fn kill_a_backend(&self) {
        let postmaster = self.postmaster.as_ref().unwrap().id();
        let serves = |child: &u32| {
            let title = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&title).contains("postgres postgres [local]")
        };
        let backends: Vec<u32> = children_of(postmaster).into_iter().filter(serves).collect();
        assert!(!backends.is_empty(), "somebody is connected");
        signal_9(&backends[..1]);
    }

    /// How often it came up after it had not been shut down.
    fn recoveries(&self) -> usize {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap();
        log.matches("automatic recovery in progress").count()
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            signal_9(&children_of(postmaster.id()));
            let _ = postmaster.kill();
            let _ = postmaster.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-o", "pid=", "--ppid", &parent.to_string()]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn signal_9(processes: &[u32]) {
    if !processes.is_empty() {
        let _ended = Command::new("kill").arg("-9").args(processes.iter().map(u32::to_string)).output().unwrap();
    }
}

/// SplitMix64.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = u64::from(std::process::id());
        println!("the seed is {seed}");
        Chance(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
