//! Asking a rule about one customer at an instant.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::number::{Events, Happenings, Moment, Number, Take, Window};
use super::predicate::{Predicate, TextTest, Texts};
use crate::consent::{ConsentKey, ConsentStatus};
use crate::customer::{Customer, Spells};
use crate::declared::{DeclaredName, DeclaredValue};
use crate::definitions::Definitions;
use crate::fixed::Millionths;
use crate::id::Digest;
use crate::loyalty::{ProgramId, TierName};
use crate::money::Currency;
use crate::order::{Basket, Order};
use crate::score::{Score, ScoreName};
use crate::segment::{Override, SegmentName, SegmentOverridden, Spell};
use crate::time::Timestamp;

/// How often a membership may move by time alone while it is worked out since when it lasts.
const SPELL_STEPS_MAX: usize = 256;

/// Whom a rule is asked about, and when.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub(super) customer: &'a Customer,
    pub(crate) at: Timestamp,
    pub(super) currency: Currency,
    derived: Derived<'a>,
    /// Who was in which segment, where that is told apart from the customer.
    spells: Option<&'a Spells>,
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
    /// instant; the stage and points are as they are. Of who was in a segment before it knows what the customer does:
    /// all of it where a segment in force asks so, and otherwise nothing before the customer's clock; see
    /// [`with_spells`](Self::with_spells).
    #[must_use]
    pub fn new(customer: &'a Customer, at: Timestamp, definitions: &'a Definitions) -> Self {
        let derived = Derived::WorkedOut(definitions);
        Subject { customer, at, currency: definitions.currency(at), derived, spells: None }
    }

    /// The same with segments, tiers and consents as they are noted, which costs a look.
    pub(crate) const fn noted(customer: &'a Customer, at: Timestamp, currency: Currency) -> Self {
        Subject { customer, at, currency, derived: Derived::Noted, spells: None }
    }

    /// The same, knowing who was in which segment: see [`Customer::spells_of`].
    #[must_use]
    pub const fn with_spells(self, spells: &'a Spells) -> Self {
        Subject { spells: Some(spells), ..self }
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

    pub(crate) fn is_in(&self, name: &SegmentName) -> bool {
        match (self.derived, self.overridden(name)) {
            (Derived::Noted, _) => self.customer.standing().is_in(name),
            (Derived::WorkedOut(_), Some(overridden)) => overridden.asked.to == Override::In,
            // Definitions have no cycles.
            (Derived::WorkedOut(_), None) => self.segment(name).is_some_and(|rule| rule.holds(self)),
        }
    }

    /// What overrides the rule of another segment, if it is not merely looked up.
    pub(super) fn overridden(&self, name: &SegmentName) -> Option<&'a SegmentOverridden> {
        match self.derived {
            Derived::WorkedOut(definitions) => self.customer.override_of(name, self.at, definitions),
            Derived::Noted => None,
        }
    }

    /// Since when the customer is in a segment, and when they last left it. Where segments are worked out, what time
    /// alone did since the customer's clock is worked out too.
    pub(super) fn spell(&self, name: &SegmentName) -> Spell {
        let mut spell = self.spells.unwrap_or_else(|| self.customer.spells()).of(name);
        if matches!(self.derived, Derived::Noted) {
            return spell;
        }
        let mut at = self.customer.clock().map_or(self.at, |clock| clock.min(self.at));
        for _ in 0..SPELL_STEPS_MAX {
            let then = self.at(at);
            spell.note(then.is_in(name), at);
            match then.membership_moves(name).filter(|next| *next <= self.at) {
                Some(next) => at = next,
                None => return spell,
            }
        }
        spell.note(self.is_in(name), self.at);
        spell
    }

    /// When whether the customer is in another segment may change although nothing happens.
    pub(super) fn membership_moves(&self, name: &SegmentName) -> Option<Timestamp> {
        match self.overridden(name) {
            Some(overridden) => overridden.asked.until,
            None => self.segment(name)?.moves(self),
        }
    }

    fn tier(&self, program: &'a ProgramId) -> Option<&'a TierName> {
        match self.derived {
            Derived::Noted => self.customer.standing().tier(program),
            Derived::WorkedOut(definitions) => self.customer.tier_at(program, self.at, definitions),
        }
    }

    /// When the tier in a programme may move although nothing happens.
    pub(super) fn tier_moves(&self, program: &ProgramId) -> Option<Timestamp> {
        match self.derived {
            Derived::Noted => None,
            Derived::WorkedOut(definitions) => self.customer.tier_moves(program, self.at, definitions),
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

    fn declared(&self, attribute: &DeclaredName) -> Option<&'a DeclaredValue> {
        self.customer.facts().declared(attribute)
    }

    fn score(&self, name: &ScoreName) -> Option<&'a Score> {
        match self.derived {
            Derived::Noted => self.customer.score(name),
            Derived::WorkedOut(definitions) => self.customer.score_at(name, self.at, definitions),
        }
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
            Predicate::WasIn(name, None) => Some(subject.spell(name).ever()),
            Predicate::WasIn(name, Some(span)) => Some(subject.spell(name).within(*span, subject.at)),
            Predicate::InFor(name, span) => Some(subject.spell(name).lasts(*span, subject.at)),
            Predicate::Consents(key) => Some(subject.consents(key)),
            Predicate::DeclaredFlag(attribute) => subject.declared(attribute)?.flag(),
            Predicate::DeclaredKnown(attribute) => Some(subject.declared(attribute).is_some()),
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
            Number::Credit(currency) => Some(customer.credit_in(*currency).map_or(0, |book| clamp(book.available()))),
            Number::Vouchers(coupon) => Some(customer.vouchers_usable(coupon, at).count() as i64),
            Number::CouponUses(coupon) => {
                Some(customer.coupon_uses(coupon).iter().filter(|used| used.until.is_none()).count() as i64)
            }
            Number::Points(program) => Some(customer.book(program).map_or(0, |book| clamp(book.balance()))),
            Number::DeclaredWhole(attribute) => subject.declared(attribute)?.whole(),
            Number::DeclaredDecimal(attribute) => subject.declared(attribute)?.decimal().map(Millionths::get),
            Number::Score(name) => Some(subject.score(name)?.value.get()),
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
            Moment::Declared(attribute) => subject.declared(attribute)?.instant(),
        }
    }
}

