//! The example about loyalty, as a person runs it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    // Tests are in `deps`, examples beside it. `cargo test` builds both.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("loyalty{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: run `cargo test`, which builds it", path.display());
    Command::new(path).args(arguments).output().unwrap()
}

/// Three households: one that buys for 800 dollars, one for 40, and one that only uses a coupon.
fn files(folder: &std::path::Path) -> [std::path::PathBuf; 2] {
    let [baskets, redeemed] = ["baskets.csv", "redeemed.csv"].map(|name| folder.join(name));
    let rows = "time,household,basket,department,pieces,cents\n2017-01-03 12:00:00,1,a,GROCERY,3,50000\n\
                2017-01-03 12:00:00,1,a,PRODUCE,1,10000\n2017-01-03 12:00:00,1,a,FUEL,1,3000\n\
                2017-01-20 12:00:00,1,b,GROCERY,9,20050\n2017-01-21 12:00:00,2,c,,1,4000\n";
    std::fs::write(&baskets, rows).unwrap();
    std::fs::write(&redeemed, "date,household,campaign,coupon\n2017-01-20,1,26,51\n2017-01-20,3,26,51\n").unwrap();
    [baskets, redeemed]
}

#[test]
fn a_basket_earns_what_was_quoted_and_the_books_balance() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let [baskets, redeemed] = files.each_ref().map(|file| file.to_str().unwrap());
    let output = run(&["--baskets", baskets, "--redemptions", redeemed, "--household", "1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let has = |line: &str| assert!(text.lines().any(|own| own.trim() == line), "{line} is not in\n{text}");
    has("3 baskets of 2 households, 1 coupons used, 0 refused");
    // 600 dollars without fuel, 200 more for fruit, and with the second basket gold.
    has(r#"Tiers at the end of the year: {"gold": 1, "none": 1}"#);
    has("orders: 900 points, times 1500 ‰ by gold");
    has("produce: 300 points, times 1500 ‰ by gold");
    let sold = text.lines().find(|line| line.trim().starts_with("sold:")).unwrap();
    let numbers: Vec<i64> = sold.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let [left, pending, quoted] = numbers[..] else { panic!("{sold}") };
    assert!(quoted > 0 && pending >= quoted && left >= 0, "{sold}");
    assert!(text.lines().last().unwrap().starts_with("The books balance:"), "{text}");

    let nobody = run(&["--baskets", baskets, "--redemptions", redeemed, "--household", "9"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert_eq!(String::from_utf8(nobody.stderr).unwrap(), "loyalty: no household 9 in the file\n");
    assert_eq!(run(&["--baskets", "nowhere.csv"]).status.code(), Some(2));
}
