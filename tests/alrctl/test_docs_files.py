"""What the pages lead to is there, and the pipeline files on them are pipeline files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from alrctl import pipeline
from tests.alrctl.pages import ROOT, Page, pages

PAGES = pages()
LINKS = [(page, link) for page in PAGES for link in page.links]
FILES = [(page, block) for page in PAGES for block in page.blocks("yaml")]
SCRIPTS = [
    (page, call)
    for page in PAGES
    for call in re.findall(r"python (benchmarks/[^`\n#;]+)", re.sub(r"\\\n\s*", "", page.text))
]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=[f"{page.name} {link}" for page, link in LINKS])
def test_every_link_leads_to_a_file_and_a_heading(page: Page, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = page.path.parent / path if path else page.path
    assert target.exists()
    assert not anchor or anchor in Page(target.resolve()).anchors


@pytest.mark.parametrize(("page", "text"), FILES, ids=[f"{page.name} {text[:30]!r}" for page, text in FILES])
def test_every_pipeline_file_or_part_of_one_is_taken(page: Page, text: str) -> None:
    content = {"source": "photos", "corrupt": {}, **yaml.safe_load(text)}
    assert pipeline.plan(pipeline.parse(content, Path("base"), page.name))


@pytest.mark.parametrize(("page", "call"), SCRIPTS, ids=[f"{page.name} {call}" for page, call in SCRIPTS])
def test_every_benchmark_is_there_with_its_options_and_files(page: Page, call: str) -> None:
    script, *words = call.split()
    text = (ROOT / script).read_text()
    if "words = arguments(" in text:  # what the studies share
        text += (ROOT / "benchmarks/lnl_methods.py").read_text()
    assert [word for word in words if word.startswith("--") and f'"{word}"' not in text] == []
    named = [word for word in words if word.startswith(("benchmarks/", "examples/"))]
    assert [word for word in named if not (ROOT / word).is_file()] == []
