"""Every model of timm and torchvision is a backbone: pooled features of the width that is told, or a clear refusal."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision.models as vision
from torch import Tensor, nn

from schemas.errors import UsageError
from stages.training.backbones import IMAGENET_MEAN, IMAGENET_STD, build_backbone, feature_width, resolve


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def applied(module: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        features: Tensor = module.eval()(images)
    return features


def assert_alike(found: Tensor, expected: Tensor) -> None:
    """Compare relative to the largest feature: those of untrained networks are minute."""
    size = expected.abs().max()
    assert size > 0
    torch.testing.assert_close(found / size, expected / size, rtol=0, atol=1e-4)


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet18", ("timm", "resnet18")),
        ("timm/resnet18", ("timm", "resnet18")),
        ("torchvision/resnet18", ("torchvision", "resnet18")),
        ("swin_t", ("torchvision", "swin_t")),
        ("resnet18.a1_in1k", ("timm", "resnet18.a1_in1k")),
    ],
)
def test_a_name_is_timms_where_timm_has_it_unless_the_library_is_said(name: str, meant: tuple[str, str]) -> None:
    assert resolve(name) == meant


def test_both_libraries_are_really_used() -> None:
    assert type(build_backbone("resnet18", 0)).__module__.startswith("timm.")
    assert type(build_backbone("torchvision/resnet18", 0)).__module__.startswith("torchvision.")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet81", "neither timm nor torchvision has a model 'resnet81'; did you mean 'resnet"),
        ("swin_tt", "neither timm nor torchvision has a model 'swin_tt'; did you mean 'swin_t'?"),
        ("timm/swin_t", "timm has no model 'swin_t'"),
        ("torchvision/resnet81", "torchvision has no model 'resnet81'; did you mean 'torchvision/resnet"),
        ("torchvison/resnet18", "neither timm nor torchvision has a model 'torchvison/resnet18'; did you mean 'torchv"),
        ("quite something else", "neither timm nor torchvision has a model 'quite something else'"),
    ],
)
def test_an_unknown_backbone_is_refused_with_the_nearest_name_of_both_libraries(name: str, told: str) -> None:
    for call in (lambda: build_backbone(name, 0), lambda: feature_width(name, 32)):
        with pytest.raises(UsageError) as caught:
            call()
        assert str(caught.value).startswith(f"--backbone: {told}")


# --- widths ----------------------------------------------------------------------------------------------------------

WIDTHS = {  # name: (images' size, width); built on the meta device, so that large models cost nothing
    "torchvision/alexnet": (64, 4096),
    "torchvision/convnext_tiny": (32, 768),
    "torchvision/densenet121": (32, 1024),
    "torchvision/efficientnet_b0": (32, 1280),
    "torchvision/googlenet": (32, 1024),
    "torchvision/inception_v3": (75, 2048),
    "torchvision/maxvit_t": (224, 512),
    "torchvision/regnet_y_400mf": (32, 440),
    "torchvision/squeezenet1_1": (32, 512),
    "torchvision/swin_v2_t": (32, 768),
    "torchvision/vgg11": (32, 4096),
    "torchvision/vit_b_16": (32, 768),
    "convnext_atto": (32, 320),
    "deit_tiny_distilled_patch16_224": (32, 192),
    "hgnet_small": (64, 2048),
    "regnetx_002": (32, 368),
    "swin_tiny_patch4_window7_224": (64, 768),
    "vgg11": (32, 4096),
    "vit_small_patch14_dinov2": (56, 384),
}


@pytest.mark.parametrize("name", WIDTHS)
def test_the_width_of_a_backbone_is_that_of_its_features(name: str) -> None:
    size, width = WIDTHS[name]
    assert feature_width(name, size) == width


SMALL = ("test_resnet", "test_vit", "mobilenetv3_small_050", "torchvision/mobilenet_v3_small", "torchvision/mnasnet0_5")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SMALL)
def test_a_backbone_that_is_built_gives_features_of_that_width(name: str, channels: int) -> None:
    module = build_backbone(name, 0, image_size=32, channels=channels)
    features = applied(module, drawn(2, channels, 32, 32))
    assert features.shape == (2, feature_width(name, 32, channels))
    assert torch.isfinite(features).all()


def of_torchvision(name: str, **given: Any) -> tuple[nn.Module, nn.Module]:
    """Build torchvision's own model, and the backbone with its weights."""
    whole: nn.Module = vision.get_model(name, weights=None, **given)
    backbone = build_backbone(f"torchvision/{name}", 0, image_size=32)
    tensors = whole.state_dict()
    assert set(backbone.state_dict()) < set(tensors)
    backbone.load_state_dict({tensor: tensors[tensor] for tensor in backbone.state_dict()})
    return whole, backbone


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("mobilenet_v3_small", "classifier.3"),
        ("regnet_x_400mf", "fc"),
        ("shufflenet_v2_x0_5", "fc"),
        ("resnet18", "fc"),
    ],
)
def test_the_features_are_what_torchvisions_classifier_takes(name: str, last: str) -> None:
    whole, backbone = of_torchvision(name)
    seen = []
    whole.get_submodule(last).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    images = drawn(2, 3, 32, 32)
    applied(whole, images)
    assert_alike(applied(backbone, images), seen[0])


