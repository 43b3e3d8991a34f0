"""How a refusal is answered."""

from __future__ import annotations

from flask import Response, jsonify, make_response, render_template, request

_PAGES = "/ui/"
_NO_TAGS = str.maketrans("", "", "<>")


def answer(status: int, message: str) -> Response:
    """The message as JSON, as a page where people look, and as the HTTP reason phrase.

    The latter is the only part that Label Studio shows to a person, as HTML: of `<Choices>` nothing would be seen.
    """
    if request.path.startswith(_PAGES):
        response = make_response(render_template("error.html", status=status, message=message))
    else:
        response = jsonify(error=message)
    phrase = " ".join(message.translate(_NO_TAGS).split()).encode("ascii", "replace").decode()[:500]
    response.status = f"{status} {phrase}"
    return response
