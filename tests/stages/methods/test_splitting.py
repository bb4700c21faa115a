"""Splits tear no unit and keep classes in proportion; a long tail has the sizes of its formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.methods.splitting import hold_out, k_folds, long_tail, units


def _reached(start: int, groups: list[str | None], digests: list[str]) -> set[int]:
    """The samples that are linked to one, step by step, by a shared group or content."""
    found, border = {start}, [start]
    while border:
        here = border.pop()
        for other in range(len(groups)):
            linked = digests[here] == digests[other] or (groups[here] is not None and groups[here] == groups[other])
            if linked and other not in found:
                found.add(other)
                border.append(other)
    return found


@given(st.lists(st.tuples(st.none() | st.sampled_from("abcde"), st.sampled_from("uvwxyz")), max_size=14))
@settings(max_examples=80, deadline=None)
def test_units_are_what_groups_and_duplicates_link_however_far(pairs: list[tuple[str | None, str]]) -> None:
    groups, digests = [group for group, _ in pairs], [digest for _, digest in pairs]
    found = units(groups, digests)
    for index in range(len(pairs)):
        assert set(np.flatnonzero(found == found[index])) == _reached(index, groups, digests)
    assert set(found.tolist()) == set(range(len(set(found.tolist()))))


@given(st.lists(st.tuples(st.none() | st.sampled_from("abcde"), st.sampled_from("uvwxyz")), max_size=14))
@settings(max_examples=80, deadline=None)
def test_units_are_numbered_in_order_of_first_appearance(pairs: list[tuple[str | None, str]]) -> None:
    found = units([group for group, _ in pairs], [digest for _, digest in pairs]).tolist()
    assert list(dict.fromkeys(found)) == sorted(set(found))


@given(st.lists(st.sampled_from("uvwxyz"), max_size=14))
def test_without_groups_the_units_are_the_duplicates(digests: list[str]) -> None:
    apart = [f"only {place}" for place in range(len(digests))]
    assert units([None] * len(digests), digests).tolist() == units(list(apart), digests).tolist()


def test_a_group_without_a_name_is_a_group() -> None:
    assert units(["", "", None], ["x", "y", "z"]).tolist() == [0, 0, 1]


def test_a_group_and_a_digest_of_the_same_text_are_not_linked() -> None:
    assert len(set(units(["x", None], ["y", "x"]).tolist())) == 2


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.125, 0.2, 0.3]))
@settings(max_examples=10, deadline=None)
def test_no_unit_is_torn_and_every_class_stands_on_both_sides(seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    unit = np.repeat(np.arange(60), generator.integers(1, 5, 60))
    labels = (np.arange(60) % 3)[unit]  # a lesion has one diagnosis
    held = hold_out(labels, unit, share, seed)
    for number in range(60):
        assert len(set(held[unit == number].tolist())) == 1
    assert set(labels[held].tolist()) == set(labels[~held].tolist()) == {0, 1, 2}


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_no_unit_is_torn_though_it_holds_several_classes(seed: int) -> None:
    generator = np.random.default_rng(seed)
    unit = generator.integers(0, 30, 120)
    held = hold_out(generator.integers(0, 3, 120), unit, 0.2, seed)
    assert 0 < held.sum() < 120
    assert not set(unit[held].tolist()) & set(unit[~held].tolist())


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_singles_are_held_out_in_proportion_to_the_class(share: float) -> None:
    labels = np.repeat([0, 1, 2], [400, 200, 40])
    held = hold_out(labels, np.arange(640), share, 0)
    found = np.bincount(labels[held], minlength=3)
    assert np.abs(found - share * np.array([400, 200, 40])).max() <= 1


@pytest.mark.parametrize("share", [0.3, 0.4])
def test_a_share_that_is_no_part_of_one_is_held_out_too(share: float) -> None:
    held = hold_out(np.repeat([0, 1], 100), np.arange(200), share, 0)
    assert held.mean() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("size", [3, 4, 6])
@pytest.mark.parametrize("share", [0.1, 0.2])
def test_classes_smaller_than_the_number_of_folds_are_split_too(size: int, share: float) -> None:
    held = hold_out(np.repeat([0, 1], size), np.arange(2 * size), share, 0)
    assert 0 < held.sum() < 2 * size


def test_grouped_classes_come_near_to_the_proportions() -> None:
    generator = np.random.default_rng(3)
    unit = np.repeat(np.arange(200), generator.integers(1, 4, 200))
    labels = (generator.random(200) < 0.2).astype(np.int64)[unit]
    held = hold_out(labels, unit, 0.2, 0)
    for index in (0, 1):
        assert held[labels == index].mean() == pytest.approx(0.2, abs=0.03)


def test_the_same_seed_holds_out_the_same_and_another_seed_others() -> None:
    labels = np.repeat([0, 1], 40)
    first, again, other = (hold_out(labels, np.arange(80), 0.2, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(st.integers(2, 6), st.floats(1, 100), st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_a_long_tail_of_equal_classes_falls_geometrically(classes: int, ratio: float, seed: int) -> None:
    labels = np.tile(np.arange(classes), 200)
    kept = long_tail(labels, ratio, np.random.default_rng(seed))
    sizes = np.bincount(labels[kept], minlength=classes)
    expected = [max(1, round(200 * ratio ** (-rank / (classes - 1)))) for rank in range(classes)]
    assert sizes.tolist() == expected
    assert sizes[0] == 200


def test_a_class_smaller_than_its_share_is_kept_whole_and_the_largest_too() -> None:
    labels = np.repeat([0, 1, 2], [10, 400, 395])
    kept = long_tail(labels, 4.0, np.random.default_rng(0))
    assert np.bincount(labels[kept]).tolist() == [10, 400, 200]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_no_class_grows_or_vanishes_in_a_long_tail(labels: list[int], seed: int) -> None:
    kept = long_tail(np.array(labels), 50.0, np.random.default_rng(seed))
    assert set(np.array(labels)[kept].tolist()) == set(labels)


def test_a_ratio_of_one_keeps_everything() -> None:
    assert long_tail(np.repeat([0, 1, 2], [5, 90, 40]), 1.0, np.random.default_rng(0)).all()


def test_which_samples_of_the_tail_are_kept_is_the_seeds_choice() -> None:
    labels = np.repeat([0, 1], 100)
    first, again, other = (long_tail(labels, 10, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(st.integers(2, 6), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_each_sample_is_in_exactly_one_fold_and_no_unit_is_torn(count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    unit = generator.permutation(np.repeat(np.arange(30), generator.integers(1, 5, 30)))
    folds = k_folds(generator.integers(0, 3, len(unit)), unit, count, seed)
    assert len(folds) == count
    assert np.array(folds).dtype == np.bool_
    assert np.array(folds).sum(axis=0).tolist() == [1] * len(unit)
    for number in range(30):
        assert sum(bool(fold[unit == number].any()) for fold in folds) == 1


def test_folds_hold_the_classes_in_proportion() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [400, 200, 40]))
    for fold in k_folds(labels, np.arange(640), 4, 0):
        assert np.abs(np.bincount(labels[fold], minlength=3) - np.array([100, 50, 10])).max() <= 1


def test_a_class_smaller_than_the_number_of_folds_is_folded_without_a_warning() -> None:
    folds = k_folds(np.repeat([0, 1], [18, 2]), np.arange(20), 5, 0)
    assert np.array(folds).sum(axis=0).tolist() == [1] * 20


def test_folds_are_the_seeds_choice() -> None:
    labels = np.repeat([0, 1], 40)
    first, again, other = (np.array(k_folds(labels, np.arange(80), 4, seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


# --- of many units ---------------------------------------------------------------------------------------------------


def test_many_units_are_folded_whole_and_in_proportion() -> None:
    generator = np.random.default_rng(0)
    size = generator.integers(1, 9, 12_000)
    of_unit = generator.choice(4, 12_000, p=[0.7, 0.2, 0.09, 0.01])
    unit = np.repeat(generator.permutation(12_000) * 3, size)
    labels = np.where(generator.random(len(unit)) < 0.9, np.repeat(of_unit, size), generator.integers(0, 4, len(unit)))
    folds = k_folds(labels, unit, 5, seed=1)
    assert (np.sum(folds, axis=0) == 1).all()
    place = np.argmax(folds, axis=0)
    assert all(len(set(place[unit == number].tolist())) == 1 for number in generator.choice(unit, 200))
    shares = np.array([np.bincount(labels[fold], minlength=4) for fold in folds]) / np.bincount(labels)
    assert np.abs(shares - 0.2).max() < 0.03
    held = hold_out(labels, unit, 0.1, seed=1)
    assert np.abs(np.bincount(labels[held]) / np.bincount(labels) - 0.1).max() < 0.02


def test_of_many_units_the_seed_decides_and_a_class_of_few_is_spread() -> None:
    labels = np.zeros(11_000, dtype=np.int64)
    labels[:5] = 1
    unit = np.arange(11_000)
    first, again, other = (k_folds(labels, unit, 5, seed) for seed in (1, 1, 2))
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert any((one != two).any() for one, two in zip(first, other, strict=True))
    assert [int(labels[fold].sum()) for fold in first] == [1] * 5
    assert [int(fold.sum()) for fold in first] == [2200] * 5
