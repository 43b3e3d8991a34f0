"""New labels → a new queue within seconds: between rounds the head is refitted, and the candidates are ranked again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from backend.labelstudio.predictions import adapter_version
from backend.learners.base import Arrays
from backend.learners.heads.map_head import Fixed
from backend.learners.heads.refit import refit
from backend.learners.kinds.base import TargetHead
from backend.learners.saved import read_heads
from backend.rounds.adapters import find, learned
from backend.rounds.context import ProjectRun
from backend.rounds.insights.explanations import explain
from backend.rounds.selection import strategy
from backend.rounds.steps.publish import put_in_force
from backend.rounds.steps.select import choose
from backend.store.texts import LabeledText
from strategies import Strategy

log = logging.getLogger(__name__)

_SAMPLE = 512  # texts whose features are the head's frame
_ROWS = 8192  # texts whose outputs are computed at once


def applies(run: ProjectRun) -> bool:
    """Whether no round runs now, and labels have arrived that neither the adapter nor its head knows."""
    project = run.project
    there = project.adapter and project.queue and project.back_to is None
    ours = project.connected and not project.paused and run.options.manage_queue and run.options.react
    return bool(run.number is None and there and ours and len(_new(run)) not in (0, project.head_labels))


def react(run: ProjectRun) -> None:
    """Refit the head of the adapter in service, put it into service, and publish the queue that it leads to.

    Does nothing where the strategy needs more than the head.
    """
    run = replace(run, version=run.project.adapter)
    adapter, last = find(run, run.version), run.rounds.get(run.project.round)
    targets, chosen = learned(adapter), strategy.strategy_for(run, run.version)
    features = run.scores
    if last is None or not strategy.reacts(run.options, chosen, targets) or "features" not in features.names:
        return
    new = [each for each in _new(run) if features.rows([each.digest])[0] >= 0]
    refitted = replace(run, head=run.project.head + 1)
    _write_outputs(refitted, _refitted(run, new), chosen)
    queue, _ = choose(refitted, chosen, targets, last)
    run.store.projects.set(run.id, head=refitted.head, head_labels=len(_new(run)))
    for old in range(max(1, refitted.head - 3), refitted.head - 1):  # requests may still read the last one
        run.store.files.scores(run.id, run.version, old).clear()
    if _is_other(run, queue):
        put_in_force(refitted, queue)
        run.attempt("why tasks were selected", lambda: explain(replace(refitted, queue=queue)))
    version = adapter_version(run.id, run.version, refitted.head)
    log.info("project %d: %s knows %d labels more than the adapter", run.id, version, len(new))


def _new(run: ProjectRun) -> list[LabeledText]:
    """The training labels since the last round."""
    return run.tasks.labeled(audit=False, new=True)


def _refitted(run: ProjectRun, new: Sequence[LabeledText]) -> tuple[TargetHead, ...]:
    """The adapter's heads, refitted on the new labels."""
    features, waiting = run.scores, run.tasks.listed_waiting(audit=False).digests
    waiting = waiting[features.rows(waiting) >= 0]
    rng = np.random.default_rng([run.options.seed, run.id])
    sample = features.take("features", rng.permutation(waiting)[:_SAMPLE])
    of_new = features.take("features", [each.digest for each in new])
    folder = run.store.adapter_folder(run.id, run.version)
    heads = read_heads(folder, of_new.shape[1], torch.device("cpu"))
    for head in heads:
        name = head.target.name
        rows = [row for row, each in enumerate(new) if head.target.offers(each.values.get(name))]
        if rows and len(sample):
            refit(head, sample, of_new[rows], [new[row].values[name] for row in rows])
    return heads


def _write_outputs(run: ProjectRun, heads: Sequence[TargetHead], chosen: Strategy) -> None:
    """Store the heads' outputs for all texts that have the adapter's features."""
    digests = np.unique(run.tasks.listed().digests)
    features, options = replace(run, head=0).scores, run.options
    digests = digests[features.rows(digests) >= 0]
    run.scores.clear()  # of a try that was killed
    for start in range(0, len(digests), _ROWS):
        some = digests[start : start + _ROWS]
        reading, found = Fixed.of(torch.from_numpy(features.take("features", some))), Arrays()
        with torch.inference_mode():
            for head in heads:
                name = head.target.name
                found |= {f"{name}/{array}": value.numpy() for array, value in head.outputs(reading).items()}
                if "uncertainty" in chosen.requires:
                    stored = strategy.stored_as(f"{name}/uncertainty", options, chosen)
                    found[stored] = head.uncertainty(reading, strategy.uncertainty_options(options)).numpy()
        run.scores.add(some, found)


def _is_other(run: ProjectRun, queue: int) -> bool:
    """Whether the next batch of the queue differs from what is open of the published one."""
    former = [item.task_id for item in run.rounds.queue(run.project.queue)]
    still_open = run.tasks.open_ones(former)
    now = [item.task_id for item in run.rounds.queue(queue)]
    count = run.options.batch_size
    return [each for each in former if each in still_open][:count] != now[:count]
