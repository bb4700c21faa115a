"""`alrctl review` writes one page that loads nothing, tells nothing it should not, and runs nothing but its script."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from alrctl import review, table_files
from alrctl.annotators import Picture
from schemas.queue import QUEUE

Alrctl = Callable[..., Any]
HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "=HYPERLINK(1)", "a\u2028b", "<!--")


class Page(HTMLParser):
    """What a browser would see: the elements, their attributes, and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag == "style":
            self.styles.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, text: str) -> None:
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + text)
        if self._inside == "style":
            self.styles[-1] += text

    def of_id(self, name: str) -> str:
        return next(text for attributes, text in self.scripts if attributes.get("id") == name)

    @property
    def told(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.of_id("data"))
        return document

    @property
    def images(self) -> dict[int, Image.Image]:
        found = {}
        for attributes, text in self.scripts:
            name = attributes.get("id") or ""
            if name.startswith("image-"):
                kind, content = text.split(";base64,")
                found[int(name.removeprefix("image-"))] = Image.open(io.BytesIO(base64.b64decode(content)))
                assert kind == f"image/{(found[int(name.removeprefix('image-'))].format or '').lower()}"
        return found


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def write_queue(folder: Path, sample_ids: list[str], **columns: Any) -> Path:
    count = len(sample_ids)
    rows = {
        "rank": list(range(1, count + 1)),
        "sample_id": sample_ids,
        "given_label": ["red"] * count,
        "suggested_label": ["green"] * count,
        "score": [0.5] * count,
        "reason": ["the network disagrees"] * count,
        "cost": [1.0] * count,
        "unit": ["labels"] * count,
    } | columns
    folder.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(rows, schema_overrides={"sample_id": pl.String, "given_label": pl.String, "reason": pl.String})
    table_files.write_table(QUEUE.empty() if count == 0 else frame, folder / "queue.parquet", QUEUE)
    return folder


