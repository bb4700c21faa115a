"""What would lose an answer, show another picture, or go on without a file that was there, is refused in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from alrctl import table_files
from alrctl.unfinished_pack import UnfinishedPack
from schemas.ledger import LEDGER
from schemas.noise import NOISE
from schemas.queue import QUEUE

Alrctl = Callable[..., Any]


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, its photographs beside it as they were."""
    return shutil.copytree(finished, tmp_path / "work")


def done(ran: Any) -> Any:
    assert ran.code == 0, ran.err
    return ran


def refused(ran: Any, code: int, told: str) -> None:
    assert (ran.code, ran.err.count("\n")) == (code, 1), ran.err
    assert told in ran.err


def answers(path: Path, rows: dict[str, str], annotator: str | None = "ann", **columns: list[Any]) -> Path:
    table = pl.DataFrame({"sample_id": list(rows), "label": list(rows.values()), "annotator": annotator, **columns})
    table.write_csv(path)
    return path


def asked(queue: Path) -> list[str]:
    return table_files.read_table(queue / "queue.parquet", QUEUE).sort("rank")["sample_id"].to_list()


def ledger(labels: Path) -> pl.DataFrame:
    return table_files.read_table(labels / "ledger.parquet", LEDGER)


# --- answers ---------------------------------------------------------------------------------------------------------


def test_labels_are_not_written_over_by_labels_that_lack_their_answers(work: Path, alrctl: Alrctl) -> None:
    first, second = asked(work / "r1/queue")[:2]
    start = ("relabel", work / "noisy", "--queue", work / "r1/queue", "-o", work / "l", "--answers")
    done(alrctl(*start, answers(work / "one.csv", {first: "red"})))
    before = (work / "l/ledger.parquet").read_bytes()
    other = answers(work / "two.csv", {second: "red"})
    refused(alrctl(*start, other), 4, f"holds 1 answer (first: of '{first}') that the new labels would not")
    refused(alrctl(*start, other, "--dry-run"), 4, "start from")
    assert (work / "l/ledger.parquet").read_bytes() == before
    both = answers(work / "both.csv", {first: "green", second: "red"})
    done(alrctl(*start, both))  # the same person's answer, mended: nothing is lost
    bob = answers(work / "bob.csv", {second: "red"}, "bob")
    refused(alrctl("relabel", work / "l", *start[2:], bob), 2, "holds labels.parquet, which is an input; name another")
    done(alrctl(*start, other, "--force"))
    assert ledger(work / "l").filter(kind="vote").height == 1


def test_answers_of_nobody_named_may_be_mended_in_place(work: Path, alrctl: Alrctl) -> None:
    first = asked(work / "r1/queue")[0]
    for label in ("red", "green"):
        given = answers(work / "one.csv", {first: label}, None)
        shared = ("--queue", work / "r1/queue", "--answers", given, "-o", work / "l")
        done(alrctl("relabel", work / "noisy", *shared))


def test_who_answered_may_be_mended(work: Path, alrctl: Alrctl) -> None:
    given = answers(work / "one.csv", {asked(work / "r1/queue")[0]: "red"}, None)
    shared = ("relabel", work / "noisy", "--queue", work / "r1/queue", "--answers", given, "-o", work / "l")
    done(alrctl(*shared))
    done(alrctl(*shared, "--annotator", "anna"))
    assert ledger(work / "l").filter(kind="vote")["annotator"].to_list() == ["anna"]


def test_what_an_oracle_said_may_be_asked_again(work: Path, alrctl: Alrctl) -> None:
    done(alrctl("select", work / "r1/scores", "--strategy", "random", "--budget", 5, "-o", work / "q"))
    for queue in ("r1/queue", "q"):
        done(alrctl("relabel", work / "noisy", "--queue", work / queue, "--oracle", work / "data", "-o", work / "o"))