impl Happenings {
    /// The instants in the window of what is no order, oldest first.
    pub(super) fn instants<'a>(&self, subject: &Subject<'a>) -> Cow<'a, [Timestamp]> {
        let all = self.remembered(subject);
        let (from, until) = match self.within {
            Window::Ever => (0, all.len()),
            Window::Last(span) => (all.partition_point(|at| at.plus(span) <= subject.at), all.len()),
            Window::Between { from, until } => {
                let before = |limit: Timestamp| all.partition_point(|at| *at < limit);
                (from.map_or(0, before), until.map_or(all.len(), before))
            }
        };
        match all {
            Cow::Borrowed(all) => Cow::Borrowed(all.get(from..until).unwrap_or_default()),
            Cow::Owned(mut all) => {
                all.truncate(until);
                all.drain(..from.min(until));
                Cow::Owned(all)
            }
        }
    }

    /// All instants of what is no order that are remembered, oldest first.
    fn remembered<'a>(&self, subject: &Subject<'a>) -> Cow<'a, [Timestamp]> {
        let facts = subject.customer.facts();
        if let Events::OpenCases(kind) = &self.what {
            let open = facts.cases().open().filter(|(_, case)| kind.is_none() || case.kind == *kind);
            let mut opened: Vec<Timestamp> = open.map(|(_, case)| case.opened_at).collect();
            opened.sort_unstable();
            return Cow::Owned(opened);
        }
        match facts.all_instants(&self.what).as_slice() {
            [] => Cow::Borrowed(&[]),
            [one] => Cow::Borrowed(one.remembered()),
            several => {
                let mut all = several.iter().map(|instants| instants.remembered()).collect::<Vec<_>>().concat();
                all.sort_unstable();
                Cow::Owned(all)
            }
        }
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
                Events::Orders
                | Events::Visits
                | Events::Enquiries
                | Events::Carts
                | Events::Messages(_)
                | Events::Cases(_)
                | Events::OpenCases(_)
                | Events::Custom(_) => false,
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
            Events::Visits
            | Events::Enquiries
            | Events::Carts
            | Events::Messages(_)
            | Events::Cases(_)
            | Events::OpenCases(_)
            | Events::Custom(_) => {
                let lists = subject.customer.facts().all_instants(&self.what);
                match self.within {
                    Window::Ever if !lists.is_empty() => lists.iter().filter_map(|instants| instants.first()).min(),
                    Window::Ever | Window::Last(_) | Window::Between { .. } => self.instants(subject).first().copied(),
                }
            }
        }
    }

    fn last(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        match &self.what {
            Events::Orders => self.orders(subject).next().map(|order| order.placed_at),
            Events::OrdersOf(_) | Events::OrdersIn(_) => self.baskets(subject).last().map(|(order, _)| order.placed_at),
            Events::Visits
            | Events::Enquiries
            | Events::Carts
            | Events::Messages(_)
            | Events::Cases(_)
            | Events::OpenCases(_)
            | Events::Custom(_) => self.instants(subject).last().copied(),
        }
    }

    fn count(&self, subject: &Subject<'_>) -> i64 {
        let facts = subject.customer.facts();
        match (&self.what, self.within) {
            (Events::Orders, Window::Ever) => facts.orders().standing().into(),
            (Events::Orders, _) => self.orders(subject).count() as i64,
            (Events::OrdersOf(_) | Events::OrdersIn(_), _) => self.baskets(subject).count() as i64,
            (Events::OpenCases(_), Window::Ever) => self.instants(subject).len() as i64,
            (_, Window::Ever) => {
                facts.all_instants(&self.what).iter().map(|instants| i64::from(instants.count())).sum()
            }
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
            Texts::Lists => Some(match test {
                TextTest::OneOf(lists) => lists.iter().any(|list| customer.facts().is_on_list_named(list)),
                TextTest::StartsWith(_) | TextTest::EndsWith(_) | TextTest::Contains(_) | TextTest::Matches(_) => {
                    customer.facts().lists().any(|list| test.passes(list.as_str()))
                }
            }),
            Texts::Badges => Some(customer.badges().any(|(badge, _)| test.passes(badge.as_str()))),
            Texts::Roles => {
                let mut roles = customer.facts().party().into_iter().flat_map(crate::profile::Party::set_names);
                Some(roles.any(|role| test.passes(&role)))
            }
            Texts::Tier(program) => Some(test.passes(subject.tier(program)?.as_str())),
            Texts::Declared(attribute) => subject.declared(attribute)?.text().map(|text| test.passes(text)),
            Texts::Products(happenings) => {
                Some(happenings.names(subject, |line| line.product).into_iter().any(|name| test.passes(name)))
            }
            Texts::Categories(happenings) => {
                Some(happenings.names(subject, |line| line.category).into_iter().any(|name| test.passes(name)))
            }
        }
    }
}
