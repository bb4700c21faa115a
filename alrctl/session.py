"""What all commands share: the flags that each takes, and how a stage's run ended."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from alrctl import tracking
from alrctl.console import Voice
from schemas.errors import UsageError

Status = Literal["done", "unchanged", "would run", "helped"]
Summary = dict[str, Any]


@dataclass(frozen=True)
class Session:
    """What the common flags of all commands say."""

    voice: Voice
    force: bool = False
    dry_run: bool = False
    allow_stale: bool = False
    command: tuple[str, ...] = ()
    track: tracking.Tracking | None = None


@dataclass(frozen=True)
class Outcome:
    """How a stage's run ended."""

    stage: str
    status: Status
    out: Path
    summary: Summary = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "stage": self.stage,
            "status": self.status,
            "out": str(self.out),
            "summary": self.summary,
            "warnings": list(self.warnings),
        }


def command_line() -> tuple[str, ...]:
    """Return the command as it was typed, but for passwords."""
    typed = sys.argv[1:] if os.path.basename(sys.argv[0]) != "-c" else []
    return ("alrctl", *map(tracking.without_password, typed))


def require(condition: bool, text: str) -> None:
    """Refuse a wrong combination of options.

    Raises:
        UsageError: the condition does not hold.
    """
    if not condition:
        raise UsageError(text)
