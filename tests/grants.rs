//! What plugins are granted, who customers are to them, and what they look up.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

mod own;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crm::blocking::Crm;
use crm::{
    AuditAction, AuditActor, AwardPoints, Barred, CardUpdate, Command, ConsentPolicy, Deed, Definition, Field,
    FieldName, FieldValue, Grants, Identities, Incoming, Ingestion, LookupKey, LookupSource, Names, Objected,
    Objection, PluginName, Purpose, PurposeRule, Restricted, RestrictionLifted, SmolStr, SourceFailed, SourceName,
    Span, Tag, TenantId, View, ViewName, WorkflowReply,
};
use own::{Own, ana, ask, day, deeds, faults, messages, order, points, shop_of, somebody, source, tell, visit};

fn award(points_given: i64) -> Command {
    let reason = "hello".parse().unwrap();
    Command::AwardPoints(AwardPoints { program: points(), points: points_given, reason })
}

fn tag(tag: &str) -> Command {
    Command::AddTag(Tag::new(tag).unwrap())
}

/// What the audit log has of plugins: who was kept from what.
fn refusals(crm: &Crm) -> Vec<(String, String)> {
    let records = crm.audit_log(None, 1_000).unwrap().records;
    let refusal = |record: &crm::AuditRecord| match (record.entry.by(), record.entry.action()) {
        (AuditActor::Plugin(plugin), AuditAction::PluginRefused) => {
            let (_, what) = record.entry.details().find(|(name, _)| name.as_str() == "what")?;
            let crm::Detail::Text(what) = what else { return None };
            Some((plugin.as_str().to_owned(), what.as_str().to_owned()))
        }
        _ => None,
    };
    let found = records.iter().filter_map(refusal).collect();
    crm.verify_audit(&[], &[]).unwrap();
    found
}

fn named(plugin: &str, what: &str) -> (String, String) {
    (plugin.to_owned(), what.to_owned())
}

#[test]
fn an_action_that_is_not_granted_is_refused_recorded_and_audited_once_and_the_others_are_carried_out() {
    let eager = Own::new("eager", &["visited"], |_| {
        ask(vec![tag("wb-1"), tag("vip"), tag("king"), tell("offer"), award(5), tag("wb-2")])
    });
    let mut grants = Grants::none();
    grants.events = Names::these(["visited"]);
    grants.actions = Names::these(["add_tag", "notify"]);
    grants.tags = Names::these(["wb-*"]);
    grants.topics = Names::these(["alert"]);
    let (_, crm) = shop_of(crm::Crm::builder().workflow_granted(eager, grants));
    crm.record(visit(day(0))).unwrap();
    let customer = crm.customer(ana()).unwrap().unwrap();
    let tags: Vec<&str> = customer.tags().map(|tag| tag.as_str()).collect();
    assert_eq!(tags, ["wb-1", "wb-2"]);
    assert_eq!((messages(&crm), customer.book(&points()).is_none()), (0, true));
    let not_granted = [
        "not granted: the tag of the action add_tag",
        "not granted: the tag of the action add_tag",
        "not granted: the topic of the action notify",
        "not granted: the action award_points",
    ];
    assert_eq!(faults(&crm), not_granted);
    let audited = ["add_tag", "award_points", "notify"].map(|what| named("eager", what));
    assert_eq!(refusals(&crm), audited, "one of each kind in a commit");
}

#[test]
fn a_kind_of_event_that_is_not_granted_is_never_delivered() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let curious = Own::new("curious", &["visited", "order_placed", "points_posted"], move |call| {
        log.lock().unwrap().push(call.trigger.kind.to_string());
        ask(Vec::new())
    });
    let mut grants = Grants::all();
    grants.events = Names::these(["order_*"]);
    let (_, crm) = shop_of(crm::Crm::builder().workflow_granted(curious, grants));
    crm.record(visit(day(0).minus(Span::days(1)))).unwrap();
    crm.record(order(day(0), 50)).unwrap();
    assert_eq!(*heard.lock().unwrap(), ["order_placed"]);
    let [installed] = &crm.plugins().unwrap()[..] else { panic!() };
    assert_eq!(installed.missing.events, ["visited", "points_posted"]);
}

#[test]
fn what_is_defined_narrows_what_was_installed_from_its_instant_on_and_widens_nothing() {
    let loud = Own::new("loud", &["visited"], |_| ask(vec![tell("hello"), tag("seen")]));
    let mut installed = Grants::all();
    installed.actions = Names::these(["notify"]);
    let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(loud, installed));
    let name = PluginName::new("loud").unwrap();
    let mut defined = Grants::all();
    defined.topics = Names::none();
    crm.define(day(10), Definition::Grants(name.clone(), Some(Box::new(defined)))).unwrap();
    crm.define(day(20), Definition::Grants(name, None)).unwrap();
    for (at, told) in [(0, 1), (10, 1), (20, 2)] {
        clock.set(day(at));
        crm.record(visit(day(at))).unwrap();
        assert_eq!(messages(&crm), told, "on day {at}");
    }
    assert!(!crm.customer(ana()).unwrap().unwrap().has_tag(&Tag::new("seen").unwrap()));
    assert_eq!(faults(&crm).len(), 3 + 1);
    let changed = |record: &crm::AuditRecord| matches!(record.entry.action(), AuditAction::PolicyChanged);
    assert_eq!(crm.audit_log(None, 99).unwrap().records.iter().filter(|record| changed(record)).count(), 2);
}

