"""Networks learn side by side only where nothing can tell, and what one raises is heard."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from stages.training.lanes import Lanes, draws_random_numbers

X = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def networks(count: int = 2, dropout: float = 0.0) -> list[nn.Module]:
    return [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(dropout)) for _ in range(count)]


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes(networks(), X, compiled=False)
    yield made
    made.close()


def meet(barrier: threading.Barrier) -> bool:
    """Say whether somebody else came to the barrier at the same time."""
    try:
        barrier.wait(timeout=0.5)
    except threading.BrokenBarrierError:
        return False
    return True


def test_networks_that_draw_nothing_work_at_the_same_time(lanes: Lanes) -> None:
    barrier = threading.Barrier(2)
    assert lanes.each(lambda index: meet(barrier)) == [True, True]


def test_networks_of_which_one_draws_random_numbers_never_work_at_the_same_time() -> None:
    lanes = Lanes([*networks(1), *networks(1, dropout=0.5)], X, compiled=False)
    barrier = threading.Barrier(2)
    assert lanes.each(lambda index: meet(barrier)) == [False, False]


@pytest.mark.parametrize(("dropout", "draws"), [(0.0, False), (0.5, True)])
def test_asking_whether_a_network_draws_leaves_it_and_the_stream_as_they_are(dropout: float, draws: bool) -> None:
    network = networks(1, dropout)[0].eval()
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    before = torch.get_rng_state()
    assert draws_random_numbers(network, X) == draws
    assert torch.equal(before, torch.get_rng_state())
    assert not network.training
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())


def test_each_network_has_its_share_of_the_threads(lanes: Lanes) -> None:
    assert lanes.each(lambda index: torch.get_num_threads()) == [1, 1]
    assert torch.get_num_threads() == 2


def test_results_come_in_the_order_of_the_networks(lanes: Lanes) -> None:
    ready = threading.Event()

    def work(index: int) -> int:
        if index == 0:
            ready.wait(5)
        else:
            ready.set()
        return index

    assert lanes.each(work) == [0, 1]


def test_what_one_network_raises_is_raised(lanes: Lanes) -> None:
    def work(index: int) -> None:
        if index == 1:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        lanes.each(work)


@pytest.mark.parametrize(("count", "threads", "compiled"), [(1, 2, False), (2, 1, False), (2, 2, True)])
def test_one_network_one_thread_or_compiled_networks_stay_in_the_calling_thread(
    count: int, threads: int, compiled: bool
) -> None:
    torch.set_num_threads(threads)
    lanes = Lanes(networks(count), X, compiled)
    assert lanes.each(lambda index: threading.current_thread()) == [threading.main_thread()] * count
