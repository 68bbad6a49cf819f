//! Asking everybody about a new or a changed segment, page by page: the store chooses whom it may concern, and only
//! these are asked. How far it has come is kept in the store, so that whoever comes next goes on from there.
//!
//! Until all were asked the older version answers, where there is one. Who is in by the newer one is noted beside it,
//! so that in the end one row makes it the version that answers, and nobody is written a second time.

use crm_core::change::{Cause, Change, ChangeBody};
use crm_core::event::JsonProblem;
use crm_core::segment::{Filled, SegmentName, Unfilled};
use crm_core::{CustomerId, Definitions, SetKey, SetKind, SmolStr, Timestamp};
use crm_storage::{ChangeRow, Commit, CustomerWrite, Enrolled, Enrolment, Expected, Selection, StateRow};
use serde::{Deserialize, Serialize};

use super::define::Stored;
use super::push::Pushed;
use super::select::customers;
use super::writing::Writing;
use super::{ATTEMPTS_MAX, Base, Crm, PAGE};
use crate::error::Error;
use crate::plan::Planner;

/// How many customers the store adds to a set at once.
const ENROLLED_AT_ONCE: usize = 20_000;

/// The shape of the row that says how far filling has come. No state of a customer has it.
const PROGRESS_SHAPE: u16 = 60_001;

/// The kind of change that is told of whoever enters a segment.
const ENTERED: &str = "segment_entered";

/// What is to be filled now, and when there will be more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToFill {
    /// Segments of which the version in force was not asked of everybody yet. Call [`Crm::fill`].
    pub segments: Vec<Unfilled>,
    /// When the next version of a segment comes into force, so that there is something to fill again.
    pub next: Option<Timestamp>,
}

/// How far a segment has come after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillProgress {
    /// Which segment was asked about.
    pub segment: SegmentName,
    /// Which of its versions.
    pub version: u32,
    /// After whom the next page begins; none when everybody was asked about this one.
    pub after: Option<CustomerId>,
    /// How many customers were looked at, from the first page on. Whom the rule cannot mean is not among them.
    pub looked_at: u64,
    /// For how many of them something moved.
    pub moved: u64,
    /// How many segments are left that come to answer together with this one, itself included.
    pub left: usize,
    /// The segments that answer by their new versions from now on.
    pub complete: Vec<SegmentName>,
}

/// What filling came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FillReport {
    /// The segments that answer by their new versions, in the order in which they were complete.
    pub complete: Vec<SegmentName>,
    /// How many customers were looked at by these calls.
    pub looked_at: u64,
    /// For how many of them something moved.
    pub moved: u64,
}

/// How far filling has come, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    passes: Vec<Pass>,
}

/// A segment about which everybody is being asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pass {
    segment: SegmentName,
    version: u32,
    after: Option<CustomerId>,
    done: bool,
    looked_at: u64,
    moved: u64,
}

/// What a page came to.
struct PageDone {
    looked_at: u64,
    moved: u64,
    next: Option<CustomerId>,
}

