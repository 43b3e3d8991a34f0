"""Second opinions against new tasks: what equal numbers of labels by noisy annotators teach.

    python -m benchmarks.relabel --data FOLDER [--seeds 4] [--sets trec6]

FOLDER holds a folder of each set with train.jsonl and test.jsonl. Half an hour of two cores for each set.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backend.evaluation import active_lab
from backend.evaluation.active_lab import Votes
from backend.evaluation.agreement import weights
from backend.evaluation.label_noise import label_noise, out_of_fold
from backend.labelstudio.controls.base import majority, weighted_majority
from backend.learners.heads import linear
from backend.runtime.libraries import quiet_libraries
from benchmarks.projects import embedded, played
from strategies.margin import margin

Array = NDArray[Any]
_RESULT = Path(__file__).parent / "results" / "relabel.md"
_NOISE = (0.1, 0.2, 0.3)  # share of wrong labels, of an annotator on average
_POLICIES = {
    "new": "each label on a new task, by `margin`; once all are labeled, second opinions in any order",
    "relabel": "the option `relabel`: of each batch at most half are second opinions on suspects and ties; once all "
    "tasks are labeled, by ActiveLab",
    "ActiveLab": "second opinions and their number by ActiveLab from the beginning, of each batch at most half",
    "twice": "every task is labeled by two annotators, and a third one decides",
}
_PEOPLE, _START, _BATCH, _TEST = 5, 60, 50, 1000
_SPENT = (200, 400, 600, 800, 1000)  # labels at which the model is measured


class Point(NamedTuple):
    """A project after some labels."""

    accuracy: float  # of a linear probe on the test texts
    right: float  # of the labels that it was trained on
    tasks: int


class _Project:
    """Texts, annotators who err, and the labels so far."""

    def __init__(self, vectors: Array, classes: Array, noise: float, pool: int, seed: int) -> None:
        self.rng = np.random.default_rng([seed, round(100 * noise)])
        order = self.rng.permutation(len(vectors))
        self.test, self.pool = order[:_TEST], order[_TEST : _TEST + pool]
        self.vectors, self.truth, self.classes = vectors, classes, int(classes.max()) + 1
        self.errors = noise * self.rng.uniform(0.2, 1.8, _PEOPLE)
        self.given: dict[tuple[int, int], int] = {}  # class by row of a text and annotator
        self.labeled: dict[int, list[int]] = {}  # annotators by row of a text

    def label(self, row: int) -> None:
        """A label by an annotator who has not labeled the text."""
        there = self.labeled.setdefault(int(row), [])
        left = [each for each in range(_PEOPLE) if each not in there]
        who = int(self.rng.choice(left))
        wrong = self.rng.random() < self.errors[who]
        truth = int(self.truth[row])
        self.given[int(row), who] = int((truth + self.rng.integers(1, self.classes)) % self.classes) if wrong else truth
        there.append(who)

    def probs(self, known: Array, given: Array, others: Array) -> Array:
        """Class probabilities of other texts by a linear head."""
        return linear.fit(known, given, self.classes).alone(others).astype(np.float64)

    def agreed(self) -> dict[int, int]:
        """The class of each text on which its annotators agree, as in the product."""
        counts = weights((row, who, value) for (row, who), value in self.given.items())
        found = {}
        for row, people in self.labeled.items():
            votes = [str(self.given[row, who]) for who in people]
            weighed = counts and len(votes) > 1
            of = [(vote, counts.get(str(who), 1.0)) for vote, who in zip(votes, people, strict=True)]
            value = weighted_majority(of) if weighed else majority(votes)
            if value is not None:
                found[row] = int(value)
        return found


def project(vectors: Array, classes: Array, noise: float, policy: str, pool: int, seed: int) -> dict[int, Point]:
    """Points by number of labels."""
    made = _Project(vectors, classes, noise, pool, seed)
    for row in made.pool[:_START]:
        made.label(row)
    found: dict[int, Point] = {}
    while True:
        agreed = made.agreed()
        rows, labels = np.array(list(agreed)), np.array(list(agreed.values()))
        head = linear.fit(vectors[rows], labels, made.classes)
        spent = len(made.given)
        if len(found) < len(_SPENT) and spent >= _SPENT[len(found)]:
            right = head.alone(vectors[made.test]).argmax(axis=1) == classes[made.test]
            point = Point(float(right.mean()), float((labels == classes[rows]).mean()), len(made.labeled))
            found[_SPENT[len(found)]] = point
        if len(found) == len(_SPENT):
            return found
        new = np.array([row for row in made.pool if int(row) not in made.labeled])
        probs = head.alone(vectors[new]).astype(np.float64) if len(new) else np.empty((0, made.classes))
        again = _again(made, agreed, probs, policy)[:_BATCH]
        for row in again:
            made.label(row)
        for row in new[np.argsort(-margin(probs), kind="stable")][: _BATCH - len(again)]:
            made.label(int(row))
        if len(made.given) == spent:  # everybody has labeled everything
            return found


def _again(made: _Project, agreed: dict[int, int], probs: Array, policy: str) -> list[int]:
    """The rows that get another label, of those that somebody has not labeled. probs: of texts without a label."""
    open_ones = [row for row, people in made.labeled.items() if len(people) < _PEOPLE]
    ties = [row for row in open_ones if row not in agreed]
    if policy == "twice":
        return [*ties, *(row for row in open_ones if len(made.labeled[row]) == 1)]
    if policy == "new":
        return [] if len(probs) else made.rng.permutation(open_ones).tolist()
    if policy == "relabel":
        found = list(dict.fromkeys([*ties, *_by_active_lab(made, agreed, probs)]))
        found = [*_suspects(made, agreed), *ties] if len(probs) else found
    else:
        found = _by_active_lab(made, agreed, probs)
    return found[: _BATCH // 2 if len(probs) else _BATCH]


def _suspects(made: _Project, agreed: dict[int, int]) -> list[int]:
    """Single labels that are rather wrong than right, the worst first."""
    rows = list(agreed)
    noise = label_noise(made.vectors[rows], np.array([agreed[row] for row in rows]), made.probs)
    found = [] if noise is None else [rows[each.row] for each in noise.suspects]
    return [row for row in found if len(made.labeled[row]) == 1]


def _by_active_lab(made: _Project, agreed: dict[int, int], probs: Array) -> list[int]:
    """The labeled rows among the batch with the lowest scores."""
    rows = list(made.labeled)
    place = {row: number for number, row in enumerate(rows)}
    votes = Votes(*(np.array(c) for c in zip(*((place[r], w, v) for (r, w), v in made.given.items()), strict=True)))
    predicted = _out_of_fold(made, rows, agreed)
    trust = active_lab.trust(votes, predicted, _PEOPLE)
    scores = active_lab.scores(votes, predicted, trust)
    before = np.searchsorted(np.sort(active_lab.scores_unlabeled(probs, trust)), scores)
    can = [number for number, row in enumerate(rows) if len(made.labeled[row]) < _PEOPLE]
    ranked = sorted(can, key=lambda number: float(scores[number]))
    return [rows[number] for rank, number in enumerate(ranked) if rank + before[number] < _BATCH]


def _out_of_fold(made: _Project, rows: list[int], agreed: dict[int, int]) -> Array:
    """Probabilities of each labeled text by a head that did not learn it: (N, C)."""
    vectors = made.vectors[rows]
    labels = np.array([agreed.get(row, made.given[row, made.labeled[row][0]]) for row in rows])
    return out_of_fold(vectors, labels, made.probs)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--sets", nargs="+", default=["trec6"])
    parser.add_argument("--pools", nargs="+", type=int, default=[300, 2000], help="numbers of tasks")
    arguments = parser.parse_args()
    quiet_libraries()
    data = embedded(arguments.data, arguments.sets, "minilm")
    settings = [
        (s, pool, noise, p) for s in arguments.sets for pool in arguments.pools for noise in _NOISE for p in _POLICIES
    ]
    every = [(*setting, seed) for setting in settings for seed in range(arguments.seeds)]
    points = played(project, [(*data[name], noise, policy, pool, seed) for name, pool, noise, policy, seed in every])
    of: dict[tuple[Any, ...], list[dict[int, Point]]] = {}
    for (*setting, _), found in zip(every, points, strict=True):
        of.setdefault(tuple(setting), []).append(found)
    written = "\n".join(_table(of, arguments.seeds)) + "\n"
    print(written)
    _RESULT.write_text(written, "utf-8")
    _draw(of, arguments.pools[-1])


def _table(of: dict[tuple[Any, ...], list[dict[int, Point]]], seeds: int) -> list[str]:
    lines = [
        "# Second opinions\n",
        f"`python -m benchmarks.relabel`: {_PEOPLE} annotators with different shares of wrong labels, the mean as "
        "given, any other class instead. A linear probe on the embeddings of `minilm` learns the labels that "
        f"annotators agree on; {_START} labels to begin with, batches of {_BATCH}. Accuracy on 1,000 texts with "
        f"right labels, means of {seeds} draws, ± the standard error of the difference to *new*; in brackets how "
        "many of the labels that teach are right. –: the tasks are used up.\n",
        *(f"- *{name}*: {what}" for name, what in _POLICIES.items()),
        "",
        "| set | tasks | wrong | labels | " + " | ".join(_POLICIES) + " |",
        "|---|---|---|---|" + "---|" * len(_POLICIES),
    ]
    for name, pool, noise in dict.fromkeys(setting[:3] for setting in of):
        for spent in _SPENT:
            cells = []
            for policy in _POLICIES:
                runs = [(run.get(spent), new.get(spent)) for run, new in
                        zip(of[name, pool, noise, policy], of[name, pool, noise, "new"], strict=True)]  # fmt: skip
                pairs = [(mine, theirs) for mine, theirs in runs if mine is not None and theirs is not None]
                if len(pairs) < len(runs):
                    cells.append("–")
                    continue
                accuracy = np.array([mine.accuracy for mine, _ in pairs])
                gain = accuracy - np.array([theirs.accuracy for _, theirs in pairs])
                right = np.mean([mine.right for mine, _ in pairs])
                error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
                shown = "" if policy == "new" else f" {gain.mean():+.3f} ± {error:.3f}"
                cells.append(f"{accuracy.mean():.3f}{shown} ({right:.0%})")
            lines.append(f"| {name} | {pool} | {noise:.0%} | {spent} | {' | '.join(cells)} |")
    return lines


def _draw(of: dict[tuple[Any, ...], list[dict[int, Point]]], pool: int) -> None:
    """Accuracy over labels, for the largest pool."""
    names = list(dict.fromkeys(setting[0] for setting in of))
    picture = Figure(figsize=(10, 2.9 * len(names)), layout="constrained")
    axes = picture.subplots(len(names), len(_NOISE), sharex=True, sharey="row", squeeze=False)
    for row, name in enumerate(names):
        for column, noise in enumerate(_NOISE):
            for policy in _POLICIES:
                runs = of[name, pool, noise, policy]
                means = [np.mean([run[spent].accuracy for run in runs if spent in run]) for spent in _SPENT]
                axes[row, column].plot(_SPENT, means, ".-", label=policy)
            axes[row, column].set(title=f"{name}, {noise:.0%} of the labels wrong")
            axes[row, column].grid(alpha=0.3)
    axes[0, 0].legend(fontsize="small")
    picture.supxlabel("labels")
    picture.supylabel("accuracy")
    picture.savefig(_RESULT.parent / "relabel.png", dpi=110)


if __name__ == "__main__":
    main()
