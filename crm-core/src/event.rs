//! Everything that happened. A [`Fact`] came from outside; a [`Decision`] is ours and carries its full
//! result. Kind and shape are kept beside the body, so that a body is plain JSON without tags and can
//! be read by anything, in ten years too.

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
use crate::exact::json;
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

/// The shape in which bodies are written now.
pub const EVENT_SHAPE: u16 = 1;

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

/// Declares the kinds that deeds are stored under, and the actions that ask for them.
macro_rules! deeds {
    ($($variant:ident $kind:literal $(by $action:literal)?,)*) => {
        impl Deed {
            /// All kinds, each with the name of the action that asks for it, if one does.
            pub const KINDS: &[(&str, Option<&str>)] = &[$(($kind, deeds!(@action $($action)?))),*];

            /// The kind it is stored under.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Deed::$variant(_) => $kind,)*
                }
            }

            /// The name of the action that asks for it; none for what is no action.
            #[must_use]
            pub const fn action(&self) -> Option<&'static str> {
                match self {
                    $(Deed::$variant(_) => deeds!(@action $($action)?),)*
                }
            }
        }
    };
    (@action) => { None };
    (@action $action:literal) => { Some($action) };
}

deeds! {
    PointsPosted "points_posted" by "award_points",
    PointsReminded "points_reminded",
    CouponClaimed "coupon_claimed" by "claim_coupon",
    TierKept "tier_kept",
    CouponReserved "coupon_reserved" by "reserve_coupon",
    CouponRedeemed "coupon_redeemed" by "redeem_coupon",
    CouponReleased "coupon_released" by "release_coupon",
    VoucherIssued "voucher_issued" by "issue_voucher",
    VoucherWithdrawn "voucher_withdrawn" by "withdraw_voucher",
    RewardClaimed "reward_claimed" by "claim_reward",
    RewardCancelled "reward_cancelled" by "cancel_reward",
    BadgeEarned "badge_earned" by "earn_badge",
    TagAdded "tag_added" by "add_tag",
    TagRemoved "tag_removed" by "remove_tag",
    Notified "notified" by "notify",
    Remembered "remembered",
    Faulted "plugin_faulted",
    IdentifierAttached "identifier_attached",
    IdentifierSetAside "identifier_set_aside",
    DuplicateSuggested "duplicate_suggested",
    DuplicateRejected "duplicate_rejected",
    Merged "merged",
    Parted "parted",
    Erased "erased",
    HoldPlaced "hold_placed",
    HoldReleased "hold_released",
    Forgotten "forgotten",
    Removed "personal_removed",
    PersonalKept "personal_kept",
    IdentifierCorrected "identifier_corrected",
    SegmentOverridden "segment_overridden",
    OverrideCleared "override_cleared",
    CreditPosted "credit_posted" by "grant_credit",
    GiftCardPosted "gift_card_posted",
    PoolMoved "pool_moved",
    ReferralMoved "referral_moved",
    DrawWon "draw_won",
    LookedUp "looked_up",
}

/// The prefix of the kinds that shops define.
pub const CUSTOM_PREFIX: &str = "shop.";

/// Declares the kinds that facts are stored under.
macro_rules! facts {
    ($($variant:ident $kind:literal,)*) => {
        impl Fact {
            /// All kinds but those that shops defined.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The kind it is stored under; those that the shop defined begin with `shop.`.
            #[must_use]
            pub fn kind(&self) -> SmolStr {
                match self {
                    $(Fact::$variant(_) => SmolStr::new_static($kind),)*
                    Fact::Custom(custom) => smol_str::format_smolstr!("{CUSTOM_PREFIX}{}", custom.kind),
                }
            }
        }
    };
}

