"""What a project can train on: labeled texts, class names, and the targets that can be learned from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backend.learners import class_names
from backend.learners.loading import is_served
from backend.pool.texts import stored
from backend.rounds.context import ProjectRun
from backend.store.texts import LabeledText
from backend.targets import Target, learnable, offered

_SAMPLE = 256  # texts that class names are compared with

def training_examples(run: ProjectRun) -> tuple[list[LabeledText], tuple[Target, ...]]:
    """The texts with at least one label of a learnable target, and these targets.

    Labels that the label config no longer offers are left out. A served model can answer for every target before the
    first label, and so can any model where it knows the class names.
    """
    targets = run.spec.targets
    known = run.tasks.labeled(audit=False)
    examples = [replace(example, values=offered(targets, example.values)) for example in known]
    able = targets
    if not is_served(run.options.base_model):
        from_labels, named = learnable(targets, [example.values for example in examples]), class_texts(run)
        able = tuple(target for target in targets if target in from_labels or target.name in named)
    names = {target.name for target in able}
    return [example for example in examples if names & set(example.values)], able


def class_texts(run: ProjectRun) -> dict[str, tuple[str, ...]]:
    """A text for each class, by target: from the option `descriptions` or the label config.

    Targets with a class that has no words are left out, and those whose kind does not use names.
    """
    options, found = run.options, {}
    if options.class_names and not is_served(options.base_model):
        for control in run.spec.controls:
            named = zip(control.target.classes, control.class_texts, strict=True)
            texts = tuple(options.descriptions.get(name, text) for name, text in named)
            if control.target.kind in class_names.KINDS and all(texts) and len(set(texts)) > 1:
                found[control.name] = texts
    return found


def sample(run: ProjectRun) -> list[str]:
    """A random sample of the project's texts, equal for equal tasks."""
    tasks = run.tasks.listed()
    places = np.random.default_rng([run.options.seed, run.id]).permutation(len(tasks.ids))[:_SAMPLE]
    return stored(run.store, run.id, tasks).read(np.sort(places))
