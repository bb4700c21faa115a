"""What is measured can be followed in TensorBoard, in MLflow, or in anything that an adapter of a few lines reaches."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from alrctl import tracking
from alrctl.console import LiveReport, Voice
from alrctl.tracking import Run, scalars
from alrctl.workplace import Workplace
from schemas.errors import UsageError

Alrctl = Callable[..., Any]
Curves = dict[str, list[tuple[int, float]]]
"""Of each figure the step and the value, in the order in which they come."""
CLASSES = ("blue", "green", "red")
TINY = ("--backbone", "test_resnet", "--epochs", "3", "--batch-size", "16", "--num-gradual", "2", "--device", "cpu")


def train(work: Path, *more: object) -> tuple[object, ...]:
    return ("train-lnl", work / "data", "--labels", work / "noisy", *TINY, "-o", work / "new", *more)


def history(directory: Path) -> Curves:
    """Return the curves of a history table, as they are to be found in a tracker."""
    found: Curves = {}
    for row in pl.read_parquet(directory / "history.parquet").to_dicts():
        epoch, told = row.pop("epoch"), {}
        cells = [f"{row}/{column}" for row in CLASSES for column in CLASSES]
        for name, value in row.items():
            of = cells if name == "val_confusion" else CLASSES
            told |= (
                {f"{name}/{one}": v for one, v in zip(of, value, strict=True)}
                if isinstance(value, list)
                else {name: value}
            )
        for name, value in told.items():
            if value is not None:
                found.setdefault(name, []).append((epoch, value))
    assert found
    return found


def rounded(curves: Curves) -> Curves:
    """Return the curves as TensorBoard holds them, in single precision."""
    return {name: [(step, float(np.float32(value))) for step, value in points] for name, points in curves.items()}


def board(folder: Path) -> Curves:
    """Return what TensorBoard's own reader finds in a run's folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0}, purge_orphaned_data=False).Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def board_runs(root: Path) -> set[str]:
    """Return the runs that TensorBoard shows of a folder."""
    return {path.parent.relative_to(root).as_posix() for path in root.rglob("*.tfevents.*")}


