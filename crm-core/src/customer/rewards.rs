//! What a customer has of rewards, and what follows of it from their orders and from time.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{Customer, OrdersTouched};
use crate::definitions::Definitions;
use crate::event::Deed;
use crate::expression::{Inputs, Subject};
use crate::id::CustomerId;
use crate::loyalty::{
    BadgeName, CouponCode, CouponUse, ReleaseCause, RewardsHeld, StampCard, StampCardName, Stamps, Voucher,
    VoucherFrom, VoucherId, VoucherIssued, VoucherWithdrawn, WhenUndone, WithdrawCause, released,
};
use crate::order::Order;
use crate::time::Timestamp;

/// The most vouchers that one version of a stamp card gives a customer.
pub const STAMP_VOUCHERS_MAX: u64 = 1_000;

static NOTHING: LazyLock<RewardsHeld> = LazyLock::new(RewardsHeld::default);

pub(super) fn or_nothing(held: Option<&RewardsHeld>) -> &RewardsHeld {
    held.unwrap_or(&NOTHING)
}

/// What is noted so that not every badge is asked for at every event; nothing where there are no badges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BadgeWatch {
    /// What was touched since badges were asked for.
    pub(super) touched: Inputs,
    /// How many versions of badges were in force when they were.
    mark: u32,
    /// When rules of badges that are not earned change although nothing happens.
    due: Vec<(BadgeName, Timestamp)>,
}

impl Default for BadgeWatch {
    fn default() -> Self {
        BadgeWatch { touched: Inputs::ALL, mark: 0, due: Vec::new() }
    }
}

impl BadgeWatch {
    /// When the first of these rules changes although nothing happens.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.iter().map(|(_, at)| *at).min()
    }
}

/// A version of a stamp card, and when it holds.
#[derive(Debug, Clone, Copy)]
struct CardVersion<'d> {
    name: &'d StampCardName,
    card: &'d StampCard,
    since: Timestamp,
    until: Option<Timestamp>,
}

impl CardVersion<'_> {
    fn covers(&self, order: &Order) -> bool {
        self.since <= order.placed_at && self.until.is_none_or(|until| order.placed_at < until)
    }
}

impl Customer {
    /// What the customer has of rewards: of somebody who was merged, what all members have.
    #[must_use]
    pub fn rewards(&self) -> &RewardsHeld {
        or_nothing(self.decided.rewards.as_deref())
    }

    /// The uses of a coupon, reserved and made.
    #[must_use]
    pub fn coupon_uses(&self, coupon: &CouponCode) -> &[CouponUse] {
        self.rewards().uses(coupon)
    }

    /// Whether the customer used a coupon. A use that is merely reserved is none.
    #[must_use]
    pub fn used_coupon(&self, coupon: &CouponCode) -> bool {
        self.coupon_uses(coupon).iter().any(|used| used.until.is_none())
    }

    /// The customer's own vouchers of a coupon that can be used at an instant. Costs a step for each voucher they have.
    pub fn vouchers_usable(&self, coupon: &CouponCode, at: Timestamp) -> impl Iterator<Item = &Voucher> {
        let held = self.rewards();
        let own = held.vouchers().filter(move |(_, voucher)| voucher.coupon == *coupon);
        own.filter_map(move |(id, _)| held.usable(id, at).ok())
    }

    /// The badges that the customer earned, with when.
    pub fn badges(&self) -> impl Iterator<Item = (&BadgeName, Timestamp)> {
        self.rewards().badges()
    }

    /// The stamps on every version of every stamp card on which there are some, or that gave a voucher.
    #[must_use]
    pub fn stamps(&self, definitions: &Definitions) -> Vec<Stamps> {
        let stamps = versions(definitions).map(|version| {
            let (standing, _) = self.rewards().of_stamps(version.name, version.since);
            Stamps {
                card: version.name.clone(),
                since: version.since,
                stamps: self.stamps_on(version).0,
                every: version.card.every,
                given: standing.len() as u64,
            }
        });
        stamps.filter(|stamps| stamps.stamps > 0 || stamps.given > 0).collect()
    }

    /// The stamps on a version of a card, and whose order was the last of them.
    fn stamps_on(&self, version: CardVersion<'_>) -> (u64, Option<CustomerId>) {
        let (mut all, mut last) = (0_u64, None);
        let orders = self.facts.orders().with_lines();
        for (order, basket) in orders.filter(|(order, _)| version.covers(order)) {
            let stamps = version.card.stamps(order, basket);
            all = all.saturating_add(stamps);
            if stamps > 0 {
                last = Some(self.member_of_order(order.event));
            }
        }
        (all, last)
    }

