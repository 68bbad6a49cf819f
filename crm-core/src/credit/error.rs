//! Why a command about money was refused.

use super::CreditHoldName;
use crate::id::EventId;
use crate::money::Currency;
use crate::time::Timestamp;

/// A refused command about store credit or a gift card. Nothing moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreditError {
    /// Zero, negative, or above the limit.
    #[error("{minor} minor units are not between 1 and {max}")]
    Amount {
        /// The amount given.
        minor: i64,
        /// The limit.
        max: i64,
    },
    /// The customer has less.
    #[error("{asked} minor units of {currency} were asked for, {available} are there")]
    NotEnough {
        /// In which currency.
        currency: Currency,
        /// How much was asked for.
        asked: i64,
        /// How much there is: what is held is not.
        available: i128,
    },
    /// The customer would have too much.
    #[error("the customer would have more than {max} minor units")]
    TooMuch {
        /// The limit.
        max: i64,
    },
    /// It would be over before it begins.
    #[error("{at} is not in the future")]
    ExpiryPast {
        /// The instant given.
        at: Timestamp,
    },
    /// The amount is in another currency than what it is about.
    #[error("an amount in {given} for what is in {needed}")]
    OtherCurrency {
        /// The currency given.
        given: Currency,
        /// That of the hold, or of the spend.
        needed: Currency,
    },
    /// There is a hold of that name, or there was one.
    #[error("there is a hold {hold} already, or there was one")]
    HoldExists {
        /// The name.
        hold: CreditHoldName,
    },
    /// The customer has as many holds as can be.
    #[error("the customer has {max} holds open, as many as can be")]
    TooManyHolds {
        /// The limit.
        max: usize,
    },
    /// There is no hold of that name, or it was over long ago.
    #[error("there is no hold {hold}")]
    NoHold {
        /// The name.
        hold: CreditHoldName,
    },
    /// Several of those whom the customer was merged of have a hold of that name: ask for it by the id of whose it is.
    #[error("several who were merged have a hold {hold}")]
    HoldAmbiguous {
        /// The name.
        hold: CreditHoldName,
    },
    /// The hold was spent before.
    #[error("hold {hold} was captured before")]
    HoldCaptured {
        /// The name.
        hold: CreditHoldName,
    },
    /// The hold was given up before.
    #[error("hold {hold} was released before")]
    HoldReleased {
        /// The name.
        hold: CreditHoldName,
    },
    /// The time of the hold is over.
    #[error("hold {hold} is over by its time")]
    HoldLapsed {
        /// The name.
        hold: CreditHoldName,
    },
    /// More than is held.
    #[error("{asked} minor units of hold {hold} were asked for, {held} are held")]
    HoldShort {
        /// The name.
        hold: CreditHoldName,
        /// How much was asked for.
        asked: i64,
        /// How much is held.
        held: i128,
    },
    /// The customer did not spend anything by that decision, or spent a thousand times since.
    #[error("there is no spend {spend}")]
    NoSpend {
        /// The decision named.
        spend: EventId,
    },
    /// The spend was reversed before.
    #[error("spend {spend} was reversed before")]
    AlreadyReversed {
        /// Which.
        spend: EventId,
    },
    /// More than was spent.
    #[error("{asked} minor units of spend {spend} were to come back, {spent} were spent")]
    ReversalTooLarge {
        /// Which.
        spend: EventId,
        /// How much was asked for.
        asked: i64,
        /// How much it was.
        spent: i128,
    },
    /// The customer was erased, and is nobody any more who could be given money.
    #[error("the customer was erased")]
    Erased,
    /// Not a code: see its type for what is one.
    #[error("not the code of a gift card")]
    BadCode,
    /// The system has no random numbers to give.
    #[error("no random numbers")]
    Random,
    /// Another card has the code.
    #[error("another gift card has this code")]
    CodeTaken,
    /// No card has the code.
    #[error("there is no such gift card")]
    NoCard,
    /// The card was redeemed before.
    #[error("the gift card was redeemed before")]
    CardRedeemed,
    /// The card was blocked.
    #[error("the gift card is blocked")]
    CardBlocked,
    /// The time of the card is over.
    #[error("the gift card is expired")]
    CardExpired,
    /// The buyer has as many gift cards as can be.
    #[error("the buyer has {max} gift cards, as many as can be")]
    TooManyCards {
        /// The limit: of cards that are open, or of all.
        max: usize,
    },
}
