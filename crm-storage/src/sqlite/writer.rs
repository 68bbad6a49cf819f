//! The one connection that writes. Whatever is waiting when somebody comes round with it goes into one
//! transaction, and each caller is answered after that transaction's commit: so many callers share the
//! cost of one sync, and none ever meets a lock held by another of this process.
//!
//! Who comes round is whoever can. A caller whose thread only waits for the answer (`block_on`) takes the
//! connection if nobody has it, and does what is waiting, for the others too: to hand a commit to another
//! thread and be woken by it takes a good part of what the commit takes. A caller in an async runtime must
//! not be held up by a disk, and one who finds the connection taken would only wait for it: these leave
//! their work to a thread of the store's.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Poll;
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crm_core::TenantId;
use futures_channel::oneshot;
use rusqlite::Connection;

use super::fault::Fault;
pub(super) use super::queue::Access;
use super::queue::{Job, Jobs, Outcome, Queue};
use super::session::Session;
use crate::block_on::only_waits;
use crate::error::StorageError;

/// How long nothing must be written before the log is copied back. It keeps its size, and what comes next
/// writes over it: a sync of a log that grows takes twice the time, since its new length is synced too.
const IDLE: Duration = Duration::from_millis(250);

/// How long nothing must be written before the log is cut to nothing.
const QUIET: Duration = Duration::from_secs(30);

/// How long the lock for writing is waited for before somebody looks for whom to answer meanwhile.
const SLICE: Duration = Duration::from_millis(5);

/// How long the thread looks for more to do before it sleeps.
const LINGER: Duration = Duration::from_micros(50);

/// The way to the connection.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    /// None in a transaction of the shop's.
    own: Option<Own>,
    /// Who works off a queue without a thread of its own, while somebody does.
    waits: Mutex<Option<Thread>>,
}

/// The connection, and the thread that does what nobody else does.
#[derive(Debug)]
struct Own {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, patience: Duration) -> Result<Self, StorageError> {
        let queue = Arc::new(Queue::default());
        let desk = Arc::new(Desk::new(connection, patience));
        let (jobs, file) = (Arc::clone(&queue), Arc::clone(&desk));
        let run = move || file.attend(&jobs);
        let thread = std::thread::Builder::new().name("crm-sqlite".into()).spawn(run).map_err(|error| {
            StorageError::Open { reason: "no thread can be started".into(), source: Some(Box::new(error)) }
        })?;
        Ok(Writer { queue, own: Some(Own { desk, thread: Some(thread) }), waits: Mutex::default() })
    }

    /// A queue without a connection: whoever has the other end works it off.
    pub(super) fn without_thread() -> (Self, Jobs) {
        let queue = Arc::new(Queue::default());
        (Writer { queue: Arc::clone(&queue), own: None, waits: Mutex::default() }, Jobs::of(queue))
    }

    /// Whether work can be done outside of a transaction.
    pub(super) const fn has_thread(&self) -> bool {
        self.own.is_some()
    }

    /// Which thread is woken by what is asked for.
    pub(super) fn wakes(&self, thread: Option<Thread>) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = thread;
    }

    /// Has some work done in a transaction, and waits until it is durable. The work is done again when it
    /// shared a transaction with other work that failed.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        doing: &'static str,
        access: Access,
        work: impl FnMut(&mut Session<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (reply, mut answer) = oneshot::channel();
        if !self.queue.push(Box::new(Asked { doing, access, work, done: None, reply })) {
            return Err(StorageError::Backend { doing, source: "its writer has ended".into() });
        }
        match &self.own {
            Some(own) => {
                if let Some(done) = own.see_to(&self.queue, &mut answer).await {
                    return done;
                }
            }
            None => {
                if let Some(thread) = &*self.waits.lock().unwrap_or_else(PoisonError::into_inner) {
                    thread.unpark();
                }
            }
        }
        answer.await.unwrap_or(Err(StorageError::Unknown { source: None }))
    }
}

impl Drop for Writer {
    /// Waits until what was asked for is done. The file is closed after that.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.own.as_mut().and_then(|own| own.thread.take()) {
            thread.thread().unpark();
            // It does not panic; if it did, nothing could be made better here.
            drop(thread.join());
        }
    }
}

