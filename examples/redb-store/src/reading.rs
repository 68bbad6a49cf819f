//! A tenant as one snapshot shows it: redb's readers see what was committed when they began, and wait for
//! nobody.

use std::ops::Bound;

use crm_core::{Alarm, AlarmKind, CustomerId, Digest, TenantId, Timestamp};
use crm_storage::{
    ClaimKey, ClaimOwner, Cursor, DefinitionRows, Details, Due, Entries, Entry, FeedRow, IdempotencyKey, Loaded, Page,
    Parts, RequestRow,
};
use redb::ReadTransaction;
use uuid::Uuid;

use crate::fault::Fault;
use crate::tables::{
    ALARMS, CLAIMS, CUSTOMERS, DEFINITIONS, FEED, FIELDS, HISTORY, OUTBOX, PERSON_KEYS, REQUESTS, SCORES, TOKENS,
    TRAITS,
};
use crate::{outbox, parts, writing};

/// What is read of a tenant.
pub(crate) struct Reading<'t> {
    pub(crate) tenant: &'t str,
    pub(crate) transaction: &'t ReadTransaction,
}

impl Reading<'_> {
    pub(crate) fn load(&self, customers: &[CustomerId]) -> Result<Loaded, Fault> {
        let table = self.transaction.open_table(CUSTOMERS)?;
        let traits = self.transaction.open_table(TRAITS)?;
        let mut rows = Vec::with_capacity(customers.len());
        for customer in customers {
            let key = (self.tenant, *customer.as_uuid());
            let sets = match traits.get(key)? {
                Some(row) => parts::traits(row.value())?.sets,
                None => Vec::new(),
            };
            rows.push(table.get(key)?.map(|row| parts::customer_row(*customer, row.value(), sets)));
        }
        Ok(Loaded { rows, definitions: writing::revision(&self.transaction.open_table(DEFINITIONS)?, self.tenant)? })
    }

    pub(crate) fn owners(&self, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, Fault> {
        let claims = self.transaction.open_table(CLAIMS)?;
        keys.iter().map(|key| writing::owner(&claims, self.tenant, key)).collect()
    }

    pub(crate) fn definitions(&self) -> Result<DefinitionRows, Fault> {
        let definitions = self.transaction.open_table(DEFINITIONS)?;
        let mut rows = Vec::new();
        for row in definitions.range((self.tenant, 0)..=(self.tenant, u64::MAX))? {
            rows.push(row?.1.value().to_vec());
        }
        Ok(DefinitionRows { revision: rows.len() as u64, rows })
    }

    pub(crate) fn history(
        &self,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, Fault> {
        let at = |place| (self.tenant, *customer.as_uuid(), place);
        let behind = Bound::Excluded(at(after.map_or(0, |Cursor(place)| place)));
        let mut page = Page { rows: Vec::new(), next: None };
        let mut last = None;
        for row in self.transaction.open_table(HISTORY)?.range((behind, Bound::Included(at(u64::MAX))))? {
            let (key, parts) = row?;
            let entry = parts::entry(parts.value())?;
            if !entries.contain(&entry) {
                continue;
            }
            // Only an entry too many shows that the page goes on.
            if page.rows.len() == limit.max(1) {
                page.next = last;
                break;
            }
            last = Some(Cursor(key.value().2));
            page.rows.push(entry);
        }
        Ok(page)
    }

    pub(crate) fn due(&self, until: Timestamp, limit: usize) -> Result<Vec<Due>, Fault> {
        let first = (self.tenant, i64::MIN, 0, Uuid::nil());
        let last = (self.tenant, until.as_millis(), u8::MAX, Uuid::max());
        let mut due = Vec::new();
        for row in self.transaction.open_table(ALARMS)?.range(first..=last)?.take(limit) {
            let (_, due_at, rank, customer) = row?.0.value();
            let kind = AlarmKind::by_rank(rank).ok_or_else(|| Fault::Damaged(format!("an alarm of kind {rank}")))?;
            let alarm = Alarm { due_at: parts::instant(due_at)?, kind };
            due.push(Due { alarm, customer: CustomerId::from_uuid(customer) });
        }
        Ok(due)
    }

    /// What is kept about a customer beside state and history; none for one who is not there.
    pub(crate) fn details(&self, customer: CustomerId, parts: Parts) -> Result<Option<Details>, Fault> {
        let (transaction, tenant, id) = (self.transaction, self.tenant, *customer.as_uuid());
        let Some(row) = transaction.open_table(TRAITS)?.get((tenant, id))? else { return Ok(None) };
        let mut details = Details::default();
        if parts.traits {
            details.traits = parts::traits(row.value())?;
        }
        if parts.scores {
            for row in transaction.open_table(SCORES)?.range((tenant, id, "", "", i64::MIN)..)? {
                let (key, score) = row?;
                let (of, whose, plugin, output, at) = key.value();
                if (of, whose) != (tenant, id) {
                    break;
                }
                details.scores.push(parts::score(plugin, output, at, score.value())?);
            }
        }
        if parts.personal {
            details.key = transaction.open_table(PERSON_KEYS)?.get((tenant, id))?.map(|key| key.value().to_vec());
            for row in transaction.open_table(FIELDS)?.range((tenant, id, "")..)? {
                let (key, value) = row?;
                let (of, whose, name) = key.value();
                if (of, whose) != (tenant, id) {
                    break;
                }
                details.personal.push((name.into(), value.value().to_vec()));
            }
            let tokens = (tenant, id, &[0; 16])..=(tenant, id, &[0xff; 16]);
            details.tokens = transaction.open_table(TOKENS)?.range(tokens)?.count() as u64;
        }
        if parts.requests {
            details.requests = self.requests(id)?;
        }
        if parts.outbox {
            let letters = outbox::about(&transaction.open_table(OUTBOX)?, tenant, customer)?;
            details.outbox = letters.into_iter().map(|letter| letter.entry).collect();
        }
        Ok(Some(details))
    }

    fn requests(&self, id: Uuid) -> Result<Vec<RequestRow>, Fault> {
        let mut requests = Vec::new();
        for row in self.transaction.open_table(REQUESTS)?.range((self.tenant, id, "")..)? {
            let (key, value) = row?;
            let (of, whose, key) = key.value();
            if (of, whose) != (self.tenant, id) {
                break;
            }
            let key = IdempotencyKey::new(key).ok_or_else(|| Fault::Damaged("a request without a key".into()))?;
            let (digest, answer) = value.value();
            requests.push(RequestRow { key, digest: Digest::from_bytes(*digest), answer: answer.into() });
        }
        Ok(requests)
    }
}

/// Rows of the one lane after a position.
pub(crate) fn feed(transaction: &ReadTransaction, after: u64, limit: usize) -> Result<Vec<FeedRow>, Fault> {
    let history = transaction.open_table(HISTORY)?;
    let mut rows = Vec::new();
    let behind = (Bound::Excluded(after), Bound::Unbounded);
    for row in transaction.open_table(FEED)?.range::<u64>(behind)?.take(limit.max(1)) {
        let (key, place) = row?;
        let (position, (tenant, customer, place)) = (key.value(), place.value());
        let Some(parts) = history.get((tenant, customer, place))? else {
            return Err(Fault::Damaged(format!("position {position} of the feed leads nowhere")));
        };
        let entry = parts::entry(parts.value())?;
        let tenant = TenantId::new(tenant).map_err(|error| Fault::damaged("a tenant", error))?;
        rows.push(FeedRow { position, tenant, customer: CustomerId::from_uuid(customer), entry });
    }
    Ok(rows)
}
