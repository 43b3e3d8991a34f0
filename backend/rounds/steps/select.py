"""Pool → queue: the strategy's selection, interleaved with held-out tasks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import BackendError
from backend.options import ProjectOptions
from backend.pool import fields
from backend.pool.texts import given, stored
from backend.rounds.adapters import learned
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embeddings
from backend.rounds.outputs import vectors
from backend.rounds.quality.goals import goals_of, near
from backend.rounds.quality.held_out import queue_share
from backend.rounds.quality.stopping import stopped_by
from backend.rounds.reach import within_reach
from backend.rounds.selection import bandit
from backend.rounds.selection.minimum import of_lacking_classes
from backend.rounds.selection.repeats import without_repeats
from backend.rounds.selection.second_opinions import doubtful
from backend.rounds.selection.strategy import of_targets, stored_as, strategy_for
from backend.store.files.shards import Shards
from backend.store.rounds import MINIMUM, PERSON, SECOND_OPINION, Place
from backend.store.sql.models import Round
from backend.store.texts import LabeledText, Listed, held_out_order
from backend.targets import Target
from strategies import Pool, Selection, Strategy, StrategyError
from strategies.mixed import Mixed

log = logging.getLogger(__name__)


def applies(run: ProjectRun) -> bool:
    """Whether this backend orders the project's queue."""
    return run.project.connected and run.options.manage_queue


def select(run: ProjectRun) -> int:
    """Select the tasks of the next queue, store them in their order, and return the queue's number."""
    this, adapter = run.round, run.rounds.adapter(run.version)
    targets = learned(adapter) if adapter is not None else run.spec.targets
    strategy, decision = bandit.adapted(run, strategy_for(run, run.version), targets)
    queue, candidates = choose(run, strategy, targets, this)
    run.rounds.set(this.number, strategy=strategy.name, candidates=candidates, choosing=decision)
    if decision is not None:
        log.info("project %d, round %d: %s", run.id, this.number, decision["why"])
    return queue


