"""How good the last adapters were on the texts that waited for a label, by what was drawn from those and then labeled.

A second opinion beside the held-out score, free of charge: texts were scored by the adapter before anybody labeled
them. Only where the strategy draws with known probabilities (`sampled`, `random`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.unbiased import Draws, Risk, draws, risk
from backend.rounds.context import Context, learned
from backend.store.models import QueueItem, Round
from backend.store.rounds import KEPT_QUEUES
from backend.targets import Values

_KINDS = ("classification", "pairwise")  # which are right or wrong


def corrected(context: Context, project_id: int) -> dict[str, dict[str, Any]]:
    """Accuracy with its interval and the number of labels behind it, by target; only what is known.

    Of adapters whose scores are still kept (`KEEP_ADAPTERS`).
    """
    rounds = [each for each in context.store.rounds.all(project_id) if each.queue is not None][-KEPT_QUEUES:]
    queues = [(each, [i for i in context.store.rounds.queue(project_id, each.queue or 0) if not i.audit])
              for each in rounds]  # fmt: skip
    queues = [(each, items) for each, items in queues if items and items[0].probability is not None]
    if not queues:
        return {}
    tasks = context.store.tasks
    drawn = list({item.task_id for _, items in queues for item in items})
    digests = {task.id: task.digest for task in tasks.texts(project_id, drawn).values()}
    labels = {example.id: example.values for example in tasks.labeled(project_id, audit=False)}
    open_ones = tasks.open_ones(project_id, drawn)
    found: dict[str, list[Draws]] = {}
    for queued, items in reversed(queues):
        # What lies behind the first task that nobody came to was not drawn yet, so to speak.
        end = next((place for place, item in enumerate(items) if item.task_id in open_ones), len(items))
        reached = items[:end]
        open_ones |= {item.task_id for item in items}  # for an earlier queue: they waited for this one
        for name, losses in _losses(context, queued, reached, digests, labels).items():
            likely = np.array([item.probability for item in reached], np.float64)
            found.setdefault(name, []).append(draws(losses, likely, queued.candidates))
    told = {name: risk(parts) for name, parts in found.items()}
    return {name: _told(each) for name, each in told.items() if each is not None}


def _told(found: Risk) -> dict[str, Any]:
    low, high = found.interval
    return {"score": 1.0 - found.mean, "low": 1.0 - high, "high": 1.0 - low, "labels": found.draws}


def _losses(
    context: Context, queued: Round, reached: Sequence[QueueItem], digests: Mapping[int, int],
    labels: Mapping[int, Values],
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """By target: 1 where the class of the adapter that chose is not the label, NaN where there is none; (M,)."""
    adapter = context.store.rounds.adapter(queued.project_id, queued.adapter)
    targets = [target for target in learned(adapter) if target.kind in _KINDS] if adapter is not None else []
    arrays = {f"{target.name}/probs" for target in targets}
    scores = context.store.files.scores(queued.project_id, queued.adapter)
    there, kept = scores.found(arrays, [digests.get(item.task_id, 0) for item in reached])
    rows = np.where(there, there.cumsum() - 1, -1)
    if not targets or not scores.names >= arrays:
        return {}
    found: dict[str, NDArray[np.float64]] = {}
    for target in targets:
        losses = np.full(len(reached), np.nan)
        for place, (item, row) in enumerate(zip(reached, rows, strict=True)):
            label = labels.get(item.task_id, {}).get(target.name)
            if row >= 0 and target.offers(label):  # else it was skipped, or changed since
                losses[place] = target.classes[int(kept[f"{target.name}/probs"][row].argmax())] != label
        found[target.name] = losses
    return found
