//! Draws: winners who were chosen by chance, so that anybody can check it.
//!
//! The shop first publishes the [commitment](Seed::commitment) to a secret seed. When it draws it reveals the seed, and
//! the winners follow from it and from the list of entries alone: [`winners`] works them out, [`verify`] checks them.
//!
//! # How
//!
//! Entries are in the order of their ids, each with a number of tickets; their digest is SHA-256 of `crm draw entries 1`,
//! their number, and each id (16 bytes) with its tickets. The stream is SHA-256 of `crm draw stream 1`, the seed, the digest
//! of the entries and a counter from 0, each block read as four numbers of 64 bits; all numbers are big-endian.
//! For each winner a number below the number of tickets that are left is taken from it: a number of the stream is passed
//! over if it is not below the largest multiple of the tickets, so that no ticket is likelier than another (without it
//! the first ones would be). The ticket's entry wins and leaves with all its tickets.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{LOYALTY_POINTS_MAX, ProgramId};
use crate::id::{CustomerId, Digest};
use crate::text::text_type;

text_type!(
    /// The name of a draw, such as `spring-2026`. It is drawn once.
    DrawName, "draw", 64
);

/// The most entries in a draw.
pub const ENTRIES_MAX: usize = 1_000_000;

/// The most winners of a draw: all of them are written in one commit.
pub const WINNERS_MAX: u32 = 100;

/// A draw, as it is announced. What was announced is never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// Points of which programme.
    pub program: ProgramId,
    /// How many each winner gets.
    pub points: i64,
    /// How many win, 1 to [`WINNERS_MAX`]; all where there are fewer entries.
    pub winners: u32,
    /// What the shop committed itself to: [`Seed::commitment`].
    pub commitment: Digest,
    /// The digest of the entries, where they are closed before the draw is announced. The shop knows the seed: only where
    /// the list is closed before, or by somebody else, can it not choose the list by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Digest>,
}

/// Where chance comes from: 32 bytes that nobody can guess, of the host's own source. It prints masked: who knows it before
/// the draw knows who wins.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(#[serde(with = "crate::id::hex_bytes")] [u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(***)")
    }
}

impl Seed {
    /// Of some bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Seed(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What can be published before the draw: SHA-256 of `crm draw seed 1` and the seed.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(b"crm draw seed 1");
        hash.update(self.0);
        Digest::from_bytes(hash.finalize().into())
    }
}

/// Why there is no draw, or why it does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// Nobody takes part.
    #[error("nobody takes part")]
    NoEntries,
    /// Too many do.
    #[error("there are {entries} entries, more than {ENTRIES_MAX}")]
    Entries {
        /// How many.
        entries: usize,
    },
    /// Somebody is there twice, by one id or as two who are one.
    #[error("{customer} takes part twice")]
    Twice {
        /// Who.
        customer: CustomerId,
    },
    /// An entry without a ticket, or more tickets in all than can be counted.
    #[error("{customer} has {tickets} tickets")]
    Tickets {
        /// Who.
        customer: CustomerId,
        /// How many.
        tickets: u64,
    },
    /// No winner, or too many.
    #[error("{winners} winners are not between 1 and {WINNERS_MAX}")]
    Winners {
        /// How many.
        winners: u32,
    },
    /// No points, or too many.
    #[error("{points} points are not between 1 and {LOYALTY_POINTS_MAX}")]
    Points {
        /// How many.
        points: i64,
    },
    /// The seed is not the one that the shop committed itself to.
    #[error("the seed is not the one that was committed to")]
    OtherSeed,
    /// The entries are not those that were announced.
    #[error("the entries are not those that were announced")]
    OtherEntries,
    /// They did not win.
    #[error("the winners do not follow from seed and entries")]
    OtherWinners,
}

impl Draw {
    /// Checks what can be announced.
    ///
    /// # Errors
    ///
    /// `Winners` or `Points`.
    pub const fn check(&self) -> Result<(), DrawError> {
        if self.winners == 0 || self.winners > WINNERS_MAX {
            return Err(DrawError::Winners { winners: self.winners });
        }
        if self.points < 1 || self.points > LOYALTY_POINTS_MAX {
            return Err(DrawError::Points { points: self.points });
        }
        Ok(())
    }
}

