//! A project to begin with.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::NewArgs;
use crate::answer::Answer;
use crate::error::Error;

/// Name and content of each file. `{{name}}`, `{{crate}}`, `{{Type}}` and `{{sdk}}` are filled in.
const SCORER: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../templates/Cargo.toml.txt")),
    (".gitignore", "/target\n"),
    ("README.md", include_str!("../templates/scorer/README.md.txt")),
    ("src/lib.rs", include_str!("../templates/scorer/lib.rs.txt")),
    ("tests/{{name}}.rs", include_str!("../templates/scorer/tests.rs.txt")),
    ("customers.csv", include_str!("../templates/scorer/customers.csv")),
];

const WORKFLOW: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../templates/Cargo.toml.txt")),
    (".gitignore", "/target\n"),
    ("README.md", include_str!("../templates/workflow/README.md.txt")),
    ("src/lib.rs", include_str!("../templates/workflow/lib.rs.txt")),
    ("tests/{{name}}.rs", include_str!("../templates/workflow/tests.rs.txt")),
];

pub(crate) fn run(args: &NewArgs) -> Result<Answer, Error> {
    let name = args.name.as_str();
    if !is_name(name) {
        return Err(Error::Name { name: name.to_owned() });
    }
    let folder = Path::new(name);
    if folder.exists() {
        return Err(Error::Exists { path: folder.into() });
    }
    let sdk = match &args.sdk {
        Some(path) => path_of_sdk(path)?,
        None => format!("\"{}\"", env!("CARGO_PKG_VERSION")),
    };
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{crate}}", &name.replace('-', "_"))
            .replace("{{Type}}", &type_name(name))
            .replace("{{sdk}}", &sdk)
    };
    let templates = if args.workflow { WORKFLOW } else { SCORER };
    let mut files = Vec::new();
    for (path, content) in templates {
        let path = folder.join(fill(path));
        write(&path, &fill(content))?;
        files.push(path.display().to_string());
    }
    let mut text = format!("wrote {name}/, a {}\n", if args.workflow { "workflow" } else { "scorer" });
    let _ = writeln!(text, "next: cd {name} && cargo test && crm plugin build");
    Ok(Answer::well(text, json!({ "name": name, "files": files })))
}

fn write(path: &Path, content: &str) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.into(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, content).map_err(failed)
}

/// A name that is one for cargo, for a folder and for a manifest. Names that Rust keeps for itself are
/// left to cargo.
fn is_name(name: &str) -> bool {
    let follows = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    name.len() <= 64 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(follows)
}

/// `win-back` as the name of a type: `WinBack`.
fn type_name(name: &str) -> String {
    let parts = name.split(['-', '_']);
    parts
        .map(|part| part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect::<String>())
        .collect()
}

fn path_of_sdk(path: &Path) -> Result<String, Error> {
    let manifest = std::fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
    let full = path.canonicalize().ok().filter(|_| manifest.contains("name = \"crm-plugin-sdk\""));
    match full {
        Some(full) => Ok(format!("{{ path = {:?} }}", full.display().to_string())),
        None => Err(Error::NoSdk { path: path.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_makes_a_type() {
        assert_eq!(type_name("win-back_2"), "WinBack2");
        assert!(is_name("win-back_2") && !is_name("2win") && !is_name("Win") && !is_name("../up") && !is_name(""));
    }
}
