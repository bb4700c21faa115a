"""How several annotators' votes are best combined when answers are few: ways of consensus on simulated panels.

python benchmarks/consensus.py WORK/data --out WORK/frozen
python benchmarks/consensus.py WORK/data --out WORK/frozen --methods dawid-skene one-coin mmsr --repeats 5 --workers 2

WORK/frozen holds what benchmarks/strategies.py wrote; nothing is written there. The samples are the first of the queue
that `select` gives by default, so most are wrong or hard; truth and posterior are the run's own, the votes are
simulated. The methods dawid-skene, one-coin, mmsr and glad are those of crowd-kit, which must be installed for them.

decided: share of samples that the method's own rule decides, by more than half of the (weighted) votes or where it is
80 % sure; right: of these, the share that is right. All further columns have every sample decided, ties at random. at
the majority's share: right among the most certain, as many as the strict majority decides. recall: mean over the
classes there; rare: the same of the three rarest classes. overconfident: mean certainty less the share right. gain:
paired difference to the strict majority with ties at random. All are means and standard deviations over runs within a
cell (noise, panel, samples, annotators), averaged over the cells; above, below: in how many cells the mean gain is
beyond its standard deviation. runs: those in which the method did not fail.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from lnl_methods import arguments, place
from numpy.typing import NDArray

from alrctl import table_files
from alrctl.dataset import CLASSES, read_classes
from schemas.scores import SCORES
from schemas.truth import TRUTH
from stages.report import SilentReport
from stages.select import SelectConfig, SelectInputs
from stages.select import run as select

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

METHOD = "coteaching-vog, not told"
SURE = 0.8  # probability from which methods that give one decide
MOST_ERRORS = 0.9  # chance that an annotator errs on the hardest sample
FLOOR = 1e-6  # of a weight
SKILL, DOUBT = 0.8, 20.0  # an annotator is taken to be right so often, before having given so many answers
CONFUSED: dict[str, dict[str, float]] = {  # what a class is mistaken for; whatever is left, for any class
    "nv": {"mel": 0.55, "bkl": 0.35},
    "mel": {"nv": 0.55, "bkl": 0.35},
    "bkl": {"nv": 0.4, "mel": 0.35, "akiec": 0.15},
    "akiec": {"bkl": 0.5, "bcc": 0.35},
    "bcc": {"akiec": 0.4, "bkl": 0.35, "nv": 0.15},
    "df": {"bkl": 0.4, "nv": 0.4, "bcc": 0.1},
    "vasc": {"nv": 0.4, "bcc": 0.3, "mel": 0.2},
}


@dataclass(frozen=True)
class Panel:
    """How annotators err.

    Attributes:
        confusable: they take a class for those like it, and all of them err more on samples hard for the network.
        spammer: one of them is wrong eight times in ten.
        systematic: one of them takes each df for a bkl.
    """

    confusable: bool = False
    spammer: bool = False
    systematic: bool = False


PANELS = {
    "uniform": Panel(),
    "spammer": Panel(spammer=True),
    "systematic": Panel(systematic=True),
    "confusable": Panel(confusable=True),
    "all of these": Panel(confusable=True, spammer=True, systematic=True),
}
DESIGNS = {"2": (2, 2), "3": (3, 3), "5": (5, 5), "3 of 6": (6, 3)}  # annotators, and how many see a sample


@dataclass(frozen=True)
class Queue:
    """The first samples of a queue: (N,) truth, (N, K) posterior, and the classes by name and by rarity."""

    truth: Ints
    posterior: Floats
    names: tuple[str, ...]
    rare: Ints

    def first(self, count: int) -> Queue:
        """Return so many of its first samples."""
        return Queue(self.truth[:count], self.posterior[:count], self.names, self.rare)


@dataclass(frozen=True)
class Votes:
    """What a panel said.

    Attributes:
        given: (N, J) class that annotator j gave; -1 where not asked.
        ballots: (N, J, K) the same, one-hot; all 0 where not asked.
        posterior: (N, K) of the network.
    """

    given: Ints
    ballots: Floats
    posterior: Floats

    @property
    def shares(self) -> Floats:
        """(N, K) share of the votes that each class has."""
        shares: Floats = self.ballots.sum(1) / self.ballots.sum((1, 2))[:, None]
        return shares


@dataclass(frozen=True)
class Consensus:
    """What a method makes of the votes.

    Attributes:
        support: (N, K) for each class; the largest is the label.
        decided: (N,) whether the method's rule gives a label.
        certain: whether the support is meant as a probability.
    """

    support: Floats
    decided: Bools
    certain: bool = True


def read_queue(data: Path, out: Path, noise: str, seed: int, scores: str, count: int) -> Queue:
    """Return the first samples of the queue that `select` gives by default."""
    table = table_files.read_table(place(out, noise, str(seed), METHOD) / scores / "scores.parquet", SCORES)
    truth = table_files.read_table(place(out, noise, str(seed), "noisy") / "truth.parquet", TRUTH)
    names = read_classes(data / CLASSES).names
    queue = select(SelectConfig(budget=count), SelectInputs(table, names), SilentReport()).queue
    joined = (
        queue.select("sample_id")
        .join(truth, on="sample_id", maintain_order="left")
        .join(table.select("sample_id", "posterior"), on="sample_id", maintain_order="left")
    )
    places = {name: index for index, name in enumerate(names)}
    counts = dict(truth["true_label"].value_counts().iter_rows())
    return Queue(
        joined["true_label"].replace_strict(places, return_dtype=pl.Int64).to_numpy(),
        np.array(joined["posterior"].to_list(), dtype=np.float64),
        names,
        np.array([places[name] for name in sorted(names, key=lambda name: counts.get(name, 0))[:3]]),
    )


def mistakes(names: tuple[str, ...], confusable: bool) -> Floats:
    """Return (K, K): what a class is called by one who errs."""
    count = len(names)
    chances = np.full((count, count), 1.0)
    for row, name in enumerate(names):
        if confusable and name in CONFUSED:
            likely = {other: share for other, share in CONFUSED[name].items() if other in names}
            chances[row] = (1 - sum(likely.values())) / (count - 1)
            for other, share in likely.items():
                chances[row, names.index(other)] += share
        chances[row, row] = 0
    return chances / chances.sum(1, keepdims=True)


def vote(queue: Queue, panel: Panel, design: tuple[int, int], generator: np.random.Generator) -> Votes:
    """Simulate a panel's answers."""
    annotators, asked = design
    count, classes = queue.posterior.shape
    rates = generator.uniform(0.05, 0.35, annotators)
    risk = np.broadcast_to(rates, (count, annotators)).copy()
    if panel.confusable:
        hardness = 1 - queue.posterior[np.arange(count), queue.truth]
        risk = np.minimum(risk * (hardness / hardness.mean())[:, None], MOST_ERRORS)
    tables = np.repeat(mistakes(queue.names, panel.confusable)[None], annotators, 0)
    if panel.spammer:
        risk[:, 0] = 0.8
        tables[0] = mistakes(queue.names, False)
    if panel.systematic and {"df", "bkl"} <= set(queue.names):
        risk[queue.truth == queue.names.index("df"), -1] = 1.0
        tables[-1, queue.names.index("df")] = np.eye(classes)[queue.names.index("bkl")]
    wrong = tables[np.arange(annotators)[None], queue.truth[:, None]].cumsum(2)  # (N, J, K)
    drawn = (generator.random((count, annotators, 1)) * wrong[..., -1:] >= wrong).sum(2)
    given = np.where(generator.random((count, annotators)) < risk, drawn, queue.truth[:, None])
    order = generator.random((count, annotators)).argsort(1).argsort(1)
    given[order >= asked] = -1
    ballots = (given[..., None] == np.arange(classes)).astype(np.float64)
    return Votes(given, ballots, queue.posterior)


