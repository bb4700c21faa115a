"""How valid files are spoiled: blindly, as text, as a tree of values, and by what each format is made of."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

Mutation = Callable[[random.Random, bytes], bytes]

_NUMBERS = (0, 1, -1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
_WORDS = (
    *("0", "-1", "1e999", "-1e999", "nan", "NaN", "Infinity", "null", "true", "9" * 400, "9" * 5000, "0x10", "1_000"),
    *("٣", "1,5", "", " ", '"', "'", '""', "\0", "\ufeff", "\u2028", "\x85", "\x1b[31m", "\r", "\n", "\t", ",", ";"),
    *("sep=;\n", "=1+1", "@SUM(1)", "<script>alert(1)</script>", "../../etc/passwd", "/etc/passwd", "a" * 70_000),
    *("\\ud800", "\\u0000", "\\", "[", "]", "{", "}", ":", "-", "&", "*", "#", "%", "|", ">", "`", "~", "{}", "[]"),
)
_RAW = (b"\xed\xa0\x80", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xf4\x90\x80\x80", b"\x00", b"PAR1", b"PK\x03\x04")
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 10**12, 2**63, 10**30, 1e308, 0.5, "", " ", "x", "0", "-1", "\ud800", "\0", "a" * 5000),
    *([], {}, [[]], [None], {"": None}, [{}], ["x", "y"], {"choices": ["x"]}, "nan", "../../x", "F64", "U8", "BOOL"),
)


def blind(rng: random.Random, content: bytes) -> bytes:
    """Spoil bytes, one to four times."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        content = rng.choice(_BLIND)(rng, content)
    return content


def _place(rng: random.Random, content: bytes) -> int:
    """Return a place, more often one near the beginning or the end, where most formats keep what matters."""
    near = min(len(content), rng.choice((16, 64, 512, len(content), len(content))))
    place = rng.randrange(near) if near else 0
    return place if rng.random() < 0.65 else max(0, len(content) - 1 - place)


def _flipped(rng: random.Random, content: bytes) -> bytes:
    place = _place(rng, content)
    return (
        content[:place]
        + bytes(byte ^ 1 << rng.randrange(8) for byte in content[place : place + 1])
        + content[place + 1 :]
    )


def _numbered(rng: random.Random, content: bytes) -> bytes:
    width, place = rng.choice((1, 2, 4, 8)), _place(rng, content)
    number = (rng.choice(_NUMBERS) if rng.random() < 0.7 else rng.getrandbits(64)) % (1 << 8 * width)
    return content[:place] + number.to_bytes(width, rng.choice(("little", "big"))) + content[place + width :]


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: _place(rng, content)]


def _without(rng: random.Random, content: bytes) -> bytes:
    place = _place(rng, content)
    return content[:place] + content[place + rng.choice((1, 2, 4, 8, 64, 512)) :]


def _twice(rng: random.Random, content: bytes) -> bytes:
    place, length = _place(rng, content), rng.choice((1, 4, 16, 256, 4096))
    return (
        content[: place + length]
        + content[place : place + length] * rng.choice((1, 1, 2, 30))
        + content[place + length :]
    )


def _with_raw(rng: random.Random, content: bytes) -> bytes:
    place = _place(rng, content)
    return content[:place] + rng.choice((*_RAW, rng.randbytes(8), b"\0" * 64)) + content[place:]


def _moved(rng: random.Random, content: bytes) -> bytes:
    a, b, length = _place(rng, content), _place(rng, content), rng.choice((1, 8, 64, 512))
    return content[:b] + content[a : a + length] + content[b + length :]


_BLIND: tuple[Mutation, ...] = (_flipped, _flipped, _numbered, _numbered, _cut, _without, _twice, _with_raw, _moved)


