"""What rounds write for people to look at: how far they are, why tasks were chosen, and the map."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from backend.errors import BackendError
from backend.rounds.context import Context
from backend.rounds.insights import explanations
from backend.rounds.insights import map as mapping
from backend.store import Store
from backend.targets import MARK
from tests.backend.played import project_of
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import do, opened
from tests.backend.steps import play as run


def test_progress_is_noted_with_the_round(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tiny_encoder)
    store.of(7).rounds.begin(1, reason="test")
    with context.open(7).progress("work") as progress:
        progress(1, 10)
        first = store.of(7).rounds.get(1)
        monkeypatch.setattr("backend.rounds.context._PROGRESS_EVERY", 0.0)
        progress(2, 10)
    second = store.of(7).rounds.get(1)
    assert first is not None
    assert first.progress is None, "not more than once a second"
    assert second is not None
    assert second.progress is not None
    assert (second.progress["done"], second.progress["total"]) == (2, 10)
    assert second.progress["since"] <= second.progress["at"]
    do(context, "train", 1)
    after = store.of(7).rounds.get(1)
    assert after is not None
    assert after.progress is None, "each step begins anew"


def test_why_compares_with_all_candidates(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12)
    run(context, 1)
    explanations.explain(opened(context, number=1, version=1, queue=1))
    items = store.of(7).rounds.queue(1)
    told = {item.task_id: item.why or {} for item in items if not item.audit}
    assert all(0 <= each["novelty"] <= 1 and 0 <= each["density"] <= 1 for each in told.values())
    digests = np.unique(store.of(7).tasks.listed().digests)
    found = store.files.embeddings(7, f"{tiny_encoder}-32").take("embeddings", digests)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    rows = {digest: row for row, digest in enumerate(digests.tolist())}
    candidates = store.of(7).tasks.waiting(audit=False)
    pool = unit[[rows[task.digest] for task in candidates]]
    labeled = unit[[rows[each.digest] for each in store.of(7).tasks.labeled(audit=False)]]
    distance = [-max(float(one @ other) for other in labeled) for one in pool]
    alike = [float(np.mean([one @ other for other in pool])) for one in pool]
    for task, far, like in zip(candidates, distance, alike, strict=True):
        if task.id in told:
            assert _surely_below(far, distance) <= told[task.id]["novelty"] <= _perhaps_below(far, distance)
            assert _surely_below(like, alike) <= told[task.id]["density"] <= _perhaps_below(like, alike)


ROUNDING = 1e-4  # of cosines, more than any processor's; what is written has three decimals


def _surely_below(value: float, others: list[float]) -> float:
    return float(np.mean([other < value - ROUNDING for other in others])) - 0.001


def _perhaps_below(value: float, others: list[float]) -> float:
    return float(np.mean([other < value + ROUNDING for other in others])) + 0.001


def test_equal_distances_count_as_equal_whatever_the_rounding() -> None:
    values = np.array([0.5, 0.5000001, 0.9], np.float32)
    assert explanations._above(values, values).tolist() == [0.0, 0.0, 2 / 3]


def test_values_in_words() -> None:
    assert explanations.in_words([[0, 3, "Person"], [4, 8, "Place"]], "Ann Graz") == "Ann (Person), Graz (Place)"
    assert explanations.in_words([[3, 7, "Place"]], f"Ann{MARK}Graz") == "Graz (Place)"
    assert explanations.in_words(["a", "b"], "") == "a, b"
    assert (explanations.in_words(2.0, ""), explanations.in_words(None, ""), explanations.in_words("x" * 500, "")) == (
        "2",
        None,
        "x" * 200,
    )


def test_the_map_is_drawn_anew_only_for_other_texts(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tiny_encoder, count=30)
    mapping.draw(opened(context))
    first = store.files.map(7)
    assert first is not None
    assert first["tasks"].tolist() == list(range(1, 31))
    assert np.ptp(first["places"], axis=0).min() > 0
    folder = store.files.root / "projects/7/map"
    written = list(folder.iterdir())
    mapping.draw(opened(context))
    assert list(folder.iterdir()) == written
    store.of(7).tasks.put_texts([(1, "another text")], seed=0, audit_share=0.1)
    mapping.draw(opened(context))
    assert len(written) == len(list(folder.iterdir())) == 1
    assert list(folder.iterdir()) != written, "a text was changed"
    monkeypatch.setattr(mapping, "MOST", 12)
    store.of(7).tasks.put_annotations([(task, {"topic": "fruit"}, True, False) for task in (3, 5)])
    mapping.draw(opened(context))
    second = store.files.map(7)
    assert second is not None
    assert len(second["tasks"]) == 12
    assert {3, 5} <= set(second["tasks"].tolist()), "labeled ones are there whatever the size"


def test_one_text_and_none_have_a_map_too(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=0)
    mapping.draw(opened(context))
    assert store.files.map(7) is None
    store.of(7).tasks.put_texts([(1, "an apple")], seed=0, audit_share=0.0)
    mapping.draw(opened(context))
    found = store.files.map(7)
    assert found is not None
    assert found["places"].tolist() == [[0.0, 0.0]]


def test_umap_without_its_package_is_said_and_the_round_goes_on(
    context: Context,
    store: Store,
    tiny_encoder: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    fill(store, tiny_encoder, map="umap")
    with pytest.raises(BackendError, match=r"pip install 'label-studio-active-learning\[umap\]'"):
        mapping.draw(opened(context))
    with caplog.at_level(logging.ERROR):
        run(context, 1)
    assert "could not compute the map" in caplog.text
    assert project_of(store).error is None
    assert store.of(7).rounds.all()[0].state == "done"