def majority(votes: Votes) -> Consensus:
    """Decide by more than half of the votes."""
    return Consensus(votes.shares, votes.shares.max(1) > 0.5)


def majority_then_network(votes: Votes) -> Consensus:
    """Decide by most votes, and ties by the network's posterior."""
    return Consensus(votes.shares + FLOOR * votes.posterior, np.ones(len(votes.given), dtype=bool))


def agreement(votes: Votes) -> Floats:
    """Return (J,) how often each annotator said what another one said of the same sample."""
    same = np.einsum("njk,nlk->jl", votes.ballots, votes.ballots)
    asked = votes.ballots.sum(2)
    pairs = asked.T @ asked
    np.fill_diagonal(same, 0)
    np.fill_diagonal(pairs, 0)
    found: Floats = same.sum(1) / np.maximum(pairs.sum(1), 1)
    return found


def wawa(votes: Votes) -> Consensus:
    """Weigh annotators by how often they agree with the majority; a tie agrees in part with each of those tied."""
    top = votes.shares >= votes.shares.max(1, keepdims=True) - 1e-9
    agreed = np.einsum("nk,njk->j", top / top.sum(1, keepdims=True), votes.ballots)
    weighed = np.einsum("njk,j->nk", votes.ballots, agreed / np.maximum(votes.ballots.sum((0, 2)), 1))
    support = weighed / weighed.sum(1, keepdims=True)
    return Consensus(support, support.max(1) > 0.5 + 1e-9)


