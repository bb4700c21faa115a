"""A table is held to its contract, and a breach is told with file, column, count, first row and mend."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.answers import ANSWERS
from schemas.contract import Contract
from schemas.errors import DataError
from schemas.history import HISTORY
from schemas.labels import LABELS
from schemas.ledger import LEDGER
from schemas.predictions import PREDICTIONS
from schemas.queue import QUEUE
from schemas.samples import SAMPLES
from schemas.scores import SCORES
from schemas.signals import SIGNALS


def scores(**changed: Any) -> dict[str, Any]:
    """Columns of three samples' scores, as a foreign program would write them, with some changed."""
    columns: dict[str, Any] = {
        "sample_id": ["a", "b", "c"],
        "given_label": ["red", "green", "red"],
        "posterior": [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]],
        "predicted_label": ["red", "red", "green"],
        "entropy": [0.69, 0.33, 0.5],
        "least_confidence": [0.5, 0.1, 0.2],
        "margin": [0.0, 0.8, 0.6],
        "loss": [0.69, 2.3, 1.6],
        "suggested_label": ["red", "red", "green"],
    }
    return columns | changed


def refusal(contract: Contract, columns: dict[str, Any], first_row: int = 1) -> str:
    """What is said of these columns, which must be refused."""
    with pytest.raises(DataError) as caught:
        contract.check(pl.DataFrame(columns), "given.csv", first_row)
    return str(caught.value)


def test_a_missing_column_is_named_with_those_found_and_the_likeliest_slip() -> None:
    assert refusal(LABELS, {"sample_id": ["a"], "lable": ["red"]}) == (
        "given.csv: column 'label' missing (found: 'sample_id', 'lable'); is it 'lable'?; "
        "`alrctl schema labels` lists its columns"
    )


def test_a_missing_column_is_not_guessed_at_where_nothing_is_alike() -> None:
    assert refusal(LABELS, {"sample_id": ["a"], "z": ["red"]}) == (
        "given.csv: column 'label' missing (found: 'sample_id', 'z'); `alrctl schema labels` lists its columns"
    )


def test_all_missing_columns_are_named_at_once() -> None:
    told = refusal(SAMPLES, {"sample_id": ["a"], "split": ["train"]})
    assert told.startswith("given.csv: columns 'source', 'width', 'height' missing (found: 'sample_id', 'split')")


def test_a_file_without_columns_is_said_to_have_none() -> None:
    assert "(found: none)" in refusal(LABELS, {})


def test_an_unknown_column_is_refused_and_named() -> None:
    assert refusal(LABELS, {"sample_id": ["a"], "label": ["red"], "colour": ["x"], "note": ["y"]}) == (
        "given.csv: 'colour', 'note' not part of the table 'labels'; `alrctl schema labels` lists its columns"
    )


def test_unknown_columns_of_a_file_that_people_fill_in_are_left_out() -> None:
    checked = ANSWERS.check(pl.DataFrame({"sample_id": ["a"], "label": ["red"], "mood": ["good"]}), "answers.csv")
    assert checked.columns == ANSWERS.schema.column_names()


@pytest.mark.parametrize(
    ("contract", "columns", "told"),
    [
        (
            QUEUE,
            {
                "rank": ["1", "second"],
                "sample_id": ["a", "b"],
                "given_label": ["x", "x"],
                "suggested_label": ["y", "y"],
            },
            "column 'rank' does not hold whole numbers (first: row 2, 'second')",
        ),
        (
            SCORES,
            scores(entropy=["0.1", "0.2", "much"]),
            "column 'entropy' does not hold numbers (first: row 3, 'much')",
        ),
        (
            LABELS,
            {"sample_id": ["a", "b"], "label": ["x", "y"], "relabelled": ["true", "perhaps"]},
            "column 'relabelled' does not hold true or false (first: row 2, 'perhaps')",
        ),
        (
            LABELS,
            {"sample_id": [1.0, 2.0], "label": ["x", "y"]},
            "column 'sample_id' does not hold text (first: row 1, 1.0)",
        ),
        (
            SCORES,
            scores(posterior=[["0.5", "0.5"], ["x", "1"], ["0.2", "0.8"]]),
            "column 'posterior' does not hold lists of numbers (first: row 2, ",
        ),
        (
            SCORES,
            scores(posterior=[0.5, 0.9, 0.2]),
            "column 'posterior' does not hold lists of numbers (first: row 1, ",
        ),
    ],
)
def test_a_wrong_type_is_told_with_column_row_and_value(contract: Contract, columns: dict[str, Any], told: str) -> None:
    assert refusal(contract, columns).startswith(f"given.csv: {told}")


