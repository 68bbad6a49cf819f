//! Taking in what [`export`](super::Crm::export) gave out.

use std::collections::{BTreeMap, BTreeSet};

use crm_core::audit::{AuditAction, AuditEntry};
use crm_core::change::Change;
use crm_core::customer::{Customer, Group};
use crm_core::event::{Event, EventBody};
use crm_core::identity::{IdentifierKey, MEMBERS_MAX};
use crm_core::loyalty::VoucherId;
use crm_core::profile::{Field, Telling};
use crm_core::score::{ScoreInputs, ScoreTerms};
use crm_core::workflow::{FieldName, PluginName};
use crm_core::{CustomerId, DefinitionVersion, Digest, EventId, SmolStr, Timestamp};
use crm_storage::{
    AlarmMove, ChangeRow, Claim, ClaimKey, Commit, CommitError, Committed, CounterStep, CustomerWrite, Details,
    EventRow, Expected, GivenUp, IdempotencyKey, OutboxEntry, PersonalMove, Request, ScoreRow, StateRow, Version,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::audit::by_shop;
use super::erase::identifiers_in;
use super::export::{
    Body, ChangeOut, ClaimOut, Dead, EventOut, FORMAT, OutboxOut, RequestOut, RowOut, ScoreOut, fold, from_hex,
    is_telling, places_in,
};
use super::identify::{STATED, STATED_BY_MAX};
use super::score::newest;
use super::sharing::{Sharer, list_of_place};
use super::{ATTEMPTS_MAX, Crm, decode_event};
use crate::error::Error;
use crate::personal::Place;
use crate::plan::{VOUCHER, identifier_claim, issued_card, number_claim, traits, voucher_claim};

pub(super) const DEFINITIONS_FORMAT: &str = "crm-definitions/1";

/// The most rows of one kind that are taken in for one customer.
const ROWS_MAX: usize = 200_000;
/// The most definitions that are taken in at once.
const DEFINITIONS_MAX: usize = 10_000;
/// The longest personal value, in bytes.
const VALUE_MAX: usize = 1 << 20;

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Under which id they go on.
    pub customer: CustomerId,
    /// All whom they were merged of.
    pub members: Vec<CustomerId>,
    /// How many events.
    pub events: u64,
    /// How many personal rows, sealed anew.
    pub personal: u64,
    /// How many requests that were carried out.
    pub requests: u64,
    /// How many entries that wait in the outbox.
    pub outbox: u64,
    /// How many entries that were given up, and are again.
    pub dead_letters: u64,
    /// On how many lists of those who stated an identifier, or were met by a fact, they are again.
    pub listed: u64,
}

/// Why an export was not taken in. Nothing changed. Values are never named, only where they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Something is not what an export has in that place.
    #[error("{path} is not what an export has there")]
    Malformed {
        /// Where, such as `events[3]`.
        path: String,
    },
    /// A list is too long.
    #[error("{path} has {count} items, more than {max}")]
    TooMany {
        /// Which list.
        path: &'static str,
        /// How many it has.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// It is of another tenant, for whom all hashes are others.
    #[error("an export of another tenant")]
    Tenant,
    /// A customer of that id is there.
    #[error("customer {customer} is there already")]
    CustomerThere {
        /// Who.
        customer: CustomerId,
    },
    /// Somebody else is found by what this customer is found by.
    #[error("claims[{index}] belongs to {owner}")]
    ClaimTaken {
        /// Which claim.
        index: usize,
        /// Who has it.
        owner: CustomerId,
    },
    /// The events come to something else here: the definitions are others. Take these in first.
    #[error("the events come to another customer here: the definitions are not those of the export")]
    OtherDefinitions,
    /// A voucher of the customer's is somebody's here.
    #[error("a voucher of this customer belongs to {owner}")]
    VoucherTaken {
        /// Who has it.
        owner: CustomerId,
    },
    /// A coupon was used as often as it can be, or a reward has run out.
    #[error("a coupon or a reward of this customer is used up here")]
    CouponUsedUp,
}

