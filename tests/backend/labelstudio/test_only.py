"""The option `only`: which tasks are queued."""

from __future__ import annotations

from typing import Any

import pytest

from backend.errors import UnsupportedConfigError
from backend.labelstudio.only import inside
from backend.options import ProjectOptions

TASK = {"text": "an apple", "lang": "en", "year": 2024, "checked": True, "tags": ["mail", "urgent"], "none": None}


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ({}, True),
        ({"lang": "en"}, True),
        ({"lang": "de"}, False),
        ({"lang": ["de", "en"]}, True),
        ({"lang": []}, False),
        ({"year": 2024}, True),
        ({"year": "2024"}, True),
        ({"year": 2024.0}, True),
        ({"year": 2023}, False),
        ({"checked": True}, True),
        ({"checked": "true"}, True),
        ({"checked": False}, False),
        ({"tags": "urgent"}, True),
        ({"tags": ["slow", "mail"]}, True),
        ({"tags": "ur"}, False),
        ({"lang": "en", "year": 2023}, False),
        ({"missing": "en"}, False),
        ({"none": "en"}, False),
    ],
)
def test_a_task_is_inside_if_each_field_has_a_wanted_value(only: dict[str, Any], expected: bool) -> None:
    assert ProjectOptions.from_extra_params({"only": only}).only == only
    assert inside(TASK, only) is expected


def test_data_that_is_no_object_is_outside_of_any_filter() -> None:
    assert inside(["an apple"], {})
    assert not inside(["an apple"], {"lang": "en"})


@pytest.mark.parametrize(
    "wrong", ["en", {"lang": None}, {"lang": {"is": "en"}}, {"lang": "x" * 1001}, [["lang", "en"]]]
)
def test_other_forms_are_refused_by_name(wrong: Any) -> None:
    with pytest.raises(UnsupportedConfigError, match="only"):
        ProjectOptions.from_extra_params({"only": wrong})
