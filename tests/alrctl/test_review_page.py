"""The page of `alrctl review` in a browser: what an expert does by key, mouse and finger, and what comes out of it."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from alrctl import csv_files, files, review
from alrctl.annotators import Picture

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if importlib.util.find_spec("playwright") is None:
    pytest.skip("playwright is missing: pip install -e '.[dev]'", allow_module_level=True)
if CHROMIUM is None:
    pytest.skip("no browser is there: apt-get install chromium", allow_module_level=True)

COLUMNS = ["sample_id", "label", "annotator", "unsure", "seconds", "comment", "timestamp"]
CLASSES = ("basal", "melanoma", "naevus")
HOSTILE = (
    *("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "=HYPERLINK(1)", "a\u2028b", "'+1"),
    *('say "hi", he; said', "-1\n@2", "\N{GRINNING FACE} \u202egnp", "&lt;b&gt;", "${alert(1)}"),
)
Write = Callable[..., str]


def wait_until(page: Any, condition: str) -> None:
    """Wait for a condition; the page's policy forbids `wait_for_function`, which evaluates text within the page."""
    for _ in range(500):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"not within 10 s: {condition}")


@dataclass
class Desk:
    """A browser with one page open, and everything in it that must not happen."""

    context: Any
    page: Any
    amiss: list[str] = field(default_factory=list)

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, name: str) -> str:
        return str(self.page.locator(f"#{name}").inner_text())

    def position(self) -> int:
        return int(self.text("position").split("/")[0])

    def plan_of(self, file: Any) -> str:
        """Load a file, and return what the page says it would change, once it has read it."""
        self.page.evaluate("element('plan').textContent = ''")
        self.page.set_input_files("#file", file)
        wait_until(self.page, "element('plan').textContent !== ''")
        return self.text("plan")

    def answers(self, folder: Path, button: str = "#download") -> pl.DataFrame:
        """Download the answers, and read them as `relabel` does."""
        with self.page.expect_download() as caught:
            self.page.click(button)
        caught.value.save_as(folder / "answers.csv")
        return csv_files.read_csv(folder / "answers.csv")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(chromium: Any) -> Iterator[Any]:
    opened = chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield opened
    opened.close()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a page and return its address."""

    def make(ids: list[str] | int = 6, classes: tuple[str, ...] = CLASSES, unseen: int = -1, **options: Any) -> str:
        names = [f"image-{number}" for number in range(ids)] if isinstance(ids, int) else ids
        columns = {"sample_id": names} | {
            name: [classes[(number + shift) % len(classes)] for number in range(len(names))]
            for shift, name in enumerate(("given_label", "suggested_label"))
        }
        generator = np.random.default_rng(0)
        pictures = [
            None
            if number == unseen
            else review.encoded(Picture("", generator.integers(0, 256, (16, 16, 3), np.uint8)), 64)
            for number in range(len(names))
        ]
        frame = pl.DataFrame({**columns, "reason": [f"reason {classes[0]}"] * len(names)})
        config = review.ReviewConfig(**{"annotator": "anna", **options})
        told = review.document(frame, [picture is not None for picture in pictures], classes, config)
        review.write(tmp_path / "review.html", told, pictures)
        return (tmp_path / "review.html").as_uri()

    return make


def watched(context: Any) -> Desk:
    """Open a page that is listened to for all that hostile names could bring about."""
    page = context.new_page()
    desk = Desk(context, page)
    page.on("dialog", lambda dialog: (desk.amiss.append(f"dialog: {dialog.type}"), dialog.accept()))
    page.on("pageerror", lambda error: desk.amiss.append(f"error: {error}"))
    page.on("console", lambda message: desk.amiss.append(f"console: {message.text}"))
    page.on("request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or desk.amiss.append(asked.url))
    return desk


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Desk]]:
    """Open an address in a browser of its own; nothing may be amiss at the end."""
    desks: list[Desk] = []

    def make(address: str, before: str = "", **options: Any) -> Desk:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        desk = watched(context)
        desks.append(desk)
        if before:
            desk.page.add_init_script(before)
        desk.page.goto(address)
        return desk

    yield make
    for desk in desks:
        desk.context.close()
        assert desk.amiss == []


# --- labelling -------------------------------------------------------------------------------------------------------


def taken_in(folder: Path, alrctl: Any, ids: list[str], classes: tuple[str, ...]) -> pl.DataFrame:
    """Take the downloaded answers in, and return the ledger's votes."""
    (folder / "data").mkdir()
    files.write_yaml({"names": list(classes)}, folder / "data/classes.yaml")
    labels = pl.DataFrame({"sample_id": ids, "label": [classes[0]] * len(ids)})
    labels.write_parquet(folder / "data/labels.parquet")
    ran = alrctl("relabel", folder / "data", "--answers", folder / "answers.csv", "-o", folder / "labels")
    assert ran.code == 0, ran.err
    return pl.read_parquet(folder / "labels/ledger.parquet").filter(kind="vote")


