"""Confidence bounds of a score that stay valid under repetition: its interval, and the stopping rule.

Interval: a model is measured again when held-out labels were added. All intervals of one model share the risk, so that
together they contain the truth with 95 % probability. The first, mostly the only one, gets most of the risk.

Stopping rule: each check can be wrong, and with enough checks one passes by chance. So the total risk of stopping too
early is spent over the checks (alpha spending: Lan & DeMets, Biometrika 1983); for correct-or-wrong labels each check
is exact (Clopper & Pearson, Biometrika 1934). The levels of all checks sum to at most the total risk, so that it holds
under any dependence between the models (Boole's inequality), also where a model stays just below its target for ever.
Assumption: held-out labels take no part in choosing or training the models.
"""

from __future__ import annotations

import math

from scipy.special import betaincinv, ndtri

RISK = 0.05  # probability of stopping before the target is reached, over all checks
ENOUGH = 20  # held-out labels from which on a score, a temperature or a weight means something
FIRST = ENOUGH  # held-out labels at the first check, at least
_GROWTH = 1.25  # factor of held-out labels between checks, since each check spends risk
_MOST = 1000  # held-out labels that few projects exceed: the risk is spent evenly up to 90 % of them
_TOO_MANY = 100_000  # held-out labels
_TAIL = 0.1  # fraction of the risk for the checks after that
_Z = 1.96  # normal quantile of a 95 % interval
_RISK_OF_INTERVAL = 0.05
_FIRST_SHARE = 0.7  # of that risk, for the first measurement of a model
_NEXT = 1 - _FIRST_SHARE  # factor of each further one; all sum to 1


def due(labels: int, last: int) -> bool:
    """Whether a check is due at so many held-out labels. last: their number at the last check, 0 before the first."""
    return labels >= max(FIRST, math.ceil(_GROWTH * last))


def level(labels: int, last: int, risk: float = RISK) -> float:
    """Risk allotted to a check: that for all checks up to now, less that for all checks up to the last one."""
    return risk * (_due_by(labels) - _due_by(last))


def _due_by(labels: int) -> float:
    """Fraction of the risk for all checks at up to so many labels: from 0 to 1, increasing."""
    even = labels / _MOST
    return even if even <= 1 - _TAIL else 1 - _TAIL * (1 - _TAIL) / even


def lower_end(score: float, labels: float, risk: float) -> float:
    """One-sided lower confidence bound of a proportion at level 1 − risk. score: share of `labels` that is correct.

    Exact for counts. For other scores between 0 and 1, `labels` is the effective number of correct-or-wrong labels
    (Korn & Graubard, Survey Methodology 1998).
    """
    right = score * labels
    return float(betaincinv(right, labels - right + 1, risk)) if right > 0 else 0.0


def needed(score: float, target: float, risk: float = RISK) -> int | None:
    """Held-out labels at which a check of this score would confirm the target, of right-or-wrong labels.

    None if the score is not above the target. Above 100,000 they are not counted further.
    """
    if score <= target:
        return None
    labels, last = FIRST, 0
    while labels < _TOO_MANY and lower_end(score, labels, level(labels, last, risk)) < target:
        labels, last = math.ceil(_GROWTH * labels), labels
    return labels


def interval(score: float, labels: float, measurement: int = 1, skipped: float = 0.0) -> tuple[float, float]:
    """95 % interval of a proportion. labels: as in `lower_end`.

    measurement: 1 for a new model, 2 for the same model with more labels, and so on. Exact for counts, and by Boole's
    inequality also over all of them. skipped: share of the held-out tasks that annotators skipped; they count as wrong
    in the lower end, since nobody knows.
    """
    risk = _RISK_OF_INTERVAL * _FIRST_SHARE * _NEXT ** (measurement - 1) / 2
    wrong = lower_end(1 - score, labels, risk)
    return with_skipped(score, labels, risk, skipped), 1 - wrong


def with_skipped(score: float, labels: float, risk: float, skipped: float) -> float:
    """`lower_end` if the model is wrong on every task that annotators skipped. skipped: their share."""
    return lower_end(score * (1 - skipped), labels / (1 - skipped), risk)


def equivalent(score: float, deviation: float, low: float, labels: int) -> float:
    """Effective number of correct-or-wrong labels of a score between 0 and 1 over so many labels; at most `labels`.

    deviation: the score's standard deviation; low: lower end of its 95 % interval, used for a score of 1.
    """
    if score < 1.0:
        return min(float(labels), score * (1 - score) / deviation**2) if deviation > 0 else float(labels)
    return min(float(labels), _Z**2 * low / (1 - low)) if low < 1.0 else float(labels)


def upper_end(score: float, deviation: float, risk: float) -> float:
    """One-sided upper confidence bound, at level 1 − risk, of an unbounded score, by the normal approximation."""
    return score - float(ndtri(risk)) * deviation
