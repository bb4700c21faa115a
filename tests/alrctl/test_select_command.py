"""`alrctl select` writes the queue, and all that people need to answer it in the tool they have."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from alrctl import csv_files, files, table_files
from alrctl.image_pack import open_pack
from schemas.queue import QUEUE

Alrctl = Callable[..., Any]
EVERYTHING = [
    *("contact_sheet.png", "cvat_images.txt", "cvat_labels.json", "images.zip", "labelling_config.xml"),
    *("queue.csv", "queue.parquet", "tasks.json"),
]
WITHOUT_IMAGES = ["cvat_labels.json", "labelling_config.xml", "queue.csv", "queue.parquet"]


def check_refused(ran: Any, code: int, told: str, out: Path) -> None:
    """Hold a refusal to its promises."""
    errors = [line for line in ran.err.splitlines() if not line.startswith("warning:")]
    assert len(errors) == 1, ran.err
    assert errors[0].startswith(f"error: {told}"), errors[0]
    assert ran.code == code
    assert ran.out == ""
    assert not out.exists()
    assert not out.with_name(f".{out.name}.alrctl").exists()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.name != "manifest.json"}


def queue_of(directory: Path) -> pl.DataFrame:
    return table_files.read_table(directory / "queue.parquet", QUEUE)


def archived(directory: Path) -> dict[str, bytes]:
    with ZipFile(directory / "images.zip") as packed:
        assert packed.testzip() is None
        return {name: packed.read(name) for name in packed.namelist()}


def packed_pixels(base: Path, sample_id: str) -> np.ndarray[Any, Any]:
    samples = pl.read_parquet(base / "data/samples.parquet")["sample_id"].to_list()
    found: np.ndarray[Any, Any] = open_pack(base / "data/images.safetensors")[samples.index(sample_id)].numpy()
    return found


@pytest.fixture(scope="module")
def chosen(finished: Path, alrctl: Alrctl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine of all samples, by the usual strategy. Not to be changed."""
    out = tmp_path_factory.mktemp("chosen") / "queue"
    ran = alrctl("select", finished / "r1/scores", "--pool", "all", "--budget", 9, "-o", out)
    assert ran.code == 0, ran.err
    return out


@pytest.fixture
def foreign(finished: Path, tmp_path: Path) -> Path:
    """Scores of another program: a parquet file, and nothing beside it."""
    path = tmp_path / "foreign.parquet"
    pl.read_parquet(finished / "r1/scores/scores.parquet").write_parquet(path)
    return path


# --- what is written -------------------------------------------------------------------------------------------------


def test_every_file_is_written_and_in_the_manifest(chosen: Path) -> None:
    assert list(contents(chosen)) == EVERYTHING
    told = json.loads((chosen / "manifest.json").read_text())
    assert sorted(told["outputs"]) == EVERYTHING
    for name, record in told["outputs"].items():
        assert record["sha256"] == files.sha256(chosen / name)
        assert record["bytes"] == (chosen / name).stat().st_size
    assert told["outputs"]["queue.parquet"]["rows"] == told["outputs"]["queue.csv"]["rows"] == 9
    assert set(told["inputs"]) == {"scores", "classes", "samples", "images"}


def test_the_csv_to_fill_in_is_the_queue_with_empty_columns(chosen: Path) -> None:
    assert (chosen / "queue.csv").read_bytes().startswith(b"\xef\xbb\xbfrank,sample_id,image,")
    table, queue = csv_files.read_csv(chosen / "queue.csv"), queue_of(chosen)
    wanted = ["rank", "sample_id", "image", "given_label", "suggested_label", "label", "annotator", "comment", "reason"]
    assert table.columns == wanted
    for name in ("sample_id", "given_label", "suggested_label", "reason"):
        assert table[name].to_list() == queue[name].to_list()
    assert table["rank"].to_list() == [str(rank) for rank in range(1, 10)]
    assert table["image"].to_list() == queue["sample_id"].to_list(), "the path within the folder that was ingested"
    assert table.select("label", "annotator", "comment").null_count().row(0) == (9, 9, 9)


