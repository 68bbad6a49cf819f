//! Asking a rule about one customer at an instant.

use std::collections::BTreeSet;

use super::number::{Events, Happenings, Moment, Number, Take, Window};
use super::predicate::{Predicate, TextTest, Texts};
use crate::consent::{ConsentKey, ConsentStatus};
use crate::customer::Customer;
use crate::definitions::Definitions;
use crate::id::Digest;
use crate::loyalty::{ProgramId, TierName};
use crate::money::Currency;
use crate::order::{Basket, Order};
use crate::segment::SegmentName;
use crate::time::Timestamp;

/// Whom a rule is asked about, and when.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub(super) customer: &'a Customer,
    pub(super) at: Timestamp,
    pub(super) currency: Currency,
    derived: Derived<'a>,
}

/// Where it is looked up what follows from the rest: segments, tiers, consents.
#[derive(Debug, Clone, Copy)]
enum Derived<'a> {
    /// Worked out for the instant.
    WorkedOut(&'a Definitions),
    /// As it is noted.
    Noted,
}

impl<'a> Subject<'a> {
    /// A customer at an instant. Other segments, tiers and consents that a rule asks about are worked out for that
    /// instant; the stage and points are as they are.
    #[must_use]
    pub fn new(customer: &'a Customer, at: Timestamp, definitions: &'a Definitions) -> Self {
        Subject { customer, at, currency: definitions.currency(at), derived: Derived::WorkedOut(definitions) }
    }

    /// The same with segments, tiers and consents as they are noted, which costs a look.
    pub(crate) const fn noted(customer: &'a Customer, at: Timestamp, currency: Currency) -> Self {
        Subject { customer, at, currency, derived: Derived::Noted }
    }

    /// The same at another instant, as if nothing happened in between.
    #[must_use]
    pub const fn at(self, at: Timestamp) -> Self {
        Subject { at, ..self }
    }

    /// The rule of another segment, if there is one in force and it is not merely looked up.
    pub(super) fn segment(&self, name: &SegmentName) -> Option<&'a Predicate> {
        match self.derived {
            Derived::WorkedOut(definitions) => definitions.answering_segment(name, self.at),
            Derived::Noted => None,
        }
    }

    fn is_in(&self, name: &SegmentName) -> bool {
        match self.derived {
            Derived::Noted => self.customer.standing().is_in(name),
            // Definitions have no cycles.
            Derived::WorkedOut(_) => self.segment(name).is_some_and(|rule| rule.holds(self)),
        }
    }

    fn tier(&self, program: &ProgramId) -> Option<&'a TierName> {
        match self.derived {
            Derived::Noted => self.customer.standing().tier(program),
            Derived::WorkedOut(definitions) => {
                definitions.program(program, self.at)?.tier(self.customer.book(program)?.qualifying())
            }
        }
    }

    fn consents(&self, key: &ConsentKey) -> bool {
        let status = match self.derived {
            Derived::Noted => {
                let mut noted = self.customer.standing().consents();
                return noted.any(|(own, status)| own == key && status == ConsentStatus::Granted);
            }
            Derived::WorkedOut(definitions) => self.customer.consent(key, self.at, definitions).status,
        };
        status == ConsentStatus::Granted
    }

    /// When what was said about consent may come to something else.
    pub(super) fn consents_move(&self) -> Option<Timestamp> {
        match self.derived {
            Derived::Noted => None,
            Derived::WorkedOut(_) => self.customer.facts().consents().next_change(self.at),
        }
    }
}

impl Predicate {
    /// Whether it holds, beyond doubt.
    #[must_use]
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        self.truth(subject) == Some(true)
    }

    /// Whether it holds; none where that depends on something that is missing.
    #[must_use]
    pub fn truth(&self, subject: &Subject<'_>) -> Option<bool> {
        let customer = subject.customer;
        match self {
            Predicate::All(parts) => decided(parts, subject, false),
            Predicate::Any(parts) => decided(parts, subject, true),
            Predicate::Not(part) => part.truth(subject).map(|holds| !holds),
            Predicate::Compare(left, is, right) => Some(is.holds(left.value(subject)?, right.value(subject)?)),
            Predicate::Known(number) => Some(number.value(subject).is_some()),
            Predicate::StageIn(stages) => Some(stages.contains(&customer.stage()?)),
            Predicate::Text(texts, test) => texts.any(subject, test),
            Predicate::InSegment(name) => Some(subject.is_in(name)),
            Predicate::Consents(key) => Some(subject.consents(key)),
        }
    }
}