def test_a_later_round_starts_from_the_labels_its_queue_was_made_from(work: Path, alrctl: Alrctl) -> None:
    labels = work / "r1/labels"
    model = work / "r1/model"
    done(alrctl("score", work / "data", "--labels", labels, "--checkpoint", model, "-o", work / "r2/scores"))
    done(alrctl("select", work / "r2/scores", "--budget", 5, "--pool", "all", "-o", work / "r2/queue"))
    given = answers(work / "two.csv", {asked(work / "r2/queue")[0]: "red"})
    rest = ("--queue", work / "r2/queue", "--answers", given, "-o", work / "r2/labels")
    refused(alrctl("relabel", work / "noisy", *rest), 4, f"change those, {labels}")
    assert not (work / "r2/labels").exists()
    done(alrctl("relabel", labels, *rest))
    assert ledger(work / "r2/labels").height > ledger(labels).height
    done(alrctl("relabel", work / "noisy", *rest, "--allow-stale", "--force"))
    name = ledger(labels)["annotator"].drop_nulls()[0]
    again = answers(work / "first.csv", dict.fromkeys(asked(work / "r1/queue"), "red"), name)
    start = ("--queue", work / "r1/queue", "--answers", again, "-o", work / "r1b/labels")
    done(alrctl("relabel", work / "noisy", *start))
    done(alrctl("relabel", work / "r1b/labels", *rest[:4], "-o", work / "r2b/labels"))  # nothing is lacking


def test_a_queue_sorted_by_one_column_alone_is_refused(work: Path, alrctl: Alrctl) -> None:
    ids = asked(work / "r1/queue")
    shifted = dict.fromkeys([*ids[1:], ids[0]], "red")
    start = ("relabel", work / "noisy", "--queue", work / "r1/queue", "-o", work / "l", "--answers")
    ran = alrctl(*start, answers(work / "shifted.csv", shifted, rank=list(range(1, len(ids) + 1))))
    refused(ran, 4, f"{len(ids)} rows whose rank in the queue is another sample's (first: row 2, '{ids[1]}' with ")
    assert not (work / "l").exists()
    samples = pl.read_parquet(work / "data/samples.parquet").filter(split="train")["sample_id"]
    other = next(name for name in samples if name not in ids)
    former = answers(work / "former.csv", {other: "red", ids[1]: "red"}, rank=[1, 2])  # of the queue before: left out
    assert done(alrctl(*start, former, "--dry-run", "--json")).document["summary"]["outside_queue"] == 1
    done(alrctl(*start, answers(work / "right.csv", dict.fromkeys(ids, "red"), rank=list(range(1, len(ids) + 1)))))


@pytest.mark.parametrize("annotator", ["ann", None])
def test_an_answer_other_than_before_is_told_where_no_time_says_which_is_later(
    work: Path, alrctl: Alrctl, annotator: str | None
) -> None:
    first, second = asked(work / "r1/queue")[:2]

    def take(before: str, after: str, rows: dict[str, str], *more: str, **columns: list[Any]) -> Any:
        given = answers(work / f"{after}.csv", rows, annotator, **columns)
        shared = ("--queue", work / "r1/queue", "--answers", given, "-o", work / after, *more)
        return done(alrctl("relabel", work / before, *shared))

    take("noisy", "l1", {first: "red", second: "red"})
    ran = take("l1", "l2", {first: "green", second: "red"}, "--json")
    assert f"1 answer (first: of '{first}') other than the same annotator gave before" in ran.err
    assert ("say who with --annotator" in ran.err) == (annotator is None)
    assert ran.document["summary"]["said_otherwise_before"] == 1
    assert "other than the same" in take("l2", "l3", {first: "red"}, timestamp=["2026-01-01"]).err
    take("noisy", "m1", {first: "red"}, timestamp=["2026-01-01"])
    assert "other than" not in take("m1", "m2", {first: "green"}, timestamp=["2026-01-02"]).err


def test_a_class_written_as_a_mac_writes_it_is_that_class(alrctl: Alrctl, tmp_path: Path) -> None:
    pl.DataFrame({"sample_id": ["a", "b", "c"], "label": ["Mélanome", "Nävus", "Nävus"]}).write_csv(tmp_path / "l.csv")
    given = answers(tmp_path / "a.csv", {"b": unicodedata.normalize("NFD", "mélanome")})
    done(alrctl("relabel", tmp_path / "l.csv", "--answers", given, "-o", tmp_path / "out"))
    assert pl.read_parquet(tmp_path / "out/labels.parquet")["label"].to_list() == ["Mélanome", "Mélanome", "Nävus"]


