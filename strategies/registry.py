"""Find strategies by name. Built-in strategies and those of other packages use the same entry points."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from strategies.base import Strategy, StrategyOptionError, UnknownStrategyError
from strategies.ranking import Scorer

GROUP = "label_studio_active_learning.strategies"
MOST = 100_000  # the largest number as an option: options of one project must not hold a machine for days


@cache
def _found() -> dict[str, EntryPoint]:
    """Entry points by strategy name. Cached: reading them takes 0.1 s, and they do not change while a process runs."""
    return {point.name: point for point in entry_points(group=GROUP)}


def names() -> list[str]:
    """Names of all installed strategies, in alphabetical order."""
    return sorted(_found())


def get(name: str, /, **options: Any) -> Strategy:
    """Build a strategy, e.g. `get("typiclust", neighbors=10)`.

    Raises `UnknownStrategyError`, or `StrategyOptionError` for an option that its factory does not take, or a number
    above 100,000.
    """
    point = _found().get(name)
    if point is None:
        raise UnknownStrategyError(f"strategy '{name}' is unknown; choose one of {', '.join(names())}")
    factory = cast("Callable[..., Strategy]", point.load())
    parameters = inspect.signature(factory).parameters
    unknown = sorted(set(options) - set(parameters))
    if unknown:
        takes = ", ".join(sorted(parameters)) or "none"
        raise StrategyOptionError(f"strategy '{name}' has no option '{unknown[0]}'; its options: {takes}")
    for option, value in options.items():
        _check_type(name, option, value, parameters[option].default)
    return factory(**options)


def scorer(name: str, base: str, options: dict[str, Any] | None = None) -> Scorer:
    """Build `base`, the base strategy of `name`. Raises `StrategyOptionError` if it does not score each candidate."""
    found = get(base, **nested(name, options))
    if not isinstance(found, Scorer):
        raise StrategyOptionError(
            f"strategy '{name}': base '{base}' does not score each text by itself; choose one such as entropy or margin"
        )
    return found


def nested(name: str, options: object) -> dict[str, Any]:
    """Options of a strategy nested in `name`. Raises `StrategyOptionError` if they are not an object."""
    if not isinstance(options, dict | None):
        raise StrategyOptionError(f"strategy '{name}': nested strategy options must be an object, not {options!r}")
    return options or {}


def _check_type(name: str, option: str, value: Any, default: Any) -> None:
    """Reject a value whose type differs from the default's (an int may stand for a float): JSON is not typed."""
    if default is inspect.Parameter.empty or default is None:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise StrategyOptionError(f"strategy '{name}': option '{option}' must be a finite number, not {value}")
    expected = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, expected) or (isinstance(value, bool) and not isinstance(default, bool)):
        wanted = type(default).__name__
        raise StrategyOptionError(f"strategy '{name}': option '{option}' must be of type {wanted}, not {value!r}")
    if isinstance(value, int | float) and value > MOST:
        raise StrategyOptionError(f"strategy '{name}': option '{option}' must be at most {MOST}")
