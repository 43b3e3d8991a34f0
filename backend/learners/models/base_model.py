"""A base model in memory: loaded once, shared by all adapters, used by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoModelForCausalLM, GenerationConfig

from backend.errors import ModelError
from backend.learners.base import Progress, no_progress
from backend.learners.models import trial
from backend.learners.models.adapters import Adapters
from backend.learners.models.batching import TOKENS_A_BATCH, Batch, by_length, shortened, tokenize
from backend.learners.models.loading import (
    UNREADABLE,
    best_device,
    config_of,
    is_decoder,
    path_of,
    tokenizer_of,
    weights_of,
)
from backend.learners.models.usage import usage_of

WRITERS = "to learn from <TextArea>, name a causal language model in extra_params.base_model, such as smollm2"


class BaseModel:
    """Tokenizer and weights of one base model, with any number of LoRA adapters.

    `adapters` has one active adapter at a time, so every forward pass holds `lock`: if two threads switch adapters, the
    model returns wrong outputs without any error.
    """

    def __init__(self, name: str, *, device: str | None = None) -> None:
        self.name = name
        self.at_work: Callable[[], None] = lambda: None  # called for each batch
        self.lock = threading.RLock()
        self.tokenizing = threading.Lock()  # a fast tokenizer stores its truncation length, so calls must not overlap
        self.device = torch.device(device or best_device())
        try:
            self.config = config_of(name)
            self.tokenizer = tokenizer_of(name)
            self.is_decoder = is_decoder(self.config)
            self.usage = usage_of(path_of(name), is_decoder=self.is_decoder)
            whole = weights_of(name, AutoModelForCausalLM if self.is_decoder else AutoModel, self.device)
        except UNREADABLE as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"base model '{name}' cannot be loaded ({reason}); "
                "name a Hugging Face id, a local folder, minilm, multilingual or smollm2"
            ) from None
        self.tokenizer.padding_side = "right"
        bare = whole.base_model if self.is_decoder else whole
        self.adapters = Adapters(bare)
        self.max_positions = trial.positions(bare, self.config)  # the longest input of one forward pass, in tokens
        self.dimensions = trial.dimensions(self)
        self.parameters = sum(p.numel() * (1 if p.is_floating_point() else 2) for p in bare.parameters())  # 4-bit pairs
        self.writer: Any = None  # decoders: the model with its output layer, used for generation
        if self.is_decoder:
            self.writer = whole
            self.writer.generation_config = GenerationConfig()  # the model's defaults would change ours

    def tokenize(self, texts: Sequence[str], max_length: int, second: Sequence[str] | None = None) -> list[list[int]]:
        """Token ids of each text, or pair of texts, after the model's prefix, truncated to `max_length`."""
        with self.tokenizing:
            cut = None if second is None else shortened(second, max_length)
            return tokenize(self.tokenizer, self._prefixed(shortened(texts, max_length)), max_length, cut)

    def offsets(self, texts: Sequence[str], length: int) -> torch.Tensor:
        """Character range of each token, end exclusive: (B, length, 2); (0, 0) for special tokens and the prefix."""
        if not self.tokenizer.is_fast:
            raise ModelError("this base model's tokenizer returns no character offsets; choose another base model")
        prefixed = self._prefixed(shortened(texts, length))
        with self.tokenizing:
            found = self.tokenizer(prefixed, truncation=True, max_length=length, return_offsets_mapping=True)
        places = torch.zeros(len(texts), length, 2, dtype=torch.int64)
        before = len(self.usage.prefix)
        for row, pairs in enumerate(found["offset_mapping"]):
            for column, (start, end) in enumerate(pairs):
                piece = prefixed[row][start:end]
                start += len(piece) - len(piece.lstrip())  # some tokenizers count the space before a word
                if end > max(start, before):
                    places[row, column, 0], places[row, column, 1] = max(0, start - before), end - before
        return places

    def _prefixed(self, texts: Sequence[str]) -> list[str]:
        return [self.usage.prefix + text for text in texts]

    def read(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The last hidden state, (B, L, D), and one vector per text, (B, D).

        `usage` defines the pooling. Texts longer than `max_positions` are read in consecutive windows without
        overlap.
        """
        self.at_work()
        mask = batch.attention_mask.to(self.device)
        hidden = self._hidden(batch.input_ids.to(self.device), mask)
        if self.usage.pooling == "cls":
            return hidden, hidden[:, 0]
        if self.usage.pooling == "lasttoken":
            last = mask.sum(dim=1) - 1
            return hidden, torch.as_tensor(hidden[torch.arange(len(last), device=self.device), last])
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return hidden, torch.as_tensor((hidden * weights).sum(dim=1) / weights.sum(dim=1))

    def _hidden(self, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, L) → (B, L, D)."""
        size, length, window = *input_ids.shape, self.max_positions
        if length <= window:
            return torch.as_tensor(self.adapters.model(input_ids=input_ids, attention_mask=mask).last_hidden_state)
        missing = -length % window
        ids, there = (torch.nn.functional.pad(each, (0, missing)).view(-1, window) for each in (input_ids, mask))
        (used,) = there.any(dim=1).nonzero(as_tuple=True)
        read = self.adapters.model(input_ids=ids[used], attention_mask=there[used]).last_hidden_state
        hidden = read.new_zeros(len(ids), *read.shape[1:]).index_put((used,), read)
        return torch.as_tensor(hidden.view(size, length + missing, -1)[:, :length])

    def pooled(self, batch: Batch) -> torch.Tensor:
        """One vector per text, (B, D)."""
        return self.read(batch)[1]

    def embed(
        self,
        texts: Sequence[str],
        *,
        max_length: int,
        tokens_a_batch: int = TOKENS_A_BATCH,
        progress: Progress = no_progress,
    ) -> NDArray[np.float32]:
        """Embedding of each text by the base model without adapters: (N, D)."""
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        done = 0
        for batch in by_length(self.tokenizer, self.tokenize(texts, max_length), tokens_a_batch):
            with self.lock, self.adapters.disabled(), torch.inference_mode():
                out[batch.rows] = self.pooled(batch).float().cpu().numpy()
            done += len(batch.rows)
            progress(done, len(texts))
        return out