    /// What becomes of rewards by an order that is new, was refunded, or never was: uses of coupons that are given
    /// back, vouchers for stamp cards that are full, and such that are taken back. With whose decision each is.
    #[must_use]
    pub fn reconcile_rewards(
        &self,
        touched: OrdersTouched,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Vec<(CustomerId, Deed)> {
        if touched == OrdersTouched::None {
            return Vec::new();
        }
        let mut deeds = Vec::new();
        for (member, held) in self.rewards_of_members() {
            let given_back = held.all_uses().filter(|(_, used)| {
                let order = used.order.as_ref().filter(|_| used.until.is_none());
                used.undone == WhenUndone::Released && order.is_some_and(|order| self.facts.orders().is_undone(order))
            });
            let given_back = given_back.filter_map(|(coupon, used)| released(coupon, used, ReleaseCause::OrderUndone));
            deeds.extend(given_back.map(|released| (member, Deed::CouponReleased(released))));
        }
        let newest = if touched == OrdersTouched::Newest { self.facts.orders().with_lines().last() } else { None };
        for version in versions(definitions) {
            let matters =
                newest.is_none_or(|(order, basket)| version.covers(order) && version.card.stamps(order, basket) > 0);
            if matters {
                self.reconcile_stamps(version, at, &mut deeds);
            }
        }
        deeds
    }

    fn reconcile_stamps(&self, version: CardVersion<'_>, at: Timestamp, deeds: &mut Vec<(CustomerId, Deed)>) {
        let CardVersion { name, card, since, .. } = version;
        let (stamps, last) = self.stamps_on(version);
        let full = stamps.checked_div(u64::from(card.every)).unwrap_or(0).min(STAMP_VOUCHERS_MAX);
        let (standing, _) = self.rewards().of_stamps(name, since);
        let given = standing.len() as u64;
        if let Some(holder) = last.filter(|_| given < full) {
            let (_, ever) = or_nothing(self.rewards_of(holder)).of_stamps(name, since);
            for ordinal in (ever..).take((full - given) as usize) {
                let issued = VoucherIssued {
                    voucher: VoucherId::of_stamps(holder, name, since, ordinal),
                    coupon: card.gives.clone(),
                    at,
                    expires_at: card.voucher_lasts.map(|span| at.plus(span)),
                    from: VoucherFrom::Stamps { card: name.clone(), since },
                };
                deeds.push((holder, Deed::VoucherIssued(issued)));
            }
        }
        if full < given {
            // Those that were not used, the last ones first.
            let held = self.rewards();
            let mut unused: Vec<VoucherId> = standing.into_iter().filter(|id| !held.is_taken(*id)).collect();
            unused.sort_by_key(|id| std::cmp::Reverse((held.voucher(*id).map(|voucher| voucher.issued_at), *id)));
            for voucher in unused.into_iter().take((given - full) as usize) {
                let withdrawn = VoucherWithdrawn { voucher, cause: WithdrawCause::StampsGone };
                deeds.push((self.holder_of_voucher(voucher), Deed::VoucherWithdrawn(withdrawn)));
            }
        }
    }

    /// Uses that were reserved and whose time is over at an instant, as they are given back, and by whom.
    #[must_use]
    pub fn end_reservations(&self, at: Timestamp) -> Vec<(CustomerId, Deed)> {
        let of_each = self.rewards_of_members().flat_map(|(member, held)| held.ended(at).map(move |end| (member, end)));
        of_each.map(|(member, end)| (member, Deed::CouponReleased(end))).collect()
    }

    /// When something of rewards is due: a reserved use ends, or the rule of a badge may come to hold.
    pub(super) fn next_of_rewards(&self) -> Option<Timestamp> {
        let badge = self.watch.badges.as_ref().and_then(|watch| watch.next());
        let reserved = self.decided.rewards.as_ref().and_then(|held| held.next_end());
        reserved.into_iter().chain(badge).min()
    }

    /// Notes when badges are to be asked for, without earning any: those whose rules hold are due at once.
    pub(super) fn watch_badges(&mut self, at: Timestamp, definitions: &Definitions) {
        let due = self.badges_to_earn(at, definitions);
        if let Some(watch) = &mut self.watch.badges {
            watch.due.extend(due.into_iter().map(|name| (name, at)));
        }
    }

    /// The badges whose rules hold at an instant and that were not earned before. Asked are those whose inputs were
    /// touched since the last time, whose time has come, that ask about segments, and those that are new.
    pub fn badges_to_earn(&mut self, at: Timestamp, definitions: &Definitions) -> Vec<BadgeName> {
        let mark = definitions.badges_mark(at);
        if mark == 0 {
            self.watch.badges = None;
            return Vec::new();
        }
        let mut watch = self.watch.badges.take().unwrap_or_default();
        let touched = std::mem::replace(&mut watch.touched, Inputs::NONE);
        let anew = std::mem::replace(&mut watch.mark, mark) != mark || touched == Inputs::ALL;
        let due = std::mem::take(&mut watch.due);
        let subject = Subject::noted(self, at, definitions.currency(at));
        let mut earned = Vec::new();
        for (name, badge) in definitions.badges(at).filter(|(name, _)| !self.rewards().has_badge(name)) {
            let last = due.iter().find(|(own, _)| own == name).map(|(_, due)| *due);
            let asked = anew
                || last.is_some_and(|due| due <= at)
                || touched.meets(badge.when.inputs())
                || !badge.when.segments().is_empty();
            if asked && badge.when.holds(&subject) {
                earned.push(name.clone());
                continue;
            }
            let next = if asked { badge.when.next_change(&subject) } else { last };
            watch.due.extend(next.map(|next| (name.clone(), next)));
        }
        self.watch.badges = Some(watch);
        earned
    }
}

fn versions(definitions: &Definitions) -> impl Iterator<Item = CardVersion<'_>> {
    definitions.stamp_card_versions().map(|(name, card, since, until)| CardVersion { name, card, since, until })
}
