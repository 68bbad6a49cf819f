//! The engine: it loads, plans and commits, and when another writer was first it does so again.

mod advance;
mod audit;
mod backtest;
mod card;
mod command;
mod consent;
mod credit;
mod define;
mod deliver;
mod duplicates;
mod erase;
mod export;
mod fill;
#[cfg(feature = "sqlite")]
mod host;
#[cfg(feature = "postgres")]
mod host_postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod host_words;
mod identify;
mod import;
mod ingest;
mod leads;
mod list;
mod lookup;
mod loyalty;
mod membership;
mod merge;
mod personal;
mod planning;
mod plugin;
mod push;
mod query;
mod quote;
mod reapply;
mod record;
mod rectify;
mod retain;
mod rewards;
mod score;
mod search;
mod select;
mod sharing;
mod stages;
mod tie;
mod tiers;
mod together;
mod value;
mod voucher;
mod writing;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU16;
use std::sync::{Arc, PoisonError, RwLock};

use crm_core::change::Change;
use crm_core::customer::{Customer, Group, Header};
use crm_core::event::{Event, EventBody};
use crm_core::identity::{LookupKey, MEMBERS_MAX};
use crm_core::{CustomerId, Definitions, TenantId, Timestamp};
use crm_storage::{
    CommitError, CustomerRow, CustomerWrite, Entries, Entry, EventRow, Expected, Parts, ScoreRow, StateRow, Store,
    Version,
};

pub use audit::{AuditCursor, AuditPage};
pub use backtest::{
    AskedThen, INSTANTS_MAX, InstantScores, Known, MovedScore, Outlook, OutputBacktest, OutputShadow, ReplayCost,
    ReplayError, ReplayGaps, ReplayProgress, ReplayedAction, ScoreReplay, ScorerBacktest, ScorerShadow, Verdict,
    WorkflowBacktest, WorkflowReplay, WorkflowShadow,
};
pub use card::{CARDS_AT_A_TIME, CardChange, CardTold, CardUpdated, CardsImported};
pub use command::Executed;
pub use consent::{
    AddressWithdrawn, ConfirmProof, Confirmation, ConfirmedAddress, ConsentRefusal, OptIn, OptInPeek, OptInRequested,
    OptInState, OptInToken, Suppressed, SuppressionReason, Unsubscribe, UnsubscribeToken, Withdrawal,
};
pub use credit::{
    CreditTrialBalance, GiftCard, GiftCardBlocked, GiftCardCode, GiftCardIssued, GiftCardRedeemed, GiftCardSale,
};
pub use deliver::{ATTEMPTS, Delivered, Delivery};
pub use erase::{Erasure, ErasureRequest};
pub use fill::{FillProgress, FillReport, ToFill};
#[cfg(feature = "sqlite")]
pub use host::InTransaction;
#[cfg(feature = "postgres")]
pub use host_postgres::InPostgresTransaction;
pub use import::{ImportError, Imported};
pub use ingest::{IngestReport, Ingestion};
pub use list::ListReport;
pub use loyalty::{
    BalanceRow, ExpectedPoints, ImportDifference, ImportProblem, ImportProblemKind, ImportStep, ImportedBalance,
    PROBLEMS_MAX, PointsImport, PointsImportChecked, PointsImportError, PointsImported, Statement, UnknownCustomers,
};
pub use merge::{MergeOutcome, PartOutcome};
pub use plugin::{PluginInstalled, PluginRole, PluginStanding};
pub use query::{Overview, Story};
pub use record::Recorded;
pub use rectify::{Rectification, RectifyRefusal};
pub use retain::{RetentionCount, RetentionOverview};
pub(crate) use score::{InstalledScorer, SCORES_KEPT};
pub use score::{
    RUNS_MAX, SCORE_BATCH, ScoreExplained, ScoreProgress, ScoreReport, ScoreRun, ScoreRunError, ScoreSummary,
};
pub use search::{CANDIDATES_MAX, Found};
pub use select::Selected;
pub use stages::{Past, StageForecast, StageStory};
pub use tie::TieRecorded;
pub use together::{DoneTogether, DrawEntries, Drawn};
pub use value::{
    BringsReport, DebtReport, Debtor, GroupSize, KeyCustomer, RfmReport, RfmRow, SocialReport, SocialRow, ValueReport,
};

