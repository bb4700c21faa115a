"""What the commands of the pages name, made small, each when a command first names it. Nothing here is a test."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import timm
import torch
import yaml
from safetensors.torch import save_file

from tests.alrctl.pages import ROOT, Page
from tests.alrctl.sources import test_drd, test_histopathology, test_isic, test_kvasir, test_medmnist
from tests.alrctl.sources.conftest import Trees

Alrctl = Callable[..., Any]
SIDE = 16
QUICK: dict[str, dict[str, Any]] = {
    "ingest": {"image-size": SIDE},
    "train-lnl": {"epochs": 1, "num-gradual": 1, "batch-size": 32},
    "select": {"pool": "all"},
    "recalibrate": {"epochs": 1, "batch-size": 32},
    "evaluate": {"bootstrap": 0, "figures": False},
}
"""What a pipeline file is given instead of what it says."""


@dataclass(frozen=True)
class Sandbox:
    """A folder in which the commands of a page are run."""

    root: Path
    page: Page
    photos: Path
    finished: Path
    alrctl: Alrctl

    def make(self, word: str) -> None:
        """Make what a word of a command names, if it is known how and it is not there."""
        for pattern, maker in MAKERS.items():
            if (named := re.match(rf"({pattern})(?=/|$)", word)) and not (self.root / named[1]).exists():
                maker(self, self.root / named[1])

    def run(self, *words: object) -> None:
        """Run a command that prepares something."""
        ran = self.alrctl(*words)
        assert ran.code == 0, ran.err


def quick(text: str) -> str:
    """Make a pipeline file quick: one round, one of each alternative, nothing to download, no page."""
    content = yaml.safe_load(text)
    content |= {"rounds": 1, "report": False}
    if "matrix" in content:
        content["matrix"] = {axis: values[:1] for axis, values in content["matrix"].items()}
    if "strategies" in content:
        content["strategies"] = content["strategies"][-1:]
    for stage, options in QUICK.items():
        content[stage] = content.get(stage, {}) | options
    content["train-lnl"] |= {"train": "all", "backbone": "test_resnet", "weights": "none"}
    return yaml.safe_dump(content, sort_keys=False)


# --- data sets -------------------------------------------------------------------------------------------------------


def write_photos(sandbox: Sandbox, path: Path) -> None:
    shutil.copytree(sandbox.photos, path)


def write_isic(sandbox: Sandbox, path: Path) -> None:
    trees = Trees()
    test_isic.write_training(trees, path)
    test_isic.write_test(trees, path)


def write_ham10000(sandbox: Sandbox, path: Path) -> None:
    trees = Trees()
    kinds = ("nv", "nv", "nv", "mel", "akiec")
    rows = [(f"HAM_{number // 2:07d}", f"ISIC_{number:07d}", kinds[number // 2 % 5]) for number in range(100)]
    trees.images(path / f"HAM10000_images_part_{1 + number % 2}/ISIC_{number:07d}.jpg" for number in range(100))
    trees.table(path / "HAM10000_metadata.csv", "lesion_id,image_id,dx", rows)


def write_2015(sandbox: Sandbox, path: Path) -> None:
    trees = Trees()
    test_drd.write_2015(trees, path)
    test_drd.write_2015_test(trees, path)


def write_2019(sandbox: Sandbox, path: Path) -> None:
    test_drd.write_aptos(Trees(), path)


def write_hyper_kvasir(sandbox: Sandbox, path: Path) -> None:
    trees = Trees()
    test_kvasir.write(trees, path)
    trees.images(path / f"labeled-images/lower-gi-tract/anatomical-landmarks/pylorus/{n}.jpg" for n in range(5))


def write_crc(sandbox: Sandbox, path: Path) -> None:
    trees = Trees()
    test_histopathology.write(trees, path / "NCT-CRC-HE-100K", each=10)
    test_histopathology.write(trees, path / "CRC-VAL-HE-7K", each=2)


def write_pathmnist(sandbox: Sandbox, path: Path) -> None:
    test_medmnist.write(path, classes=9)


def write_pneumonia(sandbox: Sandbox, path: Path) -> None:
    test_medmnist.write(path, classes=2)


def write_cells(sandbox: Sandbox, path: Path) -> None:
    test_medmnist.write(path, classes=3)


def write_list(sandbox: Sandbox, path: Path) -> None:
    """Write a table with the columns that the page names, and its images below `images`."""
    trees = Trees()
    trees.images(path.with_name("images") / f"{number}.png" for number in range(60))
    rows = [(f"{number}.png", ("nv", "mel", "df")[number // 2 % 3], f"p{number // 2}") for number in range(60)]
    trees.table(path, "file,diagnosis,patient", rows)


# --- answers, predictions, what is known of patients -----------------------------------------------------------------


def answer(queue: Path, answers: Path, annotator: str = "me") -> None:
    """Answer a queue: the first class of all for every second sample."""
    table = pl.read_csv(queue, infer_schema=False)
    said = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("blue"))
    table.with_columns(label=said, annotator=pl.lit(annotator)).write_csv(answers)


def write_answers(sandbox: Sandbox, path: Path) -> None:
    answer(sandbox.root / "work/r1/queue/queue.csv", path)


def write_audit(sandbox: Sandbox, path: Path) -> None:
    answer(sandbox.root / "work/audit/queue.csv", path)


def write_settled(sandbox: Sandbox, path: Path) -> None:
    """Let two annotators differ about the first round's queue, and a third settle what they left."""
    queue, labels = sandbox.root / "work/r1/queue", sandbox.root / "work/r1/labels"
    for name, label in (("a", "blue"), ("b", "green")):
        told = pl.read_csv(queue / "queue.csv", infer_schema=False).with_columns(
            label=pl.lit(label), annotator=pl.lit(name)
        )
        told.write_csv(sandbox.root / f"{name}.csv")
    base = sandbox.root / "work/noisy"
    sandbox.run("relabel", base, "--queue", queue, "--answers", sandbox.root / "a.csv", "-o", sandbox.root / "work/a")
    again = ("--queue", queue, "--answers", sandbox.root / "b.csv", "-o", labels, "--force")
    sandbox.run("relabel", sandbox.root / "work/a", *again)
    answer(labels / "queue.csv", path, "judge")


