"""Several answers become one by plain rules, and agreement is measured as the textbooks have it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from stages.methods.consensus import (
    Rules,
    Verdict,
    agreement,
    comparable,
    latest,
    latest_by_annotator,
    mean_kappa,
    settle,
    weights_by_agreement,
)

CLASSES = ("red", "green", "blue")


def answer(label: str | None, annotator: str | None = "ann", time: str | None = None, **more: Any) -> dict[str, Any]:
    """One answer."""
    problem = None if label else "unsure"
    row = {"kind": "vote" if label else "unclear", "answer": label, "annotator": annotator, "answered_at": time}
    return row | {"problem": problem} | more


def votes(labels: str) -> list[dict[str, Any]]:
    """A vote a letter, each by another annotator; '-' is an unsure one."""
    return [answer(None if label == "-" else label, f"ann{number}") for number, label in enumerate(labels)]


def test_one_answer_is_the_verdict() -> None:
    assert settle([answer("red")], Rules()) == Verdict("red")


@pytest.mark.parametrize(
    ("labels", "agreed"),
    [
        ("rr", "r"),
        ("rbr", "r"),
        ("rrbb", None),
        ("rb", None),
        ("rrbg", None),
        ("rrrbg", "r"),
        ("rgb", None),
        ("r-", "r"),
        ("r--b-r", "r"),
        ("rb-", None),
    ],
)
def test_of_several_annotators_a_strict_majority_of_those_who_named_a_class_counts(labels: str, agreed: str) -> None:
    assert settle(votes(labels), Rules()).label == agreed


def test_votes_without_a_majority_are_told() -> None:
    assert settle(votes("rbbr-"), Rules()) == Verdict(None, "no majority (b 2, r 2)")


def test_where_nobody_named_a_class_each_reason_is_told() -> None:
    given_answers = [answer(None, "ann"), answer(None, None, problem="several classes chosen (red, blue)")]
    told = "ann: unsure; the annotator: several classes chosen (red, blue)"
    assert settle(given_answers, Rules(2)) == Verdict(None, told)


@given(
    st.lists(st.tuples(st.sampled_from("rgb-"), st.sampled_from("abcdef")), min_size=1, unique_by=lambda a: a[1]),
    st.sampled_from(["conflict", "rarer-class"]),
    st.integers(1, 3),
    st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_order_of_annotators_does_not_matter(
    pairs: list[tuple[str, str]], ties: Any, least: int, data: st.DataObject
) -> None:
    answers = [answer(None if label == "-" else label, who) for label, who in pairs]
    rules = Rules(least, ties, {"r": 3, "g": 5, "b": 5})
    one, other = settle(data.draw(st.permutations(answers)), rules), settle(answers, rules)
    assert (one.label, one.waiting) == (other.label, other.waiting)


@given(st.lists(st.sampled_from("rgb-"), min_size=1, max_size=7))
@settings(max_examples=40, deadline=None)
def test_a_label_has_more_than_half_of_the_votes(labels: list[str]) -> None:
    named = [label for label in labels if label != "-"]
    most = [label for label in "rgb" if 2 * named.count(label) > len(named)]
    assert settle(votes("".join(labels)), Rules()).label == (most[0] if most else None)


def test_too_few_votes_wait_for_more_and_unsure_ones_are_none() -> None:
    assert settle(votes("rr"), Rules(3)) == Verdict(None, "2 of 3 annotators so far", waiting=True)
    assert settle(votes("rr-"), Rules(3)).waiting
    assert settle(votes("rrb"), Rules(3)) == Verdict("r")
    assert not settle(votes("rrbb"), Rules(3)).waiting


@pytest.mark.parametrize(
    ("labels", "frequency", "label"),
    [
        ("rb", {"r": 5, "b": 3}, "b"),
        ("rb", {"r": 3, "b": 5}, "r"),
        ("rb", {"r": 3}, "b"),
        ("rb", {"r": 3, "b": 3}, None),
        ("rrbbg", {"r": 5, "b": 3, "g": 1}, "b"),
        ("rgb", {"r": 5, "b": 1, "g": 1}, None),
        ("rrb", {"r": 5, "b": 1}, "r"),
    ],
)
def test_the_rarer_of_the_classes_with_most_votes_breaks_a_tie(
    labels: str, frequency: dict[str, int], label: str | None
) -> None:
    assert settle(votes(labels), Rules(ties="rarer-class", frequency=frequency)).label == label
    assert settle(votes("rb"), Rules(frequency=frequency)).label is None


def test_an_adjudication_stands_above_all_votes_and_the_last_above_others() -> None:
    final = [answer("green", "dr", kind="adjudication"), *votes("rrr")]
    assert settle(final, Rules(9)) == Verdict("green")
    assert settle([*final, answer("blue", "dr", kind="adjudication")], Rules()) == Verdict("blue")


def test_adjudicators_who_differ_settle_nothing_whoever_came_last() -> None:
    differ = [answer("green", "dr", kind="adjudication"), answer("blue", "prof", kind="adjudication")]
    assert settle([*votes("rrr"), *differ], Rules()) == Verdict(None, "no majority (blue 1, green 1)")
    third = answer("blue", "chief", kind="adjudication")
    assert settle([*differ, third], Rules(min_annotators=5)) == Verdict("blue")


def test_votes_count_by_the_annotators_weights() -> None:
    said = [answer("red", "ann"), answer("red", "bob"), answer("blue", "cid")]
    assert settle(said, Rules(weights={"ann": 0.2, "bob": 0.3, "cid": 0.9})) == Verdict("blue")
    assert (
        settle(said, Rules(weights={"ann": 0.2, "bob": 0.3}, other_weight=0.5)).problem == "no majority (blue 1, red 2)"
    )
    assert settle(said, Rules()) == Verdict("red")


def test_an_annotators_weight_is_how_often_they_agree_with_the_majority() -> None:
    named: dict[str, dict[str | None, str]] = {
        "a": {"ann": "red", "bob": "red", "cid": "blue"},
        "b": {"ann": "red", "bob": "red", "cid": "red"},
        "c": {"ann": "red", "cid": "blue"},  # a tie agrees with half of each
        "d": {"dan": "red"},  # nobody to agree with
    }
    found = weights_by_agreement(named)
    assert found == {"ann": pytest.approx(2.5 / 3), "bob": 1.0, "cid": pytest.approx(1.5 / 3)}
    assert weights_by_agreement({"a": {"ann": "r", "bob": "r", "cid": "b"}})["cid"] > 0


def test_votes_weigh_as_much_as_their_annotators() -> None:
    assert settle(votes("rbb"), Rules(weights={"ann0": 3.0})) == Verdict("r")
    assert settle(votes("rbb"), Rules(weights={"ann0": 2.0})).label is None
    rounded = {"ann0": 0.9, "ann1": 0.2, "ann2": 0.7}  # 0.2 + 0.7 < 0.9 as floats have it
    assert settle(votes("rbb"), Rules(weights=rounded)).label is None
    rarer = Rules(ties="rarer-class", frequency={"r": 5, "b": 3}, weights=rounded)
    assert settle(votes("rbb"), rarer) == Verdict("b")


def test_an_annotator_has_one_vote_the_latest() -> None:
    two_minds = [answer("red", "ann", "2026-02-01"), answer("blue", "ann", "2026-01-01"), answer("blue", "bob")]
    assert settle(two_minds, Rules()) == Verdict(None, "no majority (blue 1, red 1)")
    undated = [answer("red"), answer("blue"), answer("blue", "bob")]
    assert settle(undated, Rules()) == Verdict("blue")
    assert settle([answer("red"), answer(None)], Rules()) == Verdict(None, "ann: unsure")


@pytest.mark.parametrize(
    ("times", "last"),
    [
        (("2026-02-01", "2026-01-01"), 0),
        (("2026-01-01", "2026-02-01"), 1),
        (("2026-01-01", "2026-01-01"), 1),
        (("2026-02-01", None), 1),
        (("2026-02-01T00:00:00Z", "2026-01-01"), 1),
        (("2026-02-02", "2026-02-03", "2026-02-01"), 1),
        ((None,), 0),
    ],
)
def test_the_latest_is_told_by_time_else_by_order(times: tuple[str | None, ...], last: int) -> None:
    answers = [answer("red", time=time, place=place) for place, time in enumerate(times)]
    assert latest(answers)["place"] == last


def test_the_latest_of_each_annotator_comes_in_the_order_of_their_first_answers() -> None:
    answers = [answer("red", "bob"), answer("red", None), answer("red", "ann"), answer("blue", "bob")]
    assert latest_by_annotator(answers) == [answers[3], answers[1], answers[2]]


@pytest.mark.parametrize(
    ("times", "alike"),
    [
        (["2026-01-01", "2026-02-01"], True),
        (["2026-01-01T10:00:00Z", "2026-01-01T09:00:00Z"], True),
        (["2026-01-01", "2026-01-01T10:00:00Z"], False),
        (["2026-01-01", None], False),
        ([None, None], False),
        (["01.02.2026", "02.01.2026"], False),
    ],
)
def test_times_can_be_compared_where_they_are_iso_and_written_alike(times: list[str | None], alike: bool) -> None:
    assert comparable(times) == alike


grades = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=15)


@given(grades, st.booleans())
@settings(max_examples=40, deadline=None)
def test_kappa_is_the_reference_implementations(both: list[tuple[int, int]], ordered: bool) -> None:
    named = {f"s{n}": {"ann": CLASSES[one], "bob": CLASSES[other]} for n, (one, other) in enumerate(both)}
    (row,) = agreement({**named, "alone": {"ann": "red"}}, CLASSES, ordered)
    first, second = np.array(both).T
    assert (row["one"], row["other"], row["samples"]) == ("ann", "bob", len(both))
    assert row["agreed"] == np.mean(first == second)
    if len({*first, *second}) == 1:
        assert row["kappa"] is None
    else:
        weights = "quadratic" if ordered else None
        assert row["kappa"] == pytest.approx(cohen_kappa_score(first, second, labels=[0, 1, 2], weights=weights))


def test_kappa_by_hand() -> None:
    pairs = [("red", "red")] * 20 + [("red", "green")] * 5 + [("green", "red")] * 10 + [("green", "green")] * 15
    named = {f"s{number}": {"ann": one, "bob": other} for number, (one, other) in enumerate(pairs)}
    (row,) = agreement(named, CLASSES)
    assert (row["agreed"], row["kappa"]) == (0.7, pytest.approx(0.4))


def test_grades_far_apart_weigh_more_where_classes_are_ordered() -> None:
    near = {"a": {"x": "red", "y": "green"}, "b": {"x": "blue", "y": "blue"}, "c": {"x": "red", "y": "red"}}
    far = near | {"a": {"x": "red", "y": "blue"}}
    nominal = [agreement(named, CLASSES)[0]["kappa"] for named in (near, far)]
    ordered = [agreement(named, CLASSES, ordered=True)[0]["kappa"] for named in (near, far)]
    assert ordered[0] > nominal[0]
    assert ordered[0] > ordered[1]


def test_each_two_annotators_are_a_pair_on_the_samples_that_both_answered() -> None:
    named: dict[str, dict[str | None, str]] = {
        "a": {"bob": "red", "ann": "red", "cid": "blue"},
        "b": {"ann": "red", "cid": "blue"},
        "c": {None: "red", "ann": "red"},
    }
    rows = agreement(named, CLASSES)
    assert [(row["one"], row["other"], row["samples"], row["agreed"]) for row in rows] == [
        ("ann", "bob", 1, 1.0),
        ("ann", "cid", 2, 0.0),
        ("bob", "cid", 1, 0.0),
        (None, "ann", 1, 1.0),
    ]
    assert [row["kappa"] for row in rows] == [None, 0.0, 0.0, None]


def test_the_mean_kappa_weighs_each_pair_by_its_samples() -> None:
    rows = [{"kappa": 0.5, "samples": 3}, {"kappa": 0.1, "samples": 1}, {"kappa": None, "samples": 9}]
    assert mean_kappa(rows) == pytest.approx(0.4)
    assert mean_kappa(rows[2:]) is None
    assert mean_kappa([]) is None
