"""Validity of the estimates: coverage of the 95 % intervals over many simulated projects.

    python -m benchmarks.evaluation --data FOLDER [--projects 1000] [--redraws 20]

FOLDER holds trec6/, banking77/ and sst2/ with train.jsonl and test.jsonl each. Each project draws 2,000 texts of one
data set, holds out three tenths of them as the backend does for a target, and labels the rest in batches selected by
`sampled` margins. The true accuracy is measured on all texts that the project did not draw. Projects with the same
model differ in the texts that are held out.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.model_selection import KFold

import strategies
from backend.evaluation.bounds import interval
from backend.evaluation.calibration import best_temperature, calibration_error, reliability, tempered
from backend.evaluation.estimators import ESTIMATORS, Sample
from backend.evaluation.unbiased import draws, risk
from backend.learners.heads import linear
from backend.runtime.libraries import quiet_libraries
from backend.store.texts import held_out
from benchmarks.projects import embedded, played
from strategies import Pool

Array = NDArray[Any]
_RESULT = Path(__file__).parent / "results" / "evaluation.md"
_POOL = 2000
_BATCH = 40
_QUEUES = 3  # past queues that the backend uses by default
_BATCHES = (5, 10, 20)  # batches of labels after which a project is measured
_DATA = ("trec6", "sst2", "banking77")
_SHARE = 0.3  # of the texts that is held out
_MEASURED = (20, 60, 200)  # held-out labels with which the last model is measured, one after the other
_WAYS = ("equal chances", "by doubt")
_DRAWS = 20  # of the held-out texts of a project, by each way
_CALIBRATIONS = {"as they are": 1.0, "far too sure": 0.05, "far too unsure": 10.0}  # temperature of the confidences


class Look(NamedTuple):
    """Estimates of one project, and the truth."""

    data: str
    labels: int  # held-out ones included
    truth: float  # accuracy on the texts outside the project
    audit: tuple[float, float, float]  # score, low, high
    powered: dict[str, list[tuple[float, float, float]]]  # by calibration, low, high and width / width of labels alone
    naive: float  # cross-validation accuracy on the selected labels
    corrected: tuple[float, float, float]  # R_LURE of the last models, each on the batch that it selected
    drawn: dict[tuple[str, int], float]  # by way and labels: mean squared error of the accuracy of the held-out texts
    former: float  # the truth of those models on the candidates at that time
    raw: list[dict[str, float]]  # reliability on the texts outside the project
    tempered: list[dict[str, float]]  # the same after temperature scaling on held-out labels


def projects(data: str, vectors: Array, targets: Array, seed: int, batches: int, redraws: int) -> list[Look]:
    """Train one model, and compute every estimate with so many draws of held-out texts."""
    rng = np.random.default_rng([seed, _DATA.index(data), batches])
    order = rng.permutation(len(vectors))
    pool = order[:_POOL]
    audit = np.array([held_out(seed, int(row), _SHARE) for row in pool])
    candidates, chosen = pool[~audit], np.empty(0, np.int64)
    classes = int(targets.max()) + 1
    strategy = strategies.get("sampled", base="margin")
    head, drawn_before, truths = None, [], []
    for _ in range(batches):
        if head is None:
            drawn = rng.permutation(len(candidates))[:_BATCH]
        else:
            probs = head.alone(vectors[candidates])
            selection = strategy.select(Pool(size=len(candidates), probs=probs), _BATCH, rng)
            drawn = selection.indices
            wrong = probs.argmax(axis=1) != targets[candidates]
            truths.append(1.0 - float(wrong.mean()))
            assert selection.probabilities is not None
            drawn_before.append(draws(wrong[drawn].astype(np.float64), selection.probabilities, len(candidates)))
        chosen = np.concatenate([chosen, candidates[drawn]])
        candidates = np.delete(candidates, drawn)
        head = linear.fit(vectors[chosen], targets[chosen], classes)
    assert head is not None

    found = risk(drawn_before[-_QUEUES:])
    assert found is not None
    corrected = 1.0 - found.mean, 1.0 - found.interval[1], 1.0 - found.interval[0]
    former = statistics.mean(truths[-_QUEUES:])
    naive = _cross_validated(vectors, targets, chosen, classes, seed)
    others = np.concatenate([pool[audit], order[_POOL:]])
    probs, truth = head.alone(vectors[others]), targets[others]

    def look() -> Look:
        redrawn = rng.permutation(len(others))
        reserve, world = redrawn[: audit.sum()], redrawn[audit.sum() :]
        measured = reserve[: round(len(chosen) / 9)]  # a tenth of all labels
        right = int((probs[measured].argmax(axis=1) == truth[measured]).sum())
        correct = probs[world].argmax(axis=1) == truth[world]
        temperature = best_temperature(probs[measured], truth[measured])
        raw, scaled = (
            reliability(each.max(axis=1), correct) for each in (probs[world], tempered(probs[world], temperature))
        )
        held_out_score = right / len(measured), *interval(right / len(measured), len(measured))
        powered = _powered(probs[reserve], truth[reserve])
        return Look(
            data, len(chosen) + len(measured), float(correct.mean()), held_out_score, powered, naive, corrected,
            _drawn(probs[reserve], truth[reserve], rng), former, raw, scaled,
        )  # fmt: skip

    return [look() for _ in range(redraws)]


def _powered(probs: Array, truth: Array) -> dict[str, list[tuple[float, float, float]]]:
    """Intervals of one model that is measured with more and more held-out labels, for each calibration."""
    right, found = probs.argmax(axis=1) == truth, {}
    for name, temperature in _CALIBRATIONS.items():
        confidence = tempered(probs, temperature).max(axis=1)
        found[name] = []
        for number, labels in enumerate(_MEASURED, 1):
            sample = Sample(right[:labels], confidence[:labels], confidence[labels:])
            alone, low, high = (
                interval(*ESTIMATORS["held_out"](sample), number),
                *interval(*ESTIMATORS["prediction_powered"](sample), number),
            )
            found[name].append((low, high, (high - low) / (alone[1] - alone[0])))
    return found


def _drawn(probs: Array, truth: Array, rng: np.random.Generator) -> dict[tuple[str, int], float]:
    """Held-out texts that are drawn by doubt, with perfect calibration: what such draws could bring at best.

    The optimal probability of a text is proportional to the standard deviation of being right (Kossen et al., Active
    Testing, ICML 2021), here mixed with an equal one. Pareto sampling (Rosén 1997) draws so many without replacement.
    """
    right = (probs.argmax(axis=1) == truth).astype(np.float64)
    confidence = tempered(probs, best_temperature(probs, truth)).max(axis=1)
    found = {}
    for labels in _MEASURED:
        equal = np.full(len(right), labels / len(right))
        doubt = np.sqrt(confidence * (1 - confidence))
        doubtful = np.minimum((equal + labels * doubt / doubt.sum()) / 2, 1.0)
        for way, chances in (("equal chances", equal), ("by doubt", doubtful)):
            errors = []
            for _ in range(_DRAWS):
                random = rng.random(len(right))
                order = np.argsort(random * (1 - chances) / ((1 - random) * np.maximum(chances, 1e-12)))[:labels]
                weights = 1 / chances[order]
                added = weights @ (right - confidence)[order] / weights.sum()
                errors.append([right[order].mean() - right.mean(), confidence.mean() + added - right.mean()])
            alone, powered = np.mean(np.square(errors), axis=0)
            found[way, labels] = float(powered)
            if way == "equal chances":
                found["labels alone", labels] = float(alone)
    return found


def _cross_validated(vectors: Array, targets: Array, chosen: Array, classes: int, seed: int) -> float:
    """Cross-validated accuracy on the selected labels."""
    right = []
    for train, test in KFold(5, shuffle=True, random_state=seed).split(chosen):
        head = linear.fit(vectors[chosen[train]], targets[chosen[train]], classes)
        predicted = head.alone(vectors[chosen[test]]).argmax(axis=1)
        right.append(predicted == targets[chosen[test]])
    return float(np.concatenate(right).mean())


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--projects", type=int, default=1000)
    parser.add_argument("--redraws", type=int, default=20, help="projects with the same model")
    parser.add_argument("--base-model", default="minilm")
    arguments = parser.parse_args()
    quiet_libraries()
    read_ones = embedded(arguments.data, _DATA, arguments.base_model)
    models = -(-arguments.projects // arguments.redraws)
    settings = [(_DATA[n % 3], _BATCHES[n // 3 % 3], n) for n in range(models)]
    looks_of = played(projects, [(d, *read_ones[d], seed, batches, arguments.redraws) for d, batches, seed in settings])
    looks = [each for of in looks_of for each in of]
    written = _table(looks, models)
    print(written)
    _RESULT.write_text(written, "utf-8")
    _draw_intervals(looks)
    _draw_reliability(looks)


def _table(looks: list[Look], models: int) -> str:
    def share(held: list[bool]) -> str:
        return f"{100 * statistics.mean(held):.1f} %"

    def points(values: list[float]) -> str:
        return f"{100 * statistics.mean(values):+.1f}"

    lines = [
        "# Validity of the estimates\n",
        f"`python -m benchmarks.evaluation`: {len(looks)} simulated projects of 2,000 texts with {models} models, each "
        "with several draws of the held-out texts; a linear head on MiniLM's embeddings, texts selected by `sampled` "
        "margins. The truth is the accuracy on the thousands of texts outside the project; for the correction, that of "
        "the last three models on the candidates at the time. Biases are in points of accuracy; the calibration error "
        "is of the predicted class's confidence.\n",
        "| data, labels | projects | accuracy | audit: truth in the interval | its width | audit: bias "
        "| cross-validation on the selected labels: bias | correction (R_LURE): truth in the interval | bias "
        "| calibration error | after temperature scaling |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups = {(each.data, each.labels) for each in looks}
    for key in [*sorted(groups), None]:
        of = [each for each in looks if key in (None, (each.data, each.labels))]
        cells = [
            f"{key[0]}, {key[1]}" if key else "**all**",
            str(len(of)),
            f"{statistics.mean(each.truth for each in of):.3f}",
            share([each.audit[1] <= each.truth <= each.audit[2] for each in of]),
            f"{statistics.mean(each.audit[2] - each.audit[1] for each in of):.3f}",
            points([each.audit[0] - each.truth for each in of]),
            points([each.naive - each.truth for each in of]),
            share([each.corrected[1] <= each.former <= each.corrected[2] for each in of]),
            points([each.corrected[0] - each.former for each in of]),
            f"{statistics.mean(calibration_error(each.raw) for each in of):.3f}",
            f"{statistics.mean(calibration_error(each.tempered) for each in of):.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, *_powered_table(looks), *_drawn_table(looks)]) + "\n"


def _powered_table(looks: list[Look]) -> list[str]:
    """What the confidences add, by data set and calibration."""
    lines = [
        "\n## Prediction-powered inference\n",
        f"The last model of each project, measured with {', '.join(map(str, _MEASURED))} of about {_SHARE * _POOL:.0f} "
        "held-out texts. Ratios are of the width of the interval to that of the same labels alone, at the same "
        "measurement: mean, and the widest of a hundred.\n",
        f"| data | confidences | all {len(_MEASURED)} intervals hold the truth "
        f"| {' | '.join(f'width ratio at {labels}' for labels in _MEASURED)} |",
        "|---|---|---|" + "---|" * len(_MEASURED),
    ]
    for data in [*_DATA, None]:
        of = [each for each in looks if data in (None, each.data)]
        for name in _CALIBRATIONS:
            held = [all(low <= each.truth <= high for low, high, _ in each.powered[name]) for each in of]
            ratios = np.array([[ratio for _, _, ratio in each.powered[name]] for each in of])
            cells = [f"{mean:.3f} ({most:.3f})" for mean, most in zip(
                ratios.mean(axis=0), np.quantile(ratios, 0.99, axis=0), strict=True)]  # fmt: skip
            lines.append(f"| {data or '**all**'} | {name} | {100 * np.mean(held):.1f} % | {' | '.join(cells)} |")
    return lines


def _drawn_table(looks: list[Look]) -> list[str]:
    """What draws by doubt could bring."""
    lines = [
        "\n## Held-out texts drawn by doubt\n",
        "Root mean squared error of the accuracy of all held-out texts, as a ratio to that of the labels alone. The "
        "confidences are perfectly calibrated, with all true labels. *Equal chances*: confidences and labels. *By "
        "doubt*: half of the chance of a text is proportional to the standard deviation of being right, and labels are "
        "weighted by it (active testing). The backend does not draw so.\n",
        "| data | " + " | ".join(f"{way}, {labels}" for way in _WAYS for labels in _MEASURED) + " |",
        "|---|" + "---|" * (len(_WAYS) * len(_MEASURED)),
    ]
    for data in [*_DATA, None]:
        of = [each for each in looks if data in (None, each.data)]
        error = {key: float(np.sqrt(np.mean([each.drawn[key] for each in of]))) for key in of[0].drawn}
        cells = [f"{error[way, labels] / error['labels alone', labels]:.3f}" for way in _WAYS for labels in _MEASURED]
        lines.append(f"| {data or '**all**'} | {' | '.join(cells)} |")
    return lines


def _draw_intervals(looks: list[Look]) -> None:
    """Sixty projects of one data set: intervals, truth, and cross-validation on the selected labels."""
    of = sorted((each for each in looks if each.data == "trec6"), key=lambda each: (each.labels, each.truth))
    of = of[:: max(1, len(of) // 60)]
    picture = Figure(figsize=(9, 4.5), layout="constrained")
    axes = picture.add_subplot()
    for place, each in enumerate(of):
        held = each.audit[1] <= each.truth <= each.audit[2]
        axes.plot([place, place], each.audit[1:], color="tab:blue" if held else "tab:red", linewidth=3, alpha=0.5)
    places = range(len(of))
    axes.plot([], [], color="tab:blue", linewidth=3, alpha=0.5, label="95 % interval of the held-out labels")
    axes.plot([], [], color="tab:red", linewidth=3, alpha=0.5, label="one that misses the truth")
    axes.plot(places, [each.truth for each in of], "k_", label="the truth")
    axes.plot(places, [each.naive for each in of], "x", color="tab:orange", label="cross-validation on selected labels")
    axes.set(xlabel="simulated projects: fewer labels on the left, more on the right", ylabel="accuracy", xticks=[])
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize="small", loc="lower right")
    picture.savefig(_RESULT.parent / "intervals.png", dpi=110)


def _draw_reliability(looks: list[Look]) -> None:
    """Reliability diagrams before and after temperature scaling, over the projects with the most labels."""
    picture = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, data in zip(picture.subplots(1, 3, sharey=True), _DATA, strict=True):
        of = [each for each in looks if each.data == data]
        of = [each for each in of if each.labels == max(each.labels for each in of)]
        for name, color in (("raw", "tab:orange"), ("tempered", "tab:blue")):
            means = np.mean([[[b["confidence"], b["accuracy"]] for b in getattr(each, name)] for each in of], axis=0)
            axes.plot(
                means[:, 0],
                means[:, 1],
                ".-",
                color=color,
                label="uncalibrated" if name == "raw" else "after temperature scaling",
            )
        axes.plot([0, 1], [0, 1], "k--", linewidth=1, label="perfect calibration")
        axes.set(title=f"{data}, {of[0].labels} labels", xlabel="confidence", xlim=(0, 1), ylim=(0, 1))
        axes.grid(alpha=0.3)
    picture.axes[0].set_ylabel("accuracy")
    picture.axes[0].legend(fontsize="small", loc="lower right")
    picture.savefig(_RESULT.parent / "reliability.png", dpi=110)


if __name__ == "__main__":
    main()
