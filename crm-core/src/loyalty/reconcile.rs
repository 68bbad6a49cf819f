//! Points follow what earned them. What something earns is worked out once, when it is taken in, and recorded; from then
//! on a share of it stands as large as what is left of the order, and whenever that changes, the difference is posted.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::book::PointsBook;
use super::earning::{Earning, Left, Shares};
use super::event::{Posting, PostingKind, Qualifying};
use super::lots::{LotTerms, Origin, Waits};
use super::share::share_of;
use super::{Pending, Program, ProgramId, RuleShare, TierName};
use crate::id::{CustomerId, EventId};
use crate::order::Order;
use crate::time::Timestamp;

/// What a fact earned, worked out before it was folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earned {
    /// Whom it came through.
    pub member: CustomerId,
    /// In which programme.
    pub program: ProgramId,
    /// The fact.
    pub fact: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// Whether it is what an order earned, and not an action.
    pub by_order: bool,
    /// What.
    pub earning: Earning,
}

impl Program {
    /// What holds for points that an order earns.
    fn terms_of_order(&self, fact: EventId, earned_at: Timestamp, tier: Option<&TierName>) -> LotTerms {
        let waits = match self.pending {
            Pending::No => None,
            Pending::For(span) => Some(Waits::Until(earned_at.plus(span))),
            Pending::AfterDelivery(span) => Some(Waits::Delivery(span)),
        };
        LotTerms { waits, ..self.terms_of_action(fact, earned_at, tier) }
    }

    /// What holds for points that an action earns: nothing of it can come back.
    fn terms_of_action(&self, fact: EventId, earned_at: Timestamp, tier: Option<&TierName>) -> LotTerms {
        self.terms(Origin::Fact(fact), earned_at, tier)
    }
}

/// What the points of one book have to follow.
pub(crate) struct Reconciling<'a, P, J, V> {
    pub(crate) id: &'a ProgramId,
    /// The programme that was in force at an instant.
    pub(crate) program_at: P,
    pub(crate) tier: Option<&'a TierName>,
    /// Whose pool gets a share, where the programme says so.
    pub(crate) pool: Option<CustomerId>,
    /// What an order earns that was not judged when it was taken in, because no programme was in force then or because it
    /// earned nothing: by what is known now, and by what this book has given.
    pub(crate) judge: J,
    /// Whether a fact was voided.
    pub(crate) voided: V,
}

