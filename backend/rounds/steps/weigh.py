"""How much the labels of each annotator count where several labeled the same tasks."""

from __future__ import annotations

from typing import Any

from backend.evaluation.agreement import weights
from backend.rounds.context import ProjectRun
from backend.rounds.steps.sync import read_several

_KINDS = ("classification", "pairwise")  # one class a text: votes can be weighed


def applies(run: ProjectRun) -> bool:
    """Whether the project is connected."""
    return run.project.connected


def weigh(run: ProjectRun) -> None:
    """Measure how often annotators agree; if that changed, combine the labels of tasks with several annotators again.

    Safe to repeat.
    """
    several = run.annotations.of_several()
    trust: dict[str, Any] = {}
    for target in run.spec.targets:
        if target.kind in _KINDS:
            labels = [(e.task_id, e.annotator, e.labels[target.name]) for e in several if target.name in e.labels]
            if found := weights(labels):
                trust[target.name] = found
    if trust != run.project.trust:
        read_several(run, trust)
        run.set(trust=trust)  # not earlier: a round that was killed before does it again