facts! {
    Visited "visited",
    Enquired "enquired",
    CartUpdated "cart_updated",
    OrderPlaced "order_placed",
    PaymentReceived "payment_received",
    Refunded "refunded",
    OrderDelivered "order_delivered",
    Tagged "tagged",
    Untagged "untagged",
    Enlisted "enlisted",
    Unlisted "unlisted",
    CardChanged "card_changed",
    PartyDescribed "party_described",
    Identified "identified",
    Voided "voided",
    ConsentGiven "consent_given",
    ConsentRefused "consent_refused",
    ConsentWithdrawn "consent_withdrawn",
    ConsentRequested "consent_requested",
    Restricted "restricted",
    RestrictionLifted "restriction_lifted",
    Objected "objected",
    ObjectionWithdrawn "objection_withdrawn",
    Contacted "contacted",
    SuppressionLifted "suppression_lifted",
    Tied "tied",
    Untied "untied",
    AttributeSet "attribute_set",
    MessageReceived "message_received",
    CaseOpened "case_opened",
    CaseClosed "case_closed",
    CaseReopened "case_reopened",
    ContractSigned "contract_signed",
    ContractRenewed "contract_renewed",
    ContractEnded "contract_ended",
}

impl Fact {
    /// The body as JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Fact::Visited(body) => json(body),
            Fact::Enquired(body) => json(body),
            Fact::CartUpdated(body) => json(body),
            Fact::OrderPlaced(body) => json(body),
            Fact::PaymentReceived(body) => json(body),
            Fact::Refunded(body) => json(body),
            Fact::OrderDelivered(body) => json(body),
            Fact::Tagged(body) => json(body),
            Fact::Untagged(body) => json(body),
            Fact::Enlisted(body) => json(body),
            Fact::Unlisted(body) => json(body),
            Fact::CardChanged(body) => json(body),
            Fact::PartyDescribed(body) => json(body),
            Fact::Identified(body) => json(body),
            Fact::Voided(body) => json(body),
            Fact::ConsentGiven(body) => json(body),
            Fact::ConsentRefused(body) => json(body),
            Fact::ConsentWithdrawn(body) => json(body),
            Fact::ConsentRequested(body) => json(body),
            Fact::Restricted(body) => json(body),
            Fact::RestrictionLifted(body) => json(body),
            Fact::Objected(body) => json(body),
            Fact::ObjectionWithdrawn(body) => json(body),
            Fact::Contacted(body) => json(body),
            Fact::SuppressionLifted(body) => json(body),
            Fact::Tied(body) => json(body),
            Fact::Untied(body) => json(body),
            Fact::AttributeSet(body) => json(body),
            Fact::MessageReceived(body) => json(body),
            Fact::CaseOpened(body) => json(body),
            Fact::CaseClosed(body) => json(body),
            Fact::CaseReopened(body) => json(body),
            Fact::Custom(body) => json(&body.fields),
            Fact::ContractSigned(body) => json(body),
            Fact::ContractRenewed(body) => json(body),
            Fact::ContractEnded(body) => json(body),
        }
    }

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

macro_rules! fact_from {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Fact {
            fn from(fact: $kind) -> Self {
                Fact::$kind(fact)
            }
        }
    )*};
}
fact_from!(
    Visited,
    Enquired,
    CartUpdated,
    OrderPlaced,
    PaymentReceived,
    Refunded,
    OrderDelivered,
    Tagged,
    Untagged,
    Enlisted,
    Unlisted,
    CardChanged,
    PartyDescribed,
    Identified,
    Voided,
    ConsentGiven,
    ConsentRefused,
    ConsentWithdrawn,
    ConsentRequested,
    Restricted,
    RestrictionLifted,
    Objected,
    ObjectionWithdrawn,
    Contacted,
    SuppressionLifted,
    Tied,
    Untied,
    AttributeSet,
    MessageReceived,
    CaseOpened,
    CaseClosed,
    CaseReopened,
    ContractSigned,
    ContractRenewed,
    ContractEnded
);

impl From<CustomFact> for Fact {
    fn from(fact: CustomFact) -> Self {
        Fact::Custom(fact)
    }
}

