//! Expected breakage: how many of the points that are there nobody will redeem, going by what became of those before.
//!
//! [`Breakage`] says how.

use std::collections::BTreeMap;

use super::months::part_of;

/// How many whole months of a programme have to be known before breakage is estimated: a year, as less may be all of
/// one season.
pub const BREAKAGE_MONTHS_MIN: u32 = 12;

/// Older points are counted with those of this age, in months.
pub(super) const AGE_MAX: i32 = 600;

/// So many parts of a point are carried while points are led along the curve.
const PARTS: i128 = 1_000_000;

/// There is too little history to estimate breakage from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("breakage is estimated from {needed} whole months with points that could be redeemed, and there are {months}")]
pub struct TooLittleHistory {
    /// How many whole months there are, from the first points on.
    pub months: u32,
    /// How many there have to be.
    pub needed: u32,
}

/// What became of points at an age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CurveAge {
    /// How many points of this age there were to be redeemed, over all months.
    pub at_risk: i128,
    /// How many of them were, less what came back.
    pub redeemed: i128,
}

/// What is expected of the points that are there. The three parts add up to all of them.
///
/// Points are followed from the month on in which they were earned. For each age in months, all cohorts together say
/// which part of the points that were there was redeemed: the sum of what was redeemed over the sum of what could have
/// been. That is the volume-weighted factor of the chain ladder (T. Mack, "Distribution-free calculation of the
/// standard error of chain ladder reserve estimates", ASTIN Bulletin 23 (1993), 213-225), taken over what is not
/// redeemed yet, and the estimator of a life table (E. Kaplan and P. Meier, "Nonparametric estimation from incomplete
/// observations", JASA 53 (1958), 457-481): points that expire, or are taken back, leave the count and are not taken
/// for redeemed.
///
/// Each cohort that is there is then led along the curve to the end that its points have. What is left then is lost.
/// For what lasts longer than anything that was seen so far there is no estimate, and it is told apart.
///
/// IFRS 15 has breakage recognised in proportion to the pattern of rights exercised (B46), and only as far as it is
/// highly probable that it need not be taken back; see [`recognised`](Self::recognised).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breakage {
    /// From how many whole months it is estimated.
    pub months: u32,
    /// The curve: what became of points in the month in which they were earned, the one after, and so on.
    pub curve: Vec<CurveAge>,
    /// How many were redeemed so far, ever, less what came back.
    pub redeemed_so_far: i128,
    /// How many will be redeemed.
    pub redeemed: i128,
    /// How many will expire unredeemed: the expected breakage.
    pub lost: i128,
    /// How many will be older than anything that was seen so far, and are neither expired nor redeemed by then. Whether
    /// they ever will be is not known; where they never expire, the shop has to judge that by itself.
    pub beyond: i128,
}

impl Breakage {
    /// Of the expected breakage, what goes with the rights exercised so far (IFRS 15, B46): as large a share of it as
    /// what was redeemed is of all that ever will be, rounded down. What lies beyond the curve counts as still to be
    /// redeemed, so that it is rather too little than too much.
    #[must_use]
    pub const fn recognised(&self) -> i128 {
        let so_far = if self.redeemed_so_far > 0 { self.redeemed_so_far } else { 0 };
        part_of(self.lost, so_far, so_far + self.redeemed + self.beyond)
    }
}

/// What happened to the points of one month of issue in one month.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    entered: i128,
    redeemed: i128,
    left: i128,
}

/// What happened to points, by the month in which they were earned and their age in months.
#[derive(Debug, Clone, Default)]
pub(super) struct Cohorts {
    flows: BTreeMap<i32, BTreeMap<i32, Flow>>,
    /// What is there at the end, by month of issue and the last month in which it can be redeemed.
    there: BTreeMap<(i32, Option<i32>), i128>,
}

impl Cohorts {
    /// Points of a cohort came in (positive) or went, at an age.
    pub(super) fn note(&mut self, cohort: i32, age: i32, points: i128, redemption: bool) {
        let flow = self.flows.entry(cohort).or_default().entry(age).or_default();
        match (redemption, points > 0) {
            (true, _) => flow.redeemed -= points,
            (false, true) => flow.entered += points,
            (false, false) => flow.left -= points,
        }
    }

    /// Points of a cohort are there now, and can be redeemed until the end of a month.
    pub(super) fn there(&mut self, cohort: i32, last: Option<i32>, points: i128) {
        *self.there.entry((cohort, last)).or_default() += points;
    }

    /// What is expected at a month that is not over yet.
    pub(super) fn expect(&self, now: i32, redeemed_so_far: i128) -> Result<Breakage, TooLittleHistory> {
        let first = self.flows.keys().next().copied().unwrap_or(now);
        let months = u32::try_from(now - first).unwrap_or(0);
        let curve = self.curve(now);
        if months < BREAKAGE_MONTHS_MIN || curve.is_empty() {
            return Err(TooLittleHistory { months, needed: BREAKAGE_MONTHS_MIN });
        }
        let (mut all, mut lost, mut beyond) = (0, 0, 0);
        for ((cohort, last), points) in &self.there {
            all += points;
            let mut left = points.saturating_mul(PARTS);
            let age = usize::try_from(now - cohort).unwrap_or(0);
            let ages = last.map(|last| usize::try_from(last - cohort).unwrap_or(0));
            let seen = ages.map_or(curve.len(), |ages| curve.len().min(ages.saturating_add(1)));
            for CurveAge { at_risk, redeemed } in curve.iter().take(seen).skip(age) {
                left -= part_of(left, *redeemed, *at_risk);
            }
            let is_lost = ages.is_some_and(|ages| ages < curve.len());
            *(if is_lost { &mut lost } else { &mut beyond }) += left;
        }
        let (lost, beyond) = (lost / PARTS, beyond / PARTS);
        Ok(Breakage { months, curve, redeemed_so_far, redeemed: all - lost - beyond, lost, beyond })
    }

    /// What became of points at each age in the months before one, up to the first age at which there were none.
    fn curve(&self, now: i32) -> Vec<CurveAge> {
        let mut curve: Vec<CurveAge> = Vec::new();
        for (cohort, flows) in &self.flows {
            let mut open = 0;
            for (age, place) in (0..now - cohort).zip(0..) {
                let Flow { entered, redeemed, left } = flows.get(&age).copied().unwrap_or_default();
                if curve.len() <= place {
                    curve.push(CurveAge::default());
                }
                curve[place].at_risk += open + entered;
                curve[place].redeemed += redeemed;
                open += entered - redeemed - left;
            }
        }
        let seen = curve.iter().take_while(|age| age.at_risk > 0).count();
        curve.truncate(seen);
        curve
    }
}
