"""Listed images that are not there are refused, or left out where broken ones are, and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def write_csv(trees: Any, root: Path) -> Path:
    rows = [(f"img/{number}.png", "ab"[number % 2]) for number in range(20)]
    trees.images(root / path for path, _ in rows)
    return Path(trees.table(root / "list.csv", "path,label", rows))


def test_absent_images_of_a_csv_are_refused_or_left_out_and_counted(ingest: Any, trees: Any, tmp_path: Path) -> None:
    source = write_csv(trees, tmp_path)
    for number in (3, 4):
        (tmp_path / f"img/{number}.png").unlink()
    (tmp_path / "img/7.png").write_bytes(b"no image")
    told = f"{source}: column 'path' names 2 images of 20 that are not there (first: row 5, 'img/3.png')"
    mend = f"finish the download (paths start from {tmp_path}; --root names another folder)"
    ingest(source).refused(f"{told}; {mend}, or leave them out with --skip-broken")
    found = ingest(source, "--skip-broken")
    assert f"warning: {told}; left out\n" in found.ran.err
    assert "warning: 1 image cannot be read" in found.ran.err
    assert found.summary["missing_images"] == 2
    assert "missing images: 2" in found.ran.out
    assert set(found.labels) == {f"img/{number}.png" for number in range(20)} - {f"img/{n}.png" for n in (3, 4, 7)}
    found.goes_on()


def test_a_csv_of_which_no_image_is_there_is_refused_whatever_is_told(ingest: Any, trees: Any, tmp_path: Path) -> None:
    source = write_csv(trees, tmp_path)
    (tmp_path / "img").rename(tmp_path / "away")
    ingest(source, "--skip-broken").refused(
        f"{source}: column 'path' names 20 images of 20 that are not there (first: row 2, 'img/0.png'); "
        f"finish the download (paths start from {tmp_path}; --root names another folder)"
    )


def test_images_of_a_class_that_is_left_out_need_not_be_there(ingest: Any, trees: Any, tmp_path: Path) -> None:
    source = write_csv(trees, tmp_path)
    source.write_text(source.read_text() + "gone.png,c\n")
    found = ingest(source, "--exclude-class", "c")
    assert found.classes["names"] == ["a", "b"]
    assert "missing_images" not in found.summary


def test_a_class_of_which_no_image_is_there_is_named(ingest: Any, trees: Any, tmp_path: Path) -> None:
    source = write_csv(trees, tmp_path)
    source.write_text(source.read_text() + "gone.png,c\n")
    found = ingest(source, "--skip-broken")
    assert found.ran.code == 3
    assert "class 'c' has 0 samples" in found.ran.err
    assert "(--exclude-class leaves one out)" in found.ran.err
    assert not found.out.exists()


def test_images_that_have_come_since_are_taken_in(ingest: Any, trees: Any, tmp_path: Path) -> None:
    source = write_csv(trees, tmp_path)
    (tmp_path / "img/3.png").rename(tmp_path / "3.png")
    assert "img/3.png" not in ingest(source, "--skip-broken").labels
    (tmp_path / "3.png").rename(tmp_path / "img/3.png")
    found = ingest(source, "--skip-broken", "--json")
    assert found.ran.document["status"] == "done"
    assert "img/3.png" in found.labels


def test_absent_images_of_ham10000_are_refused_or_left_out_and_counted(ingest: Any, trees: Any, tmp_path: Path) -> None:
    rows = [(f"HAM_{n // 2}", f"ISIC_{n}", ("nv", "mel")[n // 2 % 2]) for n in range(40)]
    trees.images(tmp_path / f"ham/HAM10000_images_part_{1 + n % 2}/ISIC_{n}.jpg" for n in range(40))
    metadata = trees.table(tmp_path / "ham/HAM10000_metadata.csv", "lesion_id,image_id,dx", rows)
    for n in range(1, 40, 2):
        (tmp_path / f"ham/HAM10000_images_part_2/ISIC_{n}.jpg").unlink()
    told = f"{metadata}: column 'image_id' names 20 images of 40 that are not there (first: row 3, 'ISIC_1')"
    ingest(tmp_path / "ham").refused(f"{told}; unpack both parts of the images, or leave them out with --skip-broken")
    found = ingest(tmp_path / "ham", "--skip-broken")
    assert found.summary["missing_images"] == 20
    assert set(found.labels) == {f"ISIC_{n}" for n in range(0, 40, 2)}
    found.no_group_crosses(20)
    found.goes_on()


@pytest.mark.parametrize("name", ["gone.png", "x" * 200 + ".png"])
def test_an_absent_image_is_shown_on_one_short_line(ingest: Any, trees: Any, tmp_path: Path, name: str) -> None:
    source = write_csv(trees, tmp_path)
    source.write_text(source.read_text() + f"{name},a\n")
    found = ingest(source)
    assert found.ran.code == 3
    assert found.ran.err.count("\n") == 1
    assert f"'{name if len(name) <= 100 else name[:100] + '...'}'" in found.ran.err