/// A body that claims a kind and shape which this version knows, and is not of it.
#[derive(Debug, thiserror::Error)]
#[error("the body of a stored event of kind {kind} and shape {shape} cannot be read")]
pub struct EventDecodeError {
    /// Its kind.
    pub kind: SmolStr,
    /// Its shape.
    pub shape: u16,
    /// What is wrong with it.
    pub source: JsonProblem,
}

/// What is wrong with a JSON text, and where, without a word of it: the parser's own message quotes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub struct JsonProblem {
    /// What is wrong.
    pub what: &'static str,
    /// In which line, from 1.
    pub line: usize,
    /// In which column, in bytes from 1; 0 for the line as a whole.
    pub column: usize,
}

impl From<&serde_json::Error> for JsonProblem {
    fn from(error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Io => "not readable",
            serde_json::error::Category::Syntax => "not JSON",
            serde_json::error::Category::Data => "not of the form that is expected",
            serde_json::error::Category::Eof => "cut off",
        };
        JsonProblem { what, line: error.line(), column: error.column() }
    }
}

impl EventBody {
    /// The kind it is stored under.
    #[must_use]
    pub fn kind(&self) -> SmolStr {
        match self {
            EventBody::Fact(fact) => fact.kind(),
            EventBody::Decision(decision) => SmolStr::new_static(decision.deed.kind()),
            EventBody::Unrecognised { kind, .. } => kind.clone(),
        }
    }

    /// The shape it is stored in.
    #[must_use]
    pub const fn shape(&self) -> u16 {
        match self {
            EventBody::Fact(_) | EventBody::Decision(_) => EVENT_SHAPE,
            EventBody::Unrecognised { shape, .. } => *shape,
        }
    }

    /// The body as JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            EventBody::Fact(fact) => fact.encode(),
            EventBody::Decision(decision) => decision.encode(),
            EventBody::Unrecognised { body, .. } => body.clone(),
        }
    }

    /// Reads a stored body back. What a newer version wrote is kept as it is.
    ///
    /// # Errors
    ///
    /// `EventDecodeError` if the body is not what its kind and shape say.
    pub fn decode(kind: &str, shape: u16, body: &[u8]) -> Result<Self, EventDecodeError> {
        let fail = |problem: serde_json::Error| {
            let source = JsonProblem::from(&problem);
            EventDecodeError { kind: SmolStr::new(kind), shape, source }
        };
        macro_rules! read {
            ($variant:ident) => {
                serde_json::from_slice(body).map(|body| EventBody::Fact(Fact::$variant(body))).map_err(fail)
            };
        }
        if shape != EVENT_SHAPE {
            return Ok(EventBody::Unrecognised { kind: SmolStr::new(kind), shape, body: body.to_vec() });
        }
        match kind {
            "visited" => read!(Visited),
            "enquired" => read!(Enquired),
            "cart_updated" => read!(CartUpdated),
            "order_placed" => read!(OrderPlaced),
            "payment_received" => read!(PaymentReceived),
            "refunded" => read!(Refunded),
            "order_delivered" => read!(OrderDelivered),
            "tagged" => read!(Tagged),
            "untagged" => read!(Untagged),
            "enlisted" => read!(Enlisted),
            "unlisted" => read!(Unlisted),
            "card_changed" => read!(CardChanged),
            "party_described" => read!(PartyDescribed),
            "identified" => read!(Identified),
            "voided" => read!(Voided),
            "consent_given" => read!(ConsentGiven),
            "consent_refused" => read!(ConsentRefused),
            "consent_withdrawn" => read!(ConsentWithdrawn),
            "consent_requested" => read!(ConsentRequested),
            "restricted" => read!(Restricted),
            "restriction_lifted" => read!(RestrictionLifted),
            "objected" => read!(Objected),
            "objection_withdrawn" => read!(ObjectionWithdrawn),
            "contacted" => read!(Contacted),
            "suppression_lifted" => read!(SuppressionLifted),
            "tied" => read!(Tied),
            "untied" => read!(Untied),
            "attribute_set" => read!(AttributeSet),
            "message_received" => read!(MessageReceived),
            "case_opened" => read!(CaseOpened),
            "case_closed" => read!(CaseClosed),
            "case_reopened" => read!(CaseReopened),
            "contract_signed" => read!(ContractSigned),
            "contract_renewed" => read!(ContractRenewed),
            "contract_ended" => read!(ContractEnded),
            "points_posted"
            | "points_reminded"
            | "coupon_claimed"
            | "tier_kept"
            | "coupon_reserved"
            | "coupon_redeemed"
            | "coupon_released"
            | "voucher_issued"
            | "voucher_withdrawn"
            | "reward_claimed"
            | "reward_cancelled"
            | "badge_earned"
            | "tag_added"
            | "tag_removed"
            | "notified"
            | "remembered"
            | "plugin_faulted"
            | "identifier_attached"
            | "identifier_set_aside"
            | "duplicate_suggested"
            | "duplicate_rejected"
            | "merged"
            | "parted"
            | "erased"
            | "hold_placed"
            | "hold_released"
            | "forgotten"
            | "personal_removed"
            | "personal_kept"
            | "identifier_corrected"
            | "segment_overridden"
            | "override_cleared"
            | "credit_posted"
            | "gift_card_posted"
            | "pool_moved"
            | "referral_moved"
            | "draw_won"
            | "looked_up" => decode_decision(kind, body).map(EventBody::Decision).map_err(fail),
            _ => match kind.strip_prefix(CUSTOM_PREFIX).map(crate::custom::KindName::new) {
                Some(Ok(name)) => serde_json::from_slice(body)
                    .map(|fields| EventBody::Fact(Fact::Custom(CustomFact { kind: name, fields })))
                    .map_err(fail),
                Some(Err(_)) | None => {
                    Ok(EventBody::Unrecognised { kind: SmolStr::new(kind), shape, body: body.to_vec() })
                }
            },
        }
    }
}

