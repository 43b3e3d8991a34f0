"""Cost of a round as a project grows: seconds and memory by step, their growth, and the first bottleneck.

    python -m benchmarks.scale [--most 1000000] [--database-url postgresql://…]

Runs the steps of a round without Label Studio: a first round on 100 labels, then a second on 8 more. The second is
typical: texts are stored and embedded already, and are scored again by the new adapter. The model is tiny (one layer,
32 dimensions), so that the cost of everything else shows. Each size runs in a separate process with two threads. Then
the scans of `shortlist` over vectors of 384 dimensions. Figures of larger pools are extrapolated, not measured: from
the two largest sizes (seconds by their power of growth, memory by bytes per text) and a real model's speed in the same
run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer, BertConfig, BertModel

from backend.learners.models.cache import BaseModels
from backend.learners.models.packaged import resolve
from backend.pool import shortlist
from backend.rounds.context import Context
from backend.runtime.libraries import quiet_libraries
from backend.store import Store
from backend.store.files.shards import ROWS
from benchmarks.measure import measure, status
from benchmarks.rounds import one_round

_RESULT = Path(__file__).parent / "results" / "scale.md"
_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_CLASSES = ("billing", "delivery", "refund", "login")
_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    + "".join(f'<Choice value="{name}"/>' for name in _CLASSES)
    + "</Choices></View>"
)
_PAGE = 1000  # tasks per page of Label Studio's API
_FIRST, _MORE = 100, 8  # labels
_STEPS = ("train", "score", "evaluate", "select", "judge")
_LARGER = (10_000_000, 100_000_000)
_REPLICAS = (1, 8, 64)
_LABELED, _DIMENSIONS = 1000, 384  # of the scans


@contextmanager
def _no_bar(_title: str) -> Any:
    yield lambda done, total: None


def tiny(folder: Path) -> str:
    """A model of one layer with MiniLM's word pieces."""
    AutoTokenizer.from_pretrained(resolve("minilm")).save_pretrained(folder)
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(folder)
    return str(folder)


def rounds(size: int, url: str | None) -> Callable[[], dict[str, float]]:
    """Two rounds of a project of so many texts: seconds by step, and peak memory in bytes."""
    quiet_libraries()
    folder = tempfile.TemporaryDirectory()
    base_model = tiny(Path(folder.name) / "model")
    store = Store(Path(folder.name), url)
    store.database.migrate()
    store.projects.connect(
        size, label_config=_CONFIG, options={"base_model": base_model, "max_length": 32}, host="localhost"
    )
    context = Context(store=store, client=None, models=BaseModels(), bar=_no_bar)  # type: ignore[arg-type]
    context.models.get(base_model)

    def run() -> dict[str, float]:
        words = [f"word{n}" for n in range(2000)]
        rng, found = np.random.default_rng(0), dict.fromkeys(("store", "store again"), 0.0)
        truth = rng.choice(len(_CLASSES), size)

        def page(start: int) -> list[tuple[int, str]]:
            drawn = rng.choice(words, (min(size, start + _PAGE) - start, 8))
            return [
                (start + row + 1, f"{_CLASSES[truth[start + row]]} {' '.join(text)}") for row, text in enumerate(drawn)
            ]

        for start in range(0, size, _PAGE):
            put_texts = partial(store.of(size).tasks.put_texts, page(start), seed=0, audit_share=0.1)
            found["store"] += _seconds(put_texts)
        last = 0
        for number, labels in enumerate((_FIRST, _FIRST + _MORE), 1):
            annotations = [
                (task, {"topic": _CLASSES[truth[task - 1]]}, True, False) for task in range(last + 1, labels + 1)
            ]
            put = _seconds(partial(store.of(size).tasks.put_annotations, annotations))
            found["store again"] = put if number == 2 else 0.0
            one_round(context, size)
            last = labels
            done = store.of(size).rounds.get(number)
            assert done is not None
            again = "" if number == 1 else " again"
            found |= {name + again: done.seconds.get(name, 0.0) for name in _STEPS}
        found["memory"] = status("VmHWM")
        store.database.close()
        folder.cleanup()
        return found

    return run


