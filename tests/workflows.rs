//! Workflows: what they may ask for, what happens when they fail, and what reaches the host.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

mod own;

use std::sync::{Arc, Mutex};

use crm::{
    AwardPoints, Command, CustomFact, Deed, Definition, Delivered, FieldRule, FieldType, FieldValue, Grants, Incoming,
    Ingestion, KindName, KindSchema, PluginFault, ProgramId, Source, Span, Stage, Tag, Timestamp, WorkflowReply,
};
use own::{Own, ana, ask, day, deeds, faults, order, points, shop, shop_of, tell, visit};

#[test]
fn a_workflow_that_fails_is_recorded_and_the_fact_stays() {
    let (_, crm) = shop(Own::new("failing", &["order_placed"], |_| Err(PluginFault::new("deadline"))));
    crm.record(order(day(0), 50)).unwrap();
    let customer = crm.customer(ana()).unwrap().unwrap();
    assert_eq!((customer.stage(), customer.book(&points()).unwrap().balance()), (Some(Stage::Purchase), 50));
    assert_eq!(faults(&crm), ["deadline"]);
}

#[test]
fn a_request_that_is_refused_is_recorded_and_the_others_are_carried_out() {
    let unknown = ProgramId::new("unknown").unwrap();
    let (_, crm) = shop(Own::new("greedy", &["order_placed"], move |_| {
        let award = |program: &ProgramId, points| {
            Command::AwardPoints(AwardPoints { program: program.clone(), points, reason: "hello".parse().unwrap() })
        };
        ask(vec![award(&unknown, 5), award(&points(), -5), award(&points(), 5)])
    }));
    crm.record(order(day(0), 50)).unwrap();
    assert_eq!(crm.customer(ana()).unwrap().unwrap().book(&points()).unwrap().balance(), 55);
    let faults = faults(&crm);
    assert_eq!(faults.len(), 2);
    assert!(faults.iter().all(|fault| fault.starts_with("refused: ")), "{faults:?}");
}

#[test]
fn a_workflow_that_triggers_itself_is_stopped_and_the_chain_is_named() {
    let (_, crm) = shop(Own::new("echo", &["visited", "notified"], |_| {
        ask(vec![Command::Notify { topic: "echo".parse().unwrap(), fields: crm::Fields::new() }])
    }));
    crm.record(visit(day(0))).unwrap();
    let faults = faults(&crm);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("visited → notified → notified"), "{faults:?}");
    let notified = deeds(&crm).iter().filter(|deed| matches!(deed, Deed::Notified(_))).count();
    assert_eq!(notified, crm::CHAIN_MAX);
}

#[test]
fn what_a_workflow_does_shows_in_its_next_call_and_its_memory_comes_back() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let (_, crm) = shop(Own::new("counting", &["visited"], move |call| {
        let tag = Tag::new("seen").unwrap();
        log.lock().unwrap().push((call.memory.to_vec(), call.customer.has_tag(&tag)));
        let count = call.memory.first().copied().unwrap_or(0) + 1;
        Ok(WorkflowReply { commands: vec![Command::AddTag(tag)], memory: Some(vec![count]) })
    }));
    for hour in 0..3 {
        crm.record(visit(day(0).minus(Span::days(3 - hour)))).unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), [(vec![], false), (vec![1], true), (vec![2], true)]);
}

#[test]
fn history_is_quiet() {
    let (_, crm) = shop(Own::new("loud", &["order_placed", "stage_changed"], |_| {
        ask(vec![Command::AddTag(Tag::new("loud").unwrap())])
    }));
    crm.ingest([order(day(0), 50)], Ingestion::history()).unwrap();
    assert!(!crm.customer(ana()).unwrap().unwrap().has_tag(&Tag::new("loud").unwrap()));
    assert_eq!(crm.customer(ana()).unwrap().unwrap().book(&points()).unwrap().balance(), 50);
    crm.ingest([order(day(0), 60)], Ingestion::live()).unwrap();
    assert!(crm.customer(ana()).unwrap().unwrap().has_tag(&Tag::new("loud").unwrap()));
}

