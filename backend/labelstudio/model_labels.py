"""Annotations that hold a label of the model, recognisable in Label Studio as long as no person has changed them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from backend.labelstudio.controls.base import Region

_PREFIX = "lsal-"
_PARTS = ("from_name", "to_name", "type", "value")


def marked(result: Sequence[Region]) -> list[Region]:
    """The result with region ids that are a digest of all regions, which no edit keeps right.

    Needs no record here, so that a restored or new state of this backend recognises the annotation, too.
    """
    return [{**region, "id": name} for region, name in zip(result, _names(result), strict=True)]


def is_of_model(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation has a marked result, and no other user than its author has updated it."""
    result = annotation.get("result")
    if not isinstance(result, list) or not result or not all(isinstance(each, dict) for each in result):
        return False
    if not str(result[0].get("id")).startswith(_PREFIX):
        return False
    who, last = annotation.get("completed_by"), annotation.get("updated_by")
    who = who.get("id") if isinstance(who, Mapping) else who
    if isinstance(last, int) and last != who:
        return False
    return [each.get("id") for each in result] == _names(result)


def _names(result: Sequence[Region]) -> list[str]:
    parts = [[each.get(name) for name in _PARTS] for each in result]
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return [f"{_PREFIX}{digest}-{number}" for number in range(len(result))]
