//! The storefront example as a person runs it: its output, its exit codes, and what a kill leaves behind.
#![cfg(all(feature = "sqlite", feature = "plugins"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

fn file(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn storefront(db: &Path) -> Command {
    // Tests are in `deps`, examples beside it. `cargo test` builds both.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("storefront{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: run `cargo test`, which builds it", path.display());
    let mut command = Command::new(path);
    command.arg("--db").arg(db).stdin(Stdio::null());
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn check_books(report: &Value) {
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_i64).unwrap_or_else(|| panic!("{pointer}"));
    let refused: i64 = report["rows"]["refused"].as_object().unwrap().values().filter_map(Value::as_i64).sum();
    assert_eq!(number("/rows/read"), number("/rows/accepted") + refused);
    let gone = number("/points/spent") + number("/points/reversed") + number("/points/expired");
    assert_eq!(number("/points/earned"), gone + number("/points/outstanding"));
    let stages: i64 = report["stages"].as_object().unwrap().values().filter_map(Value::as_i64).sum();
    assert_eq!(stages, number("/customers"));
    let decimal = |pointer: &str| -> rust_decimal::Decimal {
        report.pointer(pointer).and_then(Value::as_str).unwrap().parse().unwrap()
    };
    assert_eq!(decimal("/revenue/gross") - decimal("/revenue/refunds"), decimal("/revenue/net"));
}

/// Rows of a year: sales, credit notes, blank customers, bad dates, prices with three decimals.
fn odd_shop(shuffle: u64) -> String {
    let mut rows = Vec::new();
    for n in 0..400_u64 {
        let customer = if n % 11 == 0 { String::new() } else { (n * 7 % 40).to_string() };
        let (invoice, quantity) =
            if n % 9 == 4 { (format!("C{n}"), -1) } else { ((n / 3).to_string(), (n % 5) as i64 + 1) };
        // An invoice belongs to one customer.
        let customer = if quantity > 0 && !customer.is_empty() { (n / 3 % 40).to_string() } else { customer };
        let date = if n % 37 == 5 {
            "2011-02-30 10:00:00".to_owned()
        } else {
            format!("2011-{:02}-{:02} 10:00:00", n % 12 + 1, n / 3 % 28 + 1)
        };
        let price = ["2.55", "0.00", "3.395", "0.125", "12.75"][n as usize % 5];
        rows.push(format!(
            "{invoice},CODE{},\"Mug, large\",{quantity},{date},{price},{customer},United Kingdom",
            n % 13
        ));
    }
    rows.push(rows[7].clone());
    let mut state = shuffle;
    for n in (1..rows.len()).rev().take_while(|_| shuffle > 0) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        rows.swap(n, (state >> 33) as usize % (n + 1));
    }
    let header = "invoice_no,stock_code,description,quantity,invoice_date,unit_price,customer_id,country";
    format!("{header}\n{}\n", rows.join("\n"))
}

#[test]
fn real_orders_go_in_and_customers_come_out() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("shop.db");
    let first = json(&mut storefront(&db));
    check_books(&first);
    assert_eq!(first["rows"]["read"], 6_919);
    assert_eq!(first["customers"], 2_357);
    assert_eq!(first["orders"], 6_919);
    assert_eq!(first["revenue"]["net"], "244091.94");
    assert_eq!(first["scores"]["count"], 2_357);
    assert_eq!(first["as_of"], "1998-07-01T00:00:00Z");
    assert!(first["actions"]["notify"].as_u64().unwrap() > 0);

    // Again on the same database: every order is known, and nothing changes.
    let again = json(&mut storefront(&db));
    assert_eq!(again["facts"], serde_json::json!({ "recorded": 0, "known": 6_919 }));
    for key in ["digest", "stages", "segments", "points", "scores", "actions", "revenue", "top"] {
        assert_eq!(again[key], first[key], "{key}");
    }

    // For people, with the story of one of them.
    let output = storefront(&db).args(["--customer", "00004"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    for expected in
        ["Life cycle", "historical", "Segments", "regulars", "order of 29.33 USD", "by churn", "points earned"]
    {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
}

#[test]
fn the_order_of_rows_does_not_matter_and_each_row_is_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut reports = Vec::new();
    for shuffle in 0..3 {
        let orders = file(&folder, &format!("orders-{shuffle}.csv"), &odd_shop(shuffle));
        let db = folder.path().join(format!("{shuffle}.db"));
        let report = json(storefront(&db).arg("--orders").arg(orders).args(["--currency", "GBP"]));
        check_books(&report);
        assert_eq!(report["rows"]["read"], 401);
        assert!(report["rows"]["refused"]["missing_customer"].as_u64() > Some(30));
        assert!(report["rows"]["refused"]["bad_date"].as_u64() > Some(5));
        assert!(report["rows"]["rounded"].as_u64() > Some(0));
        assert!(report["refunds"].as_u64() > Some(20));
        reports.push(report);
    }
    for key in ["rows", "stages", "segments", "points", "revenue", "customers", "orders", "refunds", "digest"] {
        assert_eq!(reports[1][key], reports[0][key], "{key}");
        assert_eq!(reports[2][key], reports[0][key], "{key}");
    }
}

#[test]
fn columns_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let orders =
        file(&folder, "orders.csv", "buyer,day,sum\nana,2020-01-01,10.00\nben,2020-01-02,5.5\nana,2020-02-01,-10\n");
    let db = folder.path().join("shop.db");
    let columns = ["--columns", "customer=buyer,time=day,amount=sum", "--currency", "EUR"];
    let report = json(storefront(&db).arg("--orders").arg(&orders).args(columns).args(["--as-of", "2020-03-01"]));
    check_books(&report);
    assert_eq!((&report["customers"], &report["orders"], &report["refunds"]), (&2.into(), &2.into(), &1.into()));
    assert_eq!(report["revenue"], serde_json::json!({ "gross": "15.50", "refunds": "10.00", "net": "5.50" }));
    assert_eq!(report["stages"]["prospect"], 1, "ana's only order was refunded");
    assert_eq!(report["as_of"], "2020-03-01T00:00:00Z");
}

