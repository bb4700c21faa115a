"""Strategies that look at the batch as a whole pick what plain loops over their papers' formulas pick."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from stages.methods import batch_acquisition
from stages.methods.acquisition import Candidates, Chooser
from stages.methods.batch_acquisition import Badge, KCenter, batch_chooser, typicality, typiclust

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def only(count: int, *places: int) -> Bools:
    """These are allowed, and no others."""
    found = np.zeros(count, dtype=np.bool_)
    found[list(places)] = True
    return found


def picked(chooser: Chooser, allowed: Bools, count: int) -> list[tuple[int, float]]:
    """So many picks, one after the other."""
    picks, left = [], allowed.copy()
    while len(picks) < count and (pick := chooser.next(left.copy())) is not None:
        chooser.took(pick[0])
        left[pick[0]] = False
        picks.append(pick)
    return picks


def distance(one: Floats, other: Floats) -> float:
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(one.tolist(), other.tolist(), strict=True)))


def naive_k_center(points: Floats, trusted: Floats, allowed: Bools, count: int) -> list[tuple[int, float]]:
    """Greedy k-center in loops; of equals the first."""
    places = [place for place in range(len(points)) if allowed[place]]
    centres, picks = list(trusted), list[tuple[int, float]]()
    while len(picks) < count and len(picks) < len(places):
        left = [place for place in places if place not in [pick for pick, _ in picks]]
        if centres:
            far = {place: min(distance(points[place], centre) for centre in centres) for place in left}
            place = max(left, key=lambda one: far[one])
            picks.append((place, far[place]))
        else:
            mean = points[places].mean(axis=0)
            picks.append((min(left, key=lambda one: distance(points[one], mean)), 0.0))
        centres.append(points[picks[-1][0]])
    return picks


def same_picks(found: list[tuple[int, float]], expected: list[tuple[int, float]]) -> None:
    assert [place for place, _ in found] == [place for place, _ in expected]
    np.testing.assert_allclose([worth for _, worth in found], [worth for _, worth in expected], atol=2e-3)


@given(st.integers(1, 25), st.integers(0, 8), st.integers(1, 30), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_k_center_picks_what_loops_pick(count: int, others: int, budget: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    points, trusted = generator.normal(size=(count, 4)), generator.normal(size=(others, 4))
    allowed = generator.random(count) < 0.7
    assume(others > 0 or allowed.sum() != 2)  # two are as near to their mean as each other, but for rounding
    chooser = KCenter(torch.from_numpy(points), torch.from_numpy(trusted))
    same_picks(picked(chooser, allowed, budget), naive_k_center(points, trusted, allowed, budget))


@given(st.integers(1, 20), st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_of_equally_far_candidates_k_center_picks_the_first(count: int, others: int, seed: int) -> None:
    generator = np.random.default_rng(seed)  # whole numbers: ties and copies abound, and no rounding
    points = generator.integers(-2, 3, (count, 2)).astype(np.float64)
    trusted = generator.integers(-2, 3, (others, 2)).astype(np.float64)
    chooser = KCenter(torch.from_numpy(points), torch.from_numpy(trusted))
    same_picks(
        picked(chooser, only(count, *range(count)), count),
        naive_k_center(points, trusted, only(count, *range(count)), count),
    )


@given(st.integers(2, 20), st.integers(0, 5), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_what_k_center_reports_is_the_distance_to_the_nearest_centre(count: int, others: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    points, trusted = generator.normal(size=(count, 4)), generator.normal(size=(others, 4))
    chooser, taken = KCenter(torch.from_numpy(points), torch.from_numpy(trusted)), generator.permutation(count)[:3]
    for place in taken.tolist():
        chooser.took(place)
    for place in range(count):
        pick = chooser.next(only(count, place))
        expected = min(distance(points[place], centre) for centre in [*trusted, *points[taken]])
        assert pick == (place, pytest.approx(expected, abs=2e-3))


def test_distances_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    points, trusted = torch.randn(40, 4, generator=torch.manual_seed(0)), torch.randn(10, 4)
    whole = picked(KCenter(points, trusted), only(40, *range(40)), 40)
    monkeypatch.setattr(batch_acquisition, "_BLOCK", 35)
    same_picks(picked(KCenter(points, trusted), only(40, *range(40)), 40), whole)


def test_without_anything_trusted_k_center_begins_nearest_to_the_mean_of_what_is_allowed() -> None:
    points = torch.tensor([[0.0], [1.0], [2.0], [100.0]])
    assert KCenter(points, points[:0]).next(only(4, 0, 1, 2)) == (1, 0.0)
    assert KCenter(points, points[:0]).next(np.zeros(4, dtype=np.bool_)) is None


def gradients(features: Floats, posterior: Floats) -> list[Floats]:
    """The gradient of each one's cross-entropy under its predicted label, by the last layer's weights, written out."""
    found = []
    for feature, row in zip(features, posterior, strict=True):
        residual = row.copy()
        residual[int(np.argmax(row))] -= 1
        found.append(np.outer(residual, feature).ravel())
    return found


def for_badge(count: int, seed: int, classes: int = 4) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 5)), generator.dirichlet(np.ones(classes), count)


def badge(features: Floats, posterior: Floats, seed: int = 0) -> Badge:
    return Badge(torch.from_numpy(features), posterior, np.random.default_rng(seed))


@given(st.integers(2, 20), st.integers(2, 6), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_badges_distances_are_those_of_gradients_written_out(count: int, classes: int, seed: int) -> None:
    features, posterior = for_badge(count, seed, classes)
    chooser, gradient = badge(features, posterior), gradients(features, posterior)
    taken = np.random.default_rng(seed).permutation(count)[:3].tolist()
    for place in taken:
        chooser.took(place)
    for place in range(count):
        expected = min(distance(gradient[place], gradient[centre]) for centre in taken)
        assert chooser.next(only(count, place)) == (place, pytest.approx(expected, abs=3e-3))


@given(st.integers(1, 20), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_badge_begins_with_the_largest_gradient_that_is_allowed(count: int, seed: int) -> None:
    features, posterior = for_badge(count, seed)
    norms = [float(np.linalg.norm(gradient)) for gradient in gradients(features, posterior)]
    allowed = np.random.default_rng(seed).random(count) < 0.6
    pick = badge(features, posterior).next(allowed)
    if not allowed.any():
        assert pick is None
    else:
        best = max((place for place in range(count) if allowed[place]), key=lambda place: norms[place])
        assert pick == (best, pytest.approx(norms[best], rel=1e-4))


def test_badge_draws_by_squared_distance_to_the_nearest_pick_among_the_allowed() -> None:
    features, posterior = for_badge(7, 3)
    gradient, draws = gradients(features, posterior), 3000
    counts = np.zeros(7)
    for seed in range(draws):
        chooser = badge(features, posterior, seed)
        chooser.took(2)
        chooser.took(5)
        pick = chooser.next(only(7, 0, 1, 3, 4))
        assert pick is not None
        counts[pick[0]] += 1
    square = [min(distance(gradient[place], gradient[centre]) for centre in (2, 5)) ** 2 for place in range(7)]
    expected = np.array([square[place] if place in (0, 1, 3, 4) else 0 for place in range(7)])
    np.testing.assert_allclose(counts / draws, expected / expected.sum(), atol=0.035)


@pytest.mark.parametrize("seed", range(20))
def test_badge_draws_no_copy_of_a_pick_while_others_remain(seed: int) -> None:
    features, posterior = for_badge(8, seed)
    copies = np.tile(np.arange(8), 3)
    found = picked(badge(features[copies], posterior[copies], seed), only(24, *range(24)), 24)
    assert sorted(copies[place] for place, _ in found[:8]) == list(range(8))
    assert sorted(place for place, _ in found) == list(range(24))


def test_badge_picks_on_where_all_gradients_are_nothing() -> None:
    features, posterior = np.ones((5, 3)), np.eye(3)[[0, 1, 2, 0, 1]]
    assert picked(badge(features, posterior), only(5, 1, 2, 4), 5) == [(1, 0.0), (2, 0.0), (4, 0.0)]


def naive_typicality(points: Floats) -> list[float]:
    """One over the mean distance to the 20 nearest others, in loops."""
    found = []
    for place, point in enumerate(points):
        others = sorted(distance(point, other) for at, other in enumerate(points) if at != place)[:20]
        found.append(1 / (sum(others) / len(others)) if others else 1.0)
    return found


@given(st.integers(1, 45), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_typicality_equals_a_loop(count: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(count, 4))
    np.testing.assert_allclose(typicality(torch.from_numpy(points).float()), naive_typicality(points), rtol=1e-3)


def test_typicality_in_blocks_is_the_same_and_copies_are_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.randn(50, 4, generator=torch.manual_seed(0))
    whole = typicality(points)
    monkeypatch.setattr(batch_acquisition, "_BLOCK", 333)
    np.testing.assert_allclose(typicality(points), whole, rtol=1e-4)
    assert np.isfinite(typicality(torch.ones(5, 3))).all()


SIZES = (30, 12, 25, 8, 18)


def blobs(seed: int) -> tuple[Tensor, NDArray[np.int64]]:
    """Embeddings in five directions far apart, of any length, shuffled; and the blob of each."""
    generator = np.random.default_rng(seed)
    blob = generator.permutation(np.repeat(np.arange(5), SIZES))
    points = 10 * np.eye(5, 8)[blob] + generator.normal(scale=0.3, size=(len(blob), 8))
    return torch.from_numpy(points * generator.uniform(0.5, 3, (len(blob), 1))).float(), blob


def densest(embeddings: Tensor, blob: NDArray[np.int64], number: int) -> int:
    """The most typical of a blob by the loop, once all have length one."""
    members = np.flatnonzero(blob == number)
    points = torch.nn.functional.normalize(embeddings[torch.from_numpy(members)].double(), dim=1).numpy()
    return int(members[np.argmax(naive_typicality(points))])


@pytest.mark.parametrize("seed", range(5))
def test_the_first_picks_are_the_densest_points_of_the_blobs_largest_first(seed: int) -> None:
    embeddings, blob = blobs(seed)
    order = np.argsort(-typiclust(embeddings, embeddings[:0], 5, seed), kind="stable")
    largest_first = np.argsort(-np.array(SIZES)).tolist()
    assert order[:5].tolist() == [densest(embeddings, blob, number) for number in largest_first]
    assert blob[order[5:10]].tolist() == largest_first
    assert blob[order[10:15]].tolist() == largest_first


@pytest.mark.parametrize("seed", range(5))
def test_blobs_without_labels_come_before_those_with_labels_and_fewer_before_more(seed: int) -> None:
    embeddings, blob = blobs(seed)
    where = [np.flatnonzero(blob == number) for number in range(5)]
    labelled = torch.from_numpy(np.concatenate([where[0][:2], where[2][:1]]))  # of the two largest
    rest = np.setdiff1d(np.arange(len(blob)), labelled.numpy())
    order = rest[np.argsort(-typiclust(embeddings[torch.from_numpy(rest)], embeddings[labelled], 2, seed))]
    assert blob[order[:5]].tolist() == [4, 1, 3, 2, 0]


@pytest.mark.parametrize(
    ("count", "labelled", "budget", "clusters"),
    [(700, 0, 600, 500), (700, 40, 30, 70), (30, 4, 10, 14), (8, 2, 30, 10)],
)
def test_as_many_clusters_are_made_as_will_be_labelled_at_most_500(
    count: int, labelled: int, budget: int, clusters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def watched(kind: Callable[..., Any]) -> Callable[..., Any]:
        def make(wanted: int, **options: Any) -> Any:
            made.append(wanted)
            return kind(wanted, **options)

        return make

    for name in ("KMeans", "MiniBatchKMeans"):
        monkeypatch.setattr(batch_acquisition, name, watched(getattr(batch_acquisition, name)))
    embeddings = torch.randn(count + labelled, 3, generator=torch.manual_seed(0))
    worth = typiclust(embeddings[:count], embeddings[count:], budget, 0)
    assert made == [clusters]
    assert len(set(worth.tolist())) == count
    assert np.isfinite(worth).all()


def test_of_one_candidate_typiclust_makes_one_cluster() -> None:
    assert len(typiclust(torch.ones(1, 3), torch.ones(0, 3), 1, 0)) == 1


@pytest.mark.parametrize(("strategy", "kind"), [("coreset", "KCenter"), ("badge", "Badge"), ("typiclust", "Ranked")])
def test_each_strategy_by_name_has_its_chooser_though_nothing_is_trusted_yet(strategy: str, kind: str) -> None:
    features, posterior = for_badge(12, 0)
    known = Candidates(np.zeros(12, dtype=np.int64), posterior=posterior, embeddings=torch.from_numpy(features))
    chooser = batch_chooser(strategy, known, 4, np.random.default_rng(0))
    assert type(chooser).__name__ == kind
    assert len(picked(chooser, only(12, *range(12)), 12)) == 12


def test_the_trusted_count_for_coreset_and_the_labelled_for_typiclust() -> None:
    embeddings, blob = blobs(0)
    zeros = np.zeros(len(blob), dtype=np.int64)
    far = int(np.flatnonzero(blob == 0)[0])
    known = Candidates(zeros, embeddings=embeddings, trusted=embeddings, labelled=embeddings[blob == 0])
    chooser = batch_chooser("coreset", known, 3, np.random.default_rng(0))
    assert chooser.next(only(len(blob), far)) == (far, pytest.approx(0, abs=0.05))
    order = [
        place for place, _ in picked(batch_chooser("typiclust", known, 5, np.random.default_rng(0)), zeros == 0, 4)
    ]
    assert 0 not in blob[order]


def test_copies_make_fewer_clusters_and_no_warning() -> None:
    embeddings = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).repeat(4, 1)
    assert len(set(typiclust(embeddings, embeddings[:0], 12, 0).tolist())) == 20


def test_small_distances_far_from_the_origin_are_told_right() -> None:
    embeddings = torch.tensor([[1000.1, 0.0], [1000.0, 0.3]])
    pick = KCenter(embeddings, torch.tensor([[1000.0, 0.0]])).next(np.array([True, False]))
    assert pick is not None and pick[1] == pytest.approx(0.1, abs=1e-3)
