"""The way to Label Studio: its address, its clock, our key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from backend.doctor.finding import Finding
from backend.errors import LabelStudioError
from backend.labelstudio import probes
from backend.labelstudio.client import Client
from backend.settings import Settings

_CLOCKS_APART = 60.0  # seconds; access tokens live for 300, by both clocks
NEW_KEY = "make a personal access token in Account & Settings and set LABEL_STUDIO_API_KEY to it"


def label_studio(url: str, now: datetime) -> Iterator[Finding]:
    """Whether Label Studio answers at `url`, and whether both clocks agree."""
    try:
        hello = probes.hello(url)
    except LabelStudioError as error:
        yield Finding("label_studio", "problem", str(error))
        return
    yield Finding("label_studio", "ok", f"Label Studio {hello.release} answers at {url}")
    yield clock((now - hello.time).total_seconds())


def clock(ahead: float) -> Finding:
    """Whether the clocks agree, ours being so many seconds ahead: a token is good until a time."""
    if abs(ahead) <= _CLOCKS_APART:
        return Finding("clock", "ok", f"the clocks are {abs(ahead):.0f} s apart")
    return Finding(
        "clock",
        "problem",
        f"this clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Label Studio's",
        "set both by NTP; tokens expire too early or are used too long",
    )


def password(settings: Settings) -> Finding:
    """Whether callers are asked who they are."""
    if settings.basic_auth is not None:
        return Finding("password", "ok", "every call but health checks is asked for its password")
    return Finding(
        "password",
        "warning",
        f"no password is asked: whoever reaches port {settings.port} can read predictions and start rounds",
        "set BASIC_AUTH_USER and BASIC_AUTH_PASS, unless only Label Studio reaches that port",
    )


def token(client: Client, api_key: str) -> Finding:
    """Whether the API key is accepted, of which kind it is, and whose."""
    kind = probes.kind_of(api_key)
    try:
        user = probes.whoami(client)
    except LabelStudioError as error:
        return Finding("token", "problem", f"LABEL_STUDIO_API_KEY is a {kind}. {error}", NEW_KEY)
    if kind.startswith("access token"):
        return Finding("token", "problem", f"LABEL_STUDIO_API_KEY is an {kind}", NEW_KEY)
    return Finding("token", "ok", f"LABEL_STUDIO_API_KEY is a {kind}, of {user}")


def setup_token(client: Client) -> Finding:
    """What became of the token that Label Studio sends along when it connects: never used here, often dead."""
    try:
        alive = probes.legacy_tokens_work(client)
    except LabelStudioError as error:
        return Finding("setup_token", "ok", f"not used here, so it does not matter that {error}")
    state = "would work" if alive else "is dead: legacy tokens are turned off"
    return Finding(
        "setup_token",
        "ok",
        f"the token that Label Studio sends with /setup {state}; LABEL_STUDIO_API_KEY is used instead",
    )
