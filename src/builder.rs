//! How a CRM is put together.

use std::num::NonZeroU16;
use std::sync::Arc;

use crm_core::TenantId;
use crm_core::identity::LookupKey;
use crm_core::workflow::{Grants, SourceName};
use crm_storage::{MemoryStore, Store};

use crate::audit::CheckpointSigner;
use crate::clock::{Clock, SystemClock};
use crate::engine::{Crm, Inner, InstalledScorer, SCORES_KEPT};
use crate::ids::{IdSource, RandomIds};
use crate::installed::{Installed, Plugins};
use crate::ledger::ErasureLedger;
use crate::lookup::LookupSource;
use crate::personal::PersonKeys;
use crate::scorer::Scorer;
use crate::workflow::Workflow;

/// Puts a [`Crm`] together: a store, and what the host wants to have otherwise than usual.
#[derive(Debug)]
pub struct CrmBuilder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    lookup_key: LookupKey,
    plugins: Plugins,
    scorers: Vec<Arc<InstalledScorer>>,
    scores_kept: NonZeroU16,
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
            plugins: Plugins::default(),
            scorers: Vec::new(),
            scores_kept: NonZeroU16::new(SCORES_KEPT).unwrap_or(NonZeroU16::MIN),
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

    /// How many scores of each output of a plugin are kept of a customer, the newest ones; 16 if nothing is said. Older
    /// ones go in the commit of the one that takes their place.
    #[must_use]
    pub const fn scores_kept(mut self, most: NonZeroU16) -> Self {
        self.scores_kept = most;
        self
    }

    /// One more scorer, which [`advance`](Crm::advance) asks when scores are due by a
    /// [policy](crm_core::Definition::ScorePolicy). Of two of one plugin the first is asked.
    #[must_use]
    pub fn scorer(mut self, scorer: impl Scorer + 'static) -> Self {
        self.scorers.push(InstalledScorer::new(scorer));
        self
    }

    /// One more workflow of the shop's own, which is granted [whatever it asks for](Grants::all). Several are called in
    /// the order in which they were added. Of several versions of one name the last is called, except for customers
    /// for whom another one keeps something: for these that one is, until it keeps nothing more.
    #[must_use]
    pub fn workflow(self, workflow: impl Workflow + 'static) -> Self {
        self.workflow_granted(workflow, Grants::all())
    }

    /// One more workflow, with what the shop grants it: for plugins of others. What is defined for its name
    /// ([`Definition::Grants`](crm_core::Definition::Grants)) narrows that.
    #[must_use]
    pub fn workflow_granted(mut self, workflow: impl Workflow + 'static, grants: Grants) -> Self {
        self.plugins.workflows.push(Installed { workflow: Arc::new(workflow), grants: Arc::new(grants) });
        self
    }

    /// Something that workflows may look things up in, if that is granted to them. Of two with one name the later
    /// counts.
    #[must_use]
    pub fn lookup_source(mut self, name: SourceName, source: impl LookupSource + 'static) -> Self {
        self.plugins.sources.insert(name, Arc::new(source));
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
        let CrmBuilder { store, clock, ids, lookup_key, plugins, scorers, scores_kept, person_keys, signer, ledger } =
            self;
        let inner =
            Inner::new(store, clock, ids, lookup_key, plugins, scorers, scores_kept, person_keys, signer, ledger);
        Crm::new(Arc::new(inner), TenantId::default())
    }
}
