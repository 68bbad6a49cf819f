//! Programmes, and what a shop hands out.

use super::Definitions;
use super::versions::Versions;
use crate::loyalty::{
    Badge, BadgeName, Coupon, CouponCode, Draw, DrawName, Program, ProgramId, Referral, ReferralName, Reward,
    RewardName, StampCard, StampCardName,
};
use crate::time::Timestamp;

impl Definitions {
    /// A programme in force.
    #[must_use]
    pub fn program(&self, id: &ProgramId, at: Timestamp) -> Option<&Program> {
        self.programs.get(id)?.at(at)?.as_ref()
    }

    /// The keys of all programmes there ever were.
    pub fn program_ids(&self) -> impl Iterator<Item = &ProgramId> {
        self.programs.keys()
    }

    /// Every version of every programme: by name, and of each the oldest first, with from when until when it holds. What
    /// ends a programme is none.
    pub fn program_versions(&self) -> impl Iterator<Item = (&ProgramId, &Program, Timestamp, Option<Timestamp>)> {
        self.programs
            .iter()
            .flat_map(|(id, versions)| versions.held().map(move |(program, from, until)| (id, program, from, until)))
    }

    /// Every version of one programme, the oldest first, with from when until when it holds.
    pub(crate) fn versions_of<'d>(
        &'d self,
        id: &ProgramId,
    ) -> impl Iterator<Item = (&'d Program, Timestamp, Option<Timestamp>)> + Clone + use<'d> {
        self.programs.get(id).into_iter().flat_map(Versions::held)
    }

    /// Whether any version of a programme says something of points that are there already: when they end, or when their
    /// end is told. What was due by the versions that were known before may be due at another time then.
    #[must_use]
    pub fn moves_ends(&self) -> bool {
        let mut versions = self.programs.values().flat_map(|Versions(versions)| versions);
        versions.any(|(_, program)| program.as_ref().is_some_and(Program::moves_ends))
    }

    /// A coupon in force.
    #[must_use]
    pub fn coupon(&self, code: &CouponCode, at: Timestamp) -> Option<&Coupon> {
        self.coupons.get(code)?.at(at)?.as_deref()
    }

    /// A reward in force.
    #[must_use]
    pub fn reward(&self, name: &RewardName, at: Timestamp) -> Option<&Reward> {
        self.rewards.get(name)?.at(at)?.as_deref()
    }

    /// The rewards in force, by name.
    pub fn rewards(&self, at: Timestamp) -> impl Iterator<Item = (&RewardName, &Reward)> {
        self.rewards.iter().filter_map(move |(name, versions)| Some((name, versions.at(at)?.as_deref()?)))
    }

    /// Every version of every stamp card: by name, and of each the oldest first, with from when until when it holds.
    pub fn stamp_card_versions(
        &self,
    ) -> impl Iterator<Item = (&StampCardName, &StampCard, Timestamp, Option<Timestamp>)> {
        self.stamp_cards
            .iter()
            .flat_map(|(name, versions)| versions.held().map(move |(card, from, until)| (name, &**card, from, until)))
    }

    /// A badge in force.
    #[must_use]
    pub fn badge(&self, name: &BadgeName, at: Timestamp) -> Option<&Badge> {
        self.badges.get(name)?.at(at)?.as_deref()
    }

    /// The badges in force, by name.
    pub fn badges(&self, at: Timestamp) -> impl Iterator<Item = (&BadgeName, &Badge)> {
        self.badges.iter().filter_map(move |(name, versions)| Some((name, versions.at(at)?.as_deref()?)))
    }

    /// How many versions of badges came into force by an instant: another number, other badges.
    pub(crate) fn badges_mark(&self, at: Timestamp) -> u32 {
        let versions = self.badges.values().flat_map(|Versions(versions)| versions);
        u32::try_from(versions.filter(|(from, _)| *from <= at).count()).unwrap_or(u32::MAX)
    }

    /// A referral in force.
    #[must_use]
    pub fn referral(&self, name: &ReferralName, at: Timestamp) -> Option<&Referral> {
        self.referrals.get(name)?.at(at)?.as_ref()
    }

    /// A draw that was announced.
    #[must_use]
    pub fn draw(&self, name: &DrawName, at: Timestamp) -> Option<&Draw> {
        self.draws.get(name)?.at(at)
    }
}
