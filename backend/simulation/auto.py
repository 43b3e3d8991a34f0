"""The strategy `auto` in a simulation: its members' gains, measured on texts held out for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.bandit import Belief, beforehand, learn, shares, taught
from backend.options import ProjectOptions
from backend.rounds.selection.bandit import head_losses, with_shares
from backend.simulation.learners import Learner
from backend.simulation.runs import Rows, Run, Task
from strategies.mixed import Mixed

_SHARE = 0.1  # fraction of the texts held out, as in a project


def held_out(task: Task, seed: int) -> Rows:
    """Rows that are never selected, in order of labeling."""
    order = np.random.default_rng([seed, 1]).permutation(len(task.train_targets))
    return order[: round(_SHARE * len(order))]


def adapted(strategy: Mixed, run: Run, learner: Learner, task: Task, options: ProjectOptions, measured: Rows) -> Mixed:
    """The strategy with its members' shares updated by the last batch, as in a round.

    measured: held-out rows labeled by now.
    """
    members = len(strategy.members) - (options.balance > 0)
    belief = beforehand(members)
    if run.choosing:
        belief = Belief(*(np.array(run.choosing[-1][name]) for name in ("mean", "variance")))
    by = np.array(run.by[-(len(run.by) % task.batch or task.batch) :], np.int64)  # the last batch may be shorter
    if (by >= 0).any():
        chosen = np.array(run.chosen, np.int64)

        def arrays(rows: Rows) -> tuple[NDArray[Any], Rows]:
            return learner.score(rows, {"embeddings"}, options)["embeddings"], task.train_targets[rows]

        known, batch, others = arrays(chosen[: -len(by)]), arrays(chosen[-len(by) :]), arrays(measured)
        belief = learn(belief, taught(known, batch, by, members, others, head_losses(task.classes)))
    found = shares(belief)
    run.choosing.append({"shares": found.tolist(), "mean": belief.mean.tolist(), "variance": belief.variance.tolist()})
    return with_shares(strategy, found, options.balance)
