"""What the tests of stages share: one thread, and a report that writes down its warnings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from stages.report import Report, SilentReport


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute on one thread: tensors this small are slower on several, and much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def heard() -> list[str]:
    """The warnings that `report` was given."""
    return []


@pytest.fixture
def report(heard: list[str]) -> Report:
    """A report that writes warnings down in `heard`."""

    class Writing(SilentReport):
        def warn(self, text: str) -> None:
            heard.append(text)

    return Writing()
