"""The stopping rule: how often it stops too early, and how many labels after the target was reached.

    python -m benchmarks.stopping --data FOLDER [--projects 1000] [--redraws 20]

FOLDER holds trec6/, banking77/ and sst2/ with train.jsonl and test.jsonl each. Each project selects texts by `margin`
and trains a linear head on MiniLM's embeddings whenever its labels have grown by a seventh. Its targets are 95 and 90 %
of the accuracy with all its texts labeled; the truth is measured on thousands of other texts. Projects with the same
models differ in the texts that are held out. About a minute of one core for each series of models.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

import strategies
from backend.evaluation.bounds import RISK, due, interval, level, lower_end
from backend.evaluation.estimators import Estimator, Sample, held_out, prediction_powered
from backend.evaluation.forecast import Forecast, Plan, Point, forecast
from backend.evaluation.measures import wilson
from backend.learners.heads import linear
from backend.rounds.quality.held_out import NEAR
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
    held_out: int  # as many as `audit_share: auto` holds out of all these texts with a target
    batch: int
    most: int


_DATA = {
    "trec6": Data(3000, 1200, 40, 2600),
    "sst2": Data(4000, 1200, 20, 3000),
    "banking77": Data(6000, 1200, 50, 3000),
}


class Models(NamedTuple):
    """A project's J successive models, and what they predict for all O texts that none was trained on."""

    sizes: list[int]  # training labels of each
    right: Array  # whether each is correct: (J, O)
    confidence: Array  # of these predictions: (J, O)
    stable_at: int  # index of the first model with stable predictions; −1: none
    full: float  # accuracy with all candidates labeled


class Played(NamedTuple):
    """Quality of a project's J successive models."""

    sizes: list[int]  # training labels of each
    truth: Array  # accuracy of each on the texts outside the project: (J,)
    right: Array  # whether each is correct on each held-out text, in order of labeling: (J, H)
    confidence: Array  # of these predictions: (J, H)
    stable_at: int  # index of the first model with stable predictions; −1: none
    full: float  # accuracy with all candidates labeled


class Stop(NamedTuple):
    """Where a rule stopped, and where it should have stopped."""

    labels: float  # infinite: never stopped
    early: bool
    held_out: int
    reached: float  # labels at which the truth reached the target
    oracle: float  # labels at which the rule's interval around the truth lay above the target
    earliest: float  # labels at which one with the whole risk did
    held: list[bool]  # whether the interval of each model contained the truth, when it was first measured
    half_way: tuple[float, Forecast | None] | None  # labels when the forecast was made, and the forecast


class Rule(NamedTuple):
    """A stopping rule."""

    estimator: Estimator = held_out
    reserve: float | None = None  # share of all texts that is held out; None: as many as `audit_share: auto`
    near: float = NEAR  # share of the labels that is held out once the score reaches the target
    risk: float = RISK
    usual: bool = False  # whether the usual interval is checked in every round

    def bound(self, score: float, effective: float, labels: int, last: int) -> float | None:
        """Lower bound if a check is due. labels, last: held-out labels now and at the last check."""
        if self.usual:
            return wilson(round(score * labels), labels)[0] if labels >= 10 else None
        return lower_end(score, effective, level(labels, last, self.risk)) if due(labels, last) else None


def train(data: str, vectors: Array, targets: Array, seed: int) -> Models:
    """Train one project's models."""
    plan = _DATA[data]
    rng = np.random.default_rng([seed, list(_DATA).index(data)])
    order = rng.permutation(len(vectors))
    candidates, others = order[: plan.candidates], order[plan.candidates :]
    classes, margin = int(targets.max()) + 1, strategies.get("margin")
    everything = linear.fit(vectors[candidates], targets[candidates], classes)
    full = float((everything.alone(vectors[others]).argmax(axis=1) == targets[others]).mean())
    chosen, head, size = np.empty(0, np.int64), None, 2 * plan.batch
    sizes, right, confidence, agreed = [], [], [], []
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
        found = head.alone(vectors[others])
        predictions = found.argmax(axis=1)
        if before is not None:
            agreed.append(cohen_kappa_score(before, predictions))
        before = predictions
        sizes.append(size)
        right.append(predictions == targets[others])
        confidence.append(found.max(axis=1).astype(np.float64))
        size = max(size + plan.batch, round(size * _GROWTH))
    settled = [k for k in range(_WINDOW, len(sizes)) if np.mean(agreed[k - _WINDOW : k]) >= _STABLE]
    return Models(sizes, np.array(right), np.array(confidence), settled[0] if settled else -1, full)


def held_out_of(models: Models, texts: int, rng: np.random.Generator) -> Played:
    """Hold out so many of the texts that no model was trained on; the others are the truth."""
    order = rng.permutation(models.right.shape[1])
    reserve, world = order[:texts], order[texts:]
    return Played(
        models.sizes, models.right[:, world].mean(axis=1), models.right[:, reserve], models.confidence[:, reserve],
        models.stable_at, models.full,
    )  # fmt: skip


