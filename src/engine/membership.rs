//! Who was in a segment, and when.

use std::sync::Arc;

use crm_core::customer::{Command, Customer, Spells};
use crm_core::expression::Predicate;
use crm_core::profile::TimeZone;
use crm_core::segment::{MemberDay, MemberDays, OverrideCleared, OverrideSegment, SegmentName, Stay};
use crm_core::{CustomerId, Definitions, Timestamp};

use super::command::Executed;
use super::select::Selected;
use super::{Crm, PAGE};
use crate::error::Error;
use crate::incoming::Who;

impl Crm {
    /// Has a customer be in a segment, or not, whatever its rule says, until it is cleared, until an instant, or until
    /// the segment ends. New versions of the segment do not end it. Others that ask about the segment, sets in the
    /// store and workflows see what holds; [`explain`](Self::explain) tells that and what the rule says. Under the
    /// same key it is carried out once, as for [`execute`](Self::execute).
    ///
    /// # Errors
    ///
    /// `Refused` if there is no such segment in force, the customer is restricted or was erased, or it would be over
    /// before it began; otherwise as for [`execute`](Self::execute).
    pub async fn override_segment(
        &self,
        customer: CustomerId,
        asked: OverrideSegment,
        key: &str,
    ) -> Result<Executed, Error> {
        self.execute(customer, Command::OverrideSegment(asked), key).await
    }

    /// Has the rule of a segment decide again about a customer; where nothing overrides it nothing happens. Under the
    /// same key it is carried out once, as for [`execute`](Self::execute).
    ///
    /// # Errors
    ///
    /// `Refused` if the customer is restricted or was erased; otherwise as for [`execute`](Self::execute).
    pub async fn clear_override(
        &self,
        customer: CustomerId,
        cleared: OverrideCleared,
        key: &str,
    ) -> Result<Executed, Error> {
        self.execute(customer, Command::ClearOverride(cleared), key).await
    }

    /// Every while during which a customer was in a segment, of all segments there ever were, in the order in which they
    /// began and as the past is known now: late facts have corrected it where it happened, other than the changes in
    /// [`story`](Self::story), which tell when it was noticed. None if nobody is found. Reads their whole history.
    ///
    /// # Errors
    ///
    /// `Storage` if the store failed.
    pub async fn memberships_of(&self, who: impl Into<Who> + Send) -> Result<Option<Vec<Stay>>, Error> {
        let Some(customer) = self.customer(who).await? else { return Ok(None) };
        let definitions = self.definitions().await?;
        self.stays(&customer, definitions.segment_names(), &definitions).await.map(Some)
    }

    /// Who was in a segment at an instant, as the past is known now, in the order of their ids, about `limit` of them
    /// after one. Customers are known up to the last time anything happened to them or was due: call
    /// [`advance`](Self::advance) first where time has passed. At the present it is the same as
    /// [`select`](Self::select), which is told by the store and cheap; this reads the histories of all customers that it
    /// passes.
    ///
    /// # Errors
    ///
    /// `NoSegment` if there never was one of that name, `Storage` if the store failed.
    pub async fn members_at(
        &self,
        segment: &SegmentName,
        at: Timestamp,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Selected, Error> {
        let definitions = self.defining(segment).await?;
        let mut selected = Selected { customers: Vec::new(), next: after, incomplete: Vec::new() };
        loop {
            let rows = self.page_of_customers(selected.next, limit.clamp(1, PAGE)).await?;
            let Some(last) = rows.last() else { return Ok(Selected { next: None, ..selected }) };
            selected.next = Some(last.customer);
            for row in rows {
                let customer = self.decode(&row, &definitions).await?.customer;
                let stays = self.stays(&customer, [segment], &definitions).await?;
                if stays.iter().any(|stay| stay.covers(at)) {
                    selected.customers.push(customer.id());
                }
            }
            if selected.customers.len() >= limit.max(1) {
                return Ok(selected);
            }
        }
    }

    /// How many were in a segment on each day from the one with the first instant to the one with the last, how many
    /// joined and how many left, by the calendar of a time zone and as the past is known now. The last day of all ends
    /// with as many members as there are at the present, up to which customers are known as in
    /// [`members_at`](Self::members_at).
    ///
    /// Reads the histories of all customers, one after another, and keeps a few numbers for each day.
    ///
    /// # Errors
    ///
    /// `NoSegment` if there never was one of that name, `Days` for more than [`MemberDays::MAX`], `Storage` if the store
    /// failed.
    pub async fn membership(
        &self,
        segment: &SegmentName,
        first: Timestamp,
        last: Timestamp,
        zone: &TimeZone,
    ) -> Result<Vec<MemberDay>, Error> {
        let definitions = self.defining(segment).await?;
        let mut days = MemberDays::new(first, last, zone)?;
        let mut after: Option<CustomerId> = None;
        loop {
            let rows = self.page_of_customers(after, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(days.days()) };
            after = Some(last.customer);
            for row in rows {
                let customer = self.decode(&row, &definitions).await?.customer;
                self.stays(&customer, [segment], &definitions).await?.iter().for_each(|stay| days.add(stay));
            }
        }
    }

    /// The definitions, if a segment is or was among them.
    async fn defining(&self, segment: &SegmentName) -> Result<Arc<Definitions>, Error> {
        let definitions = self.definitions().await?;
        let is_there = definitions.segment_names().any(|name| name == segment);
        if is_there { Ok(definitions) } else { Err(Error::NoSegment { segment: segment.clone() }) }
    }

    async fn stays<'n>(
        &self,
        customer: &Customer,
        segments: impl IntoIterator<Item = &'n SegmentName> + Send,
        definitions: &Definitions,
    ) -> Result<Vec<Stay>, Error> {
        let segments: Vec<&SegmentName> = segments.into_iter().collect();
        let history = self.whole_history(customer).await?;
        let events = history.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        Ok(customer.stays(segments, events, definitions))
    }

    /// What a rule asks about the past and the customer's state does not tell, from their history; none for nearly
    /// every rule.
    pub(super) async fn past_of(
        &self,
        rule: &Predicate,
        customer: &Customer,
        now: Timestamp,
        definitions: &Definitions,
    ) -> Result<Option<Spells>, Error> {
        if customer.knows_past_of(rule, now, definitions) {
            return Ok(None);
        }
        let history = self.whole_history(customer).await?;
        let events = history.iter().map(|event| (event.customer, event.id, event.at, &event.body));
        Ok(Some(customer.spells_of(rule.segments(), events, definitions)))
    }
}
