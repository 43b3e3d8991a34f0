"""What a request says: its JSON, and numbers of projects."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.exceptions import BadRequest

from backend.errors import InvalidRequestError


def json_body() -> dict[str, Any]:
    """The JSON object of the body. Raises `InvalidRequestError` if it is none."""
    try:
        body = request.get_json(force=True)
    except BadRequest:
        raise InvalidRequestError("The body must be JSON") from None
    except RecursionError:
        raise InvalidRequestError("The body is nested too deep") from None
    if not isinstance(body, dict):
        raise InvalidRequestError("The body must be a JSON object")
    return body


def project_number(value: object) -> int:
    """`7` of 7, 7.0, "7" or "7.1700000000"; raises `InvalidRequestError` otherwise."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    digits = str(value).split(".", 1)[0] if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10 or not 0 < int(digits) < 2**31:
        raise InvalidRequestError("'project' must be the number of a project")
    return int(digits)
