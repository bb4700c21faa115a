"""A file's answers are read as meant; what is left out is counted, listed and said, what is wrong is refused."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from schemas.answers import READ_ANSWERS
from schemas.errors import DataError, MismatchError
from stages.methods.answer_reading import Reading, Told, drop, read
from stages.methods.sample_names import Names
from stages.report import Report, SilentReport

CLASSES = ("red", "green", "blue")


def answers(*rows: tuple[Any, ...] | dict[str, Any]) -> pl.DataFrame:
    """Answers as (sample, label) or by column, at places 2, 3, ..."""
    table = [row if isinstance(row, dict) else {"sample_id": row[0], "label": row[1]} for row in rows]
    columns = {name: [row.get(name) for row in table] for name in READ_ANSWERS.schema.column_names()}
    columns["place"] = list(range(2, len(table) + 2))
    return READ_ANSWERS.check(pl.DataFrame(columns, schema=READ_ANSWERS.empty().schema), "a.csv")


def reading(**changed: Any) -> Reading:
    plain: dict[str, Any] = {
        "source": "a.csv",
        "word": "row",
        "known": {"s0", "s1", "s2", "007", "long_name"},
        "names": Names(),
        "by_image": False,
        "classes": CLASSES,
        "words": {},
        "indices": True,
        "annotator": None,
        "kind": "vote",
    }
    merged = plain | changed
    return Reading(**merged | {"known": pl.Series(sorted(merged["known"]), dtype=pl.String)})


def found(table: pl.DataFrame, told: Told | None = None, **changed: Any) -> list[dict[str, Any]]:
    return read(table, reading(**changed), told or Told(SilentReport()))


def classes(table: pl.DataFrame, **changed: Any) -> list[tuple[Any, ...]]:
    return [(row["sample_id"], row["answer"]) for row in found(table, **changed)]


def test_an_answer_is_read_with_all_that_it_says() -> None:
    said = {"annotator": "ann", "confidence": 0.5, "seconds": 2.0, "comment": "clear", "timestamp": "2026-01-01"}
    assert found(answers({"sample_id": "s0", "label": "Blue"} | said)) == [
        {
            "sample_id": "s0",
            "kind": "vote",
            "answer": "blue",
            "annotator": "ann",
            "named": True,
            "answered_at": "2026-01-01",
            "seconds": 2.0,
            "confidence": 0.5,
            "comment": "clear",
            "place": 2,
            "problem": None,
        }
    ]


def test_the_annotator_is_taken_from_the_option_only_where_the_file_does_not_say() -> None:
    table = answers(("s0", "red"), {"sample_id": "s1", "label": "red", "annotator": "bob"})
    assert [(row["annotator"], row["named"]) for row in found(table, annotator="me")] == [("me", False), ("bob", True)]
    assert [row["annotator"] for row in found(table)] == [None, "bob"]


def test_an_answer_without_a_label_is_left_out_and_said(report: Report, heard: list[str]) -> None:
    told = Told(report)
    table = answers(("s0", None), ("s1", "red"), ("s2", "n/a"))
    assert [row["sample_id"] for row in found(table, told, words={"n/a": None})] == ["s1"]
    assert told.facts == {"not_answered": 2, "not_answered_samples": ["s0", "s2"]}
    assert heard == ["2 answers have no label; left as they are: s0, s2"]


def test_an_annotator_who_looked_and_could_not_say_gives_an_unclear_answer() -> None:
    table = answers(
        {"sample_id": "s0", "unsure": True},
        {"sample_id": "s1", "label": "red", "unsure": True},
        {"sample_id": "s2", "label": "red", "unsure": False},
        {"sample_id": "s2", "problem": "several classes chosen (red, blue)"},
    )
    assert [(row["kind"], row["answer"], row["problem"]) for row in found(table)] == [
        ("unclear", None, "unsure"),
        ("unclear", None, "unsure"),
        ("vote", "red", None),
        ("unclear", None, "several classes chosen (red, blue)"),
    ]


def test_an_adjudicators_answers_are_adjudications_but_unclear_ones_are_none() -> None:
    table = answers(("s0", "red"), {"sample_id": "s1", "unsure": True})
    assert [row["kind"] for row in found(table, kind="adjudication")] == ["adjudication", "unclear"]


def test_words_are_read_together_by_name_index_or_map() -> None:
    assert classes(answers(("s0", "0"), ("s1", "2"))) == [("s0", "red"), ("s1", "blue")]
    assert classes(answers(("s0", "rot"), ("s1", "Blue")), words={"rot": "red"}) == [("s0", "red"), ("s1", "blue")]
    with pytest.raises(DataError, match=r"first: row 2, '0'"):
        found(answers(("s0", "0"), ("s1", "blue")))
    with pytest.raises(DataError, match=r"first: row 2, '0'"):
        found(answers(("s0", "0")), indices=False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["red", "gren", "gren"], "2 values that are no class of this data set (first: row 3, 'gren'; did you mean "
         "'green'?)"),
        (["red", "xyzzy"], "1 value that is no class of this data set (first: row 3, 'xyzzy'; the classes are red, "
         "green, blue)"),
    ],
)  # fmt: skip
def test_a_word_that_is_no_class_refuses_the_file_with_place_and_nearest(words: list[str], told: str) -> None:
    with pytest.raises(DataError) as caught:
        found(answers(*[("s0", word) for word in words]))
    assert str(caught.value) == f"a.csv: column 'label' has {told}"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["s0", "s9", "s8"], "2 answers for samples that do not exist (first: row 3, 's9')"),
        (["qqq"], "1 answer for a sample that does not exist (first: row 2, 'qqq')"),
        (["7"], "1 answer for a sample that does not exist (first: row 2, '7'; did a spreadsheet change '007'?)"),
        (["longname"], "1 answer for a sample that does not exist (first: row 2, 'longname'; did you mean "
         "'long_name'?)"),
    ],
)  # fmt: skip
def test_a_name_that_is_no_sample_refuses_the_file_with_place_and_nearest(names: list[str], told: str) -> None:
    with pytest.raises(MismatchError) as caught:
        found(answers(*[(name, "red") for name in names]), known=["s0", "007", "long_name"])
    assert str(caught.value) == f"a.csv: {told}"


def test_places_are_called_as_the_file_calls_them() -> None:
    with pytest.raises(MismatchError, match=r"^b\.json: 1 answer .* \(first: task 2, 'qqq'\)$"):
        found(answers(("qqq", "red")), source="b.json", word="task")


def test_codes_and_images_lead_to_samples() -> None:
    names = Names(codes={"QX": "s0"}, archived={"1_s1": "s1"})
    assert classes(answers(("QX", "red")), names=names) == [("s0", "red")]
    table = answers(("1_s1.png", "red"), ("red/red_1_s1.png", "red"), ("rot_s2.png", "rot"), ("no_label_s0.jpg", "red"))
    read_as = classes(table, names=names, by_image=True, words={"rot": "red"})
    assert [sample for sample, _ in read_as] == ["s1", "s1", "s2", "s0"]
    with pytest.raises(MismatchError):
        found(answers(("1_s1.png", "red")), names=names)


def test_an_id_that_a_spreadsheet_changed_is_told_by_the_rank_and_said(report: Report, heard: list[str]) -> None:
    table = answers(
        {"sample_id": "7", "label": "red", "rank": "2"},
        {"sample_id": "7", "label": "blue", "rank": "1"},
        {"sample_id": "7", "label": "green"},
    )
    read_as = classes(table, known={"7", "007"}, names=Names(ranks={1: "7", 2: "007"}), told=Told(report))
    assert read_as == [("007", "red"), ("7", "blue"), ("7", "green")]
    assert heard == ["1 id changed by a spreadsheet (first: '007' became '7'); told by the rank"]


def test_what_is_left_out_is_counted_in_full_and_the_first_twenty_samples_are_listed(
    report: Report, heard: list[str]
) -> None:
    told = Told(report)
    drop("outdated", [{"sample_id": f"t{number // 2}"} for number in range(60)], told)
    assert told.facts == {"outdated": 60, "outdated_samples": [f"t{number}" for number in range(20)]}
    assert heard == ["60 answers are older than those taken in before; left out: t0, t1, t2, t3, t4 and 25 more"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("not_answered", "has no label; left as it is"),
        ("outside_queue", "is not in the queue; left out"),
        ("repeated", "is the same annotator's again; counted once"),
        ("already_imported", "was taken in before; not counted again"),
        ("outdated", "is older than one taken in before; left out"),
        ("over_budget", "is more than the budget covers; left out"),
    ],
)
def test_each_rule_says_what_it_left_out(rule: str, said: str, report: Report, heard: list[str]) -> None:
    told = Told(report)
    drop(rule, [{"sample_id": "s0"}], told)
    assert heard == [f"1 answer {said}: s0"]
    assert told.why_nothing() == f"1 {rule.replace('_', ' ')}"


def test_what_was_left_out_by_no_rule_is_not_said(report: Report, heard: list[str]) -> None:
    told = Told(report)
    drop("repeated", [], told)
    assert (heard, told.facts, told.why_nothing()) == ([], {"repeated": 0}, "")
