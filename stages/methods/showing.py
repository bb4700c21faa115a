"""How the samples of a queue are shown to annotators."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Showing(BaseModel):
    """Options of whatever writes a queue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: Literal["original", "ingested", "none"] = Field(
        "original",
        description="shown to annotators: the files ingested, where they still stand, or the pixels",
    )
    image_prefix: str = Field(
        "", description="for Label Studio: address that the images' names count from (default: images within the tasks)"
    )
