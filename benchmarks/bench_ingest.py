"""How fast `ingest` decodes, against a bare loop of decoding and resizing over the same files, on one thread each."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from timing import in_turns, tell

from alrctl.images import write_pack
from stages.report import SilentReport

COUNT, SIDE, TARGET = 1000, 400, 64


def make_images(folder: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    smooth = generator.integers(0, 255, (COUNT, 12, 12, 3), dtype=np.uint8)
    paths = []
    for index, small in enumerate(smooth):
        paths.append(folder / f"{index}.jpg")
        Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def bare(paths: list[Path]) -> None:
    for path in paths:
        with Image.open(path) as image:
            np.asarray(image.convert("RGB").resize((TARGET, TARGET), Image.Resampling.BILINEAR, reducing_gap=2.0))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(Path(folder))
        getters = [partial(Path, path) for path in paths]
        for workers in (1, 2):
            pack = partial(
                write_pack, Path(folder) / "pack", list(getters), TARGET, "stretch", False, workers, SilentReport()
            )
            tell(f"{COUNT} images, {workers} thread(s)", "bare loop", in_turns(5, pack, partial(bare, paths)))


if __name__ == "__main__":
    main()