/// What all (or, with `by` true, any) of some parts come to: the first that decides it does.
fn decided(parts: &[Predicate], subject: &Subject<'_>, by: bool) -> Option<bool> {
    let mut answer = Some(!by);
    for part in parts {
        match part.truth(subject) {
            Some(holds) if holds == by => return Some(by),
            Some(_) => {}
            None => answer = None,
        }
    }
    answer
}

impl Number {
    /// Its value; none where it is missing.
    #[must_use]
    pub fn value(&self, subject: &Subject<'_>) -> Option<i64> {
        let Subject { customer, at, currency, .. } = *subject;
        match self {
            Number::Constant(number) => Some(*number),
            Number::Attribute(attribute) => attribute.of(customer, at, currency),
            Number::Over(happenings, take) => happenings.take(*take, subject),
            Number::DaysSince(moment) => Some(at.days_since(moment.instant(subject)?)),
            Number::Instant(moment) => Some(moment.instant(subject)?.as_millis()),
            Number::Points(program) => Some(customer.book(program).map_or(0, |book| clamp(book.balance()))),
            Number::Bucket { name, of } => bucket(customer, name.as_str(), *of),
            Number::Calculate(left, operation, right) => operation.of(left.value(subject)?, right.value(subject)?),
        }
    }
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn bucket(customer: &Customer, name: &str, of: u32) -> Option<i64> {
    let oldest = customer.members().min()?;
    let digest = Digest::of(&[name.as_bytes(), &[0], oldest.as_uuid().as_bytes()].concat());
    let drawn = digest.as_bytes().first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))?;
    drawn.checked_rem(u64::from(of)).map(|part| part as i64)
}

impl Moment {
    /// When it was; none where it never was.
    #[must_use]
    pub fn instant(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        let facts = subject.customer.facts();
        match self {
            Moment::FirstSeen => facts.first_at(),
            Moment::LastSeen => facts.last_at(),
            Moment::First(happenings) => happenings.first(subject),
            Moment::Last(happenings) => happenings.last(subject),
        }
    }
}

