"""A map of the pool: where texts lie in two dimensions, similar ones beside each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from backend.errors import BackendError
from backend.rounds.context import Context, options_of
from backend.rounds.vectors import embedded
from backend.store.texts import held_out_order

MOST = 20_000  # texts on a map
_LABELED = 5000  # of them, those with the highest numbers, are there however large the pool is


def draw(context: Context, project_id: int, queue: int | None, *, halvings: int = 0) -> None:
    """Write the map: `tasks` (N,) and `places` (N, 2), by the base model's embeddings. Unchanged, it is not drawn anew.

    The texts are a random part of all, always the same, beside the labeled ones and the queue.
    halvings: how often to halve the batches that are embedded at once.
    """
    tasks, files = context.store.tasks, context.store.files
    every = tasks.listed(project_id).ids.tolist()
    if not every:
        return
    labeled = sorted(each.id for audit in (False, True) for each in tasks.labeled(project_id, audit=audit))[-_LABELED:]
    queued = context.store.rounds.queue(project_id, queue) if queue is not None else []
    kept = {*labeled, *(place.task_id for place in queued)}
    order = held_out_order(every, project_id)
    first = [task_id for task_id in order if task_id in kept][:MOST]
    shown = sorted([*first, *(task_id for task_id in order if task_id not in kept)][:MOST])
    chosen = list(tasks.texts(project_id, shown).values())
    options = options_of(context.project(project_id))
    how = f"{options.map}\n{options.base_model}\n{options.max_length}"
    of: dict[str, NDArray[Any]] = {
        "tasks": np.array([task.id for task in chosen], np.int64),
        "digests": np.array([task.digest for task in chosen], np.int64),
        "method": np.frombuffer(how.encode(), np.uint8),
    }
    known = files.map(project_id)
    if known is not None and all(name in known and np.array_equal(known[name], value) for name, value in of.items()):
        return
    (vectors,) = embedded(context, project_id, chosen, halvings=halvings)
    files.put_map(project_id, {**of, "places": _PROJECTIONS[options.map](vectors)})


def _pca(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """The two directions in which texts differ most."""
    count = min(2, *vectors.shape)
    found = PCA(n_components=count, svd_solver="covariance_eigh" if count == 2 else "full").fit_transform(vectors)
    return np.ascontiguousarray(np.pad(found, [(0, 0), (0, 2 - count)]), np.float32)


def _umap(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Neighbours beside each other (McInnes et al., UMAP, 2018)."""
    try:
        from umap import UMAP
    except ImportError:
        raise BackendError(
            "map: umap needs a package more; pip install 'label-studio-active-learning[umap]', or leave the option out"
        ) from None
    if len(vectors) < 10:  # too few to have neighbours
        return _pca(vectors)
    found = UMAP(n_components=2, metric="cosine", random_state=0, n_jobs=1).fit_transform(vectors)
    return np.ascontiguousarray(found, np.float32)


_PROJECTIONS = {"pca": _pca, "umap": _umap}
