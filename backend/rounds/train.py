"""Store → adapter version: fine-tune on the labels there are, unless nothing that matters has changed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import strategies
from backend.errors import DamagedError, ModelError
from backend.learners import parallel
from backend.learners.base import TrainingOptions
from backend.learners.learner import Learner
from backend.learners.loading import is_served
from backend.learners.models import AnyLearner
from backend.learners.saved import describe
from backend.learners.served.training import train as train_served
from backend.learners.training import train as train_learner
from backend.options import ProjectOptions
from backend.rounds import asked, co_training
from backend.rounds.answers import kept_answers
from backend.rounds.context import Context, options_of, spec_of
from backend.store.models import Adapter, Project
from backend.store.texts import LabeledText
from backend.targets import Target, learnable, offered
from strategies import Strategy

log = logging.getLogger(__name__)


def train(context: Context, project_id: int, *, halvings: int = 0) -> int:
    """Train an adapter and return its version.

    While there is nothing to learn from, the version in service stays: 0 if there never was one. A model behind a
    server is asked without any label, too.
    Labels of classes that the label config no longer has stay in the store but teach nothing; classes without a label
    keep an output that nothing has trained, and targets that nothing can be learned of are left out. The adapter is not
    yet in service.
    halvings: how often to halve the batches that are read at once; it changes memory, not what is learned.
    """
    project = context.project(project_id)
    options = options_of(project)
    examples, targets = _learnable(context, project)
    if not targets:
        log.info("project %d: too few different labels, nothing to train on yet", project_id)
        return project.adapter
    training = training_options(options, strategy_now(context, project))
    base_model = options.base_model
    if is_served(base_model):
        base_model = context.models.served(base_model).identity
    fingerprint = _fingerprint(examples, targets, options, training, base_model)
    current = context.store.rounds.adapter(project_id, project.adapter)
    files = context.store.files.adapters(project_id)
    last = context.store.rounds.adapter(project_id, context.store.rounds.last_adapter(project_id))
    # The last is not in service if a former try of this round got only so far, or if somebody gave it up: then what
    # they went back to stays until there is something new to learn.
    given_up = last is not None and last.given_up and last.fingerprint == fingerprint
    equal = [each for each in (current, last) if each and each.fingerprint == fingerprint]
    for known in {each.number: each for each in ([current] if given_up and current else equal)}.values():
        try:
            load(context, project_id, known.number).unload()
            _share(context, known)  # again: it may be from before there was SHARED_URL, or have been lost there
            return known.number
        except ModelError as error:
            log.error("project %d: %s; another is trained", project_id, error)
    version = max(project.adapter_floor, last.number if last else 0, *files.versions(), 0) + 1
    to_adapter, to_frozen = co_training.NOTHING, co_training.NOTHING
    if options.strategy == "co_training":
        to_adapter, to_frozen = co_training.lend(context, project, options, examples)
    texts, values = [example.text for example in examples], [example.values for example in examples]
    name = targets[0].name  # of the only one, where views lend
    to_adapter_values, to_frozen_values = ([{name: label} for label in lent[1]] for lent in (to_adapter, to_frozen))
    warm = options.warm_start and current is not None and current.base_model == options.base_model
    served = is_served(options.base_model)
    former = _whole(context, project) if warm or served else None
    with context.progress(project_id, f"training on {len(examples)} labels") as progress:
        if served:
            memory = kept_answers(context.store, project_id)
            run = partial(train_served, context.models.served(options.base_model), former=former, memory=memory)
        else:
            lent_too = ([*texts, *to_frozen[0]], [*values, *to_frozen_values])
            run = partial(_trainer(context, options.base_model), warm_start=former, frozen_view=lent_too)

        def fill(folder: Path) -> None:
            run(
                [*texts, *to_adapter[0]],
                [*values, *to_adapter_values],
                targets,
                replace(training, halvings=halvings),
                folder,
                progress=progress,
            )

        # The files may be another's by now, which these would replace.
        files.write(version, fill, allowed=context.store.database.require)
    trained = Adapter(
        project_id=project_id, number=version, base_model=options.base_model, fingerprint=fingerprint,
        targets=[target.as_json() for target in targets], examples=len(examples), created_at=time.time(),
    )  # fmt: skip
    context.store.rounds.put_adapter(trained)  # before it is shared: if that fails, the next try finds it
    _share(context, trained)
    return version


def _trainer(context: Context, base_model: str) -> Callable[..., None]:
    if context.accelerate_config is None:
        return partial(train_learner, context.models.get(base_model))
    context.models.clear()  # the processes load it themselves, and want the room
    return partial(parallel.train, context.accelerate_config, base_model)


def _share(context: Context, adapter: Adapter) -> None:
    """Put an adapter's files into shared storage, if there is any, and only then point to them there."""
    if digest := context.store.files.adapters(adapter.project_id).share(adapter.number):
        context.store.rounds.set_digest(adapter.project_id, adapter.number, digest)


