"""Leave a project as it was before this backend connected."""

from __future__ import annotations

import logging

from backend.labelstudio.api import webhook_registration
from backend.labelstudio.predictions import check_version, taken_version
from backend.rounds.connection import second_opinions
from backend.rounds.connection.repair import choose
from backend.rounds.context import ProjectRun

log = logging.getLogger(__name__)


def disconnect(run: ProjectRun) -> None:
    """Remove our connection, webhook and queues, and restore the former sampling and model version.

    A version that no longer exists in Label Studio, such as the title of the removed connection, is not restored: the
    project then has none.
    """
    project, client = run.project, run.client
    listed = client.backends(run.id)
    ours = choose(listed, project)
    for each in listed:  # the same address can be connected twice
        if ours is not None and each.url == ours.url:
            client.delete_backend(each.id)
    # Not earlier: Label Studio calls /setup, which connects, while it lists and deletes backends.
    run.store.projects.set(run.id, connected=False)
    address = webhook_registration.address(ours.url if ours is not None else project.backend_url or "")
    for hook in client.webhooks(run.id):
        if hook["url"] == address:
            client.delete_webhook(hook["id"])
    if project.former_sampling is not None:
        former = project.former_model_version or ""
        exists = former in client.versions(run.id) or former in [b.title for b in client.backends(run.id)]
        client.switch_queue(run.id, sampling=project.former_sampling, model_version=former if exists else "")
    second_opinions.give_back(run, client.project(run.id).overlap)
    for queue in run.store.projects.published(run.id):
        client.delete_version(run.id, queue.version)
        run.store.projects.remove_published(run.id, queue.queue)
    there = client.versions(run.id)
    for version in (check_version(run.id), taken_version(run.id)):
        if version in there:
            client.delete_version(run.id, version)
    run.store.projects.set(run.id, former_sampling=None, former_model_version=None, webhook_ready=False, queue=0)
    log.info("project %d: disconnected", run.id)