def crowdlab(votes: Votes, network: bool) -> Consensus:
    """Weigh annotators, and the network if asked, by how much better they agree than the commonest class would.

    Goh, Tkachenko and Mueller 2022: each vote is a distribution with the panel's mean agreement P on the class given
    and the rest spread evenly; the consensus is the weighted mean of these and of the network's posterior.
    """
    count, _, classes = votes.ballots.shape
    asked = votes.ballots.sum(2)
    settled = (votes.shares + FLOOR * votes.posterior * network).argmax(1)
    agreed = (votes.given == settled[:, None]) & (asked > 0)
    likely = float((agreed.sum(1) / asked.sum(1)).mean())
    commonest = votes.ballots.sum((0, 1)).argmax()
    baseline = max(1 - float((settled == commonest).mean()), FLOOR)
    weights = np.maximum(1 - (1 - agreement(votes)) / baseline, FLOOR)
    spread = votes.ballots * likely + (1 - votes.ballots) * (1 - likely) / (classes - 1)
    support = np.einsum("njk,nj,j->nk", spread, asked, weights)
    weighed = np.einsum("njk,j->nk", votes.ballots, weights)
    decided = weighed.max(1) > (0.5 + 1e-9) * weighed.sum(1)
    total = asked @ weights
    if network:
        right = float((votes.posterior.argmax(1) == settled).mean())
        weight = max(1 - (1 - right) / baseline, FLOOR) * float(np.sqrt(asked.sum() / count))
        support, total = support + weight * votes.posterior, total + weight
        decided = support.max(1) >= SURE * total
    return Consensus(support / total[:, None], decided)


def one_coin(votes: Votes, network: bool = False, rounds: int = 50) -> Consensus:
    """One skill an annotator, by expectation-maximisation with a prior on it, all classes alike beforehand.

    With the network, its posterior is what is believed of each sample beforehand, mixed half with no belief.
    """
    count, _, classes = votes.ballots.shape
    asked = votes.ballots.sum((0, 2))
    before = np.full((count, classes), 1 / classes)
    if network:
        before = (before + votes.posterior) / 2
    truth = votes.shares
    for _ in range(rounds):
        right = np.einsum("nk,njk->j", truth, votes.ballots)
        skill = (right + SKILL * DOUBT) / (asked + DOUBT)
        lead = np.log(skill * (classes - 1) / (1 - skill))
        logits = np.log(before) + np.einsum("njk,j->nk", votes.ballots, lead)
        new = np.exp(logits - logits.max(1, keepdims=True))
        new /= new.sum(1, keepdims=True)
        moved = float(np.abs(new - truth).max())
        truth = new
        if moved < 1e-6:
            break
    return Consensus(truth, truth.max(1) >= SURE)


def confusion(votes: Votes, rounds: int = 50) -> Consensus:
    """A table of confusions an annotator (Dawid and Skene 1979), with a prior on each row, all classes alike."""
    classes = votes.ballots.shape[2]
    prior = np.full((classes, classes), (1 - SKILL) / (classes - 1))
    np.fill_diagonal(prior, SKILL)
    truth = votes.shares
    for _ in range(rounds):
        tables = np.einsum("nk,njl->jkl", truth, votes.ballots) + DOUBT * prior
        tables /= tables.sum(2, keepdims=True)
        logits = np.einsum("njl,jkl->nk", votes.ballots, np.log(tables))
        new = np.exp(logits - logits.max(1, keepdims=True))
        new /= new.sum(1, keepdims=True)
        moved = float(np.abs(new - truth).max())
        truth = new
        if moved < 1e-6:
            break
    return Consensus(truth, truth.max(1) >= SURE)


