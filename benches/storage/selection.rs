//! Counting a million customers by four conditions, beside the same SQL by hand.

use crm_core::expression::Comparison;
use crm_core::{Column, TenantId};
use crm_storage::conformance::block_on;
use crm_storage::{Selection, SqliteOptions, SqliteStore, Store};
use rusqlite::Connection;

use crate::report::{Report, in_turn};
use crate::workload::Base;

pub(crate) fn run(report: &mut Report, quick: bool) {
    let customers = if quick { 2_000 } else { 1_000_000 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let tenant = TenantId::default();
    let store = SqliteStore::open_with(&path, &SqliteOptions::default().cache_kib(1 << 20)).unwrap();
    let mut base = Base::new(customers);
    for batch in base.make() {
        block_on(store.commit(&tenant, batch)).unwrap();
    }
    let hand = Connection::open(&path).unwrap();
    hand.execute_batch("PRAGMA cache_size = -131072").unwrap();
    let selection = Selection::All(vec![
        Selection::Compare(Column::Stage, Comparison::Eq, 3),
        Selection::Compare(Column::Orders, Comparison::Ge, 3),
        Selection::Compare(Column::Spend, Comparison::Gt, 10_000),
        Selection::Compare(Column::LastOrder, Comparison::Ge, 1_695_000_000_000),
    ]);
    let (mut counted, mut by_hand) = (0, 0);
    let (ours, theirs) = in_turn(
        if quick { 1 } else { 7 },
        || counted = block_on(store.count(&tenant, &selection)).unwrap(),
        || {
            let sql = "SELECT count(*) FROM crm_customer WHERE tenant = ?1 AND stage = ?2 AND orders >= ?3 \
                       AND spend > ?4 AND last_order >= ?5";
            let row = hand.query_row(sql, [1, 3, 3, 10_000, 1_695_000_000_000_i64], |row| row.get::<_, i64>(0));
            by_hand = row.unwrap().unsigned_abs();
        },
    );
    assert_eq!(counted, by_hand);
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let detail = format!("{counted} of {customers} customers in {ours:.0?}, {theirs:.0?} by hand");
    report.at_most("SQLite, a count by four conditions, of the same SQL by hand", ratio, 1.2, &detail);
}
