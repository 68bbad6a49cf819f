//! Plugins by name: replaced while they run, kept beside each other, put into quarantine and cleared.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use crm_plugins::{Fault, Host, Limits, Registry, RegistryError, Standing};
use support::{SCORER, SCORER_MANIFEST, answer_of, host, module, poke, scorer_parts, two_rows};

/// Version `version` of a scorer that gives each row that many hundredths.
fn version(version: u32) -> Vec<u8> {
    let score = f64::from(version) / 100.0;
    let manifest = SCORER_MANIFEST.replace("\"1\"", &format!("\"{version}\""));
    let parts = support::data(&answer_of(&[score, score]));
    module(&manifest, &scorer_parts(SCORER, &parts, "(i32.const 64)"))
}

const TRAP: &str = "(unreachable)";

#[test]
fn a_new_version_replaces_the_old_while_work_on_the_old_goes_on() {
    let registry = Registry::new(host());
    let mut old = registry.install(&version(1)).unwrap().scorer(&[]).unwrap();
    registry.install(&version(2)).unwrap();
    let current = registry.get("hostile").unwrap();
    assert_eq!(current.version(), "2");
    let mut new = current.scorer(&[]).unwrap();
    assert_eq!(old.score(&two_rows()).unwrap()[0].float(0), Some(0.01));
    assert_eq!(new.score(&two_rows()).unwrap()[0].float(0), Some(0.02));
    assert!(registry.get_version("hostile", &old.plugin().digest()).is_none());
    assert_eq!(registry.list().len(), 1);
}

#[test]
fn versions_are_replaced_while_other_threads_score() {
    let registry = Registry::new(host());
    registry.install(&version(1)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let plugin = registry.get("hostile").unwrap();
                    let scores = plugin.scorer(&[]).unwrap().score(&two_rows()).unwrap();
                    let expected = plugin.version().parse::<f64>().unwrap() / 100.0;
                    assert_eq!(scores[0].float(0), Some(expected), "code and manifest are of one version");
                }
            });
        }
        for next in 2..12 {
            registry.install(&version(next)).unwrap();
        }
    });
    assert_eq!(registry.get("hostile").unwrap().version(), "11");
}

#[test]
fn an_older_version_is_kept_until_it_is_retired() {
    let registry = Registry::new(host());
    let first = registry.install(&version(1)).unwrap().digest();
    let second = registry.install_beside(&version(2)).unwrap().digest();
    registry.install_beside(&version(3)).unwrap();
    let versions = || registry.list().iter().map(|info| info.manifest.version.clone()).collect::<Vec<_>>();
    assert_eq!(versions(), ["3", "1", "2"]);
    assert_eq!(registry.get_version("hostile", &first).unwrap().version(), "1");
    registry.retire("hostile", &first).unwrap();
    assert!(registry.get_version("hostile", &first).is_none());
    assert!(matches!(registry.retire("hostile", &first), Err(RegistryError::NoSuchVersion { .. })));
    // Back to a version that was kept; the one before is let go.
    registry.install(&version(2)).unwrap();
    assert_eq!(versions(), ["2"]);
    assert!(matches!(registry.retire("hostile", &second), Err(RegistryError::NoSuchVersion { .. })), "it is current");
    registry.remove("hostile").unwrap();
    assert!(registry.get("hostile").is_none());
    assert!(matches!(registry.remove("hostile"), Err(RegistryError::NotInstalled { .. })));
}

#[test]
fn a_file_that_is_refused_leaves_what_is_installed() {
    let registry = Registry::new(host());
    registry.install(&version(1)).unwrap();
    assert!(registry.install(b"no plugin").is_err());
    assert_eq!(registry.get("hostile").unwrap().version(), "1");
}

#[test]
fn five_faults_in_a_row_stop_a_plugin_until_someone_clears_it() {
    let registry = Registry::new(host());
    let plugin = registry.install(&support::workflow("", TRAP)).unwrap();
    // Given out before: it shares the breaker.
    let workflow = plugin.workflow(&[]).unwrap();
    for fault in 1..=5 {
        assert_eq!(registry.inspect("hostile").unwrap().standing, Standing::Active { faults_in_a_row: fault - 1 });
        assert_eq!(poke(&plugin).unwrap_err().kind(), "trap");
    }
    let quarantined = Fault::Quarantined { faults: 5, last: "trap" };
    let handled = workflow.handle(&support::event("poke", vec![]), &[], &[]);
    assert_eq!(handled.unwrap_err(), quarantined);
    assert!(!quarantined.is_plugins() && quarantined.depends_on_clock());
    // The same file again is what is installed already.
    assert_eq!(poke(&registry.install(&support::workflow("", TRAP)).unwrap()).unwrap_err(), quarantined);
    registry.clear("hostile").unwrap();
    assert_eq!(poke(&plugin).unwrap_err().kind(), "trap");

    let info = registry.inspect("hostile").unwrap();
    assert_eq!(info.counters.calls, 8);
    assert_eq!(info.counters.faults.clone().into_iter().collect::<Vec<_>>(), [("quarantined", 2), ("trap", 6)]);
    let last = info.counters.last_fault.unwrap();
    assert_eq!((last.fault.kind(), last.call, last.at_ms), ("trap", 8, Some(0)));
    assert!(matches!(registry.clear("nobody"), Err(RegistryError::NotInstalled { .. })));
}

