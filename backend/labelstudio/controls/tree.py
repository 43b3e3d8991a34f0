"""The classes of nested choices and taxonomies: nodes of a tree, and the paths to them in results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from backend.errors import UnsupportedConfigError
from backend.targets import Target

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


def deepest(names: Sequence[str], target: Target) -> list[str]:
    """Those of the classes that are not above another one of them."""
    if not target.parents:
        return list(names)
    parents = {target.parents[target.classes.index(name)] for name in names}
    return [name for name in names if target.classes.index(name) not in parents]
