//! What the shop, or a plugin in its name, can ask to be done to a customer.

use serde::{Deserialize, Serialize};

use super::Customer;
use crate::definitions::Definitions;
use crate::event::Deed;
use crate::id::CustomerId;
use crate::loyalty::{AwardPoints, ClaimCoupon, LoyaltyError, PointsBook, RedeemPoints};
use crate::segment::{OverrideCleared, OverrideRefusal, OverrideSegment};
use crate::text::Tag;
use crate::time::Timestamp;
use crate::workflow::{FIELD_TEXT_MAX, FIELDS_MAX, FieldValue, Fields, Notified, TagAdded, TagRemoved, Topic};

/// A request that may be refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Spend points.
    RedeemPoints(RedeemPoints),
    /// Give points that no order earned.
    AwardPoints(AwardPoints),
    /// Use a coupon.
    ClaimCoupon(ClaimCoupon),
    /// Put a tag on. A tag that is there already stays, and nothing happens.
    AddTag(Tag),
    /// Take off a tag that a command or a plugin put on. One that is not there stays away, and nothing
    /// happens.
    RemoveTag(Tag),
    /// Have a customer be in a segment, or not, whatever its rule says. The same again changes nothing.
    OverrideSegment(OverrideSegment),
    /// Have the rule of a segment decide again. Where nothing overrides it nothing happens.
    ClearOverride(OverrideCleared),
    /// Tell the host something, by an entry in the outbox.
    Notify {
        /// What about.
        topic: Topic,
        /// The facts of it.
        fields: Fields,
    },
}

/// Why a command was refused. The state is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Points.
    #[error(transparent)]
    Loyalty(#[from] LoyaltyError),
    /// The rule of a segment.
    #[error(transparent)]
    Override(#[from] OverrideRefusal),
    /// Too many fields, or a text too long.
    #[error("a notification has more than {max} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

impl Command {
    /// The name of the command, as plugins ask for it where they can.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Command::RedeemPoints(_) => "redeem_points",
            Command::AwardPoints(_) => "award_points",
            Command::ClaimCoupon(_) => "claim_coupon",
            Command::AddTag(_) => "add_tag",
            Command::RemoveTag(_) => "remove_tag",
            Command::OverrideSegment(_) => "override_segment",
            Command::ClearOverride(_) => "clear_override",
            Command::Notify { .. } => "notify",
        }
    }

    /// What carrying it out would do to a customer at an instant. An empty list means that it is so
    /// already. `through` is the one of several merged customers whom it came through: what is given is
    /// theirs, and what is spent is taken from all.
    ///
    /// # Errors
    ///
    /// `Refusal`, with the reason.
    pub fn decide(
        self,
        customer: &Customer,
        through: CustomerId,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Vec<Deed>, Refusal> {
        let empty = PointsBook::default();
        match self {
            Command::RedeemPoints(redeem) => {
                let book = customer.book(&redeem.program);
                if book.is_none() && definitions.program(&redeem.program, at).is_none() {
                    return Err(LoyaltyError::NoProgram { program: redeem.program }.into());
                }
                Ok(vec![Deed::PointsPosted(redeem.decide(book.unwrap_or(&empty))?)])
            }
            Command::AwardPoints(award) => {
                let program = definitions
                    .program(&award.program, at)
                    .ok_or_else(|| LoyaltyError::NoProgram { program: award.program.clone() })?;
                let book = customer.book_of(through, &award.program).unwrap_or(&empty);
                Ok(vec![Deed::PointsPosted(award.decide(book, program, at)?)])
            }
            Command::ClaimCoupon(claim) => Ok(vec![Deed::CouponClaimed(claim.decide(customer)?)]),
            Command::AddTag(tag) => {
                let there = customer.has_tag(&tag);
                Ok(if there { Vec::new() } else { vec![Deed::TagAdded(TagAdded { tag })] })
            }
            Command::RemoveTag(tag) => {
                let there = customer.decided.tags.contains(&tag);
                Ok(if there { vec![Deed::TagRemoved(TagRemoved { tag })] } else { Vec::new() })
            }
            Command::OverrideSegment(asked) => customer.decide_override(asked, at, definitions),
            Command::ClearOverride(cleared) => customer.decide_clearing(cleared, at),
            Command::Notify { topic, fields } => {
                if fields.len() > FIELDS_MAX {
                    return Err(Refusal::TooLarge { what: "fields", max: FIELDS_MAX });
                }
                let long = |value: &FieldValue| matches!(value, FieldValue::Text(text) if text.len() > FIELD_TEXT_MAX);
                if fields.values().any(long) {
                    return Err(Refusal::TooLarge { what: "bytes in a text", max: FIELD_TEXT_MAX });
                }
                Ok(vec![Deed::Notified(Notified { topic, fields })])
            }
        }
    }
}
