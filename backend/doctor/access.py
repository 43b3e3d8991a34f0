"""Checks of access: Label Studio's URL and clock, our API key and password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from backend.doctor.finding import Finding
from backend.errors import LabelStudioError
from backend.labelstudio.api import probes
from backend.labelstudio.api.client import Client
from backend.settings import Settings, SettingsError

_MADE_BY_LABEL_STUDIO = re.compile(r"[0-9a-f]{40}")  # legacy tokens; an operator may set others
_CLOCKS_APART = 60.0  # seconds; access tokens are valid for 300, which both sides compute by their own clock
NEW_KEY = "create a personal access token in Account & Settings and set LABEL_STUDIO_API_KEY to it"


def label_studio(url: str, now: datetime) -> Iterator[Finding]:
    """Check that Label Studio answers at `url`, and that both clocks agree."""
    try:
        hello = probes.hello(url)
    except LabelStudioError as error:
        yield Finding("label_studio", "problem", str(error))
        return
    yield Finding("label_studio", "ok", f"Label Studio {hello.release} answers at {url}")
    yield clock((now - hello.time).total_seconds())


def clock(ahead: float) -> Finding:
    """Check that the clocks agree: tokens expire at a time. ahead: seconds that our clock is ahead."""
    if abs(ahead) <= _CLOCKS_APART:
        return Finding("clock", "ok", f"the clocks are {abs(ahead):.0f} s apart")
    return Finding(
        "clock",
        "problem",
        f"this clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Label Studio's",
        "synchronize both with NTP; otherwise tokens expire too early, or are used after they have expired",
    )


def password(settings: Settings) -> Finding:
    """Check whether callers need a password."""
    if settings.basic_auth is not None:
        return Finding("password", "ok", "all requests except health checks need the password")
    if settings.insecure:
        return Finding(
            "password",
            "warning",
            f"LSAL_INSECURE is set: everyone who can reach port {settings.port} can read texts and labels",
            "set BASIC_AUTH_USER and BASIC_AUTH_PASS, unless only Label Studio can reach that port",
        )
    try:
        _ = settings.bind
    except SettingsError as error:
        return Finding("password", "problem", str(error), "the web server does not start without one of these")
    return Finding("password", "ok", "no password is set: only programs on this machine reach the backend")


def token(client: Client, api_key: str) -> Finding:
    """Check that Label Studio accepts the API key. Reports its kind and its user."""
    kind = probes.kind_of(api_key)
    try:
        user = probes.whoami(client)
    except LabelStudioError as error:
        if kind == "legacy token" and not _MADE_BY_LABEL_STUDIO.fullmatch(api_key):
            kind = f"text of {len(api_key)} characters, and not one of Label Studio's tokens"
        return Finding("token", "problem", f"LABEL_STUDIO_API_KEY is a {kind}. {error}", NEW_KEY)
    if kind.startswith("access token"):
        return Finding("token", "problem", f"LABEL_STUDIO_API_KEY is an {kind}", NEW_KEY)
    return Finding("token", "ok", f"LABEL_STUDIO_API_KEY is a {kind}, of {user}")


def setup_token(client: Client) -> Finding:
    """Report whether the token that Label Studio sends with /setup works. The backend never uses it."""
    try:
        alive = probes.legacy_tokens_work(client)
    except LabelStudioError as error:
        return Finding("setup_token", "ok", f"not used, so this is no problem: {error}")
    state = "is valid" if alive else "is not valid: legacy tokens are turned off"
    return Finding(
        "setup_token",
        "ok",
        f"the token that Label Studio sends with /setup {state}; the backend uses LABEL_STUDIO_API_KEY instead",
    )