#[test]
fn the_host_is_told_until_it_says_done() {
    let (_, crm) = shop(Own::new("telling", &["order_placed"], |_| {
        let fields = [("n".parse().unwrap(), FieldValue::Int(7))].into_iter().collect();
        ask(vec![Command::Notify { topic: "order".parse().unwrap(), fields }])
    }));
    crm.record(order(day(0), 50)).unwrap();
    let mut ids = Vec::new();
    let mut deliver = |at, answer: Delivered| {
        crm.deliver(at, |delivery| {
            assert_eq!((delivery.topic.as_str(), delivery.fields.len()), ("order", 1));
            ids.push((delivery.id, delivery.attempt));
            answer.clone()
        })
        .unwrap()
    };
    assert_eq!(deliver(day(0), Delivered::Retry(Span::days(1))), 0);
    assert_eq!(deliver(day(0), Delivered::Done), 0, "not due yet");
    assert_eq!(deliver(day(1), Delivered::Done), 1);
    assert_eq!(deliver(day(2), Delivered::Done), 0, "done is done");
    assert_eq!(ids.len(), 2);
    assert_eq!((ids[0].0, ids[0].1, ids[1].1), (ids[1].0, 1, 2));
}

#[test]
fn a_delivery_can_be_given_back_or_up_and_revived() {
    let (_, crm) = shop(Own::new("telling", &["order_placed"], |_| {
        ask(vec![Command::Notify { topic: "order".parse().unwrap(), fields: crm::Fields::new() }])
    }));
    for euros in 50..53 {
        crm.record(order(day(0), euros)).unwrap();
    }
    let deliver = |answer: Delivered| {
        let mut attempts = Vec::new();
        let done = crm.deliver(day(9), |delivery| {
            attempts.push(delivery.attempt);
            answer.clone()
        });
        (done.unwrap(), attempts)
    };
    assert_eq!(deliver(Delivered::GiveBack), (0, vec![1]), "the rest is not handed out");
    assert_eq!(deliver(Delivered::Dead("no such address".into())), (0, vec![1, 1, 1]), "and no attempt was counted");
    assert_eq!(deliver(Delivered::Done), (0, vec![]));
    let dead = crm.dead_letters(None, 2).unwrap();
    assert_eq!((dead.len(), dead[0].reason.as_str(), dead[0].attempts), (2, "no such address", 1));
    let rest = crm.dead_letters(dead.last(), 9).unwrap();
    assert_eq!(rest.len(), 1);
    assert!(crm.revive(&dead[0], Some(day(9))).unwrap());
    assert!(crm.revive(&dead[1], None).unwrap(), "taken away");
    assert!(!crm.revive(&dead[1], None).unwrap());
    assert_eq!(deliver(Delivered::Done), (1, vec![2]));
    assert_eq!(crm.dead_letters(None, 9).unwrap(), rest);
}

#[test]
fn a_delivery_that_is_revived_is_tried_as_often_again() {
    let (_, crm) = shop(Own::new("telling", &["order_placed"], |_| {
        ask(vec![Command::Notify { topic: "order".parse().unwrap(), fields: crm::Fields::new() }])
    }));
    crm.record(order(day(0), 50)).unwrap();
    let mut now = day(0);
    for round in 1..=2 {
        let mut tried = 0;
        loop {
            let dead = crm.dead_letters(None, 9).unwrap();
            if let Some(letter) = dead.first() {
                assert_eq!((tried, letter.attempts), (crm::ATTEMPTS, round * crm::ATTEMPTS));
                assert!(crm.revive(letter, Some(now)).unwrap());
                break;
            }
            now = now.plus(Span::days(1));
            let retry = |_: &crm::Delivery| {
                tried += 1;
                Delivered::Retry(Span::millis(1))
            };
            crm.deliver(now, retry).unwrap();
        }
    }
}

