"""CVAT for images 1.1: an XML with a tag for the class of each image. It says neither who answered nor when."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import defusedxml.ElementTree

from alrctl import files
from alrctl.answers.bundle import Bundle
from alrctl.answers.found import Found, Row, one_of, table
from schemas.errors import DataError, plural, shown

_SHAPES = ("box", "polygon", "polyline", "points", "mask", "cuboid", "skeleton", "ellipse")


def read(bundle: Bundle, name: str) -> Found:
    """Read the XML.

    A tag that a program put there (source `auto`) is no answer of a person.

    Raises:
        DataError: no XML of CVAT for images, or one with entities.
    """
    where = bundle.where(name)
    root = parse(bundle, name)
    if root.tag != "annotations":
        raise DataError(f"{where}: begins with <{shown(root.tag)}>; CVAT for images begins with <annotations>")
    if root.find("track") is not None:
        raise DataError(f"{where}: holds tracks of a video; export as 'CVAT for images 1.1'")
    rows: list[Row] = []
    facts = {"never_annotated": 0, "by_a_program": 0, "shapes": 0}
    for place, image in enumerate(root.iter("image"), 1):
        tags = image.findall("tag")
        by_hand = [tag for tag in tags if tag.get("source") != "auto"]
        facts["by_a_program"] += len(tags) - len(by_hand)
        facts["shapes"] += sum(len(image.findall(shape)) for shape in _SHAPES)
        facts["never_annotated"] += not by_hand
        rows.append(_row(image, by_hand, place, where))
    return Found(
        table(rows, where), "image", by_image=True, nameless=True, facts=facts, warnings=_warnings(facts, where)
    )


def _row(image: Element, tags: list[Element], place: int, where: str) -> Row:
    name = image.get("name")
    if not name:
        raise DataError(f"{where}: image {place} has no name")
    if any(not tag.get("label") for tag in tags):
        raise DataError(f"{where}: image {place} ('{shown(name)}') has a tag without a label")
    chosen = one_of([tag.get("label") for tag in tags], f"{where}: image {place}")
    return {"sample_id": name, "place": place, **chosen}


def _warnings(facts: dict[str, int], where: str) -> tuple[str, ...]:
    told = []
    if facts["by_a_program"]:
        told.append(f"{where}: {plural(facts['by_a_program'], 'tag')} put there by a program, not a person; left out")
    if facts["shapes"]:
        told.append(f"{where}: {plural(facts['shapes'], 'shape')} within images; only tags of whole images are answers")
    return tuple(told)


def parse(bundle: Bundle, name: str) -> Element:
    """Parse XML without entities, which can be made to swallow memory or read files.

    Raises:
        DataError: no XML, or one with entities.
    """
    with files.explained_read(bundle.path, "XML"):
        root: Element = defusedxml.ElementTree.fromstring(bundle.read(name), forbid_dtd=True)
    return root
