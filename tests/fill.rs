//! A segment that is new or changed, over customers who are there already.
#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a panic is how a test fails")]

mod failing;

use std::collections::BTreeSet;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Channel, Currency, CustomerId, Definition, DerivedIds, FillProgress, Identifier, Incoming, ManualClock,
    MemoryStore, Money, OrderPlaced, Override, OverrideSegment, Predicate, SegmentName, Source, Store, Timestamp,
    Visited,
};
use crm_core::change::{Cause, Change, ChangeBody};

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
}

fn day(day: i64) -> Timestamp {
    Timestamp::from_millis(day * 86_400_000).unwrap()
}

fn name(name: &str) -> SegmentName {
    SegmentName::new(name).unwrap()
}

fn who(n: u32) -> Identifier {
    Identifier::email(&format!("c{n}@example.com")).unwrap()
}

impl Shop {
    fn over(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(ManualClock::at(day(0)));
        let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).shared_store(store).build();
        Shop { crm: Crm::from(crm), clock }
    }

    fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()))
    }

    /// A shop in which the customer n ordered n times, on the first day.
    fn with_customers(customers: u32) -> Self {
        let shop = Self::new();
        shop.fill_up(customers);
        shop
    }

    fn fill_up(&self, customers: u32) {
        for n in 0..customers {
            self.visit(n);
            (0..n).for_each(|key| self.order(n, key));
        }
    }

    fn visit(&self, n: u32) {
        let visit = Visited { channel: Channel::Web, place: None };
        self.record(n, &format!("visit-{n}-{}", self.crm.now()), visit);
    }

    fn order(&self, n: u32, key: u32) {
        self.record(n, &format!("order-{n}-{key}"), OrderPlaced::new(Money::new(1_000, Currency::EUR)));
    }

    fn record(&self, n: u32, key: &str, fact: impl Into<crm_core::event::Fact>) {
        let fact = Incoming::new(who(n), self.crm.now(), Source::new("shop").unwrap(), fact);
        self.crm.record(fact.with_key(key.parse().unwrap())).unwrap();
    }

    fn define(&self, segment: &str, rule: &str) {
        self.define_from(Timestamp::MIN.max(self.crm.now()), segment, Some(rule));
    }

    fn define_from(&self, from: Timestamp, segment: &str, rule: Option<&str>) {
        let rule = rule.map(|rule| self.crm.rule(rule).unwrap());
        assert!(self.crm.define(from, Definition::Segment(name(segment), rule)).unwrap());
    }

    fn id(&self, n: u32) -> CustomerId {
        self.crm.customer(who(n)).unwrap().unwrap().id()
    }

    /// Who is in a segment, by what is shown of each, by selecting, and by counting.
    fn members(&self, segment: &str) -> BTreeSet<CustomerId> {
        let mut shown = BTreeSet::new();
        let note = |customer: &crm_core::customer::Customer| {
            if customer.standing().is_in(&name(segment)) {
                shown.insert(customer.id());
            }
        };
        self.crm.for_each_customer(note).unwrap();
        let rule = Predicate::InSegment(name(segment));
        let selected: BTreeSet<CustomerId> =
            self.crm.select(&rule, None, 10_000).unwrap().customers.into_iter().collect();
        assert_eq!(shown, selected, "shown and selected, {segment}");
        assert_eq!(self.crm.count(&rule).unwrap(), selected.len() as u64);
        selected
    }

    fn ids(&self, numbers: impl IntoIterator<Item = u32>) -> BTreeSet<CustomerId> {
        numbers.into_iter().map(|n| self.id(n)).collect()
    }

    fn fill(&self) -> Vec<String> {
        let report = self.crm.fill(|_| {}).unwrap();
        report.complete.iter().map(|name| name.as_str().to_owned()).collect()
    }

    /// How often it was told of a customer that they entered and left a segment, and by what, in order.
    fn told(&self, n: u32, segment: &str) -> Vec<(bool, bool)> {
        let story = self.crm.story(who(n)).unwrap().unwrap();
        let told = |change: &Change| {
            let is_definition = change.cause == Cause::Definition;
            match &change.body {
                ChangeBody::SegmentEntered { segment: own, .. } if *own == name(segment) => Some((true, is_definition)),
                ChangeBody::SegmentLeft { segment: own, .. } if *own == name(segment) => Some((false, is_definition)),
                _ => None,
            }
        };
        story.changes.iter().filter_map(told).collect()
    }
}

