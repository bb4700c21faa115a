"""`undo`, `history` and `ledger`, as a person types them; and labels that are held to their ledger on every read."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from alrctl import files
from schemas.ledger import LEDGER
from tests.conftest import Alrctl

NAMES = [f"s{number}" for number in range(6)]


def write_answers(path: Path, *rows: tuple[str, str, str]) -> Path:
    """Write answers as (sample, label, annotator), each given in 30 seconds."""
    columns = dict(zip(("sample_id", "label", "annotator"), zip(*rows, strict=True), strict=True))
    pl.DataFrame(columns).with_columns(seconds=30.0).write_csv(path)
    return path


@pytest.fixture
def project(tmp_path: Path, alrctl: Alrctl) -> Path:
    """Six red samples; r1 by ann, r2 by ann and bob."""
    data = tmp_path / "data"
    data.mkdir()
    files.write_yaml({"names": ["red", "green", "blue"]}, data / "classes.yaml")
    pl.DataFrame({"sample_id": NAMES, "label": ["red"] * 6}).write_parquet(data / "labels.parquet")
    first = write_answers(tmp_path / "first.csv", ("s0", "blue", "ann"), ("s1", "green", "ann"))
    second = write_answers(tmp_path / "second.csv", ("s2", "blue", "ann"), ("s1", "blue", "bob"), ("s0", "blue", "bob"))
    assert alrctl("relabel", data, "--answers", first, "-o", tmp_path / "r1").code == 0
    assert alrctl("relabel", tmp_path / "r1", "--answers", second, "-o", tmp_path / "r2").code == 0
    return tmp_path


def labels_of(place: Path) -> dict[str, str]:
    return dict(pl.read_parquet(place / "labels.parquet").select("sample_id", "label").iter_rows())


def test_undo_takes_a_file_back_by_the_file_itself_or_its_digest(project: Path, alrctl: Alrctl) -> None:
    ran = alrctl("undo", project / "r2", "--file", project / "second.csv", "--json", "-o", project / "back")
    assert ran.code == 0
    assert ran.document["summary"]["answers_taken_back"] == 3
    assert labels_of(project / "back") == labels_of(project / "r1")
    digest = files.sha256(project / "second.csv")[:10]
    assert alrctl("undo", project / "r2", "--file", digest, "-o", project / "back2").code == 0
    assert (project / "back2/ledger.parquet").read_bytes() == (project / "back/ledger.parquet").read_bytes()


def test_undo_says_what_changes_before_it_does_and_does_not_run_twice(project: Path, alrctl: Alrctl) -> None:
    command = ("undo", project / "r2", "--annotator", "ann", "-o", project / "back")
    ran = alrctl(*command, "--dry-run")
    assert ran.code == 0 and "labels changed" in ran.out
    assert not (project / "back").exists()
    assert alrctl(*command).code == 0
    assert "unchanged" in alrctl(*command).out
    assert labels_of(project / "back") == dict.fromkeys(NAMES, "red") | {"s0": "blue", "s1": "blue"}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--annotator", "anna"), 2, "--annotator: no answer is of 'anna' (known: ann, bob); did you mean 'ann'?"),
        (("--round", 7), 2, "--round: no answer is of '7' (known: 1, 2)"),
        ((), 2, "say what to take back: one of --file, --annotator or --round"),
        (("--file", "abc", "--round", 1), 2, "say what to take back: one of --file, --annotator or --round"),
    ],
)
def test_undo_refuses_what_it_cannot_take_back(
    project: Path, alrctl: Alrctl, arguments: tuple[object, ...], code: int, told: str
) -> None:
    ran = alrctl("undo", project / "r2", *arguments, "-o", project / "back")
    assert (ran.code, ran.err) == (code, f"error: {told}\n")
    assert not (project / "back").exists()


def test_undo_of_labels_without_a_ledger_is_refused(project: Path, alrctl: Alrctl) -> None:
    ran = alrctl("undo", project / "data", "--round", 1, "-o", project / "back")
    assert ran.code == 3
    assert "holds no ledger.parquet" in ran.err


def test_history_tells_a_samples_story(project: Path, alrctl: Alrctl) -> None:
    ran = alrctl("history", "s1", "--labels", project / "r2")
    assert ran.code == 0
    for words in ("'red' now, 'red' at first", "answered 'green'", "'red' becomes 'green'", "answered 'blue'"):
        assert words in ran.out
    assert "'green' goes back to 'red'" in ran.out
    assert files.sha256(project / "second.csv")[:8] in ran.out
    document = alrctl("history", "s1", "--labels", project / "r2", "--json").document
    assert [event["kind"] for event in document["events"]] == ["vote", "decision", "vote", "reversal"]


def test_history_of_a_sample_that_nobody_was_asked_about(project: Path, alrctl: Alrctl) -> None:
    ran = alrctl("history", "s5", "--labels", project / "r2")
    assert ran.code == 0
    assert "nobody was asked about it" in ran.out
    ran = alrctl("history", "s55", "--labels", project / "r2")
    assert (ran.code, ran.err) == (4, f"error: {project / 'r2'}: no sample 's55'; did you mean 's5'?\n")


def test_below_a_directory_the_longest_ledger_is_taken_if_it_holds_the_others(project: Path, alrctl: Alrctl) -> None:
    assert alrctl("history", "s2", "--labels", project, "--json").document["label"] == "blue"
    shutil.copytree(project / "r1", project / "branch")
    assert alrctl("history", "s2", "--labels", project).code == 0
    other = write_answers(project / "other.csv", ("s4", "green", "cid"))
    assert alrctl("relabel", project / "r1", "--answers", other, "-o", project / "fork").code == 0
    ran = alrctl("history", "s2", "--labels", project)
    assert ran.code == 4
    assert "ledgers that went different ways" in ran.err
    assert "r2" in ran.err and "fork" in ran.err
    (project / "empty").mkdir()
    assert alrctl("ledger", "verify", project / "empty").code == 3


def test_verify_prints_the_last_hash(project: Path, alrctl: Alrctl) -> None:
    ran = alrctl("ledger", "verify", project / "r2")
    last = pl.read_parquet(project / "r2/ledger.parquet")["hash"][-1]
    assert ran.code == 0
    assert "is sound" in ran.out and f"last hash: {last}" in ran.out
    assert alrctl("ledger", "verify", project / "r2", "--json").document["last_hash"] == last


def test_costs_agreement_and_files(project: Path, alrctl: Alrctl) -> None:
    costs = alrctl("ledger", "costs", project / "r2", "--rate-per-hour", 60, "--json").document
    assert [(row["round"], row["annotator"], row["labels"], row["money"]) for row in costs["spent"]] == [
        (1, "ann", 2, 1.0),
        (2, "ann", 1, 0.5),
        (2, "bob", 2, 1.0),
    ]
    assert costs["total"] == {"labels": 5, "minutes": 2.5, "untimed": 0, "money": 2.5}
    assert "2.500 minutes" in alrctl("ledger", "costs", project / "r2").out
    agreement = alrctl("ledger", "agreement", project / "r2", "--json").document
    assert [(row["one"], row["other"], row["samples"], row["agreed"]) for row in agreement["pairs"]] == [
        ("ann", "bob", 2, 0.5)
    ]
    assert "no sample has two annotators' answers" in alrctl("ledger", "agreement", project / "r1").out
    found = alrctl("ledger", "files", project / "r2", "--json").document["files"]
    assert [(row["source_file"], row["round"], row["answers"], row["withdrawn"]) for row in found] == [
        ("first.csv", 1, 2, 0),
        ("second.csv", 2, 3, 0),
    ]
    ran = alrctl("ledger", "verfy", project / "r2")
    expected = "error: ACTION: 'verfy' is not one of verify, costs, agreement, files; did you mean 'verify'?\n"
    assert (ran.code, ran.err) == (2, expected)


def spoil(place: Path, name: str, value: str, row: int) -> None:
    """Change one cell of a ledger, as somebody might with another program."""
    ledger = pl.read_parquet(place / "ledger.parquet").with_row_index("__row")
    cell = pl.when(pl.col("__row") == row).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
    ledger.with_columns(cell).drop("__row").write_parquet(place / "ledger.parquet", metadata=LEDGER.metadata)


def test_an_event_changed_later_is_told_by_every_command_that_reads_it(project: Path, alrctl: Alrctl) -> None:
    spoil(project / "r2", "annotator", "eve", 0)
    more = write_answers(project / "more.csv", ("s5", "green", "cid"))
    told = "the ledger's event 1 (sample 's0') is not as it was written"
    for command in (
        ("ledger", "verify", project / "r2"),
        ("history", "s0", "--labels", project / "r2"),
        ("validate", project / "r2/ledger.parquet"),
        ("undo", project / "r2", "--round", 1, "-o", project / "out"),
        ("relabel", project / "r2", "--answers", more, "-o", project / "out"),
    ):
        ran = alrctl(*command)
        code = 3 if command[0] == "validate" else 4
        assert (ran.code, told in ran.err) == (code, True), (command, ran.err)
    assert not (project / "out").exists()


def test_a_label_that_no_event_names_cannot_be_changed_either(project: Path, alrctl: Alrctl) -> None:
    path = project / "r2/labels.parquet"
    labels = pl.read_parquet(path)
    labels.with_columns(label=pl.when(sample_id="s5").then(pl.lit("green")).otherwise("label")).write_parquet(path)
    ran = alrctl("ledger", "verify", project / "r2")
    assert ran.code == 4
    assert "a label that no event names was changed" in ran.err


def test_training_refuses_labels_that_are_not_their_ledgers_fold(work: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    path = work / "r1/labels/labels.parquet"
    labels = pl.read_parquet(path)
    other = pl.when(pl.col("label") == "red").then(pl.lit("green")).otherwise(pl.lit("red"))
    labels.with_columns(label=pl.when("relabelled").then(other).otherwise("label")).write_parquet(path)
    trained = ("recalibrate", work / "data", "--labels", work / "r1/labels", "--checkpoint", work / "lnl")
    ran = alrctl(*trained, "-o", tmp_path / "out")
    assert ran.code == 4
    assert "the labels are not what the ledger beside them says of 12 samples" in ran.err
