"""The sentences of the model's quality, of labels to check, and of what labels cost."""

from __future__ import annotations

import math

from backend.evaluation.control_arm import ENOUGH as COMPARED
from backend.overview.effort import Effort, Efforts
from backend.overview.labels import Errors
from backend.overview.quality import Curve, Point, Quality
from backend.web.dashboard.language import Language

_MORE = 10  # held-out labels
_WORTH = 1.05  # factor of held-out labels
_MOST_HELD_OUT = 0.5  # of all tasks: the largest `audit_share`


def worth(point: Point, t: Language) -> str | None:
    """What the model's confidences add to the held-out labels; None if they have no part in the score."""
    held_out, effective = point["held_out"], point["effective"]
    if effective is None or effective <= held_out:
        return None
    if effective < _WORTH * held_out:
        return t.gettext("adjusted by the model's confidences")
    return t.gettext("as precise as %(n)s without the model's confidences", n=t.number(round(effective)))


def more(point: Point, left: int, t: Language) -> str | None:
    """By how much further held-out labels narrow the interval: its width falls with the root of their number.

    left: held-out tasks without a label; None for fewer than that many, or if the difference is below a hundredth.
    """
    width, held_out = point["high"] - point["low"], point["held_out"]
    then = width * (held_out / (held_out + _MORE)) ** 0.5
    now_shown, then_shown = t.number(width, 2), t.number(then, 2)
    if left < _MORE or now_shown == then_shown:
        return None
    return t.gettext(
        "%(n)s more held-out labels narrow the interval from %(now)s to about %(then)s", n=t.number(_MORE),
        now=now_shown, then=then_shown,
    )  # fmt: skip


def calibration(curve: Curve, t: Language) -> str | None:
    """How far confidences are from the share of right answers; None if chance may have made it."""
    error, too_high = curve.get("calibration_error"), curve.get("overconfidence")
    if error is None or too_high is None or not curve.get("miscalibrated"):
        return None
    shown = t.number(100 * error, 1)
    if too_high > 0:
        return t.gettext("%(error)s percentage points on average, mostly too high", error=shown)
    return t.gettext("%(error)s percentage points on average, mostly too low", error=shown)


def errors(found: Errors, t: Language) -> str:
    """How many labels seem wrong, as far as is known. The ends of the interval are the whole numbers in it."""
    number, labels = t.number(round(found["number"])), t.number(found["labels"])
    low, high = t.number(math.ceil(found["low"])), t.number(math.floor(found["high"]))
    if round(found["number"]) == 0:
        return t.gettext(
            "Of %(labels)s compared labels at most %(high)s are wrong, with 95 %% confidence; perhaps none is",
            labels=labels, high=high,
        )  # fmt: skip
    if found["low"] == 0.0:
        return t.gettext(
            "Of %(labels)s compared labels about %(number)s may be wrong, at most %(high)s with 95 %% confidence; "
            "perhaps none is", labels=labels, number=number, high=high,
        )  # fmt: skip
    return t.gettext(
        "About %(number)s of %(labels)s compared labels seem wrong (95 %% interval: %(low)s to %(high)s)",
        number=number, labels=labels, low=low, high=high,
    )  # fmt: skip


def blamed(found: Errors | None, t: Language) -> str | None:
    """That wrong labels count as the model's errors, once some surely are; None before."""
    if found is None or found["low"] <= 0.0:
        return None
    return t.gettext(
        "About %(share)s of the compared labels seem wrong; held-out ones of these count as errors of the model",
        share=t.percent(found["number"] / found["labels"]),
    )


