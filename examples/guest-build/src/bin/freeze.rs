//! Writes the guests that a released version of the contract is tested with for ever, and their digests: a scorer and a
//! workflow in Rust and a scorer in C, out of `examples/plugins` as they are now.
//!
//! ```sh
//! cargo run -p guest-build --bin freeze -- crm-plugins/tests/fixtures/v0_1
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;

use guest_build::Language;
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("freeze takes the folder to write into")?;
    let guests = [
        ("churn.wasm", guest_build::build("churn")?),
        ("winback.wasm", guest_build::build("winback")?),
        ("churn-c.wasm", Language::C.build()?),
    ];
    let mut sums = String::new();
    for (name, wasm) in guests {
        for byte in Sha256::digest(&wasm) {
            write!(sums, "{byte:02x}")?;
        }
        writeln!(sums, "  {name}")?;
        std::fs::write(folder.join(name), wasm)?;
    }
    std::fs::write(folder.join("SHA256SUMS"), sums)?;
    Ok(())
}
