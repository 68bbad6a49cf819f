//! Opening a large file, and how much memory a process takes that reads from it.
#![allow(clippy::print_stdout, reason = "a process tells another what it measured")]

use crm_core::TenantId;
use crm_storage::conformance::block_on;
use crm_storage::{SqliteStore, Store};

use crate::report::{Report, median, time};
use crate::workload::{Base, customer};

pub(crate) fn run(report: &mut Report, quick: bool) {
    let folder = tempfile::tempdir().unwrap();
    let tenant = TenantId::default();
    let mut used = Vec::new();
    for (name, customers) in [("small", 10_000), ("large", if quick { 20_000 } else { 1_600_000 })] {
        let path = folder.path().join(name);
        fill(&path, customers, &tenant);
        let mut times = Vec::new();
        for _ in 0..9 {
            let mut store = None;
            times.push(time(|| store = Some(SqliteStore::open(&path).unwrap())));
        }
        let bytes = std::fs::metadata(&path).unwrap().len();
        let opening = median(&mut times);
        let detail = format!("{:.2} GB, {customers} customers", bytes as f64 / 1e9);
        report.at_most("SQLite, opening a file, ms", opening.as_secs_f64() * 1e3, 50.0, &detail);
        used.push(memory_of_a_process(&path, customers));
    }
    let ratio = used[1] / used[0];
    let detail =
        format!("{:.1} MB at the large file, {:.1} MB at the small one, after 20,000 reads each", used[1], used[0]);
    // Caches are bounded, and a small file does not fill them.
    report.at_most("SQLite, memory at a file 160 times as large", ratio, 5.0, &detail);
}

fn fill(path: &std::path::Path, customers: usize, tenant: &TenantId) {
    let store = SqliteStore::open(path).unwrap();
    let mut base = Base::new(customers);
    for batch in base.make() {
        block_on(store.commit(tenant, batch)).unwrap();
    }
}

/// Megabytes that a process of its own takes at most to open a file and read from all over it.
fn memory_of_a_process(path: &std::path::Path, customers: usize) -> f64 {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program)
        .args(["read-from".as_ref(), path.as_os_str(), customers.to_string().as_ref()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// What that process does.
pub(crate) fn read_from(path: &str, customers: usize) {
    let store = SqliteStore::open(path).unwrap();
    let mut dice = crate::workload::Dice(9);
    for _ in 0..20_000 {
        let one = customer((dice.roll() % customers as u64) as usize);
        assert!(block_on(store.load(&TenantId::default(), &[one])).unwrap().rows[0].is_some());
    }
    println!("{}", crate::process::peak());
}
