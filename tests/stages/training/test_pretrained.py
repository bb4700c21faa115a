"""Weights are found by name whatever stands before the names, and what does not fit is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

from schemas.errors import DataError
from stages.training.backbones import build_backbone
from stages.training.pretrained import match

Tensors = dict[str, Tensor]


def tensors_of(seed: int) -> Tensors:
    tensors = build_backbone("test_resnet", seed).state_dict()
    return {name: tensor + (0.01 if tensor.is_floating_point() else 1) for name, tensor in tensors.items()}


WANTED = dict(build_backbone("test_resnet", 0).state_dict())
CHILDREN = [name for name, _ in build_backbone("test_resnet", 0).named_children()]
OURS, OTHER = tensors_of(1), tensors_of(2)


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def equal(one: Tensors, other: Tensors) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


FC = {"fc.weight": torch.zeros(10, 96), "fc.bias": torch.zeros(10)}


def of_moco() -> Tensors:  # He et al. 2020: the query encoder learns, the key encoder follows
    key = under("state_dict.module.encoder_k.", OTHER | FC)
    return key | under("state_dict.module.encoder_q.", OURS | FC) | {"state_dict.module.queue": torch.zeros(9, 4)}


def of_moco_v3() -> Tensors:
    return under("module.momentum_encoder.", OTHER) | under("module.base_encoder.", OURS)


def of_dino() -> Tensors:  # Caron et al. 2021: the teacher is what is used afterwards
    student = under("student.module.backbone.", OTHER) | {"student.module.head.mlp.0.weight": torch.zeros(4, 96)}
    return student | under("teacher.backbone.", OURS) | {"teacher.head.mlp.0.weight": torch.zeros(4, 96)}


def of_byol() -> Tensors:
    return under("target_encoder.", OTHER) | under("online_encoder.", OURS)


def of_compiled_lightning() -> Tensors:
    return under("state_dict.model._orig_mod.", OURS | FC)


def of_simclr() -> Tensors:
    return under("backbone.", OURS) | {"projection_head.layers.0.weight": torch.zeros(4, 96)}


def of_clip() -> Tensors:
    return under("visual.trunk.", OURS)


def numbered() -> Tensors:  # `Sequential(*list(resnet.children())[:-1])`, as Lightly's programs have it
    renamed = {}
    for name, tensor in OURS.items():
        first, _, rest = name.partition(".")
        renamed[f"backbone.{CHILDREN.index(first)}.{rest}"] = tensor
    return renamed | {"projection_head.0.weight": torch.zeros(4, 96)}


TWINS = (of_moco, of_moco_v3, of_dino, of_byol)


@pytest.mark.parametrize("form", [*TWINS, of_compiled_lightning, of_simclr, of_clip, numbered])
def test_the_backbone_is_found_in_the_forms_that_self_supervised_programs_leave(form: Callable[[], Tensors]) -> None:
    found = match(form(), WANTED, "w.pth", CHILDREN)
    assert equal(found.tensors, OURS)
    assert bool(found.notes) == (form in TWINS), "a projection left out is nothing to tell"


@pytest.mark.parametrize("turned", [False, True])
def test_which_of_two_encoders_is_taken_does_not_depend_on_their_order(turned: bool) -> None:
    tensors = of_dino()
    ordered = dict(reversed(tensors.items())) if turned else tensors
    assert equal(match(ordered, WANTED, "w.pth").tensors, OURS)


def test_what_was_left_out_is_counted_and_the_first_that_is_no_head_is_named() -> None:
    found = match(FC | OURS | {"decoder.weight": torch.zeros(1)}, WANTED, "w.pth")
    told = "w.pth: 3 tensors of the file are not the backbone's, and left out (first: 'decoder.weight')"
    assert found.notes == (told,)
    (note,) = match(of_moco_v3(), WANTED, "w.pth").notes
    other = f"module.momentum_encoder.{next(iter(OTHER))}"
    assert note.endswith(f"(first: '{other}') (taken: those that begin with 'module.base_encoder.')")


@pytest.mark.parametrize("prefix", ["", "a.", "module.encoder_q.", "net.0."])
@settings(max_examples=10, deadline=None)
@given(order=st.randoms(use_true_random=False))
def test_the_order_of_the_file_does_not_matter(prefix: str, order: object) -> None:
    items = list(under(prefix, OURS).items())
    order.shuffle(items)  # type: ignore[attr-defined]
    assert equal(match(dict(items), WANTED, "w").tensors, OURS)


def test_a_tensor_missing_in_the_taken_encoder_is_not_taken_from_the_other() -> None:
    tensors = of_dino()
    first = next(iter(OURS))
    del tensors[f"teacher.backbone.{first}"]
    assert equal(match(tensors, WANTED, "w.pth").tensors, OTHER), "the student is whole"
    del tensors[f"student.module.backbone.{first}"]
    with pytest.raises(DataError, match=rf"1 missing \(first: '{first}'"):
        match(tensors, WANTED, "w.pth")


def test_what_is_missing_or_of_another_shape_is_counted_and_the_first_named() -> None:
    names = list(OURS)
    tensors = under("module.", {name: OURS[name] for name in names[2:]} | {names[5]: torch.zeros(7)})
    with pytest.raises(DataError) as refused:
        match(tensors, WANTED, "w.pth")
    shape = tuple(OURS[names[5]].shape)
    assert str(refused.value) == (
        f"w.pth: 3 of the backbone's {len(names)} tensors do not fit; "
        f"1 of another shape (first: '{names[5]}' is (7,), not {shape}); "
        f"2 missing (first: '{names[0]}'; the file begins with 'module.{names[2]}'); "
        "--backbone must be the model that the weights are of"
    )


def test_tensors_of_something_else_altogether_are_refused() -> None:
    with pytest.raises(DataError, match=rf"{len(OURS)} missing .*the file begins with 'embeddings\.weight'"):
        match({"embeddings.weight": torch.zeros(3)}, WANTED, "w.pth")


def test_how_many_batches_were_seen_need_not_be_known() -> None:
    counted = {name: tensor for name, tensor in OURS.items() if not name.endswith("num_batches_tracked")}
    assert len(counted) < len(OURS)
    found = match(counted, WANTED, "w.pth").tensors
    assert equal({name: found[name] for name in counted}, counted)
    assert list(found) == list(OURS)


def test_weights_are_given_in_the_backbones_precision() -> None:
    found = match({name: tensor.to(torch.float16) for name, tensor in OURS.items()}, WANTED, "w.pth").tensors
    assert {name: tensor.dtype for name, tensor in found.items()} == {name: t.dtype for name, t in WANTED.items()}


def test_three_channels_are_summed_for_one_and_one_is_not_made_three() -> None:
    one = dict(build_backbone("test_resnet", 0, channels=1).state_dict())
    first = next(iter(one))
    found = match(OURS, one, "w.pth").tensors
    assert torch.equal(found[first], OURS[first].sum(dim=1, keepdim=True))
    assert found[first].shape == one[first].shape
    with pytest.raises(DataError, match=rf"1 of another shape \(first: '{first}' is \(\d+, 1, "):
        match(one, WANTED, "w.pth")


def test_position_embeddings_are_resampled_to_the_images_and_that_is_told() -> None:
    large, small = (dict(build_backbone("test_vit", 1, image_size=size).state_dict()) for size in (128, 64))
    found = match(large, small, "w.pth")
    grid = large["pos_embed"][:, 1:].reshape(1, 8, 8, -1).permute(0, 3, 1, 2)
    expected = interpolate(grid, (4, 4), mode="bicubic", antialias=True).permute(0, 2, 3, 1).reshape(1, 16, -1)
    torch.testing.assert_close(found.tensors["pos_embed"][:, 1:], expected)
    assert torch.equal(found.tensors["pos_embed"][:, :1], large["pos_embed"][:, :1]), "the class token has no place"
    assert found.notes == ("w.pth: 'pos_embed' was resampled from 8 x 8 to 4 x 4 patches",)


def test_old_names_in_torchvisions_files_are_understood() -> None:
    with torch.device("meta"):
        dense = build_backbone("torchvision/densenet121", 0).state_dict()
        vit = build_backbone("torchvision/vit_b_32", 0, image_size=64).state_dict()
    for wanted, now, before in (
        (dense, ("norm1.", "norm2.", "conv1.", "conv2."), ("norm.1.", "norm.2.", "conv.1.", "conv.2.")),
        (vit, (".mlp.0.", ".mlp.3."), (".mlp.linear_1.", ".mlp.linear_2.")),
    ):
        old = {}
        for name, tensor in wanted.items():
            changed = name
            if "denselayer" in name or "mlp" in name:
                for new_part, old_part in zip(now, before, strict=True):
                    changed = changed.replace(new_part, old_part)
            old[changed] = tensor
        assert set(old) != set(wanted)
        assert list(match(old, wanted, "w.pth").tensors) == list(wanted)
