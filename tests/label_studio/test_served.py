"""A project whose language model is behind a server of its own, in a real Label Studio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.demo.label_studio import Annotator, LabelStudioServer
from tests.conftest import labeled_sentences
from tests.language_model import MODEL, LanguageModel, language_model
from tests.real import AUTH, BATCH, Backend, Team, truth, wait_for

KEY = "the key of the language model"


@pytest.fixture
def toy() -> Iterator[LanguageModel]:
    with language_model() as model:
        model.key = KEY
        yield model


@pytest.fixture
def team_of_toy(
    label_studio: LabelStudioServer, annotators: list[Annotator], toy: LanguageModel, tmp_path: Path
) -> Iterator[Team]:
    backend = Backend(
        label_studio, tmp_path / "backend", Path(f"openai:{MODEL}"), LOG_LEVEL="DEBUG",
        OPENAI_BASE_URL=f"{toy.url}/v1", OPENAI_API_KEY=KEY, OPENAI_CONCURRENCY="8",
    )  # fmt: skip
    backend.start()
    team = Team(label_studio, backend, annotators)
    yield team
    team.http.close()
    assert backend.stop() == 0


def test_rounds_ask_the_server_and_annotators_get_its_suggestions(team_of_toy: Team, toy: LanguageModel) -> None:
    team = team_of_toy
    texts = [text for text, _ in labeled_sentences(60)]
    team.create(texts)
    team.connect(instructions="Fruit is what grows on trees.", audit_share=0.0, shots=3)  # so the prompt stays
    team.wait_for_round(1)
    first = team.predictions(f"p{team.id}-a1-q1")
    assert len(first) == 3 * BATCH
    assert all(prediction["result"] for prediction in first), "suggestions before any label"
    assert len(toy.asked) == 1 + len(texts)
    toy.asked.clear()
    team.label_batch()
    team.wait_for_round(2)
    assert toy.at_once <= 8
    assert all("Fruit is what grows on trees." in body["messages"][0]["content"] for body in toy.asked)
    version = team.project()["model_version"]
    assert version == f"p{team.id}-a2-q2"
    suggested = {prediction["task"]: prediction for prediction in team.predictions(version)}
    assert len(suggested) == 3 * BATCH
    tasks = {task["id"]: task["data"]["text"] for task in team.call("GET", f"/api/tasks/?project={team.id}")["tasks"]}
    right = [p["result"][0]["value"]["choices"] == [truth(tasks[task])] for task, p in suggested.items()]
    assert sum(right) >= 0.9 * len(right)

    asked = len(toy.asked)
    body = {"tasks": [{"id": 1, "data": {"text": "a new hammer near the saw"}}], "project": f"{team.id}.1"}
    answer = httpx.post(f"{team.backend.url}/predict", json=body, auth=AUTH, timeout=300).json()
    assert answer["results"][0]["result"][0]["value"]["choices"] == ["tool"]
    assert len(toy.asked) == asked + 1

    team.label_batch()
    asked = len(toy.asked)
    team.wait_for_round(3)
    assert len(toy.asked) == asked, "a prompt that stays asks nothing twice"
    (row,) = team.backend.store.of(team.id).llm_usage.all()
    assert row.calls == row.output_tokens == 1 + len(texts) + asked, "each call is counted"
    price = {"LLM_PRICES": f'{{"{MODEL}": [1000000, 0]}}'}
    printed = team.backend.lsal("estimate", str(team.id), **price)
    assert printed.code == 0, printed.err
    assert f"queries {len(texts)} texts in {len(texts) + 8} calls" in printed.out
    assert f"so far openai:{MODEL}: {row.calls} calls, input {row.input_tokens} tokens" in printed.out
    expected = round((len(texts) + 8) * row.input_tokens / row.calls)
    assert (
        f"input {expected} tokens, output {len(texts) + 8} (by earlier calls): {expected:.2f} by LLM_PRICES"
        in printed.out
    )

    team.set_options(instructions="Fruit is what grows on trees.", audit_share=0.0, shots=3, llm_budget=row.calls)
    wait_for("the option to be known", lambda: "llm_budget" in team.backend.store.projects.get(team.id).options)  # type: ignore[union-attr]
    sent = len(toy.asked)
    body["tasks"][0]["data"]["text"] = "another hammer near the saw"  # type: ignore[index]
    answer = httpx.post(f"{team.backend.url}/predict", json=body, auth=AUTH, timeout=300).json()
    assert answer["results"] == [[]], "a new text costs a call, of which none is left"
    assert len(toy.asked) == sent
    log = team.backend.log()
    assert KEY not in log
    assert not any(text in log for text in texts)


def test_a_server_that_goes_away_is_told_and_comes_back(team_of_toy: Team, toy: LanguageModel) -> None:
    team = team_of_toy
    team.create([text for text, _ in labeled_sentences(60)])
    team.connect(audit_share=0.0)
    team.wait_for_round(1)
    toy.failures = [500] * 10_000
    team.label_batch()
    failed = wait_for_failure(team, 2)
    assert "the language model's server" in failed
    assert "see its log" in failed
    toy.failures = []
    team.backend.store.events.add(team.id, "START_TRAINING")
    team.wait_for_round(3)
    assert team.project()["model_version"] == f"p{team.id}-a2-q2"


def wait_for_failure(team: Team, number: int) -> str:
    """The error of a round."""

    def look() -> str | None:
        found = team.backend.store.of(team.id).rounds.get(number)
        return found.error if found is not None and found.state == "failed" else None

    return wait_for(f"round {number} to fail", look)
