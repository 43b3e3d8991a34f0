"""README and docs match the code: options, settings, commands, strategies and their defaults."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import strategies
from backend.cli import app
from backend.cli.reference import pages
from backend.options import ProjectOptions
from backend.rounds.selection.compatibility import matrix
from backend.settings import Settings
from strategies.registry import _found

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text("utf-8")
OPERATIONS = (REPOSITORY / "docs/how-to/production/operations.md").read_text("utf-8")
LABELS = (REPOSITORY / "docs/reference/labels.md").read_text("utf-8")
STRATEGIES = (REPOSITORY / "docs/reference/strategies.md").read_text("utf-8")


def cells(page: str, heading: str) -> dict[str, list[str]]:
    """Rows of the tables under a heading, keyed by each `name` in the first cell."""
    section = re.split(r"^## ", page.split(f"\n## {heading}", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {name: row for row in rows for name in re.findall(r"`(\w+)`", row[0])}


def test_every_strategy_has_a_row_with_needs_cost_and_use() -> None:
    rows = cells(STRATEGIES, "What each needs from the model")
    assert set(rows) == set(strategies.names())
    assert all(len(row) == 5 and all(row) for row in rows.values())


@pytest.mark.parametrize("name", strategies.names())
def test_every_option_of_a_strategy_is_in_the_docs_with_its_default(name: str) -> None:
    row = cells(STRATEGIES, "Options").get(name, ["", ""])
    for option, parameter in inspect.signature(_found()[name].load()).parameters.items():
        assert f"`{option}`" in row[1]
        if parameter.default is not None:
            assert re.search(rf"`{option}` \(`?{parameter.default}\b", row[1]), option


@pytest.mark.parametrize(("name", "text"), pages().items(), ids=list(pages()))
def test_the_generated_pages_match_the_code(name: str, text: str) -> None:
    assert (REPOSITORY / "docs/reference" / name).read_text("utf-8") == text, "run `make reference`"


@pytest.mark.parametrize("model", [ProjectOptions, Settings])
def test_every_option_and_setting_has_a_description(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_every_command_has_a_description() -> None:
    rows = re.findall(r"^\| `lsal .+` \|(.*)\|$", pages()["commands.md"], re.MULTILINE)
    assert len(rows) == len(app.registered_commands)
    assert all(map(str.strip, rows))


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readmes_stay_short(name: str) -> None:
    assert len((REPOSITORY / name).read_text("utf-8").splitlines()) <= 150


def test_the_options_of_the_readme_have_the_defaults_of_the_code() -> None:
    rows = {
        name: row for name, row in cells(README, "Options of a project").items() if name in ProjectOptions.model_fields
    }
    assert {"strategy", "batch_size", "target", "base_model"} <= set(rows)
    for option, row in rows.items():
        default = ProjectOptions.model_fields[option].get_default(call_default_factory=True)
        if default is not None:
            assert row[1].strip("`") == (str(default).lower() if isinstance(default, bool) else str(default)), option


def test_the_matrix_of_strategies_and_labels_is_that_of_the_code() -> None:
    rows = cells(LABELS, "Which strategies work")
    assert {name: row[1:] for name, row in rows.items() if name in matrix()} == {
        name: [cell or "–" for cell in row.values()] for name, row in matrix().items()
    }


def test_every_guarantee_of_operations_names_existing_tests() -> None:
    rows = [row for row in re.findall(r"^\| (.+) \|$", OPERATIONS, re.MULTILINE) if not row.endswith("| test")]
    assert len(rows) > 40
    existing = {path.name for path in (REPOSITORY / "tests").rglob("test_*.py")}
    for row in rows:
        named = [Path(name).name for name in re.findall(r"`([\w/]+\.py)`", row)]
        assert set(named) <= existing, row
        assert named or row.endswith("same"), row


def _skeleton(page: str) -> dict[str, list[str]]:
    """Parts that are equal in all languages: code, names in first table cells, figures, links, heading levels."""
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    rows = re.findall(r"^\|([^|]*)\|(.*)$", prose, re.MULTILINE)
    return {
        "code": re.findall(r"```.*?```", page, re.DOTALL),
        "names": [name for first, _ in rows for name in re.findall(r"`([^`]+)`", first)],
        "figures": [cell.strip() for _, rest in rows for cell in rest.split("|") if re.fullmatch(r"[\d.± ]+", cell)],
        "links": sorted(
            {_english(link) for link in re.findall(r"\]\(((?:docs|benchmarks|CON|CHA)[^)]*)\)", prose)} - PICTURES
        ),
        "headings": re.findall(r"^#+ ", prose, re.MULTILINE),
    }


CHINESE = {
    "quick-start.md": "quick-start.md",
    "connect.md": "how-to/basics/connect.md",
    "labels.md": "reference/labels.md",
    "troubleshooting.md": "how-to/production/troubleshooting.md",
}


def _english(link: str) -> str:
    """The English page of a Chinese one."""
    name, _, anchor = link.removeprefix("docs/zh/").partition("#")
    return link if name == link.partition("#")[0] else f"docs/{CHINESE[name]}" + (f"#{anchor}" if anchor else "")


PICTURES = {"docs/pictures/dashboard-dark.png", "docs/pictures/dashboard-chinese.png"}


@pytest.mark.parametrize("name", CHINESE)
def test_the_chinese_pages_match_the_english_ones(name: str) -> None:
    docs = REPOSITORY / "docs"
    english, chinese = (_skeleton(page.read_text("utf-8")) for page in (docs / CHINESE[name], docs / "zh" / name))
    assert set(english["names"]) <= set(chinese["names"])
    for part in ("code", "figures", "headings"):
        assert chinese[part] == english[part], part


def test_the_chinese_readme_matches_the_english_one() -> None:
    english, chinese = _skeleton(README), _skeleton((REPOSITORY / "README.zh.md").read_text("utf-8"))
    for part, expected in english.items():
        assert chinese[part] == expected, part
