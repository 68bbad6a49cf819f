//! Removing what is personal, and what is left of it.
//!
//! redb never overwrites a page that is in use. A row that is removed stays in the file, in a page that is free,
//! until that page is used again. `Database::compact` moves what is in use to the front and cuts off the end; it
//! needs the database for itself, and promises nothing about the free pages in between. So copies go as they do
//! from a log, while the store keeps writing, and erasing again would not hasten it: `UntilLogsExpire`. Fields
//! are sealed; a host that keeps their keys elsewhere and destroys them has nothing to wait for.

use crm_core::CustomerId;
use crm_storage::{ClaimKey, Copies, Erased};
use redb::ReadableTable;

use crate::fault::Fault;
use crate::outbox;
use crate::tables::{CLAIMS, CUSTOMERS, FIELDS, PERSON_KEYS};
use crate::writing::{Writing, owner};

/// Removes what is personal about a customer, and raises their version.
pub(crate) fn erase(writing: &Writing<'_>, customer: CustomerId, keys: &[ClaimKey]) -> Result<Erased, Fault> {
    let (tenant, transaction, id) = (writing.tenant, writing.transaction, *customer.as_uuid());
    let mut customers = transaction.open_table(CUSTOMERS)?;
    let row = customers.get((tenant, id))?.map(|row| {
        let (version, shape, bytes) = row.value();
        (version, shape, bytes.to_vec())
    });
    if let Some((version, shape, bytes)) = row {
        customers.insert((tenant, id), (version + 1, shape, bytes.as_slice()))?;
    }
    Ok(Erased {
        fields: forget_fields(writing, customer)?,
        key: transaction.open_table(PERSON_KEYS)?.remove((tenant, id))?.is_some(),
        tokens: writing.forget_tokens(customer)?,
        outbox: outbox::forget(writing, customer)?,
        claims: give_up(writing, customer, keys)?,
        copies: Copies::UntilLogsExpire,
    })
}

fn forget_fields(writing: &Writing<'_>, customer: CustomerId) -> Result<u64, Fault> {
    let (tenant, id) = (writing.tenant, *customer.as_uuid());
    let mut fields = writing.transaction.open_table(FIELDS)?;
    let mut names = Vec::new();
    for row in fields.range((tenant, id, "")..)? {
        match row?.0.value() {
            (of, whose, name) if (of, whose) == (tenant, id) => names.push(name.to_owned()),
            _ => break,
        }
    }
    for name in &names {
        fields.remove((tenant, id, name.as_str()))?;
    }
    Ok(names.len() as u64)
}

/// Gives up those of the keys that the customer has.
fn give_up(writing: &Writing<'_>, customer: CustomerId, keys: &[ClaimKey]) -> Result<u64, Fault> {
    let mut claims = writing.transaction.open_table(CLAIMS)?;
    let mut given_up = 0;
    for key in keys {
        if owner(&claims, writing.tenant, key)?.is_some_and(|owner| owner.customer == customer) {
            claims.remove((writing.tenant, key.kind.as_str(), key.key.as_slice()))?;
            given_up += 1;
        }
    }
    Ok(given_up)
}
