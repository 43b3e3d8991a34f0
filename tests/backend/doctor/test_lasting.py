"""What the worker repairs while the doctor examines the same project is no problem."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.doctor import project
from backend.doctor.project import _lasting


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([None], None),
        (["not in use", None], None),
        (["not in use", "not in use"], "not in use"),
    ],
)
def test_only_what_lasts_a_moment_is_reported(
    answers: list[str | None], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "_MOMENT", 0.0)
    given: Iterator[str | None] = iter(answers)
    assert _lasting(lambda: next(given)) == found
    assert list(given) == []
