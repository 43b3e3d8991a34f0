"""Go back to an earlier adapter."""

from __future__ import annotations

from backend.errors import BackendError
from backend.rounds.reasons import BACK_TO
from backend.store import Store


def rollback(store: Store, project_id: int, version: int) -> None:
    """Ask the worker to put an earlier adapter into service, and a queue that it chooses into force.

    Raises `BackendError` if the project is not connected, or the adapter's files are no longer there or damaged.
    """
    project = store.projects.get(project_id)
    if project is None or not project.connected:
        raise BackendError(f"project {project_id} is not connected to this backend; connect it in its Settings → Model")
    known = [number for number in store.files.adapters(project_id) if store.rounds.adapter(project_id, number)]
    if version not in known:
        there = ", ".join(map(str, known)) or "none"
        raise BackendError(
            f"adapter {version} of project {project_id} is not kept here; there are: {there} (see KEEP_ADAPTERS)"
        )
    if wrong := store.files.damage(store.files.adapter(project_id, version)):
        raise BackendError(f"adapter {version} of project {project_id} is damaged: {wrong}")
    store.events.add(project_id, f"{BACK_TO}{version}")
