//! What a state tells before it is read: whom it leads to, or how many points there are in each programme. It stands between
//! the header and the rest, so that a balance costs the same however long a customer's history is.

use serde::{Deserialize, Serialize};

use super::snapshot::{Header, STATE_SHAPE, SnapshotError};
use super::{Customer, Kinship};
use crate::id::CustomerId;
use crate::loyalty::ProgramId;
use crate::loyalty::report::PointsStanding;

/// How many points a customer has in one programme, as a state tells it by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointsGlance {
    /// So many; none where there never were any.
    Own(PointsStanding),
    /// They are those of whom this one was merged into.
    Of(CustomerId),
}

/// Pending, active and held points, and points owed.
type Written = (i128, i128, i128, i128);

/// Whose points they are, and of how many programmes they follow, each by its name.
#[derive(Serialize, Deserialize)]
enum Begins {
    Own(u32),
    Of(CustomerId),
}

impl Customer {
    /// Writes it before the state.
    pub(super) fn write_glance(&self, mut to: Vec<u8>) -> postcard::Result<Vec<u8>> {
        if let Kinship::Alias(head) = self.kinship {
            return postcard::to_extend(&Begins::Of(head), to);
        }
        to = postcard::to_extend(&Begins::Own(self.decided.books.len() as u32), to)?;
        for (program, book) in self.books() {
            let PointsStanding { pending, active, held, owed } = book.standing();
            let written: Written = (pending, active, held, owed);
            to = postcard::to_extend(&(program.as_str(), written), to)?;
        }
        Ok(to)
    }

    /// What follows it.
    pub(super) fn after_glance(bytes: &[u8]) -> postcard::Result<&[u8]> {
        let (begins, mut rest) = postcard::take_from_bytes(bytes)?;
        if let Begins::Own(programs) = begins {
            for _ in 0..programs {
                (_, rest) = postcard::take_from_bytes::<(&str, Written)>(rest)?;
            }
        }
        Ok(rest)
    }

    /// How many points a customer has in a programme, from the bytes of their state, of which no more is read than that. It
    /// is the same as what the [book](Self::book) of the state comes to.
    ///
    /// # Errors
    ///
    /// `SnapshotError`; the events are still there to be folded.
    pub fn points_at_a_glance(shape: u16, bytes: &[u8], program: &ProgramId) -> Result<PointsGlance, SnapshotError> {
        if shape != STATE_SHAPE {
            return Err(SnapshotError::Shape { shape });
        }
        let corrupt = |source| SnapshotError::Corrupt { source };
        let bytes = bytes.get(Header::BYTES..).ok_or_else(|| corrupt(postcard::Error::DeserializeUnexpectedEnd))?;
        let (begins, mut rest) = postcard::take_from_bytes(bytes).map_err(corrupt)?;
        let programs = match begins {
            Begins::Of(head) => return Ok(PointsGlance::Of(head)),
            Begins::Own(programs) => programs,
        };
        for _ in 0..programs {
            let ((name, written), after) = postcard::take_from_bytes::<(&str, Written)>(rest).map_err(corrupt)?;
            if name == program.as_str() {
                let (pending, active, held, owed) = written;
                return Ok(PointsGlance::Own(PointsStanding { pending, active, held, owed }));
            }
            rest = after;
        }
        Ok(PointsGlance::Own(PointsStanding::default()))
    }
}
