"""All runs of a simulation, one after another: strategies × seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import strategies
from backend.errors import BackendError
from backend.learners.base import Progress
from backend.learners.base_model import BaseModel
from backend.pool import fields
from backend.settings import ProjectOptions
from backend.simulation.data import Labeled
from backend.simulation.learners import Learner, Lora, Probe
from backend.simulation.replay import Run, replay
from backend.simulation.results import Results

DEFAULT = "default"  # what the product does when nobody chooses: its cold start, then its strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate."""

    train: Labeled
    test: Labeled
    strategies: Sequence[str]
    rounds: int
    batch: int
    seeds: int
    learner: Literal["probe", "lora"]
    extra_params: dict[str, Any]  # as a project would have them; `strategy` comes from above


def simulate(plan: Plan, folder: Path, bar: Callable[[str], AbstractContextManager[Progress]]) -> Results:
    """Run what `folder` lacks, seed by seed so that early results compare all strategies. Raises `BackendError`."""
    if plan.rounds * plan.batch > len(plan.train.texts):
        raise BackendError(
            f"{plan.rounds} rounds of {plan.batch} labels need {plan.rounds * plan.batch} texts; there are "
            f"{len(plan.train.texts)} to choose from"
        )
    options = {name: _options(plan, name) for name in _names(plan)}
    results = Results(folder, _shared(plan))
    classes = sorted({*plan.train.labels, *plan.test.labels})
    train_targets, test_targets = (
        np.array([classes.index(label) for label in each.labels]) for each in (plan.train, plan.test)
    )
    pending = [(name, seed) for seed in range(plan.seeds) for name in options]
    pending = [(name, seed) for name, seed in pending if len(results.run(name, seed).curve) < plan.rounds]
    new_learner = _learners(plan, classes, bar) if pending else None
    with bar(f"{len(pending)} runs of {plan.rounds} rounds") as progress:
        for number, (name, seed) in enumerate(pending):
            run = results.run(name, seed)

            def after_round(done: Run, number: int = number) -> None:
                progress(number * plan.rounds + len(done.curve), len(pending) * plan.rounds)
                if len(done.curve) < plan.rounds:
                    results.keep(done, finished=False)

            assert new_learner is not None
            replay(
                run, new_learner(), train_targets, test_targets, options[name].model_copy(update={"seed": seed}),
                rounds=plan.rounds, batch=plan.batch, after_round=after_round,
            )  # fmt: skip
            results.keep(run, finished=True)
    results.write()
    return results


def _names(plan: Plan) -> list[str]:
    """The strategies in the order asked, random first; `all` is all that the learner serves."""
    if list(plan.strategies) != ["all"]:
        return list(dict.fromkeys(["random", *plan.strategies]))
    able = {"probs", "features", "embeddings", "committee_probs", "gradient_lengths"}
    found = [name for name in strategies.names() if fields.arrays(strategies.get(name).requires) <= able]
    served = [name for name in found if not strategies.get(name).requires & {"predictions", "uncertainty"}]
    if plan.learner == "probe":
        served.remove("co_training")  # its two views would be one
    return list(dict.fromkeys(["random", *served, DEFAULT]))


def _options(plan: Plan, name: str) -> ProjectOptions:
    """A project's options with this strategy; the plan's own options of a strategy are for that one only."""
    params = dict(plan.extra_params)
    if name != DEFAULT:
        if params.get("strategy") != name:
            params.pop("strategy_options", None)
        params["strategy"] = name
    return ProjectOptions.from_extra_params(params)


def _shared(plan: Plan) -> dict[str, Any]:
    return {
        "train": plan.train.fingerprint,
        "test": plan.test.fingerprint,
        "rounds": plan.rounds,
        "batch": plan.batch,
        "learner": plan.learner,
        "extra_params": plan.extra_params,
    }


def _learners(
    plan: Plan, classes: Sequence[str], bar: Callable[[str], AbstractContextManager[Progress]]
) -> Callable[[], Learner]:
    """What makes a new learner for each run, over embeddings that all share."""
    options = _options(plan, DEFAULT)
    base = BaseModel(options.base_model)
    with bar(f"embedding {len(plan.train.texts)} texts") as progress:
        train = base.embed(plan.train.texts, max_length=options.max_length, progress=progress)
    if plan.learner == "lora":
        return lambda: Lora(base, plan.train.texts, plan.test.texts, classes, train)
    with bar(f"embedding {len(plan.test.texts)} test texts") as progress:
        test = base.embed(plan.test.texts, max_length=options.max_length, progress=progress)
    return lambda: Probe(train, test, classes)
