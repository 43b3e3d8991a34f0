"""Notifications: a text arrives or is reported as failed, and the URL stays secret."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from backend.runtime.notify import notifier
from tests.servers import chat_server


def test_without_a_url_there_is_no_notifier() -> None:
    assert notifier(None) is None


def test_a_text_arrives_or_not_and_the_address_stays_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="backend")
    with chat_server() as chat:
        send = notifier(SecretStr(chat.url))
        assert send is not None
        assert send("labeling may stop")
        assert chat.came == [{"text": "labeling may stop"}]
        assert send("<!channel> target of <https://evil.example|a & b> reached")
        assert chat.came[1] == {"text": "&lt;!channel&gt; target of &lt;https://evil.example|a &amp; b&gt; reached"}
        chat.status = 500
        assert not send("again")
        assert "NOTIFY_URL answered 500" in caplog.text
    assert not send("again")
    assert "cannot be reached (ConnectError)" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("backend")]
    assert not any("secret" in message for message in ours)


@pytest.mark.parametrize("address", ["nonsense", "http://[", "ftp://x.local/"])
def test_an_invalid_url_is_a_failed_notification(address: str) -> None:
    send = notifier(SecretStr(address))
    assert send is not None
    assert not send("labeling may stop")
