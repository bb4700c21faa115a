"""Images sent for ahead are those asked for, in whatever order; what was not expected is sent for at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from schemas.checkpoint import NetworkSpec
from stages.training import inputs
from stages.training.ahead import Ahead, Arrival, sender
from stages.training.inputs import FeatureInputs, ImageInputs, in_turn

IMAGES = torch.arange(40 * 192, dtype=torch.int64).remainder(251).reshape(40, 8, 8, 3).to(torch.uint8)
SPEC = NetworkSpec(
    backbone="resnet18", train="all", hidden=0, dropout=0, image_size=8, mean=(0,) * 3, std=(1,) * 3, feature_width=512
)


class Road:
    """Sends as a GPU's sender does, and notes by which thread, and for what."""

    def __init__(self) -> None:
        self.sent: list[list[int]] = []
        self.by_main: list[bool] = []

    def __call__(self, rows: Tensor) -> Arrival:
        self.sent.append(rows.tolist())
        self.by_main.append(threading.current_thread() is threading.main_thread())
        return lambda: IMAGES[rows]


def rows(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


def test_what_is_expected_is_sent_for_once_and_by_another_thread() -> None:
    road = Road()
    ahead = Ahead(road)
    ahead.expect(rows(3, 1))
    assert torch.equal(ahead.take(rows(3, 1)), IMAGES[[3, 1]])
    assert (road.sent, road.by_main) == ([[3, 1]], [False])


def test_the_next_may_be_expected_before_the_last_is_taken() -> None:
    road = Road()
    ahead = Ahead(road)
    ahead.expect(rows(0))
    ahead.expect(rows(1))
    assert [torch.equal(ahead.take(rows(n)), IMAGES[[n]]) for n in (0, 1)] == [True, True]
    assert road.sent == [[0], [1]]


def test_the_first_batch_that_nobody_expected_does_not_cost_the_second() -> None:
    road = Road()
    ahead = Ahead(road)
    ahead.expect(rows(1))
    assert torch.equal(ahead.take(rows(0)), IMAGES[[0]])
    assert torch.equal(ahead.take(rows(1)), IMAGES[[1]])
    assert sorted(road.sent) == [[0], [1]]


def test_what_was_expected_and_never_asked_for_is_forgotten() -> None:
    road = Road()
    ahead = Ahead(road)
    for number in range(5):
        ahead.expect(rows(number))
    assert torch.equal(ahead.take(rows(4)), IMAGES[[4]])
    assert torch.equal(ahead.take(rows(0)), IMAGES[[0]])
    assert road.sent.count([0]) == 2


def test_what_was_taken_is_not_kept() -> None:
    road = Road()
    ahead = Ahead(road)
    ahead.expect(rows(1))
    assert [torch.equal(ahead.take(rows(1)), IMAGES[[1]]) for _ in range(2)] == [True, True]
    assert road.sent == [[1], [1]], "images that were handed out are the GPU's to forget"


def test_what_sending_raises_is_raised_where_it_is_taken() -> None:
    def fail(rows: Tensor) -> Arrival:
        raise MemoryError("no room")

    ahead = Ahead(fail)
    ahead.expect(rows(1))
    with pytest.raises(MemoryError, match="no room"):
        ahead.take(rows(1))


@pytest.fixture
def on_a_road(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[ImageInputs, Road]]:
    """Return image inputs that send for their images as those on a GPU do."""

    def made() -> tuple[ImageInputs, Road]:
        found, road = ImageInputs(IMAGES, SPEC, torch.device("cpu"), "none"), Road()
        found._ahead = Ahead(road)
        return found, road

    return made


def test_batches_in_turn_are_those_of_the_rows_and_each_is_sent_for_once(
    on_a_road: Callable[[], tuple[ImageInputs, Road]],
) -> None:
    found, road = on_a_road()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    plain = ImageInputs(IMAGES, SPEC, torch.device("cpu"), "none")
    for start, x in in_turn(found, order, 16):
        assert torch.equal(x, plain.batch(order[start : start + 16], None))
    assert sorted(map(len, road.sent)) == [8, 16, 16]
    assert road.by_main.count(True) == 1, "the first alone was not sent for ahead"


def test_a_share_of_a_batch_is_taken_as_it_was_expected(on_a_road: Callable[[], tuple[ImageInputs, Road]]) -> None:
    found, road = on_a_road()
    found.expect(rows(5, 6))
    x = found.batch(rows(3, 4, 5, 6), None, slice(2, 4))
    assert torch.equal(x, ImageInputs(IMAGES, SPEC, torch.device("cpu"), "none").batch(rows(5, 6), None))
    assert road.by_main == [False]


def test_on_the_cpu_nothing_is_sent_for() -> None:
    assert ImageInputs(IMAGES, SPEC, torch.device("cpu"), "none")._ahead is None
    features = FeatureInputs(torch.zeros(4, 2), torch.device("cpu"))
    features.expect(rows(1))
    assert features.batch(rows(1), None).shape == (1, 2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: what sends to one is tested where one is")
def test_images_arrive_on_a_gpu() -> None:
    device = torch.device("cuda")
    ahead = Ahead(sender(IMAGES, device))
    for number in range(20):
        ahead.expect(torch.arange(number, number + 20))
        assert torch.equal(ahead.take(torch.arange(number, number + 20)).cpu(), IMAGES[number : number + 20])
    assert inputs.ImageInputs(IMAGES, SPEC, device, "none").batch(rows(1), None).device.type == "cuda"
