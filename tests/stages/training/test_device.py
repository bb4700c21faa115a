"""The device is the one asked for, and precision is what was meant."""

from __future__ import annotations

import pytest
import torch

from schemas.errors import UsageError
from stages.training import device as devices
from stages.training.device import Device, Precision

CPU = torch.device("cpu")


def test_a_gpu_that_is_not_there_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError) as caught:
        devices.choose("cuda")
    assert str(caught.value) == "--device: 'cuda' is asked for and no GPU is found; use auto or cpu"


@pytest.mark.parametrize(
    ("asked", "gpu", "given"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_auto_takes_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, asked: Device, gpu: bool, given: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert devices.choose(asked).type == given


@pytest.mark.parametrize(
    ("precision", "native", "computed_in"),
    [
        ("float32", True, torch.float32),
        ("bfloat16", False, torch.bfloat16),
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
    ],
)
def test_precision_is_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, precision: Precision, native: bool, computed_in: torch.dtype
) -> None:
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: native)
    with devices.autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == computed_in


def test_the_cpu_is_named() -> None:
    assert devices.name(CPU) == "cpu"
