"""Evaluate gives figures with intervals, by class, and of the labels where the truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.judgement import JUDGEMENT
from schemas.per_class import PER_CLASS
from stages.evaluate import EvaluateConfig, EvaluateOutputs, LabelQualityInputs, run
from stages.methods import metrics

CLASSES = ("red", "green", "blue")


def judged(
    quality: LabelQualityInputs | None = None, label: list[int] | None = None, **options: Any
) -> EvaluateOutputs:
    """Judge eighty posteriors that tell a little about their labels."""
    generator = np.random.default_rng(0)
    references = generator.integers(0, 3, 80) if label is None else np.array(label)
    logits = generator.normal(size=(len(references), 3)) + np.eye(3)[references]
    posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    config = EvaluateConfig.model_validate({"bootstrap": 60} | options)
    return run(config, references, posterior, np.arange(len(references)) // 2, CLASSES, quality)


def test_every_figure_has_a_value_and_an_interval_around_it() -> None:
    found = judged()
    assert set(found.metrics) == {
        "accuracy",
        "balanced_accuracy",
        "macro_precision",
        "macro_recall",
        "macro_f1",
        "macro_auroc",
        "mcc",
        "log_loss",
    }
    for name, told in found.metrics.items():
        low, value, high = told["low"], told["value"], told["high"]
        assert low is not None and value is not None and high is not None
        assert low < value < high, name


def test_no_interval_is_made_where_none_is_asked_for() -> None:
    found = judged(bootstrap=0)
    assert {(told["low"], told["high"]) for told in found.metrics.values()} == {(None, None)}
    assert found.metrics["accuracy"]["value"] == judged().metrics["accuracy"]["value"]


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


def test_what_is_undefined_is_none_and_never_nan_or_0() -> None:
    found = judged(label=[0, 1] * 20)
    blue = {name: values[2] for name, values in found.by_class.items()}
    assert (blue["support"], blue["recall"], blue["auroc"]) == (0, None, None)
    assert (blue["label_accuracy"], blue["clean_precision"], blue["clean_recall"]) == (None, None, None)
    assert found.label_quality is None
    PER_CLASS.make(found.by_class)


def test_references_of_one_class_give_figures_and_no_warning() -> None:
    found = judged(label=[1] * 20)
    assert found.metrics["mcc"] == found.metrics["macro_auroc"] == {"value": None, "low": None, "high": None}
    assert found.metrics["accuracy"]["low"] is not None


def test_samples_of_one_group_are_drawn_together() -> None:
    label = np.tile([0, 1], 40)
    posterior = np.tile([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1]], (40, 1))
    config = EvaluateConfig(bootstrap=100)
    paired = run(config, label, posterior, np.repeat(np.arange(40), 2), CLASSES, None).metrics["accuracy"]
    alone = run(config, label, posterior, np.arange(80), CLASSES, None).metrics["accuracy"]
    assert paired == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert alone["low"] != alone["high"]


def quality(**changed: list[int]) -> LabelQualityInputs:
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
    return LabelQualityInputs(**(columns | {name: np.array(values) for name, values in changed.items()}))


def test_label_quality_is_that_counted_by_hand() -> None:
    told = judged(quality()).label_quality
    assert told == {
        "samples": 10,
        "label_accuracy_before": pytest.approx(5 / 10),  # 0 1 4 5 9
        "label_accuracy": pytest.approx(7 / 10),  # 0 2 4 5 6 8 9
        "noise_rate": pytest.approx(5 / 10),
        "relabelled": 5,
        "errors_mended": 3,  # 2 6 8
        "errors_made": 1,  # 1
        "clean_precision": pytest.approx(2 / 3),  # 0 4 of 0 2 4
        "clean_recall": pytest.approx(2 / 5),  # 0 4 of 0 1 4 5 9
        "clean_recall_worst_class": 0.0,  # blue: none of 9
    }


def test_label_quality_by_class_is_that_counted_by_hand() -> None:
    found = judged(quality()).by_class
    assert found["label_accuracy"] == pytest.approx([2 / 4, 3 / 3, 2 / 3])
    assert found["clean_precision"] == [1.0, pytest.approx(1 / 2), None]  # first r: 0; first g: 4 of 2 4
    assert found["clean_recall"] == pytest.approx([1 / 2, 1 / 2, 0.0])  # 0 of 0 1; 4 of 4 5; none of 9


def test_without_a_judgement_clean_figures_are_undefined() -> None:
    found = judged(quality(judged_clean=[-1] * 10))
    assert found.label_quality is not None
    names = ("clean_precision", "clean_recall", "clean_recall_worst_class")
    assert [found.label_quality[name] for name in names] == [None] * 3
    assert found.by_class["clean_precision"] == found.by_class["clean_recall"] == [None] * 3


def test_samples_without_a_judgement_do_not_count_against_recall() -> None:
    told = judged(quality(judged_clean=[1, -1, 1, 0, 1, -1, 1, 0, 0, -1])).label_quality
    assert told is not None
    assert told["clean_recall"] == 1.0
    assert told["clean_recall_worst_class"] == 1.0


def test_where_nothing_is_judged_clean_precision_is_undefined() -> None:
    told = judged(quality(judged_clean=[0] * 10)).label_quality
    assert told is not None
    assert (told["clean_precision"], told["clean_recall"]) == (None, 0.0)


def test_labels_that_are_all_wrong_have_no_clean_recall() -> None:
    true_label = quality().true_label
    told = judged(quality(first_label=((true_label + 1) % 3).tolist())).label_quality
    assert told is not None
    assert (told["noise_rate"], told["clean_precision"]) == (1.0, 0.0)
    assert (told["clean_recall"], told["clean_recall_worst_class"]) == (None, None)


def test_figures_are_those_of_the_metrics() -> None:
    generator = np.random.default_rng(4)
    label, posterior = generator.integers(0, 3, 50), generator.dirichlet(np.ones(3), 50)
    found = run(EvaluateConfig(bootstrap=0), label, posterior, np.arange(50), CLASSES, None)
    assert {name: told["value"] for name, told in found.metrics.items()} == metrics.overall(label, posterior)


def test_the_judgement_is_followed_through_the_epochs_of_phase_1() -> None:
    true = np.array([0, 0, 1, 1, 2, 2])
    first = np.array([0, 1, 1, 1, 2, 0])
    kept = [(0, np.ones(6, dtype=bool)), (3, np.array([True, False, True, False, True, False]))]
    unjudged = np.full(6, -1, dtype=np.int8)
    quality = LabelQualityInputs(true, first, first, np.zeros(6, dtype=bool), unjudged, kept)
    found = judged(quality, bootstrap=0).judgement
    table = JUDGEMENT.make(found)
    assert table.filter(label="(all)").rows() == [(0, "(all)", 4 / 6, 1.0), (3, "(all)", 1.0, 3 / 4)]
    assert table.filter(epoch=3, label="green").rows() == [(3, "green", 1.0, 1 / 2)]
    assert table.filter(epoch=0, label="red").rows() == [(0, "red", 1 / 2, 1.0)]
    assert judged(bootstrap=0).judgement is None
