"""A served language model, and its answers and embeddings of texts as features for the heads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import ModelError
from backend.learners.base import Progress, no_progress
from backend.learners.heads.map_head import NO_BATCH, Fixed
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import TOKENS_A_BATCH
from backend.learners.models.loading import SERVED
from backend.learners.served.prompts import WRITTEN, Prompt, mass
from backend.learners.served.server import FirstTokens, Message, Server, Tokens, Written
from backend.targets import sides, with_sides

EMBEDDER = "minilm"  # local model for the embeddings of texts
_QUERIED_AT_ONCE = 1024  # texts per cache write, the most that a failure loses
_EMBEDDED_AT_ONCE = 16_384  # texts per cache write of embeddings
_CHARACTERS = 16  # per token, assumed as maximum on average: the rest is cut before tokenization
_MOST_TOKENS = 300  # of an answer that is a text
_ENOUGH = 0.01  # least median probability of the option letters, below which the model is refused

_REASONING = (
    "If it is a reasoning model, turn reasoning off, for many models with OPENAI_EXTRA_BODY="
    '{"chat_template_kwargs": {"enable_thinking": false}}; or choose another model'
)

Array = NDArray[Any]
T = TypeVar("T")


class Kept(Protocol):
    """Cache of results per text, (N, W), so that no text is sent twice."""

    def found(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], Array]:
        """Mask of the cached texts, (N,), and the rows of those."""

    def add(self, texts: Sequence[str], rows: Array) -> None:
        """Add results to the cache."""


class Meter(Protocol):
    """Counts calls before they are sent, and may refuse them."""

    def reserve(self, calls: int) -> None:
        """Count calls that are sent next. Raises `BudgetError` if there may be no more."""

    def used(self, tokens: Tokens, seconds: float, unsent: int = 0) -> None:
        """Add what reserved calls took: tokens of all, the time until the last answer, and how many were not sent."""


Memory = Callable[[str], Kept]  # cache by a key for how its results were computed


@dataclass(frozen=True, kw_only=True)
class Answered(Fixed):
    """Features of texts for the heads: D numbers each, the answers to all prompts followed by the embedding."""

    of_sides: torch.Tensor  # (2, B, D)
    written: Mapping[str, torch.Tensor]  # by target of spans or written answers: (B, `Prompt.width`)

    @classmethod
    def of(  # type: ignore[override]
        cls, vectors: torch.Tensor, *, paired: torch.Tensor | bool, written: Mapping[str, torch.Tensor] | None = None
    ) -> Answered:
        """paired: of each of the D columns, whether it compares two answers; or of all."""
        halves = vectors * paired / 2
        both = torch.stack([halves, -halves])
        return cls(None, NO_BATCH, (), 0, vectors=vectors, of_sides=both, written=written or {})  # type: ignore[arg-type] # no model is needed

    @cached_property
    def sides(self) -> torch.Tensor:
        """Features of the two answers, (2, B, D): one is minus the other. Only pairwise prompts' columns are not 0."""
        return self.of_sides