#[test]
fn bad_input_is_one_line_and_exit_code_2_and_the_database_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("shop.db");
    let good = file(&folder, "good.csv", "customer,date,amount\nana,2020-01-01,10\n");
    let before = json(storefront(&db).arg("--orders").arg(&good));
    let bytes = std::fs::read(&db).unwrap();
    let refused = |output: Output| {
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(output.stdout.is_empty());
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    };
    let huge = "customer,date,amount\nana,2020-01-01,10\nben,2020-01-01,1e400\n";
    let files = [
        file(&folder, "huge.csv", huge),
        file(&folder, "missing.csv", "customer,date\nana,2020-01-01\n"),
        file(&folder, "text.csv", "this is no table at all\n"),
        file(&folder, "empty.csv", ""),
        file(&folder, "binary.csv", "\u{0}\u{1}\u{2}customer,date,amount\u{0}"),
        folder.path().join("not-there.csv"),
        folder.path().to_owned(),
        std::env::current_exe().unwrap(),
    ];
    for file in files {
        refused(storefront(&db).arg("--json").arg("--orders").arg(&file).output().unwrap());
        let new = folder.path().join("new.db");
        refused(storefront(&new).arg("--orders").arg(&file).output().unwrap());
        assert!(!new.exists(), "{} made a database", file.display());
    }
    refused(storefront(&db).arg("--orders").arg(&good).args(["--customer", "nobody"]).output().unwrap());
    refused(storefront(&good).arg("--orders").arg(&good).output().unwrap());
    refused(storefront(&db).args(["--columns", "customer=a,wrong=b"]).output().unwrap());
    refused(storefront(&db).args(["--as-of", "yesterday"]).output().unwrap());
    refused(storefront(&db).args(["--currency", "shells"]).output().unwrap());
    assert_eq!(std::fs::read(&db).unwrap(), bytes);
    assert_eq!(json(storefront(&db).arg("--orders").arg(&good))["digest"], before["digest"]);
}

#[test]
fn a_kill_during_ingest_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = json(&mut storefront(&folder.path().join("undisturbed.db")));
    let db = folder.path().join("killed.db");
    let mut killed = 0;
    let mut wait = Duration::from_millis(150);
    while killed < 3 {
        let mut child = storefront(&db).arg("--json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // Not before it has written some orders.
        let written = || std::fs::metadata(db.with_extension("db-wal")).map_or(0, |log| log.len());
        while written() < 512 * 1024 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(wait);
        child.kill().unwrap();
        child.wait().unwrap();
        let mut printed = String::new();
        child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        killed += u32::from(printed.is_empty());
        // A fast machine has finished by now: begin anew, and be quicker.
        if !printed.is_empty() {
            for extension in ["db", "db-wal", "db-shm"] {
                let _ = std::fs::remove_file(db.with_extension(extension));
            }
            wait /= 2;
            killed = 0;
            assert!(wait > Duration::from_millis(1), "never killed in time");
        }
    }
    let recovered = json(&mut storefront(&db));
    assert!(recovered["facts"]["known"].as_u64() > Some(0), "the kills came before anything was written");
    for key in ["digest", "stages", "segments", "points", "scores", "actions", "top"] {
        assert_eq!(recovered[key], undisturbed[key], "{key}");
    }
}