def test_a_convolution_that_classifies_is_dropped_and_what_it_takes_is_pooled() -> None:
    whole, backbone = of_torchvision("squeezenet1_1")
    images = drawn(2, 3, 32, 32)
    maps = applied(whole.features, images)
    assert_alike(applied(backbone, images), maps.mean(dim=(2, 3)))


def test_googlenet_sees_images_as_it_does_with_torchvisions_own_weights() -> None:
    whole, backbone = of_torchvision("googlenet", aux_logits=False, init_weights=False, transform_input=True)
    whole.fc = nn.Identity()
    images = drawn(2, 3, 32, 32)
    assert_alike(applied(backbone, images), applied(whole, images))


def test_in_training_a_dropout_before_the_classifier_is_left_to_the_head() -> None:
    backbone = build_backbone("torchvision/mnasnet0_5", 0)
    assert not [module for module in backbone.modules() if isinstance(module, nn.Dropout)]


# --- seeds, sizes, channels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test_resnet", "torchvision/squeezenet1_1"])
def test_the_same_seed_gives_the_same_weights_and_another_does_not(name: str) -> None:
    first, again, other = (build_backbone(name, seed, image_size=32).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(tensor, again[key]) for key, tensor in first.items())
    assert not all(torch.equal(tensor, other[key]) for key, tensor in first.items())


def test_saying_the_size_changes_no_model_that_takes_any() -> None:
    plain, sized = (build_backbone("test_resnet", 1, image_size=size).state_dict() for size in (None, 40))
    assert list(plain) == list(sized)
    assert all(torch.equal(tensor, sized[key]) for key, tensor in plain.items())


@pytest.mark.parametrize("name", ["test_vit", "torchvision/vit_b_32"])
def test_a_model_made_for_one_size_is_built_for_the_images(name: str) -> None:
    with torch.device("meta"):
        positions = {
            size: next(
                t for key, t in build_backbone(name, 0, image_size=size).state_dict().items() if "pos_emb" in key
            )
            for size in (64, 96)
        }
    assert positions[64].shape[1] < positions[96].shape[1]


@pytest.mark.parametrize(
    ("name", "size", "needed"),
    [
        ("torchvision/inception_v3", 64, 75),
        ("torchvision/vit_b_32", 40, 64),
        ("torchvision/maxvit_t", 600, 448),
    ],
)
def test_a_size_that_a_model_does_not_take_is_refused_with_one_it_takes(name: str, size: int, needed: int) -> None:
    with pytest.raises(UsageError) as refused:
        feature_width(name, size)
    told = f"--backbone: '{name}' does not take images of {size} x {size} px; it takes {needed} x {needed} px"
    assert str(refused.value) == f"{told}: alrctl ingest --image-size {needed}"


def test_building_refuses_such_a_size_too() -> None:
    with pytest.raises(UsageError, match=r"does not take images of 40 x 40 px; it takes 64 x 64 px"):
        build_backbone("torchvision/vit_b_32", 0, image_size=40)


def test_a_failure_that_is_not_the_sizes_is_not_blamed_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = timm.create_model

    def without_memory(*given: object, **more: object) -> object:
        if torch.get_default_device().type != "meta":
            raise RuntimeError("no memory is left")
        return real(*given, **more)

    monkeypatch.setattr(timm, "create_model", without_memory)
    with pytest.raises(RuntimeError, match="no memory is left"):
        build_backbone("test_resnet", 0, image_size=32)


@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet"])
def test_a_grey_image_gives_with_one_channel_what_it_gives_with_three_of_the_same(name: str) -> None:
    grey, three = (build_backbone(f"torchvision/{name}", 3, channels=channels) for channels in (1, 3))
    images = drawn(2, 1, 32, 32)
    if name == "googlenet":  # its pixels from -1 to 1, each normalised as the channels are
        pixels = images * sum(IMAGENET_STD) / 3 + sum(IMAGENET_MEAN) / 3
        mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        threefold = (pixels.expand(-1, 3, -1, -1) - mean) / std
    else:
        threefold = images.expand(-1, 3, -1, -1)
    assert_alike(applied(grey, images), applied(three, threefold))
