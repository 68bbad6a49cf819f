//! A connection that writes, with its statements, each prepared when it is first needed.

use std::collections::HashMap;
use std::time::Duration;

use crm_core::TenantId;
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::fault::Fault;
use super::sql;

/// What work is given to write with.
#[derive(Debug)]
pub(super) struct Session<'c> {
    pub(super) connection: &'c Connection,
    pub(super) statements: Statements<'c>,
    /// The numbers of tenants that were looked up; forgotten when a transaction fails, which may have
    /// made one of them.
    tenants: HashMap<TenantId, i64>,
}

/// Names a statement for each text.
macro_rules! statements {
    ($($name:ident: $sql:expr,)*) => {
        /// One statement for each thing that is written or judged.
        pub(super) struct Statements<'c> {
            connection: &'c Connection,
            $($name: Option<CachedStatement<'c>>,)*
        }

        impl<'c> Statements<'c> {
            const fn new(connection: &'c Connection) -> Self {
                Statements { connection, $($name: None,)* }
            }

            $(pub(super) fn $name(&mut self) -> Result<&mut CachedStatement<'c>, rusqlite::Error> {
                match &mut self.$name {
                    Some(statement) => Ok(statement),
                    none => Ok(none.insert(self.connection.prepare_cached($sql)?)),
                }
            })*
        }

        impl std::fmt::Debug for Statements<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("Statements").finish_non_exhaustive()
            }
        }

        /// The texts of them all.
        #[cfg(test)]
        pub(super) const TEXTS: &[fn() -> &'static str] = &[$(|| $sql,)*];
    };
}

statements! {
    begin: "BEGIN",
    begin_immediate: "BEGIN IMMEDIATE",
    end: "COMMIT",
    tenant_number: sql::TENANT,
    add_tenant: sql::ADD_TENANT,
    definitions: sql::DEFINITIONS,
    set_definitions: sql::SET_DEFINITIONS,
    add_definition: sql::ADD_DEFINITION,
    request: sql::REQUEST,
    add_request: sql::ADD_REQUEST,
    version: sql::VERSION,
    set_version: sql::SET_VERSION,
    add_customer: &sql::ADD_CUSTOMER,
    set_customer: &sql::SET_CUSTOMER,
    enrol: sql::ENROL,
    last_told: sql::LAST_TOLD,
    add_event: sql::ADD_EVENT,
    drop_last_entries: sql::DROP_LAST_ENTRIES,
    add_change: sql::ADD_CHANGE,
    put_score: sql::PUT_SCORE,
    drop_score: sql::DROP_SCORE,
    add_alarm: sql::ADD_ALARM,
    drop_alarm: sql::DROP_ALARM,
    owner: sql::OWNER,
    add_claim: sql::ADD_CLAIM,
    drop_claim: sql::DROP_CLAIM,
    drop_claim_of: sql::DROP_CLAIM_OF,
    counter: sql::COUNTER,
    put_counter: sql::PUT_COUNTER,
    add_outbox: sql::ADD_OUTBOX,
    add_dead: sql::ADD_DEAD,
    leasable: sql::LEASABLE,
    leases: sql::LEASES,
    set_leases: sql::SET_LEASES,
    lease: sql::LEASE,
    done: sql::DONE,
    retry: sql::RETRY,
    give_back: sql::GIVE_BACK,
    dead: sql::DEAD,
    drop_outbox_of: sql::DROP_OUTBOX_OF,
    put_personal: sql::PUT_PERSONAL,
    drop_personal: sql::DROP_PERSONAL,
    drop_person: sql::DROP_PERSON,
    put_person_key: sql::PUT_PERSON_KEY,
    drop_person_key: sql::DROP_PERSON_KEY,
    add_token: sql::ADD_TOKEN,
    drop_tokens: sql::DROP_TOKENS,
    consumer: sql::CONSUMER,
    put_consumer: sql::PUT_CONSUMER,
    feed_end: sql::FEED_END,
}

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self::resume(connection, HashMap::new())
    }

    /// With the numbers that a former session of the connection has left.
    pub(super) const fn resume(connection: &'c Connection, tenants: HashMap<TenantId, i64>) -> Self {
        Session { connection, statements: Statements::new(connection), tenants }
    }

    /// The numbers that the next session may go by.
    pub(super) fn into_tenants(self) -> HashMap<TenantId, i64> {
        self.tenants
    }

    /// Begins a transaction that only reads.
    pub(super) fn begin_reading(&mut self) -> Result<(), Fault> {
        self.statements.begin()?.execute([])?;
        Ok(())
    }

    /// Begins a transaction at once with the lock for writing: one that asks for it later can be refused for
    /// what another process wrote in between. Waits so long for it; otherwise the connection waits `patience`.
    pub(super) fn begin_writing(&mut self, wait: Duration, patience: Duration) -> Result<(), Fault> {
        // Nobody else has the lock most of the time, and then no setting is moved.
        self.connection.busy_timeout(wait)?;
        let begun = self.statements.begin_immediate()?.execute([]);
        self.connection.busy_timeout(patience)?;
        begun?;
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.statements.end()?.execute([])?;
        Ok(())
    }

    /// Forgets the numbers of tenants, some of which may not be there any more.
    pub(super) fn forget_tenants(&mut self) {
        self.tenants.clear();
    }

    /// Leaves whatever transaction there still is; some errors have ended it already.
    pub(super) fn roll_back(&mut self) {
        self.tenants.clear();
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
    }

    /// A tenant's number, if anything was written for it.
    pub(super) fn tenant(&mut self, tenant: &TenantId) -> Result<Option<i64>, Fault> {
        if let Some(&number) = self.tenants.get(tenant) {
            return Ok(Some(number));
        }
        let number = self.statements.tenant_number()?.query_row([tenant.as_str()], |row| row.get(0)).optional()?;
        number.map(|number| self.tenants.insert(tenant.clone(), number));
        Ok(number)
    }

    /// A tenant's number, made if nothing was written for it before.
    pub(super) fn tenant_or_new(&mut self, tenant: &TenantId) -> Result<i64, Fault> {
        if let Some(number) = self.tenant(tenant)? {
            return Ok(number);
        }
        let number = self.statements.add_tenant()?.insert([tenant.as_str()])?;
        self.tenants.insert(tenant.clone(), number);
        Ok(number)
    }

    /// Copies the log back into the file, as far as nobody reads an older state of it. Says whether all of it
    /// was; then what comes next is written over it.
    pub(super) fn copy_log_back(&mut self) -> bool {
        let counts =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        let copied = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], counts);
        copied.map(|(busy, pages, copied)| busy == 0 && pages == copied).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log could not be copied back");
            false
        })
    }

    /// Copies the log back into the file and cuts it to nothing. Says whether that was done; it is not while
    /// somebody else reads or writes, and is not waited for, since the lock for writing is held meanwhile.
    pub(super) fn cut_log(&mut self, patience: Duration) -> bool {
        let cut = self.connection.busy_timeout(Duration::ZERO).and_then(|()| {
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
        });
        let restored = self.connection.busy_timeout(patience);
        restored.and(cut).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log could not be cut");
            false
        })
    }
}
