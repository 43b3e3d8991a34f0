"""Error responses."""

from __future__ import annotations

import json

from flask import Response, jsonify, make_response, render_template, request

_PAGES = "/ui/"
_NO_TAGS = str.maketrans("", "", "<>")


def answer(status: int, message: str) -> Response:
    """The message as JSON, or as a page below `/ui/`, and in both cases as the HTTP reason phrase.

    Label Studio shows its users the reason phrase only, as HTML. Without its brackets, `<Choices>` is visible there.
    """
    if request.path.startswith(_PAGES):
        response = make_response(render_template("error.html", status=status, message=message))
    else:
        response = jsonify(error=message)
    phrase = _in_ascii(" ".join(message.translate(_NO_TAGS).split()))[:500]
    response.status = f"{status} {phrase}"
    return response


def _in_ascii(text: str) -> str:
    """Other characters as JSON escapes, since a reason phrase has printable ASCII only."""
    return "".join(each if each.isascii() and each.isprintable() else json.dumps(each)[1:-1] for each in text)
