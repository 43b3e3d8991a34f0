"""What a served model's answers mean is learned from labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import DamagedError, ModelError
from backend.learners.base import CommitteeOptions, GradientOptions, TrainingOptions
from backend.learners.kinds import output_names
from backend.learners.models.base_model import BaseModel
from backend.learners.served.learner import ServedLearner
from backend.learners.served.model import ServedModel
from backend.learners.served.prompts import NONE
from backend.learners.served.training import read_prompts, train
from backend.targets import Target
from tests.backend.learners.kinds import Data, data
from tests.backend.learners.served.memory import Memory
from tests.conftest import CLASSES, TOPIC, class_probs, labeled_sentences, topics
from tests.language_model import LanguageModel

OPTIONS = TrainingOptions(max_length=64)
GOOD = {"classification": 0.95, "multilabel": 0.9, "pairwise": 0.95, "regression": 0.85}
ASKED = pytest.mark.parametrize("known", list(GOOD), indirect=True)


@pytest.fixture
def known(request: pytest.FixtureRequest) -> Data:
    return data(request.param, 60)


def trained(
    base: ServedModel, known: Data, folder: Path, options: TrainingOptions = OPTIONS, **how: Any
) -> ServedLearner:
    folder.mkdir(exist_ok=True)
    train(base, known.texts, known.values, [known.target], options, folder, **how)
    return ServedLearner.load(base, folder, how.get("memory"))


def accuracy(learner: ServedLearner, unseen: Data) -> float:
    """Share of right answers; of numbers, that is of half the range which the mean error leaves."""
    name = unseen.target.name
    if unseen.target.kind == "regression":
        errors = learner.predict(unseen.texts)[f"{name}/value"] - np.array([value[name] for value in unseen.values])
        return float(1 - np.abs(errors).mean() / 2)
    probs = learner.predict(unseen.texts)[f"{name}/probs"]
    wanted = [value[name] for value in unseen.values]
    if unseen.target.kind == "multilabel":
        hot = np.array([[c in value for c in unseen.target.classes] for value in wanted])
        return float(((probs > 0.5) == hot).mean())
    return float(
        np.mean([unseen.target.classes[row] == value for row, value in zip(probs.argmax(1), wanted, strict=True)])
    )


@ASKED
def test_learns_from_labels_what_the_model_says_and_what_texts_are_like(
    served: ServedModel, known: Data, tmp_path: Path
) -> None:
    unseen = data(known.target.kind, 60, seed=1)
    assert accuracy(trained(served, known, tmp_path), unseen) >= GOOD[known.target.kind]


@ASKED
def test_knows_without_labels_of_its_own_what_the_model_knows(
    served: ServedModel, toy: LanguageModel, known: Data, tmp_path: Path
) -> None:
    toy.knows = 5.0
    few = Data(known.target, known.texts[:4], known.values[:4])
    unseen = data(known.target.kind, 60, seed=1)
    assert accuracy(trained(served, few, tmp_path), unseen) >= 0.7


@ASKED
def test_knows_without_any_label_what_the_model_knows(
    served: ServedModel, toy: LanguageModel, known: Data, tmp_path: Path
) -> None:
    toy.knows = 5.0
    learner = trained(served, Data(known.target, [], []), tmp_path)
    assert len(toy.asked) == 1
    # Of several labels its liking for the first letter, which only labels tell, makes one more.
    assert accuracy(learner, known) >= (0.7 if known.target.kind == "multilabel" else 0.9)
    assert learner.score(known.texts, ["uncertainty"])[f"{known.target.name}/uncertainty"].shape == (60,)


@ASKED
def test_arrays_as_those_of_other_learners(served: ServedModel, known: Data, tmp_path: Path) -> None:
    known = Data(known.target, known.texts[:24], known.values[:24])
    learner = trained(served, known, tmp_path)
    found = learner.score(known.texts, ["features", "uncertainty"])
    name = f"{known.target.name}/uncertainty"
    assert set(found) == {*output_names([known.target]), "features", name}
    for values in found.values():
        assert len(values) == 24
        assert np.isfinite(values).all()
    assert found[name].std() > 0
    (output,) = output_names([known.target])
    for row in (0, 7):
        np.testing.assert_allclose(learner.predict([known.texts[row]])[output][0], found[output][row], atol=1e-5)
    assert learner.predict([])[output].shape == (0, *found[output].shape[1:])
    again = trained(served, known, tmp_path / "again").predict(known.texts)[output]
    np.testing.assert_allclose(again, found[output], atol=1e-6)


def test_numbers_are_expectations_that_labels_correct(served: ServedModel, toy: LanguageModel, tmp_path: Path) -> None:
    """The model is one star too generous; members of a committee are in stars, too."""
    toy.knows = 5.0
    known, unseen = data("regression", 60), data("regression", 60, seed=1)
    generous = Data(known.target, known.texts, [{"stars": max(1.0, value["stars"] - 1)} for value in known.values])
    truth = np.array([max(1.0, value["stars"] - 1) for value in unseen.values])
    before = trained(served, Data(known.target, [], []), tmp_path / "before").predict(unseen.texts)["stars/value"]
    options = replace(OPTIONS, committee=CommitteeOptions(kind="bootstrap", members=3))
    learner = trained(served, generous, tmp_path / "after", options)
    found = learner.score(unseen.texts, ["predictions"])
    after = found["stars/value"]
    assert np.abs(after - truth).mean() < np.abs(before - truth).mean() / 2
    assert found["predictions"].shape == (60, 3)
    np.testing.assert_allclose(found["predictions"].mean(axis=1), after, atol=0.7)
    assert (found["predictions"].std(axis=1) > 1e-4).all()


def test_a_committee_and_the_heads_gradients(served: ServedModel, tmp_path: Path) -> None:
    known, unseen = data("classification", 60), data("classification", 30, seed=1)
    options = replace(OPTIONS, committee=CommitteeOptions(kind="bootstrap", members=4))
    learner = trained(served, known, tmp_path, options)
    found = learner.score(unseen.texts, ["committee_probs", "gradient_lengths"], gradient=GradientOptions())
    members = found["committee_probs"]
    assert members.shape == (30, 4, 3)
    np.testing.assert_allclose(members.sum(axis=2), 1, atol=1e-5)
    assert (members.std(axis=1) > 1e-4).any()
    truth = [CLASSES.index(value["topic"]) for value in unseen.values]
    assert (members.mean(axis=1).argmax(axis=1) == truth).mean() > 0.9
    probs, features = class_probs(learner, unseen.texts), learner.score(unseen.texts, ["features"])["features"]
    residual = probs - np.eye(3)[probs.argmax(axis=1)]
    by_hand = np.linalg.norm(residual, axis=1) * np.sqrt((features**2).sum(axis=1) + 1)
    np.testing.assert_allclose(found["gradient_lengths"], by_hand, rtol=1e-3)
    with pytest.raises(ModelError, match="without a committee"):
        trained(served, known, tmp_path / "alone").score(unseen.texts, ["committee_probs"])


def test_shown_examples_are_of_all_classes_and_teach_nothing_twice(
    served: ServedModel, toy: LanguageModel, tmp_path: Path
) -> None:
    texts, labels = zip(*labeled_sentences(40), strict=True)
    known = Data(TOPIC, list(texts), topics(labels))
    learner = trained(served, known, tmp_path, replace(OPTIONS, shots=6))
    shown = learner.prompts[0].examples
    assert sorted(answer for _, answer in shown) == sorted(CLASSES * 2)
    tried, asked = toy.questions()[:8], toy.questions()[8:]
    assert len(tried) == 8
    assert len(asked) == 34
    assert not any(text in question for text, _ in shown for question in asked)
    few = trained(served, Data(TOPIC, known.texts[:8], known.values[:8]), tmp_path / "few")
    assert sorted(answer for _, answer in few.prompts[0].examples) == sorted(
        CLASSES
    )  # of three at most one, half of them
    none = trained(served, known, tmp_path / "none", replace(OPTIONS, shots=0))
    assert none.prompts[0].examples == ()


def test_classes_that_few_or_no_labels_have_stay_as_the_model_knows_them(
    served: ServedModel, toy: LanguageModel, tmp_path: Path
) -> None:
    toy.knows = 5.0
    texts, labels = zip(*labeled_sentences(60), strict=True)
    rows = [row for row, label in enumerate(labels) if label == "fruit"]
    rows += [row for row, label in enumerate(labels) if label == "tool"][:3]
    known = Data(TOPIC, [texts[row] for row in rows], topics([labels[row] for row in rows]))
    committee = CommitteeOptions(kind="bootstrap", members=4)
    learner = trained(served, known, tmp_path, replace(OPTIONS, committee=committee))
    assert [answer for _, answer in learner.prompts[0].examples].count("tool") == 1  # the others are for the head
    unseen, truth = zip(*labeled_sentences(60, seed=1), strict=True)
    said = class_probs(learner, unseen).argmax(axis=1)
    for name in CLASSES:
        assert np.mean([CLASSES[row] == name for row, label in zip(said, truth, strict=True) if label == name]) > 0.8
    members = learner.score(unseen, ["committee_probs"])["committee_probs"].mean(axis=1).argmax(axis=1)
    assert (members == [CLASSES.index(label) for label in truth]).mean() > 0.8


def test_equal_texts_with_different_labels_are_shown_once_and_change_nothing(
    served: ServedModel, tmp_path: Path
) -> None:
    texts = ["the same"] * 6 + ["an apple", "a pear", "a saw", "a drill"]
    known = Data(TOPIC, texts, topics(["fruit", "tool"] * 3 + ["fruit", "fruit", "tool", "tool"]))
    for seed in range(4):
        options = replace(OPTIONS, seed=seed)
        first = trained(served, known, tmp_path / f"{seed}-1", options)
        assert len({text for text, _ in first.prompts[0].examples}) == len(first.prompts[0].examples)
        again = trained(served, known, tmp_path / f"{seed}-2", options, former=tmp_path / f"{seed}-1")
        assert again.prompts == first.prompts
    only = Data(TOPIC, texts[:4], topics(["fruit", "tool"] * 2))
    committee = CommitteeOptions(kind="bootstrap", members=2)
    trained(served, only, tmp_path / "only", replace(OPTIONS, committee=committee)).score(["x"], ["committee_probs"])


def test_another_server_under_the_same_name_is_tried_and_asked_anew(
    served: ServedModel, toy: LanguageModel, embedder: BaseModel, tmp_path: Path
) -> None:
    known, memory = data("classification", 20), Memory()
    first = trained(served, known, tmp_path / "1", memory=memory)
    toy.asked.clear()
    other = ServedModel(served.name, toy.server(extra={"chat_template_kwargs": {}}), lambda: embedder)
    assert other.identity != served.identity
    second = trained(other, known, tmp_path / "2", memory=memory, former=tmp_path / "1")
    assert second.prompts == first.prompts
    assert len(toy.asked) == 8 + 20 - len(first.prompts[0].examples)
    toy.begins = "<think>"
    with pytest.raises(ModelError, match="begins with '<think>'"):
        trained(served, known, tmp_path / "3", former=tmp_path / "2")


def test_of_several_labels_the_rarest_is_shown_or_none(served: ServedModel, tmp_path: Path) -> None:
    target = Target("topics", "multilabel", CLASSES)
    values = [{"topics": ["fruit", "tool"]}, {"topics": ["fruit"]}, {"topics": []}, {"topics": ["fruit"]}] * 2
    texts = [f"text {number}" for number in range(8)]
    learner = trained(served, Data(target, texts, values), tmp_path)
    answers = dict(learner.prompts[0].examples)
    assert {answers[text] for text in texts if text in answers} <= {"fruit", "tool", NONE}
    assert all(answers[text] == "tool" for text in (texts[0], texts[4]) if text in answers)
    assert all(answers[text] == NONE for text in (texts[2], texts[6]) if text in answers)


def test_what_was_answered_is_not_asked_again(served: ServedModel, toy: LanguageModel, tmp_path: Path) -> None:
    texts, labels = zip(*labeled_sentences(60), strict=True)
    memory = Memory()
    first = trained(served, Data(TOPIC, list(texts[:40]), topics(labels[:40])), tmp_path / "1", memory=memory)
    first.score(texts)
    assert len(toy.asked) == 8 + 24 + 36  # the trial, those that teach, and the others
    more = Data(TOPIC, list(texts), topics(labels))
    second = trained(served, more, tmp_path / "2", memory=memory, former=tmp_path / "1")
    assert second.prompts == first.prompts
    second.score(texts, ["uncertainty"])
    assert len(toy.asked) == 8 + 24 + 36
    forgetful = ServedLearner.load(served, tmp_path / "2")
    np.testing.assert_allclose(forgetful.predict(texts)["topic/probs"], second.predict(texts)["topic/probs"], atol=1e-6)


@pytest.mark.parametrize("why", ["corrected", "more", "fewer", "told", "class"])
def test_prompts_change_when_they_must(served: ServedModel, tmp_path: Path, why: str) -> None:
    texts, labels = zip(*labeled_sentences(40), strict=True)
    known = Data(TOPIC, list(texts), topics(labels))
    options = replace(OPTIONS, shots=6)
    first = trained(served, known, tmp_path / "1", options)
    shown = first.prompts[0].examples[0][0]
    if why == "corrected":
        row = texts.index(shown)
        known.values[row] = {"topic": CLASSES[(CLASSES.index(labels[row]) + 1) % 3]}
    options = replace(options, shots={"more": 12, "fewer": 3}.get(why, 6), instructions="x" if why == "told" else "")
    if why == "class":
        known = replace(known, target=replace(TOPIC, classes=(*CLASSES, "plant")))
    second = trained(served, known, tmp_path / "2", options, former=tmp_path / "1")
    assert second.prompts != first.prompts
    assert trained(served, known, tmp_path / "3", options, former=tmp_path / "2").prompts == second.prompts


def test_models_that_think_before_they_answer_are_told_from_others(
    served: ServedModel, toy: LanguageModel, tmp_path: Path
) -> None:
    toy.begins = "<think>"
    with pytest.raises(ModelError, match=r"begins with '<think>'.*OPENAI_EXTRA_BODY"):
        trained(served, data("classification", 20), tmp_path)
    assert len(toy.asked) == 8


def test_long_texts_are_cut_each_answer_by_itself(served: ServedModel, toy: LanguageModel, tmp_path: Path) -> None:
    learner = trained(served, data("classification", 20), tmp_path / "1", replace(OPTIONS, max_length=8))
    learner.predict(["apple " * 100])
    assert toy.questions()[-1].count("apple") == 6
    pairs = trained(served, data("pairwise", 20), tmp_path / "2", replace(OPTIONS, max_length=8))
    pairs.predict(["why " * 50 + "\n\x1e\n" + "apple " * 50 + "\n\x1e\n" + "saw " * 50])
    assert [toy.questions()[-1].count(word) for word in ("why", "apple", "saw")] == [6, 6, 6]
    learner.predict(["x" * 100_000])  # which is one piece
    assert toy.questions()[-1].count("x") <= 16 * 8 + 10
    known = data("classification", 20)
    long = Data(known.target, [f"{text} {'and ' * 1000}" for text in known.texts], known.values)
    toy.asked.clear()
    trained(served, long, tmp_path / "3", replace(OPTIONS, max_length=8))
    assert max(len(message["content"]) for body in toy.asked for message in body["messages"]) < 300


def test_several_targets_each_have_their_prompt(served: ServedModel, tmp_path: Path) -> None:
    parts = [data(kind, 15, seed=3) for kind in GOOD]
    texts = [text for part in parts for text in part.texts]
    values = [value for part in parts for value in part.values]
    train(served, texts, values, [part.target for part in parts], OPTIONS, tmp_path)
    learner = ServedLearner.load(served, tmp_path)
    assert [prompt.target for prompt in read_prompts(tmp_path)] == [part.target for part in parts]
    for kind in GOOD:
        assert accuracy(learner, data(kind, 15, seed=4)) > 0.7, kind
    assert learner.score(texts[:3], ["features"])["features"].shape == (3, 3 + 4 + 2 + 2 + 64)


@pytest.mark.parametrize("file", ["prompts.json", "heads.safetensors", "learner.json"])
def test_damaged_files_are_named_as_such(served: ServedModel, tmp_path: Path, file: str) -> None:
    trained(served, data("classification", 20), tmp_path)
    (tmp_path / file).write_text("{", "utf-8")
    with pytest.raises(DamagedError, match="cannot be loaded"):
        ServedLearner.load(served, tmp_path)
