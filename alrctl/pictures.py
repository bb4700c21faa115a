"""The images of chosen samples, for people to look at: the original files where they still stand, else the pack's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from alrctl import artifacts, manifest, table_files
from alrctl.annotators import Picture
from alrctl.image_pack import PACK, open_pixels
from alrctl.images import decode
from alrctl.job import Job
from schemas.errors import MismatchError, plural
from schemas.samples import SAMPLES
from stages.ingest import Fit

Images = Literal["original", "ingested", "none"]
_SLIGHT = 4  # of 255, mean over an image: more than decoders of one file differ by


@dataclass(frozen=True)
class Pictures:
    """Where the images of a data set's samples are to be found.

    Attributes:
        samples: the samples table; None where the data set is not known.
        pack: the ingested images; None where they are not there, or not wanted.
        folders: where the original files may lie, the paths of the samples table counted from there.
        fit: how images were made square.
    """

    samples: Path | None
    pack: Path | None
    folders: tuple[Path, ...]
    fit: Fit = "stretch"

    def of(self, sample_ids: Sequence[str]) -> list[Picture]:
        """Return the picture of each sample; one that the data set does not know has its id for a name.

        Raises:
            DataError: an original file cannot be read.
            MismatchError: one does not hold any more what was ingested.
        """
        if self.samples is None:
            return [Picture(name) for name in sample_ids]
        known = table_files.read_table(self.samples, SAMPLES).with_row_index("row")
        wanted = pl.DataFrame({"sample_id": sample_ids}, schema={"sample_id": pl.String})
        found = wanted.join(known, on="sample_id", how="left", maintain_order="left")
        packed = None if self.pack is None else open_pixels(self.pack)
        made, other = [], []
        for sample_id, source, row in found.select("sample_id", "source", "row").iter_rows():
            pixels = None if packed is None or row is None else packed[row]
            originals = self._originals(source)
            original = next((place for place in originals if pixels is None or self._shows(place, pixels)), None)
            other += originals[:1] if original is None else []
            made.append(Picture(source or sample_id, None if original is not None else pixels, original))
        if other:
            raise MismatchError(
                f"{plural(len(other), 'image')} changed since ingest (first: {other[0]}): an answer would be to "
                "another picture than the network learnt; put the former ones back, or run 'ingest' again"
            )
        return made

    def _originals(self, source: str | None) -> list[Path]:
        places = [] if source is None else [folder / source for folder in self.folders]
        return [place for place in places if place.is_file()]

    def _shows(self, place: Path, pixels: NDArray[np.uint8]) -> bool:
        """Say whether a file holds the picture that was ingested, but for what decoders differ by."""
        found = decode(place, len(pixels), self.fit).pixels
        return bool(np.abs(found.astype(np.int16) - pixels).mean() <= _SLIGHT)


def need_pictures(job: Job, scores: Path, data: Path | None, images: Images) -> Pictures:
    """Record the samples, and the images if wanted, as inputs; the data set is named, or recorded with the scores."""
    place = data if data is not None else artifacts.recorded_input(scores, "samples")
    if place is None:
        return Pictures(None, None, ())
    samples = job.need("samples", place, SAMPLES.file_name)
    pack = job.want("images", samples, PACK, may_be_lost=True) if images != "none" else None
    return Pictures(samples, pack, *(_originals(samples.parent) if images == "original" else ((),)))


def find_pictures(table: Path, data: Path | None) -> Pictures:
    """Return where the images are, for a command that records no inputs; the data set is named, or recorded.

    Raises:
        DataError: the data set that is named is not there.
    """
    place = data if data is not None else artifacts.recorded_input(table, "samples")
    if place is None:
        return Pictures(None, None, ())
    samples = artifacts.find(place, SAMPLES.file_name)
    return Pictures(samples, artifacts.find_optional(samples, PACK, may_be_lost=True), *_originals(samples.parent))


def _originals(data: Path) -> tuple[tuple[Path, ...], Fit]:
    """Return where the original files may lie, what was ingested and the tables' folders among them, and their fit."""
    found = manifest.read(data)
    if found is None or found.stage != "ingest":
        return (), "stretch"
    inputs = [(data / record.path).resolve() for record in found.inputs.values()]
    root = found.options.get("root")
    named = [(data / root).resolve()] if root else []
    folders = [*named, *(path if path.is_dir() else path.parent for path in inputs)]
    return tuple(dict.fromkeys(folders)), found.options.get("fit", "stretch")
