"""Store → adapter version: fine-tune on the labels, unless nothing that matters has changed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from backend.errors import DamagedError, ModelError
from backend.learners.base import TrainingOptions
from backend.learners.heads import class_names
from backend.learners.models.loading import is_served
from backend.learners.served.training import train as train_served
from backend.learners.training import parallel
from backend.learners.training.train import train as train_learner
from backend.options import ProjectOptions
from backend.rounds import adapters
from backend.rounds.class_names import sample_vectors
from backend.rounds.class_texts import class_texts
from backend.rounds.context import ProjectRun
from backend.rounds.examples import training_examples
from backend.rounds.selection import co_training
from backend.rounds.selection.strategy import strategy_now, training_options
from backend.rounds.served.answer_cache import cached_answers
from backend.rounds.served.llm_meter import LlmMeter
from backend.rounds.served.teachable import teachable
from backend.rounds.teaching.lesson import Lesson, lesson
from backend.store.sql.models import Adapter
from backend.store.texts import LabeledText
from backend.targets import Target, learnable

log = logging.getLogger(__name__)


def train(run: ProjectRun) -> int:
    """Train an adapter and return its version, which is not yet in service.

    Without labels or class names to learn from, the version in service stays: 0 if there never was one. A served model
    needs neither.
    Labels of classes that the label config no longer has stay in the store but are not learned; classes without a label
    keep an untrained output; targets without enough labels are left out.
    """
    run.tasks.learned(run.round.number)  # labels that arrive from now on are of the next round
    if (back_to := run.round.back_to) is not None:
        return _checked(run, back_to)
    options = run.options
    examples, targets = training_examples(run)
    if not targets:
        log.info("project %d: too few different labels and no class names, nothing to train on yet", run.id)
        return run.project.adapter
    training = replace(
        training_options(options, strategy_now(run)), class_texts=class_texts(run, {*class_names.KINDS, "spans"})
    )
    fingerprint = _fingerprint(examples, targets, options, training, _identity(run))
    taught_before = (run.rounds.last("taught") or {}) if options.teacher is not None else {}
    if not taught_before.get("error") and (known := _trained_before(run, fingerprint)) is not None:
        return known
    taught = None
    if teachable(options, run.spec):
        taught = lesson(run, examples)
        run.rounds.set(run.round.number, taught=taught.record)
        targets = _able(run, examples, targets, taught)
        if not targets:
            return run.project.adapter
        names = {target.name for target in targets}
        examples = [example for example in examples if names & set(example.values)]
    version = _next_version(run)
    # The files may belong to another worker by now, whose files this write would replace.
    run.store.files.adapters(run.id).write(
        version, _filling(run, examples, targets, training, taught), allowed=run.store.database.require
    )
    trained = Adapter(
        project_id=run.id, number=version, base_model=options.base_model, fingerprint=fingerprint,
        targets=[target.as_json() for target in targets], examples=len(examples),
        soft=len(taught.texts) if taught else 0, created_at=time.time(),
    )  # fmt: skip
    run.rounds.put_adapter(trained)  # before sharing: if sharing fails, the next try finds it
    _share(run, trained)
    return version


def _able(
    run: ProjectRun, examples: Sequence[LabeledText], targets: Sequence[Target], taught: Lesson
) -> tuple[Target, ...]:
    """The targets that can be learned from labels, class names, or what the teacher answered."""
    from_labels, named = learnable(targets, [example.values for example in examples]), class_texts(run)
    soft = {name for values in taught.values for name in values}
    return tuple(target for target in targets if target in from_labels or target.name in {*named, *soft})


def _checked(run: ProjectRun, version: int) -> int:
    """The version to go back to. Raises `ModelError` if its files are damaged."""
    try:
        run.store.adapter_folder(run.id, version)
    except DamagedError as error:
        raise ModelError(f"cannot go back: {error}; the adapter in service stays") from None
    return version


def _identity(run: ProjectRun) -> str:
    """The base model's name, and of a served model its server."""
    name = run.options.base_model
    return run.models.served(name).identity if is_served(name) else name


