"""How a method learns, from its options: the networks it starts from, and the rule of its steps.

`train-lnl` carries a recipe out once; `score --cross-validate` once a fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from schemas.checkpoint import NetworkSpec
from stages.methods import losses
from stages.training.class_aware import ClassAwareOptions, class_aware
from stages.training.inputs import FeatureRows
from stages.training.learning import Rule
from stages.training.network import Network, build_network, fit_standardisation, load_weights
from stages.training.noise_watch import LabelEvidence, NoiseWatch
from stages.training.objective import EarlyLearning, Memoryless
from stages.training.options import TrainingOptions
from stages.training.picking import PickSmallLoss, SmallLossOptions

Method = Literal["cross-entropy", "coteaching", "coteaching-vog", "class-aware", "sce", "gce", "elr", "scratch"]
_ALIASES = {
    "ce": "cross-entropy",
    "co-teaching": "coteaching",
    "co-teaching-vog": "coteaching-vog",
    "symmetric-cross-entropy": "sce",
    "generalised-cross-entropy": "gce",
    "generalized-cross-entropy": "gce",
    "early-learning-regularisation": "elr",
    "early-learning-regularization": "elr",
}
PICKING = ("coteaching", "coteaching-vog")
"""Methods of two networks that pick for each other, and so judge the labels."""
JUDGING = (*PICKING, "class-aware")
"""Methods that judge labels."""
CLEAN_FLOOR = 0.82
"""Share of those expected to be right that each class keeps: see docs/experiments.md."""
TWICE = (
    "{} evens out the classes by the shares that it estimates (--balance); "
    "--logit-adjustment, --class-weights and --sampling go by the noisy labels"
)
_EARLY = 3
"""Epochs after which co-teaching's features show the noise."""


class MethodOptions(TrainingOptions):
    """Which method learns, and what it may be told."""

    method: Method = Field("coteaching-vog", description="how to learn from noisy labels; scratch: not at all")
    forget_rate: float | Literal["auto"] = Field(
        "auto", description="share of a batch left out at the end; auto: the noise rate as it is estimated"
    )
    num_gradual: int = Field(10, ge=1, description="epochs over which the forget rate rises")
    exponent: float = Field(1.0, gt=0, description="c: the forget rate rises to its c-th power")
    mix_ratio: float = Field(0.2, ge=0, le=1, description="share of the picks by variance of gradients")
    all_activations: bool = Field(False, description="variance of the gradients of all classes' rows")
    gradients: Literal["training-pass", "clean-pass"] = Field(
        "training-pass", description="where they come from: free of cost, or from one more pass without augmentation"
    )
    warm_up: int = Field(
        10, ge=1, description="for class-aware, where the backbone learns too: epochs before noise is estimated"
    )
    clean_floor: float = Field(
        CLEAN_FLOOR,
        ge=0,
        le=1,
        description="for class-aware: each class keeps this share of the labels expected to be right",
    )
    balance: float = Field(
        1.0, ge=0, description="for class-aware: tau of the logit adjustment by the class shares that it estimates"
    )
    sce_alpha: float = Field(0.1, ge=0, description="weight of cross-entropy in sce")
    sce_beta: float = Field(1.0, ge=0, description="weight of reverse cross-entropy in sce")
    gce_q: float = Field(0.7, gt=0, le=1, description="q of gce: near 0 cross-entropy, 1 mean absolute error")
    elr_lambda: float = Field(3.0, ge=0, description="weight of the regulariser in elr")
    elr_momentum: float = Field(0.7, ge=0, lt=1, description="of the running posteriors in elr")

    @field_validator("method", mode="before")
    @classmethod
    def _method_in_any_spelling(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        plain = value.lower().replace("_", "-")
        return _ALIASES.get(plain, plain)

    @field_validator("forget_rate")
    @classmethod
    def _forget_rate_is_a_share(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 <= value < 1:
            raise ValueError("must be auto, or a share from 0 to below 1")
        return value

    @model_validator(mode="after")
    def _one_adjustment(self) -> MethodOptions:
        if self.method == "class-aware" and (self.logit_adjustment or self.class_weights != "none"):
            raise ValueError(TWICE.format("class-aware"))
        return self

    @property
    def networks(self) -> int:
        """How many networks the method trains."""
        return 2 if self.method in PICKING else 1


def start(
    spec: NetworkSpec,
    classes: int,
    seed: int,
    number: int,
    features: Tensor | FeatureRows | None,
    backbone_weights: Mapping[str, Tensor],
) -> nn.Module:
    """Return network `number` as training begins.

    Args:
        spec: how it is built.
        classes: K.
        seed: of its fresh weights.
        number: 1 or 2.
        features: (N, D) of the frozen backbone that the head learns from; None where images are.
        backbone_weights: tensors that the backbone starts from; empty for a fresh one.
    """
    network = build_network(spec, classes, seed, number)
    if features is not None:
        fit_standardisation(network, features)
    elif backbone_weights and isinstance(network, Network):
        load_weights(network.backbone, backbone_weights, "--weights")
    return network


def rule(config: MethodOptions, known: LabelEvidence, classes: int) -> Rule:
    """Return how the method learns, from what is known of N samples' labels and their K classes."""
    plain = Rule.plain()
    samples = len(known.given)
    if config.method == "sce":
        loss = partial(losses.symmetric_cross_entropy, alpha=config.sce_alpha, beta=config.sce_beta)
        return Rule(plain.picker, Memoryless(loss))
    if config.method == "gce":
        return Rule(plain.picker, Memoryless(partial(losses.generalised_cross_entropy, q=config.gce_q)))
    if config.method == "elr":
        return Rule(plain.picker, EarlyLearning(samples, classes, config.elr_lambda, config.elr_momentum))
    watch = NoiseWatch(known, classes, config.seed)
    if config.method in PICKING:
        return Rule(PickSmallLoss(small_loss_options(config), watch), plain.objective)
    if config.method == "class-aware":
        warm_up = min(config.warm_up, _half(config))
        return Rule(*class_aware(ClassAwareOptions(warm_up, config.clean_floor, config.balance), watch))
    return plain


def _half(config: MethodOptions) -> int:
    """Return half the epochs, the most that may pass before the noise is estimated; at least one."""
    return max(1, config.epochs // 2)


def small_loss_options(config: MethodOptions) -> SmallLossOptions:
    """Return how the co-teaching methods pick."""
    return SmallLossOptions(
        noise_rate=None if isinstance(config.forget_rate, str) else config.forget_rate,
        num_gradual=config.num_gradual,
        exponent=config.exponent,
        mix_ratio=config.mix_ratio if config.method == "coteaching-vog" else 0.0,
        all_classes=config.all_activations,
        look_after=min(_EARLY, _half(config)),
        gradients=config.gradients,
    )
