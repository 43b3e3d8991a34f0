"""The forms of the dashboard, as bodies of the API."""

from __future__ import annotations

import re
from typing import Any

from flask import request


def values_of(action: str) -> dict[str, Any]:
    """The values of a form, as in the JSON body of the API."""
    if action == "strategy":
        return {"strategy": request.form.get("strategy") or None}
    if action == "base_model":
        return {"base_model": request.form.get("base_model") or None}
    if action == "rollback":
        given = request.form.get("adapter", "")
        return {"adapter": int(given) if given.isdigit() and len(given) < 10 else None}
    if action == "pause":
        return {"paused": {"0": False, "1": True}.get(request.form.get("paused", ""))}
    if action == "finish":
        accuracy = request.form.get("accuracy", "")
        return {"accuracy": float(accuracy) if re.fullmatch(r"0\.\d{1,6}", accuracy) else None,
                "scope": request.form.get("scope", "machine")}  # fmt: skip
    if action == "finish_labels":
        return {"wanted": request.form.get("wanted")}
    if action == "first":
        tasks = [int(each) for each in request.form.getlist("task") if each.isdecimal() and len(each) < 19]
        return {"tasks": tasks if tasks or "none" in request.form else None}
    return {}
