//! What guests that mean harm do to a customer: nothing by halves, nothing in another's name, and nobody else is the worse.
#![cfg(feature = "plugins")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind among all")]

mod own;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crm::blocking::Crm;
use crm::plugins::{Host, Limits, Registry, Standing, Value, WasmWorkflow};
use crm::{Actor, Command, Deed, Delivered, EventBody, FieldValue, Incoming, PluginName, Source, Store, Tag, Visited};
use own::{Own, ana, ask, day, deeds, faults, messages, points, shop_of, somebody, visit};

const WORKFLOW: &str = "crm:plugin/workflow@0.1.0";

/// What a guest has in its memory: the answer at 64, and all that it names from 1024 on.
struct Image {
    answer: [u32; 5],
    bytes: Vec<u8>,
}

impl Image {
    const START: usize = 1024;

    /// An answer with these actions, and so many bytes of memory.
    fn of(actions: &[(&str, &[(&str, Value)])], memory: u32) -> Image {
        let mut image = Image { answer: [0; 5], bytes: Vec::new() };
        let actions: Vec<[u32; 4]> = actions
            .iter()
            .map(|(kind, args)| {
                let entries: Vec<u8> = args.iter().flat_map(|(name, value)| image.entry(name, value)).collect();
                let (kind, kind_len) = image.put(kind.as_bytes());
                let (at, _) = image.put(&entries);
                [kind, kind_len, at, args.len() as u32]
            })
            .collect();
        let words: Vec<u8> = actions.as_flattened().iter().flat_map(|word| word.to_le_bytes()).collect();
        let (at, _) = image.put(&words);
        image.answer = [0, at, actions.len() as u32, Image::START as u32, memory];
        image
    }

    /// Where it is put, and its length.
    fn put(&mut self, bytes: &[u8]) -> (u32, u32) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = Image::START + self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        (at as u32, bytes.len() as u32)
    }

    /// A name and a value, as the contract lays them out.
    fn entry(&mut self, name: &str, value: &Value) -> [u8; 24] {
        let (name, name_len) = self.put(name.as_bytes());
        let pair = |(at, length): (u32, u32)| u64::from(at) | (u64::from(length) << 32);
        let (case, payload) = match value {
            Value::Null => (0_u64, 0),
            Value::Bool(value) => (1, u64::from(*value)),
            Value::Int(value) => (2, *value as u64),
            Value::Float(value) => (3, value.to_bits()),
            Value::Text(value) => (4, pair(self.put(value.as_bytes()))),
            Value::Bytes(value) => (5, pair(self.put(value))),
        };
        let mut entry = [0; 24];
        for (word, place) in [pair((name, name_len)), case, payload].into_iter().zip(entry.chunks_mut(8)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        entry
    }

    /// A workflow that hears of visits and answers so; `parts` are more fields of the module.
    fn guest(&self, parts: &str) -> Vec<u8> {
        let manifest = r#"{"api":"0.1","name":"hostile","version":"1","events":["visited"],"#.to_owned()
            + r#""actions":["add_tag","remove_tag","award_points","notify"]}"#;
        let manifest = manifest.replace('"', "\\\"");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
        let answer: Vec<u8> = self.answer.iter().flat_map(|word| word.to_le_bytes()).collect();
        let pages = (Image::START + self.bytes.len()).div_ceil(65_536) + 2;
        let top = (pages - 1) * 65_536;
        wat::parse_str(format!(
            r#"(module
            (@custom "crm:manifest" "{manifest}")
            (memory (export "memory") {pages})
            (data (i32.const 64) "{}") (data (i32.const {}) "{}")
            (global $next (mut i32) (i32.const {top}))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "{WORKFLOW}#configure") (param i32 i32) (result i32) (i32.const 16))
            (func (export "{WORKFLOW}#handle")
                (param i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 64))
            {parts})"#,
            hex(&answer),
            Image::START,
            hex(&self.bytes)
        ))
        .unwrap()
    }
}

