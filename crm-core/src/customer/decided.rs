//! The fold of a customer's decisions, in the order in which they were recorded.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::credit::CreditBooks;
use crate::event::{Decision, Deed};
use crate::flat::{FlatMap, FlatSet};
use crate::identity::{Doubts, Held};
use crate::loyalty::{HeldTiers, PointsBook, ProgramId, RewardsHeld, Together};
use crate::privacy::{HoldPlaced, LegalHoldName, Retained};
use crate::segment::{SegmentName, SegmentOverridden};
use crate::text::Tag;
use crate::time::Timestamp;
use crate::workflow::{Actor, PluginKept, PluginName};

/// What the CRM decided about a customer so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedState {
    pub(super) count: u64,
    pub(super) books: FlatMap<ProgramId, PointsBook>,
    pub(super) tiers: HeldTiers,
    pub(super) tags: FlatSet<Tag>,
    pub(super) identifiers: Held,
    pub(super) actions: FlatMap<SmolStr, u64>,
    pub(super) plugins: FlatMap<PluginName, PluginKept>,
    pub(crate) holds: FlatMap<LegalHoldName, HoldPlaced>,
    pub(crate) erased: bool,
    pub(super) doubts: Doubts,
    pub(crate) retained: Retained,
    pub(crate) overrides: FlatMap<SegmentName, SegmentOverridden>,
    pub(super) credit: Option<Box<CreditBooks>>,
    /// Coupons, vouchers, rewards, badges: most customers have none.
    pub(super) rewards: Option<Box<RewardsHeld>>,
    /// Gifts, pools and referrals: none for most.
    pub(super) together: Option<Box<Together>>,
}

impl DecidedState {
    pub(super) fn apply(&mut self, at: Timestamp, decision: &Decision) {
        self.count += 1;
        if let Actor::Plugin(stamp) = &decision.by {
            self.plugins.get_or_default(&stamp.name).note(at, stamp, &decision.deed);
        }
        if let (Actor::Plugin(_), Some(action)) = (&decision.by, decision.deed.action()) {
            *self.actions.get_or_default(&SmolStr::new_static(action)) += 1;
        }
        match &decision.deed {
            Deed::PointsPosted(posting) => {
                self.books.get_or_default(&posting.program).apply(posting);
                Together::note_posting(&mut self.together, posting);
            }
            Deed::PointsReminded(reminded) => {
                self.books.get_or_default(&reminded.program).remind(reminded.expires_at, at);
            }
            Deed::CreditPosted(posting) => self.credit.get_or_insert_default().apply(posting),
            Deed::GiftCardPosted(posting) => self.credit.get_or_insert_default().apply_card(posting),
            Deed::TierKept(kept) => self.tiers.apply(kept),
            Deed::CouponClaimed(claimed) => self.rewards.get_or_insert_default().apply_claimed(claimed),
            Deed::CouponReserved(reserved) => self.rewards.get_or_insert_default().apply_reserved(reserved),
            Deed::CouponRedeemed(redeemed) => self.rewards.get_or_insert_default().apply_redeemed(redeemed),
            Deed::CouponReleased(released) => self.rewards.get_or_insert_default().apply_released(released),
            Deed::VoucherIssued(issued) => self.rewards.get_or_insert_default().apply_issued(issued),
            Deed::VoucherWithdrawn(withdrawn) => self.rewards.get_or_insert_default().apply_withdrawn(withdrawn),
            Deed::RewardClaimed(claimed) => self.rewards.get_or_insert_default().apply_reward(claimed),
            Deed::RewardCancelled(cancelled) => self.rewards.get_or_insert_default().apply_cancelled(cancelled.claim),
            Deed::BadgeEarned(earned) => self.rewards.get_or_insert_default().apply_badge(earned),
            Deed::TagAdded(added) => {
                self.tags.insert(added.tag.clone());
            }
            Deed::TagRemoved(removed) => {
                self.tags.remove(&removed.tag);
            }
            Deed::IdentifierAttached(attached) => {
                let at = attached.at.unwrap_or(Timestamp::MIN);
                self.identifiers.note(attached.identifier, attached.scope, at, &attached.assurance);
            }
            Deed::HoldPlaced(hold) => self.holds.insert(hold.name.clone(), hold.clone()),
            Deed::HoldReleased(released) => {
                self.holds.remove(&released.name);
            }
            Deed::Erased(erased) => {
                self.erased = true;
                self.retained.erase(erased.retention.as_ref());
            }
            Deed::Forgotten(forgotten) => {
                forgotten.identifiers.iter().for_each(|key| self.identifiers.forget(key));
                self.retained.forget(forgotten);
            }
            Deed::Removed(removed) => self.retained.removed(&removed.policy),
            Deed::PersonalKept(kept) => self.retained.keep(kept.at),
            Deed::IdentifierCorrected(corrected) => {
                self.identifiers.forget(&corrected.from);
                self.retained.forget_identifier(corrected.from, corrected.at);
                self.identifiers.note(corrected.to, corrected.scope, corrected.at, &corrected.assurance);
            }
            Deed::SegmentOverridden(overridden) => {
                self.overrides.insert(overridden.asked.segment.clone(), overridden.clone());
            }
            Deed::OverrideCleared(cleared) => {
                self.overrides.remove(&cleared.segment);
            }
            Deed::PoolMoved(moved) => self.together.get_or_insert_default().note_pool(moved),
            Deed::ReferralMoved(moved) => self.together.get_or_insert_default().note_referral(moved),
            // It is in the history; the points are a posting.
            Deed::DrawWon(_) => {}
            Deed::IdentifierSetAside(aside) => self.doubts.set_aside(aside.identifier, aside.reason),
            Deed::DuplicateSuggested(suggested) => self.doubts.suggest(suggested.other, suggested.score),
            Deed::DuplicateRejected(rejected) => self.doubts.reject(rejected.other),
            // Who was parted is not the same, and no rule may say otherwise.
            Deed::Parted(parted) => parted.from.iter().for_each(|other| self.doubts.reject(*other)),
            // Who is merged with whom is kept beside what was decided about each.
            // What a plugin keeps was noted with all that it did.
            Deed::Notified(_) | Deed::Faulted(_) | Deed::Merged(_) | Deed::Remembered(_) | Deed::LookedUp(_) => {}
        }
        // Nobody is found by what somebody was known by who was erased, and nothing says what it was, nor what somebody
        // said of them.
        if self.erased {
            self.identifiers = Held::default();
            self.doubts = Doubts::default();
            self.overrides = FlatMap::default();
            self.together.iter_mut().for_each(|together| together.forget());
            self.plugins.values_mut().for_each(PluginKept::forget);
        }
    }
}
