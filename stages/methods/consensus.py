"""What several answers to one sample come to, and how far the annotators agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np

Answer = Mapping[str, Any]
Ties = Literal["conflict", "rarer-class"]
Weights = Literal["equal", "agreement"]
_LEAST_WEIGHT = 1e-3  # so that a vote is never nothing
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Rules:
    """How several answers become a label.

    Attributes:
        min_annotators: votes that a sample needs before anything is decided.
        ties: what becomes of a sample without a strict majority.
        frequency: how many samples had each class at first; the rarer of two is the one with fewer.
        weights: of each annotator's vote.
        other_weight: of the vote of an annotator not named there.
    """

    min_annotators: int = 1
    ties: Ties = "conflict"
    frequency: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str | None, float] = field(default_factory=dict)
    other_weight: float = 1.0


@dataclass(frozen=True)
class Verdict:
    """What the answers to one sample come to.

    Attributes:
        label: the class agreed on; None where they come to nothing.
        problem: why there is no label, in words.
        waiting: whether all that is missing are more annotators.
    """

    label: str | None
    problem: str = ""
    waiting: bool = False


def settle(answers: Sequence[Answer], rules: Rules) -> Verdict:
    """Return what the answers to one sample come to.

    Adjudications stand above all votes. Of several adjudicators' answers, as of votes, the class with more than half of
    the weight is the label. An annotator who named no class has no vote.

    Args:
        answers: those that stand, in the order they came in: kind, answer, annotator, answered_at, problem.
        rules: how many are needed, and what a tie is.
    """
    if len(answers) == 1 and answers[0]["answer"] is not None and rules.min_annotators == 1:
        return Verdict(answers[0]["answer"])
    final = [answer for answer in answers if answer["kind"] == "adjudication"]
    if final:
        return _count(latest_by_annotator(final), Rules())
    current = latest_by_annotator(answers)
    votes = [answer for answer in current if answer["answer"] is not None]
    if not votes:
        return Verdict(None, "; ".join(dict.fromkeys(_unclear(answer) for answer in current)))
    if len(votes) < rules.min_annotators:
        return Verdict(None, f"{len(votes)} of {rules.min_annotators} annotators so far", waiting=True)
    return _count(votes, rules)


def _count(votes: Sequence[Answer], rules: Rules) -> Verdict:
    weight: dict[str, float] = {}
    for vote in votes:
        weight[vote["answer"]] = weight.get(vote["answer"], 0.0) + rules.weights.get(
            vote["annotator"], rules.other_weight
        )
    most = max(weight.values())
    if 2 * most > sum(weight.values()) * (1 + 1e-9):
        return Verdict(next(name for name, value in weight.items() if value == most))
    if rules.ties == "rarer-class":
        first = [name for name, value in weight.items() if value >= most * (1 - 1e-9)]
        fewest = min(rules.frequency.get(name, 0) for name in first)
        rarest = [name for name in first if rules.frequency.get(name, 0) == fewest]
        if len(rarest) == 1:
            return Verdict(rarest[0])
    told = ", ".join(f"{name} {count}" for name, count in sorted(Counter(vote["answer"] for vote in votes).items()))
    return Verdict(None, f"no majority ({told})")


def _unclear(answer: Answer) -> str:
    return f"{answer['annotator'] or 'the annotator'}: {answer['problem']}"


def latest_by_annotator(answers: Sequence[Answer]) -> list[Answer]:
    """Return of each annotator's answers to one sample the latest, in the order of the annotators' first answers."""
    own: dict[str | None, list[Answer]] = {}
    for answer in answers:
        own.setdefault(answer["annotator"], []).append(answer)
    return [latest(several) for several in own.values()]


def latest(answers: Sequence[Answer]) -> Answer:
    """Return the latest of one annotator's answers: by time, where the times can be compared, else the last that came.

    Args:
        answers: in the order they came in.
    """
    if len(answers) == 1 or not comparable([answer["answered_at"] for answer in answers]):
        return answers[-1]
    return max(reversed(answers), key=lambda answer: str(answer["answered_at"]))


def comparable(times: Sequence[str | None]) -> bool:
    """Say whether times written as text can be ordered: ISO 8601, all written alike."""
    return len({len(time or "") for time in times}) == 1 and all(_ISO_DAY.match(time or "") for time in times)


def weights_by_agreement(votes: Mapping[str, Mapping[str | None, str]]) -> dict[str | None, float]:
    """Return how often each annotator agrees with the majority; a tie agrees in part with each class tied.

    Of the ways tried to weigh annotators by few answers this is the one that never did worse than equal votes; tables
    of confusions (Dawid and Skene 1979) and an ensemble with the network (Goh et al. 2022) did (docs/experiments.md).

    Args:
        votes: the class that each annotator named, by sample; samples with one annotator tell nothing.
    """
    agreed: dict[str | None, float] = {}
    answered: dict[str | None, int] = {}
    for named in votes.values():
        if len(named) < 2:
            continue
        counts = Counter(named.values())
        most = max(counts.values())
        tied = sum(count == most for count in counts.values())
        for who, label in named.items():
            answered[who] = answered.get(who, 0) + 1
            agreed[who] = agreed.get(who, 0.0) + (counts[label] == most) / tied
    return {who: max(agreed[who] / count, _LEAST_WEIGHT) for who, count in answered.items()}


def agreement(
    votes: Mapping[str, Mapping[str | None, str]], classes: Sequence[str], ordered: bool = False
) -> list[dict[str, Any]]:
    """Return Cohen's kappa of each two annotators, on the samples that both answered.

    Cohen 1960; with squared weights for grades of one scale (Cohen 1968). Of several annotators the mean over pairs is
    Light's kappa (Light 1971), which does not need everyone to have answered everything.

    Args:
        votes: the class that each annotator named, by sample.
        classes: names in order.
        ordered: whether the classes are grades of one scale.

    Returns:
        A row a pair: one, other, samples, agreed (share), kappa (None where it is undefined: both always say the same).
    """
    place = {name: index for index, name in enumerate(classes)}
    pairs: dict[tuple[str | None, str | None], list[tuple[int, int]]] = {}
    for named in votes.values():
        for one, other in combinations(sorted(named, key=str), 2):
            pairs.setdefault((one, other), []).append((place[named[one]], place[named[other]]))
    rows = []
    for (one, other), both in sorted(pairs.items(), key=str):
        first, second = np.array(both).T
        rows.append(
            {
                "one": one,
                "other": other,
                "samples": len(both),
                "agreed": float((first == second).mean()),
                "kappa": _kappa(first, second, len(classes), "quadratic" if ordered else None),
            }
        )
    return rows


def _kappa(first: Any, second: Any, classes: int, weights: str | None) -> float | None:
    """Return Cohen's kappa, or None where only one class was ever named."""
    from sklearn.metrics import cohen_kappa_score  # slow to import, and only wanted where annotators overlap

    if len({*first, *second}) < 2:
        return None
    return float(cohen_kappa_score(first, second, labels=list(range(classes)), weights=weights))


def mean_kappa(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the mean kappa of the pairs, each as much as the samples it has; None where none has a kappa."""
    known = [row for row in rows if row["kappa"] is not None]
    if not known:
        return None
    return float(np.average([row["kappa"] for row in known], weights=[row["samples"] for row in known]))
