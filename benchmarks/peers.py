"""The same query by several implementations, on equal arrays: ours, a minimal one if possible, and other libraries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DIMENSIONS = 384
LABELED = 100
CHOSEN = 100
_CLUSTERS = 50


def vectors(size: int, seed: int = 0, *, clustered: bool = True) -> Array:
    """(size, 384) float32: clouds around 50 centers, similar to sentence embeddings, or one cloud."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((size, DIMENSIONS), dtype=np.float32)
    if clustered:
        centers = np.random.default_rng(99).standard_normal((_CLUSTERS, DIMENSIONS), dtype=np.float32)
        rows += centers[rng.integers(0, _CLUSTERS, size)]
    return rows


def probabilities(size: int, classes: int, seed: int = 0) -> Array:
    """(size, classes) float32, from confident to uncertain rows."""
    logits = np.random.default_rng(seed).standard_normal((size, classes), dtype=np.float32) * 3
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def prepare(query: str, hand: str, size: int, clustered: bool = True) -> Callable[[], Any]:
    """The call of one implementation, after a warm-up call on little data."""
    warnings.simplefilter("ignore")
    make = _QUERIES[query][hand]
    make(300, clustered)()
    return make(size, clustered)


def hands(query: str) -> list[str]:
    """Implementations of this query, ours first."""
    return list(_QUERIES[query])


def _ours(name: str, **options: Any) -> Callable[[int, bool], Callable[[], Any]]:
    def make(size: int, clustered: bool) -> Callable[[], Any]:
        import strategies

        rows, labeled = vectors(size, clustered=clustered), vectors(LABELED, 1, clustered=clustered)
        pool = strategies.Pool(
            size=size, probs=probabilities(size, 4), labeled_probs=probabilities(LABELED, 4, 1), features=rows,
            labeled_features=labeled, embeddings=rows, labeled_embeddings=labeled,
        )  # fmt: skip
        strategy = strategies.get(name, **options)
        return lambda: strategy.select(pool, CHOSEN, np.random.default_rng(0)).indices.tolist()

    return make


def _center_floor(size: int, clustered: bool) -> Callable[[], Any]:
    rows, labeled = vectors(size, clustered=clustered), vectors(LABELED, 1, clustered=clustered)

    def ten_lines() -> list[int]:
        norms = np.einsum("nd,nd->n", rows, rows)
        to_labeled = rows @ labeled.T
        to_labeled *= -2
        to_labeled += np.einsum("nd,nd->n", labeled, labeled)
        nearest = to_labeled.min(axis=1) + norms
        chosen = []
        for _ in range(CHOSEN):
            index = int(nearest.argmax())
            chosen.append(index)
            nearest = np.minimum(nearest, norms + norms[index] - 2 * (rows @ rows[index]))
        return chosen

    return ten_lines


def _badge_floor(size: int, clustered: bool) -> Callable[[], Any]:
    rows, probs = vectors(size, clustered=clustered), probabilities(size, 4)

    def factored() -> list[int]:
        rng = np.random.default_rng(0)
        residuals = probs.copy()
        residuals[np.arange(size), probs.argmax(axis=1)] -= 1
        norms = np.einsum("nc,nc->n", residuals, residuals) * np.einsum("nd,nd->n", rows, rows)
        chosen, nearest = [int(norms.argmax())], np.full(size, np.inf, np.float32)
        while len(chosen) < CHOSEN:
            last = chosen[-1]
            products = (residuals @ residuals[last]) * (rows @ rows[last])
            nearest = np.minimum(nearest, np.maximum(norms + norms[last] - 2 * products, 0))
            nearest[chosen] = 0
            chosen.append(int(rng.choice(size, p=nearest.astype(np.float64) / nearest.sum(dtype=np.float64))))
        return chosen

    return factored


def _activeml(name: str, **options: Any) -> Callable[[int, bool], Callable[[], Any]]:
    def make(size: int, clustered: bool) -> Callable[[], Any]:
        from skactiveml import pool
        from skactiveml.base import SkactivemlClassifier

        class Given(SkactivemlClassifier):  # type: ignore[misc]
            """A classifier with precomputed probabilities, so that only the query is timed."""

            def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: N803 (scikit-learn's name)
                return self

            def predict_proba(self, X: Any) -> Array:  # noqa: N803
                return probabilities(len(X), 4, int(len(X) == LABELED)).astype(np.float64)

        rows = np.concatenate([vectors(size, clustered=clustered), vectors(LABELED, 1, clustered=clustered)])
        labels = np.full(len(rows), np.nan)
        labels[size:] = np.arange(LABELED) % 4
        arguments: dict[str, Any] = {}
        if name in ("Badge", "ContrastiveAL"):
            arguments = {"clf": Given(classes=[0, 1, 2, 3]), "fit_clf": False}
        strategy = getattr(pool, name)(random_state=0, **options)
        return lambda: [int(i) for i in strategy.query(rows, labels, batch_size=CHOSEN, **arguments)]

    return make


def _small_text_center(size: int, clustered: bool) -> Callable[[], Any]:
    from small_text.query_strategies.coresets import greedy_coreset

    rows = np.concatenate([vectors(size, clustered=clustered), vectors(LABELED, 1, clustered=clustered)])
    return lambda: [
        int(i)
        for i in greedy_coreset(
            rows, np.arange(size), np.arange(size, len(rows)), CHOSEN, distance_metric="euclidean", normalized=False
        )
    ]


def _pairwise_density(size: int, clustered: bool) -> Callable[[], Any]:
    from sklearn.metrics.pairwise import cosine_similarity

    rows = vectors(size, clustered=clustered)
    return lambda: float(cosine_similarity(rows).mean(axis=1).sum())  # modAL's information_density, with cosine


def _our_density(size: int, clustered: bool) -> Callable[[], Any]:
    from strategies.density_weighted import mean_similarity

    rows = vectors(size, clustered=clustered)
    return lambda: float(mean_similarity(rows).sum())


_QUERIES: dict[str, dict[str, Callable[[int, bool], Callable[[], Any]]]] = {
    "k-center": {
        "ours": _ours("core_set"),
        "floor: ten lines of numpy": _center_floor,
        "scikit-activeml": _activeml("CoreSet"),
        "small-text": _small_text_center,
    },
    "BADGE, C=4": {
        "ours": _ours("badge"),
        "floor: factored, one draw at a time": _badge_floor,
        "scikit-activeml": _activeml("Badge"),
    },
    "CAL": {"ours": _ours("cal"), "scikit-activeml": _activeml("ContrastiveAL")},
    "TypiClust": {"ours": _ours("typiclust"), "scikit-activeml": _activeml("TypiClust")},
    "ProbCover": {"ours": _ours("prob_cover"), "scikit-activeml": _activeml("ProbCover", n_classes=20)},
    "information density": {"ours": _our_density, "all pairs (modAL's way)": _pairwise_density},
}
