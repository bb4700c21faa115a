"""A pipeline that fails in one branch, is looked at before it runs, and tells what several seeds gave."""

from __future__ import annotations

import importlib
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from alrctl.commands import run as command
from alrctl.console import Voice
from alrctl.pipeline import sections, story
from schemas.errors import DataError, NothingToDoError
from stages.training.failures import DivergedError

Alrctl = Callable[..., Any]
TINY: dict[str, Any] = {
    "train-lnl": {"backbone": "test_resnet", "epochs": 1, "batch-size": 16, "num-gradual": 1, "device": "cpu"},
    "select": {"budget": 6, "pool": "all"},
    "recalibrate": {"epochs": 1, "batch-size": 16},
    "evaluate": {"bootstrap": 0, "figures": False},
    "expert": "oracle",
    "rounds": 1,
    "report": False,
}


def write(path: Path, **content: Any) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def steps_of(ran: Any) -> dict[str, str]:
    found: dict[str, str] = ran.document["summary"]["steps"]
    return found


@pytest.fixture(scope="module")
def seeds(alrctl: Alrctl, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of two strategies, with the page. Not to be changed."""
    base = tmp_path_factory.mktemp("seeds")
    shutil.copytree(finished / "data", base / "data")
    matrix = {"seed": [0, 1], "strategy": ["entropy", "random"]}
    content = {**TINY, "source": "data", "output": "work", "corrupt": {"rate": 0.4}, "matrix": matrix}
    file = write(base / "pipeline.yaml", **content)
    ran = alrctl("run", file)
    assert ran.code == 0, ran.err
    (base / "ran.txt").write_text(ran.out)
    return base


def spoilt(seeds: Path, tmp_path: Path) -> Path:
    """Return a copy in which one branch cannot go on: its queue's scores are not there, and cannot be made."""
    copy = shutil.copytree(seeds, tmp_path / "copy")
    shutil.rmtree(copy / "work/seed-0/entropy")
    shutil.rmtree(copy / "work/seed-1/entropy")
    return copy


# --- a step that fails -----------------------------------------------------------------------------------------------


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Exception], None]:
    """Return what lets one `select` fail, for this test alone."""
    plan = importlib.import_module("alrctl.pipeline.plan")  # the package has a function of that name

    def fail(place: str, error: Exception) -> None:
        section = sections.SECTIONS["select"]

        def select(session: Any, **arguments: Any) -> Any:
            if place in arguments["out"].as_posix() and not session.dry_run:
                raise error
            return section.function(session, **arguments)

        monkeypatch.setattr(plan, "SECTIONS", {**sections.SECTIONS, "select": replace(section, function=select)})

    return fail


def test_without_keep_going_the_first_failure_ends_the_run(
    alrctl: Alrctl, seeds: Path, tmp_path: Path, broken: Callable[[str, Exception], None]
) -> None:
    copy = spoilt(seeds, tmp_path)
    broken("seed-0/entropy", DataError("the disk of this branch is gone"))
    ran = alrctl("run", copy / "pipeline.yaml")
    assert ran.code == 3
    assert ran.err.strip() == "error: seed-0/entropy/r1/queue: the disk of this branch is gone"
    assert not (copy / "work/seed-1/entropy").exists()


@pytest.mark.parametrize(
    "error",
    [DataError("the disk is gone"), RuntimeError("a fault of the program"), DivergedError(math.nan, 3, 0.1)],
)
def test_with_keep_going_what_does_not_need_the_failed_step_is_carried_out(
    alrctl: Alrctl, seeds: Path, tmp_path: Path, broken: Callable[[str, Exception], None], error: Exception
) -> None:
    copy = spoilt(seeds, tmp_path)
    broken("seed-0/entropy", error)
    ran = alrctl("run", copy / "pipeline.yaml", "--keep-going")
    assert ran.code == (3 if isinstance(error, DataError) else 1)  # training that diverged is one too
    assert (copy / "work/seed-1/entropy/r1/eval/manifest.json").is_file()
    assert not (copy / "work/seed-0/entropy/r1/labels").exists()
    told = "1 step of 24 failed, and 3 steps that need them did not run; the first: seed-0/entropy/r1/queue: "
    assert f"error: {told}{error}" in ran.err
    assert f"warning: seed-0/entropy/r1/queue: {'' if isinstance(error, DataError) else 'RuntimeError: '}" in ran.err
    again = alrctl("run", copy / "pipeline.yaml", "--keep-going", "--json")
    assert again.document["exit_code"] == ran.code


def test_a_pool_that_is_empty_ends_its_branch_and_the_rest_is_told(
    alrctl: Alrctl, seeds: Path, tmp_path: Path, broken: Callable[[str, Exception], None]
) -> None:
    copy = spoilt(seeds, tmp_path)
    broken("seed-0/entropy", NothingToDoError("no candidates"))
    ran = alrctl("run", copy / "pipeline.yaml")
    assert ran.code == 5
    assert (copy / "work/seed-1/entropy/r1/eval/manifest.json").is_file()
    assert "balanced" in ran.out, "the table is shown"
    assert "warning: seed-0/entropy/r1/queue: no candidates" in ran.err


