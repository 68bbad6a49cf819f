//! Scores that a policy makes anew: when a fact comes, by age, and on a schedule.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    Attribute, Channel, Currency, CustomerId, Definition, DerivedIds, Digest, ExternalSystem, Fact, Identifier,
    Incoming, ManualClock, MemoryStore, Money, Objected, Objection, OrderPlaced, PluginFault, PluginName, PluginStamp,
    ScoreBatch, ScoreName, ScoreOutput, ScorePolicy, ScoreSchedule, Scorer, SegmentName, SmolStr, Source, Span,
    Timestamp, Visited,
};

fn hour(hour: u64) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::millis(hour * 3_600_000))
}

fn worth() -> PluginName {
    PluginName::new("worth").unwrap()
}

/// What was spent, in hundreds; nothing of who spent nothing.
#[derive(Debug)]
struct Worth {
    stamp: PluginStamp,
    outputs: [SmolStr; 1],
    asked: Arc<Mutex<Vec<(CustomerId, Timestamp)>>>,
    fails: Arc<AtomicUsize>,
}

impl Scorer for Worth {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn attributes(&self) -> &[Attribute] {
        &[Attribute::Spend]
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.outputs
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        let asked = batch.customers.iter().map(|customer| (*customer, batch.as_of));
        self.asked.lock().unwrap().extend(asked);
        if self.fails.load(Ordering::Relaxed) > 0 {
            self.fails.fetch_sub(1, Ordering::Relaxed);
            return Err(PluginFault::new("trap"));
        }
        let worth = |spent: &Option<i64>| spent.filter(|spent| *spent > 0).map(|spent| spent as f64 / 100.0);
        Ok(vec![batch.columns[0].iter().map(worth).collect()])
    }
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
    asked: Arc<Mutex<Vec<(CustomerId, Timestamp)>>>,
    fails: Arc<AtomicUsize>,
}

impl Shop {
    fn new(policy: ScorePolicy) -> Self {
        let shop = Self::over(Arc::new(MemoryStore::new()), true);
        shop.crm.define(hour(0), Definition::ScorePolicy(worth(), Some(policy))).unwrap();
        shop
    }

    fn over(store: Arc<MemoryStore>, installed: bool) -> Self {
        let clock = Arc::new(ManualClock::at(hour(0)));
        let (asked, fails) = (Arc::default(), Arc::default());
        let stamp = PluginStamp { name: worth(), version: "1".into(), digest: Digest::of(b"worth") };
        let scorer = Worth { stamp, outputs: ["sum".into()], asked: Arc::clone(&asked), fails: Arc::clone(&fails) };
        let builder = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).shared_store(store);
        let builder = if installed { builder.scorer(scorer) } else { builder };
        Shop { crm: Crm::from(builder.build()), clock, asked, fails }
    }

    fn tell(&self, who: &str, at: u64, fact: impl Into<Fact>) -> CustomerId {
        self.clock.set(hour(at).max(self.crm.now()));
        let who = Identifier::external(&ExternalSystem::new("shop").unwrap(), who).unwrap();
        self.crm.record(Incoming::new(who, hour(at), Source::new("shop").unwrap(), fact)).unwrap().customer
    }

    fn visit(&self, who: &str, at: u64) -> CustomerId {
        self.tell(who, at, Visited { channel: Channel::Web, place: None })
    }

    fn order(&self, who: &str, at: u64, minor: i64) -> CustomerId {
        self.tell(who, at, OrderPlaced::new(Money::new(minor, Currency::EUR)))
    }

    /// Lets time pass until an hour; answers whom the scorer was asked about, as of which hours.
    fn pass(&self, until: u64) -> Vec<(CustomerId, u64)> {
        self.clock.set(hour(until));
        self.crm.advance(hour(until)).unwrap();
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let since = |at: Timestamp| (at.as_millis() - hour(0).as_millis()) as u64 / 3_600_000;
        asked.into_iter().map(|(customer, at)| (customer, since(at))).collect()
    }

    fn kept(&self, id: CustomerId) -> Vec<(Timestamp, f64)> {
        self.crm.story(id).unwrap().unwrap().scores.iter().map(|row| (row.at, row.value)).collect()
    }
}

#[test]
fn a_fact_of_the_kind_makes_a_score_due_and_others_do_not() {
    let shop = Shop::new(ScorePolicy::on(["order_placed"]));
    let (ana, ben) = (shop.order("ana", 1, 500), shop.visit("ben", 1));
    assert_eq!(shop.pass(2), [(ana, 1)]);
    assert_eq!(shop.kept(ana), [(hour(1), 5.0)]);
    shop.visit("ana", 3);
    assert_eq!(shop.pass(4), []);
    shop.order("ana", 5, 100);
    shop.order("ben", 6, 300);
    let mut asked = shop.pass(7);
    asked.sort_unstable_by_key(|(_, at)| *at);
    assert_eq!(asked, [(ana, 5), (ben, 6)]);
    // What comes late is news too.
    shop.order("ana", 2, 1_000);
    assert_eq!(shop.pass(8).len(), 1);
    assert_eq!(shop.kept(ana).last().map(|(_, value)| *value), Some(16.0));
    assert_eq!(shop.pass(9), [], "nothing is left to do");
}

