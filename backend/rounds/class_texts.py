"""The classes of a project in words."""

from __future__ import annotations

from collections.abc import Collection

from backend.labelstudio.controls.class_texts import described
from backend.learners.heads import class_names
from backend.learners.models.loading import is_served
from backend.rounds.context import ProjectRun
from backend.targets import Kind


def class_texts(run: ProjectRun, kinds: Collection[Kind] = class_names.KINDS) -> dict[str, tuple[str, ...]]:
    """A text for each class, by target: from the option `descriptions` or the label config.

    Targets with a class that has no words are left out. kinds: of the targets; by default those that names alone can
    predict.
    """
    options = run.options
    if not options.class_names or is_served(options.base_model):
        return {}
    found = {}
    for control in run.spec.controls:
        texts = described(control.target.classes, control.class_texts, options.descriptions)
        if texts is not None and control.target.kind in kinds:
            found[control.name] = texts
    return found
