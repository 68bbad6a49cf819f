//! Whatever a rule says, the SQL that stores send says nothing of it: texts and numbers are parameters. Every statement
//! is captured while hostile rules are saved, filled, selected and counted.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[cfg(feature = "postgres")]
#[path = "../crm-storage/tests/postgres_server/mod.rs"]
mod postgres_server;
#[path = "../crm-core/tests/rules/mod.rs"]
mod rules;
#[path = "sql_capture/trace.rs"]
mod trace;

use std::collections::BTreeSet;
use std::sync::Arc;

use crm::blocking::Crm;
use crm::{
    Channel, Currency, Definition, DerivedIds, Error, Identifier, Incoming, ManualClock, Money, OrderPlaced, Predicate,
    SegmentName, Source, SqliteOptions, SqliteStore, Store, Tag, Tagged, Timestamp, Visited,
};
use crm_core::expression::{TextTest, Texts};
use crm_core::{Column, SetKind};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use rules::{hour, rule};

/// Stands in every text that a rule is made of here, and nowhere else.
const CANARY: &str = "kanarie";

/// What ends a text in SQL, begins a comment, or is otherwise of consequence somewhere.
const HOSTILE: [&str; 17] = [
    "\0",
    "'",
    "''",
    "\"",
    "`",
    ";",
    "'; DROP TABLE crm_customer; --",
    "\" OR 1=1 --",
    "/* */",
    "--",
    "\\",
    "?1",
    "$1",
    ":name",
    "%s",
    "\u{202e}王\u{301}",
    "\u{fffd}]]>",
];

fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
        "[a-z';\"\\-/*0-9 ]{0,9}",
        "\\PC{0,6}",
    ];
    (part.clone(), part).prop_map(|(before, after)| format!("{before}{CANARY}{after}"))
}

/// A rule with texts of the canary in it, as a value.
fn canary_rule() -> impl Strategy<Value = Predicate> {
    let texts = prop::collection::btree_set(hostile().prop_map(Into::into), 1..4);
    let test = prop_oneof![
        texts.prop_map(TextTest::OneOf),
        hostile().prop_map(|text| TextTest::StartsWith(text.into())),
        hostile().prop_map(|text| TextTest::Contains(text.into())),
    ];
    (rule(), test, any::<bool>(), any::<bool>()).prop_map(|(rule, test, any, not)| {
        let tags = Predicate::Text(Texts::Tags, test);
        let tags = if not { Predicate::Not(Box::new(tags)) } else { tags };
        if any { Predicate::Any(vec![rule, tags]) } else { Predicate::All(vec![rule, tags]) }
    })
}

struct Shop {
    crm: Crm,
    clock: Arc<ManualClock>,
}

impl Shop {
    fn over(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(ManualClock::at(hour(400)));
        let crm = Crm::from(crm::Crm::builder().clock(Arc::clone(&clock)).ids(DerivedIds).shared_store(store).build());
        for definition in rules::defined() {
            crm.define(Timestamp::MIN, definition).unwrap();
        }
        let shop = Shop { crm, clock };
        for n in 0..4 {
            let who = Identifier::email(&format!("c{n}@example.com")).unwrap();
            let record = |key: String, fact: crm_core::event::Fact| {
                let fact = Incoming::new(&who, hour(399), Source::new("shop").unwrap(), fact);
                shop.crm.record(fact.with_key(key.parse().unwrap())).unwrap();
            };
            record(format!("visit-{n}"), Visited { channel: Channel::Web, place: None }.into());
            for key in 0..n {
                record(format!("order-{n}-{key}"), OrderPlaced::new(Money::new(1_000, Currency::EUR)).into());
            }
            record(format!("tag-{n}"), Tagged { tag: Tag::new(format!("{CANARY}'{n}")).unwrap() }.into());
        }
        shop
    }

