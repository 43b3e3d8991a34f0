"""What people ask of a project, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from backend.errors import UnknownError, UnsupportedConfigError
from backend.rounds import commands
from backend.rounds.context import Context, options_of
from backend.rounds.events import DAMAGED, RESUMED, ROUND_REQUESTED
from backend.store import Store
from backend.store.sql.models import Base
from tests.backend.played import project_of
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import do, reason
from tests.backend.steps import play as run


def test_a_paused_project_waits_until_somebody_asks(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=8)
    commands.pause(store, 7, paused=True)
    assert reason(context, {"ANNOTATION_CREATED", "setup"}) is None
    commands.start_round(store, 7)
    assert set(store.events.after(7, 0)[1]) == {ROUND_REQUESTED}
    assert reason(context, {ROUND_REQUESTED}) == "asked for"
    assert reason(context, {"START_TRAINING"}) == "Start training was pressed"
    commands.pause(store, 7, paused=False)
    assert reason(context, {RESUMED}) == "8 newly labeled tasks"


def test_stored_options_above_their_bounds_are_used_at_the_bounds_and_logged(
    context: Context, store: Store, tiny_encoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Earlier releases had no upper bounds: training could take days."""
    fill(store, tiny_encoder, labeled=12, max_steps=10**8, min_steps="100000000")
    options = options_of(project_of(store))
    assert (options.max_steps, options.min_steps) == (20_000, 20_000)
    assert do(context, "decide", actions=["START_TRAINING"]) == 1
    assert "project 7: the option max_steps is 100000000, used as 20000, its largest value" in caplog.text
    assert "the option min_steps is 100000000, used as 20000" in caplog.text


def test_what_changed_during_a_pause_starts_a_round_after_it(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12)
    run(context, 1)
    commands.pause(store, 7, paused=True)
    store.projects.set(7, options={**project_of(store).options, "batch_size": 5})
    assert do(context, "decide", actions=["setup"]) is None, "the event is processed"
    commands.pause(store, 7, paused=False)
    assert reason(context, {RESUMED}) == "the options changed"
    assert run(context, 2)
    assert reason(context) is None


def test_rounds_of_earlier_releases_know_no_options_and_the_event_must_do(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder)
    run(context, 1)
    store.of(7).rounds.set(1, options=None)
    assert reason(context) is None
    assert reason(context, {"setup"}) == "the options changed"


def test_an_adapter_damaged_during_a_pause_starts_a_round_after_it(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12)
    run(context, 1)
    commands.pause(store, 7, paused=True)
    (store.files.adapters(7).path(1) / "heads.safetensors").unlink()
    assert do(context, "decide", actions=[DAMAGED]) is None
    commands.pause(store, 7, paused=False)
    assert reason(context, {RESUMED}) == "adapter 1 is damaged"


def test_another_strategy_chooses_until_the_options_change(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12, strategy="vote_entropy", committee="bootstrap", members=3)
    assert run(context, 1) == 1
    commands.choose_strategy(store, 7, "margin")
    assert options_of(project_of(store)).strategy == "margin"
    run(context, 2)
    assert [each.strategy for each in store.of(7).rounds.all()] == ["vote_entropy", "margin"]
    commands.choose_strategy(store, 7, None)
    assert options_of(project_of(store)).members == 3
    commands.choose_strategy(store, 7, "margin")
    before = project_of(store)
    store.projects.connect(7, label_config=before.label_config, options=before.options, host="b.local")
    assert project_of(store).chosen_strategy == "margin", "Label Studio repeats the same options again and again"
    store.projects.connect(7, label_config=before.label_config, options={**before.options, "batch_size": 5}, host="b")
    assert project_of(store).chosen_strategy is None


def test_strategies_that_cannot_work_are_refused(store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder)
    for name in ("foo", "variance"):
        with pytest.raises(UnsupportedConfigError, match=name):
            commands.choose_strategy(store, 7, name)
    assert project_of(store).chosen_strategy is None


def test_nothing_can_be_asked_of_a_project_that_left(store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder)
    store.projects.set(7, connected=False)
    for number in (7, 8):
        with pytest.raises(commands.CommandError, match=f"project {number} is not connected to this backend"):
            commands.start_round(store, number)


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
    commands.choose_strategy(store, 7, "entropy")
    found = options_of(project_of(store))
    assert (found.strategy, found.strategy_options, found.members) == ("entropy", {}, None)


def test_a_strategy_that_was_uninstalled_is_not_missed(store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, strategy="margin")
    store.projects.set(7, chosen_strategy="gone")
    assert options_of(project_of(store)).strategy == "margin"


def test_nothing_is_kept_of_a_forgotten_project(played: Store) -> None:
    rows = count_rows(played)
    assert all(rows[table] for table in ("projects", "tasks", "annotations", "rounds", "adapters"))
    played.projects.connect(8, label_config="<View/>", options={}, host="b")
    played.of(8).tasks.put_texts([(1, "a text")], seed=0, audit_share=0.0)
    played.audit.add("pause", 7, user="ann", origin="here")
    with pytest.raises(commands.CommandError, match="project 7 is connected; disconnect it first: lsal disconnect 7"):
        commands.forget(played, 7)
    played.projects.set(7, connected=False)
    commands.forget(played, 7)
    assert {table: count for table, count in count_rows(played).items() if count} == {"audit": 1}
    assert played.of(8).tasks.count() == 1
    assert [path.name for path in (played.files.root / "projects").iterdir()] == []
    with pytest.raises(UnknownError, match="project 7 is not known here"):
        commands.forget(played, 7)


def count_rows(store: Store) -> dict[str, int]:
    """Rows of project 7 by table."""
    with store.database.read() as session:
        keys = {
            table: table.c.id if table.name == "projects" else table.c.get("project_id")
            for table in Base.metadata.sorted_tables
        }
        return {
            table.name: session.scalar(select(func.count()).select_from(table).where(key == 7)) or 0
            for table, key in keys.items()
            if key is not None
        }
