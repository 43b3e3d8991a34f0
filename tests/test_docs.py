"""README and docs name everything that can be chosen, with the defaults of the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import strategies
from backend.rounds.support import matrix
from backend.settings import ProjectOptions
from strategies.registry import _found

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text("utf-8")
LABELS = (REPOSITORY / "docs/labels.md").read_text("utf-8")
STRATEGIES = (REPOSITORY / "docs/strategies.md").read_text("utf-8")


def cells(page: str, heading: str) -> dict[str, list[str]]:
    """The rows of the tables under a heading, by each `name` in their first cell."""
    section = re.split(r"^## ", page.split(f"\n## {heading}", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {name: row for row in rows for name in re.findall(r"`(\w+)`", row[0])}


def test_every_strategy_says_what_it_asks_what_it_costs_and_when_to_use_it() -> None:
    rows = cells(STRATEGIES, "What each asks of the model")
    assert set(rows) == set(strategies.names())
    assert all(len(row) == 5 and all(row) for row in rows.values())


@pytest.mark.parametrize("name", strategies.names())
def test_every_option_of_a_strategy_is_in_the_docs_with_its_default(name: str) -> None:
    row = cells(STRATEGIES, "Options").get(name, ["", ""])
    for option, parameter in inspect.signature(_found()[name].load()).parameters.items():
        assert f"`{option}`" in row[1]
        if parameter.default is not None:
            assert re.search(rf"`{option}` \(`?{parameter.default}\b", row[1]), option


def test_every_option_of_a_project_is_in_the_readme_with_its_default() -> None:
    rows = cells(README, "Options of a project")
    assert set(ProjectOptions.model_fields) <= set(rows)
    for option, field in ProjectOptions.model_fields.items():
        row = rows[option]
        names = re.findall(r"`(\w+)`", row[0])
        stated = [value.strip().strip("`") for value in row[1].split(",")] if len(names) > 1 else [row[1].strip("`")]
        default = field.get_default(call_default_factory=True)
        if default is not None and len(stated) == len(names):
            spelled = str(default).lower() if isinstance(default, bool) else str(default)
            assert stated[names.index(option)] == spelled, option


def test_the_matrix_of_strategies_and_labels_is_that_of_the_code() -> None:
    rows = cells(LABELS, "Which strategies work")
    assert {name: row[1:] for name, row in rows.items() if name in matrix()} == {
        name: [cell or "–" for cell in row.values()] for name, row in matrix().items()
    }


def test_every_promise_of_operations_names_tests_that_are_there() -> None:
    rows = re.findall(r"^\| (.+) \|$", (REPOSITORY / "docs/operations.md").read_text("utf-8"), re.MULTILINE)[2:]
    there = {path.name for path in (REPOSITORY / "tests").rglob("test_*.py")}
    for row in rows:
        promised = [Path(name).name for name in re.findall(r"`([\w/]+\.py)`", row)]
        assert set(promised) <= there, row
        assert promised or row.endswith("same"), row