def choose(run: ProjectRun, strategy: Strategy, targets: Sequence[Target], this: Round) -> tuple[int, int]:
    """Store a queue that the strategy selects. this: the last round. Returns its number and that of its candidates."""
    queue, options, tasks = run.store.projects.next_queue(run.id), run.options, run.tasks
    waiting = candidates = tasks.listed_waiting(audit=False)
    audit = held_out_order(tasks.listed_waiting(audit=True).ids.tolist(), options.seed)
    arrays = fields.arrays(strategy.requires)
    if arrays & fields.SCORED:
        there = run.scores.rows(candidates.digests) >= 0
        candidates = Listed(candidates.ids[there], candidates.digests[there])
    elif "embeddings" in arrays:
        candidates = within_reach(run, candidates)
    first = tasks.first()
    labeled = tasks.labeled(audit=False)
    candidates = without_repeats(run, _without(candidates, first), labeled)
    audit = audit[: _audit_places(options, _audit_share(run, this), len(candidates.ids))]
    places = max(0, options.published - len(audit) - len(first))
    left = len(candidates.ids) > 0
    lacking = of_lacking_classes(run, candidates, places // 2)
    candidates = _without(candidates, lacking)
    again = doubtful(run, (places - len(lacking)) // 2 if left else places, left=left)
    pool = _pool(run, targets, strategy, candidates, labeled)
    rng = np.random.default_rng([options.seed, run.id, queue])
    try:
        selection = strategy.select(pool, max(1, places - len(lacking) - len(again)), rng)
    except StrategyError as error:
        raise BackendError(f"strategy '{strategy.name}' cannot select: {error}") from error
    of_all = len(candidates.ids) == len(waiting.ids)
    items = _places(strategy, candidates, selection, of_all=of_all)
    for others in (
        [Place(each, chosen_by=MINIMUM) for each in lacking],
        [Place(each, chosen_by=SECOND_OPINION) for each in again],
        [Place(each, audit=True) for each in audit],
    ):
        items = interleave(items, others)
    sample = held_out_order(tasks.sampled(unlabeled=True), options.seed)  # that decides which labels are taken
    before = [*(Place(each, audit=True) for each in sample), *(Place(each, chosen_by=PERSON) for each in first)]
    run.rounds.put_queue(queue, [*before, *items])
    return queue, len(candidates.ids)


def _without(listed: Listed, task_ids: Sequence[int]) -> Listed:
    left = ~np.isin(listed.ids, task_ids)
    return Listed(listed.ids[left], listed.digests[left])


def _places(strategy: Strategy, candidates: Listed, selection: Selection, *, of_all: bool) -> list[Place]:
    """The selected tasks, with their scores, the probability of each draw, and the member that selected each."""
    # A draw from a part of the texts gives no estimate for the others.
    drawn = selection.probabilities if of_all else None
    probabilities = [None] * len(selection.indices) if drawn is None else drawn.tolist()
    names = [member.name for member in strategy.members] if isinstance(strategy, Mixed) else []
    by = [None] * len(probabilities) if selection.members is None else [names[member] for member in selection.members]
    return [
        Place(int(candidates.ids[index]), False, float(score), probability, member)
        for index, score, probability, member in zip(
            selection.indices, selection.scores, probabilities, by, strict=True
        )
    ]


def _audit_share(run: ProjectRun, this: Round) -> float:
    """The share of held-out tasks in the queue: larger while a target seems reached and is not yet certain."""
    unsure = stopped_by(run.project, run.options) is None
    return queue_share(run.options, near=unsure and near(goals_of(run.options, run.spec.targets), this.evaluation))


def _audit_places(options: ProjectOptions, share: float, candidates: int) -> int:
    """Places for held-out tasks: their share of the queue, at least one, and all places that candidates cannot fill."""
    places = max(1, round(options.published * share))
    left_by_candidates = options.published - candidates
    return max(min(places, options.published - 1), left_by_candidates)


def interleave(ranked: Sequence[Any], extra: Sequence[Any]) -> list[Any]:
    """Spread `extra` evenly through `ranked`, both in their order; the first follows after half a gap."""
    total = len(ranked) + len(extra)
    places = {int((i + 0.5) * total / len(extra)) for i in range(len(extra))} if extra else set()
    first, second = iter(ranked), iter(extra)
    return [next(second) if place in places else next(first) for place in range(total)]


def _pool(
    run: ProjectRun, targets: Sequence[Target], strategy: Strategy, candidates: Listed, labeled: Sequence[LabeledText]
) -> Pool:
    """The fields that the strategy requires, and no others."""
    needs = strategy.requires
    arrays = fields.arrays(needs)
    sources: dict[str, Shards] = {}
    if "embeddings" in arrays:
        sources["embeddings"] = embeddings(run, stored(run.store, run.id, candidates), given(labeled))
    if arrays & fields.SCORED:
        scores = run.scores
        if not len(scores):
            raise BackendError(f"project {run.id} has no scores of adapter {run.version}; start a round again")
        sources.update(dict.fromkeys(arrays & fields.SCORED, scores))

    def take(name: str, of: NDArray[np.int64]) -> NDArray[np.generic]:
        if name == "features" and (known := vectors(run)) is not None:
            return known.of(of)
        arrays = [sources[name].take(stored_as(each, run.options, strategy), of) for each in of_targets(name, targets)]
        if name == "uncertainty" and len(arrays) > 1:
            return fields.combined(arrays, [run.options.control_weights.get(target.name, 1.0) for target in targets])
        return arrays[0]

    labels = np.array([example.digest for example in labeled], np.int64)
    gathered = fields.gather(needs, lambda name: take(name, candidates.digests), lambda name: take(name, labels))
    if "class_counts" in needs:
        (target,) = targets
        given_classes = [example.values.get(target.name) for example in labeled]
        gathered["class_counts"] = np.array([given_classes.count(name) for name in target.classes], dtype=np.int64)
    multilabel = any(target.kind == "multilabel" for target in targets)
    return Pool(size=len(candidates.ids), multilabel=multilabel, **gathered)
