//! Giving memory back to the kernel. Beside `timex` of the metrics, the one module with `unsafe`.

/// To be called when a job is over: a plan of a large catalog leaves megabytes of free chunks in
/// the allocator, and an agent lies idle for most of its life.
#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "malloc_trim is a C function; nothing safe wraps it"
)]
pub(crate) fn trim() {
    // SAFETY: it takes a number and touches nothing but the allocator's own free lists, under the
    // allocator's own locks (malloc_trim(3): MT-Safe).
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn trim() {}
