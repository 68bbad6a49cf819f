//! What customers are worth, over the whole base: reports, which are values and no events.
//!
//! Each reads every customer's state once, a page at a time, as of the last time anything happened or was due: call
//! [`advance`](super::Crm::advance) first where time has passed. Only a few numbers stay in memory for each customer whom
//! a report is about; each report says how many.

mod brings;
mod composite;
mod debt;
mod rfm;
mod social;

use std::sync::Arc;

use crm_core::customer::Customer;
use crm_core::value::ValuePolicy;
use crm_core::{CustomerId, Definitions, Timestamp};

pub use brings::{BringsReport, KeyCustomer};
pub use composite::ValueReport;
pub use debt::{DebtReport, Debtor};
pub use rfm::{GroupSize, RfmReport, RfmRow};
pub use social::{SocialReport, SocialRow};

use super::{Crm, PAGE};
use crate::error::Error;

/// A walk over the base, in the order of the customers' ids.
pub(super) struct Walk<'c> {
    crm: &'c Crm,
    pub(super) definitions: Arc<Definitions>,
    /// The instant that the report is as of.
    pub(super) at: Timestamp,
    after: Option<CustomerId>,
}

impl Crm {
    pub(super) async fn walk(&self) -> Result<Walk<'_>, Error> {
        let definitions = self.definitions().await?;
        Ok(Walk { crm: self, definitions, at: self.now(), after: None })
    }
}

impl Walk<'_> {
    /// The next page; empty at the end. Customers who appear meanwhile may or may not be among them.
    pub(super) async fn next(&mut self) -> Result<Vec<Customer>, Error> {
        let rows = self.crm.page_of_customers(self.after, PAGE).await?;
        self.after = rows.last().map(|row| row.customer).or(self.after);
        let mut page = Vec::with_capacity(rows.len());
        for row in rows {
            page.push(self.crm.decode(&row, &self.definitions).await?.customer);
        }
        Ok(page)
    }

    pub(super) fn policy(&self) -> Arc<ValuePolicy> {
        self.definitions.value(self.at)
    }
}
