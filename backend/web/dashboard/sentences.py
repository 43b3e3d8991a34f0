"""The sentences of the pages."""

from __future__ import annotations

from typing import Any

from backend.evaluation.control_arm import ENOUGH as COMPARED
from backend.learners.models.languages import UNKNOWN
from backend.overview.labels import Errors
from backend.overview.quality import Curve, Point, Quality
from backend.overview.queue import QueuedTask
from backend.overview.state import BaseModel, State
from backend.overview.unlearned import WithoutText
from backend.web.dashboard.language import Language

_MORE = 10  # held-out labels
_WORTH = 1.05  # factor of held-out labels
_UNSURE = 0.75  # probability of the top class, below which the second is named too
_NEW = 0.9  # share of the candidates that are closer to a labeled text
_DENSE = 0.75  # share of the candidates that have fewer similar texts


def state(now: State, t: Language) -> str:
    """The state of a project, in a sentence."""
    name = now["name"]
    if name == "working":
        return _working(now, t)
    if name == "waiting":
        sentence = t.ngettext("Waiting for %(n)s more label", "Waiting for %(n)s more labels", now["missing"])
        if now["published_at"] is not None:
            sentence = t.gettext("%(state)s; queue published %(ago)s", state=sentence, ago=t.ago(now["published_at"]))
        return sentence
    if name == "stopped":
        return t.gettext("Labeling may stop: %(why)s", why=now["why"])
    if name == "no_worker" and now["since"] is not None:
        return t.gettext("The worker last reported %(ago)s", ago=t.ago(now["since"]))
    others = {
        "left": t.gettext("Disconnected in Label Studio"),
        "no_worker": t.gettext("No worker has been started"),
        "trouble": t.gettext("Needs attention"),
        "paused": t.gettext("Paused"),
        "starting": t.gettext("Starting: creating the first queue"),
        "all_labeled": t.gettext("Every task is labeled"),
    }
    return others[name]


def briefly(now: State, t: Language) -> str:
    """The state without progress and times, for screen readers."""
    if now["name"] == "working":
        return step(now["step"], t)
    return state({**now, "published_at": None, "since": None}, t)


def step(name: str, t: Language) -> str:
    """Description of a step of a round."""
    return {
        "sync": t.gettext("Reading from Label Studio"),
        "train": t.gettext("Training"),
        "evaluate": t.gettext("Measuring quality"),
        "score": t.gettext("Scoring texts"),
        "select": t.gettext("Choosing the next tasks"),
        "publish": t.gettext("Publishing the queue"),
        "judge": t.gettext("Checking labels and stopping rules"),
    }.get(name, name)


def _working(now: State, t: Language) -> str:
    doing = step(now["step"], t)
    if (other := now.get("behind")) is not None:
        if now["seconds_left"] is None:
            return t.gettext("%(step)s: waiting for project %(project)s", step=doing, project=other)
        return t.gettext(
            "%(step)s: waiting for project %(project)s, about %(time)s",
            step=doing, project=other, time=t.lasting(now["seconds_left"]),
        )  # fmt: skip
    if now["share"] is None:
        return doing
    if now["seconds_left"] is None:
        return t.gettext("%(step)s, %(share)s", step=doing, share=t.percent(now["share"]))
    return t.gettext(
        "%(step)s, %(share)s, about %(time)s left",
        step=doing, share=t.percent(now["share"]), time=t.lasting(now["seconds_left"]),
    )  # fmt: skip


def advice(now: State, t: Language) -> str | None:
    """What to do about a state that blocks rounds; None for other states."""
    return {
        "no_worker": t.gettext("Start `lsal serve` or `lsal worker`. If it stopped, check its log."),
        "trouble": t.gettext("Run `lsal doctor` to find the cause and the fix."),
        "left": t.gettext("To continue, connect this backend again in the project's Settings → Model."),
    }.get(now["name"])


