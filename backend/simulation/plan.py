"""What a simulation replays: data, strategies, and options, checked before the libraries that train are imported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backend.errors import BackendError
from backend.options import ProjectOptions
from backend.simulation.data import Labeled, read, split

DEFAULT = "default"  # the strategy of a project that names none
ALL = "all"  # all strategies that the learner supports


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Settings of a simulation."""

    title: str = ""  # of the data set
    train: Labeled
    test: Labeled
    strategies: Sequence[str]
    rounds: int
    batch: int
    seeds: int
    learner: Literal["probe", "lora"]
    extra_params: dict[str, Any]  # project options; `strategy` is replaced by each of `strategies`

    def check(self) -> None:
        """Raise `BackendError` about too few texts, an unknown strategy or an invalid option."""
        wanted, there = self.rounds * self.batch, len(self.train.texts)
        if wanted > there:
            raise BackendError(
                f"{self.rounds} rounds of {self.batch} labels need {wanted} texts; there are {there} to choose from"
            )
        for name in self.strategies:
            if name not in (DEFAULT, ALL):
                ProjectOptions.from_extra_params({"strategy": name})
        ProjectOptions.from_extra_params(self.extra_params)


def read_plan(
    train: Path,
    test: Path | None,
    names: Sequence[str],
    *,
    rounds: int,
    batch: int,
    seeds: int,
    learner: Literal["probe", "lora"],
    text: str,
    label: str,
    extra_params: str,
) -> Plan:
    """Read the data and check everything else. Raises `BackendError`.

    test: None for a fifth of the texts of `train`.
    """
    given = _parsed(extra_params)
    to_choose = read(train, text, label)
    to_choose, to_test = split(to_choose) if test is None else (to_choose, read(test, text, label))
    plan = Plan(
        title=train.parent.name or train.stem, train=to_choose, test=to_test, strategies=[s.strip() for s in names],
        rounds=rounds, batch=batch, seeds=seeds, learner=learner, extra_params=given,
    )  # fmt: skip
    plan.check()
    return plan


def _parsed(extra_params: str) -> dict[str, Any]:
    try:
        found = json.loads(extra_params)
    except json.JSONDecodeError as error:
        raise BackendError(f"--extra-params is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BackendError('--extra-params must be a JSON object such as {"committee": "lora"}')
    return found
