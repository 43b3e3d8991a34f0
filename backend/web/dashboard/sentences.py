"""What the pages say in words."""

from __future__ import annotations

from typing import Any

from backend.overview.quality import Forecast
from backend.overview.queue import QueuedTask
from backend.overview.state import State
from backend.web.dashboard.language import Language

_UNSURE = 0.75  # probability of the likeliest class below which the second is worth a word
_NEW = 0.9  # of the candidates are less far from every label
_DENSE = 0.75  # of the candidates have fewer like them


def state(now: State, t: Language) -> str:
    """What a project does, in a sentence."""
    name = now["name"]
    if name == "working":
        return _working(now, t)
    if name == "waiting":
        said = t.ngettext("Waiting for %(n)s more label", "Waiting for %(n)s more labels", now["missing"])
        if now["published_at"] is not None:
            said = t.gettext("%(state)s; queue published %(ago)s", state=said, ago=t.ago(now["published_at"]))
        return said
    if name == "stopped":
        return t.gettext("Labeling may stop: %(why)s", why=now["why"])
    if name == "no_worker" and now["since"] is not None:
        return t.gettext("The worker was last heard of %(ago)s", ago=t.ago(now["since"]))
    others = {
        "left": t.gettext("Disconnected in Label Studio"),
        "no_worker": t.gettext("No worker was ever started"),
        "trouble": t.gettext("Something is wrong"),
        "paused": t.gettext("Paused"),
        "starting": t.gettext("Starting: the first queue is being made"),
        "all_labeled": t.gettext("Every task is labeled"),
    }
    return others[name]


def briefly(now: State, t: Language) -> str:
    """The same without what changes from moment to moment, to be read aloud."""
    if now["name"] == "working":
        return step(now["step"], t)
    return state({**now, "published_at": None, "since": None}, t)


def step(name: str, t: Language) -> str:
    """What a step of a round does."""
    return {
        "sync": t.gettext("Reading from Label Studio"),
        "train": t.gettext("Training"),
        "evaluate": t.gettext("Measuring quality"),
        "score": t.gettext("Scoring texts"),
        "select": t.gettext("Choosing the next tasks"),
        "publish": t.gettext("Publishing the queue"),
        "judge": t.gettext("Looking at labels and at when to stop"),
    }.get(name, name)


def _working(now: State, t: Language) -> str:
    doing = step(now["step"], t)
    if now["share"] is None:
        return doing
    if now["seconds_left"] is None:
        return t.gettext("%(step)s, %(share)s", step=doing, share=t.percent(now["share"]))
    return t.gettext(
        "%(step)s, %(share)s, about %(time)s left",
        step=doing, share=t.percent(now["share"]), time=t.lasting(now["seconds_left"]),
    )  # fmt: skip


def advice(now: State, t: Language) -> str | None:
    """What to do about a state in which nothing goes on."""
    return {
        "no_worker": t.gettext("Start `lsal serve` or `lsal worker`, and look at its log if it ended."),
        "trouble": t.gettext("`lsal doctor` looks for the cause and says what to do."),
        "left": t.gettext("To go on, connect this backend again in the project's Settings → Model."),
    }.get(now["name"])


def why(item: QueuedTask, strategy: str | None, t: Language, several: bool = False) -> str:
    """Why a task is in the queue; of several controls each is named."""
    if item["held_out"]:
        return t.gettext("Held out: it measures how good the model is")
    told, reasons = item["why"] or {}, []
    for said in told.get("says", []):
        first, second = said.get("between", [(None, 1.0), (None, 0.0)])
        if first[1] < _UNSURE:
            between = t.gettext("unsure between %(first)s and %(second)s", first=first[0], second=second[0])
            reasons.append(f"{said['control']}: {between}" if several else between)
    if told.get("novelty", 0.0) >= _NEW:
        reasons.append(t.gettext("unlike anything labeled"))
    if told.get("density", 0.0) >= _DENSE:
        reasons.append(t.gettext("many texts are like it"))
    by = item["chosen_by"] or strategy
    if by == "random":
        reasons = [t.gettext("drawn at random")]
    if not reasons:
        return t.gettext("chosen by %(strategy)s", strategy=by) if by else ""
    return t.gettext(", ").join(reasons)


def saved(control_arm: dict[str, Any] | None, t: Language) -> str:
    """What choosing has saved against random labeling, as far as it can honestly be said."""
    if control_arm is None:
        return t.gettext("Not yet known: this takes about 100 held-out labels")
    labels = control_arm["labels"]
    if "needed" not in control_arm:
        low, high = (t.number(100 * each, 1) for each in control_arm["better"])
        return t.gettext(
            "No sure difference to random labeling at %(labels)s labels (%(low)s to %(high)s points)",
            labels=t.number(labels), low=low, high=high,
        )  # fmt: skip
    at_least, at_most = (each if each is not None else labels for each in control_arm["needed_interval"])
    return t.gettext(
        "%(needed)s chosen labels teach as much as %(labels)s random ones (95 %%: %(low)s to %(high)s)",
        needed=t.number(control_arm["needed"] or labels), labels=t.number(labels), low=t.number(at_least),
        high=t.number(at_most),
    )  # fmt: skip


def forecast(found: Forecast | None, *, asked: bool, reached: bool, t: Language) -> str:
    """How many labels are still needed for the target."""
    if not asked:
        return t.gettext("No target is set")
    if reached:
        return t.gettext("The target is surely reached")
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
    """What a score is called."""
    return {
        "accuracy": t.gettext("accuracy"),
        "mae": t.gettext("mean error"),
        "pair_accuracy": t.gettext("accuracy of comparisons"),
        "micro_f1": t.gettext("micro F1"),
        "span_f1": t.gettext("span F1"),
    }.get(name, name.replace("_", " "))


def done(action: str, t: Language) -> str | None:
    """What is said after something was asked for."""
    return {
        "train": t.gettext("A round begins as soon as the worker is free."),
        "strategy": t.gettext("The queue is chosen anew as soon as the worker is free."),
        "rollback": t.gettext("The earlier adapter serves as soon as the worker is free."),
        "paused": t.gettext("No round begins by itself until you resume."),
        "resumed": t.gettext("Rounds go on."),
    }.get(action)
