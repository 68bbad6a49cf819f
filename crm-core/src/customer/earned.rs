//! What facts, carts and days of the year earn a customer by the rules of programmes.

use chrono::{Datelike as _, NaiveDate};
use chrono_tz::Tz;
use serde::Serialize;

use super::Customer;
use crate::declared::DeclaredName;
use crate::definitions::Definitions;
use crate::event::Fact;
use crate::expression::Subject;
use crate::id::{CustomerId, EventId};
use crate::interaction::Channel;
use crate::loyalty::{
    Cart, Earned, Earning, EarningRule, Happening, Occasion, On, Origin, PointsBook, Posting, PostingKind, Program,
    ProgramId, Purchase, Qualifying, Redeemable, RuleName, Stretch, begin_of, day_of,
};
use crate::order::{Basket, Order};
use crate::text::Remark;
use crate::time::{Span, Timestamp};

/// What an order would earn, and what it could be paid with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// What the order would earn.
    pub earning: Earning,
    /// For somebody of whom nothing was told before: what they would earn by being known from then on.
    pub sign_up: Option<Earning>,
    /// How many points could be redeemed for it.
    pub redeemable: Redeemable,
}

impl Quote {
    /// How many points that can be redeemed placing the order would give in all.
    #[must_use]
    pub fn points(&self) -> i64 {
        self.sign_up.as_ref().map_or(0, |sign_up| sign_up.points).saturating_add(self.earning.points)
    }

    /// How many that count towards a tier.
    #[must_use]
    pub fn qualifying(&self) -> i64 {
        self.sign_up.as_ref().map_or(0, |sign_up| sign_up.qualifying).saturating_add(self.earning.qualifying)
    }
}

impl Customer {
    /// What a fact earns in each programme by the customer as they are before it is folded, at its instant. `before` is
    /// what other facts earned that is not posted yet: caps count it too.
    #[must_use]
    pub fn earned_by(
        &self,
        member: CustomerId,
        id: EventId,
        at: Timestamp,
        fact: &Fact,
        before: &[Earned],
        definitions: &Definitions,
    ) -> Vec<Earned> {
        let mut all = Vec::new();
        let has_programs = definitions.program_ids().next().is_some();
        if !has_programs || matches!(fact, Fact::Voided(_)) || self.facts.is_voided(id) {
            return all;
        }
        let purchase = if let Fact::OrderPlaced(placed) = fact { Some(Purchase::from(placed)) } else { None };
        let action = purchase.as_ref().map(Happening::Order).or_else(|| Happening::action(fact));
        let is_new = self.facts.first_at().is_none();
        let sign_up = is_new.then(|| Happening::SignUp(channel(fact)));
        if action.is_none() && sign_up.is_none() {
            return all;
        }
        let subject = Subject::new(self, at, definitions);
        for program in definitions.program_ids() {
            let Some(rules) = definitions.program(program, at) else { continue };
            let given = |rule: &RuleName, stretch: Stretch| {
                let waiting = before.iter().filter(|earned| earned.program == *program);
                let waiting =
                    waiting.filter(|earned| stretch.is_none_or(|(from, until)| from <= earned.at && earned.at < until));
                let shares = waiting.flat_map(|earned| &earned.earning.by_rule).filter(|share| share.rule == *rule);
                let waiting = shares.fold(0, |sum: i64, share| sum.saturating_add(share.points.max(share.qualifying)));
                self.given(program, rule, stretch).saturating_add(waiting)
            };
            for what in action.iter().chain(&sign_up) {
                let by_order = matches!(what, Happening::Order(_));
                // Of an order it is noted too that it earned nothing, so that it is not asked again right away.
                if !by_order && !rules.answers_to(what) {
                    continue;
                }
                let occasion = Occasion { subject, tier: self.standing.tier(program), what: *what };
                let earning = rules.earn_silently(&occasion, given);
                all.push(Earned { member, program: program.clone(), fact: id, at, by_order, earning });
            }
        }
        all
    }

    /// What an order of this cart would earn in a programme if it were placed at an instant, and what it could be paid
    /// with; none if no such programme is in force. Whatever is due before has to be worked off.
    #[must_use]
    pub fn quote(&self, program: &ProgramId, cart: &Cart, at: Timestamp, definitions: &Definitions) -> Option<Quote> {
        let rules = definitions.program(program, at)?;
        let purchase = Purchase::from(cart);
        let earn = |what| {
            let occasion =
                Occasion { subject: Subject::new(self, at, definitions), tier: self.standing.tier(program), what };
            rules.earn(&occasion, |rule, stretch| self.given(program, rule, stretch))
        };
        let sign_up = Happening::SignUp(cart.channel);
        let is_new = self.facts.first_at().is_none();
        let available = self.book(program).map_or(0, PointsBook::balance);
        Some(Quote {
            earning: earn(Happening::Order(&purchase)),
            sign_up: (is_new && rules.answers_to(&sign_up)).then(|| earn(sign_up)),
            redeemable: rules.redeemable(cart, available),
        })
    }

    /// How many points a rule gave the customer, through whomever they came, less what was taken back.
    fn given(&self, program: &ProgramId, rule: &RuleName, stretch: Stretch) -> i64 {
        match self.books_of_members() {
            None => self.book(program).map_or(0, |book| book.given_by(rule, stretch)),
            Some(books) => {
                let own = books.filter(|(_, id, _)| *id == program);
                own.fold(0, |sum: i64, (_, _, book)| sum.saturating_add(book.given_by(rule, stretch)))
            }
        }
    }

