//! Pools: points that a household or a company has together.

use crm_core::customer::{Customer, Refusal, pool_deeds, spent_of_pool};
use crm_core::event::Deed;
use crm_core::loyalty::{Gift, PoolCommand, PoolMoved, PoolStep, ProgramId};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, Definitions, EventId, Remark};

use super::super::{ATTEMPTS_MAX, Base, Crm};
use super::{Before, Both, DoneTogether, Once, became_one};
use crate::error::Error;
use crate::plan::{Context, Deeds, Plan};

/// Who does what in whose pool.
struct Asked<'a> {
    owner: CustomerId,
    member: CustomerId,
    program: &'a ProgramId,
    definitions: &'a Definitions,
    context: Context<'a>,
}

fn of_anyone(deeds: Vec<Deed>) -> Deeds {
    deeds.into_iter().map(|deed| (None, deed)).collect()
}

impl Crm {
    /// Does something with the pool that a customer has in a programme: opens it, takes members in, has them put in
    /// points, spend of them, or leave. What is decided is in the owner's history, and what a member's own points or
    /// membership are about in theirs, in one commit. Under the same key (one of the owner's) it is done once.
    ///
    /// A pool is the owner's own book: what they earn goes into it, and they spend of it like of any. What members may
    /// spend is theirs to say, and the [programme's](crm_core::loyalty::PoolPolicy).
    ///
    /// # Errors
    ///
    /// As for [`give_points`](Self::give_points).
    pub async fn pool(
        &self,
        owner: CustomerId,
        program: &ProgramId,
        command: PoolCommand,
        key: &str,
    ) -> Result<DoneTogether, Error> {
        let once = Once::new(owner, key, &("pool", owner, program, &command))?;
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let done = match command.member() {
                None => {
                    let (base, definitions) = self.base(owner).await?;
                    let base = base.ok_or(Error::NoCustomer { customer: owner })?;
                    let context = self.context(&definitions, now, false);
                    let PoolCommand::Open { kind } = &command else {
                        return Err(Error::corrupt("a pool command that names nobody"));
                    };
                    let planned = self
                        .plan_together(&base, context, &Actor::Shop, Before::Now, &|customer, at| {
                            let steps = customer.open_pool(owner, program, *kind, at, &definitions)?;
                            Ok((of_anyone(pool_deeds(program, steps)), ()))
                        })
                        .await?;
                    let both = planned.map(|own| [(&base, own.plan, own.events), (&base, None, Vec::new())]);
                    self.finish_two(&once, both).await?
                }
                Some(member) => match self.two([owner, member]).await? {
                    Err(refusal) => self.finish_two(&once, Err(refusal)).await?,
                    Ok((own, theirs, _)) if became_one(&own, &theirs) => {
                        self.lost()?;
                        None
                    }
                    Ok((own, theirs, definitions)) => {
                        let context = self.context(&definitions, now, false);
                        let asked = Asked { owner, member, program, definitions: &definitions, context };
                        let both = self.plan_pool(&asked, &own, &theirs, &command).await?;
                        self.finish_two(&once, both).await?
                    }
                },
            };
            if let Some(done) = done {
                return Ok(done);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    async fn plan_pool<'a>(
        &self,
        asked: &Asked<'_>,
        own: &'a Base,
        theirs: &'a Base,
        command: &PoolCommand,
    ) -> Result<Both<'a>, Error> {
        let Asked { owner, member, program, definitions, context } = *asked;
        let ids = [owner, member];
        let (who, pool) = (&theirs.customer, &own.customer);
        match command {
            PoolCommand::Open { .. } => Err(Error::corrupt("a pool that is opened by a member")),
            PoolCommand::Join { allowance, .. } => {
                let ours = self
                    .plan_together(own, context, &Actor::Shop, Before::Now, &|customer, at| {
                        let [ours, theirs] = customer.join_pool(ids, who, program, *allowance, at, definitions)?;
                        Ok((of_anyone(pool_deeds(program, ours)), theirs))
                    })
                    .await?;
                let ours = match ours {
                    Ok(ours) => ours,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let theirs = self.plan_member(asked, theirs, &ours.came, None).await?;
                Ok(theirs.map(|theirs| [(own, ours.plan, ours.events), theirs]))
            }
            PoolCommand::Leave { .. } => {
                let ours = self
                    .plan_together(own, context, &Actor::Shop, Before::Now, &|customer, at| {
                        let ([steps, quit], gift) = customer.leave_pool(ids, who, program, at, definitions)?;
                        let given = gift.iter().map(|gift| (None, Deed::PointsPosted(gift.given.clone())));
                        let deeds = of_anyone(pool_deeds(program, steps)).into_iter().chain(given).collect();
                        Ok((deeds, (quit, gift)))
                    })
                    .await?;
                let ours = match ours {
                    Ok(ours) => ours,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let (quit, gift) = &ours.came;
                let theirs = self.plan_member(asked, theirs, quit, gift.as_ref()).await?;
                Ok(theirs.map(|theirs| [(own, ours.plan, ours.events), theirs]))
            }
            PoolCommand::Contribute { points, reason, .. } => {
                let out = self
                    .plan_together(theirs, context, &Actor::Shop, Before::Now, &|customer, _| {
                        let (step, gift) = pool.contribute(ids, customer, program, *points, reason)?;
                        Ok((vec![(None, Deed::PointsPosted(gift.given.clone()))], (step, gift)))
                    })
                    .await?;
                let out = match out {
                    Ok(out) => out,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let (step, gift) = &out.came;
                let ours = self
                    .plan_together(own, context, &Actor::Shop, Before::Now, &|customer, at| {
                        let posting = customer.receive(gift, reason, [member, owner], at, definitions)?;
                        let moved = PoolMoved { program: program.clone(), step: step.clone() };
                        let deeds = vec![(Some(owner), Deed::PointsPosted(posting)), (None, Deed::PoolMoved(moved))];
                        Ok((deeds, ()))
                    })
                    .await?;
                Ok(ours.map(|ours| [(own, ours.plan, ours.events), (theirs, out.plan, out.events)]))
            }
            PoolCommand::Redeem { points, reason, .. } => {
                let ours = self
                    .plan_together(own, context, &Actor::Shop, Before::Now, &|customer, at| {
                        let spent = customer.spend_of_pool(ids, who, program, *points, reason, at, definitions)?;
                        let (posting, seat, counted) = spent;
                        let posted = Deed::PointsPosted(posting);
                        let first = id_of(customer, &posted, owner);
                        let told = spent_of_pool(program, seat, *points, counted, first);
                        Ok((vec![(None, posted), (None, told)], ()))
                    })
                    .await?;
                // What they spent is none of their own history, so that members do not wait for each other's rows.
                Ok(ours.map(|ours| [(own, ours.plan, ours.events), (theirs, None, Vec::new())]))
            }
            // Commands are added here with their own plan.
            other => Err(Error::corrupt(format!("a pool command that is not known: {other:?}"))),
        }
    }

    /// What is written of a member who comes or goes.
    async fn plan_member<'a>(
        &self,
        asked: &Asked<'_>,
        base: &'a Base,
        steps: &[PoolStep],
        gift: Option<&Gift>,
    ) -> Result<Result<(&'a Base, Option<Plan>, Vec<EventId>), Refusal>, Error> {
        let Asked { owner, member, program, definitions, context } = *asked;
        let reason = Remark::new("left the pool").map_err(Error::corrupt)?;
        let planned = self
            .plan_together(base, context, &Actor::Shop, Before::Now, &|customer, at| {
                let mut deeds = of_anyone(pool_deeds(program, steps.to_vec()));
                if let Some(gift) = gift {
                    let posting = customer.receive(gift, &reason, [owner, member], at, definitions)?;
                    deeds.push((Some(member), Deed::PointsPosted(posting)));
                }
                Ok((deeds, ()))
            })
            .await?;
        Ok(planned.map(|planned| (base, planned.plan, planned.events)))
    }
}

/// Under which id a deed will be recorded: of several parts the first.
fn id_of(customer: &Customer, deed: &Deed, through: CustomerId) -> EventId {
    let owner = match customer.is_merged() {
        true => customer.share(deed.clone(), through).first().map_or(through, |(member, _)| *member),
        false => customer.id(),
    };
    EventId::of_decision(owner, customer.decisions_of(owner))
}