#[test]
fn a_kind_of_the_shops_own_is_checked_counted_and_heard() {
    let (_, crm) = shop(Own::new("listening", &["shop.review"], |call| {
        let stars = call.trigger.fields.iter().find(|(name, _)| name == "stars").map(|(_, value)| value.clone());
        assert_eq!(stars, Some(crm::TriggerValue::Int(5)));
        ask(vec![Command::AddTag(Tag::new("reviewer").unwrap())])
    }));
    let review = KindName::new("review").unwrap();
    let stars = || "stars".parse::<crm::FieldName>().unwrap();
    let at = day(0);
    let fact = |value| {
        let fact = CustomFact::new(KindName::new("review").unwrap()).with(stars(), value);
        Incoming::new(ana(), at, Source::new("shop").unwrap(), fact)
    };
    assert!(crm.record(fact(FieldValue::Int(5))).is_err(), "not declared yet");
    let rule = FieldRule { field_type: FieldType::Int, required: true };
    let schema =
        KindSchema { fields: [(stars(), rule)].into_iter().collect(), shows_interest: true, ends_relation: false };
    crm.define(at, Definition::Kind(review.clone(), Some(schema))).unwrap();
    assert!(crm.record(fact(FieldValue::Text("five".into()))).is_err());
    assert!(crm.customer(ana()).unwrap().is_none(), "a refused fact makes no customer");
    crm.record(fact(FieldValue::Int(5))).unwrap();
    let customer = crm.customer(ana()).unwrap().unwrap();
    assert_eq!((customer.facts().custom(&review), customer.stage()), (1, Some(Stage::Intent)));
    assert!(customer.has_tag(&Tag::new("reviewer").unwrap()));
}

#[test]
fn reactions_are_bounded_in_breadth_too() {
    let flood = Own::new("flood", &["visited", "notified"], |_| ask((0..10).map(|_| tell("echo")).collect()));
    let mut grants = Grants::all();
    grants.limits.decisions_a_day = 1_000_000;
    let (_, crm) = shop_of(crm::Crm::builder().workflow_granted(flood, grants));
    crm.record(visit(day(0))).unwrap();
    let faults = faults(&crm);
    assert!(faults.last().unwrap().contains("256 calls: visited → notified → notified"), "{faults:?}");
    let notified = deeds(&crm).iter().filter(|deed| matches!(deed, Deed::Notified(_))).count();
    assert_eq!(notified, 10 * crm::CALLS_MAX);
}

#[test]
fn a_workflow_that_sets_itself_off_through_time_is_stopped_for_the_day_and_the_chain_is_named() {
    // Each visit makes it speak, and each time it speaks it speaks again: 8 messages and a fault a visit.
    let echo = Own::new("echo", &["visited", "notified"], |_| ask(vec![tell("echo")]));
    let mut grants = Grants::all();
    grants.limits.decisions_a_day = 20;
    let (clock, crm) = shop_of(crm::Crm::builder().workflow_granted(echo, grants));
    let hour = |hour: u32| day(0).plus(Span::millis(u64::from(hour) * 3_600_000));
    for at in 0..10 {
        clock.set(hour(at));
        crm.record(visit(hour(at))).unwrap();
    }
    let own = |crm: &crm::blocking::Crm| {
        let all = deeds(crm);
        let own = all.iter().filter(|deed| matches!(deed, Deed::Notified(_) | Deed::Faulted(_))).count();
        (own, faults(crm).last().cloned().unwrap_or_default())
    };
    let stopped = "more than 20 decisions a day: visited → notified";
    assert_eq!(own(&crm), (21, stopped.to_owned()), "and then it is silent");
    clock.set(hour(24));
    crm.record(visit(hour(24))).unwrap();
    assert_eq!(own(&crm).0, 21 + 9, "until the next day");
}

