//! Reading. Each function runs inside one read transaction, so that a list shows one moment.

use crm_core::{CustomerId, EventId, SmolStr, TenantId, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Params, params, params_from_iter};

use super::column::{Columns, damaged};
use super::driver::{self, Asked, Statement};
use super::fault::Fault;
use super::histories::{Histories, POSITIONS_MAX, Wanted};
use super::sql;
use crate::commit::{ClaimKey, IdempotencyKey, OutboxEntry, Traits};
use crate::row::{
    ClaimOwner, Cursor, CustomerRow, DeadLetter, DefinitionRows, Details, Due, Entries, Entry, FeedRow, LeaseToken,
    Loaded, OutputScores, Page, Parts, RequestRow, Scanned, ScannedRow, ScoreRow, ScoresAsked, StateRow,
};
use crate::selection::Selection;

/// Runs a reading in a transaction of its own.
pub(super) fn in_transaction<T>(
    file: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    file.prepare_cached("BEGIN")?.execute([])?;
    let read = read(file);
    let ended = file.prepare_cached("COMMIT").and_then(|mut end| end.execute([]));
    if ended.is_err() && !file.is_autocommit() {
        file.execute_batch("ROLLBACK")?;
    }
    ended?;
    read
}

pub(super) fn load(file: &Connection, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, Fault> {
    let Some(tenant) = number(file, tenant)? else {
        return Ok(Loaded { rows: vec![None; customers.len()], definitions: 0 });
    };
    let revision: i64 = file.prepare_cached(sql::DEFINITIONS)?.query_row([tenant], |row| row.get(0))?;
    let mut select = file.prepare_cached(sql::CUSTOMER)?;
    let mut row_of = |&customer: &CustomerId| {
        let mut rows = select.query(params![tenant, &customer.as_uuid().as_bytes()[..]])?;
        rows.next()?.map(|row| customer_row(customer, &mut Columns::of(row))).transpose()
    };
    let rows = customers.iter().map(&mut row_of).collect::<Result<_, Fault>>()?;
    Ok(Loaded { rows, definitions: revision.unsigned_abs() })
}

/// One customer, read by a single statement, which needs no transaction.
pub(super) fn load_one(file: &Connection, tenant: &TenantId, customer: CustomerId) -> Result<Loaded, Fault> {
    let mut select = file.prepare_cached(sql::ONE_CUSTOMER)?;
    let mut rows = select.query(params![tenant.as_str(), &customer.as_uuid().as_bytes()[..]])?;
    let Some(row) = rows.next()? else { return Ok(Loaded { rows: vec![None], definitions: 0 }) };
    let mut columns = Columns::of(row);
    let definitions = columns.plain::<i64>()?.unsigned_abs();
    let is_there = row.get_ref(1)? != ValueRef::Null;
    let row = is_there.then(|| customer_row(customer, &mut columns)).transpose()?;
    Ok(Loaded { rows: vec![row], definitions })
}

pub(super) fn details(
    file: &Connection,
    tenant: &TenantId,
    customers: &[CustomerId],
    parts: Parts,
) -> Result<Vec<Option<Details>>, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(vec![None; customers.len()]) };
    let of = |&customer: &CustomerId| details_of(file, tenant, customer, parts);
    customers.iter().map(of).collect()
}

fn details_of(file: &Connection, tenant: i64, customer: CustomerId, parts: Parts) -> Result<Option<Details>, Fault> {
    let id = &customer.as_uuid().as_bytes()[..];
    let of = params![tenant, id];
    let Some(traits) = list(file, if parts.traits { &sql::TRAITS } else { sql::VERSION }, of, |columns| {
        if parts.traits { columns.traits() } else { Ok(Traits::NONE) }
    })?
    .pop() else {
        return Ok(None);
    };
    let mut details = Details { traits, ..Details::default() };
    if parts.scores {
        details.scores = list(file, sql::SCORES, of, score)?;
    }
    if parts.personal {
        details.key = list(file, sql::PERSON_KEY, of, |columns| columns.bytes())?.pop();
        details.personal = list(file, sql::PERSONAL, of, |columns| Ok((columns.text()?, columns.bytes()?)))?;
        let tokens: i64 = file.prepare_cached(sql::TOKENS)?.query_row(of, |row| row.get(0))?;
        details.tokens = tokens.unsigned_abs();
    }
    if parts.requests {
        details.requests = list(file, sql::REQUESTS, of, |columns| {
            let key = columns.text()?;
            let key = IdempotencyKey::new(&key).ok_or_else(|| damaged("an idempotency key of another length"))?;
            Ok(RequestRow { key, digest: columns.digest()?, answer: columns.bytes()? })
        })?;
    }
    if parts.outbox {
        details.outbox = list(file, sql::OUTBOX_OF, of, outbox_entry)?;
    }
    Ok(Some(details))
}