def why(item: QueuedTask, strategy: str | None, t: Language, several: bool = False) -> str:
    """Why a task is in the queue. several: name the controls."""
    if item["held_out"]:
        return t.gettext("Held out to measure model quality")
    found, reasons = item["why"] or {}, []
    for prediction in found.get("says", []):
        first, second = prediction.get("between", [(None, 1.0), (None, 0.0)])
        if first[1] < _UNSURE:
            between = t.gettext("unsure between %(first)s and %(second)s", first=first[0], second=second[0])
            reasons.append(f"{prediction['control']}: {between}" if several else between)
    if found.get("novelty", 0.0) >= _NEW:
        reasons.append(t.gettext("unlike any labeled text"))
    if found.get("density", 0.0) >= _DENSE:
        reasons.append(t.gettext("similar to many texts"))
    by = item["chosen_by"] or strategy
    if by == "random":
        reasons = [t.gettext("drawn at random")]
    if not reasons:
        return t.gettext("chosen by %(strategy)s", strategy=by) if by else ""
    return t.gettext(", ").join(reasons)


def unread(encoder: dict[str, Any], t: Language) -> str | None:
    """That the base model does not know the language of the texts; None if it does."""
    if encoder.get("unknown", 0.0) <= UNKNOWN:
        return None
    return t.gettext(
        "The base model %(name)s does not know %(share)s of the word pieces of the texts, and learns little from them. "
        "Set `base_model` in Extra params to `multilingual`, or to another model of their language.",
        name=encoder["measured"], share=t.percent(encoder["unknown"]),
    )  # fmt: skip


def without_text(found: WithoutText | None, t: Language) -> str | None:
    """That tasks have no text where the label config looks for it; None if all have one."""
    if found is None:
        return None
    sentence = t.ngettext(
        "%(n)s task of %(all)s has no text under %(values)s", "%(n)s tasks of %(all)s have no text under %(values)s",
        found["tasks"], all=t.number(found["of"]), values=", ".join(found["values"]),
    )  # fmt: skip
    fields = t.gettext(
        "task %(task)s has the fields %(fields)s", task=found["task"], fields=", ".join(found["fields"]) or "–"
    )
    return t.gettext("%(first)s; %(second)s", first=sentence, second=fields)


def base_model(found: BaseModel, t: Language) -> str:
    """Why a project has its base model, and what a comparison found."""
    sentence = {
        "texts": t.gettext("Chosen for the language of the texts"),
        "names": t.gettext("Chosen because the class names separate the texts better with it"),
        "labels": t.gettext("Chosen because it learns the labels better"),
        "person": t.gettext("Chosen by a person"),
        "upgrade": t.gettext("Chosen by an earlier release"),
    }[found["by"]]
    if found["better"] is None or found["gain"] is None or found["error"] is None:
        return sentence
    better = t.gettext(
        "on %(labels)s training labels %(better)s was right more often, by %(gain)s ± %(error)s percentage points",
        labels=t.number(found["labels"] or 0), better=found["better"], gain=t.number(100 * found["gain"], 1),
        error=t.number(100 * found["error"], 1),
    )  # fmt: skip
    return t.gettext("%(first)s; %(second)s", first=sentence, second=better)


def worth(point: Point, t: Language) -> str | None:
    """What the model's confidences add to the held-out labels; None if next to nothing."""
    held_out, effective = point["held_out"], point["effective"]
    if effective is None or effective < _WORTH * held_out:
        return None
    return t.gettext("as precise as %(n)s without the model's confidences", n=t.number(round(effective)))


def more(point: Point, left: int, t: Language) -> str | None:
    """By how much further held-out labels narrow the interval: its width falls with the root of their number.

    left: held-out tasks without a label; None for fewer than that many.
    """
    if left < _MORE:
        return None
    width, held_out = point["high"] - point["low"], point["held_out"]
    then = width * (held_out / (held_out + _MORE)) ** 0.5
    return t.gettext(
        "%(n)s more narrow the interval from %(now)s to about %(then)s", n=t.number(_MORE), now=t.number(width, 2),
        then=t.number(then, 2),
    )  # fmt: skip


def calibration(curve: Curve, t: Language) -> str | None:
    """How far confidences are from the share of right answers; None if chance may have made it."""
    error = curve.get("calibration_error")
    if error is None or not curve.get("miscalibrated"):
        return None
    return t.gettext("%(error)s percentage points on average", error=t.number(100 * error, 1))


def errors(found: Errors, t: Language) -> str:
    """How many labels seem wrong, as far as is known."""
    number, low, high = (t.number(round(found[name])) for name in ("number", "low", "high"))
    labels = t.number(found["labels"])
    if found["low"] == 0.0:
        return t.gettext(
            "It is not certain that any of %(labels)s labels is wrong; about %(number)s may be, at most %(high)s",
            labels=labels, number=number, high=high,
        )  # fmt: skip
    return t.gettext(
        "About %(number)s of %(labels)s labels seem wrong (%(low)s to %(high)s)", labels=labels, number=number,
        low=low, high=high,
    )  # fmt: skip


