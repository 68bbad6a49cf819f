//! Points that another system kept: a customer's balance, lot by lot.

use serde::{Deserialize, Serialize};

use super::book::PointsBook;
use super::event::{Posting, PostingKind, Qualifying};
use super::lots::{LotTerms, Origin, Waits};
use super::{LOYALTY_POINTS_MAX, ProgramId, Shortfall};
use crate::text::{Remark, text_type};
use crate::time::Timestamp;

text_type!(
    /// The name of an import, such as `till-2026`. Each customer's balance is taken in once under it.
    ImportName, "import", 64
);

/// The most lots, and the most entries of qualifying points, of one balance.
pub const IMPORT_ENTRIES_MAX: usize = 1_000;

/// Points that came together in another system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedLot {
    /// How many are left, at least 1.
    pub points: i64,
    /// When they were earned.
    pub earned_at: Timestamp,
    /// When they expire; none means never, or so long after the customer's last activity where the programme says so.
    /// The programme's own rule is for what it gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// From when on they can be spent; none, and an instant that has passed, mean at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_from: Option<Timestamp>,
}

impl ImportedLot {
    /// Points that can be spent at once and never expire.
    #[must_use]
    pub const fn new(points: i64, earned_at: Timestamp) -> Self {
        ImportedLot { points, earned_at, expires_at: None, active_from: None }
    }

    /// With an end.
    #[must_use]
    pub const fn expiring_at(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// Whether it has ended at an instant.
    #[must_use]
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= at)
    }
}

/// Take in what another system kept of a customer. What is owed there is taken from what can be spent, the points that
/// expire soonest first, and the rest of it is a debt here. Lots that are over by now are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportPoints {
    /// Into which programme.
    pub program: ProgramId,
    /// As the balance is called where it comes from.
    pub reason: Remark,
    /// What is left of what was earned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<ImportedLot>,
    /// What counts towards tiers, by when it was earned. It is apart from the lots, as what was spent counts too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifying: Vec<Qualifying>,
    /// What the customer owes.
    #[serde(default)]
    pub owed: i64,
}

/// Why a balance was refused. Places count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportFault {
    /// A lot of no points, or of too many.
    #[error("lot {lot} is of {points} points, not between 1 and {LOYALTY_POINTS_MAX}")]
    Amount {
        /// Which lot.
        lot: usize,
        /// How many points it is said to have.
        points: i64,
    },
    /// A lot that ended when it was earned, or before.
    #[error("lot {lot} expires at {expires_at}, and was earned at {earned_at}")]
    Expiry {
        /// Which lot.
        lot: usize,
        /// When it was earned.
        earned_at: Timestamp,
        /// When it is said to expire.
        expires_at: Timestamp,
    },
    /// A lot that would never be spent: it is over before it can be.
    #[error("lot {lot} can be spent from {active_from} on, and expires at {expires_at}")]
    NeverActive {
        /// Which lot.
        lot: usize,
        /// From when on it could be spent.
        active_from: Timestamp,
        /// When it is said to expire.
        expires_at: Timestamp,
    },
    /// A lot that will be earned.
    #[error("lot {lot} was earned at {earned_at}, which is to come")]
    Future {
        /// Which lot.
        lot: usize,
        /// When it is said to have been earned.
        earned_at: Timestamp,
    },
    /// Qualifying points that are none, or too many.
    #[error("entry {entry} of qualifying points is of {points}, not between 1 and {LOYALTY_POINTS_MAX}")]
    Qualifying {
        /// Which entry.
        entry: usize,
        /// How many points it is said to have.
        points: i64,
    },
    /// Qualifying points that will be earned.
    #[error("entry {entry} of qualifying points was earned at {at}, which is to come")]
    QualifyingFuture {
        /// Which entry.
        entry: usize,
        /// When it is said to have been earned.
        at: Timestamp,
    },
    /// A debt of fewer points than none, or of too many.
    #[error("{owed} points are owed, not between 0 and {LOYALTY_POINTS_MAX}")]
    Owed {
        /// How many are said to be owed.
        owed: i64,
    },
    /// All lots together, or all qualifying points together, are too many.
    #[error("a balance comes to {points} points, more than {LOYALTY_POINTS_MAX}")]
    Sum {
        /// What they come to.
        points: i128,
    },
    /// Too many lots or entries.
    #[error("a balance has {entries} {what}, more than {IMPORT_ENTRIES_MAX}")]
    Entries {
        /// Of what.
        what: &'static str,
        /// How many.
        entries: usize,
    },
    /// Nothing at all.
    #[error("a balance of nothing")]
    Nothing,
}

/// What balances come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSums {
    /// How many balances.
    pub balances: u64,
    /// How many lots are not over.
    pub lots: u64,
    /// Points of these.
    pub points: i128,
    /// How many lots are over.
    pub expired_lots: u64,
    /// Points of those.
    pub expired: i128,
    /// Points that count towards tiers.
    pub qualifying: i128,
    /// Points that are owed.
    pub owed: i128,
}

