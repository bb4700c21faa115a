from __future__ import annotations

import os
from pathlib import Path

import pytest

from alrctl.sources.collection import images_below, is_image


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_images_are_sorted_folder_by_folder_and_not_letter_by_letter(tmp_path: Path) -> None:
    names = ["a.png", "a/b.png", "a/b/c.png", "a-b/z.png", "a b.png"]
    touched(*(tmp_path / name for name in names))
    assert images_below(tmp_path) == sorted(names, key=lambda name: name.split("/"))
    assert images_below(tmp_path).index("a/b.png") < images_below(tmp_path).index("a-b/z.png")


def test_they_are_in_the_order_in_which_paths_are_sorted(tmp_path: Path) -> None:
    touched(*(tmp_path / name for name in ("B/1.PNG", "b/10.jpg", "b/2.tiff", "b.x/3.webp", "é.gif", "b/sub/0.bmp")))
    by_pathlib = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert images_below(tmp_path) == [path.relative_to(tmp_path).as_posix() for path in by_pathlib]


def test_other_files_and_links_to_folders_are_left_aside(tmp_path: Path) -> None:
    touched(tmp_path / "in/a.png", tmp_path / "in/notes.txt", tmp_path / "in/.DS_Store.png", tmp_path / "out/b.png")
    (tmp_path / "in/linked").symlink_to(tmp_path / "out")
    (tmp_path / "in/again").symlink_to(tmp_path / "in")
    (tmp_path / "in/one.png").symlink_to(tmp_path / "out/b.png")
    assert images_below(tmp_path / "in") == ["a.png", "one.png"]


def test_a_folder_that_is_called_like_an_image_is_a_folder(tmp_path: Path) -> None:
    touched(tmp_path / "scan.png/1.png")
    assert images_below(tmp_path) == ["scan.png/1.png"]


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert images_below(tmp_path / "gone") == []


def test_where_one_stands_makes_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path / "cats/tabby/a.png")
    monkeypatch.chdir(tmp_path)
    assert images_below(Path(".")) == images_below(Path("..") / tmp_path.name) == ["cats/tabby/a.png"]
    assert images_below(Path(os.sep) / tmp_path.relative_to(os.sep)) == ["cats/tabby/a.png"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.png", True), ("A.JPeG", True), ("a.tif.txt", False), ("png", False), (".png", False), (".a.png", False)],
)
def test_an_image_is_told_by_its_name(name: str, expected: bool) -> None:
    assert is_image(name) == expected
