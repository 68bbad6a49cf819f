//! What the standard library brings otherwise: memory, and what happens on a panic.

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(panic: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "panic-report")]
    crate::diag::report(panic);
    #[cfg(not(feature = "panic-report"))]
    let _ = panic;
    core::arch::wasm32::unreachable()
}
