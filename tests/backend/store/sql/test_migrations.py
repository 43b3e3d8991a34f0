"""Migrations of the state of earlier releases, from SQL dumps of their databases."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from backend.errors import RefusedStartError
from backend.rounds.context import options_of, spec_of
from backend.store import Store
from backend.store.sql.models import Base
from tests import forked
from tests.servers import free_port

RELEASES = sorted((Path(__file__).parent / "releases").glob("*.sql"))


def store_of(release: Path, folder: Path) -> Store:
    folder.mkdir(exist_ok=True)
    with sqlite3.connect(folder / "state.sqlite3") as made:
        made.executescript(release.read_text("utf-8"))
    made.close()
    return Store(folder)


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_an_old_state_has_todays_tables_and_keeps_what_people_gave(release: Path, tmp_path: Path) -> None:
    store = store_of(release, tmp_path)
    store.database.migrate()
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Base.metadata) == []
    (project,) = store.projects.all()
    assert (project.id, project.backend_url, project.webhook_secret) == (7, "http://b.local:9090", None)
    assert options_of(project).batch_size == 5
    assert [target.name for target in spec_of(project).targets] == ["topic"]
    assert store.of(7).tasks.count() == 12
    (before,) = store.of(7).rounds.all()
    assert (before.number, before.state, before.tries, before.back_to) == (1, "done", {}, None)
    assert store.events.after(7, 0)[0] == 0
    store.events.add(7, "X")
    assert store.events.newest()[7] > 50, "ids of events continue"


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_labels_are_kept_or_read_again(release: Path, tmp_path: Path) -> None:
    store = store_of(release, tmp_path)
    store.database.migrate()
    project = store.projects.get(7)
    assert project is not None
    assert project.reread or store.of(7).tasks.count_labeled() == 12
    assert project.adapter_floor or project.adapter, "adapter numbers are not reused"


@pytest.mark.parametrize(("split", "share"), [(None, None), ("3:0.25", 0.25), ("0:0", 0.0)])
def test_the_share_of_held_out_tasks_stays(split: str | None, share: float | None, tmp_path: Path) -> None:
    store = store_of(RELEASES[-1], tmp_path)
    with sqlite3.connect(tmp_path / "state.sqlite3") as made:
        made.execute("UPDATE projects SET split = ?", (split,))
    made.close()
    store.database.migrate()
    project = store.projects.get(7)
    assert project is not None
    assert (project.split, project.held_out_share) == (split, share)


def test_a_state_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    store = store_of(RELEASES[-1], tmp_path)
    store.database.migrate()
    with sqlite3.connect(tmp_path / "state.sqlite3") as made:
        made.execute("UPDATE alembic_version SET version_num = '9999'")
    made.close()
    with pytest.raises(RefusedStartError, match=r"was written by a newer release; install that release, or restore"):
        Store(tmp_path).database.migrate()


@pytest.mark.parametrize("command", ["web", "worker", "serve"])
def test_a_program_on_a_state_of_a_newer_release_ends_with_one_sentence(tmp_path: Path, command: str) -> None:
    """And with a code that tells an operator's restarts to stop."""
    store_of(RELEASES[-1], tmp_path).database.migrate()
    with sqlite3.connect(tmp_path / "state.sqlite3") as made:
        made.execute("UPDATE alembic_version SET version_num = '9999'")
    made.close()
    log = tmp_path / "log.txt"
    environment = {**os.environ, "MODEL_DIR": str(tmp_path), "PORT": str(free_port())}
    assert forked.started("backend", [command], environment, log).wait(300) == 78
    assert "was written by a newer release; install that release, or restore" in log.read_text()
    assert "Traceback" not in log.read_text()
