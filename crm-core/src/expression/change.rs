//! When the answer of a rule will next change although nothing happens.

use super::evaluate::Subject;
use super::number::{Events, Happenings, Moment, Number, Take, Window};
use super::predicate::{Comparison, Predicate, Texts};
use crate::attribute::Unit;
use crate::time::{Span, Timestamp};

/// After how many instants at which something in a rule moves, and its answer does not, the search ends with the
/// last of them.
const STEPS_MAX: usize = 256;

impl Predicate {
    /// The first instant after the subject's at which it no longer holds, or comes to hold, although nothing
    /// happened; none if time alone will not change that. Never too late; too early only when something in it
    /// moves very often without moving the answer. A stage and points move by alarms of their own and are not
    /// counted here; nor are other segments and consents where they are as noted.
    #[must_use]
    pub fn next_change(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        let now = self.holds(subject);
        let mut at = subject.at;
        for _ in 0..STEPS_MAX {
            at = self.moves(&subject.at(at)).filter(|next| *next < Timestamp::MAX)?;
            if self.holds(&subject.at(at)) != now {
                break;
            }
        }
        Some(at)
    }

    /// The first instant after the subject's at which something in it moves that may move the answer.
    pub(super) fn moves(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => parts.iter().filter_map(|part| part.moves(subject)).min(),
            Predicate::Not(part) => part.moves(subject),
            Predicate::Compare(number, is, Number::Constant(limit)) => number.crosses(*is, *limit, subject),
            Predicate::Compare(Number::Constant(limit), is, number) => number.crosses(is.turned(), *limit, subject),
            Predicate::Compare(left, _, right) => earliest(left.moves(subject), right.moves(subject)),
            Predicate::Known(number) => number.vanishes(subject),
            Predicate::Text(Texts::Products(happenings) | Texts::Categories(happenings), _) => {
                happenings.moves(subject)
            }
            Predicate::InSegment(name) => subject.membership_moves(name),
            Predicate::WasIn(name, within) => {
                let forgotten = within.and_then(|span| subject.spell(name).forgotten(span));
                earliest(subject.membership_moves(name), forgotten.filter(|at| *at > subject.at))
            }
            Predicate::InFor(name, span) => {
                let reached = subject.spell(name).reached(*span);
                earliest(subject.membership_moves(name), reached.filter(|at| *at > subject.at))
            }
            Predicate::Consents(_) => subject.consents_move(),
            Predicate::Text(Texts::Tier(program), _) => subject.tier_moves(program),
            Predicate::StageIn(_) | Predicate::Text(..) | Predicate::DeclaredFlag(_) | Predicate::DeclaredKnown(_) => {
                None
            }
        }
    }
}

pub(super) fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

impl Number {
    /// The first instant after the subject's at which it may be another number.
    fn moves(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        let next_day = |since: Timestamp| {
            let days = u32::try_from(subject.at.days_since(since) + 1).ok()?;
            // Before the instant itself it is 0, as on the first day.
            Some(since.plus(Span::days(days)))
        };
        match self {
            Number::Attribute(attribute) if attribute.unit() == Unit::Days => {
                next_day(attribute.since(subject.customer)?)
            }
            Number::Over(happenings, _) => happenings.moves(subject),
            Number::DaysSince(moment) => earliest(moment.instant(subject).and_then(next_day), moment.moves(subject)),
            Number::Instant(moment) => moment.moves(subject),
            Number::Calculate(left, _, right) => earliest(left.moves(subject), right.moves(subject)),
            Number::Vouchers(coupon) => {
                let usable = subject.customer.vouchers_usable(coupon, subject.at);
                usable.filter_map(|voucher| voucher.expires_at).min()
            }
            Number::Constant(_)
            | Number::Attribute(_)
            | Number::Points(_)
            | Number::Credit(_)
            | Number::CouponUses(_)
            | Number::DeclaredWhole(_)
            | Number::DeclaredDecimal(_)
            | Number::Score(_)
            | Number::Bucket { .. } => None,
        }
    }

