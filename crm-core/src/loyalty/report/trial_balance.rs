//! The trial balance: the sums of all accounts of a programme at an instant.

use crate::loyalty::{Account, PointsTotals, Posting};
use crate::time::Timestamp;

/// The sums of all accounts of a programme at an instant. What customers have is positive, and so is what became of
/// points; what was issued is negative (see [`Account`]). Each posting's entries sum to zero, and so do all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialBalance {
    /// The instant: what happened at it counts.
    pub at: Timestamp,
    /// How many postings there were until then.
    pub postings: u64,
    /// How many customers have any. Of somebody who was merged each counts who has a book.
    pub customers: u64,
    sums: [i128; Account::ALL.len()],
}

impl TrialBalance {
    /// One of nothing yet.
    #[must_use]
    pub const fn new(at: Timestamp) -> Self {
        TrialBalance { at, postings: 0, customers: 0, sums: [0; Account::ALL.len()] }
    }

    /// Counts the postings of one customer's own book in the programme, with the times at which they happened, in
    /// whichever order; later ones are left out.
    pub fn add<'a>(&mut self, postings: impl Iterator<Item = (Timestamp, &'a Posting)>) {
        let before = self.postings;
        for (_, posting) in postings.filter(|(at, _)| *at <= self.at) {
            self.postings += 1;
            for (account, points) in posting.entries() {
                // A sum of numbers of 64 bits: there would have to be 2^64 of them for it to overflow.
                self.sums[place(account)] += points;
            }
        }
        self.customers += u64::from(self.postings > before);
    }

    /// The sum of an account.
    #[must_use]
    pub const fn of(&self, account: Account) -> i128 {
        self.sums[place(account)]
    }

    /// The sums of all accounts, in the order of [`Account::ALL`].
    pub fn accounts(&self) -> impl Iterator<Item = (Account, i128)> + '_ {
        Account::ALL.into_iter().map(|account| (account, self.of(account)))
    }

    /// The sum of all: 0, unless a posting was damaged.
    #[must_use]
    pub fn sum(&self) -> i128 {
        self.sums.iter().sum()
    }

    /// What customers have, pending and held points included, debts deducted.
    #[must_use]
    pub const fn outstanding(&self) -> i128 {
        self.of(Account::CustomerPending)
            + self.of(Account::CustomerActive)
            + self.of(Account::CustomerHeld)
            + self.of(Account::CustomerDebt)
    }

    /// The accounts of the programme, as customers' books have them, so that they can be compared.
    #[must_use]
    pub fn totals(&self) -> PointsTotals {
        let mut totals = PointsTotals::default();
        self.accounts().for_each(|(account, points)| totals.book(account, points));
        totals
    }

    /// Whether it adds up: what was issued is what is outstanding, redeemed, reversed, expired and breakage, less what
    /// was put right in favour of customers and what they received from each other.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.sum() == 0 && self.totals().outstanding() == self.outstanding()
    }
}

const fn place(account: Account) -> usize {
    match account {
        Account::CustomerPending => 0,
        Account::CustomerActive => 1,
        Account::CustomerHeld => 2,
        Account::CustomerDebt => 3,
        Account::Issued => 4,
        Account::Reversed => 5,
        Account::Redeemed => 6,
        Account::Expired => 7,
        Account::Breakage => 8,
        Account::Adjusted => 9,
        Account::Transferred => 10,
    }
}
