//! For an author's own tests: what every host relies on, as assertions.

use alloc::vec::Vec;

use crate::batch::{Batch, Column};
use crate::value::Entries;
use crate::{Event, Scorer, Workflow};

/// Asserts that a scorer is a function of each row: the same batch scored again, by another instance,
/// after other batches, in halves or backwards gives the same cells, bit by bit, and no score is
/// infinite or no number. `make` gives the type, such as `|| Lapse::default()`.
///
/// ```
/// use crm_plugin_sdk::testing::assert_pure;
/// # use crm_plugin_sdk::{Batch, Column, Entries, Failure, Scorer, features};
/// # #[derive(Default)]
/// # struct Lapse;
/// # impl Scorer for Lapse {
/// #     fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
/// #         let days = batch.floats(features::RECENCY_DAYS)?;
/// #         Ok(vec![batch.map(|row| Some(days.get(row)? / 365.0))])
/// #     }
/// # }
///
/// assert_pure(Lapse::default, &Entries::new(), &Batch::sample(1, 200));
/// ```
///
/// # Panics
///
/// If it is not so, with the output and the row, or if the scorer refuses the parameters or the batch.
#[track_caller]
#[allow(clippy::panic, reason = "an assertion")]
pub fn assert_pure<T: Scorer>(make: impl Fn() -> T, params: &Entries, batch: &Batch) {
    let scorer = |params: &Entries| {
        let mut scorer = make();
        if let Err(failure) = scorer.configure(params) {
            panic!("the scorer refuses its parameters: {failure}");
        }
        scorer
    };
    let score = |scorer: &T, batch: &Batch| match scorer.score(batch) {
        Ok(columns) => columns,
        Err(failure) => panic!("the scorer refuses a batch of {} rows: {failure}", batch.rows()),
    };
    let rows = batch.rows();
    let all: Vec<usize> = (0..rows).collect();
    let backwards: Vec<usize> = (0..rows).rev().collect();
    let (first_half, second_half) = all.split_at(rows / 2);

    let used = scorer(params);
    let expected = score(&used, batch);
    for (output, column) in expected.iter().enumerate() {
        assert_eq!(column.rows(), rows, "output {output} has another number of rows than the batch");
        if let Some(row) = (0..rows).find(|&row| column.float(row).is_some_and(|score| !score.is_finite())) {
            panic!("output {output} is not finite in row {row}");
        }
    }
    for (rows, how) in [
        (&all[..], "scored again"),
        (first_half, "scored without the rows after it"),
        (second_half, "scored without the rows before it"),
        (&backwards, "scored in another order"),
    ] {
        let part = batch.rows_at(rows);
        same(&expected, &score(&used, &part), rows, how);
        same(&expected, &score(&scorer(params), &part), rows, "scored by another instance");
    }
}

#[track_caller]
fn same(expected: &[Column], found: &[Column], rows: &[usize], how: &str) {
    assert_eq!(expected.len(), found.len(), "another number of outputs when {how}");
    for (output, (expected, found)) in expected.iter().zip(found).enumerate() {
        for (place, &row) in rows.iter().enumerate() {
            assert!(
                expected.cell(row).is_same(&found.cell(place)),
                "output {output} of row {row} is {:?}, and {:?} when {how}",
                expected.cell(row),
                found.cell(place)
            );
        }
    }
}

/// Asserts that a workflow is a function of its call: each event, handled again by the same and by
/// another instance, gives the same answer. What it remembers of one event comes with the next.
///
/// # Panics
///
/// If it is not so, with the event's place, or if the workflow refuses the parameters.
#[track_caller]
#[allow(clippy::panic, reason = "an assertion")]
pub fn assert_pure_workflow<T: Workflow>(make: impl Fn() -> T, params: &Entries, events: &[Event], customer: &Entries) {
    let workflow = || {
        let mut workflow = make();
        if let Err(failure) = workflow.configure(params) {
            panic!("the workflow refuses its parameters: {failure}");
        }
        workflow
    };
    let used = workflow();
    let mut memory = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let expected = used.handle(event, customer, &memory);
        assert_eq!(expected, used.handle(event, customer, &memory), "event {place} was answered twice");
        assert_eq!(expected, workflow().handle(event, customer, &memory), "event {place} came to a fresh instance");
        if let Ok(outcome) = expected {
            memory = outcome.memory;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::cell::Cell;

    use super::*;
    use crate::{Failure, Outcome, features};

    #[derive(Default)]
    struct Honest;

    impl Scorer for Honest {
        fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
            let days = batch.floats(features::RECENCY_DAYS)?;
            Ok(vec![batch.map(|row| Some(days.get(row)? / 365.0))])
        }
    }

    /// Counts the rows that it has seen.
    #[derive(Default)]
    struct Counting(Cell<u32>);

    impl Scorer for Counting {
        fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
            Ok(vec![batch.map(|_| {
                self.0.set(self.0.get() + 1);
                Some(f64::from(self.0.get()))
            })])
        }
    }

    /// Compares each row with the batch's mean.
    #[derive(Default)]
    struct Relative;

    impl Scorer for Relative {
        fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
            let orders = batch.floats(features::ORDERS)?;
            let sum: f64 = (0..batch.rows()).filter_map(|row| orders.get(row)).sum();
            Ok(vec![batch.map(|row| Some(orders.get(row)? - sum / batch.rows() as f64))])
        }
    }

    /// Divides by what may be nought.
    #[derive(Default)]
    struct Careless;

    impl Scorer for Careless {
        fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
            let orders = batch.floats(features::ORDERS)?;
            Ok(vec![batch.map(|row| Some(1.0 / orders.get(row)?))])
        }
    }

    #[test]
    fn a_function_of_each_row_passes() {
        assert_pure(Honest::default, &Entries::new(), &Batch::sample(3, 50));
        assert_pure(Honest::default, &Entries::new(), &Batch::sample(3, 0));
    }

    #[test]
    #[should_panic(expected = "when scored again")]
    fn a_scorer_that_remembers_is_caught() {
        assert_pure(Counting::default, &Entries::new(), &Batch::sample(3, 50));
    }

    #[test]
    #[should_panic(expected = "when scored without the rows after it")]
    fn a_scorer_that_looks_at_other_rows_is_caught() {
        assert_pure(|| Relative, &Entries::new(), &Batch::sample(3, 50));
    }

    #[test]
    #[should_panic(expected = "output 0 is not finite")]
    fn a_division_by_nought_is_caught() {
        assert_pure(|| Careless, &Entries::new(), &Batch::sample(3, 50));
    }

    #[derive(Default)]
    struct Fickle(Cell<bool>);

    impl Workflow for Fickle {
        fn handle(&self, _: &Event, _: &Entries, _: &[u8]) -> Result<Outcome, Failure> {
            Ok(Outcome::nothing().remember([u8::from(self.0.replace(true))]))
        }
    }

    #[test]
    #[should_panic(expected = "event 0 was answered twice")]
    fn a_workflow_that_remembers_by_itself_is_caught() {
        assert_pure_workflow(Fickle::default, &Entries::new(), &[Event::new("scored")], &Entries::new());
    }
}
