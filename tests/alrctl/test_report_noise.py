"""The page tells how noisy the labels are held to be, beside how noisy they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alrctl.page import noise
from alrctl.page.project import projects
from schemas.noise import NOISE

Alrctl = Callable[..., Any]


def tables(work: Path) -> dict[str, list[list[str]]]:
    (section,) = noise.estimates(projects([work]))
    return {table.caption: table.rows for table in section.tables}


def test_the_estimate_stands_beside_the_truth_where_an_evaluation_was_given_it(alrctl: Alrctl, work: Path) -> None:
    assert tables(work)["all labels"][0][-1] == "-"
    judged = ("evaluate", work / "data", "--checkpoint", work / "lnl", "--truth", work / "noisy")
    ran = alrctl(*judged, "--bootstrap", 0, "--no-figures", "-o", work / "r0/eval")
    assert ran.code == 0, ran.err
    truth = pl.read_parquet(work / "noisy/truth.parquet")
    train = pl.read_parquet(work / "data/samples.parquet").filter(split="train")
    both = pl.read_parquet(work / "noisy/labels.parquet").join(truth, on="sample_id").join(train, on="sample_id")
    wrong = both["label"] != both["true_label"]
    told = tables(work)
    ((name, count, _, interval, real),) = told["all labels"]
    assert (name, count) == ("lnl", "77")
    assert float(real) == pytest.approx(wrong.mean(), abs=5e-4)
    assert re.fullmatch(r"0\.\d{3} to [01]\.\d{3}", interval)
    for label, count, estimate, _, real in told["lnl: by given label"]:
        mine = both.filter(label=label)
        assert count == str(mine.height)
        assert float(real) == pytest.approx((mine["label"] != mine["true_label"]).mean(), abs=5e-4)
        assert 0 <= float(estimate) <= 1
    ran = alrctl("report", work, "-o", work / "report.html")
    assert ran.code == 0, ran.err
    text = (work / "report.html").read_text(encoding="utf-8")
    assert "Label noise, estimated" in text
    assert "share wrong by the truth" in text


def test_an_evaluation_of_other_labels_than_the_network_had_tells_no_truth_of_them(alrctl: Alrctl, work: Path) -> None:
    judged = ("evaluate", work / "data", "--checkpoint", work / "lnl", "--truth", work / "noisy")
    ran = alrctl(*judged, "--labels", work / "r1/labels", "--bootstrap", 0, "--no-figures", "-o", work / "r0/eval")
    assert ran.code == 0, ran.err
    assert tables(work)["all labels"][0][-1] == "-"


def test_a_project_without_an_estimate_has_no_such_section(work: Path) -> None:
    (work / "lnl" / NOISE.file_name).unlink()
    assert noise.estimates(projects([work])) == []