def saved(curve: Curve, measured: Quality, t: Language) -> str | None:
    """Comparison with random labeling, as far as the held-out labels support it. None except for single choices."""
    control_arm, last = curve["saved"], curve["points"][-1]
    if last["metric"] != "accuracy":
        return None
    if control_arm is None:
        if last["held_out"] >= COMPARED:
            return t.gettext("Not yet known: more selected labels are needed")
        if measured["held_out"] < COMPARED:
            return t.gettext(
                "Cannot be known here: it takes %(n)s held-out labels, and there are %(most)s held-out tasks. "
                "%(advice)s",
                n=t.number(COMPARED), most=t.number(measured["held_out"]), advice=_advice(COMPARED, measured, t),
            )  # fmt: skip
        return t.gettext("Not yet known: %(n)s held-out labels are needed", n=t.number(COMPARED))
    labels = control_arm["labels"]
    if "needed" not in control_arm:
        low, high = (t.number(100 * each, 1) for each in control_arm["better"])
        if control_arm["better"][1] < 0:
            return t.gettext(
                "The first %(labels)s chosen labels are worse than random ones, for a simple model "
                "(95 %% interval: %(low)s to %(high)s percentage points); try another strategy",
                labels=t.number(labels), low=low, high=high,
            )  # fmt: skip
        return t.gettext(
            "The first %(labels)s chosen labels are not proven better than random ones, for a simple model "
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
    least = measured["least"]
    if least is not None and least > measured["held_out"]:
        return t.gettext(
            "This target cannot be confirmed here: it takes %(n)s held-out labels even if all are right, and there are "
            "%(most)s held-out tasks. %(advice)s",
            n=t.number(least), most=t.number(measured["held_out"]), advice=_advice(least, measured, t),
        )  # fmt: skip
    if not measured["held_out_left"]:
        return t.gettext(
            "No held-out task is left, so the target stays uncertain. A larger `audit_share` in Extra params holds out "
            "more"
        )
    takes = max((each["needed"] or 0 for each in measured["controls"].values()), default=0)
    if (found is None or found["high"] is None) and takes > measured["held_out"]:
        return t.gettext(
            "With this score it takes about %(n)s held-out labels to be certain of the target, and there are %(most)s "
            "held-out tasks. %(advice)s",
            n=t.number(takes), most=t.number(measured["held_out"]), advice=_advice(takes, measured, t),
        )  # fmt: skip
    if measured["out_of_reach"]:
        return t.gettext("By the learning curve so far, more labels alone may not reach the target")
    if found is None:
        return t.gettext("Labels still needed: not yet known")
    if found["high"] is None:
        return t.gettext(
            "About %(n)s more labels for the target (in 9 of 10 cases at least %(low)s)", n=t.number(found["labels"]),
            low=t.number(found["low"]),
        )  # fmt: skip
    return t.gettext(
        "About %(n)s more labels for the target (in 8 of 10 cases %(low)s to %(high)s)", n=t.number(found["labels"]),
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


def _advice(wanted: int, measured: Quality, t: Language) -> str:
    """How so many tasks come to be held out."""
    share = math.ceil(100 * wanted / max(1, measured["tasks"])) / 100
    if share > _MOST_HELD_OUT:
        return t.gettext("The project has too few tasks for that: add some, or lower `target`")
    return t.gettext(
        "`audit_share` %(share)s in Extra params would hold out enough; labels of these tasks then leave the training",
        share=t.number(share, 2),
    )


def spent(found: Efforts, t: Language) -> str:
    """All labels so far, in hours and money, and how many have a time."""
    total = effort(found["spent"], t)
    if found["spent"]["hours"] is None or found["timed"] >= found["spent"]["labels"]:
        return total
    return t.gettext("%(total)s (times are known of %(n)s)", total=total, n=t.number(found["timed"]))


def still_needed(found: Efforts, t: Language) -> str | None:
    """The median, and the interval of 8 in 10 cases."""
    if found["needed"] is None or found["needed_between"] is None:
        return None
    low, high = (effort(each, t) for each in found["needed_between"])
    middle = effort(found["needed"], t)
    return t.gettext("%(middle)s (in 8 of 10 cases between %(low)s and %(high)s)", middle=middle, low=low, high=high)


def effort(found: Effort, t: Language) -> str:
    """A number of labels, in hours and money as far as they are known."""
    parts = [t.ngettext("%(n)s label", "%(n)s labels", found["labels"])]
    if found["hours"] is not None:
        parts.append(t.gettext("%(hours)s hours", hours=t.number(found["hours"], 1)))
    if found["money"] is not None:
        parts.append(t.gettext("cost %(money)s", money=t.number(found["money"])))
    return t.gettext(", ").join(parts)
