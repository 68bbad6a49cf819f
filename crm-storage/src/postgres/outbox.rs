//! The outbox: leasing, settling, dead letters, and taking a customer's entries away with all else that is
//! personal. A lease's token is its number among all that the tenant gave, so none comes twice.

use std::collections::{BTreeMap, HashMap};

use crm_core::{CustomerId, EventId, Span, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use super::column::Columns;
use super::fault::Fault;
use super::gather::Place;
use super::keyed::{Part, find};
use super::lanes::lock;
use super::options::Dialect;
use super::read::rows_limit;
use super::session::Session;
use super::shape::Shape;
use super::wire::{call, list, one};
use crate::commit::{ClaimKey, OutboxEntry};
use crate::row::{Copies, DeadLetter, Erased, LeaseToken, Leased, Settlement, Verdict};

/// Who leases, until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lessee {
    pub(super) now: Timestamp,
    pub(super) lease: Span,
    pub(super) limit: usize,
}

impl Lessee {
    const fn until(&self) -> i64 {
        self.now.plus(self.lease).as_millis()
    }
}

pub(super) async fn lease(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    lessee: Lessee,
) -> Result<Vec<Leased>, Fault> {
    if lessee.limit == 0 {
        return Ok(Vec::new());
    }
    let mut leased = match shape.dialect {
        Dialect::Plain => {
            let call = call!(
                shape.texts.lease,
                one(place.of_tenant()),
                one(place.number),
                one(lessee.now.as_millis()),
                one(lessee.until()),
                one(rows_limit(lessee.limit)),
            );
            session.write(call).await?.iter().map(leased_row).collect::<Result<Vec<_>, Fault>>()?
        }
        Dialect::Sharded => lease_by_lane(session, shape, place, lessee).await?,
    };
    leased.sort_unstable_by_key(|leased| (leased.entry.due_at, leased.entry.id));
    Ok(leased)
}

/// Looks for entries over all lanes without locking any, and leases in each lane those that nobody else has
/// in hand; then looks for others in their place.
async fn lease_by_lane(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    lessee: Lessee,
) -> Result<Vec<Leased>, Fault> {
    let texts = &shape.texts;
    let (tenant, now) = (place.number, lessee.now.as_millis());
    let mut leased = Vec::new();
    let mut tried: Vec<Uuid> = Vec::new();
    let mut number = None;
    while leased.len() < lessee.limit {
        let missing = rows_limit(lessee.limit - leased.len());
        let look = call!(texts.leasable, one(tenant), one(now), one(missing), list(tried.clone()));
        let mut lanes: BTreeMap<i16, Vec<Uuid>> = BTreeMap::new();
        for row in session.read(vec![look]).await?.iter().flatten() {
            let mut columns = Columns::of(row);
            let (lane, id) = (columns.plain()?, columns.plain()?);
            lanes.entry(lane).or_default().push(id);
            tried.push(id);
        }
        if lanes.is_empty() {
            break;
        }
        let number: i64 = match number {
            Some(number) => number,
            None => {
                let rows = session.write(call!(texts.next_lease, one(place.of_tenant()), one(tenant))).await?;
                let Some(row) = rows.first() else { break };
                *number.insert(Columns::of(row).plain()?)
            }
        };
        let lock = |(lane, ids): (&i16, &Vec<Uuid>)| {
            call!(texts.lock_leasable, one(*lane), one(tenant), one(now), list(ids.clone()))
        };
        let locked = session.begin(lanes.iter().map(lock).collect()).await?;
        let mut calls = Vec::new();
        for (lane, rows) in lanes.keys().zip(&locked) {
            let ids: Vec<Uuid> = rows.iter().map(|row| Columns::of(row).plain()).collect::<Result<_, Fault>>()?;
            if !ids.is_empty() {
                let until = one(lessee.until());
                calls.push(call!(texts.lease_in_lane, one(*lane), one(tenant), list(ids), one(number), until));
            }
        }
        for row in session.end(calls).await?.iter().flatten() {
            leased.push(leased_row(row)?);
        }
    }
    Ok(leased)
}

fn outbox_entry(columns: &mut Columns<'_>) -> Result<OutboxEntry, Fault> {
    Ok(OutboxEntry {
        id: columns.event()?,
        customer: columns.customer()?,
        topic: columns.text()?,
        due_at: columns.time()?,
        body: columns.bytes()?,
    })
}

fn attempts(columns: &mut Columns<'_>) -> Result<u32, Fault> {
    Ok(u32::try_from(columns.count()?).unwrap_or(u32::MAX))
}

fn leased_row(row: &Row) -> Result<Leased, Fault> {
    let mut columns = Columns::of(row);
    let (entry, attempt) = (outbox_entry(&mut columns)?, attempts(&mut columns)?);
    Ok(Leased { entry, attempt, token: LeaseToken(columns.count()?) })
}

/// A lease as it stands while settlements are judged.
struct Waiting {
    lane: i16,
    due_at: i64,
    attempt: i64,
    /// None once it is settled.
    token: Option<i64>,
    until: Option<i64>,
    reason: Option<Vec<u8>>,
    done: bool,
    moved: bool,
}

