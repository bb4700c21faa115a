"""Decoding one image: what becomes of its mode, its rotation and its size."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from alrctl import files, limits
from schemas.errors import AlrctlError, DataError

if TYPE_CHECKING:
    from stages.ingest import Fit

KINDS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")  # told by content; Pillow knows others that start other programs
_AT_ONCE = 1 << 27  # pixels that are decoded side by side; a larger image goes alone
_SLIGHT = 10  # an image of less than 1 / 2^10 of these needs no account
_BAND = 1 << 20  # pixels that are scaled at a time
_SMALL = 1 << 20  # bytes of a file that is read in one go
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit warns and refuses far below; `limits` holds to ours
Pixels = NDArray[np.uint8]


class Decoded(NamedTuple):
    """One image as it goes into the pack.

    Attributes:
        pixels: (size, size, 3) uint8.
        width: before it was scaled.
        height: before it was scaled.
        rule: the mode that was turned into RGB; empty where that was nothing to do.
        stamp: of the file that was read; none of an array.
    """

    pixels: Pixels
    width: int
    height: int
    rule: str
    stamp: files.Stamp | None = None


def decode(image: Path | str | NDArray[np.generic], size: int, fit: Fit) -> Decoded:
    """Return an image as 3-channel 8-bit at the wanted size, and what was done to it beside resizing.

    16-bit and float images are scaled from their own least and greatest value to 0 and 255; a palette, CMYK or
    transparency is turned into RGB (on black); EXIF rotation is applied.

    Raises:
        DataError: the file cannot be read whole.
    """
    if isinstance(image, np.ndarray):
        rgb = _as_rgb(Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image))
        return Decoded(_fitted(rgb, size, fit), rgb.width, rgb.height, "")
    with files.explained(image, "image"), _opened(image) as (opened, stamp):
        rgb = _as_rgb(opened)
        rule = "" if opened.mode == "RGB" else opened.mode
        return Decoded(_fitted(rgb, size, fit), rgb.width, rgb.height, rule, stamp)


def reduced(path: Path, longest: int) -> Pixels:
    """Return an image file as 3-channel 8-bit pixels for people to look at, its longer side at most `longest`.

    Raises:
        DataError: the file cannot be read whole.
    """
    with files.explained(path, "image"), _opened(path) as (opened, _):
        return _thumbnail(_as_rgb(opened), longest)


def check(path: Path) -> None:
    """Refuse what is no image by its header, before its bytes are handed on as one.

    Raises:
        DataError: it is none, or too large.
    """
    with files.explained_read(path, "image"), Image.open(path, formats=KINDS) as opened:
        limits.check_pixels(str(path), opened.width, opened.height, path.stat().st_size)


def reduced_pixels(pixels: Pixels, longest: int) -> Pixels:
    """Return 3-channel 8-bit pixels, their longer side at most `longest`."""
    return _thumbnail(Image.fromarray(pixels), longest)


def _thumbnail(image: Image.Image, longest: int) -> Pixels:
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8)


class NoRoomError(AlrctlError):
    """An image too large to be decoded beside those of other processes."""


class _Room:
    """Lets images be decoded side by side for as long as their pixels together stay within a limit."""

    def __init__(self, most: int, refuses: bool = False) -> None:
        self._most = self._free = most
        self._refuses = refuses
        self._changed = Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until there is room, and hold it; what is larger than the limit waits until it is alone.

        Of what is far smaller no account is kept.

        Raises:
            NoRoomError: it is larger, and other processes might hold theirs.
        """
        if self._refuses and pixels > self._most:
            raise NoRoomError
        if pixels < self._most >> _SLIGHT:
            yield
            return
        wanted = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


_room = _Room(_AT_ONCE)


def share_room(processes: int) -> None:
    """Hold this process to its part of the pixels that are decoded at a time, where others decode beside it."""
    global _room
    _room = _Room(_AT_ONCE // processes, refuses=True)


class _Bounded(io.BufferedReader):
    """A file that is never asked for more bytes than it has: Pillow asks for as many as a header claims."""

    def __init__(self, path: Path | str, size: int) -> None:
        super().__init__(io.FileIO(path))
        self._path, self._bytes = path, size

    def __repr__(self) -> str:
        return repr(str(self._path))  # as Pillow's messages have it

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, all that are left where it is negative or none."""
        return super().read(-1 if size is None else min(size, self._bytes))


class _Held(io.BytesIO):
    """The bytes of a small file."""

    def __init__(self, path: Path | str, content: bytes) -> None:
        super().__init__(content)
        self._path = path

    def __repr__(self) -> str:
        return repr(str(self._path))  # as Pillow's messages have it


@contextmanager
def _opened(path: Path | str) -> Iterator[tuple[Image.Image, files.Stamp]]:
    """Give an image file's first picture, decoded whole and turned upright, and the stamp that the file had before.

    A small file is read in one go.

    Raises:
        DataError: it is empty, or too large.
    """
    content, stamp = files.first_bytes(path, _SMALL)
    size = stamp[0]
    if size == 0:
        raise DataError(f"{path}: is empty (0 bytes)")
    with (
        _Held(path, content) if len(content) == size else _Bounded(path, size) as stream,
        Image.open(stream, formats=KINDS) as opened,
    ):
        limits.check_pixels(str(path), opened.width, opened.height, size)
        with _room.taken(opened.width * opened.height):
            opened.load()
            yield _upright(opened), stamp


def _upright(image: Image.Image) -> Image.Image:
    """Return an image as its camera noted it is to be seen; most say nothing, and are not copied."""
    return image if image.getexif().get(ExifTags.Base.Orientation, 1) == 1 else ImageOps.exif_transpose(image)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        image = Image.fromarray(_scaled(np.asarray(image)))
    if image.mode in {"P", "PA", "LA", "La", "RGBA", "RGBa"} or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _scaled(values: NDArray[np.generic]) -> Pixels:
    """Return (H, W) numbers as 0 to 255 from the least to the greatest that is finite, a band of rows at a time."""
    scaled = np.zeros(values.shape, dtype=np.uint8)
    step = max(1, _BAND // max(1, values.shape[1]))
    bands = [slice(start, start + step) for start in range(0, len(values), step)]
    ranges = [(known.min(), known.max()) for band in bands if (known := values[band][np.isfinite(values[band])]).size]
    if not ranges:
        return scaled
    low, high = float(min(least for least, _ in ranges)), float(max(greatest for _, greatest in ranges))
    factor = 255.0 / (high - low) if high > low else 0.0
    for band in bands:
        known = np.nan_to_num(values[band].astype(np.float64), nan=low, posinf=high, neginf=low)
        scaled[band] = ((known - low) * factor).round()
    return scaled


def _fitted(image: Image.Image, size: int, fit: Fit) -> Pixels:
    target = (size, size)
    resample = Image.Resampling.BILINEAR
    if fit == "crop":
        image = ImageOps.fit(image, target, resample)
    elif fit == "pad":
        image = ImageOps.pad(image, target, resample)
    elif image.size != target:
        image = image.resize(target, resample, reducing_gap=2.0)
    return np.asarray(image, dtype=np.uint8)