fn malformed(path: impl Into<String>) -> ImportError {
    ImportError::Malformed { path: path.into() }
}

/// What is read of an export; the rest of it follows from this.
struct Parsed {
    head: CustomerId,
    members: Vec<CustomerId>,
    clock: Option<Timestamp>,
    digest: Digest,
    events: Vec<(EventRow, Event)>,
    changes: Vec<ChangeOut>,
    scores: Vec<ScoreOut>,
    requests: Vec<RequestOut>,
    claims: Vec<ClaimOut>,
    listed: Vec<ClaimOut>,
    outbox: Vec<OutboxOut>,
    rows: Vec<RowOut>,
}

fn field<T: DeserializeOwned>(of: &Value, name: &'static str) -> Result<T, ImportError> {
    let value = of.get(name).ok_or_else(|| malformed(name))?;
    T::deserialize(value).map_err(|_| malformed(name))
}

fn list<T: DeserializeOwned>(of: &Value, name: &'static str, max: usize) -> Result<Vec<T>, ImportError> {
    let rows = of.get(name).and_then(Value::as_array).ok_or_else(|| malformed(name))?;
    if rows.len() > max {
        return Err(ImportError::TooMany { path: name, count: rows.len(), max });
    }
    let read = |(at, row): (usize, &Value)| T::deserialize(row).map_err(|_| malformed(format!("{name}[{at}]")));
    rows.iter().enumerate().map(read).collect()
}

