"""Query strategies: arrays in, indices out. Independent of Label Studio and of language models."""

from strategies.base import (
    Pool,
    PoolError,
    Selection,
    Strategy,
    StrategyError,
    StrategyOptionError,
    UnknownStrategyError,
)
from strategies.registry import get, names

__all__ = [
    "Pool",
    "PoolError",
    "Selection",
    "Strategy",
    "StrategyError",
    "StrategyOptionError",
    "UnknownStrategyError",
    "get",
    "names",
]
