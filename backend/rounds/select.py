"""Pool → queue: let the strategy choose, and weave the held-out tasks in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import strategies
from backend.errors import BackendError
from backend.labelstudio.label_config import TaskSpec
from backend.pool import local
from backend.pool.local import Scores
from backend.rounds.context import Context, options_of, spec_of
from backend.settings import ProjectOptions
from backend.store.tasks import TaskText, held_out_order
from strategies import Pool, Strategy


def select(context: Context, project_id: int, version: int, queue: int) -> str:
    """Choose the tasks of queue `queue` and record them in their order. Returns the strategy's name."""
    project = context.project(project_id)
    options, spec = options_of(project), spec_of(project)
    candidates = context.store.tasks.waiting(project_id, audit=False)
    audit = held_out_order(context.store.tasks.waiting(project_id, audit=True), options.seed)
    audit = audit[: _audit_places(options, len(candidates))]
    strategy = _strategy(options, version)
    pool = _pool(context, project_id, version, options, spec, strategy, candidates)
    chosen = strategy.select(
        pool, max(1, options.published - len(audit)), np.random.default_rng([options.seed, project_id, queue])
    )
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


def _strategy(options: ProjectOptions, version: int) -> Strategy:
    if version == 0:
        return strategies.get(options.cold_start)
    return strategies.get(options.strategy, **options.strategy_options)


def _pool(
    context: Context,
    project_id: int,
    version: int,
    options: ProjectOptions,
    spec: TaskSpec,
    strategy: Strategy,
    candidates: Sequence[TaskText],
) -> Pool:
    """Gather the fields that the strategy requires, and no others."""
    labeled = context.store.tasks.labeled(project_id, audit=False)
    digests = [task.digest for task in candidates]
    labeled_digests = [example.digest for example in labeled]
    fields: dict[str, Any] = {}
    needs = strategy.requires
    if needs & {"embeddings", "labeled_embeddings"}:
        texts = [*candidates, *(TaskText(e.id, e.text, e.digest) for e in labeled)]
        with context.computing, context.bar(f"project {project_id}: embedding {len(texts)} texts") as progress:
            base = context.models.get(options.base_model)
            embedded = local.embed(
                context.store.files, project_id, base, texts, max_length=options.max_length, progress=progress
            )
        fields["embeddings"] = embedded.take("embeddings", digests)
        fields["labeled_embeddings"] = embedded.take("embeddings", labeled_digests)
    if needs & {"probs", "labeled_probs", "features", "labeled_features"}:
        arrays = context.store.files.read_arrays(context.store.files.scores(project_id, version))
        if arrays is None:
            raise BackendError(f"project {project_id} has no scores of adapter {version}; start a round again")
        scores = Scores(arrays)
        for name, wanted in (("probs", digests), ("labeled_probs", labeled_digests)):
            fields[name] = scores.take("probs", wanted)
        if "features" in arrays:
            fields["features"] = scores.take("features", digests)
            fields["labeled_features"] = scores.take("features", labeled_digests)
    if "class_counts" in needs:
        names = [example.label for example in labeled]
        fields["class_counts"] = np.array([names.count(name) for name in spec.classes], dtype=np.int64)
    return Pool(size=len(candidates), **{name: value for name, value in fields.items() if name in needs})
