"""Checks of Label Studio for `lsal doctor`. They leave no change there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from backend.errors import LabelStudioError
from backend.labelstudio.api import webhook_registration
from backend.labelstudio.api.client import Client, credentials
from backend.labelstudio.api.refusals import RefusedCallError
from backend.labelstudio.api.tokens import read_claims

# At this path below its address the backend refuses connections, so that Label Studio saves none.
TRIAL_PATH = "doctor"
REACHED = "label-studio-active-learning was reached by lsal doctor"


class Hello(NamedTuple):
    """What Label Studio reports without an API key."""

    release: str
    time: datetime


def hello(url: str) -> Hello:
    """Query the Label Studio at `url` without an API key. Raises `LabelStudioError` with the remedy."""
    address = f"{url.rstrip('/')}/api/version"
    try:
        # Label Studio first queries PyPI for its newest version, which takes 10 s or more without internet access.
        answer = httpx.get(address, timeout=30)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise LabelStudioError(
            f"nothing answers at {url} ({type(error).__name__}); check LABEL_STUDIO_URL, and that Label Studio runs. "
            "In a container localhost is the container itself"
        ) from None
    if answer.has_redirect_location:
        there = answer.headers["location"].removesuffix("/").removesuffix("/api/version")
        raise LabelStudioError(f"{url} redirects to {there}; set LABEL_STUDIO_URL to that address")
    try:
        return Hello(str(answer.json()["release"]), parsedate_to_datetime(answer.headers["date"]))
    except (ValueError, KeyError, TypeError):
        raise LabelStudioError(
            f"the server at {url} is not Label Studio (status {answer.status_code} at /api/version); "
            "check LABEL_STUDIO_URL, its port and its path"
        ) from None


def kind_of(api_key: str) -> str:
    """The kind of an API key, and the expiry date of a personal access token."""
    claims = read_claims(api_key)
    if claims is None:
        return "legacy token"
    if claims.get("token_type") == "access":
        return "access token, valid for a few minutes"
    until = datetime.fromtimestamp(claims.get("exp", 0), UTC)
    return f"personal access token, valid until {until:%Y-%m-%d}"


def whoami(client: Client) -> str:
    """The e-mail address of the API key's user."""
    with client.explaining("name the API key's user"):
        return str(client.request("GET", "api/current-user/whoami")["email"])


def legacy_tokens_work(client: Client) -> bool:
    """Whether the organisation accepts legacy tokens, such as the one that Label Studio sends with /setup."""
    with client.explaining("read the token settings"):
        return bool(client.request("GET", "api/jwt/settings")["legacy_api_tokens_enabled"])


def try_backend(client: Client, project_id: int, url: str, basic_auth: tuple[str, str] | None) -> str:
    """Make Label Studio call the backend at `url` as on connecting; return its error message.

    The address ends in `TRIAL_PATH`, where the backend refuses the connection, so that Label Studio saves nothing.
    """
    model = {"project": project_id, "url": f"{url.rstrip('/')}/{TRIAL_PATH}", **credentials(basic_auth)}
    with client.explaining("try a connection"):
        try:
            made = client.request("POST", "api/ml/", json=model)
        except RefusedCallError as error:
            if error.status in (401, 404):  # caused by the API key or the project
                raise
            return _message(error.body)
    client.delete_backend(made["id"])
    for hook in client.webhooks(project_id):  # created by Label Studio, and kept when the connection is deleted
        if hook["url"] == webhook_registration.address(made["url"]):
            client.delete_webhook(hook["id"])
    return "another server answers there, which accepts any connection"


def _message(body: str) -> str:
    """The error message in a JSON response of Label Studio."""
    try:
        found = json.loads(body)
        of_fields = [sentence for sentences in found.get("validation_errors", {}).values() for sentence in sentences]
        return " ".join(map(str, of_fields or [found["detail"]]))
    except (ValueError, KeyError, AttributeError, TypeError):
        return body


def try_webhook(client: Client, project_id: int, url: str) -> None:
    """Create an inactive webhook and delete it. Raises `LabelStudioError` if Label Studio refuses the address."""
    with client.explaining(f"create a webhook to {url}"):
        made = client.request("POST", "api/webhooks/", json={"project": project_id, "url": url, "is_active": False})
    client.delete_webhook(made["id"])