fn score(columns: &mut Columns<'_>) -> Result<ScoreRow, Fault> {
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

pub(super) fn scan(
    file: &Connection,
    tenant: &TenantId,
    after: Option<CustomerId>,
    limit: usize,
    scores: Option<&ScoresAsked>,
) -> Result<Scanned, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(Scanned::default()) };
    let revision: i64 = file.prepare_cached(sql::DEFINITIONS)?.query_row([tenant], |row| row.get(0))?;
    // No bytes at all come before every id.
    let after = after.map_or_else(Vec::new, |customer| customer.as_uuid().as_bytes().to_vec());
    let mut of_output = file.prepare_cached(sql::SCORES_OF)?;
    let mut select = file.prepare_cached(&sql::SCAN)?;
    let mut found = select.query(params![tenant, after, rows_limit(limit.max(1))])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let mut columns = Columns::of(row);
        let (customer, version) = (columns.customer()?, columns.version()?);
        let (traits, shape) = (columns.traits()?, columns.plain()?);
        let mut own = Vec::new();
        if let Some(asked) = scores {
            own.reserve_exact(asked.outputs.len());
            for output in &asked.outputs {
                own.push(scores_of(&mut of_output, tenant, customer, output, asked)?);
            }
        }
        rows.push(ScannedRow { customer, version, shape, traits, scores: own });
    }
    Ok(Scanned { rows, definitions: revision.unsigned_abs() })
}

fn scores_of(
    select: &mut rusqlite::CachedStatement<'_>,
    tenant: i64,
    customer: CustomerId,
    output: &SmolStr,
    asked: &ScoresAsked,
) -> Result<OutputScores, Fault> {
    let whose = &customer.as_uuid().as_bytes()[..];
    let mut found = select.query(params![tenant, whose, asked.plugin.as_str(), output.as_str()])?;
    let mut scores = OutputScores::default();
    while let Some(row) = found.next()? {
        let mut columns = Columns::of(row);
        let at = columns.time()?;
        scores.instants.push(at);
        if at == asked.at {
            scores.known = Some(ScoreRow {
                plugin: asked.plugin.clone(),
                output: output.clone(),
                at,
                value: columns.plain()?,
                version: columns.text()?,
                digest: columns.digest()?,
                input: columns.digest()?,
                inputs: columns.bytes()?,
                recorded_at: columns.time_or_null()?,
                terms: columns.text()?,
            });
        }
    }
    Ok(scores)
}

pub(super) fn outbox_entry(columns: &mut Columns<'_>) -> Result<OutboxEntry, Fault> {
    Ok(OutboxEntry {
        id: columns.event()?,
        customer: columns.customer()?,
        topic: columns.text()?,
        due_at: columns.time()?,
        body: columns.bytes()?,
    })
}

pub(super) fn dead_letters(
    file: &Connection,
    tenant: &TenantId,
    after: Option<(Timestamp, EventId)>,
    limit: usize,
) -> Result<Vec<DeadLetter>, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(Vec::new()) };
    let due_at = after.map_or(i64::MIN, |(due_at, _)| due_at.as_millis());
    // No bytes at all come before every id.
    let id = after.map_or_else(Vec::new, |(_, id)| id.as_uuid().as_bytes().to_vec());
    list(file, sql::DEAD_LETTERS, params![tenant, due_at, id, rows_limit(limit.max(1))], |columns| {
        let entry = outbox_entry(columns)?;
        let (attempts, reason) = (columns.plain()?, columns.text()?);
        Ok(DeadLetter { entry, attempts, reason, token: LeaseToken(columns.plain::<i64>()?.unsigned_abs()) })
    })
}

pub(super) fn select(
    file: &Connection,
    tenant: &TenantId,
    selection: &Selection,
    after: Option<CustomerId>,
    limit: usize,
) -> Result<Vec<CustomerId>, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(Vec::new()) };
    // No bytes at all come before every id.
    let after = after.map_or_else(Vec::new, |customer| customer.as_uuid().as_bytes().to_vec());
    let asked = Asked::Page { after, limit: rows_limit(limit.max(1)) };
    let Statement { sql, parameters } = driver::statement(file, tenant, selection, asked)?;
    list(file, &sql, params_from_iter(parameters), |columns| columns.customer())
}

pub(super) fn count(file: &Connection, tenant: &TenantId, selection: &Selection) -> Result<u64, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(0) };
    let Statement { sql, parameters } = driver::statement(file, tenant, selection, Asked::Count)?;
    let count: i64 = file.prepare_cached(&sql)?.query_row(params_from_iter(parameters), |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

pub(super) fn history(
    file: &Connection,
    wanted: &Wanted,
    after: Option<Cursor>,
    limit: usize,
    histories: Option<&Histories>,
) -> Result<Page<Entry>, Fault> {
    let Some(tenant) = number(file, &wanted.tenant)? else { return Ok(Page { rows: Vec::new(), next: None }) };
    let limit = limit.max(1);
    if let (Some(Cursor(after)), Some(histories)) = (after, histories)
        && let Some(page) = further_page(file, tenant, wanted, after, limit, histories)?
    {
        return Ok(page);
    }
    let after = after.map_or(0, |cursor| i64::try_from(cursor.0).unwrap_or(i64::MAX));
    let sql = match wanted.entries {
        Entries::All => sql::HISTORY,
        Entries::Events => sql::EVENTS,
        Entries::Changes => sql::CHANGES,
    };
    let id = &wanted.customer.as_uuid().as_bytes()[..];
    // One more than is asked for says whether there is a next page.
    let parameters = params![tenant, id, after, rows_limit(limit.saturating_add(1))];
    let mut rows = list(file, sql, parameters, |columns| Ok((columns.plain::<i64>()?, columns.entry()?)))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(position, _)| Cursor(position.unsigned_abs()));
    Ok(Page { rows: rows.into_iter().map(|(_, row)| row).collect(), next })
}

