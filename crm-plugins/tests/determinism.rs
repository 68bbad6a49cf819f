//! The same scores, bit for bit: in each replay, in a fresh instance and in a used one, and in each build
//! of the host, whose digest stands in this file.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use crm_plugins::{Batch, Cells, Column, Plugin};
use sha2::{Digest as _, Sha256};
use support::{SCORER, module, scorer_parts};

/// Of [`digest`]; a build of the host that gives another is no replacement for the one before.
const DIGEST: &str = "?";

/// A scorer by hand, so that no compiler of guests has a say: for each row a logistic-like curve of two
/// numbers, with divisions and square roots, which IEEE 754 rounds in one way only.
fn plugin() -> Plugin {
    let manifest = r#"{"api":"0.1","name":"curve","version":"1","features":["a","b"],"outputs":[{"name":"curve"}]}"#;
    // The columns come as a list of (cells, nulls) of 28 bytes each: a case, an address, a length, ...
    let body = "(local $a i32) (local $b i32) (local $row i32) (local $x f64) (local $y f64)
        (local.set $a (i32.load (i32.add (local.get 3) (i32.const 4))))
        (local.set $b (i32.load (i32.add (local.get 3) (i32.const 32))))
        (block $done (loop $more
            (br_if $done (i32.ge_u (local.get $row) (local.get 0)))
            (local.set $x (f64.load (i32.add (local.get $a) (i32.shl (local.get $row) (i32.const 3)))))
            (local.set $y (f64.load (i32.add (local.get $b) (i32.shl (local.get $row) (i32.const 3)))))
            (local.set $x (f64.sub (f64.mul (local.get $x) (f64.const 0.37)) (f64.div (local.get $y) (f64.const 3.3))))
            (f64.store (i32.add (i32.const 32768) (i32.shl (local.get $row) (i32.const 3)))
                (f64.div (local.get $x)
                    (f64.sqrt (f64.add (f64.const 1) (f64.mul (local.get $x) (local.get $x))))))
            (local.set $row (i32.add (local.get $row) (i32.const 1)))
            (br $more)))
        (i32.store (i32.const 84) (local.get 0))
        (global.set $next (i32.const 4096))
        (i32.const 64)";
    // An answer of one column: its list at 76 of 1, cells at 32768.
    let parts = support::data(&[0, 76, 1, 0, 32_768, 0, 0, 0, 0, 0]);
    let guest = module(manifest, &scorer_parts(SCORER, &parts, body));
    support::host().load(&guest).unwrap()
}

fn batch(rows: usize) -> Batch {
    let column =
        |step: f64| Column::floats((0..rows).map(|row| Some((row as f64 * step).rem_euclid(97.0) - 31.0))).unwrap();
    Batch::new(rows, vec![], vec![column(0.713), column(7.19)]).unwrap()
}

fn digest(columns: &[Column]) -> String {
    let mut sha = Sha256::new();
    for column in columns {
        let Cells::Floats(cells) = column.cells() else { panic!("not floats") };
        cells.iter().for_each(|cell| sha.update(cell.to_bits().to_le_bytes()));
        sha.update(column.nulls());
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn scores_are_the_same_in_each_replay_and_in_each_build() {
    let replays = if std::env::var_os("CRM_SOAK").is_some() { 1_000 } else { 100 };
    let plugin = plugin();
    let batch = batch(512);
    let mut scorer = plugin.scorer(&[]).unwrap();
    for replay in 0..replays {
        if replay % 10 == 9 {
            scorer = plugin.scorer(&[]).unwrap();
        }
        assert_eq!(digest(&scorer.score(&batch).unwrap()), DIGEST, "replay {replay}");
    }
}

#[test]
fn the_example_scorer_gives_the_same_in_each_replay() {
    let replays = if std::env::var_os("CRM_SOAK").is_some() { 1_000 } else { 100 };
    let churn = support::host().load(&guest_build::build("churn").unwrap()).unwrap();
    let rows = 256;
    let columns = vec![
        Column::floats((0..rows).map(|row| (row % 7 != 6).then_some((row % 200) as f64))).unwrap(),
        Column::ints((0..rows).map(|row| Some(row % 12))),
        Column::floats((0..rows).map(|row| Some(200.0 + (row % 500) as f64))).unwrap(),
    ];
    let batch = Batch::new(rows as usize, vec![], columns).unwrap();
    let expected = digest(&churn.scorer(&[]).unwrap().score(&batch).unwrap());
    let mut scorer = churn.scorer(&[]).unwrap();
    for replay in 0..replays {
        if replay % 10 == 9 {
            scorer = churn.scorer(&[]).unwrap();
        }
        assert_eq!(digest(&scorer.score(&batch).unwrap()), expected, "replay {replay}");
    }
}
