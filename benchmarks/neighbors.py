"""What a vector index would gain for `shortlist_by: neighbors`, which scans all vectors instead.

    pip install usearch
    python -m benchmarks.neighbors [--most 100000]

The hundred nearest neighbours of a thousand labeled texts among 384-dimensional vectors: our full scan, and usearch's
HNSW graph, two threads each. Vectors lie around 500 centres, as those of texts lie around topics. An index is built
once and queried in each round; the full scan runs in each round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from backend.pool import shortlist
from backend.store.files.shards import ROWS

_RESULT = Path(__file__).parent / "results" / "neighbors.md"
_SIZES = (10_000, 100_000)
_LABELED, _DIMENSIONS, _CENTRES, _TIMES = 1000, 384, 500, 3

Vectors = NDArray[np.float32]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=_SIZES[-1])
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    lines = [
        "# Vector index or full scan", "",
        f"`python -m benchmarks.neighbors`: the {shortlist.NEIGHBORS} nearest of {_LABELED:,} labeled texts, "
        f"{_DIMENSIONS} dimensions, 2 threads; median of {_TIMES}. usearch's index is approximate.", "",
        "| texts | full scan, each round | index: build, once | query, each round | recall | rounds to break even |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    with threadpool_limits(2):
        for size in (size for size in _SIZES if size <= arguments.most):
            lines.append(_row(size))
            print(lines[-1], flush=True)
            _RESULT.write_text("\n".join(lines) + "\n", "utf-8")


def _row(size: int) -> str:
    from usearch.index import Index  # type: ignore[import-not-found]

    rng = np.random.default_rng(0)
    centres = rng.normal(size=(_CENTRES, _DIMENSIONS)).astype(np.float32)
    pool, labeled = _around(centres, size, rng), _around(centres, _LABELED, rng)

    def blocks() -> Iterator[Any]:
        for start in range(0, size, ROWS):
            yield pool[start : start + ROWS]

    scan_seconds, all_at = [], np.empty(0)
    for _ in range(_TIMES):
        began = time.perf_counter()
        all_at = shortlist.neighbors(blocks(), labeled, size)
        scan_seconds.append(time.perf_counter() - began)
    index = Index(ndim=_DIMENSIONS, metric="cos", dtype="f32")
    began = time.perf_counter()
    index.add(np.arange(size), pool, threads=2)
    built = time.perf_counter() - began
    query_seconds, found = [], np.empty(0)
    for _ in range(_TIMES):
        began = time.perf_counter()
        found = np.unique(index.search(labeled, shortlist.NEIGHBORS, threads=2).keys)
        query_seconds.append(time.perf_counter() - began)
    recall = len(np.intersect1d(found, all_at)) / len(all_at)
    scan, query = float(np.median(scan_seconds)), float(np.median(query_seconds))
    pays = f"{built / (scan - query):.0f}" if scan > query else "never"
    return f"| {size:,} | {scan:.2f} s | {built:.1f} s | {query:.2f} s | {recall:.0%} | {pays} |"


def _around(centres: Vectors, size: int, rng: np.random.Generator) -> Vectors:
    noise = rng.standard_normal((size, _DIMENSIONS), dtype=np.float32)
    return np.asarray(centres[rng.integers(len(centres), size=size)] + noise, np.float32)


if __name__ == "__main__":
    main()