/// A host whose deadline no healthy guest meets, and which never gives up on one.
fn host() -> Host {
    let mut limits = Limits::default();
    limits.deadline = Duration::from_secs(5);
    limits.quarantine_after = NonZeroU32::MAX;
    Host::new(limits).unwrap()
}

fn tag(tag: &str) -> (&'static str, Vec<(&'static str, Value)>) {
    ("add_tag", vec![("tag", Value::Text(tag.into()))])
}

fn award(points: i64) -> (&'static str, Vec<(&'static str, Value)>) {
    ("award_points", vec![("points", Value::Int(points)), ("reason", Value::Text("hello".into()))])
}

type Asked = Vec<(&'static str, Vec<(&'static str, Value)>)>;

fn image(actions: &Asked) -> Image {
    let actions: Vec<(&str, &[(&str, Value)])> = actions.iter().map(|(kind, args)| (*kind, args.as_slice())).collect();
    Image::of(&actions, 0)
}

/// The stores that shops have.
fn on_each_store(test: impl Fn(Arc<dyn Store>)) {
    test(Arc::new(crm::MemoryStore::new()));
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        test(Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap()));
    }
}

/// A shop with the guest and with a workflow that marks whoever visits, which comes after it.
fn with(store: Arc<dyn Store>, guest: WasmWorkflow) -> Crm {
    let healthy = Own::new("healthy", &["visited"], |_| ask(vec![Command::AddTag(Tag::new("healthy").unwrap())]));
    shop_of(crm::Crm::builder().shared_store(store).workflow(guest).workflow(healthy)).1
}

/// What became of a visit: faults, tags, points, messages, and what is to be delivered.
#[derive(Debug, PartialEq)]
struct Became {
    faults: Vec<String>,
    tags: Vec<String>,
    points: u64,
    messages: usize,
    delivered: usize,
    memory: usize,
}

fn visited(crm: &Crm) -> Became {
    crm.record(visit(day(0))).unwrap();
    let ana = crm.customer(ana()).unwrap().unwrap();
    let mut delivered = 0;
    crm.deliver(day(9), |_| {
        delivered += 1;
        Delivered::Done
    })
    .unwrap();
    Became {
        faults: faults(crm),
        tags: ana.tags().map(|tag| tag.as_str().to_owned()).collect(),
        points: ana.book(&points()).map_or(0, |book| book.balance().try_into().unwrap()),
        messages: messages(crm),
        delivered,
        memory: ana.memory(&PluginName::new("hostile").unwrap()).len(),
    }
}

/// Nothing but the fault, the fact, and what the other workflow did.
fn nothing_but(fault: &str) -> Became {
    Became {
        faults: vec![fault.to_owned()],
        tags: vec!["healthy".to_owned()],
        points: 0,
        messages: 0,
        delivered: 0,
        memory: 0,
    }
}

/// What each of these does to a customer, on each store: nothing but a fault of this name.
fn does_nothing_but_fault(cases: &[(&str, Vec<u8>, &str)]) {
    let host = host();
    for (what, wasm, fault) in cases {
        on_each_store(|store| {
            let guest = WasmWorkflow::load(&host, wasm, &[]).unwrap();
            assert_eq!(visited(&with(store, guest)), nothing_but(fault), "{what}");
        });
    }
}

