//! What the SQLite store makes of disks that are full, break, write half, or lose their power. Each test
//! lets one call fail, the first, the second, the third and so on, until a run no longer has that many;
//! a tenth of them, another one each day, unless `CRM_SOAK=1` asks for all.
#![cfg(all(unix, feature = "sqlite-unbundled"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]
#![allow(clippy::print_stdout, reason = "with --nocapture it is told how many calls there were")]

mod faulty_vfs;
mod workload;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crm_storage::{SqliteOptions, SqliteStore, StorageError};
use faulty_vfs::platter::{Keep, Platter};
use faulty_vfs::{Call, Damage, Disk, Event, Fault, Lasts, Mark};
use workload::{Answer, Day, Standing, Step, assert_sound, soak};

const FILE: &str = "shop.crm";

/// A kind of fault, and the shop it meets.
#[derive(Debug, Clone, Copy)]
struct Trial {
    calls: &'static [Call],
    damage: Damage,
    lasts: Lasts,
    /// Whether the store is closed while the disk still fails.
    closes: bool,
    /// KiB of the writer's cache: with few, pages go to the log before their transaction ends.
    cache: u32,
    /// From which step on the calls are counted.
    from: usize,
}

impl Trial {
    fn once(calls: &'static [Call], damage: Damage) -> Self {
        Trial { calls, damage, lasts: Lasts::Once, closes: false, cache: 1024, from: 0 }
    }

    fn until_healed(calls: &'static [Call], damage: Damage) -> Self {
        Trial { lasts: Lasts::UntilHealed, ..Trial::once(calls, damage) }
    }

    fn closing(self) -> Self {
        Trial { closes: true, ..self }
    }

    fn spilling(self) -> Self {
        Trial { cache: 32, ..self }
    }

    fn options(&self) -> SqliteOptions {
        // No other process is there to be waited for.
        SqliteOptions::default().busy_timeout(Duration::from_millis(50)).cache_kib(self.cache).readers(2)
    }
}

/// A store, and what its callers were told.
struct Shop<'a> {
    day: &'a Day,
    path: PathBuf,
    disk: &'a Disk,
    options: SqliteOptions,
    store: Option<SqliteStore>,
    told: Vec<Standing>,
}

impl<'a> Shop<'a> {
    fn new(day: &'a Day, directory: &Path, disk: &'a Disk, options: SqliteOptions) -> Self {
        let told = vec![Standing::Absent; day.deeds.len()];
        Shop { day, path: directory.join(FILE), disk, options, store: None, told }
    }

    /// Does what of a step is not done yet; gives what failed.
    fn attempt(&mut self, step: &Step) -> Vec<StorageError> {
        match step {
            Step::Call(deeds) => self.call(&[self.open_deeds(deeds)]),
            Step::Together(deeds) => {
                let calls: Vec<_> = self.open_deeds(deeds).into_iter().map(|deed| vec![deed]).collect();
                self.call(&calls)
            }
            Step::Reopen => {
                self.store = None;
                match SqliteStore::open_with(&self.path, &self.options) {
                    Ok(store) => {
                        // What is promised rests on the log. SQLite says that there is one when making it failed.
                        assert!(self.path.with_extension("crm-wal").exists(), "it was opened without a log");
                        self.store = Some(store);
                    }
                    Err(error) => return vec![error],
                }
                Vec::new()
            }
            Step::Rest => {
                std::thread::sleep(Duration::from_millis(350));
                Vec::new()
            }
        }
    }

    fn open_deeds(&self, deeds: &[usize]) -> Vec<usize> {
        deeds.iter().copied().filter(|&deed| self.told[deed] != Standing::Acknowledged).collect()
    }

