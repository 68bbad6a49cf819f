//! A store around the memory store, with one fault or none. It spreads the feed over four lanes, so that
//! the cases about lanes have something to look at.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use crm_core::{CustomerId, EventId, SetKey, Span, TenantId, Timestamp};
use crm_storage::conformance::Fixture;
use crm_storage::{
    Capabilities, Claim, ClaimKey, ClaimOwner, Commit, CommitError, Committed, Copies, Cursor, CursorError, CursorStep,
    CustomerWrite, DeadLetter, DefineError, DefinitionRows, Details, Due, Enrolled, Enrolment, Entries, Entry, Erased,
    Expected, FeedCursor, FeedRow, IdempotencyKey, Lane, LeaseToken, Leased, Loaded, MemoryStore, Page, Parts, Release,
    Scanned, ScoresAsked, Selection, Settlement, StorageError, Store, Token, Verdict,
};

use super::fault::{Fault, fold};

const LANES: u16 = 4;

/// More calls than any case makes: a case that never ends because of a fault is caught by this.
const CALLS_MAX: usize = 50_000;

#[derive(Debug)]
pub(crate) struct Mutant {
    inner: MemoryStore,
    fault: Option<Fault>,
    has_feed: bool,
    calls: AtomicUsize,
    notes: Mutex<Notes>,
}

/// What a faulty store remembers to be wrong in the right places.
#[derive(Debug, Default)]
struct Notes {
    cursors: HashMap<(String, Lane), FeedCursor>,
    /// How often it was opened.
    opened: u32,
    writes: u64,
    /// How many writes there had been when a page was given.
    pages: HashMap<u64, u64>,
    /// Of which tenant a customer's history was begun last.
    begun: HashMap<CustomerId, TenantId>,
    tenants: Vec<TenantId>,
    sets: Vec<SetKey>,
    tokens: HashMap<(TenantId, CustomerId), Vec<Token>>,
    erased: HashSet<(TenantId, CustomerId)>,
    leases: HashMap<EventId, (LeaseToken, Timestamp)>,
    unfed: HashSet<(CustomerId, EventId)>,
}

impl Mutant {
    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and gives the tenant that it is taken to be about.
    fn called(&self, tenant: &TenantId) -> TenantId {
        assert!(self.calls.fetch_add(1, Ordering::Relaxed) < CALLS_MAX, "too many calls");
        if self.is(Fault::FoldsTheCaseOfTenants) {
            return TenantId::new(tenant.as_str().to_lowercase()).expect("a tenant's name");
        }
        tenant.clone()
    }

    /// Notes what a commit writes, and corrupts it.
    fn take(&self, tenant: &TenantId, commit: &mut Commit) {
        let mut notes = self.notes();
        notes.writes += 1;
        if !notes.tenants.contains(tenant) {
            notes.tenants.push(tenant.clone());
        }
        for write in &commit.writes {
            notes.sets.extend(write.traits.sets.iter().cloned());
            if let Some(tokens) = write.personal.as_ref().and_then(|personal| personal.tokens.clone()) {
                notes.tokens.insert((tenant.clone(), write.customer), tokens);
            }
        }
        let later = commit.writes.iter().skip(1).flat_map(|write| write.events.iter().map(|e| (write.customer, e.id)));
        notes.unfed.extend(later);
        if self.is(Fault::ForgetsRequests)
            && let Some(request) = &mut commit.request
            && let Some(key) = IdempotencyKey::new(&format!("{}{}", request.key.as_str(), notes.opened))
        {
            request.key = key;
        }
        self.fault.iter().for_each(|fault| fault.corrupt(commit));
    }

