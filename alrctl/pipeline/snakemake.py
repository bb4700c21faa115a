"""The plan as a Snakefile: a rule a step, each a plain command, so that Snakemake can bring clusters and clouds."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

from alrctl.pipeline.jobs import Job, check_names

_HEAD = '''\
# Written by: {command}
# A rule is a step, and a step is one command: its directory is finished when manifest.json lies in it.
# Look: snakemake -s {file} -n        Run: snakemake -s {file} --cores all
# A job that computes with a network takes as many threads as {threads}, or all cores where these are fewer.
import os

ALRCTL = os.environ.get("ALRCTL", "alrctl")
THREADS = int(os.environ.get("ALRCTL_THREADS", "{threads}"))


workdir: workflow.basedir


def reached(answers):
    """Say whether an expert has given all the answers that a step needs."""
    return all(os.path.exists(name) for name in answers)


STEPS = [  # what a step writes, and the answers it waits for
{steps}
]


rule all:
    input:
        [name for name, answers in STEPS if reached(answers)],
'''
_THREADS = 8


def render(everything: Sequence[Job], file: str, command: str) -> str:
    """Return the text of the Snakefile.

    Raises:
        UsageError: a name that Snakemake would take for a pattern.
    """
    check_names(everything, "Snakemake", "{}")
    steps = "\n".join(f"    ({_text(job.writes)}, {json.dumps(list(job.waits_for))})," for job in everything)
    head = _HEAD.format(command=command, file=file, steps=steps, threads=_THREADS)
    return head + "".join(_rule(number, job) for number, job in enumerate(everything))


def _rule(number: int, job: Job) -> str:
    reads = "".join(f"        {_text(name)},\n" for name in job.reads)
    threads = "    threads: THREADS\n" if job.heavy else ""
    shell = shlex.join(job.words[1:]).replace("{", "{{").replace("}", "}}")
    omp = "OMP_NUM_THREADS={threads} " if job.heavy else ""
    return (
        f"\n\nrule {_name(number, job)}:\n"
        + (f"    input:\n{reads}" if reads else "")
        + f"    output:\n        {_text(job.writes)},\n{threads}"
        + f"    shell:\n        {_text(f'{omp}{{ALRCTL}} {shell}')}\n"
    )


def _name(number: int, job: Job) -> str:
    """Return a name as rules may have: letters, digits and underscores; the number makes it one of its kind."""
    return f"step_{number}_" + re.sub(r"\W", "_", job.name, flags=re.ASCII)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
