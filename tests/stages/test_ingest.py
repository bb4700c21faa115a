"""Ingest keeps groups together and classes in proportion, and refuses what crosses given splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import DataError
from stages.ingest import IngestConfig, IngestInputs, IngestOutputs, run

CLASSES = ("red", "green", "blue")


def inputs(
    labels: list[str],
    split: list[str | None] | None = None,
    group: list[str | None] | None = None,
    digests: list[str] | None = None,
) -> IngestInputs:
    """Records s0, s1, ... of these labels."""
    count = len(labels)
    columns = {
        "sample_id": [f"s{number}" for number in range(count)],
        "label": labels,
        "split": split or [None] * count,
        "group_id": group or [None] * count,
        "source": [f"{number}.png" for number in range(count)],
    }
    records = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return IngestInputs(records, digests or [f"digest {number}" for number in range(count)], CLASSES)


def ingest(given_inputs: IngestInputs, **options: Any) -> IngestOutputs:
    return run(IngestConfig.model_validate(options), given_inputs)


def thirds(count: int) -> list[str]:
    return [CLASSES[number % 3] for number in range(count)]


def test_given_splits_stay_as_they_are() -> None:
    split = ["train", "val", "test", "train", "train", "train"] * 10
    given_inputs = inputs(thirds(60)[::-1], split=list(np.random.default_rng(0).permutation(split)))
    found = ingest(given_inputs)
    assert found.records["split"].to_list() == given_inputs.records["split"].to_list()
    assert found.records.columns == given_inputs.records.columns
    assert found.rows == list(range(60))


def test_missing_splits_are_made_in_the_shares_asked_for_and_classes_in_proportion() -> None:
    labels = ["red"] * 200 + ["green"] * 100 + ["blue"] * 40
    found = ingest(inputs(labels))
    counts = found.facts["by_split"]
    assert counts["test"] == {"red": 40, "green": 20, "blue": 8}
    assert counts["val"] == {"red": 20, "green": 10, "blue": 4}
    assert counts["train"] == {"red": 140, "green": 70, "blue": 28}
    assert found.facts["samples"] == 340


def test_only_the_missing_split_is_made_and_from_train_alone() -> None:
    labels, split = thirds(90), ["train"] * 60 + ["test"] * 30
    found = ingest(inputs(labels, split=list(split)))
    assert found.records["split"].to_list()[60:] == ["test"] * 30
    assert set(found.records["split"].to_list()[:60]) == {"train", "val"}
    assert sum(found.facts["by_split"]["val"].values()) == 6


@given(st.integers(0, 1000))
@settings(max_examples=6, deadline=None)
def test_made_splits_tear_neither_group_nor_duplicate(seed: int) -> None:
    generator = np.random.default_rng(seed)
    lesion = np.repeat(np.arange(40), generator.integers(1, 4, 40))
    labels = [CLASSES[number % 3] for number in lesion]
    group = [f"lesion {number}" if number % 2 else None for number in lesion]
    digests = [f"digest {number}" for number in range(len(lesion))]
    digests[5] = digests[50] = digests[30]
    found = ingest(inputs(labels, group=list(group), digests=digests), seed=seed)
    split = found.records["split"].to_numpy()
    assert split[5] == split[50] == split[30]
    for name in {one for one in group if one is not None}:
        assert len(set(split[[one == name for one in group]])) == 1
    assert found.facts["duplicates_across_splits"] == found.facts["groups_across_splits"] == 0
    assert found.facts["exact_duplicates"] == 2


def test_the_same_seed_gives_the_same_splits_and_another_seed_others() -> None:
    first, again, other = (ingest(inputs(thirds(90)), seed=seed).records for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


GIVEN = ["train", "val", "test"] * 20
ROTATED = [CLASSES[(number // 3) % 3] for number in range(60)]


def crossing(**kind: Any) -> IngestInputs:
    """Sixty samples in given splits, of which s0 (train), s1 (val) and s2 (test) share something."""
    group: list[str | None] = [None] * 60
    digests = [f"digest {number}" for number in range(60)]
    if kind.get("group"):
        group[0] = group[1] = group[2] = "lesion 7"
    if kind.get("digest"):
        digests[0] = digests[2] = digests[3] = "same"
    return inputs(ROTATED, split=list(GIVEN), group=group, digests=digests)


def test_a_duplicate_across_given_splits_is_refused_and_the_mend_said() -> None:
    with pytest.raises(DataError) as caught:
        ingest(crossing(digest=True))
    assert str(caught.value) == (
        "1 image stand in two of the given splits, pixel for pixel (first: 's0'): "
        "figures on test would flatter; mend the splits, or use --allow-leaks"
    )


def test_a_group_across_given_splits_is_refused_and_the_mend_said() -> None:
    with pytest.raises(DataError) as caught:
        ingest(crossing(group=True))
    assert str(caught.value) == (
        "1 group (patients or lesions) have images in two of the given splits (first: 'lesion 7'): "
        "figures on test would flatter; mend the splits, or use --allow-leaks"
    )


def test_both_kinds_of_leak_are_told_at_once() -> None:
    with pytest.raises(DataError, match=r"^1 image stand in .*; 1 group .*: figures on test would flatter"):
        ingest(crossing(group=True, digest=True))


def test_leaks_that_are_allowed_are_warned_of_and_counted() -> None:
    found = ingest(crossing(group=True, digest=True), allow_leaks=True)
    assert [warning.split(" (")[0] for warning in found.warnings] == [
        "1 image stand in two of the given splits, pixel for pixel",
        "1 group",
    ]
    facts = {name: found.facts[name] for name in ("duplicates_across_splits", "groups_across_splits", "groups")}
    assert facts == {"duplicates_across_splits": 1, "groups_across_splits": 1, "groups": 1}
    assert found.records["split"].to_list() == GIVEN


def test_duplicates_within_a_split_are_counted_with_those_of_two_labels() -> None:
    digests = [f"digest {number}" for number in range(60)]
    digests[0] = digests[3] = digests[6] = "one"  # train, three labels
    digests[1] = digests[10] = "two"  # val, one label
    found = ingest(inputs(ROTATED, split=list(GIVEN), digests=digests))
    assert (found.facts["exact_duplicates"], found.facts["duplicates_with_two_labels"]) == (3, 1)
    assert found.warnings == []


def test_a_class_too_small_to_be_split_is_refused_and_the_mend_said() -> None:
    with pytest.raises(DataError) as caught:
        ingest(inputs(["red"] * 20 + ["green"] * 20 + ["blue"] * 2))
    assert str(caught.value) == (
        "class 'blue' has 2 samples; a split that keeps groups and duplicates together needs at least 3 of each class "
        "(--exclude-class leaves one out)"
    )


def test_a_class_of_one_patient_cannot_be_split_however_many_images_there_are() -> None:
    labels = ["red"] * 20 + ["green"] * 20 + ["blue"] * 10
    group = [f"patient {number}" for number in range(40)] + ["patient blue"] * 10
    with pytest.raises(DataError, match="class 'blue' has 1 sample; a split that keeps groups"):
        ingest(inputs(labels, group=list(group)))


def test_three_samples_of_a_class_are_enough_for_three_splits() -> None:
    found = ingest(inputs(["red"] * 60 + ["green"] * 60 + ["blue"] * 3))
    assert [found.facts["by_split"][split]["blue"] for split in ("train", "val", "test")] == [1, 1, 1]


def test_small_classes_throughout_are_split_too() -> None:
    found = ingest(inputs(thirds(12)))
    assert all(min(counts.values()) >= 1 for counts in found.facts["by_split"].values())


def test_a_class_missing_from_the_given_train_split_is_refused() -> None:
    labels = [
        "blue" if split == "test" else name for split, name in zip(GIVEN, ["red", "red", "green"] * 20, strict=True)
    ]
    labels[0], labels[1] = "green", "green"
    with pytest.raises(DataError) as caught:
        ingest(inputs(labels, split=list(GIVEN)))
    assert str(caught.value).startswith("class 'blue' has 0 samples; the train split needs at least 1 of each class")


def test_a_class_missing_from_test_is_warned_of() -> None:
    labels = [
        "red" if split == "test" and label == "blue" else label for split, label in zip(GIVEN, ROTATED, strict=True)
    ]
    found = ingest(inputs(labels, split=list(GIVEN)))
    assert found.warnings == ["the test split has no sample of blue: no figure for it there"]


def test_a_long_tail_is_cut_from_train_alone() -> None:
    labels = [name for name in CLASSES for _ in range(100)]
    whole, cut = ingest(inputs(labels)), ingest(inputs(labels), imbalance_ratio=10)
    assert cut.facts["by_split"]["train"] == {"red": 70, "green": round(70 / 10**0.5), "blue": 7}
    for split in ("val", "test"):
        assert cut.facts["by_split"][split] == whole.facts["by_split"][split]
    kept = whole.records[cut.rows]
    assert kept.equals(cut.records)
    assert cut.facts["samples"] == cut.records.height == len(cut.rows)


@pytest.mark.parametrize(
    ("counts", "ratio", "expected"),
    [
        ((100, 100, 100), 10, None),
        ((100, 100, 20), 2, "5 to 1, largest to smallest class, and not 2: class 'blue' has no more than 14 images"),
        ((100, 100, 100), 500, "70 to 1, largest to smallest class, and not 500: a class keeps one image"),
    ],
)
def test_a_ratio_that_is_not_to_be_had_is_told(counts: tuple[int, ...], ratio: float, expected: str | None) -> None:
    labels = [name for name, count in zip(CLASSES, counts, strict=True) for _ in range(count)]
    found = [text for text in ingest(inputs(labels), imbalance_ratio=ratio).warnings if "to 1" in text]
    assert found == ([] if expected is None else [f"the train split is {expected}"])


def test_rows_are_the_places_in_the_input() -> None:
    given_inputs = inputs(thirds(90))
    found = ingest(given_inputs, imbalance_ratio=5)
    assert given_inputs.records["sample_id"][found.rows].to_list() == found.records["sample_id"].to_list()


@pytest.mark.parametrize(
    "wrong",
    [
        {"val_share": 0},
        {"test_share": 0.5},
        {"val_share": 0.45, "test_share": 0.4},
        {"image_size": 4},
        {"imbalance_ratio": 0.5},
        {"fit": "squeeze"},
        {"format": "zip"},
        {"workers": -1},
    ],
)
def test_an_option_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IngestConfig.model_validate(wrong)
