"""A pipeline file written after a look at a data set: what it says is so, and `run` takes it as it stands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from alrctl import pipeline
from alrctl.advice import advise
from alrctl.first_look import FirstLook

Alrctl = Callable[..., Any]


def seen(images: dict[str, int], side: int = 100) -> FirstLook:
    return FirstLook("folder", images, images, None, {}, side)


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_tells_what_was_seen_and_is_taken_as_it_stands(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "study/pipeline.yaml"
    ran = alrctl("init", photos, "-o", out, "--json")
    assert ran.code == 0, ran.err
    summary = ran.document["summary"]
    assert summary["by_class"] == {"blue": 15, "green": 35, "red": 60}
    assert (summary["imbalance"], summary["groups"], summary["image_side"]) == (4.0, None, 24)
    text = out.read_text()
    assert "# 110 images of 3 classes (folder); no split." in text
    assert "4 times the images of the smallest (blue: 15)" in text
    assert "No groups are known" in text
    found = pipeline.load(out)
    assert found.source.resolve() == photos.resolve()
    assert found.output.resolve() == out.parent.resolve()
    assert (found.expert, found.rounds) == ("file", 3)
    shown = alrctl("run", out, "--dry-run")
    assert shown.code == 0, shown.err
    assert "18 steps: 18 missing" in shown.out


def test_every_line_that_is_commented_out_can_be_put_in(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    alrctl("init", photos, "-o", tmp_path / "pipeline.yaml", "--expert", "oracle")
    lines = (tmp_path / "pipeline.yaml").read_text().splitlines()
    put_in = [
        line.replace("# ", "", 1) if line.strip().startswith(("# weights:", "# pool:", "# matrix:", "#   ")) else line
        for line in lines
        if line != "seed: 0"
    ]
    found = pipeline.parse(yaml.safe_load("\n".join(put_in)), tmp_path, "put in")
    assert [axis.name for axis in found.axes] == ["seed", "train-lnl.logit-adjustment", "strategy"]
    assert found.sections["train-lnl"]["weights"] == "ResNet18_Weights.DEFAULT"
    assert found.sections["select"]["pool"] == "noisy"


def test_an_experiment_has_noise_a_control_and_a_bound(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    alrctl("init", photos, "-o", tmp_path / "pipeline.yaml", "--expert", "oracle")
    found = pipeline.load(tmp_path / "pipeline.yaml")
    assert found.expert == "oracle"
    assert found.bound
    assert "random" in found.strategies
    assert found.sections["corrupt"] == {"noise": "symmetric", "rate": 0.4}


def test_options_of_ingest_are_kept_in_the_file(alrctl: Alrctl, tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        name = "a: #1" if number % 4 else "b 'x'"
        path = tmp_path / f"images/{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((50, 40, 3), number, dtype=np.uint8)).save(path)
        rows.append(f'{path.name},"{name}",patient{number // 2}')
    (tmp_path / "list.csv").write_text("\n".join(["file,diagnosis,who", *rows]))
    options = ("--path-column", "file", "--label-column", "diagnosis", "--group-column", "who", "--root", "images")
    out = tmp_path / "pipeline.yaml"
    ran = alrctl("init", tmp_path / "list.csv", *options, "--root", tmp_path / "images", "-o", out, "--json")
    assert ran.code == 0, ran.err
    assert ran.document["summary"]["groups"] == 20
    assert "20 groups (patients or lesions)" in out.read_text()
    found = pipeline.load(out)
    kept = {"path-column": "file", "label-column": "diagnosis", "group-column": "who"}
    assert kept.items() <= {name.replace("_", "-"): value for name, value in found.sections["ingest"].items()}.items()
    assert found.sections["ingest"].get("image-size", found.sections["ingest"].get("image_size")) == 32


def test_a_file_that_is_there_is_kept(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "pipeline.yaml"
    out.write_text("mine: 1\n")
    ran = alrctl("init", photos, "-o", out)
    assert ran.code == 2
    assert ran.err.strip() == (
        f"error: {out}: is there already; name another file with -o, or use --force to write over it"
    )
    assert out.read_text() == "mine: 1\n"
    assert alrctl("init", photos, "-o", out, "--force").code == 0
    before = out.stat().st_mtime_ns
    assert alrctl("init", photos, "-o", out, "--json").document["status"] == "unchanged"
    assert out.stat().st_mtime_ns == before


def test_a_dry_run_writes_nothing(alrctl: Alrctl, photos: Path, tmp_path: Path) -> None:
    assert alrctl("init", photos, "-o", tmp_path / "pipeline.yaml", "--dry-run").code == 0
    assert list(tmp_path.iterdir()) == []


def test_what_was_ingested_is_looked_at_too(alrctl: Alrctl, finished: Path, tmp_path: Path) -> None:
    ran = alrctl("init", finished / "data", "-o", tmp_path / "pipeline.yaml", "--json")
    assert ran.document["summary"]["layout"] == "ingested"
    assert ran.document["summary"]["splits"].keys() == {"train", "val", "test"}
    found = pipeline.load(tmp_path / "pipeline.yaml")
    assert "ingest" not in found.sections
    assert "data" not in {step.name for step in pipeline.plan(found)}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nowhere",), 3, "nowhere: no such file or directory"),
        (("photos", "--expert", "me"), 2, "--expert: 'me' is not one of file, oracle"),
        (("photos", "--image-size", "0"), 2, "--image-size: '0' should be greater than or equal to 8"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(
    alrctl: Alrctl, photos: Path, tmp_path: Path, monkeypatch: Any, arguments: tuple[str, ...], code: int, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "photos")
    ran = alrctl("init", *arguments)
    assert (ran.code, told in ran.err) == (code, True), ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


# --- the advice ------------------------------------------------------------------------------------------------------


def test_a_large_data_set_without_a_gpu_gets_a_frozen_backbone_if_weights_are_there() -> None:
    large = seen({"a": 30_000, "b": 300}, side=450)
    assert advise(large, gpu=False, weights_installed=True).frozen
    assert not advise(large, gpu=True, weights_installed=True).frozen
    without = advise(large, gpu=False, weights_installed=False)
    assert not without.frozen
    assert "hours" in without.network
    assert not advise(seen({"a": 200, "b": 100}, side=28), gpu=False, weights_installed=True).frozen


def test_images_are_never_enlarged() -> None:
    for side in (9, 20, 28, 50, 96, 300, 2000):
        for gpu in (False, True):
            size = advise(seen({"a": 500, "b": 500}, side), gpu, weights_installed=True).image_size
            assert 8 <= size <= min(side, 224)


def test_the_rounds_leave_most_labels_to_the_program() -> None:
    for count in (20, 200, 5_000, 1_000_000):
        found = advise(seen({"a": count, "b": count // 10}), gpu=False, weights_installed=True)
        assert 1 <= found.rounds * found.budget <= max(3, 0.31 * (count + count // 10))
        assert found.budget <= 300
