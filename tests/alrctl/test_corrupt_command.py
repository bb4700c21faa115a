"""`corrupt` writes noise of every kind, tells the nominal and the realised rate, and refuses what makes no sense."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import save_file

from alrctl import manifest
from alrctl.lineage import trace
from alrctl.project import Artifact

Alrctl = Callable[..., Any]
FILES = {"labels.parquet", "truth.parquet", "transition.csv", "nominal_transition.csv", "manifest.json"}
HEAD = "true,red,green,blue\n"
MATRIX = f"{HEAD}red,0.7,0.2,0.1\ngreen,0.3,0.7,0\nblue,0,0.5,0.5\n"
ODD = ("=1+1", "a,b", "^a$", "(all)", "given red", 'q"é')


def file(tmp_path: Path, text: str = MATRIX) -> Path:
    path = tmp_path / "matrix.csv"
    path.write_text(text)
    return path


def shares(table: pl.DataFrame) -> pl.DataFrame:
    return table[:-1].select("true_label", "^given .*$")


def noisy(out: Path) -> pl.DataFrame:
    """The labels that were made, the true ones beside them."""
    return pl.read_parquet(out / "labels.parquet").join(
        pl.read_parquet(out / "truth.parquet"), on="sample_id", validate="1:1", maintain_order="left"
    )


KINDS: dict[str, tuple[object, ...]] = {
    "symmetric": ("--rate", 0.5),
    "asymmetric": ("--map", "red=blue", "--map", "green=red"),
    "pair": ("--rate", 0.3),
    "transition": (),
    "instance": ("--exclude", "blue"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_tells_what_was_asked_for_and_what_came_of_it(
    alrctl: Alrctl, finished: Path, tmp_path: Path, kind: str
) -> None:
    more = (*KINDS[kind], *(("--transition", file(tmp_path)) if kind == "transition" else ()))
    command = ("corrupt", finished / "data", "--noise", kind, *more, "--seed", 4)
    ran = alrctl(*command, "-o", tmp_path / "one", "--json")
    assert ran.code == 0, ran.err
    assert {path.name for path in (tmp_path / "one").iterdir()} == FILES
    table, told = noisy(tmp_path / "one"), ran.document["summary"]
    train = pl.read_parquet(finished / "data/samples.parquet").select("sample_id", "split")
    table = table.join(train, on="sample_id", maintain_order="left")
    assert table["label"].equals(table["true_label"]) is False
    assert table.filter(pl.col("split") != "train").select((pl.col("label") == pl.col("true_label")).all()).item()
    touched = table.filter(split="train")
    wrong = touched.with_columns(wrong=pl.col("label") != pl.col("true_label"))
    assert told["changed"] == wrong["wrong"].sum()
    assert told["realised_rate"] == pytest.approx(wrong["wrong"].mean())
    by_class = wrong.group_by("true_label").agg(pl.len(), pl.col("wrong").mean())
    assert told["samples_by_class"] == dict(by_class.select("true_label", "len").iter_rows())
    assert told["realised_rate_by_class"] == pytest.approx(dict(by_class.select("true_label", "wrong").iter_rows()))
    realised, nominal = (
        pl.read_csv(tmp_path / f"one/{name}transition.csv").sort("true_label") for name in ("", "nominal_")
    )
    rates = {**told["nominal_rate_by_class"], "(all)": told["nominal_rate"]}
    assert dict(realised.select("true_label", "nominal_rate").iter_rows()) == pytest.approx(rates)
    assert dict(nominal.select("true_label", "nominal_rate").iter_rows()) == pytest.approx(rates)
    assert realised.columns == [*nominal.columns[:-1], "noise_rate", "nominal_rate"]
    again = alrctl(*command, "-o", tmp_path / "again")
    assert again.code == 0, again.err
    for name in FILES - {"manifest.json"}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_people_are_shown_both_rates_by_class_and_over_all(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    ran = alrctl("corrupt", finished / "data", "--noise", "pair", "--rate", 0.25, "-o", tmp_path / "n")
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ran.out.splitlines() if "│" in line]
    assert "samples ┃ nominal rate ┃ realised rate" in ran.out
    made = pl.read_csv(tmp_path / "n/transition.csv")
    assert [line[0] for line in lines] == ["blue", "green", "red", "(all)"]
    assert [line[2] for line in lines] == ["0.250"] * 4
    assert [line[3] for line in lines] == [f"{rate:.3f}" for rate in made["noise_rate"]]
    assert int(lines[-1][1]) == sum(int(line[1]) for line in lines[:-1])


def test_a_rate_of_0_writes_the_labels_as_they_are_and_says_so(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    ran = alrctl("corrupt", finished / "data", "--rate", 0, "-o", tmp_path / "n")
    assert ran.code == 0, ran.err
    assert "changed: 0" in ran.out
    assert "the nominal rate is 0: no label was changed, the labels and the truth are the data set's" in ran.out
    table, before = noisy(tmp_path / "n"), pl.read_parquet(finished / "data/labels.parquet")
    assert table["label"].equals(table["true_label"])
    assert table["label"].equals(before["label"])


def test_the_order_of_a_matrix_does_not_matter(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("x;blue;red;green\ngreen;0;0.3;0.7\nblue;0.5;0;0.5\nred;0.1;0.7;0.2\n")
    found = []
    for name, matrix in (("a", file(tmp_path)), ("b", other)):
        given = ("--noise", "transition", "--transition", matrix, "-o", tmp_path / name)
        assert alrctl("corrupt", finished / "data", *given).code == 0
        found.append((tmp_path / name / "labels.parquet").read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("made", "transition.csv"),
        ("made/transition.csv", "transition.csv"),
        ("made/nominal_transition.csv", "nominal_transition.csv"),
    ],
)
def test_a_matrix_that_corrupt_wrote_is_taken_and_is_the_one_named(
    alrctl: Alrctl, finished: Path, tmp_path: Path, place: str, names: str
) -> None:
    assert alrctl("corrupt", finished / "data", "--noise", "pair", "-o", tmp_path / "made").code == 0
    given = ("--noise", "transition", "--transition", tmp_path / place, "-o", tmp_path / "again")
    ran = alrctl("corrupt", finished / "data", *given)
    assert ran.code == 0, ran.err
    wanted = shares(pl.read_csv(tmp_path / "made" / names))
    found = shares(pl.read_csv(tmp_path / "again/nominal_transition.csv"))
    assert found["true_label"].equals(wanted["true_label"])
    np.testing.assert_allclose(found.drop("true_label").to_numpy(), wanted.drop("true_label").to_numpy())


def test_the_matrix_that_noisy_ids_estimated_is_taken(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    assert alrctl("noisy-ids", finished / "r1/scores", "--bootstrap", 5, "-o", tmp_path / "ids").code == 0
    given = ("--noise", "transition", "--transition", tmp_path / "ids", "-o", tmp_path / "n")
    ran = alrctl("corrupt", finished / "data", *given)
    assert ran.code == 0, ran.err
    wanted = shares(pl.read_csv(tmp_path / "ids/transition.csv")).drop("true_label").to_numpy()
    found = shares(pl.read_csv(tmp_path / "n/nominal_transition.csv")).drop("true_label").to_numpy()
    np.testing.assert_allclose(found, wanted)


def test_counts_and_a_class_without_a_row_are_told(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    matrix = file(tmp_path, f"{HEAD}red,8,1,1\ngreen,0,0,0\nblue,0,1,1\n")
    ran = alrctl("corrupt", finished / "data", "--noise", "transition", "--transition", matrix, "-o", tmp_path / "n")
    assert ran.code == 0, ran.err
    assert f"warning: {matrix}: holds counts; each row was divided by its sum" in ran.err
    assert "warning: the matrix has no row for green: labels of that class are left as they are" in ran.err
    table = noisy(tmp_path / "n").filter(true_label="green")
    assert table["label"].unique().to_list() == ["green"]


def test_another_matrix_makes_noise_stale(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    given = (
        "corrupt",
        finished / "data",
        "--noise",
        "transition",
        "--transition",
        file(tmp_path),
        "-o",
        tmp_path / "n",
    )
    assert [alrctl(*given, "--json").document["status"] for _ in range(2)] == ["done", "unchanged"]
    file(tmp_path, MATRIX.replace("0.7,0.2,0.1", "0.6,0.2,0.2"))
    assert "changed inputs: transition" in alrctl(*given, "--dry-run").out
    assert alrctl(*given, "--json").document["status"] == "done"


def odd_data(finished: Path, tmp_path: Path) -> Path:
    """A data set whose six classes have odd names."""
    data = tmp_path / "odd"
    shutil.copytree(finished / "data", data)
    (data / "manifest.json").unlink()
    (data / "classes.yaml").write_text(yaml.safe_dump({"names": list(ODD)}, allow_unicode=True))
    table = pl.read_parquet(data / "labels.parquet")
    label = pl.Series([ODD[row % len(ODD)] for row in range(table.height)])
    table.with_columns(label=label).write_parquet(data / "labels.parquet")
    return data


def test_classes_may_have_odd_names(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    data = odd_data(finished, tmp_path)
    ran = alrctl("corrupt", data, "--noise", "asymmetric", "--map", "=1+1=a,b", "--rate", 1, "-o", tmp_path / "n")
    assert ran.code == 2  # the first equals sign parts the names; a file says what the option cannot
    for kind in ("pair", "instance"):
        ran = alrctl("corrupt", data, "--noise", kind, "--rate", 0.7, "-o", tmp_path / kind)
        assert ran.code == 0, ran.err
    for place in ("pair/nominal_transition.csv", "instance/transition.csv"):
        out = tmp_path / f"again-{place.partition('/')[0]}"
        ran = alrctl("corrupt", data, "--noise", "transition", "--transition", tmp_path / place, "-o", out)
        assert ran.code == 0, ran.err
        wanted, found = (shares(pl.read_csv(path)) for path in (tmp_path / place, out / "nominal_transition.csv"))
        np.testing.assert_allclose(found.drop("true_label").to_numpy(), wanted.drop("true_label").to_numpy())
    following = dict(zip(ODD, (*ODD[1:], ODD[0]), strict=True))
    changed = noisy(tmp_path / "pair").filter(pl.col("label") != pl.col("true_label"))
    assert changed.height
    assert all(following[true] == given for true, given in changed.select("true_label", "label").iter_rows())


def table_of_features(finished: Path, path: Path, seed: int = 0, **columns: Any) -> Path:
    ids = pl.read_parquet(finished / "data/samples.parquet")["sample_id"]
    values = np.random.default_rng(seed).normal(size=(len(ids), 6))
    pl.DataFrame({"sample_id": ids, "features": values.tolist(), **columns}).write_parquet(path)
    return path


def by_instance(alrctl: Alrctl, finished: Path, out: Path, features: Path | None = None) -> pl.DataFrame:
    more = () if features is None else ("--features", features)
    ran = alrctl("corrupt", finished / "data", "--noise", "instance", "--rate", 0.5, *more, "-o", out)
    assert ran.code == 0, ran.err
    return pl.read_parquet(out / "labels.parquet")


def test_features_are_matched_by_sample_and_not_by_row(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    path = table_of_features(finished, tmp_path / "f.parquet", note=["x"] * 110)
    first = by_instance(alrctl, finished, tmp_path / "a", path)
    pl.read_parquet(path).sample(fraction=1, shuffle=True, seed=1).write_parquet(tmp_path / "g.parquet")
    assert by_instance(alrctl, finished, tmp_path / "b", tmp_path / "g.parquet").equals(first)
    other = table_of_features(finished, tmp_path / "h.parquet", seed=1)
    assert not by_instance(alrctl, finished, tmp_path / "c", other).equals(first)
    assert not by_instance(alrctl, finished, tmp_path / "d").equals(first)


@pytest.mark.parametrize("place", ["", "embeddings.safetensors", "scores.parquet"])
def test_embeddings_of_score_are_features_by_whatever_name(
    alrctl: Alrctl, finished: Path, tmp_path: Path, place: str
) -> None:
    from safetensors.torch import load_file

    scores = finished / "r1/scores"
    found = by_instance(alrctl, finished, tmp_path / "a", scores / place)
    values = load_file(scores / "embeddings.safetensors")["embeddings"].numpy()
    ids = pl.read_parquet(scores / "scores.parquet")["sample_id"]
    table = pl.DataFrame({"sample_id": ids, "e": values.tolist()})
    table.sample(fraction=1, shuffle=True, seed=2).write_parquet(tmp_path / "t.parquet")
    assert by_instance(alrctl, finished, tmp_path / "b", tmp_path / "t.parquet").equals(found)


def test_embeddings_are_those_of_the_scores_beside_them_in_any_order(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    scores = pl.read_parquet(finished / "r1/scores/scores.parquet")
    values = load_file(finished / "r1/scores/embeddings.safetensors")["embeddings"]
    order = np.random.default_rng(4).permutation(scores.height)
    (tmp_path / "moved").mkdir()
    scores[order].write_parquet(tmp_path / "moved/scores.parquet")
    save_file({"embeddings": values[torch.from_numpy(order)].contiguous()}, tmp_path / "moved/embeddings.safetensors")
    found = by_instance(alrctl, finished, tmp_path / "a", tmp_path / "moved")
    assert found.equals(by_instance(alrctl, finished, tmp_path / "b", finished / "r1/scores"))


def test_without_a_file_the_features_are_each_samples_own_image(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    images = next(iter(load_file(finished / "data/images.safetensors").values())).numpy()
    small = images.reshape(len(images), 8, 3, 8, 3, 3).mean(axis=(2, 4)).round().reshape(len(images), -1)
    ids = pl.read_parquet(finished / "data/samples.parquet")["sample_id"]
    pl.DataFrame({"sample_id": ids, "pixels": small.tolist()}).write_parquet(tmp_path / "t.parquet")
    found = by_instance(alrctl, finished, tmp_path / "a")
    assert found.equals(by_instance(alrctl, finished, tmp_path / "b", tmp_path / "t.parquet"))


def refused(alrctl: Alrctl, finished: Path, tmp_path: Path, code: int, *given: object) -> str:
    """Return the message of a refusal that leaves nothing behind."""
    before = {path.name for path in tmp_path.iterdir()}
    ran = alrctl("corrupt", finished / "data", *given, "-o", tmp_path / "n")
    assert ran.code == code, ran.err
    assert {path.name for path in tmp_path.iterdir()} == before
    return str(ran.err).strip().removeprefix("error: ")


def test_options_that_do_not_go_together_are_refused(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    matrix, features = file(tmp_path), table_of_features(finished, tmp_path / "f.parquet")
    both = "not with --transition, whose matrix says what becomes of each class"
    transition = ("--noise", "transition", "--transition", matrix)
    for given, told in (
        (("--noise", "transition"), "--noise transition needs --transition FILE.csv"),
        ((*transition, "--rate", 0.4), f"--rate: {both}"),
        ((*transition, "--exclude", "red", "--map", "red=blue"), f"--map, --exclude: {both}"),
        (("--transition", matrix), "--transition: goes with --noise transition alone"),
        (("--features", features), "--features: goes with --noise instance alone"),
        (("--noise", "pair", "--map", "red=blue"), "--map: goes with --noise asymmetric alone"),
        (("--noise", "pair", "--exclude", "rad"), "--exclude: no class 'rad'; did you mean 'red'?"),
    ):
        assert refused(alrctl, finished, tmp_path, 2, *given) == told


def test_a_refused_option_is_refused_although_the_result_is_there(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    given = (
        "corrupt",
        finished / "data",
        "--noise",
        "transition",
        "--transition",
        file(tmp_path),
        "-o",
        tmp_path / "n",
    )
    assert alrctl(*given).code == 0
    assert alrctl(*given, "--rate", 0.4).code == 2


def test_matrices_that_are_none_are_refused(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    path = file(tmp_path, MATRIX.replace("0.7,0.2,0.1", "0.7,0.2,0.2"))
    given = ("--noise", "transition", "--transition", path)
    told = f"{path}: 1 row with a sum that is not 1, give or take 0.01 (first: 'red', which sums to 1.1)"
    assert refused(alrctl, finished, tmp_path, 3, *given) == told
    gone = tmp_path / "gone.csv"
    told = f"{gone}: no such file or directory"
    assert refused(alrctl, finished, tmp_path, 3, *given[:-1], gone).startswith(told)


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (
            lambda t: t.drop("features"),
            3,
            "a column 'sample_id' and one column of lists of numbers are needed (found: sample_id)",
        ),
        (
            lambda t: t.with_columns(more="features"),
            3,
            "a column 'sample_id' and one column of lists of numbers are needed (found: sample_id, features, more)",
        ),
        (lambda t: pl.concat([t, t[3:4]]), 3, "2 rows with a sample_id that stands twice (first: '{fourth}')"),
        (
            lambda t: t.with_columns(features=pl.when(pl.int_range(pl.len()) == 3).then([1.0]).otherwise("features")),
            3,
            "column 'features' needs lists of one length, and not empty (first: '{fourth}' has 1, the longest 6)",
        ),
        (
            lambda t: t.with_columns(pl.when(pl.int_range(pl.len()) != 3).then("features")),
            3,
            "column 'features' needs lists of one length, and not empty (first: '{fourth}' has 0, the longest 6)",
        ),
        (
            lambda t: t.with_columns(pl.col("features").list.eval(pl.element() / 0 * 0)),
            3,
            "holds a feature that is empty or no finite number (first: '{first}')",
        ),
        (
            lambda t: t.filter(pl.int_range(pl.len()) != 3),
            4,
            "lacks 1 sample of the data set {data} (first: '{fourth}')",
        ),
        (
            lambda t: t.with_columns(pl.col("sample_id") + "x"),
            4,
            "{all} samples not of this data set (first: '{first}x'); does it belong to another?",
        ),
    ],
)
def test_features_that_are_none_are_refused(
    alrctl: Alrctl, finished: Path, tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame], code: int, told: str
) -> None:
    path = table_of_features(finished, tmp_path / "f.parquet")
    train = pl.read_parquet(finished / "data/samples.parquet").filter(split="train")["sample_id"]
    table = train.to_frame().join(pl.read_parquet(path), on="sample_id", maintain_order="left")
    change(table).write_parquet(path)
    text = refused(alrctl, finished, tmp_path, code, "--noise", "instance", "--features", path)
    words = {"first": train[0], "fourth": train[3], "data": finished / "data", "all": len(train)}
    assert text == f"{path}: {told.format(**words)}"


def test_embeddings_of_other_scores_are_refused(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores"
    shutil.copytree(finished / "r1/scores", scores)
    (scores / "manifest.json").unlink()
    count = pl.read_parquet(scores / "scores.parquet").height
    save_file({"embeddings": torch.zeros(count + 1, 3)}, scores / "embeddings.safetensors")
    text = refused(alrctl, finished, tmp_path, 4, "--noise", "instance", "--features", scores)
    assert text == f"{scores / 'embeddings.safetensors'}: has {count + 1} rows; the scores beside it have {count}"
    values = torch.zeros(count, 3)
    values[5, 1] = torch.nan
    save_file({"embeddings": values}, scores / "embeddings.safetensors")
    text = refused(alrctl, finished, tmp_path, 3, "--noise", "instance", "--features", scores)
    assert text.startswith(f"{scores / 'embeddings.safetensors'}: holds a feature that is empty or no finite number")


def test_noise_by_another_map_or_matrix_is_another_beginning_of_runs(
    alrctl: Alrctl, work: Path, tmp_path: Path
) -> None:
    def start(*given: object) -> object:
        ran = alrctl("corrupt", work / "data", *given, "-o", work / "noisy", "--force")
        assert ran.code == 0, ran.err
        found = manifest.read(work / "r1/eval")
        assert found is not None
        return trace(Artifact(work / "r1/eval", found), "r1").start

    transition = ("--noise", "transition", "--transition", file(tmp_path))
    first, again = start(*transition), start(*transition)
    file(tmp_path, MATRIX.replace("0.7,0.2,0.1", "0.6,0.2,0.2"))
    other = start(*transition)
    maps = [start("--noise", "asymmetric", "--map", name) for name in ("red=blue", "red=green")]
    assert first == again
    assert len({first, other, *maps}) == 4
