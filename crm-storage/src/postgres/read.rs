//! Reading.

use std::collections::HashMap;
use std::sync::Arc;

use crm_core::{CustomerId, Timestamp};
use tokio_postgres::Row;

use super::column::{Columns, damaged};
use super::fault::Fault;
use super::gather::Place;
use super::keyed::{Key, Part, find};
use super::known::{claim_parts, owner};
use super::options::Dialect;
use super::schema::qualified;
use super::selection::Condition;
use super::session::Session;
use super::shape::Shape;
use super::wire::{Call, call, list, one};
use crate::commit::{ClaimKey, IdempotencyKey, OutboxEntry};
use crate::row::{
    ChangeRow, ClaimOwner, Cursor, CustomerRow, DefinitionRows, Details, Due, Entries, Entry, EventRow, Loaded, Page,
    Parts, RequestRow, ScoreRow, StateRow,
};
use crate::selection::Selection;

/// A number of rows as the server takes it.
pub(super) fn rows_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn keys<'a>(place: &Place<'_>, customers: &[CustomerId]) -> Vec<Key<'a, 1>> {
    let key = |&customer: &CustomerId| (place.of_customer(customer), [Part::Id(*customer.as_uuid())]);
    customers.iter().map(key).collect()
}

pub(super) async fn load(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    customers: &[CustomerId],
) -> Result<Loaded, Fault> {
    let (definitions, found) = match shape.dialect {
        Dialect::Plain if !customers.is_empty() => load_at_once(session, shape, place, customers).await?,
        Dialect::Plain | Dialect::Sharded => load_by_parts(session, shape, place, customers).await?,
    };
    let rows = match customers {
        [customer] => vec![found.into_values().find(|row| row.customer == *customer)],
        several => several.iter().map(|customer| found.get(customer).cloned()).collect(),
    };
    Ok(Loaded { rows, definitions })
}

/// The revision of the definitions, and the customers that are there.
type Found = (u64, HashMap<CustomerId, CustomerRow>);

/// In one statement: two take longer, even in one round trip.
async fn load_at_once(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    customers: &[CustomerId],
) -> Result<Found, Fault> {
    let mut calls = find(&shape.texts.load_with_revision, shape.dialect, place.number, keys(place, customers));
    for call in &mut calls {
        call.values.push(one(place.of_tenant()));
    }
    let mut definitions = 0;
    let mut found = HashMap::with_capacity(customers.len());
    for row in session.read(calls).await?.iter().flatten() {
        let mut columns = Columns::of(row);
        let revision: Option<i64> = columns.plain()?;
        definitions = u64::try_from(revision.unwrap_or(0)).map_err(|_| damaged("a revision below 0"))?;
        // Of nobody but the tenant, the rest is NULL.
        if !columns.is_null_id()? {
            let row = customer_row(&mut columns)?;
            found.insert(row.customer, row);
        }
    }
    Ok((definitions, found))
}

async fn load_by_parts(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    customers: &[CustomerId],
) -> Result<Found, Fault> {
    let mut calls = vec![call!(shape.texts.revision, one(place.of_tenant()), one(place.number))];
    calls.extend(find(&shape.texts.load, shape.dialect, place.number, keys(place, customers)));
    let mut answers = session.read(calls).await?.into_iter();
    let revision = answers.next().unwrap_or_default();
    let definitions = revision.first().map(|row| Columns::of(row).count()).transpose()?.unwrap_or(0);
    let mut found = HashMap::with_capacity(customers.len());
    for row in answers.flatten() {
        let row = customer_row(&mut Columns::of(&row))?;
        found.insert(row.customer, row);
    }
    Ok((definitions, found))
}

fn customer_row(columns: &mut Columns<'_>) -> Result<CustomerRow, Fault> {
    let (customer, version) = (columns.customer()?, columns.version()?);
    let state = StateRow { shape: columns.shape()?, bytes: columns.bytes()? };
    Ok(CustomerRow { customer, version, state, sets: columns.sets()? })
}

