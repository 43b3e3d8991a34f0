"""What is not learned from: tasks without a text, and labels that cannot be used, by control and reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from backend.labelstudio.unusable import Reason
from backend.rounds.context import spec_of
from backend.store import Store
from backend.store.sql.models import Project


def N_(text: str) -> str:  # noqa: N802 (gettext's name: its tools find the texts by it)
    """Mark a text for translation."""
    return text


MEANINGS: dict[Reason, str] = {
    Reason.UNREADABLE: N_("not in the format that Label Studio's editor writes"),
    Reason.TOO_LARGE: N_("a number too large to calculate with"),
    Reason.SEVERAL: N_("several answers where one is expected"),
    Reason.OVERLAP: N_("spans that overlap"),
    Reason.SEVERAL_LABELS: N_("a span with several labels, or with none"),
    Reason.NO_OFFSETS: N_("a span in HTML without globalOffsets"),
    Reason.OUTSIDE: N_("a span that is not inside the text"),
    Reason.UNKNOWN: N_("a label that the label config does not have"),
    Reason.DISAGREEMENT: N_("annotators disagree"),
    Reason.NO_TEXT: N_("the task has no text"),
}


class Unlearned(TypedDict):
    """Labels of one control that are not learned from, for one reason."""

    control: str
    reason: Reason
    tasks: Annotated[int, Field(description="Number of tasks")]
    task: Annotated[int, Field(description="One of them")]


class WithoutText(TypedDict):
    """Tasks that have no text under the fields that the label config names."""

    tasks: int
    of: Annotated[int, Field(description="Number of all tasks")]
    values: Annotated[list[str], Field(description="The attribute `value` of each text in the label config")]
    task: Annotated[int, Field(description="One of them")]
    fields: Annotated[list[str], Field(description="The first fields of that task")]


def without_text(store: Store, project: Project) -> WithoutText | None:
    """None if every task has a text."""
    tasks = store.of(project.id).tasks
    found = tasks.without_text()
    if not found:
        return None
    seen = project.unread or {}
    task, fields = (seen["task"], seen["fields"]) if seen.get("task") in found else (found[0], [])
    values = [source.value for source in spec_of(project).inputs]
    return {"tasks": len(found), "of": tasks.count(), "values": values, "task": task, "fields": fields}


def unlearned(store: Store, project: Project) -> list[Unlearned]:
    """The labels that are not learned from, the most frequent reason first."""
    mine, targets = store.of(project.id), spec_of(project).targets
    found: dict[tuple[str, Reason], set[int]] = {}

    def note(control: str, reason: Reason, task: int) -> None:
        found.setdefault((control, reason), set()).add(task)

    agreed = {each.id: each.values for each, _ in mine.tasks.all_labeled()}
    empty = set(mine.tasks.without_text())
    for each in mine.annotations.all():
        for control, reason in (each.unusable or {}).items():
            note(control, Reason(reason), each.task_id)
        for target in targets:
            if target.name in each.labels and each.task_id in empty:
                note(target.name, Reason.NO_TEXT, each.task_id)
            elif target.name in each.labels and target.name not in agreed.get(each.task_id, {}):
                note(target.name, Reason.DISAGREEMENT, each.task_id)
            elif target.name in each.labels and not target.offers(agreed[each.task_id][target.name]):
                note(target.name, Reason.UNKNOWN, each.task_id)
    ranked = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [{"control": c, "reason": r, "tasks": len(tasks), "task": min(tasks)} for (c, r), tasks in ranked]
