"""Text generation with a decoder: prompts, the loss of given answers, and generated answers.

Each call uses the active adapter. The caller holds the base model's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from backend.errors import ModelError
from backend.learners.models.base_model import WRITERS, BaseModel
from backend.learners.models.batching import shortened

_IGNORED = -100  # label of tokens outside the answer


class Written(NamedTuple):
    """Generated answers to B prompts."""

    texts: list[str]
    log_probs: torch.Tensor  # (B,) mean log-probability of an answer's tokens, end token included
    entropies: torch.Tensor  # (B,) mean entropy, in nats, of the tokens' distributions


def prompts(base: BaseModel, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of a prompt per text: the text in the model's chat template, or else followed by a line break.

    Texts are truncated so that a prompt has at most `max_length` tokens, template included. Raises `ModelError` if the
    template alone has as many.
    """
    with base.tokenizing:
        around = len(_prompt(base.tokenizer, ""))
        if around >= max_length:
            raise ModelError(
                f"a prompt of base model '{base.name}' has {around} tokens without any text, and the limit is "
                f"{max_length}; set extra_params.max_length above that"
            )
        found = []
        for text in shortened(texts, max_length):
            ids = _prompt(base.tokenizer, text)
            if len(ids) > max_length:
                kept = base.tokenizer(text, add_special_tokens=False)["input_ids"][: max_length - around]
                ids = _prompt(base.tokenizer, str(base.tokenizer.decode(kept)))
            found.append(ids[-max_length:])
        return found


def answers(base: BaseModel, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of given answers, end token included."""
    with base.tokenizing:
        return [[*base.tokenizer(text, add_special_tokens=False)["input_ids"], _end(base)] for text in texts]


def losses(base: BaseModel, prompt_ids: Sequence[list[int]], given: Sequence[list[int]]) -> torch.Tensor:
    """Mean negative log-likelihood of each answer's tokens, (B,), with gradients. Prompts do not count."""
    input_ids, mask = _padded(base, [[*prompt, *answer] for prompt, answer in zip(prompt_ids, given, strict=True)])
    longest = max(map(len, given))
    wanted = torch.full((len(given), longest), _IGNORED, device=base.device)
    for row, answer in enumerate(given):
        wanted[row, longest - len(answer) :] = torch.tensor(answer)
    places = {"position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)} if _has_places(base.writer) else {}
    logits = base.writer(
        input_ids=input_ids, attention_mask=mask, logits_to_keep=longest + 1, use_cache=False, **places
    ).logits[:, -longest - 1 : -1]  # logits at a token predict the next one
    each = torch.nn.functional.cross_entropy(logits.float().mT, wanted, reduction="none", ignore_index=_IGNORED)
    return torch.as_tensor(each.sum(dim=1) / (wanted != _IGNORED).sum(dim=1))


def write(base: BaseModel, prompt_ids: Sequence[list[int]], most: int) -> Written:
    """Greedy decoding, until the end token or `most` tokens."""
    recorder = _Recorder()
    ids = _generate(base, prompt_ids, most, LogitsProcessorList([recorder]), do_sample=False)
    end = _end(base)
    ended = (ids == end).cumsum(dim=1)
    kept = (ended == 0) | ((ids == end) & (ended == 1))  # tokens up to and including the first end token
    count = kept.sum(dim=1)
    log_probs, entropies = (torch.stack(each, dim=1) * kept for each in (recorder.log_probs, recorder.entropies))
    return Written(_decoded(base, ids), log_probs.sum(dim=1) / count, entropies.sum(dim=1) / count)


def sample(base: BaseModel, prompt_ids: Sequence[list[int]], most: int, times: int, seed: int) -> list[list[str]]:
    """Sample `times` answers to each prompt. Equal seeds and batches give equal samples."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ids = _generate(base, prompt_ids, most, None, do_sample=True, top_k=0, num_return_sequences=times)
    found = _decoded(base, ids)
    return [found[row * times : (row + 1) * times] for row in range(len(prompt_ids))]


class _Recorder(LogitsProcessor):  # type: ignore[misc] # mypy does not read transformers
    """Record log-probability and entropy of each generated token's distribution, which stays unchanged."""

    def __init__(self) -> None:
        self.log_probs: list[torch.Tensor] = []
        self.entropies: list[torch.Tensor] = []

    def __call__(self, _: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        logs = torch.log_softmax(scores.float(), dim=-1)
        self.log_probs.append(logs.amax(dim=-1))
        self.entropies.append(torch.special.entr(logs.exp()).sum(dim=-1))
        return scores


def _generate(
    base: BaseModel, prompt_ids: Sequence[list[int]], most: int, recorder: LogitsProcessorList | None, **how: Any
) -> torch.Tensor:
    """Generated token ids without the prompts: (B, K), padded on the right."""
    end = _end(base)
    input_ids, mask = _padded(base, prompt_ids)
    config = GenerationConfig(max_new_tokens=most, eos_token_id=end, pad_token_id=end, **how)
    found = base.writer.generate(
        input_ids=input_ids, attention_mask=mask, generation_config=config, logits_processor=recorder
    )
    return torch.as_tensor(found[:, input_ids.shape[1] :])


def _padded(base: BaseModel, ids: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids padded on the left, so that every row ends with its last token; and the attention mask."""
    longest, end = max(map(len, ids)), _end(base)
    input_ids = torch.tensor([[end] * (longest - len(each)) + each for each in ids], device=base.device)
    mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in ids], device=base.device)
    return input_ids, mask


def _has_places(writer: Any) -> bool:
    """Whether the model takes position ids, which left padding would shift."""
    return "position_ids" in signature(writer.forward).parameters


def _decoded(base: BaseModel, ids: torch.Tensor) -> list[str]:
    with base.tokenizing:
        found: list[str] = base.tokenizer.batch_decode(ids, skip_special_tokens=True)
    return [text.strip() for text in found]


def _prompt(tokenizer: Any, text: str) -> list[int]:
    if tokenizer.chat_template:
        turn = [{"role": "user", "content": text}]
        ids: list[int] = tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
        return ids
    ids = tokenizer(f"{text}\n")["input_ids"]
    return ids or tokenizer("\n", add_special_tokens=False)["input_ids"]


def _end(base: BaseModel) -> int:
    if not base.is_decoder:
        raise ModelError(f"base model '{base.name}' cannot generate text; {WRITERS}")
    end = base.tokenizer.eos_token_id
    if not isinstance(end, int):
        raise ModelError(f"base model '{base.name}' has no end token; choose another one for <TextArea>")
    return end
