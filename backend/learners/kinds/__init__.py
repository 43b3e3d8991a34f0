"""Target kinds: one file each, with the head, its loss, its outputs and its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.learners.kinds.base import TargetHead
from backend.learners.kinds.classification import ClassificationHead
from backend.learners.kinds.generation import GenerationHead
from backend.learners.kinds.multilabel import MultilabelHead
from backend.learners.kinds.pairwise import PairwiseHead
from backend.learners.kinds.regression import RegressionHead
from backend.learners.kinds.spans import SpansHead
from backend.targets import Kind, Target

BY_KIND: Mapping[Kind, type[TargetHead]] = {
    "classification": ClassificationHead,
    "multilabel": MultilabelHead,
    "regression": RegressionHead,
    "spans": SpansHead,
    "pairwise": PairwiseHead,
    "generation": GenerationHead,
}


def head_of(target: Target, dimensions: int, state: Mapping[str, Any] | None = None) -> TargetHead:
    """A new head for a target on D-dimensional vectors. state: as saved from an earlier head of the target."""
    return BY_KIND[target.kind](target, dimensions, state or {})


def output_names(targets: Sequence[Target]) -> list[str]:
    """Names of the output arrays of `LoraLearner` for these targets."""
    return [f"{target.name}/{array}" for target in targets for array in BY_KIND[target.kind].keeps]