    /// Saves, fills, selects and counts by a rule, under a name with the canary in it.
    fn use_rule(&self, rule: &Predicate, name: &str) {
        self.clock.set(self.crm.now().plus(crm::Span::millis(1)));
        let Ok(name) = SegmentName::new(name) else { return };
        match self.crm.define(self.crm.now(), Definition::Segment(name.clone(), Some(rule.clone()))) {
            Ok(_) => {}
            Err(Error::Definition(_)) => return,
            Err(other) => panic!("{other}"),
        }
        self.crm.fill(|_| {}).unwrap();
        for rule in [rule, &Predicate::InSegment(name)] {
            let count = self.crm.count(rule).unwrap();
            assert_eq!(self.crm.select(rule, None, 100).unwrap().customers.len() as u64, count, "{rule}");
        }
    }

    /// The same from text: it is refused with a reason, or used.
    fn use_text(&self, text: &str, name: &str) {
        match self.crm.rule(text) {
            Ok(rule) => self.use_rule(&rule, name),
            Err(Error::Expression(refused)) => assert!(refused.line >= 1 && refused.column >= 1, "{refused}"),
            Err(other) => panic!("{other}"),
        }
    }

    /// Rules of every kind, with plain texts.
    fn use_plain_rules(&self) {
        let texts = [
            r#""vip" in tags && !("old" in tags || "new" in tags) && "party" in roles"#,
            r#"segment("buyers") || stage == "purchase" || stage in ["intent", "historical"]"#,
            r#"orders >= 1 && orders != 3 && visits > 0 && enquiries <= 9 && carts < 9 && refunds == 0"#,
            r#"spend > 1 && gross_spend >= 1 && points <= 10 && points_earned <= 10 && average_order > 1"#,
            r#"recency_days >= 0 && tenure_days < 99 && age_days != 5"#,
            r#"orders.in_last("90d") >= 1 && visits.in_last("9d") >= 1"#,
            r#"recency_days == 0 || !(spend > 1)"#,
        ];
        for (n, text) in texts.iter().enumerate() {
            let rule = self.crm.rule(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            self.use_rule(&rule, &format!("plain {n}"));
            // Changed, so that older versions are asked for as well.
            self.use_rule(&Predicate::Not(Box::new(rule)), &format!("plain {n}"));
        }
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for n in 0..100 {
            let rule = rule().new_tree(&mut runner).unwrap().current();
            self.use_rule(&rule, &format!("random {}", n % 20));
        }
    }

    fn use_hostile_rules(&self, cases: u32) {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for _ in 0..cases {
            let (rule, name) = (canary_rule(), hostile()).new_tree(&mut runner).unwrap().current();
            self.use_rule(&rule, &name);
            self.use_text(&rule.to_string(), &name);
            let quoted = serde_json::to_string(&name).unwrap();
            for text in [
                format!("{quoted} in tags"),
                format!("segment({quoted})"),
                format!("{name} > 1"),
                format!("spend > 1 {name}"),
                format!("tier({quoted}) == {quoted}"),
            ] {
                self.use_text(&text, &name);
            }
        }
    }
}

/// The words of some statements; numbers of parameters are none.
fn words(statements: &[String]) -> BTreeSet<String> {
    let all = statements.iter().flat_map(|sql| sql.split(|letter: char| !letter.is_alphanumeric() && letter != '_'));
    all.filter(|word| !word.is_empty() && !word.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned).collect()
}

/// What is in statements beside words.
fn signs(statements: &[String]) -> BTreeSet<char> {
    statements.iter().flat_map(|sql| sql.chars()).filter(|letter| !letter.is_alphanumeric()).collect()
}

fn check(plain: &[String], hostile: &[String]) {
    assert!(plain.len() > 500 && hostile.len() > 100, "{} and {} statements", plain.len(), hostile.len());
    for sql in hostile {
        assert!(!sql.contains(CANARY), "{sql}");
    }
    let (known, sent) = (words(plain), words(hostile));
    let more: Vec<&String> = sent.difference(&known).collect();
    assert!(more.is_empty(), "words that no plain rule leads to: {more:?}");
    let more: Vec<char> = signs(hostile).difference(&signs(plain)).copied().collect();
    assert!(more.is_empty(), "signs that no plain rule leads to: {more:?}");
}

fn cases() -> u32 {
    if std::env::var_os("CRM_SOAK").is_some() { 1_000 } else { 12 }
}

#[test]
fn no_statement_to_sqlite_has_anything_of_a_rule_in_it() {
    let folder = tempfile::tempdir().unwrap();
    // With every index and without one: what is asked first differs.
    let indexed = SqliteOptions::default().indexed(&[Column::Orders, Column::Spend]).index_sets(&SetKind::ALL);
    for (n, options) in [SqliteOptions::default(), indexed].iter().enumerate() {
        let run = |name: &str, use_rules: &dyn Fn(&Shop)| {
            let path = folder.path().join(format!("{name}-{n}.db"));
            trace::captured(|| {
                let store = SqliteStore::open_with(&path, options).unwrap();
                use_rules(&Shop::over(Arc::new(store)));
            })
        };
        let plain = run("plain", &Shop::use_plain_rules);
        let hostile = run("hostile", &|shop| shop.use_hostile_rules(cases()));
        check(&plain, &hostile);
    }
}

#[cfg(feature = "postgres")]
#[test]
fn no_statement_to_postgres_has_anything_of_a_rule_in_it() {
    use crm::{PostgresOptions, PostgresStore};

    let settings = ["log_statement=all", "log_parameter_max_length=0", "log_line_prefix=@crm ", "log_min_messages=log"];
    let Some(server) = postgres_server::Server::start(&settings) else { return };
    let log = server.folder().unwrap().join("log");
    let run = |use_rules: &dyn Fn(&Shop)| -> Vec<String> {
        let before = std::fs::read(&log).unwrap().len();
        let url = server.url(&server.database());
        let options = PostgresOptions::default().lanes(4).index_sets(true);
        let store = crm::blocking::wait(PostgresStore::connect(&url, &options)).unwrap();
        use_rules(&Shop::over(Arc::new(store)));
        let all = std::fs::read(&log).unwrap();
        let text = String::from_utf8_lossy(&all[before..]).into_owned();
        let entries = text.split("@crm ").filter_map(|entry| entry.trim().strip_prefix("LOG:"));
        let sql = entries.filter_map(|entry| {
            let (head, sql) = entry.trim_start().split_once(':')?;
            (head == "statement" || head.starts_with("execute")).then(|| sql.trim().to_owned())
        });
        // What the tests ask of the server themselves, to have a database.
        sql.filter(|sql| !sql.contains("DATABASE")).collect()
    };
    let plain = run(&Shop::use_plain_rules);
    let hostile = run(&|shop| shop.use_hostile_rules(cases() / 4));
    check(&plain, &hostile);
}

proptest! {
    /// A valid text with a few letters moved is refused with a reason, or is another rule.
    #[test]
    fn no_text_that_was_damaged_does_harm(
        rule in canary_rule(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of("\\PC|[\"'()\\[\\]!&|<>=.,0-9]")), 1..6),
    ) {
        let crm = crm_core::Definitions::default();
        let vocabulary = crm_core::expression::Vocabulary::of(&crm, hour(0));
        let mut letters: Vec<String> = rule.to_string().chars().map(String::from).collect();
        for (at, put) in cuts {
            if letters.is_empty() {
                break;
            }
            let at = at.index(letters.len());
            match put {
                Some(put) => letters.insert(at, put),
                None => drop(letters.remove(at)),
            }
        }
        let text = letters.concat();
        if let Err(refused) = Predicate::parse(&text, &vocabulary) {
            prop_assert!(refused.line >= 1 && refused.column >= 1);
            prop_assert!(!refused.to_string().is_empty());
        }
    }

    /// Nor does any text at all, whatever bytes it was made of.
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let vocabulary = crm_core::expression::Vocabulary::of(&crm_core::Definitions::default(), hour(0));
        drop(Predicate::parse(&String::from_utf8_lossy(&bytes), &vocabulary));
    }
}
