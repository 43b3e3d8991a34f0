"""What is shown of a finish, in every state, in sentences that do not contradict each other."""

from __future__ import annotations

from backend.overview.tasks.finish import FinishState, doubtful, finish_state
from backend.web.dashboard.finish_sentences import summary
from backend.web.dashboard.language import Language
from tests.backend.finishing import COUNT, LABELED, Finishing


def state(finishing: Finishing) -> FinishState:
    project = finishing.store.projects.get(7)
    assert project is not None
    return finish_state(finishing.store, project)


def sentences(finishing: Finishing) -> str:
    return " ".join(summary(state(finishing), Language("en")))


def test_the_state_and_its_sentences(finishing: Finishing) -> None:
    found = state(finishing)
    assert (found["state"], found["remaining"], found["decided"]) == (None, COUNT - LABELED, None)
    sizes = {each["accuracy"]: (each["fewest"], each["labels"]) for each in found["sizes"]}
    assert sizes[0.99] == (None, None) or (sizes[0.99][0] or 0) > 100
    assert 0 < (sizes[0.9][0] or 0) <= (sizes[0.9][1] or 0) <= (sizes[0.95][1] or 0)

    finishing.request()
    sample = finishing.store.of(7).tasks.sampled()
    finishing.label(sample[:3])
    found = state(finishing)
    assert found["sample"] == {"labels": len(sample), "labeled": 3, "wrong": None, "unlabeled": 0}
    assert found["possible"] == ["cancel"]
    assert f"3 of {len(sample)} are labeled" in sentences(finishing)

    finishing.label(sample)
    finishing.step()
    found = state(finishing)
    decided = found["decided"]
    assert decided is not None
    assert found["possible"] == ["take", "write"]
    assert decided["taken"] <= found["remaining"]
    assert decided["at_most"] <= 0.05 * decided["taken"]
    project = finishing.store.projects.get(7)
    assert project is not None
    examples = doubtful(finishing.store, project)
    assert 0 < len(examples) <= 20
    assert [each["confidence"] for each in examples] == sorted(each["confidence"] for each in examples)
    assert "at least 95% of the labels that the model gives are right" in sentences(finishing)

    finishing.wants("take")
    assert state(finishing)["possible"] == ["write", "take_back"]
    assert "kept here" in sentences(finishing)
    given = [each.task_id for each in finishing.store.of(7).finishes.given()]
    finishing.label(given[: decided["at_most"] + 1], wrong=lambda task: True)
    finishing.step()
    withdrawn = sentences(finishing)
    assert "withdrawn" in withdrawn
    assert "95 % confidence" not in withdrawn, "it claims nothing any more"

    finishing.wants("take_back")
    assert "taken back" in sentences(finishing)
    assert "95 % confidence" not in sentences(finishing)
    assert state(finishing)["taken"] == 0


def test_why_a_project_cannot_be_finished(finishing: Finishing) -> None:
    project = finishing.store.projects.get(7)
    assert project is not None
    finishing.store.projects.set(7, options={**project.options, "manage_queue": False})
    assert "manage_queue" in sentences(finishing)
