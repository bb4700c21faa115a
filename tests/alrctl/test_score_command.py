"""`alrctl score` asks a checkpoint's networks, or networks that learn as they did without the sample they judge."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from alrctl import checkpoints
from alrctl.dataset import read_data, read_images
from schemas.scores import SCORES
from stages.methods.transition_model import UNKNOWN
from stages.training import fit, folds
from stages.training.backbones import build_backbone
from stages.training.inputs import ImageInputs
from stages.training.noise_watch import LabelEvidence
from stages.training.opinions import views
from stages.training.recipe import rule

Alrctl = Callable[..., Any]
EXACT = ("--device", "cpu", "--precision", "float32")
FOLDS = ("--cross-validate", 2, "--cross-validate-epochs", 2, *EXACT)


def check_refused(ran: Any, code: int, told: str, out: Path) -> None:
    """Hold a refusal to its promises."""
    errors = [line for line in ran.err.splitlines() if not line.startswith("warning:")]
    assert errors == [f"error: {told}"]
    assert ran.code == code
    assert ran.out == ""
    assert not out.exists()
    assert not out.with_name(f".{out.name}.alrctl").exists()


def score(base: Path, out: Path, *more: object) -> tuple[object, ...]:
    """The command on the data, labels and checkpoint of a project."""
    return "score", base / "data", "--labels", base / "noisy", "--checkpoint", base / "lnl", "-o", out, *more


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.name != "manifest.json"}


def posteriors(directory: Path) -> np.ndarray[Any, Any]:
    return np.array(pl.read_parquet(directory / "scores.parquet")["posterior"].to_list())


@pytest.fixture(scope="module")
def crossed(finished: Path, alrctl: Alrctl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of two folds of two epochs. Not to be changed."""
    out = tmp_path_factory.mktemp("crossed") / "scores"
    ran = alrctl(*score(finished, out, *FOLDS, "--json"))
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["out_of_sample"] is True
    return out


@pytest.fixture
def grouped(finished: Path, tmp_path: Path) -> Path:
    """A project whose samples come in groups of three, as another program would have written it."""
    base = tmp_path / "grouped"
    shutil.copytree(finished / "data", base / "data")
    (base / "data/manifest.json").unlink()
    shutil.copytree(finished / "lnl", base / "lnl")
    (base / "lnl/manifest.json").unlink()
    (base / "noisy").mkdir()
    shutil.copy(finished / "noisy/labels.parquet", base / "noisy")
    samples = pl.read_parquet(base / "data/samples.parquet")
    number = pl.int_range(pl.len()).over("split") // 3
    samples.with_columns(group_id=pl.format("patient {}", number)).write_parquet(base / "data/samples.parquet")
    return base


# --- the checkpoint's networks ---------------------------------------------------------------------------------------


