//! The tool, as its users run it.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use support::{Said, command, crm, folder, said};

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), content).unwrap();
}

/// A folder with the example plugins.
fn with_examples(name: &str) -> std::path::PathBuf {
    let folder = folder(name);
    write(&folder, "churn.wasm", guest_build::build("churn").unwrap());
    write(&folder, "winback.wasm", guest_build::build("winback").unwrap());
    folder
}

/// A scorer without features by hand, whose `score` traps.
fn by_hand(manifest: Option<&str>, imports: &str) -> Vec<u8> {
    let manifest = manifest.map(|json| format!(r#"(@custom "crm:manifest" "{}")"#, json.replace('"', "\\\"")));
    let text = format!(
        r#"(module {imports} {}
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "crm:plugin/scorer@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "crm:plugin/scorer@0.1.0#score") (param i32 i32 i32 i32 i32) (result i32) unreachable))"#,
        manifest.unwrap_or_default()
    );
    wat::parse_str(text).unwrap()
}

const MANIFEST: &str = r#"{"api":"0.1","name":"hand","version":"1","outputs":[{"name":"score"}]}"#;

/// A workflow by hand, whose `handle` traps.
fn workflow_by_hand(manifest: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (@custom "crm:manifest" "{}")
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "crm:plugin/workflow@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
        (func (export "crm:plugin/workflow@0.1.0#handle")
            (param i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) unreachable))"#,
        manifest.replace('"', "\\\"")
    );
    wat::parse_str(text).unwrap()
}

const LISTENS: &str = r#"{"api":"0.1","name":"hand","version":"1","events":["scored"]}"#;

#[track_caller]
fn says(said: &Said, code: i32, words: &[&str]) {
    let text = format!("{}{}", said.out, said.err);
    assert_eq!(said.code, code, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in\n{text}");
    }
}

#[test]
fn a_plugin_that_a_host_takes_is_shown_with_what_it_asks_for() {
    let folder = with_examples("check_good");
    let words =
        ["scorer    churn 0.1.0", "recency_days, orders, average_order", "churn: float in 0..=1", "a host takes it"];
    says(&crm(&folder, "check churn.wasm"), 0, &words);
    let words = ["workflow  winback", "stage_changed, scored", "spend_above: int = 10000", "a host takes it"];
    says(&crm(&folder, "check winback.wasm"), 0, &words);
    let json = crm(&folder, "check churn.wasm --json").json();
    assert_eq!(json["taken"], true);
    assert_eq!(json["manifest"]["features"][1], "orders");
    assert_eq!(json["sha256"].as_str().unwrap().len(), 64);
    assert!(
        json["imports"].as_array().unwrap().iter().all(|import| import.as_str().unwrap().contains("crm:plugin/diag"))
    );
}

#[test]
fn a_refusal_comes_with_advice() {
    let folder = folder("check_bad");
    let wasi = r#"(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))"#;
    let cases: [(&str, Vec<u8>, &[&str]); 9] = [
        ("text", b"fn main() {}".to_vec(), &["no WebAssembly", "crm plugin build"]),
        ("cut", by_hand(Some(MANIFEST), "")[..120].to_vec(), &["no valid WebAssembly", "Build it again"]),
        ("wasi", by_hand(Some(MANIFEST), wasi), &["`wasi_snapshot_preview1 random_get`", "wasm32-unknown-unknown"]),
        ("bare", by_hand(None, ""), &["no manifest", "write a plugin.toml"]),
        ("role", wat::parse_str("(module)").unwrap(), &["neither a scorer nor a workflow", "register_scorer!"]),
        ("api", by_hand(Some(&MANIFEST.replace("0.1", "7.0")), ""), &["contract `7.0`"]),
        ("shape", by_hand(Some(&MANIFEST.replace("outputs", "output")), ""), &["unknown field `output`"]),
        (
            "feature",
            by_hand(Some(&MANIFEST.replace("\"outputs\"", "\"features\":[\"recncy_days\"],\"outputs\"")), ""),
            &["no feature `recncy_days`", "Did you mean `recency_days`?"],
        ),
        (
            "mismatch",
            by_hand(Some(&MANIFEST.replace("outputs\":[{\"name\":\"score\"}]", "events\":[\"scored\"]")), ""),
            &["declares no outputs", "A scorer declares outputs"],
        ),
    ];
    for (name, wasm, words) in cases {
        write(&folder, name, wasm);
        let said = crm(&folder, &format!("check {name}"));
        says(&said, 1, words);
        says(&said, 1, &["a host refuses it"]);
        let json = crm(&folder, &format!("check {name} --json")).json();
        assert_eq!(json["taken"], false, "{name}");
        assert!(json["errors"][0]["advice"].is_string(), "{name}");
    }
    says(&crm(&folder, "check nothing"), 2, &["could not read nothing"]);
    says(&crm(&folder, "check"), 2, &["Usage"]);
}

