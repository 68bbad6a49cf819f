//! Customers who were merged. Each member keeps what was decided about them, and their facts stay in their
//! own history; the customer is the fold of all facts and the sum of all decisions. So merging loses nothing,
//! does not depend on an order, and can be undone at any time.

use serde::{Deserialize, Serialize};

use super::told::Told;
use super::{Customer, DecidedState, Standing};
use crate::definitions::Definitions;
use crate::event::{Decision, Deed, EventBody, Fact};
use crate::flat::{FlatMap, FlatSet};
use crate::id::{CustomerId, EventId};
use crate::identity::{Join, MEMBERS_MAX, Merged, Parted};
use crate::loyalty::{
    CouponRedeemed, CouponReleased, CouponReserved, Held, KeptWhy, PointsBook, PoolMoved, PoolStep, Posting, ProgramId,
    RewardCancelled, RewardsHeld, TierKept, Together, VoucherHeld, VoucherId, VoucherWithdrawn,
};
use crate::order::Order;
use crate::privacy::Retained;
use crate::segment::{OverrideCleared, OverrideSegment, SegmentOverridden};
use crate::time::Timestamp;

/// Whether somebody is one customer, several, or another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kinship {
    /// One, as nearly all are.
    #[default]
    Alone,
    /// Merged of several, and this is the id under which they go on.
    Head(Box<Family>),
    /// Merged into another one.
    Alias(CustomerId),
}

impl Kinship {
    /// What was decided about a member of several; none for somebody who is one.
    pub(super) fn decided_of(&self, member: CustomerId) -> Option<&DecidedState> {
        match self {
            Kinship::Head(family) => family.members.get(&member),
            Kinship::Alone | Kinship::Alias(_) => None,
        }
    }
}

/// Whom somebody was merged of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Family {
    /// What was decided about each, in the order of their ids.
    members: FlatMap<CustomerId, DecidedState>,
    /// The orders that came through others than the head.
    orders: FlatMap<EventId, CustomerId>,
    /// How they came together, oldest first.
    joins: Vec<Join>,
    /// The facts of all of them.
    told: Told,
}

/// Why customers were not merged, or not parted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeRefusal {
    /// Too many would be one.
    #[error("{members} customers would be one, more than {MEMBERS_MAX}")]
    Members {
        /// How many.
        members: usize,
    },
    /// Somebody who was erased is nobody any more.
    #[error("{customer} was erased")]
    Erased {
        /// Who.
        customer: CustomerId,
    },
    /// They are not merged.
    #[error("{customer} and {other} are not merged")]
    NotMerged {
        /// The one.
        customer: CustomerId,
        /// The other.
        other: CustomerId,
    },
}

/// Which customers go on together, by the last word about it in the history of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Under which id.
    pub head: CustomerId,
    /// All of them, in the order of their ids.
    pub members: Vec<CustomerId>,
}

impl Group {
    /// By a customer's own history, in the order in which it was recorded.
    #[must_use]
    pub fn of<'a>(id: CustomerId, events: impl Iterator<Item = &'a EventBody>) -> Self {
        let mut group = Group { head: id, members: vec![id] };
        for event in events {
            let EventBody::Decision(Decision { deed, .. }) = event else { continue };
            if let Deed::Merged(Merged { head, one, other, .. }) = deed {
                group = Group { head: *head, members: union(one, other) };
            } else if let Deed::Parted(Parted { head, members, .. }) = deed {
                group = Group { head: *head, members: members.clone() };
            }
        }
        group
    }
}

