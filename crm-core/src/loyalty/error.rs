//! Why a command about points was refused.

use super::{BatchName, CouponCode, HOLDS_MAX, HoldName, ImportFault, ProgramId, RewardName, TogetherError, UseName};
use crate::id::EventId;
use crate::money::Currency;
use crate::order::OrderRef;
use crate::time::Timestamp;

/// A refused command about points.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoyaltyError {
    /// No programme of that name is in force.
    #[error("there is no loyalty programme {program}")]
    NoProgram {
        /// The name given.
        program: ProgramId,
    },
    /// Zero, negative, or above the limit.
    #[error("{points} points are not between 1 and {max}")]
    Amount {
        /// The number given.
        points: i64,
        /// The limit.
        max: i64,
    },
    /// The customer used the coupon before.
    #[error("coupon {coupon} was used before by this customer")]
    CouponUsed {
        /// Which one.
        coupon: CouponCode,
    },
    /// The coupon was used as often as it can be, by whomever.
    #[error("coupon {coupon} was used {uses} times, as often as it can be")]
    CouponUsedUp {
        /// Which one.
        coupon: CouponCode,
        /// How often it can be used in all.
        uses: u32,
    },
    /// The customer has fewer.
    #[error("{asked} points were asked for, {available} are there")]
    NotEnough {
        /// How many were to be spent.
        asked: i64,
        /// How many there are; negative when the customer owes points.
        available: i128,
    },
    /// The programme redeems no fewer at a time.
    #[error("{asked} points were to be redeemed, which are fewer than {at_least}")]
    TooFewRedeemed {
        /// How many were to be.
        asked: i64,
        /// How many have to be at least.
        at_least: u64,
    },
    /// No larger share of an order is paid with points.
    #[error(
        "{asked} points were to be redeemed for an order that can be paid with {most} more, up to {up_to_percent} % of it"
    )]
    ShareRedeemed {
        /// How many were to be.
        asked: i64,
        /// How many could be, besides those that were redeemed for it before.
        most: i64,
        /// The share, in hundredths.
        up_to_percent: u8,
    },
    /// The order is in another currency than the programme, whose points are worth nothing in it.
    #[error("points that are worth {program} were to be redeemed for an order in {order}")]
    RedeemedCurrency {
        /// The currency of the order.
        order: Currency,
        /// The currency of the programme.
        program: Currency,
    },
    /// A hold of that name is there already.
    #[error("there is a hold {hold} already")]
    HoldTaken {
        /// The name given.
        hold: HoldName,
    },
    /// No hold of that name is there: it never was, or it was captured or released, or its time was up.
    #[error("there is no hold {hold}, or no longer")]
    NoHold {
        /// The name given.
        hold: HoldName,
    },
    /// Several of those whom the customer was merged of have a hold of that name: ask for it by the id of whose it is.
    #[error("several who were merged have a hold {hold}")]
    HoldAmbiguous {
        /// The name given.
        hold: HoldName,
    },
    /// Too many holds.
    #[error("there are {HOLDS_MAX} holds already")]
    Holds,
    /// A hold that would have ended already.
    #[error("a hold until {until} is over at {at}")]
    HoldOver {
        /// Until when it was to be.
        until: Timestamp,
        /// The time now.
        at: Timestamp,
    },
    /// More was to be captured than is held.
    #[error("{asked} points were to be captured, {held} are held")]
    MoreThanHeld {
        /// How many were asked for.
        asked: i64,
        /// How many are held.
        held: i64,
    },
    /// The order that was to be paid, or that a coupon was to be used with, was voided: what is paid for it, and the use, would
    /// not come back any more.
    #[error("order {order} was voided")]
    OrderVoided {
        /// Which.
        order: OrderRef,
    },
    /// No posting of that id is in the customer's history.
    #[error("there is no posting {posting}")]
    NoPosting {
        /// The id given.
        posting: EventId,
    },
    /// The posting was undone before.
    #[error("posting {posting} was undone before")]
    Undone {
        /// Which.
        posting: EventId,
    },
    /// A posting of this kind is never undone by hand: it follows from something else, or has another side.
    #[error("posting {posting} is one of points {kind}, which is not undone by hand")]
    NotUndoable {
        /// Which.
        posting: EventId,
        /// Of which kind.
        kind: &'static str,
    },
    /// Fewer points expired that can still be given back.
    #[error("{asked} points were to be given back, and of those that expired {available} can be")]
    NotReinstatable {
        /// How many were asked for.
        asked: i64,
        /// How many can be.
        available: i64,
    },
    /// Something that customers do together.
    #[error(transparent)]
    Together(#[from] TogetherError),
    /// There is nothing to do it with.
    #[error("there are no points in programme {program}")]
    NoPoints {
        /// The programme.
        program: ProgramId,
    },
    /// No coupon of that code is in force.
    #[error("there is no coupon {coupon}")]
    NoCoupon {
        /// The code given.
        coupon: CouponCode,
    },
    /// The coupon cannot be used yet, or any more.
    #[error("coupon {coupon} cannot be used now")]
    CouponNotValid {
        /// Which one.
        coupon: CouponCode,
        /// From when on it can.
        from: Option<Timestamp>,
        /// Until before when it could.
        until: Option<Timestamp>,
    },
    /// The coupon is for others.
    #[error("coupon {coupon} is not for this customer")]
    CouponNotFor {
        /// Which one.
        coupon: CouponCode,
    },
    /// The coupon is used by vouchers alone.
    #[error("coupon {coupon} is used by a voucher")]
    VoucherNeeded {
        /// Which one.
        coupon: CouponCode,
    },
    /// The customer used the coupon as often as each may.
    #[error("coupon {coupon} was used {uses} times by this customer, as often as each may")]
    CouponUsedByCustomer {
        /// Which one.
        coupon: CouponCode,
        /// How often each may.
        uses: u32,
    },
    /// The customer used the coupon as often as each may in a stretch of the calendar.
    #[error("coupon {coupon} was used {uses} times by this customer, as often as each may until {until}")]
    CouponUsedInPeriod {
        /// Which one.
        coupon: CouponCode,
        /// How often each may.
        uses: u32,
        /// When the stretch is over.
        until: Timestamp,
    },
    /// A use cannot be reserved until an instant that has passed.
    #[error("a use that is reserved until {at} is over already")]
    ReservationOver {
        /// The instant given.
        at: Timestamp,
    },
    /// The customer has no use of the coupon by that name.
    #[error("there is no use {name} of coupon {coupon}")]
    NoCouponUse {
        /// Of which coupon.
        coupon: CouponCode,
        /// The name given.
        name: UseName,
    },
    /// The customer has a use of the coupon by that name, by another voucher.
    #[error("there is another use {name} of coupon {coupon}")]
    UseNameTaken {
        /// Of which coupon.
        coupon: CouponCode,
        /// The name given.
        name: UseName,
    },
    /// Uses of the coupon that were made are not given back.
    #[error("what was used of coupon {coupon} stays used")]
    CouponForfeited {
        /// Which one.
        coupon: CouponCode,
    },
    /// A batch of vouchers of that name is there with another end, or was blocked.
    #[error("there is another batch {batch} of vouchers")]
    BatchTaken {
        /// The name given.
        batch: BatchName,
    },
    /// Too many vouchers at once, or none.
    #[error("{vouchers} vouchers are not between 1 and {max}")]
    VouchersAtOnce {
        /// How many were asked for.
        vouchers: u32,
        /// The limit.
        max: u32,
    },
    /// There is no such voucher, or not of this coupon.
    #[error("there is no such voucher")]
    NoVoucher,
    /// The voucher is used, or reserved.
    #[error("the voucher was used")]
    VoucherUsed,
    /// The voucher's time is over.
    #[error("the voucher could be used until {at}")]
    VoucherExpired {
        /// When it ended.
        at: Timestamp,
    },
    /// The voucher is somebody else's.
    #[error("the voucher is not this customer's")]
    VoucherNotTheirs,
    /// The voucher was blocked, or taken back.
    #[error("the voucher was blocked")]
    VoucherBlocked,
    /// No reward of that name is in force.
    #[error("there is no reward {reward}")]
    NoReward {
        /// The name given.
        reward: RewardName,
    },
    /// The reward cannot be claimed yet, or any more.
    #[error("reward {reward} cannot be claimed now")]
    RewardNotValid {
        /// Which one.
        reward: RewardName,
        /// From when on it can.
        from: Option<Timestamp>,
        /// Until before when it could.
        until: Option<Timestamp>,
    },
    /// The reward is for others.
    #[error("reward {reward} is not for this customer")]
    RewardNotFor {
        /// Which one.
        reward: RewardName,
    },
    /// The customer has the reward as often as each may.
    #[error("reward {reward} was claimed {times} times by this customer, as often as each may")]
    RewardClaimedByCustomer {
        /// Which one.
        reward: RewardName,
        /// How often each may.
        times: u32,
    },
    /// None of the reward are left.
    #[error("all {stock} of reward {reward} were claimed")]
    OutOfStock {
        /// Which one.
        reward: RewardName,
        /// How many there were.
        stock: u32,
    },
    /// The customer has no such claim, or gave it back before.
    #[error("there is no claim {claim} of a reward")]
    NoRewardClaim {
        /// The decision named.
        claim: EventId,
    },
    /// The reward cannot be given back, or not any more.
    #[error("reward {reward} cannot be given back")]
    RewardKept {
        /// Which one.
        reward: RewardName,
        /// Until before when it could, if ever.
        until: Option<Timestamp>,
    },
    /// The voucher that the reward gave is used or reserved.
    #[error("the voucher of claim {claim} was used")]
    RewardVoucherUsed {
        /// By which decision the reward was claimed.
        claim: EventId,
    },
    /// A balance from another system is none.
    #[error(transparent)]
    Import(#[from] ImportFault),
}

impl LoyaltyError {
    /// That a counter which all customers share is at its limit, by the counter's name; none if it counts no uses of
    /// a coupon and no stock of a reward.
    #[must_use]
    pub fn of_counter(name: &str, limit: i64) -> Option<Self> {
        let limit = u32::try_from(limit).ok()?;
        if let Some(coupon) = name.strip_prefix(super::coupon::COUNTER) {
            let coupon = CouponCode::new(coupon).ok()?;
            return Some(LoyaltyError::CouponUsedUp { coupon, uses: limit });
        }
        let reward = RewardName::new(name.strip_prefix(super::reward::COUNTER)?).ok()?;
        Some(LoyaltyError::OutOfStock { reward, stock: limit })
    }
}
