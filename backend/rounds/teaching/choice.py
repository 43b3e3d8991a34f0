"""Which texts a teacher answers: some with a label, by which its answers are judged, and others at random.

Random texts are like those to predict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.learners.served.model import ServedModel
from backend.learners.served.prompts import Prompt
from backend.learners.served.training import TRIED
from backend.pool.texts import stored
from backend.rounds.context import ProjectRun
from backend.store.texts import LabeledText

Digests = NDArray[np.int64]

MOST = 2000  # soft labels that a training learns from, which bounds its time
COMPARED = 200  # labeled texts that are answered


class Chosen(NamedTuple):
    """Distinct texts."""

    texts: list[str]
    digests: Digests


class Choice(NamedTuple):
    """What the teacher answers, or has answered."""

    labeled: Chosen
    others: Chosen
    goal: int  # number of unlabeled texts with an answer, once the new ones have one
    is_short: bool  # `llm_budget` allows fewer new texts than wanted


def choose(
    run: ProjectRun, teacher: ServedModel, prompts: Sequence[Prompt], labeled: Sequence[LabeledText], goal: int | None
) -> Choice:
    """Labeled texts, of which the first are most useful, and others: all that were answered before, and new ones.

    Texts of held-out tasks are never chosen. New ones are as many as `teacher_texts` and `llm_budget` allow. goal: of
    an earlier try in the same round, which this one does not exceed.
    """

    def answered(digests: Digests) -> NDArray[np.bool_]:
        keys = [teacher.key(prompt, run.options.max_length) for prompt in prompts]
        kept = [run.store.files.embeddings(run.id, key).rows(digests) >= 0 for key in keys]
        return np.asarray(np.logical_and.reduce(kept))

    left = _affordable(run, prompts)
    of_labels = _distinct(labeled)[:COMPARED]
    known = answered(np.array([each.digest for each in of_labels], np.int64))
    sent = np.flatnonzero(~known)[: left // 2]
    of_labels = [of_labels[row] for row in np.union1d(np.flatnonzero(known), sent)]
    waiting, held_out = (run.tasks.listed_waiting(audit=audit) for audit in (False, True))
    known_elsewhere = [*(each.digest for each in labeled), *(each.digest for each in run.tasks.labeled(audit=True))]
    _, first = np.unique(waiting.digests, return_index=True)
    first = np.sort(first[~np.isin(waiting.digests[first], [*known_elsewhere, *held_out.digests.tolist()])])
    digests = waiting.digests[first]
    there = answered(digests)
    order = np.random.default_rng([run.options.seed, run.id]).permutation(len(digests))
    have = min(int(there.sum()), MOST)
    goal = min(goal if goal is not None else have + run.options.teacher_texts, MOST, len(digests))
    wanted = max(0, goal - have)
    fresh = order[~there[order]][: min(wanted, max(0, left - len(sent)))]
    places = first[np.sort(np.concatenate([fresh, order[there[order]][:MOST]]))]
    others = Chosen(stored(run.store, run.id, waiting).read(places), waiting.digests[places])
    chosen = Chosen([each.text for each in of_labels], np.array([each.digest for each in of_labels], np.int64))
    return Choice(chosen, others, goal, len(fresh) < wanted)


def _affordable(run: ProjectRun, prompts: Sequence[Prompt]) -> int:
    """How many texts may be sent, so that no call exceeds `llm_budget`."""
    budget = run.options.llm_budget
    if budget is None:
        return COMPARED + run.options.teacher_texts
    calls = sum(2 if prompt.target.kind == "pairwise" else 1 for prompt in prompts)
    left = budget - run.store.of(run.id).llm_usage.calls() - TRIED * len(prompts)
    return max(0, left // calls)


def _distinct(labeled: Sequence[LabeledText]) -> list[LabeledText]:
    return list({each.digest: each for each in reversed(labeled)}.values())[::-1]
