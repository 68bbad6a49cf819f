//! The life cycle over a base: policies for segments, what counts as intent, and what is counted of it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::lifecycle::{CohortBy, FunnelStep, Newcomers, Period, StagePath};
use crm::{
    CartUpdated, Channel, Currency, CustomFact, CustomerId, Definition, DefinitionError, DerivedIds, Enquired, Error,
    Fact, FactKey, Identifier, Incoming, IntentRules, KindName, KindSchema, LifecyclePolicy, ManualClock, MemoryStore,
    Money, OrderPlaced, Past, Phase, Refunded, Remark, Repeated, SegmentName, SegmentPolicy, Source, Span, Stage,
    StageCause, Store, Tag, Tagged, Timestamp, Visited,
};
use proptest::prelude::*;

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn segment(name: &str) -> SegmentName {
    SegmentName::new(name).unwrap()
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    told: std::cell::Cell<u32>,
}

fn order() -> Fact {
    OrderPlaced::new(Money::new(1_000, Currency::EUR)).into()
}

fn visit() -> Fact {
    Visited { channel: Channel::Web, place: None }.into()
}

fn enquiry() -> Fact {
    Enquired { channel: Channel::Email, subject: None }.into()
}

fn cart() -> Fact {
    CartUpdated { items: 1, value: None }.into()
}

impl Shop {
    fn over(store: Arc<dyn Store>) -> Shop {
        let clock = Arc::new(ManualClock::at(day(0)));
        let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).shared_store(store).build();
        Shop { crm: Crm::from(crm), clock, told: std::cell::Cell::default() }
    }

    fn new() -> Shop {
        Shop::over(Arc::new(MemoryStore::new()))
    }

    fn define(&self, definition: Definition) {
        self.crm.define(Timestamp::MIN, definition).unwrap();
    }

    fn segment(&self, name: &str, rule: &str) {
        let rule = self.crm.rule(rule).unwrap();
        self.define(Definition::Segment(segment(name), Some(rule)));
    }

    fn tell(&self, name: &str, at: u32, fact: impl Into<Fact>) -> CustomerId {
        self.told.set(self.told.get() + 1);
        let who = Identifier::email(&format!("{name}@example.com")).unwrap();
        let key = FactKey::new(self.told.get().to_string()).unwrap();
        let fact = Incoming::new(who, day(at), Source::new("shop").unwrap(), fact).with_key(key);
        self.crm.record(fact).unwrap().customer
    }

    fn until(&self, at: u32) {
        self.clock.set(day(at));
        self.crm.advance(day(at)).unwrap();
    }

    fn stage(&self, customer: CustomerId) -> Option<Stage> {
        self.crm.customer(customer).unwrap().unwrap().stage()
    }

    fn deadline(&self, customer: CustomerId) -> Option<Timestamp> {
        self.crm.customer(customer).unwrap().unwrap().facts().lifecycle().deadline()
    }
}

fn quiet_after(days: u32) -> LifecyclePolicy {
    LifecyclePolicy { quiet_after: Span::days(days), ..LifecyclePolicy::default() }
}

