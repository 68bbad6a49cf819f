//! Who was in a segment before: right at every instant, whatever came in which order. Over each store.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a panic is how a test fails")]

#[path = "../crm-core/tests/rules/mod.rs"]
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    CustomerId, Definition, Definitions, DerivedIds, Enlisted, EventId, Identifier, Incoming, ListAbout, ListError,
    ListName, ListReport, ManualClock, MemoryStore, Override, OverrideCleared, OverrideRefusal, OverrideSegment,
    Predicate, Refusal, SegmentName, Source, Span, Store, Subject, TimeZone, Timestamp, Unlisted,
};
use crm_core::audit::{ActorName, AuditActor};
use crm_core::change::ChangeBody;
use crm_core::customer::Customer;
use crm_core::event::{Event, EventBody, Fact, Voided};
use crm_core::lifecycle::SegmentPolicy;
use proptest::prelude::*;
use rules::{Step, fact, fact_of, hour, rule, steps};

fn segment(name: &str) -> SegmentName {
    SegmentName::new(name).unwrap()
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    /// Where its file is, if it has one.
    _folder: Option<tempfile::TempDir>,
}

/// A shop on each kind of store.
fn shops() -> Vec<Shop> {
    let mut stores: Vec<(Arc<dyn Store>, _)> = vec![(Arc::new(MemoryStore::new()), None)];
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        stores.push((Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()), Some(folder)));
    }
    let shops = stores.into_iter().map(|(store, _folder)| {
        let clock = Arc::new(ManualClock::at(hour(0)));
        let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).shared_store(store).build();
        let crm = Crm::from(crm);
        for definition in rules::defined() {
            crm.define(Timestamp::MIN, definition).unwrap();
        }
        Shop { crm, clock, _folder }
    });
    shops.collect()
}

fn who(n: usize) -> Identifier {
    Identifier::email(&format!("c{n}@example.com")).unwrap()
}

impl Shop {
    fn define(&self, from: Timestamp, name: &str, rule: &str) {
        let rule = self.crm.rule(rule).unwrap();
        self.crm.define(from, Definition::Segment(segment(name), Some(rule))).unwrap();
    }

    fn record(&self, n: usize, at: i64, key: usize, fact: Fact) -> crm::Recorded {
        let fact = Incoming::new(who(n), hour(at), Source::new("shop").unwrap(), fact);
        self.crm.record(fact.with_key(format!("{n}-{key}").parse().unwrap())).unwrap()
    }

    /// A step of a life; none if it opens a case once more.
    fn took(&self, n: usize, at: i64, key: usize, step: &Step) -> Option<EventId> {
        let fact = Incoming::new(who(n), hour(at), Source::new("shop").unwrap(), fact_of(n, step));
        match self.crm.record(fact.with_key(format!("{n}-{key}").parse().unwrap())) {
            Err(crm::Error::Fact(crm::FactRefusal::CaseTaken { .. })) => None,
            recorded => Some(recorded.unwrap().event),
        }
    }

    /// An order of so many cents, when it happens.
    fn order(&self, at: i64, key: usize, minor: i64) -> crm::Recorded {
        self.clock.set(self.clock_at().max(hour(at)));
        self.record(0, at, key, fact_of(0, &Step::Order(minor, Vec::new())))
    }

    fn clock_at(&self) -> Timestamp {
        self.crm.now()
    }

    fn advance(&self, at: i64) {
        self.clock.set(hour(at));
        self.crm.advance(hour(at)).unwrap();
    }

    fn customers(&self) -> Vec<Customer> {
        let mut all = Vec::new();
        self.crm.for_each_customer(|customer| all.push(customer.clone())).unwrap();
        all
    }

    fn is_in(&self, name: &str) -> bool {
        self.customers()[0].standing().is_in(&segment(name))
    }

