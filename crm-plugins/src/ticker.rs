//! The clock that stops guests: a thread that advances the engines' epochs while a call runs and
//! sleeps while none does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wasmtime::Engine;

/// How many ticks without a call pass before the thread sleeps; waking it costs a system call.
const IDLE_TICKS: u32 = 100;

/// Advances epochs. The thread ends when the ticker is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    period: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// A call that is running; the ticker ticks while one of these lives.
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticker {
    /// Starts the thread. It ticks ten times in the host's deadline, but not more often than each millisecond and not less
    /// often than a hundred times a second. A guest stops within two ticks after its deadline, which is a tenth of the
    /// host's for each, or 10 ms where that is less.
    pub(crate) fn start(engines: [Engine; 2], deadline: Duration) -> std::io::Result<Ticker> {
        let period = (deadline / 10).clamp(Duration::from_millis(1), Duration::from_millis(10));
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("crm-plugins-ticker".into())
            .spawn(move || tick(&theirs, &engines, period))?;
        Ok(Ticker { shared, thread: Some(thread), period })
    }

    /// How many ticks from now `deadline` has passed.
    pub(crate) fn ticks(&self, deadline: Duration) -> u64 {
        let ticks = deadline.as_nanos().div_ceil(self.period.as_nanos().max(1));
        // The first tick may come at once.
        u64::try_from(ticks).unwrap_or(u64::MAX >> 1).saturating_add(1)
    }

    /// Keeps the clock ticking until the guard is dropped.
    pub(crate) fn run(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) && self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
        Running(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say: it ends, or has panicked and said so.
            drop(thread.join());
        }
    }
}

fn tick(shared: &Shared, engines: &[Engine; 2], period: Duration) {
    let mut last = Instant::now();
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        idle = if shared.running.load(Ordering::SeqCst) > 0 { 0 } else { idle + 1 };
        if idle > IDLE_TICKS {
            // A call that begins now either is seen here, or sees the flag and wakes this thread.
            shared.asleep.store(true, Ordering::SeqCst);
            let none_runs = shared.running.load(Ordering::SeqCst) == 0;
            if none_runs && !shared.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
            shared.asleep.store(false, Ordering::SeqCst);
            idle = 0;
            last = Instant::now();
            continue;
        }
        std::thread::park_timeout(period.saturating_sub(last.elapsed()));
        if last.elapsed() >= period {
            engines.iter().for_each(Engine::increment_epoch);
            last = Instant::now();
        }
    }
}
