//! Reading. Each function runs inside one read transaction, so that a list shows one moment.

use crm_core::{CustomerId, TenantId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::column::Columns;
use super::fault::Fault;
use super::sql;
use crate::commit::ClaimKey;
use crate::row::{
    ChangeRow, ClaimOwner, Cursor, CustomerRow, DefinitionRows, Due, EventRow, Loaded, Page, ScoreRow, StateRow,
};

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

pub(super) fn customers(
    file: &Connection,
    tenant: &TenantId,
    after: Option<CustomerId>,
    limit: usize,
) -> Result<Vec<CustomerRow>, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(Vec::new()) };
    // No bytes at all come before every id.
    let after = after.map_or_else(Vec::new, |customer| customer.as_uuid().as_bytes().to_vec());
    list(file, sql::CUSTOMERS, params![tenant, after, rows_limit(limit.max(1))], |columns| {
        let customer = columns.customer()?;
        customer_row(customer, columns)
    })
}

pub(super) fn history(
    file: &Connection,
    tenant: &TenantId,
    customer: CustomerId,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<EventRow>, Fault> {
    page(file, sql::HISTORY, tenant, customer, after, limit, |columns| {
        Ok(EventRow {
            id: columns.event()?,
            at: columns.time()?,
            recorded_at: columns.time()?,
            kind: columns.text()?,
            shape: columns.plain()?,
            source: columns.source()?,
            cause: columns.event_or_null()?,
            body: columns.bytes()?,
        })
    })
}

pub(super) fn changes(
    file: &Connection,
    tenant: &TenantId,
    customer: CustomerId,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<ChangeRow>, Fault> {
    page(file, sql::CHANGES, tenant, customer, after, limit, |columns| {
        Ok(ChangeRow { at: columns.time()?, kind: columns.text()?, body: columns.bytes()? })
    })
}

pub(super) fn scores(file: &Connection, tenant: &TenantId, customer: CustomerId) -> Result<Vec<ScoreRow>, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(Vec::new()) };
    list(file, sql::SCORES, params![tenant, &customer.as_uuid().as_bytes()[..]], |columns| {
        Ok(ScoreRow {
            plugin: columns.text()?,
            output: columns.text()?,
            at: columns.time()?,
            value: columns.plain()?,
            version: columns.text()?,
            digest: columns.digest()?,
            input: columns.digest()?,
        })
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
    Ok(CustomerRow { customer, version, state: StateRow { shape: columns.plain()?, bytes: columns.bytes()? } })
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

/// A page of a customer's entries. A place is the position of the entry before it.
fn page<T>(
    file: &Connection,
    sql: &str,
    tenant: &TenantId,
    customer: CustomerId,
    after: Option<Cursor>,
    limit: usize,
    mut read: impl FnMut(&mut Columns<'_>) -> Result<T, Fault>,
) -> Result<Page<T>, Fault> {
    let Some(tenant) = number(file, tenant)? else { return Ok(Page { rows: Vec::new(), next: None }) };
    let limit = limit.max(1);
    let after = after.map_or(0, |cursor| i64::try_from(cursor.0).unwrap_or(i64::MAX));
    let id = Value::Blob(customer.as_uuid().as_bytes().to_vec());
    // One more than is asked for says whether there is a next page.
    let parameters = params![tenant, id, after, rows_limit(limit.saturating_add(1))];
    let mut rows = list(file, sql, parameters, |columns| Ok((columns.plain::<i64>()?, read(columns)?)))?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(position, _)| Cursor(position.unsigned_abs()));
    Ok(Page { rows: rows.into_iter().map(|(_, row)| row).collect(), next })
}
