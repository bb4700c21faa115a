"""Phase 2 and its variants, as commands: where the network begins, which labels it learns, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from alrctl import checkpoints, manifest
from alrctl.checkpoints import fresh_backbone
from schemas.checkpoint import METADATA_KEY, CheckpointMetadata, FirstWeights
from stages.training.network import build_network

Alrctl = Callable[..., Any]
SHORT = ("--epochs", 2, "--batch-size", 16, "--device", "cpu")
LEARNT = ("checkpoint.safetensors", "last_epochs.safetensors", "history.parquet")


def again(alrctl: Alrctl, work: Path, out: Path, *more: object, checkpoint: Path | None = None) -> Any:
    """Recalibrate on the labels of the first round."""
    given = ("--labels", work / "r1/labels", "--checkpoint", checkpoint or work / "lnl", *SHORT)
    return alrctl("recalibrate", work / "data", *given, *more, "-o", out)


def done(ran: Any) -> dict[str, Any]:
    assert ran.code == 0, ran.err
    found: dict[str, Any] = ran.document["summary"]
    return found


def learnt(directory: Path) -> list[bytes]:
    return [(directory / name).read_bytes() for name in LEARNT]


def check_same_training(one: Path, other: Path) -> None:
    """Hold two trainings to each other in all but what their checkpoints say of how they were asked for."""
    for name in LEARNT[:2]:
        mine, theirs = load_file(one / name), load_file(other / name)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine), name
    assert (one / LEARNT[2]).read_bytes() == (other / LEARNT[2]).read_bytes()


def check_refused(ran: Any, code: int, told: str, out: Path) -> None:
    assert (ran.code, ran.err.strip()) == (code, f"error: {told}")
    assert ran.out == ""
    assert not out.exists()
    assert not out.with_name(f".{out.name}.alrctl").exists()


def rewritten(checkpoint: Path, path: Path, spoil: bool = False, **told: Any) -> Path:
    """Write a checkpoint anew, as another program would: with other metadata, or with weights that are nobody's."""
    with safe_open(checkpoint, framework="pt") as file:
        metadata = CheckpointMetadata.model_validate_json(file.metadata()[METADATA_KEY])
    tensors = load_file(checkpoint)
    if spoil:
        tensors = {name: t if name.startswith("backbone.") else torch.zeros_like(t) for name, t in tensors.items()}
    said = CheckpointMetadata.model_validate(metadata.model_dump() | told)
    save_file(tensors, path, {METADATA_KEY: said.model_dump_json()})
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """First weights for the backbone in a file; none of them as they are built afresh."""
    path = tmp_path_factory.mktemp("weights") / "first.safetensors"
    save_file(
        {name: t + 0.01 if t.is_floating_point() else t for name, t in fresh_backbone("test_resnet", 3).items()}, path
    )
    return path


