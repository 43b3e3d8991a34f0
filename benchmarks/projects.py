"""Common code of benchmarks that simulate projects on real data: embeddings, and two worker processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import MultiLabelBinarizer
from threadpoolctl import threadpool_limits

from backend.learners.models.base_model import BaseModel
from backend.runtime.progress import bar
from backend.simulation.data import read
from backend.text_files import read_rows

_T = TypeVar("_T")
_KEPT = Path(__file__).parents[1] / "build" / "embeddings"


def embedded(folder: Path, names: Sequence[str], base_model: str) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Embedding and class index of every text, by data set; each is a folder with train.jsonl and test.jsonl.

    Embeddings are kept in `build` for the next benchmark: they take minutes.
    """
    found = {}
    for name in names:
        parts = [read(folder / name / f"{part}.jsonl") for part in ("train", "test")]
        texts, labels = ([each for part in parts for each in getattr(part, of)] for of in ("texts", "labels"))
        vectors = _vectors(f"{name}-{'-'.join(part.fingerprint[:12] for part in parts)}", texts, base_model)
        found[name] = vectors, np.unique(labels, return_inverse=True)[1]
    return found


def embedded_sets(folder: Path, name: str, base_model: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Embedding of every text of a data set with several labels a text, and whether it has each label: (N, L)."""
    rows = [row for part in ("train", "test") for row in read_rows(folder / name / f"{part}.jsonl")]
    texts = [row["text"] for row in rows]
    vectors = _vectors(f"{name}-{sha256(json.dumps(texts).encode()).hexdigest()[:12]}", texts, base_model)
    return vectors, np.asarray(MultiLabelBinarizer().fit_transform([row["labels"] for row in rows]), bool)


def _vectors(name: str, texts: Sequence[str], base_model: str) -> NDArray[Any]:
    file = _KEPT / f"{base_model.replace('/', '_')}-{name}.npy"
    if not file.exists():
        with bar(f"embedding {len(texts)} texts") as progress:
            vectors = BaseModel(base_model).embed(texts, max_length=64, progress=progress)
        _KEPT.mkdir(parents=True, exist_ok=True)
        np.save(file, vectors)
    return np.load(file)


def played(project: Callable[..., _T], arguments: Sequence[tuple[Any, ...]]) -> list[_T]:
    """Result of each project, in order; two run at a time, with a progress bar."""
    found = []
    with bar(f"{len(arguments)} projects") as progress, ProcessPoolExecutor(2, initializer=_alone) as workers:
        waiting = [workers.submit(project, *each) for each in arguments]
        for number, future in enumerate(waiting, 1):
            found.append(future.result())
            progress(number, len(waiting))
    return found


def _alone() -> None:
    """Use one thread: the other process uses the other core."""
    torch.set_num_threads(1)
    threadpool_limits(1)  # of scikit-learn: several would wait for each other
