"""The labeled texts that a project can train on, and the targets that can be learned from them."""

from __future__ import annotations

from dataclasses import replace

from backend.learners.models.loading import is_served
from backend.rounds.class_texts import class_texts
from backend.rounds.context import ProjectRun
from backend.rounds.served.teachable import teachable
from backend.store.texts import LabeledText
from backend.targets import Target, learnable, offered


def training_examples(run: ProjectRun) -> tuple[list[LabeledText], tuple[Target, ...]]:
    """The texts with at least one label of a learnable target, and these targets.

    Labels that the label config no longer offers are left out. A served model can answer for every target before the
    first label, and so can any model where it knows the class names or has a teacher.
    """
    targets = run.spec.targets
    known = run.tasks.labeled(audit=False)
    examples = [replace(example, values=offered(targets, example.values)) for example in known]
    able = targets
    if not is_served(run.options.base_model):
        from_labels, named = learnable(targets, [example.values for example in examples]), class_texts(run)
        taught = teachable(run.options, run.spec)
        able = tuple(target for target in targets if target in from_labels or target.name in named or target in taught)
    names = {target.name for target in able}
    return [example for example in examples if names & set(example.values)], able
