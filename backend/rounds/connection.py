"""The connection of a project in Label Studio: which ML backend is ours, its webhook, and the queue in force."""

from __future__ import annotations

import logging
import time
from urllib.parse import urlsplit

from backend.errors import BackendError, LabelStudioError
from backend.labelstudio import webhook
from backend.labelstudio.client import UNCERTAINTY_SAMPLING, Client
from backend.labelstudio.responses import ConnectedBackend
from backend.rounds.context import Context, options_of
from backend.store import Store
from backend.store.models import Project, PublishedQueue

log = logging.getLogger(__name__)

_SAVING = 2.0  # seconds


def find(client: Client, project: Project) -> ConnectedBackend | None:
    """Our connection; None if there is none."""
    return choose(client.backends(project.id), project)


def choose(connected: list[ConnectedBackend], project: Project) -> ConnectedBackend | None:
    """The only one, or that at the address we are known to have, or at the host under which /setup was called.

    That host is what any caller of /setup claims, so it only chooses among the addresses that Label Studio has.
    """
    if len(connected) == 1:
        return connected[0]
    known = (each for each in connected if each.url == project.backend_url)
    return next(known, None) or next((each for each in connected if urlsplit(each.url).netloc == project.host), None)


def look_after(context: Context, project: Project) -> None:
    """Repair what people or restarts may have changed.

    Without a webhook rounds only start later, by the timer, so that its failure is reported and the round goes on.
    """
    ours = find(context.client, project)
    if ours is None:  # Label Studio calls /setup just before it saves a connection: look once more
        time.sleep(_SAVING)
        ours = find(context.client, project)
    if ours is None:
        log.warning("project %d: no longer connected in Label Studio, so nothing is done for it", project.id)
        context.store.projects.set(project.id, connected=False)
        return
    context.store.projects.set(project.id, backend_url=ours.url)
    try:
        webhook.ensure(context.client, project.id, ours.url, secret_of(context.store, project.id))
        context.store.projects.set(project.id, webhook_ready=True)
    except LabelStudioError as error:
        log.warning("project %d: no webhook, so new annotations are seen by the timer only: %s", project.id, error)
        context.store.projects.set(project.id, webhook_ready=False, error=str(error))
    if options_of(project).manage_queue and (instead := switched_away(context.client, context.store, project)):
        log.warning(
            "project %d: %s; switching back. To order the queue yourselves, set the option manage_queue to false",
            project.id,
            instead,
        )
        switch_back(context.client, context.store, project)


def look_again(context: Context, project: Project) -> None:
    """Take a project up again if Label Studio lists us there after all, at the address that we are known to have.

    For a moment LABEL_STUDIO_URL may have named another Label Studio, or the key another user. What was read from
    there is read again.
    """
    try:
        there = any(each.url == project.backend_url for each in context.client.backends(project.id))
    except LabelStudioError:  # deleted, most likely
        return
    if there:
        log.warning("project %d: connected in Label Studio again", project.id)
        context.store.projects.set(
            project.id, connected=True, webhook_ready=False, task_mark=0, reread=True, split=None
        )


def secret_of(store: Store, project_id: int) -> str:
    """What the events of a project carry, made when first asked for."""
    return store.projects.keep_secret(project_id, webhook.new_secret(project_id))


def rotate_secret(context: Context, project_id: int) -> None:
    """Give the project's webhook another secret. Until Label Studio has it, the former one is good."""
    project = context.project(project_id)
    ours = find(context.client, project)
    if ours is None:
        raise BackendError(f"project {project_id} is not connected to this backend, so that it has no webhook")
    secret = webhook.new_secret(project_id)
    webhook.ensure(context.client, project_id, ours.url, secret)
    context.store.projects.set(project_id, webhook_secret=secret)


def switched_away(client: Client, store: Store, project: Project) -> str | None:
    """What somebody switched the project to instead of our queue; None if the queue is in force or there is none."""
    queue = _in_force(store, project)
    if queue is None:
        return None
    found = client.project(project.id)
    if (found.sampling, found.model_version) == (UNCERTAINTY_SAMPLING, queue.version):
        return None
    return f"sampling is '{found.sampling}' and model version '{found.model_version}', not '{queue.version}'"


def switch_back(client: Client, store: Store, project: Project) -> None:
    """Put our queue in force again. If its predictions are gone, nothing is queued any more, and a round is due."""
    queue = _in_force(store, project)
    if queue is None:
        return
    try:
        client.switch_queue(project.id, sampling=UNCERTAINTY_SAMPLING, model_version=queue.version)
    except LabelStudioError as error:
        if error.status != 400:
            raise
        store.rounds.put_queue(project.id, project.queue, [])


def _in_force(store: Store, project: Project) -> PublishedQueue | None:
    return next((queue for queue in store.projects.published(project.id) if queue.queue == project.queue), None)
