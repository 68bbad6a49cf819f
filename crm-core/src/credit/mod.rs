//! Money that a shop owes its customers: store credit, and gift cards before they are redeemed.
//!
//! It has nothing to do with points, not even a type: points are what a programme promises, by rules that it may
//! change; this is money in minor units of a currency, and is owed. Each customer has a [book](CreditBook) for each
//! currency. A [posting](CreditPosting) moves amounts between its accounts, so that they always sum to zero, and
//! carries its full result: which lots, by how much.

mod account;
mod book;
mod books;
mod card;
mod command;
mod error;
mod event;
mod hold;
mod lot;
mod outstanding;
mod spend;
mod statement;
mod take;

pub use account::{CreditAccount, CreditTotals};
pub use book::CreditBook;
pub use books::CreditBooks;
pub use card::{GiftCardId, GiftCardKind, GiftCardPosting, GiftCardState, block, issue, redeem};
pub use command::{
    AdjustCredit, CaptureCredit, CreditCommand, GrantCredit, HoldCredit, ReleaseCredit, ReverseCredit, SpendCredit,
};
pub use error::CreditError;
pub use event::{CreditCause, CreditMove, CreditPosting, SettledOf};
pub use hold::{CreditHold, CreditHoldName, HoldEnd};
pub use lot::{CreditLot, CreditOrigin, CreditPiece, CreditTerms};
pub use outstanding::Outstanding;
pub use statement::{CreditLine, CreditStatement};

/// The largest amount of one command, and of one gift card, in minor units: ten thousand million of a currency with two
/// decimals.
pub const CREDIT_AMOUNT_MAX: i64 = 1_000_000_000_000;
/// The most that one customer can have in a currency, what is held included, in minor units. Several who are merged
/// may have as much each.
pub const CREDIT_BALANCE_MAX: i64 = 1_000_000_000_000_000;
/// How many holds one customer can have open in a currency.
pub const CREDIT_HOLDS_MAX: usize = 64;
/// Of how many holds that are over it is remembered what became of them, for each customer and currency. A name is not
/// used again before it is forgotten.
pub const CREDIT_HOLDS_KEPT: usize = 64;
/// How many of a customer's last spends in a currency can be reversed.
pub const CREDIT_SPENDS_KEPT: usize = 1_000;
/// How many gift cards sold to one customer in a currency can be open at once.
pub const GIFT_CARDS_OPEN_MAX: usize = 1_000;
/// How many gift cards in a currency can be sold to one customer in all. Each takes about 20 bytes of their state for
/// ever, so that it is known what became of it.
pub const GIFT_CARDS_MAX: usize = 10_000;
