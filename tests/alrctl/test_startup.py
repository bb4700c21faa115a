"""What is quick to say is said without the modules that are slow to import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alrctl import surface
from alrctl.app import COMMANDS, app

Alrctl = Callable[..., Any]
Complete = Callable[[str], list[str]]

SLOW = {"torch", "torchvision", "timm", "sklearn", "scipy", "matplotlib", "jinja2", "sqlalchemy"}
NOT_QUICK = {"polars", "numpy", "pydantic", "dataframely"}


# --- what is written of the commands ----------------------------------------------------------------------------------


def test_what_is_written_of_the_commands_is_what_they_take() -> None:
    said = {entry.name: surface.of_module(entry.module) for entry in COMMANDS}
    assert surface.FILE.read_text(encoding="utf-8") == surface.written(said), "`make surface` writes it anew"


# --- completion -------------------------------------------------------------------------------------------------------


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    def asked(typed: str) -> list[str]:
        """Return what bash is told to offer for a line."""
        monkeypatch.setenv("_ALRCTL_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
        with pytest.raises(SystemExit):
            app(prog_name="alrctl")
        return capsys.readouterr().out.split()

    return asked


def test_commands_are_completed(complete: Complete) -> None:
    assert complete("alrctl re") == ["review", "relabel", "recalibrate", "report"]


def test_options_are_completed_after_others(complete: Complete) -> None:
    assert complete("alrctl train-lnl work/data --epochs 3 --me") == ["--method"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("alrctl select work/scores --strategy en", ["entropy"]),  # the only value
        ("alrctl corrupt work/data --splits train --splits t", ["train", "test"]),  # one of several
        ("alrctl train-lnl work/data --forget-rate ", ["auto"]),  # a number, or a word
        ("alrctl train-lnl work/data --track m", ["mlflow"]),
        ("alrctl ledger ", ["verify", "costs", "agreement", "files"]),  # an argument
    ],
)
def test_words_that_an_option_takes_are_completed(complete: Complete, typed: str, words: list[str]) -> None:
    assert complete(typed) == words


def test_where_a_path_is_wanted_nothing_is_offered_so_that_the_shell_offers_files(complete: Complete) -> None:
    assert complete("alrctl select wo") == []
    assert complete("alrctl select --out wo") == []


# --- misspelt ---------------------------------------------------------------------------------------------------------


def test_an_unknown_command_is_told_with_the_nearest(alrctl: Alrctl) -> None:
    ran = alrctl("slect")
    assert ran.code == 2
    assert "No such command 'slect'. Did you mean 'select'?" in ran.err


def test_an_unknown_option_is_told_with_the_nearest(alrctl: Alrctl) -> None:
    ran = alrctl("train-lnl", "--metod", "x")
    assert ran.code == 2
    assert "No such option: --metod" in ran.err
    assert "--method" in ran.err


# --- what is imported -------------------------------------------------------------------------------------------------


AFTER_EACH = """
import json, sys
from alrctl.__main__ import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["alrctl", *words]
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    print("imported:", json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def slow_after(commands: Sequence[Sequence[object]], slow: AbstractSet[str]) -> list[tuple[int, list[str]]]:
    """Carry out commands in turn in one Python; return how each ended, and what slow modules were there by then."""
    told = json.dumps([list(map(str, words)) for words in commands])
    ran = subprocess.run([sys.executable, "-c", AFTER_EACH, told], capture_output=True, text=True, check=False)
    found = [json.loads(line.partition(" ")[2]) for line in ran.stdout.splitlines() if line.startswith("imported: ")]
    assert len(found) == len(commands), ran.stderr
    return [(code, sorted(slow & set(names))) for code, names in found]


def test_help_and_what_is_misspelt_wait_for_nothing_slow() -> None:
    asked = [["--version"], ["--help"], ["slect"], ["train-lnl", "--help"], ["train-lnl", "--metod", "x"]]
    assert slow_after(asked, SLOW | NOT_QUICK) == [(0, []), (0, []), (2, []), (0, []), (2, [])]


def test_commands_that_train_nothing_and_draw_nothing_wait_for_nothing_slow(finished: Path, tmp_path: Path) -> None:
    scores, queue, labels = finished / "r1/scores", finished / "r1/queue", finished / "r1/labels"
    sample = pl.read_parquet(labels / "ledger.parquet")["sample_id"][0]
    answers = tmp_path / "answers.csv"
    answers.write_text(f"sample_id,label\n{sample},{pl.read_parquet(labels / 'labels.parquet')['label'][0]}\n")
    commands: dict[str, list[object]] = {
        "schema": ["labels"],
        "history": [sample, "--labels", labels],
        "ledger": ["verify", labels],
        "validate": [labels],
        "status": [finished],
        "select": [scores, "--strategy", "entropy", "--budget", 5, "-o", tmp_path / "queue"],
        "relabel": [finished / "noisy", "--answers", answers, "-o", tmp_path / "labels"],
        "undo": [labels, "--round", 1, "-o", tmp_path / "undone"],
        "packets": [queue, "--annotators", "ann", "--annotators", "bob", "-o", tmp_path / "packets"],
        "corrupt": [finished / "data", "-o", tmp_path / "noisy"],
        "audit": [finished / "data", "--labels", finished / "noisy", "--budget", 5, "-o", tmp_path / "audit"],
    }
    needed = {"packets": ["jinja2"], "corrupt": ["jinja2", "scipy"], "audit": ["jinja2", "scipy"]}  # all by then
    found = slow_after([[name, *words] for name, words in commands.items()], SLOW)
    assert dict(zip(commands, found, strict=True)) == {name: (0, needed.get(name, [])) for name in commands}
