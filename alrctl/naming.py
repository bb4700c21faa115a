"""What files, folders and controls are called, by this program and by others: words alone, quick to import."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from pydantic import BaseModel

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp"})
CHOICE, COMMENT = "label", "comment"  # the controls that Label Studio is told to show

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST_STEM = 120  # bytes: a file's name may have 255 in all


def option_names(config: type[BaseModel]) -> dict[str, str]:
    """Return what the option of each field is called: its alias, where Python keeps the option's name for itself."""
    return {field: info.alias or field for field, info in config.model_fields.items()}


def split_name(text: str | None) -> str | None:
    """Return train, val or test for the names in use; None for others."""
    return None if text is None else _SPLITS.get(text.strip().lower())


def archive_stems(queue: pl.DataFrame) -> list[str]:
    """Return what each sample's image is called in the queue's archive, without the suffix.

    That is the rank, as many digits for all, and what of the sample's id may stand in a file's name: so no two are
    alike, and tools that sort by name show the best first. The rank leads back to the sample, the id may not.
    """
    digits = len(str(queue.height))
    return [f"{rank:0{digits}}_{file_stem(name)}" for rank, name in queue.select("rank", "sample_id").iter_rows()]


def file_stem(name: str) -> str:
    """Return a name with everything replaced that some file system or some archive program refuses."""
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).replace("..", "_")
    return plain.encode()[:_LONGEST_STEM].decode(errors="ignore").strip(".")
