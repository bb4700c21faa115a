"""ImageNet's layout: folders named as classes with images in them, or lists with `path idx [idx ...]` a line."""

from __future__ import annotations

import re
from collections.abc import Collection

from alrctl.answers.bundle import Bundle
from alrctl.answers.found import Found, Row, one_of, table
from alrctl.naming import split_name
from schemas.errors import DataError, listing, plural, shown
from stages.methods.class_reading import folded

SYNSETS = "synsets.txt"
NO_LABEL = "no_label"  # where Datumaro puts images without one
_LONGEST_INDEX = 9  # digits
_ENDS = re.compile(r"\r\n|\r|\n")  # and no other: a name may hold what Unicode counts as a line's end
HIDDEN = re.compile(r"(^|/)(\.|__MACOSX/)")


def lists(bundle: Bundle) -> list[str]:
    """Return the lists of a bundle with `synsets.txt` beside them."""
    texts = [name for name in bundle.ending_in(".txt") if not HIDDEN.search(name)]
    synsets = [name for name in texts if name.rpartition("/")[2] == SYNSETS]
    return [name for name in texts if name not in synsets] if synsets else []


def read_lists(bundle: Bundle) -> Found:
    """Read the lists.

    Raises:
        DataError: a line of another form, an index beyond the classes, or no or several lists of classes.
    """
    texts = [name for name in bundle.ending_in(".txt") if not HIDDEN.search(name)]
    synsets = [name for name in texts if name.rpartition("/")[2] == SYNSETS]
    if len(synsets) != 1:
        raise DataError(f"{bundle.path}: holds {len(synsets)} files '{SYNSETS}'; one is needed, with a class a line")
    classes = [line.strip() for line in _ENDS.split(bundle.text(synsets[0])[0]) if line.strip()]
    rows: list[Row] = []
    for name in lists(bundle):
        for number, line in enumerate(_ENDS.split(bundle.text(name)[0]), 1):
            if line.strip():
                rows.append(_line(line.strip(), number, classes, bundle.where(name)))
    facts = {"never_annotated": sum(row["label"] is None and row["problem"] is None for row in rows)}
    return Found(table(rows, str(bundle.path)), "line", by_image=True, nameless=True, facts=facts)


def _line(line: str, number: int, classes: list[str], where: str) -> Row:
    path, texts = _path_and_indices(line)
    beyond = [text[:_LONGEST_INDEX] for text in texts if len(text) > _LONGEST_INDEX or int(text) >= len(classes)]
    if beyond:
        known = plural(len(classes), "class", "classes")
        raise DataError(f"{where}: line {number} has index {beyond[0]}; {SYNSETS} has {known}, counted from 0")
    chosen = one_of([classes[int(text)] for text in texts], f"{where}: line {number}")
    return {"sample_id": path.replace('"', ""), "place": number, **chosen}


def _path_and_indices(line: str) -> tuple[str, list[str]]:
    """Return the path, which may hold blanks, and the numbers after it."""
    words = line.split()
    count = next((n for n, word in enumerate(words[:0:-1]) if not (word.isascii() and word.isdigit())), len(words) - 1)
    return line.rsplit(maxsplit=count)[0], words[len(words) - count :]


def read_folders(bundle: Bundle, classes: Collection[str]) -> Found:
    """Read the class of each image off the folder it lies in.

    That folder is the first on its path that is named as a class, or the first that is no split's. What comes after it
    is the image's name; an image in the folders of several classes is one with several classes.

    Args:
        bundle: the images.
        classes: names, and what the user says means a class.

    Raises:
        DataError: an image lies in no folder.
    """
    rows: list[Row] = []
    named = {*classes, *map(folded, classes), NO_LABEL}
    for number, name in enumerate([name for name in bundle.images if not HIDDEN.search(name)], 1):
        label, image = _placed(name, named)
        if label is None:
            raise DataError(f"{bundle.path}: '{shown(name)}' lies in no folder; its folder's name is its class")
        rows.append({"sample_id": image, "label": None if label == NO_LABEL else label, "place": number})
    several = _classes_of_repeated(rows)
    for row in rows:
        if row["sample_id"] in several:
            row |= {"label": None, "problem": several[row["sample_id"]]}
    facts = {"never_annotated": sum(row["label"] is None and row.get("problem") is None for row in rows)}
    return Found(table(rows, str(bundle.path)), "image", by_image=True, nameless=True, facts=facts)


def _placed(name: str, named: Collection[str]) -> tuple[str | None, str]:
    """Return the folder that is the class, and the name below it."""
    *folders, last = name.split("/")
    known = [place for place, folder in enumerate(folders) if folder in named or folded(folder) in named]
    others = [place for place, folder in enumerate(folders) if split_name(folder) is None]
    if not known and not others:
        return None, last
    place = (known or others)[0]
    return folders[place], "/".join([*folders[place + 1 :], last])


def _classes_of_repeated(rows: list[Row]) -> dict[str, str]:
    """Return what is wrong with images that lie in the folders of several classes."""
    folders: dict[str, list[str]] = {}
    for row in rows:
        if row["label"] is not None:
            folders.setdefault(row["sample_id"], []).append(row["label"])
    return {
        name: f"several classes chosen ({listing(sorted(set(labels)), 12)})"
        for name, labels in folders.items()
        if len(set(labels)) > 1
    }
