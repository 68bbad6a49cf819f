//! Laws of store credit: what a naive auditor finds is what is in the books, whatever happened, to whomever, merged or
//! apart.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod auditor;

use std::collections::BTreeMap;

use auditor::{Auditor, Seen, Who};
use crm_core::credit::{
    AdjustCredit, CREDIT_AMOUNT_MAX, CREDIT_BALANCE_MAX, CREDIT_HOLDS_KEPT, CREDIT_HOLDS_MAX, CREDIT_SPENDS_KEPT,
    CaptureCredit, CreditCause, CreditError, CreditHoldName, CreditOrigin, CreditTotals, GIFT_CARDS_MAX,
    GIFT_CARDS_OPEN_MAX, GiftCardId, GrantCredit, HoldCredit, ReleaseCredit, ReverseCredit, SpendCredit, block, issue,
};
use crm_core::customer::{Customer, STATE_SHAPE};
use crm_core::event::{Decision, Deed, EventBody, Fact};
use crm_core::interaction::{Channel, Visited};
use crm_core::workflow::Actor;
use crm_core::{Currency, CustomerId, Definitions, EventId, Money, Remark, Source, TenantId, Timestamp};
use proptest::prelude::*;

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_millis(hour * 3_600_000).unwrap()
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

fn why() -> Remark {
    "test".parse().unwrap()
}

fn name(n: u8) -> CreditHoldName {
    CreditHoldName::new(format!("h{n}")).unwrap()
}

fn member(who: Who) -> CustomerId {
    CustomerId::new(hour(0), [who as u8; 10])
}

fn who(id: CustomerId) -> Who {
    (0..3).find(|who| member(*who) == id).unwrap()
}

type Stored = (CustomerId, EventId, Timestamp, EventBody);

/// Three people, some of whom may be one, and all that was decided about them.
struct World {
    definitions: Definitions,
    customers: Vec<Customer>,
    events: Vec<Stored>,
    now: i64,
}

impl World {
    fn new() -> Self {
        let visit = |n: Who| {
            let id = EventId::of_fact(&TenantId::default(), &Source::new("test").unwrap(), &n.to_string());
            (member(n), id, hour(0), EventBody::Fact(Fact::from(Visited { channel: Channel::Web, place: None })))
        };
        let (definitions, events) = (Definitions::default(), (0..3).map(visit).collect());
        let mut world = World { definitions, customers: Vec::new(), events, now: 0 };
        world.customers.extend([0, 1, 2].map(|n| {
            let own = world.events.iter().filter(|(of, ..)| *of == member(n));
            let own = own.map(|(of, id, at, body)| (*of, *id, *at, body));
            Customer::replay(member(n), own, hour(0), &world.definitions)
        }));
        world
    }

    fn facts(&self) -> impl Iterator<Item = (CustomerId, EventId, Timestamp, &Fact)> + Clone {
        self.events.iter().filter_map(|(of, id, at, body)| match body {
            EventBody::Fact(fact) => Some((*of, *id, *at, fact)),
            EventBody::Decision(_) | EventBody::Unrecognised { .. } => None,
        })
    }

    fn place(&self, of: Who) -> usize {
        self.customers.iter().position(|customer| customer.is(member(of))).unwrap()
    }

    fn customer(&self, of: Who) -> &Customer {
        &self.customers[self.place(of)]
    }

    fn decide(&mut self, place: usize, of: CustomerId, by: Actor, deed: Deed) -> EventId {
        let customer = &mut self.customers[place];
        let id = EventId::of_decision(of, customer.decisions_of(of));
        let decision = Decision { by, deed };
        // What is stored is what is folded.
        let stored = EventBody::decode(decision.deed.kind(), 1, &decision.encode()).unwrap();
        assert_eq!(stored, EventBody::Decision(decision.clone()));
        if let Deed::CreditPosted(posting) = &decision.deed {
            assert_eq!(posting.entries().iter().map(|(_, minor)| minor).sum::<i128>(), 0);
        }
        customer.apply_decision_of(of, hour(self.now), &decision);
        self.events.push((of, id, hour(self.now), EventBody::Decision(decision)));
        id
    }

