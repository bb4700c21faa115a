"""From a file's answers to the ledger's: one of each annotator to each sample, and none that is known already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stages.methods.consensus import comparable, latest

Row = dict[str, Any]


@dataclass(frozen=True)
class Known:
    """The answers that the ledger holds of one sample: those that stand, and those taken back."""

    standing: Sequence[Row] = ()
    withdrawn: Sequence[Row] = ()


@dataclass
class Intake:
    """What becomes of a file's answers.

    Attributes:
        new: to be recorded, each with `charged`.
        repeated: of the same annotator, in the same file.
        known: in the ledger already.
        outdated: older than what the ledger holds of the same annotator.
        unlike: of the new ones, those that say other than the same annotator did before, where no time tells which is
            the later: the one that came last counts.
    """

    new: list[Row] = field(default_factory=list)
    repeated: list[Row] = field(default_factory=list)
    known: list[Row] = field(default_factory=list)
    outdated: list[Row] = field(default_factory=list)
    unlike: list[Row] = field(default_factory=list)


def take_in(answers: Iterable[Row], known: Mapping[str, Known], source_sha256: str) -> Intake:
    """Sort a file's answers into new, repeated, known and outdated ones.

    Args:
        answers: sample_id, kind, answer, annotator, named (whether the file itself names the annotator), answered_at,
            problem and whatever else is to be recorded.
        known: what the ledger holds, by sample.
        source_sha256: digest of the file.
    """
    found = Intake()
    for own in _by_annotator(answers):
        kept = own[0] if len(own) == 1 else _one(own)
        if len(own) > 1:
            found.repeated += [answer for answer in own if answer is not kept][: len(own) - 1]
        before = known.get(kept["sample_id"])
        if before is None:
            found.new.append({**kept, "charged": True})
            continue
        alike = [old for old in before.standing if _is_final(old) == _is_final(kept)]
        newest = [latest([old for old in alike if old["annotator"] == kept["annotator"]] or [kept])]
        if any(_same(kept, old, source_sha256, old in newest) for old in alike):
            found.known.append(kept)
        elif _is_outdated(kept, alike):
            found.outdated.append(kept)
        else:
            unlike = [old for old in before.standing if _is_final(old) != _is_final(kept)]
            again = any(_same(kept, old, source_sha256, is_latest=True) for old in [*unlike, *before.withdrawn])
            found.new.append({**kept, "charged": not again})
            own_before = [old["answered_at"] for old in alike if old["annotator"] == kept["annotator"]]
            if own_before and not comparable([kept["answered_at"], *own_before]):
                found.unlike.append(kept)
    return found


def _by_annotator(answers: Iterable[Row]) -> list[list[Row]]:
    own: dict[tuple[str, str | None], list[Row]] = {}
    for answer in answers:
        own.setdefault((answer["sample_id"], answer["annotator"]), []).append(answer)
    return list(own.values())


def _one(own: Sequence[Row]) -> Row:
    """Return what one annotator's answers to one sample come to: the latest, or an unclear one."""
    times = [answer["answered_at"] for answer in own]
    last = [answer for answer in own if answer["answered_at"] == max(times)] if comparable(times) else own
    if len({(answer["answer"], answer["problem"]) for answer in last}) == 1:
        return last[-1]
    told = ", ".join(sorted({str(answer["answer"] or answer["problem"]) for answer in last}))
    return {**last[-1], "kind": "unclear", "answer": None, "problem": f"answered twice, differently, undated ({told})"}


def _is_final(answer: Row) -> bool:
    return bool(answer["kind"] == "adjudication")


def _same(answer: Row, old: Row, source_sha256: str, is_latest: bool) -> bool:
    """Say whether the ledger holds this very answer: the same words of the same person, at no other time.

    A file that names nobody is known by its digest: its answers may have come in under another name. Where a time is
    missing, what somebody said last is the same if said again; what they said before that is a change of mind.
    """
    if (answer["answer"], answer["problem"]) != (old["answer"], old["problem"]):
        return False
    if answer["annotator"] != old["annotator"] and (answer["named"] or old["source_sha256"] != source_sha256):
        return False
    if old["source_sha256"] == source_sha256:
        return True
    times = (answer["answered_at"], old["answered_at"])
    return is_latest if None in times else times[0] == times[1]


def _is_outdated(answer: Row, standing: Sequence[Row]) -> bool:
    """Say whether the ledger holds a later answer of the same annotator."""
    times = [old["answered_at"] for old in standing if old["annotator"] == answer["annotator"]]
    return any(comparable([answer["answered_at"], time]) and str(answer["answered_at"]) < time for time in times)