def test_a_class_that_no_label_bears_any_more_is_one_still(alrctl: Alrctl, tmp_path: Path) -> None:
    pl.DataFrame({"sample_id": ["x", "y", "z"], "label": ["c", "a", "b"]}).write_csv(tmp_path / "l.csv")
    sheet = pl.DataFrame({"sample_id": ["x"] * 3, "label": ["c", "a", "a"], "annotator": ["ann", "bob", "cid"]})
    sheet.write_csv(tmp_path / "a.csv")
    done(alrctl("relabel", tmp_path / "l.csv", "--answers", tmp_path / "a.csv", "-o", tmp_path / "one"))
    assert "c" not in pl.read_parquet(tmp_path / "one/labels.parquet")["label"].to_list()
    done(alrctl("ledger", "agreement", tmp_path / "one"))
    more = answers(tmp_path / "b.csv", {"y": "c"}, "bob")
    done(alrctl("relabel", tmp_path / "one", "--answers", more, "-o", tmp_path / "two"))
    done(alrctl("undo", tmp_path / "two", "--annotator", "cid", "-o", tmp_path / "three"))
    pl.DataFrame({"sample_id": ["x", "y"], "label": ["c", "c"]}).write_csv(tmp_path / "l1.csv")
    ran = alrctl("relabel", tmp_path / "l1.csv", "--answers", more, "-o", tmp_path / "four")
    refused(ran, 3, "all labels are of one class ('c'); name the data set with --data DIR")


@pytest.mark.parametrize("more", [("--map", "a=red"), ("--annotator", "ann"), ("--format", "csv")])
def test_an_oracle_takes_no_words_about_a_file(work: Path, alrctl: Alrctl, more: tuple[str, str]) -> None:
    ran = alrctl(
        *("relabel", work / "noisy", "--queue", work / "r1/queue", "--oracle", work / "data", "-o", work / "l"), *more
    )
    refused(ran, 2, f"{more[0]}: with --answers alone")


@pytest.mark.parametrize("content", ["5", "true", "1.5", "null", '"text"', "{}"])
def test_json_that_holds_no_answers_is_refused(work: Path, alrctl: Alrctl, content: str) -> None:
    (work / "a.json").write_text(content)
    ran = alrctl(
        *("relabel", work / "noisy", "--queue", work / "r1/queue", "--answers", work / "a.json"),
        *("--format", "labelbox", "-o", work / "l"),
    )
    refused(ran, 3, "a.json: is not of the format 'labelbox'")


def test_a_folder_of_answers_that_was_changed_makes_its_labels_stale(work: Path, alrctl: Alrctl) -> None:
    first = asked(work / "r1/queue")[0]
    (work / "sent").mkdir()
    answers(work / "sent/a.csv", {first: "red"})
    done(alrctl("relabel", work / "noisy", "--queue", work / "r1/queue", "--answers", work / "sent", "-o", work / "l"))
    states = {one["place"]: one["state"] for one in alrctl("status", work, "--all", "--json").document["artifacts"]}
    assert states["l"] == "done"
    answers(work / "sent/a.csv", {first: "green"})
    states = {one["place"]: one["state"] for one in alrctl("status", work, "--all", "--json").document["artifacts"]}
    assert states["l"] == "stale"
    assert done(alrctl("undo", work / "r1/labels", "--round", 1, "-o", work / "u"))


def test_answers_are_taken_back_by_the_name_of_their_file(work: Path, alrctl: Alrctl) -> None:
    first, second = asked(work / "r1/queue")[:2]
    (work / "sent").mkdir()
    answers(work / "sent/a.csv", {first: "red"})
    start = ("--queue", work / "r1/queue", "--answers")
    done(alrctl("relabel", work / "noisy", *start, work / "sent", "-o", work / "k"))
    given = answers(work / "b.csv", {second: "red"}, "bob")
    done(alrctl("relabel", work / "k", *start, given, "-o", work / "l"))
    (work / "b.csv").write_text("changed since")
    done(alrctl("undo", work / "l", "--file", work / "b.csv", "--allow-stale", "-o", work / "t"))
    (work / "b.csv").unlink()
    assert done(alrctl("undo", work / "l", "--file", "b.csv", "-o", work / "u", "--json")).document["summary"][
        "answers_taken_back"
    ]
    assert done(alrctl("undo", work / "l", "--file", work / "sent", "-o", work / "v"))
    refused(alrctl("undo", work / "l", "--file", "c.csv", "-o", work / "w"), 2, "(known: sent, b.csv)")


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_that_a_stage_wrote_and_that_is_gone_is_missed(work: Path, alrctl: Alrctl) -> None:
    (work / "lnl/clean.parquet").unlink()
    ran = alrctl(*("score", work / "data", "--labels", work / "noisy", "--checkpoint", work / "lnl", "-o", work / "s"))
    refused(ran, 3, "clean.parquet is missing; put it back, or run 'train-lnl' again")


