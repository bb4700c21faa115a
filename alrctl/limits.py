"""How much a file may become when it is unpacked, told by what is stored and not by what its header claims.

A data set of any size is taken as long as its bytes are really there; a small file that claims to hold a large one is
refused before anything is set aside for it.
"""

from __future__ import annotations

from schemas.errors import DataError, plural

UNPACKED = 1 << 30
"""Bytes that a file may unpack to, however little is stored."""
TIMES = 200
"""Beyond that, how many bytes, pixels or rows may come of a stored byte. Images and tables that people keep pack to a
tenth or a fiftieth; what is all of one value packs to a thousandth."""
ROWS = 10_000_000
"""Rows that a table may have, however little is stored."""
PIXELS = 1 << 24
"""Pixels that an image may have, however little is stored: 4096 x 4096."""
MOST_PIXELS = 500_000_000
"""Pixels of one image, whatever is stored: beyond, decoding takes tens of GiB."""


def check_bytes(what: str, unpacked: int, stored: int) -> None:
    """Refuse a file that unpacks to far more than it stores.

    Raises:
        DataError: naming both, and the mend.
    """
    if unpacked > UNPACKED and unpacked > TIMES * stored:
        raise DataError(
            f"{what}: claims to unpack to {unpacked:,} bytes from {stored:,}, more than {TIMES} times as many; "
            "if that is meant, store it unpacked"
        )


def check_rows(what: str, rows: int, stored: int) -> None:
    """Refuse a table with far more rows than it stores bytes.

    Raises:
        DataError: naming both.
    """
    if rows > ROWS and rows > TIMES * stored:
        raise DataError(f"{what}: claims to hold {plural(rows, 'row')} in {plural(stored, 'byte')}; is it whole?")


def check_pixels(what: str, width: int, height: int, stored: int) -> None:
    """Refuse an image that is too large, or that has far more pixels than it stores bytes.

    Raises:
        DataError: naming its size, and the mend.
    """
    pixels = width * height
    if pixels > MOST_PIXELS:
        raise DataError(
            f"{what}: {width} x {height} pixels is past what is decoded here ({MOST_PIXELS:,}); scale it down, or cut "
            "it into pieces"
        )
    if pixels > PIXELS and pixels > TIMES * stored:
        raise DataError(
            f"{what}: claims {width} x {height} pixels in {stored:,} bytes, more than {TIMES} a byte; "
            "if that is meant, scale it down"
        )
