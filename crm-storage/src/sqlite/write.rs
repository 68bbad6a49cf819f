//! How a commit becomes statements.
//!
//! Versions, requests and counters are judged by reading. Event ids and claims are judged by inserting
//! them, since the index that finds a duplicate is the one that the row goes into, and looking first
//! would descend it twice. A commit refused at that point has only inserted entries at the end and
//! claims that nobody had; these are taken out again. Everything else is written after the last
//! judgement, and cannot be refused. So no commit needs a savepoint, which would copy each page that it
//! changes.

use std::collections::BTreeMap;

use crm_core::{Alarm, SetKey, Source, TenantId, Timestamp};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};

use super::column::{Columns, damaged};
use super::fault::Fault;
use super::session::{Session, Statements};
use crate::commit::{
    AlarmMove, Appended, Claim, ClaimKey, Commit, Committed, CounterStep, CustomerWrite, Expected, GivenUp,
    OutboxEntry, PersonalMove, Release, Request, Token, Traits, Version,
};
use crate::error::CommitError;
use crate::row::{ChangeRow, ClaimOwner, EventRow, ScoreRow, StateRow};

/// A refusal is an answer about one commit; a fault ends the transaction.
type Judged<T> = Result<Result<T, CommitError>, Fault>;

/// Passes a refusal on.
macro_rules! granted {
    ($judged:expr) => {
        match $judged {
            Ok(granted) => granted,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
}

impl Session<'_> {
    /// Applies commits in order, each judged on what the ones before it left.
    pub(super) fn commit(
        &mut self,
        tenant: &TenantId,
        commits: &[Commit],
    ) -> Result<Vec<Result<Committed, CommitError>>, Fault> {
        let tenant = self.tenant_or_new(tenant)?;
        let (connection, statements) = (self.connection, &mut self.statements);
        let mut tables = Tables { tenant, connection, statements, tokens: BTreeMap::new() };
        let judged = commits.iter().map(|commit| tables.commit(commit)).collect::<Result<_, _>>()?;
        tables.add_tokens()?;
        Ok(judged)
    }
}

/// The rows of one tenant.
struct Tables<'s, 'c, 'a> {
    tenant: i64,
    connection: &'c Connection,
    statements: &'s mut Statements<'c>,
    /// What customers are to be found by from now on. All of a call are written at its end, in the order of the
    /// table: they are hashes, and one customer's lie on as many pages as there are of them.
    tokens: BTreeMap<[u8; 16], &'a [Token]>,
}

/// What a commit has inserted so far, for the case that it is refused.
#[derive(Default)]
struct Inserted<'a> {
    entries: i64,
    claims: Vec<&'a Claim>,
    released: Vec<Claim>,
}

/// A value that is bound as it is.
struct Bound<'a>(ToSqlOutput<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.clone())
    }
}

/// Sets as they are kept: each with the separator before and after it, so that one can be found exactly.
/// None for no sets.
fn joined(sets: &[SetKey]) -> Option<String> {
    if sets.is_empty() {
        return None;
    }
    let mut text = String::from(SEPARATOR);
    for set in sets {
        text.push_str(set.as_str());
        text.push(SEPARATOR);
    }
    Some(text)
}

/// No set has it in its name: it is a control character.
pub(super) const SEPARATOR: char = '\u{1f}';

impl<'a> Tables<'_, '_, 'a> {
    fn commit(&mut self, commit: &'a Commit) -> Judged<Committed> {
        granted!(commit.check());
        if let Some(request) = &commit.request
            && let Some(answer) = granted!(self.answered(request)?)
        {
            return Ok(Ok(Committed::Replayed { answer }));
        }
        let mut versions = Vec::with_capacity(commit.writes.len());
        for write in &commit.writes {
            versions.push(granted!(self.judge_version(write)?));
        }
        granted!(self.insert_or_undo(commit)?);
        for (write, version) in commit.writes.iter().zip(&mut versions) {
            *version = self.write(write, *version)?;
        }
        commit.outbox.iter().try_for_each(|entry| self.add_outbox(entry))?;
        commit.dead_letters.iter().try_for_each(|letter| self.add_dead(letter))?;
        commit.request.iter().try_for_each(|request| self.add_request(request))?;
        Ok(Ok(Committed::Done { versions }))
    }