#[test]
fn nobody_reacts_to_what_is_voided() {
    let (clock, crm) = shop(Own::new("giving", &["order_placed"], |_| {
        let reason = "hello".parse().unwrap();
        ask(vec![Command::AwardPoints(AwardPoints { program: points(), points: 100, reason })])
    }));
    crm.record(visit(day(0))).unwrap();
    let wrong = crm.record(order(day(30), 50)).unwrap();
    let void = crm::Voided { event: wrong.event, reason: None };
    crm.record(Incoming::new(ana(), day(0), Source::new("shop").unwrap(), void)).unwrap();
    clock.set(day(31));
    crm.advance(day(31)).unwrap();
    assert!(crm.customer(ana()).unwrap().unwrap().book(&points()).is_none());
}

#[test]
fn a_delivery_that_is_put_off_at_the_end_of_time_is_put_off_once() {
    let (_, crm) = shop(Own::new("telling", &["order_placed"], |_| {
        ask(vec![Command::Notify { topic: "order".parse().unwrap(), fields: crm::Fields::new() }])
    }));
    crm.record(order(day(0), 50)).unwrap();
    let mut tried = 0;
    let done = crm.deliver(Timestamp::MAX, |_| {
        tried += 1;
        Delivered::Retry(Span::days(1))
    });
    assert_eq!((done.unwrap(), tried), (0, 1));
}

/// The version that answered, in the first byte of what it keeps; it keeps nothing more after three visits.
fn journey(version: &'static str) -> Own {
    Own::version("journey", version, &["visited"], move |call| {
        let tag = Tag::new(format!("by-{version}-{}", call.memory.len())).unwrap();
        let memory = if call.memory.len() == 2 { Vec::new() } else { [call.memory, &[1]].concat() };
        Ok(WorkflowReply { commands: vec![Command::AddTag(tag)], memory: Some(memory) })
    })
}

fn tags(crm: &crm::blocking::Crm) -> Vec<String> {
    let customer = crm.customer(ana()).unwrap().unwrap();
    customer.tags().map(|tag| tag.as_str().to_owned()).collect()
}

#[test]
fn a_run_goes_on_with_the_version_that_began_it_until_it_keeps_nothing_more() {
    let store: Arc<dyn crm::Store> = Arc::new(crm::MemoryStore::new());
    let with = |builder: crm::CrmBuilder| shop_of(builder.shared_store(Arc::clone(&store))).1;
    let name = crm::PluginName::new("journey").unwrap();
    let old = with(crm::Crm::builder().workflow(journey("1")));
    old.record(visit(day(0))).unwrap();
    let both = with(crm::Crm::builder().workflow(journey("1")).workflow(journey("2")));
    let standing = both.explain_plugin(ana(), &name).unwrap().unwrap();
    assert_eq!((standing.stamp.version.as_str(), standing.run.as_deref()), ("1", Some("1")));
    for at in 1..4 {
        both.record(visit(day(0).minus(Span::millis(5 - at)))).unwrap();
    }
    assert_eq!(tags(&both), ["by-1-0", "by-1-1", "by-1-2", "by-2-0"], "a new run begins with the newest");
    assert_eq!(both.explain_plugin(ana(), &name).unwrap().unwrap().run.as_deref(), Some("2"));
}

