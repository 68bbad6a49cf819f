//! Commands: requests that may be refused, and that are carried out once.

use crm_core::change::Change;
use crm_core::customer::{Command, Refusal};
use crm_core::event::JsonProblem;
use crm_core::loyalty::LoyaltyError;
use crm_core::{CustomerId, Digest, EventId};
use crm_storage::{Commit, CommitError, CustomerWrite, Expected, IdempotencyKey, Request, Version};
use serde::{Deserialize, Serialize};

use super::voucher::{FoundVoucher, VoucherAsked};
use super::{ATTEMPTS_MAX, Crm, Settled};
use crate::error::Error;
use crate::plan::{Need, Plan, Planner};

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
        let body = serde_json::to_vec(&command).map_err(Error::corrupt)?;
        self.carry_out(customer, &Asked::Command(command), &body, key).await
    }

    /// Carries out what was asked for, once under a key; `body` is what the key stands for.
    pub(super) async fn carry_out(
        &self,
        customer: CustomerId,
        asked: &Asked,
        body: &[u8],
        key: &str,
    ) -> Result<Executed, Error> {
        let key = IdempotencyKey::new(key).ok_or(Error::KeyLength { bytes: key.len() })?;
        let digest = Digest::of(body);
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(customer).await?;
            let base = base.ok_or(Error::NoCustomer { customer })?;
            let context = self.context(&definitions, now, false);
            let found = match asked {
                Asked::Command(_) => None,
                Asked::Voucher(asked) => Some(Box::pin(self.find_voucher(asked.voucher, &base.customer)).await?),
            };
            let planned = self.plan(context, &base, |planner| decide(planner, asked, found.as_ref())).await?;
            let request = |events: &[EventId]| request(customer, &key, digest, events);
            let (writing, answer) = match planned {
                Ok((events, plan)) => {
                    let (mut writing, changes) = match plan {
                        Some(plan) => self.written(plan, &base).await?,
                        None => Default::default(),
                    };
                    writing.commit.request = Some(request(&events)?);
                    (writing, Ok(Executed { events, replayed: false, changes }))
                }
                // A refusal may be a second try after a success whose answer was lost: the key tells. It is
                // looked up by a commit that expects a version that never was, so that nothing is written.
                Err(refusal) => {
                    let probe = CustomerWrite::scores(customer, Expected::At(Version(0)), Vec::new());
                    let probe = Commit { request: Some(request(&[])?), writes: vec![probe], ..Commit::default() };
                    (probe.into(), Err(refusal))
                }
            };
            match (self.settle(writing).await?, answer) {
                (Settled::Replayed(answer), _) => {
                    let answer: Answer = serde_json::from_slice(&answer)
                        .map_err(|e| Error::corrupt(format!("an answer: {}", JsonProblem::from(&e))))?;
                    return Ok(Executed { events: answer.events, replayed: true, changes: Vec::new() });
                }
                (Settled::Done, Ok(executed)) => return Ok(executed),
                (Settled::Refused(CommitError::KeyReused), _) => return Err(Error::KeyReused),
                (Settled::Refused(CommitError::CounterLimit { name, limit, .. }), _) => {
                    return Err(match LoyaltyError::of_counter(&name, limit) {
                        Some(refusal) => Error::Refused(refusal.into()),
                        None => Error::corrupt(format!("a counter {name} that nothing counts by")),
                    });
                }
                (Settled::Refused(CommitError::Conflict { .. }), Err(refusal)) => return Err(refusal.into()),
                // As well when somebody else used the voucher, or it was blocked, meanwhile.
                (Settled::Refused(error), Ok(_)) if error.is_lost_race() => self.lost()?,
                (Settled::Refused(error), _) => return Err(Error::corrupt(error)),
                (Settled::Done, Err(refusal)) => return Err(refusal.into()),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }
}

/// The request under which a customer's decisions are made once.
pub(super) fn request(
    customer: CustomerId,
    key: &IdempotencyKey,
    digest: Digest,
    events: &[EventId],
) -> Result<Request, Error> {
    let answer = serde_json::to_vec(&Answer { events: events.to_vec() }).map_err(Error::corrupt)?;
    Ok(Request { customer, key: key.clone(), digest, answer })
}

type Decided = Result<(Vec<EventId>, Option<Plan>), Refusal>;

fn decide(mut planner: Planner<'_>, asked: &Asked, found: Option<&FoundVoucher>) -> Result<Decided, Need> {
    let decided = match (asked, found) {
        (Asked::Command(command), _) => planner.command(command.clone())?,
        (Asked::Voucher(asked), found) => {
            planner.decide_by(|customer, _, at, definitions| asked.decide(found, customer, at, definitions))?
        }
    };
    Ok(decided.map(|events| (events, planner.finish())))
}

/// What is asked for.
pub(super) enum Asked {
    Command(Command),
    /// A use of a voucher by its code.
    Voucher(VoucherAsked),
}
