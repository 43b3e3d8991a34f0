"""Few-shot prompts for a language model, and log-probabilities of classes from its answers' first tokens.

Options have letters, so that the first token is the whole answer (as in MMLU, Hendrycks et al., ICLR 2021). Few-shot
examples come first (Brown et al., Language Models are Few-Shot Learners, NeurIPS 2020). Pairs are compared in both
orders, as models have a position bias (Zheng et al., Judging LLM-as-a-Judge, NeurIPS 2023, section 3.3).
"""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backend.learners.served import answers, quotes
from backend.learners.served.server import FirstTokens, Message, Written
from backend.targets import MARK, SIDES, Kind, Target, sides, unmarked, with_sides, without_context

LETTERS = string.ascii_uppercase + string.ascii_lowercase
CHOSEN: frozenset[Kind] = frozenset({"classification", "multilabel", "pairwise"})  # where an option is a label
WRITTEN: frozenset[Kind] = frozenset({"spans", "generation"})  # what is answered with a text instead of a letter
NONE = "none of these"
_FINE = 1e-3  # variance that numbers have within one option
_NUMBERS = 11  # options of a number with more values than letters
_FLOOR = -20.0  # lower log-probabilities are raised to it
_WORDING: dict[Kind, tuple[str, str]] = {
    "classification": ("Choose the option that fits the text best.", "the one that fits best"),
    "multilabel": ("Choose an option that fits the text.", "one that fits"),
    "pairwise": ("Choose the better of two answers.", "the better answer"),
    "regression": ("Choose the number that fits the text best.", "the one that fits best"),
    "spans": ("Find every part of the text that is one of the options.", ""),
    "generation": ("Write what is wanted for the text.", ""),
}
_QUOTE = (
    "Answer with one line for each part, in the order of the text: its letter, a colon, and the part exactly as it "
    f"stands in the text. Answer {quotes.NOTHING} if there is no such part."
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt of one target.

    examples: few-shot examples (text, class); for multilabel, one of its classes; for spans, the lines of the answer;
    for written answers, the answer.
    instructions: a task description, from `extra_params`.
    """

    target: Target
    instructions: str
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The options that the letters stand for."""
        if self.target.kind == "regression":
            return tuple(map(in_digits, numbers(self.target)))
        return (*self.target.classes, NONE) if self.target.kind == "multilabel" else self.target.classes

    @property
    def width(self) -> int:
        """W, the size of the result of `read`."""
        widths = {"regression": 2, "spans": quotes.WIDTH, "generation": answers.WIDTH}
        return widths.get(self.target.kind, len(self.options))

    @property
    def key(self) -> str:
        """Cache key: equal exactly for prompts that send the same messages."""
        messages = json.dumps([self.conversations(""), self.examples], ensure_ascii=True)
        return blake2b(messages.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def conversations(self, text: str) -> list[list[Message]]:
        """Chat messages for a text: one conversation; for pairwise two, with the answers in either order."""
        context, left, right = sides(text)
        texts = [text, with_sides(context, right, left)] if self.target.kind == "pairwise" else [text]
        before = [{"role": "system", "content": self._task()}]
        for example, answer in self.examples:
            given = answer if self.target.kind in WRITTEN else LETTERS[self.options.index(answer)]
            before += [{"role": "user", "content": self._shown(example)}, {"role": "assistant", "content": given}]
        return [[*before, {"role": "user", "content": self._shown(each)}] for each in texts]

    def read(self, answers: Sequence[FirstTokens]) -> NDArray[np.float32]:
        """First-token log-probabilities of a text's conversations → features, (W,).

        Log-probabilities of the options, whose probabilities sum to 1. For pairwise, the log-odds that the left answer
        is better: in the given order, and in the exchanged one. For numbers, their expectation and the logarithm of
        their variance, in units of half the range, from its middle.
        """
        if self.target.kind == "regression":
            probs = np.exp(_normalised(answers[0], len(self.options)))
            middle, half = middle_of(self.target)
            values = (numbers(self.target) - middle) / half
            expected = probs @ values
            return np.asarray([expected, np.log(_FINE + probs @ (values - expected) ** 2)], np.float32)
        if self.target.kind != "pairwise":
            return _normalised(answers[0], self.width)
        given, exchanged = (_normalised(each, len(SIDES)) for each in answers)
        return np.stack([given[0] - given[1], exchanged[1] - exchanged[0]])

    def is_answer(self, answer: Written) -> bool:
        """Whether a written answer has the form that the prompt requires."""
        return quotes.is_answer(answer) if self.target.kind == "spans" else answers.is_answer(answer)

    def read_written(self, answer: Written, text: str) -> NDArray[np.float32]:
        """A written answer as `answers.encoded`, or the spans that it quotes from a text as `quotes.read`: (W,)."""
        if self.target.kind == "generation":
            return answers.encoded(answer)
        return quotes.read(answer, unmarked(without_context(text)), LETTERS[: len(self.options)])

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "target": self.target.as_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Restore a prompt from `as_json`."""
        examples = tuple((text, answer) for text, answer in values["examples"])
        return cls(Target.from_json(values["target"]), values["instructions"], examples)

    def _task(self) -> str:
        what, which = _WORDING[self.target.kind]
        lines = [f"{what} The question is: {self.target.name}."]
        if self.instructions:
            lines.append(self.instructions)
        if self.target.kind != "pairwise":
            lines += [f"{letter}. {option}" for letter, option in zip(LETTERS, self.options, strict=False)]
        if self.target.kind == "generation":
            return "\n".join([*lines, "Answer with that text, and nothing else."])
        end = _QUOTE if self.target.kind == "spans" else f"Answer with the letter of {which}, and nothing else."
        return "\n".join([*lines, end])

    def _shown(self, text: str) -> str:
        text = text.encode("utf-8", "replace").decode()  # lone surrogates cannot be sent
        if self.target.kind == "spans":
            inner, context, _ = sides(text)
            return (f"{context}\n\n" if context else "") + f"Text:\n{inner.replace(MARK, chr(10))}\n\nParts:"
        if self.target.kind == "generation":
            return f"Text:\n{text}\n\nAnswer:"
        if self.target.kind != "pairwise":
            return f"Text:\n{text}\n\nLetter:"
        context, first, second = sides(text)
        before = f"{context}\n\n" if context else ""
        return f"{before}Answer A:\n{first}\n\nAnswer B:\n{second}\n\nLetter:"


def fits(target: Target) -> bool:
    """Whether letters can stand for the target's options."""
    if target.kind == "regression":
        return target.width is not None and len(numbers(target)) > 1
    return len(target.classes) + (target.kind == "multilabel") <= len(LETTERS)


def numbers(target: Target) -> NDArray[np.float64]:
    """The numbers that letters stand for, ascending: those of the control, or of a long or fine scale a part."""
    assert target.low is not None
    assert target.high is not None
    if target.step:
        stepped = target.low + target.step * np.arange(np.floor((target.high - target.low) / target.step + 1e-9) + 1)
        if len(stepped) <= len(string.ascii_uppercase):
            return np.asarray(stepped, np.float64)
    return np.linspace(target.low, target.high, _NUMBERS, dtype=np.float64)


def in_digits(number: float) -> str:
    """A number as an option."""
    return f"{number:.10g}"


def middle_of(target: Target) -> tuple[float, float]:
    """Middle and half width of a number's range."""
    assert target.low is not None
    assert target.high is not None
    return (target.high + target.low) / 2, (target.high - target.low) / 2


def quoted(target: Target, spans: Sequence[Sequence[Any]], text: str) -> str:
    """The right answer to a prompt for spans, [start, end, class], of a text."""
    letters = dict(zip(target.classes, LETTERS, strict=False))
    return quotes.lines(spans, unmarked(without_context(text)), letters)


def mass(answer: FirstTokens, options: int) -> float:
    """Probability that the answer begins with one of the option letters."""
    letters = set(LETTERS[:options])
    return float(sum(np.exp(value) for token, value in answer.items() if token.strip() in letters))


def _normalised(answer: FirstTokens, options: int) -> NDArray[np.float32]:
    """Log-probabilities of the letters. Letters missing from the top tokens get the lowest value among those."""
    least = max(_FLOOR, min(answer.values(), default=_FLOOR))
    found = np.full(options, -np.inf)
    for token, value in answer.items():
        letter = token.strip()
        if len(letter) == 1 and (place := LETTERS.find(letter)) in range(options):
            found[place] = np.logaddexp(found[place], value)  # "A" and " A" count as the same
    found = np.maximum(found, least)
    return np.asarray(found - np.logaddexp.reduce(found), np.float32)
