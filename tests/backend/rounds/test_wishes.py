"""What people ask of a project, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import UnsupportedConfigError
from backend.rounds import wishes
from backend.rounds.context import Context, options_of
from backend.rounds.reasons import RESUMED, ROUND_REQUESTED, reason_for_round
from backend.store import Store
from tests.backend.played import project_of
from tests.backend.rounds.test_rounds import fill, run


def test_a_paused_project_waits_until_somebody_asks(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=8)
    wishes.pause(store, 7, paused=True)
    assert reason_for_round(context, 7, {"ANNOTATION_CREATED", "setup"}) is None
    wishes.round_now(store, 7)
    assert set(store.events.after(7, 0)[1]) == {ROUND_REQUESTED}
    assert reason_for_round(context, 7, {ROUND_REQUESTED}) == "asked for"
    assert reason_for_round(context, 7, {"START_TRAINING"}) == "Start training was pressed"
    wishes.pause(store, 7, paused=False)
    assert reason_for_round(context, 7, {RESUMED}) == "8 newly labeled tasks"


def test_another_strategy_chooses_until_the_options_change(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12, strategy="vote_entropy", committee="bootstrap", members=3)
    assert run(context, 1) == 1
    wishes.choose_strategy(store, 7, "margin")
    assert options_of(project_of(store)).strategy == "margin"
    run(context, 2)
    assert [each.strategy for each in store.rounds.all(7)] == ["vote_entropy", "margin"]
    wishes.choose_strategy(store, 7, None)
    assert options_of(project_of(store)).members == 3
    wishes.choose_strategy(store, 7, "margin")
    before = project_of(store)
    store.projects.connect(7, label_config=before.label_config, options=before.options, host="b.local")
    assert project_of(store).chosen_strategy == "margin", "Label Studio repeats the same options again and again"
    store.projects.connect(7, label_config=before.label_config, options={**before.options, "batch_size": 5}, host="b")
    assert project_of(store).chosen_strategy is None


def test_strategies_that_cannot_work_are_refused(store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder)
    for name in ("foo", "variance"):
        with pytest.raises(UnsupportedConfigError, match=name):
            wishes.choose_strategy(store, 7, name)
    assert project_of(store).chosen_strategy is None


def test_nothing_can_be_asked_of_a_project_that_left(store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder)
    store.projects.set(7, connected=False)
    for number in (7, 8):
        with pytest.raises(wishes.WishError, match=f"project {number} is not connected to this backend"):
            wishes.round_now(store, number)


def test_what_goes_with_a_strategy_in_the_environment_stays_with_it(
    store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("LSAL_STRATEGY", "density_weighted"),
        ("LSAL_STRATEGY_OPTIONS", '{"base": "entropy"}'),
        ("LSAL_MEMBERS", "3"),
    ):
        monkeypatch.setenv(name, value)
    fill(store, tiny_encoder)
    wishes.choose_strategy(store, 7, "entropy")
    found = options_of(project_of(store))
    assert (found.strategy, found.strategy_options, found.members) == ("entropy", {}, None)


def test_a_strategy_that_was_uninstalled_is_not_missed(store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, strategy="margin")
    store.projects.set(7, chosen_strategy="gone")
    assert options_of(project_of(store)).strategy == "margin"
