//! Leasing and settling outbox entries, and adding definitions: the small writes beside commits.

use crm_core::{Span, TenantId, Timestamp};
use rusqlite::params;

use super::column::{Columns, damaged};
use super::fault::Fault;
use super::read::{outbox_entry, rows_limit};
use super::session::Session;
use crate::row::{LeaseToken, Leased, Settlement, Verdict};

impl Session<'_> {
    /// Leases what is due. All that one call leases has one token, which no other call has had.
    pub(super) fn lease(
        &mut self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, Fault> {
        let Some(tenant) = self.tenant(tenant)? else { return Ok(Vec::new()) };
        let leases: i64 = self.statements.leases()?.query_row([tenant], |row| row.get(0))?;
        let token = leases.checked_add(1).ok_or_else(|| damaged("more leases than can be counted"))?;
        let leased = self.leasable(tenant, now, limit, token)?;
        if !leased.is_empty() {
            self.statements.set_leases()?.execute([tenant, token])?;
        }
        let until = now.plus(lease).as_millis();
        for Leased { entry, attempt, .. } in &leased {
            let id = &entry.id.as_uuid().as_bytes()[..];
            self.statements.lease()?.execute(params![tenant, id, attempt, token, until])?;
        }
        Ok(leased)
    }

    fn leasable(&mut self, tenant: i64, now: Timestamp, limit: usize, token: i64) -> Result<Vec<Leased>, Fault> {
        let mut rows = self.statements.leasable()?.query(params![tenant, now.as_millis(), rows_limit(limit)])?;
        let mut leased = Vec::new();
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of(row);
            let entry = outbox_entry(&mut columns)?;
            let attempt = columns.plain::<u32>()?.saturating_add(1);
            leased.push(Leased { entry, token: LeaseToken(token.unsigned_abs()), attempt });
        }
        Ok(leased)
    }

    pub(super) fn settle(&mut self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, Fault> {
        let Some(tenant) = self.tenant(tenant)? else { return Ok(vec![false; settlements.len()]) };
        settlements.iter().map(|settlement| self.settle_one(tenant, settlement)).collect()
    }

    fn settle_one(&mut self, tenant: i64, settlement: &Settlement) -> Result<bool, Fault> {
        // A token that is past all that were ever given is nobody's.
        let Ok(token) = i64::try_from(settlement.token.0) else { return Ok(false) };
        let id = &settlement.id.as_uuid().as_bytes()[..];
        let settled = match &settlement.verdict {
            Verdict::Done => self.statements.done()?.execute(params![tenant, id, token])?,
            Verdict::Retry { at } => self.statements.retry()?.execute(params![tenant, id, token, at.as_millis()])?,
            Verdict::GiveBack => self.statements.give_back()?.execute(params![tenant, id, token])?,
            Verdict::Dead { reason } => self.statements.dead()?.execute(params![tenant, id, token, reason.as_str()])?,
        };
        Ok(settled == 1)
    }

    /// Adds a definition. The inner error is the revision there is, if it is not the expected one.
    pub(super) fn define(&mut self, tenant: &TenantId, expected: u64, body: &[u8]) -> Result<Result<u64, u64>, Fault> {
        let known = self.tenant(tenant)?;
        let actual = match known {
            Some(tenant) => self.statements.definitions()?.query_row([tenant], |row| row.get::<_, i64>(0))?,
            None => 0,
        };
        let revision = actual.unsigned_abs();
        if revision != expected {
            return Ok(Err(revision));
        }
        let next = actual.checked_add(1).ok_or_else(|| damaged("a revision past every count"))?;
        let tenant = self.tenant_or_new(tenant)?;
        self.statements.add_definition()?.execute(params![tenant, next, body])?;
        self.statements.set_definitions()?.execute([tenant, next])?;
        Ok(Ok(next.unsigned_abs()))
    }
}