def test_the_truth_named_is_not_taken_for_the_labels_beside_it(work: Path, alrctl: Alrctl) -> None:
    ran = alrctl(
        *("evaluate", work / "data", "--checkpoint", work / "lnl", "--bootstrap", 0, "--no-figures"),
        *("--reference", work / "noisy/truth.parquet", "-o", work / "e"),
    )
    assert ran.code == 3 and "truth.parquet" in ran.err, ran.err
    assert not (work / "e").exists()


def test_labels_that_contradict_their_ledger_are_no_oracle_and_not_in_order(work: Path, alrctl: Alrctl) -> None:
    path = work / "r1/labels/labels.parquet"
    table = table_files.read_parquet(path)
    done(alrctl("validate", path))
    table.with_columns(label=pl.col("label").reverse()).write_parquet(path, metadata={"alrctl.schema": "labels"})
    assert alrctl("validate", path).code == 4 or "ledger" in alrctl("validate", path).err
    ran = alrctl(
        *("relabel", work / "noisy", "--queue", work / "r1/queue", "--oracle", work / "r1/labels", "-o", work / "l"),
        "--allow-stale",
    )
    assert ran.code == 4, ran.err


def test_a_queue_that_was_filled_in_is_in_order(work: Path, alrctl: Alrctl) -> None:
    sheet = work / "r1/queue/queue.csv"
    sheet.write_text(sheet.read_text() + "\n")
    done(alrctl("validate", work / "r1/queue"))


def originals(tmp_path: Path, photos: Path) -> Path:
    """A copy of the photographs with a manifest table beside it, that names them from a folder."""
    base = tmp_path / "base"
    shutil.copytree(photos, base / "images")
    files = [path.relative_to(base / "images").as_posix() for path in (base / "images").rglob("*") if path.is_file()]
    rows = [(path, path.split("/")[0]) for path in files]
    (base / "lists").mkdir()
    pl.DataFrame(sorted(rows), schema=["path", "label"], orient="row").write_csv(base / "lists/l.csv")
    return base


