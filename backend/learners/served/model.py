"""A language model behind a server, and what is known of texts by asking it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import ModelError
from backend.learners.base import Progress, no_progress
from backend.learners.base_model import BaseModel
from backend.learners.batching import TOKENS_A_BATCH, Batch
from backend.learners.kinds.base import Reading
from backend.learners.loading import SERVED
from backend.learners.served.prompts import Prompt, mass
from backend.learners.served.server import Server
from backend.targets import sides, with_sides

EMBEDDER = "minilm"  # what gives their texts' embeddings, here
_ASKED_AT_ONCE = 1024  # texts whose answers are kept together, so that a failure loses no more
_EMBEDDED_AT_ONCE = 16_384
_CHARACTERS = 16  # that a word piece may have on average
_ENOUGH = 0.01  # of an answer's probability, in the median, that letters have if the model understands

Array = NDArray[Any]


class Kept(Protocol):
    """What was computed of texts before, (N, W), so that none is asked about twice."""

    def found(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], Array]:
        """Which texts are there, (N,), and the rows of those."""

    def add(self, texts: Sequence[str], rows: Array) -> None:
        """Keep some more."""


Memory = Callable[[str], Kept]  # by what it was computed with


@dataclass(frozen=True, kw_only=True)
class Answered(Reading):
    """What is known of texts, for the heads: D numbers each, the answers to every prompt and the embedding."""

    vectors: torch.Tensor  # (B, D)
    of_sides: torch.Tensor  # (2, B, D)

    @cached_property
    def pooled(self) -> torch.Tensor:
        """(B, D)."""
        return self.vectors

    @cached_property
    def sides(self) -> torch.Tensor:
        """(2, B, D), one the other's opposite: of the answers about two sides, and of nothing else."""
        return self.of_sides


class ServedModel:
    """A model of the server, under the name that base models have here."""

    device = torch.device("cpu")  # of the heads

    def __init__(self, name: str, server: Server, embedder: Callable[[], BaseModel]) -> None:
        self.name = name
        self.server = server
        self._embedder = embedder

    @property
    def served_as(self) -> str:
        """Its name on the server."""
        return self.name.removeprefix(SERVED)

    @property
    def identity(self) -> str:
        """Equal exactly where the same is asked in the same way, as far as can be known here."""
        return f"{self.name}-{self.server.digest}"

    def dimensions(self, prompts: Sequence[Prompt]) -> int:
        """D."""
        return sum(prompt.width for prompt in prompts) + self._embedder().dimensions

    def read(
        self,
        prompts: Sequence[Prompt],
        texts: Sequence[str],
        max_length: int,
        kept: Memory | None,
        *,
        halvings: int = 0,
        progress: Progress = no_progress,
    ) -> Answered:
        """Ask about texts, cut to `max_length` word pieces, what has not been asked before.

        halvings: how often to halve the batches that are embedded at once.
        """
        base, total = self._embedder(), (len(prompts) + 1) * len(texts)
        parts = [
            _known(
                None if kept is None else kept(f"{self.identity}-{max_length}-{prompt.key}"), texts, prompt.width,
                partial(self._ask, prompt, max_length), _part(progress, number * len(texts), total), _ASKED_AT_ONCE,
            )
            for number, prompt in enumerate(prompts)
        ]  # fmt: skip
        embedding = _known(
            None if kept is None else kept(f"{base.name}-{max_length}"), texts, base.dimensions,
            partial(base.embed, max_length=max_length, tokens_a_batch=TOKENS_A_BATCH >> halvings),
            _part(progress, len(prompts) * len(texts), total), _EMBEDDED_AT_ONCE,
        )  # fmt: skip
        embedding /= np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
        vectors = torch.from_numpy(np.concatenate([*parts, embedding], axis=1))
        paired = [np.full(prompt.width, prompt.target.kind == "pairwise") for prompt in prompts]
        only = torch.from_numpy(np.concatenate([*paired, np.zeros(base.dimensions, np.bool_)]))
        halves = vectors * only / 2
        return Answered(
            base, _NO_BATCH, texts, max_length, vectors=vectors, of_sides=torch.stack([halves, -halves])
        )  # fmt: skip

    def require_letters(self, prompt: Prompt, texts: Sequence[str]) -> None:
        """Raise `ModelError` if the model begins its answers otherwise than with a letter, as those that think do."""
        asked = [prompt.conversations(text)[0] for text in texts]
        answers = self.server.first_tokens(self.served_as, asked)
        if np.median([mass(answer, prompt.width) for answer in answers]) < _ENOUGH:
            likely = next((max(answer, key=lambda token: answer[token]) for answer in answers if answer), "")
            raise ModelError(
                f"'{self.served_as}' was asked for a letter and begins with {likely[:20]!r}. If it thinks before it "
                "answers, have the server turn that off, as OPENAI_EXTRA_BODY="
                '{"chat_template_kwargs": {"enable_thinking": false}} does for many; or choose another model'
            )

    def cut(self, text: str, max_length: int) -> str:
        """The text without what comes after so many word pieces; of two answers and their context, each."""
        context, left, right = sides(text)
        if left or right:
            return with_sides(*(self.cut(part, max_length) for part in (context, left, right)))
        text = text[: _CHARACTERS * max_length]  # of what is no words, a piece may be any number
        if len(text) <= max_length:
            return text
        return text[: int(self._embedder().offsets([text], max_length)[0, :, 1].max())]

    def _ask(self, prompt: Prompt, max_length: int, texts: Sequence[str], progress: Progress) -> Array:
        """(N, W)."""
        several = [prompt.conversations(self.cut(text, max_length)) for text in texts]
        each = len(several[0])
        answers = self.server.first_tokens(
            self.served_as, [asked for of_text in several for asked in of_text],
            lambda done, total: progress(done // each, total // each),
        )  # fmt: skip
        return np.stack([prompt.read(answers[place : place + each]) for place in range(0, len(answers), each)])


def _known(
    kept: Kept | None, texts: Sequence[str], width: int, compute: Callable[..., Array], progress: Progress, at_once: int
) -> Array:
    """What is kept of each text, (N, W), and of the others what is computed now, which is kept then."""
    out = np.zeros((len(texts), width), np.float32)
    missing: NDArray[np.int64] = np.arange(len(texts))
    if kept is not None and len(texts):
        there, values = kept.found(texts)
        if there.any():
            out[there] = values
        missing = np.flatnonzero(~there)
    for start in range(0, len(missing), at_once):
        rows = missing[start : start + at_once]
        part = _part(progress, len(texts) - len(missing) + start, len(texts))
        some = [texts[row] for row in rows]
        out[rows] = compute(some, progress=part)
        if kept is not None:
            kept.add(some, out[rows])
    return out


def _part(progress: Progress, before: int, total: int) -> Progress:
    """A bar's part that others came before."""
    return lambda done, _: progress(before + done, total)


_NO_BATCH = Batch(np.empty(0, np.int64), torch.empty(0, 0, dtype=torch.int64), torch.empty(0, 0, dtype=torch.int64))
