"""`alrctl evaluate` on a trained network: its last epochs, how its epoch was chosen, and how good its labels are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from scipy import stats

from alrctl import checkpoints, files, table_files
from schemas.labels import LABELS
from schemas.predictions import PREDICTIONS
from schemas.queue import QUEUE

Alrctl = Callable[..., Any]
MIX = ("--strategy", "mix", "--mix", "entropy=1", "--mix", "random=1")


def told(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "metrics.json").read_text())
    return found


def done(ran: Any) -> Any:
    assert ran.code == 0, ran.err
    return ran


def epochs_in(path: Path) -> set[str]:
    with safe_open(path, framework="pt") as file:
        return {".".join(name.split(".")[:2]) for name in file.keys()}


def test_training_writes_the_weights_of_its_last_epochs_and_the_last_of_them_is_the_network(finished: Path) -> None:
    lnl, model = finished / "lnl", finished / "r1/model"
    assert epochs_in(lnl / "last_epochs.safetensors") == {f"epoch{e}.network{n}" for e in (0, 1, 2) for n in (1, 2)}
    assert epochs_in(model / "last_epochs.safetensors") == {"epoch0.network1", "epoch1.network1"}
    kept, network = load_file(lnl / "last_epochs.safetensors"), checkpoints.read(lnl / "checkpoint.safetensors")
    for name, tensor in network.tensors.items():
        assert (kept[f"epoch2.{name}"] == tensor).all(), name
    assert any((kept[f"epoch1.{name}"] != tensor).any() for name, tensor in network.tensors.items())


@pytest.mark.parametrize(("keep", "epochs"), [(0, None), (1, {"epoch1.network1"})])
def test_as_many_epochs_are_kept_as_asked_for(
    finished: Path, tmp_path: Path, alrctl: Alrctl, keep: int, epochs: set[str] | None
) -> None:
    shared = ("--labels", finished / "r1/labels", "--checkpoint", finished / "lnl", "--epochs", 2, "--device", "cpu")
    done(alrctl("recalibrate", finished / "data", *shared, "--keep-epochs", keep, "-o", tmp_path / "model"))
    path = tmp_path / "model/last_epochs.safetensors"
    assert path.exists() == (epochs is not None)
    if epochs is not None:
        assert epochs_in(path) == epochs
    else:
        done(
            alrctl(
                "evaluate",
                "--no-figures",
                finished / "data",
                "--checkpoint",
                tmp_path / "model",
                "-o",
                tmp_path / "eval",
            )
        )
        assert told(tmp_path / "eval")["last_epochs"] is None


def test_phase_1_keeps_none_where_none_are_asked_for(finished: Path, tmp_path: Path, alrctl: Alrctl) -> None:
    shared = ("--backbone", "test_resnet", "--epochs", 1, "--batch-size", 16, "--method", "cross-entropy")
    where = ("--labels", finished / "noisy", "--device", "cpu", "-o", tmp_path / "lnl")
    done(alrctl("train-lnl", finished / "data", *where, *shared, "--keep-epochs", 0))
    assert not (tmp_path / "lnl/last_epochs.safetensors").exists()


def test_the_last_epochs_are_judged_and_the_mean_is_theirs(finished: Path, tmp_path: Path, alrctl: Alrctl) -> None:
    shared = ("--checkpoint", finished / "lnl", "--bootstrap", 0)
    ran = done(alrctl("evaluate", "--no-figures", finished / "data", *shared, "-o", tmp_path / "eval"))
    last = told(tmp_path / "eval")["last_epochs"]
    assert last["epochs"] == [1, 2, 3]
    assert "mean of the last 3 epochs" in ran.out
    values = []
    for epoch in range(3):
        place = one_epoch(finished / "lnl", epoch, tmp_path / f"epoch{epoch}.safetensors")
        shared = ("--checkpoint", place, "--bootstrap", 0, "-o", tmp_path / f"eval{epoch}")
        done(alrctl("evaluate", "--no-figures", finished / "data", *shared))
        found = told(tmp_path / f"eval{epoch}")
        assert found["last_epochs"] is None
        values.append({name: metric["value"] for name, metric in found["metrics"].items()})
    assert len({found["log_loss"] for found in values}) == 3
    for name, metric in last["metrics"].items():
        known = [found[name] for found in values if found[name] is not None]
        assert metric["mean"] == (pytest.approx(np.mean(known), abs=1e-6) if known else None), name
        if len(known) > 1:
            assert metric["deviation"] == pytest.approx(np.std(known, ddof=1), abs=1e-6), name


def one_epoch(model: Path, epoch: int, path: Path) -> Path:
    """Write one of the last epochs' weights as a checkpoint of its own."""
    whole, kept = checkpoints.read(model / "checkpoint.safetensors"), load_file(model / "last_epochs.safetensors")
    networks = whole.networks()
    for number, network in enumerate(networks, 1):
        prefix = f"epoch{epoch}.network{number}."
        network.load_state_dict({name.removeprefix(prefix): t for name, t in kept.items() if name.startswith(prefix)})
    checkpoints.write(path, networks, whole.frozen_backbone(), whole.metadata)
    return path


