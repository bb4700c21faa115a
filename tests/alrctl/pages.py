"""What the README and the pages of docs/ hold: commands, pipeline files, links. Nothing here is a test."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_SHELL = {"yaml", "python", "toml", "text"}
"""Kinds of fenced blocks that hold no commands; what is of any other kind, or of none, is read as a shell's."""
PLACEHOLDER = re.compile(r"\.\.\.|\||(?<![\w.])[A-Z]{2,}(?![\w.])|(?<= )[A-Z](?= |$)")


@dataclass(frozen=True)
class Piece:
    """A stretch of a page: `prose`, an `indented` block, or a fenced block by its kind."""

    kind: str
    text: str

    @property
    def commands(self) -> list[str]:
        if self.kind == "prose":
            return [command for command in re.findall(r"`(alrctl [^`]+)`", self.text) if is_whole(command)]
        return [] if self.kind in NO_SHELL else shell_commands(self.text)


@dataclass(frozen=True)
class Page:
    """A page of markdown."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def pieces(self) -> list[Piece]:
        return list(pieces(self.text))

    def blocks(self, kind: str) -> list[str]:
        return [piece.text for piece in self.pieces if piece.kind == kind]

    @cached_property
    def commands(self) -> list[str]:
        """Every command that is there to be typed, in order: of code blocks, and whole ones in running text."""
        return [command for piece in self.pieces for command in piece.commands]

    @cached_property
    def in_text(self) -> list[str]:
        """Those of running text alone."""
        return [command for piece in self.pieces if piece.kind == "prose" for command in piece.commands]

    @cached_property
    def mentions(self) -> list[str]:
        """Whatever is said of the program anywhere: each `alrctl COMMAND`, up to the end of the line or of the code."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        return re.findall(r"(?<![\w/'\".-])alrctl [a-z][a-z-]*(?=[\s`|;:])[^`\n;|]*", _without_plain_words(joined))

    @cached_property
    def links(self) -> list[str]:
        """Where it leads to, but for addresses of the web."""
        found = re.findall(r"\]\(([^)\s]+)\)", "\n".join(self.blocks("prose")))
        return [link for link in found if not link.startswith(("http://", "https://"))]

    @cached_property
    def anchors(self) -> set[str]:
        """What its headings are called in links, as GitHub makes it."""
        headings = re.findall(r"^#+ (.*)$", "\n".join(self.blocks("prose")), flags=re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def pages() -> list[Page]:
    """The README, and every page of docs/."""
    return [Page(ROOT / "README.md"), *(Page(path) for path in sorted((ROOT / "docs").glob("**/*.md")))]


def is_whole(command: str) -> bool:
    """Whether a command in running text can be typed as it stands: with an argument, and without a placeholder."""
    words = command.split()
    return len(words) > 2 and not words[2].startswith("-") and not PLACEHOLDER.search(command)


def shell_commands(text: str) -> list[str]:
    """Return the program's commands in a shell's block: lines continued, loops unrolled, comments left out."""
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"\bfor (\w+) in ([^;\n]*); *do\b(.*?); *done\b", _unrolled, text, flags=re.DOTALL)
    found = []
    for line in text.splitlines():
        words: list[str] = []
        for word in [*_read(line), ";"]:
            if not set(word) <= set(";&|"):
                words.append(word)
                continue
            if "alrctl" in words[:-1]:
                found.append(shlex.join(words[words.index("alrctl") :]))
            words = []
    return found


def _read(line: str) -> list[str]:
    reader = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    reader.whitespace_split = True
    try:
        return list(reader)
    except ValueError:  # an apostrophe
        assert not re.search(r"\balrctl [a-z]", line), f"no shell could read this: {line}"
        return []


def _unrolled(loop: re.Match[str]) -> str:
    name, values, body = loop.groups()
    return "\n".join(re.sub(rf"\${name}\b|\${{{name}}}", value, body) for value in values.split())


def _without_plain_words(text: str) -> str:
    """Take out what is neither code nor within backticks, where `alrctl` is the name of the program and no command."""
    kept = []
    for piece in pieces(text):
        code = (one.replace(" | ", " ") for one in re.findall(r"`[^`\n]+`", piece.text))
        kept += code if piece.kind == "prose" else [piece.text]
    return "\n".join(kept)


def pieces(text: str) -> Iterator[Piece]:
    """Cut a page up."""
    kind, lines, before = "prose", list[str](), ""
    for line in text.splitlines():
        fence, indented = line.startswith("```"), line.startswith("    ")
        if fence:
            yield Piece(kind, "\n".join(lines))
            kind, lines = ("prose" if kind not in ("prose", "indented") else line[3:].strip() or "plain"), []
            before = ""
            continue
        begins = kind == "prose" and indented and not before.strip()
        ends = kind == "indented" and line.strip() and not indented
        if begins or ends:
            yield Piece(kind, "\n".join(lines))
            kind, lines = ("indented" if begins else "prose"), []
        lines.append(line)
        before = line
    yield Piece(kind, "\n".join(lines))
