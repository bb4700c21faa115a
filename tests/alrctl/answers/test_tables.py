"""Tables as spreadsheets and people write them: encodings, separators, headers, and what is refused."""

from __future__ import annotations

import codecs
import io
from typing import Any

import polars as pl
import pytest

from schemas.errors import AlrctlError, DataError, UsageError

ROWS = [("photos/ç3.png", "melanoma"), ("007", "basal cell"), ("lesion_6", "naevus")]
TEXT = "sample_id,label\n" + "".join(f"{name},{label}\n" for name, label in ROWS)


def refused(desk: Any, path: Any, **more: Any) -> str:
    with pytest.raises(AlrctlError) as told:
        desk.take(path, **more)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("told", [False, True])
def test_every_dialect_gives_the_same_answers(
    encoding: str, mark: str, end: str, told: bool, desk: Any, write: Any
) -> None:
    text = (f"sep={mark}\n" if told else "") + TEXT.replace(",", mark)
    taken = desk.take(write("a.csv", text.replace("\n", end).encode(encoding)))
    assert taken.format == "csv" and taken.labels == ROWS
    assert bool(taken.found.warnings) == (encoding == "cp1252")


def test_a_text_in_windows_1252_is_read_with_a_warning(desk: Any, write: Any) -> None:
    path = write("a.csv", TEXT.encode("cp1252"))
    assert desk.take(path).found.warnings == (
        f"{path}: is not UTF-8; read as Windows-1252, so look at letters with accents (save as 'CSV UTF-8')",
    )


def test_utf_16_without_a_mark_is_refused(desk: Any, write: Any) -> None:
    assert "is no text (it holds null characters)" in refused(desk, write("a.csv", TEXT.encode("utf-16-le")))