def test_what_other_tools_take_leads_back_to_the_queue(chosen: Path, photos: Path) -> None:
    queue = queue_of(chosen)
    tasks = json.loads((chosen / "tasks.json").read_text())
    assert [task["data"]["sample_id"] for task in tasks] == queue["sample_id"].to_list()
    assert all("predictions" not in task for task in tasks)
    named = (chosen / "cvat_images.txt").read_text().splitlines()
    assert named == list(archived(chosen))
    assert [name.split("_")[0] for name in named] == [str(rank) for rank in range(1, 10)]
    labels = json.loads((chosen / "cvat_labels.json").read_text())
    assert [label["name"] for label in labels] == ["blue", "green", "red"]
    assert '<Choice value="blue" hotkey="1" />' in (chosen / "labelling_config.xml").read_text()
    with Image.open(chosen / "contact_sheet.png") as sheet:
        assert sheet.size[0] > 8 * 128
    first = base64.b64decode(tasks[0]["data"]["image"].removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(first)) as shown, Image.open(photos / queue["sample_id"][0]) as original:
        assert (np.asarray(shown) == np.asarray(original)).all()


@pytest.mark.parametrize("more", [("--suggest",), ("--image-prefix", "https://host/a b/"), ()])
def test_label_studio_gets_suggestions_and_addresses_where_asked(
    finished: Path, alrctl: Alrctl, tmp_path: Path, more: tuple[str, ...]
) -> None:
    out = tmp_path / "q"
    assert alrctl("select", finished / "r1/scores", "--budget", 4, "--images", "none", "-o", out, *more).code == 0
    expected = WITHOUT_IMAGES if more[:1] != ("--image-prefix",) else sorted([*WITHOUT_IMAGES, "tasks.json"])
    assert list(contents(out)) == expected
    if more[:1] == ("--image-prefix",):
        tasks = json.loads((out / "tasks.json").read_text())
        wanted = [f"https://host/a b/{name}" for name in queue_of(out)["sample_id"]]
        assert [task["data"]["image"] for task in tasks] == wanted
    shown = tmp_path / "shown"
    assert alrctl("select", finished / "r1/scores", "--budget", 4, "-o", shown, *more).code == 0
    tasks = json.loads((shown / "tasks.json").read_text())
    assert all(("predictions" in task) == (more == ("--suggest",)) for task in tasks)


