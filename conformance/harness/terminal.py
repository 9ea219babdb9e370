"""A terminal with a program on it: what it writes, and a picture of that."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from html import escape

from .server import binary
from .wait import eventually

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """The program on a terminal; `text` is what it wrote, without what steers the terminal."""

    def __init__(self, *arguments, size=(40, 160), cwd=None):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        environment = os.environ | {"TERM": "xterm-256color"}
        self.process = subprocess.Popen([binary(), *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
                                        start_new_session=True, env=environment, cwd=cwd)
        self.raw = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.ours)
        os.close(self.theirs)

    def press(self, keys):
        os.write(self.ours, keys)

    def resize(self, rows, columns):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def read(self, seconds=0.1):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.ours], [], [], left)[0]:
                self.raw += os.read(self.ours, 65536)
        return self.text

    @property
    def text(self):
        # What only moves the cursor leaves a blank as it is.
        words = re.sub(rb"\x1b\[\d+;\d+H", b" ", self.raw)
        return re.sub(rb"\x1b(\[[0-9;?]*[a-zA-Z]|\][^\x07]*\x07|[()].)", b"", words).decode(errors="replace")

    def shows(self, *words, within=10.0):
        def all_there():
            text = self.read()
            return all(word in text for word in words)
        assert eventually(all_there, within), self.text[-3000:]

    def left(self, within=5.0):
        """Waits for the end; the terminal is as it was before. Returns the exit code."""
        until = time.monotonic() + within
        while self.process.poll() is None and time.monotonic() < until:
            self.read(0.05)
        self.read(0.1)
        assert self.process.poll() is not None, "still running"
        assert self.raw.count(ENTER) == self.raw.count(LEAVE) and self.raw.rfind(LEAVE) >= self.raw.rfind(ENTER)
        assert termios.tcgetattr(self.theirs) == self.before, "echo or lines are not as they were"
        return self.process.returncode


# A cell of the picture, and colours by the names that terminals have for them.
WIDTH, HEIGHT = 8.4, 18
COLOURS = {
    "default": "#d5d9e0", "black": "#6b7280", "red": "#f2777a", "green": "#7ec699", "brown": "#e5c07b",
    "blue": "#6ea8e0", "magenta": "#c792ea", "cyan": "#66c7d0", "white": "#ffffff",
}
GROUND = "#11151c"


def picture(raw, size):
    """What a terminal of so many rows and columns shows after these bytes, as SVG."""
    import pyte  # Only pictures need it.

    rows, columns = size
    screen = pyte.Screen(columns, rows)
    pyte.ByteStream(screen).feed(raw)
    drawn = []
    for row in range(rows):
        column = 0
        while column < columns:
            cell, start = screen.buffer[row][column], column
            while column < columns and _same(screen.buffer[row][column], cell):
                column += 1
            text = "".join(screen.buffer[row][at].data for at in range(start, column))
            drawn.append(_run(text, cell, row, start))
    width, height = columns * WIDTH + 24, rows * HEIGHT + 24
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-size="14" '
            f'font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace">\n'
            f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>\n' + "".join(drawn) + "</svg>\n")


def _same(one, other):
    return (one.fg, one.bg, one.bold, one.reverse) == (other.fg, other.bg, other.bold, other.reverse)


def _run(text, cell, row, column):
    """Cells that look the same; each row is as wide as its cells, whatever the font."""
    ink, ground = _colour(cell.fg), _colour(cell.bg) if cell.bg != "default" else GROUND
    ink, ground = (ground, ink) if cell.reverse else (ink, ground)
    x, y, width = 12 + column * WIDTH, 12 + row * HEIGHT, len(text) * WIDTH
    drawn = "" if ground == GROUND else f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{HEIGHT}" fill="{ground}"/>\n'
    if text.strip():
        bold = ' font-weight="bold"' if cell.bold else ""
        drawn += (f'<text x="{x:.1f}" y="{y + 13}" textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs" fill="{ink}"{bold} '
                  f'xml:space="preserve">{escape(text)}</text>\n')
    return drawn


def _colour(name):
    bright = name.removeprefix("bright")
    return COLOURS.get(name) or COLOURS.get(bright) or (f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else COLOURS["default"])
