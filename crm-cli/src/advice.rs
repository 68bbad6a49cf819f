//! What an author can do about a refusal or a fault, in an author's words.

use std::error::Error;

use crm::plugins::PluginError;
use crm_plugin_harness::BuildError;
use crm_plugins::{Fault, LoadError};

/// An error with its causes, of each the first line.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        let line = words.lines().next().unwrap_or_default();
        if !text.contains(line) {
            text = format!("{text}: {line}");
        }
        cause = error.source();
    }
    text
}

/// What to do about a project that does not build; none if the compiler says it all.
#[allow(clippy::wildcard_enum_match_arm, reason = "the others say it all")]
pub(crate) fn of_build(error: &BuildError) -> Option<String> {
    Some(match error {
        BuildError::Failed { output, .. } if output.contains("target may not be installed") => {
            "Run `rustup target add wasm32-unknown-unknown`.".into()
        }
        BuildError::Cargo(_) => "Install Rust from https://rustup.rs, and see that `cargo` is on the path.".into(),
        BuildError::NoFile { .. } => {
            "Let the library be one: `[lib]` with `crate-type = [\"cdylib\", \"lib\"]`.".into()
        }
        _ => return None,
    })
}

/// What to do about a plugin that a shop's engine refuses; none if the error says it all.
#[allow(clippy::wildcard_enum_match_arm, reason = "the others say it all")]
pub(crate) fn of_plugin(error: &PluginError) -> Option<String> {
    Some(match error {
        PluginError::Unknown { what: "field", .. } => "Workflows may ask for `name`, `employer`, `position`, \
            `birthday`, `language`, `time_zone`, and the shop's own attributes as `attribute.NAME`."
            .into(),
        PluginError::Word { .. } => {
            "Give a number instead, such as the likelihood of each word as an output of its own.".into()
        }
        PluginError::Load(error) => of_load(error),
        PluginError::Fault(fault) => return of_fault(fault),
        _ => return None,
    })
}

/// What to do about a file that a host refuses.
pub(crate) fn of_load(error: &LoadError) -> String {
    match error {
        LoadError::NotWasm => "Give the .wasm file that `crm plugin build` names, not a source or an archive.".into(),
        LoadError::Precompiled => {
            "Compiled code is made by each host for itself. Give the WebAssembly that it was made \
            from."
                .into()
        }
        LoadError::TooLarge { what, .. } => too_large(what),
        LoadError::Invalid(_) => "The file is damaged, or uses a part of WebAssembly that plugins may not: threads, \
            exceptions, garbage collection, tail calls, relaxed SIMD, 64-bit or several memories. Build it again \
            without those."
            .into(),
        LoadError::UnknownImport { import } => import_advice(import),
        LoadError::UnknownContract { .. } => "It was built with another version of the SDK than this tool knows. Use \
            the SDK and the tool of one version."
            .into(),
        LoadError::NoRole => "Register your type with `register_scorer!` or `register_workflow!`, and build a \
            `cdylib`. In other languages, export the functions of crm-plugins/wit/v0_1/plugin.wit."
            .into(),
        LoadError::NoManifest => "The SDK's macros write one. In other languages, write a plugin.toml and run \
            `crm plugin build FILE.wasm`."
            .into(),
        LoadError::TwoManifests => "Register one plugin in each crate, and let `crm plugin build` write the manifest \
            only into files that have none."
            .into(),
        LoadError::Manifest(_) => "Correct the manifest: in Rust what the macro is given, in other languages the \
            plugin.toml."
            .into(),
        LoadError::Mismatch { .. } => "A scorer declares outputs and no events, a workflow events and no outputs. \
            Export what the manifest says, or say in the manifest what is exported."
            .into(),
        LoadError::Componentize(_) | LoadError::Compile(_) => "The exported functions are not those of the contract. \
            With the SDK, build again with one version of it; in other languages, compare the exports with \
            crm-plugins/wit/v0_1/plugin.wit."
            .into(),
        _ => "See docs/writing-plugins.md.".into(),
    }
}

