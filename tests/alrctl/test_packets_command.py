"""Packets in files: blind, each with what its annotator needs, and answers by code lead back to the samples."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import polars as pl
import pytest

from alrctl import csv_files
from tests.conftest import Alrctl


@pytest.fixture(scope="module")
def packets(finished: Path, tmp_path_factory: pytest.TempPathFactory, alrctl: Alrctl) -> Path:
    """The queue of 12, shared out among three, two for each sample. Not to be changed."""
    out = tmp_path_factory.mktemp("packets") / "packets"
    shared = [word for name in ("ann", "Dr. Ö/b", "cid") for word in ("--annotators", name)]
    ran = alrctl("packets", finished / "r1/queue", *shared, "--per-sample", 2, "-o", out)
    assert ran.code == 0, ran.err
    return out


def test_each_annotator_gets_a_page_a_table_tasks_and_images(packets: Path) -> None:
    stems = ("1-ann", "2-Dr._Ö_b", "3-cid")
    expected = {f"{stem}.{kind}" for stem in stems for kind in ("csv", "html", "tasks.json", "images.zip")}
    whole = {"manifest.json", "packets.parquet", "queue.parquet", "labelling_config.xml"}
    assert {path.name for path in packets.iterdir()} == expected | whole


def test_nothing_in_a_packet_tells_the_label_or_the_sample(packets: Path) -> None:
    queue = pl.read_parquet(packets / "queue.parquet")
    for path in packets.glob("1-ann*"):
        if path.suffix == ".zip":
            with ZipFile(path) as packed:
                content = "\n".join(packed.namelist())
        else:
            content = path.read_text(encoding="utf-8")
        for sample in queue["sample_id"]:
            assert sample not in content, path
        assert queue["reason"][0] not in content
    task = json.loads((packets / "1-ann.tasks.json").read_text())[0]
    assert set(task["data"]) == {"image", "sample_id"}
    assert csv_files.read_csv(packets / "1-ann.csv").columns == [
        "position",
        "sample_id",
        "label",
        "annotator",
        "comment",
    ]


def answer(packets: Path, stem: str, path: Path, label: str = "blue") -> Path:
    """Fill a packet's table in."""
    csv_files.write_csv(csv_files.read_csv(packets / f"{stem}.csv").with_columns(label=pl.lit(label)), path)
    return path


def test_answers_by_code_lead_back_and_two_packets_settle_what_they_share(
    packets: Path, finished: Path, tmp_path: Path, alrctl: Alrctl
) -> None:
    place = finished / "noisy"
    for number, stem in enumerate(("1-ann", "2-Dr._Ö_b", "3-cid"), 1):
        filled = answer(packets, stem, tmp_path / f"{number}.csv", "green" if number == 3 else "blue")
        command = ("relabel", place, "--queue", packets, "--answers", filled, "--min-annotators", 2)
        ran = alrctl(*command, "--json", "-o", tmp_path / f"l{number}")
        assert ran.code == 0, ran.err
        place = tmp_path / f"l{number}"
    told = pl.read_parquet(packets / "packets.parquet")
    asked = told.group_by("sample_id").agg("annotator")
    labels = dict(pl.read_parquet(place / "labels.parquet").select("sample_id", "label").iter_rows())
    conflicts = set(pl.read_parquet(place / "conflicts.parquet")["sample_id"])
    for sample, people in asked.iter_rows():
        if "cid" in people:
            assert sample in conflicts
        else:
            assert labels[sample] == "blue"
    assert ran.document["summary"]["labels_bought"] == 24
    assert ran.document["summary"]["waiting"] == 0


def test_images_of_a_packet_lead_back_by_their_names(
    packets: Path, finished: Path, tmp_path: Path, alrctl: Alrctl
) -> None:
    with ZipFile(packets / "3-cid.images.zip") as packed:
        names = packed.namelist()
    tags = "".join(f'<image id="0" name="{name}"><tag label="green"/></image>' for name in names)
    (tmp_path / "a.xml").write_text(f"<annotations>{tags}</annotations>")
    command = ("relabel", finished / "noisy", "--queue", packets, "--answers", tmp_path / "a.xml")
    assert alrctl(*command, "--annotator", "cid", "-o", tmp_path / "out").code == 0
    ledger = pl.read_parquet(tmp_path / "out/ledger.parquet")
    own = pl.read_parquet(packets / "packets.parquet").filter(annotator="cid")
    assert set(ledger["sample_id"]) == set(own["sample_id"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--annotators", "ann"), "packets are for two annotators or more"),
        (("--annotators", "ann", "--annotators", "ANN"), "two annotators have the same name"),
        (("--annotators", "a", "--annotators", "b", "--per-sample", 3), "--per-sample: 3 annotators a sample, and"),
        ((), "missing --annotators"),
    ],
)
def test_what_makes_no_packets_is_refused(
    finished: Path, tmp_path: Path, alrctl: Alrctl, arguments: tuple[object, ...], told: str
) -> None:
    ran = alrctl("packets", finished / "r1/queue", *arguments, "-o", tmp_path / "out")
    assert ran.code == 2
    assert told in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