def write_packet_of(number: int, name: str) -> Callable[[Sandbox, Path], None]:
    """Fill in the packet of an annotator, by the annotator's number."""

    def write(sandbox: Sandbox, path: Path) -> None:
        answer(sandbox.root / f"work/r1/packets/{number}-{name}.csv", path, name)

    return write


def samples(sandbox: Sandbox) -> pl.DataFrame:
    return pl.read_parquet(sandbox.root / "work/data/samples.parquet")


def write_predictions(sandbox: Sandbox, path: Path) -> None:
    chances = {name: pl.lit(share) for name, share in (("blue", 0.5), ("green", 0.25), ("red", 0.25))}
    samples(sandbox).filter(split="test").select("sample_id", **chances).write_csv(path)


def write_patients(sandbox: Sandbox, path: Path) -> None:
    number = pl.int_range(pl.len())
    sex = pl.when(number % 2 == 0).then(pl.lit("female")).otherwise(pl.lit("male"))
    samples(sandbox).select("sample_id", sex=sex, age=30 + number % 50).write_csv(path)


def write_costs(sandbox: Sandbox, path: Path) -> None:
    path.write_text("true,blue,green,red\nblue,0,1,2\ngreen,1,0,1\nred,2,1,0\n")


def write_run(sandbox: Sandbox, path: Path) -> None:
    """Go on from the finished project's queue once more, by an expert whose time is known."""
    work, seed = sandbox.root / "work", path.name[-1]
    answers = ("--queue", work / "r1/queue", "--oracle", work / "data", "--oracle-seconds", 20)
    sandbox.run("relabel", work / "noisy", *answers, "-o", path / "labels")
    training = ("--labels", path / "labels", "--checkpoint", work / "lnl", "--epochs", 1, "--seed", seed)
    sandbox.run("recalibrate", work / "data", *training, "-o", path / "model")
    for model, name in ((work / "lnl", "before"), (path / "model", "eval")):
        told = ("--checkpoint", model, "--bootstrap", 0, "--no-figures")
        sandbox.run("evaluate", work / "data", *told, "-o", path / name)


