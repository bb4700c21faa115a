"""The chain as the contract writes it."""

from __future__ import annotations

from pathlib import Path

import polars as pl


def test_every_stage_leaves_the_files_of_the_contract(finished: Path) -> None:
    wanted = {
        "data": {"samples.parquet", "labels.parquet", "classes.yaml", "images.safetensors"},
        "noisy": {"labels.parquet", "truth.parquet", "transition.csv"},
        "lnl": {"checkpoint.safetensors", "clean.parquet", "signals.parquet", "history.parquet"},
        "r1/scores": {"scores.parquet", "embeddings.safetensors"},
        "r1/queue": {"queue.parquet", "queue.csv"},
        "r1/labels": {"labels.parquet", "ledger.parquet", "conflicts.parquet"},
        "r1/model": {"checkpoint.safetensors", "history.parquet"},
        "r1/eval": {"predictions.parquet", "metrics.json", "per_class.parquet", "confusion.png", "confusion.svg"},
    }
    for place, names in wanted.items():
        assert names | {"manifest.json"} <= {path.name for path in (finished / place).iterdir()}, place


def test_only_queued_samples_changed_and_each_was_charged(finished: Path) -> None:
    before = pl.read_parquet(finished / "noisy/labels.parquet")
    after = pl.read_parquet(finished / "r1/labels/labels.parquet")
    queue = pl.read_parquet(finished / "r1/queue/queue.parquet")
    ledger = pl.read_parquet(finished / "r1/labels/ledger.parquet")
    changed = after.filter((after["label"] != before["label"]) | after["relabelled"])["sample_id"]
    assert set(changed) == set(queue["sample_id"])
    assert ledger["cost"].sum() == queue.height == 12
