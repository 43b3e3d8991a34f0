"""A task's data → the text that the model reads."""

from __future__ import annotations

import json
from typing import Any

from backend.errors import UnsupportedConfigError
from backend.labelstudio.controls import dialogue
from backend.labelstudio.label_config import fields
from backend.labelstudio.label_config.task_spec import Input, TaskSpec
from backend.labelstudio.markup import text_of_markup
from backend.targets import MARK, PART, with_context, with_sides

TAGS = ("Text", "HyperText", "Paragraphs")
_FIELDS, _LONGEST_NAME = 20, 60  # shown


def read(tag: Any) -> Input:
    """The input of an XML element. Raises `UnsupportedConfigError` if it names no field of the task."""
    value, name = tag.get("value") or "", f"<{tag.tag} name='{tag.get('name')}'>"
    if not fields.names(value):
        raise UnsupportedConfigError(f'{name} must name a field of the task, as in value="$text"')
    if tag.get("valueType") == "url" or tag.get("resolver"):
        raise UnsupportedConfigError(f"{name} reads its text from a URL; put the texts themselves into the tasks")
    repeater = next(tag.iterancestors("Repeater"), None)
    return Input(
        str(tag.get("name")), tag.tag, value, tag.get("encoding", ""), tag.get("nameKey", "author"),
        tag.get("textKey", "text"), repeated_on="" if repeater is None else repeater.get("on", ""),
        index_flag="" if repeater is None else repeater.get("indexFlag", "{{idx}}"),
    )  # fmt: skip


def text_of(data: object, spec: TaskSpec) -> str:
    """The text of a task's data; empty if all its fields are missing or blank.

    A single input is read unchanged, so that character offsets equal Label Studio's. Of several, each is a line
    `name: text`. Two inputs that are compared come last, separated from the others; one in which spans are marked comes
    first, and without it the others are nothing to read.
    """
    parts = {each.name: _text(data, each) for each in spec.inputs}
    compared = [parts.pop(name) for name in spec.sides]
    marked = [parts.pop(each.name).replace(PART, " ") for each in spec.inputs if each.is_marked]
    context = "\n".join(f"{name}: {text}" for name, text in parts.items() if text.strip())
    if len(parts) == 1 and not marked:
        (context,) = parts.values()
    whole = with_sides(context, *compared) if compared else context
    if marked:
        whole = with_context(marked[0], context) if marked[0].strip() else ""
    if not whole.replace(PART, "").strip():  # also of white space alone there is nothing to learn
        return ""
    # JSON may contain half of a surrogate pair, which databases and tokenizers reject, and PostgreSQL rejects NUL.
    return whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", " ")


def fields_of(data: object) -> list[str]:
    """The names of a task's fields, to show what a label config could name."""
    return [str(name)[:_LONGEST_NAME] for name in data][:_FIELDS] if isinstance(data, dict) else []


def _text(data: object, source: Input) -> str:
    """The text that the editor shows; empty without the field, or if it is an object, which the editor cannot show."""
    try:
        if not source.repeated_on:
            return _shown(fields.value_of(source.value, data), source)
        elements = fields.value_of(source.repeated_on, data)
        templates = (source.value.replace(source.index_flag, str(number)) for number in range(_length(elements)))
        return "\n".join(_shown(fields.value_of(template, data), source) for template in templates)
    except (RecursionError, ValueError):  # lists in lists in lists …, whole numbers of thousands of digits
        return ""


def _length(elements: Any) -> int:
    return len(elements) if isinstance(elements, list) else 0


def _shown(value: Any, source: Input) -> str:
    if source.tag == "Paragraphs":
        return _dialogue(value, source)
    if value is None or any(isinstance(each, dict) for each in (value if isinstance(value, list) else [value])):
        return ""
    text = fields.decoded(fields.as_text(value), source.encoding)
    return text_of_markup(text) if source.tag == "HyperText" else text.replace(MARK, "\n")


def _dialogue(value: Any, source: Input) -> str:
    """One line per turn, with its speaker. Turns without a text are left out unless spans are marked."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = [{source.text_key: value}]
    turns = value if isinstance(value, list) else []
    lines = [(_word(turn, source.author_key), _word(turn, source.text_key)) for turn in turns]
    if source.is_marked:
        return dialogue.marked(lines) if any(text.strip() for _, text in lines) else ""
    return "\n".join(f"{author}: {text}" if author else text for author, text in lines if text)


def _word(turn: Any, key: str) -> str:
    value = turn.get(key) if isinstance(turn, dict) else None
    return "" if value is None or isinstance(value, dict) else fields.as_text(value)