def test_thirty_images_are_labelled_by_keyboard_with_the_page_closed_in_between(
    chromium: Any, write: Write, tmp_path: Path, alrctl: Any
) -> None:
    address, amiss = write(30, annotator=""), []
    for part, count in enumerate((14, 16)):
        with chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=["--no-sandbox"]
        ) as context:
            desk = watched(context)
            desk.page.goto(address)
            if part == 0:
                desk.page.keyboard.type("Dr. Ωmega")
                desk.keys("Enter")
            assert desk.position() == 1 + 14 * part
            desk.keys(*("123"[(number + 14 * part) % 3] for number in range(count)))
            if part == 1:
                assert desk.text("finish-title") == "All done. Thank you!"
                table = desk.answers(tmp_path, "#finish-download")
            amiss += desk.amiss
    assert amiss == []
    assert table.columns == COLUMNS
    assert table["sample_id"].to_list() == [f"image-{number}" for number in range(30)]
    assert table["label"].to_list() == list(CLASSES) * 10
    assert set(table["annotator"]) == {"Dr. Ωmega"}
    assert set(table["unsure"]) == {"false"}
    assert table["timestamp"].str.to_datetime("%+", time_zone="UTC").is_sorted()
    assert table["seconds"].str.contains(r"^\d+\.\d$").all()
    assert (tmp_path / "answers.csv").read_bytes().startswith(b'\xef\xbb\xbf"sample_id","label"')
    votes = taken_in(tmp_path, alrctl, table["sample_id"].to_list(), CLASSES)
    assert votes["answer"].to_list() == list(CLASSES) * 10
    assert votes["annotator"].to_list() == ["Dr. Ωmega"] * 30
    assert votes["seconds"].to_list() == table["seconds"].cast(pl.Float64).to_list()


def test_every_mark_can_be_made_taken_back_and_found_in_the_file(
    open_page: Callable[..., Desk], write: Write, tmp_path: Path
) -> None:
    desk = open_page(write(8))
    desk.keys("1", "u", "s", "2")
    assert desk.text("progress-text").startswith("2 of 8 answered · 1 unsure · 1 skipped")
    desk.keys("z")
    assert desk.position() == 4
    desk.keys("3", "Control+z", "2", "c")
    desk.page.keyboard.type('1us"z,\n=?')
    assert desk.position() == 5, "keys are text while the person types"
    desk.keys("Escape", "ArrowRight", "3", "ArrowLeft", "x")
    assert desk.text("live") == "Answer cleared"
    table = desk.answers(tmp_path)
    assert table.select("sample_id", "label", "unsure", "comment").rows() == [
        ("image-0", "basal", "false", None),
        ("image-1", None, "true", None),
        ("image-2", None, "false", None),
        ("image-3", "melanoma", "false", None),
        ("image-4", None, "false", '1us"z,\n=?'),
    ]
    assert table["timestamp"].is_null().to_list() == [False, False, False, False, True]


def test_an_answer_leads_to_the_next_open_sample_and_a_held_key_answers_once(
    open_page: Callable[..., Desk], write: Write
) -> None:
    desk = open_page(write(5))
    desk.keys("ArrowRight", "1", "ArrowLeft", "ArrowLeft", "2")
    assert desk.position() == 3, "the second is answered"
    desk.page.keyboard.down("1")
    desk.page.keyboard.down("1")
    desk.page.keyboard.up("1")
    assert desk.position() == 4
    desk.keys("End", "3")
    assert desk.position() == 4, "from the beginning again"
    desk.keys("7", "Shift+A", "Control+s", "Alt+u")
    assert not desk.page.is_visible("#finish"), "none of these keys is ours"
    assert desk.position() == 4


