//! The clock is handed in: a shop uses the system's, a test sets its own.

use std::sync::atomic::{AtomicI64, Ordering};

use crm_core::Timestamp;

/// Tells the time.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// The present instant. It may step back; no customer's time does.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A system clock outside the years 1 to 9999 counts as the nearest of them.
        let millis = match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Timestamp::from_millis(millis.clamp(Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis()))
            .unwrap_or(Timestamp::MAX)
    }
}

/// A clock that stands still until it is set.
///
/// ```
/// use crm::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::at(Timestamp::parse("1997-01-01")?);
/// clock.set(Timestamp::parse("1998-07-01")?);
/// assert_eq!(clock.now().to_string(), "1998-07-01T00:00:00Z");
/// # Ok::<(), crm::TimeError>(())
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows an instant.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        ManualClock(AtomicI64::new(time.as_millis()))
    }

    /// Sets it, forward or back.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        // Only whole timestamps are ever stored.
        Timestamp::from_millis(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

impl<C: Clock> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        C::now(self)
    }
}
