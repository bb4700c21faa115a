"""A pipeline as a Snakefile and as a Makefile: the commands, what is refused, and what the engines make of it."""

from __future__ import annotations

import functools
import inspect
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock, Timeout
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from alrctl import app, pipeline
from alrctl.pipeline import command_line
from alrctl.pipeline.sections import SECTIONS
from schemas.errors import UsageError

Alrctl = Callable[..., Any]
HERE = Path(__file__).parent
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
ODD = ("-x", "--exclude", "a b", "naïve ü", "it's", '"quoted"', "$HOME $(pwd) `pwd`", "{x} {{", "100 %", "#", "\\", "*")
TINY: dict[str, Any] = {
    "ingest": {"image-size": 24},
    "corrupt": {"rate": 0.4},
    "train-lnl": {"backbone": "test_resnet", "epochs": 2, "batch-size": 16, "num-gradual": 1, "device": "cpu"},
    "select": {"budget": 6, "pool": "all"},
    "recalibrate": {"epochs": 1, "batch-size": 16},
    "evaluate": {"bootstrap": 50},
}
NO_LIMITS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"))
ENGINES = pytest.mark.parametrize("engine", ["snakemake", "make"])


def write(path: Path, **content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"source": "photos", "report": False, **content}, allow_unicode=True))
    return path


# --- each command says what the step holds ---------------------------------------------------------------------------


def heard(section: str, words: list[str]) -> dict[str, Any]:
    """Return what the function of a command is called with, by the command's own parser."""
    closure = inspect.getclosurevars(module(section).COMMAND).nonlocals
    found: dict[str, Any] = {}

    @functools.wraps(closure["function"])
    def listen(session: Any, **given: Any) -> None:
        found.update(given)

    cells = dict(
        zip(module(section).COMMAND.__code__.co_freevars, module(section).COMMAND.__closure__ or (), strict=True)
    )
    cells["function"].cell_contents = listen
    try:
        code = parser(section).main(words, standalone_mode=False)
    finally:
        cells["function"].cell_contents = closure["function"]
    assert code in (None, 0), (section, words)
    return found


@functools.cache
def parser(section: str) -> Any:
    return app.load(section)


def module(section: str) -> Any:
    return sys.modules[f"alrctl.commands.{section.replace('-', '_')}"]


def candidates(annotation: Any) -> list[Any]:
    """Return values of a type, odd ones too; which of them an option takes is to be seen."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [value for kind in typing.get_args(annotation) for value in candidates(kind)]
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    if typing.get_origin(annotation) is typing.Annotated:
        return candidates(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is tuple:
        one = candidates(typing.get_args(annotation)[0])
        pairs = ["-a=b c", "$a=1", "ü x=0.25", "a:b=-c"] if str in typing.get_args(annotation) else []
        return [[value] for value in [*one, *pairs]] + [one[:2], one[-2:], pairs[:2]]
    kinds: dict[Any, list[Any]] = {
        bool: [True, False],
        int: [0, 1, 2, 3, 8, 9999],
        float: [0, 1, 0.1, 0.3, 1e-07, 1 / 3, 12345.678],
        str: [*ODD, "", "None", "5", "true"],
    }
    return kinds.get(annotation, [])


def accepted(config: type[BaseModel], name: str) -> list[Any]:
    """Return the candidates that an option takes when nothing else is given."""
    found = []
    for value in candidates(config.model_fields[name].annotation):
        try:
            config.model_validate({name: value})
        except ValidationError:
            continue
        found.append(value)
    return found


def section_options(section: Any) -> st.SearchStrategy[dict[str, Any]]:
    kept = {name: values for name in section.config.model_fields if (values := accepted(section.config, name))}
    assert len(kept) >= 0.85 * len(section.config.model_fields), "some option has no value to be tried"
    places = {place: st.sampled_from(["t.csv", "-x/a b.csv", "../ü.csv"]) for place in section.places}
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in kept.items()} | places)


AXES = {
    "seed": st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True),
    "strategy": st.lists(st.sampled_from(["random", "entropy", "margin"]), min_size=1, max_size=2, unique=True),
    "corrupt.exclude": st.just([["-x"], ["a b", "{ü}"]]),
    "start-from": st.just(["previous", "lnl"]),
}
LAYOUTS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["photos", "-x", "~me/ä b", "/data/p.csv"]),
        "output": st.sampled_from([".", "-x", "out $1", "/scratch/x"]),
        "rounds": st.integers(0, 2),
        "expert": st.sampled_from(["file", "oracle"]),
        "matrix": st.fixed_dictionaries({}, optional=AXES),
    }
)


def rooted(config: Any, base: Path) -> Any:
    """Return options with the folder that a list's paths start from as a place, however it is written."""
    root = getattr(config, "root", None)
    return config if root is None else config.model_copy(update={"root": os.path.abspath(base / root)})


