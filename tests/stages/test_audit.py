"""The audit: what is drawn, and what the answers are held to say."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from schemas.errors import NothingToDoError, UsageError
from schemas.queue import QUEUE
from schemas.strata import STRATA
from stages.audit import AuditConfig, Draw, count, draw

CLASSES = ("a", "b", "c")


class Told:
    """A report that keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def progress(self, done: int, total: int, text: str = "", unit: str = "") -> None: ...

    def measured(self, values: object, step: int) -> None: ...


def labels(counts: tuple[int, ...] = (60, 30, 10), relabelled: int = 0) -> pl.DataFrame:
    names = np.repeat(CLASSES, counts)
    ids = [f"s{number:03d}" for number in range(len(names))]
    return pl.DataFrame({"sample_id": ids, "label": names, "relabelled": np.arange(len(names)) < relabelled})


def config(**options: object) -> AuditConfig:
    return AuditConfig.model_validate(options)


def answered(drawn: Draw, true: dict[str, str], most: int | None = None) -> pl.DataFrame:
    """Labels after an expert answered the first `most` of a queue; who is not in `true` was right."""
    asked = drawn.queue["sample_id"].to_list()[:most]
    told = pl.col("sample_id").replace_strict(true, default=pl.col("label"))
    looked_at = pl.col("sample_id").is_in(asked)
    return labels().with_columns(
        label=pl.when(looked_at).then(told).otherwise("label"), relabelled=looked_at | pl.col("relabelled")
    )


def test_the_queue_is_drawn_by_class_and_its_order_tells_nothing() -> None:
    drawn = draw(config(budget=30), labels(), CLASSES, Told())
    QUEUE.make(drawn.queue.to_dict())
    STRATA.make(drawn.strata.to_dict())
    assert drawn.strata.rows() == [("a", 60, 14), ("b", 30, 10), ("c", 10, 6)]
    assert drawn.queue["given_label"].value_counts(sort=True).rows() == [("a", 14), ("b", 10), ("c", 6)]
    assert drawn.queue["sample_id"].n_unique() == 30
    assert not drawn.queue["sample_id"].is_sorted()
    assert not drawn.queue["given_label"].head(6).is_sorted()


def test_each_label_of_a_class_is_drawn_as_often_as_any_other() -> None:
    times = dict.fromkeys(labels()["sample_id"], 0)
    for seed in range(400):
        for name in draw(config(budget=20, seed=seed), labels(), CLASSES, Told()).queue["sample_id"]:
            times[name] += 1
    found = np.array(list(times.values()))
    for rows in (slice(0, 60), slice(60, 90), slice(90, 100)):
        mean = found[rows].mean()
        assert (np.abs(found[rows] - mean) < 4.5 * np.sqrt(mean)).all()


def test_what_an_expert_has_looked_at_is_not_drawn_again() -> None:
    report = Told()
    drawn = draw(config(budget=100), labels(relabelled=25), CLASSES, report)
    assert report.warnings == ["the budget pays for 100 looks, and there are 75 labels to look at"]
    assert drawn.facts["pool"] == drawn.facts["queued"] == 75
    assert drawn.strata.rows()[0] == ("a", 35, 35)
    with pytest.raises(NothingToDoError, match="all 100 labels are an expert's"):
        draw(config(), labels(relabelled=100), CLASSES, Told())


@pytest.mark.parametrize(
    ("options", "looks"),
    [({"budget": 9}, 9), ({"budget": 5, "unit": "minutes"}, 10), ({"budget": 9, "unit": "money", "cost": 2.5}, 3)],
)
def test_the_budget_is_what_all_looks_cost(options: dict[str, object], looks: int) -> None:
    drawn = draw(config(**options), labels(), CLASSES, Told())
    assert drawn.queue.height == looks
    assert drawn.facts["cost"] <= float(str(options["budget"]))


def test_a_budget_that_leaves_a_class_out_is_refused() -> None:
    with pytest.raises(UsageError, match="pays for 2 looks, and there are 3 classes"):
        draw(config(budget=2), labels(), CLASSES, Told())


def test_the_answers_tell_the_rate_by_class_and_overall() -> None:
    drawn = draw(config(budget=30, allocation=0), labels(), CLASSES, Told())
    of = {name: drawn.queue.filter(given_label=name)["sample_id"].to_list() for name in CLASSES}
    true = dict.fromkeys(of["a"][:4], "b") | dict.fromkeys(of["c"][:5], "a")
    report = Told()
    found = count(drawn.queue, drawn.strata, answered(drawn, true), CLASSES, report)
    assert report.warnings == []
    assert [None if one is None else one.value for one in found.by_given] == [0.4, 0.0, 0.5]
    assert found.rate is not None
    assert found.rate.value == pytest.approx(0.6 * 0.4 + 0.1 * 0.5)
    # of a: 6 looks for 36 labels, and of what was called c 5 looks for 5
    assert found.noise["transition"][0] == pytest.approx([36 / 41, 0, 5 / 41])
    assert found.noise["transition"][1] == pytest.approx([24 / 54, 30 / 54, 0])
    assert found.facts["wrong"] == 9


def test_answers_that_are_not_there_are_told_and_a_class_without_any_leaves_the_whole_open() -> None:
    drawn = draw(config(budget=30), labels(), CLASSES, Told())
    report = Told()
    found = count(drawn.queue, drawn.strata, answered(drawn, {}, most=20), CLASSES, report)
    assert found.facts["unanswered"] == 10
    assert "10 of 30 samples of the audit have no label by an expert yet" in report.warnings[0]
    assert found.rate is not None

    only_a = drawn.queue.filter(given_label="a")
    alone = answered(Draw(only_a, drawn.strata, {}), {})
    report = Told()
    found = count(drawn.queue, drawn.strata, alone, CLASSES, report)
    assert found.rate is None
    assert found.by_given[1:] == [None, None]
    assert "no answer yet for a label of b, c" in report.warnings[1]
    with pytest.raises(NothingToDoError, match="no sample of the audit is relabelled yet"):
        count(drawn.queue, drawn.strata, labels(), CLASSES, Told())
