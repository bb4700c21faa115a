"""The README's commands, as they stand (with a tiny backbone, for time), and the example Makefile."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

Alrctl = Callable[..., Any]
ROOT = Path(__file__).parents[2]
TINY = ("--backbone", "test_resnet")


def blocks(kind: str) -> list[str]:
    """Return the README's code blocks of a kind."""
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def fill_in(queue: Path, answers: Path) -> None:
    """Answer as an expert would: the suggested label for every second sample."""
    table = pl.read_csv(queue, infer_schema=False)
    said = pl.when(pl.int_range(pl.len()) % 2 == 0).then("suggested_label")
    table.with_columns(label=said, annotator=pl.lit("me")).write_csv(answers)


def test_every_command_of_the_readme_runs(
    alrctl: Alrctl, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "photos")
    seen = []
    for line in (line for block in blocks("sh") for line in block.splitlines() if line.startswith("alrctl ")):
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "relabel":
            fill_in(Path("work/r1/queue/queue.csv"), Path(words[words.index("--answers") + 1]))
        if words[0] == "run":
            told = blocks("yaml")[0].replace("method: coteaching-vog", "method: coteaching-vog, backbone: test_resnet")
            Path("work/pipeline.yaml").write_text(told)
        ran = alrctl(*words, *(TINY if words[0] == "train-lnl" else ()))
        assert ran.code == 0, f"{line}: {ran.err}"
        seen.append(words[0])
    stages = {"ingest", "corrupt", "train-lnl", "score", "select", "relabel", "recalibrate", "evaluate", "run"}
    assert stages <= set(seen)
    assert "fill in column 'label' of work/r1/queue/queue.csv" in ran.out.replace("\n", " ")


def test_the_example_makefile_goes_through_and_then_has_nothing_to_do(photos: Path, tmp_path: Path, quick: str) -> None:
    command = ["make", "-f", str(ROOT / "examples/Makefile"), f"SOURCE={photos}", "WORK=work", "SIZE=24", "BUDGET=8"]
    command += [f"ALRCTL={quick}", "TRAIN=--backbone test_resnet --epochs 2", "RETRAIN=--epochs 1"]
    waiting = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert waiting.returncode != 0
    assert "Fill in column 'label' of work/r1/queue/queue.csv" in waiting.stdout
    fill_in(tmp_path / "work/r1/queue/queue.csv", tmp_path / "work/r1/answers.csv")
    subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (tmp_path / "work/r1/eval/metrics.json").is_file()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Nothing to be done" in again.stdout