def check_each_command(content: dict[str, Any], base: Path, only: str = "") -> None:
    for step in pipeline.plan(pipeline.parse(content, Path("study"), "pipeline.yaml")):
        if only not in ("", step.section):
            continue
        words = command_line.words(step, base)
        assert words[:2] == ["alrctl", step.section]
        told = {name: value for name, value in heard(step.section, words[2:]).items() if value is not None}
        assert rooted(told.pop("config"), base) == rooted(step.arguments["config"], Path())
        wanted = {name: os.path.abspath(value) for name, value in step.arguments.items() if name != "config"}
        assert {name: os.path.abspath(base / value) for name, value in told.items()} == wanted


@pytest.mark.parametrize("name", SECTIONS)
def test_a_command_says_all_options_of_its_section(name: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(options=section_options(SECTIONS[name]))
    def check(options: dict[str, Any]) -> None:
        try:
            check_each_command({"source": "photos", "rounds": 1, name: options}, Path("elsewhere"), only=name)
        except UsageError:  # options that do not go together
            assume(False)

    check()


@settings(max_examples=20, deadline=None)
@given(layout=LAYOUTS, base=st.sampled_from([Path("study"), Path(), Path("/etc")]))
def test_a_command_says_where_everything_lies(layout: dict[str, Any], base: Path) -> None:
    check_each_command({**layout, "corrupt": {}}, base)


def test_an_option_that_no_command_can_say_is_refused() -> None:
    found = pipeline.parse({"source": "photos", "evaluate": {"top-k": []}}, Path(), "pipeline.yaml")
    step = next(step for step in pipeline.plan(found) if step.section == "evaluate")
    with pytest.raises(UsageError, match=r"r0/eval: --top-k: no command can say '\[\]'; leave it out"):
        command_line.words(step, Path())


def test_files_among_the_options_are_found_from_where_the_exported_file_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    (tmp_path / "study/w.safetensors").touch()
    given = {"train-lnl": {"weights": "w.safetensors"}, "ingest": {"root": "images"}}
    found = pipeline.parse({"source": "photos", "rounds": 0, **given}, Path("study"), "pipeline.yaml")
    told = {step.section: command_line.words(step, Path("jobs")) for step in pipeline.plan(found)}
    assert told["train-lnl"][-2:] == ["--weights", "../study/w.safetensors"]
    assert told["ingest"][-2:] == ["--root", "../study/images"]


def test_files_that_are_alternatives_are_found_from_the_pipeline_file_too(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").touch()
    content = {
        "source": "photos",
        "rounds": 0,
        "corrupt": {"noise": "transition"},
        "matrix": {"corrupt.transition": ["a.csv", "b.csv"], "train-lnl.weights": ["none", "w.safetensors"]},
    }
    steps = pipeline.plan(pipeline.parse(content, tmp_path, "pipeline.yaml"))
    told = [command_line.words(step, tmp_path) for step in steps if step.section in ("corrupt", "train-lnl")]
    given = [
        words[words.index(option) + 1] for option in ("--transition", "--weights") for words in told if option in words
    ]
    assert set(given) == {"a.csv", "b.csv", "w.safetensors"}
    assert len(told) == 2 + 4


def test_links_on_the_way_are_followed(tmp_path: Path) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "deep/er")
    found = command_line.relative(tmp_path / "photos", tmp_path / "linked")
    assert os.path.realpath(tmp_path / "deep/er" / found) == str(tmp_path / "photos")


# --- what is written, and what is refused ----------------------------------------------------------------------------


@ENGINES
def test_the_file_lies_beside_the_pipeline_and_is_written_anew_as_long_as_it_is_ours(
    engine: str, alrctl: Alrctl, tmp_path: Path
) -> None:
    given = write(tmp_path / "study/pipeline.yaml")
    place = given.with_name({"snakemake": "Snakefile", "make": "Makefile"}[engine])
    assert alrctl("export", engine, given, "--dry-run", "--json").document["status"] == "would run"
    assert not place.exists()
    ran = alrctl("export", engine, given, "--json")
    assert (ran.document["status"], ran.document["out"], ran.document["summary"]["jobs"]) == ("done", str(place), 13)
    assert place.read_text().startswith(f"# Written by: alrctl export {engine} pipeline.yaml -o {place.name}\n")
    assert alrctl("export", engine, given, "--json").document["status"] == "unchanged"
    write(given, rounds=1)
    assert alrctl("export", engine, given, "--json").document["summary"]["jobs"] == 8
    place.write_text("my own\n")
    ran = alrctl("export", engine, given)
    assert (ran.code, place.read_text()) == (2, "my own\n")
    assert "is there already; name another file with -o, or use --force" in ran.err


@pytest.mark.parametrize(
    ("engine", "content", "told"),
    [
        ("make", {"output": "a b"}, "make takes no ' ' in the name of a file; choose other names"),
        ("make", {"output": "a$b"}, "make takes no '$' in the name of a file"),
        ("make", {"output": "a,b"}, "make takes no ',' in the name of a file"),
        ("make", {"corrupt": {"noise": "transition", "transition": "a:b.csv"}}, "make takes no ':' in the name"),
        ("make", {"corrupt": {"exclude": ["a\nb"]}}, "noisy: make takes no line break in a command ('a\\nb')"),
        ("snakemake", {"output": "{a}"}, "Snakemake takes no '{' in the name of a file; choose other names"),
        ("snakemake", {"output": "a\nb"}, "Snakemake takes no '\\n' in the name of a file"),
        ("snakemake", {"evaluate": {"top-k": []}}, "r0/eval: --top-k: no command can say '[]'; leave it out"),
        ("snakemake", {"rounds": -1}, "rounds: Input should be greater than or equal to 0"),
        ("slurm", {}, "ENGINE: 'slurm' is not one of snakemake, make"),
    ],
)
def test_what_an_engine_cannot_take_is_refused_in_a_line_and_nothing_is_written(
    engine: str, content: dict[str, Any], told: str, alrctl: Alrctl, tmp_path: Path
) -> None:
    given = write(tmp_path / "pipeline.yaml", **content)
    ran = alrctl("export", engine, given)
    assert ran.code == 2
    assert told in ran.err
    assert sorted(tmp_path.iterdir()) == [given]


@ENGINES
def test_a_name_that_is_no_text_and_a_place_that_is_a_directory_are_refused(
    engine: str, alrctl: Alrctl, tmp_path: Path
) -> None:
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9"))
    given = write(tmp_path / "pipeline.yaml")
    (tmp_path / "there").mkdir()
    ran = alrctl("export", engine, given, "-o", tmp_path / "there")
    assert (ran.code, "is a directory; name the file to write" in ran.err) == (2, True)
    folder.mkdir()
    inside = given.rename(folder / "pipeline.yaml")
    ran = alrctl("export", engine, inside, "-o", tmp_path / "exported")
    assert (ran.code, "is no valid text (a name in another encoding?)" in ran.err) == (2, True)
    assert not (tmp_path / "exported").exists()


# --- the engines, with a command that takes notes --------------------------------------------------------------------


class Engine:
    """Carries out what is exported from a folder, with a command that notes what it is told."""

    def __init__(self, name: str, folder: Path, alrctl: Alrctl) -> None:
        self.folder, self.notes = folder, folder / "notes"
        self.alrctl = f"{shlex.quote(sys.executable)} -I -S {HERE / 'recorder.py'} {shlex.quote(str(self.notes))}"
        self.name, self._export, self.environment = name, alrctl, {}

    def export(self, **content: Any) -> None:
        """Write the pipeline, and the file that the engine reads."""
        ran = self._export("export", self.name, write(self.folder / "pipeline.yaml", **content))
        assert ran.code == 0, ran.err

    def command(self, *more: str) -> list[str]:
        if self.name == "make":
            return ["make", "-C", str(self.folder), *more]
        return [str(SNAKEMAKE), "-s", str(self.folder / "Snakefile"), "--cores", "1", *more]

    def run(self, *more: str, code: int = 0) -> str:
        """Carry it out, from another working directory; return what was said."""
        plain = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
        environment = {**plain, **self.environment, "ALRCTL": self.alrctl}
        ran = subprocess.run(
            self.command(*more), cwd=self.folder.parent, env=environment, capture_output=True, text=True, check=False
        )
        assert (ran.returncode != 0) == (code != 0), ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def told(self) -> list[dict[str, Any]]:
        """Return what the command was told since the last time."""
        found = [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []
        self.notes.unlink(missing_ok=True)
        return found

    def outputs(self) -> list[str]:
        """Return what commands wrote since the last time, in order."""
        return [told["words"][told["words"].index("-o") + 1] for told in self.told()]


@pytest.fixture(params=["snakemake", "make"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, alrctl: Alrctl) -> Engine:
    if not SNAKEMAKE.is_file() and request.param == "snakemake":
        pytest.skip("snakemake is missing: pip install -e '.[dev]'")
    (tmp_path / "study/photos").mkdir(parents=True)
    return Engine(request.param, tmp_path / "study", alrctl)


def test_every_command_arrives_word_for_word(engine: Engine) -> None:
    odd = {"corrupt": {"exclude": list(ODD)}, "ingest": {"merge-class": [f"{one}x=ü" for one in ODD]}}
    output = "out" if engine.name == "make" else "-o ü $x 'q' \"d\" 100% #"
    engine.export(rounds=1, expert="oracle", output=output, **odd)
    engine.run("-j2") if engine.name == "make" else engine.run()
    found = pipeline.load(engine.folder / "pipeline.yaml")
    wanted = [command_line.words(step, engine.folder)[1:] for step in pipeline.plan(found)]
    told = engine.told()
    assert sorted(one["words"] for one in told) == sorted(wanted)
    assert {one["there"] for one in told} == {False}
    assert [one["limits"] for one in told] == [NO_LIMITS] * len(wanted), "Snakemake sets them of itself"


def test_a_look_names_every_job_and_carries_out_none(engine: Engine) -> None:
    engine.export(expert="oracle", bound=True, matrix={"seed": [0, 1], "strategy": ["entropy", "random"]}, rounds=1)
    said = engine.run("-n")
    assert engine.told() == []
    found = pipeline.plan(pipeline.load(engine.folder / "pipeline.yaml"))
    assert len(found) == 1 + 2 * (5 + 2 * 4)
    for step in found:
        assert f"{step.arguments['out'].relative_to(engine.folder)}/manifest.json" in said or f"-o {step.name}" in said


def test_jobs_that_lack_an_experts_answers_are_left_out_and_come_in_with_them(engine: Engine) -> None:
    engine.export(rounds=2, expert="file", report=True)
    exported = (engine.folder / {"make": "Makefile", "snakemake": "Snakefile"}[engine.name]).read_text()
    assert "An expert answers in the files named below" in exported
    assert {"r1/answers.csv", "r2/answers.csv"} <= set(exported[:2000].replace("#", "").split())
    engine.run()
    first = engine.outputs()
    assert sorted(first) == sorted(["data", "lnl", "r0/eval", "r1/scores", "r1/queue", "report.html"])
    time.sleep(0.02)
    (engine.folder / "r1/answers.csv").write_text("sample_id,label\n")
    engine.run()
    second = engine.outputs()
    assert second[0] == "r1/labels"
    assert sorted(second) == sorted(["r1/labels", "r1/model", "r1/eval", "r2/scores", "r2/queue", "report.html"])
    engine.run()
    assert engine.outputs() == []


def test_a_makefile_that_is_read_from_elsewhere_says_how_to_go_there(alrctl: Alrctl, tmp_path: Path) -> None:
    engine = Engine("make", tmp_path / "study", alrctl)
    engine.export()
    command = ["make", "-f", "study/Makefile"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "Paths are those from the folder of this file: use make -C FOLDER" in ran.stderr


def test_what_a_new_file_concerns_is_done_again_in_place_and_only_once(engine: Engine) -> None:
    matrix = engine.folder / "t.csv"
    matrix.write_text("1")
    engine.export(rounds=0, corrupt={"noise": "transition", "transition": "t.csv"})
    engine.run()
    engine.told()
    time.sleep(0.02)
    matrix.write_text("2")
    engine.run()
    again = engine.told()
    assert [one["words"][0] for one in again] == ["corrupt", "train-lnl", "evaluate"]
    assert all(one["there"] for one in again), "alrctl takes a directory without its manifest for somebody else's"
    engine.run()
    assert engine.told() == []


def test_a_job_that_failed_over_an_older_result_is_not_taken_for_done(engine: Engine) -> None:
    engine.export(rounds=0)
    engine.run()
    (engine.folder / "data/manifest.json").unlink()
    (engine.folder / "notes.fail").write_text("lnl")
    engine.run(code=1)
    assert engine.outputs()[-2:] == ["data", "lnl"]
    assert (engine.folder / "lnl/manifest.json").is_file()
    engine.run()
    assert engine.outputs() == ["lnl", "r0/eval"]


def test_a_command_has_the_threads_that_it_would_have_by_itself(engine: Engine) -> None:
    engine.environment = {"OMP_NUM_THREADS": "3"}
    engine.export(rounds=0)
    engine.run()
    assert [one["limits"] for one in engine.told()] == [NO_LIMITS | engine.environment] * 3


def test_a_source_in_a_table_is_watched_and_one_that_was_ingested_too(engine: Engine) -> None:
    (engine.folder / "photos.csv").write_text("path,label\n")
    engine.export(rounds=0, source="photos.csv")
    engine.run()
    engine.told()
    time.sleep(0.02)
    (engine.folder / "photos.csv").write_text("path,label\nx.png,red\n")
    assert "ingest photos.csv" in engine.run("-n", *(["-p"] if engine.name == "snakemake" else []))
    (engine.folder / "own").mkdir()
    for name in ("samples.parquet", "manifest.json"):
        (engine.folder / "own" / name).touch()
    engine.export(rounds=0, source="own", output="out")
    engine.run()
    assert engine.outputs() == ["out/lnl", "out/r0/eval"]


# --- the engines, for real -------------------------------------------------------------------------------------------


def contents(root: Path) -> dict[str, bytes]:
    """Return every file of the artifacts below a directory; of manifests, all but the times and the command."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root).as_posix()
        content = path.read_bytes()
        if path.name == "manifest.json":
            told = json.loads(content)
            del told["started"], told["ended"], told["command"]
            content = json.dumps(told, sort_keys=True).encode()
        if "/" in name and not name.startswith((".snakemake", ".alrctl-done")):
            found[name] = content
    return found


@pytest.fixture(scope="module")
def by_itself(quick: str, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What `alrctl run` makes of the pipeline that the engines are given."""
    folder = tmp_path_factory.mktemp("run") / "study"
    given = write(folder / "pipeline.yaml", source=str(photos), rounds=1, expert="oracle", **TINY)
    ran = subprocess.run([*shlex.split(quick), "run", given.name], cwd=folder, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = contents(folder)
    assert {"noisy/truth.parquet", "lnl/checkpoint.safetensors", "r1/eval/metrics.json"} <= found.keys()
    return found


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def test_an_engine_makes_the_same_bytes_killed_or_not_and_then_only_what_is_missing(
    engine: Engine, quick: str, photos: Path, by_itself: dict[str, bytes]
) -> None:
    engine.alrctl, engine.environment = quick, {"OMP_NUM_THREADS": "1"}
    engine.export(source=str(photos), rounds=1, expert="oracle", **TINY)
    if engine.name == "snakemake":
        kill_in_training(engine)
        engine.run("--unlock")
    said = engine.run("--rerun-incomplete" if engine.name == "snakemake" else "-j2")
    assert said.count(" done: ") >= 7, said
    assert differing(contents(engine.folder), by_itself) == []
    assert "Nothing to be done" in engine.run()
    shutil.rmtree(engine.folder / "r1/labels")
    said = engine.run()
    assert (said.count(" done: "), said.count(" unchanged: ")) == (1, 2), said
    assert "relabel done: r1/labels" in said
    assert differing(contents(engine.folder), by_itself) == []


def kill_in_training(engine: Engine) -> None:
    """Kill an engine, and all that it has started, after an epoch."""
    environment = {**os.environ, **engine.environment, "ALRCTL": engine.alrctl}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(
        engine.command(), cwd=engine.folder.parent, env=environment, start_new_session=True, **quiet
    )
    kept = engine.folder / ".lnl.alrctl/state"
    wait_for(lambda: kept.is_dir() and any(kept.iterdir()))
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not (engine.folder / "lnl/manifest.json").exists()
    wait_for(lambda: not is_locked(engine.folder / ".lnl.alrctl/lock"))


def wait_for(condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + 60
        time.sleep(0.01)


def is_locked(place: Path) -> bool:
    try:
        with FileLock(place, timeout=0):
            return False
    except Timeout:
        return True
