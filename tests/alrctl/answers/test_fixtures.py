"""Files written by the tools' own libraries are read to the letter; `truth.json` says what stands in them."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import AlrctlError

DATA = Path(__file__).parents[2] / "data" / "answers"
Place = Callable[[str], Path]
ALL = json.loads((DATA / "truth.json").read_text(encoding="utf-8"))["files"]
READ = sorted(name for name, entry in ALL.items() if "refused" not in entry)
REFUSED = sorted(name for name, entry in ALL.items() if "refused" in entry)
FILES = [name for name in READ if (DATA / name).is_file() and not name.endswith(".listing.txt")]


def stated(truth: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The answers of a file; those of another file where they are the same."""
    found = truth[name]["answers"]
    return stated(truth, found) if isinstance(found, str) else found


def expected(truth: dict[str, Any], name: str) -> Counter[tuple[Any, ...]]:
    """What each answer should come to."""
    rows = []
    for one in stated(truth, name):
        label = one.get("label")
        if one.get("skipped") or label is None:
            continue
        several = f"several classes chosen ({', '.join(label)})" if isinstance(label, list) else None
        comment = one.get("comment")
        rows.append(
            (
                one["sample"],
                None if several else label,
                several,
                None if one.get("annotator") is None else str(one["annotator"]),
                one.get("seconds"),
                "\n".join(comment) if isinstance(comment, list) else comment,
                in_utc(one.get("updated")),
            )
        )
    return Counter(rows)


def in_utc(text: str | None) -> str | None:
    """2025-03-04T09:00:00.123456Z, with all six digits."""
    if text is None:
        return None
    day, fraction = text.replace("+00:00", "Z").removesuffix("Z").ljust(20, ".")[:20], text[20:].strip("Z+:0")
    return f"{day}{fraction.ljust(6, '0')}Z"


def found(answers: Iterable[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    names = ("sample_id", "answer", "problem", "annotator", "seconds", "comment", "answered_at")
    return Counter(tuple(one[name] for name in names) for one in answers)


@pytest.mark.parametrize("name", READ)
def test_a_tools_own_file_gives_exactly_the_answers_in_it(
    name: str, truth: dict[str, Any], place: Place, make_desk: Any
) -> None:
    entry = truth[name]
    taken = make_desk(sources=entry.get("sources", {})).take(place(name), map=tuple(entry.get("map", ())))
    assert found(taken.answers) == expected(truth, name)
    assert taken.format == entry["format"]
    facts = {key: count for key, count in taken.found.facts.items() if count}
    assert facts == entry.get("facts", {})


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_answer_is_refused_with_the_reason(
    name: str, truth: dict[str, Any], place: Place, desk: Any
) -> None:
    entry = truth[name]
    with pytest.raises(AlrctlError) as refused:
        desk.take(place(name), map=tuple(entry.get("map", ())))
    assert entry["refused"] in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", FILES)
def test_the_format_is_told_by_the_content_under_any_name(
    name: str, truth: dict[str, Any], make_desk: Any, tmp_path: Path
) -> None:
    entry = truth[name]
    desk, words = make_desk(sources=entry.get("sources", {})), tuple(entry.get("map", ()))
    wanted = desk.take(DATA / name, map=words)
    for misleading in ("answers", "answers.xml", "answers.parquet"):
        shutil.copy(DATA / name, tmp_path / misleading)
        taken = desk.take(tmp_path / misleading, map=words)
        assert (taken.format, taken.answers) == (wanted.format, wanted.answers), misleading


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith((".zip", ".txt"))])
def test_a_zip_with_one_such_file_gives_the_same(name: str, truth: dict[str, Any], make_desk: Any, pack: Any) -> None:
    entry = truth[name]
    desk, words = make_desk(sources=entry.get("sources", {})), tuple(entry.get("map", ()))
    wanted = desk.take(DATA / name, map=words)
    litter = [("__MACOSX/._" + Path(name).name, b"x"), ("images/1.png", b""), (".hidden.json", b"{")]
    taken = desk.take(pack("export.zip", [*litter, (f"a folder/{name}", (DATA / name).read_bytes())]), map=words)
    assert (taken.format, taken.answers) == (wanted.format, wanted.answers)
