//! How many came how far: cohorts along the funnel, and what each stage let go on to the next, between two days.
//!
//! A period is half open and given by its two instants; for days these are midnights in UTC. What happens at its end
//! or later is not looked at, so that a question about the past has the same answer whenever it is asked. Counts are
//! of customers and exact; a rate is a [`parts_per_million`] of two of them.

use std::collections::BTreeMap;

use chrono::Datelike;

use super::history::place;
use super::{Stage, StagePath};
use crate::time::{Span, Timestamp};

/// From one instant until before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first instant of it.
    pub from: Timestamp,
    /// The first instant after it. One that is not after `from` makes a period of nothing.
    pub until: Timestamp,
}

impl Period {
    const fn has(self, at: Timestamp) -> bool {
        self.from.as_millis() <= at.as_millis() && at.as_millis() < self.until.as_millis()
    }
}

/// Who belongs together by their first contact. All in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CohortBy {
    /// The same day.
    Day,
    /// The same week, which begins on Monday (ISO 8601).
    Week,
    /// The same month of the Gregorian calendar.
    Month,
}

impl CohortBy {
    /// The midnight at which the cohort of an instant begins: its name.
    #[must_use]
    pub fn cohort_of(self, first_contact: Timestamp) -> Timestamp {
        let day = first_contact.midnight();
        let date = day.to_datetime();
        let back = match self {
            CohortBy::Day => 0,
            CohortBy::Week => date.weekday().num_days_from_monday(),
            CohortBy::Month => date.day0(),
        };
        day.minus(Span::days(back))
    }
}

/// A step of the funnel. Who took one has taken all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FunnelStep {
    /// Became known.
    Contact,
    /// Showed interest, by an enquiry, a cart, or at once by an order.
    Interest,
    /// Bought.
    Purchase,
    /// Went quiet after having bought.
    Quiet,
    /// Bought again after having gone quiet.
    WonBack,
}

impl FunnelStep {
    /// All of them, first to last.
    pub const ALL: [FunnelStep; 5] =
        [FunnelStep::Contact, FunnelStep::Interest, FunnelStep::Purchase, FunnelStep::Quiet, FunnelStep::WonBack];

    const fn place(self) -> usize {
        match self {
            FunnelStep::Contact => 0,
            FunnelStep::Interest => 1,
            FunnelStep::Purchase => 2,
            FunnelStep::Quiet => 3,
            FunnelStep::WonBack => 4,
        }
    }
}

/// How far those came whose first contact was in one cohort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cohort {
    reached: [u64; 5],
    /// Of how many the window had not ended when the period did: they may yet come further than is counted here.
    pub open: u64,
}

impl Cohort {
    /// How many took a step within the window. Never more than took the one before.
    #[must_use]
    pub const fn reached(&self, step: FunnelStep) -> u64 {
        self.reached[step.place()]
    }

    /// Adds what was counted of other customers.
    pub fn add(&mut self, other: Cohort) {
        self.reached.iter_mut().zip(other.reached).for_each(|(own, count)| *own += count);
        self.open += other.open;
    }

    /// How many are in the cohort.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.reached(FunnelStep::Contact)
    }

    /// How many of the cohort took a step, in parts per million.
    #[must_use]
    pub fn rate_ppm(&self, step: FunnelStep) -> Option<u32> {
        parts_per_million(self.reached(step), self.size())
    }
}

/// The cohorts of a period: of those whose first contact was in it, how many took each step within `window` of that
/// contact, and before the period ended. Cohorts that nobody is in are left out; the first and the last may be cut by
/// the period.
pub fn cohorts<'a>(
    paths: impl IntoIterator<Item = &'a StagePath>,
    period: Period,
    window: Span,
    by: CohortBy,
) -> BTreeMap<Timestamp, Cohort> {
    let mut cohorts = BTreeMap::<Timestamp, Cohort>::new();
    for path in paths {
        let Some(first) = path.first_contact().filter(|first| period.has(*first)) else { continue };
        let cohort = cohorts.entry(by.cohort_of(first)).or_default();
        let ends = first.plus(window);
        cohort.open += u64::from(ends > period.until);
        let steps = furthest(path, ends.min(period.until)).place();
        for reached in &mut cohort.reached[..=steps] {
            *reached += 1;
        }
    }
    cohorts
}

