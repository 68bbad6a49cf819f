//! A host that counts what scorers take, to measure them.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::time::Duration;

use crm_plugins::{Fault, Host, Limits};
use support::{answer_of, as_component, data, host, scorer, two_rows};

/// A scorer that goes around `times` before it answers.
fn around(times: u32) -> Vec<u8> {
    let body = format!(
        "(local $left i32) (local.set $left (i32.const {times}))
        (loop $again
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $again (local.get $left)))
        (i32.const 64)"
    );
    scorer(&data(&answer_of(&[0.25, 0.75])), &body)
}

fn limits(fuel: u64) -> Limits {
    let mut limits = Limits::default();
    limits.deadline = Duration::from_secs(5);
    limits.fuel = fuel;
    limits
}

/// What each of three batches took so far, by one instance.
fn so_far(host: &Host, wasm: &[u8]) -> Vec<Option<u64>> {
    let plugin = host.load(wasm).unwrap();
    let mut scorer = plugin.scorer(&[]).unwrap();
    let mut score = || {
        scorer.score(&two_rows()).unwrap();
        plugin.inspect().counters.last_fuel
    };
    (0..3).map(|_| score()).collect()
}

#[test]
fn a_host_that_counts_says_what_a_batch_takes_and_others_do_not_count() {
    let counting = Host::counting(limits(1 << 40)).unwrap();
    let batch = |wasm: &[u8]| {
        let so_far: Vec<u64> = so_far(&counting, wasm).into_iter().flatten().collect();
        assert_eq!(so_far.len(), 3);
        assert_eq!(so_far[2] - so_far[1], so_far[1] - so_far[0], "the same each time");
        so_far[1] - so_far[0]
    };
    let (few, many) = (batch(&around(10)), batch(&around(1_010)));
    assert!((4_000..8_000).contains(&(many - few)), "{few}, {many}");
    assert!(batch(&as_component(&around(10))) >= few);
    assert_eq!(so_far(&host(), &around(10)), [None; 3]);
}

#[test]
fn where_scorers_are_counted_they_are_stopped_by_their_fuel() {
    let plugin = Host::counting(limits(10_000)).unwrap().load(&around(1_000_000)).unwrap();
    let fault = plugin.scorer(&[]).unwrap().score(&two_rows()).unwrap_err();
    assert!(matches!(fault, Fault::Fuel { limit: 10_000 }), "{fault:?}");
}
