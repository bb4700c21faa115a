"""Which sample a name in an answer means: its id, the code of a blind packet, or what its image is called."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from schemas.errors import DataError, plural, shown

_SUFFIX = re.compile(r"\.(jpe?g|png|tiff?|bmp|gif|webp|dcm)$", re.IGNORECASE)  # no other: ids may end in `.1`


@dataclass(frozen=True)
class Names:
    """What the samples are called, besides their ids.

    Attributes:
        codes: the sample of each code of a blind packet.
        archived: the sample of each file in the queue's `images.zip`.
        sources: the sample of each path or record it was ingested from.
        ranks: the sample of each rank in the queue.
    """

    codes: Mapping[str, str] = field(default_factory=dict)
    archived: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    ranks: Mapping[int, str] = field(default_factory=dict)


def of_ids(names: Iterable[str], known: Collection[str], others: Names) -> dict[str, str]:
    """Return the sample of each name that is an id or a code; the others are left out.

    Raises:
        DataError: a name is the code of one sample and the id of another.
    """

    def meant(name: str) -> set[str]:
        coded = {others.codes[name]} if name in others.codes else set()
        return coded | {name} if name in known else coded

    return _told_apart(names, meant, "name")


def _told_apart(names: Iterable[str], meant_by: Callable[[str], set[str]], kind: str) -> dict[str, str]:
    """Return the sample of each name that means one; those that mean none are left out.

    Raises:
        DataError: a name means two.
    """
    found, doubtful = {}, []
    for name in names:
        meant = meant_by(name)
        if len(meant) == 1:
            found[name] = next(iter(meant))
        elif meant:
            doubtful.append((name, sorted(meant)))
    _refuse(doubtful, kind)
    return found


def _refuse(doubtful: list[tuple[str, list[str]]], kind: str) -> None:
    """Refuse names that mean two samples."""
    if doubtful:
        name, meant = doubtful[0]
        one, other = map(shown, meant[:2])
        raise DataError(
            f"{plural(len(doubtful), kind)} may be one of several samples (first: '{shown(name)}' is '{one}' or "
            f"'{other}'); give the images names that lead back to one sample each, or name samples by their ids"
        )


def of_images(names: Iterable[str], known: Collection[str], others: Names, labels: Collection[str]) -> dict[str, str]:
    """Return the sample of each name that an image goes by in another tool; the others are left out.

    A name is, in this order, the sample's id or code, the path it came from, or its name in the queue's archive; then
    the same without the folders before it, without the suffix, or without `CLASS_` in front, as ImageNet's layout
    has it. Each must lead to one sample alone.

    Args:
        names: as the file has them.
        known: ids of the samples.
        others: what else they are called.
        labels: words that may stand in front.

    Raises:
        DataError: a name means two samples.
    """
    by_part = _by_part(
        [*((name, name) for name in known), *others.sources.items(), *others.archived.items(), *others.codes.items()]
    )
    return _told_apart(names, lambda name: _whole(name, known, others) or _parts(name, by_part, labels), "image")


def _whole(name: str, known: Collection[str], others: Names) -> set[str]:
    """Return what a name means as it stands; in the archive it may have had any suffix."""
    meant = {table[name] for table in (others.codes, others.sources) if name in table}
    stems = (name, _SUFFIX.sub("", name))
    packed = {others.archived[stem] for stem in stems if stem in others.archived}
    own = {stem for stem in (stems if packed else (name,)) if stem in known}
    return meant | packed | own


def _by_part(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return the samples by each name without folders, with and without its suffix."""
    found: dict[str, set[str]] = {}
    for name, sample in pairs:
        for part in _shortened(name):
            found.setdefault(part, set()).add(sample)
    return found


def _shortened(name: str) -> set[str]:
    last = name.replace("\\", "/").rpartition("/")[2]
    return {name, _SUFFIX.sub("", name), last, _SUFFIX.sub("", last)}


def _parts(name: str, by_part: Mapping[str, set[str]], labels: Collection[str]) -> set[str]:
    last = name.replace("\\", "/").rpartition("/")[2]
    for whole in (name, last):
        if found := _with_or_without_suffix(whole, by_part):
            return found
    plain = [last.removeprefix(f"{label}_") for label in labels if last.startswith(f"{label}_")]
    return set().union(*(_with_or_without_suffix(rest, by_part) for rest in plain))


def _with_or_without_suffix(name: str, by_part: Mapping[str, set[str]]) -> set[str]:
    return by_part.get(name) or by_part.get(_SUFFIX.sub("", name), set())


def of_ranks(rows: Iterable[tuple[str, str | None]], others: Names) -> dict[tuple[str, str | None], str]:
    """Return the sample of each id that a spreadsheet changed, by the rank beside it.

    A spreadsheet writes the id 007 as 7 and 1e5 as 100000, and an id =7 as 7. Where the row's rank is that of a sample
    whose id is another spelling of the same number, that sample is meant, even if there is a sample 7 too.

    Args:
        rows: name and rank as text.
        others: the samples' ranks.
    """
    found = {}
    for name, rank in rows:
        sample = others.ranks.get(int(rank)) if rank is not None and rank.isascii() and rank.isdigit() else None
        if sample is not None and name != sample and same_number(name, sample):
            found[name, rank] = sample
    return found


def same_number(one: str, other: str) -> bool:
    """Say whether two texts are the same number."""
    try:
        return float(one.replace(",", ".")) == float(other.lstrip("'=+@"))
    except ValueError:
        return False
