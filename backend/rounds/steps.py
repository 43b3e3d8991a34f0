"""The steps of a turn as the workflow calls them: each records what it did and how long it took. Safe to repeat."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict, TypeVar

from backend.errors import BackendError, DamagedError, ModelError
from backend.labelstudio.predictions import adapter_version, queue_version
from backend.rounds import connection, stopping, telling, wishes
from backend.rounds import evaluate as evaluating
from backend.rounds import map as mapping
from backend.rounds import publish as publishing
from backend.rounds import review as reviewing
from backend.rounds import score as scoring
from backend.rounds import select as selecting
from backend.rounds import sync as syncing
from backend.rounds import train as training
from backend.rounds import why as explaining
from backend.rounds.context import Context, options_of, spec_of
from backend.rounds.reasons import reason_for_round
from backend.rounds.tries import attempt, with_less_memory
from backend.store.models import Round

log = logging.getLogger(__name__)

_SNAPSHOT_EVERY = 3600.0  # seconds
_T = TypeVar("_T")


class Events(TypedDict):
    """The events that a turn accounts for."""

    mark: int  # up to this event
    actions: list[str]  # their kinds


def begin(context: Context, project_id: int, turn: int) -> Events:
    """Open the turn. Events from now on belong to the next one: what they tell may come too late for this sync."""
    context.store.projects.take_turn(project_id, turn)
    mark, actions = context.store.events.after(project_id, context.project(project_id).event_mark)
    return {"mark": mark, "actions": sorted(actions)}


def sync(context: Context, project_id: int, events: Events) -> float:
    """Bring the store up to date; the seconds it took."""
    started = time.monotonic()
    if not context.project(project_id).connected:
        connection.look_again(context, context.project(project_id))
        context.store.projects.set(project_id, synced_at=time.time())
    if context.project(project_id).connected:
        syncing.sync(context, project_id, look_at_connection=not events["actions"])
    return time.monotonic() - started


def decide(context: Context, project_id: int, events: Events, sync_seconds: float = 0.0) -> int | None:
    """The number of the round to run now, or None if no round is due. Marks the events as processed.

    sync_seconds: duration of the sync before, recorded with the round.
    """
    number = _decide(context, project_id, events, sync_seconds)
    context.store.projects.set(project_id, event_mark=events["mark"])
    context.store.events.forget(project_id, events["mark"])
    return number


def _decide(context: Context, project_id: int, events: Events, sync_seconds: float) -> int | None:
    reason = reason_for_round(context, project_id, set(events["actions"]))
    project = context.project(project_id)
    if reason is None:
        if project.webhook_ready:
            last = context.store.rounds.get(project_id, project.round)
            context.store.projects.set(project_id, error=last.error if last and last.state == "failed" else None)
        return None
    context.store.files.require_room(context.min_free_mb)
    last = context.store.rounds.get(project_id, project.round)
    number = project.round if last is not None and last.state == "running" else project.round + 1
    context.store.rounds.begin(
        project_id,
        number,
        reason=reason,
        labels=context.store.tasks.count_labeled(project_id),
        tasks=context.store.tasks.count(project_id),
        targets=[target.as_json() for target in spec_of(project).targets],
        options=project.options,
        seconds={"sync": round(sync_seconds, 3)},
        adapter=project.adapter,
        back_to=project.back_to,
    )
    log.info("project %d, round %d begins: %s", project_id, number, reason)
    return number


def train(context: Context, project_id: int, number: int) -> int:
    """The adapter version of this round; 0 while there is nothing to learn from."""
    back_to = _recorded(context, project_id, number).back_to
    with _timed(context, project_id, number, "train"):
        if back_to is not None:
            try:
                context.store.adapter_folder(project_id, back_to)
            except DamagedError as error:
                raise ModelError(f"there is no way back: {error}; the one in service stays") from None
            return back_to
        return with_less_memory(
            context, project_id, number, "train", lambda n: training.train(context, project_id, halvings=n)
        )


def evaluate(context: Context, project_id: int, number: int, version: int) -> None:
    """Write the held-out score of the version to the round."""
    with _timed(context, project_id, number, "evaluate"):
        found = with_less_memory(
            context, project_id, number, "evaluate",
            lambda n: evaluating.evaluate(context, project_id, version, halvings=n),
        )  # fmt: skip
        context.store.rounds.set(project_id, number, evaluation=found)


def score(context: Context, project_id: int, number: int, version: int) -> None:
    """Score every text with the version."""
    with _timed(context, project_id, number, "score"):
        with_less_memory(
            context, project_id, number, "score",
            lambda n: scoring.score(context, project_id, version, halvings=n),
        )  # fmt: skip


def judge(context: Context, project_id: int, number: int, version: int) -> None:
    """Write what people want to know: which labels are likely wrong, whether labeling may stop, why tasks were chosen.

    It is said, too, when a rule first tells to stop.
    """
    this = _recorded(context, project_id, number)
    with _timed(context, project_id, number, "judge"):
        found = _advice(context, project_id, number, "judge", "which labels are likely wrong",
                        lambda n: reviewing.review(context, project_id, halvings=n))  # fmt: skip
        context.store.rounds.put_review(project_id, number, found)
        why = stopping.judge(context, project_id, this, version)
        if (queue := this.queue) is not None:
            _advice(context, project_id, number, "explain", "why tasks were chosen",
                    lambda n: explaining.explain(context, project_id, version, queue, halvings=n))  # fmt: skip
        _advice(context, project_id, number, "map", "where texts lie on the map",
                lambda n: mapping.draw(context, project_id, this.queue, halvings=n))  # fmt: skip
    if why is not None:
        log.warning("project %d: labeling may stop, %s", project_id, why)


def tell(context: Context, project_id: int) -> None:
    """Tell whoever asked for it that labeling may stop, once; if it cannot be told, later turns try again."""
    if context.notify is not None:
        attempt(project_id, "to NOTIFY_URL", lambda: telling.tell(context, project_id))


def serve(context: Context, project_id: int, number: int, version: int) -> None:
    """Put the version into service: from here on `/predict` answers with it."""
    running = _recorded(context, project_id, number)
    if version and context.store.rounds.adapter(project_id, version) is None:
        raise BackendError(f"adapter {version} is not known any more, since an older state was put back; start a round")
    context.store.projects.set(project_id, adapter=version)
    context.store.tasks.learned(project_id, number)
    if running.back_to is not None:
        context.store.rounds.give_up_after(project_id, running.back_to)
        context.store.projects.forget_back_to(project_id, running.back_to)


def select(context: Context, project_id: int, number: int, version: int) -> int | None:
    """The number of the new queue; None if the team orders its queue itself."""
    project = context.project(project_id)
    if not project.connected or not options_of(project).manage_queue:
        return None
    queue = context.store.projects.next_queue(project_id)
    with _timed(context, project_id, number, "select"):
        chosen = with_less_memory(
            context, project_id, number, "select",
            lambda n: selecting.select(context, project_id, version, queue, halvings=n),
        )  # fmt: skip
        context.store.rounds.set(project_id, number, **chosen._asdict())
    if chosen.choosing is not None:
        log.info("project %d, round %d: %s", project_id, number, chosen.choosing["why"])
    return queue


def publish(context: Context, project_id: int, number: int, version: int, queue: int) -> None:
    """Put the queue in force in Label Studio."""
    if not context.project(project_id).connected:  # left meanwhile
        return
    with _timed(context, project_id, number, "publish"):
        publishing.publish(context, project_id, version, queue)
        context.store.rounds.set(project_id, number, queue=queue)


def finish(context: Context, project_id: int, number: int, version: int) -> None:
    """Close the round, delete the files of versions that are too old to go back to, and keep a copy of the state."""
    project = context.project(project_id)
    needed = {version, _recorded(context, project_id, number).adapter}  # requests may still be using the former one
    if project.back_to is not None:
        needed.add(project.back_to)
    context.store.database.require()  # whoever was taken over from is not to delete what another writes
    known = wishes.kept(context.store, project_id)
    context.store.files.prune(project_id, keep={*needed, *known[: context.keep_adapters]})
    if project.webhook_ready:
        context.store.projects.set(project_id, error=None)
    context.store.rounds.set(project_id, number, adapter=version, state="done", finished_at=time.time())
    try:
        if (file := context.store.database.file) is not None:
            file.snapshot(older_than=_SNAPSHOT_EVERY)
    except (sqlite3.Error, OSError) as error:  # the round is done all the same
        log.warning("no copy of the state could be made (%s); the former one stays", error)
    done = _recorded(context, project_id, number)
    spent = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in done.seconds.items())
    name = adapter_version(project_id, version)
    if done.queue is not None:
        name = queue_version(project_id, version, done.queue)
    quality = _in_words(done.evaluation)
    log.info("project %d, round %d done: %d labels, %s, %s; %s", project_id, number, done.labels, name, quality, spent)


def fail(context: Context, project_id: int, number: int | None, message: str) -> None:
    """Record what went wrong. The former adapter and queue stay in service, and the timer tries again."""
    known = context.store.projects.get(project_id)
    again = known is not None and known.error == message  # said already, and said again each minute while it lasts
    level = logging.DEBUG if again and number is None else logging.ERROR
    log.log(level, "project %d, round %s failed: %s", project_id, number or "(not begun)", message)
    # A failed look at Label Studio counts as a look, so that the next one waits for the timer or an event.
    context.store.projects.set(project_id, error=message, synced_at=time.time())
    if number is not None:
        context.store.rounds.set(project_id, number, state="failed", finished_at=time.time(), error=message)


def _recorded(context: Context, project_id: int, number: int) -> Round:
    """The round. Raises `BackendError` if the state was put back to a time before it."""
    found = context.store.rounds.get(project_id, number)
    if found is None:
        raise BackendError(f"round {number} is not known any more, since an older state was put back")
    return found


@contextmanager
def _timed(context: Context, project_id: int, number: int, step: str) -> Iterator[None]:
    started = time.monotonic()
    context.store.rounds.set(project_id, number, step=step, progress=None)
    try:
        yield
    except ModelError:  # a way back to an adapter that is of no use would be taken by every later round
        if (back_to := _recorded(context, project_id, number).back_to) is not None:
            context.store.projects.forget_back_to(project_id, back_to)
        raise
    context.store.rounds.took(project_id, number, step, time.monotonic() - started)


def _advice(
    context: Context, project_id: int, number: int, step: str, what: str, run: Callable[[int], _T]
) -> _T | None:
    """What people like to know and nothing depends on. It may fail, which the log tells."""
    return attempt(project_id, what, lambda: with_less_memory(context, project_id, number, step, run))


def _in_words(evaluation: dict[str, Any] | None) -> str:
    if evaluation is None:
        return "quality not yet known"
    of_controls = ", ".join(
        f"{name}: {found['metric'].replace('_', ' ')} {found['score']:.3f} on {found['labels']} held-out labels "
        f"(95 % interval {found['low']:.3f} to {found['high']:.3f})"
        for name, found in evaluation["controls"].items()
    )
    skipped = evaluation.get("skipped")  # whoever skips what is hard makes the score too good
    return f"{of_controls}, {skipped} held-out tasks skipped" if skipped else of_controls
