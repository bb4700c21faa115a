"""How training fails, and what is said then: a loss that is no number, and too little memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from schemas.errors import DataError, UsageError
from stages.training.device import Precision, autocast


class DivergedError(DataError):
    """The loss or the weights are no longer numbers, or the loss exploded.

    Attributes:
        networks: with the weights of the last good epoch; empty where there is none.
        epochs: how many epochs were good.
    """

    def __init__(self, loss: float, epoch: int, learning_rate: float) -> None:
        super().__init__(
            f"the loss became {loss:g} in epoch {epoch + 1}: training diverged; "
            f"a smaller --learning-rate helps (it is {learning_rate:g})"
        )
        self.networks: Sequence[nn.Module] = ()
        self.epochs = 0

    def last_good(self, networks: Sequence[nn.Module], epochs: int) -> None:
        """Say which weights were the last good ones."""
        self.networks, self.epochs = networks, epochs


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether the error is one of too little memory, on a GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return any(words in text for words in ("can't allocate memory", "not enough memory", "out of memory"))


def batch_size_that_fits(
    networks: Sequence[nn.Module], sample: Tensor, too_large: int, device: torch.device, precision: Precision
) -> int | None:
    """Return a batch size whose forward and backward passes fit, found by halving; None where none does.

    Args:
        networks: those trained, at once.
        sample: (1, ...), one sample's input.
        too_large: the batch size that did not fit.
        device: where they are trained.
        precision: in which precision.
    """
    size = too_large // 2
    while size >= 2:
        try:
            _try(networks, sample.expand(size, *sample.shape[1:]).contiguous(), device, precision)
            return size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        size //= 2
    return None


def out_of_memory(batch_size: int, fits: int | None) -> UsageError:
    """Return what is said of too little memory."""
    if fits is None or fits < 3:
        return UsageError(
            f"--batch-size: the memory does not suffice for {batch_size}, nor for any other; use smaller images "
            "(ingest --image-size), a smaller --backbone, or --train head"
        )
    return UsageError(f"--batch-size: the memory does not suffice for {batch_size}; --batch-size {fits} fits")


def out_of_memory_for_share(batch_size: int, processes: int) -> UsageError:
    """Return what is said where one of several processes has too little memory."""
    return UsageError(
        f"--batch-size: the memory of a process does not suffice for its share of {batch_size} by {processes}; "
        "use a smaller one, or more processes"
    )


def is_compiler_failure(error: BaseException) -> bool:
    """Say whether `torch.compile` failed."""
    return type(error).__module__.startswith(("torch._inductor", "torch._dynamo"))


def cannot_compile(error: BaseException) -> UsageError:
    """Return what is said of a network that cannot be compiled here."""
    why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UsageError(f"--compile: torch.compile failed here ({why[:200]}); leave it out, or install a C++ compiler")


def _try(networks: Sequence[nn.Module], batch: Tensor, device: torch.device, precision: Precision) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    total = torch.zeros((), device=device)
    for network in networks:
        network.zero_grad(set_to_none=True)
        with autocast(device, precision):
            _, logits = network(batch)
        total = total + logits.float().sum()
    total.backward()  # type: ignore[no-untyped-call]