    /// What the engine does with a command that comes through somebody: the first decision it leads to.
    fn command(
        &mut self,
        through: Who,
        command: impl Into<crm_core::customer::Command>,
    ) -> Result<EventId, CreditError> {
        let place = self.place(through);
        let command: crm_core::customer::Command = command.into();
        let customer = &self.customers[place];
        let deeds = match command.decide(customer, member(through), hour(self.now), &self.definitions) {
            Ok(deeds) => deeds,
            Err(crm_core::customer::Refusal::Credit(error)) => return Err(error),
            Err(other) => panic!("{other}"),
        };
        let parts: Vec<_> = deeds.into_iter().flat_map(|deed| customer.share(deed, member(through))).collect();
        let ids = parts.into_iter().map(|(of, deed)| self.decide(place, of, Actor::Shop, deed));
        Ok(ids.collect::<Vec<_>>()[0])
    }

    fn pass(&mut self, hours: i64, mut each: impl FnMut(Timestamp)) {
        for now in self.now + 1..=self.now + hours {
            self.now = now;
            for place in 0..self.customers.len() {
                while let Some((of, deed)) = self.customers[place].credit_due(hour(now)) {
                    self.decide(place, of, Actor::Rule, deed);
                }
            }
            each(hour(now));
        }
    }

    fn merge(&mut self, one: Who, other: Who) -> bool {
        let (one, other) = (self.place(one), self.place(other));
        if one == other {
            return false;
        }
        let (last, first) = (self.customers.remove(one.max(other)), self.customers.remove(one.min(other)));
        let head = first.members().chain(last.members()).min().unwrap();
        let merged = first.merge(last, head, hour(self.now), self.facts(), &self.definitions);
        self.customers.push(merged.unwrap());
        true
    }

    /// Parts two, and gives who leaves.
    fn part(&mut self, one: Who, from: Who) -> Option<Vec<Who>> {
        let place = self.place(one);
        let leaving = self.customers[place].side_of(member(one), member(from)).ok()?;
        let merged = self.customers.remove(place);
        let clock = merged.clock();
        let settlements = merged.credit_settlements(&leaving, hour(self.now));
        let total: i128 =
            settlements.iter().map(|(_, posting)| posting.minor() + posting.held() - posting.owed()).sum();
        assert_eq!(total, 0, "settling moves nothing in or out");
        for side in merged.part(&leaving) {
            let head = side.members().min().unwrap();
            let standing = Default::default();
            let side =
                Customer::of_side(side, head, clock, Vec::new(), standing, None, self.facts(), &self.definitions);
            self.customers.push(side);
        }
        for (of, posting) in settlements {
            let place = self.place(who(of));
            self.decide(place, of, Actor::Rule, Deed::CreditPosted(posting));
        }
        Some(leaving.into_iter().map(who).collect())
    }

    fn see(&self, of: Who) -> Seen {
        let customer = self.customer(of);
        let Some(book) = customer.credit_of(member(of)).and_then(|books| books.get(Currency::EUR)) else {
            return Seen::default();
        };
        let minor = |minor: i128| i64::try_from(minor).unwrap();
        let lots = book.lots().iter().map(|lot| (lot.left, lot.terms.expires_at)).collect();
        Seen { balance: minor(book.balance()), held: minor(book.held()), owed: minor(book.owed()), lots }
    }