/// A decision is stored as who decided, beside the fields of what was done.
#[derive(Serialize, Deserialize)]
struct Stored<B, D> {
    by: B,
    deed: D,
}

impl Decision {
    /// The body as JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let by = &self.by;
        match &self.deed {
            Deed::PointsPosted(deed) => json(&Stored { by, deed }),
            Deed::PointsReminded(deed) => json(&Stored { by, deed }),
            Deed::CouponClaimed(deed) => json(&Stored { by, deed }),
            Deed::TierKept(deed) => json(&Stored { by, deed }),
            Deed::CouponReserved(deed) => json(&Stored { by, deed }),
            Deed::CouponRedeemed(deed) => json(&Stored { by, deed }),
            Deed::CouponReleased(deed) => json(&Stored { by, deed }),
            Deed::VoucherIssued(deed) => json(&Stored { by, deed }),
            Deed::VoucherWithdrawn(deed) => json(&Stored { by, deed }),
            Deed::RewardClaimed(deed) => json(&Stored { by, deed }),
            Deed::RewardCancelled(deed) => json(&Stored { by, deed }),
            Deed::BadgeEarned(deed) => json(&Stored { by, deed }),
            Deed::TagAdded(deed) => json(&Stored { by, deed }),
            Deed::TagRemoved(deed) => json(&Stored { by, deed }),
            Deed::Notified(deed) => json(&Stored { by, deed }),
            Deed::Remembered(deed) => json(&Stored { by, deed }),
            Deed::Faulted(deed) => json(&Stored { by, deed }),
            Deed::IdentifierAttached(deed) => json(&Stored { by, deed }),
            Deed::IdentifierSetAside(deed) => json(&Stored { by, deed }),
            Deed::DuplicateSuggested(deed) => json(&Stored { by, deed }),
            Deed::DuplicateRejected(deed) => json(&Stored { by, deed }),
            Deed::Merged(deed) => json(&Stored { by, deed }),
            Deed::Parted(deed) => json(&Stored { by, deed }),
            Deed::Erased(deed) => json(&Stored { by, deed }),
            Deed::HoldPlaced(deed) => json(&Stored { by, deed }),
            Deed::HoldReleased(deed) => json(&Stored { by, deed }),
            Deed::Forgotten(deed) => json(&Stored { by, deed }),
            Deed::Removed(deed) => json(&Stored { by, deed }),
            Deed::PersonalKept(deed) => json(&Stored { by, deed }),
            Deed::IdentifierCorrected(deed) => json(&Stored { by, deed }),
            Deed::SegmentOverridden(deed) => json(&Stored { by, deed }),
            Deed::OverrideCleared(deed) => json(&Stored { by, deed }),
            Deed::CreditPosted(deed) => json(&Stored { by, deed }),
            Deed::GiftCardPosted(deed) => json(&Stored { by, deed }),
            Deed::PoolMoved(deed) => json(&Stored { by, deed }),
            Deed::ReferralMoved(deed) => json(&Stored { by, deed }),
            Deed::DrawWon(deed) => json(&Stored { by, deed }),
            Deed::LookedUp(deed) => json(&Stored { by, deed }),
        }
    }
}

