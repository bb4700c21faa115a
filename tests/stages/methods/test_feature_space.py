"""The features that heads fit: linear in what a kernel sees, the same for the same samples, whatever stands beside."""

from __future__ import annotations

import numpy as np

from stages.methods.feature_space import FeatureSpace
from stages.methods.noisy_head import fit_head
from stages.methods.transition_model import UNKNOWN


def ring(
    samples: int = 400,
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Points in a disc and around it, which no line parts."""
    generator = np.random.default_rng(0)
    inside = generator.integers(0, 2, samples)
    angle, radius = generator.uniform(0, 2 * np.pi, samples), np.where(inside == 1, 1.0, 3.0)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return points + generator.normal(scale=0.2, size=points.shape), inside


def test_what_no_line_parts_is_parted_in_it() -> None:
    points, inside = ring()
    mapped = FeatureSpace.of(points, np.random.default_rng(0)).map(points)
    head = fit_head(mapped, inside, np.full(400, UNKNOWN), np.eye(2), 1e-3)
    assert (head.logits(mapped).argmax(axis=1) == inside).mean() > 0.98


def test_a_sample_is_mapped_alike_whoever_stands_beside_it() -> None:
    points, _ = ring()
    space = FeatureSpace.of(points, np.random.default_rng(0))
    np.testing.assert_allclose(space.map(points)[50:60], space.map(points[50:60]), atol=1e-9)
    again = FeatureSpace.of(points, np.random.default_rng(0))
    np.testing.assert_array_equal(space.map(points), again.map(points))


def test_features_are_of_unit_spread_whatever_their_scale() -> None:
    points, _ = ring()
    one, other = (
        FeatureSpace.of(scaled, np.random.default_rng(0)).map(scaled) for scaled in (points, 1000 * points + 7)
    )
    np.testing.assert_allclose(one, other, atol=1e-4)  # small eigenvalues blow rounding up
    assert one.std() == 1 or abs(one.std() - 1) < 1e-9


def test_features_that_never_differ_do_no_harm() -> None:
    points, _ = ring()
    more = np.concatenate([points, np.full((400, 3), 2.5)], axis=1)
    assert np.isfinite(FeatureSpace.of(more, np.random.default_rng(0)).map(more)).all()
    two = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert FeatureSpace.of(two, np.random.default_rng(0)).map(two).shape == (2, 1)