    /// Everything adds up, in each book and over all of them, and is the fold of what was decided.
    fn check(&self) {
        let mut all = CreditTotals::default();
        for customer in &self.customers {
            let mut sum = CreditTotals::default();
            for of in customer.members() {
                let Some(book) = customer.credit_of(of).and_then(|books| books.get(Currency::EUR)) else { continue };
                let totals = book.totals();
                assert_eq!(totals.difference(), 0);
                assert!(totals.balance >= 0 && totals.held >= 0 && totals.owed >= 0, "{totals:?}");
                assert_eq!(totals.balance, book.lots().iter().map(|lot| i128::from(lot.left)).sum::<i128>());
                assert_eq!(totals.held, book.holds().iter().map(|hold| hold.minor()).sum::<i128>());
                assert!(totals.balance == 0 || totals.owed == 0, "whoever owes has nothing to spend");
                assert!(book.lots().is_sorted_by_key(|lot| (
                    lot.terms.expires_at.is_none(),
                    lot.terms.expires_at,
                    lot.terms.issued_at
                )));
                sum += totals;
            }
            assert_eq!(customer.credit_in(Currency::EUR).map(|book| book.totals()).unwrap_or_default(), sum);
            all += sum;
            let state = customer.encode();
            let read = Customer::decode(STATE_SHAPE, &state, &customer.sets(), &self.definitions).unwrap();
            assert_eq!(read.credit(), customer.credit());
            let members: Vec<CustomerId> = customer.members().collect();
            let own = self.events.iter().filter(|(of, ..)| members.contains(of));
            let own = own.map(|(of, id, at, body)| (*of, *id, *at, body));
            let replayed = Customer::replay(customer.id(), own, hour(self.now), &self.definitions);
            assert_eq!(replayed.credit(), customer.credit());
        }
        assert_eq!((all.transferred, all.difference()), (0, 0));
        let ids: BTreeMap<EventId, usize> = self.events.iter().map(|(_, id, ..)| (*id, 1)).collect();
        assert_eq!(ids.len(), self.events.len());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    Grant(i64, Option<i64>),
    Spend(i64),
    Hold(u8, i64, i64),
    Capture(u8, Option<i64>),
    Release(u8),
    Adjust(i64),
    Reverse(usize, Option<i64>, Option<i64>),
    Merge(Who),
    Part(Who),
}

/// So many cases, or thirty times as many with `CRM_SOAK=1`.
fn cases(few: u32) -> u32 {
    if std::env::var_os("CRM_SOAK").is_some_and(|value| value == "1") { 30 * few } else { few }
}

fn step() -> impl Strategy<Value = (Who, Step)> {
    let minor = || prop_oneof![9 => 1..120_i64, 1 => -1..1_i64];
    let some = prop::option::of::<BoxedStrategy<i64>>;
    let what = prop_oneof![
        4 => (1..20_i64).prop_map(Step::Pass),
        5 => (minor(), some((0..40_i64).boxed())).prop_map(|(minor, expires)| Step::Grant(minor, expires)),
        5 => minor().prop_map(Step::Spend),
        4 => (0..4_u8, minor(), 0..30_i64).prop_map(|(name, minor, until)| Step::Hold(name, minor, until)),
        3 => (0..4_u8, some(minor().boxed())).prop_map(|(name, minor)| Step::Capture(name, minor)),
        2 => (0..4_u8).prop_map(Step::Release),
        1 => minor().prop_map(Step::Adjust),
        3 => (0..8_usize, some(minor().boxed()), some((0..20_i64).boxed()))
            .prop_map(|(spend, minor, until)| Step::Reverse(spend, minor, until)),
        3 => (0..3_usize).prop_map(Step::Merge),
        2 => (0..3_usize).prop_map(Step::Part),
    ];
    (0..3_usize, what)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(3_000)))]

    #[test]
    fn a_naive_auditor_finds_what_is_in_the_books(steps in proptest::collection::vec(step(), 1..40)) {
        let (mut world, mut auditor) = (World::new(), Auditor::default());
        let mut spends: Vec<EventId> = Vec::new();
        for (of, step) in steps {
            let at = hour(world.now);
            let later = |hours: i64| hour(world.now + hours);
            let told = match step.clone() {
                Step::Pass(hours) => {
                    world.pass(hours, |at| auditor.pass(at));
                    None
                }
                Step::Grant(minor, expires) => {
                    let expires_at = expires.map(later);
                    let real = world.command(of, GrantCredit { amount: eur(minor), reason: why(), expires_at });
                    Some((real, auditor.grant(of, minor, expires_at, at)))
                }
                Step::Spend(minor) => {
                    let real = world.command(of, SpendCredit { amount: eur(minor), order: None });
                    spends.extend(real.iter());
                    Some((real, auditor.spend(of, minor)))
                }
                Step::Hold(n, minor, until) => {
                    let until = later(until);
                    let real = world.command(of, HoldCredit { hold: name(n), amount: eur(minor), until, order: None });
                    Some((real, auditor.hold(of, n, minor, until, at)))
                }
                Step::Capture(n, minor) => {
                    let real = world.command(of, CaptureCredit { hold: name(n), amount: minor.map(eur) });
                    spends.extend(real.iter());
                    Some((real, auditor.capture(of, n, minor)))
                }
                Step::Release(n) => {
                    let real = world.command(of, ReleaseCredit { hold: name(n) });
                    Some((real, auditor.release(of, n)))
                }
                Step::Adjust(minor) => {
                    let real = world.command(of, AdjustCredit { amount: eur(minor), reason: why() });
                    Some((real, auditor.adjust(of, minor)))
                }
                Step::Reverse(n, minor, until) => {
                    let spend = spends.get(n).copied().unwrap_or(EventId::of_decision(member(2), 99));
                    let expired_until = until.map(later);
                    let command = ReverseCredit { spend, amount: minor.map(eur), reason: why(), expired_until };
                    let real = world.command(of, command);
                    let told = auditor.reverse(of, n, minor, expired_until, at);
                    // What expired by then is gone at once.
                    world.now -= 1;
                    world.pass(1, |at| auditor.pass(at));
                    Some((real, told))
                }
                Step::Merge(other) => {
                    if world.merge(of, other) {
                        auditor.merge(of, other);
                    }
                    None
                }
                Step::Part(from) => {
                    if let Some(leaving) = world.part(of, from) {
                        auditor.part(&leaving, at);
                        world.now -= 1;
                        world.pass(1, |at| auditor.pass(at));
                    }
                    None
                }
            };
            if let Some((real, told)) = told {
                let name = real.as_ref().err().map(|error| format!("{error:?}"));
                let name = name.as_ref().map(|name| name.split([' ', '{']).next().unwrap_or_default());
                prop_assert_eq!(name, told.err(), "{:?}", real);
            }
            for of in 0..3 {
                prop_assert_eq!(world.see(of), auditor.see(of), "{} after {:?}", of, step);
            }
        }
        world.check();
    }
}

