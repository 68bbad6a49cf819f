//! The PostgreSQL store keeps every promise of the contract, in each dialect, without prepared statements,
//! and behind row security.
#![cfg(feature = "postgres")]

mod postgres_server;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use crm_storage::conformance::{Fixture, block_on, cases};
use crm_storage::{Dialect, MemoryStore, PostgresOptions, PostgresStore, Store};
use postgres_server::server;

/// A schema for each case.
struct Databases {
    options: PostgresOptions,
    /// Where the database is, and which schema is the case's.
    place: Mutex<(String, String)>,
    walled: bool,
}

impl Databases {
    fn new(options: PostgresOptions) -> Self {
        Databases { options: options.lanes(64), place: Mutex::default(), walled: false }
    }

    fn walled(options: PostgresOptions) -> Self {
        Databases { walled: true, ..Databases::new(options.row_security(true)) }
    }

    async fn open(&self) -> Arc<dyn Store> {
        let (url, schema) = self.place.lock().expect("nothing panics with it").clone();
        let options = self.options.clone().schema(schema);
        Arc::new(PostgresStore::connect(&url, &options).await.expect("the schema opens"))
    }
}

#[async_trait]
impl Fixture for Databases {
    async fn fresh(&self) -> Arc<dyn Store> {
        let Some(server) = server() else { return Arc::new(MemoryStore::new()) };
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let schema = format!("case_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let url = if self.walled {
            // Nobody is bound by row security who may do everything.
            let name = server.database();
            server.url_as(&server.role(&name), &name)
        } else {
            server.url("postgres")
        };
        *self.place.lock().expect("nothing panics with it") = (url, schema);
        self.open().await
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        server()?;
        assert_eq!(Arc::strong_count(&store), 1, "the case has let go of the store");
        drop(store);
        Some(self.open().await)
    }
}

mod plain {
    crm_storage::conformance!(super::Databases::new(super::PostgresOptions::default()));
}

mod sharded {
    crm_storage::conformance!(super::Databases::new(
        super::PostgresOptions::default().dialect(super::Dialect::Sharded)
    ));
}

/// A tenth of the cases, another one each day, or all of them with `CRM_SOAK=1`.
fn a_tenth(fixture: impl Fn() -> Databases) {
    let soak = std::env::var_os("CRM_SOAK").is_some_and(|value| value == "1");
    let today = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let (first, step) = if soak { (0, 1) } else { ((today % 10) as usize, 10) };
    for case in cases().iter().skip(first).step_by(step) {
        block_on((case.run)(&fixture()));
    }
}

#[test]
fn without_prepared_statements_it_keeps_them_too() {
    a_tenth(|| Databases::new(PostgresOptions::default().prepared(false)));
}

#[test]
fn behind_row_security_it_keeps_them_too() {
    a_tenth(|| Databases::walled(PostgresOptions::default()));
}
