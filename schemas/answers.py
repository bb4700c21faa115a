"""What experts answered: a row an answer. Other columns are allowed and left alone."""

from __future__ import annotations

import dataframely as dy

from schemas.contract import Contract


class Answers(dy.Schema):
    """What experts answered: a row an answer. Other columns are allowed and left alone."""

    sample_id = dy.String(min_length=1)
    label = dy.String(nullable=True, description="class by name or index; empty means not answered")
    annotator = dy.String(nullable=True)
    confidence = dy.Float64(nullable=True)
    seconds = dy.Float64(nullable=True, min=0, description="time taken")
    comment = dy.String(nullable=True)
    timestamp = dy.String(nullable=True, description="when it was given, as the tool wrote it")


ANSWERS = Contract(
    "answers",
    version=1,
    schema=Answers,
    optional={"annotator": None, "confidence": None, "seconds": None, "comment": None, "timestamp": None},
    extra=True,
)
