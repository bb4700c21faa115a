"""Runs are sorted by what they were made from, held to be comparable, and told with what a person must know."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from alrctl import arms, table_files
from alrctl.lineage import STRATEGY, Lineage
from schemas.curves import CURVES

Alrctl = Callable[..., Any]
TINY: dict[str, Any] = {
    "source": "data",
    "strategies": ["entropy", "random"],
    "rounds": 2,
    "expert": "oracle",
    "corrupt": {"rate": 0.4},
    "train-lnl": {"backbone": "test_resnet", "epochs": 2, "batch-size": 16, "num-gradual": 1, "device": "cpu"},
    "select": {"budget": 6, "pool": "all"},
    "recalibrate": {"epochs": 1, "batch-size": 16},
    "evaluate": {"bootstrap": 20, "figures": False},
    "report": False,
}
QUICK = ("--bootstrap", 50)


@pytest.fixture(scope="module")
def runs(alrctl: Alrctl, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strategies, two rounds, two seeds, and all corrected for the first. Not to be changed."""
    base = tmp_path_factory.mktemp("compare")
    shutil.copytree(finished / "data", base / "data")
    for seed in (0, 1):
        content = TINY | {"output": f"work/run{seed}", "seed": seed, "bound": seed == 0}
        content |= {"relabel": {"oracle-seconds": 20.0}} if seed == 0 else {}
        (base / f"{seed}.yaml").write_text(yaml.safe_dump(content))
        ran = alrctl("run", base / f"{seed}.yaml", "--json")
        assert ran.code == 0, ran.err
    return base / "work"


@pytest.fixture
def spoilt(runs: Path, tmp_path: Path) -> Path:
    """A copy, to spoil at will."""
    shutil.copytree(runs.parent, tmp_path / "base")
    return tmp_path / "base/work"


def summary(ran: Any) -> dict[str, Any]:
    assert ran.code == 0, ran.err
    found: dict[str, Any] = ran.document["summary"]
    return found


# --- arms ------------------------------------------------------------------------------------------------------------


def places(root: Path) -> set[tuple[str, str, int]]:
    return {(one.arm, one.seed, len(one.evaluation.lineage.rounds)) for one in arms.sort(arms.find([root])).places}


def test_arms_and_seeds_are_read_from_the_records_whatever_folders_are_called(spoilt: Path) -> None:
    shutil.rmtree(spoilt / "run0/bound")
    wanted = {(name, seed, number) for name in ("entropy", "random") for seed in "01" for number in range(3)}
    assert places(spoilt) == wanted
    (spoilt / "run1").rename(spoilt / "something else")
    assert places(spoilt) == wanted
    assert not list(spoilt.rglob("random/r0")), "what was judged before the first round is the beginning of every arm"


def test_an_evaluation_named_twice_counts_once(runs: Path) -> None:
    once = arms.find([runs])
    again = arms.find([runs, runs / "run0", runs / "run0/random/r1/eval"])
    assert [one.artifact.path for one in again] == [one.artifact.path for one in once]


def test_what_else_differs_names_an_arm_and_each_is_held_to_the_random_choice_like_it(
    alrctl: Alrctl, spoilt: Path
) -> None:
    content = TINY | {"output": "work/run2", "seed": 1, "train-lnl": TINY["train-lnl"] | {"method": "elr"}}
    (spoilt.parent / "2.yaml").write_text(yaml.safe_dump(content | {"rounds": 1}))
    assert alrctl("run", spoilt.parent / "2.yaml").code == 0
    found = arms.sort(arms.find([spoilt / "run1", spoilt / "run2"]))
    methods = ("method coteaching-vog", "method elr")
    assert found.names() == [f"{strategy}, {method}" for strategy in ("entropy", "random") for method in methods]
    assert found.controls == {f"entropy, {method}": f"random, {method}" for method in methods}


def test_arms_that_change_at_different_rounds_have_names_of_their_own() -> None:
    first, second = ((STRATEGY, name) for name in ("entropy", "random"))
    tips = [Lineage((), ((first,),) * (4 - late) + ((second,),) * late) for late in (1, 2, 3)]
    assert arms._names(tips) == [f"entropy, then random{told}" for told in ("", " (2)", " (3)")]


