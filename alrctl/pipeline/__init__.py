"""A pipeline file: the chain for R rounds, for one setting or a matrix of them that share what they have in common.

Every step is a stage with its own directory, so that a run can be stopped and taken up at will: what is up to date is
skipped.
"""

from __future__ import annotations

from alrctl.pipeline.answers import answers_file
from alrctl.pipeline.file import Pipeline, load, parse
from alrctl.pipeline.plan import Step, plan, seed_directories

__all__ = ["Pipeline", "Step", "answers_file", "load", "parse", "plan", "seed_directories"]
