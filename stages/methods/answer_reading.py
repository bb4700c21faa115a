"""Answers as they were meant: which sample, which class, who. What cannot be read is refused, with its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from schemas.errors import DataError, MismatchError, listing, nearest, plural, shown
from stages.methods import sample_names
from stages.methods.class_reading import read_classes
from stages.methods.intake import Row
from stages.methods.sample_names import Names
from stages.report import Report

_LISTED = 20  # ids named in the summary, at most
_LEFT_OUT = {
    "not_answered": ("has no label; left as it is", "have no label; left as they are"),
    "outside_queue": ("is not in the queue; left out", "are not in the queue; left out"),
    "repeated": ("is the same annotator's again; counted once", "are the same annotator's again; counted once"),
    "already_imported": ("was taken in before; not counted again", "were taken in before; not counted again"),
    "outdated": ("is older than one taken in before; left out", "are older than those taken in before; left out"),
    "over_budget": ("is more than the budget covers; left out", "are more than the budget covers; left out"),
}


@dataclass
class Told:
    """What is left out by a rule: counted, listed, and said."""

    report: Report
    facts: dict[str, Any] = field(default_factory=dict)

    def why_nothing(self) -> str:
        """Return what became of the answers, in words."""
        return ", ".join(f"{self.facts[name]} {name.replace('_', ' ')}" for name in _LEFT_OUT if self.facts.get(name))


def drop(name: str, dropped: Sequence[Row], told: Told) -> None:
    """Count, list and say what a rule leaves out."""
    told.facts[name] = len(dropped)
    if dropped:
        samples = list(dict.fromkeys(answer["sample_id"] for answer in dropped))
        told.facts[f"{name}_samples"] = samples[:_LISTED]
        one, several = _LEFT_OUT[name]
        told.report.warn(
            f"{plural(len(dropped), 'answer')} {one if len(dropped) == 1 else several}: {listing(samples)}"
        )


@dataclass(frozen=True)
class Reading:
    """How a file's answers are to be read.

    Attributes:
        source: the file's name, for messages.
        word: what a place in it is called.
        known: (N,) ids of the samples.
        names: what else the samples are called.
        by_image: whether the file names images and not samples.
        classes: names in order.
        words: the class that words of the file mean, where the user says so.
        indices: whether classes may be named by number.
        annotator: who answered, where the file does not say.
        kind: vote or adjudication.
    """

    source: str
    word: str
    known: pl.Series
    names: Names
    by_image: bool
    classes: tuple[str, ...]
    words: Mapping[str, str | None]
    indices: bool
    annotator: str | None
    kind: str


def read(answers: pl.DataFrame, reading: Reading, told: Told) -> list[Row]:
    """Return the answers that name a class or say why none can be named; the others are left out, and told.

    Returns:
        Rows with sample_id, kind, answer (a class or None), annotator, named (whether the file names the annotator),
        answered_at, seconds, confidence, comment, problem and place.

    Raises:
        DataError: a word is no class, or a name means two samples.
        MismatchError: a name is no sample.
    """
    text = pl.col("label", "annotator", "timestamp", "comment")
    answers = answers.with_columns(pl.when(text.str.strip_chars() != "").then(text))
    words = answers["label"].drop_nulls().unique(maintain_order=True).to_list()
    meant = read_classes(words, reading.classes, reading.words, reading.indices)
    unknown = answers.filter(pl.col("label").is_in([word for word in words if word not in meant]))
    if unknown.height:
        raise DataError(_unknown_class(unknown, reading))
    nothing = [word for word, name in meant.items() if name is None]
    is_answered = (pl.col("label").is_not_null() & ~pl.col("label").is_in(nothing)) | pl.col("problem").is_not_null()
    is_answered |= pl.col("unsure").fill_null(False)
    drop("not_answered", list(answers.filter(~is_answered).iter_rows(named=True)), told)
    answered = answers.filter(is_answered)
    samples = _samples(answered, reading, told)
    return list(_rows(answered, samples, meant, reading).iter_rows(named=True))


def _rows(
    answered: pl.DataFrame, samples: Sequence[str], meant: Mapping[str, str | None], reading: Reading
) -> pl.DataFrame:
    """Return answers as the ledger words them: one with a problem names no class, whatever its label."""
    problem = pl.when(pl.col("unsure").fill_null(False)).then(pl.lit("unsure")).otherwise("problem")
    plain = problem.is_null()
    label = pl.col("label").replace_strict(meant, return_dtype=pl.String) if meant else pl.lit(None, pl.String)
    return answered.select(
        pl.Series("sample_id", samples, dtype=pl.String),
        pl.when(plain).then(pl.lit(reading.kind)).otherwise(pl.lit("unclear")).alias("kind"),
        pl.when(plain).then(label).alias("answer"),
        pl.coalesce("annotator", pl.lit(reading.annotator, pl.String)).alias("annotator"),
        pl.col("annotator").is_not_null().alias("named"),
        pl.col("timestamp").alias("answered_at"),
        "seconds",
        "confidence",
        "comment",
        "place",
        problem.alias("problem"),
    )


def _samples(answers: pl.DataFrame, reading: Reading, told: Told) -> list[str]:
    """Return the sample of each answer."""
    names = answers["sample_id"].unique(maintain_order=True).to_list()
    if reading.by_image:
        words = {*reading.classes, *reading.words, "no_label"}
        found = sample_names.of_images(names, set(reading.known.to_list()), reading.names, words)
    else:
        known = set(reading.known.filter(reading.known.is_in(names)).to_list())
        found = sample_names.of_ids(names, known, reading.names)
    ranked = answers.filter(pl.col("rank").is_not_null())
    by_rank = sample_names.of_ranks(ranked.select("sample_id", "rank").iter_rows(), reading.names)
    if by_rank:
        (name, _), sample = next(iter(by_rank.items()))
        count = plural(len(by_rank), "id")
        told.report.warn(f"{count} changed by a spreadsheet (first: '{sample}' became '{name}'); told by the rank")
    _check_ranks(ranked, found, by_rank, reading)
    samples = [found.get(name) for name in answers["sample_id"].to_list()]
    if by_rank:
        keys = answers.select("sample_id", "rank").iter_rows()
        samples = [by_rank.get(key, sample) for key, sample in zip(keys, samples, strict=True)]
    if None in samples:
        raise MismatchError(_unknown_sample(answers.filter(pl.Series([sample is None for sample in samples])), reading))
    return [sample for sample in samples if sample is not None]


def _check_ranks(
    ranked: pl.DataFrame, found: Mapping[str, str], by_rank: Mapping[tuple[str, str | None], str], reading: Reading
) -> None:
    """Refuse rows whose rank is another sample's: a spreadsheet's columns were sorted apart, or the queue is another.

    Raises:
        MismatchError: naming how many, and the first.
    """
    asked_of = set(reading.names.ranks.values())
    apart = [
        (place, name, rank, asked)
        for place, name, rank in ranked.select("place", "sample_id", "rank").iter_rows()
        if rank.isascii() and rank.isdigit() and (name, rank) not in by_rank
        if (asked := reading.names.ranks.get(int(rank))) is not None
        if found.get(name) in asked_of and found[name] != asked  # one that is not in the queue is left out anyway
    ]
    if apart:
        place, name, rank, asked = apart[0]
        raise MismatchError(
            f"{reading.source}: {plural(len(apart), reading.word)} whose rank in the queue is another sample's "
            f"(first: {reading.word} {place}, '{shown(name)}' with rank {rank}, which is '{asked}'); were columns "
            "sorted apart, or is it another queue's? where the ids are right, leave out the column 'rank'"
        )


def _unknown_sample(lost: pl.DataFrame, reading: Reading) -> str:
    place, name = lost["place"][0], lost["sample_id"][0]
    changed = [known for known in reading.known if _is_number_of(name, known)]
    guess = (
        f"; did a spreadsheet change '{changed[0]}'?"
        if len(changed) == 1
        else nearest_of(name, reading.known.to_list())
    )
    count = plural(lost.height, "answer")
    exist = "a sample that does not exist" if lost.height == 1 else "samples that do not exist"
    return f"{reading.source}: {count} for {exist} (first: {reading.word} {place}, '{shown(name)}'{guess})"


def nearest_of(name: str, known: Collection[str], most: int = 20000) -> str:
    """Return the nearest known name as a question; nothing where there are too many to look through."""
    return nearest(name, known) if len(known) <= most else ""


def _is_number_of(name: str, known: str) -> bool:
    return name != known and sample_names.same_number(name, known)


def _unknown_class(unknown: pl.DataFrame, reading: Reading) -> str:
    place, word = unknown["place"][0], unknown["label"][0]
    what = "value that is no class" if unknown.height == 1 else "values that are no class"
    guess = nearest(word, reading.classes) or f"; the classes are {listing(reading.classes, 12)}"
    found = f"{unknown.height:,} {what} of this data set"
    return f"{reading.source}: column 'label' has {found} (first: {reading.word} {place}, '{shown(word)}'{guess})"
