"""Answers lie in a file, a folder or a zip; nothing of them is ever written to the disk."""

from __future__ import annotations

import codecs
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from alrctl.answers.bundle import decoded, open_bundle
from schemas.errors import DataError


def test_a_file_is_a_bundle_of_itself(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x")
    bundle = open_bundle(tmp_path / "a.csv")
    assert (bundle.names, bundle.is_folder, bundle.read("a.csv")) == (("a.csv",), False, b"x")
    assert bundle.where("a.csv") == str(tmp_path / "a.csv")


def fill(folder: Path, names: dict[str, str]) -> Path:
    for name, content in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


NAMES = {"b/2.png": "two", "a/1.png": "one", "synsets.txt": "a\nb\n", "train.txt": "a/1 0\n"}


def test_a_folder_and_a_zip_of_it_hold_the_same_files(tmp_path: Path, pack: Any) -> None:
    folder = open_bundle(fill(tmp_path / "f", NAMES))
    packed = open_bundle(pack("f.zip", [("b/", b""), *((name, text.encode()) for name, text in NAMES.items())]))
    assert folder.names == packed.names == ("a/1.png", "b/2.png", "synsets.txt", "train.txt")
    assert [folder.read(name) for name in folder.names] == [packed.read(name) for name in packed.names]
    assert folder.where("train.txt") == f"{tmp_path / 'f'}/train.txt"


def digest(folder: Path, names: dict[str, str]) -> str:
    return open_bundle(fill(folder, names)).sha256


def test_a_folders_digest_is_that_of_its_names_and_texts_alone(tmp_path: Path) -> None:
    first = digest(tmp_path / "1", NAMES)
    assert digest(tmp_path / "2", dict(reversed(NAMES.items()))) == first, "the order of creation does not count"
    assert digest(tmp_path / "3", NAMES | {"a/1.png": "other pixels"}) == first, "nor do pixels"
    assert digest(tmp_path / "4", NAMES | {"train.txt": "a/1 1\n"}) != first, "what is written does"
    assert digest(tmp_path / "5", NAMES | {"c/3.png": "three"}) != first, "so does one image more"
    moved = {("a/2.png" if name == "b/2.png" else name): text for name, text in NAMES.items()}
    assert digest(tmp_path / "6", moved) != first, "and where an image lies"
    assert len(first) == 64


def test_the_end_of_one_name_is_not_the_beginning_of_the_next(tmp_path: Path) -> None:
    assert digest(tmp_path / "1", {"a.png": "", "b.png": ""}) != digest(tmp_path / "2", {"a.pngb.png": ""})


def test_a_name_in_no_encoding_has_a_digest(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    try:
        (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png"))).write_text("")
    except OSError:
        pytest.skip("this disk has no such names")
    assert len(open_bundle(folder).sha256) == 64


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/passwd", "a/../../outside.txt", "..\\outside.txt", "C:\\x.txt"]
)
def test_a_name_that_leads_out_of_a_zip_does_no_harm(name: str, tmp_path: Path, pack: Any, desk: Any) -> None:
    (tmp_path / "inner").mkdir()
    path = pack("inner/evil.zip", [(name, b"naevus\n"), ("answers.csv", b"sample_id,label\n007,naevus\n")])
    before = sorted(tmp_path.rglob("*"))
    assert open_bundle(path).read(name) == b"naevus\n"
    assert desk.take(path).labels == [("007", "naevus")]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_cut_off_zip_is_refused(tmp_path: Path, pack: Any) -> None:
    content = pack("a.zip", [("a.csv", b"sample_id,label\n")]).read_bytes()
    (tmp_path / "b.zip").write_bytes(content[:-10])
    with pytest.raises(DataError, match=r"b\.zip: is no readable zip file"):
        open_bundle(tmp_path / "b.zip")


def test_a_file_in_a_zip_that_is_spoilt_is_refused(tmp_path: Path, pack: Any) -> None:
    content = pack("a.zip", [("a.csv", b"sample_id,label\n")]).read_bytes().replace(b"label", b"lobel")
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"b\.zip: is no readable regular file"):
        open_bundle(tmp_path / "b.zip").read("a.csv")


def test_a_file_in_a_zip_that_says_it_is_huge_is_refused_unread(tmp_path: Path, pack: Any) -> None:
    path = pack("a.zip", [("a.csv", b"x")])
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = (3 << 30).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"'a\.csv' is too large to read \(3,221,225,472 bytes\)"):
        open_bundle(path)


@pytest.mark.parametrize("names", [["xl/workbook.xml"], ["content.xml", "mimetype"]])
def test_a_spreadsheet_is_refused_with_a_hint(names: list[str], pack: Any) -> None:
    with pytest.raises(DataError, match=r"is a spreadsheet; save it as CSV \(UTF-8\) and give that$"):
        open_bundle(pack("a.csv", [(name, b"") for name in names]))


@pytest.mark.parametrize(
    ("content", "text", "encoding"),
    [
        ("ç".encode(), "ç", "UTF-8"),
        (codecs.BOM_UTF8 + "ç".encode(), "ç", "UTF-8"),
        ("ç".encode("utf-16"), "ç", "UTF-16"),
        (codecs.BOM_UTF16_BE + "ç".encode("utf-16-be"), "ç", "UTF-16"),
        ("é € ß".encode("cp1252"), "é € ß", "Windows-1252"),
        (b"", "", "UTF-8"),
    ],
)
def test_text_is_read_in_the_encodings_of_spreadsheets(content: bytes, text: str, encoding: str) -> None:
    assert decoded(content) == (text, encoding)


@pytest.mark.parametrize("content", [b"\x81", b"a\0", "ab".encode("utf-16-le"), b"\xff\xfea", b"\xff\xfe\x00\xd8"])
def test_what_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.csv: is no text \(.*\); save it as CSV in UTF-8$"):
        open_bundle(tmp_path / "a.csv").text("a.csv")


def test_images_are_told_from_the_systems_own_files(tmp_path: Path) -> None:
    names = {"a/1.PNG": "", "a/._1.png": "", ".hidden.jpg": "", "notes.txt": "", "a/2.tiff": ""}
    assert open_bundle(fill(tmp_path / "f", names)).images == ["a/1.PNG", "a/2.tiff"]


def test_an_empty_zip_and_an_empty_folder_hold_no_answers(tmp_path: Path, desk: Any) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    (tmp_path / "f").mkdir()
    for name in ("a.zip", "f"):
        with pytest.raises(DataError, match="holds no answers; known are a CSV"):
            desk.take(tmp_path / name)
