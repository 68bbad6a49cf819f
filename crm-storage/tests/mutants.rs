//! The suite is worth something if a broken store fails it: each of these stores has one fault, and the
//! cases named beside it catch it. The same store without a fault passes.
#![allow(clippy::wildcard_enum_match_arm, reason = "a faulty store is wrong in one place and right everywhere else")]

#[path = "mutants/fault.rs"]
mod fault;
#[path = "mutants/store.rs"]
mod store;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crm_storage::conformance::{block_on, cases};
use fault::Fault;
use store::Mutants;

/// Why a test here failed. What the cases say as they fail is not printed: it is what is wanted.
type Verdict = Result<(), String>;

/// Runs the whole suite, and gives the names of the cases that fail.
fn caught_by(fault: Option<Fault>, has_feed: bool, leave_out: &[&str]) -> Vec<&'static str> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let fails = |run: &dyn Fn()| catch_unwind(AssertUnwindSafe(run)).is_err();
    let wanted = cases().iter().filter(|case| !leave_out.contains(&case.name));
    let failed = wanted.filter(|case| fails(&|| block_on((case.run)(&Mutants::with(fault, has_feed)))));
    failed.map(|case| case.name).collect()
}

/// The slowest cases, which a mutant is not run through unless they are to catch it.
const SLOW: [&str; 7] = [
    "random::random_commits_do_what_the_model_does",
    "random::a_random_history_leaves_what_it_leaves_in_memory",
    "feed::a_polling_reader_skips_nothing_and_sees_nothing_twice",
    "extremes::ten_thousand_outbox_entries_fit_in_one_commit",
    "extremes::a_hundred_thousand_events_of_one_customer_are_read_in_pages",
    "extremes::ten_thousand_events_fit_in_one_commit",
    "extremes::a_body_of_a_megabyte_comes_back_whole",
];

fn is_caught(fault: Fault, by: &[&str]) -> Verdict {
    let leave_out: Vec<&str> = SLOW.into_iter().filter(|case| !by.contains(case)).collect();
    let caught = caught_by(Some(fault), true, &leave_out);
    match by.iter().find(|case| !caught.contains(case)) {
        None if !by.is_empty() => Ok(()),
        missed => Err(format!("{fault:?} is not caught by {missed:?}, but by {caught:#?}")),
    }
}

#[test]
fn a_store_without_a_fault_passes() -> Verdict {
    let failed = caught_by(None, true, &[]);
    if failed.is_empty() { Ok(()) } else { Err(format!("a sound store fails {failed:#?}")) }
}

#[test]
fn a_store_without_a_feed_passes() -> Verdict {
    let failed = caught_by(None, false, &[]);
    if failed.is_empty() { Ok(()) } else { Err(format!("a sound store fails {failed:#?}")) }
}

macro_rules! mutants {
    ($($name:ident: $fault:ident by [$($case:literal),* $(,)?];)*) => {$(
        #[test]
        fn $name() -> Verdict {
            is_caught(Fault::$fault, &[$($case),*])
        }
    )*};
}