    fn answered(&mut self, request: &Request) -> Judged<Option<Vec<u8>>> {
        let mut rows = self.statements.request()?.query(params![
            self.tenant,
            &request.customer.as_uuid().as_bytes()[..],
            request.key.as_str()
        ])?;
        let Some(row) = rows.next()? else { return Ok(Ok(None)) };
        let mut columns = Columns::of(row);
        let (digest, answer) = (columns.digest()?, columns.bytes()?);
        Ok(if digest == request.digest { Ok(Some(answer)) } else { Err(CommitError::KeyReused) })
    }

    /// The version of a write's customer, 0 for a new one.
    fn judge_version(&mut self, write: &CustomerWrite) -> Judged<Version> {
        let id = write.customer.as_uuid().as_bytes();
        let actual = self
            .statements
            .version()?
            .query_row(params![self.tenant, &id[..]], |row| row.get::<_, i64>(0))
            .optional()?
            .map(|version| u64::try_from(version).map(Version).map_err(|_| damaged("a negative version")))
            .transpose()?;
        let expected = match write.expected {
            Expected::New => None,
            Expected::At(version) => Some(version),
        };
        if actual != expected {
            return Ok(Err(CommitError::Conflict { customer: write.customer, actual }));
        }
        Ok(Ok(actual.unwrap_or(Version(0))))
    }

    /// Inserts what judges itself and moves the counters. If any of it is refused, nothing is left of it.
    fn insert_or_undo(&mut self, commit: &'a Commit) -> Judged<()> {
        let mut done = Inserted::default();
        let refusal = match self.insert(commit, &mut done)? {
            Ok(()) => return Ok(Ok(())),
            Err(refusal) => refusal,
        };
        if done.entries > 0 {
            // Only this transaction writes, so the entries stand one after the other at the end.
            let last = self.connection.last_insert_rowid();
            self.statements.drop_last_entries()?.execute([last - done.entries])?;
        }
        for Claim { key, .. } in done.claims {
            self.drop_claim(key)?;
        }
        for claim in done.released {
            self.add_claim(&claim)?;
        }
        Ok(Err(refusal))
    }

    fn insert(&mut self, commit: &'a Commit, done: &mut Inserted<'a>) -> Judged<()> {
        for write @ CustomerWrite { customer, events, .. } in &commit.writes {
            if !write.changes_after.is_empty() {
                granted!(self.add_history(write, done)?);
                continue;
            }
            for event in events {
                if !self.add_event(customer.as_uuid().as_bytes(), event)? {
                    return Ok(Err(CommitError::EventExists { customer: *customer, event: event.id }));
                }
                done.entries += 1;
            }
        }
        for Release { key, customer } in &commit.releases {
            match self.owner(key)? {
                Some(owner) if owner.customer == *customer => {
                    self.drop_claim(key)?;
                    done.released.push(Claim { key: key.clone(), customer: *customer, event: owner.event });
                }
                _ => return Ok(Err(CommitError::NotOwned { key: key.clone(), customer: *customer })),
            }
        }
        for claim in &commit.claims {
            if self.add_claim(claim)? {
                done.claims.push(claim);
            } else {
                granted!(self.judge_owner(claim)?);
            }
        }
        let values = granted!(self.judge_counters(&commit.counters)?);
        for (name, value) in values {
            self.statements.put_counter()?.execute(params![self.tenant, name, value])?;
        }
        Ok(Ok(()))
    }

    /// Appends events with the changes that stand between them.
    fn add_history(&mut self, write: &CustomerWrite, done: &mut Inserted<'a>) -> Judged<()> {
        let customer = write.customer.as_uuid().as_bytes();
        for appended in write.appended() {
            match appended {
                Appended::Event(event) if !self.add_event(customer, event)? => {
                    return Ok(Err(CommitError::EventExists { customer: write.customer, event: event.id }));
                }
                Appended::Event(_) => {}
                Appended::Change(change) => self.add_change(customer, change)?,
            }
            done.entries += 1;
        }
        Ok(Ok(()))
    }

    /// Whether it was not there yet.
    fn add_event(&mut self, customer: &[u8; 16], event: &EventRow) -> Result<bool, Fault> {
        let added = self.statements.add_event()?.execute(params![
            self.tenant,
            &customer[..],
            &event.id.as_uuid().as_bytes()[..],
            event.at.as_millis(),
            event.recorded_at.as_millis(),
            event.kind.as_str(),
            event.shape,
            event.source.as_ref().map(Source::as_str),
            event.cause.as_ref().map(|cause| &cause.as_uuid().as_bytes()[..]),
            event.body
        ])?;
        Ok(added == 1)
    }