def by_crowd_kit(name: str, votes: Votes, **options: Any) -> Consensus:
    """Ask crowd-kit.

    Raises:
        SystemExit: it is not installed.
    """
    try:
        import crowdkit.aggregation as kit
        import pandas as pd
    except ImportError as error:
        raise SystemExit(f"{error}: for {', '.join(CROWD_KIT)} do `pip install crowd-kit`") from error
    sample, annotator = np.nonzero(votes.given >= 0)
    table = pd.DataFrame({"task": sample, "worker": annotator, "label": votes.given[sample, annotator]})
    count, _, classes = votes.ballots.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(kit, name)(**options)
        labels = model.fit_predict(table).sort_index().to_numpy()
    known = getattr(model, "probas_", None)
    if known is None:
        return Consensus(np.eye(classes)[labels], np.ones(count, dtype=bool), certain=False)
    support = np.nan_to_num(known.sort_index().reindex(columns=range(classes), fill_value=0.0).to_numpy())
    return Consensus(support, support.max(1) >= SURE)


METHODS: dict[str, Callable[[Votes], Consensus]] = {
    "majority": majority,
    "majority, ties to the network": majority_then_network,
    "agreement with the majority": wawa,
    "crowdlab, no network": partial(crowdlab, network=False),
    "crowdlab": partial(crowdlab, network=True),
    "one-coin, prior": one_coin,
    "one-coin, prior, network": partial(one_coin, network=True),
    "confusion, prior": confusion,
    "network alone": lambda votes: Consensus(votes.posterior, np.ones(len(votes.given), dtype=bool)),
    "dawid-skene": partial(by_crowd_kit, "DawidSkene", n_iter=100),
    "one-coin": partial(by_crowd_kit, "OneCoinDawidSkene", n_iter=100),
    "mmsr": partial(by_crowd_kit, "MMSR"),
    "glad": partial(by_crowd_kit, "GLAD"),
}
CROWD_KIT = ("dawid-skene", "one-coin", "mmsr", "glad")
OWN = [name for name in METHODS if name not in CROWD_KIT]


def figures(queue: Queue, found: Consensus, share: float, generator: np.random.Generator) -> dict[str, float | None]:
    """Measure a consensus; a share is how many of the samples the strict majority decides."""
    top = found.support.max(1)
    tied = found.support >= top[:, None] - 1e-9
    label = (tied * generator.random(tied.shape)).argmax(1)
    right = label == queue.truth
    recalls = {k: float(right[queue.truth == k].mean()) for k in np.unique(queue.truth).tolist()}
    rare = [recall for k, recall in recalls.items() if k in queue.rare]
    surest = np.lexsort((generator.random(len(top)), -top))[: round(share * len(top))]
    return {
        "decided": float(found.decided.mean()),
        "right": float(right[found.decided].mean()) if found.decided.any() else None,
        "right, all": float(right.mean()),
        "at the majority's share": float(right[surest].mean()) if found.certain and len(surest) else None,
        "recall": float(np.mean(list(recalls.values()))),
        "rare": float(np.mean(rare)) if rare else None,
        "Brier": float(((top - right) ** 2).mean()) if found.certain else None,
        "overconfident": float(top.mean() - right.mean()) if found.certain else None,
    }


def measure(given: argparse.Namespace, noise: str, seed: int) -> list[dict[str, Any]]:
    """Return a row for each method, panel, number of samples, design and repeat on one run's queue."""
    queue = read_queue(given.data, given.out, noise, seed, given.scores, max(given.samples))
    methods = dict.fromkeys(["majority", *given.methods])
    rows = []
    for panel, count, design, repeat in product(given.panels, given.samples, given.annotators, range(given.repeats)):
        first = queue.first(count)
        key = [seed, repeat, count, list(PANELS).index(panel), list(DESIGNS).index(design)]
        votes = vote(first, PANELS[panel], DESIGNS[design], np.random.default_rng(key))
        share = float(majority(votes).decided.mean())
        for name in methods:
            start = time.perf_counter()
            try:
                found = METHODS[name](votes)
            except ValueError as error:  # crowd-kit's MMSR where an annotator's skill comes out as no number
                print(f"{name} failed: {str(error).splitlines()[0][:80]}", file=sys.stderr, flush=True)
                continue
            spent = 1000 * (time.perf_counter() - start)
            values = figures(first, found, share, np.random.default_rng([*key, 1]))
            where = {"noise": noise, "seed": seed, "panel": panel, "samples": count, "annotators": design}
            rows.append({**where, "repeat": repeat, "method": name, **values, "ms": spent})
    return rows