pub(super) async fn settle(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    settlements: &[Settlement],
) -> Result<Vec<bool>, Fault> {
    let (texts, tenant) = (&shape.texts, place.number);
    if settlements.is_empty() {
        return Ok(Vec::new());
    }
    let key = |settlement: &Settlement| (place.of_outbox(settlement.id), [Part::Id(*settlement.id.as_uuid())]);
    let keys = settlements.iter().map(key).collect();
    let rows = session.begin(find(&texts.leased, shape.dialect, tenant, keys)).await?;
    let mut waiting: HashMap<EventId, Waiting> = HashMap::new();
    for row in rows.iter().flatten() {
        let mut columns = Columns::of(row);
        let (id, due_at, attempt) = (columns.event()?, columns.plain()?, columns.plain()?);
        let (token, until, reason) = (columns.plain::<Option<i64>>()?, columns.plain()?, columns.bytes_or_null()?);
        let (lane, done, moved) = (place.of_outbox(id), false, false);
        waiting.insert(id, Waiting { lane, due_at, attempt, token, until, reason, done, moved });
    }
    let mut settle = |settlement: &Settlement| {
        let token = Some(i64::try_from(settlement.token.0).ok()?);
        waiting.get_mut(&settlement.id).filter(|waiting| waiting.token == token)?.settle(&settlement.verdict);
        Some(())
    };
    let settled: Vec<bool> = settlements.iter().map(|settlement| settle(settlement).is_some()).collect();
    let mut done: BTreeMap<i16, Vec<Uuid>> = BTreeMap::new();
    let mut calls = Vec::new();
    for (id, waiting) in waiting {
        if waiting.done {
            done.entry(waiting.lane).or_default().push(*id.as_uuid());
        } else if waiting.moved {
            calls.push(call!(
                texts.settle_kept,
                one(waiting.lane),
                one(tenant),
                one(*id.as_uuid()),
                one(waiting.due_at),
                one(waiting.attempt),
                one(waiting.token),
                one(waiting.until),
                one(waiting.reason),
            ));
        }
    }
    calls.extend(done.into_iter().map(|(lane, ids)| call!(texts.settle_done, one(lane), one(tenant), list(ids))));
    session.end(calls).await?;
    Ok(settled)
}

impl Waiting {
    fn settle(&mut self, verdict: &Verdict) {
        self.moved = true;
        match verdict {
            Verdict::Done => {
                self.done = true;
                self.token = None;
            }
            Verdict::Retry { at } => {
                self.due_at = at.as_millis();
                (self.token, self.until, self.reason) = (None, None, None);
            }
            Verdict::GiveBack => {
                self.attempt = (self.attempt - 1).max(0);
                (self.token, self.until, self.reason) = (None, None, None);
            }
            Verdict::Dead { reason } => self.reason = Some(reason.as_bytes().to_vec()),
        }
    }
}

pub(super) async fn dead_letters(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    after: Option<&DeadLetter>,
    limit: usize,
) -> Result<Vec<DeadLetter>, Fault> {
    let (tenant, limit) = (one(place.number), one(rows_limit(limit.max(1))));
    let call = match after {
        None => call!(shape.texts.first_dead, tenant, limit),
        Some(DeadLetter { entry, .. }) => {
            call!(shape.texts.dead, tenant, one(entry.due_at.as_millis()), one(*entry.id.as_uuid()), limit)
        }
    };
    let letter = |row: &Row| {
        let mut columns = Columns::of(row);
        let (entry, attempts) = (outbox_entry(&mut columns)?, attempts(&mut columns)?);
        let token = LeaseToken(columns.count()?);
        Ok(DeadLetter { entry, attempts, token, reason: columns.text()? })
    };
    session.read(vec![call]).await?.iter().flatten().map(letter).collect()
}

pub(super) async fn erase(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    customer: CustomerId,
    keys: &[ClaimKey],
) -> Result<Erased, Fault> {
    let (texts, tenant) = (&shape.texts, place.number);
    let lane = place.of_customer(customer);
    let whose = || one(*customer.as_uuid());
    let mut look = lock(shape, &[lane].into());
    look.push(call!(texts.entries_about, one(tenant), whose()));
    let rows = session.begin(look).await?;
    let mut entries: BTreeMap<i16, Vec<Uuid>> = BTreeMap::new();
    for row in rows.iter().skip(1).flatten() {
        let mut columns = Columns::of(row);
        entries.entry(columns.plain()?).or_default().push(columns.plain()?);
    }
    let erasing = [&texts.erase_version, &texts.erase_fields, &texts.erase_key, &texts.erase_tokens];
    let mut calls: Vec<_> = erasing.map(|text| call!(text, one(lane), one(tenant), whose())).into_iter().collect();
    let about = entries.len();
    let entries = entries.into_iter();
    calls.extend(entries.map(|(lane, ids)| call!(texts.erase_outbox, one(lane), one(tenant), whose(), list(ids))));
    let mut keys: Vec<(i16, &ClaimKey)> = keys.iter().map(|key| (place.of_claim(key), key)).collect();
    keys.sort_unstable();
    calls.extend(keys.into_iter().map(|(lane, key)| {
        let named = (one(key.kind.as_bytes()), one(key.key.as_slice()));
        call!(texts.erase_claim, one(lane), one(tenant), named.0, named.1, whose())
    }));
    let counts: Vec<u64> = session.end(calls).await?.iter().map(|rows| rows.len() as u64).collect();
    let [_, fields, key, tokens, others @ ..] = &counts[..] else {
        return Err(Fault::Damaged("an answer that is cut short".into()));
    };
    let (outbox, claims) = others.split_at(about.min(others.len()));
    let outbox: u64 = outbox.iter().sum();
    // Also where nothing was found: what was deleted before, by an erasure, a delivery or a later value, is in the
    // write-ahead log and in backups still, and nobody here knows what that was.
    let copies = Copies::UntilLogsExpire;
    Ok(Erased { fields: *fields, key: *key > 0, tokens: *tokens, outbox, claims: claims.iter().sum(), copies })
}
