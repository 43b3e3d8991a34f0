"""How many labels are wrong, and which: counted where it is known."""

from __future__ import annotations

import numpy as np
import pytest

from backend.evaluation.label_noise import LabelNoise, _noise, label_noise


def nearest_mean(known: np.ndarray, labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """A learner of three classes that can be counted out: by the distance to each class's mean."""
    means = np.stack([known[labels == c].mean(axis=0) if (labels == c).any() else np.full(2, 1e3) for c in range(3)])
    near = np.exp(-np.linalg.norm(others[:, None] - means, axis=2))
    return np.asarray(near / near.sum(axis=1, keepdims=True))


def three_groups(wrong: list[int], classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % classes
    vectors = np.array([[0, 0], [6, 0], [0, 6]], np.float32)[labels] + rng.normal(size=(300, 2)).astype(np.float32)
    labels[wrong] = (labels[wrong] + 1) % classes
    return vectors, labels


def test_labels_that_were_turned_are_found_with_what_they_were() -> None:
    wrong = list(range(4, 300, 30))
    vectors, labels = three_groups(wrong)
    found = label_noise(vectors, labels, nearest_mean)
    assert found is not None
    assert {each.row for each in found.suspects} <= set(wrong)
    assert len(found.suspects) >= 8
    assert all(each.instead == each.row % 3 for each in found.suspects)
    assert [each.quality for each in found.suspects] == sorted(each.quality for each in found.suspects)
    assert found.low * 300 < 10 < found.high * 300
    assert found.share * 300 == pytest.approx(10, abs=2)


def test_classes_without_labels_do_not_matter() -> None:
    vectors, labels = three_groups([], classes=2)
    found = label_noise(vectors, labels, nearest_mean)
    assert found is not None
    assert (found.labels, found.suspects) == (300, [])


def test_few_labels_or_one_class_tell_nothing() -> None:
    vectors, labels = three_groups([])
    assert label_noise(vectors[:19], labels[:19], nearest_mean) is None
    assert label_noise(vectors, np.zeros(300, np.int64), nearest_mean) is None


def test_labels_of_classes_with_few_of_them_are_not_accused() -> None:
    """The model has not learned such a class: it would be wrong each time."""
    vectors, labels = three_groups([])
    kept = np.r_[np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:4]]
    found = label_noise(vectors[kept], labels[kept], nearest_mean)
    assert found is not None
    assert found.labels == 200
    assert found.suspects == []


def test_right_labels_are_left_in_peace() -> None:
    vectors, labels = three_groups([])
    found = label_noise(vectors, labels, nearest_mean)
    assert found is not None
    assert (found.low, found.suspects) == (0.0, [])
    assert found.high < 0.05


def simulated(seed: int, share: float, temperature: float) -> tuple[LabelNoise, np.ndarray]:
    """A model that errs as often as its confidences say at a temperature of 1; which labels were turned."""
    rng, labels, classes = np.random.default_rng(seed), 200, 5
    logits = rng.normal(scale=2.0, size=(labels, classes))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(classes, p=row) for row in probs])
    turned = rng.random(labels) < share
    given = np.where(turned, (truth + rng.integers(1, classes, labels)) % classes, truth)
    told = np.exp(logits * temperature)
    return _noise(told / told.sum(axis=1, keepdims=True), given), turned


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0], ids=["timid", "honest", "bold"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.1])
def test_the_number_of_wrong_labels_is_in_its_interval(share: float, temperature: float) -> None:
    """However the model's confidences are scaled: of 40 projects."""
    held, accused, shown, right = 0, 0, 0, 0
    for seed in range(40):
        found, turned = simulated(seed, share, temperature)
        held += found.low <= share <= found.high
        accused += bool(found.suspects)
        shown += len(found.suspects)
        right += int(turned[[each.row for each in found.suspects]].sum())
    assert held >= 35
    if share == 0.0:
        assert accused <= 4
    else:
        assert right >= 0.5 * shown