#[test]
fn a_new_segment_says_that_it_is_not_complete_until_it_is_filled() {
    let shop = Shop::with_customers(6);
    shop.define("buyers", "orders >= 3");
    let rule = Predicate::InSegment(name("buyers"));
    assert_eq!(shop.crm.select(&rule, None, 10).unwrap().incomplete, [name("buyers")]);
    assert!(shop.crm.overview().unwrap().incomplete.contains(&name("buyers")));
    assert_eq!(shop.crm.to_fill().unwrap().segments.len(), 1);
    // Whoever something happens to is in at once.
    shop.clock.set(day(1));
    shop.visit(4);
    assert_eq!(shop.members("buyers"), shop.ids([4]));
    assert_eq!(shop.fill(), ["buyers"]);
    assert_eq!(shop.members("buyers"), shop.ids([3, 4, 5]));
    assert!(shop.crm.select(&rule, None, 10).unwrap().incomplete.is_empty());
    assert!(shop.crm.overview().unwrap().incomplete.is_empty());
    assert!(shop.crm.to_fill().unwrap().segments.is_empty());
    // Each move was told once, and the definition caused it.
    shop.visit(3);
    for n in 0..6 {
        assert_eq!(shop.told(n, "buyers"), if n >= 3 { vec![(true, true)] } else { vec![] }, "{n}");
    }
    assert_eq!(shop.crm.fill_page(10).unwrap(), None);
}

#[test]
fn of_whom_somebody_said_otherwise_a_fill_leaves_alone() {
    let shop = Shop::with_customers(6);
    shop.define("buyers", "orders >= 3");
    let say = |n, to| {
        let asked = OverrideSegment::new(name("buyers"), to);
        shop.crm.override_segment(shop.id(n), asked, &format!("word {n}")).unwrap();
    };
    say(4, Override::Out);
    say(0, Override::In);
    assert_eq!(shop.fill(), ["buyers"]);
    assert_eq!(shop.members("buyers"), shop.ids([0, 3, 5]));
    shop.clock.set(day(1));
    shop.define("buyers", "orders >= 1");
    assert_eq!(shop.members("buyers"), shop.ids([0, 3, 5]));
    assert_eq!(shop.fill(), ["buyers"]);
    assert_eq!(shop.members("buyers"), shop.ids([0, 1, 2, 3, 5]));
}

#[test]
fn a_segment_is_complete_at_once_where_there_are_no_customers() {
    let shop = Shop::new();
    shop.define("buyers", "orders >= 3");
    assert!(shop.crm.to_fill().unwrap().segments.is_empty());
    shop.fill_up(5);
    assert_eq!(shop.members("buyers"), shop.ids([3, 4]));
    assert_eq!(shop.told(4, "buyers"), [(true, false)], "an order was the cause");
}

