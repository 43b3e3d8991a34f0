"""Reasons that rounds store in English, in the language of the page."""

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
)


def translated(reason: str, t: Language) -> str:
    """The reason in another language; unknown ones, of other releases, stay in English."""
    for message in _REASONS:
        pattern = re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(message))
        if (found := re.fullmatch(pattern, reason)) is not None:
            return t.gettext(message, **found.groupdict())
    return reason