/// The last step that was taken before an instant, by one whose first contact counts in any case.
fn furthest(path: &StagePath, before: Timestamp) -> FunnelStep {
    let mut furthest = FunnelStep::Contact;
    for stay in path.stays().take_while(|stay| stay.from < before) {
        let step = match stay.stage {
            None | Some(Stage::Prospect) => FunnelStep::Contact,
            Some(Stage::Intent) => FunnelStep::Interest,
            Some(Stage::Purchase) if furthest >= FunnelStep::Quiet => FunnelStep::WonBack,
            Some(Stage::Purchase) => FunnelStep::Purchase,
            Some(Stage::Historical) => FunnelStep::Quiet,
        };
        furthest = furthest.max(step);
    }
    furthest
}

/// What a stage let go on to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conversion {
    /// How many were at the stage at some time of the period.
    pub there: u64,
    /// How many of them reached the next stage within the window. Never more than were there.
    pub moved_on: u64,
    /// How many of those who did not still had time for it when the period ended.
    pub open: u64,
}

impl Conversion {
    /// How many of those who were there moved on, in parts per million.
    #[must_use]
    pub fn rate_ppm(&self) -> Option<u32> {
        parts_per_million(self.moved_on, self.there)
    }
}

/// What each of the four stages let go on during a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conversions([Conversion; 4]);

impl Conversions {
    /// Adds what was counted of other customers.
    pub fn add(&mut self, other: Conversions) {
        for (own, count) in self.0.iter_mut().zip(other.0) {
            own.there += count.there;
            own.moved_on += count.moved_on;
            own.open += count.open;
        }
    }

    /// Of one stage. The next is, for
    /// - a prospect: intent, or a purchase at once;
    /// - intent: a purchase;
    /// - purchase: historical, which is how many were lost, the rate of churn;
    /// - historical: a purchase, the rate of win-back.
    #[must_use]
    pub const fn of(&self, stage: Stage) -> Conversion {
        self.0[place(stage)]
    }
}

/// What each stage let go on during a period, by cohort of the first contact, whenever that was. The window of a
/// customer runs from when they entered the stage, or from the beginning of the period for whoever was there already.
/// Who was at a stage more than once counts once, and has moved on if they did after any of these times.
pub fn conversions<'a>(
    paths: impl IntoIterator<Item = &'a StagePath>,
    period: Period,
    window: Span,
    by: CohortBy,
) -> BTreeMap<Timestamp, Conversions> {
    let mut all = BTreeMap::<Timestamp, Conversions>::new();
    for path in paths {
        let Some(first) = path.first_contact() else { continue };
        for stage in Stage::ALL {
            let Some((moved_on, open)) = moved_on(path, stage, period, window) else { continue };
            let conversion = &mut all.entry(by.cohort_of(first)).or_default().0[place(stage)];
            conversion.there += 1;
            conversion.moved_on += u64::from(moved_on);
            conversion.open += u64::from(open && !moved_on);
        }
    }
    all
}

/// Whether somebody moved on from a stage, and whether a window was open at the end; none if they were not there.
fn moved_on(path: &StagePath, stage: Stage, period: Period, window: Span) -> Option<(bool, bool)> {
    let mut answer = None;
    // Until when an arrival at the next stage counts.
    let mut counts_until = Timestamp::MIN;
    for stay in path.stays().take_while(|stay| stay.from < period.until) {
        if stay.from < counts_until && stay.stage.is_some_and(|to| is_next(stage, to)) {
            answer = Some((true, false));
        }
        let from = stay.from.max(period.from);
        let lasts = stay.until.is_none_or(|until| until > from) || (stay.from >= period.from);
        if stay.stage == Some(stage) && lasts && from < period.until {
            counts_until = from.plus(window);
            let (moved, _) = answer.unwrap_or((false, false));
            answer = Some((moved, counts_until > period.until));
        }
    }
    answer
}

const fn is_next(stage: Stage, to: Stage) -> bool {
    match stage {
        Stage::Prospect => matches!(to, Stage::Intent | Stage::Purchase),
        Stage::Intent | Stage::Historical => matches!(to, Stage::Purchase),
        Stage::Purchase => matches!(to, Stage::Historical),
    }
}

/// A share in millionths, rounded to the nearest, halves up; none of nothing. A part is at most the whole.
#[must_use]
pub fn parts_per_million(part: u64, whole: u64) -> Option<u32> {
    let (part, whole) = (u128::from(part.min(whole)), u128::from(whole));
    let millionths = (part * 1_000_000 + whole / 2).checked_div(whole)?;
    u32::try_from(millionths).ok()
}
