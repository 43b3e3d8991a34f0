"""Is the target reached, surely? A lower end that stays right although one looks again and again.

Every look may be wrong, and looking often enough finds luck. So the risk of being wrong at all is spent over the looks
(alpha spending: Lan & DeMets, Biometrika 1983), each look an exact one where labels are right or wrong (Clopper &
Pearson, Biometrika 1934). The levels of all looks sum up to that risk at most, so that it holds whatever the models
have in common (Boole's inequality), also where a model stays just below its target for ever. It is taken for granted
that what is held out has no part in choosing or training the models.
"""

from __future__ import annotations

import math

from scipy.special import betaincinv, ndtri

RISK = 0.05  # of stopping before the target is reached, over all looks
FIRST = 20  # held-out labels, below which no look is worth its share
_GROWTH = 1.25  # labels between looks: each costs a share
_MOST = 1000  # held-out labels that hardly anybody exceeds: the risk is spent evenly up to 9 tenths of them
_TAIL = 0.1  # kept for those beyond
_Z = 1.96


def due(labels: int, last: int) -> bool:
    """Whether so many held-out labels are worth a look. last: how many there were at the last look, 0 before any."""
    return labels >= max(FIRST, math.ceil(_GROWTH * last))


def level(labels: int, last: int, risk: float = RISK) -> float:
    """The risk that a look may take: what is due by now, less what earlier looks could have used."""
    return risk * (_due_by(labels) - _due_by(last))


def _due_by(labels: int) -> float:
    """The share of the risk for all looks at up to so many labels; from 0 to 1, rising."""
    even = labels / _MOST
    return even if even <= 1 - _TAIL else 1 - _TAIL * (1 - _TAIL) / even


def lower_end(score: float, labels: float, risk: float) -> float:
    """What a proportion exceeds but with probability `risk`, if this share of so many labels is right.

    Exact for counts. Of other scores between 0 and 1, `labels` is how many right or wrong ones tell as much (Korn &
    Graubard, Survey Methodology 1998).
    """
    right = score * labels
    return float(betaincinv(right, labels - right + 1, risk)) if right > 0 else 0.0


def equivalent(score: float, deviation: float, low: float, labels: int) -> float:
    """How many right or wrong labels tell as much as a score between 0 and 1 of so many labels, at most as many.

    deviation: the score's standard deviation; low: the lower end of its 95 % interval, by which a score of 1 is judged.
    """
    if score < 1.0:
        return min(float(labels), score * (1 - score) / deviation**2) if deviation > 0 else float(labels)
    return min(float(labels), _Z**2 * low / (1 - low)) if low < 1.0 else float(labels)  # Wilson's, turned round


def upper_end(score: float, deviation: float, risk: float) -> float:
    """What a score without an upper bound stays below but with probability `risk`, by the normal distribution."""
    return score - float(ndtri(risk)) * deviation
