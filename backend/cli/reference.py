"""Write the reference pages of the docs that are generated from code: options, settings and commands.

    python -m backend.cli.reference docs/reference      # `make reference`

`tests/test_docs.py` compares the pages with the code.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import typer
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from backend.cli.group import app
from backend.options.page import as_markdown
from backend.settings import Settings

# Descriptions in the code link to a page of the docs by its file name. Pages of docs/reference need no entry.
_PLACES = {
    "evaluation.md": "../explanation/evaluation.md",
    "large-models.md": "../how-to/advanced/large-models.md",
    "large-pools.md": "../how-to/advanced/large-pools.md",
    "operations.md": "../how-to/production/operations.md",
    "scale.md": "../how-to/production/scale.md",
    "scale.md#a-million-texts": "../how-to/advanced/large-pools.md#a-million-texts",
    "scale.md#large-language-models-behind-a-server": (
        "../how-to/advanced/large-models.md#large-language-models-behind-a-server"
    ),
}

_SETTINGS = """# Settings of the server

Environment variables of `lsal web`, `lsal worker` and `lsal serve`. An empty variable counts as not set.
For the defaults of project options see [options](options.md).

| variable | default | what it does |
|---|---|---|"""

_LIBRARIES = """
Variables of the libraries that the backend uses:

| variable | what it does |
|---|---|
| `HF_HOME` | folder of models downloaded from the Hugging Face hub |
| `RAY_ADDRESS` | address of the Ray cluster, for `SCORING=ray` |
| `SSL_CERT_FILE` | certificates of your own authority, for TLS to Label Studio |
| `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_DEFAULT_REGION` | credentials and region for `SHARED_URL` on S3 |
| `AWS_ENDPOINT_URL` | address of MinIO or another server with the API of S3 |"""

_COMMANDS = """# Commands

After `make install` the program is `.venv/bin/lsal`; in Docker, `docker compose exec worker lsal`. It reads
[the settings of the server](settings.md) from the environment. `lsal COMMAND --help` prints the same text.

| command | what it does |
|---|---|"""


def pages() -> dict[str, str]:
    """Markdown by file name."""
    texts = {"options.md": as_markdown(), "settings.md": settings(), "commands.md": commands()}
    return {name: re.sub(r"\]\(([\w-]+\.md)(#[\w-]+)?\)", _link, text) for name, text in texts.items()}


def settings() -> str:
    """One row per environment variable of the server."""
    rows = []
    for name, field in Settings.model_fields.items():
        names = ", ".join(f"`{each}`" for each in _variables(name, field))
        rows.append(f"| {names} | {_default(field)} | {_line(field.description)} |")
    return "\n".join([_SETTINGS, *rows, _LIBRARIES]) + "\n"


def commands() -> str:
    """A table of all commands, then one section for each command that takes arguments or options."""
    group: Any = typer.main.get_command(app)
    shown = {name: command for name, command in sorted(group.commands.items()) if not command.hidden}
    rows = [f"| `{_usage(name, command)}` | {_line(command.help)} |" for name, command in shown.items()]
    sections = [_section(name, command) for name, command in shown.items() if command.params]
    return "\n".join([_COMMANDS, *rows, *sections]) + "\n"


def _variables(name: str, field: FieldInfo) -> list[str]:
    """Names of the environment variables that set a field, the preferred one first."""
    if isinstance(field.validation_alias, AliasChoices):
        return [str(choice) for choice in field.validation_alias.choices]
    return [f"{Settings.model_config.get('env_prefix', '')}{name}".upper()]


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is None:
        return "–"
    return f"`{default}`" if isinstance(default, str | Path) else f"`{json.dumps(default)}`"


def _usage(name: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    words = [each.name.upper() if each.required else f"[{each.name.upper()}]" for each in arguments]
    options = ["[OPTIONS]"] if len(arguments) < len(command.params) else []
    return " ".join(["lsal", name, *options, *words])


def _section(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    records = [each.get_help_record(context) for each in command.params]
    rows = [f"| `{_cell(spelling)}` | {_line(_cell(text))} |" for spelling, text in records]
    return "\n".join([f"\n## lsal {name}\n", "| argument or option | |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _link(found: re.Match[str]) -> str:
    """The link from docs/reference to the page that a description names."""
    page, anchor = found[1], found[2] or ""
    moved = _PLACES.get(f"{page}{anchor}")
    return f"]({moved})" if moved else f"]({_PLACES.get(page, page)}{anchor})"


def main() -> None:
    """Write all pages into the folder that is the only argument."""
    folder = Path(sys.argv[1])
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
