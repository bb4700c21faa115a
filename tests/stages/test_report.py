"""A report and a store that do nothing let a stage run without a shell."""

from __future__ import annotations

import pytest

from stages.report import NoStore, SilentReport, Unfinished


def test_a_silent_report_takes_everything_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    report = SilentReport()
    report.progress(1, 2, "text", "epochs")
    report.warn("text")
    assert capsys.readouterr() == ("", "")


def test_a_store_that_keeps_nothing_gives_nothing_back() -> None:
    store = NoStore()
    store.save(Unfinished(1, {}, {}))
    assert store.load() is None