impl Crm {
    /// What there is to fill.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn to_fill(&self) -> Result<ToFill, Error> {
        let (now, definitions) = (self.now(), self.definitions().await?);
        let segments = definitions.unfilled(now).into_iter().flatten().collect();
        Ok(ToFill { segments, next: definitions.next_segment_version(now) })
    }

    /// Asks everybody about the segments that are new or were changed, until all of them answer by their new versions,
    /// and shows after each page how far it has come. What was asked before a crash is not asked again; several may do
    /// this at once, and while everything else goes on.
    ///
    /// Customers are judged as of now, those whom the store finds as of the last [`advance`](Self::advance): call that
    /// first. Those who enter or leave are told so, with the definition as the cause, and workflows are called.
    ///
    /// ```
    /// use crm::{Crm, Currency, Definition, Identifier, Incoming, Money, OrderPlaced, SegmentName, Source, Timestamp};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let ana = Identifier::email("ana@example.com")?;
    /// let order = OrderPlaced::new(Money::parse("49.90", Currency::EUR)?);
    /// crm.record(Incoming::new(&ana, crm.now(), Source::new("shop")?, order)).await?;
    ///
    /// let buyers = SegmentName::new("buyers")?;
    /// let rule = crm.rule("orders >= 1").await?;
    /// crm.define(Timestamp::MIN, Definition::Segment(buyers.clone(), Some(rule))).await?;
    /// assert_eq!(crm.to_fill().await?.segments.len(), 1);
    /// let report = crm.fill(|progress| println!("{}: {}", progress.segment, progress.looked_at)).await?;
    /// assert_eq!((report.complete, report.moved), (vec![buyers.clone()], 1));
    /// assert!(crm.customer(&ana).await?.expect("recorded above").standing().is_in(&buyers));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed; what was asked before stays so. `Busy` if other writers were first each time.
    pub async fn fill(&self, mut shown: impl FnMut(&FillProgress) + Send) -> Result<FillReport, Error> {
        let mut report = FillReport::default();
        let mut before: Option<FillProgress> = None;
        while let Some(page) = self.fill_some(PAGE, ENROLLED_AT_ONCE).await? {
            // Its numbers are those of the whole pass, which somebody else may have begun.
            let same = before.filter(|before| (&before.segment, before.version) == (&page.segment, page.version));
            let (looked_at, moved) = same.map_or((0, 0), |before| (before.looked_at, before.moved));
            report.looked_at += page.looked_at.saturating_sub(looked_at);
            report.moved += page.moved.saturating_sub(moved);
            report.complete.extend(page.complete.iter().cloned());
            shown(&page);
            before = Some(page);
        }
        Ok(report)
    }

    /// Asks at most `limit` customers (at least one) about one segment: for hosts that do a little at a time. Answers
    /// none when there is nothing to fill.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    pub async fn fill_page(&self, limit: usize) -> Result<Option<FillProgress>, Error> {
        self.fill_some(limit.max(1), limit.max(1)).await
    }

    /// Asks a page of customers, who are loaded or whom the store adds by itself.
    #[tracing::instrument(level = "debug", skip_all, fields(tenant = %self.tenant))]
    async fn fill_some(&self, loaded: usize, enrolled: usize) -> Result<Option<FillProgress>, Error> {
        let (now, definitions) = (self.now(), self.definitions_now().await?);
        let groups = definitions.unfilled(now);
        let Some(group) = groups.first() else { return Ok(None) };
        let (mut kept, expected) = self.fill_kept().await?;
        let is_open = |pass: &Pass| {
            groups.iter().flatten().any(|one| (&one.segment, one.version) == (&pass.segment, pass.version))
        };
        kept.passes.retain(is_open);
        let next = group.iter().position(|one| !kept.of(one).is_some_and(|pass| pass.done));
        let Some(place) = next else { return self.complete_filled(group, &kept, now).await };
        let Some(segment) = group.get(place) else { return Ok(None) };
        let pass = kept.begin(segment);
        let page = self.ask_page(segment, pass.after, [loaded, enrolled], now, &definitions).await?;
        pass.after = page.next;
        pass.done = page.next.is_none();
        pass.looked_at += page.looked_at;
        pass.moved += page.moved;
        let progress = pass.progress(group.len() - place - usize::from(pass.done));
        // Whoever was first may be further already: the next page tells.
        self.keep_fill(&kept, expected).await?;
        if progress.left > 0 {
            return Ok(Some(progress));
        }
        let complete = self.complete_filled(group, &kept, now).await?.map_or_else(Vec::new, |done| done.complete);
        Ok(Some(FillProgress { complete, ..progress }))
    }

    /// Asks a page of customers about a segment.
    async fn ask_page(
        &self,
        segment: &Unfilled,
        after: Option<CustomerId>,
        [loaded, enrolled]: [usize; 2],
        now: Timestamp,
        definitions: &Definitions,
    ) -> Result<PageDone, Error> {
        let pushed = segment.rule.as_deref().map(|rule| Pushed::to_fill(rule, now, definitions));
        if let Some(enrolment) = self.as_enrolment(segment, pushed.as_ref(), now, definitions) {
            let Enrolled { customers, next } = self.store().enrol(&self.tenant, &enrolment, after, enrolled).await?;
            return Ok(PageDone { looked_at: customers, moved: customers, next });
        }
        // Whoever is in by an older version may have to leave.
        let others = definitions.segment_sets_but(&segment.segment, segment.version);
        let concerned = others.into_iter().map(Selection::In).chain(pushed.map(|pushed| pushed.selection));
        let mut selection = Selection::All(vec![customers(), Selection::Any(concerned.collect())]);
        if selection.check().is_err() {
            selection = customers();
        }
        let ids = self.store().select(&self.tenant, &selection, after, loaded).await?;
        let moved = self.ask_each(&ids, now).await?;
        let next = ids.last().copied().filter(|_| ids.len() == loaded);
        Ok(PageDone { looked_at: ids.len() as u64, moved, next })
    }

    /// A segment that the store can fill by itself: it is new, columns and sets say exactly whom it means, that never
    /// changes by time alone, and nobody is to be told of it.
    fn as_enrolment(
        &self,
        segment: &Unfilled,
        pushed: Option<&Pushed>,
        now: Timestamp,
        definitions: &Definitions,
    ) -> Option<Enrolment> {
        let (rule, pushed) = (segment.rule.as_deref()?, pushed?);
        let is_alone = !segment.changed && segment.version == 1 && !segment.asked_about && rule.segments().is_empty();
        let is_heard = self.inner.plugins.workflows.iter().any(|one| one.workflow.listens(ENTERED));
        if !(pushed.exact && is_alone) || is_heard {
            return None;
        }
        let because = Some(SmolStr::new(rule.in_currency(definitions.currency(now)).to_string()));
        let body = ChangeBody::SegmentEntered { segment: segment.segment.clone(), because };
        let change = Change { at: now, cause: Cause::Definition, body };
        let change = ChangeRow { at: now, kind: SmolStr::new_static(ENTERED), body: change.encode() };
        let set = SetKey::segment(&segment.segment, segment.version);
        // Of whom somebody said otherwise was asked when they did.
        let overridden = SetKey::new(SetKind::Override, segment.segment.as_str()).ok()?;
        let as_the_rule_says = Selection::Not(Box::new(Selection::In(overridden)));
        let selection = Selection::All(vec![pushed.selection.clone(), as_the_rule_says]);
        let enrolment = Enrolment { selection, set, change };
        enrolment.missing().check().is_ok().then_some(enrolment)
    }

    /// Asks customers about all segments; answers for how many of them something moved.
    async fn ask_each(&self, ids: &[CustomerId], now: Timestamp) -> Result<u64, Error> {
        let loaded = self.store().load(&self.tenant, ids).await?;
        let definitions = self.definitions_at(loaded.definitions).await?;
        let context = self.context(&definitions, now, false);
        let (mut commits, mut asked) = (Vec::new(), Vec::new());
        let (mut alone, mut moved) = (Vec::new(), 0);
        for row in loaded.rows.into_iter().flatten().filter(|row| self.is_customer(row.customer)) {
            let base = self.whole(self.decode(&row, &definitions).await?, &definitions).await?;
            let Base { customer, expected, through, others } = base;
            let mut planner = Planner::new(context, customer, None).through(through);
            if planner.ask_segments().is_err() {
                alone.push(row.customer);
            } else if let Some(mut plan) = planner.finish() {
                self.lead_on(&mut plan).await?;
                let (writing, changes) = Writing::of(plan, expected, &others)?;
                if writing.is_noted() {
                    alone.push(row.customer);
                    continue;
                }
                asked.push((row.customer, !changes.is_empty()));
                commits.push(writing.commit);
            }
        }
        let answers = self.store().commit(&self.tenant, commits).await?;
        for ((customer, has_moved), answer) in asked.into_iter().zip(answers) {
            match answer {
                Ok(_) => moved += u64::from(has_moved),
                Err(error) if error.is_lost_race() => {
                    self.lost()?;
                    alone.push(customer);
                }
                Err(error) => return Err(Error::corrupt(error)),
            }
        }
        for customer in alone {
            let changes = self.plan_and_commit(customer, now, |planner| planner.ask_segments()).await?;
            moved += u64::from(changes.is_some_and(|changes| !changes.is_empty()));
        }
        Ok(moved)
    }

    /// Makes the new versions of some segments answer, if these are still the ones to be filled.
    async fn complete_filled(
        &self,
        group: &[Unfilled],
        kept: &Kept,
        now: Timestamp,
    ) -> Result<Option<FillProgress>, Error> {
        let complete = self.complete(group, now).await?;
        let Some((last, pass)) = group.last().and_then(|last| Some((last, kept.of(last)?))) else { return Ok(None) };
        let complete = complete.then(|| group.iter().map(|one| one.segment.clone()).collect());
        tracing::debug!(segment = %last.segment, complete = complete.is_some(), "everybody was asked");
        Ok(Some(FillProgress { complete: complete.unwrap_or_default(), ..pass.progress(0) }))
    }

    /// Notes that everybody was asked under some versions; answers `false` if these are no longer the ones to be
    /// filled.
    pub(super) async fn complete(&self, group: &[Unfilled], now: Timestamp) -> Result<bool, Error> {
        let of = |one: &Unfilled| Filled { segment: one.segment.clone(), version: one.version };
        let filled: Vec<Filled> = group.iter().map(of).collect();
        for _ in 0..ATTEMPTS_MAX {
            let (revision, definitions) = self.latest_definitions().await?;
            let is_still = definitions.unfilled(now).iter().any(|open| open.iter().map(of).eq(filled.iter().cloned()));
            if !is_still {
                return Ok(false);
            }
            if let Some(revision) = self.append(revision, &Stored::Filled(filled.clone())).await? {
                let mut definitions = Definitions::clone(&definitions);
                definitions.complete(&filled);
                self.cache_definitions(revision, definitions.into());
                return Ok(true);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX })
    }

    /// How far filling has come, and what a write of that expects.
    async fn fill_kept(&self) -> Result<(Kept, Expected), Error> {
        let loaded = self.store().load(&self.tenant, &[self.fill_row]).await?;
        let Some(row) = loaded.rows.into_iter().next().flatten() else { return Ok((Kept::default(), Expected::New)) };
        let expected = Expected::At(row.version);
        if row.state.shape != PROGRESS_SHAPE {
            return Ok((Kept::default(), expected));
        }
        let kept = serde_json::from_slice(&row.state.bytes)
            .map_err(|e| Error::corrupt(format!("how far filling has come: {}", JsonProblem::from(&e))))?;
        Ok((kept, expected))
    }

    async fn keep_fill(&self, kept: &Kept, expected: Expected) -> Result<(), Error> {
        let bytes = serde_json::to_vec(kept).map_err(|e| Error::corrupt(JsonProblem::from(&e)))?;
        let write = CustomerWrite::new(self.fill_row, expected, StateRow { shape: PROGRESS_SHAPE, bytes });
        self.try_settle(Commit { writes: vec![write], ..Commit::default() }).await.map(drop)
    }
}

impl Kept {
    fn of(&self, one: &Unfilled) -> Option<&Pass> {
        self.passes.iter().find(|pass| (&pass.segment, pass.version) == (&one.segment, one.version))
    }

    fn begin(&mut self, one: &Unfilled) -> &mut Pass {
        let is_its = |pass: &Pass| (&pass.segment, pass.version) == (&one.segment, one.version);
        let place = self.passes.iter().position(is_its).unwrap_or_else(|| {
            let (segment, version) = (one.segment.clone(), one.version);
            self.passes.push(Pass { segment, version, after: None, done: false, looked_at: 0, moved: 0 });
            self.passes.len() - 1
        });
        &mut self.passes[place]
    }
}

impl Pass {
    fn progress(&self, left: usize) -> FillProgress {
        FillProgress {
            segment: self.segment.clone(),
            version: self.version,
            after: self.after,
            looked_at: self.looked_at,
            moved: self.moved,
            left,
            complete: Vec::new(),
        }
    }
}