def test_no_images_are_shown_where_none_are_wanted(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    out = tmp_path / "q"
    assert alrctl("select", finished / "r1/scores", "--budget", 4, "--images", "none", "-o", out).code == 0
    assert list(contents(out)) == WITHOUT_IMAGES
    assert csv_files.read_csv(out / "queue.csv")["image"].to_list() == queue_of(out)["sample_id"].to_list()
    assert "images" not in json.loads((out / "manifest.json").read_text())["inputs"]


# --- where images come from ------------------------------------------------------------------------------------------


@pytest.fixture
def jpegs(finished: Path, alrctl: Alrctl, photos: Path, tmp_path: Path) -> Path:
    """A project of its own, ingested from larger JPEG files, so that an original is not what was ingested."""
    base = tmp_path / "jpegs"
    for path in photos.rglob("*.png"):
        place = base / "photos" / path.parent.name / f"{path.stem}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.resize((40, 30)).save(place, quality=80)
    ran = alrctl("ingest", base / "photos", "-o", base / "data", "--image-size", 24)
    assert ran.code == 0, ran.err
    samples = pl.read_parquet(base / "data/samples.parquet").filter(split="train")
    scores = pl.read_parquet(finished / "r1/scores/scores.parquet").head(samples.height)
    scores.with_columns(sample_id=samples["sample_id"]).write_parquet(base / "scores.parquet")
    return base


def select_jpegs(base: Path, *more: object) -> tuple[object, ...]:
    return (
        *("select", base / "scores.parquet", "--data", base / "data", "--strategy", "entropy", "--budget", 12),
        *("--pool", "all", "-o", base / "q", *more),
    )


def check_pixels(png: bytes, base: Path, sample_id: str) -> None:
    assert png.startswith(b"\x89PNG")
    with Image.open(io.BytesIO(png)) as image:
        assert (np.asarray(image) == packed_pixels(base, sample_id)).all()


def test_the_originals_bytes_are_packed_where_they_still_stand(jpegs: Path, alrctl: Alrctl) -> None:
    ran = alrctl(*select_jpegs(jpegs))
    assert ran.code == 0, ran.err
    found = archived(jpegs / "q")
    names = queue_of(jpegs / "q")["sample_id"].to_list()
    assert len(found) == 12
    for (name, content), sample_id in zip(found.items(), names, strict=True):
        assert name.endswith(".jpg")
        assert content == (jpegs / "photos" / sample_id).read_bytes()
    task = json.loads((jpegs / "q/tasks.json").read_text())[0]
    shown = base64.b64decode(task["data"]["image"].partition(",")[2])
    with Image.open(io.BytesIO(shown)) as image:
        assert image.size == (40, 30)


def test_the_ingested_pixels_are_packed_where_they_are_wanted(jpegs: Path, alrctl: Alrctl) -> None:
    assert alrctl(*select_jpegs(jpegs, "--images", "ingested")).code == 0
    names = queue_of(jpegs / "q")["sample_id"].to_list()
    for (name, content), sample_id in zip(archived(jpegs / "q").items(), names, strict=True):
        assert name.endswith(".png")
        check_pixels(content, jpegs, sample_id)


def test_an_original_that_is_gone_is_shown_as_it_was_ingested(jpegs: Path, alrctl: Alrctl) -> None:
    assert alrctl(*select_jpegs(jpegs)).code == 0
    names = queue_of(jpegs / "q")["sample_id"].to_list()
    for sample_id in names[1::2]:
        (jpegs / "photos" / sample_id).unlink()
    assert alrctl(*select_jpegs(jpegs, "--force")).code == 0
    assert queue_of(jpegs / "q")["sample_id"].to_list() == names
    found = list(archived(jpegs / "q").items())
    for rank, sample_id in enumerate(names):
        if rank % 2:
            check_pixels(found[rank][1], jpegs, sample_id)
        else:
            assert found[rank][1] == (jpegs / "photos" / sample_id).read_bytes()
    shutil.rmtree(jpegs / "photos")
    assert alrctl(*select_jpegs(jpegs, "--force")).code == 0
    assert list(contents(jpegs / "q")) == EVERYTHING
    assert [name.endswith(".png") for name in archived(jpegs / "q")] == [True] * 12


def test_an_original_that_is_broken_is_told_and_nothing_is_left(jpegs: Path, alrctl: Alrctl) -> None:
    for path in (jpegs / "photos").rglob("*.jpg"):
        path.write_bytes(path.read_bytes()[:200])
    ran = alrctl(*select_jpegs(jpegs))
    check_refused(ran, 3, f"{jpegs / 'photos'}/", jpegs / "q")
    assert ".jpg: is no readable image file (" in ran.err


def test_without_originals_and_without_a_pack_nothing_is_shown(jpegs: Path, alrctl: Alrctl) -> None:
    shutil.rmtree(jpegs / "photos")
    (jpegs / "data/images.safetensors").unlink()
    ran = alrctl(*select_jpegs(jpegs))
    assert ran.code == 0, ran.err
    assert list(contents(jpegs / "q")) == WITHOUT_IMAGES


# --- scores of other programs ----------------------------------------------------------------------------------------


def test_foreign_scores_give_what_can_be_made_without_images(foreign: Path, alrctl: Alrctl) -> None:
    out = foreign.parent / "q"
    ran = alrctl("select", foreign, "--strategy", "entropy", "--budget", 5, "-o", out)
    assert ran.code == 0, ran.err
    assert list(contents(out)) == WITHOUT_IMAGES
    assert [label["name"] for label in json.loads((out / "cvat_labels.json").read_text())] == ["blue", "green", "red"]
    assert csv_files.read_csv(out / "queue.csv")["image"].to_list() == queue_of(out)["sample_id"].to_list()
    told = "--strategy expected-correction: the order of the classes is not recorded; give --data"
    check_refused(alrctl("select", foreign, "--budget", 5, "-o", out / "no"), 2, told, out / "no")


def test_the_data_set_may_be_named(finished: Path, foreign: Path, alrctl: Alrctl, chosen: Path) -> None:
    out = foreign.parent / "q"
    ran = alrctl("select", foreign, "--data", finished / "data", "--pool", "all", "--budget", 9, "-o", out)
    assert ran.code == 0, ran.err
    assert contents(out) == contents(chosen)


def test_only_the_columns_that_are_needed_are_held_to_the_contract(foreign: Path, alrctl: Alrctl) -> None:
    table = pl.read_parquet(foreign)
    spoilt = table.with_columns(entropy=pl.when(pl.int_range(pl.len()) == 2).then(float("nan")).otherwise("entropy"))
    spoilt.write_parquet(foreign)
    out = foreign.parent / "q"
    assert alrctl("select", foreign, "--strategy", "margin", "--budget", 5, "-o", out).code == 0
    told = f"{foreign}: column 'entropy' has 1 value NaN (first: row 3)"
    for more in (("--strategy", "entropy"), ("--strategy", "margin", "--where", "entropy < 0.5")):
        ran = alrctl("select", foreign, "--budget", 5, "-o", out / "no", *more)
        check_refused(ran, 3, told, out / "no")


# --- exclude ---------------------------------------------------------------------------------------------------------


def write_list(path: Path, names: list[str]) -> Path:
    if path.suffix == ".parquet":
        pl.DataFrame({"sample_id": names, "note": "seen"}).write_parquet(path)
    elif path.suffix == ".csv":
        path.write_bytes(("\ufeffnote;sample_id\r\n" + "".join(f"seen;{name}\r\n" for name in names)).encode())
    elif path.suffix == ".tsv":
        path.write_text("sample_id\tnote\n" + "".join(f"{name}\tseen\n" for name in names))
    else:
        path.write_bytes(("\ufeff" + "\r\n\r\n".join(f"  {name} " for name in names)).encode())
    return path


@pytest.mark.parametrize("name", ["ids.txt", "ids", "ids.csv", "ids.tsv", "ids.parquet", "IDS.CSV"])
def test_what_is_excluded_is_not_queued_whatever_the_list_is(
    finished: Path, chosen: Path, alrctl: Alrctl, tmp_path: Path, name: str
) -> None:
    first = queue_of(chosen)["sample_id"].to_list()[:4]
    if name == "IDS.CSV":
        path = write_list(tmp_path / "ids.csv", [*first, "x1", "x2"]).rename(tmp_path / name)
    else:
        path = write_list(tmp_path / name, [*first, "x1", "x2"])
    out = tmp_path / "q"
    common = ("select", finished / "r1/scores", "--pool", "all", "-o", out)
    ran = alrctl(*common, "--exclude", path, "--budget", 5)
    assert ran.code == 0, ran.err
    assert ran.err.splitlines() == ["warning: --exclude: 2 ids not in the scores (first: 'x1')"]
    assert queue_of(out)["sample_id"].to_list() == queue_of(chosen)["sample_id"].to_list()[4:]
    assert "exclude" in json.loads((out / "manifest.json").read_text())["inputs"]
    assert alrctl(*common, "--exclude", path, "--budget", 5, "--json").document["status"] == "unchanged"
    assert alrctl(*common, "--budget", 5, "--json").document["status"] == "done"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gone.txt", None, "gone.txt: no such file"),
        ("ids.csv", b"id,note\na,b\n", "ids.csv: column 'sample_id' missing (found: id, note)"),
        ("ids.csv", b"", "ids.csv: is empty; a header line with column names is needed"),
        ("ids.parquet", b"no parquet", "ids.parquet: is no readable parquet file ("),
        ("ids.txt", "naïve".encode("latin-1"), "ids.txt: is no readable UTF-8 text file ("),
    ],
)
def test_a_list_that_is_none_is_refused(
    finished: Path, alrctl: Alrctl, tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    out = tmp_path / "q"
    ran = alrctl("select", finished / "r1/scores", "--exclude", tmp_path / name, "--budget", 5, "-o", out)
    check_refused(ran, 3, f"{tmp_path}/{told}", out)


def test_a_list_of_everything_leaves_nothing(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    everything = pl.read_parquet(finished / "r1/scores/scores.parquet")["sample_id"].to_list()
    path, out = write_list(tmp_path / "ids.txt", everything), tmp_path / "q"
    ran = alrctl("select", finished / "r1/scores", "--exclude", path, "--budget", 5, "-o", out)
    check_refused(ran, 5, "no candidates: --exclude leaves none of the pool", out)


# --- where -----------------------------------------------------------------------------------------------------------


def test_where_is_any_condition_on_the_scores(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    out = tmp_path / "q"
    where = "area_under_margin < 0 AND given_label <> suggested_label"
    ran = alrctl("select", finished / "r1/scores", "--pool", "all", "--where", where, "--budget", 60, "-o", out)
    assert ran.code == 0, ran.err
    scores = pl.read_parquet(finished / "r1/scores/scores.parquet")
    held = scores.filter(pl.col("area_under_margin") < 0, pl.col("given_label") != pl.col("suggested_label"))
    assert set(queue_of(out)["sample_id"]) == set(held["sample_id"])
    assert 0 < held.height < 60
    assert f"warning: 60 labels asked for, and the pool holds {held.height}\n" in ran.err


@pytest.mark.parametrize(
    ("where", "code", "told"),
    [
        ("entropi > 1", 2, "--where: no column 'entropi' in the scores; did you mean 'entropy'?"),
        ("row > 1", 2, "--where: no column 'row' in the scores"),
        ("entropy >", 2, "--where: 'entropy >' is no condition ("),
        ("entropy", 2, "--where: 'entropy': filter predicate must be of type `Boolean`, got `Float32`"),
        ("entropy > 90", 5, "no candidates: --where 'entropy > 90' holds of none in the pool"),
    ],
)
def test_a_condition_that_makes_no_sense_leaves_nothing(
    finished: Path, alrctl: Alrctl, tmp_path: Path, where: str, code: int, told: str
) -> None:
    out = tmp_path / "q"
    check_refused(alrctl("select", finished / "r1/scores", "--where", where, "--budget", 5, "-o", out), code, told, out)


# --- embeddings ------------------------------------------------------------------------------------------------------


def scores_with(finished: Path, place: Path, embeddings: torch.Tensor | bytes | None) -> Path:
    """A directory of scores that another program wrote, with these embeddings beside them."""
    place.mkdir()
    shutil.copy(finished / "r1/scores/scores.parquet", place)
    if isinstance(embeddings, bytes):
        (place / "embeddings.safetensors").write_bytes(embeddings)
    elif embeddings is not None:
        save_file({"embeddings": embeddings}, place / "embeddings.safetensors")
    return place


@pytest.mark.parametrize(
    ("embeddings", "code", "told"),
    [
        (None, 3, ": holds no embeddings.safetensors, which --strategy coreset goes by; `alrctl score` writes it"),
        (torch.zeros(76, 4), 4, "/embeddings.safetensors: has 76 rows; the scores beside it have 77"),
        (torch.zeros(77), 3, "/embeddings.safetensors: holds torch.float32 (77,); wanted: floats (N, H)"),
        (b"broken", 3, "/embeddings.safetensors: is no whole file of embeddings ("),
    ],
)
def test_embeddings_that_are_missing_or_of_others_or_broken_are_told(
    finished: Path, alrctl: Alrctl, tmp_path: Path, embeddings: Any, code: int, told: str
) -> None:
    place, out = scores_with(finished, tmp_path / "scores", embeddings), tmp_path / "q"
    ran = alrctl("select", place, "--strategy", "coreset", "--budget", 5, "-o", out)
    check_refused(ran, code, f"{place}{told}", out)
    assert alrctl("select", place, "--strategy", "entropy", "--budget", 5, "-o", out).code == 0


def test_the_message_names_what_asked_for_embeddings(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    place, out = scores_with(finished, tmp_path / "scores", None), tmp_path / "q"
    end = "goes by; `alrctl score` writes it"
    for more, told in (
        (("--strategy", "entropy", "--diversity", 0.5), "--diversity"),
        (("--strategy", "mix", "--mix", "badge=1", "--mix", "entropy=1"), "--strategy badge, entropy"),
    ):
        ran = alrctl("select", place, *more, "--budget", 5, "-o", out)
        check_refused(ran, 3, f"{place}: holds no embeddings.safetensors, which {told} {end}", out)


def test_coreset_goes_by_the_embeddings_beside_the_scores(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    scores = pl.read_parquet(finished / "r1/scores/scores.parquet")
    noisy = np.flatnonzero(~scores["judged_clean"].to_numpy())
    far = torch.zeros(77, 3)
    far[noisy[3]], far[noisy[8]] = torch.tensor([9.0, 0, 0]), torch.tensor([0, 5.0, 0])
    place, out = scores_with(finished, tmp_path / "scores", far), tmp_path / "q"
    ran = alrctl("select", place, "--strategy", "coreset", "--budget", 2, "-o", out)
    assert ran.code == 0, ran.err
    assert queue_of(out)["sample_id"].to_list() == scores["sample_id"][noisy[[3, 8]].tolist()].to_list()
    np.testing.assert_allclose(queue_of(out)["score"], [9, 5])
    assert "embeddings" in json.loads((out / "manifest.json").read_text())["inputs"]
    save_file({"embeddings": far.flip(1)}, place / "embeddings.safetensors")
    assert (
        alrctl("select", place, "--strategy", "coreset", "--budget", 2, "-o", out, "--json").document["status"]
        == "done"
    )


# --- again -----------------------------------------------------------------------------------------------------------

CHOICES: list[tuple[object, ...]] = [
    (),
    ("--strategy", "random"),
    ("--strategy", "badge"),
    ("--strategy", "typiclust"),
    ("--strategy", "mix", "--mix", "coreset=1", "--mix", "expected-correction=2", "--suggest"),
    ("--strategy", "bald", "--diversity", 0.4, "--quota", "red=3", "--floor", "blue=1"),
    ("--images", "ingested", "--unit", "minutes", "--class-cost", "red=2", "--group", "one"),
]


@pytest.mark.parametrize("more", CHOICES, ids=str)
def test_a_second_run_is_unchanged_and_a_forced_one_gives_the_same_bytes(
    finished: Path, alrctl: Alrctl, tmp_path: Path, more: tuple[object, ...]
) -> None:
    command = ("select", finished / "r1/scores", "--pool", "all", "--budget", 8, *more, "-o", tmp_path / "q", "--json")
    first = alrctl(*command)
    assert first.code == 0, first.err
    before = contents(tmp_path / "q")
    assert list(before) == EVERYTHING
    assert alrctl(*command).document["status"] == "unchanged"
    forced = alrctl(*command, "--force").document
    assert forced["status"] == "done"
    assert forced["summary"] == first.document["summary"]
    assert contents(tmp_path / "q") == before


def test_the_summary_says_what_the_queue_costs(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    command = ("select", finished / "r1/scores", "--budget", 6, "--unit", "minutes", "--pool", "all", "-o", tmp_path)
    summary = alrctl(*command[:-1], tmp_path / "q", "--json").document["summary"]
    assert (summary["queued"], summary["cost"], summary["unit"], summary["pool"]) == (12, 6.0, "minutes", 77)
    assert (summary["strategy"], summary["asked_for"]) == ("expected-correction", 6)
    assert sum(summary["by_given_label"].values()) == sum(summary["by_suggested_label"].values()) == 12


# --- the way back ----------------------------------------------------------------------------------------------------


def test_a_queue_filled_in_by_a_spreadsheet_goes_through_relabel(
    work: Path, chosen: Path, alrctl: Alrctl, tmp_path: Path
) -> None:
    asked = csv_files.read_csv(chosen / "queue.csv")
    truth = asked["sample_id"].str.split("/").list.first()
    rows = [
        asked.columns,
        *asked.with_columns(label=truth, annotator=pl.lit("Dr. Ö"), comment=pl.lit('so "sure"')).rows(),
    ]
    rows[3] = tuple("" if name == "label" else cell for name, cell in zip(asked.columns, rows[3], strict=True))
    quoted = ['"' + str(cell or "").replace('"', '""') + '"' for row in rows for cell in row]
    width = len(asked.columns)
    lines = [";".join(quoted[start : start + width]) for start in range(0, len(quoted), width)]
    (tmp_path / "filled.csv").write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n").encode())
    ran = alrctl(
        *("relabel", work / "noisy", "--queue", chosen, "--answers", tmp_path / "filled.csv"),
        *("--data", work / "data", "-o", tmp_path / "labels", "--json"),
    )
    assert ran.code == 0, ran.err
    labels = dict(
        pl.read_parquet(tmp_path / "labels/labels.parquet").filter("relabelled").select("sample_id", "label").rows()
    )
    answered = [name for place, name in enumerate(asked["sample_id"]) if place != 2]
    assert labels == {name: name.split("/")[0] for name in answered}
    ledger = pl.read_parquet(tmp_path / "labels/ledger.parquet")
    assert set(ledger["annotator"]) == {"Dr. Ö"}
    assert set(ledger["source_file"]) == {"filled.csv"}


def test_what_an_expert_has_labelled_is_not_asked_again(work: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    out, asked = tmp_path / "s", set(queue_of(work / "r1/queue")["sample_id"])
    ran = alrctl(
        *("score", work / "data", "--labels", work / "r1/labels", "--checkpoint", work / "r1/model", "-o", out),
    )
    assert ran.code == 0, ran.err
    ran = alrctl("select", out, "--pool", "all", "--budget", 500, "-o", tmp_path / "q")
    assert ran.code == 0, ran.err
    assert not asked & set(queue_of(tmp_path / "q")["sample_id"])
    assert queue_of(tmp_path / "q").height == 77 - len(asked)
    assert load_file(out / "embeddings.safetensors")["embeddings"].shape[0] == 77


def other_length(table: pl.DataFrame) -> pl.DataFrame:
    short = pl.lit([0.5, 0.5], dtype=pl.List(pl.Float32))
    return table.with_columns(posterior=pl.when(pl.int_range(pl.len()) == 3).then(short).otherwise("posterior"))


def no_distribution(table: pl.DataFrame) -> pl.DataFrame:
    zeros = pl.lit([0.0] * 3, dtype=pl.List(pl.Float32))
    return table.with_columns(posterior=pl.when(pl.int_range(pl.len()) == 3).then(zeros).otherwise("posterior"))


def repeated(table: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([table, table.head(3)])


def no_class(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(
        given_label=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("redd")).otherwise("given_label")
    )


SPOILT: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], int, str]] = {
    "a posterior of another length": (other_length, 4, "column 'posterior' has 1 list not of the 3 classes of"),
    "a posterior that is no distribution": (no_distribution, 3, "column 'posterior' has 1 list that does not sum to 1"),
    "ids that stand twice": (repeated, 3, "column 'sample_id' has 6 rows repeated (it must be unique) (first: row 1,"),
    "a label that is no class": (no_class, 3, "column 'given_label' has 1 value that is no class of this data set"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_scores_are_held_to_what_no_column_shows_by_itself(
    finished: Path, tmp_path: Path, alrctl: Alrctl, how: str
) -> None:
    spoil, code, told = SPOILT[how]
    path = tmp_path / "scores.parquet"
    spoil(pl.read_parquet(finished / "r1/scores/scores.parquet")).write_parquet(path)
    out = tmp_path / "q"
    ran = alrctl("select", path, "--data", finished / "data", "--budget", 3, "-o", out)
    check_refused(ran, code, f"{path}: {told}", out)


def test_a_csv_of_scores_will_do_for_strategies_that_need_no_posterior(
    finished: Path, tmp_path: Path, alrctl: Alrctl
) -> None:
    scores = pl.read_parquet(finished / "r1/scores/scores.parquet").drop("posterior", "true_posterior")
    scores.write_csv(tmp_path / "scores.csv")
    ran = alrctl("select", tmp_path / "scores.csv", "--strategy", "margin", "--budget", 3, "-o", tmp_path / "q")
    assert ran.code == 0, ran.err
    assert queue_of(tmp_path / "q").height == 3
    ran = alrctl("select", tmp_path / "scores.csv", "--data", finished / "data", "--budget", 3, "-o", tmp_path / "q2")
    check_refused(ran, 3, f"{tmp_path / 'scores.csv'}: column 'posterior' missing", tmp_path / "q2")