fn union(one: &[CustomerId], other: &[CustomerId]) -> Vec<CustomerId> {
    let mut all = [one, other].concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// One side when somebody is parted: what becomes a customer again.
#[derive(Debug)]
pub struct Side {
    decided: FlatMap<CustomerId, DecidedState>,
    joins: Vec<Join>,
}

impl Side {
    /// By the histories of all members.
    pub(super) fn replay<'a>(
        head: CustomerId,
        events: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a EventBody)>,
    ) -> Self {
        let mut side = Side { decided: FlatMap::default(), joins: Vec::new() };
        side.decided.get_or_default(&head);
        for (member, _, at, body) in events {
            let decided = side.decided.get_or_default(&member);
            let EventBody::Decision(decision) = body else { continue };
            decided.apply(at, decision);
            // Each history has the last word about it; the head's is as good as any.
            if member != head {
                continue;
            }
            if let Deed::Merged(merged) = &decision.deed {
                side.joins = merged.joins(at);
            } else if let Deed::Parted(parted) = &decision.deed {
                side.joins.clone_from(&parted.joins);
            }
        }
        side
    }

    /// How they came together, oldest first.
    #[must_use]
    pub fn joins(&self) -> &[Join] {
        &self.joins
    }

    /// Who is on it, in the order of their ids.
    pub fn members(&self) -> impl Iterator<Item = CustomerId> {
        self.decided.iter().map(|(id, _)| *id)
    }
}

impl Customer {
    /// What is kept under the id of somebody who was merged into another.
    #[must_use]
    pub fn alias(id: CustomerId, head: CustomerId) -> Self {
        Customer { kinship: Kinship::Alias(head), ..Customer::new(id) }
    }

    /// Into whom this one was merged: there is nothing else to this one then.
    #[must_use]
    pub const fn merged_into(&self) -> Option<CustomerId> {
        match self.kinship {
            Kinship::Alias(head) => Some(head),
            Kinship::Alone | Kinship::Head(_) => None,
        }
    }

    /// The ids of those that this one was merged of, in their order, the own one included; only that for
    /// somebody who was not merged.
    pub fn members(&self) -> impl Iterator<Item = CustomerId> {
        let (alone, family) = match &self.kinship {
            Kinship::Head(family) => (None, Some(family)),
            Kinship::Alone | Kinship::Alias(_) => (Some(self.id), None),
        };
        alone.into_iter().chain(family.into_iter().flat_map(|family| family.members.iter().map(|(id, _)| *id)))
    }

    /// Whether an id is the customer's own or that of somebody who was merged with them.
    #[must_use]
    pub fn is(&self, id: CustomerId) -> bool {
        match &self.kinship {
            Kinship::Head(family) => family.members.get(&id).is_some(),
            Kinship::Alone | Kinship::Alias(_) => self.id == id,
        }
    }

    /// Whether this one was merged of several.
    #[must_use]
    pub const fn is_merged(&self) -> bool {
        matches!(self.kinship, Kinship::Head(_))
    }

    /// How the members came together, oldest first.
    #[must_use]
    pub fn joins(&self) -> &[Join] {
        match &self.kinship {
            Kinship::Head(family) => &family.joins,
            Kinship::Alone | Kinship::Alias(_) => &[],
        }
    }

    /// How many decisions were made about a member.
    #[must_use]
    pub fn decisions_of(&self, member: CustomerId) -> u64 {
        self.decided_of(member).map_or(0, |decided| decided.count)
    }

    /// A member's own points book of one programme.
    #[must_use]
    pub fn book_of(&self, member: CustomerId, program: &ProgramId) -> Option<&PointsBook> {
        self.decided_of(member)?.books.get(program)
    }

    pub(super) fn decided_of(&self, member: CustomerId) -> Option<&DecidedState> {
        match &self.kinship {
            Kinship::Head(family) => family.members.get(&member),
            Kinship::Alone | Kinship::Alias(_) => (self.id == member).then_some(&self.decided),
        }
    }

    /// Records a decision about a member that was made at an instant.
    pub fn apply_decision_of(&mut self, member: CustomerId, at: Timestamp, decision: &Decision) {
        self.watch.touch(decision.deed.touches());
        match &mut self.kinship {
            Kinship::Head(family) => {
                family.members.get_or_default(&member).apply(at, decision);
                *self.decided = family.together(self.id);
            }
            Kinship::Alone | Kinship::Alias(_) => self.decided.apply(at, decision),
        }
        if let Deed::SegmentOverridden(SegmentOverridden { asked: OverrideSegment { segment, .. }, .. })
        | Deed::OverrideCleared(OverrideCleared { segment, .. }) = &decision.deed
        {
            self.watch.ask(segment);
        }
        if let Deed::Forgotten(forgotten) = &decision.deed {
            forgotten.identifiers.iter().for_each(|key| self.facts.forget_identifier(key));
        } else if let Deed::IdentifierCorrected(corrected) = &decision.deed {
            self.facts.forget_identifier(&corrected.from);
        }
        self.forget_if_erased();
    }