fn granted(minor: i64, expires: Option<i64>) -> GrantCredit {
    GrantCredit { amount: eur(minor), reason: why(), expires_at: expires.map(hour) }
}

fn spent(minor: i64) -> SpendCredit {
    SpendCredit { amount: eur(minor), order: None }
}

fn held(n: u8, minor: i64, until: i64) -> HoldCredit {
    HoldCredit { hold: name(n), amount: eur(minor), until: hour(until), order: None }
}

fn reversed(spend: EventId, minor: Option<i64>) -> ReverseCredit {
    ReverseCredit { spend, amount: minor.map(eur), reason: why(), expired_until: None }
}

/// One customer with some credit.
fn with(minor: i64) -> World {
    let mut world = World::new();
    world.command(0, granted(minor, None)).unwrap();
    world
}

#[test]
fn what_expires_soonest_is_spent_first_then_the_oldest_and_what_never_expires_last() {
    let mut world = World::new();
    for (minor, expires) in [(10, None), (20, Some(90)), (30, Some(50)), (40, None), (50, Some(90))] {
        world.command(0, granted(minor, expires)).unwrap();
        world.now += 1;
    }
    world.command(0, spent(45)).unwrap();
    let lots = [(5, Some(hour(90))), (50, Some(hour(90))), (10, None), (40, None)];
    assert_eq!(world.see(0).lots, lots);
    world.command(0, spent(60)).unwrap();
    assert_eq!(world.see(0).lots, [(5, None), (40, None)]);
}

#[test]
fn amounts_and_instants_beyond_their_limits_are_refused_by_name() {
    let mut world = with(100);
    let amount = |minor| Err(CreditError::Amount { minor, max: CREDIT_AMOUNT_MAX });
    for bad in [0, -1, i64::MIN, CREDIT_AMOUNT_MAX + 1, i64::MAX] {
        assert_eq!(world.command(0, granted(bad, None)), amount(bad));
        assert_eq!(world.command(0, spent(bad)), amount(bad));
        assert_eq!(world.command(0, held(0, bad, 10)), amount(bad));
        assert_eq!(world.command(0, AdjustCredit { amount: eur(bad), reason: why() }), amount(bad));
    }
    let past = CreditError::ExpiryPast { at: hour(0) };
    assert_eq!(world.command(0, granted(1, Some(0))), Err(past.clone()), "at once is not in the future");
    assert_eq!(world.command(0, held(0, 1, 0)), Err(past));
    let yen = Currency::new("JPY").unwrap();
    let other = SpendCredit { amount: Money::new(1, yen), order: None };
    assert_eq!(world.command(0, other), Err(CreditError::NotEnough { currency: yen, asked: 1, available: 0 }));
    let not_enough = CreditError::NotEnough { currency: Currency::EUR, asked: 101, available: 100 };
    assert_eq!(world.command(0, spent(101)), Err(not_enough));
    assert_eq!(world.see(0).balance, 100, "nothing moved");
}

