"""One run: replay the rounds on labeled texts, for one strategy and one seed."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import f1_score

import strategies
from backend.errors import BackendError
from backend.learners.heads import probe
from backend.options import ProjectOptions
from backend.pool import fields, shortlist
from backend.rounds.selection.strategy import COMMITTEE, balanced, strategy_at
from backend.simulation.auto import adapted, held_out
from backend.simulation.learners import Learner
from backend.simulation.plan import DEFAULT
from backend.simulation.runs import Rows, Run, Task
from backend.targets import Target, learnable
from strategies import Pool, Strategy, StrategyError
from strategies.mixed import Mixed

AUTO = "auto"  # same cold start


def replay(run: Run, learner: Learner, task: Task, options: ProjectOptions, after_round: Callable[[Run], None]) -> Run:
    """Play the rounds missing in `run`. `options.strategy` selects; `after_round` is called after each, e.g. to save.

    While no model is trained, a strategy that needs no model outputs selects the first batch itself; for all others the
    batch is random, the same for every strategy of a seed. Interruptions do not change the results.
    """
    if options.strategy == "co_training":  # its pseudo-labels are not saved: start over
        run = Run(run.strategy, run.seed)
    if run.curve or learner.named:  # resumed: the model of the last round is needed; or names make a first model
        _fit(learner, run, task, options)
    for number in range(len(run.curve), task.rounds):
        _choose(run, learner, task, options, number)
        _fit(learner, run, task, options)
        predicted = learner.test().argmax(axis=1)
        truth = task.test_targets
        macro_f1 = f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0.0)
        run.curve.append(
            {
                "labels": len(run.chosen),
                "accuracy": float(np.mean(predicted == truth)),
                "macro_f1": float(macro_f1),
            }
        )
        after_round(run)
    return run


def _fit(learner: Learner, run: Run, task: Task, options: ProjectOptions) -> None:
    rows = np.array(run.chosen, dtype=np.int64)
    learner.fit(rows, task.train_targets[rows], options, _strategy(options, run, task, named=learner.named))


def _choose(run: Run, learner: Learner, task: Task, options: ProjectOptions, number: int) -> None:
    labeled = np.array(run.chosen, dtype=np.int64)
    kept = held_out(task, options.seed) if run.strategy == AUTO else labeled
    candidates = np.setdiff1d(np.arange(len(task.train_targets)), np.union1d(labeled, kept))
    strategy = _strategy(options, run, task, named=learner.named)
    if isinstance(strategy, Mixed) and strategy.name == AUTO:
        strategy = adapted(strategy, run, learner, task, options, kept[: max(1, len(labeled) // 9)])
    wanted = fields.arrays(strategy.requires)
    started = time.perf_counter()
    if options.shortlist is not None and options.shortlist < 1 and len(labeled) and wanted & fields.SCORED:
        candidates = candidates[_shortlist(learner, task, options, candidates, labeled, options.shortlist)]
    rows = np.concatenate([candidates, labeled])
    found = learner.score(rows, wanted, options) if wanted else {}
    gathered = fields.gather(
        strategy.requires, lambda name: found[name][: len(candidates)], lambda name: found[name][len(candidates) :]
    )
    if "class_counts" in strategy.requires:
        gathered["class_counts"] = np.bincount(task.train_targets[labeled], minlength=task.classes)
    run.seconds_scoring += time.perf_counter() - started
    started = time.perf_counter()
    pool = Pool(size=len(candidates), **gathered)
    try:
        selection = strategy.select(pool, task.batch, np.random.default_rng([options.seed, number]))
    except StrategyError as error:
        raise BackendError(f"strategy '{strategy.name}' cannot select: {error}") from error
    run.seconds_choosing += time.perf_counter() - started
    run.chosen.extend(int(row) for row in candidates[selection.indices])
    if run.strategy == AUTO:
        by = [-1] * len(selection.indices) if selection.members is None else selection.members.tolist()
        run.by.extend(by)


def _shortlist(
    learner: Learner, task: Task, options: ProjectOptions, candidates: Rows, labeled: Rows, share: float
) -> Rows:
    """Positions of the candidates that the adapter scores, as in the product."""
    size = max(task.batch, int(np.ceil(share * len(candidates))))
    both = [learner.score(rows, {"embeddings"}, options)["embeddings"] for rows in (candidates, labeled)]
    if options.shortlist_by == "neighbors":
        return shortlist.neighbors([both[0]], both[1], size)
    target = Target("label", "classification", tuple(map(str, range(task.classes))))
    known = probe.fit(target, both[1], list(map(str, task.train_targets[labeled])))
    return shortlist.most(known.doubt(both[0]), size)


def _strategy(options: ProjectOptions, run: Run, task: Task, *, named: bool) -> Strategy:
    """The strategy of the next batch. As in the product, labels of fewer than two classes train nothing but names."""
    labels = [{"label": str(target)} for target in task.train_targets[run.chosen]] if run.chosen else []
    target = Target("label", "classification", tuple(map(str, range(task.classes))))
    if run.strategy in (DEFAULT, AUTO):
        return strategy_at(options, labels, [target], named=named)
    strategy = strategies.get(options.strategy or run.strategy, **options.strategy_options)
    needs_a_model = fields.arrays(strategy.requires) & fields.SCORED
    by_names = named and not COMMITTEE & strategy.requires
    if needs_a_model and not by_names and not learnable([target], labels):
        return strategies.get("random")
    return balanced(strategy, options) if learnable([target], labels) else strategy
