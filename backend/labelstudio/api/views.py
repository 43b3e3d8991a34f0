"""A tab of the Data Manager that shows given tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.labelstudio.api.client import Client


def show(client: Client, project_id: int, title: str, task_ids: Sequence[int]) -> int:
    """Create or change the tab of this title to show these tasks; return the tab's id.

    Label Studio supports no custom order, and a filter by a list of ids takes one condition per task.
    """
    items = [
        {"filter": "filter:tasks:id", "operator": "equal", "type": "Number", "value": task_id}
        for task_id in task_ids or [0]  # without a condition the tab would show every task
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