#[test]
fn messages_are_counted_by_customer_and_day_and_what_went_before_the_limit_stands() {
    let chatty = Own::new("chatty", &["visited"], |_| ask(vec![tell("one"), tell("two")]));
    let mut grants = Grants::all();
    grants.limits.messages_a_day = Some(3);
    let store: Arc<dyn crm::Store> = Arc::new(crm::MemoryStore::new());
    let (clock, crm) = shop_of(crm::Crm::builder().shared_store(store).workflow_granted(chatty, grants));
    let visit_on = |hour: u64| {
        let at = day(0).plus(Span::millis(hour * 3_600_000));
        clock.set(at);
        crm.record(visit(at)).unwrap();
        messages(&crm)
    };
    assert_eq!((visit_on(1), visit_on(2), visit_on(3)), (2, 3, 3));
    let refused = vec!["not granted: more than 3 messages a day"; 3];
    assert_eq!(faults(&crm), refused);
    assert_eq!(visit_on(25), 5, "a day later it has three again");
    // The count is in the state, and the state is a fold: nobody gains by having it folded anew.
    let story = crm.story(ana()).unwrap().unwrap();
    let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
    let definitions = crm.definitions().unwrap();
    let clock = story.customer.clock().unwrap();
    let replayed = crm::Customer::replay(story.customer.id(), events, clock, &definitions);
    let chatty = PluginName::new("chatty").unwrap();
    assert_eq!(replayed.plugin(&chatty), story.customer.plugin(&chatty));
    let standing = crm.explain_plugin(ana(), &chatty).unwrap().unwrap();
    assert_eq!((standing.today.messages(), standing.exhausted), (2, false));
}

#[test]
fn points_are_limited_for_each_event_and_for_the_day() {
    let giving = Own::new("giving", &["visited"], |_| ask(vec![award(40), award(40), award(10)]));
    let mut grants = Grants::all();
    grants.limits.points_an_event = Some(60);
    grants.limits.points_a_day = Some(90);
    let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(giving, grants));
    clock.set(day(1).plus(Span::millis(9)));
    let balance = || crm.customer(ana()).unwrap().unwrap().book(&points()).unwrap().balance();
    crm.record(visit(day(1).plus(Span::millis(1)))).unwrap();
    assert_eq!(balance(), 50, "forty, not eighty, and ten more");
    crm.record(visit(day(1).plus(Span::millis(2)))).unwrap();
    assert_eq!(balance(), 50 + 40);
    assert_eq!(
        faults(&crm),
        [
            "not granted: more than 60 points an event",
            "not granted: more than 60 points an event",
            "not granted: more than 90 points a day"
        ]
    );
    assert_eq!(refusals(&crm).len(), 3);
}

#[test]
fn points_for_one_event_are_limited_whatever_reactions_are_in_between() {
    // It is given so much for a visit, and would get it once for each tag that it puts on.
    let relay = Own::new("relay", &["visited", "tag_added"], |call| match call.trigger.kind.as_str() {
        "visited" => ask((0..5).map(|n| tag(&format!("t-{}-{n}", call.customer.facts().visits()))).collect()),
        _ => ask(vec![award(40)]),
    });
    let mut grants = Grants::all();
    grants.limits.points_an_event = Some(60);
    let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(relay, grants));
    for n in 1..=2 {
        clock.set(day(0).plus(Span::millis(n)));
        crm.record(visit(day(0).plus(Span::millis(n)))).unwrap();
        assert_eq!(crm.customer(ana()).unwrap().unwrap().book(&points()).unwrap().balance(), 40 * i128::from(n));
    }
    assert_eq!(faults(&crm), vec!["not granted: more than 60 points an event"; 8]);
}

fn profiling() -> Purpose {
    Purpose::new("recommendations").unwrap()
}

