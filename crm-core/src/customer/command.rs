//! What the shop, or a plugin in its name, can ask to be done to a customer.

use serde::{Deserialize, Serialize};

use super::Customer;
use crate::credit::{CreditCommand, CreditError};
use crate::definitions::Definitions;
use crate::event::Deed;
use crate::id::CustomerId;
use crate::loyalty::{
    AdjustPoints, AwardPoints, CancelReward, CaptureHold, ClaimCoupon, ClaimReward, ForfeitPoints, HoldPoints,
    ImportPoints, InviteToTier, LoyaltyError, PointsBook, Posting, PostingKind, Program, ProgramId, RedeemCoupon,
    RedeemPoints, ReinstatePoints, ReleaseCoupon, ReleaseHold, ReserveCoupon, RevokeTier, TierRefusal, UndoPosting,
};
use crate::money::Money;
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
    /// Put points right.
    AdjustPoints(AdjustPoints),
    /// Set points aside.
    HoldPoints(HoldPoints),
    /// Spend points that are held.
    CaptureHold(CaptureHold),
    /// Free points that are held.
    ReleaseHold(ReleaseHold),
    /// Do the opposite of a posting.
    UndoPosting(UndoPosting),
    /// Give back points that expired.
    ReinstatePoints(ReinstatePoints),
    /// Leave a programme.
    ForfeitPoints(ForfeitPoints),
    /// Take in the points that another system kept.
    ImportPoints(ImportPoints),
    /// Use a coupon whose limits the shop keeps itself.
    ClaimCoupon(ClaimCoupon),
    /// Give, hold or spend store credit.
    Credit(CreditCommand),
    /// Have a customer be in a tier that is by invitation.
    InviteToTier(InviteToTier),
    /// End an invitation to a tier.
    RevokeTier(RevokeTier),
    /// Keep a use of a coupon.
    ReserveCoupon(ReserveCoupon),
    /// Use a coupon.
    RedeemCoupon(RedeemCoupon),
    /// Give a use of a coupon back.
    ReleaseCoupon(ReleaseCoupon),
    /// Exchange points for a reward.
    ClaimReward(ClaimReward),
    /// Give a reward back.
    CancelReward(CancelReward),
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
    /// Store credit.
    #[error(transparent)]
    Credit(#[from] CreditError),
    /// A tier.
    #[error(transparent)]
    Tier(#[from] TierRefusal),
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
            Command::AdjustPoints(_) => "adjust_points",
            Command::HoldPoints(_) => "hold_points",
            Command::CaptureHold(_) => "capture_hold",
            Command::ReleaseHold(_) => "release_hold",
            Command::UndoPosting(_) => "undo_posting",
            Command::ReinstatePoints(_) => "reinstate_points",
            Command::ForfeitPoints(_) => "forfeit_points",
            Command::ImportPoints(_) => "import_points",
            Command::ClaimCoupon(_) => "claim_coupon",
            Command::Credit(command) => command.name(),
            Command::InviteToTier(_) => "invite_to_tier",
            Command::RevokeTier(_) => "revoke_tier",
            Command::ReserveCoupon(_) => "reserve_coupon",
            Command::RedeemCoupon(_) => "redeem_coupon",
            Command::ReleaseCoupon(_) => "release_coupon",
            Command::ClaimReward(_) => "claim_reward",
            Command::CancelReward(_) => "cancel_reward",
            Command::AddTag(_) => "add_tag",
            Command::RemoveTag(_) => "remove_tag",
            Command::OverrideSegment(_) => "override_segment",
            Command::ClearOverride(_) => "clear_override",
            Command::Notify { .. } => "notify",
        }
    }

    /// Whether only the shop can ask for it, and no plugin: what is counted for all customers together, and what needs
    /// the history.
    #[must_use]
    pub const fn is_of_shop(&self) -> bool {
        matches!(
            self,
            Command::ClaimCoupon(_)
                | Command::ReserveCoupon(_)
                | Command::RedeemCoupon(_)
                | Command::ClaimReward(_)
                | Command::CancelReward(_)
        )
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
        let points = PointsOf { customer, through, at, definitions };
        match self {
            Command::RedeemPoints(redeem) => points.posted(&redeem.program, |points, book| {
                let posting = redeem.decide(book.all(points), customer.facts().orders())?;
                points.check_redeemed(&posting, redeem.total)?;
                Ok(vec![posting])
            }),
            Command::AwardPoints(award) => points.given(&award.program, |points, book, program| {
                let tier = customer.standing.tier(&award.program);
                award.decide(book.own(points), program, tier, at)
            }),
            Command::AdjustPoints(adjust) => points.given(&adjust.program, |points, book, program| {
                let tier = customer.standing.tier(&adjust.program);
                adjust.decide(book.own(points), book.all(points), program, tier, at)
            }),
            Command::HoldPoints(hold) => {
                points.posted(&hold.program, |points, book| Ok(vec![hold.decide(book.all(points), at)?]))
            }
            Command::CaptureHold(capture) => points.posted(&capture.program, |points, book| {
                let postings = capture.decide(book.all(points), points.among(), customer.facts().orders())?;
                postings.iter().try_for_each(|posting| points.check_redeemed(posting, None))?;
                Ok(postings)
            }),
            Command::ReleaseHold(release) => points
                .posted(&release.program, |points, book| Ok(vec![release.decide(book.all(points), points.among())?])),
            // Only whoever has the history can undo: see `Customer::undo_posting`.
            Command::UndoPosting(undo) => Err(LoyaltyError::NoPosting { posting: undo.posting }.into()),
            Command::ReinstatePoints(reinstate) => points.given(&reinstate.program, |points, book, program| {
                let tier = customer.standing.tier(&reinstate.program);
                reinstate.decide(book.own(points), program, tier, at)
            }),
            Command::ForfeitPoints(ForfeitPoints { program, reason }) => points.posted(&program, |points, book| {
                let book = book.all(points);
                if book.lots().is_empty() && book.owed() == 0 {
                    return Err(LoyaltyError::NoPoints { program: program.clone() });
                }
                let kind = PostingKind::Forfeited { reason: reason.clone() };
                Ok(vec![book.forfeit(Posting::new(program.clone(), kind))])
            }),
            Command::ImportPoints(import) => {
                if definitions.program(&import.program, at).is_none() {
                    return Err(LoyaltyError::NoProgram { program: import.program }.into());
                }
                points.posted(&import.program, |points, book| Ok(import.decide(book.own(points), at)?))
            }
            Command::ClaimCoupon(claim) => Ok(vec![Deed::CouponClaimed(claim.decide(customer)?)]),
            Command::Credit(command) => Ok(vec![Deed::CreditPosted(command.decide(customer, through, at)?)]),
            Command::InviteToTier(invite) => customer.decide_invitation(invite, at, definitions),
            Command::RevokeTier(revoke) => customer.decide_revocation(revoke, at, definitions),
            Command::ReserveCoupon(reserve) => {
                let reserved = reserve.decide(None, customer, at, definitions)?;
                Ok(reserved.map(Deed::CouponReserved).into_iter().collect())
            }
            Command::RedeemCoupon(redeem) => {
                let redeemed = redeem.decide(None, customer, at, definitions)?;
                Ok(redeemed.map(Deed::CouponRedeemed).into_iter().collect())
            }
            Command::ReleaseCoupon(release) => Ok(vec![Deed::CouponReleased(release.decide(customer)?)]),
            Command::ClaimReward(claim) => Ok(claim.decide(customer, through, at, definitions)?),
            Command::CancelReward(cancel) => Ok(cancel.decide(customer, at)?),
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

/// The points of a customer, as commands ask for them.
struct PointsOf<'a> {
    customer: &'a Customer,
    through: CustomerId,
    at: Timestamp,
    definitions: &'a Definitions,
}

/// A programme whose books are asked for.
struct Books<'a> {
    program: &'a ProgramId,
    empty: PointsBook,
}

