//! A listening TCP socket and its options.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, TcpKeepalive, Type};
use wharf_pool::config::{ByteSize, Count};

wharf_pool::settings! {
    /// What a listener asks of the kernel for itself and its connections.
    pub struct TcpSettings, TcpPatch {
        /// Connections that may wait for their accept; the kernel's `somaxconn` caps it.
        backlog: Count = DEFAULT_BACKLOG, NextConnection;
        /// Whether small writes are sent at once instead of collected.
        nodelay: bool = true, NextConnection;
        /// Idle time after which the kernel probes the peer; then every 10 s, three times.
        keep_alive: Option<Duration> = Some(Duration::from_secs(30)), NextConnection;
        /// How long sent bytes may stay unacknowledged before the kernel gives the peer up.
        user_timeout: Option<Duration> = Some(Duration::from_secs(30)), NextConnection;
        /// How many unsent bytes of one connection the kernel takes; less shows a slow reader
        /// earlier, more costs fewer wake-ups of large responses.
        send_low_water: ByteSize = ByteSize::kib(64), NextConnection;
    }
}

const DEFAULT_BACKLOG: Count = match Count::new(4096) {
    Some(count) => count,
    // Evaluated by the compiler.
    None => unreachable!(),
};

/// Between probes of a silent peer, and how many of them.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Binds and listens.
pub(crate) fn bind(address: SocketAddr, settings: &TcpSettings) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Connections of a former process in TIME_WAIT do not keep the address.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // "[::]" is IPv6 only everywhere; an operator who wants both writes both.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    adopt(socket.into(), settings)
}

/// Has the kernel drop every SYN for a listening socket, so that it can be emptied and closed without
/// a handshake ending in between: that connection would be reset, though nobody refused it. A dropped
/// SYN is sent again a second later, and refused then.
///
/// Connections that are accepted later inherit the filter, and see no SYN.
pub(crate) fn refuse_handshakes(listener: &TcpListener) -> io::Result<()> {
    // Classic BPF over the TCP header (bpf(4), RFC 9293 3.1): byte 13 has the flags, bit 1 is SYN.
    let program = [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 0x02),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    SockRef::from(listener).attach_filter(&program)
}

/// `BPF_LD | BPF_B | BPF_ABS`, `BPF_JMP | BPF_JSET | BPF_K` and `BPF_RET | BPF_K` of
/// `<linux/bpf_common.h>`.
const LOAD_BYTE: u16 = 0x30;
const JUMP_IF_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Gives a bound socket our options. Linux hands them on to the sockets that it accepts.
pub(crate) fn adopt(listener: TcpListener, settings: &TcpSettings) -> io::Result<TcpListener> {
    let socket = SockRef::from(&listener);
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(settings.nodelay)?;
    match settings.keep_alive {
        Some(idle) => {
            let keep_alive = TcpKeepalive::new()
                .with_time(idle)
                .with_interval(PROBE_INTERVAL)
                .with_retries(PROBES);
            socket.set_tcp_keepalive(&keep_alive)?;
        }
        None => socket.set_keepalive(false)?,
    }
    socket.set_tcp_user_timeout(settings.user_timeout)?;
    let low_water = u32::try_from(settings.send_low_water.get()).unwrap_or(u32::MAX);
    socket.set_tcp_notsent_lowat(low_water)?;
    // On a socket that listens already this only changes the backlog.
    socket.listen(i32::try_from(settings.backlog.get()).unwrap_or(i32::MAX))?;
    Ok(listener)
}
