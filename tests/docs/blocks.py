"""The documents for people, and the fenced blocks in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])

_FENCE = re.compile(r"^```(\w*)$")
_REMARK = re.compile(r"^<!-- test: (.*) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    path: Path
    line: int
    language: str
    lines: list[str] = field(repr=False)
    remark: str | None = None  # `<!-- test: ... -->` on the line before: how the tests treat it
    prints: str | None = None  # the block that follows, where it shows what this one prints

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    @property
    def name(self) -> str:
        """Where a reader finds it."""
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block is, where its first line names one: `# review.yaml`."""
        match = re.fullmatch(r"# ([\w.-]+\.(?:py|yaml|toml))(?: .*)?", self.lines[0]) if self.lines else None
        return match[1] if match else None


def blocks(*languages: str, paths: list[Path] | None = None) -> list[Block]:
    """Every block in one of the languages, in order."""
    return [block for path in paths or DOCUMENTS for block in read(path) if block.language in languages]


def read(path: Path) -> list[Block]:
    """The blocks of a document; one of `text` right behind another is what that one prints."""
    found: list[Block] = []
    for block, follows in _fenced(path):
        if follows and block.language in ("text", "json"):
            before = found.pop()
            found.append(Block(before.path, before.line, before.language, before.lines, before.remark, block.text))
        else:
            found.append(block)
    return found


def _fenced(path: Path) -> Iterator[tuple[Block, bool]]:
    """Each block, and whether it stands right behind the one before."""
    lines = path.read_text().splitlines()
    place, last_end = 0, -9
    while place < len(lines):
        opening = _FENCE.match(lines[place])
        if opening is None:
            place += 1
            continue
        end = lines.index("```", place + 1)
        remark = _REMARK.match(lines[place - 1]) if place else None
        block = Block(path, place + 1, opening[1], lines[place + 1 : end], remark[1] if remark else None)
        yield block, place - last_end <= 2
        place = last_end = end
        place += 1
