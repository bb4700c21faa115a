"""People read a summary or one JSON document on stdout; warnings, errors and the bar go to stderr."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from alrctl.console import LiveReport, Voice, cell
from alrctl.session import Outcome, Session
from alrctl.summary import by_class, tell


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0.25, "0.250"),
        (1234567, "1,234,567"),
        ("text", "text"),
        ([1, 0.5, None], "1, 0.500, -"),
    ],
)
def test_a_cell_reads_as_people_write_it(value: object, wanted: str) -> None:
    assert cell(value) == wanted


def test_people_and_programs_are_never_told_both_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    for voice, said in ((Voice(), True), (Voice(as_json=True), False), (Voice(quiet=True), False)):
        voice.say("a line")
        voice.table("a title", ["name"], [["value"]])
        voice.document({"status": "done"})
        out = capsys.readouterr().out
        assert ("a line" in out, "a title" in out, "value" in out) == (said, said, said)
        assert ("status" in out) is voice.as_json


def test_the_document_is_json_without_nan(capsys: pytest.CaptureFixture[str]) -> None:
    Voice(as_json=True).document({"class": "grün", "rate": None})
    assert json.loads(capsys.readouterr().out) == {"class": "grün", "rate": None}
    with pytest.raises(ValueError, match="not JSON compliant"):
        Voice(as_json=True).document({"rate": float("nan")})


@pytest.mark.parametrize("voice", [Voice, lambda: Voice(as_json=True), lambda: Voice(quiet=True)])
def test_warnings_and_errors_go_to_stderr_whatever_the_flags(
    capsys: pytest.CaptureFixture[str], voice: type[Voice]
) -> None:
    speaker = voice()
    speaker.warn("mind [this]")
    speaker.error("no [bold]")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "warning: mind [this]\nerror: no [bold]\n"


def test_a_long_line_is_not_broken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    Voice().error("word " * 40)
    assert capsys.readouterr().err.count("\n") == 1


def test_names_in_a_table_are_not_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Voice().table("", ["[bold]class[/]"], [["[red]x[/red]"], ["[link=y]"]])
    out = capsys.readouterr().out
    for name in ("[bold]class[/]", "[red]x[/red]", "[link=y]"):
        assert name in out


def test_a_warning_is_told_once_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    report = LiveReport(Voice(), "score")
    for text in ("one", "two", "one"):
        report.warn(text)
    assert report.warnings == ["one", "two"]
    assert capsys.readouterr().err == "warning: one\nwarning: two\n"


def test_no_bar_is_drawn_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    report = LiveReport(Voice(), "score")
    with report.shown():
        report.progress(1, 10, "epoch 1", "images")
    assert capsys.readouterr().err == ""


def test_a_bar_with_rate_and_text_is_drawn_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    voice = Voice()
    voice.err = Console(file=io.StringIO(), force_terminal=True, width=120)
    report = LiveReport(voice, "score")
    report.progress(1, 10)  # before it is shown: nothing happens
    with report.shown() as shown:
        shown.progress(5, 10, "epoch [1]", "images")
        shown.progress(10, 10, "epoch [1]", "images")
        shown.progress(1, 20, "epoch 2", "images")  # a new pass begins anew
        report.warn("mind this")
    report.progress(2, 20)
    drawn = voice.err.file.getvalue()  # type: ignore[attr-defined]
    assert "score" in drawn
    assert "1/20" in drawn
    assert "warning:" in drawn
    assert capsys.readouterr().out == ""


def outcome(status: str) -> Outcome:
    summary = {
        "reason": "not done yet",
        "queued": 1200,
        "by_class": {"red": 0.5, "blue": None},
        "empty": [],
        "none": None,
        "moves": [["red", "blue", 3]],
        "note": "[odd]",
    }
    return Outcome("select", status, Path("work/[r1]"), summary)  # type: ignore[arg-type]


def test_a_summary_names_the_place_and_the_facts(capsys: pytest.CaptureFixture[str]) -> None:
    story = by_class("share", "by_class")
    given = outcome("done")
    assert tell(Session(Voice()), given, story) is given
    out = capsys.readouterr().out
    assert out.startswith("select done: work/[r1]\n")
    assert "  queued: 1,200\n" in out
    assert "  note: [odd]\n" in out
    for hidden in ("empty", "none", "moves", "by class"):
        assert hidden not in out
    assert [line.replace("│", " ").split() for line in out.splitlines() if "red" in line] == [["red", "0.500"]]


def test_a_run_that_changed_nothing_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Session(Voice()), outcome("unchanged"), by_class("share", "by_class"))
    assert capsys.readouterr().out == "select unchanged: work/[r1] is up to date (--force runs it anyway)\n"


def test_a_run_to_come_is_told_with_what_can_be_foreseen_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Outcome("select", "would run", Path("work/[r1]"), {"reason": "not done yet"})
    tell(Session(Voice()), plain, by_class("share", "by_class"))
    assert capsys.readouterr().out == "select would run and write work/[r1] (not done yet)\n"
    foreseen = Outcome(
        "relabel", "would run", Path("l"), {"reason": "forced", "changed": 0, "repeated": 0, "by_class": {"red": 2}}
    )
    tell(Session(Voice()), foreseen, by_class("samples", "by_class"), quiet=("repeated",))
    out = capsys.readouterr().out
    assert out.startswith("relabel would run and write l (forced)\n  changed: 0\n")
    assert "repeated" not in out
    assert "red" in out