/// Companies are quiet after a year, those who buy wine after 60 days, and everybody else after 30.
fn segmented() -> Shop {
    let shop = Shop::new();
    shop.segment("companies", r#""company" in tags"#);
    shop.segment("regulars", "orders >= 2");
    shop.segment("cared-for", r#"segment("regulars") && visits >= 1"#);
    shop.define(Definition::Lifecycle(quiet_after(30)));
    let own = |name, days| SegmentPolicy { segment: segment(name), policy: quiet_after(days) };
    shop.define(Definition::LifecycleSegments(vec![own("companies", 365), own("cared-for", 60)]));
    shop
}

#[test]
fn of_several_policies_the_first_holds_whose_segment_somebody_is_in_when_the_window_opens() {
    let shop = segmented();
    shop.until(50);
    let (ana, ben, cem) = (shop.tell("ana", 1, order()), shop.tell("ben", 1, visit()), shop.tell("cem", 1, visit()));
    shop.tell("ben", 40, order());
    shop.tell("ben", 45, order());
    shop.tell("cem", 2, Tagged { tag: Tag::new("company").unwrap() });
    shop.tell("cem", 40, order());
    shop.tell("cem", 45, order());
    shop.tell("ana", 46, order());
    assert_eq!(shop.deadline(ana), Some(day(46 + 30)), "two orders, and no visit");
    assert_eq!(shop.deadline(ben), Some(day(45 + 60)), "it follows by way of another segment");
    assert_eq!(shop.deadline(cem), Some(day(45 + 365)), "in both, and companies come first");
    // The tag comes too late for the window that is open.
    shop.tell("ana", 47, Tagged { tag: Tag::new("company").unwrap() });
    assert_eq!(shop.deadline(ana), Some(day(76)));
    // That it had been there before is known late, and corrects the past.
    shop.tell("ana", 45, Tagged { tag: Tag::new("company").unwrap() });
    assert_eq!(shop.deadline(ana), Some(day(46 + 365)));
    shop.until(200);
    assert_eq!(
        [ana, ben, cem].map(|id| shop.stage(id).unwrap()),
        [Stage::Purchase, Stage::Historical, Stage::Purchase]
    );
}

#[test]
fn a_policy_for_a_segment_that_is_no_matter_of_facts_alone_is_refused() {
    let shop = segmented();
    shop.segment("quiet", r#"stage == "historical""#);
    shop.segment("lost", r#"segment("quiet") && orders >= 1"#);
    shop.segment("rich", "points >= 100");
    let refused = |definition| match shop.crm.define(day(5), definition).unwrap_err() {
        Error::Definition(DefinitionError::Lifecycle(error)) => error.to_string(),
        other => panic!("{other}"),
    };
    let policies =
        |name| Definition::LifecycleSegments(vec![SegmentPolicy { segment: segment(name), policy: quiet_after(9) }]);
    assert_eq!(refused(policies("lost")), "a policy for segment lost cannot be kept, as quiet asks for the stage");
    assert_eq!(refused(policies("rich")), "a policy for segment rich cannot be kept, as rich asks for points");
    assert_eq!(refused(policies("gone")), "there is no segment gone");
    // Nor may a segment that has a policy become such a one, by whatever way, or end.
    let rule = |text| Definition::Segment(segment("regulars"), Some(shop.crm.rule(text).unwrap()));
    assert_eq!(
        refused(rule(r#"stage == "purchase""#)),
        "a policy for segment cared-for cannot be kept, as regulars asks for the stage"
    );
    assert_eq!(refused(Definition::Segment(segment("companies"), None)), "there is no segment companies");
    let one = || SegmentPolicy { segment: segment("companies"), policy: quiet_after(9) };
    assert_eq!(refused(Definition::LifecycleSegments(vec![one(), one()])), "segment companies has two policies");
    let many = Definition::LifecycleSegments(vec![one(); 33]);
    assert_eq!(refused(many), "33 segments with a policy, more than 32");
    let visits = Some(Repeated { count: 0, within: Span::days(1) });
    let intent = IntentRules { visits, ..IntentRules::default() };
    let wrong = LifecyclePolicy { intent, ..LifecyclePolicy::default() };
    assert_eq!(refused(Definition::Lifecycle(wrong)), "intent by 0 visits, not by 1 to 1000");
}

#[test]
fn what_counts_as_intent_is_for_the_shop_to_say() {
    let shop = Shop::new();
    let call = KindName::new("call").unwrap();
    shop.define(Definition::Kind(call.clone(), Some(KindSchema::default())));
    let intent = IntentRules {
        enquiries: false,
        carts: true,
        visits: Some(Repeated { count: 3, within: Span::days(7) }),
        kinds: BTreeMap::from([(call.clone(), Repeated { count: 2, within: Span::days(1) })]),
    };
    shop.define(Definition::Lifecycle(LifecyclePolicy { intent, ..LifecyclePolicy::default() }));
    shop.until(40);
    let is = |customer, stage| assert_eq!(shop.stage(customer), Some(stage));
    is(shop.tell("asks", 39, enquiry()), Stage::Prospect);
    is(shop.tell("fills", 39, cart()), Stage::Intent);
    let visits = |name: &str, days: [u32; 3]| days.map(|at| shop.tell(name, at, visit()))[0];
    is(visits("often", [33, 36, 39]), Stage::Intent);
    let seldom = visits("seldom", [32, 36, 39]);
    is(seldom, Stage::Prospect);
    // One in between that was told late makes three within the week.
    shop.tell("seldom", 35, visit());
    is(seldom, Stage::Intent);
    shop.tell("calls", 39, CustomFact::new(call.clone()));
    is(shop.tell("calls", 39, CustomFact::new(call)), Stage::Intent);
}

#[test]
fn a_story_tells_every_move_with_its_cause_and_the_win_back() {
    let shop = Shop::new();
    let closed = KindName::new("closed").unwrap();
    let ends = KindSchema { ends_relation: true, ..KindSchema::default() };
    shop.define(Definition::Kind(closed.clone(), Some(ends)));
    shop.define(Definition::Lifecycle(quiet_after(60)));
    let ana = shop.tell("ana", 0, enquiry());
    shop.until(100);
    shop.tell("ana", 5, order());
    shop.tell("ana", 20, CustomFact::new(closed));
    shop.tell("ana", 80, order());
    let story = shop.crm.stage_story(ana, Past::AsKnownNow).unwrap().unwrap();
    let told: Vec<_> = story.moves.iter().map(|step| (step.at, step.to.unwrap())).collect();
    assert_eq!(
        told,
        [(day(0), Stage::Intent), (day(5), Stage::Purchase), (day(20), Stage::Historical), (day(80), Stage::Purchase)]
    );
    assert!(matches!(story.moves[2].cause, StageCause::Ended(_)));
    let history = &story.history;
    assert_eq!((history.won_back, history.is_won_back(), history.at(Stage::Purchase).entries), (1, true, 2));
    assert_eq!(history.at(Stage::Historical).dwell, Span::days(60));
    assert_eq!((history.time_to_first_purchase(), story.phase), (Some(Span::days(5)), Some(Phase::Management)));
    // As it was told then, all of it was news on the hundredth day.
    let told = shop.crm.stage_story(ana, Past::AsToldThen).unwrap().unwrap();
    assert!(told.history.won_back <= 1 && told.moves != story.moves);
    assert_eq!(shop.crm.stage_story(CustomerId::new(day(0), [9; 10]), Past::AsKnownNow).unwrap(), None);
}

/// A base that spans several pages of a walk is not needed to see that pages add up: these are counted by hand.
#[test]
fn a_late_order_corrects_the_funnel_and_the_matrix_of_the_past() {
    let shop = Shop::new();
    shop.define(Definition::Lifecycle(quiet_after(60)));
    for n in 0..10 {
        shop.tell(&format!("c{n}"), 0, enquiry());
    }
    shop.until(20);
    for n in 0..4 {
        shop.tell(&format!("c{n}"), 10, order());
    }
    shop.until(90);
    let january = Period { from: day(0), until: day(31) };
    let funnel = |past| shop.crm.cohorts(january, Span::days(30), CohortBy::Month, past).unwrap();
    let reached = |past| {
        let cohort = funnel(past)[&day(0)];
        FunnelStep::ALL.map(|step| cohort.reached(step))
    };
    assert_eq!(reached(Past::AsKnownNow), [10, 10, 4, 0, 0]);
    assert_eq!(reached(Past::AsToldThen), [10, 10, 4, 0, 0]);
    shop.tell("c9", 15, order());
    assert_eq!(reached(Past::AsKnownNow), [10, 10, 5, 0, 0]);
    assert_eq!(reached(Past::AsToldThen), [10, 10, 4, 0, 0]);

    let of =
        |past| shop.crm.conversions(january, Span::days(30), CohortBy::Month, past).unwrap()[&day(0)].of(Stage::Intent);
    assert_eq!((of(Past::AsKnownNow).there, of(Past::AsKnownNow).moved_on), (10, 5));
    let matrix = shop.crm.transitions(Period { from: day(5), until: day(80) }, Past::AsKnownNow).unwrap();
    assert_eq!(matrix.count(Some(Stage::Intent), Some(Stage::Historical)), 5);
    assert_eq!(matrix.count(Some(Stage::Intent), Some(Stage::Prospect)), 5);
    let measured = Period { from: day(5), until: day(12) };
    let forecast = shop.crm.stage_forecast(measured, 2, Newcomers::None, Past::AsKnownNow).unwrap();
    assert_eq!(forecast.matrix.at_end().of(Some(Stage::Purchase)), 4);
    // Of the six at intent four tenths go on, and of those that are left four tenths again.
    let purchase: Vec<u64> = forecast.sizes.iter().map(|sizes| sizes.of(Some(Stage::Purchase))).collect();
    assert_eq!(purchase, [6, 8]);
}

#[test]
fn whoever_was_merged_has_one_way_of_all_their_facts() {
    let shop = Shop::new();
    let (ana, anna) = (shop.tell("ana", 0, enquiry()), shop.tell("anna", 0, visit()));
    shop.until(30);
    shop.tell("anna", 10, order());
    let merged = shop.crm.merge(ana, anna, Remark::new("the same").unwrap());
    merged.unwrap();
    let story = shop.crm.stage_story(anna, Past::AsKnownNow).unwrap().unwrap();
    assert_eq!(story.history.stage, shop.stage(ana));
    let reached: Vec<_> = story.moves.iter().map(|step| step.to.unwrap()).collect();
    assert_eq!(reached.last(), Some(&Stage::Purchase));
    let period = Period { from: day(0), until: day(31) };
    let cohorts = shop.crm.cohorts(period, Span::days(30), CohortBy::Month, Past::AsKnownNow).unwrap();
    assert_eq!(cohorts[&day(0)].size(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However facts come, with policies by segment and intent by number: the way ends where the customer is, and is
    /// the same as if they had come in order.
    #[test]
    fn a_way_does_not_depend_on_the_order_in_which_facts_came(
        facts in proptest::collection::vec((0..120_u32, 0..6_u8), 1..12), swap in any::<u64>(),
    ) {
        let play = |facts: &[(usize, (u32, u8))]| {
            let shop = segmented();
            let visits = Some(Repeated { count: 2, within: Span::days(9) });
            let intent = IntentRules { visits, ..IntentRules::default() };
            let policy = LifecyclePolicy { intent, ..quiet_after(30) };
            shop.crm.define(day(60), Definition::Lifecycle(policy)).unwrap();
            shop.until(125);
            let mut id = None;
            for (key, (at, kind)) in facts {
                let fact = match kind {
                    0 => visit(),
                    1 => enquiry(),
                    2 => Tagged { tag: Tag::new("company").unwrap() }.into(),
                    3 => Refunded { order: None, amount: Money::new(1_000, Currency::EUR) }.into(),
                    _ => order(),
                };
                let who = Identifier::email("ana@example.com").unwrap();
                let key = FactKey::new(key.to_string()).unwrap();
                let fact = Incoming::new(who, day(*at), Source::new("shop").unwrap(), fact).with_key(key);
                id = Some(shop.crm.record(fact).unwrap().customer);
            }
            shop.until(200);
            let id = id.unwrap();
            let story = shop.crm.stage_story(id, Past::AsKnownNow).unwrap().unwrap();
            assert_eq!(story.history.stage, shop.stage(id));
            assert_eq!(StagePath::of(&story.moves), story.path);
            (story.path, shop.deadline(id))
        };
        let told: Vec<(usize, (u32, u8))> = facts.into_iter().enumerate().collect();
        let mut sorted = told.clone();
        sorted.sort_by_key(|(_, (at, _))| *at);
        let mut mixed = told;
        let len = mixed.len();
        mixed.rotate_left((swap % len as u64) as usize);
        prop_assert_eq!(play(&sorted), play(&mixed));
    }
}
