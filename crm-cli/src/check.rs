//! Would a host take it, and if not, why and what to do.

use std::fmt::Write as _;

use crm::plugins::{ACTIONS, CUSTOMER, EVENTS, PluginError, STAGE, WasmScorer, WasmWorkflow};
use crm::{Attribute, Grants};
use crm_plugin_sdk::Batch;
use crm_plugins::{Fault, Host, Limits, Manifest, OutputKind, Plugin};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::CheckArgs;
use crate::answer::{Answer, hex, size};
use crate::error::Error;
use crate::{advice, embed, sample};

/// How many customers are tried.
const ROWS: usize = 1_024;

/// Something that is wrong, and what to do about it.
struct Trouble {
    /// A short stable name.
    kind: &'static str,
    what: String,
    advice: Option<String>,
}

pub(crate) fn run(args: &CheckArgs, limits: &Limits) -> Result<Answer, Error> {
    let path = &args.file;
    let wasm = std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let host = Host::new(limits.clone())?;
    let imports = embed::imports(&wasm);
    let plugin = match host.load(&wasm) {
        Ok(plugin) => plugin,
        Err(error) => {
            let trouble =
                Trouble { kind: error.kind(), what: advice::causes(&error), advice: Some(advice::of_load(&error)) };
            let shown = format!("{}  {}\n{}", path.display(), size(wasm.len()), imports_text(&imports));
            let digest = hex(&Sha256::digest(&wasm));
            let json = json!({ "bytes": wasm.len(), "sha256": digest, "imports": imports, "manifest": null });
            return Ok(answer(shown, json, &[trouble], &[]));
        }
    };
    let params = args.params.read(plugin.manifest())?;
    let mut troubles = unknown_names(&plugin);
    let mut warnings = Vec::new();
    if plugin.is_scorer() {
        match try_scoring(&plugin, &params) {
            Ok(()) => {}
            Err(TryFault::Configure(fault)) => troubles.push(of_fault("with these parameters", &fault)),
            Err(TryFault::Call(when, fault)) => warnings.push(of_fault(&when, &fault)),
        }
    } else {
        match try_events(&plugin, &params) {
            Ok(()) => {}
            Err(TryFault::Configure(fault)) => troubles.push(of_fault("with these parameters", &fault)),
            Err(TryFault::Call(when, fault)) => warnings.push(of_fault(&when, &fault)),
        }
    }
    if troubles.is_empty() {
        troubles.extend(of_engine(&plugin, &params));
    }
    let json = json!({
        "bytes": wasm.len(),
        "sha256": hex(&plugin.digest()),
        "imports": imports,
        "manifest": manifest_json(plugin.manifest()),
    });
    let shown = format!(
        "{}  {}\nsha256    {}\n{}{}",
        path.display(),
        size(wasm.len()),
        hex(&plugin.digest()),
        manifest_text(&plugin),
        imports_text(&imports)
    );
    Ok(answer(shown, json, &troubles, &warnings))
}

fn all_lookups(manifest: &Manifest) -> Vec<&str> {
    manifest.lookups.iter().map(String::as_str).collect()
}

/// Why a trial failed.
enum TryFault {
    Configure(Fault),
    /// With what it was tried.
    Call(String, Fault),
}

fn try_scoring(plugin: &Plugin, params: &[crm_plugins::Entry]) -> Result<(), TryFault> {
    let mut scorer = plugin.scorer(params).map_err(TryFault::Configure)?;
    let odd = (Batch::sample(1, ROWS), "with sample customers, some of them odd");
    let nothing = (Batch::new(ROWS), "with customers of whom nothing is granted");
    for (sample, when) in [odd, nothing] {
        // A sample has finite numbers and fits a batch.
        let Ok(batch) = crm_plugin_harness::batch(&sample, &plugin.manifest().features) else { return Ok(()) };
        scorer.score(&batch).map_err(|fault| TryFault::Call(when.to_owned(), fault))?;
    }
    Ok(())
}

/// Tries an event of each kind, with all that the workflow asks for and with nothing of it.
fn try_events(plugin: &Plugin, params: &[crm_plugins::Entry]) -> Result<(), TryFault> {
    let manifest = plugin.manifest();
    let workflow = plugin.workflow_with(params, &all_lookups(manifest)).map_err(TryFault::Configure)?;
    let nothing_there = sample::nothing_there();
    for (customer, of_whom) in
        [(sample::customer(manifest), ""), (Vec::new(), " of a customer of whom nothing is granted")]
    {
        for kind in &manifest.events {
            let answer = workflow.handle_with(&sample::event(kind), &customer, &[], &nothing_there);
            answer.map_err(|fault| TryFault::Call(format!("with a sample event `{kind}`{of_whom}"), fault))?;
        }
    }
    Ok(())
}

/// What else a shop's engine has to say: it knows what a host alone does not.
fn of_engine(plugin: &Plugin, params: &[crm_plugins::Entry]) -> Option<Trouble> {
    let error = if plugin.is_scorer() {
        WasmScorer::of(plugin, params, &Grants::all()).err()
    } else {
        WasmWorkflow::of(plugin, params).err()
    }?;
    let kind = if let PluginError::Unknown { .. } = error { "unknown_name" } else { "plugin" };
    Some(Trouble { kind, what: advice::causes(&error), advice: advice::of_plugin(&error) })
}

fn of_fault(when: &str, fault: &Fault) -> Trouble {
    Trouble { kind: fault.kind(), what: format!("{when}: {fault}"), advice: advice::of_fault(fault) }
}

