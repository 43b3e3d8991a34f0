"""What people ask of a project, on the command line or on the dashboard. The worker does it when it is free."""

from __future__ import annotations

from backend.errors import DamagedError, InvalidRequestError
from backend.options import ProjectOptions
from backend.rounds.context import spec_of
from backend.rounds.reasons import RESUMED, ROLLBACK, ROUND_REQUESTED
from backend.rounds.support import refuse_unsupported
from backend.store import Store
from backend.store.models import Project


class WishError(InvalidRequestError):
    """What is asked for cannot be done."""

    status = 409


def round_now(store: Store, project_id: int) -> None:
    """A round, whatever the number of new labels. Raises `WishError` if the project is not connected."""
    _connected(store, project_id)
    store.events.add(project_id, ROUND_REQUESTED)


def pause(store: Store, project_id: int, *, paused: bool) -> None:
    """No round by itself from now on, until this is taken back. Raises `WishError` if the project is not connected.

    Labels are still read and predictions still served.
    """
    _connected(store, project_id)
    store.projects.set(project_id, paused=paused)
    if not paused:
        store.events.add(project_id, RESUMED)


def choose_strategy(store: Store, project_id: int, strategy: str | None) -> None:
    """Another strategy, and a queue that it chooses; None: the one of the options again.

    In force until the model's extra params are changed in Label Studio. Raises `WishError` if the project is not
    connected, `UnsupportedConfigError` if the strategy is unknown or cannot work with the project's labels.
    """
    project = _connected(store, project_id)
    options = ProjectOptions.from_extra_params(project.options)
    refuse_unsupported(options if strategy is None else options.with_strategy(strategy), spec_of(project).targets)
    store.projects.set(project_id, chosen_strategy=strategy)
    store.events.add(project_id, ROUND_REQUESTED)


def rollback(store: Store, project_id: int, version: int) -> None:
    """An earlier adapter in service, and a queue in force that it chooses.

    Remembered until it is done; of several that were asked for, the last counts.

    Raises `WishError` if the project is not connected, or the adapter's files are no longer there or damaged.
    """
    _connected(store, project_id)
    known = kept(store, project_id)
    if version not in known:
        there = ", ".join(map(str, known)) or "none"
        raise WishError(
            f"adapter {version} of project {project_id} is not kept here; there are: {there} (see KEEP_ADAPTERS)"
        )
    try:
        store.adapter_folder(project_id, version)
    except DamagedError as error:
        raise WishError(str(error)) from None
    store.projects.set(project_id, back_to=version)
    store.events.add(project_id, ROLLBACK)


def kept(store: Store, project_id: int) -> list[int]:
    """The adapter versions that one can go back to, newest first."""
    return [
        number for number in store.files.adapters(project_id).versions() if store.rounds.adapter(project_id, number)
    ]


def _connected(store: Store, project_id: int) -> Project:
    project = store.projects.get(project_id)
    if project is None or not project.connected:
        raise WishError(f"project {project_id} is not connected to this backend; connect it in its Settings → Model")
    return project
