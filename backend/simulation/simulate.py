"""All runs of a simulation in sequence: strategies × seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

import strategies
from backend.errors import BackendError
from backend.labelstudio.controls.class_texts import described, in_words
from backend.learners.base import Progress
from backend.learners.models.base_model import BaseModel
from backend.learners.models.languages import encoder_for
from backend.learners.models.loading import is_served
from backend.options import AUTO, ProjectOptions
from backend.rounds.selection.compatibility import works
from backend.rounds.selection.strategy import committee_options
from backend.simulation.learners import Learner, Lora, Probe
from backend.simulation.plan import ALL, DEFAULT, Plan
from backend.simulation.replay import replay
from backend.simulation.results import Results
from backend.simulation.runs import Run, Task

# Options without effect in a simulation, where all labels are given.
_SAMPLE = 256  # texts that decide on the base model
_LIVE = {"seed", "warm_start", "pre_annotate", "ground_truth", "target", "target_risk", "budget", "budget_hours"}


def simulate(plan: Plan, folder: Path, bar: Callable[[str], AbstractContextManager[Progress]]) -> Results:
    """Run what `folder` lacks, seed by seed, so that early results compare all strategies. Raises `BackendError`."""
    plan.check()
    options = {name: _options(plan, name) for name in _names(plan)}
    results = Results(folder, _shared(plan))
    classes = sorted({*plan.train.labels, *plan.test.labels})
    train_targets, test_targets = (
        np.array([classes.index(label) for label in each.labels]) for each in (plan.train, plan.test)
    )
    task = Task(train_targets, test_targets, len(classes), plan.rounds, plan.batch)
    pending = [(name, seed) for seed in range(plan.seeds) for name in options if not results.has(name, seed)]
    new_learner = _learners(plan, classes, bar) if pending else None
    with bar(f"{len(pending)} runs of {plan.rounds} rounds") as progress:
        for number, (name, seed) in enumerate(pending):

            def after_round(done: Run, number: int = number) -> None:
                progress(number * plan.rounds + len(done.curve), len(pending) * plan.rounds)
                results.keep(done, finished=len(done.curve) == plan.rounds)

            assert new_learner is not None
            seeded = options[name].model_copy(update={"seed": seed})
            replay(results.run(name, seed), new_learner(), task, seeded, after_round)
    return results


def _names(plan: Plan) -> list[str]:
    """Strategy names in the given order, `random` first; `all` expands to all that the learner supports."""
    names = ["random"]
    for name in plan.strategies:
        names += [*_served(plan), DEFAULT] if name == ALL else [name]
    return list(dict.fromkeys(names))


def _served(plan: Plan) -> list[str]:
    alone = plan.learner == "probe" or {"committee", "members"} & set(plan.extra_params)  # no committee of two views
    left_out = {"disagreement"} | ({"co_training"} if alone else set())  # there is no teacher
    found = [name for name in strategies.names() if name not in left_out]
    return [name for name in found if works(strategies.get(name), ["classification"]) and name != "uncertainty"]


def _options(plan: Plan, name: str) -> ProjectOptions:
    """Project options with this strategy. `strategy_options` apply only to the `strategy` of `extra_params`."""
    params = dict(plan.extra_params)
    if name != DEFAULT:
        if params.get("strategy") != name:
            params.pop("strategy_options", None)
        params["strategy"] = name
    options = ProjectOptions.from_extra_params(params)
    if options.warm_start or "seed" in params:
        raise BackendError("a simulation trains from the base model each round, with its own seeds: leave out seed "
                           "and warm_start")  # fmt: skip
    if options.teacher is not None:
        raise BackendError("a simulation has no teacher, whose answers cost money: leave out teacher")
    strategy = strategies.get(options.strategy or "margin", **options.strategy_options)
    committee = committee_options(options, strategy)
    if plan.learner == "probe" and committee is not None and committee.kind != "bootstrap":
        raise BackendError(
            f"strategy '{name}' needs committee '{committee.kind}', which the learner probe does not have; choose "
            "--learner lora"
        )
    return options


def _shared(plan: Plan) -> dict[str, Any]:
    """Settings common to all runs of a folder, including options from the environment and defaults."""
    return {
        "train": plan.train.fingerprint,
        "test": plan.test.fingerprint,
        "rounds": plan.rounds,
        "batch": plan.batch,
        "learner": plan.learner,
        "options": _options(plan, DEFAULT).model_dump(exclude=_LIVE),
    }


def _learners(
    plan: Plan, classes: Sequence[str], bar: Callable[[str], AbstractContextManager[Progress]]
) -> Callable[[], Learner]:
    """Factory of a new learner for each run; all share the embeddings."""
    options = _options(plan, DEFAULT)
    if is_served(options.base_model):
        raise BackendError(
            f"extra_params.base_model: '{options.base_model}' is behind a server, and a simulation would send it "
            "every text for each prompt; use a model with local weights, such as minilm"
        )
    sample = np.random.default_rng(0).permutation(len(plan.train.texts))[:_SAMPLE]
    auto = options.base_model == AUTO
    base = BaseModel(encoder_for([plan.train.texts[place] for place in sample]) if auto else options.base_model)
    with bar(f"embedding {len(plan.train.texts)} texts") as progress:
        train = base.embed(plan.train.texts, max_length=options.max_length, progress=progress)
    words = described(classes, [in_words(name) for name in classes], options.descriptions)
    texts = words if options.class_names else None
    if plan.learner == "lora":
        return lambda: Lora(base, plan.train.texts, plan.test.texts, classes, train, texts)
    with bar(f"embedding {len(plan.test.texts)} test texts") as progress:
        test = base.embed(plan.test.texts, max_length=options.max_length, progress=progress)
    names = None if texts is None else base.embed(texts, max_length=options.max_length)
    return lambda: Probe(train, test, classes, names)
