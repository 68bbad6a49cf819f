//! Rules as text: what they read into, what they mean, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod rules;

use crm_core::customer::Customer;
use crm_core::event::{Decision, Deed, EventBody};
use crm_core::expression::{ExpressionError, LimitError, Number, Predicate, Problem, Subject, Take, Vocabulary};
use crm_core::segment::SegmentName;
use crm_core::{CustomerId, Definition, DefinitionVersion, Definitions, EventId, Timestamp};
use proptest::prelude::*;
use rules::{Naive, Step, fact, happenings, hour, number, orders, rule, steps};

fn definitions() -> Definitions {
    let mut definitions = Definitions::default();
    for definition in rules::defined() {
        assert!(definitions.add(DefinitionVersion { from: Timestamp::MIN, definition }).unwrap());
    }
    definitions
}

fn vocabulary() -> Vocabulary {
    Vocabulary::of(&definitions(), Timestamp::MIN)
}

fn parse(text: &str) -> Result<Predicate, ExpressionError> {
    Predicate::parse(text, &vocabulary())
}

fn refused(text: &str) -> String {
    match parse(text) {
        Ok(rule) => panic!("{text} reads as {rule}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_written_is_read_and_written_again() {
    for (text, again) in [
        (
            r#"stage == "purchase" && orders.in_last("90d") >= 3 && !("vip" in tags)"#,
            r#"stage == "purchase" && orders.in_last("90d").count() >= 3 && !("vip" in tags)"#,
        ),
        ("recency_days > 30 || spend >= 99.5", "recency_days > 30 || spend >= 99.5"),
        ("orders.sum() / orders >= 20", "orders.sum() / orders.count() >= 20"),
        (
            r#"orders.of_category("wine").in_last("1w2d").sum() > 100"#,
            r#"orders.of_category("wine").in_last("9d").sum() > 100"#,
        ),
        (r#"days_since(last_order) > 30"#, "days_since(orders.last()) > 30"),
        (r#"first_seen < date("2026-01-01")"#, r#"first_seen < timestamp("2026-01-01T00:00:00Z")"#),
        (
            r#"visits.between("2026-01-01", "2026-02-01").count() == 0"#,
            r#"visits.between("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z").count() == 0"#,
        ),
        (r#"tags.exists(t, t.startsWith("shoe"))"#, r#"tags.exists(one, one.startsWith("shoe"))"#),
        (r#"stage in ["prospect", "intent"]"#, r#"stage in ["prospect", "intent"]"#),
        (r#"stage != "prospect""#, r#"stage != "prospect""#),
        (r#"stage.startsWith("p")"#, r#"stage in ["prospect", "purchase"]"#),
        (r#""buyers" in segments && segment("buyers")"#, r#"segment("buyers") && segment("buyers")"#),
        (
            r#"consent("newsletter", "email") || "newsletter/sms/brand" in consents"#,
            r#"consent("newsletter", "email") || consent("newsletter", "sms", "brand")"#,
        ),
        (r#"credit("EUR") > 9.5 && vouchers("TEN") > 0"#, r#"credit("EUR") > 9.5 && vouchers("TEN") > 0"#),
        (r#"badge("mug") || coupon_uses("TEN") == 0"#, r#""mug" in badges || coupon_uses("TEN") == 0"#),
        (r#"badges.exists(b, b.endsWith("g"))"#, r#"badges.exists(one, one.endsWith("g"))"#),
        (r#"tier("club") == "gold" && points("club") >= 100"#, r#"tier("club") == "gold" && points("club") >= 100"#),
        (r#"was_in("buyers") || was_in("buyers", "2w")"#, r#"was_in("buyers") || was_in("buyers", "14d")"#),
        (r#"!in_for("buyers", "1d12h")"#, r#"!in_for("buyers", "1d12h")"#),
        (r#"list("mug") && "mug" in lists"#, r#""mug" in lists && "mug" in lists"#),
        (r#"bucket("autumn", 10) < 5"#, r#"bucket("autumn", 10) < 5"#),
        (r#"events("review").in_last("30d") > 0"#, r#"events("review").in_last("30d").count() > 0"#),
        (r#""mug" in orders.products()"#, r#""mug" in orders.products()"#),
        ("size(orders.products()) > 3", "orders.products().size() > 3"),
        ("has(customer.recency_days)", "known(recency_days)"),
        ("orders in [1, 2]", "orders.count() == 1 || orders.count() == 2"),
        ("true", "true"),
        ("!(true && false)", "!(true && false)"),
        ("(points + points_earned) * 2 > 3", "(points + points_earned) * 2 > 3"),
        ("1 < orders", "1 < orders.count()"),
        ("-recency_days < -3", "0 - recency_days < -3"),
        ("// who buys\norders > 0", "orders.count() > 0"),
        (r#"attribute("shoe_size") >= 42"#, r#"attribute("shoe_size") >= 42"#),
        (r#"attribute("shoe_size") + visits > 3"#, r#"attribute("shoe_size") + visits.count() > 3"#),
        (r#"attribute("height") > 1.850"#, r#"attribute("height") > 1.85"#),
        (r#"attribute("height") * 2 <= 4"#, r#"attribute("height") * 2 <= 4"#),
        (r#"attribute("home store") == "Basel""#, r#"attribute("home store") == "Basel""#),
        (r#"attribute("home store").startsWith("B")"#, r#"attribute("home store").startsWith("B")"#),
        (r#"attribute("home store") in ["Basel", "Bern"]"#, r#"attribute("home store") in ["Basel", "Bern"]"#),
        (r#"attribute("has_pet") == false"#, r#"!attribute("has_pet")"#),
        (
            r#"attribute("contract_end") < "2026-01-01""#,
            r#"attribute("contract_end") < timestamp("2026-01-01T00:00:00Z")"#,
        ),
        (r#"days_since(attribute("contract_end")) > 30"#, r#"days_since(attribute("contract_end")) > 30"#),
        (
            r#"known(attribute("home store")) && known(attribute("height")) || attribute("has_pet") != null"#,
            r#"known(attribute("home store")) && known(attribute("height")) || known(attribute("has_pet"))"#,
        ),
        (r#"messages.in_last("30d") >= 3"#, r#"messages.in_last("30d").count() >= 3"#),
        (
            r#"messages.of_channel("sms").received().in_last("7d") > 0 || messages.sent() > 9"#,
            r#"messages.received().of_channel("sms").in_last("7d").count() > 0 || messages.sent().count() > 9"#,
        ),
        (r#"days_since(messages.last()) > 30"#, r#"days_since(messages.last()) > 30"#),
        (
            r#"cases.in_last("90d") > 1 && cases.open() == 0"#,
            r#"cases.in_last("90d").count() > 1 && cases.open().count() == 0"#,
        ),
        (
            r#"days_since(cases.open().of_kind("complaint").first()) > 3"#,
            r#"days_since(cases.of_kind("complaint").open().first()) > 3"#,
        ),
        (r#"score("churn", "risk") > 0.70"#, r#"score("churn", "risk") > 0.7"#),
        (
            r#"score("age") >= 40 && 1 > score("churn", "value")"#,
            r#"score("age", "years") >= 40 && 1 > score("churn", "value")"#,
        ),
        (
            r#"known(score("age")) && score("churn", "risk") + 1 > 1.5"#,
            r#"known(score("age", "years")) && score("churn", "risk") + 1 > 1.5"#,
        ),
        (r#"score("churn", "risk") > attribute("height")"#, r#"score("churn", "risk") > attribute("height")"#),
        (r#"tags.exists(t, t.matches("^王+$"))"#, r#"tags.exists(one, one.matches("^王+$"))"#),
    ] {
        let rule = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(rule.to_string(), again, "{text}");
        assert_eq!(parse(again).unwrap().to_string(), again);
        let json = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<Predicate>(&json).unwrap(), rule, "{json}");
    }
}

#[test]
fn errors_say_where_what_was_expected_and_what_may_have_been_meant() {
    for (text, error) in [
        ("recency_day > 3", r#"line 1, column 1: there is no name "recency_day"; did you mean "recency_days"?"#),
        ("orders > 0 &&\n  spent > 3", r#"line 2, column 3: there is no name "spent"; did you mean "spend"?"#),
        (r#"orders > "3""#, "line 1, column 10: expected a number, found a text"),
        (r#"spend > recency_days"#, "line 1, column 9: expected an amount of money, found a number of days"),
        (
            "orders.in_lst(\"3d\") > 0",
            r#"line 1, column 14: there is no function of events "in_lst"; did you mean "in_last"?"#,
        ),
        (r#"stage == "purchased""#, r#"line 1, column 10: there is no stage "purchased"; did you mean "purchase"?"#),
        (r#"segment("buyer")"#, r#"line 1, column 9: there is no segment "buyer"; did you mean "buyers"?"#),
        (r#"was_in("buyer")"#, r#"line 1, column 8: there is no segment "buyer"; did you mean "buyers"?"#),
        (r#"in_for("buyers")"#, "line 1, column 7: `in_for` takes other arguments"),
        (r#"list("mugs")"#, r#"line 1, column 6: there is no list "mugs"; did you mean "mug"?"#),
        (r#"badge("mugs")"#, r#"line 1, column 7: there is no badge "mugs"; did you mean "mug"?"#),
        (r#"points("klub") > 3"#, r#"line 1, column 8: there is no programme "klub"; did you mean "club"?"#),
        (
            r#"events("reviews") > 3"#,
            r#"line 1, column 8: there is no kind of event "reviews"; did you mean "review"?"#,
        ),
        (
            r#"attribute("shoesize") > 3"#,
            r#"line 1, column 11: there is no attribute "shoesize"; did you mean "shoe_size"?"#,
        ),
        (r#"attribute("home store") == 3"#, "line 1, column 28: expected a text, found a whole number"),
        (r#"attribute("shoe_size") == "42""#, "line 1, column 27: expected a number, found a text"),
        (r#"attribute("shoe_size") > 1.5"#, "line 1, column 26: expected a number of things, found a decimal number"),
        (
            r#"attribute("height") > 1.1234567"#,
            "line 1, column 23: a decimal number has at most 6 decimals, and less than 13 digits before them",
        ),
        (
            r#"attribute("height") > attribute("shoe_size")"#,
            "line 1, column 32: expected a decimal number, found a number of things",
        ),
        (r#"attribute("has_pet") > 3"#, "line 1, column 10: expected a number, found a yes or no"),
        (r#"attribute("contract_end") > 3"#, "line 1, column 29: expected an instant, found a whole number"),
        (
            r#"attribute("home store") == attribute("home store")"#,
            "line 1, column 25: a comparison of two texts of the customer's cannot be used in a rule",
        ),
        (r#"score("chrun", "risk") > 1"#, r#"line 1, column 7: there is no scorer "chrun"; did you mean "churn"?"#),
        (r#"score("churn", "rsk") > 1"#, r#"line 1, column 16: there is no score "rsk"; did you mean "risk"?"#),
        (
            r#"score("churn") > 1"#,
            "line 1, column 7: churn gives several scores, of which one is to be named: risk, value",
        ),
        (r#"score("age") > "old""#, "line 1, column 16: expected a number, found a text"),
        (r#"score("age") > spend"#, "line 1, column 16: expected a decimal number, found an amount of money"),
        ("visits.sent() > 1", "line 1, column 1: expected messages, found events"),
        ("messages.open() > 1", "line 1, column 1: expected cases, found messages"),
        (
            r#"messages.of_channel("emial") > 1"#,
            r#"line 1, column 21: there is no channel "emial"; did you mean "email"?"#,
        ),
        (
            r#"cases.of_kind("complain") > 1"#,
            r#"line 1, column 15: there is no kind of case "complain"; did you mean "complaint"?"#,
        ),
        (
            "messages.sent().received() > 1",
            "line 1, column 25: a direction within a direction; `messages` alone is either, cannot be used in a rule",
        ),
        ("cases.sum() > 1", "line 1, column 1: expected orders, found cases"),
        ("case > 1", r#"line 1, column 1: there is no name "case"; did you mean "cases"?"#),
        ("shoe_size > 3", r#"line 1, column 1: there is no name "shoe_size""#),
        ("visits.sum() > 3", "line 1, column 1: expected orders, found events"),
        ("spend > 1.234", "line 1, column 9: an amount in EUR has at most 2 decimals"),
        ("orders > 1.5", "line 1, column 10: expected a number of things, found a decimal number"),
        ("orders + 3", "line 1, column 8: expected a yes or no, found a number of things"),
        (r#""王王王" == 3"#, "line 1, column 10: expected a text, found a whole number"),
        (
            "orders.in_last(\"90 days\") > 1",
            "line 1, column 16: a length of time is whole numbers with w, d, h, m or s, such as \"90d\" or \"1h30m\"",
        ),
        ("orders > ) 3", "line 1, column 10: unexpected ')'"),
        ("orders >", "line 1, column 9: unexpected end"),
        ("王 > 3", "line 1, column 1: unexpected '王'"),
        ("now > 3", r#"line 1, column 1: there is no name "now""#),
        ("orders > null", "line 1, column 10: null; `!known(…)` asks for what is missing, cannot be used in a rule"),
        (
            r#"tags.all(t, t == "a")"#,
            "line 1, column 9: a loop other than `list.exists(one, …)` with one test of a text cannot be used in a rule",
        ),
        (
            r#"tags.exists(t, t.matches("(a"))"#,
            "line 1, column 26: not a regular expression of at most 512 bytes: unclosed group",
        ),
        (r#"first_seen > date("2026-02-30")"#, "line 1, column 19: not an RFC 3339 time"),
    ] {
        let told = refused(text);
        assert!(told.starts_with(error), "{text}\n  told {told}\n  not  {error}");
    }
}

#[test]
fn hostile_texts_are_refused_and_cost_little() {
    let nested = |open: &str, close: &str, n: usize| format!("{}orders > 0{}", open.repeat(n), close.repeat(n));
    let texts = [
        nested("(", ")", 10_000),
        nested("!", "", 10_000),
        nested("(", ")", 200),
        nested("[", "]", 300),
        nested("{1:", "}", 300),
        format!("orders > {}1", "-".repeat(10_000)),
        format!("orders{} > 1", ".ever()".repeat(1_000)),
        format!("orders > {}", vec!["1"; 5_000].join("+")),
        format!("orders in [{}]", vec!["1"; 100_000].join(",")),
        format!("orders in [{}]", vec!["1"; 5_000].join(",")),
        vec!["orders > 0"; 1_200].join("||"),
        format!("{} orders > 0", "orders > 0 ? ".repeat(500)),
        format!("tags.exists(t, t == \"{}\")", "x".repeat(2_000)),
        "\"; drop table customers; --\" in tags || orders > 0 -- x".to_owned(),
        "orders > 9223372036854775808".to_owned(),
        "orders > 1e400".to_owned(),
        "spend > 1e300".to_owned(),
        "orders > 0 &&".to_owned(),
        String::new(),
        "\u{0}".to_owned(),
        "\"\\".to_owned(),
        "r\"\\".to_owned(),
        "'''".to_owned(),
        "b'\\xff' == b''".to_owned(),
        "a.b.c{d: 1}".to_owned(),
        "has(orders)".to_owned(),
        "tags.map(x, x)".to_owned(),
        "tags.exists(x, tags.exists(y, y == x))".to_owned(),
        "orders[0]".to_owned(),
        "orders.in_last('999999999999999999999999d') > 0".to_owned(),
    ];
    for text in texts {
        let error = parse(&text).expect_err(&text.chars().take(80).collect::<String>());
        assert!(error.line >= 1 && error.column >= 1);
        assert!(error.to_string().len() < 600, "{error}");
    }
    assert!(matches!(parse(&"x".repeat(20_000)).unwrap_err().problem, Problem::TooLong { .. }));
    let many = vec!["orders > 0"; 1_200].join("||");
    assert_eq!(parse(&many).unwrap_err().problem, Problem::Limit(LimitError::TooLarge { max: Predicate::CLAUSES_MAX }));
    assert!(parse(&vec!["orders > 0"; 900].join("||")).is_ok());
    assert!(parse(&nested("(", ")", 20)).is_ok());
}

proptest! {
    /// Any text at all is read or refused.
    #[test]
    fn no_text_does_harm(text in r#"([a-z_]{1,9}|[0-9.]{1,4}|"[^"]{0,5}"|[ ()\[\]{}!<>=&|+*/%,.?:'\\-]|\PC){0,60}"#) {
        drop(parse(&text));
    }
}

fn customer(steps: &[(i64, Step)], until: Timestamp, definitions: &Definitions) -> Customer {
    let id = CustomerId::new(hour(0), [1; 10]);
    let body = |(n, (at, step)): (usize, &(i64, Step))| {
        (id, EventId::from_uuid(uuid(n as u128 + 1)), hour(*at), EventBody::Fact(fact(step)))
    };
    let mut events: Vec<_> = steps.iter().enumerate().map(body).collect();
    for tag in ["mug", "vip"] {
        let added = Deed::TagAdded(crm_core::workflow::TagAdded { tag: crm_core::Tag::new(tag).unwrap() });
        let decision = Decision { by: crm_core::workflow::Actor::Shop, deed: added };
        let of = EventId::of_decision(id, events.len() as u64);
        events.push((id, of, hour(0), EventBody::Decision(decision)));
    }
    Customer::replay(id, events.iter().map(|(id, event, at, body)| (*id, *event, *at, body)), until, definitions)
        .with_scores(rules::scored(), definitions)
}

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// A rule that was written and read again means the same, and is written the same.
    #[test]
    fn text_is_another_form_of_a_rule(rule in rule(), steps in steps(), at in 0..400_i64) {
        let text = rule.to_string();
        let again = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let text = again.to_string();
        prop_assert_eq!(parse(&text).unwrap().to_string(), &*text);
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Predicate>(&json).unwrap(), &rule);
        let definitions = definitions();
        let customer = customer(&steps, hour(at), &definitions);
        let subject = Subject::new(&customer, hour(at), &definitions);
        prop_assert_eq!(again.truth(&subject), rule.truth(&subject), "{}", text);
    }

    /// Between now and the instant that a rule names, its answer does not change; at that instant it does, unless
    /// the search gave up on something that moves all the time.
    #[test]
    fn a_rule_knows_when_it_will_change_its_mind(rule in rule(), steps in steps(), now in 350..400_i64) {
        let definitions = definitions();
        let customer = customer(&steps, hour(now), &definitions);
        let subject = |at| Subject::new(&customer, at, &definitions);
        let next = rule.next_change(&subject(hour(now)));
        let holds = rule.holds(&subject(hour(now)));
        for later in now..now + 24 * 30 {
            if next.is_some_and(|next| hour(later) >= next) {
                break;
            }
            prop_assert_eq!(rule.holds(&subject(hour(later))), holds, "{} at {} of {:?}", rule, later - now, next);
        }
        if let Some(next) = next {
            prop_assert!(next > hour(now));
            let gave_up = next > hour(now + 24 * 200);
            prop_assert!(rule.holds(&subject(next)) != holds || gave_up, "{} at {}", rule, next);
        }
    }

    /// What a number comes to is what one counts by hand.
    #[test]
    fn numbers_are_what_one_counts_by_hand(
        number in prop_oneof![
            number(),
            rules::moment().prop_map(Number::DaysSince),
            (happenings(orders()), prop::sample::select(&[Take::Sum, Take::Average, Take::Least, Take::Greatest][..]))
                .prop_map(|(happenings, take)| Number::Over(happenings, take)),
        ],
        steps in steps(),
        at in 0..400_i64,
    ) {
        let definitions = definitions();
        let customer = customer(&steps, hour(at), &definitions);
        if let Some(by_hand) = (Naive { life: &steps, at: hour(at) }).number(&number) {
            let subject = Subject::new(&customer, hour(at), &definitions);
            prop_assert_eq!(number.value(&subject), by_hand, "{:?}", number);
        }
    }

    /// And so is what a rule comes to.
    #[test]
    fn rules_come_to_what_one_counts_by_hand(rule in rule(), steps in steps(), at in 0..400_i64) {
        let definitions = definitions();
        let customer = customer(&steps, hour(at), &definitions);
        if let Some(by_hand) = (Naive { life: &steps, at: hour(at) }).rule(&rule) {
            let subject = Subject::new(&customer, hour(at), &definitions);
            prop_assert_eq!(rule.truth(&subject), by_hand, "{}", rule);
        }
    }

    /// `!` turns yes into no and leaves what is missing; and so do `&&` and `||` turned into each other.
    #[test]
    fn what_is_missing_stays_so_under_negation(one in rule(), other in rule(), steps in steps(), at in 0..400_i64) {
        let definitions = definitions();
        let customer = customer(&steps, hour(at), &definitions);
        let truth = |rule: &Predicate| rule.truth(&Subject::new(&customer, hour(at), &definitions));
        let not = |rule: &Predicate| Predicate::Not(Box::new(rule.clone()));
        prop_assert_eq!(truth(&not(&one)), truth(&one).map(|holds| !holds));
        let both = Predicate::All(vec![one.clone(), other.clone()]);
        prop_assert_eq!(truth(&not(&both)), truth(&Predicate::Any(vec![not(&one), not(&other)])));
        prop_assert_eq!(truth(&both), truth(&Predicate::All(vec![other, one])));
    }
}

fn segment(name: &str, text: &str, definitions: &Definitions) -> Definition {
    let vocabulary = Vocabulary::of(definitions, Timestamp::MAX);
    Definition::Segment(SegmentName::new(name).unwrap(), Some(Predicate::parse(text, &vocabulary).unwrap()))
}

#[test]
fn segments_that_ask_about_each_other_are_refused_with_the_chain() {
    let mut all = definitions();
    let mut define = |from, name: &str, text: &str| {
        let definition = segment(name, text, &all);
        all.add(DefinitionVersion { from: hour(from), definition })
    };
    define(0, "a", r#"segment("buyers")"#).unwrap();
    define(0, "b", r#"segment("a") && orders > 3"#).unwrap();
    define(0, "c", r#"segment("a") || segment("b")"#).unwrap();
    // To itself, round a chain, and with a version that holds only later.
    for (from, name, text, chain) in [
        (5, "a", r#"segment("a")"#, "a → a"),
        (5, "a", r#"!(orders > 1 && segment("c"))"#, "a → c → b → a"),
        (5, "buyers", r#"segment("b")"#, "buyers → b → a → buyers"),
    ] {
        let refused = define(from, name, text).unwrap_err();
        let told = std::error::Error::source(&refused).unwrap().to_string();
        let shortest = told.len() <= format!("segments that ask about each other: {chain}").len();
        assert!(told.starts_with("segments that ask about each other: ") && shortest, "{told}");
    }
    define(50, "a", r#"segment("buyers") && visits > 1"#).unwrap();
    define(10, "d", r#"segment("c")"#).unwrap();
    define(60, "a", r#"orders > 1"#).unwrap();
    assert!(define(20, "buyers", r#"segment("d")"#).is_err(), "before hour 60 it is a cycle");
    define(60, "buyers", r#"segment("d")"#).unwrap();
    let mut end = |from, name: &str| {
        let definition = Definition::Segment(SegmentName::new(name).unwrap(), None);
        all.add(DefinitionVersion { from: hour(from), definition })
    };
    let used = end(70, "c").unwrap_err();
    assert_eq!(std::error::Error::source(&used).unwrap().to_string(), "it is asked about by d");
    end(80, "settled").unwrap();
    end(80, "buyers").unwrap();
    end(80, "d").unwrap();
    end(80, "c").unwrap();
}

#[test]
fn a_segment_that_asks_about_one_that_is_not_there_is_refused() {
    let mut all = definitions();
    let unknown = Predicate::InSegment(SegmentName::new("nobody").unwrap());
    let definition = Definition::Segment(SegmentName::new("a").unwrap(), Some(unknown));
    let refused = all.add(DefinitionVersion { from: hour(0), definition }).unwrap_err();
    assert_eq!(
        std::error::Error::source(&refused).unwrap().to_string(),
        "it asks about segment nobody, which is not there"
    );
}
