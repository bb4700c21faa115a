"""Ways to break a file of answers, each by itself; none turns one long name into another."""

from __future__ import annotations

import copy
import json
from typing import Any
from xml.etree import ElementTree

import numpy as np

Generator = np.random.Generator
_SPECIAL = (
    *(bytes([code]) for code in (0, 9, 10, 13, 0x1A, 0x1C, 0x7F, 0x80, 0x85, 0xA0, 0xC3, 0xFE, 0xFF)),
    *(b'"', b"'", b",", b";", b"\\", b"{", b"}", b"[", b"]", b"<", b">", b"&", b"=", b"/", b"..", b"%", b"0", b"-"),
    *("\ufeff".encode(), "\u2028".encode(), "\u202e".encode(), b"\\ud800", b"\\u0000", b"1e999", b"NaN", b"]]>"),
)
_LONGEST_SPAN = 10  # bytes: shorter than any name, so that no span joins one sample to another's class


def flip(data: bytes, rng: Generator) -> bytes:
    place = int(rng.integers(len(data)))
    return data[:place] + bytes([data[place] ^ (1 << int(rng.integers(8)))]) + data[place + 1 :]


def insert(data: bytes, rng: Generator) -> bytes:
    place = int(rng.integers(len(data) + 1))
    return data[:place] + _SPECIAL[int(rng.integers(len(_SPECIAL)))] + data[place:]


def delete(data: bytes, rng: Generator) -> bytes:
    place, length = int(rng.integers(len(data))), int(rng.choice([1, 1, 1, 2, _LONGEST_SPAN]))
    return data[:place] + data[place + length :]


def truncate(data: bytes, rng: Generator) -> bytes:
    return data[: int(rng.integers(len(data)))]


def behead(data: bytes, rng: Generator) -> bytes:
    return data[int(rng.integers(len(data))) :]


def swap_spans(data: bytes, rng: Generator) -> bytes:
    length = int(rng.integers(1, _LONGEST_SPAN))
    one, other = sorted(int(rng.integers(len(data) - length)) for _ in range(2))
    other = max(other, one + length)
    return (
        data[:one]
        + data[other : other + length]
        + data[one + length : other]
        + data[one : one + length]
        + (data[other + length :])
    )


def duplicate_span(data: bytes, rng: Generator) -> bytes:
    start, length = int(rng.integers(len(data))), int(rng.integers(1, _LONGEST_SPAN))
    place = int(rng.integers(len(data)))
    return data[:place] + data[start : start + length] + data[place:]


def move_lines(data: bytes, rng: Generator) -> bytes:
    """Swap two lines, or write one twice, or leave one out: in every format here, a line is an answer or a frame."""
    lines = data.splitlines(keepends=True)
    one, other = (int(rng.integers(len(lines))) for _ in range(2))
    kind = int(rng.integers(3))
    if kind == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == 1:
        lines.insert(other, lines[one])
    else:
        del lines[one]
    return b"".join(lines)


def recode(data: bytes, rng: Generator) -> bytes:
    names = (
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-8-sig",
        "cp1252",
        "latin-1",
        "cp437",
        "mac-roman",
        "utf-32",
        "utf-7",
    )
    return data.decode().encode(names[int(rng.integers(len(names)))], errors="replace")


def replace_all(data: bytes, rng: Generator) -> bytes:
    pairs = ((",", ";"), (",", "\t"), (";", ","), ("\n", "\r\n"), ("\n", "\r"), ("\n", "\n\n"), ("\n", ""), ('"', "'"))
    more = ((" ", "\u00a0"), (".", ","), ("_", "-"), ("e", "E"), ("a", ""), ("/", "\\"), ("0", "O"), ("1", "1e999"))
    old, new = [*pairs, *more][int(rng.integers(16))]
    return data.replace(old.encode(), new.encode())


BYTES = (
    flip,
    flip,
    insert,
    insert,
    delete,
    truncate,
    behead,
    swap_spans,
    duplicate_span,
    move_lines,
    recode,
    replace_all,
)
_VALUES: tuple[Any, ...] = (
    None,
    0,
    -1,
    1.5,
    1e308,
    True,
    False,
    "",
    " ",
    "x",
    [],
    {},
    [[]],
    [None],
    {"": None},
    10**400,
)


def edit_json(data: bytes, rng: Generator) -> bytes:
    """Remove a key or an element, change a value's kind, wrap a value deeply, or write a key otherwise."""
    text = data.decode()
    by_line = text.startswith("{") and '"data_row"' in text
    content = [json.loads(line) for line in text.splitlines()] if by_line else json.loads(text)
    content = copy.deepcopy(content)
    holders = list(_holders(content))
    holder, key = holders[int(rng.integers(len(holders)))]
    kind = int(rng.integers(5))
    if kind == 0:
        del holder[key]
    elif kind == 1:
        for _ in range(int(rng.choice([1, 2, 50]))):
            holder[key] = [holder[key]] if rng.integers(2) else {"value": holder[key]}
    elif kind == 2 and isinstance(holder, dict):
        holder[str(key).upper()] = holder.pop(key)
    else:
        holder[key] = copy.deepcopy(_VALUES[int(rng.integers(len(_VALUES)))])
    if by_line and isinstance(content, list):
        return "".join(json.dumps(one) + "\n" for one in content).encode()
    return json.dumps(content).encode()


def _holders(content: Any) -> Any:
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in pairs:
        yield content, key
        yield from _holders(value)


def edit_xml(data: bytes, rng: Generator) -> bytes:
    """Remove an element or attribute, rename one, wrap one deeply, or empty an attribute."""
    root = ElementTree.fromstring(data)
    parents = [(parent, child) for parent in root.iter() for child in parent]
    parent, child = parents[int(rng.integers(len(parents)))]
    kind, names = int(rng.integers(5)), sorted(child.attrib)
    name = names[int(rng.integers(len(names)))]
    if kind == 0:
        parent.remove(child)
    elif kind == 1:
        del child.attrib[name]
    elif kind == 2:
        child.tag = ("track", "meta", "box", "TAG", "images")[int(rng.integers(5))]
    elif kind == 3:
        child.attrib[name] = ("", " ", "\u202e", "x" * 10_000, "../../etc")[int(rng.integers(5))]
    else:
        place = list(parent).index(child)
        parent.remove(child)
        for _ in range(int(rng.choice([1, 3, 200]))):
            outer = ElementTree.Element("image", {"name": "wrapped"})
            outer.append(child)
            child = outer
        parent.insert(place, child)
    return ElementTree.tostring(root, encoding="utf-8")