def text(rng: random.Random, content: bytes) -> bytes:
    """Spoil a text: its words and numbers, its lines, its encoding."""
    if rng.random() < 0.2:
        return blind(rng, content)
    found = content.decode("utf-8", errors="surrogateescape")
    for _ in range(rng.choice((1, 1, 2, 3))):
        found = rng.choice(_TEXT)(rng, found)
    try:
        return found.encode(
            rng.choice(("utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32"))
        )
    except UnicodeEncodeError:
        return found.encode("utf-8", errors="surrogateescape")


def _word(rng: random.Random, found: str) -> str:
    place = rng.randrange(len(found) + 1)
    return found[:place] + rng.choice(_WORDS) + found[place:]


def _replaced(rng: random.Random, found: str) -> str:
    words = list(re.finditer(r"[\w.]+", found))
    if not words:
        return found
    one = rng.choice(words)
    return found[: one.start()] + rng.choice((*_WORDS, rng.choice(words)[0])) + found[one.end() :]


def _lines(rng: random.Random, found: str) -> str:
    lines = found.splitlines(keepends=True) or [""]
    place = rng.randrange(len(lines))
    act = rng.choice(("remove", "twice", "many", "shuffle", "join", "ends"))
    if act == "ends":
        return rng.choice(("\r\n", "\r", "\n\n", "\x0b")).join(found.split("\n"))
    if act == "shuffle":
        rng.shuffle(lines)
    else:
        times = {"remove": 0, "twice": 2, "many": 200, "join": 1}[act]
        lines[place : place + 1] = [lines[place].rstrip("\n") if act == "join" else lines[place]] * times
    return "".join(lines)


def _nested(rng: random.Random, found: str) -> str:
    opening, closing = rng.choice(
        (("[", "]"), ('{"a":', "}"), ("<a>", "</a>"), ("- ", ""), ("? ", ""), ("(", ")"), ('"', '"'))
    )
    deep, place = rng.choice((10, 200, 2000, 50_000)), rng.randrange(len(found) + 1)
    return found[:place] + opening * deep + closing * rng.choice((deep, 0)) + found[place:]


def _wide(rng: random.Random, found: str) -> str:
    place = rng.randrange(len(found) + 1)
    return (
        found[:place]
        + rng.choice((",", ";", "\t", "a,", '""', " ", "\n", "é")) * rng.choice((100, 20_000))
        + found[place:]
    )


_TEXT: tuple[Callable[[random.Random, str], str], ...] = (
    _word,
    _word,
    _replaced,
    _replaced,
    _replaced,
    _lines,
    _lines,
    _nested,
    _wide,
)


