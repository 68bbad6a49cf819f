//! Guests that trip each limit. The process lives, the fault is exact, and the next call works.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::time::{Duration, Instant};

use crm_plugins::{Fault, Host, Limits};
use support::{
    answer_of, host, poke, score, scorer, scorer_that_answers, strict_host, workflow, workflow_that_answers,
};

const LOOP: &str = "(loop $ever (br $ever)) (unreachable)";

#[test]
fn an_endless_loop_hits_the_deadline() {
    let started = Instant::now();
    let fault = score(&strict_host(), &scorer("", LOOP)).unwrap_err();
    assert_eq!(fault, Fault::Deadline { limit: Duration::from_millis(50) });
    assert!(fault.depends_on_clock());
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_endless_start_function_hits_the_deadline() {
    let start = "(func $start (loop $ever (br $ever))) (start $start)";
    let plugin = strict_host().load(&scorer(start, "(i32.const 64)")).unwrap();
    assert_eq!(plugin.scorer(&[]).unwrap_err().kind(), "deadline");
}

#[test]
fn an_endless_workflow_runs_out_of_fuel_at_the_same_place_everywhere() {
    let mut limits = Limits::default();
    limits.fuel = 100_000;
    limits.deadline = Duration::from_secs(5);
    let plugin = Host::new(limits).unwrap().load(&workflow("", LOOP)).unwrap();
    for _ in 0..3 {
        let fault = poke(&plugin).unwrap_err();
        assert_eq!(fault, Fault::Fuel { limit: 100_000 });
        assert!(!fault.depends_on_clock());
    }
}

#[test]
fn a_workflow_with_fuel_to_spare_still_hits_the_deadline() {
    let mut limits = Limits::default();
    limits.fuel = u64::MAX;
    let plugin = Host::new(limits).unwrap().load(&workflow("", LOOP)).unwrap();
    assert_eq!(poke(&plugin).unwrap_err().kind(), "deadline");
    assert_eq!(plugin.inspect().counters.last_fuel, None, "fuel says nothing after the clock stopped a guest");
}

#[test]
fn each_trap_is_of_its_kind() {
    let recursion = "(func $down (param i64) (result i64)
        (i64.add (call $down (i64.add (local.get 0) (i64.const 1))) (i64.const 1)))";
    let memory = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))";
    let table = "(loop $more (br_if $more
        (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1))))";
    let cases = [
        (recursion, "(drop (call $down (i64.const 0))) (i32.const 64)".to_owned(), "stack"),
        ("", format!("{memory} (unreachable)"), "memory"),
        ("(table $t 1 funcref)", format!("{table} (unreachable)"), "memory"),
        ("", "(unreachable)".to_owned(), "trap"),
        ("", "(i32.load (i32.const -4))".to_owned(), "trap"),
        ("", "(i32.div_u (i32.const 1) (i32.const 0))".to_owned(), "trap"),
        // The address of the answer lies outside, or is not aligned.
        ("", "(i32.const -8)".to_owned(), "contract"),
        ("", "(i32.const 63)".to_owned(), "contract"),
    ];
    let host = host();
    for (parts, body, kind) in cases {
        let fault = score(&host, &scorer(parts, &body)).unwrap_err();
        assert_eq!(fault.kind(), kind, "{body}: {fault}");
    }
}

