"""Give thousands of spoilt files to each of the program's readers, and count what comes of them.

python -m benchmarks.fuzz [--cases 10000] [--seed 0] [--only READER ...] [--keep FOLDER]

Each case is a valid file, spoilt; it is always the same for the same seed and number. A reader takes it or refuses it
in one clear line; whatever else happens is a fault: any other exception, a message that is no line, more than 5
seconds, more than 512 MiB, the end of the process. What a fault is made of is kept in a folder, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_HANGS = 20.0  # seconds without a word, after which a process is ended
_ROOM = 4 << 30  # bytes of address space beyond what the libraries take


def main() -> int:
    """Run."""
    told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    told.add_argument("--cases", type=int, default=10_000, help="of each reader")
    told.add_argument("--seed", type=int, default=0)
    told.add_argument("--only", nargs="*", default=[], metavar="READER")
    told.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="where faults are kept")
    told.add_argument("--worker", nargs=2, type=int, metavar=("FROM", "TO"), help=argparse.SUPPRESS)
    given = told.parse_args()
    if given.worker:
        return _work(given.only[0], given.seed, range(*given.worker))
    from benchmarks.fuzz.cases import READERS

    unknown = [name for name in given.only if name not in READERS]
    if unknown:
        told.error(f"no reader '{unknown[0]}'; there are {', '.join(READERS)}")
    print("| reader | cases | accepted | refused | faults | seconds |\n|---|---|---|---|---|---|", flush=True)
    return int(any([_told(name, given) for name in given.only or READERS]))  # every one is run


def _told(reader: str, given: argparse.Namespace) -> int:
    """Run one reader's cases, print a row of the table, keep its faults; return how many there are."""
    began, counts, faults = time.perf_counter(), {"accepted": 0, "refused": 0, "fault": 0}, {}
    for number, kind, told in _verdicts(reader, given.seed, given.cases):
        counts[kind] += 1
        if kind == "fault":
            faults.setdefault(told.split("\n")[-1] if "\n" in told else told[:40], []).append((number, told))
    if faults:
        _keep(reader, given, [found for same in faults.values() for found in same[:3]])
    row = (reader, given.cases, *counts.values(), round(time.perf_counter() - began))
    print("| " + " | ".join(map(str, row)) + " |", flush=True)
    for same in faults.values():
        print(f"  {reader} {same[0][0]} ({len(same)} alike): {same[0][1]}", file=sys.stderr, flush=True)
    return counts["fault"]


def _keep(reader: str, given: argparse.Namespace, faults: list[tuple[int, str]]) -> None:
    """Write the files that gave a fault, at most three of those alike, and what it was."""
    from benchmarks.fuzz.cases import place, spoilt

    for number, told in faults:
        folder = given.keep / f"{reader}-{given.seed}-{number}"
        place(*spoilt(reader, given.seed, number), folder)
        (folder / "fault.txt").write_text(told + "\n", errors="backslashreplace")


def _verdicts(reader: str, seed: int, cases: int) -> Iterator[tuple[int, str, str]]:
    """Give number, kind and words of each case; where a process ends, another goes on after the case it ended in."""
    done = 0
    while done < cases:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--only", reader, "--seed", str(seed)]
        with subprocess.Popen(
            [*command, "--worker", str(done), str(cases)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            for number, kind, told in _heard(process):
                yield number, kind, told
                done = number + 1
        if done < cases:
            code = process.returncode
            yield done, "fault", f"hang: nothing for {_HANGS:g} s" if code == -9 else f"crash: ended with {code}"
            done += 1


def _heard(process: subprocess.Popen[bytes]) -> Iterator[Any]:
    """Give what a process says, until it ends or is ended for saying nothing."""
    assert process.stdout is not None
    pending, patience = b"", 300.0  # the libraries and the valid files take a while
    while select.select([process.stdout], [], [], patience)[0]:
        read = os.read(process.stdout.fileno(), 1 << 16)
        if not read:
            return
        patience = _HANGS
        *lines, pending = (pending + read).split(b"\n")
        yield from (json.loads(line) for line in lines if line != b"ready")
    process.kill()


def _work(reader: str, seed: int, numbers: range) -> int:
    """Judge cases one after the other, and say so of each at once."""
    from benchmarks.fuzz.cases import judge, seeds_of, spoilt

    with TemporaryDirectory() as folder:
        for one in seeds_of(reader):
            found = judge(one, one.content, Path(folder) / reader)
            assert found.kind == "accepted" or one.name.startswith(("ledger", "folders")), (one.name, found)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + _ROOM, size + _ROOM))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.write(1, b"ready\n")
        for number in numbers:
            found = judge(*spoilt(reader, seed, number), Path(folder) / reader)
            line = json.dumps([number, found.kind, found.told if found.kind == "fault" else ""])
            with suppress(BrokenPipeError):
                os.write(1, line.encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
