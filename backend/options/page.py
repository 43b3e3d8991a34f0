"""docs/reference/options.md, which `lsal options` prints."""

from __future__ import annotations

import json

from backend.options.fields import ProjectOptions

_HEAD = """# Options of a project

As JSON in *Extra params* of the project's *Settings → Model*, for example `{"strategy": "entropy", "batch_size": 50}`.
Environment variables set the defaults: the name in capitals with the prefix `LSAL_`, such as `LSAL_BATCH_SIZE=50`.
`lsal options` prints this page.

| option | default | what it does |
|---|---|---|"""


def as_markdown() -> str:
    """All options, as in docs/reference/options.md."""
    rows = []
    for name, field in ProjectOptions.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "–" if default is None else f"`{json.dumps(default)}`"
        rows.append(f"| `{name}` | {shown} | {' '.join((field.description or '').split())} |")
    return "\n".join([_HEAD, *rows]) + "\n"
