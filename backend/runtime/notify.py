"""Notify a chat that labeling may stop: a POST in the format of Slack's incoming webhooks, which many chats accept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from html import escape

import httpx
from pydantic import SecretStr

log = logging.getLogger(__name__)

_TIMEOUT = 10.0  # seconds


def notifier(url: SecretStr | None) -> Callable[[str], bool] | None:
    """A function that sends a text to `url` and returns whether it arrived. None without a URL. The URL is a secret."""
    if url is None:
        return None

    def send(text: str) -> bool:
        try:
            body = {"text": escape(text, quote=False)}  # Slack's control characters: <!channel> would notify everyone
            httpx.post(url.get_secret_value(), json=body, timeout=_TIMEOUT).raise_for_status()
        except httpx.HTTPStatusError as error:
            log.warning("NOTIFY_URL answered %d; the message will be sent again", error.response.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("NOTIFY_URL cannot be reached (%s); the message will be sent again", type(error).__name__)
        else:
            return True
        return False

    return send
