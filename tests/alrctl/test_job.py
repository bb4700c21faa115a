"""A stage runs when it must and only then, and its manifest says what went in and what came out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alrctl import __version__

Alrctl = Callable[..., Any]


def corrupt(work: Path, *more: object) -> tuple[object, ...]:
    """The command that made `noisy`, with more options."""
    return "corrupt", work / "data", "--rate", 0.4, "--seed", 0, "-o", work / "noisy", *more


def select(work: Path, *more: object) -> tuple[object, ...]:
    """The command that made `r1/queue`, with more options."""
    return "select", work / "r1/scores", "--strategy", "entropy", "--budget", 12, "-o", work / "r1/queue", *more


def relabel(work: Path, *more: object) -> tuple[object, ...]:
    """The command that made `r1/labels`, with more options."""
    asked = ("--queue", work / "r1/queue", "--oracle", work / "data")
    return "relabel", work / "noisy", *asked, "-o", work / "r1/labels", *more


def state(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the time of change of every file below."""
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def digests(directory: Path) -> dict[str, str]:
    """Return the sha256 of every file but the manifest."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.iterdir())
        if path.name != "manifest.json"
    }


def manifest_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "manifest.json").read_text())
    return found


def write_manifest(directory: Path, **changes: Any) -> None:
    (directory / "manifest.json").write_text(json.dumps(manifest_of(directory) | changes))


def edit_labels(path: Path) -> None:
    """Change one label of a table, as a person with a notebook would."""
    table = pl.read_parquet(path)
    other = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("green")).otherwise("label")
    table.with_columns(label=other, relabelled=pl.lit(False)).write_parquet(path)


@pytest.mark.parametrize("command", [corrupt, select, relabel])
def test_the_same_again_does_nothing(alrctl: Alrctl, work: Path, command: Callable[..., tuple[object, ...]]) -> None:
    before = state(work)
    ran = alrctl(*command(work))
    assert ran.code == 0
    assert "unchanged:" in ran.out
    assert "--force runs it anyway" in ran.out
    assert state(work) == before


@pytest.mark.parametrize("command", [corrupt, select, relabel])
def test_force_runs_anyway_to_the_same_bytes(
    alrctl: Alrctl, work: Path, command: Callable[..., tuple[object, ...]]
) -> None:
    out = Path(str(command(work)[-1]))
    before, outputs = state(out), digests(out)
    ran = alrctl(*command(work, "--force", "--json"))
    assert ran.document["status"] == "done"
    assert digests(out) == outputs
    assert state(out) != before


def test_another_option_runs_it_anew(alrctl: Alrctl, work: Path) -> None:
    ran = alrctl(*corrupt(work, "--rate", 0.2, "--json"))
    assert ran.document["status"] == "done"
    assert manifest_of(work / "noisy")["options"]["rate"] == 0.2


def test_a_changed_input_runs_it_anew(alrctl: Alrctl, work: Path) -> None:
    alrctl(*corrupt(work, "--seed", 9))
    assert alrctl(*corrupt(work, "--seed", 9, "--json")).document["status"] == "unchanged"
    before = digests(work / "noisy")
    edit_labels(work / "data/labels.parquet")
    assert alrctl(*corrupt(work, "--seed", 9, "--json")).document["status"] == "done"
    assert digests(work / "noisy")["truth.parquet"] != before["truth.parquet"]


def test_an_output_that_is_gone_is_made_again(alrctl: Alrctl, work: Path) -> None:
    outputs = digests(work / "r1/queue")
    (work / "r1/queue/queue.csv").unlink()
    assert alrctl(*select(work, "--json")).document["status"] == "done"
    assert digests(work / "r1/queue") == outputs


def test_an_option_that_only_changes_the_speed_runs_nothing(alrctl: Alrctl, work: Path, photos: Path) -> None:
    ingest = ("ingest", photos, "-o", work / "data", "--image-size", 24, "--json")
    assert alrctl(*ingest, "--workers", 2).document["status"] == "unchanged"
    assert alrctl(*ingest, "--val-share", 0.2).document["status"] == "done"


@pytest.mark.parametrize(
    ("spoil", "more", "reason"),
    [
        (lambda work: shutil.rmtree(work / "noisy"), (), "not done yet"),
        (lambda work: None, ("--force",), "forced"),
        (lambda work: None, ("--rate", 0.1, "--exclude", "red"), "other options: exclude, rate"),
        (lambda work: edit_labels(work / "data/labels.parquet"), (), "changed inputs: labels"),
        (lambda work: (work / "noisy/truth.parquet").unlink(), (), "an output is missing"),
    ],
)
def test_a_dry_run_says_why_it_would_run_and_writes_nothing(
    alrctl: Alrctl, work: Path, spoil: Callable[[Path], None], more: tuple[object, ...], reason: str
) -> None:
    spoil(work)
    before = state(work)
    ran = alrctl(*corrupt(work, *more, "--dry-run"))
    assert ran.code == 0
    assert f"corrupt would run and write {work / 'noisy'} ({reason})" in ran.out
    assert alrctl(*corrupt(work, *more, "--dry-run", "--json")).document["summary"] == {"reason": reason}
    assert state(work) == before


def test_a_dry_run_of_what_is_up_to_date_says_so(alrctl: Alrctl, work: Path) -> None:
    assert alrctl(*corrupt(work, "--dry-run", "--json")).document["status"] == "unchanged"


def test_a_stale_input_is_refused_by_name_unless_allowed(alrctl: Alrctl, work: Path) -> None:
    edit_labels(work / "data/labels.parquet")
    out = work / "r2"
    command = ("relabel", work / "noisy", "--queue", work / "r1/queue", "--oracle", work / "noisy", "-o", out)
    ran = alrctl(*command)
    assert ran.code == 4
    told = f"{work / 'noisy'}: is stale: {work / 'data/labels.parquet'} changed since; run 'corrupt' again"
    assert told in ran.err
    assert "--allow-stale" in ran.err
    assert not out.exists()
    assert alrctl(*command, "--allow-stale").code == 0
    assert (out / "manifest.json").is_file()


def test_an_input_is_stale_however_far_up_the_change_lies(alrctl: Alrctl, work: Path) -> None:
    edit_labels(work / "data/labels.parquet")
    ran = alrctl(*select(work, "--budget", 3))
    assert ran.code == 4
    assert f"{work / 'r1/scores'}: is stale: {work / 'data/labels.parquet'} changed since; run 'score' again" in ran.err


def test_running_the_stale_stage_again_mends_it(alrctl: Alrctl, work: Path) -> None:
    edit_labels(work / "data/labels.parquet")
    assert alrctl(*corrupt(work)).code == 0
    out = work / "mended"
    asked = work / "asked.csv"
    asked.write_text(f"sample_id,label\n{pl.read_parquet(work / 'noisy/labels.parquet')['sample_id'][0]},red\n")
    assert alrctl("relabel", work / "noisy", "--answers", asked, "-o", out).code == 0


def test_an_input_that_is_gone_makes_nothing_stale(alrctl: Alrctl, work: Path) -> None:
    shutil.rmtree(work / "lnl")
    shutil.rmtree(work / "noisy")
    assert alrctl(*select(work, "--budget", 3)).code == 0


def test_an_edited_input_is_used_and_warned_of(alrctl: Alrctl, work: Path) -> None:
    path = work / "r1/scores/scores.parquet"
    pl.read_parquet(path).head(20).write_parquet(path)
    ran = alrctl(*select(work, "--budget", 3, "--json"))
    told = f"{path} was changed after alrctl wrote it; it is used as it is now"
    assert ran.code == 0
    assert f"warning: {told}" in ran.err
    assert told in ran.document["warnings"]
    assert told in manifest_of(work / "r1/queue")["warnings"]


def test_an_edited_output_is_refused_unless_forced_and_then_kept(alrctl: Alrctl, work: Path) -> None:
    queue = work / "r1/queue/queue.csv"
    queue.write_text(queue.read_text() + "\n")
    before = state(work / "r1/queue")
    ran = alrctl(*select(work, "--budget", 3))
    assert ran.code == 4
    assert "queue.csv changed after alrctl wrote it, and a new run would replace it" in ran.err
    assert "use --force (a copy NAME.edited is then kept)" in ran.err
    assert state(work / "r1/queue") == before
    assert alrctl(*select(work, "--budget", 3, "--force")).code == 0
    assert (work / "r1/queue/queue.csv.edited").read_bytes() == before["queue.csv"][0]
    assert pl.read_parquet(work / "r1/queue/queue.parquet").height == 3


def test_an_edited_output_is_left_as_it_is_where_nothing_need_run(alrctl: Alrctl, work: Path) -> None:
    for name in ("tasks.json", "queue.csv"):
        place = work / "r1/queue" / name
        place.write_text(place.read_text() + "\n")
    ran = alrctl(*select(work, "--json"))
    assert ran.document["status"] == "unchanged"
    assert "queue: tasks.json changed after alrctl wrote it; left as it is" in ran.err, "into queue.csv people write"


def test_what_a_person_added_survives_a_rerun(alrctl: Alrctl, work: Path) -> None:
    (work / "r1/queue/notes.txt").write_text("mine")
    assert alrctl(*select(work, "--budget", 3)).code == 0
    assert (work / "r1/queue/notes.txt").read_text() == "mine"
    assert "notes.txt" not in manifest_of(work / "r1/queue")["outputs"]


def test_a_newer_version_is_reported_and_reruns_nothing(alrctl: Alrctl, work: Path) -> None:
    write_manifest(work / "noisy", version="9.9.9")
    before = state(work)
    ran = alrctl(*corrupt(work, "--json"))
    assert ran.document["status"] == "unchanged"
    assert f"was made by version 9.9.9; this is {__version__} (--force runs anew)" in ran.err
    assert state(work) == before


def test_an_option_that_an_older_version_did_not_have_reruns_nothing_until_it_is_used(
    alrctl: Alrctl, work: Path
) -> None:
    options = manifest_of(work / "r1/queue")["options"]
    write_manifest(work / "r1/queue", options={name: value for name, value in options.items() if name != "diversity"})
    before = state(work)
    assert alrctl(*select(work, "--json")).document["status"] == "unchanged"
    assert state(work) == before
    shown = alrctl(*select(work, "--diversity", 0.5, "--dry-run", "--json"))
    assert shown.document["summary"]["reason"] == "other options: diversity"


def test_warnings_of_the_run_are_told_again_where_it_is_unchanged(alrctl: Alrctl, work: Path) -> None:
    asked = select(work, "--budget", 500)
    told = "500 labels asked for, and the pool holds"
    assert told in alrctl(*asked).err
    again = alrctl(*asked, "--json")
    assert again.document["status"] == "unchanged"
    assert told in again.err
    assert told in again.document["warnings"][0]


@pytest.mark.parametrize(
    ("more", "code", "status"),
    [
        (("--force",), 0, "done"),
        ((), 0, "unchanged"),
        (("--dry-run", "--budget", 2), 0, "would run"),
        (("--strategy", "entropie"), 2, "failed"),
    ],
)
def test_json_is_one_document_and_nothing_else_on_stdout(
    alrctl: Alrctl, work: Path, more: tuple[object, ...], code: int, status: str
) -> None:
    ran = alrctl(*select(work, *more, "--json"))
    assert ran.code == code
    assert ran.out.startswith("{\n")
    assert ran.out.endswith("}\n")
    document = json.loads(ran.out)
    assert document["status"] == status
    if status == "failed":
        assert document["exit_code"] == code
        assert document["error"] in ran.err
    else:
        assert document["stage"] == "select"
        assert document["out"] == str(work / "r1/queue")
        assert set(document) == {"stage", "status", "out", "summary", "warnings"}


def test_the_manifest_says_what_went_in_and_what_came_out(alrctl: Alrctl, work: Path) -> None:
    from stages.select import SelectConfig

    assert alrctl(*select(work, "--seed", 5, "--force")).code == 0
    found = manifest_of(work / "r1/queue")
    assert (found["stage"], found["version"], found["seed"], found["device"]) == ("select", __version__, 5, "cpu")
    assert set(found["options"]) == set(SelectConfig.model_fields)
    told = {name: found["options"][name] for name in ("strategy", "budget", "pool", "seed")}
    assert told == {"strategy": "entropy", "budget": 12, "pool": "auto", "seed": 5}
    assert set(found["inputs"]) == {"scores", "samples", "classes", "images"}
    for record in found["inputs"].values():
        path = work / "r1/queue" / record["path"]
        assert not os.path.isabs(record["path"])
        assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert record["size"] == path.stat().st_size
    assert {name: record["sha256"] for name, record in found["outputs"].items()} == digests(work / "r1/queue")
    rows = {name: record["rows"] for name, record in found["outputs"].items() if record["rows"] is not None}
    assert rows == {"queue.csv": 12, "queue.parquet": 12}
    for name, record in found["outputs"].items():
        assert record["bytes"] == (work / "r1/queue" / name).stat().st_size
    started, ended = (datetime.fromisoformat(found[name]) for name in ("started", "ended"))
    assert started.utcoffset() == ended.utcoffset() == timedelta(0)
    assert started <= ended
    assert found["summary"]["queued"] == 12


def test_the_manifest_holds_the_value_of_every_option(finished: Path) -> None:
    from stages.ingest import IngestConfig
    from stages.train_lnl import TrainLnlConfig

    assert set(manifest_of(finished / "data")["options"]) == set(IngestConfig.model_fields)
    assert set(manifest_of(finished / "lnl")["options"]) == set(TrainLnlConfig.model_fields)
    assert manifest_of(finished / "lnl")["options"]["backbone"] == "test_resnet"
    assert manifest_of(finished / "lnl")["options"]["momentum"] == 0.9


def test_rows_are_recorded_of_every_table(finished: Path) -> None:
    outputs = manifest_of(finished / "data")["outputs"]
    assert outputs["samples.parquet"]["rows"] == outputs["labels.parquet"]["rows"] == 110
    assert outputs["images.safetensors"]["rows"] is None


def test_a_project_that_was_moved_is_up_to_date_and_still_notices_changes(alrctl: Alrctl, work: Path) -> None:
    moved = work.with_name("elsewhere")
    work.rename(moved)
    before = state(moved)
    for command in (corrupt(moved), select(moved), relabel(moved)):
        assert alrctl(*command, "--json").document["status"] == "unchanged"
    assert {row["state"] for row in alrctl("status", moved, "--json").document["artifacts"]} == {"done"}
    assert state(moved) == before
    edit_labels(moved / "data/labels.parquet")
    assert alrctl(*select(moved, "--budget", 3)).code == 4


def test_relative_paths_mean_the_same_as_absolute_ones(
    alrctl: Alrctl, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work / "r1")
    command = ("select", "scores", "--strategy", "entropy", "--budget", 12, "-o", "queue", "--json")
    assert alrctl(*command).document["status"] == "unchanged"


@pytest.mark.parametrize(
    ("command", "more"),
    [
        (corrupt, ("--seed", 4)),
        (select, ("--strategy", "random", "--seed", 4)),
        (relabel, ()),
    ],
)
def test_the_same_seed_gives_the_same_bytes(
    alrctl: Alrctl, work: Path, command: Callable[..., tuple[object, ...]], more: tuple[object, ...]
) -> None:
    outs = [work / "one", work / "two"]
    for out in outs:
        assert alrctl(*command(work, *more, "-o", out)).code == 0
    assert digests(outs[0]) == digests(outs[1])


def test_another_seed_gives_other_labels(alrctl: Alrctl, work: Path) -> None:
    for seed in (4, 5):
        assert alrctl(*corrupt(work, "--seed", seed, "-o", work / str(seed))).code == 0
    assert digests(work / "4")["labels.parquet"] != digests(work / "5")["labels.parquet"]


def test_two_trainings_with_the_same_seed_give_the_same_bytes(alrctl: Alrctl, work: Path) -> None:
    tiny = ("--backbone", "test_resnet", "--epochs", 2, "--batch-size", 16, "--device", "cpu", "--num-gradual", 1)
    outs = [work / "one", work / "two"]
    for out in outs:
        command = ("train-lnl", work / "data", "--labels", work / "noisy", *tiny, "--seed", 3, "-o", out)
        assert alrctl(*command).code == 0
    found = digests(outs[0])
    assert found == digests(outs[1])
    assert {"clean.parquet", "signals.parquet", "history.parquet", "checkpoint.safetensors"} <= set(found)


def test_a_file_may_be_named_instead_of_its_directory(alrctl: Alrctl, work: Path) -> None:
    same = ("--strategy", "entropy", "--budget", 12, "-o", work / "r1/queue", "--json")
    for name in ("scores.parquet", "embeddings.safetensors"):
        assert alrctl("select", work / "r1/scores" / name, *same).document["status"] == "unchanged"


def test_a_directory_of_another_stage_is_told_as_such(alrctl: Alrctl, work: Path) -> None:
    ran = alrctl("select", work / "noisy", "-o", work / "q")
    assert ran.code == 3
    assert f"{work / 'noisy'}: holds no scores.parquet (it is the result of 'corrupt')" in ran.err
    (work / "r1/scores/manifest.json").unlink()
    (work / "r1/scores/scores.parquet").unlink()
    ran = alrctl("select", work / "r1/scores", "-o", work / "q")
    assert "holds no scores.parquet and no manifest.json: no stage finished here" in ran.err


def test_an_interrupted_input_is_told_as_unfinished(alrctl: Alrctl, work: Path) -> None:
    (work / ".scores.alrctl/state").mkdir(parents=True)
    ran = alrctl("select", work / "scores", "-o", work / "q")
    assert ran.code == 3
    assert f"{work / 'scores'}: is not finished; run the stage that makes it again, and it goes on" in ran.err


def test_an_output_that_another_process_writes_to_is_refused(alrctl: Alrctl, work: Path) -> None:
    from filelock import FileLock

    (work / "r1/.queue.alrctl").mkdir()
    before = state(work / "r1/queue")
    with FileLock(work / "r1/.queue.alrctl/lock"):
        ran = alrctl(*select(work, "--budget", 3))
    assert ran.code == 2
    assert f"-o {work / 'r1/queue'}: another alrctl is writing there; wait for it to end" in ran.err
    assert state(work / "r1/queue") == before


def test_debug_shows_where_an_error_came_from(alrctl: Alrctl, tmp_path: Path) -> None:
    from schemas.errors import DataError

    with pytest.raises(DataError, match="no such file or directory"):
        alrctl("select", tmp_path / "nothing", "-o", tmp_path / "q", "--debug")