    /// Whose decision a deed is, and its parts where it touches what several members have. `through` is the
    /// one whom it came through.
    #[must_use]
    pub fn share(&self, deed: Deed, through: CustomerId) -> Vec<(CustomerId, Deed)> {
        let Kinship::Head(family) = &self.kinship else { return vec![(self.id, deed)] };
        match deed {
            // What is given is given to one; what is spent is taken from whoever has it.
            Deed::PointsPosted(posting) => family.share(posting, through),
            Deed::TagRemoved(removed) => {
                let has = |(_, decided): &(&CustomerId, &DecidedState)| decided.tags.contains(&removed.tag);
                let holders = family.members.iter().filter(has).map(|(id, _)| *id);
                holders.map(|id| (id, Deed::TagRemoved(removed.clone()))).collect()
            }
            Deed::CreditPosted(posting) => {
                posting.split(through).into_iter().map(|(id, part)| (id, Deed::CreditPosted(part))).collect()
            }
            // An invitation is one member's; whoever has it loses it.
            Deed::TierKept(TierKept { program, tier: None, until, why: KeptWhy::Invited, then: Some(ended) }) => {
                let has = |held: &Held| held.is_invited_to(&ended);
                let has = |(_, decided): &(&CustomerId, &DecidedState)| decided.tiers.of(&program).iter().any(has);
                let holders = family.members.iter().filter(has).map(|(id, _)| *id);
                let then = Some(ended.clone());
                let kept = TierKept { program: program.clone(), tier: None, until, why: KeptWhy::Invited, then };
                holders.map(|id| (id, Deed::TierKept(kept.clone()))).collect()
            }
            // There is one invitation for all of them.
            Deed::TierKept(TierKept { program, tier: Some(tier), until, why: KeptWhy::Invited, then }) => {
                let invited = |(id, decided): &(&CustomerId, &DecidedState)| {
                    **id != through && decided.tiers.of(&program).iter().any(Held::has_invitation)
                };
                let others = family.members.iter().filter(invited).map(|(id, _)| *id);
                let ended =
                    TierKept { program: program.clone(), tier: None, until: None, why: KeptWhy::Invited, then: None };
                let ended = others.map(|id| (id, Deed::TierKept(ended.clone())));
                let kept = TierKept { program: program.clone(), tier: Some(tier), until, why: KeptWhy::Invited, then };
                [(through, Deed::TierKept(kept))].into_iter().chain(ended).collect()
            }
            // What plugins keep goes on under the head.
            Deed::Remembered(_) | Deed::Faulted(_) | Deed::LookedUp(_) => vec![(self.id, deed)],
            // What is about something that one of them has is theirs.
            Deed::CouponReserved(CouponReserved { by: Some(VoucherHeld { voucher, batch: None }), .. })
            | Deed::CouponRedeemed(CouponRedeemed {
                reserved: false,
                by: Some(VoucherHeld { voucher, batch: None }),
                ..
            })
            | Deed::VoucherWithdrawn(VoucherWithdrawn { voucher, .. }) => {
                vec![(self.holder_of_voucher(voucher), deed)]
            }
            Deed::CouponRedeemed(CouponRedeemed { reserved: true, ref coupon, ref name, .. })
            | Deed::CouponReleased(CouponReleased { ref coupon, ref name, .. }) => {
                vec![(self.holder(|held| held.use_named(coupon, name).is_some()).unwrap_or(through), deed)]
            }
            Deed::RewardCancelled(RewardCancelled { claim, .. }) => {
                vec![(self.holder(|held| held.claim(claim).is_some()).unwrap_or(through), deed)]
            }
            Deed::PointsReminded(_)
            | Deed::CouponClaimed(_)
            | Deed::TierKept(_)
            | Deed::CouponReserved(_)
            | Deed::CouponRedeemed(_)
            | Deed::VoucherIssued(_)
            | Deed::RewardClaimed(_)
            | Deed::BadgeEarned(_)
            | Deed::TagAdded(_)
            | Deed::Notified(_)
            | Deed::IdentifierAttached(_)
            | Deed::IdentifierSetAside(_)
            | Deed::DuplicateSuggested(_)
            | Deed::DuplicateRejected(_)
            | Deed::Merged(_)
            | Deed::Parted(_)
            | Deed::Erased(_)
            | Deed::HoldPlaced(_)
            | Deed::Forgotten(_)
            | Deed::Removed(_)
            | Deed::PersonalKept(_)
            | Deed::IdentifierCorrected(_)
            | Deed::SegmentOverridden(_)
            | Deed::ReferralMoved(_)
            | Deed::DrawWon(_)
            // It comes through whoever's card it is.
            | Deed::GiftCardPosted(_) => vec![(through, deed)],
            // A pool is that of one of them, and so is being in one.
            Deed::PoolMoved(moved) => vec![(family.whose_pool(&moved, through), Deed::PoolMoved(moved))],
            Deed::OverrideCleared(cleared) => {
                let has =
                    |(_, decided): &(&CustomerId, &DecidedState)| decided.overrides.get(&cleared.segment).is_some();
                let holders = family.members.iter().filter(has).map(|(id, _)| *id);
                holders.map(|id| (id, Deed::OverrideCleared(cleared.clone()))).collect()
            }
            Deed::HoldReleased(released) => {
                let has = |(_, decided): &(&CustomerId, &DecidedState)| decided.holds.get(&released.name).is_some();
                let holders = family.members.iter().filter(has).map(|(id, _)| *id);
                holders.map(|id| (id, Deed::HoldReleased(released.clone()))).collect()
            }
        }
    }