pub use voucher::{VOUCHERS_AT_ONCE_MAX, VoucherBatch, VoucherGiven};

use crate::audit::CheckpointSigner;
use crate::builder::CrmBuilder;
use crate::clock::Clock;
use crate::error::Error;
use crate::ids::IdSource;
use crate::installed::Plugins;
use crate::ledger::ErasureLedger;
use crate::personal::PersonKeys;
use crate::plan::{Need, Planner, traits};

/// How often a write is decided anew when other writers are first.
const ATTEMPTS_MAX: u32 = 64;
/// How many rows are asked of the store at once.
const PAGE: usize = 1_000;

/// A customer relationship manager, for one tenant of a store. Cloning is cheap, and clones share
/// everything.
///
/// Its methods are futures that run under any executor, and neither spawn nor sleep; hosts without one
/// use [`crate::blocking`].
#[derive(Debug, Clone)]
pub struct Crm {
    inner: Arc<Inner>,
    tenant: TenantId,
    /// Under which id the tenant's audit log is kept. It is among the customers' rows, and no customer.
    audit_stream: CustomerId,
    /// Under which id it is kept how far segments are filled. It is among the customers' rows too.
    fill_row: CustomerId,
    /// And how far scoring runs have come.
    runs_row: CustomerId,
    /// Whether this one brings a restored backup to where its ledger is, before which no other one is answered.
    reapplying: bool,
}

#[derive(Debug)]
pub(crate) struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    lookup_key: LookupKey,
    plugins: Plugins,
    /// Those that are asked when scores are due.
    scorers: Vec<Arc<InstalledScorer>>,
    /// How many scores of one output are kept of a customer.
    scores_kept: NonZeroU16,
    definitions: RwLock<HashMap<TenantId, (u64, Arc<Definitions>)>>,
    person_keys: Option<Arc<dyn PersonKeys>>,
    signer: Option<Arc<dyn CheckpointSigner>>,
    ledger: Option<Arc<dyn ErasureLedger>>,
    /// The tenants whose store knows of all erasures in the ledger.
    reapplied: Arc<RwLock<HashSet<TenantId>>>,
    audit_turns: audit::Turns,
    inside: Inside,
}

/// Whether the engine works inside a transaction of the shop's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    /// In one whose task may wait for others.
    #[cfg(feature = "postgres")]
    Task,
    /// In one whose thread does nothing meanwhile but what is asked of the store.
    #[cfg(feature = "sqlite")]
    Thread,
}

impl Inside {
    /// Whether anything else may be waited for than the store: where it is this thread that does what is asked of the
    /// store, waiting for another one may be waiting for ever.
    const fn may_wait(self) -> bool {
        match self {
            Inside::Nothing => true,
            #[cfg(feature = "postgres")]
            Inside::Task => true,
            #[cfg(feature = "sqlite")]
            Inside::Thread => false,
        }
    }
}

impl Inner {
    #[allow(clippy::too_many_arguments, reason = "it is the builder, taken apart")]
    pub(crate) fn new(
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
    ) -> Self {
        let (definitions, audit_turns, reapplied) = Default::default();
        let inside = Inside::Nothing;
        Inner {
            store,
            clock,
            ids,
            lookup_key,
            plugins,
            scorers,
            scores_kept,
            definitions,
            person_keys,
            signer,
            ledger,
            reapplied,
            audit_turns,
            inside,
        }
    }
}