    /// What an order earns that was not judged when it was taken in, by the customer as they are now. `book` is the book
    /// of the member through whom it came, as it is by now.
    pub(super) fn judged(
        &self,
        member: CustomerId,
        program: &ProgramId,
        book: &PointsBook,
        (order, basket): (&Order, Basket<'_>),
        definitions: &Definitions,
    ) -> Option<Earning> {
        let rules = definitions.program(program, order.placed_at)?;
        let given = |rule: &RuleName, stretch: Stretch| {
            let others = self.members().filter(|other| *other != member);
            let others = others.filter_map(|other| self.book_of(other, program));
            let others = others.fold(0, |sum: i64, book| sum.saturating_add(book.given_by(rule, stretch)));
            book.given_by(rule, stretch).saturating_add(others)
        };
        let purchase = Purchase::kept(order, basket);
        let subject = Subject::new(self, order.placed_at, definitions);
        let occasion = Occasion { subject, tier: self.standing.tier(program), what: Happening::Order(&purchase) };
        Some(rules.earn_silently(&occasion, given))
    }

    // ---- days of the year ----

    /// The days that rules in force at some time after the customer's clock give points for.
    pub(super) fn next_yearly(&self, definitions: &Definitions) -> Option<Timestamp> {
        let clock = self.clock?;
        self.facts.all_declared().next()?;
        let mut next: Option<Timestamp> = None;
        for (_, program, from, until) in definitions.program_versions() {
            if until.is_some_and(|until| until <= clock) {
                continue;
            }
            // A version holds from its first instant on.
            let after = clock.max(from.minus(Span::millis(1)));
            for attribute in program.earning.iter().filter_map(EarningRule::yearly) {
                let day = self.anniversary(attribute, after, program.zone);
                let day = day.filter(|day| until.is_none_or(|until| *day < until));
                next = next.into_iter().chain(day).min();
            }
        }
        next
    }

    /// The first midnight after an instant of the day of the year that an attribute tells, if it tells any.
    fn anniversary(&self, attribute: &DeclaredName, after: Timestamp, zone: Tz) -> Option<Timestamp> {
        let told = day_of(self.facts.declared(attribute)?.instant()?, Tz::UTC);
        let year = day_of(after, zone).year();
        let days = (year..=year.saturating_add(1)).filter_map(|year| {
            // A year that lacks 29 February has it on the 28th.
            NaiveDate::from_ymd_opt(year, told.month(), told.day())
                .or_else(|| NaiveDate::from_ymd_opt(year, told.month(), 28))
        });
        days.map(|day| begin_of(day, zone)).find(|midnight| *midnight > after)
    }

    /// What rules give for the day that begins at an instant, and in whose book: once for each rule in a year of the
    /// calendar.
    pub(super) fn yearly_due(&self, at: Timestamp, definitions: &Definitions) -> Vec<(CustomerId, Posting)> {
        let mut postings = Vec::new();
        if self.facts.all_declared().next().is_none() {
            return postings;
        }
        for id in definitions.program_ids() {
            let Some(program) = definitions.program(id, at) else { continue };
            let year = |at: Timestamp| day_of(at, program.zone).year();
            let given = |rule: &RuleName| {
                let last = self.members().filter_map(|member| self.book_of(member, id)?.last_yearly(rule)).max();
                last.is_some_and(|last| year(last) >= year(at))
            };
            let begins = |rule: &&EarningRule| {
                let just_before = at.minus(Span::millis(1));
                let day = rule.yearly().and_then(|attribute| self.anniversary(attribute, just_before, program.zone));
                day == Some(at) && !given(&rule.name)
            };
            let due: Vec<EarningRule> = program.earning.iter().filter(begins).cloned().collect();
            let mut attributes: Vec<&DeclaredName> = due.iter().filter_map(EarningRule::yearly).collect();
            attributes.sort_unstable();
            attributes.dedup();
            if attributes.is_empty() {
                continue;
            }
            let rules = Program { earning: due.clone(), ..program.clone() };
            let mut book = self.book_of(self.id, id).cloned().unwrap_or_default();
            for attribute in attributes {
                let tier = self.standing.tier(id);
                let subject = Subject::new(self, at, definitions);
                let occasion = Occasion { subject, tier, what: Happening::Yearly(attribute) };
                let earning = rules.earn_silently(&occasion, |rule, stretch| self.given(id, rule, stretch));
                let Some(reason) = earning.by_rule.first().and_then(|share| Remark::new(&share.rule).ok()) else {
                    continue;
                };
                let mut posting = Posting::new(id.clone(), PostingKind::Awarded { reason });
                posting.by_rule.clone_from(&earning.by_rule);
                posting.qualifying = Some(Qualifying { points: earning.qualifying, at });
                let posting = book.give(posting, earning.points, program.terms(Origin::Award, at, tier));
                book.apply(&posting);
                postings.push((self.id, posting));
            }
        }
        postings
    }
}

impl EarningRule {
    /// The attribute of whose day of the year it gives points.
    fn yearly(&self) -> Option<&DeclaredName> {
        if let On::Yearly(attribute) = &self.on { Some(attribute) } else { None }
    }
}

/// By which channel the customer came, if a fact says so.
const fn channel(fact: &Fact) -> Option<Channel> {
    if let Fact::Visited(visited) = fact {
        return Some(visited.channel);
    }
    if let Fact::Enquired(enquired) = fact {
        return Some(enquired.channel);
    }
    if let Fact::OrderPlaced(placed) = fact {
        return placed.channel;
    }
    None
}
