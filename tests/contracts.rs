//! Contracts that run for a term: what they mean for the stage, and how many are renewed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Arc;

use crm::blocking::Crm;
use crm::lifecycle::Period;
use crm::{
    ContractEnded, ContractError, ContractRef, ContractRenewed, ContractSigned, Currency, CustomerId, Definition,
    DerivedIds, Error, Fact, FactKey, FactRefusal, Identifier, Incoming, LifecyclePolicy, ManualClock, MemoryStore,
    Money, OrderPlaced, Past, Refunded, Remark, Source, Span, Stage, StageCause, Store, Timestamp, Voided,
};
use proptest::prelude::*;

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn eur(minor: i64) -> Option<Money> {
    Some(Money::new(minor, Currency::EUR))
}

fn number(number: &str) -> ContractRef {
    ContractRef::new(number).unwrap()
}

fn signed(contract: &str, ends: Option<u32>) -> ContractSigned {
    ContractSigned { contract: number(contract), starts: None, ends: ends.map(day), value: eur(1_000) }
}

fn renewed(contract: &str, ends: u32, minor: i64) -> ContractRenewed {
    ContractRenewed { contract: number(contract), ends: Some(day(ends)), value: eur(minor) }
}

fn ended(contract: &str, from: Option<u32>) -> ContractEnded {
    ContractEnded { contract: number(contract), from: from.map(day), reason: None }
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    told: std::cell::Cell<u32>,
}

impl Shop {
    fn over(store: Arc<dyn Store>) -> Shop {
        let clock = Arc::new(ManualClock::at(day(0)));
        let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).shared_store(store).build();
        let policy = LifecyclePolicy {
            quiet_after: Span::days(60),
            contract_grace: Span::days(10),
            ..LifecyclePolicy::default()
        };
        let crm = Crm::from(crm);
        crm.define(Timestamp::MIN, Definition::Lifecycle(policy)).unwrap();
        Shop { crm, clock, told: std::cell::Cell::default() }
    }

    fn new() -> Shop {
        Shop::over(Arc::new(MemoryStore::new()))
    }

    fn try_tell(&self, name: &str, at: u32, fact: impl Into<Fact>) -> Result<crm::Recorded, Error> {
        self.told.set(self.told.get() + 1);
        let who = Identifier::email(&format!("{name}@example.com")).unwrap();
        let key = FactKey::new(self.told.get().to_string()).unwrap();
        self.crm.record(Incoming::new(who, day(at), Source::new("shop").unwrap(), fact).with_key(key))
    }

    fn tell(&self, name: &str, at: u32, fact: impl Into<Fact>) -> CustomerId {
        self.until(at);
        self.try_tell(name, at, fact).unwrap().customer
    }

    fn until(&self, at: u32) {
        if self.crm.now() < day(at) {
            self.clock.set(day(at));
            self.crm.advance(day(at)).unwrap();
        }
    }

    fn stage(&self, customer: CustomerId) -> Stage {
        self.crm.customer(customer).unwrap().unwrap().stage().unwrap()
    }

    fn deadline(&self, customer: CustomerId) -> Option<Timestamp> {
        self.crm.customer(customer).unwrap().unwrap().facts().lifecycle().deadline()
    }
}

#[test]
fn a_contract_keeps_its_customer_in_purchase_until_its_term_and_the_grace_are_over() {
    let shop = Shop::new();
    let acme = shop.tell("acme", 0, signed("c1", Some(365)));
    assert_eq!((shop.stage(acme), shop.deadline(acme)), (Stage::Purchase, Some(day(375))));
    shop.until(374);
    assert_eq!(shop.stage(acme), Stage::Purchase, "an order alone would have been too long ago");
    shop.until(375);
    assert_eq!(shop.stage(acme), Stage::Historical);
    // Too late to be a renewal without a gap, but a win-back.
    shop.tell("acme", 400, renewed("c1", 800, 900));
    assert_eq!((shop.stage(acme), shop.deadline(acme)), (Stage::Purchase, Some(day(810))));
    let story = shop.crm.stage_story(acme, Past::AsKnownNow).unwrap().unwrap();
    assert_eq!(story.history.won_back, 1);
    assert!(matches!(story.moves[0].cause, StageCause::Contracted(_)));
}