impl Books<'_> {
    /// The book of all whom the customer was merged of: what is spent is taken from all.
    fn all<'b>(&'b self, of: &'b PointsOf<'_>) -> &'b PointsBook {
        of.customer.book(self.program).unwrap_or(&self.empty)
    }

    /// The book of the one whom the command came through: what is given is theirs.
    fn own<'b>(&'b self, of: &'b PointsOf<'_>) -> &'b PointsBook {
        of.customer.book_of(of.through, self.program).unwrap_or(&self.empty)
    }
}

impl<'a> PointsOf<'a> {
    /// The one of several who were merged whom it came through; none for somebody who is one.
    fn among(&self) -> Option<CustomerId> {
        self.customer.is_merged().then_some(self.through)
    }

    /// Checks what is spent by what the programme says of redemptions. `total` is what its order comes to, if that was not
    /// told yet.
    fn check_redeemed(&self, posting: &Posting, total: Option<Money>) -> Result<(), LoyaltyError> {
        let (PostingKind::Spent { order, .. } | PostingKind::Captured { order, .. }) = &posting.kind else {
            return Ok(());
        };
        let Some(program) = self.definitions.program(&posting.program, self.at) else { return Ok(()) };
        let told = order.as_ref().and_then(|order| self.customer.facts().orders().named(order));
        let total = told.map(|order| Money::new(order.net_minor(), order.total.currency())).or(total);
        let before = order.as_ref().map_or(0, |order| self.customer.paid_for(&posting.program, order));
        // One posting spends no more than one command may.
        let points = i64::try_from(-posting.points()).unwrap_or(i64::MAX);
        program.check_redeemed(points, total.map(|total| (total, before)))
    }

    /// For what needs points that are there: the programme is in force, or was.
    fn posted(
        &self,
        program: &ProgramId,
        decide: impl FnOnce(&Self, &Books<'_>) -> Result<Vec<Posting>, LoyaltyError>,
    ) -> Result<Vec<Deed>, Refusal> {
        if self.customer.book(program).is_none() && self.definitions.program(program, self.at).is_none() {
            return Err(LoyaltyError::NoProgram { program: program.clone() }.into());
        }
        let books = Books { program, empty: PointsBook::default() };
        Ok(decide(self, &books)?.into_iter().map(Deed::PointsPosted).collect())
    }

    /// For what may give points: the programme is in force.
    fn given(
        &self,
        program: &ProgramId,
        decide: impl FnOnce(&Self, &Books<'_>, &'a Program) -> Result<Posting, LoyaltyError>,
    ) -> Result<Vec<Deed>, Refusal> {
        let none = || LoyaltyError::NoProgram { program: program.clone() };
        let in_force = self.definitions.program(program, self.at).ok_or_else(none)?;
        let books = Books { program, empty: PointsBook::default() };
        Ok(vec![Deed::PointsPosted(decide(self, &books, in_force)?)])
    }
}
