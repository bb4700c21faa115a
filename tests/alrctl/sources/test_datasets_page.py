"""The page of data sets names every layout there is, and its commands are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from alrctl.app import load
from stages.ingest import IngestConfig

PAGE = (Path(__file__).parents[3] / "docs/datasets.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()]


def test_every_layout_has_its_place_on_the_page() -> None:
    formats = set(get_args(IngestConfig.model_fields["format"].annotation)) - {"auto"}
    assert [name for name in sorted(formats) if f"`{name}`" not in PAGE] == []


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= headings


def test_there_is_a_command_for_each_section() -> None:
    assert len(COMMANDS) >= 9


@pytest.mark.parametrize("line", COMMANDS)
def test_the_pages_commands_name_only_options_there_are(line: str) -> None:
    words = shlex.split(line)
    assert words[:2] == ["alrctl", "ingest"]
    known = {option for parameter in load("ingest").params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", PAGE))))
def test_options_in_the_pages_text_are_options(option: str) -> None:
    known = {option for parameter in load("ingest").params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert option in known
