//! How events are stored: under which kind, and as what JSON. Each kind is in one list, by which it is named, written and
//! read.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{Decision, Deed, EventBody, Fact, Voided};
use crate::consent::{
    ConsentGiven, ConsentRefused, ConsentRequested, ConsentWithdrawn, Contacted, Objected, ObjectionWithdrawn,
    Restricted, RestrictionLifted, SuppressionLifted,
};
use crate::contract::{ContractEnded, ContractRenewed, ContractSigned};
use crate::custom::{CustomFact, KindName};
use crate::declared::AttributeSet;
use crate::exact::json;
use crate::identity::Identified;
use crate::interaction::{Enquired, Visited};
use crate::messaging::MessageReceived;
use crate::order::{CartUpdated, OrderDelivered, OrderPlaced, PaymentReceived, Refunded};
use crate::profile::{CardChanged, PartyDescribed, Tagged, Untagged};
use crate::relationship::{Tied, Untied};
use crate::segment::{Enlisted, Unlisted};
use crate::service::{CaseClosed, CaseOpened, CaseReopened};
use crate::workflow::Actor;

/// The shape in which bodies are written now.
pub const EVENT_SHAPE: u16 = 1;

/// The prefix of the kinds that shops define.
pub const CUSTOM_PREFIX: &str = "shop.";

/// Declares the kinds that facts are stored under, each of the type of its name.
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

            /// The body as JSON.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self {
                    $(Fact::$variant(body) => json(body),)*
                    Fact::Custom(body) => json(&body.fields),
                }
            }

            /// Reads a body of one of these kinds, or of one that a shop defined; none if it is of no such kind.
            fn decode(kind: &str, body: &[u8]) -> Option<serde_json::Result<Self>> {
                match kind {
                    $($kind => Some(serde_json::from_slice(body).map(Fact::$variant)),)*
                    _ => {
                        let kind = KindName::new(kind.strip_prefix(CUSTOM_PREFIX)?).ok()?;
                        Some(serde_json::from_slice(body).map(|fields| Fact::Custom(CustomFact { kind, fields })))
                    }
                }
            }
        }

        $(impl From<$variant> for Fact {
            fn from(fact: $variant) -> Self {
                Fact::$variant(fact)
            }
        })*
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

impl From<CustomFact> for Fact {
    fn from(fact: CustomFact) -> Self {
        Fact::Custom(fact)
    }
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

        impl Decision {
            /// The body as JSON.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                let by = &self.by;
                match &self.deed {
                    $(Deed::$variant(deed) => json(&Stored { by, deed }),)*
                }
            }

            /// Reads a body of one of these kinds; none if it is of no such kind.
            fn decode(kind: &str, body: &[u8]) -> Option<serde_json::Result<Self>> {
                match kind {
                    $($kind => Some(stored(body, Deed::$variant)),)*
                    _ => None,
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

/// A decision is stored as who decided, beside the fields of what was done.
#[derive(Serialize, Deserialize)]
struct Stored<B, D> {
    by: B,
    deed: D,
}

/// Reads who decided, and what.
fn stored<'a, D: Deserialize<'a>>(body: &'a [u8], deed: fn(D) -> Deed) -> serde_json::Result<Decision> {
    let stored: Stored<Actor, D> = serde_json::from_slice(body)?;
    Ok(Decision { by: stored.by, deed: deed(stored.deed) })
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
        let fact = || Some(Fact::decode(kind, body)?.map(EventBody::Fact));
        let decision = || Some(Decision::decode(kind, body)?.map(EventBody::Decision));
        let read = if shape == EVENT_SHAPE { fact().or_else(decision) } else { None };
        let unrecognised = || EventBody::Unrecognised { kind: SmolStr::new(kind), shape, body: body.to_vec() };
        read.unwrap_or_else(|| Ok(unrecognised())).map_err(|problem| {
            let source = JsonProblem::from(&problem);
            EventDecodeError { kind: SmolStr::new(kind), shape, source }
        })
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