pub(super) async fn details(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    customers: &[CustomerId],
    parts: Parts,
) -> Result<Vec<Option<Details>>, Fault> {
    let texts = &shape.texts;
    let wanted = |text: &Arc<str>, wanted: bool| {
        if wanted { find(text, shape.dialect, place.number, keys(place, customers)) } else { Vec::new() }
    };
    let groups: [(Vec<Call<'_>>, Add); 7] = [
        // Who is there at all.
        (wanted(&texts.versions, !parts.traits), |_, _, _| Ok(())),
        (wanted(&texts.traits, parts.traits), add_traits),
        (wanted(&texts.scores, parts.scores), add_score),
        (wanted(&texts.keys, parts.personal), |details, _, columns| {
            details.key = Some(columns.bytes()?);
            Ok(())
        }),
        (wanted(&texts.fields, parts.personal), |details, _, columns| {
            details.personal.push((columns.text()?, columns.bytes()?));
            Ok(())
        }),
        (wanted(&texts.tokens, parts.personal), |details, _, columns| {
            details.tokens = columns.count()?;
            Ok(())
        }),
        (wanted(&texts.own_requests, parts.requests), add_request),
    ];
    let about = || customers.iter().map(|customer| *customer.as_uuid()).collect();
    let outbox = parts.outbox.then(|| call!(texts.own_outbox, one(place.number), list(about())));
    let outbox = (outbox.into_iter().collect(), add_entry as Add);
    let groups = groups.into_iter().chain([outbox]);
    let (calls, adds): (Vec<_>, Vec<_>) = groups.map(|(calls, add)| ((calls.len(), calls), add)).unzip();
    let lengths: Vec<usize> = calls.iter().map(|(length, _)| *length).collect();
    let calls = calls.into_iter().flat_map(|(_, calls)| calls).collect();
    let mut answers = session.read(calls).await?.into_iter();
    let mut found: HashMap<CustomerId, Details> = HashMap::with_capacity(customers.len());
    for (group, (length, add)) in lengths.into_iter().zip(adds).enumerate() {
        for row in answers.by_ref().take(length).flatten() {
            let mut columns = Columns::of(&row);
            let customer = columns.customer()?;
            if group < 2 {
                found.insert(customer, Details::default());
            }
            if let Some(details) = found.get_mut(&customer) {
                add(details, customer, &mut columns)?;
            }
        }
    }
    Ok(customers.iter().map(|customer| found.get(customer).cloned()).collect())
}

/// Adds a row to the details of its customer.
type Add = fn(&mut Details, CustomerId, &mut Columns<'_>) -> Result<(), Fault>;

fn add_traits(details: &mut Details, _: CustomerId, columns: &mut Columns<'_>) -> Result<(), Fault> {
    details.traits = columns.traits()?;
    Ok(())
}

fn add_score(details: &mut Details, _: CustomerId, columns: &mut Columns<'_>) -> Result<(), Fault> {
    details.scores.push(score(columns)?);
    Ok(())
}

pub(super) fn score(columns: &mut Columns<'_>) -> Result<ScoreRow, Fault> {
    Ok(ScoreRow {
        plugin: columns.text()?,
        output: columns.text()?,
        at: columns.time()?,
        value: columns.plain()?,
        version: columns.text()?,
        digest: columns.digest()?,
        input: columns.digest()?,
        inputs: columns.bytes()?,
        recorded_at: columns.time_or_null()?,
        terms: columns.text()?,
    })
}

fn add_request(details: &mut Details, _: CustomerId, columns: &mut Columns<'_>) -> Result<(), Fault> {
    let key = IdempotencyKey::new(&columns.text()?).ok_or_else(|| damaged("an idempotency key of no length"))?;
    details.requests.push(RequestRow { key, digest: columns.digest()?, answer: columns.bytes()? });
    Ok(())
}

fn add_entry(details: &mut Details, customer: CustomerId, columns: &mut Columns<'_>) -> Result<(), Fault> {
    let (id, topic, due_at, body) = (columns.event()?, columns.text()?, columns.time()?, columns.bytes()?);
    details.outbox.push(OutboxEntry { id, customer, topic, due_at, body });
    Ok(())
}

pub(super) async fn history(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    customer: CustomerId,
    entries: Entries,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<Entry>, Fault> {
    let limit = limit.max(1);
    let text = match entries {
        Entries::All => &shape.texts.history,
        Entries::Events => &shape.texts.events,
        Entries::Changes => &shape.texts.changes,
    };
    let after = after.map_or(0, |cursor| i64::try_from(cursor.0).unwrap_or(i64::MAX));
    let call = call!(
        text,
        one(place.of_customer(customer)),
        one(place.number),
        one(*customer.as_uuid()),
        one(after),
        one(rows_limit(limit).saturating_add(1)),
    );
    let mut rows = session.read(vec![call]).await?.pop().unwrap_or_default();
    let goes_on = rows.len() > limit;
    rows.truncate(limit);
    let next = match rows.last() {
        Some(last) if goes_on => Some(Cursor(Columns::of(last).count()?)),
        _ => None,
    };
    let entries = rows.iter().map(|row| {
        let mut columns = Columns::of(row);
        columns.count()?;
        entry(&mut columns)
    });
    Ok(Page { rows: entries.collect::<Result<_, _>>()?, next })
}

/// An event or a change, which has no id.
pub(super) fn entry(columns: &mut Columns<'_>) -> Result<Entry, Fault> {
    let (id, at) = (columns.event_or_null()?, columns.time()?);
    let recorded_at: Option<i64> = columns.plain()?;
    let kind = columns.text()?;
    let shape: Option<i32> = columns.plain()?;
    let (source, cause, body) = (columns.source()?, columns.event_or_null()?, columns.bytes()?);
    let Some(id) = id else { return Ok(Entry::Change(ChangeRow { at, kind, body })) };
    let shape = shape.and_then(|shape| u16::try_from(shape).ok());
    let recorded_at = recorded_at.and_then(|millis| Timestamp::from_millis(millis).ok());
    match (shape, recorded_at) {
        (Some(shape), Some(recorded_at)) => {
            Ok(Entry::Event(EventRow { id, at, recorded_at, kind, shape, source, cause, body }))
        }
        _ => Err(damaged("an event without its shape or its time")),
    }
}

pub(super) async fn resolve(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    keys: &[ClaimKey],
) -> Result<Vec<Option<ClaimOwner>>, Fault> {
    let asked = keys.iter().map(|key| (place.of_claim(key), claim_parts(key))).collect();
    let calls = find(&shape.texts.owners, shape.dialect, place.number, asked);
    let rows = session.read(calls).await?;
    let found: HashMap<ClaimKey, ClaimOwner> = rows.iter().flatten().map(owner).collect::<Result<_, _>>()?;
    Ok(keys.iter().map(|key| found.get(key).copied()).collect())
}

pub(super) async fn select(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    selection: &Selection,
    after: Option<CustomerId>,
    limit: usize,
) -> Result<Vec<CustomerId>, Fault> {
    let call = selecting(shape, place, "c.id", selection, Some((after, limit)));
    let rows = session.read_planned(call).await?;
    rows.iter().map(|row| Columns::of(row).customer()).collect()
}

pub(super) async fn count(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    selection: &Selection,
) -> Result<u64, Fault> {
    let rows = session.read_planned(selecting(shape, place, "count(*)", selection, None)).await?;
    rows.first().map_or(Ok(0), |row| Columns::of(row).count())
}

/// The statement that finds what a selection means: all of it, or a page in the order of the ids.
pub(super) fn selecting<'a>(
    shape: &Shape,
    place: &Place<'_>,
    what: &str,
    selection: &'a Selection,
    page: Option<(Option<CustomerId>, usize)>,
) -> Call<'a> {
    let mut condition = Condition::default();
    let tenant = condition.value(one(place.number));
    condition.text = format!("SELECT {what} FROM @.customer c WHERE c.tenant = {tenant} AND ");
    condition.selects(selection);
    if let Some((after, limit)) = page {
        if let Some(after) = after {
            let after = condition.value(one(*after.as_uuid()));
            condition.text.push_str(&format!(" AND c.id > {after}"));
        }
        let limit = condition.value(one(rows_limit(limit.max(1))));
        condition.text.push_str(&format!(" ORDER BY c.id LIMIT {limit}"));
    }
    Call { text: qualified(&condition.text, &shape.schema).into(), values: condition.values, once: true }
}

pub(super) async fn due(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Due>, Fault> {
    let call = call!(shape.texts.due, one(place.number), one(until.as_millis()), one(rows_limit(limit)));
    let rows = session.read(vec![call]).await?;
    let due = |row: &Row| {
        let mut columns = Columns::of(row);
        Ok(Due { alarm: columns.alarm()?, customer: columns.customer()? })
    };
    rows.iter().flatten().map(due).collect()
}

pub(super) async fn definitions(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
) -> Result<DefinitionRows, Fault> {
    let call = call!(shape.texts.definitions, one(place.of_tenant()), one(place.number));
    let rows = session.read(vec![call]).await?.pop().unwrap_or_default();
    let body = |row: &Row| {
        let mut columns = Columns::of(row);
        columns.count()?;
        columns.bytes()
    };
    let rows: Vec<Vec<u8>> = rows.iter().map(body).collect::<Result<_, Fault>>()?;
    Ok(DefinitionRows { revision: rows.len() as u64, rows })
}

/// Adds a definition. The inner result is the new revision, or the one there is if another was expected.
pub(super) async fn define(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    expected: u64,
    body: &[u8],
) -> Result<Result<u64, u64>, Fault> {
    let (lane, tenant, texts) = (place.of_tenant(), place.number, &shape.texts);
    let rows = session.begin(vec![call!(texts.lock_revision, one(lane), one(tenant))]).await?;
    let actual = rows.iter().flatten().next().map(|row| Columns::of(row).count()).transpose()?.unwrap_or(0);
    if actual != expected {
        session.roll_back().await;
        return Ok(Err(actual));
    }
    let next = actual + 1;
    let revision = i64::try_from(next).map_err(|_| damaged("a revision past every count"))?;
    let calls = vec![
        call!(texts.set_revision, one(lane), one(tenant), one(revision)),
        call!(texts.add_definition, one(lane), one(tenant), one(revision), one(body)),
    ];
    session.end(calls).await?;
    Ok(Ok(next))
}