def test_variants_of_phase_2_are_arms_of_their_own(alrctl: Alrctl, spoilt: Path) -> None:
    variants: list[dict[str, Any]] = [
        {"recalibrate": TINY["recalibrate"] | {"from": "scratch"}},
        {"recalibrate": TINY["recalibrate"] | {"correct": False}, "rounds": 1},
        {"start-from": "lnl"},
    ]
    for number, variant in enumerate(variants, 2):
        content = TINY | {"output": f"work/run{number}", "seed": 1, "strategies": ["entropy"]} | variant
        (spoilt.parent / f"{number}.yaml").write_text(yaml.safe_dump(content))
        ran = alrctl("run", spoilt.parent / f"{number}.yaml")
        assert ran.code == 0, ran.err
    found = arms.sort(arms.find([spoilt / f"run{number}" for number in range(1, 5)]))
    assert found.names() == [
        "entropy, from checkpoint, correct off",
        "entropy, from checkpoint, correct on, goes on from phase 1",
        "entropy, from checkpoint, correct on, goes on from the round before",
        "entropy, from scratch, correct on",
        "random, from checkpoint, correct on, goes on from the round before",
    ]
    assert not found.notes
    like = "entropy, from checkpoint, correct on, goes on from the round before"
    assert found.unlike == tuple(name for name in found.names() if name.startswith("entropy") and name != like)
    assert found.told("random, from checkpoint, correct on, goes on from the round before") == []
    told = found.told(None)
    assert len(told) == 3 and told[0] == (
        "the control of 'entropy, from checkpoint, correct off' is 'random, from checkpoint, correct on, goes on from "
        "the round before', which differs in more than the choice of samples: their difference is not of the choice "
        "alone"
    )
    folders = [spoilt / f"run{number}" for number in range(1, 5)]
    assert summary(alrctl("compare", *folders, "--json", *QUICK))["notes"][:3] == told
    page = spoilt.parent / "report.html"
    assert alrctl("report", *folders, "-o", page).code == 0
    assert f"{told[0][0].upper()}{told[0][1:]}." in html.unescape(page.read_text())


def test_what_the_choice_goes_by_is_the_choice_and_a_round_behind_is_no_difference() -> None:
    retrained = (("recalibrate from", "checkpoint"),)
    later = (*retrained, ("recalibrate goes on from", "the round before"))
    by_worth = ((STRATEGY, "expected-correction"), ("select class worth", "1.0"), ("score dropout passes", "20"))
    tips = {
        "worth": Lineage((), ((*by_worth, *retrained), (*by_worth, *later))),
        "random": Lineage((), (((STRATEGY, "random"), ("select class worth", "0.05"), *retrained),)),
        "other": Lineage((("train-lnl method", "elr"),), (((STRATEGY, "entropy"), *retrained),)),
    }
    assert arms._controls(tips) == ({"worth": "random", "other": "random"}, ("other",))
    nearer = Lineage((), (((STRATEGY, "random"), *by_worth[1:], *retrained),))
    assert arms._controls(tips | {"nearer": nearer}) == ({"worth": "nearer"}, ())


