"""Every command that a page tells to type is typed, in the page's order, on toy data under the names that it uses."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alrctl.app import COMMANDS, load
from tests.alrctl.pages import Page, pages, pieces
from tests.alrctl.toys import SIDE, Sandbox, answer, quick

Alrctl = Callable[..., Any]
README, *OTHERS = pages()
TO_RUN = {README.name: README.in_text} | {page.name: page.commands for page in OTHERS if page.commands}
"""The commands of each page; those of the README's blocks are run by its own test."""
AFTER: dict[str, tuple[object, ...]] = {
    "ingest": ("--image-size", SIDE),
    "train-lnl": ("--epochs", 1, "--num-gradual", 1, "--batch-size", 128, "--augmentation", "none", "--keep-epochs", 0),
    "score": ("--cross-validate-epochs", 1, "--dropout-passes", 2),
    "select": ("--pool", "all"),
    "recalibrate": ("--epochs", 1, "--batch-size", 32),
    "evaluate": ("--bootstrap", 0, "--no-figures"),
    "compare": ("--bootstrap", 20),
    "noisy-ids": ("--bootstrap", 0),
}
"""What makes a command quick, given after what the page gives it: of a repeated option the last counts."""
BEFORE: dict[str, tuple[object, ...]] = {"train-lnl": ("--backbone", "test_resnet")}
"""The same, given before: the page's own counts."""
NOT_RUN = {
    "alrctl train-lnl work/data --labels work/noisy --train head --backbone torchvision/mobilenet_v3_small "
    "--weights MobileNet_V3_Small_Weights.DEFAULT -o work/lnl": "downloads weights",
}
"""Commands that no test can run, each with the reason; they are read by the program all the same."""
BEGINS = {"ingest", "init", "run"}
"""A page whose first command is one of these begins with nothing; any other with the finished project."""
STANDS_FOR = {"STRATEGY": "entropy"}
"""What is typed for the words of a page that stand for several."""


def typed(command: str) -> list[str]:
    """Return the words after `alrctl`; an action of `ledger` named without a place is for the first round's labels."""
    words = shlex.split(command)[1:]
    if words[0] == "ledger" and len(words) == 2:
        words.append("work/r1/labels")
    for name, meant in STANDS_FOR.items():
        words = [re.sub(rf"\b{name}\b", meant, word) for word in words]
    return words


def prepare(sandbox: Sandbox, words: list[str]) -> None:
    """Make what a command names, and what an expert does before it."""
    for word in words[1:]:
        sandbox.make(word)
    work = sandbox.root / "work"
    if words[:2] == ["compare", "work"] and not (work / "r0/eval").exists():
        told = ("--checkpoint", work / "lnl", "--bootstrap", 0, "--no-figures")
        sandbox.run("evaluate", work / "data", *told, "-o", work / "r0/eval")
    if words[:2] == ["compare", "work"] and not (work / "r1/eval").exists():
        answer(work / "r1/queue/queue.csv", work / "r1/answers.csv")
        sandbox.run("run", work / "pipeline.yaml")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "page", [page for page in (README, *OTHERS) if page.name in TO_RUN], ids=lambda page: page.name
)
def test_every_command_of_the_page_runs(
    page: Page, alrctl: Alrctl, photos: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sandbox = Sandbox(tmp_path, page, photos, finished, alrctl)
    if typed(TO_RUN[page.name][0])[0] not in BEGINS:
        shutil.copytree(finished, "work")
    for command in TO_RUN[page.name]:
        words = typed(command)
        if command in NOT_RUN:
            load(words[0]).make_context(words[0], words[1:])
            continue
        prepare(sandbox, words)
        ran = alrctl(words[0], *BEFORE.get(words[0], ()), *words[1:], *AFTER.get(words[0], ()))
        assert ran.code == 0, f"{command}: {ran.err}"
        if words[0] == "init":
            file = Path(words[words.index("-o") + 1])
            file.write_text(quick(file.read_text()))


def test_what_is_not_run_is_on_a_page() -> None:
    assert set(NOT_RUN) <= {command for commands in TO_RUN.values() for command in commands}


MENTIONS = sorted({mention for page in (README, *OTHERS) for mention in page.mentions})


@pytest.mark.parametrize("mention", MENTIONS)
def test_whatever_is_said_of_a_command_names_options_there_are(mention: str) -> None:
    name = mention.split()[1]
    assert name in {entry.name for entry in COMMANDS}
    known = {option for parameter in load(name).params for option in (*parameter.opts, *parameter.secondary_opts)}
    known.add("--help")
    assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", mention.partition(" # ")[0])) <= known


def test_a_command_is_found_however_it_is_written() -> None:
    text = (
        "Say `alrctl status work`, `alrctl run FILE`, `alrctl select`.\n\n"
        "    alrctl ingest a \\\n        -o b  # comment\n\n"
        "```sh\nfor s in 0 1; do alrctl x $s; done\n"
        "alrctl y; alrctl z 'a b' | less # alrctl no\npip install alrctl\n```\n"
        "```text\nalrctl told\n```\n"
    )
    found = ["status work", "ingest a -o b", "x 0", "x 1", "y", "z 'a b'"]
    assert [command for piece in pieces(text) for command in piece.commands] == [f"alrctl {one}" for one in found]
