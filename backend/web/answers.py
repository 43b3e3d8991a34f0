"""How a refusal is answered."""

from __future__ import annotations

from flask import Response, jsonify


def answer(status: int, message: str) -> Response:
    """The message as JSON and as the HTTP reason phrase, the only part that Label Studio shows to a person."""
    response = jsonify(error=message)
    phrase = " ".join(message.split()).encode("ascii", "replace").decode()[:500]
    response.status = f"{status} {phrase}"
    return response
