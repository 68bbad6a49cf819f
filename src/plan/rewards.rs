//! Coupons, vouchers, rewards and badges: what of them is not the customer's alone, and what follows by rules.

use crm_core::change::Cause;
use crm_core::customer::{OrdersTouched, Refusal};
use crm_core::event::{Deed, EventBody};
use crm_core::loyalty::{
    AwardPoints, BadgeEarned, CouponRedeemed, CouponReleased, CouponReserved, LoyaltyError, PointsBook, Posting,
    PostingKind, VoucherFrom, VoucherHeld, VoucherId, VoucherIssued,
};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, Definitions, EventId, Remark, SmolStr, Timestamp};
use crm_storage::{Claim, ClaimKey, CounterStep, Release};

use super::{Chain, Customer, Need, Planner};

/// The key under which a voucher with a code is claimed: by its batch, and by whoever uses it or has it.
pub(crate) fn voucher_claim(voucher: VoucherId) -> ClaimKey {
    ClaimKey { kind: SmolStr::new_static(VOUCHER), key: voucher.as_bytes().to_vec() }
}

/// The kind of that key.
pub(crate) const VOUCHER: &str = "voucher";

impl Planner<'_> {
    /// Carries out what `decide` comes to, after what is due. The decisions after the first one are caused by it.
    pub(crate) fn decide_by(
        &mut self,
        decide: impl FnOnce(&Customer, CustomerId, Timestamp, &Definitions) -> Result<Vec<Deed>, Refusal>,
    ) -> Result<Result<Vec<EventId>, Refusal>, Need> {
        self.elapse(self.context.now)?;
        let at = self.instant();
        let deeds = match decide(&self.customer, self.through, at, self.context.definitions) {
            Ok(deeds) => deeds,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let undoes = self.postings_undone_by(&deeds)?;
        let reinstates =
            |deed: &Deed| matches!(deed, Deed::PointsPosted(Posting { kind: PostingKind::Reinstated { .. }, .. }));
        let touched = if deeds.iter().any(reinstates) { Some(OrdersTouched::Gone) } else { None };
        let mut ids = Vec::with_capacity(deeds.len());
        for deed in deeds {
            let cause = ids.first().copied();
            ids.extend(self.decide(at, &Actor::Shop, deed, cause, &Chain::NEW));
        }
        for posting in undoes {
            ids.extend(self.undo_for_reward(posting, ids.first().copied(), at)?);
        }
        if let Some(first) = ids.first().copied() {
            let cause = Cause::Event(first);
            match touched {
                // What is given back of an order that came back meanwhile goes with it.
                Some(touched) => self.settle(at, cause, touched)?,
                None => self.follow(at, cause, &Chain::NEW)?,
            }
            self.react()?;
        }
        self.elapse(self.context.now)?;
        Ok(Ok(ids))
    }

    /// The postings by which the points were spent of a reward that is given back: those that its claim caused.
    fn postings_undone_by(&self, deeds: &[Deed]) -> Result<Vec<EventId>, Need> {
        let Some(Deed::RewardCancelled(cancelled)) = deeds.first() else { return Ok(Vec::new()) };
        let history = self.history.ok_or(Need::History)?;
        let caused = history.iter().filter(|event| event.cause == Some(cancelled.claim));
        let posted = caused.filter(|event| match &event.body {
            EventBody::Decision(decision) => matches!(decision.deed, Deed::PointsPosted(_)),
            EventBody::Fact(_) | EventBody::Unrecognised { .. } => false,
        });
        Ok(posted.map(|event| event.id).collect())
    }

    /// Gives the points of a posting back, unless that was done before.
    fn undo_for_reward(
        &mut self,
        posting: EventId,
        cause: Option<EventId>,
        at: Timestamp,
    ) -> Result<Option<EventId>, Need> {
        let history = self.history.ok_or(Need::History)?;
        let Ok(reason) = Remark::new("reward given back") else { return Ok(None) };
        let undo = crm_core::loyalty::UndoPosting { posting, reason };
        match self.undoing(history, &undo, at) {
            Ok((member, posting)) => {
                Ok(Some(self.decide_of(member, at, Actor::Shop, Deed::PointsPosted(posting), cause, &Chain::NEW)))
            }
            // The shop undid it itself before.
            Err(_) => Ok(None),
        }
    }

    /// Moves what all customers share by a decision about one of them.
    pub(super) fn count(&mut self, member: CustomerId, id: EventId, deed: &Deed) {
        if let Some(counted) = deed.counted() {
            let limit = counted.limit.map_or(i64::MAX, i64::from);
            self.counters.push(CounterStep { name: counted.counter, by: counted.by, limit });
        }
        if let Deed::CouponReserved(CouponReserved { by: Some(held), .. })
        | Deed::CouponRedeemed(CouponRedeemed { by: Some(held), reserved: false, .. }) = deed
        {
            let VoucherHeld { voucher, batch } = *held;
            if let Some(batch) = batch {
                self.hand_over(voucher, batch, member, id);
            }
        } else if let Deed::CouponReleased(CouponReleased { by: Some(held), .. }) = deed {
            let VoucherHeld { voucher, batch } = *held;
            if let Some(batch) = batch {
                self.hand_over(voucher, member, batch, id);
            }
        } else if let Deed::VoucherIssued(VoucherIssued { voucher, from: VoucherFrom::Shop, .. }) = deed {
            self.claims.push(Claim { key: voucher_claim(*voucher), customer: member, event: id });
        }
    }

    /// A voucher of a batch is somebody else's from now on. In one plan it may go there and back.
    fn hand_over(&mut self, voucher: VoucherId, from: CustomerId, to: CustomerId, event: EventId) {
        let key = voucher_claim(voucher);
        self.claims.retain(|claim| claim.key != key);
        if self.releases.iter().all(|release| release.key != key) {
            self.releases.push(Release { key: key.clone(), customer: from });
        }
        self.claims.push(Claim { key, customer: to, event });
    }

    /// Records the badges that are earned now, with the points that come with them, and what moves by those.
    pub(super) fn earn_badges(&mut self, at: Timestamp, cause: Option<EventId>, chain: &Chain) -> Result<(), Need> {
        let mut first = None;
        for name in self.customer.badges_to_earn(at, self.context.definitions) {
            let earned = Deed::BadgeEarned(BadgeEarned { badge: name.clone(), at });
            let id = self.decide(at, &Actor::Rule, earned, cause, chain);
            if let Some(Ok(posting)) = self.points_of_badge(&name, at) {
                self.decide_of(self.through, at, Actor::Rule, Deed::PointsPosted(posting), id, chain);
            }
            first = first.or(id);
        }
        match first {
            Some(first) => self.follow(at, Cause::Event(first), chain),
            None => Ok(()),
        }
    }

    fn points_of_badge(
        &self,
        name: &crm_core::loyalty::BadgeName,
        at: Timestamp,
    ) -> Option<Result<crm_core::loyalty::Posting, LoyaltyError>> {
        let definitions = self.context.definitions;
        let points = definitions.badge(name, at)?.points.as_ref()?;
        let program = definitions.program(&points.program, at)?;
        let reason = Remark::from(name.clone());
        let award = AwardPoints { program: points.program.clone(), points: points.points.into(), reason };
        let empty = PointsBook::default();
        let book = self.customer.book_of(self.through, &points.program).unwrap_or(&empty);
        Some(award.decide(book, program, self.customer.standing().tier(&points.program), at))
    }
}
