"""Whether a model's suggestions save annotators work: how much of what it suggests is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from backend.evaluation.measures import chrf, counts
from backend.targets import Target

CHECKED = ("spans", "multilabel", "generation")  # in other kinds a wrong answer costs the click that choosing costs
_ENOUGH = 10  # suggested spans, labels or answers
_SAVES = 0.5  # share that is right: removing a wrong one costs about as much as adding a missing one


class Suggested(NamedTuple):
    """Of how many suggested parts (spans, labels, answers) how many were right; answers count by their chrF."""

    right: float = 0.0
    given: int = 0

    def __add__(self, other: object) -> Suggested:
        """Both together."""
        if not isinstance(other, Suggested):
            return NotImplemented
        return Suggested(self.right + other.right, self.given + other.given)

    @property
    def enough(self) -> bool:
        """Whether there are enough to decide."""
        return self.given >= _ENOUGH

    @property
    def save_work(self) -> bool:
        """Whether they save annotators work."""
        return self.enough and self.right >= _SAVES * self.given


def suggested(target: Target, truth: Sequence[Any], predicted: Sequence[Any]) -> Suggested:
    """What a model that did not know these labels suggested of them."""
    if target.kind == "generation":
        written = [(t, p) for t, p in zip(truth, predicted, strict=True) if p]
        return Suggested(float(sum(chrf([t], [p])[0] for t, p in written)), len(written))
    right, wrong, _ = counts(truth, [each or [] for each in predicted]).reshape(-1, 3).sum(axis=0)
    return Suggested(float(right), int(right + wrong))
