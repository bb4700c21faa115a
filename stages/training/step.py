"""One step: networks pick from a batch, and each learns from what was picked for it."""

from __future__ import annotations

import torch
from torch import Tensor

from stages.methods import losses
from stages.training.device import autocast
from stages.training.failures import (
    batch_size_that_fits,
    cannot_compile,
    is_compiler_failure,
    is_out_of_memory,
    out_of_memory,
    out_of_memory_for_share,
)
from stages.training.learning import Run
from stages.training.signals import EpochSignals
from stages.training.state import TrainingState


def step_or_say_what_fits(
    places: Tensor, state: TrainingState, run: Run, signals: EpochSignals, generator: torch.Generator
) -> tuple[float, int]:
    """Learn from one batch; return the sum of the losses learnt, and of how many samples.

    Raises:
        UsageError: the memory does not suffice, with the batch size that fits.
    """
    try:
        return _step(places, state, run, signals, generator)
    except (RuntimeError, MemoryError) as error:
        if is_compiler_failure(error):
            raise cannot_compile(error) from error
        if not is_out_of_memory(error):
            raise
        if not run.plan.team.alone:  # the others wait for this one, and none can try
            raise out_of_memory_for_share(run.plan.batch_size, run.plan.team.size) from error
    # out of the except block, so that the tensors of the batch that failed are let go of
    batch = run.examples.inputs.batch(run.examples.rows[places[:1]], None)
    fits = batch_size_that_fits(state.networks, batch, len(places), run.plan.device, run.plan.precision)
    raise out_of_memory(run.plan.batch_size, fits)


def _step(
    places: Tensor, state: TrainingState, run: Run, signals: EpochSignals, generator: torch.Generator
) -> tuple[float, int]:
    """Learn from one batch: each network from the samples that its peer picked (its own picks if it is alone).

    Picks and signals go by the cross-entropy of the logits as they are; class weights and logit adjustment bend only
    what is learnt, so that they cannot throw a class out. Each process of a team goes through its share of the batch;
    the picks are made from the whole.
    """
    plan, picker, team = run.plan, run.rule.picker, run.plan.team
    own, run.whole.count = team.share(len(places)), len(places)
    x = run.examples.inputs.batch(run.examples.rows[places], generator, own)
    given = run.examples.labels[places]
    labels = given[own].to(plan.device)

    def forward(index: int) -> tuple[Tensor, Tensor, Tensor]:
        with autocast(plan.device, plan.precision):
            penultimate, logits = run.forward[index](x)
        logits = logits.float()
        objective = run.rule.objective.losses(index, places[own], run.balance.adjusted(logits), labels)
        return penultimate.detach(), logits.detach(), objective

    picks, objectives = [], []
    for index, (penultimate, logits, objective) in enumerate(run.lanes.each(forward)):
        objectives.append(objective)
        seen = team.gather(logits, len(places))
        loss = losses.cross_entropy(seen, given)
        picks.append(picker.pick(index, places, loss))
        posterior = signals.record(index, places, seen, loss, picks[index], given)
        if picker.observes == "training-pass":
            shown = team.gather(penultimate.float(), len(places))
            picker.observe(index, places, shown, posterior, given, len(run.examples.rows))
    run.rule.objective.share(places, team)

    def learn(index: int) -> tuple[float, int]:
        picked = picks[len(picks) - 1 - index]
        chosen = torch.arange(len(places)) if picker.learns_from_all else picked
        mean = _mean(run, objectives[index], labels, chosen, given)
        state.optimizers[index].zero_grad(set_to_none=True)
        mean.backward()  # type: ignore[no-untyped-call]
        state.optimizers[index].step()
        return float(team.gather(mean.detach().reshape(1), team.size).mean()) * len(chosen), len(chosen)

    learnt = run.lanes.each(learn)
    return sum(total for total, _ in learnt), sum(count for _, count in learnt)


def _mean(run: Run, losses: Tensor, labels: Tensor, chosen: Tensor, given: Tensor) -> Tensor:
    """Return the mean loss of the chosen; of a team, what averages to it over the processes.

    Args:
        run: what stays the same.
        losses: (b,) of this process's share of the batch.
        labels: (b,) the classes of the share.
        chosen: places in the whole batch.
        given: (B,) the classes of the whole batch, on the CPU.
    """
    team, own = run.plan.team, run.plan.team.share(len(given))
    mine = chosen[(chosen >= own.start) & (chosen < own.stop)] - own.start
    mine = mine.to(run.plan.device)
    if team.alone:
        return run.balance.mean(losses[mine], labels[mine])
    everyone = given[chosen].to(run.plan.device)
    return run.balance.part_of_mean(losses[mine], labels[mine], everyone) * team.size
