"""Label Studio → store: new, changed and deleted tasks, and their labels."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from backend.errors import CancelledError, LabelStudioError, UnsupportedConfigError
from backend.labelstudio.annotations import ReadAnnotation, Trust, combined, read
from backend.labelstudio.api.responses import AnnotatedTask, ListedTask, ProjectInfo
from backend.labelstudio.label_config.inputs import fields_of, text_of
from backend.labelstudio.only import inside
from backend.labelstudio.unusable import Reason
from backend.rounds.connection import repair
from backend.rounds.context import ProjectRun, parsed
from backend.rounds.quality import held_out
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.store.projects import READ_BY, is_confirmed

log = logging.getLogger(__name__)

# A change is visible once its transaction commits, which may be after later changes: read this far back each time.
_OVERLAP = timedelta(seconds=10)
_SYNCS = 3  # that show the same difference before all annotations are read again
_EVER = "2000-01-01T00:00:00.000000Z"


def sync(run: ProjectRun) -> float:
    """Bring the store up to date with Label Studio. Incremental, safe to repeat at any point. Returns its seconds."""
    started = time.monotonic()
    if not run.project.connected:
        repair.reconnect(run)
        run = run.set(synced_at=time.time())
        if not run.project.connected and not is_confirmed(run.project):
            run.store.projects.forget(run.id)
            raise CancelledError("Label Studio still does not know the project, so nothing is kept of it")
    if run.project.connected:
        _sync(run, check_connection=not run.events["actions"])
    return time.monotonic() - started


def _sync(run: ProjectRun, *, check_connection: bool) -> None:
    """Read everything that changed.

    A change during the read may be on a page that was read before it, so no mark is later than the begin.
    """
    began = _format(run.client.now())
    try:
        run = _follow_config(run)
    except LabelStudioError as error:
        if error.status != 404 or run.client.exists(run.id):
            raise
        if not is_confirmed(run.project):
            log.warning("project %d does not exist in Label Studio, or the API key's user may not see it", run.id)
        else:
            log.warning("project %d was deleted in Label Studio; it gets no more rounds", run.id)
        run.set(connected=False, synced_at=time.time())  # checked again in an hour
        return
    if run.project.split is None:
        repair.skip_used_numbers(run)
    run = held_out.assign(run)
    if run.id not in run.compared:
        repair.follow_newer_queues(run)
        run = run.fresh()
        run.compared.add(run.id)
    if check_connection or not run.project.webhook_ready:
        repair.repair(run)
        run = run.fresh()
        if not run.project.connected:
            return
    _ = run.spec  # an unsupported label config ends the turn with a message, also while there is nothing to read
    known_up_to = run.project.task_mark
    newest = [run.project.change_mark or "", *_add_new(run)]
    if known_up_to:
        since = run.project.change_mark or _EVER
        newest += _read(run, run.client.changed_tasks(run.id, _back(since), known_up_to))
    if (project := run.fresh().project).reread:
        read_again = run.client.all_tasks if project.miscount.get("uncounted") else run.client.annotated_tasks
        newest += _read(run, read_again(run.id, project.task_mark))
    then = run.options
    now = run.set(change_mark=min(began, max(newest)) or None, reread=False).options
    if any(getattr(now, name) != getattr(then, name) for name in READ_BY):
        run.set(task_mark=0, reread=True)  # changed during the sync: read everything again
    found = run.client.project(run.id)
    compare_tasks(run, found)
    _compare_annotations(run, found)
    run.set(title=found.title, trains_on_submission=found.trains_on_submission, synced_at=time.time())
    _name_annotators(run)


def _name_annotators(run: ProjectRun) -> None:
    """Store the names of new annotators, for the dashboard."""
    there = {str(who) for who, *_ in run.annotations.by_annotator() if who is not None}
    if there - run.project.annotators.keys():
        try:
            names = {str(number): name for number, name in run.client.people().items()}
        except LabelStudioError as error:  # the API key's user may not list them
            log.info("project %d: annotators appear by their numbers: %s", run.id, error)
            names = {}
        known = run.project.annotators
        run.store.projects.set(run.id, annotators={who: names.get(who) or known.get(who, "") for who in sorted(there)})


def read_labels(run: ProjectRun) -> None:
    """Read the annotations that changed since the last sync, and nothing else. The next sync reads them again.

    Texts stay as they are, since a round may be reading them; the labels of tasks whose text changed wait.
    """
    since = _back(run.project.change_mark or _EVER)
    _read_labels(run, run.client.changed_tasks(run.id, since, run.project.task_mark))


def read_several(run: ProjectRun, trust: Trust) -> None:
    """Combine the annotations of tasks with several again. trust: how much each annotator counts."""
    _read_labels(run, run.client.tasks_of_several(run.id, run.project.task_mark), trust)


def _read_labels(run: ProjectRun, pages: Iterable[list[AnnotatedTask]], trust: Trust | None = None) -> None:
    """Store the labels of tasks whose text has not changed."""
    for page in pages:
        known = run.tasks.texts([task.id for task in page])
        texts = {task.id: text_of(task.data, run.spec) for task in page}
        same = [task for task in page if task.id in known and known[task.id].text == texts[task.id]]
        _put_annotations(run, same, texts, trust)


def _follow_config(run: ProjectRun) -> ProjectRun:
    """Take over a changed label config. What can no longer be read is read again from Label Studio."""
    current = run.client.project(run.id).label_config
    if current == run.project.label_config:
        return run
    new = parsed(current, run.options)
    if run.project.chosen_strategy is not None:
        try:
            refuse_unsupported(run.options, new.targets)
        except UnsupportedConfigError as error:
            log.warning("project %d: the strategy chosen on the dashboard is dropped, %s", run.id, error)
            run = run.set(chosen_strategy=None)
    refuse_unsupported(run.options, new.targets)
    values: dict[str, object] = {"label_config": current}
    try:
        old = run.spec
    except UnsupportedConfigError:  # an earlier release supported it
        old = None
    if new != old:
        values["reread"] = True
    if old is None or (new.inputs, new.sides) != (old.inputs, old.sides):  # texts are read in another way
        values |= {"task_mark": 0, "unread": None}
    log.info("project %d: the label config changed", run.id)
    for each in new.left_out:
        log.warning("project %d: left out: %s", run.id, each)
    return run.set(**values)


def _add_new(run: ProjectRun) -> list[str]:
    """Add tasks with numbers above the mark, page by page. Returns the latest change time of each page."""
    seen = []
    for page in run.client.new_tasks(run.id, run.project.task_mark):
        _put_texts(run, page)
        # Tasks that are read again may have lost the annotations that they had.
        run.tasks.forget_annotations([task.id for task in page if not task.has_annotations])
        values: dict[str, object] = {"task_mark": page[-1].id}
        if any(task.has_annotations for task in page):
            values["reread"] = True
        run.store.projects.set(run.id, **values)
        seen.append(max(_spelled(task.updated_at) for task in page))
    return seen


def _read(run: ProjectRun, pages: Iterable[list[AnnotatedTask]]) -> list[str]:
    """Store texts and labels of tasks with their annotations. Returns the latest change time of each page."""
    seen = []
    for page in pages:
        _put_annotations(run, page, _put_texts(run, page))
        seen.append(max(_spelled(task.updated_at) for task in page))
    return seen


def _put_annotations(
    run: ProjectRun, page: Sequence[AnnotatedTask], texts: Mapping[int, str], trust: Trust | None = None
) -> None:
    """Store the labels of tasks. texts: of each. trust: how much each annotator counts; None: as recorded."""
    parsed = {task.id: read(task.annotations, run.spec, texts[task.id]) for task in page}
    there = {task.id: {each.get("id") for each in task.annotations} for task in page}
    deleted = [
        each for each in run.finishes.given(to=list(there)) if each.annotation not in (None, *there[each.task_id])
    ]
    run.finishes.give_back(deleted)  # a person rejected the model's label
    weights = run.project.trust if trust is None else trust
    states = [combined(task_id, annotations, run.spec, weights) for task_id, annotations in parsed.items()]
    _warn_of_unusable(run, parsed)
    measures = run.options.ground_truth == "measure"
    run.tasks.put_annotations(
        [state._replace(ground_truth=measures and state.ground_truth) for state in states],
        {task_id: [each.columns() for each in annotations] for task_id, annotations in parsed.items()},
    )


def _warn_of_unusable(run: ProjectRun, parsed: Mapping[int, Sequence[ReadAnnotation]]) -> None:
    """Log labels that cannot be learned. The dashboard and `lsal doctor` list them, too."""
    found: dict[tuple[str, Reason], list[int]] = {}
    for task_id, given in parsed.items():
        for each in given:
            for control, reason in each.unusable.items():
                found.setdefault((control, reason), []).append(task_id)
    for (control, reason), tasks in found.items():
        log.warning(
            "project %d: %d labels of '%s' are not learned from (%s); the first is of task %d",
            run.id, len(tasks), control, reason, tasks[0],
        )  # fmt: skip


def _put_texts(run: ProjectRun, page: Sequence[ListedTask | AnnotatedTask]) -> dict[int, str]:
    """Store the texts of tasks; returns them."""
    texts = {task.id: text_of(task.data, run.spec) for task in page}
    outside = {task.id for task in page if not inside(task.data, run.options.only)}
    share = held_out.held_out_share(run)
    run.tasks.put_texts(texts.items(), seed=run.options.seed, audit_share=share, outside=outside)
    lacking = next((task for task in page if not texts[task.id]), None)
    if lacking is not None and run.fresh().project.unread is None:
        run.store.projects.set(run.id, unread={"task": lacking.id, "fields": fields_of(lacking.data)})
    return texts


def compare_tasks(run: ProjectRun, found: ProjectInfo) -> None:
    """Drop deleted tasks, and read again those that a slow import committed behind the mark.

    Compares numbers of tasks only when the counts differ: listing all is slow.
    """
    if run.tasks.count() == found.task_number:
        return
    there = run.client.task_ids(run.id)
    gone = run.tasks.keep_only(there)
    if gone:
        log.info("project %d: %d tasks were deleted in Label Studio", run.id, gone)
    missing = there.difference(run.tasks.listed().ids.tolist())
    if missing and min(missing) <= run.fresh().project.task_mark:
        run.store.projects.set(run.id, task_mark=min(missing) - 1, reread=True)


def _compare_annotations(run: ProjectRun, found: ProjectInfo) -> None:
    """Read all annotations again if the count of annotated tasks differs by the same number in several syncs.

    A bulk import creates tasks first and their annotations later, without changing the tasks' times. A difference that
    stays after that is accepted: Label Studio does not count tasks that have ground truth only.
    """
    differs = found.annotated - run.tasks.count_annotated() - run.finishes.count_only_ours()
    before = run.fresh().project.miscount
    if differs in (0, before.get("accepted", 0)):
        now = {"accepted": differs}
    else:
        seen = before.get("seen", 0) + 1 if differs == before.get("differs") else 1
        now = {**before, "differs": differs, "seen": seen}
        if seen >= _SYNCS:
            log.warning(
                "project %d: Label Studio counts %d annotated tasks, %d were read; all are read again",
                run.id, found.annotated, found.annotated - differs,
            )  # fmt: skip
            run.store.projects.set(run.id, reread=True)
            now = {"accepted": differs, "uncounted": differs > 0}
    if now != before:
        run.store.projects.set(run.id, miscount=now)


def _back(mark: str) -> str:
    return _format(datetime.fromisoformat(mark) - _OVERLAP)


def _spelled(updated_at: str) -> str:
    return _format(datetime.fromisoformat(updated_at))


def _format(moment: datetime) -> str:
    """The only format that Label Studio's filter accepts. Sorts like the times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
