"""MedMNIST (Yang et al. 2023): `.npz` files whose name tells the data set, and so the classes' names.

The names are those of MedMNIST's own description of its files (`medmnist/info.py`, version 3.0.2), by index.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from alrctl.sources.collection import Collection, Row, of_arrays
from alrctl.sources.npz import read_arrays
from schemas.errors import DataError, nearest, plural
from stages.ingest import IngestConfig

_ORGANS = (
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
)
_CLASSES: dict[str, tuple[str, ...]] = {
    "pathmnist": (
        "adipose",
        "background",
        "debris",
        "lymphocytes",
        "mucus",
        "smooth muscle",
        "normal colon mucosa",
        "cancer-associated stroma",
        "colorectal adenocarcinoma epithelium",
    ),
    "dermamnist": (
        "actinic keratoses and intraepithelial carcinoma",
        "basal cell carcinoma",
        "benign keratosis-like lesions",
        "dermatofibroma",
        "melanoma",
        "melanocytic nevi",
        "vascular lesions",
    ),
    "octmnist": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "retinamnist": ("0", "1", "2", "3", "4"),
    "breastmnist": ("malignant", "normal, benign"),
    "bloodmnist": (
        "basophil",
        "eosinophil",
        "erythroblast",
        "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
        "lymphocyte",
        "monocyte",
        "neutrophil",
        "platelet",
    ),
    "tissuemnist": (
        "Collecting Duct, Connecting Tubule",
        "Distal Convoluted Tubule",
        "Glomerular endothelial cells",
        "Interstitial endothelial cells",
        "Leukocytes",
        "Podocytes",
        "Proximal Tubule Segments",
        "Thick Ascending Limb",
    ),
    "organamnist": _ORGANS,
    "organcmnist": _ORGANS,
    "organsmnist": _ORGANS,
}
_ORDERED = frozenset({"retinamnist"})
_MULTI_LABEL = frozenset({"chestmnist"})
_VOLUMES = frozenset(
    {"organmnist3d", "nodulemnist3d", "adrenalmnist3d", "fracturemnist3d", "vesselmnist3d", "synapsemnist3d"}
)
_ALL = (*_CLASSES, *_MULTI_LABEL, *sorted(_VOLUMES))
_SIZE = re.compile(r"_(28|64|128|224)$")


def recognises(source: Path) -> bool:
    """Say whether `source` is a numpy archive named like one of MedMNIST's, at any size."""
    return source.is_file() and source.suffix.lower() == ".npz" and _data_set(source) in _ALL


def _data_set(source: Path) -> str:
    return _SIZE.sub("", source.stem.lower())


def read(source: Path, config: IngestConfig) -> Collection:
    """Read the arrays and their splits, labels by name.

    Raises:
        DataError: the name is none of MedMNIST's, the data set is of several labels an image or of volumes, a label
            that the data set has not, or arrays that do not fit.
    """
    data_set = _data_set(source)
    _refuse(source, data_set)
    names = _CLASSES[data_set]
    rows, images = read_arrays(source)
    beyond = [row for row in rows if not 0 <= int(row[1]) < len(names)]
    if beyond:
        raise DataError(
            f"{source}: {plural(len(beyond), 'label')} beyond 0 to {len(names) - 1}, those of {data_set} (first: "
            f"{beyond[0][0]}, {beyond[0][1]}); is it another file? (--format npz takes the labels as they are)"
        )
    named: list[Row] = [(name, names[int(label)], *rest) for name, label, *rest in rows]  # type: ignore[misc]
    present = {row[1] for row in named}
    found = of_arrays(named, lambda index: images[index], source, tuple(name for name in names if name in present))
    return replace(found, extra_files=(source,), ordered=data_set in _ORDERED)


def _refuse(source: Path, data_set: str) -> None:
    if data_set in _MULTI_LABEL:
        raise DataError(
            f"{source}: {data_set} has any number of findings an image (multi-label); here each image has one class"
        )
    if data_set in _VOLUMES:
        raise DataError(f"{source}: {data_set} holds volumes; here only images of two dimensions are read")
    if data_set not in _CLASSES:
        guess = nearest(data_set, _ALL) or f" ({', '.join(_CLASSES)})"
        raise DataError(
            f"{source}: '{data_set}' is none of MedMNIST's data sets{guess}; the file's name tells the classes "
            "(--format npz takes the labels as they are)"
        )
