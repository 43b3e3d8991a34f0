"""The stopping rule: how often it stops too early, and how many labels after the target was reached.

    python -m benchmarks.stopping --data FOLDER [--projects 1000]

FOLDER holds trec6/, banking77/ and sst2/ with train.jsonl and test.jsonl each. Each project selects texts by `margin`
and trains a linear head on MiniLM's embeddings whenever its labels have grown by a seventh. Its target is 95 % of the
accuracy with all its texts labeled; the truth is measured on thousands of other texts. About 30 minutes of two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

import strategies
from backend.evaluation.bounds import RISK, due, level, lower_end
from backend.evaluation.forecast import Forecast, Plan, Point, forecast
from backend.evaluation.measures import wilson
from backend.learners.heads import linear
from backend.rounds.quality.goals import NEAR
from backend.runtime.libraries import quiet_libraries
from benchmarks.projects import embedded, played
from strategies import Pool

Array = NDArray[Any]
_RESULT = Path(__file__).parent / "results" / "stopping.md"
_GROWTH = 1.15  # of labels between models
_SHARE = 0.1  # fraction of the labels that is held out
_STABLE, _WINDOW = 0.99, 3  # stabilizing predictions: Bloodgood & Vijay-Shanker 2009


class Data(NamedTuple):
    """Setup of a data set: candidates, held-out texts, labels per round, and maximum number of training labels."""

    candidates: int
    held_out: int
    batch: int
    most: int


_DATA = {
    "trec6": Data(3000, 1200, 40, 2600),
    "sst2": Data(4000, 1500, 20, 3000),
    "banking77": Data(6000, 1500, 50, 3000),
}


class Played(NamedTuple):
    """Quality of a project's J successive models."""

    sizes: list[int]  # training labels of each
    truth: Array  # accuracy of each on the texts outside the project: (J,)
    right: Array  # whether each is correct on each held-out text, in order of labeling: (J, H)
    stable_at: int  # index of the first model with stable predictions; −1: none
    full: float  # accuracy with all candidates labeled


class Stop(NamedTuple):
    """Where a rule stopped, and where it should have stopped."""

    labels: float  # infinite: never stopped
    early: bool
    held_out: int
    reached: float  # labels at which the truth reached the target
    oracle: float  # labels at which the rule's interval around the truth lay above the target
    half_way: tuple[float, Forecast | None] | None  # labels when the forecast was made, and the forecast


Rule = Callable[
    [float, int, int], float | None
]  # score, labels, labels at the last check → lower bound, if a check is due


def ours(score: float, labels: int, last: int, *, risk: float = RISK) -> float | None:
    """The backend's rule."""
    return lower_end(score, labels, level(labels, last, risk)) if due(labels, last) else None


def plain(score: float, labels: int, _last: int) -> float | None:
    """Lower end of the usual interval, checked in every round."""
    return wilson(round(score * labels), labels)[0] if labels >= 10 else None


def path(data: str, vectors: Array, targets: Array, seed: int) -> Played:
    """Train one project's models."""
    plan = _DATA[data]
    rng = np.random.default_rng([seed, list(_DATA).index(data)])
    order = rng.permutation(len(vectors))
    candidates, held_out = order[: plan.candidates], order[plan.candidates : plan.candidates + plan.held_out]
    world = order[plan.candidates + plan.held_out :]
    classes, margin = int(targets.max()) + 1, strategies.get("margin")
    everything = linear.fit(vectors[candidates], targets[candidates], classes)
    full = float((_predicted(everything, vectors[world]) == targets[world]).mean())
    chosen, head, size = np.empty(0, np.int64), None, 2 * plan.batch
    sizes, truth, right, agreed = [], [], [], []
    before: Array | None = None
    while size <= plan.most:
        wanted = size - len(chosen)
        if head is None:
            drawn = rng.permutation(len(candidates))[:wanted]
        else:
            probs = head.alone(vectors[candidates])
            drawn = margin.select(Pool(size=len(candidates), probs=probs), wanted, rng).indices
        chosen, candidates = np.concatenate([chosen, candidates[drawn]]), np.delete(candidates, drawn)
        head = linear.fit(vectors[chosen], targets[chosen], classes)
        predictions = _predicted(head, vectors[held_out])
        if before is not None:
            agreed.append(cohen_kappa_score(before, predictions))
        before = predictions
        sizes.append(size)
        truth.append((_predicted(head, vectors[world]) == targets[world]).mean())
        right.append(predictions == targets[held_out])
        size = max(size + plan.batch, round(size * _GROWTH))
    settled = [k for k in range(_WINDOW, len(sizes)) if np.mean(agreed[k - _WINDOW : k]) >= _STABLE]
    return Played(sizes, np.array(truth), np.array(right), settled[0] if settled else -1, full)


