"""Character spans, as BIO tags of tokens (Ramshaw & Marcus, Text Chunking, 1995)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import regex  # type: ignore[import-untyped]
import torch

from backend.learners.base import UncertaintyOptions
from backend.learners.kinds.base import Reading, TargetHead
from backend.learners.models.base_model import BaseModel
from backend.targets import Target, unmarked, without_context

_IGNORED = -100  # tag of tokens without characters, such as special tokens
_OUTSIDE = 0
_CHARACTER = regex.compile(r"\X")  # as readers see it: a letter with its accents, an emoji sequence (Unicode, UAX 29)
_MAX_WEIGHT = 10.0  # upper bound of the weight of tokens in spans


class Found(NamedTuple):
    """A span that is predicted."""

    start: int  # first character
    end: int  # exclusive
    row: int  # index of the class
    probability: float  # geometric mean over its tokens, so that it does not depend on length


class SpansHead(TargetHead):
    """A softmax over 2C + 1 tags for each token: outside, and beginning and inside of each class.

    Outputs: `spans` (B, K, 3), [start, end, class index], end exclusive, and `span_probs` (B, K), both padded with
    zeros. K is the largest number of spans in the batch.
    """

    keeps = ("spans", "span_probs")

    @staticmethod
    def width(target: Target) -> int:
        """Number of tags: outside, and beginning and inside of each class."""
        return 2 * len(target.classes) + 1

    def meanings(self) -> Sequence[Any]:
        """The tags."""
        return ["outside", *((place, name) for name in self.target.classes for place in ("begin", "inside"))]

    def prepare(self, texts: Sequence[str], values: Sequence[Any], base: BaseModel) -> None:
        """Compute the weight of tokens in spans: √(characters outside / inside), clamped to [1, 10]."""
        inside = sum(end - start for spans in values for start, end, _ in spans)
        outside = sum(len(without_context(text)) for text in texts) - inside
        self._weights = torch.full(
            (self.width(self.target),), min(_MAX_WEIGHT, max(1.0, math.sqrt(outside / max(1, inside))))
        )
        self._weights[_OUTSIDE] = 1.0

    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """Weighted cross-entropy, summed over a text's tokens and divided by the mean number of tokens per text.

        Each token has equal weight, in long and short texts.
        """
        rows = list(rows)
        offsets = reading.offsets[rows]
        wanted = torch.stack([self.tags(each, spans) for each, spans in zip(offsets, values, strict=True)])
        logits = self.linear(reading.hidden[rows]).float()
        wanted = wanted.to(logits.device)
        losses = torch.nn.functional.cross_entropy(
            logits.mT, wanted, weight=self._weights.to(logits.device), reduction="none", ignore_index=_IGNORED
        )
        tokens = (wanted != _IGNORED).sum() / len(rows)
        return torch.as_tensor(losses.sum(dim=1) / tokens.clamp(min=1))

    def outputs(self, reading: Reading) -> dict[str, torch.Tensor]:
        """`spans` and `span_probs`."""
        found = self._decoded(reading)
        most = max((len(each) for each in found), default=0)
        spans, probs = torch.zeros(len(found), most, 3, dtype=torch.int32), torch.zeros(len(found), most)
        for row, each in enumerate(found):
            for place, span in enumerate(each):
                spans[row, place] = torch.tensor(span[:3], dtype=torch.int32)
                probs[row, place] = span.probability
        return {"spans": spans, "span_probs": probs}

    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:
        """By option: mean entropy of all or the k least certain tokens, or 1 − probability of the least confident span.

        None grows with the length of the text, so that long texts are not preferred.
        """
        if options.spans == "least_confident_span":
            return torch.tensor([max((1 - span.probability for span in each), default=0.0)
                                 for each in self._decoded(reading)])  # fmt: skip
        real = (reading.offsets[..., 0] < reading.offsets[..., 1]).to(reading.hidden.device)
        entropies = torch.special.entr(self._probs(reading)).sum(dim=-1).masked_fill(~real, 0.0)
        count = real.sum(dim=1).clamp(min=1)
        if options.spans == "top_k":
            count = count.clamp(max=options.top_k)
            entropies = entropies.topk(min(options.top_k, entropies.shape[1]), dim=1).values
        return torch.as_tensor(entropies.sum(dim=1) / count)

    def tags(self, offsets: torch.Tensor, spans: Sequence[Sequence[Any]]) -> torch.Tensor:
        """The tag of each token, (L,). spans: [start, end, class]; offsets: (L, 2). Overlapping tokens are inside."""
        start, end = offsets.T
        tags = torch.where(start < end, _OUTSIDE, _IGNORED)
        for first, after, name in spans:
            inside = torch.nonzero((start < after) & (end > first) & (start < end)).flatten()
            if len(inside):
                tag = 1 + 2 * self.target.classes.index(name)
                tags[inside] = tag + 1
                tags[inside[0]] = tag
        return tags

    def _probs(self, reading: Reading) -> torch.Tensor:
        return torch.softmax(self.linear(reading.hidden).float(), dim=-1)

    def _decoded(self, reading: Reading) -> list[list[Found]]:
        best, tags = (each.cpu() for each in self._probs(reading).max(dim=-1))
        offsets = reading.offsets
        return [
            decode(tags[row].tolist(), best[row].tolist(), offsets[row].tolist(), unmarked(text))
            for row, text in enumerate(reading.texts)
        ]


def decode(tags: Sequence[int], probs: Sequence[float], offsets: Sequence[Sequence[int]], text: str) -> list[Found]:
    """Tags of L tokens → spans. An inside tag without a beginning starts a span.

    Outer white space is removed, and characters as readers see them stay whole.
    """
    spans: list[Found] = []
    open_class = -1
    tokens: list[int] = []

    def close() -> None:
        if open_class < 0:
            return
        start, end = offsets[tokens[0]][0], offsets[tokens[-1]][1]
        inner = text[start:end]
        start, end = start + len(inner) - len(inner.lstrip()), end - (len(inner) - len(inner.rstrip()))
        start, end = whole(text, start, end)
        if start < end and (not spans or spans[-1].end <= start):  # tokens of one character may have the same offsets
            logs = torch.tensor([probs[token] for token in tokens]).clamp(min=1e-30).log()
            spans.append(Found(start, end, open_class, float(logs.mean().exp())))

    for token, tag in enumerate(tags):
        if offsets[token][0] >= offsets[token][1]:
            continue
        row = -1 if tag == _OUTSIDE else (tag - 1) // 2
        if row >= 0 and tag % 2 == 0 and row == open_class:
            tokens.append(token)
            continue
        close()
        open_class, tokens = row, [token]
    close()
    return spans


def whole(text: str, start: int, end: int) -> tuple[int, int]:
    """The range extended to whole characters."""
    if not text.isascii():
        for found in _CHARACTER.finditer(text):
            if found.start() < start < found.end():
                start = found.start()
            if found.start() < end < found.end():
                end = found.end()
    return start, end
