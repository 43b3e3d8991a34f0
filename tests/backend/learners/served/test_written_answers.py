"""Answers that a served model writes: with examples of people's, and as sure as the server says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.errors import ModelError
from backend.learners.base import TrainingOptions
from backend.learners.served import answers
from backend.learners.served.learner import ServedLearner
from backend.learners.served.model import ServedModel
from backend.learners.served.server import Written
from backend.learners.served.training import train
from backend.targets import Target
from tests.backend.learners.kinds import Data, data
from tests.backend.learners.served.memory import Memory
from tests.language_model import LanguageModel

OPTIONS = TrainingOptions(max_length=64)


def trained(
    base: ServedModel, known: Data, folder: Path, memory: Memory | None = None, shots: int = 0
) -> ServedLearner:
    folder.mkdir(exist_ok=True)
    options = replace(OPTIONS, shots=shots)
    train(base, known.texts, known.values, [known.target], options, folder, memory=memory)
    return ServedLearner.load(base, folder, memory)


def written(learner: ServedLearner, texts: list[str]) -> list[str]:
    found = learner.predict(texts)
    return ["".join(chr(code) for code in row if code) for row in found["answer/answer"].tolist()]


def test_examples_show_what_people_write(served: ServedModel, toy: LanguageModel, tmp_path: Path) -> None:
    """Without any the model begins with "well", with them as people do."""
    unseen = data("generation", 20, seed=1)
    wanted = [value["answer"] for value in unseen.values]
    cold = trained(served, Data(unseen.target, [], []), tmp_path / "cold")
    assert {each.split()[0] for each in written(cold, unseen.texts)} == {"well"}
    memory = Memory()
    warm = trained(served, data("generation", 40), tmp_path / "warm", memory, shots=4)
    assert written(warm, unseen.texts) == wanted
    assert len(toy.asked[-1]["messages"]) == 2 + 2 * 4
    asked = len(toy.asked)
    assert written(warm, unseen.texts) == wanted
    assert len(toy.asked) == asked, "nothing is asked twice"


def test_uncertain_are_texts_with_an_improbable_answer(served: ServedModel, tmp_path: Path) -> None:
    learner = trained(served, Data(Target("answer", "generation"), [], []), tmp_path)
    found = learner.score(["an apple", "this is there"], ["uncertainty", "features"])
    sure, doubtful = found["answer/uncertainty"]
    assert (sure, doubtful) == pytest.approx((0.1, 2.0))
    assert found["answer/log_prob"].tolist() == pytest.approx([-0.1, -2.0])
    assert found["features"].shape == (2, 64)


def test_without_probabilities_an_answer_is_as_sure_as_not(
    served: ServedModel, toy: LanguageModel, tmp_path: Path
) -> None:
    toy.tells = False
    learner = trained(served, Data(Target("answer", "generation"), [], []), tmp_path)
    assert math.exp(learner.predict(["an apple"])["answer/log_prob"][0]) == pytest.approx(0.5)


def test_beside_other_controls(served: ServedModel, tmp_path: Path) -> None:
    answer, topic = data("generation", 30), data("classification", 30)
    texts, values = [*answer.texts, *topic.texts], [*answer.values, *topic.values]
    train(served, texts, values, [answer.target, topic.target], OPTIONS, tmp_path)
    found = ServedLearner.load(served, tmp_path).predict(topic.texts)
    right = found["topic/probs"].argmax(axis=1) == [topic.target.classes.index(v["topic"]) for v in topic.values]
    assert right.mean() > 0.9
    assert found["answer/answer"].shape[0] == 30


@pytest.mark.parametrize("begins", ["<think> The text", "  "])
def test_a_model_that_thinks_or_is_silent_is_named(
    begins: str, served: ServedModel, toy: LanguageModel, tmp_path: Path
) -> None:
    toy.begins = begins
    with pytest.raises(ModelError, match=r"should answer with a text, but begins with .* turn reasoning off"):
        trained(served, data("generation", 10), tmp_path)


def test_refused_requests_have_no_answer(served: ServedModel, toy: LanguageModel, tmp_path: Path) -> None:
    learner = trained(served, data("generation", 10), tmp_path)
    toy.failures = [400]
    assert written(learner, ["an apple", "a saw"]).count("") == 1


@pytest.mark.parametrize("text", ["", "short", "苹果 \U0001f34e", "long " * 500, "\ud800"])
def test_every_text_is_kept_as_far_as_there_is_room(text: str) -> None:
    row = answers.encoded(Written(text, ((text, -0.25),)))
    assert row.shape == (answers.WIDTH,)
    assert row[-1] == -0.25
    assert "".join(chr(int(code)) for code in row[:-1] if code) == text.strip()[: answers.MOST]
    assert np.array_equal(answers.encoded(Written(json.loads(json.dumps(text)), ((text, -0.25),))), row)