    /// What each member has of rewards; nothing of those who have none.
    pub(super) fn rewards_of_members(&self) -> impl Iterator<Item = (CustomerId, &RewardsHeld)> {
        let (alone, family) = match &self.kinship {
            Kinship::Head(family) => (None, Some(family)),
            Kinship::Alone | Kinship::Alias(_) => (Some((self.id, &*self.decided)), None),
        };
        let members = family.into_iter().flat_map(|family| family.members.iter().map(|(id, decided)| (*id, decided)));
        alone.into_iter().chain(members).filter_map(|(id, decided)| Some((id, decided.rewards.as_deref()?)))
    }

    /// What a member has of rewards.
    pub(super) fn rewards_of(&self, member: CustomerId) -> Option<&RewardsHeld> {
        self.decided_of(member)?.rewards.as_deref()
    }

    /// The first member who has something of rewards.
    fn holder(&self, has: impl Fn(&RewardsHeld) -> bool) -> Option<CustomerId> {
        self.rewards_of_members().find(|(_, held)| has(held)).map(|(member, _)| member)
    }

    /// Whose a voucher is.
    pub(super) fn holder_of_voucher(&self, voucher: VoucherId) -> CustomerId {
        self.holder(|held| held.voucher(voucher).is_some()).unwrap_or(self.id)
    }

    /// Through whom an order came.
    pub(super) fn member_of_order(&self, order: EventId) -> CustomerId {
        match &self.kinship {
            Kinship::Head(family) => family.orders.get(&order).copied().unwrap_or(self.id),
            Kinship::Alone | Kinship::Alias(_) => self.id,
        }
    }

    /// Whether a fact may have been recorded of somebody who was merged, through whichever member and with whichever
    /// time. If not, it was not; if so, the histories tell.
    #[must_use]
    pub fn may_have_told(&self, fact: EventId) -> bool {
        match &self.kinship {
            Kinship::Head(family) => family.told.may_have(fact),
            Kinship::Alone | Kinship::Alias(_) => false,
        }
    }

