"""The labels as they were before anybody looked, as the ledger beside a label table tells them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from alrctl import manifest, table_files
from alrctl.dataset import DataSet
from alrctl.job import Job
from schemas.errors import DataError, plural
from schemas.ledger import LEDGER
from stages.methods.ledger import before_all
from stages.methods.samples import group_numbers
from stages.methods.transition_model import UNKNOWN
from stages.training.inputs import FeatureRows
from stages.training.noise_watch import LabelEvidence

_UNTOUCHED = ("ingest", "corrupt")
"""Stages whose label tables nobody has looked at yet, and which so have no ledger."""


def need(job: Job, labels: Path) -> Path | None:
    """Record the ledger beside the labels as an input of a stage; None where nobody has looked at any of them yet.

    Raises:
        DataError: there is none, and the labels are not fresh from a stage of this program.
    """
    ledger = job.want("ledger", labels, LEDGER.file_name)
    if ledger is not None:
        return ledger
    made = manifest.read(labels.parent)
    if made is None or made.stage not in _UNTOUCHED or labels.name not in made.outputs:
        raise DataError(
            f"{labels}: no {LEDGER.file_name} beside it tells the labels as they were before anybody looked; "
            "--no-correct is for labels that `relabel` wrote"
        )
    return None


def read(now: pl.DataFrame, ledger: Path | None, data: DataSet) -> pl.DataFrame:
    """Return the labels of `now` as they were before anybody looked.

    Args:
        now: of `read_labels`: a row a sample of the data set, with its class index in column `index`.
        ledger: that led to them; None where nobody has looked.
        data: the data set.

    Returns:
        sample_id, label, relabelled (whether the label was an expert's even then) and index.
    """
    if ledger is None:
        return now
    first = before_all(now.select("sample_id", "label", "relabelled"), table_files.read_table(ledger, LEDGER))
    return first.with_columns(
        index=pl.Series(data.classes.indices(first["label"].to_list(), str(ledger)), dtype=pl.Int64)
    )


def evidence(now: pl.DataFrame, ledger: Path | None, data: DataSet, features: FeatureRows | None) -> LabelEvidence:
    """Return what is known of the train split's labels; of one that an expert gave, what stood before by the ledger.

    Args:
        now: as of `read`.
        ledger: as of `read`.
        data: the data set.
        features: of the train split, by a frozen backbone; None where a network must learn some first.
    """
    rows = data.rows("train")
    first, now = read(now, ledger, data)[rows], now[rows]
    given = np.where(first["relabelled"].to_numpy(), UNKNOWN, first["index"].to_numpy())
    true = np.where(now["relabelled"].to_numpy(), now["index"].to_numpy(), UNKNOWN)
    return LabelEvidence(given, true, group_numbers(data.samples[rows]), features)


def check(first: pl.DataFrame, labels: Path) -> None:
    """Refuse labels that were an expert's before the ledger begins: what they were before that nothing tells.

    Raises:
        DataError: naming how many, and the first.
    """
    known = first.filter("relabelled")
    if known.height:
        raise DataError(
            f"{labels}: {plural(known.height, 'label')} (first: of '{known['sample_id'][0]}') stood as an expert's "
            "before the ledger begins; what they were before that is not known, so --no-correct cannot put them back"
        )
