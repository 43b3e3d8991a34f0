"""Auto: split the batch among several strategies. The backend adapts the shares to what each strategy's texts teach.

Initial shares, before any history: most to `margin`, which is seldom worse than random; the rest to `badge`
(gradients), `k_means` (representative texts) and `random`.
"""

from __future__ import annotations

from strategies.base import StrategyOptionError
from strategies.mixed import Mixed
from strategies.registry import get

MEMBERS = ("margin", "badge", "k_means", "random")
_MOST = 8  # maximum number of members
_FIRST = 0.6  # initial share of the first member


def create(members: list[str] | None = None) -> Mixed:
    """The strategy `auto`; members: names of the strategies to combine, the most trusted one first."""
    names = MEMBERS if members is None else members
    named = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not named or len(set(names)) != len(names) or not 2 <= len(names) <= _MOST:
        raise StrategyOptionError(
            f"auto: members must be 2 to {_MOST} different strategy names, such as {list(MEMBERS)}, not {names!r}"
        )
    if {"auto", "co_training"} & set(names):
        raise StrategyOptionError("auto: neither 'auto' nor 'co_training' can be a member")
    rest = (1 - _FIRST) / (len(names) - 1)
    return Mixed(tuple(get(name) for name in names), (_FIRST, *[rest] * (len(names) - 1)), "auto")
