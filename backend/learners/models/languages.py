"""Which packaged encoder reads the language of given texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from transformers import PreTrainedTokenizerBase

from backend.learners.models.loading import tokenizer_of

ENGLISH, ANY = "minilm", "multilingual"
ENCODERS = (ENGLISH, ANY)
UNKNOWN = 0.05  # share of unknown word pieces from which on a model does not fit the language of the texts
_INSIDE_WORDS = 0.2  # share of pieces; measured: English 0.02 to 0.11, jargon, code and other languages more
_MORE_PIECES = 1.15  # measured: English 0.84 to 0.97, other languages 1.27 to 3.4 times the pieces of `ANY`
_CHARACTERS = 2000  # of each text


def encoder_for(texts: Sequence[str]) -> str:
    """The name of the encoder. `minilm` for English, `multilingual` if it needs fewer pieces or knows more of them.

    Raises `ModelError` if the texts are not English and the other model's package is missing.
    """
    english = tokenizer_of(ENGLISH)
    fits, pieces = unknown_share(english, texts) <= UNKNOWN, _pieces(english, texts)
    inside_words = sum(piece.startswith("##") for piece in english.convert_ids_to_tokens(pieces)) / max(1, len(pieces))
    if fits and inside_words <= _INSIDE_WORDS:
        return ENGLISH
    others = len(_pieces(tokenizer_of(ANY), texts))
    return ENGLISH if fits and len(pieces) <= _MORE_PIECES * others else ANY


def unknown_share(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> float:
    """The share of word pieces that a model does not know, so that it reads nothing in their place."""
    pieces = _pieces(tokenizer, texts)
    return pieces.count(int(tokenizer.unk_token_id or -1)) / max(1, len(pieces))


def _pieces(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[int]:
    if not texts:
        return []
    found = tokenizer([text[:_CHARACTERS] for text in texts], add_special_tokens=False)["input_ids"]
    return list(chain.from_iterable(found))
