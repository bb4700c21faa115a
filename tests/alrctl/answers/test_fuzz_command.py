"""The whole command on spoilt files: a stated exit code, one line, and nothing written unless all went well."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from alrctl import files

HERE = Path(__file__).parent
fuzzing = SimpleNamespace(**runpy.run_path(str(HERE / "fuzzing.py")))
spoiling = SimpleNamespace(**runpy.run_path(str(HERE / "spoiling.py")))
EACH = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of twelve samples, their classes, and a queue of ten."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "data").mkdir()
    files.write_yaml({"names": list(fuzzing.CLASSES)}, folder / "data" / "classes.yaml")
    given = fuzzing.CLASSES[0]
    labels = {"sample_id": fuzzing.IDS, "label": [given] * 12}
    pl.DataFrame(labels).write_parquet(folder / "data" / "labels.parquet")
    asked = {"rank": range(1, 11), "sample_id": fuzzing.ASKED, "given_label": given, "suggested_label": given}
    pl.DataFrame(asked).write_parquet(folder / "queue.parquet")
    return folder


@pytest.mark.parametrize("kind", fuzzing.FORMATS)
def test_the_command_ends_well_or_leaves_nothing(kind: str, folder: Path, alrctl: Any) -> None:
    rng = np.random.default_rng(11)
    edits = list(dict.fromkeys(spoiling.BYTES))
    if kind == "imagenet-folders":
        edits = [edit for edit in edits if edit not in (spoiling.recode, spoiling.replace_all)]
    path, out = folder / "answers", folder / "labels"
    where = ("--queue", folder / "queue.parquet", "--answers", path, "-o", out, "--annotator", "ann", "--json")
    for number in range(EACH):
        path.write_bytes(fuzzing.spoil(kind, edits[number % len(edits)], rng))
        before = sorted(folder.rglob("*"))
        ran = alrctl("relabel", folder / "data", *where)
        about = f"{kind}, {number}: {ran.err[:300]}"
        if ran.code == 0:
            check_done(out, about)
            for written in out.iterdir():
                written.unlink()
            out.rmdir()
        else:
            assert ran.code in (2, 3, 4, 5), about
            assert "\n" not in json.loads(ran.out)["error"] and "Traceback" not in ran.err, about
        assert sorted(folder.rglob("*")) == before, about


def check_done(out: Path, about: str) -> None:
    for name, label in pl.read_parquet(out / "labels.parquet").select("sample_id", "label").iter_rows():
        if label != fuzzing.CLASSES[0]:
            assert name in fuzzing.ASKED and label in fuzzing.GIVEN[name], f"{about}: '{name}' became '{label}'"
    assert (out / "manifest.json").is_file(), about