def distorted(played: Played, rng: np.random.Generator) -> Played:
    """The same models with confidences that are far too high or too low, each in another way."""
    odds = np.log(np.clip(played.confidence, 1e-6, 1 - 1e-6) / np.clip(1 - played.confidence, 1e-6, 1))
    temperatures = np.exp(rng.uniform(-np.log(20), np.log(20), len(odds)))[:, None]
    return played._replace(confidence=1 / (1 + np.exp(-odds / temperatures)))


def stop(played: Played, plan: Data, target: float, rule: Rule, *, forecast_at: float | None = None) -> Stop:
    """Label until the rule stops. forecast_at: number of labels at which to make a forecast."""
    most = plan.held_out if rule.reserve is None else round(rule.reserve * (plan.candidates + plan.held_out))
    learned, measured, last = 0.0, 0.0, 0
    reached, oracle, earliest, stopped, early, labels_held_out = np.inf, np.inf, np.inf, np.inf, False, 0
    score, half_way, points, held = 0.0, None, [], []
    seen = -1
    while learned < played.sizes[-1] and not (np.isfinite(stopped) and np.isfinite(oracle)):
        fresh = min(plan.batch * (rule.near if score >= target else _SHARE), most - measured)
        learned, measured = learned + plan.batch - fresh, measured + fresh
        labels, total = int(measured), learned + measured
        place = int(np.searchsorted(played.sizes, learned, side="right")) - 1
        if place < 0 or labels == 0:
            continue
        right, confidence, truth = played.right[place], played.confidence[place], float(played.truth[place])
        score, effective = rule.estimator(Sample(right[:labels], confidence[:labels], confidence[labels:most]))
        if place != seen:
            seen = place
            ends = interval(score, effective)
            held.append(ends[0] <= truth <= ends[1])
            points.append(Point(played.sizes[place], effective, score))
        if truth >= target:
            reached = min(reached, total)
        if lower_end(truth, effective, rule.risk) >= target:
            earliest = min(earliest, total)
        low, knowing = rule.bound(score, effective, labels, last), rule.bound(truth, effective, labels, last)
        if low is not None and knowing is not None:
            last = labels
            if knowing >= target:
                oracle = min(oracle, total)
            if low >= target and not np.isfinite(stopped):
                stopped, early, labels_held_out = total, truth < target, labels
        if forecast_at is not None and half_way is None and total >= forecast_at:
            left = plan.candidates - learned, most - measured
            half_way = (
                total,
                forecast(points, Plan(target, RISK, last, plan.batch, _SHARE, rule.near, int(left[0]), int(left[1]))),
            )
    return Stop(stopped, early, labels_held_out, reached, oracle, earliest, held, half_way)


class Project(NamedTuple):
    """Results of every rule on one project."""

    data: str
    stops: dict[tuple[float, str], Stop]  # by share of the full accuracy that is the target, and rule
    never: dict[str, bool]  # whether the rule stops although the target is just above the best accuracy
    held: dict[str, list[bool]]  # by estimate, whether the interval of each model contained the truth
    stable: tuple[float, float]  # labels at which predictions became stable, and accuracy / target then
    full: float


_GOALS = (0.95, 0.9)
_OURS = "the backend"
_POWERED = "the same with the model's confidences, not exact"
_RULES: dict[str, Rule] = {
    "usual interval, a tenth held out": Rule(reserve=0.1, near=_SHARE, usual=True),
    "valid interval, a tenth held out": Rule(reserve=0.1),
    _OURS: Rule(),
    _POWERED: Rule(prediction_powered),
    "the same with a risk of 20 %": Rule(risk=0.2),
}


def projects(data: str, vectors: Array, targets: Array, seed: int, redraws: int) -> list[Project]:
    """Train one series of models, and apply every rule to it with so many draws of held-out texts."""
    models, rng = train(data, vectors, targets, seed), np.random.default_rng([seed, 1])
    return [_project(data, held_out_of(models, _DATA[data].held_out, rng), rng) for _ in range(redraws)]


