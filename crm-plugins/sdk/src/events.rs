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
    TAGGED "tagged" "A tag was put on from outside. Field `tag`.",
    UNTAGGED "untagged" "A tag was taken off from outside. Field `tag`.",
    ATTRIBUTE_SET "attribute_set" "An attribute that the shop declared was set. Field `attribute`, its name.",
    MESSAGE_RECEIVED "message_received" "The customer wrote or called. Field `channel`, a text.",
    CASE_OPENED "case_opened" "A case was opened. Fields `case` and `kind`.",
    CASE_CLOSED "case_closed" "A case was closed. Fields `case` and `outcome`.",
    CASE_REOPENED "case_reopened" "A case was opened again. Field `case`.",
    CONTRACT_SIGNED "contract_signed" "A contract was signed. Field `contract`; `amount` and `currency` where its value is known.",
    CONTRACT_RENEWED "contract_renewed" "A contract was renewed. Fields as when it was signed.",
    CONTRACT_ENDED "contract_ended" "A contract ended. Field `contract`.",
    POINTS_POSTED "points_posted" "Points moved. Fields `program`, `posting` (why), and `points`, negative when they went.",
    TAG_ADDED "tag_added" "A tag was put on. Field `tag`.",
    TAG_REMOVED "tag_removed" "A tag was taken off. Field `tag`.",
    NOTIFIED "notified" "A message was asked for. Field `topic`.",
    STAGE_CHANGED "stage_changed" "The customer moved in the life cycle. Fields `from` and `to`; the first has no `from`.",
    SEGMENT_ENTERED "segment_entered" "The customer came into a segment. Field `segment`; `because`, where a clause decided.",
    SEGMENT_LEFT "segment_left" "The customer left a segment. Fields as when one is entered.",
    TIER_REACHED "tier_reached" "The customer reached a tier. Fields `program`, `to`, and `from` if there was one.",
    TIER_LOST "tier_lost" "The customer lost a tier. Fields `program`, `from`, and `to` if one is left.",
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
    Tagged {
        tag: &'a str,
    },
    Untagged {
        tag: &'a str,
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
        TAGGED => What::Tagged { tag: text("tag")? },
        UNTAGGED => What::Untagged { tag: text("tag")? },
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
        TAG_ADDED => What::TagAdded { tag: text("tag")? },
        TAG_REMOVED => What::TagRemoved { tag: text("tag")? },
        NOTIFIED => What::Notified { topic: text("topic")? },
        STAGE_CHANGED => What::StageChanged { from: text("from"), to: text("to") },
        SEGMENT_ENTERED => What::SegmentEntered { segment: text("segment")?, because: text("because") },
        SEGMENT_LEFT => What::SegmentLeft { segment: text("segment")?, because: text("because") },
        TIER_REACHED => What::TierReached { program: text("program")?, from: text("from"), to: text("to")? },
        TIER_LOST => What::TierLost { program: text("program")?, from: text("from")?, to: text("to") },
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
        let more = ["posting", "topic", "segment", "from", "to", "scorer", "output"];
        for kind in ALL {
            let texts = fields.iter().chain(&more).fold(Event::new(*kind), |event, name| event.with(*name, "x"));
            let numbers = ["items", "total", "lines", "amount", "points", "value"];
            let event = numbers.iter().fold(texts, |event, name| event.with(*name, 1));
            assert_ne!(event.what(), What::Other, "{kind}");
        }
    }
}
