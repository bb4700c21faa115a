"""What phase 1 saw of each sample is read for the samples asked for, in their order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from alrctl import signals, table_files
from schemas.errors import MismatchError
from schemas.signals import SIGNALS

DATA: Any = SimpleNamespace(samples=pl.DataFrame({"sample_id": ["a", "b", "c", "d"]}))


def written(path: Path, names: list[str], network: int = 1) -> Path:
    """Write two epochs in which the margin is 1, then -1, and every sample is kept in the first alone."""
    rows = [
        {"sample_id": name, "epoch": epoch, "network": network, "loss": 1.0, "p_given": 0.4, "margin": 1.0 - 2 * epoch}
        | {"kept": epoch == 0, "variance_of_gradients": None}
        for epoch in range(2)
        for name in names
    ]
    table_files.write_table(SIGNALS.rows(rows), path / "signals.parquet", SIGNALS)
    return path / "signals.parquet"


def test_what_was_seen_is_told_by_epoch_and_a_sample_not_seen_was_not_kept_and_has_no_loss(tmp_path: Path) -> None:
    found = list(signals.by_epoch(written(tmp_path, ["c", "a"]), DATA, np.array([0, 1, 2])))
    kept = [(seen.epoch, seen.kept.tolist()) for seen in found]
    assert kept == [(0, [True, False, True]), (1, [False, False, False])]
    for seen in found:
        np.testing.assert_array_equal(seen.loss, [1, np.nan, 1])


def test_what_was_seen_is_that_of_the_first_network(tmp_path: Path) -> None:
    assert list(signals.by_epoch(written(tmp_path, ["a"], network=2), DATA, np.array([0]))) == []


def test_the_course_of_training_is_given_in_the_order_asked_for(tmp_path: Path) -> None:
    found = signals.dynamics(written(tmp_path, ["c", "a"]), DATA, np.array([1, 2, 0]))
    assert found["area_under_margin"].to_list() == [None, 0.0, 0.0]
    assert found["forgetting_events"].to_list() == [None, 1, 1]


def test_only_the_first_network_is_read(tmp_path: Path) -> None:
    found = signals.dynamics(written(tmp_path, ["a"], network=2), DATA, np.array([0]))
    assert found["area_under_margin"].to_list() == [None]


def test_signals_of_samples_that_the_data_set_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="stranger"):
        signals.dynamics(written(tmp_path, ["a", "stranger"]), DATA, np.array([0]))
