"""Commands for the state: backup, restore, migration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.audit import record
from backend.cli.build import start
from backend.cli.group import app
from backend.errors import BackendError

if TYPE_CHECKING:
    from backend.store import Store


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="Archive to write, such as backup.tar.gz.")]) -> None:
    """Write state and adapters into one archive. It is consistent while web server and worker run."""
    from backend.store.backup import backup as write

    settings, store = start()
    _require_embedded(store, "back up", "pg_dump and a copy of MODEL_DIR")
    write(settings.model_dir, file)
    typer.echo(f"{file} holds the state of {settings.model_dir} ({file.stat().st_size / 2**20:.1f} MB).")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="Archive from `lsal backup`.")]) -> None:
    """Replace the state in MODEL_DIR by an archive, and keep the former state. Stop web server and worker first."""
    from backend.runtime import logs
    from backend.settings import load_settings
    from backend.store import Store
    from backend.store.backup import restore as put_back

    settings = load_settings()
    logs.set_up(settings.log_level)
    store = Store(settings.model_dir, settings.database, settings.shared_url)
    _require_embedded(store, "restore", "pg_restore and the copy of MODEL_DIR")
    aside = put_back(file, settings.model_dir)
    record(store, "restore", None, file.name)
    kept = f" The former state is in {aside}." if aside else ""
    typer.echo(f"{settings.model_dir} has the state of {file}. Start the backend: it syncs with Label Studio.{kept}")


@app.command("migrate-to")
def migrate_to(
    url: Annotated[str, typer.Argument(help="Empty database, such as postgresql://user:password@host:5432/name.")],
) -> None:
    """Move the state from SQLite in MODEL_DIR to PostgreSQL. Stop web server and worker first."""
    from backend.runtime import logs
    from backend.settings import load_settings
    from backend.store.sql.moving import move

    settings = load_settings()
    logs.set_up(settings.log_level)
    moved = move(settings.model_dir, url)
    typer.echo(
        f"{sum(moved.values())} rows moved: {', '.join(f'{count} {name}' for name, count in moved.items())}. Set "
        "DATABASE_URL for web server and worker, and start them. The state in MODEL_DIR is no longer used."
    )


def _require_embedded(store: Store, doing: str, by: str) -> None:
    if store.database.file is None:
        raise BackendError(f"the state is in PostgreSQL; {doing} it there with {by}")
