"""YAML without code and without bombs: the safe loader, with aliases that multiply or contain themselves refused."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.scanner import ScannerError

_ALIASED = 100_000
"""Values that aliases may add to those that are written: people name a section twice, bombs a billion times."""

_DEEPEST = 100
"""Levels that a text may have; looking ahead in deeper ones takes seconds, and Python's stack."""


class _Loader(yaml.SafeLoader):
    """The safe loader, which counts what a text comes to before it builds it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._most = len(text) + _ALIASED  # what is written takes at least a letter a value

    def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
        self._check_depth(self.flow_level)
        super().fetch_flow_collection_start(kind)

    def add_indent(self, column: int) -> bool:
        self._check_depth(len(self.indents))
        return bool(super().add_indent(column))

    def _check_depth(self, depth: int) -> None:
        if depth > _DEEPEST:
            raise ScannerError(None, None, f"more than {_DEEPEST} levels", self.get_mark())

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._count(node, {})
        return node

    def _count(self, node: yaml.Node, counted: dict[int, int]) -> int:
        """Return how many values a node comes to, with every alias followed.

        Raises:
            ConstructorError: too many, or a node that is a part of itself.
        """
        if id(node) in counted:
            if not counted[id(node)]:
                raise ConstructorError(None, None, "a value that is a part of itself", node.start_mark)
            return counted[id(node)]
        counted[id(node)] = 0  # for as long as it is being counted
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        pairs = parts if isinstance(node, yaml.MappingNode) else [(part,) for part in parts]
        total = 1 + sum(self._count(part, counted) for pair in pairs for part in pair)
        if total > self._most:
            raise ConstructorError(None, None, "aliases that multiply to more values than is sane", node.start_mark)
        counted[id(node)] = total
        return total


def load(text: str) -> Any:
    """Return what a YAML text holds.

    Raises:
        yaml.YAMLError: no YAML, one with a tag that is none of YAML's own, or one whose aliases multiply.
    """
    return yaml.load(text, _Loader)  # a safe loader, for all that the function is called
