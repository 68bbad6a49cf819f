//! What customers do together, decided of one of them at a time: gifts, pools and referrals. Whoever commits it writes
//! the other's part in the same commit.

use super::Customer;
use crate::definitions::Definitions;
use crate::event::Deed;
use crate::id::{CustomerId, EventId};
use crate::loyalty::{
    AwardPoints, CountedAt, Gift, GiftExpiry, GiftPolicy, GivePoints, LapseReason, LotTerms, LoyaltyError,
    MemberAllowance, OnLeaving, Origin, POOL_MEMBERS_MAX, PointsBook, Pool, PoolKind, PoolMoved, PoolStep, Posting,
    PostingKind, Program, ProgramId, Referral, ReferralMoved, ReferralName, ReferralStanding, ReferralStep, Referred,
    Shortfall, Together, TogetherError,
};
use crate::text::Remark;
use crate::time::Timestamp;

fn in_force<'d>(program: &ProgramId, at: Timestamp, definitions: &'d Definitions) -> Result<&'d Program, LoyaltyError> {
    definitions.program(program, at).ok_or_else(|| LoyaltyError::NoProgram { program: program.clone() })
}

impl Customer {
    fn together(&self) -> Option<&Together> {
        self.decided.together.as_deref()
    }

    fn together_of(&self, member: CustomerId) -> Option<&Together> {
        self.decided_of(member)?.together.as_deref()
    }

    fn or_erased(&self, id: CustomerId) -> Result<(), LoyaltyError> {
        if self.is_erased() { Err(TogetherError::Erased { customer: id }.into()) } else { Ok(()) }
    }

    // ---- gifts ----

    /// How many points the customer gave to others, in the stretch of the calendar that an instant is in, and may not give
    /// again.
    #[must_use]
    pub fn given_within(&self, program: &ProgramId, period: crate::loyalty::Period, counted: CountedAt) -> i64 {
        self.together().and_then(|own| own.given(program)).map_or(0, |given| given.within(period, counted))
    }

