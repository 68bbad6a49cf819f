//! The kinds of event that a workflow can listen to, and what each says.
//!
//! ```
//! use crm_plugin_sdk::Event;
//! use crm_plugin_sdk::events::{self, What};
//!
//! let event = Event::new(events::STAGE_CHANGED).with("from", "purchase").with("to", "historical");
//! assert_eq!(event.what(), What::StageChanged { from: Some("purchase"), to: Some("historical") });
//! ```
//!
//! Kinds that a shop defined itself begin with `shop.`; their fields are the shop's own.

use crate::Event;
use crate::value::Entries;

macro_rules! kinds {
    ($($constant:ident $name:literal $doc:literal,)*) => {
        $(
            #[doc = $doc]
            pub const $constant: &str = $name;
        )*

        /// All kinds but the shops' own.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

kinds! {
    VISITED "visited" "The customer visited. Field `channel`, a text.",
    ENQUIRED "enquired" "The customer asked something. Field `channel`, a text.",
    CART_UPDATED "cart_updated" "A cart was filled or changed. Field `items`, how many are in it.",
    ORDER_PLACED "order_placed" "An order was placed. Fields `total` in minor units, `currency`, and `lines`, how many.",
    PAYMENT_RECEIVED "payment_received" "A payment came in. Fields `amount` in minor units and `currency`.",
    REFUNDED "refunded" "Money was given back. Fields `amount` in minor units and `currency`.",
    ORDER_DELIVERED "order_delivered" "An order arrived. Field `order`.",
    TAGGED "tagged" "A tag was put on from outside. Field `tag`.",
    UNTAGGED "untagged" "A tag was taken off from outside. Field `tag`.",
    ENLISTED "enlisted" "The shop put the customer on a list. Field `list`.",
    UNLISTED "unlisted" "The shop took the customer off a list. Field `list`.",
    CARD_CHANGED "card_changed" "Something was told about the card. No fields: what the shop shows of the card comes with the customer.",
    PARTY_DESCRIBED "party_described" "The shop said what kind of party the customer is. No fields.",
    IDENTIFIED "identified" "The customer is known by an identifier. No fields.",
    VOIDED "voided" "A fact of before was wrong. No fields.",
    CONSENT_GIVEN "consent_given" "The customer allowed something. No fields: what it came to is `consent_changed`.",
    CONSENT_REFUSED "consent_refused" "The customer was asked and said no. No fields.",
    CONSENT_WITHDRAWN "consent_withdrawn" "The customer took back what they allowed. No fields.",
    CONSENT_REQUESTED "consent_requested" "The customer was asked to confirm. No fields.",
    RESTRICTED "restricted" "The customer's data may not be used for now. No fields; told to those only that are granted to be called all the same.",
    RESTRICTION_LIFTED "restriction_lifted" "It may be used again. No fields.",
    OBJECTED "objected" "The customer objects to something. No fields; not told to those whose purpose it bars.",
    OBJECTION_WITHDRAWN "objection_withdrawn" "The customer objects no more. No fields.",
    CONTACTED "contacted" "The shop sent something. No fields.",
    SUPPRESSION_LIFTED "suppression_lifted" "An address is no longer suppressed. No fields.",
    TIED "tied" "The customer was tied to another one. Fields `tie`, its kind, and `strength` in thousandths.",
    UNTIED "untied" "A tie to another customer ended. Field `tie`, its kind.",
    ATTRIBUTE_SET "attribute_set" "An attribute that the shop declared was set. Field `attribute`, its name.",
    MESSAGE_RECEIVED "message_received" "The customer wrote or called. Field `channel`, a text.",
    CASE_OPENED "case_opened" "A case was opened. Fields `case` and `kind`.",
    CASE_CLOSED "case_closed" "A case was closed. Fields `case` and `outcome`.",
    CASE_REOPENED "case_reopened" "A case was opened again. Field `case`.",
    CONTRACT_SIGNED "contract_signed" "A contract was signed. Field `contract`; `amount` and `currency` where its value is known.",
    CONTRACT_RENEWED "contract_renewed" "A contract was renewed. Fields as when it was signed.",
    CONTRACT_ENDED "contract_ended" "A contract ended. Field `contract`.",
    POINTS_POSTED "points_posted" "Points moved. Fields `program`, `posting` (why), and `points`, negative when they went.",
    POINTS_REMINDED "points_reminded" "The customer was reminded of points. Fields `program`, `points`, and `expires_at` in milliseconds since 1970.",
    CREDIT_POSTED "credit_posted" "Store credit moved. Fields `currency`, `posting` (why), and `minor`, in minor units, negative when it went.",
    COUPON_CLAIMED "coupon_claimed" "A coupon was used without a basket. Field `coupon`.",
    COUPON_RESERVED "coupon_reserved" "A use of a coupon was kept. Field `coupon`.",
    COUPON_REDEEMED "coupon_redeemed" "A coupon was used. Fields `coupon`, and `order` where it was for one.",
    COUPON_RELEASED "coupon_released" "A use of a coupon was given back. Field `coupon`.",
    VOUCHER_ISSUED "voucher_issued" "The customer got a voucher. Field `coupon`.",
    VOUCHER_WITHDRAWN "voucher_withdrawn" "A voucher was taken back. No fields.",
    REWARD_CLAIMED "reward_claimed" "A reward was claimed. Fields `reward`, and `points`, what it cost.",
    REWARD_CANCELLED "reward_cancelled" "A reward was given back. Field `reward`.",
    BADGE_EARNED "badge_earned" "A badge was earned. Field `badge`.",
    TAG_ADDED "tag_added" "A tag was put on. Field `tag`.",
    TAG_REMOVED "tag_removed" "A tag was taken off. Field `tag`.",
    NOTIFIED "notified" "A message was asked for. Field `topic`.",
    STAGE_CHANGED "stage_changed" "The customer moved in the life cycle. Fields `from` and `to`; the first has no `from`.",
    SEGMENT_ENTERED "segment_entered" "The customer came into a segment. Field `segment`; `because`, where a clause decided.",
    SEGMENT_LEFT "segment_left" "The customer left a segment. Fields as when one is entered.",
    TIER_REACHED "tier_reached" "The customer reached a tier. Fields `program`, `to`, and `from` if there was one.",
    TIER_LOST "tier_lost" "The customer lost a tier. Fields `program`, `from`, and `to` if one is left.",
    TIER_AT_RISK "tier_at_risk" "A tier will be lost if nothing happens. Fields `program`, `tier`, `on` in milliseconds since 1970, and `missing`, how much more would keep it, where that helps.",
    CONSENT_CHANGED "consent_changed" "What was said about consent comes to something else. Fields `purpose`, `channel`, `from` and `to`; `scope` where it is about a part of the business.",
    SCORED "scored" "A scorer scored the customer. Fields `scorer`, `output` and `value`.",
}

/// What an event says, with its fields. Money is in minor units. What a text may be is the shop's
/// affair, but for stages, channels and the kinds and outcomes of cases.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the constants of the same names say what the fields hold")]
pub enum What<'a> {
    Visited {
        channel: &'a str,
    },
    Enquired {
        channel: &'a str,
    },
    CartUpdated {
        items: i64,
    },
    OrderPlaced {
        total: i64,
        currency: &'a str,
        lines: i64,
    },
    PaymentReceived {
        amount: i64,
        currency: &'a str,
    },
    Refunded {
        amount: i64,
        currency: &'a str,
    },
    OrderDelivered {
        order: &'a str,
    },
    Tagged {
        tag: &'a str,
    },
    Untagged {
        tag: &'a str,
    },
    Enlisted {
        list: &'a str,
    },
    Unlisted {
        list: &'a str,
    },
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
    Tied {
        tie: &'a str,
        strength: i64,
    },
    Untied {
        tie: &'a str,
    },
    AttributeSet {
        attribute: &'a str,
    },
    MessageReceived {
        channel: &'a str,
    },
    CaseOpened {
        case: &'a str,
        kind: &'a str,
    },
    CaseClosed {
        case: &'a str,
        outcome: &'a str,
    },
    CaseReopened {
        case: &'a str,
    },
    ContractSigned {
        contract: &'a str,
        amount: Option<i64>,
        currency: Option<&'a str>,
    },
    ContractRenewed {
        contract: &'a str,
        amount: Option<i64>,
        currency: Option<&'a str>,
    },
    ContractEnded {
        contract: &'a str,
    },
    PointsPosted {
        program: &'a str,
        posting: &'a str,
        points: i64,
    },
    PointsReminded {
        program: &'a str,
        points: i64,
        expires_at: i64,
    },
    CreditPosted {
        currency: &'a str,
        posting: &'a str,
        minor: i64,
    },
    CouponClaimed {
        coupon: &'a str,
    },
    CouponReserved {
        coupon: &'a str,
    },
    CouponRedeemed {
        coupon: &'a str,
        order: Option<&'a str>,
    },
    CouponReleased {
        coupon: &'a str,
    },
    VoucherIssued {
        coupon: &'a str,
    },
    VoucherWithdrawn,
    RewardClaimed {
        reward: &'a str,
        points: i64,
    },
    RewardCancelled {
        reward: &'a str,
    },
    BadgeEarned {
        badge: &'a str,
    },
    TagAdded {
        tag: &'a str,
    },
    TagRemoved {
        tag: &'a str,
    },
    Notified {
        topic: &'a str,
    },
    StageChanged {
        from: Option<&'a str>,
        to: Option<&'a str>,
    },
    SegmentEntered {
        segment: &'a str,
        because: Option<&'a str>,
    },
    SegmentLeft {
        segment: &'a str,
        because: Option<&'a str>,
    },
    TierReached {
        program: &'a str,
        from: Option<&'a str>,
        to: &'a str,
    },
    TierLost {
        program: &'a str,
        from: &'a str,
        to: Option<&'a str>,
    },
    TierAtRisk {
        program: &'a str,
        tier: &'a str,
        on: i64,
        missing: Option<i64>,
    },
    ConsentChanged {
        purpose: &'a str,
        channel: &'a str,
        scope: Option<&'a str>,
        from: &'a str,
        to: &'a str,
    },
    Scored {
        scorer: &'a str,
        output: &'a str,
        value: f64,
    },
    /// One of the shop's own, one that this SDK does not know, or one without its fields: the event
    /// itself has what there is.
    Other,
}

impl Event {
    /// What the event says, typed.
    pub fn what(&self) -> What<'_> {
        read(&self.kind, &self.fields).unwrap_or(What::Other)
    }
}