def test_the_table_says_everything_that_can_be_said(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    ran = alrctl(*score(finished, tmp_path / "s", "--json"))
    assert ran.code == 0, ran.err
    found = pl.read_parquet(tmp_path / "s/scores.parquet")
    assert SCORES.check(found, "scores").equals(found)
    samples = pl.read_parquet(finished / "data/samples.parquet").filter(split="train")
    assert found["sample_id"].to_list() == samples["sample_id"].to_list()
    known = found.select(pl.exclude("group_id", "variance_of_gradients", "forgetting_events"))
    assert known.null_count().row(0) == (0,) * (found.width - 3)
    assert found["peer_label"].is_in(["red", "green", "blue"]).all()
    assert found["neighbour_disagreement"].is_between(0, 1).all()
    assert (found["bald"] > 0).any()
    summary = ran.document["summary"]
    assert (summary["samples"], summary["out_of_sample"]) == (77, False)
    embeddings = load_file(tmp_path / "s/embeddings.safetensors")["embeddings"]
    assert embeddings.shape == (77, 96)


def test_the_estimate_of_training_is_taken_over(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    scored = pl.read_parquet(finished / "r1/scores/scores.parquet")
    clean = pl.read_parquet(finished / "lnl/clean.parquet")
    both = scored.select("sample_id", "true_posterior").join(clean, on="sample_id", maintain_order="left")
    assert both["true_posterior"].null_count() == 0
    assert both["true_posterior"].to_list() == both["true_posterior_right"].to_list()
    foreign = clean.with_columns(true_posterior=pl.lit([0.5, 0.5], pl.List(pl.Float32)))
    foreign.write_parquet(tmp_path / "clean.parquet")
    ran = alrctl(*score(finished, tmp_path / "out", "--clean", tmp_path / "clean.parquet"))
    path = tmp_path / "clean.parquet"
    check_refused(ran, 4, f"{path}: true_posterior is not of the 3 classes of {finished / 'data'}", tmp_path / "out")


def test_what_is_not_asked_for_is_left_empty(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    assert alrctl(*score(finished, tmp_path / "all", *EXACT)).code == 0
    assert alrctl(*score(finished, tmp_path / "s", *EXACT, "--dropout-passes", 0, "--neighbours", 0)).code == 0
    everything, found = (pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("all", "s"))
    assert found["bald"].is_null().all()
    assert found["neighbour_disagreement"].is_null().all()
    assert everything["bald"].is_not_null().all()
    assert found.drop("bald", "neighbour_disagreement").equals(everything.drop("bald", "neighbour_disagreement"))


def test_dropouts_rate_and_seed_decide_bald_alone(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    for name, more in (("a", ()), ("b", ("--dropout-rate", 0.9)), ("c", ("--seed", 3))):
        assert alrctl(*score(finished, tmp_path / name, *EXACT, *more)).code == 0
    first, *others = (pl.read_parquet(tmp_path / name / "scores.parquet") for name in "abc")
    for other in others:
        assert not first["bald"].equals(other["bald"])
        assert first.drop("bald").equals(other.drop("bald"))


@pytest.mark.parametrize("split", ["val", "test"])
def test_other_splits_are_scored_by_the_checkpoint(finished: Path, alrctl: Alrctl, tmp_path: Path, split: str) -> None:
    assert alrctl(*score(finished, tmp_path / "s", "--split", split)).code == 0
    samples = pl.read_parquet(finished / "data/samples.parquet").filter(split=split)
    assert pl.read_parquet(tmp_path / "s/scores.parquet")["sample_id"].equals(samples["sample_id"])


def images_of(base: Path) -> tuple[Tensor, Any]:
    data = read_data(base / "data/samples.parquet", base / "data/classes.yaml")
    return read_images(base / "data/images.safetensors", data), data


@pytest.fixture(scope="module")
def frozen(finished: Path, alrctl: Alrctl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two heads on a frozen backbone. Not to be changed."""
    out = tmp_path_factory.mktemp("frozen") / "lnl"
    ran = alrctl(
        *("train-lnl", finished / "data", "--labels", finished / "noisy", "--train", "head", "--epochs", 2),
        *("--backbone", "test_resnet", "--batch-size", 16, "--num-gradual", 1, *EXACT, "-o", out),
    )
    assert ran.code == 0, ran.err
    return out


@pytest.mark.parametrize("which", ["flip", "dihedral"])
def test_views_of_a_frozen_backbone_are_of_the_images(
    finished: Path, frozen: Path, alrctl: Alrctl, tmp_path: Path, which: Any
) -> None:
    ran = alrctl(
        *("score", finished / "data", "--labels", finished / "noisy", "--checkpoint", frozen, *EXACT),
        *("--test-time-augmentation", which, "--networks", "both", "-o", tmp_path / "s"),
    )
    assert ran.code == 0, ran.err
    read = checkpoints.read(frozen / "checkpoint.safetensors")
    backbone = build_backbone("test_resnet", 0)
    backbone.load_state_dict(read.frozen_backbone())
    images, data = images_of(finished)
    inputs = ImageInputs(images, read.metadata.spec, torch.device("cpu"), "none")
    batch = inputs.batch(torch.from_numpy(data.rows("train")), None)
    with torch.inference_mode():
        features = [backbone.eval()(view) for view in views(batch, which)]
        heads = [head.eval() for head in read.networks()]
        wanted = torch.stack([sum(head(one)[1] for head in heads).softmax(dim=1) for one in features]).mean(dim=0)  # type: ignore[attr-defined]
        penultimate = heads[0](features[0])[0]
    np.testing.assert_allclose(posteriors(tmp_path / "s"), wanted.numpy(), atol=1e-5)
    embeddings = load_file(tmp_path / "s/embeddings.safetensors")["embeddings"]
    torch.testing.assert_close(embeddings, penultimate, rtol=1e-4, atol=1e-4)


def test_views_of_a_trained_backbone_are_averaged(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    ran = alrctl(*score(finished, tmp_path / "s", *EXACT, "--test-time-augmentation", "dihedral"))
    assert ran.code == 0, ran.err
    read = checkpoints.read(finished / "lnl/checkpoint.safetensors")
    images, data = images_of(finished)
    pixels = images[torch.from_numpy(data.rows("train"))].numpy()
    network, said = read.networks()[0].eval(), []
    for quarter in range(4):
        for turned in (np.rot90(pixels, quarter, (1, 2)), np.rot90(pixels, quarter, (1, 2))[:, ::-1]):
            inputs = ImageInputs(torch.from_numpy(turned.copy()), read.metadata.spec, torch.device("cpu"), "none")
            with torch.inference_mode():
                said.append(network(inputs.batch(torch.arange(77), None))[1].softmax(dim=1))
    np.testing.assert_allclose(posteriors(tmp_path / "s"), torch.stack(said).mean(dim=0).numpy(), atol=1e-5)


# --- out of sample ---------------------------------------------------------------------------------------------------


def test_each_sample_is_judged_by_networks_that_learnt_neither_it_nor_its_group(
    grouped: Path, alrctl: Alrctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = pl.read_parquet(grouped / "data/samples.parquet")
    given = samples.join(pl.read_parquet(grouped / "noisy/labels.parquet"), on="sample_id", maintain_order="left")
    labels = [["blue", "green", "red"].index(name) for name in given["label"]]
    taught: list[set[int]] = []
    lessons: list[tuple[Any, Any]] = []

    def spy(networks: Any, examples: Any, learning: Any, plan: Any, *more: Any) -> Any:
        taught.append(set(examples.rows.tolist()))
        fitted = fit.fit(networks, examples, learning, plan, *more)
        lessons.append((networks[0], examples))
        assert plan.epochs == 1
        return fitted

    monkeypatch.setattr(folds, "fit", spy)
    more = ("--cross-validate", 3, "--cross-validate-epochs", 1, *EXACT)
    assert alrctl(*score(grouped, grouped / "s", *more)).code == 0
    train = [row for row, split in enumerate(samples["split"]) if split == "train"]
    found = posteriors(grouped / "s")
    left_out: list[int] = []
    for rows, (network, examples) in zip(taught, lessons, strict=True):
        assert rows < set(train), "only the train split is learnt from"
        assert [labels[row] for row in examples.rows.tolist()] == examples.labels.tolist()
        assert [samples["split"][row] for row in examples.val_rows.tolist()] == ["val"] * len(examples.val_rows)
        assert [labels[row] for row in examples.val_rows.tolist()] == examples.val_labels.tolist()
        held = [row for row in train if row not in rows]
        groups = samples["group_id"]
        assert not {groups[row] for row in rows} & {groups[row] for row in held}
        with torch.inference_mode():
            said = network.eval()(examples.inputs.batch(torch.tensor(held), None))[1].softmax(dim=1)
        np.testing.assert_allclose(found[[train.index(row) for row in held]], said.numpy(), atol=1e-5)
        left_out += held
    assert sorted(left_out) == train


def test_out_of_sample_scores_come_in_the_order_of_the_rows_with_the_checkpoints_embeddings(
    finished: Path, crossed: Path, alrctl: Alrctl, tmp_path: Path
) -> None:
    assert alrctl(*score(finished, tmp_path / "s", *EXACT)).code == 0
    usual, found = (pl.read_parquet(place / "scores.parquet") for place in (tmp_path / "s", crossed))
    same = ("sample_id", "given_label", "judged_clean", "neighbour_disagreement", "area_under_margin")
    assert found.select(same).equals(usual.select(same))
    assert (crossed / "embeddings.safetensors").read_bytes() == (tmp_path / "s/embeddings.safetensors").read_bytes()
    assert not np.allclose(posteriors(crossed), posteriors(tmp_path / "s"), atol=1e-3)
    assert found.select("bald", "disagreement", "peer_label").null_count().row(0) == (0, 0, 0)


@pytest.mark.parametrize(("more", "epochs"), [((), 3), (("--cross-validate-epochs", 1), 1)])
def test_a_fold_learns_for_the_checkpoints_epochs_unless_told_otherwise(
    finished: Path, alrctl: Alrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Any, epochs: int
) -> None:
    plans: list[Any] = []

    def spy(networks: Any, examples: Any, learning: Any, plan: Any, *rest: Any) -> Any:
        plans.append((plan, learning, len(networks), examples.inputs.augmentation))
        return fit.fit(networks, examples, learning, plan, *rest)

    monkeypatch.setattr(folds, "fit", spy)
    assert alrctl(*score(finished, tmp_path / "s", "--cross-validate", 2, "--seed", 4, *EXACT, *more)).code == 0
    options = checkpoints.read(finished / "lnl/checkpoint.safetensors").metadata.config
    assert len(plans) == 2
    for plan, learning, networks, augmentation in plans:
        assert (plan.epochs, plan.batch_size, plan.seed, plan.precision) == (epochs, 16, 4, "float32")
        assert (plan.learning_rate, plan.weight_decay) == (options["learning_rate"], options["weight_decay"])
        assert networks == 2
        assert augmentation == options["augmentation"] == "paper"
        assert learning.picker.facts() is not None
        assert type(learning.picker).__name__ == "PickSmallLoss"


def test_heads_on_a_frozen_backbone_are_taught_by_its_features_and_asked_about_views(
    finished: Path, frozen: Path, alrctl: Alrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lessons: list[tuple[Any, Any]] = []

    def spy(networks: Any, examples: Any, *more: Any) -> Any:
        fitted = fit.fit(networks, examples, *more)
        lessons.append((copy.deepcopy(networks[0]), examples))
        return fitted

    monkeypatch.setattr(folds, "fit", spy)
    ran = alrctl(
        *("score", finished / "data", "--labels", finished / "noisy", "--checkpoint", frozen, *EXACT),
        *("--cross-validate", 2, "--test-time-augmentation", "flip", "-o", tmp_path / "s"),
    )
    assert ran.code == 0, ran.err
    read = checkpoints.read(frozen / "checkpoint.safetensors")
    backbone = build_backbone("test_resnet", 0).eval()
    backbone.load_state_dict(read.frozen_backbone())
    images, data = images_of(finished)
    inputs = ImageInputs(images, read.metadata.spec, torch.device("cpu"), "none")
    found, train = posteriors(tmp_path / "s"), data.rows("train").tolist()
    for head, examples in lessons:
        rows = set(examples.rows.tolist())
        held = [row for row in train if row not in rows]
        with torch.inference_mode():
            taught_by = examples.inputs.batch(torch.tensor(sorted(rows)), None)
            whole = backbone(inputs.batch(torch.tensor(sorted(rows)), None))
            shown = views(inputs.batch(torch.tensor(held), None), "flip")
            said = torch.stack([head.eval()(backbone(view))[1].softmax(dim=1) for view in shown]).mean(dim=0)
        torch.testing.assert_close(taught_by, whole, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(head.shift, taught_by.mean(dim=0), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found[[train.index(row) for row in held]], said.numpy(), atol=1e-4)


def count_epochs(monkeypatch: pytest.MonkeyPatch, fail_at: int | None = None) -> list[int]:
    """Write each epoch down that is carried out; crash at the begin of one."""
    seen: list[int] = []
    epoch = fit._epoch

    def counted(number: int, *more: Any) -> Any:
        if len(seen) == fail_at:
            raise RuntimeError("killed")
        seen.append(number)
        return epoch(number, *more)

    monkeypatch.setattr(fit, "_epoch", counted)
    return seen


@pytest.mark.parametrize("fail_at", [2, 3])
def test_a_run_killed_in_the_second_fold_does_not_teach_the_first_again(
    finished: Path, crossed: Path, alrctl: Alrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    out, state = tmp_path / "s", tmp_path / ".s.alrctl/state"
    with monkeypatch.context() as broken:
        assert count_epochs(broken, fail_at) == []
        with pytest.raises(RuntimeError, match="killed"):
            alrctl(*score(finished, out, *FOLDS))
    assert not out.exists()
    assert (state / "fold-0/index.json").is_file()
    assert (state / "fold-1/index.json").is_file() == (fail_at == 3)
    seen = count_epochs(monkeypatch)
    ran = alrctl(*score(finished, out, *FOLDS))
    assert ran.code == 0, ran.err
    assert seen == {2: [0, 1], 3: [1]}[fail_at]
    assert contents(out) == contents(crossed)
    assert not state.parent.exists()


def test_with_other_options_nothing_of_a_killed_run_is_used(
    finished: Path, alrctl: Alrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        count_epochs(broken, 3)
        with pytest.raises(RuntimeError, match="killed"):
            alrctl(*score(finished, tmp_path / "s", *FOLDS))
    seen = count_epochs(monkeypatch)
    assert alrctl(*score(finished, tmp_path / "s", *FOLDS, "--seed", 1)).code == 0
    assert seen == [0, 1, 0, 1]


def test_a_second_run_is_unchanged_and_a_forced_one_gives_the_same_bytes(
    finished: Path, crossed: Path, alrctl: Alrctl, tmp_path: Path
) -> None:
    out = shutil.copytree(crossed, tmp_path / "s")
    before = contents(out)
    again = alrctl(*score(finished, out, *FOLDS, "--json", "--allow-stale", "--force"))
    assert again.document["status"] == "done"
    assert contents(out) == before
    assert alrctl(*score(finished, out, *FOLDS, "--json")).document["status"] == "unchanged"
    assert alrctl(*score(finished, out, "--dry-run", *EXACT, "--json")).document["status"] == "would run"


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["val", "test"])
def test_what_was_not_learnt_from_needs_no_folds(finished: Path, alrctl: Alrctl, tmp_path: Path, split: str) -> None:
    out = tmp_path / "s"
    told = "--cross-validate is for --split train: no other split was learnt from"
    check_refused(alrctl(*score(finished, out, "--split", split, "--cross-validate", 2)), 2, told, out)


def test_a_checkpoint_of_another_making_cannot_say_how_to_learn(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    out, model = tmp_path / "s", finished / "r1/model"
    ran = alrctl(
        *("score", finished / "data", "--labels", finished / "r1/labels", "--checkpoint", model),
        *("--cross-validate", 2, "-o", out),
    )
    told = (
        f"{model / 'checkpoint.safetensors'}: --cross-validate trains anew as `train-lnl` did, and this is no "
        "checkpoint of a training by it; name that one (the labels may be newer)"
    )
    check_refused(ran, 4, told, out)


def test_the_labels_may_be_newer_than_the_checkpoint_and_the_folds_know_what_stood_before(
    finished: Path, alrctl: Alrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[LabelEvidence] = []
    monkeypatch.setattr(
        folds, "rule", lambda options, known, classes: taught.append(known) or rule(options, known, classes)
    )
    ran = alrctl(
        *("score", finished / "data", "--labels", finished / "r1/labels", "--checkpoint", finished / "lnl"),
        *("--cross-validate", 2, "--cross-validate-epochs", 1, "-o", tmp_path / "s"),
    )
    assert ran.code == 0, ran.err
    labels = pl.read_parquet(finished / "r1/labels/labels.parquet")
    found = pl.read_parquet(tmp_path / "s/scores.parquet").join(labels, on="sample_id")
    assert found["given_label"].equals(found["label"], check_names=False)
    assert found["relabelled"].equals(found["relabelled_right"], check_names=False)
    assert found["relabelled"].sum() == 12
    samples = pl.read_parquet(finished / "data/samples.parquet").filter(pl.col("split") == "train")
    names = ["blue", "green", "red"]
    before, now = (
        samples.join(pl.read_parquet(finished / place / "labels.parquet"), on="sample_id", maintain_order="left")
        for place in ("noisy", "r1/labels")
    )
    first = before["label"].replace_strict(names, [0, 1, 2], return_dtype=pl.Int64)
    told = now["label"].replace_strict(names, [0, 1, 2], return_dtype=pl.Int64)
    assert len(taught) == 2  # of two folds, each learns from the other's samples
    assert sorted(np.concatenate([known.given for known in taught]).tolist()) == sorted(first.to_list())
    by_experts = told.filter(now["relabelled"]).to_list()
    assert sorted(np.concatenate([known.true[known.true != UNKNOWN] for known in taught]).tolist()) == sorted(
        by_experts
    )
    assert "ledger" in json.loads((tmp_path / "s/manifest.json").read_text())["inputs"]


def test_fewer_groups_than_folds(grouped: Path, alrctl: Alrctl) -> None:
    samples = pl.read_parquet(grouped / "data/samples.parquet")
    few = samples.with_columns(group_id=pl.format("g{}", pl.int_range(pl.len()) % 3))
    few.write_parquet(grouped / "data/samples.parquet")
    out = grouped / "s"
    told = "3 groups of training samples cannot make 4 folds"
    check_refused(alrctl(*score(grouped, out, "--cross-validate", 4)), 5, told, out)


def test_one_fold_is_refused(finished: Path, alrctl: Alrctl, tmp_path: Path) -> None:
    out = tmp_path / "s"
    told = "--cross-validate: '1' must be 0, or at least 2: one fold leaves nothing to learn from"
    check_refused(alrctl(*score(finished, out, "--cross-validate", 1)), 2, told, out)


def test_a_split_without_samples_is_nothing_to_do(grouped: Path, alrctl: Alrctl) -> None:
    samples = pl.read_parquet(grouped / "data/samples.parquet")
    split = pl.when(split="val").then(pl.lit("test")).otherwise("split")
    samples.with_columns(split=split).write_parquet(grouped / "data/samples.parquet")
    out = grouped / "s"
    check_refused(alrctl(*score(grouped, out, "--split", "val")), 5, "the data set has no val split", out)