    pub(super) fn note_told(&mut self, fact: EventId) {
        if let Kinship::Head(family) = &mut self.kinship {
            family.told.note(fact);
        }
    }

    /// That there is a fact, and which order came through whom: those of others than the head.
    pub(super) fn note_fact(&mut self, member: CustomerId, id: EventId, fact: &Fact) {
        self.note_told(id);
        if let (Kinship::Head(family), Fact::OrderPlaced(_)) = (&mut self.kinship, fact)
            && member != self.id
        {
            family.orders.insert(id, member);
        }
    }

    /// The same for all facts. One that several were told is that of the first of them, as it is folded.
    pub(super) fn note_facts<'a>(
        &mut self,
        facts: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a Fact)> + Clone,
    ) {
        let Kinship::Head(family) = &mut self.kinship else { return };
        family.told = facts.clone().map(|(_, id, ..)| id).collect();
        let placed = facts.filter(|(_, _, _, fact)| matches!(fact, Fact::OrderPlaced(_)));
        let heads = placed.clone().filter(|(member, ..)| *member == self.id).map(|(_, order, ..)| order);
        let heads: FlatSet<EventId> = heads.collect();
        family.orders = FlatMap::default();
        for (member, order, ..) in placed.filter(|(member, ..)| *member != self.id) {
            let is_first = family.orders.get(&order).is_none_or(|first| member < *first);
            if is_first && !(heads.contains(&order) && self.id < member) {
                family.orders.insert(order, member);
            }
        }
    }

    /// For each member, the orders that came through them; none for somebody who was not merged.
    pub(super) fn orders_of_members(&self) -> Option<Vec<(CustomerId, Vec<Order>)>> {
        let Kinship::Head(family) = &self.kinship else { return None };
        let orders_of = |member: CustomerId| -> Vec<Order> {
            let through = |order: &&Order| family.orders.get(&order.event).copied().unwrap_or(self.id) == member;
            self.facts.orders().list().iter().filter(through).cloned().collect()
        };
        Some(family.members.iter().map(|(id, _)| (*id, orders_of(*id))).collect())
    }

    /// The books of members; none for somebody who was not merged.
    pub(super) fn books_of_members(&self) -> Option<impl Iterator<Item = (CustomerId, &ProgramId, &PointsBook)>> {
        let Kinship::Head(family) = &self.kinship else { return None };
        let books = family.members.iter().flat_map(|(id, decided)| decided.books.iter().map(move |book| (*id, book)));
        Some(books.map(|(id, (program, book))| (id, program, book)))
    }

    /// What is kept of the tiers of a programme for each member who has something; none for somebody who was not merged.
    pub(super) fn held_by_members(
        &self,
        program: &ProgramId,
    ) -> Option<impl Iterator<Item = (CustomerId, &Held)> + Clone> {
        let Kinship::Head(family) = &self.kinship else { return None };
        let held = family.members.iter().map(|(id, decided)| (*id, decided.tiers.of(program)));
        Some(held.flat_map(|(id, held)| held.iter().map(move |held| (id, held))))
    }

    /// One customer of two, under the id of one of their members, from an instant on. `facts` are those of all
    /// members. It stands where the one stood whose id it goes on under: what moves by the merging is still to be
    /// derived.
    ///
    /// # Errors
    ///
    /// `Members` if there are too many.
    pub fn merge<'a>(
        self,
        other: Self,
        head: CustomerId,
        at: Timestamp,
        facts: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a Fact)> + Clone,
        definitions: &Definitions,
    ) -> Result<Self, MergeRefusal> {
        let join = Join { at, one: self.members().collect(), other: other.members().collect() };
        let standing = if other.is(head) { other.standing.clone() } else { self.standing.clone() };
        let alarm = [&self, &other].into_iter().find(|side| side.id == head).and_then(|side| side.alarm);
        let clock = self.clock.max(other.clock).max(Some(at));
        let waiting = [self.waiting.clone(), other.waiting.clone()].concat();
        let mut members = FlatMap::default();
        let mut joins = Vec::new();
        for side in [self, other] {
            let Side { decided, joins: before } = side.into_side();
            decided.iter().for_each(|(id, decided)| members.insert(*id, decided.clone()));
            joins.extend(before);
        }
        joins.sort_by(|one: &Join, other| (one.at, &one.one).cmp(&(other.at, &other.one)));
        joins.push(join);
        if members.iter().count() > MEMBERS_MAX {
            return Err(MergeRefusal::Members { members: members.iter().count() });
        }
        let side = Side { decided: members, joins };
        Ok(Customer::of_side(side, head, clock, waiting, standing, alarm, facts, definitions))
    }

    /// Who goes with one member when they are parted from another: those who were on their side when the two
    /// came together, and those who came to that side before. Whoever came later stays with the other.
    ///
    /// # Errors
    ///
    /// `NotMerged` if the two are not.
    pub fn side_of(&self, customer: CustomerId, other: CustomerId) -> Result<Vec<CustomerId>, MergeRefusal> {
        let refusal = MergeRefusal::NotMerged { customer, other };
        if !(self.is(customer) && self.is(other)) {
            return Err(refusal);
        }
        let join = self.joins().iter().rev().find_map(|join| {
            let sides = [(&join.one, &join.other), (&join.other, &join.one)];
            sides.into_iter().find(|(own, others)| own.contains(&customer) && others.contains(&other))
        });
        let (own, _) = join.ok_or(refusal)?;
        Ok(own.iter().copied().filter(|member| self.is(*member)).collect())
    }

    /// Takes a merged customer apart: those who leave, and those who stay.
    #[must_use]
    pub fn part(self, leaving: &[CustomerId]) -> [Side; 2] {
        let Side { decided, joins } = self.into_side();
        [true, false].map(|leaves| {
            let here = |id: &CustomerId| decided.get(id).is_some() && leaving.contains(id) == leaves;
            let decided = decided.iter().filter(|(id, _)| here(id)).map(|(id, own)| (*id, own.clone())).collect();
            // A join of two sides stays while somebody of each is here.
            let stays = |join: &&Join| join.one.iter().any(here) && join.other.iter().any(here);
            Side { decided, joins: joins.iter().filter(stays).cloned().collect() }
        })
    }

    fn into_side(self) -> Side {
        match self.kinship {
            Kinship::Head(family) => Side { decided: family.members, joins: family.joins },
            Kinship::Alone | Kinship::Alias(_) => {
                Side { decided: [(self.id, *self.decided)].into_iter().collect(), joins: Vec::new() }
            }
        }
    }

    /// A customer of some members. `waiting` are facts from the future, of these and perhaps of others.
    #[allow(clippy::too_many_arguments, reason = "each is needed, and none belongs to another")]
    #[must_use]
    pub fn of_side<'a>(
        side: Side,
        head: CustomerId,
        clock: Option<Timestamp>,
        waiting: Vec<(Timestamp, EventId)>,
        standing: Standing,
        alarm: Option<crate::timer::Alarm>,
        facts: impl Iterator<Item = (CustomerId, EventId, Timestamp, &'a Fact)> + Clone,
        definitions: &Definitions,
    ) -> Self {
        let mut customer = Customer { standing, waiting, clock, alarm, ..Customer::new(head) };
        customer.waiting.sort_unstable();
        customer.waiting.dedup();
        customer.settle_kinship(side);
        customer.refold(facts, clock.unwrap_or(Timestamp::MIN), definitions);
        customer.clock = clock;
        // What scores were made from is somebody else by now.
        customer.forget_refreshes(definitions);
        customer
    }

    pub(super) fn settle_kinship(&mut self, Side { decided, joins }: Side) {
        let alone = decided.iter().all(|(id, _)| *id == self.id);
        let family = Family { members: decided, orders: FlatMap::default(), joins, told: Told::default() };
        *self.decided = family.together(self.id);
        self.kinship = if alone { Kinship::Alone } else { Kinship::Head(Box::new(family)) };
    }

    /// The postings that settle what members of two sides spent of each other's points, when they are
    /// parted: whoever spent pays. All of it together moves nothing in or out of a programme.
    #[must_use]
    pub fn settlements(&self, leaving: &[CustomerId]) -> Vec<(CustomerId, Posting)> {
        let Some(books) = self.books_of_members() else { return Vec::new() };
        let empty = PointsBook::default();
        let mut postings = Vec::new();
        // A book that pays to several, or gets back and pays, is worked out as the posting before left it.
        let mut changed: FlatMap<(CustomerId, ProgramId), PointsBook> = FlatMap::default();
        for (lender, program, book) in books {
            for borrower in self.members().filter(|other| leaving.contains(other) != leaving.contains(&lender)) {
                let points = book.lent_to(borrower);
                if points == 0 {
                    continue;
                }
                let mut post = |member: CustomerId, posting: &dyn Fn(&PointsBook) -> Posting| {
                    let place = (member, program.clone());
                    let before = changed.get(&place).or_else(|| self.book_of(member, program)).unwrap_or(&empty);
                    let posting = posting(before);
                    let mut after = before.clone();
                    after.apply(&posting);
                    changed.insert(place, after);
                    postings.push((member, posting));
                };
                post(lender, &|book| book.get_back(program, borrower));
                post(borrower, &|book| book.pay_back(program, points, lender));
            }
        }
        postings
    }
}

