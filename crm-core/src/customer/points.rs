//! A customer's points: what follows from their orders, what is due by itself, and what undoes what was posted.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;

use super::{Customer, OrdersTouched};
use crate::definitions::Definitions;
use crate::event::{Decision, Deed, EventBody};
use crate::id::{CustomerId, EventId};
use crate::loyalty::{
    Earned, Lot, LotTerms, LoyaltyError, PointsBook, PointsEnd, PointsReminded, Posting, Program, ProgramId,
    Reconciling, UndoPosting, Undoing, by_versions,
};
use crate::order::{Basket, Order, OrderRef};
use crate::time::Timestamp;

/// What is done to points when its time has come, in the order in which it is done at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointsStep {
    /// Holds end.
    Holds,
    /// What waited becomes active.
    Activations,
    /// Points expire.
    Expiry,
    /// Rules give points for a day of the year.
    Yearly,
    /// The customer is reminded of points that will expire.
    Reminders,
    /// An order has stood long enough for a referral, or the referral lapses.
    Referrals,
}

impl PointsStep {
    /// All of them, in their order.
    pub const ALL: [PointsStep; 6] = [
        PointsStep::Holds,
        PointsStep::Activations,
        PointsStep::Expiry,
        PointsStep::Yearly,
        PointsStep::Reminders,
        PointsStep::Referrals,
    ];
}

impl Customer {
    /// The postings that bring the points in line with the orders that a fact touched and with what was earned just now,
    /// and in whose book: points go to whoever it came through that earned them.
    #[must_use]
    pub fn reconcile_points(
        &self,
        touched: OrdersTouched,
        earned: &[Earned],
        definitions: &Definitions,
    ) -> Vec<(CustomerId, Posting)> {
        let all_orders = self.facts.orders().list();
        let (orders, gone): (&[Order], bool) = match touched {
            OrdersTouched::None if earned.is_empty() => return Vec::new(),
            OrdersTouched::None => (&[], false),
            OrdersTouched::Newest => (&all_orders[all_orders.len().saturating_sub(1)..], false),
            OrdersTouched::Any => (all_orders, false),
            OrdersTouched::Gone => (all_orders, true),
        };
        let baskets: OnceCell<HashMap<EventId, Basket<'_>>> = OnceCell::new();
        let basket_of = |order: &Order| {
            let all = || self.facts.orders().with_lines().map(|(order, basket)| (order.event, basket)).collect();
            baskets.get_or_init(all).get(&order.event).copied().unwrap_or_default()
        };
        let mut postings = Vec::new();
        let mut reconcile = |member: CustomerId, orders: &[Order]| {
            let empty = PointsBook::default();
            for program in definitions.program_ids() {
                let book = self.book_of(member, program).unwrap_or(&empty);
                let own = earned.iter().filter(|earned| earned.program == *program && earned.member == member);
                let own: SmallVec<[&Earned; 4]> = own.collect();
                let reconciling = Reconciling {
                    id: program,
                    program_at: |at| definitions.program(program, at),
                    tier: self.standing.tier(program),
                    pool: self.shares_with(program),
                    judge: |order: &Order, book: &PointsBook| {
                        self.judged(member, program, book, (order, basket_of(order)), definitions)
                    },
                    voided: |fact| self.facts.is_voided(fact),
                };
                let (posted, after) = reconciling.postings(book, orders, &own, gone);
                postings.extend(posted.into_iter().map(|posting| (member, posting)));
                if touched != OrdersTouched::None {
                    let is_voided = |order: &OrderRef| self.facts.orders().is_voided(order);
                    let returned = after.returns(program, all_orders, is_voided);
                    postings.extend(returned.into_iter().map(|posting| (member, posting)));
                }
            }
        };
        let members = if touched == OrdersTouched::None {
            self.is_merged().then(|| self.members().map(|member| (member, Vec::new())).collect())
        } else {
            self.orders_of_members()
        };
        match members {
            None => reconcile(self.id, orders),
            Some(members) => members.iter().for_each(|(member, orders)| reconcile(*member, orders)),
        }
        postings
    }

