"""One picture of the first samples of a queue, to look through before a label is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import polars as pl
from PIL import Image, ImageDraw, ImageFont

from alrctl.colours import OKABE_ITO
from alrctl.images import Pixels
from schemas.errors import plural

AGREE, DIFFER = OKABE_ITO[:2]
SIDE = 128
_FRAME = 4
_GAP = 14
_BOX = SIDE + 2 * _FRAME
_LINE = 16
_PITCH = (_BOX + _GAP, _BOX + 3 * _LINE + _GAP)
_COLUMNS = 8
_FEWEST_COLUMNS = 4  # so that title and legend fit above a single image
_HEAD = 58
_GREY, _BLACK, _WHITE = "#C8C8C8", "#000000", "#FFFFFF"


@dataclass(frozen=True)
class _Pen:
    """A canvas and the letters on it."""

    canvas: ImageDraw.ImageDraw
    text: ImageFont.FreeTypeFont
    title: ImageFont.FreeTypeFont

    def write(self, place: tuple[int, int], text: str, anchor: str = "la") -> None:
        self.canvas.text(place, text, fill=_BLACK, font=self.text, anchor=anchor)


def draw(queue: pl.DataFrame, thumbnails: Sequence[Pixels | None], most: int = 120) -> Image.Image:
    """Return a grid of the first `most` samples in rank order, 128 pixels a side each.

    Under each stand its rank, the certainty of the suggestion, the label it was given and the one suggested; the
    frame is blue where the two are the same and orange where they differ.

    Args:
        queue: columns rank, given_label, suggested_label and suggested_certainty.
        thumbnails: (H, W, 3) uint8 for each row at least of the first `most`, or None where there is no image.
        most: how many are shown.
    """
    shown = queue.head(most)
    columns = min(_COLUMNS, max(_FEWEST_COLUMNS, shown.height))
    rows = max(1, -(-shown.height // columns))
    sheet = Image.new("RGB", (columns * _PITCH[0] + _GAP, _HEAD + rows * _PITCH[1]), _WHITE)
    pen = _Pen(ImageDraw.Draw(sheet), ImageFont.truetype(font_file(), 12), ImageFont.truetype(font_file(True), 16))
    _write_head(pen, shown.height, queue.height)
    cells = shown.select("rank", "given_label", "suggested_label", "suggested_certainty").rows()
    for number, (cell, pixels) in enumerate(zip(cells, thumbnails[:most], strict=True)):
        corner = (_GAP + number % columns * _PITCH[0], _HEAD + number // columns * _PITCH[1])
        _draw_image(sheet, pen, corner, pixels, AGREE if cell[1] == cell[2] else DIFFER)
        _write_below(pen, corner, *cell)
    return sheet


def font_file(bold: bool = False) -> Path:
    """Return the font of the figures, which is always there: it comes with matplotlib."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    found = find_spec("matplotlib")
    assert found is not None  # this program needs it
    assert found.origin is not None
    font = Path(found.origin).with_name("mpl-data") / "fonts/ttf" / name
    if font.is_file():
        return font
    import matplotlib as mpl  # slow; it knows where a distribution has put its data

    return Path(mpl.get_data_path(), "fonts", "ttf", name)


def heading(shown: int, total: int) -> str:
    """Return the sheet's title, which says what is left out."""
    found = plural(total, "sample")
    return f"{found if shown == total else f'first {shown:,} of {found}'}, by rank"


def _write_head(pen: _Pen, shown: int, total: int) -> None:
    pen.canvas.text((_GAP, 8), heading(shown, total), fill=_BLACK, font=pen.title)
    left = _GAP
    for colour, meaning in ((DIFFER, "given and suggested label differ"), (AGREE, "they agree")):
        pen.canvas.rectangle((left + 1, 35, left + 12, 46), outline=colour, width=_FRAME - 1)
        pen.write((left + 19, 34), meaning)
        left += 19 + round(pen.text.getlength(meaning)) + 2 * _GAP
    pen.write((left, 34), "number: certainty")


def _draw_image(sheet: Image.Image, pen: _Pen, corner: tuple[int, int], pixels: Pixels | None, colour: str) -> None:
    left, top = corner
    box = (left, top, left + _BOX - 1, top + _BOX - 1)
    pen.canvas.rectangle(box, fill=_WHITE if pixels is not None else _GREY, outline=colour, width=_FRAME)
    if pixels is None:
        pen.write((left + _BOX // 2, top + _BOX // 2), "no image", anchor="mm")
        return
    image = fitted(Image.fromarray(pixels))
    sheet.paste(image, (left + (_BOX - image.width) // 2, top + (_BOX - image.height) // 2))


def fitted(image: Image.Image) -> Image.Image:
    """Return an image that fits the cell, its aspect kept.

    A small one is enlarged by a whole factor with its pixels left as they are, so that nothing is seen in it that is
    not there.
    """
    longest = max(image.size)
    if longest > SIDE:
        size = (max(1, round(image.width * SIDE / longest)), max(1, round(image.height * SIDE / longest)))
        return image.resize(size, Image.Resampling.LANCZOS)
    factor = SIDE // longest
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _write_below(
    pen: _Pen, corner: tuple[int, int], rank: int, given: str, suggested: str, certainty: float | None
) -> None:
    left, top = corner[0], corner[1] + _BOX + 3
    pen.write((left, top), f"#{rank}")
    if certainty is not None:
        pen.write((left + _BOX, top), f"{certainty:.2f}", anchor="ra")
    pen.write((left, top + _LINE), shortened(given, pen.text))
    pen.write((left, top + 2 * _LINE), shortened(f"→ {suggested}", pen.text))


def shortened(text: str, font: ImageFont.FreeTypeFont, width: int = _BOX) -> str:
    """Return the text on one line no wider than `width` pixels, its middle left out where it would be.

    Names that belong together often begin alike: their ends tell them apart.
    """
    text = " ".join(text.split())
    kept, short = len(text), text
    while font.getlength(short) > width and kept > 2:
        kept -= 1
        short = text[: kept - kept // 2].rstrip() + "…" + text[len(text) - kept // 2 :].lstrip()
    return short