impl Family {
    /// Whose pool something is about: that of the one named if they have it, else of whoever has it.
    fn whose_pool(&self, moved: &PoolMoved, through: CustomerId) -> CustomerId {
        let about = |own: &Together| match (&moved.step, moved.step.member()) {
            (PoolStep::Quit { pool }, _) => own.within(&moved.program).any(|other| other == *pool),
            (_, Some(member)) => {
                own.pool(&moved.program).is_some_and(|pool| pool.remembered().any(|(own, _)| own == member))
            }
            (_, None) => false,
        };
        let has_pool = |own: &Together| moved.step.member().is_some() && own.pool(&moved.program).is_some();
        let find = |is: &dyn Fn(&Together) -> bool| {
            let of = |id: CustomerId| self.members.get(&id).and_then(|own| own.together.as_deref());
            let mut all = std::iter::once(through).chain(self.members.iter().map(|(id, _)| *id));
            all.find(|id| of(*id).is_some_and(is))
        };
        find(&about).or_else(|| find(&has_pool)).unwrap_or(through)
    }

    /// The same people before anything was decided about them.
    pub(super) fn unborn(&self) -> Self {
        let members = self.members.iter().map(|(id, _)| (*id, DecidedState::default())).collect();
        Family { members, joins: self.joins.clone(), ..Family::default() }
    }

