"""A decoder that writes: prompts, the likelihood of given answers, and answers of its own.

Each call goes through whichever adapter is active; the caller holds the base model's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from backend.errors import ModelError
from backend.learners.base_model import WRITERS, BaseModel

_IGNORED = -100  # the label of pieces that are not part of the answer


class Written(NamedTuple):
    """Answers to B prompts."""

    texts: list[str]
    log_probs: torch.Tensor  # (B,) mean of the log probabilities of an answer's pieces, its end among them
    entropies: torch.Tensor  # (B,) mean entropy, in nats, of the distributions that the pieces were chosen from


def prompts(base: BaseModel, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """What the model is to answer, in its chat template if it has one, else followed by a line break.

    A text is cut so that at most `max_length` pieces remain, those of the template among them. Raises `ModelError` if
    that leaves no room for the text.
    """
    with base.tokenizing:
        around = len(_prompt(base.tokenizer, ""))
        if around >= max_length:
            raise ModelError(
                f"a prompt of base model '{base.name}' has {around} pieces before any text, and {max_length} may be "
                "read: set extra_params.max_length above that"
            )
        found = []
        for text in texts:
            ids = _prompt(base.tokenizer, text)
            if len(ids) > max_length:
                kept = base.tokenizer(text, add_special_tokens=False)["input_ids"][: max_length - around]
                ids = _prompt(base.tokenizer, str(base.tokenizer.decode(kept)))
            found.append(ids[-max_length:])
        return found


def answers(base: BaseModel, texts: Sequence[str]) -> list[list[int]]:
    """The pieces of answers, with the one that ends them."""
    with base.tokenizing:
        return [[*base.tokenizer(text, add_special_tokens=False)["input_ids"], _end(base)] for text in texts]


def losses(base: BaseModel, asked: Sequence[list[int]], given: Sequence[list[int]]) -> torch.Tensor:
    """The mean negative log likelihood of an answer's pieces, (B,), with gradients. The prompts teach nothing."""
    input_ids, mask = _padded(base, [[*prompt, *answer] for prompt, answer in zip(asked, given, strict=True)])
    longest = max(map(len, given))
    wanted = torch.full((len(given), longest), _IGNORED, device=base.device)
    for row, answer in enumerate(given):
        wanted[row, longest - len(answer) :] = torch.tensor(answer)
    places = {"position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)} if _has_places(base.writer) else {}
    logits = base.writer(
        input_ids=input_ids, attention_mask=mask, logits_to_keep=longest + 1, use_cache=False, **places
    ).logits[:, -longest - 1 : -1]  # a piece is foretold by the one before it
    each = torch.nn.functional.cross_entropy(logits.float().mT, wanted, reduction="none", ignore_index=_IGNORED)
    return torch.as_tensor(each.sum(dim=1) / (wanted != _IGNORED).sum(dim=1))


def write(base: BaseModel, asked: Sequence[list[int]], most: int) -> Written:
    """The likeliest piece each time, until the model ends its answer or has written `most` pieces."""
    watched = _Watched()
    ids = _generate(base, asked, most, LogitsProcessorList([watched]), do_sample=False)
    end = _end(base)
    ended = (ids == end).cumsum(dim=1)
    said = (ended == 0) | ((ids == end) & (ended == 1))  # up to the first end, and that one
    count = said.sum(dim=1)
    log_probs, entropies = (torch.stack(each, dim=1) * said for each in (watched.log_probs, watched.entropies))
    return Written(_decoded(base, ids), log_probs.sum(dim=1) / count, entropies.sum(dim=1) / count)


def sample(base: BaseModel, asked: Sequence[list[int]], most: int, times: int, seed: int) -> list[list[str]]:
    """Answers drawn as the model thinks them likely, so many to each prompt. Equal seeds and batches, equal draws."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        found = _decoded(base, _generate(base, asked, most, None, do_sample=True, top_k=0, num_return_sequences=times))
    return [found[row * times : (row + 1) * times] for row in range(len(asked))]


class _Watched(LogitsProcessor):
    """Sees every distribution that a piece is chosen from, and changes none."""

    def __init__(self) -> None:
        self.log_probs: list[torch.Tensor] = []
        self.entropies: list[torch.Tensor] = []

    def __call__(self, _: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        logs = torch.log_softmax(scores.float(), dim=-1)
        self.log_probs.append(logs.amax(dim=-1))
        self.entropies.append(torch.special.entr(logs.exp()).sum(dim=-1))
        return scores


def _generate(
    base: BaseModel, asked: Sequence[list[int]], most: int, watched: LogitsProcessorList | None, **how: Any
) -> torch.Tensor:
    """The pieces after the prompts: (B, K), which end in padding."""
    end = _end(base)
    input_ids, mask = _padded(base, asked)
    config = GenerationConfig(max_new_tokens=most, eos_token_id=end, pad_token_id=end, **how)
    found = base.writer.generate(
        input_ids=input_ids, attention_mask=mask, generation_config=config, logits_processor=watched
    )
    return torch.as_tensor(found[:, input_ids.shape[1] :])


def _padded(base: BaseModel, ids: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded on the left, so that what is written stands at the end of every row; and the mask of what is not."""
    longest, end = max(map(len, ids)), _end(base)
    input_ids = torch.tensor([[end] * (longest - len(each)) + each for each in ids], device=base.device)
    mask = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in ids], device=base.device)
    return input_ids, mask


def _has_places(writer: Any) -> bool:
    """Whether the model counts the places of pieces, and would count padding, too."""
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
        raise ModelError(f"base model '{base.name}' reads but cannot write; {WRITERS}")
    end = base.tokenizer.eos_token_id
    if not isinstance(end, int):
        raise ModelError(f"base model '{base.name}' has no piece that ends a text; choose another to write answers")
    return end