    /// Whether nobody had it.
    fn add_claim(&mut self, claim: &Claim) -> Result<bool, Fault> {
        let added = self.statements.add_claim()?.execute(params![
            self.tenant,
            claim.key.kind.as_str(),
            claim.key.key,
            &claim.customer.as_uuid().as_bytes()[..],
            &claim.event.as_uuid().as_bytes()[..]
        ])?;
        Ok(added == 1)
    }

    /// Judges a claim on a key that somebody has.
    fn judge_owner(&mut self, claim: &Claim) -> Judged<()> {
        let owner = self.owner(&claim.key)?.ok_or_else(|| damaged("a claim that is there and is not"))?;
        let same = owner == (ClaimOwner { customer: claim.customer, event: claim.event });
        Ok(if same { Ok(()) } else { Err(CommitError::Claimed { key: claim.key.clone(), owner }) })
    }

    fn owner(&mut self, key: &ClaimKey) -> Result<Option<ClaimOwner>, Fault> {
        let mut rows = self.statements.owner()?.query(params![self.tenant, key.kind.as_str(), key.key])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut columns = Columns::of(row);
        Ok(Some(ClaimOwner { customer: columns.customer()?, event: columns.event()? }))
    }

    fn drop_claim(&mut self, key: &ClaimKey) -> Result<(), Fault> {
        self.statements.drop_claim()?.execute(params![self.tenant, key.kind.as_str(), key.key])?;
        Ok(())
    }

