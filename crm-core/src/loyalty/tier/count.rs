//! What counts towards a tier: qualifying points by when they were earned, or orders by when they were placed.

use super::super::{PointsBook, Program};
use super::{Counted, Window};
use crate::money::Currency;
use crate::order::{Order, Orders};
use crate::time::{Span, Timestamp};

/// The shortest while between two instants.
const TICK: Span = Span::millis(1);

/// What somebody has towards the tiers of a programme. What is asked about a window costs as much as there is in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally<'a> {
    of: Entries<'a>,
    window: Window,
    zone: chrono_tz::Tz,
}

#[derive(Debug, Clone, Copy)]
enum Entries<'a> {
    Points(Option<&'a PointsBook>),
    Spend(&'a [Order], Currency),
}

impl<'a> Tally<'a> {
    pub(crate) fn new(program: &Program, book: Option<&'a PointsBook>, orders: &'a Orders) -> Self {
        let of = match program.tiers.counted {
            Counted::Points => Entries::Points(book),
            Counted::Spend => Entries::Spend(orders.list(), program.currency),
        };
        Tally { of, window: program.tiers.window, zone: program.zone }
    }

    /// Whether there ever was anything to count.
    pub(crate) fn took_part(&self) -> bool {
        match self.of {
            Entries::Points(book) => book.is_some(),
            Entries::Spend(orders, currency) => orders.iter().any(|order| order.total.currency() == currency),
        }
    }

    /// What is counted as of an instant.
    pub(crate) fn at(&self, at: Timestamp) -> i128 {
        match self.window {
            Window::Ever => self.between(Timestamp::MIN, at),
            Window::Rolling(span) => self.between(at.minus(span).plus(TICK), at),
            Window::Calendar(period) => self.between(period.begin(at, self.zone), at),
        }
    }

    /// What is counted of a while, its last instant included.
    fn between(&self, from: Timestamp, to: Timestamp) -> i128 {
        match self.of {
            Entries::Points(book) => book.map_or(0, |book| book.qualifying_within(from, to.plus(TICK))),
            Entries::Spend(orders, currency) => {
                let first = orders.partition_point(|order| order.placed_at < from);
                let end = orders.partition_point(|order| order.placed_at <= to).max(first);
                spent(&orders[first..end], currency).map(|(_, minor)| minor).sum()
            }
        }
    }

    /// When less than so much is counted for the first time after an instant at which it is there, if nothing more
    /// happens.
    pub(crate) fn falls_below(&self, count: u64, at: Timestamp) -> Option<Timestamp> {
        if count == 0 {
            return None;
        }
        let falls = match self.window {
            Window::Ever => None,
            Window::Calendar(period) => Some(period.end(at, self.zone)),
            Window::Rolling(span) => {
                let needed = self.newest_with(count.into(), at.minus(span).plus(TICK), at)?;
                Some(needed.plus(span))
            }
        };
        falls.filter(|falls| *falls > at && *falls < Timestamp::MAX)
    }

    /// The newest instant of a while from which on so much is there.
    fn newest_with(&self, count: i128, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let mut sum = 0;
        let reaches = |(at, amount): (Timestamp, i128)| {
            sum += amount;
            (sum >= count).then_some(at)
        };
        match self.of {
            Entries::Points(book) => {
                let earned = book?.qualified_newest_first().map(|(at, points)| (at, i128::from(points)));
                earned.skip_while(|(at, _)| *at > to).take_while(|(at, _)| *at >= from).find_map(reaches)
            }
            Entries::Spend(orders, currency) => {
                let first = orders.partition_point(|order| order.placed_at < from);
                let end = orders.partition_point(|order| order.placed_at <= to).max(first);
                spent(&orders[first..end], currency).rev().find_map(reaches)
            }
        }
    }
}

/// What orders in a currency cost, less what was refunded of each: never less than nothing.
fn spent(orders: &[Order], currency: Currency) -> impl DoubleEndedIterator<Item = (Timestamp, i128)> {
    let ours = orders.iter().filter(move |order| order.total.currency() == currency);
    ours.map(|order| (order.placed_at, i128::from(order.net_minor())))
}
