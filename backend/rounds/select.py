"""Pool → queue: let the strategy choose, and weave the held-out tasks in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from backend.errors import BackendError
from backend.pool import fields, local
from backend.pool.local import Scores
from backend.rounds import asked
from backend.rounds.context import Context, learned, options_of, spec_of
from backend.rounds.train import strategy_now
from backend.settings import ProjectOptions
from backend.store.tasks import LabeledText, TaskText, held_out_order
from backend.targets import Target
from strategies import Pool, Strategy, StrategyError


def select(context: Context, project_id: int, version: int, queue: int) -> str:
    """Choose the tasks of queue `queue` and record them in their order. Returns the strategy's name."""
    project = context.project(project_id)
    options, spec = options_of(project), spec_of(project)
    candidates = context.store.tasks.waiting(project_id, audit=False)
    labeled = context.store.tasks.labeled(project_id, audit=False)
    audit = held_out_order(context.store.tasks.waiting(project_id, audit=True), options.seed)
    audit = audit[: _audit_places(options, len(candidates))]
    strategy = strategy_now(context, project, trained=version > 0)
    adapter = context.store.rounds.adapter(project_id, version)
    targets = learned(adapter) if adapter is not None else spec.targets
    pool = _pool(context, project_id, version, options, targets, strategy, candidates, labeled)
    rng = np.random.default_rng([options.seed, project_id, queue])
    try:
        chosen = strategy.select(pool, max(1, options.published - len(audit)), rng)
    except StrategyError as error:
        raise BackendError(f"strategy '{strategy.name}' cannot choose: {error}") from error
    ranked = [
        (candidates[index].id, False, float(value)) for index, value in zip(chosen.indices, chosen.scores, strict=True)
    ]
    items = interleave(ranked, [(task.id, True, None) for task in audit])
    context.store.rounds.put_queue(project_id, queue, items)
    return strategy.name


def _audit_places(options: ProjectOptions, candidates: int) -> int:
    """How many held-out tasks a queue may hold: their share, at least one, and whatever candidates cannot fill."""
    share = max(1, round(options.published * options.audit_share))
    left_by_candidates = options.published - candidates
    return max(min(share, options.published - 1), left_by_candidates)


def interleave(ranked: Sequence[Any], extra: Sequence[Any]) -> list[Any]:
    """Spread `extra` evenly through `ranked`, both in their order: the first comes after half a gap."""
    total = len(ranked) + len(extra)
    places = {int((i + 0.5) * total / len(extra)) for i in range(len(extra))} if extra else set()
    first, second = iter(ranked), iter(extra)
    return [next(second) if place in places else next(first) for place in range(total)]


def combined(scores: Sequence[NDArray[np.generic]], weights: Sequence[float]) -> NDArray[np.float64]:
    """What several controls say of N candidates together: the weighted mean of their ranks, in [0, 1].

    Ranks, since the scores of different kinds have no common unit. Equal scores share their rank.
    """
    ranks = [(rankdata(each) - 1) / max(1, len(each) - 1) for each in scores]
    total = sum(weights) or 1.0
    return np.asarray(sum(w / total * rank for w, rank in zip(weights, ranks, strict=True)))


def _pool(
    context: Context,
    project_id: int,
    version: int,
    options: ProjectOptions,
    targets: Sequence[Target],
    strategy: Strategy,
    candidates: Sequence[TaskText],
    labeled: Sequence[LabeledText],
) -> Pool:
    """Gather the fields that the strategy requires, and no others."""
    digests = [task.digest for task in candidates]
    labeled_digests = [example.digest for example in labeled]
    needs = strategy.requires
    arrays = fields.arrays(needs)
    sources: dict[str, Scores] = {}
    if "embeddings" in arrays:
        texts = [*candidates, *(TaskText(e.id, e.text, e.digest) for e in labeled)]
        with context.computing, context.bar(f"project {project_id}: embedding {len(texts)} texts") as progress:
            base = context.models.get(options.base_model)
            sources["embeddings"] = local.embed(
                context.store.files, project_id, base, texts, max_length=options.max_length, progress=progress
            )
    if arrays & fields.SCORED:
        path = context.store.files.scores(project_id, version)
        names = {"digests", *asked.scored(options, strategy, targets), *asked.of_targets("probs", targets)}
        found = context.store.files.read_arrays(path, names)
        if found is None:
            raise BackendError(f"project {project_id} has no scores of adapter {version}; start a round again")
        sources.update(dict.fromkeys(arrays & fields.SCORED, Scores(found)))

    def take(name: str, of: list[int]) -> NDArray[np.generic]:
        arrays = [
            sources[name].take(asked.stored_as(each, options, strategy), of) for each in asked.of_targets(name, targets)
        ]
        if name == "uncertainty" and len(arrays) > 1:
            return combined(arrays, [options.control_weights.get(target.name, 1.0) for target in targets])
        return arrays[0]

    gathered = fields.gather(needs, lambda name: take(name, digests), lambda name: take(name, labeled_digests))
    if "class_counts" in needs:
        (target,) = targets
        given = [example.values.get(target.name) for example in labeled]
        gathered["class_counts"] = np.array([given.count(name) for name in target.classes], dtype=np.int64)
    return Pool(size=len(candidates), **gathered)