    fn holds(&self, rule: &str) -> bool {
        let rule = self.crm.rule(rule).unwrap();
        !self.crm.select(&rule, None, 10).unwrap().customers.is_empty()
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
}

/// What a life comes to at each hour, as the past is known now: each hour is worked out anew from nothing.
struct Hourly {
    /// For each hour from the first event on, the segments they are in whose rules do not ask about the past.
    hours: BTreeMap<i64, BTreeSet<SegmentName>>,
}

impl Hourly {
    fn of(id: CustomerId, events: &[Event], now: i64, definitions: &Definitions) -> Self {
        let known: Vec<&Event> = events.iter().filter(|event| event.at <= hour(now)).collect();
        let voided = known.iter().filter_map(|event| match &event.body {
            EventBody::Fact(Fact::Voided(voided)) => Some(voided.event),
            _ => None,
        });
        let voided: BTreeSet<_> = voided.collect();
        let first = known.iter().map(|event| event.at).min();
        let first = first.map_or(now + 1, |first| first.as_millis() / 3_600_000);
        let hours = (first..=now).map(|at| {
            let by_then = known.iter().filter(|event| event.at <= hour(at) && !voided.contains(&event.id));
            let by_then = by_then.map(|event| (event.customer, event.id, event.at, &event.body));
            let then = Customer::replay(id, by_then, hour(at), definitions);
            // By the version in force then: a state is asked under the one that everybody was asked under last.
            let subject = Subject::new(&then, hour(at), definitions);
            let is_in = |(name, rule): &(&SegmentName, &Predicate)| match then.override_of(name, hour(at), definitions)
            {
                Some(overridden) => overridden.asked.to == Override::In,
                None => rule.holds(&subject),
            };
            (at, definitions.segments(hour(at)).filter(is_in).map(|(name, _)| name.clone()).collect())
        });
        Hourly { hours: hours.collect() }
    }

    fn was_in(&self, name: &str, within: Option<i64>, now: i64) -> bool {
        let hours = self.hours.range(within.map_or(i64::MIN, |within| now - within + 1)..=now);
        hours.into_iter().any(|(_, segments)| segments.contains(&segment(name)))
    }

