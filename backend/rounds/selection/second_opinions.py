"""Which labeled tasks another annotator labels again, with the option `relabel`."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from backend.evaluation import active_lab
from backend.evaluation.active_lab import Votes
from backend.evaluation.label_noise import out_of_fold
from backend.learners.heads import linear
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embedded
from backend.rounds.insights.label_errors import still_suspect
from backend.targets import Target

log = logging.getLogger(__name__)

_KIND = "classification"  # of the controls whose labels are compared
_MOST = 5000  # labels that are compared, the newest
_FEWEST = 5  # texts from which a model can be tried on others
_CERTAIN = 0.95  # probability of a label from which it needs no other

ByPerson = dict[int, str | None]  # class by annotator; None: the annotator left the control empty


def doubtful(run: ProjectRun, most: int, *, left: bool) -> list[int]:
    """The labeled tasks that need another label most, the first most.

    left: whether unlabeled tasks are left. Then labels that are rather wrong than right, once each, and ties until they
    are decided: more would teach the model less than as many new tasks. Otherwise ties, then labels that are not
    certain yet, by ActiveLab. No task that measures the model or that all annotators have labeled; none where only one
    has labeled.
    """
    if not run.options.relabel:
        return []
    controls = [target for target in run.spec.targets if target.kind == _KIND]
    votes = {target.name: _votes(run, target) for target in controls}
    people = {who for of_control in votes.values() for by_person in of_control.values() for who in by_person}
    if len(people) < 2:
        log.info("project %d: second opinions need two annotators", run.id)
        return []
    found = [task for target in controls for task in _ties(run, target, votes[target.name])]
    suspects = [each["task"] for each in still_suspect(run.store, run.id, _MOST)] if left else []
    if not left:
        found += [task for target in controls for task in _uncertain(run, target, votes[target.name], sorted(people))]
    measures = {*run.tasks.sampled(), *(each.id for each in run.tasks.truths())}
    placed, given = run.tasks.placed([*suspects, *found]), run.annotations.given([*suspects, *found])

    def may_have_another(task: int) -> bool:
        """Whether Label Studio would serve it: it counts annotations, and never serves what a person has skipped."""
        there = given.get(task)
        fits = task in placed and not placed[task].audit and task not in measures
        return fits and there is not None and there.labels == there.people and there.seen < len(people)

    suspects = [task for task in suspects if task in given and given[task].seen == 1]
    return [task for task in dict.fromkeys([*suspects, *found]) if may_have_another(task)][:most]


def _votes(run: ProjectRun, target: Target) -> dict[int, ByPerson]:
    """The labels of a control by task and annotator; of several by one annotator the last one."""
    found: dict[int, ByPerson] = defaultdict(dict)
    for each in run.annotations.all():
        if each.annotator is not None:
            value = each.labels.get(target.name)
            found[each.task_id][each.annotator] = value if target.offers(value) else None
    return found


def _ties(run: ProjectRun, target: Target, votes: Mapping[int, ByPerson]) -> list[int]:
    """Tasks, except held-out ones, that have several labels of a control and yet none in the end."""
    several = [task for task, given in votes.items() if sum(vote is not None for vote in given.values()) > 1]
    placed = run.tasks.placed(several)
    return [
        task for task in several
        if task in placed and not placed[task].audit and target.name not in (placed[task].labels or {})
    ]  # fmt: skip


def _uncertain(run: ProjectRun, target: Target, votes: Mapping[int, ByPerson], people: Sequence[int]) -> list[int]:
    """Tasks whose label is not certain, the most useful first, by the annotators and a head that did not learn it."""
    given = {
        task: {who: target.classes.index(vote) for who, vote in by_person.items() if vote is not None}
        for task, by_person in votes.items()
    }
    agreed = {each.id: each.values.get(target.name) for each in run.tasks.labeled(audit=False)}
    known = [
        task for task in (*agreed, *_ties(run, target, votes)) if given.get(task)
    ]  # or agreement would seem perfect
    texts = run.tasks.texts(known[-_MOST:])
    rows = {task: row for row, task in enumerate(texts)}
    if len(rows) < _FEWEST:
        return []
    columns = zip(*((rows[t], people.index(who), vote) for t in rows for who, vote in given[t].items()), strict=True)
    by_annotators = Votes(*(np.array(column, np.int64) for column in columns))
    values = [agreed.get(task) for task in rows]
    labels = np.array([
        target.classes.index(value) if target.offers(value) else next(iter(given[task].values()))
        for task, value in zip(rows, values, strict=True)
    ])  # fmt: skip
    (vectors,) = embedded(run, list(texts.values()))
    predicted = out_of_fold(vectors, labels, partial(_probs, len(target.classes)))
    trust = active_lab.trust(by_annotators, predicted, len(people))
    certain = active_lab.quality(by_annotators, predicted, trust)
    order = np.argsort(active_lab.scores(by_annotators, predicted, trust), kind="stable")
    listed = list(rows)
    return [listed[row] for row in order if certain[row] < _CERTAIN]


def _probs(
    classes: int, known: NDArray[np.float32], labels: NDArray[np.int64], others: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Class probabilities of other texts by a linear head: (N, C)."""
    return linear.fit(known, labels, classes).alone(others).astype(np.float64)
