"""What people get wrong when they connect: each ends in a sentence that tells what to do."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from backend.demo.label_studio import LabelStudioServer
from tests.browser.conftest import Person
from tests.real import AUTH, Backend, Team

SPOILED = (AUTH[0], "wrong")


@pytest.mark.parametrize(
    ("auth", "extra", "sentence"),
    [
        (SPOILED, "", "Wrong or missing user and password; enter BASIC_AUTH_USER and BASIC_AUTH_PASS"),
        (None, "", "Wrong or missing user and password; enter BASIC_AUTH_USER and BASIC_AUTH_PASS"),
        (AUTH, '{"strategy": ', "extra_params is not JSON"),
        (AUTH, json.dumps({"strategy": "foo"}), "strategy 'foo' is unknown; choose one of auto, badge"),
        (AUTH, json.dumps({"batchsize": 3}), "extra_params.batchsize is unknown; choose from audit_share"),
    ],
)
def test_a_wrong_setting_is_a_sentence_in_the_dialog(
    person: Person, backend: Backend, team: Team, auth: tuple[str, str] | None, extra: str, sentence: str
) -> None:
    team.create(["a text"])
    person.connect(team.id, backend.url, auth=auth, extra=extra)
    expect(person.page.get_by_text(sentence).first).to_be_visible()


def test_a_label_config_that_cannot_be_learned(person: Person, backend: Backend, team: Team) -> None:
    team.create(["a text"], '<View><Text name="t" value="$text"/><DateTime name="when" toName="t"/></View>')
    person.connect(team.id, backend.url, auth=AUTH)
    said = person.page.get_by_text("DateTime name='when' is not supported. Supported are Choices, Taxonomy").first
    expect(said).to_be_visible()


def test_a_backend_that_is_not_running(person: Person, team: Team) -> None:
    team.create(["a text"])
    person.connect(team.id, "http://localhost:9")
    said = person.page.get_by_text("Can't connect to ML backend http://localhost:9, health check failed").first
    expect(said).to_be_visible()


def test_a_blocked_private_address(
    open_page: Callable[..., Page],
    strict_server: LabelStudioServer,
    project_and_token: tuple[int, str],
    backend: Backend,
) -> None:
    """Label Studio's default. The fix is in `lsal doctor` and docs/how-to/basics/connect.md."""
    stranger = Person(open_page(ours=False), strict_server)
    stranger.sign_in()
    stranger.connect(project_and_token[0], backend.url, auth=AUTH)
    expect(stranger.page.get_by_text("URL resolves to a reserved network address").first).to_be_visible()
