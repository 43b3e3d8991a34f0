"""Accuracy of the last adapters on the pool, from tasks that were drawn from it and then labeled.

A second estimate besides the held-out score, without extra labels: the adapter scored the texts before they were
labeled. Only for strategies that draw with known probabilities (`sampled`, `random`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.unbiased import Draws, Risk, draws, risk
from backend.rounds.adapters import learned
from backend.rounds.context import ProjectRun
from backend.store.rounds import KEPT_QUEUES
from backend.store.sql.models import QueueItem, Round
from backend.targets import Values

_KINDS = ("classification", "pairwise")  # whose predictions are right or wrong


def unbiased_accuracy(run: ProjectRun) -> dict[str, dict[str, Any]]:
    """Accuracy with its interval and number of labels, by target, where it is known.

    Uses adapters whose scores are still kept (`KEEP_ADAPTERS`).
    """
    rounds = [each for each in run.rounds.all() if each.queue is not None][-KEPT_QUEUES:]
    queues = [(each, [i for i in run.rounds.queue(each.queue or 0) if not i.audit])
              for each in rounds]  # fmt: skip
    queues = [(each, items) for each, items in queues if items and items[0].probability is not None]
    if not queues:
        return {}
    tasks = run.tasks
    drawn = list({item.task_id for _, items in queues for item in items})
    digests = {task.id: task.digest for task in tasks.texts(drawn).values()}
    labels = {example.id: example.values for example in tasks.labeled(audit=False)}
    open_ones = tasks.open_ones(drawn)
    found: dict[str, list[Draws]] = {}
    for queued, items in reversed(queues):
        # Items after the first unlabeled one count as not drawn yet.
        end = next((place for place, item in enumerate(items) if item.task_id in open_ones), len(items))
        reached = items[:end]
        open_ones |= {item.task_id for item in items}  # an earlier queue left them open
        for name, losses in _losses(run, queued, reached, digests, labels).items():
            likely = np.array([item.probability for item in reached], np.float64)
            found.setdefault(name, []).append(draws(losses, likely, queued.candidates))
    risks = {name: risk(parts) for name, parts in found.items()}
    return {name: _accuracy(each) for name, each in risks.items() if each is not None}


def _accuracy(found: Risk) -> dict[str, Any]:
    low, high = found.interval
    return {"score": 1.0 - found.mean, "low": 1.0 - high, "high": 1.0 - low, "labels": found.draws}


def _losses(
    run: ProjectRun, queued: Round, reached: Sequence[QueueItem], digests: Mapping[int, int],
    labels: Mapping[int, Values],
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """By target: 1 where the class that the selecting adapter predicted is not the label, NaN without a label: (M,)."""
    adapter = run.rounds.adapter(queued.adapter)
    targets = [target for target in learned(adapter) if target.kind in _KINDS] if adapter is not None else []
    arrays = {f"{target.name}/probs" for target in targets}
    scores = run.store.files.scores(run.id, queued.adapter)
    there, kept = scores.found(arrays, [digests.get(item.task_id, 0) for item in reached])
    rows = np.where(there, there.cumsum() - 1, -1)
    if not targets or not scores.names >= arrays:
        return {}
    found: dict[str, NDArray[np.float64]] = {}
    for target in targets:
        losses = np.full(len(reached), np.nan)
        for place, (item, row) in enumerate(zip(reached, rows, strict=True)):
            label = labels.get(item.task_id, {}).get(target.name)
            if row >= 0 and target.offers(label):  # otherwise it was skipped, or its text changed
                losses[place] = target.classes[int(kept[f"{target.name}/probs"][row].argmax())] != label
        found[target.name] = losses
    return found
