"""The project's webhook, by which Label Studio reports annotations: check, repair or create it."""

from __future__ import annotations

import logging
import re
import secrets
from typing import Any
from urllib.parse import urlsplit

from backend.errors import LabelStudioError
from backend.labelstudio.api.client import Client

log = logging.getLogger(__name__)

SECRET_HEADER = "X-Webhook-Secret"  # noqa: S105 (a name)


def new_secret(project_id: int) -> str:
    """A secret for the events of one project. It contains the project id, and is valid for `/webhook` only."""
    return f"{project_id}.{secrets.token_urlsafe(32)}"


def project_of_secret(secret: str) -> int | None:
    """The project id in a secret, unverified; None if there is none."""
    found = re.match(r"([0-9]{1,10})\.", secret)
    return int(found[1]) if found else None


def address(backend_url: str) -> str:
    """The webhook's URL for a backend at this address."""
    return backend_url.rstrip("/") + "/webhook"


def problem(client: Client, project_id: int, backend_url: str, secret: str) -> str | None:
    """What is wrong with the webhook; None if there is exactly one, active, with this secret."""
    wanted = _wanted(backend_url, secret)
    ours = _ours(client, project_id, wanted)
    if not ours:
        return f"there is no webhook to {wanted['url']}"
    if wrong := [name for name, value in wanted.items() if ours[0].get(name) != value]:
        return f"the webhook to {wanted['url']} has wrong values of {', '.join(wrong)}"
    return f"there are {len(ours)} webhooks to {wanted['url']}" if len(ours) > 1 else None


def ensure(client: Client, project_id: int, backend_url: str, secret: str) -> None:
    """Leave exactly one active webhook, with this secret.

    The webhook that Label Studio creates has no headers, so a backend with basic auth would refuse its events. The
    header holds a secret of its own, not the password: every manager of the project can read the headers.
    """
    wanted = _wanted(backend_url, secret)
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


def _wanted(backend_url: str, secret: str) -> dict[str, Any]:
    """The required webhook. Raises `LabelStudioError` for a host without a dot: Label Studio silently creates none."""
    host = urlsplit(backend_url).hostname or ""
    if "." not in host and ":" not in host and host != "localhost":
        raise LabelStudioError(
            f"Label Studio creates no webhook for '{host}', a host name without a dot: connect this backend under a "
            "name with a dot (a network alias such as backend.internal) or its IP address"
        )
    return {
        "url": address(backend_url),
        "send_payload": True,
        "send_for_all_actions": True,
        "headers": {SECRET_HEADER: secret},
        "is_active": True,
    }


def _ours(client: Client, project_id: int, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    return [hook for hook in client.webhooks(project_id) if hook["url"] == wanted["url"]]
