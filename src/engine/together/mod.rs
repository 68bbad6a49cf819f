//! What customers do together: gifts, pools, referrals and draws. Each is one commit that writes all of them.

mod draw;
mod gift;
mod pool;
mod referral;
mod share;

use crm_core::change::Change;
use crm_core::customer::{Customer, Refusal};
use crm_core::event::JsonProblem;
use crm_core::loyalty::TogetherError;
use crm_core::workflow::Actor;
use crm_core::{CustomerId, Definitions, Digest, EventId, Timestamp};
use crm_storage::{Commit, CommitError, CustomerWrite, Expected, IdempotencyKey, Request, Version};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use draw::{DrawEntries, Drawn};

use super::writing::Writing;
use super::{Base, Crm, Settled};
use crate::error::Error;
use crate::plan::{Before, Context, Decided, Plan, Prepared};

/// What became of something that two customers do together.
#[derive(Debug, Clone, PartialEq)]
pub struct DoneTogether {
    /// The decisions about either, in the order in which the two were named; none if it was so already.
    pub events: [Vec<EventId>; 2],
    /// Whether it had been done before, under the same key.
    pub replayed: bool,
    /// What moved this time for either.
    pub changes: [Vec<Change>; 2],
}

/// The answer that is kept under a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    events: [Vec<EventId>; 2],
}

/// A request that is carried out once.
struct Once {
    customer: CustomerId,
    key: IdempotencyKey,
    digest: Digest,
}

impl Once {
    /// One that is known by its key among those of a customer, and by all that was asked for.
    fn new(customer: CustomerId, key: &str, asked: &impl Serialize) -> Result<Self, Error> {
        let key = IdempotencyKey::new(key).ok_or(Error::KeyLength { bytes: key.len() })?;
        let body = serde_json::to_vec(asked).map_err(Error::corrupt)?;
        Ok(Once { customer, key, digest: Digest::of(&body) })
    }

    fn request(&self, answer: &impl Serialize) -> Result<Request, Error> {
        let answer = serde_json::to_vec(answer).map_err(Error::corrupt)?;
        Ok(Request { customer: self.customer, key: self.key.clone(), digest: self.digest, answer })
    }
}

/// What a commit of a request came to.
enum Finished<T> {
    Done,
    /// It was carried out before.
    Before(T),
    /// Another writer was first.
    Again,
    /// A counter stands at its limit.
    Limit,
}

/// What is planned for either, and what it was planned on.
type Both<'a> = Result<[(&'a Base, Option<Plan>, Vec<EventId>); 2], Refusal>;

/// What is planned for one of them.
struct Planned<T> {
    events: Vec<EventId>,
    plan: Option<Plan>,
    came: T,
    /// Whether all was taken in that was told with it.
    told: bool,
}

impl Crm {
    /// Two customers who are to do something together, and who are not one.
    async fn two(&self, [one, other]: [CustomerId; 2]) -> Result<Result<(Base, Base, Definitions2), Refusal>, Error> {
        let first = self.base(one).await?.0.ok_or(Error::NoCustomer { customer: one })?;
        if first.customer.is(other) {
            return Ok(Err(refused(TogetherError::WithThemself { customer: other })));
        }
        let (second, definitions) = self.base(other).await?;
        let second = second.ok_or(Error::NoCustomer { customer: other })?;
        Ok(Ok((first, second, definitions)))
    }

    /// Plans one side, with the customer's history if it takes that.
    async fn plan_together<T>(
        &self,
        base: &Base,
        context: Context<'_>,
        by: &Actor,
        before: Before,
        decide: &(dyn Fn(&Customer, Timestamp) -> Decided<T> + Sync),
    ) -> Result<Result<Planned<T>, Refusal>, Error>
    where
        T: Send,
    {
        self.plan_and_tell(base, context, by, before, &[], decide).await
    }