impl<'p, P, J, V> Reconciling<'_, P, J, V>
where
    P: Fn(Timestamp) -> Option<&'p Program>,
    J: Fn(&Order, &PointsBook) -> Option<Earning>,
    V: Fn(EventId) -> bool,
{
    /// The postings that bring a book in line with some orders and with what was earned just now, and the book as they leave
    /// it. With `all`, the orders are all there are, and what was posted for anything that is no longer there is taken back.
    pub(crate) fn postings<'b>(
        &self,
        book: &'b PointsBook,
        orders: &[Order],
        earned: &[&Earned],
        all: bool,
    ) -> (Vec<Posting>, Cow<'b, PointsBook>) {
        // One fact may be several actions, such as a visit that is the first thing told of somebody.
        let given = |fact: EventId| book.shares_of(fact).is_some_and(Shares::has_action);
        let actions: SmallVec<[&Earned; 2]> =
            earned.iter().copied().filter(|earned| !earned.by_order && !given(earned.fact)).collect();
        // Each posting is worked out against the book as the ones before it left it. The copy is made
        // only when there is something to post.
        let mut book = Cow::Borrowed(book);
        let mut postings = Vec::new();
        if all {
            for fact in book.orphans(orders) {
                self.adjust(&mut book, &mut postings, fact, None);
            }
        }
        for order in orders {
            if !book.was_judged(order.event) {
                let judged = earned.iter().find(|earned| earned.by_order && earned.fact == order.event);
                let earning = match judged {
                    Some(earned) => Some(Cow::Borrowed(&earned.earning)),
                    None => (self.judge)(order, &book).map(Cow::Owned),
                };
                if let (Some(program), Some(earning)) = ((self.program_at)(order.placed_at), earning)
                    && (!earning.is_nothing() || program.asks_about_customers())
                {
                    let terms = program.terms_of_order(order.event, order.placed_at, self.tier);
                    self.give(&mut book, &mut postings, &earning, terms, program);
                }
            }
            self.adjust(&mut book, &mut postings, order.event, Some(order));
        }
        for Earned { fact, at, earning, .. } in actions {
            if let Some(program) = (self.program_at)(*at)
                && !(earning.is_nothing() || (self.voided)(*fact))
            {
                let terms = program.terms_of_action(*fact, *at, self.tier);
                self.give(&mut book, &mut postings, earning, terms, program);
            }
        }
        (postings, book)
    }

    /// All that something earned. An order that earned nothing is recorded too where it might earn something if it were
    /// judged again.
    fn give(
        &self,
        book: &mut Cow<'_, PointsBook>,
        postings: &mut Vec<Posting>,
        earning: &Earning,
        terms: LotTerms,
        program: &Program,
    ) {
        let Some(fact) = terms.fact() else { return };
        let mut posting = Posting::new(self.id.clone(), PostingKind::Earned { fact });
        posting.by_rule.clone_from(&earning.by_rule);
        posting.qualifying = Some(Qualifying { points: earning.qualifying, at: terms.earned_at });
        let share = program.pools.map_or(0, |pools| pools.share_millionths);
        let to = self.pool.map(|pool| ((pool, share), share_of(earning.points, share)));
        let posting = book.earn(posting, earning.points, terms, to);
        book.to_mut().apply(&posting);
        postings.push(posting);
    }

    /// The difference between what was given for a fact and what it is entitled to by what is left of it.
    fn adjust(
        &self,
        book: &mut Cow<'_, PointsBook>,
        postings: &mut Vec<Posting>,
        fact: EventId,
        order: Option<&Order>,
    ) {
        let Some(shares) = book.shares_of(fact) else { return };
        let action = if (self.voided)(fact) { Left::Nothing } else { Left::All };
        let due = shares.difference(book.rule_names(), order.map_or(Left::Nothing, Left::of), action);
        let difference = book.difference(fact, due.entitled);
        if difference.points == 0 && due.by_rule.is_empty() {
            return;
        }
        let at = order.map(|order| order.placed_at).or_else(|| book.earned_at(fact));
        let program = at.and_then(|at| (self.program_at)(at));
        let gives = difference.points > 0 || (difference.points == 0 && due.qualifying > 0);
        let posting = match (program, at) {
            (Some(program), Some(at)) if gives => {
                let posting = Posting::new(self.id.clone(), PostingKind::Earned { fact });
                let terms = match order {
                    Some(_) => program.terms_of_order(fact, at, self.tier),
                    None => program.terms_of_action(fact, at, self.tier),
                };
                let to = book.shares_with(fact).map(|to| (to, difference.of_pool));
                Posting { by_rule: due.by_rule, ..book.earn(posting, difference.points, terms, to) }
            }
            // What nobody gives any more is not given again.
            _ if gives => return,
            _ => {
                let posting = Posting::new(self.id.clone(), PostingKind::Reversed { fact });
                let shortfall = program.map(|program| program.shortfall).unwrap_or_default();
                let taken = |RuleShare { rule, points, qualifying, action }| RuleShare {
                    rule,
                    points: -points,
                    qualifying: -qualifying,
                    action,
                };
                let by_rule = due.by_rule.into_iter().map(taken).collect();
                Posting { by_rule, ..book.take_earned(posting, difference, fact, shortfall) }
            }
        };
        let posting = Posting { qualifying: at.map(|at| Qualifying { points: due.qualifying, at }), ..posting };
        book.to_mut().apply(&posting);
        postings.push(posting);
    }
}
