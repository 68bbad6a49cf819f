//! Referrals: who brought whom, and the rewards of both once the first order stands.

use std::collections::BTreeSet;

use crm_core::customer::RewardSide;
use crm_core::event::{Deed, Fact};
use crm_core::loyalty::{CHAIN_LIMIT, LapseReason, ReferralMoved, ReferralName, ReferralStep, TogetherError};
use crm_core::relationship::{Strength, Tie, TieKind, Tied};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, EventId, Remark, Source, Timestamp};
use crm_storage::Commit;

use super::super::writing::Writing;
use super::super::{ATTEMPTS_MAX, Base, Crm};
use super::{Before, DoneTogether, Once, Planned, became_one, refused};
use crate::error::Error;
use crate::plan::{FactRefusal, Prepared};

/// How far the chain of those who brought each other was followed.
enum Chain {
    /// To its beginnings, who are in nobody's debt: they may not be brought by anybody meanwhile.
    Ends(Vec<Base>),
    /// Back to where it began.
    Ring,
    /// Too far.
    Long,
}

impl Crm {
    /// Notes that a customer brought a new one. Both are rewarded, as the [referral](crm_core::loyalty::Referral) says,
    /// once an order that counts can no longer be sent back; [`advance`](Self::advance) does it then, for both in one
    /// commit. What comes back of the order before leaves nothing to reward; what comes back later changes nothing any
    /// more. Under the same key (one of the new customer's) it is noted once.
    ///
    /// From then on the two are tied as [`Referred`](TieKind::Referred), for both, unless either has as many ties as there
    /// may be; the shop may untie them, which leaves the referral as it is.
    ///
    /// Whoever ordered before, or was brought before, is not new. Nobody brings themself, nor anybody who brought them,
    /// through whomever: up to [`CHAIN_LIMIT`] customers who brought each other are looked at.
    ///
    /// # Errors
    ///
    /// As for [`give_points`](Self::give_points).
    pub async fn refer(
        &self,
        name: &ReferralName,
        by: CustomerId,
        who: CustomerId,
        key: &str,
    ) -> Result<DoneTogether, Error> {
        let once = Once::new(who, key, &("refer", name, by, who))?;
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let (bringer, new, definitions) = match self.two([by, who]).await? {
                Ok(both) => both,
                Err(refusal) => match self.finish_two(&once, Err(refusal)).await? {
                    Some(done) => return Ok(done),
                    None => continue,
                },
            };
            if became_one(&bringer, &new) {
                self.lost()?;
                continue;
            }
            let ends = match self.chain(&bringer, &new).await? {
                Chain::Ends(ends) => Ok(ends),
                Chain::Ring => Err(refused(TogetherError::Ring { customer: who })),
                Chain::Long => Err(refused(TogetherError::Chain)),
            };
            let context = self.context(&definitions, now, false);
            let mut told = self.tie_of_referral([&bringer, &new], now).await?;
            let (theirs, own) = loop {
                let theirs = self
                    .plan_and_tell(&new, context, &Actor::Shop, Before::Now, &told[1], &|customer, at| {
                        let moved = customer.refer(name, [by, who], at, &definitions)?;
                        Ok((vec![(Some(who), Deed::ReferralMoved(moved))], ()))
                    })
                    .await?;
                let own = self
                    .plan_and_tell(&bringer, context, &Actor::Shop, Before::Now, &told[0], &|customer, _| {
                        if customer.is_erased() {
                            return Err(TogetherError::Erased { customer: by }.into());
                        }
                        let step = ReferralStep::Brought { who };
                        let moved = ReferralMoved { name: name.clone(), step };
                        Ok((vec![(Some(by), Deed::ReferralMoved(moved))], ()))
                    })
                    .await?;
                let is_tied = |side: &Planned<()>| side.told;
                if theirs.as_ref().is_ok_and(is_tied) == own.as_ref().is_ok_and(is_tied) || told[0].is_empty() {
                    break (theirs, own);
                }
                // Neither side has a tie that the other has not.
                told = [Vec::new(), Vec::new()];
            };
            let planned = match (ends, theirs, own) {
                (Ok(ends), Ok(theirs), Ok(own)) => Ok((ends, theirs, own)),
                (Err(refusal), ..) | (_, Err(refusal), _) | (.., Err(refusal)) => Err(refusal),
            };
            let done = match planned {
                Err(refusal) => self.finish_two(&once, Err(refusal)).await?,
                Ok((ends, theirs, own)) => {
                    let touched = ends.iter().filter_map(|end| end.touch(&definitions));
                    let touched = Commit { writes: touched.collect(), ..Commit::default() };
                    let both = [(&bringer, own.plan, own.events), (&new, theirs.plan, theirs.events)];
                    self.finish_two_and(&once, touched.into(), Ok(both)).await?
                }
            };
            if let Some(done) = done {
                return Ok(done);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// What ties a customer to the one whom they bring, from now on, on both sides; nothing where either has as many ties
    /// as they can.
    async fn tie_of_referral(
        &self,
        both: [&Base; 2],
        at: Timestamp,
    ) -> Result<[Vec<(CustomerId, Prepared)>; 2], Error> {
        let [from, to] = both.map(|base| base.through);
        let tie = Tie { from, to, kind: TieKind::Referred, strength: Strength::FULL };
        let sides = tie.sides().map_err(FactRefusal::from)?;
        let is_full = |(base, tied): (&&Base, &Tied)| base.customer.facts().ties().is_full_for(base.through, tied);
        if both.iter().zip(&sides).any(is_full) {
            return Ok([Vec::new(), Vec::new()]);
        }
        // Nobody is brought twice, so that there is one for each two.
        let source = Source::new("referral").map_err(Error::corrupt)?;
        let id = EventId::of_fact(&self.tenant, &source, &format!("{from} {to}"));
        let [own, theirs] = sides.map(|tied| Prepared { id, at, source: source.clone(), fact: Fact::from(tied) });
        Ok([vec![(from, own)], vec![(to, theirs)]])
    }

    /// Follows who brought somebody, and who brought those.
    async fn chain(&self, bringer: &Base, new: &Base) -> Result<Chain, Error> {
        let mut seen: BTreeSet<CustomerId> = [bringer.customer.id(), new.customer.id()].into();
        let mut next: Vec<CustomerId> = bringer.customer.referrers().collect();
        let mut ends = Vec::new();
        while let Some(id) = next.pop() {
            if new.customer.is(id) {
                return Ok(Chain::Ring);
            }
            if bringer.customer.is(id) || seen.contains(&id) {
                continue;
            }
            if seen.len() >= CHAIN_LIMIT {
                return Ok(Chain::Long);
            }
            seen.insert(id);
            let Some(mut base) = self.base(id).await?.0 else { continue };
            if became_one(new, &base) {
                return Ok(Chain::Ring);
            }
            // Somebody may be named by several ids.
            if id != base.customer.id() && !seen.insert(base.customer.id()) {
                continue;
            }
            // Whatever is written of somebody who is several is written of the one they go on as.
            base.through = base.customer.id();
            let before: Vec<CustomerId> = base.customer.referrers().collect();
            if before.is_empty() && !became_one(bringer, &base) {
                ends.push(base);
            }
            next.extend(before);
        }
        Ok(Chain::Ends(ends))
    }

    /// Rewards both sides of a referral whose order stood until the end. Gives whether there was one.
    pub(in crate::engine) async fn reward_referral(&self, of: CustomerId, until: Timestamp) -> Result<bool, Error> {
        let reason = Remark::new("referral").map_err(Error::corrupt)?;
        for _ in 0..ATTEMPTS_MAX {
            let (new, definitions) = self.base(of).await?;
            let new = new.ok_or(Error::NoCustomer { customer: of })?;
            let Some((who, at)) = new.customer.referral_to_reward().filter(|(_, at)| *at <= until) else {
                return Ok(false);
            };
            let Some(referred) = new.customer.referred_of(who).cloned() else { return Ok(false) };
            let (name, by) = (referred.name(), referred.by());
            let referral = definitions.referral(name, referred.at());
            let context = self.context(&definitions, self.now().max(at), false);
            let one = new.customer.is(by);
            let bringer = if one { None } else { self.base(by).await?.0 };
            if bringer.as_ref().is_some_and(|bringer| became_one(&new, bringer)) {
                self.lost()?;
                continue;
            }
            let lapsed = |why| {
                let moved = ReferralMoved { name: name.clone(), step: ReferralStep::Lapsed { why } };
                vec![(who, Deed::ReferralMoved(moved))]
            };
            let theirs = self
                .plan_together(&new, context, &Actor::Rule, Before::Until(at), &|customer, _| {
                    let deeds = match referral {
                        Some(_) if one => lapsed(LapseReason::Themself),
                        Some(referral) => {
                            let side = RewardSide::Referred;
                            customer.reward(who, name, referral, side, at, &reason, &definitions)
                        }
                        None => lapsed(LapseReason::NoProgram),
                    };
                    let rewarded = deeds.iter().any(|(_, deed)| {
                        matches!(deed, Deed::ReferralMoved(ReferralMoved { step: ReferralStep::Rewarded { .. }, .. }))
                    });
                    Ok((deeds.into_iter().map(|(member, deed)| (Some(member), deed)).collect(), rewarded))
                })
                .await??;
            let mut writing = Writing::default();
            if let (Some(bringer), Some(referral), true) = (&bringer, referral, theirs.came) {
                let own = self
                    .plan_together(bringer, context, &Actor::Rule, Before::Until(at), &|customer, _| {
                        let side = RewardSide::Referrer { who };
                        let deeds = customer.reward(by, name, referral, side, at, &reason, &definitions);
                        Ok((deeds.into_iter().map(|(member, deed)| (Some(member), deed)).collect(), ()))
                    })
                    .await??;
                if let Some(plan) = own.plan {
                    self.write(&mut writing, plan, bringer).await?;
                }
            }
            if let Some(plan) = theirs.plan {
                self.write(&mut writing, plan, &new).await?;
            }
            if self.try_settle(writing).await? {
                return Ok(true);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }
}
