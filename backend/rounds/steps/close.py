"""Close the round: delete old files, record the result, copy the state."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import Any

from backend.evaluation.bounds import ENOUGH
from backend.labelstudio.predictions import adapter_version, queue_version
from backend.rounds.adapters import kept
from backend.rounds.context import ProjectRun

log = logging.getLogger(__name__)

_SNAPSHOT_EVERY = 3600.0  # seconds


def close(run: ProjectRun) -> None:
    """Mark the round as done, and delete the files of adapters that no rollback can go to."""
    this, project = run.round, run.project
    needed = {run.version, this.adapter}  # requests may still use the former adapter
    if project.back_to is not None:
        needed.add(project.back_to)
    run.store.database.require()  # a worker that was taken over from must not delete another's files
    run.store.files.prune(run.id, keep={*needed, *kept(run.store, run.id)[: run.keep_adapters]})
    if project.webhook_ready:
        run.store.projects.set(run.id, error=None)
    run.rounds.set(this.number, adapter=run.version, state="done", finished_at=time.time())
    try:
        if (file := run.store.database.file) is not None:
            file.snapshot(older_than=_SNAPSHOT_EVERY)
    except (sqlite3.Error, OSError) as error:  # the round is done all the same
        log.warning("the state could not be copied (%s); the former copy stays", error)
    _log(run)


def _log(run: ProjectRun) -> None:
    done = run.round
    seconds = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in done.seconds.items())
    name = adapter_version(run.id, run.version)
    if done.queue is not None:
        name = queue_version(run.id, run.version, done.queue)
    quality = _in_words(done.evaluation)
    log.info("project %d, round %d done: %d labels, %s, %s; %s",
             run.id, done.number, done.labels, name, quality, seconds)  # fmt: skip


def _in_words(evaluation: dict[str, Any] | None) -> str:
    if evaluation is None:
        return "quality not yet known"
    of_controls = ", ".join(
        f"{name}: {found['metric'].replace('_', ' ')} {_range(found)} on {found['labels']} held-out labels"
        for name, found in evaluation["controls"].items()
    )
    skipped = evaluation.get("skipped")  # skipping hard tasks biases the score upwards
    return f"{of_controls}, {skipped} held-out tasks skipped" if skipped else of_controls


def _range(found: dict[str, Any]) -> str:
    """The score with its 95 % interval; of few labels the interval alone."""
    if found["labels"] < ENOUGH:
        return f"between {found['low']:.2f} and {found['high']:.2f}"
    return f"{found['score']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
