"""One contract suite over the learners of every kind, alone and together on one adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backend.evaluation.measures import measure
from backend.labelstudio.controls import BY_KIND as CONTROLS
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.predictions import output_of
from backend.learners.base import CommitteeOptions, TrainingOptions, UncertaintyOptions
from backend.learners.heads.map_head import Fixed
from backend.learners.kinds import BY_KIND, head_of, output_names
from backend.learners.kinds.base import Reading
from backend.learners.kinds.multilabel import MultilabelHead
from backend.learners.kinds.spans import SpansHead, decode
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import pad
from backend.learners.training.lora import lora_config
from backend.learners.training.train import train
from backend.targets import KINDS, MARK, Kind, Target, with_context
from tests.backend.learners.kinds import Data, data
from tests.conftest import CLASSES

OPTIONS = TrainingOptions(
    epochs=15, min_steps=100, learning_rate=5e-3, max_length=32, lora_dropout=0.0, lora_layers="all"
)
GOOD = {"classification": 0.8, "multilabel": 0.7, "regression": 0.65, "spans": 0.75, "pairwise": 0.75,
        "generation": 0.6}  # fmt: skip
READ = [kind for kind in KINDS if kind != "generation"]  # what an encoder can learn
CONTRACT = pytest.mark.parametrize(
    ("base", "known"),
    [*(("encoder", kind) for kind in READ), *(("decoder", kind) for kind in KINDS)],
    indirect=True,
    scope="module",
)


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def base(request: pytest.FixtureRequest, tiny_encoder: Path, tiny_decoder: Path) -> BaseModel:
    return BaseModel(str(tiny_encoder if request.param == "encoder" else tiny_decoder), device="cpu")


@pytest.fixture(scope="module")
def known(request: pytest.FixtureRequest) -> Data:
    return data(request.param, 160)


@pytest.fixture(scope="module")
def learner(base: BaseModel, known: Data, tmp_path_factory: pytest.TempPathFactory) -> LoraLearner:
    folder = tmp_path_factory.mktemp("adapter")
    epochs = 30 if known.target.kind == "generation" else OPTIONS.epochs
    train(base, known.texts, known.values, [known.target], replace(OPTIONS, epochs=epochs), folder)
    return LoraLearner.load(base, f"a-{known.target.kind}", folder)


@pytest.fixture(scope="module")
def learner_of_spans(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> LoraLearner:
    known, folder = data("spans", 160), tmp_path_factory.mktemp("spans")
    train(base, known.texts, known.values, [known.target], OPTIONS, folder)
    return LoraLearner.load(base, "spans", folder)


def predicted(learner: LoraLearner, target: Target, texts: list[str]) -> list[Any]:
    """Values as they would be shown."""
    outputs = learner.predict(texts)
    control = Control(target, "text", "")
    kind = CONTROLS[target.kind]
    return [kind.predicted(control, target, output_of(target, outputs, row), text)[0] for row, text in enumerate(texts)]


def score(learner: LoraLearner, unseen: Data) -> float:
    name = unseen.target.name
    found = measure(unseen.target, [v[name] for v in unseen.values], predicted(learner, unseen.target, unseen.texts))
    return float(found["score"])


def test_there_is_a_head_for_every_kind() -> None:
    assert set(BY_KIND) == set(KINDS)


@CONTRACT
def test_learns_what_a_random_model_cannot_know(learner: LoraLearner, known: Data) -> None:
    kind = known.target.kind
    found = score(learner, data(kind, 60, seed=1))
    assert found < GOOD[kind] if kind == "regression" else found > GOOD[kind]


@CONTRACT
def test_outputs_in_the_order_asked_whatever_stands_beside_them(learner: LoraLearner, known: Data) -> None:
    texts = [*known.texts[:7], "", "apple", "unknown words only"]
    together = predicted(learner, known.target, texts)
    for text, value in zip(texts, together, strict=True):
        assert predicted(learner, known.target, [text]) == [value]
    for name, values in learner.predict([]).items():
        assert len(values) == 0, name


@CONTRACT
def test_scoring_gives_the_outputs_and_an_uncertainty_and_changes_nothing(learner: LoraLearner, known: Data) -> None:
    before = learner.predict(known.texts)
    found = learner.score(known.texts, ["features", "uncertainty"])
    name = f"{known.target.name}/uncertainty"
    assert set(found) == {*output_names([known.target]), "features", name}
    for output in output_names([known.target]):
        np.testing.assert_allclose(found[output], before[output], atol=1e-4)
        np.testing.assert_array_equal(learner.predict(known.texts)[output], before[output])
    assert found[name].shape == (160,)
    assert np.isfinite(found[name]).all()
    assert found[name].std() > 0


@CONTRACT
def test_equal_seeds_give_equal_outputs(base: BaseModel, known: Data, tmp_path: Path) -> None:
    outputs = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        options = TrainingOptions(min_steps=5, max_steps=5, max_length=32)
        train(base, known.texts, known.values, [known.target], options, folder)
        outputs.append(LoraLearner.load(base, "x", folder).predict(known.texts))
    for name, values in outputs[0].items():
        np.testing.assert_array_equal(values, outputs[1][name])


@CONTRACT
def test_a_warm_start_goes_on_where_the_former_stood(
    base: BaseModel, learner: LoraLearner, known: Data, tmp_path: Path
) -> None:
    options = TrainingOptions(min_steps=1, max_steps=1, learning_rate=1e-9, max_length=32, lora_dropout=0.0)
    train(base, known.texts, known.values, [known.target], options, tmp_path, warm_start=learner.folder)
    again = LoraLearner.load(base, "warm", tmp_path).predict(known.texts)
    for name, values in learner.predict(known.texts).items():
        close = np.isclose(again[name], values, atol=1e-3)  # a tag may tip over
        assert close.mean() > 0.98, name


def test_one_adapter_learns_all_kinds_from_texts_that_have_some_of_them(base: BaseModel, tmp_path: Path) -> None:
    kinds = KINDS if base.is_decoder else READ
    parts = [data(kind, 90, seed=3) for kind in kinds]
    texts = [text for part in parts for text in part.texts]
    values = [value for part in parts for value in part.values]
    targets = [part.target for part in parts]
    train(base, texts, values, targets, replace(OPTIONS, max_steps=400), tmp_path)
    learner = LoraLearner.load(base, "all", tmp_path)
    assert learner.targets == tuple(targets)
    for kind in kinds:
        found = score(learner, data(kind, 60, seed=4))
        assert found < 0.8 if kind == "regression" else found > (0.45 if kind == "generation" else 0.6), kind
    asked = learner.score(texts[:5], ["uncertainty"])
    assert {f"{target.name}/uncertainty" for target in targets} <= set(asked)


@pytest.mark.parametrize("committee", ["bootstrap", "lora", "dropout"])
def test_members_disagree_about_numbers(base: BaseModel, committee: Any, tmp_path: Path) -> None:
    known, unseen = data("regression", 120), data("regression", 20, seed=1)
    options = TrainingOptions(
        min_steps=60, epochs=1, learning_rate=5e-3, max_length=32, lora_dropout=0.1,
        committee=CommitteeOptions(kind=committee, members=4),
    )  # fmt: skip
    train(base, known.texts, known.values, [known.target], options, tmp_path)
    found = LoraLearner.load(base, "x", tmp_path).score(unseen.texts, ["predictions"])["predictions"]
    assert found.shape == (20, 4)
    truth = np.array([value["stars"] for value in unseen.values])
    assert np.corrcoef(found.mean(axis=1), truth)[0, 1] > 0.5
    assert (found.std(axis=1) > 1e-4).all()


@pytest.mark.parametrize("measure", ["token_entropy", "least_confident_span", "top_k"])
def test_long_texts_are_not_unsure_for_being_long(learner_of_spans: LoraLearner, measure: Any) -> None:
    sentence = "the old apple and the new saw "
    options = UncertaintyOptions(spans=measure)
    texts = [sentence, sentence * 2]
    found = learner_of_spans.score(texts, ["uncertainty"], uncertainty=options)["things/uncertainty"]
    assert found[1] < 2.5 * found[0] + 0.05


@pytest.mark.parametrize("which", ["mean", "max"])
def test_the_uncertainty_of_several_labels_is_a_binary_entropy(base: BaseModel, which: Any, tmp_path: Path) -> None:
    known = data("multilabel", 32)
    train(base, known.texts, known.values, [known.target], TrainingOptions(max_steps=5, max_length=32), tmp_path)
    learner = LoraLearner.load(base, "x", tmp_path)
    found = learner.score(known.texts, ["uncertainty"], uncertainty=UncertaintyOptions(multilabel=which))
    for probs, value in zip(found["topics/probs"].astype(float), found["topics/uncertainty"], strict=True):
        entropies = [-p * np.log(p) - (1 - p) * np.log(1 - p) for p in probs]
        assert value == pytest.approx(np.mean(entropies) if which == "mean" else max(entropies), abs=1e-4)


def test_tags_and_spans_turn_into_each_other_at_the_exact_characters() -> None:
    text = "😀 ab, e\u0301中文\r\nxy"
    pieces = [(0, 1), (2, 4), (4, 5), (6, 8), (8, 9), (9, 10), (12, 14)]
    head = head_of(Target("t", "spans", ("A", "B")), 4)
    assert isinstance(head, SpansHead)
    offsets = torch.tensor([(0, 0), *pieces, (0, 0)])
    spans = [[0, 4, "A"], [6, 9, "B"], [9, 10, "B"], [12, 14, "A"]]
    tags = head.tags(offsets, spans)
    assert tags.tolist() == [-100, 1, 2, 0, 3, 4, 3, 1, -100]
    found = decode(tags.tolist(), [0.9] * len(offsets), offsets.tolist(), text)
    assert [[start, end, "AB"[row]] for start, end, row, _ in found] == spans
    assert {round(span.probability, 6) for span in found} == {0.9}


def test_marks_between_blocks_do_not_count(base: BaseModel, learner_of_spans: LoraLearner) -> None:
    blocks = ["the apple", "my saw", "a horse near"]
    outputs = learner_of_spans.predict([MARK.join(blocks), " ".join(blocks)])["things/spans"]
    marked, spaced = ([list(span) for span in each if span[1]] for each in outputs.tolist())
    assert len(spaced) == 3
    plain = "".join(blocks)
    assert [plain[a:b] for a, b, _ in marked] == [" ".join(blocks)[a:b] for a, b, _ in spaced]


def test_rare_spans_weigh_more_and_each_piece_counts_alike(base: BaseModel) -> None:
    texts, values = ["the apple", "a new saw is there"], [[[4, 9, "fruit"]], []]
    head = head_of(Target("t", "spans", CLASSES), base.dimensions)
    head.prepare(texts, values, base)
    weight = np.sqrt((9 + 18 - 5) / 5)
    batch = pad(base.tokenizer, base.tokenize(texts, 32), np.arange(2))
    reading = Reading(base, batch, texts, 32)
    with torch.no_grad():
        found = head.losses(reading, [0, 1], values)
        logs = torch.log_softmax(head.linear(reading.hidden), dim=-1)
        tags = [[(1, 0), (2, 1 + 2 * CLASSES.index("fruit"))], [(place, 0) for place in range(1, 6)]]
    for row, pieces in enumerate(tags):
        each = [-(weight if tag else 1) * float(logs[row, place, tag]) for place, tag in pieces]
        assert float(found[row]) == pytest.approx(sum(each) / (7 / 2), rel=1e-4)


def test_spans_adapt_every_linear_layer_and_the_others_attention(base: BaseModel) -> None:
    spans, classes = data("spans", 1).target, data("classification", 1).target
    alone = lora_config(base, TrainingOptions(lora_layers="all"), [classes])
    assert (alone.target_modules in ({"query", "value"}, {"q_proj", "v_proj"}), alone.lora_dropout) == (True, 0.05)
    both = lora_config(base, TrainingOptions(), [classes, spans])
    assert (both.target_modules, both.lora_dropout) == ("all-linear", 0.0)
    assert lora_config(base, TrainingOptions(lora_dropout=0.2), [spans]).lora_dropout == 0.2


def test_outer_white_space_orphans_and_shared_characters_when_decoding() -> None:
    text = " ab cd"
    assert [s[:3] for s in decode([2, 2, 1], [1, 1, 1], [(0, 3), (3, 6), (0, 0)], text)] == [(1, 6, 0)]
    assert [s[:3] for s in decode([1, 4], [1, 1], [(0, 3), (3, 6)], text)] == [(1, 3, 0), (4, 6, 1)]
    assert [s[:3] for s in decode([1, 3], [1, 1], [(1, 2), (1, 2)], text)] == [(1, 2, 0)]
    assert decode([1], [1], [(0, 1)], text) == []


@pytest.mark.parametrize(
    ("text", "offsets", "span"),
    [
        ("Universite\u0301 de Sherbrooke", (0, 10), (0, 11)),  # a decomposed accent
        ("a 👩\u200d👩\u200d👧 family", (2, 3), (2, 7)),
        ("a 👩\u200d👩\u200d👧 family", (4, 7), (2, 7)),
        ("plain text", (0, 5), (0, 5)),
    ],
)
def test_spans_hold_whole_characters(text: str, offsets: tuple[int, int], span: tuple[int, int]) -> None:
    assert [s[:2] for s in decode([1], [1], [offsets], text)] == [span]


def test_what_is_cut_off_teaches_nothing(base: BaseModel, tmp_path: Path) -> None:
    texts = ["the saw " * 40] * 4
    values = [{"things": [[300, 303, "tool"]]}] * 4
    options = TrainingOptions(max_steps=2, max_length=16)
    train(base, texts, values, [Target("things", "spans", ("tool",))], options, tmp_path)
    for start, end, _ in LoraLearner.load(base, "x", tmp_path).predict(texts)["things/spans"][0]:
        assert 0 <= start <= end < 100


def test_kinds_name_what_strategies_may_ask() -> None:
    asks: dict[Kind, frozenset[str]] = {kind: head.asks for kind, head in BY_KIND.items()}
    assert all({"features", "uncertainty"} <= each for each in asks.values())
    assert "predictions" in asks["regression"]
    assert {"probs", "committee_probs", "gradient_lengths"} <= asks["classification"]


def test_a_class_is_at_least_as_probable_as_those_below_it() -> None:
    parents = (-1, 0, 1, 1, -1)  # a tree of three levels, and a class beside it
    head = MultilabelHead(Target("t", "multilabel", tuple("abcde"), parents=parents), 5, {})
    logits = torch.tensor([[-2.0, -1.0, 3.0, 0.5, -4.0], [2.0, 1.0, 0.0, -1.0, 1.0]])
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(5))
    found = head.outputs(Fixed.of(logits))["probs"].detach().numpy()
    for row, own in zip(found, torch.sigmoid(logits).numpy(), strict=True):
        slow = own.copy()
        for child in range(4, -1, -1):
            above = parents[child]
            while above >= 0:
                slow[above] = max(slow[above], own[child])
                above = parents[above]
        np.testing.assert_allclose(row, slow, rtol=1e-6)


def test_the_pieces_of_a_context_are_neither_in_spans_nor_outside(base: BaseModel) -> None:
    texts = [with_context("the apple", "title: apple"), "the apple"]
    ids = base.tokenize(texts, 32)
    reading = Reading(base, pad(base.tokenizer, ids, np.arange(2)), texts, 32)
    head = SpansHead(Target("t", "spans", ("fruit",)), base.dimensions, {})
    found, alone = (head.tags(offsets, [[4, 9, "fruit"]]) for offsets in reading.offsets)
    assert found[found >= 0].tolist() == alone[alone >= 0].tolist()
    assert (found > 0).any()