    fn in_for(&self, name: &str, hours: i64, now: i64) -> bool {
        (now - hours..=now).all(|at| self.hours.get(&at).is_some_and(|segments| segments.contains(&segment(name))))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("CRM_SOAK").is_some() { 1_000 } else { 12 }, ..ProptestConfig::default() })]

    /// Whatever came late or was voided, however time went on, and whenever the segment was defined anew.
    #[test]
    fn the_past_is_what_it_would_be_if_each_hour_were_worked_out_anew(
        // Scores have no past.
        rules in prop::collection::vec(rule().prop_filter("a score", |rule| !rule.to_string().contains("score(")), 2),
        lives in prop::collection::vec(steps(), 1..3),
        late in prop::collection::btree_set((0..2_usize, 0..14_usize), 0..5),
        voided in prop::collection::btree_set((0..2_usize, 0..14_usize), 0..3),
        overridden in prop::collection::vec((0..350_i64, 0..2_usize, any::<bool>(), prop::option::of(1..100_i64)), 0..4),
        redefined in prop::option::of(0..400_i64),
        (span, steady) in (1..60_i64, 1..60_i64),
        stops in prop::collection::vec(350..500_i64, 1..3),
    ) {
        let name = segment("first");
        for shop in shops() {
            shop.crm.define(Timestamp::MIN, Definition::Segment(name.clone(), Some(rules[0].clone()))).unwrap();
            if let Some(from) = redefined {
                shop.crm.define(hour(from), Definition::Segment(name.clone(), Some(rules[1].clone()))).unwrap();
            }
            let asked = [
                ("once", r#"was_in("first")"#.to_owned()),
                ("lately", format!(r#"was_in("first", "{span}h")"#)),
                ("steady", format!(r#"in_for("first", "{steady}h")"#)),
            ];
            for (asked, rule) in &asked {
                shop.define(Timestamp::MIN, asked, rule);
            }
            // What follows from what follows.
            shop.define(Timestamp::MIN, "lapsed", r#"was_in("steady") && !segment("steady")"#);
            let mut all: Vec<(i64, usize, usize, &Step)> = Vec::new();
            for (n, life) in lives.iter().enumerate() {
                all.extend(life.iter().enumerate().map(|(key, (at, step))| (*at, n, key, step)));
            }
            all.sort_by_key(|(at, n, key, _)| (*at, *n, *key));
            let (after, before): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, n, key, _)| late.contains(&(*n, *key)));
            let mut events = BTreeMap::new();
            let mut overridden: Vec<_> = overridden.iter().copied().enumerate().collect();
            overridden.sort_by_key(|(_, (at, ..))| std::cmp::Reverse(*at));
            for (at, n, key, step) in before {
                while let Some((number, (at, n, is_in, lasts))) = overridden.pop_if(|(_, (from, ..))| *from < at) {
                    shop.clock.set(hour(at));
                    let Some(customer) = shop.crm.customer(who(n)).unwrap() else { continue };
                    let to = if is_in { Override::In } else { Override::Out };
                    let until = lasts.map(|hours| hour(at + hours));
                    let asked = OverrideSegment { until, ..OverrideSegment::new(name.clone(), to) };
                    shop.crm.override_segment(customer.id(), asked, &format!("word {number}")).unwrap();
                }
                shop.clock.set(hour(at));
                events.extend(shop.took(n, at, key, step).map(|event| ((n, key), event)));
            }
            shop.advance(350);
            for (at, n, key, step) in after {
                events.extend(shop.took(n, at, key, step).map(|event| ((n, key), event)));
            }
            for (n, key) in &voided {
                if let Some(event) = events.get(&(*n, *key)) {
                    shop.record(*n, 350, 100 + key, Voided { event: *event, reason: None }.into());
                }
            }
            let mut stops = stops.clone();
            stops.sort_unstable();
            for now in stops {
                shop.advance(now);
                if redefined.is_some() {
                    // Otherwise they follow at the next thing that happens.
                    shop.crm.refresh().unwrap();
                }
                let definitions = shop.crm.definitions().unwrap();
                let mut expected: BTreeMap<&str, BTreeSet<CustomerId>> = BTreeMap::new();
                for customer in shop.customers() {
                    let story = shop.crm.story(customer.id()).unwrap().unwrap();
                    let hourly = Hourly::of(customer.id(), &story.events, now, &definitions);
                    let in_steady = hourly.in_for("first", steady, now);
                    let was_steady = hourly.hours.keys().any(|at| hourly.in_for("first", steady, *at));
                    let naive = [
                        ("once", hourly.was_in("first", None, now)),
                        ("lately", hourly.was_in("first", Some(span), now)),
                        ("steady", in_steady),
                        ("lapsed", was_steady && !in_steady),
                    ];
                    for (name, naive) in naive {
                        let all = expected.entry(name).or_default();
                        if naive {
                            all.insert(customer.id());
                        }
                        let noted = customer.standing().is_in(&segment(name));
                        prop_assert_eq!(noted, naive, "noted and by the hour, {} at {}", name, now);
                        let rule = definitions.segment(&segment(name), hour(now)).unwrap();
                        let asked = rule.holds(&Subject::new(&customer, hour(now), &definitions));
                        prop_assert_eq!(asked, naive, "asked and by the hour, {} at {}", name, now);
                        // A state that was lost knows all of it again.
                        let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
                        let again = Customer::replay(customer.id(), events, customer.clock().unwrap(), &definitions);
                        prop_assert_eq!(again.spells(), customer.spells());
                        prop_assert_eq!(again.digest(), customer.digest());
                    }
                }
                for (name, expected) in &expected {
                    let rule = definitions.segment(&segment(name), hour(now)).unwrap();
                    prop_assert_eq!(&shop.selected(rule), expected, "selected, {} at {}", name, now);
                    let members = Predicate::InSegment(segment(name));
                    prop_assert_eq!(&shop.selected(&members), expected, "selected by name, {} at {}", name, now);
                }
            }
        }
    }
}

#[test]
fn whoever_was_a_member_once_is_remembered() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "busy", r#"orders.in_last("10d") >= 2"#);
        shop.define(Timestamp::MIN, "once-busy", r#"was_in("busy") && !segment("busy")"#);
        shop.define(Timestamp::MIN, "lately-busy", r#"was_in("busy", "30d")"#);
        shop.order(0, 0, 5);
        shop.advance(24);
        assert!(!shop.is_in("once-busy") && !shop.is_in("lately-busy"));
        shop.order(48, 1, 5);
        assert!(shop.is_in("busy") && !shop.is_in("once-busy") && shop.is_in("lately-busy"));
        // The first order falls out of the window.
        shop.advance(240);
        assert!(!shop.is_in("busy") && shop.is_in("once-busy"));
        shop.advance(240 + 30 * 24 - 1);
        assert!(shop.is_in("lately-busy"));
        shop.advance(240 + 30 * 24);
        assert!(!shop.is_in("lately-busy") && shop.is_in("once-busy"));
    }
}

#[test]
fn a_late_order_takes_back_that_somebody_was_a_member() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "one-timer", "orders == 1 && age_days >= 5");
        shop.define(Timestamp::MIN, "was-one-timer", r#"was_in("one-timer")"#);
        shop.order(0, 0, 5);
        shop.advance(24 * 7);
        assert!(shop.is_in("was-one-timer"));
        // They had ordered again on the second day; it became known on the seventh.
        shop.order(24, 1, 5);
        assert!(!shop.is_in("one-timer") && !shop.is_in("was-one-timer"), "they never were, at any instant");
    }
}

#[test]
fn a_voided_order_never_made_anybody_a_member() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "rich", "spend > 100");
        shop.define(Timestamp::MIN, "was-rich", r#"was_in("rich")"#);
        shop.order(0, 0, 500);
        let mistyped = shop.order(24, 1, 99_900).event;
        assert!(shop.is_in("was-rich"));
        shop.clock.set(hour(100));
        shop.record(0, 100, 2, Voided { event: mistyped, reason: None }.into());
        assert!(!shop.is_in("was-rich"));
    }
}

