"""Which base model learns a project's labels best: probes on the embeddings of each, compared out of fold."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from backend.errors import ModelError
from backend.learners.heads import probe
from backend.learners.models.languages import ENCODERS
from backend.rounds.class_names import name_vectors, sample_vectors
from backend.rounds.context import ProjectRun, chooses_encoder
from backend.rounds.embeddings import embedded
from backend.rounds.events import ROUND_REQUESTED
from backend.store.texts import LabeledText
from backend.targets import Target

log = logging.getLogger(__name__)

_FIRST = 50  # labels of a control; the comparison is repeated each time they have doubled
_MOST = 1000  # labels that are compared, the last ones
_FOLDS = 5
_CLEARLY = 3.0  # standard errors of the difference, and at least
_POINTS = 0.03  # more right answers, to switch without a person


def applies(run: ProjectRun) -> bool:
    """Whether the backend chooses the base model, and enough labels are new since the last comparison."""
    if not chooses_encoder(run.project):
        return False
    last = run.project.encoder.get("compared", {}).get("labels", 0)
    labels = max((len(_labeled(run, target)) for target in _targets(run)), default=0)
    return bool(labels >= max(_FIRST, 2 * last))


def compare(run: ProjectRun) -> None:
    """Measure each encoder's accuracy on the training labels, and switch if another is clearly better.

    The held-out labels have no part in it. The next round trains with the new base model.
    """
    used, targets = run.options.base_model, _targets(run)
    right = {}
    for name in sorted(ENCODERS, key=lambda each: each != used):
        try:
            with_it = run.with_base_model(name)
            right[name] = np.concatenate([_right(with_it, target) for target in targets])
        except ModelError as error:
            log.warning("project %d: %s; it is not compared", run.id, error)
    compared: dict[str, Any] = {
        "labels": max(len(_labeled(run, target)) for target in targets),
        "accuracy": {name: float(each.mean()) for name, each in right.items()},
    }
    best = max(right, key=lambda name: right[name].mean())
    if best != used:
        gained = right[best] - right[used]
        spread = float(gained.std(ddof=1) / len(gained) ** 0.5)
        compared |= {"better": best, "gain": float(gained.mean()), "error": spread}
        free = run.project.encoder.get("by") != "person"
        if free and gained.mean() >= max(_CLEARLY * spread, _POINTS):
            log.info("project %d: base model %s, which is right more often by %.3f ± %.3f", run.id, best,
                     gained.mean(), spread)  # fmt: skip
            run.set(encoder={**run.project.encoder, "base_model": best, "by": "labels", "compared": compared})
            run.store.events.add(run.id, ROUND_REQUESTED)
            return
    run.set(encoder={**run.project.encoder, "compared": compared})


def _targets(run: ProjectRun) -> list[Target]:
    return [target for target in run.spec.targets if target.kind in ("classification", "multilabel")]


def _labeled(run: ProjectRun, target: Target) -> list[LabeledText]:
    known = run.tasks.labeled(audit=False)
    return [each for each in known if target.offers(each.values.get(target.name))][-_MOST:]


def _right(run: ProjectRun, target: Target) -> NDArray[np.float64]:
    """For each labeled text, the share of its answers that a probe trained on other texts gives right: (M,)."""
    examples, names = _labeled(run, target), name_vectors(run).get(target.name)
    if len(examples) < _FOLDS:
        return np.empty(0)
    values = [each.values[target.name] for each in examples]
    (vectors,), some = embedded(run, examples), sample_vectors(run)
    found = np.empty(len(examples))
    for rest, out in KFold(_FOLDS, shuffle=True, random_state=0).split(vectors):
        known = [values[row] for row in rest]
        if names is None:
            fitted = probe.fit(target, vectors[rest], known)
        else:
            fitted = probe.fit_named(target, names, vectors[rest], known, some)
        probs = fitted.probs(vectors[out])
        for place, row in enumerate(out):
            if target.kind == "multilabel":
                given = np.isin(target.classes, values[row])
                found[row] = float(((probs[place] > 0.5) == given).mean())
            else:
                found[row] = float(target.classes[int(probs[place].argmax())] == values[row])
    return found
