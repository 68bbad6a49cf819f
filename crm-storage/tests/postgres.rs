//! The PostgreSQL store keeps every promise of the contract, in each dialect, without prepared statements,
//! and behind row security.
#![cfg(feature = "postgres")]

mod postgres_server;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crm_storage::conformance::Fixture;
use crm_storage::{Dialect, MemoryStore, PostgresOptions, PostgresStore, Store};
use postgres_server::server;

/// A database for each case.
struct Databases {
    options: PostgresOptions,
    url: Mutex<String>,
    walled: bool,
}

impl Databases {
    fn new(options: PostgresOptions) -> Self {
        Databases { options: options.lanes(64), url: Mutex::default(), walled: false }
    }

    fn walled(options: PostgresOptions) -> Self {
        Databases { walled: true, ..Databases::new(options.row_security(true)) }
    }

    async fn open(&self) -> Arc<dyn Store> {
        let url = self.url.lock().expect("nothing panics with it").clone();
        Arc::new(PostgresStore::connect(&url, &self.options).await.expect("the schema opens"))
    }
}

#[async_trait]
impl Fixture for Databases {
    async fn fresh(&self) -> Arc<dyn Store> {
        let Some(server) = server() else { return Arc::new(MemoryStore::new()) };
        let name = server.database();
        // Nobody is bound by row security who may do everything.
        let user = if self.walled { server.role(&name) } else { "postgres".into() };
        *self.url.lock().expect("nothing panics with it") = server.url_as(&user, &name);
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

mod unprepared {
    crm_storage::conformance!(super::Databases::new(super::PostgresOptions::default().prepared(false)));
}

mod walled {
    crm_storage::conformance!(super::Databases::walled(super::PostgresOptions::default()));
}
