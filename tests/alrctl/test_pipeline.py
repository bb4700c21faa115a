"""A pipeline file is checked as a whole, planned in order, carried out to where an expert is needed, and taken up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from alrctl import csv_files, pipeline
from schemas.errors import DataError, UsageError

Alrctl = Callable[..., Any]
TINY: dict[str, Any] = {
    "ingest": {"image-size": 24},
    "train-lnl": {"backbone": "test_resnet", "epochs": 2, "batch-size": 16, "num-gradual": 1, "device": "cpu"},
    "select": {"budget": 6, "pool": "all"},
    "recalibrate": {"epochs": 1, "batch-size": 16},
    "evaluate": {"bootstrap": 50, "figures": False},
    "report": False,
}
"""A pipeline of seconds; the page is left to those that ask for it."""
ROUND = ["scores", "queue", "labels", "model", "eval"]


def write(path: Path, **content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def parse(**content: Any) -> pipeline.Pipeline:
    return pipeline.parse(content, Path("base"), "pipeline.yaml")


def names(**content: Any) -> list[str]:
    return [step.name for step in pipeline.plan(parse(source="photos", **content))]


def steps_of(ran: Any) -> dict[str, str]:
    found: dict[str, str] = ran.document["summary"]["steps"]
    return found


def state(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


# --- the file --------------------------------------------------------------------------------------------------------


def test_defaults_are_two_rounds_of_expected_correction_with_an_experts_file() -> None:
    found = parse(source="photos")
    assert (found.rounds, found.strategies, found.expert, found.seed) == (2, ("expected-correction",), "file", 0)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    found = pipeline.load(write(tmp_path / "deep/pipeline.yaml", source="../photos", output="work"))
    assert found.source == tmp_path / "deep/../photos"
    assert found.output == tmp_path / "deep/work"
    absolute = pipeline.load(write(tmp_path / "deep/pipeline.yaml", source=str(tmp_path / "photos")))
    assert absolute.source == tmp_path / "photos"
    assert absolute.output == tmp_path / "deep"


def test_everything_wrong_with_the_file_is_told_at_once() -> None:
    content = {
        "sources": "photos",
        "rounds": -1,
        "strategies": ["entropie"],
        "expert": "me",
        "train-lln": {},
        "train-lnl": {"epoch": 3, "learning-rate": -1},
        "select": {"budget": "many"},
        "corrupt": ["symmetric"],
    }
    with pytest.raises(UsageError) as refused:
        parse(**content)
    text = str(refused.value)
    assert text.startswith("pipeline.yaml: ")
    assert "\n" not in text
    for told in (
        "unknown key 'sources'; did you mean 'source'?",
        "unknown key 'train-lln'; did you mean 'train-lnl'?",
        "train-lnl.epoch: unknown option; did you mean 'epochs'?",
        "train-lnl.learning-rate: '-1': Input should be greater than 0",
        "select.budget: 'many': Input should be a valid number",
        "corrupt: must hold `option: value` lines",
        "source: Field required",
        "rounds: Input should be greater than or equal to 0",
        "; did you mean 'entropy'?",
        "expert: 'me' is not one of oracle, file",
    ):
        assert told in text


def test_the_files_of_a_section_are_found_from_where_the_pipeline_file_lies() -> None:
    given = {"noise": "transition", "transition": "matrices/t.csv"}
    found = pipeline.parse({"source": "photos", "corrupt": given}, Path("/study"), "pipeline.yaml")
    step = next(step for step in pipeline.plan(found) if step.name == "noisy")
    assert step.arguments["transition"] == Path("/study/matrices/t.csv")
    assert "features" not in step.arguments
    assert (step.arguments["config"].noise, step.arguments["config"].rate) == ("transition", None)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"noise": "transition"}, "corrupt: --noise transition needs --transition FILE.csv"),
        ({"features": "f.parquet"}, "corrupt: --features: goes with --noise instance alone"),
        ({"noise": "instance", "features": 3}, "corrupt.features: '3' is no path"),
        ({"noise": "salt"}, "corrupt.noise: 'salt': Input should be 'symmetric'"),
    ],
)
def test_noise_that_cannot_be_made_is_told_before_anything_runs(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(source="photos", corrupt=options)
    assert str(refused.value).startswith(f"pipeline.yaml: {told}")


def test_a_section_may_be_empty_and_options_be_written_with_either_line() -> None:
    found = parse(source="photos", corrupt=None, **{"train-lnl": {"batch_size": 8}, "recalibrate": {"batch-size": 4}})
    assert found.sections["corrupt"] == {}
    by_name = {step.name: step.arguments["config"] for step in pipeline.plan(found)}
    assert by_name["noisy"].rate == 0.4
    assert (by_name["lnl"].batch_size, by_name["r1/model"].batch_size) == (8, 4)


def test_variants_of_phase_2_are_said_in_its_section() -> None:
    section = {"from": "scratch", "correct": False, "trust": "relabelled"}
    steps = pipeline.plan(parse(source="photos", rounds=2, recalibrate=section))
    for config in (step.arguments["config"] for step in steps if step.name.endswith("/model")):
        assert (config.from_, config.correct, config.trust) == ("scratch", False, "relabelled")
    with pytest.raises(UsageError) as refused:
        parse(source="photos", recalibrate={"from": "phase 1", "from-": "scratch"})
    assert "recalibrate.from: 'phase 1': Input should be 'checkpoint' or 'scratch'" in str(refused.value)
    assert "recalibrate.from-: unknown option" in str(refused.value)


@pytest.mark.parametrize("text", ["- source\n", "", "photos\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pipeline.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"pipeline\.yaml: must hold `name: value` lines, at least `source: PATH`"):
        pipeline.load(tmp_path / "pipeline.yaml")
    with pytest.raises(DataError, match=r"no\.yaml: no such file"):
        pipeline.load(tmp_path / "no.yaml")


# --- the plan --------------------------------------------------------------------------------------------------------


def test_one_strategy_has_its_rounds_at_the_top() -> None:
    wanted = ["data", "lnl", "r0/eval"] + [f"r{number}/{part}" for number in (1, 2) for part in ROUND]
    assert names(rounds=2) == wanted


def test_several_strategies_share_phase_1_and_get_a_branch_each() -> None:
    found = names(rounds=1, strategies=["entropy", "random"], corrupt={"rate": 0.2})
    branches = [f"{name}/r1/{part}" for name in ("entropy", "random") for part in ROUND if part != "scores"]
    assert found == ["data", "noisy", "lnl", "r0/eval", "r1/scores", *branches]


def test_no_rounds_are_phase_1_and_its_evaluation() -> None:
    assert names(rounds=0) == ["data", "lnl", "r0/eval"]


def test_a_source_that_is_ingested_is_not_ingested_again(finished: Path) -> None:
    found = pipeline.plan(parse(source=str(finished / "data"), rounds=0))
    assert [step.name for step in found] == ["lnl", "r0/eval"]
    assert found[0].arguments["data"] == finished / "data"


def test_each_step_reads_what_the_one_before_wrote() -> None:
    found = {step.name: step for step in pipeline.plan(parse(source="photos", rounds=2, corrupt={}))}
    written = {step.arguments["out"]: name for name, step in found.items()}
    for name, step in found.items():
        read = {
            written[place]
            for role, value in step.arguments.items()
            if role != "out" and isinstance(value, Path)
            for place in (value, value.parent)
            if place in written
        }
        for other in read:
            assert list(found).index(other) < list(found).index(name), f"{name} reads {other}"
    assert found["r1/scores"].arguments["labels"] == Path("base/noisy")
    assert found["r2/scores"].arguments["labels"] == Path("base/r1/labels")
    assert found["r2/scores"].arguments["checkpoint"] == Path("base/r1/model")
    assert found["r2/model"].arguments["checkpoint"] == Path("base/r1/model")
    assert found["r2/model"].arguments["clean"] == Path("base/lnl")


@pytest.mark.parametrize(
    ("told", "anew"),
    [
        ({"train-lnl": {"method": "class-aware"}}, True),
        ({"recalibrate": {"trust": "weighted"}}, True),
        ({"train-lnl": {"method": "class-aware"}, "recalibrate": {"trust": "clean"}}, False),
        ({}, False),
    ],
)
def test_where_each_network_judges_the_labels_anew_the_next_round_goes_by_that(
    told: dict[str, Any], anew: bool
) -> None:
    found = {step.name: step for step in pipeline.plan(parse(source="photos", rounds=2, expert="oracle", **told))}
    for name in ("r2/scores", "r2/eval"):  # without a name for it, what lies beside the checkpoint
        assert found[name].arguments["checkpoint"] == Path("base") / ("r1/model" if name == "r2/scores" else "r2/model")
        assert found[name].arguments.get("clean") == (None if anew else Path("base/lnl")), name


def test_every_round_may_begin_from_phase_1_again() -> None:
    found = {step.name: step for step in pipeline.plan(parse(source="photos", start_from="lnl", rounds=2))}
    assert found["r2/model"].arguments["checkpoint"] == Path("base/lnl")
    assert found["r2/scores"].arguments["checkpoint"] == Path("base/r1/model")


def test_the_seed_is_that_of_every_stage_that_has_none_of_its_own() -> None:
    content = {"source": "photos", "rounds": 2, "seed": 7, "corrupt": {"seed": 3}}
    found = {step.name: step.arguments["config"] for step in pipeline.plan(parse(**content))}
    assert (found["data"].seed, found["noisy"].seed, found["lnl"].seed, found["r1/model"].seed) == (7, 3, 7, 7)
    assert found["r1/queue"].seed != found["r2/queue"].seed, "random choice differs from round to round"


@pytest.mark.parametrize("expert", ["oracle", "file"])
def test_only_the_oracle_knows_the_truth(expert: str) -> None:
    found = {step.name: step for step in pipeline.plan(parse(source="photos", corrupt={}, expert=expert, rounds=1))}
    relabel, judged = found["r1/labels"], found["r1/eval"]
    if expert == "oracle":
        assert relabel.arguments["oracle"] == judged.arguments["truth"] == Path("base/noisy")
        assert relabel.awaited is None
    else:
        assert relabel.arguments["answers"] == Path("base/r1/answers.csv")
        assert "truth" not in judged.arguments
        assert relabel.awaited == (Path("base/r1/answers.csv"), Path("base/r1/queue/queue.csv"))


def test_all_corrected_is_trained_too_where_it_is_asked_for() -> None:
    content = {"source": "photos", "corrupt": {}, "rounds": 1, "recalibrate": {"epochs": 3}}
    steps = pipeline.plan(parse(**content, expert="oracle", bound=True))
    assert [step.name for step in steps][-2:] == ["bound/model", "bound/eval"]
    model, judged = steps[-2:]
    assert model.arguments["labels"] == judged.arguments["labels"] == Path("base/data")
    assert (model.arguments["config"].trust, model.arguments["config"].epochs) == ("all", 3)
    assert model.arguments["checkpoint"] == Path("base/lnl")
    assert judged.arguments["truth"] == Path("base/noisy")
    assert "bound/model" not in [step.name for step in pipeline.plan(parse(**content, expert="oracle"))]


def test_without_an_oracle_nobody_can_correct_all() -> None:
    with pytest.raises(UsageError, match="bound: only an experiment knows all labels; it goes with `expert: oracle`"):
        parse(source="photos", bound=True)


def test_answers_are_those_given_or_the_filled_in_queue(tmp_path: Path) -> None:
    given, queue = tmp_path / "answers.csv", tmp_path / "queue.csv"
    assert pipeline.answers_file(given, queue) is None
    queue.write_text("sample_id,label\na,\nb,\n")
    assert pipeline.answers_file(given, queue) is None
    queue.write_text("sample_id;label\na;red\nb;\n")
    assert pipeline.answers_file(given, queue) == queue
    for encoding in ("cp1252", "utf-16", "utf-8-sig"):
        queue.write_text("sample_id;label\na;Nävus\nb;\n", encoding=encoding)
        assert pipeline.answers_file(given, queue) == queue
    given.write_text("sample_id,label\na,red\n")
    assert pipeline.answers_file(given, queue) == given


@pytest.mark.parametrize("name", ["answers.json", "answers.xml", "answers.zip", "answers"])
def test_answers_may_be_of_any_kind_but_of_one_alone(tmp_path: Path, name: str) -> None:
    given, queue = tmp_path / "answers.csv", tmp_path / "queue.csv"
    (tmp_path / name).mkdir() if "." not in name else (tmp_path / name).touch()
    (tmp_path / "answers-old.csv").touch()
    (tmp_path / "answers.csv~").touch()
    assert pipeline.answers_file(given, queue) == tmp_path / name
    (tmp_path / "answers.csv").touch()
    with pytest.raises(DataError, match=r"holds answers.*; leave the answers that count$"):
        pipeline.answers_file(given, queue)


@pytest.mark.parametrize("strategies", [["entropyy"], ["random", "entropyy"]])
def test_a_strategy_that_there_is_not_is_told_once_with_the_nearest(strategies: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(source="photos", strategies=strategies)
    told = str(caught.value)
    assert "strategies: 'entropyy' is not one of random, " in told
    assert told.endswith("; did you mean 'entropy'?")
    assert "must be a list" not in told


@pytest.mark.parametrize("given", ["entropy", [], None])
def test_strategies_that_are_no_list_of_some_are_told_so(given: object) -> None:
    with pytest.raises(UsageError, match=r"strategies: must be a list, as in \[entropy, random\]"):
        parse(source="photos", strategies=given)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("answers-lee-2026-11-29.csv", True),
        ("answers-2026-11-29.csv", True),
        ("answers-dr_o-lee-2026-11-29 (1).csv", True),
        ("answers-2026-11-29(2).csv", True),
        ("answers-old.csv", False),
        ("answers-lee-2026-11-29.csv.part", False),
        ("my-answers-2026-11-29.csv", False),
    ],
)
def test_a_page_s_download_is_taken_as_it_is_called_and_not_beside_other_answers(
    tmp_path: Path, name: str, is_one: bool
) -> None:
    given, queue = tmp_path / "answers.csv", tmp_path / "queue.csv"
    (tmp_path / name).touch()
    assert pipeline.answers_file(given, queue) == (tmp_path / name if is_one else None)
    given.touch()
    if is_one:  # nobody's answers are passed over in silence
        with pytest.raises(DataError, match="leave the answers that count"):
            pipeline.answers_file(given, queue)
    else:
        assert pipeline.answers_file(given, queue) == given


def test_two_downloads_are_one_too_many(tmp_path: Path) -> None:
    for day in (28, 29):
        (tmp_path / f"answers-lee-2026-11-{day}.csv").touch()
    with pytest.raises(DataError, match=r"holds answers-lee-2026-11-28.csv.*29.csv; leave the answers that count$"):
        pipeline.answers_file(tmp_path / "answers.csv", tmp_path / "queue.csv")


MIX = ["entropy=2", "random=1"]


@pytest.mark.parametrize("strategies", [["mix"], ["entropy", "mix"], ["mix", "random", "coreset"]])
def test_a_mix_is_of_the_branch_of_that_name_alone(strategies: list[str]) -> None:
    found = pipeline.plan(parse(source="photos", rounds=1, strategies=strategies, select={"mix": MIX, "budget": 4}))
    picked = {step.name: step.arguments["config"] for step in found if step.name.endswith("r1/queue")}
    assert list(picked) == (["r1/queue"] if len(strategies) == 1 else [f"{name}/r1/queue" for name in strategies])
    for name, config in zip(strategies, picked.values(), strict=True):
        assert (config.strategy, config.budget) == (name, 4)
        assert config.mix == (tuple(MIX) if name == "mix" else ())
        assert config.strategies == ({"entropy": 2.0, "random": 1.0} if name == "mix" else {name: 1.0})


def test_options_of_select_that_do_not_go_together_are_told_with_the_file() -> None:
    with pytest.raises(UsageError) as refused:
        parse(source="photos", strategies=["mix"], select={"mix": MIX, "diversity": 0.5, "unit": "coins"})
    assert "select.unit: 'coins': Input should be 'labels', 'minutes' or 'money'" in str(refused.value)


# --- carried out -----------------------------------------------------------------------------------------------------


def fill_in(queue: Path, out: Path) -> None:
    """Answer as an expert with a spreadsheet does: the class that stands in the image's name."""
    asked = csv_files.read_csv(queue)
    told = asked["sample_id"].str.split("/").list.first()
    asked.with_columns(label=told, annotator=pl.lit("dr")).write_csv(out, separator=";", line_terminator="\r\n")


