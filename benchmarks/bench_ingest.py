"""How fast `ingest` reads files, against bare loops of decoding and resizing over the same files, in as many processes.

Both are whole processes, start-up and all. `ingest` reads each file twice, once to tell what is in it, and splits, and
writes tables and pack beside decoding.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from timing import command, in_turns, tell

CLASSES = 7


@dataclass(frozen=True)
class Kind:
    """Files that are read."""

    name: str
    count: int
    side: int
    suffix: str
    target: int


KINDS = (Kind("photographs", 4_000, 600, "jpg", 224), Kind("small", 200_000, 32, "png", 32))


def make_images(kind: Kind, folder: Path) -> None:
    generator = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"c{label}").mkdir(parents=True)
    for index in range(kind.count):
        coarse = generator.integers(0, 255, (kind.side // 4, kind.side // 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((kind.side, kind.side), Image.Resampling.BICUBIC)
        image.save(folder / f"c{index % CLASSES}" / f"{index}.{kind.suffix}")


def bare(folder: Path, target: int, part: int, parts: int) -> None:
    for path in sorted(folder.rglob("*.*"))[part::parts]:
        with Image.open(path) as image:
            np.asarray(image.convert("RGB").resize((target, target), Image.Resampling.BILINEAR, reducing_gap=2.0))


def bare_processes(folder: Path, target: int, parts: int) -> None:
    words = [sys.executable, __file__, "--bare", str(folder), "--target", str(target), "--parts", str(parts)]
    running = [subprocess.Popen([*words, "--part", str(part)]) for part in range(parts)]
    assert [process.wait() for process in running] == [0] * parts


def ingest(folder: Path, out: Path, target: int, workers: int) -> None:
    command("ingest", folder, "-o", out, "--image-size", target, "--workers", workers, "--force")


def compare(kind: Kind, runs: int, workers: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        photos = Path(home) / "photos"
        make_images(kind, photos)
        first: Callable[[], None] = partial(ingest, photos, Path(home) / "data", kind.target, workers)
        second: Callable[[], None] = partial(bare_processes, photos, kind.target, workers)
        name = f"{kind.count:,} {kind.name} ({kind.side} px {kind.suffix} to {kind.target} px), {workers} process(es)"
        tell(name, "bare loop", in_turns(runs, first, second))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bare", type=Path)
    for name in ("target", "part", "parts"):
        parser.add_argument(f"--{name}", type=int)
    given = parser.parse_args()
    if given.bare:
        bare(given.bare, given.target, given.part, given.parts)
        return
    for kind in KINDS:
        for workers in (1, 2):
            compare(kind, given.runs, workers)


if __name__ == "__main__":
    main()
