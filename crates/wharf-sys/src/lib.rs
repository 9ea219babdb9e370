//! What wharf asks of the kernel and of the C library that no safe crate offers.
//!
//! The only crate of the project with unsafe code: one block for sockets here, one in
//! [`give_back`](fn@give_back) for the allocator, one in [`inherited`](fn@inherited) for descriptors.

mod give_back;
mod inherited;

pub use give_back::give_back;
pub use inherited::inherited;

use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Getter, Opcode, ioctl};

/// `SIOCOUTQ` of `<linux/sockios.h>`, the same number as `TIOCOUTQ`.
const SIOCOUTQ: Opcode = 0x5411;

/// `SIOCOUTQNSD` of the same.
const SIOCOUTQNSD: Opcode = 0x894B;

/// How many bytes that were written to a connected TCP socket its peer has not acknowledged: those
/// on the way and those not sent yet (tcp(7), `SIOCOUTQ`). What has been written less this is what
/// the peer's kernel has taken.
///
/// # Errors
///
/// What the kernel says of a socket that is none, or that listens.
pub fn unacknowledged(socket: impl AsFd) -> io::Result<u64> {
    length::<SIOCOUTQ>(socket)
}

/// How many bytes that were written to a connected TCP socket have not been sent (`SIOCOUTQNSD`).
/// If they are all that is not acknowledged, the peer's window is closed: it lives and takes nothing.
///
/// # Errors
///
/// What the kernel says of a socket that is none, or that listens.
pub fn unsent(socket: impl AsFd) -> io::Result<u64> {
    length::<SIOCOUTQNSD>(socket)
}

/// Asks with one of the two codes above, which both answer with a length.
fn length<const CODE: Opcode>(socket: impl AsFd) -> io::Result<u64> {
    const { assert!(CODE == SIOCOUTQ || CODE == SIOCOUTQNSD) };
    // SAFETY: the codes that the line above allows take a pointer to a C int, write one and read
    // nothing (tcp(7)); `Getter` gives them room for exactly that, and `AsFd` a descriptor that is
    // open for the call.
    let bytes = unsafe { ioctl(socket, Getter::<CODE, std::ffi::c_int>::new()) }?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::{unacknowledged, unsent};

    #[test]
    fn what_the_peer_does_not_read_stays_unacknowledged_until_it_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut ours, _) = listener.accept().unwrap();
        assert_eq!(unacknowledged(&ours).unwrap(), 0);
        ours.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(n) = ours.write(&[0; 8192]) {
            written += n as u64;
        }
        let waiting = unacknowledged(&ours).unwrap();
        assert!(waiting > 0 && waiting <= written, "{waiting} of {written}");
        assert!(unsent(&ours).unwrap() <= waiting);
        let mut taken = vec![0; usize::try_from(written).unwrap()];
        peer.read_exact(&mut taken).unwrap();
        // The last acknowledgement may be delayed by the peer's kernel for 40 ms.
        ours.set_nonblocking(false).unwrap();
        for _ in 0..200 {
            if unacknowledged(&ours).unwrap() == 0 {
                return;
            }
            // A moment that needs no sleep: one byte back and forth.
            peer.write_all(b"x").unwrap();
            ours.read_exact(&mut [0]).unwrap();
        }
        panic!(
            "{} bytes are not acknowledged",
            unacknowledged(&ours).unwrap()
        );
    }
}