#[test]
fn nobody_has_more_than_the_most_and_sums_stay_exact() {
    let mut world = World::new();
    for _ in 0..CREDIT_BALANCE_MAX / CREDIT_AMOUNT_MAX {
        world.command(0, granted(CREDIT_AMOUNT_MAX, None)).unwrap();
    }
    let most = CreditError::TooMuch { max: CREDIT_BALANCE_MAX };
    assert_eq!(world.command(0, granted(1, None)), Err(most.clone()));
    world.command(0, held(0, CREDIT_AMOUNT_MAX, 10)).unwrap();
    assert_eq!(world.command(0, granted(1, None)), Err(most), "what is held is theirs still");
    world.command(1, granted(CREDIT_AMOUNT_MAX, None)).unwrap();
    world.merge(0, 1);
    let book = world.customer(0).credit_in(Currency::EUR).unwrap();
    assert_eq!(book.balance(), i128::from(CREDIT_BALANCE_MAX));
    assert_eq!(book.held(), i128::from(CREDIT_AMOUNT_MAX));
}

#[test]
fn a_hold_is_captured_once_and_not_for_more_than_is_held() {
    let mut world = with(100);
    world.command(0, held(1, 60, 10)).unwrap();
    assert_eq!((world.see(0).balance, world.see(0).held), (40, 60));
    let short = CreditError::HoldShort { hold: name(1), asked: 61, held: 60 };
    let capture = |n: u8, minor: Option<i64>| CaptureCredit { hold: name(n), amount: minor.map(eur) };
    assert_eq!(world.command(0, capture(1, Some(61))), Err(short));
    let yen = Currency::new("JPY").unwrap();
    let other = CaptureCredit { hold: name(1), amount: Some(Money::new(1, yen)) };
    assert_eq!(world.command(0, other), Err(CreditError::OtherCurrency { given: yen, needed: Currency::EUR }));
    world.command(0, capture(1, Some(25))).unwrap();
    assert_eq!((world.see(0).balance, world.see(0).held), (75, 0), "the rest goes back");
    let captured = Err(CreditError::HoldCaptured { hold: name(1) });
    assert_eq!(world.command(0, capture(1, None)), captured);
    assert_eq!(world.command(0, ReleaseCredit { hold: name(1) }), captured);
    world.command(0, held(2, 75, 10)).unwrap();
    world.command(0, ReleaseCredit { hold: name(2) }).unwrap();
    assert_eq!(world.command(0, capture(2, None)), Err(CreditError::HoldReleased { hold: name(2) }));
    world.command(0, held(3, 75, 10)).unwrap();
    world.pass(10, |_| {});
    assert_eq!(world.command(0, capture(3, None)), Err(CreditError::HoldLapsed { hold: name(3) }));
    assert_eq!(world.command(0, capture(4, None)), Err(CreditError::NoHold { hold: name(4) }));
    assert_eq!(world.command(0, held(3, 1, 99)), Err(CreditError::HoldExists { hold: name(3) }));
    assert_eq!((world.see(0).balance, world.see(0).held), (75, 0));
}

#[test]
fn what_is_held_does_not_expire_and_what_comes_back_too_late_is_gone() {
    let mut world = World::new();
    world.command(0, granted(100, Some(10))).unwrap();
    world.command(0, held(1, 60, 20)).unwrap();
    world.command(0, held(2, 30, 30)).unwrap();
    world.pass(10, |_| {});
    assert_eq!((world.see(0).balance, world.see(0).held), (0, 90));
    world.command(0, CaptureCredit { hold: name(2), amount: None }).unwrap();
    world.pass(10, |_| {});
    assert_eq!(world.see(0), Seen::default(), "the other one went back at its time, to a lot that was over");
    let totals = world.customer(0).credit_in(Currency::EUR).unwrap().totals();
    assert_eq!((totals.issued, totals.redeemed, totals.expired, totals.difference()), (100, 30, 70, 0));
}

#[test]
fn holds_are_no_more_than_can_be_and_their_names_are_forgotten_in_the_end() {
    let mut world = with(1_000);
    for n in 0..CREDIT_HOLDS_MAX as u8 {
        world.command(0, held(n, 1, 100)).unwrap();
    }
    let too_many = CreditError::TooManyHolds { max: CREDIT_HOLDS_MAX };
    assert_eq!(world.command(0, held(200, 1, 100)), Err(too_many));
    for n in 0..CREDIT_HOLDS_MAX as u8 {
        world.command(0, ReleaseCredit { hold: name(n) }).unwrap();
    }
    for n in 100..100 + CREDIT_HOLDS_KEPT as u8 {
        world.command(0, held(n, 1, 100)).unwrap();
        world.command(0, ReleaseCredit { hold: name(n) }).unwrap();
    }
    assert_eq!(world.command(0, ReleaseCredit { hold: name(0) }), Err(CreditError::NoHold { hold: name(0) }));
    world.command(0, held(0, 1_000, 100)).unwrap();
    world.check();
}

