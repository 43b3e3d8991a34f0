"""Every strategy that a project may choose, through real rounds: what it needs is computed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import strategies
from backend.rounds.context import Context
from backend.rounds.select import strategy_at
from backend.settings import ProjectOptions
from backend.store import Store
from tests.backend.rounds.test_rounds import context, fill, run

__all__ = ["context"]  # a fixture

_NEEDS_KINDS_TO_COME = {"variance", "uncertainty"}
_ARRAYS = {  # beyond digests and probs
    "badge": {"features"}, "cal": {"features"}, "egl": {"gradient_lengths pseudo all 5"},
    "vote_entropy": {"committee_probs"}, "consensus_entropy": {"committee_probs"},
    "consensus_kl": {"committee_probs"}, "bald": {"committee_probs"}, "co_training": {"committee_probs"},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(strategies.names()) - _NEEDS_KINDS_TO_COME))
def test_a_project_gets_the_strategy_it_chose(name: str, context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12, strategy=name, max_steps=12, min_steps=12)
    version = run(context, 1)
    assert (version, store.rounds.get(7, 1).strategy) == (1, name)  # type: ignore[union-attr]
    queue = store.rounds.queue(7, 1)
    labeled = {example.id for audit in (False, True) for example in store.tasks.labeled(7, audit=audit)}
    assert len({item.task_id for item in queue} - labeled) == 6
    assert all(np.isfinite(item.score) for item in queue if item.score is not None)
    found = store.files.read_arrays(store.files.scores(7, 1))
    assert found is not None
    assert set(found) == {"digests", "probs"} | _ARRAYS.get(name, set())


def test_other_gradients_are_computed_anew_and_without_training_again(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12, strategy="egl", egl_parameters="head")
    run(context, 1)
    project = store.projects.get(7)
    assert project is not None
    store.projects.set(7, options={**project.options, "egl_label": "expected"})
    assert run(context, 2) == 1
    found = store.files.read_arrays(store.files.scores(7, 1))
    assert found is not None
    assert set(found) == {"digests", "probs", "gradient_lengths expected head 5"}


@pytest.mark.parametrize("kind", ["bootstrap", "lora", "dropout"])
def test_a_project_gets_the_committee_it_chose(kind: str, context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12, strategy="bald", committee=kind, members=3, max_steps=12, min_steps=12)
    run(context, 1)
    found = store.files.read_arrays(store.files.scores(7, 1))
    assert found is not None
    assert found["committee_probs"].shape == (40, 3, 3)


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
    from backend.rounds import train as training

    sizes: list[tuple[int, int]] = []
    real = training.train_classifier

    def watched(base, texts, *args, frozen_view, **kwargs):  # type: ignore[no-untyped-def]
        sizes.append((len(texts), len(frozen_view[0])))
        return real(base, texts, *args, frozen_view=frozen_view, **kwargs)

    monkeypatch.setattr(training, "train_classifier", watched)
    fill(store, tiny_encoder, labeled=12, strategy="co_training", pseudo_confidence=0.3, pseudo_labels=5, audit_share=0)
    run(context, 1)
    held = len(store.tasks.labeled(7, audit=False))
    assert sizes == [(held, held)]
    run(context, 2)
    assert all(held < size <= held + 5 for size in sizes[1])
    assert run(context, 3) in (2, 3)


def test_the_cold_start_lasts_as_many_labels_as_asked() -> None:
    options = ProjectOptions.from_extra_params({"cold_start_per_class": 2.5})
    assert strategy_at(options, 0, 12, trained=False).name == "k_means"
    assert strategy_at(options, 29, 12, trained=True).name == "k_means"
    assert strategy_at(options, 30, 12, trained=True).name == options.strategy
    assert strategy_at(options, 30, 12, trained=False).name == "k_means"
