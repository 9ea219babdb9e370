//! Descriptors that the process was started with.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::{FdFlags, fcntl_setfd};

/// The first descriptor that a service manager hands in (`sd_listen_fds(3)`).
const FIRST: RawFd = 3;

/// `O_CLOEXEC`, as `proc_pid_fdinfo(5)` shows it.
const CLOSED_BY_EXEC: u32 = 0o2_000_000;

/// One caller at a time, from the look to the mark.
static LOOKING: Mutex<()> = Mutex::new(());

/// Takes the `count` descriptors from number 3 on that whoever started the process has left open for it.
///
/// Each can be taken once: from then on an exec closes it, as it does everything that Rust opens.
///
/// # Errors
///
/// One of them is not open, or was not inherited; or `/proc` is not there to tell. None is taken then.
pub fn inherited(count: u16) -> io::Result<Vec<OwnedFd>> {
    let _alone = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
    let numbers = FIRST..FIRST + RawFd::from(count);
    for number in numbers.clone() {
        was_inherited(number)?;
    }
    numbers.map(take).collect()
}

/// Whether the descriptor is open and an exec would leave it so.
fn was_inherited(number: RawFd) -> io::Result<()> {
    let told = fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
    let told = told.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("descriptor {number} is not open: {error}"),
        )
    })?;
    let flags = told.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    match flags {
        Some(flags) if flags & CLOSED_BY_EXEC == 0 => Ok(()),
        _ => Err(io::Error::other(format!(
            "descriptor {number} is this process's own"
        ))),
    }
}

fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: it is open, and nobody in this process owns it: std, tokio and rustix have an exec close
    // all that they open, and this one it would not, so it was there before the program began. The
    // line below changes that, and the caller holds the lock from the look to here, so that it is taken
    // once. The program has no foreign code that opens descriptors of its own.
    let taken = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(taken.as_fd(), FdFlags::CLOEXEC)?;
    debug_assert_eq!(taken.as_raw_fd(), number);
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_has_opened_itself_is_not_handed_out() {
        let own = fs::File::open("/proc/self/stat").unwrap();
        let refused = was_inherited(own.as_raw_fd()).unwrap_err();
        assert!(refused.to_string().contains("own"), "{refused}");
        // As it would be, had it been there before the program.
        fcntl_setfd(&own, FdFlags::empty()).unwrap();
        assert!(was_inherited(own.as_raw_fd()).is_ok());
    }

    #[test]
    fn what_is_not_open_is_told() {
        assert!(was_inherited(RawFd::MAX).is_err());
        assert!(inherited(0).unwrap().is_empty());
    }
}
