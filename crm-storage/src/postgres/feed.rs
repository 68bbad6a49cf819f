//! Following the feed, which is the store's and not a tenant's.

use std::collections::HashMap;

use crm_core::TenantId;
use tokio_postgres::Row;

use super::column::{Columns, damaged};
use super::fault::Fault;
use super::read::{entry, rows_limit};
use super::session::Session;
use super::shape::Shape;
use super::wire::{call, list, one};
use crate::error::CursorError;
use crate::row::{CursorStep, FeedCursor, FeedRow};

pub(super) async fn feed(
    session: &mut Session<'_>,
    shape: &Shape,
    lane: i16,
    after: u64,
    limit: usize,
) -> Result<Vec<FeedRow>, Fault> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let call = call!(shape.texts.feed, one(lane), one(after), one(rows_limit(limit.max(1))));
    let rows = session.read(vec![call]).await?.pop().unwrap_or_default();
    let mut numbers: Vec<i64> = rows.iter().map(|row| Columns::of(row).plain()).collect::<Result<_, _>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    let mut names = HashMap::new();
    if !numbers.is_empty() {
        for row in session.read(vec![call!(shape.texts.tenants, list(numbers))]).await?.iter().flatten() {
            let mut columns = Columns::of(row);
            let (number, name): (i64, &str) = (columns.plain()?, columns.plain()?);
            names.insert(number, TenantId::new(name).map_err(|error| damaged(error.to_string()))?);
        }
    }
    let row = |row: &Row| {
        let mut columns = Columns::of(row);
        let number: i64 = columns.plain()?;
        let tenant = names.get(&number).cloned().ok_or_else(|| damaged("an entry of no tenant"))?;
        let (customer, position) = (columns.customer()?, columns.count()?);
        Ok(FeedRow { position, tenant, customer, entry: entry(&mut columns)? })
    };
    rows.iter().map(row).collect()
}

/// Why a cursor did not move: a refusal, or a fault.
#[derive(Debug)]
pub(super) enum Stuck {
    Refused(CursorError),
    Failed(Fault),
}

impl From<Fault> for Stuck {
    fn from(fault: Fault) -> Self {
        Stuck::Failed(fault)
    }
}

/// Where a cursor stands after a step. The caller makes it again if somebody was in the way.
pub(super) async fn cursor(
    session: &mut Session<'_>,
    shape: &Shape,
    consumer: &str,
    lane: i16,
    step: CursorStep,
) -> Result<FeedCursor, Stuck> {
    let texts = &shape.texts;
    let name = || one(consumer.as_bytes());
    if step == CursorStep::Look {
        let rows = session.read(vec![call!(texts.look_cursor, one(lane), name())]).await?;
        return Ok(rows.iter().flatten().next().map(stands).transpose()?.unwrap_or_default());
    }
    let calls = vec![call!(texts.lock_cursor, one(lane), name()), call!(texts.end_of_lane, one(lane))];
    let rows = session.begin(calls).await?;
    let [found, end] = &rows[..] else { return Err(Fault::Damaged("an answer that is cut short".into()).into()) };
    let found = found.first().map(stands).transpose()?;
    let end = end.first().map(end_of_lane).transpose()?.unwrap_or(0);
    let stood = found.unwrap_or_default();
    let moved = match stood.after(step, end) {
        Ok(moved) if moved != stood => moved,
        other => {
            session.roll_back().await;
            return other.map_err(Stuck::Refused);
        }
    };
    let text = if found.is_some() { &texts.set_cursor } else { &texts.add_cursor };
    let (position, epoch) = (moved.position as i64, moved.epoch as i64);
    session.end(vec![call!(text, one(lane), name(), one(position), one(epoch))]).await?;
    Ok(moved)
}

fn end_of_lane(row: &Row) -> Result<u64, Fault> {
    let mut columns = Columns::of(row);
    let _lane: i16 = columns.plain()?;
    columns.count()
}

fn stands(row: &Row) -> Result<FeedCursor, Fault> {
    let mut columns = Columns::of(row);
    Ok(FeedCursor { position: columns.count()?, epoch: columns.count()? })
}

impl Stuck {
    /// Whether the same again may well succeed.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Stuck::Refused(_) => false,
            // A duplicate is a cursor that somebody else moved for the first time meanwhile.
            Stuck::Failed(fault) => fault.is_passing() || fault.is_duplicate(),
        }
    }
}
