"""What stages read of tables: posteriors as arrays, and groups by number."""

from __future__ import annotations

import numpy as np
import polars as pl

from stages.methods.samples import group_numbers, posteriors


def test_posteriors_are_rows_that_sum_to_one_in_double_precision() -> None:
    lists = [[0.3, 0.7], [0.1, 0.9], [0.333, 0.667]]
    found = posteriors(pl.DataFrame({"posterior": pl.Series(lists, dtype=pl.List(pl.Float32))}))
    np.testing.assert_allclose(found, lists, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-15)


def test_samples_of_one_group_have_its_number_and_one_without_is_alone() -> None:
    table = pl.DataFrame({"sample_id": ["a", "b", "c", "d", "e"], "group_id": ["p", None, "p", "b", None]})
    found = group_numbers(table).tolist()
    assert found[0] == found[2]
    assert len(set(found)) == 4  # a group that is called as a sample is, is another
    assert sorted(set(found)) == [0, 1, 2, 3]