#[test]
fn where_the_version_that_began_a_run_is_gone_the_new_one_takes_it_over_and_that_is_recorded() {
    let store: Arc<dyn crm::Store> = Arc::new(crm::MemoryStore::new());
    let with = |builder: crm::CrmBuilder| shop_of(builder.shared_store(Arc::clone(&store))).1;
    with(crm::Crm::builder().workflow(journey("1"))).record(visit(day(0))).unwrap();
    // It leaves what is there as it is, and yet it is its own from now on.
    let idle = Own::version("journey", "2", &["visited"], |_| ask(Vec::new()));
    let crm = with(crm::Crm::builder().workflow(idle));
    for at in 1..3 {
        crm.record(visit(day(0).minus(Span::millis(5 - at)))).unwrap();
    }
    let taken: Vec<_> = deeds(&crm)
        .into_iter()
        .filter_map(|deed| match deed {
            Deed::Remembered(kept) => Some((kept.memory, kept.from.map(|from| from.version.to_string()))),
            _ => None,
        })
        .collect();
    assert_eq!(taken, [(vec![1], None), (vec![1], Some("1".to_owned()))], "once");
}

#[test]
fn what_a_plugin_failed_at_by_the_clock_stays_so_whatever_is_folded_anew() {
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    // Too slow the first time, and never again.
    let (_, crm) = shop(Own::new("slow", &["order_placed"], move |_| {
        let mut calls = counted.lock().unwrap();
        *calls += 1;
        if *calls == 1 { Err(PluginFault::new("deadline")) } else { ask(vec![tell("order")]) }
    }));
    crm.record(order(day(0), 50)).unwrap();
    let before = crm.customer(ana()).unwrap().unwrap().digest();
    crm.refresh().unwrap();
    assert_eq!(crm.customer(ana()).unwrap().unwrap().digest(), before);
    // A visit that comes late has everything folded anew.
    crm.record(visit(day(0).minus(Span::days(9)))).unwrap();
    assert_eq!((*calls.lock().unwrap(), faults(&crm)), (1, vec!["deadline".to_owned()]));
    assert!(!deeds(&crm).iter().any(|deed| matches!(deed, Deed::Notified(_))), "nobody was told after all");
    // And so it is for whoever has nothing but the history.
    let story = crm.story(ana()).unwrap().unwrap();
    let events = story.events.iter().map(|event| (event.customer, event.id, event.at, &event.body));
    let clock = story.customer.clock().unwrap();
    let definitions = crm.definitions().unwrap();
    let replayed = crm::Customer::replay(story.customer.id(), events, clock, &definitions);
    assert_eq!(replayed.digest(), story.customer.digest());
    let slow = crm::PluginName::new("slow").unwrap();
    assert_eq!(replayed.plugin(&slow), story.customer.plugin(&slow));
}

#[cfg(feature = "plugins")]
mod wasm {
    use super::*;
    use crm::plugins::{Entry, Host, Limits, PluginError, WasmScorer, WasmWorkflow};
    use crm::{Currency, ManualClock, Program, blocking::Crm};

    #[test]
    fn the_winback_plugin_marks_who_leaves_and_thanks_who_returns() {
        let host = Host::new(Limits::default()).unwrap();
        let wasm = guest_build::build("winback").unwrap();
        let workflow = WasmWorkflow::load(&host, &wasm, &[Entry::new("spend_above", 3_000_i64)]).unwrap();
        let clock = Arc::new(ManualClock::at(day(0)));
        let crm = crm::Crm::builder().clock(Arc::clone(&clock)).workflow(workflow).build();
        let crm = Crm::from(crm);
        let program = Program::point_per_unit(Currency::EUR);
        crm.define(day(0), Definition::Program(points(), Some(program))).unwrap();
        crm.record(order(day(0), 50)).unwrap();
        let left = day(200);
        clock.set(left);
        crm.advance(left).unwrap();
        let tag = Tag::new("win-back").unwrap();
        assert!(crm.customer(ana()).unwrap().unwrap().has_tag(&tag));
        crm.record(order(left, 10)).unwrap();
        let back = crm.customer(ana()).unwrap().unwrap();
        assert!(!back.has_tag(&tag));
        assert_eq!(back.book(&points()).unwrap().balance(), 50 + 10 + 100);
        assert!(faults(&crm).is_empty());
    }

