"""Which labeled tasks another annotator labels again, with the option `relabel`."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.model_selection import KFold

from backend.evaluation import active_lab
from backend.evaluation.active_lab import Votes
from backend.learners.heads import linear
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import classified
from backend.rounds.insights.label_errors import still_suspect
from backend.store.sql.models import Annotation
from backend.targets import Target

log = logging.getLogger(__name__)

_KIND = "classification"  # of the controls whose labels are compared
_MOST = 5000  # labels that are compared, the newest
_FOLDS = 5
_CERTAIN = 0.95  # probability of a label from which it needs no other


def doubtful(run: ProjectRun, most: int, *, left: bool) -> list[int]:
    """The labeled tasks that need another label most, the first most.

    left: whether unlabeled tasks are left. Then labels that are rather wrong than right, once each, and ties until they
    are decided: more would teach the model less than as many new tasks. Otherwise ties, then labels that are not
    certain yet, by ActiveLab. No task that measures the model or that all annotators have labeled; none where only one
    has labeled.
    """
    if not run.options.relabel:
        return []
    by_task: dict[int, list[Annotation]] = defaultdict(list)
    for each in run.annotations.all():
        if each.annotator is not None:
            by_task[each.task_id].append(each)
    people = {each.annotator: None for given in by_task.values() for each in given}
    if len(people) < 2:
        log.info("project %d: second opinions need two annotators", run.id)
        return []
    controls = [target for target in run.spec.targets if target.kind == _KIND]
    ties = [task for target in controls for task in _undecided(run, target, by_task)]
    if left:
        suspects = [each["task"] for each in still_suspect(run.store, run.id, _MOST)]
        found = [*(task for task in suspects if _people(by_task.get(task, ())) < 2), *ties]
    else:
        found = [*ties, *(task for target in controls for task in _uncertain(run, target, by_task, list(people)))]
    placed = run.tasks.placed(found)
    return [
        task for task in dict.fromkeys(found)
        if task in placed and not placed[task].audit and _people(by_task.get(task, ())) < len(people)
    ][:most]  # fmt: skip


def _undecided(run: ProjectRun, target: Target, by_task: Mapping[int, Sequence[Annotation]]) -> list[int]:
    """Tasks whose annotators disagree about a control, so that it has no label."""
    several = [task for task, given in by_task.items() if sum(target.name in each.labels for each in given) > 1]
    placed = run.tasks.placed(several)
    return [task for task in several if task in placed and target.name not in (placed[task].labels or {})]


def _uncertain(
    run: ProjectRun, target: Target, by_task: Mapping[int, Sequence[Annotation]], people: Sequence[int | None]
) -> list[int]:
    """Tasks whose label is not certain, the least certain first, by the annotators and a head that did not learn it."""
    known = [
        each for each in run.tasks.labeled(audit=False)
        if target.offers(each.values.get(target.name))
        and any(target.offers(given.labels.get(target.name)) for given in by_task.get(each.id, ()))
    ][-_MOST:]  # fmt: skip
    if len({each.values[target.name] for each in known}) < 2:
        return []
    votes = {  # of several by one annotator the last one counts
        (row, people.index(given.annotator)): target.classes.index(given.labels[target.name])
        for row, each in enumerate(known)
        for given in by_task[each.id]
        if target.offers(given.labels.get(target.name))
    }
    columns = Votes(*(np.array(c, np.int64) for c in zip(*((*key, vote) for key, vote in votes.items()), strict=True)))
    ((vectors, labels),) = classified(run, target, known)
    predicted = np.empty((len(known), len(target.classes)))
    for learned, others in KFold(min(_FOLDS, len(known)), shuffle=True, random_state=0).split(vectors):
        predicted[others] = linear.fit(vectors[learned], labels[learned], len(target.classes)).alone(vectors[others])
    trust = active_lab.trust(columns, predicted, len(people))
    certain = active_lab.quality(columns, predicted, trust)
    order = np.argsort(active_lab.scores(columns, predicted, trust), kind="stable")
    return [known[row].id for row in order if certain[row] < _CERTAIN]


def _people(given: Sequence[Annotation]) -> int:
    return len({each.annotator for each in given})
