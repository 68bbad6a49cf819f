//! The list of cases: each is declared once, and is there as a test and as data.

use std::pin::Pin;

use super::Fixture;

/// Declares one `#[test]` for each case of the suite. Takes an expression that makes a
/// [`Fixture`](crate::conformance::Fixture): a value of your type, or a closure that gives a future of a
/// store. It is evaluated once for each test.
#[macro_export]
macro_rules! conformance {
    ($fixture:expr) => {
        $crate::conformance_cases! { conformance_tests { $fixture } }
    };
}

/// A case as data.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its group and its name, such as `claims::a_key_has_one_owner`.
    pub name: &'static str,
    /// Runs it on one store of a fixture. Panics where the promise is broken.
    pub run: for<'a> fn(&'a dyn Fixture) -> CaseFuture<'a>,
}

/// A case that runs.
pub type CaseFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// All cases of the suite, for a runner other than [`conformance!`](crate::conformance!).
///
/// ```
/// use crm_storage::conformance::{block_on, cases};
///
/// let fixture = || async { crm_storage::MemoryStore::new() };
/// for case in cases().iter().filter(|case| case.name.starts_with("claims::")) {
///     block_on((case.run)(&fixture));
/// }
/// ```
#[must_use]
pub const fn cases() -> &'static [Case] {
    CASES
}

