"""Packets: everyone gets as much, any two share as much, and a code tells nothing of its sample."""

from __future__ import annotations

from itertools import combinations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import UsageError
from schemas.queue import QUEUE
from stages.packets import PacketsConfig, run


def queue(samples: int) -> pl.DataFrame:
    """A queue of s0, s1, ..."""
    names = [f"s{number}" for number in range(samples)]
    shared = {"given_label": ["red"] * samples, "suggested_label": ["blue"] * samples}
    return QUEUE.make({"rank": range(1, samples + 1), "sample_id": names, **shared})


@given(st.integers(1, 60), st.integers(2, 6), st.data())
@settings(max_examples=40, deadline=None)
def test_each_sample_goes_to_as_many_as_asked_and_all_get_as_much(
    samples: int, several: int, data: st.DataObject
) -> None:
    each = data.draw(st.integers(1, several))
    names = tuple(f"ann {number}" for number in range(several))
    packets = run(PacketsConfig(annotators=names, per_sample=each), queue(samples)).packets
    assert set(packets.group_by("sample_id").len()["len"]) == {each}
    assert packets["sample_id"].n_unique() == samples
    counts = [packets.filter(annotator=name).height for name in names]
    assert max(counts) - min(counts) <= 1
    for name in names:
        own = packets.filter(annotator=name)
        assert own["position"].to_list() == list(range(1, own.height + 1))
        assert own["sample_id"].is_unique().all()
    assert packets["code"].is_unique().all()


def test_any_two_annotators_share_about_as_many_samples() -> None:
    names = ("a", "b", "c", "d", "e", "f")
    packets = run(PacketsConfig(annotators=names, per_sample=3), queue(200)).packets
    seen = {name: set(packets.filter(annotator=name)["sample_id"]) for name in names}
    shared = [len(seen[one] & seen[other]) for one, other in combinations(names, 2)]
    assert min(shared) >= 30 and max(shared) <= 50  # 40 on average


def test_everyone_has_an_order_of_their_own_that_is_not_the_queues() -> None:
    packets = run(PacketsConfig(annotators=("a", "b")), queue(30)).packets
    one, other = (packets.filter(annotator=name)["sample_id"].to_list() for name in "ab")
    assert sorted(one) == sorted(other)
    assert one != other
    assert one != [f"s{number}" for number in range(30)]


def test_the_same_seed_gives_the_same_packets() -> None:
    def made(seed: int) -> pl.DataFrame:
        return run(PacketsConfig(annotators=("a", "b", "c"), per_sample=2, seed=seed), queue(30)).packets

    assert made(1).equals(made(1))
    assert not made(1).equals(made(2))


def test_more_annotators_a_sample_than_there_are_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--per-sample: 3 annotators a sample, and there are 2$"):
        run(PacketsConfig(annotators=("a", "b"), per_sample=3), queue(3))


@pytest.mark.parametrize(
    ("names", "told"), [(("a",), "two annotators or more"), (("a", "A "), "same name"), (("a", " "), "empty")]
)
def test_names_that_make_no_packets_are_refused(names: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        PacketsConfig(annotators=names)
