"""Whatever strikes a stage, nothing finished is lost, nothing half-done is taken for a whole, and one line says so.

`benchmarks/every_fault.py` puts each fault at each moment of each stage; here each stage has one of each kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from filelock import FileLock

from alrctl import csv_files, images, workplace
from tests.alrctl import faults, file_calls
from tests.alrctl.faults import STAGES, Server, Trial
from tests.conftest import Alrctl

watched = pytest.mark.skipif(not file_calls.AVAILABLE, reason="system calls are stopped on Linux on x86-64 only")
DIRECTORIES = [name for name, stage in STAGES.items() if name != "run" and "." not in stage.out]
SLOW = {"train-lnl": 1, "compare": 1, "run": 2}
"""Stages that take seconds, and how often each is killed."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Commands in children of one process that has imported everything."""
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="module")
def project(finished: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every stage can run; `out` is where they write."""
    return faults.prepare(finished, photos, tmp_path_factory.mktemp("faults") / "project")


@watched
@pytest.mark.parametrize("name", STAGES)
def test_no_fault_loses_anything_or_leaves_anything_half_done(server: Server, project: Path, name: str) -> None:
    number = list(STAGES).index(name)
    trial = Trial(server, project, name, replacing=number % 3 == 1 and name not in SLOW)
    kinds = list(faults.EXPECTED)
    struck = ("kill",) * SLOW[name] if name in SLOW else ("kill", kinds[1 + number % 4])
    wrong = []
    for place, fault in enumerate(struck, 1):
        wrong += trial.disturb(fault, (place * trial.calls) // (len(struck) + 1) + number % 3)
    assert wrong + trial.repeat() == []


@watched
def test_a_training_that_is_asked_to_end_goes_on_later(server: Server, project: Path) -> None:
    trial = Trial(server, project, "recalibrate")
    assert trial.disturb("term", trial.calls // 2) == []
    assert (project / "out/.model.alrctl/state/index.json").is_file()
    assert trial.repeat() == []


@watched
@pytest.mark.parametrize(("fault", "code", "word"), [("term", 143, "terminated"), ("interrupt", 130, "interrupted")])
def test_both_ways_to_ask_for_an_end_have_a_word_and_a_code(
    server: Server, project: Path, fault: str, code: int, word: str
) -> None:
    ended = server.run(project, STAGES["corrupt"].command, fault, 8)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err == f"error: {word}; nothing half-done was left, the same command goes on\n"
    assert not [path for path in (project / "out").iterdir() if "noisy" in path.name]


@pytest.mark.parametrize("name", DIRECTORIES)
def test_a_second_run_on_one_directory_is_refused_at_once(alrctl: Alrctl, project: Path, name: str) -> None:
    stage = STAGES[name]
    words = [project / word if (project / word.split("/")[0]).exists() else word for word in stage.command]
    hidden = workplace.beside(project / stage.out)
    hidden.mkdir()
    with FileLock(hidden / "lock"):
        ran = alrctl(*words, "--force")
    assert ran.code == 2
    told = f"error: -o {project / stage.out}: another alrctl is writing there; wait for it to end"
    assert ran.err.splitlines()[-1] == told
    (hidden / "lock").unlink(missing_ok=True)
    hidden.rmdir()


@watched
@pytest.mark.parametrize("options", ["size=32k", "size=1m,nr_inodes=8"])
def test_on_a_small_disk_that_is_full_a_stage_says_so_and_gives_the_room_back(
    server: Server, project: Path, options: str
) -> None:
    before = faults.mounted("tmpfs", project / "out", options)
    after = "import os, sys; print(os.listdir('out'), os.statvfs('out').f_blocks - os.statvfs('out').f_bfree)"
    ended = server.run(project, STAGES["ingest"].command, before=before, after=after)
    if "no mount" in ended.err:
        pytest.skip("a tmpfs of its own is not allowed here")
    assert (ended.code, ended.out) == (2, "[] 0\n"), ended.err
    place = "error: out/data: cannot be written"
    assert ended.err == f"{place} (No space left on device); make room, or choose another place with -o\n"


@watched
def test_on_a_disk_that_is_mounted_to_read_a_stage_says_so(server: Server, project: Path) -> None:
    for name in ("corrupt", "review"):
        ended = server.run(project, STAGES[name].command, before=faults.mounted("read-only", project / "out"))
        if "no mount" in ended.err:
            pytest.skip("a read-only mount of its own is not allowed here")
        assert ended.code == 2, ended.err
        assert re.fullmatch(r"error: out/\S+: cannot be written \(Read-only file system\); .*\n", ended.err)


def test_an_image_that_a_thread_cannot_hold_is_told_in_one_line(
    alrctl: Alrctl, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(path: Path) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(images, "_opened", too_large)
    ran = alrctl("ingest", photos, "--image-size", 8, "--workers", 2, "-o", tmp_path / "data")
    assert ran.code == 3
    assert re.fullmatch(
        r"error: 110 images cannot be read \(first: \S+: is no readable image file \(.+", ran.err.strip()
    )
    assert list(tmp_path.iterdir()) == []


SPOILT = (
    ("data/images.safetensors", "score"),
    ("data/samples.parquet", "corrupt"),
    ("data/classes.yaml", "evaluate"),
    ("data/manifest.json", "corrupt"),
    ("noisy/labels.parquet", "audit"),
    ("lnl/checkpoint.safetensors", "score"),
    ("lnl/clean.parquet", "recalibrate"),
    ("lnl/signals.parquet", "score"),
    ("r1/scores/scores.parquet", "select"),
    ("r1/scores/embeddings.safetensors", "select --strategy coreset"),
    ("r1/queue/queue.parquet", "review"),
    ("r1/labels/ledger.parquet", "undo"),
    ("r1/model/checkpoint.safetensors", "evaluate"),
    ("b1/eval/metrics.json", "compare"),
)
"""Files, and a stage that reads each."""


@pytest.mark.parametrize(("file", "command"), SPOILT)
def test_a_file_that_is_spoilt_between_two_stages_is_refused_or_said(
    alrctl: Alrctl, project: Path, monkeypatch: pytest.MonkeyPatch, file: str, command: str
) -> None:
    monkeypatch.chdir(project)
    name, *options = command.split()
    words = [*STAGES[name].command[:-1], f"out/spoilt{Path(STAGES[name].out).suffix}", *options]
    whole = (project / file).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 0x55]) + whole[middle + 1 :]
    try:
        for content in (whole[:middle], b"", flipped):
            (project / file).write_bytes(content)
            ran = alrctl(*words, "--dry-run") if file.endswith("manifest.json") else alrctl(*words)
            assert ran.code in ((3, 4) if content is not flipped else (0, 3, 4)), ran
            assert ran.err.count("error: ") == (ran.code != 0)
            assert ran.code or file.endswith("manifest.json") or "changed after alrctl wrote it" in ran.err, ran
    finally:
        (project / file).write_bytes(whole)
        for path in (project / "out").iterdir():
            faults.remove(path)


CLOCK = """
import alrctl.job
from datetime import UTC, datetime

class Backwards(datetime):
    year_now = 2030

    @classmethod
    def now(cls, zone=None):
        cls.year_now -= 1
        return datetime(cls.year_now, 1, 1, tzinfo=UTC)

alrctl.job.datetime = Backwards
"""


@watched
def test_with_a_clock_that_goes_back_a_stage_is_done_and_stays_done(
    server: Server, project: Path, alrctl: Alrctl
) -> None:
    command = STAGES["relabel"].command
    assert server.run(project, command, before=CLOCK).code == 0
    out = project / STAGES["relabel"].out
    told = json.loads((out / "manifest.json").read_text())
    assert told["ended"] < told["started"]
    assert "unchanged" in server.run(project, command, before=CLOCK).out
    assert alrctl("validate", out).code == 0
    assert alrctl("ledger", "verify", out).code == 0
    Trial(server, project, "relabel")


def test_of_two_answers_the_one_taken_in_last_counts_whatever_its_clock_said(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    queue = csv_files.read_csv(finished / "r1/queue/queue.csv")
    place = finished / "noisy"
    for label, year in (("blue", 2030), ("green", 2020)):
        told = queue.with_columns(
            label=pl.lit(label), annotator=pl.lit("me"), answered_at=pl.lit(f"{year}-01-01T00:00:00Z")
        )
        csv_files.write_csv(told, tmp_path / f"{label}.csv")
        out = tmp_path / f"labels-{label}"
        ran = alrctl(
            "relabel", place, "--queue", finished / "r1/queue", "--answers", tmp_path / f"{label}.csv", "-o", out
        )
        assert ran.code == 0, ran.err
        place = out
    assert alrctl("ledger", "verify", place).code == 0
    labels = pl.read_parquet(place / "labels.parquet").filter(pl.col("sample_id").is_in(queue["sample_id"].to_list()))
    assert set(labels["label"]) == {"green"}