#[test]
fn a_score_is_made_anew_when_it_is_old() {
    let shop = Shop::new(ScorePolicy::older_than(Span::days(1)));
    let ana = shop.order("ana", 1, 500);
    assert_eq!(shop.pass(1), [(ana, 1)], "who has none is due at once");
    assert_eq!(shop.pass(24), []);
    assert_eq!(shop.pass(25), [(ana, 25)]);
    // Each in its time, in one call.
    assert_eq!(shop.pass(25 + 72), [(ana, 49), (ana, 73), (ana, 97)]);
    assert_eq!(shop.kept(ana).len(), 5);
}

#[test]
fn a_schedule_asks_about_everybody_at_its_instants() {
    let every = ScoreSchedule { first: hour(10), step: Span::days(1) };
    let on = BTreeSet::new();
    let policy = ScorePolicy { on, older_than: None, every: Some(every), retry_after: Span::days(1) };
    let shop = Shop::new(policy);
    let mut both = [shop.order("ana", 1, 500), shop.order("ben", 2, 300)];
    assert_eq!(shop.pass(9), []);
    let mut asked = shop.pass(10);
    asked.sort_unstable();
    both.sort_unstable();
    assert_eq!(asked, both.map(|id| (id, 10)));
    let late = shop.order("cleo", 12, 100);
    assert_eq!(shop.pass(33), []);
    let asked = shop.pass(34);
    assert_eq!(asked.len(), 3);
    assert!(asked.contains(&(late, 34)));
}

#[test]
fn who_gets_no_score_was_asked_all_the_same() {
    let shop = Shop::new(ScorePolicy::older_than(Span::days(1)));
    let ana = shop.visit("ana", 1);
    assert_eq!(shop.pass(2), [(ana, 1)]);
    assert_eq!(shop.pass(3), []);
    assert_eq!(shop.kept(ana), []);
    assert_eq!(shop.pass(26), [(ana, 25)]);
}

#[test]
fn a_run_over_the_base_counts_as_asking() {
    let shop = Shop::new(ScorePolicy::older_than(Span::days(1)));
    let ana = shop.order("ana", 1, 500);
    assert_eq!(shop.pass(2), [(ana, 1)]);
    let stamp = PluginStamp { name: worth(), version: "1".into(), digest: Digest::of(b"worth") };
    let mut own = Worth { stamp, outputs: ["sum".into()], asked: Arc::default(), fails: Arc::default() };
    shop.clock.set(hour(20));
    assert_eq!(shop.crm.score(&mut own, hour(20)).unwrap().scored, 1);
    assert_eq!(shop.pass(43), []);
    assert_eq!(shop.pass(44), [(ana, 44)]);
}

#[test]
fn a_scorer_that_faults_leaves_the_old_score_and_is_tried_again_later() {
    let shop = Shop::new(ScorePolicy::on(["order_placed"]));
    let ana = shop.order("ana", 1, 500);
    assert_eq!(shop.pass(2), [(ana, 1)]);
    shop.fails.store(2, Ordering::Relaxed);
    shop.order("ana", 3, 100);
    assert_eq!(shop.pass(4), [(ana, 3)]);
    assert_eq!(shop.kept(ana), [(hour(1), 5.0)]);
    assert_eq!(shop.pass(4), [], "not yet");
    assert_eq!(shop.pass(5), [(ana, 5)]);
    assert_eq!(shop.kept(ana), [(hour(1), 5.0)]);
    assert_eq!(shop.pass(6), [(ana, 6)]);
    assert_eq!(shop.kept(ana), [(hour(1), 5.0), (hour(6), 6.0)]);
    assert_eq!(shop.pass(7), []);
}

#[test]
fn where_no_such_scorer_is_installed_it_is_put_off_and_whoever_has_it_comes_to_it() {
    let store = Arc::new(MemoryStore::new());
    let without = Shop::over(Arc::clone(&store), false);
    let policy = ScorePolicy::on(["order_placed"]);
    without.crm.define(hour(0), Definition::ScorePolicy(worth(), Some(policy))).unwrap();
    let ana = without.order("ana", 1, 500);
    assert_eq!(without.pass(2), []);
    assert_eq!(without.crm.advance(hour(2)).unwrap(), 0, "it does not stand in the way");
    let with = Shop::over(store, true);
    assert_eq!(with.pass(2), []);
    assert_eq!(with.pass(3), [(ana, 3)]);
}