/// Who takes part, with how many tickets, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(CustomerId, u64)>", into = "Vec<(CustomerId, u64)>")]
pub struct Entries(Vec<(CustomerId, u64)>);

impl Entries {
    /// Of a list in any order.
    ///
    /// # Errors
    ///
    /// `NoEntries`, `Entries`, `Twice` or `Tickets`.
    pub fn new(entries: impl IntoIterator<Item = (CustomerId, u64)>) -> Result<Self, DrawError> {
        let mut entries: Vec<(CustomerId, u64)> = entries.into_iter().collect();
        entries.sort_unstable();
        if entries.is_empty() {
            return Err(DrawError::NoEntries);
        }
        if entries.len() > ENTRIES_MAX {
            return Err(DrawError::Entries { entries: entries.len() });
        }
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(DrawError::Twice { customer: pair[0].0 });
        }
        let mut sum: u64 = 0;
        for (customer, tickets) in &entries {
            let more = sum.checked_add(*tickets).filter(|_| *tickets > 0);
            sum = more.ok_or(DrawError::Tickets { customer: *customer, tickets: *tickets })?;
        }
        Ok(Entries(entries))
    }

    /// In the order of their ids.
    #[must_use]
    pub fn list(&self) -> &[(CustomerId, u64)] {
        &self.0
    }

    /// What says which list it is.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(b"crm draw entries 1");
        hash.update((self.0.len() as u64).to_be_bytes());
        for (customer, tickets) in &self.0 {
            hash.update(customer.as_uuid().as_bytes());
            hash.update(tickets.to_be_bytes());
        }
        Digest::from_bytes(hash.finalize().into())
    }
}

impl TryFrom<Vec<(CustomerId, u64)>> for Entries {
    type Error = DrawError;

    fn try_from(entries: Vec<(CustomerId, u64)>) -> Result<Self, DrawError> {
        Self::new(entries)
    }
}

impl From<Entries> for Vec<(CustomerId, u64)> {
    fn from(entries: Entries) -> Self {
        entries.0
    }
}

/// The stream of numbers of a draw.
struct Stream {
    seed: Seed,
    entries: Digest,
    block: u64,
    words: [u64; 4],
    next: usize,
}

impl Stream {
    const fn new(seed: Seed, entries: Digest) -> Self {
        Stream { seed, entries, block: 0, words: [0; 4], next: 4 }
    }

    fn word(&mut self) -> u64 {
        if self.next == self.words.len() {
            let mut hash = Sha256::new();
            hash.update(b"crm draw stream 1");
            hash.update(self.seed.0);
            hash.update(self.entries.as_bytes());
            hash.update(self.block.to_be_bytes());
            let block: [u8; 32] = hash.finalize().into();
            for (word, bytes) in self.words.iter_mut().zip(block.chunks_exact(8)) {
                *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            }
            // The sun burns out before.
            self.block = self.block.wrapping_add(1);
            self.next = 0;
        }
        self.next += 1;
        self.words[self.next - 1]
    }

    /// A number below another one, which is at least 1; each is as likely as any other.
    fn below(&mut self, limit: u64) -> u64 {
        // How many numbers are left over above the largest multiple.
        let over = (u64::MAX % limit + 1) % limit;
        loop {
            let word = self.word();
            if word <= u64::MAX - over {
                return word % limit;
            }
        }
    }
}

/// Sums of tickets that can be searched and changed in few steps (a Fenwick tree).
struct Tickets(Vec<u64>);

impl Tickets {
    fn new(entries: &[(CustomerId, u64)]) -> Self {
        let mut sums: Vec<u64> = std::iter::once(0).chain(entries.iter().map(|(_, tickets)| *tickets)).collect();
        for place in 1..sums.len() {
            let above = place + (place & place.wrapping_neg());
            if above < sums.len() {
                sums[above] += sums[place];
            }
        }
        Tickets(sums)
    }

    /// Whose ticket a number is, from 0.
    fn owner(&self, mut ticket: u64) -> usize {
        let mut place = 0;
        let mut step = self.0.len().next_power_of_two();
        while step > 0 {
            let next = place + step;
            if next < self.0.len() && self.0[next] <= ticket {
                ticket -= self.0[next];
                place = next;
            }
            step /= 2;
        }
        place
    }

