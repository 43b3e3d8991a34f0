"""Every strategy that a project may choose, through real rounds: what it needs is computed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import strategies
from backend.errors import BackendError
from backend.options import ProjectOptions
from backend.rounds.context import Context
from backend.rounds.selection.strategy import strategy_at
from backend.rounds.steps.select import select
from backend.store import Store
from backend.targets import Target
from strategies import Pool
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import opened
from tests.backend.steps import play as run
from tests.backend.web.test_ml import CONFIG

_ARRAYS = {  # beyond digests and probabilities
    "uncertainty": {"topic/uncertainty mean top_k sequence"},
    "auto": {"features"}, "badge": {"features"}, "cal": {"features"}, "egl": {"gradient_lengths pseudo all 5"},
    **{key: {"committee_probs bootstrap 10"}
       for key in ("vote_entropy", "consensus_entropy", "consensus_kl", "bald", "epig")},
    "co_training": {"committee_probs views 2"},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(strategies.names()) - {"variance", "disagreement"}))
def test_a_project_gets_the_strategy_it_chose(name: str, context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12, strategy=name, max_steps=12, min_steps=12)
    version = run(context, 1)
    assert (version, store.of(7).rounds.get(1).strategy) == (1, name)  # type: ignore[union-attr]
    queue = store.of(7).rounds.queue(1)
    labeled = {example.id for audit in (False, True) for example in store.of(7).tasks.labeled(audit=audit)}
    assert len({item.task_id for item in queue} - labeled) == 6
    assert all(np.isfinite(item.score) for item in queue if item.score is not None)
    assert store.files.scores(7, 1).names == {"topic/probs"} | _ARRAYS.get(name, set())


def test_other_gradients_are_computed_anew_and_without_training_again(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12, strategy="egl", egl_parameters="head")
    run(context, 1)
    project = store.projects.get(7)
    assert project is not None
    store.projects.set(7, options={**project.options, "egl_label": "expected"})
    assert run(context, 2) == 1
    assert store.files.scores(7, 1).names == {"topic/probs", "gradient_lengths expected head 5"}


@pytest.mark.parametrize("several", [False, True])
def test_the_pool_states_whether_a_text_may_have_several_labels(
    several: bool, context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tiny_encoder)
    if several:
        config = CONFIG.replace('toName="text"', 'toName="text" choice="multiple"')
        store.projects.set(7, label_config=config)
    pools: list[Pool] = []
    monkeypatch.setattr(
        "backend.rounds.steps.select.Pool", lambda **fields: (pools.append(Pool(**fields)), pools[-1])[1]
    )
    run(context, 1)
    assert [pool.multilabel for pool in pools] == [several]


@pytest.mark.parametrize("kind", ["bootstrap", "lora", "dropout"])
def test_a_project_gets_the_committee_it_chose(kind: str, context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12, strategy="bald", committee=kind, members=3, max_steps=12, min_steps=12)
    run(context, 1)
    digests = store.of(7).tasks.listed().digests
    assert store.files.scores(7, 1).take(f"committee_probs {kind} 3", digests).shape == (40, 3, 3)


def test_a_committee_chosen_later_is_trained_by_the_next_round(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12, max_steps=12, min_steps=12)
    assert run(context, 1) == 1
    project = store.projects.get(7)
    assert project is not None
    store.projects.set(7, options={**project.options, "strategy": "vote_entropy"})
    assert run(context, 2) == 2


def test_views_lend_each_other_labels(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.rounds.steps import train as training

    sizes: list[tuple[int, int]] = []
    real = training.train_learner

    def watched(base, texts, *args, frozen_view, **kwargs):  # type: ignore[no-untyped-def]
        sizes.append((len(texts), len(frozen_view[0])))
        return real(base, texts, *args, frozen_view=frozen_view, **kwargs)

    monkeypatch.setattr(training, "train_learner", watched)
    fill(store, tiny_encoder, labeled=12, strategy="co_training", pseudo_confidence=0.3, pseudo_labels=5, audit_share=0)
    run(context, 1)
    held = len(store.of(7).tasks.labeled(audit=False))
    assert sizes == [(held, held)]
    assert run(context, 2) == 1  # the same labels: what the views lend each other is no reason to train again
    more = store.of(7).tasks.waiting(audit=False)[:3]
    store.of(7).tasks.put_annotations([(task.id, {"topic": "fruit"}, True, False) for task in more])
    assert run(context, 3) == 2
    assert len(sizes) == 2
    assert all(held + 3 < size <= held + 3 + 5 for size in sizes[1])


def test_nothing_is_computed_for_a_strategy_that_does_not_choose_yet(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12, strategy="bald", cold_start_per_class=30, max_steps=12, min_steps=12)
    run(context, 1)
    assert store.of(7).rounds.get(1).strategy == "k_means"  # type: ignore[union-attr]
    assert store.files.scores(7, 1).names == {"topic/probs"}


def test_labels_that_shrink_to_one_class_bring_the_cold_start_back(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12, max_steps=12, min_steps=12, audit_share=0)
    assert run(context, 1) == 1
    store.of(7).tasks.put_annotations([(number, {"topic": "fruit"}, True, False) for number in range(1, 13)])
    project = store.projects.get(7)
    assert project is not None
    store.projects.set(7, options={**project.options, "strategy": "bald"})
    assert run(context, 2) == 1
    assert store.of(7).rounds.get(2).strategy == "k_means"  # type: ignore[union-attr]


def test_the_cold_start_lasts_as_many_labels_as_asked() -> None:
    options = ProjectOptions.from_extra_params({"cold_start_per_class": 2.5})
    labels: list[dict[str, str]] = [{"t": "a"}, {"t": "b"}] * 15
    targets = [Target("t", "classification", tuple("abcdefghijkl"))]
    assert strategy_at(options, [], targets).name == "k_means"
    assert strategy_at(options, labels[:29], targets).name == "k_means"
    assert strategy_at(options, labels, targets).name == "uncertainty_herding"
    assert strategy_at(options, labels, targets, trained=False).name == "k_means"
    assert strategy_at(options, [{"t": "a"}] * 50, targets).name == "k_means"


def test_scores_that_are_no_numbers_fail_the_round_with_a_reason(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12, max_steps=12, min_steps=12, strategy="badge")
    run(context, 1)
    scores, digests = store.files.scores(7, 1), np.unique(store.of(7).tasks.listed().digests)
    damaged = {name: scores.take(name, digests) for name in ("topic/probs", "features")}
    damaged["features"][:] = np.nan
    scores.clear()
    scores.add(digests, damaged)
    with pytest.raises(BackendError, match=r"strategy 'badge' cannot select: pool.features contains NaN"):
        select(opened(context, number=1, version=1))
    scores.clear()
    scores.add(digests, {"topic/probs": damaged["topic/probs"]})
    with pytest.raises(BackendError, match="the scores lack 'features'; the options changed during the round"):
        select(opened(context, number=1, version=1))
