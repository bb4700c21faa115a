"""Files are read with clear messages, and written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alrctl import csv_files, files, images, table_files
from schemas.errors import DataError, MismatchError, UsageError
from schemas.labels import LABELS
from schemas.scores import SCORES
from schemas.truth import TRUTH

ROWS = [("a", "red"), ("b", "dark blue"), ("c", None)]


def write_text(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_every_dialect_of_a_spreadsheet_gives_the_same_table(
    tmp_path: Path, mark: str, end: str, encoding: str
) -> None:
    lines = [("sample_id", "label"), *((name, label or "") for name, label in ROWS)]
    path = write_text(tmp_path / "table.csv", "".join(mark.join(line) + end for line in lines), encoding)
    found = csv_files.read_csv(path)
    assert found.columns == ["sample_id", "label"]
    assert found.rows() == ROWS


def test_quoted_cells_may_hold_separators_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", 'id,comment\n1,"a, ""b"";\nnext line"\n')
    assert csv_files.read_csv(path).rows() == [("1", 'a, "b";\nnext line')]


def test_blank_lines_and_blanks_around_cells_are_left_out(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "\n id , label \n\n 1 , red \n,,\n2, \n\n".replace(",,\n", ",\n"))
    assert csv_files.read_csv(path).rows() == [("1", "red"), ("2", None)]


def test_everything_in_a_csv_stays_text(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "id,label\n007,1e5\n1.0,true\n")
    found = csv_files.read_csv(path)
    assert found.dtypes == [pl.String, pl.String]
    assert found.rows() == [("007", "1e5"), ("1.0", "true")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty; a header line with column names is needed"),
        ("\n\n", "is empty; a header line with column names is needed"),
        ("id,label\n", "has a header and no rows"),
        ("id,label\n1,a\n2\n3,b,c\n", "2 rows not as long as the header of 2 (first: row 3)"),
        ("id,label,id\n1,a,2\n", "column 'id' stands twice in the header"),
    ],
)
def test_a_csv_that_is_no_table_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = write_text(tmp_path / "t.csv", text)
    with pytest.raises(DataError) as refused:
        csv_files.read_csv(path)
    assert str(refused.value) == f"{path}: {told}"


def test_a_csv_in_another_encoding_is_refused_and_not_guessed(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "id,label\n1,naïve\n", "latin-1")
    with pytest.raises(DataError, match=r"t\.csv: is no readable UTF-8 text file"):
        csv_files.read_csv(path)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|'/c calc'!A0", "-2", "@SUM(A1)", "\tx"])
def test_no_cell_written_for_people_begins_like_a_formula(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    csv_files.write_csv(pl.DataFrame({"comment": [text], "n": [-1]}), path)
    assert path.read_text().splitlines()[1].lstrip('"').startswith("'")
    assert path.read_text().strip().endswith(",-1")  # a number is no text


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text("=+-@a'\"\n,;\té 0", min_size=1, max_size=6), min_size=1, max_size=4))
def test_what_write_csv_writes_read_csv_reads_again(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    cells = [text.strip() for text in cells]
    cells = [text for text in cells if text and not (text[0] == "'" and text[1:2] in tuple("=+-@"))] or ["x"]
    path = tmp_path_factory.getbasetemp() / "round.csv"
    csv_files.write_csv(pl.DataFrame({"id": [str(place) for place in range(len(cells))], "text": cells}), path)
    assert csv_files.read_csv(path)["text"].to_list() == cells


def test_a_file_is_put_in_place_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "page.html"
    with files.writing(path) as beside:
        beside.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize("error", [RuntimeError("crash"), KeyboardInterrupt(), MismatchError("no")])
def test_a_failure_while_writing_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, error: BaseException) -> None:
    path = write_text(tmp_path / "page.html", "old")
    with pytest.raises(type(error)), files.writing(path) as beside:
        beside.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_a_failure_before_anything_was_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), files.writing(tmp_path / "page.html"):
        raise RuntimeError("crash")
    assert not list(tmp_path.iterdir())


def test_what_killed_runs_left_of_a_file_is_removed_and_what_others_write_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    ended.wait()
    host = socket.gethostname()
    left, mine = f".a.html.{host}-{ended.pid}.partial", f".a.html.{host}-{os.getppid()}.partial"
    others = [
        mine,
        f".a.html.elsewhere-{ended.pid}.partial",
        f".b.html.{host}-{ended.pid}.partial",
        ".a.html.x.partial",
    ]
    for name in (left, *others):
        write_text(tmp_path / name, "half")
    with files.writing(tmp_path / "a.html") as beside:
        beside.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.html", *others}


@pytest.mark.parametrize("place", ["file/page.html", "file/deep/page.html"])
def test_a_place_below_a_file_is_told_as_not_writable(tmp_path: Path, place: str) -> None:
    write_text(tmp_path / "file", "here")
    with pytest.raises(UsageError) as refused, files.writing(tmp_path / place) as beside:
        beside.write_text("x")
    assert str(refused.value).startswith(f"{tmp_path / place}: cannot be written (")
    assert str(refused.value).endswith("); make room, or choose another place with -o")
    assert (tmp_path / "file").read_text() == "here"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (RuntimeError("I/O error: no room (os error 28)\nmore"), "No space left on device"),
        (OSError("No space left on device (os error 28): /x/.out.alrctl/new/a"), "No space left on device"),
        (pl.exceptions.ComputeError("Read-only file system (os error 30)"), "Read-only file system"),
        (pl.exceptions.ComputeError("parquet: Invalid thrift: transport error"), "the disk took no more"),
        (OSError("no words of the system's"), "no words of the system's"),
    ],
)
def test_a_full_disk_is_one_line_however_the_library_words_it(tmp_path: Path, error: Exception, reason: str) -> None:
    with pytest.raises(UsageError) as refused, files.explained_write(tmp_path / "out"):
        raise error
    assert str(refused.value).startswith(f"{tmp_path / 'out'}: cannot be written ({reason});")


@pytest.mark.parametrize("place", ["out", "out/a.parquet", ".out.alrctl/new/a", ".out.host-1.partial", "."])
def test_a_refusal_within_the_place_is_told_of_the_place(place: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused, files.explained_write(tmp_path / "out"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / place))
    assert str(refused.value).startswith(f"{tmp_path / 'out'}: cannot be written (Permission denied);")


def test_a_refusal_beside_a_link_is_told_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "far/page.html")
    for place in (".link.html.host-1.partial", "far/.page.html.host-1.partial", "far/page.html"):
        with pytest.raises(UsageError) as refused, files.explained_write(tmp_path / "link.html"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / place))
        assert str(refused.value).startswith(f"{tmp_path / 'link.html'}: cannot be written (No space left on device);")


@pytest.mark.parametrize("place", ["other", "outer/a.parquet", ".other.alrctl/new/a"])
def test_a_refusal_elsewhere_is_told_of_the_file_itself(place: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused, files.explained_write(tmp_path / "out"):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(tmp_path / place))
    assert str(refused.value) == f"{tmp_path / place}: Input/output error"


def test_other_failures_while_writing_are_not_taken_for_the_disks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a bug"), files.explained_write(tmp_path):
        raise ValueError("a bug")
    with pytest.raises(MismatchError), files.explained_write(tmp_path):
        raise MismatchError("ours")


def test_each_failure_to_read_is_told_by_its_cause(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.csv: no such file$"):
        csv_files.read_csv(tmp_path / "nothing.csv")
    with pytest.raises(DataError, match=r"is a directory, and no UTF-8 text file$"):
        csv_files.read_csv(tmp_path)
    with pytest.raises(DataError, match=r"is a directory, and no regular file$"):
        files.sha256(tmp_path)
    with pytest.raises(DataError, match=r"t: is no readable JSON file \(Expecting value"):
        files.read_json(write_text(tmp_path / "t", "no json"))
    with pytest.raises(MismatchError), files.explained_read(tmp_path, "any"):
        raise MismatchError("ours")


def test_yaml_that_would_run_code_is_refused(tmp_path: Path) -> None:
    flag = tmp_path / "ran"
    path = write_text(tmp_path / "t.yaml", f"!!python/object/apply:os.mkdir ['{flag}']\n")
    with pytest.raises(DataError, match=r"t\.yaml: is no readable YAML file"):
        files.read_yaml(path)
    assert not flag.exists()


def test_yaml_and_json_are_written_as_they_are_read(tmp_path: Path) -> None:
    value = {"names": ["grün", "no", "1"], "ordered": False}
    files.write_yaml(value, tmp_path / "t.yaml")
    files.write_json(value, tmp_path / "t.json")
    assert files.read_yaml(tmp_path / "t.yaml") == files.read_json(tmp_path / "t.json") == value
    assert "grün" in (tmp_path / "t.yaml").read_text(encoding="utf-8")


def test_no_nan_gets_into_a_json_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json({"metric": float("nan")}, tmp_path / "t.json")


def test_a_table_carries_its_contract_and_is_read_as_no_other(tmp_path: Path) -> None:
    path = tmp_path / "truth.parquet"
    table_files.write_table(pl.DataFrame({"sample_id": ["a"], "true_label": ["red"]}), path, TRUTH)
    assert table_files.read_table(path, TRUTH).rows() == [("a", "red")]
    with pytest.raises(DataError, match="holds the table 'truth', not 'labels'"):
        table_files.read_table(path, LABELS)


def test_a_table_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    frame = pl.DataFrame({"sample_id": ["a"], "label": ["red"], "relabelled": [False]})
    frame.write_parquet(path, metadata={"alrctl.schema": "labels", "alrctl.schema_version": "9"})
    with pytest.raises(DataError, match="version 9 of the table 'labels'; this program reads 1"):
        table_files.read_table(path, LABELS)


def test_a_table_against_its_contract_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'sample_id' has 2 rows repeated"):
        table_files.write_table(
            pl.DataFrame({"sample_id": ["a", "a"], "true_label": ["x", "y"]}), tmp_path / "t", TRUTH
        )
    assert not list(tmp_path.iterdir())


def test_a_label_table_may_be_a_csv_with_its_rows_counted_as_a_person_does(tmp_path: Path) -> None:
    good = write_text(tmp_path / "good.csv", "sample_id;label\na;red\nb;blue\n")
    assert table_files.read_table(good, LABELS).rows() == [("a", "red", False), ("b", "blue", False)]
    with pytest.raises(DataError, match=r"column 'label' has 1 value empty \(first: row 3\)"):
        table_files.read_table(write_text(tmp_path / "bad.csv", "sample_id,label\na,red\nb,\n"), LABELS)


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    empty = write_text(tmp_path / "empty", "")
    assert files.sha256(empty) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    path = write_text(tmp_path / "t", "abc")
    assert files.sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("size", [-1, 0, 1, files._CHUNK])
def test_the_digest_of_a_large_file_is_that_of_all_its_bytes(tmp_path: Path, size: int) -> None:
    content = np.random.default_rng(0).bytes(files._CHUNK + size)
    (tmp_path / "t").write_bytes(content)
    digest, stamp = files.stamped_sha256(tmp_path / "t")
    assert digest == hashlib.sha256(content).hexdigest()
    assert stamp == files.stamp((tmp_path / "t").stat())


def test_what_would_never_end_is_not_begun(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        for read in (files.sha256, lambda path: images.decode(path, 16, "pad"), lambda path: images.reduced(path, 16)):
            with pytest.raises(DataError, match="is a pipe or a device, and no regular file"):
                read(place)


@pytest.mark.parametrize("text", ['id,label\n1,"red\n2,blue\n3,green\n', 'id,label\n1,"' + "x" * 200_000 + "\n"])
def test_a_quote_that_is_never_closed_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"t\.csv"):
        csv_files.read_csv(tmp_path / "t.csv")


def test_a_blank_line_before_the_header_does_not_hide_the_separator(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\nid;label\n1;red\n")
    assert csv_files.read_csv(tmp_path / "t.csv").columns == ["id", "label"]


@pytest.mark.parametrize("text", ["'=x", "'-1"])
def test_an_apostrophe_of_the_users_own_stays(tmp_path: Path, text: str) -> None:
    csv_files.write_csv(pl.DataFrame({"id": ["1"], "text": [text]}), tmp_path / "t.csv")
    assert csv_files.read_csv(tmp_path / "t.csv")["text"].to_list() == [text]


def part(names: list[str], labels: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"sample_id": names, "label": labels, "relabelled": [False] * len(names)})


def test_tables_written_as_one_are_read_as_one_in_their_order(tmp_path: Path) -> None:
    parts = [part([f"{number}-{row}" for row in range(50)], ["red"] * 50) for number in range(4)]
    rows = table_files.write_tables(iter(parts), tmp_path / "labels.parquet", LABELS)
    assert rows == 200
    assert table_files.read_table(tmp_path / "labels.parquet", LABELS).equals(LABELS.check(pl.concat(parts), "parts"))
    table_files.write_tables(iter(parts), tmp_path / "again.parquet", LABELS)
    assert files.sha256(tmp_path / "again.parquet") == files.sha256(tmp_path / "labels.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.parquet", "labels.parquet"]


def test_no_table_at_all_is_a_table_without_rows(tmp_path: Path) -> None:
    assert table_files.write_tables([], tmp_path / "labels.parquet", LABELS) == 0
    assert table_files.read_table(tmp_path / "labels.parquet", LABELS).height == 0


def test_one_table_of_several_against_the_contract_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        table_files.write_tables([part(["a"], ["red"]), part(["b"], [""])], tmp_path / "labels.parquet", LABELS)
    assert list(tmp_path.iterdir()) == []


def scored(**changed: object) -> pl.DataFrame:
    """Scores of two samples."""
    columns: dict[str, object] = {
        "sample_id": ["a", "b"],
        "given_label": ["red", "blue"],
        "posterior": [[0.5, 0.5], [0.9, 0.1]],
        "predicted_label": ["red", "red"],
        "entropy": [0.69, 0.33],
        "least_confidence": [0.5, 0.1],
        "margin": [0.0, 0.8],
        "loss": [0.69, 2.3],
        "suggested_label": ["red", "red"],
    }
    return pl.DataFrame(columns | changed)


def test_some_columns_are_read_in_the_order_asked_for_and_left_out_ones_take_their_value(tmp_path: Path) -> None:
    scored().write_parquet(tmp_path / "scores.parquet")
    found = table_files.read_columns(tmp_path / "scores.parquet", SCORES, ["loss", "sample_id", "relabelled", "bald"])
    assert found.columns == ["loss", "sample_id", "relabelled", "bald"]
    assert found.schema == {"loss": pl.Float32, "sample_id": pl.String, "relabelled": pl.Boolean, "bald": pl.Float32}
    assert found.select("sample_id", "relabelled", "bald").rows() == [("a", False, None), ("b", False, None)]


def test_columns_that_are_not_asked_for_are_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    scored(entropy=[0.69, float("nan")]).write_parquet(path)
    assert table_files.read_columns(path, SCORES, ["sample_id", "loss"]).height == 2
    with pytest.raises(DataError) as refused:
        table_files.read_columns(path, SCORES, ["sample_id", "entropy"])
    assert str(refused.value) == f"{path}: column 'entropy' has 1 value NaN (first: row 2)"


def test_a_table_of_which_columns_are_read_is_still_held_to_its_name_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    scored().drop("margin").write_parquet(path)
    assert table_files.read_columns(path, SCORES, ["sample_id", "loss"]).columns == ["sample_id", "loss"]
    with pytest.raises(DataError, match=r"scores\.parquet: column 'margin' missing"):
        table_files.read_columns(path, SCORES, ["sample_id", "margin"])
    scored().with_columns(more=pl.lit(1)).write_parquet(path)
    with pytest.raises(DataError, match=r"scores\.parquet: 'more' not part of the table 'scores'"):
        table_files.read_columns(path, SCORES, ["sample_id"])
    table_files.write_table(part(["a"], ["red"]), path, LABELS)
    with pytest.raises(DataError, match="holds the table 'labels', not 'scores'"):
        table_files.read_columns(path, SCORES, ["sample_id"])
    path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="is no readable parquet file"):
        table_files.read_columns(path, SCORES, ["sample_id"])
    with pytest.raises(DataError, match=r"gone\.parquet: no such file$"):
        table_files.read_columns(tmp_path / "gone.parquet", SCORES, ["sample_id"])


def test_some_columns_of_a_csv_are_read_with_its_rows_counted_as_a_person_does(tmp_path: Path) -> None:
    path = write_text(tmp_path / "labels.csv", "sample_id;label\r\na;red\r\nb;blue\r\n", "utf-8-sig")
    assert table_files.read_columns(path, LABELS, ["label"]).rows() == [("red",), ("blue",)]
    write_text(path, "sample_id,label\na,red\nb,\n")
    with pytest.raises(DataError, match=r"column 'label' has 1 value empty \(first: row 3\)"):
        table_files.read_columns(path, LABELS, ["label"])


def test_a_csv_begins_with_the_mark_that_tells_spreadsheets_its_encoding(tmp_path: Path) -> None:
    csv_files.write_csv(pl.DataFrame({"label": ["größer", "診断"]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b"\xef\xbb\xbf" + "label\ngrößer\n診断\n".encode()
    assert csv_files.read_csv(tmp_path / "t.csv").rows() == [("größer",), ("診断",)]


@pytest.mark.parametrize("length", [131_073, 400_000, 3_000_000])
def test_a_cell_may_be_as_long_as_an_image_in_it(tmp_path: Path, length: int) -> None:
    table = pl.DataFrame({"id": ["1", "2"], "image": ["data:image/png;base64," + "A" * length, "x,\n" * (length // 3)]})
    csv_files.write_csv(table, tmp_path / "t.csv")
    found = csv_files.read_csv(tmp_path / "t.csv")
    assert found["image"].to_list() == [text.strip() for text in table["image"]]


def test_a_table_that_is_scanned_is_held_to_its_name_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    part(["a"], ["red"]).drop("relabelled").write_parquet(path)
    assert table_files.scan_table(path, LABELS).collect()["relabelled"].to_list() == [False]
    with pytest.raises(DataError, match="column 'true_label' missing"):
        table_files.scan_table(path, TRUTH)
    table_files.write_table(part(["a"], ["red"]), path, LABELS)
    with pytest.raises(DataError, match="holds the table 'labels', not 'truth'"):
        table_files.scan_table(path, TRUTH)
    path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="is no readable parquet file"):
        table_files.scan_table(path, LABELS)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_separator_within_quoted_names_is_none(separator: str, tmp_path: Path) -> None:
    line = separator.join(['"true;;;"', '"a,,;;\t\t"', '"say ""so;;"""'])
    (tmp_path / "any.csv").write_text(f"{line}\n{separator.join('xyz')}\n")
    table = csv_files.read_csv(tmp_path / "any.csv")
    assert table.columns == ["true;;;", "a,,;;", 'say "so;;"']
    assert table.row(0) == ("x", "y", "z")


def test_names_that_are_made_of_another_separator_do_not_mislead(tmp_path: Path) -> None:
    (tmp_path / "any.csv").write_text("name,;;;,b\nx,1,2\n")
    assert csv_files.read_csv(tmp_path / "any.csv").columns == ["name", ";;;", "b"]


def test_a_separator_by_which_a_quote_would_end_within_a_cell_is_none(tmp_path: Path) -> None:
    (tmp_path / "any.csv").write_text('"",(all),;;;\n;;;,0.2,0.8\n(all),0.1,0.9\n')
    assert csv_files.read_csv(tmp_path / "any.csv").columns == ["", "(all)", ";;;"]
