//! What loading the example scorer costs: compiled for the first time, while it is in use already, and
//! from the folder of kept code. `cargo bench -p crm-plugins --bench load`

#![allow(clippy::print_stdout, reason = "a report is printed")]

use std::time::{Duration, Instant};

use crm_plugins::{CodeFolder, Host, Limits};

const ROUNDS: usize = 21;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let wasm = guest_build::build("churn")?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("code");
    let with_folder = || -> Result<Host, Box<dyn std::error::Error>> {
        Ok(Host::with_code_folder(Limits::default(), CodeFolder::open(&folder, &[7; 32])?)?)
    };

    let plain = Host::new(Limits::default())?;
    // Each plugin is dropped at once, so the next load compiles again.
    let compiled = median(|| plain.load(&wasm).map(drop))?;
    let _in_use = plain.load(&wasm)?;
    let shared = median(|| plain.load(&wasm).map(drop))?;
    let keeping = with_folder()?;
    keeping.load(&wasm)?;
    let kept = median(|| keeping.load(&wasm).map(drop))?;

    println!("loading churn ({} bytes), median of {ROUNDS}: compiled {compiled:?}", wasm.len());
    let ratio = |took: Duration| compiled.as_secs_f64() / took.as_secs_f64();
    println!("in use already {shared:?} ({:.0} times faster)", ratio(shared));
    println!("from the folder {kept:?} ({:.0} times faster)", ratio(kept));
    Ok(())
}

fn median<E>(mut work: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let mut took = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        work()?;
        took.push(started.elapsed());
    }
    took.sort();
    Ok(took[ROUNDS / 2])
}
