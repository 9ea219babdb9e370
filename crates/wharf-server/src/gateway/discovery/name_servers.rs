//! [`name_servers`]: whom the system asks for names.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const FILE: &str = "/etc/resolv.conf";

/// Where they listen.
const PORT: u16 = 53;

/// Whom the system asks for names; this machine, where it does not say.
pub(super) fn name_servers() -> Vec<SocketAddr> {
    let read = fs::read_to_string(FILE);
    read_from(&read.unwrap_or_default())
}

fn read_from(file: &str) -> Vec<SocketAddr> {
    let named = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let is = words.next() == Some("nameserver");
        // A zone behind `%` is left out: those are link-local.
        let ip = words.next().and_then(|it| it.parse::<IpAddr>().ok());
        ip.filter(|_| is).map(|ip| SocketAddr::new(ip, PORT))
    };
    let mut servers: Vec<_> = file.lines().filter_map(named).collect();
    if servers.is_empty() {
        // As resolv.conf(5) has it.
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_the_system_reads_them() {
        let file = "# nameserver 9.9.9.9\nsearch a.b\nnameserver 10.0.0.2\n nameserver\t::1 # x\nnameserver fe80::1%eth0\n";
        let told: Vec<_> = read_from(file).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.0.2:53", "[::1]:53"]);
        assert_eq!(read_from("nonsense"), ["127.0.0.1:53".parse().unwrap()]);
    }
}
