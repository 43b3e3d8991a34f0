"""Connecting the backend as the UI does, and leaving again."""

from __future__ import annotations

import pytest

from tests.conftest import labeled_sentences
from tests.real import AUTH, CONFIG, Team


def test_connected_with_a_webhook_that_carries_its_secret_and_no_password(connected: Team) -> None:
    backends = connected.call("GET", f"/api/ml/?project={connected.id}")
    assert [(b["state"], b["error_message"]) for b in backends] == [("CO", None)]
    assert backends[0]["model_version"] == f"p{connected.id}-a0"
    hooks = connected.call("GET", f"/api/webhooks/?project={connected.id}")
    project = connected.backend.store.projects.get(connected.id)
    assert project is not None
    assert project.title == "A project"
    secret = project.webhook_secret
    assert secret is not None
    assert [(h["url"], h["headers"], h["is_active"]) for h in hooks] == [
        (connected.backend.url + "/webhook", {"X-Webhook-Secret": secret}, True)
    ]


@pytest.mark.parametrize(
    ("config", "extra_params", "sentence"),
    [
        (CONFIG, {"strategy": "foo"}, "strategy 'foo' is unknown; choose one of auto, badge, bald, cal"),
        (
            CONFIG,
            {"batchsize": 3},
            "extra_params.batchsize is unknown; choose from audit_share, balance, base_model",
        ),
        (CONFIG, {"batch_size": 0}, "extra_params.batch_size: Input should be greater than or equal to 1, not 0"),
        (
            '<View><Text name="t" value="$text"/><DateTime name="l" toName="t"/></View>',
            {},
            "DateTime name='l' is not supported",
        ),
    ],
)
def test_what_is_not_supported_is_refused_with_a_sentence(
    team: Team, config: str, extra_params: dict[str, object], sentence: str
) -> None:
    team.create(["a text"], config)
    with pytest.raises(AssertionError) as refused:
        team.connect(**extra_params)
    assert sentence in str(refused.value).replace('\\"', '"')


def test_a_wrong_password_is_named(team: Team) -> None:
    team.create(["a text"])
    model = {"url": team.backend.url, "project": team.id, "auth_method": "BASIC_AUTH", "basic_auth_user": "x"}
    answer = team.http.post("/api/ml/", json={**model, "basic_auth_pass": "y"})
    assert answer.status_code == 400
    assert "BASIC_AUTH_USER and BASIC_AUTH_PASS" in answer.text


def test_disconnect_gives_back_what_the_project_had(team: Team) -> None:
    team.create([text for text, _ in labeled_sentences(30)])
    tasks = team.call("GET", f"/api/tasks/?project={team.id}&page_size=5")["tasks"]
    theirs = [{"task": task["id"], "result": [], "score": 0.5, "model_version": "theirs"} for task in tasks]
    team.call("POST", f"/api/projects/{team.id}/import/predictions", theirs)
    team.call("PATCH", f"/api/projects/{team.id}/", {"sampling": "Uniform sampling", "model_version": "theirs"})
    first = team.connect()
    team.call("POST", "/api/ml/", {**first, "basic_auth_pass": AUTH[1], "extra_params": {}})  # twice
    team.wait_for_round(1)
    assert team.project()["model_version"] == f"p{team.id}-a0-q1"

    done = team.backend.lsal("disconnect", str(team.id))
    assert done.code == 0, done.err
    project = team.project()
    assert (project["sampling"], project["model_version"]) == ("Uniform sampling", "theirs")
    assert team.call("GET", f"/api/projects/{team.id}/model-versions/") == {"theirs": 5}
    assert team.call("GET", f"/api/ml/?project={team.id}") == []
    assert team.call("GET", f"/api/webhooks/?project={team.id}") == []

    left, *_, came = [each for each in team.backend.store.audit.newest(team.id, 10) if each.project_id == team.id]
    assert (left.action, left.origin, came.action, came.user) == ("disconnect", "command line", "settings", AUTH[0])


def test_a_project_that_never_connected_is_named_by_the_command_line(team: Team) -> None:
    done = team.backend.lsal("round", "999999")
    assert done.code == 1
    assert "project 999999 is not known here; connect this backend in its Settings" in done.err
