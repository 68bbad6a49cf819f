//! The guide for plugin authors, command by command: what stands there works.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod support;

use std::fmt::Write as _;
use std::process::Command;

use support::{folder, root, said, surroundings};

/// The commands and files of a page as one script for `sh`. A block of `sh` is run; a block of Rust that
/// begins with `// path` is written to that path, and so is one whose language is followed by a path.
fn script(page: &str) -> String {
    let mut script = String::from("set -eu\n");
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```").filter(|language| !language.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let path = match language.split_once(' ') {
            Some((_, path)) => Some(path),
            None => block.first().and_then(|first| first.strip_prefix("// ")),
        };
        if language == "sh" {
            for command in block {
                writeln!(script, "echo '$ {command}'\n{command}").unwrap();
            }
        } else if let Some(path) = path {
            writeln!(script, "cat > {path} <<'END OF FILE'\n{}\nEND OF FILE", block.join("\n")).unwrap();
        }
    }
    script
}

#[test]
fn the_guide_works_command_by_command() {
    let page = std::fs::read_to_string(root().join("docs/writing-plugins.md")).unwrap();
    let script = script(&page);
    assert!(script.matches("\necho '$ ").count() >= 15, "the page has lost its commands:\n{script}");
    let folder = folder("guide");
    std::os::unix::fs::symlink(root(), folder.join("crm")).unwrap();
    let tool = std::path::Path::new(env!("CARGO_BIN_EXE_crm")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(tool.to_owned()).chain(std::env::split_paths(&path))).unwrap();
    let mut sh = Command::new("sh");
    let said =
        said(surroundings(&mut sh).args(["-c", &script]).current_dir(&folder).env("PATH", path).output().unwrap());
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    for expected in [
        "a host takes it",
        "ada,0.0736",
        "grace,0.4166",
        "grace,0.2083",
        "joan,\n",
        "ns a customer",
        "15 orders of 3 customers",
        "AUC ",
        "thanks 0.1.0",
    ] {
        assert!(said.out.contains(expected), "`{expected}` is not in\n{}", said.out);
    }
}
