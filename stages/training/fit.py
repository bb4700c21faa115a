"""The one training loop, for every method: a rule says which samples each network learns from, and by which loss.

An epoch is a function of the state before it and of (seed, epoch) alone, so that a run that goes on from a saved state
gives the same bytes as one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stages.methods import losses
from stages.methods.class_imbalance import sampling_weights
from stages.report import Array, Report, Store
from stages.training.device import autocast
from stages.training.failures import (
    DivergedError,
    batch_size_that_fits,
    cannot_compile,
    is_compiler_failure,
    is_out_of_memory,
    out_of_memory,
    out_of_memory_for_share,
)
from stages.training.inputs import Inputs
from stages.training.lanes import Lanes
from stages.training.objective import Balance, Memoryless, Objective
from stages.training.picking import PickAll, Picker
from stages.training.plan import FitPlan, batches, check_shares, learning_rate
from stages.training.predict import predict
from stages.training.randomness import island, torch_generator
from stages.training.signals import EpochSignals, GradientWindow
from stages.training.state import Row, TrainingState, fill, tensors_of
from stages.training.synchronised import WholeBatch
from stages.training.validation import validate

_EXPLODED = 1000.0
"""Mean loss of a batch, in nats, past which no training comes back."""
_CLEAN_PASS = 8192
"""Samples of a clean pass whose features are held at a time."""


@dataclass(frozen=True)
class Rule:
    """How a method learns: which samples of a batch, and by which loss."""

    picker: Picker
    objective: Objective

    @classmethod
    def plain(cls) -> Rule:
        """Return cross-entropy on every sample."""
        return cls(PickAll(), Memoryless())


@dataclass(frozen=True)
class Examples:
    """The samples learnt from, and those that epochs are judged by.

    Attributes:
        inputs: gives batches by row of the data set.
        rows: (N,) rows to learn from.
        labels: (N,) their given classes.
        val_rows: (V,) rows of the validation split; may be empty.
        val_labels: (V,) their labels.
        classes: K.
    """

    inputs: Inputs
    rows: Tensor
    labels: Tensor
    val_rows: Tensor
    val_labels: Tensor
    classes: int


@dataclass(frozen=True)
class Fitted:
    """What training leaves, beside the networks themselves, which are trained in place.

    Attributes:
        history: a row an epoch.
        signals: of each epoch what was seen of each sample, as `EpochSignals.tensors` names it; may lie on disk.
        best_epoch: the epoch whose weights the networks hold now.
        tail: the last epochs' weights by epoch, as `tensors_of` names them; may lie on disk.
    """

    history: list[Row]
    signals: list[dict[str, Array]]
    best_epoch: int
    tail: dict[int, dict[str, Array]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Run:
    """What stays the same through a run."""

    examples: Examples
    rule: Rule
    plan: FitPlan
    report: Report
    balance: Balance
    forward: list[Callable[[Tensor], tuple[Tensor, Tensor]]]
    lanes: Lanes
    whole: WholeBatch


def fit(
    networks: Sequence[nn.Module], examples: Examples, rule: Rule, plan: FitPlan, report: Report, store: Store
) -> Fitted:
    """Train networks in place, from where a killed run with the same options stopped.

    Raises:
        DivergedError: the loss or the weights are no longer numbers, or the loss exploded.
        UsageError: the memory does not suffice for the batch size, or the samples for the processes.
    """
    check_shares(len(examples.rows), plan)
    state = TrainingState(
        [network.to(plan.device) for network in networks],
        _optimizers(networks, plan),
        GradientWindow(),
        team=plan.team,
    )
    kept = store.load()
    if kept is not None:
        state.restore(kept, rule.picker, rule.objective)
        for row in state.history:  # those who follow may have missed some
            _tell(row, report)
    balance = Balance(examples.labels, examples.classes, plan.class_weights, plan.logit_adjustment, plan.device)
    called = [plan.team.wrap(network) for network in state.networks]
    forward = [torch.compile(network) if plan.compile else network for network in called]
    in_turn = plan.compile or not plan.team.alone
    lanes = Lanes(state.networks, examples.inputs.batch(examples.rows[:2], None), in_turn)
    run = _Run(examples, rule, plan, report, balance, forward, lanes, WholeBatch(plan.team))
    try:
        for epoch in range(len(state.history), plan.epochs):
            with island(plan.seed, "epoch", epoch), run.whole.seen_by(state.networks):
                row = _epoch(epoch, state, run)
            row |= validate(
                state.networks, examples.inputs, examples.val_rows, examples.val_labels, plan.device, plan.precision
            )
            state.history.append(row)
            _remember_best(state, epoch, plan)
            if epoch >= plan.epochs - plan.keep_epochs:
                state.tail[epoch] = {name: tensor.clone() for name, tensor in tensors_of(state.networks).items()}
            state.save(rule.picker, rule.objective, store)
            _tell(row, report)
            seen = (epoch + 1) * len(examples.rows)
            report.progress(
                seen, plan.epochs * len(examples.rows), _told(epoch, row["train_loss"], state, plan), "images"
            )
    except DivergedError as error:
        good = store.load()
        if good is not None:
            fill(state.networks, good.tensors("networks"))
            error.last_good(state.networks, good.epochs)
        raise
    finally:
        lanes.close()
    if plan.keep_best and state.best:
        fill(state.networks, state.best)
    kept_epoch = state.best_epoch if plan.keep_best else plan.epochs - 1
    return Fitted(state.history, state.signals, kept_epoch, state.tail)


def _optimizers(networks: Sequence[nn.Module], plan: FitPlan) -> list[torch.optim.SGD]:
    return [
        torch.optim.SGD(n.parameters(), plan.learning_rate, momentum=plan.momentum, weight_decay=plan.weight_decay)
        for n in networks
    ]


def _epoch(epoch: int, state: TrainingState, run: _Run) -> Row:
    examples, picker, plan = run.examples, run.rule.picker, run.plan
    generator = torch_generator(plan.seed, "batches", epoch)
    rate = learning_rate(epoch, plan)
    signals = EpochSignals.empty(len(state.networks), len(examples.rows))
    picker.begin(epoch)
    for network, optimizer in zip(state.networks, state.optimizers, strict=True):
        network.train()
        optimizer.param_groups[0]["lr"] = rate
    total, learnt, seen = 0.0, 0, epoch * len(examples.rows)
    weights = sampling_weights(examples.labels, examples.classes, plan.sampling)
    for number, places in enumerate(batches(len(examples.rows), plan.batch_size, generator, weights)):
        loss, count = _step_or_say_what_fits(places, state, run, signals, generator)
        total, learnt, seen = total + loss, learnt + count, seen + len(places)
        if not abs(loss) <= _EXPLODED * count:
            raise DivergedError(loss / count, epoch, plan.learning_rate)
        if number % 8 == 7:
            told = _told(epoch, total / learnt, state, plan)
            run.report.progress(seen, plan.epochs * len(examples.rows), told, "images")
    if not state.finite():
        raise DivergedError(math.nan, epoch, plan.learning_rate)
    if picker.observes == "clean-pass":
        _clean_pass(state, run)
    picker.end(epoch, signals, examples.labels, state.window)
    state.signals.append(dict(signals.tensors()))
    return {
        "epoch": epoch,
        "learning_rate": rate,
        "forget_rate": picker.forget_rate,
        "noise_rate_estimate": picker.noise_rate_estimate,
        "train_loss": total / learnt,
        "kept_share": float(signals.kept[0].float().mean()),
        "kept_share_by_class": _kept_by_class(signals.kept[0], examples),
    }


def _step_or_say_what_fits(
    places: Tensor, state: TrainingState, run: _Run, signals: EpochSignals, generator: torch.Generator
) -> tuple[float, int]:
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
    places: Tensor, state: TrainingState, run: _Run, signals: EpochSignals, generator: torch.Generator
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


def _mean(run: _Run, losses: Tensor, labels: Tensor, chosen: Tensor, given: Tensor) -> Tensor:
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


def _clean_pass(state: TrainingState, run: _Run) -> None:
    """Show the picker each sample as it is, not augmented, with dropout off and batch norm as trained."""
    examples, plan = run.examples, run.plan
    for index, network in enumerate(state.networks):
        for places in torch.split(torch.arange(len(examples.rows)), _CLEAN_PASS):
            found = predict([network], examples.inputs, examples.rows[places], plan.device, plan.precision)
            labels = examples.labels[places]
            run.rule.picker.observe(index, places, found.embeddings, found.posterior, labels, len(examples.rows))


def _kept_by_class(kept: Tensor, examples: Examples) -> list[float | None]:
    sizes = torch.bincount(examples.labels, minlength=examples.classes)
    found = torch.bincount(examples.labels[kept], minlength=examples.classes)
    return [int(n) / int(size) if size else None for n, size in zip(found, sizes, strict=True)]


def _remember_best(state: TrainingState, epoch: int, plan: FitPlan) -> None:
    """Keep the weights of the best epoch by validation macro-F1; of equals, the earlier."""
    if not plan.keep_best:
        return
    before = state.history[state.best_epoch]["val_macro_f1"] if state.best_epoch >= 0 else None
    now = state.history[epoch]["val_macro_f1"]
    if before is None or now is None or now > before:
        state.best = {name: tensor.clone() for name, tensor in tensors_of(state.networks).items()}
        state.best_epoch = epoch


def _tell(row: Row, report: Report) -> None:
    """Tell an epoch's row of the history, once it is sure to stay."""
    report.measured({name: value for name, value in row.items() if name != "epoch"}, row["epoch"])


def _told(epoch: int, loss: float, state: TrainingState, plan: FitPlan) -> str:
    score = state.history[-1]["val_macro_f1"] if state.history else None
    after = "" if score is None else f", val macro-F1 {score:.3f}"
    return f"epoch {epoch + 1}/{plan.epochs}, loss {loss:.3f}{after}"