def looks(size: int) -> Callable[[], dict[str, float]]:
    """Seconds of a scan over so many vectors: by a probe, and for the neighbours of a thousand labels."""
    rng = np.random.default_rng(0)
    block = rng.normal(size=(min(ROWS, size), _DIMENSIONS)).astype(np.float32)  # reused: only reading is timed
    labeled = rng.normal(size=(_LABELED, _DIMENSIONS)).astype(np.float32)

    def blocks() -> Iterator[Any]:
        for start in range(0, size, len(block)):
            yield block[: size - start]

    def run() -> dict[str, float]:
        probe = shortlist.of_one_class(labeled, rng.choice(6, _LABELED), 6)
        return {
            "probe": _seconds(lambda: shortlist.most(shortlist.doubts(blocks(), [probe])[0], size // 10)),
            "neighbors": _seconds(lambda: shortlist.neighbors(blocks(), labeled, size // 10)),
        }

    return run


def speed() -> Callable[[], float]:
    """MiniLM's speed: texts of ten words per second."""
    base = BaseModels().get("minilm")
    rng, words = np.random.default_rng(0), [f"word{n}" for n in range(2000)]
    texts = [" ".join(rng.choice(words, 10)) for _ in range(2000)]
    base.embed(texts[:200], max_length=256)
    return lambda: len(texts) / _seconds(lambda: base.embed(texts, max_length=256))


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=_SIZES[-1], help="number of texts of the largest project")
    parser.add_argument("--database-url", help="URL of an empty PostgreSQL database, to measure it as well")
    arguments = parser.parse_args()
    sizes = [size for size in _SIZES if size <= arguments.most]
    written = "# Cost of a round as a project grows\n\n`python -m benchmarks.scale`, 2 threads.\n"
    for name, url in (("SQLite", None), ("PostgreSQL", arguments.database_url)):
        if name == "SQLite" or url:
            found = {size: measure(rounds, size, url).result for size in sizes}
            written += f"\n## {name}\n\n{_table(found)}"
            if name == "SQLite":
                rate = measure(speed).result
                written += f"\n{_further(found, rate)}"
                scans = {size: measure(looks, size).result for size in sizes}
                written += f"\n## Scans of `shortlist`\n\n{_LABELED:,} labels, {_DIMENSIONS} dimensions.\n\n"
                written += _table(scans)
            print(written)
            _RESULT.write_text(written, "utf-8")


def _table(found: dict[int, dict[str, float]]) -> str:
    """Seconds by step and size, and the exponent of growth between the two largest sizes."""
    sizes = list(found)
    lines = [
        f"| step | {' | '.join(f'{size:,} texts' for size in sizes)} | exponent of growth |",
        f"|---|{'---|' * (len(sizes) + 1)}",
    ]
    for name in found[sizes[0]]:
        values, power = [found[size][name] for size in sizes], _power(found, name)
        cells = [f"{value / 2**30:.2f} GiB" if name == "memory" else f"{value:.2f} s" for value in values]
        lines.append(f"| {name} | {' | '.join(cells)} | {power:.2f} |")
    return "\n".join(lines) + "\n"


def _power(found: dict[int, dict[str, float]], name: str) -> float:
    """Exponent of growth between the two largest sizes."""
    (before, last), values = list(found)[-2:], [max(each[name], 1e-9) for each in list(found.values())[-2:]]
    return float(np.log(values[1] / values[0]) / np.log(last / before))


def _further(found: dict[int, dict[str, float]], rate: float) -> str:
    """Extrapolation to larger pools: hours of a later round by replicas, and the longest step."""
    before, last = list(found)[-2:]
    each = max(0.0, (found[last]["memory"] - found[before]["memory"]) / (last - before))  # bytes per additional text
    lines = [
        "A later round on larger pools, extrapolated, with MiniLM in place of the tiny model "
        f"({rate:,.0f} texts of ten words per second and replica in this run):\n",
        "| texts | replicas | hours | longest step | memory of the worker |",
        "|---|---|---|---|---|",
    ]
    for size in _LARGER:
        memory = (found[last]["memory"] + each * (size - last)) / 2**30
        others = {
            name: found[last][f"{name} again"] * (size / last) ** max(0.0, _power(found, f"{name} again"))
            for name in _STEPS
            if name != "score"
        }
        for replicas in _REPLICAS:
            hours = {name: seconds / 3600 for name, seconds in {**others, "score": size / rate / replicas}.items()}
            longest = max(hours, key=lambda name: hours[name])
            lines.append(
                f"| {size:,} | {replicas} | {sum(hours.values()):,.1f} | {longest}, {hours[longest]:,.1f} | "
                f"{memory:.1f} GiB |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
