"""MedMNIST's archives by their names: class names, the order of grades, and what is no image of one class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

ORGANS = "bladder femur-left femur-right heart kidney-left kidney-right liver lung-left lung-right pancreas spleen"
CLASSES = {  # of MedMNIST's own medmnist/info.py, version 3.0.2
    "pathmnist": [
        "adipose",
        "background",
        "debris",
        "lymphocytes",
        "mucus",
        "smooth muscle",
        "normal colon mucosa",
        "cancer-associated stroma",
        "colorectal adenocarcinoma epithelium",
    ],
    "dermamnist": [
        "actinic keratoses and intraepithelial carcinoma",
        "basal cell carcinoma",
        "benign keratosis-like lesions",
        "dermatofibroma",
        "melanoma",
        "melanocytic nevi",
        "vascular lesions",
    ],
    "octmnist": ["choroidal neovascularization", "diabetic macular edema", "drusen", "normal"],
    "pneumoniamnist": ["normal", "pneumonia"],
    "retinamnist": ["0", "1", "2", "3", "4"],
    "breastmnist": ["malignant", "normal, benign"],
    "bloodmnist": [
        "basophil",
        "eosinophil",
        "erythroblast",
        "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
        "lymphocyte",
        "monocyte",
        "neutrophil",
        "platelet",
    ],
    "tissuemnist": [
        "Collecting Duct, Connecting Tubule",
        "Distal Convoluted Tubule",
        "Glomerular endothelial cells",
        "Interstitial endothelial cells",
        "Leukocytes",
        "Podocytes",
        "Proximal Tubule Segments",
        "Thick Ascending Limb",
    ],
    "organamnist": ORGANS.split(),
    "organcmnist": ORGANS.split(),
    "organsmnist": ORGANS.split(),
}
VOLUMES = [f"{name}mnist3d" for name in ("organ", "nodule", "adrenal", "fracture", "vessel", "synapse")]


def write(path: Path, classes: int, size: int = 8) -> Path:
    """Write two training, one validation and one test image of each class, in their order, no two alike."""
    generator = np.random.default_rng(0)
    made: dict[str, Any] = {}
    for split, each in (("train", 2), ("val", 1), ("test", 1)):
        made[f"{split}_images"] = generator.integers(0, 256, (each * classes, size, size), dtype=np.uint8)
        made[f"{split}_labels"] = (np.arange(each * classes) % classes).reshape(-1, 1).astype(np.uint8)
    np.savez(path, **made)
    return path


@pytest.mark.parametrize("data_set", list(CLASSES))
def test_the_name_of_the_archive_tells_the_names_of_the_classes(ingest: Any, tmp_path: Path, data_set: str) -> None:
    names = CLASSES[data_set]
    found = ingest(write(tmp_path / f"{data_set}.npz", len(names)))
    assert found.summary["layout"] == "medmnist"
    assert found.classes == {"names": names, "ordered": data_set == "retinamnist"}
    assert [found.labels[f"test-{index:06d}"] for index in range(len(names))] == names
    assert found.of_split("train") == dict.fromkeys(names, 2)
    assert found.of_split("val") == found.of_split("test") == dict.fromkeys(names, 1)
    found.goes_on()


@pytest.mark.parametrize("name", ["pneumoniamnist_64.npz", "pneumoniamnist_224.npz", "PneumoniaMNIST_128.npz"])
def test_the_size_in_the_name_changes_nothing(ingest: Any, tmp_path: Path, name: str) -> None:
    assert ingest(write(tmp_path / name, 2)).classes["names"] == ["normal", "pneumonia"]


@pytest.mark.parametrize("name", ["mnist.npz", "mypathmnist.npz", "pathmnist_96.npz"])
def test_an_archive_of_another_name_is_read_by_number(ingest: Any, tmp_path: Path, name: str) -> None:
    found = ingest(write(tmp_path / name, 2))
    assert found.summary["layout"] == "npz"
    assert found.classes == {"names": ["0", "1"], "ordered": False}
    assert found.labels["test-000001"] == "1"


def test_the_plain_layout_can_be_asked_for(ingest: Any, tmp_path: Path) -> None:
    found = ingest(write(tmp_path / "breastmnist.npz", 2), "--format", "npz")
    assert found.classes["names"] == ["0", "1"]


def test_several_labels_an_image_are_refused(ingest: Any, tmp_path: Path) -> None:
    source = write(tmp_path / "chestmnist_64.npz", 2)
    ingest(source).refused(
        f"{source}: chestmnist has any number of findings an image (multi-label); here each image has one class"
    )


@pytest.mark.parametrize("data_set", VOLUMES)
def test_volumes_are_refused(ingest: Any, tmp_path: Path, data_set: str) -> None:
    source = write(tmp_path / f"{data_set}.npz", 2)
    ingest(source).refused(f"{source}: {data_set} holds volumes; here only images of two dimensions are read")


def test_labels_that_the_data_set_has_not_are_told(ingest: Any, tmp_path: Path) -> None:
    source = write(tmp_path / "breastmnist.npz", 3)
    ingest(source).refused(
        f"{source}: 4 labels beyond 0 to 1, those of breastmnist (first: train-000002, 2); is it another file? "
        "(--format npz takes the labels as they are)"
    )


def test_a_name_that_is_none_of_medmnists_is_refused_with_the_nearest(ingest: Any, tmp_path: Path) -> None:
    source = write(tmp_path / "pathminst_64.npz", 2)
    ingest(source, "--format", "medmnist").refused(
        f"{source}: 'pathminst' is none of MedMNIST's data sets; did you mean 'pathmnist'?; the file's name tells the "
        "classes (--format npz takes the labels as they are)"
    )
