"""A trained head that learns from new labels without training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from backend.learners.heads.linear import prior_variance
from backend.learners.heads.map_head import Fixed, set_weights
from backend.learners.heads.refit import _OF_BIASES, refit
from backend.learners.kinds import head_of
from backend.learners.kinds.base import TargetHead
from backend.targets import Kind, Target

CLASSES = ("a", "b", "c")
RNG = np.random.default_rng(0)
UNLABELED = RNG.normal(2.0, 3.0, (50, 4)).astype(np.float32)
LABELED = RNG.normal(2.0, 3.0, (6, 4)).astype(np.float32)


def trained(kind: Kind = "classification") -> TargetHead:
    head = head_of(Target("x", kind, CLASSES), 4)
    weights = np.random.default_rng(1).normal(0, 0.3, (3, 4)).astype(np.float32)
    set_weights(head, torch.from_numpy(weights), torch.tensor([0.1, -0.2, 0.3]))
    return head


def probs(head: TargetHead, vectors: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    with torch.inference_mode():
        return np.asarray(head.outputs(Fixed.of(torch.from_numpy(vectors)))["probs"])


def test_it_is_the_most_probable_head_under_a_prior_around_the_old_one() -> None:
    """Against a slow reference: the penalised likelihood, written plainly, minimised by another method."""
    head, values = trained(), ["a", "b", "c", "a", "b", "c"]
    weight, bias = head.linear.weight.detach().double().numpy(), head.linear.bias.detach().double().numpy()
    center = UNLABELED.astype(float).mean(axis=0)
    radius = np.linalg.norm(UNLABELED - center, axis=1).mean()
    centred = (LABELED - center) / radius
    mean, bias_mean = weight * radius, bias + weight @ center

    def loss(flat: np.ndarray) -> float:  # type: ignore[type-arg]
        new, new_bias = flat[:12].reshape(3, 4), flat[12:]
        total = 0.0
        for vector, value in zip(centred, values, strict=True):
            logits = new @ vector + new_bias
            total -= logits[CLASSES.index(value)] - np.log(np.exp(logits).sum())
        total += ((new - mean) ** 2).sum() / (2 * prior_variance(3))
        total += ((new_bias - bias_mean) ** 2).sum() / (2 * _OF_BIASES)
        return float(total)

    found = minimize(loss, np.append(mean, bias_mean), method="BFGS").x
    refit(head, UNLABELED, LABELED, values)
    wanted_weight = found[:12].reshape(3, 4) / radius
    np.testing.assert_allclose(head.linear.weight.detach(), wanted_weight, atol=2e-3)
    np.testing.assert_allclose(head.linear.bias.detach(), found[12:] - wanted_weight @ center, atol=1e-2)


@pytest.mark.parametrize("kind", ["classification", "multilabel"])
def test_a_contradicting_label_moves_the_prediction_there_and_hardly_elsewhere(kind: Kind) -> None:
    head = trained(kind)
    before, others = probs(head, LABELED[:1])[0], probs(head, UNLABELED)
    wrong = CLASSES[int(before.argmin())]
    refit(head, UNLABELED, LABELED[:1], [[wrong] if kind == "multilabel" else wrong])
    assert probs(head, LABELED[:1])[0][CLASSES.index(wrong)] > before.min() + 0.1
    assert np.abs(probs(head, UNLABELED) - others).mean() < 0.2


def test_labels_that_the_head_predicts_anyway_change_little() -> None:
    head = trained()
    before = probs(head, UNLABELED)
    agreed = [CLASSES[row] for row in probs(head, LABELED).argmax(axis=1)]
    refit(head, UNLABELED, LABELED, agreed)
    assert (probs(head, UNLABELED).argmax(axis=1) == before.argmax(axis=1)).mean() > 0.85
