//! Connections that only read. The caller's own thread does it: a short query takes a few microseconds,
//! and to hand it to another thread takes longer than that.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

use rusqlite::Connection;

/// A few connections, each for one reader at a time.
#[derive(Debug)]
pub(super) struct Readers {
    connections: Vec<Mutex<Connection>>,
    turn: AtomicUsize,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        Readers { connections: connections.into_iter().map(Mutex::new).collect(), turn: AtomicUsize::new(0) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Reads with a connection that is free, or waits for one; none if there are no connections. The
    /// first one is preferred: its cache is the warmest.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Connection) -> T) -> Option<T> {
        for connection in &self.connections {
            match connection.try_lock() {
                Ok(connection) => return Some(read(&connection)),
                Err(TryLockError::Poisoned(poisoned)) => return Some(read(&poisoned.into_inner())),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let connection = self.connections.get(turn.checked_rem(self.connections.len())?)?;
        Some(read(&connection.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
