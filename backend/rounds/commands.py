"""What operators request on the command line or the dashboard. The worker carries it out in its next turn."""

from __future__ import annotations

from collections.abc import Sequence

from backend.errors import DamagedError, InvalidRequestError
from backend.learners.models.languages import ENCODERS
from backend.options import ProjectOptions
from backend.rounds.adapters import kept
from backend.rounds.context import chooses_encoder, options_of, spec_of
from backend.rounds.events import CANCEL, FINISH, FIRST, RESUMED, ROLLBACK, ROUND_REQUESTED, START_TRAINING
from backend.rounds.finishing.answers import obstacle
from backend.rounds.finishing.groups import obstacle_to_classes
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.store import Store
from backend.store.finishes import POSSIBLE
from backend.store.sql.models import Project


class CommandError(InvalidRequestError):
    """The request cannot be carried out."""

    status = 409


def start_round(store: Store, project_id: int) -> None:
    """Request a round, whatever the number of new labels. Raises `CommandError` if the project is not connected."""
    _connected(store, project_id)
    store.events.add(project_id, ROUND_REQUESTED)


def pause(store: Store, project_id: int, *, paused: bool) -> None:
    """Pause or resume rounds. A pause cancels a running round; labels are read and predictions served all the same.

    Raises `CommandError` if the project is not connected.
    """
    _connected(store, project_id)
    store.projects.set(project_id, paused=paused)
    if not paused:
        store.events.add(project_id, RESUMED)


def cancel(store: Store, project_id: int) -> None:
    """End the running round soon. The next one begins after another batch of labels, or on request.

    Raises `CommandError` if no round runs.
    """
    project = _connected(store, project_id)
    last = store.of(project_id).rounds.get(project.round)
    if last is None or last.state != "running":
        raise CommandError(f"no round of project {project_id} runs at the moment")
    store.events.withdraw(project_id, (ROUND_REQUESTED, START_TRAINING))  # made before: they would begin another round
    store.events.add(project_id, CANCEL)


def choose_strategy(store: Store, project_id: int, strategy: str | None) -> None:
    """Replace the strategy of the options, and request a queue from it; None: the options' strategy again.

    Valid until the model's extra params change in Label Studio. Raises `CommandError` if the project is not connected,
    `UnsupportedConfigError` if the strategy is unknown or does not fit the project's labels.
    """
    project = _connected(store, project_id)
    options = ProjectOptions.from_stored(project.options)
    refuse_unsupported(options if strategy is None else options.with_strategy(strategy), spec_of(project).targets)
    store.projects.set(project_id, chosen_strategy=strategy)
    store.events.add(project_id, ROUND_REQUESTED)


def choose_base_model(store: Store, project_id: int, name: str) -> None:
    """Replace the base model that was chosen by itself, and request a round with it.

    Raises `CommandError` if the project is not connected, its options name a base model, or the name is unknown.
    """
    project = _connected(store, project_id)
    if not chooses_encoder(project):
        raise CommandError("the project's Extra params name a base model in Label Studio; change it there")
    if name not in ENCODERS:
        raise CommandError(f"base model '{name}' is unknown; choose from {', '.join(ENCODERS)}")
    store.projects.set(project_id, encoder={**project.encoder, "base_model": name, "by": "person"})
    store.events.add(project_id, ROUND_REQUESTED)


def rollback(store: Store, project_id: int, version: int) -> None:
    """Request an earlier adapter in service, and a queue that it selects. The last of several requests counts.

    Raises `CommandError` if the project is not connected, or if the adapter's files are missing or damaged.
    """
    _connected(store, project_id)
    known = kept(store, project_id)
    if version not in known:
        there = ", ".join(map(str, known)) or "none"
        raise CommandError(
            f"adapter {version} of project {project_id} is not kept here; there are: {there} (see KEEP_ADAPTERS)"
        )
    try:
        store.adapter_folder(project_id, version)
    except DamagedError as error:
        raise CommandError(str(error)) from None
    store.projects.set(project_id, back_to=version)
    store.events.add(project_id, ROLLBACK)


def finish(
    store: Store, project_id: int, *, accuracy: float, scope: str, tolerance: float = 0.0, labels: int | None = None
) -> None:
    """Request a random sample of the remaining tasks that tests the model's labels of them.

    labels: size of the sample. Raises `CommandError` if the project is not connected, has no model yet, has a
    sample that is not decided, or labels that cannot be compared.
    """
    project = _connected(store, project_id)
    if not project.adapter:
        raise CommandError(f"project {project_id} has no model yet; label a batch of tasks first")
    spec = spec_of(project)
    reason = obstacle(spec, options_of(project)) or obstacle_to_classes(spec, scope)
    if reason is not None:
        raise CommandError(f"the model cannot label the rest of project {project_id}: {reason}")
    finishes = store.of(project_id).finishes
    if finishes.request(accuracy=accuracy, scope=scope, tolerance=tolerance, labels=labels) is None:
        raise CommandError(
            f"project {project_id} has a sample whose labels are not complete, or a request that waits for the worker; "
            f"wait, or give the sample up: lsal finish {project_id} --cancel"
        )
    store.events.add(project_id, FINISH)


def finish_with(store: Store, project_id: int, wanted: str) -> None:
    """Request what to do with the model's labels: take, write, take_back (those of all finishes) or cancel.

    Raises `CommandError` if that is not possible in the state of the project's newest finish.
    """
    _connected(store, project_id)
    finishes = store.of(project_id).finishes
    last = finishes.last()
    if last is None:
        raise CommandError(f"no sample was drawn in project {project_id}; begin with: lsal finish {project_id}")
    if not finishes.wish(wanted):
        possible = " or ".join(f"'{each}'" for each in POSSIBLE[wanted])
        raise CommandError(f"the labels of project {project_id} are '{last.state}'; they must be {possible} for this")
    store.events.add(project_id, FINISH)


def put_first(store: Store, project_id: int, task_ids: Sequence[int]) -> None:
    """Put tasks at the head of the queue, in this order, until they are labeled; none: no task comes first any more.

    Raises `CommandError` if the project is not connected, its queue is not ours, or a task cannot be selected.
    """
    project = _connected(store, project_id)
    if not options_of(project).manage_queue:
        raise CommandError(f"the queue of project {project_id} is not ordered by this backend (manage_queue)")
    tasks = store.of(project_id).tasks
    refused = sorted(set(task_ids) - tasks.candidates(task_ids))
    if refused:
        raise CommandError(
            f"task {refused[0]} cannot be put first: it is labeled or skipped, held out to measure the model, without "
            "a text, or not known"
        )
    tasks.put_first(list(dict.fromkeys(task_ids)))
    store.events.add(project_id, FIRST)


def forget(store: Store, project_id: int) -> None:
    """Delete all that is kept of a project. Raises `UnknownError`, or `CommandError` if it is still connected."""
    project = store.projects.known(project_id)
    if project.connected:
        raise CommandError(f"project {project_id} is connected; disconnect it first: lsal disconnect {project_id}")
    store.projects.forget(project_id)
    store.files.forget(project_id)


def _connected(store: Store, project_id: int) -> Project:
    project = store.projects.get(project_id)
    if project is None or not project.connected:
        raise CommandError(f"project {project_id} is not connected to this backend; connect it in its Settings → Model")
    return project
