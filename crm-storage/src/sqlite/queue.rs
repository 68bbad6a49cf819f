//! What is waiting to be done with the connection that writes, in the order in which it was asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::Fault;
use super::session::Session;

/// With this many commits a transaction takes no further job. One call is never split.
const MOST_COMMITS: usize = 256;

/// Whether a piece of work needs the lock for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// With how many commits.
    Write(usize),
    /// Outside of any transaction.
    Alone,
}

/// A piece of work on its way through the queue: first done, then answered. One that is dropped tells its
/// caller that the outcome is unknown.
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

/// The way in.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Box<dyn Job>>,
    /// Whether somebody counts on the thread for what is waiting.
    called: bool,
    /// Whether nothing more is taken.
    closed: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job, and says whether it did: not after the end.
    pub(super) fn push(&self, job: Box<dyn Job>) -> bool {
        let mut waiting = self.waiting();
        if !waiting.closed {
            waiting.jobs.push_back(job);
        }
        !waiting.closed
    }

    /// Leaves what is waiting to the thread; says whether anything is.
    pub(super) fn call(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.called = !waiting.jobs.is_empty();
        waiting.called
    }

    /// Whether something waits for the thread.
    pub(super) fn is_called(&self) -> bool {
        self.waiting().called
    }

    /// Whether everything is done and nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        let waiting = self.waiting();
        waiting.closed && waiting.jobs.is_empty()
    }

    /// The first job.
    pub(super) fn first(&self) -> Option<Box<dyn Job>> {
        let mut waiting = self.waiting();
        let first = waiting.jobs.pop_front();
        waiting.called &= !waiting.jobs.is_empty();
        first
    }

    /// The first job and the ones behind it that can share a transaction with it, until there are enough
    /// commits.
    pub(super) fn group(&self) -> Vec<Box<dyn Job>> {
        let mut waiting = self.waiting();
        let (mut group, mut room) = (Vec::new(), MOST_COMMITS);
        while room > 0
            && let Some(job) = waiting.jobs.pop_front()
        {
            let alone = job.access() == Access::Alone;
            if alone && !group.is_empty() {
                waiting.jobs.push_front(job);
                break;
            }
            room = match job.access() {
                Access::Read => room - 1,
                Access::Write(commits) => room.saturating_sub(commits),
                Access::Alone => 0,
            };
            group.push(job);
        }
        waiting.called &= !waiting.jobs.is_empty();
        group
    }

    /// All jobs that only read, past the others.
    pub(super) fn reads(&self) -> Vec<Box<dyn Job>> {
        let mut waiting = self.waiting();
        let jobs = std::mem::take(&mut waiting.jobs);
        let (reads, others) = jobs.into_iter().partition::<VecDeque<_>, _>(|job| job.access() == Access::Read);
        waiting.jobs = others;
        reads.into()
    }

    /// Takes nothing more. What is waiting is still to be done.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        waiting.called = !waiting.jobs.is_empty();
    }

    /// Takes nothing more, and nothing of what is waiting will be done.
    pub(super) fn end(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        waiting.called = false;
        let jobs = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        // Outside of the lock: this wakes their callers.
        drop(jobs);
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// A queue's other end, for whoever works it off alone. It ends with it.
#[derive(Debug)]
pub(super) struct Jobs(Arc<Queue>);

impl Jobs {
    pub(super) const fn of(queue: Arc<Queue>) -> Self {
        Jobs(queue)
    }

    pub(super) fn next(&self) -> Option<Box<dyn Job>> {
        self.0.first()
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.0.end();
    }
}
