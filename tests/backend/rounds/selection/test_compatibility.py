"""Strategies × kinds of labels: every pair works in a real round, or is refused with those that do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import strategies
from backend.errors import UnsupportedConfigError
from backend.labelstudio.label_config.parse import parse
from backend.options import ProjectOptions
from backend.rounds.context import Context
from backend.rounds.selection.compatibility import SEVERAL, default_strategy, matrix, refuse_unsupported, works
from backend.store import Store
from backend.targets import KINDS, Kind, Target
from tests.backend.learners.kinds import data
from tests.backend.rounds.test_rounds import OPTIONS, run

CONTROLS = {
    "classification": '<Choices name="topic" toName="text">{choices}</Choices>',
    "multilabel": '<Choices name="topics" toName="text" choice="multiple">{choices}</Choices>',
    "regression": '<Rating name="stars" toName="text"/>',
    "spans": '<Labels name="things" toName="text">{labels}</Labels>',
    "pairwise": '<Text name="other" value="$other"/><Pairwise name="better" toName="text,other"/>',
    "generation": '<TextArea name="answer" toName="text"/>',
}
PAIRS = [(name, column, cell) for name, row in matrix().items() for column, cell in row.items()]


def config(*kinds: str) -> str:
    choices, labels = (
        "".join(f'<{tag} value="{name}"/>' for name in ("fruit", "tool", "animal")) for tag in ("Choice", "Label")
    )
    controls = "".join(CONTROLS[kind] for kind in kinds).format(choices=choices, labels=labels)
    return f'<View><Text name="text" value="$text"/>{controls}</View>'


def fill(store: Store, base: Path, kinds: list[str], labeled: int = 24, count: int = 40, **options: Any) -> None:
    """Project 7 with texts, the first of which are labeled."""
    texts, values = [], []
    for number in range(count):
        one = data(kinds[0], 1, seed=number)
        texts.append(one.texts[0])
        values.append(dict(one.values[0]))
    if len(kinds) > 1:  # of one text, both are known by its spans
        for each in values:
            each["topic"] = each["things"][0][2] if each["things"] else "fruit"
    store.projects.connect(
        7, label_config=config(*kinds), host="b.local:9090",
        options={**OPTIONS, "base_model": str(base), "cold_start_per_class": 0, "max_steps": 8, "min_steps": 8,
                 **options},
    )  # fmt: skip
    store.of(7).tasks.put_texts(list(enumerate(texts, 1)), seed=0, audit_share=options.get("audit_share", 0.2))
    store.of(7).tasks.put_annotations([(i, value, True, False) for i, value in enumerate(values[:labeled], 1)])


def kinds_of(column: str) -> list[str]:
    return ["spans", "classification"] if column == SEVERAL else [column]


@pytest.mark.parametrize(("name", "column", "cell"), PAIRS, ids=lambda value: str(value) or "refused")
def test_every_pair_works_or_is_refused(
    name: str, column: str, cell: str, store: Store, tiny_encoder: Path, tiny_decoder: Path, context: Context
) -> None:
    base = tiny_decoder if column == "generation" else tiny_encoder
    options: dict[str, Any] = {"strategy": name, "base_model": str(base)}
    if cell.startswith("base "):
        options["strategy_options"] = {"base": cell.split()[1]}
    targets = parse(config(*kinds_of(column))).targets
    parsed = ProjectOptions().model_copy(update=options)  # type: ignore[call-arg]
    if cell and name == "disagreement":  # it compares with the labels alone while its teacher is away
        options["teacher"] = "openai:away"
    fill(store, base, kinds_of(column), **options)
    if not cell:
        with pytest.raises(UnsupportedConfigError, match=rf"strategy '{name}' does not work for .*; choose .*k_means"):
            refuse_unsupported(parsed, targets)
        return
    refuse_unsupported(parsed, targets)
    assert run(context, 1) == 1
    done = store.of(7).rounds.get(1)
    assert done is not None
    assert done.strategy == name
    queue = store.of(7).rounds.queue(1)
    assert queue
    assert all(np.isfinite(item.score) for item in queue if item.score is not None)
    assert done.evaluation is not None
    assert set(done.evaluation["controls"]) == {target.name for target in targets}


@pytest.mark.parametrize("column", [*KINDS, SEVERAL])
def test_the_default_works_for_every_kind(
    column: str, store: Store, tiny_encoder: Path, tiny_decoder: Path, context: Context
) -> None:
    targets = parse(config(*kinds_of(column))).targets
    kinds: list[Kind] = [target.kind for target in targets]
    assert works(strategies.get(default_strategy(targets)), kinds)
    fill(store, tiny_decoder if column == "generation" else tiny_encoder, kinds_of(column))
    run(context, 1)
    assert store.of(7).rounds.get(1).strategy == default_strategy(targets)  # type: ignore[union-attr]


def test_thresholds_of_several_labels_are_noted_with_the_adapter(
    store: Store, tiny_encoder: Path, context: Context
) -> None:  # fmt: skip
    fill(store, tiny_encoder, ["multilabel"], labeled=60, count=60, max_steps=60, min_steps=60, audit_share=0.5)
    assert run(context, 1) == 1
    adapter = store.of(7).rounds.adapter(1)
    assert adapter is not None
    assert adapter.targets[0]["threshold"] != 0.5
    assert run(context, 2) == 1, "a threshold is no reason to train again"


def test_a_model_that_only_reads_is_refused_for_answers(tiny_encoder: Path) -> None:
    targets = parse(config("generation", "multilabel")).targets
    options = ProjectOptions.from_extra_params({"base_model": str(tiny_encoder)})
    with pytest.raises(
        UnsupportedConfigError, match=r"<TextArea name='answer'> needs written answers, .* name a causal"
    ):
        refuse_unsupported(options, targets)


@pytest.mark.parametrize(
    ("kinds", "extra", "said"),
    [
        (["generation"], {"generation_uncertainty": "disagreement"}, "'disagreement' needs weights, which base model"),
        (["classification"], {"committee": "lora", "strategy": "bald"}, "committee 'lora' needs weights"),
        (["classification"], {"strategy": "co_training"}, "'co_training' needs weights"),
        (["classification"], {"strategy": "disagreement", "teacher": "openai:x"}, "'disagreement' needs weights"),
    ],
)
def test_what_a_model_behind_a_server_cannot_learn_is_refused(
    kinds: list[str], extra: dict[str, Any], said: str
) -> None:
    options = ProjectOptions.from_extra_params({"base_model": "openai:x", **extra})
    with pytest.raises(UnsupportedConfigError, match=said):
        refuse_unsupported(options, parse(config(*kinds)).targets)


def test_a_number_behind_a_server_needs_a_range() -> None:
    options = ProjectOptions.from_extra_params({"base_model": "openai:x"})
    refuse_unsupported(options, [Target("stars", "regression", low=1, high=5, step=1)])
    with pytest.raises(
        UnsupportedConfigError, match=r"'price' is a number without a range; .* Give the control min and"
    ):
        refuse_unsupported(options, [Target("price", "regression", low=0)])


def test_a_model_behind_a_server_learns_what_has_letters() -> None:
    refuse_unsupported(ProjectOptions.from_extra_params({"base_model": "openai:x"}), parse(config("spans")).targets)
    options = ProjectOptions.from_extra_params({"base_model": "openai:x", "strategy": "badge"})
    refuse_unsupported(options, parse(config("classification")).targets)
    refuse_unsupported(ProjectOptions.from_extra_params({"base_model": "openai:x"}), parse(config("pairwise")).targets)
    choices = "".join(f'<Choice value="{number}"/>' for number in range(52))
    many = f'<View><Text name="text" value="$text"/><Choices name="c" toName="text">{choices}</Choices></View>'
    with pytest.raises(UnsupportedConfigError, match=r"'c' has 52 choices; .* answers with one of 51 letters"):
        refuse_unsupported(options, parse(many).targets)


def test_how_unlikely_the_true_answers_are_is_told(store: Store, tiny_decoder: Path, context: Context) -> None:
    fill(store, tiny_decoder, ["generation"], labeled=30, max_steps=60, min_steps=60)
    run(context, 1)
    (found,) = store.of(7).rounds.get(1).evaluation["controls"].values()  # type: ignore[union-attr, index]
    assert found["metric"] == "chrf"
    assert 0 < found["nll"] < 5
    assert 0 <= found["low"] <= found["score"] <= found["high"] <= 1


def test_a_weight_moves_the_queue(store: Store, tiny_encoder: Path, context: Context) -> None:
    orders = []
    for round_number, weights in enumerate(({"topic": 0.0}, {"things": 0.0}), 1):
        fill(store, tiny_encoder, ["spans", "classification"], control_weights=weights)
        run(context, round_number)
        orders.append([item.task_id for item in store.of(7).rounds.queue(round_number) if not item.audit])
    assert orders[0] != orders[1]
