"""Pages of the documentation: their blocks of code, tables, headings and links."""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^( *)```(\w*)")
REMARK = re.compile(r"^ *<!-- shown: (.+) -->$")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`]*`")


@dataclass
class Block:
    """A fenced block; `why` says why it is shown and not run, in a comment on the line before it."""

    page: Path
    line: int
    language: str
    text: str
    why: str | None

    def __str__(self):
        return f"{self.page.parent.name}/{self.page.name}:{self.line}"

    def commands(self):
        """Its commands: lines, with those that follow a backslash or stand in open quotes."""
        commands, open_ = [], ""
        for line in self.text.splitlines():
            open_ += line
            bare = re.sub(r"\\.", "", open_)
            if open_.endswith("\\") or bare.count("'") % 2:
                open_ += "\n"
            elif open_.strip() and not open_.lstrip().startswith("#"):
                commands.append(open_)
                open_ = ""
            else:
                open_ = ""
        return commands


class Page:
    """One file of Markdown."""

    def __init__(self, path):
        self.path = Path(path)
        self.lines = self.path.read_text().splitlines()
        self.blocks, self.prose = [], []
        self._read()

    def _read(self):
        block, indent = None, 0
        for number, line in enumerate(self.lines, 1):
            fence = FENCE.match(line)
            if block is None and fence:
                before = REMARK.match(self.lines[number - 2]) if number > 1 else None
                block = Block(self.path, number, fence[2], "", before and before[1])
                indent = len(fence[1])
            elif block and line.strip() == "```":
                self.blocks.append(block)
                block = None
            elif block:
                block.text += line[indent:] + "\n"
            else:
                self.prose.append(line)
        assert block is None, f"{self.path}: a block does not end"

    def links(self):
        """What its links lead to."""
        text = CODE.sub("", "\n".join(self.prose))
        return [target for target in LINK.findall(text)]

    def anchors(self):
        """The names of its headings, as GitHub makes them."""
        names = []
        for line in self.prose:
            if line.startswith("#"):
                text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line.lstrip("#").strip()).lower()
                name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
                names.append(f"{name}-{names.count(name)}" if name in names else name)
        return names

    def tables(self):
        """Heading and cells of each row of its tables, but for those of the first row and the rule."""
        heading, rows, inside = "", [], 0
        for line in self.prose:
            if line.startswith("#"):
                heading = line.lstrip("#").strip()
            inside = inside + 1 if line.startswith("|") else 0
            if inside > 2:
                cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
                rows.append((heading, [cell.strip() for cell in cells]))
        return rows
