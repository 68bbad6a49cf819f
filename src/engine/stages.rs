//! The life cycle counted over the base, and the way of one customer through it.

use std::collections::BTreeMap;

use crm_core::change::{Change, ChangeBody};
use crm_core::contract::Renewals;
use crm_core::customer::{Customer, FactState};
use crm_core::event::{Event, EventBody, JsonProblem};
use crm_core::lifecycle::Stage;
use crm_core::lifecycle::{
    Cohort, CohortBy, Conversions, Newcomers, Period, Phase, StageHistory, StageMove, StagePath, StageSizes,
    TransitionMatrix, cohorts, conversions,
};
use crm_core::profile::Completeness;
use crm_core::{CustomerId, Definitions, Span, Timestamp};
use crm_storage::{Entries, Entry};

use super::{Crm, PAGE};
use crate::error::Error;
use crate::incoming::Who;

/// Which past is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Past {
    /// As it is known now: what came late counts where it happened. Costs a read of every event.
    #[default]
    AsKnownNow,
    /// As it was told from day to day: a correction counts from when it came. Costs a read of every change. Of somebody
    /// who was merged these are the changes of the one as whom they go on.
    AsToldThen,
}

/// One customer's way through the stages.
#[derive(Debug, Clone, PartialEq)]
pub struct StageStory {
    /// The instant it is as of.
    pub at: Timestamp,
    /// Every move with its cause, in the order in which they were made.
    pub moves: Vec<StageMove>,
    /// The same as stays without gaps.
    pub path: StagePath,
    /// How long, how often and how soon.
    pub history: StageHistory,
    /// What the shop works on now; none for somebody at no stage.
    pub phase: Option<Phase>,
}

/// Where a base is heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageForecast {
    /// How it moved in the period that was measured.
    pub matrix: TransitionMatrix,
    /// The sizes of the stages after each period to come, the first first.
    pub sizes: Vec<StageSizes>,
}

