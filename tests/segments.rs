//! Who is in a segment, asked in four ways that agree: as noted after every event, as timers flip it, as the store
//! chooses, and worked out anew from the events. Over each store.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a panic is how a test fails")]

mod by_function;
#[cfg(feature = "postgres")]
#[path = "../crm-storage/tests/postgres_server/mod.rs"]
mod postgres_server;
#[path = "../crm-core/tests/rules/mod.rs"]
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use by_function::ByFunction;
use crm::blocking::Crm;
use crm::{
    CustomerId, Definition, Definitions, DerivedIds, Identifier, Incoming, ManualClock, MemoryStore, Millionths,
    Predicate, Score, SegmentName, Source, Store, Subject, Tag, Tagged, TenantId, Timestamp,
};
use crm_core::change::ChangeBody;
use crm_core::customer::Customer;
use proptest::prelude::*;
use rules::{CaseStep, Step, fact_of, hour, rule, steps};

fn segment(name: &str) -> SegmentName {
    SegmentName::new(name).unwrap()
}

/// Whose score, which, and how much.
type Scored = (usize, usize, f64);

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    /// Where its file is, if it has one.
    _folder: Option<tempfile::TempDir>,
}

/// A shop on each kind of store, with these segments beside those that rules ask about.
fn shops(segments: &[(&str, &Predicate)]) -> Vec<Shop> {
    let mut stores: Vec<(Arc<dyn Store>, TenantId, _)> =
        vec![(Arc::new(MemoryStore::new()), TenantId::default(), None)];
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        let store = crm::SqliteStore::open(folder.path().join("crm.db")).unwrap();
        stores.push((Arc::new(store), TenantId::default(), Some(folder)));
    }
    #[cfg(feature = "postgres")]
    stores.extend(postgres().map(|(store, tenant)| (store, tenant, None)));
    let shops = stores.into_iter().map(|(store, tenant, _folder)| {
        let clock = Arc::new(ManualClock::at(hour(0)));
        let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).shared_store(store).build();
        let crm = Crm::from(crm.tenant(tenant));
        for definition in rules::defined() {
            crm.define(Timestamp::MIN, definition).unwrap();
        }
        for (name, rule) in segments {
            crm.define(Timestamp::MIN, Definition::Segment(segment(name), Some((*rule).clone()))).unwrap();
        }
        Shop { crm, clock, _folder }
    });
    shops.collect()
}

/// A tenant of its own in PostgreSQL: for every tenth who asks, unless told to soak.
#[cfg(feature = "postgres")]
fn postgres() -> Option<(Arc<dyn Store>, TenantId)> {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static STORE: OnceLock<Option<Arc<dyn Store>>> = OnceLock::new();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if !number.is_multiple_of(10) && std::env::var_os("CRM_SOAK").is_none() {
        return None;
    }
    let store = STORE.get_or_init(|| {
        let server = postgres_server::server()?;
        let url = server.url(&server.database());
        let options = crm::PostgresOptions::default().lanes(16);
        let store = crm::blocking::wait(crm::PostgresStore::connect(&url, &options)).unwrap();
        Some(Arc::new(store) as Arc<dyn Store>)
    });
    store.as_ref().map(|store| (Arc::clone(store), TenantId::new(format!("shop-{number}")).unwrap()))
}

fn who(n: usize) -> Identifier {
    Identifier::email(&format!("c{n}@example.com")).unwrap()
}

