"""The list of labels that are probably wrong, as a command: its files, its refusals, and what it leaves alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from alrctl import table_files
from alrctl.dataset import place_of_classes
from schemas.errors import DataError
from schemas.noise import NOISE
from schemas.noisy_ids import NOISY_IDS
from schemas.scores import SCORES

Alrctl = Callable[..., Any]
CLASSES = ["red", "green", "blue"]
WRITTEN = {"noisy_ids.parquet", "noisy_ids.csv", "noise.parquet", "transition.csv", "manifest.json"}


def foreign(count: int = 60, **changed: Any) -> pl.DataFrame:
    """Scores of another program, whose network is surely right: every third label is wrong."""
    truth = np.arange(count) % 2
    label = np.where(np.arange(count) % 3 == 0, (truth + 1) % 3, truth)
    sure = np.where(np.arange(count) // 6 % 2, 0.95, 0.97)
    posterior = np.repeat((1 - sure[:, None]) / 2, 3, axis=1)
    posterior[np.arange(count), truth] = sure
    names, said = [CLASSES[index] for index in label], [CLASSES[index] for index in truth]
    columns: dict[str, Any] = {
        "sample_id": [f"s{number:02d}" for number in range(count)],
        "given_label": names,
        "posterior": posterior.tolist(),
        "predicted_label": said,
        "entropy": np.ones(count),
        "least_confidence": np.full(count, 0.04),
        "margin": np.full(count, 0.94),
        "loss": -np.log(posterior[np.arange(count), label]),
        "suggested_label": said,
    }
    return pl.DataFrame(columns | changed)


@pytest.fixture
def given(tmp_path: Path) -> Callable[..., tuple[Any, ...]]:
    """Write scores and classes, and return the arguments that name them."""

    def write(table: pl.DataFrame | None = None, classes: list[str] = CLASSES) -> tuple[Any, ...]:
        (foreign() if table is None else table).write_parquet(tmp_path / "mine.parquet")
        (tmp_path / "classes.yaml").write_text(yaml.safe_dump({"names": classes}))
        out = ("--data", tmp_path / "classes.yaml", "-o", tmp_path / "out")
        return ("noisy-ids", tmp_path / "mine.parquet", "--bootstrap", 20, *out)

    return write


def state(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


# --- what is written -------------------------------------------------------------------------------------------------


def test_a_table_a_csv_the_noise_and_the_matrix_are_written(alrctl: Alrctl, given: Any, tmp_path: Path) -> None:
    ran = alrctl(*given(), "--json")
    assert ran.code == 0, ran.err
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == WRITTEN
    listed = table_files.read_table(out / "noisy_ids.parquet", NOISY_IDS)
    assert sorted(listed["sample_id"]) == [f"s{number:02d}" for number in range(0, 60, 3)]
    assert set(listed["given_label"]) == {"green", "blue"} and set(listed["suggested_label"]) == {"red", "green"}
    by_hand = pl.read_csv(out / "noisy_ids.csv")
    assert by_hand.columns == NOISY_IDS.schema.column_names()
    assert by_hand["sample_id"].equals(listed["sample_id"])
    noise = table_files.read_table(out / "noise.parquet", NOISE)
    assert noise["label"].to_list() == [*CLASSES, "(all)"]
    assert noise["samples"].to_list() == [20, 30, 10, 60]
    assert noise["estimated_errors"].to_list() == pytest.approx([0, 10, 10, 20], abs=0.5)
    assert noise["noise_rate"][3] == pytest.approx(1 / 3, abs=0.01)
    assert 0 < noise["low"][3] < noise["noise_rate"][3] < noise["high"][3] < 1
    assert ran.document["summary"]["probably_wrong"] == 20
    assert ran.document["summary"]["posteriors"] == "not known whether out of sample"
    assert json.loads((out / "manifest.json").read_text())["outputs"]["noisy_ids.csv"]["rows"] == 20


def test_the_matrix_has_the_form_of_the_one_that_corrupt_writes(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    ran = alrctl("noisy-ids", finished / "r1/scores", "--bootstrap", 10, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    made, found = (pl.read_csv(path / "transition.csv") for path in (finished / "noisy", tmp_path / "out"))
    made = made.drop("nominal_rate")  # what was asked for has no estimate
    assert found.columns[: made.width] == made.columns
    ends = [f"{end} {name}" for end in ("low", "high") for name in made.columns[1:-1]]
    assert found.columns[made.width :] == ["low", "high", *ends]  # as the other stages write it, and of each cell
    assert found["true_label"].to_list() == made["true_label"].to_list()
    assert [found[name].null_count() for name in made.columns] == [made[name].null_count() for name in made.columns]
    for name in made.columns[1:]:
        low, high = ("low", "high") if name == "noise_rate" else (f"low {name}", f"high {name}")
        shares = found[:-1].select(name, low=low, high=high).drop_nulls()
        assert (shares["low"] <= shares["high"]).all()
    assert found[:-1].select(pl.sum_horizontal(made.columns[1:-1])).to_series().to_list() == pytest.approx([1.0] * 3)


def test_people_are_shown_the_first_ten(alrctl: Alrctl, given: Any) -> None:
    shown = alrctl(*given()).out
    assert "the first 10 of 20, by estimate" in shown
    assert len(re.findall(r"│ s\d\d ", shown)) == 10
    assert "suggested" in shown and "estimated noise rate: 0.3" in shown


def test_no_label_at_all_may_be_wrong(alrctl: Alrctl, given: Any, tmp_path: Path) -> None:
    clean = foreign().with_columns(given_label="suggested_label", loss=pl.lit(0.04))
    ran = alrctl(*given(clean))
    assert ran.code == 0, ran.err
    assert "no label is probably wrong, by estimate" in ran.out
    assert table_files.read_table(tmp_path / "out/noisy_ids.parquet", NOISY_IDS).is_empty()
    assert (tmp_path / "out/noisy_ids.csv").read_text(encoding="utf-8-sig").strip().split(",")[0] == "rank"


EVIL = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\tx", "[/b]", '"quoted", and a comma', "a\nb"]


def test_ids_that_look_like_formulas_or_markup_are_text_everywhere(alrctl: Alrctl, given: Any, tmp_path: Path) -> None:
    names = [EVIL[number // 3] if number % 3 == 0 and number < 24 else f"s{number}" for number in range(60)]
    ran = alrctl(*given(foreign(sample_id=names)))
    assert ran.code == 0, ran.err
    assert "[/b]" in ran.out
    listed = table_files.read_table(tmp_path / "out/noisy_ids.parquet", NOISY_IDS)["sample_id"]
    assert set(EVIL) <= set(listed)
    cells = pl.read_csv(tmp_path / "out/noisy_ids.csv", infer_schema=False)["sample_id"]
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r"]
    assert cells.to_list() == ["'" + name if name[0] in "=+-@\t" else name for name in listed]


# --- what is left alone ----------------------------------------------------------------------------------------------


def test_nothing_but_the_scores_and_the_classes_is_read_and_nothing_changed(alrctl: Alrctl, work: Path) -> None:
    before = state(work)
    ran = alrctl("noisy-ids", work / "r1/scores", "--bootstrap", 10, "-o", work / "one", "--json")
    assert ran.code == 0, ran.err
    assert {path: content for path, content in state(work).items() if "/one/" not in path} == before
    inputs = json.loads((work / "one/manifest.json").read_text())["inputs"]
    assert {role: Path(record["path"]).name for role, record in inputs.items()} == {
        "scores": "scores.parquet",
        "classes": "classes.yaml",
    }
    (work / "noisy/truth.parquet").unlink()
    assert alrctl("noisy-ids", work / "r1/scores", "--bootstrap", 10, "-o", work / "two").code == 0
    for name in WRITTEN - {"manifest.json"}:
        assert (work / "one" / name).read_bytes() == (work / "two" / name).read_bytes(), name
    assert alrctl("validate", work / "one").code == 0


def test_run_again_it_is_unchanged_and_with_another_seed_it_is_not(alrctl: Alrctl, given: Any, tmp_path: Path) -> None:
    command = given()
    assert alrctl(*command).code == 0
    before = state(tmp_path / "out")
    again = alrctl(*command)
    assert again.code == 0 and "noisy-ids unchanged" in again.out
    assert state(tmp_path / "out") == before
    assert "noisy-ids done" in alrctl(*command, "--force").out
    after = state(tmp_path / "out")
    assert {path for path in before if before[path] != after[path]} <= {str(tmp_path / "out/manifest.json")}
    assert "other options: seed" in alrctl(*command, "--seed", 1, "--dry-run").out
    assert "noisy-ids done" in alrctl(*command, "--seed", 1).out
    other = pl.read_parquet(tmp_path / "out/noise.parquet")
    assert other["low"].to_list() != pl.read_parquet(before[str(tmp_path / "out/noise.parquet")])["low"].to_list()


def test_no_other_column_of_the_scores_is_read_than_is_needed(
    alrctl: Alrctl, given: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    read = table_files.read_columns
    monkeypatch.setattr(
        table_files,
        "read_columns",
        lambda path, contract, names: asked.append(tuple(names)) or read(path, contract, names),
    )
    assert alrctl(*given()).code == 0
    assert asked == [("sample_id", "group_id", "given_label", "relabelled", "posterior", "true_posterior", "loss")]
    assert set(asked[0]) < set(SCORES.schema.column_names())


# --- what training estimated ------------------------------------------------------------------------------------------


def test_where_training_estimated_the_noise_its_estimate_is_gone_by(alrctl: Alrctl, work: Path) -> None:
    ran = alrctl("noisy-ids", work / "r1/scores", "--bootstrap", 0, "-o", work / "out", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["warnings"] == []
    scores = pl.read_parquet(work / "r1/scores/scores.parquet")
    right = [
        truth[("blue", "green", "red").index(label)]
        for truth, label in scores.select("true_posterior", "given_label").iter_rows()
    ]
    assert ran.document["summary"]["estimated_noise_rate"] == pytest.approx(1 - np.mean(right), abs=1e-6)
    assert ran.document["summary"]["transition"] == "estimated"


def test_a_posterior_of_the_truth_that_is_of_other_classes_is_refused(
    alrctl: Alrctl, given: Any, tmp_path: Path
) -> None:
    table = foreign()
    truth = [[0.5, 0.5] if row == 3 else values for row, values in enumerate(table["posterior"].to_list())]
    ran = alrctl(*given(table.with_columns(true_posterior=pl.Series(truth))))
    told = (
        f"{tmp_path / 'mine.parquet'}: column 'true_posterior' has 1 list not of the 3 classes of "
        f"{tmp_path / 'classes.yaml'} (first: row 4, with 2); give the data set that was scored with --data"
    )
    check_refused(ran, 4, told, tmp_path / "out")


# --- what is known of the posteriors ---------------------------------------------------------------------------------


def with_options(scores: Path, **options: Any) -> None:
    content = json.loads((scores / "manifest.json").read_text())
    content["options"] |= options
    (scores / "manifest.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("options", "told", "warned"),
    [
        ({"cross_validate": 0, "split": "train"}, "in sample", True),
        ({"cross_validate": 5, "split": "train"}, "out of sample", False),
        ({"cross_validate": 0, "split": "test"}, "out of sample", False),
        ({"cross_validate": None}, "not known whether out of sample", False),
    ],
)
def test_what_the_scores_say_of_themselves_decides_the_warning(
    alrctl: Alrctl, work: Path, options: dict[str, Any], told: str, warned: bool
) -> None:
    with_options(work / "r1/scores", **options)
    by_network = ("--transition", "confident-joint", "--bootstrap", 0)
    ran = alrctl("noisy-ids", work / "r1/scores", *by_network, "-o", work / "out", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["posteriors"] == told
    expected = [
        "these posteriors are in sample: a network that has learnt from a label is too sure of it, so labels look "
        "better than they are and the noise rate is a lower bound; `alrctl score --cross-validate 5` asks networks "
        "that have not learnt from it"
    ]
    assert ran.document["warnings"] == (expected if warned else [])
    assert ran.document["summary"]["interval"] is None


# --- refusals --------------------------------------------------------------------------------------------------------


def check_refused(ran: Any, code: int, told: str, out: Path) -> None:
    errors = [line for line in ran.err.splitlines() if not line.startswith("warning:")]
    assert errors == [f"error: {told}"]
    assert (ran.code, ran.out) == (code, "")
    assert not out.exists()
    assert not out.with_name(f".{out.name}.alrctl").exists()


def test_scores_that_record_no_classes_need_a_data_set(alrctl: Alrctl, given: Any, tmp_path: Path) -> None:
    given()
    mine = tmp_path / "mine.parquet"
    told = f"{mine}: does not say where its data set is; name it with --data DIR"
    check_refused(alrctl("noisy-ids", mine, "-o", tmp_path / "out"), 3, told, tmp_path / "out")


def test_a_data_set_that_was_moved_is_told_by_the_place_where_it_was(
    alrctl: Alrctl, given: Any, tmp_path: Path
) -> None:
    assert alrctl(*given()).code == 0
    listed = tmp_path / "out" / "noisy_ids.parquet"
    (tmp_path / "classes.yaml").rename(tmp_path / "elsewhere.yaml")
    with pytest.raises(DataError) as refused:
        place_of_classes(listed, None)
    was = tmp_path / "classes.yaml"
    assert str(refused.value) == f"{listed}: its data set is no more where it was ({was}); name it with --data DIR"
    assert place_of_classes(listed, tmp_path / "elsewhere.yaml") == tmp_path / "elsewhere.yaml"


def _spoilt(column: str, row: int, value: Any) -> pl.DataFrame:
    table = foreign()
    values = table[column].to_list()
    values[row] = value
    return foreign(**{column: values})


@pytest.mark.parametrize(
    ("table", "code", "told"),
    [
        (
            _spoilt("given_label", 4, "gren"),
            3,
            "column 'given_label' has 1 value that is no class of this data set "
            "(first: row 5, 'gren'; did you mean 'green'?)",
        ),
        (
            _spoilt("sample_id", 4, "s01"),
            3,
            "column 'sample_id' has 2 rows repeated (it must be unique) (first: row 2, 's01')",
        ),
        (
            _spoilt("posterior", 6, [0.5, 0.4, 0.0]),
            3,
            "column 'posterior' has 1 list that does not sum to 1 (first: row 7)",
        ),
        (
            _spoilt("posterior", 6, [0.5, 0.5]),
            4,
            "column 'posterior' has 1 list not of the 3 classes of {classes} (first: row 7, with 2); give the data set "
            "that was scored with --data",
        ),
        (_spoilt("loss", 2, -1.0), 3, "column 'loss' has 1 value below the least allowed (first: row 3)"),
        (_spoilt("posterior", 2, None), 3, "column 'posterior' has 1 value empty (first: row 3)"),
        (foreign().drop("loss"), 3, "column 'loss' missing (found: "),
    ],
)
def test_scores_that_cannot_be_judged_are_refused(
    alrctl: Alrctl, given: Any, tmp_path: Path, table: pl.DataFrame, code: int, told: str
) -> None:
    ran = alrctl(*given(table))
    told = f"{tmp_path / 'mine.parquet'}: {told.format(classes=tmp_path / 'classes.yaml')}"
    if told.endswith("found: "):
        assert ran.code == code and told in ran.err and not (tmp_path / "out").exists()
    else:
        check_refused(ran, code, told, tmp_path / "out")


def test_classes_of_another_data_set_are_refused(alrctl: Alrctl, given: Any, tmp_path: Path) -> None:
    told = (
        f"{tmp_path / 'mine.parquet'}: column 'posterior' has 60 lists not of the 4 classes of "
        f"{tmp_path / 'classes.yaml'} (first: row 1, with 3); give the data set that was scored with --data"
    )
    check_refused(alrctl(*given(classes=[*CLASSES, "grey"])), 4, told, tmp_path / "out")


def test_where_an_expert_gave_every_label_there_is_nothing_to_do(alrctl: Alrctl, given: Any, tmp_path: Path) -> None:
    told = "no labels to judge: all 60 samples are relabelled"
    check_refused(alrctl(*given(foreign(relabelled=[True] * 60))), 5, told, tmp_path / "out")


def test_all_bad_options_are_told_at_once(alrctl: Alrctl, given: Any, tmp_path: Path) -> None:
    ran = alrctl(*given(), "--least", 1.5, "--transition", "symetric", "--confidence-level", 95)
    told = (
        "--least: '1.5' should be less than or equal to 1; "
        "--transition: 'symetric' is not one of auto, estimated, confident-joint, symmetric; "
        "did you mean 'symmetric'?; "
        "--confidence-level: '95' should be less than 1"
    )
    check_refused(ran, 2, told, tmp_path / "out")


def test_scores_that_are_not_there_are_refused(alrctl: Alrctl, tmp_path: Path) -> None:
    told = f"{tmp_path / 'scores'}: no such file or directory"
    check_refused(alrctl("noisy-ids", tmp_path / "scores", "-o", tmp_path / "out"), 3, told, tmp_path / "out")
