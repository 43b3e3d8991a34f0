"""New labels → a new queue within seconds: between rounds the head is refitted, and the candidates are ranked again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from backend.labelstudio.predictions import adapter_version
from backend.learners.heads.refit import refit
from backend.learners.kinds.base import TargetHead
from backend.learners.saved import read_heads
from backend.rounds import outputs
from backend.rounds.adapters import find, learned
from backend.rounds.context import ProjectRun
from backend.rounds.insights.explanations import explain
from backend.rounds.selection.strategy import reacts, strategy_for
from backend.rounds.steps.publish import put_in_force
from backend.rounds.steps.select import choose
from backend.store.texts import LabeledText

log = logging.getLogger(__name__)

_SAMPLE = 512  # texts whose features are the head's frame


def applies(run: ProjectRun) -> bool:
    """Whether no round runs now, and labels have arrived that neither the adapter nor its head knows."""
    return run.number is None and is_due(run)


def is_due(run: ProjectRun) -> bool:
    """Whether there are labels that neither the adapter in service nor its head knows, and a queue of ours."""
    project = run.project
    there = project.adapter and project.queue and project.back_to is None
    ours = project.connected and not project.paused and run.options.manage_queue and run.options.react
    return bool(there and ours and len(_new(run)) not in (0, project.head_labels))


def react(run: ProjectRun) -> None:
    """As `follow`, and explain why the tasks of the new queue were selected."""
    queue = follow(run)
    if queue is not None:
        run.attempt("why tasks were selected", lambda: explain(_in_service(run, queue)))


def follow(run: ProjectRun) -> int | None:
    """Refit the head of the adapter in service, put it into service, and publish the queue that it leads to.

    Returns the queue's number; None if the queue in force stays, or where the strategy needs more than the head.
    """
    run = replace(run, version=run.project.adapter)
    adapter, last = find(run, run.version), run.rounds.get(run.project.round)
    targets, strategy, known = learned(adapter), strategy_for(run, run.version), outputs.vectors(run)
    if last is None or known is None or not reacts(run.options, strategy, targets):
        return None
    new = _new(run)
    refitted = replace(run, head=run.project.head + 1)
    everything = known.known(np.unique(run.tasks.listed().digests))
    outputs.write(refitted, _refitted(run, new, known), strategy, everything, known)
    queue, _ = choose(refitted, strategy, targets, last)
    run.store.projects.set(run.id, head=refitted.head, head_labels=len(new))
    for old in range(max(1, refitted.head - 3), refitted.head - 1):  # requests may still read the last one
        run.store.files.scores(run.id, run.version, old).clear()
    changed = _is_other(run, queue)
    if changed:
        put_in_force(refitted, queue, computing=run.number is not None)
    version = adapter_version(run.id, run.version, refitted.head)
    log.info("project %d: %s knows %d labels more than the adapter", run.id, version, len(new))
    return queue if changed else None


def _in_service(run: ProjectRun, queue: int) -> ProjectRun:
    project = run.fresh().project
    return replace(run, version=project.adapter, head=project.head, queue=queue)


def _new(run: ProjectRun) -> list[LabeledText]:
    """The training labels that the adapter in service does not know: since the last round, or of the running one."""
    return run.tasks.labeled(audit=False, since=run.number or run.project.round + 1)


def _refitted(run: ProjectRun, new: Sequence[LabeledText], known: outputs.Vectors) -> tuple[TargetHead, ...]:
    """The adapter's heads, refitted on the new labels."""
    there = set(known.known(np.array([each.digest for each in new], np.int64)).tolist())
    new = [each for each in new if each.digest in there]
    of_new = known.of([each.digest for each in new])
    rng = np.random.default_rng([run.options.seed, run.id])
    sample = known.of(rng.permutation(known.known(run.tasks.listed_waiting(audit=False).digests))[:_SAMPLE])
    heads = read_heads(run.store.adapter_folder(run.id, run.version), of_new.shape[1], torch.device("cpu"))
    for head in heads:
        name = head.target.name
        rows = [row for row, each in enumerate(new) if head.target.offers(each.values.get(name))]
        if rows and len(sample):
            refit(head, sample, of_new[rows], [new[row].values[name] for row in rows])
    return heads


def _is_other(run: ProjectRun, queue: int) -> bool:
    """Whether the next batch of the queue differs from what is open of the published one."""
    former = [item.task_id for item in run.rounds.queue(run.project.queue)]
    still_open = run.tasks.to_label(former)
    now = [item.task_id for item in run.rounds.queue(queue)]
    count = run.options.batch_size
    return [each for each in former if each in still_open][:count] != now[:count]