#[test]
fn who_returns_actions_and_then_fails_has_asked_for_nothing() {
    let asked = vec![tag("one"), award(5), ("notify", vec![("topic", Value::Text("offer".into()))])];
    let after = |body: &str| format!(r#"(func (export "cabi_post_{WORKFLOW}#handle") (param i32) {body})"#);
    let mut kept = image(&asked);
    kept.answer[4] = 65_537;
    let mut lying = image(&asked);
    lying.answer[2] = u32::MAX;
    let mut more = image(&asked);
    more.answer[2] = 101;
    let last_is = |kind, args| {
        let mut asked = asked.clone();
        asked.push((kind, args));
        image(&asked).guest("")
    };
    does_nothing_but_fault(&[
        ("a trap when it is to free them", image(&asked).guest(&after("(unreachable)")), "trap"),
        ("an endless loop then", image(&asked).guest(&after("(loop $ever (br $ever))")), "fuel"),
        (
            "too much memory to keep",
            kept.guest("(func $grow (drop (memory.grow (i32.const 2)))) (start $grow)"),
            "output",
        ),
        ("a number of actions that lies", lying.guest(""), "contract"),
        ("one action too many", more.guest("(func $grow (drop (memory.grow (i32.const 2)))) (start $grow)"), "output"),
        ("a last action without a topic", last_is("notify", vec![]), "wrong arguments of the action notify"),
        ("a last action that is not finite", last_is("notify", vec![("x", Value::Float(f64::NAN))]), "not_finite"),
        ("a last action that was never declared", last_is("merge", vec![]), "undeclared_action"),
        ("an argument twice", last_is("notify", vec![("x", Value::Int(1)), ("x", Value::Int(2))]), "action_args"),
        ("a number of arguments over the limit", last_is("notify", vec![("x", Value::Null); 33]), "output"),
    ]);
}

#[test]
fn an_action_says_neither_for_whom_it_is_nor_in_whose_name() {
    let wrong = |kind: &str| format!("wrong arguments of the action {kind}");
    let text = |text: &str| Value::Text(text.into());
    let more = |(kind, args): (&'static str, Vec<(&'static str, Value)>), name, value: Value| {
        image(&vec![tag("first"), (kind, [args, vec![(name, value)]].concat())]).guest("")
    };
    let bob = "0190b5a6-0000-7000-8000-000000000001";
    does_nothing_but_fault(&[
        ("a tag for somebody else", more(tag("x"), "customer", text(bob)), &wrong("add_tag")),
        ("points for somebody else", more(award(5), "customer", text(bob)), &wrong("award_points")),
        ("points in the shop's name", more(award(5), "by", text("shop")), &wrong("award_points")),
        (
            "a tag taken off in a rule's name",
            more(("remove_tag", tag("x").1), "actor", text("rule")),
            &wrong("remove_tag"),
        ),
        (
            "a tag with an end that this host does not know",
            more(tag("x"), "until_ms", Value::Int(1)),
            &wrong("add_tag"),
        ),
    ]);
}

#[test]
fn what_a_plugin_did_is_known_as_its_own_and_touches_nobody_else() {
    on_each_store(|store| {
        let asked = vec![
            tag("one"),
            award(5),
            ("notify", vec![("topic", Value::Text("offer".into())), ("customer", Value::Text("bob".into()))]),
        ];
        let guest = WasmWorkflow::load(&host(), &image(&asked).guest(""), &[]).unwrap();
        let stamp = crm::Workflow::stamp(&guest).clone();
        let crm = with(store, guest);
        let bob = Visited { channel: crm::Channel::Web, place: None };
        crm.ingest(
            [Incoming::new(somebody("bob"), day(0), Source::new("shop").unwrap(), bob)],
            crm::Ingestion::history(),
        )
        .unwrap();
        let before = crm.customer(somebody("bob")).unwrap().unwrap().digest();
        let became = visited(&crm);
        assert_eq!((became.faults.len(), became.points, became.delivered), (0, 5, 1));
        assert_eq!(became.tags, ["healthy", "one"]);
        let story = crm.story(ana()).unwrap().unwrap();
        for event in &story.events {
            let EventBody::Decision(decision) = &event.body else { continue };
            let by_plugin = match &decision.deed {
                Deed::TagAdded(added) => added.tag.as_str() == "one",
                Deed::PointsPosted(_) | Deed::Notified(_) => true,
                _ => false,
            };
            assert_eq!(decision.by == Actor::Plugin(stamp.clone()), by_plugin, "{decision:?}");
            assert_eq!(event.customer, story.customer.id());
        }
        assert_eq!(crm.customer(somebody("bob")).unwrap().unwrap().digest(), before);
    });
}

