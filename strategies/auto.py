"""Auto: shares of the batch by several strategies. Whoever keeps the history moves the shares to those that teach most.

Without history the shares are what is believed beforehand: most by margin, which seldom does harm, some by gradients
(badge) and typical texts (k_means), some at random.
"""

from __future__ import annotations

from strategies.base import StrategyOptionError
from strategies.mixed import Mixed
from strategies.registry import get

MEMBERS = ("margin", "badge", "k_means", "random")
_MOST = 8  # members
_FIRST = 0.6  # the share of the most trusted one


def create(members: list[str] | None = None) -> Mixed:
    """The strategy `auto`; members: the names of those that it chooses among, the most trusted one first."""
    names = MEMBERS if members is None else members
    named = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not named or len(set(names)) != len(names) or not 2 <= len(names) <= _MOST:
        raise StrategyOptionError(
            f"auto: members must be two to {_MOST} different names of strategies, such as {list(MEMBERS)}, "
            f"not {names!r}"
        )
    if {"auto", "co_training"} & set(names):
        raise StrategyOptionError("auto: neither 'auto' nor 'co_training' can be a member")
    rest = (1 - _FIRST) / (len(names) - 1)
    return Mixed(tuple(get(name) for name in names), (_FIRST, *[rest] * (len(names) - 1)), "auto")
