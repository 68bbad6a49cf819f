//! The accounts, and their totals.

use serde::{Deserialize, Serialize};

use super::{CreditPosting, GiftCardPosting};

/// A side of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CreditAccount {
    /// What customers can spend.
    CustomerBalance,
    /// What is promised to orders.
    CustomerHeld,
    /// What customers owe since they were parted from somebody whose money they had spent.
    CustomerDebt,
    /// What is on gift cards that were not redeemed.
    GiftCards,
    /// What the shop granted, and sold as gift cards.
    Issued,
    /// What was spent.
    Redeemed,
    /// What was spent and came back.
    Refunded,
    /// What ran out.
    Expired,
    /// What the shop took back.
    Adjusted,
    /// What was on gift cards that were blocked.
    Blocked,
    /// What went from a gift card to whoever redeemed it, or from one to another whom they were parted from. It comes to
    /// nothing over all customers.
    Transferred,
}

/// The accounts of a book, or of many, in minor units of one currency. What is issued is somewhere:
/// [`difference`](Self::difference) is always zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditTotals {
    /// What can be spent.
    pub balance: i128,
    /// What is promised to orders.
    pub held: i128,
    /// What customers owe.
    pub owed: i128,
    /// What is on gift cards that were not redeemed.
    pub on_cards: i128,
    /// What the shop granted, and sold as gift cards.
    pub issued: i128,
    /// What was spent, whether or not it came back.
    pub redeemed: i128,
    /// What of it came back.
    pub refunded: i128,
    /// What ran out.
    pub expired: i128,
    /// What the shop took back.
    pub adjusted: i128,
    /// What was on gift cards that were blocked.
    pub blocked: i128,
    /// What went to somebody else, less what came from somebody else.
    pub transferred: i128,
}

impl CreditTotals {
    /// What was issued and is nowhere: zero, unless something is wrong.
    #[must_use]
    pub const fn difference(&self) -> i128 {
        let there = self.outstanding() - self.owed;
        let gone = self.redeemed - self.refunded + self.expired + self.adjusted + self.blocked + self.transferred;
        self.issued - there - gone
    }

    /// What the shop owes: what can be spent, what is promised, and what is on gift cards.
    #[must_use]
    pub const fn outstanding(&self) -> i128 {
        self.balance + self.held + self.on_cards
    }

    fn add(&mut self, account: CreditAccount, amount: i128) {
        match account {
            CreditAccount::CustomerBalance => self.balance += amount,
            CreditAccount::CustomerHeld => self.held += amount,
            CreditAccount::CustomerDebt => self.owed -= amount,
            CreditAccount::GiftCards => self.on_cards += amount,
            CreditAccount::Issued => self.issued -= amount,
            CreditAccount::Redeemed => self.redeemed += amount,
            CreditAccount::Refunded => self.refunded -= amount,
            CreditAccount::Expired => self.expired += amount,
            CreditAccount::Adjusted => self.adjusted += amount,
            CreditAccount::Blocked => self.blocked += amount,
            CreditAccount::Transferred => self.transferred += amount,
        }
    }

    pub(super) fn post(&mut self, posting: &CreditPosting) {
        posting.entries().into_iter().for_each(|(account, amount)| self.add(account, amount));
    }

    pub(super) fn post_card(&mut self, posting: &GiftCardPosting) {
        posting.entries().into_iter().for_each(|(account, amount)| self.add(account, amount));
    }
}

impl std::ops::AddAssign for CreditTotals {
    fn add_assign(&mut self, other: Self) {
        let CreditTotals {
            balance,
            held,
            owed,
            on_cards,
            issued,
            redeemed,
            refunded,
            expired,
            adjusted,
            blocked,
            transferred,
        } = other;
        self.balance += balance;
        self.held += held;
        self.owed += owed;
        self.on_cards += on_cards;
        self.issued += issued;
        self.redeemed += redeemed;
        self.refunded += refunded;
        self.expired += expired;
        self.adjusted += adjusted;
        self.blocked += blocked;
        self.transferred += transferred;
    }
}
