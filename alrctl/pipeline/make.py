"""The plan as a Makefile: a target a step, each a plain command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from alrctl.pipeline.jobs import Job, awaited, check_names, needed
from schemas.errors import UsageError

_HEAD = """\
# Written by: {command}
# A target is a step, and a step is one command: its directory is finished when manifest.json lies in it.
# In the folder of this file:  make{file} -n  shows the commands,  make{file}  carries them out,  -j 4  four at a time.
# OMP_NUM_THREADS says with how many threads a command computes; without it, with all cores, which several at a time
# would fight over. The bytes depend on it, as they do with `alrctl run`.{waiting}
ALRCTL ?= alrctl

ifneq ($(abspath $(dir $(lastword $(MAKEFILE_LIST)))),$(abspath .))
$(error Paths are those from the folder of this file: use make -C FOLDER{file})
endif

STEPS := {targets}

.PHONY: all
all: $(STEPS)

# An interruption must not make `make` delete a manifest: what is finished stays finished.
.PRECIOUS: $(STEPS)
"""
_WAITING = """
# An expert answers in the files named below:
#   {answers}
# Steps that need a file that is not there are left out; put it there and run make again."""
_LETTERS = " \t\n\r#:%$\\*?[]~=;|&<>()'\"`,!"


def render(everything: Sequence[Job], file: str, command: str) -> str:
    """Return the text of the Makefile.

    Args:
        everything: the jobs.
        file: the name of the Makefile.
        command: the one that writes it.

    Raises:
        UsageError: a name, or an option's value, that make cannot take.
    """
    check_names(everything, "make", _LETTERS)
    answers = awaited(everything)
    head = _HEAD.format(
        command=command,
        file="" if file == "Makefile" else f" -f {shlex.quote(file)}".replace("$", "$$").replace("#", r"\#"),
        waiting=_WAITING.format(answers="\n#   ".join(answers)) if answers else "",
        targets=" \\\n  ".join(_once(job.writes, job.waits_for) for job in everything),
    )
    by_name = {job.name: job for job in everything}
    return head + "".join(_rule(job, by_name) for job in everything)


def _once(name: str, answers: Sequence[str]) -> str:
    """Return a file that is wanted as soon as an expert's answers are there."""
    for one in answers:
        name = f"$(if $(wildcard {one}),{name})"
    return name


def _rule(job: Job, by_name: Mapping[str, Job]) -> str:
    """Return a target; it is touched since a step that finds nothing changed leaves its files alone."""
    reads = [*(_once(one.writes, answers) for one, answers in needed(job, by_name)), *job.reads]
    broken = [word for word in job.words if "\n" in word or "\r" in word]
    if broken:
        raise UsageError(f"{job.name}: make takes no line break in a command ({broken[0]!r})")
    command = shlex.join(job.words[1:]).replace("$", "$$")
    return f"\n{job.writes}: {' '.join(reads)}\n\t$(ALRCTL) {command}\n\t@touch -- '$@'\n"