def saved(curve: Curve, left: int, t: Language) -> str | None:
    """Comparison with random labeling, as far as the held-out labels support it. None except for single choices.

    left: held-out tasks without a label.
    """
    control_arm, last = curve["saved"], curve["points"][-1]
    if last["metric"] != "accuracy":
        return None
    if control_arm is None:
        if last["held_out"] >= COMPARED:
            return t.gettext("Not yet known: more selected labels are needed")
        if (most := last["held_out"] + left) < COMPARED:
            return t.gettext(
                "Cannot be known here: it takes %(n)s held-out labels, and there are %(most)s held-out tasks",
                n=t.number(COMPARED), most=t.number(most),
            )  # fmt: skip
        return t.gettext("Not yet known: %(n)s held-out labels are needed", n=t.number(COMPARED))
    labels = control_arm["labels"]
    if "needed" not in control_arm:
        low, high = (t.number(100 * each, 1) for each in control_arm["better"])
        return t.gettext(
            "No significant gain over random labeling at %(labels)s labels "
            "(95 %% interval: %(low)s to %(high)s percentage points)",
            labels=t.number(labels), low=low, high=high,
        )  # fmt: skip
    at_least, at_most = (each if each is not None else labels for each in control_arm["needed_interval"])
    return t.gettext(
        "%(needed)s chosen labels are worth %(labels)s random ones (95 %% interval: %(low)s to %(high)s)",
        needed=t.number(control_arm["needed"] or labels), labels=t.number(labels), low=t.number(at_least),
        high=t.number(at_most),
    )  # fmt: skip


def forecast(measured: Quality, *, asked: bool, t: Language) -> str:
    """How many labels are still needed for the target."""
    found = measured["forecast"]
    if not asked:
        return t.gettext("No target is set")
    if measured["reached"]:
        return t.gettext("The target is reached, statistically confirmed")
    if not measured["held_out_left"]:
        return t.gettext(
            "No held-out task is left, so the target stays uncertain. A larger `audit_share` in Extra params holds out "
            "more"
        )
    takes, there = max(
        ((each["needed"] or 0, each["points"][-1]["held_out"]) for each in measured["controls"].values()),
        default=(0, 0),
    )
    if (found is None or found["high"] is None) and takes > (most := there + measured["held_out_left"]):
        return t.gettext(
            "With this score it takes about %(n)s held-out labels to be certain of the target, and there are %(most)s "
            "held-out tasks. A larger `audit_share` in Extra params holds out more, and a lower `target` takes fewer",
            n=t.number(takes), most=t.number(most),
        )  # fmt: skip
    if found is None:
        return t.gettext("Labels still needed: not yet known")
    if found["high"] is None:
        return t.gettext(
            "About %(n)s more labels for the target (at least %(low)s)", n=t.number(found["labels"]),
            low=t.number(found["low"]),
        )  # fmt: skip
    return t.gettext(
        "About %(n)s more labels for the target (%(low)s to %(high)s)", n=t.number(found["labels"]),
        low=t.number(found["low"]), high=t.number(found["high"]),
    )  # fmt: skip


def metric(name: str, t: Language) -> str:
    """Display name of a metric."""
    return {
        "accuracy": t.gettext("accuracy"),
        "mae": t.gettext("mean absolute error"),
        "pair_accuracy": t.gettext("accuracy of comparisons"),
        "micro_f1": t.gettext("micro F1"),
        "span_f1": t.gettext("span F1"),
    }.get(name, name.replace("_", " "))


def done(action: str, t: Language) -> str | None:
    """Confirmation of an action; None for unknown actions."""
    return {
        "train": t.gettext("A round starts as soon as the worker is free."),
        "cancel": t.gettext("The round ends soon. The next one begins after another batch of labels, or on Train now."),
        "strategy": t.gettext("The queue is rebuilt as soon as the worker is free."),
        "base_model": t.gettext("An adapter of this base model is trained as soon as the worker is free."),
        "rollback": t.gettext("The earlier adapter is put in service as soon as the worker is free."),
        "paused": t.gettext("No round starts automatically until you resume."),
        "resumed": t.gettext("Rounds start automatically again."),
    }.get(action)