#[test]
fn who_may_not_be_scored_is_not_due_and_a_policy_that_ended_is_none() {
    let shop = Shop::new(ScorePolicy::older_than(Span::days(1)));
    let (ana, ben) = (shop.order("ana", 1, 500), shop.order("ben", 1, 500));
    assert_eq!(shop.pass(2).len(), 2);
    shop.tell("ana", 3, Objected { to: Objection::Profiling });
    assert_eq!(shop.pass(30), [(ben, 25)]);
    shop.crm.define(hour(40), Definition::ScorePolicy(worth(), None)).unwrap();
    assert_eq!(shop.pass(100), []);
    assert_eq!(shop.crm.advance(hour(100)).unwrap(), 0, "no alarm is left");
    assert_eq!((shop.kept(ana).len(), shop.kept(ben).len()), (1, 2));
}

#[test]
fn a_segment_moves_by_a_score_that_was_made_anew() {
    let shop = Shop::new(ScorePolicy::on(["order_placed"]));
    let output = ScoreOutput::new("sum").unwrap();
    shop.crm.define(hour(0), Definition::Scorer(worth(), Some([output.clone()].into()))).unwrap();
    let rule = shop.crm.rule(r#"score("worth") > 5.0"#).unwrap();
    let dear = SegmentName::new("dear").unwrap();
    shop.crm.define(hour(0), Definition::Segment(dear.clone(), Some(rule))).unwrap();
    let ana = shop.order("ana", 1, 600);
    assert!(!shop.crm.customer(ana).unwrap().unwrap().standing().is_in(&dear));
    shop.pass(2);
    let customer = shop.crm.customer(ana).unwrap().unwrap();
    assert!(customer.standing().is_in(&dear));
    let name = ScoreName { plugin: worth(), output };
    assert_eq!(customer.score(&name).map(|score| score.at), Some(hour(1)));
}

#[test]
fn a_policy_that_cannot_be_kept_is_refused() {
    let shop = Shop::over(Arc::new(MemoryStore::new()), true);
    let never = ScorePolicy::on::<&str>([]);
    let refused = shop.crm.define(hour(0), Definition::ScorePolicy(worth(), Some(never))).unwrap_err();
    assert_eq!(refused.to_string(), "scores of worth");
}

#[test]
fn whoever_is_merged_or_parted_is_scored_anew() {
    let shop = Shop::new(ScorePolicy::on(["order_placed"]));
    let (ana, ben) = (shop.order("ana", 1, 500), shop.order("ben", 2, 300));
    assert_eq!(shop.pass(3).len(), 2);
    shop.order("ben", 4, 100);
    shop.clock.set(hour(5));
    let head = shop.crm.merge(ana, ben, "one person".parse().unwrap()).unwrap().customer;
    assert_eq!(shop.pass(6), [(head, 5)], "what came before is not forgotten, and what both spent is news");
    assert!(shop.kept(head).contains(&(hour(5), 9.0)));
    shop.clock.set(hour(7));
    shop.crm.part(ana, ben, "two after all".parse().unwrap()).unwrap();
    assert_eq!(shop.pass(8).len(), 2);
    let newest = [ana, ben].map(|id| (shop.kept(id).last().unwrap().1 * 100.0) as i64);
    assert_eq!(newest, [500, 400]);
    assert_eq!(shop.pass(9), []);
}

#[test]
fn whoever_objects_to_what_a_scorer_is_for_is_not_shown_to_it_and_is_not_due_again_and_again() {
    let shop = Shop::new(ScorePolicy::on(["order_placed"]));
    let purpose = crm::Purpose::new("campaigns").unwrap();
    let mut policy = crm::ConsentPolicy::default();
    policy.purposes.push(crm::PurposeRule { profiling: false, ..crm::PurposeRule::marketing(purpose.clone()) });
    shop.crm.define(hour(0), Definition::Consent(policy)).unwrap();
    let mut grants = crm::Grants::all();
    grants.purpose = Some(purpose);
    shop.crm.define(hour(0), Definition::Grants(worth(), Some(Box::new(grants)))).unwrap();
    let (ana, ben) = (shop.order("ana", 1, 500), shop.order("ben", 1, 300));
    shop.tell("ben", 1, crm::Objected { to: crm::Objection::Marketing });
    assert_eq!(shop.pass(2), [(ana, 1)]);
    assert_eq!(shop.pass(3), []);
    assert!(shop.kept(ben).is_empty());
    shop.tell("ben", 4, crm::ObjectionWithdrawn { to: crm::Objection::Marketing });
    shop.order("ben", 5, 300);
    assert_eq!(shop.pass(6), [(ben, 5)]);
}
