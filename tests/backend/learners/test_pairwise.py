"""Comparisons: by construction fair to both sides, and read with what they answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.training.train import train
from backend.targets import sides, with_sides
from tests.backend.learners.kinds import data

KNOWN = data("pairwise", 60)


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def learner(
    request: pytest.FixtureRequest, tiny_encoder: Path, tiny_decoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> LoraLearner:
    base = BaseModel(str(tiny_encoder if request.param == "encoder" else tiny_decoder), device="cpu")
    folder = tmp_path_factory.mktemp("adapter")
    train(base, KNOWN.texts, KNOWN.values, [KNOWN.target], TrainingOptions(max_steps=40, max_length=32), folder)
    return LoraLearner.load(base, "a", folder)


def test_exchanged_answers_have_exchanged_probabilities(learner: LoraLearner) -> None:
    probs = learner.predict(KNOWN.texts)["better/probs"]
    exchanged = [with_sides(context, right, left) for context, left, right in map(sides, KNOWN.texts)]
    np.testing.assert_allclose(learner.predict(exchanged)["better/probs"], probs[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)
    same = learner.predict([with_sides("which is", "the apple", "the apple")])["better/probs"]
    np.testing.assert_allclose(same, 0.5, atol=1e-5)


def test_what_is_answered_is_read(learner: LoraLearner) -> None:
    asked = [with_sides(context, "an old apple", "a new saw") for context in ("", "horse", "please please")]
    probs = learner.predict(asked)["better/probs"][:, 0]
    assert len({round(float(p), 6) for p in probs}) == 3


def test_a_pair_is_read_the_same_whatever_stands_beside_it(learner: LoraLearner) -> None:
    alone, beside = with_sides("", "an old apple", "a new saw"), with_sides("please", "the horse", "a plum")
    together = learner.predict([alone, beside])["better/probs"]
    np.testing.assert_allclose(together[:1], learner.predict([alone])["better/probs"], atol=1e-5)
    np.testing.assert_allclose(together[1:], learner.predict([beside])["better/probs"], atol=1e-5)


def test_the_margin_is_linear_in_the_features_and_the_uncertainty_falls_with_it(learner: LoraLearner) -> None:
    found = learner.score(KNOWN.texts, ["features", "uncertainty"])
    probs = found["better/probs"].astype(np.float64)
    weight = learner.heads[0].linear.weight.detach().numpy()[0]
    np.testing.assert_allclose(found["features"] @ weight, np.log(probs[:, 0] / probs[:, 1]), atol=1e-3)
    np.testing.assert_allclose(found["better/uncertainty"], 1 - abs(probs[:, 0] - probs[:, 1]), atol=1e-5)


def test_a_text_that_contains_the_record_separator_stays_one_part() -> None:
    assert sides(with_sides("a\n\x1e\nb", "\x1e", "")) == ("a\n \nb", " ", "")
    assert sides("no sides") == ("no sides", "", "")
