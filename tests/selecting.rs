//! Choosing customers in the store means the same as asking each of them.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Attribute, Channel, Comparison, Currency, CustomerId, Definition, DerivedIds, Error, ExternalSystem, Identifier,
    Incoming, LimitError, ManualClock, Money, OrderPlaced, Predicate, Source, Span, Stage, Subject, Tag, Tagged,
    Timestamp, Visited,
};
use proptest::prelude::*;

fn day(day: i64) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(u32::try_from(day).unwrap()))
}

fn who(number: u32) -> Identifier {
    Identifier::external(&ExternalSystem::new("shop").unwrap(), &number.to_string()).unwrap()
}

/// What one customer did: on which days, and what it cost; none is a visit.
type Life = Vec<(i64, Option<i64>)>;

fn comparison() -> impl Strategy<Value = Comparison> {
    prop::sample::select(vec![
        Comparison::Eq,
        Comparison::Ne,
        Comparison::Lt,
        Comparison::Le,
        Comparison::Gt,
        Comparison::Ge,
    ])
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -2..60_i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 2 => 0..5_000_i64]
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let attribute = prop::sample::select(Attribute::ALL.to_vec());
    let stages = prop::collection::btree_set(prop::sample::select(Stage::ALL.to_vec()), 0..3);
    let leaf = prop_oneof![
        6 => (attribute.clone(), comparison(), number()).prop_map(|(a, is, n)| Predicate::compare(a, is, n)),
        1 => attribute.prop_map(Predicate::missing),
        2 => stages.prop_map(Predicate::StageIn),
        1 => Just(Predicate::tag(&Tag::new("vip").unwrap())),
        3 => (0..40_u32, comparison(), 0..3_i64)
            .prop_map(|(days, is, count)| Predicate::orders_in_last(days, is, count)),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::Any),
            inner.prop_map(|part| Predicate::Not(Box::new(part))),
        ]
    })
}

fn shop(lives: &[Life], store: Option<crm::SqliteStore>) -> Crm {
    let clock = Arc::new(ManualClock::at(day(50)));
    let builder = crm::Crm::builder().clock(clock).ids(DerivedIds);
    let builder = match store {
        Some(store) => builder.store(store),
        None => builder,
    };
    let crm = Crm::from(builder.build());
    let source = Source::new("shop").unwrap();
    for (number, life) in (0..).zip(lives) {
        for (at, cents) in life {
            let at = day(*at);
            let fact = match cents {
                Some(cents) => {
                    Incoming::new(who(number), at, source.clone(), OrderPlaced::new(Money::new(*cents, Currency::EUR)))
                }
                None => Incoming::new(who(number), at, source.clone(), Visited { channel: Channel::Web, place: None }),
            };
            crm.record(fact).unwrap();
            if at == day(7) {
                let tagged = Tagged { tag: Tag::new("vip").unwrap() };
                crm.record(Incoming::new(who(number), at, source.clone(), tagged)).unwrap();
            }
        }
    }
    crm.advance(day(50)).unwrap();
    crm
}

/// Everybody for whom it holds, by asking each.
fn asked(crm: &Crm, predicate: &Predicate) -> Vec<CustomerId> {
    let mut held = BTreeSet::new();
    let definitions = crm.definitions().unwrap();
    crm.for_each_customer(|customer| {
        if predicate.holds(&Subject::new(customer, day(50), &definitions)) {
            held.insert(customer.id());
        }
    })
    .unwrap();
    held.into_iter().collect()
}

/// Everybody for whom it holds, page by page from the store.
fn selected(crm: &Crm, predicate: &Predicate, page: usize) -> Vec<CustomerId> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let selected = crm.select(predicate, after, page).unwrap();
        all.extend(selected.customers);
        after = selected.next;
        if after.is_none() {
            return all;
        }
    }
}

#[test]
fn the_store_chooses_by_the_currency_that_was_defined_last() {
    let crm = Crm::in_memory();
    let order = OrderPlaced::new(Money::new(5_000, Currency::USD));
    let ana = crm.record(Incoming::new(who(0), day(0), Source::new("shop").unwrap(), order)).unwrap().customer;
    crm.define(Timestamp::MIN, Definition::Currency(Currency::USD)).unwrap();
    crm.refresh().unwrap();
    let customer = crm.customer(ana).unwrap().unwrap();
    let spend = Predicate::compare(Attribute::Spend, Comparison::Gt, 0);
    let average = Predicate::compare(Attribute::AverageOrder, Comparison::Gt, 0);
    for predicate in [spend.clone(), Predicate::All(vec![spend.clone(), average.clone()]), average] {
        assert!(predicate.holds(&Subject::new(&customer, crm.now(), &crm.definitions().unwrap())), "{predicate:?}");
        assert_eq!(selected(&crm, &predicate, 3), [ana], "{predicate:?}");
        assert_eq!(crm.count(&predicate).unwrap(), 1, "{predicate:?}");
    }
}

#[test]
fn the_largest_predicates_are_answered_and_larger_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let any = |clauses: usize, clause: &Predicate| Predicate::Any(vec![clause.clone(); clauses - 1]);
    let deep =
        |depth: usize, clause: &Predicate| (1..depth).fold(clause.clone(), |inner, _| Predicate::Not(Box::new(inner)));
    let clauses = [
        Predicate::compare(Attribute::RecencyDays, Comparison::Eq, 5),
        Predicate::compare(Attribute::AverageOrder, Comparison::Gt, 1),
        Predicate::StageIn(Stage::ALL.into_iter().collect()),
        Predicate::orders_in_last(30, Comparison::Eq, 1),
    ];
    for store in [None, Some(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap())] {
        let crm = shop(&[vec![(45, Some(2_000))]], store);
        for clause in &clauses {
            for legal in [any(Predicate::CLAUSES_MAX, clause), deep(Predicate::DEPTH_MAX, clause)] {
                let asked = asked(&crm, &legal);
                assert_eq!(selected(&crm, &legal, 3), asked, "{clause:?}");
                assert_eq!(crm.count(&legal).unwrap(), asked.len() as u64, "{clause:?}");
            }
            let large = any(Predicate::CLAUSES_MAX + 1, clause);
            assert!(matches!(crm.count(&large), Err(Error::Predicate(LimitError::TooLarge { .. }))));
            assert!(matches!(crm.select(&large, None, 9), Err(Error::Predicate(LimitError::TooLarge { .. }))));
            let deep = deep(Predicate::DEPTH_MAX + 1, clause);
            assert!(matches!(crm.count(&deep), Err(Error::Predicate(LimitError::TooDeep { .. }))));
            assert!(matches!(crm.select(&deep, None, 9), Err(Error::Predicate(LimitError::TooDeep { .. }))));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_store_chooses_whom_the_predicate_means(
        lives in prop::collection::vec(prop::collection::vec((0..50_i64, prop::option::of(0..3_000_i64)), 1..5), 1..12),
        predicates in prop::collection::vec(predicate(), 1..6),
        on_sqlite in prop::bool::weighted(0.1),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let crm = shop(&lives, on_sqlite.then(|| crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
        for predicate in predicates {
            let asked = asked(&crm, &predicate);
            prop_assert_eq!(&selected(&crm, &predicate, 3), &asked, "{:?}", predicate);
            prop_assert_eq!(crm.count(&predicate).unwrap(), asked.len() as u64, "{:?}", predicate);
        }
    }
}