def paired(rows: pl.DataFrame) -> pl.DataFrame:
    """Add what each method gains on the strict majority with ties at random, run by run."""
    keys = ["noise", "seed", "panel", "samples", "annotators", "repeat"]
    base = rows.filter(method="majority").select(
        *keys, pl.col("right, all").alias("_all"), pl.col("recall").alias("_recall"), pl.col("rare").alias("_rare")
    )
    return rows.join(base, on=keys, maintain_order="left").with_columns(
        (pl.col("right, all") - pl.col("_all")).alias("gain"),
        (pl.col("recall") - pl.col("_recall")).alias("gain in recall"),
        (pl.col("rare") - pl.col("_rare")).alias("gain in rare"),
    )


def table(rows: pl.DataFrame, by: list[str]) -> Iterator[str]:
    """Yield the lines of a table: means, and of gains the standard deviation over runs, averaged over the cells."""
    plain = ["decided", "right", "right, all", "at the majority's share", "recall", "rare", "Brier", "overconfident"]
    gains = ["gain", "gain in recall", "gain in rare"]
    cells = rows.group_by("noise", "panel", "samples", "annotators", "method", maintain_order=True).agg(
        pl.col(*plain, *gains, "ms").mean(),
        pl.len().alias("runs"),
        *(pl.col(name).std(ddof=0).alias(f"{name} sd") for name in [*gains, *plain]),
    )
    beyond = pl.col("gain").abs() > pl.col("gain sd")
    found = cells.group_by(*by, "method", maintain_order=True).agg(
        pl.col(*plain, *gains, "ms").mean(),
        pl.col(*(f"{name} sd" for name in [*gains, *plain])).mean(),
        (beyond & (pl.col("gain") > 1e-9)).sum().alias("above"),
        (beyond & (pl.col("gain") < -1e-9)).sum().alias("below"),
        pl.len().alias("cells"),
        pl.col("runs").sum(),
    )
    yield f"| {' | '.join([*by, 'method', *plain, *gains, 'above', 'below', 'ms', 'runs'])} |"
    yield "|" + "---|" * (len(by) + len(plain) + len(gains) + 5)
    for row in found.iter_rows(named=True):
        cell = [str(row[name]) for name in [*by, "method"]]
        for name in plain:
            cell.append("-" if row[name] is None else f"{row[name]:.3f} ± {row[f'{name} sd']:.3f}")
        cell += ["-" if row[name] is None else f"{row[name]:+.3f} ± {row[f'{name} sd']:.3f}" for name in gains]
        cell += [
            f"{row['above']}/{row['cells']}",
            f"{row['below']}/{row['cells']}",
            f"{row['ms']:.1f}",
            str(row["runs"]),
        ]
        yield f"| {' | '.join(cell)} |"


def main() -> None:
    words = arguments(__doc__, noise=["symmetric 0.4", "asymmetric 0.4"])
    words.add_argument("--scores", default="scores", help="name of the directory; scores-cv5 for cross-validated ones")
    words.add_argument("--repeats", type=int, default=10)
    words.add_argument("--panels", nargs="+", choices=PANELS, default=list(PANELS))
    words.add_argument("--samples", type=int, nargs="+", default=[70, 200, 500])
    words.add_argument("--annotators", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    words.add_argument("--methods", nargs="+", choices=METHODS, default=OWN)
    words.add_argument(
        "--by", nargs="*", default=["", "noise", "panel", "annotators", "samples", "panel samples annotators"]
    )
    words.add_argument("--workers", type=int, default=1)
    words.add_argument("--rows", type=Path, help="write a Parquet table with a row for each run here")
    given = words.parse_args()
    runs = list(product(given.noise, given.seeds))
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        found = pool.map(measure, [given] * len(runs), *zip(*runs, strict=True))
        rows = paired(pl.DataFrame([row for part in found for row in part], infer_schema_length=None))
    if given.rows:
        rows.write_parquet(given.rows)
    for by in given.by:
        print(*table(rows, by.split()), "", sep="\n", flush=True)


if __name__ == "__main__":
    main()
