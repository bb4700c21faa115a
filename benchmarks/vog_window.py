r"""How the way gradients are taken bears on what co-teaching + VOG picks by their variance.

One training goes on as the program does it (gradients from the training pass, float32). Beside it, at every batch past
the warm-up, the picks are made again (a) with the window's features in half precision, (b) with gradients from a clean
pass at each epoch's end (no augmentation, dropout off, batch norm as trained); and for scale (c) with the variance
shuffled, which is random choice. Printed, as mean over the seeds: of the picks by variance, the share that is the same,
and the share whose label is right.

python benchmarks/vog_window.py WORK/data --labels WORK/noisy0 WORK/noisy1 WORK/noisy2 \
    --config benchmarks/ham_frozen.yaml --set forget-rate=0.4
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import torch
import yaml
from torch import Tensor, nn

from alrctl.commands import train_lnl as command
from alrctl.dataset import read_data, read_images
from stages.methods import coteaching
from stages.methods.variance_of_gradients import residuals
from stages.report import NoStore, SilentReport
from stages.train_lnl import TrainLnlConfig, _inputs, _network
from stages.training import device as devices
from stages.training.fit import fit
from stages.training.learning import Examples, Rule
from stages.training.objective import Memoryless
from stages.training.picking import PickSmallLoss, SmallLossOptions
from stages.training.plan import FitPlan
from stages.training.predict import predict
from stages.training.recipe import small_loss_options
from stages.training.signals import EpochSignals, GradientWindow


class Watcher(PickSmallLoss):
    """Picks as ever, and counts how other windows would have picked."""

    def __init__(self, options: SmallLossOptions, networks: list[nn.Module], examples: Examples, right: Tensor) -> None:
        super().__init__(options)
        self.networks, self.examples, self.right = networks, examples, right
        self.windows = {"half precision": GradientWindow(), "clean pass": GradientWindow()}
        self.variances: dict[tuple[str, int], Tensor] = {}
        self.same: dict[str, list[float]] = defaultdict(list)
        self.hits: dict[str, list[float]] = defaultdict(list)

    def begin(self, epoch: int) -> None:
        """Take the variances of all windows."""
        super().begin(epoch)
        self.variances = {}
        for network, variance in self._variance.items():
            for name, window in self.windows.items():
                found = window.variance(network)
                assert found is not None
                self.variances[name, network] = found
            order = torch.randperm(len(variance), generator=torch.Generator().manual_seed(epoch))
            self.variances["shuffled", network] = variance[order]

    def pick(self, network: int, places: Tensor, loss: Tensor) -> Tensor:
        """Return the picks, and note those that other windows would have made."""
        picks = super().pick(network, places, loss)
        count = coteaching.how_many(self.forget_rate, len(places))
        by_loss = int(count * (1 - self.options.mix_ratio) + 1e-9)
        if (self._epoch > self.options.num_gradual and network in self._variance) and len(picks) > by_loss:
            self._note("as trained", picks[by_loss:], picks[by_loss:], places)
            for (name, number), variance in self.variances.items():
                if number == network:
                    mix = self.options.mix_ratio
                    other = coteaching.small_loss_and_variance(loss, variance[places], count, mix)
                    self._note(name, other[by_loss:], picks[by_loss:], places)
        return picks

    def _note(self, name: str, picks: Tensor, usual: Tensor, places: Tensor) -> None:
        self.same[name].append(float(torch.isin(picks, usual).float().mean()))
        self.hits[name].append(float(self.right[places[picks]].float().mean()))

    def end(self, epoch: int, signals: EpochSignals, labels: Tensor, window: GradientWindow) -> None:
        """Take the epoch's gradients into all windows."""
        half = {k: v.half() if k.startswith("features") else v for k, v in self._gradients.items()}
        self.windows["half precision"].add(epoch, half)
        clean: dict[str, Any] = {}
        for index, network in enumerate(self.networks):
            found = predict([network], self.examples.inputs, self.examples.rows, torch.device("cpu"), "float32")
            clean[f"features{index}"] = found.embeddings
            clean[f"residual{index}"] = residuals(found.posterior, labels, self.options.all_classes)
        self.windows["clean pass"].add(epoch, clean)
        super().end(epoch, signals, labels, window)


def watch(data: Path, noisy: Path, options: dict[str, Any], seed: int) -> Watcher:
    config = TrainLnlConfig(**{**options, "method": "coteaching-vog", "seed": seed})
    dataset = read_data(data / "samples.parquet", data / "classes.yaml")
    pack = data / "images.safetensors"
    target: Any = type("Quiet", (), {"report": SilentReport()})()
    spec = command._spec(config, read_images(pack, dataset).shape[1])
    weights = command._backbone(config, spec, target)
    inputs = command._inputs(config, dataset, noisy / "labels.parquet", pack, spec, weights, target)
    truth = pl.read_parquet(noisy / "truth.parquet").select("sample_id", "true_label")
    given = pl.read_parquet(noisy / "labels.parquet").join(truth, on="sample_id", maintain_order="left")
    right = dict(zip(given["sample_id"], (given["label"] == given["true_label"]), strict=True))
    networks = [_network(inputs, seed, number) for number in (1, 2)]
    cpu = devices.choose("cpu")
    batches = _inputs(config, inputs, cpu)
    count = len(inputs.classes)
    examples = Examples(batches, inputs.rows, inputs.labels, inputs.val_rows, inputs.val_labels, count)
    watcher = Watcher(
        small_loss_options(config, count),
        networks,
        examples,
        torch.tensor([right[name] for name in inputs.sample_ids]),
    )
    fit(networks, examples, Rule(watcher, Memoryless()), FitPlan.of(config, cpu), SilentReport(), NoStore())
    return watcher


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("data", type=Path)
    words.add_argument("--labels", type=Path, nargs="+", required=True)
    words.add_argument("--config", type=Path, required=True)
    words.add_argument("--set", nargs="*", default=[], help="option=value, over the config's")
    given = words.parse_args()
    read = yaml.safe_load(given.config.read_text())
    read |= {name: yaml.safe_load(value) for name, _, value in (word.partition("=") for word in given.set)}
    options = {name.replace("-", "_"): value for name, value in read.items()}
    same: dict[str, list[float]] = defaultdict(list)
    hits: dict[str, list[float]] = defaultdict(list)
    for seed, noisy in enumerate(given.labels):
        watcher = watch(given.data, noisy, options, seed)
        for name in watcher.same:
            same[name].append(statistics.mean(watcher.same[name]))
            hits[name].append(statistics.mean(watcher.hits[name]))
    print("| gradients | same picks | label right |")
    print("|---|---|---|")
    for name in same:
        cells = [f"{statistics.mean(v):.4f} ± {statistics.pstdev(v):.4f}" for v in (same[name], hits[name])]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
