"""The files for people who label in other tools: Label Studio, CVAT, or a folder of images."""

from __future__ import annotations

import base64
import colorsys
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import polars as pl
from PIL import Image

from alrctl import contact_sheet as sheets
from alrctl import files, images
from alrctl.colours import OKABE_ITO
from alrctl.images import Pixels
from alrctl.naming import CHOICE, COMMENT, archive_stems
from schemas.errors import DataError

_IMAGE = "image"
_SHOWN = ("sample_id", "rank", "given_label", "suggested_label", "reason")  # none may be called as a control is
_HOTKEYS = 9
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
_LONGEST = 768  # pixels: longer side of an original in a task
_LOSSLESS = 256  # pixels: longer side up to which it is stored without loss


@dataclass(frozen=True)
class Picture:
    """What is known of the image of one sample.

    Attributes:
        name: what the image is called: a path in the source, a record of a file, or the sample's id.
        pixels: (H, W, 3) as it was decoded, or None.
        file: the original file where it still stands, or None.
    """

    name: str
    pixels: Pixels | None = None
    file: Path | None = None

    @property
    def seen(self) -> bool:
        """Whether there is anything to look at."""
        return self.pixels is not None or self.file is not None

    def decoded(self) -> Pixels | None:
        """Return the pixels, from the file where they are only there.

        Raises:
            DataError: the file cannot be read.
        """
        if self.pixels is None and self.file is not None:
            return images.reduced(self.file, _LONGEST)
        return self.pixels


def tasks(
    queue: pl.DataFrame,
    pictures: Sequence[Picture],
    prefix: str = "",
    suggest: bool = False,
    shown: Sequence[str] = _SHOWN,
) -> list[dict[str, Any]]:
    """Return the tasks for Label Studio, in rank order.

    With a `prefix`, an image is the address made of it and the image's name; without one it is in the task itself, as
    PNG, or as JPEG where it is large. Label Studio refuses a whole import for one task without an image, so such a
    sample is left out.

    Args:
        queue: columns rank, sample_id, given_label, suggested_label, suggested_certainty and reason.
        pictures: one for each row of the queue.
        prefix: the address of the folder that the images' names count from, or nothing.
        suggest: whether the suggested label is chosen beforehand. It sways the annotator.
        shown: columns of the queue that a task holds.

    Raises:
        DataError: an image's file cannot be read.
    """
    made = []
    for row, picture in zip(queue.iter_rows(named=True), pictures, strict=True):
        address = prefix + quote(picture.name) if prefix else _data_uri(picture)
        if address is None:
            continue
        task: dict[str, Any] = {"data": {_IMAGE: address, **{name: row[name] for name in shown}}}
        made.append(task | {"predictions": [_prediction(row)]} if suggest else task)
    return made


def _data_uri(picture: Picture) -> str | None:
    pixels = picture.decoded()
    if pixels is None:
        return None
    kind: Literal["png", "jpeg"] = "png" if max(pixels.shape[:2]) <= _LOSSLESS else "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(_encoded(pixels, kind)).decode()


def _encoded(pixels: Pixels, kind: Literal["png", "jpeg"] = "png") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **({"quality": 92} if kind == "jpeg" else {}))
    return stream.getvalue()


def _prediction(row: dict[str, Any]) -> dict[str, Any]:
    chosen = {"choices": [row["suggested_label"]]}
    result = {"from_name": CHOICE, "to_name": _IMAGE, "type": "choices", "value": chosen}
    score = {} if row["suggested_certainty"] is None else {"score": row["suggested_certainty"]}
    return {"model_version": "alrctl", "result": [result], **score}


def labelling_config(classes: Sequence[str]) -> str:
    """Return the XML that tells Label Studio what to show and to ask: one class of all, and a comment if need be.

    The classes stand above the image, so that no one has to scroll past a tall image to reach them.

    Raises:
        DataError: a class has a character in its name that XML cannot hold.
    """
    spoilt = [name for name in classes if _NO_XML.search(name)]
    if spoilt:
        raise DataError(f"class {spoilt[0]!r}: has a control character in its name, which no labelling tool can take")
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="Which class does the image show?")
    choices = ElementTree.SubElement(
        view,
        "Choices",
        {"name": CHOICE, "toName": _IMAGE, "choice": "single-radio", "required": "true", "showInline": "true"},
    )
    for number, name in enumerate(classes, 1):
        ElementTree.SubElement(choices, "Choice", {"value": name, **_hotkey(number)})
    ElementTree.SubElement(view, "Image", name=_IMAGE, value=f"${_IMAGE}", zoom="true", zoomControl="true")
    comment = {"name": COMMENT, "toName": _IMAGE, "rows": "2", "editable": "true", "maxSubmissions": "1"}
    ElementTree.SubElement(view, "TextArea", {**comment, "placeholder": "Comment, if there is anything to say"})
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _hotkey(number: int) -> dict[str, str]:
    return {"hotkey": str(number)} if number <= _HOTKEYS else {}


