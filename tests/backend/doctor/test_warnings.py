"""Warnings that need no repair: of settings that disturb the queue, and options without effect."""

from __future__ import annotations

import pytest

from backend.doctor import warnings
from backend.labelstudio.api.responses import ProjectInfo
from backend.options import ProjectOptions
from backend.store import Store
from tests.backend.played import project_of

FINE = ProjectInfo("", None, "", 90, 60, True, 1, "A project", False)


def found(store: Store, info: ProjectInfo = FINE, **options: object) -> list[str]:
    checked = ProjectOptions.from_extra_params(options)
    return [each.found for each in warnings.of_queue(store, project_of(store), checked, info)]


def test_nothing_disturbs_a_usual_project(played: Store) -> None:
    assert found(played) == []
    assert found(played, relabel=True) == []
    assert list(warnings.of_labels(played, project_of(played))) == []


@pytest.mark.parametrize(
    ("changed", "options", "expected"),
    [
        ({"shows_predictions": False}, {}, "annotators do not see the model's suggestions"),
        ({"overlap": 2}, {"relabel": True}, "2 annotators per task: Label Studio first serves tasks already begun"),
    ],
)
def test_settings_in_label_studio(
    played: Store, changed: dict[str, object], options: dict[str, object], expected: str
) -> None:
    (warning,) = found(played, FINE._replace(**changed), **options)  # type: ignore[arg-type]
    assert warning.startswith(expected)
    assert found(played, FINE._replace(**changed), manage_queue=False, **options) == []  # type: ignore[arg-type]


def test_second_opinions_of_one_annotator(played: Store) -> None:
    tasks = played.of(7).tasks
    for each in played.of(7).annotations.all():
        row = {"id": each.id, "annotator": 1, "skipped": False, "labels": each.labels, "seconds": 1.0}
        tasks.put_annotations([], {each.task_id: [row]})
    (warning,) = found(played, relabel=True)
    assert warning == "there are no second opinions (relabel): one annotator has given all labels"


def test_all_open_tasks_are_kept_out(played: Store) -> None:
    tasks = played.of(7).tasks
    texts = [(each.id, each.text) for each in tasks.every()]
    tasks.put_texts(texts, seed=0, audit_share=0.3, outside={each.id for each in tasks.remaining()})
    (warning,) = found(played, only={"lang": "en"})
    assert warning == f"all {tasks.count_outside()} open tasks are kept out of the queue by the option only"
