"""The plan as a Snakefile: a rule a step, each a plain command, so that Snakemake can bring clusters and clouds.

Snakemake deletes what a rule writes before it carries the rule out, and a directory that has lost its manifest would be
taken for somebody else's. So manifests are marked as updated, and stay. When a job fails, Snakemake puts such a file
back with the time of day, as if it were new; an empty file besides, one a step, says that the job went well.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from alrctl.pipeline.jobs import Job, awaited, check_names, needed

_HEAD = '''\
# Written by: {command}
# A rule is a step, and a step is one command: its directory is finished when manifest.json lies in it.
#     snakemake -s {file} -n           shows the commands
#     snakemake -s {file} --cores all  carries them out; after a kill: --unlock, then with --rerun-incomplete
# OMP_NUM_THREADS, set where Snakemake is started, says with how many threads a command computes, and how many cores a
# training or scoring asks for; without it, all. The bytes depend on it, as they do with `alrctl run`.
# ALRCTL, if set, is the command to use in place of `alrctl`.{waiting}
import os

from snakemake.utils import min_version

min_version("9.14")  # before, a job that fails takes the older result with it

THREADS = int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0] or os.cpu_count())

# Snakemake sets these for each command to the cores it asks for: they are set back to what they are here.
LIMITS = [name + "_NUM_THREADS" for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")] + ["VECLIB_MAXIMUM_THREADS"]
ALRCTL = " ".join(
    ["env"]
    + ["-u " + name for name in LIMITS if name not in os.environ]
    + [name + "=" + os.environ[name] for name in LIMITS if name in os.environ]
    + [os.environ.get("ALRCTL", "alrctl")]
)


workdir: workflow.basedir


def once(answers, *wanted):
    """Return what is wanted, as soon as an expert's answers are there."""
    return list(wanted) if all(os.path.exists(name) for name in answers) else []


rule all:
    input:
{wanted}
'''
_WAITING = """
# An expert answers in the files named below. Steps that need one that is not there are left out; put it there, and run
# Snakemake again.
#     {answers}"""
_DONE = ".alrctl-done"


def render(everything: Sequence[Job], file: str, command: str) -> str:
    """Return the text of the Snakefile.

    Args:
        everything: the jobs.
        file: the name of the Snakefile.
        command: the one that writes it.

    Raises:
        UsageError: a name that Snakemake would take for a pattern.
    """
    check_names([*everything, Job("", (), (), (), file)], "Snakemake", "{}\n\r")
    rules = _rule_names(everything)
    markers = {job.name: f"{_DONE}/{file}/{rules[job.name]}" for job in everything}
    answers = awaited(everything)
    head = _HEAD.format(
        command=command,
        file=shlex.quote(file),
        waiting=_WAITING.format(answers="\n#     ".join(answers)) if answers else "",
        wanted="\n".join(f"        {_once(job.waits_for, job.writes, markers[job.name])}," for job in everything),
    )
    by_name = {job.name: job for job in everything}
    return head + "".join(_rule(job, rules[job.name], markers[job.name], by_name) for job in everything)


def _rule_names(everything: Sequence[Job]) -> dict[str, str]:
    """Return what rules may be called, letters, digits and underscores: for each job a name of its own."""
    found: dict[str, str] = {}
    taken = set()
    for job in everything:
        name = plain = "step_" + re.sub(r"\W", "_", job.name, flags=re.ASCII)
        number = 1
        while name in taken:
            number += 1
            name = f"{plain}_{number}"
        found[job.name] = name
        taken.add(name)
    return found


def _rule(job: Job, name: str, marker: str, by_name: Mapping[str, Job]) -> str:
    reads = [_once(answers, one.writes) for one, answers in needed(job, by_name)] + [_text(one) for one in job.reads]
    command = shlex.join(job.words[1:]).replace("{", "{{").replace("}", "}}")
    parts = {
        "input": reads,
        "output": [f"update({_text(job.writes)})", f"touch({_text(marker)})"],
        "threads": ["THREADS"] if job.heavy else [],
        "shell": [_text("{ALRCTL} " + command)],
    }
    lines = [f"    {part}:\n        " + ",\n        ".join(said) + "\n" for part, said in parts.items() if said]
    return f"\n\nrule {name}:\n{''.join(lines)}"


def _once(answers: Sequence[str], *wanted: str) -> str:
    """Return what is wanted as Python; where it waits for answers, only once these are there."""
    told = ", ".join(map(_text, wanted))
    return f"once([{', '.join(map(_text, answers))}], {told})" if answers else told


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