impl Shop {
    fn record(&self, n: usize, at: i64, key: usize, step: &Step) {
        let fact = Incoming::new(who(n), hour(at), Source::new("shop").unwrap(), fact_of(n, step));
        match self.crm.record(fact.with_key(format!("{n}-{key}").parse().unwrap())) {
            Ok(_) => {}
            // No number is given twice.
            Err(crm::Error::Fact(crm::FactRefusal::CaseTaken { .. }))
                if matches!(step, Step::Case(_, CaseStep::Open(_))) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn advance(&self, at: i64) {
        self.clock.set(hour(at));
        self.crm.advance(hour(at)).unwrap();
    }

    fn score(&self, at: i64, scores: &[Scored]) {
        let mut values: BTreeMap<CustomerId, [Option<f64>; 2]> = BTreeMap::new();
        for (n, which, value) in scores {
            if let Some(customer) = self.crm.customer(who(*n)).unwrap() {
                values.entry(customer.id()).or_default()[*which] = Some(*value);
            }
        }
        let name = rules::score(0).plugin;
        let mut told = ByFunction::new(name.as_str(), &[], &rules::SCORES, move |id, _| {
            values.get(&id).copied().unwrap_or_default().to_vec()
        });
        assert!(self.crm.score(&mut told, hour(at)).unwrap().faults.is_empty());
    }

    fn customers(&self) -> Vec<Customer> {
        let mut all = Vec::new();
        self.crm.for_each_customer(|customer| all.push(customer.clone())).unwrap();
        all
    }

    fn selected(&self, rule: &Predicate) -> BTreeSet<CustomerId> {
        let mut all = BTreeSet::new();
        let mut after = None;
        loop {
            let page = self.crm.select(rule, after, 2).unwrap();
            all.extend(page.customers);
            after = page.next;
            if after.is_none() {
                assert_eq!(self.crm.count(rule).unwrap(), all.len() as u64);
                return all;
            }
        }
    }

    /// Worked out anew from the events and the scores, as of an instant.
    fn anew(&self, id: CustomerId, at: Timestamp, definitions: &Definitions) -> Customer {
        let story = self.crm.story(id).unwrap().unwrap();
        let events = story.events.iter().filter(|event| event.at <= at);
        let events: Vec<_> = events.map(|event| (event.customer, event.id, event.at, &event.body)).collect();
        let customer = Customer::replay(id, events.iter().copied(), at, definitions);
        let scores = story.scores.iter().map(|row| {
            let which = rules::SCORES.iter().position(|output| *output == row.output).unwrap();
            (
                rules::score(which),
                Score { at: row.at, value: Millionths::of_score(row.value).unwrap(), purposes: BTreeSet::new() },
            )
        });
        customer.with_scores(scores, definitions)
    }
}

/// Everybody is in a segment by all ways or by none.
fn check(shop: &Shop, now: i64, segments: &[(&str, &Predicate)]) -> Result<(), TestCaseError> {
    let definitions = shop.crm.definitions().unwrap();
    let customers = shop.customers();
    for (name, rule) in segments {
        let name = segment(name);
        let noted: BTreeSet<_> = customers.iter().filter(|one| one.standing().is_in(&name)).map(Customer::id).collect();
        let asked = |one: &&Customer| rule.holds(&Subject::new(one, hour(now), &definitions));
        let asked: BTreeSet<_> = customers.iter().filter(asked).map(Customer::id).collect();
        prop_assert_eq!(&noted, &asked, "noted and asked, {} at {}: {}", name, now, rule);
        let anew = |one: &&Customer| shop.anew(one.id(), hour(now), &definitions).standing().is_in(&name);
        let anew: BTreeSet<_> = customers.iter().filter(anew).map(Customer::id).collect();
        prop_assert_eq!(&noted, &anew, "noted and worked out anew, {} at {}: {}", name, now, rule);
        prop_assert_eq!(&noted, &shop.selected(rule), "noted and selected, {} at {}: {}", name, now, rule);
        let members = Predicate::InSegment(name.clone());
        prop_assert_eq!(&noted, &shop.selected(&members), "noted and selected by name, {}", name);
    }
    Ok(())
}

fn ask_about_others(rules: &[Predicate]) -> Predicate {
    let first = Predicate::InSegment(segment("first"));
    Predicate::Any(vec![
        Predicate::All(vec![first.clone(), rules[1].clone()]),
        Predicate::All(vec![Predicate::Not(Box::new(first)), rules[2].clone()]),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("CRM_SOAK").is_some() { 2_000 } else { 24 }, ..ProptestConfig::default() })]

    /// At every instant, whatever came in which order, and however time went on.
    #[test]
    fn four_ways_to_ask_who_is_in_a_segment_agree(
        rules in prop::collection::vec(rule(), 3),
        lives in prop::collection::vec(steps(), 1..4),
        late in prop::collection::vec((0..3_usize, 0..350_i64), 0..4),
        stops in prop::collection::vec(350..900_i64, 1..4),
        tagged in prop::collection::vec((0..3_usize, 0..400_i64), 0..3),
        scored in prop::collection::vec((-20..20_i64, prop::collection::vec((0..3_usize, 0..2_usize, rules::score_value()), 0..4)), 3),
    ) {
        let second = ask_about_others(&rules);
        let segments: [(&str, &Predicate); 3] = [("first", &rules[0]), ("second", &second), ("third", &rules[2])];
        for shop in shops(&segments) {
            let mut all: Vec<(i64, usize, usize, &Step)> = Vec::new();
            for (n, life) in lives.iter().enumerate() {
                all.extend(life.iter().enumerate().map(|(key, (at, step))| (*at, n, key, step)));
            }
            // As they happen, but for some that come after all others.
            all.sort_by_key(|(at, n, key, _)| (*at, *n, *key));
            let is_late = |(at, n, ..): &(i64, usize, usize, &Step)| late.contains(&(*n, *at));
            let (after, before): (Vec<_>, Vec<_>) = all.into_iter().partition(is_late);
            for (at, n, key, step) in before {
                shop.clock.set(hour(at));
                shop.record(n, at, key, step);
            }
            shop.advance(350);
            check(&shop, 350, &segments)?;
            let (of, scores) = &scored[0];
            shop.score(350 + of, scores);
            check(&shop, 350, &segments)?;
            for (at, n, key, step) in after {
                shop.record(n, at, key, step);
            }
            for (key, (n, at)) in tagged.iter().enumerate() {
                let tag = Tagged { tag: Tag::new("mug").unwrap() };
                let fact = Incoming::new(who(*n), hour(*at), Source::new("shop").unwrap(), tag);
                shop.crm.record(fact.with_key(format!("tag-{key}").parse().unwrap())).unwrap();
            }
            let mut stops = stops.clone();
            stops.sort_unstable();
            for now in stops {
                shop.advance(now.max(400));
                check(&shop, now.max(400), &segments)?;
                // Perhaps as of an instant before those that are there.
                for (of, scores) in &scored[1..] {
                    shop.score(now.max(400) + of, scores);
                }
                check(&shop, now.max(400), &segments)?;
            }
        }
    }

    /// Changed segments are filled page by page, each page perhaps by somebody else, while facts come in and time goes
    /// on: by all ways they answer by their older rules until they answer by their newer ones. Each move is told once.
    #[test]
    fn changed_segments_answer_by_one_rule_at_a_time(
        before in prop::collection::vec(rule(), 3),
        after in prop::collection::vec(rule(), 3),
        lives in prop::collection::vec(steps(), 1..5),
        between in prop::collection::vec((0..4_usize, 0..60_i64, prop::option::of((0..4_usize, 0..14_usize))), 1..10),
    ) {
        let seconds = [ask_about_others(&before), ask_about_others(&after)];
        let old: [(&str, &Predicate); 3] = [("first", &before[0]), ("second", &seconds[0]), ("third", &before[2])];
        let new = [("first", &after[0]), ("second", &seconds[1]), ("third", &after[2]), ("fourth", &after[1])];
        for shop in shops(&old) {
            let mut all: Vec<(i64, usize, usize, &Step)> = Vec::new();
            for (n, life) in lives.iter().enumerate() {
                all.extend(life.iter().enumerate().map(|(key, (at, step))| (*at, n, key, step)));
            }
            all.sort_by_key(|(at, n, key, _)| (*at, *n, *key));
            for (at, n, key, step) in all {
                shop.clock.set(hour(at));
                shop.record(n, at, key, step);
            }
            shop.advance(350);
            let mut now = 350;
            for (name, rule) in &new {
                shop.crm.define(hour(now), Definition::Segment(segment(name), Some((*rule).clone()))).unwrap();
            }
            check(&shop, now, &old)?;
            for (number, (limit, wait, step)) in between.iter().enumerate() {
                if *limit > 0 {
                    shop.crm.fill_page(*limit).unwrap();
                }
                now += wait;
                shop.clock.set(hour(now));
                let step = step.and_then(|(n, of)| Some((n, &lives.get(n)?.get(of)?.1)));
                if let Some((n, step)) = step {
                    shop.record(n, now, 100 + number, step);
                }
                shop.advance(now);
                let unfilled = shop.crm.to_fill().unwrap().segments;
                let is_open = |name: &str| unfilled.iter().any(|open| open.segment.as_str() == name);
                let (mut seen, filled) = (old.to_vec(), new.iter().filter(|(name, _)| !is_open(name)));
                seen.retain(|(name, _)| is_open(name));
                seen.extend(filled);
                check(&shop, now, &seen)?;
            }
            shop.crm.fill(|_| {}).unwrap();
            check(&shop, now, &new)?;
            now += 200;
            shop.advance(now);
            check(&shop, now, &new)?;
            for customer in shop.customers() {
                let story = shop.crm.story(customer.id()).unwrap().unwrap();
                for (name, _) in &new {
                    let told = story.changes.iter().filter_map(|change| match &change.body {
                        ChangeBody::SegmentEntered { segment: own, .. } if *own == segment(name) => Some(true),
                        ChangeBody::SegmentLeft { segment: own, .. } if *own == segment(name) => Some(false),
                        _ => None,
                    });
                    let told: Vec<bool> = told.collect();
                    prop_assert!(told.first() != Some(&false) && told.windows(2).all(|two| two[0] != two[1]), "{}: {:?}", name, told);
                    prop_assert_eq!(told.last() == Some(&true), customer.standing().is_in(&segment(name)), "{}", name);
                }
            }
        }
    }

    /// What history says of who was in when is what is worked out for each hour: timers flip each member at the very
    /// instant.
    #[test]
    fn members_come_and_go_at_the_very_instant(rule in rule(), life in steps(), stops in prop::collection::vec(350..800_i64, 0..3)) {
        let segments: [(&str, &Predicate); 1] = [("first", &rule)];
        for shop in shops(&segments) {
            let mut life = life.clone();
            life.sort_by_key(|(at, _)| *at);
            for (key, (at, step)) in life.iter().enumerate() {
                shop.clock.set(hour(*at));
                shop.record(0, *at, key, step);
            }
            let mut stops = stops.clone();
            stops.extend([350, 800]);
            stops.sort_unstable();
            stops.into_iter().for_each(|stop| shop.advance(stop));
            let definitions = shop.crm.definitions().unwrap();
            let Some(id) = shop.customers().first().map(Customer::id) else { continue };
            let story = shop.crm.story(id).unwrap().unwrap();
            let first = life.first().map_or(0, |(at, _)| *at);
            for now in (first..=800).step_by(7) {
                let moves = story.changes.iter().filter(|change| change.at <= hour(now));
                let is_in = moves.fold(false, |is_in, change| match &change.body {
                    ChangeBody::SegmentEntered { segment: name, .. } if *name == segment("first") => true,
                    ChangeBody::SegmentLeft { segment: name, .. } if *name == segment("first") => false,
                    _ => is_in,
                });
                let anew = shop.anew(id, hour(now), &definitions);
                prop_assert_eq!(is_in, anew.standing().is_in(&segment("first")), "{} at {}", rule, now);
            }
        }
    }
}

#[test]
fn a_move_names_the_clause_that_decided() {
    let rule = r#"orders.in_last("90d") >= 2 && !("vip" in tags)"#;
    for shop in shops(&[]) {
        let rule = shop.crm.rule(rule).unwrap();
        shop.crm.define(Timestamp::MIN, Definition::Segment(segment("busy"), Some(rule))).unwrap();
        shop.record(0, 0, 0, &Step::Order(5, Vec::new()));
        shop.clock.set(hour(24));
        shop.record(0, 24, 1, &Step::Order(5, Vec::new()));
        shop.advance(24 * 200);
        let id = shop.customers()[0].id();
        let story = shop.crm.story(id).unwrap().unwrap();
        let moves: Vec<(Timestamp, String)> = story
            .changes
            .iter()
            .filter_map(|change| match &change.body {
                ChangeBody::SegmentEntered { segment: name, because } if *name == segment("busy") => {
                    Some((change.at, format!("in: {}", because.as_ref().unwrap())))
                }
                ChangeBody::SegmentLeft { segment: name, because } if *name == segment("busy") => {
                    Some((change.at, format!("out: {}", because.as_ref().unwrap())))
                }
                _ => None,
            })
            .collect();
        let clause = r#"orders.in_last("90d").count() >= 2"#;
        assert_eq!(moves, [(hour(24), format!("in: {clause}")), (hour(24 * 90), format!("out: {clause}"))]);
    }
}

#[test]
fn whoever_asks_why_is_shown_each_clause_and_when_it_changes() {
    for shop in shops(&[]) {
        let name = segment("busy");
        assert!(matches!(shop.crm.explain(who(0), &name), Err(crm::Error::NoSegment { segment }) if segment == name));
        let rule = shop.crm.rule(r#"segment("buyers") && (orders.in_last("30d") >= 2 || spend > 900)"#).unwrap();
        shop.crm.define(Timestamp::MIN, Definition::Segment(name.clone(), Some(rule))).unwrap();
        assert_eq!(shop.crm.explain(who(0), &name).unwrap(), None);
        shop.record(0, 0, 0, &Step::Order(5, Vec::new()));
        shop.clock.set(hour(24));
        shop.record(0, 24, 1, &Step::Order(5, Vec::new()));
        let why = shop.crm.explain(who(0), &name).unwrap().unwrap();
        assert_eq!((why.holds, why.next_change), (Some(true), Some(hour(24 * 30))));
        let [buyers, either] = &why.parts[..] else { panic!("{why:?}") };
        assert_eq!((buyers.holds, buyers.next_change, buyers.parts.len()), (Some(true), None, 1));
        let [recent, spent] = &either.parts[..] else { panic!("{either:?}") };
        assert_eq!((recent.holds, recent.left, recent.right), (Some(true), Some(2), Some(2)));
        assert_eq!(spent.text, "spend > 900", "money in whole units");
        assert_eq!((spent.holds, spent.left, spent.right), (Some(false), Some(10), Some(90_000)), "and in cents");
    }
}
