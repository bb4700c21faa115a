"""The place a stage's outputs are written to, before they are put in place together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from alrctl import csv_files, files, manifest, processes, table_files
from alrctl.console import LiveReport
from alrctl.workplace import Workplace
from schemas.contract import Contract


class Target:
    """The place a stage's outputs are written to, before they are put in place together."""

    def __init__(self, workplace: Workplace, report: LiveReport) -> None:
        self.directory = workplace.new
        self.state = workplace.state
        self.report = report
        self.device = "cpu"
        self._rows: dict[str, int] = {}

    def path(self, name: str) -> Path:
        """Return where the file of that name is to be written."""
        return self.directory / name

    def begin_writing(self) -> None:
        """Say that all is computed: of several processes only the first goes on."""
        processes.leave_unless_first()

    def table(self, frame: pl.DataFrame, contract: Contract) -> None:
        """Write a table under its usual name."""
        table_files.write_table(frame, self.path(contract.file_name), contract)
        self._rows[contract.file_name] = frame.height

    def tables(self, frames: Iterable[pl.DataFrame], contract: Contract) -> None:
        """Write tables as one, under its usual name, without holding more than one of them."""
        self._rows[contract.file_name] = table_files.write_tables(frames, self.path(contract.file_name), contract)

    def csv(self, frame: pl.DataFrame, name: str) -> None:
        """Write a CSV for people."""
        csv_files.write_csv(frame, self.path(name))
        self._rows[name] = frame.height

    def records(self) -> dict[str, manifest.OutputRecord]:
        """Return the manifest's record of each file written."""
        return {
            path.name: manifest.OutputRecord(
                sha256=files.sha256(path), bytes=path.stat().st_size, rows=self._rows.get(path.name)
            )
            for path in sorted(self.directory.iterdir())
        }
