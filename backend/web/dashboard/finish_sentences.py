"""The sentences of the page *Finish*, which the command `lsal finish` prints in English."""

from __future__ import annotations

import math

from backend.overview.tasks.finish import FinishState
from backend.store.finishes import (
    CANCELLED,
    CERTIFIED,
    REFUSED,
    REQUESTED,
    SAMPLING,
    TAKEN,
    TAKEN_BACK,
    WITHDRAWN,
    WRITTEN,
)
from backend.web.dashboard.language import Language
from backend.web.dashboard.reasons import translated


def summary(found: FinishState, t: Language) -> list[str]:
    """The state of the newest finish, what it proves, and what follows."""
    sentences = [
        t.ngettext("%(n)s task remains without a label.", "%(n)s tasks remain without a label.", found["remaining"])
    ]
    if found["taken"]:
        sentences.append(
            t.ngettext("%(n)s task has a label of the model.", "%(n)s tasks have a label of the model.", found["taken"])
        )
    if found["obstacle"] is not None:
        sentences.append(
            t.gettext("The model cannot label the rest of this project: %(why)s", why=translated(found["obstacle"], t))
        )
    if found["pending"] is not None:
        sentences.append(t.gettext("A request waits for the worker."))
    proven = found["state"] in (CERTIFIED, TAKEN, WRITTEN)
    further = [_state(found, t), *([_meant(found, t), _proof(found, t)] if proven else []), _later(found, t)]
    return [*sentences, *(each for each in further if each is not None)]


def _state(found: FinishState, t: Language) -> str | None:
    sample, error = found["sample"], found["error"]
    if found["state"] == REQUESTED:
        return t.gettext("The sample is drawn as soon as the worker is free.")
    if found["state"] == SAMPLING and sample is not None:
        return t.gettext(
            "People label a random sample first, without suggestions: %(labeled)s of %(labels)s are labeled. It is "
            "decided when all are.", labeled=t.number(sample["labeled"]), labels=t.number(sample["labels"]),
        )  # fmt: skip
    if error is not None and found["state"] == REFUSED:
        return t.gettext("No label of the model can be taken: %(why)s", why=translated(error, t))
    if error is not None:
        return t.gettext("Not everything could be done: %(why)s", why=translated(error, t))
    return {
        CERTIFIED: t.gettext("Nothing is taken yet. Take the labels, or go on labeling."),
        TAKEN: t.gettext("The labels are kept here and in the export; Label Studio does not have them."),
        WRITTEN: t.gettext("The labels are annotations in Label Studio, too."),
        WITHDRAWN: t.gettext("The guarantee is withdrawn: people changed more of the labels than it allows."),
        CANCELLED: t.gettext("The sample was given up."),
        TAKEN_BACK: t.gettext("The labels were taken back; their tasks are open again."),
    }.get(found["state"] or "")


def _meant(found: FinishState, t: Language) -> str | None:
    decided = found["decided"]
    if decided is None or not decided["taken"]:
        return None
    tenths = math.floor(1000 * decided["accuracy"] + 1e-6)  # never more than is proven
    accuracy = t.percent(tenths / 1000, 1 if tenths % 10 else 0)
    if found["scope"] == "whole":
        return t.gettext(
            "With 95 %% confidence at least %(accuracy)s of all tasks are right then, where people's labels count as "
            "right.", accuracy=accuracy,
        )  # fmt: skip
    if found["scope"] == "class":
        return t.gettext(
            "With 95 %% confidence at least %(accuracy)s of the labels of each class that the model gives are right.",
            accuracy=accuracy,
        )
    return t.gettext(
        "With 95 %% confidence at least %(accuracy)s of the labels that the model gives are right.", accuracy=accuracy
    )


def _proof(found: FinishState, t: Language) -> str | None:
    decided = found["decided"]
    if decided is None or not decided["taken"]:
        return None
    return t.gettext(
        "%(taken)s labels: the model is as certain of them as of %(sampled)s tasks of the sample, and was wrong on "
        "%(wrong)s of these. About %(expected)s of the labels may be wrong, at most %(at_most)s.",
        taken=t.number(decided["taken"]), sampled=t.number(decided["sampled"]),
        wrong=t.number(decided["sampled_wrong"]), expected=t.number(round(decided["expected"])),
        at_most=t.number(decided["at_most"]),
    )  # fmt: skip


def _later(found: FinishState, t: Language) -> str | None:
    later = found["later"]
    if not later["labels"]:
        return None
    return t.gettext(
        "People have labeled %(labels)s of these tasks since, %(wrong)s of them differently.",
        labels=t.number(later["labels"]), wrong=t.number(later["wrong"]),
    )  # fmt: skip


def request(name: str, t: Language) -> str:
    """The text of the button."""
    return {
        "take": t.gettext("Take these labels"),
        "write": t.gettext("Write them into Label Studio"),
        "take_back": t.gettext("Take all of them back"),
        "cancel": t.gettext("Give up the sample"),
    }[name]
