"""Neighbours are those that scikit-learn finds; a sample is never its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from stages.methods import neighbours
from stages.methods.neighbours import nearest, neighbour_disagreement

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def rows(count: int, seed: int, width: int = 6) -> Tensor:
    """Random embeddings."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, width))).float()


def by_sklearn(embeddings: Tensor, label: Ints, count: int) -> Floats:
    """The share of other labels among the neighbours that scikit-learn finds."""
    found = NearestNeighbors(n_neighbors=count, metric="cosine", algorithm="brute").fit(embeddings.double().numpy())
    places = found.kneighbors(return_distance=False)
    return np.asarray((label[places] != label[:, None]).mean(axis=1))


@given(st.integers(1, 20), st.integers(1, 40), st.integers(0, 1000), st.data())
@settings(max_examples=25, deadline=None)
def test_the_nearest_are_scikit_learns_nearest_first(queries: int, among: int, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, among))
    asked, target = rows(queries, seed), rows(among, seed + 1)
    similarity, places = nearest(asked, target, count)
    reference = NearestNeighbors(n_neighbors=count, metric="cosine", algorithm="brute").fit(target.double().numpy())
    distance, expected = reference.kneighbors(asked.double().numpy())
    np.testing.assert_allclose(similarity.numpy(), 1 - distance, atol=1e-5)
    assert np.array_equal(places.numpy(), expected)


def test_length_does_not_matter() -> None:
    asked, target = rows(9, 0), rows(30, 1)
    stretched = target * torch.linspace(0.1, 50, 30)[:, None]
    assert torch.equal(nearest(asked * 7, stretched, 5)[1], nearest(asked, target, 5)[1])


@given(st.integers(3, 60), st.integers(1, 12), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_disagreement_is_that_among_scikit_learns_neighbours(total: int, count: int, seed: int) -> None:
    embeddings, generator = rows(total, seed), np.random.default_rng(seed)
    label = generator.integers(0, 3, total)
    expected = by_sklearn(embeddings, label, min(count, total - 1))
    np.testing.assert_allclose(neighbour_disagreement(embeddings, label, count, generator), expected, atol=1e-12)


@given(st.integers(4, 40), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_duplicates_are_neighbours_like_any_other(total: int, count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    copied = np.concatenate([np.arange(total), generator.integers(0, total, total // 2)])
    embeddings, label = rows(total, seed)[torch.from_numpy(copied)], generator.integers(0, 3, total)[copied]
    expected = by_sklearn(embeddings, label, min(count, len(label) - 1))
    np.testing.assert_allclose(neighbour_disagreement(embeddings, label, count, generator), expected, atol=1e-12)


def test_of_two_copies_with_different_labels_each_is_the_others_neighbour() -> None:
    embeddings = rows(10, 0).repeat_interleave(2, dim=0)
    found = neighbour_disagreement(embeddings, np.tile([0, 1], 10), 1, np.random.default_rng(0))
    assert found.tolist() == [1.0] * 20


def test_many_copies_with_one_label_agree_though_a_sample_may_not_meet_itself() -> None:
    embeddings = torch.cat([rows(1, 0).repeat(30, 1), rows(1, 1).repeat(30, 1)])
    found = neighbour_disagreement(embeddings, np.repeat([0, 1], 30), 4, np.random.default_rng(0))
    assert found.tolist() == [0.0] * 60


def test_work_in_blocks_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, label = rows(50, 0), np.random.default_rng(0).integers(0, 3, 50)
    whole = neighbour_disagreement(embeddings, label, 7, np.random.default_rng(0))
    monkeypatch.setattr(neighbours, "_BLOCK", 170)
    assert np.array_equal(neighbour_disagreement(embeddings, label, 7, np.random.default_rng(0)), whole)


@pytest.mark.parametrize("total", [0, 1])
def test_where_there_is_no_other_sample_nothing_disagrees(total: int) -> None:
    found = neighbour_disagreement(rows(total, 0), np.zeros(total, dtype=np.int64), 5, np.random.default_rng(0))
    assert found.tolist() == [0.0] * total


def test_of_very_many_samples_some_are_drawn_to_look_among(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, label = rows(60, 0), np.random.default_rng(0).integers(0, 3, 60)
    looked_among: list[Tensor] = []

    def watched(queries: Tensor, among: Tensor, count: int) -> tuple[Tensor, Tensor]:
        looked_among.append(among)
        return nearest(queries, among, count)

    monkeypatch.setattr(neighbours, "_MOST", 25)
    monkeypatch.setattr(neighbours, "nearest", watched)
    found = neighbour_disagreement(embeddings, label, 4, np.random.default_rng(5))
    points = embeddings.tolist()
    drawn = [points.index(row) for row in looked_among[0].tolist()]
    assert len(set(drawn)) == len(drawn) == 25
    unit = torch.nn.functional.normalize(embeddings.double(), dim=1).numpy()
    for row in range(60):
        others = sorted((place for place in drawn if place != row), key=lambda place: -float(unit[row] @ unit[place]))
        assert found[row] == pytest.approx(np.mean([label[place] != label[row] for place in others[:4]]))


def test_which_are_drawn_is_the_generators_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_MOST", 25)
    embeddings, label = rows(60, 0), np.random.default_rng(0).integers(0, 3, 60)
    first, again, other = (
        neighbour_disagreement(embeddings, label, 4, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