def test_rows_are_counted_as_a_person_counts_them_in_a_csv() -> None:
    columns = {"sample_id": ["a", "b"], "label": ["x", None]}
    assert refusal(LABELS, columns, 2) == "given.csv: column 'label' has 1 value empty (first: row 3)"
    broken = scores(entropy=["0.1", "much", "0.2"])
    assert "(first: row 3, 'much')" in refusal(SCORES, broken, 2)


def test_a_repeated_key_is_told_with_count_first_row_and_value() -> None:
    assert refusal(LABELS, {"sample_id": ["a", "b", "c", "b"], "label": ["x", "x", "x", "y"]}) == (
        "given.csv: column 'sample_id' has 2 rows repeated (it must be unique) (first: row 2, 'b')"
    )


def test_a_repeated_key_of_several_columns_is_told_with_all_of_them() -> None:
    columns = {
        "sample_id": ["a", "a", "a"],
        "epoch": [0, 1, 1],
        "network": [1, 1, 1],
        "loss": [0.1, 0.2, 0.3],
        "p_given": [0.9, 0.9, 0.9],
        "margin": [1.0, 1.0, 1.0],
        "kept": [True, True, True],
    }
    told = refusal(SIGNALS, columns)
    assert told == (
        "given.csv: column 'sample_id' + 'epoch' + 'network' has 2 rows repeated (it must be unique) "
        "(first: row 2, 'a', 1, 1)"
    )


def test_nan_in_scores_is_refused_by_its_column() -> None:
    told = refusal(SCORES, scores(entropy=[0.1, float("nan"), 0.2]))
    assert told == "given.csv: column 'entropy' has 1 value NaN (first: row 2)"


def test_an_infinite_loss_is_refused() -> None:
    told = refusal(SCORES, scores(loss=[0.1, 0.2, float("inf")]))
    assert told == "given.csv: column 'loss' has 1 value infinite (first: row 3)"


def test_nan_inside_a_posterior_is_refused() -> None:
    told = refusal(SCORES, scores(posterior=[[0.5, 0.5], [float("nan"), 0.1], [0.2, 0.8]]))
    assert "column 'posterior' has 1 value NaN (first: row 2)" in told


def test_a_posterior_that_does_not_sum_to_one_is_refused() -> None:
    told = refusal(SCORES, scores(posterior=[[0.5, 0.5], [0.9, 0.1], [0.2, 0.7]]))
    assert told == "given.csv: 1 row breaks 'posterior sums to one' (first: row 3)"


def test_posteriors_of_different_lengths_are_refused() -> None:
    told = refusal(SCORES, scores(posterior=[[0.5, 0.5], [0.9, 0.1], [0.2, 0.3, 0.5]]))
    assert told == "given.csv: 1 row breaks 'posterior has the same length in every row' (first: row 3)"


def test_every_breach_is_told_not_the_first_alone() -> None:
    told = refusal(SCORES, scores(entropy=[-0.1, 0.2, 0.3], loss=[0.1, -2.0, -3.0]))
    assert "column 'entropy' has 1 value below the least allowed (first: row 1)" in told
    assert "column 'loss' has 2 values below the least allowed (first: row 2)" in told


def test_a_split_of_another_name_is_refused() -> None:
    columns = {"sample_id": ["a"], "split": ["validation"], "source": ["a.png"], "width": [3], "height": [3]}
    told = refusal(SAMPLES, columns)
    assert told == "given.csv: column 'split' has 1 value against 'is train val or test' (first: row 1)"


def test_an_empty_text_is_refused_where_a_name_is_needed() -> None:
    told = refusal(LABELS, {"sample_id": ["a", ""], "label": ["x", "x"]})
    assert told == "given.csv: column 'sample_id' has 1 value too short or empty (first: row 2)"


def test_rows_are_found_though_other_columns_hold_nan_or_nothing() -> None:
    columns = {
        "sample_id": ["a", "b", "c"],
        "label": ["x", None, "y"],
        "confidence": [0.5, None, 0.5],
        "seconds": [1.0, None, -1.0],
    }
    told = refusal(ANSWERS, columns)
    assert told == "given.csv: column 'seconds' has 1 value below the least allowed (first: row 3)"


def test_optional_columns_that_are_left_out_take_their_value() -> None:
    checked = SCORES.check(pl.DataFrame(scores()), "scores")
    assert checked["relabelled"].to_list() == [False] * 3
    assert checked["judged_clean"].to_list() == [None] * 3
    assert checked["judged_clean"].dtype == pl.Boolean
    assert checked["suggested_certainty"].dtype == pl.Float32
    queue = QUEUE.check(
        pl.DataFrame({"rank": [1], "sample_id": ["a"], "given_label": ["x"], "suggested_label": ["y"]}), "queue"
    )
    assert queue.select("score", "reason", "cost").row(0) == (None, "", 1.0)


