"""Finishing projects: whether the guarantee holds, and how many labels people give until everything is labeled.

    python -m benchmarks.finish --data FOLDER [--projects 1000] [--pools 3] [--part guarantee] …

FOLDER holds trec6/, banking77/, sst2/ and goemotions/ with train.jsonl and test.jsonl each. A part that is not named
keeps its former table. A project labels batches by margins and
holds out a tenth of its labels; then a random sample decides which of the model's labels are taken, as `lsal finish`
does. Models are heads on the base model's embeddings; for the second table also adapters, trained at three shares.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import strategies
from backend.evaluation.calibration import tempered
from backend.evaluation.selective import largest, least, risk_of
from backend.learners.heads import linear
from backend.learners.models.base_model import BaseModel
from backend.options import ProjectOptions
from backend.rounds.finishing.sample import default_labels
from backend.runtime.libraries import quiet_libraries
from backend.simulation.data import read
from backend.simulation.learners import Lora
from benchmarks.projects import embedded, embedded_sets, played
from strategies import Pool

Array = NDArray[Any]
Texts = dict[str, tuple[Array, Array]]  # embeddings and labels by data set
_RESULT = Path(__file__).parent / "results" / "finish.md"
_DATA = ("trec6", "banking77", "sst2")
_SETS = "goemotions"  # several labels a text: all must be right
_ACCURACIES = (0.9, 0.95)
_SCOPES = ("machine", "whole")
_SMALL, _LABELED = 1500, 0.3  # texts of a project that tests the guarantee, and the share that is labeled before
_CALIBRATIONS = {"as they are": 1.0, "far too sure": 0.05, "far too unsure": 10.0}  # temperature of the confidences
_SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35)  # of the pool that is labeled when the sample is drawn
_HELD_OUT = 0.1
_TRAINED, _REDRAWN = (0.1, 0.2, 0.3), 100  # shares at which adapters are trained, and samples of each


class Finished(NamedTuple):
    """One finish."""

    data: str
    share: float  # of the pool labeled before
    accuracy: float
    scope: str
    calibration: str
    people: float  # share of the pool with a label of a person in the end
    wrong: float  # share of wrong labels in what the accuracy is meant of
    taken: int


def _labeling(vectors: Array, targets: Array, rng: np.random.Generator) -> Iterator[tuple[Array, Array, Any]]:
    """Label by margins, a twentieth of the pool at a time: the tasks that remain, those trained on, and the model."""
    size = len(vectors)
    order = rng.permutation(size)
    trained, remaining = order[: size // 20], order[size // 20 :]
    strategy = strategies.get("margin")
    while True:
        head = _fitted(vectors[trained], targets[trained], targets)
        yield remaining, trained, head
        held_out = rng.permutation(len(remaining))[: round(_HELD_OUT * size / 20)]
        remaining = np.delete(remaining, held_out)
        pool = Pool(size=len(remaining), probs=_most_doubtful(head(vectors[remaining])))
        chosen = strategy.select(pool, round((1 - _HELD_OUT) * size / 20), rng).indices
        trained, remaining = np.concatenate([trained, remaining[chosen]]), np.delete(remaining, chosen)


def _fitted(vectors: Array, targets: Array, every: Array) -> Callable[[Array], Array]:
    """A head; of class indices it gives (n, C), of sets of labels (n, L, 2)."""
    if targets.ndim == 1:
        return linear.fit(vectors, targets, int(every.max()) + 1).alone
    heads = [linear.fit(vectors, column.astype(np.int64), 2) for column in targets.T]
    return lambda others: np.stack([head.alone(others) for head in heads], axis=1)


def _most_doubtful(probs: Array) -> Array:
    """Probabilities of the classes, or of the label that is least certain: (n, C) or (n, 2)."""
    if probs.ndim == 2:
        return probs
    return probs[np.arange(len(probs)), probs.max(axis=2).argmin(axis=1)]


def _is_wrong(probs: Array, truth: Array) -> Array:
    wrong = probs.argmax(axis=-1) != truth
    return wrong if wrong.ndim == 1 else wrong.any(axis=1)


def finish(
    data: str, probs: Array, truth: Array, size: int, accuracy: float, scope: str, calibration: str, seed: int
) -> Finished:
    """Draw a sample of the remaining texts, decide, and compare with the truth. size: of the pool."""
    rng, risk = np.random.default_rng([seed, len(probs)]), risk_of(1)
    confidence = tempered(_most_doubtful(probs), _CALIBRATIONS[calibration]).max(axis=1)
    wrong = _is_wrong(probs, truth)
    of = size if scope == "whole" else None
    fewest = least(accuracy, risk, len(probs), of)
    assert fewest is not None
    sample = rng.permutation(len(probs))[: default_labels(fewest, len(probs))]
    free = np.ones(len(probs), bool)
    free[sample] = False
    part = largest(confidence, sample, wrong[sample], free, accuracy, risk, of=of)
    taken = np.setdiff1d(np.argsort(-confidence, kind="stable")[: part.size], sample)
    share = wrong[taken].sum() / (of or max(1, len(taken)))
    return Finished(
        data, 1 - len(probs) / size, accuracy, scope, calibration, 1 - len(taken) / size, share,
        len(taken),
    )  # fmt: skip


def guaranteed(data: str, vectors: Array, targets: Array, seed: int) -> list[Finished]:
    """Every kind of finish of one small project."""
    rng = np.random.default_rng([seed, [*_DATA, _SETS].index(data)])
    rows = rng.permutation(len(vectors))[:_SMALL]
    vectors, targets = vectors[rows], targets[rows]
    for remaining, _, head in _labeling(vectors, targets, rng):
        if 1 - len(remaining) / _SMALL >= _LABELED:
            probs = head(vectors[remaining])
            return [
                finish(data, probs, targets[remaining], _SMALL, accuracy, scope, calibration, seed)
                for accuracy in _ACCURACIES
                for scope in _SCOPES
                for calibration in _CALIBRATIONS
            ]
    raise AssertionError


def pool(data: str, vectors: Array, targets: Array, seed: int) -> list[Finished]:
    """One large project, finished at each share of labels."""
    rng, found = np.random.default_rng([seed, 99]), []
    for remaining, _, head in _labeling(vectors, targets, rng):
        share = 1 - len(remaining) / len(vectors)
        if share > max(_SHARES) + 0.01:
            return found
        probs = head(vectors[remaining])
        found += [
            finish(data, probs, targets[remaining], len(vectors), accuracy, scope, "as they are", seed)
            for accuracy in _ACCURACIES
            for scope in _SCOPES
        ]
    raise AssertionError


def adapters(data: str, folder: Path, vectors: Array, targets: Array) -> list[Finished]:
    """One large project with an adapter trained at each of three shares; many samples are drawn of each."""
    parts, found = [read(folder / data / f"{part}.jsonl") for part in ("train", "test")], []
    texts, names = [text for part in parts for text in part.texts], sorted({n for part in parts for n in part.labels})
    learner = Lora(BaseModel("minilm"), texts, texts[:1], names, vectors)
    options = ProjectOptions(max_length=64, class_names=False)  # type: ignore[call-arg]
    for remaining, trained, _ in _labeling(vectors, targets, np.random.default_rng(0)):
        share = 1 - len(remaining) / len(vectors)
        if share > max(_TRAINED) + 0.01:
            return found
        if not any(abs(share - each) < 0.01 for each in _TRAINED):
            continue
        learner.fit(trained, targets[trained], options, strategies.get("margin"))
        probs = learner.score(remaining, ["probs"], options)["probs"]
        found += [
            finish(data, probs, targets[remaining], len(vectors), accuracy, scope, "as they are", seed)
            for accuracy in _ACCURACIES
            for scope in _SCOPES
            for seed in range(_REDRAWN)
        ]
    raise AssertionError


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--projects", type=int, default=1000)
    parser.add_argument("--pools", type=int, default=5)
    parser.add_argument("--part", choices=["guarantee", "labels", "adapters"], action="append")
    arguments = parser.parse_args()
    quiet_libraries()
    texts = embedded(arguments.data, _DATA, "minilm")
    parts = {"guarantee": _guarantee, "labels": _effort, "adapters": _of_adapters}
    wanted = arguments.part or list(parts)
    kept = dict.fromkeys(parts, "")
    if set(wanted) != set(parts):
        kept = dict(zip(parts, _RESULT.read_text("utf-8").split("\n## ")[1:], strict=True))
    for part in wanted:
        kept[part] = "\n".join(parts[part](arguments, texts)) + "\n"
    head = (
        "# Finishing projects\n\n`python -m benchmarks.finish`. The model labels the rest as far as a random sample "
        "proves it right.\n"
    )
    written = "\n## ".join([head, *kept.values()])
    print(written)
    _RESULT.write_text(written, "utf-8")


def _guarantee(arguments: argparse.Namespace, texts: Texts) -> list[str]:
    texts = {**texts, _SETS: embedded_sets(arguments.data, _SETS, "minilm")}
    names = list(texts)
    played_out = played(guaranteed, [
        (name, *texts[name], seed) for seed in range(arguments.projects) for name in [names[seed % len(names)]]
    ])  # fmt: skip
    found = [each for of in played_out for each in of]
    lines = [
        f"Does the guarantee hold?\n\n{arguments.projects} projects of {_SMALL:,} texts of {', '.join(names)}, "
        f"{_LABELED:.0%} labeled before; the first sample of a project has a risk of {risk_of(1):.1%}. Of {_SETS}, "
        "whose texts have several of 28 labels, all must be right.\n",
        "| accuracy | of | confidences | fewer right than that | of the pool taken (mean) |",
        "|---|---|---|---|---|",
    ]
    for accuracy in _ACCURACIES:
        for scope in _SCOPES:
            for calibration in _CALIBRATIONS:
                mine = [e for e in found if (e.accuracy, e.scope, e.calibration) == (accuracy, scope, calibration)]
                broken = np.mean([each.wrong > 1 - accuracy + 1e-9 for each in mine])
                taken = np.mean([each.taken / _SMALL for each in mine])
                lines.append(f"| {accuracy:.0%} | {scope} | {calibration} | {broken:.1%} | {taken:.0%} |")
    return lines


def _effort(arguments: argparse.Namespace, texts: Texts) -> list[str]:
    played_out = played(pool, [(name, *texts[name], seed) for seed in range(arguments.pools) for name in _DATA])
    found = [each for of in played_out for each in of]
    _draw(found)
    lines = [
        "How many labels do people give?\n\nUntil every text is labeled, in % of the pool: those before, the "
        f"sample and the texts that the model may not label. Mean of {arguments.pools} draws; in brackets the share of "
        "wrong labels in the end.\n",
        "| data | accuracy | of | " + " | ".join(f"{share:.0%} labeled before" for share in _SHARES) + " |",
        "|---|---|---|" + "---|" * len(_SHARES),
    ]
    for name in _DATA:
        for accuracy in _ACCURACIES:
            for scope in _SCOPES:
                cells = [name, f"{accuracy:.0%}", scope]
                for share in _SHARES:
                    mine = _at(found, name, accuracy, scope, share)
                    people, wrong = np.mean([e.people for e in mine]), np.mean([e.wrong for e in mine])
                    cells.append(f"{people:.0%} ({wrong:.1%})")
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def _of_adapters(arguments: argparse.Namespace, texts: Texts) -> list[str]:
    found = [each for name in _DATA[:2] for each in adapters(name, arguments.data, *texts[name])]
    lines = [
        f"The same with adapters\n\nOne project each, whose texts are selected as above; adapters with "
        f"default options, {_REDRAWN} samples of each. In brackets how often fewer are right than that.\n",
        "| data | accuracy | of | " + " | ".join(f"{share:.0%} labeled before" for share in _TRAINED) + " |",
        "|---|---|---|" + "---|" * len(_TRAINED),
    ]
    for name in _DATA[:2]:
        for accuracy in _ACCURACIES:
            for scope in _SCOPES:
                cells = [name, f"{accuracy:.0%}", scope]
                for share in _TRAINED:
                    mine = _at(found, name, accuracy, scope, share)
                    broken = np.mean([each.wrong > 1 - accuracy + 1e-9 for each in mine])
                    cells.append(f"{np.mean([each.people for each in mine]):.0%} ({broken:.0%})")
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def _at(found: list[Finished], name: str, accuracy: float, scope: str, share: float) -> list[Finished]:
    return [
        each
        for each in found
        if (each.data, each.accuracy, each.scope) == (name, accuracy, scope) and abs(each.share - share) < 0.01
    ]


def _draw(found: list[Finished]) -> None:
    """Labels of people over labels before the sample."""
    picture = Figure(figsize=(9, 3.4), layout="constrained")
    for axes, accuracy in zip(picture.subplots(1, 2, sharey=True), _ACCURACIES, strict=True):
        for color, name in enumerate(_DATA):
            for scope, dash in (("machine", "-"), ("whole", "--")):
                means = [100 * np.mean([e.people for e in _at(found, name, accuracy, scope, s)]) for s in _SHARES]
                label = f"{name}, {'labels of the model' if scope == 'machine' else 'all texts'}"
                axes.plot([100 * share for share in _SHARES], means, dash, color=f"C{color}", marker=".", label=label)
        axes.set(xlabel="% of the pool labeled before the sample", ylim=(0, 103), title=f"{accuracy:.0%} right")
        axes.grid(alpha=0.3)
    picture.axes[0].set_ylabel("% of the pool labeled by people in the end")
    handles, labels = picture.axes[0].get_legend_handles_labels()
    picture.legend(handles, labels, fontsize="small", loc="outside upper center", ncols=3)
    picture.savefig(_RESULT.parent / "finish.png", dpi=110)


if __name__ == "__main__":
    main()