    fn remove(&mut self, entry: usize, tickets: u64) {
        let mut place = entry + 1;
        while place < self.0.len() {
            self.0[place] -= tickets;
            place += place & place.wrapping_neg();
        }
    }
}

/// Who wins, the first prize first: `n` of them, or all where there are fewer. It follows from the arguments alone.
#[must_use]
pub fn winners(seed: &Seed, entries: &Entries, n: usize) -> Vec<CustomerId> {
    let list = entries.list();
    let mut stream = Stream::new(*seed, entries.digest());
    let mut tickets = Tickets::new(list);
    let mut left: u64 = list.iter().map(|(_, tickets)| *tickets).sum();
    let mut won = Vec::new();
    while won.len() < n && left > 0 {
        let owner = tickets.owner(stream.below(left));
        // A number below all tickets is somebody's.
        let Some((customer, own)) = list.get(owner) else { break };
        tickets.remove(owner, *own);
        left -= own;
        won.push(*customer);
    }
    won
}

/// Checks a draw by what was announced and what was revealed: `won` are the winners, the first prize first.
///
/// # Errors
///
/// `OtherSeed`, `OtherEntries` or `OtherWinners`.
pub fn verify(draw: &Draw, seed: &Seed, entries: &Entries, won: &[CustomerId]) -> Result<(), DrawError> {
    draw.opens(seed, entries)?;
    let n = usize::try_from(draw.winners).unwrap_or(usize::MAX);
    if winners(seed, entries, n) == won { Ok(()) } else { Err(DrawError::OtherWinners) }
}

impl Draw {
    /// Checks that a seed and entries are those that were announced.
    ///
    /// # Errors
    ///
    /// `OtherSeed` or `OtherEntries`.
    pub fn opens(&self, seed: &Seed, entries: &Entries) -> Result<(), DrawError> {
        if seed.commitment() != self.commitment {
            return Err(DrawError::OtherSeed);
        }
        if self.entries.is_some_and(|announced| announced != entries.digest()) {
            return Err(DrawError::OtherEntries);
        }
        Ok(())
    }
}

/// The customer won in a draw. The points are a posting beside this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawWon {
    /// Which draw.
    pub draw: DrawName,
    /// Which prize, from 1.
    pub place: u32,
    /// The seed, which is no secret any more.
    pub seed: Seed,
    /// The digest of the entries.
    pub entries: Digest,
    /// How many took part.
    pub among: u64,
    /// How many tickets the customer had.
    pub tickets: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> CustomerId {
        CustomerId::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn entries(tickets: &[u64]) -> Entries {
        Entries::new(tickets.iter().zip(1..).map(|(tickets, n)| (id(n), *tickets))).unwrap()
    }

    #[test]
    fn a_ticket_is_owned_by_its_entry_after_others_left() {
        let list = entries(&[3, 1, 5, 2]);
        let mut tickets = Tickets::new(list.list());
        let owners: Vec<usize> = (0..11).map(|ticket| tickets.owner(ticket)).collect();
        assert_eq!(owners, [0, 0, 0, 1, 2, 2, 2, 2, 2, 3, 3]);
        tickets.remove(0, 3);
        tickets.remove(2, 5);
        assert_eq!((0..3).map(|ticket| tickets.owner(ticket)).collect::<Vec<_>>(), [1, 3, 3]);
    }

    #[test]
    fn winners_are_as_they_were_published_once() {
        // Whoever kept a list and a seed finds the same winners in ten years.
        let list = entries(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let seed = Seed::from_bytes([7; 32]);
        let won: Vec<u128> = winners(&seed, &list, 4).iter().map(|won| won.as_uuid().as_u128()).collect();
        // Worked out by another program, after the documentation of this module.
        assert_eq!((won.as_slice(), &list.digest().to_string()[..8]), (&[3, 6, 5, 7][..], "d5f01ac6"));
    }

    #[test]
    fn a_number_of_the_stream_is_below_its_limit() {
        let mut stream = Stream::new(Seed::from_bytes([1; 32]), Digest::of(b"entries"));
        for limit in [1, 2, 3, u64::MAX / 2 + 2, u64::MAX] {
            for _ in 0..50 {
                assert!(stream.below(limit) < limit);
            }
        }
    }
}