def test_more_than_ten_classes_are_found_by_typing(
    open_page: Callable[..., Desk], write: Write, tmp_path: Path
) -> None:
    classes = (*(f"class {number:02d}" for number in range(38)), "Pneumonia", "Pneumothorax")
    desk = open_page(write(4, classes))
    desk.keys("0", "/")
    desk.page.keyboard.type("PNEU")
    assert desk.page.locator(".class:visible").all_inner_texts() == ["Pneumonia", "Pneumothorax"]
    desk.keys("ArrowDown", "Enter")
    assert desk.page.locator(".class:visible").count() == 40
    desk.keys("/")
    desk.page.keyboard.type("nothing of that name")
    desk.keys("Enter", "Escape")
    assert desk.position() == 3
    desk.page.click("text=class 31")
    assert desk.answers(tmp_path)["label"].to_list() == ["class 09", "Pneumothorax", "class 31"]


# --- hostile names ---------------------------------------------------------------------------------------------------


def test_hostile_names_and_comments_do_nothing_and_come_back_as_they_were(
    open_page: Callable[..., Desk], write: Write, tmp_path: Path, alrctl: Any
) -> None:
    desk = open_page(write(list(HOSTILE), classes=HOSTILE, title=HOSTILE[0], annotator=HOSTILE[4]))
    desk.keys("h")
    for number, text in enumerate(HOSTILE):
        assert desk.page.locator("#sample-id").text_content() == text
        assert desk.page.locator("#given").text_content() == text
        desk.page.fill("#comment", text)
        desk.keys("Escape", "1234567890"[number])
    desk.page.click("#finish [data-close]")
    desk.keys("g")
    assert desk.page.locator(".cell").count() == len(HOSTILE)
    desk.page.click("#overview [data-close]")
    table = desk.answers(tmp_path)
    for name in ("sample_id", "label", "comment"):
        assert table[name].to_list() == list(HOSTILE)
    assert set(table["annotator"]) == {HOSTILE[4]}
    for line in (tmp_path / "answers.csv").read_text(encoding="utf-8-sig").replace('\n""', "").split('"'):
        assert not line.startswith(("=", "+", "-", "@", "\t")), "a spreadsheet would take it for a formula"
    assert desk.page.locator("img[src=x]").count() == 0
    votes = taken_in(tmp_path, alrctl, list(HOSTILE), HOSTILE)
    for name in ("sample_id", "answer", "comment"):
        assert votes[name].to_list() == list(HOSTILE)


def test_any_text_that_a_csv_can_hold_is_read_back_as_it_was(
    open_page: Callable[..., Desk], write: Write, tmp_path: Path
) -> None:
    texts = ["'", "''", "'=", "''=1", "=", "@x", "-", "+\t1", '"', '""', "a\n\nb", ",", ";", "é\u0301", "x" * 5000, "0"]
    rows = [[text, text, "a", "false", "1.0", text, "t"] for text in texts]
    desk = open_page(write(1))
    content = desk.page.evaluate("rows => csvText(rows)", rows)
    (tmp_path / "page.csv").write_bytes(content.encode())
    table = csv_files.read_csv(tmp_path / "page.csv")
    assert table["comment"].to_list() == texts
    csv_files.write_csv(table, tmp_path / "table.csv")
    for name in ("page.csv", "table.csv"):
        given = (tmp_path / name).read_bytes().decode()
        back = desk.page.evaluate("text => parseAnswers(text)", given)
        assert [row["comment"] for row in back] == texts, name


# --- blind -----------------------------------------------------------------------------------------------------------


