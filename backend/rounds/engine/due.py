"""When a round is due."""

from __future__ import annotations

import time

from backend.errors import DamagedError
from backend.rounds.batch import labels_of_batch, was_cancelled
from backend.rounds.context import ProjectRun
from backend.rounds.engine.retry import pause_after
from backend.rounds.events import DAMAGED, RESUMED, ROLLBACK, ROUND_REQUESTED, SETUP, START_TRAINING, SUBMITTED
from backend.rounds.quality.stopping import budget_spent, stopped_by
from backend.rounds.served.llm_meter import EXCEEDED
from backend.store.files.shared import SharedError
from backend.store.sql.models import Round
from backend.targets import Target

_SUBMITTING = 5.0  # seconds between START_TRAINING and the event of the annotation that caused it
_QUIET = 600.0  # seconds after a round before a few labels start another because no task is left


def reason_for_round(run: ProjectRun) -> str | None:
    """Why a round should run now, as a sentence; None if not. Reads the synced store and the requests among events.

    The train step skips training if nothing new can be learned, so a round for a new queue is cheap.
    """
    project = run.project
    if not project.connected:
        return None
    actions = run.events["actions"]
    last = run.rounds.get(project.round)
    if last is not None and last.state == "running":
        return last.reason  # its workflow was lost
    if project.back_to is not None and ROLLBACK in actions:
        return f"going back to adapter {project.back_to}"
    if START_TRAINING in actions and not _is_of_submission(run):
        return "Start training was pressed"
    if ROUND_REQUESTED in actions:
        return "asked for"
    if project.paused or _without_calls(run, last):
        return None
    changed = _change_since(last, run)
    if changed is None and SETUP not in actions and _waits(run, last):
        return None
    if project.back_to is not None:
        return f"going back to adapter {project.back_to}"
    return _reason_of_labels(run, last) or _reason_of_state(run, last, changed)


def _without_calls(run: ProjectRun, last: Round | None) -> bool:
    """Whether the last round failed because of `llm_budget`, with the same options and budget."""
    if last is None or last.state != "failed" or last.options != run.project.options:
        return False
    return f"{EXCEEDED} ({run.options.llm_budget}," in (last.error or "")


def _is_of_submission(run: ProjectRun) -> bool:
    """Whether Label Studio sent START_TRAINING because an annotation was submitted, not because a person pressed it.

    It sends that first, then the annotation's event. Without a webhook the two look the same.
    """
    if not run.project.trains_on_submission:
        return False
    alone = run.store.events.alone(run.id, START_TRAINING, SUBMITTED, _SUBMITTING)
    return not (alone and run.project.webhook_ready)


def _waits(run: ProjectRun, last: Round | None) -> bool:
    """Whether the pause after a failure, or the batch after a cancelled round, is not over."""
    if last is None:
        return False
    if was_cancelled(last):
        enough = labels_of_batch(run.store.of(run.id), last) >= run.options.batch_size
        return not enough and run.tasks.count_open_tasks() > 0 and DAMAGED not in run.events["actions"]
    return last.state == "failed" and 0 <= time.time() - (last.finished_at or 0.0) < pause_after(run.rounds.failures())


def _reason_of_labels(run: ProjectRun, last: Round | None) -> str | None:
    """Enough new labels, a budget that is used up, or the last open tasks labeled."""
    options, tasks = run.options, run.tasks
    new_labels = labels_of_batch(run.store.of(run.id), last)
    if new_labels >= options.batch_size:
        return f"{new_labels} newly labeled tasks"
    hours = run.annotations.hours() if options.budget_hours is not None else 0.0
    spent = budget_spent(options, tasks.count_labeled(), hours)
    if spent is not None and stopped_by(run.project, options) is None:
        return spent
    ended = last.finished_at if last is not None and last.finished_at is not None else 0.0
    finished = not tasks.count_open_tasks() and not run.second_opinions.waiting()
    if new_labels and finished and not 0 <= time.time() - ended < _QUIET:
        return f"{new_labels} newly labeled tasks, the last ones"
    return None


def _reason_of_state(run: ProjectRun, last: Round | None, changed: str | None) -> str | None:
    """A damaged adapter, changed settings, a failed round, or a queue that is missing or runs low."""
    actions = run.events["actions"]
    if DAMAGED in actions or (RESUMED in actions and _is_damaged(run)):
        return f"adapter {run.project.adapter} is damaged"
    if changed is not None:
        return changed
    if last is not None and last.state == "failed":
        return f"round {last.number} failed, so it is tried again"
    if last is not None and last.state == "cancelled" and not was_cancelled(last):
        return f"round {last.number} was cancelled"
    return _reason_of_queue(run, last) if run.options.manage_queue else None


def _change_since(last: Round | None, run: ProjectRun) -> str | None:
    """What changed in the project's settings since the last round began; None without a change.

    Compares state: events that arrive during a pause or after a failure are marked as processed without a round.
    """
    if last is None:
        return None
    if tuple(Target.from_json(each) for each in last.targets) != run.spec.targets:
        return "the choices in the label config changed"
    if last.options is None:  # of an earlier release, which did not store them: the event must do
        return "the options changed" if SETUP in run.events["actions"] else None
    return "the options changed" if last.options != run.project.options else None


def _is_damaged(run: ProjectRun) -> bool:
    """Whether the files of the adapter in service are damaged. Reads all of them; False while they are unreachable."""
    try:
        if run.project.adapter:
            run.store.adapter_folder(run.id, run.project.adapter)
    except DamagedError:
        return True
    except SharedError:
        return False
    return False


def _reason_of_queue(run: ProjectRun, last: Round | None) -> str | None:
    """No queue yet, one that runs low, or new tasks after a queue that had too few to choose from."""
    options, tasks = run.options, run.tasks
    queued = [item.task_id for item in run.rounds.queue(run.project.queue)]
    open_in_queue = len(tasks.open_ones(queued))  # second opinions may be of annotators who are away
    open_outside = tasks.count_open_tasks() - open_in_queue
    if open_outside <= 0:
        return None
    if not queued:
        return "there is no queue yet"
    if open_in_queue < min(options.batch_size, max(1, len(queued) // 3)):
        return f"the queue runs low ({open_in_queue} left)"
    if tasks.count() > (last.tasks if last is not None else 0):
        return "new tasks"
    return None
