"""Committees trained beside an adapter: each kind against its members, one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from backend.errors import ModelError
from backend.learners.base import CommitteeOptions, TrainingOptions
from backend.learners.heads import linear
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.training.train import train
from tests.conftest import CLASSES, TOPIC, class_probs, labeled_sentences, topics

DATA = labeled_sentences(24)
TEXTS, LABELS = [t for t, _ in DATA], [c for _, c in DATA]
UNSEEN = [text for text, _ in labeled_sentences(40, seed=1)]
KINDS = [
    CommitteeOptions(kind="bootstrap", members=4),
    CommitteeOptions(kind="lora", members=3),
    CommitteeOptions(kind="dropout", members=3),
    CommitteeOptions(kind="views", members=2),
]


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def base(request: pytest.FixtureRequest, tiny_encoder: Path, tiny_decoder: Path) -> BaseModel:
    return BaseModel(str(tiny_encoder if request.param == "encoder" else tiny_decoder), device="cpu")


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.kind)
def classifier(
    request: pytest.FixtureRequest, base: BaseModel, tmp_path_factory: pytest.TempPathFactory
) -> LoraLearner:
    return LoraLearner.load(base, "p1-a1", trained(base, request.param, tmp_path_factory.mktemp("adapter")))


def trained(base: BaseModel, committee: CommitteeOptions | None, folder: Path) -> Path:
    options = TrainingOptions(
        epochs=3, min_steps=15, learning_rate=5e-3, max_length=32, lora_dropout=0.1, committee=committee
    )
    train(base, TEXTS, topics(LABELS), [TOPIC], options, folder)
    return folder


def test_every_member_gives_probabilities_and_they_differ(classifier: LoraLearner) -> None:
    found = classifier.score(UNSEEN, ["probs", "committee_probs"])
    members = found["committee_probs"]
    assert classifier.committee is not None
    assert members.shape == (40, classifier.committee.members, 3)
    np.testing.assert_allclose(members.sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_allclose(found["topic/probs"], class_probs(classifier, UNSEEN), atol=1e-5)
    for first in range(members.shape[1]):
        for second in range(first):
            assert not np.allclose(members[:, first], members[:, second], atol=1e-3)


def test_scoring_again_gives_the_same_and_leaves_the_model_as_it_was(classifier: LoraLearner) -> None:
    before, adapters = class_probs(classifier, UNSEEN), _adapters(classifier.base)
    first, second = (classifier.score(UNSEEN, ["committee_probs"])["committee_probs"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(class_probs(classifier, UNSEEN), before)
    assert _adapters(classifier.base) == adapters
    assert not any(module.training for module in classifier.base.adapters.model.modules())


def test_gradients_and_a_committee_in_one_pass(classifier: LoraLearner) -> None:
    apart = {name: classifier.score(UNSEEN, [name])[name] for name in ("gradient_lengths", "committee_probs")}
    together = classifier.score(UNSEEN, ["gradient_lengths", "committee_probs"])
    for name, values in apart.items():
        np.testing.assert_allclose(together[name], values, rtol=1e-4, atol=1e-5)


def test_an_adapters_members_are_adapters_of_their_own(base: BaseModel, tmp_path: Path) -> None:
    folder = trained(base, CommitteeOptions(kind="lora", members=4), tmp_path)
    classifier = LoraLearner.load(base, "p1-a1", folder)
    members = classifier.score(UNSEEN, ["committee_probs"])["committee_probs"]
    np.testing.assert_allclose(members[:, 0], class_probs(classifier, UNSEEN), atol=1e-5)
    for number in (1, 2, 3):
        alone = LoraLearner.load(base, "alone", folder / f"member-{number}")
        np.testing.assert_allclose(members[:, number], class_probs(alone, UNSEEN), atol=1e-5)
        alone.unload()
    ranks = [(folder / f"member-{n}" / "adapter_config.json").read_text() for n in (1, 2, 3)]
    assert len(set(ranks)) == 3


def test_the_frozen_view_learns_from_what_it_is_lent(base: BaseModel, tmp_path: Path) -> None:
    options = TrainingOptions(min_steps=2, max_steps=2, max_length=32, committee=KINDS[3])
    shifted = [CLASSES[(CLASSES.index(label) + 1) % 3] for label in LABELS]
    train(base, TEXTS, topics(LABELS), [TOPIC], options, tmp_path, frozen_view=(TEXTS, topics(shifted)))
    members = LoraLearner.load(base, "x", tmp_path).score(TEXTS, ["committee_probs"])["committee_probs"]
    expected = LogisticRegression(C=2 * 3**0.5, max_iter=300).fit(_unit(base.embed(TEXTS, max_length=32)), shifted)
    found = [CLASSES[row] for row in members[:, 0].argmax(axis=1)]
    assert found == expected.predict(_unit(base.embed(TEXTS, max_length=32))).tolist()
    assert np.mean([f == s for f, s in zip(found, shifted, strict=True)]) > 0.9


def test_dropout_without_dropout_is_refused(tiny_decoder: Path, tmp_path: Path) -> None:
    base = BaseModel(str(tiny_decoder), device="cpu")
    options = TrainingOptions(
        min_steps=2, max_steps=2, max_length=32, lora_dropout=0.0, committee=CommitteeOptions(kind="dropout", members=3)
    )
    train(base, TEXTS, topics(LABELS), [TOPIC], options, tmp_path)
    with pytest.raises(ModelError, match="needs dropout, which this base model does not have; set lora_dropout above"):
        LoraLearner.load(base, "x", tmp_path).score(UNSEEN, ["committee_probs"])


def test_without_a_committee_the_way_out_is_named(base: BaseModel, tmp_path: Path) -> None:
    classifier = LoraLearner.load(base, "x", trained(base, None, tmp_path))
    with pytest.raises(ModelError, match="trained without a committee; start a round again"):
        classifier.score(UNSEEN, ["committee_probs"])


def test_without_priors_members_equal_scikit_learns_on_the_resampled_examples() -> None:
    rng = np.random.default_rng(0)
    vectors, targets = rng.normal(size=(60, 8)) * 5, rng.integers(0, 4, 60)
    samples = linear.bootstrap(60, 3, rng)
    assert samples.sum(axis=1).tolist() == [60, 60, 60]
    found = linear.fit_committee(vectors, targets, 4, samples, rng, prior_scale=0.0)
    probs = found.probs(torch.from_numpy(vectors)).numpy()
    unit = _unit(vectors)
    for member, sample in enumerate(samples):
        rows = np.repeat(np.arange(60), sample)
        model = LogisticRegression(C=2 * 4**0.5, max_iter=2000, tol=1e-8).fit(unit[rows], targets[rows])
        np.testing.assert_allclose(probs[:, member], model.predict_proba(unit), atol=5e-3)


def test_members_are_the_best_heads_near_their_own_priors() -> None:
    rng = np.random.default_rng(0)
    vectors, targets = rng.normal(size=(12, 3)), np.arange(12) % 3
    samples = linear.bootstrap(12, 2, rng)
    found = linear.fit_committee(vectors, targets, 3, samples, np.random.default_rng(1))
    variance = 2 * 3**0.5
    priors = 0.5 * variance**0.5 * np.random.default_rng(1).standard_normal((2, 3, 3), dtype=np.float32)
    unit = _unit(vectors)
    for member in range(2):

        def loss(flat: np.ndarray, member: int = member) -> float:
            weights, biases = flat[:9].reshape(3, 3), flat[9:]
            total = ((weights - priors[member]) ** 2).sum() / (2 * variance)
            for row, target in enumerate(targets):
                logits = weights @ unit[row] + biases
                total += samples[member, row] * (np.log(np.exp(logits).sum()) - logits[target])
            return float(total)

        best = minimize(loss, np.zeros(12)).x[:9].reshape(3, 3)
        np.testing.assert_allclose(found.weights[member].numpy(), best, atol=0.01)


@pytest.mark.parametrize("present", [[2], [0, 2], [0, 1, 3]])
def test_classes_without_an_example_get_next_to_no_probability(present: list[int]) -> None:
    rng = np.random.default_rng(0)
    targets = np.array(present * 10)
    vectors = rng.normal(size=(len(targets), 5)) + 4 * np.eye(5)[targets]
    absent = [c for c in range(4) if c not in present]
    everyone = np.ones((2, len(targets)), dtype=np.int64)
    for fitted in (linear.fit(vectors, targets, 4), linear.fit_committee(vectors, targets, 4, everyone, rng)):
        probs = fitted.probs(torch.from_numpy(vectors)).numpy()
        assert (probs.argmax(axis=2) == targets[:, None]).all()
        assert probs[:, :, absent].max() < 1e-6


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _adapters(base: BaseModel) -> set[str]:
    return set(base.adapters.model.peft_config)