def test_columns_come_in_the_contracts_order_and_dtypes_whatever_was_given() -> None:
    columns = dict(reversed(scores().items()))
    checked = SCORES.check(pl.DataFrame(columns), "scores")
    assert checked.schema == SCORES.empty().schema


def test_whole_numbers_serve_as_ids() -> None:
    checked = LABELS.check(pl.DataFrame({"sample_id": [7, 8], "label": [0, 1]}), "labels")
    assert checked["sample_id"].to_list() == ["7", "8"]
    assert checked["label"].to_list() == ["0", "1"]


def test_a_fraction_is_not_cut_to_a_whole_number() -> None:
    columns = {"rank": [1.0, 2.5], "sample_id": ["a", "b"], "given_label": ["x", "x"], "suggested_label": ["y", "y"]}
    assert refusal(QUEUE, columns) == "given.csv: column 'rank' does not hold whole numbers (first: row 2, 2.5)"


def test_whole_floats_serve_as_whole_numbers() -> None:
    columns = {"rank": [1.0, 2.0], "sample_id": ["a", "b"], "given_label": ["x", "x"], "suggested_label": ["y", "y"]}
    assert QUEUE.check(pl.DataFrame(columns), "queue")["rank"].to_list() == [1, 2]


def test_a_number_too_large_for_its_column_is_refused() -> None:
    columns = {"sample_id": ["a"], "split": ["train"], "source": ["a.png"], "width": [2**40], "height": [3]}
    assert refusal(SAMPLES, columns).startswith("given.csv: column 'width' does not hold whole numbers (first: row 1")


@pytest.mark.parametrize("values", [["true", "false"], ["TRUE", "False"], ["1", "0"], [1, 0], [1.0, 0.0]])
def test_truth_is_read_as_programs_write_it(values: list[Any]) -> None:
    frame = pl.DataFrame({"sample_id": ["a", "b"], "label": ["x", "y"], "relabelled": values})
    assert LABELS.check(frame, "labels")["relabelled"].to_list() == [True, False]


@pytest.mark.parametrize("value", [2, -1, 0.5, float("nan")])
def test_a_number_that_is_neither_0_nor_1_is_no_truth(value: float) -> None:
    columns = {"sample_id": ["a", "b"], "label": ["x", "y"], "relabelled": [type(value)(0), value]}
    told = refusal(LABELS, columns)
    assert told.startswith("given.csv: column 'relabelled' does not hold true or false (first: row 2")


def test_fixed_size_arrays_serve_as_posteriors() -> None:
    columns = scores()
    columns["posterior"] = pl.Series(columns["posterior"], dtype=pl.Array(pl.Float64, 2))
    checked = SCORES.check(pl.DataFrame(columns), "scores")
    assert checked["posterior"].dtype == pl.List(pl.Float32)


def test_a_table_of_our_own_making_is_checked_too() -> None:
    with pytest.raises(DataError, match=r"^labels: column 'sample_id' has 2 rows repeated"):
        LABELS.make({"sample_id": ["a", "a"], "label": ["x", "y"]})


def test_shares_by_class_may_be_null_but_not_above_one() -> None:
    row = {
        "epoch": [0],
        "learning_rate": [0.1],
        "forget_rate": [0.0],
        "noise_rate_estimate": [None],
        "train_loss": [1.0],
        "val_loss": [None],
        "val_accuracy": [None],
        "val_balanced_accuracy": [None],
        "val_macro_f1": [None],
        **{f"val_{name}": [None] for name in ("macro_precision", "macro_auroc", "mcc", "confusion")},
        **{f"val_{name}_by_class": [None] for name in ("precision", "recall", "f1", "auroc")},
        "kept_share": [1.0],
    }
    assert HISTORY.make(row | {"kept_share_by_class": [[1.0, None]]}).height == 1
    told = refusal(HISTORY, row | {"kept_share_by_class": [[1.5, None]]})
    assert told == "given.csv: column 'kept_share_by_class' has 1 value above the most allowed (first: row 1)"


def event(**changed: Any) -> dict[str, Any]:
    """Columns of one event of the ledger, with some changed."""
    columns = {name: [None] for name in LEDGER.schema.column_names()} | {
        "event": [1],
        "round": [1],
        "kind": ["vote"],
        "sample_id": ["a"],
        "label_before": ["x"],
        "label_after": ["y"],
        "relabelled_before": [False],
        "charged": [True],
        "cost": [1.0],
        "unit": ["labels"],
        "version": ["1"],
        "previous": ["0" * 64],
        "hash": ["f" * 64],
    }
    return columns | {name: [value] for name, value in changed.items()}


