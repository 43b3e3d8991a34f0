"""Which labels somebody should look at again, by control, and how well annotators agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import BackendError
from backend.evaluation.labels import agreement, enough, suspects
from backend.labelstudio.views import show
from backend.learners import heads
from backend.rounds.context import Context, spec_of
from backend.rounds.vectors import classes_of, classified
from backend.store import Store
from backend.store.texts import LabeledText
from backend.targets import Target

_MOST = 5000  # labels that are looked at, the last ones: more only takes longer, and the others were looked at before
_LISTED = 100
_NOMINAL = ("classification", "multilabel", "pairwise")  # values of other kinds are hardly ever equal
TAB = "Likely label errors"


def review(context: Context, project_id: int, *, halvings: int = 0) -> dict[str, Any]:
    """By control: `suspects`, those whose label is likeliest wrong first, and `agreement`; only what is known.

    Suspects are told of choices of one, by a linear head on the base model's embeddings.
    halvings: how often to halve the batches that are embedded at once.
    """
    tasks = context.store.tasks
    examples = [*tasks.labeled(project_id, audit=False), *tasks.labeled(project_id, audit=True)]
    first_known = tasks.first_known(project_id)
    examples.sort(key=lambda each: (first_known.get(each.id, 2**31), each.id))
    said = context.store.annotations.all(project_id)
    found: dict[str, Any] = {}
    for target in spec_of(context.project(project_id)).targets:
        told: dict[str, Any] = {}
        of_target = [each for each in examples if target.offers(each.values.get(target.name))][-_MOST:]
        if target.kind == "classification" and of_target:
            told["suspects"] = _suspects(context, project_id, target, of_target, halvings)
        if target.kind in _NOMINAL:
            # Of one person's several annotations the last one counts.
            votes = {(e.task_id, e.annotator): e.labels[target.name] for e in said if target.name in e.labels}
            agreed = agreement((task, annotator, value) for (task, annotator), value in votes.items())
            if agreed is not None:
                told["agreement"] = agreed
        if told:
            found[target.name] = told
    return found


def into_tab(context: Context, project_id: int, most: int) -> tuple[list[dict[str, Any]], int]:
    """Show the likeliest of all controls in a tab of the Data Manager, without those that were changed meanwhile.

    The suspects with the `control` of each, likeliest first, and the tab's number. Raises `BackendError` before the
    first round that looked.
    """
    if context.store.rounds.last(project_id, "review") is None:
        raise BackendError(f"project {project_id}: no round has looked at its labels yet; `lsal round {project_id}`")
    found = still_suspect(context.store, project_id, most)
    return found, show(context.client, project_id, TAB, sorted({each["task"] for each in found}))


def still_suspect(store: Store, project_id: int, most: int) -> list[dict[str, Any]]:
    """The suspects of all controls with the `control` of each, likeliest first, but for what was changed meanwhile."""
    last, tasks = store.rounds.last(project_id, "review") or {}, store.tasks
    now = {e.id: e.values for audit in (False, True) for e in tasks.labeled(project_id, audit=audit)}
    found = [
        {"control": name, **each}
        for name, told in last.items()
        for each in told.get("suspects", [])
        if now.get(each["task"], {}).get(name) == each["given"]
    ]
    return sorted(found, key=lambda each: each["quality"])[:most]


def _suspects(
    context: Context, project_id: int, target: Target, examples: list[LabeledText], halvings: int
) -> list[dict[str, Any]]:
    labels = classes_of(target, examples)
    if not enough(labels):
        return []
    ((vectors, _),) = classified(context, project_id, target, examples, halvings=halvings)

    def probs(known: NDArray[np.float32], given: NDArray[np.int64], others: NDArray[np.float32]) -> NDArray[np.float64]:
        return heads.fit(known, given, len(target.classes)).alone(others).astype(np.float64)

    return [
        {
            "task": examples[each.row].id,
            "given": target.classes[labels[each.row]],
            "instead": target.classes[each.instead],
            "quality": round(each.quality, 4),
        }
        for each in suspects(vectors, labels, probs)[:_LISTED]
    ]
