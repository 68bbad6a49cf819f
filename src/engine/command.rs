//! Commands: requests that may be refused, and that are carried out once.

use crm_core::change::Change;
use crm_core::customer::Command;
use crm_core::event::JsonProblem;
use crm_core::loyalty::{ClaimCoupon, LoyaltyError};
use crm_core::{CustomerId, Digest, EventId};
use crm_storage::{Commit, CommitError, CustomerWrite, Expected, IdempotencyKey, Request, Version};
use serde::{Deserialize, Serialize};

use super::{ATTEMPTS_MAX, Crm, Settled};
use crate::error::Error;
use crate::plan::{NeedHistory, Plan, Planner};

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed {
    /// The decisions it led to; none if it was so already.
    pub events: Vec<EventId>,
    /// Whether it had been carried out before, under the same key.
    pub replayed: bool,
    /// What moved this time.
    pub changes: Vec<Change>,
}

/// The answer that is kept under a key.
#[derive(Serialize, Deserialize)]
struct Answer {
    events: Vec<EventId>,
}

impl Crm {
    /// Carries out a command. What was due for the customer before is worked off first. Under the same
    /// key the same command is carried out once, however often it is sent, and answered alike.
    ///
    /// ```
    /// use crm::{AwardPoints, Command, Crm, Currency, Definition, Identifier, Incoming, Program, ProgramId};
    /// use crm::{Channel, Source, Timestamp, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let points = ProgramId::new("points")?;
    /// let program = Definition::Program(points.clone(), Some(Program::point_per_unit(Currency::EUR)));
    /// crm.define(Timestamp::parse("2020-01-01")?, program).await?;
    /// let ana = Identifier::email("ana@example.com")?;
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// let ana = crm.record(Incoming::new(&ana, crm.now(), Source::new("shop")?, visit)).await?.customer;
    ///
    /// let award = Command::AwardPoints(AwardPoints { program: points.clone(), points: 50, reason: "welcome".parse()? });
    /// assert!(!crm.execute(ana, award.clone(), "welcome-ana").await?.replayed);
    /// assert!(crm.execute(ana, award, "welcome-ana").await?.replayed);
    /// let customer = crm.customer(ana).await?.expect("recorded above");
    /// assert_eq!(customer.book(&points).map(|book| book.balance()), Some(50));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Refused` with the reason, `NoCustomer`, `KeyReused` if the key was used for another command,
    /// `KeyLength` unless the key has 1 to 255 bytes, `Storage` if the store failed.
    #[tracing::instrument(level = "debug", skip_all, fields(tenant = %self.tenant, command = command.name()))]
    pub async fn execute(&self, customer: CustomerId, command: Command, key: &str) -> Result<Executed, Error> {
        let key = IdempotencyKey::new(key).ok_or(Error::KeyLength { bytes: key.len() })?;
        let body = serde_json::to_vec(&command).map_err(Error::corrupt)?;
        let digest = Digest::of(&body);
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer })?;
            let context = self.context(&definitions, now, false);
            let planned = decide(Planner::new(context, base.customer.clone(), None).through(base.through), &command);
            let planned = match planned {
                Ok(planned) => planned,
                Err(NeedHistory) => {
                    let history = self.whole_history(&base.customer).await?;
                    decide(Planner::new(context, base.customer, Some(&history)).through(base.through), &command)
                        .map_err(|_| Error::corrupt("a plan that wants more than the whole history"))?
                }
            };
            let request = |events: &[EventId]| -> Result<Request, Error> {
                let answer = serde_json::to_vec(&Answer { events: events.to_vec() }).map_err(Error::corrupt)?;
                Ok(Request { customer, key: key.clone(), digest, answer })
            };
            let (commit, answer) = match planned {
                Ok((events, mut plan)) => {
                    if let Some(plan) = &mut plan {
                        self.lead_on(plan).await?;
                    }
                    let (mut commit, changes) =
                        plan.map(|plan| plan.into_commit(base.expected, &base.others)).unwrap_or_default();
                    commit.request = Some(request(&events)?);
                    (commit, Ok(Executed { events, replayed: false, changes }))
                }
                // A refusal may be a second try after a success whose answer was lost: the key tells. It is
                // looked up by a commit that expects a version that never was, so that nothing is written.
                Err(refusal) => {
                    let probe = CustomerWrite::scores(customer, Expected::At(Version(0)), Vec::new());
                    let probe = Commit { request: Some(request(&[])?), writes: vec![probe], ..Commit::default() };
                    (probe, Err(refusal))
                }
            };
            match (self.settle(commit).await?, answer) {
                (Settled::Replayed(answer), _) => {
                    let answer: Answer = serde_json::from_slice(&answer)
                        .map_err(|e| Error::corrupt(format!("an answer: {}", JsonProblem::from(&e))))?;
                    return Ok(Executed { events: answer.events, replayed: true, changes: Vec::new() });
                }
                (Settled::Done, Ok(executed)) => return Ok(executed),
                (Settled::Refused(CommitError::KeyReused), _) => return Err(Error::KeyReused),
                (Settled::Refused(CommitError::CounterLimit { .. }), _) => return Err(used_up(command)),
                (Settled::Refused(CommitError::Conflict { .. }), Err(refusal)) => return Err(refusal.into()),
                (Settled::Refused(CommitError::Conflict { .. }), Ok(_)) => self.lost()?,
                (Settled::Refused(error), _) => return Err(Error::corrupt(error)),
                (Settled::Done, Err(refusal)) => return Err(refusal.into()),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }
}

/// Only coupons are counted across customers.
fn used_up(command: Command) -> Error {
    let name = command.name();
    let Command::ClaimCoupon(ClaimCoupon { coupon, uses }) = command else {
        return Error::corrupt(format!("{name} moved a counter"));
    };
    Error::Refused(LoyaltyError::CouponUsedUp { coupon, uses }.into())
}

type Decided = Result<(Vec<EventId>, Option<Plan>), crm_core::customer::Refusal>;

fn decide(mut planner: Planner<'_>, command: &Command) -> Result<Decided, NeedHistory> {
    Ok(planner.command(command.clone())?.map(|events| (events, planner.finish())))
}
