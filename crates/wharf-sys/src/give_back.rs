//! [`give_back()`]: memory that is free, back to the kernel.

/// Gives whole pages of the heap that are free back to the kernel. glibc does so
/// by itself only at the end of its heaps: what was freed below something that lives stays resident.
///
/// Whoever allocates waits meanwhile: about a millisecond for each 10 MiB.
///
/// With another C library nothing happens.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn give_back() {
    // SAFETY: malloc_trim(3) takes a number, may be called by any thread at any time, takes the
    // allocator's own locks, and moves nothing that is allocated.
    // It returns whether there were any, which nobody needs to know.
    unsafe { libc::malloc_trim(0) };
}

/// With another C library nothing happens.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
