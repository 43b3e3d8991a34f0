"""Errors of Label Studio's API → cause and remedy."""

from __future__ import annotations

PRIVATE_ADDRESSES = (
    "Label Studio blocks private addresses; start it with "
    "USE_DEFAULT_BANNED_SUBNETS=false USER_ADDITIONAL_BANNED_SUBNETS=169.254.0.0/16"
)
_HINTS = {  # part of the response → cause and remedy
    "legacy token authentication has been disabled": "legacy tokens are turned off there (401); set "
    "LABEL_STUDIO_API_KEY to a personal access token, from Account & Settings",
    "API key has expired": "the personal access token has expired (401); make a new one in Account & Settings and set "
    "LABEL_STUDIO_API_KEY to it",
    "reserved network address": PRIVATE_ADDRESSES,
}


class RefusedCallError(Exception):
    """Label Studio answered a call with an error. The message leaves out `body`, which may quote a task."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.body = body


def unreachable(url: str, error: Exception) -> str:
    """The message for a Label Studio that does not respond."""
    return f"Label Studio at {url} cannot be reached ({type(error).__name__}); check LABEL_STUDIO_URL and that it runs"


def reason(error: RefusedCallError) -> str:
    """Cause and remedy of a refused call."""
    for part, hint in _HINTS.items():
        if part in error.body:
            return hint
    hints = {
        401: "the API key is not accepted (401); set LABEL_STUDIO_API_KEY to a valid access token",
        403: "the API key's user may not do this (403); use a token of a manager or administrator",
        404: "it does not exist, or the API key's user cannot see it (404)",
    }
    return hints.get(error.status, f"status {error.status}")
