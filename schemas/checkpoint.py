"""What a checkpoint holds: the tensors' names, and the metadata that says how to rebuild the networks.

Tensors are named `network1.<parameter>` and, where there are two networks, `network2.<parameter>`. With a frozen
backbone (`train = "head"`) its tensors are `backbone.<parameter>` and the networks are heads on its features.
The metadata is one JSON text under the key `alrctl` (a single key: the order of several changes from run to run).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import MismatchError

METADATA_KEY = "alrctl"


class NetworkSpec(BaseModel):
    """Everything needed to build a network anew, but its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = Field(description="name of a timm or torchvision model")
    train: Literal["all", "head"] = Field(description="whether the backbone was trained or frozen")
    hidden: int = Field(ge=0, description="width of the hidden layer before the last one; 0 for none")
    dropout: float = Field(ge=0, lt=1, description="before each layer of the head")
    image_size: int = Field(ge=8, description="pixels a side")
    channels: Literal[1, 3] = Field(3, description="of the images that the backbone takes; 1 for luminance")
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    feature_width: int = Field(ge=1, description="of the backbone's pooled features")


class FirstWeights(BaseModel):
    """The weights that a backbone had before any training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="as `train-lnl --weights` names them; none for fresh ones")
    sha256: str | None = Field(default=None, description="of their file; null for none, or where it was not recorded")


class CheckpointMetadata(BaseModel):
    """The metadata of `checkpoint.safetensors`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    stage: str
    method: str
    networks: int = Field(ge=1, le=2)
    classes: tuple[str, ...] = Field(min_length=2)
    spec: NetworkSpec
    backbone_sha256: str | None = Field(default=None, description="of the frozen backbone's tensors")
    first_weights: FirstWeights | None = Field(default=None, description="of the backbone; null where not recorded")
    config: dict[str, object] = Field(default_factory=dict)

    @property
    def started_from(self) -> FirstWeights | None:
        """The weights that the backbone started from in phase 1; None where nothing tells."""
        if self.first_weights is not None or self.stage != "train-lnl" or "weights" not in self.config:
            return self.first_weights
        return FirstWeights(name=str(self.config["weights"]))  # recorded before the file's hash was

    def check_classes(self, names: tuple[str, ...], source: str) -> None:
        """Refuse a data set with other classes.

        Raises:
            MismatchError: the classes differ in name or order.
        """
        if self.classes != names:
            mine, theirs = ", ".join(self.classes), ", ".join(names)
            raise MismatchError(f"{source}: was trained for the classes {mine}; this data set has {theirs}")