#[test]
fn a_plugin_that_traps_on_odd_customers_is_taken_with_a_warning() {
    let folder = folder("check_trap");
    write(&folder, "hand.wasm", by_hand(Some(MANIFEST), ""));
    says(&crm(&folder, "check hand.wasm"), 0, &["warning: with sample customers", "trapped", "a host takes it"]);
}

#[test]
fn a_workflow_that_traps_on_a_sample_event_is_taken_with_a_warning() {
    let folder = folder("check_workflow");
    // What the engine knows beside the features of the catalogue.
    let asks = LISTENS.replace("\"events\"", r#""features":["stage","customer"],"fields":["birthday"],"events""#);
    write(&folder, "hand.wasm", workflow_by_hand(&asks));
    let words = ["warning: with a sample event `scored`", "trapped", "a host takes it"];
    says(&crm(&folder, "check hand.wasm"), 0, &words);
}

#[test]
fn what_only_an_engine_knows_is_refused_by_check_as_by_the_engine() {
    let folder = folder("check_engine");
    let cases: [(&str, Vec<u8>, &[&str]); 4] = [
        (
            "field",
            workflow_by_hand(&LISTENS.replace("\"events\"", r#""fields":["nom"],"events""#)),
            &["field \"nom\"", "`birthday`"],
        ),
        // A field with several values, which no plugin is given.
        (
            "many",
            workflow_by_hand(&LISTENS.replace("\"events\"", r#""fields":["addresses"],"events""#)),
            &["field \"addresses\""],
        ),
        (
            "word",
            by_hand(Some(&MANIFEST.replace(r#""name":"score""#, r#""name":"score","kind":"word""#)), ""),
            &["a score is a number"],
        ),
        (
            "stage",
            by_hand(Some(&MANIFEST.replace("\"outputs\"", r#""features":["stage"],"outputs""#)), ""),
            &["no feature `stage`"],
        ),
    ];
    for (name, wasm, words) in cases {
        write(&folder, name, wasm);
        says(&crm(&folder, &format!("check {name}")), 1, words);
        says(&crm(&folder, &format!("check {name}")), 1, &["a host refuses it"]);
    }
}

#[test]
fn wrong_arguments_are_said_to_machines_as_well() {
    let folder = folder("usage");
    let json = crm(&folder, "score --json").json();
    assert_eq!(json["error"]["kind"], "usage");
    assert!(json["error"]["message"].as_str().unwrap().contains("<FILE>"), "{json}");
    says(&crm(&folder, "score"), 2, &["Usage"]);
    says(&crm(&folder, "score --help --json"), 0, &["Usage"]);
    let json = crm(&folder, "score nothing.wasm nothing.csv --json").json();
    assert!(json["error"]["message"].as_str().unwrap().contains("No such file"), "{json}");
}

const CUSTOMERS: &str = "\
customer,orders,recency_days,note,average_order
ada,11,20,\"fast, loyal\",120
grace,1,120,,120
joan,0,,never ordered,30
";

#[test]
fn customers_of_a_file_are_scored_and_keep_their_other_columns() {
    let folder = with_examples("score");
    write(&folder, "customers.csv", CUSTOMERS);
    let said = crm(&folder, "score churn.wasm customers.csv");
    assert_eq!(said.err, "");
    assert_eq!(
        said.out,
        "customer,note,churn\nada,\"fast, loyal\",0.16197374837015527\ngrace,,0.88779509768295\njoan,never ordered,\n"
    );

    says(&crm(&folder, "score churn.wasm customers.csv -o scores.csv"), 0, &["3 rows into scores.csv"]);
    assert_eq!(std::fs::read_to_string(folder.join("scores.csv")).unwrap(), said.out);

    let json = crm(&folder, "score churn.wasm customers.csv --json --as-of 2026-01-31").json();
    assert_eq!(json["columns"], serde_json::json!(["customer", "note", "churn"]));
    assert_eq!(json["rows"][2], serde_json::json!(["joan", "never ordered", null]));
}

#[test]
fn the_time_the_seed_and_the_currency_are_what_a_scorer_is_told() {
    let folder = folder("score_context");
    let telling = wat::parse_str(include_str!("../../tests/score_context/telling.wat")).unwrap();
    write(&folder, "telling.wasm", telling);
    write(&folder, "customers.csv", "customer\nada\n");
    let told = |arguments: &str| {
        let said = crm(&folder, &format!("score telling.wasm customers.csv --as-of 2026-01-06 {arguments}"));
        said.out.strip_prefix("customer,told\nada,").unwrap().trim().parse::<f64>().unwrap()
    };
    let as_of = crm::Timestamp::parse("2026-01-06").unwrap();
    let seed = crm::score_seed(&crm::PluginName::new("telling").unwrap(), as_of) >> 32;
    for (arguments, currency) in [("", *b"EUR\0"), ("--currency USD", *b"USD\0")] {
        let expected = as_of.as_millis() + seed.cast_signed() + i64::from(u32::from_le_bytes(currency));
        assert!((told(arguments) - expected as f64).abs() < 0.5, "{arguments}: {} is not {expected}", told(arguments));
    }
}

#[test]
fn more_customers_than_a_batch_holds_are_scored_alike() {
    let folder = with_examples("score_many");
    let rows = (0..5_000).map(|row| format!("{row},{},{},{}\n", row % 12, row % 200, 200 + row % 500));
    let text = format!("customer,orders,recency_days,average_order\n{}", rows.collect::<String>());
    write(&folder, "customers.csv", text);
    let said = crm(&folder, "score churn.wasm customers.csv");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 5_001);
    // Two customers who are alike but for their number, in different batches.
    let score = |customer: usize| lines[customer + 1].split_once(',').unwrap().1;
    assert_eq!(score(7), score(7 + 3_000));
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_its_place() {
    let folder = with_examples("score_bad");
    let score = |text: &str, more: &str| {
        write(&folder, "customers.csv", text);
        crm(&folder, &format!("score churn.wasm customers.csv {more}"))
    };
    let bad = CUSTOMERS.replace("grace,1,", "grace,one,");
    says(&score(&bad, ""), 2, &["line 3, column 2 (`orders`): `one` is no finite number"]);
    says(&score(&bad.replace("one", "inf"), ""), 2, &["`inf` is no finite number"]);
    says(
        &score(&CUSTOMERS.replace("average_order", "average"), ""),
        2,
        &["no column `average_order`", "recency_days, note, average"],
    );
    says(&score(&CUSTOMERS.replace("note", "orders"), ""), 2, &["two columns `orders`"]);
    says(&score(&CUSTOMERS.replace("joan,0,", "joan,0,0,"), ""), 2, &["line 4: 6 cells, and the header has 5"]);
    says(&score(CUSTOMERS, "--param days=3"), 2, &["no parameter `days`; it has none"]);
    says(&score(CUSTOMERS, "--param days"), 2, &["`days` is not NAME=VALUE"]);
    says(&score(CUSTOMERS, "--as-of yesterday"), 2, &["`yesterday` is no time"]);
    let json = score(&bad, "--json").json();
    assert_eq!(json["error"]["kind"], "cell");
    says(&crm(&folder, "score winback.wasm customers.csv"), 2, &["winback.wasm is no scorer"]);
}

#[test]
fn a_plugin_that_fails_says_at_which_lines() {
    let folder = folder("score_trap");
    write(&folder, "hand.wasm", by_hand(Some(MANIFEST), ""));
    write(&folder, "customers.csv", "customer\nada\n");
    let words = ["the plugin failed, line 2 of customers.csv", "unreachable code or a panic", "--log"];
    says(&crm(&folder, "score hand.wasm customers.csv"), 1, &words);
}

#[test]
fn a_file_of_an_interpreters_size_is_taken_where_that_is_asked_for() {
    let folder = folder("interpreter");
    let mut wasm = by_hand(Some(MANIFEST), "");
    // A custom section of 5 MiB, whose length takes four bytes and that of its name one.
    let length = 5 << 20;
    wasm.extend([
        0,
        length as u8 & 0x7f | 0x80,
        (length >> 7) as u8 & 0x7f | 0x80,
        (length >> 14) as u8 & 0x7f | 0x80,
        (length >> 21) as u8,
    ]);
    wasm.extend([1, b'x']);
    wasm.extend(vec![0; length - 2]);
    write(&folder, "large.wasm", wasm);
    says(&crm(&folder, "check large.wasm"), 1, &["over the limit of 4194304", "try --interpreter"]);
    says(&crm(&folder, "check large.wasm --interpreter"), 0, &["a host takes it"]);
    write(&folder, "customers.csv", "customer\nada\n");
    says(&crm(&folder, "score large.wasm customers.csv --interpreter"), 1, &["unreachable code"]);
}

const TOML: &str = r#"
name = "hand"
version = "1.2.3"

[[outputs]]
name = "score"
"#;

#[test]
fn a_file_of_another_language_gets_its_manifest_from_a_plugin_toml() {
    let folder = folder("build_embed");
    std::fs::create_dir(folder.join("odd")).unwrap();
    write(&folder, "other.wasm", by_hand(None, ""));
    says(&crm(&folder, "build other.wasm"), 2, &["has no manifest", "needs a plugin.toml", "register_scorer!"]);
    write(&folder, "plugin.toml", TOML);
    says(&crm(&folder, "build other.wasm"), 0, &["hand.wasm", "sha256"]);
    says(&crm(&folder, "check hand.wasm"), 0, &["hand 1.2.3"]);
    // What is there stays, and what is asked for replaces it.
    let json = crm(&folder, "build hand.wasm -o again.wasm --json").json();
    assert_eq!(json["name"], "hand");
    let same =
        |one: &str, other: &str| std::fs::read(folder.join(one)).unwrap() == std::fs::read(folder.join(other)).unwrap();
    assert!(same("hand.wasm", "again.wasm"));
    write(&folder, "newer.toml", TOML.replace("1.2.3", "1.2.4"));
    says(&crm(&folder, "build hand.wasm --manifest newer.toml -o newer.wasm"), 0, &["newer.wasm"]);
    says(&crm(&folder, "check newer.wasm"), 0, &["hand 1.2.4"]);
    // What is there and is none is not passed over.
    write(&folder, "odd/bad.wasm", by_hand(Some("{}"), ""));
    says(&crm(&folder, "build odd/bad.wasm"), 2, &["odd/bad.wasm is no manifest", "missing field"]);
    write(&folder, "odd/plugin.json", MANIFEST);
    says(&crm(&folder, "build odd/bad.wasm -o json.wasm"), 0, &["json.wasm"]);
    says(&crm(&folder, "check json.wasm"), 0, &["hand 1\n"]);
    write(&folder, "odd/plugin.json", "{");
    says(&crm(&folder, "build odd/bad.wasm"), 2, &["plugin.json is no manifest", "line 1"]);
    write(&folder, "wrong.toml", TOML.replace("version", "versoin"));
    says(&crm(&folder, "build other.wasm --manifest wrong.toml"), 2, &["wrong.toml is no manifest", "versoin"]);
    says(&crm(&folder, "build nowhere"), 2, &["neither a Cargo.toml nor is it a WASM file"]);
}

#[test]
fn a_bench_measures_beside_native_code() {
    let folder = with_examples("bench");
    let json = crm(&folder, "bench churn.wasm --rounds 5 --rows 256 --json").json();
    let number = |json: &serde_json::Value, name: &str| json[name].as_f64().unwrap();
    assert!(number(&json, "plugin_ns_per_row") > 0.0 && number(&json, "native_ns_per_row") > 0.0);
    let memory = number(&json, "memory_bytes");
    assert!((65_536.0..16_777_216.0).contains(&memory), "{memory}");
    assert_eq!(json["file_bytes"], std::fs::metadata(folder.join("churn.wasm")).unwrap().len());

    // What a batch takes is counted, the same each time, and more of a larger batch.
    let fuel = json["fuel"].as_u64().unwrap();
    let of = |rows: u32| crm(&folder, &format!("bench churn.wasm --rounds 3 --rows {rows} --json")).json();
    assert_eq!(of(256)["fuel"], fuel);
    let twice = of(512)["fuel"].as_u64().unwrap();
    assert!(fuel > 256 && (fuel + fuel / 2..3 * fuel).contains(&twice), "{fuel}, {twice}");
    let json = crm(&folder, "bench winback.wasm --rounds 5 --json").json();
    let fuel = number(&json, "fuel");
    assert!((100.0..1_000_000.0).contains(&fuel), "{fuel}");
    // Fuel is counted, so it is the same every time.
    assert_eq!(json["fuel"], crm(&folder, "bench winback.wasm --rounds 5 --json").json()["fuel"]);
    says(&crm(&folder, "bench churn.wasm --rounds 5"), 0, &["ns a customer", "ratio", "KiB"]);
}

#[test]
fn a_new_project_is_not_written_over_another_nor_under_an_odd_name() {
    let folder = folder("new_bad");
    write(&folder, "taken", "");
    says(&crm(&folder, "new taken"), 2, &["taken is there already"]);
    says(&crm(&folder, "new ../up"), 2, &["no name for a plugin"]);
    says(&crm(&folder, "new fine --sdk nowhere"), 2, &["no crm-plugin-sdk in nowhere"]);
    assert!(!folder.join("fine").exists());
    says(&crm(&folder, "new win-back"), 0, &["next: cd win-back"]);
    let manifest = std::fs::read_to_string(folder.join("win-back/Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("crm-plugin-sdk = \"{}\"", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_project_that_does_not_build_says_what_the_compiler_said() {
    let folder = folder("build_bad");
    let sdk = support::root().join("crm-plugins/sdk");
    let said = said(command(&folder).args(["plugin", "new", "broken", "--sdk"]).arg(sdk).output().unwrap());
    says(&said, 0, &["wrote broken/"]);
    let source = std::fs::read_to_string(folder.join("broken/src/lib.rs")).unwrap();
    write(
        &folder,
        "broken/src/lib.rs",
        source.replace("struct Inputs { recency_days }", "struct Inputs { recncy_days }"),
    );
    let said = crm(&folder, "build broken");
    says(&said, 1, &["could not build", "recncy_days", "recency_days"]);
}

#[test]
fn a_score_out_of_its_range_is_told_with_the_line_of_its_customer() {
    let folder = folder("score_range");
    let sdk = support::root().join("crm-plugins/sdk");
    said(command(&folder).args(["plugin", "new", "wide", "--sdk"]).arg(sdk).output().unwrap());
    let source = std::fs::read_to_string(folder.join("wide/src/lib.rs")).unwrap();
    write(&folder, "customers.csv", "customer,recency_days\nada,3\n\"two\nlines\",3\ngrace,400\njoan,9\n");
    for (instead, words) in [
        ("", ["outside its declared range", "Clamp the score"]),
        // What names no row is looked for.
        (
            ".sqrt() - (400.0 - customer.recency_days?).ln()",
            ["holds a number that is not finite", "division by nought"],
        ),
    ] {
        write(&folder, "wide/src/lib.rs", source.replace(".clamp(0.0, 1.0)", instead).replace("in 0..=1", "in -9..=1"));
        says(&crm(&folder, "build wide -o wide.wasm"), 0, &["wide.wasm"]);
        let said = crm(&folder, "score wide.wasm customers.csv");
        says(&said, 1, &["the plugin failed, line 5 of customers.csv"]);
        says(&said, 1, &words);
    }
}

/// Twenty customers who order on the first day, and every other one each week after.
fn orders() -> String {
    let mut text = String::from("total,customer,time\n");
    for week in 0..20 {
        for customer in (0..20).filter(|customer| week == 0 || customer % 2 == 0) {
            // 2026-01-01 and so many weeks.
            let day = 1 + 7 * week;
            let (month, day) = [(1, 31), (2, 28), (3, 31), (4, 30), (5, 31)]
                .iter()
                .try_fold(day, |left, (month, days)| if left > *days { Ok(left - days) } else { Err((*month, left)) })
                .unwrap_err();
            text.push_str(&format!("49.00,c{customer},2026-{month:02}-{day:02}\n"));
        }
    }
    text
}

#[test]
fn a_scorer_is_held_against_what_customers_then_did() {
    let folder = with_examples("backtest");
    write(&folder, "orders.csv", orders());
    let args = "backtest churn.wasm orders.csv --from 2026-03-01 --to 2026-04-12 --days 30 --every 14 --stays-away";
    says(
        &crm(&folder, args),
        0,
        &["210 orders of 20 customers", "churn: 40 of 80 judged: stays away for 30 days", "AUC       1.0000"],
    );
    let json = crm(&folder, &format!("{args} --json")).json();
    assert_eq!(json["outputs"][0]["auc"]["area"], 1.0);
    assert_eq!((&json["outputs"][0]["happened"], &json["scored"]), (&40.into(), &80.into()));
    assert_eq!(json["outputs"][0]["instants"].as_array().unwrap().len(), 4);
    // Turned round: whoever is thought to be gone buys.
    let json = crm(&folder, &format!("{} --json", args.replace(" --stays-away", ""))).json();
    assert_eq!(json["outputs"][0]["auc"]["area"], 0.0);
}

#[test]
fn a_workflow_says_what_it_would_have_asked_for() {
    let folder = with_examples("backtest_workflow");
    write(&folder, "orders.csv", orders());
    let args = "backtest winback.wasm orders.csv --from 2026-01-01 --to 2026-05-01 --json";
    let json = crm(&folder, args).json();
    assert_eq!((&json["role"], &json["faults"]), (&"workflow".into(), &serde_json::json!({})));
    assert!(json["calls"]["stage_changed"].as_u64().unwrap() >= 20, "{json}");
}

#[test]
fn orders_that_are_none_are_named_with_their_line() {
    let folder = with_examples("backtest_bad");
    let args = "backtest churn.wasm orders.csv --from 2026-03-01 --to 2026-04-12";
    for (from, to, words) in [
        ("49.00,c3,2026-01-01", "49.001,c3,2026-01-01", "line 5: `49.001` is no total"),
        ("49.00,c3,2026-01-01", "-1.00,c3,2026-01-01", "line 5: the total `-1.00` is negative"),
        ("49.00,c3,2026-01-01", "49.00,c3,1.1.2026", "line 5: `1.1.2026` is no time"),
        ("49.00,c3,2026-01-01", "49.00,,2026-01-01", "line 5: `` is no customer"),
        ("total,", "amount,", "no column `total`"),
    ] {
        write(&folder, "orders.csv", orders().replacen(from, to, 1));
        says(&crm(&folder, args), 2, &[words]);
    }
    write(&folder, "orders.csv", orders());
    says(&crm(&folder, &args.replace("2026-03-01", "2026-06-01")), 2, &["the backtest failed", "before"]);
    says(&crm(&folder, &format!("{args} --currency XYZ")), 2, &["`XYZ` is no currency"]);
    let later = args.replace("2026-04-12", "2027-04-12");
    says(&crm(&folder, &later), 2, &["--to 2027-04-12 is later than 2026-05-15", "a day after the last order"]);
    write(&folder, "orders.csv", "total,customer,time\n");
    says(&crm(&folder, args), 2, &["orders.csv has no orders"]);
}

/// The fields that the page has under a heading, in the first of its tables or in the one after a line.
fn documented(heading: &str, after: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(support::root().join("docs/plugin-tool.md")).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let (_, section) = section.split_once(after).unwrap();
    let rows =
        section.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| {
        row.split('|')
            .nth(1)
            .unwrap()
            .split(',')
            .map(|name| name.trim().trim_matches('`').to_owned())
            .collect::<Vec<_>>()
    });
    names.collect()
}

#[test]
fn the_page_on_the_tool_has_the_fields_of_each_answer() {
    let folder = with_examples("documented");
    write(&folder, "orders.csv", orders());
    write(&folder, "customers.csv", CUSTOMERS);
    write(&folder, "other.wasm", by_hand(None, ""));
    write(&folder, "plugin.toml", TOML);
    let past = "orders.csv --from 2026-03-01 --to 2026-04-12";
    for (args, heading, after) in [
        ("new one", "`new`", ""),
        ("build other.wasm", "`build`", ""),
        ("check churn.wasm", "`check`", ""),
        ("check winback.wasm", "`check`", ""),
        ("check other.wasm", "`check`", ""),
        ("score churn.wasm customers.csv", "`score`", ""),
        ("score churn.wasm customers.csv -o scores.csv", "`score`", ""),
        ("bench churn.wasm --rounds 3 --rows 16", "`bench`", "Of a scorer"),
        ("bench winback.wasm --rounds 3", "`bench`", "Of a workflow"),
        (&format!("backtest churn.wasm {past}"), "`backtest`", "Of a scorer"),
        (&format!("backtest winback.wasm {past}"), "`backtest`", "Of a workflow"),
    ] {
        let json = crm(&folder, &format!("{args} --json")).json();
        let fields: BTreeSet<String> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, documented(heading, after), "{args}");
    }
}
