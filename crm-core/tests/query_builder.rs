//! Queries as screens with react-querybuilder send them: what they read into, and what is refused. Shapes are those
//! of the library's own documentation and exports.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod rules;

use crm_core::expression::{LimitError, Predicate, Problem, QueryError, Vocabulary};
use crm_core::{DefinitionVersion, Definitions, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

fn vocabulary() -> Vocabulary {
    let mut definitions = Definitions::default();
    for definition in rules::defined() {
        assert!(definitions.add(DefinitionVersion { from: Timestamp::MIN, definition }).unwrap());
    }
    Vocabulary::of(&definitions, Timestamp::MIN)
}

fn text(text: &str) -> Predicate {
    Predicate::parse(text, &vocabulary()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn tree(query: &Value) -> Result<Predicate, QueryError> {
    let rule = Predicate::from_query_builder_value(query, &vocabulary());
    if query.to_string().len() <= Predicate::QUERY_MAX {
        assert_eq!(Predicate::from_query_builder(&query.to_string(), &vocabulary()), rule);
    }
    rule
}

fn logic(query: &Value) -> Result<Predicate, QueryError> {
    let rule = Predicate::from_json_logic_value(query, &vocabulary());
    if query.to_string().len() <= Predicate::QUERY_MAX {
        assert_eq!(Predicate::from_json_logic(&query.to_string(), &vocabulary()), rule);
    }
    rule
}

fn rule(field: &str, operator: &str, value: impl Into<Value>) -> Value {
    json!({"field": field, "operator": operator, "value": value.into()})
}

fn only(rule: Value) -> Value {
    json!({"combinator": "and", "rules": [rule]})
}

fn refused(query: &Value) -> String {
    match tree(query) {
        Ok(rule) => panic!("{query} reads as {rule}"),
        Err(error) => error.to_string(),
    }
}

fn refused_logic(query: &Value) -> String {
    match logic(query) {
        Ok(rule) => panic!("{query} reads as {rule}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_operator_means_what_its_text_means() {
    for (field, operator, value, meant) in [
        ("stage", "=", json!("purchase"), r#"stage == "purchase""#),
        ("stage", "!=", json!("purchase"), r#"stage != "purchase""#),
        ("stage", "in", json!("purchase,intent"), r#"stage in ["purchase", "intent"]"#),
        ("stage", "notIn", json!(["purchase", "intent"]), r#"!(stage in ["purchase", "intent"])"#),
        ("stage", "beginsWith", json!("p"), r#"stage.startsWith("p")"#),
        ("stage", "doesNotEndWith", json!("t"), r#"!stage.endsWith("t")"#),
        (r#"tier("club")"#, "contains", json!("ol"), r#"tier("club").contains("ol")"#),
        (r#"tier("club")"#, "doesNotContain", json!("ol"), r#"!tier("club").contains("ol")"#),
        (r#"tier("club")"#, "doesNotBeginWith", json!("g"), r#"!tier("club").startsWith("g")"#),
        (r#"tier("club")"#, "endsWith", json!("d"), r#"tier("club").endsWith("d")"#),
        ("tags", "contains", json!("vip"), r#""vip" in tags"#),
        (r#"attribute("shoe_size")"#, ">=", json!("42"), r#"attribute("shoe_size") >= 42"#),
        (r#"attribute("height")"#, "<", json!(1.85), r#"attribute("height") < 1.85"#),
        (r#"attribute("home store")"#, "=", json!("Basel"), r#"attribute("home store") == "Basel""#),
        (r#"attribute("home store")"#, "null", json!(null), r#"!known(attribute("home store"))"#),
        (r#"attribute("has_pet")"#, "=", json!(true), r#"attribute("has_pet")"#),
        (r#"attribute("contract_end")"#, "<", json!("2026-01-31"), r#"attribute("contract_end") < date("2026-01-31")"#),
        (r#"score("churn", "risk")"#, ">", json!("0.7"), r#"score("churn", "risk") > 0.7"#),
        (r#"score("age")"#, "notNull", json!(""), r#"known(score("age", "years"))"#),
        (r#"messages.received().in_last("7d")"#, ">", json!(2), r#"messages.received().in_last("7d") > 2"#),
        ("cases.open()", "=", json!(0), "cases.open() == 0"),
        ("tags", "doesNotContain", json!("vip"), r#"!("vip" in tags)"#),
        ("tags", "in", json!(["vip", "new"]), r#"tags.exists(t, t in ["vip", "new"])"#),
        ("tags", "notIn", json!("vip, new"), r#"!tags.exists(t, t in ["vip", "new"])"#),
        ("tags", "beginsWith", json!("shoe"), r#"tags.exists(t, t.startsWith("shoe"))"#),
        ("tags", "doesNotEndWith", json!("shoe"), r#"!tags.exists(t, t.endsWith("shoe"))"#),
        ("segments", "contains", json!("buyers"), r#""buyers" in segments"#),
        ("segments", "notIn", json!(["buyers"]), r#"!("buyers" in segments)"#),
        ("consents", "contains", json!("newsletter/email"), r#""newsletter/email" in consents"#),
        (r#"segment("buyers")"#, "=", json!(true), r#"segment("buyers")"#),
        (r#"segment("buyers")"#, "=", json!("false"), r#"!segment("buyers")"#),
        ("orders", "=", json!(3), "orders == 3"),
        ("orders", "=", json!("3"), "orders == 3"),
        ("orders", "!=", json!(" 3 "), "orders != 3"),
        ("orders", "<", json!("-3"), "orders < -3"),
        ("spend", "<=", json!("99.50"), "spend <= 99.5"),
        ("spend", ">", json!(99.5), "spend > 99.5"),
        ("spend", ">=", json!(99), "spend >= 99"),
        ("orders", "in", json!("1, 2,3"), "orders in [1, 2, 3]"),
        ("orders", "in", json!(1), "orders == 1"),
        ("orders", "notIn", json!([1, "2"]), "!(orders in [1, 2])"),
        ("orders", "between", json!("12,14"), "(orders >= 12 && orders <= 14)"),
        ("orders", "between", json!([14, 12]), "(orders >= 12 && orders <= 14)"),
        ("orders", "notBetween", json!(["12", 14]), "(orders < 12 || orders > 14)"),
        ("recency_days", "null", json!(""), "!known(recency_days)"),
        ("recency_days", "notNull", Value::Null, "known(recency_days)"),
        ("RECENCY_days".to_lowercase().as_str(), "NOTNULL", json!(0), "known(recency_days)"),
        ("first_seen", "<", json!("2026-01-01"), r#"first_seen < date("2026-01-01")"#),
        (
            "last_order",
            "between",
            json!("2026-01-01,2026-02-01"),
            r#"last_order >= date("2026-01-01") && last_order <= date("2026-02-01")"#,
        ),
        (r#"orders.in_last("90d")"#, ">=", json!("3"), r#"orders.in_last("90d").count() >= 3"#),
        (r#"orders.in_last("90d").sum()"#, ">", json!("10"), r#"orders.in_last("90d").sum() > 10"#),
        ("orders.products()", "contains", json!("mug"), r#""mug" in orders.products()"#),
        (r#"was_in("buyers", "9d")"#, "=", json!(true), r#"was_in("buyers", "9d")"#),
        (r#"in_for("buyers", "9d")"#, "!=", json!(true), r#"!in_for("buyers", "9d")"#),
        ("lists", "contains", json!("mug"), r#"list("mug")"#),
        ("orders.products()", ">", json!(2), "orders.products().size() > 2"),
        ("spend / orders", ">=", json!("20"), "spend / orders >= 20"),
        ("customer.orders", ">", json!(0), "orders > 0"),
    ] {
        let query = only(rule(field, operator, value));
        let read = tree(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(read.to_string(), text(meant).to_string(), "{query}");
        assert_eq!(text(&read.to_string()).to_string(), read.to_string(), "{query}");
    }
}

/// Groups, with what the library keeps beside them: ids, paths, empty values of operators that take none.
#[test]
fn groups_are_read_as_the_screen_shows_them() {
    let query = json!({
        "id": "g-root", "combinator": "and", "not": false,
        "rules": [
            {"id": "r1", "path": [0], "field": "recency_days", "operator": "null", "value": "", "valueSource": "value"},
            {"id": "g1", "combinator": "or", "not": true, "rules": [
                {"field": "stage", "operator": "=", "value": "purchase"},
                {"field": "tags", "operator": "contains", "value": "@"},
            ]},
            {"combinator": "or", "rules": [
                {"field": "orders", "operator": "=", "valueSource": "field", "value": "visits"},
                {"field": "orders", "operator": "between", "valueSource": "field", "value": ["visits", "carts"]},
                {"field": "orders", "operator": "in", "valueSource": "field", "value": "visits, carts"},
                {"combinator": "and", "rules": [{"field": "spend", "operator": ">", "value": "5"}]},
            ]},
        ],
    });
    let meant = r#"!known(recency_days) && !(stage == "purchase" || "@" in tags) && (orders == visits
        || (orders >= visits && orders <= carts) || orders in [visits, carts] || spend > 5)"#;
    assert_eq!(tree(&query).unwrap().to_string(), text(meant).to_string());
}

#[test]
fn between_rules_and_binds_tighter_than_or() {
    let [a, b, c, d] = [1, 2, 3, 4].map(|n| rule("orders", "=", n));
    for (query, meant) in [
        (json!({"rules": [a, "and", b, "or", c]}), "orders == 1 && orders == 2 || orders == 3"),
        (json!({"rules": [a, "or", b, "AND", c, "or", d]}), "orders == 1 || orders == 2 && orders == 3 || orders == 4"),
        (
            json!({"not": true, "rules": [a, "or", {"rules": [b, "and", c]}]}),
            "!(orders == 1 || orders == 2 && orders == 3)",
        ),
        (json!({"rules": [a]}), "orders == 1"),
    ] {
        assert_eq!(tree(&query).unwrap(), text(meant), "{query}");
    }
}

#[test]
fn what_is_muted_is_left_out_and_all_of_it_is_nothing() {
    let muted = json!({"field": "nonsense", "operator": "~", "value": "", "muted": true});
    let query = json!({"combinator": "or", "rules": [muted, rule("orders", "=", 1), {"muted": true, "combinator": "and", "rules": []}]});
    assert_eq!(tree(&query).unwrap(), text("orders == 1"));
    assert_eq!(refused(&only(muted.clone())), "the query: nothing is chosen here");
    let query = json!({"rules": [rule("orders", "=", 1), "or", muted, "and", rule("orders", "=", 2)]});
    assert_eq!(tree(&query).unwrap(), text("orders == 1 || orders == 2"));
}

#[test]
fn its_json_logic_means_the_same() {
    let var = |name: &str| json!({ "var": name });
    for (query, meant) in [
        (json!({"==": [var("recency_days"), null]}), "!known(recency_days)"),
        (json!({"!=": [var("recency_days"), null]}), "known(recency_days)"),
        (json!({"in": [var("stage"), ["purchase", "intent"]]}), r#"stage in ["purchase", "intent"]"#),
        (json!({"!": {"in": [var("stage"), ["purchase"]]}}), r#"stage != "purchase""#),
        (json!({"!": [{"in": [var("orders"), [1, "2"]]}]}), "!(orders == 1 || orders == 2)"),
        (json!({"<=": [12, var("orders"), 14]}), "orders >= 12 && orders <= 14"),
        (json!({"<": ["12", var("orders"), "14"]}), "orders > 12 && orders < 14"),
        (json!({"!": {"<=": [12, var("orders"), 14]}}), "!(orders >= 12 && orders <= 14)"),
        (json!({"<=": [var("visits"), var("orders"), var("carts")]}), "visits <= orders && orders <= carts"),
        (json!({"==": [var("orders"), "26"]}), "orders == 26"),
        (json!({"==": [var(r#"segment("buyers")"#), false]}), r#"!segment("buyers")"#),
        (json!({"===": [var("orders"), var("visits")]}), "orders == visits"),
        (json!({">": [3, var("orders")]}), "orders < 3"),
        (json!({"in": ["vip", var("tags")]}), r#""vip" in tags"#),
        (json!({"in": ["ol", var(r#"tier("club")"#)]}), r#"tier("club").contains("ol")"#),
        (json!({"startsWith": [{"var": ["stage"]}, "p"]}), r#"stage.startsWith("p")"#),
        (json!({"!": {"endsWith": [var("tags"), "fr"]}}), r#"!tags.exists(t, t.endsWith("fr"))"#),
        (json!({"in": [var("orders"), [var("visits"), var("carts")]]}), "orders in [visits, carts]"),
        (
            json!({"and": [
                {"==": [var("orders"), 1]},
                {"!": {"or": [{"==": [var("stage"), "intent"]}, {">=": [var("spend"), 1.5]}]}},
                {"or": [{"and": [{"<": [var("visits"), 2]}]}]},
            ]}),
            r#"orders == 1 && !(stage == "intent" || spend >= 1.5) && visits < 2"#,
        ),
    ] {
        let read = logic(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(read.to_string(), text(meant).to_string(), "{query}");
    }
}

/// `formatQuery(query, { format: "cel", parseNumbers: true })`.
#[test]
fn its_cel_reads_as_text() {
    let exported = concat!(
        r#"recency_days == null && recency_days != null && stage in ["intent", "purchase"] && "#,
        r#"!(stage in ["intent", "purchase"]) && (orders >= 12 && orders <= 14) && (orders < 12 || orders > 14) && "#,
        r#"spend == 26.5 && segment("buyers") == true && segment("buyers") == false && orders == visits && "#,
        r#"!(stage == "intent" || stage != "purchase" || tags.contains("@")) && (first_seen < "2026-01-01") && "#,
        r#"(!stage.contains("ab") || stage.startsWith("p") || !tags.contains("fr") || segments.contains("buyers"))"#,
    );
    let meant = concat!(
        r#"!known(recency_days) && known(recency_days) && stage in ["intent", "purchase"] && "#,
        r#"!(stage in ["intent", "purchase"]) && orders >= 12 && orders <= 14 && (orders < 12 || orders > 14) && "#,
        r#"spend == 26.5 && segment("buyers") && !segment("buyers") && orders == visits && "#,
        r#"!(stage == "intent" || stage != "purchase" || "@" in tags) && first_seen < date("2026-01-01") && "#,
        r#"(!stage.contains("ab") || stage.startsWith("p") || !("fr" in tags) || "buyers" in segments)"#,
    );
    assert_eq!(text(exported), text(meant));
    // What is not a number cannot be asked whether it is missing.
    for refused in ["stage == null", "null == null", "orders > null", "tags == null"] {
        assert!(Predicate::parse(refused, &vocabulary()).is_err(), "{refused}");
    }
}

#[test]
fn errors_say_where_in_the_json_and_what_may_have_been_meant() {
    let deep = |rule: Value| json!({"combinator": "or", "rules": [only(json!(only(rule)))]});
    for (query, error) in [
        (
            deep(rule("recency_day", "=", 1)),
            r#"rules[0].rules[0].rules[0].field: there is no name "recency_day"; did you mean "recency_days"?"#,
        ),
        (
            only(rule("stage", "=", "purchased")),
            r#"rules[0].value: there is no stage "purchased"; did you mean "purchase"?"#,
        ),
        (
            only(rule("stage", "in", json!(["intent", "purchased"]))),
            r#"rules[0].value[1]: there is no stage "purchased"; did you mean "purchase"?"#,
        ),
        (only(rule("stage", "begins", "p")), r#"rules[0].operator: there is no operator "begins""#),
        (
            only(rule("stage", "beginWith", "p")),
            r#"rules[0].operator: there is no operator "beginWith"; did you mean "beginsWith"?"#,
        ),
        (
            only(rule("segments", "contains", "buyer")),
            r#"rules[0].value: there is no segment "buyer"; did you mean "buyers"?"#,
        ),
        (only(rule("orders", "=", "many")), "rules[0].value: expected a number of things, found a text"),
        (only(rule("orders", "=", json!({"gt": 1}))), "rules[0].value: expected a number of things, found an object"),
        (only(rule("orders", "=", "1.5")), "rules[0].value: expected a number of things, found a decimal number"),
        (only(rule("orders", "contains", "1")), "rules[0].operator: expected a text, found orders"),
        (only(rule("stage", "=", 3)), "rules[0].value: expected a text, found a number"),
        (only(rule("stage", "=", "")), "rules[0].value: nothing is chosen here"),
        (only(rule("stage", "contains", "")), "rules[0].value: nothing is chosen here"),
        (only(rule("orders", ">", "")), "rules[0].value: nothing is chosen here"),
        (only(rule("orders", ">", Value::Null)), "rules[0].value: nothing is chosen here"),
        (only(rule("orders", "in", "")), "rules[0].value: nothing is chosen here"),
        (only(rule("orders", "notIn", json!([]))), "rules[0].value: nothing is chosen here"),
        (only(rule("orders", "notIn", " , ,")), "rules[0].value: nothing is chosen here"),
        (only(rule("~", "=", "x")), "rules[0].field: nothing is chosen here"),
        (only(rule("orders", "~", "x")), "rules[0].operator: nothing is chosen here"),
        (only(rule("orders", "between", "1,")), "rules[0].value: `between` takes two values"),
        (only(rule("orders", "between", json!([1, 2, 3]))), "rules[0].value: `between` takes two values"),
        (only(rule("spend", "=", "0.001")), "rules[0].value: an amount in EUR has at most 2 decimals"),
        (
            only(rule("1", "=", 1)),
            "rules[0].field: expected something that is known of a customer, found a whole number",
        ),
        (
            only(rule("true", "=", true)),
            "rules[0].field: expected something that is known of a customer, found a yes or no",
        ),
        (only(rule("stage", "null", "")), "rules[0].field: expected a number, found a text"),
        (
            json!({"combinator": "xor", "rules": [rule("orders", "=", 1)]}),
            r#"combinator: there is no combinator "xor"; did you mean "or"?"#,
        ),
        (json!({"combinator": "and", "rules": []}), "rules: nothing is chosen here"),
        (json!({"rules": []}), "rules: nothing is chosen here"),
        (json!({"rules": [rule("orders", "=", 1), "and"]}), "rules[1]: nothing is chosen here"),
        (
            json!({"rules": [rule("orders", "=", 1), rule("orders", "=", 1)]}),
            "rules[1]: expected `and` or `or`, found an object",
        ),
        (json!({"combinator": "and", "rules": ["or"]}), "rules[0]: expected a rule or a group, found a text"),
        (
            json!({"combinator": "and", "not": "true", "rules": [rule("orders", "=", 1)]}),
            "not: expected a yes or no, found a text",
        ),
        (json!({"combinator": "and", "rule": []}), "rules: expected a list of rules, found nothing"),
        (json!([]), "the query: expected a group with rules, found a list"),
        (
            only(json!({"field": "orders", "operator": "=", "value": "visit", "valueSource": "field"})),
            r#"rules[0].value: there is no name "visit"; did you mean "visits"?"#,
        ),
        (
            only(json!({"field": "spend", "operator": "=", "value": "visits", "valueSource": "field"})),
            "rules[0].value: expected an amount of money, found events",
        ),
        (
            only(json!({"field": "spend", "operator": "=", "value": "p", "valueSource": "parameter"})),
            r#"rules[0].valueSource: there is no source of values "parameter""#,
        ),
        (
            only(json!({"field": "tags", "operator": "=", "value": only(rule("", "=", 1)), "match": {"mode": "all"}})),
            "rules[0].match: a query about the parts of a field cannot be used in a rule",
        ),
        (
            only(rule("tags", "=", "vip")),
            "rules[0].operator: a comparison of a list of texts; `contains` and `in` ask what is in it, and it cannot be used in a rule",
        ),
    ] {
        assert_eq!(refused(&query), error, "{query}");
    }
    for (query, error) in [
        (json!(false), "the query: nothing is chosen here"),
        (json!(true), "the query: expected an object with one operator, found a yes or no"),
        (json!({"and": []}), "and: nothing is chosen here"),
        (json!({"or": [{"!": {"and": [false]}}]}), "or[0].!.and[0]: nothing is chosen here"),
        (
            json!({"starsWith": [{"var": "stage"}, "p"]}),
            r#"the query: there is no operator "starsWith"; did you mean "startsWith"?"#,
        ),
        (json!({"and": [{"==": [{"var": "stage"}, "x"]}]}), r#"and[0].==[1]: there is no stage "x""#),
        (
            json!({"and": [{"in": [{"var": "stag"}, ["x"]]}]}),
            r#"and[0].in[0].var: there is no name "stag"; did you mean "stage"?"#,
        ),
        (json!({"==": [1, 1]}), "==: a comparison of two constants cannot be used in a rule"),
        (json!({"in": [{"var": "orders"}, []]}), "in[1]: nothing is chosen here"),
        (json!({">": [{"var": "orders"}]}), ">: expected a list of two operands, found a list"),
        (json!({">": [1, {"var": "orders"}, 2]}), ">: expected a list of two operands, found a list"),
        (json!({"==": [{"var": ["orders", 1]}, 1]}), "==[0].var: expected the name of a field, found a list"),
        (json!({"and": [], "or": []}), "the query: expected an object with one operator, found an object"),
    ] {
        assert_eq!(refused_logic(&query), error, "{query}");
    }
}

#[test]
fn a_value_stays_a_value_whatever_is_written_in_it() {
    for hostile in [
        r#"" || true || ""#,
        r#"vip" in tags || "a" in tags || "b"#,
        r"'; drop table customers; --",
        r#"\" // all of them"#,
        "a\\",
        "line\nbreak // and a comment",
        "${stage} {{stage}} %s",
        "{\"var\": \"stage\"}",
        "\u{202e}\u{0}王",
    ] {
        for query in [only(rule("tags", "contains", hostile)), only(rule("tags", "in", json!([hostile])))] {
            let read = tree(&query).unwrap();
            let expected = serde_json::from_value(json!({"text": ["tags", {"one_of": [hostile]}]})).unwrap();
            assert_eq!(read, expected, "{query}");
            assert_eq!(text(&read.to_string()), read);
        }
        let read = logic(&json!({"in": [hostile, {"var": "tags"}]})).unwrap();
        assert_eq!(read, serde_json::from_value(json!({"text": ["tags", {"one_of": [hostile]}]})).unwrap());
        assert!(tree(&only(rule("orders", ">", hostile))).is_err());
        assert!(tree(&only(rule("stage", "=", hostile))).is_err());
        assert!(tree(&only(rule(hostile, "=", 1))).is_err(), "{hostile}");
    }
    // A comma that was escaped belongs to its value.
    assert_eq!(tree(&only(rule("tags", "in", r"a\,b,c"))).unwrap(), text(r#"tags.exists(t, t in ["a,b", "c"])"#));
}

#[test]
fn limits_hold_before_anything_is_built() {
    let too_large = |error: QueryError| {
        let limited = matches!(error.problem, Problem::Limit(LimitError::TooLarge { .. }) | Problem::TooLong { .. });
        assert!(limited, "{error}");
    };
    let numbers: Vec<u32> = (0..100_000).collect();
    let listed = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    too_large(tree(&only(rule("orders", "in", json!(numbers)))).unwrap_err());
    too_large(tree(&only(rule("orders", "in", listed))).unwrap_err());
    too_large(logic(&json!({"in": [{"var": "orders"}, numbers]})).unwrap_err());
    too_large(tree(&json!({"combinator": "or", "rules": vec![rule("orders", "=", 1); 100_000]})).unwrap_err());
    too_large(tree(&json!({"combinator": "or", "rules": vec![json!({"muted": true}); 100_000]})).unwrap_err());
    too_large(logic(&json!({"and": vec![json!({"==": [{"var": "orders"}, 1]}); 100_000]})).unwrap_err());
    too_large(Predicate::from_query_builder(&" ".repeat(1 << 20), &vocabulary()).unwrap_err());

    // As many and as long fields as there may be, each of which is read.
    let field = format!("orders{}", " + visits".repeat(25));
    too_large(tree(&json!({"combinator": "or", "rules": vec![rule(&field, "=", 1); 999]})).unwrap_err());

    let long = "x".repeat(1 << 20);
    for query in [
        only(rule(&long, "=", 1)),
        only(rule("stage", &long, 1)),
        only(rule("tags", "contains", long.as_str())),
        only(rule("tags", "in", json!([long]))),
        json!({"combinator": long, "rules": [rule("orders", "=", 1)]}),
    ] {
        let error = refused(&query);
        assert!(error.len() < 200, "{error}");
    }

    let mut query = only(rule("orders", "=", 1));
    let mut nested = json!({"==": [{"var": "orders"}, 1]});
    for _ in 0..100 {
        query = json!({"combinator": "and", "not": true, "rules": [query]});
        nested = json!({ "!": nested });
    }
    for error in [
        Predicate::from_query_builder_value(&query, &vocabulary()).unwrap_err(),
        Predicate::from_json_logic(&nested.to_string(), &vocabulary()).unwrap_err(),
    ] {
        assert_eq!(error.problem, Problem::Limit(LimitError::TooDeep { max: Predicate::DEPTH_MAX }));
    }
    // Deeper than any stack, as text.
    for open in ["[", r#"{"rules":["#, r#"{"!":"#] {
        let json = open.repeat(20_000);
        let error = Predicate::from_query_builder(&json, &vocabulary()).unwrap_err();
        assert!(matches!(error.problem, Problem::Syntax(_)), "{error}");
        assert!(Predicate::from_json_logic(&json, &vocabulary()).is_err());
    }
}

/// A rule as a screen keeps it, as JsonLogic, and as one would write it.
#[derive(Debug, Clone)]
struct Same {
    tree: Value,
    logic: Value,
    text: String,
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn simple() -> impl Strategy<Value = Same> {
    let numeric = prop::sample::select(vec!["orders", "visits", "recency_days", r#"orders.in_last("9d").count()"#]);
    let signs =
        prop::sample::select(vec![("=", "=="), ("!=", "!="), ("<", "<"), ("<=", "<="), (">", ">"), (">=", ">=")]);
    let numbers =
        (numeric.clone(), signs, -9..99_i64, any::<bool>()).prop_map(|(field, (sign, cel), number, written)| Same {
            tree: rule(field, sign, if written { json!(number.to_string()) } else { json!(number) }),
            logic: json!({cel: [{"var": field}, number]}),
            text: format!("{field} {cel} {number}"),
        });
    let between = (numeric, 0..9_i64, 9..99_i64, any::<bool>()).prop_map(|(field, low, high, not)| Same {
        tree: rule(field, if not { "notBetween" } else { "between" }, json!([low, high])),
        logic: if not {
            json!({"or": [{"<": [{"var": field}, low]}, {">": [{"var": field}, high]}]})
        } else {
            json!({"<=": [low, {"var": field}, high]})
        },
        text: if not {
            format!("({field} < {low} || {field} > {high})")
        } else {
            format!("({field} >= {low} && {field} <= {high})")
        },
    });
    let tests =
        prop::sample::select(vec![("beginsWith", "startsWith"), ("endsWith", "endsWith"), ("contains", "contains")]);
    let texts = (tests, r#"[a-z"'\\/,王 ]{1,6}"#).prop_map(|((operator, cel), part)| Same {
        tree: rule(r#"tier("club")"#, operator, part.as_str()),
        logic: if cel == "contains" {
            json!({"in": [part, {"var": r#"tier("club")"#}]})
        } else {
            json!({cel: [{"var": r#"tier("club")"#}, part]})
        },
        text: format!(r#"tier("club").{cel}({})"#, quoted(&part)),
    });
    let tagged = (r#"[a-z"'\\/,王 ]{1,6}"#, any::<bool>()).prop_map(|(tag, not)| Same {
        tree: rule("tags", if not { "doesNotContain" } else { "contains" }, tag.as_str()),
        logic: if not { json!({"!": {"in": [tag, {"var": "tags"}]}}) } else { json!({"in": [tag, {"var": "tags"}]}) },
        text: format!("{}({} in tags)", if not { "!" } else { "" }, quoted(&tag)),
    });
    prop_oneof![numbers, between, texts, tagged]
}

fn same() -> impl Strategy<Value = Same> {
    simple().prop_recursive(3, 16, 4, |inner| {
        (prop::collection::vec(inner, 1..4), any::<bool>(), any::<bool>()).prop_map(|(parts, all, not)| {
            let by = if all { "and" } else { "or" };
            let trees: Vec<&Value> = parts.iter().map(|part| &part.tree).collect();
            let logics: Vec<&Value> = parts.iter().map(|part| &part.logic).collect();
            let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
            let logic = json!({ by: logics });
            Same {
                tree: json!({"combinator": by, "not": not, "rules": trees}),
                logic: if not { json!({ "!": logic }) } else { logic },
                text: format!("{}({})", if not { "!" } else { "" }, texts.join(if all { " && " } else { " || " })),
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_screen_means_what_one_would_have_written(same in same()) {
        let meant = text(&same.text);
        prop_assert_eq!(tree(&only(same.tree)).unwrap(), meant.clone());
        prop_assert_eq!(logic(&same.logic).unwrap(), meant);
    }

    #[test]
    fn no_json_does_harm(query in any_json()) {
        let nobody = Predicate::Any(Vec::new());
        let everybody = Predicate::All(Vec::new());
        for read in [tree(&query), tree(&only(query.clone())), logic(&query)].into_iter().flatten() {
            prop_assert!(read != everybody && read != nobody);
            prop_assert!(read.check().is_ok());
        }
    }
}

/// JSON of the words that queries are made of.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "and",
        "or",
        "=",
        "in",
        "between",
        "notIn",
        "contains",
        "null",
        "stage",
        "tags",
        "orders",
        "spend",
        "~",
        "",
        "1,2",
        "vip",
        "true",
        "field",
        "2026-01-01",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let keys = prop::sample::select(vec![
            "field",
            "operator",
            "value",
            "rules",
            "combinator",
            "not",
            "muted",
            "valueSource",
            "and",
            "or",
            "!",
            "==",
            "<=",
            "in",
            "startsWith",
            "var",
        ]);
        let whole = (inner.clone(), inner.clone(), inner.clone())
            .prop_map(|(field, operator, value)| json!({"field": field, "operator": operator, "value": value}));
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..4).prop_map(|object| Value::Object(
                object.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
            whole,
        ]
    })
}