def test_last_epochs_are_not_judged_where_not_asked_for(finished: Path, tmp_path: Path, alrctl: Alrctl) -> None:
    shared = ("--checkpoint", finished / "lnl", "--no-last-epochs", "--bootstrap", 0, "-o", tmp_path / "eval")
    ran = done(alrctl("evaluate", "--no-figures", finished / "data", *shared))
    assert told(tmp_path / "eval")["last_epochs"] is None
    assert "mean of the last" not in ran.out


def test_of_two_networks_the_first_can_be_judged_alone(finished: Path, tmp_path: Path, alrctl: Alrctl) -> None:
    whole = checkpoints.read(finished / "lnl/checkpoint.safetensors")
    checkpoints.write(tmp_path / "first.safetensors", whole.networks()[:1], whole.frozen_backbone(), whole.metadata)
    shared = ("--bootstrap", 0, "--no-last-epochs")
    lnl = ("--checkpoint", finished / "lnl")
    done(
        alrctl(
            "evaluate", "--no-figures", finished / "data", *lnl, *shared, "--networks", "first", "-o", tmp_path / "a"
        )
    )
    done(
        alrctl(
            "evaluate",
            "--no-figures",
            finished / "data",
            "--checkpoint",
            tmp_path / "first.safetensors",
            *shared,
            "-o",
            tmp_path / "b",
        )
    )
    done(alrctl("evaluate", "--no-figures", finished / "data", *lnl, *shared, "-o", tmp_path / "both"))
    first, alone, both = (told(tmp_path / name)["metrics"]["log_loss"]["value"] for name in ("a", "b", "both"))
    assert first == alone != both


def test_a_networks_own_predictions_given_back_are_judged_the_same(
    finished: Path, tmp_path: Path, alrctl: Alrctl
) -> None:
    for checkpoint in (finished / "lnl", finished / "r1/model"):
        out, back = tmp_path / checkpoint.name, tmp_path / f"{checkpoint.name}-back"
        done(alrctl("evaluate", "--no-figures", finished / "data", "--checkpoint", checkpoint, "-o", out))
        done(alrctl("evaluate", "--no-figures", finished / "data", "--predictions", out, "-o", back))
        first, second = told(out)["metrics"], told(back)["metrics"]
        assert first.keys() == second.keys()
        for name, metric in first.items():
            for end in ("value", "low", "high"):
                wanted = metric[end]
                assert second[name][end] == (wanted if wanted is None else pytest.approx(wanted, abs=1e-6)), name
        own = table_files.read_table(back / "predictions.parquet", PREDICTIONS)
        assert own.drop("posterior").equals(
            table_files.read_table(out / "predictions.parquet", PREDICTIONS).drop("posterior")
        )


