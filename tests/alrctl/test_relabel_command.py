"""`alrctl relabel`: what it prints, how it ends, and that a refusal leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from alrctl import files

CLASSES = ("red", "dark blue", "=green")
IDS = ("photos/a 1.png", "007", "=7", "<b>&amp;", "ß;x", "s6")


@dataclass
class Project:
    """A folder with labels, classes and a queue, and the command on it."""

    folder: Path
    alrctl: Any

    @property
    def out(self) -> Path:
        return self.folder / "labels"

    def write(self, name: str, content: Any) -> Path:
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    def csv(self, answered: Mapping[str, str], annotator: str = "ann", name: str = "answers.csv") -> Path:
        rows = "".join(f'"{sample}","{label}",{annotator}\n' for sample, label in answered.items())
        return self.write(name, "sample_id,label,annotator\n" + rows)

    def run(self, *more: Any, labels: Path | None = None, out: Path | None = None, queue: Path | None = None) -> Any:
        where = ("--queue", queue or self.folder / "queue.parquet", "-o", out or self.out)
        return self.alrctl("relabel", labels or self.folder / "data", *where, *more)

    def labels(self, out: Path | None = None) -> dict[str, str]:
        table = pl.read_parquet((out or self.out) / "labels.parquet")
        return dict(table.select("sample_id", "label").iter_rows())

    def listing(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*")}


@pytest.fixture
def project(tmp_path: Path, alrctl: Any) -> Project:
    (tmp_path / "data").mkdir()
    files.write_yaml({"names": list(CLASSES)}, tmp_path / "data" / "classes.yaml")
    everyone = [*IDS, "outside"]
    for name in ("labels", "truth"):
        column = "label" if name == "labels" else "true_label"
        labels = (
            ["red"] * 7 if name == "labels" else ["dark blue", "=green", "red", "dark blue", "red", "=green", "red"]
        )
        pl.DataFrame({"sample_id": everyone, column: labels}).write_parquet(tmp_path / "data" / f"{name}.parquet")
    asked = {"rank": range(1, 7), "sample_id": IDS, "given_label": ["red"] * 6, "suggested_label": ["=green"] * 6}
    pl.DataFrame(asked).write_parquet(tmp_path / "queue.parquet")
    return Project(tmp_path, alrctl)


def test_a_dry_run_shows_the_changes_and_writes_nothing(project: Project) -> None:
    path = project.csv({"007": "dark blue", "=7": "dark blue", "s6": "red"})
    before = project.listing()
    ran = project.run("--answers", path, "--dry-run")
    assert ran.code == 0 and project.listing() == before
    lines = [" ".join(line.split()) for line in ran.out.replace("│", " ").splitlines()]
    assert "labels changed" in lines and "red dark blue 2" in lines
    document = project.run("--answers", path, "--dry-run", "--json").document
    assert document["status"] == "would run" and document["summary"]["changes"] == [["red", "dark blue", 2]]


@pytest.mark.parametrize(
    ("content", "more", "code", "told"),
    [
        ("sample_id,label\n007,red\n", ["--map", "x"], 2, "--map: 'x' is not of the form THEIRS=OURS"),
        ("sample_id,label\n007,red\n", ["--map", "x=label"], 2, "--map: {file} has no column 'x'"),
        ("sample_id,lable\n007,red\n", [], 3, "{file}: column 'label' missing (found: 'sample_id', 'lable'); is it "
         "'lable'?; --map THEIRS=label says what the file calls it"),
        ("sample_id,label\n007,rot\n", [], 3, "answers: column 'label' has 1 value that is no class of this data set "
         "(first: row 2, 'rot'; the classes are red, dark blue, =green)"),
        ('sample_id,label\n007,"red\n', [], 3, "{file}: is no readable CSV (unexpected end of data)"),
        ("[1]", [], 3, "{file}: is JSON of no known form; known are "),
        ("<a/>", [], 3, "{file}: begins with <a>; CVAT for images begins with <annotations>"),
        ("sample_id,label\n008,red\n", [], 4, "answers: 1 answer for a sample that does not exist (first: row 2, "
         "'008'; did you mean '007'?)"),
        ("sample_id,label\n007,\n", [], 5, "{file}: no answer to take in (column 'label' is empty in all 1 rows)"),
        ("sample_id,label\noutside,red\n", [], 5, "answers: no answer to take in (1 outside queue)"),
        ("[]", [], 5, "{file}: no answer to take in (it is an empty list)"),
    ],
)  # fmt: skip
def test_each_refusal_is_one_line_with_its_code_and_leaves_nothing(
    content: str, more: list[str], code: int, told: str, project: Project
) -> None:
    path = project.write("answers", content)
    before = project.listing()
    ran = project.run("--answers", path, *more)
    lines = [line for line in ran.err.splitlines() if not line.startswith("warning: ")]
    assert (ran.code, ran.out) == (code, "")
    assert len(lines) == 1 and lines[0].startswith("error: " + told.format(file=path)), ran.err
    assert project.listing() == before


def test_a_queue_of_another_data_set_is_refused(project: Project) -> None:
    asked = {"rank": [1], "sample_id": ["foreign"], "given_label": ["red"], "suggested_label": ["red"]}
    pl.DataFrame(asked).write_parquet(project.folder / "other.parquet")
    ran = project.run("--answers", project.csv({"007": "red"}), queue=project.folder / "other.parquet")
    assert ran.code == 4 and not project.out.exists()
    assert "the queue holds 1 sample that the labels do not (first: 'foreign')" in ran.err


def test_answers_that_are_not_there_are_refused(project: Project) -> None:
    ran = project.run("--answers", project.folder / "none.csv")
    assert (ran.code, ran.err.strip()) == (3, f"error: {project.folder / 'none.csv'}: no such file")


def test_the_same_command_twice_is_unchanged(project: Project) -> None:
    path = project.csv({"007": "dark blue"})
    assert project.run("--answers", path, "--json").document["status"] == "done"
    written = {name: (project.out / name).read_bytes() for name in ("labels.parquet", "ledger.parquet")}
    assert project.run("--answers", path, "--json").document["status"] == "unchanged"
    assert {name: (project.out / name).read_bytes() for name in written} == written


def image_files(project: Project) -> dict[str, Path]:
    tag = '<annotations><image id="0" name="007.png"><tag label="dark blue"/></image></annotations>'
    whole = {"image_id": 1, "category_id": 1}
    parts = {"images": [{"id": 1, "file_name": "007.png"}], "categories": [{"id": 1, "name": "dark blue"}]}
    (project.folder / "folders" / "dark blue").mkdir(parents=True)
    (project.folder / "folders" / "dark blue" / "007.png").touch()
    return {
        "cvat": project.write("a.xml", tag),
        "coco": project.write("a.json", parts | {"annotations": [whole]}),
        "imagenet": project.folder / "folders",
    }


@pytest.mark.parametrize("kind", ["cvat", "coco", "imagenet"])
def test_files_that_name_nobody_need_an_annotator(kind: str, project: Project) -> None:
    path = image_files(project)[kind]
    ran = project.run("--answers", path)
    told = f"error: {path}: a file of the format '{kind}' does not say who answered; --annotator does"
    assert (ran.code, ran.err.strip()) == (2, told) and not project.out.exists()
    assert project.run("--answers", path, "--annotator", "zoë").code == 0
    assert pl.read_parquet(project.out / "ledger.parquet").filter(kind="vote")["annotator"].to_list() == ["zoë"]
    assert project.labels()["007"] == "dark blue"


def test_a_folder_of_answers_that_changes_is_read_again(project: Project) -> None:
    folder = image_files(project)["imagenet"]
    named = ("--answers", folder, "--annotator", "ann", "--json")
    assert [project.run(*named).document["status"] for _ in range(2)] == ["done", "unchanged"]
    (folder / "dark blue" / "s6.png").touch()
    assert project.run(*named, "--force").document["status"] == "done" and project.labels()["s6"] == "dark blue"


def test_a_conflict_makes_a_queue_that_an_adjudicator_settles(project: Project) -> None:
    project.csv({"007": "dark blue", "=7": "dark blue"}, "ann")
    text = (project.folder / "answers.csv").read_text() + '"007","=green",ben\n'
    ran = project.run("--answers", project.write("two.csv", text))
    assert ran.code == 0 and "1 sample needs a decision: see conflicts.parquet and queue.csv" in ran.err
    assert project.labels()["007"] == "red" and project.labels()["=7"] == "dark blue"
    queue = pl.read_parquet(project.out / "queue.parquet")
    assert queue["sample_id"].to_list() == ["007"]
    sheet = (project.out / "queue.csv").read_text(encoding="utf-8-sig")
    assert sheet.splitlines()[0] == "rank,sample_id,given_label,label,annotator,comment,reason"
    filled = project.write("filled.csv", sheet.replace("1,007,red,,,", "1,007,red,'=green,chief,"))
    second = project.folder / "second"
    ran = project.run("--answers", filled, "--adjudicate", labels=project.out, queue=project.out, out=second)
    assert ran.code == 0, ran.err
    assert project.labels(second)["007"] == "=green"
    assert pl.read_parquet(second / "conflicts.parquet").height == 0 and not (second / "queue.csv").exists()


def test_no_conflict_makes_no_queue(project: Project) -> None:
    assert project.run("--answers", project.csv({"007": "red"})).code == 0
    assert not (project.out / "queue.csv").exists() and not (project.out / "queue.parquet").exists()


def test_an_oracle_without_errors_gives_the_truth_of_the_queue(project: Project) -> None:
    ran = project.run("--oracle", project.folder / "data", "--oracle-seconds", 30, "--json")
    assert ran.code == 0, ran.err
    assert list(project.labels().values()) == ["dark blue", "=green", "red", "dark blue", "red", "=green", "red"]
    ledger = pl.read_parquet(project.out / "ledger.parquet").filter(kind="vote")
    assert ledger["seconds"].to_list() == [30.0] * 6 and ran.document["summary"]["spent"][0][3] == 3.0


def test_several_oracles_err_each_in_their_own_way(project: Project) -> None:
    errors = [part for share in (0, 1, 0) for part in ("--oracle-errors", share)]
    assert project.run("--oracle", project.folder / "data", *errors).code == 0
    votes = pl.read_parquet(project.out / "ledger.parquet").filter(kind="vote")
    truth = dict(zip(IDS, ["dark blue", "=green", "red", "dark blue", "red", "=green"], strict=True))
    by = {name: table for (name,), table in votes.group_by("annotator")}
    wrong = {name: sum(truth[s] != a for s, a in t.select("sample_id", "answer").rows()) for name, t in by.items()}
    assert sorted(wrong.values()) == [0, 0, 6] and len(wrong) == 3
    assert all(project.labels()[name] == label for name, label in truth.items()), "the majority is right"


def test_an_oracle_errs_as_its_confusion_says(project: Project) -> None:
    rows = ["true_label,red,dark blue,=green", "red,1,0,0", "dark blue,0,0,1", "=green,0,0,1"]
    path = project.write("confusion.csv", "\n".join(rows) + "\n")
    ran = project.run("--oracle", project.folder / "data", "--oracle-confusion", path)
    assert ran.code == 0, ran.err
    assert [project.labels()[name] for name in IDS] == ["=green", "=green", "red", "=green", "red", "=green"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "give either --answers FILE or --oracle TRUTH"),
        (["--answers", "{file}", "--oracle", "{data}"], "give either --answers FILE or --oracle TRUTH"),
        (["--answers", "{file}", "--oracle-errors", "0.5"], "--oracle-errors: goes with --oracle alone"),
        (["--answers", "{file}", "--oracle-seconds", "5"], "--oracle-seconds: goes with --oracle alone"),
        (["--answers", "{file}", "--oracle-confusion", "{file}"], "--oracle-confusion: goes with --oracle alone"),
        (
            ["--oracle", "{data}", "--oracle-errors", "0.5", "--oracle-confusion", "{file}"],
            "--oracle-confusion: says how",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(more: list[str], told: str, project: Project) -> None:
    path = project.csv({"007": "red"})
    ran = project.run(*(part.format(file=path, data=project.folder / "data") for part in more))
    assert ran.code == 2 and ran.err.startswith("error: " + told) and not project.out.exists()


def test_a_budget_holds_over_rounds_and_ends_with_5(project: Project) -> None:
    first = project.csv({"007": "dark blue", "photos/a 1.png": "dark blue"}, name="1.csv")
    assert project.run("--answers", first, "--budget", 3).code == 0
    second = project.csv({"s6": "dark blue", "=7": "dark blue"}, name="2.csv")
    out = project.folder / "second"
    ran = project.run("--answers", second, "--budget", 3, labels=project.out, out=out)
    assert ran.code == 0 and "1 answer is more than the budget covers; left out: s6" in ran.err
    assert project.labels(out)["=7"] == "dark blue" and project.labels(out)["s6"] == "red"
    third = project.csv({"s6": "dark blue"}, name="3.csv")
    ran = project.run("--answers", third, "--budget", 3, labels=out, out=project.folder / "third")
    assert ran.code == 5 and not (project.folder / "third").exists()
    assert (
        ran.err.strip() == "error: 3.csv: the budget is spent (3 of 3 labels); a larger --budget takes more answers in"
    )


def test_json_is_one_document_with_and_without_an_error(project: Project) -> None:
    done = project.run("--answers", project.csv({"007": "dark blue"}), "--json")
    assert done.document["summary"]["changed"] == 1 and done.document["summary"]["answers"] == 1
    failed = project.run("--answers", project.write("b.csv", "x,y\n1,2\n"), "--json", out=project.folder / "other")
    assert failed.code == 3 and "missing" in failed.document["error"]
