"""An output directory is replaced as a whole, whenever the process ends; what people put there is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from alrctl import artifacts, files, manifest
from alrctl.manifest import Manifest, OutputRecord
from alrctl.workplace import Workplace, beside, check_edits, check_free, recover
from schemas.errors import MismatchError, UsageError

Tree = dict[str, str]


def write_outputs(directory: Path, content: Tree, stage: str = "select") -> None:
    """Write files, and the manifest last, as a stage does."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        (directory / name).write_text(text)
    outputs = {
        name: OutputRecord(sha256=files.sha256(directory / name), bytes=(directory / name).stat().st_size)
        for name in content
    }
    told: dict[str, Any] = {"stage": stage, "version": "0", "options": {}, "seed": None, "inputs": {}, "device": "cpu"}
    told |= {"command": [], "started": "", "ended": "", "summary": {}, "warnings": [], "outputs": outputs}
    manifest.write(Manifest.model_validate(told), directory)


def rerun(directory: Path, content: Tree, identity: str = "same") -> None:
    """Do what a stage's run does: open, write, commit."""
    with Workplace(directory, identity).opened() as place:
        write_outputs(place.new, content)
        place.commit()


def tree(directory: Path) -> Tree:
    """Return the text of every file but the manifest."""
    return {path.name: path.read_text() for path in directory.iterdir() if path.name != manifest.MANIFEST}