fn decode_decision(kind: &str, body: &[u8]) -> Result<Decision, serde_json::Error> {
    fn read<'a, D: Deserialize<'a>>(body: &'a [u8], deed: fn(D) -> Deed) -> Result<Decision, serde_json::Error> {
        let stored: Stored<Actor, D> = serde_json::from_slice(body)?;
        Ok(Decision { by: stored.by, deed: deed(stored.deed) })
    }
    match kind {
        "points_reminded" => read(body, Deed::PointsReminded),
        "coupon_claimed" => read(body, Deed::CouponClaimed),
        "tier_kept" => read(body, Deed::TierKept),
        "coupon_reserved" => read(body, Deed::CouponReserved),
        "coupon_redeemed" => read(body, Deed::CouponRedeemed),
        "coupon_released" => read(body, Deed::CouponReleased),
        "voucher_issued" => read(body, Deed::VoucherIssued),
        "voucher_withdrawn" => read(body, Deed::VoucherWithdrawn),
        "reward_claimed" => read(body, Deed::RewardClaimed),
        "reward_cancelled" => read(body, Deed::RewardCancelled),
        "badge_earned" => read(body, Deed::BadgeEarned),
        "tag_added" => read(body, Deed::TagAdded),
        "tag_removed" => read(body, Deed::TagRemoved),
        "notified" => read(body, Deed::Notified),
        "remembered" => read(body, Deed::Remembered),
        "plugin_faulted" => read(body, Deed::Faulted),
        "identifier_attached" => read(body, Deed::IdentifierAttached),
        "identifier_set_aside" => read(body, Deed::IdentifierSetAside),
        "duplicate_suggested" => read(body, Deed::DuplicateSuggested),
        "duplicate_rejected" => read(body, Deed::DuplicateRejected),
        "merged" => read(body, Deed::Merged),
        "parted" => read(body, Deed::Parted),
        "erased" => read(body, Deed::Erased),
        "hold_placed" => read(body, Deed::HoldPlaced),
        "hold_released" => read(body, Deed::HoldReleased),
        "forgotten" => read(body, Deed::Forgotten),
        "personal_removed" => read(body, Deed::Removed),
        "personal_kept" => read(body, Deed::PersonalKept),
        "identifier_corrected" => read(body, Deed::IdentifierCorrected),
        "segment_overridden" => read(body, Deed::SegmentOverridden),
        "override_cleared" => read(body, Deed::OverrideCleared),
        "credit_posted" => read(body, Deed::CreditPosted),
        "gift_card_posted" => read(body, Deed::GiftCardPosted),
        "pool_moved" => read(body, Deed::PoolMoved),
        "referral_moved" => read(body, Deed::ReferralMoved),
        "draw_won" => read(body, Deed::DrawWon),
        "looked_up" => read(body, Deed::LookedUp),
        _ => read(body, Deed::PointsPosted),
    }
}
