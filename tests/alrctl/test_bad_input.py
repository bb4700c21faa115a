"""A careless person's mistakes: each gives one clear line and the right exit code, and writes nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

Alrctl = Callable[..., Any]


def check_refused(ran: Any, code: int, told: str, out: Path) -> None:
    """Hold a refusal to its promises."""
    errors = [line for line in ran.err.splitlines() if not line.startswith("warning:")]
    assert len(errors) == 1, ran.err
    assert told in errors[0], errors[0]
    assert ran.code == code
    assert ran.out == ""
    assert not out.exists()
    assert not out.with_name(f".{out.name}.alrctl").exists()


def write_csv(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def listed(photos: Path, tmp_path: Path) -> Path:
    """A manifest CSV of the photos, beside a copy of them."""
    shutil.copytree(photos, tmp_path / "photos")
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in sorted((tmp_path / "photos").rglob("*.png"))]
    return write_csv(tmp_path / "list.csv", "path,label\n" + "\n".join(rows) + "\n")


def test_no_such_file(alrctl: Alrctl, tmp_path: Path) -> None:
    out = tmp_path / "data"
    check_refused(alrctl("ingest", tmp_path / "photo", "-o", out), 3, "photo: no such file or directory", out)


def test_no_such_artifact_names_the_nearest(alrctl: Alrctl, work: Path) -> None:
    out = work / "q"
    told = "r1/scoers: no such file or directory; did you mean 'scores'?"
    check_refused(alrctl("select", work / "r1/scoers", "-o", out), 3, told, out)


def test_empty_csv(alrctl: Alrctl, tmp_path: Path) -> None:
    out = tmp_path / "data"
    empty = write_csv(tmp_path / "list.csv", "")
    check_refused(alrctl("ingest", empty, "-o", out), 3, "list.csv: is empty", out)


def test_label_column_missing(alrctl: Alrctl, listed: Path) -> None:
    out = listed.parent / "data"
    listed.write_text(listed.read_text().replace("path,label", "path,colour"))
    told = "list.csv: the label column is missing (found: 'path', 'colour'); name it with --label-column"
    check_refused(alrctl("ingest", listed, "-o", out), 3, told, out)


def test_unknown_class_among_the_answers(alrctl: Alrctl, work: Path) -> None:
    out = work / "l"
    asked = pl.read_parquet(work / "r1/queue/queue.parquet")["sample_id"]
    answers = write_csv(work / "answers.csv", f"sample_id,label\n{asked[0]},red\n{asked[1]},gren\n")
    told = "column 'label' has 1 value that is no class of this data set (first: row 3, 'gren'; did you mean 'green'?)"
    ran = alrctl("relabel", work / "noisy", "--queue", work / "r1/queue", "--answers", answers, "-o", out)
    check_refused(ran, 3, told, out)


def test_unknown_class_in_a_label_table(alrctl: Alrctl, work: Path) -> None:
    out = work / "s"
    table = pl.read_parquet(work / "noisy/labels.parquet")
    spoiled = table.with_columns(label=pl.when(pl.int_range(pl.len()) == 4).then(pl.lit("purple")).otherwise("label"))
    spoiled.write_parquet(work / "labels.parquet")
    told = "has 1 value that is no class of this data set (first: row 5, 'purple'"
    ran = alrctl("score", work / "data", "--labels", work / "labels.parquet", "--checkpoint", work / "lnl", "-o", out)
    check_refused(ran, 3, told, out)


def test_duplicate_sample_ids(alrctl: Alrctl, work: Path) -> None:
    out = work / "s"
    table = pl.read_parquet(work / "noisy/labels.parquet")
    pl.concat([table, table[:2]]).write_parquet(work / "labels.parquet")
    told = "column 'sample_id' has 4 rows repeated (it must be unique) (first: row 1"
    ran = alrctl("score", work / "data", "--labels", work / "labels.parquet", "--checkpoint", work / "lnl", "-o", out)
    check_refused(ran, 3, told, out)


def test_duplicate_ids_in_a_manifest(alrctl: Alrctl, listed: Path) -> None:
    out = listed.parent / "data"
    lines = listed.read_text().splitlines()
    listed.write_text("\n".join([*lines, lines[1]]) + "\n")
    check_refused(alrctl("ingest", listed, "-o", out), 3, "2 samples share an id with another", out)


def test_class_with_one_sample(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos/rare").mkdir()
    Image.fromarray(np.full((24, 24, 3), 9, np.uint8)).save(tmp_path / "photos/rare/only.png")
    told = "class 'rare' has 1 sample; a split that keeps groups and duplicates together needs at least 3 of each class"
    check_refused(alrctl("ingest", tmp_path / "photos", "-o", out, "--image-size", 24), 3, told, out)


def spoil_image(source: Path, keep: int) -> Path:
    """Cut one of the images to its first bytes."""
    path = sorted(source.rglob("*.jpg"))[0]
    path.write_bytes(path.read_bytes()[:keep])
    return path


@pytest.fixture
def jpegs(photos: Path, tmp_path: Path) -> Path:
    for path in photos.rglob("*.png"):
        target = tmp_path / "jpegs" / path.parent.name / f"{path.stem}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.save(target, quality=95)
    return tmp_path / "jpegs"


@pytest.mark.parametrize(("keep", "told"), [(400, "is no readable image file"), (0, "is empty (0 bytes)")])
def test_truncated_or_empty_image(alrctl: Alrctl, jpegs: Path, keep: int, told: str) -> None:
    out = jpegs.parent / "data"
    broken = spoil_image(jpegs, keep)
    ran = alrctl("ingest", jpegs, "-o", out, "--image-size", 24)
    check_refused(ran, 3, told, out)
    assert f"1 image cannot be read (first: {broken}" in ran.err
    assert "--skip-broken leaves them out" in ran.err
    skipped = alrctl("ingest", jpegs, "-o", out, "--image-size", 24, "--skip-broken")
    assert skipped.code == 0
    assert pl.read_parquet(out / "samples.parquet").height == 109


def test_nan_in_a_score(alrctl: Alrctl, work: Path) -> None:
    out = work / "q"
    scores = pl.read_parquet(work / "r1/scores/scores.parquet")
    spoiled = scores.with_columns(entropy=pl.when(pl.int_range(pl.len()) == 2).then(float("nan")).otherwise("entropy"))
    spoiled.write_parquet(work / "scores.parquet")
    told = "scores.parquet: column 'entropy' has 1 value NaN (first: row 3)"
    ran = alrctl("select", work / "scores.parquet", "--strategy", "entropy", "-o", out)
    check_refused(ran, 3, told, out)


def test_labels_of_another_data_set(alrctl: Alrctl, work: Path) -> None:
    out = work / "s"
    other = pl.DataFrame({"sample_id": ["x1", "x2"], "label": ["red", "blue"]})
    other.write_parquet(work / "labels.parquet")
    told = "2 samples not of this data set (first: 'x1'); does it belong to another?"
    ran = alrctl("score", work / "data", "--labels", work / "labels.parquet", "--checkpoint", work / "lnl", "-o", out)
    check_refused(ran, 4, told, out)


def test_checkpoint_with_other_classes(alrctl: Alrctl, work: Path) -> None:
    out = work / "s"
    from alrctl import checkpoints

    trained = checkpoints.read(work / "lnl/checkpoint.safetensors")
    other = trained.metadata.model_copy(update={"classes": ("a", "b", "c")})
    tensors = load_file(work / "lnl/checkpoint.safetensors")
    save_file(tensors, work / "other.safetensors", metadata={"alrctl": other.model_dump_json()})
    ran = alrctl(
        "score", work / "data", "--labels", work / "noisy", "--checkpoint", work / "other.safetensors", "-o", out
    )
    check_refused(ran, 4, "was trained for the classes a, b, c; this data set has blue, green, red", out)


@pytest.mark.parametrize("place", ["r1/scores/scores.parquet", "copy.parquet"])
def test_parquet_cut_in_half(alrctl: Alrctl, work: Path, place: str) -> None:
    out = work / "q"
    whole = (work / "r1/scores/scores.parquet").read_bytes()
    (work / place).write_bytes(whole[: len(whole) // 2])
    check_refused(alrctl("select", work / place, "-o", out), 3, f"{place}: is no readable parquet file", out)


def test_checkpoint_cut_in_half(alrctl: Alrctl, work: Path) -> None:
    out = work / "s"
    whole = (work / "lnl/checkpoint.safetensors").read_bytes()
    (work / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    ran = alrctl(
        "score", work / "data", "--labels", work / "noisy", "--checkpoint", work / "half.safetensors", "-o", out
    )
    check_refused(ran, 3, "half.safetensors: is no whole safetensors file", out)


def test_unwritable_output_place(alrctl: Alrctl, work: Path) -> None:
    (work / "file").write_text("here stands a file")
    out = work / "file/queue"
    ran = alrctl("select", work / "r1/scores", "-o", out)
    check_refused(ran, 2, "queue: cannot be written (Not a directory); make room, or choose another place with -o", out)
    assert (work / "file").read_text() == "here stands a file"


_FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
sys.argv = ["alrctl", *sys.argv[1:]]
from alrctl.__main__ import main
main()
"""


