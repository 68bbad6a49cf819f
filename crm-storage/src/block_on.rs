//! The smallest executor: it runs one future on the thread that asks.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long a thread gives way to others before it sleeps: about as long as a commit takes on a fast disk.
/// To wake a thread that sleeps costs a good part of that.
const LINGER: Duration = Duration::from_micros(200);

/// Runs a future to its end on this thread. While there is nothing to do it first gives way to other threads,
/// and sleeps after a fifth of a millisecond. Not to be called from within an async runtime's own threads.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
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
