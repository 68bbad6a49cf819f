//! The same CRM for hosts without an async runtime: each call returns when it is done.
//!
//! Here are the calls of the loop itself; the others are in a file for each area, as in the engine.

mod audit;
mod card;
mod consent;
mod credit;
mod definitions;
mod identity;
mod loyalty;
mod plugins;
mod privacy;
mod rewards;
mod segments;
mod stages;
mod value;

use crm_core::customer::{Command, Customer};
use crm_core::{CustomerId, TenantId, Timestamp};
use crm_storage::DeadLetter;

use crate::engine::{Delivered, Delivery, Executed, IngestReport, Ingestion, Overview, Recorded, Story};
use crate::error::Error;
use crate::incoming::{Incoming, Who};

/// Waits for a future on this thread. Not to be called from within an async runtime's own threads.
pub fn wait<F: Future>(future: F) -> F::Output {
    crm_storage::block_on(future)
}

/// A [`crate::Crm`] whose calls block.
///
/// ```
/// use crm::{Channel, Identifier, Incoming, Source, Stage, Visited, blocking::Crm};
///
/// let crm = Crm::in_memory();
/// let ana = Identifier::email("ana@example.com")?;
/// let visit = Visited { channel: Channel::Web, place: None };
/// crm.record(Incoming::new(&ana, crm.now(), Source::new("shop")?, visit))?;
/// assert_eq!(crm.customer(&ana)?.and_then(|customer| customer.stage()), Some(Stage::Prospect));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Crm(crate::Crm);

impl From<crate::Crm> for Crm {
    fn from(crm: crate::Crm) -> Self {
        Crm(crm)
    }
}

impl Crm {
    /// One that keeps everything in memory, for tests.
    #[must_use]
    pub fn in_memory() -> Self {
        Crm(crate::Crm::in_memory())
    }

    /// The CRM whose calls are futures.
    #[must_use]
    pub const fn as_async(&self) -> &crate::Crm {
        &self.0
    }

    /// See [`crate::Crm::tenant`].
    #[must_use]
    pub fn tenant(&self, tenant: TenantId) -> Self {
        Crm(self.0.tenant(tenant))
    }

    /// See [`crate::Crm::now`].
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// See [`crate::Crm::record`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn record(&self, incoming: Incoming) -> Result<Recorded, Error> {
        wait(self.0.record(incoming))
    }

    /// See [`crate::Crm::ingest`]; the facts come from an iterator.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn ingest<I>(&self, facts: I, how: Ingestion) -> Result<IngestReport, Error>
    where
        I: IntoIterator<Item = Incoming>,
        I::IntoIter: Send,
    {
        wait(self.0.ingest(futures_util::stream::iter(facts), how))
    }

    /// See [`crate::Crm::ingest_with_progress`]; the facts come from an iterator.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn ingest_with_progress<I, P>(&self, facts: I, how: Ingestion, progress: P) -> Result<IngestReport, Error>
    where
        I: IntoIterator<Item = Incoming>,
        I::IntoIter: Send,
        P: FnMut(&IngestReport) + Send,
    {
        wait(self.0.ingest_with_progress(futures_util::stream::iter(facts), how, progress))
    }

    /// See [`crate::Crm::execute`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn execute(&self, customer: CustomerId, command: Command, key: &str) -> Result<Executed, Error> {
        wait(self.0.execute(customer, command, key))
    }

    /// See [`crate::Crm::advance`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn advance(&self, now: Timestamp) -> Result<u64, Error> {
        wait(self.0.advance(now))
    }

    /// See [`crate::Crm::deliver`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn deliver<H>(&self, now: Timestamp, handler: H) -> Result<u64, Error>
    where
        H: FnMut(&Delivery) -> Delivered + Send,
    {
        wait(self.0.deliver(now, handler))
    }

    /// See [`crate::Crm::dead_letters`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn dead_letters(&self, after: Option<&DeadLetter>, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        wait(self.0.dead_letters(after, limit))
    }

    /// See [`crate::Crm::revive`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn revive(&self, letter: &DeadLetter, at: Option<Timestamp>) -> Result<bool, Error> {
        wait(self.0.revive(letter, at))
    }

    /// See [`crate::Crm::customer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn customer(&self, who: impl Into<Who> + Send) -> Result<Option<Customer>, Error> {
        wait(self.0.customer(who))
    }

    /// See [`crate::Crm::story`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn story(&self, who: impl Into<Who> + Send) -> Result<Option<Story>, Error> {
        wait(self.0.story(who))
    }

    /// See [`crate::Crm::for_each_customer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn for_each_customer<F>(&self, each: F) -> Result<(), Error>
    where
        F: FnMut(&Customer) + Send,
    {
        wait(self.0.for_each_customer(each))
    }

    /// See [`crate::Crm::overview`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn overview(&self) -> Result<Overview, Error> {
        wait(self.0.overview())
    }

    /// See [`crate::Crm::within`].
    ///
    /// # Errors
    ///
    /// The same.
    #[cfg(feature = "sqlite")]
    pub fn within<'t>(
        &self,
        transaction: &'t crate::sqlite::rusqlite::Connection,
    ) -> Result<crate::InTransaction<'t>, Error> {
        self.0.within(transaction)
    }
}
