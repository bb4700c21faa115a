"""Networks learn side by side only where nothing can tell, and what one raises is heard."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from stages.training.lanes import Lanes

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes(2, CPU, compiled=False)
    yield made
    made.close()


def meet(barrier: threading.Barrier) -> bool:
    """Say whether somebody else came to the barrier at the same time."""
    try:
        barrier.wait(timeout=0.5)
    except threading.BrokenBarrierError:
        return False
    return True


def test_work_that_draws_nothing_is_done_at_the_same_time_from_the_second_on(lanes: Lanes) -> None:
    assert lanes.each(lambda index: index) == [0, 1]
    barrier = threading.Barrier(2)
    assert lanes.each(lambda index: meet(barrier)) == [True, True]


def test_work_that_draws_random_numbers_is_never_done_at_the_same_time(lanes: Lanes) -> None:
    first = lanes.each(lambda index: torch.rand(1))
    assert not torch.equal(*first)
    barrier = threading.Barrier(2)
    assert lanes.each(lambda index: meet(barrier)) == [False, False]


def test_work_that_began_to_draw_later_is_not_done_at_the_same_time_again(lanes: Lanes) -> None:
    lanes.each(lambda index: torch.rand(1) if index else None)
    lanes.each(lambda index: None)
    assert lanes.each(lambda index: meet(threading.Barrier(2))) == [False, False]


def test_each_network_has_its_share_of_the_threads_from_the_first_on(lanes: Lanes) -> None:
    for _ in range(2):
        assert lanes.each(lambda index: torch.get_num_threads()) == [1, 1]
    assert torch.get_num_threads() == 2


def test_results_come_in_the_order_of_the_networks(lanes: Lanes) -> None:
    lanes.each(lambda index: None)
    ready = threading.Event()

    def work(index: int) -> int:
        if index == 0:
            ready.wait(5)
        else:
            ready.set()
        return index

    assert lanes.each(work) == [0, 1]


@pytest.mark.parametrize("rounds", [0, 1])
def test_what_one_network_raises_is_raised(lanes: Lanes, rounds: int) -> None:
    for _ in range(rounds):
        lanes.each(lambda index: None)

    def work(index: int) -> None:
        if index == 1:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        lanes.each(work)


@pytest.mark.parametrize(("networks", "threads", "compiled"), [(1, 2, False), (2, 1, False), (2, 2, True)])
def test_one_network_one_thread_or_compiled_networks_stay_in_the_calling_thread(
    networks: int, threads: int, compiled: bool
) -> None:
    torch.set_num_threads(threads)
    lanes = Lanes(networks, CPU, compiled)
    lanes.each(lambda index: None)
    assert lanes.each(lambda index: threading.current_thread()) == [threading.main_thread()] * networks