/// Passes the list of all cases to another macro of this crate, after what it is to begin with.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($then:ident { $($first:tt)* }) => {
        $crate::$then! { $($first)*;
            alarms::alarms_come_in_the_order_of_instant_kind_and_customer,
            alarms::an_alarm_that_is_moved_is_due_once,
            alarms::an_alarm_that_is_cleared_is_gone,
            atomicity::a_version_conflict_leaves_no_trace,
            atomicity::an_existing_event_leaves_no_trace,
            atomicity::a_taken_key_leaves_no_trace,
            atomicity::a_key_that_is_not_owned_leaves_no_trace,
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
            cursors::a_cursor_is_looked_at_taken_and_moved,
            cursors::whoever_took_a_cursor_before_is_fenced,
            cursors::a_cursor_stays_within_its_lane,
            cursors::cursors_are_told_apart_by_consumer_and_lane,
            cursors::a_consumer_has_a_name_of_a_certain_length,
            cursors::of_many_who_take_a_cursor_the_last_has_it,
            dead_letters::a_dead_letter_is_kept_and_not_leased,
            dead_letters::dead_letters_are_listed_in_pages,
            dead_letters::a_dead_letter_can_be_revived,
            dead_letters::a_dead_letter_that_is_done_goes,
            dead_letters::an_entry_given_back_can_be_leased_at_once,
            dead_letters::an_entry_with_the_id_of_a_dead_letter_is_left,
            dead_letters::a_stale_token_gives_up_nothing,
            dead_letters::what_was_given_up_elsewhere_is_a_dead_letter,
            definitions::definitions_come_in_the_order_in_which_they_were_added,
            definitions::a_definition_on_another_revision_is_a_conflict,
            definitions::definitions_added_at_once_are_added_one_by_one,
            enrolling::whoever_is_meant_is_added_and_told,
            enrolling::enrolled_pages_are_complete,
            enrolling::a_write_decided_before_an_enrolment_is_refused,
            enrolling::an_enrolment_keeps_to_its_tenant,
            enrolling::the_feed_tells_who_was_enrolled,
            enrolling::a_malformed_enrolment_is_refused,
            enrolling::enrolments_and_writes_at_once_lose_nothing,
            erasing::what_is_personal_is_gone,
            erasing::what_is_not_personal_stays,
            erasing::whoever_decided_before_an_erasure_is_refused,
            erasing::outbox_entries_are_erased_in_every_state,
            erasing::only_keys_that_the_customer_has_are_given_up,
            erasing::erasing_again_finds_nothing,
            erasing::copies_in_logs_are_not_called_gone_where_nothing_was_found,
            erasing::erasing_somebody_unknown_removes_entries_and_keys,
            erasing::an_erased_customer_can_be_written_again,
            erasing::erasures_at_once_count_each_row_once,
            extremes::a_body_of_a_megabyte_comes_back_whole,
            extremes::a_hundred_thousand_events_of_one_customer_are_read_in_pages,
            extremes::ten_thousand_outbox_entries_fit_in_one_commit,
            extremes::names_are_kept_as_they_are,
            extremes::the_longest_names_and_keys_are_kept,
            extremes::ten_thousand_events_fit_in_one_commit,
            extremes::large_commits_and_long_lists_of_them_are_applied,
            extremes::the_first_and_the_last_instant_are_kept,
            extremes::any_uuid_can_be_a_customer,
            feed::every_entry_is_in_the_feed_once,
            feed::a_lane_has_the_order_of_its_commits,
            feed::refused_commits_leave_no_gap,
            feed::the_feed_is_repeatable,
            feed::a_polling_reader_skips_nothing_and_sees_nothing_twice,
            feed::a_lane_that_does_not_exist_is_empty,
            feed::a_store_without_a_feed_says_so,
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
            paging::a_whole_history_has_events_before_changes_of_each_write,
            paging::changes_stand_where_they_are_put_among_the_events,
            paging::histories_that_are_read_at_one_time_do_not_mix,
            personal::personal_fields_are_put_replaced_and_taken_out,
            personal::a_person_key_stays_until_it_is_replaced,
            personal::tokens_are_replaced_as_a_whole,
            personal::customers_are_found_by_their_tokens,
            personal::a_malformed_personal_move_is_refused,
            personal::parts_that_are_not_asked_for_are_empty,
            personal::details_come_in_the_order_asked_for,
            personal::requests_are_listed_by_key,
            personal::outbox_entries_are_listed_by_when_they_are_due,
            random::random_commits_do_what_the_model_does,
            random::a_random_history_leaves_what_it_leaves_in_memory,
            releases::a_released_key_can_be_claimed_by_another,
            releases::a_commit_that_releases_and_claims_moves_a_key,
            releases::a_key_released_in_a_commit_is_free_for_the_next,
            releases::releasing_a_key_one_does_not_have_leaves_no_trace,
            releases::a_refused_commit_releases_nothing,
            releases::releases_are_judged_after_events_and_before_claims,
            releases::a_key_released_twice_is_malformed,
            releases::of_many_who_move_one_key_one_wins,
            reopening::reopening_keeps_everything,
            reopening::reopening_keeps_what_commits_are_judged_by,
            reopening::reopening_keeps_leases,
            reopening::reopening_keeps_what_was_taken_away,
            reopening::reopening_keeps_the_feed_and_its_cursors,
            scores::scores_come_in_order,
            scores::a_score_replaces_the_one_of_its_instant,
            scores::when_and_what_for_a_score_was_made_is_kept,
            scores::a_zero_score_has_no_sign,
            scores::a_score_that_goes_is_gone_and_the_others_stay,
            scores::a_score_that_goes_in_the_commit_of_another_makes_room_for_it,
            scanning::a_scan_has_everything_but_the_state,
            scanning::a_scan_brings_the_scores_that_were_asked_for,
            scanning::scanned_pages_are_complete_and_keep_to_their_tenant,
            selections::random_selections_agree_with_a_plain_evaluation,
            selections::every_operator_agrees_on_every_column,
            selections::a_comparison_with_a_missing_number_is_false,
            selections::connectives_of_nothing_have_their_meaning,
            selections::searches_by_several_tokens_and_sets_agree,
            selections::selected_pages_are_complete,
            selections::selected_pages_are_stable_under_writes,
            selections::a_malformed_selection_is_refused,
            selections::a_selection_at_its_limits_is_answered,
            selections::sets_are_told_apart_by_every_character,
            selections::traits_are_replaced_as_a_whole,
            selections::the_newest_score_is_compared,
            tenants::tenants_never_meet,
            tenants::one_tenants_writes_leave_the_others_rows,
            tenants::one_tenants_erasure_leaves_the_others_rows,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:expr; $($group:ident::$case:ident,)*) => {$(
        #[test]
        fn $case() {
            let fixture = $fixture;
            $crate::conformance::block_on($crate::conformance::$group::$case(&fixture));
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_data {
    ($list:ident; $($group:ident::$case:ident,)*) => {
        const $list: &[$crate::conformance::Case] = &[$($crate::conformance::Case {
            name: concat!(stringify!($group), "::", stringify!($case)),
            run: |fixture| Box::pin($crate::conformance::$group::$case(fixture)),
        },)*];
    };
}

crate::conformance_cases! { conformance_data { CASES } }
