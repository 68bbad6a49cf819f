//! Scores as they are kept: so many of each, with what they were made from, of whom may be scored, by runs that go on
//! where they were.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod failing;

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    Attribute, Channel, Currency, CustomerId, Definition, DerivedIds, Digest, Error, ExternalSystem, Fact, Identifier,
    Incoming, InputsError, ManualClock, MemoryStore, Money, Objected, Objection, ObjectionWithdrawn, OrderPlaced,
    PluginFault, PluginName, PluginStamp, Restricted, RestrictionLifted, ScoreBatch, ScoreName, ScoreOutput,
    ScoreRunError, ScoreRunName, Scorer, SegmentName, SmolStr, Source, Span, Store, Timestamp, Unscored, Visited,
};
use failing::{Failing, Fate};

fn day(day: u32) -> Timestamp {
    Timestamp::parse("2026-01-01").unwrap().plus(Span::days(day))
}

fn stamp(version: &str) -> PluginStamp {
    let digest = Digest::of(version.as_bytes());
    PluginStamp { name: PluginName::new("worth").unwrap(), version: version.into(), digest }
}

fn worth() -> ScoreName {
    ScoreName { plugin: PluginName::new("worth").unwrap(), output: ScoreOutput::new("sum").unwrap() }
}

fn nightly() -> ScoreRunName {
    ScoreRunName::new("nightly").unwrap()
}

fn segment(name: &str) -> SegmentName {
    SegmentName::new(name).unwrap()
}

/// The sum of what it is given, in hundreds; nothing of who has no orders.
#[derive(Debug)]
struct Worth {
    stamp: PluginStamp,
    attributes: Vec<Attribute>,
    outputs: [SmolStr; 1],
    /// Whom it was asked about, in order.
    asked: Arc<Mutex<Vec<CustomerId>>>,
    /// How many batches it fails for.
    fails: usize,
}

impl Scorer for Worth {
    fn stamp(&self) -> &PluginStamp {
        &self.stamp
    }

    fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    fn outputs(&self) -> &[SmolStr] {
        &self.outputs
    }

    fn score(&mut self, batch: &ScoreBatch<'_>) -> Result<Vec<Vec<Option<f64>>>, PluginFault> {
        self.asked.lock().unwrap().extend(batch.customers);
        if self.fails > 0 {
            self.fails -= 1;
            return Err(PluginFault::new("deadline"));
        }
        let of = |row: usize| batch.columns.iter().map(|column| column[row]).sum::<Option<i64>>();
        Ok(vec![(0..batch.customers.len()).map(|row| of(row).map(|sum| sum as f64 / 100.0)).collect()])
    }
}

fn scorer(attributes: &[Attribute]) -> Worth {
    Worth {
        stamp: stamp("1"),
        attributes: attributes.to_vec(),
        outputs: ["sum".into()],
        asked: Arc::default(),
        fails: 0,
    }
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
}

