"""A training's state is kept whole between epochs, whenever the process ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alrctl import resume
from alrctl.resume import DiskStore, SavedArray
from stages.methods.transition_model import UNKNOWN
from stages.report import SilentReport, Unfinished, in_memory
from stages.training.fit import fit
from stages.training.inputs import FeatureInputs
from stages.training.learning import Examples, Rule
from stages.training.network import Head
from stages.training.noise_watch import LabelEvidence, NoiseWatch
from stages.training.objective import Memoryless
from stages.training.picking import PickSmallLoss, SmallLossOptions
from stages.training.plan import FitPlan


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


@pytest.mark.parametrize("number", range(4))
def test_a_full_disk_is_given_back_what_was_half_written_and_keeps_the_former_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = DiskStore(tmp_path)
    store.save(state(1))
    before = sorted(path.name for path in tmp_path.iterdir())
    replace, calls = os.replace, iter(range(10))

    def full(source: Path, target: Path) -> None:
        if next(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            store.save(state(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    check_is(DiskStore(tmp_path).load(), state(1))


def test_a_finished_epochs_large_part_is_read_back_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "_HELD", 1000)
    gradients, small = torch.randn(300, 7).half(), torch.randn(5)
    state = Unfinished(
        1, {}, {"epoch-00000-gradients": {"features0": gradients}, "epoch-00000-signals": {"loss": small}}
    )
    kept = DiskStore(tmp_path).save(state)
    assert set(kept) == {"epoch-00000-gradients"}
    loaded = DiskStore(tmp_path).load()
    assert loaded is not None
    for array in (kept["epoch-00000-gradients"]["features0"], loaded.parts["epoch-00000-gradients"]["features0"]):
        assert isinstance(array, SavedArray)
        assert array.shape == (300, 7)
        assert torch.equal(array[40:90], gradients[40:90])
        assert torch.equal(in_memory(array), gradients)
    assert torch.equal(loaded.tensors("epoch-00000-signals")["loss"], small)


def test_what_networks_are_made_of_is_never_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "_HELD", 0)
    store = DiskStore(tmp_path)
    assert store.save(Unfinished(1, {}, {"networks": {"weight": torch.randn(100)}})) == {}


def test_of_a_large_part_a_single_number_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "_HELD", 100)
    weights = {"weight": torch.randn(50, 3), "num_batches_tracked": torch.tensor(7)}
    kept = DiskStore(tmp_path).save(Unfinished(1, {}, {"epoch-00000-weights": dict(weights)}))
    loaded = DiskStore(tmp_path).load()
    assert loaded is not None
    for part in (kept["epoch-00000-weights"], loaded.parts["epoch-00000-weights"]):
        assert isinstance(part["weight"], SavedArray)
        for name, tensor in weights.items():
            assert torch.equal(in_memory(part[name]), tensor), name
    again = DiskStore(tmp_path / "again").save(Unfinished(1, {}, {"epoch-00000-weights": kept["epoch-00000-weights"]}))
    assert torch.equal(in_memory(again["epoch-00000-weights"]["num_batches_tracked"]), torch.tensor(7))


def test_training_gives_the_same_whether_large_parts_lie_in_memory_or_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, tails = [], []
    for number, held in enumerate((1 << 30, 0)):
        monkeypatch.setattr(resume, "_HELD", held)
        generator = torch.Generator().manual_seed(0)
        networks = [torch_head(generator) for _ in range(2)]
        rows, labels = torch.arange(40), torch.arange(40) % 3
        features = FeatureInputs(torch.randn(40, 5, generator=generator), torch.device("cpu"))
        examples = Examples(features, rows, labels, rows[:0], labels[:0], 3)
        known = LabelEvidence(labels.numpy(), np.full(40, UNKNOWN), rows.numpy(), None)
        watch = NoiseWatch(known, 3, 0)
        picker = PickSmallLoss(SmallLossOptions(0.3, 1, 1.0, 0.4, False, 1), watch)
        plan = FitPlan(8, 10, 0.1, 0.9, 0.0, 0, "float32", torch.device("cpu"), keep_epochs=3)
        store = DiskStore(tmp_path / str(number))
        fitted = fit(networks, examples, Rule(picker, Memoryless()), plan, SilentReport(), store)
        found.append([{name: in_memory(array) for name, array in epoch.items()} for epoch in fitted.signals])
        on_disk = isinstance(fitted.signals[0]["loss"], SavedArray)
        assert on_disk == (held == 0)
        tails.append({epoch: {n: in_memory(a) for n, a in weights.items()} for epoch, weights in fitted.tail.items()})
    for one, other in zip(*found, strict=True):
        assert all(torch.equal(one[name].nan_to_num(-1), other[name].nan_to_num(-1)) for name in one)
    assert not bool(found[0][-1]["variance"].isnan().any())
    assert list(tails[0]) == list(tails[1]) == [5, 6, 7]
    for epoch, weights in tails[0].items():
        assert all(torch.equal(weights[name], tails[1][epoch][name]) for name in weights)


def torch_head(generator: torch.Generator) -> Head:
    head = Head(5, 3, 4, 0.0)
    for parameter in head.parameters():
        parameter.data.normal_(generator=generator)
    return head
