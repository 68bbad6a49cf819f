//! Lots: points that came together, and go together when their time is up.

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::id::{CustomerId, EventId};
use crate::time::{Span, Timestamp};

/// Where points came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// A fact earned them: an order, a visit.
    Fact(EventId),
    /// The shop, or a plugin, gave them.
    Award,
    /// They were brought along from another system.
    Import,
    /// Another customer gave them.
    Gift(CustomerId),
    /// They had expired and were given back.
    Reinstated,
    /// They had expired and were given back, and the shop, or a plugin, had given them first at this instant.
    Reawarded(Timestamp),
    /// A fact earned them for a pool. While they are pending in the book of whoever earned them they are on their way there.
    Share {
        /// Which fact.
        fact: EventId,
        /// Whose pool.
        pool: CustomerId,
        /// What share of what it earned the pool gets, in millionths.
        millionths: u32,
    },
}

/// What pending points wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// For an instant.
    Until(Timestamp),
    /// Until so long after the order that earned them was delivered.
    Delivery(Span),
}

/// What holds for all points of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct LotTerms {
    /// Where they came from.
    pub origin: Origin,
    /// Since when they count.
    pub earned_at: Timestamp,
    /// What they wait for before they can be spent; none means that they never did.
    #[serde(default)]
    pub waits: Option<Waits>,
    /// When they expire; none means never, or so long after the customer's last activity as the programme says.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// By how much longer they last than the programme says, where it is the customer's activity that puts off their end: by
    /// the tier in which they were earned.
    #[serde(default = "no_longer")]
    pub longer: Span,
}

const fn no_longer() -> Span {
    Span::millis(0)
}

impl Serialize for LotTerms {
    /// Events leave out what nearly no points have; states have no names, and everything in its place.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let LotTerms { origin, earned_at, waits, expires_at, longer } = self;
        let whole = !serializer.is_human_readable() || *longer != no_longer();
        let mut terms = serializer.serialize_struct("LotTerms", 4 + usize::from(whole))?;
        terms.serialize_field("origin", origin)?;
        terms.serialize_field("earned_at", earned_at)?;
        terms.serialize_field("waits", waits)?;
        terms.serialize_field("expires_at", expires_at)?;
        if whole {
            terms.serialize_field("longer", longer)?;
        }
        terms.end()
    }
}

impl LotTerms {
    /// Points that can be spent at once, and end at an instant or as activity says.
    pub(crate) const fn new(origin: Origin, earned_at: Timestamp, expires_at: Option<Timestamp>) -> Self {
        LotTerms { origin, earned_at, waits: None, expires_at, longer: no_longer() }
    }

    /// The fact that earned them, if one did.
    #[must_use]
    pub const fn fact(&self) -> Option<EventId> {
        match self.origin {
            Origin::Fact(fact) | Origin::Share { fact, .. } => Some(fact),
            Origin::Award | Origin::Import | Origin::Gift(_) | Origin::Reinstated | Origin::Reawarded(_) => None,
        }
    }

    /// When the shop, or a plugin, gave them first, if it did.
    #[must_use]
    pub const fn awarded_at(&self) -> Option<Timestamp> {
        match self.origin {
            Origin::Award => Some(self.earned_at),
            Origin::Reawarded(at) => Some(at),
            Origin::Fact(_) | Origin::Share { .. } | Origin::Import | Origin::Gift(_) | Origin::Reinstated => None,
        }
    }
}

impl Lot {
    /// Whether points of it are on their way to a pool: nothing but a posting to the pool moves them on.
    pub(super) const fn is_on_its_way(&self) -> bool {
        self.pending > 0 && matches!(self.terms.origin, Origin::Share { .. })
    }
}

/// When points of a lot end, as of now. What is held of them does not end before the hold has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PointsEnd {
    /// Whatever the customer does.
    At(Timestamp),
    /// Unless the customer does anything before that: each [activity](crate::event::Fact::is_activity) puts it off.
    UnlessActive(Timestamp),
    /// Never, by what the programme says now.
    Never,
}

/// What can be done with points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// Not yet anything: the goods may still come back.
    Pending,
    /// They can be spent.
    #[default]
    Active,
    /// They are set aside under a hold.
    Held,
}

impl Bucket {
    pub(super) const fn is_active(&self) -> bool {
        matches!(self, Bucket::Active)
    }
}

/// Points that came together and expire together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// Its number within the customer's book, from 0.
    pub lot: u32,
    /// How many cannot be spent yet.
    pub pending: i64,
    /// How many can.
    pub active: i64,
    /// How many are held.
    pub held: i64,
    /// What holds for all of them.
    pub terms: LotTerms,
}

impl Lot {
    pub(super) const fn new(lot: u32, terms: LotTerms) -> Self {
        Lot { lot, pending: 0, active: 0, held: 0, terms }
    }

    /// The order in which lots are spent: soonest expiry first, then the oldest, never-expiring last. Of those that activity
    /// puts off, those last that last longer.
    pub(super) const fn rank(&self) -> (bool, Option<Timestamp>, Span, Timestamp, u32) {
        let LotTerms { origin: _, earned_at, waits: _, expires_at, longer } = self.terms;
        (expires_at.is_none(), expires_at, longer, earned_at, self.lot)
    }

    /// How many are left of it, in whichever bucket; never 0.
    #[must_use]
    pub const fn left(&self) -> i64 {
        self.pending.saturating_add(self.active).saturating_add(self.held)
    }

    pub(super) const fn bucket(&self, bucket: Bucket) -> i64 {
        match bucket {
            Bucket::Pending => self.pending,
            Bucket::Active => self.active,
            Bucket::Held => self.held,
        }
    }

    pub(super) const fn bucket_mut(&mut self, bucket: Bucket) -> &mut i64 {
        match bucket {
            Bucket::Pending => &mut self.pending,
            Bucket::Active => &mut self.active,
            Bucket::Held => &mut self.held,
        }
    }
}
