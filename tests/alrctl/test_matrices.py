"""A matrix in a file means the same however its rows and columns stand; what is no matrix of the classes is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alrctl.csv_files import write_csv
from alrctl.matrices import read_matrix, read_transition
from schemas.classes import Classes
from schemas.errors import DataError

CLASSES = Classes(names=("red", "green", "blue"))


names = st.lists(
    st.one_of(
        st.sampled_from(
            ["(all)", "given red", "red", "noise_rate", "true_label", "=1+1", "^a$", "'=x", "-", "a,b", 'q"']
        )
        | st.text("abc(^$.*=+-,;'\"é ", min_size=1, max_size=6).map(str.strip).filter(bool)
    ),
    min_size=2,
    max_size=5,
    unique=True,
)


def text(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(content)
    return path


def written(path: Path, classes: tuple[str, ...], matrix: np.ndarray, own: bool, order: list[int]) -> Path:
    """Write a matrix, its rows in another order and its columns in the reverse one; `own`: as `corrupt` does."""
    rows = [classes[place] for place in order]
    before = "given " if own else ""
    columns = {f"{before}{classes[place]}": matrix[order, place] for place in reversed(order)}
    frame = pl.DataFrame({"true_label" if own else "": rows, **columns})
    if own:
        frame = frame.with_columns(noise_rate=pl.lit(0.5), nominal_rate=pl.lit(0.1), **{"low given x": pl.lit(0.1)})
        last = pl.DataFrame({"true_label": ["(all)"], "noise_rate": [0.5]})
        frame = pl.concat([frame, last], how="diagonal")
    write_csv(frame, path)
    return path


@given(names, st.booleans(), st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_a_matrix_means_the_same_in_any_order_and_by_any_names(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[str], own: bool, seed: int
) -> None:
    classes, size = tuple(drawn), len(drawn)
    order = np.random.default_rng(seed).permutation(size).tolist()
    matrix = np.random.default_rng(seed + 1).dirichlet(np.ones(size), size)
    path = written(tmp_path_factory.getbasetemp() / "any.csv", classes, matrix, own, order)
    found = read_transition(path, Classes(names=classes))
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-12)
    assert not found.of_counts
    if not own:
        np.testing.assert_allclose(read_matrix(path, Classes(names=classes)), matrix)


def test_counts_are_divided_by_their_rows_and_told_apart(tmp_path: Path) -> None:
    path = text(tmp_path, "true,red,green,blue\nred,7,1,2\ngreen,0,1,0\nblue,0,0,0\n")
    found = read_transition(path, CLASSES)
    assert found.of_counts
    assert found.matrix[:2].tolist() == [[0.7, 0.1, 0.2], [0, 1, 0]]
    assert np.isnan(found.matrix[2]).all()


def test_whole_numbers_whose_rows_sum_to_1_are_shares(tmp_path: Path) -> None:
    found = read_transition(text(tmp_path, "t,red,green,blue\nred,0,1,0\ngreen,1,0,0\nblue,0,0,1\n"), CLASSES)
    assert not found.of_counts
    assert found.matrix.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_shares_rounded_to_two_digits_are_taken_and_made_to_sum_to_1(tmp_path: Path) -> None:
    path = text(tmp_path, "t,red,green,blue\nred,0.33,0.33,0.33\ngreen,0,1,0\nblue,0.34,0.34,0.33\n")
    found = read_transition(path, CLASSES)
    np.testing.assert_allclose(found.matrix.sum(axis=1), 1)
    assert found.matrix[0].tolist() == pytest.approx([1 / 3] * 3)


def test_an_empty_row_says_nothing_of_its_class(tmp_path: Path) -> None:
    found = read_transition(text(tmp_path, "t,red,green,blue\nred,0.5,0.5,0\ngreen,,,\nblue,0,0,1\n"), CLASSES)
    assert np.isnan(found.matrix[1]).all()
    assert found.matrix[[0, 2]].tolist() == [[0.5, 0.5, 0], [0, 0, 1]]


HEAD = "t,red,green,blue\n"
REST = "green,0,1,0\nblue,0,0,1\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            f"{HEAD}red,0.5,0.4,0\n{REST}",
            "1 row with a sum that is not 1, give or take 0.01 (first: 'red', which sums to 0.9)",
        ),
        (
            f"{HEAD}red,50.5,49.5,0\n{REST}",
            "1 row with a sum that is not 1, give or take 0.01 (first: 'red', which sums to 100)",
        ),
        (
            f"{HEAD}red,0,0,0\n{REST}",
            "1 row with a sum that is not 1, give or take 0.01 (first: 'red', which sums to 0)",
        ),
        (f"{HEAD}red,1.2,-0.2,0\n{REST}", "holds a number below 0"),
        (f"{HEAD}red,0.5,,0.5\n{REST}", "holds a cell that is empty or no finite number, in a row that has others"),
        (f"{HEAD}red,inf,0,0\n{REST}", "holds a cell that is empty or no finite number, in a row that has others"),
        (f"{HEAD}red,a,0,0\n{REST}", "holds a cell that is no number"),
        (f"{HEAD}red,,,\ngreen,,,\nblue,,,\n", "all rows are empty"),
        (f"{HEAD}rad,1,0,0\n{REST}", "rows must be the classes, each once: red, green, blue"),
        (f"{HEAD}{REST}", "rows must be the classes, each once: red, green, blue"),
        (f"{HEAD}red,1,0,0\nred,1,0,0\n{REST}", "rows must be the classes, each once: red, green, blue"),
        ("t,red,green\nred,1,0\ngreen,0,1\n", "columns must be the classes, each once: red, green, blue"),
    ],
)
def test_what_is_no_transition_matrix_of_the_classes_is_refused(tmp_path: Path, content: str, told: str) -> None:
    path = text(tmp_path, content)
    with pytest.raises(DataError) as refused:
        read_transition(path, CLASSES)
    assert str(refused.value) == f"{path}: {told}"


def test_a_matrix_of_costs_may_have_no_empty_row(tmp_path: Path) -> None:
    path = text(tmp_path, f"{HEAD}red,,,\n{REST}")
    with pytest.raises(DataError) as refused:
        read_matrix(path, CLASSES)
    assert str(refused.value) == f"{path}: holds a cell that is empty or no finite number"