#[test]
fn hostile_text_is_refused_where_it_names_something() {
    let text = |text: &str| Value::Text(text.into());
    let long = "x".repeat(1 << 19);
    let texts = ["", " ", "a\0b", "a\r\nb", "\u{1b}[2J", &long];
    let mut cases = Vec::new();
    for bad in texts {
        let reason = vec![("points", Value::Int(5)), ("reason", text(bad))];
        cases.push(("a tag", vec![("add_tag", vec![("tag", text(bad))])], "wrong arguments of the action add_tag"));
        cases.push(("a topic", vec![("notify", vec![("topic", text(bad))])], "wrong arguments of the action notify"));
        cases.push(("a reason", vec![("award_points", reason)], "wrong arguments of the action award_points"));
    }
    for other in [Value::Null, Value::Int(1), Value::Bytes(b"vip".to_vec()), Value::Bool(true)] {
        cases.push(("no text", vec![("add_tag", vec![("tag", other)])], "wrong arguments of the action add_tag"));
    }
    let cases: Vec<_> = cases.into_iter().map(|(what, asked, fault)| (what, image(&asked).guest(""), fault)).collect();
    does_nothing_but_fault(&cases);
}

#[test]
fn hostile_numbers_are_refused_by_the_rules_of_points() {
    let refused = |points: i64| {
        let guest = WasmWorkflow::load(&host(), &image(&vec![tag("first"), award(points)]).guest(""), &[]).unwrap();
        visited(&with(Arc::new(crm::MemoryStore::new()), guest))
    };
    for points in [0, -1, i64::MIN] {
        let became = refused(points);
        assert!(became.faults.len() == 1 && became.faults[0].starts_with("refused: "), "{points}: {became:?}");
        assert_eq!((became.points, became.tags), (0, vec!["first".to_owned(), "healthy".to_owned()]));
    }
    // Twice as many as there can be.
    let twice = vec![award(i64::MAX), award(i64::MAX)];
    let guest = WasmWorkflow::load(&host(), &image(&twice).guest(""), &[]).unwrap();
    let became = visited(&with(Arc::new(crm::MemoryStore::new()), guest));
    assert!(became.points <= i64::MAX as u64 && !became.faults.is_empty(), "{became:?}");
    assert!(became.faults.iter().all(|fault| fault.starts_with("refused: ")), "{became:?}");
}

#[test]
fn what_a_message_says_is_the_plugins_word_to_the_letter_and_no_longer_than_it_may_be() {
    let nasty = "a\0\r\nBcc: all\u{202e}<script>{{7*7}}\u{1b}[2J=1+1";
    on_each_store(|store| {
        let asked = vec![("notify", vec![("topic", Value::Text("offer".into())), ("text", Value::Text(nasty.into()))])];
        let guest = WasmWorkflow::load(&host(), &image(&asked).guest(""), &[]).unwrap();
        let crm = with(store, guest);
        crm.record(visit(day(0))).unwrap();
        let mut told = Vec::new();
        crm.deliver(day(9), |delivery| {
            told.extend(delivery.fields.values().cloned());
            Delivered::Done
        })
        .unwrap();
        assert_eq!((told, faults(&crm).len()), (vec![FieldValue::Text(nasty.into())], 0));
    });
    let long = vec![("notify", vec![("topic", Value::Text("offer".into())), ("text", Value::Text("x".repeat(4_097)))])];
    does_nothing_but_fault(&[(
        "a long text",
        image(&long).guest(""),
        "refused: a notification has more than 4096 bytes in a text",
    )]);
}