#[test]
fn whoever_is_restricted_or_objects_is_left_alone_and_explain_says_why() {
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let profiler = Own::new("profiler", &["visited"], move |_| {
        *counted.lock().unwrap() += 1;
        ask(vec![tell("offer")])
    });
    let mut grants = Grants::all();
    grants.purpose = Some(profiling());
    let (_, crm) = shop_of(crm::Crm::builder().workflow_granted(profiler, grants));
    let mut policy = ConsentPolicy::default();
    policy.purposes.push(PurposeRule { marketing: false, profiling: true, ..PurposeRule::marketing(profiling()) });
    crm.define(day(0).minus(Span::days(99)), Definition::Consent(policy)).unwrap();
    let at = |n: u64| day(0).minus(Span::millis(100 - n));
    let told = |n: u64, fact: crm::Fact| {
        crm.record(Incoming::new(ana(), at(n), source(), fact)).unwrap();
        crm.record(visit(at(n + 1))).unwrap();
        *calls.lock().unwrap()
    };
    let why = || {
        let name = PluginName::new("profiler").unwrap();
        crm.explain_plugin(ana(), &name).unwrap().unwrap().barred.map(|barred| barred.reason())
    };
    crm.record(visit(at(0))).unwrap();
    assert_eq!((*calls.lock().unwrap(), why()), (1, None));
    assert_eq!(told(10, Objected { to: Objection::Marketing }.into()), 2, "it is no marketing");
    assert_eq!(told(20, Objected { to: Objection::Profiling }.into()), 2);
    assert_eq!(why(), Some("objected"));
    assert!(refusals(&crm).is_empty());
    assert_eq!(told(30, crm::ObjectionWithdrawn { to: Objection::Profiling }.into()), 3);
    assert_eq!(told(40, Restricted { reason: None }.into()), 3);
    assert_eq!(why(), Some("restricted"));
    assert_eq!(refusals(&crm), [named("profiler", "restricted")]);
    assert_eq!(told(50, RestrictionLifted { reason: None }.into()), 4);
    assert_eq!((messages(&crm), faults(&crm).len()), (4, 0));
}

#[test]
fn a_purpose_that_nobody_defined_bars_everybody() {
    let mut grants = Grants::all();
    grants.purpose = Some(Purpose::new("whatever").unwrap());
    let (_, crm) = shop_of(
        crm::Crm::builder().workflow_granted(Own::new("vague", &["visited"], |_| ask(vec![tell("offer")])), grants),
    );
    crm.record(visit(day(0))).unwrap();
    assert_eq!(messages(&crm), 0);
    let standing = crm.explain_plugin(ana(), &PluginName::new("vague").unwrap()).unwrap().unwrap();
    assert!(matches!(standing.barred, Some(Barred::UnknownPurpose { .. })));
}

type Seen = Arc<Mutex<Vec<(String, String, u64)>>>;

/// Notes what the customer and the event are called to it.
fn observer(name: &str, seen: &Seen) -> Own {
    let seen = Arc::clone(seen);
    Own::new(name, &["visited"], move |call| {
        let names = (call.customer_name().to_string(), call.event_name().to_string(), call.seed());
        seen.lock().unwrap().push(names);
        ask(Vec::new())
    })
}

#[test]
fn a_customer_is_always_called_the_same_to_one_plugin_and_nothing_in_common_to_another() {
    let (one, other, plain) = (Seen::default(), Seen::default(), Seen::default());
    let mut grants = Grants::all();
    grants.identities = Identities::Plain;
    let builder = crm::Crm::builder().lookup_key(LookupKey::new(&[7; 32]));
    let builder = builder.workflow(observer("one", &one)).workflow(observer("other", &other));
    let (_, crm) = shop_of(builder.workflow_granted(observer("plain", &plain), grants));
    let first = crm.record(visit(day(0).minus(Span::millis(2)))).unwrap();
    let second = crm.record(visit(day(0).minus(Span::millis(1)))).unwrap();
    let (one, other, plain) = (one.lock().unwrap(), other.lock().unwrap(), plain.lock().unwrap());
    assert_eq!(one[0].0, one[1].0);
    assert_eq!(one[0].0.len(), 32);
    let linked = |this: &(String, String, u64), that: &(String, String, u64)| {
        this.0 == that.0 || this.1 == that.1 || this.2 == that.2
    };
    for this in one.iter() {
        assert!(!other.iter().any(|that| linked(this, that)), "{this:?} {other:?}");
        assert!(this.0 != first.customer.to_string() && this.1 != first.event.to_string());
    }
    assert_eq!(plain[1].0, second.customer.to_string());
    assert_eq!(plain[1].1, second.event.to_string());
    // Without the secret nobody can tell: the same customer of a shop with another one has another name.
    let elsewhere = Seen::default();
    let builder = crm::Crm::builder().lookup_key(LookupKey::new(&[8; 32])).workflow(observer("one", &elsewhere));
    let (_, crm) = shop_of(builder);
    crm.record(visit(day(0))).unwrap();
    assert_ne!(elsewhere.lock().unwrap()[0].0, one[0].0);
}

#[test]
fn whoever_was_merged_is_called_what_the_survivor_is() {
    let seen = Seen::default();
    let (clock, crm) = shop_of(crm::Crm::builder().workflow(observer("one", &seen)));
    let ana = crm.record(visit(day(0))).unwrap().customer;
    let bob = |at| {
        let visited = crm::Visited { channel: crm::Channel::Web, place: None };
        crm.record(Incoming::new(somebody("bob"), at, source(), visited)).unwrap().customer
    };
    let bob_id = bob(day(0));
    let merged = crm.merge(ana, bob_id, "one person".parse().unwrap()).unwrap();
    clock.set(day(1));
    crm.record(visit(day(1))).unwrap();
    bob(day(1));
    let seen = seen.lock().unwrap();
    let survivor = if merged.customer == ana { &seen[0].0 } else { &seen[1].0 };
    assert_ne!(seen[0].0, seen[1].0);
    assert_eq!((&seen[2].0, &seen[3].0), (survivor, survivor));
}

// ---- the card ----

