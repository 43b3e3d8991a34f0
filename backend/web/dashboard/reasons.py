"""Reasons that rounds and finishes store in English, in the language of the page."""

from __future__ import annotations

import re

from backend.overview.unlearned import N_
from backend.web.dashboard.language import Language

_REASONS = (
    N_("Start training was pressed"),
    N_("asked for"),
    N_("there is no queue yet"),
    N_("new tasks"),
    N_("the options changed"),
    N_("the choices in the label config changed"),
    N_("%(n)s newly labeled tasks"),
    N_("%(n)s newly labeled tasks, the last ones"),
    N_("the queue runs low (%(n)s left)"),
    N_("round %(n)s failed, so it is tried again"),
    N_("round %(n)s was cancelled"),
    N_("going back to adapter %(n)s"),
    N_("adapter %(n)s is damaged"),
    N_("the budget of %(n)s labels is spent (%(spent)s)"),
    N_("the budget of %(n)s hours is spent (%(spent)s)"),
    N_("the target is reached (%(controls)s)"),
    N_("its queue is not ordered by this backend (manage_queue), so people would not get the sample first"),
    N_("'%(control)s' is written text, of which no comparison proves that it is right"),
    N_("'%(control)s' is answered for each marked span, which finishing does not support"),
    N_("the model does not learn every control: %(why)s"),
    N_("no model is trained yet; label a batch of tasks first"),
    N_("the model has not learned '%(control)s' yet; label more tasks"),
    N_("an accuracy of each class can only be proven where one choice of a single control is all that is labeled"),
    N_("no class has so many tasks left that a sample could prove its labels; use the accuracy of all"),
    N_("%(n)s tasks remain that the model has an answer to, too few to draw a sample of; label them"),
    N_(
        "a sample of %(n)s cannot prove that %(accuracy)s are right, even without a wrong answer; take "
        "%(fewest)s at least"
    ),
    N_(
        "the model was wrong on %(n)s of the %(sample)s tasks of the sample, so no part of its labels is proven "
        "%(accuracy)s right; label more, or accept a lower accuracy"
    ),
    N_("Label Studio refused %(n)s of the labels"),
)


def translated(reason: str, t: Language) -> str:
    """The reason in another language; unknown ones, of other releases, stay in English."""
    for message in _REASONS:
        pattern = re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(message))
        if (found := re.fullmatch(pattern, reason)) is not None:
            return t.gettext(message, **found.groupdict())
    return reason
