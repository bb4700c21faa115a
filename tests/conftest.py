"""What the tests share: made images, a runner, and one finished project to look into or to copy and spoil."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from typer.testing import CliRunner

from alrctl.app import app

settings.register_profile("quick", max_examples=25, derandomize=True)  # a hundred examples that change by `default`
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

TINY = ("--backbone", "test_resnet", "--epochs", "3", "--batch-size", "16")


@dataclass(frozen=True)
class Ran:
    """How a command ended: exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


Alrctl = Callable[..., Ran]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's feature cache out of the tests, and the tests out of it."""
    os.environ["ALRCTL_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["COLUMNS"] = "200"


@pytest.fixture(scope="session")
def alrctl() -> Alrctl:
    """Run a command in this process."""

    def run(*arguments: object) -> Ran:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


def write_photos(folder: Path, counts: dict[str, int], size: int = 24) -> Path:
    """Write noisy images whose mean colour tells the class, `counts` of each."""
    generator = np.random.default_rng(7)
    for place, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        base = np.zeros(3)
        base[place % 3] = 120
        for number in range(count):
            pixels = np.clip(base + generator.normal(80, 40, (size, size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{name}{number:03d}.png")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class folder of 110 images: 60 red, 35 green, 15 blue."""
    return write_photos(tmp_path_factory.mktemp("source") / "photos", {"red": 60, "green": 35, "blue": 15})


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, photos: Path, alrctl: Alrctl) -> Path:
    """The whole chain run once by hand: data, noisy, lnl, r1/{scores,queue,labels,model,eval}. Not to be changed."""
    work = tmp_path_factory.mktemp("finished") / "work"
    r1 = work / "r1"
    shared = ("--device", "cpu")
    steps: list[tuple[object, ...]] = [
        ("ingest", photos, "-o", work / "data", "--image-size", 24),
        ("corrupt", work / "data", "--noise", "symmetric", "--rate", 0.4, "--seed", 0, "-o", work / "noisy"),
        (
            "train-lnl",
            work / "data",
            "--labels",
            work / "noisy",
            "--method",
            "coteaching-vog",
            *TINY,
            *shared,
            "--num-gradual",
            2,
            "-o",
            work / "lnl",
        ),
        ("score", work / "data", "--labels", work / "noisy", "--checkpoint", work / "lnl", "-o", r1 / "scores"),
        ("select", r1 / "scores", "--strategy", "entropy", "--budget", 12, "-o", r1 / "queue"),
        ("relabel", work / "noisy", "--queue", r1 / "queue", "--oracle", work / "data", "-o", r1 / "labels"),
        (
            "recalibrate",
            work / "data",
            "--labels",
            r1 / "labels",
            "--checkpoint",
            work / "lnl",
            "--epochs",
            2,
            "-o",
            r1 / "model",
        ),
        (
            "evaluate",
            work / "data",
            "--checkpoint",
            r1 / "model",
            "--split",
            "test",
            "--truth",
            work / "noisy",
            "-o",
            r1 / "eval",
        ),
    ]
    for step in steps:
        ran = alrctl(*step)
        assert ran.code == 0, f"{step}: {ran.err}"
    return work


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, to spoil at will."""
    copy = tmp_path / "work"
    shutil.copytree(finished, copy)
    return copy


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures of a report empty, which take most of its time, where it is not they that are looked at."""
    monkeypatch.setattr("alrctl.figures.as_svg", lambda figure, name: "<svg/>")


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A command that is `alrctl` without the seconds of its imports."""
    place = tmp_path_factory.mktemp("quick") / "socket"
    script, environment = Path(__file__).parent / "alrctl/quick_alrctl.py", {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), "serve", str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as server:
        while not place.exists():
            assert server.poll() is None
            time.sleep(0.02)
        yield f"{shlex.quote(sys.executable)} -I -S {script} {shlex.quote(str(place))}"
        assert server.stdin is not None
        server.stdin.close()