def test_full_output_place(work: Path) -> None:
    out = work / "n"
    command = [sys.executable, "-c", _FULL, "corrupt", str(work / "data"), "--seed", "5", "-o", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "n: cannot be written (" in ended.stderr
    assert not out.exists()
    assert not out.with_name(".n.alrctl").exists()


def test_output_directory_with_other_content(alrctl: Alrctl, work: Path) -> None:
    out = work / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("do not touch")
    ran = alrctl("select", work / "r1/scores", "-o", out)
    assert ran.code == 2
    assert "holds files that alrctl did not write (thesis.txt); choose another" in ran.err
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    other = alrctl("select", work / "r1/scores", "-o", work / "noisy")
    assert other.code == 2
    assert "holds the result of 'corrupt'; choose another place for 'select'" in other.err


def test_budget_spent_or_no_candidates(alrctl: Alrctl, work: Path) -> None:
    out = work / "q"
    scores = pl.read_parquet(work / "r1/scores/scores.parquet").with_columns(relabelled=pl.lit(True))
    scores.write_parquet(work / "scores.parquet")
    ran = alrctl("select", work / "scores.parquet", "-o", out)
    check_refused(ran, 5, "no candidates: all 77 samples are relabelled", out)


def test_an_error_is_one_json_document_where_asked(alrctl: Alrctl, tmp_path: Path) -> None:
    ran = alrctl("ingest", tmp_path / "photo", "-o", tmp_path / "data", "--json")
    assert ran.code == 3
    assert json.loads(ran.out)["exit_code"] == 3


def test_ctrl_c_ends_with_130_and_leaves_no_artifact(work: Path) -> None:
    out = work / "long"
    command = [sys.executable, "-m", "alrctl", "train-lnl", str(work / "data"), "--labels", str(work / "noisy")]
    command += ["--backbone", "test_resnet", "--epochs", "5000", "-o", str(out)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    state = work / ".long.alrctl/state/index.json"
    deadline = time.monotonic() + 120
    while not state.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert told.strip() == "error: interrupted; nothing half-done was left, the same command goes on"
    assert not out.exists()


def test_a_refused_stage_leaves_no_empty_folders(alrctl: Alrctl, work: Path) -> None:
    scores = pl.read_parquet(work / "r1/scores/scores.parquet").with_columns(relabelled=pl.lit(True))
    scores.write_parquet(work / "scores.parquet")
    assert alrctl("select", work / "scores.parquet", "-o", work / "deep/er/queue").code == 5
    assert not (work / "deep").exists()


def test_a_file_that_is_not_there_is_told_also_right_below_the_root(alrctl: Alrctl, tmp_path: Path) -> None:
    ran = alrctl("select", "/no-such-scores", "-o", tmp_path / "q")
    assert (ran.code, ran.err) == (3, "error: /no-such-scores: no such file or directory\n")
    ran = alrctl("select", tmp_path / "scores", "-o", "/")
    assert ran.code == 2
    assert ran.err.startswith("error: -o /: holds files that alrctl did not write")
