"""Probabilities become predictions that an annotator can accept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.labelstudio.annotations import values_of
from backend.labelstudio.predictions import adapter_version, parse_version, prediction, queue_version
from backend.targets import Target
from tests.backend.labelstudio.test_annotations import SPEC


def said(classes: tuple[str, ...], probs: list[float]) -> tuple[list[dict[str, Any]], float | None]:
    learned = [Target("topic", "classification", classes)]
    return prediction(SPEC, learned, {"topic/probs": np.array([probs])}, 0, "a text")


def test_the_likeliest_class_with_its_confidence() -> None:
    result, confidence = said(("a", "b", "c"), [0.2, 0.5, 0.3])
    assert confidence == pytest.approx(0.5)
    assert values_of({"result": result}, SPEC) == {"topic": "b"}
    assert result[0]["score"] == confidence


def test_removed_classes_are_left_out_and_the_rest_normalised() -> None:
    result, confidence = said(("gone", "a", "b"), [0.6, 0.3, 0.1])
    assert values_of({"result": result}, SPEC) == {"topic": "a"}
    assert confidence == pytest.approx(0.75)
    assert said(("gone",), [1.0]) == ([], None)


def test_the_two_kinds_of_version_never_meet() -> None:
    assert adapter_version(7, 12) == "p7-a12"
    assert queue_version(7, 12, 31) == "p7-a12-q31"
    assert parse_version("p7-a12", 7) == (12, 0)
    assert parse_version("p7-a12-q31", 7) == (12, 31)
    for theirs in ("p77-a12", "p7-a12-q31-x", "xp7-a1", "their model", ""):
        assert parse_version(theirs, 7) is None


def test_targets_of_another_kind_or_not_learned_yet_say_nothing() -> None:
    other = [Target("topic", "multilabel", ("a", "b"))]
    assert prediction(SPEC, other, {"topic/probs": np.array([[0.9, 0.9]])}, 0, "x") == ([], None)
    assert prediction(SPEC, [], {}, 0, "x") == ([], None)