def test_how_right_the_labels_were_that_chose_the_epoch_is_recorded_and_said(
    finished: Path, tmp_path: Path, alrctl: Alrctl
) -> None:
    data = finished / "data"
    shared = ("--checkpoint", finished / "r1/model", "--bootstrap", 0, "--no-last-epochs", "--force")
    out = ("-o", tmp_path / "eval")
    rows = (pl.read_parquet(data / "samples.parquet")["split"] == "val").arg_true()
    with_truth = told(finished / "r1/eval")["validation"]
    assert (with_truth["labels"], with_truth["label_accuracy"], with_truth["samples"]) == ("clean", 1, len(rows))
    assert with_truth["chosen_by"] == "macro-F1 on the validation split" and with_truth["epoch"] in (1, 2)
    ran = done(alrctl("evaluate", "--no-figures", data, *shared, *out))
    words = f"epoch chosen by: epoch {with_truth['epoch']}, macro-F1 on the validation split ({len(rows)} labels, "
    assert f"{words}as given: how many are right nobody knows)" in ran.out
    given = told(tmp_path / "eval")["validation"]
    assert given == with_truth | {"labels": "as given", "label_accuracy": None}
    ran = done(alrctl("evaluate", "--no-figures", data, *shared, "--truth", data, *out))
    assert f"{words}clean: all right by the truth)" in ran.out
    noise = ("--noise", "symmetric", "--rate", 0.4, "--splits", "val", "--seed", 0, "-o", tmp_path / "noisy")
    done(alrctl("corrupt", data, *noise))
    now, true = (pl.read_parquet(place / "labels.parquet")["label"] for place in (tmp_path / "noisy", data))
    right = (now == true)[rows].mean()
    assert 0 < right < 1
    ran = done(alrctl("evaluate", "--no-figures", data, *shared, "--truth", data, "--labels", tmp_path / "noisy", *out))
    assert f"{words}noisy: {right:.1%} right by the truth)" in ran.out
    noisy = told(tmp_path / "eval")["validation"]
    assert (noisy["labels"], noisy["label_accuracy"]) == ("noisy", pytest.approx(right))
    phase_1 = done(alrctl("evaluate", "--no-figures", data, *shared[2:], "--checkpoint", finished / "lnl", *out))
    assert "epoch chosen by: epoch 3, none: the last epoch" in phase_1.out


def test_label_quality_follows_the_experts_answers(finished: Path) -> None:
    found = told(finished / "r1/eval")["label_quality"]
    now, first, true = (pl.read_parquet(finished / name / "labels.parquet") for name in ("r1/labels", "noisy", "data"))
    train = (pl.read_parquet(finished / "data/samples.parquet")["split"] == "train").arg_true()
    asked = now["relabelled"][train]
    wrong = (first["label"] != true["label"])[train]
    assert found["relabelled"] == asked.sum() == 12
    assert found["noise_rate"] == pytest.approx(wrong.mean())
    assert found["errors_found"] == found["errors_mended"] == (asked & wrong).sum()
    assert found["errors_left"] == wrong.sum() - (asked & wrong).sum()
    assert found["expert_errors"] == found["errors_made"] == 0


def answered(base: Path, queue: Path, name: str, changed: set[str]) -> Path:
    """Write an expert's answers: another class for some, the given one for the others."""
    classes = files.read_yaml(base / "data/classes.yaml")["names"]
    rows = ["sample_id,label,annotator"]
    for row in table_files.read_table(queue / "queue.parquet", QUEUE).iter_rows(named=True):
        other = next(one for one in classes if one != row["given_label"])
        rows.append(f"{row['sample_id']},{other if row['sample_id'] in changed else row['given_label']},ann")
    (base / name).write_text("\n".join(rows) + "\n")
    return base / name


def audited(work: Path, alrctl: Alrctl, *more: Any) -> tuple[pl.DataFrame, set[str], Any]:
    """Ask an expert about a queue, let every third label be changed, and evaluate by it without the truth."""
    done(alrctl("select", work / "r1/scores", "--budget", 12, *more, "-o", work / "q"))
    queue = table_files.read_table(work / "q/queue.parquet", QUEUE)
    changed = set(queue["sample_id"].gather_every(3))
    answers = answered(work, work / "q", "answers.csv", changed)
    done(alrctl("relabel", work / "noisy", "--queue", work / "q", "--answers", answers, "-o", work / "l"))
    shared = ("--checkpoint", work / "lnl", "--labels", work / "l", "--bootstrap", 20)
    return queue, changed, done(alrctl("evaluate", "--no-figures", work / "data", *shared, "-o", work / "e"))


