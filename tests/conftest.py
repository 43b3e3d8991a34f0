"""What tests of every kind share: a tiny language model and an empty store."""

from __future__ import annotations

import os
import random
import shutil
import ssl
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from xdist.scheduler import LoadScopeScheduling

from backend.learners.learner import LoraLearner
from backend.store import Store
from backend.targets import Target

# A real Label Studio and backend, and a project as rounds left it, for whoever wants them.
pytest_plugins = ["tests.real", "tests.postgresql", "tests.backend.played", "tests.backend.finishing"]

CLASSES = ("fruit", "tool", "animal")
TOPIC = Target("topic", "classification", CLASSES)
WORDS = {
    "fruit": ["apple", "pear", "plum", "cherry", "grape", "melon"],
    "tool": ["hammer", "saw", "drill", "wrench", "pliers", "chisel"],
    "animal": ["horse", "sheep", "goose", "otter", "badger", "heron"],
}
FILLERS = ["the", "a", "my", "this", "is", "was", "there", "old", "new", "and", "very", "please", "near"]


_SIZE = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
}


def pytest_configure() -> None:
    """The models of the tests are too small for several threads, which would only wait for each other.

    They do not know what names of classes mean, and random weights need adapters in all layers: tests of names and of
    layers turn these options on.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("LSAL_CLASS_NAMES", "false")
    os.environ.setdefault("LSAL_LORA_LAYERS", "all")
    os.environ.setdefault("LSAL_REACT", "false")
    torch.set_num_threads(1)
    # `httpx.get` reads the certificates of all authorities each time, which takes 30 ms of computing.
    ssl.create_default_context = cache(ssl.create_default_context)
    # The same examples on every machine, however slow it is.
    settings.register_profile("tests", deadline=None, derandomize=True)
    settings.load_profile("tests")


# Folders whose tests share a server, an image or a browser, and mostly wait for it. The longest first.
_SHARING = ("label_studio", "label_studio again", "browser", "label_studio/faults", "docker")


def _group(nodeid: str) -> str:
    """The tests that run in one process: a folder that shares something, or half of a long one, or else a file."""
    path = nodeid.split("::")[0].removeprefix("tests/")
    folder = path.rpartition("/")[0]
    if folder == "label_studio":
        return folder if path < "label_studio/test_k" else "label_studio again"
    return folder if folder in _SHARING else path


class _Groups(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Hands each group to one of xdist's processes."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Groups:
    """Run what shares a server or a model in one process."""
    return _Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what mostly waits first."""
    items.sort(key=lambda item: _SHARING.index(group) if (group := _group(item.nodeid)) in _SHARING else len(_SHARING))


def sentence(label: str, rng: random.Random) -> str:
    """A text whose class is given by its words."""
    words = [*rng.sample(WORDS[label], 2), *rng.choices(FILLERS, k=4)]
    rng.shuffle(words)
    return " ".join(words)


def labeled_sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(text, class), the classes in turn."""
    rng = random.Random(seed)
    return [(sentence(CLASSES[i % len(CLASSES)], rng), CLASSES[i % len(CLASSES)]) for i in range(count)]


def topics(labels: Sequence[str]) -> list[dict[str, str]]:
    """What texts of these classes teach."""
    return [{"topic": label} for label in labels]


def class_probs(learner: LoraLearner, texts: Sequence[str]) -> np.ndarray:
    """What a learner of classes says of texts: (N, C)."""
    return learner.predict(texts)[f"{learner.targets[0].name}/probs"]


def _tokenizer() -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = [*special, *sorted({word for group in WORDS.values() for word in group}), *FILLERS]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Undo what a command that ran in this process has set: several threads would wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers, made on the spot, in a folder."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny-encoder")
    tokenizer = _tokenizer()
    model = BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **_SIZE))
    model.embeddings.word_embeddings.weight.data *= 20  # words differ more than positions do
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers whose tokenizer has no padding piece, as many decoders have none."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny-decoder")
    tokenizer = _tokenizer()
    tokenizer.pad_token = None
    tokenizer.eos_token = "[SEP]"
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **_SIZE))
    model.lm_head.weight.data *= 20  # and pieces to write differ
    for layer in model.model.layers:  # the last piece, which is always the same, must hear of the others
        layer.self_attn.v_proj.weight.data *= 20
        layer.self_attn.o_proj.weight.data *= 20
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_albert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random ALBERT: its two layers are one and the same module, called twice."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny-albert")
    tokenizer = _tokenizer()
    config = AlbertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, embedding_size=32, **_SIZE)
    AlbertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def migrated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store with its tables, which take a tenth of a second to create."""
    folder = tmp_path_factory.mktemp("migrated") / "store"
    made = Store(folder)
    made.database.migrate()
    made.database.engine.dispose()
    return folder


@pytest.fixture
def store(migrated_folder: Path, tmp_path: Path) -> Store:
    """An empty store with its tables."""
    return Store(Path(shutil.copytree(migrated_folder, tmp_path / "store")))