impl Inner {
    /// The same with another store and other plugins. What is remembered of a store is read anew.
    fn again(&self, store: Arc<dyn Store>, plugins: Plugins, inside: Inside) -> Self {
        let Inner { clock, ids, lookup_key, scorers, scores_kept, person_keys, signer, ledger, reapplied, .. } = self;
        Inner {
            store,
            clock: Arc::clone(clock),
            ids: Arc::clone(ids),
            lookup_key: lookup_key.clone(),
            plugins,
            scorers: scorers.clone(),
            scores_kept: *scores_kept,
            definitions: RwLock::default(),
            person_keys: person_keys.clone(),
            signer: signer.clone(),
            ledger: ledger.clone(),
            reapplied: Arc::clone(reapplied),
            audit_turns: Default::default(),
            inside,
        }
    }
}

/// A customer as loaded, and what a commit on them has to expect.
#[derive(Clone)]
struct Base {
    customer: Customer,
    expected: Expected,
    /// Who was asked for: of several merged customers one.
    through: CustomerId,
    /// The versions of the others whom the customer was merged of: none for nearly all.
    others: Vec<(CustomerId, Version)>,
}

impl Base {
    /// A write for the one who was asked for, of the state as it is, so that the version rises and writers
    /// notice each other.
    fn touch(&self, definitions: &Definitions) -> Option<CustomerWrite> {
        let shape = crm_core::customer::STATE_SHAPE;
        if self.through == self.customer.id() {
            let state = StateRow { shape, bytes: self.customer.encode() };
            let mut write = CustomerWrite::new(self.through, self.expected, state);
            write.traits = traits(&self.customer, definitions);
            return Some(write);
        }
        let (_, version) = self.others.iter().find(|(id, _)| *id == self.through)?;
        let state = StateRow { shape, bytes: Customer::alias(self.through, self.customer.id()).encode() };
        Some(CustomerWrite::new(self.through, Expected::At(*version), state))
    }

    const fn of_one(customer: Customer, expected: Expected) -> Self {
        let through = customer.id();
        Base { customer, expected, through, others: Vec::new() }
    }
}

/// What a commit came to.
enum Settled {
    Done,
    Replayed(Vec<u8>),
    Refused(CommitError),
}

impl Crm {
    pub(crate) fn new(inner: Arc<Inner>, tenant: TenantId) -> Self {
        let audit_stream = CustomerId::of_audit_log(&tenant);
        let fill_row = CustomerId::of_fills(&tenant);
        let runs_row = CustomerId::of_score_runs(&tenant);
        Crm { inner, tenant, audit_stream, fill_row, runs_row, reapplying: false }
    }

    /// Whether an id may be a customer's: of the rows that are kept like customers some are none.
    fn is_customer(&self, id: CustomerId) -> bool {
        id != self.audit_stream && id != self.fill_row && id != self.runs_row && !id.is_of_vouchers()
    }

    /// Puts one together.
    #[must_use]
    pub fn builder() -> CrmBuilder {
        CrmBuilder::default()
    }

    /// One that keeps everything in memory and forgets it in the end, for tests.
    #[must_use]
    pub fn in_memory() -> Self {
        CrmBuilder::default().build()
    }

    /// The same CRM for another tenant of the same store. Tenants know nothing of each other.
    #[must_use]
    pub fn tenant(&self, tenant: TenantId) -> Self {
        Crm::new(Arc::clone(&self.inner), tenant)
    }

    /// Which tenant this is for.
    #[must_use]
    pub const fn tenant_id(&self) -> &TenantId {
        &self.tenant
    }

    /// What the clock says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Whether this is inside a transaction of the shop's.
    fn is_inside(&self) -> bool {
        self.inner.inside != Inside::Nothing
    }

    fn store(&self) -> &dyn Store {
        &*self.inner.store
    }