impl Parsed {
    fn of(export: &Value) -> Result<Self, ImportError> {
        if export.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(malformed("format"));
        }
        let head: CustomerId = field(export, "customer")?;
        let members: Vec<CustomerId> = list(export, "members", MEMBERS_MAX)?;
        if !members.is_sorted_by(|a, b| a < b) || !members.contains(&head) {
            return Err(malformed("members"));
        }
        let told: Vec<EventOut> = list(export, "events", ROWS_MAX)?;
        let mut events = Vec::with_capacity(told.len());
        let mut seen = BTreeSet::new();
        for (at, event) in told.into_iter().enumerate() {
            let wrong = || malformed(format!("events[{at}]"));
            if !members.contains(&event.customer) || !seen.insert((event.customer, event.id)) {
                return Err(wrong());
            }
            events.push(event_row(event).ok_or_else(wrong)?);
        }
        if events.is_empty() {
            return Err(malformed("events"));
        }
        let parsed = Parsed {
            head,
            clock: field(export, "clock")?,
            digest: field(export, "digest")?,
            events,
            changes: list(export, "changes", ROWS_MAX)?,
            scores: list(export, "scores", ROWS_MAX)?,
            requests: list(export, "requests", ROWS_MAX)?,
            claims: list(export, "claims", ROWS_MAX)?,
            // Exports of before have none.
            listed: if export.get("listed").is_some() { list(export, "listed", ROWS_MAX)? } else { Vec::new() },
            outbox: list(export, "outbox", ROWS_MAX)?,
            rows: list(export, "personal_rows", ROWS_MAX)?,
            members,
        };
        parsed.check()?;
        Ok(parsed)
    }

    /// Every row is of somebody who is taken in, and they are the members by their own histories.
    fn check(&self) -> Result<(), ImportError> {
        let ours = |name: &str, all: &mut dyn Iterator<Item = CustomerId>| {
            let wrong = all.enumerate().find(|(_, customer)| !self.members.contains(customer));
            wrong.map_or(Ok(()), |(at, _)| Err(malformed(format!("{name}[{at}]"))))
        };
        ours("changes", &mut self.changes.iter().map(|row| row.customer))?;
        ours("scores", &mut self.scores.iter().map(|row| row.customer))?;
        ours("requests", &mut self.requests.iter().map(|row| row.customer))?;
        ours("claims", &mut self.claims.iter().map(|row| row.customer))?;
        ours("listed", &mut self.listed.iter().map(|row| row.customer))?;
        ours("outbox", &mut self.outbox.iter().map(|row| row.customer))?;
        ours("personal_rows", &mut self.rows.iter().map(|row| row.customer))?;
        for member in &self.members {
            let own = self.events.iter().filter(|(_, event)| event.customer == *member);
            let group = Group::of(*member, own.map(|(_, event)| &event.body));
            if group.head != self.head || group.members != self.members {
                return Err(malformed("members"));
            }
        }
        Ok(())
    }

    /// Claims, each by an event that makes one.
    fn claims(&self) -> Result<Vec<Claim>, ImportError> {
        use crm_core::event::Fact;
        let mut by_event: BTreeMap<(CustomerId, EventId), ClaimKey> = BTreeMap::new();
        for (_, event) in &self.events {
            let key = match &event.body {
                EventBody::Fact(Fact::Identified(identified)) => Some(identifier_claim(&identified.identifier)),
                EventBody::Decision(decision) => {
                    let attached = super::leads::attached(&decision.deed).map(|known| identifier_claim(&known));
                    attached.or_else(|| issued_card(&decision.deed))
                }
                EventBody::Fact(fact) => number_claim(fact),
                EventBody::Unrecognised { .. } => None,
            };
            by_event.extend(key.map(|key| ((event.customer, event.id), key)));
        }
        let all: BTreeSet<&ClaimKey> = by_event.values().collect();
        let known: BTreeSet<(CustomerId, EventId)> =
            self.events.iter().map(|(row, event)| (event.customer, row.id)).collect();
        let claim = |(at, claim): (usize, &ClaimOut)| {
            let wrong = || malformed(format!("claims[{at}]"));
            let key = ClaimKey { kind: claim.kind.clone(), key: from_hex(&claim.key).ok_or_else(wrong)? };
            // The event is of the customer, and one of them says so.
            if !all.contains(&key) || !known.contains(&(claim.customer, claim.event)) {
                return Err(wrong());
            }
            Ok(Claim { key, customer: claim.customer, event: claim.event })
        };
        self.claims.iter().enumerate().map(claim).collect()
    }

    /// Places on lists, each of which the events are a reason for.
    fn listed(&self) -> Result<Vec<Claim>, ImportError> {
        let events: Vec<Event> = self.events.iter().map(|(_, event)| event.clone()).collect();
        let all: BTreeSet<ClaimKey> = places_in(&events).into_iter().collect();
        let identifiers = identifiers_in(&events);
        let known: BTreeSet<(CustomerId, EventId)> =
            self.events.iter().map(|(row, event)| (event.customer, row.id)).collect();
        let place = |(at, place): (usize, &ClaimOut)| {
            let wrong = || malformed(format!("listed[{at}]"));
            let key = ClaimKey { kind: place.kind.clone(), key: from_hex(&place.key).ok_or_else(wrong)? };
            let is_there = all.contains(&key) || list_of_place(&key, &identifiers).is_some();
            if !is_there || !known.contains(&(place.customer, place.event)) {
                return Err(wrong());
            }
            Ok(Claim { key, customer: place.customer, event: place.event })
        };
        self.listed.iter().enumerate().map(place).collect()
    }

    /// The vouchers with codes that the customer has, or has used. What a batch has is not taken in with anybody.
    fn vouchers(&self) -> Vec<Claim> {
        let mut held: BTreeMap<VoucherId, (CustomerId, EventId)> = BTreeMap::new();
        for (row, event) in &self.events {
            let EventBody::Decision(decision) = &event.body else { continue };
            match decision.deed.voucher_moved() {
                Some((voucher, true)) => drop(held.insert(voucher, (event.customer, row.id))),
                Some((voucher, false)) => drop(held.remove(&voucher)),
                None => {}
            }
        }
        let claim = |(voucher, (customer, event))| Claim { key: voucher_claim(voucher), customer, event };
        held.into_iter().map(claim).collect()
    }

    /// What all customers share, moved as this customer moved it in all, each within the limit of the last time.
    fn counters(&self) -> Vec<CounterStep> {
        let mut moved: BTreeMap<SmolStr, (i64, Option<u32>)> = BTreeMap::new();
        for (_, event) in &self.events {
            let EventBody::Decision(decision) = &event.body else { continue };
            let Some(counted) = decision.deed.counted() else { continue };
            let (by, limit) = moved.entry(counted.counter).or_default();
            *by = by.saturating_add(counted.by);
            if counted.by > 0 {
                *limit = counted.limit;
            }
        }
        let step = |(name, (by, limit)): (SmolStr, (i64, Option<u32>))| CounterStep {
            name,
            by,
            limit: limit.map_or(i64::MAX, i64::from),
        };
        moved.into_iter().filter(|(_, (by, _))| *by > 0).map(step).collect()
    }
}