impl ImportSums {
    /// What customers have, debts deducted.
    #[must_use]
    pub const fn outstanding(&self) -> i128 {
        self.points - self.owed
    }
}

impl std::ops::AddAssign for ImportSums {
    fn add_assign(&mut self, other: Self) {
        self.balances += other.balances;
        self.lots += other.lots;
        self.points += other.points;
        self.expired_lots += other.expired_lots;
        self.expired += other.expired;
        self.qualifying += other.qualifying;
        self.owed += other.owed;
    }
}

impl ImportPoints {
    /// What it comes to, with the lots apart that are over at an instant; checked before anything is added up.
    ///
    /// # Errors
    ///
    /// The first `ImportFault`.
    pub fn sums(&self, at: Timestamp) -> Result<ImportSums, ImportFault> {
        let ImportPoints { program: _, reason: _, lots, qualifying, owed } = self;
        for (what, entries) in [("lots", lots.len()), ("entries of qualifying points", qualifying.len())] {
            if entries > IMPORT_ENTRIES_MAX {
                return Err(ImportFault::Entries { what, entries });
            }
        }
        if lots.is_empty() && qualifying.is_empty() && *owed == 0 {
            return Err(ImportFault::Nothing);
        }
        let mut sums = ImportSums { balances: 1, owed: (*owed).into(), ..ImportSums::default() };
        if !(0..=LOYALTY_POINTS_MAX).contains(owed) {
            return Err(ImportFault::Owed { owed: *owed });
        }
        for (place, lot) in lots.iter().enumerate() {
            lot.check(place, at)?;
            let (count, points) = if lot.is_over(at) {
                (&mut sums.expired_lots, &mut sums.expired)
            } else {
                (&mut sums.lots, &mut sums.points)
            };
            *count += 1;
            *points += i128::from(lot.points);
        }
        for (entry, Qualifying { points, at: earned }) in qualifying.iter().enumerate() {
            if !(1..=LOYALTY_POINTS_MAX).contains(points) {
                return Err(ImportFault::Qualifying { entry, points: *points });
            }
            if *earned > at {
                return Err(ImportFault::QualifyingFuture { entry, at: *earned });
            }
            sums.qualifying += i128::from(*points);
        }
        let most = (sums.points + sums.expired).max(sums.qualifying);
        if most > LOYALTY_POINTS_MAX.into() {
            return Err(ImportFault::Sum { points: most });
        }
        Ok(sums)
    }

    /// The postings that bring it into a book: the lots with the first of the qualifying points, then one for each more
    /// of these, then what is owed. None where all lots are over and nothing else is told.
    ///
    /// # Errors
    ///
    /// `ImportFault`.
    pub fn decide(&self, book: &PointsBook, at: Timestamp) -> Result<Vec<Posting>, ImportFault> {
        self.sums(at)?;
        let kind = PostingKind::Imported { reason: self.reason.clone() };
        let fresh = || Posting::new(self.program.clone(), kind.clone());
        let mut postings: Vec<Posting> = Vec::new();
        let mut after = book.clone();
        let mut lots = fresh();
        let mut opened = 0;
        for lot in self.lots.iter().filter(|lot| !lot.is_over(at)) {
            let before = lots.moves.len();
            lots = after.give(lots, lot.points, lot.terms(at));
            // The book numbers each as its next one.
            if let Some(change) = lots.moves.get_mut(before) {
                change.lot = change.lot.saturating_add(opened);
                opened += 1;
            }
        }
        let mut qualifying = self.qualifying.iter().copied();
        if !lots.moves.is_empty() || lots.owed != 0 {
            postings.push(Posting { qualifying: qualifying.next(), ..lots });
        }
        postings.extend(qualifying.map(|one| Posting { qualifying: Some(one), ..fresh() }));
        postings.iter().for_each(|posting| after.apply(posting));
        if self.owed > 0 {
            postings.push(after.take(fresh(), self.owed, None, Shortfall::Owed));
        }
        Ok(postings)
    }
}

impl ImportedLot {
    fn check(&self, lot: usize, at: Timestamp) -> Result<(), ImportFault> {
        let ImportedLot { points, earned_at, expires_at, active_from } = *self;
        if !(1..=LOYALTY_POINTS_MAX).contains(&points) {
            return Err(ImportFault::Amount { lot, points });
        }
        if earned_at > at {
            return Err(ImportFault::Future { lot, earned_at });
        }
        let Some(expires_at) = expires_at else { return Ok(()) };
        if expires_at <= earned_at {
            return Err(ImportFault::Expiry { lot, earned_at, expires_at });
        }
        match active_from {
            Some(active_from) if active_from >= expires_at => {
                Err(ImportFault::NeverActive { lot, active_from, expires_at })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn terms(&self, at: Timestamp) -> LotTerms {
        let ImportedLot { points: _, earned_at, expires_at, active_from } = *self;
        let waits = active_from.filter(|from| *from > at).map(Waits::Until);
        LotTerms { waits, ..LotTerms::new(Origin::Import, earned_at, expires_at) }
    }
}
