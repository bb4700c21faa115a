"""What `select` writes for annotators leads back to its samples, whatever they and the classes are called."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from PIL import Image

from alrctl import annotators, csv_files, files

CLASSES = ("red", "dark blue", "=green", "<i>&amp;", '"a", b; c', "+1", "naïve_x")
IDS = ("photos/a 1.png", "007", "=7", "<b>&amp;", "ß;x", "s6", "a\\b", "..", "7", "a_1", '@x,"y"', "1e5")
CHOSEN = {name: CLASSES[1 + place % 6] for place, name in enumerate(IDS)}


class Project:
    """Labels, classes, a queue of all but one sample, and the command on them."""

    def __init__(self, folder: Path, alrctl: Any) -> None:
        self.folder, self.alrctl = folder, alrctl

    def run(self, answers: Path, *more: Any) -> dict[str, str]:
        where = ("--queue", self.folder / "queue.parquet", "-o", self.folder / "labels", "--answers", answers)
        ran = self.alrctl("relabel", self.folder / "data", *where, *more)
        assert ran.code == 0, ran.err
        return dict(pl.read_parquet(self.folder / "labels" / "labels.parquet").select("sample_id", "label").iter_rows())


@pytest.fixture
def project(tmp_path: Path, alrctl: Any) -> Project:
    (tmp_path / "data").mkdir()
    files.write_yaml({"names": list(CLASSES)}, tmp_path / "data" / "classes.yaml")
    labels = {"sample_id": [*IDS, "outside"], "label": ["red"] * (len(IDS) + 1)}
    pl.DataFrame(labels).write_parquet(tmp_path / "data" / "labels.parquet")
    asked = {"rank": range(1, len(IDS) + 1), "sample_id": IDS, "given_label": "red", "suggested_label": "=green"}
    pl.DataFrame(asked).write_parquet(tmp_path / "queue.parquet")
    return Project(tmp_path, alrctl)


def pictures() -> list[annotators.Picture]:
    return [annotators.Picture(name, np.full((8, 8, 3), 20 * n, np.uint8)) for n, name in enumerate(IDS)]


@pytest.fixture
def packet(project: Project) -> Path:
    """What `select` writes for annotators."""
    queue = pl.read_parquet(project.folder / "queue.parquet").with_columns(
        suggested_certainty=pl.lit(0.5), reason=pl.lit("=1+1")
    )
    (project.folder / "packet").mkdir()
    annotators.write(project.folder / "packet", queue, pictures(), CLASSES)
    empty = {name: pl.lit(None, pl.String) for name in ("label", "annotator", "comment")}
    csv_files.write_csv(queue.with_columns(**empty), project.folder / "packet" / "queue.csv")
    return project.folder / "packet"


def test_the_queues_own_sheet_filled_in_leads_back_to_the_samples(project: Project, packet: Path) -> None:
    table = csv_files.read_csv(packet / "queue.csv")
    filled = table.with_columns(label=pl.Series([CHOSEN[name] for name in table["sample_id"]]), annotator=pl.lit("ann"))
    csv_files.write_csv(filled, packet / "queue.csv")
    assert project.run(packet / "queue.csv") == CHOSEN | {"outside": "red"}


def test_the_tasks_answered_lead_back_to_the_samples(project: Project, packet: Path) -> None:
    tasks = json.loads((packet / "tasks.json").read_text(encoding="utf-8"))
    for number, task in enumerate(tasks, 1):
        chosen = {"choices": [CHOSEN[task["data"]["sample_id"]]]}
        result = [{"from_name": "label", "to_name": "image", "type": "choices", "value": chosen}]
        task |= {
            "id": number,
            "annotations": [{"id": number, "completed_by": 1, "was_cancelled": False, "result": result}],
        }
    files.write_json(tasks, packet / "export.json")
    assert project.run(packet / "export.json") == CHOSEN | {"outside": "red"}


@pytest.mark.parametrize("form", ["cvat", "folders"])
def test_the_names_of_the_archives_images_lead_back_to_the_samples(form: str, project: Project, packet: Path) -> None:
    with zipfile.ZipFile(packet / "images.zip") as packed:
        names = packed.namelist()
    assert len(names) == len(IDS)
    labels = [CHOSEN[name] for name in IDS]  # the archive is in rank order
    if form == "cvat":
        root = ElementTree.Element("annotations")
        for name, label in zip(names, labels, strict=True):
            ElementTree.SubElement(ElementTree.SubElement(root, "image", name=name), "tag", label=label)
        path = packet / "a.xml"
        path.write_bytes(ElementTree.tostring(root))
    else:
        path = project.folder / "folders"
        for name, label in zip(names, labels, strict=True):
            (path / label).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (2, 2)).save(path / label / name)
    assert project.run(path, "--annotator", "ann") == CHOSEN | {"outside": "red"}
