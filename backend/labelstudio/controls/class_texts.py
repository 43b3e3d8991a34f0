"""The classes of a control in words that a language model can read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_JOINTS = re.compile(r"_+|(?<=[a-z])(?=[A-Z])")  # card_arrival, cardArrival
_WORD = re.compile(r"[^\W\d_]{2}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # one character is a word in CJK scripts


def class_texts(tag: Any, classes: Sequence[str], paths: Sequence[tuple[str, ...]] = ()) -> tuple[str, ...]:
    """A text for each class of a control, in their order; "" for a class whose name has no words, such as "A" or "1".

    The value that annotators see, or the alias where the value has no words; then the hint. Choices inside others are
    preceded by them, as in a taxonomy's path. paths: of the classes, where they are nested.
    """
    found: dict[Any, str] = {}
    for element in tag.iter("Choice", "Label"):
        path = [*reversed([each for each in element.iterancestors() if each.tag == "Choice"]), element]
        names = [each.get("alias") or each.get("value") or "" for each in path]
        text = " ".join(filter(None, map(_text, path))) if _text(element) else ""
        found.setdefault(tuple(names) if paths else names[-1], text)
    return tuple(found.get(key, "") for key in paths or classes)


def described(classes: Sequence[str], texts: Sequence[str], descriptions: Mapping[str, str]) -> tuple[str, ...] | None:
    """The texts of the classes, replaced by their descriptions; None if one is missing or all are equal."""
    found = tuple(descriptions.get(name, text) for name, text in zip(classes, texts, strict=True))
    return found if all(found) and len(set(found)) > 1 else None


def in_words(name: str) -> str:
    """A class name as text: `card_arrival` and `cardArrival` are two words. "" if it has none."""
    text = _JOINTS.sub(" ", name).strip()
    return text if has_words(text) else ""


def has_words(text: str) -> bool:
    """Whether a text has a word: two letters in a row, or one of a script that writes words with one character."""
    return bool(_WORD.search(text))


def _text(element: Any) -> str:
    value, alias, hint = (in_words(element.get(name) or "") for name in ("value", "alias", "hint"))
    return ": ".join(filter(None, (value or alias, hint)))
