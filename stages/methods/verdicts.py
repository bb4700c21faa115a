"""What a comparison found, in words: what labels bought against the control, and when to stop buying.

The rules, which docs/evaluation.md tells too:

- An arm is better (worse) than its control if the interval of the paired difference at the arm's last budget lies
  above (below) 0; else no difference can be told from chance. The control's budget that bought as much is told too.
- Stop, if the interval of the last round's gain per step lies below what a step is worth, or if nothing is left to gain
  up to the bound. Go on, if it lies above. Else the data cannot tell.
"""

from __future__ import annotations

import math

from schemas.errors import listing, plural
from stages.methods.budget_curves import Estimate
from stages.methods.findings import Against, Arm, Findings, lower_is_better

_UNITS = {"labels": "labels", "minutes": "minutes", "money": "(money)"}
_STEPS = {"labels": "100 labels", "minutes": "hour", "money": "100 (money)"}


def verdict(found: Findings, held: Against) -> str:
    """Say how an arm did against its control, in a sentence or two."""
    last = held.points[-1].value if held.points else None
    if last is None or math.isnan(last.low):
        return f"{held.arm} and {held.control} have no budget in common: nothing can be said of them."
    sign = -1 if lower_is_better(found.metric) else 1
    told = f"{_bought(found, held)}: {_judgement(found, held, last, sign)} {_record(held)}"
    area = held.area
    if area is not None and not area.holds(0) and last.holds(0):
        side = "better" if sign * area.value > 0 else "worse"
        told += f" Over the whole range it was {side}: on average {signed(area)}."
    return told


def _bought(found: Findings, held: Against) -> str:
    """Say at which budget the control got as far as the arm's last."""
    spent = amount(held.budget, found.unit)
    if held.equivalent is None:
        return f"{held.arm} and {held.control} at {spent}"
    as_much = budget_in_words(held.equivalent.value, held)
    ends = f"{budget_in_words(held.equivalent.low, held)} to {budget_in_words(held.equivalent.high, held)}"
    verb = "more than all" if math.isinf(held.equivalent.value) else "as much as"
    as_much = as_much.removeprefix("more than ")
    return f"{spent} by {held.arm} bought {verb} {as_much} by {held.control} (95 % interval {ends})"


def _judgement(found: Findings, held: Against, last: Estimate, sign: int) -> str:
    name = found.metric.replace("_", " ")
    if last.holds(0):
        return f"no difference that can be told from chance ({name} {signed(last)})."
    side = "better" if sign * last.value > 0 else "worse"
    return f"{held.arm} is {side} than {held.control} there ({name} {signed(last)})."


def _record(held: Against) -> str:
    """Say how often the arm was better, by seed and budget."""
    pairs = held.wins + held.losses + held.ties
    ties = f", the same in {held.ties}" if held.ties else ""
    return f"Better in {held.wins} of {plural(pairs, 'pair')} of seed and budget, worse in {held.losses}{ties}."


def budget_in_words(budget: float, held: Against) -> str:
    """Return a budget of the control, or that it lies beyond those that were tried."""
    if math.isnan(budget):
        return "unknown"
    if math.isinf(budget):
        return f"more than {held.most:,.0f}"
    if budget <= held.least:
        return f"{held.least:,.0f}" if held.least <= 0 else f"{held.least:,.0f} or fewer"
    return f"{budget:,.0f}"


def amount(budget: float, unit: str) -> str:
    """Return a budget with its unit."""
    return f"{budget:,.0f} {_UNITS[unit]}"


def signed(found: Estimate, places: int = 3) -> str:
    """Return a difference with its interval."""
    value, low, high = (f"{one:+.{places}f}" for one in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def advice(found: Findings, arm: Arm) -> str:
    """Say whether to go on buying labels by an arm."""
    if arm.gain is None:
        return f"{arm.name}: judged at one budget only, so nothing tells whether to go on."
    gain, last = arm.gain, arm.points[-1]
    pace = f"{signed(gain.per_step, 4)} per {_STEPS[found.unit]}"
    round_ = f"the last {amount(gain.end - gain.start, found.unit)} gained {pace}"
    if arm.to_bound is not None and arm.to_bound.high <= 0:
        return f"{arm.name}: stop. All labels corrected would give no more than the {_got(last.value)} it has."
    if gain.per_step.high <= found.worth:
        return f"{arm.name}: stop. {round_[0].upper()}{round_[1:]}, {_worth(found)}.{_left(found, arm)}"
    if gain.per_step.low > found.worth:
        return f"{arm.name}: go on. {round_[0].upper()}{round_[1:]}.{_left(found, arm)}"
    return f"{arm.name}: the data cannot tell whether to go on: {round_}. {_whole(arm)}{_left(found, arm)}"


def _got(value: Estimate) -> str:
    return f"{value.value:.3f}"


def _worth(found: Findings) -> str:
    return "no gain" if found.worth == 0 else f"less than the {found.worth:g} that it must be worth"


def _whole(arm: Arm) -> str:
    """Say what all rounds together gained."""
    assert arm.gain is not None
    since = arm.gain.since_start
    told = "a gain" if since.low > 0 else "a loss" if since.high < 0 else "which cannot be told from nothing either"
    more = "" if since.low > 0 or since.high < 0 else "; more test samples or more seeds might tell"
    return f"All rounds together: {signed(since)}, {told}{more}."


def _left(found: Findings, arm: Arm) -> str:
    """Say how far all corrected is, and what that would cost at the last round's pace."""
    if arm.to_bound is None or arm.gain is None:
        return ""
    if arm.to_bound.holds(0):
        return f" What all labels corrected would add cannot be told from nothing ({signed(arm.to_bound)})."
    told = f" All labels corrected would add {signed(arm.to_bound)}"
    if arm.gain.per_step.low > 0:
        more = arm.to_bound.value / arm.gain.per_step.value * arm.gain.step
        told += f": at the last round's pace, another {amount(more, found.unit)}"
    return f"{told}."


def notes(found: Findings) -> list[str]:
    """Say what the figures rest on, and what keeps them from saying more."""
    by = "images, since no groups of them are known" if found.by_image else "groups"
    lines = [f"intervals: 95 %, paired bootstrap over {found.groups:,} {by}; {_seeds(found)}"]
    lines += [
        f"{arm.name}: left out seed {listing(arm.left_out)}, which does not reach as far as most; run it to its end"
        for arm in found.arms
        if arm.left_out
    ]
    unpaired = [f"{held.arm} and {held.control}" for held in found.against if not held.seeds]
    if unpaired:
        lines.append(f"no seed in common: means of different seeds are compared for {listing(unpaired)}")
    if not found.against:
        lines.append(
            "without a random control nobody can say that choosing paid: run the same with random choice too "
            "(`strategies: [..., random]` in the pipeline file), or name the arm to hold to: --control ARM"
        )
    if found.bound is None:
        lines.append(
            "how much all labels corrected would give is not known here (in an experiment: `bound: true` in the "
            "pipeline file, or --bound EVAL)"
        )
    return lines


def _seeds(found: Findings) -> str:
    counts = sorted({len(arm.seeds) for arm in found.arms})
    if counts == [1]:
        return "one seed, so that they are of test samples only: another seed may give another order"
    told = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    few = ", few for a sure interval" if counts[0] < 5 else ""
    return f"and over {told} seeds{few}"
