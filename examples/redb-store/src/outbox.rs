//! The outbox: entries by id, and beside them two lists by due and id, of those that wait and of the dead.

use std::ops::Bound;

use crm_core::{CustomerId, Span, Timestamp};
use crm_storage::{DeadLetter, GivenUp, Leased, OutboxEntry, Settlement, Verdict};
use redb::ReadableTable;
use uuid::Uuid;

use crate::fault::Fault;
use crate::parts::{Letter, LetterParts};
use crate::reading::Reading;
use crate::tables::{DEAD, LEASES, NOT_LEASED, OUTBOX, WAITING};
use crate::writing::Writing;

/// Adds an entry, unless one of its id waits or is dead.
pub(crate) fn add(writing: &Writing<'_>, entry: &OutboxEntry) -> Result<(), Fault> {
    if get(writing, *entry.id.as_uuid())?.is_some() {
        return Ok(());
    }
    put(writing, &Letter { entry: entry.clone(), attempts: 0, token: None, reason: None })
}

/// Adds a dead letter, unless an entry of its id waits or is dead.
pub(crate) fn bury(writing: &Writing<'_>, letter: &GivenUp) -> Result<(), Fault> {
    let GivenUp { entry, attempts, reason } = letter;
    if get(writing, *entry.id.as_uuid())?.is_some() {
        return Ok(());
    }
    let reason = Some(reason.as_str().into());
    put(writing, &Letter { entry: entry.clone(), attempts: *attempts, token: Some(0), reason })
}

/// Leases what is due and free.
pub(crate) fn lease(writing: &Writing<'_>, now: Timestamp, lease: Span, limit: usize) -> Result<Vec<Leased>, Fault> {
    let Writing { tenant, transaction } = *writing;
    let now_ms = now.as_millis();
    let mut places = Vec::new();
    for row in
        transaction.open_table(WAITING)?.range((tenant, i64::MIN, Uuid::nil())..=(tenant, now_ms, Uuid::max()))?
    {
        if places.len() == limit {
            break;
        }
        let (key, until) = row?;
        if until.value() <= now_ms {
            let (_, due, id) = key.value();
            places.push((due, id));
        }
    }
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut leases = transaction.open_table(LEASES)?;
    let token = leases.get(tenant)?.map_or(0, |count| count.value()) + 1;
    leases.insert(tenant, token)?;
    let until = now.plus(lease).as_millis();
    let mut leased = Vec::with_capacity(places.len());
    for (due, id) in places {
        let mut letter = get(writing, id)?.ok_or_else(|| lost(id))?;
        letter.attempts = letter.attempts.saturating_add(1);
        letter.token = Some(token);
        transaction.open_table(OUTBOX)?.insert((tenant, id), letter.parts())?;
        transaction.open_table(WAITING)?.insert((tenant, due, id), until)?;
        leased.push(letter.leased(token));
    }
    Ok(leased)
}

/// Settles one lease or dead letter; false if its token is not the one that can.
pub(crate) fn settle(writing: &Writing<'_>, settlement: &Settlement) -> Result<bool, Fault> {
    let Some(mut letter) = get(writing, *settlement.id.as_uuid())? else { return Ok(false) };
    if letter.token != Some(settlement.token.0) {
        return Ok(false);
    }
    remove(writing, &letter)?;
    match &settlement.verdict {
        Verdict::Done => return Ok(true),
        Verdict::Retry { at } => {
            (letter.token, letter.reason) = (None, None);
            letter.entry.due_at = *at;
        }
        Verdict::GiveBack => {
            letter.attempts = letter.attempts.saturating_sub(1);
            (letter.token, letter.reason) = (None, None);
        }
        Verdict::Dead { reason } => letter.reason = Some(reason.as_str().into()),
    }
    put(writing, &letter)?;
    Ok(true)
}

/// Removes the entries about a customer, and says how many there were.
pub(crate) fn forget(writing: &Writing<'_>, customer: CustomerId) -> Result<u64, Fault> {
    let letters = about(&writing.transaction.open_table(OUTBOX)?, writing.tenant, customer)?;
    letters.iter().try_for_each(|letter| remove(writing, letter))?;
    Ok(letters.len() as u64)
}

/// The entries about a customer: those that wait, then the dead ones, each by due and id.
pub(crate) fn about(
    outbox: &impl ReadableTable<(&'static str, Uuid), LetterParts<'static>>,
    tenant: &str,
    customer: CustomerId,
) -> Result<Vec<Letter>, Fault> {
    let mut letters = Vec::new();
    for row in outbox.range((tenant, Uuid::nil())..=(tenant, Uuid::max()))? {
        let (key, parts) = row?;
        if parts.value().0 == *customer.as_uuid() {
            letters.push(Letter::new(key.value().1, parts.value())?);
        }
    }
    letters.sort_by_key(|letter| (letter.reason.is_some(), letter.place()));
    Ok(letters)
}

/// Dead letters after one.
pub(crate) fn dead_letters(
    Reading { tenant, transaction }: Reading<'_>,
    after: Option<&DeadLetter>,
    limit: usize,
) -> Result<Vec<DeadLetter>, Fault> {
    let outbox = transaction.open_table(OUTBOX)?;
    let after = after.map(|after| (tenant, after.entry.due_at.as_millis(), *after.entry.id.as_uuid()));
    let after = after.map_or(Bound::Included((tenant, i64::MIN, Uuid::nil())), Bound::Excluded);
    let end = Bound::Included((tenant, i64::MAX, Uuid::max()));
    let mut letters = Vec::new();
    for row in transaction.open_table(DEAD)?.range((after, end))?.take(limit.max(1)) {
        let (_, _, id) = row?.0.value();
        let parts = outbox.get((tenant, id))?.ok_or_else(|| lost(id))?;
        letters.push(Letter::new(id, parts.value())?.dead()?);
    }
    Ok(letters)
}

fn get(writing: &Writing<'_>, id: Uuid) -> Result<Option<Letter>, Fault> {
    let outbox = writing.transaction.open_table(OUTBOX)?;
    outbox.get((writing.tenant, id))?.map(|parts| Letter::new(id, parts.value())).transpose()
}

/// Puts a letter that nobody has leased, with its place.
fn put(Writing { tenant, transaction }: &Writing<'_>, letter: &Letter) -> Result<(), Fault> {
    let (due, id) = letter.place();
    transaction.open_table(OUTBOX)?.insert((*tenant, id), letter.parts())?;
    if letter.reason.is_some() {
        transaction.open_table(DEAD)?.insert((*tenant, due, id), ())?;
    } else {
        transaction.open_table(WAITING)?.insert((*tenant, due, id), NOT_LEASED)?;
    }
    Ok(())
}

/// Removes a letter and its place.
fn remove(Writing { tenant, transaction }: &Writing<'_>, letter: &Letter) -> Result<(), Fault> {
    let (due, id) = letter.place();
    transaction.open_table(OUTBOX)?.remove((*tenant, id))?;
    transaction.open_table(DEAD)?.remove((*tenant, due, id))?;
    transaction.open_table(WAITING)?.remove((*tenant, due, id))?;
    Ok(())
}

fn lost(id: Uuid) -> Fault {
    Fault::Damaged(format!("outbox entry {id} has a place and is not there"))
}
