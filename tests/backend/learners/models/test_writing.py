"""What a decoder writes, and how likely it finds answers, against plain loops without a cache or a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.errors import ModelError
from backend.learners.base import TrainingOptions, UncertaintyOptions
from backend.learners.kinds.generation import disagreement
from backend.learners.learner import LoraLearner
from backend.learners.models import writing
from backend.learners.models.base_model import BaseModel
from backend.learners.models.loading import can_write
from backend.learners.training.train import train
from tests.backend.learners.kinds import data

KNOWN = data("generation", 80)
TEXTS = ["the apple", "a", "very old horse near the saw and the drill", ""]
TEMPLATE = "{% for m in messages %}please {{ m.content }} [SEP]{% endfor %}{% if add_generation_prompt %} is{% endif %}"


@pytest.fixture(scope="module")
def base(tiny_decoder: Path) -> BaseModel:
    return BaseModel(str(tiny_decoder), device="cpu")


@pytest.fixture(scope="module")
def learner(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> LoraLearner:
    folder = tmp_path_factory.mktemp("adapter")
    options = TrainingOptions(max_steps=60, learning_rate=5e-3, max_length=32, lora_dropout=0.0)
    train(base, KNOWN.texts, KNOWN.values, [KNOWN.target], options, folder)
    return LoraLearner.load(base, "writes", folder)


def log_probs(base: BaseModel, ids: list[int]) -> torch.Tensor:
    """Of the next piece."""
    with torch.no_grad():
        return torch.log_softmax(base.writer(input_ids=torch.tensor([ids])).logits[0, -1].double(), dim=-1)


def test_the_likelihood_of_answers_equals_a_loop_over_their_pieces(base: BaseModel, learner: LoraLearner) -> None:
    answers = ["very apple", "very", "very saw horse", "the"]
    base.adapters.activate(learner.adapter)
    expected = []
    for prompt, answer in zip(writing.prompts(base, TEXTS, 32), writing.answers(base, answers), strict=True):
        each = [float(log_probs(base, prompt + answer[:place])[piece]) for place, piece in enumerate(answer)]
        expected.append(-sum(each) / len(each))
    np.testing.assert_allclose(learner.nll(KNOWN.target, TEXTS, answers), expected, rtol=1e-4)


def test_greedy_answers_equal_a_loop_without_a_cache(base: BaseModel, learner: LoraLearner) -> None:
    base.adapters.activate(learner.adapter)
    asked = writing.prompts(base, TEXTS, 32)
    written = writing.write(base, asked, 6)
    for row, prompt in enumerate(asked):
        ids, logs, entropies = list(prompt), [], []
        while len(logs) < 6 and (not logs or ids[-1] != base.tokenizer.eos_token_id):
            found = log_probs(base, ids)
            logs.append(float(found.max()))
            entropies.append(float(-(found.exp() * found).sum()))
            ids.append(int(found.argmax()))
        assert written.texts[row] == base.tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True).strip()
        assert float(written.log_probs[row]) == pytest.approx(np.mean(logs), rel=1e-4)
        assert float(written.entropies[row]) == pytest.approx(np.mean(entropies), rel=1e-4)


def test_each_uncertainty_is_what_its_name_says(base: BaseModel, learner: LoraLearner) -> None:
    base.adapters.activate(learner.adapter)
    head = learner.heads[0]
    written = writing.write(base, writing.prompts(base, TEXTS, 32), head.state["most"])

    def found(name: str, seed: int = 0) -> np.ndarray:
        options = UncertaintyOptions(generation=name, seed=seed)  # type: ignore[arg-type]
        return learner.score(TEXTS, ["uncertainty"], uncertainty=options)["answer/uncertainty"]

    np.testing.assert_allclose(found("sequence"), -written.log_probs, rtol=1e-4)
    np.testing.assert_allclose(found("token_entropy"), written.entropies, rtol=1e-4)
    drawn = found("disagreement")
    np.testing.assert_array_equal(drawn, found("disagreement"))
    assert (drawn != found("disagreement", seed=1)).any()
    assert ((drawn >= 0) & (drawn <= 1)).all()


def test_disagreement() -> None:
    assert disagreement(["The cat", "the  cat"]) == 0
    assert disagreement(["a b", "c"]) == 1
    assert disagreement(["a b", "a", "", ""]) == pytest.approx(1 - (0.5 + 0 + 0 + 0 + 0 + 1) / 6)


def test_a_chat_template_is_used_and_its_end_survives_a_cut(tiny_decoder: Path) -> None:
    base = BaseModel(str(tiny_decoder), device="cpu")
    base.tokenizer.chat_template = TEMPLATE
    (whole,) = writing.prompts(base, ["the apple"], 32)
    (cut,) = writing.prompts(base, ["the apple " * 20], 12)
    assert base.tokenizer.decode(whole) == "please the apple [SEP] is"
    assert len(cut) == 12
    assert (cut[:3], cut[-2:]) == (whole[:3], whole[-2:])


def test_an_answer_that_does_not_end_is_stopped(base: BaseModel, learner: LoraLearner) -> None:
    assert learner.heads[0].state["most"] == int(1.5 * 4) + 1  # the longest has three words and an end
    (text,) = writing.write(base, writing.prompts(base, ["a"], 32), 1).texts
    assert len(text.split()) <= 1


def test_a_decoder_can_write_and_an_encoder_says_that_it_cannot(
    tiny_decoder: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    assert can_write(str(tiny_decoder))
    assert not can_write(str(tiny_encoder))
    assert not can_write("minilm")
    encoder = BaseModel(str(tiny_encoder), device="cpu")
    with pytest.raises(ModelError, match="cannot generate text; to learn from <TextArea>, name a causal"):
        train(encoder, KNOWN.texts, KNOWN.values, [KNOWN.target], TrainingOptions(max_steps=1), tmp_path)


def test_a_model_that_predicted_first_can_be_trained(tiny_decoder: Path, learner: LoraLearner, tmp_path: Path) -> None:
    base = BaseModel(str(tiny_decoder), device="cpu")
    LoraLearner.load(base, "first", learner.folder).predict(["a text"])
    train(base, KNOWN.texts, KNOWN.values, [KNOWN.target], TrainingOptions(max_steps=1, max_length=32), tmp_path)


def test_a_prompt_without_room_for_a_text_is_refused(base: BaseModel) -> None:
    with pytest.raises(ModelError, match="has 2 tokens without any text, and the limit is 2;"):
        writing.prompts(base, ["a"], 2)


def test_many_texts_are_written_a_few_at_a_time_with_the_same_answers(
    learner: LoraLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, answers = KNOWN.texts[:30], [value["answer"] for value in KNOWN.values[:30]]
    together = learner.score(texts, ["uncertainty"]), learner.nll(KNOWN.target, texts, answers)
    monkeypatch.setattr("backend.learners.kinds.generation._TOKENS_A_BATCH", 60)
    monkeypatch.setattr("backend.learners.learner._LOGITS", 3)
    for name, values in learner.score(texts, ["uncertainty"]).items():
        np.testing.assert_allclose(values, together[0][name], atol=1e-5)
    np.testing.assert_allclose(learner.nll(KNOWN.target, texts, answers), together[1], atol=1e-5)
