"""A teacher behind a server: what is sent to it, and what the local model learns of its answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.doctor import warnings
from backend.errors import CancelledError, UnsupportedConfigError
from backend.learners.models.cache import BaseModels
from backend.options import ProjectOptions
from backend.overview import llm
from backend.overview.card import card
from backend.rounds.adapters import find
from backend.rounds.context import Context
from backend.rounds.events import CANCEL
from backend.rounds.examples import training_examples
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.rounds.teaching.lesson import lesson
from backend.store import Store
from backend.targets import Target
from tests.backend.played import no_bar, project_of
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import do, opened
from tests.backend.steps import play as run
from tests.conftest import CLASSES, TOPIC, labeled_sentences
from tests.language_model import MODEL, LanguageModel, language_model

TEACHER = f"openai:{MODEL}"


@pytest.fixture
def toy() -> Iterator[LanguageModel]:
    with language_model() as model:
        yield model


@pytest.fixture
def context(store: Store, toy: LanguageModel) -> Context:
    models = BaseModels(server=toy.server())
    return Context(store=store, client=None, models=models, bar=no_bar)  # type: ignore[arg-type]


def taught(store: Store, tiny: Path, labeled: int, **options: Any) -> None:
    """Project 7 of 60 texts with a teacher. No class names: what is known comes from labels or the teacher."""
    merged = {"audit_share": 0.2, "shots": 3, "teacher": TEACHER, "class_names": False, **options}
    fill(store, tiny, 60, labeled, **merged)


def right(store: Store, version: int) -> float:
    """Accuracy on all texts."""
    truth = dict(labeled_sentences(60))
    tasks = store.of(7).tasks.every()
    probs = store.files.scores(7, version).take("topic/probs", np.array([task.digest for task in tasks]))
    return float(np.mean([CLASSES[row.argmax()] == truth[task.text] for row, task in zip(probs, tasks, strict=True)]))


def record(store: Store, number: int = 1) -> dict[str, Any]:
    row = store.of(7).rounds.get(number)
    assert row is not None
    assert row.taught is not None
    return row.taught


def test_without_any_label_the_local_model_learns_from_its_teacher(
    context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path
) -> None:
    toy.knows = 5.0
    taught(store, tiny_encoder, 0)
    version = run(context, 1)
    assert right(store, version) > 0.8
    found = record(store)
    assert (found["teacher"], found["error"]) == (TEACHER, None)
    held_out = {task.text for task in store.of(7).tasks.waiting(audit=True)}
    assert held_out
    assert not [text for text in held_out if any(text in question for question in toy.questions())]
    assert found["soft"] == 60 - len(held_out)


def test_texts_are_sent_once(context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path) -> None:
    taught(store, tiny_encoder, 12, teacher_texts=10)
    run(context, 1)
    assert record(store)["soft"] == 10
    labels, correct = record(store)["compared"]["topic"]
    assert 0 < correct <= labels <= 12
    before = len(toy.asked)
    store.of(7).tasks.put_annotations([(i, {"topic": CLASSES[(i - 1) % 3]}, True, False) for i in range(13, 17)])
    run(context, 2)
    assert record(store, 2)["soft"] > 10
    assert len(toy.asked) - before <= 10 + 4
    questions = toy.questions()
    assert len(questions) - len(set(questions)) <= 8, "but for the test of the prompt"


def test_calls_stay_within_the_budget(context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path) -> None:
    taught(store, tiny_encoder, 12, llm_budget=30)
    run(context, 1)
    assert len(toy.asked) == store.of(7).llm_usage.calls() <= 30
    assert 0 < record(store)["soft"] < 30
    assert record(store)["error"] == "llm_budget (30) is used up; raise it in Extra params"
    assert run(context, 2) == 2, "once more, as answers are lacking"
    assert record(store, 2)["soft"] == record(store)["soft"]
    assert len(toy.asked) <= 30


def test_a_repeated_try_sends_no_other_texts(
    context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path
) -> None:
    taught(store, tiny_encoder, 12, teacher_texts=10)
    assert do(context, "decide", actions=["START_TRAINING"]) == 1
    first = lesson(opened(context, number=1), training_examples(opened(context))[0])
    asked = len(toy.asked)
    again = lesson(opened(context, number=1), training_examples(opened(context))[0])
    assert again.texts == first.texts
    assert len(toy.asked) == asked


def test_answers_to_an_earlier_prompt_are_used_while_the_server_is_away(
    context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path
) -> None:
    taught(store, tiny_encoder, 6, teacher_texts=10)
    run(context, 1)
    toy.failures = [400] * 10_000
    values = [(i, {"topic": CLASSES[(i - 1) % 3]}, True, False) for i in range(7, 37)]
    store.of(7).tasks.put_annotations(values)  # so many more that the prompt gets other examples
    run(context, 2)
    assert "refused a request" in record(store, 2)["error"]
    assert record(store, 2)["soft"] > 0
    toy.failures = []
    assert run(context, 3) == 3
    assert record(store, 3)["error"] is None


def test_a_cancelled_round_ends_while_its_teacher_is_asked(
    context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught(store, tiny_encoder, 12)
    monkeypatch.setattr("backend.rounds.context._PROGRESS_EVERY", 0.0)
    assert do(context, "decide", actions=["START_TRAINING"]) == 1
    asked = opened(context, number=1)
    assert asked.round
    store.events.add(7, CANCEL)
    with pytest.raises(CancelledError):
        lesson(asked, training_examples(asked)[0])
    assert record(store)["error"] is None


def test_several_controls_have_a_soft_label_each(
    context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path
) -> None:
    """Another control, without choices, is left to people."""
    toy.knows = 5.0
    taught(store, tiny_encoder, 12)
    project = project_of(store)
    more = '<Choices name="other" toName="text"><Choice value="fruit"/><Choice value="animal"/></Choices>'
    more += '<Rating name="stars" toName="text"/></View>'
    store.projects.set(7, label_config=project.label_config.replace("</View>", more))
    assert do(context, "decide", actions=["START_TRAINING"]) == 1
    found = lesson(opened(context, number=1), training_examples(opened(context))[0])
    assert found.texts
    assert all(values.keys() == {"topic", "other"} for values in found.values)
    assert all(sum(values["other"].values()) == pytest.approx(1.0) for values in found.values)
    assert found.record["compared"]["other"] == (0, 0)


def test_a_round_goes_on_without_its_teacher(
    context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path
) -> None:
    toy.begins = "Well"
    taught(store, tiny_encoder, 24)
    version = run(context, 1)
    assert version == 1
    assert right(store, version) > 0.6
    assert record(store)["soft"] == 0
    assert "should answer with an option letter, but begins with 'Well'" in record(store)["error"]


def test_its_price_is_known_before_and_its_share_after(
    context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path
) -> None:
    taught(store, tiny_encoder, 12, teacher_texts=10)
    project = project_of(store)
    before = llm.estimate(store, project, None, {MODEL: (2.0, 4.0)})
    assert before == llm.estimate(store, project, None, {MODEL: (2.0, 4.0)}, teacher=TEACHER)
    assert before.model == TEACHER
    assert llm.spent(store, project)["teacher"] is None
    run(context, 1)
    assert before.calls - 4 <= len(toy.asked) <= before.calls
    found = llm.spent(store, project)["teacher"]
    assert found is not None
    ((control, labels, right),) = [tuple(each.values()) for each in found["compared"]]
    lines = llm.in_words(before, llm.spent(store, project))
    assert lines[-2:] == [f"teacher {TEACHER}: 10 soft labels", f"  {control}: right on {right} of {labels} labels"]
    assert "and on a language model's answers to 10 others" in card(store, project, find(context.open(7), 1))
    assert list(warnings.of_teacher(store, project)) == []
    store.of(7).rounds.set(1, taught={**record(store), "error": "it is away"})
    (warning,) = warnings.of_teacher(store, project)
    assert warning.found == f"'{TEACHER}' gave fewer answers than wanted: it is away"


def test_a_teacher_that_guesses_does_no_harm(
    context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path
) -> None:
    """It favours the first letter, whatever the text."""
    toy.knows = 0.0
    taught(store, tiny_encoder, 30, shots=0)
    assert right(store, run(context, 1)) > 0.8


def test_people_label_texts_on_which_teacher_and_model_differ(
    context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path
) -> None:
    """The teacher takes animals for fruit, and so tells neither. On tools both are right."""
    toy.knows = 5.0
    toy.confuses = {"animal": "fruit"}
    taught(store, tiny_encoder, 30, strategy="disagreement", shots=0, batch_size=5)
    run(context, 1)
    row = store.of(7).rounds.get(1)
    assert row is not None
    assert row.strategy == "disagreement"
    truth = dict(labeled_sentences(60))
    texts = {task.id: task.text for task in store.of(7).tasks.every()}
    queue = [truth[texts[item.task_id]] for item in store.of(7).rounds.queue(1) if not item.audit]
    assert queue[:5]
    assert "tool" not in queue[:5]


def test_what_cannot_be_taught_is_refused() -> None:
    options = ProjectOptions.from_extra_params({"teacher": TEACHER})
    refuse_unsupported(options, [TOPIC])
    with pytest.raises(UnsupportedConfigError, match="no control of the label config has choices that fit"):
        refuse_unsupported(options, [Target("stars", "regression")])
    with pytest.raises(UnsupportedConfigError, match="a teacher needs a base model with weights here"):
        refuse_unsupported(options.model_copy(update={"base_model": "openai:other"}), [TOPIC])
    with pytest.raises(UnsupportedConfigError, match="teacher"):
        ProjectOptions.from_extra_params({"teacher": "minilm"})
