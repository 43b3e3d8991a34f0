"""Warnings about one project: what disturbs its queue, and what is not learned from."""

from __future__ import annotations

from collections.abc import Iterator

from backend.doctor.finding import Finding
from backend.errors import UnsupportedConfigError
from backend.labelstudio.api.responses import ProjectInfo
from backend.options import ProjectOptions
from backend.overview import llm
from backend.overview.unlearned import MEANINGS, unlearned, without_text
from backend.rounds.context import options_of, spec_of
from backend.rounds.served.teachable import teachable
from backend.store import Store
from backend.store.sql.models import Project


def of_queue(store: Store, project: Project, options: ProjectOptions, info: ProjectInfo) -> Iterator[Finding]:
    """Settings of the project in Label Studio that disturb its queue, and options that cannot do what they are for."""
    if not options.manage_queue:
        return
    if not info.shows_predictions:
        yield _warning(
            project, "queue", "annotators do not see the model's suggestions",
            "turn on 'Use predictions to prelabel tasks' in Settings → Annotation, if they should see them",
        )  # fmt: skip
    annotators = [who for who, *_ in store.of(project.id).annotations.by_annotator() if who is not None]
    if info.overlap > 1:
        yield _warning(
            project, "queue",
            f"{info.overlap} annotators per task: Label Studio first serves tasks already begun, at random",
            "set the overlap to 1 while the model learns, if possible"
            + ("; the option relabel has no effect before" if options.relabel else ""),
        )  # fmt: skip
    elif options.relabel and len(annotators) == 1:
        yield _warning(
            project, "queue", "there are no second opinions (relabel): one annotator has given all labels",
            "have another annotator label some tasks, or leave the option out",
        )  # fmt: skip
    tasks = store.of(project.id).tasks
    if (kept_out := tasks.count_outside()) and not tasks.count_open_tasks():
        yield _warning(
            project, "queue", f"all {kept_out} open tasks are kept out of the queue by the option only",
            "correct its fields and values in Extra params, or leave the option out",
        )  # fmt: skip


def of_teacher(store: Store, project: Project) -> Iterator[Finding]:
    """Why the last round had too few answers of its teacher."""
    options = options_of(project)
    if options.teacher is not None and not teachable(options, spec_of(project)):
        yield _warning(
            project, "teacher", "no control has choices that belong to every text, so that nothing is taught",
            "leave the option teacher out",
        )  # fmt: skip
    teacher = llm.spent(store, project)["teacher"]
    if teacher is not None and teacher["error"]:
        yield _warning(
            project, "teacher", f"'{teacher['model']}' gave fewer answers than wanted: {teacher['error']}",
            "mend it, raise llm_budget, or leave the option teacher out",
        )  # fmt: skip


def of_labels(store: Store, project: Project) -> Iterator[Finding]:
    """What the worker read and cannot learn from."""
    try:
        lacking, labels = without_text(store, project), unlearned(store, project)
    except UnsupportedConfigError:  # the check of the label config reports it
        return
    if lacking is not None:
        where, fields = " and ".join(lacking["values"]), ", ".join(lacking["fields"]) or "none"
        yield _warning(
            project, "texts",
            f"{lacking['tasks']} of {lacking['of']} tasks have no text under {where}; task {lacking['task']} has the "
            f"fields {fields}",
            "name the field of the text in Settings → Labeling Interface, or correct the tasks",
        )  # fmt: skip
    for each in labels:
        yield _warning(
            project, "labels",
            f"{each['tasks']} tasks are not learned from in '{each['control']}': {MEANINGS[each['reason']]}; one is "
            f"task {each['task']}",
            "correct them in Label Studio, or change the label config",
        )  # fmt: skip


def _warning(project: Project, check: str, found: str, remedy: str) -> Finding:
    return Finding(check, "warning", found, remedy, project.id)