def _trained_before(run: ProjectRun, fingerprint: str) -> int | None:
    """The version of an intact adapter that learned the same; None if one must be trained."""
    rounds, project = run.rounds, run.project
    current, last = rounds.adapter(project.adapter), rounds.adapter(rounds.last_adapter())
    # The last is not in service if an earlier try of this round failed after training, or after a rollback: then the
    # adapter of the rollback stays until there is something new to learn.
    rolled_back = last is not None and last.given_up and last.fingerprint == fingerprint
    equal = [each for each in (current, last) if each and each.fingerprint == fingerprint]
    for known in {each.number: each for each in ([current] if rolled_back and current else equal)}.values():
        try:
            adapters.load(run, known.number).unload()
            _share(run, known)  # again: it may be older than SHARED_URL, or lost there
            return known.number
        except ModelError as error:
            log.error("project %d: %s; another is trained", run.id, error)
    return None


def _next_version(run: ProjectRun) -> int:
    last, files = run.rounds.last_adapter(), run.store.files.adapters(run.id)
    return max(run.project.adapter_floor, last, *files.versions(), 0) + 1


def _filling(
    run: ProjectRun, examples: Sequence[LabeledText], targets: Sequence[Target], training: TrainingOptions,
    taught: Lesson | None,
) -> Callable[[Path], None]:  # fmt: skip
    """What trains an adapter into a folder."""
    options = run.options
    to_adapter, to_frozen = co_training.NOTHING, co_training.NOTHING
    if options.strategy == "co_training":
        to_adapter, to_frozen = co_training.lend(run, examples)
    name = targets[0].name  # of the only target, for co-training
    texts = [*(example.text for example in examples), *to_adapter[0]]
    values = [*(example.values for example in examples), *({name: label} for label in to_adapter[1])]
    if is_served(options.base_model):
        meter = LlmMeter(run.store, run.id, options.base_model, lambda: options.llm_budget)
        served, answers = run.models.served(options.base_model, meter), cached_answers(run.store, run.id)
        function: Callable[..., None] = partial(train_served, served, former=_in_service(run), memory=answers)
    else:
        current = run.rounds.adapter(run.project.adapter)
        warm = options.warm_start and current is not None and current.base_model == options.base_model
        frozen_view = (
            [*(example.text for example in examples), *to_frozen[0]],
            [*(example.values for example in examples), *({name: label} for label in to_frozen[1])],
        )
        if options.strategy == "disagreement" and taught is not None and taught.texts:
            frozen_view = taught.texts, [{name: max(each[name], key=each[name].__getitem__)} for each in taught.values]
        unlabeled = sample_vectors(run) if class_texts(run) else None  # before the trainer clears the models
        soft = (taught.texts, taught.values) if taught is not None else ([], [])
        function = partial(_trainer(run), warm_start=_in_service(run) if warm else None, frozen_view=frozen_view,
                           unlabeled=unlabeled, soft=soft)  # fmt: skip

    def fill(folder: Path) -> None:
        with run.progress(f"training on {len(examples)} labels") as progress:
            function(
                texts, values, targets, replace(training, batch_shrink=run.batch_shrink), folder, progress=progress
            )

    return fill


def _trainer(run: ProjectRun) -> Callable[..., None]:
    if run.accelerate_config is None:
        return partial(train_learner, run.models.get(run.options.base_model))
    run.models.clear()  # the training processes load it themselves and need the memory
    return partial(parallel.train, run.accelerate_config, run.options.base_model)


def _share(run: ProjectRun, adapter: Adapter) -> None:
    """Upload an adapter's files to shared storage, if configured, and then point the database to them."""
    if digest := run.store.files.adapters(run.id).share(adapter.number):
        run.rounds.set_digest(adapter.number, digest)


def _in_service(run: ProjectRun) -> Path | None:
    """The files of the adapter in service, to start from; None if they are damaged."""
    try:
        return run.store.adapter_folder(run.id, run.project.adapter)
    except DamagedError:
        return None


def _fingerprint(
    examples: Sequence[LabeledText],
    targets: Sequence[Target],
    options: ProjectOptions,
    training: TrainingOptions,
    base_model: str,
) -> str:
    """Equal exactly if the same labels would be learned in the same way.

    Pseudo-labels of co-training and a teacher's soft labels are left out: they change with each adapter, so every round
    would train again.
    """
    learned_from = [[example.id, example.digest, example.values] for example in examples]
    how = [repr(training), base_model, options.warm_start]
    if options.teacher is not None:  # absent otherwise, so that adapters of earlier releases are found
        how += [options.teacher, options.teacher_texts, options.shots, options.instructions]
    return sha256(
        json.dumps([learned_from, [target.as_json() for target in targets], how], sort_keys=True).encode()
    ).hexdigest()
