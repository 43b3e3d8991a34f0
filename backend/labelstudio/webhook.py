"""Make sure that Label Studio tells us of annotations: find, repair or create the project's webhook."""

from __future__ import annotations

import logging
from base64 import b64encode
from urllib.parse import urlsplit

from backend.errors import LabelStudioError
from backend.labelstudio.client import Client

log = logging.getLogger(__name__)


def address(backend_url: str) -> str:
    """Where Label Studio sends its events for a backend at this address."""
    return backend_url.rstrip("/") + "/webhook"


def ensure(client: Client, project_id: int, backend_url: str, basic_auth: tuple[str, str] | None) -> None:
    """Leave exactly one active webhook with our authorisation.

    The one that Label Studio makes by itself carries no authorisation, so a backend with basic auth would refuse it;
    and for a host without a dot it silently makes none.
    """
    host = urlsplit(backend_url).hostname or ""
    if "." not in host and host != "localhost":
        raise LabelStudioError(
            f"Label Studio creates no webhook for '{host}', a host name without a dot: connect this backend under a "
            "name with a dot (a network alias such as backend.local) or its IP address"
        )
    headers = {"Authorization": f"Basic {b64encode(':'.join(basic_auth).encode()).decode()}"} if basic_auth else {}
    wanted = {
        "url": address(backend_url),
        "send_payload": True,
        "send_for_all_actions": True,
        "headers": headers,
        "is_active": True,
    }
    ours = [hook for hook in client.webhooks(project_id) if hook["url"] == wanted["url"]]
    if not ours:
        client.create_webhook({**wanted, "project": project_id})
        log.info("project %d: webhook created", project_id)
        return
    if any(ours[0].get(name) != value for name, value in wanted.items()):
        client.update_webhook(ours[0]["id"], wanted)
        log.info("project %d: webhook repaired", project_id)
    for extra in ours[1:]:
        client.delete_webhook(extra["id"])