#[test]
fn of_the_card_a_plugin_sees_what_it_asks_for_and_its_view_shows_and_each_look_is_audited() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let reader = Own::new("reader", &["visited"], move |call| {
        let fields = call.card().map(|card| card.fields().map(|field| field.name().to_string()).collect::<Vec<_>>());
        log.lock().unwrap().push(fields);
        ask(vec![tell("seen")])
    });
    let reader = reader.seeing(&[Field::Language, Field::Birthday]);
    let mut grants = Grants::all();
    let view = ViewName::new("greeting").unwrap();
    grants.view = Some(view.clone());
    let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(reader, grants));
    let shown = View::of([Field::Language, Field::Name]);
    crm.define(day(1), Definition::View(view, Some(shown))).unwrap();
    let customer = crm.record(visit(day(0))).unwrap().customer;
    let update = CardUpdate::new()
        .language(crm::Language::new("pt").unwrap())
        .employer(crm::CardLine::new("Baker Street").unwrap());
    crm.update_card(customer, update, &source(), day(0)).unwrap();
    clock.set(day(1));
    crm.record(visit(day(1))).unwrap();
    assert_eq!(*seen.lock().unwrap(), [None, Some(vec!["language".to_owned()])], "the view came on day 1");
    assert_eq!(messages(&crm), 2);
    let read = |record: &&crm::AuditRecord| matches!(record.entry.action(), AuditAction::PersonalRead { .. });
    let log = crm.audit_log(None, 99).unwrap().records;
    let reads: Vec<_> = log.iter().filter(read).map(|record| record.entry.by().clone()).collect();
    assert_eq!(reads, [AuditActor::Plugin(PluginName::new("reader").unwrap())]);
    let [installed] = &crm.plugins().unwrap()[..] else { panic!() };
    assert_eq!(installed.missing.fields, [Field::Birthday]);
}

// ---- look-ups ----

/// Pieces in stock, which are one fewer each time somebody asks.
#[derive(Debug, Default)]
struct Stock {
    asked: Arc<Mutex<Vec<Vec<String>>>>,
    broken: bool,
}

#[async_trait]
impl LookupSource for Stock {
    async fn fetch(
        &self,
        _: &TenantId,
        field: &FieldName,
        keys: &[SmolStr],
    ) -> Result<Vec<Option<FieldValue>>, SourceFailed> {
        if self.broken {
            return Err(SourceFailed);
        }
        let mut asked = self.asked.lock().unwrap();
        asked.push(keys.iter().map(SmolStr::to_string).collect());
        let left = 100 - asked.len() as i64;
        let pieces = |key: &SmolStr| (key != "unknown" && field.as_str() == "pieces").then_some(FieldValue::Int(left));
        Ok(keys.iter().map(pieces).collect())
    }
}

fn stock() -> SourceName {
    SourceName::new("stock").unwrap()
}

fn pieces() -> FieldName {
    "pieces".parse().unwrap()
}

/// Tells how many pieces of two things there are, and of one that there is not.
fn keeper(listens: &'static [&'static str]) -> Own {
    Own::new("keeper", listens, |call| {
        let first = call.look_up(&stock(), &pieces(), &["bicycle", "unknown"])?;
        let second = call.look_up(&stock(), &pieces(), &["bicycle", "bell"])?;
        let value = |value: &Option<FieldValue>| value.clone().unwrap_or(FieldValue::Bool(false));
        let all = [&first[0], &first[1], &second[0], &second[1]].map(value);
        let named = all.into_iter().zip(["a", "b", "c", "d"]).map(|(value, name)| (name.parse().unwrap(), value));
        ask(vec![Command::Notify { topic: "stock".parse().unwrap(), fields: named.collect() }])
    })
}

/// What the host was told, each in the order of the names.
fn told(crm: &Crm) -> Vec<Vec<FieldValue>> {
    let mut told = Vec::new();
    crm.deliver(day(999), |delivery| {
        let fields: BTreeMap<_, _> = delivery.fields.clone().into_iter().collect();
        told.push(fields.into_values().collect());
        crm::Delivered::Done
    })
    .unwrap();
    told
}

fn looked_up(crm: &Crm) -> Vec<crm::LookedUp> {
    let looked = |deed| match deed {
        Deed::LookedUp(looked) => Some(looked),
        _ => None,
    };
    deeds(crm).into_iter().filter_map(looked).collect()
}

#[test]
fn what_a_workflow_looks_up_is_fetched_once_for_a_plan_and_recorded() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let source = Stock { asked: Arc::clone(&asked), broken: false };
    let builder = crm::Crm::builder().lookup_source(stock(), source).workflow(keeper(&["visited", "order_placed"]));
    let (clock, crm) = shop_of(builder);
    crm.record(visit(day(0))).unwrap();
    let int = FieldValue::Int;
    let once = vec![int(99), FieldValue::Bool(false), int(99), int(98)];
    assert_eq!(told(&crm), [once], "the bicycle is the same each time");
    assert_eq!(*asked.lock().unwrap(), [vec!["bicycle", "unknown"], vec!["bell"]], "and was asked for once");
    let recorded = looked_up(&crm);
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0].values, [Some(int(99)), None]);
    assert_eq!(recorded[0].keys[0], recorded[1].keys[0], "the same key has the same hash");
    let bodies = crm.story(ana()).unwrap().unwrap().events.into_iter().map(|event| event.body.encode());
    assert!(bodies.map(|body| String::from_utf8(body).unwrap()).all(|body| !body.contains("bicycle")));
    assert!(faults(&crm).is_empty());

    // By whatever way it comes: in a batch, as an order of somebody who is there, and with the passing of time.
    clock.set(day(1));
    let report = crm.ingest([order(day(1), 50)], Ingestion::live()).unwrap();
    assert_eq!((report.recorded, told(&crm).len()), (1, 1));
}

