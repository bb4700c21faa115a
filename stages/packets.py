"""Packets: a queue is shared out among several annotators, each blind to the labels and to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.errors import UsageError
from schemas.packets import PACKETS
from stages.methods.randomness import numpy_generator


class PacketsConfig(BaseModel):
    """Options of `packets`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    annotators: tuple[str, ...] = Field(description="name of an annotator (repeat it for each)")
    per_sample: int | None = Field(None, ge=1, description="annotators who see each sample (default: all of them)")
    seed: int = Field(0, ge=0, description="of the order and of who sees what")

    @field_validator("annotators")
    @classmethod
    def _names_are_distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        stripped = tuple(name.strip() for name in names)
        if not all(stripped):
            raise ValueError("an annotator has an empty name")
        if len({name.casefold() for name in stripped}) < len(stripped):
            raise ValueError("two annotators have the same name")
        if len(stripped) < 2:
            raise ValueError("packets are for two annotators or more; give --annotators once for each")
        return stripped


@dataclass(frozen=True)
class PacketsOutputs:
    """Who is asked what.

    Attributes:
        packets: as `PACKETS`.
        facts: for a person.
    """

    packets: pl.DataFrame
    facts: dict[str, Any]


def run(config: PacketsConfig, queue: pl.DataFrame) -> PacketsOutputs:
    """Share a queue out.

    Each sample goes to `per_sample` annotators, each annotator gets as many samples as any other (one more or less),
    in an order of their own; and any two annotators share about as many samples as any other two, so that agreement
    can be told between all.

    Args:
        config: who, and how many each.
        queue: as the queue table.

    Raises:
        UsageError: more annotators a sample than there are.
    """
    several = len(config.annotators)
    each = config.per_sample or several
    if each > several:
        raise UsageError(f"--per-sample: {each} annotators a sample, and there are {several}")
    seen = _shared_out(queue.height, several, each, numpy_generator(config.seed, "packets"))
    rows = []
    for place, name in enumerate(config.annotators):
        own = np.flatnonzero(seen[:, place])
        order = numpy_generator(config.seed, "packets", place + 1).permutation(own)
        digits = len(str(len(order)))
        rows += [
            {"annotator": name, "position": position, "code": f"p{place + 1}-{position:0{digits}}", "sample_id": sample}
            for position, sample in enumerate(queue["sample_id"].gather(order), 1)
        ]
    packets = PACKETS.rows(rows)
    counts = {name: int(seen[:, place].sum()) for place, name in enumerate(config.annotators)}
    return PacketsOutputs(packets, {"samples": queue.height, "answers_asked": packets.height, "by_annotator": counts})


def _shared_out(samples: int, annotators: int, each: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return (N, A) who sees what: each sample goes to those who have least, and among them to those least together."""
    seen = np.zeros((samples, annotators), dtype=bool)
    counts = np.zeros(annotators, dtype=np.int64)
    together = np.zeros((annotators, annotators))
    for sample in range(samples):
        chosen: list[int] = []
        for _ in range(each):
            load = counts + np.isin(np.arange(annotators), chosen) * samples * annotators
            met = together[chosen].sum(axis=0) if chosen else np.zeros(annotators)
            best = np.lexsort((generator.random(annotators), met, load))
            chosen.append(int(best[0]))
        seen[sample, chosen] = True
        counts[chosen] += 1
        together[np.ix_(chosen, chosen)] += 1
    return seen
