"""What the kernel says about a process: the truth that the server's own numbers are held against."""

import ctypes
import os
import socket
import struct
from pathlib import Path

LIBC = ctypes.CDLL(None)
ESTABLISHED, LISTEN = b"01", b"0A"
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def descriptors(pid):
    """How many descriptors the process has open."""
    folder = f"/proc/{pid}/fd"
    # Linux 6.2 and later count them by themselves, all at one moment.
    return os.stat(folder).st_size or len(os.listdir(folder))


def sockets_of(pid, port):
    """How many accepted sockets of the local TCP port the process holds.

    A connection that waits in the backlog has no inode yet and is not counted, nor is one whose
    descriptor is closed while the kernel still says goodbye.
    """
    return len(_connection_inodes(port) & _socket_inodes(pid))


def sockets_to(pid, port):
    """How many established connections to a TCP port the process holds, as its client."""
    return len(_connection_inodes(port, remote=True) & _socket_inodes(pid))


def threads_of(pid):
    """What each thread of the process does: its name, its state, and where in the kernel it waits."""
    def told(task, file):
        try:
            return (task / file).read_text().strip()
        except OSError:
            return "?"

    tasks = Path(f"/proc/{pid}/task").glob("*")
    threads = [
        " ".join((told(task, "comm"), told(task, "stat").rpartition(")")[2][:2].strip(),
                  told(task, "wchan"), told(task, "syscall").partition(" ")[0]))
        for task in tasks
    ]
    return f"threads: {', '.join(sorted(threads))}"


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


def give_up_reading_all():
    """Takes from this process what lets root read files against their permissions, for good."""
    if os.geteuid() == 0:
        drop, capabilities = 24, (1, 2)  # PR_CAPBSET_DROP of CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        for capability in capabilities:
            if LIBC.prctl(drop, capability, 0, 0, 0):
                raise OSError("the capability stays")


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


def _connection_inodes(port, remote=False):
    """Of the listener's side, or of the clients': a set, because the kernel may show a connection
    twice while others come and go.
    """
    suffix, inodes = b":%04X" % port, set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_bytes().splitlines():
            # Tables have tens of thousands of lines after a storm, nearly all of other ports.
            if suffix in line:
                row = line.split()
                wanted = row[3] == ESTABLISHED if remote else row[3] != LISTEN
                if row[2 if remote else 1].endswith(suffix) and wanted:
                    inodes.add(row[9].decode())
    return inodes