def test_labels_are_shown_when_asked_for_and_never_on_a_blind_page(
    open_page: Callable[..., Desk], write: Write
) -> None:
    desk = open_page(write(3))
    assert not desk.page.is_visible("#told")
    desk.keys("h")
    assert [desk.text(name) for name in ("given", "suggested", "reason")] == ["basal", "melanoma", "reason basal"]
    desk.page.reload()
    assert desk.text("given") == "basal"
    desk = open_page(write(3, blind=True))
    desk.keys("h")
    for name in ("told", "tell", "sample-id"):
        assert not desk.page.is_visible(f"#{name}")
    assert desk.text("live") == ""
    assert "image-0" not in desk.page.inner_text("body")
    assert desk.page.get_attribute("#picture", "alt") == "Image 1 of 3"


# --- keeping ---------------------------------------------------------------------------------------------------------


def test_a_browser_that_keeps_nothing_says_so(open_page: Callable[..., Desk], write: Write, tmp_path: Path) -> None:
    desk = open_page(write(3), "Storage.prototype.setItem = () => { throw new Error('the disk is full') }")
    assert "does not keep your answers (the disk is full). Download the CSV often" in desk.text("notice")
    desk.keys("1", "2")
    assert desk.answers(tmp_path).height == 2


def test_leaving_is_asked_about_until_all_is_downloaded(
    open_page: Callable[..., Desk], write: Write, tmp_path: Path
) -> None:
    desk = open_page(write(3))
    desk.keys("1")
    desk.page.reload()
    assert desk.amiss == ["dialog: beforeunload"]
    desk.amiss.clear()
    desk.page.mouse.click(5, 300)
    desk.answers(tmp_path)
    desk.page.reload()
    assert desk.position() == 2


def test_two_queues_are_kept_apart_and_two_windows_do_not_overwrite_each_other(
    open_page: Callable[..., Desk], write: Write
) -> None:
    address = write(5)
    first = open_page(address)
    first.keys("1")
    second = first.context.new_page()
    second.goto(address)
    second.keyboard.press("2")
    first.page.wait_for_selector("#elsewhere[open]")
    first.page.click("#go-on-here")
    wait_until(first.page, "answers.position === 2")
    assert first.text("progress-text").startswith("2 of 5 answered")
    first.page.goto(write(["other", "names"]))
    first.amiss.clear()
    assert first.text("progress-text") == "0 of 2 answered"


def test_answers_of_another_browser_are_merged_and_the_later_counts(
    open_page: Callable[..., Desk], write: Write, tmp_path: Path
) -> None:
    desk = open_page(write(6))
    desk.page.fill("#comment", "mine")
    desk.keys("Escape", "1", "1", "1")
    late, early = "2199-01-01T00:00:00.000Z", "2001-01-01T00:00:00.000Z"
    rows = [
        ["image-0", "melanoma", "bert", "false", "9.0", "theirs", late],
        ["image-1", "melanoma", "bert", "false", "9.0", "", early],
        ["image-3", "", "bert", "true", "9.0", "", early],
        ["image-4", "", "bert", "false", "9.0", "", early],
        ["image-5", "unknown", "bert", "false", "9.0", "", late],
        ["stranger", "basal", "bert", "false", "9.0", "", late],
    ]
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    csv_files.write_csv(frame, tmp_path / "theirs.csv")
    desk.page.click("#open-settings")
    plan = desk.plan_of(tmp_path / "theirs.csv")
    told = "2 new answers. 1 answer given later than yours would replace them. 1 answer of yours would stay"
    assert plan.startswith(told)
    assert "1 row not of this queue, left out. 1 row with an unknown class" in plan
    desk.page.click("#take-in")
    table = desk.answers(tmp_path)
    assert table.select("sample_id", "label", "annotator", "unsure", "comment").rows() == [
        ("image-0", "melanoma", "bert", "false", "mine\ntheirs"),
        ("image-1", "basal", "anna", "false", None),
        ("image-2", "basal", "anna", "false", None),
        ("image-3", None, "bert", "true", None),
        ("image-4", None, "bert", "false", None),
    ]
    desk.keys("z")
    assert desk.answers(tmp_path)["label"].to_list() == ["basal"] * 3
    desk.page.click("#open-settings")
    plan = desk.plan_of({"name": "a.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"})
    assert plan == "a.csv cannot be read: it has no columns sample_id and label."