    async fn commit_one(&self, tenant: &TenantId, mut commit: Commit) -> Result<Committed, CommitError> {
        if self.is(Fault::JudgesClaimsFirst) && commit.check().is_ok() {
            for Claim { key, customer, event } in &commit.claims {
                let owner = self.inner.resolve(tenant, std::slice::from_ref(key)).await.expect("it resolves")[0];
                if let Some(owner) = owner
                    && owner != (ClaimOwner { customer: *customer, event: *event })
                    && commit.releases.is_empty()
                    && commit.request.is_none()
                {
                    return Err(CommitError::Claimed { key: key.clone(), owner });
                }
            }
        }
        if self.is(Fault::MergesColumns) {
            for write in commit.writes.iter_mut().filter(|write| write.state.is_some()) {
                let before = self.inner.details(tenant, &[write.customer], Parts::ALL).await.expect("it reads");
                let before = before.into_iter().flatten().next().unwrap_or_default().traits.columns;
                for column in crm_core::Column::ALL {
                    let number = write.traits.columns.get(column).or(before.get(column));
                    write.traits.columns.set(column, number);
                }
            }
        }
        loop {
            let answer = self.inner.commit(tenant, vec![commit.clone()]).await.expect("it commits").remove(0);
            let again = match (&answer, self.fault) {
                (Err(CommitError::Conflict { customer, actual: Some(actual) }), Some(fault)) => {
                    let erased = self.notes().erased.contains(&(tenant.clone(), *customer));
                    let write = commit.writes.iter_mut().find(|write| write.customer == *customer).expect("it wrote");
                    let just_before = write.expected == Expected::At(crm_storage::Version(actual.0 - 1));
                    let blind = fault == Fault::ChecksNoVersion && write.expected != Expected::New
                        || fault == Fault::AppliesAfterAnErasure && erased && just_before;
                    if blind {
                        write.expected = Expected::At(*actual);
                    }
                    blind
                }
                (Err(CommitError::NotOwned { key, .. }), Some(Fault::ReleasesForAnybody)) => {
                    let owner = self.inner.resolve(tenant, std::slice::from_ref(key)).await.expect("it resolves")[0];
                    let release = commit.releases.iter_mut().find(|release| release.key == *key).expect("it released");
                    owner.inspect(|owner| release.customer = owner.customer).is_some()
                }
                (Err(CommitError::Claimed { .. } | CommitError::CounterLimit { .. }), Some(fault)) => {
                    let half = Commit { writes: std::mem::take(&mut commit.writes), ..Commit::default() };
                    if fault == Fault::AppliesHalfARefusedCommit {
                        self.inner.commit(tenant, vec![half]).await.expect("it commits")[0].clone().ok();
                    }
                    false
                }
                _ => false,
            };
            if again {
                continue;
            }
            if self.is(Fault::RemembersARefusedRequest) && answer.is_err() {
                let request = Commit { request: commit.request.take(), ..Commit::default() };
                self.inner.commit(tenant, vec![request]).await.expect("it commits")[0].clone().ok();
            }
            return match answer {
                Ok(Committed::Replayed { .. }) if self.is(Fault::ForgetsTheAnswer) => {
                    Ok(Committed::Replayed { answer: Vec::new() })
                }
                answer => answer,
            };
        }
    }

    /// A lane of the feed as it would be without a fault.
    async fn lane(&self, lane: Lane) -> Vec<FeedRow> {
        let all = self.inner.feed(Lane(0), 0, usize::MAX).await.expect("it has a feed");
        let own = all.into_iter().filter(|row| Lane::of_customer(&row.tenant, row.customer, LANES) == lane);
        (1..).zip(own).map(|(position, row)| FeedRow { position, ..row }).collect()
    }
}