#[test]
fn the_later_of_an_order_and_a_contract_counts() {
    let shop = Shop::new();
    let acme = shop.tell("acme", 0, signed("c1", Some(30)));
    shop.tell("acme", 5, OrderPlaced::new(eur(100).unwrap()));
    assert_eq!(shop.deadline(acme), Some(day(65)));
    // All that was ordered came back, and the contract runs.
    shop.tell("acme", 6, Refunded { order: None, amount: eur(100).unwrap() });
    assert_eq!((shop.stage(acme), shop.deadline(acme)), (Stage::Purchase, Some(day(40))));
    let open = shop.tell("open", 6, signed("c2", None));
    assert_eq!((shop.stage(open), shop.deadline(open)), (Stage::Purchase, None));
}

#[test]
fn ending_the_last_contract_ends_the_relation_unless_something_else_holds_it() {
    let shop = Shop::new();
    let one = shop.tell("one", 0, signed("c1", Some(365)));
    let two = shop.tell("two", 0, signed("c2", Some(365)));
    shop.tell("two", 0, signed("c3", Some(100)));
    let buys = shop.tell("buys", 0, signed("c4", None));
    shop.tell("buys", 50, OrderPlaced::new(eur(100).unwrap()));
    let later = shop.tell("later", 50, signed("c5", None));
    for (name, contract, from) in
        [("one", "c1", None), ("two", "c2", None), ("buys", "c4", None), ("later", "c5", Some(90))]
    {
        shop.tell(name, 70, ended(contract, from));
    }
    assert_eq!(shop.stage(one), Stage::Historical);
    let story = shop.crm.stage_story(one, Past::AsKnownNow).unwrap().unwrap();
    assert!(matches!(story.moves.last().unwrap().cause, StageCause::Ended(_)));
    let of = |id| (shop.stage(id), shop.deadline(id));
    assert_eq!(of(two), (Stage::Purchase, Some(day(110))), "another contract runs");
    assert_eq!(of(buys), (Stage::Purchase, Some(day(110))), "an order is not long ago");
    assert_eq!(of(later), (Stage::Purchase, Some(day(90))), "it runs until then, and nobody waits for a renewal");
    shop.until(90);
    assert_eq!(shop.stage(later), Stage::Historical);
    shop.tell("one", 95, signed("c6", Some(465)));
    let story = shop.crm.stage_story(one, Past::AsKnownNow).unwrap().unwrap();
    assert_eq!((story.history.stage, story.history.won_back), (Some(Stage::Purchase), 1));
}

#[test]
fn ending_a_renewed_contract_leaves_no_grace_of_the_term_before() {
    let shop = Shop::new();
    let acme = shop.tell("acme", 0, signed("c1", Some(100)));
    shop.tell("acme", 90, renewed("c1", 200, 900));
    shop.tell("acme", 105, ended("c1", None));
    assert_eq!((shop.stage(acme), shop.deadline(acme)), (Stage::Historical, None));
}

#[test]
fn renewals_sign_ups_and_churn_have_rates_of_their_own() {
    let shop = Shop::new();
    for (n, ends) in [(1, 100), (2, 100), (3, 100), (4, 100), (5, 115), (6, 300)] {
        shop.tell(&format!("c{n}"), 0, signed(&format!("c{n}"), Some(ends)));
    }
    shop.tell("c1", 90, renewed("c1", 200, 1_500));
    shop.tell("c2", 105, renewed("c2", 200, 800));
    shop.tell("c3", 60, ended("c3", None));
    shop.tell("new", 118, signed("c7", None));
    shop.until(120);
    let period = Period { from: day(50), until: day(120) };
    let counted = shop.crm.renewals(period).unwrap();
    assert_eq!((counted.running_at_start, counted.running_at_end, counted.signed), (6, 4, 1));
    // Two in time or within the grace, one ended, one where nobody said anything, and one may still be.
    assert_eq!((counted.due, counted.renewed, counted.ended, counted.lapsed, counted.open), (5, 2, 1, 1, 1));
    assert_eq!(
        (counted.renewal_rate_ppm(), counted.churned, counted.churn_rate_ppm()),
        (Some(500_000), 2, Some(333_333))
    );
    assert_eq!(counted.growth_ppm(), Some(166_666));
    let money = counted.money[&Currency::EUR];
    assert_eq!((money.due, money.renewed, money.renewed_for, money.signed), (4_000, 2_000, 2_300, 1_000));
    assert_eq!(money.renewal_rate_ppm(), Some(500_000));
    // That one was renewed in time after all is told late.
    shop.tell("c4", 99, renewed("c4", 200, 1_000));
    let corrected = shop.crm.renewals(period).unwrap();
    assert_eq!((corrected.renewed, corrected.lapsed, corrected.churned), (3, 0, 1));
}

