//! A line for whoever develops or runs the plugin. Hosts cut lines at 1,024 bytes and drop what
//! goes beyond 64 KiB in a call. Keep personal data out of them.

/// What an author wants to see while developing.
pub fn debug(message: &str) {
    emit(Level::Debug, message);
}

/// What is worth knowing.
pub fn info(message: &str) {
    emit(Level::Info, message);
}

/// What is odd.
pub fn warn(message: &str) {
    emit(Level::Warn, message);
}

/// What is wrong.
pub fn error(message: &str) {
    emit(Level::Error, message);
}

/// Has panics report themselves before they trap. A native test has a better hook already.
pub(crate) fn report_panics() {
    #[cfg(all(target_arch = "wasm32", feature = "std", feature = "panic-report"))]
    std::panic::set_hook(std::boxed::Box::new(|panic| report(panic)));
}

/// What a panic says and where it was.
#[cfg(all(target_arch = "wasm32", feature = "panic-report"))]
pub(crate) fn report(panic: &dyn core::fmt::Display) {
    emit(Level::Panic, &alloc::format!("{panic}"));
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::scorer::crm::plugin::diag::{Level, emit};

#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// In a native test, lines go to the error stream.
#[cfg(not(target_arch = "wasm32"))]
fn emit(level: Level, message: &str) {
    use std::io::Write as _;
    // A line that can't be written is lost, as it would be in a host that logs nothing.
    let _ = writeln!(std::io::stderr(), "{level:?}: {message}");
}
