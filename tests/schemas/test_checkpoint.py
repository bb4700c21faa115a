"""A checkpoint says how to rebuild its networks, and refuses a data set with other classes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.checkpoint import CheckpointMetadata, FirstWeights, NetworkSpec
from schemas.errors import MismatchError

SPEC = NetworkSpec(
    backbone="test_resnet",
    train="head",
    hidden=4,
    dropout=0.1,
    image_size=16,
    mean=(0.4, 0.5, 0.6),
    std=(0.1, 0.2, 0.3),
    feature_width=96,
)
METADATA = CheckpointMetadata(
    stage="train-lnl",
    method="coteaching",
    networks=2,
    classes=("red", "green", "blue"),
    spec=SPEC,
    backbone_sha256="a" * 64,
    config={"epochs": 3, "forget_rate": "auto"},
)


def test_checkpoints_from_before_there_were_channels_have_three() -> None:
    old = {name: value for name, value in SPEC.model_dump().items() if name != "channels"}
    assert NetworkSpec.model_validate(old) == SPEC
    assert SPEC.channels == 3


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_there_are_one_or_three_channels(channels: int) -> None:
    with pytest.raises(ValidationError, match="channels"):
        NetworkSpec.model_validate(SPEC.model_dump() | {"channels": channels})


def test_the_same_classes_pass() -> None:
    METADATA.check_classes(("red", "green", "blue"), "m")


@pytest.mark.parametrize(
    "names", [("green", "red", "blue"), ("red", "green"), ("red", "green", "Blue"), ("red", "green", "blue", "grey")]
)
def test_other_classes_or_another_order_are_refused_naming_both(names: tuple[str, ...]) -> None:
    with pytest.raises(MismatchError) as caught:
        METADATA.check_classes(names, "work/lnl/checkpoint.safetensors")
    assert str(caught.value) == (
        "work/lnl/checkpoint.safetensors: was trained for the classes red, green, blue; "
        f"this data set has {', '.join(names)}"
    )


def test_metadata_is_read_as_it_was_written() -> None:
    assert CheckpointMetadata.model_validate_json(METADATA.model_dump_json()) == METADATA


def test_first_weights_are_those_recorded_or_of_old_checkpoints_those_of_phase_1s_options() -> None:
    def started_from(**changed: Any) -> FirstWeights | None:
        return CheckpointMetadata.model_validate(METADATA.model_dump() | changed).started_from

    first = {"name": "w.pth", "sha256": "b" * 64}
    assert started_from(first_weights=first, config={"weights": "x.pth"}) == FirstWeights.model_validate(first)
    assert started_from(config={"weights": "x.pth"}) == FirstWeights(name="x.pth")
    assert started_from(config={"weights": "x.pth"}, stage="recalibrate") is None
    assert started_from() is None


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"networks": 3},
        {"networks": 0},
        {"classes": ["red"]},
        {"pickle": "x"},
        {"spec": {"backbone": "x"}},
    ],
)
def test_metadata_of_another_program_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CheckpointMetadata.model_validate(METADATA.model_dump() | changed)


@pytest.mark.parametrize(
    "changed", [{"dropout": 1.0}, {"dropout": -0.1}, {"hidden": -1}, {"image_size": 4}, {"train": "some"}, {"depth": 3}]
)
def test_a_network_that_cannot_be_built_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NetworkSpec.model_validate(SPEC.model_dump() | changed)
