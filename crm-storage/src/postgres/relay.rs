//! A store whose calls are done inside a transaction of the host's. The transaction is borrowed, and the
//! contract knows no lifetimes: so calls go into a queue, and who holds the transaction works it off while
//! the work that makes them waits.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use crm_core::{CustomerId, Span, TenantId, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::transaction::PostgresTransaction;
use crate::commit::{ClaimKey, Commit, Committed};
use crate::error::{CommitError, CursorError, DefineError, StorageError};
use crate::lane::Lane;
use crate::row::{
    ClaimOwner, Cursor, CursorStep, DeadLetter, DefinitionRows, Details, Due, Entries, Entry, Erased, FeedCursor,
    FeedRow, Leased, Loaded, Page, Parts, Settlement,
};
use crate::selection::Selection;
use crate::store::{Capabilities, Store};

/// What becomes of a call when it is its turn.
type Call = Box<dyn for<'x> FnOnce(&'x PostgresTransaction<'x>) -> Doing<'x, ()> + Send>;
type Doing<'x, T> = Pin<Box<dyn Future<Output = T> + Send + 'x>>;

#[derive(Debug)]
struct Relay {
    calls: mpsc::UnboundedSender<Call>,
    capabilities: Capabilities,
}

impl<'a> PostgresTransaction<'a> {
    /// Does work that uses a store inside the transaction. What the work asks of it is done in the order in
    /// which it is asked, each wholly or not at all. It loads, reads histories, details, keys and
    /// definitions, commits and defines; everything else answers `Unsupported`, for outside.
    pub async fn run<T, F>(&'a self, work: impl FnOnce(Arc<dyn Store>) -> F) -> T
    where
        F: Future<Output = T>,
    {
        let (calls, mut asked) = mpsc::unbounded_channel::<Call>();
        let store = Relay { calls, capabilities: self.capabilities() };
        let mut work = pin!(work(Arc::new(store)));
        loop {
            let next = poll_fn(|context| match work.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Ok(done)),
                Poll::Pending => match asked.poll_recv(context) {
                    Poll::Ready(Some(call)) => Poll::Ready(Err(call)),
                    // Without a store nothing more is asked, and the work waits for something else.
                    Poll::Ready(None) | Poll::Pending => Poll::Pending,
                },
            });
            match next.await {
                Ok(done) => return done,
                Err(call) => call(self).await,
            }
        }
    }
}

impl Relay {
    async fn ask<T: Send + 'static>(
        &self,
        call: impl for<'x> FnOnce(&'x PostgresTransaction<'x>) -> Doing<'x, T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (reply, answer) = oneshot::channel();
        let call: Call = Box::new(move |inside| {
            Box::pin(async move {
                // Who has gone away does not want it.
                drop(reply.send(call(inside).await));
            })
        });
        let ended = |_| StorageError::Backend { doing: "use it", source: "the host's transaction has ended".into() };
        self.calls.send(call).map_err(|_| ended(()))?;
        answer.await.map_err(|_| ended(()))
    }
}

const fn outside<T>(what: &'static str) -> Result<T, StorageError> {
    Err(StorageError::Unsupported { what })
}

#[async_trait]
impl Store for Relay {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError> {
        let tenant = tenant.clone();
        self.ask(move |inside| Box::pin(async move { inside.commit(&tenant, &commits).await })).await?
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        let (tenant, customers) = (tenant.clone(), customers.to_vec());
        self.ask(move |inside| Box::pin(async move { inside.load(&tenant, &customers).await })).await?
    }

    async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError> {
        let (tenant, customers) = (tenant.clone(), customers.to_vec());
        self.ask(move |inside| Box::pin(async move { inside.details(&tenant, &customers, parts).await })).await?
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError> {
        let tenant = tenant.clone();
        self.ask(move |inside| Box::pin(async move { inside.history(&tenant, customer, entries, after, limit).await }))
            .await?
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        let (tenant, keys) = (tenant.clone(), keys.to_vec());
        self.ask(move |inside| Box::pin(async move { inside.resolve(&tenant, &keys).await })).await?
    }

    async fn select(
        &self,
        _: &TenantId,
        _: &Selection,
        _: Option<CustomerId>,
        _: usize,
    ) -> Result<Vec<CustomerId>, StorageError> {
        outside("select inside a transaction of the host's")
    }

    async fn count(&self, _: &TenantId, _: &Selection) -> Result<u64, StorageError> {
        outside("count inside a transaction of the host's")
    }

    async fn due(&self, _: &TenantId, _: Timestamp, _: usize) -> Result<Vec<Due>, StorageError> {
        outside("list alarms inside a transaction of the host's")
    }

    async fn lease(&self, _: &TenantId, _: Timestamp, _: Span, _: usize) -> Result<Vec<Leased>, StorageError> {
        outside("lease inside a transaction of the host's")
    }

    async fn settle(&self, _: &TenantId, _: &[Settlement]) -> Result<Vec<bool>, StorageError> {
        outside("settle inside a transaction of the host's")
    }

    async fn dead_letters(
        &self,
        _: &TenantId,
        _: Option<&DeadLetter>,
        _: usize,
    ) -> Result<Vec<DeadLetter>, StorageError> {
        outside("list dead letters inside a transaction of the host's")
    }

    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        let tenant = tenant.clone();
        self.ask(move |inside| Box::pin(async move { inside.definitions(&tenant).await })).await?
    }

    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        let tenant = tenant.clone();
        self.ask(move |inside| Box::pin(async move { inside.define(&tenant, expected, &body).await })).await?
    }

    async fn erase(&self, _: &TenantId, _: CustomerId, _: &[ClaimKey]) -> Result<Erased, StorageError> {
        outside("erase inside a transaction of the host's")
    }

    async fn feed(&self, _: Lane, _: u64, _: usize) -> Result<Vec<FeedRow>, StorageError> {
        outside("read the feed inside a transaction of the host's")
    }

    async fn cursor(&self, _: &str, _: Lane, _: CursorStep) -> Result<FeedCursor, CursorError> {
        Ok(outside("move a cursor inside a transaction of the host's")?)
    }
}