#[test]
fn a_guest_that_copes_with_less_memory_goes_on() {
    let words = answer_of(&[0.25, 0.75]);
    let bytes: String = words.iter().flat_map(|word| word.to_le_bytes()).map(|b| format!("\\{b:02x}")).collect();
    let parts = format!(r#"(data (i32.const 64) "{bytes}")"#);
    let body = "(drop (memory.grow (i32.const 10000))) (i32.const 64)";
    assert_eq!(score(&host(), &scorer(&parts, body)).unwrap(), [Some(0.25), Some(0.75)]);
}

#[test]
fn each_wrong_result_is_of_its_kind() {
    let floats = |numbers: &[f64]| answer_of(numbers);
    let mut no_column = floats(&[0.5, 0.5]);
    no_column[2] = 0;
    let mut ints = floats(&[0.5, 0.5]);
    ints[3] = 1;
    let mut no_such_case = floats(&[0.5, 0.5]);
    no_such_case[3] = 9;
    let mut one_null = floats(&[0.5, 0.5]);
    (one_null[8], one_null[9]) = (64, 1);
    let mut odd_null = floats(&[0.5, 0.5]);
    // The null bytes are those of the column's address, 76 and 0.
    (odd_null[8], odd_null[9]) = (68, 2);
    let mut outside = floats(&[0.5, 0.5]);
    outside[4] = u32::MAX - 7;
    let mut lying = floats(&[0.5, 0.5]);
    lying[5] = u32::MAX;
    // 200,000 numbers fit the guest's memory and not the limit of 1 MiB.
    let mut large = floats(&[0.5, 0.5]);
    large[5] = 200_000;
    let cases = [
        (floats(&[0.5, f64::NAN]), "not_finite"),
        (floats(&[f64::INFINITY, 0.5]), "not_finite"),
        (floats(&[0.5, f64::NEG_INFINITY]), "not_finite"),
        (floats(&[0.5, 1.5]), "out_of_range"),
        (floats(&[0.5]), "row_count"),
        (floats(&[0.5, 0.5, 0.5]), "row_count"),
        (floats(&[]), "row_count"),
        (no_column, "column_count"),
        (ints, "column_kind"),
        (no_such_case, "contract"),
        (one_null, "row_count"),
        (odd_null, "malformed"),
        (outside, "contract"),
        (lying, "contract"),
        (vec![7, 0, 0, 0, 0], "contract"),
    ];
    let host = host();
    for (words, kind) in cases {
        let fault = score(&host, &scorer_that_answers(&words)).unwrap_err();
        assert_eq!(fault.kind(), kind, "{words:?}: {fault}");
    }
    let bytes: String = large.iter().flat_map(|word| word.to_le_bytes()).map(|b| format!("\\{b:02x}")).collect();
    let parts = format!(r#"(data (i32.const 64) "{bytes}")"#);
    let body = "(drop (memory.grow (i32.const 64))) (i32.const 64)";
    let fault = score(&host, &scorer(&parts, body)).unwrap_err();
    assert_eq!(fault, Fault::Output { what: "bytes", limit: 1 << 20 });
}

#[test]
fn each_wrong_column_of_words_is_of_its_kind() {
    let manifest = support::SCORER_MANIFEST.replace("\"max\":1", "\"kind\":\"word\"");
    // One column of words: the codes at 512, and at 520 where each word is and its length.
    let answer = |codes: u32, words: u32| support::data(&[0, 76, 1, 3, 512, codes, 520, words, 0, 0]);
    let words = |codes: &str, at: &str| {
        let texts = r#"(data (i32.const 600) "deut\ff")"#;
        format!(r#"(data (i32.const 512) "{codes}") (data (i32.const 520) "{at}") {texts}"#)
    };
    let (both, second) = (r"\00\00\00\00\01\00\00\00", r"\58\02\00\00\02\00\00\00\5a\02\00\00\02\00\00\00");
    let bad_text = r"\58\02\00\00\02\00\00\00\5a\02\00\00\03\00\00\00";
    let outside = r"\58\02\00\00\02\00\00\00\f0\ff\ff\ff\02\00\00\00";
    let host = host();
    for (parts, kind) in [
        (format!("{} {}", answer(2, 2), words(both, second)), "ok"),
        (format!("{} {}", answer(2, 1), words(both, second)), "malformed"),
        (format!("{} {}", answer(2, 0), words(both, second)), "malformed"),
        (format!("{} {}", answer(1, 2), words(both, second)), "row_count"),
        (format!("{} {}", answer(2, 2), words(both, bad_text)), "contract"),
        (format!("{} {}", answer(2, 2), words(both, outside)), "contract"),
        (format!("{} {}", answer(2, u32::MAX), words(both, second)), "contract"),
        (format!("{} {}", answer(u32::MAX, 2), words(both, second)), "contract"),
    ] {
        let wasm = support::module(&manifest, &support::scorer_parts(support::SCORER, &parts, "(i32.const 64)"));
        let answer = score(&host, &wasm).map_or_else(|fault| fault.kind(), |_| "ok");
        assert_eq!(answer, kind, "{parts}");
    }
}

#[test]
fn minus_zero_comes_back_as_zero() {
    let scores = score(&host(), &scorer_that_answers(&answer_of(&[-0.0, 0.5]))).unwrap();
    assert_eq!(scores[0].unwrap().to_bits(), 0);
}

/// The words of a workflow's answer: so many actions at an address, so much memory at 0.
fn outcome(actions: u32, at: u32, memory: u32) -> [u32; 5] {
    [0, at, actions, 0, memory]
}

#[test]
fn each_wrong_outcome_is_of_its_kind() {
    // At 512 one action whose kind is at 600 and whose arguments are at 704.
    let action = |kind_len: u32, args: u32| {
        let words = [600, kind_len, 704, args];
        let bytes: String =
            words.iter().flat_map(|word: &u32| word.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect();
        format!(
            r#"(data (i32.const 512) "{bytes}") (data (i32.const 600) "notify\ff")
               (data (i32.const 704) "\58\02\00\00\01\00\00\00\03\00\00\00\00\00\00\00\00\00\00\00\00\00\f8\7f")"#
        )
    };
    let host = host();
    let cases = [
        (outcome(1, 512, 0), action(6, 0), "ok"),
        (outcome(1, 512, 0), action(5, 0), "undeclared_action"),
        (outcome(1, 512, 0), action(7, 0), "contract"),
        (outcome(1, 512, 0), action(6, 33), "output"),
        (outcome(1, 512, 0), action(6, 1), "not_finite"),
        (outcome(1, 512, 0), action(6, 2), "action_args"),
        (outcome(101, 1024, 0), String::new(), "output"),
        (outcome(0, 0, 65_536), String::new(), "ok"),
        (outcome(0, 0, 65_537), "(func $grow (drop (memory.grow (i32.const 1)))) (start $grow)".into(), "output"),
    ];
    for (words, more, kind) in cases {
        let plugin = host.load(&workflow_that_answers(&words, &more)).unwrap();
        let answer = poke(&plugin).map_or_else(|fault| fault.kind(), |_| "ok");
        assert_eq!(answer, kind, "{words:?} {more}");
    }
}

#[test]
fn a_guest_that_declines_is_quoted_by_its_code_only() {
    let texts = r#"(data (i32.const 512) "no-datajane@example.org")"#;
    let declines = workflow_that_answers(&[1, 512, 7, 519, 16], texts);
    let fault = poke(&host().load(&declines).unwrap()).unwrap_err();
    assert_eq!(fault.to_string(), "the plugin declined with code `no-data`");
    assert!(!format!("{fault:?}").contains("jane"));
    let Fault::Refused { message, .. } = fault else { panic!("not refused") };
    assert_eq!(message.reveal(), "jane@example.org");

    let odd = workflow_that_answers(&[1, 519, 16, 512, 7], texts);
    let fault = poke(&host().load(&odd).unwrap()).unwrap_err();
    assert_eq!(fault.to_string(), "the plugin declined with code `unspecified`");
}

const EMIT: &str = r#"(import "crm:plugin/diag@0.1.0" "emit" (func $emit (param i32 i32 i32)))"#;

#[test]
fn a_flood_of_host_calls_is_stopped() {
    let flood = "(loop $ever (call $emit (i32.const 0) (i32.const 64) (i32.const 0)) (br $ever))";
    let fault = score(&host(), &scorer(EMIT, &format!("{flood} (unreachable)"))).unwrap_err();
    assert_eq!(fault, Fault::HostCalls { limit: 10_000 });
}

#[test]
fn a_log_line_that_is_no_text_or_lies_outside_breaks_the_contract() {
    let bad = format!(r#"{EMIT} (data (i32.const 64) "\ff\fe")"#);
    for (level, at) in [(0, 64), (0, -2), (99, 0)] {
        let body = format!("(call $emit (i32.const {level}) (i32.const {at}) (i32.const 2)) (i32.const 64)");
        let fault = score(&host(), &scorer(&bad, &body)).unwrap_err();
        assert_eq!(fault.kind(), "contract", "{level} {at}");
    }
}

#[test]
fn what_a_workflow_keeps_in_globals_does_not_survive_the_call() {
    // It counts in a global, and returns as many bytes of memory as it has counted.
    let parts = "(global $calls (mut i32) (i32.const 0))";
    let body = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store (i32.const 80) (global.get $calls)) (i32.const 64)";
    let plugin = host().load(&workflow(parts, body)).unwrap();
    for _ in 0..5 {
        assert_eq!(poke(&plugin).unwrap().memory.len(), 1);
    }
}

#[test]
fn a_fault_costs_its_own_call_only() {
    let host = strict_host();
    // Counts in a global, and loops for ever on its second batch.
    let words = answer_of(&[0.25, 0.75]);
    let bytes: String = words.iter().flat_map(|word| word.to_le_bytes()).map(|b| format!("\\{b:02x}")).collect();
    let parts = format!(r#"(global $calls (mut i32) (i32.const 0)) (data (i32.const 64) "{bytes}")"#);
    let body = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (if (i32.ge_u (global.get $calls) (i32.const 2)) (then (loop $ever (br $ever))))
        (i32.const 64)";
    let mut wedged = host.load(&scorer(&parts, body)).unwrap().scorer(&[]).unwrap();
    let healthy = host.load(&scorer_that_answers(&words)).unwrap();
    let mut healthy = healthy.scorer(&[]).unwrap();

    let batch = support::two_rows();
    let expected = wedged.score(&batch).unwrap();
    assert_eq!(wedged.score(&batch).unwrap_err().kind(), "deadline");
    assert_eq!(healthy.score(&batch).unwrap(), expected);
    // A fresh instance, which has not counted yet.
    assert_eq!(wedged.score(&batch).unwrap(), expected);
}

#[test]
fn a_hundred_faults_leave_no_memory_behind() {
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 16000000)) (unreachable)";
    let plugin = support::patient_host().load(&scorer("", grow)).unwrap();
    for _ in 0..100 {
        let fault = plugin.scorer(&[]).unwrap().score(&support::two_rows()).unwrap_err();
        assert_eq!(fault.kind(), "memory");
    }
    // 100 instances of 16 MiB would be 1.6 GB.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 800_000, "{kib} KiB are in use");
    }
}

#[test]
fn growth_in_each_of_ten_thousand_calls_is_bounded() {
    // It traps when it gets no more.
    let parts = support::data(&answer_of(&[0.5, 0.5]));
    let body = "(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable))) (i32.const 64)";
    let mut scorer = support::patient_host().load(&scorer(&parts, body)).unwrap().scorer(&[]).unwrap();
    let calls = (0..10_000).map(|_| scorer.score(&support::two_rows()).map_err(|fault| fault.kind()));
    let faults = calls.filter(|answer| *answer == Err("memory")).count();
    // A MiB a call and the first page: the sixteenth call of each instance is one too many.
    assert_eq!(faults, 10_000 / 16);
}

#[test]
fn a_loop_that_uses_its_fuel_exactly_is_answered_and_one_unit_less_is_not() {
    let body = "(local $n i32) (loop $more (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $n) (i32.const 1000)))) (i32.const 64)";
    let wasm = workflow("", body);
    let poke = |fuel: u64| {
        let mut limits = Limits::default();
        (limits.fuel, limits.deadline) = (fuel, Duration::from_secs(5));
        let plugin = Host::new(limits).unwrap().load(&wasm).unwrap();
        let fault = support::poke(&plugin).err().map(|fault| fault.kind());
        (fault, plugin.inspect().counters.last_fuel)
    };
    let (fault, Some(used)) = poke(1_000_000) else { panic!("no fuel was counted") };
    assert_eq!(fault, None);
    assert!(used > 1_000, "{used}");
    // A guest looks at its fuel where it enters a function or goes round a loop, so the least that is
    // enough is a little less than what is used in the end. It is the same each time.
    let (mut too_little, mut enough) = (0, used);
    while enough - too_little > 1 {
        let middle = too_little + (enough - too_little) / 2;
        if poke(middle).0.is_none() { enough = middle } else { too_little = middle }
    }
    assert!(used - enough < 20, "{used} and {enough}");
    for _ in 0..3 {
        assert_eq!(poke(enough).0, None);
        assert_eq!(poke(enough - 1).0, Some("fuel"));
    }
}

#[test]
fn a_result_of_forty_mebibytes_is_not_copied() {
    let mut limits = Limits::default();
    (limits.memory_bytes, limits.deadline) = (64 << 20, std::time::Duration::from_secs(5));
    let mut words = answer_of(&[0.5, 0.5]);
    words[5] = 5 << 20;
    let body = "(drop (memory.grow (i32.const 700))) (i32.const 64)";
    let wasm = scorer(&support::data(&words), body);
    let fault = support::score(&Host::new(limits).unwrap(), &wasm).unwrap_err();
    assert_eq!(fault, Fault::Output { what: "bytes", limit: 1 << 20 });
}

/// Runs itself once more under a limit of address space.
#[cfg(target_os = "linux")]
#[test]
fn a_host_that_has_no_room_does_not_blame_the_plugin() {
    if std::env::var_os("CRM_NO_ROOM").is_some() {
        let plugin = host().load(&scorer_that_answers(&answer_of(&[0.25, 0.75]))).unwrap();
        for _ in 0..10 {
            let fault = plugin.scorer(&[]).unwrap_err();
            assert_eq!(fault, Fault::NoRoom);
            assert!(!fault.is_plugins() && fault.depends_on_clock());
        }
        assert_eq!(plugin.standing(), crm_plugins::Standing::Active { faults_in_a_row: 0 });
        return;
    }
    let name = "a_host_that_has_no_room_does_not_blame_the_plugin";
    let limited = std::process::Command::new("sh")
        .args(["-c", r#"ulimit -v 3000000; exec "$0" --exact "$1""#])
        .args([std::env::current_exe().unwrap().to_str().unwrap(), name])
        .env("CRM_NO_ROOM", "1")
        .output()
        .unwrap();
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stdout));
}