#[test]
fn what_time_brings_and_what_the_shop_commands_may_be_looked_up_for_too() {
    let listens = &["stage_changed", "tag_added"];
    let (clock, crm) = shop_of(crm::Crm::builder().lookup_source(stock(), Stock::default()).workflow(keeper(listens)));
    let customer = crm.record(order(day(0), 50)).unwrap().customer;
    assert_eq!(told(&crm).len(), 1, "somebody new has a stage");
    crm.execute(customer, tag("vip"), "once").unwrap();
    assert_eq!(told(&crm).len(), 1);
    clock.set(day(999));
    crm.advance(day(999)).unwrap();
    assert_eq!(told(&crm).len(), 1, "they have gone");
    assert!(faults(&crm).is_empty(), "{:?}", faults(&crm));
}

#[test]
fn a_source_that_fails_is_a_fault_of_the_call_and_the_fact_stays() {
    let broken = Stock { broken: true, ..Stock::default() };
    let (_, crm) = shop_of(crm::Crm::builder().lookup_source(stock(), broken).workflow(keeper(&["order_placed"])));
    crm.record(order(day(0), 50)).unwrap();
    assert_eq!(crm.customer(ana()).unwrap().unwrap().book(&points()).unwrap().balance(), 50);
    assert_eq!((faults(&crm), messages(&crm)), (vec!["the source stock failed".to_owned()], 0));
}

