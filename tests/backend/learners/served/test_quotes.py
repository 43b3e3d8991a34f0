"""What a model quotes is found in the text, exactly or nearly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.learners.served import quotes
from backend.learners.served.server import Written

TEXT = "Ann met Bo and Ann in New  York, at the café of the Hôtel."


def found(answer: str, text: str = TEXT, letters: str = "AB") -> list[tuple[str, str]]:
    rows = quotes.read(Written(answer), text, letters)[:-1].reshape(quotes.MOST, quotes.COLUMNS)
    return [(letters[int(row[2]) - 1], text[int(row[0]) : int(row[1])]) for row in rows if row[2]]


@pytest.mark.parametrize(
    ("answer", "spans"),
    [
        ("A: Ann\nB: New  York", [("A", "Ann"), ("B", "New  York")]),
        ('- A. Bo\n* B) "New York"', [("A", "Bo"), ("B", "New  York")]),
        ("B: new york", [("B", "New  York")]),
        ("B: New Yrok", [("B", "New  York")]),
        ("B: cafe of the Hotel", [("B", "café of the Hôtel")]),
        ("A: Bob", []),
        ("C: Ann", []),
        ("none", []),
        ("There are two: Ann and Bo.", []),
        ("A:\nB: Bo", [("B", "Bo")]),
        ("A: " + "Ann " * 1000, []),
        ("", []),
    ],
)
def test_quotes_are_found_where_they_stand(answer: str, spans: list[tuple[str, str]]) -> None:
    assert found(answer) == spans


def test_a_repeated_quote_is_the_next_occurrence() -> None:
    rows = quotes.read(Written("A: Ann\nA: Ann\nA: Ann"), TEXT, "A")[:-1].reshape(-1, quotes.COLUMNS)
    assert [(int(row[0]), int(row[1])) for row in rows if row[2]] == [(0, 3), (15, 18)]


def test_a_word_inside_of_another_comes_last() -> None:
    assert quotes.read(Written("A: art"), "a party of art", "A")[:2].tolist() == [11, 14]
    assert found("A: 北京", "我在北京住", "A") == [("A", "北京")]


def test_confidence_is_that_of_the_tokens_of_the_line() -> None:
    tokens = (("A", -0.1), (":", -0.3), (" Ann", -0.2), ("\n", -9.0), ("B", -1.0), (": Bo", -3.0))
    rows = quotes.read(Written("A: Ann\nB: Bo", tokens), TEXT, "AB")
    assert rows[3] == pytest.approx(-0.2)
    assert rows[quotes.COLUMNS + 3] == pytest.approx(-2.0)
    assert rows[-1] == pytest.approx(np.mean([log for _, log in tokens]))
    assert quotes.read(Written("A: Ann"), TEXT, "AB")[3] == 0, "a server that tells no log-probabilities"


def test_more_spans_than_are_kept_and_endless_answers() -> None:
    text = " ".join(f"word{number}" for number in range(100))
    answer = "\n".join(f"A: word{number}" for number in range(100))
    assert len(found(answer, text, "A")) == quotes.MOST


@given(text=st.text(max_size=60), answer=st.text("AB:. \n\"'xyé", max_size=60))
def test_any_answer_is_read_as_spans_of_the_text_that_do_not_overlap(text: str, answer: str) -> None:
    rows = quotes.read(Written(answer), text, "AB")
    assert np.isfinite(rows).all()
    places = sorted((int(row[0]), int(row[1])) for row in rows[:-1].reshape(-1, quotes.COLUMNS) if row[2])
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(before[1] <= after[0] for before, after in pairwise(places))


@given(words=st.lists(st.text("abcé中", min_size=1, max_size=5), min_size=1, max_size=8), data=st.data())
def test_the_right_answer_quotes_a_span_of_words_that_are_all_different(words: list[str], data: st.DataObject) -> None:
    words = list(dict.fromkeys(words))
    text = " ".join(words)
    first = data.draw(st.integers(0, len(words) - 1))
    start = len(" ".join(words[:first])) + (first > 0)
    answer = quotes.lines([[start, start + len(words[first]), "x"]], text, {"x": "A"})
    assert quotes.read(Written(answer), text, "A")[:3].tolist() == [start, start + len(words[first]), 1]
