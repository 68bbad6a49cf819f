//! The accounts of the ledger, and what each posting books on them.

use serde::{Deserialize, Serialize};

use super::event::Posting;
use super::lots::Bucket;

/// A side of the ledger. Points that customers have are positive, and so is what became of points in the end; what was
/// issued is negative, so that all of them sum to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What the customer cannot spend yet.
    CustomerPending,
    /// What the customer can spend.
    CustomerActive,
    /// What is held of the customer's.
    CustomerHeld,
    /// What the customer owes, because points were taken back after they had been spent; never positive.
    CustomerDebt,
    /// What the programme gave.
    Issued,
    /// What it took back.
    Reversed,
    /// What was redeemed with it.
    Redeemed,
    /// What ran out.
    Expired,
    /// What nobody will ever redeem, because its owner left.
    Breakage,
    /// What was put right by hand, and what the programme bore because it had been spent.
    Adjusted,
    /// What customers gave each other, and what went to pools; zero over all of them.
    Transferred,
}

impl Account {
    /// All of them.
    pub const ALL: [Account; 11] = [
        Account::CustomerPending,
        Account::CustomerActive,
        Account::CustomerHeld,
        Account::CustomerDebt,
        Account::Issued,
        Account::Reversed,
        Account::Redeemed,
        Account::Expired,
        Account::Breakage,
        Account::Adjusted,
        Account::Transferred,
    ];

    /// The name it is shown under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Account::CustomerPending => "customer_pending",
            Account::CustomerActive => "customer_active",
            Account::CustomerHeld => "customer_held",
            Account::CustomerDebt => "customer_debt",
            Account::Issued => "issued",
            Account::Reversed => "reversed",
            Account::Redeemed => "redeemed",
            Account::Expired => "expired",
            Account::Breakage => "breakage",
            Account::Adjusted => "adjusted",
            Account::Transferred => "transferred",
        }
    }
}

impl Posting {
    /// The entries in the ledger, without those of nothing; they sum to zero.
    pub fn entries(&self) -> impl Iterator<Item = (Account, i128)> + use<> {
        let borne = i128::from(self.borne);
        let programme = self.kind.account().map(|account| (account, borne - self.points()));
        [
            Some((Account::CustomerPending, self.into_bucket(Bucket::Pending))),
            Some((Account::CustomerActive, self.into_bucket(Bucket::Active))),
            Some((Account::CustomerHeld, self.into_bucket(Bucket::Held))),
            Some((Account::CustomerDebt, -i128::from(self.owed))),
            programme,
            Some((Account::Adjusted, -borne)),
        ]
        .into_iter()
        .flatten()
        .filter(|(_, points)| *points != 0)
    }
}
