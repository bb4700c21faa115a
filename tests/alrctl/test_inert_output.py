"""Names that would do something in a page, a spreadsheet, a shell or a path do nothing, and come back as they were."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from schemas.queue import QUEUE

Alrctl = Callable[..., Any]
CLASSES = ("<script>alert(1)</script>", '=HYPERLINK("http://x","y")', "@SUM(1)", "-1")
IDS = (
    *("../../up", "/etc/passwd", "javascript:alert(1)", "+1", "<img src=x onerror=alert(1)>", "a\tb"),
    *("$(touch RAN)", "`x`"),
)
ANNOTATORS = ("../../<b>=ann", "@bob")


class Tags(HTMLParser):
    """Notes what a page would do: scripts, handlers, and where it leads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.found += [f"{tag} {name}" for name in told if name.startswith("on")]
        self.found += [f"{tag} {told[name]}" for name in ("src", "href") if "javascript:" in (told.get(name) or "")]
        if tag == "script" or (tag == "img" and told.get("src") == "x"):
            self.found.append(tag)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, alrctl: Alrctl) -> Path:
    """Data, labels, queue, answers taken in, an evaluation and the pages, all of hostile names."""
    root = tmp_path_factory.mktemp("hostile")
    pictures, rows = root / "pictures", [["path", "label", "sample_id"]]
    pictures.mkdir()
    for number in range(60):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number}.png")
        name = IDS[number] if number < len(IDS) else f"={number}"
        rows.append([f"{number}.png", CLASSES[number % len(CLASSES)], name])
    with (pictures / "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    work = root / "work"

    def run(*words: object) -> None:
        ran = alrctl(*words)
        assert ran.code == 0, ran.err

    run("ingest", pictures / "list.csv", "-o", work / "data", "--image-size", 8)
    labels = pl.read_parquet(work / "data/labels.parquet")
    data = pl.read_parquet(work / "data/samples.parquet").join(labels, on="sample_id")
    told = {"rank": range(1, 61), "sample_id": data["sample_id"]}
    told |= {name: data["label"] for name in ("given_label", "suggested_label", "reason")}
    queue = root / "queue/queue.parquet"
    queue.parent.mkdir()
    QUEUE.make(told).write_parquet(queue)
    shared = [word for name in ANNOTATORS for word in ("--annotators", name)]
    run("packets", queue, "--data", work / "data", *shared, "-o", work / "packets")
    run("review", queue, "--data", work / "data", "-o", root / "review.html", "--annotator", "=1+1")
    asked = pl.read_csv(next((work / "packets").glob("1-*.csv")), infer_schema=False)
    asked.with_columns(label=pl.lit(CLASSES[1])).write_csv(root / "answers.csv")
    run("relabel", work / "data", "--queue", work / "packets", "--answers", root / "answers.csv", "-o", work / "labels")
    chances = {name: pl.lit(1 / len(CLASSES)) for name in CLASSES}
    data.filter(split="test").select("sample_id", **chances).write_parquet(root / "theirs.parquet")
    quick = ("--split", "test", "--bootstrap", 0, "--no-figures")
    run("evaluate", work / "data", "--predictions", root / "theirs.parquet", *quick, "-o", work / "eval")
    run("report", work, "-o", root / "report.html")
    return root


def test_pages_do_nothing_by_the_names_in_them(project: Path) -> None:
    pages = [project / "report.html", project / "review.html", *(project / "work/packets").glob("*.html")]
    assert len(pages) == 4
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert all(found == "script" for found in Tags(text).found), Tags(text).found
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in (project / "report.html").read_text(encoding="utf-8")


def test_no_cell_of_a_csv_begins_like_a_formula(project: Path) -> None:
    tables = list(project.rglob("work/**/*.csv"))
    assert tables
    for table in tables:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert [
            cell for cell in cells if re.match(r"[=+\-@\t\r]", cell) and not re.fullmatch(r"-?[\d.e-]+", cell)
        ] == []


def test_hostile_names_come_back_as_they_were(project: Path) -> None:
    labels = pl.read_parquet(project / "work/labels/labels.parquet")
    assert set(IDS) <= set(labels["sample_id"])
    assert set(labels.filter("relabelled")["label"]) == {CLASSES[1]}
    assert yaml.safe_load((project / "work/data/classes.yaml").read_text())["names"] == sorted(CLASSES)
    ledger = pl.read_parquet(project / "work/labels/ledger.parquet")
    assert set(ledger["annotator"].drop_nulls()) == {ANNOTATORS[0]}


def test_nothing_is_written_outside_the_output(project: Path) -> None:
    written = {path.name for path in project.iterdir()}
    made = {"pictures", "work", "queue", "answers.csv", "theirs.parquet", "report.html", "review.html"}
    assert written == made
    assert not list(project.parent.glob("up*"))
    for packed in project.rglob("*.zip"):
        with zipfile.ZipFile(packed) as archive:
            names = archive.namelist()
        assert names and all("/" not in name and "\\" not in name and ".." not in name for name in names)


def test_files_for_labelling_tools_hold_names_as_text(project: Path) -> None:
    config = ET.parse(project / "work/packets/labelling_config.xml")
    assert [choice.get("value") for choice in config.iter("Choice")] == sorted(CLASSES)
    tasks = json.loads(next((project / "work/packets").glob("*.tasks.json")).read_text())
    assert all(task["data"]["image"].startswith("data:image/") for task in tasks)


def test_exported_names_run_nothing(alrctl: Alrctl, project: Path, tmp_path: Path) -> None:
    ran = tmp_path / "RAN"
    folder = tmp_path / f"a;touch {ran.name};$(touch {ran.name})`touch {ran.name}`'\"b"
    folder.mkdir()
    name = "$(touch RAN);`touch RAN`;'\"=x"
    content = {"source": str(project / "pictures/list.csv"), "ingest": {"exclude-class": [name]}, "rounds": 0}
    (folder / "p.yaml").write_text(yaml.safe_dump(content | {"report": False, "output": "work"}))
    told = alrctl("export", "make", folder / "p.yaml", "-o", folder / "Makefile")
    assert told.code == 0, told.err
    made = subprocess.run(["make", "-k", "ALRCTL=true"], cwd=folder, capture_output=True, text=True, check=False)
    assert "touch RAN" in made.stdout  # as a word of the command
    assert not list(tmp_path.rglob("RAN"))


@pytest.mark.parametrize("engine", ["make", "snakemake"])
def test_a_line_break_in_a_name_does_not_end_a_comment(engine: str, alrctl: Alrctl, tmp_path: Path) -> None:
    path = tmp_path / "p\nimport os; os.system('x')\n.yaml"
    path.write_text(yaml.safe_dump({"source": "photos", "report": False}))
    ran = alrctl("export", engine, path, "-o", tmp_path / "out")
    assert ran.code == 2
    assert not (tmp_path / "out").exists()