/// A page by positions that are known, or become known for the pages after it; none if it may be the last.
fn further_page(
    file: &Connection,
    tenant: i64,
    wanted: &Wanted,
    after: u64,
    limit: usize,
    histories: &Histories,
) -> Result<Option<Page<Entry>>, Fault> {
    let Ok(after) = i64::try_from(after) else { return Ok(None) };
    let id = &wanted.customer.as_uuid().as_bytes()[..];
    let mut page = histories.page(wanted, after, limit);
    if page.is_none() {
        let sql = match wanted.entries {
            Entries::All => sql::HISTORY_POSITIONS,
            Entries::Events => sql::EVENT_POSITIONS,
            Entries::Changes => sql::CHANGE_POSITIONS,
        };
        let parameters = params![tenant, id, after, rows_limit(POSITIONS_MAX)];
        let mut positions = list(file, sql, parameters, |columns| columns.plain())?;
        // Not worth it for one more page.
        if positions.len() / 2 > limit {
            positions.insert(0, after);
            histories.keep(wanted.clone(), positions);
            page = histories.page(wanted, after, limit);
        }
    }
    let Some(positions) = page else { return Ok(None) };
    let mut select = file.prepare_cached(sql::ENTRY)?;
    let mut entries = Vec::with_capacity(positions.len());
    for position in &positions {
        let mut rows = select.query(params![tenant, id, position])?;
        // Entries do not go away, unless the file is another one now.
        let Some(row) = rows.next()? else { return Ok(None) };
        entries.push(Columns::of(row).entry()?);
    }
    Ok(Some(Page { rows: entries, next: positions.last().map(|position| Cursor(position.unsigned_abs())) }))
}

pub(super) fn feed(file: &Connection, after: u64, limit: usize) -> Result<Vec<FeedRow>, Fault> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    list(file, sql::FEED, params![after, rows_limit(limit.max(1))], |columns| {
        let position: i64 = columns.plain()?;
        let entry = columns.entry()?;
        let (tenant, customer) = (columns.tenant()?, columns.customer()?);
        Ok(FeedRow { position: position.unsigned_abs(), tenant, customer, entry })
    })
}

pub(super) fn resolve(
    file: &Connection,
    tenant: &TenantId,
    keys: &[ClaimKey],
) -> Result<Vec<Option<ClaimOwner>>, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(vec![None; keys.len()]) };
    let mut select = file.prepare_cached(sql::OWNER)?;
    let mut owner_of = |key: &ClaimKey| {
        let mut rows = select.query(params![tenant, key.kind.as_str(), key.key])?;
        let owner = |mut columns: Columns<'_>| {
            Ok::<_, Fault>(ClaimOwner { customer: columns.customer()?, event: columns.event()? })
        };
        rows.next()?.map(|row| owner(Columns::of(row))).transpose()
    };
    keys.iter().map(&mut owner_of).collect()
}

pub(super) fn due(file: &Connection, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(Vec::new()) };
    list(file, sql::DUE, params![tenant, until.as_millis(), rows_limit(limit)], |columns| {
        Ok(Due { alarm: columns.alarm()?, customer: columns.customer()? })
    })
}

pub(super) fn definitions(file: &Connection, tenant: &TenantId) -> Result<DefinitionRows, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(DefinitionRows::default()) };
    let rows = list(file, sql::DEFINITION_ROWS, [tenant], |columns| columns.bytes())?;
    Ok(DefinitionRows { revision: rows.len() as u64, rows })
}

/// As many rows as SQLite can be asked for.
pub(super) fn rows_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn number(file: &Connection, tenant: &TenantId) -> Result<Option<i64>, Fault> {
    Ok(file.prepare_cached(sql::TENANT)?.query_row([tenant.as_str()], |row| row.get(0)).optional()?)
}

fn customer_row(customer: CustomerId, columns: &mut Columns<'_>) -> Result<CustomerRow, Fault> {
    let version = columns.version()?;
    let state = StateRow { shape: columns.plain()?, bytes: columns.bytes()? };
    Ok(CustomerRow { customer, version, state, sets: columns.sets()? })
}

fn list<T>(
    file: &Connection,
    sql: &str,
    parameters: impl Params,
    mut read: impl FnMut(&mut Columns<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut select = file.prepare_cached(sql)?;
    let mut rows = select.query(parameters)?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        list.push(read(&mut Columns::of(row))?);
    }
    Ok(list)
}