fn too_large(what: &str) -> String {
    let advice = match what {
        "bytes in the file" => {
            "Build in release mode with `lto = true`, `strip = true` and `panic = \"abort\"`. \
            Interpreters for JavaScript and Python are larger than the default: try --interpreter, and tell shops that \
            their hosts have to allow it."
        }
        "bytes of one function" => "Split the function, or keep its tables as data and not as code.",
        "units of work for the compiler in one function" => {
            "Split the function: it has too many loops, or too many variables that live through too many branches."
        }
        "units of work for the compiler" => {
            "Make the code smaller: leave out what is not used, and build in release mode. Interpreters for JavaScript and Python \
            are more than the default: try --interpreter."
        }
        "branch targets" => "Split the `match`, or look the value up in a table.",
        "nested loops" | "nested blocks" => "Split the function; generated code is often nested too deep.",
        "modules" | "instances" => "Build one component, and not one that is composed of many.",
        "imports" => "Import each function once; a linker that repeats imports is told not to.",
        "bytes of declared memory" => "Ask for less memory at the start; it may grow up to the limit.",
        _ => "Make the plugin smaller.",
    };
    format!("{advice} The limits are in docs/plugin-limits.md.")
}

fn import_advice(import: &str) -> String {
    let cause = if import.starts_with("wasi") {
        "It was built for a system that plugins have not (WASI). Build for `wasm32-unknown-unknown`; where a \
         language can't, leave out what needs clocks, files, randomness or the network."
    } else if import.starts_with("__wbindgen") || import.starts_with("wbg") {
        "A dependency was made for browsers (wasm-bindgen), often `getrandom`, `uuid` or `chrono` with their \
         features for JavaScript. Leave it out, or switch those features off."
    } else if import.starts_with("env") {
        "A function is declared and defined nowhere: link it in, or leave it out."
    } else {
        "A plugin is given the log and, if it is a workflow that names sources, look-ups."
    };
    format!("{cause} Times and a seed come in with each call.")
}

/// What to do about a call that failed; none if the fault says it all.
#[allow(clippy::wildcard_enum_match_arm, reason = "of the others the fault says it all")]
pub(crate) fn of_fault(fault: &Fault) -> Option<String> {
    Some(match fault {
        Fault::Deadline { .. } => "Do less in a call. For a scorer, do once in `configure` what no row changes.".into(),
        Fault::Fuel { .. } => "Do less for one event: a workflow has a fixed number of instructions.".into(),
        Fault::Memory { .. } => "Keep less at once: a batch has up to 65,536 rows.".into(),
        Fault::Stack => "Something calls itself too often. Use a loop, or a stack of your own.".into(),
        Fault::Trap { .. } => "It panicked or did what WebAssembly forbids. With the SDK's `panic-report` feature the \
            log says where: add --log, or try the input in a native test."
            .into(),
        Fault::NotFinite { .. } => "A number is NaN or infinite. Look for a division by nought or a logarithm of it; \
            return `None` where there is nothing to say."
            .into(),
        Fault::OutOfRange { .. } => "Clamp the score, or declare the range that it has.".into(),
        Fault::RowCount { .. } => "Return one cell for each row; `Batch::map` does.".into(),
        Fault::ColumnCount { .. } => "Return one column for each output, in the manifest's order.".into(),
        Fault::Lookup { .. } => "Ask for fewer keys at once.".into(),
        Fault::UndeclaredLookup { name } => format!("Add `{}` to the manifest's lookups.", name.reveal()),
        Fault::UndeclaredAction { kind, .. } => format!("Add `{}` to the manifest's actions.", kind.reveal()),
        Fault::Refused { message, .. } if !message.reveal().is_empty() => {
            format!("The plugin says: {}", message.reveal())
        }
        _ => return None,
    })
}

/// The known name that is nearest to `name`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let best = near.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness > 0.8).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_meant_is_found_and_another_is_not() {
        let known = ["recency_days", "orders", "average_order"];
        assert_eq!(nearest("recncy_days", known), Some("recency_days"));
        assert_eq!(nearest("order", known), Some("orders"));
        assert_eq!(nearest("shoe_size", known), None);
    }
}
