"""Embeddings are read as they were written, and nothing else is taken for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from alrctl.embeddings import EMBEDDINGS, read_embeddings
from schemas.errors import DataError, MismatchError


def saved(path: Path, tensor: torch.Tensor, name: str = "embeddings") -> Path:
    save_file({name: tensor}, path)
    return path


@given(st.integers(0, 9), st.integers(1, 5), st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
@settings(max_examples=20, deadline=None)
def test_embeddings_come_back_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, rows: int, width: int, kind: torch.dtype
) -> None:
    given_tensor = torch.randn(rows, width).to(kind)
    path = saved(tmp_path_factory.getbasetemp() / EMBEDDINGS, given_tensor)
    found = read_embeddings(path, rows)
    assert found.dtype == kind
    assert torch.equal(found, given_tensor)


@pytest.mark.parametrize("rows", [0, 4, 6, 5000])
def test_another_number_of_rows_is_not_of_these_scores(tmp_path: Path, rows: int) -> None:
    path = saved(tmp_path / EMBEDDINGS, torch.zeros(5, 3))
    with pytest.raises(MismatchError) as refused:
        read_embeddings(path, rows)
    assert str(refused.value) == f"{path}: has 5 rows; the scores beside it have {rows:,}"


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (torch.zeros(5), "holds torch.float32 (5,); wanted: floats (N, H)"),
        (torch.zeros(5, 2, 2), "holds torch.float32 (5, 2, 2); wanted: floats (N, H)"),
        (torch.zeros(5, 2, dtype=torch.int64), "holds torch.int64 (5, 2); wanted: floats (N, H)"),
    ],
)
def test_a_tensor_that_is_no_embeddings_is_told(tmp_path: Path, tensor: torch.Tensor, told: str) -> None:
    path = saved(tmp_path / EMBEDDINGS, tensor)
    with pytest.raises(DataError) as refused:
        read_embeddings(path, 5)
    assert str(refused.value) == f"{path}: {told}"


def test_a_file_that_is_gone_or_cut_short_or_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / EMBEDDINGS
    with pytest.raises(DataError, match=r"embeddings\.safetensors: no such file$"):
        read_embeddings(path, 5)
    whole = saved(path, torch.zeros(5, 3)).read_bytes()
    for content in (whole[:-1], whole[:9], b"", b"no tensors at all"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"embeddings\.safetensors: is no whole file of embeddings \("):
            read_embeddings(path, 5)
    saved(path, torch.zeros(5, 3), "images")
    with pytest.raises(DataError, match=r"embeddings\.safetensors: is no whole file of embeddings \("):
        read_embeddings(path, 5)