#[test]
fn a_source_that_is_not_granted_or_not_there_is_not_asked() {
    let mut grants = Grants::all();
    grants.lookups = Names::these(["prices"]);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let source = || Stock { asked: Arc::clone(&asked), broken: false };
    let builder = crm::Crm::builder().lookup_source(stock(), source());
    let (_, crm) = shop_of(builder.workflow_granted(keeper(&["visited"]), grants));
    crm.record(visit(day(0))).unwrap();
    assert_eq!(faults(&crm), ["not granted: a look-up in a source"]);
    assert_eq!(refusals(&crm), [named("keeper", "look_up")]);

    let elsewhere = SourceName::new("prices").unwrap();
    let builder = crm::Crm::builder().lookup_source(elsewhere, source());
    let (_, crm) = shop_of(builder.workflow(keeper(&["visited"])));
    crm.record(visit(day(0))).unwrap();
    assert_eq!(faults(&crm), ["a look-up in a source that is not there"]);
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn a_workflow_that_always_wants_to_know_more_is_stopped() {
    let endless = Own::new("endless", &["visited"], |call| {
        for n in 0..1_000 {
            call.look_up(&stock(), &pieces(), &[&format!("thing {n}")])?;
        }
        ask(vec![tell("never")])
    });
    let asked = Arc::new(Mutex::new(Vec::new()));
    let source = Stock { asked: Arc::clone(&asked), broken: false };
    let (_, crm) = shop_of(crm::Crm::builder().lookup_source(stock(), source).workflow(endless));
    crm.record(visit(day(0))).unwrap();
    assert_eq!(faults(&crm), ["more than 8 rounds of look-ups"]);
    assert_eq!(asked.lock().unwrap().len(), 8);
    assert_eq!(looked_up(&crm).len(), 8, "what it did see is recorded with the fault");
}

#[test]
fn too_many_keys_and_too_long_ones_are_refused_before_anybody_is_asked() {
    for (count, bytes) in [(crm::LOOKUP_KEYS_MAX + 1, 1), (1, crm::LOOKUP_KEY_BYTES_MAX + 1)] {
        let greedy = Own::new("greedy", &["visited"], move |call| {
            let key = "x".repeat(bytes);
            call.look_up(&stock(), &pieces(), &vec![key.as_str(); count])?;
            ask(Vec::new())
        });
        let asked = Arc::new(Mutex::new(Vec::new()));
        let source = Stock { asked: Arc::clone(&asked), broken: false };
        let (_, crm) = shop_of(crm::Crm::builder().lookup_source(stock(), source).workflow(greedy));
        crm.record(visit(day(0))).unwrap();
        assert_eq!(faults(&crm), ["a look-up of too many keys, or of one too long"]);
        assert!(asked.lock().unwrap().is_empty());
    }
}

#[test]
fn what_a_plugin_keeps_is_forgotten_with_the_person() {
    let keeping = Own::new("keeping", &["visited"], |_| {
        Ok(WorkflowReply { commands: Vec::new(), memory: Some(b"ana likes blue".to_vec()) })
    });
    let (_, crm) = shop_of(crm::Crm::builder().workflow(keeping));
    let customer = crm.record(visit(day(0))).unwrap().customer;
    let name = PluginName::new("keeping").unwrap();
    assert_eq!(crm.customer(customer).unwrap().unwrap().memory(&name), b"ana likes blue");
    crm.erase(customer).unwrap();
    assert!(crm.customer(customer).unwrap().is_none_or(|customer| customer.memory(&name).is_empty()));
}

#[cfg(feature = "plugins")]
mod wasm {
    use super::*;
    use crm::plugins::{Entry, Host, Limits, PluginError, WasmScorer, WasmWorkflow};
    use std::time::Duration;

    /// A host whose deadline no healthy guest meets, also on a busy machine.
    fn host() -> Host {
        let mut limits = Limits::default();
        limits.deadline = Duration::from_secs(5);
        Host::new(limits).unwrap()
    }

    /// A workflow written by hand: `handle` is the body of its function, whose answer is no action, and the memory of
    /// which the address stands at 76 and the length at 80. `parts` are more fields of the module.
    fn guest(manifest: &str, parts: &str, handle: &str) -> WasmWorkflow {
        load(manifest, parts, handle).unwrap()
    }

    fn load(manifest: &str, parts: &str, handle: &str) -> Result<WasmWorkflow, PluginError> {
        let manifest = format!(r#"{{"api":"0.1","version":"1","events":["visited"],{manifest}}}"#);
        let manifest = manifest.replace('"', "\\\"");
        let workflow = "crm:plugin/workflow@0.1.0";
        let text = format!(
            r#"(module
            {parts}
            (@custom "crm:manifest" "{manifest}")
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 4096))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "{workflow}#configure") (param i32 i32) (result i32) (i32.const 16))
            (func (export "{workflow}#handle")
                (param i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32)
                {handle}
                (i32.const 64)))"#
        );
        WasmWorkflow::load(&host(), &wat::parse_str(text).unwrap(), &[])
    }

    /// Remembers one zero for each entry that it is given of the customer.
    const COUNTS: &str = "(i32.store (i32.const 76) (i32.const 64)) (i32.store (i32.const 80) (local.get 9))";

    /// Remembers the text of the first entry that it is given of the customer.
    const FIRST: &str = "(i32.store (i32.const 76) (i32.load (i32.add (local.get 8) (i32.const 16))))
        (i32.store (i32.const 80) (i32.load (i32.add (local.get 8) (i32.const 20))))";

    /// Remembers the id of the event.
    const ID: &str = "(i32.store (i32.const 76) (local.get 0)) (i32.store (i32.const 80) (local.get 1))";

    fn memory(crm: &Crm, plugin: &str) -> Vec<u8> {
        crm.customer(ana()).unwrap().unwrap().memory(&PluginName::new(plugin).unwrap()).to_vec()
    }

    #[test]
    fn a_feature_that_is_not_granted_is_not_there() {
        let manifest = r#""name":"counts","features":["spend","customer","stage","orders"]"#;
        let mut grants = Grants::all();
        grants.features = Names::these(["stage", "orders"]);
        let mut blind = Grants::all();
        blind.features = Names::none();
        for (grants, count) in [(Grants::all(), 4), (grants, 2), (blind, 0)] {
            let (_, crm) = shop_of(crm::Crm::builder().workflow_granted(guest(manifest, "", COUNTS), grants));
            crm.record(visit(day(0))).unwrap();
            assert_eq!((memory(&crm, "counts").len(), faults(&crm)), (count, Vec::<String>::new()));
        }
    }

    #[test]
    fn a_guest_is_given_a_pseudonym_for_the_customer_and_another_one_than_the_next_guest() {
        let names = |name: &str| format!(r#""name":"{name}","features":["customer"]"#);
        let ids = r#""name":"ids""#;
        let mut plain = Grants::all();
        plain.identities = Identities::Plain;
        let builder = crm::Crm::builder().workflow(guest(&names("one"), "", FIRST));
        let builder = builder.workflow(guest(&names("other"), "", FIRST)).workflow(guest(ids, "", ID));
        let (_, crm) = shop_of(builder.workflow_granted(guest(&names("plain"), "", FIRST), plain));
        let recorded = crm.record(visit(day(0))).unwrap();
        let (one, other) = (memory(&crm, "one"), memory(&crm, "other"));
        assert!(one != other && one.len() == 32 && other.len() == 32, "{:?}", faults(&crm));
        assert_eq!(memory(&crm, "plain"), recorded.customer.to_string().into_bytes());
        let id = memory(&crm, "ids");
        assert!(id.len() == 32 && id != recorded.event.to_string().into_bytes());
    }

    #[test]
    fn a_guest_looks_things_up_where_that_is_granted() {
        let manifest = r#""name":"keeper","lookups":["stock"]"#;
        let parts = r#"(import "crm:plugin/lookup@0.1.0" "fetch"
                (func $fetch (param i32 i32 i32 i32 i32 i32 i32)))
            (data (i32.const 512) "stock") (data (i32.const 560) "pieces") (data (i32.const 1024) "bicycle")
            (data (i32.const 640) "\00\04\00\00\07\00\00\00")"#;
        let handle =
            "(call $fetch (i32.const 512) (i32.const 5) (i32.const 640) (i32.const 1) (i32.const 560) (i32.const 6)
                (i32.const 900))
            (i32.store (i32.const 76) (i32.load (i32.const 904)))
            (i32.store (i32.const 80) (i32.mul (i32.load (i32.const 908)) (i32.const 16)))";
        let asked = Arc::new(Mutex::new(Vec::new()));
        let builder = || {
            let source = Stock { asked: Arc::clone(&asked), broken: false };
            crm::Crm::builder().lookup_source(stock(), source)
        };
        let (_, crm) = shop_of(builder().workflow(guest(manifest, parts, handle)));
        crm.record(visit(day(0))).unwrap();
        // A value takes 16 bytes: its case, which is 2 for a whole number, and from the eighth byte on what it is.
        let value = memory(&crm, "keeper");
        assert_eq!(value.len(), 16, "{:?}", faults(&crm));
        assert_eq!((value[0], &value[8..]), (2, &99_i64.to_le_bytes()[..]));
        assert_eq!((looked_up(&crm).len(), asked.lock().unwrap().len()), (1, 1));

        let mut grants = Grants::all();
        grants.lookups = Names::none();
        let (_, crm) = shop_of(builder().workflow_granted(guest(manifest, parts, handle), grants));
        crm.record(visit(day(0))).unwrap();
        assert_eq!(faults(&crm), ["not granted: a look-up in a source"]);
        assert_eq!((refusals(&crm), asked.lock().unwrap().len()), (vec![named("keeper", "look_up")], 1));
    }

    #[test]
    fn a_guest_sees_the_fields_of_the_card_that_its_view_shows() {
        let manifest = r#""name":"reader","fields":["language","employer"]"#;
        let mut grants = Grants::all();
        let view = ViewName::new("greeting").unwrap();
        grants.view = Some(view.clone());
        let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(guest(manifest, "", FIRST), grants));
        crm.define(day(0), Definition::View(view, Some(View::of([Field::Language])))).unwrap();
        let bare = crm::Visited { channel: crm::Channel::Web, place: None };
        let order = crm.record(order(day(0), 5)).unwrap();
        let update = CardUpdate::new()
            .language(crm::Language::new("pt").unwrap())
            .employer(crm::CardLine::new("Baker Street").unwrap());
        crm.update_card(order.customer, update, &source(), day(0)).unwrap();
        clock.set(day(1));
        crm.record(Incoming::new(order.customer, day(1), source(), bare)).unwrap();
        assert_eq!((memory(&crm, "reader"), faults(&crm)), (b"pt".to_vec(), Vec::new()));
    }

    #[test]
    fn a_guest_that_never_ends_is_stopped_and_the_fact_stays() {
        let manifest = r#""name":"endless""#;
        let (_, crm) = shop_of(crm::Crm::builder().workflow(guest(manifest, "", "(loop $ever (br $ever))")));
        crm.record(visit(day(0))).unwrap();
        let stopped = faults(&crm);
        assert!(stopped == ["fuel"] || stopped == ["deadline"], "{stopped:?}");
        // Which of the two it was is recorded, and whatever is folded anew goes by that.
        crm.refresh().unwrap();
        assert_eq!(faults(&crm), stopped);
    }

    #[test]
    fn the_winback_plugin_does_as_much_as_it_is_granted() {
        let mut grants = Grants::all();
        grants.limits.points_an_event = Some(99);
        grants.topics = Names::none();
        let wasm = guest_build::build("winback").unwrap();
        let workflow = WasmWorkflow::load(&host(), &wasm, &[Entry::new("spend_above", 3_000_i64)]).unwrap();
        let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(workflow, grants));
        crm.record(order(day(0), 50)).unwrap();
        clock.set(day(200));
        crm.advance(day(200)).unwrap();
        let has_tag = || crm.customer(ana()).unwrap().unwrap().has_tag(&Tag::new("win-back").unwrap());
        assert!(has_tag());
        crm.record(order(day(200), 10)).unwrap();
        assert!(!has_tag());
        assert_eq!(
            faults(&crm),
            ["not granted: the topic of the action notify", "not granted: more than 99 points an event"]
        );
        let audited = [named("winback", "notify"), named("winback", "points_an_event")];
        assert_eq!(refusals(&crm), audited, "by the passing of time too");
        let [installed] = &crm.plugins().unwrap()[..] else { panic!() };
        assert_eq!((installed.asks.features.len(), installed.missing.features.len()), (3, 0));
    }

    #[test]
    fn a_feature_that_is_not_granted_is_missing_for_every_customer_that_is_scored() {
        let wasm = guest_build::build("churn").unwrap();
        let mut all = WasmScorer::load(&host(), &wasm, &[]).unwrap();
        let asked = crm::Scorer::attributes(&all).len();
        let mut grants = Grants::none();
        let mut none = WasmScorer::load_granted(&host(), &wasm, &[], &grants).unwrap();
        assert_eq!((asked > 0, crm::Scorer::attributes(&none).len()), (true, 0));
        let (_, crm) = shop_of(crm::Crm::builder());
        crm.record(order(day(0), 50)).unwrap();
        assert_eq!(crm.score(&mut all, day(120)).unwrap().scored, 1);
        let blind = crm.score(&mut none, day(121)).unwrap();
        assert_eq!((blind.failed, blind.scored + blind.without), (0, 1));
        grants.features = Names::these(["recency_*"]);
        assert_eq!(crm::Scorer::attributes(&WasmScorer::load_granted(&host(), &wasm, &[], &grants).unwrap()).len(), 1);
    }

    /// Workflows are told of every fact, of every change, of scores, of decisions that an action asks for, and of one
    /// decision besides.
    #[test]
    fn there_is_nothing_that_workflows_are_told_of_and_a_guest_cannot_listen_to() {
        let decisions = crm::Deed::KINDS.iter().filter(|(_, action)| action.is_some()).map(|(kind, _)| *kind);
        let decisions = decisions.chain(["points_reminded"]);
        let others = crm::Fact::KINDS.iter().chain(crm::ChangeBody::KINDS).copied();
        let told: BTreeSet<&str> = others.chain(decisions).chain(["scored"]).collect();
        assert_eq!(crm::plugins::EVENTS.into_iter().collect::<BTreeSet<_>>(), told);
        assert_eq!(crm::plugins::EVENTS.len(), told.len(), "each once");
    }

    #[test]
    fn scorers_are_listed_beside_workflows_and_explained_with_what_each_was_granted() {
        let wasm = guest_build::build("churn").unwrap();
        let mut grants = Grants::none();
        grants.features = Names::these(["recency_*"]);
        grants.purpose = Some(crm::Purpose::new("marketing").unwrap());
        let scorer = WasmScorer::load_granted(&host(), &wasm, &[], &grants).unwrap();
        let stamp = crm::Scorer::stamp(&scorer).clone();
        let asks = crm::Scorer::asks(&scorer);
        let (_, crm) = shop_of(crm::Crm::builder().scorer(scorer).workflow(guest(r#""name":"w""#, "", COUNTS)));
        crm.record(order(day(0), 50)).unwrap();
        let mut defined = Grants::all();
        defined.features = Names::none();
        let definition = Definition::Grants(stamp.name.clone(), Some(Box::new(defined.clone())));
        crm.define(day(0), definition).unwrap();
        let [workflow, scorer] = &crm.plugins().unwrap()[..] else { panic!() };
        assert_eq!((&workflow.role, &workflow.breaker), (&crm::PluginRole::Workflow, &crm::Breaker::Closed));
        assert_eq!(scorer.role, crm::PluginRole::Scorer { outputs: vec!["churn".into()] });
        assert_eq!((&scorer.stamp, &scorer.asks.features, &scorer.missing.features), (&stamp, &asks, &asks));
        assert_eq!((&scorer.granted, scorer.defined.as_ref()), (&grants, Some(&defined)));
        assert_eq!(scorer.breaker, crm::Breaker::Closed);
        let standing = || crm.explain_plugin(ana(), &stamp.name).unwrap().unwrap();
        assert_eq!((&standing().granted, &standing().defined, standing().barred), (&grants, &Some(defined), None));
        let objected = crm::Objected { to: crm::Objection::Marketing };
        crm.record(Incoming::new(ana(), day(0), source(), objected)).unwrap();
        assert!(matches!(standing().barred, Some(crm::Barred::Objected { to: crm::Objection::Marketing, .. })));
    }

    #[test]
    fn a_guest_that_fails_again_and_again_is_put_into_quarantine_until_the_shop_clears_it() {
        let workflow = guest(r#""name":"broken""#, "", "unreachable");
        let plugin = workflow.plugin().clone();
        let (clock, crm) = shop_of(crm::Crm::builder().workflow(workflow));
        for n in 0..7 {
            clock.set(day(0).plus(Span::millis(n)));
            crm.record(visit(day(0).plus(Span::millis(n)))).unwrap();
        }
        let told = |trap: usize, quarantined: usize| [vec!["trap"; trap], vec!["quarantined"; quarantined]].concat();
        assert_eq!(faults(&crm), told(5, 2));
        assert!(matches!(plugin.standing(), crm::plugins::Standing::Quarantined { faults: 5, .. }));
        let breaker = || crm.plugins().unwrap()[0].breaker.clone();
        assert_eq!(breaker(), crm::Breaker::Open { faults: 5, last: "trap".into() });
        plugin.clear();
        assert_eq!(breaker(), crm::Breaker::Closed);
        clock.set(day(1));
        crm.record(visit(day(1))).unwrap();
        assert_eq!(faults(&crm), [told(5, 2), told(1, 0)].concat());
        assert_eq!(plugin.inspect().counters.calls, 8);
    }

    #[test]
    fn a_field_that_has_several_values_is_refused_by_name() {
        let fields = r#""name":"nosy","fields":["addresses"]"#;
        match load(fields, "", COUNTS) {
            Err(PluginError::Unknown { what, name, .. }) => assert_eq!((what, name.as_str()), ("field", "addresses")),
            other => panic!("{other:?}"),
        }
    }
}
