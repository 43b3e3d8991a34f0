"""Leave a project as it was before this backend came."""

from __future__ import annotations

import logging

from backend.labelstudio import webhook
from backend.rounds.connection import find
from backend.rounds.context import Context

log = logging.getLogger(__name__)


def disconnect(context: Context, project_id: int) -> None:
    """Remove our connection, webhook and queues, and give back the former sampling and model version.

    A version that no longer exists in Label Studio, such as the title of the connection that is removed here, cannot
    be given back: the project is left without one.
    """
    project = context.project(project_id)
    client = context.client
    ours = find(client, project)
    if ours is not None:
        client.delete_backend(ours.id)
    # Not before: Label Studio calls /setup, which connects, while it lists and even while it deletes.
    context.store.projects.set(project_id, connected=False)
    address = webhook.address(ours.url if ours is not None else project.backend_url or "")
    for hook in client.webhooks(project_id):
        if hook["url"] == address:
            client.delete_webhook(hook["id"])
    if project.former_sampling is not None:
        former = project.former_model_version or ""
        exists = former in client.versions(project_id) or former in [b.title for b in client.backends(project_id)]
        client.switch_queue(project_id, sampling=project.former_sampling, model_version=former if exists else "")
    for queue in context.store.projects.published(project_id):
        client.delete_version(project_id, queue.version)
        context.store.projects.remove_published(project_id, queue.queue)
    context.store.projects.set(
        project_id, former_sampling=None, former_model_version=None, webhook_ready=False, queue=0
    )
    log.info("project %d: disconnected", project_id)
