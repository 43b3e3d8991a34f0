"""Store → adapter version: fine-tune on the labels there are, unless nothing that matters has changed."""

from __future__ import annotations

import json
import logging
import time
from hashlib import sha256

from backend.labelstudio.label_config import TaskSpec
from backend.learners.base import TrainingOptions
from backend.learners.sequence_classification import SequenceClassifier
from backend.learners.training import train as train_classifier
from backend.rounds import asked, co_training
from backend.rounds.context import Context, options_of, spec_of
from backend.settings import ProjectOptions
from backend.store.models import Adapter, Project
from backend.store.tasks import LabeledText
from strategies import Strategy

log = logging.getLogger(__name__)


def train(context: Context, project_id: int) -> int:
    """Train an adapter and return its version.

    While there is nothing to learn from, the version in service stays: 0 if there never was one.
    Labels of classes that the label config no longer has stay in the store but teach nothing; classes without a label
    keep an output that nothing has trained. The adapter is not yet in service.
    """
    project = context.project(project_id)
    options, spec = options_of(project), spec_of(project)
    examples = [e for e in context.store.tasks.labeled(project_id, audit=False) if e.label in set(spec.classes)]
    if len({example.label for example in examples}) < 2:
        log.info("project %d: labels of fewer than two classes, nothing to train on yet", project_id)
        return project.adapter
    training = training_options(options, strategy_now(context, project))
    fingerprint = _fingerprint(examples, spec, options, training)
    current = context.store.rounds.adapter(project_id, project.adapter)
    if current is not None and current.fingerprint == fingerprint:
        return current.number
    version = max(project.adapter_floor, context.store.rounds.last_adapter(project_id)) + 1
    tried = context.store.rounds.adapter(project_id, version - 1)
    files = context.store.files
    if tried is not None and tried.fingerprint == fingerprint and files.adapter(project_id, tried.number).exists():
        # An earlier try of this step got as far as here.
        return tried.number
    to_adapter, to_frozen = co_training.NOTHING, co_training.NOTHING
    if options.strategy == "co_training":
        to_adapter, to_frozen = co_training.lend(context, project, options, examples)
    texts, labels = [example.text for example in examples], [example.label for example in examples]
    warm = options.warm_start and current is not None and current.base_model == options.base_model
    with context.computing, context.bar(f"project {project_id}: training on {len(examples)} labels") as progress:
        base = context.models.get(options.base_model)
        context.store.files.write_folder(
            context.store.files.adapter(project_id, version),
            lambda folder: train_classifier(
                base,
                [*texts, *to_adapter[0]],
                [*labels, *to_adapter[1]],
                spec.classes,
                training,
                folder,
                warm_start=context.store.files.adapter(project_id, project.adapter) if warm else None,
                frozen_view=([*texts, *to_frozen[0]], [*labels, *to_frozen[1]]),
                progress=progress,
            ),
        )
    context.store.rounds.put_adapter(
        Adapter(
            project_id=project_id, number=version, base_model=options.base_model, fingerprint=fingerprint,
            classes=list(spec.classes), examples=len(examples), created_at=time.time(),
        )
    )  # fmt: skip
    return version


def load(context: Context, project_id: int, version: int) -> SequenceClassifier:
    """The classifier of an adapter version, under a name of its own in memory. Unload it after use."""
    adapter = context.store.rounds.adapter(project_id, version)
    assert adapter is not None, f"adapter {version} of project {project_id} was never recorded"
    base = context.models.get(adapter.base_model)
    return SequenceClassifier.load(base, f"round-{project_id}", context.store.files.adapter(project_id, version))


def training_options(options: ProjectOptions, strategy: Strategy) -> TrainingOptions:
    """The options of a project that concern training, with the committee that the strategy asks."""
    return TrainingOptions(
        epochs=options.epochs,
        min_steps=min(options.min_steps, options.max_steps),
        max_steps=options.max_steps,
        batch_size=options.train_batch_size,
        learning_rate=options.learning_rate,
        lora_r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        max_length=options.max_length,
        seed=options.seed,
        committee=asked.committee_options(options, strategy),
    )


def strategy_now(context: Context, project: Project, *, trained: bool = True) -> Strategy:
    """The strategy that chooses with today's labels, from an adapter's scores if there is one."""
    options, classes = options_of(project), spec_of(project).classes
    labels = [e.label for e in context.store.tasks.labeled(project.id, audit=False) if e.label in set(classes)]
    return asked.strategy_at(options, labels, len(classes), trained=trained)


def _fingerprint(
    examples: list[LabeledText], spec: TaskSpec, options: ProjectOptions, training: TrainingOptions
) -> str:
    """Equal exactly if the same labels would be learned from in the same way.

    What views lend each other is left out: it changes with each adapter, and would have every round train again.
    """
    learned_from = [[example.id, example.digest, example.label] for example in examples]
    how = [repr(training), options.base_model, options.warm_start]
    return sha256(json.dumps([learned_from, spec.classes, how]).encode()).hexdigest()