def client(store: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{store}")


def runs(store: Path, name: str) -> list[Any]:
    """Return the runs of a name in a store, the oldest first."""
    asked = client(store)
    experiments = [experiment.experiment_id for experiment in asked.search_experiments()]
    found = asked.search_runs(experiments, f"attributes.run_name = '{name}'", order_by=["attributes.start_time ASC"])
    return list(found)


def curves(store: Path, run: Any) -> Curves:
    """Return what MLflow's own client finds of a run."""
    asked = client(store)
    told = {name: asked.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    return {name: [(metric.step, metric.value) for metric in metrics] for name, metrics in told.items()}


def contents(root: Path) -> dict[str, bytes]:
    """Return every file of a stage; of the manifest, all but the times."""
    found = {path.name: path.read_bytes() for path in root.iterdir()}
    told = json.loads(found["manifest.json"])
    del told["started"], told["ended"]
    return {**found, "manifest.json": json.dumps(told, sort_keys=True).encode()}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as MLflow makes it, which takes it seconds."""
    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    run = Run("none", "train-lnl", "none", store.parent, {}, {})
    with tracking.following(tracking.parse("mlflow"), run, pytest.fail):
        pass
    return store


@pytest.fixture
def store(work: Path, empty_store: Path) -> Path:
    """The place of the project's store, made already."""
    return Path(shutil.copy(empty_store, work / "mlflow.db"))


# --- the curves ------------------------------------------------------------------------------------------------------


def test_mlflows_own_client_finds_exactly_the_history(alrctl: Alrctl, work: Path, store: Path) -> None:
    ran = alrctl(*train(work, "--track", "mlflow"))
    assert ran.code == 0, ran.err
    (run,) = runs(store, "new")
    assert curves(store, run) == history(work / "new")
    assert run.info.status == "FINISHED"
    assert client(store).get_experiment(run.info.experiment_id).name == "work"


def test_mlflow_is_told_the_options_and_what_run_it_is(alrctl: Alrctl, work: Path, store: Path) -> None:
    from alrctl import __version__

    assert alrctl(*train(work, "--track", "mlflow")).code == 0
    (run,) = runs(store, "new")
    options = json.loads((work / "new/manifest.json").read_text())["options"]
    told = {name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()}
    assert run.data.params == told
    assert (run.data.tags["stage"], run.data.tags["version"]) == ("train-lnl", __version__)
    assert run.data.tags["out"] == str((work / "new").resolve())
    assert set(run.data.tags) >= {"command", "identity", "token"}


def test_tensorboards_own_reader_finds_exactly_the_history(alrctl: Alrctl, work: Path) -> None:
    ran = alrctl(*train(work, "--track", "tensorboard"))
    assert ran.code == 0, ran.err
    assert board(work / "tensorboard/new") == rounded(history(work / "new"))
    assert board_runs(work) == {"tensorboard/new"}
    assert f"followed by: tensorboard --logdir {os.path.relpath(work / 'tensorboard')}" in ran.out


def test_what_is_retrained_and_judged_is_told_by_class_over_the_labels_bought(alrctl: Alrctl, work: Path) -> None:
    tracked = ("--track", f"tensorboard:{work / 'elsewhere'}", "--force")
    shared = ("--checkpoint", work / "lnl", "--epochs", 2, "-o", work / "r1/model")
    assert alrctl("recalibrate", work / "data", "--labels", work / "r1/labels", *shared, *tracked).code == 0
    judged = ("evaluate", work / "data", "--checkpoint", work / "r1/model", "-o", work / "r1/eval", *tracked)
    document = alrctl(*judged, "--json").document["summary"]
    assert board(work / "elsewhere/r1/model") == rounded(history(work / "r1/model"))
    bought = json.loads((work / "r1/labels/manifest.json").read_text())["summary"]["labels_bought"]
    assert bought == 12
    told = {f"test/{name}": metric["value"] for name, metric in document["metrics"].items()}
    last = document["last_epochs"]["metrics"]
    told |= {f"test/last_epochs/{name}": metric["mean"] for name, metric in last.items()}
    for column, values in document["by_class"].items():
        if column not in {"label", "class_group"}:
            told |= {f"test/{column}/{name}": v for name, v in zip(CLASSES, values, strict=True)}
    assert {"test/balanced_accuracy", "test/recall/blue"} <= told.keys()
    known = {name: [(bought, value)] for name, value in told.items() if value is not None}
    assert board(work / "elsewhere/r1/eval") == rounded(known)


def test_a_pipelines_runs_are_called_as_its_steps_and_what_is_unchanged_tells_nothing(
    alrctl: Alrctl, photos: Path, tmp_path: Path
) -> None:
    content = {
        "source": str(photos),
        "rounds": 1,
        "expert": "oracle",
        "ingest": {"image-size": 16},
        "train-lnl": {"backbone": "test_resnet", "epochs": 2, "batch-size": 16, "num-gradual": 1, "device": "cpu"},
        "score": {"cross-validate": 2, "cross-validate-epochs": 1},
        "select": {"budget": 6, "pool": "all"},
        "recalibrate": {"epochs": 1, "batch-size": 16},
        "evaluate": {"bootstrap": 0, "figures": False},
        "report": False,
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(content))
    command = ("run", tmp_path / "pipeline.yaml", "--track", "tensorboard", "--json")
    assert alrctl(*command).document["status"] == "done"
    root = tmp_path / "tensorboard"
    assert board_runs(root) == {"lnl", "r0/eval", "r1/model", "r1/eval"}
    assert board(root / "lnl") == rounded(history(tmp_path / "lnl"))
    assert {points[0][0] for points in board(root / "r0/eval").values()} == {0}
    assert {points[0][0] for points in board(root / "r1/eval").values()} == {6}
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert alrctl(*command).document["status"] == "unchanged"
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_pipeline_keeps_its_runs_together_wherever_its_data_lie(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    training = {"backbone": "test_resnet", "epochs": 1, "batch-size": 16, "device": "cpu"}
    content = {
        "source": str(finished / "data"),
        "rounds": 0,
        "train-lnl": training,
        "evaluate": {"bootstrap": 0},
        "report": False,
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(content))
    assert alrctl("run", tmp_path / "pipeline.yaml", "--track", "tensorboard").code == 0
    assert board_runs(tmp_path) == {"tensorboard/lnl", "tensorboard/r0/eval"}


def test_a_stage_alone_that_is_unchanged_begins_no_run(alrctl: Alrctl, work: Path) -> None:
    assert alrctl(*train(work)).code == 0
    assert alrctl(*train(work, "--track", "tensorboard", "--json")).document["status"] == "unchanged"
    assert alrctl(*train(work, "--track", "mlflow", "--force", "--dry-run")).code == 0
    assert not (work / "tensorboard").exists()
    assert not (work / "mlflow.db").exists()


@pytest.mark.parametrize("spec", ["tensorboard", "mlflow"])
def test_the_artifacts_are_the_same_bytes_with_and_without(alrctl: Alrctl, work: Path, spec: str, store: Path) -> None:
    assert alrctl(*train(work)).code == 0
    plain = contents(work / "new")
    assert alrctl(*train(work, "--track", spec, "--force")).code == 0
    assert contents(work / "new") == plain
    assert not list(work.rglob(".*.alrctl"))


def test_nothing_is_left_where_the_command_was_given(
    alrctl: Alrctl, work: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert alrctl(*train(work, "--track", "mlflow")).code == 0
    assert list((tmp_path / "here").iterdir()) == []
    (run,) = runs(store, "new")
    assert run.info.artifact_uri.startswith((work.resolve() / "mlflow-artifacts").as_uri())


@pytest.mark.parametrize("place", ["runs.db", "sqlite:///runs.db"])
def test_a_store_may_be_named_as_a_file_or_as_mlflow_does(
    alrctl: Alrctl, work: Path, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "runs.db")
    assert alrctl(*train(work, "--track", f"mlflow:{place}")).code == 0
    assert len(runs(tmp_path / "runs.db", "new")) == 1


def test_away_from_its_data_a_stage_keeps_its_runs_beside_its_output(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    ran = alrctl(*train(finished, "--track", "tensorboard", "-o", tmp_path / "away/new"))
    assert ran.code == 0, ran.err
    assert board_runs(tmp_path / "away") == {"tensorboard/new"}


# --- once and for all ------------------------------------------------------------------------------------------------

# One process imports everything once and then forks a child a run, which ends by `kill -9` after its second epoch:
# right after that is saved, or right after it is told as well.
_KILLED = """
import os, signal, sys
import mlflow, torch.utils.tensorboard
import alrctl.commands.train_lnl
from alrctl.app import app
from alrctl.console import LiveReport
from alrctl.resume import DiskStore

def kill_after(owner, name):
    act, calls = getattr(owner, name), iter(range(100))
    def run(*given):
        result = act(*given)
        if next(calls) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, run)

for moment in ((DiskStore, "save"), (LiveReport, "measured")):
    for tracker in ("tensorboard", "mlflow"):
        child = os.fork()
        if child == 0:
            kill_after(*moment)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            app([*sys.argv[2:], "-o", f"{sys.argv[1]}/{tracker}-{moment[1]}", "--track", tracker])
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
"""


def test_killed_and_taken_up_a_training_gives_each_step_once(alrctl: Alrctl, work: Path, store: Path) -> None:
    given = [str(word) for word in train(work)[:-2]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _KILLED, str(work), *given]  # of forks: 3.12
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    for name, held in (("save", 1), ("measured", 2)):
        (killed,) = runs(store, f"mlflow-{name}")
        for found in (curves(store, killed), board(work / f"tensorboard/tensorboard-{name}")):
            assert len(found["train_loss"]) == len(found["kept_share"]) == len(found["val_recall_by_class/red"]) == held
            assert {name for name, points in found.items() if len(points) > held} == set()  # some are not known yet
        assert killed.info.status == "RUNNING"
        for tracker in ("tensorboard", "mlflow"):
            again = alrctl(*given, "-o", work / f"{tracker}-{name}", "--track", tracker)
            assert again.code == 0, again.err
        wanted = history(work / f"mlflow-{name}")
        assert len(wanted["train_loss"]) == len(wanted["val_recall_by_class/red"]) == 3
        (whole,) = runs(store, f"mlflow-{name}")
        assert curves(store, whole) == wanted
        assert whole.info.status == "FINISHED"
        assert board(work / f"tensorboard/tensorboard-{name}") == rounded(wanted)
    assert board_runs(work / "tensorboard") == {"tensorboard-save", "tensorboard-measured"}


def test_a_training_taken_up_under_a_tracker_that_it_began_without_gives_whole_curves(
    alrctl: Alrctl, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(alrctl, work, monkeypatch)
    assert alrctl(*train(work, "--track", "tensorboard")).code == 0
    assert board(work / "tensorboard/new") == rounded(history(work / "new"))


def interrupt(alrctl: Alrctl, work: Path, monkeypatch: pytest.MonkeyPatch, *more: object) -> None:
    """Let Ctrl-C strike a training when its second epoch is told."""
    tell = LiveReport.measured

    def struck(report: LiveReport, values: Mapping[str, Any], step: int) -> None:
        tell(report, values, step)
        if step == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LiveReport, "measured", struck)
        assert alrctl(*train(work, *more)).code == 130


def test_mlflow_is_told_how_a_run_ended_and_that_it_goes_on(
    alrctl: Alrctl, work: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(alrctl, work, monkeypatch, "--track", "mlflow")
    (killed,) = runs(store, "new")
    assert killed.info.status == "KILLED"
    assert alrctl(*train(work, "--track", "mlflow")).code == 0
    (whole,) = runs(store, "new")
    assert (whole.info.run_id, whole.info.status) == (killed.info.run_id, "FINISHED")
    assert alrctl(*train(work, "--track", "mlflow", "--learning-rate", 1e6)).code == 3
    assert runs(store, "new")[-1].info.status == "FAILED"


def test_a_run_that_goes_on_is_shown_as_running(tmp_path: Path, empty_store: Path) -> None:
    store = Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))
    run = Run("one", "train-lnl", "lnl", tmp_path, {}, {})
    with pytest.raises(KeyboardInterrupt), tracking.following(tracking.parse("mlflow"), run, pytest.fail):
        raise KeyboardInterrupt
    assert [one.info.status for one in runs(store, "lnl")] == ["KILLED"]
    with tracking.following(tracking.parse("mlflow"), run, pytest.fail):
        assert [one.info.status for one in runs(store, "lnl")] == ["RUNNING"]
    assert [one.info.status for one in runs(store, "lnl")] == ["FINISHED"]


@pytest.mark.parametrize(("spec", "more"), [("mlflow", ("--force",)), ("tensorboard", ("--seed", 3))])
def test_what_is_made_anew_is_a_run_of_its_own(
    alrctl: Alrctl, work: Path, store: Path, spec: str, more: tuple[object, ...]
) -> None:
    assert alrctl(*train(work, "--track", spec, "--force")).code == 0
    first = history(work / "new")
    assert alrctl(*train(work, "--track", spec, *more)).code == 0
    second = history(work / "new")
    assert (first == second) is (more == ("--force",))
    if spec == "mlflow":
        assert [curves(store, run) for run in runs(store, "new")] == [first, second]
    else:
        assert board_runs(work / "tensorboard") == {"new", "new.2"}
        assert board(work / "tensorboard/new") == rounded(first)
        assert board(work / "tensorboard/new.2") == rounded(second)


def test_a_token_is_of_one_run_alone(tmp_path: Path) -> None:
    seen = []
    for identity, ends_well in (("a", False), ("a", False), ("b", False), ("a", True), ("a", True)):
        try:
            with Workplace(tmp_path / "out", identity).opened() as place:
                seen.append(place.token())
                assert place.token() == seen[-1]
                place.state.mkdir(exist_ok=True)
                (place.state / "epoch").touch()
                if not ends_well:
                    raise RuntimeError("killed")
                (place.new / "file").touch()
                place.commit()
                assert not list(place.root.rglob("token")), "a kill from here on must leave none"
        except RuntimeError:
            pass
    assert seen[0] == seen[1]
    assert len(set(seen)) == 4


def test_an_event_file_that_a_kill_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    run = Run("one", "train-lnl", "lnl", tmp_path, {}, {})
    for last in (2, 4):
        with tracking.following(tracking.parse("tensorboard"), run, pytest.fail) as tracker:
            for step in range(last):
                tracker.log({"loss": float(step), "accuracy": 0.5}, step)
        if last == 2:
            (file,) = (tmp_path / "tensorboard/lnl").glob("*.tfevents.*")
            os.truncate(file, file.stat().st_size - 5)
    assert board(tmp_path / "tensorboard/lnl") == {
        "loss": [(step, float(step)) for step in range(4)],
        "accuracy": [(step, 0.5) for step in range(4)],
    }


def test_the_runs_of_another_program_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "lnl").mkdir()
    (tmp_path / "lnl/events.out.tfevents.1.other").write_bytes(b"")
    run = Run("one", "train-lnl", "lnl", tmp_path, {}, {})
    with tracking.following(tracking.parse(f"tensorboard:{tmp_path}"), run, pytest.fail) as tracker:
        tracker.log({"loss": 1.0}, 0)
    assert board_runs(tmp_path) == {"lnl", "lnl.2"}
    assert [path.name for path in (tmp_path / "lnl").iterdir()] == ["events.out.tfevents.1.other"]


# --- names -----------------------------------------------------------------------------------------------------------


def test_figures_by_class_are_named_by_class_and_unknown_ones_left_out() -> None:
    told = {"loss": 0.5, "val_loss": None, "kept": [1, None, 0.25]}
    assert scalars(told, CLASSES) == {"loss": 0.5, "kept/blue": 1.0, "kept/red": 0.25}
    assert scalars({"loss": 0}, ()) == {"loss": 0.0}
    matrix = [float(number) for number in range(9)]
    found = scalars({"confusion": matrix}, CLASSES)
    assert list(found.values()) == matrix
    assert found["confusion/green/red"] == 5.0
    assert scalars({"confusion": [0.0] * 900}, [str(number) for number in range(30)]) == {}, "too many to be looked at"


def test_any_class_name_becomes_a_name_that_mlflow_takes_and_no_two_become_one() -> None:
    from mlflow.utils.validation import _validate_metric_name

    names = ["a/b", "a_b", "a:b", "..", ".", "", "/", "grün", "黒色腫", "<b>", "a b", "nævus, \n%", "x" * 500]
    found = scalars({"recall": [float(number) for number in range(len(names))]}, names)
    assert sorted(found.values()) == list(range(len(names)))
    for name in found:
        _validate_metric_name(name)
        assert name.startswith("recall/")
        assert len(name) <= 250
        assert name.count("/") == 1


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("tensorbord", "--track: 'tensorbord' is not one of tensorboard, mlflow; did you mean 'tensorboard'?"),
        ("wandb", "--track: 'wandb' is not one of tensorboard, mlflow"),
        ("MLFLOW:x.db", "did you mean 'mlflow'?"),
        ("mlflow:", "names no place after the colon; leave the colon out for the usual"),
        ("mlflow:runs", "'runs' is no store of runs: give a file that ends in .db, sqlite:///FILE, or the http://"),
        ("mlflow:htp://server", "did you mean 'http'?"),
        ("mlflow:file:///runs", "'file:///runs' is no store of runs"),
    ],
)
def test_a_spec_that_names_no_tracker_or_place_is_refused(alrctl: Alrctl, work: Path, spec: str, told: str) -> None:
    ran = alrctl(*train(work, "--track", spec))
    assert ran.code == 2
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert not (work / "new").exists()


def test_a_bad_spec_is_told_together_with_all_else_that_is_wrong(alrctl: Alrctl, work: Path) -> None:
    ran = alrctl(*train(work, "--track", "mlfow", "--epochs", "many"))
    assert ran.code == 2
    assert "did you mean 'mlflow'?; --epochs: 'many' should be a valid integer" in ran.err


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
@pytest.mark.parametrize("command", ["train-lnl", "run"])
def test_a_package_that_is_missing_is_named_with_the_extra_that_brings_it(
    alrctl: Alrctl, work: Path, monkeypatch: pytest.MonkeyPatch, name: str, command: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    (work / "pipeline.yaml").write_text(f"source: {work / 'data'}\n")
    given = train(work) if command == "train-lnl" else ("run", work / "pipeline.yaml")
    before = sorted(work.rglob("*"))
    ran = alrctl(*given, "--track", name)
    assert ran.code == 2
    assert ran.err == f"error: --track {name}: {name} is not installed: pip install 'alrctl[{name}]'\n"
    assert sorted(work.rglob("*")) == before


def test_trackers_are_imported_only_when_they_are_asked_for() -> None:
    script = "import sys, alrctl.commands.run, alrctl.tracking.mlflow, alrctl.tracking.tensorboard\n"
    script += "from alrctl.tracking import parse; parse('mlflow'); parse('tensorboard')\n"
    script += "assert not {'mlflow', 'tensorboard'} & set(sys.modules), 'slow'"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("tensorboard:{file}/runs", "--track tensorboard: "),
        ("mlflow:{file}/runs.db", "cannot be written"),
        ("mlflow:{file}", "cannot be written (file is not a database)"),
        ("mlflow:http://me:secret@127.0.0.1:9", "http://...@127.0.0.1:9: does not answer; is the server running?"),
    ],
)
def test_a_tracker_that_cannot_begin_is_told_in_one_line_and_nothing_is_done(
    alrctl: Alrctl, work: Path, spec: str, told: str
) -> None:
    (work / "notes.db").write_text("in the way\n" * 100)
    ran = alrctl(*train(work, "--track", spec.format(file=work / "notes.db")))
    assert ran.code == 2
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert "secret" not in ran.err
    assert not (work / "new").exists()
    assert not (work / ".new.alrctl").exists()