class ServedModel:
    """A model on the server, named `openai:…` as a base model."""

    device = torch.device("cpu")  # device of the heads

    def __init__(
        self, name: str, server: Server, embedder: Callable[[], BaseModel], meter: Meter | None = None
    ) -> None:
        self.name = name
        self.server = server
        self._embedder = embedder
        self._meter = meter

    @property
    def served_as(self) -> str:
        """The model's name on the server."""
        return self.name.removeprefix(SERVED)

    @property
    def identity(self) -> str:
        """Cache key: equal for equal model names, server addresses and extra request fields."""
        return f"{self.name}-{self.server.digest}"

    def dimensions(self, prompts: Sequence[Prompt]) -> int:
        """D, the number of features."""
        return sum(prompt.width for prompt in features_of(prompts)) + self._embedder().dimensions

    def read(
        self,
        prompts: Sequence[Prompt],
        texts: Sequence[str],
        max_length: int,
        kept: Memory | None,
        *,
        batch_shrink: int = 0,
        progress: Progress = no_progress,
    ) -> Answered:
        """Query the model about texts, truncated to `max_length` tokens. Only results missing in `kept` are computed.

        batch_shrink: how often to halve embedding batches.
        """
        base, total = self._embedder(), (len(prompts) + 1) * len(texts)
        parts = [
            self.answers(prompt, texts, max_length, kept, _part(progress, number * len(texts), total))
            for number, prompt in enumerate(prompts)
        ]
        embedding = _cached(
            None if kept is None else kept(f"{base.name}-{max_length}"), texts, base.dimensions,
            partial(base.embed, max_length=max_length, tokens_a_batch=TOKENS_A_BATCH >> batch_shrink),
            _part(progress, len(prompts) * len(texts), total), _EMBEDDED_AT_ONCE,
        )  # fmt: skip
        embedding /= np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
        by_target = {prompt.target.name: part for prompt, part in zip(prompts, parts, strict=True)}
        lettered = features_of(prompts)
        columns = [by_target[prompt.target.name] for prompt in lettered]
        vectors = torch.from_numpy(np.concatenate([*columns, embedding], axis=1))
        paired = [np.full(prompt.width, prompt.target.kind == "pairwise") for prompt in lettered]
        only = torch.from_numpy(np.concatenate([*paired, np.zeros(base.dimensions, np.bool_)]))
        written = {
            prompt.target.name: torch.from_numpy(by_target[prompt.target.name])
            for prompt in prompts
            if prompt.target.kind in WRITTEN
        }
        return Answered.of(vectors, paired=only, written=written)

    def answers(
        self, prompt: Prompt, texts: Sequence[str], max_length: int, kept: Memory | None,
        progress: Progress = no_progress,
    ) -> Array:  # fmt: skip
        """The answers to one prompt, see `Prompt.read`: (N, W). Only those missing in `kept` are requested."""
        return _cached(
            None if kept is None else kept(self.key(prompt, max_length)), texts, prompt.width,
            partial(self._query, prompt, max_length), progress, _QUERIED_AT_ONCE,
        )  # fmt: skip

    def key(self, prompt: Prompt, max_length: int) -> str:
        """Cache key of the answers to one prompt."""
        return f"{self.identity}-{max_length}-{prompt.key}"

    def require_letters(self, prompt: Prompt, texts: Sequence[str]) -> None:
        """Raise `ModelError` if answers do not begin with an option letter, as with reasoning models.

        For spans, if no answer has a line with a letter and a quote, or is that there is nothing. For written answers,
        if all are empty or thoughts.
        """
        conversations = [prompt.conversations(text)[0] for text in texts]
        if prompt.target.kind in WRITTEN:
            written = self._texts(conversations)
            if not any(map(prompt.is_answer, written)):
                form = "a letter, a colon and a quote" if prompt.target.kind == "spans" else "a text"
                raise ModelError(
                    f"'{self.served_as}' should answer with {form}, but begins with {written[0].text[:20]!r}. "
                    f"{_REASONING}"
                )
            return
        answers = self._answers(conversations)
        if np.median([mass(answer, len(prompt.options)) for answer in answers]) < _ENOUGH:
            likely = next((max(answer, key=lambda token: answer[token]) for answer in answers if answer), "")
            raise ModelError(
                f"'{self.served_as}' should answer with an option letter, but begins with {likely[:20]!r}. {_REASONING}"
            )

    def cut(self, text: str, max_length: int) -> str:
        """The text truncated to `max_length` tokens. For pairs, context and answers are truncated separately."""
        context, left, right = sides(text)
        if left or right:
            return with_sides(*(self.cut(part, max_length) for part in (context, left, right)))
        text = text[: _CHARACTERS * max_length]  # a token of a text without words can be very long
        if len(text) <= max_length:
            return text
        return text[: int(self._embedder().offsets([text], max_length)[0, :, 1].max())]

    def _query(self, prompt: Prompt, max_length: int, texts: Sequence[str], progress: Progress) -> Array:
        """The model's answers to one prompt for N texts: (N, W)."""
        short = [self.cut(text, max_length) for text in texts]
        several = [prompt.conversations(text) for text in short]
        if prompt.target.kind in WRITTEN:
            written = self._texts([conversation for (conversation,) in several], progress)
            return np.stack([prompt.read_written(*each) for each in zip(written, short, strict=True)])
        each = len(several[0])
        answers = self._answers(
            [conversation for of_text in several for conversation in of_text],
            lambda done, total: progress(done // each, total // each),
        )
        return np.stack([prompt.read(answers[place : place + each]) for place in range(0, len(answers), each)])

    def _answers(
        self, conversations: Sequence[Sequence[Message]], progress: Progress = no_progress
    ) -> list[FirstTokens]:
        def ask(note: Progress) -> tuple[list[FirstTokens], Tokens]:
            return self.server.first_tokens(self.served_as, conversations, note)

        return self._metered(ask, len(conversations), progress)

    def _texts(self, conversations: Sequence[Sequence[Message]], progress: Progress = no_progress) -> list[Written]:
        def ask(note: Progress) -> tuple[list[Written], Tokens]:
            return self.server.texts(self.served_as, conversations, _MOST_TOKENS, note)

        return self._metered(ask, len(conversations), progress)

    def _metered(self, ask: Callable[[Progress], tuple[list[T], Tokens]], calls: int, progress: Progress) -> list[T]:
        meter, began, answered = self._meter, time.monotonic(), 0
        if meter is None:
            return ask(progress)[0]

        def note(done: int, total: int) -> None:
            nonlocal answered
            answered = done
            progress(done, total)

        meter.reserve(calls)
        try:
            answers, tokens = ask(note)
        except BaseException:  # those under way may have been sent
            meter.used(Tokens(), 0.0, max(0, calls - answered - self.server.at_once))
            raise
        meter.used(tokens, time.monotonic() - began)
        return answers


def features_of(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The prompts whose answers are features of the heads: those that are answered with a letter."""
    return [prompt for prompt in prompts if prompt.target.kind not in WRITTEN]


def _cached(
    kept: Kept | None, texts: Sequence[str], width: int, compute: Callable[..., Array], progress: Progress, at_once: int
) -> Array:
    """Results of each text, (N, W): from the cache, else computed and added to it. at_once: texts per computation."""
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
    """Map the progress of one part to the whole bar. before: done by earlier parts."""
    return lambda done, _: progress(before + done, total)
