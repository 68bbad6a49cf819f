//! How a CRM is put together.

use std::sync::Arc;

use crm_core::TenantId;
use crm_core::identity::LookupKey;
use crm_storage::{MemoryStore, Store};

use crate::audit::CheckpointSigner;
use crate::clock::{Clock, SystemClock};
use crate::engine::{Crm, Inner};
use crate::ids::{IdSource, RandomIds};
use crate::ledger::ErasureLedger;
use crate::personal::PersonKeys;
use crate::workflow::Workflow;

/// Puts a [`Crm`] together: a store, and what the host wants to have otherwise than usual.
#[derive(Debug)]
pub struct CrmBuilder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    lookup_key: LookupKey,
    workflows: Vec<Arc<dyn Workflow>>,
    person_keys: Option<Arc<dyn PersonKeys>>,
    signer: Option<Arc<dyn CheckpointSigner>>,
    ledger: Option<Arc<dyn ErasureLedger>>,
}

impl Default for CrmBuilder {
    fn default() -> Self {
        CrmBuilder {
            store: Arc::new(MemoryStore::new()),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
            lookup_key: LookupKey::public(),
            workflows: Vec::new(),
            person_keys: None,
            signer: None,
            ledger: None,
        }
    }
}

impl CrmBuilder {
    /// Where customers are kept; in memory if nothing is said.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Where customers are kept, shared with others.
    #[must_use]
    pub fn shared_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// What tells the time; the system's clock if nothing is said.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where the ids of new customers come from; time and chance if nothing is said.
    #[must_use]
    pub fn ids(mut self, ids: impl IdSource) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// The secret under which identifiers are hashed. Set it in production, keep it out of the
    /// database, and never change it: without it the key is one that everybody knows.
    #[must_use]
    pub fn lookup_key(mut self, key: LookupKey) -> Self {
        self.lookup_key = key;
        self
    }

    /// One more workflow. Several are called in the order in which they were added.
    #[must_use]
    pub fn workflow(mut self, workflow: impl Workflow + 'static) -> Self {
        self.workflows.push(Arc::new(workflow));
        self
    }

    /// Where the keys are that personal values are sealed under. Without a word about it each person's key
    /// is kept in the store beside the values; kept elsewhere, an erasure is final at once, whatever copies
    /// of the database there are.
    #[must_use]
    pub fn person_keys(mut self, keys: impl PersonKeys) -> Self {
        self.person_keys = Some(Arc::new(keys));
        self
    }

    /// What signs checkpoints of the audit log; without it there are none.
    #[must_use]
    pub fn checkpoint_signer(mut self, signer: impl CheckpointSigner) -> Self {
        self.signer = Some(Arc::new(signer));
        self
    }

    /// Where each erasure is recorded before it is decided. Keep it apart from the store and its backups. If the store
    /// does not know of an erasure that is in it, as after a backup was restored, everything is answered
    /// [`NotReapplied`](crate::Error::NotReapplied) until [`reapply_erasures`](Crm::reapply_erasures) was called. That is
    /// asked once for each tenant, when the CRM is first used, and costs a look-up for each erasure. Without a ledger
    /// there are no records.
    #[must_use]
    pub fn erasure_ledger(mut self, ledger: impl ErasureLedger) -> Self {
        self.ledger = Some(Arc::new(ledger));
        self
    }

    /// The CRM, for the tenant `default`. Opens nothing: that the look-up key is the one that the store
    /// was made with is checked when it is first used.
    #[must_use]
    pub fn build(self) -> Crm {
        let CrmBuilder { store, clock, ids, lookup_key, workflows, person_keys, signer, ledger } = self;
        let inner = Inner::new(store, clock, ids, lookup_key, workflows, person_keys, signer, ledger);
        Crm::new(Arc::new(inner), TenantId::default())
    }
}
