"""A stream is a function of seed and purpose alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stages.methods.randomness import integer, numpy_generator

PURPOSES: list[tuple[str | int, ...]] = [
    ("select",),
    ("corrupt",),
    ("batches", 0),
    ("batches", 1),
    ("batches", 0, 1),
    (),
]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_same_words_give_the_same_stream_whatever_was_drawn_before(purpose: tuple[str | int, ...]) -> None:
    first = numpy_generator(3, *purpose)
    drawn = first.random(5)
    numpy_generator(3, "another").random(100)
    assert np.array_equal(numpy_generator(3, *purpose).random(5), drawn)
    assert integer(3, *purpose) == integer(3, *purpose)


def test_other_words_or_another_seed_give_another_stream() -> None:
    streams = [numpy_generator(seed, *purpose).random(4).tolist() for seed in (0, 1) for purpose in PURPOSES]
    assert all(one != other for one, other in itertools.combinations(streams, 2))
    integers = [integer(seed, *purpose) for seed in (0, 1) for purpose in PURPOSES]
    assert len(set(integers)) == len(integers)


def test_streams_are_the_same_on_every_machine() -> None:
    assert integer(0, "batches", 7) == 126227738
    assert numpy_generator(0, "select").integers(1000, size=3).tolist() == [479, 896, 992]
