//! What is still to be redeemed: points by age, by when they end, in money, and how many of them never will be.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::breakage::{AGE_MAX, Breakage, Cohorts, TooLittleHistory};
use super::months::month_of;
use super::{PointsStanding, Posted};
use crate::loyalty::{Account, LotTerms, Program, Redemption};
use crate::money::Currency;
use crate::time::{Span, Timestamp};

/// Where bands begin and end, in days of 24 hours, ascending. `[30, 90]` makes three: below 30 days, from 30 to below
/// 90, and from 90 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bands {
    age: Vec<u32>,
    expiry: Vec<u32>,
}

impl Bands {
    /// Bands of ages, and of times that are left. Limits in any order; the same twice counts once, and 0 is none.
    #[must_use]
    pub fn new(age_days: impl IntoIterator<Item = u32>, expiry_days: impl IntoIterator<Item = u32>) -> Self {
        let limits = |mut days: Vec<u32>| {
            days.retain(|days| *days > 0);
            days.sort_unstable();
            days.dedup();
            days
        };
        Bands { age: limits(age_days.into_iter().collect()), expiry: limits(expiry_days.into_iter().collect()) }
    }
}

impl Default for Bands {
    /// A month, a quarter, half a year, a year, and for ages two years.
    fn default() -> Self {
        Bands::new([30, 90, 180, 365, 730], [30, 90, 180, 365])
    }
}

/// How many points, in how many lots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BandSum {
    /// Points: pending, active and held ones.
    pub points: i128,
    /// In so many lots.
    pub lots: u64,
}

impl BandSum {
    const fn add(&mut self, points: i128) {
        self.points += points;
        self.lots += 1;
    }
}

/// The points of one band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// From so many days on.
    pub from_days: u32,
    /// To below so many; none in the last band.
    pub until_days: Option<u32>,
    /// What is in it.
    pub sum: BandSum,
}

/// What is still to be redeemed in a programme at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liability {
    /// The instant: what happened at it counts.
    pub at: Timestamp,
    /// How many customers have points, or owe some. Of somebody who was merged each counts who has a book.
    pub customers: u64,
    /// What all have together.
    pub standing: PointsStanding,
    /// Points by the time since they were earned. The bands add up to what is pending, active and held.
    pub by_age: Vec<Band>,
    /// Points by the time that is left until they end.
    pub by_expiry: Vec<Band>,
    /// Points whose end has come: they are held, or what was due was not worked off since.
    pub overdue: BandSum,
    /// Points without an end of their own: they last for ever, or until so long after the customer's last activity.
    pub without_end: BandSum,
    /// What is expected of them, or why that cannot be said. See [`Breakage`] for the method.
    pub breakage: Result<Breakage, TooLittleHistory>,
    /// In which currency points are redeemed.
    pub currency: Currency,
    /// What they are worth; none if no order can be paid with them.
    pub redemption: Option<Redemption>,
}

impl Liability {
    /// What so many points are worth in minor units, by the rule in force at the instant, rounded up: each customer's
    /// may be redeemed apart from the others'. The least number of points that can be redeemed at once, and the share
    /// of an order, are left out of account. None where points are not redeemed for money; of fewer than none it is 0.
    #[must_use]
    pub fn minor(&self, points: i128) -> Option<i128> {
        let Redemption { points: per, minor, .. } = self.redemption?;
        let per = i128::from(per);
        if per == 0 {
            return None;
        }
        Some(points.max(0).saturating_mul(i128::from(minor)).saturating_add(per - 1) / per)
    }

    /// All that is pending, active and held.
    #[must_use]
    pub const fn gross(&self) -> i128 {
        self.standing.pending + self.standing.active + self.standing.held
    }

    /// The points that count as a liability: all that is there, less the expected breakage where that is known. What
    /// customers owe is not set against it, as others owe it than those who have points.
    #[must_use]
    pub fn expected(&self) -> i128 {
        self.gross() - self.breakage.as_ref().map_or(0, |breakage| breakage.lost)
    }
}

/// A liability in the making. It keeps a few numbers for each month of issue and each month after it, however many
/// customers there are.
#[derive(Debug, Clone)]
pub struct LiabilityCount {
    at: Timestamp,
    zone: Tz,
    now: i32,
    bands: Bands,
    customers: u64,
    standing: PointsStanding,
    by_age: Vec<BandSum>,
    by_expiry: Vec<BandSum>,
    overdue: BandSum,
    without_end: BandSum,
    cohorts: Cohorts,
    redeemed: i128,
    currency: Currency,
    redemption: Option<Redemption>,
}