#[test]
fn a_changed_segment_answers_by_its_old_rule_until_everybody_was_asked() {
    let shop = Shop::new();
    shop.define("regulars", "orders >= 3");
    shop.define("quiet", r#"!segment("regulars")"#);
    shop.fill_up(7);
    shop.clock.set(day(1));
    shop.define("regulars", "orders >= 2 && orders < 6");
    let asks = shop.crm.to_fill().unwrap().segments;
    assert_eq!(asks.iter().map(|one| one.segment.as_str()).collect::<Vec<_>>(), ["regulars", "quiet"]);
    assert!(asks.iter().all(|one| one.changed));
    assert_eq!(shop.members("regulars"), shop.ids([3, 4, 5, 6]));
    // Whoever something happens to is kept by both rules: the old one is seen.
    shop.visit(2);
    shop.visit(6);
    shop.order(1, 1);
    shop.order(1, 2);
    assert_eq!(shop.members("regulars"), shop.ids([1, 3, 4, 5, 6]));
    assert_eq!(shop.members("quiet"), shop.ids([0, 2]));
    // Page by page, the old one answers all the while.
    let mut pages: Vec<FillProgress> = Vec::new();
    loop {
        let page = shop.crm.fill_page(2).unwrap().unwrap();
        pages.push(page.clone());
        if !page.complete.is_empty() {
            break;
        }
        assert_eq!(shop.members("regulars"), shop.ids([1, 3, 4, 5, 6]));
        assert_eq!(shop.members("quiet"), shop.ids([0, 2]));
    }
    assert!(pages.len() > 3 && pages.last().unwrap().complete == [name("regulars"), name("quiet")], "{pages:?}");
    assert_eq!(shop.members("regulars"), shop.ids([1, 2, 3, 4, 5]));
    assert_eq!(shop.members("quiet"), shop.ids([0, 6]));
    assert_eq!(shop.told(6, "regulars"), [(true, false), (false, true)]);
    assert_eq!(shop.told(2, "regulars"), [(true, true)]);
    assert_eq!(shop.told(2, "quiet").len(), 2);
    assert_eq!(shop.told(4, "regulars"), [(true, false)]);
    // From then on there is one rule.
    shop.order(5, 9);
    shop.order(0, 9);
    shop.order(0, 10);
    assert_eq!(shop.members("regulars"), shop.ids([0, 1, 2, 3, 4]));
    assert_eq!(shop.members("quiet"), shop.ids([5, 6]));
    assert_eq!(shop.crm.fill_page(1).unwrap(), None);
}

#[test]
fn nobody_is_written_again_when_a_fill_is_complete() {
    let shop = Shop::with_customers(5);
    shop.define("regulars", "orders >= 3");
    shop.fill();
    shop.clock.set(day(1));
    shop.define("regulars", "orders >= 2");
    while shop.crm.fill_page(1).unwrap().unwrap().complete.is_empty() {}
    let before = shop.crm.overview().unwrap();
    let changes = |n| shop.crm.story(who(n)).unwrap().unwrap().changes.len();
    let told: Vec<usize> = (0..5).map(changes).collect();
    assert_eq!(shop.fill(), [""; 0]);
    assert_eq!(shop.crm.refresh().unwrap(), 0);
    assert_eq!(shop.crm.overview().unwrap().digest, before.digest);
    assert_eq!((0..5).map(changes).collect::<Vec<_>>(), told);
}

#[test]
fn whoever_comes_next_goes_on_where_filling_was_cut_off() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let shop = Shop::over(Arc::clone(&store));
    shop.fill_up(9);
    shop.define("curious", r#"visits.in_last("9d") >= 1"#);
    let mut looked_at = 0;
    for _ in 0..3 {
        let page = shop.crm.fill_page(2).unwrap().unwrap();
        assert!(page.after.is_some() && page.left == 1);
        looked_at = page.looked_at;
    }
    assert_eq!(looked_at, 6);
    // Another process, over the same store.
    let next = Shop::over(store);
    let report = next.crm.fill(|page| assert_eq!(page.looked_at, 9)).unwrap();
    assert_eq!(report.complete, [name("curious")]);
    assert_eq!(next.members("curious"), next.ids(0..9));
}

#[test]
fn a_commit_that_fails_or_is_not_answered_costs_a_page_and_nothing_else() {
    use failing::{Failing, Fate};
    // What a store fills by itself, and what is asked of each.
    for rule in ["orders >= 3", r#"orders.in_last("900d") >= 3"#] {
        for failed in [Fate::Lost, Fate::Unanswered] {
            for fine in 0..9 {
                let store = Failing { inner: Arc::new(MemoryStore::new()), fates: Arc::default() };
                let shop = Shop::over(Arc::new(store.clone()));
                shop.fill_up(8);
                shop.define("regulars", rule);
                // The last one comes first.
                let fates = std::iter::once(failed).chain(std::iter::repeat_n(Fate::Fine, fine));
                *store.fates.lock().unwrap() = fates.collect();
                let mut failures = 0;
                loop {
                    match shop.crm.fill_page(3) {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => failures += 1,
                    }
                }
                assert!(failures <= 1 && shop.crm.to_fill().unwrap().segments.is_empty());
                assert_eq!(shop.members("regulars"), shop.ids(3..8), "{rule} {failed:?} after {fine}");
                for n in 0..8 {
                    assert_eq!(
                        shop.told(n, "regulars").len(),
                        usize::from(n >= 3),
                        "{rule} {failed:?} after {fine}: {n}"
                    );
                }
            }
        }
    }
}

#[test]
fn several_fill_at_once_and_nobody_is_told_twice() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let shop = Shop::over(Arc::clone(&store));
    shop.fill_up(8);
    shop.define("regulars", r#"orders.in_last("900d") >= 3"#);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                let shop = Shop::over(store);
                while shop.crm.fill_page(1).unwrap().is_some() {}
            });
        }
        (0..8).for_each(|n| shop.visit(n));
    });
    assert_eq!(shop.members("regulars"), shop.ids(3..8));
    for n in 0..8 {
        assert_eq!(shop.told(n, "regulars").len(), usize::from(n >= 3), "{n}");
    }
}