def tree(rng: random.Random, value: Any) -> Any:
    """Spoil a tree of lists and mappings in one place."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        act = rng.random()
        if act < 0.1:
            return {name: one for name, one in value.items() if name != key}
        if act < 0.15:
            return value | {rng.choice(("x", "", "label", "sample_id", "\ud800", "annotations")): rng.choice(_VALUES)}
        return value | {key: tree(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        place, act = rng.randrange(len(value)), rng.random()
        if act < 0.15:
            return value[:place] + value[place:][1:] + [value[place]] * rng.choice((0, 2))
        return [*value[:place], tree(rng, value[place]), *value[place + 1 :]]
    return rng.choice(_VALUES)


def json_text(rng: random.Random, content: bytes) -> bytes:
    """Spoil JSON, or NDJSON a line at a time."""
    if rng.random() < 0.35:
        return text(rng, content)
    if content.lstrip().startswith(b"{") and b"}\n{" in content:
        lines = [json.loads(line) for line in content.splitlines() if line.strip()]
        return "".join(json.dumps(one) + "\n" for one in _several(rng, lines)).encode()
    return json.dumps(_several(rng, json.loads(content))).encode()


def _several(rng: random.Random, value: Any) -> Any:
    for _ in range(rng.choice((1, 1, 2, 4))):
        value = tree(rng, value)
    return value if isinstance(value, list | dict) else [value]


def xml(rng: random.Random, content: bytes) -> bytes:
    """Spoil XML, now and then with what XML can be made to do."""
    if rng.random() < 0.7:
        return text(rng, content)
    body = content.partition(b"?>")[2]
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    heads = (
        f'<!DOCTYPE annotations [<!ENTITY e0 "lol">{levels}]>',
        '<!DOCTYPE annotations [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE annotations SYSTEM "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE annotations [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
        '<?xml-stylesheet href="file:///etc/passwd"?>',
    )
    coding = rng.choice(("utf-8", "utf-16", "idna", "rot13", "hex", "x" * 50, "utf-7", "ascii", "zlib"))
    named = body.replace(b"name=", rng.choice((b'name="&e9;" x=', b'name="&x;" x=', b"name=", b"xmlns:a=")), 1)
    return f'<?xml version="1.0" encoding="{coding}"?>{rng.choice(("", *heads))}'.encode() + named


def yaml_text(rng: random.Random, content: bytes) -> bytes:
    """Spoil YAML, now and then with what YAML can be made to do."""
    if rng.random() < 0.7:
        return text(rng, content)
    wide = rng.choice((2, 9))
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * wide)}]\n" for n in range(1, 30))
    merges = "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * wide)}]}}\n" for n in range(1, 30))
    bombs = (
        f"a0: &a0 [x]\n{levels}names: *a29\n",
        f"a0: &a0 [x]\n{levels}" + content.decode().replace(": ", ": *a9 #", 1),
        f"m0: &m0 {{k: v}}\n{merges}",
        "names: &a [*a, *a]\n",
        "&a : *a\n",
        'names: !!python/object/apply:os.system ["touch ran"]\n',
        "names: !!python/name:os.system\n",
        "names: !!binary |\n  ====\n",
        "names: !!set {a, b}\nordered: !!omap [a: 1]\n",
        "names: [2001-99-99, 1:60:60:60:60, 0o9, 0b2, 1e999, .nan, .inf, ~]\n",
        "names: [a, b]\nnames: [c, d]\n",
        "%YAML 9.9\n---\nnames: [a, b]\n",
        "--- [a]\n--- [b]\n",
    )
    return rng.choice(bombs).encode() + rng.choice((b"", content))


def zipped(rng: random.Random, content: bytes, inner: Mutation | None = None) -> bytes:
    """Spoil a zip: its bytes, its entries' names and kinds, or what is in one of them."""
    if rng.random() < 0.4:
        return blind(rng, content)
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        entries = [(entry.filename, packed.read(entry)) for entry in packed.infolist()]
    place = rng.randrange(len(entries))
    name, body = entries[place]
    act = rng.random()
    if act < 0.5:
        body = (inner or text)(rng, body)
    elif act < 0.7:
        name = rng.choice(
            (
                f"../../{name}",
                f"/tmp/{name}",
                f"C:\\{name}",
                "",
                "a/" * 200 + name,
                f"\0{name}",
                f"é/{name}",
                name.upper(),
            )
        )
    entries[place : place + 1] = [(name, body)] * rng.choice((1, 1, 1, 1, 0, 2))
    stream, way = io.BytesIO(), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", way) as packed:
        warnings.simplefilter("ignore")  # that a name is there twice is meant
        for number, (name, body) in enumerate(entries):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o120777 if act > 0.9 and number == place else 0o100644) << 16
            entry.compress_type = way
            packed.writestr(entry, body)
    made = stream.getvalue()
    return _zip_header(rng, made) if rng.random() < 0.3 else made


