"""Many peers at once, and something that watches meanwhile."""

import contextlib
import errno
import multiprocessing
import os
import selectors
import socket
import threading
import time

from .kernel import reset_on_close

FORK = multiprocessing.get_context("fork")


class Sampler:
    """Calls `look` in a process of its own every so often; `values` has what it saw, at the end.

    A process, because a thread would be held up by whatever else the test does; a `punctual` one
    goes before all others where this user may ask for it. What `look` does is short, then.
    """

    def __init__(self, look, every=0.001, longest=120.0, punctual=False):
        self.look, self.every, self.longest, self.punctual = look, every, longest, punctual
        self.values = []
        self.seconds = 0.0

    def __enter__(self):
        self.stop = FORK.Event()
        self.ours, theirs = FORK.Pipe()
        self.process = FORK.Process(target=self._run, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        assert self.ours.poll(10) and self.ours.recv() == "ready"
        return self

    def __exit__(self, *_):
        self.stop.set()
        assert self.ours.poll(10), "the sampler does not answer"
        self.values, self.seconds = self.ours.recv()
        self.process.join(5)
        if isinstance(self.values, Exception):
            raise self.values

    @property
    def per_second(self):
        return len(self.values) / self.seconds

    def _run(self, pipe):
        values = []
        if self.punctual:
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        began = due = time.monotonic()
        try:
            values.append(self.look())
            pipe.send("ready")
            while not self.stop.is_set() and (now := time.monotonic()) - began < self.longest:
                values.append(self.look())
                # A look that was late is not made up for by two at once.
                due = max(due + self.every, now + self.every / 2)
                time.sleep(max(0.0, due - time.monotonic()))
        except Exception as error:  # told where somebody reads it
            values = error
        pipe.send((values, time.monotonic() - began))
        pipe.close()
        os._exit(0)


class Crowd:
    """Sockets that were connected all at once, and what each has received."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.received = {}
        self.ended = {}  # socket -> "fin" or "rst"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in list(self.received):
            sock.close()
        self.selector.close()

    def serve(self, seconds, until=lambda: False):
        """Reads whatever comes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not until():
            for key, events in self.selector.select(min(left, 0.05)):
                if events & selectors.EVENT_WRITE:
                    self._connected(key)
                elif events & selectors.EVENT_READ:
                    self._readable(key.fileobj)

    def answered(self, status):
        """The open sockets that have an answer of that status."""
        mark = f"HTTP/1.1 {status} ".encode()
        return [s for s, got in self.received.items() if mark in got and s not in self.ended]

    def leave(self, sock, reset=False):
        """Closes one of them."""
        if reset:
            reset_on_close(sock)
        if sock not in self.ended:
            self.selector.unregister(sock)
        del self.received[sock]
        self.ended.pop(sock, None)
        sock.close()

    def _connected(self, key):
        sock, first = key.fileobj, key.data
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            if error:
                raise OSError(error, os.strerror(error))
            sock.send(first)
            self.selector.modify(sock, selectors.EVENT_READ)
        except OSError:
            self._end(sock, "rst")

    def _readable(self, sock):
        try:
            data = sock.recv(65536)
        except ConnectionError:
            return self._end(sock, "rst")
        except BlockingIOError:
            return None
        if not data:
            return self._end(sock, "fin")
        self.received[sock] += data
        return None

    def _end(self, sock, how):
        self.selector.unregister(sock)
        self.ended[sock] = how


def connect_many(address, count, first=b"", sources=("127.0.0.1",)):
    """Begins `count` connections at once; each sends `first` when it is there."""
    crowd = Crowd()
    for n in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((sources[n % len(sources)], 0))
        code = sock.connect_ex(address)
        assert code in (0, errno.EINPROGRESS), os.strerror(code)
        crowd.received[sock] = b""
        crowd.selector.register(sock, selectors.EVENT_WRITE, first)
    return crowd


def in_threads(count, work, seconds, grace=30):
    """Calls `work(n, still)` in that many threads; `still()` says whether there is time left.

    What has begun by then has `grace` seconds to end.

    Returns what they returned. The first exception is raised, and ends the time of the others.
    """
    until = time.monotonic() + seconds
    results, errors = [], []

    def run(n):
        try:
            results.append(work(n, lambda: not errors and time.monotonic() < until))
        except Exception as error:  # raised below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(until + grace - time.monotonic())
        assert not thread.is_alive(), "a client hangs"
    if errors:
        raise errors[0]
    return results
