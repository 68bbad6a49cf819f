//! The manifest of a guest whose language can't put it into the file.

/// The module or component with `manifest` in its custom section `crm:manifest`, at the end. Nothing else changes.
#[must_use]
pub fn with_manifest(mut wasm: Vec<u8>, manifest: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"crm:manifest";
    let mut name = Vec::new();
    write_leb128(&mut name, NAME.len());
    name.extend(NAME);
    // A custom section is one whose id is 0; its size counts the name and the content.
    wasm.push(0);
    write_leb128(&mut wasm, name.len() + manifest.len());
    wasm.extend(name);
    wasm.extend(manifest);
    wasm
}

/// WebAssembly's unsigned numbers: seven bits a byte, the lowest first, the eighth set if more follow.
fn write_leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_says_how_long_it_is() {
        let manifest = [b'x'; 200];
        let module = with_manifest(b"\0asm\x01\0\0\0".to_vec(), &manifest);
        // 213 bytes follow, which is 0x55 and one times 128: a byte for the length of the name, its 12, and 200.
        assert_eq!(module[8..12], [0, 0xd5, 0x01, 12]);
        assert_eq!(&module[12..24], b"crm:manifest");
        assert_eq!(module.len(), 24 + 200);
    }
}