# --- pipeline files --------------------------------------------------------------------------------------------------


def write_of_seed(sandbox: Sandbox, path: Path) -> None:
    """Write the page's own pipeline file, of one seed."""
    told = next(block for block in sandbox.page.blocks("yaml") if "output: seed0" in block)
    seed = path.stem.removeprefix("seed")
    path.write_text(quick(told.replace("output: seed0", f"output: seed{seed}").replace("seed: 0\n", f"seed: {seed}\n")))


def write_example(sandbox: Sandbox, path: Path) -> None:
    """Copy an example, made quick, with the data set beside it that it names."""
    text = (ROOT / "examples" / path.name).read_text()
    path.parent.mkdir(exist_ok=True)
    path.write_text(quick(text))
    sandbox.make(f"examples/{yaml.safe_load(text)['source']}")


# --- weights ---------------------------------------------------------------------------------------------------------


def write_moco(sandbox: Sandbox, path: Path) -> None:
    backbone = timm.create_model("resnet18", num_classes=0).state_dict()
    torch.save({"state_dict": {f"module.encoder_q.{name}": one for name, one in backbone.items()}}, path)


def write_vit(sandbox: Sandbox, path: Path) -> None:
    """Write a transformer's file, and take the images in once more: four patches an image are the fewest it can do."""
    save_file(timm.create_model("vit_tiny_patch16_224").state_dict(), path)
    data, noisy = sandbox.root / "work/data", sandbox.root / "work/noisy"
    sandbox.run("ingest", sandbox.photos, "-o", data, "--image-size", 32)
    sandbox.run("corrupt", data, "--rate", 0.4, "-o", noisy)


def write_scores(sandbox: Sandbox, path: Path) -> None:
    place = sandbox.root / "work"
    made_of = ("--labels", place / "noisy", "--checkpoint", place / "lnl")
    sandbox.run("score", place / "data", *made_of, "-o", path)


MAKERS: dict[str, Callable[[Sandbox, Path], None]] = {
    "photos": write_photos,
    "isic": write_isic,
    r"(?:examples/)?ham(?:10000)?": write_ham10000,
    "retina2015": write_2015,
    "retina2019": write_2019,
    "hyper-kvasir": write_hyper_kvasir,
    r"(?:examples/)?crc": write_crc,
    r"pathmnist_64\.npz": write_pathmnist,
    r"pneumoniamnist_28\.npz": write_pneumonia,
    r"bccd_cells3_40\.npz": write_cells,
    r"list\.csv": write_list,
    r"answers\.csv": write_answers,
    r"answers-lee-[-0-9]+\.csv": write_answers,
    r"audit\.csv": write_audit,
    r"settled\.csv": write_settled,
    r"answers-ann-[-0-9]+\.csv": write_packet_of(1, "ann"),
    r"bob\.csv": write_packet_of(2, "bob"),
    r"theirs\.csv": write_predictions,
    r"patients\.csv": write_patients,
    r"costs\.csv": write_costs,
    r"run[0-9]": write_run,
    r"seed[0-9]\.yaml": write_of_seed,
    r"examples/\w+\.yaml": write_example,
    r"moco\.pth": write_moco,
    r"vit_tiny\.safetensors": write_vit,
    r"work/frozen/[\w./-]+/scores-cv5": write_scores,
}
"""By what a command calls it (a regular expression), how it is made."""
