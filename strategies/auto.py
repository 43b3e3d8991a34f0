"""Auto: split the batch among several strategies. The backend adapts the shares to what each strategy's texts teach.

Initial shares, before any history: most to `margin`, which is seldom worse than random; the rest to `badge`
(gradients), `k_means` (representative texts) and `random`.
"""

from __future__ import annotations

from strategies.base import StrategyOptionError
from strategies.mixed import Mixed
from strategies.registry import get

MEMBERS = ("margin", "badge", "k_means", "random")
_MAX_MEMBERS = 8
_FIRST_SHARE = 0.6  # of the first member; the others share the rest equally


def create(members: list[str] | None = None) -> Mixed:
    """The strategy `auto`; members: names of the strategies to combine, the most trusted one first."""
    names = MEMBERS if members is None else members
    named = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not named or len(set(names)) != len(names) or not 2 <= len(names) <= _MAX_MEMBERS:
        raise StrategyOptionError(
            f"auto: members must be 2 to {_MAX_MEMBERS} different strategy names, such as {list(MEMBERS)}, "
            f"not {names!r}"
        )
    if unable := {"auto", "co_training", "disagreement"} & set(names):
        raise StrategyOptionError(f"auto: '{min(unable)}' cannot be a member")
    rest = (1 - _FIRST_SHARE) / (len(names) - 1)
    return Mixed(tuple(get(name) for name in names), (_FIRST_SHARE, *[rest] * (len(names) - 1)), "auto")
