"""Batch texts of similar length, to keep padding small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

TOKENS_A_BATCH = 4096  # large enough to use all cores, small enough for the CPU caches
_CHARACTERS = 100  # of a text for each token that is read; tokens of ordinary texts have 1 to 6


@dataclass(frozen=True, slots=True)
class Batch:
    """B texts, padded to the longest: L tokens."""

    rows: NDArray[np.int64]  # (B,) indices of the texts in the input
    input_ids: torch.Tensor  # (B, L)
    attention_mask: torch.Tensor  # (B, L)


def shortened(texts: Sequence[str], max_length: int) -> list[str]:
    """The beginnings that can matter for `max_length` tokens: a tokenizer takes 1,000 times a text's memory."""
    return [text[: _CHARACTERS * max_length] for text in texts]


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, second: Sequence[str] | None = None
) -> list[list[int]]:
    """Token ids of each text, truncated to `max_length`; one padding token for an empty text.

    second: a second text for each, joined by the model's own pair format; the longer of the two is truncated first.
    """
    if not texts:
        return []
    both = [list(texts)] if second is None else [list(texts), list(second)]
    ids: list[list[int]] = tokenizer(*both, truncation=True, max_length=max_length, padding=False)["input_ids"]
    pad = _pad_id(tokenizer)
    return [each or [pad] for each in ids]


def pad(tokenizer: PreTrainedTokenizerBase, ids: Sequence[list[int]], rows: NDArray[np.int64]) -> Batch:
    """One batch of the given rows, padded on the right."""
    longest = max(len(ids[row]) for row in rows)
    input_ids = np.full((len(rows), longest), _pad_id(tokenizer), dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    for position, row in enumerate(rows):
        tokens = ids[row]
        input_ids[position, : len(tokens)] = tokens
        mask[position, : len(tokens)] = 1
    return Batch(rows, torch.from_numpy(input_ids), torch.from_numpy(mask))


def by_length(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[list[int]], tokens: int = TOKENS_A_BATCH
) -> Iterator[Batch]:
    """All rows in batches of about `tokens` tokens, longest first: if memory is too small, the first batch fails."""
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
    return 0  # any id works: padding is masked