@pytest.fixture(scope="module")
def data(alrctl: Alrctl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 30 images whose ids say nothing of their classes. Not to be changed."""
    base = tmp_path_factory.mktemp("review")
    (base / "photos").mkdir()
    generator = np.random.default_rng(7)
    lines = []
    for number in range(30):
        Image.fromarray(generator.integers(0, 256, (140, 140, 3), np.uint8)).save(base / f"photos/{number:02d}.png")
        lines.append(f"photos/{number:02d}.png,{('red', 'green', 'blue')[number % 3]}")
    (base / "list.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    ran = alrctl("ingest", base / "list.csv", "-o", base / "data", "--image-size", 24)
    assert ran.code == 0, ran.err
    return base / "data"


@pytest.fixture
def queue(data: Path, tmp_path: Path) -> Path:
    return write_queue(tmp_path / "queue", pl.read_parquet(data / "samples.parquet")["sample_id"].to_list()[:6])


def check_refused(ran: Any, code: int, told: str, out: Path) -> None:
    errors = [line for line in ran.err.splitlines() if not line.startswith("warning:")]
    assert len(errors) == 1, ran.err
    assert told in errors[0], errors[0]
    assert ran.code == code
    assert ran.out == ""
    assert not out.exists()
    if out.parent.is_dir():
        assert not [path for path in out.parent.iterdir() if path.name.endswith(".partial")]


# --- what is in the page ---------------------------------------------------------------------------------------------


def test_the_page_holds_the_queue_in_its_order_and_every_image(
    alrctl: Alrctl, data: Path, queue: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep/review.html"
    ran = alrctl("review", queue, "--data", data, "-o", out, "--annotator", " anna ", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"] == {"samples": 6, "images": 6, "bytes": out.stat().st_size}
    told = read(out).told
    rows = table_files.read_table(queue / "queue.parquet", QUEUE)
    assert [row[0] for row in told["samples"]] == rows["sample_id"].to_list()
    assert [row[1:] for row in told["samples"]] == [["red", "green", "the network disagrees", True]] * 6
    assert told["classes"] == ["blue", "green", "red"]
    assert told["annotator"] == "anna"
    assert sorted(read(out).images) == list(range(6))
    assert [path.name for path in out.parent.iterdir()] == ["review.html"]


def test_the_queue_of_select_leads_to_its_data_set(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    for place in (finished / "r1/queue", finished / "r1/queue/queue.parquet"):
        assert alrctl("review", place, "-o", tmp_path / "review.html").code == 0
        assert len(read(tmp_path / "review.html").images) == 12
        assert read(tmp_path / "review.html").told["classes"] == ["blue", "green", "red"]


def test_the_queue_is_shown_in_the_order_of_its_ranks(alrctl: Alrctl, data: Path, tmp_path: Path) -> None:
    ids = pl.read_parquet(data / "samples.parquet")["sample_id"].to_list()[:3]
    queue = write_queue(tmp_path / "queue", ids, rank=[3, 1, 2])
    assert alrctl("review", queue, "--data", data, "-o", tmp_path / "a.html").code == 0
    assert [row[0] for row in read(tmp_path / "a.html").told["samples"]] == [ids[1], ids[2], ids[0]]
    straight = write_queue(tmp_path / "straight", [ids[1], ids[2], ids[0]])
    assert alrctl("review", straight, "--data", data, "-o", tmp_path / "b.html").code == 0
    first, second = read(tmp_path / "a.html").images, read(tmp_path / "b.html").images
    assert all(first[number].tobytes() == second[number].tobytes() for number in range(3))


def test_the_same_queue_gives_the_same_bytes(alrctl: Alrctl, data: Path, queue: Path, tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        assert alrctl("review", queue, "--data", data, "-o", tmp_path / name).code == 0
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_originals_are_shown_where_they_stand_and_else_what_was_ingested(
    alrctl: Alrctl, data: Path, queue: Path, tmp_path: Path
) -> None:
    assert alrctl("review", queue, "--data", data, "-o", tmp_path / "a.html").code == 0
    assert read(tmp_path / "a.html").images[0].size == (140, 140)
    shutil.copytree(data, tmp_path / "moved")
    assert alrctl("review", queue, "--data", tmp_path / "moved", "-o", tmp_path / "b.html").code == 0
    assert read(tmp_path / "b.html").images[0].size == (24, 24)


@pytest.mark.parametrize(
    ("shape", "longest", "size", "kind"),
    [
        ((90, 60, 3), 384, (60, 90), "PNG"),
        ((300, 200, 3), 384, (200, 300), "JPEG"),
        ((300, 200, 3), 150, (100, 150), "JPEG"),
        ((300, 200, 3), 128, (85, 128), "PNG"),
        ((128, 128, 3), 384, (128, 128), "PNG"),
        ((129, 129, 3), 384, (129, 129), "JPEG"),
    ],
)
def test_images_are_reduced_and_never_enlarged_and_small_ones_keep_every_pixel(
    shape: tuple[int, int, int], longest: int, size: tuple[int, int], kind: str, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for picture in (Picture("a", pixels), Picture("a", file=tmp_path / "a.png")):
        text = review.encoded(picture, longest)
        assert text is not None
        assert text.startswith(f"image/{kind.lower()};base64,")
        with Image.open(io.BytesIO(base64.b64decode(text.split(",")[1]))) as shown:
            assert (shown.size, shown.format) == (size, kind)
            if kind == "PNG" and shape[:2] == size[::-1]:
                assert (np.asarray(shown.convert("RGB")) == pixels).all()


def test_a_grey_image_is_stored_with_one_channel_and_looks_the_same() -> None:
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (20, 30, 1), np.uint8), 3, axis=2)
    text = review.encoded(Picture("a", grey), 384)
    assert text is not None
    with Image.open(io.BytesIO(base64.b64decode(text.split(",")[1]))) as shown:
        assert shown.mode == "L"
        assert (np.asarray(shown.convert("RGB")) == grey).all()


def test_a_sample_without_an_image_is_in_the_page_and_told(alrctl: Alrctl, data: Path, tmp_path: Path) -> None:
    known = pl.read_parquet(data / "samples.parquet")["sample_id"][0]
    queue = write_queue(tmp_path / "queue", ["strange", known])
    ran = alrctl("review", queue, "--data", data, "-o", tmp_path / "a.html", "--json")
    assert ran.code == 0
    assert "1 sample without an image: the page says so (strange)" in ran.err
    assert [row[-1] for row in read(tmp_path / "a.html").told["samples"]] == [False, True]
    assert sorted(read(tmp_path / "a.html").images) == [1]


# --- blind -----------------------------------------------------------------------------------------------------------


def test_a_blind_page_is_the_same_whatever_the_labels_are(alrctl: Alrctl, data: Path, tmp_path: Path) -> None:
    ids = pl.read_parquet(data / "samples.parquet")["sample_id"].to_list()[:6]
    labels = ["red", "green", "blue"] * 2
    one = write_queue(tmp_path / "one", ids)
    two = write_queue(
        tmp_path / "two", ids, given_label=labels, suggested_label=labels[::-1], score=[0.1] * 6, reason=["Ω"] * 6
    )
    pages = {}
    for name, queue, more in (("one", one, ["--blind"]), ("two", two, ["--blind"]), ("open", one, [])):
        out = tmp_path / f"{name}.html"
        assert alrctl("review", queue, "--data", data, "-o", out, *more).code == 0
        pages[name] = out.read_bytes()
    assert pages["one"] == pages["two"]
    assert b"the network disagrees" in pages["open"]
    assert read(tmp_path / "one.html").told["samples"] == [[name, True] for name in ids]
    assert b"the network disagrees" not in pages["one"]


def test_ids_that_tell_a_class_are_warned_of(alrctl: Alrctl, finished: Path, data: Path, tmp_path: Path) -> None:
    ran = alrctl("review", finished / "r1/queue", "--blind", "-o", tmp_path / "a.html")
    assert ran.code == 0
    assert "12 sample ids with the name of a class in it" in ran.err
    assert "warning" not in alrctl("review", finished / "r1/queue", "-o", tmp_path / "a.html").err
    queue = write_queue(tmp_path / "q", pl.read_parquet(data / "samples.parquet")["sample_id"].to_list())
    assert "warning" not in alrctl("review", queue, "--data", data, "--blind", "-o", tmp_path / "a.html").err


def test_two_queues_are_never_kept_in_one_place(data: Path) -> None:
    frame = pl.DataFrame(
        {"rank": [1, 2], "sample_id": ["a", "b"]}
        | {name: ["red", "red"] for name in ("given_label", "suggested_label", "reason")}
    )

    def digest(queue: pl.DataFrame = frame, classes: str = "xy", data_set: str = "", **options: Any) -> str:
        found: str = review.document(queue, [True, True], classes, review.ReviewConfig(**options), data_set)["digest"]
        return found

    others = [
        digest(frame[::-1]),
        digest(frame.with_columns(given_label=pl.lit("blue"))),
        digest(classes="yx"),
        digest(data_set="other"),
        digest(blind=True),
        digest(annotator="anna"),
    ]
    assert len({digest(), *others}) == 1 + len(others)
    assert digest(title="Other", image_size=99) == digest()


# --- nothing from outside, and nothing that runs ---------------------------------------------------------------------


def policy_of(page: Page) -> dict[str, str]:
    text = next(value for tag, name, value in page.attributes if tag == "meta" and value.startswith("default-src"))
    return {part.split()[0]: part.split(maxsplit=1)[1] for part in text.split("; ")}


def hash_of(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def test_the_policy_lets_run_the_pages_own_script_and_nothing_else(
    alrctl: Alrctl, data: Path, queue: Path, tmp_path: Path
) -> None:
    assert alrctl("review", queue, "--data", data, "-o", tmp_path / "a.html").code == 0
    page = read(tmp_path / "a.html")
    running = [text for attributes, text in page.scripts if "type" not in attributes]
    assert len(running) == len(page.styles) == 1
    assert policy_of(page) == {
        "default-src": "'none'",
        "img-src": "data: blob:",
        "style-src": hash_of(page.styles[0]),
        "script-src": hash_of(running[0]),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name != "style", tag
        assert name not in {"src", "action", "srcset"}, (tag, name)
        assert name != "href" or value.startswith("#"), (tag, value)
    assert "://" not in running[0] + page.styles[0]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", running[0])


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_that_look_like_html_are_text(hostile: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({name: [hostile] for name in ("sample_id", "given_label", "suggested_label", "reason")})
    config = review.ReviewConfig(title=hostile, annotator=hostile)
    told = review.document(frame.with_columns(rank=1), [True], [hostile, "other"], config)
    review.write(tmp_path / "a.html", told, ["image/png;base64,AAAA"])
    page = read(tmp_path / "a.html")
    assert len(page.scripts) == 3
    assert page.told["samples"] == [[hostile, hostile, hostile, hostile, True]]
    assert page.told["classes"] == [hostile, "other"]
    assert page.of_id("data").isascii()
    assert "<" not in page.of_id("data")
    assert not any(value == "alert(1)" for _, _, value in page.attributes)


def test_every_part_of_the_page_comes_with_the_package() -> None:
    folder = Path(review.__file__).parent / "templates"
    for name in (*review.SCRIPTS, review.STYLE):
        text = (folder / name).read_text(encoding="utf-8")
        assert "</s" not in text, "it would end its element"
        assert "\r" not in text, "browsers would hash another text"
    assert {path.name for path in folder.glob("review*.js")} == set(review.SCRIPTS)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_an_empty_queue_is_nothing_to_do(alrctl: Alrctl, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out/a.html"
    ran = alrctl("review", write_queue(tmp_path / "q", []), "--data", data, "-o", out)
    check_refused(ran, 5, "queue.parquet: is empty; there is nothing to label", out)


def test_a_queue_without_any_image_is_refused(alrctl: Alrctl, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out/a.html"
    ran = alrctl("review", write_queue(tmp_path / "q", ["a", "b"]), "--data", data, "-o", out)
    check_refused(ran, 3, "no image found of any of its 2 samples; name their data set with --data DIR", out)


def test_a_queue_whose_data_set_is_not_known_is_refused(alrctl: Alrctl, queue: Path, tmp_path: Path) -> None:
    out = tmp_path / "out/a.html"
    check_refused(alrctl("review", queue, "-o", out), 3, "does not say where its data set is; name it with --data", out)
    ran = alrctl("review", queue, "--data", tmp_path / "nowhere", "-o", out)
    check_refused(ran, 3, "nowhere: no such file or directory", out)
    check_refused(alrctl("review", tmp_path / "none", "-o", out), 3, "none: no such file or directory", out)


def test_a_queue_that_was_changed_is_shown_as_it_is_and_said(alrctl: Alrctl, work: Path) -> None:
    queue = work / "r1/queue/queue.parquet"
    pl.read_parquet(queue).head(5).write_parquet(queue)
    ran = alrctl("review", queue.parent, "-o", work / "review.html")
    assert ran.code == 0
    assert f"{queue} was changed after alrctl wrote it; it is used as it is now" in ran.err


def test_a_place_that_cannot_be_written_is_refused(alrctl: Alrctl, data: Path, queue: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file/a.html"
    check_refused(alrctl("review", queue, "--data", data, "-o", out), 2, "cannot be written", out)
    (tmp_path / "folder").mkdir()
    ran = alrctl("review", queue, "--data", data, "-o", tmp_path / "folder")
    assert ran.code == 2
    assert "folder: cannot be written" in ran.err
    assert list(tmp_path.glob(".*partial")) == []


def test_a_broken_original_leaves_no_page(alrctl: Alrctl, queue: Path, data: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(data.parent, base)
    last = table_files.read_table(queue / "queue.parquet", QUEUE)["sample_id"][-1]
    (base / last).write_bytes(b"no image")
    before = tmp_path / "a.html"
    before.write_text("<!doctype html> of yesterday")
    ran = alrctl("review", queue, "--data", base / "data", "-o", before)
    assert ran.code == 3
    assert f"{last}: is no readable image file" in ran.err
    assert before.read_text() == "<!doctype html> of yesterday"
    assert list(tmp_path.glob(".*partial")) == []


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--image-size", "15", "--image-size: '15' should be greater than or equal to 16"),
        ("--image-size", "big", "--image-size: 'big' should be a valid integer"),
        ("--title", "", "--title: '' String should have at least 1 character"),
    ],
)
def test_a_wrong_value_is_told(
    alrctl: Alrctl, data: Path, queue: Path, tmp_path: Path, option: str, value: str, told: str
) -> None:
    out = tmp_path / "out/a.html"
    ran = alrctl("review", queue, "--data", data, "-o", out, option, value)
    check_refused(ran, 2, told, out)
