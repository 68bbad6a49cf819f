//! Adding many customers to a set at once, for stores that have no better way than to write each.

use crm_core::{CustomerId, SetKey, TenantId};

use crate::commit::{Commit, CustomerWrite, Expected};
use crate::error::{CommitError, StorageError};
use crate::row::{ChangeRow, Parts};
use crate::selection::Selection;
use crate::store::Store;

/// How many customers are written in one call.
const AT_ONCE: usize = 1_000;

/// How often a page is written anew when other writers are first.
const ATTEMPTS_MAX: u32 = 64;

/// Customers who are to be added to a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Enrolment {
    /// Whom. Of these, those who are in the set already are left alone.
    pub selection: Selection,
    /// The set.
    pub set: SetKey,
    /// What is appended to the history of each who is added.
    pub change: ChangeRow,
}

/// What became of a page of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrolled {
    /// How many customers were added.
    pub customers: u64,
    /// After whom to go on; none at the end.
    pub next: Option<CustomerId>,
}

impl Enrolment {
    /// Those who are meant and are not in the set.
    #[must_use]
    pub fn missing(&self) -> Selection {
        let there = Selection::In(self.set.clone());
        Selection::All(vec![self.selection.clone(), Selection::Not(Box::new(there))])
    }
}

/// Enrols a page by the other methods of a store.
pub(crate) async fn by_commits<S: Store + ?Sized>(
    store: &S,
    tenant: &TenantId,
    enrolment: &Enrolment,
    after: Option<CustomerId>,
    limit: usize,
) -> Result<Enrolled, StorageError> {
    let limit = limit.clamp(1, AT_ONCE);
    let missing = enrolment.missing();
    let mut enrolled = Enrolled { customers: 0, next: None };
    for _ in 0..ATTEMPTS_MAX {
        let room = limit - usize::try_from(enrolled.customers).unwrap_or(limit).min(limit - 1);
        let ids = store.select(tenant, &missing, after, room).await?;
        let rows = store.load(tenant, &ids).await?.rows;
        // What is read after the state is written only if the state is still the same.
        let details = store.details(tenant, &ids, Parts { traits: true, ..Parts::default() }).await?;
        let commits: Vec<Commit> = rows
            .into_iter()
            .zip(details)
            .filter_map(|(row, details)| {
                let (row, mut traits) = (row?, details?.traits);
                let place = traits.sets.binary_search(&enrolment.set).err()?;
                traits.sets.insert(place, enrolment.set.clone());
                let mut write = CustomerWrite::new(row.customer, Expected::At(row.version), row.state);
                write.traits = traits;
                write.changes = vec![enrolment.change.clone()];
                Some(Commit { writes: vec![write], ..Commit::default() })
            })
            .collect();
        let (read, written) = (ids.len(), commits.len());
        let mut again = written < read;
        for answer in store.commit(tenant, commits).await? {
            match answer {
                Ok(_) => enrolled.customers += 1,
                Err(CommitError::Conflict { .. }) => again = true,
                Err(refused) => return Err(StorageError::Corrupt { what: refused.to_string() }),
            }
        }
        if !again {
            enrolled.next = ids.last().copied().filter(|_| read == room);
            return Ok(enrolled);
        }
    }
    let source = format!("other writers were first, {ATTEMPTS_MAX} times").into();
    Err(StorageError::Backend { doing: "enrol customers", source })
}
