"""A map of the pool: texts in two dimensions, similar ones close to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from backend.errors import BackendError
from backend.rounds import reach
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embedded, known_embeddings
from backend.store.texts import Listed, held_out_order

MOST = 20_000  # texts on a map
_LABELED = 5000  # labeled texts that are always shown, those with the highest task numbers


def draw(run: ProjectRun) -> None:
    """Write the map: `tasks` (N,) and `places` (N, 2), from the base model's embeddings. Skipped for unchanged texts.

    Shows the labeled texts, the queue, and a fixed random sample of all others.
    """
    tasks, files = run.tasks, run.store.files
    listed = tasks.listed()
    if len(listed.ids) > reach.SMALL:  # of a large pool, the texts with an embedding
        there = known_embeddings(run).rows(listed.digests) >= 0
        listed = Listed(listed.ids[there], listed.digests[there])
    every = listed.ids.tolist()
    if not every:
        return
    labeled = sorted(each.id for audit in (False, True) for each in tasks.labeled(audit=audit))[-_LABELED:]
    queued = run.rounds.queue(run.queue) if run.queue is not None else []
    kept = {*labeled, *(place.task_id for place in queued)}
    order = held_out_order(every, run.id)
    first = [task_id for task_id in order if task_id in kept][:MOST]
    shown = sorted([*first, *(task_id for task_id in order if task_id not in kept)][:MOST])
    chosen = list(tasks.texts(shown).values())
    options = run.options
    how = f"{options.map}\n{options.base_model}\n{options.max_length}"
    of: dict[str, NDArray[Any]] = {
        "tasks": np.array([task.id for task in chosen], np.int64),
        "digests": np.array([task.digest for task in chosen], np.int64),
        "method": np.frombuffer(how.encode(), np.uint8),
    }
    known = files.map(run.id)
    if known is not None and all(name in known and np.array_equal(known[name], value) for name, value in of.items()):
        return
    (vectors,) = embedded(run, chosen)
    files.put_map(run.id, {**of, "places": _PROJECTIONS[options.map](vectors)})


def _pca(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """The first two principal components."""
    count = min(2, *vectors.shape)
    found = PCA(n_components=count, svd_solver="covariance_eigh" if count == 2 else "full").fit_transform(vectors)
    return np.ascontiguousarray(np.pad(found, [(0, 0), (0, 2 - count)]), np.float32)


def _umap(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Neighbors stay neighbors (McInnes et al., UMAP, 2018)."""
    try:
        from umap import UMAP
    except ImportError:
        raise BackendError(
            "map: umap requires the package umap-learn; pip install 'label-studio-active-learning[umap]', or leave the "
            "option out"
        ) from None
    if len(vectors) < 10:  # too few for a neighbor graph
        return _pca(vectors)
    found = UMAP(n_components=2, metric="cosine", random_state=0, n_jobs=1).fit_transform(vectors)
    return np.ascontiguousarray(found, np.float32)


_PROJECTIONS = {"pca": _pca, "umap": _umap}
