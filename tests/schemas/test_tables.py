"""Every table survives being written and read, and says in its file what it is."""

from __future__ import annotations

from pathlib import Path

import dataframely as dy
import numpy as np
import polars as pl
import pytest

from alrctl import table_files
from schemas.contract import Contract
from schemas.errors import DataError
from schemas.tables import TABLES

ROWS = 12
_CHOSEN = {
    "samples": {"split": ["train", "val", "test"] * (ROWS // 3)},
    "predictions": {"split": ["test"] * ROWS},
    "ledger": {"kind": ["decision", "vote"] * (ROWS // 2)},
}


def _scores(generator: np.random.Generator) -> pl.DataFrame:
    """Scores by hand: a distribution in each row is nothing that sampling comes upon."""
    posterior = generator.dirichlet([1, 1, 1], ROWS)
    names = [f"sample {number}" for number in range(ROWS)]
    shares = {name: generator.random(ROWS) for name in ("entropy", "least_confidence", "margin", "loss")}
    columns = {
        "sample_id": names,
        "group_id": [None if number % 3 else "group" for number in range(ROWS)],
        "given_label": ["red"] * ROWS,
        "relabelled": generator.random(ROWS) < 0.5,
        "judged_clean": [None, True, False] * (ROWS // 3),
        "posterior": posterior.tolist(),
        "predicted_label": ["green"] * ROWS,
        **shares,
        "suggested_label": ["green"] * ROWS,
        "suggested_certainty": posterior.max(axis=1),
    }
    return TABLES["scores"].make(columns)


def _predictions(generator: np.random.Generator) -> pl.DataFrame:
    """Predictions by hand, for the same reason."""
    names = [f"sample {number}" for number in range(ROWS)]
    told = {"split": ["val"] * ROWS, "label": ["red"] * ROWS, "predicted_label": ["green"] * ROWS}
    posterior = generator.dirichlet([1, 1, 1], ROWS).tolist()
    return TABLES["predictions"].make({"sample_id": names, **told, "posterior": posterior})


_BY_HAND = {"scores": _scores, "predictions": _predictions}


def rows(contract: Contract, seed: int) -> pl.DataFrame:
    """Rows drawn from the table's own schema, or made by hand."""
    if contract.name in _BY_HAND:
        return _BY_HAND[contract.name](np.random.default_rng(seed))
    return contract.schema.sample(
        None if contract.name in _CHOSEN else ROWS,
        overrides=_CHOSEN.get(contract.name),
        generator=dy.random.Generator(seed),
    )


@pytest.mark.parametrize("contract", TABLES.values(), ids=TABLES.keys())
@pytest.mark.parametrize("seed", [0, 1])
def test_a_table_is_read_as_it_was_written(contract: Contract, seed: int, tmp_path: Path) -> None:
    written = rows(contract, seed)
    table_files.write_table(written, tmp_path / contract.file_name, contract)
    found = table_files.read_table(tmp_path / contract.file_name, contract)
    assert found.height == ROWS
    assert found.schema == contract.empty().schema
    assert found.equals(written)


@pytest.mark.parametrize("contract", TABLES.values(), ids=TABLES.keys())
def test_a_table_without_rows_is_read_as_it_was_written(contract: Contract, tmp_path: Path) -> None:
    table_files.write_table(contract.empty(), tmp_path / "empty.parquet", contract)
    assert table_files.read_table(tmp_path / "empty.parquet", contract).equals(contract.empty())


@pytest.mark.parametrize("contract", TABLES.values(), ids=TABLES.keys())
def test_a_file_carries_its_tables_name_and_version(contract: Contract, tmp_path: Path) -> None:
    table_files.write_table(contract.empty(), tmp_path / "t.parquet", contract)
    metadata = pl.read_parquet_metadata(tmp_path / "t.parquet")
    assert metadata["alrctl.schema"] == contract.name
    assert metadata["alrctl.schema_version"] == str(contract.version)


@pytest.mark.parametrize("contract", TABLES.values(), ids=TABLES.keys())
def test_a_foreign_file_without_metadata_is_accepted(contract: Contract, tmp_path: Path) -> None:
    written = rows(contract, 2)
    written.write_parquet(tmp_path / "foreign.parquet")
    assert table_files.read_table(tmp_path / "foreign.parquet", contract).equals(written)


@pytest.mark.parametrize("contract", TABLES.values(), ids=TABLES.keys())
def test_columns_that_may_be_left_out_are_filled_in(contract: Contract, tmp_path: Path) -> None:
    written = rows(contract, 3)
    written.drop(list(contract.optional)).write_parquet(tmp_path / "foreign.parquet")
    found = table_files.read_table(tmp_path / "foreign.parquet", contract)
    for name, value in contract.optional.items():
        assert found[name].to_list() == [value] * ROWS


def test_another_table_in_the_tables_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    table_files.write_table(TABLES["truth"].empty(), path, TABLES["truth"])
    with pytest.raises(DataError) as caught:
        table_files.read_table(path, TABLES["labels"])
    assert str(caught.value) == f"{path}: holds the table 'truth', not 'labels'"


def test_a_later_version_of_a_table_is_refused(tmp_path: Path) -> None:
    path, contract = tmp_path / "labels.parquet", TABLES["labels"]
    contract.empty().write_parquet(path, metadata={**contract.metadata, "alrctl.schema_version": "2"})
    with pytest.raises(DataError) as caught:
        table_files.read_table(path, contract)
    assert str(caught.value) == f"{path}: version 2 of the table 'labels'; this program reads 1"


def test_a_table_against_its_contract_is_not_written(tmp_path: Path) -> None:
    twice = pl.DataFrame({"sample_id": ["a", "a"], "true_label": ["x", "y"]})
    with pytest.raises(DataError, match="repeated"):
        table_files.write_table(twice, tmp_path / "truth.parquet", TABLES["truth"])
    assert not (tmp_path / "truth.parquet").exists()


@pytest.mark.parametrize("contract", TABLES.values(), ids=TABLES.keys())
def test_only_columns_of_the_table_may_be_left_out(contract: Contract) -> None:
    assert set(contract.optional) <= set(contract.schema.column_names())
    assert not set(contract.optional) & set(contract.schema.primary_key())
    assert contract.file_name == f"{contract.name}.parquet"
