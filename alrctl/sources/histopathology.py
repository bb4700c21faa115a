"""NCT-CRC-HE-100K (Kather et al. 2018): nine folders of patches, and `CRC-VAL-HE-7K` of other patients as the test set.

As distributed it is nearly balanced; `--imbalance-ratio` makes the train split long-tailed, and leaves val and test
alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from alrctl.naming import IMAGE_SUFFIXES
from alrctl.sources.collection import Collection, Row, folders_in, images_below, of_files
from schemas.errors import DataError, listing
from stages.ingest import IngestConfig

_TISSUES = ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")
_TRAIN = ("NCT-CRC-HE-100K", "NCT-CRC-HE-100K-NONORM")
_TEST = "CRC-VAL-HE-7K"


def recognises(source: Path) -> bool:
    """Say whether the folder is, or holds, a training set: by its name, or by the nine tissues and no other folder."""
    return source.is_dir() and (bool(_sets(source)) or _is_set(source))


def _sets(source: Path) -> list[Path]:
    """Return the training sets by name: those in the folder, or itself."""
    inside = [source / name for name in _TRAIN if (source / name).is_dir()]
    return inside or ([source] if source.resolve().name in _TRAIN else [])


def _is_set(folder: Path) -> bool:
    return tuple(path.name for path in folders_in(folder)) == _TISSUES


def read(source: Path, config: IngestConfig) -> Collection:
    """List the patches of each tissue; `CRC-VAL-HE-7K` in the folder, or beside the training set, is the test split.

    Raises:
        DataError: no training set, or two; a tissue without a folder or a patch; a folder that is no tissue.
    """
    if not source.is_dir():
        raise DataError(f"{source}: is not a folder")
    found = _sets(source) or ([source] if _is_set(source) else [])
    if not found:
        raise DataError(f"{source}: has no folder {' or '.join(_TRAIN)}, nor the nine tissues ({', '.join(_TISSUES)})")
    if len(found) > 1:
        raise DataError(f"{source}: holds {' and '.join(_TRAIN)}, the same patches twice; name the folder of one")
    train = found[0]
    test = _test_set(train)
    patches = _patches(train, None) + (_patches(test, "test") if test else [])
    found_files = of_files([row for row, _ in patches], [path for _, path in patches], source, _TISSUES)
    return replace(found_files, notes=_notes(test is not None, config))


def _test_set(train: Path) -> Path | None:
    """Return the test set beside a training set, or beside the folder of the same name that it was unpacked into."""
    parent = train.resolve().parent
    places = [parent / _TEST, *([parent.parent / _TEST] if parent.name in _TRAIN else [])]
    return next((place for place in places if place.is_dir()), None)


def _patches(folder: Path, split: str | None) -> list[tuple[Row, Path]]:
    """Return a row and a path for each patch of a set.

    Raises:
        DataError: a tissue without a folder or a patch, or a folder that is no tissue.
    """
    name = folder.resolve().name
    inner = folder / name  # some programs unpack an archive into a folder of its name
    top = inner if inner.is_dir() else folder
    foreign = [path.name for path in folders_in(top) if path.name not in _TISSUES]
    if foreign:
        raise DataError(
            f"{top}: has the folder '{foreign[0]}', which is none of {', '.join(_TISSUES)}; --format folder"
        )
    found = {tissue: images_below(top / tissue) for tissue in _TISSUES}
    empty = [tissue for tissue, patches in found.items() if not patches]
    if empty:
        wanted = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"{top}: has no image of {listing(empty, 9)} (looked for {wanted}); unpack {name}.zip whole")
    return [
        ((place := f"{name}/{tissue}/{patch}", tissue, split, None, place), top / tissue / patch)
        for tissue, patches in found.items()
        for patch in patches
    ]


def _notes(has_test: bool, config: IngestConfig) -> tuple[str, ...]:
    notes = ["no patient is told: patches of one may be in train and val"]
    if not has_test:
        notes = [f"no {_TEST} beside it: test is made of the training set, and patches of one patient may be in both"]
    if config.imbalance_ratio is None:
        notes.append("the classes are as distributed; --imbalance-ratio makes the train split long-tailed")
    return tuple(notes)