def cvat_labels(classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the labels as CVAT's raw constructor takes them: a tag for each class, each in a colour of its own."""
    colours = islice(_colours(), len(classes))
    return [
        {"name": name, "color": colour, "type": "tag", "attributes": []}
        for name, colour in zip(classes, colours, strict=True)
    ]


def _colours() -> Iterator[str]:
    """Give colours without end, none twice: first those safe for the colour-blind, then hues far from one another."""
    given = {colour.lower() for colour in OKABE_ITO}
    yield from (colour.lower() for colour in OKABE_ITO if colour != "#000000")
    for number in count():
        shares = colorsys.hls_to_rgb(number * 0.618034 % 1, (0.45, 0.65, 0.3)[number % 3], 0.7)
        colour = "#" + "".join(f"{round(255 * share):02x}" for share in shares)
        if colour not in given:
            given.add(colour)
            yield colour


def archive_names(queue: pl.DataFrame, pictures: Sequence[Picture]) -> list[str | None]:
    """Return what each image is called in the archive, or None where there is none."""
    rows = zip(archive_stems(queue), pictures, strict=True)
    return [f"{stem}{suffix(picture)}" if picture.seen else None for stem, picture in rows]


def suffix(picture: Picture) -> str:
    """Return the suffix of the image's file in an archive: the original's, where that is what is packed."""
    own = picture.file.suffix.lower() if picture.file is not None else ""
    return own if _SUFFIX.fullmatch(own) else ".png"


def cvat_images(names: Sequence[str | None]) -> str:
    """Return the images for CVAT, one a line in rank order, as they are called in the archive."""
    return "".join(f"{name}\n" for name in names if name is not None)


def archive(path: Path, pictures: Sequence[Picture], names: Sequence[str | None]) -> None:
    """Write the images as one zip in rank order: the original's bytes where it still stands, else the pixels as PNG.

    Raises:
        DataError: an original cannot be read.
    """
    with ZipFile(path, "w") as packed:
        for picture, name in zip(pictures, names, strict=True):
            if name is not None:
                packed.writestr(_entry(name), _bytes(picture))


def _entry(name: str) -> ZipInfo:
    """Return an entry without the hour and the system it was made on: the same images give the same archive."""
    entry = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr = 3, 0o644 << 16
    entry.compress_type = ZIP_DEFLATED if name.endswith((".bmp", ".tif", ".tiff")) else ZIP_STORED
    return entry


def _bytes(picture: Picture) -> bytes:
    if picture.file is not None:
        images.check(picture.file)  # a table can name any file; what is no image is not handed on
        with files.explained_read(picture.file, "image"):
            return picture.file.read_bytes()
    assert picture.pixels is not None  # only a picture that is seen has a name in the archive
    return _encoded(picture.pixels)


def contact_sheet(queue: pl.DataFrame, pictures: Sequence[Picture], most: int = 120) -> Image.Image:
    """Return a grid of the first `most` samples with their labels.

    Raises:
        DataError: an image's file cannot be read.
    """
    return sheets.draw(queue, [picture.decoded() for picture in pictures[:most]], most)


def write(
    directory: Path,
    queue: pl.DataFrame,
    pictures: Sequence[Picture],
    classes: Sequence[str],
    prefix: str = "",
    suggest: bool = False,
    blind: bool = False,
) -> list[str]:
    """Write the files for other tools and return their names; those that need images are left out without any.

    With `blind` they tell neither label nor reason, and there is no contact sheet.

    Raises:
        DataError: an image's file cannot be read, or a class's name cannot be told to the tools.
        OSError: the directory cannot be written to.
    """
    names = archive_names(queue, pictures)
    shown = _SHOWN[:2] if blind else _SHOWN
    makers: dict[str, Callable[[Path], object]] = {
        "labelling_config.xml": lambda path: path.write_bytes(labelling_config(classes).encode()),
        "cvat_labels.json": lambda path: files.write_json(cvat_labels(classes), path),
    }
    if prefix or any(names):
        makers["tasks.json"] = lambda path: files.write_json(tasks(queue, pictures, prefix, suggest, shown), path)
    if any(names):
        makers["cvat_images.txt"] = lambda path: path.write_bytes(cvat_images(names).encode())
        makers["images.zip"] = lambda path: archive(path, pictures, names)
    if any(names) and not blind:
        makers["contact_sheet.png"] = lambda path: contact_sheet(queue, pictures).save(path)
    for name, make in makers.items():
        make(directory / name)
    return list(makers)
