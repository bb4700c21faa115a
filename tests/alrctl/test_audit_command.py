"""The audit as a command: drawn, answered, counted, and taken up by evaluate."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import polars as pl
import pytest

from alrctl import files, table_files
from schemas.noise import NOISE
from schemas.queue import QUEUE

Alrctl = Callable[..., Any]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, finished: Path, alrctl: Alrctl) -> Path:
    """A copy of the project with an audit of 60 labels, answered (audited) and counted (result). Not to be changed."""
    work = tmp_path_factory.mktemp("audited") / "work"
    shutil.copytree(finished, work)
    for step in (
        ("audit", work / "data", "--labels", work / "noisy", "--budget", 60, "-o", work / "audit"),
        ("relabel", work / "noisy", "--queue", work / "audit", "--oracle", work / "data", "-o", work / "audited"),
        ("audit", work / "data", "--labels", work / "audited", "--queue", work / "audit", "-o", work / "result"),
    ):
        ran = alrctl(*step)
        assert ran.code == 0, ran.err
    return work


def rows(work: Path) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in table_files.read_table(work / "result" / "noise.parquet", NOISE).to_dicts()}


def test_the_rate_is_that_of_the_answers_and_holds_the_true_one(audited: Path) -> None:
    truth = pl.read_parquet(audited / "noisy" / "truth.parquet")
    both = pl.read_parquet(audited / "noisy" / "labels.parquet").join(truth, on="sample_id")
    samples = pl.read_parquet(audited / "data" / "samples.parquet").filter(split="train")
    both = both.join(samples, on="sample_id")
    queue = table_files.read_table(audited / "audit" / "queue.parquet", QUEUE)
    found = rows(audited)
    for name in ("red", "green", "blue"):
        mine = both.filter(label=name)
        seen = mine.join(queue, on="sample_id")
        assert found[name]["samples"] == mine.height
        assert found[name]["noise_rate"] == pytest.approx((seen["label"] != seen["true_label"]).mean())
        assert found[name]["low"] <= (mine["label"] != mine["true_label"]).mean() <= found[name]["high"]
    realised = (both["label"] != both["true_label"]).mean()
    assert found["(all)"]["low"] <= realised <= found["(all)"]["high"]
    assert found["(all)"]["samples"] == both.height


def test_what_annotators_get_tells_neither_label_nor_reason(audited: Path) -> None:
    header = (audited / "audit" / "queue.csv").read_text(encoding="utf-8-sig").splitlines()[0]
    assert header == "rank,sample_id,image,label,annotator,comment"
    tasks = (audited / "audit" / "tasks.json").read_text()
    assert "given_label" not in tasks
    assert "suggested" not in tasks
    assert "reason" not in tasks
    assert not (audited / "audit" / "contact_sheet.png").exists()
    with ZipFile(audited / "audit" / "images.zip") as packed:
        assert len(packed.namelist()) == 60


def test_its_answers_are_charged_as_any_bought_label(audited: Path, alrctl: Alrctl) -> None:
    costs = alrctl("ledger", "costs", audited / "audited", "--json").document
    assert "60" in str(costs)


def test_its_matrix_is_one_that_corrupt_takes(audited: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    matrix = ("--noise", "transition", "--transition", audited / "result" / "transition.csv")
    ran = alrctl("corrupt", audited / "data", *matrix, "-o", tmp_path / "again")
    assert ran.code == 0, ran.err


def test_evaluate_tells_the_rate_that_the_audit_found(audited: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    network = ("--checkpoint", audited / "lnl", "--labels", audited / "audited")
    told = alrctl(
        "evaluate", audited / "data", *network, "--bootstrap", 0, "--no-figures", "-o", tmp_path / "eval", "--json"
    ).document["summary"]["estimated_noise"]
    found = rows(audited)["(all)"]
    assert (told["value"], told["low"], told["high"]) == (found["noise_rate"], found["low"], found["high"])
    assert told["looked_at"] == 60


def test_an_audit_shared_out_among_annotators_is_counted_as_if_one_had_answered(
    audited: Path, alrctl: Alrctl, tmp_path: Path
) -> None:
    truth = dict(pl.read_parquet(audited / "noisy" / "truth.parquet").iter_rows())
    shared = tmp_path / "packets"
    annotators = ("--annotators", "ann", "--annotators", "bob")
    assert alrctl("packets", audited / "audit", *annotators, "--per-sample", 1, "-o", shared).code == 0
    codes = dict(pl.read_parquet(shared / "packets.parquet").select("code", "sample_id").iter_rows())
    labels = audited / "noisy"
    for packet in sorted(shared.glob("?-*.csv")):
        table = pl.read_csv(packet)
        right = [truth[codes[code]] for code in table["sample_id"]]
        table.with_columns(label=pl.Series(right)).write_csv(tmp_path / packet.name)
        taken = ("relabel", labels, "--queue", shared, "--answers", tmp_path / packet.name)
        labels = tmp_path / packet.stem
        ran = alrctl(*taken, "-o", labels)
        assert ran.code == 0, ran.err
    counted = ("audit", audited / "data", "--labels", labels, "--queue", shared, "-o", tmp_path / "result")
    assert alrctl(*counted).code == 0
    rates = [table_files.read_table(place / "result" / "noise.parquet", NOISE) for place in (audited, tmp_path)]
    assert rates[0].equals(rates[1])
    network = ("--checkpoint", audited / "lnl", "--labels", labels, "--bootstrap", 0, "--no-figures")
    told = alrctl("evaluate", audited / "data", *network, "-o", tmp_path / "eval", "--json").document
    assert told["summary"]["estimated_noise"]["value"] == rows(audited)["(all)"]["noise_rate"]
    assert sum(role.startswith("queue") for role in files.read_json(tmp_path / "eval" / "manifest.json")["inputs"]) == 1


def test_status_says_how_the_audit_goes_on(audited: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    shutil.copytree(audited, tmp_path / "work")
    for gone, wanted in (
        ("result", "alrctl audit"),
        ("audited", "alrctl relabel"),
    ):
        shutil.rmtree(tmp_path / "work" / gone)
        assert wanted in alrctl("status", tmp_path / "work").out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--queue", "r1/queue"), 3, "no strata.parquet beside it; only a queue of `audit` was drawn at random"),
        (("--queue", "audit", "--budget", 5), 2, "--budget is for drawing"),
        (("--labels", "noisy", "--queue", "audit"), 5, "no sample of the audit is relabelled yet"),
        (("--budget", 2), 2, "pays for 2 looks, and there are 3 classes"),
        (("--unit", "money"), 2, "--unit money needs --cost"),
    ],
)
def test_careless_use_is_refused(
    audited: Path, alrctl: Alrctl, tmp_path: Path, words: tuple[object, ...], code: int, message: str
) -> None:
    told = [audited / word if str(word) in ("r1/queue", "audit", "noisy") else word for word in words]
    labels = () if "--labels" in words else ("--labels", audited / "audited")
    ran = alrctl("audit", audited / "data", *labels, *told, "-o", tmp_path / "out")
    assert (ran.code, message in ran.err) == (code, True), ran.err
    assert not (tmp_path / "out").exists()
