//! Everything that happened. A [`Fact`] came from outside; a [`Decision`] is ours and carries its full
//! result. Kind and shape are kept beside the body, so that a body is plain JSON without tags and can
//! be read by anything, in ten years too.

mod stored;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::consent::{
    ConsentGiven, ConsentRefused, ConsentRequested, ConsentWithdrawn, Contacted, Objected, ObjectionWithdrawn,
    Restricted, RestrictionLifted, SuppressionLifted,
};
use crate::contract::{ContractEnded, ContractRenewed, ContractSigned};
use crate::credit::{CreditPosting, GiftCardPosting};
use crate::custom::CustomFact;
use crate::declared::AttributeSet;
use crate::id::{CustomerId, EventId, Source};
use crate::identity::{
    DuplicateRejected, DuplicateSuggested, Identified, IdentifierAttached, IdentifierSetAside, Merged, Parted,
};
use crate::interaction::{Enquired, Visited};
use crate::loyalty::{
    BadgeEarned, CouponClaimed, CouponRedeemed, CouponReleased, CouponReserved, DrawWon, PointsReminded, PoolMoved,
    Posting, ReferralMoved, RewardCancelled, RewardClaimed, TierKept, VoucherIssued, VoucherWithdrawn,
};
use crate::messaging::MessageReceived;
use crate::order::{CartUpdated, OrderDelivered, OrderError, OrderPlaced, PaymentReceived, Refunded};
use crate::privacy::{Erased, Forgotten, HoldPlaced, HoldReleased, IdentifierCorrected, PersonalKept, Removed};
use crate::profile::{CardChanged, PartyDescribed, Tagged, Untagged};
use crate::relationship::{Tied, Untied};
use crate::segment::{Enlisted, OverrideCleared, SegmentOverridden, Unlisted};
use crate::service::{CaseClosed, CaseOpened, CaseReopened};
use crate::text::Remark;
use crate::time::Timestamp;
use crate::workflow::{Actor, Faulted, LookedUp, Notified, Remembered, TagAdded, TagRemoved};

pub use self::stored::{CUSTOM_PREFIX, EVENT_SHAPE, EventDecodeError, JsonProblem};

/// Something that happened to a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// In whose history it is: for somebody who was merged, that of the one whom it came through.
    pub customer: CustomerId,
    /// Its id: the same for the same fact, however often it is sent.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// When it became known.
    pub recorded_at: Timestamp,
    /// Where a fact came from; none for a decision.
    pub source: Option<Source>,
    /// The event that caused a decision, if one did.
    pub cause: Option<EventId>,
    /// What happened.
    pub body: EventBody,
}

/// The two kinds of event, and what a newer version may have written, which prints masked.
#[derive(Clone, PartialEq)]
pub enum EventBody {
    /// From outside.
    Fact(Fact),
    /// Ours.
    Decision(Decision),
    /// Of a kind or shape that this version does not know: kept, and not folded.
    Unrecognised {
        /// Its kind.
        kind: SmolStr,
        /// Its shape.
        shape: u16,
        /// Its JSON, as it was.
        body: Vec<u8>,
    },
}

impl std::fmt::Debug for EventBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EventBody::Fact(fact) => f.debug_tuple("Fact").field(fact).finish(),
            EventBody::Decision(decision) => f.debug_tuple("Decision").field(decision).finish(),
            EventBody::Unrecognised { kind, shape, body } => f
                .debug_struct("Unrecognised")
                .field("kind", kind)
                .field("shape", shape)
                .field("bytes", &body.len())
                .finish(),
        }
    }
}

/// A wrong fact is taken out of the fold. It stays in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voided {
    /// The fact that was wrong. It may arrive later than this. Decisions, other voidings and ties, which have
    /// another side, cannot be voided: naming one has no effect.
    pub event: EventId,
    /// Why, in few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
}

/// Something from outside.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fact {
    /// A visit.
    Visited(Visited),
    /// An enquiry.
    Enquired(Enquired),
    /// A cart changed.
    CartUpdated(CartUpdated),
    /// An order.
    OrderPlaced(OrderPlaced),
    /// A payment.
    PaymentReceived(PaymentReceived),
    /// A refund.
    Refunded(Refunded),
    /// An order arrived.
    OrderDelivered(OrderDelivered),
    /// The shop put a tag on.
    Tagged(Tagged),
    /// The shop took a tag off.
    Untagged(Untagged),
    /// The shop put the customer on a list.
    Enlisted(Enlisted),
    /// The shop took the customer off a list.
    Unlisted(Unlisted),
    /// Something was told about the card.
    CardChanged(CardChanged),
    /// The shop said what kind of party it is.
    PartyDescribed(PartyDescribed),
    /// The customer is known by an identifier.
    Identified(Identified),
    /// Another fact was wrong.
    Voided(Voided),
    /// The customer allowed something.
    ConsentGiven(ConsentGiven),
    /// The customer was asked and said no.
    ConsentRefused(ConsentRefused),
    /// The customer took back what they allowed.
    ConsentWithdrawn(ConsentWithdrawn),
    /// The customer was asked to confirm.
    ConsentRequested(ConsentRequested),
    /// The customer's data may not be used for now.
    Restricted(Restricted),
    /// It may be again.
    RestrictionLifted(RestrictionLifted),
    /// The customer objects.
    Objected(Objected),
    /// The customer objects no more.
    ObjectionWithdrawn(ObjectionWithdrawn),
    /// The shop sent something.
    Contacted(Contacted),
    /// An address is no longer suppressed.
    SuppressionLifted(SuppressionLifted),
    /// The customer is tied to another one.
    Tied(Tied),
    /// A tie to another customer has ended.
    Untied(Untied),
    /// The customer sent something.
    MessageReceived(MessageReceived),
    /// A case was opened.
    CaseOpened(CaseOpened),
    /// A case was closed.
    CaseClosed(CaseClosed),
    /// A case was reopened.
    CaseReopened(CaseReopened),
    /// The shop told an attribute that it declared.
    AttributeSet(AttributeSet),
    /// A kind that the shop defined.
    Custom(CustomFact),
    /// The customer signed a contract.
    ContractSigned(ContractSigned),
    /// A contract runs for another term.
    ContractRenewed(ContractRenewed),
    /// A contract was ended.
    ContractEnded(ContractEnded),
}