    pub(super) fn each_book<'a>(&'a self, each: &mut dyn FnMut(CustomerId, &'a ProgramId, &'a PointsBook)) {
        match self.books_of_members() {
            None => self.books().for_each(|(program, book)| each(self.id, program, book)),
            Some(books) => books.for_each(|(member, program, book)| each(member, program, book)),
        }
    }

    /// When points expire that have no end of their own: so long after the last activity, where the programme says so.
    /// It is the same whenever it is asked: a version that takes over later ends nothing before its instant.
    fn lasting<'d>(
        &self,
        id: &ProgramId,
        definitions: &'d Definitions,
    ) -> impl Fn(&LotTerms) -> Option<Timestamp> + use<'d> {
        let active = self.facts.last_active();
        let versions = definitions.versions_of(id);
        move |terms| {
            let since = active.map_or(terms.earned_at, |active| active.max(terms.earned_at));
            let end = |program: &Program| Some(since.plus(program.lasts_after_activity()?).plus(terms.longer));
            by_versions(versions.clone().map(|(program, from, until)| (end(program), from, until)))
        }
    }

    /// The lots of a programme that have something left, in the order in which they are spent, and when each ends by what is
    /// known now. Of somebody who was merged they are those of all.
    #[must_use]
    pub fn points_ends<'a>(&'a self, program: &ProgramId, definitions: &Definitions) -> Vec<(&'a Lot, PointsEnd)> {
        let lasting = self.lasting(program, definitions);
        let lots = self.book(program).map(PointsBook::lots).unwrap_or_default();
        let end = |lot: &'a Lot| match (lot.terms.expires_at, lasting(&lot.terms)) {
            (Some(end), _) => (lot, PointsEnd::At(end)),
            (None, Some(end)) => (lot, PointsEnd::UnlessActive(end)),
            (None, None) => (lot, PointsEnd::Never),
        };
        lots.iter().map(end).collect()
    }

    /// When the customer is reminded of the end of a lot, if they are: so long ahead as the programme says, and not before
    /// the points are there, or the version takes over that says so.
    fn reminding<'d>(
        id: &ProgramId,
        definitions: &'d Definitions,
    ) -> impl Fn(Timestamp, &Lot) -> Option<Timestamp> + use<'d> {
        let versions = definitions.versions_of(id);
        move |end, lot| {
            let due = |program: &Program| Some(end.minus(program.remind?).max(lot.terms.earned_at));
            let due = by_versions(versions.clone().map(|(program, from, until)| (due(program), from, until)));
            due.filter(|due| *due < end)
        }
    }

    pub(super) fn delivered(&self, fact: EventId) -> Option<Timestamp> {
        self.facts.orders().list().iter().rev().find(|order| order.event == fact)?.delivered_at()
    }

    /// How many points that were spent for an order did not come back.
    pub(super) fn paid_for(&self, program: &ProgramId, order: &OrderRef) -> i64 {
        let mut points = 0_i64;
        self.each_book(&mut |_, id, book| {
            if id == program {
                points = points.saturating_add(book.paid_for(order));
            }
        });
        points
    }

    /// When something of points will be due, whether or not it is in the past.
    #[must_use]
    pub fn next_points(&self, definitions: &Definitions) -> Option<Timestamp> {
        let mut next = self.next_yearly(definitions);
        self.each_book(&mut |_, id, book| {
            if book.lots().is_empty() {
                return;
            }
            let (lasting, reminding) = (self.lasting(id, definitions), Self::reminding(id, definitions));
            let ends = || book.ends(&lasting, |fact| self.delivered(fact));
            let untold = ends().filter(|(end, _)| !book.was_reminded(*end));
            let reminder = untold.filter_map(|(end, lot)| reminding(end, lot)).min();
            let activation = book.next_activation(|fact| self.delivered(fact));
            let all = [next, reminder, ends().map(|(end, _)| end).min(), activation, book.next_hold_end()];
            next = all.into_iter().flatten().min();
        });
        next.into_iter().chain(self.next_referral(definitions)).min()
    }

    /// What of a step is due at or before an instant, and in whose book.
    #[must_use]
    pub fn points_due(&self, step: PointsStep, at: Timestamp, definitions: &Definitions) -> Vec<(CustomerId, Deed)> {
        if step == PointsStep::Referrals {
            return self.referrals_due(at, definitions);
        }
        let mut due = Vec::new();
        if step == PointsStep::Yearly {
            let yearly = self.yearly_due(at, definitions).into_iter();
            return yearly.map(|(member, posting)| (member, Deed::PointsPosted(posting))).collect();
        }
        self.each_book(&mut |member, id, book| {
            let mut post = |postings: &mut dyn Iterator<Item = Posting>| {
                due.extend(postings.map(|posting| (member, Deed::PointsPosted(posting))));
            };
            match step {
                PointsStep::Holds => post(&mut book.end_holds(id, at).into_iter()),
                PointsStep::Activations => {
                    post(&mut book.activate(id, at, |fact| self.delivered(fact)).into_iter());
                }
                PointsStep::Expiry => {
                    let program = definitions.program(id, at);
                    let until = program.and_then(|program| program.reinstate_within).map(|span| at.plus(span));
                    let lasting = self.lasting(id, definitions);
                    post(&mut book.expire(id, at, lasting, |fact| self.delivered(fact), until).into_iter());
                }
                // These are of no book.
                PointsStep::Yearly | PointsStep::Referrals => {}
                PointsStep::Reminders => {
                    let reminding = Self::reminding(id, definitions);
                    let mut soon: BTreeMap<Timestamp, i64> = BTreeMap::new();
                    for (end, lot) in book.ends(self.lasting(id, definitions), |fact| self.delivered(fact)) {
                        if !book.was_reminded(end) && reminding(end, lot).is_some_and(|due| due <= at) {
                            let sum = soon.entry(end).or_default();
                            *sum = sum.saturating_add(lot.pending).saturating_add(lot.active);
                        }
                    }
                    due.extend(soon.into_iter().map(|(expires_at, points)| {
                        let reminded = PointsReminded { program: id.clone(), points, expires_at };
                        (member, Deed::PointsReminded(reminded))
                    }));
                }
            }
        });
        due
    }

    /// The posting that undoes another one, and in whose book. `history` are all events of all members.
    ///
    /// # Errors
    ///
    /// `NoPosting`, `Undone` or `NotUndoable`.
    pub fn undo_posting<'a>(
        &self,
        undo: &UndoPosting,
        history: impl Iterator<Item = (CustomerId, EventId, &'a EventBody)> + Clone,
        at: Timestamp,
        definitions: &Definitions,
    ) -> Result<(CustomerId, Posting), LoyaltyError> {
        let postings = history.filter_map(|(member, id, body)| match body {
            EventBody::Decision(Decision { deed: Deed::PointsPosted(posting), .. }) => Some((member, id, posting)),
            EventBody::Decision(_) | EventBody::Fact(_) | EventBody::Unrecognised { .. } => None,
        });
        let none = LoyaltyError::NoPosting { posting: undo.posting };
        let (member, _, undone) = postings.clone().find(|(_, id, _)| *id == undo.posting).ok_or(none.clone())?;
        let own = postings.filter(|(of, _, posting)| *of == member && posting.program == undone.program);
        let own = own.map(|(_, id, posting)| (id, posting));
        let undoing = Undoing::new(undo.posting, undone, own, self.facts.orders().list());
        let book = self.book_of(member, &undone.program).ok_or(none)?;
        let program = definitions.program(&undone.program, at);
        Ok((member, undo.decide(book, &undoing, program)?))
    }
}
