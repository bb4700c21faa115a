"""`kill -9` in the middle of a run, then the same command again: the same bytes as an undisturbed run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.alrctl.faults import contents

ROOT = Path(__file__).parents[2]

# Each run is a process of its own, as a user's is: threads of polars, torch and OpenMP do not outlive a fork.
_SHARED = """
import os, shutil, signal, sys, time
from pathlib import Path

base = Path(sys.argv[1])

def begin(work):
    command = [sys.executable, "-m", "alrctl", "run", str(work / "pipeline.yaml")]
    silent = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    return os.posix_spawn(sys.executable, command, os.environ, file_actions=[silent])

def start(name):
    work = base / name
    work.mkdir()
    shutil.copy(base / "pipeline.yaml", work)
    return work

def kill(child):
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])
"""
_AT_PLACES = """
assert os.waitpid(begin(start("undisturbed")), 0)[1] == 0
work = start("killed")
for place in sys.argv[2:]:
    child = begin(work)
    while not (work / place).exists():
        assert os.waitpid(child, os.WNOHANG) == (0, 0), f"ended before {place}"
        time.sleep(0.002)
    time.sleep(0.05)
    print(place, "killed" if kill(child) else "had ended", "!", flush=True)
assert os.waitpid(begin(work), 0)[1] == 0
"""


def carried_out(runs: str, base: Path, *places: str) -> str:
    """Carry runs out in a process of their own, and return what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", _SHARED + runs, str(base), *places],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def different(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if one[name] != other[name]]


PLACES = (
    "data/manifest.json",
    "seed-0/coteaching/.lnl.alrctl",  # in training
    "seed-1/coteaching/entropy/r1/queue/manifest.json",
    "seed-1/coteaching-vog/.lnl.alrctl",
    "seed-1/coteaching/random/r1/model/manifest.json",
)


def write_patches(folder: Path, each: int) -> None:
    """Write patches of nine tissues in the data set's layout."""
    generator = np.random.default_rng(each)
    for tissue in ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM"):
        (folder / tissue).mkdir(parents=True)
        for number in range(each):
            pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / tissue / f"{tissue}-{chr(ord('A') + number) * 8}.tif")


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper's example, small, of two seeds: once undisturbed, once killed at five places. Not to be changed."""
    base = tmp_path_factory.mktemp("paper")
    write_patches(base / "crc/NCT-CRC-HE-100K", each=12)
    write_patches(base / "crc/CRC-VAL-HE-7K", each=2)
    content = yaml.safe_load((ROOT / "examples/paper.yaml").read_text())
    content |= {
        "source": "../crc",
        "output": ".",
        "rounds": 1,
        "report": False,
        "evaluate": {"bootstrap": 0, "figures": False},
    }
    content["ingest"] |= {"image-size": 16, "imbalance-ratio": 2}
    content["train-lnl"] |= {"epochs": 3, "num-gradual": 1, "batch-size": 32, "backbone": "test_resnet"}
    content["train-lnl"] |= {"weights": "none"}
    content["recalibrate"] |= {"epochs": 1, "batch-size": 32}
    content["select"] |= {"budget": 5}
    content["matrix"]["seed"] = [0, 1]
    (base / "pipeline.yaml").write_text(yaml.safe_dump(content))
    told = carried_out(_AT_PLACES, base, *PLACES)
    assert told.count(" killed !") == len(PLACES), told
    return base


def test_the_papers_example_killed_at_five_places_ends_with_the_same_bytes(paper: Path) -> None:
    assert different(contents(paper / "undisturbed"), contents(paper / "killed")) == []


def test_the_papers_example_computes_once_what_its_settings_share(paper: Path) -> None:
    made = sorted(path.parent.relative_to(paper / "killed") for path in (paper / "killed").rglob("manifest.json"))
    stages = Counter(json.loads((paper / "killed" / place / "manifest.json").read_text())["stage"] for place in made)
    once, noise, phase_1, settings = 1, 2, 4, 8
    assert stages == {
        "ingest": once,
        "corrupt": noise,
        "train-lnl": phase_1,
        "score": phase_1,
        "evaluate": phase_1 + settings,
        **dict.fromkeys(("select", "relabel", "recalibrate"), settings),
    }
    phases = [paper / "killed" / place for place in made if place.name == "lnl"]
    told = [json.loads((place / "manifest.json").read_text()) for place in phases]
    assert len({(one["seed"], one["options"]["method"]) for one in told}) == phase_1


def test_the_papers_example_has_nothing_left_to_do(paper: Path, alrctl: Any) -> None:
    ran = alrctl("run", paper / "killed/pipeline.yaml", "--json")
    assert ran.code == 0, ran.err
    assert set(ran.document["summary"]["steps"].values()) == {"unchanged"}
    assert len(ran.document["summary"]["steps"]) == 47
