"""Decoding one image: what becomes of its mode, its rotation and its size."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from alrctl import files, limits
from schemas.errors import AlrctlError, DataError

if TYPE_CHECKING:
    from stages.ingest import Fit

KINDS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # told by content; Pillow knows others that start other programs
_AT_ONCE = 1 << 27  # pixels that are decoded side by side; a larger image goes alone
_BAND = 1 << 20  # pixels that are scaled at a time
_SMALL = 1 << 20  # bytes of a file that is read in one go
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit warns and refuses far below; `limits` holds to ours
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Decoded:
    """One image as it goes into the pack."""

    pixels: Pixels
    width: int
    height: int
    rule: str


def decode(image: Path | NDArray[np.generic], size: int, fit: Fit) -> Decoded:
    """Return an image as 3-channel 8-bit at the wanted size, and what was done to it beside resizing.

    16-bit and float images are scaled from their own least and greatest value to 0 and 255; a palette, CMYK or
    transparency is turned into RGB (on black); EXIF rotation is applied.

    Raises:
        DataError: the file cannot be read whole.
    """
    if isinstance(image, np.ndarray):
        rgb = _as_rgb(Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image))
        return Decoded(_fitted(rgb, size, fit), rgb.width, rgb.height, "")
    with files.explained_read(image, "image"), _opened(image) as opened:
        rgb = _as_rgb(opened)
        return Decoded(_fitted(rgb, size, fit), rgb.width, rgb.height, "" if opened.mode == "RGB" else opened.mode)


def reduced(path: Path, longest: int) -> Pixels:
    """Return an image file as 3-channel 8-bit pixels for people to look at, its longer side at most `longest`.

    Raises:
        DataError: the file cannot be read whole.
    """
    with files.explained_read(path, "image"), _opened(path) as opened:
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

        Raises:
            NoRoomError: it is larger, and other processes might hold theirs.
        """
        if self._refuses and pixels > self._most:
            raise NoRoomError
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

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._path, self.bytes = path, os.fstat(self.fileno()).st_size

    def __repr__(self) -> str:
        return repr(str(self._path))  # as Pillow's messages have it

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, all that are left where it is negative or none."""
        return super().read(-1 if size is None else min(size, self.bytes))


class _Held(io.BytesIO):
    """The bytes of a small file."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(content)
        self._path = path

    def __repr__(self) -> str:
        return repr(str(self._path))  # as Pillow's messages have it


@contextmanager
def _stream(path: Path) -> Iterator[tuple[io.BytesIO | _Bounded, int]]:
    """Give a file to read, and how many bytes it has: a small one is read in one go, to save calls."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > _SMALL:
            with _Bounded(path) as bounded:
                yield bounded, size
        else:
            yield _Held(path, file.read(size)), size


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Give an image file's first picture, decoded whole and turned upright.

    Raises:
        DataError: it is empty, or too large.
    """
    with _stream(path) as (stream, size):
        if size == 0:
            raise DataError(f"{path}: is empty (0 bytes)")
        with Image.open(stream, formats=KINDS) as opened:
            limits.check_pixels(str(path), opened.width, opened.height, size)
            with _room.taken(opened.width * opened.height):
                opened.load()
                yield _upright(opened)


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