def test_time_counts_while_the_person_is_there(open_page: Callable[..., Desk], write: Write, tmp_path: Path) -> None:
    address = write(4)
    desk = open_page("about:blank")
    desk.page.clock.install(time=0)
    desk.page.goto(address)
    desk.page.clock.pause_at(600_000)
    desk.keys("1")
    desk.page.clock.run_for(7_000)
    desk.keys("1")
    desk.page.clock.run_for(600_000)
    desk.keys("2", "?")
    desk.page.clock.run_for(50_000)
    desk.page.evaluate("() => { window.shut = false; element('help').onclose = () => { window.shut = true } }")
    desk.keys("Escape")
    while not desk.page.evaluate("window.shut"):  # the browser tells the page of it a little later
        pass
    desk.page.clock.run_for(3_000)
    desk.keys("3")
    assert desk.answers(tmp_path, "#finish-download")["seconds"].to_list()[1:] == ["7.0", "60.0", "3.0"]


# --- looking ---------------------------------------------------------------------------------------------------------


def test_the_view_is_changed_and_reset_by_key_and_wheel(open_page: Callable[..., Desk], write: Write) -> None:
    desk = open_page(write(3))
    desk.keys("+", "+", "]", ".", "p")
    style = "getComputedStyle(document.getElementById('picture'))"
    assert desk.page.evaluate(f"{style}.filter") == "brightness(1.1) contrast(1.1)"
    assert desk.page.evaluate(f"{style}.imageRendering") == "pixelated"
    assert desk.text("zoom-text") == "156 %"
    desk.page.mouse.move(300, 300)
    desk.page.mouse.wheel(0, -400)
    wait_until(desk.page, "view.zoom > 3")
    desk.keys("r")
    assert desk.page.evaluate("view") == {"zoom": 1, "x": 0, "y": 0, "brightness": 100, "contrast": 100}


def test_a_sample_without_an_image_says_so_and_can_be_answered(open_page: Callable[..., Desk], write: Write) -> None:
    desk = open_page(write(3, unseen=1))
    assert not desk.page.is_visible("#no-image")
    desk.keys("1")
    assert desk.page.is_visible("text=There is no image of this sample")
    assert not desk.page.is_visible("#picture")
    desk.keys("2")
    assert desk.position() == 3


def test_the_overview_filters_and_jumps(open_page: Callable[..., Desk], write: Write) -> None:
    desk = open_page(write(6))
    desk.keys("1", "u", "2", "g")
    assert desk.page.locator("#grid .cell").count() == 6
    desk.page.select_option("#filter", label="Unanswered (3)")
    assert desk.page.locator("#grid .number").all_text_contents() == ["Image 4", "Image 5", "Image 6"]
    desk.page.select_option("#filter", label="melanoma (1)")
    desk.page.focus("#grid .cell")
    desk.keys("Enter")
    assert desk.position() == 3


def test_on_a_phone_nothing_is_cut_off_and_fingers_do_it_all(
    open_page: Callable[..., Desk], write: Write, tmp_path: Path
) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    desk = open_page(write(5), **phone)
    assert desk.page.evaluate("document.documentElement.scrollWidth") == 360
    for box in (one.bounding_box() for one in desk.page.locator("button:visible").all()):
        assert min(box["width"], box["height"]) >= 44
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 360
    assert desk.page.locator(".class").first.bounding_box()["y"] > 740 * 0.5
    desk.page.tap(".class >> nth=1")
    swipe = """([from, to]) => { const stage = document.getElementById("stage");
      stage.setPointerCapture = () => {};
      const send = (type, clientX) => stage.dispatchEvent(new PointerEvent(type,
        { pointerId: 9, pointerType: "touch", clientX, clientY: 200, button: 0, bubbles: true }));
      send("pointerdown", from); send("pointermove", (from + to) / 2); send("pointerup", to); }"""
    desk.page.evaluate(swipe, [300, 100])
    assert desk.position() == 3
    desk.page.evaluate(swipe, [100, 300])
    desk.page.evaluate(swipe, [100, 300])
    assert desk.position() == 1
    assert desk.answers(tmp_path)["label"].to_list() == ["melanoma"]