def test_a_test_split_of_which_nobody_knows_how_right_it_is_is_told_as_such(
    alrctl: Alrctl, seeds: Path, finished: Path, tmp_path: Path
) -> None:
    told = "judged by the labels of the test split as they came"
    assert told not in (seeds / "ran.txt").read_text(), "the truth is known there"
    shutil.copytree(finished / "data", tmp_path / "data")
    ran = alrctl("run", write(tmp_path / "p.yaml", **TINY | {"source": "data", "output": "work", "expert": "file"}))
    assert told in ran.out


def test_after_the_mend_the_same_command_carries_out_the_rest(
    alrctl: Alrctl, seeds: Path, tmp_path: Path, broken: Callable[[str, Exception], None], monkeypatch: Any
) -> None:
    copy = spoilt(seeds, tmp_path)
    broken("seed-0/entropy", DataError("gone"))
    assert alrctl("run", copy / "pipeline.yaml", "--keep-going").code == 3
    monkeypatch.undo()
    ran = alrctl("run", copy / "pipeline.yaml", "--json")
    assert ran.code == 0
    done = {name for name, status in steps_of(ran).items() if status == "done"}
    assert done == {f"seed-0/entropy/r1/{part}" for part in ("queue", "labels", "model", "eval")}


# --- looked at before it runs ----------------------------------------------------------------------------------------


def test_the_plan_is_shown_as_a_tree(alrctl: Alrctl, seeds: Path, tmp_path: Path) -> None:
    copy = spoilt(seeds, tmp_path)
    content = yaml.safe_load((copy / "pipeline.yaml").read_text()) | {"recalibrate": {"epochs": 2, "batch-size": 16}}
    ran = alrctl("run", write(copy / "pipeline.yaml", **content), "--dry-run")
    assert ran.code == 0, ran.err
    assert [line.rstrip() for line in ran.out.splitlines()[1:]] == [
        "├── seed-0/",
        "│   ├── noisy  done",
        "│   ├── lnl    done",
        "│   ├── r0     done",
        "│   ├── r1     done",
        "│   ├── entropy/",
        "│   │   └── r1     missing",
        "│   └── random/",
        "│       └── r1     queue, labels done, model stale (other options: epochs), eval stale",
        "└── seed-1/",
        "    ├── noisy  done",
        "    ├── lnl    done",
        "    ├── r0     done",
        "    ├── r1     done",
        "    ├── entropy/",
        "    │   └── r1     missing",
        "    └── random/",
        "        └── r1     queue, labels done, model stale (other options: epochs), eval stale",
        "24 steps: 12 done, 4 stale, 8 missing",
    ]


def test_answers_that_are_awaited_are_shown(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "data", tmp_path / "data")
    content = {**TINY, "source": "data", "output": "work", "expert": "file", "strategies": ["entropy", "random"]}
    file = write(tmp_path / "pipeline.yaml", **content)
    ran = alrctl("run", file)
    assert "Now it is the expert's turn, in 2 queues" in ran.out
    for name in ("entropy", "random"):
        assert f"{tmp_path}/work/{name}/r1/queue/queue.csv" in ran.out
    shown = alrctl("run", file, "--dry-run")
    assert shown.out.count(f"labels waiting (for {tmp_path}/work/") == 2
    document = alrctl("run", file, "--dry-run", "--json").document
    assert document["summary"]["steps"]["entropy/r1/model"] == "missing"
    assert document["summary"]["steps"]["entropy/r1/labels"] == "waiting"


# --- the end ---------------------------------------------------------------------------------------------------------


def test_what_several_seeds_gave_is_told_as_mean_and_deviation(seeds: Path) -> None:
    text = (seeds / "ran.txt").read_text()
    assert "mean of 2 seeds ± standard deviation" in text
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]
    assert [row[:3] for row in rows] == [["(shared)", "0", "0"], ["entropy", "1", "6"], ["random", "1", "6"]]
    told = story.rounds(seeds / "work")
    values = [row["balanced_accuracy"] for row in told if row["branch"].endswith("random")]
    assert f"{sum(values) / 2:.3f} ± " in rows[2][5]


def test_rows_of_seeds_are_joined_and_others_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    base = {"errors_mended": None, "label_accuracy": None, "macro_f1": None, "rarest_class": None}
    base |= {"rarest_class_recall": None, "round": "1", "labels_bought": 5}
    rows = [
        {**base, "branch": "seed-0/a", "balanced_accuracy": 0.5},
        {**base, "branch": "seed-1/a", "balanced_accuracy": 0.7},
        {**base, "branch": "seed-0/b", "balanced_accuracy": 0.9},
    ]
    story.table(Voice(), rows, ["seed-0", "seed-1"])
    joined = capsys.readouterr().out
    assert "0.600 ± 0.141" in joined
    assert "│ b " in joined
    assert "0.900 │" in joined
    story.table(Voice(), rows, [])
    assert "seed-1/a" in capsys.readouterr().out


@pytest.mark.usefixtures("undrawn")
def test_the_page_is_written_when_anything_is_new(alrctl: Alrctl, seeds: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(seeds, tmp_path / "copy")
    content = yaml.safe_load((copy / "pipeline.yaml").read_text()) | {"report": True}
    file = write(copy / "pipeline.yaml", **content)
    assert f"{command.REPORT:<24} written" in alrctl("run", file).out
    page = copy / "work" / command.REPORT
    before = page.stat().st_mtime_ns
    assert "written" not in alrctl("run", file).out
    assert page.stat().st_mtime_ns == before
