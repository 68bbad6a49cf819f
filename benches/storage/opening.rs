//! Opening a large file, and how much memory the store takes then.

use crm_core::TenantId;
use crm_storage::conformance::block_on;
use crm_storage::{SqliteStore, Store};

use crate::report::{Report, median, time};
use crate::workload::{Base, Folder, customer};

pub(crate) fn run(report: &mut Report, quick: bool) {
    let folder = Folder::new("opening");
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
        used.push(memory_for(&path, customers, &tenant));
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

/// Megabytes that the process grows by when it opens a file and reads from all over it.
fn memory_for(path: &std::path::Path, customers: usize, tenant: &TenantId) -> f64 {
    let before = resident();
    let store = SqliteStore::open(path).unwrap();
    let mut dice = crate::workload::Dice(9);
    for _ in 0..20_000 {
        let one = customer((dice.roll() % customers as u64) as usize);
        assert!(block_on(store.load(tenant, &[one])).unwrap().rows[0].is_some());
    }
    (resident() - before).max(0.1)
}

/// Megabytes of this process in memory, as Linux tells.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
