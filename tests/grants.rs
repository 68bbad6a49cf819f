//! What plugins are granted, who customers are to them, and what they look up (`grants/lookups.rs`); guests in WASM are in
//! `grants/guests.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

#[cfg(feature = "plugins")]
#[path = "grants/guests.rs"]
mod guests;
#[path = "grants/lookups.rs"]
mod lookups;
mod own;

use std::sync::{Arc, Mutex};

use crm::blocking::Crm;
use crm::{
    AuditAction, AuditActor, AwardPoints, Barred, CardUpdate, Command, ConsentPolicy, Definition, Field, Grants,
    Identities, Incoming, LookupKey, Names, Objected, Objection, PluginName, Purpose, PurposeRule, Restricted,
    RestrictionLifted, Span, Tag, View, ViewName, WorkflowReply,
};
use own::{Own, ana, ask, day, faults, messages, order, points, shop_of, somebody, source, tell, visit};

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
