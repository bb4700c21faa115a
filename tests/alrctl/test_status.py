"""Where a project stands, and that what `status` says to type next can be typed, to the end of a chain."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

Alrctl = Callable[..., Any]
TINY = {
    "train-lnl": ("--backbone", "test_resnet", "--epochs", "2", "--num-gradual", "1", "--forget-rate", 0.3),
    "recalibrate": ("--epochs", 1),
}


def coming(alrctl: Alrctl, place: Path) -> list[str]:
    ran = alrctl("status", place, "--json")
    assert ran.code == 0, ran.err
    found: list[str] = ran.document["next"]
    return found


def fill_in(queue: Path) -> None:
    """Answer in the queue's own CSV: the class that stands in the image's name."""
    table = pl.read_csv(queue, infer_schema=False)
    table.with_columns(label=pl.col("sample_id").str.split("/").list.first()).write_csv(queue)


def test_a_chain_is_walked_by_what_is_said_to_come_next(
    alrctl: Alrctl, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    work = Path("my work")  # a name that must be quoted
    assert alrctl("ingest", photos, "-o", work / "data", "--image-size", 24).code == 0
    typed = []
    for _ in range(14):
        for line in coming(alrctl, work):
            if line.startswith("fill in column 'label' of "):
                fill_in(Path(shlex.split(line.split("' of ")[1])[0].removesuffix(",")))
                line = line.partition(": ")[2]
            words = shlex.split(line)
            assert words[0] == "alrctl"
            more = TINY.get(words[1], ())
            ran = alrctl(*words[1:], *more, *(("--budget", 6) if words[1] == "select" else ()))
            assert ran.code == 0, f"{line}: {ran.err}"
            typed.append(words[1])
        if typed.count("evaluate") == 3:
            break
    phase_1 = ["train-lnl", "evaluate", "score"]
    rounds = ["select", "review", "relabel", "recalibrate", "evaluate", "score"]
    assert typed == [*phase_1, *rounds, *rounds]
    row = alrctl("status", work, "--json").document["branches"][0]
    assert (row["round"], row["labels_bought"], row["split"]) == ("2", 12, "test")
    assert row["labels_changed"] == 0, "the labels were right"
    for place in ("r0/eval", "r1/model", "r2/eval", "r3/scores"):
        assert (work / place / "manifest.json").is_file()


def test_noise_and_labels_that_change_are_told(alrctl: Alrctl, finished: Path) -> None:
    document = alrctl("status", finished, "--json").document
    row = document["branches"][0]
    ledger = pl.read_parquet(finished / "r1/labels/ledger.parquet")
    changed = ledger.filter(pl.col("label_before") != pl.col("label_after"))["sample_id"].n_unique()
    assert (row["labels_bought"], row["labels_changed"]) == (12, changed)
    assert 0 < row["labels_changed"] <= 12
    assert document["next"][0].startswith("alrctl score ")
    shown = alrctl("status", finished).out
    assert "labels changed" in shown
    assert f"next: {document['next'][0]}" in shown


def test_a_clock_that_was_put_back_changes_neither_the_order_nor_what_comes_next(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    work = shutil.copytree(finished, tmp_path / "work")
    before = alrctl("status", work, "--json").document
    for number, one in enumerate(before["artifacts"]):
        path = work / one["place"] / "manifest.json"
        told = json.loads(path.read_text())
        path.write_text(json.dumps(told | {"ended": f"20{50 - number}-01-01T00:00:00.000Z"}))
    after = alrctl("status", work, "--json").document
    assert [one["place"] for one in after["artifacts"]] == [one["place"] for one in before["artifacts"]]
    assert after["next"] == before["next"]
    assert {one["state"] for one in after["artifacts"]} == {"done"}


def test_what_is_stale_comes_first(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    work = shutil.copytree(finished, tmp_path / "work")
    labels = pl.read_parquet(work / "noisy/labels.parquet")
    labels.with_columns(label=pl.col("label").reverse()).write_parquet(work / "noisy/labels.parquet")
    found = coming(alrctl, work)
    assert len(found) == 1
    assert found[0].startswith("lnl is stale; run it again: alrctl")


def study(finished: Path, folder: Path) -> Path:
    """Write a pipeline of one round that waits for an expert, on a copy of an ingested data set."""
    shutil.copytree(finished / "data", folder / "data")
    content = {
        "source": "data",
        "output": "work",
        "rounds": 1,
        "report": False,
        "train-lnl": {"backbone": "test_resnet", "epochs": 1, "num-gradual": 1, "batch-size": 16},
        "select": {"budget": 4, "pool": "all"},
        "recalibrate": {"epochs": 1, "batch-size": 16},
        "evaluate": {"bootstrap": 0, "figures": False},
    }
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def typed(path: Path) -> str:
    """A path as the program names it: from here, where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