#[test]
fn a_spend_comes_back_once_and_for_no_more_than_it_was() {
    let mut world = World::new();
    world.command(0, granted(30, Some(10))).unwrap();
    world.command(0, granted(70, None)).unwrap();
    let spend = world.command(0, spent(50)).unwrap();
    let large = CreditError::ReversalTooLarge { spend, asked: 51, spent: 50 };
    assert_eq!(world.command(0, reversed(spend, Some(51))), Err(large));
    world.command(0, reversed(spend, Some(25))).unwrap();
    assert_eq!(world.see(0).lots, [(5, Some(hour(10))), (70, None)], "what lasts longest comes back first");
    assert_eq!(world.command(0, reversed(spend, Some(1))), Err(CreditError::AlreadyReversed { spend }));
    let grant = EventId::of_decision(member(0), 0);
    assert_eq!(world.command(0, reversed(grant, None)), Err(CreditError::NoSpend { spend: grant }));
    assert_eq!(world.command(1, reversed(spend, None)), Err(CreditError::NoSpend { spend }), "it is another's");
    world.check();
}

#[test]
fn what_expired_since_it_was_spent_comes_back_for_as_long_as_the_shop_says() {
    for (until, left) in [(None, vec![]), (Some(hour(60)), vec![(30, Some(hour(60)))])] {
        let mut world = World::new();
        world.command(0, granted(30, Some(10))).unwrap();
        let spend = world.command(0, spent(30)).unwrap();
        world.pass(20, |_| {});
        let past = ReverseCredit { expired_until: Some(hour(20)), ..reversed(spend, None) };
        assert_eq!(world.command(0, past), Err(CreditError::ExpiryPast { at: hour(20) }));
        world.command(0, ReverseCredit { expired_until: until, ..reversed(spend, None) }).unwrap();
        world.pass(1, |_| {});
        assert_eq!(world.see(0).lots, left);
        world.check();
    }
}

#[test]
fn only_the_last_spends_can_be_reversed() {
    let mut world = with(10_000);
    let spends: Vec<EventId> = (0..=CREDIT_SPENDS_KEPT).map(|_| world.command(0, spent(1)).unwrap()).collect();
    assert_eq!(world.command(0, reversed(spends[0], None)), Err(CreditError::NoSpend { spend: spends[0] }));
    world.command(0, reversed(spends[1], None)).unwrap();
}

#[test]
fn each_pays_for_what_they_spent_of_the_others_and_may_have_that_reversed_still() {
    let mut world = with(100);
    world.command(1, granted(30, None)).unwrap();
    world.merge(0, 1);
    // The older credit is Ana's, and Ben spends it.
    let spend = world.command(1, spent(90)).unwrap();
    world.part(1, 0).unwrap();
    assert_eq!((world.see(0).balance, world.see(1).balance, world.see(1).owed), (100, 0, 60));
    // What comes pays what is owed first.
    world.command(1, granted(10, None)).unwrap();
    assert_eq!((world.see(1).balance, world.see(1).owed), (0, 50));
    assert_eq!(world.command(0, reversed(spend, None)), Err(CreditError::NoSpend { spend }));
    world.command(1, reversed(spend, None)).unwrap();
    assert_eq!((world.see(0).balance, world.see(1).balance, world.see(1).owed), (100, 40, 0));
    // Merged again they have what both have.
    world.merge(0, 1);
    assert_eq!(world.customer(0).credit_in(Currency::EUR).unwrap().balance(), 140);
    world.check();
}

#[test]
fn a_hold_stays_with_whoever_placed_it_when_they_are_parted() {
    let mut world = with(100);
    world.command(1, granted(30, None)).unwrap();
    world.merge(0, 1);
    world.command(1, held(1, 90, 50)).unwrap();
    world.part(0, 1).unwrap();
    assert_eq!((world.see(0).balance, world.see(0).held), (100, 0));
    assert_eq!((world.see(1).balance, world.see(1).held, world.see(1).owed), (0, 90, 60));
    assert_eq!(world.command(0, ReleaseCredit { hold: name(1) }), Err(CreditError::NoHold { hold: name(1) }));
    world.command(1, ReleaseCredit { hold: name(1) }).unwrap();
    assert_eq!((world.see(1).balance, world.see(1).held, world.see(1).owed), (30, 0, 0));
    world.check();
}

