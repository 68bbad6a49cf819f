//! The writer's connection with its statements, prepared once, and one transaction at a time.

use std::collections::HashMap;
use std::time::Duration;

use crm_core::TenantId;
use rusqlite::{Connection, OptionalExtension, Statement};

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
        /// One prepared statement for each thing that is written or judged.
        #[derive(Debug)]
        pub(super) struct Statements<'c> {
            $(pub(super) $name: Statement<'c>,)*
        }

        impl<'c> Statements<'c> {
            fn prepare(connection: &'c Connection) -> Result<Self, rusqlite::Error> {
                Ok(Statements { $($name: connection.prepare($sql)?,)* })
            }
        }
    };
}

statements! {
    begin: "BEGIN",
    begin_immediate: "BEGIN IMMEDIATE",
    end: "COMMIT",
    tenant: sql::TENANT,
    add_tenant: sql::ADD_TENANT,
    definitions: sql::DEFINITIONS,
    set_definitions: sql::SET_DEFINITIONS,
    add_definition: sql::ADD_DEFINITION,
    request: sql::REQUEST,
    add_request: sql::ADD_REQUEST,
    version: sql::VERSION,
    add_customer: sql::ADD_CUSTOMER,
    set_customer: sql::SET_CUSTOMER,
    add_event: sql::ADD_EVENT,
    drop_last_entries: sql::DROP_LAST_ENTRIES,
    add_change: sql::ADD_CHANGE,
    put_score: sql::PUT_SCORE,
    add_alarm: sql::ADD_ALARM,
    drop_alarm: sql::DROP_ALARM,
    owner: sql::OWNER,
    add_claim: sql::ADD_CLAIM,
    drop_claim: sql::DROP_CLAIM,
    counter: sql::COUNTER,
    put_counter: sql::PUT_COUNTER,
    add_outbox: sql::ADD_OUTBOX,
    leasable: sql::LEASABLE,
    leases: sql::LEASES,
    set_leases: sql::SET_LEASES,
    lease: sql::LEASE,
    done: sql::DONE,
    retry: sql::RETRY,
}

impl<'c> Session<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Self, Fault> {
        Ok(Session { connection, statements: Statements::prepare(connection)?, tenants: HashMap::new() })
    }

    /// Begins a transaction, at once with the lock for writing if it writes: a transaction that asks for
    /// it later can be refused for what another process wrote in between.
    pub(super) fn begin(&mut self, writes: bool) -> Result<(), Fault> {
        let begin = if writes { &mut self.statements.begin_immediate } else { &mut self.statements.begin };
        begin.execute([])?;
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.statements.end.execute([])?;
        Ok(())
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
        let number = self.statements.tenant.query_row([tenant.as_str()], |row| row.get(0)).optional()?;
        number.map(|number| self.tenants.insert(tenant.clone(), number));
        Ok(number)
    }

    /// A tenant's number, made if nothing was written for it before.
    pub(super) fn tenant_or_new(&mut self, tenant: &TenantId) -> Result<i64, Fault> {
        if let Some(number) = self.tenant(tenant)? {
            return Ok(number);
        }
        let number = self.statements.add_tenant.insert([tenant.as_str()])?;
        self.tenants.insert(tenant.clone(), number);
        Ok(number)
    }

    /// Copies the log back into the file and cuts it to nothing. Says whether that was done; it is not
    /// while another process reads or writes, and is not waited for.
    pub(super) fn cut_log(&mut self, patience: Duration) -> bool {
        let cut = self.connection.busy_timeout(Duration::ZERO).and_then(|()| {
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
        });
        let restored = self.connection.busy_timeout(patience);
        restored.and(cut).unwrap_or_else(|error| {
            tracing::warn!(%error, "the log could not be copied back");
            false
        })
    }
}