    /// What was decided about all members, as if it were about one.
    fn together(&self, head: CustomerId) -> DecidedState {
        let mut all = DecidedState::default();
        let mut books: FlatMap<ProgramId, Vec<&PointsBook>> = FlatMap::default();
        all.together = Together::joined(self.members.iter().filter_map(|(_, decided)| decided.together.as_deref()));
        all.retained = Retained::joined(self.members.iter().map(|(_, decided)| &decided.retained));
        for (id, decided) in self.members.iter() {
            // A part that is added here has to say what it comes to for several.
            let DecidedState {
                count,
                books: own,
                tiers,
                tags,
                identifiers,
                actions,
                plugins,
                doubts,
                holds,
                erased,
                retained: _,
                overrides,
                credit: _,
                rewards,
                together: _,
            } = decided;
            all.count += count;
            own.iter().for_each(|(program, _)| {
                books.get_or_default(program);
            });
            if let Some(own) = rewards {
                all.rewards.get_or_insert_default().join(own);
            }
            tags.iter().for_each(|tag| all.tags.insert(tag.clone()));
            // Each has their own; the highest is shown.
            all.tiers.join(tiers);
            all.identifiers.join(identifiers);
            holds.iter().for_each(|(name, hold)| all.holds.insert(name.clone(), hold.clone()));
            all.erased |= erased;
            for (segment, own) in overrides.iter() {
                let last = all.overrides.remove(segment).map_or_else(|| own.clone(), |other| other.later(own.clone()));
                all.overrides.insert(segment.clone(), last);
            }
            all.doubts.join(doubts);
            actions.iter().for_each(|(action, times)| *all.actions.get_or_default(action) += times);
            for (plugin, kept) in plugins.iter() {
                // The memory of the head counts, else that of the first who has one.
                let before = all.plugins.remove(plugin);
                let (mut first, then) = match before {
                    Some(before) if *id == head => (kept.clone(), Some(before)),
                    Some(before) => (before, Some(kept.clone())),
                    None => (kept.clone(), None),
                };
                then.iter().for_each(|other| first.join(other));
                all.plugins.insert(plugin.clone(), first);
            }
        }
        if self.members.iter().count() == 1 {
            // One book is itself: what was spent of it by others goes with it.
            for (_, decided) in self.members.iter() {
                all.books = decided.books.clone();
                all.credit.clone_from(&decided.credit);
                all.together.clone_from(&decided.together);
            }
            return all;
        }
        all.credit = super::credit::together(self.members.iter().map(|(id, decided)| (*id, decided)));
        let empty = PointsBook::default();
        for (program, _) in books.iter() {
            let own = self.members.iter().map(|(id, decided)| (*id, decided.books.get(program)));
            let of_each = own.map(|(id, book)| (id, book.unwrap_or(&empty)));
            all.books.insert(program.clone(), PointsBook::joined(of_each));
        }
        all
    }

