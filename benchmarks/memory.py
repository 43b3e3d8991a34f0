"""Resident memory of a worker over many rounds, with and without returning freed memory to the system.

    python -m benchmarks.memory [--max-steps 2] [--texts 100]

Twenty rounds over five projects, without Label Studio, with MiniLM on texts of 20 to 400 word pieces. Each project has
choices and spans and the default options, except `max_steps`: more steps take longer, but no more memory. Each project
has a thread, as in the worker. Resident memory is measured after each round, when nothing runs. Two variants run at the
same time, each in a fresh process with two threads: `trim` of `models/memory.py` after each heavy step, or nothing in
its place. The latter ends early above 8 GiB, to spare the machine. Linux only (/proc); without glibc both
variants are equal. About 10 minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AutoTokenizer

from backend.learners.models import memory
from backend.learners.models.cache import BaseModels
from backend.learners.models.packaged import resolve
from backend.rounds.context import Context
from backend.runtime.libraries import quiet_libraries
from backend.store import Store
from benchmarks.measure import measure, status
from benchmarks.rounds import one_round

_RESULT = Path(__file__).parent / "results" / "memory.md"
_PROJECTS, _ROUNDS = 5, 4  # rounds of each project
_LABELS = 20  # new ones in each round
_SHORTEST, _LONGEST = 20, 400  # word pieces of a text
_MOST = 8 * 2**30  # bytes: the variant that returns no memory ends here
_SHOWN = 5  # every so many rounds have a row in the table
_THREADS = 2
_WORDS = {"billing": "invoice", "delivery": "parcel", "refund": "money", "login": "password"}  # of each class
_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    + "".join(f'<Choice value="{name}"/>' for name in _WORDS)
    + '</Choices><Labels name="words" toName="text"><Label value="key"/></Labels></View>'
)


class Found(NamedTuple):
    """What one variant measured. Memory in bytes, resident in RAM."""

    after: list[int]  # after each round
    peak: int
    released: float  # seconds spent in `trim`
    total: float  # seconds of all rounds


@contextmanager
def _no_bar(_title: str) -> Any:
    yield lambda done, total: None


def texts(count: int, seed: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Random texts of 20 to 400 of MiniLM's word pieces, special tokens included, with their labels.

    The class is given by one word, which is also the only span.
    """
    vocabulary = AutoTokenizer.from_pretrained(resolve("minilm")).get_vocab()
    others = sorted(word for word in vocabulary if word.isascii() and word.isalpha() and word not in _WORDS.values())
    rng = np.random.default_rng(seed)
    for number in range(count):
        topic = list(_WORDS)[number % len(_WORDS)]
        words = rng.choice(others, rng.integers(_SHORTEST, _LONGEST + 1) - 2).tolist()  # [CLS] and [SEP]
        place = int(rng.integers(len(words)))
        words[place] = _WORDS[topic]
        start = sum(len(word) + 1 for word in words[:place])
        yield " ".join(words), {"topic": topic, "words": [[start, start + len(words[place]), "key"]]}


def rounds(release: bool, count: int, max_steps: int) -> Callable[[], Found]:
    """All rounds in this process. release: as in the product; otherwise freed memory stays with the allocator."""
    quiet_libraries()
    torch.set_num_threads(_THREADS)
    spent = 0.0
    product = memory.trim

    def timed() -> None:
        nonlocal spent
        started = time.perf_counter()
        if release:
            product()
        spent += time.perf_counter() - started

    memory.trim = timed
    folder = tempfile.TemporaryDirectory()
    store = Store(Path(folder.name))
    store.database.migrate()
    context = Context(store=store, client=None, models=BaseModels(), bar=_no_bar)  # type: ignore[arg-type]
    answers: dict[int, list[dict[str, Any]]] = {}
    for project in range(1, _PROJECTS + 1):
        store.projects.connect(project, label_config=_CONFIG, options={"max_steps": max_steps}, host="localhost")
        made = list(texts(count, seed=project))
        rows = [(task, text) for task, (text, _) in enumerate(made, 1)]
        store.of(project).tasks.put_texts(rows, seed=0, audit_share=0.1)
        answers[project] = [values for _, values in made]

    def run() -> Found:
        after: list[int] = []
        started = time.perf_counter()
        threads = {project: ThreadPoolExecutor(1) for project in answers}
        turns = [(number, project) for number in range(1, _ROUNDS + 1) for project in answers]
        for number, project in turns:
            new = range(1 + _LABELS * (number - 1), 1 + _LABELS * number)
            store.of(project).tasks.put_annotations([(task, answers[project][task - 1], True, False) for task in new])
            assert threads[project].submit(one_round, context, project).result().number == number
            after.append(status("VmRSS"))
            name, peak = "returned" if release else "left", _gib(status("VmHWM"))
            print(f"{name}, round {len(after)}: {_gib(after[-1])}, peak {peak}", flush=True)
            if not release and after[-1] > _MOST:
                break
        for each in threads.values():
            each.shutdown()
        found = Found(after, status("VmHWM"), spent, time.perf_counter() - started)
        store.database.close()
        folder.cleanup()
        return found

    return run


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-steps", type=int, default=2, help="training steps of a round")
    parser.add_argument("--texts", type=int, default=100, help="texts of each project")
    arguments = parser.parse_args()

    def variant(release: bool) -> Found:
        found: Found = measure(rounds, release, arguments.texts, arguments.max_steps, threads=_THREADS).result
        return found

    with ThreadPoolExecutor() as both:  # at the same time: each has memory of its own
        released, without = both.map(variant, (True, False))
    written = (
        "# Resident memory of a worker\n\n"
        f"`python -m benchmarks.memory`: {_PROJECTS * _ROUNDS} rounds over {_PROJECTS} projects of {arguments.texts} "
        f"texts of {_SHORTEST} to {_LONGEST} word pieces, choices and spans, {_LABELS} new labels a round, MiniLM, "
        f"{arguments.max_steps} training steps a round, {_THREADS} threads. Resident memory after rounds, with freed "
        "memory left to the allocator (ended above 8 GiB), and with it returned to the system after each heavy "
        "step.\n\n"
        f"{_table(without, released)}"
    )
    print(written)
    _RESULT.write_text(written, "utf-8")


def _table(without: Found, released: Found) -> str:
    """One row for each fifth round, the largest, the peak and the seconds; the ratio is that of the two columns."""
    lines = ["| | left to the allocator | returned | ratio |", "|---|---|---|---|"]
    for number in range(_SHOWN, len(released.after) + 1, _SHOWN):
        former = without.after[number - 1] if number <= len(without.after) else None
        lines.append(_row(f"after round {number}", former, released.after[number - 1]))
    lines += [
        _row("after a round, at most", max(without.after), max(released.after)),
        _row("peak, within a round", without.peak, released.peak),
        f"| rounds | {len(without.after)} | {len(released.after)} | |",
        f"| seconds of a round, mean | {_mean(without):.1f} | {_mean(released):.1f} | |",
        f"| of these to return memory | | {released.released / len(released.after):.2f} | |",
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, without: int | None, released: int) -> str:
    former, ratio = ("ended", "") if without is None else (_gib(without), f"{released / without:.2f}")
    return f"| {name} | {former} | {_gib(released)} | {ratio} |"


def _mean(found: Found) -> float:
    return found.total / len(found.after)


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


if __name__ == "__main__":
    main()