def _predicted(head: Any, vectors: Array) -> Array:
    return np.asarray(head.alone(vectors).argmax(axis=1))


def stop(
    played: Played, plan: Data, target: float, rule: Rule, near: float, *, forecast_at: float | None = None
) -> Stop:
    """Label until the rule stops. near: fraction of held-out labels once the score reaches the target.

    forecast_at: number of labels at which to make a forecast.
    """
    learned, measured, last = 0.0, 0.0, 0
    reached, oracle, stopped, early, held_out = np.inf, np.inf, np.inf, False, 0
    score, half_way, points = 0.0, None, []
    seen = -1
    while learned < played.sizes[-1] and not (np.isfinite(stopped) and np.isfinite(oracle)):
        fresh = min(plan.batch * (near if score >= target else _SHARE), plan.held_out - measured)
        learned, measured = learned + plan.batch - fresh, measured + fresh
        labels, total = int(measured), learned + measured
        place = int(np.searchsorted(played.sizes, learned, side="right")) - 1
        if place < 0 or labels == 0:
            continue
        score, truth = float(played.right[place, :labels].mean()), float(played.truth[place])
        if place != seen:
            seen = place
            points.append(Point(played.sizes[place], labels, score))
        if truth >= target:
            reached = min(reached, total)
        low, knowing = rule(score, labels, last), rule(truth, labels, last)
        if low is not None and knowing is not None:
            last = labels
            if knowing >= target:
                oracle = min(oracle, total)
            if low >= target and not np.isfinite(stopped):
                stopped, early, held_out = total, truth < target, labels
        if forecast_at is not None and half_way is None and total >= forecast_at:
            left = plan.candidates - learned, plan.held_out - measured
            half_way = (
                total,
                forecast(points, Plan(target, RISK, last, plan.batch, _SHARE, near, int(left[0]), int(left[1]))),
            )
    return Stop(stopped, early, held_out, reached, oracle, half_way)


class Project(NamedTuple):
    """Results of every rule on one project."""

    data: str
    stops: dict[str, Stop]
    never: dict[str, bool]  # whether the rule stops although the target is just above the best accuracy
    stable: tuple[float, float]  # labels at which predictions became stable, and accuracy / target then
    reached: float


_RULES: dict[str, tuple[Rule, float]] = {
    "usual interval, a tenth held out": (plain, _SHARE),
    "valid interval, a tenth held out": (ours, _SHARE),
    "valid interval, half held out near the target": (ours, NEAR),
    "the same with a risk of 20 %": (partial(ours, risk=0.2), NEAR),
}
_OURS = "valid interval, half held out near the target"


def project(data: str, vectors: Array, targets: Array, seed: int) -> Project:
    """Simulate one project, and apply every rule to it."""
    plan, played = _DATA[data], path(data, vectors, targets, seed)
    target = 0.95 * played.full
    stops = {name: stop(played, plan, target, rule, near) for name, (rule, near) in _RULES.items()}
    first = stops[_OURS].labels
    if np.isfinite(first):
        rule, near = _RULES[_OURS]
        stops[_OURS] = stop(played, plan, target, rule, near, forecast_at=first / 2)
    out_of_reach = float(played.truth.max()) + 1e-6
    never = {name: np.isfinite(stop(played, plan, out_of_reach, rule, near).labels)
             for name, (rule, near) in _RULES.items()}  # fmt: skip
    settled = (np.inf, np.nan)
    if played.stable_at >= 0:
        settled = played.sizes[played.stable_at] / (1 - _SHARE), float(played.truth[played.stable_at]) / target
    return Project(data, stops, never, settled, stops[_OURS].reached)


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--projects", type=int, default=1000)
    parser.add_argument("--base-model", default="minilm")
    arguments = parser.parse_args()
    quiet_libraries()
    vectors = embedded(arguments.data, list(_DATA), arguments.base_model)
    settings = [(list(_DATA)[n % len(_DATA)], n) for n in range(arguments.projects)]
    done = played(project, [(data, *vectors[data], seed) for data, seed in settings])
    written = _table(done)
    print(written)
    _RESULT.write_text(written, "utf-8")
    _draw(done)


