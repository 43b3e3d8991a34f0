"""Score predictions against labels: a metric for each kind of target, with a 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.chrf import CHRF
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.metrics import f1_score

from backend.evaluation.bounds import ENOUGH, interval
from backend.targets import Kind, Target

Array = NDArray[np.float64]
_RESAMPLES = 1000


def measure(target: Target, truth: Sequence[Any], predicted: Sequence[Any]) -> dict[str, Any]:
    """`metric`, its `score` with interval `low` to `high`, the number of `labels`, and further metrics of the kind."""
    found = {"labels": len(truth), **_MEASURES[target.kind](truth, predicted)}
    if found["metric"] == "mae":
        given = [value for value in (*truth, *predicted) if value is not None]
        return _widened(found, target.width or float(np.ptp(given)) or 1.0)
    return found if "correct" in found else _widened(found, 1.0)


def _classification(truth: Sequence[str], predicted: Sequence[str | None]) -> dict[str, Any]:
    """Accuracy with Wilson's interval, and macro-F1 over the classes that occur."""
    correct = sum(t == p for t, p in zip(truth, predicted, strict=True))
    low, high = wilson(correct, len(truth))
    names = [str(name) for name in predicted]
    macro = f1_score(truth, names, labels=sorted(set(truth)), average="macro", zero_division=0.0)
    return {"metric": "accuracy", "score": correct / len(truth), "low": low, "high": high,
            "correct": correct, "macro_f1": float(macro)}  # fmt: skip


def _pairwise(truth: Sequence[str], predicted: Sequence[str | None]) -> dict[str, Any]:
    """Accuracy of choosing the better of two, with Wilson's interval."""
    right = _classification(truth, predicted)
    return {"metric": "pair_accuracy", **{name: right[name] for name in ("score", "low", "high", "correct")}}


def counts(truth: Sequence[Sequence[Any]], predicted: Sequence[Sequence[Any]]) -> Array:
    """True positives, false positives and false negatives of each text: (N, 3)."""
    found = []
    for t, p in zip(truth, predicted, strict=True):
        wanted, given = ({tuple(each) if isinstance(each, list) else each for each in values} for values in (t, p))
        found.append([len(wanted & given), len(given - wanted), len(wanted - given)])
    return np.array(found, dtype=np.float64)


def _micro(of_texts: Array) -> Array:
    """Micro-F1: F1 of the summed counts, (…, N, 3) → (…)."""
    right, superfluous, missing = np.moveaxis(of_texts.sum(axis=-2), -1, 0)
    both = 2 * right + superfluous + missing
    return np.asarray(np.divide(2 * right, both, out=np.ones_like(both), where=both > 0))


def _multilabel(truth: Sequence[list[str]], predicted: Sequence[list[str]]) -> dict[str, Any]:
    """Micro-F1, and macro-F1 over the labels that occur."""
    names = sorted({name for value in truth for name in value})
    by_name = [counts([[name] if name in v else [] for v in truth], [[name] if name in v else [] for v in predicted])
               for name in names]  # fmt: skip
    macro = float(np.mean([_micro(each) for each in by_name])) if names else 1.0
    return {"metric": "micro_f1", **_bootstrapped(counts(truth, predicted), _micro), "macro_f1": macro}


def _spans(truth: Sequence[list[Any]], predicted: Sequence[list[Any]]) -> dict[str, Any]:
    """F1 of exact spans with the correct class, as in seqeval and CoNLL."""
    return {"metric": "span_f1", **_bootstrapped(counts(truth, predicted), _micro)}


def _regression(truth: Sequence[float], predicted: Sequence[float]) -> dict[str, Any]:
    """Mean absolute error (lower is better) and Spearman's rank correlation."""
    pairs = np.array([truth, predicted], dtype=np.float64).T
    error = _bootstrapped(pairs, lambda p: np.abs(p[..., 0] - p[..., 1]).mean(axis=-1))
    ranks = _bootstrapped(pairs, spearman)
    if ranks["low"] == ranks["high"]:  # all resamples are alike
        ranks |= {"low": -1.0, "high": 1.0}
    return {"metric": "mae", **error, "spearman": ranks["score"], "spearman_low": ranks["low"],
            "spearman_high": ranks["high"]}  # fmt: skip


