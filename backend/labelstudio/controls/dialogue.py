"""Spans in `<Paragraphs>`: a turn and an offset in it ↔ character offsets in the text that the model reads.

Label Studio counts turns from 0, and in a turn's text UTF-16 code units (`getOffsetInPhraseElement` in its editor's
HtxParagraphs.jsx). In the text of a dialogue that is to be marked, a mark precedes each turn's own text, and its line
begins after a line break; the name before it has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backend.targets import MARK, unmarked


class Turn(NamedTuple):
    """The characters of a turn's own text, marks not counted. end: exclusive."""

    start: int
    end: int


def marked(turns: Iterable[tuple[str, str]]) -> str:
    """The text of a dialogue: (author, text) of each turn. Turns without a text are kept, since turns are counted."""
    lines = []
    for author, text in turns:
        name = " ".join(author.replace(MARK, " ").split())
        lines.append(f"{name}: {MARK}{text.replace(MARK, ' ')}" if name else f"{MARK}{text.replace(MARK, ' ')}")
    return "\n".join(lines)


def turns(text: str) -> list[Turn]:
    """The turns of a text from `marked`."""
    found: list[Turn] = []
    places = [place for place, character in enumerate(text) if character == MARK]
    for number, place in enumerate(places):
        following = places[number + 1] if number + 1 < len(places) else None
        end = len(text) if following is None else max(place + 1, text.rfind("\n", 0, following))
        found.append(Turn(place - number, end - number - 1))
    return found


def offsets(value: Mapping[str, Any], text: str) -> tuple[int, int]:
    """Start and end of a region. Raises `ValueError` or `IndexError` if it is not in the dialogue."""
    found = turns(text)

    def at(turn: str, offset: str) -> int:
        return _offset(found[_count(value[turn])], _count(value[offset]), text)

    return at("start", "startOffset"), at("end", "endOffset")


def place(start: int, end: int, text: str) -> dict[str, Any] | None:
    """The region of a span; None if there are only names in it."""
    found = turns(text)
    inside = [number for number, turn in enumerate(found) if turn.start < end and turn.end > start]
    if not inside:
        return None
    first, last = inside[0], inside[-1]
    plain = unmarked(text)
    after = (
        plain[found[first].start : max(start, found[first].start)],
        plain[found[last].start : min(end, found[last].end)],
    )
    return {"start": str(first), "end": str(last), "startOffset": _units(after[0]), "endOffset": _units(after[1])}


def _offset(turn: Turn, units: int, text: str) -> int:
    own = unmarked(text)[turn.start : turn.end].encode("utf-16-le", "surrogatepass")
    if 2 * units > len(own):
        raise ValueError("behind the end of its turn")
    return turn.start + len(own[: 2 * units].decode("utf-16-le", "replace"))


def _count(value: Any) -> int:
    """A number that may be written as "3" or 3.0. Raises `ValueError` for negative ones."""
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(number, bool) or not isinstance(number, int | float) or number < 0 or number != number // 1:
        raise ValueError(f"no count: {value!r}")
    return int(number)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
