"""A task's data → the text that the model reads."""

from __future__ import annotations

import json
from typing import Any

from backend.errors import UnsupportedConfigError
from backend.labelstudio.markup import text_of_markup
from backend.labelstudio.task_spec import Input, TaskSpec
from backend.targets import MARK, with_sides

TAGS = ("Text", "HyperText", "Paragraphs")


def read(tag: Any) -> Input:
    """The input of an XML element. Raises `UnsupportedConfigError` if it names no field of the task."""
    value = tag.get("value") or ""
    if not value.startswith("$") or len(value) < 2:
        raise UnsupportedConfigError(
            f"<{tag.tag} name='{tag.get('name')}'> must name a field of the task, as in value=\"$text\""
        )
    if tag.get("valueType") == "url":
        raise UnsupportedConfigError(
            f"<{tag.tag} name='{tag.get('name')}'> reads its text from a URL; put the texts themselves into the tasks"
        )
    return Input(str(tag.get("name")), tag.tag, value[1:], tag.get("nameKey", "author"), tag.get("textKey", "text"))


def text_of(data: object, spec: TaskSpec) -> str:
    """The text of a task's data; empty if all its fields are missing or empty.

    A single input is read unchanged, so that character offsets equal Label Studio's. Of several, each is a line
    `name: text`. Two inputs that are compared come last, separated from the others.
    """
    parts = {each.name: _text(data.get(each.key) if isinstance(data, dict) else None, each) for each in spec.inputs}
    compared = [parts.pop(name) for name in spec.sides]
    context = "\n".join(f"{name}: {text}" for name, text in parts.items() if text.strip())
    if len(parts) == 1:
        (context,) = parts.values()
    whole = with_sides(context, *compared) if compared else context
    # JSON may contain half of a surrogate pair, which databases and tokenizers reject.
    return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text(value: Any, source: Input) -> str:
    if source.tag == "Paragraphs":
        return _dialogue(value, source)
    text = "" if value is None else str(value)
    return text_of_markup(text) if source.tag == "HyperText" else text.replace(MARK, "\n")


def _dialogue(value: Any, source: Input) -> str:
    """One line per turn, with its speaker. Turns without a text are left out."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    turns = [turn for turn in value if isinstance(turn, dict)] if isinstance(value, list) else []
    lines = [(turn.get(source.author_key), turn.get(source.text_key)) for turn in turns]
    return "\n".join(f"{author}: {text}" if author else str(text) for author, text in lines if text)
