//! Custom sections of a module or a component, which have the same form: `00`, the length, the length of
//! the name, the name, the content (WebAssembly core specification, 5.5.3).

use wasmparser::{Parser, Payload};

/// The file with one section `name` at its end, and without those that it had on its outermost level.
/// None if it is no WebAssembly.
pub(crate) fn with_section(wasm: &[u8], name: &str, content: &[u8]) -> Option<Vec<u8>> {
    let mut file = wasm.get(..8)?.to_vec();
    let mut start = 8;
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        if let Payload::Version { .. } = &payload {
            depth += 1;
        } else if let Payload::End(_) = &payload {
            depth = depth.saturating_sub(1);
        }
        let Some((_, range)) = payload.as_section() else { continue };
        // A nested module or component is one section of what is around it.
        let is_nested = matches!(payload, Payload::ModuleSection { .. } | Payload::ComponentSection { .. });
        if depth > 1 && !is_nested || depth > 2 {
            continue;
        }
        let end = usize::try_from(range.end).ok()?;
        if end <= start {
            continue;
        }
        let is_old = matches!(&payload, Payload::CustomSection(section) if section.name() == name);
        if !is_old {
            file.extend(wasm.get(start..end)?);
        }
        start = end;
    }
    file.extend(wasm.get(start..)?);
    file.extend(section(name, content));
    Some(file)
}

fn section(name: &str, content: &[u8]) -> Vec<u8> {
    let mut body = leb128(name.len());
    body.extend(name.as_bytes());
    body.extend(content);
    let mut section = vec![0];
    section.extend(leb128(body.len()));
    section.extend(body);
    section
}

/// An unsigned number, seven bits in each byte, the lowest first.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// What the outermost module or component imports, as `interface` or `interface function`.
pub(crate) fn imports(wasm: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::Version { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::ImportSection(section)) if depth == 1 => names.extend(
                section
                    .into_imports()
                    .filter_map(Result::ok)
                    .map(|import| format!("{} {}", import.module, import.name)),
            ),
            Ok(Payload::ComponentImportSection(section)) if depth == 1 => {
                names.extend(section.into_iter().filter_map(Result::ok).map(|import| import.name.name.to_owned()));
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    names
}

/// The content of the first section `name` on the outermost level.
#[allow(clippy::wildcard_enum_match_arm, reason = "all other sections are not looked for")]
pub(crate) fn find<'a>(wasm: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut depth = 0_usize;
    Parser::new(0).parse_all(wasm).map_while(Result::ok).find_map(|payload| match payload {
        Payload::Version { .. } => {
            depth += 1;
            None
        }
        Payload::End(_) => {
            depth = depth.saturating_sub(1);
            None
        }
        Payload::CustomSection(section) if depth == 1 && section.name() == name => Some(section.data()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn of_a_component_only_the_outermost_section_is_replaced() {
        let text = r#"(component
            (core module (@custom "a" "inner"))
            (@custom "a" "outer")
            (component (core module)))"#;
        let old = wat::parse_str(text).unwrap();
        let new = with_section(&old, "a", b"newer").unwrap();
        assert_eq!((find(&old, "a"), find(&new, "a")), (Some(&b"outer"[..]), Some(&b"newer"[..])));
        assert_eq!(new.len(), old.len());
        assert!(new.windows(5).any(|bytes| bytes == b"inner") && !new.windows(5).any(|bytes| bytes == b"outer"));
        assert!(Parser::new(0).parse_all(&new).all(|payload| payload.is_ok()));
    }

    #[test]
    fn a_section_is_found_again_and_replaced() {
        let once = with_section(EMPTY, "a", b"first").unwrap();
        assert_eq!(find(&once, "a"), Some(&b"first"[..]));
        let other = with_section(&once, "b", &[7; 300]).unwrap();
        let twice = with_section(&other, "a", b"second").unwrap();
        assert_eq!((find(&twice, "a"), find(&twice, "b")), (Some(&b"second"[..]), Some(&[7; 300][..])));
        assert_eq!(twice.len(), other.len() + 1);
        assert_eq!(with_section(b"text", "a", b""), None);
    }
}
