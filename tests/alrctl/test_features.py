"""The features of a frozen backbone are computed once, and again only where the cache does not hold just these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from alrctl import checkpoints, features
from alrctl.dataset import DataSet, read_data, read_images
from schemas.checkpoint import NetworkSpec
from schemas.errors import UsageError
from stages.report import SilentReport
from stages.training.inputs import FeatureInputs, ImageInputs
from stages.training.network import build_backbone


class Listening(SilentReport):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)


@dataclass
class Bench:
    """A data set, a backbone, a cache of its own, and how often features were really computed."""

    data: DataSet
    pack: Path
    spec: NetworkSpec
    backbone: dict[str, Tensor]
    cache: Path
    report: Listening = field(default_factory=Listening)
    computed: int = 0

    def features(self, backbone: dict[str, Tensor] | None = None) -> Tensor:
        given = self.backbone if backbone is None else backbone
        return features.features(self.spec, given, self.pack, self.data, "cpu", "float32", self.report)

    def cached(self) -> list[Path]:
        return sorted(self.cache.iterdir())


@pytest.fixture
def bench(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    data = read_data(finished / "data/samples.parquet", finished / "data/classes.yaml")
    trained = checkpoints.read(finished / "lnl/checkpoint.safetensors").metadata.spec
    spec = trained.model_copy(update={"train": "head"})
    backbone = checkpoints.fresh_backbone("test_resnet", 1)
    made = Bench(data, finished / "data/images.safetensors", spec, backbone, tmp_path / "cache")
    monkeypatch.setenv("ALRCTL_CACHE", str(made.cache))
    extract: Callable[..., Tensor] = features.extract

    def counted(*given: object) -> Tensor:
        made.computed += 1
        return extract(*given)

    monkeypatch.setattr(features, "extract", counted)
    return made


def test_features_are_those_of_the_backbone(bench: Bench) -> None:
    found = bench.features()
    module = build_backbone("test_resnet", 0)
    module.load_state_dict(bench.backbone)
    inputs = ImageInputs(read_images(bench.pack, bench.data), bench.spec, torch.device("cpu"), "none")
    with torch.inference_mode():
        wanted = module.eval()(inputs.batch(torch.tensor([0, 64, 109]), None))
    assert found.shape == (110, bench.spec.feature_width)
    assert found.dtype == torch.float32
    assert torch.allclose(found[[0, 64, 109]], wanted, atol=1e-5)


def test_a_second_call_computes_nothing_and_gives_the_same(bench: Bench) -> None:
    first = bench.features()
    assert torch.equal(bench.features(), first)
    assert bench.computed == 1
    assert len(bench.cached()) == 1
    assert not bench.report.warned


def test_other_weights_or_another_size_are_never_taken_from_the_cache(bench: Bench) -> None:
    first = bench.features()
    other = bench.features({name: tensor + 1 for name, tensor in bench.backbone.items()})
    assert bench.computed == 2
    assert not torch.equal(first, other)
    assert len(bench.cached()) == 2
    bench.spec = bench.spec.model_copy(update={"mean": (0.1, 0.1, 0.1)})
    bench.features()
    assert bench.computed == 3


def test_other_images_are_never_taken_from_the_cache(bench: Bench, tmp_path: Path) -> None:
    first = bench.features()
    changed = read_images(bench.pack, bench.data).clone()
    changed[0] = 255 - changed[0]
    bench.pack = tmp_path / "images.safetensors"
    save_file({"images": changed}, bench.pack)
    other = bench.features()
    assert bench.computed == 2
    assert not torch.equal(first[0], other[0])
    assert torch.equal(first[1:60], other[1:60])


@pytest.mark.parametrize("content", [b"", b"half of a file"])
def test_a_broken_cache_file_is_computed_again_and_mended(bench: Bench, content: bytes) -> None:
    first = bench.features()
    path = bench.cached()[0]
    path.write_bytes(content)
    assert torch.equal(bench.features(), first)
    assert torch.equal(load_file(path)["features"], first)
    bench.features()
    assert bench.computed == 2


@pytest.mark.parametrize(
    "tensors",
    [
        {"features": torch.zeros(3, 96)},
        {"features": torch.zeros(110, 96, dtype=torch.float64)},
        {"other": torch.zeros(110, 96)},
    ],
)
def test_a_cache_file_that_holds_something_else_is_computed_again(bench: Bench, tensors: dict[str, Tensor]) -> None:
    first = bench.features()
    save_file(tensors, bench.cached()[0])
    assert torch.equal(bench.features(), first)
    assert bench.computed == 2


def test_a_cache_that_cannot_be_written_is_warned_of_and_no_more(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ALRCTL_CACHE", str(tmp_path / "file/cache"))
    found = bench.features()
    assert found.shape == (110, bench.spec.feature_width)
    assert len(bench.report.warned) == 1
    assert bench.report.warned[0].startswith("the features could not be cached and will be computed again next time (")
    assert torch.equal(bench.features(), found)
    assert bench.computed == 2


def test_the_cache_may_be_deleted_at_any_time(bench: Bench) -> None:
    first = bench.features()
    bench.cached()[0].unlink()
    assert torch.equal(bench.features(), first)


def test_the_cache_lies_in_the_users_cache_folder_unless_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALRCTL_CACHE")
    monkeypatch.setattr(features, "user_cache_path", lambda name: bench.cache / name)
    bench.features()
    assert [path.parent for path in bench.cache.rglob("*.safetensors")] == [bench.cache / "alrctl/features"]


def test_a_frozen_backbone_takes_features_and_another_takes_images(bench: Bench) -> None:
    given = (bench.backbone, bench.pack, bench.data, "cpu", "float32", bench.report)
    frozen = features.network_inputs(bench.spec, *given)
    assert isinstance(frozen, FeatureInputs)
    assert torch.equal(frozen.batch(torch.tensor([5]), None), bench.features()[[5]])
    trained = features.network_inputs(bench.spec.model_copy(update={"train": "all"}), *given, "flip")
    assert isinstance(trained, ImageInputs)
    assert trained.augmentation == "flip"
    assert bench.computed == 1


# --- of many images --------------------------------------------------------------------------------------------------


def test_many_features_are_written_as_they_are_computed_and_are_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = bench.features().clone()
    bench.cached()[0].unlink()
    monkeypatch.setattr(features, "_HELD", 0)
    assert torch.equal(bench.features(), held)
    assert bench.computed == 1, "the second time it was not held as a whole"
    assert load_file(bench.cached()[0])["features"].equal(held)


def test_many_features_without_room_in_the_cache_are_held(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_HELD", 0)
    monkeypatch.setattr(features, "_has_room", lambda folder, wanted: False)
    bench.features()
    assert bench.computed == 1


def test_room_is_what_the_disk_has(tmp_path: Path) -> None:
    assert features._has_room(tmp_path / "cache", 1)
    assert not features._has_room(tmp_path / "cache", 1 << 60)
    (tmp_path / "file").write_text("")
    assert not features._has_room(tmp_path / "file" / "cache", 1)


def test_many_features_whose_cache_takes_none_are_held_and_that_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise UsageError("no room")

    monkeypatch.setattr(features, "_HELD", 0)
    monkeypatch.setattr(features.files, "writing", full)
    bench.features()
    assert bench.computed == 1
    assert "the features find no room on the disk, and are computed again to be held" in bench.report.warned[0]
