//! A store as one tenant sees it, with short ways to write to it and to look at all of it.

use std::sync::Arc;

use crm_core::{CustomerId, SmolStr, Span, TenantId, Timestamp};

use super::Fixture;
use super::sample::tenant;
use crate::commit::{ClaimKey, Commit, Committed, CounterStep, OutboxEntry, Token, Version};
use crate::error::{CommitError, CursorError};
use crate::lane::Lane;
use crate::row::{
    ChangeRow, ClaimOwner, Cursor, CursorStep, CustomerRow, DeadLetter, Details, Due, Entries, Entry, Erased, EventRow,
    FeedCursor, FeedRow, LeaseToken, Leased, Page, Parts, ScannedRow, ScoreRow, ScoresAsked, Settlement, Verdict,
};
use crate::selection::Selection;
use crate::store::Store;

/// One tenant of a store.
pub(super) struct Shop {
    pub(super) store: Arc<dyn Store>,
    pub(super) tenant: TenantId,
}

/// All that can be seen of a tenant, but for claims and counters, which must be asked for by name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) customers: Vec<CustomerRow>,
    pub(super) events: Vec<Vec<EventRow>>,
    pub(super) changes: Vec<Vec<ChangeRow>>,
    pub(super) history: Vec<Vec<Entry>>,
    pub(super) details: Vec<Details>,
    pub(super) due: Vec<Due>,
    pub(super) outbox: Vec<OutboxEntry>,
    /// Each with its attempts and its reason.
    pub(super) dead: Vec<(OutboxEntry, u32, SmolStr)>,
    pub(super) definitions: Vec<Vec<u8>>,
}

impl Shop {
    /// A tenant of an empty store.
    pub(super) async fn open(fixture: &dyn Fixture) -> Shop {
        Shop { store: fixture.fresh().await, tenant: tenant("shop") }
    }

    /// Another tenant of the same store.
    pub(super) fn neighbour(&self, name: &str) -> Shop {
        Shop { store: Arc::clone(&self.store), tenant: tenant(name) }
    }

    pub(super) async fn commits(&self, commits: Vec<Commit>) -> Vec<Result<Committed, CommitError>> {
        self.store.commit(&self.tenant, commits).await.expect("the store commits")
    }

    pub(super) async fn commit(&self, commit: impl Into<Commit>) -> Result<Committed, CommitError> {
        let mut answers = self.commits(vec![commit.into()]).await;
        assert_eq!(answers.len(), 1, "one answer per commit");
        answers.remove(0)
    }

    /// Commits what must not be refused, and gives the versions.
    pub(super) async fn done(&self, commit: impl Into<Commit>) -> Vec<Version> {
        match self.commit(commit).await {
            Ok(Committed::Done { versions }) => versions,
            other => unreachable!("the commit should have been done: {other:?}"),
        }
    }

    pub(super) async fn load(&self, customers: &[CustomerId]) -> Vec<Option<CustomerRow>> {
        self.store.load(&self.tenant, customers).await.expect("the store loads").rows
    }

    pub(super) async fn load_one(&self, customer: CustomerId) -> Option<CustomerRow> {
        self.load(&[customer]).await.remove(0)
    }

    /// A page of a history.
    pub(super) async fn page(
        &self,
        customer: CustomerId,
        entries: Entries,
        after: Option<Cursor>,
        limit: usize,
    ) -> Page<Entry> {
        self.store.history(&self.tenant, customer, entries, after, limit).await.expect("the store reads a history")
    }

