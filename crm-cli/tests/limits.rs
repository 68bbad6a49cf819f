//! The page on limits says what holds.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use crm_plugins::{Limits, LoadLimits, ROWS_MAX};

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn the_page_on_limits_has_the_defaults() {
    let page = std::fs::read_to_string(support::root().join("docs/plugin-limits.md")).unwrap();
    let limits = Limits::default();
    let load = LoadLimits::default();
    let number = |number: usize| grouped(number as u64);
    let bytes = |count: usize| format!("{} bytes", number(count));
    let rows = [
        ("file_bytes", bytes(load.file_bytes)),
        ("functions", number(load.functions)),
        ("definitions", number(load.definitions)),
        ("function_bytes", bytes(load.function_bytes)),
        ("locals", grouped(load.locals.into())),
        ("nesting", number(load.nesting)),
        ("loop_nesting", number(load.loop_nesting)),
        ("branch_targets", grouped(load.branch_targets.into())),
        ("function_work", grouped(load.function_work)),
        ("work", grouped(load.work)),
        ("modules", number(load.modules)),
        ("instances", number(load.instances)),
        ("manifest_bytes", bytes(load.manifest_bytes)),
        ("deadline", format!("{} ms", limits.deadline.as_millis())),
        ("fuel", grouped(limits.fuel)),
        ("memory_bytes", bytes(limits.memory_bytes)),
        ("table_elements", number(limits.table_elements)),
        ("output_bytes", bytes(limits.output_bytes)),
        ("actions", number(limits.actions)),
        ("action_args", number(limits.action_args)),
        ("kept_bytes", bytes(limits.kept_bytes)),
        ("host_calls", grouped(limits.host_calls.into())),
        ("lookup_keys", number(limits.lookup_keys)),
        ("lookup_bytes", bytes(limits.lookup_bytes)),
        ("quarantine_after", grouped(limits.quarantine_after.get().into())),
        ("log_bytes", bytes(limits.log_bytes)),
    ];
    for (name, value) in &rows {
        assert!(page.contains(&format!("| `{name}` | {value} |")), "`{name}` is {value}");
    }
    assert!(page.contains(&format!("at most {} rows", number(ROWS_MAX))));
    // A limit that is new has to come onto the page: all fields stand in what the value prints as.
    let printed = format!("{limits:?}");
    let fields = printed.matches(": ").count() - 1;
    assert_eq!(fields, rows.len(), "a limit is missing on the page: {printed}");
}
