//! Whatever happens to a handful of people, by every way into the library, what is stored stays in order.
//!
//! `lives/steps.rs` has what can happen and `lives/definitions.rs` what the shop decided, `lives/shop.rs` lets it happen, and
//! `lives/check.rs` says what holds afterwards.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod by_function;
#[path = "lives/check.rs"]
mod check;
#[path = "lives/definitions.rs"]
mod definitions;
#[path = "lives/names.rs"]
mod names;
#[path = "lives/shop.rs"]
mod shop;
#[path = "lives/steps.rs"]
mod steps;

use std::sync::Arc;

use crm::{MemoryStore, SegmentName, Store};
use proptest::prelude::*;
use shop::Shop;
use steps::{By, Step, Told, step};

#[test]
fn whoever_is_new_and_has_everything_ahead_is_in_the_segments_of_those_who_did_nothing() {
    for presented in [false, true] {
        let mut shop = Shop::on(Arc::new(MemoryStore::new()));
        let by = if presented { By::Presented(0, false, None, None) } else { By::Presented(0, true, None, None) };
        shop.tell(&by, 5, &Told::Order(0, 9_000));
        shop.check();
        shop.check_choosing();
        let ana = shop.crm.customer(*shop.met.last().unwrap()).unwrap().unwrap();
        let [few, missing] = ["s-2", "s-4"].map(|name| SegmentName::new(name).unwrap());
        assert!(ana.standing().is_in(&few) && ana.standing().is_in(&missing));
        shop.wait(6);
        shop.check();
        let ana = shop.crm.customer(ana.id()).unwrap().unwrap();
        assert!(!ana.standing().is_in(&few) && !ana.standing().is_in(&missing));
        shop.check_exporting(vec![Arc::new(MemoryStore::new())]);
    }
}

/// So many cases, or fifty times as many with `CRM_SOAK=1`.
fn cases(few: u32) -> u32 {
    if std::env::var_os("CRM_SOAK").is_some_and(|value| value == "1") { 50 * few } else { few }
}

fn walk(steps: &[Step], store: Arc<dyn Store>) -> Shop {
    let mut shop = Shop::on(store);
    for (turn, step) in steps.iter().enumerate() {
        shop.step(turn, step);
        shop.check();
    }
    shop
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    #[test]
    fn whatever_happens_what_is_stored_is_in_order_and_comes_back_from_an_export(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let shop = walk(&steps, Arc::new(MemoryStore::new()));
        shop.check_choosing();
        shop.check_exporting(vec![Arc::new(MemoryStore::new())]);
    }
}

#[cfg(feature = "sqlite")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(4)))]

    #[test]
    fn whatever_happens_comes_to_the_same_on_sqlite(steps in proptest::collection::vec(step(), 0..30)) {
        // What follows from a token is of a random id.
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Ask(..) | Step::Voucher(..))).collect();
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = |folder: &tempfile::TempDir| Arc::new(crm::SqliteStore::open(folder.path().join("crm.db")).unwrap());
        let (on_disk, in_memory) = (walk(&steps, open(&folder)), walk(&steps, Arc::new(MemoryStore::new())));
        prop_assert_eq!(on_disk.crm.overview().unwrap(), in_memory.crm.overview().unwrap());
        on_disk.check_choosing();
        on_disk.check_exporting(vec![open(&elsewhere)]);
    }
}
