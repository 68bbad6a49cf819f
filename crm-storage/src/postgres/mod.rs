//! A store in PostgreSQL.
//!
//! Rows are spread over lanes, and every key begins with one, so that the schema can be spread over
//! machines. A batch of commits is one statement in one round trip, and two round trips if the rows must be
//! looked at first. Connections are pooled and are driven by a thread of the store's own, so the store
//! works under any executor.

mod column;
mod commit;
mod ends;
mod fault;
mod feed;
mod gather;
mod keyed;
mod known;
mod lanes;
mod list;
mod options;
mod outbox;
mod part;
mod read;
mod relay;
mod runtime;
mod scan;
mod schema;
mod selection;
mod server_error;
mod session;
mod shape;
mod sql;
mod transaction;
mod wire;
mod writes;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use crm_core::{CustomerId, Span, TenantId, Timestamp};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, NoTls, Socket};

use crate::commit::{ClaimKey, Commit, Committed};
use crate::error::{CommitError, CursorError, DefineError, StorageError};
use crate::feed::check_consumer;
use crate::lane::Lane;
use crate::row::{
    ClaimOwner, Cursor, CursorStep, DeadLetter, DefinitionRows, Details, Due, Entries, Entry, Erased, FeedCursor,
    FeedRow, Leased, Loaded, Page, Parts, Scanned, ScoresAsked, Settlement,
};
use crate::selection::Selection;
use crate::store::{Capabilities, Store};
use column::Columns;
use commit::ATTEMPTS;
use fault::Fault;
use feed::Stuck;
use gather::Place;
use outbox::Lessee;
use runtime::Driver;
use session::Session;
use shape::Shape;
use wire::{call, one};

use crate::migration::Step;
pub use options::{Dialect, PostgresOptions};
pub use tokio_postgres;
pub use transaction::PostgresTransaction;

/// Keeps customers in a schema of a PostgreSQL database.
///
/// ```no_run
/// use crm_storage::{PostgresOptions, PostgresStore};
///
/// # async fn example() -> Result<(), crm_storage::StorageError> {
/// let store = PostgresStore::connect("postgresql://shop@localhost/shop", &PostgresOptions::default()).await?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PostgresStore {
    pool: Pool,
    shape: Shape,
    /// Tenants whose numbers were seen to be theirs.
    tenants: Mutex<HashSet<TenantId>>,
    // Dropped last, since it drives what the fields before it use.
    driver: Arc<Driver>,
}

/// Does a piece of work, and does it again when another transaction was in the way.
macro_rules! attempt {
    ($session:ident, $work:expr) => {{
        let mut attempt = 1;
        loop {
            match $work.await {
                Err(fault) if fault.is_passing() && attempt < ATTEMPTS => {
                    $session.roll_back().await;
                    attempt += 1;
                }
                Err(fault) => {
                    $session.roll_back().await;
                    break Err(fault);
                }
                done => break done,
            }
        }
    }};
}

impl PostgresStore {
    /// Connects without TLS, and brings the schema up to date. The URL is that of libpq.
    ///
    /// # Errors
    ///
    /// `Open` if the options contradict themselves, the server cannot be reached, or the schema is newer
    /// than this program, was altered, or has another number of lanes than was asked for. It is then left as it was.
    pub async fn connect(url: &str, options: &PostgresOptions) -> Result<Self, StorageError> {
        Self::connect_with_tls(url, options, NoTls).await
    }

