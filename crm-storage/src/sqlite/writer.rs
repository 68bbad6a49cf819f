//! The one thread that writes. Whatever is waiting when it comes round goes into one transaction, and
//! each caller is answered after that transaction's commit: so many callers share the cost of one sync,
//! and none ever meets a lock held by another of this process.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use rusqlite::Connection;

use super::fault::Fault;
use super::session::Session;
use crate::error::StorageError;

/// With this many commits a transaction takes no further job. One call is never split.
const MOST_COMMITS: usize = 256;

/// How long nothing must be asked for before the log is copied back and cut.
const IDLE: Duration = Duration::from_millis(250);

/// How long the thread waits for the lock for writing before it looks for whom it can answer meanwhile.
const SLICE: Duration = Duration::from_millis(5);

/// How long the thread looks for more to do before it sleeps.
const LINGER: Duration = Duration::from_micros(50);

/// The thread, and the way to it.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    /// Who works off a queue without a thread of its own, while somebody does.
    waits: Mutex<Option<Thread>>,
}

/// Whether a piece of work needs the lock for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// With how many commits.
    Write(usize),
    /// Outside of any transaction.
    Alone,
}

impl Writer {
    pub(super) fn start(connection: Connection, patience: Duration) -> Result<Self, StorageError> {
        let (queue, jobs) = channel();
        let run = move || work(Session::new(&connection), patience, &jobs);
        let thread = std::thread::Builder::new().name("crm-sqlite".into()).spawn(run).map_err(|error| {
            StorageError::Open { reason: "no thread can be started".into(), source: Some(Box::new(error)) }
        })?;
        Ok(Writer { queue: Some(queue), thread: Some(thread), waits: Mutex::default() })
    }

    /// A queue without a thread: whoever has the other end works it off.
    pub(super) fn without_thread() -> (Self, Receiver<Box<dyn Job>>) {
        let (queue, jobs) = channel();
        (Writer { queue: Some(queue), thread: None, waits: Mutex::default() }, jobs)
    }

    /// Whether work can be done outside of a transaction.
    pub(super) const fn has_thread(&self) -> bool {
        self.thread.is_some()
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
        let (reply, answer) = oneshot::channel();
        let job = Asked { doing, access, work, done: None, reply };
        let sent = self.queue.as_ref().and_then(|queue| queue.send(Box::new(job)).ok());
        if sent.is_none() {
            return Err(StorageError::Backend { doing, source: "its writer thread has ended".into() });
        }
        if self.thread.is_none()
            && let Some(thread) = &*self.waits.lock().unwrap_or_else(PoisonError::into_inner)
        {
            thread.unpark();
        }
        answer.await.unwrap_or(Err(StorageError::Unknown { source: None }))
    }
}

impl Drop for Writer {
    /// Waits until what was asked for is done and the file is closed.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // Should it have panicked, its callers were told that the outcome is unknown.
            drop(thread.join());
        }
    }
}

/// A piece of work on its way through the queue: first done, then answered.
pub(super) trait Job: Send {
    fn access(&self) -> Access;
    fn run(&mut self, session: &mut Session<'_>) -> Result<(), Fault>;
    fn answer(self: Box<Self>, outcome: &Outcome);
}

/// What became of a transaction.
pub(super) enum Outcome {
    Committed,
    /// Before its last step: nothing was written.
    Failed(Fault),
    /// In its last step.
    Uncertain(Fault),
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

fn work(mut session: Session<'_>, patience: Duration, jobs: &Receiver<Box<dyn Job>>) {
    // Whether anything was written since the log was last cut.
    let mut logged = true;
    // Jobs that were taken from the queue and not done yet.
    let mut waiting = VecDeque::new();
    loop {
        let next = match waiting.pop_front().or_else(|| linger(jobs)) {
            Some(job) => Ok(job),
            None if logged => jobs.recv_timeout(IDLE),
            None => jobs.recv().map_err(Into::into),
        };
        let first = match next {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                logged = !session.cut_log(patience);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if first.access() == Access::Alone {
            alone(first, &mut session);
            continue;
        }
        let batch = gather(first, jobs, &mut waiting);
        let (reads, writes): (Vec<_>, Vec<_>) = batch.into_iter().partition(|job| job.access() == Access::Read);
        read(reads, &mut session);
        if !writes.is_empty() {
            logged = true;
            write(writes, jobs, &mut waiting, patience, &mut session);
        }
    }
    session.cut_log(patience);
}

fn alone(mut job: Box<dyn Job>, session: &mut Session<'_>) {
    let outcome = job.run(session).map_or_else(Outcome::Failed, |()| Outcome::Committed);
    job.answer(&outcome);
}

/// Looks for the next job a little longer, giving way to whoever else wants the processor. A caller who
/// commits one thing after the other is back by then, and waking a thread costs more than the wait.
fn linger(jobs: &Receiver<Box<dyn Job>>) -> Option<Box<dyn Job>> {
    let start = Instant::now();
    while start.elapsed() < LINGER {
        if let Ok(job) = jobs.try_recv() {
            return Some(job);
        }
        std::thread::yield_now();
    }
    None
}

/// A job and the ones that wait behind it, until there are enough commits.
fn gather(
    first: Box<dyn Job>,
    jobs: &Receiver<Box<dyn Job>>,
    waiting: &mut VecDeque<Box<dyn Job>>,
) -> Vec<Box<dyn Job>> {
    let commits = |job: &dyn Job| match job.access() {
        Access::Read | Access::Alone => 1,
        Access::Write(commits) => commits,
    };
    let mut room = MOST_COMMITS.saturating_sub(commits(&*first));
    let mut batch = vec![first];
    while room > 0
        && let Some(job) = waiting.pop_front().or_else(|| jobs.try_recv().ok())
    {
        if job.access() == Access::Alone {
            waiting.push_front(job);
            break;
        }
        room = room.saturating_sub(commits(&*job));
        batch.push(job);
    }
    batch
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
fn write(
    batch: Vec<Box<dyn Job>>,
    jobs: &Receiver<Box<dyn Job>>,
    waiting: &mut VecDeque<Box<dyn Job>>,
    patience: Duration,
    session: &mut Session<'_>,
) {
    let deadline = Instant::now() + patience;
    transact(batch, session, |session| {
        loop {
            match session.begin_writing(SLICE, patience) {
                Err(fault) if fault.is_busy() && Instant::now() < deadline => {}
                begun => return begun,
            }
            while let Ok(job) = jobs.try_recv() {
                match job.access() {
                    Access::Read => read(vec![job], session),
                    Access::Write(_) | Access::Alone => waiting.push_back(job),
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::block_on::block_on;

    type Work = Box<dyn FnMut(&mut Session<'_>) -> Result<(), Fault> + Send>;

    /// The group fails because one of its jobs does, and somebody else takes the lock before they are done one
    /// by one.
    #[test]
    fn jobs_that_are_done_again_wait_for_the_lock_once_in_all() {
        let directory = std::env::temp_dir().join(format!("crm-storage-writer-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("file");
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
        std::fs::remove_dir_all(directory).unwrap();
    }
}
