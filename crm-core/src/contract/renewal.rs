//! How many contracts were renewed of those that were due, how many were lost, and how many are new.
//!
//! New sign-ups and renewals are told apart throughout, as they are different work with different rates:
//!
//! - the *renewal rate* is of the terms whose agreed end is in the period, those that were renewed without a gap; terms
//!   whose grace is not over are open, and in neither;
//! - the *churn rate* is of the contracts that ran when the period began, those that neither ran nor could be renewed any
//!   more when it ended;
//! - the *growth* by sign-ups is the contracts signed during the period beside those that ran when it began.
//!
//! A contract that was ended before its term was over is churn in the period in which it ended, and not renewed in the one
//! in which it would have been due.

use std::collections::BTreeMap;

use super::{Contract, Motion};
use crate::lifecycle::{Period, parts_per_million};
use crate::money::{Currency, Money};
use crate::time::Timestamp;

/// What terms are worth in one currency, in minor units; those whose value is not known are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RenewalMoney {
    /// Terms that were due and are not open.
    pub due: i128,
    /// Of these, the ones that were renewed, at what they were worth before.
    pub renewed: i128,
    /// The terms that these were renewed for.
    pub renewed_for: i128,
    /// First terms of contracts signed in the period.
    pub signed: i128,
}

/// Contracts counted over a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewals {
    /// Contracts that ran when the period began.
    pub running_at_start: u64,
    /// Contracts that ran when it ended.
    pub running_at_end: u64,
    /// Contracts signed in the period.
    pub signed: u64,
    /// Terms whose agreed end is in the period.
    pub due: u64,
    /// Of these, renewed without a gap.
    pub renewed: u64,
    /// Of these, not renewed yet, and the grace is not over.
    pub open: u64,
    /// Of these, ended by a word.
    pub ended: u64,
    /// Of these, neither renewed nor ended: nobody said anything.
    pub lapsed: u64,
    /// Of the contracts that ran when the period began, gone when it ended.
    pub churned: u64,
    /// By what terms are worth.
    pub money: BTreeMap<Currency, RenewalMoney>,
}

impl Renewals {
    /// Counts a contract over a period, as it is known at an instant.
    pub fn count(&mut self, contract: &Contract, period: Period, at: Timestamp) {
        let has = |instant: Timestamp| period.from <= instant && instant < period.until && instant <= at;
        let end = period.until.min(at);
        let ran = contract.runs(period.from);
        self.running_at_start += u64::from(ran);
        self.running_at_end += u64::from(contract.runs(end));
        self.churned += u64::from(ran && !contract.lives(end));
        let next = contract.terms.iter().skip(1).map(Some).chain([None]);
        for (term, next) in contract.terms.iter().zip(next) {
            if term.motion == Motion::Signed && has(term.told_at) {
                self.signed += 1;
                self.add(term.value, |money| &mut money.signed);
            }
            if !term.agreed_until.is_some_and(has) {
                continue;
            }
            self.due += 1;
            let renewal = next.filter(|next| next.motion == Motion::Renewed && Some(next.from) == term.until);
            match renewal {
                Some(next) => {
                    self.renewed += 1;
                    self.add(term.value, |money| &mut money.renewed);
                    self.add(next.value, |money| &mut money.renewed_for);
                }
                None if term.ended.is_some() => self.ended += 1,
                None if at < term.held_until => {
                    self.open += 1;
                    continue;
                }
                None => self.lapsed += 1,
            }
            self.add(term.value, |money| &mut money.due);
        }
    }

    fn add(&mut self, value: Option<Money>, to: impl Fn(&mut RenewalMoney) -> &mut i128) {
        if let Some(value) = value {
            *to(self.money.entry(value.currency()).or_default()) += i128::from(value.minor());
        }
    }

    /// How many of the terms that were due were renewed, in parts per million; open ones are left out.
    #[must_use]
    pub fn renewal_rate_ppm(&self) -> Option<u32> {
        parts_per_million(self.renewed, self.due.saturating_sub(self.open))
    }

    /// How many of the contracts that ran when the period began were lost in it, in parts per million.
    #[must_use]
    pub fn churn_rate_ppm(&self) -> Option<u32> {
        parts_per_million(self.churned, self.running_at_start)
    }

    /// How many contracts were signed beside those that ran when the period began, in parts per million; none if none
    /// did. It may be more than a million.
    #[must_use]
    pub fn growth_ppm(&self) -> Option<u64> {
        (self.signed.saturating_mul(1_000_000)).checked_div(self.running_at_start)
    }
}

impl RenewalMoney {
    /// What the renewed terms were worth of all that were due, in parts per million.
    #[must_use]
    pub fn renewal_rate_ppm(&self) -> Option<u32> {
        let whole = |amount: i128| u64::try_from(amount).unwrap_or(u64::MAX);
        parts_per_million(whole(self.renewed), whole(self.due))
    }
}
