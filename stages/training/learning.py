"""What is learnt from, and how: the examples, the rule, and what else stays the same through a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from stages.report import Report
from stages.training.inputs import Inputs
from stages.training.lanes import Lanes
from stages.training.objective import Balance, Memoryless, Objective
from stages.training.picking import PickAll, Picker
from stages.training.plan import FitPlan
from stages.training.synchronised import WholeBatch


@dataclass(frozen=True)
class Rule:
    """How a method learns: which samples of a batch, and by which loss."""

    picker: Picker
    objective: Objective

    @classmethod
    def plain(cls) -> Rule:
        """Return cross-entropy on every sample."""
        return cls(PickAll(), Memoryless())


@dataclass(frozen=True)
class Examples:
    """The samples learnt from, and those that epochs are judged by.

    Attributes:
        inputs: gives batches by row of the data set.
        rows: (N,) rows to learn from.
        labels: (N,) their given classes.
        val_rows: (V,) rows of the validation split; may be empty.
        val_labels: (V,) their labels.
        classes: K.
    """

    inputs: Inputs
    rows: Tensor
    labels: Tensor
    val_rows: Tensor
    val_labels: Tensor
    classes: int


@dataclass(frozen=True)
class Run:
    """What stays the same through a run."""

    examples: Examples
    rule: Rule
    plan: FitPlan
    report: Report
    balance: Balance
    forward: list[Callable[[Tensor], tuple[Tensor, Tensor]]]
    lanes: Lanes
    whole: WholeBatch