    /// One customer and the definitions in force. Whoever was merged into another is that other.
    async fn base(&self, id: CustomerId) -> Result<(Option<Base>, Arc<Definitions>), Error> {
        let loaded = self.store().load(&self.tenant, &[id]).await?;
        let definitions = self.definitions_at(loaded.definitions).await?;
        let base = match loaded.rows.into_iter().next().flatten().filter(|_| self.is_customer(id)) {
            Some(row) => Some(self.whole(self.decode(&row, &definitions).await?, &definitions).await?),
            None => None,
        };
        Ok((base, definitions))
    }

    /// Follows somebody who was merged to whom they go on as, and learns the versions of all whom that one was
    /// merged of. Costs nothing for nearly everybody.
    async fn whole(&self, mut base: Base, definitions: &Definitions) -> Result<Base, Error> {
        let through = base.customer.id();
        // Merging and parting may go on meanwhile; who is led in circles finds a damaged store.
        for _ in 0..MEMBERS_MAX {
            let next = match base.customer.merged_into() {
                Some(head) => head,
                None if base.customer.is(through) => break,
                // Parted since they led here: their own id tells where they are now.
                None => through,
            };
            let loaded = self.store().load(&self.tenant, &[next]).await?;
            let row = loaded.rows.into_iter().next().flatten();
            let row =
                row.ok_or_else(|| Error::corrupt(format!("{through} was merged into {next}, who is not there")))?;
            base = self.decode(&row, definitions).await?;
        }
        if base.customer.merged_into().is_some() || !base.customer.is(through) {
            return Err(Error::corrupt(format!("{through} was merged into nobody")));
        }
        if base.customer.is_merged() {
            let others: Vec<CustomerId> = base.customer.members().filter(|id| *id != base.customer.id()).collect();
            let loaded = self.store().load(&self.tenant, &others).await?;
            base.others = loaded.rows.into_iter().flatten().map(|row| (row.customer, row.version)).collect();
        }
        base.through = through;
        Ok(base)
    }

    /// A stored state is a cache: one that cannot be read is folded anew from the events.
    async fn decode(&self, row: &CustomerRow, definitions: &Definitions) -> Result<Base, Error> {
        let expected = Expected::At(row.version);
        match Customer::decode(row.state.shape, &row.state.bytes, &row.sets, definitions) {
            Ok(mut customer) => {
                // Rules ask about scores that none asked about when the state was written.
                if customer.merged_into().is_none() && !customer.knows_scores(definitions) {
                    let scores = self.scores_of(row.customer).await?;
                    customer.learn_scores(score::newest(&scores), definitions);
                }
                Ok(Base::of_one(customer, expected))
            }
            Err(problem) => {
                tracing::warn!(customer = %row.customer, %problem, "a customer is folded anew");
                let mut history = self.history_of(row.customer).await?;
                let group = Group::of(row.customer, history.iter().map(|event| &event.body));
                if group.head != row.customer {
                    return Ok(Base::of_one(Customer::alias(row.customer, group.head), expected));
                }
                for other in group.members.into_iter().filter(|member| *member != row.customer) {
                    history.extend(self.history_of(other).await?);
                }
                let events = history.iter().map(|event| (event.customer, event.id, event.at, &event.body));
                // Up to when time has passed, and which alarm is in the store, stands before any state.
                let header = Header::read(&row.state.bytes);
                let last = history.iter().map(|event| event.at).max().unwrap_or(Timestamp::MIN).min(self.now());
                let until = header.and_then(|header| header.clock).unwrap_or(last);
                let scores = self.scores_of(row.customer).await?;
                let customer = Customer::replay(row.customer, events, until, definitions);
                let mut customer = customer.with_scores(score::newest(&scores), definitions);
                customer.arm(header.and_then(|header| header.alarm));
                Ok(Base::of_one(customer, expected))
            }
        }
    }

