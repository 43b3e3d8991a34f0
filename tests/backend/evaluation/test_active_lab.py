"""ActiveLab's scores are those of the papers' sums, written out; and what raises and lowers them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.evaluation import active_lab
from backend.evaluation.active_lab import Trust, Votes, quality, scores, scores_unlabeled, trust

PEOPLE, CLASSES = 3, 3
Labels = dict[tuple[int, int], int]  # class by text and annotator


def votes_of(labels: Labels) -> Votes:
    columns = zip(*((text, person, value) for (text, person), value in labels.items()), strict=True)
    return Votes(*(np.array(column, np.int64) for column in columns))


@st.composite
def projects(draw: st.DrawFn) -> tuple[Labels, np.ndarray]:
    """Labels of a few texts, each by at least one annotator, and a model's probabilities."""
    texts = draw(st.integers(2, 6))
    labels = {}
    for text in range(texts):
        people = draw(st.sets(st.integers(0, PEOPLE - 1), min_size=1))
        labels |= {(text, person): draw(st.integers(0, CLASSES - 1)) for person in sorted(people)}
    rows = draw(
        st.lists(st.lists(st.integers(1, 9), min_size=CLASSES, max_size=CLASSES), min_size=texts, max_size=texts)
    )
    predicted = np.array(rows, float) + np.arange(CLASSES) / 100  # no two are equal
    return labels, predicted / predicted.sum(axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(active_lab, "_ENOUGH", 1)


def slow_trust(labels: Labels, predicted: np.ndarray) -> Trust | None:
    given = {text: {who: value for (of, who), value in labels.items() if of == text} for text in range(len(predicted))}
    both = [text for text in given if len(given[text]) > 1]
    if not both:
        return None
    majority = {}
    for text, votes in given.items():
        counts = [list(votes.values()).count(each) for each in range(CLASSES)]
        majority[text] = max(range(CLASSES), key=lambda each: (counts[each], predicted[text][each]))
    everything = list(labels.values())
    most = max(range(CLASSES), key=lambda each: (everything.count(each), -each))
    by_chance = sum(majority[text] == most for text in both) / len(both)

    def weight(share: float) -> float:
        return max(1e-3, 1 - (1 - share) / max(1 - by_chance, 1e-3))

    pairs = [
        (one, given[text][one] == given[text][other])
        for text in both for one in given[text] for other in given[text] if one != other
    ]  # fmt: skip
    people = []
    for person in range(PEOPLE):
        mine = [same for who, same in pairs if who == person] or [same for _, same in pairs]
        people.append(weight(sum(mine) / len(mine)))
    votes_of_both = [value == majority[text] for text in both for value in given[text].values()]
    accuracy = sum(int(predicted[text].argmax()) == majority[text] for text in both) / len(both)
    return Trust(
        np.array(people),
        weight(accuracy) * np.sqrt(len(labels) / len(predicted)),
        sum(votes_of_both) / len(votes_of_both),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(projects())
def test_as_written_out(project: tuple[Labels, np.ndarray]) -> None:
    labels, predicted = project
    votes, expected = votes_of(labels), slow_trust(labels, predicted)
    found = trust(votes, predicted, PEOPLE)
    if expected is None:
        assert found is None
        of_given = [(2 * predicted[text][value] + 1 / CLASSES) / 3 for (text, _), value in sorted(labels.items())]
        np.testing.assert_allclose(scores(votes, predicted, None), of_given)
        np.testing.assert_allclose(scores_unlabeled(predicted, None), (predicted.max(axis=1) + 1 / CLASSES) / 2)
        return
    assert found is not None
    np.testing.assert_allclose(found.annotators, expected.annotators)
    assert (found.model, found.agreement) == (pytest.approx(expected.model), pytest.approx(expected.agreement))
    mean = expected.annotators.mean()
    for text in range(len(predicted)):
        mine = {who: value for (of, who), value in labels.items() if of == text}
        weight = expected.model + sum(expected.annotators[who] for who in mine)
        highest = max(
            expected.model * predicted[text][each]
            + sum(
                expected.annotators[who] * (found.agreement if value == each else (1 - found.agreement) / 2)
                for who, value in mine.items()
            )
            for each in range(CLASSES)
        )
        assert quality(votes, predicted, found)[text] == pytest.approx(highest / weight)
        assert scores(votes, predicted, found)[text] == pytest.approx((highest + mean / CLASSES) / (weight + mean))
    unlabeled = (expected.model * predicted.max(axis=1) + mean / CLASSES) / (expected.model + mean)
    np.testing.assert_allclose(scores_unlabeled(predicted, found), unlabeled)


def test_a_label_that_the_model_contradicts_comes_first_and_one_that_others_confirm_last() -> None:
    predicted = np.array([[0.05, 0.95], [0.6, 0.4], [0.95, 0.05], [0.95, 0.05]])
    votes = votes_of({(0, 0): 0, (1, 0): 0, (2, 0): 0, (3, 0): 0, (3, 1): 0})
    by = Trust(np.array([0.8, 0.8, 0.8]), 0.8, 0.9)
    found = scores(votes, predicted, by)
    assert found.argsort().tolist() == [0, 1, 2, 3]
    sure, unsure = scores_unlabeled(np.array([[0.99, 0.01], [0.5, 0.5]]), by)
    assert unsure < found[1] < sure, "a text of which nobody knows anything is worth more than a confirmed label"
