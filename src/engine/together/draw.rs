//! Draws: announced with a commitment, drawn with the seed, and awarded to all winners in one commit.

use std::collections::BTreeSet;

use crm_core::audit::{ActionName, AuditAction, AuditEntry};
use crm_core::event::Deed;
use crm_core::expression::Predicate;
use crm_core::loyalty::draw::winners;
use crm_core::loyalty::{
    AwardPoints, Draw, DrawError, DrawName, DrawWon, Entries, LoyaltyError, PointsBook, Seed, TogetherError,
};
use crm_core::workflow::Actor;
use crm_core::{CustomerId, Definition, Digest, Remark};
use crm_storage::CounterStep;
use serde::{Deserialize, Serialize};

use super::super::audit::by_shop;
use super::super::writing::Writing;
use super::super::{ATTEMPTS_MAX, Crm, PAGE};
use super::{Before, Finished, Once, refused};
use crate::error::Error;

/// Who takes part in a draw.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DrawEntries {
    /// These, with their tickets. Each is one person: whoever is there as two who were merged is refused.
    These(Entries),
    /// Everybody for whom a rule holds when it is drawn, with a ticket each; whoever was erased takes no part.
    Where(Predicate),
}

/// What was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// The winners, the first prize first, by the ids under which they took part.
    pub winners: Vec<CustomerId>,
    /// The digest of the entries.
    pub entries: Digest,
    /// How many took part.
    pub among: u64,
    /// Whether it had been drawn before, under the same key.
    pub replayed: bool,
}

/// The answer that is kept under a key.
#[derive(Serialize, Deserialize)]
struct Answer {
    winners: Vec<CustomerId>,
    entries: Digest,
    among: u64,
}

impl Answer {
    fn drawn(self, replayed: bool) -> Drawn {
        let Answer { winners, entries, among } = self;
        Drawn { winners, entries, among, replayed }
    }
}

impl Crm {
    /// Announces a draw, from now on: its prizes, and the commitment to the seed. It is noted in the audit log too, whose
    /// checkpoints show that it was announced before it was drawn. What was announced cannot be changed; the same again
    /// answers `false`.
    ///
    /// # Errors
    ///
    /// `Definition` if it is malformed, or if another draw of that name was announced; `Storage` if the store failed.
    pub async fn announce_draw(&self, name: &DrawName, draw: Draw) -> Result<bool, Error> {
        let now = self.now();
        if self.definitions().await?.draw(name, now) == Some(&draw) {
            return Ok(false);
        }
        let entry = noted("draw announced", name)?.with_text("commitment", &draw.commitment.to_string())?;
        let new = self.define(now, Definition::Draw(name.clone(), draw)).await?;
        if new {
            self.audit(entry).await?;
        }
        Ok(new)
    }

