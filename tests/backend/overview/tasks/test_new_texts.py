"""New texts are labeled by the adapter in service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.learners.models.cache import BaseModels
from backend.overview.tasks.new_texts import NewTextsError, predicted
from backend.store import Store
from backend.store.sql.models import Project
from backend.web.serving import Serving
from tests.backend.finishing import Finishing
from tests.conftest import labeled_sentences


def project(store: Store) -> Project:
    found = store.projects.get(7)
    assert found is not None
    return found


def test_each_row_gets_labels_confidences_and_the_version(finishing: Finishing) -> None:
    truth = labeled_sentences(700, seed=5)
    rows: list[Any] = [{"text": text, "number": number} for number, (text, _) in enumerate(truth)]
    rows[0] = {"data": rows[0]}  # as Label Studio exports tasks
    seen: list[tuple[int, int]] = []
    serving = Serving(finishing.store, BaseModels())
    lines = predicted(serving.predict, project(finishing.store), rows, lambda done, all_: seen.append((done, all_)))
    found = [json.loads(line) for line in lines]
    assert [each.get("number") for each in found[1:]] == list(range(1, 700)), "the row's own fields stay"
    assert {each["model_version"] for each in found} == {"p7-a1"}
    assert all(0 < each["confidences"]["topic"] <= 1 for each in found)
    right = sum(each["labels"]["topic"] == name for each, (_, name) in zip(found, truth, strict=True))
    assert right > 650
    assert seen[-1] == (700, 700)


@pytest.mark.parametrize(
    ("row", "reason"), [({"words": "an apple"}, "it has: words"), ("an apple", "no fields"), ({"text": " "}, r"\$text")]
)
def test_a_row_without_a_text_is_named(finishing: Finishing, row: Any, reason: str) -> None:
    serving = Serving(finishing.store, BaseModels())
    with pytest.raises(NewTextsError, match=f"row 2 .*{reason}"):
        list(predicted(serving.predict, project(finishing.store), [{"text": "a saw"}, row], lambda *_: None))


def test_a_project_without_a_model_is_refused(finishing: Finishing) -> None:
    finishing.store.projects.set(7, adapter=0)
    serving = Serving(finishing.store, BaseModels())
    with pytest.raises(NewTextsError, match="no model yet"):
        list(predicted(serving.predict, project(finishing.store), [{"text": "a saw"}], lambda *_: None))