def spearman(pairs: Array) -> Array:
    """Rank correlation: (…, N, 2) → (…); 0 where one side is constant."""
    ranks = rankdata(pairs, axis=-2)
    centered = ranks - ranks.mean(axis=-2, keepdims=True)
    both = np.sqrt((centered**2).sum(axis=-2).prod(axis=-1))
    return np.asarray(np.divide(centered.prod(axis=-1).sum(axis=-1), both, out=np.zeros_like(both), where=both > 0))


def _generation(truth: Sequence[str], predicted: Sequence[str | None]) -> dict[str, Any]:
    """Mean chrF of the answers (Popović, WMT 2015) by sacrebleu, scaled to 0 to 1."""
    return {"metric": "chrf", **_bootstrapped(chrf(truth, predicted), lambda scores: scores.mean(axis=-1))}


def chrf(truth: Sequence[str], predicted: Sequence[str | None]) -> Array:
    """ChrF of each answer, 0 to 1: (N,)."""
    metric = CHRF()
    return np.array([metric.sentence_score(p or "", [t]).score / 100 for t, p in zip(truth, predicted, strict=True)])


def _bootstrapped(rows: Array, statistic: Callable[[Array], Array]) -> dict[str, float]:
    """A statistic with its percentile bootstrap interval over the texts (Efron 1979). Deterministic."""
    chosen = np.random.default_rng(0).integers(0, len(rows), (_RESAMPLES, len(rows)))
    low, high = np.quantile(statistic(rows[chosen]), [0.025, 0.975])
    return {"score": float(statistic(rows)), "low": float(low), "high": float(high)}


def _widened(found: dict[str, Any], worst: float) -> dict[str, Any]:
    """With the interval of as many right-or-wrong labels, if there are few labels, or resamples are all alike.

    worst: the largest possible distance from a perfect prediction, for a mean of distances; 1 for a score.
    """
    if found["labels"] >= ENOUGH and found["low"] < found["high"]:
        return found
    share = min(1.0, found["score"] / worst)
    low, high = (worst * end for end in interval(share, found["labels"]))
    return found | {"low": min(low, found["low"]), "high": max(high, found["high"])}


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion (Wilson, JASA 1927): valid also for few labels and near 0 and 1."""
    return score_interval(correct / total, total, confidence)


def score_interval(share: float, total: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval around a share. total: number of labels, or effective number of weighted labels."""
    z = float(ndtri(0.5 + confidence / 2))
    center = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, float(center - half)), min(1.0, float(center + half))


def best_threshold(probs: NDArray[Any], present: NDArray[np.bool_]) -> float:
    """The threshold of the highest micro-F1 on held-out texts: one for all labels, since few labels are held out.

    probs, present: (N, C). Midway between two occurring probabilities; of equally good ones the nearest to 0.5.
    """
    flat, truth = probs.ravel(), present.ravel()
    order = np.argsort(-flat, kind="stable")
    right = np.cumsum(truth[order])
    f1 = 2 * right / (np.arange(1, len(flat) + 1) + max(1, truth.sum()))
    ranked = flat[order].astype(np.float64)
    between = (ranked + np.append(ranked[1:], 0.0)) / 2
    f1[np.append(ranked[1:] == ranked[:-1], False)] = -1.0  # no threshold separates equal probabilities
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(between[best[np.argmin(np.abs(between[best] - 0.5))]].clip(0.01, 0.99))


_MEASURES: dict[Kind, Callable[[Any, Any], dict[str, Any]]] = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
    "spans": _spans,
    "pairwise": _pairwise,
    "generation": _generation,
}