    /// Calls the store, from a thread for each call if there are several.
    fn call(&mut self, calls: &[Vec<usize>]) -> Vec<StorageError> {
        let Some(store) = &self.store else { unreachable!("the store is open") };
        let (day, disk) = (self.day, self.disk);
        let perform = |deeds: &[usize]| {
            deeds.iter().for_each(|&deed| disk.mark(Mark::Began { deed }));
            let answers = day.perform(store, deeds)?;
            deeds.iter().for_each(|&deed| disk.mark(Mark::Acknowledged { deed }));
            Ok(answers)
        };
        let answers: Vec<Result<Vec<Answer>, StorageError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = calls.iter().map(|deeds| scope.spawn(|| perform(deeds))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut failures = Vec::new();
        for (deeds, answers) in calls.iter().zip(answers) {
            match answers {
                Ok(answers) => self.believe(deeds, &answers),
                Err(error) => {
                    // A caller who did not know before does not know better when nothing is written now.
                    if matches!(error, StorageError::Unknown { .. }) {
                        deeds.iter().for_each(|&deed| self.told[deed] = Standing::Unknown);
                    }
                    failures.push(error);
                }
            }
        }
        failures
    }

    fn believe(&mut self, deeds: &[usize], answers: &[Answer]) {
        assert_eq!(answers.len(), deeds.len());
        for (&deed, answer) in deeds.iter().zip(answers) {
            let repeated = answer.is_repeated(deed) && self.told[deed] == Standing::Unknown;
            assert!(answer.is_first() || repeated, "deed {deed}, {:?}: {answer:?}", self.told[deed]);
            self.told[deed] = Standing::Acknowledged;
        }
    }

    /// Holds a store opened afresh against what was told, then does again what was not acknowledged of
    /// some deeds. Each has happened once then.
    fn recover(&mut self, begun: &[usize], when: &dyn std::fmt::Debug) {
        let failures = self.attempt(&Step::Reopen);
        assert!(failures.is_empty(), "{when:?}: it cannot be opened again: {failures:?}");
        let Some(store) = &self.store else { unreachable!("it was opened") };
        let found = self.day.judge(store, &self.told, when);
        for &deed in begun {
            let answer = self.day.perform(store, &[deed]).unwrap_or_else(|error| panic!("{when:?}: {error:?}"));
            let right = if found.contains(&deed) { answer[0].is_repeated(deed) } else { answer[0].is_first() };
            assert!(right, "{when:?}: deed {deed}, there before: {}, {answer:?}", found.contains(&deed));
            self.told[deed] = Standing::Acknowledged;
        }
        if !begun.is_empty() {
            self.day.judge(store, &self.told, when);
        }
    }

    fn close(&mut self, when: &dyn std::fmt::Debug) {
        self.store = None;
        assert_sound(&self.path, when);
    }

    /// What another process would find that came just now, the one that has the files open having died.
    fn check_crash(&self, step: &Step, when: &dyn std::fmt::Debug) {
        let copy = tempfile::tempdir().unwrap();
        let disk = Disk::watch(copy.path());
        for file in std::fs::read_dir(self.path.parent().unwrap()).unwrap() {
            let file = file.unwrap();
            // The index of the log is memory, and gone with its process.
            if !file.file_name().to_string_lossy().ends_with("-shm") {
                std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
            }
        }
        let mut shop = Shop::new(self.day, copy.path(), &disk, self.options.clone());
        shop.told.clone_from(&self.told);
        let begun = match step {
            Step::Call(deeds) | Step::Together(deeds) => self.open_deeds(deeds),
            Step::Reopen | Step::Rest => Vec::new(),
        };
        shop.recover(&begun, when);
        shop.close(when);
    }
}

/// A failure must be one that says what to do, and must have come from the disk.
fn assert_typed(failures: &[StorageError], when: &dyn std::fmt::Debug) {
    for failure in failures {
        let cause = match failure {
            StorageError::Open { source, .. } | StorageError::Unknown { source } => source.as_ref(),
            StorageError::Backend { source, .. } => Some(source),
            StorageError::Corrupt { .. } | _ => panic!("{when:?}: {failure:?}"),
        };
        // Callers whose work shared a transaction share its error.
        let from_sqlite =
            cause.is_some_and(|cause| cause.is::<rusqlite::Error>() || cause.is::<Arc<rusqlite::Error>>());
        assert!(from_sqlite, "{when:?}: {failure:?}");
    }
}

/// Runs a day on a disk of which the `nth` call fails. Says whether there were that many.
fn run(day: &Day, trial: &Trial, nth: u64) -> bool {
    let when = &(trial, nth);
    let scratch = tempfile::tempdir().unwrap();
    let disk = Disk::watch(scratch.path());
    let mut shop = Shop::new(day, scratch.path(), &disk, trial.options());
    for (at, step) in [Step::Reopen].iter().chain(&day.steps).enumerate() {
        if at == trial.from {
            disk.fail(Fault { calls: trial.calls, nth, damage: trial.damage, lasts: trial.lasts });
        }
        let failures = shop.attempt(step);
        if failures.is_empty() {
            continue;
        }
        assert!(disk.failed() > 0, "{when:?}: it failed on a disk that did not: {failures:?}");
        assert_typed(&failures, when);
        shop.check_crash(step, when);
        if trial.lasts == Lasts::UntilHealed {
            assert_typed(&shop.attempt(step), when);
        }
        if trial.closes {
            shop.store = None;
            disk.heal();
            shop.recover(&[], when);
        }
        // The same store goes on, unless it was never opened.
        disk.heal();
        let failures = shop.attempt(step);
        assert!(failures.is_empty(), "{when:?}: it goes on failing on a sound disk: {failures:?}");
    }
    shop.store = None;
    let hit = disk.failed() > 0;
    disk.heal();
    assert!(shop.told.iter().all(|&told| told == Standing::Acknowledged), "{when:?}");
    shop.recover(&[], when);
    shop.close(when);
    hit
}

/// Every how many calls one fails, and which is the first: each day another tenth, or the one that
/// `CRM_FAULTS_FROM` names, as a run that failed has printed it.
fn stride(of: u64) -> (u64, u64) {
    if soak() {
        return (1, 1);
    }
    if let Some(first) = std::env::var("CRM_FAULTS_FROM").ok().and_then(|first| first.parse::<u64>().ok()) {
        return (of, first.clamp(1, of));
    }
    let days = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    (of, 1 + days % of)
}

/// Lets one call after the other fail, until there are no more; in several threads if most of a run is rest.
fn each_call(day: &Day, trial: Trial, threads: usize, of: u64) -> u64 {
    let (step, first) = stride(of);
    let (next, ended) = (AtomicU64::new(first), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let work = || {
            while !ended.load(Ordering::Relaxed) {
                let nth = next.fetch_add(step, Ordering::Relaxed);
                if !run(day, &trial, nth) {
                    ended.store(true, Ordering::Relaxed);
                }
            }
        };
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let calls = next.into_inner() / step;
    println!("{trial:?}: about {} calls of which every {step}. failed, from CRM_FAULTS_FROM={first}", calls * step);
    calls * step
}

const CUSTOMERS: u64 = 120;

fn check(trial: Trial, calls_min: u64) {
    // Three times as many calls where little is cached.
    let of = if trial.cache < 100 { 30 } else { 10 };
    let calls = each_call(&Day::new(CUSTOMERS), trial, 1, of);
    assert!(calls >= calls_min, "{trial:?}: only {calls} calls");
}

/// A few calls only, so that each is tried every time.
fn check_each(trial: Trial, calls_min: u64) {
    let calls = each_call(&Day::new(CUSTOMERS), trial, 1, 1);
    assert!(calls >= calls_min, "{trial:?}: only {calls} calls");
}

#[test]
fn a_write_that_finds_no_space_is_all_or_nothing() {
    check(Trial::once(&[Call::Write], Damage::Full), 300);
}

#[test]
fn a_write_that_fails_is_all_or_nothing() {
    check(Trial::once(&[Call::Write], Damage::Broken), 300);
}

#[test]
fn half_a_write_is_all_or_nothing() {
    check(Trial::once(&[Call::Write], Damage::Short), 300);
}

#[test]
fn a_write_that_fails_before_its_transaction_ends_is_all_or_nothing() {
    check(Trial::once(&[Call::Write], Damage::Short).spilling(), 800);
}

#[test]
fn a_sync_that_fails_is_all_or_nothing() {
    check_each(Trial::once(&[Call::Sync], Damage::Broken), 15);
}

#[test]
fn a_file_that_cannot_be_cut_is_all_or_nothing() {
    check_each(Trial::once(&[Call::Truncate], Damage::Broken), 2);
}

#[test]
fn a_file_that_cannot_be_opened_made_or_removed_is_all_or_nothing() {
    check_each(Trial::once(&[Call::Open, Call::Delete, Call::Share], Damage::Broken), 10);
}

#[test]
fn a_read_that_fails_is_all_or_nothing() {
    check(Trial::once(&[Call::Read], Damage::Broken), 50);
}

#[test]
fn a_read_that_fails_where_little_is_cached_is_all_or_nothing() {
    check(Trial::once(&[Call::Read], Damage::Broken).spilling(), 300);
}

#[test]
fn a_full_disk_is_all_or_nothing_until_there_is_space() {
    check(Trial::until_healed(&[Call::Write, Call::Share], Damage::Full), 300);
}

#[test]
fn a_full_disk_is_all_or_nothing_when_the_store_is_closed_on_it() {
    check(Trial::until_healed(&[Call::Write, Call::Share], Damage::Short).closing(), 300);
}

#[test]
fn a_disk_that_dies_is_all_or_nothing() {
    let all = &[Call::Write, Call::Truncate, Call::Sync, Call::Delete, Call::Open, Call::Share];
    check(Trial::until_healed(all, Damage::Broken).closing(), 300);
}

#[test]
fn a_log_that_cannot_be_copied_back_while_the_store_rests_is_all_or_nothing() {
    let all = &[Call::Write, Call::Truncate, Call::Sync, Call::Read];
    let day = Day::with_rests();
    let first_rest = 1 + day.steps.iter().position(|step| matches!(step, Step::Rest)).unwrap();
    for trial in [Trial::once(all, Damage::Short), Trial::until_healed(all, Damage::Broken).closing()] {
        let calls = each_call(&day, Trial { from: first_rest, ..trial }, 16, 5);
        assert!(calls >= 20, "{trial:?}: only {calls} calls");
    }
}

/// Runs a day and gives what happened to the disk. The `nth` sync fails, if one is to.
fn recorded(day: &Day, failing_sync: Option<u64>) -> Vec<Event> {
    let scratch = tempfile::tempdir().unwrap();
    let disk = Disk::watch(scratch.path());
    disk.record();
    if let Some(nth) = failing_sync {
        disk.fail(Fault { calls: &[Call::Sync], nth, damage: Damage::Broken, lasts: Lasts::Once });
    }
    let options = Trial::once(&[], Damage::Full).options();
    let mut shop = Shop::new(day, scratch.path(), &disk, options);
    for step in [Step::Reopen].iter().chain(&day.steps) {
        if !shop.attempt(step).is_empty() {
            assert!(shop.attempt(step).is_empty());
        }
    }
    drop(shop);
    disk.recorded()
}

/// Plays what happened again. Before each event that is chosen, the disk is looked at as it would be found
/// if the power were lost there, with what the callers had been told by then.
fn replay(
    mut platter: Platter,
    mut told: Vec<Standing>,
    events: &[Event],
    chosen: impl Fn(usize, &Event) -> bool,
    mut look: impl FnMut(&Platter, &[Standing], usize),
) {
    for (at, event) in events.iter().enumerate() {
        if chosen(at, event) {
            look(&platter, &told, at);
        }
        platter.happen(event);
        if let Event::Marked(mark) = event {
            match mark {
                Mark::Began { deed } => told[*deed] = Standing::Unknown,
                Mark::Acknowledged { deed } => told[*deed] = Standing::Acknowledged,
            }
        }
    }
}

/// Cuts the power before each event that is chosen and opens what is left, in each of several ways.
fn cut_power(
    day: &Day,
    events: &[Event],
    chosen: impl Fn(usize, &Event) -> bool,
    keeps: impl Fn(u64) -> Vec<Keep>,
) -> u64 {
    let mut cuts = 0;
    let told = vec![Standing::Absent; day.deeds.len()];
    replay(Platter::default(), told, events, chosen, |platter, told, at| {
        for keep in keeps(at as u64) {
            check_image(day, platter, keep, told, &(at, event_name(&events[at]), keep));
            cuts += 1;
        }
    });
    cuts
}

fn event_name(event: &Event) -> String {
    let whole = format!("{event:?}");
    whole.split("bytes").next().unwrap_or_default().to_owned()
}

fn check_image(day: &Day, platter: &Platter, keep: Keep, told: &[Standing], when: &dyn std::fmt::Debug) {
    let scratch = tempfile::tempdir().unwrap();
    platter.image(keep, scratch.path());
    let disk = Disk::watch(scratch.path());
    let mut shop = Shop::new(day, scratch.path(), &disk, Trial::once(&[], Damage::Full).options());
    shop.told = told.to_vec();
    let begun: BTreeSet<usize> = (0..told.len()).filter(|&deed| told[deed] == Standing::Unknown).collect();
    shop.recover(&Vec::from_iter(begun), when);
    shop.close(when);
}

fn is_sync(event: &Event) -> bool {
    matches!(event, Event::Synced { .. } | Event::DirectorySynced | Event::Unlinked { .. } | Event::Truncated { .. })
}

/// Nothing of what was not synced, all of it, and what chance leaves.
fn ways(at: u64) -> Vec<Keep> {
    let seeds = if soak() { 6 } else { 1 };
    let by_chance = (0..seeds).map(|seed| Keep::Some(at * 7 + seed));
    [Keep::Nothing, Keep::Everything].into_iter().chain(by_chance).collect()
}

#[test]
fn the_loss_of_power_at_any_moment_is_all_or_nothing() {
    let day = Day::new(60);
    let events = recorded(&day, None);
    let (step, first) = stride(10);
    let chosen = |at: usize, event: &Event| is_sync(event) || at as u64 % step == first % step;
    let cuts = cut_power(&day, &events, chosen, ways);
    println!("{} events, {cuts} cuts", events.len());
    assert!(cuts > 100, "only {cuts} cuts");
}

#[test]
fn the_loss_of_power_while_the_log_is_copied_back_is_all_or_nothing() {
    let day = Day::with_rests();
    let events = recorded(&day, None);
    let (step, first) = stride(5);
    let chosen = |at: usize, event: &Event| is_sync(event) || at as u64 % step == first % step;
    let cuts = cut_power(&day, &events, chosen, ways);
    println!("{} events, {cuts} cuts", events.len());
    assert!(cuts > 50, "only {cuts} cuts");
}

#[test]
fn the_loss_of_power_while_a_store_recovers_from_one_is_all_or_nothing() {
    let day = Day::new(20);
    let events = recorded(&day, None);
    let (step, first) = stride(12);
    let mut cuts = 0;
    let told = vec![Standing::Absent; day.deeds.len()];
    let chosen = |at: usize, _: &Event| at as u64 % step == first % step;
    replay(Platter::default(), told, &events, chosen, |platter, told, at| {
        let scratch = tempfile::tempdir().unwrap();
        platter.image(Keep::Some(at as u64), scratch.path());
        let found = Platter::of(scratch.path());
        let disk = Disk::watch(scratch.path());
        disk.record();
        let mut shop = Shop::new(&day, scratch.path(), &disk, Trial::once(&[], Damage::Full).options());
        let failures = shop.attempt(&Step::Reopen);
        assert!(failures.is_empty(), "{at}: {failures:?}");
        drop(shop);
        let recovery = disk.recorded();
        replay(
            found,
            told.to_vec(),
            &recovery,
            |_, event| is_sync(event),
            |platter, told, then| {
                let keep = Keep::Some((at + then) as u64);
                check_image(&day, platter, keep, told, &(at, then, event_name(&recovery[then]), keep));
                cuts += 1;
            },
        );
    });
    println!("{cuts} cuts");
    assert!(cuts > 50, "only {cuts} cuts");
}

/// Of the file that is being made any page may be missing, the first one too.
#[test]
fn the_loss_of_power_while_a_store_is_made_leaves_one_that_can_be_made() {
    let day = Day::with_rests();
    let mut events = recorded(&day, None);
    let made = events.iter().position(|event| matches!(event, Event::Marked(_))).unwrap();
    events.truncate(made);
    let cuts = cut_power(&day, &events, |_, _| true, |at| (0..8).map(|seed| Keep::Some(at * 8 + seed)).collect());
    println!("{cuts} cuts");
    assert!(cuts > 200, "only {cuts} cuts");
}

/// Linux forgets what it could not write: the next sync succeeds, and the bytes are gone.
#[test]
fn the_loss_of_power_after_a_sync_that_failed_is_all_or_nothing() {
    let day = Day::new(10);
    let (step, first) = stride(6);
    let mut cuts = 0;
    for nth in (first..).step_by(step as usize) {
        let events = recorded(&day, Some(nth));
        let Some(failed) = events.iter().position(|event| matches!(event, Event::SyncFailed { .. })) else { break };
        let chosen = |at: usize, event: &Event| at > failed && is_sync(event);
        cuts += cut_power(&day, &events, chosen, |at| vec![Keep::Nothing, Keep::Some(at)]);
    }
    println!("{cuts} cuts");
    assert!(cuts > 50, "only {cuts} cuts");
}

const LIMITED: &str = "CRM_STORAGE_LIMITED_FILE";

/// Not a test of its own: the process whose files may not grow.
#[test]
fn a_day_under_a_limit() {
    let Ok(directory) = std::env::var(LIMITED) else { return };
    let day = Day::new(CUSTOMERS);
    let scratch = tempfile::tempdir().unwrap();
    // Elsewhere, so that the files of the store are those of the system and nothing else.
    let disk = Disk::watch(scratch.path());
    let mut shop = Shop::new(&day, Path::new(&directory), &disk, Trial::once(&[], Damage::Full).options());
    for step in [Step::Reopen].iter().chain(&day.steps) {
        let failures = shop.attempt(step);
        assert_typed(&failures, &step);
        if !failures.is_empty() {
            // It goes on failing, and says so each time.
            assert_typed(&shop.attempt(step), &step);
            break;
        }
    }
    for (deed, told) in shop.told.iter().enumerate() {
        println!("deed {deed} {told:?}.");
    }
    println!("that was all.");
}

#[test]
fn a_file_system_that_lets_no_file_grow_is_all_or_nothing() {
    let day = Day::new(CUSTOMERS);
    let mut stopped = 0;
    for kib in [24_u32, 64, 100, 140, 180, 240, 300, 400, 500, 700] {
        let scratch = tempfile::tempdir().unwrap();
        // The shell sets the limit, and has its signal ignored, so that writes fail instead.
        let output = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &(kib * 2).to_string()])
            .arg(std::env::current_exe().unwrap())
            .args(["a_day_under_a_limit", "--exact", "--nocapture", "--test-threads=1"])
            .env(LIMITED, scratch.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("that was all."), "{kib} KiB: {text}");
        let told: Vec<_> = (0..day.deeds.len()).map(|deed| standing(&text, deed)).collect();
        stopped += u32::from(told.contains(&Standing::Acknowledged) && told.contains(&Standing::Absent));
        let disk = Disk::watch(scratch.path());
        let mut shop = Shop::new(&day, scratch.path(), &disk, SqliteOptions::default());
        shop.told = told;
        shop.recover(&[], &kib);
        shop.close(&kib);
    }
    assert!(stopped > 3, "only {stopped} of the limits stopped a day in its midst");
}

fn standing(text: &str, deed: usize) -> Standing {
    let all = [Standing::Absent, Standing::Acknowledged, Standing::Unknown];
    let told = all.into_iter().find(|told| text.contains(&format!("deed {deed} {told:?}.")));
    told.unwrap_or_else(|| panic!("nothing about deed {deed}: {text}"))
}