    /// A posting as one for each book that it is about. What is given is given to one, and what is spent is taken from
    /// whoever has it; who spent it pays when they part.
    fn share(&self, posting: Posting, through: CustomerId) -> Vec<(CustomerId, Deed)> {
        use crate::loyalty::PostingKind;
        let each = |own: &dyn Fn(CustomerId, &PointsBook) -> Option<Posting>| -> Vec<(CustomerId, Deed)> {
            let books = self.members.iter().filter_map(|(id, own)| Some((id, own.books.get(&posting.program)?)));
            books.filter_map(|(id, book)| Some((*id, Deed::PointsPosted(own(*id, book)?)))).collect()
        };
        let plain = || Posting::new(posting.program.clone(), posting.kind.clone());
        // A hold is that of whoever it came through, and each book says so of those that are somebody else's.
        let theirs = |owner: CustomerId, mut part: Posting| {
            if let Some(of) = part.kind.of_hold() {
                *of = Some(of.unwrap_or(through)).filter(|whose| *whose != owner);
            }
            part
        };
        let taken = |lent: bool| {
            let part = |(place, part): (usize, Posting)| {
                let owner = self.members.iter().nth(place).map(|(id, _)| *id)?;
                let spent_by = (lent && owner != through).then_some(through);
                Some((owner, Deed::PointsPosted(Posting { spent_by, ..theirs(owner, part) })))
            };
            PointsBook::parts(&posting).into_iter().filter_map(part).collect()
        };
        match &posting.kind {
            PostingKind::Spent { .. } | PostingKind::Captured { .. } | PostingKind::Given { .. } => taken(true),
            PostingKind::Held { .. } => taken(false),
            PostingKind::Adjusted { .. } if posting.points() < 0 => taken(false),
            PostingKind::Released { hold, .. } => each(&|id, book| {
                let mut part = theirs(id, plain());
                let key = (hold.clone(), part.kind.of_hold().copied().flatten());
                book.has_hold(&key).then(|| book.release(part, &key))
            }),
            PostingKind::Forfeited { .. } => each(&|_, book| Some(book.forfeit(plain()))),
            PostingKind::Earned { .. }
            | PostingKind::Awarded { .. }
            | PostingKind::Imported { .. }
            | PostingKind::Activated
            | PostingKind::Reversed { .. }
            | PostingKind::Returned { .. }
            | PostingKind::Expired { .. }
            | PostingKind::Reinstated { .. }
            | PostingKind::Adjusted { .. }
            | PostingKind::Undone { .. }
            | PostingKind::Received { .. }
            | PostingKind::Pooled { .. }
            | PostingKind::Settled { .. } => vec![(through, Deed::PointsPosted(posting))],
        }
    }
}
