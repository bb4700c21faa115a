"""Decoding images, and the pack that holds them decoded: one memory-mapped safetensors file."""

from __future__ import annotations

import io
import json
import os
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Condition
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open

from alrctl import files, limits
from schemas.errors import DataError, listing, plural, shown
from stages.report import Report

if TYPE_CHECKING:
    from torch import Tensor

    from stages.ingest import Fit

PACK = "images.safetensors"
_TENSOR = "images"
KINDS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # told by content; Pillow knows others that start other programs
_AT_ONCE = 1 << 27  # pixels that are decoded side by side; a larger image goes alone
_BAND = 1 << 20  # pixels that are scaled at a time
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
    with files.explained_read(image, "image"):
        if image.stat().st_size == 0:
            raise DataError(f"{image}: is empty (0 bytes)")
        with _opened(image) as opened:
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


class _Room:
    """Lets images be decoded side by side for as long as their pixels together stay within a limit."""

    def __init__(self, most: int) -> None:
        self._most = self._free = most
        self._changed = Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until there is room, and hold it; what is larger than the limit waits until it is alone."""
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


_ROOM = _Room(_AT_ONCE)


class _Bounded(io.BufferedReader):
    """A file that is never asked for more bytes than it has: Pillow asks for as many as a header claims."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._path, self._size = path, path.stat().st_size

    def __repr__(self) -> str:
        return repr(str(self._path))  # as Pillow's messages have it

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes, all that are left where it is negative or none."""
        return super().read(-1 if size is None else min(size, self._size))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Give an image file's first picture, decoded whole and turned upright.

    Raises:
        DataError: it is too large.
    """
    with _Bounded(path) as stream, Image.open(stream, formats=KINDS) as opened:
        limits.check_pixels(str(path), opened.width, opened.height, path.stat().st_size)
        with _ROOM.taken(opened.width * opened.height):
            opened.load()
            yield ImageOps.exif_transpose(opened)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        image = Image.fromarray(_scaled(np.asarray(image)))
    if image.mode in {"P", "PA", "LA", "La", "RGBA", "RGBa"} or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("RGB")


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


@dataclass(frozen=True)
class PackFacts:
    """What decoding found.

    Attributes:
        good: (N,) whether each image could be read.
        sizes: width and height of each good image.
        rules: how many images of each unusual mode were turned into RGB.
    """

    good: list[bool]
    sizes: list[tuple[int, int]]
    rules: dict[str, int]


def write_pack(
    path: Path,
    images: list[Callable[[], Path | NDArray[np.generic]]],
    size: int,
    fit: Fit,
    skip_broken: bool,
    workers: int,
    report: Report,
) -> PackFacts:
    """Decode all images in parallel into one safetensors file, (N, size, size, 3) uint8.

    Raises:
        DataError: an image cannot be read and `skip_broken` is off, or none can.
    """
    good: list[bool] = []
    sizes: list[tuple[int, int]] = []
    rules: dict[str, int] = {}
    broken: list[str] = []

    def attempt(get: Callable[[], Path | NDArray[np.generic]]) -> Decoded | str:
        try:
            return decode(get(), size, fit)
        except DataError as error:
            return str(error)

    with path.open("wb") as stream, ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        stream.write(bytes(_header_room(len(images), size)))
        for done, result in enumerate(_ordered(pool, attempt, images), 1):
            good.append(isinstance(result, Decoded))
            if isinstance(result, Decoded):
                stream.write(result.pixels.tobytes())
                sizes.append((result.width, result.height))
                if result.rule:
                    rules[result.rule] = rules.get(result.rule, 0) + 1
            else:
                broken.append(result)
            if done % 64 == 0 or done == len(images):
                report.progress(done, len(images), "decoding", "images")
        stream.seek(0)
        stream.write(_header(len(sizes), size, _header_room(len(images), size)))
    _refuse_broken(broken, len(sizes), skip_broken, report)
    return PackFacts(good, sizes, rules)


def _ordered(
    pool: ThreadPoolExecutor,
    attempt: Callable[[Callable[[], Path | NDArray[np.generic]]], Decoded | str],
    images: list[Callable[[], Path | NDArray[np.generic]]],
) -> Iterator[Decoded | str]:
    """Map over the images in order, with no more than a few hundred decoded ahead of the writer."""
    waiting = iter(images)
    ahead = deque(pool.submit(attempt, get) for get in islice(waiting, 256))
    while ahead:
        result = ahead.popleft().result()
        ahead.extend(pool.submit(attempt, get) for get in islice(waiting, 1))
        yield result


def _refuse_broken(broken: list[str], readable: int, skip: bool, report: Report) -> None:
    if not broken:
        return
    told = f"{plural(len(broken), 'image')} cannot be read (first: {listing(broken, 1).split(' and ')[0]})"
    if not skip or not readable:
        raise DataError(f"{told}; --skip-broken leaves them out")
    report.warn(f"{told}; left out")


def _header_text(count: int, size: int) -> bytes:
    shape = [count, size, size, 3]
    return json.dumps({_TENSOR: {"dtype": "U8", "shape": shape, "data_offsets": [0, count * size * size * 3]}}).encode()


def _header_room(count: int, size: int) -> int:
    """Return how many bytes the header takes in all, a multiple of 8."""
    return 8 + (len(_header_text(count, size)) + 7) // 8 * 8


def _header(count: int, size: int, room: int) -> bytes:
    """Return the safetensors header for `count` images, padded with spaces to `room` bytes in all."""
    return struct.pack("<Q", room - 8) + _header_text(count, size).ljust(room - 8)


def open_pixels(path: Path) -> Pixels:
    """Return the images, (N, H, W, 3), memory-mapped, for what shows them and need not wait for torch.

    Raises:
        DataError: the file is not whole, or holds something else.
    """
    with _explained(path), safe_open(path, framework="numpy") as file:
        images = file.get_slice(_TENSOR)
        _check_pack(path, images.get_dtype(), images.get_shape())
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            begins: int = json.loads(stream.read(length))[_TENSOR]["data_offsets"][0]
    return np.memmap(path, np.uint8, "r", 8 + length + begins, tuple(images.get_shape()))


def open_pack(path: Path) -> Tensor:
    """Return the images, (N, H, W, 3) uint8, memory-mapped.

    Raises:
        DataError: the file is not whole, or holds something else.
    """
    with _explained(path), safe_open(path, framework="pt") as file:
        found = file.get_slice(_TENSOR)
        _check_pack(path, found.get_dtype(), found.get_shape())
        images: Tensor = file.get_tensor(_TENSOR)
    return images


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: is no whole image pack ({shown(str(error), 200)})") from error


def _check_pack(path: Path, kind: str, shape: Sequence[int]) -> None:
    if kind != "U8" or len(shape) != 4 or shape[3] != 3:
        raise DataError(f"{path}: holds {kind} {tuple(shape)}; wanted: U8 (N, H, W, 3)")
