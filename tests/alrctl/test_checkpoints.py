"""A checkpoint gives back the very networks that were written, or says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from alrctl import checkpoints
from schemas.checkpoint import CheckpointMetadata, NetworkSpec
from schemas.errors import DataError, MismatchError
from stages.training.failures import DivergedError
from stages.training.network import build_network

CLASSES = ("blue", "green", "red")


def spec(train: str = "all", hidden: int = 0) -> NetworkSpec:
    return NetworkSpec.model_validate(
        {
            "backbone": "test_resnet",
            "train": train,
            "hidden": hidden,
            "dropout": 0.1,
            "image_size": 24,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.2, 0.2, 0.2),
            "feature_width": 96,
        }
    )


def metadata(networks: int = 2, train: str = "all", hidden: int = 0) -> CheckpointMetadata:
    return CheckpointMetadata(
        stage="train-lnl",
        method="coteaching",
        networks=networks,
        classes=CLASSES,
        spec=spec(train, hidden),
        config={"epochs": 3, "forget_rate": "auto"},
    )


def fresh(told: CheckpointMetadata, seed: int = 1) -> list[nn.Module]:
    return [build_network(told.spec, len(CLASSES), seed, number) for number in range(told.networks)]


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return list(mine) == list(theirs) and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    told = metadata()
    checkpoints.write(path, fresh(told), {}, told)
    return path


@pytest.mark.parametrize(("networks", "train", "hidden"), [(1, "all", 0), (2, "all", 16), (2, "head", 32)])
def test_networks_come_back_as_they_were(tmp_path: Path, networks: int, train: str, hidden: int) -> None:
    path = tmp_path / "checkpoint.safetensors"
    told = metadata(networks, train, hidden)
    backbone = checkpoints.fresh_backbone("test_resnet", 5) if train == "head" else {}
    given = fresh(told)
    checkpoints.write(path, given, backbone, told)
    found = checkpoints.read(path)
    assert found.metadata == told
    assert found.path == path
    rebuilt = found.networks()
    assert len(rebuilt) == networks
    assert all(same(one, other) for one, other in zip(rebuilt, given, strict=True))
    assert {name: True for name in backbone} == {
        name: torch.equal(tensor, backbone[name]) for name, tensor in found.frozen_backbone().items()
    }
    images = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    batch = images if train == "all" else torch.rand(2, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for one, other in zip(rebuilt, given, strict=True):
            assert torch.equal(one.eval()(batch)[1], other.eval()(batch)[1])


def test_two_networks_keep_apart(written: Path) -> None:
    first, second = checkpoints.read(written).networks()
    assert not same(first, second)


def test_the_same_networks_give_the_same_bytes(written: Path) -> None:
    again = written.with_name("again.safetensors")
    checkpoints.write(again, fresh(metadata()), {}, metadata())
    assert again.read_bytes() == written.read_bytes()


def test_everything_that_is_needed_stands_in_one_metadata_text(written: Path) -> None:
    with safe_open(written, framework="pt") as file:
        told = file.metadata()
        names = list(file.keys())
    assert list(told) == ["alrctl"]
    assert CheckpointMetadata.model_validate_json(told["alrctl"]) == metadata()
    assert {name.split(".")[0] for name in names} == {"network1", "network2"}


def test_a_file_that_is_gone_or_cut_short_is_told(written: Path) -> None:
    whole = written.read_bytes()
    for kept in (0, 5, len(whole) // 2, len(whole) - 1):
        written.write_bytes(whole[:kept])
        with pytest.raises(DataError, match=r"checkpoint\.safetensors: is no whole safetensors file \("):
            checkpoints.read(written)
    written.unlink()
    with pytest.raises(DataError, match=r"checkpoint\.safetensors: no such file$"):
        checkpoints.read(written)


def test_tensors_without_our_metadata_are_no_checkpoint(written: Path) -> None:
    tensors = load_file(written)
    save_file(tensors, written)
    with pytest.raises(DataError, match="has no 'alrctl' metadata that says which network it is"):
        checkpoints.read(written)
    save_file(tensors, written, metadata={"alrctl": '{"format": 1, "stage": "train-lnl"}'})
    with pytest.raises(DataError, match=r"its metadata does not fit this program \(\d+ fields amiss\)"):
        checkpoints.read(written)
    save_file(tensors, written, metadata={"alrctl": "no json"})
    with pytest.raises(DataError, match="its metadata does not fit this program"):
        checkpoints.read(written)


def without_a_tensor(tensors: dict[str, Tensor]) -> None:
    del tensors["network2.head.last.weight"]


def with_another(tensors: dict[str, Tensor]) -> None:
    tensors["network1.head.extra"] = torch.zeros(1)


def with_another_shape(tensors: dict[str, Tensor]) -> None:
    tensors["network1.head.last.bias"] = torch.zeros(4)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without_a_tensor, "missing: head.last.weight"),
        (with_another, "unknown: head.extra"),
        (with_another_shape, "of another shape: head.last.bias"),
    ],
)
def test_tensors_of_another_network_are_named(written: Path, spoil: object, told: str) -> None:
    tensors = load_file(written)
    assert callable(spoil)
    spoil(tensors)
    save_file(tensors, written, metadata={"alrctl": metadata().model_dump_json()})
    with pytest.raises(DataError) as refused:
        checkpoints.read(written).networks()
    assert str(refused.value) == f"{written}: the weights do not fit ({told})"


@pytest.mark.parametrize("names", [("a", "b", "c"), ("red", "green", "blue"), ("blue", "green")])
def test_other_classes_or_another_order_of_them_are_refused(written: Path, names: tuple[str, ...]) -> None:
    told = checkpoints.read(written).metadata
    told.check_classes(CLASSES, "mine")
    with pytest.raises(MismatchError) as refused:
        told.check_classes(names, "mine")
    wanted = f"mine: was trained for the classes blue, green, red; this data set has {', '.join(names)}"
    assert str(refused.value) == wanted


def test_a_digest_tells_names_types_shapes_and_values_apart() -> None:
    base = {"a": torch.arange(6.0), "b": torch.zeros(0)}
    others = [
        {"a": torch.arange(6.0), "c": torch.zeros(0)},
        {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(0)},
        {"a": torch.arange(6.0).double(), "b": torch.zeros(0)},
        {"a": torch.arange(6.0) + 1, "b": torch.zeros(0)},
        {"a": torch.arange(6.0)},
    ]
    digests = {checkpoints.digest(tensors) for tensors in [base, *others]}
    assert len(digests) == 1 + len(others)
    strided = {"b": torch.zeros(0), "a": torch.arange(12.0)[::2] / 2}
    assert checkpoints.digest(strided) == checkpoints.digest(base), "order and memory layout do not matter"


def test_a_fresh_backbone_follows_its_seed() -> None:
    one, again, other = (checkpoints.digest(checkpoints.fresh_backbone("test_resnet", seed)) for seed in (1, 1, 2))
    assert one == again != other


def test_the_last_good_weights_of_a_training_that_diverged_are_written_and_named(tmp_path: Path) -> None:
    told = metadata(networks=1)
    networks, out = fresh(metadata(networks=2)), tmp_path / "lnl"
    error = DivergedError(float("nan"), 4, 0.5)
    error.last_good(networks, 3)
    with pytest.raises(DataError) as caught, checkpoints.last_good_kept(out, {}, told):
        raise error
    path = tmp_path / "lnl.last-good.safetensors"
    assert str(caught.value) == (
        "the loss became nan in epoch 5: training diverged; a smaller --learning-rate helps (it is 0.5); "
        f"the weights of epoch 3, the last good one, are in {path}"
    )
    assert all(same(one, other) for one, other in zip(checkpoints.read(path).networks(), networks, strict=True))


def test_where_no_epoch_was_good_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DivergedError), checkpoints.last_good_kept(tmp_path / "lnl", {}, metadata()):
        raise DivergedError(float("nan"), 0, 0.5)
    assert list(tmp_path.iterdir()) == []