#[test]
fn merging_and_parting_again_and_again_makes_no_money() {
    let mut world = with(100);
    for (round, there) in [100, 60, 20, 20, 20].into_iter().enumerate() {
        world.merge(0, 1);
        let available = world.customer(0).credit_in(Currency::EUR).unwrap().available();
        assert_eq!(available, there, "round {round}");
        let taken = world.command(1, spent(40));
        assert_eq!(taken.is_ok(), available >= 40, "round {round}");
        world.part(1, 0).unwrap();
        world.check();
    }
    assert_eq!((world.see(0).balance, world.see(1).owed), (100, 80));
}

#[test]
fn a_posting_says_who_spent_what_is_not_theirs() {
    let mut world = with(100);
    world.merge(0, 1);
    let spend = world.command(1, spent(40)).unwrap();
    let postings = world.events.iter().filter_map(|(of, id, _, body)| match body {
        EventBody::Decision(Decision { deed: Deed::CreditPosted(posting), .. }) => Some((*of, *id, posting)),
        EventBody::Decision(_) | EventBody::Fact(_) | EventBody::Unrecognised { .. } => None,
    });
    let postings: Vec<_> = postings.skip(1).collect();
    let cause = CreditCause::Spent { spend, order: None };
    let told: Vec<_> = postings.iter().map(|(of, _, posting)| (*of, posting.minor(), posting.spender)).collect();
    assert_eq!(told, [(member(1), 0, None), (member(0), -40, Some(member(1)))]);
    assert!(postings.iter().all(|(.., posting)| posting.cause == cause));
    assert_eq!(postings[0].1, spend, "the spender's decision is what it is reversed by");
}

#[test]
fn a_lot_says_which_grant_it_came_from_and_currencies_are_books_of_their_own() {
    let mut world = with(100);
    let yen = Currency::new("JPY").unwrap();
    let grant = GrantCredit { amount: Money::new(7, yen), reason: why(), expires_at: Some(hour(5)) };
    let event = world.command(0, grant).unwrap();
    let books = world.customer(0).credit().unwrap();
    let lot = books.get(yen).unwrap().lots()[0];
    assert_eq!((lot.left, lot.terms.origin), (7, CreditOrigin::Grant { event }));
    assert_eq!(books.iter().map(|(currency, _)| currency).collect::<Vec<_>>(), [Currency::EUR, yen]);
    // A name is of one hold, in whichever currency.
    let until = hour(50);
    world.command(0, HoldCredit { hold: name(1), amount: Money::new(7, yen), until, order: None }).unwrap();
    assert_eq!(world.command(0, held(1, 5, 50)), Err(CreditError::HoldExists { hold: name(1) }));
    world.command(0, ReleaseCredit { hold: name(1) }).unwrap();
    world.pass(5, |_| {});
    let books = world.customer(0).credit().unwrap();
    assert_eq!((books.get(yen).unwrap().balance(), books.get(Currency::EUR).unwrap().balance()), (0, 100));
}

#[test]
fn a_buyer_has_so_many_gift_cards_and_no_more() {
    let mut world = World::new();
    let card = |n: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        GiftCardId::from_bytes(id)
    };
    let book = |world: &World| world.customer(0).credit_in(Currency::EUR).cloned();
    let issue = |world: &World, n: usize| issue(book(world).as_ref(), card(n), eur(5), None, None, hour(0));
    let mut issued = 0;
    while issued < GIFT_CARDS_MAX {
        for _ in 0..GIFT_CARDS_OPEN_MAX {
            let posting = issue(&world, issued).unwrap();
            world.decide(0, member(0), Actor::Shop, Deed::GiftCardPosted(posting));
            issued += 1;
        }
        let max = if issued < GIFT_CARDS_MAX { GIFT_CARDS_OPEN_MAX } else { GIFT_CARDS_MAX };
        let open = issued < GIFT_CARDS_MAX;
        assert!(matches!(issue(&world, issued), Err(CreditError::TooManyCards { max }) if max == GIFT_CARDS_OPEN_MAX));
        for n in issued - GIFT_CARDS_OPEN_MAX..issued {
            let state = book(&world).unwrap().card(card(n)).unwrap();
            let posting = block(state, card(n), Currency::EUR, why()).unwrap().unwrap();
            world.decide(0, member(0), Actor::Shop, Deed::GiftCardPosted(posting));
        }
        let told = issue(&world, issued);
        assert_eq!(told.is_ok(), open, "{told:?}");
        assert!(open || told == Err(CreditError::TooManyCards { max }));
    }
    let totals = book(&world).unwrap().totals();
    assert_eq!((totals.issued, totals.blocked, totals.on_cards), (50_000, 50_000, 0));
}

