"""A matrix of settings: what it may hold, what its settings share, and where each lies."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alrctl import pipeline
from schemas.errors import UsageError


def steps(**content: Any) -> dict[str, pipeline.Step]:
    found = pipeline.plan(pipeline.parse({"source": "photos", **content}, Path("base"), "pipeline.yaml"))
    assert len({step.name for step in found}) == len(found), "no two steps lie in one directory"
    return {step.name: step for step in found}


def parts(found: dict[str, pipeline.Step]) -> Counter[str]:
    """Return how often each step of a chain is there, wherever it lies."""
    return Counter("/".join(name.split("/")[-2:]) if "/r" in f"/{name}" else name.split("/")[-1] for name in found)


PAPER = {"seed": [0, 1, 2], "method": ["coteaching", "coteaching-vog"], "strategy": ["entropy", "random"]}


def test_what_settings_share_is_one_step() -> None:
    found = steps(matrix=PAPER, rounds=2, corrupt={})
    once, noise, phase_1, branch = 1, 3, 6, 12
    assert parts(found) == {
        "data": once,
        "noisy": noise,
        **dict.fromkeys(("lnl", "r0/eval", "r1/scores"), phase_1),
        **{f"r{n}/{part}": branch for n in (1, 2) for part in ("queue", "labels", "model", "eval")},
        "r2/scores": branch,
    }


def test_each_setting_lies_below_a_directory_for_each_option_that_makes_a_difference() -> None:
    found = steps(matrix=PAPER, rounds=1, corrupt={}, expert="oracle", bound=True)
    assert {"data", "seed-1/noisy", "seed-1/coteaching/lnl", "seed-1/coteaching/r0/eval"} <= found.keys()
    assert {"seed-1/coteaching/random/r1/queue", "seed-1/coteaching/bound/model"} <= found.keys()
    network = found["seed-1/coteaching/random/r1/model"].arguments
    assert network["checkpoint"] == Path("base/seed-1/coteaching/lnl")
    assert network["labels"] == Path("base/seed-1/coteaching/random/r1/labels")
    assert network["data"] == Path("base/data")


def test_each_step_has_the_options_of_its_setting_and_comes_after_what_it_reads() -> None:
    found = steps(matrix=PAPER, rounds=1, corrupt={})
    for name, step in found.items():
        config, path = step.arguments["config"], name.split("/")
        if "seed-2" in path and step.section not in ("select", "evaluate"):
            assert config.seed == 2
        if step.section == "train-lnl":
            assert config.method == path[1]
        if step.section == "select":
            assert config.strategy == path[2]
        for before in step.after:
            assert list(found).index(before) < list(found).index(name)


def test_seeds_leave_the_data_set_and_its_judgement_alone() -> None:
    found = steps(matrix={"seed": [3, 4]}, rounds=0)
    assert found["data"].arguments["config"].seed == 0
    assert {found[f"seed-{seed}/r0/eval"].arguments["config"].seed for seed in (3, 4)} == {0}
    own = steps(matrix={"ingest.seed": [3, 4]}, rounds=0)
    assert own["seed-3/data"].arguments["config"].seed == 3


def test_one_alternative_makes_no_directory() -> None:
    assert list(steps(matrix={"seed": [5], "method": ["elr"]}, rounds=0)) == ["data", "lnl", "r0/eval"]


def test_a_first_strategy_is_shared_by_all_that_follow() -> None:
    found = steps(strategies=["entropy", "random"], first_strategy="random", rounds=2)
    assert found["r1/queue"].arguments["config"].strategy == "random"
    assert found["random/r2/queue"].arguments["config"].strategy == "random"
    assert found["entropy/r2/queue"].arguments["config"].strategy == "entropy"
    assert parts(found)["r1/model"] == parts(found)["r2/scores"] == 1


def test_an_axis_may_be_any_option_by_its_name_or_with_its_stage() -> None:
    found = steps(matrix={"rate": [0.2, 0.4], "select.budget": [10, 20], "start-from": ["previous", "lnl"]}, rounds=2)
    assert found["rate-0.4/noisy"].arguments["config"].rate == 0.4
    picked = found["rate-0.2/budget-20/r1/queue"].arguments["config"]
    assert picked.budget == 20
    last = found["rate-0.2/budget-20/start-from-lnl/r2/model"].arguments
    assert last["checkpoint"] == Path("base/rate-0.2/lnl")


def test_an_option_of_several_values_is_numbered() -> None:
    found = steps(matrix={"corrupt.exclude": [["a"], ["a", "b"]]}, rounds=0)
    assert found["exclude-2/noisy"].arguments["config"].exclude == ("a", "b")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"matrix": [1]}, "matrix: must hold lines such as `seed: [0, 1, 2]`"),
        ({"matrix": {"seed": 1}}, "matrix.seed: must be a list of alternatives, as in [1, 2]"),
        ({"matrix": {"seed": []}}, "matrix.seed: must be a list of alternatives"),
        ({"matrix": {"seed": [1, 2, 1]}}, "matrix.seed: names 1 of its alternatives twice"),
        ({"matrix": {"seed": [-1]}}, "matrix.seed: '-1' must be a whole number, 0 or more"),
        ({"matrix": {"epochs": [1]}}, "matrix.epochs: is an option of train-lnl and recalibrate; write"),
        ({"matrix": {"metod": [1]}}, "matrix.metod: unknown option; did you mean 'method'?"),
        ({"matrix": {"train-lln.epochs": [1]}}, "matrix.train-lln.epochs: no stage 'train-lln'; did you mean 'train"),
        ({"matrix": {"train-lnl.epoch": [1]}}, "matrix.train-lnl.epoch: unknown option; did you mean 'epochs'?"),
        ({"matrix": {"strategy": ["entropie"]}}, "matrix.strategy: 'entropie' must be one of random,"),
        ({"matrix": {"method": ["elr", "elf"]}}, "train-lnl.method: 'elf': Input should be"),
        ({"matrix": {"seed": [1]}, "seed": 2}, "matrix.seed: seed has a value of its own; leave one out"),
        (
            {"matrix": {"strategy": ["random"]}, "strategies": ["entropy"]},
            "matrix.strategy: strategies has a value of its own",
        ),
        (
            {"matrix": {"method": ["elr"]}, "train-lnl": {"method": "sce"}},
            "matrix.method: train-lnl.method has a value of its own; leave one out",
        ),
        ({"matrix": {"method": ["elr"], "train-lnl.method": ["sce"]}}, "matrix.train-lnl.method: is the same as"),
        ({"matrix": {"backbone": ["a/b", "a:b"]}}, "matrix.backbone: has alternatives that would be written to"),
    ],
)
def test_what_cannot_be_meant_is_refused(content: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        steps(**content)
    assert told in str(refused.value)


def test_an_option_that_one_alternative_needs_is_checked_with_it() -> None:
    noisy = {"matrix": {"noise": ["asymmetric", "symmetric"]}, "corrupt": {"rate": 0.3}}
    assert {"noise-asymmetric/noisy", "noise-symmetric/noisy"} <= steps(**noisy, rounds=0).keys()
    with pytest.raises(UsageError, match="corrupt: --transition: goes with --noise transition alone"):
        steps(matrix={"noise": ["transition", "pair"]}, corrupt={"transition": "t.csv"}, rounds=0)


AXES = {
    "seed": st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    "strategy": st.lists(st.sampled_from(["random", "entropy", "margin"]), min_size=1, max_size=3, unique=True),
    "method": st.lists(st.sampled_from(["elr", "sce", "coteaching"]), min_size=1, max_size=2, unique=True),
    "rate": st.lists(st.sampled_from([0.1, 0.2]), min_size=1, max_size=2, unique=True),
    "start-from": st.lists(st.sampled_from(["previous", "lnl"]), min_size=1, max_size=2, unique=True),
    "recalibrate.epochs": st.lists(st.integers(1, 5), min_size=1, max_size=2, unique=True),
}


@settings(max_examples=40, deadline=None)
@given(matrix=st.fixed_dictionaries({}, optional=AXES), rounds=st.integers(0, 2), bound=st.booleans())
def test_each_setting_of_a_matrix_is_the_chain_that_it_would_be_alone(
    matrix: dict[str, list[Any]], rounds: int, bound: bool
) -> None:
    shared = {"rounds": rounds, "bound": bound, "expert": "oracle"}
    together = steps(matrix=matrix, **shared)
    first = {name: [values[0]] for name, values in matrix.items()}
    alone = steps(matrix=first, **shared)
    configs = {(step.name.split("/")[-1], step.arguments["config"].model_dump_json()) for step in together.values()}
    for step in alone.values():
        assert (step.name.split("/")[-1], step.arguments["config"].model_dump_json()) in configs
    for step in together.values():
        written = {other.arguments["out"] for other in together.values()}
        for role, place in step.arguments.items():
            assert role in ("config", "out", "source") or place in written
