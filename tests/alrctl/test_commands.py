"""The commands that look into files, and the help of all of them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alrctl import __version__, surface
from alrctl.app import COMMANDS, load
from schemas.tables import TABLES

Alrctl = Callable[..., Any]
NAMES = [entry.name for entry in COMMANDS]


def state(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def in_one_line(text: str) -> str:
    """Take the frames and line breaks out of a help page."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


# --- help ------------------------------------------------------------------------------------------------------------


def test_the_list_of_commands_is_in_the_order_of_the_chain_and_says_what_each_does(alrctl: Alrctl) -> None:
    shown = in_one_line(alrctl("--help").out)
    places = [shown.index(f" {entry.name} {entry.help}") for entry in COMMANDS]
    assert places == sorted(places)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(alrctl: Alrctl, name: str) -> None:
    ran = alrctl(name, "--help")
    assert ran.code == 0
    entry = next(entry for entry in COMMANDS if entry.name == name)
    shown = in_one_line(ran.out)
    assert f"Usage: root {name}" in shown or f"{name} [OPTIONS]" in shown
    assert entry.help in shown
    assert f"Example: {surface.read()[name].example}" in shown


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_of_its_command_and_names_only_options_there_are(name: str) -> None:
    command = load(name)
    words = shlex.split(surface.read()[name].example)
    assert words[:2] == ["alrctl", name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_described(name: str) -> None:
    bare = [parameter.name for parameter in load(name).params if not getattr(parameter, "help", None)]
    assert bare == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_can_answer_in_json(name: str) -> None:
    assert "--json" in {option for parameter in load(name).params for option in parameter.opts}


def test_answers_given_twice_are_refused_since_the_first_would_be_lost(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    answers = ("--answers", tmp_path / "ann.csv", "--answers", tmp_path / "bob.csv")
    ran = alrctl("relabel", finished / "noisy", "--queue", finished / "r1/queue", *answers, "-o", tmp_path / "labels")
    assert ran.code == 2
    assert "--answers: given 2 times, and one is taken" in ran.err
    assert not (tmp_path / "labels").exists()


def test_of_other_options_the_last_counts(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    twice = ("--budget", 3, "--budget", 5)
    ran = alrctl("select", finished / "r1/scores", *twice, "-o", tmp_path / "queue", "--json")
    assert ran.document["summary"]["queued"] == 5


def test_the_version_is_printed(alrctl: Alrctl) -> None:
    assert alrctl("--version").out == f"alrctl {__version__}\n"


# --- schema ----------------------------------------------------------------------------------------------------------


def test_all_tables_are_listed(alrctl: Alrctl) -> None:
    shown = in_one_line(alrctl("schema").out)
    for name, contract in TABLES.items():
        assert f"{name} {contract.version} {' '.join((contract.schema.__doc__ or '').split())}"[:60] in shown
    assert set(alrctl("schema", "--json").document) == set(TABLES)


@pytest.mark.parametrize("name", list(TABLES))
def test_a_tables_columns_are_told_with_all_that_a_replacement_needs(alrctl: Alrctl, name: str) -> None:
    contract = TABLES[name]
    document = alrctl("schema", name, "--json").document
    assert list(document) == [name]
    assert [column["name"] for column in document[name]["columns"]] == contract.schema.column_names()
    for column in document[name]["columns"]:
        assert column["optional"] == (column["name"] in contract.optional)
        assert column["nullable"] == contract.schema.columns()[column["name"]].nullable
    shown = in_one_line(alrctl("schema", f"{name}.parquet").out)
    assert f"{name}, version {contract.version}" in shown
    assert all(f" {column} " in shown for column in contract.schema.column_names())


def test_an_unknown_table_is_told_with_the_nearest(alrctl: Alrctl) -> None:
    ran = alrctl("schema", "score")
    assert ran.code == 2
    assert "no table 'score'; did you mean 'scores'?; `alrctl schema` lists them" in ran.err


# --- validate --------------------------------------------------------------------------------------------------------


def test_a_finished_project_is_in_order(alrctl: Alrctl, finished: Path) -> None:
    ran = alrctl("validate", finished, "--json")
    assert ran.code == 0, ran.err
    assert ran.document["status"] == "in order"
    written = sum(len(json.loads(path.read_text())["outputs"]) for path in finished.rglob("manifest.json"))
    assert ran.document["files"] == written
    assert "files in order" in alrctl("validate", finished / "r1/labels").out


@pytest.mark.parametrize(
    "place",
    ["data/classes.yaml", "data/images.safetensors", "lnl/checkpoint.safetensors", "r1/scores/scores.parquet"],
)
def test_a_single_file_is_held_to_its_contract(alrctl: Alrctl, work: Path, place: str) -> None:
    ran = alrctl("validate", work / place, "--json")
    assert ran.document == {"status": "in order", "files": 1, "by_contract": 1}
    (work / place).write_bytes((work / place).read_bytes()[:40])
    ran = alrctl("validate", work / place, "--json")
    assert ran.code == 3
    assert str(work / place) in ran.document["error"]


def test_a_foreign_table_is_known_by_its_name(alrctl: Alrctl, tmp_path: Path) -> None:
    pl.DataFrame({"sample_id": ["a", "b"], "label": ["x", "y"]}).write_parquet(tmp_path / "labels.parquet")
    assert alrctl("validate", tmp_path / "labels.parquet").code == 0
    pl.DataFrame({"sample_id": ["a", "a"], "label": ["x", "y"]}).write_parquet(tmp_path / "labels.parquet")
    ran = alrctl("validate", tmp_path / "labels.parquet")
    assert ran.code == 3
    assert "column 'sample_id' has 2 rows repeated (it must be unique) (first: row 1, 'a')" in ran.err
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "mine.parquet")
    assert (
        "is no table of this program; `alrctl schema` lists them" in alrctl("validate", tmp_path / "mine.parquet").err
    )


def test_everything_amiss_in_a_project_is_told_at_once(alrctl: Alrctl, work: Path) -> None:
    (work / "r1/queue/queue.csv").unlink()
    scores = work / "r1/scores/scores.parquet"
    scores.write_bytes(scores.read_bytes()[:100])
    (work / "noisy/transition.csv").write_text("edited")
    ran = alrctl("validate", work)
    assert ran.code == 3
    for told in (
        f"{work / 'r1/queue/queue.csv'}: is missing",
        f"{scores}: is no readable parquet file",
        f"{work / 'noisy/transition.csv'}: is not as it was written",
    ):
        assert told in ran.err


def test_a_place_without_artifacts_cannot_be_validated(alrctl: Alrctl, tmp_path: Path) -> None:
    assert "holds no finished artifact (no manifest.json)" in alrctl("validate", tmp_path).err
    ran = alrctl("validate", tmp_path / "nothing")
    assert ran.code == 3
    assert "nothing: no such file or directory" in ran.err


# --- status ----------------------------------------------------------------------------------------------------------


def places(ran: Any) -> dict[str, tuple[str, str]]:
    return {row["place"]: (row["state"], row["why"]) for row in ran.document["artifacts"]}


def test_a_finished_project_is_done_throughout_in_the_order_of_making(alrctl: Alrctl, finished: Path) -> None:
    ran = alrctl("status", finished, "--json")
    assert list(places(ran)) == [
        "data",
        "noisy",
        "lnl",
        *(f"r1/{name}" for name in ("scores", "queue", "labels", "model", "eval")),
    ]
    assert {told[0] for told in places(ran).values()} == {"done"}
    shown = alrctl("status", finished).out
    assert all(place in shown for place in places(ran))


def test_stale_edited_and_unfinished_are_told_apart(alrctl: Alrctl, work: Path) -> None:
    (work / "r1/queue/queue.csv").write_text("edited")
    (work / ".lnl2.alrctl/state").mkdir(parents=True)
    before = state(work)
    found = places(alrctl("status", work, "--json"))
    assert found["r1/queue"] == ("done", "queue.csv was written into"), "people are asked to"
    assert found["lnl2"][0] == "unfinished"
    assert found["r1/labels"][0] == "done", "it was made from queue.parquet"
    assert state(work) == before
    labels = work / "noisy/labels.parquet"
    pl.read_parquet(labels).reverse().write_parquet(labels)
    found = places(alrctl("status", work, "--json"))
    assert found["noisy"][0] == "edited"
    for place in ("lnl", "r1/scores", "r1/queue", "r1/labels", "r1/model"):
        assert found[place] == ("stale", f"changed since: {labels}")
    assert found["data"][0] == "done"


def test_the_status_of_nothing_is_an_empty_list_and_of_nowhere_an_error(alrctl: Alrctl, tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"directory": str(tmp_path), "artifacts": [], "branches": [], "next": []}
    assert alrctl("status", tmp_path, "--json").document == nothing
    assert alrctl("status", tmp_path / "nothing").code == 3


def test_a_foreign_manifest_json_does_not_hide_the_project(alrctl: Alrctl, work: Path) -> None:
    (work / "app").mkdir()
    (work / "app/manifest.json").write_text('{"name": "web app"}')
    assert alrctl("status", work).code == 0
