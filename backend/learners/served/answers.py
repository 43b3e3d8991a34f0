"""Answers that a language model writes, as rows of the cache: code points, and how probable the answer was."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from backend.learners.served.server import Written

MOST = 1200  # characters of an answer; the rest is cut
WIDTH = MOST + 1  # code points padded with zeros, and the log-probability a token
_UNKNOWN = math.log(0.5)  # log-probability a token, if the server returns none
_THOUGHT = "<think"  # what reasoning models begin with


def is_answer(answer: Written) -> bool:
    """Whether there is an answer, and no thoughts before it."""
    return bool(answer.text.strip()) and not answer.text.lstrip().startswith(_THOUGHT)


def encoded(answer: Written) -> NDArray[np.float32]:
    """(WIDTH,). Single precision holds every code point. Nothing is kept of what is no answer."""
    found = np.zeros(WIDTH, np.float32)
    text = answer.text.strip()[:MOST] if is_answer(answer) else ""
    found[: len(text)] = [ord(each) for each in text]
    found[-1] = np.mean([log for _, log in answer.tokens]) if answer.tokens else _UNKNOWN
    return found