def _table(projects: list[Project]) -> str:
    lines = [
        "# When to stop\n",
        f"`python -m benchmarks.stopping`: {len(projects)} simulated projects, a linear head on MiniLM's embeddings, "
        "texts selected by `margin`. The target is 95 % of the accuracy with all texts labeled; the truth is "
        "measured on thousands of others. `oracle` knows the truth and stops as soon as the rule's interval around it "
        "lies above the target. A project that its rule does not stop counts as infinitely many labels; all label "
        "counts are medians.\n",
        "| data | rule | stops before the target is reached | stops though the target is just out of reach "
        "| does not stop | labels at the stop | of them held out | target reached at | oracle | stop / oracle "
        "| stop / reached |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for data in [*_DATA, None]:
        of = [each for each in projects if data in (None, each.data)]
        for name in _RULES:
            stops = [each.stops[name] for each in of]
            cells = [data or "**all**", name, _share([s.early for s in stops]), _share([p.never[name] for p in of]),
                     _share([not np.isfinite(s.labels) for s in stops]), _median([s.labels for s in stops]),
                     _median([s.held_out for s in stops if s.held_out]), _median([s.reached for s in stops]),
                     _median([s.oracle for s in stops]), _ratio([(s.labels, s.oracle) for s in stops]),
                     _ratio([(s.labels, s.reached) for s in stops])]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    lines.append(
        "\nForecasts of the labels still needed, after half of the labels that the third rule needs; and the point "
        "where predictions became stable (mean kappa of three models in a row at least 0.99, Bloodgood & Vijay-Shanker "
        "2009).\n\n"
        "| data | unknown | truth between low and high | median forecast / truth | predictions stable at | never "
        "| accuracy then / target |\n|---|---|---|---|---|---|---|"
    )
    for data in [*_DATA, None]:
        of = [each for each in projects if data in (None, each.data)]
        half_way = [
            (each.stops[_OURS].labels - t[0], t[1]) for each in of if (t := each.stops[_OURS].half_way) is not None
        ]
        known = [(truth, found) for truth, found in half_way if found is not None]
        held = [found.low <= truth <= (found.high or np.inf) for truth, found in known]
        settled = [each.stable for each in of if np.isfinite(each.stable[0])]
        cells = [data or "**all**", _share([found is None for _, found in half_way]), _share(held),
                 _ratio([(found.labels, truth) for truth, found in known]), _median([s[0] for s in settled]),
                 _share([not np.isfinite(each.stable[0]) for each in of]),
                 f"{np.median([s[1] for s in settled]):.2f}" if settled else "-"]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _share(held: list[bool]) -> str:
    return f"{100 * np.mean(held):.1f} %" if held else "-"


def _median(values: list[float]) -> str:
    middle = float(np.median(values)) if values else np.inf
    return f"{middle:.0f}" if np.isfinite(middle) else "∞"


def _ratio(pairs: list[tuple[float, float]]) -> str:
    """Median of ratios; a ratio of two infinite values is 1."""
    ratios = [1.0 if a == b else a / b for a, b in pairs]
    middle = float(np.median(ratios)) if ratios else np.inf
    return f"{middle:.2f}" if np.isfinite(middle) else "∞"


def _draw(projects: list[Project]) -> None:
    """By data set: fraction of stopped projects over labels, relative to those at which the target was reached."""
    picture = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, data in zip(picture.subplots(1, len(_DATA), sharey=True), _DATA, strict=True):
        of = [each for each in projects if each.data == data]
        for name, color in zip(_RULES, ("tab:orange", "tab:red", "tab:blue", "tab:cyan"), strict=True):
            ratios = np.sort([each.stops[name].labels / each.stops[name].reached for each in of])
            axes.step(ratios, np.arange(1, len(ratios) + 1) / len(ratios), where="post", color=color, label=name)
        axes.axvline(1.0, color="k", linestyle="--", linewidth=1)
        axes.set(
            title=data, xlabel="labels at the stop / labels at the target", xscale="log", xlim=(0.2, 20), ylim=(0, 1)
        )
        axes.set_xticks([0.25, 0.5, 1, 2, 4, 8, 16], ["¼", "½", "1", "2", "4", "8", "16"])
        axes.grid(alpha=0.3)
    picture.axes[0].set_ylabel("share of projects that have stopped")
    picture.axes[0].legend(fontsize="x-small", loc="upper left")
    picture.savefig(_RESULT.parent / "stopping.png", dpi=110)


if __name__ == "__main__":
    main()
