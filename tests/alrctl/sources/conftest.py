"""What the tests of known data sets share: trees of made images in exactly their layouts, and a way to take them in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

Alrctl = Callable[..., Any]


class Trees:
    """Writes images, no two alike, and tables."""

    def __init__(self) -> None:
        self.written = 0

    def image(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(self.written).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        self.written += 1
        return path

    def images(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self.image(path)

    def table(self, path: Path, header: str, rows: Iterable[Sequence[object]]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in [header, *(",".join(map(str, row)) for row in rows)]))
        return path


class Ingested:
    """What `alrctl ingest` made of a source."""

    def __init__(self, alrctl: Alrctl, out: Path, source: Path, *options: object) -> None:
        self.out, self._alrctl = out, alrctl
        self.ran = alrctl("ingest", source, "-o", out, "--image-size", 8, *options)

    @property
    def table(self) -> pl.DataFrame:
        assert self.ran.code == 0, self.ran.err
        labels = pl.read_parquet(self.out / "labels.parquet").select("sample_id", "label")
        return pl.read_parquet(self.out / "samples.parquet").join(labels, on="sample_id", maintain_order="left")

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.table.select("sample_id", "label").iter_rows())

    @property
    def groups(self) -> dict[str, str | None]:
        return dict(self.table.select("sample_id", "group_id").iter_rows())

    @property
    def splits(self) -> dict[str, str]:
        return dict(self.table.select("sample_id", "split").iter_rows())

    @property
    def summary(self) -> dict[str, Any]:
        assert self.ran.code == 0, self.ran.err
        found: dict[str, Any] = json.loads((self.out / "manifest.json").read_text())["summary"]
        return found

    @property
    def classes(self) -> dict[str, Any]:
        assert self.ran.code == 0, self.ran.err
        found: dict[str, Any] = yaml.safe_load((self.out / "classes.yaml").read_text())
        return found

    def of_split(self, split: str) -> dict[str, int]:
        """How many of each class a split has, the classes without a sample left out."""
        return {name: count for name, count in self.summary["by_split"][split].items() if count}

    def refused(self, told: str, code: int = 3) -> None:
        """Hold the run to this: it ended with this message, the whole of it, and left nothing."""
        assert self.ran.code == code, self.ran.err
        assert self.ran.err == f"error: {told}\n"
        assert not self.out.exists()
        assert not [path for path in self.out.parent.iterdir() if path.name.startswith(f".{self.out.name}")]

    def no_group_crosses(self, groups: int) -> None:
        """Hold the splits to this: there are three, of this many groups, and none is in two."""
        found = self.table.drop_nulls("group_id").group_by("group_id").agg(pl.col("split").n_unique())
        assert found["split"].to_list() == [1] * groups
        assert set(self.table["split"]) == {"train", "val", "test"}

    def goes_on(self) -> None:
        """Hold what came out to this: the next stage takes it, and every file is in order."""
        noisy = self.out.with_name("noisy")
        ran = self._alrctl("corrupt", self.out, "--noise", "symmetric", "--rate", 0.3, "-o", noisy)
        assert ran.code == 0, ran.err
        for place in (self.out, noisy):
            ran = self._alrctl("validate", place)
            assert ran.code == 0, ran.err


Ingest = Callable[..., Ingested]


@pytest.fixture
def trees() -> Trees:
    return Trees()


@pytest.fixture
def ingest(alrctl: Alrctl, tmp_path: Path) -> Ingest:
    def run(source: Path, *options: object) -> Ingested:
        return Ingested(alrctl, tmp_path / "out", source, *options)

    return run
