"""Preselection from a large pool: probe and neighbors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.learners.heads.probe import fit
from backend.pool import shortlist
from backend.targets import Target


def _plainly(pool: Any, labeled: Any, size: int, k: int) -> list[int]:
    """Reference: the nearest of each labeled text by similarity, then the second nearest of each, and so on."""
    unit = [row / np.linalg.norm(row) for row in pool]
    order = []
    for query in labeled:
        cosines = [float(row @ query / np.linalg.norm(query)) for row in unit]
        order.append([(-cosines[place], place) for place in sorted(range(len(pool)), key=lambda p: -cosines[p])][:k])
    chosen: list[int] = []
    for rank in range(min(k, len(pool))):
        for _, place in sorted(each[rank] for each in order):
            if place not in chosen:
                chosen.append(place)
    return sorted(chosen[:size])


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 40), m=st.integers(1, 6), k=st.integers(1, 12), block=st.integers(1, 15), size=st.integers(1, 50),
    seed=st.integers(0, 10_000),
)  # fmt: skip
def test_neighbors_are_those_of_the_plainest_search(n: int, m: int, k: int, block: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool, labeled = rng.normal(size=(n, 5)), rng.normal(size=(m, 5))
    blocks = (pool[start : start + block] for start in range(0, n, block))
    assert shortlist.neighbors(blocks, labeled, size, k=k).tolist() == _plainly(pool, labeled, size, k)


def test_neighbors_of_many_labels_are_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pool, labeled = rng.normal(size=(50, 5)), rng.normal(size=(9, 5))
    whole = shortlist.neighbors([pool], labeled, 20, k=6)
    monkeypatch.setattr(shortlist, "_AT_ONCE", 2)
    assert shortlist.neighbors([pool], labeled, 20, k=6).tolist() == whole.tolist()


def test_a_probe_doubts_what_lies_between_the_classes() -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(40) % 2
    three = Target("topic", "classification", ("a", "b", "c"))
    vectors = np.stack([np.where(targets == 0, 1.0, 0.0), np.where(targets == 0, 0.0, 1.0)], axis=1)
    known = fit(three, vectors + rng.normal(size=(40, 2)) * 0.05, [three.classes[number] for number in targets])
    angles = np.linspace(0, np.pi / 2, 9)
    pool = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    (scores,) = shortlist.doubts([pool[:4], pool[4:]], [known])
    assert scores.argmax() == 4, "halfway between the classes"
    assert (np.diff(scores[:5]) > 0).all()
    assert (np.diff(scores[4:]) < 0).all()
    assert shortlist.most(scores, 3).tolist() == [3, 4, 5]
    assert shortlist.most(np.zeros(4), 2).tolist() == [0, 1]


def test_several_labels_are_doubted_together() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 4))
    tags = Target("tags", "multilabel", ("a", "b"))
    known = fit(tags, vectors, [[name for name, there in zip("ab", row, strict=False) if there > 0] for row in vectors])
    clear, half, none = [[3.0, 3, 0, 0]], [[3.0, 0, 0, 0]], [[0.0, 0, 3, 0]]
    scores = known.doubt(np.array([*clear, *half, *none]))
    assert scores[0] < scores[1] < scores[2]
