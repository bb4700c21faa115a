"""The classes of a data set: their names, in order."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.errors import DataError, listing, nearest, plural


class Classes(BaseModel):
    """The content of `classes.yaml`: an index is a place in `names`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = Field(min_length=2, description="in the order of the posterior")
    ordered: bool = Field(default=False, description="whether the classes are grades of one scale")

    @field_validator("names")
    @classmethod
    def _names_are_distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if any(not name.strip() for name in names):
            raise ValueError("a class has an empty name")
        if len(set(names)) < len(names):
            raise ValueError("two classes have the same name")
        return names

    def __len__(self) -> int:
        return len(self.names)

    def indices(self, labels: list[str], source: str, column: str = "label", first_row: int = 1) -> list[int]:
        """Return the index of each label.

        Raises:
            DataError: a label is no class of this data set.
        """
        place = {name: index for index, name in enumerate(self.names)}
        unknown = [(row, label) for row, label in enumerate(labels) if label not in place]
        if unknown:
            raise DataError(unknown_class_message(source, column, unknown, self.names, first_row))
        return [place[label] for label in labels]


def unknown_class_message(
    source: str, column: str, unknown: list[tuple[int, str]], names: tuple[str, ...], first_row: int
) -> str:
    """Say which labels are no class, the first with its row, and the nearest class."""
    row, label = unknown[0]
    what = "value that is no class" if len(unknown) == 1 else "values that are no class"
    guess = nearest(label, names) or f"; the classes are {listing(names, 12)}"
    found = f"{len(unknown):,} {what} of this data set"
    return f"{source}: column '{column}' has {found} (first: row {row + first_row}, '{label}'{guess})"


def check_enough(counts: dict[str, int], least: int, purpose: str) -> None:
    """Refuse classes with fewer than `least` samples.

    Raises:
        DataError: naming each such class and how it can be mended.
    """
    small = {name: count for name, count in counts.items() if count < least}
    if small:
        told = listing([f"'{name}' has {plural(count, 'sample')}" for name, count in small.items()])
        raise DataError(
            f"class {told}; {purpose} needs at least {least} of each class (--exclude-class leaves one out)"
        )
