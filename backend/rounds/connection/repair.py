"""Check and repair a project in Label Studio: which ML backend is ours, its webhook, and the queue in force."""

from __future__ import annotations

import logging
import time
from urllib.parse import urlsplit

from backend.errors import BackendError, LabelStudioError
from backend.labelstudio.api import webhook_registration
from backend.labelstudio.api.client import UNCERTAINTY_SAMPLING, Client
from backend.labelstudio.api.responses import ConnectedBackend
from backend.labelstudio.predictions import parse_version
from backend.rounds.context import ProjectRun
from backend.store import Store
from backend.store.sql.models import Project, PublishedQueue

log = logging.getLogger(__name__)

_SAVING = 2.0  # seconds


def find(client: Client, project: Project) -> ConnectedBackend | None:
    """Our connection; None if there is none."""
    return choose(client.backends(project.id), project)


def choose(connected: list[ConnectedBackend], project: Project) -> ConnectedBackend | None:
    """The only connection, or the one at our known address, or at the host of the last /setup call.

    Callers of /setup can claim any host, so it only selects among the addresses that Label Studio lists.
    """
    if len(connected) == 1:
        return connected[0]
    known = (each for each in connected if each.url == project.backend_url)
    return next(known, None) or next((each for each in connected if urlsplit(each.url).netloc == project.host), None)


def repair(run: ProjectRun) -> None:
    """Restore the connection's address, the webhook and the queue in force, which people or restarts may have changed.

    Without a webhook rounds start later, by the timer; that failure is recorded and the round goes on.
    """
    ours = find(run.client, run.project)
    if ours is None:  # Label Studio calls /setup just before it saves a connection: read once more
        time.sleep(_SAVING)
        ours = find(run.client, run.project)
    if ours is None:
        log.warning("project %d: no longer connected in Label Studio; it gets no more rounds", run.id)
        run.set(connected=False, synced_at=time.time())  # checked again in an hour
        return
    run = run.set(backend_url=ours.url)
    try:
        webhook_registration.ensure(run.client, run.id, ours.url, secret_of(run.store, run.id))
        run.set(webhook_ready=True)
    except LabelStudioError as error:
        log.warning("project %d: no webhook, so new annotations are seen by the timer only: %s", run.id, error)
        run.set(webhook_ready=False, error=str(error))
    if run.options.manage_queue and (instead := switched_away(run.client, run.store, run.project)):
        log.warning(
            "project %d: %s; switching back. To order the queue yourselves, set the option manage_queue to false",
            run.id,
            instead,
        )
        switch_back(run.client, run.store, run.project)


def reconnect(run: ProjectRun) -> None:
    """Connect a project again if Label Studio lists this backend there, at its known address.

    LABEL_STUDIO_URL may have named another Label Studio for a while, or the key another user. Everything is read again.
    """
    try:
        there = any(each.url == run.project.backend_url for each in run.client.backends(run.id))
    except LabelStudioError:  # the project was deleted, most likely
        return
    if there:
        log.warning("project %d: connected in Label Studio again", run.id)
        run.set(connected=True, webhook_ready=False, task_mark=0, reread=True, split=None)


def skip_used_numbers(run: ProjectRun) -> None:
    """Continue the version numbers of a backend whose state was lost, so that no name is used twice.

    For the first sync after connecting or a restore. Queues found by this are recorded as ours, to be deleted when the
    next one is published.
    """
    used = _used_numbers(run)
    if used:
        adapters, queues = zip(*used.values(), strict=True)
        run.store.projects.set(run.id, adapter_floor=max(adapters), queue=max(queues))
    for name, (_, queue) in used.items():
        if queue:
            run.store.projects.add_published(run.id, queue, name)


def follow_newer_queues(run: ProjectRun) -> None:
    """Continue from queues of ours in Label Studio that are newer than this state, and read the labels again.

    For the first sync of a process: a power cut may have lost the last commits, or an older file was put back. The
    round that published such a queue is not known any more; the next one replaces it.
    """
    recorded = run.store.projects.published(run.id)
    newest = max([run.project.queue, *(each.queue for each in recorded)])
    lost = {name: numbers for name, numbers in _used_numbers(run).items() if numbers[1] > newest}
    if not lost:
        return
    log.warning("project %d: Label Studio has newer queues of ours than this state; going on from there", run.id)
    for name, (_, queue) in lost.items():
        run.store.projects.add_published(run.id, queue, name)
    adapters = [adapter for adapter, _ in lost.values()]
    run.set(adapter_floor=max(run.project.adapter_floor, *adapters), reread=True)
    in_force = run.client.project(run.id).model_version
    if in_force in lost:
        run.set(queue=lost[in_force][1])


def _used_numbers(run: ProjectRun) -> dict[str, tuple[int, int]]:
    """Adapter and queue number of each version of ours in Label Studio."""
    found = {name: parse_version(name, run.id) for name in run.client.versions(run.id)}
    return {name: numbers for name, numbers in found.items() if numbers is not None}


def secret_of(store: Store, project_id: int) -> str:
    """The secret that a project's events carry; created on the first call."""
    return store.projects.keep_secret(project_id, webhook_registration.new_secret(project_id))


def rotate_secret(run: ProjectRun) -> None:
    """Give the project's webhook a new secret. The former one stays valid until Label Studio has the new one."""
    ours = find(run.client, run.project)
    if ours is None:
        raise BackendError(f"project {run.id} is not connected to this backend, so it has no webhook")
    secret = webhook_registration.new_secret(run.id)
    webhook_registration.ensure(run.client, run.id, ours.url, secret)
    run.set(webhook_secret=secret)
    webhook_registration.ensure(run.client, run.id, ours.url, secret)  # a sync may have restored the former one


def switched_away(client: Client, store: Store, project: Project) -> str | None:
    """The settings in force instead of our queue; None if our queue is in force or there is none."""
    queue = _in_force(store, project)
    if queue is None:
        return None
    found = client.project(project.id)
    if (found.sampling, found.model_version) == (UNCERTAINTY_SAMPLING, queue.version):
        return None
    return f"sampling is '{found.sampling}' and model version '{found.model_version}', not '{queue.version}'"


def switch_back(client: Client, store: Store, project: Project) -> None:
    """Put our queue in force again. If its predictions were deleted, empty the stored queue, so that a round is due."""
    queue = _in_force(store, project)
    if queue is None:
        return
    try:
        client.switch_queue(project.id, sampling=UNCERTAINTY_SAMPLING, model_version=queue.version)
    except LabelStudioError as error:
        if error.status != 400:
            raise
        store.of(project.id).rounds.put_queue(project.queue, [])


def _in_force(store: Store, project: Project) -> PublishedQueue | None:
    return next((queue for queue in store.projects.published(project.id) if queue.queue == project.queue), None)