def test_a_page_calls_what_was_left_out_by_its_place_in_the_project(alrctl: Alrctl, runs: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(runs, tmp_path / "copied")
    twin = shutil.copytree(copied / "run0/random/r2/eval", copied / "run0/random/r2/twin")
    predictions = pl.read_parquet(twin / "predictions.parquet")
    predictions.reverse().write_parquet(twin / "predictions.parquet")
    told = json.loads((twin / "manifest.json").read_text())
    told["outputs"]["predictions.parquet"]["sha256"] = sha256((twin / "predictions.parquet").read_bytes()).hexdigest()
    (twin / "manifest.json").write_text(json.dumps(told))
    page = tmp_path / "report.html"
    assert alrctl("report", copied, "-o", page).code == 0
    text = html.unescape(page.read_text())
    assert "Run0/random/r2/twin: left out; it is by all that is recorded the same as run0/random/r2/eval, and" in text
    assert f"{copied}/run0/random/r2/twin: left out" not in text


def test_what_other_programs_say_is_an_arm_by_its_folder(alrctl: Alrctl, runs: Path, tmp_path: Path) -> None:
    data = runs.parent / "data"
    for name in ("one", "other"):
        told = pl.read_parquet(runs / f"run0/{'entropy' if name == 'one' else 'random'}/r2/eval/predictions.parquet")
        told.select("sample_id", "predicted_label").write_csv(tmp_path / f"{name}.csv")
        ran = alrctl(
            *("evaluate", data, "--predictions", tmp_path / f"{name}.csv", "--bootstrap", 0),
            *("-o", tmp_path / "foreign" / name / "eval"),
        )
        assert ran.code == 0, ran.err
    found = summary(alrctl("compare", tmp_path / "foreign", "--control", "one", "--json", *QUICK))
    assert list(found["arms"]) == ["other", "one"]
    assert found["against"]["other"]["equivalent"] is None


# --- the command -----------------------------------------------------------------------------------------------------


def test_curves_differences_verdicts_and_a_figure_are_written(alrctl: Alrctl, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "comparison"
    found = summary(alrctl("compare", runs, "-o", out, "--json", *QUICK))
    assert {path.name for path in out.iterdir()} == {
        *("manifest.json", "comparison.json", "curves.parquet", "curves.png", "curves.svg")
    }
    assert json.loads((out / "comparison.json").read_text()) == found
    assert list(found["arms"]) == ["entropy", "random"]
    assert [point["budget"] for point in found["arms"]["entropy"]["points"]] == [0, 6, 12]
    assert found["arms"]["entropy"]["seeds"] == ["0", "1"]
    assert found["against"]["entropy"]["control"] == "random"
    assert found["verdicts"]["entropy"].startswith("12 labels by entropy bought ")
    assert set(found["advice"]) == {"entropy", "random"}
    table = table_files.read_table(out / CURVES.file_name, CURVES)
    assert table.height == 2 * 3 * (1 + 2)
    mean = table.filter(pl.col("seed").is_null(), arm="random", budget=12.0).row(0, named=True)
    judged = [json.loads((runs / f"run{s}/random/r2/eval/metrics.json").read_text()) for s in (0, 1)]
    values = [one["metrics"]["balanced_accuracy"]["value"] for one in judged]
    assert mean["value"] == pytest.approx(sum(values) / 2)
    assert mean["low"] <= mean["value"] <= mean["high"]
    again = alrctl("compare", runs, "-o", out, "--json", *QUICK)
    assert again.document["status"] == "unchanged"
    assert alrctl("validate", out).code == 0


def test_all_corrected_is_told_by_the_truth_or_named(alrctl: Alrctl, runs: Path) -> None:
    found = summary(alrctl("compare", runs / "run0", "--json", *QUICK))
    told = json.loads((runs / "run0/bound/eval/metrics.json").read_text())
    assert told["label_quality"]["label_accuracy"] == 1
    assert found["bound"]["value"]["value"] == told["metrics"]["balanced_accuracy"]["value"]
    assert "bound" not in found["arms"]
    assert summary(alrctl("compare", runs / "run1", "--json", *QUICK))["bound"] is None
    named = summary(alrctl("compare", runs / "run1", "--bound", runs / "run0/bound/eval", "--json", *QUICK))
    assert named["bound"] == found["bound"]


@pytest.mark.usefixtures("undrawn")
def test_on_the_page_the_bound_is_told_as_what_it_is_and_bought_nothing(
    alrctl: Alrctl, runs: Path, tmp_path: Path
) -> None:
    assert alrctl("report", runs / "run0", "-o", tmp_path / "report.html").code == 0
    text = (tmp_path / "report.html").read_text()
    assert "With all labels corrected: balanced accuracy" in text
    assert "bound: " not in text
    assert "all labels corrected: labels now" not in text
    assert "mathdefault" not in text


def test_people_are_told_what_figures_rest_on(alrctl: Alrctl, runs: Path) -> None:
    shown = " ".join(alrctl("compare", runs / "run1", *QUICK).out.split())
    for told in (
        "balanced accuracy by labels bought",
        "paired differences",
        "12 labels by entropy bought",
        "one seed, so that they are of test samples only",
        "images, since no groups of them are known",
        "how much all labels corrected would give is not known here",
        "epoch chosen by: macro-F1 on the validation split",
        "last epoch",
    ):
        assert told in shown
    assert " clean " in shown


def test_without_random_choice_it_is_said_what_is_lacking(alrctl: Alrctl, runs: Path) -> None:
    ran = alrctl("compare", runs / "run1/entropy", *QUICK)
    assert ran.code == 0
    assert "without a random control nobody can say that choosing paid" in ran.out
    assert "`strategies: [..., random]`" in ran.out


def test_time_and_money_are_counted_where_they_are_known(alrctl: Alrctl, runs: Path) -> None:
    found = summary(alrctl("compare", runs / "run0", "--x", "minutes", "--json", *QUICK))
    budgets = [point["budget"] for point in found["arms"]["random"]["points"]]
    assert budgets[0] == 0 and budgets[2] > budgets[1] > 0
    paid = summary(alrctl("compare", runs / "run0", "--x", "money", "--rate-per-hour", 120, "--json", *QUICK))
    assert [p["budget"] for p in paid["arms"]["random"]["points"]] == pytest.approx([2 * b for b in budgets])
    for options, mend in (("--x", "minutes"), "--x labels can"), (("--x", "money"), "--rate-per-hour prices the time"):
        ran = alrctl("compare", runs / "run1", *options, *QUICK)
        assert ran.code == 3
        assert "answers without the seconds taken" in ran.err
        assert mend in ran.err


# --- what cannot be compared -----------------------------------------------------------------------------------------


def test_other_splits_samples_references_and_classes_are_told_with_the_two(alrctl: Alrctl, spoilt: Path) -> None:
    first, other = spoilt / "run1/entropy/r1/eval", spoilt / "run1/random/r1/eval"
    kept = {name: (other / name).read_bytes() for name in ("predictions.parquet", "metrics.json")}
    table, told = pl.read_parquet(other / "predictions.parquet"), json.loads(kept["metrics.json"])

    def refused(why: str) -> None:
        record = json.loads((other / "manifest.json").read_text())
        record["outputs"]["predictions.parquet"]["sha256"] = "0" * 64  # as evaluate would have written it
        (other / "manifest.json").write_text(json.dumps(record))
        ran = alrctl("compare", first, other, *QUICK)
        assert ran.code == 4
        assert f"{first} and {other}: cannot be compared: {why}" in ran.err
        for name, content in kept.items():
            (other / name).write_bytes(content)

    (other / "metrics.json").write_text(json.dumps(told | {"split": "val"}))
    refused("other split (test; val)")
    (other / "metrics.json").write_text(json.dumps(told | {"classes": ["blue", "red"]}))
    refused("other classes (")
    table.head(5).write_parquet(other / "predictions.parquet")
    refused(f"other samples ({table.height} and 5; ")
    table.with_columns(label=pl.lit("blue")).write_parquet(other / "predictions.parquet")
    refused("other references for ")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("run0/random/r1/eval",), 2, "1 evaluation to compare; two or more are needed"),
        (("nothing",), 3, "nothing: no such directory"),
        (("run0/noisy",), 3, "holds no evaluation; `alrctl evaluate` writes one"),
        (("run0", "--control", "rndom"), 2, "--control: no arm 'rndom'; did you mean 'random'?"),
        (("run0", "--metric", "macro_f"), 2, "no metric 'macro_f'; did you mean 'macro_f1'?"),
        (("run0", "--bound", "run0/noisy"), 3, "is no evaluation"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_a_line(
    alrctl: Alrctl, runs: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    words = [runs / word if word.startswith(("run", "nothing")) else word for word in arguments]
    ran = alrctl("compare", *words, "-o", tmp_path / "out", *QUICK)
    assert ran.code == code
    assert told in ran.err
    assert not (tmp_path / "out").exists()


def test_stale_evaluations_are_refused(alrctl: Alrctl, spoilt: Path) -> None:
    labels = spoilt / "run1/random/r1/labels/labels.parquet"
    pl.read_parquet(labels).reverse().write_parquet(labels)
    ran = alrctl("compare", spoilt / "run1", *QUICK)
    assert ran.code == 4
    assert "is stale" in ran.err
    assert alrctl("compare", spoilt / "run1", "--allow-stale", *QUICK).code == 0


def test_labels_that_nobody_checked_are_said_to_be_judged_by(alrctl: Alrctl, runs: Path, tmp_path: Path) -> None:
    model, data = runs / "run0/entropy/r1/model", runs.parent / "data"
    for name in ("one", "other"):
        ran = alrctl("evaluate", data, "--checkpoint", model, "--no-figures", "-o", tmp_path / name / "eval")
        assert ran.code == 0, ran.err
    found = arms.sort(arms.find([tmp_path / "one", tmp_path / "other"]))
    assert found.notes[-1].startswith("nobody knows how right the labels are that networks were judged by")
    assert not arms.sort(arms.find([runs / "run0/entropy"])).notes
