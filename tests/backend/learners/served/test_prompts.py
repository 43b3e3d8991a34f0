"""What is asked, and what answers mean."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from backend.learners.served.prompts import LETTERS, NONE, Prompt, mass
from backend.targets import SIDES, Target, with_sides
from tests.conftest import TOPIC

TOPICS = Target("topics", "multilabel", ("x", "y"))
BETTER = Target("better", "pairwise", SIDES)


def test_a_question_shows_options_instructions_and_examples() -> None:
    prompt = Prompt(TOPIC, "Fruit is what grows.", (("an apple", "fruit"), ("the saw", "tool")))
    (asked,) = prompt.conversations("a horse")
    assert [message["role"] for message in asked] == ["system", "user", "assistant", "user", "assistant", "user"]
    for line in ("Fruit is what grows.", "A. fruit", "B. tool", "C. animal"):
        assert line in asked[0]["content"].splitlines()
    assert [message["content"] for message in asked[2::2]] == ["A", "B"]
    assert "an apple" in asked[1]["content"]
    assert "a horse" in asked[-1]["content"]


def test_several_labels_may_be_none() -> None:
    prompt = Prompt(TOPICS, "", (("nothing", NONE),))
    assert prompt.options == ("x", "y", NONE)
    assert prompt.conversations("t")[0][2]["content"] == "C"


def test_two_answers_are_shown_in_both_orders() -> None:
    there, back = Prompt(BETTER, "").conversations(with_sides("why", "one", "two"))
    assert there[-1]["content"] == "why\n\nAnswer A:\none\n\nAnswer B:\ntwo\n\nLetter:"
    assert back[-1]["content"] == "why\n\nAnswer A:\ntwo\n\nAnswer B:\none\n\nLetter:"


def test_answers_are_probabilities_of_the_options() -> None:
    # An option that is not among the likeliest tokens is at most as likely as the last of them.
    answer = {"A": math.log(0.3), " A": math.log(0.1), "B": math.log(0.2), "The": math.log(0.3)}
    answer["x"] = math.log(0.01)
    found = np.exp(Prompt(TOPIC, "").read([answer]))
    np.testing.assert_allclose(found, np.array([0.4, 0.2, 0.01]) / 0.61, rtol=1e-5)
    assert mass(answer, 3) == pytest.approx(0.6)
    np.testing.assert_allclose(np.exp(Prompt(TOPIC, "").read([{}])), np.full(3, 1 / 3), rtol=1e-5)
    assert np.isfinite(Prompt(TOPIC, "").read([{"A": 0.0, "B": -9999.0}])).all()


def test_a_favoured_place_cancels_and_exchanged_answers_exchange() -> None:
    prompt = Prompt(BETTER, "")
    biased = {"A": math.log(0.8), "B": math.log(0.2)}
    as_asked, exchanged = prompt.read([biased, biased])
    assert as_asked == pytest.approx(-exchanged)
    other = {"A": math.log(0.6), "B": math.log(0.4)}
    np.testing.assert_allclose(prompt.read([biased, other]), -prompt.read([other, biased])[::-1], rtol=1e-5)


def test_prompts_come_back_from_json_and_have_a_key_of_their_own() -> None:
    prompt = Prompt(TOPIC, "told", (("an apple", "fruit"),))
    again = Prompt.from_json(json.loads(json.dumps(prompt.as_json())))
    assert again == prompt
    assert again.key == prompt.key
    renamed = replace(prompt, target=replace(TOPIC, name="kind"))
    others = [replace(prompt, instructions="otherwise"), replace(prompt, examples=()), renamed]
    assert len({each.key for each in [prompt, *others]}) == 4


def test_letters_are_single_and_half_a_character_is_no_error() -> None:
    assert len(set(LETTERS)) == 52
    prompt = Prompt(TOPIC, "", (("\ud83d", "fruit"),))
    json.dumps(prompt.conversations("\ud83d"), ensure_ascii=False).encode("utf-8")
    assert prompt.key


@pytest.mark.parametrize(
    ("low", "high", "step", "expected"),
    [
        (1, 5, 1, "12345"),
        (0, 1, None, "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1"),
        (0, 100, 1, "0 10 20 30 40 50 60 70 80 90 100"),
        (0, 10, 3, "0369"),
        (1e6, 1e6 + 2, 1, "1000000 1000001 1000002"),
    ],
)
def test_numbers_have_letters(low: float, high: float, step: float | None, expected: str) -> None:
    prompt = Prompt(Target("n", "regression", low=low, high=high, step=step), "")
    assert prompt.options == tuple(expected.split() if " " in expected else expected)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(prompt.options)]
    sure = [{letters[-1]: 0.0, letters[0]: -30.0}]
    last = 2 * (float(prompt.options[-1]) - low) / (high - low) - 1
    assert prompt.read(sure) == pytest.approx([last, np.log(1e-3)], abs=1e-2)
    if last < 1:
        return
    middle, spread = prompt.read([{letters[-1]: -0.693, letters[0]: -0.693, letters[1]: -15.0}])
    assert middle == pytest.approx(0.0, abs=1e-2)
    assert spread == pytest.approx(0.0, abs=1e-2), "half of it at either end"
