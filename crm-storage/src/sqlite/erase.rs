//! Erasing what is personal, and following the feed: the other writes that are no commits.

use crm_core::{CustomerId, TenantId};
use rusqlite::{OptionalExtension, params};

use super::column::damaged;
use super::fault::Fault;
use super::session::Session;
use crate::commit::ClaimKey;
use crate::error::CursorError;
use crate::row::{Copies, CursorStep, Erased, FeedCursor};

/// Where anything personal is kept.
const PERSONAL_TABLES: [&str; 4] = ["crm_personal", "crm_person_key", "crm_token", "crm_outbox"];

impl Session<'_> {
    /// Deletes the rows. Whether copies are left is found out after the commit.
    pub(super) fn erase(
        &mut self,
        tenant: &TenantId,
        customer: CustomerId,
        keys: &[ClaimKey],
    ) -> Result<Erased, Fault> {
        let mut erased = Erased { fields: 0, key: false, tokens: 0, outbox: 0, claims: 0, copies: Copies::Pending };
        let Some(tenant) = self.tenant(tenant)? else { return Ok(erased) };
        let id = &customer.as_uuid().as_bytes()[..];
        for ClaimKey { kind, key } in keys {
            let gone = self.statements.drop_claim_of()?.execute(params![tenant, kind.as_str(), key, id])?;
            erased.claims += gone as u64;
        }
        erased.fields = self.statements.drop_person()?.execute(params![tenant, id])? as u64;
        erased.key = self.statements.drop_person_key()?.execute(params![tenant, id])? > 0;
        erased.tokens = self.statements.drop_tokens()?.execute(params![tenant, id])? as u64;
        erased.outbox = self.statements.drop_outbox_of()?.execute(params![tenant, id])? as u64;
        let version: Option<i64> =
            self.statements.version()?.query_row(params![tenant, id], |row| row.get(0)).optional()?;
        if let Some(version) = version {
            let next = version.checked_add(1).ok_or_else(|| damaged("a version past every count"))?;
            self.statements.set_version()?.execute(params![tenant, id, next])?;
        }
        Ok(erased)
    }

    /// Writes the tables that hold anything personal anew. SQLite overwrites what it deletes, but where a page
    /// was split or joined before, a copy of what moved may lie in the unused middle of one; a table that is
    /// dropped takes all its pages with it, and they are overwritten.
    ///
    /// No table is renamed: that would make the shop's own views and triggers follow it. Its triggers on these
    /// tables are made again last, so that they do not fire.
    pub(super) fn rewrite_personal(&mut self) -> Result<(), Fault> {
        for table in PERSONAL_TABLES {
            let texts = "SELECT sql, type = 'trigger' FROM main.sqlite_schema \
                         WHERE tbl_name = ?1 AND type <> 'view' AND sql IS NOT NULL ORDER BY type <> 'table'";
            let mut select = self.connection.prepare(texts)?;
            let texts = select.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let texts: Vec<(String, bool)> = texts.collect::<Result<_, _>>()?;
            drop(select);
            if texts.is_empty() {
                return Err(damaged(format!("no table {table}")));
            }
            let run = |sql: &str| self.connection.execute_batch(sql);
            run(&format!("CREATE TABLE main.crm_copy AS SELECT * FROM main.{table}; DROP TABLE main.{table};"))?;
            texts.iter().filter(|(_, trigger)| !trigger).try_for_each(|(create, _)| run(create))?;
            run(&format!("INSERT INTO main.{table} SELECT * FROM main.crm_copy; DROP TABLE main.crm_copy;"))?;
            texts.iter().filter(|(_, trigger)| *trigger).try_for_each(|(create, _)| run(create))?;
        }
        Ok(())
    }

    /// Where a consumer stands after a step; the inner error is why it may not be taken.
    pub(super) fn cursor(&mut self, name: &str, step: CursorStep) -> Result<Result<FeedCursor, CursorError>, Fault> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let kept = self.statements.consumer()?.query_row([name], read).optional()?;
        let stands = kept.map_or(FeedCursor::default(), |(position, epoch)| FeedCursor {
            position: position.unsigned_abs(),
            epoch: epoch.unsigned_abs(),
        });
        let end: Option<i64> = self.statements.feed_end()?.query_row([], |row| row.get(0))?;
        let moved = match stands.after(step, end.map_or(0, i64::unsigned_abs)) {
            Ok(moved) => moved,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if moved != stands {
            let stored = |number: u64| i64::try_from(number).map_err(|_| damaged("a cursor past every count"));
            let row = params![name, stored(moved.position)?, stored(moved.epoch)?];
            self.statements.put_consumer()?.execute(row)?;
        }
        Ok(Ok(moved))
    }
}