def test_a_run_puts_its_outputs_in_place_together_and_leaves_nothing_beside(tmp_path: Path) -> None:
    rerun(tmp_path / "out", {"a": "1", "b": "2"})
    assert tree(tmp_path / "out") == {"a": "1", "b": "2"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_second_run_replaces_the_first_as_a_whole(tmp_path: Path) -> None:
    rerun(tmp_path / "out", {"a": "1", "gone": "2"})
    rerun(tmp_path / "out", {"a": "3", "b": "4"})
    assert tree(tmp_path / "out") == {"a": "3", "b": "4"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_run_that_fails_before_its_end_keeps_the_former_outputs(tmp_path: Path) -> None:
    rerun(tmp_path / "out", {"a": "1"})
    with pytest.raises(RuntimeError), Workplace(tmp_path / "out", "other").opened() as place:
        (place.new / "a").write_text("half")
        raise RuntimeError("crash")
    assert tree(tmp_path / "out") == {"a": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def snapshots(monkeypatch: pytest.MonkeyPatch, source: Path, copies: Path) -> list[Path]:
    """Copy `source` before and after every rename and removal, as a `kill -9` at that moment would leave it."""
    taken: list[Path] = []

    def watched(act: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            take()
            result = act(*given, **named)
            take()
            return result

        return run

    def take() -> None:
        taken.append(copies / f"{len(taken):03d}")
        shutil.copytree(source, taken[-1])

    monkeypatch.setattr(os, "rename", watched(os.rename))
    monkeypatch.setattr(shutil, "rmtree", watched(shutil.rmtree))
    return taken


def test_a_kill_at_any_moment_leaves_the_whole_old_or_the_whole_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = {"a": "1", "gone": "2"}, {"a": "3", "b": "4"}
    rerun(tmp_path / "project/out", old)
    with monkeypatch.context() as patched:
        taken = snapshots(patched, tmp_path / "project", tmp_path / "copies")
        rerun(tmp_path / "project/out", new)
    absent = [place for place in taken if not (place / "out").exists()]
    assert absent, "no snapshot was taken between the two renames"
    seen = []
    for place in taken:
        recover(place / "out")
        assert manifest.edited_outputs(place / "out", manifest.read(place / "out") or pytest.fail("no manifest")) == []
        seen.append(tree(place / "out"))
        rerun(place / "out", {"c": "5"})
        assert tree(place / "out") == {"c": "5"}
        assert [path.name for path in place.iterdir()] == ["out"]
    assert all(content in (old, new) for content in seen)
    assert seen == sorted(seen, key=lambda content: content == new), "once new, never old again"
    assert old in seen
    assert new in seen


def test_a_kill_in_a_first_run_leaves_nothing_or_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    with monkeypatch.context() as patched:
        taken = snapshots(patched, tmp_path / "project", tmp_path / "copies")
        rerun(tmp_path / "project/out", {"a": "1"})
    for place in taken:
        recover(place / "out")
        assert not (place / "out").exists() or tree(place / "out") == {"a": "1"}


def interrupted(tmp_path: Path, new_is_whole: bool) -> Path:
    """Return a directory that a kill left between the two renames."""
    out = tmp_path / "out"
    write_outputs(beside(out) / "old", {"a": "old"})
    write_outputs(beside(out) / "new", {"a": "new"})
    if not new_is_whole:
        (beside(out) / "new" / manifest.MANIFEST).unlink()
    return out


@pytest.mark.parametrize(("new_is_whole", "wanted"), [(True, "new"), (False, "old")])
def test_recover_ends_a_replacement_where_the_new_is_whole_and_undoes_it_where_not(
    tmp_path: Path, new_is_whole: bool, wanted: str
) -> None:
    out = interrupted(tmp_path, new_is_whole)
    recover(out)
    assert tree(out) == {"a": wanted}
    recover(out)
    assert tree(out) == {"a": wanted}


def test_recover_leaves_alone_what_stands(tmp_path: Path) -> None:
    out = interrupted(tmp_path, new_is_whole=True)
    write_outputs(out, {"a": "standing"})
    recover(out)
    assert tree(out) == {"a": "standing"}


def test_every_reader_of_an_artifact_recovers_it_first(tmp_path: Path) -> None:
    from alrctl import artifacts

    out = interrupted(tmp_path, new_is_whole=True)
    assert artifacts.find(out, "a").read_text() == "new"
    again = interrupted(tmp_path / "again", new_is_whole=False)
    found = artifacts.find_optional(again, "a")
    assert found is not None
    assert found.read_text() == "old"


def test_all_outputs_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    with Workplace(tmp_path / "out", "same").opened() as place:
        write_outputs(place.new, {"a.txt": "1", "b.safetensors": "2"})
        (place.new / "b.safetensors").chmod(0o600)
        place.commit()
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
    (tmp_path / "plain").touch()
    assert modes == {(tmp_path / "plain").stat().st_mode & 0o777}


def test_what_a_person_added_to_the_directory_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    rerun(out, {"a": "1"})
    (out / "notes.txt").write_text("mine")
    (out / "figures").mkdir()
    (out / "figures/one.svg").write_text("also mine")
    rerun(out, {"a": "2"})
    assert (out / "a").read_text() == "2"
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "figures/one.svg").read_text() == "also mine"


def test_an_edited_output_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    rerun(out, {"a": "1", "b": "1"})
    (out / "a").write_text("edited by hand")
    rerun(out, {"a": "2", "b": "2"})
    assert tree(out) == {"a": "2", "a.edited": "edited by hand", "b": "2"}


def test_a_file_of_ones_own_that_an_output_is_called_by_now_is_kept_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    rerun(out, {"a": "1"})
    (out / "b").write_text("mine")
    rerun(out, {"a": "1", "b": "written", "b.edited": "written too"})
    assert tree(out) == {"a": "1", "b": "written", "b.edited": "written too", "b.edited2": "mine"}


@pytest.mark.parametrize(("new_is_whole", "wanted"), [(True, "new"), (False, "old")])
def test_what_another_run_left_between_its_renames_outlives_one_that_was_making_ready(
    tmp_path: Path, new_is_whole: bool, wanted: str
) -> None:
    recover(tmp_path / "out")  # this run looks, and reads for long
    out = interrupted(tmp_path, new_is_whole)  # the other is killed meanwhile
    with pytest.raises(ZeroDivisionError), Workplace(out, "mine").opened():
        raise ZeroDivisionError
    assert tree(out) == {"a": wanted}


@pytest.mark.parametrize("there", [True, False])
def test_an_output_place_that_is_a_link_is_written_through(tmp_path: Path, there: bool) -> None:
    (tmp_path / "big").mkdir()
    link, real = tmp_path / "out", tmp_path / "big/data"
    link.symlink_to("big/data")
    if there:
        rerun(real, {"a": "1"})
    rerun(link, {"a": "2"})
    assert link.is_symlink() and not real.is_symlink()
    assert tree(real) == {"a": "2"}
    assert [path.name for path in (tmp_path / "big").iterdir()] == ["data"]
    work = beside(real)
    work.mkdir()
    real.rename(work / "old")
    recover(link)
    assert tree(link) == {"a": "2"}


def test_an_edited_output_is_refused_unless_forced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    rerun(out, {"a": "1"})
    found = manifest.read(out)
    assert found is not None
    check_edits(out, found, force=False)
    (out / "a").write_text("edited by hand")
    with pytest.raises(MismatchError, match=r"out: a changed after alrctl wrote it.*use --force"):
        check_edits(out, found, force=False)
    check_edits(out, found, force=True)
    (out / "a").unlink()
    check_edits(out, found, force=False)


def test_a_second_process_is_refused_while_the_first_works(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = "import sys; from pathlib import Path; from alrctl.workplace import Workplace\n"
    script += "with Workplace(Path(sys.argv[1]), 'x').opened() as place: print('in', flush=True); sys.stdin.read()"
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script, str(out)], **pipes) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(
            UsageError, match=rf"out: another alrctl is writing there \(process {other.pid} on .+\); wait"
        ):
            rerun(out, {"a": "1"})
        assert (beside(out) / "new").is_dir(), "the refused one must not clear what the other writes"
        other.communicate()
    assert other.returncode == 0
    rerun(out, {"a": "1"})
    assert tree(out) == {"a": "1"}


def test_a_lock_that_a_killed_process_left_bars_nobody(tmp_path: Path) -> None:
    out = tmp_path / "out"
    beside(out).mkdir()
    lock = FileLock(beside(out) / "lock")
    with lock, pytest.raises(UsageError, match="another alrctl is writing there"):
        rerun(out, {"a": "1"})
    (beside(out) / "lock").touch()
    rerun(out, {"a": "1"})
    assert tree(out) == {"a": "1"}


@pytest.mark.parametrize("place", ["mkdir", "acquire", "_prepare", "_leave"])
def test_ctrl_c_leaves_nothing_beside_wherever_it_strikes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    owner: Any = {"mkdir": Path, "acquire": FileLock}.get(place, Workplace)
    act, calls = getattr(owner, place), iter(range(10))

    def struck(*given: Any, **named: Any) -> Any:
        done = act(*given, **named)
        if next(calls) == 0:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patched:
        patched.setattr(owner, place, struck)
        with pytest.raises(KeyboardInterrupt):
            rerun(tmp_path / "deep/out", {"a": "1"})
    assert [path.name for path in tmp_path.iterdir()] == (["deep"] if place == "_leave" else [])
    assert [path.name for path in (tmp_path / "deep").glob("*")] == (["out"] if place == "_leave" else [])


@pytest.mark.parametrize(("identity", "stays"), [("same", False), ("another", True)])
def test_what_a_kill_left_after_the_outputs_were_in_place_is_tidied_but_for_anothers_state(
    tmp_path: Path, identity: str, stays: bool
) -> None:
    out = tmp_path / "out"
    rerun(out, {"a": "1"})
    (beside(out) / "state").mkdir(parents=True)
    (beside(out) / "identity").write_text(identity)
    Workplace(out, "same").tidy()
    assert beside(out).is_dir() == stays
    with Workplace(out, "third").opened():
        Workplace(out, "third").tidy()
        assert beside(out).is_dir(), "another works there"


def test_an_empty_state_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Workplace(tmp_path / "out", "one").opened() as place:
        place.state.mkdir()
        raise RuntimeError("no room for the first epoch")
    assert not list(tmp_path.iterdir())


def test_unfinished_state_is_kept_for_the_same_run_and_dropped_for_another(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), Workplace(out, "one").opened() as place:
        place.state.mkdir()
        (place.state / "epoch").write_text("3")
        raise KeyboardInterrupt
    assert not out.exists()
    with Workplace(out, "one").opened() as place:
        assert (place.state / "epoch").read_text() == "3"
        assert not list(place.new.iterdir())
    with Workplace(out, "another").opened() as place:
        assert not place.state.exists()


def test_state_is_gone_when_the_run_has_ended_well(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Workplace(out, "one").opened() as place:
        place.state.mkdir()
        write_outputs(place.new, {"a": "1"})
        place.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_output_place_must_be_new_or_empty_or_of_the_same_stage(tmp_path: Path) -> None:
    check_free(tmp_path / "new", "select")
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty", "select")
    write_outputs(tmp_path / "mine", {"a": "1"})
    check_free(tmp_path / "mine", "select")
    with pytest.raises(UsageError, match="holds the result of 'select'; choose another place for 'score'"):
        check_free(tmp_path / "mine", "score")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file: is a file; a stage writes a directory"):
        check_free(tmp_path / "file", "select")
    for name in ("thesis.txt", "b", "c", "d"):
        (tmp_path / "empty" / name).touch()
    with pytest.raises(UsageError, match=r"did not write \(b, c, d and 1 more\); choose another"):
        check_free(tmp_path / "empty", "select")


def test_the_hidden_folder_is_beside_the_directory_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = tmp_path / ".out.alrctl"
    assert beside(tmp_path / "out") == beside(Path("out")) == beside(Path("x/../out")) == wanted
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    assert beside(Path(".")) == wanted


def test_ctrl_c_between_the_two_renames_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    rerun(out, {"a": "1"})
    rename = os.rename

    def interrupted(source: Any, target: Any) -> None:
        if Path(target) == out:
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rerun(out, {"a": "2"})
    recover(out)
    assert tree(out) in ({"a": "1"}, {"a": "2"})


def test_a_second_edit_is_kept_beside_the_first(tmp_path: Path) -> None:
    out = tmp_path / "out"
    rerun(out, {"a": "1"})
    for text in ("edit one", "edit two"):
        (out / "a").write_text(text)
        rerun(out, {"a": "2"})
    assert {"edit one", "edit two"} <= set(tree(out).values())


def test_a_file_of_an_interrupted_artifact_is_recovered_too(tmp_path: Path) -> None:
    out = interrupted(tmp_path, new_is_whole=True)
    assert artifacts.find(out / "a", "a").read_text() == "new"
