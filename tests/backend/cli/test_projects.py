"""Commands about one project, on names that terminals would take for markup."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from backend.cli.group import app

Review = Callable[..., Result]


@pytest.fixture
def review(monkeypatch: pytest.MonkeyPatch) -> Review:
    """Runs `lsal review 7` with these suspects and numbers of wrong labels by control."""

    def run(suspects: list[dict[str, Any]], errors: dict[str, Any]) -> Result:
        opened = SimpleNamespace(client=SimpleNamespace(url="http://localhost"), project=None)
        monkeypatch.setattr("backend.cli.projects.start", lambda *_: (None, None))
        monkeypatch.setattr("backend.cli.projects.new_context", lambda *_: SimpleNamespace(open=lambda _: opened))
        monkeypatch.setattr("backend.rounds.insights.label_errors.into_tab", lambda *_: (suspects, 3))
        monkeypatch.setattr("backend.overview.labels.errors", lambda *_: errors)
        done = CliRunner().invoke(app, ["review", "7"], env={"COLUMNS": "200"})
        assert done.exit_code == 0, done.exception
        return done

    return run


def test_names_in_brackets_are_printed_as_they_are(review: Review) -> None:
    names = {"control": "[/b]", "given": "[/red]", "instead": "[b]x [link=https://evil.example]"}
    done = review([{"task": 1, "quality": 0.1, **names}], {})
    for name in names.values():
        assert name in done.output
    assert "projects/7/data?tab=3" in done.output


def test_nothing_is_called_right_that_was_not_compared(review: Review) -> None:
    assert review([], {}).output == (
        "No label to check: none is rather wrong than right, or none could be compared (single choices are).\n"
    )
    few = review([], {"topic": {"labels": 200, "number": 5.0, "low": 0.0, "high": 12.0}})
    assert (
        "topic: Of 200 compared labels about 5 may be wrong, at most 12 with 95 % confidence; perhaps none is."
        in few.output
    )
