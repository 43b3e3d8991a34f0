"""When a round is due."""

from __future__ import annotations

import time

from backend.errors import DamagedError
from backend.labelstudio.task_spec import TaskSpec
from backend.rounds.context import Context, options_of, spec_of
from backend.rounds.stopping import budget_spent, stopped_by
from backend.store.models import Project, Round
from backend.targets import Target

START_TRAINING = "START_TRAINING"  # Label Studio's button, and its option to train on every submit
# Our own are in small letters, which no webhook may carry.
ROUND_REQUESTED = "round requested"  # `lsal round`, and the dashboard
RESUMED = "resumed"  # after a pause: check whether a round is due
SETUP = "setup"  # /setup brought a new label config or options, which are compared with those of the last round
DAMAGED = "adapter damaged"  # the adapter in service could not be loaded, so that an older one serves
ROLLBACK = "rollback"  # `lsal rollback`, which has noted with the project what to go back to
_QUIET = 600.0  # seconds after a round in which a few labels are no reason for another, though no task is left
_PAUSE = 30.0  # seconds after a failure, then twice as long each time
_LONGEST_PAUSE = 3600.0


def reason_for_round(context: Context, project_id: int, actions: set[str]) -> str | None:
    """Why a round should run now, in words; None if it should not. Looks at the synced store, not at events.

    A retrain that would learn nothing new is skipped by the train step itself, so that a new queue costs little.
    """
    project = context.project(project_id)
    if not project.connected:
        return None
    options, spec = options_of(project), spec_of(project)
    tasks = context.store.tasks
    last = context.store.rounds.get(project_id, project.round)
    if last is not None and last.state == "running":
        return last.reason  # its workflow was lost
    if project.back_to is not None and ROLLBACK in actions:
        return f"going back to adapter {project.back_to}"
    if START_TRAINING in actions:
        return "Start training was pressed"
    if ROUND_REQUESTED in actions:
        return "asked for"
    if project.paused:
        return None
    failed = last is not None and last.state == "failed"
    changed = _change_since(last, project, spec)
    if last is not None and failed and changed is None:
        pause = min(_PAUSE * 2.0 ** min(context.store.rounds.failures(project_id) - 1, 16), _LONGEST_PAUSE)
        if 0 <= time.time() - (last.finished_at or 0.0) < pause:
            return None
    if project.back_to is not None:
        return f"going back to adapter {project.back_to}"
    new_labels = tasks.count_new_labels(project_id)
    if new_labels >= options.batch_size:
        return f"{new_labels} newly labeled tasks"
    hours = context.store.annotations.hours(project_id) if options.budget_hours is not None else 0.0
    spent = budget_spent(options, tasks.count_labeled(project_id), hours)
    if spent is not None and stopped_by(project, options) is None:
        return spent
    ended = last.finished_at if last is not None and last.finished_at is not None else 0.0
    if new_labels and not tasks.count_open_tasks(project_id) and not 0 <= time.time() - ended < _QUIET:
        return f"{new_labels} newly labeled tasks, the last ones"
    if DAMAGED in actions or (RESUMED in actions and _damaged(context, project)):
        return f"adapter {project.adapter} is damaged"
    if changed is not None:
        return changed
    if last is not None and failed:
        return f"round {last.number} failed, so it is tried again"
    return _reason_for_queue(context, project_id) if options.manage_queue else None


def _change_since(last: Round | None, project: Project, spec: TaskSpec) -> str | None:
    """What changed in the project's settings since the last round began; None without a change.

    Compares state: events that arrive during a pause or after a failure are marked as processed without a round.
    """
    if last is None:
        return None
    if tuple(Target.from_json(each) for each in last.targets) != spec.targets:
        return "the choices in the label config changed"
    if last.options is not None and last.options != project.options:
        return "the options changed"
    return None


def _damaged(context: Context, project: Project) -> bool:
    """Whether the files of the adapter in service are damaged. Reads all of them."""
    try:
        if project.adapter:
            context.store.adapter_folder(project.id, project.adapter)
    except DamagedError:
        return True
    return False


def _reason_for_queue(context: Context, project_id: int) -> str | None:
    """The first queue; new tasks while an earlier queue was too short for want of tasks; a queue running dry."""
    project = context.project(project_id)
    options = options_of(project)
    queued = context.store.rounds.queue(project_id, project.queue)
    open_in_queue = context.store.tasks.count_open(project_id, [item.task_id for item in queued])
    open_outside = context.store.tasks.count_open_tasks(project_id) - open_in_queue
    if open_outside <= 0:
        return None
    if not queued:
        return "there is no queue yet"
    if open_in_queue < min(options.batch_size, max(1, len(queued) // 3)):
        return f"the queue runs low ({open_in_queue} left)"
    last = context.store.rounds.get(project_id, project.round)
    known_then = last.tasks if last is not None else 0
    if context.store.tasks.count(project_id) > known_then:
        return "new tasks"
    return None
