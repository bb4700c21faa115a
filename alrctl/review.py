"""The page in which an expert labels a queue: one HTML file with the images, the program and nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
from markupsafe import Markup
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from alrctl import images
from alrctl.annotators import Picture
from alrctl.images import Pixels

SCRIPTS = (
    "review_csv.js",
    "review_answers.js",
    "review_image.js",
    "review_overview.js",
    "review_page.js",
    "review_files.js",
    "review.js",
)
STYLE = "review.css"
_SHOWN = ("given_label", "suggested_label", "reason")
_LOSSLESS = 128  # pixels: longer side up to which an image is stored without loss
_QUALITY = 85


class ReviewConfig(BaseModel):
    """Options of `review`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blind: bool = Field(False, description="given label, suggested label and reason are not in the page at all")
    annotator: str = Field("", description="name of the expert (default: the page asks for it)")
    image_size: int = Field(384, ge=16, le=4096, description="longer side of the images in the page, in pixels")
    title: str = Field("Which class does the image show?", min_length=1, description="heading of the page")


def document(
    queue: pl.DataFrame, seen: Sequence[bool], classes: Sequence[str], config: ReviewConfig, data_set: str = ""
) -> dict[str, Any]:
    """Return what the page knows of the queue, images apart.

    Of a blind page it does not depend on the queue's labels, scores and reasons: only on which samples, in what order.

    Args:
        queue: best first, with columns sample_id, given_label, suggested_label and reason.
        seen: (N,) whether each sample has an image.
        classes: names in order.
        config: the options.
        data_set: a digest of the data set, so that equal ids of two data sets are not taken for the same samples.
    """
    names = ("sample_id",) if config.blind else ("sample_id", *_SHOWN)
    rows = queue.select(names).rows()
    decides = [rows, list(classes), config.blind, config.annotator, data_set]
    return {
        "digest": hashlib.sha256(json.dumps(decides).encode()).hexdigest(),
        "title": config.title,
        "blind": config.blind,
        "annotator": config.annotator.strip(),
        "classes": list(classes),
        "samples": [[*row, there] for row, there in zip(rows, seen, strict=True)],
    }


def inert_json(value: Any) -> Markup:
    """Return JSON that no HTML parser can take for the end of its element: plain ASCII without a `<`."""
    return Markup(json.dumps(value, ensure_ascii=True).replace("<", "\\u003c"))


def encoded(picture: Picture, longest: int) -> str | None:
    """Return an image as `image/png;base64,...` (JPEG where it is large), or None where there is none.

    Raises:
        DataError: the image's file cannot be read.
    """
    pixels = _reduced(picture, longest)
    if pixels is None:
        return None
    kind = "png" if max(pixels.shape[:2]) <= _LOSSLESS else "jpeg"
    stream = io.BytesIO()
    _image(pixels).save(stream, kind, **({"optimize": True} if kind == "png" else {"quality": _QUALITY}))
    return f"image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _reduced(picture: Picture, longest: int) -> Pixels | None:
    if picture.file is not None:
        return images.reduced(picture.file, longest)
    if picture.pixels is None or max(picture.pixels.shape[:2]) <= longest:
        return picture.pixels
    return images.reduced_pixels(picture.pixels, longest)


def _image(pixels: Pixels) -> Image.Image:
    """Return the image, with one channel where all three are alike: a third of the bytes."""
    is_grey = (pixels[..., :1] == pixels).all()
    return Image.fromarray(pixels[..., 0] if is_grey else pixels)


def write(path: Path, told: dict[str, Any], pictures: Iterable[str | None]) -> None:
    """Write the page, one image after the other, so that they need not all be in memory.

    Args:
        path: the file to write.
        told: as `document` returns it.
        pictures: one for each sample, as `encoded` returns them.
    """
    environment = jinja2.Environment(loader=jinja2.PackageLoader("alrctl"), autoescape=True, trim_blocks=True)
    style, script = _source(environment, STYLE), "".join(_source(environment, name) for name in SCRIPTS)
    stream = environment.get_template("review.html.j2").stream(
        title=told["title"],
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=inert_json(told),
        images=_numbered(pictures),
    )
    stream.enable_buffering(64)
    with path.open("wb") as file:
        stream.dump(file, encoding="utf-8")


def _source(environment: jinja2.Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _numbered(pictures: Iterable[str | None]) -> Iterator[tuple[int, str]]:
    return ((number, text) for number, text in enumerate(pictures) if text is not None)


def _policy(style: str, script: str) -> str:
    """Return the content security policy: nothing is loaded, and nothing runs but the page's own script."""
    return (
        f"default-src 'none'; img-src data: blob:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
