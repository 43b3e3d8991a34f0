"""Which suggestions annotators see: those that save work, by labels that the suggesting model did not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backend.evaluation.saved_work import CHECKED, Suggested, suggested
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.controls.tree import deepest
from backend.labelstudio.predictions import output_of
from backend.learners.kinds import output_names
from backend.rounds.adapters import learned
from backend.rounds.context import ProjectRun
from backend.store.texts import LabeledText
from backend.targets import Target

_UNTUNED = 0.5  # least probability of a label


def decide(run: ProjectRun) -> None:
    """Hold back the suggestions of a control until its labels show that they save work.

    Those of an adapter that knows only the class names are shown. With too few new labels the last decision stays. It
    is stored with the adapter, and with the round together with what it is based on.
    """
    adapter = run.rounds.adapter(run.version)
    if adapter is None:
        return
    assert run.number is not None
    former, new = run.round.adapter, run.tasks.labeled(audit=False, since=run.number)
    last, found, targets = run.rounds.last("suggestions") or {}, {}, []
    trained_on, held_out = run.tasks.labeled(audit=False), run.tasks.labeled(audit=True)
    for target in learned(adapter):
        held_back = False
        if target.kind in CHECKED:
            blind = new if _were_held_back(run, former, target) else []
            now = _of(run, former, target, blind) + _of(run, run.version, target, held_out)
            of_name = last.get(target.name, {"right": 0.0, "given": 0, "shown": False})
            if now.enough:
                of_name = {"right": now.right, "given": now.given, "shown": now.save_work}
            if adapter.examples and any(target.name in each.values for each in trained_on):
                held_back = run.options.pre_annotate == "auto" and not of_name["shown"]
            found[target.name] = of_name
        targets.append(replace(target, held_back=held_back))
    run.rounds.set_targets(run.version, [target.as_json() for target in targets])
    run.rounds.set(run.number, suggestions=found or None)


def _were_held_back(run: ProjectRun, version: int, target: Target) -> bool:
    """Whether annotators labeled without an adapter's suggestions, which they might just have accepted."""
    adapter = run.rounds.adapter(version)
    theirs = [each for each in learned(adapter) if each.name == target.name] if adapter is not None else []
    return run.options.pre_annotate is False or any(each.held_back for each in theirs)


def _of(run: ProjectRun, version: int, target: Target, examples: Sequence[LabeledText]) -> Suggested:
    """What an adapter version suggested for labels that it did not learn, as far as its outputs are stored."""
    adapter = run.rounds.adapter(version)
    targets = () if adapter is None else learned(adapter)
    theirs = next((each for each in targets if (each.name, each.kind) == (target.name, target.kind)), None)
    control = next((each for each in run.spec.controls if each.name == target.name), None)
    if theirs is None or control is None or control.target.kind != target.kind:
        return Suggested()
    examples = [each for each in examples if target.offers(each.values.get(target.name))]
    there, outputs = run.store.files.scores(run.id, version).found(
        output_names([theirs]), [each.digest for each in examples]
    )
    if version == run.version:  # as before its threshold is tuned, on these labels
        theirs = replace(theirs, threshold=_UNTUNED)
    known = [each for each, is_there in zip(examples, there, strict=True) if is_there]
    predicted: list[Any] = [
        BY_KIND[theirs.kind].predicted(control, theirs, output_of(theirs, outputs, row), each.text)[0]
        for row, each in enumerate(known)
    ]
    truth: list[Any] = [each.values[target.name] for each in known]
    if target.parents:  # annotators see the deepest nodes
        truth, predicted = ([deepest(each or [], control.target) for each in values] for values in (truth, predicted))
    return suggested(target, truth, predicted)
