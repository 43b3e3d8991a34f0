"""Make sure that Label Studio tells us of annotations: find, repair or create the project's webhook."""

from __future__ import annotations

import logging
from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

from backend.errors import LabelStudioError
from backend.labelstudio.client import Client

log = logging.getLogger(__name__)


def address(backend_url: str) -> str:
    """Where Label Studio sends its events for a backend at this address."""
    return backend_url.rstrip("/") + "/webhook"


def problem(client: Client, project_id: int, backend_url: str, basic_auth: tuple[str, str] | None) -> str | None:
    """What is wrong with the webhook; None if there is exactly one, active, with our authorisation."""
    wanted = _wanted(backend_url, basic_auth)
    ours = _ours(client, project_id, wanted)
    if not ours:
        return f"there is no webhook to {wanted['url']}"
    if wrong := [name for name, value in wanted.items() if ours[0].get(name) != value]:
        return f"the webhook to {wanted['url']} has other {', '.join(wrong)} than it needs"
    return f"there are {len(ours)} webhooks to {wanted['url']}" if len(ours) > 1 else None


def ensure(client: Client, project_id: int, backend_url: str, basic_auth: tuple[str, str] | None) -> None:
    """Leave exactly one active webhook with our authorisation.

    The one that Label Studio makes by itself carries no authorisation, so a backend with basic auth would refuse it.
    """
    wanted = _wanted(backend_url, basic_auth)
    ours = _ours(client, project_id, wanted)
    if not ours:
        client.create_webhook({**wanted, "project": project_id})
        log.info("project %d: webhook created", project_id)
        return
    if any(ours[0].get(name) != value for name, value in wanted.items()):
        client.update_webhook(ours[0]["id"], wanted)
        log.info("project %d: webhook repaired", project_id)
    for extra in ours[1:]:
        client.delete_webhook(extra["id"])


def _wanted(backend_url: str, basic_auth: tuple[str, str] | None) -> dict[str, Any]:
    """The webhook as it should be. A host without a dot is refused: Label Studio silently makes no webhook for it."""
    host = urlsplit(backend_url).hostname or ""
    if "." not in host and ":" not in host and host != "localhost":
        raise LabelStudioError(
            f"Label Studio creates no webhook for '{host}', a host name without a dot: connect this backend under a "
            "name with a dot (a network alias such as backend.internal) or its IP address"
        )
    headers = {"Authorization": f"Basic {b64encode(':'.join(basic_auth).encode()).decode()}"} if basic_auth else {}
    return {
        "url": address(backend_url),
        "send_payload": True,
        "send_for_all_actions": True,
        "headers": headers,
        "is_active": True,
    }


def _ours(client: Client, project_id: int, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    return [hook for hook in client.webhooks(project_id) if hook["url"] == wanted["url"]]
