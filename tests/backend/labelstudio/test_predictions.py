"""Probabilities become predictions that an annotator can accept."""

from __future__ import annotations

import numpy as np
import pytest

from backend.labelstudio.annotations import label_of
from backend.labelstudio.label_config import TaskSpec
from backend.labelstudio.predictions import adapter_version, choice, parse_version, queue_version

SPEC = TaskSpec("topic", "text", "text", ("a", "b", "c"))


def test_the_likeliest_class_with_its_confidence() -> None:
    result, confidence = choice(SPEC, ["a", "b", "c"], np.array([0.2, 0.5, 0.3]))
    assert confidence == pytest.approx(0.5)
    assert label_of({"result": result}, SPEC) == "b"
    assert result[0]["score"] == confidence


def test_removed_classes_are_left_out_and_the_rest_normalised() -> None:
    result, confidence = choice(SPEC, ["gone", "a", "b"], np.array([0.6, 0.3, 0.1]))
    assert label_of({"result": result}, SPEC) == "a"
    assert confidence == pytest.approx(0.75)
    assert choice(SPEC, ["gone"], np.array([1.0])) == ([], 0.0)


def test_the_two_kinds_of_version_never_meet() -> None:
    assert adapter_version(7, 12) == "p7-a12"
    assert queue_version(7, 12, 31) == "p7-a12-q31"
    assert parse_version("p7-a12", 7) == (12, 0)
    assert parse_version("p7-a12-q31", 7) == (12, 31)
    for theirs in ("p77-a12", "p7-a12-q31-x", "xp7-a1", "their model", ""):
        assert parse_version(theirs, 7) is None
