//! The example about segments, as a person runs it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    // Tests are in `deps`, examples beside it. `cargo test` builds both.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("segments{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: run `cargo test`, which builds it", path.display());
    Command::new(path).args(arguments).output().unwrap()
}

/// Six orders of three customers in two months.
fn orders(folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("orders.csv");
    let rows = "buyer,day,total\n1,2026-01-05,100\n1,2026-01-20,100\n1,2026-02-10,100\n2,2026-01-07,30\n\
                3,2026-01-31,20\n3,2026-02-28,40\n";
    std::fs::write(&path, rows).unwrap();
    path
}

#[test]
fn memberships_are_what_the_rules_say_after_every_order_and_when_time_alone_goes_by() {
    let folder = tempfile::tempdir().unwrap();
    let path = orders(folder.path());
    let file = path.to_str().unwrap();
    let columns = "customer=buyer,time=day,amount=total";
    let output = run(&["--orders", file, "--columns", columns, "--customer", "1", "--days", "60"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = |named: &str, nth: usize| {
        let lines = text.lines().filter(|line| line.trim_start().starts_with(named));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).nth(nth).unwrap_or_default()
    };
    assert!(text.starts_with("6 orders of 3 customers, 2026-01-05"), "{text}");
    // One customer has three orders in ninety days, from the tenth of February to the fifth of April.
    assert_eq!(line("regulars", 0), "regulars █ 1 (most 1)");
    assert_eq!(line("in  regulars", 0), "in regulars, until 2026-04-05T00:00:00Z at the latest");
    assert_eq!(line("orders.in_last(\"90d\").count() >= 3", 0), "orders.in_last(\"90d\").count() >= 3: yes (it is 3)");
    assert!(line("regulars", 1).ends_with(" 0 (most 1)"), "{}", line("regulars", 1));
    assert_eq!(text.lines().last(), Some("Asked anew, all 36 answers are the same."));

    let nobody = run(&["--orders", file, "--columns", columns, "--customer", "9", "--days", "1"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert_eq!(String::from_utf8(nobody.stderr).unwrap(), "segments: no customer 9 in the file\n");
    assert_eq!(run(&["--orders", "nowhere.csv"]).status.code(), Some(2));
}