impl LiabilityCount {
    /// One of nothing yet. Months are those of the programme's zone.
    #[must_use]
    pub fn new(program: &Program, at: Timestamp, bands: Bands) -> Self {
        LiabilityCount {
            at,
            zone: program.zone,
            now: month_of(at, program.zone),
            by_age: vec![BandSum::default(); bands.age.len() + 1],
            by_expiry: vec![BandSum::default(); bands.expiry.len() + 1],
            bands,
            customers: 0,
            standing: PointsStanding::default(),
            overdue: BandSum::default(),
            without_end: BandSum::default(),
            cohorts: Cohorts::default(),
            redeemed: 0,
            currency: program.currency,
            redemption: program.redemption,
        }
    }

    /// Counts the postings of one customer's own book in the programme: all of them, as what a posting is about may
    /// have been told by a later one. Those after the instant are left out.
    pub fn add<'a>(&mut self, postings: impl Iterator<Item = Posted<'a>> + Clone) {
        let mut lots: BTreeMap<u32, (LotTerms, i128)> = BTreeMap::new();
        for change in postings.clone().flat_map(|posted| &posted.posting.moves) {
            if let Some(terms) = change.opens {
                lots.entry(change.lot).or_insert((terms, 0));
            }
        }
        let mut standing = PointsStanding::default();
        for Posted { at, posting, .. } in postings.filter(|posted| posted.at <= self.at) {
            standing = standing.and(posting.change());
            let redemption = posting.kind.account() == Some(Account::Redeemed);
            let month = month_of(at, self.zone);
            if redemption {
                self.redeemed -= posting.points();
            }
            let mut moved: BTreeMap<u32, i128> = BTreeMap::new();
            for change in &posting.moves {
                *moved.entry(change.lot).or_default() += i128::from(change.points);
            }
            for (lot, points) in moved.into_iter().filter(|(_, points)| *points != 0) {
                let Some((terms, left)) = lots.get_mut(&lot) else { continue };
                *left += points;
                let cohort = cohort(terms, self.now, self.zone);
                if month < self.now {
                    self.cohorts.note(cohort, (month - cohort).max(0), points, redemption);
                }
            }
        }
        self.customers += u64::from(standing != PointsStanding::default());
        self.standing = self.standing.and(standing);
        for (terms, points) in lots.into_values().filter(|(_, points)| *points != 0) {
            self.add_lot(&terms, points);
        }
    }

    fn add_lot(&mut self, terms: &LotTerms, points: i128) {
        self.by_age[band(&self.bands.age, self.at.days_since(terms.earned_at))].add(points);
        match terms.expires_at {
            None => self.without_end.add(points),
            Some(end) if end <= self.at => self.overdue.add(points),
            Some(end) => self.by_expiry[band(&self.bands.expiry, end.days_since(self.at))].add(points),
        }
        // Whatever ends with a month cannot be redeemed in the next one.
        let last = terms.expires_at.map(|end| month_of(end.minus(Span::millis(1)), self.zone).max(self.now));
        self.cohorts.there(cohort(terms, self.now, self.zone), last, points);
    }

    /// What it came to.
    #[must_use]
    pub fn finish(self) -> Liability {
        let banded = |limits: &[u32], sums: Vec<BandSum>| {
            let from = std::iter::once(0).chain(limits.iter().copied());
            let until = limits.iter().copied().map(Some).chain([None]);
            let bands = from.zip(until).zip(sums);
            bands.map(|((from_days, until_days), sum)| Band { from_days, until_days, sum }).collect()
        };
        Liability {
            at: self.at,
            customers: self.customers,
            standing: self.standing,
            by_age: banded(&self.bands.age, self.by_age),
            by_expiry: banded(&self.bands.expiry, self.by_expiry),
            overdue: self.overdue,
            without_end: self.without_end,
            breakage: self.cohorts.expect(self.now, self.redeemed),
            currency: self.currency,
            redemption: self.redemption,
        }
    }
}

/// The month of issue: not before what counts as oldest, and not after the present.
fn cohort(terms: &LotTerms, now: i32, zone: Tz) -> i32 {
    month_of(terms.earned_at, zone).clamp(now - AGE_MAX, now)
}

fn band(limits: &[u32], days: i64) -> usize {
    limits.partition_point(|limit| i64::from(*limit) <= days)
}
