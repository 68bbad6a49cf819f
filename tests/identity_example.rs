//! The story of the example about identity, as a person runs it.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::{Command, Output};

fn run(db: Option<&Path>) -> Output {
    // Tests are in `deps`, examples beside it. `cargo test` builds both.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("identity{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is missing: run `cargo test`, which builds it", path.display());
    Command::new(path).args(db).output().unwrap()
}

#[track_caller]
fn told(db: Option<&Path>) -> String {
    let output = run(db);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const TOLD: [&str; 20] = [
    "a tablet visits twice: both are customer 1 (true)",
    "may we write? no: there is no consent: it is unknown",
    "may we write? no: there is no consent: it is pending",
    "may we write? yes",
    "a phone and a stated address: customer 2, not customer 1, who proved it",
    "phone, proved address and account: customer 1 and customer 2 are one person",
    "the card leads to customer 1 (true), 79 points now",
    "signed in with an account of their own: customer 3, not customer 1",
    "set aside: device (there is another one of kind external)",
    "merged: 99 points together",
    "customer 1 has 79 points of their own, and 1 tie",
    "customer 3 has 20 points of their own, and 1 tie",
    "likely duplicates: none",
    "customer 1 and customer 2 are one: they share one device",
    "consent to marketing by email: pending → granted",
    "points earned: +49, because of: order placed",
    "not yet: 2 orders can still be sent back",
    "her address leads to nobody",
    "a search for her name finds customer 3 alone",
    "customer 3 still has 20 points",
];

#[test]
fn the_story_is_the_same_twice_and_on_both_stores() {
    let memory = told(None);
    for line in TOLD {
        assert!(memory.contains(line), "{line:?} is missing in {memory}");
    }
    assert_eq!(memory, told(None));
    let folder = tempfile::tempdir().unwrap();
    for name in ["one.db", "two.db"] {
        assert_eq!(memory, told(Some(&folder.path().join(name))));
    }
}

#[test]
fn nothing_personal_is_printed_but_in_her_own_file() {
    let story = told(None);
    let (before, rest) = story.split_once("her own file, for her eyes:").unwrap();
    let (file, after) = rest.split_once("What happened to her, and why").unwrap();
    for value in ["Ana", "Lopes", "@example.com", "912345678", "4711", "05-17", "Flores"] {
        for part in [before, after] {
            assert!(!part.contains(value), "{value} in {part}");
        }
    }
    assert!(file.contains("Ana Lopes") && file.contains("ana.lopes@example.com"), "{file}");
}

#[test]
fn a_file_that_is_there_already_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crm.db");
    std::fs::write(&file, "the shop's own").unwrap();
    let output = run(Some(&file));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is there already"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "the shop's own");
}
