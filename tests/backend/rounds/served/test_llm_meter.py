"""The option `llm_budget`: what would exceed it is not sent, and no round begins that could send nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BackendError, BudgetError
from backend.labelstudio.controls import BY_KIND
from backend.learners.models.cache import BaseModels
from backend.overview import llm
from backend.rounds.adapters import load
from backend.rounds.context import Context
from backend.store import Store
from tests.backend.learners.kinds import data
from tests.backend.played import no_bar, project_of
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import fail, reason
from tests.backend.steps import play as run
from tests.conftest import CLASSES
from tests.language_model import MODEL, LanguageModel, language_model


@pytest.fixture
def toy() -> Iterator[LanguageModel]:
    with language_model() as model:
        yield model


@pytest.fixture
def context(store: Store, toy: LanguageModel) -> Context:
    models = BaseModels(server=toy.server())
    return Context(store=store, client=None, models=models, bar=no_bar)  # type: ignore[arg-type]


def served(store: Store, **options: Any) -> None:
    """Project 7 of 40 texts, the first 12 labeled, with a model behind a server."""
    fill(store, f"openai:{MODEL}", 40, 12, audit_share=0.0, shots=3, **options)  # type: ignore[arg-type]


def test_a_round_within_its_budget_counts_what_it_sends(context: Context, store: Store, toy: LanguageModel) -> None:
    served(store, llm_budget=100)
    run(context, 1)
    (row,) = store.of(7).llm_usage.all()
    assert row.model == f"openai:{MODEL}"
    assert row.calls == row.output_tokens == len(toy.asked) <= 100
    assert row.input_tokens > row.calls
    assert row.seconds > 0


def test_a_round_that_would_exceed_it_sends_no_more(context: Context, store: Store, toy: LanguageModel) -> None:
    served(store, llm_budget=20)
    with pytest.raises(BudgetError, match=r"would exceed llm_budget \(20, of which \d+ are used\); raise it in Extra"):
        run(context, 1)
    assert len(toy.asked) == store.of(7).llm_usage.calls() <= 20
    fail(context, 1, "12 calls of 'a' would exceed llm_budget (20, of which 17 are used)")
    store.of(7).tasks.put_annotations([(task, {"topic": "tool"}, True, False) for task in range(20, 30)])
    assert reason(context) is None, "it would fail again"
    assert reason(context, {"START_TRAINING"}) == "Start training was pressed"
    store.projects.set(7, options={**project_of(store).options, "llm_budget": 500})
    assert reason(context) is not None


def test_calls_that_were_not_sent_are_given_back(context: Context, store: Store, toy: LanguageModel) -> None:
    served(store)
    toy.failures = [500] * 10_000
    with pytest.raises(BackendError, match="the language model's server"):
        run(context, 1)
    assert store.of(7).llm_usage.calls() <= 32, "at most those that were under way"


def test_the_estimate_is_what_a_first_round_sends(context: Context, store: Store, toy: LanguageModel) -> None:
    served(store)
    before = llm.estimate(store, project_of(store), None, {MODEL: (2.0, 4.0)})
    assert not before.measured
    assert before.hours is None
    assert before.money == pytest.approx((2 * before.input_tokens + 4 * before.output_tokens) / 1e6)
    run(context, 1)
    assert 0.8 * before.calls <= len(toy.asked) <= before.calls
    after = llm.estimate(store, project_of(store), None, {})
    assert (after.calls, after.measured, after.money) == (before.calls, True, None)
    assert after.hours is not None
    lines = llm.in_words(after, llm.spent(store, project_of(store)))
    assert lines[0] == f"openai:{MODEL}: a round with a new prompt queries 40 texts in {before.calls} calls"
    assert lines[-1].startswith(f"so far openai:{MODEL}: {len(toy.asked)} calls, input ")


def test_a_round_of_ratings(context: Context, store: Store, toy: LanguageModel, tiny_encoder: Path) -> None:
    """The committee of the default strategy gives numbers, too."""
    config = '<View><Text name="text" value="$text"/><Rating name="stars" toName="text"/></View>'
    known = data("regression", 40)
    store.projects.connect(
        7, label_config=config, options={"base_model": f"openai:{MODEL}", "cold_start_per_class": 0}, host="b.local"
    )
    store.of(7).tasks.put_texts(list(enumerate(known.texts, 1)), seed=0, audit_share=0.2)
    store.of(7).tasks.put_annotations([(i, value, True, False) for i, value in enumerate(known.values[:24], 1)])
    assert run(context, 1) == 1
    done = store.of(7).rounds.get(1)
    assert done is not None
    assert done.strategy == "variance"
    assert done.evaluation is not None
    assert set(done.evaluation["controls"]) == {"stars"}
    assert store.of(7).rounds.queue(1)


def test_other_models_have_no_price(store: Store, context: Context) -> None:
    served(store)
    with pytest.raises(BackendError, match="'minilm' is no model behind a server"):
        llm.estimate(store, project_of(store), "minilm", {})
    store.projects.set(7, options={**project_of(store).options, "base_model": "minilm"})
    assert llm.estimate(store, project_of(store), "openai:big", {}).texts == 40


def test_a_round_of_spans(context: Context, store: Store, toy: LanguageModel) -> None:
    """What the model quotes is there before the first label, and the strategy asks for doubtful texts."""
    labels = "".join(f'<Label value="{name}"/>' for name in CLASSES)
    config = f'<View><Text name="text" value="$text"/><Labels name="things" toName="text">{labels}</Labels></View>'
    toy.thinks["old"] = ("fruit", -0.6)
    known = data("spans", 40)
    options = {"base_model": f"openai:{MODEL}", "batch_size": 8, "shots": 3, "audit_share": 0.0}
    store.projects.connect(7, label_config=config, host="b.local:9090", options=options)
    store.of(7).tasks.put_texts(list(enumerate(known.texts, 1)), seed=0, audit_share=0.0)
    run(context, 1)
    labeled = [item.task_id for item in store.of(7).rounds.queue(1)[:12]]
    store.of(7).tasks.put_annotations([(task, known.values[task - 1], True, False) for task in labeled])
    version = run(context, 2)
    run_of = context.open(7)
    learned = load(run_of, version)
    found = learned.predict(known.texts)
    (control,) = run_of.spec.controls
    for row, (text, values) in enumerate(zip(known.texts, known.values, strict=True)):
        output = {name: found[f"things/{name}"][row] for name in ("spans", "span_probs")}
        spans, _ = BY_KIND["spans"].predicted(control, learned.targets[0], output, text)
        assert spans == sorted(values["things"])
    assert store.of(7).rounds.get(2).strategy == "uncertainty"  # type: ignore[union-attr]
