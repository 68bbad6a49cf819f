//! What a host's own tracing shows: which plugin was called, for how many rows, and what came of it.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crm_plugins::{Host, Limits};
use support::{answer_of, host, poke, scorer, scorer_that_answers, two_rows, workflow_that_answers};
use tracing::field::{Field, Visit};
use tracing::span;

/// Collects spans as their names with their fields, and events as their fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("crm_plugins")
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut spans = self.0.lock().unwrap();
        let mut line = span.metadata().name().to_owned();
        span.record(&mut Fields(&mut line));
        spans.push(line);
        span::Id::from_u64(spans.len() as u64)
    }

    fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        let mut spans = self.0.lock().unwrap();
        values.record(&mut Fields(&mut spans[id.into_u64() as usize - 1]));
    }

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

#[test]
fn each_step_is_a_span_with_its_outcome() {
    let spans = Spans::default();
    let wasm = scorer_that_answers(&answer_of(&[0.25, 0.75]));
    tracing::subscriber::with_default(spans.clone(), || {
        let host = host();
        host.load(&wasm).unwrap().scorer(&[]).unwrap().score(&two_rows()).unwrap();
        host.load(b"nothing").unwrap_err();
        let trap = host.load(&scorer("", "(unreachable)")).unwrap();
        for _ in 0..6 {
            trap.scorer(&[]).and_then(|mut scorer| scorer.score(&two_rows())).unwrap_err();
        }
    });
    let spans = spans.0.lock().unwrap().clone();
    let load = format!(r#"load bytes={} plugin="hostile" version="1" outcome="ok""#, wasm.len());
    let plugin = r#"plugin="hostile" version="1""#;
    assert_eq!(
        spans[..4],
        [
            load,
            format!(r#"configure {plugin} outcome="ok""#),
            format!(r#"score {plugin} rows=2 outcome="ok""#),
            r#"load bytes=7 outcome="not_wasm""#.to_owned(),
        ]
    );
    assert_eq!(spans.iter().filter(|line| **line == format!(r#"score {plugin} rows=2 outcome="trap""#)).count(), 5);
    let warnings: Vec<_> = spans.iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(warnings, [&format!(r#"WARN message=plugin put into quarantine {plugin} fault="trap""#)]);
    assert_eq!(spans.last().unwrap(), &format!(r#"configure {plugin} outcome="quarantined""#));
}

/// The instances of workflows come from a pool. A limit of memory so wide that no address space has room for as many
/// leaves each call to map its own.
#[test]
fn that_there_is_no_room_for_a_pool_is_said_and_workflows_run() {
    let said = |limits: Limits| {
        let spans = Spans::default();
        let host = tracing::subscriber::with_default(spans.clone(), || Host::new(limits).unwrap());
        assert!(poke(&host.load(&workflow_that_answers(&[0; 5], "")).unwrap()).is_ok());
        let spans = spans.0.lock().unwrap();
        spans.iter().filter(|line| line.contains("no room for a pool of instances")).cloned().collect::<Vec<_>>()
    };
    let mut limits = Limits::default();
    limits.deadline = Duration::from_secs(5);
    assert_eq!(said(limits.clone()), Vec::<String>::new());
    limits.memory_bytes = 1 << 42;
    let told = said(limits);
    assert!(told.len() == 1 && told[0].starts_with("DEBUG") && told[0].contains("error="), "{told:?}");
}
