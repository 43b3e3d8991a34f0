"""The strategy `auto`: a bandit shares the next batch out among strategies by what their labels taught so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.bandit import Belief, Losses, beforehand, in_words, learn, shares, taught
from backend.learners.heads import linear
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import classified
from backend.store.rounds import KEPT_QUEUES
from backend.targets import Target, offered
from strategies import Strategy
from strategies.mixed import Mixed

_MOST = 5000  # labels that a head learns from: more take longer and change nothing


def adapted(run: ProjectRun, strategy: Strategy, targets: Sequence[Target]) -> tuple[Strategy, dict[str, Any] | None]:
    """The strategy `auto` with the shares that its members earned, and the decision; other strategies unchanged.

    Safe to repeat: reads only earlier rounds and labels newer than they are. Gains are measured where a text has one
    class.
    """
    if not isinstance(strategy, Mixed) or strategy.name != "auto":
        return strategy, None
    balance = run.options.balance
    names = [member.name for member in (strategy.members[:-1] if balance else strategy.members)]
    former = [each for each in run.rounds.all() if each.number < run.project.round and each.choosing]
    last = former[-1].choosing if former and (former[-1].choosing or {})["members"] == names else None
    belief, since = beforehand(len(names)), 0
    if last is not None:
        belief, since = Belief(np.array(last["mean"]), np.array(last["variance"])), former[-1].number
    gains = _gains(run, names, targets, since)
    if gains is not None:
        belief = learn(belief, gains)
    found = shares(belief)
    decision = {
        "members": names,
        "shares": [round(float(share), 4) for share in found],
        "mean": belief.mean.tolist(),
        "variance": belief.variance.tolist(),
        "taught": None if gains is None else [None if np.isnan(row).any() else float(row.mean()) for row in gains],
        "why": in_words(names, belief, gains),
    }
    return with_shares(strategy, found, balance), decision


def with_shares(strategy: Mixed, found: NDArray[np.float64], balance: float) -> Mixed:
    """The strategy with these shares of the queue; `balance` keeps its own share, the last one."""
    of_members = ((1 - balance) * found).tolist()
    return replace(strategy, shares=(*of_members, balance) if balance else tuple(of_members))


def head_losses(classes: int) -> Losses:
    """Losses of a linear head trained on some texts, on other texts: the expected error, 1 − p.

    Closer to accuracy than the log loss, which a few confident mistakes dominate.
    """

    def losses(
        vectors: NDArray[np.float32], targets: NDArray[np.int64], others: NDArray[np.float32], truth: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        probs = linear.fit(vectors, targets, classes).alone(others)
        return np.asarray(1.0 - probs[np.arange(len(truth)), truth].astype(np.float64))

    return losses


def _gains(run: ProjectRun, names: Sequence[str], targets: Sequence[Target], since: int) -> NDArray[np.float64] | None:
    """The gain of the labels added after the round `since`, by member and held-out text; None if it is unknown."""
    if len(targets) != 1 or targets[0].kind != "classification":
        return None
    (target,), tasks = targets, run.tasks
    chooser: dict[int, str] = {}
    for queue in range(run.project.queue, max(0, run.project.queue - KEPT_QUEUES), -1):
        for item in run.rounds.queue(queue):
            if item.chosen_by is not None:
                chooser.setdefault(item.task_id, item.chosen_by)
    first_known = tasks.first_known()
    held_out, labeled = (
        [each for each in tasks.labeled(audit=audit) if offered(targets, each.values)] for audit in (True, False)
    )
    batch = [e for e in labeled if chooser.get(e.id) in names and first_known.get(e.id, 0) > since]
    known = [e for e in labeled if first_known.get(e.id, 0) <= since or chooser.get(e.id) not in names][-_MOST:]
    if not batch or not held_out or len({e.values[target.name] for e in known}) < 2:
        return None
    by = np.array([names.index(chooser[e.id]) for e in batch], np.int64)
    before, new, others = classified(run, target, known, batch, held_out)
    return taught(before, new, by, len(names), others, head_losses(len(target.classes)))
