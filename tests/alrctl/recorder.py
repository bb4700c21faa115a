"""Stands for `alrctl` where a test asks only which commands an engine gives: notes each, and writes what it would.

    python recorder.py NOTES ingest photos -o data

As a step that finds nothing changed, it leaves a manifest that is there alone. It fails once for each word that lies in
NOTES.fail and that is in its output's name.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

notes, words = Path(sys.argv[1]), sys.argv[2:]
out = Path(words[words.index("-o") + 1])
written = out if out.suffix == ".html" else out / "manifest.json"
told = {"words": words, "there": written.exists(), "limits": {name: os.environ.get(name) for name in LIMITS}}
with notes.open("a") as stream:
    stream.write(json.dumps(told) + "\n")
fail = notes.with_suffix(".fail")
if fail.exists() and fail.read_text() in str(out):
    fail.unlink()
    raise SystemExit("failed, as it was told to")
out.parent.mkdir(parents=True, exist_ok=True)
written.parent.mkdir(exist_ok=True)
if not written.exists():
    written.write_text("{}")
