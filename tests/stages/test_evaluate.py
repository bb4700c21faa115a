"""Evaluate gives figures with intervals, by class and by sub-group, and of the labels where the truth is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy import stats

from schemas.errors import UsageError
from schemas.judgement import JUDGEMENT
from schemas.per_class import PER_CLASS
from schemas.subgroups import SUBGROUPS
from stages.evaluate import EvaluateConfig, EvaluateInputs, EvaluateOutputs, run
from stages.methods import calibration, metrics
from stages.methods.judgement import Seen
from stages.methods.label_audit import Audit, Labels
from stages.methods.metrics import BY_CLASS, Yardstick
from stages.methods.predictions import Predictions
from stages.methods.stratified import Stratum
from stages.report import Report, SilentReport

CLASSES = ("red", "green", "blue")
PLAIN_NAMES = {
    "accuracy",
    "balanced_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_specificity",
    "macro_f1",
    "macro_auroc",
    "macro_average_precision",
    "mcc",
    "kappa",
    "top_2_accuracy",
    "log_loss",
    "brier_score",
    "expected_calibration_error",
}


def predictions(label: list[int] | None = None, seed: int = 0) -> Predictions:
    """Eighty posteriors that tell a little about their labels."""
    generator = np.random.default_rng(seed)
    references = generator.integers(0, 3, 80) if label is None else np.array(label)
    logits = generator.normal(size=(len(references), 3)) + np.eye(3)[references]
    return Predictions(references, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def inputs(given: Predictions | None = None, **changed: Any) -> EvaluateInputs:
    """Samples in pairs, and classes with many, medium and few training samples."""
    given = given or predictions()
    usual: dict[str, Any] = {"group": np.arange(len(given.label)) // 2, "training_counts": np.array([101, 100, 19])}
    return EvaluateInputs(**({"predictions": given, "classes": CLASSES, "ordered": False} | usual | changed))


def judged(given: EvaluateInputs | None = None, report: Report | None = None, **options: Any) -> EvaluateOutputs:
    config = EvaluateConfig.model_validate({"bootstrap": 60} | options)
    return run(config, given or inputs(), report or SilentReport())


def test_every_figure_has_a_value_and_an_interval_around_it() -> None:
    found = judged(inputs(ordered=True, costs=1 - np.eye(3)))
    groups = {f"{group}_{name}" for group in ("many", "medium", "few") for name in metrics.OF_GROUPS}
    more = {"quadratic_kappa", "expected_cost", "expected_cost_of_cheapest"}
    assert set(found.metrics) == PLAIN_NAMES | groups | more
    for name, told in found.metrics.items():
        low, value, high = told["low"], told["value"], told["high"]
        assert low is not None and value is not None and high is not None
        assert low < value < high, name


def test_what_nobody_asked_for_is_not_told() -> None:
    assert {name for name in judged().metrics if not name.startswith(("many", "medium", "few"))} == PLAIN_NAMES
    assert "top_1_accuracy" in judged(top_k=[1]).metrics and "top_2_accuracy" not in judged(top_k=[1]).metrics


def test_no_interval_is_made_where_none_is_asked_for() -> None:
    found = judged(bootstrap=0)
    assert {(told["low"], told["high"]) for told in found.metrics.values()} == {(None, None)}
    assert found.metrics["accuracy"]["value"] == judged().metrics["accuracy"]["value"]
    ends = [found.by_class[f"{name}_{end}"] for name in BY_CLASS for end in ("low", "high")]
    assert ends == [[None] * 3] * 12


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    assert judged(seed=1).metrics == judged(seed=1).metrics
    assert judged(seed=1).metrics != judged(seed=2).metrics


def test_the_table_by_class_keeps_its_contract_and_agrees_with_the_confusion() -> None:
    found = judged()
    table = PER_CLASS.make(found.by_class)
    assert table["label"].to_list() == list(CLASSES)
    assert table["support"].to_list() == found.confusion.sum(axis=1).tolist()
    assert table["predicted"].to_list() == found.confusion.sum(axis=0).tolist()
    np.testing.assert_allclose(table["recall"], np.diag(found.confusion) / found.confusion.sum(axis=1))
    assert found.metrics["accuracy"]["value"] == pytest.approx(np.trace(found.confusion) / 80)
    assert table["training_samples"].to_list() == [101, 100, 19]
    assert table["class_group"].to_list() == ["many", "medium", "few"]
    for name in BY_CLASS:
        assert (table[f"{name}_low"] < table[name]).all() and (table[name] < table[f"{name}_high"]).all(), name


def test_what_is_undefined_is_none_and_never_nan_or_0() -> None:
    found = judged(inputs(predictions([0, 1] * 20)))
    blue = {name: values[2] for name, values in found.by_class.items()}
    assert blue["support"] == 0
    for name in ("recall", "f1", "auroc", "average_precision"):
        assert blue[name] is blue[f"{name}_low"] is blue[f"{name}_high"] is None, name
    assert blue["label_accuracy"] is blue["clean_precision"] is blue["clean_recall"] is blue["thrown_out"] is None
    assert found.metrics["few_macro_f1"] == {"value": None, "low": None, "high": None}
    assert found.label_quality is found.estimated_noise is found.transition is found.judgement is None
    assert found.mean_posterior is not None
    assert np.isnan(found.mean_posterior[2]).all() and np.isfinite(found.mean_posterior[:2]).all()
    PER_CLASS.make(found.by_class)


def test_references_of_one_class_give_figures_and_no_warning() -> None:
    found = judged(inputs(predictions([1] * 20)))
    assert found.metrics["mcc"] == found.metrics["macro_auroc"] == {"value": None, "low": None, "high": None}
    assert found.metrics["accuracy"]["low"] is not None


@pytest.mark.parametrize("label", [[0], [2, 2]])
def test_one_sample_is_judged(label: list[int]) -> None:
    found = judged(inputs(predictions(label)))
    assert found.metrics["accuracy"]["value"] in (0, 1)
    PER_CLASS.make(found.by_class)


def test_predictions_without_posteriors_are_judged_by_the_classes_said() -> None:
    given = predictions()
    said = judged(inputs(Predictions(given.label, None, given.predicted, 3)))
    full = judged(inputs(given))
    assert said.mean_posterior is said.reliability is None
    assert said.metrics["macro_auroc"] == {"value": None, "low": None, "high": None}
    assert said.metrics["macro_f1"] == full.metrics["macro_f1"]
    assert said.by_class["auroc"] == said.by_class["average_precision_low"] == [None] * 3
    assert said.by_class["recall_high"] == full.by_class["recall_high"]
    PER_CLASS.make(said.by_class)


def test_samples_of_one_group_are_drawn_together() -> None:
    given = Predictions(np.tile([0, 1], 40), np.tile([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1]], (40, 1)))
    paired = judged(inputs(given, group=np.repeat(np.arange(40), 2)), bootstrap=100).metrics["accuracy"]
    alone = judged(inputs(given, group=np.arange(80)), bootstrap=100).metrics["accuracy"]
    assert paired == {"value": 0.5, "low": None, "high": None}, "every resample says the same"
    assert alone["low"] < 0.5 < alone["high"]


def test_all_right_is_not_said_to_be_sure_and_a_mean_that_never_changes_has_no_interval() -> None:
    label = np.tile([0, 1, 2], 10)
    found = judged(inputs(Predictions(label, np.eye(3)[label]), group=np.arange(30))).metrics
    edge = 0.025 ** (1 / 30)
    for name in ("accuracy", "top_2_accuracy"):
        assert found[name] == {"value": 1.0, "low": pytest.approx(edge), "high": 1.0}
    assert found["balanced_accuracy"] == {"value": 1.0, "low": None, "high": None}


@pytest.mark.parametrize(("groups", "warns"), [(19, True), (20, False)])
def test_of_few_groups_it_is_said_that_intervals_are_too_narrow(
    groups: int, warns: bool, report: Report, heard: list[str]
) -> None:
    given = inputs(group=np.arange(80) % groups)
    judged(given, report)
    assert heard == [f"the split has {groups} groups: intervals from so few are too narrow to be relied on"] * warns
    heard.clear()
    judged(given, report, bootstrap=0)
    assert heard == []


def test_shares_of_all_or_none_have_exact_ends_by_the_groups_they_were_seen_in() -> None:
    label = np.repeat([0, 1, 2], [20, 12, 8])
    said = np.r_[np.zeros(20), np.ones(12), np.zeros(4), np.ones(4)].astype(np.int64)  # blue is never said
    found = judged(inputs(Predictions(label, None, said, 3), group=np.arange(40) // 2)).by_class
    groups = {"recall": [10, 6, 4], "specificity": [10, 14, 16], "precision": [12, 8, 0]}
    for name, expected in groups.items():
        for index, count in enumerate(expected):
            value = found[name][index]
            if value in (0, 1):
                exact = stats.binomtest(int(value) * count, count).proportion_ci(0.95, method="exact")
                ends = (found[f"{name}_low"][index], found[f"{name}_high"][index])
                assert ends == pytest.approx((exact.low, exact.high)), (name, index)
    assert (found["recall"], found["specificity"][2]) == ([1, 1, 0], 1)
    assert found["precision"][2] is found["precision_low"][2] is found["precision_high"][2] is None


@pytest.mark.parametrize("right", [True, False])
def test_an_accuracy_of_all_or_none_has_an_interval_too_overall_and_in_sub_groups(right: bool) -> None:
    label = np.arange(40) % 3
    said = (label if right else (label + 1) % 3)[:, None] == np.arange(3)
    given = inputs(Predictions(label, said * 0.7 + 0.1), metadata={"sex": pl.Series("sex", ["m", "f"] * 20)})
    found = judged(given, top_k=[1])
    overall = stats.binomtest(20 * right, 20).proportion_ci(0.95, method="exact")
    for name in ("accuracy", "top_1_accuracy"):
        assert found.metrics[name]["low"] == pytest.approx(overall.low), name
        assert found.metrics[name]["high"] == pytest.approx(overall.high), name
    rows = [row for row in found.subgroups if row["metric"] == "accuracy"]
    assert [(row["groups"], row["low"], row["high"]) for row in rows] == [
        (20, pytest.approx(overall.low), pytest.approx(overall.high))
    ] * 2


def test_figures_are_those_of_the_metrics() -> None:
    given, costs = predictions(seed=4), np.random.default_rng(1).uniform(0, 3, (3, 3))
    found = judged(inputs(given, costs=costs, ordered=True), bootstrap=0, top_k=[2, 1, 2], many=100, few=100)
    members = {name: np.arange(3) == place for place, name in enumerate(("many", "medium", "few"))}
    yardstick = Yardstick((1, 2), True, costs, members)
    assert {name: told["value"] for name, told in found.metrics.items()} == metrics.overall(given, yardstick)
    finer = judged(inputs(given), bootstrap=0, calibration_bins=7)
    error = finer.metrics["expected_calibration_error"]["value"]
    assert error == calibration.expected_error(given, 7) != found.metrics["expected_calibration_error"]["value"]
    assert finer.reliability is not None and len(finer.reliability.count) == 7


def test_the_mean_posterior_has_a_row_a_reference() -> None:
    given = predictions()
    found = judged(bootstrap=0).mean_posterior
    assert found is not None and given.posterior is not None
    for index in range(3):
        assert found[index] == pytest.approx(given.posterior[given.label == index].mean(axis=0))


def test_of_the_last_epochs_mean_and_deviation_are_told_of_what_is_defined() -> None:
    of_two = [predictions(seed=seed) for seed in (1, 2)]
    one_class = predictions([1] * 20, seed=3)
    epochs = list(zip((6, 7, 8), [*of_two, one_class], strict=True))
    told = judged(inputs(last_epochs=iter(epochs)), bootstrap=0).last_epochs
    assert told is not None
    assert told["epochs"] == [7, 8, 9]
    values = [metrics.overall(given)["accuracy"] for _, given in epochs]
    accuracy = {"mean": pytest.approx(np.mean(values)), "deviation": pytest.approx(np.std(values, ddof=1))}
    assert told["metrics"]["accuracy"] == accuracy
    areas = [metrics.overall(given)["macro_auroc"] for given in of_two]
    assert told["metrics"]["macro_auroc"]["mean"] == pytest.approx(np.mean(areas))
    assert told["metrics"]["macro_auroc"]["deviation"] == pytest.approx(np.std(areas, ddof=1))


def test_one_last_epoch_has_no_deviation_and_none_nothing() -> None:
    told = judged(inputs(last_epochs=[(0, predictions([1] * 20))]), bootstrap=0).last_epochs
    assert told is not None
    assert told["epochs"] == [1]
    assert told["metrics"]["accuracy"]["deviation"] is None
    assert told["metrics"]["mcc"] == {"mean": None, "deviation": None}
    assert judged().last_epochs is None


def test_sub_groups_are_judged_each_by_itself() -> None:
    given, sex = predictions(), np.array(["m", "f"] * 38 + [None] * 4)
    found = judged(inputs(given, metadata={"sex": pl.Series("sex", sex.tolist())}))
    table = SUBGROUPS.rows(found.subgroups)
    assert set(table["subgroup"]) == {"m", "f", "(unknown)"}
    assert table["column"].unique().to_list() == ["sex"]
    for name, mine, groups in (("m", sex == "m", 38), ("f", sex == "f", 38), ("(unknown)", sex == np.array(None), 2)):
        plain = metrics.overall(given.at(np.flatnonzero(mine)))
        rows = table.filter(subgroup=name)
        assert rows["metric"].to_list() == [
            "accuracy", "balanced_accuracy", "macro_f1", "macro_auroc", "log_loss", "expected_calibration_error"
        ]  # fmt: skip
        for row in rows.iter_rows(named=True):
            assert (row["samples"], row["groups"]) == (mine.sum(), groups)
            assert row["value"] == plain[row["metric"]]
    assert (table.filter(subgroup="m")["low"] < table.filter(subgroup="m")["value"]).all()
    without = judged(inputs(given, metadata={"sex": pl.Series("sex", sex.tolist())}), bootstrap=0)
    assert {row["low"] for row in without.subgroups} == {None}


def test_sub_groups_of_too_many_values_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^--by site: has 80 values; sub-groups of at most 50 are told$"):
        judged(inputs(metadata={"site": pl.Series("site", [f"s{n}" for n in range(80)])}))


def quality(**changed: list[int]) -> Labels:
    """Ten training samples.

    place             0  1  2  3 | 4  5  6 | 7  8  9
    true              r  r  r  r | g  g  g | b  b  b
    first             r  r  g  b | g  g  r | r  g  b
    relabelled        .  x  x  x | .  .  x | .  x  .
    now               r  g  r  b | g  g  g | r  b  b
    judged clean      x  .  x  . | x  .  . | .  .  .
    """
    columns: dict[str, NDArray[Any]] = {
        "true_label": np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2]),
        "first_label": np.array([0, 0, 1, 2, 1, 1, 0, 0, 1, 2]),
        "label": np.array([0, 1, 0, 2, 1, 1, 1, 0, 2, 2]),
        "relabelled": np.array([0, 1, 1, 1, 0, 0, 1, 0, 1, 0], dtype=bool),
        "judged_clean": np.array([1, 0, 1, 0, 1, 0, 0, 0, 0, 0], dtype=np.int8),
    }
    return Labels(**(columns | {name: np.array(values) for name, values in changed.items()}))


def test_label_quality_is_told_overall_by_class_and_as_transitions() -> None:
    found = judged(inputs(labels=quality()))
    assert found.label_quality is not None and found.transition is not None
    assert found.label_quality["label_accuracy"] == pytest.approx(7 / 10)  # 0 2 4 5 6 8 9
    assert found.by_class["label_accuracy"] == pytest.approx([2 / 4, 3 / 3, 2 / 3])
    assert found.by_class["label_accuracy_before"] == pytest.approx([2 / 4, 2 / 3, 1 / 3])
    before, after = found.transition
    assert before.tolist() == [[2, 1, 1], [1, 2, 0], [1, 1, 1]]
    assert after.tolist() == [[2, 1, 1], [0, 3, 0], [1, 0, 2]]
    PER_CLASS.make(found.by_class)


def test_the_estimate_of_the_noise_comes_from_the_audits() -> None:
    found = judged(inputs(audits=[Audit(1, (Stratum(50, 4, 1),), 100)])).estimated_noise
    assert found is not None
    assert (found["value"], found["wrong"], found["looked_at"]) == (0.25, 1, 4)


def test_the_judgement_is_followed_through_the_epochs_of_phase_1() -> None:
    true = np.array([0, 0, 1, 1, 2, 2])
    first = np.array([0, 1, 1, 1, 2, 0])
    loss = np.array([1.0, 4, 2, np.nan, 3, 6])
    seen = [
        Seen(0, np.ones(6, dtype=bool), np.full(6, np.nan)),
        Seen(3, np.array([True, False, True, False, True, False]), loss),
    ]
    unjudged = np.full(6, -1, dtype=np.int8)
    labels = Labels(true, first, first, np.zeros(6, dtype=bool), unjudged)
    table = JUDGEMENT.make(judged(inputs(labels=labels, seen=seen), bootstrap=0).judgement)
    unknown = (None, None, None)
    assert table.filter(label="(all)").rows() == [
        (0, "(all)", 4 / 6, 1.0, *unknown),
        (3, "(all)", 1.0, 3 / 4, 2.0, 5.0, 2.0),  # clean 1 2 3, noisy 4 6, picked 1 2 3
    ]
    assert table.filter(epoch=3, label="green").rows() == [(3, "green", 1.0, 1 / 2, 2.0, None, 2.0)]
    assert table.filter(epoch=3, label="red").rows() == [(3, "red", 1.0, 1.0, 1.0, 4.0, 1.0)]
    assert table.filter(epoch=0, label="red").rows() == [(0, "red", 1 / 2, 1.0, *unknown)]
    assert judged(bootstrap=0).judgement is None
    assert judged(inputs(labels=replace(labels), seen=()), bootstrap=0).judgement is None