@pytest.mark.parametrize("kind", ["vote", "adjudication", "unclear", "withdrawal", "decision", "reversal"])
def test_an_event_is_of_one_of_six_kinds(kind: str) -> None:
    assert LEDGER.check(pl.DataFrame(event(kind=kind)), "ledger").height == 1


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("kind", "guess", "against 'is kind of event'"),
        ("source_sha256", "not a digest", "not of the form that is asked for"),
        ("previous", "0" * 63, "not of the form that is asked for"),
        ("hash", "F" * 64, "not of the form that is asked for"),
        ("event", 0, "below the least allowed"),
        ("round", 0, "below the least allowed"),
        ("cost", -1.0, "below the least allowed"),
        ("withdraws", 0, "below the least allowed"),
        ("charged", None, "empty"),
    ],
)
def test_an_event_that_cannot_have_been_written_is_refused(column: str, value: Any, told: str) -> None:
    assert f"column '{column}' has 1 value {told} (first: row 1)" in refusal(LEDGER, event(**{column: value}))


def test_a_part_of_a_contract_asks_for_its_columns_alone_in_their_types() -> None:
    part = SCORES.part(["loss", "sample_id", "judged_clean"])
    assert part.schema.column_names() == ["loss", "sample_id", "judged_clean"]
    checked = part.check(pl.DataFrame({"sample_id": [7, 8], "loss": ["0.5", "1"]}), "given.csv")
    assert checked.schema == {"loss": pl.Float32, "sample_id": pl.String, "judged_clean": pl.Boolean}
    assert checked.rows() == [(0.5, "7", None), (1.0, "8", None)]
    assert part.name == "scores"
    assert part.metadata == SCORES.metadata


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"entropy": [0.1, -0.1]}, "column 'entropy' has 1 value below the least allowed (first: row 2)"),
        ({"entropy": [float("nan"), 0.1]}, "column 'entropy' has 1 value NaN (first: row 1)"),
        ({"entropy": [0.1, None]}, "column 'entropy' has 1 value empty (first: row 2)"),
        ({"entropy": ["0.1", "much"]}, "column 'entropy' does not hold numbers (first: row 2, 'much')"),
        ({"sample_id": ["a", ""]}, "column 'sample_id' has 1 value too short or empty (first: row 2)"),
        (
            {"sample_id": ["a", "b"], "posterior": [[0.5, 1.5], [0.5, 0.5]]},
            "column 'posterior' has 1 value above the most allowed (first: row 1)",
        ),
    ],
)
def test_a_part_of_a_contract_holds_values_to_their_ranges(columns: dict[str, Any], told: str) -> None:
    assert refusal(SCORES.part(list(columns)), columns) == f"given.csv: {told}"


def test_a_part_of_a_contract_misses_what_is_asked_for_and_refuses_what_is_not() -> None:
    part = SCORES.part(["sample_id", "entropy"])
    assert refusal(part, {"sample_id": ["a"]}).startswith("given.csv: column 'entropy' missing (found: 'sample_id')")
    assert "'loss' not part of the table 'scores'" in refusal(
        part, {"sample_id": ["a"], "entropy": [0.1], "loss": [0.1]}
    )


def test_a_part_of_a_key_may_stand_in_several_rows() -> None:
    frame = pl.DataFrame({"sample_id": ["a", "a"], "loss": [0.1, 0.2]})
    assert SIGNALS.part(["sample_id", "loss"]).check(frame, "signals").height == 2


def test_taking_a_part_leaves_the_contract_as_it_was() -> None:
    SCORES.part(["sample_id", "entropy"])
    SCORES.part(SCORES.schema.column_names())
    assert SCORES.schema.primary_key() == ["sample_id"]
    told = refusal(SCORES, scores(sample_id=["a", "b", "a"]))
    assert told == "given.csv: column 'sample_id' has 2 rows repeated (it must be unique) (first: row 1, 'a')"


@given(st.permutations(LABELS.schema.column_names()), st.lists(st.text(min_size=1), min_size=1, unique=True))
@settings(max_examples=25, deadline=None)
def test_a_checked_table_passes_again_unchanged(order: list[str], names: list[str]) -> None:
    frame = pl.DataFrame({"sample_id": names, "label": names, "relabelled": [True] * len(names)}).select(order)
    checked = LABELS.check(frame, "labels")
    assert LABELS.check(checked, "labels").equals(checked)
    assert checked["sample_id"].to_list() == names


@pytest.mark.parametrize(
    ("posteriors", "rule"),
    [([[0.5, 0.5], [0.5, 0.4]], "sums to one"), ([[0.5, 0.5], [1.0]], "has the same length in every row")],
)
def test_predictions_hold_posteriors_to_distributions(posteriors: list[list[float]], rule: str) -> None:
    rows = {"sample_id": ["a", "b"], "split": "test", "label": "red", "predicted_label": "red"}
    with pytest.raises(DataError, match=f"1 row breaks 'posterior {rule}' \\(first: row 2\\)"):
        PREDICTIONS.check(pl.DataFrame(rows | {"posterior": posteriors}), "predictions.csv")
