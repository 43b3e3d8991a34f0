"""The base model of a project that names none: by its texts and class names, until labels or a person decide."""

from __future__ import annotations

import logging

import numpy as np

from backend.errors import ModelError
from backend.learners.heads import probe
from backend.learners.models.languages import ANY, ENCODERS, ENGLISH, UNKNOWN, encoder_for, unknown_share
from backend.learners.models.loading import is_served, tokenizer_of
from backend.rounds.class_names import name_vectors, sample, sample_vectors
from backend.rounds.context import ProjectRun, chooses_encoder
from backend.rounds.events import ROUND_REQUESTED

log = logging.getLogger(__name__)

_SAMPLE = 100  # texts whose margins are compared
CLEARER = 1.25  # ratio of mean margins from which on the slower model is chosen


def is_due(run: ProjectRun) -> bool:
    """Whether the project's texts were not read by this base model yet, or have doubled since."""
    known, tasks = run.project.encoder, run.tasks.count()
    looked = known.get("measured") == run.options.base_model and tasks < 2 * known.get("tasks", 0)
    return not looked and tasks > 0 and not is_served(run.options.base_model)


def settle(run: ProjectRun) -> None:
    """Choose the base model by language, and measure how much of the texts it knows.

    Once labels have been learned, the choice stays: the models' quality on them decides, see `insights.encoders`.
    """
    known, texts = run.project.encoder, sample(run)
    found = {**known, "tasks": run.tasks.count()}
    if _is_free(run):
        chosen = _by_language(run, texts)
        if (chosen, known.get("by")) != (ENGLISH, "names"):
            found |= {"base_model": chosen, "by": "texts"}
        if found["base_model"] != known.get("base_model"):
            log.info("project %d: base model %s, for the language of its texts", run.id, chosen)
            if known.get("base_model"):
                run.store.events.add(run.id, ROUND_REQUESTED)
    run = run.set(encoder=found)
    used = run.options.base_model
    share = unknown_share(tokenizer_of(used), texts)
    run.set(encoder={**found, "unknown": share, "measured": used})
    if share > UNKNOWN:
        log.warning(
            "project %d: %s does not know %.0f %% of the word pieces of the texts; set base_model to a model of their "
            "language", run.id, used, 100 * share,
        )  # fmt: skip


def may_compare_names(run: ProjectRun) -> bool:
    """Whether the class names were not compared yet, and no label was."""
    known = run.project.encoder
    return known.get("by") == "texts" and known["base_model"] == ENGLISH and "margins" not in known and _is_free(run)


def compare_names(run: ProjectRun) -> None:
    """Choose the slower base model if the class names separate the texts much more clearly with it.

    Of two encoders, the one with the larger margin was right more often, or nearly as often: see
    benchmarks/results/encoders.md. Not before the first queue, which would have to wait for the other model.
    """
    with run.alone("names"):
        run.set(encoder={**run.project.encoder, "margins": {}})  # a comparison that ended the worker is not repeated
        margins = {name: margin(run.with_base_model(name)) for name in ENCODERS}
    found = {**run.project.encoder, "margins": margins}
    if margins[ANY] > CLEARER * margins[ENGLISH]:
        log.info("project %d: base model %s, since the class names separate its texts better with it", run.id, ANY)
        found |= {"base_model": ANY, "by": "names"}
        run.store.events.add(run.id, ROUND_REQUESTED)
    run.set(encoder=found)
    run.models.forget(ENGLISH if found["base_model"] == ANY else ANY)


def _is_free(run: ProjectRun) -> bool:
    by = run.project.encoder.get("by")
    return chooses_encoder(run.project) and by in (None, "texts", "names") and not run.tasks.count_labeled()


def _by_language(run: ProjectRun, texts: list[str]) -> str:
    try:
        return encoder_for(texts)
    except ModelError as error:
        log.warning("project %d: the texts may suit another base model, but %s", run.id, error)
    return ENGLISH


def margin(run: ProjectRun) -> float:
    """How clearly the class names alone separate a sample of texts: the mean margin of its single choices, 0 to 1."""
    targets = [target for target in run.spec.targets if target.kind == "classification"]
    names, vectors = name_vectors(run), sample_vectors(run, _SAMPLE)
    nothing = np.empty((0, vectors.shape[1]), np.float32)
    found = [
        1 - probe.fit_named(target, names[target.name], nothing, [], vectors).doubt(vectors).mean()
        for target in targets
        if target.name in names
    ]
    return float(np.mean(found)) if found else 0.0
