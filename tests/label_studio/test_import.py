"""The import call that recounts the whole project is detected and avoided; both kinds of token."""

from __future__ import annotations

import pytest

from backend.demo.label_studio import LabelStudioServer
from backend.errors import LabelStudioError
from backend.labelstudio.api.client import Client
from tests.conftest import labeled_sentences
from tests.real import Team


def test_recounting_is_recognised_without_writing_anything(
    connected: Team, strict_server: LabelStudioServer, project_and_token: tuple[int, str]
) -> None:
    slow = Client(connected.server.url, connected.server.owner.token)
    before = slow.versions(connected.id)
    assert slow.recounts_on_import(connected.id)
    assert slow.versions(connected.id) == before
    project_id, token = project_and_token
    fast = Client(strict_server.url, token)
    assert not fast.recounts_on_import(project_id)
    assert fast.versions(project_id) == {}


def test_personal_access_tokens_work_and_a_dead_legacy_token_is_named(
    strict_server: LabelStudioServer, project_and_token: tuple[int, str]
) -> None:
    project_id, token = project_and_token
    client = Client(strict_server.url, token)
    assert client.project(project_id).task_number == 2
    assert [len(page) for page in client.new_tasks(project_id, 0)] == [2]
    client.switch_queue(project_id, sampling="Uniform sampling", model_version="")
    assert client.project(project_id).sampling == "Uniform sampling"
    with pytest.raises(LabelStudioError, match=r"legacy tokens are turned off there \(401\); set LABEL_STUDIO_API_KEY"):
        Client(strict_server.url, strict_server.owner.token).project(project_id)


def test_strangers_cannot_sign_up_where_compose_forbids_it(strict_server: LabelStudioServer) -> None:
    with pytest.raises(LabelStudioError, match=r"sign-up of 'stranger@evil\.example' in Label Studio failed"):
        strict_server.sign_up("stranger@evil.example")


def test_a_large_project_is_published_one_by_one_with_the_same_result(team: Team) -> None:
    team.create([text for text, _ in labeled_sentences(120)])
    team.connect(batch_size=2, queue_size=4)
    team.wait_for_round(1)
    version = team.project()["model_version"]
    predictions = sorted(team.predictions(version), key=lambda p: p["score"])
    assert [p["task"] for p in predictions] == [item.task_id for item in team.published()]
