"""The plan as a Makefile: a target a step, each a plain command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from alrctl.pipeline.jobs import Job, check_names

_HEAD = """\
# Written by: {command}
# A target is a step, and a step is one command: its directory is finished when manifest.json lies in it.
# Look: make -n -f {file}        Run: make -f {file}        (in the folder of this file)
ALRCTL ?= alrctl

.PHONY: all
all: {targets}
"""


def render(everything: Sequence[Job], file: str, command: str) -> str:
    """Return the text of the Makefile.

    Raises:
        UsageError: a name that make cannot take.
    """
    check_names(everything, "make", " \t#:%$\\*?[]~=;|&<>()'\"")
    targets = " \\\n     ".join(_target(job) for job in everything)
    head = _HEAD.format(command=command.replace("$", "$$"), file=file, targets=targets)
    return head + "".join(_rule(job) for job in everything)


def _target(job: Job) -> str:
    """Return what `all` wants of a step: nothing, as long as an expert's answers are lacking."""
    wanted = job.writes
    for name in job.waits_for:
        wanted = f"$(if $(wildcard {name}),{wanted})"
    return wanted


def _rule(job: Job) -> str:
    command = shlex.join(job.words[1:]).replace("$", "$$")
    return f"\n{job.writes}: {' '.join(job.reads)}\n\t$(ALRCTL) {command}\n"
