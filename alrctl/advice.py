"""Settings that suit a data set, to begin with: which network, how large the images, how many labels a round."""

from __future__ import annotations

from dataclasses import dataclass

from alrctl.first_look import FirstLook

_SIZES = (28, 32, 48, 64, 96, 128, 160, 224)
_WHOLE_ON_CPU = 20_000_000
"""Pixels of an epoch up to which a whole network is trained on a processor: about a minute for two ResNet-18."""
_FROZEN_SIZE, _CPU_SIZE = 96, 64
_ROUNDS = 3


@dataclass(frozen=True)
class Advice:
    """Options, and why.

    Attributes:
        image_size: pixels a side.
        frozen: whether heads on a frozen backbone are trained, and not whole networks.
        network: why that.
        epochs: of phase 1.
        num_gradual: epochs over which its forget rate rises.
        batch_size: of both phases.
        recalibrate_epochs: of phase 2.
        rounds: of relabelling.
        budget: labels a round.
    """

    image_size: int
    frozen: bool
    network: str
    epochs: int
    num_gradual: int
    batch_size: int
    recalibrate_epochs: int
    rounds: int
    budget: int


def advise(found: FirstLook, gpu: bool, weights_installed: bool) -> Advice:
    """Return what suits a data set on a machine.

    Args:
        found: the data set.
        gpu: whether there is one.
        weights_installed: whether weights for a frozen backbone are on the machine.
    """
    train = sum(found.train_counts.values())
    whole = gpu or train * _at_most(found.side, _CPU_SIZE) ** 2 <= _WHOLE_ON_CPU
    frozen = weights_installed and not whole
    size = _at_most(found.side, 224 if gpu else _FROZEN_SIZE if frozen else _CPU_SIZE)
    epochs = 20 if frozen else 50
    return Advice(
        image_size=size,
        frozen=frozen,
        network=_why(gpu, whole, frozen),
        epochs=epochs,
        num_gradual=min(10, epochs // 2),
        batch_size=128 if train >= 1000 else 32,
        recalibrate_epochs=10 if frozen else 25,
        rounds=_ROUNDS,
        budget=_budget(train, len(found.counts)),
    )


def _at_most(side: int, most: int) -> int:
    """Return the largest usual size that needs no enlarging, and is not above `most`."""
    fitting = [size for size in _SIZES if size <= min(side, most)]
    return fitting[-1] if fitting else max(8, side)


def _why(gpu: bool, whole: bool, frozen: bool) -> str:
    if gpu:
        return "a GPU is there: whole networks are trained"
    if frozen:
        return "no GPU is there, and the data set is not small: heads on a frozen backbone take minutes"
    if whole:
        return "the data set is small: whole networks are trained, on the processor too"
    return "no GPU is there, nor weights for a frozen backbone: whole networks, on small images, will take hours"


def _budget(train: int, classes: int) -> int:
    """Return about a hundredth of the training images a round, ten of a class at least, and no more than a tenth."""
    wanted = max(round(train / 100), 10 * classes, 50)
    return max(1, min(wanted, 300, train // 10))
