"""The answers that a round of an experiment with a real expert waits for."""

from __future__ import annotations

import re
from pathlib import Path

from alrctl import csv_files
from alrctl.answers.bundle import open_bundle
from schemas.errors import DataError, listing

_DOWNLOAD = re.compile(r"(-.+)?-\d{4}-\d\d-\d\d( ?\(\d+\))?\.csv")  # browsers number what is there already


def answers_file(given: Path, queue: Path) -> Path | None:
    """Return a round's answers: `answers` of any suffix, a folder too, or the queue's CSV once it is filled in.

    A review page's download is taken as it is called, `answers-WHO-DATE.csv`.

    Args:
        given: where a file of answers is looked for, `answers.csv`; one of that stem and another suffix will do.
        queue: the queue's CSV.

    Raises:
        DataError: several may be meant, or the queue's CSV has lost its column.
    """
    beside = sorted(given.parent.glob(f"{given.stem}*")) if given.parent.is_dir() else []
    found = [path for path in beside if path.stem == given.stem and not path.name.endswith((".tmp", ".part", "~"))]
    found += [path for path in beside if _DOWNLOAD.fullmatch(path.name.removeprefix(given.stem)) and path not in found]
    if len(found) > 1:
        raise DataError(f"{given.parent}: holds {listing([path.name for path in found])}; leave the answers that count")
    if found:
        return found[0]
    if not queue.is_file():
        return None
    bundle = open_bundle(queue)  # by whatever encoding a spreadsheet saved it in
    table = csv_files.parse_csv(bundle.text(queue.name)[0], str(queue))[0]
    if "label" not in table.columns:
        raise DataError(f"{queue}: column 'label' is missing; it is where the answers go")
    return queue if table["label"].is_not_null().any() else None
