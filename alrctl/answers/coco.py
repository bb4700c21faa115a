"""COCO's JSON with a category for a whole image: an annotation without box and mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alrctl.answers.found import Found, Row, one_of, table
from schemas.errors import DataError, plural, shown

_PARTS = ("images", "annotations", "categories")


def is_document(content: Any) -> bool:
    """Say whether this has COCO's three lists."""
    return isinstance(content, dict) and all(isinstance(content.get(name), list) for name in _PARTS)


def read(content: Row, where: str) -> Found:
    """Read the categories of whole images.

    Raises:
        DataError: an entry of another form, or an annotation of an image or category that is not there.
    """
    images = _by_id(content["images"], "image", "file_name", where)
    categories = _by_id(content["categories"], "category", "name", where)
    chosen: dict[Any, list[str]] = {number: [] for number in images}
    facts = {"shapes": 0, "never_annotated": 0}
    for place, one in enumerate(content["annotations"], 1):
        if not isinstance(one, dict) or not _is_of(one, images, categories):
            raise DataError(f"{where}: annotation {place} is of no image or no category of this file")
        box = one.get("bbox")
        if (any(box) if isinstance(box, list) else box) or one.get("segmentation"):
            facts["shapes"] += 1
        else:
            chosen[one["image_id"]].append(categories[one["category_id"]])
    facts["never_annotated"] = sum(not names for names in chosen.values())
    rows = [
        {"sample_id": images[number], "place": place, **one_of(names, where)}
        for place, (number, names) in enumerate(chosen.items(), 1)
    ]
    told = f"{where}: {plural(facts['shapes'], 'shape')} within images; only categories of whole images are answers"
    return Found(
        table(rows, where), "image", by_image=True, nameless=True, facts=facts, warnings=(told,) * bool(facts["shapes"])
    )


def _is_of(one: Row, images: Mapping[Any, str], categories: Mapping[Any, str]) -> bool:
    image, category = one.get("image_id"), one.get("category_id")
    are_ids = isinstance(image, int | str) and isinstance(category, int | str)
    return are_ids and image in images and category in categories


def _by_id(entries: list[Any], kind: str, name: str, where: str) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for place, entry in enumerate(entries, 1):
        number = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(number, int | str) or not isinstance(entry.get(name), str) or not entry[name]:
            raise DataError(f"{where}: {kind} {place} has no id or no {name}")
        if number in found:
            raise DataError(f"{where}: two {kind} entries have the id {shown(str(number))}")
        found[number] = entry[name]
    return found