#[test]
fn a_number_of_a_contract_is_taken_once_and_free_again_when_that_was_wrong() {
    let shop = Shop::new();
    let first = shop.try_tell("acme", 0, signed("c1", Some(365))).unwrap();
    let again = shop.try_tell("zeta", 0, signed("c1", Some(365))).unwrap_err();
    assert!(matches!(again, Error::Fact(FactRefusal::ContractTaken { event, .. }) if event == first.event));
    assert!(shop.try_tell("acme", 0, signed("c1", Some(99))).is_err());
    shop.tell("acme", 0, Voided { event: first.event, reason: None });
    shop.tell("acme", 0, signed("c1", Some(99)));
    assert_eq!(shop.deadline(first.customer), Some(day(109)));
    let wrong = shop.try_tell("acme", 5, signed("c9", Some(5))).unwrap_err();
    assert!(matches!(wrong, Error::Fact(FactRefusal::Contract(ContractError::Term { .. }))));
    let wrong = ContractSigned { value: eur(-1), ..signed("c9", None) };
    assert!(matches!(
        shop.try_tell("acme", 5, wrong),
        Err(Error::Fact(FactRefusal::Contract(ContractError::Value(_))))
    ));
}

#[test]
fn contracts_of_merged_customers_are_of_one() {
    let shop = Shop::new();
    let (acme, zeta) = (shop.tell("acme", 0, signed("c1", Some(50))), shop.tell("zeta", 0, signed("c2", Some(90))));
    shop.crm.merge(acme, zeta, Remark::new("one company").unwrap()).unwrap();
    assert_eq!(shop.deadline(acme), Some(day(100)));
    // It came through the other one.
    shop.tell("acme", 10, renewed("c2", 200, 1));
    assert_eq!(shop.deadline(zeta), Some(day(210)));
    shop.crm.part(acme, zeta, Remark::new("two after all").unwrap()).unwrap();
    let one = shop.crm.customer(acme).unwrap().unwrap();
    assert_eq!(one.facts().contracts().get(&number("c1")).unwrap().terms.len(), 1);
}

#[test]
fn whoever_signed_a_contract_is_found_by_its_number() {
    let shop = Shop::new();
    let acme = shop.tell("acme", 0, signed("c1", Some(100)));
    shop.until(90);
    let by = |contract: &str| {
        Incoming::new(number(contract), day(90), Source::new("shop").unwrap(), renewed(contract, 200, 1))
    };
    assert_eq!(shop.crm.record(by("c1")).unwrap().customer, acme);
    assert_eq!(shop.deadline(acme), Some(day(210)));
    assert!(matches!(shop.crm.record(by("c2")), Err(Error::Fact(FactRefusal::NoContract { .. }))));
    // One of the same batch leads to whoever signed it there.
    let who = Identifier::email("zeta@example.com").unwrap();
    let first = Incoming::new(who, day(80), Source::new("shop").unwrap(), signed("c2", Some(100)));
    let report = shop.crm.ingest([first, by("c2"), by("c3")], crm::Ingestion::live()).unwrap();
    assert_eq!((report.recorded, report.refused.get("no_contract").copied()), (2, Some(1)));
    let zeta = shop.crm.customer(number("c2")).unwrap().unwrap();
    assert_eq!(zeta.facts().contracts().get(&number("c2")).unwrap().terms.len(), 2);
}