#[test]
fn a_scorer_that_was_given_out_is_stopped_as_well() {
    let plugin = host().load(&support::scorer("", TRAP)).unwrap();
    let mut scorer = plugin.scorer(&[]).unwrap();
    for _ in 0..5 {
        assert_eq!(scorer.score(&two_rows()).unwrap_err().kind(), "trap");
    }
    assert_eq!(scorer.score(&two_rows()).unwrap_err().kind(), "quarantined");
    assert_eq!(plugin.scorer(&[]).unwrap_err().kind(), "quarantined");
    plugin.clear();
    assert_eq!(scorer.score(&two_rows()).unwrap_err().kind(), "trap");
}

#[test]
fn making_a_scorer_does_not_hide_that_each_batch_fails() {
    let plugin = host().load(&support::scorer("", TRAP)).unwrap();
    let kinds: Vec<_> = (0..6)
        .map(|_| plugin.scorer(&[]).and_then(|mut scorer| scorer.score(&two_rows())).unwrap_err().kind())
        .collect();
    assert_eq!(kinds, ["trap", "trap", "trap", "trap", "trap", "quarantined"]);
}

#[test]
fn a_plugin_that_declines_is_not_put_into_quarantine() {
    let texts = r#"(data (i32.const 512) "no-data")"#;
    let plugin = host().load(&support::workflow_that_answers(&[1, 512, 7, 512, 7], texts)).unwrap();
    for _ in 0..20 {
        assert_eq!(poke(&plugin).unwrap_err().kind(), "refused");
    }
    assert_eq!(plugin.standing(), Standing::Active { faults_in_a_row: 0 });
}

#[test]
fn four_answers_and_a_fault_for_ever_is_counted_and_goes_on() {
    let parts = format!("(global $calls (mut i32) (i32.const 0)) {}", support::data(&answer_of(&[0.5, 0.5])));
    let body = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (if (i32.eq (global.get $calls) (i32.const 5)) (then (unreachable))) (i32.const 64)";
    let plugin = host().load(&support::scorer(&parts, body)).unwrap();
    let mut scorer = plugin.scorer(&[]).unwrap();
    let faults = (0..500).filter(|_| scorer.score(&two_rows()).is_err()).count();
    assert_eq!(faults, 100);
    assert_eq!(plugin.standing(), Standing::Active { faults_in_a_row: 1 });
    assert_eq!(plugin.inspect().counters.faults.get("trap"), Some(&100));
}

#[test]
fn one_fault_is_enough_for_a_host_that_says_so() {
    let mut limits = Limits::default();
    limits.quarantine_after = NonZeroU32::MIN;
    let plugin = Host::new(limits).unwrap().load(&support::workflow("", TRAP)).unwrap();
    assert_eq!(poke(&plugin).unwrap_err().kind(), "trap");
    assert_eq!(poke(&plugin).unwrap_err().kind(), "quarantined");
}

#[test]
fn inspecting_says_what_a_plugin_is_and_what_its_last_call_took() {
    let plugin = host().load(&support::workflow_that_answers(&[0; 5], "")).unwrap();
    assert_eq!(plugin.inspect().counters.last_fuel, None);
    poke(&plugin).unwrap();
    poke(&plugin).unwrap();
    let info = plugin.inspect();
    assert!(info.is_workflow && !info.is_scorer && info.imports.is_empty());
    assert_eq!((info.digest, info.manifest.name.as_str()), (plugin.digest(), "hostile"));
    assert!(info.file_bytes > 100 && info.counters.busy > Duration::ZERO);
    assert_eq!((info.counters.calls, info.counters.faults.len()), (2, 0));
    assert!(info.counters.last_fuel.unwrap() > 0);
}

#[test]
fn a_plugin_that_wants_less_gets_less() {
    let manifest =
        |limits: &str| support::WORKFLOW_MANIFEST.replace("\"events\"", &format!("\"limits\":{limits},\"events\""));
    let load =
        |limits: &str, body: &str| host().load(&module(&manifest(limits), &support::workflow_parts("", body))).unwrap();
    let plugin = load(r#"{"memory_bytes":65536}"#, "(drop (memory.grow (i32.const 1))) (unreachable)");
    assert_eq!(poke(&plugin).unwrap_err(), Fault::Memory { limit_bytes: 65_536 });
    let plugin = load(r#"{"deadline_ms":7,"memory_bytes":999999999}"#, TRAP);
    assert_eq!(plugin.limits().deadline, Duration::from_millis(7));
    assert_eq!(plugin.limits().memory_bytes, 16 << 20, "more than the host's is not to be had");
    let mut limits = Limits::default();
    limits.fuel = u64::MAX;
    let body = "(loop $ever (br $ever)) (unreachable)";
    let wasm = module(&manifest(r#"{"deadline_ms":7}"#), &support::workflow_parts("", body));
    let fault = poke(&Host::new(limits).unwrap().load(&wasm).unwrap()).unwrap_err();
    assert_eq!(fault, Fault::Deadline { limit: Duration::from_millis(7) });
}