def test_a_marked_utf_16_of_the_other_order_is_read(desk: Any, write: Any) -> None:
    assert desk.take(write("a.csv", codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"))).labels == ROWS


def test_empty_columns_and_rows_at_the_end_are_nothing(desk: Any, write: Any) -> None:
    text = "sample_id,label,,,\n007,naevus,,,\n,,,,\n\n1e5,melanoma,,,\n,,,,\n"
    taken = desk.take(write("a.csv", text))
    assert taken.labels == [("007", "naevus"), ("1e5", "melanoma")]
    assert [row["place"] for row in taken.answers] == [2, 5], "rows are counted as a spreadsheet counts them"


def test_a_cell_beside_the_table_is_no_empty_column(desk: Any, write: Any) -> None:
    taken = desk.take(write("a.csv", "sample_id,label,,\n007,naevus,,\n1e5,melanoma,x,\n"))
    assert taken.labels == [("007", "naevus"), ("1e5", "melanoma")]
    assert "column '' stands twice" in refused(desk, write("b.csv", "sample_id,label,,\n007,naevus,x,y\n"))


@pytest.mark.parametrize("header", ["Sample_ID,LABEL", "sample id,Label", " sample-id , label ", "SAMPLE ID,label"])
def test_headers_in_other_capitals_and_spacings_are_known(header: str, desk: Any, write: Any) -> None:
    assert desk.take(write("a.csv", f"{header}\n007,naevus\n")).labels == [("007", "naevus")]


def test_the_exact_name_of_a_column_goes_before_one_in_other_capitals(desk: Any, write: Any) -> None:
    path = write("a.csv", "sample_id,Label,label\n007,naevus,melanoma\n")
    assert desk.take(path).labels == [("007", "melanoma")]


def test_numbers_with_a_decimal_comma_are_numbers(desk: Any, write: Any) -> None:
    path = write("a.csv", "sample_id;label;seconds;confidence\n007;naevus;4,5;0,25\n1e5;naevus;3.5;1\n")
    assert [(row["seconds"], row["confidence"]) for row in desk.take(path).answers] == [(4.5, 0.25), (3.5, 1.0)]


def test_all_columns_come_through(desk: Any, write: Any) -> None:
    header = "sample_id,label,annotator,confidence,unsure,seconds,comment,timestamp,more"
    path = write("a.csv", f"{header}\n007,,ann,0.5,true,2,=no idea,2026-01-02T03:04:05+02:00,x\n")
    (row,) = desk.take(path).answers
    assert row == {
        "sample_id": "007",
        "kind": "unclear",
        "answer": None,
        "annotator": "ann",
        "named": True,
        "answered_at": "2026-01-02T01:04:05.000000Z",
        "seconds": 2.0,
        "confidence": 0.5,
        "comment": "=no idea",
        "place": 2,
        "problem": "unsure",
    }


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02 03:04:05.5", "2026-01-02T03:04:05.500000Z"),
        ("2026-01-02T00:04:05+05:30", "2026-01-01T18:34:05.000000Z"),
        ("2026-01-02", "2026-01-02"),
        ("yesterday at noon", "yesterday at noon"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_times_are_in_utc_where_they_can_be_read(text: str, utc: str, desk: Any, write: Any) -> None:
    taken = desk.take(write("a.csv", f"sample_id,label,timestamp\n007,naevus,{text}\n"))
    assert [row["answered_at"] for row in taken.answers] == [utc]


@pytest.mark.parametrize("word", ["Naevus", "NAEVUS", " naevus "])
def test_a_class_in_other_capitals_is_that_class(word: str, desk: Any, write: Any) -> None:
    assert desk.take(write("a.csv", f"sample_id,label\n007,{word}\n")).labels == [("007", "naevus")]


def test_map_names_columns_and_classes_and_words_that_are_no_answer(desk: Any, write: Any) -> None:
    path = write("a.csv", "Bild,Diagnose\n007,Muttermal\n1e5,?\nlesion_6,melanoma\n")
    words = ("Bild=sample_id", "Diagnose=label", "Muttermal=naevus", "?=")
    taken = desk.take(path, map=words)
    assert taken.labels == [("007", "naevus"), ("lesion_6", "melanoma")]
    assert taken.facts["not_answered"] == 1
    assert refused(desk, path) == (
        f"{path}: column 'sample_id' missing (found: 'Bild', 'Diagnose'); --map THEIRS=sample_id says what the file "
        "calls it"
    )


def test_map_of_a_column_that_is_not_there_is_refused(desk: Any, write: Any) -> None:
    path = write("a.csv", TEXT)
    with pytest.raises(UsageError, match=r"--map: .*a\.csv has no column 'lable'; did you mean 'label'\?$"):
        desk.take(path, map=("lable=label",))


def test_a_mapped_column_goes_before_the_one_of_that_name(desk: Any, write: Any) -> None:
    path = write("a.csv", "sample_id,label,second\n007,naevus,melanoma\n")
    assert desk.take(path, map=("second=label",)).labels == [("007", "melanoma")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty; a header line with column names is needed"),
        ("sample_id,label\n", "has a header and no rows"),
        ("sample_id,label\n007\n", "1 row not as long as the header of 2 (first: row 2)"),
        ('sample_id,label\n007,"naevus\n', "is no readable CSV"),
        ("sample_id,label,label\n007,naevus,naevus\n", "column 'label' stands twice in the header"),
        ("sample_id,lable\n007,naevus\n", "column 'label' missing (found: 'sample_id', 'lable'); is it 'lable'?"),
        ("sample_id,label\n007,neavus\n", "(first: row 2, 'neavus'; did you mean 'naevus'?)"),
        ("sample_id,label\n008,naevus\n", "1 answer for a sample that does not exist (first: row 2, '008'"),
        ("sample_id,label\n,naevus\n", "column 'sample_id'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, told: str, desk: Any, write: Any) -> None:
    assert told in refused(desk, write("a.csv", text))


@pytest.mark.parametrize(("classes", "cut"), [(("naevus", "naevus blue"), "naevus"), (("a", "ab"), "a")])
def test_a_file_that_breaks_off_within_a_class_is_refused(
    classes: tuple[str, ...], cut: str, make_desk: Any, write: Any
) -> None:
    desk = make_desk(classes=classes)
    told = refused(desk, write("a.csv", f"sample_id,label\n007,{classes[1]}\n1e5,{cut}"))
    assert f"ends without a line break after '{cut}' (row 3), which may be '{classes[1]}' cut off" in told
    assert desk.take(write("b.csv", f"sample_id,label\n1e5,{cut}\n")).labels == [("1e5", cut)]


def test_a_file_that_breaks_off_within_an_index_is_refused(make_desk: Any, write: Any) -> None:
    desk = make_desk(classes=tuple(f"class {letter}" for letter in "abcdefghijklm"))
    told = refused(desk, write("a.csv", "sample_id,label\n007,12\n1e5,1"))
    assert "which may be '10' cut off" in told
    assert desk.take(write("b.csv", "sample_id,label\n007,12\n1e5,3")).labels[1] == ("1e5", "class d")


def test_parquet_is_read_as_csv_is(desk: Any, write: Any) -> None:
    stream = io.BytesIO()
    pl.DataFrame({"sample_id": ["007"], "label": ["naevus"], "seconds": [1]}).write_parquet(stream)
    taken = desk.take(write("a.csv", stream.getvalue()))
    assert [(row["sample_id"], row["answer"], row["seconds"]) for row in taken.answers] == [("007", "naevus", 1.0)]
    assert "is no readable parquet file" in refused(desk, write("b.parquet", stream.getvalue()[:-9]))


def test_labels_are_not_taken_for_an_experts_answers(desk: Any, write: Any) -> None:
    stream = io.BytesIO()
    table = pl.DataFrame({"sample_id": ["007"], "label": ["naevus"]})
    table.write_parquet(stream, metadata={"alrctl.schema": "labels"})
    told = refused(desk, write("labels.parquet", stream.getvalue()))
    assert told.endswith("labels.parquet: holds the table 'labels', which is no expert's answers")


@pytest.mark.parametrize("label", [pl.Series([1]), pl.Series([1.0]), pl.Series([True])])
def test_parquet_with_a_label_that_is_no_text_is_read_or_refused_in_one_line(
    label: pl.Series, desk: Any, write: Any
) -> None:
    stream = io.BytesIO()
    pl.DataFrame({"sample_id": ["007"], "label": label}).write_parquet(stream)
    path = write("a.parquet", stream.getvalue())
    try:
        assert desk.take(path).labels == [("007", "melanoma")]
    except DataError as error:
        assert "label" in str(error) and "\n" not in str(error)


def test_the_rank_leads_back_to_ids_that_a_spreadsheet_changed(make_desk: Any, write: Any) -> None:
    desk = make_desk(ids=("007", "1e5", "7", "=7"))
    path = write("a.csv", "rank,sample_id,label\n1,7,naevus\n2,100000,melanoma\n3,7,basal cell\n4,7,=other\n")
    assert desk.take(path).labels == [("007", "naevus"), ("1e5", "melanoma"), ("7", "basal cell"), ("=7", "=other")]