#[test]
fn a_segment_from_a_later_day_is_filled_when_that_has_come() {
    let shop = Shop::with_customers(5);
    shop.define_from(day(10), "regulars", Some("orders >= 3"));
    let to_fill = shop.crm.to_fill().unwrap();
    assert_eq!((to_fill.segments.len(), to_fill.next), (0, Some(day(10))));
    assert_eq!(shop.crm.fill_page(1).unwrap(), None);
    shop.clock.set(day(10));
    assert_eq!(shop.crm.to_fill().unwrap().segments.len(), 1);
    assert_eq!(shop.fill(), ["regulars"]);
    assert_eq!(shop.members("regulars"), shop.ids([3, 4]));
    // What comes late for a day before it does not take it back.
    let late =
        Incoming::new(who(4), day(5), Source::new("shop").unwrap(), Visited { channel: Channel::Web, place: None });
    shop.crm.record(late).unwrap();
    assert_eq!(shop.members("regulars"), shop.ids([3, 4]));
    assert_eq!(shop.told(4, "regulars"), [(true, true)]);
}

#[test]
fn whoever_comes_to_be_meant_by_time_alone_is_flipped_by_a_timer() {
    let shop = Shop::with_customers(4);
    shop.clock.set(day(20));
    shop.order(3, 9);
    shop.define("lapsed", "recency_days >= 30");
    shop.define("recent", r#"orders.in_last("25d") == 2"#);
    shop.fill();
    assert!(shop.members("lapsed").is_empty());
    assert_eq!(shop.members("recent"), shop.ids([2]));
    for (today, lapsed, recent) in
        [(24, vec![], vec![2]), (25, vec![], vec![]), (30, vec![1, 2], vec![]), (50, vec![1, 2, 3], vec![])]
    {
        shop.clock.set(day(today));
        shop.crm.advance(day(today)).unwrap();
        assert_eq!(shop.members("lapsed"), shop.ids(lapsed), "{today}");
        assert_eq!(shop.members("recent"), shop.ids(recent), "{today}");
    }
}

#[test]
fn a_segment_that_is_changed_again_before_it_was_filled_tells_each_move_once() {
    let shop = Shop::new();
    shop.define("regulars", "orders >= 3");
    shop.fill_up(6);
    for (today, rule) in [(1, "orders >= 1"), (2, "orders >= 5"), (3, "orders == 4 || orders == 1")] {
        shop.clock.set(day(today));
        shop.define("regulars", rule);
        shop.crm.fill_page(1).unwrap();
        shop.visit(1);
        shop.visit(4);
        assert_eq!(shop.members("regulars"), shop.ids([3, 4, 5]), "the first one answers still");
    }
    assert_eq!(shop.fill(), ["regulars"]);
    assert_eq!(shop.members("regulars"), shop.ids([1, 4]));
    for n in 0..6 {
        let told = shop.told(n, "regulars");
        assert!(told.windows(2).all(|two| two[0].0 != two[1].0), "{n}: in and out by turns, {told:?}");
        assert_eq!(told.last().is_some_and(|last| last.0), [1, 4].contains(&n), "{n}: {told:?}");
    }
}

#[test]
fn whoever_was_in_an_ended_segment_is_told_that_they_left() {
    let shop = Shop::new();
    shop.define("regulars", "orders >= 3");
    shop.fill_up(5);
    shop.clock.set(day(1));
    shop.define_from(day(1), "regulars", None);
    assert_eq!(shop.members("regulars"), shop.ids([3, 4]));
    shop.visit(3);
    assert_eq!(shop.fill(), ["regulars"]);
    assert!(shop.members("regulars").is_empty());
    assert_eq!(shop.told(3, "regulars"), [(true, false), (false, true)]);
    assert_eq!(shop.told(4, "regulars"), [(true, false), (false, true)]);
    // A new one of that name has nothing to do with it.
    shop.clock.set(day(2));
    shop.define("regulars", "orders >= 4");
    assert!(shop.members("regulars").is_empty());
    shop.fill();
    assert_eq!(shop.members("regulars"), shop.ids([4]));
    assert_eq!(shop.told(4, "regulars").len(), 3);
}

#[test]
fn what_a_store_fills_by_itself_is_what_asking_each_gives() {
    let plain = Shop::with_customers(12);
    let asked = Shop::with_customers(12);
    plain.define("regulars", "orders >= 3 && orders < 9 && visits >= 1 && spend >= 40");
    // The same rule in words that no column says.
    asked.define("regulars", r#"orders >= 3 && orders < 9 && visits >= 1 && spend >= 40 && average_order >= 0"#);
    assert_eq!(plain.fill(), ["regulars"]);
    assert_eq!(asked.fill(), ["regulars"]);
    assert_eq!(plain.members("regulars"), plain.ids(4..9));
    let digest = |shop: &Shop| shop.crm.overview().unwrap().digest;
    assert_eq!(digest(&plain), digest(&asked));
    for n in 0..12 {
        plain.visit(n);
        asked.visit(n);
        assert_eq!(plain.told(n, "regulars"), asked.told(n, "regulars"), "{n}");
    }
    assert_eq!(digest(&plain), digest(&asked));
}
