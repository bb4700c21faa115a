"""Tests of `alrctl report`: one page that asks nothing of anybody, and says what was found."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from alrctl import figures, table_files
from schemas.ledger import LEDGER

Alrctl = Callable[..., Any]


class Page(HTMLParser):
    """Collects what a browser would act on, and whether each element is closed."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_self_contained(page: Page) -> None:
    """Hold a page to this: it loads nothing, and runs nothing."""
    assert not page.open
    assert not {"script", "iframe", "object", "embed", "form"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on"), f"{name}={value}"
        if name in {"src", "href", "xlink:href", "action", "data"}:
            assert value.startswith(("#", "data:image/webp;base64,", "data:image/png;base64,")) or value == "data:,", (
                f"{name}={value}"
            )
        assert "url(http" not in value


def test_the_page_is_whole_and_asks_nothing_of_the_network(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep/report.html"
    ran = alrctl("report", finished, "-o", out, "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"] == {"artifacts": 8, "evaluations": 1, "figures": 0}
    text = out.read_text(encoding="utf-8")
    assert text.lower().startswith("<!doctype html>")
    page = Page(text)
    check_self_contained(page)
    outside = [found for found in re.findall(r"https?://[^\s\"'<>)]+", text) if "www.w3.org" not in found]
    assert all("matplotlib.org" in found or "purl.org" in found or "creativecommons.org" in found for found in outside)
    made = ("Labels were made wrong on purpose", "share asked for", "share made wrong")
    for told in ("The data set has 110 images of 3 classes", *made, "labels bought"):
        assert told in page.text
    for place in ("data", "noisy", "lnl", "r1/scores", "r1/queue", "r1/labels", "r1/model", "r1/eval"):
        assert place in page.text
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_the_same_project_gives_the_same_page(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        assert alrctl("report", finished, "-o", tmp_path / name).code == 0
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_project_is_reported_on_before_it_is_finished(alrctl: Alrctl, work: Path) -> None:
    shutil.rmtree(work / "r1")
    assert alrctl("report", work, "-o", work / "report.html").code == 0
    check_self_contained(Page((work / "report.html").read_text(encoding="utf-8")))


EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def evil(alrctl: Alrctl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose classes, files, answers and branch have names that a page must not act on."""
    base = tmp_path_factory.mktemp("evil")
    rows = ["path,label"]
    generator = np.random.default_rng(0)
    for number in range(60):
        pixels = generator.integers(0, 120, (16, 16, 3), dtype=np.uint8)
        pixels[..., number % 2] += 120
        Image.fromarray(pixels).save(base / f"{number}.png")
        rows.append(f'{number}.png,"{(EVIL, "=1+1")[number % 2]}"')
    (base / "list.csv").write_text("\n".join(rows) + "\n")
    content = {
        "source": "list.csv",
        "output": "<b>work",
        "strategies": ["entropy", "random"],
        "rounds": 1,
        "expert": "oracle",
        "ingest": {"image-size": 16},
        "corrupt": {"rate": 0.3},
        "train-lnl": {"backbone": "test_resnet", "epochs": 2, "batch-size": 16, "num-gradual": 1, "device": "cpu"},
        "select": {"budget": 4, "pool": "all"},
        "recalibrate": {"epochs": 1, "batch-size": 16},
        "evaluate": {"bootstrap": 20, "figures": False},
        "report": False,
    }
    (base / "pipeline.yaml").write_text(yaml.safe_dump(content))
    ran = alrctl("run", base / "pipeline.yaml")
    assert ran.code == 0, ran.err
    return base / "<b>work"


def test_names_that_look_like_html_are_text_on_the_page(alrctl: Alrctl, evil: Path, tmp_path: Path) -> None:
    ran = alrctl("report", evil, "-o", tmp_path / "report.html")
    assert ran.code == 0, ran.err
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    page = Page(text)
    check_self_contained(page)
    assert EVIL in page.text, "it is shown, as text"
    assert "b" not in page.tags


def test_names_that_look_like_formulas_are_quoted_in_every_csv_for_people(evil: Path) -> None:
    for path in evil.rglob("*.csv"):
        cells = [cell.strip('"') for line in path.read_text().splitlines()[1:] for cell in line.split(",")]
        assert not [cell for cell in cells if cell.startswith("=")], path
    assert "'=1+1" in (evil / "noisy/transition.csv").read_text()


def test_a_report_on_nothing_is_refused_and_writes_nothing(alrctl: Alrctl, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nothing"):
        ran = alrctl("report", place, "-o", tmp_path / "report.html")
        assert ran.code == 3
        assert f"{place}: holds no finished artifact to report on" in ran.err
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_keeps_the_old_one(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ran = alrctl("report", finished, "-o", tmp_path / "file/report.html")
    assert ran.code == 2
    assert "cannot be written (" in ran.err


@pytest.mark.parametrize("names", [("$\\frac$", "b"), ("黒色腫", "b")])
def test_any_class_name_can_be_drawn(names: tuple[str, str], tmp_path: Path) -> None:
    figures.save(figures.confusion(np.eye(2, dtype=np.int64), names, "test split"), tmp_path / "confusion")
    assert (tmp_path / "confusion.png").stat().st_size > 1000


@pytest.mark.usefixtures("undrawn")
def test_a_report_may_lie_at_a_place_that_looks_like_markup(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "x[/b]/r.html"
    assert alrctl("report", finished, "-o", out).code == 0


@pytest.mark.usefixtures("undrawn")
def test_several_projects_are_told_on_one_page_and_told_apart(alrctl: Alrctl, evil: Path, work: Path) -> None:
    ran = alrctl("report", work, evil, "-o", work / "report.html", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["evaluations"] == 4
    page = Page((work / "report.html").read_text(encoding="utf-8"))
    for told in ("work/r1/eval", "<b>work/random/r1/eval", "<b>work/entropy: after 4 labels", "work: the data set has"):
        assert told.casefold() in page.text.casefold()
    assert "The evaluations were not compared" in page.text, "they are of other samples, and that is said"


@pytest.mark.usefixtures("undrawn")
def test_what_the_labels_bought_is_told_against_random(alrctl: Alrctl, evil: Path, tmp_path: Path) -> None:
    assert alrctl("report", evil, "-o", tmp_path / "report.html").code == 0
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert re.search(r"4 labels by entropy bought (as much as|more than all) \d+ by random \(95 % interval", text)
    assert "paired bootstrap over" in text


@pytest.mark.usefixtures("undrawn")
def test_one_data_set_of_several_projects_is_told_once(alrctl: Alrctl, evil: Path, tmp_path: Path) -> None:
    ran = alrctl("report", evil / "entropy", evil / "random", "-o", tmp_path / "report.html")
    assert ran.code == 0, ran.err
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert text.count("The data set has 60 images") == 1


def test_each_figure_of_the_page_can_be_had_as_a_file(alrctl: Alrctl, evil: Path, tmp_path: Path) -> None:
    ran = alrctl("report", evil, "-o", tmp_path / "report.html", "--figures", tmp_path / "figures", "--json")
    assert ran.code == 0, ran.err
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ran.document["summary"]["figures"] == text.count("<figure>") > 10
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert len(names) == text.count("<figure>"), "no figure is written over another"
    for name in names:
        with Image.open(tmp_path / f"figures/{name}.png") as image:
            assert min(image.size) > 300
        assert "<svg" in (tmp_path / f"figures/{name}.svg").read_text()


def test_ids_on_the_page_are_each_one_elements(alrctl: Alrctl, evil: Path, tmp_path: Path) -> None:
    alrctl("report", evil, "-o", tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    linked = {value[1:] for name, value in page.attributes if name == "href" and value.startswith("#")}
    assert linked <= set(ids)


@pytest.mark.usefixtures("undrawn")
def test_the_images_of_changed_labels_are_shown_as_many_as_are_asked_for(
    alrctl: Alrctl, evil: Path, tmp_path: Path
) -> None:
    shown = {}
    for most in (0, 2, 60):
        assert alrctl("report", evil, "-o", tmp_path / "report.html", "--thumbnails", most).code == 0
        shown[most] = (tmp_path / "report.html").read_text(encoding="utf-8").count("data:image/webp")
    ledger = [table_files.read_table(path, LEDGER) for path in evil.rglob("ledger.parquet")]
    changed = sum(
        (one.filter(kind="decision")["label_before"] != one.filter(kind="decision")["label_after"]).sum()
        for one in ledger
    )
    assert (shown[0], shown[60]) == (0, changed)
    assert changed > 2 >= shown[2] > 0
    assert alrctl("report", evil, "-o", tmp_path / "report.html", "--thumbnails", -1).code == 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is missing: pip install -e '.[dev]'")
    if found is None:
        pytest.skip("no browser is there: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(
    width: int, scheme: str, browser: Any, alrctl: Alrctl, evil: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.html"
    alrctl("report", evil, "-o", out)
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    amiss: list[str] = []
    page.on("console", lambda message: amiss.append(message.text))
    page.on("pageerror", lambda error: amiss.append(str(error)))
    page.on("dialog", lambda dialog: amiss.append(dialog.message))
    page.on("request", lambda request: amiss.append(request.url) if request.url.startswith("http") else None)
    page.goto(out.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    ink = page.evaluate("[...document.querySelectorAll('svg text')].map(text => getComputedStyle(text).fill)")
    assert (("rgb(0, 0, 0)" in ink), len(ink) > 100) == (False, True), "what is black would vanish on a dark page"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#what-the-labels-bought"
    if width > 1000:
        assert page.pdf(path=tmp_path / "report.pdf", format="A4")[:4] == b"%PDF"
    assert amiss == []
    page.close()
    assert out.stat().st_size < 5_000_000