    /// The scores under an id. They are of whoever had it when they were given, and merging does not mix them.
    async fn scores_of(&self, id: CustomerId) -> Result<Vec<ScoreRow>, Error> {
        let details = self.store().details(&self.tenant, &[id], Parts::SCORES).await?;
        Ok(details.into_iter().flatten().next().map(|details| details.scores).unwrap_or_default())
    }

    /// Customers in the order of their ids.
    async fn page_of_customers(&self, after: Option<CustomerId>, limit: usize) -> Result<Vec<CustomerRow>, Error> {
        let ids = self.store().select(&self.tenant, &select::customers(), after, limit).await?;
        let loaded = self.store().load(&self.tenant, &ids).await?;
        Ok(loaded.rows.into_iter().flatten().filter(|row| self.is_customer(row.customer)).collect())
    }

    /// All events of a customer: of each whom they were merged of, in the order in which they were recorded.
    async fn whole_history(&self, customer: &Customer) -> Result<Vec<Event>, Error> {
        let mut events = self.history_of(customer.id()).await?;
        for other in customer.members().filter(|member| *member != customer.id()) {
            events.extend(self.history_of(other).await?);
        }
        Ok(events)
    }

    /// All events in one history, in the order in which they were recorded.
    async fn history_of(&self, id: CustomerId) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        let mut after = None;
        loop {
            let page = self.store().history(&self.tenant, id, Entries::Events, after, PAGE).await?;
            for row in page.rows {
                if let Entry::Event(row) = row {
                    events.push(decode_event(id, row)?);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(events);
            }
        }
    }

    /// Plans something that only time causes, for one customer, and commits it. Answers what
    /// moved, if there was anything to do.
    async fn plan_and_commit<F>(&self, id: CustomerId, now: Timestamp, work: F) -> Result<Option<Vec<Change>>, Error>
    where
        F: Fn(&mut Planner<'_>) -> Result<(), Need> + Send + Sync,
    {
        for _ in 0..ATTEMPTS_MAX {
            let (base, definitions) = self.base(id).await?;
            let base = base.ok_or(Error::NoCustomer { customer: id })?;
            let context = self.context(&definitions, now, false);
            let planned = self.plan(context, &base, |mut planner| {
                work(&mut planner)?;
                Ok(planner.finish())
            });
            let Some(plan) = planned.await? else { return Ok(None) };
            let (writing, changes) = self.written(plan, &base).await?;
            // It claims and gives up nothing but that by which somebody is known.
            if self.try_settle(writing).await? {
                return Ok(Some(changes));
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// Another writer was first. Inside a transaction of the shop's that is the shop's to deal with.
    fn lost(&self) -> Result<(), Error> {
        if self.is_inside() { Err(Error::Conflict) } else { Ok(()) }
    }

    fn cached_definitions(&self, revision: u64) -> Option<Arc<Definitions>> {
        let cache = self.inner.definitions.read().unwrap_or_else(PoisonError::into_inner);
        cache.get(&self.tenant).filter(|(cached, _)| *cached == revision).map(|(_, all)| Arc::clone(all))
    }

    /// Whether definitions were read, and with them the check value of the look-up key.
    fn has_definitions(&self) -> bool {
        let cache = self.inner.definitions.read().unwrap_or_else(PoisonError::into_inner);
        cache.get(&self.tenant).is_some_and(|(revision, _)| *revision > 0)
    }

    fn cache_definitions(&self, revision: u64, definitions: Arc<Definitions>) {
        let mut cache = self.inner.definitions.write().unwrap_or_else(PoisonError::into_inner);
        cache.insert(self.tenant.clone(), (revision, definitions));
    }
}

fn decode_event(customer: CustomerId, row: EventRow) -> Result<Event, Error> {
    let body = EventBody::decode(&row.kind, row.shape, &row.body).map_err(Error::corrupt)?;
    let EventRow { id, at, recorded_at, source, cause, .. } = row;
    Ok(Event { customer, id, at, recorded_at, source, cause, body })
}
