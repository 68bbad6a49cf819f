//! The public conformance suite: every promise of [`Store`] as a test case over any store.
//!
//! A backend of your own passes it with three lines in its tests; a case that fails names the promise
//! that is broken.
//!
//! ```
//! // In tests/conformance.rs, with the feature `conformance` of this crate:
//! crm_storage::conformance!(|| async { crm_storage::MemoryStore::new() });
//! ```
//!
//! A store that keeps its rows when it is closed implements [`Fixture`] instead of giving a closure, so
//! that the suite can close and open it. Each case is an `async fn` that panics when the promise is
//! broken; it needs no runtime of a certain kind.

mod block_on;
mod model;
mod sample;
mod shop;

pub mod alarms;
pub mod atomicity;
pub mod claims;
pub mod concurrency;
pub mod counters;
pub mod definitions;
pub mod extremes;
pub mod idempotency;
pub mod judging;
pub mod loading;
pub mod outbox;
pub mod paging;
pub mod random;
pub mod reopening;
pub mod scores;
pub mod tenants;

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::Store;
pub use block_on::block_on;

/// Makes stores for the cases. Each case has a fixture of its own, and asks it for one store.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A store with nothing in it.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// Closes the store that `fresh` gave, and opens what it kept again. None if it keeps nothing: the
    /// cases about reopening then have nothing to check.
    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        drop(store);
        None
    }
}

#[async_trait]
impl<F, O, S> Fixture for F
where
    F: Fn() -> O + Send + Sync,
    O: Future<Output = S> + Send,
    S: Store,
{
    async fn fresh(&self) -> Arc<dyn Store> {
        Arc::new(self().await)
    }
}

