"""Pool → queue: let the strategy choose, and weave the held-out tasks in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.errors import BackendError
from backend.options import ProjectOptions
from backend.pool import fields
from backend.pool.texts import given, stored
from backend.rounds import asked, auto
from backend.rounds.context import Context, learned, options_of, spec_of
from backend.rounds.stopping import stopped_by
from backend.rounds.targets import NEAR, goals_of, near
from backend.rounds.train import strategy_for
from backend.rounds.vectors import embeddings
from backend.store.rounds import Place
from backend.store.shards import Shards
from backend.store.texts import LabeledText, Listed, held_out_order
from backend.targets import Target
from strategies import Pool, Strategy, StrategyError
from strategies.mixed import Mixed


class Chosen(NamedTuple):
    """What a round notes of how it chose."""

    strategy: str
    candidates: int  # from so many
    choosing: dict[str, Any] | None  # how `auto` decided


def select(context: Context, project_id: int, version: int, queue: int, *, halvings: int = 0) -> Chosen:
    """Choose the tasks of queue `queue` and record them in their order.

    halvings: how often to halve the batches that are embedded at once.
    """
    project = context.project(project_id)
    options, spec = options_of(project), spec_of(project)
    candidates = context.store.tasks.listed_waiting(project_id, audit=False)
    labeled = context.store.tasks.labeled(project_id, audit=False)
    audit = held_out_order(context.store.tasks.listed_waiting(project_id, audit=True).ids.tolist(), options.seed)
    this = context.store.rounds.get(project_id, project.round)
    share = options.audit_share
    if share and this is not None and stopped_by(project, options) is None:
        share = max(share, NEAR if near(goals_of(options, spec.targets), this.evaluation) else 0.0)
    adapter = context.store.rounds.adapter(project_id, version)
    targets = learned(adapter) if adapter is not None else spec.targets
    strategy = strategy_for(context, project, version)
    strategy, choosing = auto.adapted(context, project, strategy, targets, halvings=halvings)
    shortlisted = options.shortlist < 1 and bool(fields.arrays(strategy.requires) & fields.SCORED)
    if shortlisted:
        there = context.store.files.scores(project_id, version).rows(candidates.digests) >= 0
        candidates = Listed(candidates.ids[there], candidates.digests[there])
    audit = audit[: _audit_places(options, share, len(candidates.ids))]
    pool = _pool(context, project_id, version, options, targets, strategy, candidates, labeled, halvings)
    rng = np.random.default_rng([options.seed, project_id, queue])
    try:
        chosen = strategy.select(pool, max(1, options.published - len(audit)), rng)
    except StrategyError as error:
        raise BackendError(f"strategy '{strategy.name}' cannot choose: {error}") from error
    # What is drawn from a shortlist says nothing of the texts that are not on it, whose losses nobody knows.
    drawn = None if options.shortlist < 1 else chosen.probabilities
    likely = [None] * len(chosen.indices) if drawn is None else drawn.tolist()
    names = [member.name for member in strategy.members] if isinstance(strategy, Mixed) else []
    by = [None] * len(likely) if chosen.members is None else [names[member] for member in chosen.members]
    ranked = [
        Place(int(candidates.ids[index]), False, float(value), *told)
        for index, value, *told in zip(chosen.indices, chosen.scores, likely, by, strict=True)
    ]
    items = interleave(ranked, [Place(task_id, audit=True) for task_id in audit])
    context.store.rounds.put_queue(project_id, queue, items)
    return Chosen(strategy.name, len(candidates.ids), choosing)


def _audit_places(options: ProjectOptions, share: float, candidates: int) -> int:
    """How many held-out tasks a queue may hold: their share, at least one, and whatever candidates cannot fill."""
    places = max(1, round(options.published * share))
    left_by_candidates = options.published - candidates
    return max(min(places, options.published - 1), left_by_candidates)


def interleave(ranked: Sequence[Any], extra: Sequence[Any]) -> list[Any]:
    """Spread `extra` evenly through `ranked`, both in their order: the first comes after half a gap."""
    total = len(ranked) + len(extra)
    places = {int((i + 0.5) * total / len(extra)) for i in range(len(extra))} if extra else set()
    first, second = iter(ranked), iter(extra)
    return [next(second) if place in places else next(first) for place in range(total)]


def _pool(
    context: Context,
    project_id: int,
    version: int,
    options: ProjectOptions,
    targets: Sequence[Target],
    strategy: Strategy,
    candidates: Listed,
    labeled: Sequence[LabeledText],
    halvings: int,
) -> Pool:
    """Gather the fields that the strategy requires, and no others."""
    needs = strategy.requires
    arrays = fields.arrays(needs)
    sources: dict[str, Shards] = {}
    if "embeddings" in arrays:
        texts = stored(context.store, project_id, candidates), given(labeled)
        sources["embeddings"] = embeddings(context, project_id, options, *texts, halvings=halvings)
    if arrays & fields.SCORED:
        scores = context.store.files.scores(project_id, version)
        if not len(scores):
            raise BackendError(f"project {project_id} has no scores of adapter {version}; start a round again")
        sources.update(dict.fromkeys(arrays & fields.SCORED, scores))

    def take(name: str, of: NDArray[np.int64]) -> NDArray[np.generic]:
        arrays = [
            sources[name].take(asked.stored_as(each, options, strategy), of) for each in asked.of_targets(name, targets)
        ]
        if name == "uncertainty" and len(arrays) > 1:
            return fields.combined(arrays, [options.control_weights.get(target.name, 1.0) for target in targets])
        return arrays[0]

    labels = np.array([example.digest for example in labeled], np.int64)
    gathered = fields.gather(needs, lambda name: take(name, candidates.digests), lambda name: take(name, labels))
    if "class_counts" in needs:
        (target,) = targets
        said = [example.values.get(target.name) for example in labeled]
        gathered["class_counts"] = np.array([said.count(name) for name in target.classes], dtype=np.int64)
    multilabel = any(target.kind == "multilabel" for target in targets)
    return Pool(size=len(candidates.ids), multilabel=multilabel, **gathered)
