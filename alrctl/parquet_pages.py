"""What a parquet file claims of itself, held to its size before a reader sets memory aside for it.

polars ends the whole process where a header claims 2 ** 61 bytes. So footer and page headers are walked first: they are
structs in Thrift's compact protocol (parquet-format's `parquet.thrift`, whose field numbers stand below).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from alrctl import limits

_MAGIC = b"PAR1"
_DEEPEST = 16
_LONGEST_HEADER = 1 << 24  # bytes: of a page, with its statistics
_FIRST_READ = 1 << 12
_MOST_NUMBER = 10  # bytes
Fields = dict[int, Any]
"""A struct's values by field number."""


class BrokenError(ValueError):
    """A header that makes no sense."""


class _ShortError(BrokenError):
    """A header that goes on past what is there."""


def check(path: Path) -> None:
    """Refuse a parquet file whose headers claim what its bytes cannot hold.

    Raises:
        BrokenError: a header makes no sense.
        DataError: they claim far more rows, values or bytes than there are bytes.
    """
    with path.open("rb") as stream:
        check_stream(stream, str(path))


def check_stream(stream: IO[bytes], what: str) -> None:
    """Do as `check`, with a file that is open."""
    size = stream.seek(0, 2)
    footer = _footer(stream, size)
    groups = _listed(footer, 4)
    values, unpacked = 0, 0
    for group in groups:
        for chunk in _listed(group, 1):
            claimed = chunk.get(3)
            if not isinstance(claimed, dict):
                raise BrokenError("its footer is of another form")
            values += _number(claimed, 5)
            unpacked += sum(_pages(stream, claimed, size))
    rows = [_number(group, 3) for group in groups]
    if sum(rows) != _number(footer, 3):
        raise BrokenError(f"its parts have {sum(rows)} rows, and its footer says {footer.get(3)}")
    limits.check_rows(what, max(sum(rows), values // max(1, _widest(groups))), size)
    limits.check_bytes(what, unpacked, size)


def _widest(groups: list[Fields]) -> int:
    return max((len(_listed(group, 1)) for group in groups), default=1)


def _footer(stream: IO[bytes], size: int) -> Fields:
    if size < 12:
        raise BrokenError("it is too short")
    stream.seek(size - 8)
    end = stream.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != _MAGIC or length > size - 12:
        raise BrokenError("its end is missing")
    stream.seek(size - 8 - length)
    return _Thrift(stream.read(length)).struct()


def _pages(stream: IO[bytes], chunk: Fields, size: int) -> Iterator[int]:
    """Give the bytes that each page of a column unpacks to."""
    starts = [start for field in (9, 11) if (start := _number(chunk, field))]
    place, left, held = min(starts, default=0), _number(chunk, 7), 0
    if place + left > size:
        raise BrokenError("a column lies beyond its end")
    while left > 0:
        header, length = _page(stream, place)
        unpacked, packed = _number(header, 2), _number(header, 3)
        if length + packed > left:
            raise BrokenError("a page is longer than its column")
        held += sum(_number(header[field], 1) for field in (5, 8) if field in header)
        place, left = place + length + packed, left - length - packed
        yield unpacked
    if held != _number(chunk, 5):
        raise BrokenError(f"a column has {held} values, and is said to have {chunk[5]}")


def _page(stream: IO[bytes], place: int) -> tuple[Fields, int]:
    """Return the header of a page, and how long it is; statistics can make it long."""
    length = _FIRST_READ
    while True:
        stream.seek(place)
        content = stream.read(length)
        thrift = _Thrift(content)
        try:
            return thrift.struct(), thrift.place
        except _ShortError:
            if len(content) < length or length >= _LONGEST_HEADER:
                raise
            length *= 16


def _listed(fields: Fields, field: int) -> list[Fields]:
    found = fields.get(field, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BrokenError("its footer is of another form")
    return found


def _number(fields: Any, field: int) -> int:
    found = fields.get(field, 0) if isinstance(fields, dict) else None
    if not isinstance(found, int) or found < 0:
        raise BrokenError(f"a count is {found}")
    return found


class _Thrift:
    """Reads values of Thrift's compact protocol, one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def struct(self, depth: int = 0) -> Fields:
        """Return the fields of a struct.

        Raises:
            BrokenError: too deep, of an unknown type, or it breaks off.
        """
        if depth > _DEEPEST:
            raise BrokenError("a header is too deep")
        found: Fields = {}
        field = 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._whole()
            kind &= 15
            found[field] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (4, 5, 6):
            return self._whole()
        if kind == 12:
            return self.struct(depth + 1)
        if kind in (9, 10):
            return self._list(depth)
        if kind == 8:
            return self._bytes(self._plain())
        if kind in (1, 2, 3):
            return self._byte()
        if kind == 7:
            return struct.unpack("<d", self._bytes(8))[0]
        raise BrokenError(f"a header has a value of type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._plain()
        self._need(count)
        return [self._value(head & 15, depth + 1) for _ in range(count)]

    def _whole(self) -> int:
        number = self._plain()
        return (number >> 1) ^ -(number & 1)

    def _plain(self) -> int:
        number = 0
        for shift in range(0, 7 * _MOST_NUMBER, 7):
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise BrokenError("a number in a header has no end")

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, length: int) -> bytes:
        self._need(length)
        self.place += length
        return self._content[self.place - length : self.place]

    def _need(self, length: int) -> None:
        if length > len(self._content) - self.place:
            raise _ShortError("a header breaks off")