    /// The giver's side of a gift.
    ///
    /// # Errors
    ///
    /// `NoProgram`, `Amount`, `NotEnough`; of what is done together `NoGifts`, `GiftSize`, `Allowance` or `Erased`.
    pub fn give(
        &self,
        give: &GivePoints,
        [from, to]: [CustomerId; 2],
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Gift, LoyaltyError> {
        let GivePoints { program: id, points, reason } = give;
        let program = in_force(id, at, definitions)?;
        let policy = program.gifts.as_ref().ok_or_else(|| TogetherError::NoGifts { program: id.clone() })?;
        self.or_erased(from)?;
        let used = |allowance: &crate::loyalty::Allowance, counted| self.given_within(id, allowance.per, counted);
        let counted = give.check(policy, program.zone, at, used)?;
        let empty = PointsBook::default();
        self.book(id).unwrap_or(&empty).give_away(id, to, *points, reason, Some(counted))
    }

    /// The receiver's side of a gift.
    ///
    /// # Errors
    ///
    /// `NoProgram`, or `Erased` of what is done together.
    pub fn receive(
        &self,
        gift: &Gift,
        reason: &Remark,
        [from, to]: [CustomerId; 2],
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Posting, LoyaltyError> {
        let id = &gift.given.program;
        let program = in_force(id, at, definitions)?;
        self.or_erased(to)?;
        // What goes into a pool, or out of it again, lasts as long as ever.
        let kept = matches!(&gift.given.kind, PostingKind::Given { counted: None, .. });
        let policy = program.gifts.unwrap_or_default();
        let fresh = matches!(policy, GiftPolicy { expiry: GiftExpiry::Fresh, .. }) && !kept;
        let origin = Origin::Gift(from);
        let held_as = |terms: &LotTerms| match fresh {
            true => program.terms(origin, at, self.standing.tier(id)),
            false => LotTerms { origin, waits: None, ..*terms },
        };
        let empty = PointsBook::default();
        Ok(self.book_of(to, id).unwrap_or(&empty).receive(gift, from, reason, held_as))
    }

    // ---- pools ----

    /// The pool that the customer has in a programme.
    #[must_use]
    pub fn pool(&self, program: &ProgramId) -> Option<&Pool> {
        self.together()?.pool(program)
    }

    /// The pools that the customer has, by programme.
    pub fn pools(&self) -> impl Iterator<Item = (&ProgramId, &Pool)> {
        self.together().into_iter().flat_map(Together::pools)
    }

    /// In whose pools of a programme the customer is a member: of one at most, unless they were merged.
    pub fn in_pools(&self, program: &ProgramId) -> impl Iterator<Item = CustomerId> {
        self.together().into_iter().flat_map(|own| own.within(program))
    }

    /// The members of a pool who are a customer: several where they were merged.
    fn seats<'p>(&self, pool: &'p Pool, is: &'p Customer) -> impl Iterator<Item = CustomerId> + use<'p> {
        pool.members().map(|(id, _)| id).filter(|id| is.is(*id))
    }

    fn own_pool(&self, owner: CustomerId, program: &ProgramId) -> Result<&Pool, LoyaltyError> {
        self.or_erased(owner)?;
        let none = || TogetherError::NoPool { customer: owner, program: program.clone() };
        Ok(self.pool(program).ok_or_else(none)?)
    }

    /// Has the customer's points be a pool. Nothing if they are.
    ///
    /// # Errors
    ///
    /// `NoProgram`; of what is done together `NoPools` or `Erased`.
    pub fn open_pool(
        &self,
        owner: CustomerId,
        program: &ProgramId,
        kind: PoolKind,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<Vec<PoolStep>, LoyaltyError> {
        self.or_erased(owner)?;
        if in_force(program, at, definitions)?.pools.is_none() {
            return Err(TogetherError::NoPools { program: program.clone() }.into());
        }
        let same = self.pool(program).is_some_and(|pool| pool.kind() == kind);
        Ok(if same { Vec::new() } else { vec![PoolStep::Opened { kind }] })
    }

    /// Takes somebody into the pool: what is decided of the owner, and of the member. Nothing if it is so.
    ///
    /// # Errors
    ///
    /// `NoProgram`; of what is done together `NoPool`, `NoPools`, `Members`, `OtherPool`, `WithThemself` or `Erased`.
    pub fn join_pool(
        &self,
        [owner, member]: [CustomerId; 2],
        who: &Customer,
        program: &ProgramId,
        allowance: MemberAllowance,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<[Vec<PoolStep>; 2], LoyaltyError> {
        let policy = in_force(program, at, definitions)?.pools;
        let policy = policy.ok_or_else(|| TogetherError::NoPools { program: program.clone() })?;
        let pool = self.own_pool(owner, program)?;
        if self.is(member) {
            return Err(TogetherError::WithThemself { customer: member }.into());
        }
        who.or_erased(member)?;
        let seats: Vec<CustomerId> = self.seats(pool, who).collect();
        if !seats.is_empty() {
            let other = |seat: &CustomerId| pool.member(*seat).is_some_and(|own| own.allowance() != allowance);
            let steps = seats.into_iter().filter(other).map(|member| PoolStep::Allowed { member, allowance });
            return Ok([steps.collect(), Vec::new()]);
        }
        if let Some(other) = who.in_pools(program).find(|pool| !self.is(*pool)) {
            return Err(TogetherError::OtherPool { customer: member, pool: other }.into());
        }
        let max = usize::from(policy.members);
        if pool.members().count() >= max {
            return Err(TogetherError::Members { max }.into());
        }
        let new = pool.remembered().all(|(known, _)| known != member);
        if new && pool.remembered().count() >= POOL_MEMBERS_MAX {
            return Err(TogetherError::Members { max: POOL_MEMBERS_MAX }.into());
        }
        Ok([vec![PoolStep::Joined { member, allowance }], vec![PoolStep::Entered { pool: owner }]])
    }

    /// Has somebody leave the pool: what is decided of the owner and of the member, and the points that go with them.
    /// Somebody who was merged leaves as all that they are.
    ///
    /// # Errors
    ///
    /// Of what is done together `NoPool`, `NoMember` or `Erased`.
    pub fn leave_pool(
        &self,
        [owner, member]: [CustomerId; 2],
        who: &Customer,
        program: &ProgramId,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<([Vec<PoolStep>; 2], Option<Gift>), LoyaltyError> {
        let pool = self.own_pool(owner, program)?;
        let seats: Vec<CustomerId> = self.seats(pool, who).collect();
        if seats.is_empty() {
            return Err(TogetherError::NoMember { customer: member }.into());
        }
        let policy = definitions.program(program, at).and_then(|program| program.pools);
        let takes = policy.is_some_and(|policy| policy.on_leaving == OnLeaving::TakeOwn) && !who.is_erased();
        let empty = PointsBook::default();
        let book = self.book(program).unwrap_or(&empty);
        let mut there = i64::try_from(book.balance().max(0)).unwrap_or(i64::MAX);
        let mut steps = Vec::with_capacity(seats.len());
        let mut taken = 0;
        for seat in seats {
            let own = pool.member(seat).map_or(0, |own| own.contributed().saturating_sub(own.spent()).max(0));
            let points = if takes { own.min(there) } else { 0 };
            there -= points;
            taken += points;
            steps.push(PoolStep::Left { member: seat, points });
        }
        let reason = Remark::new("left the pool").map_err(|_| LoyaltyError::NoPoints { program: program.clone() })?;
        let gift = match taken {
            0 => None,
            _ => Some(book.give_away(program, member, taken, &reason, None)?),
        };
        let quit = who.in_pools(program).filter(|pool| self.is(*pool)).map(|pool| PoolStep::Quit { pool });
        Ok(([steps, quit.collect()], gift))
    }

    /// Takes points of a member's into the pool: what is decided of the owner. `who` gives them.
    ///
    /// # Errors
    ///
    /// `Amount`, `NotEnough`; of what is done together `NoPool`, `NoMember` or `Erased`.
    pub fn contribute(
        &self,
        [owner, member]: [CustomerId; 2],
        who: &Customer,
        program: &ProgramId,
        points: i64,
        reason: &Remark,
    ) -> Result<(PoolStep, Gift), LoyaltyError> {
        let pool = self.own_pool(owner, program)?;
        who.or_erased(member)?;
        let seat = self.seat(pool, who, member)?;
        let empty = PointsBook::default();
        let gift = who.book(program).unwrap_or(&empty).give_away(program, owner, points, reason, None)?;
        Ok((PoolStep::Contributed { member: seat, points }, gift))
    }

    /// As whom somebody is in the pool: by the id they are named by, if that is in it.
    fn seat(&self, pool: &Pool, who: &Customer, member: CustomerId) -> Result<CustomerId, LoyaltyError> {
        let named = pool.member(member).map(|_| member);
        let seat = named.or_else(|| self.seats(pool, who).next());
        Ok(seat.ok_or(TogetherError::NoMember { customer: member })?)
    }

    /// Spends points of the pool for a member: the posting, and whose seat it is counted on.
    ///
    /// # Errors
    ///
    /// `Amount`, `NotEnough`; of what is done together `NoPool`, `NoMember`, `Allowance` or `Erased`.
    #[allow(clippy::too_many_arguments, reason = "each is needed, and none belongs to another")]
    pub fn spend_of_pool(
        &self,
        [owner, member]: [CustomerId; 2],
        who: &Customer,
        program: &ProgramId,
        points: i64,
        reason: &Remark,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<(Posting, CustomerId, CountedAt), LoyaltyError> {
        let pool = self.own_pool(owner, program)?;
        who.or_erased(member)?;
        let seat = self.seat(pool, who, member)?;
        let in_force = definitions.program(program, at);
        let counted = CountedAt { at, zone: in_force.map_or(chrono_tz::Tz::UTC, |program| program.zone) };
        let empty = PointsBook::default();
        let book = self.book(program).unwrap_or(&empty);
        let points = book.enough(points)?;
        in_force.map_or(Ok(()), |program| program.check_redeemed(points, None))?;
        // Somebody who is several has what the most generous seat has, and all have used of it.
        let policy = in_force.and_then(|program| program.pools);
        let seats: Vec<_> = pool.members().filter(|(id, _)| who.is(*id)).collect();
        let allowances: Option<Vec<_>> = seats.iter().map(|(_, own)| own.allowance().under(policy.as_ref())).collect();
        let used_by_all = |period| {
            let own = pool.remembered().filter(|(id, _)| who.is(*id));
            own.fold(0_i64, |sum, (_, own)| sum.saturating_add(own.spent_within(period, counted)))
        };
        if let Some(allowances) = allowances {
            let left =
                |allowance: &crate::loyalty::Allowance| (allowance.left(used_by_all(allowance.per)), allowance.per);
            if let Some((left, per)) = allowances.iter().map(left).max_by_key(|(left, _)| *left)
                && points > left
            {
                return Err(TogetherError::Allowance { asked: points, left, per }.into());
            }
        }
        let kind = PostingKind::Spent { reason: reason.clone(), order: None, refunded: 0 };
        let posting = book.take(Posting::new(program.clone(), kind), points, None, Shortfall::Owed);
        Ok((posting, seat, counted))
    }

    // ---- referrals ----

    /// By whom the customer was brought; of several merged customers by whom the first of them was.
    #[must_use]
    pub fn referred(&self) -> Option<&Referred> {
        self.together()?.referred()
    }

    /// By whom the customer was brought, and all with whom they were merged.
    pub fn referrers(&self) -> impl Iterator<Item = CustomerId> {
        self.members().filter_map(|member| Some(self.together_of(member)?.referred()?.by()))
    }

    /// How often the customer was rewarded for bringing others, in the stretch of the calendar that an instant is in.
    #[must_use]
    pub fn rewarded_within(&self, name: &ReferralName, period: crate::loyalty::Period, counted: CountedAt) -> i64 {
        self.together().and_then(|own| own.rewarded(name)).map_or(0, |own| own.within(period, counted))
    }

    /// Notes who brought the customer, who is new.
    ///
    /// # Errors
    ///
    /// Of what is done together: `NoReferral`, `NotNew`, `ReferredBefore`, `WithThemself` or `Erased`.
    pub fn refer(
        &self,
        name: &ReferralName,
        [by, who]: [CustomerId; 2],
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<ReferralMoved, LoyaltyError> {
        if definitions.referral(name, at).is_none() {
            return Err(TogetherError::NoReferral { name: name.clone() }.into());
        }
        self.or_erased(who)?;
        if self.is(by) {
            return Err(TogetherError::WithThemself { customer: who }.into());
        }
        if let Some(before) = self.referred() {
            return Err(TogetherError::ReferredBefore { customer: who, by: before.by() }.into());
        }
        if !self.facts.orders().list().is_empty() {
            return Err(TogetherError::NotNew { customer: who }.into());
        }
        Ok(ReferralMoved { name: name.clone(), step: ReferralStep::Referred { by, at } })
    }

    /// What becomes of a member's referral, and when: none while nothing was ordered that counts.
    fn referral_of(&self, member: CustomerId, definitions: &Definitions) -> Option<(Timestamp, ReferralMoved)> {
        let own = self.together_of(member)?.referred()?;
        if own.standing() != ReferralStanding::Waits || self.is_erased() {
            return None;
        }
        let referral = definitions.referral(own.name(), own.at())?;
        let orders = self.facts.orders().list();
        let (order, due_at) = referral.first(orders, own.at())?;
        let before = |other: CustomerId| {
            let other = (other != member).then(|| self.together_of(other)?.referred())??;
            let counts = match other.standing() {
                ReferralStanding::Rewarded | ReferralStanding::Confirmed { .. } => true,
                ReferralStanding::Waits => (other.at(), other.by()) < (own.at(), own.by()),
                ReferralStanding::Lapsed => false,
            };
            counts.then_some(())
        };
        let lapsed = if self.is(own.by()) {
            Some(LapseReason::Themself)
        } else if orders.iter().any(|order| order.placed_at < own.at()) {
            Some(LapseReason::NotNew)
        } else if self.members().any(|other| before(other).is_some()) {
            Some(LapseReason::Before)
        } else {
            None
        };
        let step = match lapsed {
            Some(why) => ReferralStep::Lapsed { why },
            None => ReferralStep::Confirmed { order, at: due_at },
        };
        Some((due_at, ReferralMoved { name: own.name().clone(), step }))
    }

    /// When something becomes of a referral.
    pub(super) fn next_referral(&self, definitions: &Definitions) -> Option<Timestamp> {
        // Nearly nobody was brought by anybody.
        self.together()?.referred()?;
        self.members().filter_map(|member| Some(self.referral_of(member, definitions)?.0)).min()
    }

    /// What becomes of referrals at or before an instant.
    pub(super) fn referrals_due(&self, at: Timestamp, definitions: &Definitions) -> Vec<(CustomerId, Deed)> {
        if self.together().and_then(Together::referred).is_none() {
            return Vec::new();
        }
        let due = |member| {
            let (due_at, moved) = self.referral_of(member, definitions)?;
            (due_at <= at).then_some((member, Deed::ReferralMoved(moved)))
        };
        // Of several that are due at once the next is looked at when the first is settled.
        self.members().find_map(due).into_iter().collect()
    }

    /// Whose referral is to be rewarded, and as of when: the earliest.
    #[must_use]
    pub fn referral_to_reward(&self) -> Option<(CustomerId, Timestamp)> {
        self.together()?.referred()?;
        let confirmed = |member| {
            let own = self.together_of(member)?.referred()?;
            let ReferralStanding::Confirmed { at } = own.standing() else { return None };
            Some((member, at))
        };
        let open = self.members().filter(|_| !self.is_erased()).filter_map(confirmed);
        open.min_by_key(|(member, at)| (*at, *member))
    }

    /// By whom and by which referral a member was brought.
    #[must_use]
    pub fn referred_of(&self, member: CustomerId) -> Option<&Referred> {
        self.together_of(member)?.referred()
    }

    /// The points of a referral for one of the two, if there are any, and that they got them.
    #[allow(clippy::too_many_arguments, reason = "each is needed, and none belongs to another")]
    #[must_use]
    pub fn reward(
        &self,
        member: CustomerId,
        name: &ReferralName,
        referral: &Referral,
        side: RewardSide,
        at: Timestamp,
        reason: &Remark,
        definitions: &Definitions,
    ) -> Vec<(CustomerId, Deed)> {
        let Some(program) = definitions.program(&referral.program, at) else {
            let lapsed = ReferralStep::Lapsed { why: LapseReason::NoProgram };
            let moved = ReferralMoved { name: name.clone(), step: lapsed };
            return match side {
                RewardSide::Referred => vec![(member, Deed::ReferralMoved(moved))],
                RewardSide::Referrer { .. } => Vec::new(),
            };
        };
        let counted = CountedAt { at, zone: program.zone };
        let points = match side {
            RewardSide::Referred => referral.referred,
            RewardSide::Referrer { .. } => {
                let spent =
                    referral.each.is_some_and(|each| each.left(self.rewarded_within(name, each.per, counted)) == 0);
                if spent || self.is_erased() {
                    return Vec::new();
                }
                referral.referrer
            }
        };
        let step = match side {
            RewardSide::Referred => ReferralStep::Rewarded { points },
            RewardSide::Referrer { who } => ReferralStep::Thanked { who, points, counted },
        };
        let moved = Deed::ReferralMoved(ReferralMoved { name: name.clone(), step });
        let award = i64::try_from(points).ok().filter(|points| *points > 0).and_then(|points| {
            let award = AwardPoints { program: referral.program.clone(), points, reason: reason.clone() };
            let empty = PointsBook::default();
            let book = self.book_of(member, &referral.program).unwrap_or(&empty);
            award.decide(book, program, self.standing.tier(&referral.program), at).ok()
        });
        award.map(Deed::PointsPosted).into_iter().chain([moved]).map(|deed| (member, deed)).collect()
    }
}

/// Which of the two is rewarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewardSide {
    /// The new customer.
    Referred,
    /// The one who brought them.
    Referrer {
        /// Whom they brought.
        who: CustomerId,
    },
}

/// What is decided of a pool, as deeds.
#[must_use]
pub fn pool_deeds(program: &ProgramId, steps: Vec<PoolStep>) -> Vec<Deed> {
    steps.into_iter().map(|step| Deed::PoolMoved(PoolMoved { program: program.clone(), step })).collect()
}

/// What a member spent, as a deed beside the posting that spent it.
#[must_use]
pub fn spent_of_pool(
    program: &ProgramId,
    member: CustomerId,
    points: i64,
    counted: CountedAt,
    posting: EventId,
) -> Deed {
    let step = PoolStep::Spent { member, points, counted, posting };
    Deed::PoolMoved(PoolMoved { program: program.clone(), step })
}