    #[test]
    fn scores_are_kept_with_where_they_came_from_and_are_given_once() {
        let host = Host::new(Limits::default()).unwrap();
        let mut scorer = WasmScorer::load(&host, &guest_build::build("churn").unwrap(), &[]).unwrap();
        let heard = Arc::new(Mutex::new(0));
        let count = Arc::clone(&heard);
        let (_, crm) = shop(Own::new("hearing", &["scored"], move |_| {
            *count.lock().unwrap() += 1;
            ask(Vec::new())
        }));
        crm.record(order(day(0), 50)).unwrap();
        let at = day(120);
        let report = crm.score(&mut scorer, at).unwrap();
        assert_eq!((report.scored, report.failed), (1, 0));
        // z = 1.123 + 3.321 * 120 / 210 - 4.534 * 1 / 5 - 1.183 * 5000 / 8000.
        let story = crm.story(ana()).unwrap().unwrap();
        let [score] = &story.scores[..] else { panic!("{:?}", story.scores) };
        assert!((score.value - 0.798_113).abs() < 1e-6, "{score:?}");
        assert_eq!((score.plugin.as_str(), score.output.as_str(), score.at), ("churn", "churn", at));
        assert_eq!(crm.score(&mut scorer, at).unwrap().known, 1);
        assert_eq!(*heard.lock().unwrap(), 1);
    }

    #[test]
    fn a_plugin_that_asks_for_what_there_is_not_is_refused_by_name() {
        let host = Host::new(Limits::default()).unwrap();
        let mut wasm = guest_build::build("churn").unwrap();
        let name = b"recency_days";
        let place = wasm.windows(name.len()).rposition(|window| window == name).unwrap();
        wasm[place..place + name.len()].copy_from_slice(b"recency_dayz");
        match WasmScorer::load(&host, &wasm, &[]) {
            Err(PluginError::Unknown { what, name, .. }) => {
                assert_eq!((what, name.as_str()), ("feature", "recency_dayz"))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_version_is_replaced_while_the_shop_is_open_and_what_is_under_way_ends_with_the_old_one() {
    let (begun, wait) = (Arc::new(std::sync::Barrier::new(2)), Arc::new(std::sync::Barrier::new(2)));
    let (here, there) = (Arc::clone(&begun), Arc::clone(&wait));
    let version =
        |version: &'static str| move || ask(vec![Command::AddTag(Tag::new(format!("by-{version}")).unwrap())]);
    let old = Own::version("hot", "1", &["visited"], move |_| {
        here.wait();
        there.wait();
        version("1")()
    });
    let old_digest = crm::Workflow::stamp(&old).digest;
    let (_, crm) = shop(old);
    let new = crm
        .with_workflow(Own::version("hot", "2", &["visited", "order_placed"], move |_| version("2")()), Grants::all())
        .without_workflow(&"hot".parse().unwrap(), &old_digest);
    let under_way = crm.clone();
    let recording = std::thread::spawn(move || under_way.record(visit(day(0))));
    begun.wait();
    // The old one is in the middle of its call; nobody waits for it.
    let bob = Incoming::new(
        own::somebody("bob"),
        day(0),
        own::source(),
        crm::OrderPlaced::new(crm::Money::new(1, crm::Currency::EUR)),
    );
    let bob = new.record(bob).unwrap().customer;
    wait.wait();
    recording.join().unwrap().unwrap();
    assert_eq!(tags(&crm), ["by-1"]);
    assert!(new.customer(bob).unwrap().unwrap().has_tag(&Tag::new("by-2").unwrap()));
    new.record(visit(day(0).minus(Span::millis(1)))).unwrap();
    assert_eq!(tags(&new), ["by-1", "by-2"]);
    let by: Vec<String> = new.plugins().unwrap().iter().map(|one| one.stamp.version.to_string()).collect();
    assert_eq!((by, crm.plugins().unwrap().len()), (vec!["2".to_owned()], 1));
}