    /// The same, and records one side of a tie with it, and what comes with that through certain members.
    async fn plan_and_tell<T>(
        &self,
        base: &Base,
        context: Context<'_>,
        by: &Actor,
        before: Before,
        told: &[(CustomerId, Prepared)],
        decide: &(dyn Fn(&Customer, Timestamp) -> Decided<T> + Sync),
    ) -> Result<Result<Planned<T>, Refusal>, Error>
    where
        T: Send,
    {
        let planned = self.plan(context, base, |planner| {
            let mut planner = if told.is_empty() { planner } else { planner.writing_both_sides() };
            let decided = planner.decide_and_tell(by, before, told, decide)?;
            Ok(decided.map(|(events, (came, told))| Planned { events, plan: planner.finish(), came, told }))
        });
        planned.await
    }

    /// Commits a request, or finds out whether it was carried out before it was refused.
    async fn finish_once<T: Serialize + DeserializeOwned>(
        &self,
        once: &Once,
        planned: Result<(Writing, &T), Refusal>,
    ) -> Result<Finished<T>, Error> {
        let (writing, refusal) = match planned {
            Ok((mut writing, answer)) => {
                writing.commit.request = Some(once.request(answer)?);
                (writing, None)
            }
            // The key is looked up by a commit that expects a version that never was, so that nothing is written.
            Err(refusal) => {
                let probe = CustomerWrite::scores(once.customer, Expected::At(Version(0)), Vec::new());
                let request = Some(once.request(&())?);
                (Commit { request, writes: vec![probe], ..Commit::default() }.into(), Some(refusal))
            }
        };
        match (self.settle(writing).await?, refusal) {
            (Settled::Replayed(answer), _) => {
                let answer = serde_json::from_slice(&answer)
                    .map_err(|e| Error::corrupt(format!("an answer: {}", JsonProblem::from(&e))))?;
                Ok(Finished::Before(answer))
            }
            (Settled::Refused(CommitError::KeyReused), _) => Err(Error::KeyReused),
            (Settled::Refused(CommitError::Conflict { .. }) | Settled::Done, Some(refusal)) => Err(refusal.into()),
            (Settled::Done, None) => Ok(Finished::Done),
            (Settled::Refused(CommitError::CounterLimit { .. }), None) => Ok(Finished::Limit),
            (Settled::Refused(error), None) if error.is_lost_race() => {
                self.lost()?;
                Ok(Finished::Again)
            }
            (Settled::Refused(error), _) => Err(Error::corrupt(error)),
        }
    }

    /// Commits what is planned for two. None means that another writer was first.
    async fn finish_two(&self, once: &Once, planned: Both<'_>) -> Result<Option<DoneTogether>, Error> {
        self.finish_two_and(once, Writing::default(), planned).await
    }

    /// The same with what else belongs to it.
    async fn finish_two_and(
        &self,
        once: &Once,
        mut writing: Writing,
        planned: Both<'_>,
    ) -> Result<Option<DoneTogether>, Error> {
        let (mut events, mut changes) = <([Vec<EventId>; 2], [Vec<Change>; 2])>::default();
        let planned = match planned {
            Ok(both) => {
                for ((base, plan, own), (events, changes)) in both.into_iter().zip(events.iter_mut().zip(&mut changes))
                {
                    *events = own;
                    if let Some(plan) = plan {
                        *changes = self.write(&mut writing, plan, base).await?;
                    }
                }
                Ok(writing)
            }
            Err(refusal) => Err(refusal),
        };
        let answer = Answer { events };
        match self.finish_once(once, planned.map(|writing| (writing, &answer))).await? {
            Finished::Done => Ok(Some(DoneTogether { events: answer.events, replayed: false, changes })),
            Finished::Before(Answer { events }) => {
                Ok(Some(DoneTogether { events, replayed: true, changes: Default::default() }))
            }
            Finished::Again => Ok(None),
            Finished::Limit => Err(Error::corrupt("a counter that nobody moved")),
        }
    }
}

/// The definitions that two customers were read under.
type Definitions2 = std::sync::Arc<Definitions>;

fn refused(why: TogetherError) -> Refusal {
    Refusal::Loyalty(why.into())
}

/// Whether two who were read one after the other have become one meanwhile.
fn became_one(one: &Base, other: &Base) -> bool {
    other.customer.members().any(|member| one.customer.is(member))
}
