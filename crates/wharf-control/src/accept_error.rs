//! [`AcceptError`]: what a failed accept means for the listener.

/// What to do about an accept that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever accepts must do something about each"
)]
pub enum AcceptError {
    /// It concerns that one connection, or nothing at all: accept again at once.
    PerConnection,
    /// Descriptors or memory are used up, or the reason is unknown: wait as [`Backoff`] says.
    ///
    /// [`Backoff`]: crate::Backoff
    Exhausted,
    /// The listener is gone: accepting again cannot help.
    Fatal,
}

impl AcceptError {
    /// Judges the number of an operating-system error, as `io::Error::raw_os_error` gives it.
    ///
    /// accept(2) hands on network errors of the connection that it would have returned, and asks to
    /// try again after them. `EOPNOTSUPP` is one of that list, but also what a socket that can
    /// accept nothing says for ever: so it waits, as everything unknown does, for a wait that was not
    /// needed costs 5 ms and one that was missing costs a core. Numbers are known for Linux (the
    /// generic ones: not MIPS, not SPARC), Android and Apple's systems.
    pub fn classify(raw_os_error: Option<i32>) -> Self {
        match raw_os_error {
            Some(errno) if KNOWN.per_connection.contains(&errno) => Self::PerConnection,
            Some(errno) if KNOWN.fatal.contains(&errno) => Self::Fatal,
            Some(_) | None => Self::Exhausted,
        }
    }
}

struct Errnos {
    per_connection: &'static [i32],
    fatal: &'static [i32],
}

const KNOWN: Errnos = if cfg!(target_vendor = "apple") {
    APPLE
} else if cfg!(any(target_os = "linux", target_os = "android")) && !NUMBERS_OF_ITS_OWN {
    LINUX
} else {
    Errnos {
        per_connection: &[],
        fatal: &[],
    }
};

const NUMBERS_OF_ITS_OWN: bool = cfg!(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "mips32r6",
    target_arch = "mips64r6",
    target_arch = "sparc",
    target_arch = "sparc64",
));

/// From `asm-generic/errno-base.h` and `asm-generic/errno.h`.
const LINUX: Errnos = Errnos {
    per_connection: &[
        1,   // EPERM: a firewall rule forbids this connection
        4,   // EINTR
        11,  // EAGAIN: it went away before it was taken
        64,  // ENONET
        71,  // EPROTO
        92,  // ENOPROTOOPT
        100, // ENETDOWN
        101, // ENETUNREACH
        103, // ECONNABORTED
        104, // ECONNRESET
        110, // ETIMEDOUT
        112, // EHOSTDOWN
        113, // EHOSTUNREACH
    ],
    fatal: &[
        9,  // EBADF
        22, // EINVAL: no longer listening
        88, // ENOTSOCK
    ],
};

/// From `sys/errno.h`.
const APPLE: Errnos = Errnos {
    per_connection: &[
        1,   // EPERM
        4,   // EINTR
        35,  // EAGAIN
        42,  // ENOPROTOOPT
        50,  // ENETDOWN
        51,  // ENETUNREACH
        53,  // ECONNABORTED
        54,  // ECONNRESET
        60,  // ETIMEDOUT
        64,  // EHOSTDOWN
        65,  // EHOSTUNREACH
        100, // EPROTO
    ],
    fatal: &[
        9,  // EBADF
        22, // EINVAL
        38, // ENOTSOCK
    ],
};

#[cfg(test)]
mod tests {
    use super::AcceptError;

    #[test]
    fn an_unknown_error_backs_off() {
        assert_eq!(AcceptError::classify(None), AcceptError::Exhausted);
        for errno in [-1, 0, 9_999] {
            assert_eq!(
                AcceptError::classify(Some(errno)),
                AcceptError::Exhausted,
                "{errno}"
            );
        }
    }

    #[test]
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    fn each_kind_of_error_is_told_apart() {
        let per_connection = [1, 4, 11, 64, 71, 92, 100, 101, 103, 104, 110, 112, 113];
        let exhausted = [12, 23, 24, 95, 105]; // ENOMEM, ENFILE, EMFILE, EOPNOTSUPP, ENOBUFS
        let fatal = [9, 22, 88];
        for (errnos, expected) in [
            (&per_connection[..], AcceptError::PerConnection),
            (&exhausted[..], AcceptError::Exhausted),
            (&fatal[..], AcceptError::Fatal),
        ] {
            for &errno in errnos {
                assert_eq!(
                    AcceptError::classify(Some(errno)),
                    expected,
                    "errno {errno}"
                );
            }
        }
    }
}
