"""Commands about one project, on names that terminals would take for markup."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.cli.group import app


def test_names_in_brackets_are_printed_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"control": "[/b]", "given": "[/red]", "instead": "[b]x [link=https://evil.example]"}
    context = SimpleNamespace(open=lambda _: SimpleNamespace(client=SimpleNamespace(url="http://localhost")))
    monkeypatch.setattr("backend.cli.projects.start", lambda: (None, None))
    monkeypatch.setattr("backend.cli.projects.new_context", lambda *_: context)

    def into_tab(*_: Any) -> tuple[list[dict[str, Any]], int]:
        return [{"task": 1, "quality": 0.1, **names}], 3

    monkeypatch.setattr("backend.rounds.insights.label_errors.into_tab", into_tab)
    done = CliRunner().invoke(app, ["review", "7"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.exception
    for name in names.values():
        assert name in done.output
