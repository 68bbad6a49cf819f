//! What guests say reaches the log in one clean line each, and not without end.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::fmt;
use std::sync::{Arc, Mutex};

use support::{host, score_as_it_is, scorer};
use tracing::field::{Field, Visit};
use tracing::span;

/// Collects what guests say.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "crm_plugins::guest"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{}", event.metadata().level());
        event.record(&mut Fields(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

/// What a scorer with this body says, and the kind of its fault.
fn said(parts: &str, body: &str) -> (Vec<String>, &'static str) {
    let lines = Lines::default();
    let host = host();
    let wasm = scorer(parts, body);
    let kind = tracing::subscriber::with_default(lines.clone(), || {
        score_as_it_is(&host, &wasm).map_or_else(|fault| fault.kind(), |_| "ok")
    });
    let lines = lines.0.lock().unwrap().clone();
    (lines, kind)
}

const EMIT: &str = r#"(import "crm:plugin/diag@0.1.0" "emit" (func $emit (param i32 i32 i32)))"#;

#[test]
fn a_panic_is_reported_without_control_characters_and_then_traps() {
    let parts = format!(r#"{EMIT} (data (i32.const 512) "no\0d\0a\1b[2Jorders")"#);
    let body = "(call $emit (i32.const 4) (i32.const 512) (i32.const 14)) (unreachable)";
    let (lines, kind) = said(&parts, body);
    assert_eq!(kind, "trap");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("ERROR ") && lines[0].contains("no   [2Jorders"), "{lines:?}");
    assert!(lines[0].contains("plugin=\"hostile\"") && lines[0].contains("panicked=true"));
}

#[test]
fn a_gibibyte_of_text_with_control_codes_is_cut_to_its_share() {
    let body = "(loop $more
            (call $emit (i32.const 1) (i32.const 0) (i32.const 131072))
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (br_if $more (i32.lt_u (global.get $n) (i32.const 8192))))
        (unreachable)";
    // Control codes all over: a GiB of 128 KiB lines that ring, clear the screen and break.
    let parts = format!(
        r#"{EMIT} (global $n (mut i32) (i32.const 0)) (data (i32.const 0) "\07\1b[2J\0d\0a")
        (func $grow (drop (memory.grow (i32.const 1)))) (start $grow)"#
    );
    let (lines, kind) = said(&parts, body);
    assert_eq!(kind, "trap");
    let bytes: usize = lines.iter().map(String::len).sum();
    assert!(lines.iter().all(|line| !line.contains(char::is_control)));
    assert!(!lines.is_empty() && bytes < 80 << 10, "{} lines, {bytes} bytes", lines.len());
}
