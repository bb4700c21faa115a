"""Options that `train-lnl` and `recalibrate` share, and how a run is set up from them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from stages.methods.class_imbalance import ClassWeights
from stages.training.augmentation import Augmentation
from stages.training.device import Device, Precision


class TrainingOptions(BaseModel):
    """How networks are trained, whatever they learn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(50, ge=1, le=10_000, description="passes over the samples")
    batch_size: int = Field(128, ge=3, description="samples a step")  # with 2, one could be left alone
    learning_rate: float = Field(0.01, gt=0, description="at the start; cosine over the epochs")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(1e-4, ge=0, description="of SGD")
    class_weights: ClassWeights = Field(
        "none", description="of the loss: balanced is one over the class's count, by given label"
    )
    logit_adjustment: float = Field(
        0.0, ge=0, description="tau: log of the class shares, times tau, is added to the logits while learning"
    )
    augmentation: Augmentation = Field(
        "paper", description="recipe for the images of a batch; unused with a frozen backbone"
    )
    device: Device = Field("auto", description="where to compute")
    precision: Precision = Field("auto", description="auto: bfloat16 where the hardware computes in it")
    compile: bool = Field(False, description="compile the networks first (torch.compile); needs a C++ compiler")
    keep_epochs: int = Field(
        5, ge=0, description="last epochs whose weights are kept as well, so that `evaluate` can tell their mean"
    )
    seed: int = Field(0, ge=0, description="of weights, batches and augmentation")