    /// The first instant after the subject's at which it may be missing, or there again.
    fn vanishes(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        match self {
            Number::DaysSince(moment) | Number::Instant(moment) => moment.moves(subject),
            Number::Over(happenings, Take::Average | Take::Least | Take::Greatest) => happenings.moves(subject),
            // A divisor may come to be zero.
            Number::Calculate(..) => self.moves(subject),
            Number::Constant(_)
            | Number::Attribute(_)
            | Number::Over(..)
            | Number::Points(_)
            | Number::Credit(_)
            | Number::Vouchers(_)
            | Number::CouponUses(_)
            | Number::DeclaredWhole(_)
            | Number::DeclaredDecimal(_)
            | Number::Score(_)
            | Number::Bucket { .. } => None,
        }
    }

    /// The first instant after the subject's at which a comparison with a constant may come out otherwise.
    fn crosses(&self, is: Comparison, limit: i64, subject: &Subject<'_>) -> Option<Timestamp> {
        match self {
            Number::Attribute(attribute) if attribute.unit() == Unit::Days => {
                day_crossed(attribute.since(subject.customer)?, is, limit, subject.at)
            }
            Number::DaysSince(moment) if moment.moves(subject).is_none() => {
                day_crossed(moment.instant(subject)?, is, limit, subject.at)
            }
            Number::Over(happenings, Take::Count) => happenings.count_crossed(is, limit, subject),
            Number::Constant(_)
            | Number::Attribute(_)
            | Number::Over(..)
            | Number::DaysSince(_)
            | Number::Instant(_)
            | Number::Points(_)
            | Number::Credit(_)
            | Number::Vouchers(_)
            | Number::CouponUses(_)
            | Number::DeclaredWhole(_)
            | Number::DeclaredDecimal(_)
            | Number::Score(_)
            | Number::Bucket { .. }
            | Number::Calculate(..) => self.moves(subject),
        }
    }
}

impl Moment {
    fn moves(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        match self {
            Moment::First(happenings) | Moment::Last(happenings) => happenings.moves(subject),
            Moment::FirstSeen | Moment::LastSeen | Moment::Declared(_) => None,
        }
    }
}

impl Happenings {
    /// When the next of them leaves the window. Of orders with a product it may be one without it.
    fn moves(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        let Window::Last(span) = self.within else { return None };
        let first = if self.what.are_orders() {
            self.orders(subject).last().map(|order| order.placed_at)
        } else {
            self.instants(subject).first().copied()
        };
        first.map(|at| at.plus(span))
    }

    /// When so many have left the window that a comparison of their number comes out otherwise.
    fn count_crossed(&self, is: Comparison, limit: i64, subject: &Subject<'_>) -> Option<Timestamp> {
        let Window::Last(span) = self.within else { return None };
        if matches!(self.what, Events::OrdersOf(_) | Events::OrdersIn(_)) {
            return self.moves(subject);
        }
        let leaving: Vec<Timestamp> = if self.what.are_orders() {
            let mut placed: Vec<Timestamp> = self.orders(subject).map(|order| order.placed_at).collect();
            placed.reverse();
            placed
        } else {
            self.instants(subject).to_vec()
        };
        let within = leaving.len() as i64;
        let holds_now = is.holds(within, limit);
        // After the n-th of them has left there are n fewer; two that leave at once leave together.
        leaving.iter().enumerate().find_map(|(n, at)| {
            let gone = n as i64 + 1;
            let together = leaving.get(n + 1) == Some(at);
            (!together && is.holds(within - gone, limit) != holds_now).then(|| at.plus(span))
        })
    }
}

/// Days grow by one each day: a comparison can come out otherwise only when the limit is reached, and when it is
/// passed.
fn day_crossed(since: Timestamp, is: Comparison, limit: i64, now: Timestamp) -> Option<Timestamp> {
    let days_now = now.days_since(since);
    [limit, limit.checked_add(1)?]
        .into_iter()
        .filter(|days| *days > days_now && is.holds(*days, limit) != is.holds(days - 1, limit))
        .filter_map(|days| u32::try_from(days).ok().map(|days| since.plus(Span::days(days))))
        .find(|instant| *instant > now && *instant < Timestamp::MAX)
}
