//! Shares of what members earn go to their pool, and come back from it when what had earned them does.

use crm_core::customer::ShareDue;
use crm_core::event::Deed;
use crm_core::workflow::Actor;
use crm_core::{CustomerId, Definitions, Remark, Timestamp};

use super::super::writing::Writing;
use super::super::{ATTEMPTS_MAX, Base, Crm};
use super::{Before, became_one};
use crate::error::Error;
use crate::plan::{Context, Deeds};

/// What one share is moved by.
struct Moving<'a> {
    due: &'a ShareDue,
    reason: &'a Remark,
    definitions: &'a Definitions,
    context: Context<'a>,
}

impl Crm {
    /// Moves what of one fact is due to go to a pool by an instant, or to come back from there, in one commit for both.
    /// Gives whether there was anything.
    pub(in crate::engine) async fn move_share(&self, of: CustomerId, until: Timestamp) -> Result<bool, Error> {
        let reason = Remark::new("share of the pool").map_err(Error::corrupt)?;
        for _ in 0..ATTEMPTS_MAX {
            let (member, definitions) = self.base(of).await?;
            let member = member.ok_or(Error::NoCustomer { customer: of })?;
            let Some(due) = member.customer.next_share().filter(|due| due.at <= until) else { return Ok(false) };
            let context = self.context(&definitions, self.now().max(due.at), false);
            let moving = Moving { due: &due, reason: &reason, definitions: &definitions, context };
            let pool = if member.customer.is(due.pool) { None } else { self.base(due.pool).await?.0 };
            if pool.as_ref().is_some_and(|pool| became_one(&member, pool)) {
                self.lost()?;
                continue;
            }
            let mut writing = Writing::default();
            if member.customer.share_back(&due).is_some() {
                self.bring_back(&moving, &member, pool.as_ref(), &mut writing).await?;
            } else {
                self.send(&moving, &member, pool.as_ref(), &mut writing).await?;
            }
            if self.try_settle(writing).await? {
                return Ok(true);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// What was earned for a pool goes there. It stays with the member if the pool's owner was erased, or is the member by
    /// now.
    async fn send(
        &self,
        &Moving { due, reason, context, .. }: &Moving<'_>,
        member: &Base,
        pool: Option<&Base>,
        writing: &mut Writing,
    ) -> Result<(), Error> {
        let pool = pool.filter(|pool| !pool.customer.is_erased());
        let goes = pool.is_some();
        let out = self
            .plan_together(member, context, &Actor::Rule, Before::Until(due.at), &|customer, at| {
                // It may have expired by now.
                let Some(gift) = customer.send_share(due, at) else { return Ok((Deeds::new(), None)) };
                let posting = if goes { Some(gift.given.clone()) } else { customer.keep_share(due, &gift) };
                let deeds = posting.map(|posting| (Some(due.member), Deed::PointsPosted(posting)));
                Ok((deeds.into_iter().collect(), Some(gift)))
            })
            .await??;
        if let (Some(pool), Some(gift)) = (pool, &out.came) {
            let into = self
                .plan_together(pool, context, &Actor::Rule, Before::Until(due.at), &|customer, _| {
                    let posting = customer.receive_share(due, gift, reason);
                    Ok((vec![(Some(due.pool), Deed::PointsPosted(posting))], ()))
                })
                .await??;
            if let Some(plan) = into.plan {
                self.write(writing, plan, pool).await?;
            }
        }
        if let Some(plan) = out.plan {
            self.write(writing, plan, member).await?;
        }
        Ok(())
    }

    /// What a pool has too much comes back, and is taken back.
    async fn bring_back(
        &self,
        &Moving { due, reason, definitions, context }: &Moving<'_>,
        member: &Base,
        pool: Option<&Base>,
        writing: &mut Writing,
    ) -> Result<(), Error> {
        let one = member.customer.is(due.pool);
        let theirs = self
            .plan_together(member, context, &Actor::Rule, Before::Until(due.at), &|customer, at| {
                let Some(back) = customer.share_back(due) else { return Ok((Deeds::new(), None)) };
                let given = one.then(|| (due.pool, customer.return_share(due, &back, reason, at, definitions)));
                let own = back.postings.iter().map(|posting| (due.member, posting.clone()));
                let deeds = given.into_iter().chain(own);
                Ok((deeds.map(|(id, posting)| (Some(id), Deed::PointsPosted(posting))).collect(), Some(back)))
            })
            .await??;
        // Of a member who was brought here from another store, the pool may not have been.
        if let (Some(pool), Some(back)) = (pool, &theirs.came) {
            let own = self
                .plan_together(pool, context, &Actor::Rule, Before::Until(due.at), &|customer, at| {
                    let posting = customer.return_share(due, back, reason, at, definitions);
                    Ok((vec![(Some(due.pool), Deed::PointsPosted(posting))], ()))
                })
                .await??;
            if let Some(plan) = own.plan {
                self.write(writing, plan, pool).await?;
            }
        }
        if let Some(plan) = theirs.plan {
            self.write(writing, plan, member).await?;
        }
        Ok(())
    }
}
