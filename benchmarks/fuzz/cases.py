"""One spoilt file after another, and what came of each."""

from __future__ import annotations

import random
import resource
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alrctl.console import inert
from alrctl.ending import NO_FILE
from benchmarks.fuzz import mutations, seeds
from benchmarks.fuzz.mutations import Mutation
from benchmarks.fuzz.seeds import Seed
from schemas.errors import AlrctlError

READERS: dict[str, tuple[Callable[[], list[Seed]], Mutation]] = {
    "csv": (seeds.csv, mutations.text),
    "ndjson": (seeds.ndjson, mutations.json_text),
    "xml": (seeds.xml, mutations.xml),
    "yaml": (seeds.yaml, mutations.yaml_text),
    "npz": (seeds.npz, mutations.npz),
    "hdf5": (seeds.hdf5, mutations.blind),
    "parquet": (seeds.parquet, mutations.blind),
    "safetensors": (seeds.safetensors, mutations.safetensors),
    "images": (seeds.images, mutations.image),
    "zip": (seeds.zips, mutations.zipped),
}
OWN = ("/alrctl/", "/stages/", "/schemas/")
SLOW = 5.0
"""Seconds that one small file may take."""
_MOST = 512 << 20  # bytes that one small file may take
_LONGEST = 4000  # characters of a message
_OURS = (TypeError, KeyError, IndexError, AttributeError, NameError, AssertionError, ZeroDivisionError)


@dataclass(frozen=True)
class Verdict:
    """What came of a case.

    Attributes:
        kind: accepted, refused or fault.
        told: the message, or what is wrong.
    """

    kind: str
    told: str = ""


@cache
def seeds_of(reader: str) -> tuple[Seed, ...]:
    """Return the valid files of a reader."""
    return tuple(READERS[reader][0]())


def spoilt(reader: str, seed: int, number: int) -> tuple[Seed, bytes]:
    """Return a case: always the same for the same seed and number."""
    rng = random.Random(f"{seed} {reader} {number}")
    one = rng.choice(seeds_of(reader))
    return one, READERS[reader][1](rng, one.content)


def judge(one: Seed, content: bytes, folder: Path) -> Verdict:
    """Give a file to all that reads it; accepted is what all of them accept."""
    path = place(one, content, folder)
    refused = ""
    for call in one.calls:
        verdict = _judged(call, path)
        if verdict.kind == "fault":
            return verdict
        refused = refused or verdict.told
    return Verdict("refused", refused) if refused else Verdict("accepted")


def place(one: Seed, content: bytes, folder: Path) -> Path:
    """Write a case into an empty folder, with what it names beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, other in (*one.beside, (one.name, content)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(other)
    return folder / one.name


def _judged(call: Callable[[Path], object], path: Path) -> Verdict:
    began, most = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verdict = _outcome(call, path)
    if verdict.kind != "fault" and (took := time.perf_counter() - began) > SLOW:
        return Verdict("fault", f"slow: {took:.1f} s ({verdict.kind}: {verdict.told[:200]})")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most) << 10
    if verdict.kind != "fault" and grown > _MOST:
        return Verdict("fault", f"memory: {grown >> 20} MiB ({verdict.kind}: {verdict.told[:200]})")
    return verdict


def _outcome(call: Callable[[Path], object], path: Path) -> Verdict:
    try:
        call(path)
    except AlrctlError as error:
        return _refusal(error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except OSError as error:
        if error.errno in NO_FILE:  # told in one line wherever it arises
            return Verdict("refused", str(error))
        return Verdict("fault", f"{type(error).__name__}: {str(error)[:200]}\n{_where(error)}")
    except BaseException as error:  # what Rust panics with is no Exception
        return Verdict("fault", f"{type(error).__name__}: {str(error)[:200]}\n{_where(error)}")
    return Verdict("accepted")


def _refusal(error: AlrctlError) -> Verdict:
    """Return what a clear refusal is: one line that can be printed, and behind it no mistake of the program's own."""
    told = inert(str(error), _LONGEST)
    if "\n" in told or len(str(error)) > 100 * _LONGEST or not told.strip():
        return Verdict("fault", f"message: {told[:300]!r} ({len(told)} characters)")
    cause: BaseException | None = error
    while (cause := cause.__cause__) is not None:
        last = traceback.extract_tb(cause.__traceback__)[-1:]
        ours = bool(last) and any(part in last[0].filename for part in OWN)
        if isinstance(cause, MemoryError) or (ours and isinstance(cause, _OURS)):
            return Verdict("fault", f"behind '{told[:100]}': {type(cause).__name__}: {cause}\n{_where(cause)}")
    return Verdict("refused", told)


def _where(error: BaseException) -> str:
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if any(part in frame.filename for part in OWN)
    ]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))


def run(reader: str, seed: int, numbers: Sequence[int], folder: Path) -> list[Verdict]:
    """Return what came of some cases, in order."""
    return [judge(*spoilt(reader, seed, number), folder / reader) for number in numbers]