def _zip_header(rng: random.Random, content: bytes) -> bytes:
    """Spoil a number in one of the headers of a zip."""
    mark = rng.choice((b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"))
    places = [found.start() for found in re.finditer(re.escape(mark), content)]
    if not places:
        return content
    place, width = rng.choice(places) + rng.randrange(4, 44, 2), rng.choice((2, 4))
    number = rng.choice(_NUMBERS) % (1 << 8 * width)
    return content[:place] + number.to_bytes(width, "little") + content[place + width :]


def npz(rng: random.Random, content: bytes) -> bytes:
    """Spoil an archive of arrays."""
    return zipped(rng, content, _npy)


def _npy(rng: random.Random, content: bytes) -> bytes:
    """Spoil the header of an array, its length put right; or its bytes."""
    if rng.random() < 0.3 or content[6:7] != b"\x01":
        return blind(rng, content)
    length = struct.unpack("<H", content[8:10])[0]
    head = content[10 : 10 + length].decode("latin-1").rstrip()
    kinds = ("|O", "<f8", "<c16", "<U3", "|S5", "<M8[s]", "<m8[s]", ">u1", "|b1", "<i8", "<f2", "|V4")
    shapes = (
        "(0,)",
        "(-1,)",
        "(1000000000000,)",
        "(6, 4, 4, 7)",
        "(1, 1, 1)",
        "()",
        "(2,)",
        "(0, 0, 0)",
        "(3, 0, 4, 3)",
    )
    act = rng.random()
    if act < 0.4:
        head = re.sub(r"'descr': '[^']*'", f"'descr': '{rng.choice(kinds)}'", head)
    elif act < 0.8:
        head = re.sub(r"\([^)]*\)", rng.choice(shapes), head)
    elif act < 0.9:
        head = head.replace("False", "True")
    else:
        head = text(rng, head.encode()).decode("latin-1")
    told = head.encode("latin-1", errors="replace")[:60_000] + b"\n"
    return content[:8] + struct.pack("<H", len(told)) + told + content[10 + length :]


def safetensors(rng: random.Random, content: bytes) -> bytes:
    """Spoil the header of tensors as a tree, its length put right; or the bytes."""
    if rng.random() < 0.3:
        return blind(rng, content)
    length = struct.unpack("<Q", content[:8])[0]
    head, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    names = [name for name in head if name != "__metadata__"]
    act = rng.random()
    told = head.get("__metadata__", {}).get("alrctl")
    if told is not None and act < 0.5:
        head["__metadata__"]["alrctl"] = json.dumps(tree(rng, json.loads(told)))
    elif act < 0.7:
        name = rng.choice(names)
        kinds = (
            "F4",
            "F8_E4M3",
            "F8_E5M2",
            "F8_E8M0",
            "BF16",
            "F16",
            "F64",
            "I8",
            "U16",
            "U32",
            "U64",
            "C64",
            "BOOL",
            "F6_E2M3",
        )
        head[name] = head[name] | {"dtype": rng.choice(kinds)}
        if rng.random() < 0.6:  # so that the bytes are as many as the kind and the shape ask for
            size = head[name]["data_offsets"][1] - head[name]["data_offsets"][0]
            width = {"F64": 8, "I64": 8, "U64": 8, "C64": 8, "U32": 4, "F16": 2, "BF16": 2, "U16": 2}.get(
                head[name]["dtype"], 1
            )
            head[name]["shape"] = [size // width]
    elif act < 0.8:
        name = rng.choice(names)
        head[name] = head[name] | {"shape": rng.choice(([], [0], [0, 5], [-1], [2**62, 4], [1, 1, 1, 3], [2**63]))}
    else:
        head = tree(rng, head)
    packed = json.dumps(head).encode()
    return struct.pack("<Q", len(packed)) + packed + body


def image(rng: random.Random, content: bytes) -> bytes:
    """Spoil an image; the checksums of a PNG are put right more often than not, so that more of it is read."""
    spoilt = blind(rng, content)
    return _png(rng, spoilt) if spoilt.startswith(b"\x89PNG") and rng.random() < 0.7 else spoilt


def _png(rng: random.Random, content: bytes) -> bytes:
    made, place = content[:8], 8
    while place + 8 <= len(content):
        length = min(struct.unpack(">I", content[place : place + 4])[0], len(content) - place - 8)
        chunk = content[place + 4 : place + 8 + length]
        made += content[place : place + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        place += length + 12
    return made