mutants! {
    a_store_that_drops_an_event_is_caught: DropsAnEvent by [
        "paging::pages_have_the_order_in_which_rows_were_committed",
        "judging::event_ids_are_unique_within_their_customer",
        "judging::the_first_reason_in_order_is_given",
        "judging::a_malformed_commit_is_refused",
    ];
    a_store_that_forgets_terms_of_scores_is_caught: ForgetsTermsOfScores by [
        "scores::when_and_what_for_a_score_was_made_is_kept",
        "extremes::names_are_kept_as_they_are",
    ];
    a_store_that_keeps_old_scores_is_caught: KeepsOldScores by [
        "scores::a_score_that_goes_is_gone_and_the_others_stay",
        "scores::a_score_that_goes_in_the_commit_of_another_makes_room_for_it",
    ];
    a_store_that_scans_one_instant_is_caught: ScansOneInstant by [
        "scanning::a_scan_brings_the_scores_that_were_asked_for",
    ];
    a_store_that_scans_one_page_is_caught: ScansOnePage by [
        "scanning::scanned_pages_are_complete_and_keep_to_their_tenant",
    ];
    a_store_that_loses_a_claim_is_caught: LosesAClaim by [
        "claims::a_refused_commit_does_not_give_up_a_key_taken_before",
        "claims::keys_are_told_apart_by_kind_and_by_every_byte",
        "claims::owners_come_in_the_order_asked_for",
    ];
    a_store_that_enrols_across_tenants_is_caught: EnrolsAcrossTenants by [
        "enrolling::an_enrolment_keeps_to_its_tenant",
    ];
    a_store_that_enrols_one_page_is_caught: EnrolsOnePage by [
        "enrolling::enrolled_pages_are_complete",
    ];
    a_store_that_enrols_again_is_caught: EnrolsAgain by [
        "enrolling::whoever_is_meant_is_added_and_told",
    ];
    a_store_that_loses_the_outbox_is_caught: LosesTheOutbox by [
        "erasing::what_is_personal_is_gone",
        "erasing::outbox_entries_are_erased_in_every_state",
        "outbox::a_lease_counts_the_attempts",
    ];
    a_store_that_buries_nothing_is_caught: BuriesNothing by [
        "dead_letters::what_was_given_up_elsewhere_is_a_dead_letter",
    ];
    a_store_that_puts_changes_last_is_caught: PutsChangesLast by [
        "paging::changes_stand_where_they_are_put_among_the_events",
    ];
    a_store_that_applies_half_a_refused_commit_is_caught: AppliesHalfARefusedCommit by [
        "atomicity::a_taken_key_leaves_no_trace",
        "atomicity::a_counter_past_its_limit_leaves_no_trace",
    ];
    a_store_that_stops_at_a_refusal_is_caught: StopsAtARefusal by [
        "judging::a_refused_commit_does_not_keep_the_others_from_being_applied",
        "judging::each_commit_is_judged_on_what_the_ones_before_it_left",
        "releases::a_key_released_in_a_commit_is_free_for_the_next",
    ];
    a_store_that_forgets_the_answer_is_caught: ForgetsTheAnswer by [
        "idempotency::a_request_sent_again_gets_its_first_answer",
        "idempotency::a_key_with_another_digest_is_refused",
        "idempotency::a_key_belongs_to_its_customer",
    ];
    a_store_that_replays_a_changed_request_is_caught: ReplaysAChangedRequest by [
        "atomicity::a_reused_key_leaves_no_trace",
        "idempotency::a_key_with_another_digest_is_refused",
        "judging::the_first_reason_in_order_is_given",
    ];
    a_store_that_remembers_a_refused_request_is_caught: RemembersARefusedRequest by [
        "idempotency::a_refused_commit_does_not_use_up_its_key",
    ];
    a_store_that_passes_the_limit_is_caught: PassesTheLimit by [
        "counters::a_counter_stays_between_zero_and_its_limit",
        "counters::steps_of_one_commit_add_up",
        "counters::counters_do_not_overflow",
    ];
    a_store_that_keeps_alarms_is_caught: KeepsAlarms by [
        "alarms::an_alarm_that_is_moved_is_due_once",
        "alarms::an_alarm_that_is_cleared_is_gone",
    ];
    a_store_that_checks_no_version_is_caught: ChecksNoVersion by [
        "judging::a_version_that_is_not_there_is_a_conflict",
        "judging::a_write_without_a_state_leaves_the_version",
        "judging::the_first_reason_in_order_is_given",
    ];
    a_store_that_judges_claims_first_is_caught: JudgesClaimsFirst by [
        "judging::the_first_reason_in_order_is_given",
    ];
    a_store_that_cuts_long_bodies_is_caught: CutsLongBodies by [
        "extremes::a_body_of_a_megabyte_comes_back_whole",
    ];
    a_store_that_folds_the_case_of_keys_is_caught: FoldsTheCaseOfKeys by [
        "claims::keys_are_told_apart_by_kind_and_by_every_byte",
    ];
    a_store_that_releases_nothing_is_caught: ReleasesNothing by [
        "releases::a_released_key_can_be_claimed_by_another",
        "releases::a_key_released_in_a_commit_is_free_for_the_next",
        "releases::releasing_a_key_one_does_not_have_leaves_no_trace",
    ];
    a_store_that_releases_for_anybody_is_caught: ReleasesForAnybody by [
        "releases::a_key_released_in_a_commit_is_free_for_the_next",
        "releases::releasing_a_key_one_does_not_have_leaves_no_trace",
        "releases::of_many_who_move_one_key_one_wins",
    ];
    a_store_that_merges_columns_is_caught: MergesColumns by [
        "selections::traits_are_replaced_as_a_whole",
    ];
    a_store_that_folds_the_case_of_tenants_is_caught: FoldsTheCaseOfTenants by [
        "tenants::tenants_never_meet",
    ];
    a_store_that_resolves_across_tenants_is_caught: ResolvesAcrossTenants by [
        "tenants::tenants_never_meet",
        "tenants::one_tenants_writes_leave_the_others_rows",
        "tenants::one_tenants_erasure_leaves_the_others_rows",
    ];
    a_store_that_loads_in_its_own_order_is_caught: LoadsInItsOwnOrder by [
        "loading::customers_come_in_the_order_asked_for",
    ];
    a_store_that_answers_every_part_is_caught: AnswersEveryPart by [
        "personal::parts_that_are_not_asked_for_are_empty",
    ];
    a_store_that_turns_pages_round_is_caught: TurnsPagesRound by [
        "paging::pages_have_the_order_in_which_rows_were_committed",
        "paging::pages_are_stable_under_writes",
        "paging::a_whole_history_has_events_before_changes_of_each_write",
    ];
    a_store_that_skips_a_row_under_writes_is_caught: SkipsARowUnderWrites by [
        "paging::pages_are_stable_under_writes",
        "paging::a_whole_history_has_events_before_changes_of_each_write",
    ];
    a_store_that_mixes_histories_is_caught: MixesHistories by [
        "paging::histories_that_are_read_at_one_time_do_not_mix",
    ];
    a_store_that_takes_missing_for_zero_is_caught: TakesMissingForZero by [
        "selections::random_selections_agree_with_a_plain_evaluation",
        "selections::every_operator_agrees_on_every_column",
        "selections::a_comparison_with_a_missing_number_is_false",
    ];
    a_store_that_compares_as_floats_is_caught: ComparesAsFloats by [
        "selections::random_selections_agree_with_a_plain_evaluation",
        "selections::every_operator_agrees_on_every_column",
    ];
    a_store_that_folds_the_case_of_sets_is_caught: FoldsTheCaseOfSets by [
        "selections::random_selections_agree_with_a_plain_evaluation",
        "selections::sets_are_told_apart_by_every_character",
    ];
    a_store_that_searches_by_one_token_is_caught: SearchesByOneToken by [
        "selections::searches_by_several_tokens_and_sets_agree",
    ];
    a_store_that_selects_backwards_is_caught: SelectsBackwards by [
        "paging::customers_are_listed_by_id",
        "selections::random_selections_agree_with_a_plain_evaluation",
        "selections::every_operator_agrees_on_every_column",
    ];
    a_store_that_counts_one_page_is_caught: CountsOnePage by [
        "selections::random_selections_agree_with_a_plain_evaluation",
        "selections::every_operator_agrees_on_every_column",
        "selections::a_selection_at_its_limits_is_answered",
    ];
    a_store_that_answers_malformed_selections_is_caught: AnswersMalformedSelections by [
        "selections::a_malformed_selection_is_refused",
    ];
    a_store_that_misses_the_instant_is_caught: MissesTheInstant by [
        "alarms::alarms_come_in_the_order_of_instant_kind_and_customer",
        "alarms::an_alarm_that_is_moved_is_due_once",
        "alarms::an_alarm_that_is_cleared_is_gone",
    ];
    a_store_that_leases_twice_is_caught: LeasesTwice by [
        "outbox::entries_are_leased_in_the_order_of_when_they_are_due",
        "outbox::a_lease_ends_at_its_last_instant",
        "outbox::a_stale_token_settles_nothing",
    ];
    a_store_that_leases_backwards_is_caught: LeasesBackwards by [
        "outbox::entries_are_leased_in_the_order_of_when_they_are_due",
        "outbox::an_entry_to_be_retried_is_due_again_then",
        "outbox::settlements_are_answered_in_order",
    ];
    a_store_that_settles_with_a_stale_token_is_caught: SettlesWithAStaleToken by [
        "outbox::a_stale_token_settles_nothing",
        "outbox::an_entry_whose_id_waits_already_is_left_as_it_is",
    ];
    a_store_that_says_that_all_is_settled_is_caught: SaysThatAllIsSettled by [
        "outbox::an_entry_that_is_done_goes",
        "outbox::an_entry_to_be_retried_is_due_again_then",
        "outbox::a_stale_token_settles_nothing",
    ];
    a_store_that_leases_the_dead_is_caught: LeasesTheDead by [
        "dead_letters::a_dead_letter_is_kept_and_not_leased",
        "dead_letters::dead_letters_are_listed_in_pages",
        "dead_letters::a_dead_letter_can_be_revived",
    ];
    a_store_that_counts_what_is_given_back_is_caught: CountsWhatIsGivenBack by [
        "dead_letters::an_entry_given_back_can_be_leased_at_once",
        "reopening::reopening_keeps_what_was_taken_away",
    ];
    a_store_that_repeats_a_dead_letter_is_caught: RepeatsADeadLetter by [
        "dead_letters::dead_letters_are_listed_in_pages",
    ];
    a_store_that_checks_no_revision_is_caught: ChecksNoRevision by [
        "definitions::a_definition_on_another_revision_is_a_conflict",
    ];
    a_store_that_erases_no_tokens_is_caught: ErasesNoTokens by [
        "erasing::what_is_personal_is_gone",
    ];
    a_store_that_calls_logs_gone_is_caught: CallsLogsGone by [
        "erasing::copies_in_logs_are_not_called_gone_where_nothing_was_found",
    ];
    a_store_that_erases_no_keys_is_caught: ErasesNoKeys by [
        "erasing::what_is_personal_is_gone",
        "erasing::what_is_not_personal_stays",
        "erasing::only_keys_that_the_customer_has_are_given_up",
    ];
    a_store_that_erases_keys_of_others_is_caught: ErasesKeysOfOthers by [
        "erasing::only_keys_that_the_customer_has_are_given_up",
    ];
    a_store_that_applies_after_an_erasure_is_caught: AppliesAfterAnErasure by [
        "erasing::whoever_decided_before_an_erasure_is_refused",
        "reopening::reopening_keeps_what_was_taken_away",
    ];
    a_store_that_leaves_gaps_in_the_feed_is_caught: LeavesGapsInTheFeed by [
        "feed::every_entry_is_in_the_feed_once",
        "feed::a_lane_has_the_order_of_its_commits",
        "feed::refused_commits_leave_no_gap",
    ];
    a_store_that_shows_later_rows_first_is_caught: ShowsLaterRowsFirst by [
        "feed::every_entry_is_in_the_feed_once",
        "feed::a_lane_has_the_order_of_its_commits",
        "feed::refused_commits_leave_no_gap",
    ];
    a_store_that_mixes_tenants_in_the_feed_is_caught: MixesTenantsInTheFeed by [
        "feed::every_entry_is_in_the_feed_once",
        "feed::the_feed_is_repeatable",
        "tenants::tenants_never_meet",
    ];
    a_store_that_feeds_the_first_write_only_is_caught: FeedsTheFirstWriteOnly by [
        "feed::every_entry_is_in_the_feed_once",
    ];
    a_store_that_fences_nobody_is_caught: FencesNobody by [
        "cursors::whoever_took_a_cursor_before_is_fenced",
        "cursors::of_many_who_take_a_cursor_the_last_has_it",
        "reopening::reopening_keeps_the_feed_and_its_cursors",
    ];
    a_store_that_passes_the_end_is_caught: PassesTheEnd by [
        "cursors::a_cursor_stays_within_its_lane",
        "cursors::cursors_are_told_apart_by_consumer_and_lane",
        "feed::a_lane_that_does_not_exist_is_empty",
    ];
    a_store_that_shares_cursors_between_lanes_is_caught: SharesCursorsBetweenLanes by [
        "cursors::cursors_are_told_apart_by_consumer_and_lane",
    ];
    a_store_that_forgets_cursors_is_caught: ForgetsCursors by [
        "reopening::reopening_keeps_the_feed_and_its_cursors",
    ];
    a_store_that_forgets_requests_is_caught: ForgetsRequests by [
        "reopening::reopening_keeps_what_commits_are_judged_by",
    ];
}
