"""One run: the loop of rounds on texts whose labels are known, for one strategy and one seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

import strategies
from backend.pool import fields
from backend.rounds.select import strategy_at
from backend.settings import ProjectOptions
from backend.simulation.learners import Learner
from strategies import Pool, Strategy

Rows = NDArray[np.int64]


@dataclass(slots=True)
class Run:
    """How one strategy did with one seed, round by round; complete after the last round."""

    strategy: str
    seed: int
    curve: list[dict[str, float]] = field(default_factory=list)  # labels, accuracy, macro_f1 after each round
    chosen: list[int] = field(default_factory=list)  # rows in the order they were labeled
    seconds_scoring: float = 0.0  # computing what the strategy asks for
    seconds_choosing: float = 0.0  # choosing from it

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def replay(
    run: Run,
    learner: Learner,
    train_targets: Rows,
    test_targets: Rows,
    options: ProjectOptions,
    *,
    rounds: int,
    batch: int,
    after_round: Callable[[Run], None],
) -> Run:
    """Play the rounds that `run` still lacks. `options.strategy` chooses; `after_round` may keep what there is.

    Before anything is trained, a strategy that asks nothing of a model chooses the first batch itself; for all others
    it is a random one, the same for every strategy of a seed. Equal runs, however often interrupted, are equal.
    """
    if options.strategy == "co_training":  # what its views lent each other is not kept: from the beginning
        run.curve.clear()
        run.chosen.clear()
    if run.curve:  # taken up again: the model of the last round is needed
        _fit(learner, run, train_targets, options)
    for number in range(len(run.curve), rounds):
        _choose(run, learner, train_targets, options, number, batch)
        _fit(learner, run, train_targets, options)
        predicted = learner.test().argmax(axis=1)
        run.curve.append(
            {
                "labels": len(run.chosen),
                "accuracy": float(np.mean(predicted == test_targets)),
                "macro_f1": float(f1_score(test_targets, predicted, average="macro", zero_division=0.0)),
            }
        )
        after_round(run)
    return run


def _fit(learner: Learner, run: Run, targets: Rows, options: ProjectOptions) -> None:
    rows = np.array(run.chosen, dtype=np.int64)
    learner.fit(rows, targets[rows], options)


def _choose(run: Run, learner: Learner, targets: Rows, options: ProjectOptions, number: int, batch: int) -> None:
    labeled = np.array(run.chosen, dtype=np.int64)
    candidates = np.setdiff1d(np.arange(len(targets)), labeled)
    classes = int(targets.max()) + 1
    strategy = _strategy(options, run, len(labeled), classes)
    wanted = fields.arrays(strategy.requires)
    started = time.perf_counter()
    rows = np.concatenate([candidates, labeled])
    found = learner.score(rows, wanted, options) if wanted else {}
    gathered = fields.gather(
        strategy.requires, lambda name: found[name][: len(candidates)], lambda name: found[name][len(candidates) :]
    )
    if "class_counts" in strategy.requires:
        gathered["class_counts"] = np.bincount(targets[labeled], minlength=classes)
    run.seconds_scoring += time.perf_counter() - started
    started = time.perf_counter()
    pool = Pool(size=len(candidates), **gathered)
    selection = strategy.select(pool, batch, np.random.default_rng([options.seed, number]))
    run.seconds_choosing += time.perf_counter() - started
    run.chosen.extend(int(row) for row in candidates[selection.indices])


def _strategy(options: ProjectOptions, run: Run, labels: int, classes: int) -> Strategy:
    if run.strategy == "default":
        return strategy_at(options, labels, classes, trained=labels > 0)
    strategy = strategies.get(options.strategy, **options.strategy_options)
    needs_a_model = fields.arrays(strategy.requires) & fields.SCORED
    return strategies.get("random") if needs_a_model and not labels else strategy