def _project(data: str, played: Played, rng: np.random.Generator) -> Project:
    plan = _DATA[data]
    stops = {(share, name): stop(played, plan, share * played.full, rule)
             for share in _GOALS for name, rule in _RULES.items()}  # fmt: skip
    first = stops[_GOALS[0], _OURS].labels
    target = _GOALS[0] * played.full
    if np.isfinite(first):
        stops[_GOALS[0], _OURS] = stop(played, plan, target, _RULES[_OURS], forecast_at=first / 2)
    out_of_reach = float(played.truth.max()) + 1e-6
    whole = {name: stop(played, plan, out_of_reach, rule) for name, rule in _RULES.items()}
    held = {
        "labels alone": whole[_OURS].held,
        "with confidences": whole[_POWERED].held,
        "with distorted confidences": stop(distorted(played, rng), plan, out_of_reach, _RULES[_POWERED]).held,
    }
    settled = (np.inf, np.nan)
    if played.stable_at >= 0:
        settled = played.sizes[played.stable_at] / (1 - _SHARE), float(played.truth[played.stable_at]) / target
    never = {name: bool(np.isfinite(each.labels)) for name, each in whole.items()}
    return Project(data, stops, never, held, settled, played.full)


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--projects", type=int, default=1000)
    parser.add_argument("--redraws", type=int, default=20, help="projects with the same models")
    parser.add_argument("--base-model", default="minilm")
    arguments = parser.parse_args()
    quiet_libraries()
    vectors = embedded(arguments.data, list(_DATA), arguments.base_model)
    series = -(-arguments.projects // arguments.redraws)
    settings = [(list(_DATA)[n % len(_DATA)], n) for n in range(series)]
    played_out = played(projects, [(data, *vectors[data], seed, arguments.redraws) for data, seed in settings])
    done = [each for of in played_out for each in of]
    written = _table(done, series)
    print(written)
    _RESULT.write_text(written, "utf-8")
    _draw(done)


def _table(projects: list[Project], series: int) -> str:
    lines = [
        "# When to stop\n",
        f"`python -m benchmarks.stopping`: {len(projects)} simulated projects with {series} series of models, each "
        "with several draws of the held-out texts; a linear head on MiniLM's embeddings, texts selected by `margin`; "
        "half of the labels are held out once the score "
        "reaches the target. The target is a share of the accuracy with all texts labeled, so that it lies below that "
        "by the points in brackets; the truth is measured on thousands of others. `oracle` knows the truth and stops "
        "as soon as the rule's interval around it lies above the target. `earliest` also knows the best moment, checks "
        "only then, and so with the whole risk: no exact rule stops half of the projects earlier with these held-out "
        "labels. A project that its rule does not stop counts as infinitely many labels; all label counts are medians, "
        "and ratios medians of ratios.\n",
    ]
    for share in _GOALS:
        lines.append(
            f"\n## Target: {share:.0%} of the accuracy with all texts labeled\n\n"
            "| data | rule | stops before the target is reached | stops though the target is just out of reach "
            "| does not stop | labels at the stop | of them held out | target reached at | oracle | stop / oracle "
            "| stop / reached | earliest / reached |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
        )
        for data in [*_DATA, None]:
            of = [each for each in projects if data in (None, each.data)]
            below = 100 * (1 - share) * float(np.median([each.full for each in of]))
            for name in _RULES:
                stops = [each.stops[share, name] for each in of]
                cells = [f"{data or '**all**'} ({below:.1f})", name, _share([s.early for s in stops]),
                         _share([p.never[name] for p in of]), _share([not np.isfinite(s.labels) for s in stops]),
                         _median([s.labels for s in stops]), _median([s.held_out for s in stops if s.held_out]),
                         _median([s.reached for s in stops]), _median([s.oracle for s in stops]),
                         _ratio([(s.labels, s.oracle) for s in stops]),
                         _ratio([(s.labels, s.reached) for s in stops]),
                         _ratio([(s.earliest, s.reached) for s in stops])]  # fmt: skip
                lines.append(f"| {' | '.join(cells)} |")
    lines.append(
        "\n## Intervals of successive models\n\nShare of the models, each when it is first measured, whose 95 % "
        "interval contains the truth. *Distorted*: the confidences of each model are far too high or too low, each in "
        "another way.\n\n"
        "| data | " + " | ".join(projects[0].held) + " |\n|---|" + "---|" * len(projects[0].held)
    )
    for data in [*_DATA, None]:
        of = [each for each in projects if data in (None, each.data)]
        shares = [_share([held for each in of for held in each.held[name]]) for name in projects[0].held]
        lines.append(f"| {data or '**all**'} | {' | '.join(shares)} |")
    lines.append(
        "\n## Forecasts\n\nOf the labels still needed, after half of those that the backend needs; and the point "
        "where predictions became stable (mean kappa of three models in a row at least 0.99, Bloodgood & Vijay-Shanker "
        "2009).\n\n"
        "| data | unknown | truth between low and high | median forecast / truth | predictions stable at | never "
        "| accuracy then / target |\n|---|---|---|---|---|---|---|"
    )
    for data in [*_DATA, None]:
        of = [each for each in projects if data in (None, each.data)]
        half_way = [
            (each.stops[_GOALS[0], _OURS].labels - t[0], t[1])
            for each in of
            if (t := each.stops[_GOALS[0], _OURS].half_way) is not None
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
        colors = ("tab:orange", "tab:red", "tab:purple", "tab:blue", "tab:cyan")
        for name, color in zip(_RULES, colors, strict=True):
            stops = [each.stops[_GOALS[-1], name] for each in of]
            ratios = np.sort([each.labels / each.reached for each in stops])
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
