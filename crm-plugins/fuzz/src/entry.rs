//! What is done with a file from a stranger: it is loaded, and what loads is called once.

use crm_plugins::{Batch, Column, Host, Plugin, TriggerEvent};

/// What came of it: the kind of the refusal, of the fault, or `ok`. Any will do, as long as there is
/// one; a file that made a library panic is none, even though the host turns that into a refusal.
///
/// # Panics
///
/// If a library panicked, or an answer breaks what the host promises about answers.
pub(crate) fn load_and_call(host: &Host, bytes: &[u8]) -> &'static str {
    let plugin = match host.load(bytes) {
        Ok(plugin) => plugin,
        Err(refusal) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&refusal);
            while let Some(error) = cause {
                assert!(!error.to_string().contains("made a library panic"), "{error}");
                cause = error.source();
            }
            return refusal.kind();
        }
    };
    if plugin.is_scorer() { score(&plugin) } else { handle(&plugin) }
}

fn score(plugin: &Plugin) -> &'static str {
    let column = |_: &String| Column::floats([Some(1.0), None]).expect("one is finite");
    let columns = plugin.manifest().features.iter().map(column).collect();
    let batch = Batch::new(2, vec![], columns).expect("two rows and columns of two are a batch");
    match plugin.scorer(&[]).and_then(|mut scorer| scorer.score(&batch)) {
        Ok(columns) => {
            assert_eq!(columns.len(), plugin.manifest().outputs.len());
            assert!(columns.iter().all(|column| column.rows() == 2));
            "ok"
        }
        Err(fault) => fault.kind(),
    }
}

fn handle(plugin: &Plugin) -> &'static str {
    let Some(kind) = plugin.manifest().events.first().cloned() else { return "ok" };
    let event = TriggerEvent { id: "e-1".into(), kind, at_ms: 0, seed: 7, fields: vec![] };
    match plugin.handle(&event, &[], &[]) {
        Ok(outcome) => {
            let declared = |action: &crm_plugins::Action| plugin.manifest().actions.contains(&action.kind);
            assert!(outcome.actions.iter().all(declared));
            "ok"
        }
        Err(fault) => fault.kind(),
    }
}
