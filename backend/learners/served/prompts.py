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

from backend.learners.served.server import FirstTokens, Message
from backend.targets import SIDES, Kind, Target, sides, with_sides

LETTERS = string.ascii_uppercase + string.ascii_lowercase
KINDS: frozenset[Kind] = frozenset({"classification", "multilabel", "pairwise"})  # expressible with option letters
NONE = "none of these"
_FLOOR = -20.0  # lower log-probabilities are raised to it
_WORDING: dict[Kind, tuple[str, str]] = {
    "classification": ("Choose the option that fits the text best.", "the one that fits best"),
    "multilabel": ("Choose an option that fits the text.", "one that fits"),
    "pairwise": ("Choose the better of two answers.", "the better answer"),
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt of one target.

    examples: few-shot examples (text, class); for multilabel, one of its classes. instructions: a task description,
    from `extra_params`.
    """

    target: Target
    instructions: str
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The options that the letters stand for."""
        return (*self.target.classes, NONE) if self.target.kind == "multilabel" else self.target.classes

    @property
    def width(self) -> int:
        """W, the size of the result of `read`."""
        return len(self.options)

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
            letter = LETTERS[self.options.index(answer)]
            before += [{"role": "user", "content": self._shown(example)}, {"role": "assistant", "content": letter}]
        return [[*before, {"role": "user", "content": self._shown(each)}] for each in texts]

    def read(self, answers: Sequence[FirstTokens]) -> NDArray[np.float32]:
        """First-token log-probabilities of a text's conversations → features, (W,).

        Log-probabilities of the options, whose probabilities sum to 1. For pairwise, the log-odds that the left answer
        is better: in the given order, and in the exchanged one.
        """
        if self.target.kind != "pairwise":
            return _normalised(answers[0], self.width)
        given, exchanged = (_normalised(each, len(SIDES)) for each in answers)
        return np.stack([given[0] - given[1], exchanged[1] - exchanged[0]])

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
        return "\n".join([*lines, f"Answer with the letter of {which}, and nothing else."])

    def _shown(self, text: str) -> str:
        text = text.encode("utf-8", "replace").decode()  # lone surrogates cannot be sent
        if self.target.kind != "pairwise":
            return f"Text:\n{text}\n\nLetter:"
        context, first, second = sides(text)
        before = f"{context}\n\n" if context else ""
        return f"{before}Answer A:\n{first}\n\nAnswer B:\n{second}\n\nLetter:"


def fits(target: Target) -> bool:
    """Whether there are letters enough for the target's options."""
    return len(target.classes) + (target.kind == "multilabel") <= len(LETTERS)


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
