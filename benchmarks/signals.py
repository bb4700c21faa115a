"""Whether training's other signals tell right labels from wrong ones where the noise's estimate does not.

python benchmarks/signals.py WORK/data --out WORK/frozen --scores WORK/views/scores --seeds 3 4

WORK/frozen is what lnl_methods.py wrote of `class-aware` and of "coteaching-vog, told the rate", WORK/views what
noise_views.py wrote. A ranking of labels is learnt from their truth, by a logistic regression in five folds of whole
groups: of the estimated chance that the label is right alone, and with each other signal beside it. No method could
know that truth, so what a signal adds here is the most that it can. Figures: area under the ROC of right against wrong
labels, mean over the given classes.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from lnl_methods import arguments, place
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from alrctl.embeddings import EMBEDDINGS, read_embeddings
from stages.methods.samples import group_numbers

Floats = NDArray[np.float64]
PEER = "coteaching-vog, told the rate"
_NEIGHBOURS = 20
_EARLY = 10


def signals(home: Path, ids: pl.DataFrame, given: NDArray[np.int64], embeddings: Floats) -> dict[str, Floats]:
    """Return each signal, (N,) or (N, S)."""
    seen = pl.read_parquet(place(home, PEER, "lnl") / "signals.parquet")
    means = seen.group_by("sample_id").agg(
        margin=pl.col("margin").mean(),
        early=pl.col("loss").filter(pl.col("epoch") < _EARLY).mean(),
        kept=pl.col("kept").mean(),
        variance=pl.col("variance_of_gradients").log1p().mean(),
        peers=(pl.col("p_given").filter(network=1) - pl.col("p_given").filter(network=2)).abs().mean(),
    )
    found = ids.join(means, on="sample_id", maintain_order="left").fill_null(0)
    near = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1).fit(embeddings).kneighbors(return_distance=False)
    agree = (given[near] == given[:, None]).mean(axis=1)
    return {
        "area under the margin": found["margin"].to_numpy(),
        "early loss": found["early"].to_numpy(),
        "share of epochs in which it was picked": found["kept"].to_numpy(),
        "variance of gradients": found["variance"].to_numpy(),
        "disagreement of the two networks": found["peers"].to_numpy(),
        "neighbours with the same label": agree,
    }


def area(columns: list[Floats], given: NDArray[np.int64], right: NDArray[np.bool_], group: NDArray[np.int64]) -> float:
    """Return the mean over given classes of the area under the ROC, out of sample; one fit ranks all classes."""
    classes = np.eye(given.max() + 1)[given]
    shaped = SplineTransformer(n_knots=6, degree=2).fit_transform(np.stack(columns, axis=1))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    said = cross_val_predict(
        model, np.hstack([shaped, classes]), right, cv=GroupKFold(5), groups=group, method="predict_proba"
    )[:, 1]
    both = [index for index in np.unique(given) if 0 < right[given == index].mean() < 1]
    return float(np.mean([roc_auc_score(right[given == index], said[given == index]) for index in both]))


def main() -> None:
    words = arguments(__doc__, seeds=[3, 4])
    words.add_argument("--scores", type=Path, required=True)
    told = words.parse_args()
    names = [str(name) for name in yaml.safe_load((told.data / "classes.yaml").read_text())["names"]]
    place_of = {name: index for index, name in enumerate(names)}
    samples = pl.read_parquet(told.data / "samples.parquet").filter(split="train")
    embeddings = read_embeddings(told.scores / EMBEDDINGS, samples.height).double().numpy()
    group = group_numbers(samples)
    table: dict[str, dict[str, list[float]]] = {}
    for noise in told.noise:
        for seed in told.seeds:
            home = place(told.out, noise, str(seed))
            ids = samples.select("sample_id")
            for path in ("noisy/labels.parquet", "noisy/truth.parquet", "class-aware/lnl/clean.parquet"):
                ids = ids.join(pl.read_parquet(home / path), on="sample_id", maintain_order="left")
            given, true = (ids[column].replace_strict(place_of).to_numpy() for column in ("label", "true_label"))
            chance = np.array(ids["true_posterior"].to_list())[np.arange(len(given)), given].clip(1e-4, 1 - 1e-4)
            base = np.log(chance / (1 - chance))
            others = signals(home, ids.select("sample_id"), given, embeddings)
            ways = {"the estimate alone": [base]} | {f"and {name}": [base, other] for name, other in others.items()}
            ways["and all of these"] = [base, *others.values()]
            for name, columns in ways.items():
                found = area(columns, given, given == true, group)
                table.setdefault(name, {}).setdefault(noise, []).append(found)
    print("| ranked by |", " | ".join(told.noise), "|")
    print("|---|" + "---|" * len(told.noise))
    for name, row in table.items():
        print(f"| {name} |", " | ".join(f"{statistics.mean(row[noise]):.3f}" for noise in told.noise), "|")


if __name__ == "__main__":
    main()