#[test]
fn a_timer_makes_a_lasting_member_at_the_very_instant() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "buyer", "orders >= 1");
        shop.define(Timestamp::MIN, "loyal", r#"in_for("buyer", "14d")"#);
        shop.order(5, 0, 500);
        let due = hour(5).plus(Span::days(14));
        shop.advance(60);
        assert_eq!(shop.customers()[0].alarm().unwrap().due_at, due);
        shop.clock.set(due.minus(Span::millis(1)));
        shop.crm.advance(shop.clock_at()).unwrap();
        assert!(!shop.is_in("loyal"));
        let why = shop.crm.explain(who(0), &segment("loyal")).unwrap().unwrap();
        assert_eq!((why.holds, why.next_change, why.left), (Some(false), Some(due), Some(hour(5).as_millis())));
        assert_eq!(why.parts.len(), 1, "the rule of the segment it asks about");
        shop.clock.set(due);
        shop.crm.advance(due).unwrap();
        assert!(shop.is_in("loyal"));
        let story = shop.crm.story(who(0)).unwrap().unwrap();
        assert_eq!(story.changes.last().unwrap().at, due);
    }
}

#[test]
fn what_is_newly_asked_about_the_past_is_found_in_the_histories() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "busy", r#"orders.in_last("10d") >= 2"#);
        shop.order(0, 0, 5);
        shop.order(48, 1, 5);
        shop.advance(24 * 100);
        assert!(shop.holds(r#"was_in("busy")"#), "nobody asked before");
        assert!(!shop.holds(r#"was_in("busy", "20d")"#) && !shop.holds(r#"in_for("busy", "1d")"#));
        shop.define(hour(24 * 100), "once-busy", r#"was_in("busy")"#);
        shop.order(24 * 101, 2, 5);
        assert!(shop.is_in("once-busy"));
        assert_eq!(shop.customers()[0].spells().of(&segment("busy")).left, Some(hour(240)));
    }
}

#[test]
fn versions_hold_from_their_instant_on() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "big", "orders >= 2");
        shop.define(Timestamp::MIN, "was-big", r#"was_in("big")"#);
        shop.order(0, 0, 5);
        shop.advance(24);
        // Before, one order was not enough; from now on it is, and from the hour 48 on it is not any more.
        shop.define(hour(24), "big", "orders >= 1");
        shop.define(hour(48), "big", "orders >= 2");
        shop.clock.set(hour(72));
        shop.record(0, 72, 1, fact(&Step::Visit));
        assert!(!shop.is_in("big") && shop.is_in("was-big"));
        let spell = shop.customers()[0].spells().of(&segment("big"));
        assert_eq!((spell.since, spell.left), (None, Some(hour(48))));
    }
}

#[test]
fn a_refresh_follows_what_came_into_force_since_a_customer_was_last_heard_of() {
    for shop in shops() {
        shop.order(0, 0, 5);
        shop.clock.set(hour(48));
        shop.define(hour(24), "buying", "orders >= 1");
        assert_eq!(shop.crm.refresh().unwrap(), 1);
        assert!(shop.is_in("buying"));
    }
}

#[test]
fn a_segment_cannot_ask_about_its_own_past_and_not_end_while_others_ask_about_it() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "busy", "orders >= 2");
        let own = shop.crm.rule(r#"orders >= 1 && !was_in("busy")"#).unwrap();
        let circle = shop.crm.define(hour(1), Definition::Segment(segment("busy"), Some(own)));
        assert!(matches!(circle, Err(crm::Error::Definition(_))), "{circle:?}");
        shop.define(Timestamp::MIN, "lasting", r#"in_for("busy", "3d")"#);
        let ended = shop.crm.define(hour(1), Definition::Segment(segment("busy"), None));
        assert!(matches!(ended, Err(crm::Error::Definition(_))), "{ended:?}");
    }
}

