//! Following the feed: how a cursor moves, and which entries a history is asked for.

use crate::error::{CursorError, StorageError};
use crate::row::{CursorStep, Entries, Entry, FeedCursor};

impl FeedCursor {
    /// Where the cursor stands after a step, in a lane whose last position is `end`. For stores.
    ///
    /// # Errors
    ///
    /// `Fenced` if it was taken by somebody else, `OutOfRange` if it would go the wrong way or too far.
    pub const fn after(self, step: CursorStep, end: u64) -> Result<FeedCursor, CursorError> {
        let FeedCursor { position, epoch } = self;
        let (taken, to, allowed) = match step {
            CursorStep::Look => return Ok(self),
            CursorStep::Take => return Ok(FeedCursor { position, epoch: epoch + 1 }),
            CursorStep::Move { epoch, to } => (epoch, to, position <= to && to <= end),
            CursorStep::Rewind { epoch, to } => (epoch, to, to <= position),
        };
        if taken != epoch {
            return Err(CursorError::Fenced { at: self });
        }
        if !allowed {
            return Err(CursorError::OutOfRange { at: self, end });
        }
        Ok(FeedCursor { position: to, epoch })
    }
}

/// Checks the name of a consumer, as each store does first.
///
/// # Errors
///
/// `Malformed` unless it has 1 to 255 bytes.
pub fn check_consumer(name: &str) -> Result<(), StorageError> {
    if (1..=255).contains(&name.len()) {
        return Ok(());
    }
    Err(StorageError::Malformed { what: format!("a consumer's name of {} bytes, not 1 to 255", name.len()) })
}

impl Entries {
    /// Whether an entry is among those asked for.
    #[must_use]
    pub const fn contain(self, entry: &Entry) -> bool {
        match (self, entry) {
            (Entries::All, _) | (Entries::Events, Entry::Event(_)) | (Entries::Changes, Entry::Change(_)) => true,
            (Entries::Events, Entry::Change(_)) | (Entries::Changes, Entry::Event(_)) => false,
        }
    }
}