    /// Draws the winners, once: they follow from the seed and the entries [by a rule](crm_core::loyalty::draw) that
    /// anybody can check. Each winner's history says what they won and by what, with the points, and the audit log has
    /// seed and entries, all in one commit. Under the same key the same draw is answered alike; under another one it is
    /// refused.
    ///
    /// Costs a read of everybody who takes part.
    ///
    /// # Errors
    ///
    /// `Refused` with the reason, `NoCustomer` for an entry of nobody, `Predicate` if the rule exceeds a limit,
    /// `KeyReused`, `KeyLength`, `Storage` if the store failed, `Busy` if other writers were first each time.
    pub async fn draw(&self, name: &DrawName, entries: &DrawEntries, seed: &Seed, key: &str) -> Result<Drawn, Error> {
        let asked = match entries {
            DrawEntries::These(entries) => (Some(entries.digest()), None),
            DrawEntries::Where(rule) => (None, Some(rule)),
        };
        let once = Once::new(self.audit_stream, key, &("draw", name, asked, seed))?;
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let definitions = self.definitions_now().await?;
            let planned = match definitions.draw(name, now) {
                None => Err(refused(TogetherError::NoDraw { name: name.clone() })),
                Some(draw) if seed.commitment() != draw.commitment => Err(of_draw(DrawError::OtherSeed)),
                Some(draw) => match self.taking_part(entries).await? {
                    Ok(list) => match draw.opens(seed, &list) {
                        Ok(()) => Ok((draw, list)),
                        Err(error) => Err(of_draw(error)),
                    },
                    Err(refusal) => Err(refused(refusal)),
                },
            };
            let (draw, list) = match planned {
                Ok(planned) => planned,
                Err(refusal) => match self.finish_once::<Answer>(&once, Err(refusal)).await? {
                    Finished::Before(answer) => return Ok(answer.drawn(true)),
                    Finished::Done | Finished::Again | Finished::Limit => continue,
                },
            };
            let n = usize::try_from(draw.winners).unwrap_or(usize::MAX);
            let (won, digest, among) = (winners(seed, &list, n), list.digest(), list.list().len() as u64);
            let mut writing = Writing::default();
            let mut refusal = None;
            for (place, winner) in (1_u32..).zip(&won) {
                let (base, definitions) = self.base(*winner).await?;
                let base = base.ok_or(Error::NoCustomer { customer: *winner })?;
                let context = self.context(&definitions, now, false);
                let mine = list.list().binary_search_by_key(winner, |(id, _)| *id);
                let tickets = mine.ok().and_then(|at| list.list().get(at)).map_or(0, |(_, tickets)| *tickets);
                let told = DrawWon { draw: name.clone(), place, seed: *seed, entries: digest, among, tickets };
                let reason = Remark::new(name.as_str()).map_err(Error::corrupt)?;
                let award = AwardPoints { program: draw.program.clone(), points: draw.points, reason };
                let planned = self
                    .plan_together(&base, context, &Actor::Rule, Before::Now, &|customer, at| {
                        if customer.is_erased() {
                            return Err(TogetherError::Erased { customer: *winner }.into());
                        }
                        let none = || LoyaltyError::NoProgram { program: award.program.clone() };
                        let program = definitions.program(&award.program, at).ok_or_else(none)?;
                        let empty = PointsBook::default();
                        let book = customer.book_of(*winner, &award.program).unwrap_or(&empty);
                        let tier = customer.standing().tier(&award.program);
                        let posting = award.decide(book, program, tier, at)?;
                        let deeds = [Deed::DrawWon(told.clone()), Deed::PointsPosted(posting)];
                        Ok((deeds.into_iter().map(|deed| (Some(*winner), deed)).collect(), ()))
                    })
                    .await?;
                match planned {
                    Ok(planned) => {
                        if let Some(plan) = planned.plan {
                            self.write(&mut writing, plan, &base).await?;
                        }
                    }
                    Err(refused) => refusal = refusal.or(Some(refused)),
                }
            }
            writing.commit.counters.push(CounterStep { name: format!("draw:{name}").into(), by: 1, limit: 1 });
            let entry = noted("drawn", name)?
                .with_text("seed", &hex(seed))?
                .with_text("entries", &digest.to_string())?
                .with_number("among", i64::try_from(among).unwrap_or(i64::MAX))?
                .with_number("winners", i64::try_from(won.len()).unwrap_or(i64::MAX))?;
            let answer = Answer { winners: won, entries: digest, among };
            writing.note([entry]);
            let planned = match refusal {
                Some(refusal) => Err(refusal),
                None => Ok((writing, &answer)),
            };
            match self.finish_once(&once, planned).await? {
                Finished::Done => return Ok(answer.drawn(false)),
                Finished::Before(answer) => return Ok(answer.drawn(true)),
                Finished::Again => {}
                Finished::Limit => return Err(refused(TogetherError::Drawn { name: name.clone() }).into()),
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Who takes part, each person once.
    async fn taking_part(&self, entries: &DrawEntries) -> Result<Result<Entries, TogetherError>, Error> {
        match entries {
            DrawEntries::These(entries) => {
                let ids: Vec<CustomerId> = entries.list().iter().map(|(id, _)| *id).collect();
                let mut people = BTreeSet::new();
                for page in ids.chunks(PAGE) {
                    let loaded = self.store().load(&self.tenant, page).await?;
                    let definitions = self.definitions_at(loaded.definitions).await?;
                    for (id, row) in page.iter().zip(loaded.rows) {
                        let row = row.filter(|_| self.is_customer(*id));
                        let row = row.ok_or(Error::NoCustomer { customer: *id })?;
                        let base = self.whole(self.decode(&row, &definitions).await?, &definitions).await?;
                        if base.customer.is_erased() {
                            return Ok(Err(TogetherError::Erased { customer: *id }));
                        }
                        if !people.insert(base.customer.id()) {
                            return Ok(Err(DrawError::Twice { customer: *id }.into()));
                        }
                    }
                }
                Ok(Ok(entries.clone()))
            }
            DrawEntries::Where(rule) => {
                let mut list = Vec::new();
                let mut after = None;
                loop {
                    let page = self.select(rule, after, PAGE).await?;
                    let loaded = self.store().load(&self.tenant, &page.customers).await?;
                    let definitions = self.definitions_at(loaded.definitions).await?;
                    for row in loaded.rows.into_iter().flatten() {
                        let customer = self.decode(&row, &definitions).await?.customer;
                        if !customer.is_erased() && customer.merged_into().is_none() {
                            list.push((customer.id(), 1));
                        }
                    }
                    after = page.next;
                    if after.is_none() {
                        return Ok(Entries::new(list).map_err(TogetherError::from));
                    }
                }
            }
        }
    }
}

fn of_draw(error: DrawError) -> crm_core::customer::Refusal {
    refused(TogetherError::Draw(error))
}

fn noted(what: &str, draw: &DrawName) -> Result<AuditEntry, Error> {
    let action = AuditAction::Other(ActionName::new(what).map_err(Error::corrupt)?);
    Ok(AuditEntry::new(by_shop()?, action).with_text("draw", draw.as_str())?)
}

fn hex(seed: &Seed) -> String {
    Digest::from_bytes(*seed.as_bytes()).to_string()
}
