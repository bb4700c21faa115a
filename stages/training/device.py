"""Where and in which precision networks run."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

from schemas.errors import UsageError
from stages.training.team import Team

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]


def choose(device: Device) -> torch.device:
    """Return the device meant; `auto` takes a GPU where there is one.

    Raises:
        UsageError: a GPU is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device: 'cuda' is asked for and no GPU is found; use auto or cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Return the mixed-precision context; `auto` takes bfloat16 where the hardware computes in it."""
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else _cpu_has_bfloat16()
        precision = "bfloat16" if fast else "float32"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def _cpu_has_bfloat16() -> bool:
    """Say whether oneDNN has native bfloat16 here; emulated, it was measured ten times slower than float32."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def name(device: torch.device) -> str:
    """Return the device's name for the record, and how many processes had one."""
    found, team = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu", Team.current()
    return found if team.alone else f"{team.size} x {found}"