#[async_trait]
impl Store for Mutant {
    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::one_lane(false).lanes(LANES);
        if self.has_feed { capabilities } else { capabilities.without_feed() }
    }

    async fn commit(
        &self,
        tenant: &TenantId,
        mut commits: Vec<Commit>,
    ) -> Result<Vec<Result<Committed, CommitError>>, StorageError> {
        let tenant = &self.called(tenant);
        commits.iter_mut().for_each(|commit| self.take(tenant, commit));
        if self.fault.is_none() {
            return self.inner.commit(tenant, commits).await;
        }
        let mut answers: Vec<Result<Committed, CommitError>> = Vec::with_capacity(commits.len());
        for commit in commits {
            let answer = match answers.last() {
                Some(Err(refusal)) if self.is(Fault::StopsAtARefusal) => Err(refusal.clone()),
                _ => self.commit_one(tenant, commit).await,
            };
            answers.push(answer);
        }
        Ok(answers)
    }

    async fn load(&self, tenant: &TenantId, customers: &[CustomerId]) -> Result<Loaded, StorageError> {
        let mut customers = customers.to_vec();
        if self.is(Fault::LoadsInItsOwnOrder) {
            customers.sort();
        }
        self.inner.load(&self.called(tenant), &customers).await
    }

    async fn details(
        &self,
        tenant: &TenantId,
        customers: &[CustomerId],
        parts: Parts,
    ) -> Result<Vec<Option<Details>>, StorageError> {
        let parts = if self.is(Fault::AnswersEveryPart) { Parts::ALL } else { parts };
        self.inner.details(&self.called(tenant), customers, parts).await
    }

    async fn scan(
        &self,
        tenant: &TenantId,
        after: Option<CustomerId>,
        limit: usize,
        scores: Option<&ScoresAsked>,
    ) -> Result<Scanned, StorageError> {
        let mut page = self.inner.scan(&self.called(tenant), after, limit, scores).await?;
        if self.is(Fault::ScansOnePage) && after.is_some() {
            page.rows.clear();
        }
        if let Some(asked) = scores.filter(|_| self.is(Fault::ScansOneInstant)) {
            let all = page.rows.iter_mut().flat_map(|row| &mut row.scores);
            all.for_each(|scores| scores.instants.retain(|at| *at == asked.at));
        }
        Ok(page)
    }

    async fn history(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        entries: Entries,
        mut after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Entry>, StorageError> {
        let tenant = &self.called(tenant);
        if let Some(Cursor(place)) = &mut after
            && self.is(Fault::SkipsARowUnderWrites)
        {
            let notes = self.notes();
            *place += u64::from(notes.pages.get(place).is_some_and(|writes| *writes < notes.writes));
        }
        if after.is_none() {
            self.notes().begun.insert(customer, tenant.clone());
        }
        let begun = self.notes().begun.get(&customer).unwrap_or(tenant).clone();
        let tenant = if self.is(Fault::MixesHistories) { &begun } else { tenant };
        let mut page = self.inner.history(tenant, customer, entries, after, limit).await?;
        if self.is(Fault::TurnsPagesRound) {
            page.rows.reverse();
        }
        let mut notes = self.notes();
        let writes = notes.writes;
        page.next.map(|Cursor(place)| notes.pages.insert(place, writes));
        Ok(page)
    }

    async fn resolve(&self, tenant: &TenantId, keys: &[ClaimKey]) -> Result<Vec<Option<ClaimOwner>>, StorageError> {
        let tenant = &self.called(tenant);
        let mut keys = keys.to_vec();
        if self.is(Fault::FoldsTheCaseOfKeys) {
            keys.iter_mut().for_each(fold);
        }
        let mut owners = self.inner.resolve(tenant, &keys).await?;
        if self.is(Fault::ResolvesAcrossTenants) {
            let tenants = self.notes().tenants.clone();
            for other in tenants {
                for (owner, theirs) in owners.iter_mut().zip(self.inner.resolve(&other, &keys).await?) {
                    *owner = owner.or(theirs);
                }
            }
        }
        Ok(owners)
    }

    async fn select(
        &self,
        tenant: &TenantId,
        selection: &Selection,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<CustomerId>, StorageError> {
        let tenant = &self.called(tenant);
        let Some(fault) = self.fault else { return self.inner.select(tenant, selection, after, limit).await };
        if fault == Fault::AnswersMalformedSelections && selection.check().is_err() {
            return Ok(Vec::new());
        }
        selection.check()?;
        let distorted = fault.distort(selection, &self.notes().sets);
        let mut ids = self.inner.select(tenant, &distorted, after, limit).await.unwrap_or_default();
        if fault == Fault::SelectsBackwards {
            ids.reverse();
        }
        if let (Fault::ErasesNoTokens, Selection::Found(token)) = (fault, selection) {
            let notes = self.notes();
            let left = |id: &&(TenantId, CustomerId)| notes.tokens.get(id).is_some_and(|has| has.contains(token));
            ids.extend(notes.erased.iter().filter(|id| id.0 == *tenant).filter(left).map(|id| id.1));
            ids.sort();
            ids.dedup();
        }
        Ok(ids)
    }

    async fn count(&self, tenant: &TenantId, selection: &Selection) -> Result<u64, StorageError> {
        let most = if self.is(Fault::CountsOnePage) { 50 } else { usize::MAX };
        if self.fault.is_none() {
            return self.inner.count(&self.called(tenant), selection).await;
        }
        Ok(self.select(tenant, selection, None, most).await?.len() as u64)
    }

    async fn enrol(
        &self,
        tenant: &TenantId,
        enrolment: &Enrolment,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Enrolled, StorageError> {
        let tenant = &self.called(tenant);
        if self.is(Fault::EnrolsAcrossTenants) {
            let tenants = self.notes().tenants.clone();
            for other in tenants.iter().filter(|other| *other != tenant) {
                self.inner.enrol(other, enrolment, after, limit).await?;
            }
        }
        if self.is(Fault::EnrolsAgain) {
            let there = Selection::All(vec![enrolment.selection.clone(), Selection::In(enrolment.set.clone())]);
            for customer in self.inner.select(tenant, &there, after, limit.max(1)).await? {
                let rows = self.inner.load(tenant, &[customer]).await?.rows;
                let Some(row) = rows.into_iter().next().flatten() else { continue };
                let mut write = CustomerWrite::new(customer, Expected::At(row.version), row.state);
                write.state = None;
                write.changes = vec![enrolment.change.clone()];
                let commit = Commit { writes: vec![write], ..Commit::default() };
                self.inner.commit(tenant, vec![commit]).await?;
            }
        }
        let mut enrolled = self.inner.enrol(tenant, enrolment, after, limit).await?;
        if self.is(Fault::EnrolsOnePage) {
            enrolled.next = None;
        }
        Ok(enrolled)
    }

    async fn due(&self, tenant: &TenantId, until: Timestamp, limit: usize) -> Result<Vec<Due>, StorageError> {
        let until = if self.is(Fault::MissesTheInstant) { until.minus(Span::millis(1)) } else { until };
        self.inner.due(&self.called(tenant), until, limit).await
    }

    async fn lease(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        lease: Span,
        limit: usize,
    ) -> Result<Vec<Leased>, StorageError> {
        let lease = if self.is(Fault::LeasesTwice) { Span::millis(0) } else { lease };
        let mut leased = self.inner.lease(&self.called(tenant), now, lease, limit).await?;
        let places = leased.iter().map(|leased| (leased.entry.id, (leased.token, leased.entry.due_at)));
        self.notes().leases.extend(places);
        if self.is(Fault::LeasesBackwards) {
            leased.reverse();
        }
        Ok(leased)
    }

    async fn settle(&self, tenant: &TenantId, settlements: &[Settlement]) -> Result<Vec<bool>, StorageError> {
        let mut settlements = settlements.to_vec();
        for settlement in &mut settlements {
            let Some((token, due_at)) = self.notes().leases.get(&settlement.id).copied() else { continue };
            match (self.fault, &settlement.verdict) {
                (Some(Fault::SettlesWithAStaleToken), _) => settlement.token = token,
                (Some(Fault::LeasesTheDead), Verdict::Dead { .. })
                | (Some(Fault::CountsWhatIsGivenBack), Verdict::GiveBack) => {
                    settlement.verdict = Verdict::Retry { at: due_at };
                }
                _ => {}
            }
        }
        let settled = self.inner.settle(&self.called(tenant), &settlements).await?;
        Ok(settled.into_iter().map(|settled| settled || self.is(Fault::SaysThatAllIsSettled)).collect())
    }

    async fn dead_letters(
        &self,
        tenant: &TenantId,
        after: Option<&DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StorageError> {
        let mut letters = self.inner.dead_letters(&self.called(tenant), after, limit).await?;
        if self.is(Fault::RepeatsADeadLetter) && !letters.is_empty() {
            letters.splice(0..0, after.cloned());
            letters.truncate(limit.max(1));
        }
        Ok(letters)
    }

    async fn definitions(&self, tenant: &TenantId) -> Result<DefinitionRows, StorageError> {
        self.inner.definitions(&self.called(tenant)).await
    }

    async fn define(&self, tenant: &TenantId, expected: u64, body: Vec<u8>) -> Result<u64, DefineError> {
        let tenant = &self.called(tenant);
        match self.inner.define(tenant, expected, body.clone()).await {
            Err(DefineError::Conflict { actual }) if self.is(Fault::ChecksNoRevision) => {
                self.inner.define(tenant, actual, body).await
            }
            answer => answer,
        }
    }

    async fn erase(&self, tenant: &TenantId, customer: CustomerId, keys: &[ClaimKey]) -> Result<Erased, StorageError> {
        let tenant = &self.called(tenant);
        self.notes().erased.insert((tenant.clone(), customer));
        if self.is(Fault::ErasesKeysOfOthers) {
            for (key, owner) in keys.iter().zip(self.inner.resolve(tenant, keys).await?) {
                if let Some(owner) = owner.filter(|owner| owner.customer != customer) {
                    let releases = vec![Release { key: key.clone(), customer: owner.customer }];
                    self.inner.commit(tenant, vec![Commit { releases, ..Commit::default() }]).await?;
                }
            }
        }
        let keys = if self.is(Fault::ErasesNoKeys) { &[] } else { keys };
        let mut erased = self.inner.erase(tenant, customer, keys).await?;
        if self.is(Fault::CallsLogsGone) && erased.fields + erased.tokens + erased.outbox > 0 {
            erased.copies = Copies::UntilLogsExpire;
        }
        Ok(erased)
    }

    async fn feed(&self, lane: Lane, after: u64, limit: usize) -> Result<Vec<FeedRow>, StorageError> {
        if !self.has_feed {
            return Err(StorageError::Unsupported { what: "have a feed" });
        }
        let mut rows = self.lane(lane).await;
        let first = rows.first().map(|row| row.tenant.clone());
        match (self.fault, first) {
            (Some(Fault::LeavesGapsInTheFeed), _) => rows.retain(|row| row.position % 5 != 0),
            (Some(Fault::ShowsLaterRowsFirst), _) if rows.len() > 1 => drop(rows.remove(rows.len() - 2)),
            (Some(Fault::MixesTenantsInTheFeed), Some(first)) => {
                rows.iter_mut().for_each(|row| row.tenant = first.clone());
            }
            (Some(Fault::FeedsTheFirstWriteOnly), _) => {
                let notes = self.notes();
                let unfed = |row: &FeedRow| matches!(&row.entry, Entry::Event(e) if notes.unfed.contains(&(row.customer, e.id)));
                rows.retain(|row| !unfed(row));
                (1..).zip(&mut rows).for_each(|(position, row)| row.position = position);
            }
            _ => {}
        }
        self.called(&TenantId::default());
        Ok(rows.into_iter().filter(|row| row.position > after).take(limit.max(1)).collect())
    }

    async fn cursor(&self, consumer: &str, lane: Lane, step: CursorStep) -> Result<FeedCursor, CursorError> {
        if !self.has_feed {
            return Err(CursorError::Storage(StorageError::Unsupported { what: "have a feed" }));
        }
        // The memory store knows which names are allowed.
        self.inner.cursor(consumer, Lane(0), CursorStep::Look).await?;
        let end = self.lane(lane).await.len() as u64;
        let mut notes = self.notes();
        let mut key = (consumer.to_owned(), lane);
        match self.fault {
            Some(Fault::SharesCursorsBetweenLanes) => key.1 = Lane(0),
            Some(Fault::ForgetsCursors) => key.0.push_str(&notes.opened.to_string()),
            _ => {}
        }
        let stands = notes.cursors.get(&key).copied().unwrap_or_default();
        let step = match step {
            CursorStep::Move { to, .. } if self.is(Fault::FencesNobody) => CursorStep::Move { to, epoch: stands.epoch },
            other => other,
        };
        let end = if self.is(Fault::PassesTheEnd) { u64::MAX } else { end };
        let moved = stands.after(step, end)?;
        if lane.0 < LANES {
            notes.cursors.insert(key, moved);
        }
        Ok(moved)
    }
}

/// Makes stores with one fault, or none. What a closed one kept is there when it is opened again.
pub(crate) struct Mutants {
    pub(crate) fault: Option<Fault>,
    pub(crate) has_feed: bool,
    last: Mutex<Option<Arc<Mutant>>>,
}

impl Mutants {
    pub(crate) const fn with(fault: Option<Fault>, has_feed: bool) -> Self {
        Mutants { fault, has_feed, last: Mutex::new(None) }
    }

    fn last(&self) -> MutexGuard<'_, Option<Arc<Mutant>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Fixture for Mutants {
    async fn fresh(&self) -> Arc<dyn Store> {
        let mutant = Arc::new(Mutant {
            inner: MemoryStore::new(),
            fault: self.fault,
            has_feed: self.has_feed,
            calls: AtomicUsize::new(0),
            notes: Mutex::default(),
        });
        *self.last() = Some(Arc::clone(&mutant));
        mutant
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        drop(store);
        let mutant = self.last().clone()?;
        mutant.notes().opened += 1;
        Some(mutant)
    }
}