def test_originals_are_found_from_any_folder_and_another_picture_is_refused(
    photos: Path, tmp_path: Path, alrctl: Alrctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = originals(tmp_path, photos)
    monkeypatch.chdir(base)
    done(alrctl("ingest", "lists/l.csv", "--root", "images", "--image-size", 8, "-o", "data"))
    assert alrctl("ingest", "lists/l.csv", "--root", "images", "--image-size", 8, "-o", "data").code == 0
    audit = ("audit", base / "data", "--labels", base / "data", "--budget", 12, "-o")
    done(alrctl(*audit, base / "one"))
    (base / "sub").mkdir()
    monkeypatch.chdir(base / "sub")
    done(alrctl(*audit, base / "two"))
    assert (base / "one/images.zip").read_bytes() == (base / "two/images.zip").read_bytes()
    name = asked(base / "one")[0]
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(base / "images" / name)
    refused(alrctl(*audit, base / "three"), 4, "1 image changed since ingest (first: ")
    assert not (base / "three").exists()
    (base / "images" / name).unlink()
    done(alrctl(*audit, base / "four"))  # of one that is gone, the pack's pixels are shown


@pytest.mark.parametrize("command", ["review", "report"])
def test_a_page_is_not_written_over_a_file_that_is_none(work: Path, alrctl: Alrctl, command: str) -> None:
    precious = work / "precious.csv"
    precious.write_text("sample_id,label\n")
    place = work / "r1/queue" if command == "review" else work
    refused(alrctl(command, place, "-o", precious), 2, "is there already, and is no HTML page")
    assert precious.read_text() == "sample_id,label\n"
    for _ in range(2):
        done(alrctl(command, place, "-o", work / "page.html"))


def test_the_demo_does_not_write_over_a_pipeline_made_ones_own(alrctl: Alrctl, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/pipeline.yaml").write_text(yaml.safe_dump({"source": "mine", "rounds": 9}))
    refused(alrctl("demo", "-o", tmp_path / "demo"), 2, "pipeline.yaml: was changed; carry it out with `alrctl run ")
    assert "rounds: 9" in (tmp_path / "demo/pipeline.yaml").read_text()


# --- tables of other programs ----------------------------------------------------------------------------------------


def test_columns_of_lists_or_bytes_are_passed_over_or_told(work: Path, alrctl: Alrctl, photos: Path) -> None:
    base = originals(work, photos)
    table = pl.read_csv(base / "lists/l.csv")
    odd = {"embedding": [[0.5, 1.0]] * table.height, "bytes": [b"\xff\xfe"] * table.height}
    table.with_columns(**{name: pl.Series(values) for name, values in odd.items()}).write_parquet(base / "l.parquet")
    done(alrctl("ingest", base / "l.parquet", "--root", base / "images", "--image-size", 8, "-o", work / "d"))
    pl.DataFrame({"sample_id": [[1], [2]]}).write_parquet(work / "ids.parquet")
    select = ("select", work / "r1/scores", "--budget", 5, "--exclude", work / "ids.parquet", "-o", work / "q")
    refused(alrctl(*select), 3, "column 'sample_id' holds List(Int64), and no text")
    samples = pl.read_parquet(work / "data/samples.parquet")["sample_id"]
    evaluate = ("evaluate", work / "data", "--bootstrap", 0, "--no-figures", "-o", work / "e")
    said = pl.DataFrame({"sample_id": samples, "predicted_label": [["red"]] * len(samples)})
    said.write_parquet(work / "p.parquet")
    refused(alrctl(*evaluate, "--predictions", work / "p.parquet"), 3, "column 'predicted_label' holds List(String)")
    lists = pl.DataFrame({"sample_id": samples, **{name: [[0.1]] * len(samples) for name in ("red", "green", "blue")}})
    lists.write_parquet(work / "p.parquet")
    refused(alrctl(*evaluate, "--predictions", work / "p.parquet"), 3, "holds List(Float64), and no numbers")
    meta = pl.DataFrame({"what": [[0]] * len(samples), "id": samples})
    meta.write_parquet(work / "m.parquet")
    by = (*evaluate, "--checkpoint", work / "lnl", "--metadata", work / "m.parquet", "--by")
    refused(alrctl(*by, "what"), 2, "--by: column 'what' holds List(Int64), and no names or numbers")


# --- what is told ----------------------------------------------------------------------------------------------------


def test_errors_are_not_known_where_no_label_was_looked_at(work: Path, alrctl: Alrctl) -> None:
    done(alrctl("audit", work / "data", "--labels", work / "noisy", "--budget", 30, "-o", work / "a"))
    queue = table_files.read_table(work / "a/queue.parquet", QUEUE)
    some = queue.filter(pl.col("given_label") == "red")["sample_id"].to_list()
    given = answers(work / "some.csv", dict.fromkeys(some, "red"))
    done(alrctl("relabel", work / "noisy", "--queue", work / "a", "--answers", given, "-o", work / "l"))
    done(alrctl("audit", work / "data", "--labels", work / "l", "--queue", work / "a", "-o", work / "found"))
    rows = {row["label"]: row for row in table_files.read_table(work / "found/noise.parquet", NOISE).to_dicts()}
    assert rows["red"]["estimated_errors"] == 0
    assert rows["green"]["noise_rate"] is rows["green"]["estimated_errors"] is None
    assert rows["(all)"]["noise_rate"] is rows["(all)"]["estimated_errors"] is None


def test_a_broken_image_that_was_the_last_of_its_class_in_a_split_is_told(alrctl: Alrctl, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            (tmp_path / f"p/{split}/{name}").mkdir(parents=True)
            for number in range(4 if split == "train" else 1):
                pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / f"p/{split}/{name}/{number}.png")
    (tmp_path / "p/val/a/0.png").write_bytes(b"no image")
    ran = done(alrctl("ingest", tmp_path / "p", "--skip-broken", "--image-size", 8, "-o", tmp_path / "d"))
    assert "the val split has no sample of a: no figure for it there" in ran.err


def test_after_an_audit_phase_1_is_not_to_be_written_over(work: Path, alrctl: Alrctl) -> None:
    record = json.loads((work / "lnl/manifest.json").read_text())
    words = ["alrctl", "train-lnl", "--labels", "noisy", "-o", "lnl", "--force", "--epochs", "3", str(work / "data")]
    (work / "lnl/manifest.json").write_text(json.dumps(record | {"command": words}))
    done(alrctl("audit", work / "data", "--labels", work / "noisy", "--budget", 30, "-o", work / "audit"))
    shared = ("--queue", work / "audit", "-o")
    done(alrctl("relabel", work / "noisy", "--oracle", work / "data", *shared, work / "audited"))
    done(alrctl("audit", work / "data", "--labels", work / "audited", *shared, work / "found"))
    (line,) = alrctl("status", work, "--json").document["next"]
    assert line.endswith("--epochs 3 -o " + str(work / "lnl-audited")) or line.endswith("lnl-audited")
    (work / "lnl-audited").mkdir()
    (other,) = alrctl("status", work, "--json").document["next"]
    assert other == f"{line}-2"
    assert line.count("noisy") == 0 and line.count("--force") == 0
    assert line.split().count("--labels") == 1 and "audited" in line and "--epochs 3" in line


def test_after_an_undo_the_checkpoint_is_named(work: Path, alrctl: Alrctl) -> None:
    done(alrctl("undo", work / "r1/labels", "--round", 1, "-o", work / "r1/undone"))
    (line,) = alrctl("status", work, "--json").document["next"]
    assert "CHECKPOINT" not in line and "lnl" in line


def test_a_moved_project_does_not_name_commands_on_the_former_place(work: Path, alrctl: Alrctl) -> None:
    record = json.loads((work / "lnl/manifest.json").read_text())
    for out, told in (("elsewhere/lnl", False), (str(work / "lnl"), True)):
        words = ["alrctl", "train-lnl", "data", "--labels", "noisy", "-o", out]
        (work / "lnl/manifest.json").write_text(json.dumps(record | {"command": words}))
        labels = pl.read_parquet(work / "noisy/labels.parquet")
        labels.with_columns(label=pl.col("label").reverse()).write_parquet(work / "noisy/labels.parquet")
        if not told:
            (line,) = alrctl("status", work, "--json").document["next"]
            assert line == "lnl is stale; run it again"
            continue
        shutil.copy(work / "noisy/labels.parquet", work / "kept")
        labels.with_columns(label=pl.lit("red")).write_parquet(work / "noisy/labels.parquet")
        (line,) = alrctl("status", work, "--json").document["next"]
        assert line.startswith("lnl is stale; run it again: alrctl train-lnl data")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("select", "x", "--budgt", "0"), "No such option: --budgt"),
        (("slect",), "No such command 'slect'"),
        (("select",), "missing SCORES; missing --out"),
    ],
)
def test_words_that_make_no_sense_end_in_a_document_too(words: tuple[str, ...], told: str) -> None:
    ran = subprocess.run([sys.executable, "-m", "alrctl", *words, "--json"], capture_output=True, text=True)
    document = json.loads(ran.stdout)
    assert (ran.returncode, document["status"], document["exit_code"]) == (2, "failed", 2)
    assert told in document["error"]
    assert ran.stderr == f"error: {document['error']}\n"