    /// A whole history, read in pages of a size.
    pub(super) async fn history(&self, customer: CustomerId, entries: Entries, page_size: usize) -> Vec<Entry> {
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let page = self.page(customer, entries, after, page_size).await;
            assert!(page.rows.len() <= page_size.max(1), "a page has at most as many rows as were asked for");
            assert!(page.next.is_none() || !page.rows.is_empty(), "a page that goes on has rows");
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                return rows;
            }
        }
    }

    pub(super) async fn events(&self, customer: CustomerId, page_size: usize) -> Vec<EventRow> {
        events_of(self.history(customer, Entries::Events, page_size).await)
    }

    pub(super) async fn changes(&self, customer: CustomerId, page_size: usize) -> Vec<ChangeRow> {
        changes_of(self.history(customer, Entries::Changes, page_size).await)
    }

    pub(super) async fn details(&self, customer: CustomerId, parts: Parts) -> Details {
        let details = self.store.details(&self.tenant, &[customer], parts).await.expect("the store reads details");
        let [details] = <[_; 1]>::try_from(details).expect("one answer for each customer");
        details.unwrap_or_default()
    }

    pub(super) async fn scores(&self, customer: CustomerId) -> Vec<ScoreRow> {
        self.details(customer, Parts::SCORES).await.scores
    }

    /// All customers, scanned in pages of a size.
    pub(super) async fn scan(&self, page_size: usize, scores: Option<&ScoresAsked>) -> Vec<ScannedRow> {
        let mut rows = Vec::new();
        loop {
            let after = rows.last().map(|row: &ScannedRow| row.customer);
            let page = self.store.scan(&self.tenant, after, page_size, scores).await.expect("the store scans");
            assert!(page.rows.len() <= page_size.max(1), "a page has at most as many rows as were asked for");
            if page.rows.is_empty() {
                return rows;
            }
            rows.extend(page.rows);
        }
    }

    pub(super) async fn select(
        &self,
        selection: &Selection,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Vec<CustomerId> {
        self.store.select(&self.tenant, selection, after, limit).await.expect("the store selects")
    }

    pub(super) async fn resolve(&self, keys: &[ClaimKey]) -> Vec<Option<ClaimOwner>> {
        self.store.resolve(&self.tenant, keys).await.expect("the store resolves keys")
    }

    pub(super) async fn due(&self, until: Timestamp, limit: usize) -> Vec<Due> {
        self.store.due(&self.tenant, until, limit).await.expect("the store lists alarms")
    }

    pub(super) async fn lease(&self, now: i64, lease_ms: u64, limit: usize) -> Vec<Leased> {
        let now = super::sample::at(now);
        self.store.lease(&self.tenant, now, Span::millis(lease_ms), limit).await.expect("the store leases")
    }

    pub(super) async fn settle(&self, leased: &Leased, verdict: Verdict) -> bool {
        self.settle_with(leased, leased.token, verdict).await
    }

    pub(super) async fn settle_with(&self, leased: &Leased, token: LeaseToken, verdict: Verdict) -> bool {
        let settlements = [Settlement { id: leased.entry.id, token, verdict }];
        self.store.settle(&self.tenant, &settlements).await.expect("the store settles") == [true]
    }

    /// Where a counter stands. A step past a limit of -1 is always refused, and the refusal says it.
    pub(super) async fn counter(&self, name: &str) -> i128 {
        let probe = CounterStep { name: name.into(), by: 0, limit: -1 };
        match self.commit(Commit { counters: vec![probe], ..Commit::default() }).await {
            Err(CommitError::CounterLimit { value, .. }) => value,
            other => unreachable!("a counter past its limit should be refused: {other:?}"),
        }
    }

    pub(super) async fn customers(&self) -> Vec<CustomerRow> {
        let ids = self.select(&Selection::EVERYBODY, None, usize::MAX).await;
        self.load(&ids).await.into_iter().map(|row| row.expect("who is selected is there")).collect()
    }

    pub(super) async fn count(&self, selection: &Selection) -> u64 {
        self.store.count(&self.tenant, selection).await.expect("the store counts")
    }

    /// Who can be found by a token.
    pub(super) async fn found(&self, token: Token) -> Vec<CustomerId> {
        self.select(&Selection::Found(token), None, usize::MAX).await
    }

    pub(super) async fn erase(&self, customer: CustomerId, keys: &[ClaimKey]) -> Erased {
        self.store.erase(&self.tenant, customer, keys).await.expect("the store erases")
    }

    pub(super) async fn dead_letters(&self, after: Option<&DeadLetter>, limit: usize) -> Vec<DeadLetter> {
        self.store.dead_letters(&self.tenant, after, limit).await.expect("the store lists dead letters")
    }

    /// All dead letters, read in pages of a size.
    pub(super) async fn all_dead_letters(&self, page_size: usize) -> Vec<DeadLetter> {
        let mut letters: Vec<DeadLetter> = Vec::new();
        loop {
            let page = self.dead_letters(letters.last(), page_size).await;
            assert!(page.len() <= page_size.max(1), "a page has at most as many rows as were asked for");
            if page.is_empty() {
                return letters;
            }
            letters.extend(page);
        }
    }

    /// Whether the store has a feed.
    pub(super) fn has_feed(&self) -> bool {
        self.store.capabilities().feed
    }

    /// All lanes of the store.
    pub(super) fn lanes(&self) -> impl Iterator<Item = Lane> + use<> {
        (0..self.store.capabilities().lanes).map(Lane)
    }

    /// The lane of a customer.
    pub(super) fn lane(&self, customer: CustomerId) -> Lane {
        Lane::of_customer(&self.tenant, customer, self.store.capabilities().lanes)
    }

    pub(super) async fn feed(&self, lane: Lane, after: u64, limit: usize) -> Vec<FeedRow> {
        self.store.feed(lane, after, limit).await.expect("the store has a feed")
    }

    /// A whole lane of the feed, read in pages of a size.
    pub(super) async fn whole_lane(&self, lane: Lane, page_size: usize) -> Vec<FeedRow> {
        let mut rows: Vec<FeedRow> = Vec::new();
        loop {
            let page = self.feed(lane, rows.last().map_or(0, |row| row.position), page_size).await;
            assert!(page.len() <= page_size.max(1), "a page has at most as many rows as were asked for");
            if page.is_empty() {
                return rows;
            }
            rows.extend(page);
        }
    }

    pub(super) async fn cursor(&self, consumer: &str, lane: Lane, step: CursorStep) -> Result<FeedCursor, CursorError> {
        self.store.cursor(consumer, lane, step).await
    }

    /// Looks at everything that can be seen without a lease, and reads histories in pages of a size.
    pub(super) async fn kept(&self, page_size: usize) -> Seen {
        let customers = self.customers().await;
        let (mut events, mut changes, mut history) = (Vec::new(), Vec::new(), Vec::new());
        for row in &customers {
            events.push(self.events(row.customer, page_size).await);
            changes.push(self.changes(row.customer, page_size).await);
            history.push(self.history(row.customer, Entries::All, page_size).await);
        }
        let ids: Vec<CustomerId> = customers.iter().map(|row| row.customer).collect();
        let details = self.store.details(&self.tenant, &ids, Parts::ALL).await.expect("the store reads details");
        let dead = self.all_dead_letters(page_size).await;
        Seen {
            events,
            changes,
            history,
            details: details.into_iter().map(|details| details.expect("who is selected is there")).collect(),
            due: self.due(Timestamp::MAX, usize::MAX).await,
            outbox: Vec::new(),
            dead: dead.into_iter().map(|letter| (letter.entry, letter.attempts, letter.reason)).collect(),
            definitions: self.store.definitions(&self.tenant).await.expect("the store reads definitions").rows,
            customers,
        }
    }

    /// Looks at everything. Leases of no length show the outbox; they are taken at the last instant there is,
    /// so that what is leased can be leased again only then.
    pub(super) async fn seen(&self) -> Seen {
        let kept = self.kept(usize::MAX).await;
        let outbox = self.lease(Timestamp::MAX.as_millis(), 0, usize::MAX).await;
        Seen { outbox: outbox.into_iter().map(|leased| leased.entry).collect(), ..kept }
    }
}

pub(super) fn events_of(entries: Vec<Entry>) -> Vec<EventRow> {
    let event = |entry| match entry {
        Entry::Event(event) => event,
        Entry::Change(change) => unreachable!("a change among events: {change:?}"),
    };
    entries.into_iter().map(event).collect()
}

pub(super) fn changes_of(entries: Vec<Entry>) -> Vec<ChangeRow> {
    let change = |entry| match entry {
        Entry::Change(change) => change,
        Entry::Event(event) => unreachable!("an event among changes: {event:?}"),
    };
    entries.into_iter().map(change).collect()
}