/// Names that no shop's engine knows: it refuses such a plugin.
fn unknown_names(plugin: &Plugin) -> Vec<Trouble> {
    let manifest = plugin.manifest();
    let attributes = || Attribute::ALL.iter().map(|attribute| attribute.name());
    let mut troubles = Vec::new();
    let mut expect = |what: &str, list: &str, names: &[String], known: Vec<&str>| {
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            if what == "event" && name.starts_with("shop.") {
                continue;
            }
            let advice = match advice::nearest(name, known.iter().copied()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => list.to_owned(),
            };
            troubles.push(Trouble {
                kind: "unknown_name",
                what: format!("there is no {what} `{name}`"),
                advice: Some(advice),
            });
        }
    };
    let texts = if plugin.is_workflow() { [STAGE, CUSTOMER].as_slice() } else { &[] };
    let features = attributes().chain(texts.iter().copied()).collect();
    expect("feature", "All features are in docs/features.md.", &manifest.features, features);
    let events = "A shop's own kinds begin with `shop.`; the others are in `crm_plugin_sdk::events`.";
    expect("event", events, &manifest.events, EVENTS.to_vec());
    let actions = format!("There are {}.", ACTIONS.join(", "));
    expect("action", &actions, &manifest.actions, ACTIONS.to_vec());
    troubles
}

fn answer(shown: String, mut json: Json, troubles: &[Trouble], warnings: &[Trouble]) -> Answer {
    let mut text = shown;
    let mut add = |mark: &str, trouble: &Trouble| {
        let _ = writeln!(text, "{mark}: {}", trouble.what);
        if let Some(advice) = &trouble.advice {
            let _ = writeln!(text, "  {advice}");
        }
    };
    troubles.iter().for_each(|trouble| add("error", trouble));
    warnings.iter().for_each(|warning| add("warning", warning));
    text.push_str(if troubles.is_empty() { "a host takes it\n" } else { "a host refuses it\n" });
    let list = |troubles: &[Trouble]| -> Json {
        troubles
            .iter()
            .map(|trouble| json!({ "kind": trouble.kind, "message": trouble.what, "advice": trouble.advice }))
            .collect()
    };
    if let Json::Object(fields) = &mut json {
        fields.insert("taken".into(), troubles.is_empty().into());
        fields.insert("errors".into(), list(troubles));
        fields.insert("warnings".into(), list(warnings));
    }
    Answer { text, json, is_well: troubles.is_empty() }
}

fn imports_text(imports: &[String]) -> String {
    if imports.is_empty() { "imports   nothing\n".into() } else { format!("imports   {}\n", imports.join(", ")) }
}

fn manifest_text(plugin: &Plugin) -> String {
    let manifest = plugin.manifest();
    let role = match (plugin.is_scorer(), plugin.is_workflow()) {
        (true, true) => "scorer and workflow",
        (true, false) => "scorer",
        _ => "workflow",
    };
    let mut text = format!("{role:<9} {} {}\n", manifest.name, manifest.version);
    let mut line = |what: &str, names: Vec<String>| {
        if !names.is_empty() {
            let _ = writeln!(text, "{what:<9} {}", names.join(", "));
        }
    };
    line("features", manifest.features.clone());
    line("fields", manifest.fields.clone());
    line("lookups", manifest.lookups.clone());
    line("outputs", manifest.outputs.iter().map(output_text).collect());
    line("events", manifest.events.clone());
    line("actions", manifest.actions.clone());
    line("params", manifest.params.iter().map(param_text).collect());
    text
}

fn output_text(output: &crm_plugins::Output) -> String {
    let bound = |bound: Option<f64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
    let range = match (output.min, output.max) {
        (None, None) => String::new(),
        (min, max) => format!(" in {}..={}", bound(min), bound(max)),
    };
    format!("{}: {}{range}", output.name, output_kind(output.kind))
}

fn output_kind(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Float => "float",
        OutputKind::Int => "int",
        OutputKind::Boolean => "boolean",
        OutputKind::Word => "word",
    }
}

fn param_text(param: &crm_plugins::Param) -> String {
    let kind = param_kind(param);
    let default = default_json(param);
    if default.is_null() {
        return format!("{}: {kind} (required)", param.name);
    }
    format!("{}: {kind} = {default}", param.name)
}

fn param_kind(param: &crm_plugins::Param) -> &'static str {
    use crm_plugins::ParamKind;
    match param.kind {
        ParamKind::Boolean => "boolean",
        ParamKind::Int => "int",
        ParamKind::Float => "float",
        ParamKind::Text => "text",
    }
}

fn default_json(param: &crm_plugins::Param) -> Json {
    use crm_plugins::ParamDefault;
    match &param.default {
        Some(ParamDefault::Boolean(value)) => (*value).into(),
        Some(ParamDefault::Int(value)) => (*value).into(),
        Some(ParamDefault::Float(value)) => (*value).into(),
        Some(ParamDefault::Text(value)) => value.clone().into(),
        None => Json::Null,
    }
}

fn manifest_json(manifest: &Manifest) -> Json {
    let output = |output: &crm_plugins::Output| json!({ "name": output.name, "kind": output_kind(output.kind), "min": output.min, "max": output.max });
    let param = |param: &crm_plugins::Param| json!({ "name": param.name, "kind": param_kind(param), "default": default_json(param) });
    json!({
        "api": manifest.api,
        "name": manifest.name,
        "version": manifest.version,
        "features": manifest.features,
        "fields": manifest.fields,
        "lookups": manifest.lookups,
        "limits": { "memory_bytes": manifest.limits.memory_bytes, "deadline_ms": manifest.limits.deadline_ms },
        "outputs": manifest.outputs.iter().map(output).collect::<Json>(),
        "events": manifest.events,
        "actions": manifest.actions,
        "params": manifest.params.iter().map(param).collect::<Json>(),
    })
}
