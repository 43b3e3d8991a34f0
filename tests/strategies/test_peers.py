"""Where scikit-activeml and small-text compute the same thing, the same numbers come out.

Not compared, because the peer departs from the paper: small-text's BADGE weighs by −p instead of p − onehot, its EGL
sums absolute values where the paper has the L2 norm, and its CAL looks for neighbours in the pool too.
"""

from __future__ import annotations

import numpy as np
import pytest
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import Badge, ContrastiveAL, CoreSet, ProbCover
from skactiveml.pool._query_by_committee import average_kl_divergence, vote_entropy
from skactiveml.pool._typi_clust import _typicality
from skactiveml.pool._uncertainty_sampling import uncertainty_scores
from sklearn.linear_model import LogisticRegression
from small_text.query_strategies.bayesian import _bald
from small_text.query_strategies.coresets import greedy_coreset

import strategies
from strategies import Pool
from strategies.badge import _distances
from strategies.typiclust import typicality

pytestmark = pytest.mark.peers

LABELED = 30


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    """Three clouds; the first LABELED rows are labeled."""
    return rng.normal(size=(230, 12)) + 2 * np.eye(12)[rng.integers(0, 3, 230)]


@pytest.fixture
def classifier(rows: np.ndarray, labels: np.ndarray) -> SklearnClassifier:
    return SklearnClassifier(LogisticRegression(), classes=[0, 1, 2]).fit(rows, labels)


@pytest.fixture
def labels(rows: np.ndarray) -> np.ndarray:
    found = rows[:, :3].argmax(axis=1).astype(float)
    found[LABELED:] = np.nan
    return found


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "method"),
    [("least_confidence", "least_confident"), ("margin", "margin_sampling"), ("entropy", "entropy")],
)
def test_uncertainty(name: str, method: str, rng: np.random.Generator) -> None:
    probs = softmax(rng.normal(size=(200, 7)) * 3)
    found = strategies.get(name).scores(Pool(size=200, probs=probs))  # type: ignore[attr-defined]
    np.testing.assert_allclose(found, uncertainty_scores(probs, method=method), atol=1e-12)


def test_committee(rng: np.random.Generator) -> None:
    members = softmax(rng.normal(size=(6, 200, 4)) * 2)
    pool = Pool(size=200, committee_probs=members)

    def ours(name: str) -> np.ndarray:
        return strategies.get(name).scores(pool)  # type: ignore[attr-defined,no-any-return]

    votes = members.argmax(axis=2).T
    np.testing.assert_allclose(ours("vote_entropy"), vote_entropy(votes, np.arange(4)), atol=1e-12)
    np.testing.assert_allclose(ours("consensus_kl"), average_kl_divergence(members.copy()), atol=1e-9)
    np.testing.assert_allclose(
        ours("bald"), _bald(members.transpose(1, 0, 2)) * np.log(2), atol=1e-6
    )  # theirs is in bits


def test_core_set(rows: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
    pool = Pool(size=200, embeddings=rows[LABELED:], labeled_embeddings=rows[:LABELED])
    found = strategies.get("core_set").select(pool, 25, rng)
    theirs = CoreSet(random_state=0).query(rows, labels, batch_size=25)
    assert found.indices.tolist() == (theirs - LABELED).tolist()
    unlabeled_first = np.concatenate([rows[LABELED:], rows[:LABELED]])
    small = greedy_coreset(
        unlabeled_first, np.arange(200), np.arange(200, 230), 25, distance_metric="euclidean", normalized=False
    )
    assert found.indices.tolist() == small.tolist()


def test_badge(rows: np.ndarray, labels: np.ndarray, classifier: SklearnClassifier) -> None:
    candidates = rows[LABELED:]
    chosen, chances = Badge(random_state=3).query(
        rows, labels, classifier, fit_clf=False, batch_size=12, return_utilities=True
    )
    chosen = np.array(chosen) - LABELED
    probs = classifier.predict_proba(candidates)
    ours = strategies.get("badge").select(Pool(size=200, probs=probs, features=candidates), 1, np.random.default_rng(0))
    assert ours.indices[0] == chosen[0]
    residuals = probs - np.eye(3)[probs.argmax(axis=1)]
    norms = (residuals**2).sum(axis=1) * (candidates**2).sum(axis=1)
    for drawn in range(1, 12):
        nearest = _distances(residuals, candidates, norms, chosen[:drawn]).min(axis=0)
        nearest = np.minimum(nearest, norms)  # theirs starts from the lengths: the origin counts as a center
        expected = np.nan_to_num(chances[drawn, LABELED:])
        np.testing.assert_allclose(nearest / nearest.sum(), expected, atol=1e-9)


def test_cal(rows: np.ndarray, labels: np.ndarray, classifier: SklearnClassifier) -> None:
    pool = Pool(
        size=200, probs=classifier.predict_proba(rows[LABELED:]), features=rows[LABELED:],
        labeled_probs=classifier.predict_proba(rows[:LABELED]), labeled_features=rows[:LABELED],
    )  # fmt: skip
    _, utilities = ContrastiveAL(nearest_neighbors_dict={"n_neighbors": 10}, random_state=0).query(
        rows, labels, classifier, fit_clf=False, return_utilities=True
    )
    found = strategies.get("cal", neighbors=10).scores(pool)  # type: ignore[attr-defined]
    np.testing.assert_allclose(found, utilities[0, LABELED:], rtol=1e-5)


def test_prob_cover(rows: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pool = Pool(size=200, embeddings=rows[LABELED:], labeled_embeddings=np.empty((0, 12)))
    found = strategies.get("prob_cover", delta=0.8).select(pool, 4, rng)
    _, gains = ProbCover(n_classes=3, deltas=[0.8], random_state=0).query(
        rows[LABELED:], np.full(200, np.nan), batch_size=4, return_utilities=True
    )  # the gains, not the rows: two that cover equally many are drawn by lot
    np.testing.assert_allclose(found.scores * 200, np.nanmax(gains, axis=1))


def test_typicality(rows: np.ndarray) -> None:
    found = typicality(rows, 20)
    np.testing.assert_allclose(found, _typicality(rows, np.arange(len(rows)), 20), rtol=1e-4)
