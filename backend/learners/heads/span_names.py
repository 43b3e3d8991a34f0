"""Label names as the first weights of a head of spans.

A tag's logit is 8 · cosine between the word piece and the name of the tag's label, both centred, as for whole texts
(class_names.py). Names count only if they are right for most of the labeled pieces: those of slots ("date", "number of
people") are, those of entities ("person", "group") are not, since a piece of a name resembles other names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from backend.learners.heads.class_names import Frame, directions
from backend.learners.heads.map_head import set_weights
from backend.learners.kinds.base import Reading
from backend.learners.kinds.spans import SpansHead
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import by_length

_TEXTS = 64  # that are read
_PIECES_A_BATCH = 4096
_RIGHT = 0.5  # share of the pieces in spans that must resemble the name of their label most; at least a guess's
_OUTSIDE = 4.0  # logit of pieces that resemble no name


def start(
    head: SpansHead, base: BaseModel, names: Sequence[str], texts: Sequence[str], values: Sequence[Any], max_length: int
) -> bool:
    """Set the head's weights to the names of its labels, if they are right. Returns whether they are.

    names: a text per class; texts and values: labeled ones.
    """
    vectors, tags = _pieces(head, base, texts[:_TEXTS], values[:_TEXTS], max_length)
    inside = tags > 0
    if not inside.any():
        return False
    frame, weights = Frame.of(vectors), directions(base.embed(names, max_length=max_length))
    nearest, wanted = (frame(vectors[inside]) @ weights.T).argmax(axis=1), (tags[inside] - 1) // 2
    most_frequent = np.bincount(wanted).max() / len(wanted)
    if (nearest == wanted).mean() < max(_RIGHT, most_frequent):
        return False
    # tags: outside, then beginning and inside of each class
    rows = torch.from_numpy(np.concatenate([np.zeros((1, weights.shape[1]), np.float32), weights.repeat(2, axis=0)]))
    bias = torch.zeros(len(rows))
    bias[0] = _OUTSIDE
    set_weights(head, *frame.outside(rows, bias))
    return True


def _pieces(
    head: SpansHead, base: BaseModel, texts: Sequence[str], values: Sequence[Any], max_length: int
) -> tuple[Any, Any]:
    """The vectors of the texts' word pieces, (P, D), by the base model, and their tags, (P,)."""
    vectors, tags = [], []
    for batch in by_length(base.tokenizer, base.tokenize(texts, max_length), _PIECES_A_BATCH):
        reading = Reading(base, batch, [texts[row] for row in batch.rows], max_length)
        with base.lock, base.adapters.disabled(), torch.inference_mode():
            hidden = reading.hidden.float().cpu()
        for place, row in enumerate(batch.rows):
            own = head.tags(reading.offsets[place], values[row])
            vectors.append(hidden[place][own >= 0])
            tags.append(own[own >= 0])
    return torch.cat(vectors).numpy(), torch.cat(tags).numpy()
