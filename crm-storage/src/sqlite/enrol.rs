//! Adding a page of customers to a set in two statements: what is told of each is appended, and then whoever it was
//! told of is in the set.

use crm_core::{CustomerId, TenantId};
use rusqlite::{params, params_from_iter};

use super::column::Columns;
use super::driver::{self, Asked, Statement};
use super::fault::Fault;
use super::read::rows_limit;
use super::session::Session;
use crate::enrol::{Enrolled, Enrolment};

impl Session<'_> {
    pub(super) fn enrol(
        &mut self,
        tenant: &TenantId,
        enrolment: &Enrolment,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Enrolled, Fault> {
        let nobody = Enrolled { customers: 0, next: None };
        let Some(tenant) = self.tenant(tenant)? else { return Ok(nobody) };
        let after = after.map_or_else(Vec::new, |customer| customer.as_uuid().as_bytes().to_vec());
        let limit = rows_limit(limit.max(1));
        let asked = Asked::Page { after, limit };
        let missing = enrolment.missing();
        let Statement { sql, mut parameters } = driver::statement(self.connection, tenant, &missing, asked)?;
        let end: i64 = self.statements.feed_end()?.query_row([], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0);
        let places = [1, 2, 3].map(|n| format!("?{}", parameters.len() + n)).join(", ");
        let change = &enrolment.change;
        parameters.extend([change.at.as_millis().into(), change.kind.to_string().into(), change.body.clone().into()]);
        let tell = format!(
            "WITH page (id) AS ({sql}) INSERT INTO crm_entry (tenant, customer, at, kind, body) \
             SELECT ?1, id, {places} FROM page"
        );
        let told = self.connection.prepare_cached(&tell)?.execute(params_from_iter(parameters))?;
        if told == 0 {
            return Ok(nobody);
        }
        self.statements.enrol()?.execute(params![tenant, enrolment.set.as_str(), end])?;
        let full = i64::try_from(told).is_ok_and(|told| told >= limit);
        let next = match full {
            true => Some(self.statements.last_told()?.query_row(params![end], |row| Ok(Columns::of(row).customer()))??),
            false => None,
        };
        Ok(Enrolled { customers: told as u64, next })
    }
}
