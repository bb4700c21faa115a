"""Random samples by stratum: how many are drawn, that shares are unbiased, and that intervals hold."""

from __future__ import annotations

import functools
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stages.methods import stratified
from stages.methods.stratified import Share, Stratum, allocate, overall, share

SIZES = st.lists(st.integers(0, 300), min_size=1, max_size=8).map(lambda sizes: np.array(sizes, dtype=np.int64))


@given(SIZES, st.integers(0, 400), st.floats(0, 1))
def test_each_stratum_gets_one_draw_and_none_more_than_it_has(sizes: np.ndarray, more: int, power: float) -> None:
    least = int((sizes > 0).sum())
    drawn = allocate(sizes, least + more, power)
    assert drawn.sum() == min(least + more, sizes.sum())
    assert (drawn <= sizes).all()
    assert (drawn[sizes > 0] >= 1).all()


@given(SIZES, st.integers(0, 400), st.floats(0, 1))
def test_a_larger_stratum_never_gets_fewer_draws(sizes: np.ndarray, more: int, power: float) -> None:
    drawn = allocate(sizes, int((sizes > 0).sum()) + more, power)
    in_order = drawn[np.argsort(sizes, kind="stable")]
    smaller, larger = np.sort(sizes)[:-1], np.sort(sizes)[1:]
    assert (in_order[1:][larger > smaller] >= in_order[:-1][larger > smaller]).all()


@pytest.mark.parametrize(("power", "expected"), [(1, [80, 15, 5]), (0, [34, 33, 33]), (0.5, [59, 26, 15])])
def test_draws_go_by_size_to_the_power(power: float, expected: list[int]) -> None:
    assert allocate(np.array([1600, 300, 100]), 100, power).tolist() == expected


def test_too_few_draws_for_the_strata_are_refused() -> None:
    with pytest.raises(ValueError, match="2 draws for 3 strata"):
        allocate(np.array([5, 0, 1, 9]), 2, 1)


@pytest.mark.parametrize(("size", "drawn"), [(12, 5), (30, 10), (7, 7), (40, 1)])
def test_the_interval_of_a_stratum_is_the_hypergeometric_test_inverted(size: int, drawn: int) -> None:
    for hits in range(drawn + 1):
        kept = [
            count
            for count in range(hits, size - (drawn - hits) + 1)
            if stats.hypergeom.cdf(hits, size, count, drawn) > 0.025
            and stats.hypergeom.sf(hits - 1, size, count, drawn) > 0.025
        ]
        told = share(Stratum(size, drawn, hits))
        assert told == Share(hits / drawn, min(kept[0] / size, hits / drawn), max(kept[-1] / size, hits / drawn))


def test_a_stratum_looked_at_whole_is_known_and_one_not_looked_at_is_not() -> None:
    assert share(Stratum(9, 9, 3)) == Share(1 / 3, 1 / 3, 1 / 3)
    assert share(Stratum(9, 0, 0)) is None


def test_of_a_large_stratum_the_interval_is_clopper_and_pearsons() -> None:
    told = share(Stratum(10_000_000, 60, 9))
    exact = stats.binomtest(9, 60).proportion_ci(0.95, method="exact")
    assert told is not None
    assert (told.low, told.high) == (pytest.approx(exact.low, abs=1e-4), pytest.approx(exact.high, abs=1e-4))


def test_the_overall_share_is_unbiased() -> None:
    """Every sample that may be drawn is: the mean over them, as likely as they are, is the population's share."""
    sizes, wrong, drawn = (9, 4, 6), (2, 3, 0), (3, 2, 2)
    mean = 0.0
    for hits in product(*(range(count + 1) for count in drawn)):
        chance = float(np.prod([stats.hypergeom.pmf(*one) for one in zip(hits, sizes, wrong, drawn, strict=True)]))
        told = overall([Stratum(*one) for one in zip(sizes, drawn, hits, strict=True)])
        assert told is not None
        mean += chance * told.value
    assert mean == pytest.approx(sum(wrong) / sum(sizes))


@pytest.mark.parametrize("rates", [(0.4,) * 7, (0.02,) * 7, (0.1, 0.3, 0.5, 0.7, 0.9, 0.2, 0.6), (0.0,) * 7])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_overall_interval_holds_as_often_as_it_says(
    rates: tuple[float, ...], power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = np.array([3700, 780, 770, 360, 220, 95, 60])
    wrong = np.round(sizes * rates).astype(int)
    drawn = allocate(sizes, 100, power)
    generator = np.random.default_rng(5)
    monkeypatch.setattr(stratified, "share", functools.cache(share))  # few strata differ among so many
    held = 0
    for _ in range(300):
        hits = generator.hypergeometric(wrong, sizes - wrong, drawn)
        told = overall([Stratum(*map(int, one)) for one in zip(sizes, drawn, hits, strict=True)])
        assert told is not None
        assert 0 <= told.low <= told.value <= told.high <= 1
        held += told.low <= wrong.sum() / sizes.sum() <= told.high
    assert held / 300 >= 0.93


def test_nothing_is_told_of_the_whole_where_a_part_was_not_looked_at() -> None:
    assert overall([Stratum(9, 3, 1), Stratum(4, 0, 0)]) is None
    assert overall([Stratum(9, 3, 1), Stratum(0, 0, 0)]) == share(Stratum(9, 3, 1))
    assert overall([]) is None
