"""`kill -9` at ten random moments of a run, then the same command again: the same bytes as an undisturbed run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

# One process imports everything once and then forks a child a run, so that the kills hit the run and not the imports.
_RUNS = """
import os, random, shutil, signal, sys, time
from pathlib import Path
import alrctl.commands.run
from alrctl.app import app

base = Path(sys.argv[1])

def begin(work):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        app(["run", str(work / "pipeline.yaml")])
    return child

def start(name):
    work = base / name
    work.mkdir()
    shutil.copy(base / "pipeline.yaml", work)
    return work

began = time.monotonic()
assert os.waitpid(begin(start("undisturbed")), 0)[1] == 0
whole = time.monotonic() - began
moments = random.Random(11)
for number in range(10):
    work = start(f"killed{number}")
    child = begin(work)
    time.sleep(moments.uniform(0.02, 0.85) * whole)
    os.kill(child, signal.SIGKILL)
    ended = os.waitpid(child, 0)[1]
    print(work.name, "killed" if os.WIFSIGNALED(ended) else "had ended", "!", flush=True)
    assert os.waitpid(begin(work), 0)[1] == 0
"""


def contents(root: Path) -> dict[str, bytes]:
    """Return every file below a directory; of manifests, all but the times."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.name == "manifest.json":
            told = json.loads(content)
            del told["started"], told["ended"], told["command"]
            content = json.dumps(told, sort_keys=True).encode()
        found[path.relative_to(root).as_posix()] = content
    return found


def test_killed_at_ten_random_moments_a_run_ends_with_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    pipeline = {
        "source": str(photos),
        "rounds": 1,
        "expert": "oracle",
        "ingest": {"image-size": 24},
        "corrupt": {"rate": 0.4},
        "train-lnl": {"backbone": "test_resnet", "epochs": 8, "num-gradual": 2, "batch-size": 16},
        "select": {"budget": 10},
        "recalibrate": {"epochs": 4},
        "evaluate": {"bootstrap": 50},
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(pipeline))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", _RUNS, str(tmp_path)], capture_output=True, text=True, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count(" killed ") >= 6, ran.stdout  # a machine that speeds up may end a run before its kill
    undisturbed = contents(tmp_path / "undisturbed")
    assert "r1/eval/metrics.json" in undisturbed
    for number in range(10):
        killed = contents(tmp_path / f"killed{number}")
        assert killed.keys() == undisturbed.keys(), number
        different = [name for name in undisturbed if killed[name] != undisturbed[name]]
        assert different == [], (number, different)
