"""One text of each cluster: representative, diverse, and away from what is labeled."""

from __future__ import annotations

import numpy as np
import pytest

import strategies
from strategies import Pool
from strategies.typiclust import typicality


def blobs(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Well separated groups of the given sizes on the unit sphere, and each row's group."""
    rng = np.random.default_rng(seed)
    centers = np.eye(len(sizes) + 2)[: len(sizes)]
    rows = np.concatenate(
        [center + rng.normal(scale=0.02, size=(size, len(center))) for center, size in zip(centers, sizes, strict=True)]
    )
    return rows, np.repeat(np.arange(len(sizes)), sizes)


def select(embeddings: np.ndarray, n: int, labeled: np.ndarray | None = None, name: str = "typiclust") -> np.ndarray:
    labeled = np.empty((0, embeddings.shape[1])) if labeled is None else labeled
    pool = Pool(size=len(embeddings), embeddings=embeddings, labeled_embeddings=labeled)
    return strategies.get(name).select(pool, n, np.random.default_rng(0)).indices


@pytest.mark.parametrize("name", ["typiclust", "k_means"])
def test_one_from_each_group_largest_first(name: str) -> None:
    rows, group = blobs([40, 10, 25, 15])
    assert group[select(rows, 4, name=name)].tolist() == [0, 2, 3, 1]


@pytest.mark.parametrize("name", ["typiclust", "k_means"])
def test_labeled_groups_come_last(name: str) -> None:
    rows, group = blobs([40, 10, 25])
    labeled = rows[group == 0][:1]
    assert set(group[select(rows, 2, labeled, name)].tolist()) == {1, 2}


def test_k_means_takes_the_text_nearest_the_middle() -> None:
    rows, group = blobs([30, 20])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = []
    for number in (0, 1):
        own = np.flatnonzero(group == number)
        middle = sum(unit[i] for i in own) / len(own)
        expected.append(min(own, key=lambda i: float(np.linalg.norm(unit[i] - middle))))
    assert select(rows, 2, name="k_means").tolist() == expected


def test_the_most_typical_text_is_chosen() -> None:
    rows, _ = blobs([30])
    assert select(rows, 1)[0] == np.argmax(slow_typicality(rows, 20))


def slow_typicality(rows: np.ndarray, neighbors: int) -> list[float]:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = []
    for i in range(len(rows)):
        distances = sorted(float(np.linalg.norm(rows[i] - rows[j])) for j in range(len(rows)) if j != i)
        found.append(1 / (sum(distances[:neighbors]) / len(distances[:neighbors]) + 1e-5))
    return found


def test_typicality_against_a_plain_loop() -> None:
    rows = np.random.default_rng(0).normal(size=(25, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(typicality(rows, 5), slow_typicality(rows, 5), rtol=1e-9)


def test_duplicates_only_do_not_break_it() -> None:
    assert len(set(select(np.ones((8, 3)), 5).tolist())) == 5


def test_more_than_the_clusters_allow() -> None:
    rows, _ = blobs([30, 30])
    pool = Pool(size=60, embeddings=rows, labeled_embeddings=np.empty((0, rows.shape[1])))
    chosen = strategies.get("typiclust", max_clusters=4).select(pool, 30, np.random.default_rng(0))
    assert len(set(chosen.indices.tolist())) == 30