#[test]
fn a_hundred_actions_are_carried_out_and_each_is_counted() {
    let asked: Asked = (0..100).map(|_| ("notify", vec![("topic", Value::Text("offer".into()))])).collect();
    let guest = WasmWorkflow::load(&host(), &image(&asked).guest(""), &[]).unwrap();
    let mut grants = crm::Grants::all();
    grants.limits.messages_a_day = Some(60);
    let (_, crm) = shop_of(crm::Crm::builder().workflow_granted(guest, grants));
    let became = visited(&crm);
    assert_eq!((became.messages, became.delivered, became.faults.len()), (60, 60, 40));
    assert!(became.faults.iter().all(|fault| fault == "not granted: more than 60 messages a day"));
}

#[test]
fn a_plugin_in_quarantine_is_seen_and_cleared_while_it_is_installed() {
    let registry = Registry::new(Host::new(Limits::default()).unwrap());
    let traps = r#"(func $trap (unreachable)) (start $trap)"#;
    let plugin = registry.install(&image(&vec![tag("one")]).guest(traps)).unwrap();
    let workflow = WasmWorkflow::of(&plugin, &[]).unwrap();
    assert_eq!(workflow.plugin().digest(), plugin.digest());
    let (clock, crm) = shop_of(crm::Crm::builder().workflow(workflow));
    let mut visits = 0;
    let mut visit_again = || {
        visits += 1;
        let at = day(0).plus(crm::Span::millis(visits));
        clock.set(at);
        crm.record(visit(at)).unwrap();
        faults(&crm).last().cloned().unwrap()
    };
    let kinds: Vec<String> = (0..7).map(|_| visit_again()).collect();
    assert_eq!(kinds, ["trap", "trap", "trap", "trap", "trap", "quarantined", "quarantined"]);
    let info = registry.inspect("hostile").unwrap();
    assert_eq!(info.standing, Standing::Quarantined { faults: 5, last: "trap" });
    assert_eq!(info.counters.last_fault.unwrap().at_ms, Some(day(0).as_millis() + 5));
    registry.clear("hostile").unwrap();
    assert_eq!(visit_again(), "trap");
    assert!(!deeds(&crm).iter().any(|deed| matches!(deed, Deed::TagAdded(_))));
}

/// A scorer that counts in a global how often it was called, and gives that as the score of its one customer.
fn counter() -> Vec<u8> {
    let manifest = r#"{"api":"0.1","name":"counter","version":"1","outputs":[{"name":"calls"}]}"#.replace('"', "\\\"");
    let scorer = "crm:plugin/scorer@0.1.0";
    // At 64 an answer of one column, whose one cell is at 104.
    let answer: String = [0_u32, 76, 1, 0, 104, 1, 0, 0, 0, 0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    wat::parse_str(format!(
        r#"(module
        (@custom "crm:manifest" "{manifest}")
        (memory (export "memory") 1)
        (data (i32.const 64) "{answer}")
        (global $next (mut i32) (i32.const 4096))
        (global $calls (mut f64) (f64.const 0))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
        (func (export "{scorer}#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "{scorer}#score") (param i32 i32 i32 i32 i32) (result i32)
            (global.set $calls (f64.add (global.get $calls) (f64.const 1)))
            (f64.store (i32.const 104) (global.get $calls))
            (i32.const 64)))"#
    ))
    .unwrap()
}

#[test]
fn a_scorer_carries_nothing_from_one_batch_or_tenant_to_the_next() {
    let mut scorer = crm::plugins::WasmScorer::load(&host(), &counter(), &[]).unwrap();
    let (clock, crm) = shop_of(crm::Crm::builder());
    let other = crm.tenant(crm::TenantId::new("other").unwrap());
    for (shop, at) in [(&crm, 0), (&other, 0), (&crm, 1), (&other, 1)] {
        clock.set(day(at));
        shop.record(visit(day(at))).unwrap();
        assert_eq!(shop.score(&mut scorer, day(at)).unwrap().scored, 1);
        let story = shop.story(ana()).unwrap().unwrap();
        assert!(story.scores.iter().all(|score| (score.value - 1.0).abs() < f64::EPSILON), "{:?}", story.scores);
    }
}
