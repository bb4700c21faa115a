"""HyperKvasir's labelled images (Borgli et al. 2020): `labeled-images/<tract>/<kind>/<finding>/*.jpg`.

The class is the finding, as its folder is called. `image-labels.csv` (Video file, Organ, Finding, Classification) says
the same of each image by its name; where it says something else, the folder holds, and that is told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from alrctl.csv_files import read_csv
from alrctl.naming import IMAGE_SUFFIXES
from alrctl.sources.collection import Collection, Row, Table, folders_in, images_below, of_files
from alrctl.sources.tables import Part, check_columns, full_column, joined
from schemas.errors import DataError, listing, plural
from stages.ingest import IngestConfig

_TOP = "labeled-images"
_TRACTS = ("lower-gi-tract", "upper-gi-tract")
_TABLE = "image-labels.csv"
_NO_PATIENTS = "no patient is told: images of one examination may be in train and test"


@dataclass(frozen=True)
class _Told:
    """What the table says: name and finding of each image; and where the image is, None if it is not there."""

    path: Path
    images: list[str]
    findings: list[str]
    places: list[Path | None]


def recognises(source: Path) -> bool:
    """Say whether the folder, or one folder below it, holds the folder of a tract."""
    return _base(source) is not None


def _base(source: Path) -> Path | None:
    """Return the folder that holds the tracts: `labeled-images`, under whatever name."""
    if not source.is_dir():
        return None
    return next((path for path in (source, *folders_in(source)) if any((path / one).is_dir() for one in _TRACTS)), None)


def read(source: Path, config: IngestConfig) -> Collection:
    """List the images of each finding, and hold them to the table.

    Raises:
        DataError: no tract, an image outside of a finding's folder, or an image that the table names is not there.
    """
    base = _base(source)
    if base is None:
        raise DataError(f"{source}: has no folder {' or '.join(_TRACTS)}; wanted is {_TOP} as it was unpacked")
    paths = _images(base)
    rows: list[Row] = [(name, path.parent.name, None, None, name) for name, path in paths.items()]
    told = _told(base, paths)
    if told is None:
        found = of_files(rows, list(paths.values()), source)
        return replace(found, notes=(f"no {_TABLE}: the folders alone tell the findings", _NO_PATIENTS))
    pairs = Counter(
        (finding, path.parent.name) for finding, path in zip(told.findings, told.places, strict=True) if path
    )
    part = _part(rows, list(paths.values()), told, pairs, f"unpack {base.name} whole")
    return replace(joined([part], source), notes=(*_differences(told, paths, pairs), _NO_PATIENTS))


def _part(rows: list[Row], paths: list[Path], told: _Told, pairs: Counter[tuple[str, str]], mend: str) -> Part:
    """Add what the table names and no folder holds, under the name that the folder of its finding has."""
    folder_of = {finding: folder for (finding, folder), _ in reversed(pairs.most_common())}
    absent = [row for row, place in enumerate(told.places) if place is None]
    row_of = {place: row for row, place in enumerate(told.places) if place is not None}
    named = [path.stem for path in paths] + [told.images[row] for row in absent]
    findings = [folder_of.get(told.findings[row], _plain(told.findings[row])) for row in absent]
    missed: list[Row] = [
        (told.images[row], finding, None, None, told.images[row]) for row, finding in zip(absent, findings, strict=True)
    ]
    places = [row_of.get(path, 0) for path in paths] + absent  # those that are there are never told by row
    return Part(Table(told.path, "Video file", mend), rows + missed, [*paths, *[None] * len(absent)], named, places)


def _images(base: Path) -> dict[str, Path]:
    """Return the images below the tracts by their path below `base`."""
    names = [f"{tract}/{name}" for tract in _TRACTS for name in images_below(base / tract)]
    found = {name: base / name for name in names}
    stray = [name for name in found if name.count("/") != 3]
    if stray:
        raise DataError(
            f"{base}: {plural(len(stray), 'image')} not in a folder <tract>/<kind>/<finding> (first: '{stray[0]}'); "
            "which finding do they show?"
        )
    return found


def _told(base: Path, paths: dict[str, Path]) -> _Told | None:
    """Read the table, which lies beside the tracts or beside their folder; None if it is not there."""
    table_path = next((path for path in (base / _TABLE, base.parent / _TABLE) if path.is_file()), None)
    if table_path is None:
        return None
    table = read_csv(table_path)
    check_columns(table, table_path, ("Video file", "Finding"))
    images, findings = full_column(table, table_path, "Video file"), full_column(table, table_path, "Finding")
    by_name = {path.stem: path for path in paths.values()}
    return _Told(table_path, images, findings, [by_name.get(_stem(name)) for name in images])


def _stem(name: str) -> str:
    """Return an image's name without its suffix, if it stands with one."""
    return Path(name).stem if Path(name).suffix.lower() in IMAGE_SUFFIXES else name


def _differences(told: _Told, paths: dict[str, Path], pairs: Counter[tuple[str, str]]) -> tuple[str, ...]:
    """Say where the table and the folders differ: in a finding's name, an image's finding, an image without a row."""
    differing = {pair: count for pair, count in pairs.items() if _plain(pair[0]) != _plain(pair[1])}
    theirs, ours = _sums(pairs, 0), _sums(pairs, 1)
    renamed = {pair: count for pair, count in differing.items() if count == theirs[pair[0]] == ours[pair[1]]}
    doubtful = {pair: count for pair, count in differing.items() if pair not in renamed}
    named = set(told.places)
    unnamed = [name for name, path in paths.items() if path not in named]
    notes = []
    if renamed:
        notes.append(f"{_TABLE} calls findings otherwise than their folders: {_pairs(renamed)}")
    if doubtful:
        count = plural(sum(doubtful.values()), "image")
        notes.append(f"{_TABLE} has another finding than the folder for {count}, the folder holds: {_pairs(doubtful)}")
    if unnamed:
        notes.append(f"{plural(len(unnamed), 'image')} without a row in {_TABLE} (first: '{unnamed[0]}')")
    return tuple(notes)


def _plain(finding: str) -> str:
    return finding.casefold().replace(" ", "-")


def _sums(pairs: Counter[tuple[str, str]], side: int) -> Counter[str]:
    summed: Counter[str] = Counter()
    for pair, count in pairs.items():
        summed[pair[side]] += count
    return summed


def _pairs(counts: dict[tuple[str, str], int]) -> str:
    return listing([f"'{theirs}' for '{ours}' ({count:,})" for (theirs, ours), count in sorted(counts.items())], 30)
