"""A killed backend: the round goes on, and nothing is there twice. A backend that lost its state: it starts afresh."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.demo.label_studio import Annotator, LabelStudioServer
from tests.conftest import labeled_sentences
from tests.label_studio.conftest import BATCH, Backend, Team, wait_for


@pytest.fixture
def alone(
    label_studio: LabelStudioServer, annotators: list[Annotator], tiny_encoder: Path, tmp_path: Path
) -> Iterator[Team]:
    """A team whose backend may be killed; its training takes a few seconds."""
    backend = Backend(label_studio, tmp_path / "backend", tiny_encoder, MIN_STEPS="500", MAX_STEPS="500")
    backend.start()
    team = Team(label_studio, backend, annotators)
    team.create([text for text, _ in labeled_sentences(60)])
    team.connect()
    team.wait_for_round(1)
    yield team
    team.http.close()
    backend.kill()


def test_killed_in_the_middle_of_training(alone: Team) -> None:
    team, backend = alone, alone.backend
    served = team.label_batch()
    wait_for("the training to be under way", lambda: "training on" in backend.log())
    backend.kill()
    unfinished = backend.store.rounds.get(team.id, 2)
    assert unfinished is not None
    assert (unfinished.state, unfinished.step) == ("running", "train")
    assert team.project()["model_version"] == f"p{team.id}-a0-q1", "the former queue serves while nobody is there"

    backend.start()
    done = team.wait_for_round(2)
    assert (done.adapter, done.queue, done.labels) == (1, 2, BATCH)
    assert team.call("GET", f"/api/projects/{team.id}/model-versions/") == {f"p{team.id}-a1-q2": len(team.published())}
    assert set(served) == {e.id for audit in (False, True) for e in backend.store.tasks.labeled(team.id, audit=audit)}


def test_lost_state_takes_no_number_twice(alone: Team) -> None:
    team, backend = alone, alone.backend
    team.label_batch()
    team.wait_for_round(2)
    version = f"p{team.id}-a1-q2"
    assert team.project()["model_version"] == version
    backend.kill()
    shutil.rmtree(backend.folder)
    backend.start()
    team.call("GET", f"/api/ml/?project={team.id}")  # the Model page was opened: Label Studio calls /setup
    done = team.wait_for_round(1)
    assert (done.adapter, done.queue, done.labels) == (2, 3, BATCH)
    assert team.project()["model_version"] == f"p{team.id}-a2-q3"
    assert team.label_batch(3) == [item.task_id for item in team.published()[:3]]