impl Shop {
    fn over(store: Arc<dyn Store>, kept: u16) -> Self {
        let clock = Arc::new(ManualClock::at(day(30)));
        let kept = NonZeroU16::new(kept).unwrap();
        let crm = crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).scores_kept(kept).shared_store(store);
        Shop { crm: Crm::from(crm.build()), clock }
    }

    fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()), 16)
    }

    fn tell(&self, who: u32, at: Timestamp, fact: impl Into<Fact>) -> CustomerId {
        let system = ExternalSystem::new("shop").unwrap();
        let who = Identifier::external(&system, &format!("c{who}")).unwrap();
        self.crm.record(Incoming::new(who, at, Source::new("shop").unwrap(), fact)).unwrap().customer
    }

    fn visit(&self, who: u32, at: Timestamp) -> CustomerId {
        self.tell(who, at, Visited { channel: Channel::Web, place: None })
    }

    fn order(&self, who: u32, at: Timestamp, minor: i64) -> CustomerId {
        self.tell(who, at, OrderPlaced::new(Money::new(minor, Currency::EUR)))
    }

    /// The rule "worth more than five".
    fn ask(&self) {
        let name = worth();
        self.crm.define(day(0), Definition::Scorer(name.plugin, Some([name.output].into()))).unwrap();
        let rule = self.crm.rule(r#"score("worth") > 5.0"#).unwrap();
        self.crm.define(day(0), Definition::Segment(segment("dear"), Some(rule))).unwrap();
    }

    fn is_dear(&self, id: CustomerId) -> bool {
        let noted = self.crm.customer(id).unwrap().unwrap().standing().is_in(&segment("dear"));
        let rule = self.crm.rule(r#"score("worth") > 5.0"#).unwrap();
        assert_eq!(self.crm.select(&rule, None, 10).unwrap().customers.contains(&id), noted);
        noted
    }

    fn kept(&self, id: CustomerId) -> Vec<(Timestamp, f64)> {
        self.crm.story(id).unwrap().unwrap().scores.iter().map(|row| (row.at, row.value)).collect()
    }
}

#[test]
fn so_many_scores_of_an_output_are_kept_and_the_oldest_go() {
    for asked in [false, true] {
        let shop = Shop::over(Arc::new(MemoryStore::new()), 3);
        let ana = shop.order(1, day(1), 100);
        if asked {
            shop.ask();
        }
        for n in [10, 12, 11, 14] {
            assert_eq!(shop.crm.score(&mut scorer(&[Attribute::Spend]), day(n)).unwrap().scored, 1);
        }
        assert_eq!(shop.kept(ana), [(day(11), 1.0), (day(12), 1.0), (day(14), 1.0)]);
        let older = shop.crm.score(&mut scorer(&[Attribute::Spend]), day(9)).unwrap();
        assert_eq!((older.scored, older.known), (0, 1), "there is no room for what is older than all");
        let again = shop.crm.score(&mut scorer(&[Attribute::Spend]), day(12)).unwrap();
        assert_eq!((again.scored, again.known), (0, 1));
        shop.order(1, day(20), 300);
        assert_eq!(shop.crm.score(&mut scorer(&[Attribute::Spend]), day(12)).unwrap().scored, 1);
        assert_eq!(shop.kept(ana), [(day(11), 1.0), (day(12), 4.0), (day(14), 1.0)], "it is replaced where it was");
    }
}

#[test]
fn what_is_shown_of_a_score_is_what_it_was_made_from() {
    let shop = Shop::new();
    let ana = shop.order(1, day(10), 250);
    assert_eq!(shop.crm.explain_score(ana, &worth()).unwrap(), None);
    let attributes = [Attribute::Spend, Attribute::RecencyDays];
    shop.crm.score(&mut scorer(&attributes), day(20)).unwrap();
    // What comes late changes what the same instant would give.
    shop.order(1, day(15), 700);
    let why = shop.crm.explain_score(ana, &worth()).unwrap().unwrap();
    assert_eq!(why.inputs, Ok(vec![(Attribute::Spend, Some(250)), (Attribute::RecencyDays, Some(10))]));
    assert_eq!((why.value, why.at, why.version.as_str(), why.digest), (2.6, day(20), "1", stamp("1").digest));
    assert!(why.agrees && why.unscored.is_none());
    shop.crm.score(&mut scorer(&attributes), day(21)).unwrap();
    let why = shop.crm.explain_score(ana, &worth()).unwrap().unwrap();
    assert_eq!((why.inputs.unwrap()[0], why.at), ((Attribute::Spend, Some(950)), day(21)));
    let other = ScoreName { output: ScoreOutput::new("other").unwrap(), ..worth() };
    assert_eq!(shop.crm.explain_score(ana, &other).unwrap(), None);
}

#[test]
fn inputs_that_were_changed_or_not_kept_are_told() {
    let store = Arc::new(MemoryStore::new());
    let shop = Shop::over(Arc::clone(&store) as Arc<dyn Store>, 16);
    let ana = shop.order(1, day(10), 250);
    shop.crm.score(&mut scorer(&[Attribute::Spend]), day(20)).unwrap();
    let tamper = |inputs: Vec<u8>| {
        crm::blocking::wait(async {
            let tenant = crm::TenantId::default();
            let row = store.load(&tenant, &[ana]).await.unwrap().rows.remove(0).unwrap();
            let details = store.details(&tenant, &[ana], crm_storage::Parts::SCORES).await.unwrap();
            let mut score = details[0].as_ref().unwrap().scores[0].clone();
            score.inputs = inputs;
            let expected = crm_storage::Expected::At(row.version);
            let write = crm_storage::CustomerWrite::scores(ana, expected, vec![score]);
            let commit = crm_storage::Commit { writes: vec![write], ..crm_storage::Commit::default() };
            store.commit(&tenant, vec![commit]).await.unwrap().remove(0).unwrap();
        });
        shop.crm.explain_score(ana, &worth()).unwrap().unwrap()
    };
    let changed = tamper(crm::ScoreInputs(vec![(Attribute::Spend, Some(9))]).encode());
    assert_eq!((changed.agrees, changed.inputs), (false, Ok(vec![(Attribute::Spend, Some(9))])));
    let not_kept = tamper(Vec::new());
    assert_eq!((not_kept.agrees, not_kept.inputs), (false, Err(InputsError::NotKept)));
}

#[test]
fn whoever_is_restricted_or_objects_to_profiling_is_not_scored_and_the_old_score_is_not_used() {
    let bars: [(Fact, Fact); 2] = [
        (Restricted { reason: None }.into(), RestrictionLifted { reason: None }.into()),
        (Objected { to: Objection::Profiling }.into(), ObjectionWithdrawn { to: Objection::Profiling }.into()),
    ];
    for (bar, lift) in bars {
        for asked in [true, false] {
            let shop = Shop::new();
            let (ana, ben) = (shop.order(1, day(1), 900), shop.order(2, day(1), 900));
            if asked {
                shop.ask();
            }
            let score = |n| shop.crm.score(&mut scorer(&[Attribute::Spend]), day(n)).unwrap();
            assert_eq!(score(10).scored, 2);
            shop.tell(1, day(12), bar.clone());
            let mut counting = scorer(&[Attribute::Spend]);
            let report = shop.crm.score(&mut counting, day(13)).unwrap();
            assert_eq!((report.scored, report.skipped, report.looked_at()), (1, 1, 2));
            assert_eq!(*counting.asked.lock().unwrap(), [ben], "the plugin is not given their data");
            assert_eq!(shop.kept(ana).len(), 1, "what was kept stays");
            let why = shop.crm.explain_score(ana, &worth()).unwrap().unwrap();
            let since = day(12);
            let is_restricted = matches!(bar, Fact::Restricted(_));
            let expected = if is_restricted { Unscored::Restricted { since } } else { Unscored::Objects { since } };
            assert_eq!(why.unscored, Some(expected));
            if asked {
                assert!(!shop.is_dear(ana) && shop.is_dear(ben), "rules find none");
                let known = shop.crm.rule(r#"!known(score("worth"))"#).unwrap();
                assert_eq!(shop.crm.select(&known, None, 10).unwrap().customers, [ana]);
            }
            shop.tell(1, day(14), lift.clone());
            if asked {
                assert!(shop.is_dear(ana), "the old one is used again");
            }
            assert_eq!(score(15).scored, 2);
        }
    }
    // Marketing is another thing.
    let shop = Shop::new();
    shop.order(1, day(1), 900);
    shop.tell(1, day(2), Objected { to: Objection::Marketing });
    assert_eq!(shop.crm.score(&mut scorer(&[Attribute::Spend]), day(3)).unwrap().scored, 1);
}

#[test]
fn a_score_that_no_rule_asks_about_writes_no_state_and_is_known_to_a_rule_that_comes_later() {
    let shop = Shop::new();
    let (ana, ben) = (shop.order(1, day(1), 900), shop.order(2, day(1), 100));
    let version = |id| crm::blocking::wait(async { shop.crm.story(id).unwrap().unwrap().changes.len() });
    let before = version(ana);
    assert_eq!(shop.crm.score(&mut scorer(&[Attribute::Spend]), day(10)).unwrap().scored, 2);
    assert!(shop.crm.customer(ana).unwrap().unwrap().score(&worth()).is_none(), "no rule asks about it");
    assert_eq!(version(ana), before);
    shop.ask();
    shop.crm.fill(|_| ()).unwrap();
    assert!(shop.is_dear(ana) && !shop.is_dear(ben));
    // Who was not written since the rule came is written by the next score.
    shop.order(2, day(11), 900);
    shop.crm.score(&mut scorer(&[Attribute::Spend]), day(12)).unwrap();
    assert!(shop.is_dear(ben));
}

#[test]
fn a_question_about_a_score_that_no_definition_asks_about_is_answered_from_the_rows() {
    let shop = Shop::new();
    let (ana, ben) = (shop.order(1, day(1), 900), shop.order(2, day(1), 100));
    let name = worth();
    shop.crm.define(day(0), Definition::Scorer(name.plugin, Some([name.output].into()))).unwrap();
    shop.crm.score(&mut scorer(&[Attribute::Spend]), day(10)).unwrap();
    let select = |text: &str| shop.crm.select(&shop.crm.rule(text).unwrap(), None, 10).unwrap().customers;
    assert_eq!(select(r#"score("worth") > 5.0"#), [ana]);
    // An average is finished in memory, with the customers read.
    assert_eq!(select(r#"average_order > 0 && score("worth") > 5.0"#), [ana]);
    assert_eq!(select(r#"average_order > 0 && score("worth") <= 5.0"#), [ben]);
}

#[test]
fn columns_give_a_scorer_what_states_would() {
    let shop = Shop::new();
    for n in 0..40 {
        shop.visit(n, day(n % 9));
        for key in 0..n % 5 {
            shop.order(n, day(n % 7 + key), i64::from(n) * 37 + i64::from(key));
        }
    }
    let attributes: Vec<Attribute> = Attribute::ALL.to_vec();
    shop.crm.score(&mut scorer(&attributes), day(25)).unwrap();
    let mut with_states = BTreeMap::new();
    let definitions = shop.crm.definitions().unwrap();
    let mut after = None;
    loop {
        let page = shop.crm.select(&crm::Predicate::All(Vec::new()), after, 100).unwrap();
        for id in page.customers {
            let customer = shop.crm.customer(id).unwrap().unwrap();
            let currency = definitions.currency(day(25));
            let cells: Vec<_> = attributes.iter().map(|one| (*one, one.of(&customer, day(25), currency))).collect();
            with_states.insert(id, cells);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(with_states.len(), 40);
    for (id, cells) in with_states {
        match shop.crm.explain_score(id, &worth()).unwrap() {
            Some(why) => assert_eq!(why.inputs, Ok(cells)),
            None => assert!(cells.iter().any(|(_, value)| value.is_none()), "{cells:?}"),
        }
    }
}

#[test]
fn money_in_another_currency_than_before_is_read_from_the_state() {
    let shop = Shop::new();
    let ana = shop.order(1, day(1), 900);
    shop.crm.define(day(10), Definition::Currency(Currency::USD)).unwrap();
    shop.crm.score(&mut scorer(&[Attribute::Spend]), day(20)).unwrap();
    assert_eq!(shop.kept(ana), [(day(20), 0.0)], "nothing was spent in dollars");
    shop.crm.score(&mut scorer(&[Attribute::Spend]), day(5)).unwrap();
    assert_eq!(shop.kept(ana)[0], (day(5), 9.0));
}

#[test]
fn a_run_goes_on_where_it_was() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let shop = Shop::over(Arc::clone(&store), 16);
    for n in 0..2_100 {
        shop.visit(n, day(1));
    }
    let mut first = scorer(&[Attribute::Visits]);
    let run = shop.crm.score_run(&nightly(), &stamp("1"), day(10)).unwrap();
    assert_eq!((run.progress().after, run.progress().complete), (None, false));
    let progress = shop.crm.score_step(&run, &mut first).unwrap().unwrap();
    // Among the rows of the first page may be one that is no customer.
    let page = progress.report.scored;
    assert!((1_023..=1_024).contains(&page) && !progress.complete);
    drop(run);
    // Another process, later.
    let again = Shop::over(store, 16);
    let run = again.crm.score_run(&nightly(), &stamp("1"), day(10)).unwrap();
    assert_eq!(run.progress(), progress);
    let mut second = scorer(&[Attribute::Visits]);
    let mut steps = 0;
    while again.crm.score_step(&run, &mut second).unwrap().is_some() {
        steps += 1;
    }
    let done = run.progress();
    assert_eq!((steps, done.complete, done.report.scored, done.report.looked_at()), (2, true, 2_100, 2_100));
    let (first, second) = (first.asked.lock().unwrap().len(), second.asked.lock().unwrap().len());
    assert_eq!((first as u64, second as u64), (page, 2_100 - page), "nobody was asked about twice");
    let sum = &done.report.outputs[0];
    assert_eq!((sum.count, sum.min, sum.max), (2_100, Some(0.01), Some(0.01)));
    assert!(sum.mean.is_some_and(|mean| (mean - 0.01).abs() < 1e-12));
    // A run that is complete stays so; one of another instant begins.
    let run = again.crm.score_run(&nightly(), &stamp("1"), day(10)).unwrap();
    assert_eq!(run.progress(), done);
    assert_eq!(again.crm.score_step(&run, &mut scorer(&[Attribute::Visits])).unwrap(), None);
    let run = again.crm.score_run(&nightly(), &stamp("1"), day(11)).unwrap();
    assert_eq!(run.progress().report.looked_at(), 0);
    assert_eq!(again.crm.count(&crm::Predicate::All(Vec::new())).unwrap(), 2_100, "how far it is, is no customer");
}

#[test]
fn several_threads_step_one_run_and_each_customer_is_scored_once() {
    let shop = Shop::new();
    let ids: Vec<CustomerId> = (0..2_200).map(|n| shop.visit(n, day(1))).collect();
    let run = shop.crm.score_run(&nightly(), &stamp("1"), day(10)).unwrap();
    let asked: Arc<Mutex<Vec<CustomerId>>> = Arc::default();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (crm, run) = (&shop.crm, &run);
            let mut own = Worth { asked: Arc::clone(&asked), ..scorer(&[Attribute::Visits]) };
            scope.spawn(move || while crm.score_step(run, &mut own).unwrap().is_some() {});
        }
    });
    let mut asked = asked.lock().unwrap().clone();
    asked.sort_unstable();
    let mut everybody = ids;
    everybody.sort_unstable();
    assert_eq!(asked, everybody);
    assert!(run.progress().complete);
    assert_eq!(run.progress().report.scored, 2_200);
}

#[test]
fn a_page_that_failed_is_scored_by_the_next_step() {
    for fate in [Fate::Lost, Fate::Unanswered] {
        let fates: Arc<Mutex<Vec<Fate>>> = Arc::default();
        let store = Failing { inner: Arc::new(MemoryStore::new()), fates: Arc::clone(&fates) };
        let shop = Shop::over(Arc::new(store), 16);
        for n in 0..1_100 {
            shop.visit(n, day(1));
        }
        let run = shop.crm.score_run(&nightly(), &stamp("1"), day(10)).unwrap();
        let mut worth = scorer(&[Attribute::Visits]);
        *fates.lock().unwrap() = vec![fate];
        assert!(matches!(shop.crm.score_step(&run, &mut worth), Err(Error::Storage(_))));
        assert_eq!(run.progress().report.looked_at(), 0);
        while shop.crm.score_step(&run, &mut worth).unwrap().is_some() {}
        let report = run.progress().report;
        assert!(run.progress().complete);
        assert_eq!(report.scored + report.known, 1_100, "{report:?}");
        assert_eq!(worth.asked.lock().unwrap().len(), 1_100 + 1_024);
    }
}

#[test]
fn a_run_takes_no_other_build_and_ends_when_it_is_replaced() {
    let shop = Shop::new();
    for n in 0..1_100 {
        shop.visit(n, day(1));
    }
    let run = shop.crm.score_run(&nightly(), &stamp("1"), day(10)).unwrap();
    let mut newer = Worth { stamp: stamp("2"), ..scorer(&[Attribute::Visits]) };
    let refused = shop.crm.score_step(&run, &mut newer).unwrap_err();
    assert_eq!(refused.to_string(), "run nightly is of worth 1, and the scorer is worth 2");
    let other = shop.crm.score_run(&nightly(), &stamp("2"), day(10)).unwrap();
    let replaced = shop.crm.score_step(&run, &mut scorer(&[Attribute::Visits])).unwrap_err();
    assert!(matches!(replaced, Error::ScoreRun(ScoreRunError::Replaced { .. })), "{replaced}");
    while shop.crm.score_step(&other, &mut newer).unwrap().is_some() {}
    assert!(other.progress().complete);
}

#[test]
fn a_fault_leaves_the_scores_of_its_batch_and_the_run_goes_on() {
    let shop = Shop::new();
    let ids: Vec<CustomerId> = (0..1_030).map(|n| shop.visit(n, day(1))).collect();
    shop.crm.score(&mut scorer(&[Attribute::Visits]), day(9)).unwrap();
    let run = shop.crm.score_run(&nightly(), &stamp("1"), day(10)).unwrap();
    let mut failing = Worth { fails: 1, ..scorer(&[Attribute::Visits]) };
    while shop.crm.score_step(&run, &mut failing).unwrap().is_some() {}
    let report = run.progress().report;
    assert_eq!((report.failed, report.scored, &report.faults[..]), (1_024, 6, &[PluginFault::new("deadline")][..]));
    let newest = |id: &CustomerId| shop.kept(*id).last().unwrap().0;
    assert_eq!(ids.iter().filter(|id| newest(id) == day(9)).count(), 1_024);
}

#[test]
fn a_run_over_nobody_is_complete() {
    let shop = Shop::new();
    let run = shop.crm.score_run(&nightly(), &stamp("1"), day(10)).unwrap();
    // There is a row all the same, which is none of a customer: how far the run has come.
    while shop.crm.score_step(&run, &mut scorer(&[])).unwrap().is_some() {}
    assert_eq!(run.progress().report.looked_at(), 0);
    assert!(run.progress().complete);
    shop.clock.set(day(31));
    let again = shop.crm.score_run(&nightly(), &stamp("1"), day(10)).unwrap();
    assert!(again.progress().complete);
}

#[test]
fn a_scorer_sees_only_what_is_granted_to_it_from_when_that_is_defined() {
    let shop = Shop::new();
    let customer = shop.order(1, day(0), 5_000);
    let mut scorer = scorer(&[Attribute::Spend]);
    assert_eq!(shop.crm.score(&mut scorer, day(1)).unwrap().scored, 1);
    let mut ours = crm::Grants::all();
    ours.features = crm::Names::these(["orders"]);
    shop.crm.define(day(2), Definition::Grants(PluginName::new("worth").unwrap(), Some(Box::new(ours)))).unwrap();
    let report = shop.crm.score(&mut scorer, day(2)).unwrap();
    assert_eq!((report.scored, report.without), (0, 1), "it has nothing to go by");
    let scores = shop.crm.story(customer).unwrap().unwrap().scores;
    assert_eq!(scores.iter().map(|score| score.at).collect::<Vec<_>>(), [day(1)]);
}

#[test]
fn what_a_scorer_is_not_granted_any_more_it_is_not_shown_of_the_past_either() {
    for asked in [false, true] {
        let shop = Shop::new();
        if asked {
            shop.ask();
        }
        let customer = shop.order(1, day(0), 5_000);
        let mut ours = crm::Grants::all();
        ours.features = crm::Names::these(["orders"]);
        shop.crm.define(day(20), Definition::Grants(PluginName::new("worth").unwrap(), Some(Box::new(ours)))).unwrap();
        let report = shop.crm.score(&mut scorer(&[Attribute::Spend]), day(1)).unwrap();
        assert_eq!((report.scored, report.without), (0, 1));
        let run = shop.crm.score_run(&nightly(), &stamp("1"), day(2)).unwrap();
        while shop.crm.score_step(&run, &mut scorer(&[Attribute::Spend])).unwrap().is_some() {}
        assert_eq!(run.progress().report.without, 1);
        // What it was given is what is shown.
        let mut both = scorer(&[Attribute::Orders]);
        assert_eq!(shop.crm.score(&mut both, day(3)).unwrap().scored, 1);
        let why = shop.crm.explain_score(customer, &worth()).unwrap().unwrap();
        assert_eq!(why.inputs.unwrap(), [(Attribute::Orders, Some(1))]);
    }
}

#[test]
fn whoever_objects_to_what_a_scorer_is_for_is_left_out() {
    for asked in [false, true] {
        let shop = Shop::new();
        if asked {
            shop.ask();
        }
        let purpose = crm::Purpose::new("campaigns").unwrap();
        let mut policy = crm::ConsentPolicy::default();
        policy.purposes.push(crm::PurposeRule { profiling: false, ..crm::PurposeRule::marketing(purpose.clone()) });
        shop.crm.define(day(0), Definition::Consent(policy)).unwrap();
        let (ana, ben) = (shop.order(1, day(0), 5_000), shop.order(2, day(0), 5_000));
        shop.tell(2, day(1), Objected { to: Objection::Marketing });
        let mut for_anything = scorer(&[Attribute::Spend]);
        assert_eq!(
            shop.crm.score(&mut for_anything, day(2)).unwrap().scored,
            2,
            "an objection to marketing is none to scores"
        );
        let mut grants = crm::Grants::all();
        grants.purpose = Some(purpose);
        shop.crm.define(day(0), Definition::Grants(PluginName::new("worth").unwrap(), Some(Box::new(grants)))).unwrap();
        let mut for_campaigns = scorer(&[Attribute::Spend]);
        let report = shop.crm.score(&mut for_campaigns, day(3)).unwrap();
        assert_eq!((report.scored, report.skipped), (1, 1));
        assert_eq!(*for_campaigns.asked.lock().unwrap(), [ana]);
        assert_eq!(shop.kept(ben).last().unwrap().0, day(2));
    }
}
