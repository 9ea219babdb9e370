"""What the kernel says about a process: the truth that the server's own numbers are held against."""

import os
import socket
import struct
from pathlib import Path

LISTEN = 10
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def descriptors(pid):
    """How many descriptors the process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def sockets_of(pid, port):
    """How many accepted sockets of the local TCP port the process holds.

    A connection that waits in the backlog has no inode yet and is not counted, nor is one whose
    descriptor is closed while the kernel still says goodbye.
    """
    held = _socket_inodes(pid)
    rows = (line.split() for line in _tcp_table())
    return sum(
        1
        for row in rows
        if int(row[1].rpartition(":")[2], 16) == port
        and int(row[3], 16) != LISTEN
        and row[9] in held
    )


def cpu_seconds(pid):
    """Processor time that the process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid):
    """The process's resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def reset_on_close(sock):
    """Makes the close of a socket a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _socket_inodes(pid):
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes


def _tcp_table():
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            next(lines)
            yield from lines