fn read<'a>(kind: &str, fields: &'a Entries) -> Option<What<'a>> {
    let text = |name: &str| fields.text(name);
    let int = |name: &str| fields.int(name);
    Some(match kind {
        VISITED => What::Visited { channel: text("channel")? },
        ENQUIRED => What::Enquired { channel: text("channel")? },
        CART_UPDATED => What::CartUpdated { items: int("items")? },
        ORDER_PLACED => What::OrderPlaced { total: int("total")?, currency: text("currency")?, lines: int("lines")? },
        PAYMENT_RECEIVED => What::PaymentReceived { amount: int("amount")?, currency: text("currency")? },
        REFUNDED => What::Refunded { amount: int("amount")?, currency: text("currency")? },
        ORDER_DELIVERED => What::OrderDelivered { order: text("order")? },
        TAGGED => What::Tagged { tag: text("tag")? },
        UNTAGGED => What::Untagged { tag: text("tag")? },
        ENLISTED => What::Enlisted { list: text("list")? },
        UNLISTED => What::Unlisted { list: text("list")? },
        CARD_CHANGED => What::CardChanged,
        PARTY_DESCRIBED => What::PartyDescribed,
        IDENTIFIED => What::Identified,
        VOIDED => What::Voided,
        CONSENT_GIVEN => What::ConsentGiven,
        CONSENT_REFUSED => What::ConsentRefused,
        CONSENT_WITHDRAWN => What::ConsentWithdrawn,
        CONSENT_REQUESTED => What::ConsentRequested,
        RESTRICTED => What::Restricted,
        RESTRICTION_LIFTED => What::RestrictionLifted,
        OBJECTED => What::Objected,
        OBJECTION_WITHDRAWN => What::ObjectionWithdrawn,
        CONTACTED => What::Contacted,
        SUPPRESSION_LIFTED => What::SuppressionLifted,
        TIED => What::Tied { tie: text("tie")?, strength: int("strength")? },
        UNTIED => What::Untied { tie: text("tie")? },
        ATTRIBUTE_SET => What::AttributeSet { attribute: text("attribute")? },
        MESSAGE_RECEIVED => What::MessageReceived { channel: text("channel")? },
        CASE_OPENED => What::CaseOpened { case: text("case")?, kind: text("kind")? },
        CASE_CLOSED => What::CaseClosed { case: text("case")?, outcome: text("outcome")? },
        CASE_REOPENED => What::CaseReopened { case: text("case")? },
        CONTRACT_SIGNED => {
            What::ContractSigned { contract: text("contract")?, amount: int("amount"), currency: text("currency") }
        }
        CONTRACT_RENEWED => {
            What::ContractRenewed { contract: text("contract")?, amount: int("amount"), currency: text("currency") }
        }
        CONTRACT_ENDED => What::ContractEnded { contract: text("contract")? },
        POINTS_POSTED => {
            What::PointsPosted { program: text("program")?, posting: text("posting")?, points: int("points")? }
        }
        POINTS_REMINDED => {
            What::PointsReminded { program: text("program")?, points: int("points")?, expires_at: int("expires_at")? }
        }
        CREDIT_POSTED => {
            What::CreditPosted { currency: text("currency")?, posting: text("posting")?, minor: int("minor")? }
        }
        COUPON_CLAIMED => What::CouponClaimed { coupon: text("coupon")? },
        COUPON_RESERVED => What::CouponReserved { coupon: text("coupon")? },
        COUPON_REDEEMED => What::CouponRedeemed { coupon: text("coupon")?, order: text("order") },
        COUPON_RELEASED => What::CouponReleased { coupon: text("coupon")? },
        VOUCHER_ISSUED => What::VoucherIssued { coupon: text("coupon")? },
        VOUCHER_WITHDRAWN => What::VoucherWithdrawn,
        REWARD_CLAIMED => What::RewardClaimed { reward: text("reward")?, points: int("points")? },
        REWARD_CANCELLED => What::RewardCancelled { reward: text("reward")? },
        BADGE_EARNED => What::BadgeEarned { badge: text("badge")? },
        TAG_ADDED => What::TagAdded { tag: text("tag")? },
        TAG_REMOVED => What::TagRemoved { tag: text("tag")? },
        NOTIFIED => What::Notified { topic: text("topic")? },
        STAGE_CHANGED => What::StageChanged { from: text("from"), to: text("to") },
        SEGMENT_ENTERED => What::SegmentEntered { segment: text("segment")?, because: text("because") },
        SEGMENT_LEFT => What::SegmentLeft { segment: text("segment")?, because: text("because") },
        TIER_REACHED => What::TierReached { program: text("program")?, from: text("from"), to: text("to")? },
        TIER_LOST => What::TierLost { program: text("program")?, from: text("from")?, to: text("to") },
        TIER_AT_RISK => {
            What::TierAtRisk { program: text("program")?, tier: text("tier")?, on: int("on")?, missing: int("missing") }
        }
        CONSENT_CHANGED => What::ConsentChanged {
            purpose: text("purpose")?,
            channel: text("channel")?,
            scope: text("scope"),
            from: text("from")?,
            to: text("to")?,
        },
        SCORED => What::Scored { scorer: text("scorer")?, output: text("output")?, value: fields.float("value")? },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_not_known_or_lacks_a_field_is_other() {
        assert_eq!(Event::new("shop.returned").what(), What::Other);
        assert_eq!(Event::new(SCORED).with("scorer", "churn").what(), What::Other);
        let scored = Event::new(SCORED).with("scorer", "churn").with("output", "churn").with("value", 0.5);
        assert_eq!(scored.what(), What::Scored { scorer: "churn", output: "churn", value: 0.5 });
    }

    #[test]
    fn every_kind_is_read() {
        let fields = ["channel", "currency", "tag", "attribute", "case", "kind", "outcome", "contract", "program"];
        let more = ["posting", "topic", "segment", "from", "to", "scorer", "output", "order", "list", "tie", "coupon"];
        let most = ["reward", "badge", "tier", "purpose", "scope"];
        for kind in ALL {
            let texts =
                fields.iter().chain(&more).chain(&most).fold(Event::new(*kind), |event, name| event.with(*name, "x"));
            let counts =
                ["items", "total", "lines", "amount", "points", "value", "strength", "expires_at", "minor", "on"];
            let event = counts.iter().fold(texts, |event, name| event.with(*name, 1));
            assert_ne!(event.what(), What::Other, "{kind}");
        }
    }
}
