"""The versions that are written down are versions alone, and those that pyproject.toml admits."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LINES = (ROOT / "constraints.txt").read_text().splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_a_line_is_a_name_and_a_version_and_no_place() -> None:
    assert LINES
    assert [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_every_package_asked_for_is_there_in_a_version_that_is_admitted() -> None:
    versions = {canonicalize_name(name): version for name, version in (line.split("==") for line in LINES)}
    extras = PROJECT["optional-dependencies"]
    asked = [
        Requirement(text) for text in (*PROJECT["dependencies"], *extras["demo"], *extras["dev"], *extras["track"])
    ]
    asked += [Requirement(text) for name in ("tensorboard", "mlflow") for text in extras[name]]
    wrong = {
        one.name: versions.get(canonicalize_name(one.name))
        for one in asked
        if one.name != PROJECT["name"] and versions.get(canonicalize_name(one.name), "") not in one.specifier
    }
    assert wrong == {}
