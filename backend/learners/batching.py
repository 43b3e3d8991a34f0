"""Texts → batches of similar length, so that little work goes into padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

TOKENS_A_BATCH = 4096  # large enough to fill the machine, small enough for its caches


@dataclass(frozen=True, slots=True)
class Batch:
    """B texts padded to the longest of them, L word pieces."""

    rows: NDArray[np.int64]  # (B,) where the texts stood
    input_ids: torch.Tensor  # (B, L)
    attention_mask: torch.Tensor  # (B, L)


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, second: Sequence[str] | None = None
) -> list[list[int]]:
    """Word pieces of each text, cut at `max_length`; one padding piece for a text that has none.

    second: a second text for each, after the first in the model's own way; the longer of the two is cut first.
    """
    if not texts:
        return []
    both = [list(texts)] if second is None else [list(texts), list(second)]
    ids: list[list[int]] = tokenizer(*both, truncation=True, max_length=max_length, padding=False)["input_ids"]
    pad = _pad_id(tokenizer)
    return [each or [pad] for each in ids]


def pad(tokenizer: PreTrainedTokenizerBase, ids: Sequence[list[int]], rows: NDArray[np.int64]) -> Batch:
    """Put the given rows into one batch, padded on the right."""
    longest = max(len(ids[row]) for row in rows)
    input_ids = np.full((len(rows), longest), _pad_id(tokenizer), dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    for position, row in enumerate(rows):
        pieces = ids[row]
        input_ids[position, : len(pieces)] = pieces
        mask[position, : len(pieces)] = 1
    return Batch(rows, torch.from_numpy(input_ids), torch.from_numpy(mask))


def by_length(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[list[int]], tokens: int = TOKENS_A_BATCH
) -> Iterator[Batch]:
    """All rows, longest first (so that memory runs out at once or not at all), about `tokens` pieces a batch."""
    order = np.argsort([-len(each) for each in ids], kind="stable").astype(np.int64)
    start = 0
    while start < len(order):
        size = max(1, tokens // len(ids[order[start]]))
        yield pad(tokenizer, ids, order[start : start + size])
        start += size


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    for candidate in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(candidate, int):
            return candidate
    return 0  # masked, so that any number does