/// Declares one `#[test]` for each case of the suite. Takes an expression that makes a
/// [`Fixture`](crate::conformance::Fixture): a value of your type, or a closure that gives a future of a
/// store. It is evaluated once for each test.
#[macro_export]
macro_rules! conformance {
    ($fixture:expr) => {
        $crate::conformance_cases! { $fixture;
            alarms::alarms_come_in_the_order_of_instant_kind_and_customer,
            alarms::an_alarm_that_is_moved_is_due_once,
            alarms::an_alarm_that_is_cleared_is_gone,
            atomicity::a_version_conflict_leaves_no_trace,
            atomicity::an_existing_event_leaves_no_trace,
            atomicity::a_taken_key_leaves_no_trace,
            atomicity::a_counter_past_its_limit_leaves_no_trace,
            atomicity::a_reused_key_leaves_no_trace,
            atomicity::a_malformed_commit_leaves_no_trace,
            atomicity::a_replay_leaves_no_trace,
            claims::a_key_has_one_owner,
            claims::taking_a_key_again_for_the_same_event_changes_nothing,
            claims::a_refused_commit_does_not_give_up_a_key_taken_before,
            claims::keys_are_told_apart_by_kind_and_by_every_byte,
            claims::owners_come_in_the_order_asked_for,
            concurrency::of_many_writers_of_one_version_one_wins,
            concurrency::writers_of_different_customers_all_succeed,
            concurrency::claims_and_counters_hold_under_a_race,
            concurrency::commits_over_many_customers_do_not_deadlock,
            concurrency::leases_do_not_overlap,
            counters::a_counter_stays_between_zero_and_its_limit,
            counters::steps_of_one_commit_add_up,
            counters::counters_do_not_overflow,
            counters::counters_are_told_apart_by_every_byte,
            definitions::definitions_come_in_the_order_in_which_they_were_added,
            definitions::a_definition_on_another_revision_is_a_conflict,
            definitions::definitions_added_at_once_are_added_one_by_one,
            extremes::a_body_of_a_megabyte_comes_back_whole,
            extremes::ten_thousand_events_fit_in_one_commit,
            extremes::large_commits_and_long_lists_of_them_are_applied,
            extremes::the_first_and_the_last_instant_are_kept,
            extremes::any_uuid_can_be_a_customer,
            idempotency::a_request_sent_again_gets_its_first_answer,
            idempotency::a_key_with_another_digest_is_refused,
            idempotency::a_key_belongs_to_its_customer,
            idempotency::a_refused_commit_does_not_use_up_its_key,
            idempotency::an_answer_may_be_empty,
            idempotency::requests_sent_at_once_are_carried_out_once,
            judging::an_empty_list_of_commits_has_no_answers,
            judging::an_empty_commit_is_done,
            judging::a_refused_commit_does_not_keep_the_others_from_being_applied,
            judging::each_commit_is_judged_on_what_the_ones_before_it_left,
            judging::versions_are_answered_in_the_order_of_the_writes,
            judging::a_version_that_is_not_there_is_a_conflict,
            judging::a_write_without_a_state_leaves_the_version,
            judging::event_ids_are_unique_within_their_customer,
            judging::the_first_reason_in_order_is_given,
            judging::a_malformed_commit_is_refused,
            loading::customers_come_in_the_order_asked_for,
            loading::a_load_sees_the_latest_acknowledged_state,
            loading::an_unknown_tenant_is_empty,
            loading::rows_come_back_as_they_were_written,
            loading::events_and_changes_are_two_lists,
            outbox::entries_are_leased_in_the_order_of_when_they_are_due,
            outbox::a_lease_counts_the_attempts,
            outbox::a_lease_ends_at_its_last_instant,
            outbox::an_entry_that_is_done_goes,
            outbox::an_entry_to_be_retried_is_due_again_then,
            outbox::a_stale_token_settles_nothing,
            outbox::a_lease_that_has_ended_can_be_settled_until_the_next_one,
            outbox::settlements_are_answered_in_order,
            outbox::an_entry_whose_id_waits_already_is_left_as_it_is,
            paging::pages_have_the_order_in_which_rows_were_committed,
            paging::the_last_page_has_no_next,
            paging::absent_histories_are_empty,
            paging::pages_are_stable_under_writes,
            paging::customers_are_listed_by_id,
            random::random_commits_do_what_the_model_does,
            reopening::reopening_keeps_everything,
            reopening::reopening_keeps_what_commits_are_judged_by,
            reopening::reopening_keeps_leases,
            scores::scores_come_in_order,
            scores::a_score_replaces_the_one_of_its_instant,
            scores::a_zero_score_has_no_sign,
            tenants::tenants_never_meet,
            tenants::one_tenants_writes_leave_the_others_rows,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($fixture:expr; $($group:ident::$case:ident,)*) => {$(
        #[test]
        fn $case() {
            let fixture = $fixture;
            $crate::conformance::block_on($crate::conformance::$group::$case(&fixture));
        }
    )*};
}

#[cfg(test)]
mod tests {
    /// A case that is written and not declared would never run.
    #[test]
    fn every_case_is_declared() {
        let declared = include_str!("mod.rs");
        for (group, source) in [
            ("alarms", include_str!("alarms.rs")),
            ("atomicity", include_str!("atomicity.rs")),
            ("claims", include_str!("claims.rs")),
            ("concurrency", include_str!("concurrency.rs")),
            ("counters", include_str!("counters.rs")),
            ("definitions", include_str!("definitions.rs")),
            ("extremes", include_str!("extremes.rs")),
            ("idempotency", include_str!("idempotency.rs")),
            ("judging", include_str!("judging.rs")),
            ("loading", include_str!("loading.rs")),
            ("outbox", include_str!("outbox.rs")),
            ("paging", include_str!("paging.rs")),
            ("random", include_str!("random.rs")),
            ("reopening", include_str!("reopening.rs")),
            ("scores", include_str!("scores.rs")),
            ("tenants", include_str!("tenants.rs")),
        ] {
            for line in source.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let case = line.split('(').next().unwrap_or_default();
                assert!(declared.contains(&format!("{group}::{case},")), "{group}::{case} is not declared");
            }
        }
    }
}