def _whole(context: Context, project: Project) -> Path | None:
    """The files of the adapter in service; None if they are damaged."""
    try:
        return context.store.adapter_folder(project.id, project.adapter)
    except DamagedError:
        return None


def load(context: Context, project_id: int, version: int, *, halvings: int = 0) -> AnyLearner:
    """The learner of an adapter version, under a name of its own in memory. Unload it after use.

    halvings: how often to halve its batches.
    """
    adapter = context.store.rounds.adapter(project_id, version)
    assert adapter is not None, f"adapter {version} of project {project_id} was never recorded"
    folder, memory = context.store.adapter_folder(project_id, version), kept_answers(context.store, project_id)
    learner = context.models.learner(adapter.base_model, f"round-{project_id}", folder, memory)
    if isinstance(learner, Learner):
        learner.tokens_a_batch >>= halvings
    else:
        learner.halvings = halvings
    return learner


def training_options(options: ProjectOptions, strategy: Strategy) -> TrainingOptions:
    """The options of a project that concern training, with the committee that the strategy asks."""
    served = is_served(options.base_model)
    return TrainingOptions(
        epochs=options.epochs,
        min_steps=min(options.min_steps, options.max_steps),
        max_steps=options.max_steps,
        batch_size=options.train_batch_size,
        checkpointing=options.gradient_checkpointing,
        learning_rate=options.learning_rate,
        lora_r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        max_length=options.max_length,
        seed=options.seed,
        committee=asked.committee_options(options, strategy),
        shots=options.shots if served else 0,
        instructions=options.instructions if served else "",
    )


def strategy_now(context: Context, project: Project, *, trained: bool = True) -> Strategy:
    """The strategy that chooses with today's labels, from an adapter's scores if there is one."""
    examples, _ = _learnable(context, project)
    labels = [example.values for example in examples]
    return asked.strategy_at(options_of(project), labels, spec_of(project).targets, trained=trained)


def strategy_for(context: Context, project: Project, version: int) -> Strategy:
    """The strategy that chooses by this adapter's scores; the cold start's if there is none.

    So it is if the strategy asks a committee that was not trained beside the adapter: somebody went back to it.
    """
    strategy = strategy_now(context, project, trained=version > 0)
    committee = asked.committee_options(options_of(project), strategy)
    if version and committee and describe(context.store.adapter_folder(project.id, version))[1] != committee:
        return strategies.get(options_of(project).cold_start)
    return strategy


def _learnable(context: Context, project: Project) -> tuple[list[LabeledText], tuple[Target, ...]]:
    """The texts to train on with what the label config still offers of their labels, and what can be learned of it."""
    targets = spec_of(project).targets
    known = context.store.tasks.labeled(project.id, audit=False)
    given = [replace(example, values=offered(targets, example.values)) for example in known]
    able = learnable(targets, [example.values for example in given])
    if is_served(options_of(project).base_model):
        able = targets  # it knows something of them before any label
    names = {target.name for target in able}
    return [example for example in given if names & set(example.values)], able


def _fingerprint(
    examples: list[LabeledText],
    targets: Sequence[Target],
    options: ProjectOptions,
    training: TrainingOptions,
    base_model: str,
) -> str:
    """Equal exactly if the same labels would be learned from in the same way.

    What views lend each other is left out: it changes with each adapter, and would have every round train again.
    """
    learned_from = [[example.id, example.digest, example.values] for example in examples]
    how = [repr(training), base_model, options.warm_start]
    return sha256(
        json.dumps([learned_from, [target.as_json() for target in targets], how], sort_keys=True).encode()
    ).hexdigest()
