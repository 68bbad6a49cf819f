//! Points by what became of them.

use serde::{Deserialize, Serialize};

use super::Account;

/// Points by what became of them, since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsTotals {
    /// Earned, awarded or brought along.
    pub earned: i128,
    /// Spent, less what came back.
    pub spent: i128,
    /// Taken back from what had earned them.
    pub reversed: i128,
    /// Expired, less what was reinstated.
    pub expired: i128,
    /// Put right by hand, and borne by the programme: positive in favour of customers.
    pub adjusted: i128,
    /// Received from other customers, less what was given to them.
    pub transferred: i128,
    /// Left by those who left.
    pub forfeited: i128,
}

impl PointsTotals {
    /// What has to be there, pending and held points included, debts deducted.
    #[must_use]
    pub const fn outstanding(&self) -> i128 {
        self.earned - self.spent - self.reversed - self.expired + self.adjusted + self.transferred - self.forfeited
    }

    /// Books what stands against a customer's accounts: positive where the customer lost points.
    pub(super) const fn book(&mut self, account: Account, points: i128) {
        match account {
            Account::Issued => self.earned -= points,
            Account::Reversed => self.reversed += points,
            Account::Redeemed => self.spent += points,
            Account::Expired => self.expired += points,
            Account::Breakage => self.forfeited += points,
            Account::Adjusted => self.adjusted -= points,
            Account::Transferred => self.transferred -= points,
            Account::CustomerPending | Account::CustomerActive | Account::CustomerHeld | Account::CustomerDebt => {}
        }
    }
}

impl std::ops::AddAssign for PointsTotals {
    fn add_assign(&mut self, other: Self) {
        self.earned += other.earned;
        self.spent += other.spent;
        self.reversed += other.reversed;
        self.expired += other.expired;
        self.adjusted += other.adjusted;
        self.transferred += other.transferred;
        self.forfeited += other.forfeited;
    }
}
