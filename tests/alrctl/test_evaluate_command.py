"""`alrctl evaluate` on another program's predictions: every way to give them, and every refusal in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from alrctl import files, table_files
from schemas.labels import LABELS
from schemas.per_class import PER_CLASS
from schemas.predictions import PREDICTIONS
from schemas.samples import SAMPLES
from schemas.subgroups import SUBGROUPS
from stages.methods import metrics
from stages.methods.metrics import Yardstick
from stages.methods.predictions import Predictions

CLASSES = ("nv", "Mel", "basal cell")
SPLITS = ("train",) * 24 + ("val",) * 12 + ("test",) * 48
IDS = [f"img/{number:03d}.png" for number in range(len(SPLITS))]
LABEL = np.random.default_rng(0).choice(3, len(SPLITS), p=[0.6, 0.3, 0.1])
TEST = np.flatnonzero(np.array(SPLITS) == "test")


def drawn() -> NDArray[np.float64]:
    """Posteriors of all samples that tell a little about their labels, in thousandths, so that text holds them."""
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(len(SPLITS), 3)) + 1.5 * np.eye(3)[LABEL]
    thousandths = np.floor(1000 * np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    thousandths[:, 0] += 1000 - thousandths.sum(axis=1)
    return np.asarray(thousandths / 1000)


POSTERIOR = drawn()


@dataclass
class Project:
    """A data set without images, and the command on it."""

    folder: Path
    alrctl: Any

    @property
    def out(self) -> Path:
        return self.folder / "eval"

    def write(self, label: NDArray[np.int64], ordered: bool = False) -> None:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        ids = pl.DataFrame({"sample_id": IDS})
        group = [f"p{number // 2}" for number in range(len(IDS))]
        samples = ids.with_columns(
            split=pl.Series(SPLITS), group_id=pl.Series(group), source="sample_id", width=pl.lit(9), height=pl.lit(9)
        )
        table_files.write_table(samples, data / "samples.parquet", SAMPLES)
        named = ids.with_columns(label=pl.Series([CLASSES[index] for index in label]), relabelled=pl.lit(False))
        table_files.write_table(named, data / "labels.parquet", LABELS)
        files.write_yaml({"names": list(CLASSES), "ordered": ordered}, data / "classes.yaml")

    def csv(
        self, columns: dict[str, Any], rows: NDArray[np.int64] = TEST, separator: str = ",", ids: Any = IDS
    ) -> Path:
        path = self.folder / "said.csv"
        lines = [separator.join(["sample_id", *columns])]
        for row in rows:
            lines.append(separator.join([ids[row], *("" if c[row] is None else str(c[row]) for c in columns.values())]))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def run(self, path: Path | None, *more: Any) -> Any:
        said = () if path is None else ("--predictions", path)
        return self.alrctl(
            "evaluate", self.folder / "data", *said, "--bootstrap", 20, "--no-figures", "-o", self.out, *more
        )

    def metrics(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "metrics.json").read_text())
        return found

    def values(self) -> dict[str, Any]:
        return {name: told["value"] for name, told in self.metrics()["metrics"].items()}


@pytest.fixture
def project(tmp_path: Path, alrctl: Any) -> Project:
    made = Project(tmp_path, alrctl)
    made.write(LABEL)
    return made


def columns() -> dict[str, Any]:
    return {name: POSTERIOR[:, index] for index, name in enumerate(CLASSES)}


def expected(**more: Any) -> dict[str, float | None]:
    counts = np.bincount(LABEL[:24], minlength=3)
    groups = {"many": counts > 100, "medium": (counts <= 100) & (counts >= 20), "few": counts < 20}
    given = Predictions(LABEL[TEST].astype(np.int64), POSTERIOR[TEST])
    return metrics.overall(given, Yardstick(top_k=(2, 3), class_groups=groups, **more))


def same(found: dict[str, Any], wanted: dict[str, float | None], tolerance: float = 1e-9) -> None:
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name] == (value if value is None else pytest.approx(value, abs=tolerance)), name


def refused(project: Project, ran: Any, code: int, told: str) -> None:
    errors = [line for line in ran.err.splitlines() if not line.startswith("warning:")]
    assert len(errors) == 1, ran.err
    assert told in errors[0], errors[0]
    assert (ran.code, ran.out) == (code, "")
    assert not project.out.exists()


def test_a_csv_with_a_column_a_class_is_judged(project: Project) -> None:
    ran = project.run(project.csv(columns()), "--figures")
    assert ran.code == 0, ran.err
    same(project.values(), expected())
    assert {path.name for path in project.out.iterdir()} == {
        *("confusion.csv", "confusion.png", "confusion.svg", "manifest.json", "mean_posterior.csv", "metrics.json"),
        *("per_class.parquet", "per_class.png", "per_class.svg", "predictions.parquet"),
        *("reliability.csv", "reliability.png", "reliability.svg"),
    }
    table = table_files.read_table(project.out / "per_class.parquet", PER_CLASS)
    assert table["support"].to_list() == np.bincount(LABEL[TEST], minlength=3).tolist()
    assert table["training_samples"].to_list() == np.bincount(LABEL[:24], minlength=3).tolist()
    confusion = pl.read_csv(project.out / "confusion.csv")
    assert confusion.columns == ["reference", *(f"predicted {name}" for name in CLASSES)]
    assert confusion.drop("reference").to_numpy().sum(axis=1).tolist() == table["support"].to_list()


@pytest.mark.parametrize("form", ["shuffled", "other case", "decimal commas", "other samples too", "tabs"])
def test_every_way_to_write_the_same_numbers_gives_the_same_figures(project: Project, form: str) -> None:
    given, rows, separator = columns(), TEST, ","
    if form == "shuffled":
        given = {"note": ["x"] * len(IDS)} | {name: given[name] for name in reversed(CLASSES)}
        rows = np.random.default_rng(0).permutation(TEST)
    if form == "other case":
        given = {name.upper(): values for name, values in given.items()}
    if form == "decimal commas":
        separator, given = ";", {n: [f"{value:.3f}".replace(".", ",") for value in v] for n, v in given.items()}
    if form == "other samples too":
        rows = np.arange(len(IDS))
    if form == "tabs":
        separator = "\t"
    ran = project.run(project.csv(given, rows, separator))
    assert ran.code == 0, ran.err
    same(project.values(), expected())


@pytest.mark.parametrize("dtype", [pl.List(pl.Float64), pl.Array(pl.Float32, 3)])
def test_a_parquet_with_a_list_posterior_is_judged(project: Project, dtype: pl.DataType) -> None:
    said = pl.DataFrame({"sample_id": IDS, "row": 1}).with_columns(posterior=pl.Series(POSTERIOR).cast(dtype))
    said.write_parquet(project.folder / "said.parquet")
    ran = project.run(project.folder / "said.parquet")
    assert ran.code == 0, ran.err
    same(project.values(), expected(), 1e-6)


def test_classes_said_alone_are_judged_and_what_needs_posteriors_is_said_to_be_undefined(project: Project) -> None:
    ran = project.run(project.csv({"predicted_label": [CLASSES[index] for index in POSTERIOR.argmax(axis=1)]}))
    assert ran.code == 0, ran.err
    full, found = expected(), project.values()
    assert found["macro_auroc"] is found["macro_average_precision"] is None
    assert found["macro_f1"] == pytest.approx(full["macro_f1"])
    assert "log_loss" not in found
    assert "no posteriors: whatever needs them is undefined" in ran.out
    assert not (project.out / "reliability.csv").exists()
    assert "no posteriors: whatever needs them is undefined" in project.metrics()["undefined"]
    said = table_files.read_table(project.out / "predictions.parquet", PREDICTIONS)
    assert said["posterior"].null_count() == said.height == len(TEST)


def test_logits_are_taken_where_they_are_said_to_be_logits(project: Project) -> None:
    logits = np.log(np.maximum(POSTERIOR, 1e-9)) + 3
    given = {name: logits[:, index] for index, name in enumerate(CLASSES)}
    refused(project, project.run(project.csv(given)), 3, "--logits takes what a softmax is still to be taken of")
    ran = project.run(project.csv(given), "--logits")
    assert ran.code == 0, ran.err
    same(project.values(), expected(), 1e-6)


@pytest.mark.parametrize("posterior", [True, False])
def test_its_own_predictions_given_back_are_judged_the_same(project: Project, posterior: bool) -> None:
    said = columns() if posterior else {"predicted_label": [CLASSES[i] for i in POSTERIOR.argmax(axis=1)]}
    assert project.run(project.csv(said)).code == 0
    before, own = project.values(), table_files.read_table(project.out / "predictions.parquet", PREDICTIONS)
    own.write_parquet(project.folder / "own.parquet")
    ran = project.run(project.folder / "own.parquet", "--force")
    assert ran.code == 0, ran.err
    same(project.values(), before, 1e-6)


def spoilt(row: int, column: str, value: Any) -> dict[str, Any]:
    changed = {name: list(values) for name, values in columns().items()}
    changed[column][row] = value
    return changed


def test_what_is_not_given_or_given_twice_is_refused(project: Project) -> None:
    refused(project, project.run(None), 2, "give either --checkpoint or --predictions FILE")
    both = project.run(project.csv(columns()), "--checkpoint", project.folder)
    refused(project, both, 2, "give either --checkpoint or --predictions FILE")


FIRST = f"first: '{IDS[TEST[2]]}', which"
REFUSED: dict[str, tuple[Callable[[Project], Path], int, str]] = {
    "missing": (lambda p: p.csv(columns(), TEST[:-2]), 4, "lacks 2 samples of the data set"),
    "foreign": (
        lambda p: p.csv(columns(), TEST, ids=[*IDS[:-1], "strange"]),
        4,
        "1 sample not of this data set (first: 'strange')",
    ),
    "duplicate": (
        lambda p: p.csv(columns(), np.r_[TEST, TEST[3]]),
        3,
        "2 rows with a sample_id that stands twice (first: row 5, ",
    ),
    "sum": (
        lambda p: p.csv(spoilt(TEST[2], "nv", 0.999)),
        3,
        f"1 row with numbers that are no probabilities ({FIRST} sums to",
    ),
    "empty": (lambda p: p.csv(spoilt(TEST[2], "nv", None)), 3, f"({FIRST} has an empty cell)"),
    "negative": (lambda p: p.csv(spoilt(TEST[2], "nv", -0.5)), 3, f"({FIRST} holds -0.5)"),
    "word": (lambda p: p.csv(spoilt(TEST[2], "nv", "much")), 3, "column 'nv' holds 'much', which is no number"),
    "half": (
        lambda p: p.csv({"nv": POSTERIOR[:, 0]}),
        4,
        "has columns for some classes and none for Mel, basal cell",
    ),
    "none": (
        lambda p: p.csv({"score": POSTERIOR[:, 0]}),
        3,
        "holds no predictions: a column for each class (nv, Mel, basal cell), a column 'posterior' of lists, or a "
        "column 'predicted_label' is needed (found: sample_id, score)",
    ),
    "unknown class": (
        lambda p: p.csv({"predicted_label": ["nv"] * TEST[4] + ["mel"] * 99}),
        3,
        "column 'predicted_label' has 44 values that are no class of this data set (first: row 6, 'mel'; did you mean",
    ),
    "no class": (
        lambda p: p.csv({"predicted_label": [None] * 99, "note": ["x"] * 99}),
        3,
        "column 'predicted_label' has 48 values that are no class",
    ),
    "text": (lambda p: p.csv({"posterior": ["[1 0 0]"] * 99}), 3, "column 'posterior' holds no lists"),
    "no file": (lambda p: p.folder / "nothing.csv", 3, "nothing.csv: no such file"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_predictions_that_do_not_fit_are_refused_in_a_line(project: Project, what: str) -> None:
    make, code, told = REFUSED[what]
    refused(project, project.run(make(project)), code, told)


@pytest.mark.parametrize("value", [None, "inf", "nan"])
def test_logits_that_are_no_finite_numbers_are_refused(project: Project, value: Any) -> None:
    told = f"1 row with an empty cell or no finite number (first: '{IDS[TEST[2]]}')"
    refused(project, project.run(project.csv(spoilt(TEST[2], "nv", value)), "--logits"), 3, told)


@pytest.mark.parametrize(
    ("posterior", "code", "told"),
    [
        (pl.Series([[0.5, 0.5]] * len(IDS)), 4, "has lists of 2; the data set has 3 classes"),
        (pl.Series([["a", "b", "c"]] * len(IDS)), 3, "column 'posterior' holds lists of something else than numbers"),
        (pl.Series([[0.5, 0.5, None]] * len(IDS)), 3, "which has an empty cell"),
        (pl.Series([None] * len(IDS), dtype=pl.List(pl.Float64)), 4, "has lists of None"),
    ],
)
def test_lists_that_do_not_fit_are_refused_in_a_line(project: Project, posterior: Any, code: int, told: str) -> None:
    pl.DataFrame({"sample_id": IDS, "posterior": posterior}).write_parquet(project.folder / "said.parquet")
    refused(project, project.run(project.folder / "said.parquet"), code, told)


def test_a_table_without_ids_is_refused(project: Project) -> None:
    path = project.folder / "said.csv"
    path.write_text("image,nv\na,1\n")
    refused(project, project.run(path), 3, "column 'sample_id' missing (found: image, nv)")


def test_classes_that_differ_in_case_alone_keep_their_columns(project: Project) -> None:
    files.write_yaml({"names": ["nv", "NV", "Mel"], "ordered": False}, project.folder / "data" / "classes.yaml")
    named = pl.DataFrame({"sample_id": IDS, "label": [("nv", "NV", "Mel")[index] for index in LABEL]})
    table_files.write_table(
        named.with_columns(relabelled=pl.lit(False)), project.folder / "data" / "labels.parquet", LABELS
    )
    given = {name: POSTERIOR[:, index] for index, name in enumerate(("nv", "NV", "mel"))}
    ran = project.run(project.csv(given))
    assert ran.code == 0, ran.err
    assert project.values()["accuracy"] == pytest.approx(expected()["accuracy"])


def costs(project: Project, text: str) -> Path:
    (project.folder / "costs.csv").write_text(text)
    return project.folder / "costs.csv"


def test_costs_are_read_by_name_whatever_their_order(project: Project) -> None:
    path = costs(project, "truly,basal cell,nv,Mel\nMel,1,5,0\nbasal cell,0,20,4\nnv,2,0,3\n")
    ran = project.run(project.csv(columns()), "--costs", path)
    assert ran.code == 0, ran.err
    same(project.values(), expected(costs=np.array([[0.0, 3, 2], [5, 0, 1], [20, 4, 0]])))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x,nv,Mel\nnv,0,1\nMel,1,0\n", "columns must be the classes, each once: nv, Mel, basal cell"),
        ("x,nv,Mel,basal cell\nnv,0,1,1\nMel,1,0,1\nMel,1,1,0\n", "rows must be the classes, each once"),
        ("x,nv,Mel,basal cell\nnv,0,1,1\nMel,1,0,1\nbasal cell,1,dear,0\n", "holds a cell that is no number"),
        ("x,nv,Mel,basal cell\nnv,0,1,1\nMel,1,0,1\nbasal cell,1,,0\n", "holds a cell that is empty or no finite"),
    ],
)
def test_costs_that_do_not_fit_are_refused(project: Project, text: str, told: str) -> None:
    refused(project, project.run(project.csv(columns()), "--costs", costs(project, text)), 3, told)


def metadata(project: Project, **more: Any) -> Path:
    path = project.folder / "metadata.csv"
    ages = [20 + row if row % 9 else None for row in range(len(IDS))]
    frame = {"image": IDS, "sex": ["f", "m"] * (len(IDS) // 2), "age": ages, "site": [f"s{row}" for row in range(84)]}
    table = pl.DataFrame(frame | more)
    table[np.random.default_rng(0).permutation(len(IDS)).tolist()].write_csv(path)
    return path


def test_sub_groups_are_told_by_value_and_by_band_and_what_is_missing_apart(project: Project) -> None:
    ran = project.run(project.csv(columns()), "--metadata", metadata(project), "--by", "sex", "--by", "age")
    assert ran.code == 0, ran.err
    table = table_files.read_table(project.out / "subgroups.parquet", SUBGROUPS)
    sexes, ages = table.filter(column="sex"), table.filter(column="age")
    assert set(sexes["subgroup"]) == {"f", "m"}
    assert ages["subgroup"].n_unique() == 5 and "(unknown)" in ages["subgroup"]
    assert ages.filter(metric="accuracy")["samples"].sum() == len(TEST)
    women = TEST[TEST % 2 == 0]
    right = (POSTERIOR[women].argmax(axis=1) == LABEL[women]).mean()
    assert sexes.filter(subgroup="f", metric="accuracy")["value"].item() == pytest.approx(right)
    missing = ages.filter(subgroup="(unknown)", metric="accuracy")["samples"].item()
    assert missing == (TEST % 9 == 0).sum()


def test_columns_of_metadata_may_be_named_like_patterns(project: Project) -> None:
    path = metadata(project)
    header, rest = path.read_text().split("\n", 1)
    path.write_text(header.replace("image", "*").replace("sex", "^s.*$") + "\n" + rest)
    ran = project.run(project.csv(columns()), "--metadata", path, "--by", "^s.*$")
    assert ran.code == 0, ran.err
    table = table_files.read_table(project.out / "subgroups.parquet", SUBGROUPS)
    assert set(table["subgroup"]) == {"f", "m"}


def test_a_column_of_the_samples_makes_sub_groups_too(project: Project) -> None:
    assert project.run(project.csv(columns()), "--by", "width").code == 0
    assert set(table_files.read_table(project.out / "subgroups.parquet", SUBGROUPS)["subgroup"]) == {"9"}


def test_sub_groups_that_cannot_be_made_are_refused(project: Project) -> None:
    said, table = project.csv(columns()), metadata(project)
    refused(project, project.run(said, "--metadata", table), 2, "--metadata: --by says which of its columns")
    refused(project, project.run(said, "--by", "sex"), 2, "--by: no column 'sex'; --metadata names a table that has it")
    ran = project.run(said, "--metadata", table, "--by", "aeg")
    refused(project, ran, 2, "--by: no column 'aeg'; did you mean 'age'?")
    lacking = metadata(project, image=[*IDS[:-1], "other"])
    ran = project.run(said, "--metadata", lacking, "--by", "sex")
    refused(project, ran, 4, "no column holds the ids of the split's samples (found: image, sex, age, site)")


def test_a_metadata_row_that_stands_twice_is_refused(project: Project) -> None:
    path = metadata(project)
    path.write_text(path.read_text() + f"{IDS[-1]},f,30,s1\n")
    ran = project.run(project.csv(columns()), "--metadata", path, "--by", "sex")
    refused(project, ran, 4, f"'{IDS[-1]}' stands twice in column 'image'")


def test_more_sub_groups_than_anybody_would_read_are_refused(project: Project) -> None:
    ids = [f"a{row}" for row in range(84)]
    path = metadata(project, site=ids)
    ran = project.run(project.csv(columns(), np.arange(84)), "--metadata", path, "--by", "site", "--split", "test")
    assert ran.code == 0  # 48 samples have 48 values
    said = project.csv(columns(), np.arange(84))
    project.out.rename(project.folder / "before")
    table = pl.read_parquet(project.folder / "data/samples.parquet").with_columns(split=pl.lit("test"))
    table_files.write_table(table, project.folder / "data/samples.parquet", SAMPLES)
    ran = project.run(said, "--metadata", path, "--by", "site")
    refused(project, ran, 2, "--by site: has 84 values; sub-groups of at most 50 are told")


def test_a_reference_of_ones_own_is_judged_by(project: Project) -> None:
    assert project.run(project.csv(columns())).code == 0
    other = pl.DataFrame({"sample_id": IDS, "label": [CLASSES[index] for index in POSTERIOR.argmax(axis=1)]})
    other.write_csv(project.folder / "reference.csv")
    ran = project.run(project.csv(columns()), "--reference", project.folder / "reference.csv")
    assert ran.code == 0, ran.err
    assert project.values()["accuracy"] == 1
    assert project.metrics()["judged_by"].startswith("reference.csv of ")


def test_a_class_absent_from_the_split_is_null_and_said(project: Project) -> None:
    label = np.where(LABEL == 2, 0, LABEL)
    label[0] = 2  # in training alone
    project.write(label)
    ran = project.run(project.csv(columns()))
    assert ran.code == 0, ran.err
    table = table_files.read_table(project.out / "per_class.parquet", PER_CLASS).row(2, named=True)
    for name in ("recall", "f1", "auroc", "average_precision"):
        assert table[name] is table[f"{name}_low"] is table[f"{name}_high"] is None, name
    told = "no sample of basal cell in the split: left out of all means over classes"
    assert told in ran.out and told in project.metrics()["undefined"]
    plain = metrics.overall(Predictions(label[TEST], POSTERIOR[TEST]))
    assert project.values()["balanced_accuracy"] == pytest.approx(plain["balanced_accuracy"])
    mean = pl.read_csv(project.out / "mean_posterior.csv")
    assert mean.row(2)[1:] == (None, None, None)
    assert "NaN" not in (project.out / "mean_posterior.csv").read_text()


def test_a_class_never_said_has_no_precision_and_that_is_said(project: Project) -> None:
    said = ["nv" if index == 2 else CLASSES[index] for index in POSTERIOR.argmax(axis=1)]
    ran = project.run(project.csv({"predicted_label": said}))
    told = "nothing was said to be basal cell: precision is undefined there, and 0 in its mean"
    assert told in ran.out and told in project.metrics()["undefined"]
    row = table_files.read_table(project.out / "per_class.parquet", PER_CLASS).row(2, named=True)
    assert row["precision"] is row["precision_low"] is None
    assert row["recall"] == 0 and row["recall_low"] == 0 < row["recall_high"]


def test_figures_that_are_undefined_are_null_and_said(project: Project) -> None:
    project.write(np.zeros(len(IDS), dtype=np.int64))
    ran = project.run(project.csv(columns()))
    assert ran.code == 0, ran.err
    assert project.metrics()["metrics"]["mcc"] == {"value": None, "low": None, "high": None}
    assert any(line.startswith("undefined: ") and "mcc" in line for line in project.metrics()["undefined"])


def test_grades_of_a_scale_have_a_quadratic_kappa(project: Project) -> None:
    project.write(LABEL, ordered=True)
    assert project.run(project.csv(columns())).code == 0
    same(project.values(), expected(ordered=True))


def test_the_same_predictions_and_seed_give_the_same_bytes(project: Project) -> None:
    path = project.csv(columns())
    assert project.run(path).code == 0
    before = {p.name: p.read_bytes() for p in project.out.iterdir() if p.name != "manifest.json"}
    assert project.run(path, "--force").code == 0
    assert before == {p.name: p.read_bytes() for p in project.out.iterdir() if p.name != "manifest.json"}
    assert project.run(path, "--seed", 1, "--force").code == 0
    assert before["metrics.json"] != (project.out / "metrics.json").read_bytes()


def test_few_above_many_is_refused(project: Project) -> None:
    ran = project.run(project.csv(columns()), "--few", 9, "--many", 7)
    refused(project, ran, 2, "--few 9 is above --many 7")


def test_a_split_that_is_not_there_is_refused(project: Project) -> None:
    table = pl.read_parquet(project.folder / "data/samples.parquet").with_columns(split=pl.lit("train"))
    table_files.write_table(table, project.folder / "data/samples.parquet", SAMPLES)
    refused(project, project.run(project.csv(columns())), 5, "the data set has no test split")


def test_of_another_programs_predictions_it_is_not_known_how_the_epoch_was_chosen(project: Project) -> None:
    ran = project.run(project.csv(columns()))
    assert "epoch chosen by: not recorded" in ran.out
    assert project.metrics()["validation"]["labels"] == "unknown"
    ran = project.run(project.csv(columns()), "--labels", project.folder / "data")
    assert "epoch chosen by: not recorded" in ran.out
    assert project.metrics()["validation"]["labels"] == "as given"


def test_labels_are_judged_by_the_truth_without_a_checkpoint(project: Project) -> None:
    wrong = pl.DataFrame({"sample_id": IDS, "label": [CLASSES[index] for index in (LABEL + (np.arange(84) < 6)) % 3]})
    wrong.write_csv(project.folder / "noisy.csv")
    said = project.csv(columns())
    truth = ("--truth", project.folder / "data")
    refused(project, project.run(said, *truth), 2, "--truth: give --labels too; none are recorded with the checkpoint")
    ran = project.run(said, *truth, "--labels", project.folder / "noisy.csv")
    assert ran.code == 0, ran.err
    quality = project.metrics()["label_quality"]
    assert quality["label_accuracy"] == pytest.approx(18 / 24)
    assert quality["clean_precision"] is quality["thrown_out"] is None
    before, after = (pl.read_csv(project.out / f"transition_{name}.csv") for name in ("before", "after"))
    assert before.equals(after)
    assert before.columns == ["true_label", *(f"labelled {name}" for name in CLASSES)]
    truly, labelled = LABEL[:24], (LABEL[:24] + (np.arange(24) < 6)) % 3
    assert before.row(0)[2] == int(((truly == 0) & (labelled == 1)).sum()) > 0
    assert project.metrics()["reference_accuracy"] == 1
    assert project.metrics()["validation"]["labels"] == "clean"