#[test]
fn merged_customers_have_always_been_one_and_parted_ones_never_were() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "busy", r#"orders.in_last("10d") >= 2"#);
        shop.define(Timestamp::MIN, "once-busy", r#"was_in("busy")"#);
        let one = shop.record(0, 0, 0, fact(&Step::Order(5, Vec::new()))).customer;
        shop.clock.set(hour(24));
        let other = shop.record(1, 24, 0, fact(&Step::Order(5, Vec::new()))).customer;
        shop.advance(24 * 50);
        assert!(shop.customers().iter().all(|customer| !customer.standing().is_in(&segment("once-busy"))));
        shop.crm.merge(one, other, "the same person".parse().unwrap()).unwrap();
        let merged = shop.crm.customer(one).unwrap().unwrap();
        assert!(merged.standing().is_in(&segment("once-busy")) && !merged.standing().is_in(&segment("busy")));
        assert_eq!(merged.spells().of(&segment("busy")).left, Some(hour(240)));
        shop.crm.part(one, other, "they are not".parse().unwrap()).unwrap();
        for id in [one, other] {
            let parted = shop.crm.customer(id).unwrap().unwrap();
            assert!(!parted.standing().is_in(&segment("once-busy")));
        }
    }
}

impl Shop {
    fn override_to(
        &self,
        name: &str,
        to: Override,
        until: Option<i64>,
        key: &str,
    ) -> Result<crm::Executed, crm::Error> {
        let id = self.customers()[0].id();
        let by = Some(ActorName::new("support:17").unwrap());
        let reason = Some("asked for it".parse().unwrap());
        let asked = OverrideSegment { by, reason, until: until.map(hour), ..OverrideSegment::new(segment(name), to) };
        self.crm.override_segment(id, asked, key)
    }

    fn clear(&self, name: &str, key: &str) -> crm::Executed {
        let id = self.customers()[0].id();
        self.crm.clear_override(id, OverrideCleared { segment: segment(name), by: None, reason: None }, key).unwrap()
    }

    /// When they came and went, and why.
    fn moves(&self, name: &str) -> Vec<(Timestamp, bool, String)> {
        let story = self.crm.story(self.customers()[0].id()).unwrap().unwrap();
        let moves = story.changes.iter().filter_map(|change| match &change.body {
            ChangeBody::SegmentEntered { segment: of, because } if *of == segment(name) => {
                Some((change.at, true, because.as_ref().unwrap().to_string()))
            }
            ChangeBody::SegmentLeft { segment: of, because } if *of == segment(name) => {
                Some((change.at, false, because.as_ref().unwrap().to_string()))
            }
            _ => None,
        });
        moves.collect()
    }
}