    /// Connects with the host's TLS. Whether TLS is required is for the URL to say (`sslmode=require`).
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::connect`].
    pub async fn connect_with_tls<T>(url: &str, options: &PostgresOptions, tls: T) -> Result<Self, StorageError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + Sync,
        T::TlsConnect: Send + Sync,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (pool, driver) = pool(url, options, tls)?;
        let opened = driver.run(async {
            let client = first_connection(&pool).await?;
            schema::check_server(&client).await?;
            schema::migrate(&client, options).await?;
            schema::facts(&client, options).await
        });
        let shape = Shape::new(&options.schema, options.dialect, options.prepared, opened.await?);
        Ok(PostgresStore { pool, shape, tenants: Mutex::default(), driver })
    }

    /// What bringing the schema up to date would do, in order; nothing if it is. Touches nothing. Connects without TLS.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::connect`].
    pub async fn plan(url: &str, options: &PostgresOptions) -> Result<Vec<Step>, StorageError> {
        Self::plan_with_tls(url, options, NoTls).await
    }

    /// What bringing the schema up to date would do, as [`PostgresStore::plan`], over the host's TLS.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::connect`].
    pub async fn plan_with_tls<T>(url: &str, options: &PostgresOptions, tls: T) -> Result<Vec<Step>, StorageError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + Sync,
        T::TlsConnect: Send + Sync,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (pool, driver) = pool(url, options, tls)?;
        let planned = driver.run(async {
            let client = first_connection(&pool).await?;
            schema::check_server(&client).await?;
            Ok(schema::look(&client, options).await?.steps(options))
        });
        planned.await
    }

    /// The whole schema as SQL, for hosts that run their own migrations.
    ///
    /// # Errors
    ///
    /// `Open` if the options contradict themselves.
    pub fn schema_sql(options: &PostgresOptions) -> Result<String, StorageError> {
        options.check()?;
        Ok(schema::whole(options))
    }

    /// The SQL that spreads a schema over a Citus cluster by lane, for who runs it on the coordinator.
    ///
    /// # Errors
    ///
    /// `Open` if the options contradict themselves.
    pub fn citus_sql(options: &PostgresOptions) -> Result<String, StorageError> {
        options.check()?;
        Ok(schema::citus(options))
    }

    /// The CRM's reads and writes inside a transaction that the host has open.
    pub fn within<'a>(&'a self, transaction: &'a tokio_postgres::Transaction<'a>) -> PostgresTransaction<'a> {
        PostgresTransaction::new(&self.shape, transaction)
    }

    async fn session(&self, wall: impl FnOnce() -> String) -> Result<Session<'_>, Fault> {
        let wall = self.shape.wall.then(wall);
        Ok(Session::pooled(self.pool.get().await?, &self.shape.texts, self.shape.prepared, wall))
    }

    /// A connection on which to work for a tenant, whose row is made if it is to be written for.
    async fn at<'t>(&self, tenant: &'t TenantId, access: Access) -> Result<(Session<'_>, Place<'t>), Fault> {
        let number = schema::number(tenant.as_str());
        let place = Place { name: tenant, number, lanes: self.shape.lanes };
        let mut session = self.session(|| number.to_string()).await?;
        let known = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).contains(tenant);
        if !known && find_tenant(&mut session, &self.shape, &place, access).await? {
            self.tenants.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone());
        }
        Ok((session, place))
    }

    async fn lease_once(&self, tenant: &TenantId, lessee: Lessee) -> Result<Vec<Leased>, Fault> {
        let (mut session, place) = self.at(tenant, Access::Read).await?;
        attempt!(session, outbox::lease(&mut session, &self.shape, &place, lessee))
    }
}

/// What a tenant is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Whether the tenant has a row, which is made if it is to be written for. Two names can have one number, if
/// hardly ever; then the second of them is refused.
async fn find_tenant(
    session: &mut Session<'_>,
    shape: &Shape,
    place: &Place<'_>,
    access: Access,
) -> Result<bool, Fault> {
    let (lane, number) = (place.of_tenant(), place.number);
    let mut attempt = 1;
    loop {
        // Its row may be in any lane that the name of another tenant gives; so it is looked for in all of them.
        let rows = session.read(vec![call!(shape.texts.tenants, wire::list(vec![number]))]).await?;
        for row in rows.iter().flatten() {
            let mut columns = Columns::of(row);
            let (_, name): (i64, &str) = (columns.plain()?, columns.plain()?);
            if name != place.name.as_str() {
                let what = format!("the tenants {name} and {} have the same number", place.name);
                return Err(StorageError::Malformed { what }.into());
            }
        }
        if rows.iter().flatten().next().is_some() {
            return Ok(true);
        }
        if access == Access::Read {
            return Ok(false);
        }
        let add = call!(shape.texts.add_tenant, one(lane), one(number), one(place.name.as_str()));
        match session.write(add).await {
            // Another one added it meanwhile, which a serializable transaction may not see.
            Err(fault) if fault.is_passing() && !session.is_host() && attempt < ATTEMPTS => attempt += 1,
            added => drop(added?),
        }
    }
}

