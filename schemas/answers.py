"""What experts answered: a row an answer. Other columns are allowed and left alone."""

from __future__ import annotations

from schemas.contract import Contract
from schemas.frames import dy


class Answers(dy.Schema):
    """What experts answered: a row an answer. Other columns are allowed and left alone."""

    sample_id = dy.String(min_length=1)
    label = dy.String(nullable=True, description="class by name or index; empty means not answered")
    annotator = dy.String(nullable=True)
    confidence = dy.Float64(nullable=True)
    unsure = dy.Bool(nullable=True, description="true: the annotator looked and could not say; no label is taken")
    seconds = dy.Float64(nullable=True, min=0, description="time taken")
    comment = dy.String(nullable=True)
    timestamp = dy.String(nullable=True, description="when it was given, as the tool wrote it")


ANSWERS = Contract(
    "answers",
    version=1,
    schema=Answers,
    optional=dict.fromkeys(("annotator", "confidence", "unsure", "seconds", "comment", "timestamp")),
    extra=True,
)


class ReadAnswers(Answers):
    """Answers as a reader gives them on, whatever the file's format."""

    sample_id = dy.String(min_length=1, description="what the file calls the sample or its image")
    place = dy.Int64(min=0, description="the number a person finds the answer by in the file")
    rank = dy.String(nullable=True, description="of the queue, where the file still has it")
    problem = dy.String(nullable=True, description="why the answer names no class, although there is one")


READ_ANSWERS = Contract(
    "answers as read", version=1, schema=ReadAnswers, optional={**ANSWERS.optional, "rank": None, "problem": None}
)