impl Own {
    /// Sees to it that what a caller asked for is done, by this thread or the store's; gives the answer if somebody else
    /// came round meanwhile.
    async fn see_to<T>(&self, queue: &Queue, answer: &mut oneshot::Receiver<T>) -> Option<T> {
        // Dropped in any case, also when the caller goes away while it gives way.
        let mut rest = LeavesTheRest { own: self, queue: Some(queue) };
        if only_waits() {
            // Others on this thread ask first, and share the transaction.
            give_way().await;
            // What waits by now is of others, who give way as well and then see to it, all of it at once.
            if let Ok(Some(done)) = answer.try_recv() {
                rest.queue = None;
                return Some(done);
            }
            if only_waits() {
                self.desk.come_round(queue, || self.wake());
            }
        }
        None
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

/// Leaves to the thread what is still waiting when it is dropped, unless others see to it.
struct LeavesTheRest<'w> {
    own: &'w Own,
    queue: Option<&'w Queue>,
}

impl Drop for LeavesTheRest<'_> {
    fn drop(&mut self) {
        if self.queue.is_some_and(Queue::call) {
            self.own.wake();
        }
    }
}

/// Lets whatever else can go on go on first.
async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct Asked<T, W> {
    doing: &'static str,
    access: Access,
    work: W,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StorageError>>,
}

