//! What a guest weighs that has nothing to carry.

use std::path::Path;

#[test]
fn a_guest_without_the_standard_library_has_at_most_30_kilobytes() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/minimal/Cargo.toml");
    let wasm = guest_build::build_in(&manifest, "minimal").unwrap();
    assert!(wasm.starts_with(b"\0asm"));
    assert!(wasm.len() <= 30_000, "{} bytes", wasm.len());
}
