//! What the dearest files cost that are taken: each is as large as the limits on work allow.
//! `cargo bench -p crm-plugins --bench dear`, on Linux, or with a name for one of them alone, which then also says how much
//! memory the process had at most.

#![allow(clippy::print_stdout, reason = "a report is printed")]

#[path = "../tests/support/dear.rs"]
mod dear;

/// What files are made with.
mod support {
    pub(crate) const SCORER: &str = "crm:plugin/scorer@0.1.0";
    pub(crate) const SCORER_MANIFEST: &str =
        r#"{"api":"0.1","name":"dear","version":"1","outputs":[{"name":"score","max":1}]}"#;
}

use crm_plugins::{Host, Limits};
use dear::{Module, NOTHING, OWN, body, repeat, with};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    for (name, file) in files().into_iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)) {
        let host = Host::new(Limits::default())?;
        let before = processor_seconds();
        let outcome = host.load(&file).map_or_else(|refusal| refusal.to_string(), |_| "taken".to_owned());
        let took = processor_seconds() - before;
        println!("{name}: {} bytes, {took:.2} s of the processor, {outcome}; {}", file.len(), peak());
    }
    Ok(())
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let reads = |count: usize| (0..count).flat_map(|one| [with(0x20, one), vec![0x1a]].concat()).collect::<Vec<u8>>();
    let plain = |function: &[u8], count: usize| Module::new(&[]).fill(NOTHING, function, 4 << 20, count).encode();
    let again = |code: &[u8], bytes: usize| body(1, &[vec![0x20, 0], repeat(code, bytes), vec![0x1a]].concat());
    let wide = |width: usize, bytes: usize, count: usize| {
        let loops = [[0x41, 0].repeat(width), repeat(&[3, OWN as u8, 0x0b], bytes), vec![0x1a; width]].concat();
        Module::new(&[(width, width)]).fill(NOTHING, &body(0, &loops), 4 << 20, count).encode()
    };
    let past = |code: &[u8], bytes: usize| body(2_000, &[repeat(code, bytes), reads(2_000)].concat());
    vec![
        ("loops", plain(&body(0, &repeat(&[3, 0x40, 0x0b], 9_543)), 10)),
        ("loops-of-16-values", wide(16, 2_675, 10)),
        ("loops-of-100-values", wide(100, 958, 11)),
        ("loops-past-variables", plain(&past(&[3, 0x40, 0x20, 0, 0x0d, 0, 0x0b], 1_709), 9)),
        ("conditions-past-variables", plain(&past(&[0x20, 0, 4, 0x40, 0x0b], 9_543), 10)),
        ("truncations", plain(&again(&[0xb2, 0xa8], 106_565), 10)),
        ("tables", plain(&again(&[0x25, 0, 0xd1], 13_837), 10)),
        ("growth", plain(&again(&[0x40, 0], 9_114), 10)),
    ]
}

/// User and system time of this process; Linux counts them in hundredths of a second.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// How much memory the process had at most, so far.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}