impl Crm {
    /// The cohorts of a period: of those whose first contact was in it, how many took each step of the funnel within a
    /// window of that contact. See [`cohorts`].
    ///
    /// Reads the base in pages and the history of each customer; only the counts stay in memory.
    ///
    /// ```
    /// use crm::lifecycle::{CohortBy, FunnelStep, Period};
    /// use crm::{Channel, Currency, Enquired, Identifier, Incoming, Money, OrderPlaced, Past, Source, Span};
    ///
    /// let crm = crm::blocking::Crm::in_memory();
    /// let (ana, now) = (Identifier::email("ana@example.com")?, crm.now());
    /// let source = Source::new("shop")?;
    /// let asked = Enquired { channel: Channel::Email, subject: None };
    /// crm.record(Incoming::new(&ana, now.minus(Span::days(9)), source.clone(), asked))?;
    /// let ordered = OrderPlaced::new(Money::new(4_900, Currency::EUR));
    /// crm.record(Incoming::new(&ana, now.minus(Span::days(2)), source, ordered))?;
    ///
    /// let period = Period { from: now.minus(Span::days(30)), until: now };
    /// let cohorts = crm.cohorts(period, Span::days(7), CohortBy::Month, Past::AsKnownNow)?;
    /// let bought: u64 = cohorts.values().map(|cohort| cohort.reached(FunnelStep::Purchase)).sum();
    /// assert_eq!(bought, 0, "the seventh day is over when the order comes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn cohorts(
        &self,
        period: Period,
        window: Span,
        by: CohortBy,
        past: Past,
    ) -> Result<BTreeMap<Timestamp, Cohort>, Error> {
        let mut all = BTreeMap::<Timestamp, Cohort>::new();
        let mut walk = self.walk().await?;
        loop {
            let page = walk.next().await?;
            if page.is_empty() {
                return Ok(all);
            }
            for customer in &page {
                let path = self.path(customer, past, walk.at, &walk.definitions).await?;
                for (cohort, counted) in cohorts([&path], period, window, by) {
                    all.entry(cohort).or_default().add(counted);
                }
            }
        }
    }

    /// What each stage let go on to the next during a period, by cohort of the first contact. See [`conversions`]; it
    /// costs as much as [`cohorts`](Self::cohorts).
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn conversions(
        &self,
        period: Period,
        window: Span,
        by: CohortBy,
        past: Past,
    ) -> Result<BTreeMap<Timestamp, Conversions>, Error> {
        let mut all = BTreeMap::<Timestamp, Conversions>::new();
        let mut walk = self.walk().await?;
        loop {
            let page = walk.next().await?;
            if page.is_empty() {
                return Ok(all);
            }
            for customer in &page {
                let path = self.path(customer, past, walk.at, &walk.definitions).await?;
                for (cohort, counted) in conversions([&path], period, window, by) {
                    all.entry(cohort).or_default().add(counted);
                }
            }
        }
    }

    /// How many went from each stage to each during a period. See [`TransitionMatrix`]; it costs as much as
    /// [`cohorts`](Self::cohorts).
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn transitions(&self, period: Period, past: Past) -> Result<TransitionMatrix, Error> {
        let mut matrix = TransitionMatrix::default();
        let mut walk = self.walk().await?;
        loop {
            let page = walk.next().await?;
            if page.is_empty() {
                return Ok(matrix);
            }
            for customer in &page {
                let path = self.path(customer, past, walk.at, &walk.definitions).await?;
                matrix.add(&TransitionMatrix::between([&path], period.from, period.until));
            }
        }
    }

    /// How large the stages will be after each of so many periods as long as one that was measured, beginning with the
    /// sizes at its end, if the base goes on as it did in it. See [`TransitionMatrix::forecast`] for the method and what
    /// it assumes; it costs as much as [`transitions`](Self::transitions).
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn stage_forecast(
        &self,
        measured: Period,
        periods: u16,
        newcomers: Newcomers,
        past: Past,
    ) -> Result<StageForecast, Error> {
        let matrix = self.transitions(measured, past).await?;
        let sizes = matrix.forecast(matrix.at_end(), periods, newcomers);
        Ok(StageForecast { matrix, sizes })
    }

    /// Contracts over a period: how many were due and renewed, lost and signed, and what they are worth. See
    /// [`Renewals`]. Reads all states; only the counts stay in memory.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn renewals(&self, period: Period) -> Result<Renewals, Error> {
        let mut renewals = Renewals::default();
        let mut walk = self.walk().await?;
        loop {
            let page = walk.next().await?;
            if page.is_empty() {
                return Ok(renewals);
            }
            let contracts = page.iter().flat_map(|customer| customer.facts().contracts().list());
            contracts.for_each(|contract| renewals.count(contract, period, walk.at));
        }
    }

    /// One customer's way through the stages: every move with its cause, how long and how often they were at each, how
    /// soon they bought, and how often they were won back; none if nobody is found. Reads their whole history.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn stage_story(&self, who: impl Into<Who> + Send, past: Past) -> Result<Option<StageStory>, Error> {
        let Some(customer) = self.customer(who).await? else { return Ok(None) };
        let (at, definitions) = (self.now(), self.definitions().await?);
        let moves = self.stage_moves(&customer, past, at, &definitions).await?;
        let path = StagePath::of(&moves);
        let history = StageHistory::of(&path, at);
        let phase = history.stage.map(Stage::phase);
        Ok(Some(StageStory { at, moves, path, history, phase }))
    }

    /// How complete a customer's card is for each stage, by the rules that hold now: what is missing at the present one,
    /// and what the next ones will want to know.
    ///
    /// # Errors
    ///
    /// `NoCustomer`, and as for [`card`](Self::card).
    pub async fn completeness_by_stage(&self, customer: CustomerId) -> Result<BTreeMap<Stage, Completeness>, Error> {
        let card = self.card(customer).await?;
        let rules = self.definitions().await?.completeness(self.now()).cloned().unwrap_or_default();
        Ok(Stage::ALL.into_iter().map(|stage| (stage, rules.of(&card, Some(stage)))).collect())
    }

    async fn path(
        &self,
        customer: &Customer,
        past: Past,
        until: Timestamp,
        definitions: &Definitions,
    ) -> Result<StagePath, Error> {
        Ok(StagePath::of(&self.stage_moves(customer, past, until, definitions).await?))
    }

    async fn stage_moves(
        &self,
        customer: &Customer,
        past: Past,
        until: Timestamp,
        definitions: &Definitions,
    ) -> Result<Vec<StageMove>, Error> {
        match past {
            Past::AsKnownNow => {
                let history: Vec<Event> = self.whole_history(customer).await?;
                let facts = history.iter().filter_map(|event| match &event.body {
                    EventBody::Fact(fact) => Some((event.customer, event.id, event.at, fact)),
                    EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
                });
                Ok(FactState::stage_moves(facts, until, definitions))
            }
            Past::AsToldThen => self.told_moves(customer.id()).await,
        }
    }

    async fn told_moves(&self, customer: CustomerId) -> Result<Vec<StageMove>, Error> {
        let mut moves = Vec::new();
        let mut after = None;
        loop {
            let page = self.store().history(&self.tenant, customer, Entries::Changes, after, PAGE).await?;
            for row in page.rows {
                let Entry::Change(row) = row else { continue };
                let change: Change = serde_json::from_slice(&row.body)
                    .map_err(|e| Error::corrupt(format!("a change: {}", JsonProblem::from(&e))))?;
                if let ChangeBody::StageChanged { from, to, cause } = change.body {
                    moves.push(StageMove { at: change.at, from, to, cause });
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(moves);
            }
        }
    }
}
