"""The images of chosen samples, for people to look at: the original files where they still stand, else the pack's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from alrctl import artifacts, manifest, table_files
from alrctl.annotators import Picture
from alrctl.image_pack import PACK, open_pixels
from alrctl.job import Job
from schemas.samples import SAMPLES

Images = Literal["original", "ingested", "none"]


@dataclass(frozen=True)
class Pictures:
    """Where the images of a data set's samples are to be found.

    Attributes:
        samples: the samples table; None where the data set is not known.
        pack: the ingested images; None where they are not there, or not wanted.
        folders: where the original files may lie, the paths of the samples table counted from there.
    """

    samples: Path | None
    pack: Path | None
    folders: tuple[Path, ...]

    def of(self, sample_ids: Sequence[str]) -> list[Picture]:
        """Return the picture of each sample; one that the data set does not know has its id for a name."""
        if self.samples is None:
            return [Picture(name) for name in sample_ids]
        known = table_files.read_table(self.samples, SAMPLES).with_row_index("row")
        wanted = pl.DataFrame({"sample_id": sample_ids}, schema={"sample_id": pl.String})
        found = wanted.join(known, on="sample_id", how="left", maintain_order="left")
        packed = None if self.pack is None else open_pixels(self.pack)
        made = []
        for sample_id, source, row in found.select("sample_id", "source", "row").iter_rows():
            original = self._original(source)
            pixels = None if original is not None or packed is None or row is None else packed[row]
            made.append(Picture(source or sample_id, pixels, original))
        return made

    def _original(self, source: str | None) -> Path | None:
        places = [] if source is None else [folder / source for folder in self.folders]
        return next((place for place in places if place.is_file()), None)


def need_pictures(job: Job, scores: Path, data: Path | None, images: Images) -> Pictures:
    """Record the samples, and the images if wanted, as inputs; the data set is named, or recorded with the scores."""
    place = data if data is not None else artifacts.recorded_input(scores, "samples")
    if place is None:
        return Pictures(None, None, ())
    samples = job.need("samples", place, SAMPLES.file_name)
    pack = job.want("images", samples, PACK) if images != "none" else None
    return Pictures(samples, pack, _folders(samples.parent) if images == "original" else ())


def find_pictures(table: Path, data: Path | None) -> Pictures:
    """Return where the images are, for a command that records no inputs; the data set is named, or recorded.

    Raises:
        DataError: the data set that is named is not there.
    """
    place = data if data is not None else artifacts.recorded_input(table, "samples")
    if place is None:
        return Pictures(None, None, ())
    samples = artifacts.find(place, SAMPLES.file_name)
    return Pictures(samples, artifacts.find_optional(samples, PACK), _folders(samples.parent))


def _folders(data: Path) -> tuple[Path, ...]:
    """Return where the original files may lie: what was ingested, and the folders of the tables beside it."""
    found = manifest.read(data)
    if found is None or found.stage != "ingest":
        return ()
    inputs = [(data / record.path).resolve() for record in found.inputs.values()]
    root = found.options.get("root")
    named = [Path(root)] if root else []
    return tuple(dict.fromkeys([*named, *(path if path.is_dir() else path.parent for path in inputs)]))
