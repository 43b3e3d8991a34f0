"""What a language model is asked about a text, and what its answer's first token tells.

Options have letters, so that one token says all (as in MMLU, Hendrycks et al., ICLR 2021); examples with their answers
come before (Brown et al., Language Models are Few-Shot Learners, NeurIPS 2020). Two answers are asked about in both
orders, since models favour a place (Zheng et al., Judging LLM-as-a-Judge, NeurIPS 2023, 3.3).
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
KINDS: frozenset[Kind] = frozenset({"classification", "multilabel", "pairwise"})  # what can be asked with letters
NONE = "none of these"
_LEAST = -20.0  # a log-probability below which nothing differs
_ASK: dict[Kind, tuple[str, str]] = {
    "classification": ("Choose the option that fits the text best.", "the one that fits best"),
    "multilabel": ("Choose an option that fits the text.", "one that fits"),
    "pairwise": ("Choose the better of two answers.", "the better answer"),
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """How one target is asked about.

    examples: texts with the class of each; of several classes, one. instructions: what else the team says of the task.
    """

    target: Target
    instructions: str
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """What the letters stand for."""
        return (*self.target.classes, NONE) if self.target.kind == "multilabel" else self.target.classes

    @property
    def width(self) -> int:
        """W, how many numbers `read` gives."""
        return len(self.options)

    @property
    def key(self) -> str:
        """Equal exactly for prompts that ask the same."""
        asked = json.dumps([self.conversations(""), self.examples], ensure_ascii=True)
        return blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def conversations(self, text: str) -> list[list[Message]]:
        """What to ask about a text: one conversation, or two where order matters."""
        context, left, right = sides(text)
        texts = [text, with_sides(context, right, left)] if self.target.kind == "pairwise" else [text]
        before = [{"role": "system", "content": self._task()}]
        for example, answer in self.examples:
            letter = LETTERS[self.options.index(answer)]
            before += [{"role": "user", "content": self._shown(example)}, {"role": "assistant", "content": letter}]
        return [[*before, {"role": "user", "content": self._shown(each)}] for each in texts]

    def read(self, answers: Sequence[FirstTokens]) -> NDArray[np.float32]:
        """What a text's conversations gave → log-probabilities, (W,).

        Of the options, whose probabilities sum to 1. Of two answers, the log-odds that the left one is better: as
        asked, and as asked in the other order.
        """
        if self.target.kind != "pairwise":
            return _normalised(answers[0], self.width)
        as_asked, exchanged = (_normalised(each, len(SIDES)) for each in answers)
        return np.stack([as_asked[0] - as_asked[1], exchanged[1] - exchanged[0]])

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "target": self.target.as_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """What `as_json` gave."""
        examples = tuple((text, answer) for text, answer in values["examples"])
        return cls(Target.from_json(values["target"]), values["instructions"], examples)

    def _task(self) -> str:
        what, which = _ASK[self.target.kind]
        lines = [f"{what} The question is: {self.target.name}."]
        if self.instructions:
            lines.append(self.instructions)
        if self.target.kind != "pairwise":
            lines += [f"{letter}. {option}" for letter, option in zip(LETTERS, self.options, strict=False)]
        return "\n".join([*lines, f"Answer with the letter of {which}, and nothing else."])

    def _shown(self, text: str) -> str:
        text = text.encode("utf-8", "replace").decode()  # half a character cannot be sent
        if self.target.kind != "pairwise":
            return f"Text:\n{text}\n\nLetter:"
        context, first, second = sides(text)
        before = f"{context}\n\n" if context else ""
        return f"{before}Answer A:\n{first}\n\nAnswer B:\n{second}\n\nLetter:"


def mass(answer: FirstTokens, options: int) -> float:
    """How probable it is that the answer begins with one of the letters at all."""
    letters = set(LETTERS[:options])
    return float(sum(np.exp(value) for token, value in answer.items() if token.strip() in letters))


def _normalised(answer: FirstTokens, options: int) -> NDArray[np.float32]:
    """Log-probabilities of the letters; what is not among the likeliest tokens is as likely as the last of those."""
    least = max(_LEAST, min(answer.values(), default=_LEAST))
    found = np.full(options, -np.inf)
    for token, value in answer.items():
        letter = token.strip()
        if len(letter) == 1 and (place := LETTERS.find(letter)) in range(options):
            found[place] = np.logaddexp(found[place], value)  # "A" and " A" are both meant
    found = np.maximum(found, least)
    return np.asarray(found - np.logaddexp.reduce(found), np.float32)