#[test]
fn an_override_outlives_a_new_version_of_its_segment_and_ends_with_it() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "vip", "spend > 1000");
        shop.define(Timestamp::MIN, "greeted", r#"segment("vip")"#);
        shop.order(0, 0, 500);
        shop.override_to("vip", Override::In, None, "first").unwrap();
        assert!(shop.is_in("vip") && shop.is_in("greeted"), "others ask about what holds");
        assert!(shop.holds(r#"segment("vip")"#) && !shop.holds("spend > 1000"));
        shop.define(hour(24), "vip", "spend > 2000");
        shop.order(48, 1, 500);
        shop.crm.fill(|_| {}).unwrap();
        assert!(shop.is_in("vip"));
        let why = shop.crm.explain(who(0), &segment("vip")).unwrap().unwrap();
        assert_eq!((why.holds, why.text.as_str()), (Some(true), r#"segment("vip")"#));
        let [word, rule] = &why.parts[..] else { panic!("{why:?}") };
        assert_eq!((word.text.as_str(), word.holds, word.next_change), ("override: in", Some(true), None));
        assert_eq!((rule.text.as_str(), rule.holds), ("spend > 2000", Some(false)), "what the rule says is kept apart");
        let customer = shop.customers().remove(0);
        let said = &customer.overrides().next().unwrap().asked;
        assert_eq!(said.by.as_ref().unwrap().as_str(), "support:17");
        // Whoever asks about it goes first.
        shop.define(hour(72), "greeted", "orders > 9");
        shop.crm.define(hour(72), Definition::Segment(segment("vip"), None)).unwrap();
        shop.order(96, 2, 500);
        shop.crm.fill(|_| {}).unwrap();
        assert!(!shop.is_in("vip"));
        shop.define(hour(120), "vip", "spend > 3000");
        shop.order(144, 3, 500);
        assert!(!shop.is_in("vip"), "it is another segment of that name");
    }
}

#[test]
fn an_override_ends_by_a_timer_and_moves_say_that_it_was_one() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "buyers-now", r#"orders.in_last("10d") >= 1"#);
        shop.define(Timestamp::MIN, "buyers-ever", r#"was_in("buyers-now")"#);
        shop.define(Timestamp::MIN, "buyers-long", r#"in_for("buyers-now", "15d")"#);
        shop.order(0, 0, 500);
        shop.override_to("buyers-now", Override::Out, Some(48), "out").unwrap();
        assert!(!shop.is_in("buyers-now") && !shop.is_in("buyers-ever"), "in and out at one instant");
        shop.advance(47);
        assert!(!shop.is_in("buyers-now"));
        shop.advance(72);
        assert!(shop.is_in("buyers-now") && shop.is_in("buyers-ever"));
        shop.override_to("buyers-now", Override::In, None, "in").unwrap();
        // It lasts beyond the window of its rule.
        shop.advance(24 * 30);
        assert!(shop.is_in("buyers-now") && shop.is_in("buyers-long"));
        shop.clear("buyers-now", "clear");
        assert!(!shop.is_in("buyers-now"));
        let clause = r#"orders.in_last("10d").count() >= 1"#.to_owned();
        let expected = [
            (hour(0), true, clause.clone()),
            (hour(0), false, "override".to_owned()),
            (hour(48), true, "override ended".to_owned()),
            (hour(24 * 30), false, clause),
        ];
        assert_eq!(shop.moves("buyers-now"), expected);
        assert!(shop.clear("buyers-now", "again").events.is_empty(), "there is nothing to clear");
    }
}

#[test]
fn an_override_is_refused_with_the_reason() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "vip", "spend > 1000");
        shop.order(24, 0, 500);
        let refused = |to: Result<crm::Executed, crm::Error>| match to {
            Err(crm::Error::Refused(Refusal::Override(refusal))) => refusal,
            other => panic!("{other:?}"),
        };
        assert!(matches!(refused(shop.override_to("vop", Override::In, None, "a")), OverrideRefusal::NoSegment { .. }));
        let over = refused(shop.override_to("vip", Override::In, Some(24), "b"));
        assert_eq!(over, OverrideRefusal::Over { until: hour(24), now: hour(24) });
        assert!(shop.override_to("vip", Override::In, None, "c").unwrap().events.len() == 1);
        assert!(shop.override_to("vip", Override::In, None, "c").unwrap().replayed);
        assert!(shop.override_to("vip", Override::In, None, "d").unwrap().events.is_empty(), "it is so already");
        shop.record(0, 24, 1, crm_core::consent::Restricted { reason: None }.into());
        let restricted = refused(shop.override_to("vip", Override::Out, None, "e"));
        assert_eq!(restricted, OverrideRefusal::Restricted { since: hour(24) });
        let by = AuditActor::Host(ActorName::new("support:17").unwrap());
        shop.crm.erase_with(shop.customers()[0].id(), crm::ErasureRequest::new(by).forced()).unwrap();
        assert!(!shop.is_in("vip"), "nothing is left of what was said");
        assert_eq!(shop.customers()[0].overrides().count(), 0);
        assert_eq!(refused(shop.override_to("vip", Override::Out, None, "f")), OverrideRefusal::Erased);
    }
}

#[test]
fn of_what_was_said_of_merged_customers_the_last_word_holds_and_each_keeps_their_own() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "vip", "spend > 1000");
        let one = shop.record(0, 0, 0, fact(&Step::Order(5, Vec::new()))).customer;
        let other = shop.record(1, 0, 0, fact(&Step::Order(5, Vec::new()))).customer;
        shop.clock.set(hour(1));
        shop.crm.override_segment(one, OverrideSegment::new(segment("vip"), Override::In), "one").unwrap();
        shop.clock.set(hour(2));
        shop.crm.override_segment(other, OverrideSegment::new(segment("vip"), Override::Out), "other").unwrap();
        shop.clock.set(hour(3));
        shop.crm.merge(one, other, "one person".parse().unwrap()).unwrap();
        assert!(!shop.crm.customer(one).unwrap().unwrap().standing().is_in(&segment("vip")));
        shop.crm.part(one, other, "two".parse().unwrap()).unwrap();
        let is_in = |id| shop.crm.customer(id).unwrap().unwrap().standing().is_in(&segment("vip"));
        assert!(is_in(one) && !is_in(other));
        shop.crm.merge(one, other, "one person".parse().unwrap()).unwrap();
        let cleared = OverrideCleared { segment: segment("vip"), by: None, reason: None };
        assert_eq!(shop.crm.clear_override(one, cleared, "clear").unwrap().events.len(), 1);
        assert_eq!(shop.crm.customer(one).unwrap().unwrap().overrides().count(), 0, "whatever anybody said");
    }
}

fn list(name: &str) -> ListName {
    ListName::new(name).unwrap()
}

