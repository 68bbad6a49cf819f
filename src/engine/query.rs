//! What can be read: one customer, their whole story, and the base at a glance.

use std::collections::{BTreeMap, BTreeSet};

use crm_core::change::Change;
use crm_core::customer::Customer;
use crm_core::event::{Event, JsonProblem};
use crm_core::expression::{Clause, Predicate, Subject};
use crm_core::lifecycle::Stage;
use crm_core::loyalty::PointsTotals;
use crm_core::order::Turnover;
use crm_core::segment::{ListName, SegmentName};
use crm_core::{Currency, CustomerId, Digest, SmolStr};
use crm_storage::{Entries, Entry, Parts, ScoreRow};

use super::record::Found;
use super::{Crm, PAGE, decode_event};
use crate::error::Error;
use crate::incoming::Who;

/// Everything that is kept about one customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// The customer now.
    pub customer: Customer,
    /// What happened, in the order in which it was recorded; of somebody who was merged, to all of them.
    pub events: Vec<Event>,
    /// What moved, in the order in which it was noticed.
    pub changes: Vec<Change>,
    /// Every score, with the plugin that gave it.
    pub scores: Vec<ScoreRow>,
}

/// The base at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// How many customers there are.
    pub customers: u64,
    /// How many of them are at each stage; those whose facts were all voided are at none.
    pub stages: BTreeMap<Stage, u64>,
    /// How many are in each segment in force, empty ones included.
    pub segments: BTreeMap<SegmentName, u64>,
    /// How many are on each list in force, empty ones included.
    pub lists: BTreeMap<ListName, u64>,
    /// Those of them that are new and not [filled](Crm::fill) yet: of these only some members are known.
    pub incomplete: BTreeSet<SegmentName>,
    /// Orders, refunded ones included.
    pub orders: u64,
    /// Refunds, matched or not.
    pub refunds: u64,
    /// Turnover by currency.
    pub turnover: BTreeMap<Currency, Turnover>,
    /// Points of all programmes by what became of them.
    pub points: PointsTotals,
    /// What plugins had done, by kind of action.
    pub actions: BTreeMap<SmolStr, u64>,
    /// The digest of all customers' states, by customer id: equal on every backend for the same events
    /// and the same ids.
    pub digest: Option<Digest>,
}

