//! What the stores cost beside the same work by hand, as ratios in one run: `cargo bench -p crm-storage`.
//!
//! Each line is printed beside its limit. Words after `--` choose parts: `sqlite`, `memory`, `selection`,
//! `open`; `single`, of `sqlite` only the batches of 1; `quick` makes everything small, to see that it runs.
//! Files lie in the folder for temporary ones: with `TMPDIR=/dev/shm` a sync costs nothing, and what is left
//! is what the store itself costs.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]
#![allow(clippy::print_stdout, reason = "it is what a bench does")]

mod by_hand;
mod memory;
mod opening;
mod process;
mod report;
mod selection;
mod sqlite;
mod workload;

use report::Report;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, path, customers] = &arguments[..]
        && command == "read-from"
    {
        return opening::read_from(path, customers.parse().unwrap());
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let quick = words.iter().any(|word| word == "quick");
    let parts: Vec<&String> = words.iter().filter(|word| *word != "quick").collect();
    let chosen = |part: &str| parts.is_empty() || parts.iter().any(|word| *word == part);
    let mut report = Report::default();
    if chosen("memory") {
        memory::run(&mut report, quick);
    }
    if chosen("sqlite") {
        sqlite::run(&mut report, sqlite::Extent::All, quick);
    } else if chosen("single") {
        sqlite::run(&mut report, sqlite::Extent::Single, quick);
    }
    if chosen("selection") {
        selection::run(&mut report, quick);
    }
    if chosen("open") {
        opening::run(&mut report, quick);
    }
    report.print();
}
