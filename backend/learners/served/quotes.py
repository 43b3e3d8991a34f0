"""Spans that a language model quotes: the lines of its answer, and where their quotes stand in the text.

A line is a letter, a colon and a quote. Models repeat, shorten and misspell what they quote, so a quote is searched
exactly, then without regard to case and white space, then with a few wrong characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import regex  # type: ignore[import-untyped]
from numpy.typing import NDArray

from backend.learners.kinds.spans import whole
from backend.learners.served.server import Written

MOST = 32  # spans of a text
COLUMNS = 4  # start, end (exclusive), 1 + index of the class, log-probability a token
WIDTH = MOST * COLUMNS + 1  # and the log-probability a token of the whole answer
NOTHING = "none"
_LINE = re.compile(r"^[ \t*-]*([A-Za-z])[ \t]*[.:)\]][ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_QUOTED = re.compile("^([\"'`“”„«‘])(.*)([\"'`”“»’])$", re.DOTALL)
_FUZZY = 6  # characters from which on a quote may have wrong ones, one in eight
_SECONDS = 0.5  # for finding one quote


def lines(spans: Sequence[Sequence[Any]], text: str, letters: dict[str, str]) -> str:
    """The answer for spans, [start, end, class], of a text, which may be cut before some. letters: by class."""
    known = [(letters[name], text[start:end]) for start, end, name in spans if end <= len(text)]
    return "\n".join(f"{letter}: {' '.join(quote.split())}" for letter, quote in known) or NOTHING


def is_answer(answer: Written) -> bool:
    """Whether an answer has the form that the prompt requires."""
    return bool(_LINE.search(answer.text)) or answer.text.strip().lower().startswith(NOTHING)


def read(answer: Written, text: str, letters: str) -> NDArray[np.float32]:
    """The quotes that stand in a text: (WIDTH,), see `COLUMNS`; padded with zeros.

    letters: those of the classes, in their order. Lines with other letters, or whose quote does not stand in the text,
    are left out. Spans do not overlap: a quote that is repeated is its next occurrence.
    """
    found = np.zeros(WIDTH, np.float32)
    found[-1] = _log_probability(answer, 0, len(answer.text))
    taken: list[tuple[int, int]] = []
    for line in _LINE.finditer(answer.text):
        place = _place(line[2], text, taken) if line[1] in letters else None
        if place is not None and len(taken) < MOST:
            row = COLUMNS * len(taken)
            found[row : row + COLUMNS] = (
                *place, 1 + letters.index(line[1]), _log_probability(answer, line.start(1), line.end(2))
            )  # fmt: skip
            taken.append(place)
    return found


def _place(quote: str, text: str, taken: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Where a quote stands in the text, apart from what is taken; None if it does not."""
    for pattern, flags in _patterns(quote):
        try:
            for match in regex.finditer(pattern, text, flags, timeout=_SECONDS):
                inner = match[0]
                start = match.start() + len(inner) - len(inner.lstrip())
                start, end = whole(text, start, match.start() + len(inner.rstrip()))
                if start < end and not any(start < after and first < end for first, after in taken):
                    return start, end
        except TimeoutError:
            continue
    return None


def _patterns(quote: str) -> Iterator[tuple[str, int]]:
    """Regular expressions for a quote with their flags, the strictest first."""
    yield _alone(regex.escape(quote)), 0
    yield regex.escape(quote), 0
    if (marked := _QUOTED.match(quote)) is not None and marked[2].strip():
        quote = marked[2].strip()
    loose = r"\s+".join(map(regex.escape, quote.split()))
    yield _alone(loose), regex.IGNORECASE
    yield loose, regex.IGNORECASE
    if len(quote) >= _FUZZY:
        yield rf"(?b)(?:{loose}){{e<={len(quote) // 8 + 1}}}", regex.IGNORECASE


def _alone(pattern: str) -> str:
    """No part of a longer word."""
    return rf"(?<!\w){pattern}(?!\w)"


def _log_probability(answer: Written, start: int, end: int) -> float:
    """Mean natural log-probability of the tokens of a range of the answer; 0 if none is known."""
    position, logs = 0, []
    for token, log in answer.tokens:
        if position < end and position + len(token) > start:
            logs.append(log)
        position += len(token)
    return float(np.mean(logs)) if logs else 0.0