    /// Where the counters will stand; steps of one counter add up.
    fn judge_counters<'n>(&mut self, steps: &'n [CounterStep]) -> Judged<BTreeMap<&'n str, i64>> {
        let mut values = BTreeMap::new();
        for CounterStep { name, by, limit } in steps {
            let before = match values.get(name.as_str()) {
                Some(&value) => value,
                None => self.counter(name)?,
            };
            let value = i128::from(before) + i128::from(*by);
            match i64::try_from(value) {
                Ok(moved) if (0..=*limit).contains(&moved) => values.insert(name.as_str(), moved),
                _ => return Ok(Err(CommitError::CounterLimit { name: name.clone(), value, limit: *limit })),
            };
        }
        Ok(Ok(values))
    }

    fn counter(&mut self, name: &str) -> Result<i64, Fault> {
        let value = self.statements.counter()?.query_row(params![self.tenant, name], |row| row.get(0)).optional()?;
        Ok(value.unwrap_or(0))
    }

    /// Writes what can no longer be refused; gives the version afterwards.
    fn write(&mut self, write: &'a CustomerWrite, before: Version) -> Result<Version, Fault> {
        let customer = write.customer.as_uuid().as_bytes();
        let version = match &write.state {
            Some(state) => self.put_state(customer, before, state, &write.traits)?,
            None => before,
        };
        if write.changes_after.is_empty() {
            write.changes.iter().try_for_each(|change| self.add_change(customer, change))?;
        }
        for gone in &write.scores_gone {
            let (plugin, output) = (gone.plugin.as_str(), gone.output.as_str());
            let key = params![self.tenant, &customer[..], plugin, output, gone.at.as_millis()];
            self.statements.drop_score()?.execute(key)?;
        }
        write.scores.iter().try_for_each(|score| self.put_score(customer, score))?;
        write.personal.iter().try_for_each(|moved| self.move_personal(customer, moved))?;
        match write.alarm {
            Some(AlarmMove { from, to }) if from != to => self.move_alarm(customer, from, to)?,
            _ => {}
        }
        Ok(version)
    }

    fn put_state(
        &mut self,
        customer: &[u8; 16],
        before: Version,
        state: &StateRow,
        traits: &Traits,
    ) -> Result<Version, Fault> {
        let after = before.0 + 1;
        let version = i64::try_from(after).map_err(|_| damaged("a version past every count"))?;
        let bytes = |bytes| Bound(ToSqlOutput::Borrowed(ValueRef::Blob(bytes)));
        let number = |number| Bound(ToSqlOutput::Owned(Value::Integer(number)));
        let numbers = traits.columns.values().map(|value| Bound(ToSqlOutput::Owned(value.into())));
        let sets = Bound(ToSqlOutput::Owned(joined(&traits.sets).into()));
        let row =
            [number(self.tenant), bytes(customer), number(version), number(state.shape.into()), bytes(&state.bytes)];
        let row = params_from_iter(row.into_iter().chain([sets]).chain(numbers));
        let new = before == Version(0);
        let put = if new { self.statements.add_customer()? } else { self.statements.set_customer()? };
        match put.execute(row)? {
            1 => Ok(Version(after)),
            _ => Err(damaged("a customer who is there and is not")),
        }
    }

    fn move_personal(&mut self, customer: &[u8; 16], moved: &'a PersonalMove) -> Result<(), Fault> {
        if let Some(key) = &moved.key {
            self.statements.put_person_key()?.execute(params![self.tenant, &customer[..], key])?;
        }
        for (field, value) in &moved.fields {
            let field = field.as_str();
            match value {
                Some(value) => {
                    self.statements.put_personal()?.execute(params![self.tenant, &customer[..], field, value])?
                }
                None => self.statements.drop_personal()?.execute(params![self.tenant, &customer[..], field])?,
            };
        }
        if let Some(tokens) = &moved.tokens {
            self.statements.drop_tokens()?.execute(params![self.tenant, &customer[..]])?;
            // A later commit of the same call may say otherwise of the same customer: the last word counts.
            self.tokens.insert(*customer, tokens);
        }
        Ok(())
    }

    fn add_tokens(&mut self) -> Result<(), Fault> {
        let of = |(customer, tokens): (&[u8; 16], &&'a [Token])| -> Vec<_> {
            tokens.iter().map(|token| (token.0, *customer)).collect()
        };
        let mut rows: Vec<([u8; 16], [u8; 16])> = self.tokens.iter().flat_map(of).collect();
        rows.sort_unstable();
        for (token, customer) in rows {
            self.statements.add_token()?.execute(params![self.tenant, &token[..], &customer[..]])?;
        }
        Ok(())
    }

    fn add_change(&mut self, customer: &[u8; 16], change: &ChangeRow) -> Result<(), Fault> {
        let at = change.at.as_millis();
        let row = params![self.tenant, &customer[..], at, change.kind.as_str(), change.body];
        self.statements.add_change()?.execute(row)?;
        Ok(())
    }

    fn put_score(&mut self, customer: &[u8; 16], score: &ScoreRow) -> Result<(), Fault> {
        self.statements.put_score()?.execute(params![
            self.tenant,
            &customer[..],
            score.plugin.as_str(),
            score.output.as_str(),
            score.at.as_millis(),
            // Adding 0 turns -0 into 0 and leaves every other number as it is.
            score.value + 0.0,
            score.version.as_str(),
            &score.digest.as_bytes()[..],
            &score.input.as_bytes()[..],
            score.inputs,
            score.recorded_at.map(Timestamp::as_millis),
            score.terms.as_str()
        ])?;
        Ok(())
    }

    fn move_alarm(&mut self, customer: &[u8; 16], from: Option<Alarm>, to: Option<Alarm>) -> Result<(), Fault> {
        if let Some(Alarm { due_at, kind }) = from {
            let key = params![self.tenant, due_at.as_millis(), kind.rank(), &customer[..]];
            self.statements.drop_alarm()?.execute(key)?;
        }
        if let Some(Alarm { due_at, kind }) = to {
            let key = params![self.tenant, due_at.as_millis(), kind.rank(), &customer[..]];
            self.statements.add_alarm()?.execute(key)?;
        }
        Ok(())
    }

    fn add_outbox(&mut self, entry: &OutboxEntry) -> Result<(), Fault> {
        self.statements.add_outbox()?.execute(params![
            self.tenant,
            &entry.id.as_uuid().as_bytes()[..],
            &entry.customer.as_uuid().as_bytes()[..],
            entry.topic.as_str(),
            entry.due_at.as_millis(),
            entry.body
        ])?;
        Ok(())
    }

    fn add_dead(&mut self, letter: &GivenUp) -> Result<(), Fault> {
        let GivenUp { entry, attempts, reason } = letter;
        self.statements.add_dead()?.execute(params![
            self.tenant,
            &entry.id.as_uuid().as_bytes()[..],
            &entry.customer.as_uuid().as_bytes()[..],
            entry.topic.as_str(),
            entry.due_at.as_millis(),
            attempts,
            reason.as_str(),
            entry.body
        ])?;
        Ok(())
    }

    fn add_request(&mut self, request: &Request) -> Result<(), Fault> {
        self.statements.add_request()?.execute(params![
            self.tenant,
            &request.customer.as_uuid().as_bytes()[..],
            request.key.as_str(),
            &request.digest.as_bytes()[..],
            request.answer
        ])?;
        Ok(())
    }
}
