"""The manifest says what a directory holds, and notices every change to that and to what it was made from."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from alrctl import files, manifest
from alrctl.manifest import InputRecord, Manifest, OutputRecord
from schemas.errors import DataError


def record(path: Path, directory: Path, kind: str = "file") -> InputRecord:
    size = path.stat().st_size
    return InputRecord.model_validate(
        {"path": os.path.relpath(path, directory), "sha256": files.sha256(path), "size": size, "kind": kind}
    )


def make(directory: Path, inputs: dict[str, InputRecord], outputs: tuple[str, ...] = ()) -> Manifest:
    """Write the manifest of a made-up stage whose outputs lie in `directory` already."""
    written = {
        name: OutputRecord(sha256=files.sha256(directory / name), bytes=(directory / name).stat().st_size)
        for name in outputs
    }
    made = Manifest(
        stage="select",
        version="0.0.1",
        options={"seed": 3, "names": ["a"]},
        seed=3,
        inputs=inputs,
        outputs=written,
        device="cpu",
        command=["alrctl", "select"],
        started="2026-01-01T00:00:00.000Z",
        ended="2026-01-01T00:00:01.000Z",
        summary={"queued": 2, "rate": None},
        warnings=["mind the gap"],
    )
    manifest.write(made, directory)
    return made


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """Three directories, each made from the file of the one before: a/in -> b/out -> c/out."""
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"of {name}")
    for before, after in (("a", "b"), ("b", "c")):
        inputs = {"source": record(tmp_path / before / "file", tmp_path / after)}
        make(tmp_path / after, inputs, ("file",))
    return tmp_path


def read(directory: Path) -> Manifest:
    found = manifest.read(directory)
    assert found is not None
    return found


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = make(tmp_path, {})
    assert manifest.read(tmp_path) == made
    assert json.loads((tmp_path / "manifest.json").read_text())["format"] == 1


def test_a_directory_without_a_manifest_is_no_artifact(tmp_path: Path) -> None:
    assert manifest.read(tmp_path) is None
    assert manifest.read(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", r"manifest\.json: is no readable JSON file"),
        ('{"format": 1, "stage": "select"}', r"manifest\.json: is no manifest of this program \(\d+ fields amiss\)"),
        (json.dumps({"format": 2, "stage": "x"}), r"manifest\.json: is no manifest of this program"),
    ],
)
def test_a_manifest_that_is_none_is_told(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=told):
        manifest.read(tmp_path)


def test_nothing_is_changed_where_nothing_was_touched(chain: Path) -> None:
    assert manifest.changed_inputs(chain / "c", read(chain / "c"), deep=True) == []
    assert manifest.edited_outputs(chain / "c", read(chain / "c")) == []


@pytest.mark.parametrize("text", ["longer than before", "or b"])
def test_a_changed_input_is_named(chain: Path, text: str) -> None:
    (chain / "b/file").write_text(text)
    assert manifest.changed_inputs(chain / "c", read(chain / "c")) == [str(chain / "b/file")]
    assert manifest.edited_outputs(chain / "b", read(chain / "b")) == ["file"]


def test_a_touched_input_with_the_same_bytes_is_unchanged(chain: Path) -> None:
    os.utime(chain / "b/file", (1, 1))
    assert manifest.changed_inputs(chain / "c", read(chain / "c"), deep=True) == []


def test_a_change_further_up_is_found_only_by_a_deep_look(chain: Path) -> None:
    (chain / "a/file").write_text("another a")
    assert manifest.changed_inputs(chain / "c", read(chain / "c")) == []
    assert manifest.changed_inputs(chain / "c", read(chain / "c"), deep=True) == [str(chain / "a/file")]


def test_an_input_that_is_gone_counts_as_unchanged(chain: Path) -> None:
    shutil.rmtree(chain / "b")
    assert manifest.changed_inputs(chain / "c", read(chain / "c"), deep=True) == []


def test_a_change_reached_by_two_ways_is_named_once(chain: Path) -> None:
    twice = {role: record(chain / "b/file", chain / "c") for role in ("labels", "reference")}
    made = make(chain / "c", twice, ("file",))
    (chain / "a/file").write_text("another a")
    assert manifest.changed_inputs(chain / "c", made, deep=True) == [str(chain / "a/file")]


def test_a_folder_of_photographs_is_not_read_again(chain: Path) -> None:
    folder = InputRecord(path="../photos", sha256="0" * 64, size=3, kind="folder")
    (chain / "photos").mkdir()
    assert manifest.changed_inputs(chain / "c", make(chain / "c", {"source": folder})) == []


def test_a_missing_output_counts_as_edited(chain: Path) -> None:
    (chain / "c/file").unlink()
    assert manifest.edited_outputs(chain / "c", read(chain / "c")) == ["file"]


def test_inputs_are_recorded_relative_so_that_a_project_can_be_moved(chain: Path) -> None:
    assert manifest.relative(chain / "a/file", chain / "b") == "../a/file"
    moved = chain.with_name(f"{chain.name}-moved")
    chain.rename(moved)
    assert manifest.changed_inputs(moved / "c", read(moved / "c"), deep=True) == []
    (moved / "a/file").write_text("another a")
    assert manifest.changed_inputs(moved / "c", read(moved / "c"), deep=True) == [str(moved / "a/file")]


def test_a_link_is_recorded_by_the_file_it_leads_to(chain: Path) -> None:
    (chain / "link").symlink_to(chain / "a")
    assert manifest.relative(chain / "link/file", chain / "b") == "../a/file"


def test_a_digest_is_computed_anew_when_the_file_changes_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    read_files: list[Path] = []
    sha256 = files.sha256
    monkeypatch.setattr(files, "sha256", lambda place: read_files.append(place) or sha256(place))
    first = manifest.digest(path)
    assert manifest.digest(path) == first == sha256(path)
    assert len(read_files) == 1
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert manifest.digest(path) == sha256(path) != first
    replaced = tmp_path / "other"
    replaced.write_text("six")
    os.utime(replaced, ns=(1, 1))
    os.replace(replaced, path)
    assert manifest.digest(path) == sha256(path)


def test_the_digest_of_no_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing: no such file$"):
        manifest.digest(tmp_path / "nothing")


@pytest.mark.parametrize("content", ["[]", '{"name": "a web app"}', '{"format": 1}'])
def test_another_programs_manifest_is_none_of_ours(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    assert manifest.read(tmp_path) is None
