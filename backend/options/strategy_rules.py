"""Which options go with which strategy. Each check raises `ValueError` with a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import strategies

COMPARE_VIEWS = ("co_training", "disagreement")  # their committee: two views of a text, each trained for itself
_MOST_LEVELS = 5  # of strategies that have others as base, in strategy_options


def check_strategy(name: str | None, options: Mapping[str, Any]) -> None:
    """options: `strategy_options`."""
    if name is None:
        if options:
            raise ValueError("strategy_options need a strategy: set the option strategy too")
        return
    if _levels(options) > _MOST_LEVELS:
        raise ValueError(f"strategy_options are nested too deeply: {_MOST_LEVELS} levels are enough")
    strategies.get(name, **options)
    for each in COMPARE_VIEWS:
        if each in str(options):
            raise ValueError(f"strategy '{each}' cannot be the base of another strategy: it trains its own views")


def check_committee(strategy: str | None, committee: str | None, members: int | None, teacher: str | None) -> None:
    """Views belong to the strategies that compare them; one of the views may be a teacher's."""
    views = committee == "views"
    if committee is not None and views != (strategy in COMPARE_VIEWS):
        raise ValueError(
            f"committee 'views' belongs to the strategies {' and '.join(COMPARE_VIEWS)}: "
            + ("choose one of them" if views else "leave committee out")
        )
    if strategy in COMPARE_VIEWS and members not in (None, 2):
        raise ValueError(f"strategy '{strategy}' has 2 members, its views, not {members}")
    if strategy == "disagreement" and teacher is None:
        raise ValueError(
            "strategy 'disagreement' compares the model with its teacher: name one, as in "
            '{"teacher": "openai:Qwen/Qwen3-32B"}'
        )


def check_cold_start(name: str) -> None:
    """It selects before there is a model."""
    needs = strategies.get(name).requires - {"embeddings", "labeled_embeddings"}
    if needs:
        raise ValueError(f"cold_start '{name}' needs a trained model ({', '.join(sorted(needs))})")


def _levels(options: object) -> int:
    """Levels of objects and lists in each other."""
    level, inside = 0, [options]
    while inside := [each for each in inside if isinstance(each, dict | list)]:
        level += 1
        inside = [value for each in inside for value in (each.values() if isinstance(each, dict) else each)]
    return level
