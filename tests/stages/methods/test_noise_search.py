"""Two classes that exchange labels are found where turns of heads and T alone end with them as one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from stages.methods import noise_estimate, noise_search, noise_turns, transition
from stages.methods.mislabelling import symmetric_transition
from stages.methods.noise_turns import Turn, Work
from stages.methods.transition import Fit
from stages.methods.transition_model import UNKNOWN, Evidence, Layout, Structure

Floats = NDArray[np.float64]
EVENLY, AS_THEY_FALL = Structure(0.1, 0.0), Structure(0.1, 3.0)
LOPSIDED = np.array([[0.6, 0.4, 0.0, 0.0], [0.1, 0.7, 0.2, 0.0], [0.0, 0.3, 0.7, 0.0], [0.05, 0.05, 0.1, 0.8]])


def turn(
    matrix: Floats, structure: Structure = AS_THEY_FALL, evidence: float = 0.0, logits: Floats | None = None
) -> Turn:
    """A turn that ended with this T, and was so likely."""
    classes = len(matrix)
    found = np.zeros((4, classes)) if logits is None else logits
    parameters = Layout(classes, structure).start(matrix)
    unknown = np.full(len(found), UNKNOWN)
    fit = Fit(structure, parameters, np.eye(len(parameters)), evidence)
    return Turn([fit], Evidence(found, np.zeros(len(found), dtype=np.int64), unknown), [])


def work(classes: int) -> Work:
    return Work((), np.zeros(4, dtype=np.int64), np.full(4, UNKNOWN), classes)


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Floats], float]], list[Floats]]:
    """Pretend turns: each ends with the T that it began with, as likely as is told; gives those that were taken."""

    def pretended(likely: Callable[[Floats], float]) -> list[Floats]:
        taken: list[Floats] = []

        def take(_: Work, matrix: Floats, structures: list[Structure], starts: list[Floats]) -> Turn:
            taken.append(matrix)
            assert any(np.array_equal(matrix, start) for start in starts)
            return turn(matrix, structures[0], likely(matrix))

        monkeypatch.setattr(noise_turns, "take", take)
        monkeypatch.setattr(transition, "fit", lambda evidence, structures, starts: turn(starts[0]).fits)
        return taken

    return pretended


def test_nothing_is_tried_of_two_classes_or_where_labels_go_evenly(through: Callable[..., list[Floats]]) -> None:
    taken = through(lambda matrix: 0.0)
    two = turn(symmetric_transition(0.4, 2))
    assert noise_search.search(work(2), two) is two
    even = turn(symmetric_transition(0.4, 4), EVENLY)
    assert noise_search.search(work(4), even) is even
    assert taken == []


def test_pairs_are_tried_in_the_order_of_what_goes_between_them() -> None:
    found = list(noise_search._exchanges(LOPSIDED))
    assert len(found) == 2, "0.15 or more go from 0 to 1, and between 1 and 2"
    for (one, other), tried in zip(((0, 1), (1, 2)), found, strict=True):
        np.testing.assert_allclose(tried.sum(axis=1), 1)
        assert tried[one, other] == tried[other, one] == 0.4
        assert tried[one, one] == tried[other, other] == 0.6
        others = [index for index in range(4) if index not in (one, other)]
        np.testing.assert_array_equal(tried[others], LOPSIDED[others])
    assert list(noise_search._exchanges(np.eye(4))) == []
    many = np.full((8, 8), 0.16)
    assert len(list(noise_search._exchanges(many))) == noise_search._PAIRS


def test_the_likeliest_exchange_is_kept_and_gone_on_from(through: Callable[..., list[Floats]]) -> None:
    aim = np.array([[0.6, 0.4, 0.0, 0.0], [0.0, 0.6, 0.4, 0.0], [0.0, 0.4, 0.6, 0.0], [0.05, 0.05, 0.1, 0.8]])
    taken = through(lambda matrix: -100 * float(np.abs(matrix - aim).sum()))
    found = noise_search.search(work(4), turn(LOPSIDED))
    np.testing.assert_allclose(found.matrix, aim, atol=2e-3)
    assert len(taken) == 5, "the first T, two tries from it, and two from the better one"


@pytest.mark.parametrize(("gain", "is_kept"), [(1.9, False), (2.1, True)])
def test_what_is_hardly_likelier_is_not_kept(through: Callable[..., list[Floats]], gain: float, is_kept: bool) -> None:
    first = turn(LOPSIDED)
    began: list[Floats] = []

    def likely(matrix: Floats) -> float:
        began.append(matrix)
        return 0.0 if len(began) == 1 else gain

    through(likely)
    assert (noise_search.search(work(4), first) is not first) is is_kept


def test_a_class_that_cannot_be_told_from_another_speaks_against_a_turn() -> None:
    sharp = 8 * np.eye(3)[[0, 0, 1, 2]]
    told, merged, empty = sharp, sharp.copy(), sharp.copy()
    merged[:, 1:] = merged[:, 1:].mean(axis=1, keepdims=True)
    empty[:, 2] = -50
    matrix = symmetric_transition(0.3, 3)
    worths = [noise_search._worth(turn(matrix, logits=logits)) for logits in (told, merged, empty)]
    assert worths[0] > worths[1] + 8
    assert worths[1] > worths[2] + 20
    posterior = np.exp(sharp) / np.exp(sharp).sum(axis=1, keepdims=True)
    surely = [sum(p * p for p in column) / sum(column) for column in posterior.T]
    assert worths[0] == pytest.approx(10 * sum(np.log(surely)))
    assert noise_search._worth(turn(matrix, evidence=7, logits=told)) == pytest.approx(worths[0] + 7)


@pytest.mark.parametrize("seed", [1, 2])
def test_where_two_rare_classes_exchange_labels_they_are_told_apart(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(seed)
    sizes, matrix = (900, 90, 90), np.array([[0.6, 0.4, 0.0], [0.0, 0.6, 0.4], [0.0, 0.4, 0.6]])
    true = np.repeat(np.arange(3), sizes)
    features = generator.normal(size=(len(true), 6))
    features[:, :3] += 2.6 * np.eye(3)[true]
    given = np.array([generator.choice(3, p=matrix[index]) for index in true])
    told = (features, given, np.full(len(true), UNKNOWN), np.arange(len(true)), 3, 0)

    def by_class(truth: Floats) -> float:
        return float(np.mean([(truth.argmax(axis=1) == true)[true == index].mean() for index in range(3)]))

    assert by_class(noise_estimate.estimate_noise(*told).truth) > 0.85
    monkeypatch.setattr(noise_estimate, "search", lambda _, first: first)
    assert by_class(noise_estimate.estimate_noise(*told).truth) < 0.7