/// Of the second of the three, who may be merged with the first, and of nobody at all.
fn odd_posting() -> impl Strategy<Value = String> {
    let odd = || prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(-1), Just(0), Just(1), Just(100), Just(-100)];
    let cause = prop_oneof![
        Just(r#"{"granted":{"reason":"x"}}"#),
        Just(r#"{"held":{"hold":"h","until":3600000}}"#),
        Just(r#"{"captured":{"hold":"h","spend":"018cc251-f400-8000-8000-000000000000"}}"#),
        Just(r#"{"released":{"hold":"h"}}"#),
        Just(r#"{"spent":{"spend":"018cc251-f400-8000-8000-000000000000"}}"#),
        Just(r#"{"reversed":{"spend":"018cc251-f400-8000-8000-000000000000","reason":"x"}}"#),
        Just(r#""expired""#),
        Just(r#"{"settled":{"with":"00000000-0000-7101-8101-010101010101","of":{"hold":"h"}}}"#),
        Just(
            r#"{"settled":{"with":"00000000-0000-7101-8101-010101010101","of":{"spend":"018cc251-f400-8000-8000-000000000000"}}}"#
        ),
    ];
    let terms = prop_oneof![
        Just(""),
        Just(r#","terms":{"origin":"advance","issued_at":0,"expires_at":3600000}"#),
        Just(r#","terms":{"origin":"advance","issued_at":0,"expires_at":null}"#),
    ];
    let lot = prop_oneof![Just(0_u32), Just(1), Just(u32::MAX)];
    let change = (lot, odd(), odd(), odd(), terms).prop_map(|(lot, minor, held, owed, terms)| {
        format!(r#"{{"lot":{lot},"minor":{minor},"held":{held},"owed":{owed}{terms}}}"#)
    });
    let spender = prop_oneof![
        Just(""),
        Just(r#","spender":"00000000-0000-7101-8101-010101010101""#),
        Just(r#","spender":"00000000-0000-7909-8909-090909090909""#),
    ];
    (cause, proptest::collection::vec(change, 0..4), spender).prop_map(|(cause, moves, spender)| {
        let moves = moves.join(",");
        format!(r#"{{"by":"shop","deed":{{"currency":"EUR","cause":{cause},"moves":[{moves}]{spender}}}}}"#)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1_000)))]

    /// Stored events may be damaged, or be of somebody who wrote an export by hand.
    #[test]
    fn postings_that_nobody_would_write_break_nothing_and_still_sum_to_zero(
        bodies in proptest::collection::vec(odd_posting(), 1..12),
        merged in any::<bool>(),
    ) {
        let mut world = World::new();
        prop_assert_eq!(member(1).to_string(), "00000000-0000-7101-8101-010101010101");
        if merged {
            world.merge(0, 1);
        }
        for body in bodies {
            let body = EventBody::decode("credit_posted", 1, body.as_bytes()).unwrap();
            let EventBody::Decision(decision) = body else { panic!("a decision") };
            let place = world.place(0);
            world.decide(place, member(0), decision.by, decision.deed);
            for command in [
                SpendCredit { amount: eur(5), order: None }.into(),
                crm_core::customer::Command::from(granted(5, None)),
                held(2, 3, 40).into(),
                CaptureCredit { hold: "h".parse().unwrap(), amount: None }.into(),
                reversed("018cc251-f400-8000-8000-000000000000".parse().unwrap(), None).into(),
            ] {
                drop(world.command(0, command));
            }
            let totals = world.customer(0).credit_in(Currency::EUR).unwrap().totals();
            prop_assert_eq!(totals.difference(), 0);
        }
        if merged {
            world.part(0, 1).unwrap();
        }
        world.pass(3, |_| {});
    }
}
