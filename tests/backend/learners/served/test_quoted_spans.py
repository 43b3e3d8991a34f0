"""Spans that a served model quotes: shown from the start, and corrected by labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.errors import ModelError
from backend.learners.base import TrainingOptions, UncertaintyOptions
from backend.learners.served.learner import ServedLearner
from backend.learners.served.model import ServedModel
from backend.learners.served.training import train
from tests.backend.learners.kinds import Data, data
from tests.backend.learners.served.memory import Memory
from tests.language_model import LanguageModel

OPTIONS = TrainingOptions(max_length=64)


def trained(
    base: ServedModel, known: Data, folder: Path, memory: Memory | None = None, shots: int = 0
) -> ServedLearner:
    folder.mkdir(exist_ok=True)
    train(
        base, known.texts, known.values, [known.target], replace(OPTIONS, shots=shots), folder,
        memory=memory,
    )  # fmt: skip
    return ServedLearner.load(base, folder, memory)


def spans(learner: ServedLearner, texts: list[str]) -> list[list[tuple[int, int, str]]]:
    found = learner.predict(texts)
    classes = learner.targets[0].classes
    return [
        [(start, end, classes[row]) for start, end, row in rows.tolist() if end]
        for rows in found[f"{learner.targets[0].name}/spans"]
    ]


def wanted(part: Data) -> list[list[tuple[int, int, str]]]:
    return [sorted(map(tuple, value[part.target.name])) for value in part.values]


def test_it_shows_what_the_model_quotes_and_unlearns_what_people_do_not_mark(
    served: ServedModel, toy: LanguageModel, tmp_path: Path
) -> None:
    """The model takes "old" for a fruit, not quite surely, as its probabilities say."""
    toy.thinks["old"] = ("fruit", -0.6)
    unseen = data("spans", 30, seed=1)
    cold = trained(served, Data(unseen.target, [], []), tmp_path / "cold")
    before = spans(cold, unseen.texts)
    assert any(unseen.texts[row][start:end] == "old" for row, each in enumerate(before) for start, end, _ in each)
    warm = trained(served, data("spans", 40), tmp_path / "warm")
    assert spans(warm, unseen.texts) == wanted(unseen)
    found = warm.score(unseen.texts, ["uncertainty", "features"])
    assert np.isfinite(found["things/uncertainty"]).all()
    assert found["features"].shape == (30, 64)


def test_uncertain_are_texts_with_a_doubtful_quote(served: ServedModel, toy: LanguageModel, tmp_path: Path) -> None:
    toy.thinks["old"] = ("fruit", -0.6)
    learner = trained(served, Data(data("spans", 1).target, [], []), tmp_path)
    for way in ("least_confident_span", "mean", "top_k"):
        doubtful, sure, nothing = learner.score(
            ["an old saw", "a saw", "this is there"], ["uncertainty"], uncertainty=UncertaintyOptions(spans=way)
        )["things/uncertainty"]  # type: ignore[arg-type]
        assert doubtful > sure
        assert nothing > 0, "that there is none is not sure either"


def test_examples_show_the_lines_of_the_right_answer(served: ServedModel, toy: LanguageModel, tmp_path: Path) -> None:
    known = data("spans", 40)
    trained(served, known, tmp_path, shots=6)
    shown = [message["content"] for message in toy.asked[-1]["messages"] if message["role"] == "assistant"]
    assert len(shown) == 6
    lines = {line for answer in shown for line in answer.splitlines()}
    assert lines <= {"none"} | {
        f"{letter}: {word}" for text in known.texts for word in text.split() for letter in "ABC"
    }
    assert len({answer[0] for answer in shown}) >= 3, "of all classes"


def test_answers_are_kept_and_a_server_may_tell_no_probabilities(
    served: ServedModel, toy: LanguageModel, tmp_path: Path
) -> None:
    known, memory = data("spans", 20), Memory()
    learner = trained(served, known, tmp_path / "1", memory)
    asked = len(toy.asked)
    assert spans(learner, known.texts) == wanted(known)
    assert len(toy.asked) == asked, "nothing is asked twice"
    toy.tells = False
    alone = trained(served, known, tmp_path / "2")
    assert spans(alone, known.texts) == wanted(known)


def test_beside_other_controls(served: ServedModel, tmp_path: Path) -> None:
    things, topic = data("spans", 30), data("classification", 30)
    values = [*things.values, *topic.values]
    train(served, [*things.texts, *topic.texts], values, [things.target, topic.target], OPTIONS, tmp_path)
    learner = ServedLearner.load(served, tmp_path)
    found = learner.score(topic.texts, ["features"])
    assert set(found) == {"things/spans", "things/span_probs", "topic/probs", "features"}
    right = found["topic/probs"].argmax(axis=1) == [topic.target.classes.index(v["topic"]) for v in topic.values]
    assert right.mean() > 0.9


def test_a_model_that_does_not_quote_is_named(served: ServedModel, toy: LanguageModel, tmp_path: Path) -> None:
    toy.begins = "<think> The text"
    with pytest.raises(
        ModelError, match=r"a letter, a colon and a quote, but begins with '<think> The text'. If it is"
    ):
        trained(served, data("spans", 10), tmp_path)


def test_refused_requests_quote_nothing(served: ServedModel, toy: LanguageModel, tmp_path: Path) -> None:
    learner = trained(served, data("spans", 10), tmp_path)
    toy.failures = [400]
    first, second, third = spans(learner, ["a saw", "a saw and", "a saw there"])
    assert [bool(each) for each in (first, second, third)].count(False) == 1