#[test]
fn a_list_is_kept_by_hand_and_chosen_by() {
    for shop in shops() {
        let source = Source::new("desk").unwrap();
        let fair = list("fair-2026");
        let undeclared = shop.crm.enlist(&fair, [who(0)], &source);
        assert!(matches!(undeclared, Err(crm::Error::List(ListError::Undeclared { list })) if list == fair));
        let about = ListAbout { title: Some("Spring fair".parse().unwrap()), description: None };
        shop.crm.define(Timestamp::MIN, Definition::List(fair.clone(), Some(about))).unwrap();
        let wrong = shop.crm.rule(r#"list("fair-2025")"#).unwrap_err();
        assert!(wrong.to_string().ends_with(r#"there is no list "fair-2025"; did you mean "fair-2026"?"#), "{wrong}");
        shop.define(Timestamp::MIN, "guests", r#"list("fair-2026") && !("fair-2026" in tags)"#);
        for n in 0..3 {
            shop.record(n, 0, 0, fact(&Step::Visit));
        }
        shop.clock.set(hour(1));
        let named = [who(0), who(1), who(0), who(9)];
        let told = shop.crm.enlist(&fair, named.clone(), &source).unwrap();
        assert_eq!(told, ListReport { changed: 2, unchanged: 0, unknown: 1 });
        shop.clock.set(hour(2));
        let told = shop.crm.enlist(&fair, named, &source).unwrap();
        assert_eq!(told, ListReport { changed: 0, unchanged: 2, unknown: 1 }, "who is on it stays");
        let on = shop.crm.rule(r#""fair-2026" in lists"#).unwrap();
        assert_eq!(on.to_string(), r#""fair-2026" in lists"#);
        assert_eq!((shop.crm.count(&on).unwrap(), shop.selected(&on).len()), (2, 2));
        assert_eq!(shop.selected(&Predicate::InSegment(segment("guests"))).len(), 2);
        assert_eq!(shop.crm.overview().unwrap().lists[&fair], 2);
        shop.clock.set(hour(3));
        let told = shop.crm.unlist(&fair, [who(1), who(2)], &source).unwrap();
        assert_eq!((told.changed, told.unchanged), (1, 1));
        assert_eq!(shop.selected(&on).len(), 1);
        // Nobody is put on it any more, and who is on it stays.
        shop.crm.define(hour(4), Definition::List(fair.clone(), None)).unwrap();
        shop.clock.set(hour(5));
        assert!(shop.crm.enlist(&fair, [who(2)], &source).is_err());
        assert_eq!(shop.selected(&on).len(), 1);
    }
}

#[test]
fn of_what_is_told_about_a_list_what_happened_last_counts_and_what_was_voided_does_not() {
    for shop in shops() {
        let fair = list("fair");
        shop.crm.define(Timestamp::MIN, Definition::List(fair.clone(), Some(ListAbout::default()))).unwrap();
        shop.clock.set(hour(10));
        shop.record(0, 5, 0, Enlisted { list: fair.clone() }.into());
        shop.record(0, 3, 1, Unlisted { list: fair.clone() }.into());
        assert!(shop.customers()[0].facts().is_on(&fair), "the taking off was before");
        let off = shop.record(0, 7, 2, Unlisted { list: fair.clone() }.into()).event;
        assert!(!shop.customers()[0].facts().is_on(&fair));
        shop.record(0, 10, 3, Voided { event: off, reason: None }.into());
        assert!(shop.customers()[0].facts().is_on(&fair));
        let early = Incoming::new(who(1), hour(10), Source::new("shop").unwrap(), fact(&Step::Visit));
        let other = shop.crm.record(early).unwrap().customer;
        let one = shop.crm.customer(who(0)).unwrap().unwrap().id();
        shop.crm.merge(one, other, "one person".parse().unwrap()).unwrap();
        assert!(shop.crm.customer(other).unwrap().unwrap().facts().is_on(&fair));
        shop.crm.part(other, one, "two".parse().unwrap()).unwrap();
        let is_on = |id| shop.crm.customer(id).unwrap().unwrap().facts().is_on(&fair);
        assert!(is_on(one) && !is_on(other));
    }
}

#[test]
fn the_history_of_a_membership_is_told_as_the_past_is_known_now() {
    for shop in shops() {
        let zone = TimeZone::new("UTC").unwrap();
        shop.define(Timestamp::MIN, "busy", r#"orders.in_last("2d") >= 2"#);
        let busy = segment("busy");
        shop.order(0, 0, 5);
        shop.order(24, 1, 5);
        let other = shop.record(1, 24, 0, fact(&Step::Order(5, Vec::new()))).customer;
        shop.advance(24 * 4);
        let stays = shop.crm.memberships_of(who(0)).unwrap().unwrap();
        let busy_ones: Vec<_> = stays.iter().filter(|stay| stay.segment == busy).collect();
        let [stay] = busy_ones[..] else { panic!("{stays:?}") };
        assert_eq!((stay.from, stay.until), (hour(24), Some(hour(48))));
        let clause = r#"orders.in_last("2d").count() >= 2"#;
        assert_eq!((stay.entered_because.as_deref(), stay.left_because.as_deref()), (Some(clause), Some(clause)));
        let days = |last: i64| -> Vec<(u64, u64, u64)> {
            let days = shop.crm.membership(&busy, hour(0), hour(last), &zone).unwrap();
            days.iter().map(|day| (day.members, day.joined, day.left)).collect()
        };
        assert_eq!(days(95), [(0, 0, 0), (1, 1, 0), (0, 0, 1), (0, 0, 0)]);
        // Both had ordered once more on the second day; it is known since the fifth.
        shop.record(0, 36, 2, fact(&Step::Order(5, Vec::new())));
        shop.record(1, 36, 1, fact(&Step::Order(5, Vec::new())));
        shop.advance(24 * 4);
        assert_eq!(days(95), [(0, 0, 0), (2, 2, 0), (2, 0, 0), (0, 0, 2)]);
        let at = |hours: i64| {
            let mut all = BTreeSet::new();
            let mut after = None;
            loop {
                let page = shop.crm.members_at(&busy, hour(hours), after, 1).unwrap();
                all.extend(page.customers);
                after = page.next;
                if after.is_none() {
                    return all;
                }
            }
        };
        assert_eq!((at(23).len(), at(24).len(), at(36).len(), at(71).len(), at(72).len()), (0, 1, 2, 2, 0));
        assert!(at(40).contains(&other));
        let nobody = shop.crm.membership(&segment("nobody"), hour(0), hour(1), &zone);
        assert!(matches!(nobody, Err(crm::Error::NoSegment { .. })));
        let ever = shop.crm.membership(&busy, Timestamp::MIN, hour(0), &zone);
        assert!(matches!(ever, Err(crm::Error::Days(_))));
        assert!(shop.crm.memberships_of(who(7)).unwrap().is_none());
    }
}

#[test]
fn an_import_knows_the_same_past() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "busy", r#"orders.in_last("2d") >= 2"#);
        shop.define(Timestamp::MIN, "once-busy", r#"was_in("busy")"#);
        shop.crm.define(Timestamp::MIN, Definition::List(list("fair"), Some(ListAbout::default()))).unwrap();
        shop.order(0, 0, 5);
        shop.order(24, 1, 5);
        shop.clock.set(hour(90));
        shop.override_to("busy", Override::In, Some(120), "word").unwrap();
        shop.crm.enlist(&list("fair"), [who(0)], &Source::new("desk").unwrap()).unwrap();
        shop.advance(24 * 6);
        let before = shop.customers().remove(0);
        let package = shop.crm.export(before.id()).unwrap().unwrap();
        for other in shops() {
            other.clock.set(shop.clock_at());
            for version in shop.crm.definitions().unwrap().all() {
                let _ = other.crm.define(version.from, version.definition.clone());
            }
            other.crm.import(&package).unwrap();
            let after = other.customers().remove(0);
            assert_eq!(
                (after.digest(), after.spells().of(&segment("busy"))),
                (before.digest(), before.spells().of(&segment("busy")))
            );
            assert_eq!(after.spells().of(&segment("busy")).left, Some(hour(120)));
        }
    }
}

#[test]
fn a_policy_of_the_life_cycle_may_be_for_a_list_and_not_for_a_past() {
    for shop in shops() {
        shop.define(Timestamp::MIN, "partners", r#"list("mug")"#);
        shop.define(Timestamp::MIN, "once-partners", r#"was_in("partners")"#);
        let policy = |name: &str| {
            let policy = crm_core::lifecycle::LifecyclePolicy::default();
            Definition::LifecycleSegments(vec![SegmentPolicy { segment: segment(name), policy }])
        };
        let refused = shop.crm.define(Timestamp::MIN, policy("once-partners")).unwrap_err();
        let told = std::error::Error::source(&refused).map_or_else(|| refused.to_string(), ToString::to_string);
        assert!(told.contains("the past of a segment"), "{told}");
        assert!(shop.crm.define(Timestamp::MIN, policy("partners")).unwrap());
    }
}