def test_a_pipelines_next_step_is_the_pipeline(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    file = study(finished, tmp_path)
    (tmp_path / "another.yaml").write_text("- not: ours\n")
    (tmp_path / "work").mkdir()
    assert coming(alrctl, tmp_path / "work") == [f"alrctl run {typed(file)}    # 0 of 7 steps are done"]
    assert alrctl("run", file).code == 0
    first, second = coming(alrctl, tmp_path / "work")
    queue = tmp_path / "work/r1/queue"
    label = f"fill in column 'label' of {typed(queue / 'queue.csv')}, or label in a page"
    assert first.startswith(f"{label}: alrctl review {typed(queue)} ")
    assert second == f"alrctl run {typed(file)}    # 4 of 7 steps are done"
    fill_in(queue / "queue.csv")
    assert coming(alrctl, tmp_path / "work") == [second]
    assert alrctl("run", file).code == 0
    page = tmp_path / "work/report.html"
    told = f"alrctl report {typed(tmp_path / 'work')} -o {typed(page)}    # 7 of 7 steps are done"
    assert coming(alrctl, tmp_path / "work") == [told]
    states = {one["place"]: one for one in alrctl("status", tmp_path / "work", "--json").document["artifacts"]}
    assert (states["r1/queue"]["state"], states["r1/queue"]["why"]) == ("done", "queue.csv was written into")
    assert "changed after alrctl wrote it" not in alrctl("run", file).err


def test_answers_that_cannot_be_read_are_what_comes_next(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    file = study(finished, tmp_path)
    assert alrctl("run", file).code == 0
    asked = pl.read_csv(tmp_path / "work/r1/queue/queue.csv", infer_schema=False)
    answers = tmp_path / "work/r1/answers.csv"
    asked.select("sample_id", label=pl.lit("redd"), annotator=pl.lit("dr")).write_csv(answers)
    found = coming(alrctl, tmp_path / "work")
    assert len(found) == 1
    assert found[0].startswith(f"alrctl run {typed(file)}    # after this is mended: ")
    assert "'redd'; did you mean 'red'?" in found[0]
    ran = alrctl("run", file)
    assert ran.code == 3
    assert ran.err.startswith(f"error: r1/labels: {answers}: column 'label' has 4 values that are no class")


def test_many_artifacts_are_counted_and_those_amiss_are_listed(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    for number in range(5):
        shutil.copytree(finished, tmp_path / f"run{number}")
    shown = alrctl("status", tmp_path)
    assert "artifacts: " in shown.out
    assert "(--all lists them)" in shown.out
    assert "run3/r1/scores" not in shown.out
    assert "run3/r1/scores" in alrctl("status", tmp_path, "--all").out
    assert len(alrctl("status", tmp_path, "--json").document["artifacts"]) == 5 * 8


def test_an_empty_directory_has_nothing_to_go_on_from(alrctl: Alrctl, tmp_path: Path) -> None:
    document = alrctl("status", tmp_path, "--json").document
    assert (document["artifacts"], document["branches"], document["next"]) == ([], [], [])
    assert alrctl("status", tmp_path).out == "no artifact lies here; `alrctl init` or `alrctl ingest` begins\n"
    (tmp_path / "pipeline.yaml").touch()
    assert alrctl("status", tmp_path / "pipeline.yaml").code == 2
