//! The smallest executor: it runs one future on the thread that asks.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long a thread gives way to others before it sleeps: about as long as a commit takes on a fast disk.
/// To wake a thread that sleeps costs a good part of that.
const LINGER: Duration = Duration::from_micros(200);

thread_local! {
    static WAITING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread does nothing but wait for a future: then work that takes long may be done on it.
#[cfg(feature = "sqlite-unbundled")]
pub(crate) fn only_waits() -> bool {
    WAITING.get()
}

/// Says that this thread only waits, until it is dropped.
struct OnlyWaits {
    before: bool,
}

impl OnlyWaits {
    fn begin() -> Self {
        OnlyWaits { before: WAITING.replace(true) }
    }
}

impl Drop for OnlyWaits {
    fn drop(&mut self) {
        WAITING.set(self.before);
    }
}

/// Runs a future to its end on this thread. What the future asks of a store on SQLite is done on this thread too,
/// if it can be. While there is nothing to do it first gives way to other threads, and sleeps after a fifth
/// of a millisecond. Not to be called from within an async runtime's own threads.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let _waits = OnlyWaits::begin();
    let waking = Arc::new(Waking { thread: std::thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&waking));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => waking.wait(),
        }
    }
}

struct Waking {
    thread: Thread,
    woken: AtomicBool,
}

impl Waking {
    fn wait(&self) {
        let start = Instant::now();
        while !self.woken.swap(false, Ordering::Acquire) {
            if start.elapsed() < LINGER { std::thread::yield_now() } else { std::thread::park() }
        }
    }
}

impl Wake for Waking {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