#[test]
fn contracts_and_policies_go_from_one_store_to_another() {
    let (shop, again) = (Shop::new(), Shop::over(Arc::new(MemoryStore::new())));
    let acme = shop.tell("acme", 0, signed("c1", Some(100)));
    let rule = shop.crm.rule("orders >= 1").unwrap();
    let name = crm::SegmentName::new("buyers").unwrap();
    shop.crm.define(Timestamp::MIN, Definition::Segment(name.clone(), Some(rule))).unwrap();
    let own = crm::SegmentPolicy { segment: name, policy: LifecyclePolicy::default() };
    shop.crm.define(day(1), Definition::LifecycleSegments(vec![own])).unwrap();
    shop.crm.define(day(1), Definition::Value(Box::default())).unwrap();
    let again_crm = &again.crm;
    again_crm.import_definitions(&shop.crm.export_definitions().unwrap()).unwrap();
    assert_eq!(again_crm.definitions().unwrap().lifecycle_segments(day(1)).len(), 1);
    again_crm.import(&shop.crm.export(acme).unwrap().unwrap()).unwrap();
    assert_eq!(again.deadline(acme), Some(day(110)));
    let taken = again.try_tell("zeta", 0, signed("c1", None)).unwrap_err();
    assert!(matches!(taken, Error::Fact(FactRefusal::ContractTaken { customer, .. }) if customer == acme));
}

/// What may happen to two contracts, at day `at`.
fn fact(kind: u8, at: u32, length: u32) -> Fact {
    match kind {
        0 => signed("c1", Some(at + length + 1)).into(),
        1 => renewed("c1", at + length, 5).into(),
        2 => ended("c1", None).into(),
        3 => ended("c1", Some(at + length)).into(),
        4 => signed("c2", None).into(),
        5 => renewed("c2", at + length, 5).into(),
        6 => OrderPlaced::new(eur(100).unwrap()).into(),
        _ => Refunded { order: None, amount: eur(100).unwrap() }.into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However facts about contracts come: the stage, its deadline and the terms are the same, and the way ends where
    /// the customer is.
    #[test]
    fn contracts_do_not_depend_on_the_order_in_which_facts_came(
        told in proptest::collection::vec((0..150_u32, 0..8_u8, 0..90_u32), 1..10), turn in 0..10_usize,
    ) {
        let mut seen = Vec::new();
        let mut told: Vec<(usize, (u32, u8, u32))> = told.into_iter().enumerate().collect();
        // A number is taken once.
        told.retain(|(_, (_, kind, _))| !matches!(kind, 0 | 4) || { let new = !seen.contains(kind); seen.push(*kind); new });
        prop_assume!(!told.is_empty());
        let play = |told: &[(usize, (u32, u8, u32))], late: bool| {
            let shop = Shop::new();
            if late {
                shop.until(151);
            }
            let mut customer = None;
            for (n, (at, kind, length)) in told {
                shop.until(*at);
                let who = Identifier::email("acme@example.com").unwrap();
                let fact = Incoming::new(who, day(*at), Source::new("shop").unwrap(), fact(*kind, *at, *length));
                let recorded = shop.crm.record(fact.with_key(FactKey::new(n.to_string()).unwrap())).unwrap();
                customer = Some(recorded.customer);
            }
            shop.until(160);
            let customer = shop.crm.customer(customer.unwrap()).unwrap().unwrap();
            let story = shop.crm.stage_story(customer.id(), Past::AsKnownNow).unwrap().unwrap();
            assert_eq!(story.history.stage, customer.stage());
            assert_eq!(customer.facts().contracts().list().iter().map(|own| own.terms.len()).min().unwrap_or(1).min(1), 1);
            let counted = shop.crm.renewals(Period { from: day(20), until: day(140) }).unwrap();
            assert_eq!(counted.due, counted.renewed + counted.open + counted.ended + counted.lapsed);
            assert!(counted.churned <= counted.running_at_start && counted.signed <= 2);
            (customer.facts().contracts().clone(), customer.facts().lifecycle().clone(), story.moves)
        };
        told.sort_by_key(|(_, (at, _, _))| *at);
        let in_order = play(&told, false);
        let places = told.len();
        told.rotate_left(turn % places);
        prop_assert_eq!(in_order, play(&told, true));
    }
}
