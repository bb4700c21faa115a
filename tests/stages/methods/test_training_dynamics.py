"""Area under the margin and forgetting events, by sample, from signals in any order."""

from __future__ import annotations

import polars as pl
import pytest

from stages.methods.training_dynamics import training_dynamics

MARGINS = {
    "kept": [1.0, 2.0, 3.0, 4.0],
    "lost twice": [-1.0, 0.5, -1.0, -2.0, 2.0, -3.0],
    "never": [-1.0, -2.0, 0.0, -1.0],
}


def signals(margins: dict[str, list[float]]) -> pl.LazyFrame:
    rows = [
        {
            "sample_id": name,
            "epoch": epoch,
            "margin": margin,
            "variance_of_gradients": epoch / 10 if epoch > 1 else None,
        }
        for name, values in margins.items()
        for epoch, margin in enumerate(values)
    ]
    return pl.LazyFrame(rows).with_columns(pl.col("margin").cast(pl.Float32))


def by_name(table: pl.LazyFrame) -> dict[str, dict[str, float | None]]:
    return {row.pop("sample_id"): row for row in training_dynamics(table).collect().to_dicts()}


def test_the_area_under_the_margin_is_its_mean_over_the_epochs() -> None:
    found = by_name(signals(MARGINS))
    for name, values in MARGINS.items():
        assert found[name]["area_under_margin"] == pytest.approx(sum(values) / len(values))


def test_forgetting_is_to_tell_a_label_in_one_epoch_and_not_in_the_next() -> None:
    found = by_name(signals(MARGINS))
    assert {name: row["forgetting_events"] for name, row in found.items()} == {
        "kept": 0,
        "lost twice": 2,
        "never": None,
    }


def test_the_order_of_the_rows_does_not_matter() -> None:
    table = signals(MARGINS)
    mixed = table.collect().sample(fraction=1.0, shuffle=True, seed=3).lazy()
    assert by_name(mixed) == by_name(table)


def test_the_variance_of_gradients_is_the_last_epochs() -> None:
    found = {name: row["variance_of_gradients"] for name, row in by_name(signals(MARGINS)).items()}
    assert found == {"kept": 0.3, "lost twice": 0.5, "never": 0.3}
    assert by_name(signals({"short": [1.0]}))["short"]["variance_of_gradients"] is None
