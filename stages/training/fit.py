"""The one training loop, for every method: a rule says which samples each network learns from, and by which loss.

An epoch is a function of the state before it and of (seed, epoch) alone, so that a run that goes on from a saved state
gives the same bytes as one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stages.methods.class_imbalance import sampling_weights
from stages.report import Array, Report, Store
from stages.training.failures import DivergedError
from stages.training.lanes import Lanes
from stages.training.learning import Examples, Rule, Run
from stages.training.objective import Balance
from stages.training.plan import FitPlan, batches, check_shares, learning_rate
from stages.training.predict import predict
from stages.training.randomness import island, torch_generator
from stages.training.signals import EpochSignals, GradientWindow
from stages.training.state import Row, TrainingState, fill, tensors_of
from stages.training.step import step_or_say_what_fits
from stages.training.synchronised import WholeBatch
from stages.training.validation import validate

_EXPLODED = 1000.0
"""Mean loss of a batch, in nats, past which no training comes back."""
_CLEAN_PASS = 8192
"""Samples of a clean pass whose features are held at a time."""


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
    run = Run(examples, rule, plan, report, balance, forward, lanes, WholeBatch(plan.team))
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


def _epoch(epoch: int, state: TrainingState, run: Run) -> Row:
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
    planned = batches(len(examples.rows), plan.batch_size, generator, weights)
    for number, places in enumerate(planned):
        if number + 1 < len(planned):
            following = planned[number + 1]
            examples.inputs.expect(examples.rows[following[plan.team.share(len(following))]])
        loss, count = step_or_say_what_fits(places, state, run, signals, generator)
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


def _clean_pass(state: TrainingState, run: Run) -> None:
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