impl Crm {
    /// A customer, by id, identifier or order number; none if nobody is found. They are as of the last
    /// time anything happened or was due: call [`advance`](Self::advance) first where time has passed.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn customer(&self, who: impl Into<Who> + Send) -> Result<Option<Customer>, Error> {
        let who = who.into();
        match self.find(&who).await? {
            Ok(Found::Known(id)) => Ok(self.base(id).await?.0.map(|base| base.customer)),
            Ok(Found::New(_)) | Err(_) => Ok(None),
        }
    }

    /// Why a customer is in a segment, or is not: what each clause of its rule comes to, and when it will next change
    /// although nothing happens. None if nobody is found. They are as of the last time anything happened or was due.
    ///
    /// Where the rule is [overridden](Self::override_segment), the clause is `segment("…")`, which comes to what holds, of
    /// two parts: the override, and what the rule says.
    ///
    /// ```
    /// use crm::{Channel, Crm, Definition, Identifier, Incoming, SegmentName, Source, Span, Timestamp, Visited};
    ///
    /// # crm::blocking::wait(async {
    /// let crm = Crm::in_memory();
    /// let name = SegmentName::new("curious")?;
    /// let rule = crm.rule(r#"visits.in_last("7d") >= 1 && orders == 0"#).await?;
    /// crm.define(Timestamp::MIN, Definition::Segment(name.clone(), Some(rule))).await?;
    /// let (ana, now) = (Identifier::email("ana@example.com")?, crm.now());
    /// let visit = Visited { channel: Channel::Web, place: None };
    /// crm.record(Incoming::new(&ana, now, Source::new("shop")?, visit)).await?;
    ///
    /// let why = crm.explain(&ana, &name).await?.expect("just recorded");
    /// assert_eq!((why.holds, why.next_change), (Some(true), Some(now.plus(Span::days(7)))));
    /// assert_eq!((why.parts[0].text.as_str(), why.parts[0].left), (r#"visits.in_last("7d").count() >= 1"#, Some(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NoSegment` if there is none of that name in force, `Storage` if the store failed.
    pub async fn explain(&self, who: impl Into<Who> + Send, segment: &SegmentName) -> Result<Option<Clause>, Error> {
        let (now, definitions) = (self.now(), self.definitions().await?);
        let none = || Error::NoSegment { segment: segment.clone() };
        let rule = definitions.answering_segment(segment, now).ok_or_else(none)?;
        let Some(customer) = self.customer(who).await? else { return Ok(None) };
        let membership = Predicate::InSegment(segment.clone());
        let overridden = customer.override_of(segment, now, &definitions).is_some();
        let rule = if overridden { &membership } else { rule };
        let spells = self.past_of(rule, &customer, now, &definitions).await?;
        let subject = Subject::new(&customer, now, &definitions);
        Ok(Some(rule.explain(&spells.as_ref().map_or(subject, |spells| subject.with_spells(spells)))))
    }

    /// Everything that is kept about a customer; none if nobody is found. Reads their whole history.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn story(&self, who: impl Into<Who> + Send) -> Result<Option<Story>, Error> {
        let Some(customer) = self.customer(who).await? else { return Ok(None) };
        let members: Vec<CustomerId> = customer.members().collect();
        let (mut events, mut changes) = (Vec::new(), Vec::new());
        for member in &members {
            let mut after = None;
            loop {
                let page = self.store().history(&self.tenant, *member, Entries::All, after, PAGE).await?;
                for row in page.rows {
                    match row {
                        Entry::Event(row) => events.push(decode_event(*member, row)?),
                        Entry::Change(row) => {
                            let change: Result<Change, _> = serde_json::from_slice(&row.body);
                            changes.push(
                                change.map_err(|e| Error::corrupt(format!("a change: {}", JsonProblem::from(&e))))?,
                            );
                        }
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        if members.len() > 1 {
            // Each history is in order by itself.
            events.sort_by_key(|event: &Event| event.recorded_at);
            changes.sort_by_key(|change: &Change| change.at);
        }
        let details = self.store().details(&self.tenant, &members, Parts::SCORES).await?;
        let scores = details.into_iter().flatten().flat_map(|details| details.scores).collect();
        Ok(Some(Story { customer, events, changes, scores }))
    }

    /// Shows every customer to a function, in the order of their ids. Customers who appear meanwhile may
    /// or may not be among them.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn for_each_customer<F>(&self, mut each: F) -> Result<(), Error>
    where
        F: FnMut(&Customer) + Send,
    {
        let definitions = self.definitions().await?;
        let mut after: Option<CustomerId> = None;
        loop {
            let rows = self.page_of_customers(after, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.customer);
            for row in rows {
                each(&self.decode(&row, &definitions).await?.customer);
            }
        }
    }

    /// The base at a glance. Costs a read of all of it.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn overview(&self) -> Result<Overview, Error> {
        let definitions = self.definitions().await?;
        let mut overview = Overview::default();
        overview.stages.extend(Stage::ALL.map(|stage| (stage, 0)));
        overview.segments.extend(definitions.segments(self.now()).map(|(name, _)| (name.clone(), 0)));
        overview.lists.extend(definitions.lists(self.now()).map(|(name, _)| (name.clone(), 0)));
        let new = definitions.unfilled(self.now()).into_iter().flatten().filter(|one| !one.changed);
        overview.incomplete.extend(new.filter(|one| one.rule.is_some()).map(|one| one.segment));
        let mut digests = Vec::new();
        self.for_each_customer(|customer| {
            overview.add(customer);
            digests.extend_from_slice(customer.digest().as_bytes());
        })
        .await?;
        overview.digest = Some(Digest::of(&digests));
        Ok(overview)
    }
}

impl Overview {
    fn add(&mut self, customer: &Customer) {
        let orders = customer.facts().orders();
        self.customers += 1;
        if let Some(stage) = customer.stage() {
            *self.stages.entry(stage).or_default() += 1;
        }
        for segment in customer.standing().segments() {
            *self.segments.entry(segment.clone()).or_default() += 1;
        }
        for list in customer.facts().lists() {
            *self.lists.entry(list.clone()).or_default() += 1;
        }
        self.orders += orders.list().len() as u64;
        self.refunds += u64::from(orders.refunds());
        for turnover in orders.turnover() {
            let none = Turnover { currency: turnover.currency, gross: 0, refunds: 0, payments: 0 };
            let total = self.turnover.entry(turnover.currency).or_insert(none);
            total.gross += turnover.gross;
            total.refunds += turnover.refunds;
            total.payments += turnover.payments;
        }
        for (_, book) in customer.books() {
            self.points += book.totals();
        }
        for (action, count) in customer.actions() {
            *self.actions.entry(SmolStr::new(action)).or_default() += count;
        }
    }
}
