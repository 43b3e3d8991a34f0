"""LoRA classifiers on tiny random models: one suite over an encoder and a decoder."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from backend.errors import ModelError
from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import by_length, tokenize
from backend.learners.models.cache import BaseModels
from backend.learners.training.train import train
from tests.conftest import CLASSES, TOPIC, class_probs, labeled_sentences, topics

OPTIONS = TrainingOptions(min_steps=100, learning_rate=5e-3, max_length=32, lora_dropout=0.0, lora_layers="all")
DATA = labeled_sentences(48)
TEXTS, LABELS = [t for t, _ in DATA], [c for _, c in DATA]
UNSEEN = labeled_sentences(90, seed=1)


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def base(request: pytest.FixtureRequest, tiny_encoder: Path, tiny_decoder: Path) -> BaseModel:
    return BaseModel(str(tiny_encoder if request.param == "encoder" else tiny_decoder), device="cpu")


@pytest.fixture(scope="module")
def folder(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("adapter")
    train(base, TEXTS, topics(LABELS), [TOPIC], OPTIONS, path)
    return path


@pytest.fixture
def classifier(base: BaseModel, folder: Path) -> LoraLearner:
    return LoraLearner.load(base, "p1-a1", folder)


def accuracy(classifier: LoraLearner) -> float:
    rows = class_probs(classifier, [t for t, _ in UNSEEN]).argmax(axis=1)
    return float(np.mean([CLASSES[row] == label for row, (_, label) in zip(rows, UNSEEN, strict=True)]))


def test_learns_what_a_random_model_cannot_know(classifier: LoraLearner) -> None:
    assert accuracy(classifier) > 0.8


def test_probabilities_in_the_order_asked(classifier: LoraLearner) -> None:
    texts = ["apple", "the hammer and the saw and the drill please", "", "goose", "unknown words only here", "apple"]
    probs = class_probs(classifier, texts)
    assert probs.shape == (6, 3)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(probs[0], probs[5], atol=1e-6)
    for row, text in zip(probs, texts, strict=True):
        np.testing.assert_allclose(class_probs(classifier, [text])[0], row, atol=1e-5)
    assert class_probs(classifier, []).shape == (0, 3)


def test_scoring_a_pool_equals_predicting_and_leaves_the_model_as_it_was(
    base: BaseModel, classifier: LoraLearner
) -> None:
    texts = [t for t, _ in UNSEEN]
    before = class_probs(classifier, texts)
    weights = {name: p.detach().clone() for name, p in base.adapters.model.named_parameters()}
    seen: list[tuple[int, int]] = []
    scored = classifier.score(texts, ["probs", "features"], progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(scored["topic/probs"], before, atol=1e-5)
    assert scored["features"].shape == (90, 64)
    assert seen[-1] == (90, 90)
    for name, parameter in base.adapters.model.named_parameters():
        assert torch.equal(weights[name], parameter), name
    np.testing.assert_array_equal(class_probs(classifier, texts), before)


def test_embeddings_are_the_base_models_whatever_adapter_is_active(base: BaseModel, folder: Path) -> None:
    fresh = BaseModel(base.name, device="cpu").embed(TEXTS[:5], max_length=32)
    class_probs(LoraLearner.load(base, "p1-a1", folder), TEXTS[:2])
    np.testing.assert_allclose(base.embed(TEXTS[:5], max_length=32), fresh, atol=1e-6)


def test_equal_seeds_give_equal_weights(base: BaseModel, tmp_path: Path) -> None:
    outputs = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        options = TrainingOptions(min_steps=5, epochs=1, max_length=32, seed=seed)
        train(base, TEXTS, topics(LABELS), [TOPIC], options, _made(tmp_path / name))
        outputs.append(class_probs(LoraLearner.load(base, "x", tmp_path / name), TEXTS))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.allclose(outputs[0], outputs[2])


def test_training_does_not_disturb_the_random_state_or_other_adapters(
    base: BaseModel, classifier: LoraLearner, tmp_path: Path
) -> None:
    before = class_probs(classifier, TEXTS)
    state = torch.random.get_rng_state()
    train(base, TEXTS, topics(LABELS), [TOPIC], TrainingOptions(min_steps=2, epochs=1, max_length=32), tmp_path)
    assert torch.equal(state, torch.random.get_rng_state())
    np.testing.assert_array_equal(class_probs(classifier, TEXTS), before)
    assert not any(p.requires_grad for p in base.adapters.model.parameters())


def test_two_adapters_from_many_threads_do_not_mix(base: BaseModel, folder: Path, tmp_path: Path) -> None:
    shifted = {label: CLASSES[(CLASSES.index(label) + 1) % 3] for label in CLASSES}
    train(base, TEXTS, topics([shifted[label] for label in LABELS]), [TOPIC], OPTIONS, tmp_path)
    pair = [LoraLearner.load(base, "p1-a1", folder), LoraLearner.load(base, "p2-a1", tmp_path)]
    alone = [class_probs(each, TEXTS) for each in pair]
    assert not np.allclose(alone[0], alone[1], atol=0.1)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda n: class_probs(pair[n % 2], TEXTS), range(60)))
    for number, probs in enumerate(together):
        np.testing.assert_allclose(probs, alone[number % 2], atol=1e-5)


def test_adapters_load_with_plain_peft(base: BaseModel, folder: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModel

    plain = PeftModel.from_pretrained(AutoModel.from_pretrained(base.name), str(folder)).eval()
    batch = next(by_length(base.tokenizer, base.tokenize(TEXTS[:1], 32)))
    ours = LoraLearner.load(base, "p1-a1", folder)
    with torch.inference_mode():
        hidden = plain(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state[0]
        pooled = hidden[-1] if base.is_decoder else hidden.mean(dim=0)
        probs = torch.softmax(ours.heads[0].linear(pooled), dim=-1).numpy()
    np.testing.assert_allclose(class_probs(ours, TEXTS[:1])[0], probs, atol=1e-5)


def test_warm_start_keeps_what_was_learned_for_classes_that_stay(base: BaseModel, folder: Path, tmp_path: Path) -> None:
    more = ("plant", *reversed(CLASSES))
    options = TrainingOptions(min_steps=1, max_steps=1, learning_rate=1e-9, max_length=32)
    train(base, TEXTS, topics(LABELS), [replace(TOPIC, classes=tuple(more))], options, tmp_path, warm_start=folder)
    went_on = LoraLearner.load(base, "warm", tmp_path)
    former = class_probs(LoraLearner.load(base, "p1-a1", folder), TEXTS)
    probs = class_probs(went_on, TEXTS)[:, [more.index(name) for name in CLASSES]]
    np.testing.assert_allclose(probs / probs.sum(axis=1, keepdims=True), former, atol=1e-4)


def test_rare_classes_are_learned(base: BaseModel, tmp_path: Path) -> None:
    common = [(t, c) for t, c in labeled_sentences(120, seed=4) if c != "animal"]
    rare = [(t, c) for t, c in labeled_sentences(120, seed=5) if c == "animal"][:9]
    texts, labels = zip(*common, *rare, strict=True)
    train(base, texts, topics(labels), [TOPIC], OPTIONS, tmp_path)
    probs = class_probs(LoraLearner.load(base, "x", tmp_path), [t for t, c in UNSEEN if c == "animal"])
    assert np.mean(probs.argmax(axis=1) == CLASSES.index("animal")) > 0.5


def test_a_loss_that_is_no_number_ends_training_and_writes_nothing(base: BaseModel, tmp_path: Path) -> None:
    # A weight that is no number is what a learning rate far too high leaves behind.
    parameter = next(base.adapters.model.parameters())
    former = parameter.detach().clone()
    parameter.data.fill_(float("nan"))
    try:
        with pytest.raises(ModelError, match=r"diverged at step 1.*learning_rate"):
            train(base, TEXTS, topics(LABELS), [TOPIC], OPTIONS, tmp_path)
    finally:
        parameter.data.copy_(former)
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_and_unknown_models_are_named(base: BaseModel, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"base model .*/nothing-here' cannot be loaded"):
        BaseModels().get(str(tmp_path / "nothing-here"))
    for name in ("adapter_model.safetensors", "heads.safetensors", "learner.json"):
        broken = _made(tmp_path / name)
        for path in folder.iterdir():
            (broken / path.name).write_bytes(path.read_bytes()[: 20 if path.name == name else None])
        with pytest.raises(ModelError, match=f"adapter {name} cannot be loaded"):
            LoraLearner.load(base, "x", broken)


def test_batches_hold_every_row_once_longest_first(base: BaseModel) -> None:
    ids = tokenize(base.tokenizer, [t for t, _ in UNSEEN] + ["", "apple " * 100], 32)
    batches = list(by_length(base.tokenizer, ids, tokens=100))
    assert sorted(int(row) for batch in batches for row in batch.rows) == list(range(92))
    lengths = [batch.input_ids.shape[1] for batch in batches]
    assert lengths == sorted(lengths, reverse=True)
    assert max(lengths) == 32
    assert all(batch.input_ids.numel() <= 100 or len(batch.rows) == 1 for batch in batches)


def test_one_base_model_for_all() -> None:
    models = BaseModels()
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(lambda _: models.get("minilm"), range(4))
    assert all(other is first for other in others)
    assert not first.is_decoder
    close, far = _similarities(first)
    assert close > far + 0.3


def _similarities(model: BaseModel) -> tuple[float, float]:
    rows = model.embed(["a cat sat there", "a kitten was sitting there", "the tax form is late"], max_length=32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return float(rows[0] @ rows[1]), float(rows[0] @ rows[2])


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def test_checkpointing_learns_the_same_with_less_memory(base: BaseModel, tmp_path: Path) -> None:
    """Dropout is drawn again as it was."""
    kept, weights = [], []
    for checkpointing in (False, True):
        options = replace(OPTIONS, epochs=1, min_steps=6, max_steps=6, lora_dropout=0.1, checkpointing=checkpointing)
        sizes: list[int] = []

        def keep(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            train(base, TEXTS, topics(LABELS), [TOPIC], options, _made(tmp_path / str(checkpointing)))
        kept.append(sum(sizes))
        weights.append(load_file(tmp_path / str(checkpointing) / "adapter_model.safetensors"))
    for name, plain in weights[0].items():
        torch.testing.assert_close(weights[1][name], plain, atol=1e-6, rtol=1e-5)
    assert kept[1] < 0.5 * kept[0]
    assert not any(getattr(m, "gradient_checkpointing", False) for m in base.adapters.model.modules())


def test_base_models_that_are_used_stay_and_the_others_leave(
    tiny_encoder: Path, tiny_decoder: Path, tiny_albert: Path
) -> None:
    models, gone = BaseModels(2), list[str]()
    models.let_go = gone.append
    first, second, third = (str(path) for path in (tiny_encoder, tiny_decoder, tiny_albert))
    kept, left = models.get(first), weakref.ref(models.get(second))
    assert models.get(first) is kept, "shared"
    assert models.used(first) is kept
    models.get(third)
    assert gone == [second]
    gc.collect()
    assert left() is None
    assert models.get(first) is kept
    assert models.used(second) is None
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(models.get, [second] * 8))) == 1, "loaded once"
    assert gone == [second, third]


def test_a_model_that_cannot_checkpoint_stays_as_it_was(tiny_albert: Path, tmp_path: Path) -> None:
    base = BaseModel(str(tiny_albert), device="cpu")
    if base.adapters.model.supports_gradient_checkpointing:
        base.adapters.model.supports_gradient_checkpointing = False
    with pytest.raises(ModelError, match="base models of kind AlbertModel do not support gradient_checkpointing"):
        train(base, TEXTS, topics(LABELS), [TOPIC], replace(OPTIONS, checkpointing=True), tmp_path)
    assert not base.adapters.model.training