/// All places of the list that a place is of, itself first.
fn places_of_list(place: &ClaimKey) -> Vec<ClaimKey> {
    let mut all = vec![place.clone()];
    if place.kind.starts_with(STATED)
        && let Some((_, list)) = place.key.split_last()
    {
        let at = |place: usize| [list, &[place as u8]].concat();
        let others = (0..STATED_BY_MAX).map(|other| ClaimKey { kind: place.kind.clone(), key: at(other) });
        all.extend(others.filter(|other| other != place));
    }
    all
}

/// An event as it is kept and as it is read; none if it cannot have been recorded.
fn event_row(told: EventOut) -> Option<(EventRow, Event)> {
    let EventOut { customer, id, at, recorded_at, kind, shape, source, cause, body } = told;
    let body = match &body {
        Body::Json(_) => EventBody::decode(&kind, shape, &body.bytes()?).ok()?.encode(),
        Body::Text(_) | Body::Hex(_) => body.bytes()?,
    };
    let row = EventRow { id, at, recorded_at, kind, shape, source, cause, body };
    let event = decode_event(customer, row.clone()).ok()?;
    let sound = match &event.body {
        EventBody::Fact(fact) => fact.check().is_ok() && event.source.is_some(),
        EventBody::Decision(_) => event.source.is_none(),
        EventBody::Unrecognised { .. } => true,
    };
    sound.then_some((row, event))
}

fn change_row(told: &ChangeOut) -> Option<ChangeRow> {
    let body = match &told.body {
        Body::Json(_) => serde_json::from_slice::<Change>(&told.body.bytes()?).ok()?.encode(),
        Body::Text(_) | Body::Hex(_) => told.body.bytes()?,
    };
    Some(ChangeRow { at: told.at, kind: told.kind.clone(), body })
}

