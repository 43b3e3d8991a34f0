"""Per-example gradient lengths against a backward pass for each text by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, DebertaV2Config, DebertaV2Model

from backend.errors import ModelError
from backend.learners.base import GradientOptions, TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import pad
from backend.learners.training.train import train
from tests.conftest import TOPIC, class_probs, labeled_sentences, topics

DATA = labeled_sentences(30)
# Of very different lengths, so that every batch is padded; in the order asked, not by length.
TEXTS = [
    "apple",
    "the hammer and the saw and the drill please " * 3,
    "",
    *[text for text, _ in labeled_sentences(9, seed=2)],
]


@pytest.fixture(scope="module", params=["encoder", "decoder", "shared layers"])
def classifier(
    request: pytest.FixtureRequest, tiny_encoder: Path, tiny_decoder: Path, tiny_albert: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> LoraLearner:  # fmt: skip
    model = {"encoder": tiny_encoder, "decoder": tiny_decoder, "shared layers": tiny_albert}[request.param]
    base = BaseModel(str(model), device="cpu")
    folder = tmp_path_factory.mktemp("adapter")
    options = TrainingOptions(epochs=3, min_steps=10, learning_rate=5e-3, max_length=32)
    train(base, [t for t, _ in DATA], topics([c for _, c in DATA]), [TOPIC], options, folder)
    return LoraLearner.load(base, "p1-a1", folder)


def slow_lengths(classifier: LoraLearner, text: str, options: GradientOptions) -> float:
    """One text, unpadded, one backward pass a label, autograd's own gradients of the parameters themselves."""
    base = classifier.base
    base.adapters.activate(classifier.adapter)
    parameters = [classifier.heads[0].linear.weight, classifier.heads[0].linear.bias]
    if options.parameters == "all":
        parameters += [p for n, p in base.adapters.model.named_parameters() if f".{classifier.adapter}." in n]
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        batch = pad(base.tokenizer, base.tokenize([text], classifier.max_length), np.array([0]))
        logits = classifier.heads[0].linear(base.pooled(batch))[0]
        probs = torch.softmax(logits, dim=0).tolist()
        ranked = sorted(range(len(probs)), key=lambda c: -probs[c])
        total = 0.0
        for label in ranked[: 1 if options.label == "pseudo" else options.top_k]:
            loss = -torch.log_softmax(logits, dim=0)[label]
            gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            length = sum(float(g.double().square().sum()) for g in gradients if g is not None) ** 0.5
            total += length * (1.0 if options.label == "pseudo" else probs[label])
        return total
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)


@pytest.mark.parametrize("tokens", [1, 60, 4096])
@pytest.mark.parametrize(
    "options",
    [
        GradientOptions(),
        GradientOptions(label="expected", top_k=2),
        GradientOptions(label="expected", top_k=9),
        GradientOptions(parameters="head"),
        GradientOptions(label="expected", parameters="head"),
    ],
    ids=str,
)
def test_lengths_equal_a_backward_pass_for_each_text(
    classifier: LoraLearner, options: GradientOptions, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.learners.learner.by_length", _batches_of(tokens))
    found = classifier.score(TEXTS, ["probs", "gradient_lengths"], gradient=options)
    expected = [slow_lengths(classifier, text, options) for text in TEXTS]
    np.testing.assert_allclose(found["gradient_lengths"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["topic/probs"], class_probs(classifier, TEXTS), atol=1e-5)


def test_nothing_of_the_watching_stays(classifier: LoraLearner) -> None:
    model = classifier.base.adapters.model
    before = class_probs(classifier, TEXTS)
    classifier.score(TEXTS, ["gradient_lengths"])
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(parameter.grad is not None for parameter in model.parameters())
    np.testing.assert_array_equal(class_probs(classifier, TEXTS), before)


def test_a_sure_texts_length_is_not_lost_to_rounding() -> None:
    from backend.learners.gradients import lengths

    logits = torch.tensor([[30.0, 0.0, 0.0], [0.0, 20.0, 0.0]])
    pooled = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    found = lengths(logits, pooled, [], GradientOptions(parameters="head")).double().numpy()
    doubt = [np.exp(-30.0), np.exp(-20.0)]  # of each other class, to first order
    expected = [np.sqrt(6 * doubt[0] ** 2 * 26), np.sqrt(6 * doubt[1] ** 2 * 2)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_layers_that_mix_texts_are_named_with_the_way_out(tiny_encoder: Path, tmp_path: Path) -> None:
    """DeBERTa asks its query layer about relative positions too, which belong to no text."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    config = DebertaV2Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, relative_attention=True, share_att_key=True, pos_att_type=["p2c", "c2p"],
    )  # fmt: skip
    DebertaV2Model(config).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    base = BaseModel(str(tmp_path / "base"), device="cpu")
    options = TrainingOptions(min_steps=2, max_steps=2, max_length=32)
    train(base, [t for t, _ in DATA], topics([c for _, c in DATA]), [TOPIC], options, tmp_path / "adapter")
    classifier = LoraLearner.load(base, "x", tmp_path / "adapter")
    with pytest.raises(ModelError, match="set egl_parameters to head"):
        classifier.score(TEXTS, ["gradient_lengths"])
    of_head = GradientOptions(parameters="head")
    found = classifier.score(TEXTS, ["gradient_lengths"], gradient=of_head)["gradient_lengths"]
    np.testing.assert_allclose(found, [slow_lengths(classifier, text, of_head) for text in TEXTS], rtol=1e-4)


def _batches_of(tokens: int):  # type: ignore[no-untyped-def]
    from backend.learners.models.batching import by_length

    return lambda tokenizer, ids, _: by_length(tokenizer, ids, tokens)