def test_a_run_waits_for_the_expert_and_goes_on_with_either_file(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "pipeline.yaml", source=str(photos), output="work", rounds=2, expert="file", **TINY)
    work = tmp_path / "work"
    first = alrctl("run", file)
    assert first.code == 0, first.err
    queue = work / "r1/queue/queue.csv"
    assert f"fill in column 'label' of {queue}" in first.out
    assert f"save it there or as {work / 'r1/answers.csv'}, and give the same command again" in first.out
    before = state(work)
    again = alrctl("run", file, "--json")
    assert again.document["status"] == "unchanged"
    assert again.document["summary"]["waiting_for"] == [str(work / "r1/answers.csv")]
    carried_out = {name for name, status in steps_of(again).items() if status == "unchanged"}
    assert carried_out == {"data", "lnl", "r0/eval", "r1/scores", "r1/queue"}
    assert set(steps_of(again).values()) == {"unchanged", "waiting"}
    assert state(work) == before

    fill_in(queue, work / "r1/answers.csv")
    second = alrctl("run", file, "--json")
    assert second.code == 0, second.err
    assert {name for name, status in steps_of(second).items() if status == "done"} == {
        "r1/labels",
        "r1/model",
        "r1/eval",
        "r2/scores",
        "r2/queue",
    }
    assert second.document["summary"]["waiting_for"] == [str(work / "r2/answers.csv")]

    fill_in(work / "r2/queue/queue.csv", work / "r2/queue/queue.csv")
    third = alrctl("run", file, "--json")
    assert third.code == 0, third.err
    assert third.document["summary"]["waiting_for"] == []
    assert steps_of(third)["r2/labels"] == steps_of(third)["r2/eval"] == "done"
    ledger = pl.read_parquet(work / "r2/labels/ledger.parquet")
    assert ledger.filter(kind="vote")["round"].to_list() == [1] * 6 + [2] * 6
    assert set(ledger["source_file"]) == {"answers.csv", "queue.csv"}
    rounds = third.document["summary"]["rounds"]
    assert [(row["round"], row["labels_bought"]) for row in rounds] == [("0", 0), ("1", 6), ("2", 12)]

    before = state(work)
    last = alrctl("run", file, "--json")
    assert last.document["status"] == "unchanged"
    assert set(steps_of(last).values()) == {"unchanged"}
    assert state(work) == before