impl Crm {
    /// Takes in a customer whom [`export`](Self::export) gave out, into a store where they are not: all whom they were
    /// merged of, with events, decisions, changes, scores, requests, what they are found by, what waits to be told
    /// about them, and what is personal, sealed anew. Their [digest](Customer::digest) is the same then. Take the
    /// definitions in first. The tenant and the look-up key have to be the same too, because hashes are.
    ///
    /// Dead letters are dead letters again, each history has its events and changes in the order in which they were
    /// recorded, and who merely stated an identifier is found when it is proved; if others are on its list here, at
    /// another place of it, and not at all if it is full. Searching finds them again; what was suppressed is on a list
    /// of its own and not taken in.
    ///
    /// # Errors
    ///
    /// `Import` with the reason, `LookupKey`, `Personal` if a value cannot be sealed, `Storage` if the store failed.
    /// Nothing is taken in then.
    pub async fn import(&self, export: &Value) -> Result<Imported, Error> {
        let parsed = Parsed::of(export)?;
        if field::<String>(export, "tenant")? != self.tenant.as_str() {
            return Err(ImportError::Tenant.into());
        }
        if field::<Digest>(export, "lookup_key")?.as_bytes() != &self.inner.lookup_key.check_value() {
            return Err(Error::LookupKey);
        }
        if !parsed.members.iter().all(|member| self.is_customer(*member)) {
            return Err(malformed("members").into());
        }
        let loaded = self.store().load(&self.tenant, &parsed.members).await?;
        let definitions = self.definitions_to_write(loaded.definitions).await?;
        if let Some(row) = loaded.rows.into_iter().flatten().next() {
            return Err(ImportError::CustomerThere { customer: row.customer }.into());
        }
        let claims = parsed.claims()?;
        let keys: Vec<ClaimKey> = claims.iter().map(|claim| claim.key.clone()).collect();
        let owners = self.store().resolve(&self.tenant, &keys).await?;
        if let Some((index, owner)) = owners.iter().enumerate().find_map(|(at, owner)| Some((at, (*owner)?))) {
            return Err(ImportError::ClaimTaken { index, owner: owner.customer }.into());
        }
        let events: Vec<Event> = parsed.events.iter().map(|(_, event)| event.clone()).collect();
        let scores: Vec<ScoreRow> =
            parsed.scores.iter().filter(|row| row.customer == parsed.head).map(score_row).collect();
        let for_purposes = |row: &&ScoreOut| row.terms.as_ref().is_some_and(|terms| !terms.purposes.is_empty());
        let plugins: BTreeSet<&SmolStr> = parsed.scores.iter().filter(for_purposes).map(|row| &row.plugin).collect();
        let plugins: Vec<PluginName> =
            plugins.into_iter().map(PluginName::new).collect::<Result<_, _>>().map_err(|_| malformed("scores"))?;
        let mut customer = fold(parsed.head, &events, parsed.clock, newest(&scores), &definitions);
        if customer.digest() != parsed.digest {
            return Err(ImportError::OtherDefinitions.into());
        }
        customer.arm(customer.next_alarm(&definitions));

        let mut writes = Vec::with_capacity(parsed.members.len());
        for member in &parsed.members {
            writes.push(self.import_member(*member, &customer, &parsed, &definitions).await?);
        }
        let (mut outbox, mut dead_letters) = (Vec::new(), Vec::new());
        for (at, told) in parsed.outbox.iter().enumerate() {
            let entry = outbox_entry(told).ok_or_else(|| malformed(format!("outbox[{at}]")))?;
            match &told.dead {
                None => outbox.push(entry),
                Some(Dead { attempts, reason }) => {
                    dead_letters.push(GivenUp { entry, attempts: *attempts, reason: reason.clone() });
                }
            }
        }
        let listed = parsed.listed()?;
        let mut imported = Imported {
            customer: parsed.head,
            members: parsed.members.clone(),
            events: parsed.events.len() as u64,
            personal: parsed.rows.len() as u64,
            requests: parsed.requests.len() as u64,
            outbox: outbox.len() as u64,
            dead_letters: dead_letters.len() as u64,
            listed: 0,
        };
        let counters = parsed.counters();
        let whole = Commit { writes, claims, counters, outbox, dead_letters, ..Commit::default() };
        let mut requests = Vec::with_capacity(parsed.requests.len());
        for (at, request) in parsed.requests.iter().enumerate() {
            requests.push(request_commit(request).ok_or_else(|| malformed(format!("requests[{at}]")))?);
        }
        // Only now, because what is refused leaves nothing behind, and before the first of their scores is kept.
        for plugin in &plugins {
            self.note_purposes(plugin).await?;
        }
        for _ in 0..ATTEMPTS_MAX {
            let mut commit = whole.clone();
            let places = self.free_places(&listed, &identifiers_in(&events)).await?;
            imported.listed = places.len() as u64;
            commit.claims.extend(places);
            commit.claims.extend(parsed.vouchers());
            let commits = [commit].into_iter().chain(requests.iter().cloned()).collect();
            let answers = self.store().commit(&self.tenant, commits).await?;
            return match answers.into_iter().next() {
                Some(Ok(Committed::Done { .. } | Committed::Replayed { .. })) => {
                    let entry = AuditEntry::new(by_shop()?, AuditAction::Imported).about(parsed.head);
                    let entry = entry.with_number("events", i64::try_from(imported.events).unwrap_or(i64::MAX))?;
                    self.audit(entry).await?;
                    Ok(imported)
                }
                Some(Err(CommitError::Conflict { customer, .. })) => {
                    Err(ImportError::CustomerThere { customer }.into())
                }
                Some(Err(CommitError::Claimed { key, owner })) if key.kind == VOUCHER => {
                    Err(ImportError::VoucherTaken { owner: owner.customer }.into())
                }
                Some(Err(CommitError::Claimed { key, owner })) => match keys.iter().position(|own| *own == key) {
                    Some(index) => Err(ImportError::ClaimTaken { index, owner: owner.customer }.into()),
                    // Somebody else has just taken a place on a list.
                    None => continue,
                },
                Some(Err(CommitError::CounterLimit { .. })) => Err(ImportError::CouponUsedUp.into()),
                Some(Err(CommitError::Malformed { .. })) => Err(malformed("a name or a list").into()),
                Some(Err(error)) => Err(Error::corrupt(error)),
                None => Err(Error::corrupt("a commit without an answer")),
            };
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// For each place on a list the same, or else the first of the list that nobody has here. Those for whom there
    /// is none are left out.
    async fn free_places(&self, listed: &[Claim], identifiers: &BTreeSet<IdentifierKey>) -> Result<Vec<Claim>, Error> {
        let mut places: Vec<Claim> = Vec::with_capacity(listed.len());
        let mut sharers = Vec::new();
        for wanted in listed {
            if let Some(identifier) = list_of_place(&wanted.key, identifiers) {
                sharers.push(Sharer { identifier, customer: wanted.customer, event: wanted.event });
                continue;
            }
            let same_list = places_of_list(&wanted.key);
            let owners = self.store().resolve(&self.tenant, &same_list).await?;
            let free = same_list.into_iter().zip(owners).find_map(|(key, owner)| {
                let is_free = owner.is_none() && places.iter().all(|place| place.key != key);
                is_free.then_some(key)
            });
            places.extend(free.map(|key| Claim { key, ..wanted.clone() }));
        }
        places.extend(self.list_sharers(&sharers).await?);
        Ok(places)
    }

    async fn import_member(
        &self,
        member: CustomerId,
        customer: &Customer,
        parsed: &Parsed,
        definitions: &crm_core::Definitions,
    ) -> Result<CustomerWrite, Error> {
        let shape = crm_core::customer::STATE_SHAPE;
        let is_head = member == customer.id();
        let bytes = if is_head { customer.encode() } else { Customer::alias(member, customer.id()).encode() };
        let mut write = CustomerWrite::new(member, Expected::New, StateRow { shape, bytes });
        if is_head {
            write.traits = traits(customer, definitions);
            write.alarm = customer.alarm().map(|alarm| AlarmMove { from: None, to: Some(alarm) });
        }
        let own = parsed.events.iter().filter(|(_, event)| event.customer == member);
        write.events = own.map(|(row, _)| row.clone()).collect();
        for (at, change) in parsed.changes.iter().enumerate().filter(|(_, change)| change.customer == member) {
            let wrong = || malformed(format!("changes[{at}]"));
            // All are in their places, or none is, as in exports of before.
            let in_place = match change.after {
                Some(after) => {
                    let before = write.changes_after.last().copied().unwrap_or(0);
                    let all_so_far = write.changes_after.len() == write.changes.len();
                    all_so_far && after >= before && after as usize <= write.events.len()
                }
                None => write.changes_after.is_empty(),
            };
            if !in_place {
                return Err(wrong().into());
            }
            write.changes.push(change_row(change).ok_or_else(wrong)?);
            write.changes_after.extend(change.after);
        }
        write.scores = parsed.scores.iter().filter(|row| row.customer == member).map(score_row).collect();
        let rows: Vec<(usize, &RowOut)> =
            parsed.rows.iter().enumerate().filter(|(_, row)| row.customer == member).collect();
        if !rows.is_empty() {
            if customer.is_erased() {
                return Err(malformed("personal_rows").into());
            }
            write.personal = Some(Box::new(self.seal_rows(member, &rows).await?));
        }
        Ok(write)
    }

    async fn seal_rows(&self, customer: CustomerId, rows: &[(usize, &RowOut)]) -> Result<PersonalMove, Error> {
        let mut tellings: BTreeMap<Field, Telling> = BTreeMap::new();
        // Everything is read before a key is made.
        for (at, row) in rows {
            let wrong = || malformed(format!("personal_rows[{at}]"));
            if row.value.len() > VALUE_MAX {
                return Err(wrong().into());
            }
            if is_telling(&row.name) {
                let telling: Telling = serde_json::from_str(&row.value).map_err(|_| wrong())?;
                let now = row.name.strip_prefix("card.").and_then(|name| Field::parse(name).ok());
                tellings.extend(now.map(|field| (field, telling)));
            } else {
                FieldName::new(&row.name).map_err(|_| wrong())?;
            }
        }
        let (key, new) = self.key_or_new(customer, &Details::default()).await?;
        let mut moved = PersonalMove { key: new, ..PersonalMove::default() };
        for (_, row) in rows {
            let place = Place { tenant: &self.tenant, customer, field: &row.name };
            moved.fields.push((row.name.clone(), Some(key.seal(&place, row.value.as_bytes())?)));
        }
        moved.tokens = Some(self.tokens_of(tellings));
        Ok(moved)
    }

    /// Takes in definitions that [`export_definitions`](Self::export_definitions) gave out, and answers how many are
    /// new.
    ///
    /// # Errors
    ///
    /// `Import` if it is no such list, `Definition` if one contradicts what is there; those before it are kept.
    pub async fn import_definitions(&self, export: &Value) -> Result<u64, Error> {
        if export.get("format").and_then(Value::as_str) != Some(DEFINITIONS_FORMAT) {
            return Err(malformed("format").into());
        }
        let versions: Vec<DefinitionVersion> = list(export, "definitions", DEFINITIONS_MAX)?;
        let mut new = 0;
        for DefinitionVersion { from, definition } in versions {
            new += u64::from(self.define(from, definition).await?);
        }
        Ok(new)
    }
}

fn score_row(told: &ScoreOut) -> ScoreRow {
    let ScoreOut { customer: _, plugin, output, at, value, version, digest, input, inputs, recorded_at, terms } = told;
    let inputs = inputs.as_ref().map(|cells| cells.iter().map(|cell| (cell.attribute, cell.value)).collect());
    ScoreRow {
        plugin: plugin.clone(),
        output: output.clone(),
        at: *at,
        value: *value,
        version: version.clone(),
        digest: *digest,
        input: *input,
        inputs: inputs.map(|cells| ScoreInputs(cells).encode()).unwrap_or_default(),
        recorded_at: *recorded_at,
        terms: terms.as_ref().map(ScoreTerms::encode).unwrap_or_default(),
    }
}

fn outbox_entry(told: &OutboxOut) -> Option<OutboxEntry> {
    let OutboxOut { customer, id, topic, due_at, body, dead: _ } = told;
    Some(OutboxEntry {
        id: *id,
        customer: *customer,
        topic: SmolStr::clone(topic),
        due_at: *due_at,
        body: body.bytes()?,
    })
}

/// A request that was carried out; it is only kept if the customer was taken in by the commit before it.
fn request_commit(told: &RequestOut) -> Option<Commit> {
    let RequestOut { customer, key, digest, answer } = told;
    let key = IdempotencyKey::new(key)?;
    let request = Request { customer: *customer, key, digest: *digest, answer: answer.bytes()? };
    let only_then = CustomerWrite::scores(*customer, Expected::At(Version(1)), Vec::new());
    Some(Commit { request: Some(request), writes: vec![only_then], ..Commit::default() })
}