/// A pool of connections, and what drives them.
fn pool<T>(url: &str, options: &PostgresOptions, tls: T) -> Result<(Pool, Arc<Driver>), StorageError>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + Sync,
    T::TlsConnect: Send + Sync,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    options.check()?;
    let unreadable = |error| schema::open_error("the URL cannot be read", error);
    let mut config: Config = url.parse().map_err(unreadable)?;
    if config.get_application_name().is_none() {
        config.application_name("crm");
    }
    if options.prepared {
        // Lists of unknown length would be planned again for each batch.
        let settings = format!(
            "{} -c statement_timeout={} -c lock_timeout={} -c plan_cache_mode=force_generic_plan",
            config.get_options().unwrap_or_default(),
            options.statement_timeout.as_millis().min(i32::MAX as u128),
            options.lock_timeout.as_millis().min(i32::MAX as u128),
        );
        config.options(settings);
    }
    let recycling_method = RecyclingMethod::Fast;
    let manager = Manager::from_config(config, tls, ManagerConfig { recycling_method });
    let pool = Pool::builder(manager).max_size(options.connections).build();
    let pool = pool.map_err(|error| StorageError::Open {
        reason: "no pool of connections can be made".into(),
        source: Some(Box::new(error)),
    })?;
    Ok((pool, Driver::start(options.runtime.clone())?))
}

async fn first_connection(pool: &Pool) -> Result<Object, StorageError> {
    pool.get().await.map_err(|error| StorageError::Open {
        reason: "the server cannot be reached".into(),
        source: Some(Box::new(error)),
    })
}

#[async_trait]
impl Store for PostgresStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::one_lane(self.shape.durable).lanes(self.shape.lanes)
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError> {
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Write).await?;
            commit::commit(&mut session, &self.shape, &place, &commits).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("commit"))
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::load(&mut session, &self.shape, &place, customers).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("load customers"))
    }

    async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::details(&mut session, &self.shape, &place, customers, parts).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("read details"))
    }

    async fn scan(
        &self,
        tenant: &TenantId,
        after: Option<CustomerId>,
        limit: usize,
        scores: Option<&ScoresAsked>,
    ) -> Result<Scanned, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            scan::scan(&mut session, &self.shape, &place, after, limit, scores).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("scan customers"))
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::history(&mut session, &self.shape, &place, customer, entries, after, limit).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("read a history"))
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::resolve(&mut session, &self.shape, &place, keys).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("resolve keys"))
    }

    async fn select(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, StorageError> {
        selection.check()?;
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::select(&mut session, &self.shape, &place, selection, after, limit).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("select customers"))
    }

    async fn count(&self, tenant: &TenantId, selection: &Selection) -> Result<u64, StorageError> {
        selection.check()?;
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::count(&mut session, &self.shape, &place, selection).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("count customers"))
    }

    async fn due(&self, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::due(&mut session, &self.shape, &place, until, limit).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("list alarms"))
    }

    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, StorageError> {
        let work = self.lease_once(tenant, Lessee { now, lease, limit });
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("lease"))
    }

    async fn settle(&self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            attempt!(session, outbox::settle(&mut session, &self.shape, &place, settlements))
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("settle"))
    }

    async fn dead_letters(
        &self,
        tenant: &TenantId,
        after: Option<&DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            outbox::dead_letters(&mut session, &self.shape, &place, after, limit).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("list dead letters"))
    }

    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            read::definitions(&mut session, &self.shape, &place).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("read definitions"))
    }

    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Write).await?;
            attempt!(session, read::define(&mut session, &self.shape, &place, expected, &body))
        };
        let defined = self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("define"))?;
        defined.map_err(|actual| DefineError::Conflict { actual })
    }

    async fn erase(&self, tenant: &TenantId, customer: CustomerId, keys: &[ClaimKey]) -> Result<Erased, StorageError> {
        let work = async {
            let (mut session, place) = self.at(tenant, Access::Read).await?;
            attempt!(session, outbox::erase(&mut session, &self.shape, &place, customer, keys))
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("erase"))
    }

    async fn feed(&self, lane: Lane, after: u64, limit: usize) -> Result<Vec<FeedRow>, StorageError> {
        if lane.0 >= self.shape.lanes {
            return Ok(Vec::new());
        }
        let work = async {
            let mut session = self.session(|| "all".into()).await?;
            feed::feed(&mut session, &self.shape, lane.0 as i16, after, limit).await
        };
        self.driver.run(work).await.map_err(|fault: Fault| fault.while_doing("follow the feed"))
    }

    async fn cursor(&self, consumer: &str, lane: Lane, step: CursorStep) -> Result<FeedCursor, CursorError> {
        check_consumer(consumer)?;
        if lane.0 >= self.shape.lanes {
            return FeedCursor::default().after(step, 0);
        }
        let work = async {
            let mut session = self.session(|| "all".into()).await?;
            attempt!(session, feed::cursor(&mut session, &self.shape, consumer, lane.0 as i16, step))
        };
        self.driver.run(work).await.map_err(|stuck| match stuck {
            Stuck::Refused(refusal) => refusal,
            Stuck::Failed(fault) => fault.while_doing("move a cursor").into(),
        })
    }
}