@pytest.mark.parametrize("pool", ["all", "noisy"])
def test_labels_looked_at_by_chance_estimate_the_noise_without_the_truth(work: Path, alrctl: Alrctl, pool: str) -> None:
    queue, changed, ran = audited(work, alrctl, "--strategy", "random", "--pool", pool)
    assert set(queue["strategy"]) == {"random"}
    found = told(work / "e")["estimated_noise"]
    scores = pl.read_parquet(work / "r1/scores/scores.parquet")
    candidates = scores.height if pool == "all" else int((~scores["judged_clean"]).sum())
    likely = [  # of the counts of wrong labels that the pool may hold, those that 4 of 12 are no surprise under
        count
        for count in range(4, candidates - 8 + 1)
        if stats.hypergeom.cdf(4, candidates, count, 12) > 0.025
        and stats.hypergeom.sf(3, candidates, count, 12) > 0.025
    ]
    low, high = likely[0] / candidates, likely[-1] / candidates
    assert len(changed) == 4
    assert found == {
        "value": pytest.approx(4 / 12),
        "low": pytest.approx(low),
        "high": pytest.approx(high),
        "wrong": 4,
        "looked_at": 12,
        "pool": candidates,
        "samples": scores.height,
        "round": 1,
    }
    where = "" if pool == "all" else f" of the {candidates:,} that could be asked about in round 1"
    line = f"estimated share of wrong labels{where}: 33.3% (95 % interval {low:.1%} to {high:.1%})."
    assert line in ran.out
    assert "This is an estimate: 4 of 12 labels drawn at random were changed by the experts" in ran.out
    assert told(work / "e")["label_quality"] is None


def test_only_what_was_drawn_at_random_estimates_the_noise(work: Path, alrctl: Alrctl) -> None:
    queue, changed, _ = audited(work, alrctl, *MIX, "--pool", "all")
    drawn = queue.filter(pl.col("strategy") == "random")
    assert 0 < drawn.height < queue.height
    found = told(work / "e")["estimated_noise"]
    assert found["looked_at"] == drawn.height
    assert found["wrong"] == len(changed & set(drawn["sample_id"]))


def test_a_queue_that_chance_had_no_part_in_estimates_nothing(work: Path, alrctl: Alrctl) -> None:
    _, _, ran = audited(work, alrctl, "--strategy", "entropy")
    assert told(work / "e")["estimated_noise"] is None
    assert "estimated share" not in ran.out


def test_a_random_look_in_a_later_round_says_which(work: Path, alrctl: Alrctl) -> None:
    done(alrctl("select", work / "r1/scores", "--budget", 5, "--strategy", "entropy", "-o", work / "q1"))
    first = answered(work, work / "q1", "first.csv", set())
    done(alrctl("relabel", work / "noisy", "--queue", work / "q1", "--answers", first, "-o", work / "l1"))
    score = ("--labels", work / "l1", "--checkpoint", work / "lnl", "-o", work / "s2")
    done(alrctl("score", work / "data", *score))
    done(alrctl("select", work / "s2", "--budget", 5, "--strategy", "random", "-o", work / "q2"))
    ids = table_files.read_table(work / "q2/queue.parquet", QUEUE)["sample_id"]
    second = answered(work, work / "q2", "second.csv", {ids[0]})
    done(alrctl("relabel", work / "l1", "--queue", work / "q2", "--answers", second, "-o", work / "l2"))
    shared = ("--checkpoint", work / "lnl", "--labels", work / "l2", "--bootstrap", 0, "-o", work / "e")
    ran = done(alrctl("evaluate", "--no-figures", work / "data", *shared))
    found = told(work / "e")["estimated_noise"]
    assert (found["round"], found["wrong"], found["looked_at"]) == (2, 1, 5)
    assert "that could be asked about in round 2: 20.0%" in ran.out


def test_experts_errors_are_counted_by_the_truth(work: Path, alrctl: Alrctl) -> None:
    queue = table_files.read_table(work / "r1/queue/queue.parquet", QUEUE)
    answers = answered(work, work / "r1/queue", "answers.csv", set(queue["sample_id"]))
    done(alrctl("relabel", work / "noisy", "--queue", work / "r1/queue", "--answers", answers, "-o", work / "l"))
    truth = ("--truth", work / "noisy", "--labels", work / "l", "--bootstrap", 0, "-o", work / "e")
    done(alrctl("evaluate", "--no-figures", work / "data", "--checkpoint", work / "lnl", *truth))
    found = told(work / "e")["label_quality"]
    true = table_files.read_table(work / "data/labels.parquet", LABELS).select("sample_id", true="label")
    table = table_files.read_table(work / "l/labels.parquet", LABELS).join(true, on="sample_id")
    asked = table.filter("relabelled")
    assert found["expert_errors"] == (asked["label"] != asked["true"]).sum() > 0
    assert np.isclose(found["label_accuracy"], 1 - found["errors_left"] / found["samples"])
