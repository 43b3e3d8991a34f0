"""A tab of the Data Manager that shows certain tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.labelstudio.client import Client


def show(client: Client, project_id: int, title: str, task_ids: Sequence[int]) -> int:
    """Make the tab of this title, or change the one that is there, to show these tasks; the tab's number.

    Label Studio knows no order of one's own, and filters by a list only as one condition a task.
    """
    items = [
        {"filter": "filter:tasks:id", "operator": "equal", "type": "Number", "value": task_id}
        for task_id in task_ids or [0]  # no condition at all would show every task
    ]
    data: dict[str, Any] = {
        "title": title,
        "type": "list",
        "target": "tasks",
        "filters": {"conjunction": "or", "items": items},
        "ordering": [],
        "hiddenColumns": {"explore": [], "labeling": []},
        "columnsWidth": {},
        "columnsDisplayType": {},
        "gridWidth": 4,
    }
    with client.explaining(f"write the tab '{title}' of project {project_id}"):
        views = client.request("GET", "api/dm/views/", params={"project": project_id})
        there = next((view["id"] for view in views if (view["data"] or {}).get("title") == title), None)
        if there is None:
            made = client.request("POST", "api/dm/views/", json={"project": project_id, "data": data})
            return int(made["id"])
        client.request("PATCH", f"api/dm/views/{there}/", json={"data": data})
        return int(there)