@pytest.fixture(scope="module")
def carried_out(alrctl: Alrctl, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strategies, one round, an oracle, on a copy of an ingested data set. Not to be changed."""
    base = tmp_path_factory.mktemp("pipeline")
    shutil.copytree(finished / "data", base / "data")
    content = {"strategies": ["entropy", "random"], "rounds": 1, "expert": "oracle", "corrupt": {"rate": 0.4}, **TINY}
    content |= {"report": True}
    write(base / "pipeline.yaml", source="data", output="work", **content)
    ran = alrctl("run", base / "pipeline.yaml", "--json")
    assert ran.code == 0, ran.err
    (base / "ran.json").write_text(ran.out)
    return base


def test_two_strategies_are_carried_out_and_compared(carried_out: Path) -> None:
    document = json.loads((carried_out / "ran.json").read_text())
    assert document["status"] == "done"
    steps = document["summary"]["steps"]
    assert set(steps.values()) == {"done"}
    for name in steps:
        assert (carried_out / "work" / name / "manifest.json").is_file()
    rows = document["summary"]["rounds"]
    assert [(row["branch"], row["round"], row["labels_bought"]) for row in rows] == [
        ("", "0", 0),
        ("entropy", "1", 6),
        ("random", "1", 6),
    ]
    assert all(0 <= row["label_accuracy"] <= 1 for row in rows)
    assert rows[1]["errors_mended"] is not None
    assert (carried_out / "work/r0/eval/judgement.parquet").is_file()
    assert "balanced accuracy" in (carried_out / "work/report.html").read_text()


def test_a_mix_and_the_usual_strategy_are_carried_out_side_by_side(
    alrctl: Alrctl, carried_out: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(carried_out, tmp_path / "copy")
    content = yaml.safe_load((copy / "pipeline.yaml").read_text())
    content |= {"strategies": ["expected-correction", "mix"], "select": {"budget": 6, "pool": "all", "mix": MIX}}
    ran = alrctl("run", write(copy / "pipeline.yaml", **content), "--json")
    assert ran.code == 0, ran.err
    steps = steps_of(ran)
    assert (steps["lnl"], steps["expected-correction/r1/queue"], steps["mix/r1/queue"]) == ("unchanged", "done", "done")
    reasons = [
        pl.read_parquet(copy / "work" / name / "r1/queue/queue.parquet")["reason"] for name in content["strategies"]
    ]
    assert [reason.str.contains("; drawn at random").sum() for reason in reasons] == [0, 2]
    assert [reason.str.contains("; wrong with a chance of").sum() for reason in reasons] == [6, 0]


def test_a_second_run_has_nothing_to_do(alrctl: Alrctl, carried_out: Path) -> None:
    before = state(carried_out)
    ran = alrctl("run", carried_out / "pipeline.yaml")
    assert ran.code == 0
    lines = [line.split() for line in ran.out.splitlines() if line.startswith("  ")]
    assert [line[1] for line in lines] == ["unchanged"] * 12
    assert "balanced accuracy" in ran.out
    assert state(carried_out) == before


def test_a_dry_run_names_what_would_run_and_writes_nothing(alrctl: Alrctl, carried_out: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(carried_out, tmp_path / "copy")
    (copy / "work/random/r1/queue/queue.parquet").unlink()
    before = state(copy)
    ran = alrctl("run", copy / "pipeline.yaml", "--dry-run", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["status"] == "would run"
    would = {name: status for name, status in steps_of(ran).items() if status != "done"}
    assert would == {f"random/r1/{part}": "stale" for part in ("queue", "labels", "model", "eval")}
    reasons = ran.document["summary"]["reasons"]
    assert reasons["random/r1/queue"] == "an output is missing"
    assert reasons["random/r1/labels"] == "after random/r1/queue"
    shown = alrctl("run", copy / "pipeline.yaml", "--dry-run").out
    assert "queue stale (an output is missing), labels, model, eval stale" in shown
    assert "12 steps: 8 done, 4 stale" in shown
    assert state(copy) == before


def test_a_dry_run_of_a_new_pipeline_names_every_step(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "pipeline.yaml", source=str(photos), output="work", expert="oracle", rounds=1, **TINY)
    ran = alrctl("run", file, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    assert steps_of(ran) == dict.fromkeys(["data", "lnl", "r0/eval", *(f"r1/{part}" for part in ROUND)], "missing")
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.yaml"]


def test_only_what_a_change_reaches_is_run_again(alrctl: Alrctl, carried_out: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(carried_out, tmp_path / "copy")
    content = yaml.safe_load((copy / "pipeline.yaml").read_text())
    write(copy / "pipeline.yaml", **content | {"strategies": ["entropy"], "recalibrate": {"epochs": 2}})
    ran = alrctl("run", copy / "pipeline.yaml", "--json")
    assert ran.code == 0, ran.err
    done = {name for name, status in steps_of(ran).items() if status == "unchanged"}
    assert done == {"noisy", "lnl", "r0/eval", "r1/scores"}, (
        "one strategy has no branch: its rounds are new, and phase 1 is kept"
    )


def test_an_error_names_the_step_and_keeps_its_exit_code(alrctl: Alrctl, tmp_path: Path, photos: Path) -> None:
    shutil.copytree(photos / "red", tmp_path / "photos/red")
    file = write(tmp_path / "pipeline.yaml", source="photos", output="work", **TINY)
    ran = alrctl("run", file)
    assert ran.code == 3
    assert ran.err.startswith("error: data: ")
    assert "has one class ('red')" in ran.err
    assert alrctl("run", tmp_path / "pipelines.yaml").code == 3
    assert alrctl("run", write(tmp_path / "bad.yaml", source="photos", round=3)).code == 2


def test_a_section_may_be_named_with_either_line() -> None:
    from alrctl import pipeline

    assert pipeline.parse({"source": "x", "train_lnl": {"epochs": 3}}, Path(), "p").sections["train-lnl"]["epochs"] == 3


@pytest.mark.parametrize("option", [{"seed": 99}, {"strategy": "random"}])
def test_an_option_of_select_is_obeyed_or_refused(option: dict[str, Any]) -> None:
    from alrctl import pipeline
    from schemas.errors import UsageError

    try:
        plan = pipeline.plan(pipeline.parse({"source": "x", "select": option}, Path(), "p"))
    except UsageError:
        return
    config = next(step for step in plan if step.name == "r1/queue").arguments["config"]
    assert config.seed == 99 + 1  # the first round


@pytest.mark.parametrize("output", [".", "work", "../photos", "red/deeper"])
def test_nothing_is_written_among_the_images(tmp_path: Path, output: str) -> None:
    (tmp_path / "photos/red").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"lies among the images of .*; choose a folder outside of it"):
        pipeline.parse({"source": ".", "output": output}, tmp_path / "photos", "p.yaml")
    assert pipeline.parse({"source": "photos", "output": "."}, tmp_path, "p.yaml")
    (tmp_path / "photos/samples.parquet").touch()
    assert pipeline.parse({"source": ".", "output": output}, tmp_path / "photos", "p.yaml")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"source: photos\nrounds:\n\t- 2\n", "line 3, column 1: found character '\\t' that cannot start any token"),
        (b"source: [photos\n", "line 2, column 1: expected ',' or ']', but got '<stream end>'"),
        (b"source: f\xfcr\n", "p.yaml: is not in UTF-8; save it as UTF-8 text"),
    ],
)
def test_a_file_that_is_no_yaml_is_told_with_the_place(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "p.yaml").write_bytes(content)
    with pytest.raises(DataError) as refused:
        pipeline.load(tmp_path / "p.yaml")
    assert told in str(refused.value)
    assert ("indent with blanks, not with tabs" in str(refused.value)) == (b"\t" in content)


def test_one_strategy_that_is_no_list_is_refused_in_plain_words() -> None:
    for wrong in ("entropy", []):
        with pytest.raises(UsageError, match=r"strategies: must be a list, as in \[entropy, random\]"):
            parse(source="photos", strategies=wrong)
