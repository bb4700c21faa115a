"""Trained weights for a backbone, found by name in what programs of many kinds leave.

Names in files differ by what stands before them: `module.`, `backbone.`, `module.encoder_q.`, `teacher.backbone.`. The
beginning is taken under which most of the backbone's tensors are found with their shape.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor

from schemas.errors import DataError, plural

_LESSER = re.compile(r"(^|\.)(encoder_k|key_encoder|momentum_\w+|\w+_momentum|student\w*|target\w*)\.")
_HEADS = re.compile(
    r"(^|[._])(fc|classifier|heads?|last_linear|aux\w*|proj|projector|projection(_head)?|projection_\w+|predictor|"
    r"prediction_head|prototypes|queue(_ptr)?|mask_token|center)\d*(\.|$)",
    re.IGNORECASE,
)
_OLD_NAMES = (  # as torchvision's own files still have them
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\."), r"\1\2."),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)


@dataclass(frozen=True)
class Matched:
    """A backbone's tensors, and what a person should know of how they were found.

    Attributes:
        tensors: by the backbone's names, in its order, shapes and types.
        notes: one a sentence; empty where nothing but a classifier or projection was left out.
    """

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


def match(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str, children: Sequence[str] = ()
) -> Matched:
    """Find a backbone's tensors among those of a file.

    Of two encoders in one file the query, online or teacher encoder is taken. Weights for three channels are summed
    where the backbone takes one; position embeddings are resampled to the backbone's grid.

    Args:
        given: the file's tensors by name.
        wanted: the backbone's.
        source: the file, for messages.
        children: names of the backbone's parts in order, for files that name them by number.

    Raises:
        DataError: tensors of the backbone are missing, or of another shape.
    """
    given = {_modern(name): tensor for name, tensor in given.items()}
    names = {_numbered(name, children): name for name in wanted} | {name: name for name in wanted}
    prefix = _prefix(given, wanted, names)
    there = {names[_under(prefix, name)]: name for name in given if _under(prefix, name) in names}
    taken = {name: full for name, full in there.items() if _fits(given[full], wanted[name])}
    missing = [name for name in wanted if name not in taken]
    if any(not name.endswith("num_batches_tracked") for name in missing):
        others = [name for name in missing if name in there]
        raise DataError(_unfit(given, wanted, missing, {name: there[name] for name in others}, source))
    tensors = {name: _adapted(given[taken[name]], own) if name in taken else own for name, own in wanted.items()}
    return Matched(tensors, tuple(_notes(given, wanted, taken, prefix, source)))


def _modern(name: str) -> str:
    for old, new in _OLD_NAMES:
        name = old.sub(new, name)
    return name


def _numbered(name: str, children: Sequence[str]) -> str:
    first, dot, rest = name.partition(".")
    return f"{children.index(first)}{dot}{rest}" if first in children else name


def _prefixes(name: str) -> Iterator[tuple[str, str]]:
    """Give each beginning of a name that ends with a dot, the empty one first, and what follows it."""
    yield "", name
    for place, letter in enumerate(name):
        if letter == ".":
            yield name[: place + 1], name[place + 1 :]


def _under(prefix: str, name: str) -> str:
    """Return what follows a prefix; the empty string, which names no tensor, where the name begins otherwise."""
    return name[len(prefix) :] if name.startswith(prefix) else ""


def _prefix(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], names: Mapping[str, str]) -> str:
    """Return the prefix under which most tensors fit, or are at least named; of equals the better encoder's."""
    fitting, named = Counter[str](), Counter[str]()
    for name, tensor in given.items():
        for prefix, rest in _prefixes(name):
            if rest in names:
                named[prefix] += 1
                fitting[prefix] += _fits(tensor, wanted[names[rest]])
    return max(named, key=lambda it: (fitting[it], not _LESSER.search(it), named[it]), default="")


def _fits(found: Tensor, wanted: Tensor) -> bool:
    return found.shape == wanted.shape or _one_channel(found, wanted) or _grids(found, wanted) is not None


def _one_channel(found: Tensor, wanted: Tensor) -> bool:
    """Whether a convolution of three channels can be that of one: (out, 3, k, k) and (out, 1, k, k)."""
    return found.dim() == 4 and found.shape[1] == 3 and wanted.shape == (len(found), 1, *found.shape[2:])


def _grids(found: Tensor, wanted: Tensor) -> tuple[int, int, int] | None:
    """Return prefix tokens and both sides of the grids of position embeddings (1, tokens + side^2, D)."""
    if found.dim() != 3 or wanted.dim() != 3 or len(found) != 1 or found.shape[::2] != wanted.shape[::2]:
        return None
    for tokens in range(6):
        sides = [math.isqrt(max(part.shape[1] - tokens, 0)) for part in (found, wanted)]
        if all(side > 1 and side**2 + tokens == p.shape[1] for side, p in zip(sides, (found, wanted), strict=True)):
            return tokens, sides[0], sides[1]
    return None


def _adapted(found: Tensor, wanted: Tensor) -> Tensor:
    grids = None if found.shape == wanted.shape else _grids(found, wanted)
    if grids is not None:
        tokens, old, new = grids
        found = resample_abs_pos_embed(found, [new, new], [old, old], tokens)
    elif found.shape != wanted.shape:
        found = found.sum(dim=1, keepdim=True)
    return found.to(wanted.dtype)


def _unfit(
    given: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    missing: Sequence[str],
    others: Mapping[str, str],
    source: str,
) -> str:
    absent = [name for name in missing if name not in others]
    told = [f"{source}: {len(missing)} of the backbone's {len(wanted)} tensors do not fit"]
    if others:
        first, full = next(iter(others.items()))
        shapes = f"{tuple(given[full].shape)}, not {tuple(wanted[first].shape)}"
        told.append(f"{len(others)} of another shape (first: '{first}' is {shapes})")
    if absent:
        told.append(f"{len(absent)} missing (first: '{absent[0]}'; the file begins with '{next(iter(given))}')")
    return "; ".join([*told, "--backbone must be the model that the weights are of"])


def _notes(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], taken: Mapping[str, str], prefix: str, source: str
) -> Iterator[str]:
    used = set(taken.values())
    rest = [name for name in given if name not in used]
    strange = [name for name in rest if not _HEADS.search(name)]
    if strange:
        begun = f" (taken: those that begin with '{prefix}')" if prefix else ""
        many = "is" if len(rest) == 1 else "are"
        told = f"{plural(len(rest), 'tensor')} of the file {many} not the backbone's, and left out"
        yield f"{source}: {told} (first: '{strange[0]}'){begun}"
    for name, old in taken.items():
        if given[old].shape != wanted[name].shape and not _one_channel(given[old], wanted[name]):
            _, before, after = _grids(given[old], wanted[name]) or (0, 0, 0)
            yield f"{source}: '{name}' was resampled from {before} x {before} to {after} x {after} patches"