def test_with_json_a_command_ends_as_it_does_without(tmp_path: Path) -> None:
    for words, code in ((("schema",), 0), (("status", str(tmp_path / "no")), 3)):
        ran = subprocess.run([sys.executable, "-m", "alrctl", *words, "--json"], capture_output=True, text=True)
        assert ran.returncode == code, ran.stderr
        json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xml", "<annotations><version>1.1</version></annotations>"),
        ("a.json", json.dumps({"images": [], "annotations": [], "categories": []})),
    ],
)
def test_a_name_is_not_mapped_where_a_format_has_none(work: Path, alrctl: Alrctl, name: str, content: str) -> None:
    (work / name).write_text(content)
    ran = alrctl(
        *("relabel", work / "noisy", "--queue", work / "r1/queue", "--answers", work / name),
        *("--map", "nonsense=label", "--annotator", "ann", "-o", work / "l"),
    )
    refused(ran, 2, "--map nonsense=label: a file of the format")


def test_what_is_learnt_without_corrections_is_what_the_noise_is_counted_of(work: Path, alrctl: Alrctl) -> None:
    shared = ("--labels", work / "r1/labels", "--checkpoint", work / "lnl", "--epochs", 1, "--batch-size", 16)
    ran = alrctl("recalibrate", work / "data", *shared, "--trust", "weighted", "--no-correct", "-o", work / "m")
    done(ran)
    samples = pl.read_parquet(work / "data/samples.parquet").filter(split="train").select("sample_id")
    given = samples.join(pl.read_parquet(work / "noisy/labels.parquet"), on="sample_id")["label"].value_counts()
    told = table_files.read_table(work / "m/noise.parquet", NOISE).filter(pl.col("label") != "(all)")
    assert dict(told.select("label", "samples").iter_rows()) == dict(given.iter_rows())


def test_a_record_of_unfinished_decoding_that_is_no_text_is_as_none(tmp_path: Path) -> None:
    UnfinishedPack(tmp_path / "state", 3, 8)
    (tmp_path / "state/decoded.jsonl").write_bytes(b"\xff\xfe\n")
    assert UnfinishedPack(tmp_path / "state", 3, 8).done == 0