@pytest.fixture(scope="module")
def begun(alrctl: Alrctl, finished: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phase 1 by a method of one network and of two, and not at all, whole and with a frozen backbone, from a file."""
    base = tmp_path_factory.mktemp("begun")
    for train in ("all", "head"):
        for method in ("cross-entropy", "coteaching", "scratch"):
            given = (
                "--method",
                method,
                "--train",
                train,
                "--backbone",
                "test_resnet",
                "--weights",
                weights,
                "--seed",
                4,
            )
            place = ("--labels", finished / "noisy", "-o", base / f"{train}-{method}")
            ran = alrctl("train-lnl", finished / "data", *given, *SHORT, *place)
            assert ran.code == 0, ran.err
    return base


# --- from scratch ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("train", ["all", "head"])
def test_from_scratch_the_checkpoints_trained_weights_do_not_matter(
    alrctl: Alrctl, finished: Path, begun: Path, tmp_path: Path, train: str
) -> None:
    trained = begun / f"{train}-coteaching"
    zeroed = rewritten(trained / "checkpoint.safetensors", tmp_path / "zeroed.safetensors", spoil=True)
    done(again(alrctl, finished, tmp_path / "one", "--from", "scratch", "--json", checkpoint=trained))
    shared = ("--from", "scratch", "--clean", trained, "--json")
    done(again(alrctl, finished, tmp_path / "two", *shared, checkpoint=zeroed))
    assert learnt(tmp_path / "one") == learnt(tmp_path / "two")
    done(again(alrctl, finished, tmp_path / "three", "--clean", trained, "--json", checkpoint=zeroed))
    assert (
        load_file(tmp_path / "one/checkpoint.safetensors").keys()
        == load_file(tmp_path / "three/checkpoint.safetensors").keys()
    )
    assert learnt(tmp_path / "one")[0] != learnt(tmp_path / "three")[0], "else nothing was learnt"


@pytest.mark.parametrize("method", ["cross-entropy", "coteaching"])
@pytest.mark.parametrize("train", ["all", "head"])
def test_from_scratch_begins_where_phase_1_began_with_the_same_seed(
    alrctl: Alrctl, finished: Path, begun: Path, tmp_path: Path, train: str, method: str
) -> None:
    shared = ("--trust", "all", "--seed", 4, "--json")
    untrained, trained = begun / f"{train}-scratch", begun / f"{train}-{method}"
    done(again(alrctl, finished, tmp_path / "wanted", *shared, checkpoint=untrained))
    done(again(alrctl, finished, tmp_path / "found", *shared, "--from", "scratch", checkpoint=trained))
    check_same_training(tmp_path / "found", tmp_path / "wanted")
    done(again(alrctl, finished, tmp_path / "other", *shared, "--from", "scratch", "--seed", 5, checkpoint=trained))
    assert learnt(tmp_path / "other")[0] != learnt(tmp_path / "found")[0]


def test_from_scratch_without_first_weights_the_backbone_is_fresh_by_its_own_seed(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    still = ("--from", "scratch", "--learning-rate", 1e-12, "--seed", 9, "--json")
    done(again(alrctl, finished, tmp_path / "model", *still))
    told = checkpoints.read(tmp_path / "model/checkpoint.safetensors")
    fresh = build_network(told.metadata.spec, 3, 9, 1)
    for name, parameter in told.networks()[0].named_parameters():
        torch.testing.assert_close(parameter, fresh.get_parameter(name), rtol=0, atol=1e-9)


def test_from_scratch_the_frozen_backbone_is_the_checkpoints_even_where_its_file_is_gone(
    alrctl: Alrctl, finished: Path, begun: Path, tmp_path: Path
) -> None:
    trained = begun / "head-cross-entropy"
    told = {"first_weights": {"name": "gone.pth", "sha256": "a" * 64}}
    path = rewritten(trained / "checkpoint.safetensors", tmp_path / "c.safetensors", **told)
    done(
        again(alrctl, finished, tmp_path / "model", "--from", "scratch", "--clean", trained, "--json", checkpoint=path)
    )
    before, after = load_file(path), load_file(tmp_path / "model/checkpoint.safetensors")
    frozen = [name for name in before if name.startswith("backbone.")]
    assert frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)


def test_the_checkpoint_of_an_earlier_recalibrate_knows_where_phase_1_began(
    alrctl: Alrctl, finished: Path, begun: Path, tmp_path: Path
) -> None:
    lnl, scratch = begun / "all-coteaching", ("--from", "scratch", "--json")
    done(again(alrctl, finished, tmp_path / "first", "--json", "--clean", lnl, checkpoint=lnl))
    done(again(alrctl, finished, tmp_path / "second", *scratch, checkpoint=tmp_path / "first"))
    done(again(alrctl, finished, tmp_path / "third", *scratch, checkpoint=tmp_path / "second"))
    done(again(alrctl, finished, tmp_path / "wanted", *scratch, checkpoint=lnl))
    assert learnt(tmp_path / "second") == learnt(tmp_path / "third") == learnt(tmp_path / "wanted")


def test_the_first_weights_are_an_input_and_found_from_any_working_directory(
    alrctl: Alrctl, finished: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights.parent)
    given = ("--method", "scratch", "--backbone", "test_resnet", "--weights", weights.name, "--device", "cpu")
    ran = alrctl("train-lnl", finished / "data", "--labels", finished / "noisy", *given, "-o", tmp_path / "lnl")
    assert ran.code == 0, ran.err
    recorded = checkpoints.read(tmp_path / "lnl/checkpoint.safetensors").metadata.first_weights
    assert recorded == FirstWeights(name=weights.name, sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    monkeypatch.chdir(tmp_path)
    done(again(alrctl, finished, tmp_path / "model", "--from", "scratch", "--json", checkpoint=tmp_path / "lnl"))
    found = manifest.read(tmp_path / "model")
    assert found is not None
    assert (tmp_path / "model" / found.inputs["weights"].path).resolve() == weights
    assert again(alrctl, finished, tmp_path / "m2", "--json", checkpoint=tmp_path / "lnl").code == 0
    other = manifest.read(tmp_path / "m2")
    assert other is not None
    assert "weights" not in other.inputs, "who goes on from the checkpoint needs none"


def test_first_weights_that_are_gone_changed_or_not_recorded_are_refused(
    alrctl: Alrctl, finished: Path, begun: Path, tmp_path: Path
) -> None:
    trained, out = begun / "all-coteaching", tmp_path / "model"
    mine = tmp_path / "my_weights.safetensors"
    mine.write_bytes(b"others")
    sha = manifest.digest(mine)

    def refused(code: int, why: str, **told: Any) -> None:
        path = rewritten(trained / "checkpoint.safetensors", tmp_path / "c.safetensors", **told)
        ran = again(alrctl, finished, out, "--from", "scratch", "--clean", trained, checkpoint=path)
        check_refused(ran, code, why.replace("CHECKPOINT", str(path)), out)
        assert again(alrctl, finished, tmp_path / "m", "--clean", trained, "--dry-run", checkpoint=path).code == 0

    mend = "or go on from the checkpoint (--from checkpoint)"
    told = {"name": str(mine), "sha256": "a" * 64}
    changed = f"is not the file that the backbone of CHECKPOINT started from (sha256 {sha[:12]}, then {'a' * 12})"
    refused(4, f"{mine}: {changed}; put that one back, {mend}", first_weights=told)
    mine.unlink()
    gone = (
        f"CHECKPOINT: its backbone started from the weights '{mine}', which are no longer there; put them back, {mend}"
    )
    refused(3, gone, first_weights=told)
    unknown = "CHECKPOINT: does not say which weights its backbone started from; name the checkpoint of `train-lnl`,"
    refused(4, f"{unknown} {mend}", first_weights=None, stage="recalibrate")


def test_a_checkpoint_from_before_first_weights_were_recorded_is_read_by_its_options(
    alrctl: Alrctl, finished: Path, begun: Path, tmp_path: Path
) -> None:
    trained = begun / "all-coteaching"
    old = rewritten(trained / "checkpoint.safetensors", tmp_path / "old.safetensors", first_weights=None)
    shared = ("--from", "scratch", "--clean", trained, "--json")
    done(again(alrctl, finished, tmp_path / "one", *shared, checkpoint=old))
    done(again(alrctl, finished, tmp_path / "two", *shared, checkpoint=trained))
    check_same_training(tmp_path / "one", tmp_path / "two")


def test_from_scratch_the_same_seed_gives_the_same_bytes(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        done(again(alrctl, finished, tmp_path / name, "--from", "scratch", "--seed", 3, "--json"))
    assert learnt(tmp_path / "one") == learnt(tmp_path / "two")


_KILLED = """
import os, signal, sys
from alrctl import resume
from alrctl.app import app

save, calls = resume.DiskStore.save, iter(range(9))

def save_and_die(self, state):
    kept = save(self, state)
    if next(calls) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return kept

resume.DiskStore.save = save_and_die
app(sys.argv[1:])
"""


def test_from_scratch_a_killed_run_goes_on_to_the_same_bytes(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    longer = ("--from", "scratch", "--epochs", "4", "--json")
    done(again(alrctl, finished, tmp_path / "undisturbed", *longer))

    def killed(*arguments: object) -> int:
        command = [sys.executable, "-c", _KILLED, *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
        ).returncode

    assert again(killed, finished, tmp_path / "killed", *longer) == -signal.SIGKILL
    kept = json.loads((tmp_path / ".killed.alrctl/state/index.json").read_text())
    assert kept["epochs"] == 2
    done(again(alrctl, finished, tmp_path / "killed", *longer))
    assert learnt(tmp_path / "killed") == learnt(tmp_path / "undisturbed")


# --- how it is called ------------------------------------------------------------------------------------------------


def test_from_is_an_option_of_the_terminal_and_of_a_config_file_and_stands_so_in_the_manifest(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("from: scratch\ncorrect: false\nepochs: 1\n")
    shared = ("--labels", finished / "r1/labels", "--checkpoint", finished / "lnl", "--config", file)
    done(alrctl("recalibrate", finished / "data", *shared, "-o", tmp_path / "one", "--json"))
    done(alrctl("recalibrate", finished / "data", *shared, "--from", "checkpoint", "-o", tmp_path / "two", "--json"))
    found = [json.loads((tmp_path / name / "manifest.json").read_text())["options"] for name in ("one", "two")]
    assert [(told["from"], told["correct"]) for told in found] == [("scratch", False), ("checkpoint", False)]
    assert all("from_" not in told for told in found)
    config = checkpoints.read(tmp_path / "one/checkpoint.safetensors").metadata.config
    assert (config["from"], "from_" in config) == ("scratch", False)
    unchanged = alrctl("recalibrate", finished / "data", *shared, "-o", tmp_path / "one", "--json")
    assert unchanged.document["status"] == "unchanged"
    dry = alrctl("recalibrate", finished / "data", *shared, "--correct", "-o", tmp_path / "one", "--dry-run", "--json")
    assert dry.document["summary"]["reason"] == "other options: correct"
    dry = again(
        alrctl, finished, tmp_path / "one", "--no-correct", "--epochs", 1, "--batch-size", 128, "--dry-run", "--json"
    )
    assert "from" in dry.document["summary"]["reason"]


def test_other_spellings_and_values_of_from_are_told_with_the_right_one(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    file, out = tmp_path / "options.yaml", tmp_path / "model"
    check_refused(
        again(alrctl, finished, out, "--from", "scrach"),
        2,
        "--from: 'scrach' is not one of checkpoint, scratch; did you mean 'scratch'?",
        out,
    )
    file.write_text("from_: scratch\nfrom: phase-1\n")
    told = f"{file}: unknown option 'from-'; did you mean 'from'?; {file}: from: 'phase-1' is not one of"
    check_refused(again(alrctl, finished, out, "--config", file), 2, f"{told} checkpoint, scratch", out)


# --- looked at, not corrected ----------------------------------------------------------------------------------------


def put_back(work: Path, path: Path) -> Path:
    """Write the labels of the first round with the experts' taken back, as another program would."""
    before = pl.read_parquet(work / "noisy/labels.parquet").select("sample_id", "label")
    looked_at = pl.read_parquet(work / "r1/labels/labels.parquet").select("sample_id", "relabelled")
    before.join(looked_at, on="sample_id", maintain_order="left").write_parquet(path)
    return path


@pytest.mark.parametrize("trust", ["clean", "relabelled", "all"])
def test_without_correcting_it_is_as_if_the_experts_labels_had_been_put_back(
    alrctl: Alrctl, finished: Path, tmp_path: Path, trust: str
) -> None:
    before = [(finished / "r1/labels" / name).read_bytes() for name in ("labels.parquet", "ledger.parquet")]
    shared = ("--trust", trust, "--json")
    found = done(again(alrctl, finished, tmp_path / "found", "--no-correct", *shared))
    back = ("--labels", put_back(finished, tmp_path / "back.parquet"))
    wanted = done(again(alrctl, finished, tmp_path / "wanted", *back, *shared))
    check_same_training(tmp_path / "found", tmp_path / "wanted")
    corrected = done(again(alrctl, finished, tmp_path / "corrected", *shared))
    assert learnt(tmp_path / "corrected")[0] != learnt(tmp_path / "found")[0]
    assert found["trusted"] == wanted["trusted"] == corrected["trusted"]
    now = pl.read_parquet(finished / "r1/labels/labels.parquet")["label"]
    changed = (now != pl.read_parquet(finished / "noisy/labels.parquet")["label"]).sum()
    assert found["corrections_withheld"] == changed > 0
    assert [(finished / "r1/labels" / name).read_bytes() for name in ("labels.parquet", "ledger.parquet")] == before


def test_after_several_rounds_the_first_labels_are_those_before_the_first(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    r2 = tmp_path / "labels"
    told = pl.read_parquet(finished / "r1/queue/queue.parquet").select("sample_id")
    other = told.with_columns(label=pl.lit("blue"), annotator=pl.lit("chief"))
    other.write_csv(tmp_path / "settled.csv")
    ran = alrctl(
        *("relabel", finished / "r1/labels", "--queue", finished / "r1/queue", "--answers", tmp_path / "settled.csv"),
        *("--adjudicate", "-o", r2),
    )
    assert ran.code == 0, ran.err
    done(again(alrctl, finished, tmp_path / "one", "--no-correct", "--labels", r2, "--json"))
    done(again(alrctl, finished, tmp_path / "two", "--no-correct", "--json"))
    check_same_training(tmp_path / "one", tmp_path / "two")


def test_without_correcting_labels_that_nobody_looked_at_are_learnt_as_they_are(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    labels = ("--labels", finished / "noisy", "--json")
    found = done(again(alrctl, finished, tmp_path / "one", "--no-correct", *labels))
    done(again(alrctl, finished, tmp_path / "two", *labels))
    check_same_training(tmp_path / "one", tmp_path / "two")
    assert found["corrections_withheld"] == 0


def test_without_correcting_labels_whose_past_is_unknown_are_refused(
    alrctl: Alrctl, work: Path, tmp_path: Path
) -> None:
    out, foreign = tmp_path / "model", put_back(work, tmp_path / "labels.parquet")
    told = "no ledger.parquet beside it tells the labels as they were before anybody looked"
    check_refused(
        again(alrctl, work, out, "--no-correct", "--labels", foreign),
        3,
        f"{foreign}: {told}; --no-correct is for labels that `relabel` wrote",
        out,
    )
    queue = pl.read_parquet(work / "r1/queue/queue.parquet")["sample_id"]
    train = pl.read_parquet(work / "data/samples.parquet").filter(split="train")["sample_id"]
    known = next(name for name in train if name not in set(queue))
    table = pl.read_parquet(work / "noisy/labels.parquet")
    table.with_columns(relabelled=pl.col("sample_id") == known).write_parquet(foreign)
    ran = alrctl("relabel", foreign, "--queue", work / "r1/queue", "--oracle", work / "data", "-o", tmp_path / "looked")
    assert ran.code == 0, ran.err
    labels = tmp_path / "looked/labels.parquet"
    told = (
        f"{labels}: 1 label (first: of '{known}') stood as an expert's before the ledger begins; what they were before"
    )
    check_refused(
        again(alrctl, work, out, "--no-correct", "--labels", tmp_path / "looked", "--allow-stale"),
        3,
        f"{told} that is not known, so --no-correct cannot put them back",
        out,
    )


# --- the seed program's variants -------------------------------------------------------------------------------------


def test_active_learning_alone_begins_untrained_and_learns_what_was_bought_and_nothing_else(
    alrctl: Alrctl, finished: Path, tmp_path: Path
) -> None:
    data, noisy = finished / "data", finished / "noisy"
    lnl, queue, labels = (tmp_path / name for name in ("lnl", "queue", "labels"))
    given = ("--method", "scratch", "--backbone", "test_resnet", "--device", "cpu")
    done(alrctl("train-lnl", data, "--labels", noisy, *given, "-o", lnl, "--json"))
    done(alrctl("score", data, "--labels", noisy, "--checkpoint", lnl, "-o", tmp_path / "scores", "--json"))
    picked = ("--strategy", "random", "--budget", 30)
    asked = done(alrctl("select", tmp_path / "scores", *picked, "-o", queue, "--json"))
    train = pl.read_parquet(data / "samples.parquet").filter(split="train").height
    assert asked["pool"] == train, "nothing was judged clean, so that every sample may be asked about"
    done(alrctl("relabel", noisy, "--queue", queue, "--oracle", data, "-o", labels, "--json"))
    shared = ("--labels", labels, "--json")
    found = done(again(alrctl, finished, tmp_path / "model", "--trust", "relabelled", *shared, checkpoint=lnl))
    assert (found["trusted"], found["relabelled"]) == (30, 30)
    whole = done(again(alrctl, finished, tmp_path / "all", "--trust", "all", *shared, checkpoint=lnl))
    assert whole["trusted"] == train
    usual = done(again(alrctl, finished, tmp_path / "usual", *shared, checkpoint=lnl))
    assert usual["trusted"] == train, "without a judgement every sample is trusted"


def test_trusting_everything_learns_from_every_training_sample(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    train = pl.read_parquet(finished / "data/samples.parquet").filter(split="train").height
    found = done(again(alrctl, finished, tmp_path / "all", "--trust", "all", "--json"))
    usual = done(again(alrctl, finished, tmp_path / "usual", "--json"))
    assert found["trusted"] == train > usual["trusted"]


def test_the_last_layer_alone_is_retrained_and_judged_over_its_last_epochs(
    work: Path, alrctl: Alrctl, tmp_path: Path
) -> None:
    trained = ("--labels", work / "r1/labels", "--checkpoint", work / "lnl", "--layers", "last")
    more = ("--sampling", "balanced", "--epochs", 3, "--keep-epochs", 2, "--device", "cpu")
    ran = alrctl("recalibrate", work / "data", *trained, *more, "-o", tmp_path / "model")
    assert ran.code == 0, ran.err
    before, after = (load_file(place / "checkpoint.safetensors") for place in (work / "lnl", tmp_path / "model"))
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"network1.head.last.weight", "network1.head.last.bias"}
    judged = ("--checkpoint", tmp_path / "model", "--bootstrap", 0, "--no-figures")
    ran = alrctl("evaluate", work / "data", *judged, "-o", tmp_path / "eval", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["last_epochs"]["epochs"] == [2, 3]
