"""An answer in words, written by a causal language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import torch

from backend.learners import writing
from backend.learners.base import UncertaintyOptions
from backend.learners.base_model import BaseModel
from backend.learners.kinds.base import Reading, TargetHead
from backend.learners.writing import Written
from backend.targets import Target

_MOST = 512  # pieces of an answer
_TOGETHER = 4096  # pieces that are written at once, prompts among them: what memory holds them in grows with both
_ROOM = 1.5  # times the longest answer of training that an answer may take: a model that does not end is stopped


class GenerationHead(TargetHead):
    """The base model's own output layer, through the adapter; nothing is added to it.

    Outputs: `answer` (B, K), code points filled up with zeros, and `log_prob` (B,), the mean over its word pieces.
    """

    keeps = ("answer", "log_prob")

    @staticmethod
    def width(target: Target) -> int:
        """None."""
        return 0

    def prepare(self, texts: Sequence[str], values: Sequence[Any], base: BaseModel) -> None:
        """See how long answers are."""
        longest = max(map(len, writing.answers(base, values)))
        self.state = {"most": min(int(_ROOM * longest) + 1, _MOST, base.max_positions // 2)}

    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """Mean negative log likelihood of the answer's pieces."""
        given = [ids[: self.state["most"]] for ids in writing.answers(reading.base, values)]
        return writing.losses(reading.base, self._prompts(reading, rows), given)

    def outputs(self, reading: Reading) -> dict[str, torch.Tensor]:
        """`answer` and `log_prob`."""
        written = self._written(reading)
        codes = [torch.tensor([ord(each) for each in text], dtype=torch.int32) for text in written.texts]
        answer = torch.nn.utils.rnn.pad_sequence(codes, batch_first=True)
        return {"answer": answer, "log_prob": written.log_probs}

    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:
        """By option: the answer's negative log probability, its pieces' entropy, or how sampled answers differ.

        The first two are means over the pieces, so that long answers are not chosen for being long (Malinin & Gales,
        ICLR 2021). The last is one less the mean Jaccard similarity of two answers' words (Lin et al., TMLR 2024).
        """
        if options.generation == "disagreement":
            drawn = [
                answers
                for asked in self._chunks(reading, options.samples)
                for answers in writing.sample(reading.base, asked, self.state["most"], options.samples, options.seed)
            ]
            return torch.tensor([disagreement(answers) for answers in drawn])
        written = self._written(reading)
        return written.entropies if options.generation == "token_entropy" else -written.log_probs

    def _written(self, reading: Reading) -> Written:
        key = f"written {self.target.name}"
        if key not in reading.notes:
            parts = [writing.write(reading.base, asked, self.state["most"]) for asked in self._chunks(reading)]
            reading.notes[key] = Written(
                [text for part in parts for text in part.texts],
                torch.cat([part.log_probs for part in parts]),
                torch.cat([part.entropies for part in parts]),
            )
        found: Written = reading.notes[key]
        return found

    def _chunks(self, reading: Reading, times: int = 1) -> Iterator[list[list[int]]]:
        """The prompts of all texts, as many together as memory should hold."""
        asked = self._prompts(reading, range(len(reading.texts)))
        rows = max(1, _TOGETHER // ((max(map(len, asked)) + self.state["most"]) * times))
        for start in range(0, len(asked), rows):
            yield asked[start : start + rows]

    def _prompts(self, reading: Reading, rows: Sequence[int]) -> list[list[int]]:
        room = min(reading.max_length, reading.base.max_positions - self.state["most"])
        return writing.prompts(reading.base, [reading.texts[row] for row in rows], room)


def disagreement(answers: Sequence[str]) -> float:
    """One less the mean Jaccard similarity of the words of each two answers."""
    words = [set(answer.lower().split()) for answer in answers]
    alike = [len(a & b) / len(a | b) if a | b else 1.0 for a, b in combinations(words, 2)]
    return 1 - sum(alike) / len(alike)