impl<T, W> Job for Asked<T, W>
where
    T: Send,
    W: FnMut(&mut Session<'_>) -> Result<T, Fault> + Send,
{
    fn access(&self) -> Access {
        self.access
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<(), Fault> {
        self.done = None;
        self.done = Some((self.work)(session)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: &Outcome) {
        let Asked { doing, done, reply, .. } = *self;
        let answer = match outcome {
            Outcome::Committed => done.ok_or(StorageError::Unknown { source: None }),
            Outcome::Failed(fault) => Err(fault.clone().while_doing(doing)),
            Outcome::Uncertain(fault) => Err(fault.clone().while_committing()),
        };
        // A caller who has gone away does not want it.
        drop(reply.send(answer));
    }
}

/// The connection, for one thread at a time.
#[derive(Debug)]
struct Desk {
    kept: Mutex<Kept>,
    patience: Duration,
}

#[derive(Debug)]
struct Kept {
    connection: Connection,
    tenants: HashMap<TenantId, i64>,
    log: Log,
    /// When something was last written, or the log could not be copied back or cut.
    last: Instant,
}

/// What became of the log since something was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Log {
    Written,
    CopiedBack,
    Cut,
}

impl Desk {
    fn new(connection: Connection, patience: Duration) -> Self {
        // What another process left in the log is cut as well.
        let kept = Kept { connection, tenants: HashMap::new(), log: Log::Written, last: Instant::now() };
        Desk { kept: Mutex::new(kept), patience }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_if_free(&self) -> Option<MutexGuard<'_, Kept>> {
        match self.kept.try_lock() {
            Ok(kept) => Some(kept),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Does one group of jobs if nobody has the connection. Tells when there is something in the log again.
    fn come_round(&self, queue: &Queue, there_is_a_log: impl FnOnce()) {
        let Some(mut kept) = self.kept_if_free() else { return };
        let before = kept.log;
        self.work(&mut kept, queue);
        let first = before != Log::Written && kept.log == Log::Written;
        drop(kept);
        if first {
            there_is_a_log();
        }
    }

    /// What the thread does: what others leave to it, and to put the log in order when it was quiet for a while.
    fn attend(&self, queue: &Queue) {
        while !queue.has_ended() {
            let called = queue.is_called();
            // A thread that waits for the connection has to be woken whenever somebody lets go of it, so it does
            // only when it has something to do.
            let Some(mut kept) = (if called { Some(self.kept()) } else { self.kept_if_free() }) else {
                std::thread::park_timeout(IDLE);
                continue;
            };
            while queue.is_called() && self.work(&mut kept, queue) {}
            let pause = kept.rest(self.patience);
            drop(kept);
            if linger(queue) {
                continue;
            }
            match pause {
                Some(pause) => std::thread::park_timeout(pause),
                None => std::thread::park(),
            }
        }
        self.kept().cut_log(self.patience);
    }

    /// Does one group of jobs; says whether there was any. Work that panics has an unknown outcome, like
    /// everything else that was waiting, and is the last that is done.
    fn work(&self, kept: &mut Kept, queue: &Queue) -> bool {
        let group = queue.group();
        let Some(first) = group.first() else { return false };
        let access = first.access();
        let mut session = Session::resume(&kept.connection, std::mem::take(&mut kept.tenants));
        let done = catch_unwind(AssertUnwindSafe(|| {
            if access == Access::Alone {
                group.into_iter().for_each(|job| alone(job, &mut session));
                return false;
            }
            let (reads, writes): (Vec<_>, Vec<_>) = group.into_iter().partition(|job| job.access() == Access::Read);
            read(reads, &mut session);
            let wrote = !writes.is_empty();
            write(writes, queue, self.patience, &mut session);
            wrote
        }));
        let wrote = done.unwrap_or_else(|_| {
            queue.end();
            session.roll_back();
            true
        });
        kept.tenants = session.into_tenants();
        if wrote {
            kept.log = Log::Written;
            kept.last = Instant::now();
        }
        true
    }
}

impl Kept {
    /// Does with the log what the time is for; gives how long after that there is nothing to do with it.
    fn rest(&mut self, patience: Duration) -> Option<Duration> {
        let idle = self.last.elapsed();
        match self.log {
            Log::Written if idle >= IDLE => self.copy_log_back(),
            Log::CopiedBack if idle >= QUIET => self.cut_log(patience),
            Log::Written | Log::CopiedBack | Log::Cut => {}
        }
        let until = match self.log {
            Log::Written => IDLE,
            Log::CopiedBack => QUIET,
            Log::Cut => return None,
        };
        Some(until.saturating_sub(self.last.elapsed()))
    }

    fn copy_log_back(&mut self) {
        if self.session().copy_log_back() {
            self.log = Log::CopiedBack;
        } else {
            self.last = Instant::now();
        }
    }

    fn cut_log(&mut self, patience: Duration) {
        if self.session().cut_log(patience) {
            self.log = Log::Cut;
        } else {
            self.log = Log::Written;
            self.last = Instant::now();
        }
    }

    /// For what is no one tenant's.
    fn session(&self) -> Session<'_> {
        Session::new(&self.connection)
    }
}

fn alone(mut job: Box<dyn Job>, session: &mut Session<'_>) {
    let outcome = job.run(session).map_or_else(Outcome::Failed, |()| Outcome::Committed);
    job.answer(&outcome);
}

/// Looks for what is left to the thread a little longer, giving way to whoever else wants the processor.
/// A caller who commits one thing after the other is back by then, and waking a thread costs more than the wait.
fn linger(queue: &Queue) -> bool {
    let start = Instant::now();
    while start.elapsed() < LINGER {
        if queue.is_called() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// Does the work of several jobs in one transaction, and answers them after it. Should one of them fail, it
/// has failed alone: each is done once more in a transaction of its own.
fn transact(
    batch: Vec<Box<dyn Job>>,
    session: &mut Session<'_>,
    mut begin: impl FnMut(&mut Session<'_>) -> Result<(), Fault>,
) {
    for job in attempt(batch, session, &mut begin) {
        attempt(vec![job], session, &mut begin);
    }
}

/// Does work in one transaction and answers it; gives it back if it is to be done again one by one.
fn attempt(
    mut batch: Vec<Box<dyn Job>>,
    session: &mut Session<'_>,
    begin: &mut impl FnMut(&mut Session<'_>) -> Result<(), Fault>,
) -> Vec<Box<dyn Job>> {
    if batch.is_empty() {
        return batch;
    }
    let outcome = match begin(session) {
        Err(fault) => Outcome::Failed(fault),
        Ok(()) => match batch.iter_mut().try_for_each(|job| job.run(session)) {
            Err(_) if batch.len() > 1 => {
                session.roll_back();
                return batch;
            }
            Err(fault) => Outcome::Failed(fault),
            Ok(()) => session.end().map_or_else(Outcome::Uncertain, |()| Outcome::Committed),
        },
    };
    if !matches!(outcome, Outcome::Committed) {
        session.roll_back();
    }
    batch.into_iter().for_each(|job| job.answer(&outcome));
    Vec::new()
}

fn read(batch: Vec<Box<dyn Job>>, session: &mut Session<'_>) {
    transact(batch, session, |session| session.begin_reading());
}

/// Does the work of jobs that write. All of them together wait once for the lock, also when they are done
/// one by one in the end. While somebody else has the lock, whoever wants to read is answered: the one who
/// has it may be waiting for just that.
fn write(batch: Vec<Box<dyn Job>>, queue: &Queue, patience: Duration, session: &mut Session<'_>) {
    let deadline = Instant::now() + patience;
    transact(batch, session, |session| {
        loop {
            match session.begin_writing(SLICE, patience) {
                Err(fault) if fault.is_busy() && Instant::now() < deadline => {}
                begun => return begun,
            }
            queue.reads().into_iter().for_each(|job| read(vec![job], session));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::block_on::block_on;

    type Work = Box<dyn FnMut(&mut Session<'_>) -> Result<(), Fault> + Send>;

    fn writer(directory: &std::path::Path) -> Writer {
        Writer::start(Connection::open(directory.join("file")).unwrap(), Duration::from_secs(5)).unwrap()
    }

    async fn who(writer: &Writer) -> std::thread::ThreadId {
        writer.ask("work", Access::Write(1), |_| Ok(std::thread::current().id())).await.unwrap()
    }

    #[test]
    fn a_caller_who_only_waits_does_its_work_itself_and_another_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let writer = writer(directory.path());
        let here = std::thread::current().id();
        // The thread begins with a look at the queue, and may have the connection then.
        assert!((0..1000).any(|_| block_on(who(&writer)) == here));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..100 {
            assert_ne!(runtime.block_on(who(&writer)), here);
        }
        drop(writer);
    }

    #[test]
    fn callers_on_one_thread_share_a_transaction() {
        let directory = tempfile::tempdir().unwrap();
        let writer = writer(directory.path());
        let begin = |session: &mut Session<'_>| {
            Ok(session.connection.execute_batch("DROP TABLE IF EXISTS done; CREATE TABLE done (number)")?)
        };
        let add = |session: &mut Session<'_>| Ok(session.connection.execute_batch("INSERT INTO done VALUES (1)")?);
        // How many rows there are inside of the transaction and outside.
        let look = |session: &mut Session<'_>| {
            let count = |file: &Connection| file.query_row("SELECT count(*) FROM done", [], |row| row.get::<_, i64>(0));
            let outside = Connection::open(session.connection.path().unwrap_or_default())?;
            Ok((count(session.connection)?, count(&outside)?))
        };
        let together = || {
            block_on(async {
                writer.ask("begin", Access::Write(1), begin).await.unwrap();
                let jobs = (0..16).map(|_| writer.ask("add", Access::Write(1), add));
                let look = writer.ask("look", Access::Write(1), look);
                futures_util::future::join(futures_util::future::join_all(jobs), look).await.1.unwrap()
            })
        };
        // The thread begins with a look at the queue, and may take the first of them then.
        assert!((0..1000).any(|_| together() == (16, 0)));
        drop(writer);
    }

    /// Whoever is answered first asks again at once, and may not have that to themselves.
    #[test]
    fn callers_on_one_thread_who_ask_again_share_each_transaction() {
        let directory = tempfile::tempdir().unwrap();
        let writer = writer(directory.path());
        let begin = |session: &mut Session<'_>| {
            Ok(session.connection.execute_batch("DROP TABLE IF EXISTS done; CREATE TABLE done (number)")?)
        };
        // How many rows were committed before: the same for all who share a transaction.
        let add = |session: &mut Session<'_>| {
            session.connection.execute_batch("INSERT INTO done VALUES (1)")?;
            let outside = Connection::open(session.connection.path().unwrap_or_default())?;
            Ok(outside.query_row("SELECT count(*) FROM done", [], |row| row.get::<_, i64>(0))?)
        };
        let before = || {
            block_on(async {
                writer.ask("begin", Access::Write(1), begin).await.unwrap();
                let caller = async || {
                    let first = writer.ask("add", Access::Write(1), add).await.unwrap();
                    (first, writer.ask("add", Access::Write(1), add).await.unwrap())
                };
                futures_util::future::join_all((0..8).map(|_| caller())).await
            })
        };
        // The thread begins with a look at the queue, and may take the first of them then.
        assert!((0..1000).any(|_| before() == [(0, 8); 8]));
        drop(writer);
    }

    #[test]
    fn what_a_caller_asked_for_who_went_away_is_done_nevertheless() {
        let directory = tempfile::tempdir().unwrap();
        let writer = writer(directory.path());
        let (done, told) = std::sync::mpsc::channel();
        block_on(async {
            let mut job =
                Box::pin(writer.ask("work", Access::Write(1), move |_| done.send(()).map_err(|_| Fault::Ended)));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(job.as_mut().poll(&mut context).is_pending());
            drop(job);
        });
        told.recv_timeout(Duration::from_secs(10)).unwrap();
        drop(writer);
    }

    #[test]
    fn a_quiet_log_is_copied_back_at_its_size_and_cut_later() {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(directory.path().join("file")).unwrap();
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        connection.execute_batch("CREATE TABLE some (number); INSERT INTO some VALUES (1)").unwrap();
        let patience = Duration::from_secs(1);
        let desk = Desk::new(connection, patience);
        let mut kept = desk.kept();
        let mut rest_after = |idle| {
            kept.last = Instant::now().checked_sub(idle).unwrap();
            let pause = kept.rest(patience);
            (kept.log, pause.is_some(), std::fs::metadata(directory.path().join("file-wal")).unwrap().len() > 0)
        };
        assert_eq!(rest_after(Duration::ZERO), (Log::Written, true, true));
        assert_eq!(rest_after(IDLE), (Log::CopiedBack, true, true));
        assert_eq!(rest_after(IDLE), (Log::CopiedBack, true, true));
        assert_eq!(rest_after(QUIET), (Log::Cut, false, false));
        assert_eq!(rest_after(QUIET), (Log::Cut, false, false));
        drop(kept);
        drop(desk);
    }

    /// It is a bug of ours. Nobody waits for ever then, and the lock for writing is free.
    #[test]
    fn work_that_panics_is_unknown_and_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for here in [true, false] {
            let writer = writer(directory.path());
            let work = |_: &mut Session<'_>| -> Result<(), Fault> { panic!("as it should in this test") };
            let ask = writer.ask("work", Access::Write(1), work);
            let answer = if here { block_on(ask) } else { runtime.block_on(ask) };
            assert!(matches!(answer, Err(StorageError::Unknown { .. })), "{answer:?}");
            let after = block_on(writer.ask("work", Access::Write(1), |_| Ok(())));
            assert!(after.is_err());
            Connection::open(directory.path().join("file"))
                .unwrap()
                .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
                .unwrap();
        }
    }

    /// The group fails because one of its jobs does, and somebody else takes the lock before they are done one
    /// by one.
    #[test]
    fn jobs_that_are_done_again_wait_for_the_lock_once_in_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let connect = || Connection::open(&path).unwrap();
        let patience = Duration::from_millis(1_000);
        let writer = Writer::start(connect(), patience).unwrap();
        let other = connect();
        other.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let thief = Arc::new(Mutex::new(connect()));
        let taken = Arc::clone(&thief);
        let job = |work: Work| Box::pin(writer.ask("work", Access::Write(1), work));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut begin = |work| {
            let mut job = job(work);
            assert!(job.as_mut().poll(&mut context).is_pending());
            job
        };
        // Waits for the lock, so that the others gather behind it.
        let first = begin(Box::new(|_| Ok(())));
        std::thread::sleep(Duration::from_millis(50));
        let mut jobs = vec![begin(Box::new(move |session| {
            session.connection.execute_batch("ROLLBACK")?;
            taken.lock().unwrap().execute_batch("BEGIN IMMEDIATE")?;
            Err(Fault::Damaged("a row".into()))
        }))];
        jobs.extend((0..9).map(|_| begin(Box::new(|_| Ok(())))));
        other.execute_batch("COMMIT").unwrap();
        block_on(first).unwrap();
        let start = Instant::now();
        for job in jobs {
            assert!(matches!(block_on(job), Err(StorageError::Backend { .. })), "the lock was never free");
        }
        // Once for each would be ten times as long.
        assert!(start.elapsed() < 8 * patience, "{:?}", start.elapsed());
        drop((writer, thief));
    }
}
