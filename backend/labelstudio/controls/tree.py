"""The classes of nested choices and taxonomies: nodes of a tree, and the paths to them in results."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from backend.errors import UnsupportedConfigError

Path = tuple[str, ...]  # from the top choice to a node: the alias of each where it has one, otherwise its value

_SEPARATORS = (" / ", " > ", " | ", " → ")  # between the parts of a path, in the name of its class


def nodes(tag: Any) -> list[Path]:
    """The path to each choice, parents before their children."""

    def walk(element: Any, above: Path) -> list[Path]:
        found = []
        for child in element:
            if child.tag == "Choice":
                path = (*above, child.get("alias") or child.get("value"))
                found += [path, *walk(child, path)]
        return found

    found = list(dict.fromkeys(walk(tag, ())))
    if any(None in path for path in found):
        raise UnsupportedConfigError(f"<{tag.tag} name='{tag.get('name')}'> has a Choice without a value")
    return found


def leaves(paths: Sequence[Path]) -> list[Path]:
    """The paths that no other one continues."""
    inner = {path[:-1] for path in paths}
    return [path for path in paths if path not in inner]


def joined(paths: Sequence[Path]) -> list[str]:
    """The name of each path's class: its parts, separated by what keeps all names different."""
    every = [[separator.join(path) for path in paths] for separator in _SEPARATORS]
    every.append([json.dumps(path, ensure_ascii=False) for path in paths])
    return next(names for names in every if len(set(names)) == len(set(paths)))


def parents(paths: Sequence[Path]) -> tuple[int, ...]:
    """The index of each path's parent, -1 for one at the top. Empty if no path is the parent of another."""
    rows = {path: row for row, path in enumerate(paths)}
    found = tuple(rows.get(path[:-1], -1) for path in paths)
    return found if any(row >= 0 for row in found) else ()


def with_ancestors(names: Collection[str], classes: Sequence[str], parents: Sequence[int]) -> set[str]:
    """The classes, and all above them. names: not all need be among the classes."""
    found = set(names)
    for row in reversed(range(len(parents))):  # children before their parents
        if classes[row] in found and parents[row] >= 0:
            found.add(classes[parents[row]])
    return found


def deepest(names: Sequence[str], classes: Sequence[str], parents: Sequence[int]) -> list[str]:
    """Those of the classes that are not above another one of them."""
    above = {classes[parents[classes.index(name)]] for name in names if parents and parents[classes.index(name)] >= 0}
    return [name for name in names if name not in above]
