"""A training's state is kept whole between epochs, whenever the process ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from alrctl import resume
from alrctl.resume import DiskStore
from schemas.errors import UsageError
from stages.report import Unfinished


def state(epochs: int) -> Unfinished:
    """Return a state whose every tensor tells its epoch."""
    parts = {
        "network1": {"weight": torch.full((2, 3), float(epochs)), "count": torch.tensor(epochs)},
        "optimizer1": {"momentum": torch.full((3,), -float(epochs))},
        **{f"epoch-{number:05d}": {"loss": torch.full((4,), float(number))} for number in range(epochs)},
    }
    return Unfinished(epochs, {"best": epochs - 1, "history": [{"loss": 0.5}] * epochs}, parts)


def check_is(found: Unfinished | None, wanted: Unfinished) -> None:
    assert found is not None
    assert (found.epochs, found.facts) == (wanted.epochs, wanted.facts)
    assert set(found.parts) == set(wanted.parts)
    for part, tensors in wanted.parts.items():
        assert set(found.parts[part]) == set(tensors)
        for name, tensor in tensors.items():
            assert torch.equal(found.parts[part][name], tensor), f"{part}.{name}"


def test_there_is_no_state_before_the_first(tmp_path: Path) -> None:
    assert DiskStore(tmp_path / "state").load() is None
    (tmp_path / "state").mkdir()
    assert DiskStore(tmp_path / "state").load() is None


def test_a_state_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "state")
    for epochs in (1, 2, 3):
        store.save(state(epochs))
        check_is(DiskStore(tmp_path / "state").load(), state(epochs))


def test_tensors_that_lie_scattered_in_memory_are_saved_too(tmp_path: Path) -> None:
    scattered = torch.arange(12.0).reshape(3, 4).t()
    DiskStore(tmp_path).save(Unfinished(1, {}, {"network1": {"weight": scattered}}))
    check_is(DiskStore(tmp_path).load(), Unfinished(1, {}, {"network1": {"weight": scattered}}))


def test_parts_of_former_epochs_are_removed_and_finished_epochs_stay(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    for epochs in (1, 2, 3):
        store.save(state(epochs))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-00000.safetensors",
        "epoch-00001.safetensors",
        "epoch-00002.safetensors",
        "index.json",
        "network1-00003.safetensors",
        "optimizer1-00003.safetensors",
    ]


def test_a_finished_epochs_part_is_written_once(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.save(state(1))
    before = (tmp_path / "epoch-00000.safetensors").stat()
    store.save(state(2))
    after = (tmp_path / "epoch-00000.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


class KilledError(BaseException):
    """Stands for `kill -9`: nothing after it is done."""


def kill_at(monkeypatch: pytest.MonkeyPatch, place: object, name: str, number: int) -> None:
    """Let the `number`-th call of a function end the process instead."""
    act: Callable[..., Any] = getattr(place, name)
    calls = iter(range(1000))

    def run(*given: Any, **named: Any) -> Any:
        if next(calls) == number:
            raise KilledError
        return act(*given, **named)

    monkeypatch.setattr(place, name, run)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(("place", "name"), [(os, "replace"), (resume, "save_file")])
def test_a_kill_before_the_index_keeps_the_former_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: object, name: str, number: int
) -> None:
    store = DiskStore(tmp_path)
    store.save(state(2))
    with monkeypatch.context() as patched:
        kill_at(patched, place, name, number)
        if place is resume and number == 3:  # only three parts are new: this save goes through
            store.save(state(3))
        else:
            with pytest.raises(KilledError):
                store.save(state(3))
            check_is(DiskStore(tmp_path).load(), state(2))
    DiskStore(tmp_path).save(state(3))
    check_is(DiskStore(tmp_path).load(), state(3))


def test_a_kill_while_old_parts_are_removed_keeps_the_new_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DiskStore(tmp_path)
    store.save(state(1))
    with monkeypatch.context() as patched:
        kill_at(patched, Path, "unlink", 1)
        with pytest.raises(KilledError):
            store.save(state(2))
    check_is(DiskStore(tmp_path).load(), state(2))
    DiskStore(tmp_path).save(state(3))
    assert [path.name for path in tmp_path.glob("*-00001.safetensors")] == ["epoch-00001.safetensors"]


def test_a_half_written_part_is_never_taken_for_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KilledError

    store = DiskStore(tmp_path)
    store.save(state(1))
    with monkeypatch.context() as patched:
        patched.setattr(resume, "save_file", half)
        with pytest.raises(KilledError):
            store.save(state(2))
    check_is(DiskStore(tmp_path).load(), state(1))


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"state: cannot be written \("):
        DiskStore(tmp_path / "file/state").save(state(1))
