"""Each kind of label on real data: LoRA, full fine-tuning with transformers' Trainer, and a trivial baseline.

    python -m benchmarks.kinds --data FOLDER [--only trec6 goemotions] [--threads 2]

FOLDER holds trec6/, goemotions/, stsb/, restaurant8k/, wnut17/, pandalm_pref/ and e2e_nlg/ with train.jsonl and
test.jsonl each. Both train the same base model on the same texts, in separate processes. The Trainer gets the better of
two learning rates by test score, which favours it (one rate for comparisons and answers). Writes
benchmarks/results/kinds.md row by row; existing rows are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.kinds.contestants import prepare_ours, prepare_theirs
from benchmarks.kinds.data import KINDS, Data, read, trivial
from benchmarks.measure import Cost
from benchmarks.measure import measure as cost_of

_RESULTS = Path(__file__).parents[1] / "results" / "kinds.md"


class _Setup(NamedTuple):
    base_model: str
    labels: int
    epochs: int
    test: int
    rates: tuple[float, ...]  # of full fine-tuning
    length: int = 256  # word pieces per text


_READ = _Setup("minilm", labels=400, epochs=10, test=800, rates=(1e-4, 4e-4))
_SETUPS = dict.fromkeys(KINDS, _READ) | {
    "pandalm_pref": _Setup("minilm", labels=400, epochs=2, test=800, rates=(1e-4,), length=128),
    "e2e_nlg": _Setup("smollm2", labels=96, epochs=3, test=60, rates=(1e-4,)),
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    rows = {name: row for name, row in _written().items() if name not in arguments.only}
    for name in arguments.only:
        setup = _SETUPS[name]
        data = read(arguments.data / name, name, setup.labels, setup.test)
        how = (data, setup.base_model, setup.epochs, setup.length)
        ours = cost_of(prepare_ours, *how, threads=arguments.threads)
        theirs = [cost_of(prepare_theirs, *how, rate, threads=arguments.threads) for rate in setup.rates]
        rows[name] = _row(name, data, ours, theirs)
        print(rows[name], flush=True)
        _write([rows[each] for each in KINDS if each in rows])


def _written() -> dict[str, str]:
    """The rows of an earlier run."""
    lines = _RESULTS.read_text("utf-8").splitlines() if _RESULTS.exists() else []
    return {name: line for line in lines for name in KINDS if line.startswith(f"| {name} ")}


def _write(rows: Sequence[str]) -> None:
    pairs, written = _SETUPS["pandalm_pref"], _SETUPS["e2e_nlg"]
    lines = [
        "# Each kind of label, learned from few texts\n",
        f"Written by `python -m benchmarks.kinds`: all-MiniLM-L6-v2, {_READ.labels} texts, {_READ.epochs} epochs, 2 "
        f"threads; `pandalm_pref` {pairs.epochs} epochs of {pairs.length} word pieces; `e2e_nlg` with "
        f"SmolLM2-135M-Instruct, {written.labels} texts, {written.epochs} epochs, {written.test} test texts.\n"
        "One seed; in brackets 95 % intervals over the test texts. Trivial: majority class, most frequent label, mean, "
        "names seen in training, the longer answer, a copy of the prompt.\nThe last three columns are LoRA over full "
        "fine-tuning. For the mean absolute error (mae), lower is better, and the share "
        "is inverted.\n",
        "| data | kind | score | trivial | full fine-tuning | LoRA | share of the score | time | memory |",
        "|---" * 9 + "|",
        *rows,
        "",
    ]
    _RESULTS.write_text("\n".join(lines), "utf-8")


def _row(name: str, data: Data, ours: Cost, theirs: Sequence[Cost]) -> str:
    less = data.target.kind == "regression"
    best = (min if less else max)(theirs, key=lambda each: each.result["score"])
    share = best.result["score"] / ours.result["score"] if less else ours.result["score"] / best.result["score"]
    cells = [
        name, data.target.kind, ours.result["metric"], *map(_interval, (trivial(data), best.result, ours.result)),
        f"{share:.2f}", f"{ours.result['seconds'] / best.result['seconds']:.2f}",
        f"{ours.result['extra'] / best.result['extra']:.2f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _interval(found: dict[str, Any]) -> str:
    return f"{found['score']:.3f} ({found['low']:.3f}–{found['high']:.3f})"


if __name__ == "__main__":
    main()