def test_a_password_in_an_address_is_not_kept_in_the_manifest(
    alrctl: Alrctl, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alrctl.session import command_line

    monkeypatch.setattr(sys, "argv", ["alrctl", "run", "--track", "mlflow:http://me:secret@host:80/x"])
    assert command_line() == ("alrctl", "run", "--track", "mlflow:http://...@host:80/x")


_ADAPTER = """
from pathlib import Path

def check(place):
    if place == "nowhere":
        raise ValueError("no such place\\nmore")

def start(place, run):
    return Lines(place, run)

class Lines:
    look = "less lines"

    def __init__(self, place, run):
        self.place = place
        self.say(f"{run.stage} {run.name} {run.options['epochs']}")

    def say(self, text):
        with Path(self.place).open("a") as file:
            print(text, file=file)

    def log(self, values, step):
        print("a greeting")
        if "full" in self.place and step == 1:
            raise OSError(28, "No space left on device")
        self.say(f"{step} {values['train_loss']}")

    def close(self, ended):
        self.say(ended)
"""


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that offers a tracker, installed."""
    (tmp_path / "site/lines-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "site/lines.py").write_text(_ADAPTER)
    (tmp_path / "site/lines-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: lines\nVersion: 1.0\n")
    (tmp_path / "site/lines-1.0.dist-info/entry_points.txt").write_text("[alrctl.trackers]\nlines = lines\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield
    sys.modules.pop("lines", None)


def test_another_packages_tracker_is_taken_by_its_name(alrctl: Alrctl, work: Path, tmp_path: Path, lines: None) -> None:
    ran = alrctl(*train(work, "--track", f"lines:{tmp_path / 'told'}", "--json"))
    assert ran.document["status"] == "done"
    losses = pl.read_parquet(work / "new/history.parquet")["train_loss"].to_list()
    told = ["train-lnl new 3", *(f"{epoch} {loss}" for epoch, loss in enumerate(losses)), "finished"]
    assert (tmp_path / "told").read_text().splitlines() == told
    assert "not one of tensorboard, mlflow, lines; did you mean 'lines'?" in alrctl(*train(work, "--track", "line")).err
    refused = alrctl(*train(work, "--track", "lines:nowhere"))
    assert (refused.code, refused.err) == (2, "error: --track lines: no such place\n")


def test_a_tracker_that_breaks_is_told_once_and_the_training_goes_on(
    alrctl: Alrctl, work: Path, tmp_path: Path, lines: None
) -> None:
    assert alrctl(*train(work)).code == 0
    plain = contents(work / "new")
    ran = alrctl(*train(work, "--track", f"lines:{tmp_path / 'full'}", "--force", "--json"))
    assert ran.document["status"] == "done"
    told = "--track lines: [Errno 28] No space left on device; nothing more of this run is tracked, all else goes on"
    assert ran.err == f"warning: {told}\n"
    assert contents(work / "new") == plain
    assert len((tmp_path / "full").read_text().splitlines()) == 2


def test_a_full_disk_under_tensorboard_is_told_in_one_line(
    alrctl: Alrctl, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    write, close, calls, closed = RecordWriter.write, RecordWriter.close, iter(range(1000)), []

    def full(writer: Any, data: bytes) -> None:
        if next(calls) > 20:
            raise OSError(28, "No space left on device")
        write(writer, data)

    monkeypatch.setattr(RecordWriter, "write", full)
    monkeypatch.setattr(RecordWriter, "close", lambda writer: closed.append(close(writer)))
    ran = alrctl(*train(work, "--track", "tensorboard", "--json"))
    assert ran.document["status"] == "done"
    assert re.fullmatch(r"warning: --track tensorboard: .*No space left on device; .*\n", ran.err)
    assert len(closed) == 1


def test_a_store_that_goes_away_does_not_stop_the_training(
    alrctl: Alrctl, work: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = LiveReport.measured

    def without_store(report: LiveReport, values: Mapping[str, Any], step: int) -> None:
        if step == 1:
            store.write_text("gone")
        tell(report, values, step)

    monkeypatch.setattr(LiveReport, "measured", without_store)
    ran = alrctl(*train(work, "--track", "mlflow", "--json"))
    assert ran.document["status"] == "done"
    assert ran.err.startswith("warning: --track mlflow: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("spec", ["tensorboard", "mlflow"])
def test_json_is_one_document_and_the_libraries_say_nothing(
    alrctl: Alrctl, work: Path, spec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = alrctl(*train(work, "--track", spec, "--json"))  # mlflow makes its store, of which it likes to tell
    assert ran.document["status"] == "done"
    assert ran.err == ""
    assert capfd.readouterr() == ("", "")


def test_a_report_that_nobody_follows_takes_what_is_measured(capfd: pytest.CaptureFixture[str]) -> None:
    LiveReport(Voice(quiet=True), "score").measured({"loss": 1.0, "by_class": [1.0]}, 0)
    assert capfd.readouterr() == ("", "")


def test_more_figures_and_options_than_mlflow_takes_in_one_call_are_told(tmp_path: Path, empty_store: Path) -> None:
    count = 1500
    store = Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))
    run = Run(
        "many",
        "evaluate",
        "eval",
        tmp_path,
        {f"option{number}": "x" * 9000 for number in range(150)},
        {"command": "x" * 9000},
    )
    with tracking.following(tracking.parse("mlflow"), run, pytest.fail) as tracker:
        tracker.log({f"recall/{number}": float(number) for number in range(count)}, 0)
    (found,) = runs(store, "eval")
    assert found.data.metrics == {f"recall/{number}": float(number) for number in range(count)}
    assert len(found.data.params) == 150
    assert found.data.tags["command"].startswith("x" * 5000)


def test_an_error_without_words_is_told_by_its_name() -> None:
    def start(place: str, run: Run) -> Any:
        raise RuntimeError

    adapter = SimpleNamespace(check=lambda place: None, start=start)
    with pytest.MonkeyPatch.context() as patched, pytest.raises(UsageError, match="--track odd: RuntimeError"):
        patched.setitem(sys.modules, "odd", adapter)
        patched.setitem(tracking.ADAPTERS, "odd", "odd")
        run = Run("one", "evaluate", "eval", Path(), {}, {})
        with tracking.following(tracking.parse("odd"), run, pytest.fail):
            pass