/// Something that the CRM decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Who decided.
    pub by: Actor,
    /// What was done.
    pub deed: Deed,
}

/// What a decision did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Deed {
    /// Points moved.
    PointsPosted(Posting),
    /// The customer was reminded of points that will expire.
    PointsReminded(PointsReminded),
    /// A coupon was used.
    CouponClaimed(CouponClaimed),
    /// A tier is kept, or no more.
    TierKept(TierKept),
    /// A use of a coupon was kept.
    CouponReserved(CouponReserved),
    /// A coupon was used by its terms.
    CouponRedeemed(CouponRedeemed),
    /// A use of a coupon was given back.
    CouponReleased(CouponReleased),
    /// The customer got a voucher.
    VoucherIssued(VoucherIssued),
    /// A voucher was taken back.
    VoucherWithdrawn(VoucherWithdrawn),
    /// A reward was claimed.
    RewardClaimed(RewardClaimed),
    /// A reward was given back.
    RewardCancelled(RewardCancelled),
    /// A badge was earned.
    BadgeEarned(BadgeEarned),
    /// A tag was put on.
    TagAdded(TagAdded),
    /// A tag was taken off.
    TagRemoved(TagRemoved),
    /// The host was told something.
    Notified(Notified),
    /// A plugin keeps something for the next time it is called for this customer.
    Remembered(Remembered),
    /// A plugin failed, or asked for what it may not have.
    Faulted(Faulted),
    /// A customer came with an identifier.
    IdentifierAttached(IdentifierAttached),
    /// An identifier was not used.
    IdentifierSetAside(IdentifierSetAside),
    /// Somebody else may be the same person.
    DuplicateSuggested(DuplicateSuggested),
    /// They are not.
    DuplicateRejected(DuplicateRejected),
    /// Several customers turned out to be one.
    Merged(Merged),
    /// They turned out to be several after all.
    Parted(Parted),
    /// What was personal about the customer is gone.
    Erased(Erased),
    /// Something has to be kept.
    HoldPlaced(HoldPlaced),
    /// It need not be kept any more.
    HoldReleased(HoldReleased),
    /// Something was forgotten of the customer.
    Forgotten(Forgotten),
    /// What a policy decided to remove is gone.
    Removed(Removed),
    /// Something that a policy forgets was told anew.
    PersonalKept(PersonalKept),
    /// An identifier was wrong, and another one is right.
    IdentifierCorrected(IdentifierCorrected),
    /// What the rule of a segment says was overridden.
    SegmentOverridden(SegmentOverridden),
    /// It decides again.
    OverrideCleared(OverrideCleared),
    /// Money moved.
    CreditPosted(CreditPosting),
    /// Something happened to a gift card that was sold to the customer.
    GiftCardPosted(GiftCardPosting),
    /// Something about a pool of points was decided.
    PoolMoved(PoolMoved),
    /// Something about a referral was decided.
    ReferralMoved(ReferralMoved),
    /// The customer won in a draw.
    DrawWon(DrawWon),
    /// A plugin looked something up.
    LookedUp(LookedUp),
}

impl Fact {
    /// Checks the limits that types alone do not keep.
    ///
    /// # Errors
    ///
    /// `OrderError` for amounts and lines beyond their limits.
    pub fn check(&self) -> Result<(), OrderError> {
        match self {
            Fact::CartUpdated(cart) => cart.check(),
            Fact::OrderPlaced(order) => order.check(),
            Fact::PaymentReceived(payment) => payment.check(),
            Fact::Refunded(refund) => refund.check(),
            Fact::Visited(_)
            | Fact::Enquired(_)
            | Fact::OrderDelivered(_)
            | Fact::Tagged(_)
            | Fact::Untagged(_)
            | Fact::Enlisted(_)
            | Fact::Unlisted(_)
            | Fact::CardChanged(_)
            | Fact::PartyDescribed(_)
            | Fact::Identified(_)
            | Fact::Voided(_)
            | Fact::ConsentGiven(_)
            | Fact::ConsentRefused(_)
            | Fact::ConsentWithdrawn(_)
            | Fact::ConsentRequested(_)
            | Fact::Restricted(_)
            | Fact::RestrictionLifted(_)
            | Fact::Objected(_)
            | Fact::ObjectionWithdrawn(_)
            | Fact::Contacted(_)
            | Fact::SuppressionLifted(_)
            | Fact::Tied(_)
            | Fact::Untied(_)
            | Fact::AttributeSet(_)
            | Fact::MessageReceived(_)
            | Fact::CaseOpened(_)
            | Fact::CaseClosed(_)
            | Fact::CaseReopened(_)
            | Fact::Custom(_)
            | Fact::ContractSigned(_)
            | Fact::ContractRenewed(_)
            | Fact::ContractEnded(_) => Ok(()),
        }
    }

    /// Whether it tells of one side of a tie, which is not to be taken from the other one.
    #[must_use]
    pub const fn is_of_tie(&self) -> bool {
        matches!(self, Fact::Tied(_) | Fact::Untied(_))
    }
}
