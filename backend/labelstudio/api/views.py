"""A tab of the Data Manager that shows given tasks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from backend.errors import LabelStudioError
from backend.labelstudio.api.client import Client

log = logging.getLogger(__name__)

_HIDDEN = [f"tasks:{name}" for name in (
    "inner_id", "completed_at", "total_annotations", "cancelled_annotations", "total_predictions", "annotations_ids",
    "predictions_score", "predictions_model_versions", "predictions_results", "file_upload", "storage_filename",
    "created_at", "updated_at", "updated_by", "avg_lead_time", "draft_exists",
)]  # fmt: skip # of the table, so that number, annotators, labels and texts fit


MOST = 900  # tasks of a tab: SQLite refuses an expression with more than 1,000 conditions


def show(client: Client, project_id: int, title: str, task_ids: Sequence[int], *, former: str | None = None) -> int:
    """Create or change the tab of this title to show these tasks; return the tab's id. former: its earlier title.

    Label Studio supports no custom order, and a filter by a list of ids takes one condition per task: of more than
    `MOST` tasks the first are shown. It makes a tab of all tasks when a project without any is opened: then it is made
    here first, or the others would seem lost.
    """
    items = [
        {"filter": "filter:tasks:id", "operator": "equal", "type": "Number", "value": task_id}
        for task_id in task_ids[:MOST] or [0]  # without a condition the tab would show every task
    ]
    data: dict[str, Any] = {
        "title": title,
        "type": "list",
        "target": "tasks",
        "filters": {"conjunction": "or", "items": items},
        "ordering": [],
        "hiddenColumns": {"explore": _HIDDEN, "labeling": []},
        "columnsWidth": {},
        "columnsDisplayType": {},
        "gridWidth": 4,
    }
    with client.explaining(f"write the tab '{title}' of project {project_id}"):
        views = client.request("GET", "api/dm/views/", params={"project": project_id})
        titles = {(view["data"] or {}).get("title"): view["id"] for view in reversed(views)}
        there = titles.get(title) or (titles.get(former) if former else None)
        if there is None:
            if not views:
                everything = {"title": "Default", "type": "list", "target": "tasks"}
                client.request("POST", "api/dm/views/", json={"project": project_id, "data": everything})
            made = client.request("POST", "api/dm/views/", json={"project": project_id, "data": data})
            return int(made["id"])
        client.request("PATCH", f"api/dm/views/{there}/", json={"data": data})
        return int(there)


def show_with_predictions(
    client: Client, project_id: int, title: str, task_ids: Sequence[int], version: str,
    predictions: Sequence[dict[str, Any]], *, former: str | None = None,
) -> int:  # fmt: skip
    """As `show`, with these predictions of a version of their own in place of those that it had."""
    tab = show(client, project_id, title, task_ids, former=former)
    try:
        client.delete_version(project_id, version)
        client.import_predictions(project_id, predictions, one_by_one=True)
    except LabelStudioError as error:  # a task may have been deleted meanwhile
        log.warning("project %d: not every task of the tab '%s' has a prediction: %s", project_id, title, error)
    return tab
