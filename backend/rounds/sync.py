"""Label Studio → store: new, changed and deleted tasks, and what their annotations amount to."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from backend.errors import LabelStudioError, UnsupportedConfigError
from backend.labelstudio.annotations import TaskState, each_of, state_of
from backend.labelstudio.inputs import text_of
from backend.labelstudio.label_config import parse
from backend.labelstudio.predictions import parse_version
from backend.labelstudio.responses import AnnotatedTask, ListedTask, ProjectInfo
from backend.labelstudio.task_spec import TaskSpec
from backend.rounds import connection
from backend.rounds.context import Context, options_of, spec_of
from backend.rounds.support import refuse_unsupported
from backend.store.models import Project

log = logging.getLogger(__name__)

# A change becomes visible when its transaction commits, which may be after later ones: look back this far each time.
_OVERLAP = timedelta(seconds=10)
_LOOKS = 3
_EVER = "2000-01-01T00:00:00.000000Z"


def sync(context: Context, project_id: int, *, look_at_connection: bool) -> None:
    """Bring the store up to what Label Studio holds. Incremental, and safe to repeat at any point.

    What changes while it reads may be on a page already read, so that no mark goes past the time it began.
    """
    began = _format(context.client.now())
    try:
        project = _follow_config(context, context.project(project_id))
    except LabelStudioError as error:
        if error.status != 404 or context.client.exists(project_id):
            raise
        log.warning("project %d was deleted in Label Studio, so nothing is done for it any more", project_id)
        context.store.projects.set(project_id, connected=False)
        return
    if project.split is None:
        _skip_used_numbers(context, project)
    _hold_out(context, project)
    if look_at_connection or not project.webhook_ready:
        connection.look_after(context, project)
        if not context.project(project_id).connected:
            return
    spec = spec_of(project)
    known_up_to = project.task_mark
    newest = [project.change_mark or "", *_add_new(context, project, spec)]
    if known_up_to:
        since = project.change_mark or _EVER
        newest += _read(context, project, spec, context.client.changed_tasks(project_id, _back(since), known_up_to))
    if context.project(project_id).reread:
        task_mark = context.project(project_id).task_mark
        newest += _read(context, project, spec, context.client.annotated_tasks(project_id, task_mark))
    context.store.projects.set(project_id, change_mark=min(began, max(newest)) or None, reread=False)
    now, then = options_of(context.project(project_id)), options_of(project)
    if (now.ignore_controls, now.ground_truth) != (then.ignore_controls, then.ground_truth):
        context.store.projects.set(project_id, task_mark=0, reread=True)  # told meanwhile: all of it once more
    found = context.client.project(project_id)
    compare_tasks(context, project_id, found)
    _compare_annotations(context, project_id, found)
    context.store.projects.set(project_id, title=found.title, synced_at=time.time())


def _follow_config(context: Context, project: Project) -> Project:
    """Take over a changed label config. What it makes unreadable is read again from Label Studio."""
    current = context.client.project(project.id).label_config
    if current == project.label_config:
        return project
    options = options_of(project)
    new = parse(current, options.ignore_controls)
    if project.chosen_strategy is not None:
        try:
            refuse_unsupported(options, new.targets)
        except UnsupportedConfigError as error:
            log.warning("project %d: the strategy chosen on the dashboard is given up, %s", project.id, error)
            context.store.projects.set(project.id, chosen_strategy=None)
            project = context.project(project.id)
            options = options_of(project)
    refuse_unsupported(options, new.targets)
    values: dict[str, object] = {"label_config": current}
    try:
        old = spec_of(project)
    except UnsupportedConfigError:  # an earlier release understood it
        old = None
    if new != old:
        values["reread"] = True
    if old is None or (new.inputs, new.sides) != (old.inputs, old.sides):  # texts are read in another way
        values["task_mark"] = 0
    context.store.projects.set(project.id, **values)
    log.info("project %d: the label config changed", project.id)
    return context.project(project.id)


def _skip_used_numbers(context: Context, project: Project) -> None:
    """On the first look: a backend whose state was lost must not give its versions the names of older ones.

    The queues that it finds are its own of an earlier life, to be deleted when the next one is published.
    """
    found = {name: parse_version(name, project.id) for name in context.client.versions(project.id)}
    used = {name: numbers for name, numbers in found.items() if numbers is not None}
    if used:
        adapters, queues = zip(*used.values(), strict=True)
        context.store.projects.set(project.id, adapter_floor=max(adapters), queue=max(queues))
    for name, (_, queue) in used.items():
        if queue:
            context.store.projects.add_published(project.id, queue, name)


def _hold_out(context: Context, project: Project) -> None:
    """Decide again which tasks are held out if the options by which it is decided changed."""
    options = options_of(project)
    split = f"{options.seed}:{options.audit_share}"
    if project.split not in (None, split):
        context.store.tasks.assign_audit(project.id, seed=options.seed, share=options.audit_share)
    context.store.projects.set(project.id, split=split)


def _add_new(context: Context, project: Project, spec: TaskSpec) -> list[str]:
    """Add tasks with numbers above the mark, page by page. The times of change that were seen."""
    seen = []
    for page in context.client.new_tasks(project.id, project.task_mark):
        _put_texts(context, project, spec, page)
        # Of those that are read again, some may have lost what annotations they had.
        context.store.tasks.forget_annotations(project.id, [task.id for task in page if not task.has_annotations])
        values: dict[str, object] = {"task_mark": page[-1].id}
        if any(task.has_annotations for task in page):
            values["reread"] = True
        context.store.projects.set(project.id, **values)
        seen.append(max(_spelled(task.updated_at) for task in page))
    return seen


def _read(context: Context, project: Project, spec: TaskSpec, pages: Iterable[list[AnnotatedTask]]) -> list[str]:
    """Store texts and labels of tasks with their annotations. The times of change that were seen."""
    seen = []
    for page in pages:
        _put_texts(context, project, spec, page)
        states = [state_of(task.id, task.annotations, spec) for task in page]
        _warn_of_overlaps(project, spec, states)
        context.store.tasks.put_annotations(project.id, [state[:4] for state in states])
        context.store.annotations.put(project.id, {task.id: each_of(task.annotations, spec) for task in page})
        measures = options_of(project).ground_truth == "measure"
        context.store.tasks.put_truths(project.id, {s.task_id: measures and s.ground_truth for s in states})
        seen.append(max(_spelled(task.updated_at) for task in page))
    return seen


def _warn_of_overlaps(project: Project, spec: TaskSpec, states: Sequence[TaskState]) -> None:
    """Spans are always an answer, if only that there are none: where they are none, they could not be read."""
    for control in spec.controls:
        if control.target.kind == "spans" and not control.conditions:
            lost = [state.task_id for state in states if state.annotated and control.name not in state.values]
            if lost:
                log.warning(
                    "project %d: '%s' has spans that overlap, with several labels, or in HTML without globalOffsets, "
                    "in %d tasks (the first is %d); these are not learned from",
                    project.id, control.name, len(lost), lost[0],
                )  # fmt: skip


def _put_texts(context: Context, project: Project, spec: TaskSpec, page: Sequence[ListedTask | AnnotatedTask]) -> None:
    options = options_of(project)
    texts = [(task.id, text_of(task.data, spec)) for task in page]
    context.store.tasks.put_texts(project.id, texts, seed=options.seed, audit_share=options.audit_share)


def compare_tasks(context: Context, project_id: int, found: ProjectInfo) -> None:
    """Drop tasks that are gone, and look again for those that a slow import committed behind the mark.

    Numbers are compared only when the counts differ: listing all is slow.
    """
    if context.store.tasks.count(project_id) == found.task_number:
        return
    there = context.client.task_ids(project_id)
    gone = context.store.tasks.keep_only(project_id, there)
    if gone:
        log.info("project %d: %d tasks were deleted in Label Studio", project_id, gone)
    missing = there.difference(context.store.tasks.listed(project_id).ids.tolist())
    mark = context.project(project_id).task_mark
    if missing and min(missing) <= mark:
        context.store.projects.set(project_id, task_mark=min(missing) - 1, reread=True)


def _compare_annotations(context: Context, project_id: int, found: ProjectInfo) -> None:
    """Read all annotations again if the count of annotated tasks has been wrong by the same number for some looks.

    A bulk import makes tasks first and their annotations later, without a mark on the tasks. A difference that stays
    after that is accepted: Label Studio does not count tasks that have ground truth only.
    """
    differs = found.annotated - context.store.tasks.count_annotated(project_id)
    before = context.project(project_id).miscount
    if differs in (0, before.get("accepted", 0)):
        now = {"accepted": differs}
    else:
        seen = before.get("seen", 0) + 1 if differs == before.get("differs") else 1
        now = {**before, "differs": differs, "seen": seen}
        if seen >= _LOOKS:
            log.warning("project %d: %d annotated tasks were not seen; all are read again", project_id, differs)
            context.store.projects.set(project_id, reread=True)
            now = {"accepted": differs}
    if now != before:
        context.store.projects.set(project_id, miscount=now)


def _back(mark: str) -> str:
    return _format(datetime.fromisoformat(mark) - _OVERLAP)


def _spelled(updated_at: str) -> str:
    return _format(datetime.fromisoformat(updated_at))


def _format(moment: datetime) -> str:
    """The one spelling that Label Studio's filter accepts; such spellings sort as the times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
