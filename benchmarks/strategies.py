"""Time and memory of queries, compared with other libraries and by pool size.

    python -m benchmarks.strategies [--repeats 3] [--parts peers million sizes loss]

Each figure is from a separate process with two threads; implementations alternate within each repeat. Only ratios
within one run are meaningful. N × 384 float32, 100 selected with 100 labeled.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.preprocessing import normalize

from backend.options.strategy_rules import COMPARE_VIEWS
from benchmarks.measure import Cost, measure
from benchmarks.peers import CHOSEN, DIMENSIONS, LABELED, hands, prepare, probabilities, vectors

_PEERS = [
    ("k-center", 10_000), ("k-center", 50_000), ("BADGE, C=4", 50_000), ("CAL", 50_000), ("TypiClust", 50_000),
    ("ProbCover", 10_000), ("information density", 10_000),
]  # fmt: skip
_SIZES = (10_000, 30_000, 100_000)
_CLASSES, _MEMBERS = 20, 10
_SLOW = 30.0  # seconds: a slower query is neither repeated nor measured at a larger size


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--parts", nargs="+", default=["peers", "million", "sizes", "loss"])
    arguments = parser.parse_args()
    for part in arguments.parts:
        {"peers": peers, "million": million, "sizes": sizes, "loss": loss}[part](arguments.repeats)


def peers(repeats: int) -> None:
    """Compare with other implementations."""
    print(
        "\n| query | N | implementation | seconds | min to max | extra memory | seconds / ours |\n|---"
        + "|---" * 6
        + "|"
    )
    too_slow: set[tuple[str, str]] = set()
    for query, size in _PEERS:
        costs: dict[str, list[Cost]] = {}
        for _ in range(repeats):
            for hand in hands(query):
                if (query, hand) not in too_slow:
                    costs.setdefault(hand, []).append(measure(prepare, query, hand, size))
                    if costs[hand][-1].seconds > _SLOW:
                        too_slow.add((query, hand))
        ours = _middle(costs["ours"])
        for hand, found in costs.items():
            seconds = [cost.seconds for cost in found]
            extra = statistics.median(cost.extra for cost in found) / 1e6
            print(
                f"| {query} | {size:,} | {hand} | {_middle(found):.2f} | {min(seconds):.2f} to {max(seconds):.2f} | "
                f"{extra:.0f} MB | {_middle(found) / ours:.1f} |", flush=True,
            )  # fmt: skip
        if query == "k-center":
            same = len({tuple(found[0].result) for found in costs.values()}) == 1
            print(f"| | {size:,} | all select the same: {same} | | | | |", flush=True)


def million(repeats: int) -> None:
    """Time and memory of `core_set` relative to a plain numpy loop: a million texts in clusters, 50,000 without."""
    del repeats
    for size, clustered in ((50_000, False), (1_000_000, True)):
        ours, floor = (
            measure(prepare, "k-center", hand, size, clustered) for hand in ("ours", "floor: ten lines of numpy")
        )
        held = size * DIMENSIONS * 4
        print(
            f"\ncore_set, N = {size:,}, {'50 clouds' if clustered else 'one cloud'}: {ours.seconds:.2f} s, "
            f"{ours.seconds / floor.seconds:.2f} × the floor's time; "
            f"memory {1 + ours.extra / held:.2f} × the array (floor {1 + floor.extra / held:.2f} ×)", flush=True,
        )  # fmt: skip


def sizes(repeats: int) -> None:
    """Every strategy by pool size."""
    import strategies

    print(f"\nN × {DIMENSIONS}, {_CLASSES} classes, {_MEMBERS} members, select {CHOSEN}, {LABELED} labeled\n")
    heads = [f"{size:,}: s" for size in _SIZES]
    print(f"| strategy | {' | '.join(heads)} | exponent | extra memory / input |\n|---" + "|---" * 5 + "|")
    variants: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in strategies.names()]
    variants += [("density_weighted", {"density": "neighbors"}), ("hybrid", {"diversity": "k_center"})]
    for name, options in variants:
        middle, share = [], 0.0
        for size in _SIZES:
            costs = [measure(prepare_strategy, name, options, size) for _ in range(repeats)]
            middle.append(_middle(costs))
            share = max(cost.extra / cost.result for cost in costs)
        exponent = float(np.polyfit(np.log(_SIZES), np.log(middle), 1)[0])
        shown = name + (f" {options}" if options else "")
        cells = " | ".join(f"{seconds:.3f}" for seconds in middle)
        print(f"| {shown} | {cells} | {exponent:.2f} | {share:.2f} |", flush=True)


def prepare_strategy(name: str, options: dict[str, Any], size: int) -> Callable[[], Any]:
    """A call of the strategy on the arrays that it requires; the result is their size in bytes."""
    import strategies

    strategy = strategies.get(name, **options)
    members = 2 if name in COMPARE_VIEWS else _MEMBERS
    strategy.select(_pool(strategy.requires, 300, members), 10, np.random.default_rng(0))
    pool = _pool(strategy.requires, size, members)
    held = max(sum(getattr(pool, field).nbytes for field in strategy.requires), 8 * size)

    def call() -> int:
        strategy.select(pool, CHOSEN, np.random.default_rng(0))
        return held

    return call


def _pool(requires: frozenset[str], size: int, members: int) -> Any:
    import strategies

    rng = np.random.default_rng(0)
    made: dict[str, Callable[[], Any]] = {
        "probs": lambda: probabilities(size, _CLASSES),
        "labeled_probs": lambda: probabilities(LABELED, _CLASSES, 1),
        "committee_probs": lambda: np.stack([probabilities(size, _CLASSES, seed) for seed in range(members)]),
        "predictions": lambda: rng.standard_normal((members, size), dtype=np.float32),
        "features": lambda: vectors(size),
        "labeled_features": lambda: vectors(LABELED, 1),
        "embeddings": lambda: vectors(size),
        "labeled_embeddings": lambda: vectors(LABELED, 1),
        "gradient_lengths": lambda: rng.random(size, dtype=np.float32),
        "uncertainty": lambda: rng.random(size, dtype=np.float32),
    }
    return strategies.Pool(size=size, **{field: made[field]() for field in requires})


def loss(repeats: int) -> None:
    """What the quadratic strategies lose by reading only 20,000 of 40,000 candidates."""
    del repeats
    exact, part = (measure(prepare_cover, limit) for limit in (40_000, 20_000))
    print(
        f"\nprob_cover, 40,000 candidates: all of them {exact.seconds:.1f} s, covers {exact.result:.2%}; "
        f"20,000 of them {part.seconds:.1f} s, covers {part.result:.2%} of all"
    )
    exact, part = (measure(prepare_density, limit) for limit in (40_000, 20_000))
    same = len(set(exact.result) & set(part.result)) / CHOSEN
    print(
        f"density_weighted by neighbours, 40,000 candidates: all of them {exact.seconds:.1f} s, 20,000 of them "
        f"{part.seconds:.1f} s; {same:.0%} of the selection is the same"
    )


def prepare_cover(limit: int) -> Callable[[], Any]:
    """Fraction of 40,000 texts covered by a selection, within a radius of 1."""
    import strategies
    from strategies.distances import to_nearest

    rows = vectors(40_000)
    pool = strategies.Pool(size=len(rows), embeddings=rows, labeled_embeddings=np.empty((0, DIMENSIONS), np.float32))
    strategy = strategies.get("prob_cover", delta=1.0, max_candidates=limit)

    def call() -> float:
        chosen = strategy.select(pool, CHOSEN, np.random.default_rng(0)).indices
        unit = normalize(rows)
        return float((to_nearest(unit, unit[chosen]) <= 1.0).mean())

    return call


def prepare_density(limit: int) -> Callable[[], Any]:
    """Selection with density by neighbours."""
    import strategies

    rows = vectors(40_000)
    pool = strategies.Pool(size=len(rows), embeddings=rows, probs=probabilities(len(rows), _CLASSES))
    strategy = strategies.get("density_weighted", density="neighbors", max_candidates=limit)
    return lambda: strategy.select(pool, CHOSEN, np.random.default_rng(0)).indices.tolist()


def _middle(costs: list[Cost]) -> float:
    return statistics.median(cost.seconds for cost in costs)


if __name__ == "__main__":
    main()