impl Happenings {
    /// The instants in the window of what is no order, oldest first.
    pub(super) fn instants<'a>(&self, subject: &Subject<'a>) -> &'a [Timestamp] {
        let all = subject.customer.facts().instants(&self.what).map_or(&[][..], |instants| instants.remembered());
        let (from, until) = match self.within {
            Window::Ever => (0, all.len()),
            Window::Last(span) => (all.partition_point(|at| at.plus(span) <= subject.at), all.len()),
            Window::Between { from, until } => {
                let before = |limit: Timestamp| all.partition_point(|at| *at < limit);
                (from.map_or(0, before), until.map_or(all.len(), before))
            }
        };
        all.get(from..until).unwrap_or_default()
    }

    /// The orders in the window, newest first.
    pub(super) fn orders<'a>(&self, subject: &Subject<'a>) -> impl Iterator<Item = &'a Order> + use<'a> {
        let (within, now) = (self.within, subject.at);
        // Orders are in the order in which they were placed, so the search stops at the first one too old.
        let too_old = move |order: &&Order| match within {
            Window::Ever => false,
            Window::Last(span) => order.placed_at.plus(span) <= now,
            Window::Between { from, .. } => from.is_some_and(|from| order.placed_at < from),
        };
        let orders = subject.customer.facts().orders().standing_newest_first();
        orders.take_while(move |order| !too_old(order)).filter(move |order| within.has(order.placed_at, now))
    }

    /// The orders in the window that have what is asked for, oldest first, with what was bought.
    fn baskets<'a>(&self, subject: &Subject<'a>) -> impl Iterator<Item = (&'a Order, Basket<'a>)> {
        let all = subject.customer.facts().orders().with_lines();
        all.filter(|(order, _)| order.stands() && self.within.has(order.placed_at, subject.at))
            .filter(|(_, basket)| matches!(self.what, Events::Orders) || self.amount_of(*basket).is_some())
    }

    /// What the lines that are asked for come to; none if there is no such line.
    fn amount_of(&self, basket: Basket<'_>) -> Option<i64> {
        let mut sum = None;
        for line in basket {
            let asked = match &self.what {
                Events::OrdersOf(product) => line.product == Some(product.as_str()),
                Events::OrdersIn(category) => line.category == Some(category.as_str()),
                Events::Orders | Events::Visits | Events::Enquiries | Events::Carts | Events::Custom(_) => false,
            };
            if asked {
                sum = Some(sum.unwrap_or(0_i64).saturating_add(line.minor));
            }
        }
        sum
    }

    fn first(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        match &self.what {
            Events::Orders => self.orders(subject).last().map(|order| order.placed_at),
            Events::OrdersOf(_) | Events::OrdersIn(_) => self.baskets(subject).next().map(|(order, _)| order.placed_at),
            Events::Visits | Events::Enquiries | Events::Carts | Events::Custom(_) => match self.within {
                Window::Ever => subject.customer.facts().instants(&self.what)?.first(),
                Window::Last(_) | Window::Between { .. } => self.instants(subject).first().copied(),
            },
        }
    }

    fn last(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        match &self.what {
            Events::Orders => self.orders(subject).next().map(|order| order.placed_at),
            Events::OrdersOf(_) | Events::OrdersIn(_) => self.baskets(subject).last().map(|(order, _)| order.placed_at),
            Events::Visits | Events::Enquiries | Events::Carts | Events::Custom(_) => {
                self.instants(subject).last().copied()
            }
        }
    }

    fn count(&self, subject: &Subject<'_>) -> i64 {
        let facts = subject.customer.facts();
        match (&self.what, self.within) {
            (Events::Orders, Window::Ever) => facts.orders().standing().into(),
            (Events::Orders, _) => self.orders(subject).count() as i64,
            (Events::OrdersOf(_) | Events::OrdersIn(_), _) => self.baskets(subject).count() as i64,
            (_, Window::Ever) => facts.instants(&self.what).map_or(0, |instants| instants.count().into()),
            (_, _) => self.instants(subject).len() as i64,
        }
    }

    fn take(&self, take: Take, subject: &Subject<'_>) -> Option<i64> {
        let own = |order: &&Order| order.total.currency() == subject.currency;
        // The amounts of the orders in the shop's currency.
        let amounts = || -> Vec<i64> {
            if matches!(self.what, Events::Orders) {
                return self.orders(subject).filter(own).map(Order::net_minor).collect();
            }
            let baskets = self.baskets(subject).filter(|(order, _)| own(order));
            baskets.filter_map(|(_, basket)| self.amount_of(basket)).collect()
        };
        let sum = |amounts: &[i64]| amounts.iter().map(|minor| i128::from(*minor)).sum::<i128>();
        match take {
            Take::Count => Some(self.count(subject)),
            Take::Sum => Some(clamp(sum(&amounts()))),
            Take::Average => {
                let amounts = amounts();
                (!amounts.is_empty()).then(|| clamp(sum(&amounts).div_euclid(amounts.len() as i128)))
            }
            Take::Least => amounts().into_iter().min(),
            Take::Greatest => amounts().into_iter().max(),
            Take::Products => Some(self.names(subject, |line| line.product).len() as i64),
            Take::Categories => Some(self.names(subject, |line| line.category).len() as i64),
        }
    }

    fn names<'a>(
        &self,
        subject: &Subject<'a>,
        name: impl Fn(crate::order::BasketLine<'a>) -> Option<&'a str>,
    ) -> BTreeSet<&'a str> {
        self.baskets(subject).flat_map(|(_, basket)| basket).filter_map(name).collect()
    }
}

impl Texts {
    /// Whether any of them passes a test; none where there is one at most, and it is not there.
    fn any(&self, subject: &Subject<'_>, test: &TextTest) -> Option<bool> {
        let customer = subject.customer;
        match self {
            Texts::Tags => Some(match test {
                TextTest::OneOf(tags) => tags.iter().any(|tag| customer.has_tag_named(tag)),
                TextTest::StartsWith(_) | TextTest::EndsWith(_) | TextTest::Contains(_) | TextTest::Matches(_) => {
                    customer.tags().any(|tag| test.passes(tag.as_str()))
                }
            }),
            Texts::Roles => {
                let mut roles = customer.facts().party().into_iter().flat_map(crate::profile::Party::set_names);
                Some(roles.any(|role| test.passes(&role)))
            }
            Texts::Tier(program) => Some(test.passes(subject.tier(program)?.as_str())),
            Texts::Products(happenings) => {
                Some(happenings.names(subject, |line| line.product).into_iter().any(|name| test.passes(name)))
            }
            Texts::Categories(happenings) => {
                Some(happenings.names(subject, |line| line.category).into_iter().any(|name| test.passes(name)))
            }
        }
    }
}
