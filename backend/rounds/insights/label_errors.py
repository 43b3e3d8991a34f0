"""Labels to check, by control, and how well annotators agree."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import BackendError
from backend.evaluation.agreement import agreement
from backend.evaluation.label_noise import label_noise
from backend.labelstudio.api.views import show_with_predictions
from backend.labelstudio.predictions import check_version, spelled
from backend.learners.heads import linear
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import classes_of, classified
from backend.store import Store
from backend.store.texts import LabeledText
from backend.targets import Target

log = logging.getLogger(__name__)

_MOST = 5000  # labels that are reviewed, the last ones: earlier rounds reviewed the others
_LISTED = 100
_NOMINAL = ("classification", "multilabel", "pairwise")  # values of other kinds are rarely equal
TAB = "Labels to check"
_FORMER_TAB = "Likely label errors"


def write(run: ProjectRun) -> None:
    """Write the review to the round."""
    assert run.number is not None
    run.rounds.put_review(run.number, review(run))


def review(run: ProjectRun) -> dict[str, Any]:
    """By control: labels that are rather wrong than right, and `agreement` of annotators, where they are known.

    `suspects` are the labels, the worst first, and `errors` how many of how many `labels` are wrong, with its 95 %
    interval: for single choices, from a linear head on the base model's embeddings.
    """
    tasks = run.tasks
    examples = [*tasks.labeled(audit=False), *tasks.labeled(audit=True)]
    first_known = tasks.first_known()
    examples.sort(key=lambda each: (first_known.get(each.id, 2**31), each.id))
    annotations = run.annotations.all()
    found: dict[str, Any] = {}
    for target in run.spec.targets:
        of_target: dict[str, Any] = {}
        labeled = [each for each in examples if target.offers(each.values.get(target.name))][-_MOST:]
        if target.kind == "classification" and labeled:
            of_target |= _label_errors(run, target, labeled)
        if target.kind in _NOMINAL:
            # Of several annotations by one person the last one counts.
            votes = {(e.task_id, e.annotator): e.labels[target.name] for e in annotations if target.name in e.labels}
            agreed = agreement((task, annotator, value) for (task, annotator), value in votes.items())
            if agreed is not None:
                of_target["agreement"] = agreed
        if of_target:
            found[target.name] = of_target
    return found


def into_tab(run: ProjectRun, most: int) -> tuple[list[dict[str, Any]], int]:
    """Show the worst suspects of all controls in a tab of the Data Manager, without labels that changed meanwhile.

    Each task gets a prediction with the more probable class, which Label Studio shows beside the annotation.
    Returns the suspects with the `control` of each, the worst first, and the tab's number. Raises `BackendError`
    before the first round that reviewed labels.
    """
    if run.rounds.last("review") is None:
        raise BackendError(f"project {run.id}: no round has reviewed its labels yet; `lsal round {run.id}`")
    found = still_suspect(run.store, run.id, most)
    version = check_version(run.id)
    tab = show_with_predictions(
        run.client, run.id, TAB, sorted({each["task"] for each in found}), version, _instead(run, found, version),
        former=_FORMER_TAB,
    )  # fmt: skip
    return found, tab


def _instead(run: ProjectRun, suspects: Sequence[Mapping[str, Any]], version: str) -> list[dict[str, Any]]:
    """One prediction a task, with the more probable classes. score: the probability that the worst label is right.

    None for held-out tasks, whose labels must not follow the model.
    """
    placed = run.tasks.placed([each["task"] for each in suspects])
    classes = {target.name: target.classes for target in run.spec.targets}
    by_task: dict[int, list[Mapping[str, Any]]] = {}
    for each in suspects:
        if each["instead"] in classes.get(each["control"], ()) and not placed[each["task"]].audit:
            by_task.setdefault(each["task"], []).append(each)
    texts = run.tasks.texts(list(by_task))
    return [
        {
            "task": task,
            "result": spelled(run.spec, {each["control"]: each["instead"] for each in of_task}, texts[task].text),
            "score": min(each["quality"] for each in of_task),
            "model_version": version,
        }
        for task, of_task in by_task.items()
        if task in texts
    ]


def still_suspect(store: Store, project_id: int, most: int | None) -> list[dict[str, Any]]:
    """The suspects of all controls with the `control` of each, the worst first, without labels that changed since."""
    last = store.of(project_id).rounds.last("review") or {}
    found = [{"control": name, **each} for name, of_target in last.items() for each in of_target.get("suspects", [])]
    now = store.of(project_id).tasks.placed(list({each["task"] for each in found}))
    labels = {task: each.labels or {} for task, each in now.items()}
    still = [each for each in found if labels.get(each["task"], {}).get(each["control"]) == each["given"]]
    return sorted(still, key=lambda each: each["quality"])[:most]


def _label_errors(run: ProjectRun, target: Target, examples: list[LabeledText]) -> dict[str, Any]:
    labels = classes_of(target, examples)
    ((vectors, _),) = classified(run, target, examples)

    def probs(known: NDArray[np.float32], given: NDArray[np.int64], others: NDArray[np.float32]) -> NDArray[np.float64]:
        return linear.fit(known, given, len(target.classes)).alone(others).astype(np.float64)

    noise = label_noise(vectors, labels, probs)
    if noise is None:
        return {}
    suspects = [
        {
            "task": examples[each.row].id,
            "given": target.classes[labels[each.row]],
            "instead": target.classes[each.instead],
            "quality": round(each.quality, 4),
        }
        for each in noise.suspects[:_LISTED]
    ]
    number, low, high = (noise.labels * share for share in (noise.share, noise.low, noise.high))
    return {"suspects": suspects, "errors": {"labels": noise.labels, "number": number, "low": low, "high": high}}
